import { and, asc, type Column, eq, getTableColumns, gt, gte, inArray, isNotNull, isNull, ne, or, type SQL, sql } from 'drizzle-orm'
import type { PgUpdateSetSource } from 'drizzle-orm/pg-core'
import { Problem } from '../problems.ts'
import type { Discard } from './blobs.ts'
import type { Engine } from './engine.ts'
import type { AccountRepository } from './metadata.ts'
import { NO_LIMIT, type AccountRecord } from './records.ts'
import { ask, reading, Refusal, together, writing, type Rule } from './rule.ts'
import type { Tables } from './schema.ts'
import type { TokenRemover } from './tokens.ts'

const { placeholder } = sql

/** The columns of an `AccountRecord`: all but `removedAt` and `keptContents`. */
export function accountColumns ({ accounts }: Tables) {
  const { removedAt: _removedAt, keptContents: _keptContents, ...columns } = getTableColumns(accounts)
  return columns
}

interface AccountOptions {
  readonly engine: Engine
  /** For what reads whole tables. */
  readonly patient: Pick<Engine, 'read'>
  readonly tokenRemover: TokenRemover
  readonly discard: Discard
}

export function createAccountRepository ({ engine, patient, tokenRemover, discard }: AccountOptions): AccountRepository {
  const { tables, read, transact, transactFor, apply, now, locking, skippingLocked } = engine
  const { accounts, attempts, files, kept, uploads } = tables
  const columns = accountColumns(tables)
  const isActive = isNull(accounts.removedAt)
  const isThis = eq(accounts.id, placeholder('id'))

  const byId = reading('account_by_id', db => db.select(columns).from(accounts).where(and(isThis, isActive)))
  const byKey = reading('account_by_key', db => db.select(columns).from(accounts).where(and(eq(accounts.usernameKey, placeholder('key')), isActive)))
  const anyRemoved = reading('removed_account', db => db.select({ id: accounts.id }).from(accounts).where(isNotNull(accounts.removedAt)).limit(1))
  const lockRemoved = reading('lock_removed_account', db => skippingLocked(db.select({ id: accounts.id }).from(accounts).where(isNotNull(accounts.removedAt)).limit(1)))

  const change = (id: number, set: PgUpdateSetSource<typeof accounts>) => apply(function * () {
    yield * ask(writing('', db => db.update(accounts).set(set).where(eq(accounts.id, id))))
  }, id)

  // Raw SQL: in a query of one table Drizzle omits the table's name, and `id` would be the file's.
  const actual = {
    bytes: sql`(SELECT cast(coalesce(sum(f.size), 0) AS bigint) FROM files f WHERE f.owner_id = accounts.id)`.mapWith(Number),
    files: sql`(SELECT count(*) FROM files f WHERE f.owner_id = accounts.id)`.mapWith(Number),
    keptBytes: sql`(SELECT cast(coalesce(sum(k.size), 0) AS bigint) FROM kept k WHERE k.owner_id = accounts.id)`.mapWith(Number),
    keptContents: sql`(SELECT count(*) FROM kept k WHERE k.owner_id = accounts.id)`.mapWith(Number)
  }
  const recorded = { bytes: accounts.usedBytes, files: accounts.usedFiles, keptBytes: accounts.keptBytes, keptContents: accounts.keptContents }
  // The files of deleted accounts are deleted in batches, which does not update the usage.
  const isWrong = and(isActive, or(
    ne(recorded.bytes, actual.bytes), ne(recorded.files, actual.files), ne(recorded.keptBytes, actual.keptBytes), ne(recorded.keptContents, actual.keptContents)
  ))
  const mismatches = reading('', db => db.select({ accountId: accounts.id, recorded, actual }).from(accounts).where(isWrong))
  // Locked first: a single statement would sum what it saw before it waited for a file that is being added.
  const lock = reading('lock_account', db => locking(db.select({ id: accounts.id }).from(accounts).where(isThis)))
  const repair = writing('', db => db.update(accounts).set({
    usedBytes: actual.bytes, usedFiles: actual.files, keptBytes: actual.keptBytes, keptContents: actual.keptContents
  }).where(isThis))

  return {
    add: (account, attempt) => transact(function * () {
      const time = yield * now()
      if (attempt !== undefined) yield * ask(writing('', db => db.insert(attempts).values({ at: time, ...attempt })))
      try {
        const [added] = yield * ask(writing('', db => db.insert(accounts).values({ createdAt: time, ...account }).returning(columns)))
        return added as AccountRecord
      } catch (error) {
        throw error instanceof Refusal ? new Problem('username_taken', { cause: error }) : error
      }
    }),

    find: id => read(() => ask(byId, { id }, ([account]) => account)),

    findByKey: key => read(() => ask(byKey, { key }, ([account]) => account)),

    listAfter: (afterId, limit) => read(() => ask(reading('', db => db.select(columns).from(accounts)
      .where(and(gt(accounts.id, afterId), isActive)).orderBy(asc(accounts.id)).limit(limit)))),

    // The update locks the account, which a new token needs: the tokens that exist by then are deleted, and later ones have the new hash.
    async setPasswordHash (id, passwordHash, { revokesTokens, expectedHash }) {
      if (revokesTokens) await tokenRemover.thinOut(id)
      await transactFor(id, function * () {
        const isExpected = expectedHash === undefined ? undefined : eq(accounts.passwordHash, expectedHash)
        const changed = yield * ask(writing('', db => db.update(accounts).set({ passwordHash })
          .where(and(eq(accounts.id, id), isActive, isExpected)).returning({ id: accounts.id })))
        if (changed.length === 0) throw new Problem('credentials_wrong')
        if (revokesTokens) yield * tokenRemover.removeRest(id)
      })
    },

    setQuota: (id, { bytes, files }) => change(id, { quotaBytes: bytes, quotaFiles: files }),

    setDisabled: (id, at) => change(id, { disabledAt: at }),

    // No username has a colon: this key clashes with none, and frees the name.
    remove: (id, at) => change(id, { removedAt: at, username: '', usernameKey: `removed:${id}`, passwordHash: '' }),

    async purgeDeleted (limit) {
      // Usually there is none, and a transaction would cost a sync or two more round trips.
      const [account] = await read(() => ask(anyRemoved))
      if (account === undefined) return false
      await tokenRemover.thinOut(account.id)
      return transact(function * () {
        // One that another process is purging is left to it.
        const [locked] = yield * ask(lockRemoved)
        if (locked === undefined) return false
        if (!(yield * removeSome(locked.id, limit))) yield * ask(writing('', db => db.delete(accounts).where(eq(accounts.id, locked.id))))
        return true
      })
    },

    totals: quota => read(function * () {
      // An account is near a quota from nine tenths of it.
      const near = (used: Column, own: Column, usual = NO_LIMIT): SQL => gte(used, sql`0.9 * coalesce(${own}, cast(${usual} AS bigint))`)
      const isNear = or(near(accounts.usedBytes, accounts.quotaBytes, quota.bytes), near(accounts.usedFiles, accounts.quotaFiles, quota.files))
      const [row] = yield * ask(reading('', db => db.select({
        accounts: sql`count(*)`.mapWith(Number),
        files: sql`coalesce(sum(${accounts.usedFiles}), 0)`.mapWith(Number),
        bytes: sql`coalesce(sum(${accounts.usedBytes}), 0)`.mapWith(Number),
        keptBytes: sql`coalesce(sum(${accounts.keptBytes}), 0)`.mapWith(Number),
        accountsNearQuota: sql`count(*) FILTER (WHERE ${isNear})`.mapWith(Number)
      }).from(accounts).where(isActive)))
      return row as NonNullable<typeof row>
    }),

    // One statement reads one state: a file that is added meanwhile is in both sums or in neither.
    usageMismatches: () => patient.read(() => ask(mismatches)),

    async repairUsage () {
      for (const { accountId: id } of await patient.read(() => ask(mismatches))) {
        await transact(function * () {
          yield * ask(lock, { id })
          yield * ask(repair, { id })
        })
      }
    }
  }

  /** Deletes some uploads, else files, else kept contents, whose blobs become discarded; false if there are none. */
  function * removeSome (ownerId: number, limit: number): Rule<boolean> {
    const someUploads = yield * ask(writing('', db => db.delete(uploads)
      .where(inArray(uploads.id, db.select({ id: uploads.id }).from(uploads).where(eq(uploads.ownerId, ownerId)).limit(limit)))
      .returning({ blobId: uploads.blobId, result: uploads.result })))
    if (someUploads.length > 0) return yield * discardAll(someUploads.filter(({ result }) => result === null))
    const someFiles = yield * ask(writing('', db => db.delete(files)
      .where(inArray(files.id, db.select({ id: files.id }).from(files).where(eq(files.ownerId, ownerId)).limit(limit)))
      .returning({ blobId: files.blobId })))
    if (someFiles.length > 0) return yield * discardAll(someFiles)
    const someKept = yield * ask(writing('', db => db.delete(kept)
      .where(inArray(kept.id, db.select({ id: kept.id }).from(kept).where(eq(kept.ownerId, ownerId)).limit(limit)))
      .returning({ blobId: kept.id })))
    return someKept.length > 0 && (yield * discardAll(someKept))
  }

  function * discardAll (blobs: { blobId: string }[]): Rule<true> {
    yield * together(discard(blobs.map(({ blobId }) => blobId), yield * now()))
    return true
  }
}
