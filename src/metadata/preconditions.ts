/** The request headers that make a request conditional (RFC 9110 section 13.1). */
export interface ConditionHeaders {
  readonly 'if-match'?: string | undefined
  readonly 'if-none-match'?: string | undefined
  readonly 'if-modified-since'?: string | undefined
  readonly 'if-unmodified-since'?: string | undefined
}

/** What conditions are compared with. */
interface Validators {
  /** Opaque part of the strong entity tag: the sha256. */
  readonly sha256?: string
  /** Milliseconds since 1970. */
  readonly updatedAt: number
}

/** Of a folder: it exists, and has neither an entity tag nor a date. */
export const FOLDER_VALIDATORS: Validators = { updatedAt: -Infinity }

/** `failed` means 412. `unchanged` means 304 for GET and HEAD, and 412 for other methods. */
export type Verdict = 'go-on' | 'failed' | 'unchanged'

/** Evaluates conditions in the order of RFC 9110 section 13.2.2. `current` is undefined if there is no file. */
export function evaluate (headers: ConditionHeaders, current: Validators | undefined, now = Date.now()): Verdict {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers
  if (ifMatch !== undefined) {
    if (!listHas(ifMatch, current, 'strong')) return 'failed'
  } else {
    const unmodifiedSince = parseDate(headers['if-unmodified-since'], now)
    if (unmodifiedSince !== undefined && current && !isUnchangedSince(unmodifiedSince, current, now)) return 'failed'
  }
  if (ifNoneMatch !== undefined) return listHas(ifNoneMatch, current, 'weak') ? 'unchanged' : 'go-on'
  const modifiedSince = parseDate(headers['if-modified-since'], now)
  const isUnchanged = modifiedSince !== undefined && current && isUnchangedSince(modifiedSince, current, now)
  return isUnchanged ? 'unchanged' : 'go-on'
}

/** Whether a file has not changed since a date, in seconds. Until one in the future, it still can. */
function isUnchangedSince (date: number, { updatedAt }: Validators, now: number): boolean {
  return seconds(updatedAt) <= date && date <= seconds(now)
}

/**
 * The condition of a change, as plain values. A backend compares it with the file inside the transaction that changes
 * the file. `If-Modified-Since` does not apply to methods that change something (RFC 9110 section 13.1.3).
 */
export type Precondition = Omit<ConditionHeaders, 'if-modified-since'> & {
  /** The id, as clients see it, of the folder that a new name must be in; `root` for the root. No parents are made. */
  readonly folderId?: string | undefined
}

/** The precondition in the headers of a request that changes something. */
export function preconditionOf (headers: ConditionHeaders): Precondition {
  return {
    'if-match': headers['if-match'],
    'if-none-match': headers['if-none-match'],
    'if-unmodified-since': headers['if-unmodified-since']
  }
}

/** Whether a precondition permits a change; `current` is undefined if there is no file. Pure, for every backend. */
export function permits (precondition: Precondition, current: Validators | undefined): boolean {
  return evaluate(precondition, current) === 'go-on'
}

/** Whether a precondition permits every file, because the request had no such header. */
export function isUnconditional ({ folderId: _folderId, ...headers }: Precondition): boolean {
  return Object.values(headers).every(value => value === undefined)
}

/** The strong entity tag of a file. */
export function entityTag (sha256: string): string {
  return `"${sha256}"`
}

/** Seconds since 1970 of an HTTP date in one of its three forms (RFC 9110 section 5.6.7); undefined for other text. */
export function parseDate (text: string | undefined, now = Date.now()): number | undefined {
  if (text === undefined) return undefined
  const parts = HTTP_DATES.map(form => form.exec(text)?.groups).find(groups => groups !== undefined)
  if (parts === undefined) return undefined
  const { day = '', month = '', year = '', time = '' } = parts
  const date = `${day.replace(' ', '0')} ${month} ${year.length === 2 ? fullYear(Number(year), now) : year} ${time} GMT`
  const milliseconds = Date.parse(date)
  // `Date.parse` turns 31 February into March and 24:00 into the next day.
  return new Date(milliseconds).toUTCString().endsWith(date) ? seconds(milliseconds) : undefined
}

/** Whole seconds, the precision of an HTTP date. */
export function seconds (milliseconds: number): number {
  return Math.floor(milliseconds / 1000)
}

const MONTH = '(?<month>[A-Z][a-z]{2})'
const TIME = '(?<time>\\d{2}:\\d{2}:\\d{2})'
const HTTP_DATES = [
  new RegExp(`^[A-Z][a-z]{2}, (?<day>\\d{2}) ${MONTH} (?<year>\\d{4}) ${TIME} GMT$`),
  new RegExp(`^[A-Z][a-z]{5,8}, (?<day>\\d{2})-${MONTH}-(?<year>\\d{2}) ${TIME} GMT$`),
  // The `asctime` form has no time zone; it is UTC like the others.
  new RegExp(`^[A-Z][a-z]{2} ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`)
]

/** The year with these last two digits that is at most 50 years in the future (RFC 9110 section 5.6.7). */
function fullYear (lastDigits: number, now: number): number {
  const latest = new Date(now).getUTCFullYear() + 50
  return latest - (latest - lastDigits) % 100
}

/**
 * Whether a list of entity tags has the current one; `*` matches any existing file. A weak tag never matches in a
 * strong comparison (RFC 9110 section 8.8.3.2).
 */
function listHas (list: string, current: Validators | undefined, comparison: 'strong' | 'weak'): boolean {
  if (current === undefined) return false
  if (list.trim() === '*') return true
  const { sha256 } = current
  if (sha256 === undefined) return false
  const tags = list.match(/(?<![^\s,])(?:W\/)?"[\x21\x23-\x7E\x80-\xFF]*"/g) ?? []
  return tags.some(tag => (comparison === 'weak' ? tag.replace(/^W\//, '') : tag) === entityTag(sha256))
}
