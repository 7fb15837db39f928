import { BackgroundFailures } from '#src/files/background-failures.ts'
import { BlobCleanup } from '#src/files/blob-cleanup.ts'
import { DiskRoom } from '#src/files/disk-room.ts'
import { Files } from '#src/files/files.ts'

type Options = Omit<ConstructorParameters<typeof Files>[0], 'cleanup' | 'room'>

/** The files of a store that a test put together. */
export function filesOver (options: Options): Files {
  const cleanup = new BlobCleanup({ ...options, failures: new BackgroundFailures() })
  return new Files({ ...options, cleanup, room: new DiskRoom({ ...options, cleanup }) })
}

/** The room on the disk of such a store. */
export function roomOver (stores: Pick<Options, 'metadata' | 'blobs' | 'reserve'>): DiskRoom {
  return new DiskRoom({ ...stores, cleanup: new BlobCleanup({ ...stores, failures: new BackgroundFailures() }) })
}
