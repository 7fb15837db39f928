import { getTableConfig, type SQLiteTable } from 'drizzle-orm/sqlite-core'
import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once as onceEmitted } from 'node:events'
import { existsSync, symlinkSync } from 'node:fs'
import { copyFile, mkdir, open, readdir, readlink, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Test, test } from 'tap'
import type { SpaceOnDisk, StoredBlob } from '#src/blobs/blob-store.ts'
import { complete, createBlobId } from '#src/blobs/blob-writer.ts'
import { openDiskBlobs } from '#src/blobs/disk/disk.ts'
import { openSharedSync } from '#src/data-folder/durable-files.ts'
import { openReserve } from '#src/blobs/disk/free-space.ts'
import { createSmallFileReader } from '#src/blobs/disk/blob-reader.ts'
import { OutcomeUnknown } from '#src/metadata/metadata.ts'
import { Committer } from '#src/metadata/sqlite/committer.ts'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { createRowCache } from '#src/metadata/sqlite/engine.ts'
import { DeniedFileError, failureOf } from '#src/metadata/sqlite/failures.ts'
import { lockFolder, FolderInUseError } from '#src/metadata/sqlite/lock.ts'
import * as schema from '#src/metadata/sqlite/schema.ts'
import { openSqliteMetadata } from '#src/metadata/sqlite/sqlite.ts'
import { Problem } from '#src/problems.ts'
import { paceSuite, readAll, suite as blobsContract } from './blobs.contract.ts'
import { append, createRow, SAVE_BYTES } from './drafts.contract.ts'
import { inChunks } from './kit/bytes.ts'
import { createTestClock } from './kit/clock.ts'
import { sha256Of } from './kit/digests.ts'
import { mountDisk } from './kit/disks.ts'
import { DAY } from './kit/durations.ts'
import { newFile, outcomes, removeFolder, unlimited } from './kit/records.ts'
import { KIB, MIB } from './kit/sizes.ts'
import { suite as metadataContract } from './metadata.contract.ts'

const anySize = { maxBytes: Number.MAX_SAFE_INTEGER }

async function openDisk (t: Test, folder = t.testdir(), reserve = { missingBytes: 0 }) {
  const store = await openDiskBlobs({ folder, minFreeBytes: 0, reserve })
  t.teardown(() => store.close())
  return { folder, store }
}

const ada = { username: 'ada', usernameKey: 'ada', passwordHash: 'hash', createdAt: 1 }

/** A store in SQLite with an account. */
async function openSqlite (t: Test, options: Parameters<typeof openSqliteMetadata>[1] = {}) {
  const file = join(t.testdir(), 'magicstore.db')
  const metadata = await openSqliteMetadata(file, options)
  t.teardown(() => metadata.close())
  const { id } = await metadata.accounts.add(ada)
  /** What an operator does to it. */
  const run = (sql: string) => { new Database(file).exec(sql).close() }
  return { metadata, id, run }
}

async function * once (bytes: Uint8Array | string): AsyncGenerator<Buffer> {
  yield Buffer.from(bytes)
}

test('SQLite keeps the contract of metadata', async t => {
  const template = join(t.testdir(), 'magicstore.db')
  await (await openSqliteMetadata(template)).close()
  metadataContract(t, async (place, options) => {
    const file = join(place, 'magicstore.db')
    // A copy takes a quarter of the time of the migrations.
    if (!existsSync(file)) {
      await copyFile(template, file)
      new Database(file).exec('UPDATE installation SET id = hex(randomblob(16)), epoch = NULL').close()
    }
    return openSqliteMetadata(file, options)
  })
})

test('the migrations make the tables, columns, indexes and references that the schema says, and no others', async t => {
  const file = join(t.testdir(), 'magicstore.db')
  await (await openSqliteMetadata(file)).close()
  const client = new Database(file, { readonly: true })
  t.teardown(() => client.close())
  const rows = (pragma: string) => client.pragma(pragma) as Record<string, any>[]
  const tables = Object.values(schema).map(table => getTableConfig(table as unknown as SQLiteTable))
  const made = client.prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '__drizzle%'").pluck().all()
  t.strictSame(made.sort(), tables.map(({ name }) => name).sort())
  for (const { name, columns, indexes, foreignKeys } of tables) {
    t.strictSame(
      rows(`table_xinfo(${name})`).map(row => [row.name, row.type.toLowerCase(), row.notnull === 1]).sort(),
      columns.map(column => [column.name, column.getSQLType(), column.notNull]).sort(), `columns of ${name}`)
    t.strictSame(
      rows(`index_list(${name})`).filter(row => row.origin === 'c').map(row => [row.name, row.unique === 1, rows(`index_info(${row.name})`).map(({ name }) => name)]).sort(),
      [...indexes.map(({ config }) => config), ...columns.filter(({ isUnique }) => isUnique)
        .map(column => ({ name: column.uniqueName, unique: true, columns: [column] }))]
        .map(({ name, unique, columns }) => [name, unique, columns.map(column => 'name' in column && column.name)]).sort(), `indexes of ${name}`)
    t.strictSame(
      rows(`foreign_key_list(${name})`).map(row => [row.from, row.table, row.to, row.on_delete.toLowerCase()]).sort(),
      foreignKeys.map(key => { const { columns, foreignColumns, foreignTable } = key.reference(); return [columns[0]?.name, getTableConfig(foreignTable).name, foreignColumns[0]?.name, key.onDelete ?? 'no action'] }).sort(), `references of ${name}`)
  }
})

test('a failure of the database that is nobody\'s fault is no name that is taken, and what asked for it is undone', async t => {
  const clock = createTestClock(1)
  const retentionPolicy = { milliseconds: DAY, versions: 1 }
  const { metadata, id, run } = await openSqlite(t, { clock: clock.now, retentionPolicy })
  for (const name of ['a', 'in/1', 'in/2']) await metadata.files.add(newFile(id, name), unlimited)
  await metadata.folders.removeSome(id, 'in', { limit: 9, isPermanent: false, deletedWith: 'd' })
  clock.set(2)
  run("CREATE TRIGGER no_accounts BEFORE INSERT ON accounts BEGIN SELECT RAISE(ABORT, 'no'); END; CREATE TRIGGER no_tokens BEFORE INSERT ON tokens BEGIN SELECT RAISE(ABORT, 'no'); END; CREATE TRIGGER no_passkeys BEFORE INSERT ON passkeys BEGIN SELECT RAISE(ABORT, 'no'); END; CREATE TRIGGER no_challenge BEFORE INSERT ON used_challenges WHEN NEW.id = 'no' BEGIN SELECT RAISE(ABORT, 'no'); END; CREATE TRIGGER no_files BEFORE UPDATE ON files BEGIN SELECT RAISE(ABORT, 'no'); END; CREATE TRIGGER no_second BEFORE INSERT ON files WHEN NEW.name = '2' BEGIN SELECT RAISE(ABORT, 'no'); END")
  await t.rejects(metadata.accounts.add({ ...ada, usernameKey: 'bob' }), { code: 'SQLITE_CONSTRAINT_TRIGGER' })
  await t.rejects(metadata.files.rename(id, 'a', 'b', unlimited), { code: 'SQLITE_CONSTRAINT_TRIGGER' })
  await t.rejects(metadata.tokens.add({ accountId: id, kind: 'access', parentId: null, name: null, scopes: '', secretHash: null, factors: 'password', browser: null, system: null, createdAt: 1, expiresAt: 2 }), { code: 'SQLITE_CONSTRAINT_TRIGGER' })
  const passkey = { name: 'p', credentialId: 'c', publicKey: 'k', userHandle: 'u', counter: 0 }
  const add = (id: string) => metadata.factors.addPasskey(
    { ...ada, id: 1, factorVersion: 0 }, passkey, { id, expiresAt: 9 }, { recoveryCodes: [], sessionId: undefined }
  )
  for (const challenge of ['no', 'yes']) await t.rejects(add(challenge), { code: 'SQLITE_CONSTRAINT_TRIGGER' })
  t.equal(await metadata.accounts.findByKey('bob'), undefined)
  t.match(await metadata.files.find(id, 'a'), { updatedAt: 1 })
  const restore = metadata.trash.restoreDeletion(id, 'd', { quota: unlimited, after: undefined, limit: 9 })
  await t.rejects(restore, { code: 'SQLITE_CONSTRAINT_TRIGGER' }, 'no reason that a user is told')
  t.equal(await metadata.files.find(id, 'in/1'), undefined)
  t.equal((await metadata.trash.list(id, { after: undefined, limit: 9 })).length, 2)
})

test('a row that belongs to nothing and a wrong sum are found', async t => {
  const { metadata, id, run } = await openSqlite(t)
  t.strictSame(await metadata.checkIntegrity(), [])
  run("PRAGMA foreign_keys = OFF; INSERT INTO account_networks (account_id, network, first_at) VALUES (77, 'n', 1); UPDATE accounts SET used_bytes = 5, used_files = 2, kept_bytes = 3, kept_contents = 4")
  await nextTurn()
  t.match(await metadata.checkIntegrity(), [/account_networks/])
  t.strictSame(await metadata.accounts.usageMismatches(), [{
    accountId: id,
    recorded: { usedBytes: 5, usedFiles: 2, usedFolders: 0, keptBytes: 3, keptContents: 4 },
    actual: { usedBytes: 0, usedFiles: 0, usedFolders: 0, keptBytes: 0, keptContents: 0 }
  }])
  await metadata.accounts.repairUsage()
  t.strictSame(await metadata.accounts.usageMismatches(), [])
  t.match(await metadata.accounts.find(id), { usedBytes: 0, usedFiles: 0, keptBytes: 0 })
})

test('wrong counts of deletions are found, and counted again', async t => {
  const { metadata, id, run } = await openSqlite(t, { retentionPolicy: { milliseconds: DAY, versions: 1 } })
  for (const name of ['in/1', 'in/2', 'other/3']) await metadata.files.add(newFile(id, name), unlimited)
  for (const [path, deletedWith] of [['in', 'd'], ['other', 'e']] as const) {
    const removal = { limit: 9, isPermanent: false, deletedWith }
    await removeFolder(metadata, id, path, removal)
  }
  const page = { after: undefined, limit: 9 }
  const before = await metadata.trash.listDeletions(id, page)
  t.equal(await metadata.deletionCounts.countWrong(), 0)
  run("UPDATE deletions SET files = 5, size = 1 WHERE id = 'd'; UPDATE deletions SET folders = 0 WHERE id = 'e'; INSERT INTO deletions SELECT 'f', owner_id, kind, name, 1, 0, 1, deleted_at FROM deletions LIMIT 1")
  await nextTurn()
  t.equal(await metadata.deletionCounts.countWrong(), 3)
  await metadata.deletionCounts.repair()
  t.equal(await metadata.deletionCounts.countWrong(), 0)
  t.strictSame(await metadata.trash.listDeletions(id, page), before)
})

test('a draft is recorded after 64 MiB where its store does not say otherwise', async t => {
  const store = await openDiskBlobs({ folder: t.testdir(), minFreeBytes: 0 })
  t.teardown(() => store.close())
  const row = createRow()
  await append(store, createBlobId(), row, inChunks(Buffer.alloc(64 * MIB + 1), MIB))
  t.strictSame(row.saved.map(({ size }) => size), [64 * MIB, 64 * MIB + 1])
})

test('the disk keeps the contract of blobs', async t => {
  const openDisk = (place: string) => openDiskBlobs({ folder: place, minFreeBytes: 0, saveBytes: SAVE_BYTES })
  blobsContract(t, openDisk)
  paceSuite(t, openDisk)
})

for (const { left, what } of [{ left: 2 * MIB, what: 'in the middle' }, { left: 300_000, what: 'in the middle of what is read at a time' }, { left: 0, what: 'from its start' }]) {
  test(`a blob that is cut ${what} while it is read fails the reader, who never sees an end`, async t => {
    const { folder, store } = await openDisk(t)
    const { id, size } = await complete(store.put(createBlobId(), once(Buffer.alloc(3 * MIB, 1)), anySize))
    const stream = await store.read({ id, size }, [{ start: 0, end: size - 1 }]) as Readable
    await truncate(join(folder, 'incoming', id), left)
    await t.rejects(store.read({ id, size }, [{ start: 0, end: 0 }]), { code: 'file_damaged' })
    let received = 0
    stream.on('data', (chunk: Buffer) => { received += chunk.length })
    await t.rejects(finished(stream))
    t.equal(received, left)
  })
}

test('reading a small file does not block the event loop before its bytes have come, nor after a failure', async t => {
  const path = join(t.testdir(), 'pipe')
  await promisify(execFile)('mkfifo', [path])
  const read = createSmallFileReader()
  for (const reads of [() => [read('id', path, 1), read('id', path, 1)], () => [read('id', path, 1)]]) {
    // Opening a pipe waits for its writer, as reading waits for a slow disk.
    const codes = codesOf(reads())
    const writer = await open(path, 'w')
    t.strictSame(new Set(await codes), new Set(['ESPIPE']))
    await writer.close()
  }
})

test('a blob that the disk does not let be read fails the reader', async t => {
  const { folder, store } = await openDisk(t)
  const { id } = await complete(store.put(createBlobId(), once('a'), anySize))
  const path = join(folder, 'incoming', id)
  await rm(path)
  await mkdir(path)
  const { size } = await stat(path)
  await t.rejects(readAll(store, { id, size }), { code: 'file_damaged' })
  t.strictSame(await store.remove([id]), [], 'what the disk does not let be removed is not said to be gone')
})

test('a blob that can\'t be moved is served from where it is, and committed after a restart', async t => {
  const folder = t.testdir()
  const store = await openDiskBlobs({ folder, minFreeBytes: 0 })
  const { id, size } = await complete(store.put(createBlobId(), once('a'), anySize))
  const obstacle = join(folder, 'blobs', id.slice(0, 2))
  await writeFile(obstacle, '')
  store.commit(id)
  await store.close()

  const { store: again } = await openDisk(t, folder)
  t.equal(String(await readAll(again, { id, size })), 'a')
  t.strictSame(await again.pending?.() ?? [], [id])
  await rm(obstacle)
  again.commit(id)
  t.equal(String(await readAll(again, { id, size })), 'a')
  await again.remove([id])
  t.strictSame(await readdir(join(folder, 'incoming')), [])
})

test('where no link is possible a copy is made of the bytes, if there is room for them', async t => {
  const disk = await mountDisk(t, 'size=8m')
  if (disk === undefined) return
  const folder = t.testdir()
  symlinkSync(disk, join(folder, 'incoming'))
  const { store } = await openDisk(t, folder)
  /** A blob on the other disk, to which no server could have moved it. */
  async function committed (size: number): Promise<StoredBlob> {
    const bytes = randomBytes(size)
    const id = createBlobId()
    const path = join(folder, 'blobs', id.slice(0, 2), id)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, bytes)
    return { id, size, sha256: sha256Of(bytes) }
  }
  for (const size of [0, 3000, 3 * MIB]) {
    const blob = await committed(size)
    const id = createBlobId()
    await complete(store.copies.copy(blob, id, { maxBytes: size }))
    t.strictSame(await store.pending?.() ?? [], [id])
    t.equal(sha256Of(await readAll(store, { id, size })), blob.sha256)
    t.equal((await stat(join(disk, id))).nlink, 1)
    await store.remove([id])
    await t.rejects(complete(store.copies.copy({ ...blob, size: size + 1 }, createBlobId(), anySize)), { code: 'file_damaged' })
  }
  const large = await committed(9 * MIB)
  await t.rejects(complete(store.copies.copy(large, createBlobId(), anySize)), { code: 'storage_full' })
  let missing = 0
  const freeDisk = async (bytes: number) => { missing = bytes; throw new Problem('storage_full') }
  await t.rejects(complete(store.copies.copy(large, createBlobId(), anySize), { freeDisk }), { code: 'storage_full' })
  t.ok(missing > 0)
  t.strictSame(await store.pending?.() ?? [], [])
})

test('what an operator laid into the folders is no blob, and stays', async t => {
  const { folder, store } = await openDisk(t, t.testdir({ incoming: { 'README.txt': '' }, blobs: { ab: { notes: '', ['A'.repeat(32)]: '' } } }))
  t.strictSame(await store.pending?.() ?? [], [])
  for await (const id of store.list()) t.fail(id)
  t.strictSame(await readdir(join(folder, 'incoming')), ['README.txt'])
})

test('room that is to be kept free is left alone, as much as it is at the time', async t => {
  const reserve = { missingBytes: 0 }
  const { folder, store } = await openDisk(t, t.testdir(), reserve)
  const space = store.space as SpaceOnDisk
  const endless = async function * () {
    for (;; reserve.missingBytes = Number.MAX_SAFE_INTEGER) yield Buffer.alloc(MIB)
  }
  for (const bytes of [endless(), once('a')]) await t.rejects(complete(store.put(createBlobId(), bytes, anySize)), { code: 'storage_full' })
  await t.rejects(space.check(1), { code: 'storage_full' })
  t.strictSame(await readdir(join(folder, 'incoming')), [])
  reserve.missingBytes = 0
  t.match(await complete(store.put(createBlobId(), once('a'), anySize)), { size: 1 })
  const { free } = await space.measure()
  for (const share of [0.4, 0.7]) {
    reserve.missingBytes = free * share
    t.match(await complete(store.put(createBlobId(), once('a'), anySize)), { size: 1 })
    const double = outcomes([space.check(1, { leavesDouble: true }), complete(store.put(createBlobId(), once('a'), { ...anySize, leavesDouble: true }))])
    t.strictSame(await double, share < 0.5 ? { ok: 2 } : { storage_full: 2 }, 'what leaves twice as much')
  }
  await rm(join(folder, 'incoming'), { recursive: true })
  await t.rejects(complete(store.put(createBlobId(), once('a'), anySize)), { code: 'ENOENT' }, 'another failure stays what it is')
})

test('the reserve is lent a little at a time to what finds no room, to nothing else, and made again', async t => {
  const path = join(t.testdir({ reserve: { 0: 'a slice of an earlier version' } }), 'reserve')
  const sizeOf = async () => (await stat(path)).size
  const reserve = await openReserve(path)
  const whole = await sizeOf()
  t.equal(reserve.missingBytes, 0)
  await reserve.restore()
  await t.rejects(reserve.withSpace(async () => { throw new Error('of another kind') }))
  await t.rejects(reserve.withSpace(async () => { throw new Problem('name_taken') }), { code: 'name_taken' })
  t.equal(await sizeOf(), whole)

  let tries = 0
  t.equal(await reserve.withSpace(async () => { if (++tries < 4) throw new Problem('storage_full'); return 'done' }), 'done')
  t.equal(await sizeOf(), whole - 3 * 64 * KIB)
  t.ok(reserve.missingBytes > 0, 'uploads leave room for it')
  await t.rejects(reserve.withSpace(async () => { throw new Problem('storage_full') }), { code: 'storage_full' })
  t.equal(await sizeOf(), 0, 'all of it, before it is given up')
  await Promise.all([reserve.restore(), reserve.restore()])
  t.equal(await sizeOf(), whole)
  t.equal(reserve.missingBytes, 0)

  await truncate(path, 100)
  const again = await openReserve(path)
  t.equal(await sizeOf(), whole, 'one that was cut is whole after a restart')
  t.equal(again.missingBytes, 0)
})

test('a file that SQLite can\'t open means a full disk, a process without a descriptor left, or missing access, which are told apart', { skip: !existsSync('/usr/bin/prlimit') && 'prlimit is not installed' }, async t => {
  const error = new Database.SqliteError('unable to open database file', 'SQLITE_CANTOPEN')
  const folder = t.testdir()
  const file = join(folder, 'magicstore.db')
  t.match(failureOf(error, file), { code: 'storage_full' })
  // It leads to itself, so that not even root can open it.
  symlinkSync('looped.db-hold', join(folder, 'looped.db-hold'))
  t.type(failureOf(error, join(folder, 'looped.db')), DeniedFileError)
  // Started first: without a free descriptor no program can start.
  const shell = spawn('sh')
  t.teardown(() => { shell.stdin.end() })
  const limitDescriptors = async (count: number) => {
    shell.stdin.write(`prlimit --pid ${process.pid} --nofile=${count}:; echo\n`)
    await onceEmitted(shell.stdout, 'data')
  }
  await limitDescriptors(0)
  const failure = failureOf(error, file)
  await limitDescriptors(1024)
  t.match(failure, { code: 'overloaded', options: { headers: { 'retry-after': '1' } } })
})

test('a reserve that can\'t be made now leaves nothing half-made', { skip: !existsSync('/usr/bin/prlimit') && 'prlimit is not installed' }, async t => {
  const path = join(t.testdir(), 'reserve')
  const limitFiles = (bytes: string) => promisify(execFile)('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:unlimited`])
  // The refusal also raises a signal. Node ignores it, but a listener of tap would end the process.
  const ignore = () => {}
  process.on('SIGXFSZ', ignore)
  await limitFiles('32768')
  const reserve = await openReserve(path).finally(() => limitFiles('unlimited'))
  process.off('SIGXFSZ', ignore)
  t.equal((await stat(path)).size, 0)
  t.ok(reserve.missingBytes > 0)
  await reserve.restore()
  t.equal(reserve.missingBytes, 0)
})

test('no file stays open, whether a reader ends, stops or fails', async t => {
  const { folder, store } = await openDisk(t)
  const { id, size } = await complete(store.put(createBlobId(), once(Buffer.alloc(MIB)), anySize))
  const range = { start: 0, end: size - 1 }
  await readAll(store, { id, size })
  const stopped = await store.read({ id, size }, [range]) as Readable
  stopped.destroy()
  await finished(stopped).catch(() => {})
  await t.rejects(store.read({ id, size: size + 1 }, [range]))
  await t.rejects(complete(store.put(createBlobId(), (async function * () { yield Buffer.alloc(2 * MIB); throw new Error('gone') }()), anySize)))
  const cut = await store.read({ id, size }, [range]) as Readable
  await truncate(join(folder, 'incoming', id), 0)
  await t.rejects(finished(cut.resume()))
  const targets = await Promise.all((await readdir('/proc/self/fd')).map(fd => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
  t.strictSame(targets.filter(target => target.startsWith(`${folder}/`)), [join(folder, 'incoming')], 'but the folder that is synced')
})

test('a disk that fails a sync fails all who share it, and the next one is tried; what is not there can\'t be synced', async t => {
  let isBroken = true
  const sync = await openSharedSync(t.testdir(), async folder => {
    if (isBroken) throw new Error('broken')
    await folder.sync()
  })
  const together = [sync(), sync()]
  for (const shared of together) await t.rejects(shared, { message: 'broken' })
  await t.rejects(sync(), { message: 'broken' })
  isBroken = false
  await sync()
  isBroken = true
  await sync.close()
  await t.rejects(openSharedSync(join(t.testdir(), 'nowhere'), async () => {}), { code: 'ENOENT' })
})

test('syncs that arrive together are one, and one that arrives during another waits for the next', async t => {
  const sync = await openSharedSync(t.testdir(), folder => folder.sync())
  t.teardown(() => sync.close())
  const together = [sync(), sync()]
  t.equal(together[0], together[1])
  await nextTurn()
  await together[0]
  t.not(sync(), together[0])
})

test('a folder has one lock, until it is released', async t => {
  const file = join(t.testdir(), 'lock.db')
  const first = lockFolder(file)
  t.type(t.throws(() => lockFolder(file)), FolderInUseError)
  first.close()
  lockFolder(file).close()
})

test('a write to a database that this connection may only read, though the user may write it, fails with the error of SQLite', async t => {
  const file = join(t.testdir(), 'magicstore.db')
  new Database(file).exec('CREATE TABLE notes (text TEXT)').close()
  const reader = new Database(file, { readonly: true })
  t.teardown(() => reader.close())
  const error = await t.rejects(async () => reader.exec('DELETE FROM notes'), { code: 'SQLITE_READONLY' })
  t.equal(failureOf(error, file), error)
})

test('a database whose first start was cut off in the middle of a write is opened', async t => {
  const [from, to] = [t.testdir({ from: {}, to: {} }) + '/from/magicstore.db', join(t.testdirName, 'to', 'magicstore.db')]
  const writer = new Database(from)
  writer.pragma('journal_mode = DELETE')
  writer.exec('CREATE TABLE half (text TEXT)')
  // With such a small page cache, SQLite writes some pages, and their rollback journal, before the commit.
  writer.pragma('cache_size = 1')
  writer.exec('BEGIN')
  for (let row = 0; row < 100; row++) writer.prepare('INSERT INTO half VALUES (?)').run('x'.repeat(4000))
  for (const end of ['', '-journal']) await copyFile(from + end, to + end)
  writer.close()
  await t.rejects(async () => new Database(to, { readonly: true }).prepare('SELECT * FROM half').all(), { code: 'SQLITE_READONLY_ROLLBACK' })

  const metadata = await openSqliteMetadata(to)
  t.teardown(() => metadata.close())
  t.strictSame(await metadata.checkIntegrity(), [])
  t.equal((await metadata.accounts.add(ada)).id, 1)
})

/** A database with one table, in write-ahead mode like the real one, with group commits. */
function openNotes (t: Test, { journal = 'WAL', syncLog = async () => {} } = {}) {
  const file = join(t.testdir(), 'notes.db')
  const connect = () => {
    const connection = new Database(file, { timeout: 0 })
    t.teardown(() => connection.close())
    return connection
  }
  const client = connect()
  client.pragma(`journal_mode = ${journal}`)
  client.exec('CREATE TABLE IF NOT EXISTS notes (text TEXT NOT NULL)')
  const insert = client.prepare('INSERT INTO notes VALUES (?)')
  const all = () => client.prepare('SELECT text FROM notes').pluck().all()
  const committer = new Committer(client, syncLog)
  return {
    client,
    /** Another process, or an operator. */
    connect,
    committer,
    add: (text: string | null) => committer.commit(() => insert.run(text).changes),
    read: () => committer.read(all),
    all
  }
}

async function codesOf (promises: Promise<unknown>[]): Promise<unknown[]> {
  return (await Promise.allSettled(promises)).map(end => end.status === 'fulfilled' ? end.value : end.reason.code)
}

test('a database that is full fails all writes of the commit and does none, and goes on when there is room', async t => {
  const { client, add, all } = openNotes(t)
  client.pragma(`max_page_count = ${client.pragma('page_count', { simple: true })}`)
  t.strictSame(await codesOf([add('small'), add('x'.repeat(100_000)), add('small')]), ['storage_full', 'storage_full', 'storage_full'])
  t.strictSame(all(), [])
  t.notOk(client.inTransaction)
  client.pragma('max_page_count = 1000000')
  t.strictSame(await codesOf([add('a'), add('b')]), [1, 1])
  t.strictSame(all(), ['a', 'b'])
})

test('the reads of one turn of the event loop agree, and the next turn sees what another process wrote meanwhile', async t => {
  let syncs = 0
  const { client, connect, add, read } = openNotes(t, { syncLog: async () => { syncs++ } })
  const other = connect()
  await add('mine')
  t.strictSame(await read(), ['mine'])
  other.exec("INSERT INTO notes VALUES ('theirs')")
  t.strictSame(await read(), ['mine'])
  await nextTurn()
  t.equal(syncs, 1)
  t.strictSame(await read(), ['mine', 'theirs'])
  t.equal(syncs, 2, 'the commit of another process may not be on stable storage yet')
  t.strictSame(await Promise.all([read(), add('mine, too'), read()]), [['mine', 'theirs'], 1, ['mine', 'theirs']])
  t.strictSame(await read(), ['mine', 'theirs', 'mine, too'])
  t.notOk(await nextTurn().then(nextTurn).then(() => client.inTransaction))
})

test('a file is found as this or another process left it, however often it was found before', async t => {
  const { metadata, id, run } = await openSqlite(t)
  const other = await metadata.accounts.add({ ...ada, usernameKey: 'bob' })
  const find = async () => [(await metadata.files.find(id, 'a'))?.type, (await metadata.files.find(id, 'a'))?.type]
  t.strictSame(await find(), [undefined, undefined])
  await metadata.files.add(newFile(id, 'a'), unlimited)
  t.strictSame(await find(), ['text/plain', 'text/plain'])
  t.equal(await metadata.files.find(other.id, 'a'), undefined, 'of another account')
  run("UPDATE files SET type = 'text/html'")
  await nextTurn()
  t.strictSame(await find(), ['text/html', 'text/html'])
  await metadata.files.rename(id, 'a', 'b', unlimited)
  t.strictSame(await find(), [undefined, undefined])
  t.match(await metadata.files.find(id, 'b'), { name: 'b' })
  run('DELETE FROM files')
  await nextTurn()
  t.equal(await metadata.files.find(id, 'b'), undefined)
})

test('a full cache of rows is emptied, and so is one whose database has changed', async t => {
  const committer = { version: 1 }
  const cached = createRowCache<string>(committer)
  const found: number[] = []
  const find = (key: number) => cached(key, () => { found.push(key); return String(key) })
  for (let key = 0; key < 4096; key++) find(key)
  t.strictSame([find(0), find(4095), found.length], ['0', '4095', 4096])
  find(4096)
  find(0)
  committer.version = 2
  find(4096)
  t.strictSame(found.slice(4096), [4096, 0, 4096])
})

test('a write waits while another process writes; for too long, and all writes of the commit are overloaded', async t => {
  const { connect, add, all } = openNotes(t)
  const other = connect()
  other.exec('BEGIN IMMEDIATE')
  t.strictSame(await codesOf([add('a'), add('b')]), ['overloaded', 'overloaded'])
  const added = add('c')
  t.notOk(await isCommitted(added))
  other.exec('COMMIT')
  t.equal(await added, 1)
  t.strictSame(all(), ['c'])
})

test('a commit that fails at its end is undone whole', async t => {
  const { client, connect, add, all } = openNotes(t, { journal: 'DELETE' })
  const reader = connect()
  reader.exec('BEGIN; SELECT * FROM notes')
  reader.prepare('SELECT * FROM sqlite_master').all()
  t.strictSame(await codesOf([add('a'), add('b')]), ['overloaded', 'overloaded'])
  t.notOk(client.inTransaction)
  reader.exec('COMMIT')
  t.strictSame(all(), [])
})

/** Syncs that finish when the test says so. */
function openSyncs () {
  const syncs: { resolve: () => void, reject: (error: Error) => void }[] = []
  return { syncs, syncLog: () => new Promise<void>((resolve, reject) => { syncs.push({ resolve, reject }) }) }
}

async function isCommitted (promise: Promise<unknown>): Promise<boolean> {
  await nextTurn()
  return Promise.race([promise.then(() => true), Promise.resolve(false)])
}

test('what was committed is told to nobody, its writer and readers alike, before it is on stable storage', async t => {
  const { syncs, syncLog } = openSyncs()
  const { connect, add, read } = openNotes(t, { syncLog })
  t.strictSame(await read(), [], 'where nothing was written nobody waits')
  const added = add('a')
  await nextTurn()
  const found = read()
  t.strictSame([await isCommitted(added), await isCommitted(found)], [false, false])
  syncs[0]?.resolve()
  t.equal(await added, 1)
  t.strictSame(await found, ['a'])
  t.equal(syncs.length, 1)
  connect().exec("INSERT INTO notes VALUES ('theirs')")
  const theirs = read()
  t.notOk(await isCommitted(theirs), 'what another process committed is in the same log')
  syncs[1]?.resolve()
  t.strictSame(await theirs, ['a', 'theirs'])
  t.strictSame(await read(), ['a', 'theirs'], 'once')
  t.equal(syncs.length, 2)
})

test('after a sync that failed nothing is told or done any more, also if a later sync does not fail', async t => {
  const { syncs, syncLog } = openSyncs()
  const { add, read, committer: { failed } } = openNotes(t, { syncLog })
  const first = add('a')
  await nextTurn()
  const found = read()
  const second = add('b')
  await nextTurn()
  syncs[0]?.reject(new Error('EIO'))
  syncs[1]?.resolve()
  t.strictSame(await codesOf([first, found, second, add('c'), read()]), Array(5).fill('stopping'))
  const failure = await failed
  t.type(failure, OutcomeUnknown)
  t.match(failure, { code: 'stopping', cause: { message: 'EIO' } })
})

test('a write that fails is told its own failure; all beside it, and all that come while a commit is written, are done', async t => {
  const { client, add, all } = openNotes(t)
  t.strictSame(await codesOf([add('a'), add(null), add('b')]), [1, 'SQLITE_CONSTRAINT_NOTNULL', 1])
  const texts = Array.from({ length: 600 }, (_, index) => String(index))
  const first = add('first')
  const rest = texts.map(text => first.then(() => add(text)))
  await Promise.all(rest)
  t.strictSame(all(), ['a', 'b', 'first', ...texts])
  const waiting = add('late')
  client.close()
  await t.rejects(waiting, 'a database that was closed refuses what still waits')
})

test('a write that takes long shares its commit with none after it, so that the event loop runs in between', async t => {
  const { client, committer, all } = openNotes(t)
  const sizes: number[] = []
  committer.watch(({ writes }) => { sizes.push(writes) })
  const addSlowly = (text: string) => committer.commit(() => {
    client.prepare('INSERT INTO notes VALUES (?)').run(text)
    for (const start = performance.now(); performance.now() < start + 20;);
  })
  let turns = 0
  const turn = setInterval(() => { turns++ }, 1)
  await Promise.all(['a', 'b', 'c'].map(addSlowly))
  clearInterval(turn)
  t.strictSame(sizes, [1, 1, 1])
  t.ok(turns >= 2)
  t.strictSame(all(), ['a', 'b', 'c'])
})
