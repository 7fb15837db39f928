import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import t, { type Test } from 'tap'
import { openPostgresMetadata, type PostgresMetadata, type PostgresOptions } from '#src/metadata/postgres/postgres.ts'
import { OperatorError } from '#src/problems.ts'
import { newFolder } from '../kit/folders.ts'
import { startPostgres } from '../kit/postgres.ts'
import { sizes } from '../kit/sizes.ts'
import { until } from '../kit/waiting.ts'

/** The lock of all processes that upgrade a database. */
const LOCK = '1298229097, 1'

const FILES = sizes.filesToUpgrade

const server = await startPostgres(t)

/** The migrations of this version, and one of a next version. */
const migrationsFolder = join(newFolder(t), 'migrations')
await cp('drizzle/postgres', migrationsFolder, { recursive: true })
const file = join(migrationsFolder, 'meta/_journal.json')
const journal = JSON.parse(await readFile(file, 'utf8')) as { entries: { when: number }[] }
const next = { idx: journal.entries.length, version: '7', when: Number(journal.entries.at(-1)?.when) + 1, tag: '9999_next', breakpoints: true }
await writeFile(file, JSON.stringify({ ...journal, entries: [...journal.entries, next] }))
await writeFile(join(migrationsFolder, '9999_next.sql'), 'ALTER TABLE files ADD COLUMN note text')

/** The address of a database that this version made, with one account and its files. */
async function oldDatabase (files: number): Promise<string> {
  const url = await server.newDatabase()
  await (await openPostgresMetadata({ url })).close()
  await server.run(url, `INSERT INTO accounts (username, username_key, password_hash, created_at, used_bytes, used_files) VALUES ('ada', 'ada', 'hash', 1, ${files}, ${files});
    INSERT INTO files (owner_id, name, size, type, sha256, blob_id, created_at, updated_at, stored_at)
      SELECT 1, 'file ' || n, 1, 'text/plain', repeat('0', 64), md5(n::text), n, n, n FROM generate_series(1, ${files}) n`)
  return url
}

const isUpgraded = (url: string) => server.run(url, "SELECT FROM information_schema.columns WHERE column_name = 'note'").then(rows => rows.length > 0)

/** Opens a database as the next version does. */
async function upgrade (t: Test, options: PostgresOptions): Promise<PostgresMetadata> {
  const metadata = await openPostgresMetadata({ ...options, migrationsFolder })
  t.teardown(() => metadata.close())
  return metadata
}

/** A connection of a server or command. */
async function connectAs (t: Test, url: string, application: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: application })
  await client.connect()
  let ended: Promise<void> | undefined
  const end = client.end.bind(client)
  client.end = (() => (ended ??= end())) as typeof client.end
  t.teardown(() => client.end())
  return client
}

t.test('a database is not upgraded while a server of an older version uses it', async t => {
  const url = await oldDatabase(3)
  await connectAs(t, await server.newDatabase(), 'magicstore 0a1b2c3d other-database')
  await connectAs(t, url, 'psql')
  const older = await connectAs(t, url, 'magicstore 12345678 web1')
  const upgrades: number[] = []
  const options = { url, onUpgrade: (files: number) => { upgrades.push(files) } }
  await t.rejects(upgrade(t, options), { constructor: OperatorError, message: /an older version of MagicStore, which can't use the upgraded database, is connected: magicstore 12345678 web1; stop all/ })
  t.notOk(await isUpgraded(url))

  await older.end()
  const all = await Promise.all(Array.from({ length: 5 }, () => upgrade(t, options)))
  t.strictSame(upgrades, [3], 'servers that start together upgrade it once, and refuse each other never')
  t.strictSame((await all[4]?.files.list(1, { order: 'name', folder: undefined, prefix: undefined, limit: 9, after: undefined }))?.map(({ name }) => name), ['file 1', 'file 2', 'file 3'])
  t.strictSame(await all[0]?.accounts.usageMismatches(), [])
  t.ok(await isUpgraded(url))
})

t.test('a server of an older version that starts during the upgrade undoes it', async t => {
  const url = await oldDatabase(3)
  const holder = await connectAs(t, url, 'psql')
  await holder.query(`SELECT pg_advisory_lock(${LOCK})`)
  const opened = upgrade(t, { url }).then(() => undefined, (error: unknown) => error)
  await until(async () => (await server.run(url, "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")).length > 0)
  const older = await connectAs(t, url, 'magicstore 12345678 web1')
  await holder.end()
  t.match(await opened, { constructor: OperatorError, message: /older version.*web1/ })
  t.notOk(await isUpgraded(url))
  await older.end()
  await upgrade(t, { url })
})

t.test('a role that may only use the tables is told whose they are, and how to upgrade them', async t => {
  const url = new URL(await oldDatabase(0))
  await server.run(url.href, `CREATE ROLE guest LOGIN PASSWORD 'guest'; GRANT USAGE ON SCHEMA drizzle TO guest;
    GRANT SELECT ON ALL TABLES IN SCHEMA drizzle TO guest; GRANT UPDATE ON ALL TABLES IN SCHEMA public TO guest`)
  Object.assign(url, { username: 'guest', password: 'guest' })
  await t.rejects(upgrade(t, { url: url.href }), { constructor: OperatorError, message: /role guest can't upgrade the tables, which belong to postgres; .*GRANT postgres TO guest/ })
})

t.test('many files are upgraded', async t => {
  const url = await oldDatabase(FILES)
  const upgrades: number[] = []
  const metadata = await upgrade(t, { url, onUpgrade: files => { upgrades.push(files) } })
  t.strictSame(upgrades, [FILES])
  t.match(await metadata.files.find(1, `file ${FILES}`), { name: `file ${FILES}`, size: 1 })
})
