import { BackgroundFailures } from '#src/files/background-failures.ts'
import { BlobCleanup } from '#src/files/blob-cleanup.ts'
import { Copies } from '#src/files/copies.ts'
import { DiskRoom } from '#src/files/disk-room.ts'
import { Files } from '#src/files/files.ts'
import { Folders } from '#src/files/folders.ts'
import { IncomingBlobs } from '#src/files/incoming-blobs.ts'
import { addLock } from '#src/files/locks.ts'
import { Quotas } from '#src/files/quotas.ts'
import { ResumableUploads, type UploadCreation } from '#src/uploads/resumable.ts'
import { inChunks } from './bytes.ts'
import { MIB } from './sizes.ts'

type Stores = Omit<ConstructorParameters<typeof BlobCleanup>[0], 'failures'>
type Options = Stores & Omit<ConstructorParameters<typeof Files>[0], 'cleanup' | 'room' | 'incoming'>

/** The files of a store that a test put together. */
export function filesOver (options: Options): Files {
  return rulesOver(options).files
}

/** The files and copies of such a store, and what locks in it. */
export function rulesOver (options: Options) {
  const room = roomOver(options)
  const cleanup = new BlobCleanup({ ...options, failures: new BackgroundFailures() })
  const incoming = new IncomingBlobs(options.metadata.blobs, options.blobs)
  const files = new Files({ ...options, cleanup, incoming, room })
  const { signal: stopping } = new AbortController()
  const folders = new Folders({ ...options, room, stopping })
  const copies = new Copies({ ...options, incoming, room, files, folders, stopping })
  const lock = addLock.bind(undefined, { ...options, files })
  return { files, cleanup, incoming, copies, lock }
}

/** The room on the disk of such a store. */
export function roomOver (stores: Stores): DiskRoom {
  return new DiskRoom({ ...stores, cleanup: new BlobCleanup({ ...stores, failures: new BackgroundFailures() }) })
}

/** The resumable uploads of such a store. */
export function uploadsOver (stores: Stores): ResumableUploads {
  return new ResumableUploads({
    ...stores,
    room: roomOver(stores),
    files: { acceptName: name => name },
    quotas: new Quotas(stores.metadata.uploads, { quotaBytes: undefined, quotaFiles: undefined }),
    limits: { maxFileBytes: 100 * MIB, uploadExpiryHours: 1 }
  })
}

/** What creates an upload of so many bytes. */
export function newCreation (
  { uploader, name, length }: Pick<UploadCreation, 'uploader' | 'name' | 'length'>
): UploadCreation {
  return { uploader, name, length, type: undefined, announcedBytes: undefined, method: 'POST', precondition: {}, uploadMetadata: undefined, reprDigest: undefined, modifiedAt: null }
}

/** What appends bytes to an upload. */
export function newAppend (bytes: string | Buffer, offset = 0) {
  const announced = { announcedBytes: bytes.length, length: undefined, isLast: false, confirm: undefined }
  return { offset, bytes: inChunks(Buffer.from(bytes)), ...announced }
}
