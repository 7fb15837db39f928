import { Problem } from '../problems.ts'
import type { AccountRecord, Amount, FileRecord, FolderRecord, SegmentPage } from './records.ts'
import type { RowOf } from './schema.ts'

/** Links of one account. */
export const MAX_LINKS = 1000

/** Links for one upload of one account, beside the others. */
export const MAX_UPLOAD_LINKS = 10_000

/** Unfinished uploads of one link. */
export const MAX_LINK_UPLOADS = 20

/** Networks of one link that are remembered. */
export const MAX_LINK_NETWORKS = 100

/** How much an `upload` link accepts: by its own limits, and by the quota of its owner. Infinity without a limit. */
export interface LinkCapacity { readonly link: Amount, readonly owner: Amount }

/**
 * Refuses what a link has no room for: the link counts what is announced, the owner what has arrived.
 * @throws link_limit_reached, quota_exceeded.
 */
export function refuseBeyondRoom ({ link, owner }: LinkCapacity, announced: Amount, arrived: Amount): void {
  for (const unit of ['files', 'bytes'] as const) {
    if (announced[unit] > 0 && announced[unit] > link[unit]) {
      const remaining = Math.max(0, link[unit])
      const members = { unit, remaining }
      throw new Problem('link_limit_reached', { detail: `The link accepts ${remaining} more ${unit}.`, members })
    }
    // Without numbers: they are the owner's.
    if (arrived[unit] > 0 && arrived[unit] > owner[unit]) {
      throw new Problem('quota_exceeded', { detail: 'The owner of the link has no space for this file.' })
    }
  }
}

/** The same for what is only announced: an owner without any space refuses it, and how much there is is not told. */
export function refuseAnnounced (room: LinkCapacity, announced: Amount): void {
  refuseBeyondRoom(room, announced, { files: announced.files, bytes: Math.min(announced.bytes, 1) })
}

/** What a link gives: the bytes of a file or folder, or the right to add files to a folder. */
export const linkKinds = ['download', 'upload'] as const
export type LinkKind = typeof linkKinds[number]

/** A link. `name` is the path of its file or folder. */
export interface LinkRecord extends RowOf<'links'> { readonly name: string }

/** What the owner may change. */
export type LinkTerms = Pick<LinkRecord, 'expiresAt' | 'passwordHash' | 'maxFiles' | 'maxBytes' | 'showsOwner'>

export type NewLink = LinkTerms &
  Pick<LinkRecord, 'accountId' | 'kind' | 'name' | 'fileName' | 'sha256' | 'secretHash' | 'secretSealed'>

/** A link that has not expired, with what it gives, as of `now`. Exactly one of `file` and `folder` is defined. */
export interface OpenLink {
  readonly link: LinkRecord
  readonly account: AccountRecord
  readonly file: FileRecord | undefined
  readonly folder: FolderRecord | undefined
  readonly now: number
}

/** The link and the folder of a look-up below it. */
export interface LinkedFolder { readonly ownerId: number, readonly folderId: number }

/** A part of what is directly in a folder. */
export interface LinkedPage extends SegmentPage {
  /** The path below the linked folder; empty for the linked folder itself. */
  readonly folder: string
}

/** Which links of an account. */
export interface ListedLinks {
  /** Only those of this file or folder. */
  readonly name?: string | undefined
  readonly isOneUpload?: boolean | undefined
  readonly beforeId: number | undefined
  readonly limit: number
}

/** The problem `too_many_links`. */
export function tooManyLinks (isOneUpload: boolean): Problem {
  const detail = isOneUpload
    ? `An account may have at most ${MAX_UPLOAD_LINKS} links for one upload; they end when they are used or expire.`
    : `An account may have at most ${MAX_LINKS} links; revoke some first.`
  return new Problem('too_many_links', { detail })
}
