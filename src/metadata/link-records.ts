import { Problem } from '../problems.ts'
import type { AccountRecord, Amount, FileRecord, FolderRecord, SegmentPage } from './records.ts'

/** Links of one account. */
export const MAX_LINKS = 1000

/** Unfinished uploads of one link. */
export const MAX_LINK_UPLOADS = 20

/** Networks of one link that are remembered. */
export const MAX_LINK_NETWORKS = 100

/** How much an `upload` link accepts: by its own limits, and by the quota of its owner. Infinity without a limit. */
export interface LinkRoom { readonly link: Amount, readonly owner: Amount }

/**
 * Refuses what a link has no room for: the link counts what is announced, the owner what has arrived.
 * @throws link_limit_reached, quota_exceeded.
 */
export function refuseBeyondRoom ({ link, owner }: LinkRoom, announced: Amount, arrived: Amount): void {
  for (const unit of ['files', 'bytes'] as const) {
    if (announced[unit] > 0 && announced[unit] > link[unit]) {
      const remaining = Math.max(0, link[unit])
      throw new Problem('link_limit_reached', { detail: `The link accepts ${remaining} more ${unit}.`, members: { unit, remaining } })
    }
    // Without numbers: they are the owner's.
    if (arrived[unit] > 0 && arrived[unit] > owner[unit]) throw new Problem('quota_exceeded', { detail: 'The owner of the link has no space for this file.' })
  }
}

/** The same for what is only announced: an owner without any space refuses it, and how much there is is not told. */
export function refuseAnnounced (room: LinkRoom, announced: Amount): void {
  refuseBeyondRoom(room, announced, { files: announced.files, bytes: Math.min(announced.bytes, 1) })
}

/** What a link gives: the bytes of a file or folder, or the right to add files to a folder. */
export const linkKinds = ['download', 'upload'] as const
export type LinkKind = typeof linkKinds[number]

/** What the owner may change. */
export interface LinkTerms {
  /** When the link ends; null for never. */
  readonly expiresAt: number | null
  /** Null for a link that needs none. */
  readonly passwordHash: string | null
  /** Files and bytes that an `upload` link accepts; null for the other kind. */
  readonly maxFiles: number | null
  readonly maxBytes: number | null
  readonly showsOwner: boolean
}

export interface NewLink extends LinkTerms {
  readonly accountId: number
  readonly kind: LinkKind
  /** The path of a file or folder. */
  readonly name: string
  /** SHA-256 of the secret, in hex. */
  readonly secretHash: string
  /** The secret, encrypted for its owner; null if that failed. */
  readonly secretSealed: string | null
}

export interface LinkRecord extends NewLink {
  readonly id: number
  /** Exactly one of the two is not null. The link ends when that row is deleted. */
  readonly fileId: number | null
  readonly folderId: number | null
  /** Files and bytes that were stored by it. Unfinished uploads count too, but not here. */
  readonly usedFiles: number
  readonly usedBytes: number
  readonly createdAt: number
  readonly uses: number
  readonly lastUsedAt: number | null
}

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
