import { and, asc, between, desc, eq, gt, gte, inArray, isNull, lt, ne, sql, type SQL } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { Problem } from '../../problems.ts'
import type { Metadata } from '../metadata.ts'
import { refuseBeyondQuota } from '../quota.ts'
import type { FileOrder, FilePage, FilePosition, FileRecord, NewFile, Quota } from '../records.ts'
import { limitedTo } from './bounds.ts'
import type { Committer } from './committer.ts'
import { isUniqueViolation } from './failures.ts'
import type { RetentionLockWatch } from './retention-lock.ts'
import { accounts, discardedBlobs, files } from './schema.ts'

type FileRepository = Pick<Metadata, 'addFile' | 'putFile' | 'findFile' | 'hasFileOfSize' | 'listFiles' | 'renameFile' | 'redateFile' | 'removeFile' | 'knownBlobs' | 'discardedBlobs' | 'forgetDiscarded'>

/** Column and direction of each order. */
const sorting = {
  name: { column: files.name, isAscending: true },
  '-name': { column: files.name, isAscending: false },
  oldest: { column: files.createdAt, isAscending: true },
  newest: { column: files.createdAt, isAscending: false },
  smallest: { column: files.size, isAscending: true },
  largest: { column: files.size, isAscending: false }
} as const satisfies Record<FileOrder, unknown>

export function createFileRepository (db: BetterSQLite3Database, { commit, read }: Committer, hold: RetentionLockWatch): FileRepository {
  const byName = db.select().from(files).where(and(eq(files.ownerId, sql.placeholder('ownerId')), eq(files.name, sql.placeholder('name')))).prepare()
  const find = (ownerId: number, name: string): FileRecord | undefined => byName.get({ ownerId, name })

  const insert = db.insert(files).values({
    ownerId: sql.placeholder('ownerId'),
    name: sql.placeholder('name'),
    size: sql.placeholder('size'),
    type: sql.placeholder('type'),
    sha256: sql.placeholder('sha256'),
    blobId: sql.placeholder('blobId'),
    createdAt: sql.placeholder('now'),
    updatedAt: sql.placeholder('now'),
    isDateShared: sql.placeholder('isDateShared')
  }).returning().prepare()
  const departures = createDepartures()
  const discard = db.insert(discardedBlobs).values({ blobId: sql.placeholder('blobId') }).prepare()
  const oldestDiscarded = db.select({ blobId: discardedBlobs.blobId }).from(discardedBlobs).orderBy(limitedTo(asc(discardedBlobs.id), sql.placeholder('limit'))).prepare()
  const forget = db.delete(discardedBlobs).where(eq(discardedBlobs.blobId, sql.placeholder('blobId'))).prepare()
  const remove = db.delete(files).where(eq(files.id, sql.placeholder('id'))).prepare()
  const usage = db.select({ bytes: accounts.usedBytes, files: accounts.usedFiles }).from(accounts).where(and(eq(accounts.id, sql.placeholder('ownerId')), isNull(accounts.removedAt))).prepare()
  const charge = db.update(accounts).set({
    usedBytes: sql`${accounts.usedBytes} + ${sql.placeholder('bytes')}`,
    usedFiles: sql`${accounts.usedFiles} + ${sql.placeholder('files')}`
  }).where(eq(accounts.id, sql.placeholder('ownerId'))).prepare()

  function occupy (ownerId: number, change: { bytes: number, files: number }, quota: Quota): void {
    const used = usage.get({ ownerId })
    // The person was deleted while their upload was under way.
    if (used === undefined) throw new Problem('not_found')
    refuseBeyondQuota('bytes', { used: used.bytes, added: change.bytes, limit: quota.bytes })
    refuseBeyondQuota('files', { used: used.files, added: change.files, limit: quota.files })
    charge.run({ ownerId, ...change })
  }

  function create (file: NewFile, quota: Quota): FileRecord {
    occupy(file.ownerId, { bytes: file.size, files: 1 }, quota)
    return insert.get({ ...file, isDateShared: departures.has(file.ownerId, file.name, file.now) })
  }

  function replace (current: FileRecord, { size, type, sha256, blobId, now }: NewFile, quota: Quota): FileRecord {
    occupy(current.ownerId, { bytes: size - current.size, files: 0 }, quota)
    discard.run({ blobId: current.blobId })
    const updatedAt = later(current, now)
    const isDateShared = secondOf(current.updatedAt) === secondOf(updatedAt)
    return db.update(files).set({ size, type, sha256, blobId, updatedAt, isDateShared }).where(eq(files.id, current.id)).returning().get()
  }

  return {
    addFile: (file, quota) => commit(() => {
      const current = find(file.ownerId, file.name)
      if (current === undefined) return { file: create(file, quota), isNew: true }
      if (current.sha256 !== file.sha256 || current.size !== file.size) throw new Problem('name_taken')
      return { file: current, isNew: false }
    }),

    putFile: (file, quota, permits) => commit(() => {
      const current = find(file.ownerId, file.name)
      if (!permits(current)) throw new Problem('precondition_failed')
      return current === undefined
        ? { file: create(file, quota), isNew: true }
        : { file: replace(current, file, quota), isNew: false }
    }),

    findFile: (ownerId, name) => read(() => find(ownerId, name)),

    hasFileOfSize: (ownerId, { least, most }) => read(() => db.select({ id: files.id }).from(files)
      .where(and(eq(files.ownerId, ownerId), between(files.size, least, most))).limit(1).get() !== undefined),

    listFiles: (ownerId, page) => read(() => db.select().from(files)
      .where(and(eq(files.ownerId, ownerId), within(page)))
      .orderBy(...ordering(page.order)).limit(page.limit).all()),

    renameFile: (ownerId, name, newName, now) => commit(() => {
      const current = find(ownerId, name)
      if (current === undefined) throw new Problem('not_found')
      if (newName === name) return current
      try {
        const updatedAt = later(current, now)
        const isDateShared = departures.has(ownerId, newName, updatedAt)
        const renamed = db.update(files).set({ name: newName, updatedAt, isDateShared }).where(eq(files.id, current.id)).returning().get()
        departures.add(current)
        return renamed
      } catch (error) {
        if (isUniqueViolation(error)) throw new Problem('name_taken', { cause: error })
        throw error
      }
    }),

    redateFile: (ownerId, name, now) => commit(() => {
      // Which other bytes had the name in this second is not known.
      db.update(files).set({ updatedAt: now, isDateShared: true }).where(and(eq(files.ownerId, ownerId), eq(files.name, name), gt(files.updatedAt, now))).run()
    }),

    removeFile: (ownerId, name, permits) => commit(() => {
      const current = find(ownerId, name)
      if (current === undefined) throw new Problem('not_found')
      if (!permits(current)) throw new Problem('precondition_failed')
      discard.run({ blobId: current.blobId })
      charge.run({ ownerId, bytes: -current.size, files: -1 })
      remove.run({ id: current.id })
      departures.add(current)
    }),

    knownBlobs: blobIds => read(() => new Set(db.select({ blobId: files.blobId }).from(files).where(inArray(files.blobId, blobIds)).all().map(row => row.blobId))),

    discardedBlobs: limit => read(() => {
      const ids = oldestDiscarded.all({ limit }).map(row => row.blobId)
      // In this order: what was discarded before a moment without a hold is in no snapshot of a later one.
      return hold.isHeld() ? [] : ids
    }),

    forgetDiscarded: blobIds => commit(() => { for (const blobId of blobIds) forget.run({ blobId }) })
  }
}

interface Departures {
  /** The file loses its name, with the date that it had. */
  add (file: FileRecord): void
  /** Whether another file had the name, and a date in the same second. */
  has (ownerId: number, name: string, at: number): boolean
}

/** Names that lost their file in the latest second: who gets one of them in that second gets its date as well (RFC 9110 section 8.8.2.2). */
function createDepartures (): Departures {
  let second = -Infinity
  const names = new Set<string>()
  const keyOf = (ownerId: number, name: string) => `${ownerId}/${name}`
  return {
    add ({ ownerId, name, updatedAt }) {
      if (secondOf(updatedAt) < second) return
      if (secondOf(updatedAt) > second) names.clear()
      second = secondOf(updatedAt)
      names.add(keyOf(ownerId, name))
    },
    has: (ownerId, name, at) => secondOf(at) === second && names.has(keyOf(ownerId, name))
  }
}

/** Seconds, as a date in a header tells them. */
function secondOf (milliseconds: number): number {
  return Math.floor(milliseconds / 1000)
}

/** A clock set back must not make a change look older than what it changed. */
function later (current: FileRecord, now: number): number {
  return Math.max(current.updatedAt, now)
}

function ordering (order: FileOrder): SQL[] {
  const { column, isAscending } = sorting[order]
  const direction = isAscending ? asc : desc
  return [direction(column), direction(files.id)]
}

/** A row value is compared as a whole, so that the index is entered at the place where the last page ended. */
function within ({ order, prefix = '', after }: FilePage): SQL | undefined {
  const { column, isAscending } = sorting[order]
  if (column === files.name) return isAscending ? ascendingNames(prefix, after) : descendingNames(prefix, after)
  if (after === undefined) return undefined
  return isAscending
    ? sql`(${column}, ${files.id}) > (${after.key}, ${after.id})`
    : sql`(${column}, ${files.id}) < (${after.key}, ${after.id})`
}

/** One bound on each side: of two, SQLite enters the index at one and walks from there to the other, 100,000 files in 8 ms. */
function ascendingNames (prefix: string, after: FilePosition | undefined): SQL | undefined {
  return after === undefined
    ? and(gte(files.name, prefix), lt(files.name, endOf(prefix)))
    : and(gte(files.name, sql`max(${prefix}, ${after.key})`), ne(files.name, String(after.key)), lt(files.name, endOf(prefix)))
}

function descendingNames (prefix: string, after: FilePosition | undefined): SQL | undefined {
  return and(gte(files.name, prefix), lt(files.name, after === undefined ? endOf(prefix) : sql`min(${endOf(prefix)}, ${after.key})`))
}

/** What every name with this prefix is less than; any text is less than a blob. */
function endOf (prefix: string): SQL {
  const end = successor(prefix)
  return end === undefined ? sql`x''` : sql`${end}`
}

/** The least string that is greater than every string with this prefix, in code point order; undefined where none is. */
function successor (prefix: string): string | undefined {
  const points = Array.from(prefix, character => Number(character.codePointAt(0)))
  while (points.at(-1) === 0x10FFFF) points.pop()
  const last = points.pop()
  if (last === undefined) return undefined
  // U+D800 to U+DFFF are surrogates, no code points of text.
  return String.fromCodePoint(...points, last === 0xD7FF ? 0xE000 : last + 1)
}
