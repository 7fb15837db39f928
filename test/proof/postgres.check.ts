import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { getTableColumns } from 'drizzle-orm'
import { getTableConfig, type PgTable } from 'drizzle-orm/pg-core'
import pg from 'pg'
import t, { type Test } from 'tap'
import type { AttemptLimit } from '#src/metadata/attempt-records.ts'
import { OutcomeUnknown } from '#src/metadata/metadata.ts'
import { UnknownMigrationError } from '#src/metadata/migration-history.ts'
import { openPostgresMetadata, type PostgresMetadata, type PostgresOptions } from '#src/metadata/postgres/postgres.ts'
import * as schema from '#src/metadata/postgres/schema.ts'
import type { FileRecord } from '#src/metadata/records.ts'
import { mediaKinds } from '#src/metadata/timelines.ts'
import type { UploadRecord } from '#src/metadata/upload-records.ts'
import { ConfigError, OperatorError, Problem } from '#src/problems.ts'
import { runCommand } from '../kit/commands.ts'
import { createTestClock } from '../kit/clock.ts'
import { DAY, HOUR, MINUTE } from '../kit/durations.ts'
import { type Cut, duringCut, startPostgres, startProxy } from '../kit/postgres.ts'
import { hex, newFile, newLink, outcomes, unlimited } from '../kit/records.ts'
import { runBin, signUp, startServer } from '../kit/server.ts'
import { sizes } from '../kit/sizes.ts'
import { eventually, until } from '../kit/waiting.ts'
import { suite } from '../metadata.contract.ts'
import { changeOf, newToken, newUpload } from '../uploads.contract.ts'

const POOL = 10
const COMMIT = /COMMIT\b/
const always = {}
const retentionPolicy = { milliseconds: 30 * DAY, versions: 10 }
const removal = { precondition: always, isPermanent: false }

const newAccount = (name: string) => ({ username: name, usernameKey: name, passwordHash: `hash of ${name}`, createdAt: 1000 })

const server = await startPostgres(t)

async function open (t: Test, url: string, options: Partial<PostgresOptions> = {}): Promise<PostgresMetadata> {
  const metadata = await openPostgresMetadata({ url, poolSize: POOL, ...options })
  t.teardown(() => metadata.close())
  return metadata
}

/** A migrated database, and an account in it. */
async function openMigrated (t: Test, options?: Partial<PostgresOptions>) {
  const url = await server.newMigratedDatabase()
  const metadata = await open(t, url, options)
  const { id } = await metadata.accounts.add(newAccount('ada'))
  return { url, metadata, id }
}

/** A migrated database, opened through a wire that can be cut, and an account in it. */
async function openBehindProxy (t: Test) {
  const url = await server.newMigratedDatabase()
  const proxy = await startProxy(t, server.port)
  const address = new URL(new URL(url).pathname, server.url('', proxy.port)).href
  const metadata = await open(t, address)
  const { id } = await metadata.accounts.add(newAccount('ada'))
  const during = <T>(cut: Cut, operation: () => Promise<T>) => duringCut(proxy, cut, operation)
  const leased = async (name: string) => {
    const file = newFile(id, name, { isLeased: true })
    await metadata.blobs.lease(file.blobId, 60)
    return file
  }
  return { url, address, proxy, metadata, id, during, leased }
}

const unknown = { constructor: OutcomeUnknown, code: 'unavailable' }

/** The connections of all MagicStore processes to a database. */
async function connectionsTo (url: string): Promise<number> {
  const rows = await server.run(server.url('postgres'), `SELECT count(*) AS count FROM pg_stat_activity WHERE starts_with(application_name, 'magicstore') AND datname = '${new URL(url).pathname.slice(1)}'`)
  return Number(rows[0]?.count)
}

/** Takes locks as another process does, until the function that is returned is called. */
async function lock (t: Test, url: string, sql: string): Promise<() => Promise<unknown>> {
  const other = new pg.Client({ connectionString: url })
  await other.connect()
  t.teardown(() => other.end())
  await other.query('BEGIN')
  await other.query(sql)
  return () => other.query('COMMIT')
}

t.test('PostgreSQL keeps the contract of metadata', async t => suite(t, async (place, options) =>
  openPostgresMetadata({ url: await server.emptyDatabaseOf(place), ...options })))

t.test('the migrations make the tables, columns, indexes and references that the schema says, and no others', async t => {
  const url = await server.newDatabase()
  await open(t, url)
  const all = Object.values(schema) as unknown as PgTable[]
  const tables = all.map(table => getTableConfig(table))
  const made = await server.run(url, "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'")
  t.strictSame(made.map(({ name }) => name).sort(), tables.map(({ name }) => name).sort())
  t.strictSame(await server.run(url, "SELECT relname AS name, reloptions AS options FROM pg_class WHERE reloptions IS NOT NULL AND relnamespace = 'public'::regnamespace"), [{ name: 'accounts', options: ['fillfactor=70'] }])
  const columns = await server.run(url, "SELECT table_name AS table, column_name AS name, data_type AS type, is_nullable = 'NO' AS required, collation_name AS collation FROM information_schema.columns WHERE table_schema = 'public'")
  const indexes = await server.run(url, "SELECT tablename AS table, indexname AS name, indexdef LIKE 'CREATE UNIQUE%' AS is_unique FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT LIKE '%\\_pkey' AND indexname NOT LIKE '%\\_pk'")
  const references = await server.run(url, "SELECT conrelid::regclass::text AS table, conname AS name FROM pg_constraint WHERE contype = 'f'")
  const ofTable = (rows: Record<string, unknown>[], name: string) => rows.filter(({ table }) => table === name)
  for (const [index, table] of all.entries()) {
    const { name, indexes: wanted, foreignKeys } = tables[index] as typeof tables[number]
    t.strictSame(
      ofTable(columns, name).map(row => [row.name, `${row.type}${row.collation === 'C' ? ' COLLATE "C"' : ''}`, row.required]).sort(),
      Object.values(getTableColumns(table)).map(column => [column.name, column.getSQLType(), column.notNull]).sort(), `columns of ${name}`)
    t.strictSame(ofTable(indexes, name).map(row => [row.name, row.is_unique]).sort(), wanted.map(({ config }) => [config.name, config.unique]).sort(), `indexes of ${name}`)
    t.strictSame(ofTable(references, name).map(row => row.name).sort(), foreignKeys.map(key => key.getName()).sort(), `references of ${name}`)
  }
})

t.test('ten processes that start at once on an empty database make it once, and rotate its signing keys for all', async t => {
  const url = await server.newDatabase()
  const all = await Promise.all(Array.from({ length: 10 }, () => open(t, url)))
  t.equal(new Set(all.map(({ installationId }) => installationId)).size, 1)
  const keys = await Promise.all(all.map(metadata => metadata.signingKeys.read()))
  t.equal(new Set(keys.map(keys => JSON.stringify(keys))).size, 1, 'and one signing key')
  const journal = JSON.parse(await readFile('drizzle/postgres/meta/_journal.json', 'utf8')) as { entries: unknown[] }
  t.equal((await server.run(url, 'SELECT FROM drizzle.__drizzle_migrations')).length, journal.entries.length)

  const [one, two] = all as [PostgresMetadata, PostgresMetadata]
  const [first] = await one.signingKeys.read()
  const added = [1, 2].map(kid => ({ kid: `new-${kid}`, secret: hex(32) }))
  const rotate = ({ signingKeys }: PostgresMetadata, key: typeof added[number]) =>
    signingKeys.change(others => [key, ...others].slice(0, 3))
  await Promise.all(added.map((key, index) => rotate(index === 0 ? one : two, key)))
  const rotated = await one.signingKeys.read()
  t.strictSame(rotated.slice(0, 2).sort((a, b) => a.kid < b.kid ? -1 : 1), added, 'two rotations at once both count')
  t.strictSame(rotated[2], first)
  await rotate(two, { kid: 'last', secret: hex(32) })
  t.strictSame((await one.signingKeys.read()).map(({ kid }) => kid), ['last', ...rotated.slice(0, 2).map(({ kid }) => kid)])
})

t.test('a database of a newer or unreleased version is refused, and one that can\'t be upgraded stays as it was', async t => {
  const url = await server.newDatabase()
  const folder = join(t.testdir(), 'migrations')
  await cp('drizzle/postgres', folder, { recursive: true })
  const file = join(folder, 'meta/_journal.json')
  const journal = JSON.parse(await readFile(file, 'utf8')) as { entries: { idx: number, tag: string, when: number }[] }
  const next = { ...journal.entries.at(-1), idx: journal.entries.length, tag: '9999_next', when: Number(journal.entries.at(-1)?.when) + 1 }
  await writeFile(file, JSON.stringify({ ...journal, entries: [...journal.entries, next] }))
  const write = (sql: string) => writeFile(join(folder, '9999_next.sql'), sql)

  await (await openPostgresMetadata({ url })).close()
  await write('CREATE TABLE next (id int);\n--> statement-breakpoint\nCREATE TABLE accounts (id int)')
  await t.rejects(openPostgresMetadata({ url, migrationsFolder: folder }), { constructor: OperatorError, message: /could not be upgraded and was left unchanged/ })
  t.strictSame(await server.run(url, "SELECT to_regclass('next') AS made"), [{ made: null }])
  await (await openPostgresMetadata({ url })).close()

  await write('CREATE TABLE next (id int)')
  await (await openPostgresMetadata({ url, migrationsFolder: folder })).close()
  await t.rejects(openPostgresMetadata({ url }), { constructor: UnknownMigrationError, message: /newer version/ })
  t.strictSame(await server.run(url, 'SELECT * FROM next'), [], 'untouched')
  await server.run(url, 'UPDATE drizzle.__drizzle_migrations SET created_at = created_at - 9')
  await t.rejects(openPostgresMetadata({ url }), { constructor: UnknownMigrationError, message: /unreleased version.*was not changed; run the version that made it, download/ })
  t.ok(await eventually(async () => await connectionsTo(url) === 0), 'no connection stays')
})

t.test('a server that can\'t be used is told in one line, without the password', async t => {
  const url = await server.newDatabase()
  const wrong = new URL(url)
  wrong.password = 'secret'
  for (const { address, type, message } of [
    { address: String(wrong), type: ConfigError, message: /^DATABASE_URL: .*password; correct/ },
    ...['require', 'verify-ca', 'prefer'].map(mode => ({ address: `${url}?application_name=x&sslmode=${mode}`, type: OperatorError, message: /^DATABASE_URL: .*SSL/ })),
    { address: `${url}?sslmode=on`, type: ConfigError, message: /^DATABASE_URL: sslmode must be one of disable, no-verify/ },
    { address: `${url}?port=abc`, type: ConfigError, message: /^DATABASE_URL: port must be a number/ },
    { address: `${url}?port=65536`, type: ConfigError, message: /^DATABASE_URL: port must be a number/ },
    { address: `${url}?uselibpqcompat=true&sslmode=verify-ca`, type: ConfigError, message: /^DATABASE_URL: .*specifying a CA/ },
    { address: `${url}?sslmode=verify-full`, type: OperatorError, message: /^DATABASE_URL: .*SSL/ },
    { address: `${url}?sslmode=verify-full&sslrootcert=/nowhere.pem`, type: ConfigError, message: /^DATABASE_URL: .*nowhere\.pem/ }
  ]) {
    await t.rejects(openPostgresMetadata({ url: address }), { constructor: type, message })
  }
  await (await openPostgresMetadata({ url: `${url}?sslmode=disable&port=${server.port}` })).close()
  t.match(await runBin(['serve'], { DATABASE_URL: `${url}?sslmode=require`, DATA_DIR: t.testdir() }), { code: 1, stdout: '', stderr: /^magicstore: DATABASE_URL: [^\n]*SSL[^\n]*\n$/ }, 'without a warning of the driver')
})

t.test('two processes do not delete the same bytes at the same time, and none while a backup needs them', async t => {
  const url = await server.newMigratedDatabase()
  const [one, two] = await Promise.all([open(t, url), open(t, url)])
  const { id } = await one.accounts.add(newAccount('ada'))
  for (let count = 0; count < 20; count++) await one.files.add(newFile(id, String(count)), unlimited)
  for (let count = 0; count < 20; count++) await one.files.remove(id, String(count), removal)
  const lock = await one.takeRetentionLock(60)
  t.strictSame(await two.blobs.takeDiscarded(100, 0), [])
  t.ok(await two.blobs.hasRetentionLock())
  t.ok(await two.renewRetentionLock(lock, 60))
  await one.releaseRetentionLock(lock)
  t.notOk(await one.renewRetentionLock(lock, 60))
  t.notOk(await two.blobs.hasRetentionLock())
  const lapsed = await one.takeRetentionLock(0)
  t.notOk(await one.renewRetentionLock(lapsed, 60), 'one that expired')
  await one.releaseRetentionLock(await one.takeRetentionLock(0))
  const [mine, others] = await Promise.all([one.blobs.takeDiscarded(10, 0), two.blobs.takeDiscarded(10, 0)])
  t.equal(new Set([...mine, ...others]).size, mine.length + others.length)
  t.strictSame(await one.blobs.takeDiscarded(10, 0), mine, 'those of this process again')
  await one.accounts.remove(id, 1)
  t.ok(await one.accounts.purgeDeleted(100), 'the changes of its files')
  const purges = await Promise.all([one.accounts.purgeDeleted(5), two.accounts.purgeDeleted(5)])
  t.ok(purges.includes(true))
  t.notOk(await one.accounts.purgeDeleted(5))
})

t.test('a sweep leaves what belongs to an account that another process is changing, and waits for nobody', async t => {
  const url = await server.newMigratedDatabase()
  const clock = createTestClock(5000)
  const metadata = await open(t, url, { retentionPolicy: { milliseconds: 1000, versions: 10 }, clock: clock.now })
  const ids = []
  for (const name of ['ada', 'ben', 'cleo']) {
    const { id } = await metadata.accounts.add(newAccount(name))
    ids.push(id)
    for (let count = 0; count < 3; count++) await metadata.files.put(newFile(id, 'a', { blobId: `${name} ${count}` }), unlimited, always)
  }
  clock.set(Date.now())
  const unlock = await lock(t, url, `SELECT FROM accounts WHERE id = ${ids[1]} FOR NO KEY UPDATE`)
  t.equal(await metadata.retention.removeExpired(6), false, 'also where only those are left')
  t.strictSame((await metadata.blobs.takeDiscarded(9, 0)).sort(), ['ada 0', 'ada 1', 'cleo 0', 'cleo 1'])
  await unlock()
  t.equal(await metadata.retention.removeExpired(6), false)
  t.equal((await metadata.blobs.takeDiscarded(9, 0)).length, 6)
  t.strictSame(await metadata.accounts.usageMismatches(), [])
})

/** Counts the rows of a table that an operation reads, which never reads the whole table. */
function rowCounter (t: Test, url: string, table: string) {
  const read = async () => (await server.run(url, `SELECT seq_tup_read + idx_tup_fetch AS rows, seq_scan AS scans FROM pg_stat_user_tables WHERE relname = '${table}'`))[0] as { rows: string, scans: string }
  /** What all connections have counted is told a second later, or when they end. */
  return async (operation: (metadata: PostgresMetadata) => Promise<unknown>): Promise<number> => {
    const [before, others] = [await read(), await connectionsTo(url)]
    const own = await openPostgresMetadata({ url, poolSize: 1, retentionPolicy })
    await operation(own)
    await own.close()
    await until(() => connectionsTo(url), count => count <= others)
    const after = await read()
    t.equal(after.scans, before.scans, 'never the whole table')
    return Number(after.rows) - Number(before.rows)
  }
}

t.test('of all that is kept only what goes is read', async t => {
  const { url, metadata, id } = await openMigrated(t, { retentionPolicy })
  const { id: other } = await metadata.accounts.add(newAccount('ben'))
  // Two owners, whose content was kept in turns: no order of the table is that of one owner.
  await server.run(url, `INSERT INTO kept (id, owner_id, file_id, name, size, type, sha256, stored_at, created_at, kept_at)
    SELECT md5(n::text), CASE n % 2 WHEN 0 THEN ${id} ELSE ${other} END, 1000000 + n, 'kept ' || n, 10, 'text/plain', '', 1, 1, ${Date.now()} - n * 1000 FROM generate_series(1, 20000) n;
    UPDATE accounts SET kept_bytes = 100000, kept_contents = 10000; ANALYZE kept, accounts`)
  const rowsRead = rowCounter(t, url, 'kept')
  const quota = { bytes: 100_000, files: undefined }
  const put = (name: string, size: number) =>
    (own: PostgresMetadata) => own.files.put(newFile(id, name, { size }), quota, always)
  const few = await rowsRead(put('a', 25))
  t.match(await metadata.accounts.find(id), { usedBytes: 25, keptBytes: 99_970 })
  t.ok(few <= 20, `${few} rows for 3 that go`)
  const replaced = await rowsRead(put('a', 25))
  t.match(await metadata.accounts.find(id), { usedBytes: 25, keptBytes: 99_975 })
  t.ok(replaced <= 20, `${replaced} rows for 2 that go and 1 that is kept`)
  const many = await rowsRead(put('b', 5000))
  t.match(await metadata.accounts.find(id), { usedBytes: 5025, keptBytes: 94_975 })
  // The change, and the transactions that delete 200 before it, look at each and at its versions; then each is deleted.
  t.ok(many <= 5 * 500, `${many} rows for 500 that go`)
  const page = { after: { key: Date.now() - 10_000_000, id: '' }, limit: 10 }
  const listed = await rowsRead(own => own.trash.list(id, page))
  t.ok(listed <= 40, `${listed} rows for a page of the trash`)
  const deletions = await rowsRead(own => own.trash.listDeletions(id, page))
  t.ok(deletions <= 40, `${deletions} rows for a page of deletions`)
  const full = await rowsRead(own => own.retention.removeOldest(50, 100))
  t.ok(full <= 300, `${full} rows for 5 that go of the first 100`)
  t.ok(await rowsRead(own => own.blobs.listContents('8', 10)) <= 30)
  const emptied = await rowsRead(own => own.trash.empty(id, 10))
  t.ok(emptied <= 60, `${emptied} rows for 10 that go`)
})

t.test('pages of timelines, of stars and of the latest files read what they show, and nothing of others', async t => {
  const { url, metadata, id } = await openMigrated(t)
  const { id: other } = await metadata.accounts.add(newAccount('ben'))
  // Two owners, whose files were stored in turns: each tenth is a picture, each thousandth has a star.
  await server.run(url, `INSERT INTO files (id, owner_id, name, size, type, sha256, blob_id, created_at, updated_at, stored_at, is_starred)
    SELECT 1000000 + n, CASE n % 2 WHEN 0 THEN ${id} ELSE ${other} END, 'file ' || n, 10, CASE WHEN n / 2 % 10 = 0 THEN 'image/png' ELSE 'text/plain' END,
      md5(n::text), md5(n::text), n, n, n, n / 2 % 1000 = 0 FROM generate_series(1, ${sizes.timelineFiles}) n;
    ANALYZE files, accounts`)
  const rowsRead = rowCounter(t, url, 'files')
  const selection = { folder: undefined, isBelow: true, kinds: mediaKinds, signal: new AbortController().signal }
  // What the insertion read is told when its connection has ended.
  await rowsRead(async () => {})
  const newest = { ...selection, isAscending: false, limit: 100, after: undefined }
  const pictures = sizes.timelineFiles / 20
  const timeline = await rowsRead(own => own.timelines.list(id, newest))
  t.ok(timeline <= 2 * pictures + 100, `${timeline} rows for a page of ${pictures} pictures`)
  const months = await rowsRead(own => own.timelines.months(id, selection))
  t.ok(months <= 2 * pictures + 100, `${months} rows for the months of ${pictures} pictures`)
  const starred = await rowsRead(own => own.files.listStarred(id, { order: 'name', folder: undefined, limit: 100, after: undefined }))
  const stars = pictures / 100
  t.ok(starred <= stars + 10, `${starred} rows for ${stars} stars`)
  const latest = await rowsRead(own => own.files.list(id, { order: '-changed', folder: undefined, prefix: undefined, limit: 100, after: undefined }))
  t.ok(latest <= 110, `${latest} rows for the latest 100`)
})

t.test('what is no id finds no token', async t => {
  const { metadata, id: accountId } = await openMigrated(t)
  for (const id of [NaN, 1.5, 2 ** 64, -1]) t.equal(await metadata.tokens.find(id), undefined, String(id))
  const add = () => metadata.tokens.add(newToken(accountId, { expiresAt: null }))
  const tokens = await Promise.all(Array.from({ length: 250 }, add))
  const asked = [...tokens.map(({ id }) => id), 999_999, ...tokens.map(({ id }) => id)]
  t.strictSame((await Promise.all(asked.map(id => metadata.tokens.find(id)))).map(found => found?.token), [...tokens, undefined, ...tokens], 'many at once each find their own')
})

t.test('rows that refer to nothing and wrong sums are found, and the sums repaired', async t => {
  const { url, metadata, id } = await openMigrated(t)
  await metadata.files.add(newFile(id, 'a'), unlimited)
  t.strictSame(await metadata.checkIntegrity(), [])
  await server.run(url, `SET session_replication_role = replica; INSERT INTO account_networks (account_id, network, first_at) VALUES (77, 'n', 1);
    UPDATE accounts SET used_bytes = 5, used_files = 2, kept_bytes = 3`)
  t.match(await metadata.checkIntegrity(), [/account_networks.*77.*accounts/])
  t.strictSame(await metadata.accounts.usageMismatches(), [{
    accountId: id,
    recorded: { usedBytes: 5, usedFiles: 2, usedFolders: 0, keptBytes: 3, keptContents: 0 },
    actual: { usedBytes: 10, usedFiles: 1, usedFolders: 0, keptBytes: 0, keptContents: 0 }
  }])
  await metadata.accounts.repairUsage()
  t.strictSame(await metadata.accounts.usageMismatches(), [])
})

/** Makes each change of accounts, files or events fail with a code, the first `times` times. */
async function failChanges (url: string, code: string, times: number): Promise<void> {
  await server.run(url, `DROP SEQUENCE IF EXISTS failures CASCADE; CREATE SEQUENCE failures;
    CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN IF nextval('failures') <= ${times} THEN RAISE EXCEPTION 'of the test' USING ERRCODE = '${code}'; END IF; RETURN NEW; END $$;
    CREATE OR REPLACE TRIGGER fail BEFORE INSERT OR UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION fail();
    CREATE OR REPLACE TRIGGER fail BEFORE INSERT OR UPDATE ON files FOR EACH ROW EXECUTE FUNCTION fail();
    CREATE OR REPLACE TRIGGER fail BEFORE INSERT OR UPDATE ON events FOR EACH ROW EXECUTE FUNCTION fail()`)
}

t.test('what is undone because of others is tried again, and other failures are told by their code', async t => {
  const { url, metadata, id } = await openMigrated(t)
  await metadata.files.add(newFile(id, 'a'), unlimited)
  const event = { accountId: id, kind: 'k', network: 'n', requestId: 'r', at: 1 }
  for (const code of ['40001', '40P01']) {
    await failChanges(url, code, 3)
    t.ok(await metadata.accounts.add(newAccount(`of ${code}`)))
    await failChanges(url, code, 3)
    await metadata.accounts.setQuota(id, { bytes: 1, files: 1 })
    await failChanges(url, code, 3)
    await metadata.events.add(event, { all: 9, ofKind: 9 })
  }
  for (const [code, problem] of [['40P01', 'overloaded'], ['53100', 'storage_full'], ['53200', 'unavailable'], ['57014', 'overloaded']] as const) {
    await failChanges(url, code, 1000)
    const operations = [metadata.accounts.add(newAccount('no')), metadata.accounts.setQuota(id, { bytes: 2, files: 2 }), metadata.events.add(event, { all: 9, ofKind: 9 }), metadata.files.add(newFile(id, 'no'), unlimited)]
    t.strictSame(await outcomes(operations), { [problem]: 4 }, code)
  }
  await failChanges(url, 'P0001', 1000)
  await t.rejects(metadata.accounts.add(newAccount('no')), { code: 'P0001', message: 'of the test' }, 'what is nobody\'s fault stays what it is')
  await t.rejects(metadata.files.rename(id, 'a', 'b', unlimited), { code: 'P0001' })
  await failChanges(url, '0', 0)
  t.match(await metadata.accounts.find(id), { quotaBytes: 1, usedFiles: 1 })
  t.strictSame(await metadata.events.list(id, { beforeId: undefined, limit: 9 }).then(events => events.length), 2)
  t.strictSame(await outcomes([metadata.files.rename(id, 'nothing', 'x', unlimited), metadata.files.remove(id, 'nothing', { ...removal, precondition: { 'if-match': '"x"' } })]), { not_found: 2 })
  t.ok(await eventually(async () => await connectionsTo(url) <= POOL + 1))

  const standby = await open(t, url)
  await server.run(url, `ALTER DATABASE ${new URL(url).pathname.slice(1)} SET default_transaction_read_only = on;
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
  t.strictSame(await outcomes([standby.accounts.add(newAccount('no')), standby.accounts.setQuota(id, { bytes: 2, files: 2 })]), { unavailable: 2 }, 'a standby')
  t.ok(await standby.accounts.find(id))
})

t.test('a failure of an attempt that can\'t be recorded is no error, but anything else is', async t => {
  const url = await server.newMigratedDatabase()
  const metadata = await open(t, url)
  const claim = (limits: readonly AttemptLimit[]) =>
    metadata.attempts.begin({ kind: 'sign_in', network: 'n', usernameKey: 'k', isKnownNetwork: false, at: Date.now() }, limits)
  const [first, second] = (await Promise.all([claim([]), claim([])])).map(claim => claim.state === 'granted' ? claim.id : 0) as [number, number]
  const failWith = (code: string) => server.run(url, `
    CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'of the test' USING ERRCODE = '${code}'; END $$;
    CREATE OR REPLACE TRIGGER fail BEFORE INSERT ON attempts FOR EACH ROW EXECUTE FUNCTION fail()`)
  await failWith('53100')
  await metadata.attempts.finish(first, 'failed')
  const limits = [{ matching: { kind: 'sign_in', network: 'n' }, limit: 1, seconds: 9 }] as const
  t.match(await claim(limits), { state: 'busy' }, 'its claim counts')
  await failWith('P0001')
  await t.rejects(metadata.attempts.finish(second, 'failed'), { code: 'P0001' })
  await server.run(url, 'UPDATE open_attempts SET expires_at = 1')
  t.match(await claim(limits), { state: 'granted' }, 'a claim lapses')
  await metadata.attempts.removeOutside({ since: 0, codesSince: 0, until: Date.now(), limit: 9 })
  t.equal((await server.run(url, 'SELECT FROM open_attempts')).length, 1, 'and is deleted')
  await t.resolves(metadata.attempts.finish(second, 'failed'), 'of which nothing is recorded')
})

t.test('a purge leaves accounts that another process has locked, and a write that waits for one too long is refused', async t => {
  const url = await server.newMigratedDatabase()
  const metadata = await open(t, url)
  const [{ id }, other, deleted] = [
    await metadata.accounts.add(newAccount('ada')), await metadata.accounts.add(newAccount('ben')), await metadata.accounts.add(newAccount('cleo'))
  ]
  await metadata.accounts.remove(deleted.id, 1)
  const unlock = await lock(t, url, 'SELECT FROM accounts FOR UPDATE')
  t.notOk(await metadata.accounts.purgeDeleted(5))
  t.strictSame(await outcomes([metadata.files.add(newFile(id, 'b'), unlimited), metadata.files.rename(other.id, 'a', 'b', unlimited)]), { overloaded: 2 })
  await unlock()
  t.ok(await metadata.accounts.purgeDeleted(5))
})

t.test('a precondition is judged on the file as it is after the wait for a lock', async t => {
  const { url, metadata, id } = await openMigrated(t)
  const { file } = await metadata.files.add(newFile(id, 'a'), unlimited)
  const unlock = await lock(t, url, `SELECT FROM accounts WHERE id = ${id} FOR NO KEY UPDATE; UPDATE files SET sha256 = 'changed' WHERE id = ${file.id}`)
  const [before, after] = [{ 'if-match': `"${file.sha256}"` }, { 'if-match': '"changed"' }]
  const next = newFile(id, 'a')
  const changes = [
    metadata.files.put(newFile(id, 'a'), unlimited, before),
    metadata.files.remove(id, 'a', { ...removal, precondition: before }),
    metadata.files.put(next, unlimited, after)
  ]
  const ends = Promise.allSettled(changes)
  const waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
  t.ok(await eventually(async () => (await server.run(url, waiting)).length === changes.length))
  await unlock()
  t.match(await ends, [{ reason: { code: 'precondition_failed' } }, { reason: { code: 'precondition_failed' } }, { value: { isNew: false } }])
  t.equal((await metadata.files.find(id, 'a'))?.blobId, next.blobId)
})

/** A cut at each place of a transaction that sends `write`. */
function cutsOf (write: RegExp): Cut[] {
  return (['cutRequest', 'cutAnswer'] as const).flatMap(kind => [/BEGIN/, /owners_lock/, write, COMMIT].map(what => ({ kind, what })))
}

t.test('a connection that is cut before or after a write loses nothing and does nothing twice', async t => {
  const folder = t.testdir()
  const { url, metadata, id, during, leased } = await openBehindProxy(t)
  const behind = await open(t, url, { retentionPolicy })
  const blobOf = async (name: string) => (await metadata.files.find(id, name))?.blobId

  const discarded: string[] = []
  for (const [index, cut] of cutsOf(/files_insert/).entries()) {
    const [added, put] = [await leased(`add ${index}`), await leased(`put ${index}`)]
    t.match(await during(cut, () => metadata.files.add(added, unlimited)), { isNew: true, file: { blobId: added.blobId } }, `${cut.kind} ${cut.what}`)
    t.match(await during(cut, () => metadata.files.put(put, unlimited, always)), { file: { blobId: put.blobId }, isNew: true }, `${cut.kind} ${cut.what}`)
  }
  for (const [index, cut] of cutsOf(/files_update/).entries()) {
    const [current, next] = [await metadata.files.find(id, `put ${index}`) as FileRecord, await leased(`put ${index}`)]
    const precondition = { 'if-match': `"${current.sha256}"` }
    t.match(await during(cut, () => metadata.files.put(next, unlimited, precondition)), { isNew: false, file: { blobId: next.blobId } }, `${cut.kind} ${cut.what}`)
    discarded.push(current.blobId)
  }
  for (const [index, cut] of cutsOf(/files_remove/).entries()) {
    discarded.push(String(await blobOf(`add ${index}`)))
    await during(cut, () => metadata.files.remove(id, `add ${index}`, removal))
    t.equal(await blobOf(`add ${index}`), undefined, `${cut.kind} ${cut.what}`)
  }
  t.strictSame((await metadata.blobs.takeDiscarded(100, 0)).sort(), discarded.sort(), 'each once')
  for (const kind of ['cutRequest', 'cutAnswer'] as const) {
    t.equal((await during({ kind, what: /files_by_path/ }, () => metadata.files.find(id, 'put 0')))?.name, 'put 0', 'a read is repeated')
    await during({ kind, what: /blobs_lease/ }, () => metadata.blobs.lease(hex(16), 60))
    await during({ kind, what: /from "files"/ }, () => metadata.exportMetadata(join(folder, kind)))
    t.match(await during({ kind, what: /BEGIN/ }, () => metadata.accounts.add(newAccount(`${kind} first`))), { username: `${kind} first` }, 'nothing has happened')
    t.match(await during({ kind, what: /insert into "accounts"/ }, () => metadata.accounts.add(newAccount(`${kind} insert`))), { username: `${kind} insert` }, 'and what has is undone')
  }
  t.strictSame(await metadata.accounts.usageMismatches(), [])

  const clash = await leased('clash')
  const meanwhile = () => behind.files.add(newFile(id, 'clash'), unlimited)
  await t.rejects(during({ kind: 'cutRequest', what: COMMIT, meanwhile }, () => metadata.files.add(clash, unlimited)), { code: 'name_taken', constructor: Problem }, 'it was not stored, and now it can\'t be')
  const replaced = newFile(id, 'replaced')
  const replace = () => behind.files.put(newFile(id, 'replaced'), unlimited, always)
  t.match(await during({ kind: 'cutAnswer', what: COMMIT, meanwhile: replace }, () => metadata.files.add(replaced, unlimited)), { isNew: true, file: { blobId: replaced.blobId } }, 'it was stored, although another process has replaced it since')
  t.strictSame(await metadata.blobs.findKnown([replaced.blobId]), new Set([replaced.blobId]), 'its bytes are a version')

  const late = newFile(id, 'late')
  await t.rejects(during({ kind: 'cutAnswer', what: /COMMIT\b|pg_xact_status/, times: Infinity }, () => metadata.files.add(late, unlimited)), { ...unknown, options: { headers: { 'retry-after': '5' } } })
  t.equal(await blobOf('late'), late.blobId)
  const undone = newFile(id, 'undone')
  await t.rejects(during({ kind: 'cutAnswer', what: /files_insert/, times: 4 }, () => metadata.files.add(undone, unlimited)), { code: 'unavailable', constructor: Problem }, 'nothing has happened')
  t.equal(await blobOf('undone'), undefined)

  t.match(await during({ kind: 'cutAnswer', what: COMMIT }, () => metadata.accounts.add(newAccount('late'))), { username: 'late' })
  await t.rejects(during({ kind: 'cutRequest', what: /files_by_path/, times: 4 }, () => metadata.files.find(id, 'late')), { code: 'unavailable', constructor: Problem }, 'a read changes nothing')
  t.strictSame(await metadata.accounts.usageMismatches(), [])
  t.ok(await eventually(async () => await connectionsTo(url) <= 2 * (POOL + 1)))
})

t.test('a connection that is cut at the end of an attempt, or when all tokens are revoked, leaves neither undone', async t => {
  const { url, metadata, id: accountId, during } = await openBehindProxy(t)
  for (const [index, kind] of (['cutRequest', 'cutAnswer'] as const).entries()) {
    const claim = await metadata.attempts.begin({ kind: 'sign_in', network: 'n', usernameKey: 'k', isKnownNetwork: false }, [])
    await during({ kind, what: COMMIT }, () => metadata.attempts.finish(claim.state === 'granted' ? claim.id : 0, 'failed'))
    t.equal((await server.run(url, 'SELECT FROM attempts')).length, index + 1, 'it is recorded once')
    t.equal((await server.run(url, 'SELECT FROM open_attempts')).length, 0)
    await metadata.tokens.add(newToken(accountId))
    await during({ kind, what: /tokens_remove_all/ }, () => metadata.tokens.removeAll(accountId))
    t.equal((await server.run(url, 'SELECT FROM tokens')).length, 0)
  }
})

t.test('an upload whose connection is cut is added, saved, taken over and finished once', async t => {
  const { url, metadata, id: ownerId, during } = await openBehindProxy(t)
  const behind = await open(t, url)
  const limits = { maxUploads: 9, quota: { bytes: 100, files: 9 } }
  const finish = (upload: UploadRecord, sha256: string) =>
    metadata.uploads.finish(changeOf(upload), { sha256, quota: limits.quota })

  const refusedBlobs: string[] = []
  for (const [index, { kind, what }] of cutsOf(/uploads_update/).entries()) {
    const at = (write: RegExp) => cutsOf(write)[index] as Cut
    const wanted = newUpload(ownerId, `upload ${index}`, { method: 'PUT' })
    const added = await during(at(/uploads_insert/), () => metadata.uploads.add(wanted, limits))
    t.match(added, { id: wanted.id, blobId: wanted.blobId, generation: 1, offset: 0 }, `${kind} ${what}`)
    t.equal((await metadata.uploads.list(ownerId, { name: undefined, before: undefined, limit: 9 })).length, 1)
    const taken = await during(at(/uploads_update/), () => metadata.uploads.takeOver(ownerId, wanted.id, { isAppending: true, lifetimeMilliseconds: HOUR }))
    t.equal(taken.generation, 2)
    await during(at(/uploads_update/), () => metadata.uploads.save(changeOf(taken, { state: 's' }), { isAppending: true, quota: limits.quota }))
    t.match(await metadata.uploads.find(ownerId, wanted.id), { offset: 10, state: 's' })
    const stored = await during(at(/files_insert/), () => finish(taken, 'aa'))
    t.match(stored, { isNew: true, file: { blobId: wanted.blobId, sha256: 'aa' } })
    t.strictSame((await metadata.uploads.find(ownerId, wanted.id))?.result, stored)
    const refused = await metadata.uploads.add(newUpload(ownerId, `upload ${index}`), limits)
    t.equal(await during(at(/uploads_update/), () => finish(refused, 'bb')), undefined)
    t.match(await metadata.uploads.find(ownerId, refused.id), { isRefused: true })
    await metadata.uploads.remove(ownerId, refused.id)
    refusedBlobs.push(refused.blobId)
  }
  t.equal((await metadata.uploads.list(ownerId, { name: undefined, before: undefined, limit: 9 })).length, 0)
  t.strictSame((await metadata.blobs.takeDiscarded(100, 0)).sort(), refusedBlobs.sort())
  t.match(await metadata.accounts.find(ownerId), { usedFiles: 8, usedBytes: 80 })
  t.strictSame(await metadata.accounts.usageMismatches(), [])

  const endedMeanwhile = ({ id }: { id: string }) => ({ kind: 'cutAnswer', what: COMMIT, meanwhile: () => behind.uploads.remove(ownerId, id) }) as const
  const ended = await metadata.uploads.add(newUpload(ownerId, 'ended', { method: 'PUT' }), limits)
  t.match(await during(endedMeanwhile(ended), () => finish(ended, 'aa')), { file: { blobId: ended.blobId } }, 'although another process has ended it since')
})

t.test('what arrives by a link is stored, and charged, once if its connection is cut', async t => {
  const { url, metadata, id: ownerId, during, leased } = await openBehindProxy(t)
  const behind = await open(t, url)
  await metadata.folders.add(ownerId, 'in', unlimited)
  const { id: linkId } = await metadata.links.add(newLink(ownerId, 'in', { kind: 'upload', maxFiles: 20, maxBytes: 170 }))
  const begin = (name: string) =>
    metadata.uploads.add(newUpload(ownerId, name, { linkId }), { maxUploads: 9, quota: unlimited })
  for (const [index, cut] of cutsOf(/link_uploads_charge/).entries()) {
    const file = await leased('a')
    const name = index === 0 ? 'in/a' : `in/a (${index + 1})`
    t.match(await during(cut, () => metadata.links.store(linkId, file, unlimited)), { isNew: true, file: { name, blobId: file.blobId } }, `${cut.kind} ${cut.what}`)
    const upload = await during(cutsOf(/uploads_insert/)[index] as Cut, () => begin('b'))
    const stored = await during(cut, () => metadata.uploads.finish(changeOf(upload), { sha256: 'aa', quota: unlimited }))
    t.match(stored, { isNew: true, file: { name: index === 0 ? 'in/b' : `in/b (${index + 1})`, blobId: upload.blobId } })
  }
  t.match(await metadata.links.find(ownerId, linkId), { usedFiles: 16, usedBytes: 160 })

  const last = await leased('c')
  const meanwhile = () => behind.links.remove(ownerId, linkId)
  t.match(await during({ kind: 'cutAnswer', what: COMMIT, meanwhile }, () => metadata.links.store(linkId, last, unlimited)), { file: { blobId: last.blobId } }, 'although the link has ended since')
  t.strictSame(await outcomes([metadata.links.store(linkId, await leased('c'), unlimited), begin('c')]), { not_found: 2 })
  t.match(await metadata.accounts.find(ownerId), { usedFiles: 17, usedBytes: 170 })
  t.strictSame(await metadata.accounts.usageMismatches(), [])
})

t.test('the default isolation of a database is not that of changes, which would refuse each other', async t => {
  const url = await server.newMigratedDatabase()
  await server.run(url, `ALTER DATABASE ${new URL(url).pathname.slice(1)} SET default_transaction_isolation = 'serializable'`)
  const metadata = await open(t, url)
  const { id } = await metadata.accounts.add(newAccount('ada'))
  const adding = Array.from({ length: 60 }, (_, index) => metadata.files.add(newFile(id, `${index}`), unlimited))
  t.strictSame(await outcomes(adding), { ok: 60 })
})

t.test('a server that no longer answers is given up after a while, and used again when it does', async t => {
  const { url, address, id, proxy } = await openBehindProxy(t)
  const metadata = await openPostgresMetadata({ url: address, poolSize: POOL })
  const start = performance.now()
  proxy.isSilent = true
  t.strictSame(await outcomes([
    metadata.tokens.find(1), metadata.files.add(newFile(id, 'a'), unlimited), metadata.accounts.setQuota(id, { bytes: 1, files: 1 }),
    // More than there are connections: those that wait for one are refused too.
    ...Array.from({ length: 2 * POOL }, () => metadata.accounts.find(id))
  ]), { unavailable: 2 * POOL + 3 })
  proxy.isSilent = false
  t.strictSame(await outcomes(Array.from({ length: 2 * POOL }, () => metadata.accounts.find(id))), { ok: 2 * POOL })
  t.match(await metadata.files.add(newFile(id, 'b'), unlimited), { isNew: true })
  t.strictSame(await metadata.accounts.usageMismatches(), [])
  t.ok(await eventually(async () => await connectionsTo(url) <= 2 * (POOL + 1)), 'none that was given up stays')
  proxy.isSilent = true
  await metadata.close()
  t.ok(performance.now() - start < 3 * MINUTE, 'neither waits for the system to give the connection up')
})

t.test('a server on PostgreSQL keeps files in its folder, and everything else in the database', async t => {
  const proxy = await startProxy(t, server.port)
  const { pathname } = new URL(await server.newMigratedDatabase())
  const settings = { DATABASE_URL: new URL(pathname, server.url('', proxy.port)).href, DATA_DIR: t.testdir() }
  const first = await startServer(t, settings)
  const { token } = await signUp(first, 'ada')
  t.equal((await first.send('PUT', '/uploads/a.txt', { token, body: 'hello' })).status, 201)
  for (const kind of ['cutRequest', 'cutAnswer'] as const) {
    const put = () => first.send('PUT', `/uploads/${kind}`, { token, body: 'hello' })
    t.equal((await duringCut(proxy, { kind, what: COMMIT, after: /files_insert/ }, put)).status, 201)
    await until(async () => (await readdir(join(settings.DATA_DIR, 'incoming'))).length === 0)
  }
  t.match(await runCommand(['serve'], settings), { code: 1, stderr: /another MagicStore server uses this data folder/ })
  t.match(await runCommand(['fsck', '--deep'], settings), { code: 0, stdout: 'all is well\n' })
  t.equal((await first.send('GET', '/api/files?prefix=%00', { token })).status, 200)
  await first.close()
  const names = await readdir(settings.DATA_DIR)
  t.strictSame(names.filter(name => name.startsWith('magicstore.db') || name === 'signing-keys'), [])
})
