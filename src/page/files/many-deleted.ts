import { bodyOf, type DeletedFile } from 'magicstore'
import { formatNumber } from '../format.ts'
import { notify } from '../notices.tsx'
import { call } from '../session.ts'
import { texts } from '../texts.ts'
import { filesChanged } from './changes.ts'
import { chosenDeleted } from './chosen.ts'
import { runAll } from './many.ts'
import { trash } from './trash.ts'

const words = texts.selection

/** Restores files of the trash whose names are free. */
export async function restoreAll (files: readonly DeletedFile[]): Promise<void> {
  const { length } = await runAll('restore', files, async file => {
    await call(store => store.restore(file.id))
    drop(file)
  })
  if (length > 0) notify({ text: words.restored(words.items(formatNumber(length))) })
}

export async function deleteAllForGood (files: readonly DeletedFile[]): Promise<void> {
  const { length } = await runAll('deleteForGood', files, async file => {
    await call(async store => bodyOf(await store.api.DELETE('/api/trash/{id}', { params: { path: { id: file.id } } })))
    drop(file)
  })
  if (length > 0) notify({ text: words.deletedForGood(words.items(formatNumber(length))) })
}

function drop (file: DeletedFile): void {
  chosenDeleted.clear([file])
  trash.change(all => all.filter(({ id }) => id !== file.id))
  filesChanged()
}
