import { once } from 'node:events'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { personalToken } from './kit/drive.ts'
import { DAY, HOUR } from './kit/durations.ts'
import { isGuarded, operationsOf } from './kit/guarded.ts'
import { issueToken, kindsOf, runBin, sharedServer, signUp, startServer, startTls, type Answer, type Client, type RunningServer, type SendOptions } from './kit/server.ts'
import { refuseUpdates, runSql, skipWithoutSqlite, textOfDatabase } from './kit/stores.ts'
import { until } from './kit/waiting.ts'

type User = [string, string]

/** The cookie that a response sets: the pair that a request sends, its secret, and its attributes. */
function cookieOf ({ headers }: Pick<Answer, 'headers'>): { pair: string, secret: string, attributes: string[] } {
  const [line = '', ...more] = headers['set-cookie'] ?? []
  if (more.length > 0) throw new Error('a response sets two cookies')
  const [pair = '', ...attributes] = line.split('; ')
  return { pair, secret: pair.slice(pair.indexOf('=') + 1), attributes: attributes.sort() }
}

/** What a browser sends with a session, and its first access token. */
interface Begun { cookie: string, key: string, token: string }

async function beginSession (client: Client, user: User, headers: Record<string, string> = {}): Promise<Begun> {
  const answer = await client.send('POST', '/api/session', { user, headers })
  if (answer.status !== 201) throw new Error(`no session: ${answer.status} ${answer.text}`)
  return { cookie: cookieOf(answer).pair, key: answer.json.key, token: answer.json.token }
}

type Secrets = Pick<Begun, 'cookie' | 'key'>

const headersOf = ({ cookie, key }: Secrets) => ({ cookie, 'session-key': key })
const getSession = (client: Client, secrets: Secrets, headers: Record<string, string> = {}) => client.send('GET', '/api/session', { headers: { ...headersOf(secrets), ...headers } })
const statusOf = async (client: Client, options: SendOptions) => (await client.send('GET', '/api/resource', options)).status
const tokensOf = async (client: Client, user: User) => (await client.send('GET', '/api/tokens', { user })).json.tokens as { id: number, kind: string, createdAt: string, expiresAt: string, lastUsedAt: string | null }[]

/**
 * Asserts that a session has ended: it gets no access token. The cookie stays, because a late response could delete
 * that of a newer session.
 */
async function isOver (t: Test, client: Client, session: Begun, message: string): Promise<void> {
  t.match(await getSession(client, session), { status: 204, text: '', headers: { 'set-cookie': undefined } }, message)
  t.equal(await statusOf(client, { token: session.token }), 401, `${message}: its access token has ended too`)
}

t.test('a password begins a session, whose cookie gives a new access token after every reload, for the same account', async t => {
  // Reading the files of the database ends its locks: no server that is shared.
  const server = await startServer(t)
  const { user } = await signUp(server, 'Zoë')
  const begun = await server.send('POST', '/api/session', { user })
  t.equal(begun.status, 201)
  t.strictSame(Object.keys(begun.json).sort(), ['duration', 'hasPassword', 'key', 'sessionId', 'token', 'username'])
  t.match(begun.json, { duration: 600, username: 'Zoë' })
  const { json: { tokens } } = await server.send('GET', '/api/tokens', { token: begun.json.token })
  t.strictSame(tokens.filter(({ kind }: { kind: string }) => kind === 'session').map(({ id }: { id: number }) => id), [begun.json.sessionId])
  const { pair, secret, attributes } = cookieOf(begun)
  const { key } = begun.json
  for (const text of [secret, key]) t.match(text, /^[\w-]{43}$/)
  t.not(key, secret)
  t.equal(pair, `magicstore_session=${secret}`)
  t.strictSame(attributes, ['HttpOnly', `Max-Age=${30 * 24 * 3600}`, 'Path=/api/session', 'SameSite=Strict'])
  const given = [begun.json.token]
  for (const cookie of [pair, `other=1; ${pair}`, `${pair}; other=1`]) {
    const renewed = await getSession(server, { cookie, key })
    t.match(renewed, { status: 200, json: { duration: 600, username: 'Zoë', hasPassword: true, sessionId: begun.json.sessionId } })
    t.equal(renewed.headers['set-cookie'], undefined, 'the cookie stays as it is')
    t.equal(renewed.json.key, undefined, 'the key is returned once')
    given.push(renewed.json.token)
  }
  t.equal(new Set(given).size, 4)
  for (const token of given) t.strictSame((await server.send('GET', '/api/resource', { token })).json, { data: 'Hello, Zoë!' })
  t.equal((await server.send('HEAD', '/api/session', { headers: headersOf({ cookie: pair, key }) })).status, 200)
  const database = await textOfDatabase(server.dataDir)
  for (const text of [secret, key]) t.notOk(database.includes(text), 'the secrets are not stored')
})

t.test('without a valid session the response is 204', async t => {
  const server = await sharedServer()
  const { user, token } = await signUp(server)
  const personal = await personalToken(server, user, ['account'])
  const { cookie, key } = await beginSession(server, user)
  const bare = await server.send('GET', '/api/session')
  t.equal(bare.status, 204)
  t.equal(bare.headers['set-cookie'], undefined, 'there is nothing to forget')
  for (const method of ['GET', 'HEAD']) t.equal((await server.send(method, '/api/session')).headers['content-length'], undefined, 'RFC 9110 section 8.6')
  t.equal((await server.send('DELETE', '/api/session')).status, 204)
  const others = ['', 'x', 'A'.repeat(43), 'A'.repeat(44), `${cookie.slice('magicstore_session='.length)}A`, token, personal, '%00', '"', 'é']
  for (const value of others) {
    for (const method of ['GET', 'DELETE']) {
      const answer = await server.send(method, '/api/session', { headers: { cookie: Buffer.from(`magicstore_session=${value}`).toString('latin1'), 'session-key': key } })
      t.equal(answer.status, 204, `${method} ${value}`)
      if (method === 'GET') t.equal(answer.headers['set-cookie'], undefined, value)
      else t.match(cookieOf(answer), { secret: '', attributes: ['Expires=Thu, 01 Jan 1970 00:00:00 GMT', 'HttpOnly', 'Max-Age=0', 'Path=/api/session', 'SameSite=Strict'] }, value)
    }
  }
  for (const header of [`Magicstore_session=${cookie.slice('magicstore_session='.length)}`, `__Host-${cookie}`, 'magicstore_session', ';;;=']) {
    t.equal((await getSession(server, { cookie: header, key })).status, 204, header)
  }
  t.equal((await getSession(server, { cookie, key }, { authorization: 'Bearer x' })).status, 200, 'no other credential counts')
  t.equal((await server.send('GET', '/api/session', { token })).status, 204)
  t.equal(await statusOf(server, { token: personal }), 200, 'a token in the cookie is not revoked')
})

t.test('only the password begins a session', async t => {
  const server = await sharedServer()
  const { user, token } = await signUp(server)
  const personal = await personalToken(server, user, ['account', 'files:read', 'files:write'])
  const { cookie, key, token: issued } = await beginSession(server, user)
  for (const [options, code] of [
    [{}, 'credentials_missing'],
    [{ headers: headersOf({ cookie, key }) }, 'credentials_missing'],
    [{ user: [user[0], 'wrong'] }, 'credentials_wrong'],
    [{ token }, 'password_required'],
    [{ token: issued }, 'password_required'],
    [{ token: personal }, 'password_required']
  ] as [SendOptions, string][]) {
    const answer = await server.send('POST', '/api/session', options)
    t.match({ status: answer.status, code: answer.json.code }, { status: 401, code })
    t.equal(answer.headers['set-cookie'], undefined, code)
  }
  for (const [type, body] of [['application/json', '{'], ['text/plain', 'x'], ['', 'x']] as const) {
    t.equal((await server.send('POST', '/api/session', { user, headers: { 'content-type': type }, body })).status, 201, 'a body has no meaning')
  }
})

t.test('a session is one of the account\'s tokens, lasts 30 days, and its access tokens expire no later', async t => {
  const server = await sharedServer()
  const { id, user } = await signUp(server)
  const before = Date.now()
  const session = await beginSession(server, user)
  await until(async () => (await tokensOf(server, user)).some(({ kind, lastUsedAt }) => kind === 'session' && lastUsedAt !== null))
  const [, listed] = await tokensOf(server, user)
  t.match(listed, { kind: 'session', name: null, scopes: ['files:read', 'files:write', 'account', 'links'] })
  t.equal(Date.parse(String(listed?.expiresAt)) - Date.parse(String(listed?.createdAt)), 30 * DAY)
  t.ok(Date.parse(String(listed?.createdAt)) >= before)

  // As if 30 days, less 100 seconds, had passed.
  const moveExpiry = (milliseconds: number) => runSql(server.dataDir, `UPDATE tokens SET expires_at = ${Date.now() + milliseconds} WHERE kind = 'session' AND account_id = ${id}`)
  await moveExpiry(100_000)
  const late = await getSession(server, session)
  t.ok(late.json.duration <= 100 && late.json.duration > 90, `${late.json.duration} s are left`)
  await moveExpiry(0)
  t.equal((await getSession(server, session)).status, 204)
  t.equal((await server.send('DELETE', '/api/session', { headers: headersOf(session) })).status, 204)
  t.notOk((await tokensOf(server, user)).some(({ kind }) => kind === 'session'), 'it is not listed any more')
})

t.test('a renewal is a use of the session and no event; sign-in and sign-out are events', async t => {
  const server = await sharedServer()
  const { id, user } = await signUp(server)
  const session = await beginSession(server, user)
  const begun = await kindsOf(server, { user })
  t.strictSame(begun.filter(kind => kind === 'session_created').length, 1)
  const issued = begun.filter(kind => kind === 'token_issued').length
  await runSql(server.dataDir, `UPDATE tokens SET last_used_at = ${Date.now() - HOUR} WHERE kind = 'session' AND account_id = ${id}`)
  for (let count = 0; count < 5; count++) await getSession(server, session)
  await until(async () => (await tokensOf(server, user)).some(({ kind, lastUsedAt }) => kind === 'session' && Date.parse(String(lastUsedAt)) > Date.now() - 60_000))
  t.strictSame(await kindsOf(server, { user }), begun)
  t.equal(issued, 1, 'the one of signUp')
  await server.send('DELETE', '/api/session', { headers: headersOf(session) })
  await until(async () => (await kindsOf(server, { user }))[0] === 'token_revoked')
})

const ends: {
  by: string, end: (server: RunningServer, session: Begun & { user: User, id: number }) => Promise<Answer>
}[] = [
  { by: 'signing out', end: (server, session) => server.send('DELETE', '/api/session', { headers: headersOf(session) }) },
  { by: 'revoking it among the tokens', end: (server, { user, id }) => server.send('DELETE', `/api/tokens/${id}`, { user }) },
  { by: 'revoking it with its own access token', end: (server, { token, id }) => server.send('DELETE', `/api/tokens/${id}`, { token }) },
  { by: 'revoking all tokens', end: (server, { token }) => server.send('DELETE', '/api/tokens', { token }) },
  { by: 'changing the password', end: (server, { user }) => server.send('PUT', '/api/account/password', { user, json: { password: 'another long secret' } }) },
  { by: 'deleting the account', end: (server, { user }) => server.send('DELETE', '/api/account', { user }) },
  { by: 'signing in again in the same browser', end: (server, session) => server.send('POST', '/api/session', { user: session.user, headers: headersOf(session) }) }
]

t.test('a session and its access tokens end at once, by whatever ends it', async t => {
  const server = await sharedServer()
  for (const { by, end } of ends) {
    const { user } = await signUp(server)
    const session = await beginSession(server, user)
    const { json: { token } } = await getSession(server, session)
    const id = (await tokensOf(server, user)).find(({ kind }) => kind === 'session')?.id as number
    t.equal(await statusOf(server, { token }), 200)
    t.ok((await end(server, { ...session, user, id })).status < 300)
    await isOver(t, server, session, by)
    await isOver(t, server, { ...session, token }, by)
  }
})

t.test('an account that is disabled has no session until it is enabled, and can end one', async t => {
  const server = await sharedServer()
  const { user } = await signUp(server)
  const [session, other] = [await beginSession(server, user), await beginSession(server, user)]
  t.equal((await runBin(['user', 'disable', user[0]], { DATA_DIR: server.dataDir })).code, 0)
  await isOver(t, server, session, 'disabled')
  t.equal((await server.send('POST', '/api/session', { user })).status, 401)
  t.equal((await server.send('DELETE', '/api/session', { headers: headersOf(other) })).status, 204)
  t.equal((await runBin(['user', 'enable', user[0]], { DATA_DIR: server.dataDir })).code, 0)
  t.equal((await getSession(server, session)).status, 200, 'like every other token')
  await isOver(t, server, other, 'a session that ended meanwhile')
})

t.test('only pages of this server and programs can use the cookie: pages of other sites and ports are refused', async t => {
  const server = await sharedServer()
  const { user } = await signUp(server)
  const session = await beginSession(server, user)
  for (const site of ['cross-site', 'same-site', 'SAME-ORIGIN', '']) {
    for (const method of ['GET', 'DELETE']) {
      const answer = await server.send(method, '/api/session', { headers: { ...headersOf(session), 'sec-fetch-site': site } })
      t.match({ status: answer.status, code: answer.json.code }, { status: 403, code: 'cross_site_request' }, `${method} ${site}`)
      t.equal(answer.headers['set-cookie'], undefined)
    }
  }
  const from = (origin: string) => server.send('POST', '/api/session', { user, headers: { ...headersOf(session), origin, 'sec-fetch-site': 'same-site' } })
  t.equal((await from('http://127.0.0.1:1')).status, 403)
  for (const site of ['same-origin', 'none']) t.equal((await getSession(server, session, { 'sec-fetch-site': site })).status, 200, site)
})

t.test('the cookie and the key of a session work only together', async t => {
  const server = await sharedServer()
  const { user } = await signUp(server)
  const mallory = await signUp(server)
  const [session, other, foreign] = [
    await beginSession(server, user), await beginSession(server, user), await beginSession(server, mallory.user)
  ]
  const none = { cookie: session.cookie }
  for (const [what, headers] of [
    ['no key', none],
    ['an empty key', { ...none, 'session-key': '' }],
    ['the cookie as the key', { ...none, 'session-key': session.cookie.slice('magicstore_session='.length) }],
    ['a key that is too long', { ...none, 'session-key': `${session.key}A` }],
    ['the key twice', { ...none, 'session-key': [session.key, session.key] }],
    ['the key of another session', { ...none, 'session-key': other.key }],
    ['the key of another account', { ...none, 'session-key': foreign.key }],
    ['no cookie', { 'session-key': session.key }],
    ['the key in the cookie', { cookie: `magicstore_session=${session.key}`, 'session-key': session.key }],
    // What a page on another port can plant.
    ['the cookie of another account', { cookie: foreign.cookie, 'session-key': session.key }]
  ] as [string, Record<string, string | string[]>][]) {
    for (const method of ['GET', 'DELETE']) t.match(await server.send(method, '/api/session', { headers }), { status: 204, text: '' }, `${what}: ${method}`)
    t.equal((await server.send('POST', '/api/session', { user, headers })).status, 201, `${what}: a sign-in begins a session of its own`)
  }
  for (const [begun, username] of [[session, user[0]], [other, user[0]], [foreign, mallory.user[0]]] as const) {
    t.match(await getSession(server, begun), { status: 200, json: { username } }, 'and none of them has ended a session')
  }
})

t.test('a preflight never allows the key of a session, and a page of CORS_ORIGINS has no session', async t => {
  const origin = 'https://app.example.org'
  const server = await startServer(t, { CORS_ORIGINS: origin })
  // Without the client that checks responses against the document: a preflight is not an operation.
  const allowed = async (asked: string) => (await fetch(`${server.url}/api/session`, {
    method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'GET', 'access-control-request-headers': asked }
  })).headers.get('access-control-allow-headers')
  t.equal(await allowed('authorization, session-key,range'), 'authorization, range')
  t.notMatch(await allowed('Session-Key'), /session-key/i)
  const { user } = await signUp(server)
  const answer = await getSession(server, await beginSession(server, user), { origin, 'sec-fetch-site': 'cross-site' })
  t.match(answer, { status: 403, json: { code: 'cross_site_request' } })
})

t.test('no other operation reads the cookie', async t => {
  const server = await sharedServer()
  const { user } = await signUp(server)
  const session = await beginSession(server, user)
  for (const operation of await operationsOf(server)) {
    const { method, path, operationId } = operation
    if (['getSession', 'deleteSession'].includes(operationId)) continue
    const without = await server.send(method, path)
    const withCookie = await server.send(method, path, { headers: headersOf(session) })
    t.equal(withCookie.status, without.status, operationId)
    t.equal(withCookie.headers['set-cookie'], undefined, operationId)
    if (isGuarded(operation)) t.equal(withCookie.status, 401, operationId)
  }
  t.equal((await getSession(server, session)).status, 200, 'and none of them has ended the session')
})

t.test('if an access token can\'t be created, no session is left behind', async t => {
  const server = await sharedServer()
  const { id, user } = await signUp(server)
  await runSql(server.dataDir, `
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 9999)
    INSERT INTO tokens (account_id, kind, scopes, created_at, expires_at) SELECT ${id}, 'personal', 'account', 0, 9e12 FROM numbers`)
  await server.send('DELETE', '/api/token', { token: await issueToken(server, { user }) })
  const sessions = async () => Number((await runSql(server.dataDir, `SELECT count(*) AS count FROM tokens WHERE kind = 'session' AND account_id = ${id}`))[0]?.count)
  for (const round of ['once', 'twice']) {
    t.match(await server.send('POST', '/api/session', { user }), { status: 409, json: { code: 'too_many_tokens' } }, round)
    t.equal(await sessions(), 0, round)
  }
  await runSql(server.dataDir, `DELETE FROM tokens WHERE id IN (SELECT id FROM tokens WHERE kind = 'personal' AND account_id = ${id} ORDER BY id LIMIT 1)`)
  const session = await beginSession(server, user)
  await runSql(server.dataDir, `UPDATE tokens SET kind = 'personal' WHERE kind = 'access' AND account_id = ${id}`)
  t.match(await getSession(server, session), { status: 409, json: { code: 'too_many_tokens' } })
})

t.test('a session that can\'t be marked as used still gives an access token', async t => {
  const server = await startServer(t)
  const { user } = await signUp(server)
  await refuseUpdates(server.dataDir, 'tokens')
  const session = await beginSession(server, user)
  t.equal((await getSession(server, session)).status, 200)
})

t.test('if the database fails, a session is neither ended nor renewed', { skip: skipWithoutSqlite }, async t => {
  const server = await startServer(t)
  const { user } = await signUp(server)
  const session = await beginSession(server, user)
  for (const change of ['INSERT', 'DELETE']) await runSql(server.dataDir, `CREATE TRIGGER refuse_${change} BEFORE ${change} ON tokens BEGIN SELECT RAISE(ABORT, 'no'); END`)
  for (const method of ['GET', 'DELETE']) {
    const answer = await server.send(method, '/api/session', { headers: headersOf(session), isBroken: true })
    t.match({ status: answer.status, code: answer.json.code, cookie: answer.headers['set-cookie'] }, { status: 500, code: 'internal_error', cookie: undefined }, method)
  }
  t.equal((await server.send('POST', '/api/session', { user, isBroken: true })).status, 500)
  for (const change of ['INSERT', 'DELETE']) await runSql(server.dataDir, `DROP TRIGGER refuse_${change}`)
  t.equal((await getSession(server, session)).status, 200)
})

/**
 * Sends requests over open connections at the same time, so that the server begins each of them before another ends.
 */
async function sendAtOnce (port: number, requests: string[]): Promise<string[]> {
  const sockets = await Promise.all(requests.map(async () => {
    const socket = connect(port, '127.0.0.1').setEncoding('utf8')
    socket.write('GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n')
    // When this is answered, the server has accepted the connection.
    await once(socket, 'data')
    return socket
  }))
  for (const [index, socket] of sockets.entries()) socket.write(`${requests[index]}\r\nHost: a\r\nConnection: close\r\n\r\n`)
  return Promise.all(sockets.map(async socket => (await socket.toArray()).join('')))
}

t.test('concurrent renewals and ends of one session leave no valid token, and only one event', async t => {
  const server = await sharedServer()
  const { user } = await signUp(server)
  const { cookie, key } = await beginSession(server, user)
  const answers = await sendAtOnce(server.port, ['DELETE', 'GET', 'DELETE', 'GET'].map(method => `${method} /api/session HTTP/1.1\r\nCookie: ${cookie}\r\nSession-Key: ${key}`))
  for (const [index, answer] of answers.entries()) {
    const [, token] = /"token":"([^"]+)"/.exec(answer) ?? []
    t.match(answer, token === undefined ? /^HTTP\/1\.1 204 / : /^HTTP\/1\.1 200 /, `${index}`)
    if (token !== undefined) t.equal(await statusOf(server, { token }), 401)
  }
  await until(async () => (await kindsOf(server, { user })).includes('token_revoked'))
  t.equal((await kindsOf(server, { user })).filter(kind => kind === 'token_revoked').length, 1)
})

type Ask = (method: string, headers: Record<string, string>) => Promise<Pick<Answer, 'status' | 'headers' | 'json'>>

/** Begins, renews and ends a session over TLS: its cookie is one of this host, and of TLS, only. */
async function checkSecureCookie (t: Test, ask: Ask, user: User): Promise<void> {
  const begun = await ask('POST', { authorization: `Basic ${btoa(user.join(':'))}` })
  t.equal(begun.status, 201)
  const { pair, secret, attributes } = cookieOf(begun)
  const { key } = begun.json
  t.equal(pair, `__Host-magicstore_session=${secret}`)
  t.strictSame(attributes, ['HttpOnly', `Max-Age=${30 * 24 * 3600}`, 'Path=/', 'SameSite=Strict', 'Secure'])
  t.equal((await ask('GET', headersOf({ cookie: pair, key }))).status, 200)
  t.equal((await ask('GET', headersOf({ cookie: `magicstore_session=${secret}`, key }))).status, 204, 'the name without the prefix counts only without TLS')
  const ended = await ask('DELETE', headersOf({ cookie: pair, key }))
  t.equal(ended.status, 204)
  t.equal(cookieOf(ended).pair, '__Host-magicstore_session=')
  for (const attribute of ['Secure', 'Path=/', 'Max-Age=0', 'HttpOnly']) t.ok(cookieOf(ended).attributes.includes(attribute), attribute)
  t.equal((await ask('GET', headersOf({ cookie: pair, key }))).status, 204)
}

t.test('behind a proxy that reports TLS the cookie is one that other hosts and plain HTTP can\'t set', async t => {
  const server = await startServer(t, { TRUST_PROXY: '127.0.0.1', PUBLIC_URL: 'https://files.example.org/store' })
  const secure = { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'https' }
  const { user } = await signUp(server)
  await checkSecureCookie(t, (method, headers) => server.send(method, '/api/session', { headers: { ...secure, ...headers } }), user)

  const plain = await server.send('POST', '/api/session', { user })
  t.ok(cookieOf(plain).attributes.includes('Path=/store/api/session'), 'below the folder of PUBLIC_URL')
  const refused = await server.send('POST', '/api/session', { user, headers: { ...secure, 'x-forwarded-proto': 'http' } })
  t.match({ status: refused.status, code: refused.json.code, cookie: refused.headers['set-cookie'] }, { status: 403, code: 'tls_required', cookie: undefined })
})

t.test('over TLS the cookie is one that other hosts and plain HTTP can\'t set', async t => {
  const { port, ca, store } = await startTls(t)
  const user: User = ['ann', 'correct horse battery']
  await store.accounts.add({ username: user[0], password: user[1] })
  await checkSecureCookie(t, (method, headers) => new Promise((resolve, reject) => {
    const request = httpsRequest({ host: '127.0.0.1', port, method, path: '/api/session', headers, ca, agent: false }, response => {
      response.toArray().then(chunks => {
        const text = Buffer.concat(chunks).toString()
        resolve({ status: Number(response.statusCode), headers: response.headers, json: text === '' ? undefined : JSON.parse(text) })
      }, reject)
    })
    request.once('error', reject).end()
  }), user)
})
