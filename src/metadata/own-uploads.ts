import type { Discard } from './blobs.ts'
import type { Beginning, FileContents } from './file-contents.ts'
import { type FolderTree, requireFree } from './folder-tree.ts'
import { type LockGuard, stores } from './lock-guard.ts'
import { type Owner, type Owners, refuseBeyond } from './owners.ts'
import { isUnconditional } from './preconditions.ts'
import type { NewFile, Quota } from './records.ts'
import { together, type Rule } from './rule.ts'
import type { UploadRemovals } from './upload-removals.ts'
import { tooManyUploads, type NewUpload, type StoreResult, type UploadRecord } from './uploads-repository.ts'

interface OwnUploadOptions {
  readonly owners: Owners
  readonly tree: FolderTree
  readonly contents: FileContents
  readonly guard: LockGuard
  readonly discard: Discard
  readonly removals: UploadRemovals
}

/** The owner, who is locked, and what an account may have. */
interface Admission {
  readonly owner: Owner
  readonly time: number
  readonly maxUploads: number
  readonly quota: Quota
}

/** Stores what owners upload themselves, in the current transaction. */
export class OwnUploads {
  readonly #options: OwnUploadOptions

  constructor (options: OwnUploadOptions) {
    this.#options = options
  }

  /**
   * Admits a new upload with a reservation. It ends an earlier one by `PUT` of the same name.
   * @throws name_taken, precondition_failed if its folder is another one, file_locked, quota_exceeded,
   * too_many_uploads.
   */
  * admit (
    { ownerId, name, length, method, precondition: { folderId } }: Omit<NewUpload, 'lifetimeMilliseconds'>,
    { owner, time, maxUploads, quota }: Admission
  ): Rule<void> {
    const { owners, tree, contents, guard, removals } = this.#options
    const [current, known] = yield * together(contents.find(ownerId, name), tree.known(ownerId, name))
    const place = yield * tree.place(ownerId, name, known)
    guard.judge({ place }, { folderId })
    yield * guard.admit({ owner, time }, {}, stores(name, { current, place }))
    requireFree(place)
    if (method === 'PUT') yield * removals.removePuts(ownerId, name)
    const reserved = yield * owners.reserved(ownerId)
    refuseBeyond(quota, { owner, reserved, added: { bytes: length ?? 0, files: 1 } })
    if (reserved.uploads < maxUploads) return
    throw tooManyUploads(`An account may have at most ${maxUploads} unfinished uploads.`)
  }

  /** The file that the upload becomes; undefined if its precondition, or a file of that name, refuses it. */
  * store (
    { method, precondition }: UploadRecord, file: NewFile, start: Omit<Beginning, 'current' | 'place'>
  ): Rule<StoreResult | undefined> {
    const { tree, contents, guard, discard } = this.#options
    const { ownerId, name } = file
    const [current, known] = yield * together(contents.find(ownerId, name), tree.known(ownerId, name))
    const place = yield * tree.place(ownerId, name, known)
    const beginning = { ...start, current, place }
    const { time } = beginning
    if (!guard.permits(beginning, precondition)) return undefined
    if (method === 'POST' && isUnconditional(precondition) && current !== undefined) {
      if (current.sha256 !== file.sha256 || current.size !== file.size) return undefined
      yield * together(discard([file.blobId], time))
      return { file: current, isNew: false }
    }
    yield * guard.admit(beginning, {}, stores(name, beginning))
    return yield * contents.store(file, beginning)
  }
}
