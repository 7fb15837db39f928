import { MagicStoreError } from 'magicstore'
import { PageError } from './errors.ts'
import { ignoreMissing } from './requests.ts'
import { call } from './session.ts'

/** The files and folders whose locks refused an action; none if it failed for another reason. */
export function lockedBy (error: unknown): readonly string[] {
  if (error instanceof PageError) return error.locked
  return error instanceof MagicStoreError && error.code === 'file_locked' ? error.problem?.locked ?? [] : []
}

/** Ends locks of files and folders. @throws what `call` throws. */
export async function breakLocks (names: readonly string[]): Promise<void> {
  for (const name of names) {
    // The name can be that of a file or of a folder, and the lock may have ended.
    await call(store => store.breakLock(name)).catch(ignoreMissing)
    await call(store => store.breakFolderLock(name)).catch(ignoreMissing)
  }
}
