import { MagicStoreError } from 'magicstore'

/** Thrown if another window or device sends the same upload. */
export class UploadedElsewhere extends Error {}

/** Thrown if another client ended the upload. */
export class EndedElsewhere extends Error {}

/** Thrown if the browser can't read the file any more: it was changed, moved or deleted. */
export class FileUnreadable extends Error {}

/** Thrown for a name that no URL can contain. */
export class ImpossibleName extends Error {}

/** Codes of failures that stay until somebody makes space, although their statuses say that a retry may help. */
export const FINAL_CODES = ['too_many_uploads', 'storage_full']

/** Statuses below 500 after which the same request may succeed: timeout, another change of the file, rate limit. */
const TRANSIENT_STATUSES = [408, 409, 429]

/** Whether the same request may succeed later. fetch throws a TypeError for a network error. */
export function isTransient (error: unknown): boolean {
  if (!(error instanceof MagicStoreError)) return error instanceof TypeError
  if (error.code === 'name_taken' || FINAL_CODES.includes(error.code ?? '')) return false
  return error.status >= 500 || TRANSIENT_STATUSES.includes(error.status)
}

/** For after a network error, which browsers also report if a file can't be read. @throws FileUnreadable */
export async function refuseUnreadable (file: File): Promise<void> {
  await file.slice(0, 1).arrayBuffer().catch((cause: unknown) => { throw new FileUnreadable('', { cause }) })
}
