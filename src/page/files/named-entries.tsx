import { FileName } from '../file-name.tsx'
import { texts } from '../later-texts.ts'

/** How many entries a question names. */
const NAMED = 5

/** The names of some entries, and how many others there are. */
export function NamedEntries ({ names, isAll = true }: { names: readonly string[], isAll?: boolean }) {
  const others = names.length - NAMED
  return (
    <ul class='named-files'>
      {names.slice(0, NAMED).map((name, index) => <li key={index}><FileName name={name} /></li>)}
      {others > 0 && <li>{texts.files.andOthers(others, isAll)}</li>}
    </ul>
  )
}
