import { randomBytes } from 'node:crypto'
import { open, rm, stat, statfs, truncate } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isDiskFull } from '../../data-folder/durable-files.ts'
import { Problem, storageFull } from '../../problems.ts'
import type { DiskAllowance, DiskSpace, SpaceOnDisk, Write } from '../blob-store.ts'

/** How long a measurement is used, minus what was written since: statfs took a fifth of the time of a small upload. */
const CACHE_MILLISECONDS = 100

/** How often a write is tried on a full disk: other uploads can take the space in between. */
const FULL_DISK_TRIES = 10

export interface FreeSpaceOptions {
  folder: string
  /** Bytes that uploads leave free. */
  minFreeBytes: number
  /** Uploads also leave this reserve free. */
  reserve?: Pick<Reserve, 'missingBytes'>
}

/** Free space on the disk of a folder, shared by all writers. */
export class FreeSpace implements SpaceOnDisk {
  readonly #options: FreeSpaceOptions
  #bytesInProgress = 0
  #bytesTotal = 0
  #last = { at: -Infinity, free: 0, bytesTotal: 0 }

  constructor (options: FreeSpaceOptions) {
    this.#options = options
  }

  async measure (): Promise<DiskSpace> {
    const { bavail, blocks, bsize } = await statfs(this.#options.folder)
    return { free: bavail * bsize, total: blocks * bsize, reserved: this.#reservedBytes() }
  }

  /**
   * Checks that this many bytes can be written. Measures if the last measurement is old, and always before it refuses.
   * @throws storage_full.
   */
  async check (size: number, { leavesDouble = false }: DiskAllowance = {}): Promise<void> {
    const isFresh = performance.now() - this.#last.at < CACHE_MILLISECONDS
    const reserved = this.#reservedBytes()
    const bytes = leavesDouble ? size + reserved : size
    if (isFresh && this.#bytesLeft() - bytes >= reserved) return
    const missing = await this.missing(bytes)
    const detail = 'The disk has no space for this file.'
    // A disk that is too small for one file is in order.
    if (missing > bytes) throw storageFull({ detail, resource: 'disk' })
    if (missing > 0) throw storageFull({ detail })
  }

  /** Measures how much must be freed before this many bytes can be written; 0 or less if nothing. */
  async missing (bytes: number): Promise<number> {
    // Writes in progress may be on the disk already or not.
    const bytesTotal = this.#bytesTotal - this.#bytesInProgress
    const { free, reserved } = await this.measure()
    this.#last = { at: performance.now(), free, bytesTotal }
    return reserved + bytes - this.#bytesLeft()
  }

  /** Runs `write`, with its bytes counted as used meanwhile. @throws storage_full. */
  async during<T> (bytes: number, write: () => Promise<T>, allowance: DiskAllowance): Promise<T> {
    this.#bytesInProgress += bytes
    this.#bytesTotal += bytes
    try {
      await this.check(0, allowance)
      return await write()
    } finally {
      this.#bytesInProgress -= bytes
    }
  }

  /**
   * Runs `write` again while it fails because the disk is full, each time after `bytes` were freed. If the disk
   * itself refuses (no inodes, a disk quota), its figures do not show it: as many bytes are freed as are to be written.
   */
  async * again<T> (write: () => Promise<T>, bytes: () => number): Write<T> {
    let tries = 0
    for (;;) {
      tries++
      try {
        return await write()
      } catch (error) {
        const isOfDisk = isDiskFull(error)
        const isFull = isOfDisk || (error instanceof Problem && error.code === 'storage_full')
        if (!isFull || tries === FULL_DISK_TRIES) throw error
        const missing = bytes()
        const wanted = isOfDisk ? Math.max(missing, 2 * missing - await this.missing(missing)) : missing
        yield { kind: 'disk', bytes: wanted, error }
      }
    }
  }

  #reservedBytes (): number {
    const { minFreeBytes, reserve } = this.#options
    return Math.max(minFreeBytes, reserve?.missingBytes ?? 0)
  }

  #bytesLeft (): number {
    return this.#last.free - (this.#bytesTotal - this.#last.bytesTotal)
  }
}

const RESERVE_BYTES = 4 * 1024 ** 2

/** The file shrinks by this much at a time: what else fills the disk can take only the rest of one step. */
const STEP_BYTES = 64 * 1024

/** The reserve is filled again only if this much is free, so that what it released is still available. */
const REFILL_BYTES = 2 * RESERVE_BYTES

/**
 * Disk space that is allocated in advance, and released when the disk is full, so that reads, deletes and restarts
 * work.
 */
export type Reserve = Awaited<ReturnType<typeof openReserve>>

/** Opens the reserve, a file at `path`, and fills it if there is space. */
export async function openReserve (path: string) {
  // Earlier versions had a folder here.
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory()) await rm(path, { recursive: true })
  let bytes = found?.isFile() ? found.size : 0
  let refilling: Promise<void> | undefined

  async function shrink (): Promise<boolean> {
    if (bytes === 0) return false
    bytes = Math.max(0, bytes - STEP_BYTES)
    await truncate(path, bytes)
    return true
  }

  async function refill (): Promise<void> {
    const { bavail, bsize } = await statfs(dirname(path))
    if (bavail * bsize < REFILL_BYTES) return
    try {
      await append(path, RESERVE_BYTES - bytes)
    } catch (error) {
      await truncate(path, bytes)
      throw error
    }
    bytes = RESERVE_BYTES
  }

  /** Fills the reserve again if there is space. Never fails. */
  async function restore (): Promise<void> {
    if (bytes >= RESERVE_BYTES) return
    refilling ??= refill().catch(() => {}).finally(() => { refilling = undefined })
    await refilling
  }

  /** Runs an operation. While it fails because the disk is full, releases a part of the reserve and runs it again. */
  async function withSpace<T> (operation: () => Promise<T>): Promise<T> {
    for (;;) {
      const before = bytes
      try {
        return await operation()
      } catch (error) {
        if (!(error instanceof Problem) || error.code !== 'storage_full') throw error
        // Of many that failed together, one makes space.
        if (bytes === before && !await shrink()) throw error
      }
    }
  }

  await restore()
  return {
    /** Bytes that uploads must keep free until the reserve is complete again; 0 if it is complete. */
    get missingBytes () { return bytes >= RESERVE_BYTES ? 0 : REFILL_BYTES },
    withSpace,
    restore
  }
}

/** Writes actual bytes: a file that is only extended takes no space on disk. */
async function append (path: string, bytes: number): Promise<void> {
  const handle = await open(path, 'a', 0o600)
  try {
    await handle.writeFile(randomBytes(bytes))
    await handle.sync()
  } finally {
    await handle.close()
  }
}
