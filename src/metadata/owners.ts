import { and, gt, isNull, ne, sql } from 'drizzle-orm'
import type { Engine } from './engine.ts'
import { type Amount, refuseBeyondQuota, type Quota } from './records.ts'
import { type Db, existing, first, matching, placeholder, plus, prepared, type QueryRule } from './rule.ts'
import type { UploadUsage } from './upload-records.ts'

/** SQLite sums the sizes of so many files in 3 ms. */
const MANY = 20_000

/** What an account uses. Its row stays locked until the transaction ends, so checks of names and quotas are exact. */
export interface Owner {
  readonly id: number
  readonly bytes: number
  readonly files: number
  readonly folders: number
  readonly keptBytes: number
  readonly keptContents: number
  /** No lock lasts longer. */
  readonly lockedUntil: number
}

/** What changes in the usage of an account; 0 if not given. */
export interface Change {
  readonly bytes?: number
  readonly files?: number
  readonly folders?: number
  readonly keptBytes?: number
  readonly keptContents?: number
}

/** The usage of unfinished uploads, and the time. */
export interface Reserved extends UploadUsage { readonly time: number }

/** The usage of accounts: quotas are decided by it, and every change of files and kept content updates it. */
export type Owners = ReturnType<typeof createOwners>

export function createOwners (engine: Engine) {
  const queries = queriesOf(engine)
  return {
    /** Locks an account. @throws not_found if it was deleted. */
    lock: (id: number): QueryRule<Owner> => queries.lock({ id }, existing),

    /** The same for what decides nothing: it waits for nobody. @throws not_found if the account was deleted. */
    read: (id: number): QueryRule<Owner> => queries.read({ id }, existing),

    /** Locks an account, whose password and factors then stay; undefined if it was deleted. */
    credentials: (id: number) => queries.credentials({ id }, first),

    /** Whether a transaction that reads all that an account has takes long. @throws not_found if it was deleted. */
    ownsMany: (id: number): QueryRule<boolean> => queries.read({ id }, rows => {
      const { files, folders } = existing(rows)
      return files + folders > MANY
    }),

    /** What unfinished uploads reserve now, without the upload `except`. */
    reserved: (ownerId: number, except = ''): QueryRule<Reserved> =>
      queries.sums({ ownerId, except }, ([usage]) => usage as Reserved),

    charge: (id: number, { bytes = 0, files = 0, folders = 0, keptBytes = 0, keptContents = 0 }: Change) =>
      queries.charge({ id, bytes, files, folders, keptBytes, keptContents })
  }
}

function queriesOf ({ tables: { accounts, uploads }, clock, locking }: Engine) {
  const isThis = and(matching(accounts, 'id'), isNull(accounts.removedAt))
  const owner = (db: Db) => db.select({
    id: accounts.id,
    bytes: accounts.usedBytes,
    files: accounts.usedFiles,
    folders: accounts.usedFolders,
    keptBytes: accounts.keptBytes,
    keptContents: accounts.keptContents,
    lockedUntil: accounts.lockedUntil
  }).from(accounts).where(isThis)
  return prepared('owners', {
    sums: db => db.select({
      // By a link, strangers could announce whatever they like.
      uploads: sql`count(CASE WHEN ${uploads.linkId} IS NULL THEN 1 END)`.mapWith(Number),
      bytes: sql`coalesce(sum(CASE WHEN ${uploads.linkId} IS NULL
        THEN coalesce(${uploads.length}, ${uploads.offset}) ELSE ${uploads.offset} END), 0)`.mapWith(Number),
      receivedBytes: sql`coalesce(sum(${uploads.offset}), 0)`.mapWith(Number),
      time: clock.mapWith(Number)
    }).from(uploads).where(and(
      matching(uploads, 'ownerId'),
      isNull(uploads.result),
      gt(uploads.expiresAt, clock),
      ne(uploads.id, placeholder('except'))
    )),
    credentials: db => locking(db.select({
      id: accounts.id,
      passwordHash: accounts.passwordHash,
      factorCount: accounts.factorCount,
      factorVersion: accounts.factorVersion
    }).from(accounts).where(isThis)),
    lock: db => locking(owner(db)),
    read: owner,
    charge: db => db.update(accounts).set({
      usedBytes: plus(accounts.usedBytes, 'bytes'),
      usedFiles: plus(accounts.usedFiles, 'files'),
      usedFolders: plus(accounts.usedFolders, 'folders'),
      keptBytes: plus(accounts.keptBytes, 'keptBytes'),
      keptContents: plus(accounts.keptContents, 'keptContents')
    }).where(matching(accounts, 'id'))
  })
}

/** What counts towards the quotas of an account, without kept content. A folder counts as a file. */
export function usedBy (owner: Owner, reserved: UploadUsage): Amount {
  return { bytes: owner.bytes + reserved.bytes, files: owner.files + owner.folders + reserved.uploads }
}

/**
 * Refuses a change that exceeds a quota even without kept content. Returns how many bytes of kept content must go for
 * it; 0 or less if none.
 * @throws quota_exceeded.
 */
export function refuseBeyond (
  quota: Quota,
  { owner, reserved, added }: { owner: Owner, reserved: UploadUsage, added: { bytes: number, files: number } }
): number {
  refuseBeyondQuota(quota, usedBy(owner, reserved), added)
  return quota.bytes === undefined
    ? -Infinity
    : owner.bytes + owner.keptBytes + reserved.receivedBytes + added.bytes - quota.bytes
}
