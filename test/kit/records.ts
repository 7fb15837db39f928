import { randomBytes } from 'node:crypto'
import type { FolderRemoval } from '#src/metadata/folder-records.ts'
import type { NewLink } from '#src/metadata/link-records.ts'
import type { Metadata } from '#src/metadata/metadata.ts'
import type { AccountRecord, NewFile, Quota } from '#src/metadata/records.ts'
import { Problem } from '#src/problems.ts'

export const unlimited: Quota = { bytes: undefined, files: undefined }

/** Random bytes in hexadecimal, as ids and digests are. */
export const hex = (bytes: number) => randomBytes(bytes).toString('hex')

export function newFile (ownerId: number, name: string, fields: Partial<NewFile> = {}): NewFile {
  return { ownerId, name, size: 10, type: 'text/plain', sha256: hex(32), blobId: hex(16), modifiedAt: null, isLeased: false, ...fields }
}

/** Sets the password of an account, whatever it was. */
export async function setPassword (
  { accounts }: Pick<Metadata, 'accounts'>, id: number, passwordHash: string, revokesTokens = false
): Promise<void> {
  await accounts.setPasswordHash(await accounts.find(id) as AccountRecord, passwordHash, { revokesTokens })
}

/** The outcome of each promise: `ok`, or the code of its problem. */
export async function endsOf (promises: Promise<unknown>[]): Promise<string[]> {
  const ends = await Promise.allSettled(promises)
  return ends.map(end => end.status === 'fulfilled' ? 'ok' : end.reason instanceof Problem ? end.reason.code : String(end.reason))
}

/** How often each word occurs. */
export function count (words: string[]): Record<string, number> {
  return words.reduce<Record<string, number>>((sums, word) => ({ ...sums, [word]: (sums[word] ?? 0) + 1 }), {})
}

/** How often each outcome occurred. */
export const outcomes = async (promises: Promise<unknown>[]) => count(await endsOf(promises))

/** Deletes a folder with all that is in it. Returns the number of acts. */
export async function removeFolder (
  { folders }: Metadata, ownerId: number, path: string, removal: FolderRemoval
): Promise<number> {
  let acts = 0
  let { from } = removal
  do {
    from = await folders.removeSome(ownerId, path, { ...removal, from })
    acts++
  } while (from !== undefined)
  return acts
}

/** A link to download; for uploads with `kind` and limits. */
export function newLink (accountId: number, name: string, fields: Partial<NewLink> = {}): NewLink {
  return {
    accountId, kind: 'download', name, secretHash: hex(32), secretSealed: null, expiresAt: null, passwordHash: null, maxFiles: null, maxBytes: null, fileName: null, sha256: null, showsOwner: true, ...fields
  }
}
