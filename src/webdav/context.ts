import type { Copies } from '../files/copies.ts'
import type { Files } from '../files/files.ts'
import type { Folders } from '../files/folders.ts'
import type { Locks } from '../files/locks.ts'
import type { Properties } from '../files/properties.ts'
import type { Quotas } from '../files/quotas.ts'
import type { TakeTurn } from '../files/turns.ts'
import type { TransferLimits } from '../http/transfer-limits.ts'
import type { Site } from './paths.ts'

/** What the drive is made of. */
export interface DavContext extends Site {
  readonly files: Files
  readonly folders: Folders
  readonly copies: Copies
  readonly locks: Locks
  readonly properties: Properties
  readonly quotas: Quotas
  readonly limitTransfers: TransferLimits
  readonly limitListings: TransferLimits
  /** Of the pieces of listings. */
  readonly takeTurn: TakeTurn
}
