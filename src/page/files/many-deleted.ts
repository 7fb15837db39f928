import type { DeletedFile } from 'magicstore'
import { formatNumber } from '../format.ts'
import { notify } from '../notices.tsx'
import { call } from '../session.ts'
import { texts } from '../texts.ts'
import { chosenDeleted } from './chosen.ts'
import { runAll } from './many.ts'
import { deleteForGood, dropDeleted } from './trash.ts'

const words = texts.selection

/** Restores files of the trash whose names are free. */
export async function restoreAll (files: readonly DeletedFile[]): Promise<void> {
  const { length } = await runAll('restore', files, async file => {
    await call(store => store.restore(file.id))
    dropDeleted(file.id)
    chosenDeleted.clear([file])
  })
  if (length > 0) notify({ text: words.restored(words.items(formatNumber(length))) })
}

export async function deleteAllForGood (files: readonly DeletedFile[]): Promise<void> {
  const { length } = await runAll('deleteForGood', files, async file => {
    await deleteForGood(file)
    chosenDeleted.clear([file])
  })
  if (length > 0) notify({ text: words.deletedForGood(words.items(formatNumber(length))) })
}
