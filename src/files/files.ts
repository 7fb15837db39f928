import type { BlobStore, OpenBlob, Reserve, StoredBlob } from '../blobs/blob-store.ts'
import { type Metadata, OutcomeUnknown, type Precondition } from '../metadata/metadata.ts'
import { NO_LIMIT, refuseBeyondQuota } from '../metadata/quota.ts'
import type { AccountRecord, FilePage, FileRecord, Quota } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import { mediaTypeOf } from './media-type.ts'
import { extensionOf, fileName, findFileName } from './names.ts'
import { seconds } from './preconditions.ts'
import { createSweeper } from './sweeper.ts'

/** Blobs or files that one step of a sweep, or of a recovery, takes. */
const SWEEP_BATCH = 500

interface FilesOptions {
  metadata: Metadata
  blobs: BlobStore
  reserve: Reserve
  limits: {
    maxFileBytes: number
    /** Quota of a person for whom the operator set none. */
    quotaBytes: number | undefined
    quotaFiles: number | undefined
    /** Lower case, without dots; undefined takes any. */
    allowedExtensions: string[] | undefined
  }
}

/** An upload that is about to be read. */
export interface Upload {
  readonly owner: AccountRecord
  /** As sent; brought to its stored form here. */
  readonly name: string
  /** Media type as declared, unchecked. */
  readonly type: string | undefined
  readonly bytes: AsyncIterable<Uint8Array>
}

/** An upload whose bytes are durable and which nobody can see yet. It must be ended by `create`, `put` or `discard`. */
export interface ReceivedUpload {
  readonly owner: AccountRecord
  readonly name: string
  readonly type: string
  readonly blob: StoredBlob
}

/** The one place that decides whose a file is: every method takes the owner, and what is not theirs does not exist. */
export interface Files {
  /** Refuses by what is known before a byte is read. @throws name_invalid, extension_not_allowed, file_too_large, quota_exceeded, storage_full, precondition_failed. */
  expect (upload: { owner: AccountRecord, name: string, size: number | undefined, permits: Precondition }): Promise<void>
  /** The same for a form, of whose file only the bounds of its size are known. @throws file_too_large, quota_exceeded, storage_full. */
  expectForm (form: { owner: AccountRecord, leastSize: number, mostSize: number }): Promise<void>
  /** Reads the bytes to durable storage. @throws name_invalid, extension_not_allowed, file_too_large, quota_exceeded, storage_full. */
  receive (upload: Upload): Promise<ReceivedUpload>
  /** Forgets what was received. */
  discard (received: ReceivedUpload): Promise<void>
  /** Adds what was received under a free name; the same bytes under a name they have already are taken again. @throws name_taken, quota_exceeded. */
  create (received: ReceivedUpload): Promise<{ file: FileRecord, isNew: boolean }>
  /** Adds what was received, or puts it in place of what has the name. @throws precondition_failed, quota_exceeded. */
  put (received: ReceivedUpload, permits: Precondition): Promise<{ file: FileRecord, isNew: boolean }>
  /** @throws not_found. */
  get (ownerId: number, name: string): Promise<FileRecord>
  /** The file and its bytes as they are now; both stay whole however the file changes. The caller closes it. @throws not_found, file_damaged. */
  open (ownerId: number, name: string): Promise<{ file: FileRecord, blob: OpenBlob }>
  list (ownerId: number, page: FilePage): Promise<FileRecord[]>
  /** @throws not_found, name_invalid, extension_not_allowed, name_taken. */
  rename (ownerId: number, name: string, newName: string): Promise<FileRecord>
  /** @throws not_found, precondition_failed. */
  remove (ownerId: number, name: string, permits: Precondition): Promise<void>
  /** The limits of a person: the operator's own for them, else those of the settings. */
  quotaOf (owner: AccountRecord): Quota
  /** Soon removes what nobody owns any more, while others work; what does not come to its end goes on within a minute, or at the next start. */
  sweep (): void
  /** After a start: ends what was in flight when the last process died. Costs what was in flight, not what is stored. */
  recover (): Promise<void>
  /** Waits for the removal of bytes that was asked for. */
  close (): Promise<void>
}

export function createFiles ({ metadata, blobs, reserve, limits }: FilesOptions): Files {
  const sweeper = createSweeper(() => removeUnowned().then(reserve.restore))

  function acceptName (text: string): string {
    const name = fileName(text)
    const { allowedExtensions } = limits
    if (allowedExtensions !== undefined && !allowedExtensions.includes(extensionOf(name))) {
      throw new Problem('extension_not_allowed', { detail: `Taken are: ${allowedExtensions.join(', ')}.` })
    }
    return name
  }

  async function get (ownerId: number, name: string): Promise<FileRecord> {
    const stored = findFileName(name)
    const file = stored === undefined ? undefined : await metadata.findFile(ownerId, stored)
    if (file === undefined) throw new Problem('not_found')
    return file
  }

  /** The file as it is to be served. Its date has to be one that can be told, and be the same when the client sends it back as a condition. */
  async function getDated (ownerId: number, name: string): Promise<FileRecord> {
    const file = await get(ownerId, name)
    const now = Date.now()
    if (seconds(file.updatedAt) <= seconds(now)) return file
    await reserve.lend(() => metadata.redateFile(ownerId, file.name, now)).catch(() => {})
    return get(ownerId, name)
  }

  function quotaOf (owner: AccountRecord): Quota {
    const chosen = (own: number | null, usual: number | undefined) => own === NO_LIMIT ? undefined : own ?? usual
    return { bytes: chosen(owner.quotaBytes, limits.quotaBytes), files: chosen(owner.quotaFiles, limits.quotaFiles) }
  }

  /** Refuses what can't be stored as things stand, so that its body need not be read. */
  async function admit (owner: AccountRecord, size: number, current: FileRecord | undefined): Promise<void> {
    if (size > limits.maxFileBytes) throw new Problem('file_too_large', { detail: `A file may have ${limits.maxFileBytes} bytes.` })
    const quota = quotaOf(owner)
    refuseBeyondQuota('bytes', { used: owner.usedBytes, added: size - (current?.size ?? 0), limit: quota.bytes })
    if (current === undefined) refuseBeyondQuota('files', { used: owner.usedFiles, added: 1, limit: quota.files })
    await blobs.admit(size)
  }

  /** Bytes that the quota leaves for a file in place of `current`; the same bytes again always fit. */
  function roomFor (owner: AccountRecord, current: FileRecord | undefined): number {
    const limit = quotaOf(owner).bytes ?? Infinity
    const present = current?.size ?? 0
    return Math.max(present, limit - owner.usedBytes + present)
  }

  /** Commits a fact about received bytes; where that fails, or the fact does not use them, the bytes go. Where it may have happened, they stay, and the next start decides. */
  async function conclude ({ blob }: ReceivedUpload, commit: () => Promise<{ file: FileRecord, isNew: boolean }>): Promise<{ file: FileRecord, isNew: boolean }> {
    let result
    try {
      result = await commit()
    } catch (error) {
      if (!(error instanceof OutcomeUnknown)) await blobs.remove([blob.id])
      throw error
    }
    if (result.file.blobId === blob.id) blobs.commit(blob.id)
    else await blobs.remove([blob.id])
    return result
  }

  function factOf ({ owner, name, type, blob }: ReceivedUpload) {
    return { ownerId: owner.id, name, size: blob.size, type, sha256: blob.sha256, blobId: blob.id, now: Date.now() }
  }

  async function removeUnowned (): Promise<void> {
    while (await reserve.lend(() => metadata.purgeDeletedAccounts(SWEEP_BATCH))) await removeDiscarded()
    await removeDiscarded()
  }

  async function removeDiscarded (): Promise<void> {
    const ids = await metadata.discardedBlobs(SWEEP_BATCH)
    if (ids.length === 0) return
    // One that the disk refuses to give up keeps no server from starting, and is tried again.
    const removed = await blobs.remove(ids)
    if (removed.length === 0) return
    await reserve.lend(() => metadata.forgetDiscarded(removed))
    if (ids.length === SWEEP_BATCH) await removeDiscarded()
  }

  async function recoverBatch (pending: string[]): Promise<void> {
    const known = await metadata.knownBlobs(pending)
    for (const id of pending) {
      if (known.has(id)) blobs.commit(id)
    }
    // One that a file had, and lost, goes with the discarded ones, which a backup may hold.
    const referenced = await metadata.referencedBlobs(pending)
    await blobs.remove(pending.filter(id => !referenced.has(id)))
  }

  return {
    async expect ({ owner, name, size, permits }) {
      const current = await metadata.findFile(owner.id, acceptName(name))
      if (!permits(current)) throw new Problem('precondition_failed')
      await admit(owner, size ?? 0, current)
    },

    async expectForm ({ owner, leastSize, mostSize }) {
      // A file of such a size may be sent again, which a spent quota does not forbid.
      if (await metadata.hasFileOfSize(owner.id, { least: leastSize, most: mostSize })) return
      await admit(owner, leastSize, undefined)
    },

    async receive ({ owner, name, type, bytes }) {
      const accepted = acceptName(name)
      const current = await metadata.findFile(owner.id, accepted)
      const room = roomFor(owner, current)
      try {
        const blob = await blobs.put(bytes, { maxBytes: Math.min(limits.maxFileBytes, room) })
        return { owner, name: accepted, type: mediaTypeOf(accepted, type), blob }
      } catch (error) {
        if (!(error instanceof Problem) || error.code !== 'file_too_large' || room >= limits.maxFileBytes) throw error
        throw new Problem('quota_exceeded', { detail: `The quota leaves ${room} bytes for this file.`, cause: error })
      }
    },

    async discard ({ blob }) {
      await blobs.remove([blob.id])
    },

    create: received => conclude(received, () => metadata.addFile(factOf(received), quotaOf(received.owner))),

    async put (received, permits) {
      const result = await conclude(received, () => metadata.putFile(factOf(received), quotaOf(received.owner), permits))
      if (!result.isNew) sweeper.request()
      return result
    },

    get,

    async open (ownerId, name) {
      for (;;) {
        const file = await getDated(ownerId, name)
        try {
          return { file, blob: await blobs.open(file.blobId, file.size) }
        } catch (error) {
          // Between the two looks the file may have been replaced, and the bytes of the old version removed.
          const now = await get(ownerId, name)
          if (now.blobId === file.blobId) throw error
        }
      }
    },

    quotaOf,

    sweep: sweeper.request,

    list: (ownerId, page) => metadata.listFiles(ownerId, page),

    async rename (ownerId, name, newName) {
      const file = await get(ownerId, name)
      return metadata.renameFile(ownerId, file.name, acceptName(newName), Date.now())
    },

    async remove (ownerId, name, permits) {
      const file = await get(ownerId, name)
      await reserve.lend(() => metadata.removeFile(ownerId, file.name, permits))
      sweeper.request()
    },

    async recover () {
      const pending = await blobs.pending()
      for (let first = 0; first < pending.length; first += SWEEP_BATCH) await recoverBatch(pending.slice(first, first + SWEEP_BATCH))
      await removeUnowned()
    },

    close: sweeper.close
  }
}
