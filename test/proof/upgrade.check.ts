import { readFileSync } from 'node:fs'
import { appendFile, copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { UnknownMigrationError } from '#src/metadata/migration-history.ts'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { lockFolder } from '#src/metadata/sqlite/lock.ts'
import { MigrationError } from '#src/metadata/sqlite/migrations.ts'
import { openSqliteMetadata } from '#src/metadata/sqlite/sqlite.ts'
import { runCommand } from '../kit/commands.ts'
import { sha256Of } from '../kit/digests.ts'
import { mountDisk } from '../kit/disks.ts'
import { codeAt, withCode } from '../kit/one-time-codes.ts'
import { execute } from '../kit/programs.ts'
import { root } from '../kit/root.ts'
import { issueToken, runBin, spawnServer, startServer, type Client } from '../kit/server.ts'
import { KIB, sizes } from '../kit/sizes.ts'

const migrations = join(root, 'drizzle/sqlite')
const fixtures = join(root, 'test/fixtures')
const LAST_WITHOUT_FOLDERS = '0002'
const FILES = sizes.filesToUpgrade
const FIXTURE = /^(\d{4})\.tar\.gz$/

interface Stored { owner: string, name: string, size: number, sha256: string }

interface Fixture {
  people: { username: string, password: string, access: string, personal: string | null }[]
  files: (Stored & { type: string })[]
  /** From format 0003 on, as what follows. */
  versions?: Stored[]
  trash?: Stored[]
  factors?: { username: string, password: string, secret: string, recoveryCodes: string[] }[]
  links?: { name: string, kind: 'download' | 'upload', path: string }[]
}

const journalOf = async (folder: string) => JSON.parse(await readFile(join(folder, 'meta/_journal.json'), 'utf8'))
const numbers = (await readdir(fixtures)).map(name => FIXTURE.exec(name)?.[1]).filter(number => number !== undefined)
  .sort()
const newest: string = (await journalOf(migrations)).entries.at(-1).tag.slice(0, 4)

/** The data folder of a fixture, as its version left it, and what was stored in it. */
async function unpack (t: Test, number = newest): Promise<{ dataDir: string, database: string, stored: Fixture }> {
  const folder = join(t.testdir({ fixture: {} }), 'fixture')
  await execute('tar', ['--extract', '--gzip', '--file', join(fixtures, `${number}.tar.gz`), '--directory', folder])
  const dataDir = join(folder, 'data')
  return { dataDir, database: join(dataDir, 'magicstore.db'), stored: JSON.parse(await readFile(join(folder, 'facts.json'), 'utf8')) }
}

/** The whole content of a database, with its schema. */
function dump (file: string): Record<string, unknown[]> {
  const client = new Database(file, { readonly: true })
  const tables = client.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").pluck().all() as string[]
  const rows = Object.fromEntries(tables.map(name => [name, client.prepare(`SELECT * FROM "${name}"`).all()]))
  const schema = client.prepare('SELECT type, name, sql FROM sqlite_master ORDER BY name').all()
  client.close()
  return { schema, ...rows }
}

/** Tables, columns, indexes and references, independent of the spelling of the SQL. */
function shapeOf (file: string) {
  const client = new Database(file, { readonly: true })
  const tables = client.prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name").pluck().all() as string[]
  const shape = tables.map(name => [name, ...['table_info', 'foreign_key_list'].map(pragma => client.pragma(`${pragma}(${name})`)),
    (client.pragma(`index_list(${name})`) as { name: string, unique: number }[]).map(index => [index.name, index.unique, client.pragma(`index_info(${index.name})`)]).sort()])
  client.close()
  return shape
}

const copiesIn = async (dataDir: string) => (await readdir(dataDir)).filter(name => name.startsWith('magicstore.db.')).sort()

t.test('every format of the database has a fixture', async t => {
  t.strictSame(numbers, (await journalOf(migrations)).entries.map(({ tag }: { tag: string }) => tag.slice(0, 4)))
})

for (const number of numbers) {
  t.test(`a data folder of format ${number} opens, is brought up to date after a copy was made, serves what was stored and passes fsck`, async t => {
    const { dataDir, database, stored } = await unpack(t, number)
    const expected = number === newest ? [] : [`magicstore.db.before-${String(Number(number) + 1).padStart(4, '0')}`]
    const before = dump(database)
    // What a fixture keeps must not expire.
    const settings = { DATA_DIR: dataDir, KEEP_DAYS: '36500', LINKS: 'on' }
    const server = await startServer(t, settings)
    t.strictSame(await copiesIn(dataDir), expected)
    for (const name of expected) {
      t.strictSame(dump(join(dataDir, name)), before, 'the copy says what the database said')
      t.equal((await stat(join(dataDir, name))).mode & 0o777, 0o600)
    }
    // Files of a format without `stored_at` got the date of their last change.
    const dates = dump(database).files as { stored_at: number, updated_at: number }[]
    t.strictSame(dates.map(file => file.stored_at), dates.map(file => file.updated_at))
    if (number <= LAST_WITHOUT_FOLDERS) {
      const files = dump(database).files as { folder_id: number, modified_at: number | null }[]
      t.strictSame(files.map(file => [file.folder_id, file.modified_at]), files.map(() => [0, null]), 'all are in the root')
    }
    for (const { username, password, access, personal } of stored.people) {
      const token = await issueToken(server, { user: [username, password] })
      const own = stored.files.filter(({ owner }) => owner === username)
      t.strictSame((await server.send('GET', '/api/files', { token })).json.files.map(({ name, size, type, sha256 }: Fixture['files'][0]) => ({ owner: username, name, size, type, sha256 })).sort(byName), own.sort(byName))
      for (const { name, sha256 } of own) t.equal(sha256Of((await server.send('GET', `/uploads/${encodeURIComponent(name)}`, { token })).bytes), sha256, name)
      t.equal((await server.send('GET', '/uploads/gone', { token })).status, 404)
      const answer = await server.send('GET', '/api/resource', { token: access })
      t.ok(answer.status === 200 || answer.json.code === 'token_expired', 'signed by a key that is still there')
      if (personal !== null) t.equal((await server.send('GET', '/uploads/report.pdf', { token: personal })).text, 'the first report')
      t.equal((await server.send('PUT', '/uploads/new', { token, body: 'new' })).status, 201)
      t.equal((await server.send('GET', '/api/account', { token })).json.usage.files, own.length + 1)
      await checkKept(t, server, { username, token, stored })
    }
    for (const { username, password, secret, recoveryCodes: [recoveryCode = ''] } of stored.factors ?? []) {
      const user: [string, string] = [username, password]
      t.match(await server.send('GET', '/api/resource', { user }), { status: 401, json: { code: 'second_factor_required' } })
      for (const code of [recoveryCode, codeAt(secret, Date.now())]) t.equal((await server.send('GET', '/api/resource', withCode(user, code))).status, 200)
    }
    for (const { kind, path } of stored.links ?? []) {
      const file = `${path}/files/a`
      if (kind === 'download') t.match(await server.send('GET', file), { status: 200, text: 'the first report' })
      else t.equal((await server.send('PUT', file, { body: 'a' })).status, 201)
    }
    await server.close()
    t.strictSame(await runCommand(['fsck', '--deep'], { DATA_DIR: dataDir }), { code: 0, stdout: 'all is well\n', stderr: '' }, 'and knows the copy')
    const fresh = join(t.testdirName, 'fresh.db')
    await (await openSqliteMetadata(fresh)).close()
    t.strictSame(shapeOf(database), shapeOf(fresh))
    await (await openSqliteMetadata(database)).close()
    t.strictSame(await copiesIn(dataDir), expected, 'nothing to do the second time')
  })
}

/** What a fixture keeps is served, and what it stores becomes a version of the date that it had. */
async function checkKept (
  t: Test, server: Client, { username, token, stored }: { username: string, token: string, stored: Fixture }
): Promise<void> {
  const isOwn = ({ owner }: Stored) => owner === username
  const versionsOf = async (name: string) => (await server.send('GET', `/api/files/${encodeURIComponent(name)}/versions`, { token })).json.versions
  for (const { name } of stored.files.filter(isOwn)) {
    const versions = await versionsOf(name)
    t.strictSame(
      versions.map(({ sha256 }: Stored) => sha256),
      stored.versions?.filter(version => isOwn(version) && version.name === name).map(({ sha256 }) => sha256) ?? [],
      name
    )
    for (const { id, sha256 } of versions) t.equal(sha256Of((await server.send('GET', `/uploads/${encodeURIComponent(name)}?version=${id}`, { token })).bytes), sha256)
  }
  const { json: trash } = await server.send('GET', '/api/trash', { token })
  t.strictSame(
    trash.files.map(({ name, sha256 }: Stored) => [name, sha256]),
    stored.trash?.filter(isOwn).map(({ name, sha256 }) => [name, sha256]) ?? []
  )
  for (const { id, name, sha256 } of trash.files) t.match((await server.send('POST', `/api/trash/${id}/restore`, { token })).json, { name, sha256 })

  const { json: { sha256, updatedAt } } = await server.send('GET', '/api/files/report.pdf', { token })
  t.equal((await server.send('PUT', '/uploads/report.pdf', { token, body: 'the second report' })).status, 200)
  const [version] = await versionsOf('report.pdf')
  t.match(version, { sha256, createdAt: updatedAt })
  t.match((await server.send('POST', `/api/files/report.pdf/versions/${version.id}/restore`, { token })).json, { sha256 })
  t.equal((await server.send('GET', '/uploads/report.pdf', { token })).text, 'the first report')
}

const byName = (one: { name: string }, other: { name: string }) => one.name < other.name ? -1 : 1
/** A token that has ended. */
const token = { accountId: 1, kind: 'access', parentId: null, name: null, scopes: '', secretHash: null, factors: 'password', browser: null, system: null, createdAt: 1, expiresAt: 2 } as const

t.test('access tokens of the first format stay valid, with all that a password may do, and their ids are not used again', async t => {
  for (const where of ['id = (SELECT max(id) FROM tokens)', 'true']) {
    const { database, stored } = await unpack(t, '0000')
    const old = new Database(database)
    const ids = old.prepare('SELECT id FROM tokens ORDER BY id').pluck().all() as number[]
    old.exec(`DELETE FROM tokens WHERE ${where}`)
    old.close()
    const metadata = await openSqliteMetadata(database)
    if (where !== 'true') t.match(await metadata.tokens.find(Number(ids[0])), { token: { kind: 'access', parentId: null, scopes: 'files:read files:write account links', lastUsedAt: null }, account: { username: stored.people[0]?.username } })
    t.equal((await metadata.tokens.add(token)).id, Number(ids.at(-1)) + 1)
    await metadata.close()
  }
})

t.test('access tokens of a password may make links after the upgrade, personal tokens and those issued for them may not', async t => {
  const { database } = await unpack(t, LAST_WITHOUT_FOLDERS)
  const [all, before] = ['files:read files:write account links', 'files:read files:write account']
  const old = new Database(database)
  old.exec(`DELETE FROM tokens; INSERT INTO tokens (id, account_id, kind, parent_id, name, scopes, secret_hash, created_at, expires_at) VALUES
    (1, 1, 'access', NULL, NULL, '${before}', NULL, 1, 9), (2, 1, 'personal', NULL, 'p', '${before}', 'b', 1, 9), (3, 1, 'access', 2, NULL, '${before}', NULL, 1, 9)`)
  old.close()
  const metadata = await openSqliteMetadata(database)
  t.teardown(() => metadata.close())
  const scopes = await Promise.all([1, 2, 3].map(async id => (await metadata.tokens.find(id))?.token.scopes))
  t.strictSame(scopes, [all, before, before])
})

t.test('the id of an event is not used again after the upgrade', async t => {
  const { database } = await unpack(t, LAST_WITHOUT_FOLDERS)
  const old = new Database(database)
  const newest = old.prepare('DELETE FROM events WHERE id = (SELECT max(id) FROM events) RETURNING id').pluck().get()
  old.close()
  await (await openSqliteMetadata(database)).close()
  t.match(dump(database).sqlite_sequence?.filter(row => (row as { name: string }).name === 'events'), [{ seq: newest }])
})

/** The migrations of this version followed by later ones, each given as its statements. */
async function laterMigrations (t: Test, later: string[][]): Promise<string> {
  const folder = join(await mkdtemp(join(t.testdirName, 'migrations-')), 'sqlite')
  await cp(migrations, folder, { recursive: true })
  const journal = await journalOf(folder)
  const last = journal.entries.at(-1)
  for (const [index, statements] of later.entries()) {
    const idx = last.idx + 1 + index
    const tag = `${String(idx).padStart(4, '0')}_later`
    journal.entries.push({ ...last, idx, when: last.when + 1 + index, tag })
    await writeFile(join(folder, `${tag}.sql`), statements.join(';--> statement-breakpoint\n'))
  }
  await writeFile(join(folder, 'meta/_journal.json'), JSON.stringify(journal))
  return folder
}

const next = `magicstore.db.before-${String(Number(newest) + 1).padStart(4, '0')}`

t.test('a migration that is refused leaves the old state, which this version serves', async t => {
  for (const statements of [
    ['ALTER TABLE accounts ADD note text', 'UPDATE accounts SET username = username || \'!\'', 'INSERT INTO nowhere VALUES (1)'],
    ['CREATE TABLE notes (id integer)', 'what is this'],
    // It would leave files without an owner.
    ['DELETE FROM accounts WHERE id = 1']
  ]) {
    const { dataDir, database, stored } = await unpack(t)
    const before = dump(database)
    const migrationsFolder = await laterMigrations(t, [['CREATE TABLE harmless (id integer)'], statements])
    for (const attempt of ['first', 'second']) {
      t.type(await openSqliteMetadata(database, { migrationsFolder }).catch(error => error), MigrationError, attempt)
      t.strictSame(dump(database), before)
      t.strictSame(await copiesIn(dataDir), [next])
      t.strictSame(dump(join(dataDir, next)), before)
    }
    const server = await startServer(t, { DATA_DIR: dataDir })
    const [{ username = '', password = '' } = {}] = stored.people
    t.equal((await server.send('GET', '/uploads/report.pdf', { user: [username, password] })).text, 'the first report')
    await server.close()
    t.match(await runCommand(['fsck', '--deep'], { DATA_DIR: dataDir }), { code: 0, stdout: 'all is well\n' })
  }
})

t.test('a migration that makes a table anew keeps what refers to its rows', async t => {
  const { database } = await unpack(t)
  const before = dump(database)
  const [{ sql = '' } = {}] = (before.schema as { name: string, sql: string }[]).filter(({ name }) => name === 'accounts')
  const migrationsFolder = await laterMigrations(t, [[sql.replace('accounts', 'new_accounts'), 'INSERT INTO new_accounts SELECT * FROM accounts', 'DROP TABLE accounts', 'ALTER TABLE new_accounts RENAME TO accounts', 'CREATE UNIQUE INDEX accounts_username_key ON accounts (username_key)']])
  const metadata = await openSqliteMetadata(database, { migrationsFolder })
  t.strictSame(await metadata.checkIntegrity(), [])
  await t.rejects(metadata.tokens.add({ ...token, accountId: 77 }), { code: 'token_revoked' }, 'references are in force again')
  await metadata.close()
  const after = dump(database)
  for (const name of ['accounts', 'tokens', 'files', 'account_networks']) t.strictSame(after[name], before[name], name)
  t.type(await openSqliteMetadata(database).catch(error => error), UnknownMigrationError, 'and is a newer one from then on')
  t.strictSame(dump(database), after)
})

t.test('the copies of the last two upgrades are kept, and one can be put back', async t => {
  const { dataDir, database, stored } = await unpack(t)
  const later = Array.from({ length: 4 }, (_, index) => [`CREATE TABLE later_${index} (id integer)`])
  const upgradeTo = async (count: number) => {
    const migrationsFolder = await laterMigrations(t, later.slice(0, count))
    await (await openSqliteMetadata(database, { migrationsFolder })).close()
  }
  await upgradeTo(1)
  t.equal((await runCommand(['serve'], { DATA_DIR: dataDir, PORT: '0' })).code, 1)
  await copyFile(join(dataDir, next), database)
  const server = await startServer(t, { DATA_DIR: dataDir })
  for (const { username, password } of stored.people) t.equal((await server.send('GET', '/api/resource', { user: [username, password] })).status, 200)
  await server.close()
  for (let count = 1; count <= later.length; count++) await upgradeTo(count)
  t.strictSame(await copiesIn(dataDir), [3, 4].map(count => `magicstore.db.before-${String(Number(newest) + count).padStart(4, '0')}`))
})

t.test('a store of many files is upgraded, and the start says how many they are', async t => {
  const { dataDir, database, stored } = await unpack(t, LAST_WITHOUT_FOLDERS)
  const old = new Database(database)
  old.exec(`WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${FILES})
    INSERT INTO files (owner_id, name, size, type, sha256, blob_id, created_at, updated_at)
    SELECT 1, 'file ' || n, 0, 'text/plain', '${'0'.repeat(64)}', printf('%032x', n), n, n FROM numbers`)
  old.exec(`UPDATE accounts SET used_files = used_files + ${FILES} WHERE id = 1`)
  old.close()
  const file = join(dataDir, '..', 'errors')
  const server = await spawnServer(t, { DATA_DIR: dataDir }, { under: ['sh', '-c', `exec "$@" 2>'${file}'`, 'sh'], isCounted: true })
  t.equal((await server.send('GET', `/api/files/file%20${FILES}`, { user: ['Ada', 'pwd'] })).json.name, `file ${FILES}`)
  t.equal(await server.end('SIGTERM'), 0)
  t.equal(await readFile(file, 'utf8'), `magicstore: upgrading the database, which has ${(FILES + stored.files.length).toLocaleString('en')} files\n`)
})

t.test('a disk without room for the copy stops the upgrade before it begins, in one line, and it works when there is room', async t => {
  const disk = await mountDisk(t, 'size=16m')
  if (disk === undefined) return
  const { dataDir: packed } = await unpack(t, '0000')
  const dataDir = join(disk, 'data')
  await cp(packed, dataDir, { recursive: true })
  // An existing reserve would be freed for it, one part at a time.
  await mkdir(join(dataDir, 'reserve'))
  const { bavail, bsize } = await statfs(disk)
  await appendFile(join(disk, 'filler'), Buffer.alloc(bavail * bsize - 64 * KIB, 1))
  const { code, stderr } = await runCommand(['serve'], { DATA_DIR: dataDir, PORT: '0' })
  t.equal(code, 1)
  t.match(stderr, /^magicstore: upgrading [^\n]+\nmagicstore: the database could not be upgraded [^\n]+\n$/)
  t.strictSame(await copiesIn(dataDir), [])
  await rm(join(disk, 'filler'))
  const server = await startServer(t, { DATA_DIR: dataDir })
  t.equal((await server.send('GET', '/api/resource', { user: ['Ada', 'pwd'] })).status, 200)
  await server.close()
})

t.test('no command brings the database up to date under a server that serves it, and any does without one', async t => {
  const { dataDir, database } = await unpack(t, '0000')
  const before = dump(database)
  await rm(join(dataDir, 'lock.db-journal'))
  const olderServer = lockFolder(join(dataDir, 'lock.db'))
  for (const args of [['user', 'list'], ['fsck']]) {
    const { code, stdout, stderr } = await runCommand(args, { DATA_DIR: dataDir })
    t.strictSame([code, stdout], [1, ''])
    t.match(stderr, /^magicstore: [^\n]+\n$/)
  }
  t.strictSame(dump(database), before)
  olderServer.close()
  t.match(await runCommand(['fsck', '--deep'], { DATA_DIR: dataDir }), { code: 0, stdout: 'all is well\n' })
  t.equal((await copiesIn(dataDir)).length, 1)
})

t.test('a database that another process brings up to date first is taken as it is', async t => {
  const { dataDir, database } = await unpack(t, '0000')
  const [, ...missing] = (await journalOf(migrations)).entries as { tag: string, when: number }[]
  const takeFolder = () => {
    // Migrates between the check and the lock.
    const other = new Database(database)
    for (const { tag, when } of missing) {
      other.exec(readFileSync(join(migrations, `${tag}.sql`), 'utf8').replaceAll('--> statement-breakpoint', ''))
      other.prepare('INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)').run('', when)
    }
    other.close()
    return { close: () => {} }
  }
  const metadata = await openSqliteMetadata(database, { takeFolder })
  t.match(await metadata.accounts.find(1), { username: 'Ada', disabledAt: null })
  await metadata.close()
  t.strictSame(await copiesIn(dataDir), [])
})

t.test('commands that make the database at the same time make it once', async t => {
  const dataDir = join(t.testdir(), 'data')
  const ends = await Promise.all(['ann', 'ben', 'cid'].map(name => runBin(['user', 'add', name], { DATA_DIR: dataDir }, 'pwd')))
  for (const { code, stderr } of ends) t.equal(code, 0, stderr)
  t.strictSame(await copiesIn(dataDir), [])
})
