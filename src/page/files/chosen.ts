import type { Deletion } from 'magicstore'
import { entries, type Entry } from './entries.ts'
import { Selection } from './selection.ts'
import { keyOfDeletion, trash } from './trash.ts'

/** The chosen files and folders of the open folder. */
export const chosenEntries = new Selection<Entry>(entries, ({ name }) => name)

/** The chosen entries of the trash. */
export const chosenDeleted = new Selection<Deletion>(trash, keyOfDeletion)
