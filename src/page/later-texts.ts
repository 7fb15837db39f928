import { loadTexts } from './loaded-texts.ts'
import { addProblems } from './problem-words.ts'
import { texts as first } from './texts.ts'
import type { LaterTexts } from './texts/en-later.ts'

const later = await loadTexts<LaterTexts>(true)
addProblems(later.problems, later.problemHints)

/** The texts with those of what is not in the first view. */
export const texts = {
  ...first,
  ...later,
  problems: { ...first.problems, ...later.problems },
  problemHints: { ...first.problemHints, ...later.problemHints },
  files: { ...first.files, ...later.files },
  selection: { ...first.selection, ...later.selection },
  folders: { ...first.folders, ...later.folders },
  details: { ...first.details, ...later.details },
  uploads: { ...first.uploads, ...later.uploads },
  factors: { ...first.factors, ...later.factors },
  account: { ...first.account, ...later.account },
  links: { ...first.links, ...later.links },
  shortcuts: { ...first.shortcuts, ...later.shortcuts }
}
