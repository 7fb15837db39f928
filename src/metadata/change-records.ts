import type { FileRecord, FolderRecord } from './records.ts'
import type { RowOf } from './schema.ts'

/**
 * What happened: a file was stored (also restored, or given another `modifiedAt`), moved, deleted, or only got or lost
 * its star; a folder was made, moved, deleted, or only got or lost its star.
 */
export const changeKinds = [
  'stored', 'moved', 'deleted', 'starred', 'folder_made', 'folder_moved', 'folder_deleted', 'folder_starred'
] as const
export type ChangeKind = typeof changeKinds[number]

/**
 * Why the changes after a position are not all known: there is no position; an older state of the store was restored;
 * the position is too old.
 */
export const resetReasons = ['first', 'restored', 'expired'] as const
export type ResetReason = typeof resetReasons[number]

const DAY_MILLISECONDS = 24 * 3600 * 1000

/** How long a position is valid. */
export const CHANGES_MILLISECONDS = 30 * DAY_MILLISECONDS

/** Changes of an account that are kept, which may take 200 MB: one act can delete as many files as are kept. */
export const MAX_CHANGES = 100_000

/** A change of the tree of an account, with its file or folder as it is now; null if that does not exist. */
export interface ChangeRecord extends Omit<RowOf<'changes'>, 'ownerId'> {
  readonly file: FileRecord | null
  readonly folder: FolderRecord | null
}

/** How far the changes of an account were read. */
export interface ChangePosition {
  /** Of the store at that time. */
  readonly epochId: string
  /** The last change before it; 0 for none. */
  readonly id: number
  /** The time of that change; 0 for none. */
  readonly at: number
  /** When nothing followed; if more followed, the time of the change. */
  readonly readAt: number
}

export interface ChangePage {
  readonly changes: readonly ChangeRecord[]
  /** The position after these. */
  readonly next: ChangePosition
  /** The changes after the position are not all known, so that none is listed: `next` is after all changes. */
  readonly reset: ResetReason | undefined
}
