/** Thrown if another window or device sends the same upload. */
export class UploadedElsewhere extends Error {}

/** Thrown if another client ended the upload. */
export class EndedElsewhere extends Error {}

/** Thrown if the browser can't read the file any more: it was changed, moved or deleted. */
export class FileUnreadable extends Error {}

/** Thrown for a name that no URL can contain. */
export class ImpossibleName extends Error {}

/** Their statuses are those of failures that may be over, but only the user can make space. */
export const FINAL_CODES = ['too_many_uploads', 'storage_full']

/** Call it after a network error, which browsers also report if a file can't be read. @throws FileUnreadable */
export async function refuseUnreadable (file: File): Promise<void> {
  await file.slice(0, 1).arrayBuffer().catch((cause: unknown) => { throw new FileUnreadable('', { cause }) })
}
