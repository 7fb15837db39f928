import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { BlobStore } from '../blobs/blob-store.ts'
import { dataFolderLayout, findSigningKeys } from '../blobs/disk/data-folder.ts'
import { Problem } from '../problems.ts'
import type { SigningKey } from '../tokens/signing-keys.ts'
import type { OnProgress } from './backup.ts'
import { type BackupSummary, inParallel, readSums, type Sum } from './manifest.ts'
import { batches, bytesOf, copyVerified, failAsUnreadable, refuseDamaged, type RestoreTools } from './restore.ts'

/** A store that is empty, and is not a data folder alone. */
export interface RestoreTarget {
  readonly blobs: BlobStore
  /** Takes over the facts in a SQLite database of this version or an older one, all or nothing, and may change the file. */
  importFacts (file: string): Promise<void>
  importKeys (keys: SigningKey[]): Promise<unknown>
  close (): Promise<void>
}

export interface RestoreIntoOptions {
  readonly folder: string
  readonly backup: BackupSummary
  readonly target: RestoreTarget
  readonly openSnapshot: RestoreTools['openSnapshot']
  readonly onProgress: OnProgress
}

/**
 * Restores a backup into a database and a blob store of any kind. The facts come last: until then no account exists. A restore
 * that was interrupted continues: blobs that are there are not written again.
 * @throws {BackupError} if the backup is damaged.
 */
export async function restoreInto ({ folder, backup, target, openSnapshot, onProgress }: RestoreIntoOptions): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'magicstore-restore-'))
  const database = join(scratch, dataFolderLayout.database)
  const keys = join(scratch, dataFolderLayout.signingKeys)
  try {
    let done = 0
    for await (const batch of batches(readSums(folder, backup))) {
      await inParallel(batch, async sum => {
        if (sum.target === dataFolderLayout.database) await copyVerified(join(folder, sum.path), database, sum.sha256)
        else if (sum.target === dataFolderLayout.signingKeys) await copyVerified(join(folder, sum.path), keys, sum.sha256)
        else await putBlob(folder, sum, target.blobs)
      })
      // The first file is the database: check its version before the rest is written.
      if (done === 0) openSnapshot(database).close()
      done += batch.length
      onProgress(Math.min(done, backup.files), backup.files)
    }
    const signingKeys = backup.hasSigningKeys ? await findSigningKeys(scratch) : undefined
    if (signingKeys !== undefined) await target.importKeys(signingKeys)
    await target.importFacts(database)
  } finally {
    await rm(scratch, { recursive: true })
  }
}

async function putBlob (folder: string, { path, sha256 }: Sum, blobs: BlobStore): Promise<void> {
  const from = join(folder, path)
  const id = basename(path)
  const { size } = await stat(from).catch(failAsUnreadable(from))
  if (await isPresent(blobs, id, size)) return
  const stored = await blobs.put(id, bytesOf(from), { maxBytes: size })
  if (stored.sha256 !== sha256) await blobs.remove([id])
  refuseDamaged(from, { expected: sha256, found: stored.sha256 })
  blobs.commit(id)
}

/** A blob is there whole or not at all, because `put` is atomic. */
async function isPresent (blobs: BlobStore, id: string, size: number): Promise<boolean> {
  return blobs.check(id, size).then(() => true, (error: unknown) => {
    if (error instanceof Problem && error.code === 'file_damaged') return false
    throw error
  })
}
