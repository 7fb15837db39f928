import { setTimeout as wait } from 'node:timers/promises'
import pLimit from 'p-limit'
import type { BlobStore, MakeRoom } from '../blobs/blob-store.ts'
import type { Metadata } from '../metadata/metadata.ts'
import { Problem, storageFull } from '../problems.ts'
import type { BlobCleanup } from './blob-cleanup.ts'

/** How long an upload waits for room. */
const WAIT_MILLISECONDS = 5000

/** How often it looks whether there is room, while a removal goes on. */
const LOOK_MILLISECONDS = 50

/** Kept contents deleted in one transaction. */
const BATCH = 100

/** What the database may need to record a file: its log grows in larger steps than a row. */
const RECORD_BYTES = 1024 ** 2

/** How often `record` is tried: other uploads can take the room in between. */
const RECORD_TRIES = 10

interface DiskRoomOptions {
  readonly metadata: Metadata
  readonly blobs: BlobStore
  readonly cleanup: Pick<BlobCleanup, 'sweepNow'>
}

/**
 * Makes room on the disk for uploads while their bytes arrive: deletes kept content, the owner's first, then that of
 * all accounts, each time the oldest first.
 */
export class DiskRoom {
  readonly #options: DiskRoomOptions
  /** One at a time: what is freed for one upload is often enough for the next. */
  readonly #inTurn = pLimit(1)

  constructor (options: DiskRoomOptions) {
    this.#options = options
  }

  /**
   * Checks that so many bytes could be stored if kept content were deleted. Deletes none of it yet.
   * @throws storage_full.
   */
  async requireSpace (bytes: number): Promise<void> {
    await this.#options.blobs.requireSpace(bytes)
      .catch(async error => { if (!isFull(error) || !await this.#couldFit(bytes)) throw error })
  }

  /** Returns a function that makes room for an upload of this owner, and waits for it at most 5 s. */
  makerFor (ownerId: number): MakeRoom {
    return bytes => {
      const end = deadline()
      return this.#inTurn(() => this.#make(ownerId, bytes, end))
    }
  }

  /**
   * Runs `record`. While the disk is full, makes room and runs it again.
   * @throws storage_full, and what `record` throws.
   */
  async withRoom<T> (ownerId: number, record: () => Promise<T>): Promise<T> {
    let tries = 0
    for (;;) {
      tries++
      try {
        return await record()
      } catch (error) {
        if (!isFull(error) || tries === RECORD_TRIES) throw error
        await this.makerFor(ownerId)(RECORD_BYTES)
      }
    }
  }

  async #make (ownerId: number, bytes: number, deadline: number): Promise<void> {
    if (await this.#missingSpace(bytes) <= 0) return
    // Deleting would free nothing until the backup has ended.
    if (await this.#options.metadata.blobs.hasRetentionLock()) refuse()
    for (let missing = await this.#sweep(bytes, deadline); missing > 0; missing = await this.#sweep(bytes, deadline)) {
      if (isPast(deadline) || await this.#deleteKept(ownerId, missing, deadline) === 0) refuse()
    }
  }

  async #missingSpace (bytes: number): Promise<number> {
    return await this.#options.blobs.missingSpace?.(bytes) ?? 0
  }

  /** Frees the bytes of discarded blobs. Returns how many are still missing. */
  async #sweep (bytes: number, deadline: number): Promise<number> {
    const swept = this.#options.cleanup.sweepNow().then(() => true)
    let isSwept = false
    for (;;) {
      const missing = await this.#missingSpace(bytes)
      if (missing <= 0 || isSwept || isPast(deadline)) return missing
      isSwept = await Promise.race([swept, wait(LOOK_MILLISECONDS, false)])
    }
  }

  /** Deletes kept content until so many bytes are freed. Returns how many were. */
  async #deleteKept (ownerId: number, bytes: number, deadline: number): Promise<number> {
    const { metadata } = this.#options
    let left = bytes
    for (const owner of [ownerId, undefined]) {
      while (left > 0 && !isPast(deadline)) {
        const deleted = await metadata.retention.removeOldest(left, BATCH, owner)
        if (deleted === 0) break
        left -= deleted
      }
    }
    return bytes - left
  }

  /** Whether the bytes fit once all that is kept is deleted. */
  async #couldFit (bytes: number): Promise<boolean> {
    const { metadata } = this.#options
    if (await metadata.blobs.hasRetentionLock()) return false
    const missing = await this.#sweep(bytes, deadline())
    return missing <= 0 || missing <= (await metadata.accounts.totals({ bytes: undefined, files: undefined })).keptBytes
  }
}

const deadline = () => performance.now() + WAIT_MILLISECONDS
const isPast = (deadline: number) => performance.now() >= deadline

function isFull (error: unknown): boolean {
  return error instanceof Problem && error.code === 'storage_full'
}

function refuse (): never {
  throw storageFull({ detail: 'The disk has no space for this file.' })
}
