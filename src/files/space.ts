import { setTimeout as wait } from 'node:timers/promises'
import pLimit from 'p-limit'
import type { DiskAllowance, FreeDisk } from '../blobs/blob-store.ts'
import { type LinkCapacity, refuseAnnounced, refuseBeyondRoom } from '../metadata/link-records.ts'
import { refuseBeyondQuota } from '../metadata/owners.ts'
import { type AccountRecord, type Amount, NO_LIMIT, type Quota } from '../metadata/records.ts'
import { Problem, storageFull } from '../problems.ts'
import type { AppServices } from '../services.ts'
import type { Uploader } from './incoming-file.ts'

/** How long an upload waits for space on the disk. */
const WAIT_MILLISECONDS = 5000

/** How often it looks whether there is space, while a removal goes on. */
const LOOK_MILLISECONDS = 50

/** Versions or entries of the trash deleted in one transaction. */
const BATCH = 100

/** What the database may need to record a file: its log grows in larger steps than a row. */
const RECORD_BYTES = 1024 ** 2

/** How often `record` is tried: other uploads can take the space in between. */
const RECORD_TRIES = 10

/** Where less than double the space is free, housekeeping evicts versions and trash: visitors must not cause that. */
const FOR_VISITORS: DiskAllowance = { leavesDouble: true }

/** The most bytes that an upload may have. `refuse` throws why it may have no more; `cause` is `file_too_large`. */
export interface UploadLimit { readonly bytes: number, readonly refuse: (cause: Problem) => Promise<never> | never }

/** The space that one upload may take, by the quota of its owner or the limits of its link, and on the disk. */
export interface Allowance {
  /** @throws quota_exceeded, link_limit_reached, not_found if the link has ended. */
  check (added: Amount): Promise<void>
  /** Checks that so many bytes could be stored on the disk. Deletes nothing yet. @throws storage_full. */
  requireDisk (bytes: number): Promise<void>
  /**
   * The limit of the upload, of which `ownBytes` are counted already: so many always fit. If its length was announced,
   * so many bytes are reserved by the quota, and counted by the link.
   * @throws not_found.
   */
  limitOf (ownBytes: number, announcedBytes?: number | null): Promise<UploadLimit>
  /** Which space on the disk its bytes may take. `freeDisk` waits at most 5 s. */
  readonly disk: DiskAllowance & { readonly freeDisk?: FreeDisk | undefined }
  /**
   * Runs `work`, which records the upload. While the disk is full, frees space and runs it again.
   * @throws storage_full, and what `work` throws.
   */
  record<T> (work: () => Promise<T>): Promise<T>
}

export type Space = ReturnType<typeof createSpace>

/**
 * The space of accounts and of the disk. This is an early check; the transaction decides. On a full disk an upload of
 * an owner evicts versions and trash, the owner's first, then everybody's, each time the oldest first; one by a link
 * never does.
 */
export function createSpace ({ metadata, blobs, cleanup, config }: Pick<AppServices, 'metadata' | 'blobs'> & {
  readonly cleanup: Pick<AppServices['cleanup'], 'sweepNow'>
  readonly config: Pick<AppServices['config'], 'maxFileBytes' | 'quotaBytes' | 'quotaFiles'>
}) {
  const { maxFileBytes } = config
  /** One at a time: what is freed for one upload is often enough for the next. */
  const exclusive = pLimit(1)

  /** The limits of an account: those that the operator set for it, else those of the settings. */
  function quotaOf ({ quotaBytes, quotaFiles }: AccountRecord): Quota {
    const chosen = (own: number | null, usual: number | undefined) => own === NO_LIMIT ? undefined : own ?? usual
    return { bytes: chosen(quotaBytes, config.quotaBytes), files: chosen(quotaFiles, config.quotaFiles) }
  }

  /** Files, folders and unfinished uploads. */
  async function usedBy ({ id, usedBytes, usedFiles, usedFolders }: AccountRecord): Promise<Amount> {
    const { bytes, uploads } = await metadata.uploads.usage(id)
    return { bytes: usedBytes + bytes, files: usedFiles + usedFolders + uploads }
  }

  /** @throws quota_exceeded. */
  async function checkQuota (owner: AccountRecord, added: Amount): Promise<void> {
    const quota = quotaOf(owner)
    if (quota.bytes === undefined && quota.files === undefined) return
    refuseBeyondQuota(quota, await usedBy(owner), added)
  }

  async function limitByQuota (owner: AccountRecord, ownBytes: number): Promise<UploadLimit> {
    const quota = quotaOf(owner).bytes
    const available = quota === undefined ? Infinity : quota - (await usedBy(owner)).bytes + ownBytes
    const bytes = Math.max(ownBytes, available)
    const members = { unit: 'bytes', remaining: bytes }
    const problem = { detail: `The quota leaves ${bytes} bytes for this file.`, members }
    return { bytes, refuse (cause) { throw new Problem('quota_exceeded', { ...problem, cause }) } }
  }

  async function missingBytes (bytes: number): Promise<number> {
    return await blobs.space?.missing(bytes) ?? 0
  }

  /** Frees the bytes of discarded blobs. Returns how many are still missing. */
  async function sweep (bytes: number, deadline: AbortSignal): Promise<number> {
    const swept = cleanup.sweepNow().then(() => true)
    let isSwept = false
    for (;;) {
      const missing = await missingBytes(bytes)
      if (missing <= 0 || isSwept || deadline.aborted) return missing
      isSwept = await Promise.race([swept, wait(LOOK_MILLISECONDS, false)])
    }
  }

  /** Evicts versions and trash until so many bytes are freed. Returns how many were. */
  async function evict (ownerId: number, bytes: number, deadline: AbortSignal): Promise<number> {
    let left = bytes
    for (const owner of [ownerId, undefined]) {
      while (left > 0 && !deadline.aborted) {
        const deleted = await metadata.retention.removeOldest(left, BATCH, owner)
        if (deleted === 0) break
        left -= deleted
      }
    }
    return bytes - left
  }

  async function sweepAndEvict (ownerId: number, bytes: number, deadline: AbortSignal): Promise<void> {
    if (await missingBytes(bytes) <= 0) return
    // Deleting would free nothing until the backup has ended.
    if (await metadata.blobs.hasRetentionLock()) refuseDisk()
    for (let missing = await sweep(bytes, deadline); missing > 0; missing = await sweep(bytes, deadline)) {
      if (deadline.aborted || await evict(ownerId, missing, deadline) === 0) refuseDisk()
    }
  }

  /** Whether the bytes fit once all versions and trash are deleted. */
  async function couldFit (bytes: number): Promise<boolean> {
    if (await metadata.blobs.hasRetentionLock()) return false
    const missing = await sweep(bytes, AbortSignal.timeout(WAIT_MILLISECONDS))
    return missing <= 0 || missing <= (await metadata.accounts.totals({ bytes: undefined, files: undefined })).keptBytes
  }

  /**
   * Checks that so many bytes could be stored if versions and trash were deleted. Deletes none of them yet.
   * @throws storage_full.
   */
  async function requireDisk (bytes: number): Promise<void> {
    await blobs.space?.check(bytes)
      .catch(async error => { if (!isFull(error) || !await couldFit(bytes)) throw error })
  }

  function forOwner (owner: AccountRecord): Allowance {
    /** Frees space on the disk, and waits for it at most 5 s. */
    function freeDisk (bytes: number): Promise<void> {
      const deadline = AbortSignal.timeout(WAIT_MILLISECONDS)
      return exclusive(() => sweepAndEvict(owner.id, bytes, deadline))
    }

    return {
      check: added => checkQuota(owner, added),
      requireDisk,
      limitOf: async (ownBytes, announced) =>
        typeof announced === 'number' ? { bytes: Infinity, refuse } : within(await limitByQuota(owner, ownBytes)),
      disk: { freeDisk },
      async record (work) {
        let tries = 0
        for (;;) {
          tries++
          try {
            return await work()
          } catch (error) {
            if (!isFull(error) || tries === RECORD_TRIES) throw error
            await freeDisk(RECORD_BYTES)
          }
        }
      }
    }
  }

  function forVisitor (owner: AccountRecord, linkId: number): Allowance {
    const roomOf = () => metadata.links.room(owner.id, linkId, quotaOf(owner))
    return {
      check: async added => refuseAnnounced(await roomOf(), added),
      requireDisk: async bytes => blobs.space?.check(bytes, FOR_VISITORS),
      limitOf: async (arrived, announced) =>
        within(limitByRoom(await roomOf(), { arrived, announced: announced ?? arrived })),
      disk: FOR_VISITORS,
      record: work => work()
    }
  }

  /** A limit, if it is below that of every file. */
  function within (limit: UploadLimit): UploadLimit {
    return limit.bytes < maxFileBytes ? limit : { bytes: maxFileBytes, refuse }
  }

  return {
    quotaOf,
    requireDisk,

    /** What an upload may take. */
    of: ({ owner, linkId }: Uploader): Allowance => linkId === null ? forOwner(owner) : forVisitor(owner, linkId),

    /** What an account uses, and its limits; null if unlimited. `uploadBytes`: reserved for unfinished uploads. */
    async usageOf (owner: AccountRecord) {
      const { usedFiles: files, usedFolders: folders, usedBytes: bytes, keptBytes } = owner
      const { bytes: uploadBytes } = await metadata.uploads.usage(owner.id)
      const { bytes: quotaBytes = null, files: quotaFiles = null } = quotaOf(owner)
      return { files, folders, bytes, keptBytes, uploadBytes, quotaBytes, quotaFiles }
    }
  }
}

function isFull (error: unknown): boolean {
  return error instanceof Problem && error.code === 'storage_full'
}

function refuse (cause: Problem): never {
  throw cause
}

function refuseDisk (): never {
  throw storageFull({ detail: 'The disk has no space for this file.' })
}

/** `announced` and `arrived`: the bytes of the upload that its link and its owner count already. */
function limitByRoom (room: LinkCapacity, { announced, arrived }: { announced: number, arrived: number }): UploadLimit {
  const bytes = Math.min(announced + room.link.bytes, arrived + room.owner.bytes)
  return {
    bytes,
    refuse (cause) {
      refuseBeyondRoom(room, { files: 0, bytes: bytes + 1 - announced }, { files: 0, bytes: bytes + 1 - arrived })
      throw cause
    }
  }
}
