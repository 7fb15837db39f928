import { statfs } from 'node:fs/promises'
import { Problem } from '../../problems.ts'
import type { DiskSpace } from '../blob-store.ts'

/** A measurement is used for this long, minus what was written since: one statfs for each small upload took a fifth of its time. */
const CACHE_MILLISECONDS = 100

interface FreeSpaceOptions {
  folder: string
  /** Space to keep free, asked for at every check. */
  minFreeBytes: () => number
}

/** Free space on the disk of a folder, shared by all writers. */
export interface FreeSpace {
  measure (): Promise<DiskSpace>
  /** Checks that this many bytes can be written. Measures if the last measurement is old, and always before it refuses. @throws storage_full. */
  check (bytes: number): Promise<void>
  /** Runs `write`, with its bytes counted as used meanwhile. @throws storage_full. */
  during<T> (bytes: number, write: () => Promise<T>): Promise<T>
}

export function createFreeSpace ({ folder, minFreeBytes }: FreeSpaceOptions): FreeSpace {
  let bytesInProgress = 0
  let bytesTotal = 0
  let last = { at: -Infinity, free: 0, bytesTotal: 0 }

  async function measure (): Promise<DiskSpace> {
    const { bavail, blocks, bsize } = await statfs(folder)
    return { free: bavail * bsize, total: blocks * bsize, kept: minFreeBytes() }
  }

  function bytesLeft (): number {
    return last.free - (bytesTotal - last.bytesTotal)
  }

  async function check (bytes: number): Promise<void> {
    const isFresh = performance.now() - last.at < CACHE_MILLISECONDS
    if (isFresh && bytesLeft() - bytes >= minFreeBytes()) return
    // Writes in progress may be on the disk already or not.
    const counted = bytesTotal - bytesInProgress
    const { free, kept } = await measure()
    last = { at: performance.now(), free, bytesTotal: counted }
    if (bytesLeft() - bytes < kept) throw new Problem('storage_full', { detail: 'The disk has no space for this file.' })
  }

  async function during<T> (bytes: number, write: () => Promise<T>): Promise<T> {
    bytesInProgress += bytes
    bytesTotal += bytes
    try {
      await check(0)
      return await write()
    } finally {
      bytesInProgress -= bytes
    }
  }

  return { measure, check, during }
}
