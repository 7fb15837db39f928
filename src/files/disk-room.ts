import { setTimeout as wait } from 'node:timers/promises'
import pLimit from 'p-limit'
import type { BlobStore, MakeRoom, Reserve } from '../blobs/blob-store.ts'
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

/** How often something is recorded: meanwhile other uploads can take the room that was made. */
const RECORD_TRIES = 10

/** Room on the disk for uploads. What is kept gives way, as their bytes arrive: its owner's first, then everybody's, the oldest first. */
export interface DiskRoom {
  /** Checks that an announced number of bytes could be stored, if what is kept gives way. Deletes nothing of it yet. @throws storage_full. */
  requireSpace (bytes: number): Promise<void>
  /** What makes room for the bytes of an owner's upload. Waits for that at most 5 s. */
  makerFor (ownerId: number): MakeRoom
  /** Records something of an owner's upload, again if it first needs room. @throws storage_full, and what `record` throws. */
  withRoom<T> (ownerId: number, record: () => Promise<T>): Promise<T>
}

interface DiskRoomOptions {
  metadata: Metadata
  blobs: BlobStore
  reserve: Reserve
  cleanup: Pick<BlobCleanup, 'sweepNow'>
}

export function createDiskRoom ({ metadata, blobs, reserve, cleanup }: DiskRoomOptions): DiskRoom {
  // One at a time: what is freed for one upload is often enough for those that wait as well.
  const inTurn = pLimit(1)
  const missingSpace = async (bytes: number) => await blobs.missingSpace?.(bytes) ?? 0
  const deadline = () => performance.now() + WAIT_MILLISECONDS
  const isPast = (deadline: number) => performance.now() >= deadline

  /** Frees what is deleted already. Returns what is missing then. */
  async function sweep (bytes: number, deadline: number): Promise<number> {
    const swept = cleanup.sweepNow().then(() => true)
    let isSwept = false
    for (;;) {
      const missing = await missingSpace(bytes)
      if (missing <= 0 || isSwept || isPast(deadline)) return missing
      isSwept = await Promise.race([swept, wait(LOOK_MILLISECONDS, false)])
    }
  }

  /** Deletes kept content of so many bytes, unless there is less. Returns its bytes. */
  async function deleteKept (ownerId: number, bytes: number, deadline: number): Promise<number> {
    let left = bytes
    for (const owner of [ownerId, undefined]) {
      while (left > 0 && !isPast(deadline)) {
        const deleted = await reserve.withSpace(() => metadata.kept.removeOldest(left, BATCH, owner))
        if (deleted === 0) break
        left -= deleted
      }
    }
    return bytes - left
  }

  async function make (ownerId: number, bytes: number, deadline: number): Promise<void> {
    if (await missingSpace(bytes) <= 0) return
    // Deleting would free nothing until the backup has ended.
    if (await metadata.blobs.hasRetentionLock()) refuse()
    for (let missing = await sweep(bytes, deadline); missing > 0; missing = await sweep(bytes, deadline)) {
      if (isPast(deadline) || await deleteKept(ownerId, missing, deadline) === 0) refuse()
    }
  }

  function makerFor (ownerId: number): MakeRoom {
    return bytes => {
      const end = deadline()
      return inTurn(() => make(ownerId, bytes, end))
    }
  }

  /** Whether the bytes fit once all that is kept is deleted. */
  async function couldFit (bytes: number): Promise<boolean> {
    if (await metadata.blobs.hasRetentionLock()) return false
    const missing = await sweep(bytes, deadline())
    return missing <= 0 || missing <= (await metadata.accounts.totals({ bytes: undefined, files: undefined })).keptBytes
  }

  return {
    async requireSpace (bytes) {
      await blobs.requireSpace(bytes).catch(async error => { if (!isFull(error) || !await couldFit(bytes)) throw error })
    },

    makerFor,

    async withRoom (ownerId, record) {
      let tries = 0
      for (;;) {
        tries++
        try {
          return await record()
        } catch (error) {
          if (!isFull(error) || tries === RECORD_TRIES) throw error
          await makerFor(ownerId)(RECORD_BYTES)
        }
      }
    }
  }
}

function isFull (error: unknown): boolean {
  return error instanceof Problem && error.code === 'storage_full'
}

function refuse (): never {
  throw storageFull({ detail: 'The disk has no space for this file.' })
}
