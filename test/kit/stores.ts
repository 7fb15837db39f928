import { readdirSync, readlinkSync, realpathSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tap from 'tap'
import { Database } from '#src/metadata/sqlite/driver.ts'
import type { PostgresServer } from './postgres.ts'
import type { FakeS3 } from './s3.ts'
import { until } from './waiting.ts'

// Where the servers of a test file keep metadata and bytes: SQLite and a folder, or what TEST_STORE says.

const kind = process.env.TEST_STORE ?? 'sqlite-folder'
if (!['sqlite-folder', 'postgres-folder', 'postgres-s3'].includes(kind)) throw new Error(`TEST_STORE: there is no ${kind}`)

/** Whether the bytes are files. */
export const isInFolder = kind !== 'postgres-s3'

/** For the option `skip` of a test that reads or changes the file of SQLite. */
export const skipWithoutSqlite = kind !== 'sqlite-folder' && 'the metadata is not in a file of SQLite'

/** For the option `skip` of a test that reads or changes the files with the bytes. */
export const skipWithoutFolder = !isInFolder && 'the bytes are not in a folder'

/** Started by the first server of this process. */
let services: Promise<{
  postgres: PostgresServer, s3: FakeS3, credentials: Record<string, string>, newDatabase: () => Promise<string>
}> | undefined

async function startServices () {
  // Loaded on demand: most test files use SQLite and a folder.
  const { startPostgres } = await import('./postgres.ts')
  const { openPostgresMetadata } = await import('#src/metadata/postgres/postgres.ts')
  const { credentials, startS3 } = await import('./s3.ts')
  const postgres = await startPostgres(tap)
  const template = await postgres.newDatabase()
  await (await openPostgresMetadata({ url: template })).close()
  const folder = await mkdtemp(join(tmpdir(), 'magicstore-s3-'))
  const s3 = await startS3(folder)
  tap.teardown(async () => { await s3.stop(); await rm(folder, { recursive: true }) })
  /** A copy takes a third of the time of the migrations. */
  async function newDatabase (): Promise<string> {
    const url = await postgres.newDatabase(template)
    await postgres.run(url, 'UPDATE installation SET id = gen_random_uuid()')
    return url
  }
  return { postgres, s3, credentials, newDatabase }
}

/** The database and the prefix in the bucket that belong to a data folder, as long as it is there. */
async function placeOf (dataDir: string) {
  const { postgres, s3, credentials, newDatabase } = await (services ??= startServices())
  const database = await postgres.databaseOf(dataDir, newDatabase)
  return { postgres, s3, credentials, database, prefix: new URL(database).pathname.slice(1) }
}

/** The settings with which servers and commands use the store of a data folder. A new folder has an empty one. */
export async function storeSettings (dataDir: string): Promise<Record<string, string>> {
  if (kind === 'sqlite-folder') return {}
  const { s3, credentials, database, prefix } = await placeOf(dataDir)
  if (kind === 'postgres-folder') return { DATABASE_URL: database }
  // The AWS SDK reads its credentials from the environment.
  Object.assign(process.env, credentials)
  // Deleted bytes go at once, as in a folder.
  return { DATABASE_URL: database, STORAGE_URL: s3.url(prefix), BLOB_GRACE_SECONDS: '0', ...credentials }
}

/** Runs SQL in the database of a store, behind the back of its servers. */
export async function runSql (dataDir: string, sql: string): Promise<Record<string, unknown>[]> {
  if (kind !== 'sqlite-folder') {
    const { postgres, database } = await placeOf(dataDir)
    return postgres.run(database, sql)
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

/** From now on the database of a store fails each update of a table. */
export async function refuseUpdates (dataDir: string, table: string): Promise<void> {
  if (kind === 'sqlite-folder') {
    await runSql(dataDir, `CREATE TRIGGER refuse BEFORE UPDATE ON ${table} BEGIN SELECT RAISE(ABORT, 'no'); END`)
    return
  }
  await runSql(dataDir, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
    CREATE TRIGGER refuse BEFORE UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION refuse()`)
}

export async function allowUpdates (dataDir: string, table: string): Promise<void> {
  await runSql(dataDir, kind === 'sqlite-folder' ? 'DROP TRIGGER refuse' : `DROP TRIGGER refuse ON ${table}`)
}

/** Everything that the database of a store contains, as one text. */
export async function textOfDatabase (dataDir: string): Promise<string> {
  if (kind === 'sqlite-folder') {
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
  return (await runSql(dataDir, 'SELECT FROM blob_leases')).length
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
  const { s3, prefix } = await placeOf(dataDir)
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
