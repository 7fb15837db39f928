import { Authenticator } from '../kit/authenticator.ts'
import { test, type Test } from 'tap'
import { DAY, MINUTE } from '../kit/durations.ts'
import { sharedServer, signUp, type Answer, type SendOptions, type Settings } from '../kit/server.ts'
import { codeAt, createStepClock, STEP, turnOn, withCode, wrongCodeAt } from '../kit/one-time-codes.ts'

// How often a thief with the password may guess the code, and that this never locks the owner out.

const [HOME, WORK, THIEF] = ['198.51.100.1', '198.51.100.2', '203.0.113.1']

function from (address: string, options: SendOptions): SendOptions {
  return { ...options, headers: { ...options.headers, 'x-forwarded-for': address } }
}

const clock = createStepClock()

/** An account with one-time codes, that has signed in with them from HOME and from WORK. */
async function startBehindProxy (settings: Settings = {}) {
  const server = await sharedServer({ TRUST_PROXY: '127.0.0.1', PASSWORD_POLICY: 'open', ...settings }, { clock })
  const { user } = await signUp(server)
  const ask = (address: string, options: SendOptions): Promise<Answer> => server.send('GET', '/api/account', from(address, options))
  const { secret, recoveryCodes } = await turnOn(server, user, { headers: { 'x-forwarded-for': HOME } })
  for (const address of [HOME, WORK]) await ask(address, withCode(user, recoveryCodes.pop() ?? ''))
  const guess = (address: string) => ask(address, withCode(user, wrongCodeAt(secret, clock.now())))
  /** With the code of the next step. */
  const enter = (address: string) => {
    clock.advance(STEP)
    return ask(address, withCode(user, codeAt(secret, clock.now())))
  }
  return { server, user, secret, recoveryCodes, ask, guess, enter }
}

function isLimited (t: Test, answer: Answer, seconds: number, why: string): void {
  t.match(answer, { status: 429, json: { code: 'too_many_codes' } }, why)
  const retry = Number(answer.headers['retry-after'])
  t.ok(retry >= 1 && retry <= seconds, `again in ${retry} s`)
}

const isAccepted = (t: Test, answer: Answer, why: string) => t.equal(answer.status, 200, why)

test('after ten wrong codes from a network, no code is taken there for a while, and the owner gets in with a recovery code or elsewhere', async t => {
  const { user, recoveryCodes, ask, guess, enter } = await startBehindProxy()
  for (let count = 0; count < 10; count++) t.match(await guess(HOME), { status: 401, json: { code: 'second_factor_wrong' } })
  isLimited(t, await guess(HOME), 900, 'the eleventh')
  isLimited(t, await enter(HOME), 900, 'the right one too')
  isAccepted(t, await enter(WORK), 'another known network')
  isLimited(t, await enter(HOME), 900, 'which does not change that')
  t.match(await ask(HOME, { user: [user[0], 'wrong'] }), { status: 401, json: { code: 'credentials_wrong' } }, 'a wrong password is told as before')
  t.match(await ask(HOME, { user }), { status: 401, json: { code: 'second_factor_required' } })
  isAccepted(t, await ask(HOME, withCode(user, recoveryCodes[0] ?? '')), 'a recovery code')
  clock.advance(15 * MINUTE)
  isAccepted(t, await enter(HOME), 'fifteen minutes later')
})

test('a passkey goes on where codes are limited', async t => {
  const { server, user, recoveryCodes: [first = '', second = ''], ask, guess, enter } = await startBehindProxy()
  const passkey = new Authenticator(`http://localhost:${server.port}`)
  const post = async (path: string, options: SendOptions) => (await server.send('POST', path, from(HOME, options))).json
  const credential = passkey.create(await post('/api/passkeys/options', withCode(user, first)))
  await post('/api/passkeys', withCode(user, second, { json: { name: 'a key', credential } }))
  for (let count = 0; count < 10; count++) await guess(HOME)
  isLimited(t, await enter(HOME), 900, 'a code')
  const assertion = passkey.get(await post('/api/passkeys/confirm/options', { user }))
  const { code } = await post('/api/passkeys/confirm', { user, json: { credential: assertion } })
  isAccepted(t, await ask(HOME, withCode(user, code)), 'beside the password')
  const { token } = await post('/api/session/passkey', { json: { credential: passkey.get(await post('/api/session/passkey/options', {})) } })
  isAccepted(t, await ask(HOME, { token }), 'in its place')
})

test('a right code clears the wrong ones of its network', async t => {
  const { guess, enter } = await startBehindProxy()
  for (let round = 0; round < 3; round++) {
    for (let count = 0; count < 9; count++) t.equal((await guess(HOME)).status, 401)
    isAccepted(t, await enter(HOME), 'after nine')
  }
})

test('after twenty wrong codes from unknown networks, no such network may guess for a day, and known networks go on', async t => {
  const { user, recoveryCodes, ask, guess, enter } = await startBehindProxy()
  for (let index = 0; index < 20; index++) {
    t.equal((await guess(`203.0.113.${index + 10}`)).status, 401, `from network ${index + 1}`)
    clock.advance(MINUTE)
  }
  isLimited(t, await guess('203.0.113.200'), 86_400, 'the twenty-first')
  isLimited(t, await enter('203.0.113.201'), 86_400, 'the right one too')
  isAccepted(t, await enter(HOME), 'a known network')
  isAccepted(t, await enter(WORK), 'another one')
  isAccepted(t, await ask('203.0.113.202', withCode(user, recoveryCodes[0] ?? '')), 'a recovery code from an unknown network')
  isAccepted(t, await enter('203.0.113.202'), 'which is known from then on')
  clock.advance(12 * 60 * MINUTE)
  isLimited(t, await enter('203.0.113.203'), 86_400, 'half a day later')
  clock.advance(DAY / 2)
  isAccepted(t, await enter('203.0.113.204'), 'a day later')
})

test('after fifty wrong codes in a day from known networks, none of them may guess, and recovery codes go on', async t => {
  const { user, recoveryCodes, ask, guess, enter } = await startBehindProxy()
  for (let round = 0; round < 5; round++) {
    for (let count = 0; count < 10; count++) t.equal((await guess(HOME)).status, 401)
    clock.advance(15 * MINUTE)
  }
  for (const address of [HOME, WORK]) isLimited(t, await enter(address), 86_400, address)
  isAccepted(t, await ask(HOME, withCode(user, recoveryCodes[0] ?? '')), 'a recovery code')
  isAccepted(t, await enter('203.0.113.1'), 'a network that is not known')
  clock.advance(DAY)
  isAccepted(t, await enter(WORK), 'a day later')
})

test('a right password without a code is an event, from an unknown network only', async t => {
  const { server, user, recoveryCodes, ask } = await startBehindProxy()
  for (const address of [HOME, ...Array(12).fill(THIEF)]) t.equal((await ask(address, { user })).status, 401)
  await server.send('POST', '/api/passkeys/confirm/options', from('203.0.113.2', { user }))
  const { json: { events } } = await server.send('GET', '/api/account/events', from(HOME, withCode(user, recoveryCodes[0] ?? '')))
  const networks = events.filter(({ kind }: { kind: string }) => kind === 'second_factor_missing').map(({ network }: { network: string }) => network)
  t.strictSame(networks, Array(10).fill(THIEF), 'limited, as each kind that strangers can cause')
})

test('a password without a code, or with a wrong one, makes no network known and clears no failure', async t => {
  const { user, ask, guess, enter } = await startBehindProxy({ SIGN_IN_FAILURES: '3' })
  for (let count = 0; count < 40; count++) t.match(await ask(THIEF, { user }), { status: 401, json: { code: 'second_factor_required' } })
  for (let count = 0; count < 2; count++) t.equal((await ask(THIEF, { user: [user[0], `wrong ${count}`] })).status, 401)
  t.equal((await ask(THIEF, { user })).status, 401, 'the right password clears nothing')
  t.equal((await guess(THIEF)).status, 401)
  t.match(await ask(THIEF, { user: [user[0], 'wrong'] }), { status: 401, json: { code: 'credentials_wrong' } }, 'the third wrong password')
  t.match(await ask(THIEF, { user }), { status: 429, json: { code: 'too_many_sign_ins' } })
  for (let index = 0; index < 19; index++) await guess(`203.0.113.${index + 10}`)
  isLimited(t, await enter('203.0.113.200'), 86_400, 'all of these are unknown')
  isAccepted(t, await enter(HOME), 'the owner')
})

test('networks from before the first factor are not known after it', async t => {
  const { server, ask } = await startBehindProxy()
  const { user: other } = await signUp(server)
  isAccepted(t, await ask(THIEF, { user: other }), 'a thief with the password')
  const { secret } = await turnOn(server, other, { headers: { 'x-forwarded-for': HOME } })
  const guess = (address: string) => ask(address, withCode(other, wrongCodeAt(secret, clock.now())))
  for (let index = 0; index < 20; index++) t.equal((await guess(`203.0.113.${index + 10}`)).status, 401)
  isLimited(t, await guess(THIEF), 86_400, 'from the network that the thief has used')
})

test('who knows no password learns nothing of factors', async t => {
  const { server, user, recoveryCodes, ask, enter } = await startBehindProxy({ SIGN_IN_FAILURES: '100' })
  const { user: ben } = await signUp(server)
  const codes = ['123456', recoveryCodes[0] ?? '', '', 'nonsense']
  for (const name of [user[0], ben[0], 'nobody']) {
    for (const code of codes) t.match(await ask(THIEF, withCode([name, 'wrong'], code)), { status: 401, json: { code: 'credentials_wrong' } }, `${name} ${code}`)
  }
  for (let count = 0; count < 12; count++) await ask(HOME, withCode([user[0], 'wrong'], '123456'))
  isAccepted(t, await enter(HOME), 'no guess was counted')
  isAccepted(t, await ask(WORK, withCode(ben, '123456')), 'an account without a factor ignores the header')
})

test('the limits are the same on every operation', async t => {
  const { server, user, secret, ask } = await startBehindProxy()
  for (let count = 0; count < 10; count++) t.equal((await server.send('DELETE', '/api/second-factor/totp', from(THIEF, withCode(user, wrongCodeAt(secret, clock.now()))))).status, 401)
  for (const [method, path] of [['POST', '/api/second-factor/totp'], ['PUT', '/api/account/password'], ['GET', '/api/token'], ['POST', '/api/session'], ['PUT', '/uploads/a']] as const) {
    isLimited(t, await server.send(method, path, from(THIEF, withCode(user, codeAt(secret, clock.now() + STEP)))), 900, `${method} ${path}`)
  }
  isAccepted(t, await ask(HOME, withCode(user, codeAt(secret, clock.now() + STEP))), 'the owner')
})
