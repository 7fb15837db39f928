import { and, eq, inArray, isNull, lte, type SQL } from 'drizzle-orm'
import type { Discard } from './blobs.ts'
import type { Engine } from './engine.ts'
import { ask, reading, together, writing, type Rule } from './rule.ts'
import { hasNoLink, type UploadQueries } from './upload-queries.ts'
import type { UploadRecord } from './uploads-repository.ts'

interface RemovalOptions {
  readonly engine: Engine
  readonly queries: UploadQueries
  readonly discard: Discard
}

/** Deletes uploads: those that are given up, replaced or expired, and finished ones beyond a number. */
export class UploadRemovals {
  readonly #engine: Engine
  readonly #queries: UploadQueries
  readonly #discard: Discard

  constructor ({ engine, queries, discard }: RemovalOptions) {
    this.#engine = engine
    this.#queries = queries
    this.#discard = discard
  }

  /** Deletes uploads. The blobs of those that are unfinished become discarded. Returns their number. */
  * remove (condition: SQL | undefined): Rule<number> {
    const { tables: { uploads }, now } = this.#engine
    const deleted = yield * ask(writing('', db => db.delete(uploads).where(condition)
      .returning({ blobId: uploads.blobId, result: uploads.result })))
    const unfinished = deleted.filter(({ result }) => result === null).map(({ blobId }) => blobId)
    yield * together(this.#discard(unfinished, yield * now()))
    return deleted.length
  }

  /** Deletes the unfinished uploads of an owner that would put the same name. */
  * removePuts (ownerId: number, name: string): Rule<void> {
    const { uploads } = this.#engine.tables
    yield * this.remove(and(
      eq(uploads.ownerId, ownerId), isNull(uploads.linkId), isNull(uploads.result),
      eq(uploads.method, 'PUT'), eq(uploads.name, name)
    ))
  }

  /** Forgets the first finished uploads of an owner, or of a link, that has too many, a few at a time. */
  * forgetFinished ({ ownerId, linkId }: Pick<UploadRecord, 'ownerId' | 'linkId'>, maxFinished: number): Rule<void> {
    const { uploads } = this.#engine.tables
    const { finished, finishedByLink } = this.#queries
    const { surplus, first } = linkId === null ? finished : finishedByLink
    const { length } = yield * ask(surplus, { ownerId, linkId, maxFinished })
    if (length === 0) return
    const forgotten = yield * ask(first, { ownerId, linkId, surplus: length })
    yield * ask(writing('', db => db.delete(uploads)
      .where(inArray(uploads.sequence, forgotten.map(({ sequence }) => sequence)))))
  }

  async removeExpired (limit: number): Promise<boolean> {
    // Usually there is none, and a write costs a sync.
    const { anyExpired, anyWithoutLink } = this.#queries
    const found = await this.#engine.read(() => together(ask(anyExpired), ask(anyWithoutLink)))
    if (found.flat().length === 0) return false
    return this.#engine.transact(() => this.#removeSomeExpired(limit))
  }

  * #removeSomeExpired (limit: number): Rule<boolean> {
    const { tables: { uploads }, tables, clock, skippingLocked } = this.#engine
    // Those that another process is deleting are left to it.
    const some = (condition: SQL | undefined) => ask(reading('', db =>
      skippingLocked(db.select({ id: uploads.id }).from(uploads).where(condition).limit(limit))))
    // Not with OR, which uses no index.
    const found = (yield * together(some(lte(uploads.expiresAt, clock)), some(hasNoLink(tables, clock)))).flat()
    const ids = Array.from(new Set(found.map(({ id }) => id))).slice(0, limit)
    return (yield * this.remove(inArray(uploads.id, ids))) === limit
  }
}
