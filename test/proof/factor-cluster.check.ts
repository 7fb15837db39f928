import { join } from 'node:path'
import { Authenticator } from '../kit/authenticator.ts'
import t from 'tap'
import { claimSecret } from '../kit/commands.ts'
import { startPostgres } from '../kit/postgres.ts'
import { credentials, openS3 } from '../kit/s3.ts'
import { signUp, spawnServer, startServer, type Answer, type Client, type ServerProcess } from '../kit/server.ts'
import { isProof, sizes } from '../kit/sizes.ts'
import { codeAt, newSecret, outcomesOf, STEP, turnOn, withCode } from '../kit/one-time-codes.ts'

// What is used once is used once over all servers of a store.

const unlimited = { RATE_LIMIT_PER_MINUTE: '0' }

/** Two servers of one store, which the tests share. */
async function startTwo () {
  const postgres = await startPostgres(t)
  const s3 = await openS3(t, join(t.testdir(), 'bucket'))
  const store = { DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url(), ...credentials }
  const start = () => spawnServer(t, { ...unlimited, ...store })
  const servers = await Promise.all([start(), start()]) as [ServerProcess, ServerProcess]
  return { servers, store, sql: (text: string) => postgres.run(store.DATABASE_URL, text) }
}

const { servers, store, sql } = await startTwo()

/** How many requests are sent at once. A password is hashed for most of them. */
const SENT = isProof ? 32 : 16

/** Sends requests at once, to each server half of them. */
function sendAtOnce (
  servers: readonly Client[], send: (server: Client, index: number) => Promise<Answer>
): Promise<Answer[]> {
  return Promise.all(Array.from({ length: SENT }, (_, index) => send(servers[index % 2] as Client, index)))
}

const ask = (server: Client, user: [string, string], code: string) => server.send('GET', '/api/account', withCode(user, code))

t.test('one code that is sent many times at once to two servers succeeds once', async t => {
  const { user } = await signUp(servers[0])
  const { secret } = await turnOn(servers[0], user)
  for (let round = 0; round < sizes.codeRaces; round++) {
    // As if some time had passed.
    await sql('UPDATE totp_secrets SET last_step = 0; DELETE FROM attempts; DELETE FROM open_attempts')
    const code = codeAt(secret, Date.now())
    const { 200: accepted, '401 second_factor_wrong': wrong = 0, '429 too_many_codes': limited = 0, ...others } =
      outcomesOf(await sendAtOnce(servers, server => ask(server, user, code)))
    t.strictSame([accepted, wrong + limited, others], [1, SENT - 1, {}])
  }
})

t.test('one recovery code that is sent many times at once to two servers succeeds once', async t => {
  const { user } = await signUp(servers[0])
  const { recoveryCodes } = await turnOn(servers[0], user)
  for (const code of recoveryCodes.slice(0, sizes.codeRaces)) t.strictSame(outcomesOf(await sendAtOnce(servers, server => ask(server, user, code))), { 200: 1, '401 second_factor_wrong': SENT - 1 })
})

t.test(`${SENT} wrong codes at once to two servers are ten guesses`, async t => {
  const { user } = await signUp(servers[0])
  const { secret } = await turnOn(servers[0], user)
  const right = new Set(Array.from({ length: 9 }, (_, index) => codeAt(secret, Date.now() + (index - 4) * STEP)))
  const wrong = ['000000', '111111', '222222', '333333'].find(code => !right.has(code)) as string
  t.strictSame(outcomesOf(await sendAtOnce(servers, server => ask(server, user, wrong))), { '401 second_factor_wrong': 10, '429 too_many_codes': SENT - 10 })
})

t.test('a secret that one server sealed is opened by the other, and one that is pending at one is confirmed at the other', async t => {
  const [one, other] = servers
  const { user } = await signUp(one)
  const secret = await newSecret(one, { user })
  t.equal((await other.send('PUT', '/api/second-factor/totp', { user, json: { code: codeAt(secret, Date.now()) } })).status, 200)
  t.equal((await ask(one, user, codeAt(secret, Date.now() + STEP))).status, 200)
})

t.test('an assertion of a passkey that is sent many times at once to two servers gives one session, and one confirmation code', async t => {
  // Both servers are one address, as behind a proxy. The AWS SDK reads its credentials from the environment.
  const origin = 'https://files.example.org'
  Object.assign(process.env, credentials)
  const start = () => startServer(t, { ...unlimited, ...store, DATA_DIR: t.testdirName, PUBLIC_URL: origin })
  const servers = [await start(), await start()] as const
  const [server] = servers
  const { user } = await signUp(server)
  const passkey = new Authenticator(origin)
  const { json: options } = await server.send('POST', '/api/passkeys/options', { user })
  const added = await server.send('POST', '/api/passkeys', { user, json: { name: 'a key', credential: passkey.create(options) } })
  t.match(added, { status: 201, json: { recoveryCodes: { length: 10 } } })

  const credential = passkey.get((await server.send('POST', '/api/session/passkey/options')).json)
  t.strictSame(outcomesOf(await sendAtOnce(servers, each => each.send('POST', '/api/session/passkey', { json: { credential } }))), { 201: 1, '401 passkey_refused': SENT - 1 })

  const assertion = passkey.get((await server.send('POST', '/api/passkeys/confirm/options', { user })).json)
  const answers = await sendAtOnce(servers, each => each.send('POST', '/api/passkeys/confirm', { user, json: { credential: assertion } }))
  t.strictSame(outcomesOf(answers), { 200: 1, '401 passkey_refused': SENT - 1 })
  const { code } = answers.find(({ status }) => status === 200)?.json as { code: string }
  t.strictSame(outcomesOf(await sendAtOnce(servers, each => ask(each, user, code))), { 200: 1, '401 second_factor_wrong': SENT - 1 }, 'which is used once')
})

t.test('a claim that is used many times at once over two servers makes one account, or sets one password', async t => {
  const invitation = await claimSecret(['invite'], store)
  const made = await sendAtOnce(servers, (server, index) => server.send('POST', '/api/account/claim', { json: { secret: invitation, username: `guest-${index}`, password: 'correct horse battery' } }))
  t.strictSame(outcomesOf(made), { 201: 1, '404 not_found': SENT - 1 })
  const { username } = made.find(({ status }) => status === 201)?.json as { username: string }
  const reset = await claimSecret(['reset', username], store)
  const done = await sendAtOnce(servers, (server, index) => server.send('POST', '/api/account/claim', { json: { secret: reset, password: `another horse battery ${index}` } }))
  t.strictSame(outcomesOf(done), { 204: 1, '404 not_found': SENT - 1 })
  const winner = done.findIndex(({ status }) => status === 204)
  t.equal((await servers[0].send('GET', '/api/account', { user: [username, `another horse battery ${winner}`] })).status, 200)
})
