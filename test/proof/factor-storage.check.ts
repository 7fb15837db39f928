import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Authenticator } from '../kit/authenticator.ts'
import { test, type Test } from 'tap'
import { claimSecret } from '../kit/commands.ts'
import { fill, mountDisk } from '../kit/disks.ts'
import { sha256Of } from '../kit/digests.ts'
import { begin, goThrough, startProvider } from '../kit/identity-provider.ts'
import { startPostgres } from '../kit/postgres.ts'
import { PASSWORD, signUp, startServer, type Client, type Settings } from '../kit/server.ts'
import { base32Of, bytesOfBase32, codeAt, createStepClock, newSecret, STEP, turnOn, withCode, type User } from '../kit/one-time-codes.ts'
import { authenticatorFor, registerPasskey } from '../kit/passkeys.ts'
import { operationsOf } from './operations.ts'

// What of factors and claims is on the disk, and in a database that is stolen.

const unlimited = { RATE_LIMIT_PER_MINUTE: '0' }

const ask = (client: Client, user: User, code: string) => client.send('GET', '/api/account', withCode(user, code))

/** An account with one-time codes and a passkey, and what is used once. */
async function fillStore (client: Client, settings: Settings) {
  const { user } = await signUp(client, 'ada', PASSWORD)
  const authenticator = await turnOn(client, user)
  const [first = '', second = '', ...recoveryCodes] = authenticator.recoveryCodes
  const passkey = new Authenticator(`http://localhost:${client.port}`)
  const { json: options } = await client.send('POST', '/api/passkeys/options', withCode(user, first))
  await client.send('POST', '/api/passkeys', withCode(user, second, { json: { name: 'a key', credential: passkey.create(options) } }))
  const credential = passkey.get((await client.send('POST', '/api/passkeys/confirm/options', { user })).json)
  const { json: { code: confirmation } } = await client.send('POST', '/api/passkeys/confirm', { user, json: { credential } })
  const pending = await newSecret(client, withCode(user, recoveryCodes.pop() ?? ''))
  const invitation = await claimSecret(['invite'], settings)
  const reset = await claimSecret(['reset', 'ada'], settings)
  const { secret } = authenticator
  const used = [first, second]
  return { user, secret, used, recoveryCodes, confirmation: String(confirmation), pending, invitation, reset }
}

/** Each spelling in which bytes, or a text, might stand in a database. */
function spellingsOf (what: string, text: string): { what: string, bytes: Buffer }[] {
  const decoded = bytesOfBase32(text.replace(/^(?:inv|rst)_/, ''))
  const plain = text.replace(/[ -]/g, '')
  const texts = [text, plain, base32Of(decoded), plain.replace(/^(?:inv|rst)_/, '')].flatMap(each => [each, each.toUpperCase(), each.toLowerCase()])
  const sources = [decoded, ...new Set(texts)].map(each => Buffer.from(each))
  // In base64, bytes look different at each place in a group of three.
  const inBase64 = (bytes: Buffer, shift: number, encoding: 'base64' | 'base64url') =>
    Buffer.concat([Buffer.alloc(shift), bytes]).toString(encoding).replace(/=+$/, '').slice(shift === 0 ? 0 : 4, -2)
  const base64 = sources.flatMap(bytes => [0, 1, 2].flatMap(shift =>
    (['base64', 'base64url'] as const).map(encoding => Buffer.from(inBase64(bytes, shift, encoding)))))
  const hex = sources.flatMap(bytes => [bytes.toString('hex'), bytes.toString('hex').toUpperCase()]).map(each => Buffer.from(each))
  const reversed = sources.map(bytes => Buffer.from(bytes).reverse())
  return [...sources, ...base64, ...hex, ...reversed].map(bytes => ({ what, bytes }))
}

type Filled = Awaited<ReturnType<typeof fillStore>>

/** None of the secrets of a store is in the bytes of its database, and what proves that they were searched is. */
function tellsNothing (t: Test, bytes: Buffer, { user, used, recoveryCodes, ...rest }: Filled): void {
  const { confirmation, invitation, reset } = rest
  const secrets = { ...rest, ...Object.fromEntries([...used, ...recoveryCodes].map((code, index) => [`recovery code ${index}`, code])) }
  t.ok(bytes.includes(user[0]), 'it is the database')
  const spellings = Object.entries(secrets).flatMap(([what, text]) => spellingsOf(what, text))
  t.ok(spellings.length > 500, `${spellings.length} spellings of ${Object.keys(secrets).length} secrets`)
  t.strictSame(spellings.filter(spelling => bytes.includes(spelling.bytes)).map(({ what, bytes }) => `${what}: ${bytes.toString('latin1')}`), [])
  for (const [what, text] of [['a recovery code', recoveryCodes[0] ?? ''], ['a confirmation code', confirmation]] as const) t.ok(bytes.includes(sha256Of(Buffer.from(text.replaceAll('-', '')))), `${what} is there as its hash`)
  for (const text of [invitation, reset]) t.ok(bytes.includes(sha256Of(Buffer.from(text))), 'a claim is there as its hash')
}

test('a stolen database of SQLite tells no secret without its key', async t => {
  const dataDir = t.testdir()
  const server = await startServer(t, { DATA_DIR: dataDir, ...unlimited })
  const filled = await fillStore(server, { DATA_DIR: dataDir })
  const stolen = async () => Buffer.concat(await Promise.all((await readdir(dataDir)).filter(name => name.startsWith('magicstore.db')).map(name => readFile(join(dataDir, name)))))
  tellsNothing(t, await stolen(), filled)
  await server.close()
  tellsNothing(t, await stolen(), filled)
  t.ok((await readdir(dataDir)).includes('sealing-keys'), 'the key is beside it')
})

test('a stolen database of PostgreSQL tells no secret without SEALING_KEYS', async t => {
  const postgres = await startPostgres(t)
  const key = '0123456789abcdef'.repeat(4)
  const settings = { DATABASE_URL: await postgres.newDatabase(), DATA_DIR: t.testdir(), SEALING_KEYS: `first:${key}` }
  const server = await startServer(t, { ...settings, ...unlimited })
  const filled = await fillStore(server, settings)
  const tables = await postgres.run(settings.DATABASE_URL, "SELECT quote_ident(table_name) AS name FROM information_schema.tables WHERE table_schema = 'public'")
  const rows = await Promise.all(tables.map(({ name }) => postgres.run(settings.DATABASE_URL, `SELECT row::text AS text FROM ${String(name)} AS row`)))
  const dump = Buffer.from(rows.flat().map(({ text }) => String(text)).join('\n'))
  tellsNothing(t, dump, filled)
  t.notOk(dump.includes(key), 'nor the key')
})

test('with no byte free no code is accepted that can\'t be recorded, and each goes on when space returns', { timeout: 120_000 }, async t => {
  const disk = await mountDisk(t, 'size=24m')
  if (disk === undefined) return
  const clock = createStepClock()
  const settings = { DATA_DIR: join(disk, 'data') }
  const provider = await startProvider(t)
  const own = { PUBLIC_URL: 'http://localhost:5000', REGISTRATION: 'open', MIN_FREE_BYTES: '0' }
  const server = await startServer(t, { ...settings, ...provider.settings, ...own, ...unlimited }, { clock })
  const [{ user, token }, { user: ben }] = [await signUp(server, 'ada'), await signUp(server, 'ben')]
  const { user: eve } = await signUp(server, 'eve')
  const key = authenticatorFor({ ...server, port: 5000 })
  await registerPasskey(server, eve, key)
  const invitation = await claimSecret(['invite'], settings)
  const pending = await newSecret(server, { user: ben })
  const { secret, recoveryCodes: [recoveryCode = ''] } = await turnOn(server, user)
  t.equal((await server.send('GET', '/api/resource', { token })).status, 401)
  const options = async (path: string) => key.get((await server.send('POST', `${path}/options`, { user: eve })).json)
  const session = { json: { credential: await options('/api/session/passkey') } }
  const confirmation = { user: eve, json: { credential: await options('/api/passkeys/confirm') } }
  const secretOfReset = await claimSecret(['reset', 'eve'], settings)
  const { json: challenge } = await server.send('POST', '/api/account/claim/confirm/options', { json: { secret: secretOfReset } })
  const reset = { json: { secret: secretOfReset, credential: key.get(challenge) } }
  const offered = await goThrough(server, provider)
  const registration = { json: { registration: offered.json.registration, username: 'identified' } }
  const { flow, url } = await begin(server)
  const identified = { json: { flow, response: provider.signIn(url) } }
  const operations = await operationsOf(server)
  let empty = await fill(disk)
  // What is written until the reserve is used up as well.
  while ((await server.send('GET', '/api/token', { user: ben })).status === 200) empty = await fill(disk)
  clock.advance(STEP)
  const code = codeAt(secret, clock.now())
  const confirm = () => server.send('PUT', '/api/second-factor/totp', { user: ben, json: { code: codeAt(pending, clock.now()) } })
  const claim = () => server.send('POST', '/api/account/claim', { json: { secret: invitation, username: 'guest', password: PASSWORD } })
  for (let count = 0; count < 3; count++) {
    t.match(await ask(server, user, code), { status: 507, json: { code: 'storage_full' } }, 'a one-time code')
    t.match(await ask(server, user, recoveryCode), { status: 507, json: { code: 'storage_full' } }, 'a recovery code')
    t.match(await confirm(), { status: 507 }, 'the first factor')
    t.match(await claim(), { status: 507 }, 'a claim')
    t.match(await server.send('POST', '/api/session/passkey', session), { status: 507 }, 'a passkey')
    t.match(await server.send('POST', '/api/passkeys/confirm', confirmation), { status: 507 }, 'a passkey beside a password')
    t.match(await server.send('POST', '/api/account/claim/confirm', reset), { status: 507 }, 'a passkey for a reset')
    t.match(await server.send('POST', '/api/session/oidc/registration', registration), { status: 507 }, 'a registration by an identity')
    t.match(await server.send('POST', '/api/session/oidc', identified), { status: 507 }, 'an identity')
  }
  for (const { name, method, path, schemes, bodies: [body] } of operations) {
    if (!schemes.includes('oneTimeCode') || name === 'POST /api/account/claim') continue
    t.equal((await server.send(method, path, withCode(user, recoveryCode, body))).status, 507, name)
  }
  t.equal((await server.send('GET', '/api/account', { user: ben })).status, 200, 'no factor is on')
  t.match(await server.send('GET', '/api/account', { user }), { status: 401, json: { code: 'second_factor_required' } })

  await empty()
  for (const each of [code, recoveryCode]) t.strictSame([(await ask(server, user, each)).status, (await ask(server, user, each)).status], [200, 401], 'once')
  t.equal((await confirm()).status, 200)
  t.strictSame([(await claim()).status, (await claim()).status], [201, 404])
  t.equal((await server.send('POST', '/api/session/passkey', session)).status, 201)
  t.equal((await server.send('POST', '/api/passkeys/confirm', confirmation)).status, 200)
  t.equal((await server.send('POST', '/api/account/claim/confirm', reset)).status, 200)
  t.equal((await server.send('POST', '/api/session/oidc/registration', registration)).status, 201)
  t.equal((await server.send('POST', '/api/session/oidc', identified)).status, 201)
})
