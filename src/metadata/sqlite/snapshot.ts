import { and, asc, gte, lt, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/better-sqlite3'
import type { Snapshot } from '../snapshot.ts'
import { copyDatabase } from './database-file.ts'
import { Database } from './driver.ts'
import { refuseNewer } from './migrations.ts'
import { accounts, files, installation, uploads } from './schema.ts'

/** Copies the database `file` into a new file `copy` and opens the copy. @throws {NewerDatabaseError} before it copies. */
export async function takeSnapshot (file: string, copy: string): Promise<Snapshot> {
  refuseNewer(file)
  await copyDatabase(file, copy)
  removeUploads(copy)
  return openSnapshot(copy)
}

/** Unfinished uploads have bytes that no backup has. */
function removeUploads (copy: string): void {
  const client = new Database(copy)
  try {
    const hasUploads = client.prepare("SELECT 1 FROM sqlite_master WHERE name = 'uploads'").get() !== undefined
    if (hasUploads) drizzle({ client }).delete(uploads).run()
  } finally {
    client.close()
  }
}

/** Opens an existing copy, read-only. @throws {NewerDatabaseError}. */
export function openSnapshot (file: string): Snapshot {
  refuseNewer(file)
  const client = new Database(file, { readonly: true, fileMustExist: true })
  try {
    const db = drizzle({ client })
    const byPrefix = db.select({ id: files.blobId, size: files.size, sha256: files.sha256 }).from(files)
      .where(and(gte(files.blobId, sql.placeholder('prefix')), lt(files.blobId, sql.placeholder('end')))).orderBy(asc(files.blobId)).prepare()
    const owners = db.select({ count: sql<number>`count(*)` }).from(accounts).get()
    const stored = db.select({ count: sql<number>`count(*)`, bytes: sql<number>`coalesce(sum(${files.size}), 0)` }).from(files).get()
    return {
      installationId: String(db.select().from(installation).get()?.id),
      totals: { accounts: Number(owners?.count), files: Number(stored?.count), bytes: Number(stored?.bytes) },
      // A range uses the index, a pattern would not. `g` follows the last hex digit.
      blobs: prefix => byPrefix.all({ prefix, end: `${prefix}g` }),
      close: () => { client.close() }
    }
  } catch (error) {
    client.close()
    throw error
  }
}
