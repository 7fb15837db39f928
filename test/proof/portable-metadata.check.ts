import { join } from 'node:path'
import t, { test, type Test } from 'tap'
import type { Metadata } from '#src/metadata/metadata.ts'
import type { AccountRecord } from '#src/metadata/records.ts'
import { openPostgresMetadata } from '#src/metadata/postgres/postgres.ts'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { copyDatabase } from '#src/metadata/sqlite/database-file.ts'
import { openSqliteMetadata } from '#src/metadata/sqlite/sqlite.ts'
import { createTestClock, type TestClock } from '../kit/clock.ts'
import { DAY } from '../kit/durations.ts'
import { newFolder } from '../kit/folders.ts'
import { startPostgres } from '../kit/postgres.ts'
import { newLink, removeFolder, unlimited } from '../kit/records.ts'

const TABLES = ['installation', 'accounts', 'tokens', 'totp_secrets', 'passkeys', 'recovery_codes', 'account_networks', 'events', 'folders', 'files', 'links', 'link_networks', 'kept', 'pictures', 'sqlite_sequence']

/** Every row of a SQLite database that a backup keeps. */
function rowsOf (file: string): Record<string, unknown[]> {
  const client = new Database(file, { readonly: true })
  try {
    const filter = "WHERE name IN ('accounts', 'tokens', 'passkeys', 'events', 'folders', 'files', 'links')"
    return Object.fromEntries(TABLES.map(table => [table, client.prepare(`SELECT * FROM ${table} ${table === 'sqlite_sequence' ? filter : ''} ORDER BY ${table === 'installation' ? '1' : '1, 2'}`).all()]))
  } finally {
    client.close()
  }
}

/** One-time codes and a passkey, another passkey that is removed, and what belongs to a running store. */
async function addFactors ({ accounts, factors, claims }: Metadata): Promise<void> {
  const account = async () => await accounts.find(1) as AccountRecord
  const first = { recoveryCodes: ['b', 'a'].map(digit => digit.repeat(64)), sessionId: undefined }
  await factors.setPendingTotp(await account(), 'kid.sealed', DAY)
  await factors.confirmTotp(await account(), { secret: 'kid.sealed', step: 7 }, first)
  await factors.setPendingTotp(await account(), 'kid.pending', DAY)
  for (const name of ['ключ', 'gone']) {
    const passkey = { name, credentialId: `id of ${name}`, publicKey: 'key', userHandle: 'handle', counter: 2 ** 32 - 1 }
    await factors.addPasskey(await account(), passkey, { id: name, expiresAt: Date.now() + DAY }, first)
  }
  await factors.removePasskey(await account(), 2)
  await factors.addConfirmation(await account(), 'c'.repeat(64), DAY)
  await claims.add({ hash: 'd'.repeat(64), accountId: 1, username: 'ada', removesFactors: true }, DAY)
}

/** Links of every kind, one that was used, and one that was revoked. */
async function addLinks ({ links }: Metadata): Promise<void> {
  const secretHash = (digit: string) => digit.repeat(64)
  const link = await links.add(newLink(1, 'file 100 עברית 😀', { secretHash: secretHash('1'), expiresAt: 7000, passwordHash: 'hash' }))
  await links.recordUses(link.id, { count: 2, at: 5 })
  await links.addKnownNetwork(link, '2001:db8::/64', 6)
  await links.add(newLink(2, 'later/ö', { kind: 'upload', secretHash: secretHash('2'), maxFiles: 9, maxBytes: 2 ** 50, showsOwner: false }))
  const revoked = await links.add(newLink(1, 'file 100 עברית 😀'))
  await links.remove(1, revoked.id)
}

const retentionPolicy = { milliseconds: 30 * DAY, versions: 10 }

/**
 * A bit of everything: more rows than one batch, versions and trash, folders, one of them in a later one, removed rows
 * with the highest ids, a deleted account, odd names.
 */
async function fill (metadata: Metadata, clock: TestClock): Promise<void> {
  for (const name of ['ada', 'zoë', 'gone', 'last']) await metadata.accounts.add({ username: name, usernameKey: name, passwordHash: `hash of ${name}`, createdAt: 1000 })
  await metadata.accounts.setQuota(1, { bytes: 2 ** 50, files: null })
  await metadata.accounts.setDisabled(2, 5)
  const token = { accountId: 1, kind: 'access', parentId: null, name: null, scopes: 'files:read', secretHash: null, factors: 'password', browser: null, system: null, createdAt: 1000, expiresAt: 2000 } as const
  const parent = await metadata.tokens.add({ ...token, kind: 'personal', name: 'kept', secretHash: 'ab'.repeat(32), expiresAt: null })
  await metadata.tokens.add({ ...token, parentId: parent.id })
  const session = await metadata.tokens.add({ ...token, kind: 'session', secretHash: 'cd'.repeat(32) })
  await metadata.tokens.add({ ...token, parentId: session.id })
  await metadata.tokens.remove(1, (await metadata.tokens.add(token)).id)
  clock.set(Date.now())
  await addFactors(metadata)
  const { factorVersion } = await metadata.accounts.find(1) as AccountRecord
  await metadata.attempts.addKnownNetwork({ id: 1, factorVersion }, '192.0.2.1', 7)
  await metadata.attempts.addKnownNetwork({ id: 1, factorVersion }, '2001:db8::/64', 8)
  await metadata.attempts.addKnownNetwork({ id: 2, factorVersion: 0 }, '192.0.2.1', 9)
  await metadata.events.add({ accountId: 1, kind: 'sign_in', network: '192.0.2.1', requestId: 'r', at: 3 }, { all: 9, ofKind: 9 })
  const file = (ownerId: number, name: string, index: number) => ({ ownerId, name, size: index, type: 'text/plain', sha256: `${index}`.padStart(64, '0'), blobId: `${ownerId}${index}`.padStart(32, '0'), modifiedAt: index % 2 === 0 ? null : index - 2, isLeased: false })
  for (let batch = 0; batch < 15; batch++) {
    clock.set(5000 + batch)
    await Promise.all(Array.from({ length: 100 }, (_, index) => metadata.files.add(file(1, `file ${100 * batch + index} עברית 😀`, 100 * batch + index), unlimited)))
  }
  // Versions of some, and deleted files with versions; of the deleted account as well.
  const replaced = (ownerId: number, index: number) => ({ ...file(ownerId, `file ${index} עברית 😀`, index), blobId: `${ownerId}${index}`.padStart(32, 'a') })
  clock.set(Date.now())
  await Promise.all(Array.from(
    { length: 1100 }, (_, index) => metadata.files.put({ ...replaced(1, index), size: index + 1 }, unlimited, {})
  ))
  // Some go to the trash with their files.
  for (let index = 0; index < 150; index++) {
    const facts = { takenAt: index, ...index % 9 > 0 && { thumbnail: { type: 'image/webp', bytes: Buffer.alloc(1 + index, index) } } }
    await metadata.pictures.put(1, `file ${index} עברית 😀`, facts, { precondition: {}, quota: unlimited })
  }
  for (let index = 0; index < 50; index++) await metadata.files.remove(1, `file ${index} עברית 😀`, { precondition: {}, isPermanent: false })
  for (const owner of [2, 3]) {
    clock.set(6000)
    await metadata.files.add(file(owner, 'a', 1), unlimited)
    clock.set(Date.now())
    await metadata.files.put(file(owner, 'a', 2), unlimited, {})
  }
  await metadata.files.add(file(1, 'removed', 9999), unlimited)
  await metadata.files.remove(1, 'removed', { precondition: {}, isPermanent: true })
  for (const [index, name] of ['ö/b/c', 'later/d', 'deleted/e/f', 'deleted/g'].entries()) await metadata.files.add(file(2, name, 10 + index), unlimited)
  await metadata.folders.move(2, 'ö', 'later/ö', unlimited)
  for (const name of ['file 100 עברית 😀', 'file 60 עברית 😀']) await metadata.files.rename(1, name, name, unlimited, { isStarred: true })
  await metadata.files.remove(1, 'file 60 עברית 😀', { precondition: {}, isPermanent: false })
  for (const path of ['later', 'deleted']) await metadata.folders.move(2, path, path, unlimited, { isStarred: true })
  await addLinks(metadata)
  await removeFolder(metadata, 2, 'deleted', { limit: 10, isPermanent: false, deletedWith: 'd'.repeat(32) })
  await metadata.accounts.remove(3, 10)
  await metadata.accounts.remove(4, 11)
  while (await metadata.accounts.purgeDeleted(1));
}

const server = await startPostgres(t)

/** An empty database of this version. */
async function openEmpty (t: Test) {
  const url = await server.newDatabase()
  const postgres = await openPostgresMetadata({ url, retentionPolicy })
  t.teardown(() => postgres.close())
  return { url, postgres }
}

/** A database of SQLite that is closed. */
async function makeSqlite (file: string, isFilled: boolean): Promise<void> {
  const clock = createTestClock()
  const sqlite = await openSqliteMetadata(file, { retentionPolicy, clock: clock.now })
  if (isFilled) await fill(sqlite, clock)
  await sqlite.close()
}

const original = join(newFolder(t), 'original')
await makeSqlite(original, true)

test('metadata goes from SQLite to PostgreSQL and back unchanged, and ids that were deleted do not return', async t => {
  const [copy, back] = ['copy', 'back'].map(name => join(t.testdir(), name)) as [string, string]
  await copyDatabase(original, copy)
  const { postgres } = await openEmpty(t)
  const ringOf = (kid: string) => [{ kid, secret: 'a secret that is long enough to be one' }]
  const keys = { 'signing-keys': ringOf('signs'), 'sealing-keys': ringOf('seals') }
  await postgres.importMetadata(copy, keys)
  await t.rejects(postgres.importMetadata(copy, { 'signing-keys': ringOf('other') }), { message: /has accounts/ })
  t.strictSame(await postgres.signingKeys.read(), keys['signing-keys'], 'those of a store that is in use stay')
  t.strictSame(await postgres.sealingKeys.find(), keys['sealing-keys'])
  t.strictSame(await postgres.accounts.usageMismatches(), [])
  t.strictSame(await postgres.checkIntegrity(), [])
  await postgres.exportMetadata(back)
  const rows = rowsOf(original)
  const withoutEpoch = rows.installation?.map(row => ({ ...row as object, epoch: null }))
  t.strictSame(rowsOf(back), { ...rows, installation: withoutEpoch })

  t.match(await postgres.factors.list(1), { totp: { secret: 'kid.sealed', lastStep: 7 }, passkeys: [{ name: 'ключ', counter: 2 ** 32 - 1 }], recoveryCodes: 2 })
  t.equal((await postgres.accounts.find(1))?.factorCount, 2)
  const starred = { order: 'name', folder: undefined, limit: 9, after: undefined } as const
  t.match(await postgres.files.listStarred(1, starred), [{ name: 'file 100 עברית 😀' }])
  t.match(await postgres.folders.listStarred(2, starred), [{ path: 'later' }])
  const link = { name: 'file 100 עברית 😀', expiresAt: 7000, passwordHash: 'hash', uses: 2, lastUsedAt: 5 }
  t.match(await postgres.links.list(1, { beforeId: undefined, limit: 9 }), [link])
  t.equal((await postgres.links.add(newLink(1, link.name))).id, 4)
  t.equal(await postgres.claims.find('d'.repeat(64)), undefined, 'an invitation or a reset stays behind')
  const account = await postgres.accounts.add({ username: 'new', usernameKey: 'new', passwordHash: '', createdAt: 1 })
  t.equal(account.id, 5)
  const { file } = await postgres.files.add({ ownerId: 1, name: 'new', size: 1, type: 'text/plain', sha256: '0'.repeat(64), blobId: 'f'.repeat(32), modifiedAt: null, isLeased: false }, unlimited)
  t.equal(file.id, 1508)
  t.equal((await postgres.folders.add(2, 'new', unlimited)).folder.id, 6, 'after the five of before')
  const again = await openSqliteMetadata(back)
  t.teardown(() => again.close())
  t.equal((await again.accounts.add({ username: 'new', usernameKey: 'new', passwordHash: '', createdAt: 1 })).id, 5)
})

test('a store without accounts moves as well, and a database that a server began to use during a restore stays as it is', async t => {
  const file = join(t.testdir(), 'portable')
  await makeSqlite(file, false)
  const { url, postgres } = await openEmpty(t)
  t.equal(await postgres.findStorageId(), undefined)
  t.strictSame(await Promise.all(['one', 'one'].map(id => postgres.recordStorageId(id))), ['one', 'one'])
  t.equal(await postgres.recordStorageId('two'), 'one')
  await t.rejects(postgres.importMetadata(file), { message: /was used by a server/ })
  t.strictSame(await server.run(url, 'SELECT id, storage_id FROM installation'), [{ id: postgres.installationId, storage_id: 'one' }])
  const { postgres: other } = await openEmpty(t)
  await other.importMetadata(file)
  t.equal((await other.accounts.add({ username: 'new', usernameKey: 'new', passwordHash: '', createdAt: 1 })).id, 1)
})

test('an import that fails leaves the database as it was', async t => {
  const file = join(t.testdir(), 'portable')
  await copyDatabase(original, file)
  const client = new Database(file)
  client.pragma('foreign_keys = OFF')
  client.exec('UPDATE files SET owner_id = 77 WHERE id = (SELECT max(id) FROM files)')
  client.close()
  const { postgres } = await openEmpty(t)
  await t.rejects(postgres.importMetadata(file))
  t.strictSame(await postgres.accounts.listAfter(0, 10), [])
  t.equal((await postgres.accounts.totals(unlimited)).files, 0)
})
