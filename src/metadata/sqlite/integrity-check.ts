import { and, eq, gt, inArray, isNull, ne, or, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { union, unionAll } from 'drizzle-orm/sqlite-core'
import type { Metadata } from '../metadata.ts'
import type { StoredContent } from '../records.ts'
import type { Committer } from './committer.ts'
import { Database } from './driver.ts'
import { isOutdated, refuseNewer } from './migrations.ts'
import { accounts, blobLeases, discardedBlobs, files, kept, uploads } from './schema.ts'

/** Checks the database `file`, without writing to it. @throws {NewerDatabaseError}, and SQLite's error for a file that it can't read. */
export function checkDatabaseIntegrity (file: string): { isOutdated: boolean, findings: string[] } {
  refuseNewer(file)
  const client = new Database(file, { readonly: true, fileMustExist: true })
  try {
    return { isOutdated: isOutdated(client), findings: integrityErrors(client) }
  } finally {
    client.close()
  }
}

type Content = StoredContent['content']

const fileContent = { blobId: files.blobId, content: sql<Content>`'file'`, size: files.size, sha256: files.sha256, ownerId: files.ownerId, name: sql<string | null>`${files.name}` }
const keptContent = {
  blobId: kept.id,
  content: sql<Content>`CASE WHEN ${kept.name} IS NULL THEN 'version' ELSE 'trash' END`,
  size: kept.size,
  sha256: kept.sha256,
  ownerId: kept.ownerId,
  name: sql<string | null>`coalesce(${kept.name}, ${files.name})`
}

type IntegrityRepository = Pick<Metadata, 'contentsAfter' | 'referencedBlobs' | 'usageMismatches' | 'repairUsage' | 'checkIntegrity'>

export function createIntegrityRepository (db: BetterSQLite3Database, client: Database, { commit, read }: Committer): IntegrityRepository {
  // Raw SQL: in a query of one table Drizzle omits the table's name, and `id` would be the file's.
  const bytes = sql<number>`(SELECT coalesce(sum(f.size), 0) FROM files f WHERE f.owner_id = accounts.id)`
  const count = sql<number>`(SELECT count(*) FROM files f WHERE f.owner_id = accounts.id)`
  const keptBytes = sql<number>`(SELECT coalesce(sum(k.size), 0) FROM kept k WHERE k.owner_id = accounts.id)`
  // The files of deleted accounts are deleted in batches, which does not update the usage.
  const isWrong = and(isNull(accounts.removedAt), or(ne(accounts.usedBytes, bytes), ne(accounts.usedFiles, count), ne(accounts.keptBytes, keptBytes)))

  return {
    // Each part is read in the order of its own index.
    contentsAfter: (afterId, limit) => read(() => unionAll(
      db.select(fileContent).from(files).where(gt(files.blobId, afterId)),
      db.select(keptContent).from(kept).leftJoin(files, eq(files.id, kept.fileId)).where(gt(kept.id, afterId))
    ).orderBy(sql`1`).limit(limit).all()),

    referencedBlobs: blobIds => read(() => new Set(union(
      db.select({ blobId: files.blobId }).from(files).where(inArray(files.blobId, blobIds)),
      db.select({ blobId: kept.id }).from(kept).where(inArray(kept.id, blobIds)),
      db.select({ blobId: uploads.blobId }).from(uploads).where(and(inArray(uploads.blobId, blobIds), isNull(uploads.result))),
      db.select({ blobId: discardedBlobs.blobId }).from(discardedBlobs).where(inArray(discardedBlobs.blobId, blobIds)),
      db.select({ blobId: blobLeases.blobId }).from(blobLeases).where(inArray(blobLeases.blobId, blobIds))
    ).all().map(row => row.blobId))),

    // One statement reads one state: a file that is added meanwhile is in both sums or in neither.
    usageMismatches: () => read(() => db.select({
      accountId: accounts.id,
      recorded: { bytes: accounts.usedBytes, files: accounts.usedFiles, keptBytes: accounts.keptBytes },
      actual: { bytes, files: count, keptBytes }
    }).from(accounts).where(isWrong).all()),

    repairUsage: () => commit(() => { db.update(accounts).set({ usedBytes: bytes, usedFiles: count, keptBytes }).where(isWrong).run() }),

    checkIntegrity: () => read(() => integrityErrors(client))
  }
}

/** Errors in the database itself, one line each. */
function integrityErrors (client: Database): string[] {
  const lines = [...client.pragma('integrity_check') as { integrity_check: string }[]].map(row => row.integrity_check).filter(line => line !== 'ok')
  const violations = client.pragma('foreign_key_check') as { table: string, rowid: number }[]
  return [...lines, ...violations.map(({ table, rowid }) => `row ${rowid} of ${table} refers to a row that does not exist`)]
}
