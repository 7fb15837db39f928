import { constants, copyFile, open } from 'node:fs/promises'
import type { BlobWriter } from '../blob-writer.ts'
import { type BlobPaths, FileWriter, type FileWriting } from './file-writer.ts'

const CLONE = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE

/** A blob that has its bytes already, and the bytes to be compared. */
interface Clone {
  readonly writer: BlobWriter
  readonly bytes: AsyncIterable<Uint8Array>
}

/* c8 ignore start: each file system takes one of the two branches; test/proof/reflinks.proof.ts runs the other. */
/**
 * Makes a pending blob that shares its blocks with a file until one of the two changes (ioctl_ficlone(2)). Undefined
 * where the file system can't, or the system has no /proc.
 */
export async function clonePending (
  { pending }: BlobPaths, source: number, writing: FileWriting
): Promise<Clone | undefined> {
  // By its descriptor: another file may be at its path by now.
  const isCloned = await copyFile(`/proc/self/fd/${source}`, pending, CLONE).then(() => true, () => false)
  if (!isCloned) return undefined
  const handle = await open(pending, 'r+')
  await handle.chmod(0o600)
  // Nothing is added: the bytes are only read.
  const writer = Object.assign(new FileWriter(handle, { pending, offset: 0 }, writing), { add: () => undefined })
  return { writer, bytes: handle.createReadStream({ start: 0, autoClose: false }) }
}
/* c8 ignore stop */
