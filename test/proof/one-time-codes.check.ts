import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { test, type Test } from 'tap'
import { createTestClock } from '../kit/clock.ts'
import { startPostgres } from '../kit/postgres.ts'
import { sharedServer, signUp, startServer, type Answer, type Client, type SendOptions } from '../kit/server.ts'
import { sendRaw } from '../kit/wire.ts'
import { base32Of, codeAt, createStepClock, newSecret, STEP, turnOn, withCode, wrongCodeAt } from '../kit/one-time-codes.ts'

// RFC 6238 over HTTP: which code is accepted when, how often, and in which form.

const MINUTE = 60_000

const unlimited = { RATE_LIMIT_PER_MINUTE: '0' }

/** Any operation that needs the password and changes nothing. */
const ask = (client: Client, options: SendOptions): Promise<Answer> => client.send('GET', '/api/account', options)

const WRONG = { status: 401, json: { code: 'second_factor_wrong' } }

/** Appendix B of RFC 6238 for SHA-1: the time in seconds, and the last six of its eight digits. */
const VECTORS = [
  [59, '287082'], [1_111_111_109, '081804'], [1_111_111_111, '050471'], [1_234_567_890, '005924'],
  [2_000_000_000, '279037'], [20_000_000_000, '353130']
] as const

const VECTOR_SECRET = Buffer.from('12345678901234567890')

/** Runs `act` while each request for 20 random bytes gets the secret of the vectors. */
async function withVectorSecret <T> (act: () => Promise<T>): Promise<T> {
  const { randomBytes } = crypto
  const chosen = (size: number, ...rest: []) =>
    size === VECTOR_SECRET.length ? Buffer.from(VECTOR_SECRET) : randomBytes(size, ...rest)
  Object.assign(crypto, { randomBytes: chosen })
  syncBuiltinESMExports()
  try {
    return await act()
  } finally {
    Object.assign(crypto, { randomBytes })
    syncBuiltinESMExports()
  }
}

/** The vectors at a server whose database has a clock that the test sets to a time in seconds. */
async function acceptsVectors (t: Test, server: Client, setClock: (seconds: number) => Promise<void>): Promise<void> {
  await setClock(VECTORS[0][0])
  const { user } = await signUp(server, 'ada')
  const secret = await withVectorSecret(() => newSecret(server, { user }))
  t.equal(secret, base32Of(VECTOR_SECRET), 'the secret of the vectors')
  for (const [seconds, code] of VECTORS) {
    await setClock(seconds)
    if (seconds === VECTORS[0][0]) {
      t.match(await server.send('PUT', '/api/second-factor/totp', { user, json: { code } }), { status: 200, json: { recoveryCodes: { length: 10 } } })
    } else t.equal((await ask(server, withCode(user, code))).status, 200, `${code} at ${seconds} s`)
    t.match(await ask(server, withCode(user, code)), WRONG, 'once')
    t.match(await ask(server, withCode(user, wrongCodeAt(secret, seconds * 1000))), WRONG, 'and no other')
  }
}

test('the vectors of RFC 6238 are accepted, on SQLite', async t => {
  const clock = createTestClock(VECTORS[0][0] * 1000)
  await acceptsVectors(t, await startServer(t, unlimited, { clock }), async seconds => clock.set(seconds * 1000))
})

test('the vectors of RFC 6238 are accepted by the clock of PostgreSQL, whatever that of the server says', async t => {
  const postgres = await startPostgres(t)
  const database = await postgres.newDatabase()
  // The database prefers this function to its own of the same name.
  const setClock = async (seconds: number) => {
    await postgres.run(database, `CREATE OR REPLACE FUNCTION public.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT to_timestamp(${seconds})'`)
  }
  await setClock(VECTORS[0][0])
  await postgres.run(database, `ALTER DATABASE ${new URL(database).pathname.slice(1)} SET search_path = public, pg_catalog`)
  const server = await startServer(t, { ...unlimited, DATABASE_URL: database, DATA_DIR: t.testdir() })
  await acceptsVectors(t, server, setClock)
})

const clock = createStepClock()

/** An account whose one-time codes are on. */
async function startWithCodes () {
  const server = await sharedServer({}, { clock })
  const { user, token } = await signUp(server)
  const { secret, recoveryCodes } = await turnOn(server, user)
  /** The code of a step before or after that of the clock. */
  const code = (steps = 0) => codeAt(secret, clock.now() + steps * STEP)
  return { server, user, token, secret, recoveryCodes, code }
}

test('a code is accepted one step early or late, and not two', async t => {
  const { server, user, code } = await startWithCodes()
  const status = async (steps: number) => (await ask(server, withCode(user, code(steps)))).status
  clock.advance(10 * STEP)
  for (const steps of [-2, 2, 3, -3, -10]) t.equal(await status(steps), 401, `${steps} steps`)
  t.equal(await status(-1), 200, 'an authenticator a step behind')
  t.equal(await status(1), 200, 'an authenticator a step ahead')
  for (const steps of [-1, 0, 1]) t.equal(await status(steps), 401, `${steps} steps: not later than the last one`)
  clock.advance(STEP)
  t.equal(await status(0), 401, 'the same code in the next step')
  t.equal(await status(1), 200)
})

test('a step begins and ends to the millisecond', async t => {
  const { server, user, secret } = await startWithCodes()
  const start = Math.floor(clock.now() / STEP) * STEP + 20 * STEP
  const tries: { at: number, status: number, why: string }[] = [
    { at: start - STEP - 1, status: 401, why: 'two steps early by a millisecond' },
    { at: start + 2 * STEP, status: 401, why: 'two steps late by a millisecond' },
    { at: start - STEP, status: 200, why: 'the first millisecond in which it is accepted' }
  ]
  for (const { at, status, why } of tries) {
    clock.set(at)
    t.equal((await ask(server, withCode(user, codeAt(secret, start)))).status, status, why)
  }
  clock.set(start + 10 * STEP - 1)
  t.equal((await ask(server, withCode(user, codeAt(secret, start + 8 * STEP)))).status, 200, 'the last one')
})

test('what is no code is refused, counts as no guess, and uses nothing', async t => {
  const { server, user, token, code } = await startWithCodes()
  clock.advance(STEP)
  const right = code()
  const fullWidth = Array.from(right, digit => String.fromCodePoint(0xff10 + Number(digit))).join('')
  const asBytes = (text: string) => Buffer.from(text).toString('latin1')
  const values: [what: string, value: string | string[]][] = [
    ['five digits', right.slice(1)], ['seven digits', `${right}0`], ['seven digits in front', `0${right}`],
    ['full-width digits', asBytes(fullWidth)], ['Arabic digits', asBytes('١٢٣٤٥٦')], ['signed', `+${right}`], ['hexadecimal', `0x${right}`],
    ['with a fraction', `${right}.0`], ['quoted', `"${right}"`], ['two codes in one line', `${right}, ${right}`],
    ['two header lines', [right, right]], ['two header lines, one wrong', [right, '000000']], ['two header lines, one empty', ['', right]],
    ['8 KiB', 'a'.repeat(8192)], ['8 KiB of digits', right.repeat(1365)], ['8 KiB of hyphens', '-'.repeat(8192)], ['hyphens in front of 8 KiB of spaces', `-${' '.repeat(8190)}-`],
    ['every byte above ASCII', Buffer.from(Array.from({ length: 128 }, (_, index) => 128 + index)).toString('latin1')]
  ]
  for (const [what, value] of values) t.match(await ask(server, withCode(user, value)), WRONG, what)
  for (const value of ['', ' ', '\t']) t.match(await ask(server, withCode(user, value)), { status: 401, json: { code: /^second_factor_(?:required|wrong)$/ } }, 'empty')
  const huge = await sendRaw(server.port, `GET /api/account HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Basic ${btoa(user.join(':'))}\r\nOne-Time-Code: ${'1'.repeat(100_000)}\r\n\r\n`)
  t.match(huge, /^HTTP\/1\.1 431 /)
  t.equal((await ask(server, withCode(user, right))).status, 200, 'the right one goes on')
  const { json: { events } } = await server.send('GET', '/api/account/events?limit=100', { token: (await server.send('GET', '/api/token', withCode(user, code(1)))).json.token })
  t.ok(events.filter(({ kind }: { kind: string }) => kind === 'second_factor_wrong').length > 0, 'an event')
  t.equal((await ask(server, { token })).status, 401, 'tokens from before have ended')
})

test('a body with no code, or no code of now, turns nothing on', async t => {
  const server = await sharedServer({}, { clock })
  const { user } = await signUp(server)
  const confirm = (code: unknown) => server.send('PUT', '/api/second-factor/totp', { user, json: { code } })
  t.match(await confirm('123456'), { status: 409, json: { code: 'factor_not_pending' } })
  const replaced = await newSecret(server, { user })
  const secret = await newSecret(server, { user })
  const right = codeAt(secret, clock.now())
  for (const code of [right.slice(1), `${right}0`, Number(right), '', ' ', `${right}\n`, '１２３４５６', null, [right]]) t.match(await confirm(code), { status: 400, json: { code: 'validation_failed' } }, JSON.stringify(code))
  const early = [-2, 2].map(steps => codeAt(secret, clock.now() + steps * STEP))
  const others = [...early, codeAt(replaced, clock.now()), wrongCodeAt(secret, clock.now())]
  for (const code of others) t.match(await confirm(code), WRONG)
  clock.advance(10 * MINUTE + 1)
  t.match(await confirm(codeAt(secret, clock.now())), { status: 409, json: { code: 'factor_not_pending' } }, 'after ten minutes')
  t.match((await server.send('GET', '/api/second-factor', { user })).json, { totp: null, passkeys: { length: 0 }, recoveryCodesLeft: 0 })

  const last = await newSecret(server, { user })
  clock.advance(10 * MINUTE - STEP)
  t.equal((await confirm(codeAt(last, clock.now()))).status, 200, 'within ten minutes')
})
