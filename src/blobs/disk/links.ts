import { link, rm, stat, unlink } from 'node:fs/promises'
import { isLinked, writeDurably } from '../../data-folder/durable-files.ts'
import { Problem } from '../../problems.ts'
import type { StoredBlob, Write } from '../blob-store.ts'
import { checkSize } from './blob-reader.ts'
import { createFile, type FileWriting } from './file-writer.ts'

/** A blob on the disk. */
export interface ReadableBlob extends StoredBlob {
  /** Runs an operation on its file, which a commit may move meanwhile. */
  readonly atItsPath: <T>(operation: (path: string) => Promise<T>) => Promise<T>
  readonly bytes: () => AsyncIterable<Uint8Array>
}

/**
 * Gives the file of a blob another name, on stable storage, like that of a new blob. False if no link is possible: on
 * another file system, without support for links, beyond the maximum number of links, or if the blob is missing.
 * @throws file_damaged if the file has another size.
 */
export async function * linkPending (
  { id, size, atItsPath }: ReadableBlob, pending: string, writing: FileWriting
): Write<boolean> {
  try {
    yield * createFile(() => atItsPath(path => link(path, pending)), writing)
  } catch {
    return false
  }
  try {
    checkSize(id, await stat(pending), size)
    await writing.syncPending()
    return true
  } catch (error) {
    await unlink(pending)
    throw error
  }
}

/** Like {@link BlobStore.copyTo}. */
export async function copyTo (blob: ReadableBlob, path: string, equal?: string): Promise<'linked' | 'copied'> {
  const isLink = await blob.atItsPath(from => link(from, path)).then(() => true, () => false)
  if (!isLink && equal !== undefined && await isLinked(equal, path)) return 'linked'
  const isWhole = isLink
    ? (await stat(path)).size === blob.size
    : (await writeDurably(path, blob.bytes())).sha256 === blob.sha256
  if (isWhole) return isLink ? 'linked' : 'copied'
  await rm(path)
  throw new Problem('file_damaged', { cause: new Error(`blob ${blob.id} has other bytes than recorded`) })
}
