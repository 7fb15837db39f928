import type { MagicStoreError, Problem } from 'magicstore'
import { formatDuration, formatSize } from './format.ts'
import { frameTexts } from './frame-texts.ts'

/** What a page says about a failure. */
export interface ProblemWords { readonly title: string, readonly detail?: string }

type WordsByCode = Record<string, string | undefined>

const titles: WordsByCode = { ...frameTexts.problems }
const hints: WordsByCode = { ...frameTexts.problemHints }

/** Adds words that are not in the first view. */
export function addProblems (moreTitles: WordsByCode, moreHints: WordsByCode): void {
  Object.assign(titles, moreTitles)
  Object.assign(hints, moreHints)
}

/** What a failure is called, by its code. */
export function titleOf (code: string): string {
  return titles[code] ?? frameTexts.refused(code)
}

/** The words for the code of a refusal, with its numbers. What the server says in English is not shown. */
export function wordsOf ({ problem, status, retryAfterSeconds }: MagicStoreError): ProblemWords {
  if (problem === undefined) return { title: frameTexts.unexpectedProblem(status) }
  const title = titleOf(problem.code)
  const wait = retryAfterSeconds === undefined ? undefined : frameTexts.retryAfter(formatDuration(retryAfterSeconds))
  const detail = [detailOf(problem), wait].filter(part => part !== undefined).join(' ')
  return detail === '' ? { title } : { title, detail }
}

function detailOf ({ code, errors = [], limit, remaining, unit, locked, extensions }: Problem): string | undefined {
  if (limit !== undefined) return frameTexts.sizeLimit(formatSize(limit))
  if (remaining !== undefined) {
    return frameTexts.remaining(unit === 'bytes' ? formatSize(remaining) : frameTexts.files(remaining))
  }
  if (locked !== undefined) return frameTexts.locked(locked)
  if (extensions !== undefined) return frameTexts.extensions(extensions.join(', '))
  return hints[code] ?? errors.map(({ field }) => hints[field]).find(hint => hint !== undefined)
}
