import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { withKeys } from '#src/backends/backends.ts'
import { readConfig } from '#src/config.ts'
import { rotateSealingKeys } from '#src/factors/resealing.ts'
import { createSealer } from '#src/factors/sealing.ts'
import { contextOfLink } from '#src/metadata/sealed-texts.ts'
import { runCommand } from '../kit/commands.ts'
import { openBothDatabases } from '../kit/databases.ts'
import { newLink, unlimited } from '../kit/records.ts'
import { addWithCodes, openAt, sealedOf, type Opened } from '../kit/sealed.ts'
import { runBin, type Settings } from '../kit/server.ts'

const SECRET = 'zN2pX8qL4vR7tW1yB6mK9dF3hJ5sG0cA'
const OTHER_SECRET = 'hJ5sG0cAzN2pX8qL4vR7tW1yB6mK9dF3'

const kidsOf = async ({ sealingKeys }: Opened) => (await sealingKeys.find())?.map(({ kid }) => kid)

/** Runs `magicstore keys`, and returns the exit code with what it prints as JSON. */
async function keys (words: string[], settings: Settings, run = runCommand) {
  const { code, stdout, stderr } = await run(['keys', ...words, '--json'], settings)
  return { code, stderr, ...stdout === '' ? {} : JSON.parse(stdout) }
}

/** What doctor says of the sealing keys. */
async function doctor (settings: Settings) {
  const { stdout } = await runCommand(['doctor', '--json'], settings)
  return stdout.trim().split('\n').map(line => JSON.parse(line)).find(({ check }) => check === 'sealing_keys')
}

const both = await openBothDatabases()

both.test('the first secret makes the first key, once, however many are sealed at the same time', async (t, settings) => {
  const store = await openAt(t, settings)
  t.equal(await kidsOf(store), undefined)
  const sealed = await Promise.all(Array.from({ length: 32 }, (_, index) => store.sealer.seal(index, `text ${index}`)))
  t.equal(new Set(sealed.map(text => text.split('.')[0])).size, 1)
  t.equal(new Set(sealed).size, 32)
  t.strictSame(await Promise.all(sealed.map((text, index) => store.sealer.open(index, text))), sealed.map((_, index) => `text ${index}`))
  t.equal((await kidsOf(store))?.length, 1)
})

both.test('a rotation seals every secret again, and drops a key only when nothing can be sealed with it', async (t, settings) => {
  const store = await openAt(t, settings)
  await store.accounts.add({ username: 'zoë', password: 'pwd' })
  t.match(await keys(['rotate', '--sealing'], settings), { code: 0, stderr: '', kid: null, resealed: 0, lost: [] })
  t.match((await runCommand(['keys', 'reseal'], settings)).stdout, /^no secret is encrypted yet\n$/)
  t.equal(await kidsOf(store), undefined, 'only a server makes the first key')

  const [ann, ben] = [await addWithCodes(store, 'ann'), await addWithCodes(store, 'ben')]
  const account = await store.accounts.get(ben)
  await store.metadata.factors.setPendingTotp(account, await store.sealer.seal(ben, 'a newer secret'), 60_000)
  const [first] = await kidsOf(store) ?? []
  t.equal(await store.sealer.open(ann, await sealedOf(store, ann)), 'secret of ann')
  const rotated = await keys(['rotate', '--sealing'], settings)
  t.match(rotated, { code: 0, stderr: '', resealed: 3, lost: [] })
  t.strictSame(await kidsOf(store), [rotated.kid, first])
  for (const [id, username] of [[ann, 'ann'], [ben, 'ben']] as const) {
    const sealed = await sealedOf(store, id)
    t.equal(sealed.split('.')[0], rotated.kid)
    t.equal(await store.sealer.open(id, sealed), `secret of ${username}`, 'a server that runs finds the new key')
  }
  t.equal(await store.sealer.open(ben, String((await store.metadata.factors.findTotp(ben)).pending?.secret)), 'a newer secret')
  const again = await runCommand(['keys', 'rotate', '--sealing'], settings)
  t.match(again, { code: 0, stdout: /^encrypted 3 secrets with key [0-9a-f]{12}\n$/ })
  t.strictSame((await kidsOf(store))?.slice(1), [rotated.kid])
  t.match(await keys(['reseal'], settings), { code: 0, resealed: 0, lost: [] }, 'all are sealed with the first key')
  const events = (await runCommand(['events', '--json'], settings)).stdout.trim().split('\n').map(line => JSON.parse(line))
  t.match(events.filter(({ kind }) => kind === 'keys_rotated')[0], { accountId: null, network: 'operator', details: { kid: rotated.kid, isSealing: true, resealed: 3, lost: 0 } })
})

both.test('a rotation seals the secrets of links again, and one that can\'t be opened stops nothing', async (t, settings) => {
  const store = await openAt(t, settings)
  const id = await addWithCodes(store, 'ann')
  const { folders, links } = store.metadata
  await folders.add(id, 'a', unlimited)
  const add = async (context: readonly string[], secretHash: string) =>
    links.add(newLink(id, 'a', { secretHash, secretSealed: await store.sealer.seal(id, `secret ${secretHash}`, context) }))
  const [good, wrong] = [await add(contextOfLink('one'), 'one'), await add(contextOfLink('one'), 'two')]
  t.match(await keys(['rotate', '--sealing'], settings), { code: 0, resealed: 2, lost: [], lostLinks: 1 })
  t.match((await runCommand(['keys', 'reseal'], settings)).stdout, /\n {2}the addresses of 1 links can't be decrypted[^\n]+\n$/)
  const sealed = String((await links.find(id, good.id))?.secretSealed)
  t.not(sealed, good.secretSealed)
  t.equal(await store.sealer.open(id, sealed, contextOfLink('one')), 'secret one')
  await t.rejects(store.sealer.open(id, sealed), { code: 'unavailable' }, 'it is for that link only')
  t.equal((await links.find(id, wrong.id))?.secretSealed, wrong.secretSealed)
})

both.test('two rotations at once lose no secret and no key', async (t, settings) => {
  const store = await openAt(t, settings)
  const ids = [await addWithCodes(store, 'ann'), await addWithCodes(store, 'ben')]
  const rotated = await Promise.all(Array.from({ length: 3 }, () => keys(['rotate', '--sealing'], settings, runBin)))
  for (const { code, stderr } of rotated) t.strictSame([code, stderr], [0, ''])
  const { sealer } = await openAt(t, settings)
  t.strictSame(await Promise.all(ids.map(async id => sealer.open(id, await sealedOf(store, id)))), ['secret of ann', 'secret of ben'])
})

both.test('a rotation does not call lost what two others have sealed again after it was listed', async (t, settings) => {
  const store = await openAt(t, settings)
  const id = await addWithCodes(store, 'ann')
  const { sealedTexts: texts } = store.metadata
  const config = readConfig(settings)
  const rounds = [1, 2]
  const list: typeof texts.list = async (...range) => {
    const listed = await texts.list(...range)
    for (const round of rounds.splice(0)) t.match(await keys(['rotate', '--sealing'], settings), { code: 0 }, `the ${round}. other`)
    return listed
  }
  const { sealer } = await openAt(t, settings)
  const { lost } = await withKeys(config, async ({ sealingKeys }) =>
    rotateSealingKeys({ keys: sealingKeys, sealer, texts: { ...texts, list } }))
  t.strictSame(lost, [])
  t.equal(await (await openAt(t, settings)).sealer.open(id, await sealedOf(store, id)), 'secret of ann')
})

both.test('a secret that can\'t be opened stays with its key, and its owner is named', async (t, settings) => {
  const store = await openAt(t, settings)
  const [ann, ben, cleo] = [await addWithCodes(store, 'ann'), await addWithCodes(store, 'ben'), await addWithCodes(store, 'cleo')]
  const sealed = await sealedOf(store, ann)
  const [first] = await kidsOf(store) ?? []
  const replace = async (accountId: number, other: string) =>
    store.metadata.sealedTexts.replace({ accountId, sealed: await sealedOf(store, accountId), context: [] }, other)
  await replace(ben, sealed)
  await replace(cleo, `gone.${sealed.split('.')[1]}`)
  for (const round of [1, 2, 3]) {
    const { code, resealed, lost } = await keys(['rotate', '--sealing'], settings)
    t.strictSame([code, resealed, lost], [1, 1, ['ben', 'cleo']], `rotation ${round}`)
  }
  t.equal((await kidsOf(store))?.length, 3)
  t.equal((await kidsOf(store))?.[2], first, 'what it sealed may be for something yet')
  const { code, stdout } = await runCommand(['keys', 'rotate', '--sealing'], settings)
  t.equal(code, 1)
  t.match(stdout, /^encrypted 1 secrets with key [^\n]+\n {2}the secret of ben can't be decrypted[^\n]+\n {2}the secret of cleo can't be decrypted[^\n]+\n$/)
})

both.test('the keys of SEALING_KEYS are used in place of others, and replaced by a new one in first place', async (t, settings) => {
  const withKeys = (...items: string[]) => ({ ...settings, SEALING_KEYS: items.join(',') })
  const old = await openAt(t, withKeys(`old:${SECRET}`))
  const id = await addWithCodes(old, 'ann')
  t.match(await sealedOf(old, id), /^old\./)
  t.equal(await kidsOf(await openAt(t, settings)), undefined, 'none is made')
  const both = withKeys(`new:${OTHER_SECRET}`, `old:${SECRET}`)
  t.match(await keys(['rotate', '--sealing'], both), { code: 2, stderr: /^magicstore: SEALING_KEYS is set: [^\n]+ keys reseal\n$/ })
  t.match(await keys(['reseal', '--sealing'], both), { code: 2, stderr: /^magicstore: --sealing is for rotate\n$/ })
  t.match(await keys(['reseal'], both), { code: 0, kid: 'new', resealed: 1, lost: [] })
  const renewed = await openAt(t, withKeys(`new:${OTHER_SECRET}`))
  t.equal(await renewed.sealer.open(id, await sealedOf(renewed, id)), 'secret of ann')
})

both.test('a store moves from keys beside the database to SEALING_KEYS, and its codes go on', async (t, settings) => {
  const id = await addWithCodes(await openAt(t, settings), 'ann')
  t.match(await doctor(settings), { verdict: 'good' })
  const moved = { ...settings, SEALING_KEYS: `new:${SECRET}` }
  const store = await openAt(t, moved)
  t.equal(await store.sealer.open(id, await sealedOf(store, id)), 'secret of ann')
  t.match(await store.sealer.seal(id, 'text'), /^new\./)
  t.match(await keys(['reseal'], moved), { code: 0, kid: 'new', resealed: 1, lost: { length: 0 } })
  t.equal(await store.sealer.open(id, await sealedOf(store, id)), 'secret of ann')
  t.match(await sealedOf(store, id), /^new\./)
})

both.test('another key with the id of the first one is noticed, and doctor names keys that are missing', async (t, settings) => {
  const withKey = (kid: string, secret: string) => ({ ...settings, SEALING_KEYS: `${kid}:${secret}` })
  t.match(await doctor(settings), { verdict: 'good' }, 'before the first start')
  const store = await openAt(t, withKey('one', SECRET))
  await addWithCodes(store, 'ann')
  t.match(await keys(['reseal'], withKey('one', OTHER_SECRET)), { code: 1, resealed: 0, lost: ['ann'] })
  t.match(await doctor(withKey('one', SECRET)), { verdict: 'good' })
  for (const wrong of [settings, withKey('two', SECRET)]) {
    t.match(await doctor(wrong), { verdict: 'fault', message: /missing: one$/, remedy: /set SEALING_KEYS as before/ })
  }
  await store.close()
  t.match(await doctor(settings), { verdict: 'fault' }, 'without a server')
})

both.test('a sealed text is opened whole, for its account and its installation only', async (t, settings) => {
  const { sealer, sealingKeys: keys } = await openAt(t, settings)
  const sealed = await sealer.seal(1, 'text')
  t.match(sealed, /^[0-9a-f]{12}\.[\w-]+$/)
  t.equal(await sealer.open(1, sealed), 'text')
  const [kid = '', body = ''] = sealed.split('.')
  const flipped = Buffer.from(body, 'base64url')
  flipped[flipped.length - 1]! ^= 1
  const wrong = [[2, sealed], [1, `${kid}.${flipped.toString('base64url')}`], [1, sealed.slice(0, -8)], [1, `${kid}.`], [1, kid], [1, ''], [1, `x${sealed}`]] as const
  for (const [accountId, text] of wrong) {
    await t.rejects(sealer.open(accountId, text), { code: 'unavailable', options: { resource: 'sealing_keys' } }, `${accountId} ${text}`)
  }
  await t.rejects(createSealer({ keys, installationId: 'another' }).open(1, sealed), { code: 'unavailable' })
  await t.rejects(createSealer({ keys: { ...keys, find: async () => undefined }, installationId: '' }).open(1, sealed), { code: 'unavailable' }, 'without any key')
})
t.test('the file of sealing keys belongs to its owner alone, and one that is damaged is named', async t => {
  const dataDir = t.testdir()
  const file = join(dataDir, 'sealing-keys')
  const store = await openAt(t, { DATA_DIR: dataDir })
  const sealed = await store.sealer.seal(1, 'text')
  t.equal(await store.sealer.open(1, sealed), 'text')
  t.equal((await stat(file)).mode & 0o777, 0o600)
  t.match(await readFile(file, 'utf8'), /^[0-9a-f]{12}:[\w-]{43}\n$/)
  await writeFile(file, 'kid:short\n')
  const { sealer } = await openAt(t, { DATA_DIR: dataDir })
  await t.rejects(sealer.open(1, sealed), { code: 'unavailable', cause: { message: /sealing-keys, line 1: .*restore it from a backup/ } })
  await t.rejects(sealer.seal(1, 'text'), { code: 'unavailable', cause: { message: /sealing-keys, line 1: / } })
  t.equal(await store.sealer.open(1, sealed), 'text', 'a server keeps the keys that it has read')
  await rm(file)
  t.match(await sealer.seal(1, 'text'), /^[0-9a-f]{12}\./)
  t.not((await readFile(file, 'utf8')).slice(0, 12), sealed.slice(0, 12))
  await rm(file)
  await mkdir(file)
  await t.rejects(sealer.seal(1, 'text'), { code: 'EISDIR' })
})
