import { and, gt, isNull, ne, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Engine } from './engine.ts'
import { type Amount, NO_USAGE, type Quota, type Usage, usageUnits } from './records.ts'
import { type Db, existing, first, matching, placeholder, plus, prepared, type QueryRule } from './rule.ts'
import type { RowOf } from './schema.ts'
import type { UploadUsage } from './upload-records.ts'

/** SQLite sums the sizes of so many files in 3 ms. */
const LONG_AFTER_ROWS = 20_000

/** An account. Its row stays locked until the transaction ends, so checks of names and quotas are exact. */
export type Owner = RowOf<'accounts'>

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

    /** As `lock`; undefined if the account was deleted. */
    findLocked: (id: number) => queries.lock({ id }, first),

    /** Whether a transaction that reads all that an account has takes long. @throws not_found if it was deleted. */
    ownsMany: (id: number): QueryRule<boolean> => queries.read({ id }, rows => {
      const { usedFiles, usedFolders } = existing(rows)
      return usedFiles + usedFolders > LONG_AFTER_ROWS
    }),

    /** What unfinished uploads reserve now, without the upload `except`. */
    reserved: (ownerId: number, except = ''): QueryRule<Reserved> =>
      queries.sums({ ownerId, except }, ([usage]) => usage as Reserved),

    /** Adds to the usage of an account. */
    charge: (id: number, change: Partial<Usage>) => queries.charge({ id, ...NO_USAGE, ...change })
  }
}

function queriesOf ({ tables: { accounts, uploads }, clock, locking }: Engine) {
  const isThis = and(matching(accounts, 'id'), isNull(accounts.removedAt))
  const owner = (db: Db) => db.select().from(accounts).where(isThis)
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
    lock: db => locking(owner(db)),
    read: owner,
    charge: db => db.update(accounts)
      .set(Object.fromEntries(usageUnits.map(unit => [unit, plus(accounts[unit], unit)])))
      .where(matching(accounts, 'id'))
  })
}

/** What counts towards the quotas of an account, without kept content. A folder counts as a file. */
export function usedBy (owner: Owner, reserved: UploadUsage): Amount {
  return { bytes: owner.usedBytes + reserved.bytes, files: owner.usedFiles + owner.usedFolders + reserved.uploads }
}

/** How many bytes of kept content must go after a change, of which only what has arrived counts; at least 0. */
export function bytesToEvict (
  { bytes: maxBytes = Infinity }: Quota,
  { owner, reserved, arrivedBytes }: { owner: Owner, reserved: UploadUsage, arrivedBytes: number }
): number {
  return Math.max(0, owner.usedBytes + owner.keptBytes + reserved.receivedBytes + arrivedBytes - maxBytes)
}

/**
 * Refuses a change that would exceed a quota. A change that adds nothing is never refused: an account above a lowered
 * quota can still replace a file by a smaller one.
 * @throws quota_exceeded with the numbers.
 */
export function refuseBeyondQuota (quota: Quota, used: Amount, added: Amount): void {
  const unit = unitBeyond(quota, used, added)
  if (unit === undefined) return
  const noun = { bytes: 'bytes', files: 'files and folders' }[unit]
  const numbers = `${used[unit]} ${noun} are used, and this would add ${added[unit]} ${noun}`
  throw new Problem('quota_exceeded', {
    detail: `The quota is ${quota[unit]} ${noun}, ${numbers}.`,
    members: { unit, remaining: Math.max(0, Number(quota[unit]) - used[unit]) }
  })
}

/** Of what there would be too much; undefined if the change is within the quota. */
export function unitBeyond (quota: Quota, used: Amount, added: Amount): keyof Amount | undefined {
  return (['bytes', 'files'] as const).find(unit =>
    added[unit] > 0 && used[unit] + added[unit] > (quota[unit] ?? Infinity))
}
