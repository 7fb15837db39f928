import { Dialog } from '../dialog.tsx'
import { FileName } from '../file-name.tsx'
import { lockedBy } from '../locks.ts'
import { BreakLock, describe } from '../problem.tsx'
import { texts } from '../later-texts.ts'
import { countOf, type Failure, type ManyAct } from './many.ts'

/** How many failures are listed. */
const LISTED = 100

interface FailedEntriesProps { act: ManyAct, failures: readonly Failure[], onClose: () => void }

/** The entries for which the last act on many failed, and why. They stay chosen. */
export function FailedEntries ({ act, failures, onClose }: FailedEntriesProps) {
  const others = failures.length - LISTED
  const title = texts.selection.failed[act](countOf(failures))
  return (
    <Dialog title={title} onClose={onClose}>
      <ul class='failures' tabIndex={0}>
        {failures.slice(0, LISTED).map((failure, index) => <FailedEntry key={index} failure={failure} />)}
        {others > 0 && <li>{texts.files.andOthers(others, true)}</li>}
      </ul>
    </Dialog>
  )
}

function FailedEntry ({ failure: { name, error } }: { failure: Failure }) {
  const { title, detail = undefined } =
    error === undefined ? { title: texts.selection.stopped } : describe(error) ?? {}
  return (
    <li>
      <strong><FileName name={name} /></strong> {detail === undefined ? title : `${title}. ${detail}`}
      {lockedBy(error).length > 0 && <BreakLock error={error} />}
    </li>
  )
}
