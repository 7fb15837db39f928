import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { expectRefusal, report } from '../kit/backups.ts'
import { runCommand } from '../kit/commands.ts'
import { DAY } from '../kit/durations.ts'
import { startPostgres } from '../kit/postgres.ts'
import { addWithCodes, openAt, sealedOf, type Opened } from '../kit/sealed.ts'
import { signUp, startServer, type Settings } from '../kit/server.ts'

const KEY = 'only-here:zN2pX8qL4vR7tW1yB6mK9dF3hJ5sG0cA'

const REVIVED = / {2}recovery codes that were used after the backup can be used again/
const LINKS_REVIVED = / {2}links that were revoked after the backup work again/
const WITHOUT_KEYS = / {2}the backup lacks sealing keys: set SEALING_KEYS as before/

const links = { LINKS: 'on' }
const bob: [string, string] = ['bob', 'pwd']

const postgres = await startPostgres(t)

/** A store with every kind of factor, and what belongs to its running servers. */
async function fill (store: Opened): Promise<number> {
  const { accounts, metadata: { claims, factors } } = store
  const id = await addWithCodes(store, 'ann')
  const passkey = { name: 'key', credentialId: 'id', publicKey: 'key', userHandle: 'handle', counter: 5 }
  const first = { recoveryCodes: [], sessionId: undefined }
  const challenge = { id: 'used challenge', expiresAt: Date.now() + DAY }
  await factors.addPasskey(await accounts.get(id), passkey, challenge, first)
  await factors.addConfirmation(await accounts.get(id), 'confirmation', DAY)
  await claims.add({ hash: 'reset', accountId: id, username: 'ann', removesFactors: false }, DAY)
  await store.close()
  return id
}

/** Checks that a restored store has the factors, and can open the secret. */
async function lookForFactors (t: Test, settings: Settings, id: number): Promise<void> {
  const store = await openAt(t, settings)
  t.match(await store.metadata.factors.list(id), { passkeys: [{ name: 'key', counter: 5 }], recoveryCodes: 1 })
  t.equal((await store.accounts.get(id)).factorCount, 2)
  t.equal(await store.sealer.open(id, await sealedOf(store, id)), 'secret of ann')
  t.equal(await store.metadata.claims.find('reset'), undefined, 'a link can be used no more')
  t.equal(await store.metadata.factors.useConfirmation(id, 'confirmation'), false)
  await store.close()
}

/** The secrets of links, as a store keeps them. */
const sealedAt = (folder: string) => {
  const database = new Database(join(folder, 'magicstore.db'), { readonly: true })
  const sealed = database.prepare('SELECT secret_sealed FROM links').pluck().all()
  database.close()
  return sealed
}

/** The paths of a link to a file, and of one for uploads with an unfinished one. */
async function makeLinks (t: Test, settings: Settings): Promise<{ file: string, drop: string }> {
  const server = await startServer(t, settings)
  await server.send('POST', '/api/users', { json: { username: 'bob', password: 'pwd' } })
  await server.send('PUT', '/uploads/in/a.txt', { user: bob, body: 'hello' })
  const make = async (json: object) => new URL((await server.send('POST', '/api/links', { user: bob, json })).json.url).pathname
  const [file, drop] = [await make({ name: 'in/a.txt', kind: 'download' }), await make({ name: 'in', kind: 'upload', maxFiles: 3 })]
  t.equal((await server.send('PUT', `${drop}/files/b`, { body: 'b' })).status, 201)
  await server.send('POST', `${drop}/uploads`, { headers: { 'tus-resumable': '1.0.0', 'upload-length': '5', 'upload-metadata': 'filename Yw==' } })
  await server.close()
  return { file, drop }
}

/** Checks that a restored store has the links, with what was used of them. */
async function lookForLinks (t: Test, settings: Settings, { file, drop }: Awaited<ReturnType<typeof makeLinks>>) {
  const server = await startServer(t, { ...settings, ...links })
  t.match(await server.send('GET', `${file}/files/a.txt`), { status: 200, text: 'hello' })
  const { json } = await server.send('GET', '/api/links', { user: bob })
  for (const { id } of json.links) t.equal((await server.send('GET', `/api/links/${id}/secret`, { user: bob })).json.code, 'link_address_unknown')
  t.match(json.links, [{ name: 'in', usedFiles: 1, usedBytes: 1 }, { name: 'in/a.txt' }])
  t.match((await server.send('GET', drop, { headers: { accept: 'application/json' } })).json, { accepts: { files: 2 } }, 'without the upload that was unfinished')
  t.equal((await server.send('PUT', `${drop}/files/b`, { body: 'b' })).status, 201)
  await server.close()
}

t.test('a backup has the factors with their keys and the links, in a folder and in PostgreSQL and back, and says what revives', async t => {
  const root = t.testdir()
  const [data, backup, restored, other, last] = ['data', 'backup', 'restored', 'other', 'last'].map(name => join(root, name)) as [string, string, string, string, string]
  const id = await fill(await openAt(t, { DATA_DIR: data }))
  const paths = await makeLinks(t, { DATA_DIR: data, ...links })
  const look = async (settings: Settings) => {
    await lookForFactors(t, settings, id)
    await lookForLinks(t, settings, paths)
  }
  const made = await report(['backup', backup, '--prove'], { DATA_DIR: data })
  t.match(made, { recoveryCodes: 1, missingSealingKeys: { length: 0 } })
  const snapshot = join(backup, made.snapshot)
  t.match(await readFile(join(snapshot, 'SHA256SUMS'), 'utf8'), / {2}snapshot-\w+\/sealing-keys\n/)
  const database = new Database(join(snapshot, 'magicstore.db'), { readonly: true })
  for (const table of ['one_time_secrets', 'used_challenges', 'uploads']) t.equal(database.prepare(`SELECT count(*) FROM ${table}`).pluck().get(), 0, table)
  database.close()
  const sealed = sealedAt(data)
  t.strictSame([sealed.length, sealedAt(snapshot)], [2, [null, null]], 'no address of a link is in a backup')
  const server = await startServer(t, { DATA_DIR: data, ...links })
  t.equal((await server.send('DELETE', '/api/links', { user: bob })).status, 204)
  await server.close()

  const { stdout } = await runCommand(['restore', backup], { DATA_DIR: restored })
  t.match(stdout, REVIVED)
  t.match(stdout, LINKS_REVIVED)
  t.notMatch(stdout, WITHOUT_KEYS)
  t.equal((await stat(join(restored, 'sealing-keys'))).mode & 0o777, 0o600)
  t.equal(await readFile(join(restored, 'sealing-keys'), 'utf8'), await readFile(join(data, 'sealing-keys'), 'utf8'))
  await look({ DATA_DIR: restored })

  const shared = { DATA_DIR: other, DATABASE_URL: await postgres.newDatabase() }
  t.match(await report(['restore', backup], shared), { recoveryCodes: 1, missingSealingKeys: { length: 0 }, links: 2 })
  t.match(await report(['backup', join(root, 'back'), '--prove'], shared), { recoveryCodes: 1, missingSealingKeys: { length: 0 }, files: 2 })
  await look(shared)
  t.match(await report(['restore', join(root, 'back')], { DATA_DIR: last }), { links: 2 })
  await look({ DATA_DIR: last })

  await writeFile(join(snapshot, 'sealing-keys'), `${KEY}\n`)
  await expectRefusal(t, ['restore', backup], { DATA_DIR: join(root, 'new') }, { says: /[^\n]*sealing-keys is damaged[^\n]*/ })
  await rm(join(snapshot, 'sealing-keys'))
  await expectRefusal(t, ['restore', backup], { DATA_DIR: join(root, 'new') }, { says: /[^\n]*sealing-keys is missing[^\n]*/ })
})

t.test('no page of a backup keeps the address of a link', async t => {
  const root = t.testdir()
  const [data, backup] = [join(root, 'data'), join(root, 'backup')]
  const server = await startServer(t, { DATA_DIR: data, ...links, RATE_LIMIT_PER_MINUTE: '0' })
  const { token } = await signUp(server)
  await server.send('PUT', '/uploads/a', { token, body: 'a' })
  // More than a page of the table has.
  const json = { name: 'a', kind: 'download' }
  for (let made = 0; made < 120; made++) await server.send('POST', '/api/links', { token, json })
  await server.close()
  const { snapshot } = await report(['backup', backup], { DATA_DIR: data })
  const bytes = await readFile(join(backup, snapshot, 'magicstore.db'), 'latin1')
  const sealed = sealedAt(data).map(text => String(text).split('.')[1] ?? '')
  t.equal(sealed.length, 120)
  t.strictSame(sealed.filter(text => bytes.includes(text)), [])
})

t.test('keys of SEALING_KEYS are in no backup, and both commands say so', async t => {
  const root = t.testdir()
  const settings = { DATA_DIR: join(root, 'data'), SEALING_KEYS: KEY }
  const id = await fill(await openAt(t, settings))
  // A key that seals nothing does not stand in for one that does.
  await writeFile(join(root, 'data', 'sealing-keys'), `other${KEY}\n`)
  const backup = join(root, 'backup')
  t.match((await runCommand(['backup', backup, '--prove'], settings)).stdout, / {2}without the keys of one-time codes: keep a copy of SEALING_KEYS yourself\n/)
  t.match((await runCommand(['restore', backup], { DATA_DIR: join(root, 'without') })).stdout, WITHOUT_KEYS)
  t.match(await report(['restore', backup], { DATA_DIR: join(root, 'again') }), { missingSealingKeys: ['only-here'] })
  const restored = { ...settings, DATA_DIR: join(root, 'restored') }
  const { stdout } = await runCommand(['restore', backup], restored)
  t.notMatch(stdout, WITHOUT_KEYS)
  t.match(stdout, REVIVED)
  await lookForFactors(t, restored, id)
})
