import { test, type Test } from 'tap'
import type { TestClock } from '../kit/clock.ts'
import { claimSecret } from '../kit/commands.ts'
import { DAY } from '../kit/durations.ts'
import { countHashes } from '../kit/hashes.ts'
import { comparable, PASSWORD, signUp, startServer, type Answer, type Client, type SendOptions, type Settings } from '../kit/server.ts'
import { codeAt, createStepClock, newSecret, outcomesOf, STEP, turnOn, withCode, wrongCodeAt, type User } from '../kit/one-time-codes.ts'

// Invitations and resets: used once, within a day, and silent about why one is refused.

const unlimited = { RATE_LIMIT_PER_MINUTE: '0', REGISTRATION: 'closed' }

const claim = (client: Client, json: object, options: SendOptions = {}): Promise<Answer> => client.send('POST', '/api/account/claim', { ...options, json })

async function start (t: Test, settings: Settings = {}, clock?: TestClock) {
  const dataDir = t.testdir()
  const server = await startServer(t, { DATA_DIR: dataDir, ...unlimited, ...settings }, { clock })
  const make = (...args: string[]) => claimSecret(args, { DATA_DIR: dataDir })
  /** An account that an invitation made. */
  async function add (username: string): Promise<User> {
    const { status } = await claim(server, { secret: await make('invite', username), password: PASSWORD })
    if (status !== 201) throw new Error(`no account: ${status}`)
    return [username, PASSWORD]
  }
  return { server, make, add }
}

const statusOf = async (client: Client, user: User) => (await client.send('GET', '/api/account', { user })).status

test('a claim that is unknown, used, expired, replaced or of no form gets the same answer, byte for byte', async t => {
  const clock = createStepClock()
  const { server, make, add } = await start(t, {}, clock)
  const user = await add('ada')
  const bodies = { username: 'guest', password: PASSWORD }
  const used = await make('invite', 'guest')
  t.equal((await claim(server, { secret: used, password: PASSWORD })).status, 201)
  const usedReset = await make('reset', 'guest')
  t.equal((await claim(server, { secret: usedReset, password: PASSWORD })).status, 204)
  const [expired, expiredReset] = [await make('invite'), await make('reset', 'guest')]
  const replaced = await make('reset', 'ada')
  const changed = await make('reset', 'ada')
  t.equal((await server.send('PUT', '/api/account/password', { user, json: { password: `${PASSWORD} 2` } })).status, 204)
  clock.advance(DAY + 600_000)
  const gone: Record<string, string> = {
    used,
    usedReset,
    expired,
    expiredReset,
    replaced,
    changed,
    unknown: `inv_${'a'.repeat(32)}`,
    'an unknown reset': `rst_${'a'.repeat(32)}`,
    'another kind': used.replace('inv', 'rst'),
    'upper case': used.toUpperCase(),
    'no secret': 'inv_',
    short: 'x'
  }
  const expected = await claim(server, { secret: used, ...bodies })
  t.match(expected, { status: 404, json: { code: 'not_found' } })
  for (const [what, secret] of Object.entries(gone)) {
    t.strictSame(comparable(await claim(server, { secret, ...bodies })), comparable(expected), what)
    // The secret is judged before a password that would be refused.
    t.strictSame(comparable(await claim(server, { secret, ...bodies, password: 'guest' })), comparable(expected), what)
  }
})

test('a claim can be used for a day', async t => {
  const clock = createStepClock()
  const { server, make } = await start(t, {}, clock)
  const secret = await make('invite')
  clock.advance(DAY - 600_000)
  t.match(await claim(server, { secret, username: 'guest', password: PASSWORD }), { status: 201, json: { username: 'guest' } })
})

test('a wrong secret costs no hash', async t => {
  const { server, make } = await start(t)
  const hashed = countHashes(t)
  t.equal((await claim(server, { secret: await make('invite', 'guest'), password: PASSWORD })).status, 201)
  t.equal(hashed(), 1)
  t.equal((await claim(server, { secret: `rst_${'a'.repeat(32)}`, username: 'guest', password: PASSWORD })).status, 404)
  t.equal(hashed(), 0)
})

test('a reset of an account with a factor needs the factor, and ends with a change of it', async t => {
  const clock = createStepClock()
  const { server, make, add } = await start(t, {}, clock)
  const user = await add('ada')
  const { secret: authenticator, recoveryCodes } = await turnOn(server, user)
  const code = () => codeAt(authenticator, clock.now())
  const secret = await make('reset', 'ada')
  const next: User = ['ada', 'another horse battery']
  const reset = (headers: Record<string, string> = {}, password = next[1]) =>
    claim(server, { secret, username: 'ADA', password }, { headers })
  t.match(await reset(), { status: 401, headers: { 'www-authenticate': 'Basic realm="MagicStore", charset="UTF-8"' }, json: { code: 'second_factor_required' } })
  t.equal((await reset({ 'sec-fetch-dest': 'empty' })).headers['www-authenticate'], 'Bearer realm="MagicStore"', 'a page opens no dialog')
  t.match(await reset({ 'one-time-code': recoveryCodes[0] ?? '' }, ''), { status: 400, json: { code: 'validation_failed' } }, 'no code is used up')
  for (let count = 0; count < 10; count++) t.match(await reset({ 'one-time-code': wrongCodeAt(authenticator, clock.now()) }), { status: 401, json: { code: 'second_factor_wrong' } })
  clock.advance(STEP)
  t.match(await reset({ 'one-time-code': code() }), { status: 429, json: { code: 'too_many_codes' } })
  t.equal((await reset({ 'one-time-code': recoveryCodes[0] ?? '' })).status, 204, 'a recovery code')
  t.match(await server.send('GET', '/api/account', { user: next }), { status: 401, json: { code: 'second_factor_required' } }, 'the factor stays')

  const ended = await make('reset', 'ada')
  const changed = await newSecret(server, withCode(next, recoveryCodes[1] ?? ''))
  const confirmation = { json: { code: codeAt(changed, clock.now()) } }
  t.equal((await server.send('PUT', '/api/second-factor/totp', withCode(next, recoveryCodes[2] ?? '', confirmation))).status, 200)
  t.equal((await claim(server, { secret: ended, password: PASSWORD }, { headers: { 'one-time-code': recoveryCodes[3] ?? '' } })).status, 404)
  const open = await make('reset', 'ada', '--without-factor')
  t.equal((await claim(server, { secret: open, password: PASSWORD })).status, 204)
  t.equal(await statusOf(server, user), 200, 'without a factor')
  t.strictSame((await server.send('GET', '/api/second-factor', { user })).json, { totp: null, passkeys: [], recoveryCodesLeft: 0 })
  const { json: { events } } = await server.send('GET', '/api/account/events?limit=100', { user })
  const count = (kind: string) => events.filter((event: { kind: string }) => event.kind === kind).length
  t.strictSame(['password_reset', 'factor_removed', 'second_factor_wrong'].map(count), [2, 1, 10])
})

test('a claim whose name is taken meanwhile is not used up', async t => {
  const { server, make } = await start(t, { REGISTRATION: 'open' })
  const [one, other] = [await make('invite'), await make('invite')]
  const answers = await Promise.all([one, other].map(secret => claim(server, { secret, username: 'guest', password: PASSWORD })))
  t.strictSame(outcomesOf(answers), { 201: 1, '400 username_taken': 1 })
  const left = answers[0]?.status === 201 ? other : one
  t.equal((await claim(server, { secret: left, username: 'guest-2', password: PASSWORD })).status, 201, 'the other one is not used up')
  await signUp(server, 'ben')
  t.match(await claim(server, { secret: await make('invite'), username: 'ben', password: PASSWORD }), { status: 400, json: { code: 'username_taken' } })
})
