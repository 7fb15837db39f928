import type { StoredBlob } from '../blobs/blob-store.ts'

/**
 * A copy of every fact as of one moment, in a file of its own: what a backup is made of. It tells of what databases of
 * every age have in common, so that one which was not brought up to date yet can be backed up too.
 */
export interface Snapshot {
  readonly installationId: string
  readonly totals: SnapshotTotals
  /** The blobs of all files whose ids begin with `prefix`, by id. */
  blobs (prefix: string): StoredBlob[]
  /** To be called before anybody else opens the file. */
  close (): void
}

export interface SnapshotTotals {
  /** People, with those who are gone and whose files are still being removed. */
  readonly accounts: number
  readonly files: number
  readonly bytes: number
}
