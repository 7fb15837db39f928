import { createHmac } from 'node:crypto'
import type { FileOrder, FilePosition, FileRecord } from '../metadata/records.ts'
import { Problem } from '../problems.ts'

/** Length of the signature: an attacker needs 2 to the 96 guesses. */
const SIGNATURE_BYTES = 12

/** A cursor is valid for one listing: of one owner, in one order, with one prefix. */
export interface Listing { readonly ownerId: number, readonly order: FileOrder, readonly prefix: string | undefined }

export interface Cursors {
  /** A cursor for the page after `file`: opaque to clients and valid for this listing only. */
  write (file: FileRecord, listing: Listing): string
  /** @throws validation_failed for anything that `write` did not make for this listing. */
  read (cursor: string, listing: Listing): FilePosition
}

/** The value that an order sorts by. */
const keyOf: Record<FileOrder, (file: FileRecord) => string | number> = {
  name: file => file.name,
  '-name': file => file.name,
  newest: file => file.createdAt,
  oldest: file => file.createdAt,
  largest: file => file.size,
  smallest: file => file.size
}

/** Cursors signed with the first of `secrets` and verified with all, so that forged or altered ones are detected. */
export function createCursors (secrets: () => string[]): Cursors {
  function sign (secret: string, position: string, { ownerId, order, prefix }: Listing): Buffer {
    return createHmac('sha256', secret).update(JSON.stringify(['cursor', ownerId, order, prefix ?? '', position])).digest().subarray(0, SIGNATURE_BYTES)
  }

  return {
    write (file, listing) {
      const [secret = ''] = secrets()
      const position = JSON.stringify([keyOf[listing.order](file), file.id])
      return Buffer.concat([sign(secret, position, listing), Buffer.from(position)]).toString('base64url')
    },

    read (cursor, listing) {
      const bytes = Buffer.from(cursor, 'base64url')
      const position = bytes.toString('utf8', SIGNATURE_BYTES)
      const isSigned = secrets().some(secret => bytes.subarray(0, SIGNATURE_BYTES).equals(sign(secret, position, listing)))
      // The decoder ignores characters that are not base64url, so compare with the canonical form.
      if (bytes.toString('base64url') !== cursor || !isSigned) {
        throw new Problem('validation_failed', { errors: [{ field: 'cursor', message: 'is not a cursor of this listing' }] })
      }
      const [key, id] = JSON.parse(position) as [string | number, number]
      return { key, id }
    }
  }
}
