import t, { type Test } from 'tap'
import { createTestClock } from './kit/clock.ts'
import { DAY, MINUTE } from './kit/durations.ts'
import { codeAt, createStepClock, STEP, turnOn, withCode } from './kit/one-time-codes.ts'
import { refused } from './kit/refusals.ts'
import { kindsOf, sharedServer, signUp, startServer, type Answer, type Client, type SendOptions } from './kit/server.ts'
import { runSql } from './kit/stores.ts'

const PATH = '/api/connections'
const wanted = { name: 'sync on laptop', scopes: ['files:read', 'files:write'] }

const request = (client: Client, json: object = wanted, options: SendOptions = {}) => client.send('POST', PATH, { ...options, json })
const find = (client: Client, userCode: string, options: SendOptions) => client.send('POST', `${PATH}/find`, { ...options, json: { userCode } })
const allow = (client: Client, id: string, options: SendOptions) => client.send('POST', `${PATH}/${id}/allow`, options)
const refuse = (client: Client, id: string, options: SendOptions) => client.send('DELETE', `${PATH}/${id}`, options)
const pickUp = (client: Client, { id, secret }: { id: string, secret: string }) => client.send('POST', `${PATH}/${id}/token`, { json: { secret } })

/** A connection that waits. */
async function connection (client: Client, json?: object): Promise<{ id: string, secret: string, userCode: string }> {
  const answer = await request(client, json)
  if (answer.status !== 201) throw new Error(`no connection: ${answer.text}`)
  return answer.json
}

/** Asserts that all answers are the same 404 but for the ids of their requests. */
function sameRefusals (t: Test, answers: Record<string, Answer>): void {
  const texts = Object.entries(answers).map(([what, answer]) => {
    refused(t, answer, 404, 'not_found', what)
    const { instance: _instance, ...problem } = answer.json
    return JSON.stringify(problem)
  })
  t.equal(new Set(texts).size, 1)
}

t.test('a program is connected by its code: one token of its name and scopes, for 90 days, and events for the owner', async t => {
  const clock = createTestClock(Date.now())
  const server = await startServer(t, {}, { clock })
  const { user } = await signUp(server, 'ada')
  const made = await request(server)
  t.match(made, { status: 201, headers: { 'cache-control': 'no-store' }, json: { interval: 3, verificationUrl: `${server.url}/#account`, expiresAt: new Date(clock.now() + 10 * MINUTE).toISOString() } })
  const { id, secret, userCode } = made.json
  t.match(userCode, /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/)
  t.strictSame([(await pickUp(server, { id, secret })).status, (await pickUp(server, { id, secret })).text], [202, ''])
  const found = await find(server, ` ${userCode.toLowerCase().replace('-', ' ')}`, { user })
  t.strictSame([found.status, found.json], [200, { id, ...wanted, network: '127.0.0.1', ownNetwork: '127.0.0.1', expiresAt: made.json.expiresAt }])
  t.equal((await allow(server, id, { user })).status, 204)
  refused(t, await find(server, userCode, { user }), 404, 'not_found', 'it can be allowed once')
  const picked = await pickUp(server, { id, secret })
  t.match(picked, { status: 200, headers: { 'cache-control': 'no-store' }, json: { token: /^mst_/, username: 'ada', url: `${server.url}/` } })
  const { token } = picked.json
  t.equal((await server.send('PUT', '/uploads/a', { token, body: 'a' })).status, 201)
  refused(t, await server.send('GET', '/api/links', { token }), 403, 'insufficient_scope', 'links')
  refused(t, await server.send('DELETE', '/api/tokens', { token }), 403, 'insufficient_scope', 'account')
  refused(t, await server.send('POST', '/api/tokens', { token, json: { name: 'x', scopes: ['account'] } }), 401, 'password_required')
  const { json: { tokens: [listed] } } = await server.send('GET', '/api/tokens', { user })
  t.match(listed, { kind: 'personal', ...wanted, factors: ['password'], expiresAt: new Date(clock.now() + 90 * DAY).toISOString() })
  t.match(await kindsOf(server, { user }), ['personal_token_created', 'connection_allowed'])
  clock.advance(90 * DAY)
  refused(t, await server.send('GET', '/api/resource', { token }), 401, 'token_expired')
})

t.test('a connection that is unknown, refused, used or expired, a wrong secret and another program are answered in one way', async t => {
  const clock = createTestClock(Date.now())
  const server = await startServer(t, {}, { clock })
  const [{ user }, { user: other }] = [await signUp(server, 'ada'), await signUp(server, 'bob')]
  const expired = await connection(server)
  const unused = await connection(server)
  t.equal((await allow(server, unused.id, { user })).status, 204)
  clock.advance(10 * MINUTE)
  const [used, refusedOne] = [await connection(server), await connection(server)]
  const [taken, open] = [await connection(server), await connection(server)]
  t.equal((await allow(server, used.id, { user })).status, 204)
  const race = await Promise.all([pickUp(server, used), pickUp(server, used), pickUp(server, used)])
  t.strictSame(race.map(({ status }) => status).sort(), [200, 404, 404], 'one of those that come at once')
  t.equal((await refuse(server, refusedOne.id, { user })).status, 204)
  t.equal((await allow(server, taken.id, { user: other })).status, 204)
  const unknown = { id: 'a'.repeat(22), secret: open.secret }
  sameRefusals(t, {
    used: await pickUp(server, used),
    refused: await pickUp(server, refusedOne),
    expired: await pickUp(server, expired),
    'allowed and expired': await pickUp(server, unused),
    unknown: await pickUp(server, unknown),
    'wrong secret': await pickUp(server, { id: taken.id, secret: open.secret }),
    'allow used': await allow(server, used.id, { user }),
    'allow refused': await allow(server, refusedOne.id, { user }),
    'allow expired': await allow(server, expired.id, { user }),
    'allow twice': await allow(server, taken.id, { user: other }),
    'allow of another': await allow(server, taken.id, { user }),
    'refuse of another': await refuse(server, taken.id, { user }),
    'refuse twice': await refuse(server, refusedOne.id, { user }),
    'refuse unknown': await refuse(server, unknown.id, { user }),
    'find refused': await find(server, refusedOne.userCode, { user }),
    'find nothing': await find(server, 'not a code', { user })
  })
  t.equal((await refuse(server, taken.id, { user: other })).status, 204, 'whoever allowed it can think again')
  refused(t, await pickUp(server, taken), 404, 'not_found')
  t.equal((await pickUp(server, open)).status, 202)
  await server.runHousekeeping()
  t.match(await kindsOf(server, { user }), ['connection_expired', 'connection_refused', 'personal_token_created'])
  t.notOk((await kindsOf(server, { user: other })).includes('connection_expired'))
  const { json: { events: [event] } } = await server.send('GET', '/api/account/events', { user })
  t.match(event, { network: '127.0.0.1', requestId: '-' })
})

t.test('only what creates a token allows a connection: the password, and the second factor where there is one', async t => {
  const clock = createStepClock()
  const server = await startServer(t, {}, { clock })
  const { user, token } = await signUp(server, 'ada')
  const { id, userCode, secret } = await connection(server)
  t.equal((await find(server, userCode, { token })).status, 200, 'a session sees what it is')
  refused(t, await allow(server, id, { token }), 401, 'password_required')
  const { json: { token: ofFiles } } = await server.send('POST', '/api/tokens', { user, json: wanted })
  for (const act of [find(server, userCode, { token: ofFiles }), refuse(server, id, { token: ofFiles })]) refused(t, await act, 403, 'insufficient_scope')
  refused(t, await allow(server, id, {}), 401, 'credentials_missing')
  refused(t, await allow(server, id, { user: ['ada', 'another'] }), 401, 'credentials_wrong')
  const { secret: totp } = await turnOn(server, user)
  for (const act of [find(server, userCode, { user }), allow(server, id, { user }), refuse(server, id, { user })]) refused(t, await act, 401, 'second_factor_required')
  t.equal((await pickUp(server, { id, secret })).status, 202)
  clock.advance(STEP)
  t.equal((await allow(server, id, withCode(user, codeAt(totp, clock.now())))).status, 204)
  t.equal((await pickUp(server, { id, secret })).status, 200)
  clock.advance(STEP)
  const { json: { tokens } } = await server.send('GET', '/api/tokens', withCode(user, codeAt(totp, clock.now())))
  t.match(tokens[0], { kind: 'personal', factors: ['password', 'totp'] })
})

t.test('permission ends with a new password, with all tokens and with the account', async t => {
  const server = await sharedServer()
  const allowed = async (user: [string, string]) => {
    const made = await connection(server)
    t.equal((await allow(server, made.id, { user })).status, 204)
    return made
  }
  const { user: [name, password], user } = await signUp(server)
  const first = await allowed(user)
  const changed: [string, string] = [name, `${password} 2`]
  t.equal((await server.send('PUT', '/api/account/password', { user, json: { password: changed[1] } })).status, 204)
  refused(t, await pickUp(server, first), 404, 'not_found', 'a new password')
  const second = await allowed(changed)
  t.equal((await server.send('DELETE', '/api/tokens', { user: changed })).status, 204)
  refused(t, await pickUp(server, second), 404, 'not_found', 'all tokens')
  const third = await allowed(changed)
  t.equal((await server.send('DELETE', '/api/account', { user: changed })).status, 204)
  refused(t, await pickUp(server, third), 404, 'not_found', 'the account')
})

t.test('ten wrong codes in a quarter of an hour are the last, also after a right one, and for no other account', async t => {
  const clock = createTestClock(Date.now())
  const server = await startServer(t, {}, { clock })
  const [{ user }, { user: other }] = [await signUp(server, 'ada'), await signUp(server, 'bob')]
  for (let wrong = 0; wrong < 9; wrong++) refused(t, await find(server, 'BBBB-BBBB', { user }), 404, 'not_found')
  const { userCode } = await connection(server)
  t.equal((await find(server, userCode, { user })).status, 200, 'a right code clears nothing')
  refused(t, await find(server, 'BBBB-BBBB', { user }), 404, 'not_found')
  const limited = await find(server, userCode, { user })
  t.match(limited, { status: 429, json: { code: 'too_many_connection_codes' }, headers: { 'retry-after': '900' } })
  t.equal((await find(server, userCode, { user: other })).status, 200)
  clock.advance(15 * MINUTE)
  refused(t, await find(server, 'BBBB-BBBB', { user }), 404, 'not_found')
})

t.test('a network has 20 open connections, and a neighbour in its block has its own', async t => {
  const server = await startServer(t, { TRUST_PROXY: '127.0.0.1', PASSWORD_POLICY: 'open' })
  const from = (address: string) => request(server, wanted, { headers: { 'x-forwarded-for': address } })
  const made = await Promise.all(Array.from({ length: 21 }, () => from('198.51.100.1')))
  t.strictSame(made.map(({ status }) => status).sort(), [...Array(20).fill(201), 429])
  t.match(made.find(({ status }) => status === 429), { json: { code: 'too_many_connections' }, headers: { 'retry-after': /^\d+$/ } })
  t.equal((await from('198.51.100.2')).status, 201)
  for (let index = 0; index < 20; index++) t.equal((await from(`2001:db8::${index}`)).status, 201)
  t.equal((await from('2001:db8::ffff')).status, 429, 'a /64 is one network')
  t.equal((await from('2001:db8:0:1::1')).status, 201)
})

t.test('a thousand connections are open in all: beyond, the block with most of them loses its newest', async t => {
  const server = await startServer(t, { TRUST_PROXY: '127.0.0.1', PASSWORD_POLICY: 'open' })
  const from = (address: string) => request(server, wanted, { headers: { 'x-forwarded-for': address } })
  const { json: { id, userCode } } = await from('198.51.100.1')
  await runSql(server.dataDir, `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 998)
    INSERT INTO connections (id, code_hash, secret_hash, name, scopes, network, block, expires_at)
    SELECT id || n, code_hash || n, secret_hash, name, scopes, network || n, block, expires_at FROM connections, numbers`)
  const newest = await from('198.51.100.2')
  t.equal(newest.status, 201, 'the thousandth')
  const other = await from('203.0.113.1')
  t.equal(other.status, 201)
  refused(t, await pickUp(server, newest.json), 404, 'not_found')
  refused(t, await from('198.51.100.3'), 429, 'too_many_connections')
  t.equal((await pickUp(server, other.json)).status, 202)
  const { user } = await signUp(server)
  t.match((await find(server, userCode, { user })).json, { id }, 'the oldest of that block stays')
})

t.test('no program asks for the account, for nothing, or under a name that is none', async t => {
  const server = await sharedServer()
  const bodies = [
    { scopes: ['account'] }, { scopes: ['files:read', 'account'] }, { scopes: [] }, { scopes: ['files:read', 'files:read'] }, { scopes: undefined }, { name: '' },
    { name: 'x'.repeat(101) }, { name: 'a\nb' }, { name: '\ud800' }, { expiresAt: null }
  ]
  for (const body of bodies) refused(t, await request(server, { ...wanted, ...body }), 400, 'validation_failed', JSON.stringify(body))
  refused(t, await pickUp(server, { id: 'short', secret: 'x'.repeat(43) }), 400, 'validation_failed')
  refused(t, await pickUp(server, { id: 'x'.repeat(22), secret: 'short' }), 400, 'validation_failed')
})

t.test('a program is answered over TLS only, unless the policy is open', async t => {
  const server = await sharedServer({ TRUST_PROXY: '127.0.0.1' })
  const headers = { 'x-forwarded-for': '198.51.100.1', 'x-forwarded-proto': 'http' }
  refused(t, await request(server, wanted, { headers }), 403, 'tls_required')
  refused(t, await server.send('POST', `${PATH}/${'x'.repeat(22)}/token`, { headers, json: { secret: 'x'.repeat(43) } }), 403, 'tls_required')
  const { json: { verificationUrl } } = await request(server, wanted, { headers: { ...headers, 'x-forwarded-proto': 'https', host: 'evil.example' } })
  t.equal(verificationUrl, '/#account', 'a forged host is in no address')
})
