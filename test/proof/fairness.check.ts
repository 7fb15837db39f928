import pg from 'pg'
import t, { type Test } from 'tap'
import type { Metadata } from '#src/metadata/metadata.ts'
import { openPostgresMetadata } from '#src/metadata/postgres/postgres.ts'
import type { UploadRecord } from '#src/metadata/upload-records.ts'
import { Problem } from '#src/problems.ts'
import { DAY, HOUR } from '../kit/durations.ts'
import { startPostgres } from '../kit/postgres.ts'
import { hex, newFile, setPassword, unlimited } from '../kit/records.ts'

// What one account or network does on PostgreSQL leaves connections for all others.

const POOL = 4
/** Of one kind of call: more than there are connections. */
const CALLS = 3 * POOL
const lifetimeMilliseconds = HOUR
const retentionPolicy = { milliseconds: DAY, versions: 10 }
const removal = { precondition: {}, isPermanent: false }

const server = await startPostgres(t)

const newToken = (accountId: number) => ({ accountId, kind: 'access', parentId: null, name: null, scopes: '', secretHash: null, factors: 'password', browser: null, system: null, expiresAt: null }) as const

/** A database with two accounts. */
async function open (t: Test) {
  const url = await server.newDatabase()
  const metadata = await openPostgresMetadata({ url, poolSize: POOL, retentionPolicy })
  t.teardown(() => metadata.close())
  const account = async (name: string) => (await metadata.accounts.add({ username: name, usernameKey: name, passwordHash: 'hash' })).id
  return { url, metadata, ann: await account('ann'), bob: await account('bob') }
}

/** A connection of another process that runs SQL in a transaction, which keeps its locks until it ends. */
async function lock (t: Test, url: string, sql: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  t.teardown(() => client.end())
  await client.connect()
  await client.query('BEGIN')
  await client.query(sql)
  return client
}

type Call = (metadata: Metadata, ownerId: number, upload: UploadRecord) => Promise<unknown>

const changeOf = ({ id, ownerId, name, generation }: UploadRecord) =>
  ({ id, ownerId, name, generation, offset: 1, state: null, length: 1, lifetimeMilliseconds })

const verified = (id: number) => ({ id, passwordHash: 'hash', factorVersion: 0 })

/** Every write of an account that waits while its row is locked. */
const writes: Record<string, Call> = {
  addFile: (metadata, id) => metadata.files.add(newFile(id, hex(4)), unlimited),
  putFile: (metadata, id) => metadata.files.put(newFile(id, 'a'), unlimited, {}),
  renameFile: (metadata, id) => metadata.files.rename(id, 'a', 'a', unlimited),
  removeFile: (metadata, id) => metadata.files.remove(id, hex(4), removal),
  removeFiles: (metadata, id) => metadata.files.removeMany(id, [{ name: hex(4) }], { id: hex(16), kind: 'many', name: '' }),
  restoreVersion: (metadata, id) => metadata.versions.restore(id, 'a', hex(16), { quota: unlimited, precondition: {} }),
  removeVersion: (metadata, id) => metadata.versions.remove(id, 'a', hex(16)),
  restoreFile: (metadata, id) => metadata.trash.restore(id, hex(16), { name: undefined, quota: unlimited }),
  removeFromTrash: (metadata, id) => metadata.trash.remove(id, hex(16)),
  emptyTrash: (metadata, id) => metadata.trash.empty(id, 10),
  addUpload: (metadata, ownerId) => metadata.uploads.add({
    id: hex(16), ownerId, linkId: null, name: 'a', type: 'text/plain', blobId: hex(16), length: 1, method: 'POST', precondition: {}, uploadMetadata: null, reprDigest: null, modifiedAt: null, lifetimeMilliseconds
  }, { maxUploads: 1000, quota: unlimited }),
  saveUpload: (metadata, _id, upload) =>
    metadata.uploads.save(changeOf(upload), { isAppending: true, quota: unlimited }),
  finishUpload: (metadata, _id, upload) =>
    metadata.uploads.finish(changeOf(upload), { sha256: hex(32), quota: unlimited }),
  addToken: (metadata, id) => metadata.tokens.add(newToken(id)),
  addKnownNetwork: (metadata, id) => metadata.attempts.addKnownNetwork({ id, factorVersion: 0 }, hex(4), 1),
  setPendingTotp: (metadata, id) => metadata.factors.setPendingTotp(verified(id), 'sealed', HOUR),
  addConfirmation: (metadata, id) => metadata.factors.addConfirmation(verified(id), hex(32), HOUR),
  setRecoveryCodes: (metadata, id) => metadata.factors.setRecoveryCodes(verified(id), [hex(32)]),
  addPasskey: (metadata, id) => metadata.factors.addPasskey(verified(id), {
    name: 'a', credentialId: hex(16), publicKey: 'key', userHandle: 'handle', counter: 0
  }, { id: hex(16), expiresAt: Date.now() + HOUR }, { recoveryCodes: [], sessionId: undefined }),
  removeFactors: (metadata, id) => metadata.factors.removeAll(id),
  addReset: (metadata, id) => metadata.claims.add({ hash: hex(32), accountId: id, username: 'ann', removesFactors: false }, HOUR),
  setPasswordHash: (metadata, id) => setPassword(metadata, id, 'other', true),
  setQuota: (metadata, id) => metadata.accounts.setQuota(id, { bytes: null, files: null }),
  setDisabled: (metadata, id) => metadata.accounts.setDisabled(id, null),
  removeAccount: (metadata, id) => metadata.accounts.remove(id, 1)
}

/** What another account does: each needs a connection. */
async function act (metadata: Metadata, id: number): Promise<void> {
  const { file } = await metadata.files.add(newFile(id, hex(4)), unlimited)
  await metadata.files.remove(id, file.name, removal)
  await metadata.tokens.add(newToken(id))
  await metadata.trash.list(id, { after: undefined, limit: 1 })
}

t.test('while the writes of one account wait for its row, another account writes', async t => {
  const { url, metadata, ann, bob } = await open(t)
  await metadata.files.add(newFile(ann, 'a'), unlimited)
  const upload = await writes.addUpload?.(metadata, ann, {} as UploadRecord) as UploadRecord
  for (const [name, call] of Object.entries(writes)) {
    const locking = await lock(t, url, `SELECT FROM accounts WHERE id = ${ann} FOR UPDATE`)
    let ended = 0
    const waiting = Array.from(
      { length: CALLS }, () => call(metadata, ann, upload).catch(() => {}).finally(() => ended++)
    )
    await act(metadata, bob)
    t.equal(ended, 0, `${name}: another account has written`)
    t.equal(metadata.server?.countConnections().waiting, 0, `${name}: no call waits for a connection`)
    await locking.end()
    await Promise.all(waiting)
  }
  t.equal(await metadata.accounts.find(ann), undefined, 'and when the row was free all were carried out')
})

t.test('while sign-ins from one network wait for each other, accounts write', async t => {
  const { url, metadata, bob } = await open(t)
  const attempt = (username: string) => metadata.attempts.begin({ kind: 'sign_in', network: 'n', usernameKey: username, isKnownNetwork: false }, [])
  // The lock that the claims of this network take.
  const locking = await lock(t, url, "SELECT pg_advisory_xact_lock(hashtextextended('sign_in network n', 0))")
  let ended = 0
  const waiting = Array.from({ length: CALLS }, (_, index) => attempt(`u${index}`).finally(() => ended++))
  await act(metadata, bob)
  t.equal(ended, 0)
  await locking.end()
  t.ok((await Promise.all(waiting)).every(({ state }) => state === 'granted'))
})

t.test('a write that has waited too long behind others of its account is refused, and does nothing', async t => {
  const { url, metadata, ann } = await open(t)
  let tries = 0
  metadata.server?.watchRequests(({ operation }) => { if (operation === 'owners_lock') tries++ })
  await lock(t, url, `SELECT FROM accounts WHERE id = ${ann} FOR UPDATE`)
  const ends = await Promise.allSettled(Array.from({ length: CALLS }, () => metadata.files.add(newFile(ann, 'a'), unlimited)))
  t.ok(ends.every(end => end.status === 'rejected' && end.reason instanceof Problem && end.reason.code === 'overloaded'))
  t.ok(tries > 0 && tries < CALLS, 'the last ones were not sent')
})
