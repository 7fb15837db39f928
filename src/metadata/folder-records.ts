import type { Conditions, Destination } from './conditions.ts'
import type { Quota } from './records.ts'

/** How a folder is copied. `isDeep`: what is in it is to follow, and must have room. */
export interface FolderCopy extends Destination { readonly isDeep?: boolean | undefined }

/** What one act of a recursive deletion does. */
export interface FolderRemoval {
  /** Files or folders at most. */
  readonly limit: number
  readonly isPermanent: boolean
  /** The id of the deletion, which its entries of the trash have. */
  readonly deletedWith: string
  /** Of a deletion of many: the folder that all of them were in. */
  readonly deletedFrom?: string | undefined
  /** Returned by the act before; undefined for the first. */
  readonly from?: FolderRemovalPosition | undefined
  /** The lists and the precondition are checked by the first act only. */
  readonly conditions?: Conditions | undefined
  /** An id of a change: the first act requires that the folder and what is in it have had none since. */
  readonly unchangedSince?: number | undefined
  /** What then gets the path. */
  readonly replacedBy?: Replacement | undefined
}

/**
 * A file or folder that is copied or moved to where another one is deleted. The precondition is about this.
 * Nothing is deleted for it if it would be refused: the first act checks the paths below it, and the room of a copy,
 * beside what is deleted, or else the locks. Each act needs it to exist.
 */
export interface Replacement {
  readonly path: string
  /** Undefined if it is moved. */
  readonly copy: { readonly isDeep: boolean, readonly quota: Quota } | undefined
}

/** How far a recursive deletion is. */
export interface FolderRemovalPosition {
  /** Of the folder: another one may get its path. */
  readonly folderId: number
  /** Of the last file when it began. */
  readonly lastId: number
  /** Folders up to this path have no such file; undefined if none has, and the folders are to be deleted. */
  readonly path: string | undefined
}
