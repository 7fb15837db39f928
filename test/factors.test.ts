import t from 'tap'
import { personalToken } from './kit/drive.ts'
import { codeAt, createStepClock, newSecret, STEP, turnOn, withCode, wrongCodeAt } from './kit/one-time-codes.ts'
import { refused } from './kit/refusals.ts'
import { issueToken, kindsOf, signUp, startServer, type Client, type SendOptions } from './kit/server.ts'
import { runSql, skipWithoutSqlite } from './kit/stores.ts'

const TOTP = '/api/second-factor/totp'
const RECOVERY_CODES = '/api/second-factor/recovery-codes'

const resource = (client: Client, options: SendOptions) => client.send('GET', '/api/resource', options)
const listOf = async (client: Client, token: string) => (await client.send('GET', '/api/second-factor', { token })).json
const confirm = (client: Client, options: SendOptions, code: string, fields: object = {}) => client.send('PUT', TOTP, { ...options, json: { code, ...fields } })

interface Begun { id: number, token: string, headers: Record<string, string> }

async function beginSession (client: Client, options: SendOptions): Promise<Begun> {
  const { headers, json } = await client.send('POST', '/api/session', options)
  const [cookie = ''] = String(headers['set-cookie']).split(';')
  return { id: json.sessionId, token: json.token, headers: { cookie, 'session-key': json.key } }
}

/** A user with one-time codes, and a personal token. */
async function signUpWithCodes (client: Client, name = 'ada') {
  const { user } = await signUp(client, name)
  const personal = await personalToken(client, user, ['account'])
  return { user, personal, ...await turnOn(client, user) }
}

t.test('one-time codes are turned on with a secret and a code of it, and ten recovery codes are answered once', async t => {
  const clock = createStepClock()
  const server = await startServer(t, {}, { clock })
  const { user } = await signUp(server, 'Zoë b')
  const personal = await personalToken(server, user, ['account'])
  t.strictSame(await listOf(server, personal), { totp: null, passkeys: [], recoveryCodesLeft: 0 })
  refused(t, await confirm(server, { user }, '123456'), 409, 'factor_not_pending')

  const first = await server.send('POST', TOTP, { user })
  t.equal(first.status, 200)
  t.match(first.json.secret, /^[A-Z2-7]{32}$/)
  const created = await server.send('POST', TOTP, { user })
  const { secret, uri } = created.json
  t.not(secret, first.json.secret)
  t.equal(uri, `otpauth://totp/MagicStore:Zo%C3%AB%20b?issuer=MagicStore&secret=${secret}&algorithm=SHA1&digits=6&period=30`)
  const wrong = await confirm(server, { user }, wrongCodeAt(secret, clock.now()))
  refused(t, wrong, 401, 'second_factor_wrong')
  t.match(wrong.json.errors, [{ field: 'code' }])
  t.equal((await resource(server, { user })).status, 200, 'nothing is on yet')

  const confirmed = await confirm(server, { user }, codeAt(secret, clock.now()))
  t.equal(confirmed.status, 200)
  const { recoveryCodes } = confirmed.json
  t.equal(new Set(recoveryCodes).size, 10)
  for (const code of recoveryCodes) t.match(code, /^[a-z2-7]{4}(?:-[a-z2-7]{4}){5}$/)
  const { totp, ...rest } = await listOf(server, personal)
  t.match(totp, { createdAt: /Z$/ })
  t.strictSame(rest, { passkeys: [], recoveryCodesLeft: 10 })
  refused(t, await confirm(server, withCode(user, recoveryCodes[0]), codeAt(secret, clock.now())), 409, 'factor_not_pending')
  const kinds = await kindsOf(server, { token: personal })
  for (const kind of ['recovery_code_used', 'factor_added']) t.ok(kinds.includes(kind), kind)
})

t.test('with a factor on, the password needs a code, which works once', { skip: skipWithoutSqlite }, async t => {
  const clock = createStepClock()
  const server = await startServer(t, {}, { clock })
  const { user, secret, personal } = await signUpWithCodes(server)
  const other = await signUpWithCodes(server, 'bob')
  const code = (steps: number) => codeAt(secret, clock.now() + steps * STEP)

  const bare = await resource(server, { user })
  refused(t, bare, 401, 'second_factor_required')
  t.strictSame(bare.json.factors, ['totp', 'recovery_code'])
  t.strictSame(bare.headers['www-authenticate'], 'Bearer realm="MagicStore", Token realm="MagicStore", Basic realm="MagicStore", charset="UTF-8"')
  refused(t, await server.send('POST', '/api/tokens', { user, json: { name: 'a', scopes: ['account'] } }), 401, 'second_factor_required')
  refused(t, await resource(server, withCode(['ada', 'wrong'], code(1))), 401, 'credentials_wrong', 'a wrong password comes first')
  for (const [text, what] of [
    [code(0), 'the code that turned them on'], [codeAt(other.secret, clock.now() + STEP), 'of another account'],
    [other.recoveryCodes[0] ?? '', 'a recovery code of another account'], ...Array.from({ length: 7 }, () => ['x', 'no code'] as const)
  ] as const) refused(t, await resource(server, withCode(user, text)), 401, 'second_factor_wrong', what)
  t.equal((await resource(server, withCode(user, code(1)))).status, 200)
  refused(t, await resource(server, withCode(user, code(1))), 401, 'second_factor_wrong', 'a second time')
  t.equal((await resource(server, { token: personal })).status, 200, 'a personal token needs none')
  const { user: without } = await signUp(server, 'carl')
  t.equal((await resource(server, withCode(without, '000000'))).status, 200, 'an account without factors ignores it')
  t.equal((await kindsOf(server, { token: personal })).filter(kind => kind === 'second_factor_wrong').length, 10, 'no more are stored, so that they push out no others')
})

t.test('a recovery code works once, in any case, with or without its hyphens', async t => {
  const server = await startServer(t)
  const { user, recoveryCodes: [a = '', b = '', c = '', d = ''], personal } = await signUpWithCodes(server)
  for (const code of [a, b.toUpperCase(), c.replaceAll('-', ''), ` ${d.replaceAll('-', ' ')}`]) {
    t.equal((await resource(server, withCode(user, code))).status, 200, code)
    refused(t, await resource(server, withCode(user, code)), 401, 'second_factor_wrong', `${code} again`)
  }
  t.equal((await listOf(server, personal)).recoveryCodesLeft, 6)
  t.equal((await kindsOf(server, { token: personal })).filter(kind => kind === 'recovery_code_used').length, 4)
})

t.test('the first factor ends sessions and access tokens, but not personal tokens, theirs, and the session in use', async t => {
  const server = await startServer(t)
  for (const name of ['ada', 'bob']) {
    const { user, token } = await signUp(server, name)
    const personal = await personalToken(server, user, ['account'])
    const ofPersonal = await issueToken(server, { token: personal })
    const [mine, other] = [await beginSession(server, { user }), await beginSession(server, { user })]
    // A page whose requests have no cookie names its session.
    await turnOn(server, user, name === 'ada' ? { headers: mine.headers } : { sessionId: mine.id })
    const kept = [personal, ofPersonal, mine.token]
    for (const each of kept) t.equal((await resource(server, { token: each })).status, 200)
    for (const ended of [token, other.token]) t.equal((await resource(server, { token: ended })).status, 401)
    t.equal((await server.send('GET', '/api/session', { headers: mine.headers })).status, 200)
    t.equal((await server.send('GET', '/api/session', { headers: other.headers })).status, 204)
  }
})

t.test('a new secret replaces the old one, and the recovery codes and sessions stay', async t => {
  const server = await startServer(t)
  const { user, secret, recoveryCodes: [a = '', b = '', c = '', d = ''], personal } = await signUpWithCodes(server)
  const session = await beginSession(server, withCode(user, a))
  refused(t, await server.send('POST', TOTP, { user }), 401, 'second_factor_required')
  const replacement = await newSecret(server, withCode(user, b))
  refused(t, await confirm(server, { user }, codeAt(replacement, Date.now())), 401, 'second_factor_required')
  const answer = await confirm(server, withCode(user, c), codeAt(replacement, Date.now()))
  t.strictSame([answer.status, answer.json], [200, { recoveryCodes: null }])
  t.equal((await resource(server, { token: session.token })).status, 200)
  refused(t, await resource(server, withCode(user, codeAt(secret, Date.now() + STEP))), 401, 'second_factor_wrong', 'of the old secret')
  t.equal((await resource(server, withCode(user, codeAt(replacement, Date.now() + STEP)))).status, 200)
  t.equal((await resource(server, withCode(user, d))).status, 200)
  t.equal((await listOf(server, personal)).recoveryCodesLeft, 6)
})

t.test('new recovery codes end the old ones, and with the last factor they go', async t => {
  const server = await startServer(t)
  const { user } = await signUp(server, 'ada')
  const personal = await personalToken(server, user, ['account'])
  refused(t, await server.send('POST', RECOVERY_CODES, { user }), 409, 'second_factor_missing')
  refused(t, await server.send('DELETE', TOTP, { user }), 404, 'not_found')
  const { recoveryCodes: [a = '', b = ''] } = await turnOn(server, user)
  refused(t, await server.send('POST', RECOVERY_CODES, { user }), 401, 'second_factor_required')
  const replaced = await server.send('POST', RECOVERY_CODES, withCode(user, a))
  t.equal(replaced.status, 200)
  const { recoveryCodes: [c = '', d = ''] } = replaced.json
  t.equal(new Set(replaced.json.recoveryCodes).size, 10)
  refused(t, await resource(server, withCode(user, b)), 401, 'second_factor_wrong', 'an old one')
  refused(t, await server.send('DELETE', TOTP, { user }), 401, 'second_factor_required')
  t.equal((await server.send('DELETE', TOTP, withCode(user, c))).status, 204)
  t.equal((await resource(server, { user })).status, 200, 'the password is enough again')
  t.strictSame(await listOf(server, personal), { totp: null, passkeys: [], recoveryCodesLeft: 0 })
  const again = await turnOn(server, user)
  refused(t, await resource(server, withCode(user, d)), 401, 'second_factor_wrong', 'of the earlier factor')
  t.equal((await resource(server, withCode(user, again.recoveryCodes[0] ?? ''))).status, 200)
  const kinds = await kindsOf(server, { token: personal })
  for (const kind of ['recovery_codes_replaced', 'factor_added', 'factor_removed']) t.ok(kinds.includes(kind), kind)
})

t.test('a session that ends before its first access token is one of a wrong password', { skip: skipWithoutSqlite }, async t => {
  const server = await startServer(t)
  const { user } = await signUp(server, 'ada')
  await runSql(server.dataDir, "CREATE TRIGGER ended AFTER INSERT ON tokens WHEN NEW.kind = 'session' BEGIN DELETE FROM tokens WHERE id = NEW.id; END")
  const answer = await server.send('POST', '/api/session', { user })
  refused(t, answer, 401, 'credentials_wrong')
  t.equal(answer.headers['set-cookie'], undefined)
})

t.test('a body where none is wanted is ignored', async t => {
  const server = await startServer(t)
  const { user } = await signUp(server, 'ada')
  const body = { headers: { 'content-type': 'application/octet-stream' }, body: 'x' }
  for (const [path, options] of [
    [TOTP, { user }], ['/api/passkeys/options', { user }], ['/api/passkeys/confirm/options', { user }], ['/api/session/passkey/options', {}]
  ] as const) t.equal((await server.send('POST', path, { ...options, ...body })).status, 200, path)
  refused(t, await server.send('POST', RECOVERY_CODES, { user, ...body }), 409, 'second_factor_missing')
})

t.test('where a second factor is required, a password sets one up and does nothing else', async t => {
  const dataDir = t.testdir()
  const before = await startServer(t, { DATA_DIR: dataDir })
  const { user, token } = await signUp(before, 'ada')
  const personal = await personalToken(before, user, ['account'])
  const session = await beginSession(before, { user })
  await before.close()

  const server = await startServer(t, { DATA_DIR: dataDir, SECOND_FACTOR: 'required' })
  refused(t, await resource(server, { user }), 403, 'second_factor_setup_required')
  for (const issued of [token, personal]) t.equal((await resource(server, { token: issued })).status, 200, 'tokens go on')
  t.equal((await server.send('GET', '/api/session', { headers: session.headers })).status, 200, 'and sessions')
  const { recoveryCodes: [a = ''] } = await turnOn(server, user)
  refused(t, await resource(server, { user }), 401, 'second_factor_required')
  t.equal((await resource(server, withCode(user, a))).status, 200)
})

t.test('tokens and sessions tell what was shown for them, and sessions also browser and system', async t => {
  const server = await startServer(t)
  const { user, personal, secret, recoveryCodes: [a = '', b = '', c = ''] } = await signUpWithCodes(server)
  const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'
  const session = await beginSession(server, { user, headers: { 'one-time-code': codeAt(secret, Date.now() + STEP), 'user-agent': firefox } })
  await server.send('GET', '/api/session', { headers: session.headers })
  await issueToken(server, withCode(user, a))
  for (const [code, agent] of [[b, 'nobody knows/1.0 (this) program'], [c, '']] as const) await beginSession(server, { user, headers: { 'one-time-code': code, 'user-agent': agent } })
  await issueToken(server, { token: personal })
  const { json: { tokens } } = await server.send('GET', '/api/tokens', { token: personal })
  const nobody = { browser: null, system: null }
  const seen = tokens.map(({ kind, factors, browser, system }: Record<string, unknown>) =>
    ({ kind, factors, browser, system }))
  t.strictSame(seen, [
    { kind: 'access', factors: ['password'], ...nobody },
    ...[1, 2].flatMap(() => [
      { kind: 'access', factors: ['password', 'recovery_code'], ...nobody },
      { kind: 'session', factors: ['password', 'recovery_code'], ...nobody }
    ]),
    { kind: 'access', factors: ['password', 'recovery_code'], ...nobody },
    { kind: 'access', factors: ['password', 'totp'], ...nobody },
    { kind: 'access', factors: ['password', 'totp'], ...nobody },
    { kind: 'session', factors: ['password', 'totp'], browser: 'Firefox', system: 'Linux' },
    { kind: 'personal', factors: ['password'], ...nobody }
  ])
})

t.test('while a secret can\'t be opened, its codes are not judged, and recovery codes work', async t => {
  const server = await startServer(t)
  const { user, secret, recoveryCodes: [a = ''] } = await signUpWithCodes(server)
  await runSql(server.dataDir, "UPDATE totp_secrets SET secret = 'gone.' || secret")
  for (let count = 0; count < 11; count++) refused(t, await resource(server, withCode(user, codeAt(secret, Date.now() + STEP))), 503, 'unavailable')
  t.equal((await resource(server, withCode(user, a))).status, 200)
})
