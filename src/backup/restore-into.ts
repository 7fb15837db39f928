import { createHash } from 'node:crypto'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { type BlobStore, complete, type StoredBlob } from '../blobs/blob-store.ts'
import { dataFolderLayout } from '../data-folder/data-folder.ts'
import { KeyFile, keyFiles, type KeyRings } from '../data-folder/key-file.ts'
import type { Snapshot } from '../metadata/snapshot.ts'
import { Problem } from '../problems.ts'
import type { OnProgress } from './backup.ts'
import { type BackupSummary, originalsFirst, readSums, type Sum } from './manifest.ts'
import { batches, bytesOf, copyVerified, failAsUnreadable, isBlob, refuseDamaged, type RestoreTools } from './restore.ts'

/** A store that is empty, and is not a data folder alone. */
export interface RestoreTarget {
  readonly blobs: BlobStore
  /**
   * Takes over the metadata in a SQLite database of this version or an older one, and the keys of the backup: all or
   * nothing. May change the file. With that the restore is complete: until then no server starts.
   */
  importMetadata (file: string, keys: KeyRings): Promise<void>
  close (): Promise<void>
}

/** A backup that was read from `folder`, and the empty store for it. */
export interface RestoreIntoOptions {
  readonly folder: string
  readonly backup: BackupSummary
  readonly target: RestoreTarget
  readonly openSnapshot: RestoreTools['openSnapshot']
  readonly onProgress: OnProgress
}

/**
 * Restores a backup into a database and a blob store of any kind. The metadata comes last: until then no
 * account exists, and the store is marked so that no server starts on it. A restore that was interrupted continues:
 * blobs that are there, with the right digest, are not written again.
 * @throws {BackupError} if the backup is damaged.
 */
export async function restoreInto ({
  folder, backup, target, openSnapshot, onProgress
}: RestoreIntoOptions): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'magicstore-restore-'))
  const database = join(scratch, dataFolderLayout.database)
  let snapshot: Snapshot | undefined
  try {
    let done = 0
    for await (const batch of batches(readSums(folder, backup))) {
      await originalsFirst(batch, sum => snapshot?.originalOf(basename(sum.target)), async (sum, original) => {
        const path = join(folder, sum.path)
        if (isBlob(sum)) await putBlob(folder, sum, target.blobs, original)
        else await copyVerified(path, join(scratch, sum.target), sum.sha256)
      })
      // Its version is checked before the rest is written.
      snapshot ??= openSnapshot(database)
      done += batch.length
      onProgress(Math.min(done, backup.files), backup.files)
    }
    snapshot?.close()
    await target.importMetadata(database, await readKeyRings(scratch))
  } finally {
    snapshot?.close()
    await rm(scratch, { recursive: true })
  }
}

async function readKeyRings (folder: string): Promise<KeyRings> {
  const rings = await Promise.all(keyFiles.map(async name => [name, await new KeyFile(folder, name).find()] as const))
  return Object.fromEntries(rings)
}

/** `original`: a blob in the store with the same bytes. */
async function putBlob (
  folder: string, { path, sha256 }: Sum, blobs: BlobStore, original: string | undefined
): Promise<void> {
  const from = join(folder, path)
  const id = basename(path)
  const { size } = await stat(from).catch(failAsUnreadable(from))
  if (await isPresent(blobs, { id, size, sha256 })) return
  // Also aborts an upload that an interrupted restore has begun.
  await blobs.remove([id])
  if (original === undefined) {
    const stored = await complete(blobs.put(id, bytesOf(from), { maxBytes: size }))
    if (stored.sha256 !== sha256) await blobs.remove([id])
    refuseDamaged(from, { expected: sha256, found: stored.sha256 })
  } else await complete(blobs.copies.copy({ id: original, size, sha256 }, id, { maxBytes: size }))
  blobs.commit(id)
}

/**
 * Whether the store has the blob with these bytes. Reads all of them, because the restore may be meant to repair
 * damage.
 */
async function isPresent (blobs: BlobStore, { id, size, sha256 }: StoredBlob): Promise<boolean> {
  try {
    const bytes = await blobs.read({ id, size })
    const hash = createHash('sha256')
    for await (const chunk of Buffer.isBuffer(bytes) ? [bytes] : bytes) hash.update(chunk as Buffer)
    return hash.digest('hex') === sha256
  } catch (error) {
    if (error instanceof Problem && error.code === 'file_damaged') return false
    throw error
  }
}
