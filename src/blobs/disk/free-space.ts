import { statfs } from 'node:fs/promises'
import { Problem } from '../../problems.ts'
import type { DiskSpace } from '../blob-store.ts'

/** What was seen of the disk's free room serves so long, with our own writes counted off: a look for every small upload was a fifth of its time. */
const LOOK_MILLISECONDS = 100

interface FreeRoomOptions {
  folder: string
  /** Room that is left alone, asked for at every look. */
  minFreeBytes: () => number
}

/** Free room on the disk of a folder, as its writers share it. */
export interface FreeSpace {
  look (): Promise<DiskSpace>
  /** Looks at the disk where the last look is old, and in any case before it refuses. @throws storage_full. */
  refuseWithout (bytes: number): Promise<void>
  /** Counts as many bytes as taken while they are written. @throws storage_full. */
  writing<T> (bytes: number, write: () => Promise<T>): Promise<T>
}

export function createFreeSpace ({ folder, minFreeBytes }: FreeRoomOptions): FreeSpace {
  let bytesBeingWritten = 0
  let bytesHandedOver = 0
  let seen = { at: -Infinity, free: 0, bytesHandedOver: 0 }

  async function look (): Promise<DiskSpace> {
    const { bavail, blocks, bsize } = await statfs(folder)
    return { free: bavail * bsize, total: blocks * bsize, kept: minFreeBytes() }
  }

  function bytesLeft (): number {
    return seen.free - (bytesHandedOver - seen.bytesHandedOver)
  }

  async function refuseWithout (bytes: number): Promise<void> {
    const isFresh = performance.now() - seen.at < LOOK_MILLISECONDS
    if (isFresh && bytesLeft() - bytes >= minFreeBytes()) return
    // What is still being written may be on the disk or not.
    const counted = bytesHandedOver - bytesBeingWritten
    const { free, kept } = await look()
    seen = { at: performance.now(), free, bytesHandedOver: counted }
    if (bytesLeft() - bytes < kept) throw new Problem('storage_full', { detail: 'The disk has no room for this file.' })
  }

  async function writing<T> (bytes: number, write: () => Promise<T>): Promise<T> {
    bytesBeingWritten += bytes
    bytesHandedOver += bytes
    try {
      await refuseWithout(0)
      return await write()
    } finally {
      bytesBeingWritten -= bytes
    }
  }

  return { look, refuseWithout, writing }
}
