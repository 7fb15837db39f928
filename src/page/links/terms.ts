import { daysOf, expiryOf, type Lifetime } from '../expiry.tsx'
import { linkMaxDays } from '../settings.ts'
import type { Link, LinkTerms } from './links.ts'

const BYTES_PER_MEGABYTE = 1_000_000

/** The lifetimes that the server allows, and `keep` for the present expiry. */
export const lifetimes = (['keep', '1 day', '7 days', '30 days', 'year', 'date', 'never'] as const)
  .filter(name => linkMaxDays === 0 || (name !== 'never' && (daysOf(name) ?? 0) <= linkMaxDays))

/** What a form changes about a link. A limit that is shown rounded stays as it is. */
export function termsOf (link: Link, fields: FormData, now = new Date()): LinkTerms {
  const lifetime = fields.get('lifetime') as Lifetime | 'keep'
  const password = String(fields.get('password'))
  const showsOwner = fields.has('showsOwner')
  return {
    ...lifetime !== 'keep' && { expiresAt: expiryOf(lifetime, String(fields.get('date')), now) },
    ...password !== '' && { password },
    ...fields.has('removesPassword') && { password: null },
    ...limitsOf(link, fields),
    ...showsOwner !== link.showsOwner && { showsOwner }
  }
}

export function megabytesOf (bytes: number | null): number {
  return Math.max(1, Math.round((bytes ?? 0) / BYTES_PER_MEGABYTE))
}

function limitsOf (link: Link, fields: FormData): LinkTerms {
  if (link.kind !== 'upload') return {}
  const [maxFiles, megabytes] = [Number(fields.get('maxFiles')), Number(fields.get('maxMegabytes'))]
  return {
    ...maxFiles !== link.maxFiles && { maxFiles },
    ...megabytes !== megabytesOf(link.maxBytes) && { maxBytes: megabytes * BYTES_PER_MEGABYTE }
  }
}
