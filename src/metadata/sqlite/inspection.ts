import type Database from 'better-sqlite3'
import { and, asc, gt, inArray, isNull, ne, or, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { union } from 'drizzle-orm/sqlite-core'
import type { Metadata } from '../metadata.ts'
import type { Committer } from './committer.ts'
import { accounts, discardedBlobs, files } from './schema.ts'

type InspectionActs = Pick<Metadata, 'filesAfter' | 'claimedBlobs' | 'wrongUsage' | 'repairUsage' | 'integrityFindings'>

export function createInspectionActs (db: BetterSQLite3Database, client: Database.Database, { commit, read }: Committer): InspectionActs {
  // Written out: in a query of one table Drizzle leaves the table's name away, and `id` would be the file's.
  const bytes = sql<number>`(SELECT coalesce(sum(f.size), 0) FROM files f WHERE f.owner_id = accounts.id)`
  const count = sql<number>`(SELECT count(*) FROM files f WHERE f.owner_id = accounts.id)`
  // The files of people who are gone go batch by batch, and nobody counts them any more.
  const isWrong = and(isNull(accounts.removedAt), or(ne(accounts.usedBytes, bytes), ne(accounts.usedFiles, count)))

  return {
    filesAfter: (afterId, limit) => read(() => db.select().from(files).where(gt(files.id, afterId)).orderBy(asc(files.id)).limit(limit).all()),

    claimedBlobs: blobIds => read(() => new Set(union(
      db.select({ blobId: files.blobId }).from(files).where(inArray(files.blobId, blobIds)),
      db.select({ blobId: discardedBlobs.blobId }).from(discardedBlobs).where(inArray(discardedBlobs.blobId, blobIds))
    ).all().map(row => row.blobId))),

    // One statement sees one state: a file that arrives meanwhile is in both numbers or in neither.
    wrongUsage: () => read(() => db.select({ accountId: accounts.id, usedBytes: accounts.usedBytes, usedFiles: accounts.usedFiles, bytes, count })
      .from(accounts).where(isWrong).all()
      .map(row => ({ accountId: row.accountId, recorded: { bytes: row.usedBytes, files: row.usedFiles }, actual: { bytes: row.bytes, files: row.count } }))),

    repairUsage: () => commit(() => { db.update(accounts).set({ usedBytes: bytes, usedFiles: count }).where(isWrong).run() }),

    integrityFindings: () => read(() => findDamage(client))
  }
}

/** What is wrong with a database itself, a line each. */
export function findDamage (client: Database.Database): string[] {
  const lines = [...client.pragma('integrity_check') as { integrity_check: string }[]].map(row => row.integrity_check).filter(line => line !== 'ok')
  const strays = client.pragma('foreign_key_check') as { table: string, rowid: number }[]
  return [...lines, ...strays.map(({ table, rowid }) => `row ${rowid} of ${table} belongs to nothing`)]
}
