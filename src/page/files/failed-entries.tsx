import { Dialog } from '../dialog.tsx'
import { FileName } from '../file-name.tsx'
import { lockedBy } from '../locks.ts'
import { BreakLock, describe } from '../problem.tsx'
import { texts } from '../texts.ts'
import { countOf, failed, type Failure } from './many.ts'

/** How many failures are listed. */
const LISTED = 100

/** The entries for which the last act on many failed, and why. They stay chosen. */
export function FailedEntries () {
  if (failed.value === undefined) return null
  const { act, failures } = failed.value
  const others = failures.length - LISTED
  const title = texts.selection.failed[act](countOf(failures))
  return (
    <Dialog title={title} onClose={() => { failed.value = undefined }}>
      <ul class='failures' tabIndex={0}>
        {failures.slice(0, LISTED).map((failure, index) => <FailedEntry key={index} failure={failure} />)}
        {others > 0 && <li>{texts.files.andOthers(others, true)}</li>}
      </ul>
    </Dialog>
  )
}

function FailedEntry ({ failure: { name, error } }: { failure: Failure }) {
  const { title, detail } = describe(error) ?? {}
  return (
    <li>
      <strong><FileName name={name} /></strong> {title} {detail}
      {lockedBy(error).length > 0 && <BreakLock error={error} />}
    </li>
  )
}
