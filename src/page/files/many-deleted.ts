import type { DeletedFile } from 'magicstore'
import { notify } from '../notices.tsx'
import { call } from '../session.ts'
import { texts } from '../texts.ts'
import { chosenDeleted } from './chosen.ts'
import { countOf, runAll } from './many.ts'
import { deleteForGood, dropDeleted } from './trash.ts'

const words = texts.selection

/** Restores files of the trash whose names are free. */
export async function restoreAll (files: readonly DeletedFile[]): Promise<void> {
  const restored = await runAll('restore', files, async file => {
    await call(store => store.restore(file.id))
    dropDeleted(file.id)
    chosenDeleted.clear([file])
  })
  if (restored.length > 0) notify({ text: words.restored(countOf(restored)) })
}

export async function deleteAllForGood (files: readonly DeletedFile[]): Promise<void> {
  const deleted = await runAll('deleteForGood', files, async file => {
    await deleteForGood(file)
    chosenDeleted.clear([file])
  })
  if (deleted.length > 0) notify({ text: words.deletedForGood(countOf(deleted)) })
}
