import { and, asc, desc, gt, isNotNull, isNull, lte, type SQL, sql } from 'drizzle-orm'
import type { Engine } from './engine.ts'
import { type Db, limitedTo, matching, placeholder, placeholders, prepared } from './rule.ts'
import type { Tables } from './schema.ts'
import { MAX_FORGOTTEN } from './upload-records.ts'

export type UploadQueries = ReturnType<typeof uploadQueries>

export type UploadRow = Tables['uploads']['$inferSelect']

/** Condition for the unfinished uploads of links that expired, or ended with their folder. */
export function hasNoLink ({ links, uploads }: Tables, clock: SQL): SQL | undefined {
  return and(isNotNull(uploads.linkId), isNull(uploads.result), sql`NOT EXISTS (SELECT 1 FROM ${links}
    WHERE ${links}.id = ${uploads}.link_id AND (${links}.expires_at IS NULL OR ${links}.expires_at > ${clock}))`)
}

/** The named queries of uploads. */
export function uploadQueries ({ tables: { uploads }, tables, clock, locking }: Engine) {
  const isThis = and(matching(uploads, 'id'), gt(uploads.expiresAt, clock))
  const isOwn = and(matching(uploads, 'ownerId'), isNull(uploads.linkId))
  return {
    byId: prepared('upload_by_id', db => db.select().from(uploads).where(isThis)),
    lockById: prepared('lock_upload', db => locking(db.select().from(uploads).where(isThis))),
    insert: prepared('add_upload', db => db.insert(uploads).values(placeholders(
      'id', 'ownerId', 'linkId', 'name', 'type', 'blobId', 'length', 'method', 'precondition', 'uploadMetadata', 'reprDigest', 'modifiedAt', 'createdAt', 'expiresAt'
    )).returning()),
    update: prepared('change_upload', db => db.update(uploads).set(placeholders(
      'length', 'precondition', 'reprDigest', 'modifiedAt', 'expiresAt', 'offset', 'state', 'generation', 'isAppending', 'isRefused', 'result'
    )).where(matching(uploads, 'id')).returning()),
    finished: finishedQueries(uploads, { name: 'finished_uploads', isOf: isOwn }),
    finishedByLink: finishedQueries(uploads, { name: 'finished_by_link', isOf: matching(uploads, 'linkId') }),
    anyExpired: prepared('expired_upload', db => db.select({ id: uploads.id }).from(uploads)
      .where(lte(uploads.expiresAt, clock)).limit(1)),
    anyWithoutLink: prepared('upload_without_link', db => db.select({ id: uploads.id }).from(uploads)
      .where(hasNoLink(tables, clock)).limit(1))
  }
}

/** The finished uploads of an owner or a link: those beyond the newest `maxFinished`, and the first `surplus`. */
function finishedQueries (uploads: Tables['uploads'], { name, isOf }: { name: string, isOf: SQL | undefined }) {
  const { sequence, expiresAt, result } = uploads
  const sequences = (db: Db) => db.select({ sequence }).from(uploads).where(and(isOf, isNotNull(result)))
  return {
    surplus: prepared(`surplus_${name}`, db => sequences(db).orderBy(
      limitedTo(sql`${desc(expiresAt)}, ${desc(sequence)}`, MAX_FORGOTTEN, placeholder('maxFinished'))
    )),
    first: prepared(`first_${name}`, db => sequences(db)
      .orderBy(limitedTo(sql`${asc(expiresAt)}, ${asc(sequence)}`, placeholder('surplus'))))
  }
}

/** The columns of a `ListedUpload`. */
export function listedColumns ({ id, name, type, length, offset, createdAt, expiresAt, sequence }: Tables['uploads']) {
  return { id, name, type, length, offset, createdAt, expiresAt, sequence }
}
