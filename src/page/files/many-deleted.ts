import type { Deletion } from 'magicstore'
import { notify } from '../notices.tsx'
import { texts } from '../later-texts.ts'
import { notifyWithUndo } from './files.ts'
import { removeItems } from './many-files.ts'
import { countOf, runAll } from './many.ts'
import type { Item } from './server-acts.ts'
import { chosenDeleted, deleteForGood, restore, titleOf } from './trash.ts'

const words = texts.selection

/** Restores what deletions took, as far as the names are free. */
export async function restoreAll (deletions: readonly Deletion[]): Promise<void> {
  const restored = await runAll('restore', deletions.map(named), async ({ deletion }) => {
    const items = await restore(deletion)
    chosenDeleted.clear([deletion])
    return items
  })
  if (restored.length > 0) notifyRestored(words.restored(countOf(restored)), restored.flat())
}

export async function deleteAllForGood (deletions: readonly Deletion[]): Promise<void> {
  const deleted = await runAll('deleteForGood', deletions.map(named), async ({ deletion }) => {
    await deleteForGood(deletion)
    chosenDeleted.clear([deletion])
  })
  if (deleted.length > 0) notify({ text: words.deletedForGood(countOf(deleted)) })
}

/** Tells that something was restored, and offers to undo that if it is known what it was. */
export function notifyRestored (text: string, items: readonly Item[]): void {
  if (items.length === 0) notify({ text })
  else notifyWithUndo(text, () => removeItems(items))
}

function named (deletion: Deletion) {
  return { name: titleOf(deletion), deletion }
}
