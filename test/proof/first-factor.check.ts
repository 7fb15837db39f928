import { once } from 'node:events'
import { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { Authenticator } from '../kit/authenticator.ts'
import { test, type Test } from 'tap'
import { createRandom } from '../kit/random.ts'
import { sizes } from '../kit/sizes.ts'
import { personalToken } from '../kit/drive.ts'
import { startPostgres } from '../kit/postgres.ts'
import { credentials, openS3 } from '../kit/s3.ts'
import { sharedServer, signUp, spawnServer, type Answer, type Client, type Settings } from '../kit/server.ts'
import { until } from '../kit/waiting.ts'
import { codeAt, createStepClock, newSecret, outcomesOf, STEP, turnOn, withCode, type User } from '../kit/one-time-codes.ts'

// The first factor ends what a thief has, in one act, whatever happens at the same time.

const unlimited = { RATE_LIMIT_PER_MINUTE: '0', REGISTRATIONS_PER_HOUR: '0' }

const clock = createStepClock()

interface Session { readonly id: number, readonly token: string, readonly headers: Record<string, string> }

function sessionOf ({ headers, json: { sessionId, token, key } }: Answer): Session {
  const cookie = String(headers['set-cookie']?.[0]?.split(';')[0])
  return { id: sessionId, token, headers: { cookie, 'session-key': key } }
}

async function beginSession (client: Client, user: User): Promise<Session> {
  return sessionOf(await client.send('POST', '/api/session', { user }))
}

const statusOf = async (client: Client, token: string) => (await client.send('GET', '/api/resource', { token })).status

async function isOn (
  t: Test, client: Client, { token, headers }: Session, isExpected: boolean, who: string
): Promise<void> {
  t.equal(await statusOf(client, token), isExpected ? 200 : 401, `the access token of ${who}`)
  t.equal((await client.send('GET', '/api/session', { headers })).status, isExpected ? 200 : 204, `the session of ${who}`)
}

test('no session stays that is not the account\'s, and none if none is named', async t => {
  const server = await sharedServer({}, { clock })
  const [ada, ben] = [await signUp(server), await signUp(server)]
  const [own, theirs] = [await beginSession(server, ada.user), await beginSession(server, ben.user)]
  const { secret } = await turnOn(server, ada.user, { sessionId: theirs.id })
  await isOn(t, server, own, false, 'ada')
  await isOn(t, server, theirs, true, 'ben')
  clock.advance(STEP)
  const { json: { token } } = await server.send('GET', '/api/token', withCode(ada.user, codeAt(secret, clock.now())))
  await turnOn(server, ben.user)
  await isOn(t, server, theirs, false, 'ben')
  t.equal(await statusOf(server, token), 200)
})

/** Signs in with the password alone, again and again; the credentials that it got. */
async function keepSigningIn (clients: Client[], user: User, over: AbortSignal) {
  const tokens: string[] = []
  const sessions: Session[] = []
  await Promise.all(clients.flatMap(client => [0, 1, 2].map(async kind => {
    while (!over.aborted) {
      if (kind === 2) {
        const answer = await client.send('POST', '/api/session', { user })
        if (answer.status === 201) sessions.push(sessionOf(answer))
        continue
      }
      const answer = await client.send('GET', '/api/token', { user })
      if (answer.status === 200) tokens.push(answer.json.token)
    }
  })))
  return { tokens, sessions }
}

/** Whether a factor that is turned on meanwhile ends all of them. */
async function turnOnMeanwhile (t: Test, clients: Client[], rounds: number): Promise<void> {
  const [first] = clients as [Client]
  for (let round = 0; round < rounds; round++) {
    const { user } = await signUp(first)
    const over = new AbortController()
    const signingIn = keepSigningIn(clients, user, over.signal)
    const secret = await newSecret(first, { user })
    await wait(20 * round % 100)
    const { status } = await first.send('PUT', '/api/second-factor/totp', { user, json: { code: codeAt(secret, first.now?.() ?? Date.now()) } })
    t.equal(status, 200)
    over.abort()
    const { tokens, sessions } = await signingIn
    t.ok(tokens.length > 0, `${tokens.length} tokens and ${sessions.length} sessions were given`)
    for (const token of [...tokens, ...sessions.map(session => session.token)]) {
      for (const client of clients) t.equal(await statusOf(client, token), 401, 'an access token')
    }
    for (const { headers } of sessions) t.equal((await first.send('GET', '/api/session', { headers })).status, 204, 'a session')
  }
}

test('no token that is issued for the password while the first factor is turned on survives', { timeout: 300_000 }, async t => {
  await turnOnMeanwhile(t, [await sharedServer({}, { clock })], sizes.firstFactorRaces)
})

test('nor over two servers on PostgreSQL', { timeout: 300_000 }, async t => {
  const postgres = await startPostgres(t)
  const s3 = await openS3(t)
  const store = { DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url(), ...credentials }
  const servers = await Promise.all([0, 1].map(() => spawnServer(t, { ...store, ...unlimited })))
  await turnOnMeanwhile(t, servers, sizes.firstFactorRaces)
})

/** A body whose end comes only when it is released. Node sends no head before the first byte. */
function delayed (json: unknown): { body: Readable, headers: Record<string, string>, release: () => void } {
  const text = JSON.stringify(json)
  const body = new Readable({ read () {} })
  body.push(text.slice(0, 1))
  const headers = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) }
  return { body, headers, release () { body.push(text.slice(1)); body.push(null) } }
}

test('a password is not changed with a factor that was removed after it was checked', async t => {
  const server = await sharedServer({}, { clock })
  const { user } = await signUp(server)
  const token = await personalToken(server, user, ['account'])
  const { recoveryCodes: [first = '', second = ''] } = await turnOn(server, user)
  const codesLeft = async () => (await server.send('GET', '/api/second-factor', { token })).json.recoveryCodesLeft
  const next: User = [user[0], 'another horse battery']
  const { body, headers, release } = delayed({ password: next[1] })
  const changing = server.send('PUT', '/api/account/password', { user, body, headers: { ...headers, 'one-time-code': first } })
  await until(codesLeft, count => count === 9)
  t.equal((await server.send('DELETE', '/api/second-factor/totp', withCode(user, second))).status, 204)
  release()
  t.match(await changing, { status: 401, json: { code: 'credentials_wrong' } })
  t.equal((await server.send('GET', '/api/account', { user })).status, 200, 'the old password, without a factor')
  t.equal((await server.send('GET', '/api/account', { user: next })).status, 401)
})

test('a change of the password and the removal of a factor at once leave no half of either', async t => {
  const server = await sharedServer({}, { clock })
  for (let round = 0; round < sizes.passwordChangeRaces; round++) {
    const { user } = await signUp(server)
    const { recoveryCodes: [first = '', second = '', third = ''] } = await turnOn(server, user)
    const next: User = [user[0], 'another horse battery']
    const [changed, removed] = await Promise.all([
      server.send('PUT', '/api/account/password', withCode(user, first, { json: { password: next[1] } })),
      server.send('DELETE', '/api/second-factor/totp', withCode(user, second))
    ])
    t.strictSame([changed, removed].filter(({ status }) => ![204, 401].includes(status)), [])
    t.ok([changed.status, removed.status].includes(204), 'one of them is done')
    const [current, former] = changed.status === 204 ? [next, user] : [user, next]
    t.match(await server.send('GET', '/api/account', withCode(former, third)), { status: 401, json: { code: 'credentials_wrong' } })
    const alone = await server.send('GET', '/api/account', { user: current })
    if (removed.status === 204) t.equal(alone.status, 200)
    else t.match(alone, { status: 401, json: { code: 'second_factor_required' } })
    t.equal((await server.send('GET', '/api/account', withCode(current, third))).status, 200)
  }
})

test('a factor is not turned on with a password that has changed meanwhile', async t => {
  const server = await sharedServer({}, { clock })
  const { user } = await signUp(server)
  const secret = await newSecret(server, { user })
  const confirmation = delayed({ code: codeAt(secret, clock.now()) })
  const confirming = server.send('PUT', '/api/second-factor/totp', { user, body: confirmation.body, headers: confirmation.headers })
  // Checked within the time of several hashes.
  for (let count = 0; count < 5; count++) await server.send('GET', '/api/account', { user })
  const next: User = [user[0], 'another horse battery']
  t.equal((await server.send('PUT', '/api/account/password', { user, json: { password: next[1] } })).status, 204)
  confirmation.release()
  t.match(await confirming, { status: 401, json: { code: 'credentials_wrong' } })
  t.match((await server.send('GET', '/api/second-factor', { user: next })).json, { totp: null, recoveryCodesLeft: 0 })
})

/** How many of ten recovery codes work. */
async function working (client: Client, user: User, codes: string[] | null): Promise<number> {
  const answers = await Promise.all((codes ?? []).map(code => client.send('GET', '/api/account', withCode(user, code))))
  return answers.filter(({ status }) => status === 200).length
}

for (const [what, both] of [['one-time codes twice', false], ['one-time codes and a passkey', true]] as const) {
  test(`of two first factors at once, ${what}, one gives the recovery codes, and only these work`, async t => {
    const server = await sharedServer({}, { clock })
    for (let round = 0; round < sizes.twoFactorRaces; round++) {
      const { user } = await signUp(server)
      const passkey = new Authenticator(`http://localhost:${server.port}`)
      const { json: options } = await server.send('POST', '/api/passkeys/options', { user })
      const secret = await newSecret(server, { user })
      const code = codeAt(secret, clock.now())
      const confirm = () => server.send('PUT', '/api/second-factor/totp', { user, json: { code } })
      const credential = passkey.create(options)
      const add = () => server.send('POST', '/api/passkeys', { user, json: { name: 'a key', credential } })
      const answers = await Promise.all([confirm(), both ? add() : confirm(), confirm()])
      const successes = answers.filter(({ status }) => status < 300)
      t.equal(successes.length, 1, JSON.stringify(outcomesOf(answers)))
      t.notOk(answers.some(({ status }) => status >= 500))
      t.equal(await working(server, user, (successes[0] as Answer).json.recoveryCodes), 10)
      t.match(await server.send('GET', '/api/account', { user }), { status: 401, json: { code: 'second_factor_required' } })
    }
  })
}

test('a server that is killed while a first factor is turned on has done all of it or nothing', { timeout: 600_000 }, async t => {
  const settings: Settings = { DATA_DIR: t.testdir(), ...unlimited }
  let server = await spawnServer(t, settings)
  const random = createRandom('first-factor')
  let [on, milliseconds] = [0, 0]
  for (let round = 0; round < sizes.firstFactorKills; round++) {
    const { user, token } = await signUp(server)
    const stolen = await beginSession(server, user)
    const secret = await newSecret(server, { user })
    const start = performance.now()
    const confirming = server.send('PUT', '/api/second-factor/totp', { user, json: { code: codeAt(secret, Date.now()) } }).catch(() => undefined)
    // The first round tells how long it takes.
    if (round > 0) {
      await wait(milliseconds * (0.3 + 0.8 * random.below(1000) / 1000))
      const exited = once(server.child, 'exit')
      server.child.kill('SIGKILL')
      await exited
    }
    const answer = await confirming
    if (round === 0) milliseconds = performance.now() - start
    else server = await spawnServer(t, settings)
    const { status, json } = await server.send('GET', '/api/second-factor', { user })
    const isDone = status === 401
    if (isDone) t.equal(json.code, 'second_factor_required')
    else t.match(json, { totp: null, recoveryCodesLeft: 0 })
    if (answer !== undefined) t.ok(isDone, 'what was answered is done')
    t.equal(await statusOf(server, token), isDone ? 401 : 200, 'an access token')
    await isOn(t, server, stolen, !isDone, 'a thief')
    if (answer !== undefined) t.equal(await working(server, user, answer.json.recoveryCodes), 10)
    if (isDone) t.equal((await server.send('GET', '/api/account', withCode(user, codeAt(secret, Date.now() + STEP)))).status, 200, 'its code works')
    else t.equal((await server.send('PUT', '/api/second-factor/totp', { user, json: { code: codeAt(secret, Date.now()) } })).status, 200, 'it can be done again')
    on += Number(isDone)
  }
  t.ok(on > 0, `on ${on} times`)
})
