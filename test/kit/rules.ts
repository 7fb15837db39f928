import { BackgroundFailures } from '#src/files/housekeeping.ts'
import { createBlobCleanup } from '#src/files/blob-cleanup.ts'
import { createCopies } from '#src/files/copies.ts'
import { createFiles } from '#src/files/files.ts'
import { createFolders } from '#src/files/folders.ts'
import { createIncomingBlobs } from '#src/files/incoming-blobs.ts'
import { addLock } from '#src/files/locks.ts'
import { createSpace } from '#src/files/space.ts'
import { LinkUses } from '#src/links/link-uses.ts'
import { createResumableUploads, type ResumableUploads, type UploadCreation } from '#src/uploads/resumable.ts'
import { inChunks } from './bytes.ts'
import { MIB } from './sizes.ts'

type Stores = Omit<Parameters<typeof createBlobCleanup>[0], 'failures'>

const usual = { quotaBytes: undefined, quotaFiles: undefined, allowedExtensions: undefined }

/** The rules of a store that a test put together, whose files have at most 1,000 bytes. */
export function rulesOver (stores: Stores) {
  const config = { ...usual, maxFileBytes: 1000 }
  const cleanup = createBlobCleanup({ ...stores, failures: new BackgroundFailures() })
  const incoming = createIncomingBlobs(stores)
  const space = createSpace({ ...stores, cleanup, config })
  const files = createFiles({ ...stores, incoming, space, linkUses: usesIn(stores), config })
  const { signal: stopping } = new AbortController()
  const folders = createFolders({ ...stores, space, stopping })
  const copies = createCopies({ ...stores, incoming, space, files, folders, stopping })
  const lock = addLock.bind(undefined, { ...stores, files })
  const close = () => {
    incoming.close()
    return cleanup.close()
  }
  return { files, cleanup, incoming, space, copies, lock, close }
}

/** The resumable uploads of such a store, of at most 100 MiB; `stopping` ends them. */
export function uploadsOver (stores: Stores, { signal: stopping } = new AbortController()): ResumableUploads {
  const limits = { maxFileBytes: 100 * MIB, uploadExpiryHours: 1 }
  const cleanup = createBlobCleanup({ ...stores, failures: new BackgroundFailures() })
  const space = createSpace({ ...stores, cleanup, config: { ...usual, ...limits } })
  return createResumableUploads({
    ...stores, space, linkUses: usesIn(stores), files: { acceptName: name => name }, config: limits, stopping
  })
}

function usesIn ({ metadata: { links } }: Stores): LinkUses {
  return new LinkUses({ links, onFailure: error => { throw error } })
}

/** What creates an upload of so many bytes. */
export function newCreation (
  { uploader, name, length }: Pick<UploadCreation, 'uploader' | 'name' | 'length'>
): UploadCreation {
  const sent = { method: 'POST', precondition: {}, uploadMetadata: null, reprDigest: null, modifiedAt: null } as const
  return { uploader, name, length, type: undefined, announcedBytes: undefined, ...sent }
}

/** What appends bytes to an upload. */
export function newAppend (bytes: string | Buffer, offset = 0) {
  const announced = { announcedBytes: bytes.length, length: undefined, isLast: false }
  const unchecked = { isChecked: false, confirm () {}, reprDigest: () => undefined }
  return { offset, bytes: inChunks(Buffer.from(bytes)), ...announced, ...unchecked }
}
