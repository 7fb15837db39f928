import { randomBytes } from 'node:crypto'
import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { getTableColumns } from 'drizzle-orm'
import { getTableConfig } from 'drizzle-orm/pg-core'
import t, { type Test } from 'tap'
import type { Keeping } from '../../src/metadata/kept.ts'
import { OutcomeUnknown } from '../../src/metadata/metadata.ts'
import { openPostgresMetadata, type PostgresMetadata } from '../../src/metadata/postgres/postgres.ts'
import * as schema from '../../src/metadata/postgres/schema.ts'
import type { AttemptClaim, NewFile } from '../../src/metadata/records.ts'
import type { NewUpload, UploadRecord } from '../../src/metadata/uploads.ts'
import { ConfigError, OperatorError, Problem } from '../../src/problems.ts'
import { suite } from '../metadata.contract.ts'
import { startPostgres, startProxy } from '../postgres.ts'
import { runBin, startServer } from '../server.ts'

const POOL = 10
const unlimited = { bytes: undefined, files: undefined }
const always = {}
const keeping = { milliseconds: 30 * 24 * 3600_000, versions: 10 }
const removal = { precondition: always, isPermanent: false }
const hex = (bytes: number) => randomBytes(bytes).toString('hex')

const newAccount = (name: string) => ({ username: name, usernameKey: name, passwordHash: `hash of ${name}`, createdAt: 1000 })

const newFile = (ownerId: number, name: string, fields: Partial<NewFile> = {}): NewFile =>
  ({ ownerId, name, size: 10, type: 'text/plain', sha256: hex(32), blobId: hex(16), isLeased: false, now: 5000, ...fields })

/** How often each outcome occurred: `ok`, or the code of a problem. */
async function outcomes (operations: Promise<unknown>[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const end of await Promise.allSettled(operations)) {
    const word = end.status === 'fulfilled' ? 'ok' : end.reason instanceof Problem ? end.reason.code : String(end.reason)
    counts[word] = (counts[word] ?? 0) + 1
  }
  return counts
}

const server = await startPostgres(t)

async function open (t: Test, url: string, keeping?: Keeping): Promise<PostgresMetadata> {
  const metadata = await openPostgresMetadata({ url, poolSize: POOL, ...(keeping && { keeping }) })
  t.teardown(() => metadata.close())
  return metadata
}

/** The connections of all MagicStore processes to a database. */
async function connectionsTo (url: string): Promise<number> {
  const rows = await server.run(server.url('postgres'), `SELECT count(*) AS count FROM pg_stat_activity WHERE application_name = 'magicstore' AND datname = '${new URL(url).pathname.slice(1)}'`)
  return Number(rows[0]?.count)
}

t.test('PostgreSQL keeps the contract of metadata', async t => suite(t, async (place, keeping) => openPostgresMetadata({ url: await server.databaseOf(place), keeping })))

t.test('the migrations make the tables, columns, indexes and references that the schema says, and no others', async t => {
  const url = await server.newDatabase()
  await open(t, url)
  const tables = Object.values(schema).map(table => getTableConfig(table))
  const made = await server.run(url, "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'")
  t.strictSame(made.map(({ name }) => name).sort(), tables.map(({ name }) => name).sort())
  const columns = await server.run(url, "SELECT table_name AS table, column_name AS name, data_type AS type, is_nullable = 'NO' AS required, collation_name AS collation FROM information_schema.columns WHERE table_schema = 'public'")
  const indexes = await server.run(url, "SELECT tablename AS table, indexname AS name, indexdef LIKE 'CREATE UNIQUE%' AS is_unique FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT LIKE '%\\_pkey' AND indexname NOT LIKE '%\\_pk'")
  const references = await server.run(url, "SELECT conrelid::regclass::text AS table, conname AS name FROM pg_constraint WHERE contype = 'f'")
  const ofTable = (rows: Record<string, unknown>[], name: string) => rows.filter(({ table }) => table === name)
  for (const [index, table] of Object.values(schema).entries()) {
    const { name, indexes: wanted, foreignKeys } = tables[index] as typeof tables[number]
    t.strictSame(
      ofTable(columns, name).map(row => [row.name, `${row.type}${row.collation === 'C' ? ' COLLATE "C"' : ''}`, row.required]).sort(),
      Object.values(getTableColumns(table)).map(column => [column.name, column.getSQLType(), column.notNull]).sort(), `columns of ${name}`)
    t.strictSame(ofTable(indexes, name).map(row => [row.name, row.is_unique]).sort(), wanted.map(({ config }) => [config.name, config.unique]).sort(), `indexes of ${name}`)
    t.strictSame(ofTable(references, name).map(row => row.name).sort(), foreignKeys.map(key => key.getName()).sort(), `references of ${name}`)
  }
})

t.test('ten processes that start at once on an empty database make it once', async t => {
  const url = await server.newDatabase()
  const all = await Promise.all(Array.from({ length: 10 }, () => open(t, url)))
  t.equal(new Set(all.map(({ installationId }) => installationId)).size, 1)
  const keys = await Promise.all(all.map(metadata => metadata.readSigningKeys()))
  t.equal(new Set(keys.map(keys => JSON.stringify(keys))).size, 1, 'and one signing key')
  const journal = JSON.parse(await readFile('drizzle/postgres/meta/_journal.json', 'utf8')) as { entries: unknown[] }
  t.equal((await server.run(url, 'SELECT FROM drizzle.__drizzle_migrations')).length, journal.entries.length)
})

t.test('a database of a newer version is refused, and one that can\'t be upgraded stays as it was', async t => {
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
  await t.rejects(openPostgresMetadata({ url }), { constructor: OperatorError, message: /newer version/ })
  t.strictSame(await server.run(url, 'SELECT * FROM next'), [], 'untouched')
  t.equal(await connectionsTo(url), 0, 'no connection stays')
})

t.test('a server that can\'t be used is told in one line, without the password', async t => {
  const url = await server.newDatabase()
  await server.run(url, "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
  const proxy = await startProxy(t, server.port)
  proxy.alter = answer => Buffer.from(answer.toString('latin1').replaceAll(/(?<=server_version\0|\0\0\0.)18\.4/g, '14.9'), 'latin1')
  const closed = new URL(url)
  closed.port = '1'
  const wrong = new URL(url)
  wrong.password = 'secret'
  for (const { address, type, message } of [
    { address: String(wrong), type: ConfigError, message: /^DATABASE_URL: .*password$/ },
    { address: server.url('nowhere'), type: ConfigError, message: /^DATABASE_URL: .*no such database$/ },
    { address: String(closed), type: OperatorError, message: /^DATABASE_URL: .*ECONNREFUSED/ },
    { address: server.url('latin'), type: ConfigError, message: /^DATABASE_URL: .*LATIN1; MagicStore needs UTF8$/ },
    ...['require', 'verify-ca', 'prefer'].map(mode => ({ address: `${url}?application_name=x&sslmode=${mode}`, type: OperatorError, message: /^DATABASE_URL: .*SSL/ })),
    { address: `${url}?sslmode=on`, type: ConfigError, message: /^DATABASE_URL: sslmode must be one of disable, no-verify/ },
    { address: `${url}?port=abc`, type: ConfigError, message: /^DATABASE_URL: port must be a number/ },
    { address: `${url}?port=65536`, type: ConfigError, message: /^DATABASE_URL: port must be a number/ },
    { address: `${url}?uselibpqcompat=true&sslmode=verify-ca`, type: ConfigError, message: /^DATABASE_URL: .*specifying a CA/ },
    { address: `${url}?sslmode=verify-full`, type: OperatorError, message: /^DATABASE_URL: .*SSL/ },
    { address: `${url}?sslmode=verify-full&sslrootcert=/nowhere.pem`, type: ConfigError, message: /^DATABASE_URL: .*nowhere\.pem/ },
    { address: new URL(new URL(url).pathname, server.url('', proxy.port)).href, type: ConfigError, message: /^DATABASE_URL: .*14\.9.*15 or newer$/ }
  ]) {
    await t.rejects(openPostgresMetadata({ url: address }), { constructor: type, message })
  }
  await (await openPostgresMetadata({ url: `${url}?sslmode=disable&port=${server.port}` })).close()
  t.match(await runBin(['serve'], { DATABASE_URL: `${url}?sslmode=require`, DATA_DIR: t.testdir() }), { code: 1, stdout: '', stderr: /^magicstore: DATABASE_URL: [^\n]*SSL[^\n]*\n$/ }, 'without a warning of the driver')
})

t.test('between two processes exactly as many operations succeed as may', async t => {
  const url = await server.newDatabase()
  const both = await Promise.all([open(t, url), open(t, url)])
  const [one] = both
  const many = <T>(operation: (metadata: PostgresMetadata, index: number) => Promise<T>): Promise<T>[] =>
    Array.from({ length: 40 }, (_, index) => operation(both[index % 2] as PostgresMetadata, index))
  const { id } = await one.addAccount(newAccount('ada'))

  t.strictSame(await outcomes(many(metadata => metadata.addAccount(newAccount('ben')))), { ok: 1, username_taken: 39 }, 'registration')
  t.strictSame(await outcomes(many(metadata => metadata.addFile(newFile(id, 'a'), unlimited))), { ok: 1, name_taken: 39 }, 'names')
  const { sha256 } = await one.findFile(id, 'a') as { sha256: string }
  t.strictSame(await outcomes(many(metadata => metadata.putFile(newFile(id, 'a'), unlimited, { 'if-match': `"${sha256}"` }))), { ok: 1, precondition_failed: 39 }, 'If-Match')
  t.strictSame(await outcomes(many(metadata => metadata.putFile(newFile(id, 'b'), unlimited, { 'if-none-match': '*' }))), { ok: 1, precondition_failed: 39 }, 'If-None-Match')
  t.strictSame(await outcomes(many((metadata, index) => metadata.addFile(newFile(id, `q${index}`), { bytes: undefined, files: 9 }))), { ok: 7, quota_exceeded: 33 }, 'files')
  t.strictSame(await outcomes(many((metadata, index) => metadata.putFile(newFile(id, `r${index}`), { bytes: 105, files: undefined }, always))), { ok: 1, quota_exceeded: 39 }, 'bytes')
  const current = await one.findFile(id, 'a')
  t.strictSame(await outcomes(many(metadata => metadata.removeFile(id, 'a', { ...removal, precondition: { 'if-match': `"${current?.sha256}"` } }))), { ok: 1, not_found: 39 }, 'removal')
  t.strictSame(await outcomes(many(metadata => metadata.addToken({ accountId: id, kind: 'personal', parentId: null, name: 'n', scopes: '', secretHash: null, createdAt: 1, expiresAt: null }, { maxTokens: 5 }))), { ok: 5, too_many_tokens: 35 }, 'tokens')
  t.strictSame(await one.usageMismatches(), [])

  const limits = [{ matching: { kind: 'sign_in', network: 'n1' }, limit: 3, seconds: 900 }, { matching: { kind: 'sign_in', network: 'n1', usernameKey: 'ada' }, limit: 9, seconds: 900 }] as const
  let failed = 0
  await Promise.all(many(async (metadata, index) => {
    for (;;) {
      const claim: AttemptClaim = await metadata.claimAttempt({ kind: 'sign_in', network: 'n1', usernameKey: `u${index % 3}`, isKnownNetwork: false, at: Date.now() }, limits)
      if (claim.state === 'refused') return
      if (claim.state === 'busy') { await setTimeout(5); continue }
      failed++
      await metadata.finishAttempt(claim.id, 'failed', Date.now())
    }
  }))
  t.equal(failed, 3, 'attempts')
})

t.test('two processes do not delete the same bytes at the same time, and none while a backup needs them', async t => {
  const url = await server.newDatabase()
  const [one, two] = await Promise.all([open(t, url), open(t, url)])
  const { id } = await one.addAccount(newAccount('ada'))
  for (let count = 0; count < 20; count++) await one.addFile(newFile(id, String(count)), unlimited)
  for (let count = 0; count < 20; count++) await one.removeFile(id, String(count), removal)
  const lock = await one.takeRetentionLock(60)
  t.strictSame(await two.discardedBlobs(100, 0), [])
  t.ok(await two.renewRetentionLock(lock, 60))
  await one.releaseRetentionLock(lock)
  t.notOk(await one.renewRetentionLock(lock, 60))
  const lapsed = await one.takeRetentionLock(0)
  t.notOk(await one.renewRetentionLock(lapsed, 60), 'one that expired')
  await one.releaseRetentionLock(await one.takeRetentionLock(0))
  const [mine, others] = await Promise.all([one.discardedBlobs(10, 0), two.discardedBlobs(10, 0)])
  t.equal(new Set([...mine, ...others]).size, mine.length + others.length)
  t.strictSame(await one.discardedBlobs(10, 0), mine, 'those of this process again')
  await one.removeAccount(id, 1)
  const purges = await Promise.all([one.purgeDeletedAccounts(5), two.purgeDeletedAccounts(5)])
  t.ok(purges.includes(true))
  t.notOk(await one.purgeDeletedAccounts(5))
})

t.test('processes of the version before, which keep nothing, store and remove files as they did', async t => {
  const url = await server.newDatabase()
  const metadata = await open(t, url, keeping)
  const { id } = await metadata.addAccount(newAccount('ada'))
  const outcomeOf = async (call: string) => (await server.run(url, `SELECT * FROM ${call}`))[0]
  const store = (blobId: string, replaces: boolean) => outcomeOf(`store_file(${id}, 'a', 10, 'text/plain', '${hex(32)}', '${blobId}', NULL, 100, 10, false, ${replaces}, NULL, false)`)
  t.match(await store('1', false), { outcome: 'added' })
  t.match(await store('2', true), { outcome: 'replaced' })
  t.match(await metadata.findFile(id, 'a'), { blobId: '2', storedAt: Number })
  t.strictSame(await metadata.discardedBlobs(9, 0), ['1'])
  await metadata.putFile(newFile(id, 'a', { blobId: '3' }), unlimited, always)
  const upload = await metadata.addUpload({ id: 'u', ownerId: id, name: 'a', type: 'text/plain', blobId: '4', length: 10, method: 'PUT', precondition: {}, uploadMetadata: null, reprDigest: null, lifetimeMilliseconds: 3600_000 }, { maxUploads: 9, quota: unlimited })
  t.match(await outcomeOf(`save_upload('${upload.id}', 1, 5, NULL, 10, 3600000, NULL, true, 100)`), { outcome: 'saved' })
  t.match(await outcomeOf(`finish_upload('${upload.id}', 1, 10, NULL, 3600000, NULL, '${hex(32)}', 100, 10, NULL, true, false)`), { outcome: 'finished' })
  t.match(await metadata.findAccount(id), { usedBytes: 10, usedFiles: 1, keptBytes: 10 })
  t.strictSame(await server.run(url, `SELECT remove_file(${id}, 'a', NULL) AS outcome`), [{ outcome: 'removed' }])
  t.strictSame((await metadata.discardedBlobs(9, 0)).sort(), ['1', '2', '3', '4'], 'with the versions that others made')
  t.match(await metadata.findAccount(id), { usedBytes: 0, usedFiles: 0, keptBytes: 0 })
  t.strictSame(await metadata.usageMismatches(), [])
})

t.test('a sweep leaves what belongs to an account that another process is changing, and waits for nobody', async t => {
  const url = await server.newDatabase()
  const metadata = await open(t, url, { milliseconds: 1000, versions: 10 })
  const ids = []
  for (const name of ['ada', 'ben', 'cleo']) {
    const { id } = await metadata.addAccount(newAccount(name))
    ids.push(id)
    for (let count = 0; count < 3; count++) await metadata.putFile(newFile(id, 'a', { blobId: `${name} ${count}` }), unlimited, always)
  }
  const busy = server.run(url, `BEGIN; SELECT FROM accounts WHERE id = ${ids[1]} FOR NO KEY UPDATE; SELECT pg_sleep(2); COMMIT`)
  await setTimeout(300)
  const start = performance.now()
  t.equal(await metadata.removeExpiredContent(6), false, 'also where only those are left')
  t.ok(performance.now() - start < 1000)
  t.strictSame((await metadata.discardedBlobs(9, 0)).sort(), ['ada 0', 'ada 1', 'cleo 0', 'cleo 1'])
  await busy
  t.equal(await metadata.removeExpiredContent(6), false)
  t.equal((await metadata.discardedBlobs(9, 0)).length, 6)
  t.strictSame(await metadata.usageMismatches(), [])
})

t.test('of all that is kept only what goes is read', async t => {
  const url = await server.newDatabase()
  const metadata = await open(t, url, keeping)
  const { id } = await metadata.addAccount(newAccount('ada'))
  const { id: other } = await metadata.addAccount(newAccount('ben'))
  // Two owners, whose content was kept in turns: no order of the table is that of one owner.
  await server.run(url, `INSERT INTO kept (id, owner_id, file_id, name, size, type, sha256, stored_at, created_at, kept_at)
    SELECT md5(n::text), CASE n % 2 WHEN 0 THEN ${id} ELSE ${other} END, 1000000 + n, 'kept ' || n, 10, 'text/plain', '', 1, 1, ${Date.now()} - n * 1000 FROM generate_series(1, 20000) n;
    UPDATE accounts SET kept_bytes = 100000; ANALYZE kept, accounts`)
  const read = async () => (await server.run(url, "SELECT seq_tup_read + idx_tup_fetch AS rows, seq_scan AS scans FROM pg_stat_user_tables WHERE relname = 'kept'"))[0] as { rows: string, scans: string }
  /** What all connections have counted is told a second later, or when they end. */
  async function rowsRead (operation: (metadata: PostgresMetadata) => Promise<unknown>): Promise<number> {
    const before = await read()
    const own = await openPostgresMetadata({ url, poolSize: 1, keeping })
    await operation(own)
    await own.close()
    await setTimeout(200)
    const after = await read()
    t.equal(after.scans, before.scans, 'never the whole table')
    return Number(after.rows) - Number(before.rows)
  }
  const quota = { bytes: 100_000, files: undefined }
  const put = (name: string, size: number) => (own: PostgresMetadata) => own.putFile(newFile(id, name, { size, now: Date.now() }), quota, always)
  const few = await rowsRead(put('a', 25))
  t.match(await metadata.findAccount(id), { usedBytes: 25, keptBytes: 99_970 })
  t.ok(few <= 20, `${few} rows for 3 that go`)
  const replaced = await rowsRead(put('a', 25))
  t.match(await metadata.findAccount(id), { usedBytes: 25, keptBytes: 99_975 })
  t.ok(replaced <= 20, `${replaced} rows for 2 that go and 1 that is kept`)
  const many = await rowsRead(put('b', 5000))
  t.match(await metadata.findAccount(id), { usedBytes: 5025, keptBytes: 94_975 })
  t.ok(many <= 2000, `${many} rows for 500 that go`)
  const page = { after: { key: Date.now() - 10_000_000, id: '' }, limit: 10 }
  const listed = await rowsRead(own => own.listTrash(id, page))
  t.ok(listed <= 40, `${listed} rows for a page of the trash`)
  t.ok(await rowsRead(own => own.removeOldestContent(50, 100)) <= 300)
  t.ok(await rowsRead(own => own.contentsAfter('8', 10)) <= 30)
  t.ok(await rowsRead(own => own.emptyTrash(id, 10)) <= 60)
})

t.test('an account that another process is purging is left to it', async t => {
  const url = await server.newDatabase()
  const metadata = await open(t, url)
  const { id } = await metadata.addAccount(newAccount('ada'))
  await metadata.removeAccount(id, 1)
  const busy = server.run(url, 'BEGIN; SELECT FROM accounts FOR UPDATE; SELECT pg_sleep(1); COMMIT')
  await setTimeout(300)
  t.notOk(await metadata.purgeDeletedAccounts(5))
  await busy
  t.ok(await metadata.purgeDeletedAccounts(5))
})

t.test('what is no id finds no token', async t => {
  const metadata = await open(t, await server.newDatabase())
  for (const id of [NaN, 1.5, 2 ** 64, -1]) t.equal(await metadata.findToken(id), undefined, String(id))
  const { id: accountId } = await metadata.addAccount(newAccount('ada'))
  const token = { accountId, kind: 'access', parentId: null, name: null, scopes: '', secretHash: null, createdAt: 1, expiresAt: null } as const
  const tokens = await Promise.all(Array.from({ length: 250 }, () => metadata.addToken(token)))
  const asked = [...tokens.map(({ id }) => id), 999_999, ...tokens.map(({ id }) => id)]
  t.strictSame((await Promise.all(asked.map(id => metadata.findToken(id)))).map(found => found?.token), [...tokens, undefined, ...tokens], 'many at once each find their own')
})

t.test('signing keys are rotated for all processes, and two rotations at once both count', async t => {
  const url = await server.newDatabase()
  const [one, two] = await Promise.all([open(t, url), open(t, url)])
  const [first] = await one.readSigningKeys()
  t.strictSame(await two.readSigningKeys(), [first])
  const keys = [1, 2].map(kid => ({ kid: `new-${kid}`, secret: hex(32) }))
  await Promise.all(keys.map((key, index) => (index === 0 ? one : two).rotateSigningKeys(key, 3)))
  const rotated = await one.readSigningKeys()
  t.strictSame(rotated.slice(0, 2).sort((a, b) => a.kid < b.kid ? -1 : 1), keys)
  t.strictSame(rotated[2], first)
  await two.rotateSigningKeys({ kid: 'last', secret: hex(32) }, 3)
  t.strictSame((await one.readSigningKeys()).map(({ kid }) => kid), ['last', ...rotated.slice(0, 2).map(({ kid }) => kid)])
})

t.test('rows that refer to nothing and wrong sums are found, and the sums repaired', async t => {
  const url = await server.newDatabase()
  const metadata = await open(t, url)
  const { id } = await metadata.addAccount(newAccount('ada'))
  await metadata.addFile(newFile(id, 'a'), unlimited)
  t.strictSame(await metadata.checkIntegrity(), [])
  await server.run(url, `SET session_replication_role = replica; INSERT INTO events (account_id, kind, network, request_id, at) VALUES (77, 'k', 'n', 'r', 1);
    UPDATE accounts SET used_bytes = 5, used_files = 2, kept_bytes = 3`)
  t.match(await metadata.checkIntegrity(), [/events.*77.*accounts/])
  t.strictSame(await metadata.usageMismatches(), [{ accountId: id, recorded: { bytes: 5, files: 2, keptBytes: 3 }, actual: { bytes: 10, files: 1, keptBytes: 0 } }])
  await metadata.repairUsage()
  t.strictSame(await metadata.usageMismatches(), [])
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
  const url = await server.newDatabase()
  const metadata = await open(t, url)
  const { id } = await metadata.addAccount(newAccount('ada'))
  await metadata.addFile(newFile(id, 'a'), unlimited)
  const event = { accountId: id, kind: 'k', network: 'n', requestId: 'r', at: 1 }
  for (const code of ['40001', '40P01']) {
    await failChanges(url, code, 3)
    t.ok(await metadata.addAccount(newAccount(`of ${code}`)))
    await failChanges(url, code, 3)
    await metadata.setQuota(id, { bytes: 1, files: 1 })
    await failChanges(url, code, 3)
    await metadata.addEvent(event, 9)
  }
  for (const [code, problem] of [['40P01', 'overloaded'], ['53100', 'storage_full'], ['53200', 'unavailable'], ['57014', 'overloaded']] as const) {
    await failChanges(url, code, 1000)
    const operations = [metadata.addAccount(newAccount('no')), metadata.setQuota(id, { bytes: 2, files: 2 }), metadata.addEvent(event, 9), metadata.addFile(newFile(id, 'no'), unlimited)]
    t.strictSame(await outcomes(operations), { [problem]: 4 }, code)
  }
  await failChanges(url, 'P0001', 1000)
  await t.rejects(metadata.addAccount(newAccount('no')), { code: 'P0001', message: 'of the test' }, 'what is nobody\'s fault stays what it is')
  await t.rejects(metadata.renameFile(id, 'a', 'b', 1), { code: 'P0001' })
  await failChanges(url, '0', 0)
  t.match(await metadata.findAccount(id), { quotaBytes: 1, usedFiles: 1 })
  t.strictSame(await metadata.listEvents(id, { beforeId: undefined, limit: 9 }).then(events => events.length), 2)
  t.strictSame(await outcomes([metadata.renameFile(id, 'nothing', 'x', 1), metadata.removeFile(id, 'nothing', { ...removal, precondition: { 'if-match': '"x"' } })]), { not_found: 2 })
  t.ok(await connectionsTo(url) <= POOL + 1)

  await server.run(url, `ALTER DATABASE ${new URL(url).pathname.slice(1)} SET default_transaction_read_only = on`)
  const standby = await open(t, url)
  t.strictSame(await outcomes([standby.addAccount(newAccount('no')), standby.setQuota(id, { bytes: 2, files: 2 })]), { unavailable: 2 }, 'a standby')
  t.ok(await standby.findAccount(id))
})

t.test('a failure of an attempt that can\'t be recorded is no error, but anything else is', async t => {
  const url = await server.newDatabase()
  const metadata = await open(t, url)
  const claim = async () => {
    const claim = await metadata.claimAttempt({ kind: 'sign_in', network: 'n', usernameKey: 'k', isKnownNetwork: false, at: Date.now() }, [])
    return claim.state === 'granted' ? claim.id : 0
  }
  const [first, second] = [await claim(), await claim()]
  const failWith = (code: string) => server.run(url, `
    CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'of the test' USING ERRCODE = '${code}'; END $$;
    CREATE OR REPLACE TRIGGER fail BEFORE INSERT ON attempts FOR EACH ROW EXECUTE FUNCTION fail()`)
  await failWith('53100')
  await metadata.finishAttempt(first, 'failed', Date.now())
  const limits = [{ matching: { kind: 'sign_in', network: 'n' }, limit: 1, seconds: 9 }] as const
  t.match(await metadata.claimAttempt({ kind: 'sign_in', network: 'n', usernameKey: 'k', isKnownNetwork: false, at: Date.now() }, limits), { state: 'busy' }, 'its claim counts')
  await failWith('P0001')
  await t.rejects(metadata.finishAttempt(second, 'failed', Date.now()), { code: 'P0001' })
  await server.run(url, 'UPDATE attempt_claims SET expires_at = 1')
  t.match(await metadata.claimAttempt({ kind: 'sign_in', network: 'n', usernameKey: 'k', isKnownNetwork: false, at: Date.now() }, limits), { state: 'granted' }, 'a claim lapses')
  await metadata.removeAttempts({ since: 0, until: Date.now(), limit: 9 })
  t.equal((await server.run(url, 'SELECT FROM attempt_claims')).length, 1, 'and is deleted')
})

t.test('who waits for a lock too long, or sees a file change again and again, is told to come later', async t => {
  const url = await server.newDatabase()
  const metadata = await open(t, url)
  const { id } = await metadata.addAccount(newAccount('ada'))
  const { file } = await metadata.addFile(newFile(id, 'a'), unlimited)
  const other = await metadata.addAccount(newAccount('ben'))
  const busy = server.run(url, 'BEGIN; SELECT FROM accounts FOR UPDATE; SELECT pg_sleep(7); COMMIT')
  await setTimeout(300)
  t.strictSame(await outcomes([metadata.addFile(newFile(id, 'b'), unlimited), metadata.renameFile(other.id, 'a', 'b', 1)]), { overloaded: 2 })
  await busy
  await server.run(url, "CREATE OR REPLACE FUNCTION remove_file(_owner_id bigint, _name text, _judged text, _is_kept boolean DEFAULT false, _now bigint DEFAULT NULL) RETURNS text LANGUAGE sql AS $$ SELECT 'changed' $$")
  t.strictSame(await outcomes([metadata.removeFile(id, 'a', { ...removal, precondition: { 'if-match': `"${file.sha256}"` } })]), { overloaded: 1 })
})

t.test('a connection that is cut before or after a write loses nothing and does nothing twice', async t => {
  const url = await server.newDatabase()
  const proxy = await startProxy(t, server.port)
  const metadata = await open(t, new URL(new URL(url).pathname, server.url('', proxy.port)).href)
  const { id } = await metadata.addAccount(newAccount('ada'))

  /** The result of an operation while connections are cut, the first `times` times. */
  async function during<T> (kind: 'cutRequest' | 'cutAnswer', { what, times }: { what: RegExp, times: number }, operation: () => Promise<T>): Promise<T> {
    const target = proxy.cuts + times
    proxy[kind] = { test: (text: string) => proxy.cuts < target && what.test(text) } as RegExp
    try {
      return await operation()
    } finally {
      proxy[kind] = undefined
    }
  }
  const once = (what: RegExp) => ({ what, times: 1 })
  const leased = async (name: string, fields: Partial<NewFile> = {}) => {
    const file = newFile(id, name, { isLeased: true, ...fields })
    await metadata.leaseBlob(file.blobId, 60)
    return file
  }

  for (const kind of ['cutRequest', 'cutAnswer'] as const) {
    const [added, put, replacing] = [await leased(`${kind} a`), await leased(`${kind} b`), await leased(`${kind} b`)]
    t.match(await during(kind, once(/store_file/), () => metadata.addFile(added, unlimited)), { isNew: true, file: { blobId: added.blobId } })
    t.match(await during(kind, once(/store_file/), () => metadata.putFile(put, unlimited, always)), { isNew: true, file: { blobId: put.blobId } })
    t.match(await during(kind, once(/store_file/), () => metadata.putFile({ ...replacing, now: 6000 }, unlimited, { 'if-match': `"${put.sha256}"` })), { isNew: false, file: { blobId: replacing.blobId } })
    t.equal((await during(kind, once(/file_by_name/), () => metadata.findFile(id, added.name)))?.blobId, added.blobId, 'a read is repeated')
    await during(kind, once(/lease_blob/), () => metadata.leaseBlob(hex(16), 60))
    t.match(await during(kind, once(/BEGIN/), () => metadata.addAccount(newAccount(`${kind} BEGIN`))), { username: `${kind} BEGIN` }, 'nothing has happened')
    t.match(await during(kind, once(/insert into "accounts"/), () => metadata.addAccount(newAccount(`${kind} insert`))), { username: `${kind} insert` }, 'and what has is undone')
  }
  t.strictSame(await metadata.usageMismatches(), [])

  const unleased = newFile(id, 'no lease')
  t.match(await during('cutAnswer', once(/store_file/), () => metadata.addFile(unleased, unlimited)), { isNew: true, file: { blobId: unleased.blobId } })
  await t.rejects(during('cutRequest', once(/store_file/), () => metadata.addFile(newFile(id, 'never'), unlimited)), { constructor: OutcomeUnknown, code: 'unavailable' }, 'nothing proves that it was not stored and removed')
  t.equal(await metadata.findFile(id, 'never'), undefined)

  const clash = await leased('no lease')
  await t.rejects(during('cutRequest', once(/store_file/), () => metadata.addFile(clash, unlimited)), { code: 'name_taken', constructor: Problem }, 'a refusal says that it was not stored')
  await failChanges(url, 'P0001', 1000)
  const broken = await leased('broken')
  await t.rejects(during('cutRequest', once(/store_file/), () => metadata.addFile(broken, unlimited)), { constructor: OutcomeUnknown, code: 'unavailable' }, 'another failure says nothing')
  await failChanges(url, '0', 0)
  // The first try is carried out, and another process replaces the file before the second: its bytes are a version.
  await server.run(url, `CREATE FUNCTION replace() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.name = 'replaced' THEN
      UPDATE files SET blob_id = 'other', sha256 = 'other' WHERE id = NEW.id;
      INSERT INTO kept (id, owner_id, file_id, size, type, sha256, stored_at, kept_at) VALUES (NEW.blob_id, NEW.owner_id, NEW.id, NEW.size, NEW.type, NEW.sha256, 1, 1);
      UPDATE accounts SET kept_bytes = kept_bytes + NEW.size WHERE id = NEW.owner_id;
    END IF; RETURN NULL; END $$;
    CREATE TRIGGER replace AFTER INSERT ON files FOR EACH ROW EXECUTE FUNCTION replace()`)
  const replaced = await leased('replaced')
  await t.rejects(during('cutAnswer', once(/store_file/), () => metadata.addFile(replaced, unlimited)), { constructor: OutcomeUnknown, code: 'unavailable' }, 'no refusal, for which the bytes would be deleted')
  t.strictSame(await metadata.knownBlobs([replaced.blobId]), new Set([replaced.blobId]))

  const always4 = { what: /store_file/, times: 4 }
  const late = await leased('late')
  await t.rejects(during('cutAnswer', always4, () => metadata.addFile(late, unlimited)), { constructor: OutcomeUnknown, code: 'unavailable', options: { headers: { 'retry-after': '5' } } })
  t.equal((await metadata.findFile(id, 'late'))?.blobId, late.blobId)

  await t.rejects(during('cutAnswer', once(/COMMIT/), () => metadata.addAccount(newAccount('late'))), { constructor: OutcomeUnknown, code: 'unavailable' })
  t.ok(await metadata.findAccountByKey('late'))
  await t.rejects(during('cutAnswer', once(/remove_file/), () => metadata.removeFile(id, 'late', removal)), { constructor: OutcomeUnknown, code: 'unavailable' })
  t.equal(await metadata.findFile(id, 'late'), undefined)
  await t.rejects(during('cutRequest', { what: /file_by_name/, times: 4 }, () => metadata.findFile(id, 'late')), { code: 'unavailable', constructor: Problem }, 'a read changes nothing')
  t.strictSame(await metadata.usageMismatches(), [])
  t.ok(await connectionsTo(url) <= POOL + 1)
})

t.test('an upload whose answer is lost is added, saved, taken over and finished once', async t => {
  const url = await server.newDatabase()
  const proxy = await startProxy(t, server.port)
  const metadata = await open(t, new URL(new URL(url).pathname, server.url('', proxy.port)).href)
  const { id: ownerId } = await metadata.addAccount(newAccount('ada'))
  const newUpload = (name: string, fields: Partial<NewUpload> = {}): NewUpload => ({
    id: hex(16), ownerId, name, type: 'text/plain', blobId: hex(16), length: 10, method: 'PUT', precondition: {}, uploadMetadata: null, reprDigest: null, lifetimeMilliseconds: 3600_000, ...fields
  })
  const limits = { maxUploads: 9, quota: { bytes: 100, files: 9 } }
  const changeOf = ({ id, generation }: UploadRecord) => ({ id, generation, offset: 10, state: 's', length: 10, lifetimeMilliseconds: 3600_000 })
  const finish = (upload: UploadRecord, sha256: string) => metadata.finishUpload(changeOf(upload), { sha256, quota: limits.quota })

  async function during<T> (kind: 'cutRequest' | 'cutAnswer', what: RegExp, operation: () => Promise<T>): Promise<T> {
    const target = proxy.cuts + 1
    proxy[kind] = { test: (text: string) => proxy.cuts < target && what.test(text) } as RegExp
    return operation().finally(() => { proxy[kind] = undefined })
  }

  for (const kind of ['cutRequest', 'cutAnswer'] as const) {
    const wanted = newUpload(kind)
    const added = await during(kind, /add_upload/, () => metadata.addUpload(wanted, limits))
    t.match(added, { id: wanted.id, blobId: wanted.blobId, generation: 1, offset: 0 })
    const taken = await during(kind, /update "uploads"/, () => metadata.takeOverUpload(ownerId, wanted.id, { isAppending: true, lifetimeMilliseconds: 3600_000 }))
    t.ok(taken.generation > 1)
    await during(kind, /save_upload/, () => metadata.saveUpload(changeOf(taken), { isAppending: true, quota: limits.quota }))
    t.match(await metadata.findUpload(ownerId, wanted.id), { offset: 10, state: 's' })
    const stored = await during(kind, /finish_upload/, () => finish(taken, 'aa'))
    t.match(stored, { isNew: true, file: { blobId: wanted.blobId, sha256: 'aa' } })
    t.strictSame((await metadata.findUpload(ownerId, wanted.id))?.result, stored)
    const refused = await metadata.addUpload(newUpload(kind, { method: 'POST' }), limits)
    t.equal(await during(kind, /finish_upload/, () => finish(refused, 'bb')), undefined)
    t.match(await metadata.findUpload(ownerId, refused.id, Date.now()), { isRefused: true })
    await metadata.removeUpload(ownerId, refused.id, Date.now())
  }
  t.equal((await metadata.listUploads(ownerId, { now: Date.now(), name: undefined, before: undefined, limit: 9 })).length, 0)
  t.strictSame(await metadata.usageMismatches(), [])

  const [gone, ended] = [newUpload('gone'), newUpload('ended')]
  const behind = await open(t, url)
  // The first try is carried out, and another process ends the upload before the second.
  await server.run(url, `CREATE FUNCTION end_upload() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.name = 'gone' THEN DELETE FROM uploads WHERE id = NEW.id; INSERT INTO discarded_blobs (blob_id, discarded_at) VALUES (NEW.blob_id, 1); END IF; RETURN NULL; END $$;
    CREATE TRIGGER end_upload AFTER INSERT ON uploads FOR EACH ROW EXECUTE FUNCTION end_upload()`)
  await t.rejects(during('cutAnswer', /add_upload/, () => metadata.addUpload(gone, limits)), { constructor: OutcomeUnknown, code: 'unavailable' })
  await server.run(url, `CREATE OR REPLACE FUNCTION end_upload() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM uploads WHERE id = NEW.id; RETURN NULL; END $$;
    CREATE OR REPLACE TRIGGER end_upload AFTER UPDATE ON uploads FOR EACH ROW EXECUTE FUNCTION end_upload()`)
  const added = await behind.addUpload(ended, limits)
  await t.rejects(during('cutAnswer', /finish_upload/, () => finish(added, 'aa')), { constructor: OutcomeUnknown, code: 'unavailable' }, 'whether it became a file is not known')
})

t.test('a server that no longer answers is given up after a while, and used again when it does', async t => {
  const url = await server.newDatabase()
  const proxy = await startProxy(t, server.port)
  const metadata = await openPostgresMetadata({ url: new URL(new URL(url).pathname, server.url('', proxy.port)).href, poolSize: POOL })
  const { id } = await metadata.addAccount(newAccount('ada'))
  const seconds = async (operation: () => Promise<unknown>) => {
    const start = performance.now()
    await operation()
    return (performance.now() - start) / 1000
  }
  proxy.isSilent = true
  t.ok(await seconds(async () => t.strictSame(await outcomes([
    metadata.findAccount(id), metadata.findToken(1), metadata.addFile(newFile(id, 'a'), unlimited), metadata.setQuota(id, { bytes: 1, files: 1 })
  ]), { unavailable: 4 })) < 25)
  proxy.isSilent = false
  t.ok(await seconds(async () => t.ok(await metadata.findAccount(id))) < 1)
  t.match(await metadata.addFile(newFile(id, 'b'), unlimited), { isNew: true })
  t.strictSame(await metadata.usageMismatches(), [])
  proxy.isSilent = true
  t.ok(await seconds(() => metadata.close()) < 5)
})

t.test('a server that is restarted under load loses nothing that was acknowledged, and the pool is whole again', async t => {
  const url = await server.newDatabase()
  const metadata = await openPostgresMetadata({ url, poolSize: POOL })
  const { id } = await metadata.addAccount(newAccount('ada'))
  const acknowledged = new Map<string, string>()
  const codes = new Set<string>()
  const ending = new AbortController()
  const writers = Array.from({ length: 20 }, async (_, writer) => {
    for (let count = 0; !ending.signal.aborted; count++) {
      const file = newFile(id, `${writer} ${count}`)
      try {
        await metadata.addFile(file, unlimited)
        acknowledged.set(file.name, file.blobId)
      } catch (error) {
        codes.add(error instanceof Problem ? error.code : String(error))
        await setTimeout(10)
      }
    }
  })
  for (const end of [server.stop, server.crash, server.stop]) {
    await setTimeout(300)
    await end()
    t.strictSame(await outcomes([metadata.findAccount(id), metadata.findToken(1), metadata.probe(), metadata.addAccount(newAccount('no'))]), { unavailable: 4 })
    const before = acknowledged.size
    await server.start()
    const deadline = performance.now() + 20_000
    while (acknowledged.size < before + 100 && performance.now() < deadline) await setTimeout(20)
    t.ok(acknowledged.size >= before + 100, 'it goes on by itself')
  }
  ending.abort()
  await Promise.all(writers)
  t.strictSame(Array.from(codes), ['unavailable'])
  const stored = new Map((await metadata.listFiles(id, { order: 'name', prefix: undefined, limit: 1_000_000, after: undefined })).map(file => [file.name, file.blobId]))
  t.strictSame(Array.from(acknowledged).filter(([name, blobId]) => stored.get(name) !== blobId), [], `of ${acknowledged.size} acknowledged files none is lost`)
  t.strictSame(await metadata.usageMismatches(), [])
  t.strictSame(await outcomes(Array.from({ length: 200 }, () => metadata.findAccount(id))), { ok: 200 })
  t.ok(await connectionsTo(url) <= POOL + 1)
  await metadata.close()
  await setTimeout(200)
  t.equal(await connectionsTo(url), 0)
})

t.test('a server on PostgreSQL keeps files in its folder, and everything else in the database', async t => {
  const settings = { DATABASE_URL: await server.newDatabase(), DATA_DIR: t.testdir() }
  const user = { user: ['ada', 'pwd'] as [string, string] }
  const first = await startServer(t, settings)
  t.equal((await first.send('POST', '/api/users', { json: { username: 'ada', password: 'pwd' } })).status, 201)
  const { json: { token } } = await first.send('GET', '/api/token', user)
  t.equal((await first.send('PUT', '/uploads/a.txt', { token, body: 'hello' })).status, 201)
  t.match((await runBin(['serve'], settings)), { code: 1, stderr: /another MagicStore server uses this data folder/ })
  t.match(await runBin(['keys', 'rotate'], settings), { code: 0, stdout: /^added key / })
  t.match(await runBin(['user', 'list'], settings), { code: 0, stdout: /ada/ })
  t.match(await runBin(['fsck', '--deep'], settings), { code: 0, stdout: 'all is well\n' })
  await first.close()
  const names = await readdir(settings.DATA_DIR)
  t.strictSame(names.filter(name => name.startsWith('magicstore.db') || name === 'signing-keys'), [])

  const second = await startServer(t, settings)
  t.equal((await second.send('GET', '/uploads/a.txt', { token })).text, 'hello', 'the key before the last one still verifies')
  t.equal((await second.send('GET', '/api/files?prefix=%00', { token })).status, 200)
  await second.close()

  const embedded = await startServer(t, { DATA_DIR: join(settings.DATA_DIR, 'embedded') })
  await embedded.close()
  t.match(await runBin(['serve'], { ...settings, DATA_DIR: embedded.dataDir }), { code: 2, stderr: /^magicstore: DATA_DIR: [^\n]* has a database of its own[^\n]*\n$/ })
})
