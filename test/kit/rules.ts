import { createBlobCleanup } from '../../src/files/blob-cleanup.ts'
import { createDiskRoom, type DiskRoom } from '../../src/files/disk-room.ts'
import { createFiles, type Files } from '../../src/files/files.ts'

type Options = Omit<Parameters<typeof createFiles>[0], 'cleanup' | 'room'>

/** The files of a store that a test put together. */
export function filesOver (options: Options): Files {
  const cleanup = createBlobCleanup(options)
  return createFiles({ ...options, cleanup, room: createDiskRoom({ ...options, cleanup }) })
}

/** The room on the disk of such a store. */
export function roomOver (stores: Pick<Options, 'metadata' | 'blobs' | 'reserve'>): DiskRoom {
  return createDiskRoom({ ...stores, cleanup: createBlobCleanup(stores) })
}
