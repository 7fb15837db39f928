import { createHmac } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { METHODS } from 'node:http'
import { join } from 'node:path'
import argon2 from 'argon2'
import t, { type Test } from 'tap'
import { runBin, sharedServer, signUp, startServer, type Answer } from './kit/server.ts'
import { runSql, skipWithoutSqlite } from './kit/stores.ts'
import { sendRaw } from './kit/wire.ts'

const SECRET = 'zN2pX8qL4vR7tW1yB6mK9dF3hJ5sG0cA'
const OTHER_SECRET = 'aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY'

const base64 = (text: string | Uint8Array) => Buffer.from(text).toString('base64')
const base64url = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const decode = (part: string | undefined) => JSON.parse(Buffer.from(String(part), 'base64url').toString())

/** A JWS in compact form (RFC 7515), always signed by HMAC, whatever its header says. */
function jws (head: unknown, payload: unknown, secret = SECRET, hash = 'sha256'): string {
  const text = `${base64url(head)}.${base64url(payload)}`
  return `${text}.${createHmac(hash, secret).update(text).digest('base64url')}`
}

const requestWith = (...lines: string[]) => ['GET /api/resource HTTP/1.1', ...lines, 'Host: a', 'Connection: close', '', ''].join('\r\n')

/** The challenges of a response, one for each header line, as scheme and parameters. */
function challengesOf ({ rawHeaders }: Answer): { scheme: string, [parameter: string]: string }[] {
  const values = rawHeaders.filter((_, index) => rawHeaders[index - 1]?.toLowerCase() === 'www-authenticate' && index % 2 === 1)
  return values.map(value => ({
    scheme: value.slice(0, value.indexOf(' ')),
    ...Object.fromEntries(Array.from(value.matchAll(/(\w+)="([^"]*)"/g), ([, name, text]) => [String(name), String(text)]))
  }))
}

const openServer = () => sharedServer({ SIGN_IN_FAILURES: '1000' })

/** Asserts a complete 401: the problem, its headers, and at least one challenge. */
function isUnauthorized (test: Test, answer: Answer, code: string, message = code): void {
  const headers = { 'content-type': /^application\/problem\+json/, 'cache-control': /^no-store$/, 'x-content-type-options': 'nosniff' }
  test.match(answer, { status: 401, json: { code, status: 401 }, headers }, message)
  test.ok(challengesOf(answer).length > 0, message)
}

t.test('a password gets an access token that names its user and its lifetime, and no secret', async t => {
  const server = await openServer()
  const { json: { id } } = await server.send('POST', '/api/users', { json: { username: 'test_user', password: 'pwd' } })
  const before = Math.floor(Date.now() / 1000)
  const answer = await server.send('GET', '/api/token', { user: ['test_user', 'pwd'] })
  t.match(answer, { status: 200, headers: { 'content-type': /^application\/json/, 'cache-control': /^no-store$/, 'x-content-type-options': 'nosniff' } })
  t.strictSame(Object.keys(answer.json).sort(), ['duration', 'token'])
  t.equal(answer.json.duration, 600)
  const [head, payload, signature] = answer.json.token.split('.')
  t.match(decode(head), { alg: 'HS256', typ: 'at+jwt', kid: /^[\w-]+$/ })
  t.strictSame(Object.keys(decode(payload)).sort(), ['aud', 'exp', 'iat', 'jti', 'sub'])
  t.match(decode(payload), { sub: String(id), aud: /./, jti: /./ })
  t.ok(decode(payload).iat >= before)
  t.ok(decode(payload).exp - decode(payload).iat - 600 <= 1)
  t.equal(signature.length, 43)
  const again = await server.send('GET', '/api/token', { user: ['test_user', 'pwd'] })
  t.not(again.json.token, answer.json.token)
  for (const token of [answer.json.token, again.json.token]) t.strictSame((await server.send('GET', '/api/resource', { token })).json, { data: 'Hello, test_user!' })
})

t.test('every form of a credential opens the resource', async t => {
  const server = await openServer()
  const { token } = await signUp(server, 'Zoë', 'pässwörd: with a colon')
  const basic = base64('Zoë:pässwörd: with a colon')
  const lines = [
    `Authorization: Basic ${basic}`, `Authorization: basic ${basic}`, `Authorization: BASIC ${basic}`, `authorization:bAsIc   ${basic}`,
    `Authorization: Basic ${basic.replace(/=+$/, '')}`,
    `Authorization: Basic ${base64('zoe\u0308:pa\u0308sswo\u0308rd: with a colon')}`,
    ...['Token', 'token', 'TOKEN', 'Bearer', 'bearer', 'BEARER'].map(scheme => `Authorization: ${scheme} ${token}`),
    `Authorization:Token ${token}`, `Authorization:Bearer ${token}`, `AUTHORIZATION: \t Token  ${token} \t`,
    ...['', 'unused', 'a:b:c', '🔑', token, 'x'.repeat(2000)].map(password => `Authorization: Basic ${base64(`${token}:${password}`)}`)
  ]
  for (const line of lines) {
    const answer = await sendRaw(server.port, requestWith(line))
    t.match(answer, /^HTTP\/1\.1 200 /, line)
    t.ok(answer.endsWith('\r\n\r\n{"data":"Hello, Zoë!"}'), line)
    t.match(answer, /cache-control: no-store/i, line)
    t.notMatch(answer, /www-authenticate/i, line)
  }
})

t.test('a credential that is not well formed is 401', async t => {
  const server = await openServer()
  const { token } = await signUp(server, 'ab', 'cde')
  t.equal(base64('ab:cde'), 'YWI6Y2Rl')
  const malformed: Record<string, string> = {
    empty: '',
    'only a scheme': 'Basic',
    'scheme and space': 'Bearer ',
    'no colon': `Basic ${base64('ab')}`,
    'a token without a colon': `Basic ${base64(token)}`,
    'not base64': 'Basic !!!!',
    'a digit too many': 'Basic YWI6Y2RlA',
    'base64url of other text': `Basic ${Buffer.from('ab:cd?>~').toString('base64url')}`,
    'only padding': 'Basic ==',
    'not UTF-8': `Basic ${base64(Buffer.from('é:cde', 'latin1'))}`,
    'not UTF-8 in the password': `Basic ${base64(Buffer.from([0x61, 0x62, 0x3A, 0xFF]))}`,
    'plain text': 'Basic ab:cde',
    'two credentials in one line': `Basic YWI6Y2Rl, Bearer ${token}`,
    'no scheme': token,
    'another scheme': 'Digest username="ab"',
    'another scheme with the token': `JWT ${token}`,
    'a tab for the space': `Bearer\t${token}`,
    'quoted, with a space': `Token token="${token}", x`
  }
  for (const [kind, value] of Object.entries(malformed)) {
    for (const path of ['/api/resource', '/api/token']) {
      const answer = await server.send('GET', path, { headers: { authorization: value } })
      isUnauthorized(t, answer, 'credentials_malformed', `${kind} at ${path}`)
      t.notOk(challengesOf(answer).some(challenge => 'error' in challenge), kind)
    }
  }
})

t.test('two Authorization lines are 401, though either would do', async t => {
  const server = await openServer()
  const { token } = await signUp(server, 'ab', 'cde')
  const good = ['Authorization: Basic YWI6Y2Rl', `Authorization: Bearer ${token}`, `authorization:Token ${token}`]
  for (const first of [...good, 'Authorization: Basic !!!!', 'Authorization:']) {
    for (const second of good) {
      const answer = await sendRaw(server.port, requestWith(first, 'Accept: */*', second))
      t.match(answer, /^HTTP\/1\.1 401 [^]*"code":"credentials_malformed"/, `${first} and ${second}`)
    }
  }
})

t.test('WWW-Authenticate offers what would have worked, never Basic to a script, and says when a token was at fault', async t => {
  const server = await openServer()
  const { token } = await signUp(server, 'ab', 'cde')
  const basic = { scheme: 'Basic', realm: 'MagicStore', charset: 'UTF-8' }
  const bearer = { scheme: 'Bearer', realm: 'MagicStore' }
  const invalid = { ...bearer, error: 'invalid_token' }
  const byToken = { scheme: 'Token', realm: 'MagicStore' }
  const wrong = `Basic ${base64('ab:wrong')}`
  const table: [
    target: string,
    authorization: string | undefined,
    destination: string | undefined,
    code: string,
    challenges: object[]
  ][] =
    [
      ['/api/resource', undefined, undefined, 'credentials_missing', [bearer, byToken, basic]],
      ['/api/resource', undefined, 'empty', 'credentials_missing', [bearer, byToken]],
      ['/api/resource', wrong, undefined, 'credentials_wrong', [bearer, byToken, basic]],
      ['/api/resource', 'Nonsense', 'empty', 'credentials_malformed', [bearer, byToken]],
      ['/api/resource', `Bearer ${token}x`, undefined, 'token_malformed', [invalid, byToken, basic]],
      ['/api/resource', `Token ${token}x`, undefined, 'token_malformed', [invalid, byToken, basic]],
      ['/api/resource', `Basic ${base64(`${token}x:unused`)}`, undefined, 'token_malformed', [invalid, byToken, basic]],
      ['/api/files', undefined, 'empty', 'credentials_missing', [bearer, byToken]],
      ['/api/token', undefined, 'empty', 'credentials_missing', [bearer, byToken]],
      ['/api/token', `Bearer ${token}`, undefined, 'password_required', [invalid, byToken, basic]],
      ['/api/token', `Bearer ${token}`, 'empty', 'password_required', [invalid, byToken]],
      ['/api/token', `Token ${token}`, undefined, 'password_required', [invalid, byToken, basic]],
      ['/api/token', `Basic ${base64(`${token}:cde`)}`, undefined, 'password_required', [invalid, byToken, basic]],
      ['/api/token', 'Bearer mst_0', undefined, 'token_malformed', [invalid, byToken, basic]],
      ['DELETE /api/account', undefined, undefined, 'credentials_missing', [basic]],
      ['DELETE /api/account', undefined, 'empty', 'credentials_missing', [bearer]],
      ['DELETE /api/account', wrong, undefined, 'credentials_wrong', [basic]],
      ['DELETE /api/account', `Bearer ${token}`, undefined, 'password_required', [basic]],
      ['DELETE /api/account', `Bearer ${token}`, 'empty', 'password_required', [invalid]]
    ]
  for (const [target, authorization, destination, code, challenges] of table) {
    const message = `${target} ${authorization?.slice(0, 12)} ${destination}`
    const [path = '', method = 'GET'] = target.split(' ').reverse()
    const answer = await server.send(method, path, { headers: { ...(authorization && { authorization }), ...(destination && { 'sec-fetch-dest': destination }) } })
    isUnauthorized(t, answer, code, message)
    t.strictSame(challengesOf(answer).map(({ error_description: _, ...challenge }) => challenge), challenges, message)
  }
})

t.test('a credential counts only where it stands in the Authorization field', async t => {
  const server = await openServer()
  const { token } = await signUp(server, 'ab', 'cde')
  const attempts: [path: string, headers: Record<string, string>][] = [
    [`/api/resource?access_token=${token}`, {}], [`/api/resource?token=${token}`, {}],
    ['/api/resource', { cookie: `token=${token}` }], ['/api/resource', { 'proxy-authorization': `Bearer ${token}` }], ['/api/resource', { 'x-authorization': `Bearer ${token}` }],
    ['/api/resource', { 'x-user-id': '1', 'x-forwarded-user': 'ab' }]
  ]
  for (const [path, headers] of attempts) isUnauthorized(t, await server.send('GET', path, { headers }), 'credentials_missing', JSON.stringify(headers))
})

t.test('a token works until it expires and not a second longer', async t => {
  const server = await sharedServer({ TOKEN_SECONDS: '700', SIGNING_KEYS: `first:${SECRET}` })
  const { id, user, token } = await signUp(server)
  const [row] = await runSql(server.dataDir, `SELECT created_at, expires_at FROM tokens WHERE account_id = ${id}`)
  t.equal(Number(row?.expires_at) - Number(row?.created_at), 700_000)
  const [head, claims] = token.split('.').slice(0, 2).map(decode)
  t.equal(claims.exp, Math.ceil(Number(row?.expires_at) / 1000), '`exp` is in whole seconds')
  const isOver = async (token: string) => {
    for (const credentials of [{ token }, { user: [token, 'unused'] as [string, string] }]) {
      isUnauthorized(t, await server.send('GET', '/api/resource', credentials), 'token_expired')
    }
  }
  t.equal((await server.send('GET', '/api/resource', { token: jws(head, claims) })).status, 200)
  await isOver(jws(head, { ...claims, exp: Math.floor(Date.now() / 1000) }))
  t.equal((await server.send('GET', '/api/resource', { token })).status, 200)
  await runSql(server.dataDir, `UPDATE tokens SET expires_at = ${Date.now()} WHERE account_id = ${id}`)
  await isOver(token)
  t.match(await server.send('GET', '/api/token', { user }), { status: 200, json: { duration: 700 } })
})

t.test('a token that we did not sign, or not like this, is 401', async t => {
  const server = await startServer(t, { SIGNING_KEYS: `first:${SECRET},second:${OTHER_SECRET}` })
  const { token } = await signUp(server, 'ab', 'cde')
  const other = await signUp(server, 'other', 'cde')
  const [head = '', payload = '', signature = ''] = token.split('.')
  const ours = decode(head)
  const claims = decode(payload)
  const without = (name: string) => Object.fromEntries(Object.entries(claims).filter(([key]) => key !== name))
  t.equal((await server.send('GET', '/api/resource', { token: jws(ours, claims) })).status, 200, 'the forger\'s own tools are good')
  t.equal((await server.send('GET', '/api/resource', { token: jws({ ...ours, kid: 'second' }, claims, OTHER_SECRET) })).status, 200, 'every key of the ring verifies')
  const now = Math.floor(Date.now() / 1000)
  const jwk = { kty: 'oct', k: base64url(OTHER_SECRET), kid: 'first', alg: 'HS256' }
  const forged: Record<string, string> = {
    'alg none': `${base64url({ ...ours, alg: 'none' })}.${payload}.`,
    'alg none with a signature': jws({ ...ours, alg: 'none' }, claims),
    'alg HS512': jws({ ...ours, alg: 'HS512' }, claims, SECRET, 'sha512'),
    'another key': jws(ours, claims, 'kJ8sD2fG5hL9qW3eR7tY1uI4oP6aZ0xC'),
    'another key of the ring': jws(ours, claims, OTHER_SECRET),
    'unknown kid': jws({ ...ours, kid: 'third' }, claims),
    'no kid': jws({ alg: ours.alg, typ: ours.typ }, claims),
    'kid __proto__': jws('{"alg":"HS256","typ":"at+jwt","kid":"__proto__"}', claims),
    'kid constructor': jws({ ...ours, kid: 'constructor' }, claims),
    'kid as path': jws({ ...ours, kid: '../../dev/null' }, claims, ''),
    'jwk in the head': jws({ ...ours, jwk }, claims, OTHER_SECRET),
    'jwk in the head, without kid': jws({ alg: 'HS256', typ: ours.typ, jwk }, claims, OTHER_SECRET),
    'typ JWT': jws({ ...ours, typ: 'JWT' }, claims),
    'no typ': jws({ alg: ours.alg, kid: ours.kid }, claims),
    'another audience': jws(ours, { ...claims, aud: 'another installation' }),
    'expiry as text': jws(ours, { ...claims, exp: String(claims.exp) }),
    'not yet valid': jws(ours, { ...claims, nbf: now + 3600 }),
    ...Object.fromEntries(['jti', 'sub', 'aud', 'iat', 'exp'].map(name => [`without ${name}`, jws(ours, without(name))])),
    'another\'s id in the payload': `${head}.${base64url({ ...claims, sub: String(other.id) })}.${signature}`,
    'payload in other words': `${head}.${base64url(JSON.stringify(claims, null, 1))}.${signature}`,
    'head in other words': `${base64url(JSON.stringify(ours, null, 1))}.${payload}.${signature}`,
    'payload that is no object': jws(ours, '"text"'),
    'payload that is not JSON': jws(ours, 'text'),
    'head that is not JSON': `${base64url('{')}.${payload}.${signature}`,
    'no signature': `${head}.${payload}.`,
    'four parts': `${token}.${signature}`,
    'a dot behind': `${token}.`,
    'padded signature': `${token}=`,
    'cut by a character': token.slice(0, -1),
    // Three others decode to the same bytes.
    ...Object.fromEntries(Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=').filter(last => !token.endsWith(last)).map(last => [`ending with ${last}`, token.slice(0, -1) + last])),
    'only dots': '..',
    'no dots': 'nonsense',
    quoted: `"${token}"`,
    'a personal access token': 'mst_0123456789abcdefghijABCDEFGHIJ012345',
    long: 'a.'.repeat(5000)
  }
  for (const [kind, text] of Object.entries(forged)) {
    for (const scheme of ['Bearer', 'Token']) isUnauthorized(t, await server.send('GET', '/api/resource', { headers: { authorization: `${scheme} ${text}` } }), 'token_malformed', `${kind} as ${scheme}`)
  }
  for (const [kind, text, code] of [
    ['expired', jws(ours, { ...claims, exp: now - 1 }), 'token_expired'],
    ['a token that was never issued', jws(ours, { ...claims, jti: '4711' }), 'token_revoked'],
    ['a token without a number', jws(ours, { ...claims, jti: 'x' }), 'token_revoked'],
    ['another user\'s token', jws(ours, { ...claims, sub: String(other.id) }), 'token_revoked'],
    ['an account that never existed', jws(ours, { ...claims, sub: '4711' }), 'token_revoked']
  ] as const) {
    isUnauthorized(t, await server.send('GET', '/api/resource', { token: text }), code, kind)
    t.equal((await server.send('GET', '/api/resource', { user: [text, 'unused'] })).json.code, code, `${kind}, as the username of Basic`)
  }
  t.equal((await server.send('GET', '/api/resource', { token })).status, 200)
})

t.test('an unknown user, a name that nobody can have and a wrong password get one answer, after the same work', async t => {
  const server = await openServer()
  const { user: [known] } = await signUp(server)
  const own = { date: '', 'ratelimit-remaining': '', 'ratelimit-reset': '', 'x-request-id': '' }
  const imageOf = ({ text, headers }: Answer) => ({ text: text.replace(String(headers['x-request-id']), ''), headers: { ...headers, ...own } })
  const { verify } = argon2
  let verified = 0
  argon2.verify = (...args) => { verified++; return verify(...args) }
  t.teardown(() => { argon2.verify = verify })
  const ask = async (user: [string, string], hashes: number) => {
    verified = 0
    const answer = await server.send('GET', '/api/token', { user })
    isUnauthorized(t, answer, 'credentials_wrong')
    t.equal(verified, hashes, 'hashes')
    return imageOf(answer)
  }
  const expected = await ask([known, 'wrong'], 1)
  for (const user of [['unknown', 'right'], ['\u202E', 'right'], ['', '']] as const) t.strictSame(await ask([...user], 1), expected)
  for (const name of [known, 'unknown']) t.strictSame(await ask([name, 'x'.repeat(1025)], 0), expected, 'a password that nobody can have')
})

t.test('a signing key is made at the first start, and a token works after a restart, but not elsewhere', async t => {
  const dataDir = join(t.testdir(), 'data')
  const first = await startServer(t, { DATA_DIR: dataDir })
  const { token, user: [name] } = await signUp(first)
  const { kid } = decode(token.split('.')[0])
  const file = join(dataDir, 'signing-keys')
  const isInFile = skipWithoutSqlite === false
  const keys = isInFile ? readFileSync(file, 'utf8') : ''
  if (isInFile) {
    t.strictSame([statSync(file).mode & 0o777, statSync(dataDir).mode & 0o777], [0o600, 0o700])
    t.match(keys, new RegExp(`^${kid}:[\\w-]{43}\n$`))
  }
  await first.close()
  const second = await startServer(t, { DATA_DIR: dataDir })
  t.strictSame((await second.send('GET', '/api/resource', { token })).json, { data: `Hello, ${name}!` })
  if (isInFile) t.equal(readFileSync(file, 'utf8'), keys, 'a restart leaves the key as it is')
  const elsewhere = await openServer()
  t.not(decode((await signUp(elsewhere)).token.split('.')[0]).kid, kid)
  isUnauthorized(t, await elsewhere.send('GET', '/api/resource', { token }), 'token_malformed')
})

t.test('SIGNING_KEYS can be turned over: the first signs, all verify, and a key that left verifies nothing', async t => {
  const dataDir = t.testdir()
  const tokens: string[] = []
  for (const [keys, kid, good] of [
    [`old:${SECRET}`, 'old', [true]],
    [`__proto__:${OTHER_SECRET},old:${SECRET}`, '__proto__', [true, true]],
    [`__proto__:${OTHER_SECRET}`, '__proto__', [false, true, true]]
  ] as const) {
    const server = await startServer(t, { DATA_DIR: dataDir, SIGNING_KEYS: keys })
    tokens.push((await signUp(server, 'ab', 'cde')).token)
    t.equal(decode(tokens.at(-1)?.split('.')[0]).kid, kid)
    for (const [index, isGood] of good.entries()) {
      const answer = await server.send('GET', '/api/resource', { token: tokens[index] as string })
      t.equal(answer.status, isGood ? 200 : 401, `${keys.slice(0, 9)} and token ${index}`)
    }
    await server.close()
  }
  const elsewhere = await startServer(t, { DATA_DIR: join(dataDir, 'elsewhere'), SIGNING_KEYS: `__proto__:${OTHER_SECRET}` })
  await signUp(elsewhere, 'ab', 'cde')
  isUnauthorized(t, await elsewhere.send('GET', '/api/resource', { token: tokens[2] as string }), 'token_malformed', 'another installation with the same key')
})

t.test('a key file without a key is one clear line and exit 2', { skip: skipWithoutSqlite }, async t => {
  const dataDir = t.testdir()
  writeFileSync(join(dataDir, 'signing-keys'), '\n')
  const { code, stdout, stderr } = await runBin(['serve'], { DATA_DIR: dataDir, PORT: '0' })
  t.equal(code, 2)
  t.equal(stdout, '')
  t.match(stderr, /^magicstore: [^\n]+\n$/)
})

t.test('a database that fails is 500 without a word of it, not a token refused', async t => {
  const server = await startServer(t)
  const { token, user } = await signUp(server)
  await runSql(server.dataDir, 'ALTER TABLE accounts RENAME TO missing')
  for (const credentials of [{ token }, { user }]) {
    const answer = await server.send('GET', '/api/resource', { ...credentials, isBroken: true })
    t.equal(answer.status, 500)
    t.equal(answer.json.code, 'internal_error')
    t.equal(answer.headers['www-authenticate'], undefined)
    t.notMatch(answer.text, /database|connection|sqlite|postgres|accounts/i)
  }
})

t.test('a known path with another method is 405 with Allow, whatever the method, and needs no credential', async t => {
  const server = await openServer()
  const known: Record<string, string[]> = {
    '/': ['GET', 'HEAD', 'OPTIONS', 'POST'],
    '/api/users': ['POST'],
    '/api/tokens': ['DELETE', 'GET', 'HEAD', 'POST'],
    '/uploads/a.txt': ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PUT'],
    '/api/uploads/1': ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST'],
    '/api/files/a.txt': ['GET', 'HEAD', 'PATCH'],
    '/openapi.json': ['GET', 'HEAD'],
    '/health/live': ['GET', 'HEAD'],
    '/docs/static/index.css': ['GET', 'HEAD']
  }
  for (const [path, allowed] of Object.entries(known)) {
    // CONNECT requests a tunnel, not a path.
    for (const method of METHODS.filter(method => method !== 'CONNECT' && !allowed.includes(method))) {
      const answer = await server.send(method, path, { headers: { authorization: 'Nonsense' } })
      t.match(answer, { status: 405, headers: { 'cache-control': /^no-store$/, 'x-content-type-options': 'nosniff' } }, `${method} ${path}`)
      t.strictSame(answer.headers.allow?.split(', ').sort(), allowed, `${method} ${path}`)
      if (method !== 'HEAD') t.equal(answer.json.code, 'method_not_allowed', `${method} ${path}`)
    }
    for (const method of allowed) t.not((await server.send(method, path)).status, 405, `${method} ${path}`)
  }
  for (const body of ['{', 'x'.repeat(70_000)]) t.equal((await server.send('PUT', '/api/users', { headers: { 'content-type': 'application/json' }, body })).status, 405, 'its body is not looked at')
  for (const [method, path] of [['GET', '/api'], ['PROPFIND', '/api/nothing'], ['POST', '/api/tokenx'], ['GET', '/api/token/'], ['GET', '/API/TOKEN']] as const) {
    t.match(await server.send(method, path), { status: 404, json: { code: 'not_found' } }, `${method} ${path}`)
  }
})

t.test('every answer is no-store and nosniff, and HEAD has the headers of GET', async t => {
  const server = await openServer()
  const { token } = await signUp(server, 'ab', 'cde')
  const answers: [method: string, path: string, headers: Record<string, string>, status: number][] = [
    ['GET', '/api/resource', { authorization: `Bearer ${token}` }, 200],
    ['GET', '/api/token', { authorization: 'Basic YWI6Y2Rl' }, 200],
    ['GET', '/api/users/1', {}, 200],
    ['GET', '/api/users/999999', {}, 400],
    ['GET', '/api/users/%ff', {}, 400],
    ['GET', '/api/resource', {}, 401],
    ['GET', '/nothing', {}, 404],
    ['PURGE', '/api/token', {}, 405],
    ['POST', '/api/users', { 'content-type': 'text/plain', 'content-length': '0' }, 400]
  ]
  for (const [method, path, headers, status] of answers) {
    const answer = await server.send(method, path, { headers })
    t.equal(answer.status, status, `${method} ${path}`)
    t.equal(answer.headers['cache-control'], 'no-store', `${method} ${path}`)
    t.equal(answer.headers['x-content-type-options'], 'nosniff', `${method} ${path}`)
    if (method !== 'GET') continue
    const head = await server.send('HEAD', path, { headers })
    t.equal(head.status, status, `HEAD ${path}`)
    t.equal(head.bytes.length, 0, `HEAD ${path}`)
    t.strictSame(Object.keys(head.headers).sort(), Object.keys(answer.headers).sort(), `HEAD ${path}`)
  }
})

t.test('an account has at most 10,000 tokens', { timeout: 120_000 }, async t => {
  const server = await openServer()
  const { id, user } = await signUp(server, 'ada')
  await server.send('DELETE', '/api/tokens', { user })
  await runSql(server.dataDir, `
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 9999)
    INSERT INTO tokens (account_id, kind, scopes, created_at, expires_at) SELECT ${id}, 'personal', 'files:read', 0, 9e12 FROM numbers`)
  const add = () => server.send('POST', '/api/tokens', { user, json: { name: 'a', scopes: ['account'] } })
  const { json: program } = await server.send('POST', '/api/connections', { json: { name: 'a', scopes: ['files:read'] } })
  const path = `/api/connections/${program.id}`
  t.equal((await server.send('POST', `${path}/allow`, { user })).status, 204)
  const pickUp = () => server.send('POST', `${path}/token`, { json: { secret: program.secret } })
  t.equal((await add()).status, 201)
  for (const answer of [await add(), await server.send('GET', '/api/token', { user }), await pickUp()]) {
    t.match(answer, { status: 409, json: { code: 'too_many_tokens' } })
  }
  t.equal((await server.send('DELETE', '/api/account', { user })).status, 204)
})
