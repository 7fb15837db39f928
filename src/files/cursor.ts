import { createHmac } from 'node:crypto'
import type { FileOrder, FilePosition, FileRecord } from '../metadata/records.ts'
import { Problem } from '../problems.ts'

/** Bytes of the seal: 2 to the 96 guesses. */
const SEAL_BYTES = 12

/** What a cursor is good for: a listing of one owner in one order, of names that begin so. */
export interface Listing { readonly ownerId: number, readonly order: FileOrder, readonly prefix: string | undefined }

export interface Cursors {
  /** Where a page that ended with `file` goes on: opaque to clients, good for this listing alone. */
  write (file: FileRecord, listing: Listing): string
  /** @throws validation_failed for anything that `write` did not make for this listing. */
  read (cursor: string, listing: Listing): FilePosition
}

/** The key that an order sorts by. */
const keyOf: Record<FileOrder, (file: FileRecord) => string | number> = {
  name: file => file.name,
  '-name': file => file.name,
  newest: file => file.createdAt,
  oldest: file => file.createdAt,
  largest: file => file.size,
  smallest: file => file.size
}

/** Cursors sealed with `secret`, so that one which was made up or altered is told from one that was given out. */
export function createCursors (secret: string): Cursors {
  function seal (position: string, { ownerId, order, prefix }: Listing): Buffer {
    return createHmac('sha256', secret).update(JSON.stringify(['cursor', ownerId, order, prefix ?? '', position])).digest().subarray(0, SEAL_BYTES)
  }

  return {
    write (file, listing) {
      const position = JSON.stringify([keyOf[listing.order](file), file.id])
      return Buffer.concat([seal(position, listing), Buffer.from(position)]).toString('base64url')
    },

    read (cursor, listing) {
      const bytes = Buffer.from(cursor, 'base64url')
      const position = bytes.toString('utf8', SEAL_BYTES)
      // One spelling: the decoder passes over what is not base64url.
      if (bytes.toString('base64url') !== cursor || !bytes.subarray(0, SEAL_BYTES).equals(seal(position, listing))) {
        throw new Problem('validation_failed', { errors: [{ field: 'cursor', message: 'is not one that was given out for this listing' }] })
      }
      const [key, id] = JSON.parse(position) as [string | number, number]
      return { key, id }
    }
  }
}
