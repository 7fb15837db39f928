import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import t, { type Test } from 'tap'
import { openPostgresMetadata, type PostgresMetadata, type PostgresOptions } from '#src/metadata/postgres/postgres.ts'
import { OperatorError } from '#src/problems.ts'
import { runCommand } from '../kit/commands.ts'
import { startPostgres } from '../kit/postgres.ts'
import { spawnServer } from '../kit/server.ts'
import { sizes } from '../kit/sizes.ts'
import { until } from '../kit/waiting.ts'

/** The last migration before the first one that older servers can't work with. */
const LAST_OLD = '0011_events_outlive_accounts'

/** The lock of all processes that upgrade a database. */
const LOCK = '1298229097, 1'

const FILES = sizes.filesToUpgrade

const server = await startPostgres(t)

/** The address of a database that the version before made, with one account and its files. */
async function oldDatabase (t: Test, files: number): Promise<string> {
  const url = await server.newDatabase()
  const migrationsFolder = join(t.testdir(), 'migrations')
  await cp('drizzle/postgres', migrationsFolder, { recursive: true })
  const file = join(migrationsFolder, 'meta/_journal.json')
  const journal = JSON.parse(await readFile(file, 'utf8')) as { entries: { tag: string }[] }
  const entries = journal.entries.slice(0, journal.entries.findIndex(({ tag }) => tag === LAST_OLD) + 1)
  await writeFile(file, JSON.stringify({ ...journal, entries }))
  await (await openPostgresMetadata({ url, migrationsFolder })).close()
  await server.run(url, `INSERT INTO accounts (username, username_key, password_hash, created_at, used_bytes, used_files) VALUES ('ada', 'ada', 'hash', 1, ${files}, ${files});
    INSERT INTO files (owner_id, name, size, type, sha256, blob_id, created_at, updated_at, stored_at)
      SELECT 1, 'file ' || n, 1, 'text/plain', repeat('0', 64), md5(n::text), n, n, n FROM generate_series(1, ${files}) n`)
  return url
}

async function open (t: Test, options: PostgresOptions): Promise<PostgresMetadata> {
  const metadata = await openPostgresMetadata(options)
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

const countFunctions = (url: string) => server.run(url, "SELECT FROM pg_proc WHERE pronamespace = 'public'::regnamespace").then(rows => rows.length)

t.test('a database is not upgraded while a server of an older version uses it, which start and doctor say in the same words', async t => {
  const url = await oldDatabase(t, 3)
  await connectAs(t, await server.newDatabase(), 'magicstore 0a1b2c3d other-database')
  await connectAs(t, url, 'psql')
  const older = await connectAs(t, url, 'magicstore 12345678 web1')
  const refusal = /an older version of MagicStore, which can't use the upgraded database, is connected: magicstore 12345678 web1; stop all/
  const upgrades: number[] = []
  const options = { url, onUpgrade: (files: number) => { upgrades.push(files) } }
  await t.rejects(openPostgresMetadata(options), { constructor: OperatorError, message: refusal })
  const start = await runCommand(['serve'], { DATABASE_URL: url, DATA_DIR: join(t.testdirName, 'data'), PORT: '0' })
  t.match(start, { code: 1, stdout: '', stderr: /^magicstore: [^\n]+\n$/ })
  t.match(start.stderr, refusal)
  const { code, stdout } = await runCommand(['doctor', '--json'], { DATABASE_URL: url, DATA_DIR: join(t.testdirName, 'data') })
  const found = stdout.trim().split('\n').map(line => JSON.parse(line)).find(({ check }) => check === 'database')
  t.equal(code, 1)
  t.match(`${found.message}; ${found.remedy}`, refusal)
  t.not(await countFunctions(url), 0, 'nothing has changed')

  await older.end()
  const all = await Promise.all(Array.from({ length: 5 }, () => open(t, options)))
  t.strictSame(upgrades, [3], 'servers that start together upgrade it once, and refuse each other never')
  t.strictSame((await all[4]?.files.list(1, { order: 'name', folder: undefined, prefix: undefined, limit: 9, after: undefined }))?.map(({ name }) => name), ['file 1', 'file 2', 'file 3'])
  t.strictSame(await all[0]?.accounts.usageMismatches(), [])
  t.equal(await countFunctions(url), 0)
})

t.test('a server of an older version that starts during the upgrade undoes it', async t => {
  const url = await oldDatabase(t, 3)
  const holder = await connectAs(t, url, 'psql')
  await holder.query(`SELECT pg_advisory_lock(${LOCK})`)
  const opened = openPostgresMetadata({ url }).then(() => undefined, (error: unknown) => error)
  await until(async () => (await server.run(url, "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")).length > 0)
  const older = await connectAs(t, url, 'magicstore 12345678 web1')
  await holder.end()
  t.match(await opened, { constructor: OperatorError, message: /older version.*web1/ })
  t.strictSame(await server.run(url, "SELECT FROM information_schema.columns WHERE column_name = 'folder_id'"), [])
  await older.end()
  await open(t, { url })
})

t.test('many files are upgraded, and a start says of how many files; who signed in with a password may make links', async t => {
  const many = await oldDatabase(t, FILES)
  const upgrades: number[] = []
  const metadata = await open(t, { url: many, onUpgrade: files => { upgrades.push(files) } })
  t.strictSame(upgrades, [FILES])
  t.match(await metadata.files.find(1, `file ${FILES}`), { name: `file ${FILES}`, size: 1 })
  t.strictSame(await server.run(many, 'SELECT count(*)::int AS count FROM files WHERE folder_id = 0'), [{ count: FILES }])

  const url = await oldDatabase(t, 0)
  const before = 'files:read files:write account'
  await server.run(url, `INSERT INTO tokens (id, account_id, kind, parent_id, name, scopes, secret_hash, created_at, expires_at) VALUES
    (1, 1, 'access', NULL, NULL, '${before}', NULL, 1, 9), (2, 1, 'session', NULL, NULL, '${before}', 'a', 1, 9), (3, 1, 'access', 2, NULL, '${before}', NULL, 1, 9),
    (4, 1, 'personal', NULL, 'p', '${before}', 'b', 1, 9), (5, 1, 'access', 4, NULL, '${before}', NULL, 1, 9)`)
  const file = join(t.testdir({}), 'errors')
  for (const said of ['magicstore: upgrading the database, which has 0 files\n', '']) {
    const { end } = await spawnServer(t, { DATABASE_URL: url, DATA_DIR: join(t.testdirName, 'data') }, { under: ['sh', '-c', `exec "$@" 2>'${file}'`, 'sh'], isCounted: true })
    t.equal(await end('SIGTERM'), 0)
    t.equal(await readFile(file, 'utf8'), said)
  }
  const scopes = (await server.run(url, 'SELECT scopes FROM tokens ORDER BY id')).map(({ scopes }) => scopes)
  t.strictSame(scopes, [`${before} links`, `${before} links`, `${before} links`, before, before])
})
