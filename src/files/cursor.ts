import { createHmac } from 'node:crypto'
import type { SigningKey } from '../config/signing-keys.ts'
import { splitPath } from '../metadata/paths.ts'
import type { FileOrder, FilePage, FilePosition, FileRecord } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import type { KeyRing } from '../tokens/key-ring.ts'

/** Length of the signature: an attacker needs 2 to the 96 guesses. */
const SIGNATURE_BYTES = 12

/** Identifies a listing; begins with the id of the owner. A cursor is valid for one listing. */
export type Listing = readonly [ownerId: number, ...rest: (string | number)[]]

/** The value that a listing is ordered by, and what decides between equal ones. */
interface Position { readonly key: string | number, readonly id: string | number }

export interface Cursors {
  /** A cursor for the page after a position: opaque to clients and valid for this listing only. */
  write (after: Position, listing: Listing): Promise<string>
  /**
   * The position as it was written, or undefined without a cursor.
   * @throws validation_failed for anything that `write` did not make for this listing.
   */
  read<P extends Position> (cursor: string | undefined, listing: Listing): Promise<P | undefined>
}

/** The value that an order sorts by. */
const keyOf: Record<FileOrder, (file: FileRecord) => string | number> = {
  name: file => splitPath(file.name).name,
  '-name': file => splitPath(file.name).name,
  newest: file => file.createdAt,
  oldest: file => file.createdAt,
  largest: file => file.size,
  smallest: file => file.size
}

/** The position of a file in a listing of files: of one folder, or of all files. */
export function positionOf (file: FileRecord, { order, folder }: Pick<FilePage, 'order' | 'folder'>): FilePosition {
  return { key: keyOf[order](file), id: folder === undefined ? file.folderId : file.id }
}

/** Cursors signed with the first key and verified with all, so that forged or altered ones are detected. */
export function createCursors (keyRing: KeyRing): Cursors {
  function sign (secret: string, position: string, listing: Listing): Buffer {
    return createHmac('sha256', secret).update(JSON.stringify(['cursor', ...listing, position])).digest().subarray(0, SIGNATURE_BYTES)
  }

  /** Whether a key in use has signed the bytes. */
  async function isSigned (bytes: Buffer, listing: Listing): Promise<boolean> {
    const position = bytes.toString('utf8', SIGNATURE_BYTES)
    const isSigner = ({ secret }: SigningKey) =>
      bytes.subarray(0, SIGNATURE_BYTES).equals(sign(secret, position, listing))
    return (await keyRing.current()).some(isSigner) || (await keyRing.latest()).some(isSigner)
  }

  return {
    async write ({ key, id }, listing) {
      const [{ secret }] = await keyRing.current() as [SigningKey]
      const position = JSON.stringify([key, id])
      return Buffer.concat([sign(secret, position, listing), Buffer.from(position)]).toString('base64url')
    },

    async read<P extends Position> (cursor: string | undefined, listing: Listing) {
      if (cursor === undefined) return undefined
      const bytes = Buffer.from(cursor, 'base64url')
      // The decoder ignores characters that are not base64url, so compare with the canonical form.
      const isCanonical = bytes.toString('base64url') === cursor
      if (!isCanonical || !await isSigned(bytes, listing)) {
        throw new Problem('validation_failed', { errors: [{ field: 'cursor', message: 'is not a cursor of this listing' }] })
      }
      const [key, id] = JSON.parse(bytes.toString('utf8', SIGNATURE_BYTES))
      return { key, id } as P
    }
  }
}
