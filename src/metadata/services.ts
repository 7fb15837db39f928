import type { AddAccount } from './account-rows.ts'
import type { Discard } from './blobs.ts'
import type { ChangeLog } from './change-log.ts'
import type { Engine } from './engine.ts'
import type { WriteEvent } from './event-writer.ts'
import type { FactorChanges } from './factor-changes.ts'
import type { FileContents } from './file-contents.ts'
import type { FolderTree } from './folder-tree.ts'
import type { Ids } from './ids.ts'
import type { KeptContents } from './kept-contents.ts'
import type { Keeping } from './kept-records.ts'
import type { LinkUploads } from './link-uploads.ts'
import type { LockGuard } from './lock-guard.ts'
import type { Methods } from './methods.ts'
import type { OneTimeSecrets } from './one-time-secrets.ts'
import type { Owners } from './owners.ts'
import type { TokenRemover } from './token-remover.ts'

/** What the rules of storage share. Each takes what it needs. */
export interface Services extends Methods {
  readonly engine: Engine
  readonly ids: Ids
  /** For what reads whole tables. */
  readonly longRunning: Pick<Engine, 'read'>
  readonly owners: Owners
  readonly changeLog: ChangeLog
  readonly tree: FolderTree
  readonly discard: Discard
  /** Calls the observer of `Metadata.watchRemovals`. */
  readonly tellRemoval: () => void
  readonly keeping: Keeping
  readonly keptContents: KeptContents
  readonly contents: FileContents
  readonly guard: LockGuard
  readonly linkUploads: LinkUploads
  readonly writeEvent: WriteEvent
  readonly tokenRemover: TokenRemover
  readonly secrets: OneTimeSecrets
  readonly addAccount: AddAccount
  readonly factorChanges: FactorChanges
}
