import { BackgroundFailures } from '#src/files/background-failures.ts'
import { BlobCleanup } from '#src/files/blob-cleanup.ts'
import { Copies } from '#src/files/copies.ts'
import { DiskRoom } from '#src/files/disk-room.ts'
import { Files } from '#src/files/files.ts'
import { Folders } from '#src/files/folders.ts'
import { IncomingBlobs } from '#src/files/incoming-blobs.ts'
import { Locks } from '#src/files/locks.ts'

type Options = Omit<ConstructorParameters<typeof Files>[0], 'cleanup' | 'room' | 'incoming'>

/** The files of a store that a test put together. */
export function filesOver (options: Options): Files {
  return rulesOver(options).files
}

/** The files, copies and locks of such a store. */
export function rulesOver (options: Options) {
  const room = roomOver(options)
  const cleanup = new BlobCleanup({ ...options, failures: new BackgroundFailures() })
  const incoming = new IncomingBlobs(options.metadata.blobs, options.blobs)
  const files = new Files({ ...options, cleanup, incoming, room })
  const folders = new Folders({ ...options, room, files })
  const copies = new Copies({ ...options, incoming, room, files, folders })
  return { files, incoming, copies, locks: new Locks({ ...options, files }) }
}

/** The room on the disk of such a store. */
export function roomOver (stores: Pick<Options, 'metadata' | 'blobs' | 'reserve'>): DiskRoom {
  return new DiskRoom({ ...stores, cleanup: new BlobCleanup({ ...stores, failures: new BackgroundFailures() }) })
}
