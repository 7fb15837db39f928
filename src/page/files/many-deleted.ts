import type { Deletion } from 'magicstore'
import { notify } from '../notices.tsx'
import { texts } from '../texts.ts'
import { chosenDeleted } from './chosen.ts'
import { countOf, runAll } from './many.ts'
import { deleteForGood, restore, titleOf } from './trash.ts'

const words = texts.selection

/** Restores what deletions took, as far as the names are free. */
export async function restoreAll (deletions: readonly Deletion[]): Promise<void> {
  const restored = await runAll('restore', deletions.map(named), async ({ deletion }) => {
    await restore(deletion)
    chosenDeleted.clear([deletion])
  })
  if (restored.length > 0) notify({ text: words.restored(countOf(restored)) })
}

export async function deleteAllForGood (deletions: readonly Deletion[]): Promise<void> {
  const deleted = await runAll('deleteForGood', deletions.map(named), async ({ deletion }) => {
    await deleteForGood(deletion)
    chosenDeleted.clear([deletion])
  })
  if (deleted.length > 0) notify({ text: words.deletedForGood(countOf(deleted)) })
}

function named (deletion: Deletion) {
  return { name: titleOf(deletion), deletion }
}
