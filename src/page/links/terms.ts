import { daysOf, expiryOf, type Lifetime } from '../expiry.tsx'
import { linkMaxDays } from '../settings.ts'
import type { Link, LinkKind, LinkTerms } from './links.ts'

const BYTES_PER_MEGABYTE = 1_000_000

/** The lifetimes that the server allows, and `keep` for the present expiry. */
export const lifetimes = (['keep', '1 day', '7 days', '30 days', 'year', 'date', 'never'] as const)
  .filter(name => linkMaxDays === 0 || (name !== 'never' && (daysOf(name) ?? 0) <= linkMaxDays))

/** The terms that a form shows. `expiresAt` is undefined for the longest lifetime that the server allows. */
export type ShownTerms = Pick<Link, 'kind' | 'hasPassword' | 'maxFiles' | 'maxBytes' | 'showsOwner'> &
  { readonly expiresAt: string | null | undefined }

/** The terms of a link that is not made yet. */
export function newTerms (kind: LinkKind): ShownTerms {
  const limits = kind === 'upload'
    ? { maxFiles: 100, maxBytes: 1000 * BYTES_PER_MEGABYTE }
    : { maxFiles: null, maxBytes: null }
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
  const lifetime = fields.get('lifetime') as Lifetime | 'keep'
  const password = String(fields.get('password'))
  const showsOwner = fields.has('showsOwner')
  return {
    ...lifetime !== 'keep' && { expiresAt: expiryOf(lifetime, String(fields.get('date')), now) },
    ...fields.has('removesPassword') && { password: null },
    ...password !== '' && { password },
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
