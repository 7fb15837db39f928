import { Problem } from '../problems.ts'
import type { AccountRecord, Amount, FileRecord, FolderRecord, NewFile, Quota } from './records.ts'
import type { StoreResult } from './uploads-repository.ts'

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
    if (announced[unit] > 0 && announced[unit] > link[unit]) throw new Problem('link_limit_reached', { detail: `The link accepts ${link[unit]} more ${unit}.` })
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

/** How a page of files or folders continues: entries with a last segment after `after`. */
export interface LinkedPage {
  /** The path below the linked folder; empty for the linked folder itself. */
  readonly folder: string
  readonly after: string | undefined
  readonly limit: number
}

/**
 * Links: a part of the contract of {@link Metadata}. A link is found by the id of its file or folder, so it follows
 * renames and moves, and ends in the transaction that deletes that. The methods of owners take their id; those of
 * visitors take what {@link LinkRepository.findBySecret} returned.
 */
export interface LinkRepository {
  /** @throws not_found, validation_failed if an `upload` link is for a file, too_many_links at {@link MAX_LINKS}. */
  add (link: NewLink): Promise<LinkRecord>
  find (ownerId: number, id: number): Promise<LinkRecord | undefined>
  /** Newest first: at most `limit` with an id below `beforeId`, only those of `name` if it is given. */
  list (
    ownerId: number, page: { name?: string | undefined, beforeId: number | undefined, limit: number }
  ): Promise<LinkRecord[]>
  /** Changes some terms, or the secret. @throws not_found. */
  change (ownerId: number, id: number, changes: Partial<LinkTerms & Pick<NewLink, 'secretHash'>>): Promise<LinkRecord>
  /** Ends a link, and with it its unfinished uploads. @throws not_found. */
  remove (ownerId: number, id: number): Promise<void>
  /** Ends all links of an account, or those of one file or folder. Returns how many. */
  removeAll (ownerId: number, name?: string): Promise<number>
  /** The link with this secret; undefined if it expired, or its account is disabled or deleted. */
  findBySecret (secretHash: string): Promise<OpenLink | undefined>
  /** Adds to the uses of a link; no error if it has ended. */
  recordUses (id: number, uses: { count: number, at: number }): Promise<void>
  /**
   * Whether the link was unlocked from a network since its password was set. The latest {@link MAX_LINK_NETWORKS} are
   * remembered.
   */
  isKnownNetwork (id: number, network: string): Promise<boolean>
  /** Records that; nothing if the link has ended or has another password by now. */
  addKnownNetwork (link: Pick<LinkRecord, 'id' | 'passwordHash'>, network: string, at: number): Promise<void>
  /** A file below a linked folder, found from the id of that in one statement. */
  findFile (at: LinkedFolder, name: string): Promise<FileRecord | undefined>
  /** The files directly in a folder, by name. @throws not_found. */
  listFiles (at: LinkedFolder, page: LinkedPage): Promise<FileRecord[]>
  /** The folders directly in a folder, by name. @throws not_found. */
  listFolders (at: LinkedFolder, page: LinkedPage): Promise<FolderRecord[]>
  /**
   * Adds a file to the folder of an `upload` link, under the next free one of `name`, `name (2)` and so on. `file.name`
   * is one segment. The limits of the link and the quota are decided in the transaction; kept content counts.
   * @throws not_found if the link has ended, link_limit_reached, quota_exceeded, file_locked.
   */
  store (linkId: number, file: NewFile, quota: Quota): Promise<StoreResult>
  /**
   * How much an `upload` link accepts now: an early check, which waits for no transaction. Unfinished uploads count.
   * @throws not_found if it has ended.
   */
  room (ownerId: number, linkId: number, quota: Quota): Promise<LinkRoom>
}
