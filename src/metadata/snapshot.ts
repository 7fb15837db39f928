import type { FileDigest } from '../data-folder/durable-files.ts'

/**
 * A copy of the database as of one moment, in a file of its own, for backups. It offers only what databases of every
 * version have, so a database that was not upgraded yet can be backed up too.
 */
export interface Snapshot {
  readonly installationId: string
  /** Whether an older version made the database: opening it upgrades it. */
  readonly isOutdated: boolean
  readonly totals: SnapshotTotals
  /** Of all accounts: how many recovery codes, and the ids of the keys that sealed their secrets. */
  readonly secondFactors: { readonly recoveryCodes: number, readonly sealedBy: readonly string[] }
  /** Of all accounts, also those that have expired. */
  readonly links: number
  /** Of all accounts. */
  readonly identities: number
  /** Some accounts, by their names, that neither a password nor an identity of this issuer opens. */
  findUnopened (issuer: string): string[]
  /** The blobs of all files, versions and trash whose ids start with `prefix`, by id. */
  blobs (prefix: string): SnapshotBlob[]
  /**
   * The blob with the lowest id of those that have the same bytes as this one; undefined if it is this one. The first
   * call reads all blobs.
   */
  originalOf (id: string): string | undefined
  /** Must be called before anything else opens the file. */
  close (): void
}

export interface SnapshotBlob extends FileDigest { readonly id: string }

interface SnapshotTotals {
  /** Includes deleted accounts whose files are still being deleted. */
  readonly accounts: number
  /** With versions and trash: as many as there are blobs. */
  readonly files: number
  readonly bytes: number
}
