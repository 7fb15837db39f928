import { CodeDialog, SetUpDialog } from '../later.tsx'
import { demand } from './proof.ts'

/** The dialog for what the server demands in addition to the password. */
export function DemandDialog () {
  if (demand.value === undefined) return null
  return demand.value.kind === 'code' ? <CodeDialog demand={demand.value} /> : <SetUpDialog demand={demand.value} />
}
