import { statfs } from 'node:fs/promises'
import { isDiskFull } from '../../data-folder/durable-files.ts'
import { Problem, storageFull } from '../../problems.ts'
import type { DiskSpace, MakeRoom } from '../blob-store.ts'

/** A measurement is used for this long, minus what was written since: one statfs for each small upload took a fifth of its time. */
const CACHE_MILLISECONDS = 100

/** How often something is tried on a full disk: meanwhile other uploads can take the room that was made. */
const ROOM_TRIES = 10

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
  /** Measures how much must be freed before this many bytes can be written; 0 or less if nothing. */
  missing (bytes: number): Promise<number>
  /** Runs `write`, with its bytes counted as used meanwhile. If there is no space, runs it again once `makeRoom` has made some. @throws storage_full. */
  during<T> (bytes: number, write: () => Promise<T>, makeRoom: MakeRoom | undefined): Promise<T>
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

  async function missing (bytes: number): Promise<number> {
    // Writes in progress may be on the disk already or not.
    const counted = bytesTotal - bytesInProgress
    const { free, kept } = await measure()
    last = { at: performance.now(), free, bytesTotal: counted }
    return kept + bytes - bytesLeft()
  }

  async function check (bytes: number): Promise<void> {
    const isFresh = performance.now() - last.at < CACHE_MILLISECONDS
    if (isFresh && bytesLeft() - bytes >= minFreeBytes()) return
    if (await missing(bytes) > 0) throw storageFull({ detail: 'The disk has no space for this file.' })
  }

  async function count<T> (bytes: number, write: () => Promise<T>): Promise<T> {
    bytesInProgress += bytes
    bytesTotal += bytes
    try {
      await check(0)
      return await write()
    } finally {
      bytesInProgress -= bytes
    }
  }

  /** If the disk itself refuses, its figures do not show why: inodes, a quota. What is freed then is as much as is to be written. */
  async function during<T> (bytes: number, write: () => Promise<T>, makeRoom: MakeRoom | undefined): Promise<T> {
    let tries = 0
    for (;;) {
      tries++
      try {
        return await count(bytes, write)
      } catch (error) {
        const isOfDisk = isDiskFull(error)
        const isFull = isOfDisk || (error instanceof Problem && error.code === 'storage_full')
        if (makeRoom === undefined || !isFull || tries === ROOM_TRIES) throw error
        await makeRoom(isOfDisk ? Math.max(bytes, 2 * bytes - await missing(bytes)) : bytes)
      }
    }
  }

  return { measure, missing, check, during }
}
