import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'tap'
import { isGuarded, operationsOf } from './kit/guarded.ts'
import { createLink } from './kit/links.ts'
import { sharedServer, signUp, startServer, type Client } from './kit/server.ts'
import { KIB } from './kit/sizes.ts'

const ORIGIN = 'https://app.example.org'

interface Dialled { send (text: string): void, read (): Promise<string> }

/** A connection for one request; `read` waits until the server closes it. */
async function dial ({ port }: Client): Promise<Dialled> {
  const socket = connect(port, '127.0.0.1').setEncoding('utf8')
  await once(socket, 'connect')
  const received = socket.toArray()
  return { send: text => { socket.write(text) }, read: async () => (await received).join('') }
}

test('every operation refuses a request with two Hosts, and one that changes something the page of another site', async t => {
  const server = await sharedServer({ LINKS: 'on' })
  for (const { method, path } of await operationsOf(server)) {
    const wire = await dial(server)
    wire.send(`${method} ${path} HTTP/1.1\r\nHost: one\r\nHost: other\r\n\r\n`)
    t.match(await wire.read(), method === 'HEAD' ? /^HTTP\/1\.1 400 / : /^HTTP\/1\.1 400 [^]*"code":"malformed_request"/, `${method} ${path}`)
    if (['GET', 'HEAD'].includes(method)) continue
    const answer = await server.send(method, path, { headers: { origin: 'https://evil.example' } })
    t.match(answer, { status: 403, json: { code: 'cross_site_request' } }, `${method} ${path}`)
  }
})

test('every operation with a password counts against the rate limit, and refuses what is above it', async t => {
  const server = await startServer(t, { RATE_LIMIT_PER_MINUTE: '1' })
  const operations = await operationsOf(server)
  t.ok(operations.length > 20)
  for (const { method, path } of operations) {
    const { status, headers, text } = await server.send(method, path, { user: ['ann', 'wrong'] })
    t.equal(status, 429, `${method} ${path}`)
    t.match(headers['retry-after'], /^\d+$/)
    if (method !== 'HEAD') t.equal(JSON.parse(text).code, 'too_many_requests')
  }
})

test('what no route sees counts against the rate limit too', async t => {
  const origin = ORIGIN
  const server = await startServer(t, { RATE_LIMIT_PER_MINUTE: '2', CORS_ORIGINS: origin })
  const preflight = { origin, 'access-control-request-method': 'PUT' }
  t.equal((await server.send('OPTIONS', '/api/files', { headers: preflight })).status, 204)
  t.match(await server.send('GET', '/uploads/%ff'), { status: 400, json: { code: 'malformed_url' }, headers: { 'ratelimit-remaining': '0' } })
  for (const [method, path, headers] of [['GET', '/uploads/%ff', {}], ['GET', '/?%ff', {}], ['OPTIONS', '/api/files', preflight], ['GET', '/none', {}]] as const) {
    const answer = await server.send(method, path, { headers })
    t.match(answer, { status: 429, json: { code: 'too_many_requests' }, headers: { 'retry-after': /^\d+$/ } }, `${method} ${path}`)
  }
})

test('only a preflight is answered for other origins, and any other OPTIONS for its path', async t => {
  const origin = ORIGIN
  const server = await sharedServer({ CORS_ORIGINS: origin })
  const preflight = await server.send('OPTIONS', '/api/users', { headers: { origin, 'access-control-request-method': 'POST' } })
  t.match(preflight, { status: 204, headers: { 'access-control-allow-origin': origin, 'content-length': undefined } })
  const empty = [{ origin: '', 'access-control-request-method': 'POST' }, { origin, 'access-control-request-method': '' }]
  for (const headers of [{}, { origin }, { 'access-control-request-method': 'POST' }, ...empty]) {
    t.match(await server.send('OPTIONS', '/api/users', { headers }), { status: 405, headers: { allow: 'POST' }, json: { code: 'method_not_allowed' } })
    t.equal((await server.send('OPTIONS', '/none', { headers })).status, 404)
  }
  t.match((await server.send('GET', '/?%ff', { headers: { origin } })), { status: 400, headers: { 'access-control-allow-origin': origin } })
})

test('no header field is overlooked, however many there are', async t => {
  const server = await sharedServer({ LINKS: 'on' })
  const { token } = await signUp(server)
  await server.send('PUT', '/uploads/a', { token, body: 'old' })
  for (const [field, status] of [['If-Match: "other"', 412], ['If-None-Match: *', 412], ['Content-Range: bytes 5-7/8', 409], ['Content-Encoding: gzip', 415], ['Origin: https://evil.example', 403], ['Host: other', 400]] as const) {
    const wire = await dial(server)
    wire.send(`PUT /uploads/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\nContent-Length: 3\r\n${'a:\r\n'.repeat(2000)}${field}\r\n\r\nnew`)
    t.match(await wire.read(), new RegExp(`^HTTP/1\\.1 ${status} `), field)
  }
  t.equal((await server.send('GET', '/uploads/a', { token })).text, 'old')
})

test('the host of an absolute target is that of the request', async t => {
  const server = await sharedServer({ LINKS: 'on' })
  const body = JSON.stringify({ username: 'ann', password: 'pwd' })
  const own = `http://127.0.0.1:${server.port}`
  const post = async (target: string, ...fields: string[]) => {
    const wire = await dial(server)
    wire.send([`POST ${target} HTTP/1.1`, ...fields, 'Connection: close', 'Content-Type: application/json', `Content-Length: ${body.length}`, '', body].join('\r\n'))
    return wire.read()
  }
  t.match(await post('http://evil.example/api/users', `Host: ${own.slice(7)}`, `Origin: ${own}`), /^HTTP\/1\.1 403 /)
  t.match(await post('http://ann:pwd@a/api/users', 'Host: a'), /^HTTP\/1\.1 400 /, 'no userinfo (RFC 9110 section 4.2.4)')
  for (const target of [own, `${own}?a=b`]) t.match(await post(target, `Host: ${own.slice(7)}`), /^HTTP\/1\.1 401 /, 'POST / needs an account')
  t.match(await post(`${own}/api/users`, 'Host: evil.example', `Origin: ${own}`), new RegExp(`^HTTP/1\\.1 201 [^]*\r\nlocation: ${own}/api/users/\\d+\r\n`))
})

test('a request that was arriving when the server was told to stop is answered 503, whatever it asks for', async t => {
  const server = await startServer(t, { CORS_ORIGINS: ORIGIN })
  const operations = await operationsOf(server)
  const wires = await Promise.all(operations.map(async ({ method, path }) => {
    const wire = await dial(server)
    wire.send(`${method} ${path} HTTP/1.1\r\nHost: te`)
    return wire
  }))
  // When this is answered, everything sent before has arrived.
  await server.send('GET', '/')
  const closed = server.close()
  for (const [index, { method, path }] of operations.entries()) {
    const wire = wires[index] as Dialled
    wire.send('st\r\n\r\n')
    const answer = await wire.read()
    t.match(answer, method === 'HEAD' ? /^HTTP\/1\.1 503 / : /^HTTP\/1\.1 503 [^]*"code":"stopping"/, `${method} ${path}`)
    t.match(answer, /\r\nretry-after: \d+\r\n/i)
    t.match(answer, /\r\nconnection: close\r\n/i)
    t.match(answer, /\r\nvary: Origin\r\n/i)
  }
  await closed
})

test('every operation that takes a password takes it over TLS only, where a proxy says how the client came', async t => {
  const server = await sharedServer({ TRUST_PROXY: '127.0.0.1' })
  const headers = { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'http' }
  for (const { method, path } of (await operationsOf(server)).filter(isGuarded)) {
    const { status, text } = await server.send(method, path, { headers, user: ['ann', 'correct horse battery'] })
    t.equal(status, 403, `${method} ${path}`)
    if (method !== 'HEAD') t.equal(JSON.parse(text).code, 'tls_required')
  }
})

test('every operation that takes JSON refuses another type, and more than 64 KiB', async t => {
  const server = await sharedServer({ LINKS: 'on' })
  const { user } = await signUp(server)
  await server.send('PUT', '/uploads/report.pdf', { user, body: 'bytes' })
  const { path } = await createLink(server, { user }, { name: 'report.pdf', kind: 'download' })
  const operations = [
    ['POST', '/api/users'], ['POST', '/api/tokens'], ['PUT', '/api/account/password'], ['POST', '/api/account/claim'],
    ['POST', '/api/account/claim/check'], ['POST', '/api/connections'], ['POST', '/api/connections/find'],
    ['POST', `/api/connections/${'0'.repeat(22)}/token`],
    ['POST', '/api/account/claim/confirm/options'], ['POST', '/api/account/claim/confirm'],
    ['PUT', '/api/second-factor/totp'], ['POST', '/api/passkeys'], ['POST', '/api/passkeys/confirm'],
    ['POST', '/api/session/passkey'], ['POST', '/api/session/oidc'], ['POST', '/api/session/oidc/registration'],
    ['POST', '/api/identities'], ['POST', '/api/identities/confirm'], ['PATCH', '/api/files/report.pdf'], ['POST', '/api/files/report.pdf/copy'],
    ['PUT', '/api/files/report.pdf/taken'],
    ['PATCH', '/api/folders/inbox'], ['POST', '/api/trash/1/restore'], ['POST', '/api/trash/restore'],
    ['POST', '/api/links'], ['PATCH', '/api/links/1'], ['POST', `${path}/unlock`]
  ] as const
  // They have bodies of up to 4 MiB, which tests of their own send.
  const large = [['POST', '/api/trash'], ['POST', '/api/moves'], ['POST', '/api/copies']] as const
  for (const [method, path] of [...operations, ...large]) {
    const refused = await server.send(method, path, { user, headers: { 'content-type': 'text/plain' }, body: '{}' })
    t.match({ status: refused.status, code: refused.json.code }, { status: 415, code: 'unsupported_media_type' }, `${method} ${path}`)
  }
  for (const [method, path] of operations) {
    const tooLarge = await server.send(method, path, { user, json: { padding: 'x'.repeat(64 * KIB) } })
    t.match({ status: tooLarge.status, code: tooLarge.json.code }, { status: 413, code: 'body_too_large' }, `${method} ${path}`)
  }
})
