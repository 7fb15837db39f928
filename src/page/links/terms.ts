import { linkMaxDays } from '../settings.ts'
import type { Link, LinkKind, LinkTerms } from './links.ts'

/** `keep`: as it is now. */
export type Lifetime = 'keep' | '1 day' | '7 days' | '30 days' | 'year' | 'date' | 'never'

const days = { '1 day': 1, '7 days': 7, '30 days': 30, year: 365 } as const

const BYTES_PER_MEGABYTE = 1_000_000

/** The lifetimes that the server allows. */
export const lifetimes: readonly Lifetime[] = [
  'keep',
  ...(['1 day', '7 days', '30 days', 'year'] as const).filter(name => linkMaxDays === 0 || days[name] <= linkMaxDays),
  'date',
  ...linkMaxDays === 0 ? ['never' as const] : []
]

/** The terms that a form shows. `expiresAt` is undefined for the longest lifetime that the server allows. */
export type ShownTerms = Pick<Link, 'kind' | 'hasPassword' | 'maxFiles' | 'maxBytes' | 'showsOwner'> &
  { readonly expiresAt: string | null | undefined }

/** The terms of a link that is not made yet. */
export function newTerms (kind: LinkKind): ShownTerms {
  const limits = kind === 'upload' ? { maxFiles: 100, maxBytes: 1000 * BYTES_PER_MEGABYTE } : { maxFiles: null, maxBytes: null }
  return { kind, expiresAt: undefined, hasPassword: false, ...limits, showsOwner: true }
}

/** What a form sends about a link: what it changes, and for a new one its limits. */
export function termsOf (terms: ShownTerms, fields: FormData, now = new Date()): LinkTerms {
  const { maxFiles, maxBytes } = terms
  const limits = terms.expiresAt === undefined && maxFiles !== null && maxBytes !== null ? { maxFiles, maxBytes } : {}
  return { ...limits, ...changesOf(terms, fields, now) }
}

/** What a form changes about a link. A limit that is shown rounded stays as it is. */
export function changesOf (terms: ShownTerms, fields: FormData, now = new Date()): LinkTerms {
  const lifetime = fields.get('lifetime') as Lifetime
  const password = String(fields.get('password'))
  const showsOwner = fields.has('showsOwner')
  return {
    ...lifetime !== 'keep' && { expiresAt: expiryOf(lifetime, String(fields.get('date')), now) },
    ...password !== '' && { password },
    ...fields.has('removesPassword') && { password: null },
    ...limitsOf(terms, fields),
    ...showsOwner !== terms.showsOwner && { showsOwner }
  }
}

export function megabytesOf (bytes: number | null): number {
  return Math.max(1, Math.round((bytes ?? 0) / BYTES_PER_MEGABYTE))
}

function limitsOf (terms: ShownTerms, fields: FormData): LinkTerms {
  if (terms.kind !== 'upload') return {}
  const [maxFiles, megabytes] = [Number(fields.get('maxFiles')), Number(fields.get('maxMegabytes'))]
  return {
    ...maxFiles !== terms.maxFiles && { maxFiles },
    ...megabytes !== megabytesOf(terms.maxBytes) && { maxBytes: megabytes * BYTES_PER_MEGABYTE }
  }
}

/** `date` is the last day of the link in the user's time zone, such as `2027-01-31`. */
function expiryOf (lifetime: Exclude<Lifetime, 'keep'>, date: string, now: Date): string | null {
  if (lifetime === 'never') return null
  if (lifetime === 'date') return new Date(`${date}T23:59:59`).toISOString()
  // A second less than the longest lifetime, because the clock of the server may be behind.
  return new Date(now.getTime() + days[lifetime] * 24 * 3600 * 1000 - 1000).toISOString()
}
