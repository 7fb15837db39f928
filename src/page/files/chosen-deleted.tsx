import { signal } from '@preact/signals'
import { Question } from '../question.tsx'
import { texts } from '../later-texts.ts'
import { deleteAllForGood, restoreAll } from './many-deleted.ts'
import { countOf, running } from './many.ts'
import { NamedEntries } from './named-entries.tsx'
import { SelectionBar } from './selection-bar.tsx'
import { chosenDeleted, titleOf, trashFocus } from './trash.ts'

const words = texts.selection

const isAsking = signal(false)

const close = () => { isAsking.value = false }

/** Asks before the chosen files are deleted for good. */
export function deleteChosenForGood (): void {
  isAsking.value = running.peek() === undefined
}

/** The bar and the question of the chosen files in the trash. */
export function ChosenDeleted () {
  const chosen = chosenDeleted.entries.value
  const acts = [
    { label: texts.files.restore, icon: 'restore', action: () => { void restoreAll(chosen) } },
    { label: texts.files.deleteForGood, icon: 'trash', isDanger: true, action: deleteChosenForGood }
  ] as const
  return (
    <>
      <SelectionBar selection={chosenDeleted} focus={trashFocus} acts={acts} />
      {isAsking.value && (
        <Question
          title={words.deleteForGoodTitle(countOf(chosen))} label={texts.files.deleteForGood}
          action={async () => { void deleteAllForGood(chosen) }} onClose={close}
        >
          <p>{words.deleteForGoodHint}</p>
          <NamedEntries names={chosen.map(titleOf)} />
        </Question>
      )}
    </>
  )
}
