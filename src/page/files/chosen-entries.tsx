import { signal } from '@preact/signals'
import { FolderDialog } from '../later.tsx'
import { Question } from '../question.tsx'
import { hasTrash } from '../settings.ts'
import { texts } from '../texts.ts'
import { chosenEntries } from './chosen.ts'
import { download, downloadZip } from './downloads.ts'
import { filesFocus, isFolder, type Entry } from './entries.ts'
import { notifyProblem } from './files.ts'
import { copyAll, losing, moveAll, removeAll } from './many-files.ts'
import { countOf, running } from './many.ts'
import { NamedEntries } from './named-entries.tsx'
import { SelectionBar, type Act } from './selection-bar.tsx'

const words = texts.selection

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

/** What can be done with the chosen files and folders, in the bar and in their menu. */
export function chosenActs (): readonly Act[] {
  const chosen = chosenEntries.entries.value
  return [
    { label: texts.files.download, icon: 'download', action: () => { downloadChosen(chosen).catch(notifyProblem) } },
    { label: texts.folders.move, icon: 'move', action: () => { opened.value = 'move' } },
    { label: texts.files.copy, icon: 'copy', action: () => { opened.value = 'copy' } },
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
      {opened.value === 'removal' && <RemovalQuestion />}
      {losing.value !== undefined && <LossQuestion {...losing.value} />}
    </>
  )
}

function RemovalQuestion () {
  const chosen = chosenEntries.entries.value
  const count = countOf(chosen)
  const [title, label] = hasTrash
    ? [words.removeTitle(count), texts.files.remove]
    : [words.deleteForGoodTitle(count), texts.files.deleteForGood]
  const named = hasTrash ? chosen.filter(isFolder) : chosen
  return (
    <Question title={title} label={label} action={async () => { void removeAll(chosen) }} onClose={close}>
      <p>{hasTrash ? words.removeHint : words.deleteAllHint}</p>
      <NamedEntries names={named.map(({ name }) => name)} />
    </Question>
  )
}

/** Asks before a deletion pushes older contents out of the trash. */
function LossQuestion ({ entries, lost }: { entries: readonly Entry[], lost: number }) {
  const count = lost
  const leave = () => { losing.value = undefined }
  return (
    <Question
      title={words.lostTitle(count)} label={words.goOn} action={async () => { void removeAll(entries, lost) }}
      onClose={leave}
    >
      <p>{words.lostHint}</p>
      <NamedEntries names={entries.map(({ name }) => name)} />
    </Question>
  )
}
