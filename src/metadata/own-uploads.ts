import type { StoreContext } from './file-contents.ts'
import { requireFree } from './folder-tree.ts'
import { targetsOfStored } from './lock-guard.ts'
import { type Owner, refuseBeyondQuota, usedBy } from './owners.ts'
import { isUnconditional } from './preconditions.ts'
import type { NewFile, Quota } from './records.ts'
import { pipeline, type Rule } from './rule.ts'
import type { Services } from './services.ts'
import { type NewUpload, type StoreResult, tooManyUploads, type UploadRecord } from './upload-records.ts'
import type { UploadRemovals } from './upload-removals.ts'

/** The owner, who is locked, and what an account may have. */
interface Admission {
  readonly owner: Owner
  readonly time: number
  readonly maxUploads: number
  readonly quota: Quota
}

/** Stores what owners upload themselves, in the current transaction. */
export function createOwnUploads ({ owners, tree, contents, guard, discard }: Services, removals: UploadRemovals) {
  /** The file that has the name, and where a file of that name belongs. */
  function * find (ownerId: number, name: string): Rule<Pick<StoreContext, 'current' | 'place'>> {
    const [current, known] = yield * pipeline(contents.find(ownerId, name), tree.known(ownerId, name))
    return { current, place: yield * tree.place(ownerId, name, known) }
  }

  return {
    /**
     * Admits a new upload with a reservation. It ends an earlier one by `PUT` of the same name.
     * @throws name_taken, precondition_failed if its folder is another one, file_locked, quota_exceeded,
     * too_many_uploads.
     */
    * admit (
      { ownerId, name, length, method, precondition: { folderId } }: Omit<NewUpload, 'lifetimeMilliseconds'>,
      { owner, time, maxUploads, quota }: Admission
    ): Rule<void> {
      const found = yield * find(ownerId, name)
      guard.requirePrecondition({ place: found.place }, { folderId })
      yield * guard.admit({ owner, time }, {}, targetsOfStored(name, found))
      requireFree(found.place)
      if (method === 'PUT') yield * removals.removePuts(ownerId, name)
      const reserved = yield * owners.reserved(ownerId)
      refuseBeyondQuota(quota, usedBy(owner, reserved), { bytes: length ?? 0, files: 1 })
      if (reserved.uploads < maxUploads) return
      throw tooManyUploads(`An account may have at most ${maxUploads} unfinished uploads.`)
    },

    /** The file that the upload becomes; undefined if its precondition, or a file of that name, refuses it. */
    * store (
      { method, precondition }: UploadRecord, file: NewFile, owned: Omit<StoreContext, 'current' | 'place'>
    ): Rule<StoreResult | undefined> {
      const { ownerId, name } = file
      const context = { ...owned, ...yield * find(ownerId, name) }
      const { current, time } = context
      if (!guard.isPermitted(context, precondition)) return undefined
      if (method === 'POST' && isUnconditional(precondition) && current !== undefined) {
        if (current.sha256 !== file.sha256 || current.size !== file.size) return undefined
        yield * pipeline(discard([file.blobId], time))
        return { file: current, isNew: false }
      }
      yield * guard.admit(context, {}, targetsOfStored(name, context))
      return yield * contents.store(file, context)
    }
  }
}
