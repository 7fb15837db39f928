import { and, asc, desc, eq, inArray, isNotNull, isNull, lte, type SQL, sql } from 'drizzle-orm'
import {
  anyOf, type Db, isAny, limitedTo, matching, pipeline, placeholder, prepared, query, type Rule
} from './rule.ts'
import type { Tables } from './schema.ts'
import type { Services } from './services.ts'
import { MAX_FORGOTTEN, type UploadRecord } from './upload-records.ts'

/** Deletes uploads: those that are given up, replaced or expired, and finished ones beyond a number. */
export type UploadRemovals = ReturnType<typeof createUploadRemovals>

export function createUploadRemovals ({ engine, discard }: Services) {
  const { tables: { links, uploads }, clock } = engine
  const isExpired = lte(uploads.expiresAt, clock)
  /** The unfinished uploads of links that expired, or ended with their folder. */
  const isWithoutLink = and(isNotNull(uploads.linkId), isNull(uploads.result), sql`NOT EXISTS (SELECT 1 FROM ${links}
    WHERE ${links}.id = ${uploads}.link_id AND (${links}.expires_at IS NULL OR ${links}.expires_at > ${clock}))`)
  const isOwn = and(matching(uploads, 'ownerId'), isNull(uploads.linkId))
  const finished = finishedQueries(uploads, { name: 'finished_uploads', isOf: isOwn })
  const isByLink = matching(uploads, 'linkId')
  const finishedByLink = finishedQueries(uploads, { name: 'finished_by_link', isOf: isByLink })

  /** Deletes uploads. The blobs of those that are unfinished become discarded. Returns their number. */
  function * remove (condition: SQL | undefined): Rule<number> {
    const deleted = yield * query(db => db.delete(uploads).where(condition)
      .returning({ blobId: uploads.blobId, result: uploads.result }))
    const unfinished = deleted.filter(({ result }) => result === null).map(({ blobId }) => blobId)
    yield * pipeline(discard(unfinished, yield * engine.now()))
    return deleted.length
  }

  function * removeSomeExpired (limit: number): Rule<boolean> {
    // Those that another process is deleting are left to it.
    const some = (condition: SQL | undefined) => query(db =>
      engine.skippingLocked(db.select({ id: uploads.id }).from(uploads).where(condition).limit(limit)))
    // Not with OR, which uses no index.
    const found = (yield * pipeline(some(isExpired), some(isWithoutLink))).flat()
    const ids = Array.from(new Set(found.map(({ id }) => id))).slice(0, limit)
    return (yield * remove(inArray(uploads.id, ids))) === limit
  }

  async function removeExpired (limit: number): Promise<boolean> {
    // Usually there is none, and a write costs a sync.
    const found = await engine.read(() =>
      pipeline(query(anyOf(uploads, isExpired), isAny), query(anyOf(uploads, isWithoutLink), isAny)))
    if (!found.includes(true)) return false
    return engine.transact(() => removeSomeExpired(limit))
  }

  return {
    remove,
    removeExpired,

    /** Deletes the unfinished uploads of an owner that would put the same name. */
    * removePuts (ownerId: number, name: string): Rule<void> {
      yield * remove(and(
        eq(uploads.ownerId, ownerId), isNull(uploads.linkId), isNull(uploads.result),
        eq(uploads.method, 'PUT'), eq(uploads.name, name)
      ))
    },

    /** Forgets the first finished uploads of an owner, or of a link, that has too many, a few at a time. */
    * forgetFinished ({ ownerId, linkId }: Pick<UploadRecord, 'ownerId' | 'linkId'>, maxFinished: number): Rule<void> {
      const { surplus, first } = linkId === null ? finished : finishedByLink
      const { length } = yield * surplus({ ownerId, linkId, maxFinished })
      if (length === 0) return
      const forgotten = yield * first({ ownerId, linkId, surplus: length })
      yield * query(db => db.delete(uploads)
        .where(inArray(uploads.sequence, forgotten.map(({ sequence }) => sequence))))
    }
  }
}

/** The finished uploads of an owner or a link: those beyond the newest `maxFinished`, and the first `surplus`. */
function finishedQueries (uploads: Tables['uploads'], { name, isOf }: { name: string, isOf: SQL | undefined }) {
  const { sequence, expiresAt, result } = uploads
  const sequences = (db: Db) => db.select({ sequence }).from(uploads).where(and(isOf, isNotNull(result)))
  return prepared(name, {
    surplus: db => sequences(db).orderBy(
      limitedTo(sql`${desc(expiresAt)}, ${desc(sequence)}`, MAX_FORGOTTEN, placeholder('maxFinished'))
    ),
    first: db => sequences(db)
      .orderBy(limitedTo(sql`${asc(expiresAt)}, ${asc(sequence)}`, placeholder('surplus')))
  })
}
