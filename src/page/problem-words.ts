import type { MagicStoreError, Problem } from 'magicstore'
import { formatDuration, formatNumber, formatSize } from './format.ts'
import { frameTexts } from './frame-texts.ts'

/** What a page says about a failure. */
export interface ProblemWords { readonly title: string, readonly detail?: string }

/** The title and detail of a refusal, as the server sent them, with sizes as elsewhere on the page. */
export function wordsOf ({ problem, status, retryAfterSeconds }: MagicStoreError): ProblemWords {
  if (problem === undefined) return { title: frameTexts.unexpectedProblem(status) }
  const wait = retryAfterSeconds === undefined ? '' : ` ${frameTexts.retryAfter(formatDuration(retryAfterSeconds))}`
  const detail = `${detailOf(problem)}${wait}`.trim()
  return detail === '' ? { title: problem.title } : { title: problem.title, detail }
}

/** The detail of a `validation_failed` does not name the fields. */
function detailOf ({ code, title, detail, errors = [], limit, remaining, unit }: Problem): string {
  if (code === 'validation_failed' && errors.length > 0) return `${errors.map(({ field, message }) => `${field} ${message}`).join('; ')}.`
  if (limit !== undefined) return frameTexts.sizeLimit(formatSize(limit))
  if (remaining !== undefined) return frameTexts.remaining(unit === 'bytes' ? formatSize(remaining) : frameTexts.files(formatNumber(remaining), remaining))
  return detail === title ? '' : detail
}
