import { signal } from '@preact/signals'
import { ChosenRemoval, FolderDialog, LossQuestion } from '../later.tsx'
import { hasTrash } from '../settings.ts'
import { texts } from '../texts.ts'
import { chosenEntries } from './chosen.ts'
import { download, downloadZip } from './downloads.ts'
import { filesFocus, isFolder, type Entry } from './entries.ts'
import { notifyProblem } from './files.ts'
import { copyAll, losing, moveAll, removeAll } from './many-files.ts'
import { running } from './many.ts'
import { SelectionBar, type Act } from './selection-bar.tsx'
import { toggleStars } from './stars.ts'

/** The dialog about the chosen files and folders. */
const opened = signal<'move' | 'copy' | 'removal' | undefined>(undefined)

const close = () => { opened.value = undefined }

/** Deletes the chosen files and folders. Asks before it deletes folders, or anything for good. */
export function removeChosen (): void {
  if (running.peek() !== undefined) return
  const chosen = chosenEntries.entries.peek()
  if (!hasTrash || chosen.some(isFolder)) opened.value = 'removal'
  else void removeAll(chosen)
}

/** Downloads a single file as it is, and anything else as a zip. */
async function downloadChosen (chosen: readonly Entry[]): Promise<void> {
  const [first] = chosen
  if (first === undefined) return
  if (chosen.length > 1) await downloadZip({ names: chosen.map(({ name }) => name) })
  else if (isFolder(first)) await downloadZip({ folder: first.name })
  else await download(first)
}

/** Gives a star to all that are chosen, or takes it. */
export function starChosen (): void {
  void toggleStars(chosenEntries.entries.peek())
}

/** What the act on stars does to some entries. */
export function starLabel (entries: readonly Entry[]): string {
  return entries.every(({ starred }) => starred) ? texts.files.unstar : texts.files.star
}

/** What can be done with the chosen files and folders, in the bar and in their menu. */
export function chosenActs (): readonly Act[] {
  const chosen = chosenEntries.entries.value
  return [
    { label: texts.files.download, icon: 'download', action: () => { downloadChosen(chosen).catch(notifyProblem) } },
    { label: texts.folders.move, icon: 'move', action: () => { opened.value = 'move' } },
    { label: texts.files.copy, icon: 'copy', action: () => { opened.value = 'copy' } },
    { label: starLabel(chosen), icon: 'starred', action: starChosen },
    { label: texts.files.remove, icon: 'trash', isDanger: true, action: removeChosen }
  ]
}

/** The bar and the dialogs of the chosen files and folders. */
export function ChosenEntries () {
  const chosen = chosenEntries.entries.value
  return (
    <>
      <SelectionBar selection={chosenEntries} focus={filesFocus} acts={chosenActs()} />
      {(opened.value === 'move' || opened.value === 'copy') && (
        <FolderDialog
          act={opened.value} entries={chosen} onClose={close}
          action={opened.value === 'move'
            ? async folder => { void moveAll(chosen, folder) }
            : async folder => { void copyAll(chosen, folder) }}
        />
      )}
      {opened.value === 'removal' && <ChosenRemoval onClose={close} />}
      {losing.value !== undefined && (
        <LossQuestion {...losing.value} onClose={() => { losing.value = undefined }} />
      )}
    </>
  )
}
