import type { MagicStoreError, Problem } from 'magicstore'
import { formatDuration, formatNumber, formatSize } from './format.ts'
import { frameTexts } from './frame-texts.ts'

/** What a page says about a failure. */
export interface ProblemWords { readonly title: string, readonly detail?: string }

/** The details of these problems have names of files, which can contain a number and a noun. */
const NAMING_CODES = ['file_locked', 'name_taken']

/** What the server counts in details. */
const COUNTED = /\b(\d+) (more |unfinished )?(byte|character|file|link|lock|part|passkey|token|upload)s?\b/g

/** The title and detail of a refusal, as the server sent them, with numbers and sizes as elsewhere on the page. */
export function wordsOf ({ problem, status, retryAfterSeconds }: MagicStoreError): ProblemWords {
  if (problem === undefined) return { title: frameTexts.unexpectedProblem(status) }
  const wait = retryAfterSeconds === undefined ? '' : ` ${frameTexts.retryAfter(formatDuration(retryAfterSeconds))}`
  const text = detailOf(problem)
  const detail = `${NAMING_CODES.includes(problem.code) ? text : withNumbers(text)}${wait}`.trim()
  return detail === '' ? { title: problem.title } : { title: problem.title, detail }
}

function withNumbers (text: string): string {
  return text.replace(COUNTED, (_, digits: string, kind = '', noun: string) => {
    const count = Number(digits)
    if (noun === 'byte') return `${formatSize(count)} ${kind}`.trim()
    return `${formatNumber(count)} ${kind}${noun}${count === 1 ? '' : 's'}`
  })
}

/** The detail of a `validation_failed` does not name the fields. */
function detailOf ({ code, title, detail, errors = [] }: Problem): string {
  if (code === 'validation_failed' && errors.length > 0) return `${errors.map(({ field, message }) => `${field} ${message}`).join('; ')}.`
  return detail === title ? '' : detail
}
