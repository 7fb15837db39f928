import { texts } from '../later-texts.ts'
import { Question } from '../question.tsx'
import { hasTrash } from '../settings.ts'
import { chosenEntries } from './chosen.ts'
import { isFolder, type Entry } from './entries.ts'
import { removeAll } from './many-files.ts'
import { countOf } from './many.ts'
import { NamedEntries } from './named-entries.tsx'

const words = texts.selection

/** Asks before folders are deleted, or anything for good. */
export function ChosenRemoval ({ onClose }: { onClose: () => void }) {
  const chosen = chosenEntries.entries.value
  const count = countOf(chosen)
  const [title, label] = hasTrash
    ? [words.removeTitle(count), texts.files.remove]
    : [words.deleteForGoodTitle(count), texts.files.deleteForGood]
  const named = hasTrash ? chosen.filter(isFolder) : chosen
  return (
    <Question title={title} label={label} action={async () => { void removeAll(chosen) }} onClose={onClose}>
      <p>{hasTrash ? words.removeHint : words.deleteAllHint}</p>
      <NamedEntries names={named.map(({ name }) => name)} />
    </Question>
  )
}

interface LossQuestionProps { entries: readonly Entry[], lost: number, onClose: () => void }

/** Asks before a deletion pushes older contents out of the trash. */
export function LossQuestion ({ entries, lost, onClose }: LossQuestionProps) {
  return (
    <Question
      title={words.lostTitle(lost)} label={words.goOn} action={async () => { void removeAll(entries, lost) }}
      onClose={onClose}
    >
      <p>{words.lostHint}</p>
      <NamedEntries names={entries.map(({ name }) => name)} />
    </Question>
  )
}
