import { splitPath } from '../metadata/paths.ts'
import type { FileOrder, FilePosition, FileRecord } from '../metadata/records.ts'
import { invalidField } from '../problems.ts'
import type { SignedTexts } from '../tokens/signed-texts.ts'

/** Identifies a listing; begins with the id of the owner. A cursor is valid for one listing. */
export type Listing = readonly [ownerId: number, ...rest: (string | number)[]]

/** The value that a listing is ordered by, and what decides between equal ones. */
interface Position { readonly key: string | number | readonly (string | number)[], readonly id: string | number }

/** The value that an order sorts by. */
const keyOf: Record<FileOrder, (file: FileRecord) => string | number> = {
  name: file => splitPath(file.name).name,
  '-name': file => splitPath(file.name).name,
  natural: file => splitPath(file.name).name,
  '-natural': file => splitPath(file.name).name,
  newest: file => file.createdAt,
  oldest: file => file.createdAt,
  changed: file => file.changedAt,
  '-changed': file => file.changedAt,
  largest: file => file.size,
  smallest: file => file.size
}

/** The position of a file in a listing of files. */
export function positionOf (file: FileRecord, order: FileOrder): FilePosition {
  const key = keyOf[order](file)
  return { key, id: typeof key === 'string' ? file.folderId : file.id }
}

export type Cursors = ReturnType<typeof createCursors>

/** Cursors that are signed, so that forged or altered ones are detected. */
export function createCursors (texts: SignedTexts) {
  return {
    /** A cursor for the page after a position: opaque to clients and valid for this listing only. */
    write: ({ key, id }: Position, listing: Listing): Promise<string> =>
      texts.write(JSON.stringify([key, id]), ['cursor', ...listing]),

    /**
     * The position as it was written, or undefined without a cursor.
     * @throws validation_failed for anything that `write` did not make for this listing.
     */
    async read<P extends Position> (cursor: string | undefined, listing: Listing): Promise<P | undefined> {
      if (cursor === undefined) return undefined
      const position = await texts.read(cursor, ['cursor', ...listing])
      if (position === undefined) throw invalidField('cursor', 'is not a cursor of this listing')
      const [key, id] = JSON.parse(position)
      return { key, id } as P
    }
  }
}
