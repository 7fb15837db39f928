import argon2 from 'argon2'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { attemptKey, createAttemptLimiter } from '#src/accounts/attempt-limiter.ts'
import { isPrivate, networkOf, siteOf } from '#src/accounts/network.ts'
import type { Metadata } from '#src/metadata/metadata.ts'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { openSqliteMetadata } from '#src/metadata/sqlite/sqlite.ts'
import type { Problem } from '#src/problems.ts'
import { setPassword } from '../kit/records.ts'
import { recordFailure } from '../kit/attempts.ts'
import { createTestClock } from '../kit/clock.ts'
import { HOUR } from '../kit/durations.ts'
import { countHashes } from '../kit/hashes.ts'
import { formOf, PASSWORD as password, sharedServer, signUp, spawnServer, startServer, type Answer, type Client, type RunningServer, type SendOptions, type Settings } from '../kit/server.ts'
import { dial, statuses } from './raw-http.ts'

/** The server trusts a proxy on this machine, so tests set the client's address in `X-Forwarded-For`. */
const behindProxy = { TRUST_PROXY: '127.0.0.1', PASSWORD_POLICY: 'open' }

function from (address: string, options: SendOptions = {}): SendOptions {
  return { ...options, headers: { 'x-forwarded-for': address, ...options.headers } }
}

function signIn (client: Client, username: string, secret: string, address?: string): Promise<Answer> {
  const options = { user: [username, secret] as [string, string] }
  return client.send('GET', '/api/token', address === undefined ? options : from(address, options))
}

/** Registers a user from one network, and signs in from it. */
async function register (client: Client, username: string, address: string): Promise<string> {
  await client.send('POST', '/api/users', from(address, { json: { username, password } }))
  return (await signIn(client, username, password, address)).json.token
}

async function failures (client: Client, count: number, username: string, address?: string): Promise<number[]> {
  const statuses = []
  for (let index = 0; index < count; index++) statuses.push((await signIn(client, username, `wrong ${index}`, address)).status)
  return statuses
}

function refusedFor (t: Test, answer: Answer, code: string, seconds: number): void {
  t.match(answer, { status: 429, json: { code } })
  const retry = Number(answer.headers['retry-after'])
  t.ok(retry >= 1 && retry <= seconds, `again in ${retry} s`)
}

/** Opens the database of a running server, as other processes do; with another clock, if one is given. */
async function openMetadata (t: Test, { dataDir }: RunningServer, clock: () => number = Date.now): Promise<Metadata> {
  const metadata = await openSqliteMetadata(join(dataDir, 'magicstore.db'), { clock })
  t.teardown(() => metadata.close())
  return metadata
}

function count (statuses: number[]): Record<number, number> {
  return statuses.reduce<Record<number, number>>(
    (counts, status) => ({ ...counts, [status]: (counts[status] ?? 0) + 1 }), {}
  )
}

t.test('the eleventh sign-in to an account from a network where ten failed is refused before hashing, right or wrong', async t => {
  const server = await startServer(t, behindProxy)
  const token = await register(server, 'ann', '198.51.100.1')
  t.same(await failures(server, 10, 'ann', '198.51.100.1'), Array(10).fill(401))
  const hashed = countHashes(t)
  for (const secret of ['wrong', password]) refusedFor(t, await signIn(server, 'ann', secret, '198.51.100.1'), 'too_many_sign_ins', 900)
  t.equal(hashed(), 0)
  for (const path of ['/api/resource', '/api/account', '/uploads/x']) {
    t.equal((await server.send('GET', path, from('198.51.100.1', { user: ['ann', password] }))).status, 429, `${path} with Basic`)
  }
  t.equal((await server.send('GET', '/api/resource', from('198.51.100.1', { token }))).status, 200, 'a valid token goes on')
  t.equal((await signIn(server, 'ANN', password, '198.51.100.1')).status, 429, 'another spelling is the same account')
  t.equal((await signIn(server, 'ann', password, '198.51.100.2')).status, 200, 'another network is not slowed')
})

t.test('X-Forwarded-For says nothing where no proxy is trusted, and only what the trusted one added where one is', async t => {
  const folder = t.testdir()
  const bare = await startServer(t, { SIGN_IN_FAILURES: '2', DATA_DIR: join(folder, 'bare') })
  await signUp(bare, 'ann')
  t.same([...await failures(bare, 1, 'ann', '198.51.100.1'), ...await failures(bare, 1, 'ann', '198.51.100.2')], [401, 401])
  t.equal((await signIn(bare, 'ann', password, '198.51.100.3')).status, 429)

  const proxied = await startServer(t, { ...behindProxy, SIGN_IN_FAILURES: '2', DATA_DIR: join(folder, 'proxied') })
  await register(proxied, 'ann', '198.51.100.9')
  t.same(await failures(proxied, 2, 'ann', '192.0.2.1, 198.51.100.1'), [401, 401])
  t.equal((await signIn(proxied, 'ann', password, '192.0.2.2, 198.51.100.1')).status, 429, 'what the client made up in front of it changes nothing')
  t.equal((await signIn(proxied, 'ann', password, '127.0.0.1, 198.51.100.1')).status, 429)
})

t.test('a network that failed ten times as often, at whatever names, is refused for all of them', async t => {
  const server = await startServer(t, { ...behindProxy, SIGN_IN_FAILURES: '1' })
  await register(server, 'ann', '198.51.100.1')
  const statuses = []
  for (let index = 0; index < 10; index++) statuses.push(...await failures(server, 1, `nobody-${index}`, '198.51.100.1'))
  t.same(statuses, Array(10).fill(401))
  refusedFor(t, await signIn(server, 'nobody-10', 'wrong', '198.51.100.1'), 'too_many_sign_ins', 900)
  refusedFor(t, await signIn(server, 'ann', password, '198.51.100.1'), 'too_many_sign_ins', 900)
  t.equal((await signIn(server, 'ann', password, '198.51.100.2')).status, 200)
})

t.test('after a hundred failures from strange networks these are slowed for that account, and never the ones its owner signed in from', async t => {
  const server = await startServer(t, behindProxy)
  const clock = createTestClock()
  const metadata = await openMetadata(t, server, clock.now)
  await register(server, 'ann', '198.51.100.1')
  await register(server, 'bob', '198.51.100.1')
  const attempt = (index: number) => recordFailure(metadata, { kind: 'sign_in', network: `203.0.113.${index}`, usernameKey: attemptKey('ann'), isKnownNetwork: false })
  const now = Date.now()
  for (const { time, times } of [{ time: now - 15 * 60_000 - 1000, times: 50 }, { time: now, times: 99 }]) {
    clock.set(time)
    await Promise.all(Array.from({ length: times }, (_, index) => attempt(index)))
  }
  t.equal((await signIn(server, 'ann', 'wrong', '192.0.2.1')).status, 401, 'the hundredth')
  refusedFor(t, await signIn(server, 'ann', 'wrong', '192.0.2.2'), 'too_many_sign_ins', 900)
  refusedFor(t, await signIn(server, 'ann', password, '192.0.2.3'), 'too_many_sign_ins', 900)
  t.same(await failures(server, 2, 'ann', '198.51.100.1'), [401, 401], 'the owner may still mistype')
  t.equal((await signIn(server, 'ann', password, '198.51.100.1')).status, 200, 'and sign in')
  t.equal((await signIn(server, 'bob', password, '192.0.2.3')).status, 200, 'another account is not slowed')
})

t.test('sixteen good sign-ins at once all succeed, and so do they between wrong ones until the limit', async t => {
  const server = await startServer(t, { SIGN_IN_FAILURES: '4' })
  const { user } = await signUp(server, 'ann')
  const good = await Promise.all(Array.from({ length: 16 }, () => server.send('GET', '/api/resource', { user })))
  t.same(count(good.map(answer => answer.status)), { 200: 16 })
  const mixed = await Promise.all(Array.from({ length: 16 }, (_, index) => signIn(server, 'ann', index % 4 === 0 ? 'wrong' : password)))
  const statuses = count(mixed.map(answer => answer.status))
  t.ok((statuses[401] ?? 0) <= 4 &&
    (statuses[200] ?? 0) + (statuses[401] ?? 0) + (statuses[429] ?? 0) === 16, JSON.stringify(statuses))
  await signUp(server, 'ben')
  const guesses = await Promise.all(Array.from({ length: 12 }, (_, index) => signIn(server, 'ben', `guess ${index}`)))
  t.same(count(guesses.map(answer => answer.status)), { 401: 4, 429: 8 }, 'of guesses at once so many are looked at')
})

/** Makes the database refuse to record attempts, until the returned function is called. */
function refuseAttempts (t: Test, { dataDir }: Pick<RunningServer, 'dataDir'>): () => void {
  const database = new Database(join(dataDir, 'magicstore.db'))
  t.teardown(() => database.close())
  database.exec("CREATE TRIGGER no_room BEFORE INSERT ON attempts BEGIN SELECT RAISE(ABORT, 'no room'); END")
  return () => database.exec('DROP TRIGGER no_room')
}

t.test('failed sign-ins that can\'t be recorded count all the same, and a good one needs no record', async t => {
  const server = await startServer(t, { ...behindProxy, SIGN_IN_FAILURES: '4' })
  const address = '198.51.100.1'
  await register(server, 'ann', address)
  t.same(await failures(server, 1, 'ann', address), [401])
  const allow = refuseAttempts(t, server)
  t.same(count(await failures(server, 100, 'ann', address)), { 401: 3, 429: 97 }, 'with those that were recorded before')
  refusedFor(t, await signIn(server, 'ann', password, address), 'too_many_sign_ins', 900)
  t.equal((await signIn(server, 'ann', password, '198.51.100.2')).status, 200, 'another network is not slowed')
  for (let round = 0; round < 2; round++) {
    t.same(count(await failures(server, 3, 'ann', '198.51.100.3')), { 401: 3 })
    t.equal((await signIn(server, 'ann', password, '198.51.100.3')).status, 200, 'a good one forgives them')
  }
  const names = Array.from({ length: 50 }, (_, index) => `nobody-${index}`)
  const guesses = []
  for (const name of names) guesses.push(...await failures(server, 1, name, '198.51.100.4'))
  t.same(count(guesses), { 401: 40, 429: 10 }, 'and they count for the whole network')
  allow()
  refusedFor(t, await signIn(server, 'ann', password, address), 'too_many_sign_ins', 900)
})

t.test('a registration that can\'t be counted adds nobody', async t => {
  const server = await startServer(t)
  const allow = refuseAttempts(t, server)
  const registration = { json: { username: 'ann', password } }
  t.equal((await server.send('POST', '/api/users', { ...registration, isBroken: true })).status, 500)
  t.equal((await signIn(server, 'ann', password)).status, 401)
  allow()
  t.match(await server.send('POST', '/api/users', registration), { status: 201, json: { id: 1 } })
})

t.test('attempts from before the clock was set back lock nobody out', async t => {
  const server = await startServer(t, { SIGN_IN_FAILURES: '2', REGISTRATIONS_PER_HOUR: '2' })
  const clock = createTestClock()
  const metadata = await openMetadata(t, server, clock.now)
  await signUp(server, 'ann')
  for (const hours of [1, 24, 24 * 365]) {
    clock.set(Date.now() + hours * HOUR)
    for (const kind of ['sign_in', 'registration'] as const) await recordFailure(metadata, { kind, network: '127.0.0.1', usernameKey: attemptKey('ann'), isKnownNetwork: true })
  }
  t.equal((await signIn(server, 'ann', password)).status, 200)
  t.equal((await server.send('POST', '/api/users', { json: { username: 'ben', password } })).status, 201)
  t.same(await failures(server, 3, 'ann'), [401, 401, 429], 'and those made since count as ever')
})

t.test('a network is one IPv4 address or one IPv6 /64, however it is written', async t => {
  for (const [network, addresses] of Object.entries({
    '192.0.2.1': ['192.0.2.1', '::ffff:192.0.2.1', '::ffff:c000:201'],
    '192.0.2.2': ['192.0.2.2'],
    '2001:db8:1:2::/64': ['2001:db8:1:2::1', '2001:DB8:1:2:ffff:ffff:ffff:ffff', '2001:0db8:0001:0002:0000::'],
    '2001:db8:1:3::/64': ['2001:db8:1:3::1'],
    'fe80::/64': ['fe80::1', 'fe80::2%eth0'],
    '::/64': ['::1', '::'],
    unknown: ['', 'unknown', '_hidden', 'localhost', '192.0.2.300', 'x%eth0']
  })) for (const address of addresses) t.equal(networkOf(address), network, `'${address}'`)
  t.strictSame(['192.0.2.1', '::1', '2001:db8:1:2ff::1'].map(siteOf), ['192.0.2.1', '::/56', '2001:db8:1:200::/56'])
  for (const address of ['127.0.0.1', '::1', '10.1.2.3', '192.168.0.1', '172.16.0.1', '169.254.1.1', '100.64.0.1', 'fd00::1', 'fe80::1%eth0', '::ffff:10.0.0.1']) t.equal(isPrivate(address), true, address)
  for (const address of ['192.0.2.1', '8.8.8.8', '2001:db8::1', '172.32.0.1', 'unknown', '']) t.equal(isPrivate(address), false, address)
})

t.test('of twenty registrations at once from one network as many succeed as an hour allows', async t => {
  const clock = createTestClock()
  const server = await startServer(t, { ...behindProxy, REGISTRATIONS_PER_HOUR: '4' }, { clock })
  const registration = (username: string, address: string) => server.send('POST', '/api/users', from(address, { json: { username, password } }))
  t.equal((await registration('ann', '198.51.100.1')).status, 201)
  t.match(await registration('ann', '198.51.100.1'), { status: 400, json: { code: 'username_taken' } }, 'what is refused')
  t.match(await registration(' ', '198.51.100.1'), { status: 400, json: { code: 'username_invalid' } }, 'does not count')
  const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => registration(`user-${index}`, '198.51.100.1')))
  t.same(count(answers.map(answer => answer.status)), { 201: 3, 429: 17 })
  refusedFor(t, answers.find(answer => answer.status === 429) as Answer, 'too_many_registrations', 3600)
  t.equal((await registration('zoe', '198.51.100.2')).status, 201, 'another network')
  t.equal((await signIn(server, 'ann', password, '198.51.100.1')).status, 200, 'signing in is another matter')
  clock.advance(HOUR + 1000)
  t.equal((await registration('yan', '198.51.100.1')).status, 201, 'an hour forgives')
})

t.test('a storm of sign-ins is refused beyond a queue of 256, and a download meanwhile is not delayed by it', async t => {
  const server = await startServer(t, { SIGN_IN_FAILURES: '1000' })
  const { token } = await signUp(server, 'ann')
  const small = Buffer.alloc(4096, 'x')
  await server.send('PUT', '/uploads/small', { token, body: small })
  let refused: (answer: Answer) => void = () => {}
  const firstRefusal = new Promise<Answer>(resolve => { refused = resolve })
  let over = 0
  // Twice what fits: on a slow machine some are answered before the last one arrives.
  const storm = Array.from({ length: 600 }, async (_, index) => {
    const answer = await signIn(server, `nobody-${index}`, 'wrong')
    over++
    if (answer.status === 503) refused(answer)
    return answer.status
  })
  const refusal = await Promise.race([firstRefusal, Promise.all(storm)])
  t.match(refusal, { status: 503, headers: { 'retry-after': '1' }, json: { code: 'overloaded' } })
  const download = await server.send('GET', '/uploads/small', { token })
  t.ok(download.bytes.equals(small))
  t.ok(over < storm.length, 'the download came while sign-ins waited')
  const statuses = count(await Promise.all(storm))
  t.ok((statuses[401] ?? 0) >= 256 &&
    (statuses[503] ?? 0) > 0 && (statuses[401] ?? 0) + (statuses[503] ?? 0) === storm.length, JSON.stringify(statuses))
})

t.test('near a limit attempts wait for the outcome of others, at most 256 of them', async t => {
  const metadata = await openSqliteMetadata(join(t.testdir(), 'metadata.db'))
  t.teardown(() => metadata.close())
  const attemptLimiter = createAttemptLimiter(metadata.attempts)
  const matching = { kind: 'sign_in', network: '192.0.2.1', usernameKey: attemptKey('ann') } as const
  const attempt = { ...matching, isKnownNetwork: false }
  const acquire = () => attemptLimiter.acquire(attempt, [{ matching, limit: 1, seconds: 900 }], 'too_many_sign_ins')
  const finish = await acquire()
  const waiting = Array.from({ length: 256 }, acquire)
  await t.rejects(acquire(), { code: 'overloaded', options: { headers: { 'retry-after': '1' } } })
  await finish('released')
  const finishSecond = await Promise.race(waiting)
  await finishSecond('failed')
  const outcomes = await Promise.allSettled(waiting)
  t.same(outcomes.filter(outcome => outcome.status === 'fulfilled').length, 1, 'one by one')
  t.ok(outcomes.every(outcome => outcome.status === 'fulfilled' || outcome.reason.code === 'too_many_sign_ins'), 'and none once one has failed')
})

t.test('where ten thousand attempts could not be recorded, no more are let in until the oldest is an hour old', async t => {
  const dataDir = t.testdir()
  const clock = createTestClock()
  const metadata = await openSqliteMetadata(join(dataDir, 'magicstore.db'), { clock: clock.now })
  t.teardown(() => metadata.close())
  refuseAttempts(t, { dataDir })
  const attemptLimiter = createAttemptLimiter(metadata.attempts)
  const attempt = { kind: 'sign_in', network: '192.0.2.1', usernameKey: attemptKey('ann'), isKnownNetwork: false } as const
  const acquire = () => attemptLimiter.acquire(attempt, [{ matching: { kind: 'sign_in', network: '192.0.2.2' }, limit: 1, seconds: 900 }], 'too_many_sign_ins')
  const claims: number[] = []
  for (let count = 0; count < 20_000; count++) {
    const claim = await metadata.attempts.begin(attempt, [])
    if (claim.state === 'granted') claims.push(claim.id)
  }
  const succeeding = await metadata.attempts.begin(attempt, [])
  async function fail (times: number, secondsAgo: number) {
    clock.set(Date.now() - secondsAgo * 1000)
    await Promise.all(claims.splice(0, times).map(id => metadata.attempts.finish(id, 'failed')))
    clock.set(Date.now())
  }
  await fail(5000, 3000)
  await fail(5000, 0)
  const refusal = await acquire().then(() => undefined, (error: unknown) => error) as Problem
  t.equal(refusal.code, 'too_many_sign_ins')
  const retry = Number((refusal.options.headers as Record<string, string>)['retry-after'])
  t.ok(retry >= 1 && retry <= 600, `again in ${retry} s`)
  if (succeeding.state === 'granted') await metadata.attempts.finish(succeeding.id, 'succeeded')
  await fail(10_000, 3600)
  await t.resolves(acquire(), 'what is an hour old is forgotten')
})

/** Returns a function that returns the lengths of all texts normalised since. */
function watchNormalising (t: Test): () => number[] {
  const normalize = String.prototype.normalize
  const lengths: number[] = []
  // eslint-disable-next-line no-extend-native -- counts calls, because measured time would depend on the machine
  String.prototype.normalize = function (form) {
    lengths.push(this.length)
    return normalize.call(this, form)
  }
  // eslint-disable-next-line no-extend-native -- restores the original
  t.teardown(() => { String.prototype.normalize = normalize })
  return () => lengths.splice(0)
}

t.test('a text that is too long to fit is refused before it is normalised, wherever it comes in', async t => {
  const server = await startServer(t, { SIGN_IN_FAILURES: '1000' })
  const { user, token } = await signUp(server, 'ann')
  await server.send('PUT', '/uploads/a', { token, body: 'a' })
  // Combining marks of two classes in alternating order: sorting n of them takes n squared steps.
  const marks = (bytes: number) => `e${'\u0301\u0323'.repeat(bytes / 4)}`
  const lengths = watchNormalising(t)
  // Three UTF-16 code units can become two bytes; a password has at most 1,024 bytes, a name 255.
  const [ofPassword, ofName] = [1536, 382]
  const long: [string, string, SendOptions, number, object][] = [
    ['POST', '/api/users', { json: { username: 'ben', password: marks(60_000) } }, ofPassword, { status: 400, json: { code: 'password_invalid' } }],
    ['POST', '/api/users', { json: { username: marks(60_000), password } }, 0, { status: 400, json: { code: 'validation_failed' } }],
    ['PUT', '/api/account/password', { user, json: { password: marks(60_000) } }, ofPassword, { status: 400, json: { code: 'password_invalid' } }],
    ['GET', '/api/token', { user: ['ann', marks(10_000)] }, ofPassword, { status: 401, json: { code: 'credentials_wrong' } }],
    ['GET', '/api/token', { user: [marks(10_000), password] }, ofPassword, { status: 401, json: { code: 'credentials_wrong' } }],
    ['PATCH', '/api/files/a', { token, json: { name: marks(60_000) } }, ofName, { status: 400, json: { code: 'name_invalid' } }],
    ['POST', '/', { token, ...formOf(marks(15_000), 'bytes') }, ofName, { status: 400, json: { code: 'name_invalid' } }],
    ['GET', `/api/files?prefix=${encodeURIComponent(marks(2_000))}`, { token }, ofName, { status: 200, json: { files: [], next: null } }]
  ]
  for (const [method, path, options, longest, answer] of long) {
    t.match(await server.send(method, path, options), answer, `${method} ${path.slice(0, 30)}`)
    t.ok(Math.max(0, ...lengths()) <= longest, `${method} ${path.slice(0, 30)}: nothing longer`)
  }
})

/** The requests that can contain a password. */
const withPassword: [what: string, method: string, path: string, options: SendOptions][] = [
  ['a sign-in', 'GET', '/api/token', { user: ['ann', password] }],
  ['a request with Basic', 'GET', '/api/resource', { user: ['ann', password] }],
  ['an upload with Basic', 'PUT', '/uploads/a', { user: ['ann', password], body: 'bytes' }],
  ['a registration', 'POST', '/api/users', { json: { username: 'zoe', password } }],
  ['a password change', 'PUT', '/api/account/password', { user: ['ann', password], json: { password: 'another good one' } }]
]

t.test('behind a proxy a password is taken only where the proxy says that it came over TLS', async t => {
  const server = await startServer(t, { ...behindProxy, PASSWORD_POLICY: 'strict' })
  const secure = { 'x-forwarded-for': '198.51.100.1', 'x-forwarded-proto': 'https' }
  await server.send('POST', '/api/users', { headers: secure, json: { username: 'ann', password } })
  const { json: { token } } = await server.send('GET', '/api/token', { headers: secure, user: ['ann', password] })
  for (const headers of [{ 'x-forwarded-for': '198.51.100.1' }, { 'x-forwarded-for': '198.51.100.1', 'x-forwarded-proto': 'http' }, { 'x-forwarded-for': '10.0.0.1' }, { 'x-forwarded-for': '127.0.0.1, 198.51.100.1', 'x-forwarded-proto': 'https, http' }]) {
    for (const [what, method, path, options] of withPassword) {
      t.match(await server.send(method, path, { ...options, headers }), { status: 403, json: { code: 'tls_required' } }, what)
    }
    t.equal((await server.send('GET', '/api/resource', { token, headers })).status, 200, 'a token is the sender\'s own risk')
  }
  for (const [what, method, path, options] of withPassword) {
    const answer = await server.send(method, path, { ...options, headers: secure })
    t.ok(answer.status < 300, what)
    t.match(answer.headers['strict-transport-security'], /^max-age=\d+$/)
  }
})

const ownAddress = Object.values(networkInterfaces()).flat().find(address => address?.family === 'IPv4' && !address.internal)?.address

t.test('a password from another machine over plain HTTP is refused before the body is sent, whatever its head says', { skip: ownAddress === undefined && 'this machine has no address but its own' }, async t => {
  const server = await startServer(t, { HOST: '0.0.0.0' })
  await signUp(server, 'ann')
  const authorization = `Basic ${btoa(`ann:${password}`)}`
  for (const [what, method, path] of withPassword) {
    for (const forged of [{}, { 'x-forwarded-proto': 'https', 'x-forwarded-for': '127.0.0.1', forwarded: 'for=127.0.0.1;proto=https' }]) {
      const request = httpRequest({ host: ownAddress, port: server.port, method, path, headers: { authorization, 'content-type': 'application/json', 'content-length': 1000, ...forged } })
      request.on('error', () => {})
      request.flushHeaders()
      const [response] = await once(request, 'response')
      const body = JSON.parse(Buffer.concat(await response.toArray()).toString())
      t.same({ status: response.statusCode, code: body.code }, { status: 403, code: 'tls_required' }, what)
      request.destroy()
    }
  }
  t.equal((await signIn(server, 'ann', password)).status, 200, 'over the loopback it is taken')
})

const page = 'https://app.example.org'

t.test('without CORS_ORIGINS no page of another origin is let in', async t => {
  const server = await sharedServer()
  const preflight = await server.send('OPTIONS', '/api/files', { headers: { origin: page, 'access-control-request-method': 'GET' } })
  t.match(preflight, { status: 405, headers: { allow: 'GET, HEAD' } })
  for (const answer of [preflight, await server.send('GET', '/openapi.json', { headers: { origin: page } })]) {
    t.same(Object.keys(answer.headers).filter(name => name.startsWith('access-control-')), [])
  }
})

t.test('with CORS_ORIGINS exactly these origins may read answers, refusals among them, and no cookie or login is ever theirs', async t => {
  const server = await startServer(t, { CORS_ORIGINS: `${page},http://localhost:3000` })
  const { token } = await signUp(server, 'ann')
  await server.send('PUT', '/uploads/a', { token, body: 'bytes' })
  const requests: [what: string, status: number, method: string, path: string, options: SendOptions][] = [
    ['a page', 200, 'GET', '/openapi.json', {}],
    ['a download', 200, 'GET', '/uploads/a', { token }],
    ['a range', 206, 'GET', '/uploads/a', { token, headers: { range: 'bytes=0-0' } }],
    ['an upload', 201, 'POST', '/', { token, ...formOf('b', 'bytes') }],
    ['no credential', 401, 'GET', '/api/files', {}],
    ['nothing there', 404, 'GET', '/uploads/none', { token }],
    ['no such address', 404, 'GET', '/nowhere', {}],
    ['no such method', 405, 'DELETE', '/api/users', {}],
    ['a refused body', 400, 'POST', '/api/users', { json: {} }],
    ['what varies already', 200, 'GET', '/', {}]
  ]
  for (const [what, status, method, path, options] of requests) {
    for (const [origin, allowed] of [[page, page], ['http://localhost:3000', 'http://localhost:3000'], ['https://evil.example', undefined], [`${page}.evil.example`, undefined], ['http://app.example.org', undefined], ['null', undefined], [undefined, undefined]] as const) {
      if (method === 'POST' && origin !== page) continue
      const answer =
        await server.send(method, path, { ...options, headers: { ...options.headers, ...(origin && { origin }) } })
      const isRefused = method === 'DELETE' && origin !== undefined && allowed === undefined
      t.equal(answer.status, isRefused ? 403 : status, what)
      t.equal(answer.headers['access-control-allow-origin'], allowed, `${what} for ${origin}`)
      t.equal(answer.headers['access-control-allow-credentials'], undefined)
      t.ok(answer.headers.vary?.split(', ').includes('Origin'), `${what}: ${answer.headers.vary}`)
      const exposed = answer.headers['access-control-expose-headers']?.split(', ') ?? []
      if (allowed !== undefined) for (const name of ['ETag', 'Location', 'Link', 'Content-Range', 'Content-Disposition', 'Repr-Digest', 'Retry-After']) t.ok(exposed.includes(name), name)
    }
  }
  t.match((await server.send('GET', '/', { headers: { origin: page } })).headers.vary, 'Accept')
  for (const [method, path] of [['PUT', '/uploads/a'], ['DELETE', '/uploads/a'], ['PATCH', '/api/files/a'], ['POST', '/'], ['GET', '/api/account']] as const) {
    const ask = (origin: string) => server.send('OPTIONS', path, { headers: { origin, 'access-control-request-method': method, 'access-control-request-headers': 'authorization,content-type,if-match' } })
    const { status, headers } = await ask(page)
    t.match({ status, headers }, { status: 204, headers: { 'access-control-allow-origin': page, 'access-control-max-age': /^\d+$/, 'access-control-allow-headers': /authorization.*if-match/i, vary: /Origin/, 'x-content-type-options': 'nosniff' } }, 'a preflight needs no credential')
    t.ok(headers['access-control-allow-methods']?.split(', ').includes(method), method)
    t.equal(headers['access-control-allow-credentials'], undefined)
    t.equal((await ask('https://evil.example')).headers['access-control-allow-origin'], undefined)
  }
  t.match(await say(t, server, 'GET / HTTP/1.1\r\n\r\n'), /^HTTP\/1\.1 400 [^]*vary: Origin\r/i, 'what is refused at once varies as well')
})

t.test('RATE_LIMIT_PER_MINUTE counts every request of an address, whatever it is answered, and tells where it stands', async t => {
  const server = await startServer(t, { ...behindProxy, CORS_ORIGINS: page, RATE_LIMIT_PER_MINUTE: '6' })
  const requests: [method: string, path: string, status: number, options?: SendOptions][] = [
    ['GET', '/openapi.json', 200], ['GET', '/nowhere', 404], ['GET', '/api/files', 401], ['DELETE', '/api/users', 405],
    ['GET', '/api/token', 401, { user: ['ann', 'wrong'] }], ['POST', '/api/users', 400, { json: {} }]
  ]
  for (const [index, [method, path, status, options]] of requests.entries()) {
    const answer = await server.send(method, path, from('198.51.100.1', options))
    t.match(answer, { status, headers: { 'ratelimit-limit': '6', 'ratelimit-remaining': String(5 - index), 'ratelimit-reset': /^\d+$/ } }, `${method} ${path}`)
  }
  const answer = await server.send('GET', '/openapi.json', from('198.51.100.1', { headers: { origin: page } }))
  refusedFor(t, answer, 'too_many_requests', 60)
  t.match(answer.headers, { 'ratelimit-limit': '6', 'ratelimit-remaining': '0', 'cache-control': 'no-store', 'access-control-allow-origin': page }, 'a page of another origin can read it')
  t.equal((await server.send('GET', '/openapi.json', from('198.51.100.2'))).status, 200, 'another address')
  const unlimited = await startServer(t, { RATE_LIMIT_PER_MINUTE: '0', DATA_DIR: join(server.dataDir, 'unlimited') })
  const { headers } = await unlimited.send('GET', '/openapi.json')
  t.same(Object.keys(headers).filter(name => name.startsWith('ratelimit')), [])
})

t.test('a page of another site changes nothing, whatever the credential', async t => {
  const [listed, foreign] = ['https://app.example.org', 'https://evil.example']
  const server = await startServer(t, { CORS_ORIGINS: listed, PUBLIC_URL: 'https://files.example.org/store', TRUST_PROXY: '127.0.0.1', PASSWORD_POLICY: 'open', SIGN_IN_FAILURES: '1' })
  const { token, user } = await signUp(server, 'ann')
  const own = `http://127.0.0.1:${server.port}`
  const senders: [what: string, isRefused: boolean, headers: Record<string, string>][] = [
    ['no browser', false, {}],
    ['another site', true, { origin: foreign, 'sec-fetch-site': 'cross-site' }],
    ['another site in a browser without Fetch Metadata', true, { origin: foreign }],
    ['another site that says nothing of its origin', true, { 'sec-fetch-site': 'cross-site' }],
    ['a page without an origin', true, { origin: 'null' }],
    ['another subdomain', true, { origin: 'https://www.example.org', 'sec-fetch-site': 'same-site' }],
    ['another port', true, { origin: 'http://127.0.0.1:1', 'sec-fetch-site': 'same-site' }],
    ['another scheme', true, { origin: `https://127.0.0.1:${server.port}` }],
    ['a listed origin', false, { origin: listed, 'sec-fetch-site': 'cross-site' }],
    ['a listed origin beside another', true, { origin: `${listed}, ${foreign}` }],
    ['the server\'s own page', false, { origin: own, 'sec-fetch-site': 'same-origin' }],
    ['a page of its public address', false, { origin: 'https://files.example.org', 'sec-fetch-site': 'same-origin' }],
    ['a user who typed the address', false, { 'sec-fetch-site': 'none' }],
    ['a page at the address that the proxy was asked for', false, { origin: 'https://other.example.org', 'x-forwarded-host': 'other.example.org', 'x-forwarded-proto': 'https' }],
    ['an address that is none', true, { origin: own, 'x-forwarded-host': 'a b' }]
  ]
  for (const [what, isRefused, headers] of senders) {
    const form = formOf('planted', 'bytes')
    const sent = await server.send('POST', '/', { user, body: form.body, headers: { ...form.headers, ...headers } })
    if (isRefused) t.match({ status: sent.status, code: sent.json.code }, { status: 403, code: 'cross_site_request' }, what)
    else t.ok(sent.status < 300, what)
    t.equal((await server.send('DELETE', '/uploads/planted', { token, headers })).status, isRefused ? 403 : 204, what)
    t.equal((await server.send('GET', '/api/account', { token, headers })).status, 200, `${what}: reading is not for the server to refuse`)
    const isListRefused = isRefused && headers['sec-fetch-site'] === 'cross-site'
    t.equal((await server.send('GET', '/api/files', { token, headers })).status, isListRefused ? 403 : 200, `${what}: but lists, which are compressed`)
    t.strictSame((await server.send('GET', '/api/files', { token })).json.files, [], what)
  }
  for (let attempt = 0; attempt < 5; attempt++) {
    const answer = await server.send('DELETE', '/api/account', { user: ['ann', 'wrong'], headers: { origin: foreign } })
    t.equal(answer.status, 403, 'no password is checked')
  }
  t.equal((await server.send('GET', '/api/account', { user })).status, 200, 'and no failure counted')
})

/** Sends `text` over a new connection and returns everything received until the server closes it. */
async function say (t: Test, client: Client, text: string | Buffer): Promise<string> {
  const { socket, closed, text: received } = dial(t, client)
  socket.write(text)
  await closed
  return received()
}

t.test('every kind of answer keeps browsers from guessing, storing and running', async t => {
  const server = await startServer(t, { MAX_FILE_BYTES: '10' })
  const { token } = await signUp(server, 'ann')
  await server.send('PUT', '/uploads/a.html', { token, headers: { 'content-type': 'text/html' }, body: '<script>' })
  const requests: [what: string, status: number, method: string, path: string, options?: SendOptions][] = [
    ['the document', 200, 'GET', '/openapi.json'], ['the page', 200, 'GET', '/docs'], ['a file', 200, 'GET', '/uploads/a.html', { token }],
    ['a file\'s head', 200, 'HEAD', '/uploads/a.html', { token }], ['a range', 206, 'GET', '/uploads/a.html', { token, headers: { range: 'bytes=0-1' } }],
    ['a deletion', 404, 'DELETE', '/uploads/none', { token }], ['no such address', 404, 'GET', '/nowhere'], ['no such method', 405, 'DELETE', '/api/users'],
    ['an ill-formed address', 400, 'GET', '/uploads/%ff'], ['no credential', 401, 'GET', '/api/files'], ['a refused body', 400, 'POST', '/api/users', { json: {} }],
    ['too large', 413, 'PUT', '/uploads/b', { token, body: Buffer.alloc(11) }], ['a redirect', 302, 'GET', '/docs/json'],
    ['the page for browsers', 200, 'GET', '/', { headers: { accept: 'text/html' } }]
  ]
  for (const [what, status, method, path, options] of requests) {
    const { status: actual, headers } = await server.send(method, path, options)
    t.equal(actual, status, what)
    t.equal(headers['x-content-type-options'], 'nosniff', what)
    t.ok(headers['cache-control'], what)
    t.equal(headers['strict-transport-security'], undefined, `${what}: not over plain HTTP`)
    t.equal(headers['x-powered-by'], undefined)
    t.equal(headers.server, undefined)
    if (status >= 400) t.match(headers, { 'cache-control': 'no-store', 'content-type': /^application\/problem\+json/ }, what)
  }
  t.match((await server.send('GET', '/uploads/a.html', { token })).headers['content-security-policy'], /sandbox/)
  const long = (bytes: number) => `GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: ${'x'.repeat(bytes)}\r\n\r\n`
  for (const text of ['no HTTP\r\n\r\n', Buffer.from('16030100c8010000c403034f', 'hex'), Buffer.alloc(100), 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', long(17_000)]) {
    const isLong = text.length > 1000
    t.match(await say(t, server, text), new RegExp(`^HTTP/1\\.1 ${isLong ? 431 : 400} [^]*cache-control: no-store[^]*x-content-type-options: nosniff[^]*"code":"${isLong ? 'head_too_large' : 'malformed_request'}"`, 'i'))
  }
  t.match(await say(t, server, long(15_000)), /^HTTP\/1\.1 200 /)
})

t.test('a request that two readers could read differently is 400, and nothing behind it is read', async t => {
  const server = await sharedServer()
  const { token } = await signUp(server)
  const head = `PUT /uploads/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n`
  const smuggled = `DELETE /uploads/kept HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`
  await server.send('PUT', '/uploads/kept', { token, body: 'kept' })
  const lengths = ['0\r\nContent-Length: 5', '0\r\nContent-Length: 0', '0, 0', '+0', '0x0', '18446744073709551616', 'x', '-1', '', '0\r\nX-Folded: a\r\n b', '5\r\nTransfer-Encoding: chunked']
  const codings = ['chunked, identity', 'identity', 'identity\r\nContent-Length: 0', 'xchunked', '"chunked"', '\r\n chunked', 'chunked\r\nContent-Length: 5']
  const chunks = ['0x1\r\nx\r\n', '+1\r\nx\r\n', '-1\r\nx\r\n', '10000000000000001\r\nx\r\n', '1\r\nxy\r\n', '1\r\nx', '1\nx\r\n', '1;a\nx\r\n']
  const fields = ['X-A: b\n', 'X-A: b\r', 'X-A: b\0c\r\n', 'X\0A: b\r\n', 'Content-Length : 0\r\n', 'nonsense\r\n', 'X Y: z\r\n']
  const forms = [
    ...lengths.map(length => `${head}Content-Length: ${length}\r\n\r\n`),
    ...codings.map(coding => `${head}Transfer-Encoding: ${coding}\r\n\r\n0\r\n\r\n`),
    ...chunks.map(chunk => `${head}Transfer-Encoding: chunked\r\n\r\n${chunk}0\r\n\r\n`),
    ...fields.map(field => `${head}${field}Content-Length: 0\r\n\r\n`),
    `${head}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
    ...[head.replace('Host', ' Host'), head.replace('1.1', '1.2'), head.replace('HTTP/1.1', 'HTTP/11')].map(other => `${other}Content-Length: 0\r\n\r\n`),
    `${head}Content-Length: 0\r\n\r\n`.replaceAll('\r\n', '\n')
  ]
  for (const text of forms) {
    t.same(statuses(await say(t, server, text + smuggled)), [400], JSON.stringify(text.slice(head.length - 2)))
  }
  for (const [what, hosts] of [['two hosts', 'Host: x\r\nHost: y\r\n'], ['no host', '']] as const) {
    const answer = await say(t, server, `PUT /uploads/a HTTP/1.1\r\n${hosts}Authorization: Bearer ${token}\r\nContent-Length: 0\r\n\r\n`)
    t.match(answer, /^HTTP\/1\.1 400 [^]*connection: close/i, what)
  }
  t.equal((await server.send('GET', '/uploads/kept', { token })).text, 'kept')
  const { json } = await server.send('GET', '/api/files', { token })
  t.same(json.files.map((file: { name: string }) => file.name), ['kept'])
})

t.test('no spelling of an address gets around a guard', async t => {
  const server = await sharedServer()
  const { token } = await signUp(server)
  const { token: other } = await signUp(server)
  await server.send('PUT', '/uploads/x', { token, body: 'the secret' })
  const paths = [
    '//uploads/x', '///uploads/x', '/uploads//x', '/./uploads/x', '/uploads/./x', '/api/../uploads/x', '/docs/../uploads/x', '/docs/..%2fuploads/x', '/docs/%2e%2e/uploads/x',
    '/uploads/%2e%2e/', '/uploads/%2e%2e/uploads/x', '/uploads/..%2fx', '/UPLOADS/x', '/Uploads/x', '/uploads/x/', '/uploads/x//', '/uploads/x;a=b', '/uploads;a=b/x', '/;/uploads/x',
    '/uploads%2fx', '/uploads%2Fx', '/%75ploads/x', '/uploads/%78', '/uploads\\x', '/uploads/x%00', '/uploads/x%20', '/uploads/x?a=/../', '/uploads/x%3fa', '/uploads/x#a', '/uploads/x%23',
    '/assets/../uploads/x', '/assets/..%2fuploads/x', '/assets/%2e%2e/%2e%2e/%2e%2e/package.json', '/service-worker.js/../uploads/x', '/docs/static/../../uploads/x', '/docs/static/..%2f..%2f..%2fpackage.json', '/docs/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/package.json', '/docs//uploads/x', 'http://x/uploads/x', 'http://evil.example/uploads/x', '/api/files/../files/x', '/api/files/x/', '/API/files', '/api//files'
  ]
  for (const path of paths) {
    for (const [who, credential] of [['nobody', ''], ['somebody else', `Authorization: Bearer ${other}\r\n`]] as const) {
      const answer = await say(t, server, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${credential}\r\n`)
      t.match(answer, /^HTTP\/1\.1 (?:400|401|404|405) /, `${path} for ${who}`)
      t.notMatch(answer, /the secret|"dependencies"/)
    }
  }
})

t.test('a server that all reach through one private address says once that a proxy may be missing from its settings', async t => {
  const folder = t.testdir()
  const warnings = async (name: string, headers: Record<string, string>, settings: Settings = {}, requests = 120) => {
    const server = await spawnServer(t, { DATA_DIR: join(folder, name), LOG_LEVEL: 'warn', ...settings }, { isCounted: true })
    const output = server.child.stdout!.setEncoding('utf8').toArray()
    for (let index = 0; index < requests; index++) await server.send('GET', '/nowhere', { headers })
    t.equal(await server.end('SIGTERM'), 0)
    return (await output).join('').split('\n').filter(line => line.includes('TRUST_PROXY')).length
  }
  const forwarded = { 'x-forwarded-for': '198.51.100.1' }
  t.strictSame(await Promise.all([
    warnings('forwarded', forwarded), warnings('few', forwarded, {}, 99), warnings('direct', {}),
    warnings('declared', forwarded, { TRUST_PROXY: '127.0.0.1' })
  ]), [1, 0, 0, 0])
})

t.test('a password hashed with older parameters is hashed anew when its owner next signs in', async t => {
  const server = await sharedServer()
  const { id, user, token } = await signUp(server)
  const metadata = await openMetadata(t, server)
  const hash = async () => (await metadata.accounts.find(id))?.passwordHash ?? ''
  for (const [method, path, json] of [
    ['GET', '/api/resource'], ['GET', '/api/token'], ['POST', '/api/tokens', { name: 'x', scopes: ['account'] }]
  ] as const) {
    const old = await argon2.hash(password, { type: argon2.argon2id, memoryCost: 8192, timeCost: 1, parallelism: 1 })
    await setPassword(metadata, id, old)
    t.equal((await signIn(server, user[0], 'wrong')).status, 401)
    t.equal(await hash(), old, 'a wrong password changes nothing')
    const answers = await Promise.all(Array.from({ length: 10 }, () => server.send(method, path, { user, json })))
    t.strictSame(answers.filter(({ status }) => status >= 300), [], 'nobody notices')
    const renewed = await hash()
    t.match(renewed, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    t.equal((await server.send('GET', '/api/token', { user })).status, 200, 'the password is the same')
    t.equal(await hash(), renewed, 'and not hashed anew each time')
  }
  t.equal((await server.send('GET', '/api/resource', { token })).status, 200, 'no token ends')
})
