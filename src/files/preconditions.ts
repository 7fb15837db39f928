/** The request headers that make a request conditional (RFC 9110 section 13.1). */
export interface ConditionHeaders {
  readonly 'if-match'?: string | undefined
  readonly 'if-none-match'?: string | undefined
  readonly 'if-modified-since'?: string | undefined
  readonly 'if-unmodified-since'?: string | undefined
}

/** What conditions are held against. */
export interface Validators {
  /** Opaque part of the strong entity tag: the sha256. */
  readonly sha256: string
  /** Milliseconds since 1970. */
  readonly updatedAt: number
}

/** `failed` is answered with 412, `unchanged` with 304 for GET and HEAD and with 412 for others. */
export type Verdict = 'go-on' | 'failed' | 'unchanged'

/** Decides in the order of RFC 9110 section 13.2.2; `current` is undefined where there is nothing yet. */
export function judge (headers: ConditionHeaders, current: Validators | undefined): Verdict {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers
  if (ifMatch !== undefined) {
    if (!listHas(ifMatch, current, 'strong')) return 'failed'
  } else {
    const unmodifiedSince = parseDate(headers['if-unmodified-since'])
    if (unmodifiedSince !== undefined && current !== undefined && seconds(current.updatedAt) > unmodifiedSince) return 'failed'
  }
  if (ifNoneMatch !== undefined) return listHas(ifNoneMatch, current, 'weak') ? 'unchanged' : 'go-on'
  const modifiedSince = parseDate(headers['if-modified-since'])
  return modifiedSince !== undefined && current !== undefined && seconds(current.updatedAt) <= modifiedSince ? 'unchanged' : 'go-on'
}

/** For a method that changes something: whether it may. `If-Modified-Since` means nothing to it (RFC 9110 section 13.1.3). */
export function permitsChange (headers: ConditionHeaders): (current: Validators | undefined) => boolean {
  return current => judge({ ...headers, 'if-modified-since': undefined }, current) === 'go-on'
}

/** The strong entity tag of a file. */
export function entityTag (sha256: string): string {
  return `"${sha256}"`
}

/** Seconds since 1970 of an HTTP date in any of its three forms (RFC 9110 section 5.6.7); undefined for anything else. */
export function parseDate (text: string | undefined): number | undefined {
  if (text === undefined || !HTTP_DATE.test(text)) return undefined
  // The form of `asctime` names no zone; all three are in UTC.
  const time = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`)
  return Number.isNaN(time) ? undefined : seconds(time)
}

/** Whole seconds, as an HTTP date carries them. */
export function seconds (milliseconds: number): number {
  return Math.floor(milliseconds / 1000)
}

const HTTP_DATE = /^(?:[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT|[A-Z][a-z]{5,8}, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4})$/

/** Whether a list of entity tags holds the current one; `*` stands for any that exists. A weak tag never matches strongly (RFC 9110 section 8.8.3.2). */
function listHas (list: string, current: Validators | undefined, comparison: 'strong' | 'weak'): boolean {
  if (current === undefined) return false
  if (list.trim() === '*') return true
  const tags = list.match(/(?:W\/)?"[\x21\x23-\x7E\x80-\xFF]*"/g) ?? []
  return tags.some(tag => (comparison === 'weak' ? tag.replace(/^W\//, '') : tag) === entityTag(current.sha256))
}
