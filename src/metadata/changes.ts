import { and, asc, desc, eq, gt, inArray, isNull, lt, type SQL, sql } from 'drizzle-orm'
import {
  type ChangePage, type ChangePosition, type ChangeRecord, CHANGES_MILLISECONDS, MAX_CHANGES, type ResetReason
} from './change-records.ts'
import type { Engine } from './engine.ts'
import { fileColumns, folderColumns } from './columns.ts'
import { anyOf, bigint, isAny, limitedTo, matching, pipeline, placeholder, prepared, query, type Rule } from './rule.ts'
import type { Services } from './services.ts'

/** A change has the time at which its transaction began, which may have waited. */
const SLACK_MILLISECONDS = 3600 * 1000

/**
 * The changes of files and folders. Each is recorded by the transaction that makes it, which has locked the account: a
 * reader that goes on from a position misses none and sees them in their order. The move of a folder is one change.
 */
export type ChangeRepository = ReturnType<typeof createChanges>

export function createChanges ({ engine, ids: { epochId }, read }: Services) {
  const { changes } = engine.tables
  const queries = queriesOf(engine)

  function * resetFor (ownerId: number, reset: ResetReason): Rule<ChangePage> {
    const [readAt, [last]] = yield * pipeline(engine.now(), queries.last({ ownerId }))
    const { id, at } = last ?? { id: 0, at: 0 }
    return { changes: [], next: { epochId, id, at, readAt }, reset }
  }

  /** The oldest of the changes that an account may have; 0 if it has fewer. */
  const oldestKept = (ownerId: number) => queries.oldestKept({ ownerId }, ([oldest]) => oldest?.id ?? 0)

  const surplusOf = read(function * (ownerId: number, limit: number) {
    return yield * queries.before({ ownerId, id: yield * oldestKept(ownerId), limit })
  })

  return {
    /** The changes after a position, at most `limit`. Without one, or with one that is no longer valid: a reset. */
    list: read(function * (
      ownerId: number, { after, limit }: { after: ChangePosition | undefined, limit: number }
    ): Rule<ChangePage> {
      if (after === undefined) return yield * resetFor(ownerId, 'first')
      const [now, changes, [highest], [last]] = yield * pipeline(
        // First, so that no change from before it is missing in what follows.
        engine.now(),
        // The oldest are removed first: if that of the position is still there after this, none of these was missing.
        queries.after({ ownerId, id: after.id, limit }, rows => rows as readonly ChangeRecord[]),
        queries.highest(),
        queries.timeOf({ ownerId, id: after.id })
      )
      const isOther = after.epochId !== epochId || after.id > Number(highest?.id)
      const isSurplus = last === undefined && after.id < (yield * oldestKept(ownerId))
      if (isOther || (!isSurplus && isReplaced(after, last?.at, now))) return yield * resetFor(ownerId, 'restored')
      if (isSurplus || after.readAt < now - CHANGES_MILLISECONDS) return yield * resetFor(ownerId, 'expired')
      const { id, at } = changes.at(-1) ?? after
      const readAt = changes.length < limit ? now : at
      return { changes, next: { epochId, id, at, readAt }, reset: undefined }
    }),

    /** The id of the last change of each of these accounts, 0 for none. Accounts that were deleted are left out. */
    newest: read((ownerIds: readonly number[]) =>
      queries.newest({ ids: ownerIds }, rows => new Map(rows.map(({ ownerId, id }) => [ownerId, id])))),

    /** The paths of up to `limit` changes of an account after an id. */
    pathsAfter: read((ownerId: number, id: number, limit: number) => queries.pathsAfter({ ownerId, id, limit })),

    /** The account of each of up to `limit` changes after an id, and the last of these; undefined if there are none. */
    ownersAfter: read((id: number, limit: number) => queries.ownersAfter({ id, limit }, rows => {
      const last = rows.at(-1)
      return last && { ownerIds: rows.map(({ ownerId }) => ownerId), lastId: last.id }
    })),

    /** Deletes up to `limit` of an account's oldest changes beyond {@link MAX_CHANGES}; true if there may be more. */
    async removeSurplus (ownerId: number, limit: number): Promise<boolean> {
      const surplus = await surplusOf(ownerId, limit)
      // Usually there is none, and a write costs a sync.
      if (surplus.length > 0) {
        const ids = surplus.map(({ id }) => id)
        await engine.apply(() => query(db => db.delete(changes).where(inArray(changes.id, ids))))
      }
      return surplus.length === limit
    },

    /** Deletes up to `limit` changes that no valid position needs any more; true if there may be more. */
    async removeExpired (limit: number): Promise<boolean> {
      // Usually there is none, and a write costs a sync.
      const isOldest = eq(changes.id, sql`(SELECT min(c.id) FROM changes c)`)
      const isAnyExpired = query(anyOf(changes, and(isOldest, lt(changes.at, endOf(engine)))), isAny)
      if (!await engine.read(() => isAnyExpired)) return false
      return engine.apply(() => query(db => {
        const oldest = db.select({ id: changes.id, at: changes.at }).from(changes).orderBy(asc(changes.id)).limit(limit)
          .as('oldest')
        const expired = db.select({ id: oldest.id }).from(oldest).where(lt(oldest.at, endOf(engine)))
        return db.delete(changes).where(inArray(changes.id, expired)).returning({ id: changes.id })
      }, removed => removed.length === limit))
    }
  }
}

/**
 * Whether the change before a position is not there any more, or another one in its place. `at`: the time of the one
 * that has its id.
 */
function isReplaced (position: ChangePosition, at: number | undefined, now: number): boolean {
  return at === undefined ? position.at >= now - CHANGES_MILLISECONDS : position.at !== at
}

/** The time of the oldest changes that a valid position needs. */
function endOf ({ clock }: Pick<Engine, 'clock'>): SQL {
  return sql`${clock} - ${CHANGES_MILLISECONDS + SLACK_MILLISECONDS}`
}

function queriesOf ({ tables, lastChangeId, isAmong, idsBetween }: Engine) {
  const { accounts, changes, files, folders } = tables
  const owner = bigint('ownerId')
  const own = (after: SQL, before?: SQL) => idsBetween(sql`changes`, { owner, after, before })
  const ofAccount = idsBetween(sql`c`, { owner: sql`accounts.id`, after: sql`0` })
  const isOwn = matching(changes, 'ownerId')
  const { id, kind, fileId, folderId, name, fromName, at, linkId } = changes
  return prepared('changes', {
    highest: db => db.select({ id: lastChangeId.mapWith(Number) }).from(sql`(SELECT 1) AS one`),
    timeOf: db => db.select({ at }).from(changes).where(and(isOwn, eq(id, placeholder('id')))),
    last: db => db.select({ id, at }).from(changes).where(own(sql`0`))
      .orderBy(limitedTo(sql`${desc(changes.ownerId)}, ${desc(id)}`, 1)),
    // With such bounds, and in this order, the index alone is read.
    oldestKept: db => db.select({ id }).from(changes).where(own(sql`0`))
      .orderBy(limitedTo(sql`${desc(changes.ownerId)}, ${desc(id)}`, 1, MAX_CHANGES - 1)),
    before: db => db.select({ id }).from(changes)
      .where(own(sql`0`, bigint('id')))
      .orderBy(limitedTo(sql`${asc(changes.ownerId)}, ${asc(id)}`, placeholder('limit'))),
    ownersAfter: db => db.select({ id, ownerId: changes.ownerId }).from(changes)
      .where(gt(id, placeholder('id'))).orderBy(limitedTo(asc(id), placeholder('limit'))),
    after: db => db.select({
      id, kind, fileId, folderId, name, fromName, at, linkId, file: fileColumns(tables), folder: folderColumns(tables)
    }).from(changes)
      .leftJoin(files, and(eq(files.id, fileId), eq(files.ownerId, changes.ownerId)))
      .leftJoin(folders, and(eq(folders.id, folderId), eq(folders.ownerId, changes.ownerId)))
      .where(own(bigint('id')))
      .orderBy(limitedTo(sql`${asc(changes.ownerId)}, ${asc(id)}`, placeholder('limit'))),
    pathsAfter: db => db.select({ id, name, fromName }).from(changes)
      .where(own(bigint('id')))
      .orderBy(limitedTo(sql`${asc(changes.ownerId)}, ${asc(id)}`, placeholder('limit'))),
    newest: db => db.select({
      ownerId: accounts.id,
      // Raw SQL: in a query of one table Drizzle omits the table's name, and changes have an id as well.
      id: sql`coalesce((SELECT c.id FROM changes c WHERE ${ofAccount} ORDER BY c.owner_id DESC, c.id DESC LIMIT 1), 0)`
        .mapWith(Number)
    }).from(accounts).where(and(isAmong(accounts.id, 'ids'), isNull(accounts.removedAt)))
  })
}
