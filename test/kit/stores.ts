import { randomUUID } from 'node:crypto'
import { readdirSync, readlinkSync, realpathSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tap from 'tap'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { textOf } from './places.ts'
import type { PostgresServer } from './postgres.ts'
import type { FakeS3 } from './s3.ts'
import { until } from './waiting.ts'

// Where the servers of a test file keep metadata and bytes: SQLite and a folder, or what TEST_STORE says.

const kind = process.env.TEST_STORE ?? 'sqlite-folder'
if (!['sqlite-folder', 'sqlite-s3', 'postgres-folder', 'postgres-s3'].includes(kind)) throw new Error(`TEST_STORE: there is no ${kind}`)

const isInSqlite = kind.startsWith('sqlite')

/** Whether the bytes are files. */
export const isInFolder = kind.endsWith('folder')

/** For the option `skip` of a test that reads or changes the file of SQLite. */
export const skipWithoutSqlite = !isInSqlite && 'the metadata is not in a file of SQLite'

/** For the option `skip` of a test that reads or changes the files with the bytes. */
export const skipWithoutFolder = !isInFolder && 'the bytes are not in a folder'

/** Started by the first server of this process. */
let postgres: Promise<PostgresServer> | undefined
let bucket: Promise<{ s3: FakeS3, credentials: Record<string, string> }> | undefined

// Both are loaded on demand: most test files use SQLite and a folder.

const startDatabases = async () => (await import('./postgres.ts')).startPostgres(tap)

async function startBucket () {
  const { credentials, startS3 } = await import('./s3.ts')
  const folder = await mkdtemp(join(tmpdir(), 'magicstore-s3-'))
  const s3 = await startS3(folder)
  tap.teardown(async () => { await s3.stop(); await rm(folder, { recursive: true }) })
  // The AWS SDK reads its credentials from the environment.
  Object.assign(process.env, credentials)
  return { s3, credentials }
}

/** The database that belongs to a data folder, as long as it is there. */
async function databaseOf (dataDir: string) {
  const server = await (postgres ??= startDatabases())
  return { server, url: await server.databaseOf(dataDir) }
}

/** The prefix of all keys in the bucket that belong to a data folder. */
const prefixOf = (dataDir: string) => textOf(dataDir, 'prefix', randomUUID)

/** The settings with which servers and commands use the store of a data folder. A new folder has an empty one. */
export async function storeSettings (dataDir: string): Promise<Record<string, string>> {
  const settings = isInSqlite ? {} : { DATABASE_URL: (await databaseOf(dataDir)).url }
  if (isInFolder) return settings
  const { s3, credentials } = await (bucket ??= startBucket())
  // Deleted bytes go at once, as in a folder.
  return { ...settings, STORAGE_URL: s3.url(await prefixOf(dataDir)), BLOB_GRACE_SECONDS: '0', ...credentials }
}

/** Runs SQL in the database of a store, behind the back of its servers. */
export async function runSql (dataDir: string, sql: string): Promise<Record<string, unknown>[]> {
  if (!isInSqlite) {
    const { server, url } = await databaseOf(dataDir)
    return server.run(url, sql)
  }
  const database = new Database(join(dataDir, 'magicstore.db'))
  try {
    const statement = database.prepare(sql)
    if (statement.reader) return statement.all() as Record<string, unknown>[]
    statement.run()
    return []
  } finally {
    database.close()
  }
}

/** The columns of a file that a copy of its row has too: all but those that are unique or computed. */
export async function copiedColumns (dataDir: string): Promise<string> {
  const others = ['id', 'name', 'blob_id', 'sort_key', 'changed_at', 'taken', 'kind']
  const [row = {}] = await runSql(dataDir, 'SELECT * FROM files LIMIT 1')
  return Object.keys(row).filter(name => !others.includes(name)).join()
}

/** From now on the database of a store fails each update of a table. */
export async function refuseUpdates (dataDir: string, table: string): Promise<void> {
  if (isInSqlite) {
    await runSql(dataDir, `CREATE TRIGGER refuse BEFORE UPDATE ON ${table} BEGIN SELECT RAISE(ABORT, 'no'); END`)
    return
  }
  await runSql(dataDir, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
    CREATE TRIGGER refuse BEFORE UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION refuse()`)
}

export async function allowUpdates (dataDir: string, table: string): Promise<void> {
  await runSql(dataDir, isInSqlite ? 'DROP TRIGGER refuse' : `DROP TRIGGER refuse ON ${table}`)
}

/** Everything that the database of a store contains, as one text. */
export async function textOfDatabase (dataDir: string): Promise<string> {
  if (isInSqlite) {
    const files = (await readdir(dataDir, { withFileTypes: true })).filter(entry => entry.isFile())
    return (await Promise.all(files.map(({ name }) => readFile(join(dataDir, name), 'latin1')))).join('')
  }
  const tables = await runSql(dataDir, "SELECT quote_ident(table_name) AS name FROM information_schema.tables WHERE table_schema = 'public'")
  const rows = await Promise.all(tables.map(({ name }) => runSql(dataDir, `SELECT row::text AS text FROM ${String(name)} AS row`)))
  return rows.flat().map(({ text }) => String(text)).join('\n')
}

/** How many uploads have begun and not ended. */
export async function uploadsBegun (dataDir: string): Promise<number> {
  if (isInFolder) return (await readdir(join(dataDir, 'incoming'))).length
  return (await runSql(dataDir, 'SELECT 1 FROM blob_leases')).length
}

/** The names of all that is stored of bytes: of blobs, and of parts of them. */
export async function storedBlobs (dataDir: string): Promise<string[]> {
  if (isInFolder) {
    const filesIn = async (folder: string) =>
      (await readdir(join(dataDir, folder), { recursive: true, withFileTypes: true })).filter(entry => entry.isFile())
    // In this order: a blob that is moved meanwhile is in both, and not in neither.
    const files = [...await filesIn('incoming'), ...await filesIn('blobs')]
    return Array.from(new Set(files.map(({ name }) => name)))
  }
  const { s3 } = await (bucket ??= startBucket())
  const prefix = await prefixOf(dataDir)
  return [...s3.objects(), ...s3.uploads()].filter(key => key.startsWith(`${prefix}/`))
}

/** The paths of all blobs in a data folder, once all of them are committed, which is shortly after the answer. */
export async function blobFiles (dataDir: string): Promise<string[]> {
  await until(async () => (await readdir(join(dataDir, 'incoming'))).length === 0)
  const entries = await readdir(join(dataDir, 'blobs'), { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
}

/** The blob files in a data folder that this process has open. */
export function openHandles (dataDir: string): string[] {
  // A test with a thousand connections asks again and again.
  const folders = ['incoming', 'blobs'].map(name => `${join(realpathSync(dataDir), name)}/`)
  const targets = readdirSync('/proc/self/fd').map(fd => { try { return readlinkSync(`/proc/self/fd/${fd}`) } catch { return '' } })
  return targets.filter(target => folders.some(folder => target.startsWith(folder)))
}
