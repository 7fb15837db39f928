import { constants, copyFile, mkdir, readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { and, asc, gt, inArray, isNull, ne, or, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { union } from 'drizzle-orm/sqlite-core'
import { isThere } from '../../blobs/disk/data-folder.ts'
import type { Metadata } from '../metadata.ts'
import type { Committer } from './committer.ts'
import { Database } from './driver.ts'
import { isOutdated, refuseNewer } from './migrations.ts'
import { accounts, discardedBlobs, files } from './schema.ts'

/** What SQLite, its locks and the migrations put beside a database: the ends of their names. */
const COMPANION = /^-(?:wal|shm|hold|journal)$|^\.before-\d{4}(?:\.new)?$/

/** Whether a name is that of something that belongs beside the database called `file`. */
export function isBesideDatabase (name: string, file: string): boolean {
  return name.startsWith(file) && COMPANION.test(name.slice(file.length))
}

/**
 * The database `file` itself where somebody has it open, or was killed over it, which the memory that SQLite shares shows.
 * Else a copy in `scratch`, a folder that it makes: to open the database would leave files beside it, and SQLite's
 * `immutable`, which leaves none, is not to be had from better-sqlite3.
 */
export async function findReadableDatabase (file: string, scratch: string): Promise<string> {
  const isOpen = await isThere(`${file}-shm`)
  if (!isOpen) {
    await mkdir(scratch, { mode: 0o700 })
    const parts = [basename(file), `${basename(file)}-wal`]
    const names = (await readdir(dirname(file))).filter(name => parts.includes(name))
    for (const name of names) await copyFile(join(dirname(file), name), join(scratch, name), constants.COPYFILE_FICLONE)
  }
  // Whoever opened it meanwhile may have written between two parts of the copy.
  return isOpen || await isThere(`${file}-shm`) ? file : join(scratch, basename(file))
}

/** Looks through the database `file`, which is only read. @throws {NewerDatabaseError}, and what SQLite says of a file that it can't make out. */
export function checkDatabaseIntegrity (file: string): { isBehind: boolean, findings: string[] } {
  refuseNewer(file)
  const client = new Database(file, { readonly: true, fileMustExist: true })
  try {
    return { isBehind: isOutdated(client), findings: integrityErrors(client) }
  } finally {
    client.close()
  }
}

type IntegrityRepository = Pick<Metadata, 'filesAfter' | 'referencedBlobs' | 'usageMismatches' | 'repairUsage' | 'checkIntegrity'>

export function createIntegrityRepository (db: BetterSQLite3Database, client: Database, { commit, read }: Committer): IntegrityRepository {
  // Written out: in a query of one table Drizzle leaves the table's name away, and `id` would be the file's.
  const bytes = sql<number>`(SELECT coalesce(sum(f.size), 0) FROM files f WHERE f.owner_id = accounts.id)`
  const count = sql<number>`(SELECT count(*) FROM files f WHERE f.owner_id = accounts.id)`
  // The files of people who are gone go batch by batch, and nobody counts them any more.
  const isWrong = and(isNull(accounts.removedAt), or(ne(accounts.usedBytes, bytes), ne(accounts.usedFiles, count)))

  return {
    filesAfter: (afterId, limit) => read(() => db.select().from(files).where(gt(files.id, afterId)).orderBy(asc(files.id)).limit(limit).all()),

    referencedBlobs: blobIds => read(() => new Set(union(
      db.select({ blobId: files.blobId }).from(files).where(inArray(files.blobId, blobIds)),
      db.select({ blobId: discardedBlobs.blobId }).from(discardedBlobs).where(inArray(discardedBlobs.blobId, blobIds))
    ).all().map(row => row.blobId))),

    // One statement sees one state: a file that arrives meanwhile is in both numbers or in neither.
    usageMismatches: () => read(() => db.select({ accountId: accounts.id, usedBytes: accounts.usedBytes, usedFiles: accounts.usedFiles, bytes, count })
      .from(accounts).where(isWrong).all()
      .map(row => ({ accountId: row.accountId, recorded: { bytes: row.usedBytes, files: row.usedFiles }, actual: { bytes: row.bytes, files: row.count } }))),

    repairUsage: () => commit(() => { db.update(accounts).set({ usedBytes: bytes, usedFiles: count }).where(isWrong).run() }),

    checkIntegrity: () => read(() => integrityErrors(client))
  }
}

/** What is wrong with a database itself, a line each. */
export function integrityErrors (client: Database): string[] {
  const lines = [...client.pragma('integrity_check') as { integrity_check: string }[]].map(row => row.integrity_check).filter(line => line !== 'ok')
  const violations = client.pragma('foreign_key_check') as { table: string, rowid: number }[]
  return [...lines, ...violations.map(({ table, rowid }) => `row ${rowid} of ${table} belongs to nothing`)]
}
