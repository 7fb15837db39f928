import { entries, type Entry } from './entries.ts'
import { Selection } from './selection.ts'

/** The chosen files and folders of the open folder. */
export const chosenEntries = new Selection<Entry>(entries, ({ name }) => name)
