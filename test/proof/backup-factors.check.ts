import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { expectRefusal, report } from '../kit/backups.ts'
import { runCommand } from '../kit/commands.ts'
import { DAY } from '../kit/durations.ts'
import { startPostgres } from '../kit/postgres.ts'
import { addWithCodes, openAt, sealedOf, type Opened } from '../kit/sealed.ts'
import { runBin, type Settings } from '../kit/server.ts'

const KEY = 'only-here:zN2pX8qL4vR7tW1yB6mK9dF3hJ5sG0cA'

const REVIVED = / {2}recovery codes that were used after the backup can be used again/
const WITHOUT_KEYS = / {2}the backup lacks sealing keys: set SEALING_KEYS as before/

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
  return id
}

/** Checks that a restored store has the factors, and can open the secret. */
async function look (t: Test, settings: Settings, id: number): Promise<void> {
  const store = await openAt(t, settings)
  t.match(await store.metadata.factors.list(id), { passkeys: [{ name: 'key', counter: 5 }], recoveryCodes: 1 })
  t.equal((await store.accounts.get(id)).factorCount, 2)
  t.equal(await store.sealer.open(id, await sealedOf(store, id)), 'secret of ann')
  t.equal(await store.metadata.claims.find('reset'), undefined, 'a link can be used no more')
  t.equal(await store.metadata.factors.useConfirmation(id, 'confirmation'), false)
}

t.test('a backup has the factors with their keys, in a folder and in PostgreSQL and back, and says that recovery codes revive', async t => {
  const root = t.testdir()
  const [data, backup, restored, other, last] = ['data', 'backup', 'restored', 'other', 'last'].map(name => join(root, name)) as [string, string, string, string, string]
  const id = await fill(await openAt(t, { DATA_DIR: data }))
  const made = await report(['backup', backup, '--prove'], { DATA_DIR: data })
  t.match(made, { recoveryCodes: 1, missingSealingKeys: { length: 0 }, hasSigningKeys: false })
  const snapshot = join(backup, made.snapshot)
  const lines = (await readFile(join(snapshot, 'SHA256SUMS'), 'utf8')).split('\n')
  t.match(lines, [/ {2}snapshot-\w+\/magicstore\.db$/, / {2}snapshot-\w+\/sealing-keys$/, ''])
  const database = new Database(join(snapshot, 'magicstore.db'), { readonly: true })
  for (const table of ['one_time_secrets', 'used_challenges']) t.equal(database.prepare(`SELECT count(*) FROM ${table}`).pluck().get(), 0, table)
  database.close()

  const { stdout } = await runCommand(['restore', backup], { DATA_DIR: restored })
  t.match(stdout, REVIVED)
  t.notMatch(stdout, WITHOUT_KEYS)
  t.equal((await stat(join(restored, 'sealing-keys'))).mode & 0o777, 0o600)
  t.equal(await readFile(join(restored, 'sealing-keys'), 'utf8'), await readFile(join(data, 'sealing-keys'), 'utf8'))
  await look(t, { DATA_DIR: restored }, id)

  const shared = { DATA_DIR: other, DATABASE_URL: await postgres.newDatabase() }
  t.match(await report(['restore', backup], shared), { recoveryCodes: 1, missingSealingKeys: { length: 0 } })
  await look(t, shared, id)
  t.match(await report(['backup', join(root, 'back'), '--prove'], shared), { recoveryCodes: 1, missingSealingKeys: { length: 0 } })
  await report(['restore', join(root, 'back')], { DATA_DIR: last })
  await look(t, { DATA_DIR: last }, id)

  await writeFile(join(snapshot, 'sealing-keys'), `${KEY}\n`)
  await expectRefusal(t, ['restore', backup], { DATA_DIR: join(root, 'new') }, { says: /[^\n]*sealing-keys is damaged[^\n]*/ })
  await rm(join(snapshot, 'sealing-keys'))
  await expectRefusal(t, ['restore', backup], { DATA_DIR: join(root, 'new') }, { says: /[^\n]*sealing-keys is missing[^\n]*/ })
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
  await look(t, restored, id)
})

t.test('a backup without second factors warns of none', async t => {
  const root = t.testdir()
  const settings = { DATA_DIR: join(root, 'data') }
  await runBin(['user', 'add', 'ann'], settings, 'pwd')
  t.notMatch((await runCommand(['backup', join(root, 'backup')], settings)).stdout, 'SEALING_KEYS')
  const { code, stdout } = await runCommand(['restore', join(root, 'backup')], { DATA_DIR: join(root, 'restored') })
  t.equal(code, 0)
  t.notMatch(stdout, WITHOUT_KEYS)
  t.notMatch(stdout, REVIVED)
})
