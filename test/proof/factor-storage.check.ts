import { cp, mkdir, readdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { Authenticator } from '../kit/authenticator.ts'
import { test, type Test } from 'tap'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { fill, mountDisk } from '../kit/disks.ts'
import { sha256Of } from '../kit/digests.ts'
import { startPostgres } from '../kit/postgres.ts'
import { runBin, signUp, startServer, type Client, type RunningServer, type Settings } from '../kit/server.ts'
import { base32Of, bytesOfBase32, codeAt, createStepClock, newSecret, STEP, turnOn, withCode, type User } from '../kit/one-time-codes.ts'
import { authenticatorFor, registerPasskey } from '../kit/passkeys.ts'
import { operationsOf } from './operations.ts'

// What of factors and claims is on the disk, in a database that is stolen, and in a backup.

const PASSWORD = 'correct horse battery'

const unlimited = { RATE_LIMIT_PER_MINUTE: '0' }

const secretOf = async (settings: Settings, ...args: string[]) => String(/#claim=((?:inv|rst)_[a-z2-7]{32})/.exec((await runBin(['user', ...args], settings)).stdout)?.[1])

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
  const invitation = await secretOf(settings, 'invite')
  const reset = await secretOf(settings, 'reset', 'ada')
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

test('a sealed secret is of no use without its key, in another account, or in another store', async t => {
  const clock = createStepClock()
  const folder = t.testdir({ one: {}, two: {} })
  const [one, two] = [join(folder, 'one'), join(folder, 'two')]
  let server = await startServer(t, { DATA_DIR: one, ...unlimited }, { clock })
  const [ada, eve] = [await signUp(server, 'ada'), await signUp(server, 'eve')]
  const [, authenticator] = [await turnOn(server, ada.user), await turnOn(server, eve.user)]
  const code = () => codeAt(authenticator.secret, clock.now())
  const isRefused = async (server: RunningServer, why: string) => {
    clock.advance(STEP)
    const { status } = await server.send('GET', '/api/account', withCode(ada.user, code()))
    t.ok(status === 401 || status === 503, `${why}: ${status}`)
  }
  const database = new Database(join(one, 'magicstore.db'))
  database.prepare('UPDATE totp_secrets SET secret = (SELECT secret FROM totp_secrets WHERE account_id = ?) WHERE account_id = ?').run(eve.id, ada.id)
  database.close()
  await isRefused(server, 'of another account')
  t.equal((await ask(server, eve.user, code())).status, 200)
  await server.close()

  await rename(join(one, 'sealing-keys'), join(folder, 'sealing-keys'))
  await cp(one, two, { recursive: true })
  const other = await startServer(t, { DATA_DIR: two, ...unlimited }, { clock }).catch(() => undefined)
  if (other !== undefined) {
    clock.advance(STEP)
    const { status } = await other.send('GET', '/api/account', withCode(eve.user, code()))
    t.ok(status === 401 || status === 503, `without its key: ${status}`)
    await other.close()
  }
  await rename(join(folder, 'sealing-keys'), join(one, 'sealing-keys'))
  server = await startServer(t, { DATA_DIR: one, ...unlimited }, { clock })
  clock.advance(STEP)
  t.equal((await ask(server, eve.user, code())).status, 200, 'with its key')
})

test('with no byte free no code is accepted that can\'t be recorded, and each goes on when space returns', { timeout: 120_000 }, async t => {
  const disk = await mountDisk(t, 'size=24m')
  if (disk === undefined) return
  const clock = createStepClock()
  const settings = { DATA_DIR: join(disk, 'data') }
  const server = await startServer(t, { ...settings, MIN_FREE_BYTES: '0', ...unlimited }, { clock })
  const [{ user, token }, { user: ben }] = [await signUp(server, 'ada'), await signUp(server, 'ben')]
  const { user: eve } = await signUp(server, 'eve')
  const key = authenticatorFor(server)
  await registerPasskey(server, eve, key)
  const invitation = await secretOf(settings, 'invite')
  const pending = await newSecret(server, { user: ben })
  const { secret, recoveryCodes: [recoveryCode = ''] } = await turnOn(server, user)
  t.equal((await server.send('GET', '/api/resource', { token })).status, 401)
  const options = async (path: string) => key.get((await server.send('POST', `${path}/options`, { user: eve })).json)
  const session = { json: { credential: await options('/api/session/passkey') } }
  const confirmation = { user: eve, json: { credential: await options('/api/passkeys/confirm') } }
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
})

/** Backs up one store, and restores the backup into another. */
async function move (t: Test, folder: string, from: Settings, to: Settings): Promise<void> {
  const made = await runBin(['backup', folder], from)
  t.equal(made.code, 0, made.stderr)
  const restored = await runBin(['restore', folder], to)
  t.equal(restored.code, 0, restored.stderr)
  t.match(`${restored.stdout}${restored.stderr}`, /recovery codes/, 'it warns of recovery codes that were used since')
}

test('a backup keeps the factors, from a folder to a folder, to PostgreSQL and back, but nothing that is used once', { timeout: 300_000 }, async t => {
  const postgres = await startPostgres(t)
  const folder = t.testdir()
  const stores: { DATA_DIR: string, DATABASE_URL?: string }[] = []
  for (const name of ['one', 'two', 'three', 'four']) {
    await mkdir(join(folder, name))
    stores.push({ DATA_DIR: join(folder, name, 'data'), ...name === 'three' && { DATABASE_URL: await postgres.newDatabase() } })
  }
  /** As if some time had passed since the last code. */
  async function forgetCode ({ DATA_DIR, DATABASE_URL }: { DATA_DIR: string, DATABASE_URL?: string }): Promise<void> {
    const sql = 'UPDATE totp_secrets SET last_step = 0'
    if (DATABASE_URL !== undefined) await postgres.run(DATABASE_URL, sql)
    else {
      const database = new Database(join(DATA_DIR, 'magicstore.db'))
      database.exec(sql)
      database.close()
    }
  }
  const [first = { DATA_DIR: '' }] = stores
  let server = await startServer(t, { ...first, ...unlimited })
  const { user, secret, used, recoveryCodes, confirmation, invitation, reset } = await fillStore(server, first)
  const { json: before } = await server.send('GET', '/api/second-factor', withCode(user, recoveryCodes.pop() ?? ''))
  await server.close()
  for (const [index, store] of stores.entries()) {
    if (index > 0) await move(t, join(folder, `backup-${index}`), stores[index - 1] ?? {}, store)
    server = await startServer(t, { ...store, ...unlimited })
    t.match(await server.send('GET', '/api/account', { user }), { status: 401, json: { code: 'second_factor_required' } })
    await forgetCode(store)
    const code = codeAt(secret, Date.now())
    t.match(await server.send('GET', '/api/second-factor', withCode(user, code)), { status: 200, json: { totp: before.totp, passkeys: before.passkeys, recoveryCodesLeft: recoveryCodes.length } })
    t.match(await ask(server, user, code), { status: 401 }, 'once')
    t.equal((await ask(server, user, recoveryCodes.pop() ?? '')).status, 200, 'a recovery code')
    for (const old of used) t.match(await ask(server, user, old), { status: 401 }, 'used before the backup')
    if (index > 0) {
      t.match(await ask(server, user, confirmation), { status: 401, json: { code: 'second_factor_wrong' } })
      for (const each of [invitation, reset]) t.match(await server.send('POST', '/api/account/claim', { json: { secret: each, ...each === invitation && { username: 'guest' }, password: PASSWORD } }), { status: 404 })
      t.match(await runBin(['fsck'], store), { code: 0, stdout: 'all is well\n' })
    }
    await server.close()
  }
})
