import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { connect as connectHttp2, constants, type OutgoingHttpHeaders } from 'node:http2'
import { connect as connectTcp, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import { certify } from '../kit/certificates.ts'
import { formOf, startTls } from '../kit/server.ts'
import { isProof, MIB } from '../kit/sizes.ts'
import { openHandles, runSql } from '../kit/stores.ts'
import { eventually } from '../kit/waiting.ts'
import { dataFrames, headersFrame, PREFACE, readAllowed, resetFrame, SETTINGS_ACK, settingsFrame } from './http2-frames.ts'
import { answerTo, beginOn, clientsOf, connectionCount, openHardSession, openSession, overHttp1, overHttp2, signUp, spawnTls, type Asked, type Place } from './tls-clients.ts'

/** The name on the certificate that a new connection receives. */
async function shownName ({ port, ca }: Place): Promise<string> {
  const socket = connectTls({ port, host: '127.0.0.1', ca, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  return String(subject.CN)
}

const server = await startTls(t, { MAX_FILE_BYTES: String(8 * MIB), RATE_LIMIT_PER_MINUTE: '0', REGISTRATIONS_PER_HOUR: '0' })

t.test('every kind of refusal over HTTPS is a problem that keeps browsers on HTTPS', async t => {
  const refusals: [method: string, path: string, status: number, code: string, asked?: Asked][] = [
    ['GET', '/nowhere', 404, 'not_found'],
    ['GET', '/api/files', 401, 'credentials_missing'],
    ['DELETE', '/api/users', 405, 'method_not_allowed'],
    ['GET', '/uploads/%ff', 400, 'malformed_url'],
    ['POST', '/api/users', 400, 'malformed_json', { headers: { 'content-type': 'application/json' }, body: '{' }],
    ['POST', '/api/users', 415, 'unsupported_media_type', { headers: { 'content-type': 'text/plain' }, body: '{' }]
  ]
  for (const [protocol, ask] of clientsOf(t, server)) {
    for (const [method, path, status, code, asked] of refusals) {
      const answer = await ask(method, path, asked)
      t.match(answer, { status, code, headers: { 'strict-transport-security': /^max-age=\d+$/, 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' } }, `${protocol}: ${code}`)
    }
    const { headers } = await ask('GET', '/api/files')
    t.match(String(headers['www-authenticate']), /Bearer .*Token .*Basic /s, `${protocol}: every challenge arrives`)
  }
  const overHttp2 = clientsOf(t, server).find(([protocol]) => protocol === 'HTTP/2')?.[1]
  t.match(await overHttp2?.('BREW', '/api/files'), { status: 405, code: 'method_not_allowed', headers: { allow: 'GET, HEAD', 'x-content-type-options': 'nosniff' } }, 'HTTP/2 takes any word for a method')
  t.match(await overHttp2?.('BREW', '/nowhere'), { status: 404, code: 'not_found' })
})

t.test('over HTTP/2 a form without a length may be sent again where the quota of files is spent', async t => {
  const token = await signUp(overHttp1(server), 'full')
  await runSql(server.dataDir, "UPDATE accounts SET quota_files = 1 WHERE username = 'full'")
  const ask = overHttp2(openSession(t, server))
  const form = formOf('a.txt', 'bytes')
  for (const status of [201, 200]) t.equal((await ask('POST', '/', { token, ...form })).status, status)
  t.match(await ask('POST', '/', { token, headers: { ...form.headers, 'content-length': '0' } }), { status: 413, code: 'quota_exceeded' })
})

t.test('a refusal reaches a client that is still sending its body, and the connection goes on in HTTP/2', async t => {
  const body = Buffer.alloc(16 * MIB)
  for (const [protocol, ask] of clientsOf(t, server)) {
    const token = await signUp(ask)
    const refusals: [what: string, status: number, code: string, path: string, asked: Asked][] = [
      ['no credential', 401, 'credentials_missing', '/uploads/a', {}],
      ['too large, as announced', 413, 'file_too_large', '/uploads/a', { token, headers: { 'content-length': body.length } }],
      ['a bad name', 400, 'name_invalid', '/uploads/%2F', { token }],
      ['too large, as it turns out', 413, 'file_too_large', '/uploads/a', { token, headers: protocol === 'HTTP/1.1' ? { 'transfer-encoding': 'chunked' } : {} }]
    ]
    for (const [what, status, code, path, asked] of refusals) {
      const answer = await ask('PUT', path, { ...asked, body })
      t.match(answer, { status, code }, `${protocol}: ${what}`)
    }
    t.equal((await ask('PUT', '/uploads/fits', { token, body: body.subarray(0, 8 * MIB) })).status, 201, `${protocol}: what fits is taken`)
    t.match(await ask('HEAD', '/uploads/fits', { token }), { status: 200, headers: { 'content-length': String(8 * MIB) }, bytes: Buffer.alloc(0) })
    t.equal((await ask('DELETE', '/uploads/fits', { token })).status, 204)
  }
  t.ok(await eventually(() => openHandles(server.dataDir).length === 0))
})

t.test('over HTTP/2 a client is told to stop sending what was refused, to continue what is wanted, and where the upload is', async t => {
  const session = openSession(t, server)
  const token = await signUp(overHttp2(session))
  for (const asked of [{}, { token }]) {
    const stream = beginOn(session, 'PUT', '/uploads/a', asked)
    const answer = answerTo(stream)
    stream.write(Buffer.alloc(9 * MIB))
    t.match(await answer, { status: asked.token === undefined ? 401 : 413 })
    t.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR)
    t.ok(stream.closed, 'though the request never ended')
  }
  const wanted = beginOn(session, 'PUT', '/uploads/a', { token, headers: { expect: '100-continue' } })
  const accepted = answerTo(wanted)
  await once(wanted, 'continue')
  wanted.end('bytes')
  t.equal((await accepted).status, 201)
  const refused = beginOn(session, 'PUT', '/uploads/b', { headers: { expect: '100-continue' } })
  refused.on('continue', () => t.fail('the body is not wanted'))
  t.equal((await answerTo(refused)).status, 401)
  const strange = beginOn(session, 'GET', '/openapi.json', { headers: { expect: 'the-unexpected' } })
  strange.end()
  t.equal((await answerTo(strange)).status, 200, 'another expectation is passed over')
  const create = async (version: string) => {
    const stream = beginOn(session, 'POST', '/api/uploads', { token, headers: { 'upload-complete': '?1', 'upload-draft-interop-version': version, 'content-disposition': `inline; filename=${version}` } })
    const interim: OutgoingHttpHeaders[] = []
    stream.on('headers', headers => interim.push(headers))
    stream.end('bytes')
    return { interim, answer: await answerTo(stream) }
  }
  const { interim: [first, ...others], answer } = await create('8')
  t.match(first, { ':status': 104, location: answer.headers.location, 'upload-limit': /^max-size=\d+, max-age=\d+$/, 'upload-draft-interop-version': '8' })
  t.match([others.length, answer.status, answer.headers['upload-complete']], [0, 201, '?1'])
  t.same((await create('6')).interim, [])
})

t.test('an HTTP/2 client that resets a stream before its body is wanted gets no 100, and the server goes on', async t => {
  const session = openSession(t, server)
  const ask = overHttp2(session)
  await signUp(ask, 'ann')
  for (const [method, path, type] of [['PUT', '/uploads/a', 'text/plain'], ['PUT', '/api/account/password', 'application/json']] as const) {
    // The password is hashed first.
    const stream = beginOn(session, method, path, { user: 'ann:correct horse battery', headers: { expect: '100-continue', 'content-type': type } })
    stream.on('continue', () => t.fail('the body is not wanted any more'))
    await new Promise(resolve => setImmediate(resolve))
    stream.close(constants.NGHTTP2_CANCEL)
    if (!stream.destroyed) await once(stream, 'close')
  }
  t.equal((await ask('GET', '/api/resource', { user: 'ann:correct horse battery' })).status, 200)
})

t.test('downloads that an HTTP/2 client gives up at any time, before the answer too, leave no file open', async t => {
  const token = await signUp(overHttp1(server))
  await overHttp1(server)('PUT', '/uploads/large', { token, body: Buffer.alloc(4 * MIB) })
  for (let turns = 0; turns < 40; turns += isProof ? 1 : 4) {
    // On separate connections: the server closes one with too many cancelled requests.
    const session = openSession(t, server)
    const streams = Array.from({ length: 5 }, () => session.request({ ':path': '/uploads/large', authorization: `Bearer ${token}` }).on('error', () => {}))
    const closed = streams.map(stream => new Promise(resolve => stream.once('close', resolve)))
    await once(session, 'connect')
    for (let turn = 0; turn < turns; turn++) await new Promise(resolve => setImmediate(resolve))
    for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL)
    await Promise.all(closed)
    session.close()
  }
  t.equal((await overHttp1(server)('GET', '/uploads/large', { token })).bytes.length, 4 * MIB)
  t.ok(await eventually(() => openHandles(server.dataDir).length === 0), 'nothing is left open')
})

/** A connection on which the test sends HTTP/2 frames. */
async function dialHttp2 (t: Test, { port, ca }: Place, initialWindowSize = 65_535): Promise<Socket> {
  const socket = connectTls({ host: '127.0.0.1', port, ca, ALPNProtocols: ['h2'] })
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  socket.resume()
  await once(socket, 'secureConnect')
  socket.write(PREFACE)
  socket.write(settingsFrame(initialWindowSize))
  return socket
}

const headOf = (method: string, path: string) => ({ ':method': method, ':scheme': 'https', ':path': path, ':authority': 'localhost' })

t.test('an HTTP/2 connection that breaks the protocol and goes leaves nothing behind', async t => {
  const server = await spawnTls(t, { LOG_LEVEL: 'silent' })
  const openSockets = () => readdirSync(`/proc/${server.child.pid}/fd`).filter(fd => { try { return readlinkSync(`/proc/${server.child.pid}/fd/${fd}`).startsWith('socket:') } catch { return false } }).length
  const before = openSockets()
  for (let round = 0; round < (isProof ? 25 : 3); round++) {
    await Promise.all(Array.from({ length: 20 }, async () => {
      const socket = await dialHttp2(t, server)
      socket.write(headersFrame(1, headOf('GET', '/openapi.json'), { isWhole: true }))
      socket.write(resetFrame(0), () => socket.destroy())
      await once(socket, 'close')
    }))
  }
  t.ok(await eventually(() => openSockets() === before), 'no connection stays open')
  t.equal(await server.end('SIGTERM'), 0)
})

t.test('the body of a refused request is read and dropped, though the HTTP/2 client never takes the answer', async t => {
  const socket = await dialHttp2(t, server, 0)
  const chunks: Buffer[] = []
  socket.on('data', chunk => chunks.push(chunk))
  const allowed = () => readAllowed(Buffer.concat(chunks))
  t.ok(await eventually(() => allowed().initialWindow !== undefined && allowed().later.has(0)))
  socket.write(SETTINGS_ACK)
  const window = allowed().initialWindow as number
  t.ok(window <= MIB, 'the bodies of all streams together fit into memory')
  const refused = [['PUT', '/nowhere'], ['PUT', '/uploads/a'], ['PUT', '/uploads/%ff'], ['POST', '/api/files'], ['GET', '/health/live']] as const
  for (const [index, [method, path]] of refused.entries()) {
    const stream = 1 + 2 * index
    socket.write(headersFrame(stream, headOf(method, path), { isWhole: false }))
    socket.write(dataFrames(stream, Buffer.alloc(window - 1)))
    t.ok(await eventually(() => allowed().later.has(stream)), `${method} ${path}: the client may go on`)
  }
  socket.destroy()
  t.ok(await eventually(async () => await connectionCount(server) === 0))
})

t.test('bytes that are no TLS end the connection, and the server goes on', async t => {
  for (const bytes of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', Buffer.alloc(100), 'nonsense\r\n\r\n']) {
    const socket = connectTcp(server.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.resume()
    socket.write(bytes)
    await once(socket, 'close')
  }
  const socket = connectTls({ host: '127.0.0.1', port: server.port, ca: server.ca, ALPNProtocols: ['http/1.1'] })
  socket.write('nonsense\r\n\r\n')
  const answer = Buffer.concat(await socket.toArray()).toString()
  t.match(answer, /^HTTP\/1\.1 400 .*"code":"malformed_request"/s, 'inside TLS there is an answer')
  t.equal((await overHttp1(server)('GET', '/openapi.json')).status, 200)
})

t.test('SIGHUP brings a new certificate to new connections and drops none; a broken one changes nothing', async t => {
  const server = await spawnTls(t)
  const lines: { level: number, msg: string }[] = []
  server.child.stdout?.on('data', chunk => { for (const line of String(chunk).trim().split('\n')) lines.push(JSON.parse(line)) })
  const session = openSession(t, server)
  const ask = overHttp2(session)
  const token = await signUp(ask)
  const upload = beginOn(session, 'PUT', '/uploads/slow', { token })
  const answer = answerTo(upload)
  upload.write('before ')
  t.equal(await shownName(server), 'localhost')

  const next = await certify(server.dataDir, { name: 'next' })
  await copyFile(next.TLS_CERT, server.files.TLS_CERT)
  server.child.kill('SIGHUP')
  t.ok(await eventually(() => lines.some(line => line.level === 50)), 'a certificate without its key is an error in the log')
  t.equal(await shownName(server), 'localhost', 'and changes nothing')

  await copyFile(next.TLS_KEY, server.files.TLS_KEY)
  server.child.kill('SIGHUP')
  t.ok(await eventually(async () => await shownName(server) === 'next'), 'the new one is shown')
  const place = { port: server.port, ca: await readFile(next.TLS_CERT) }
  const weak = connectTls({ ...place, host: '127.0.0.1', maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0' })
  await t.rejects(once(weak, 'secureConnect'), /handshake failure/i, 'with the cipher suites of before')
  for (const [protocol, again] of clientsOf(t, place)) t.equal((await again('GET', '/api/resource', { token })).status, 200, `${protocol} with the new one`)

  await writeFile(server.files.TLS_CERT, 'no certificate')
  const errors = lines.filter(line => line.level === 50).length
  server.child.kill('SIGHUP')
  t.ok(await eventually(() => lines.filter(line => line.level === 50).length > errors))
  t.equal(await shownName(server), 'next')

  upload.end('and after')
  t.equal((await answer).status, 201, 'the upload that began before')
  t.equal((await ask('GET', '/uploads/slow', { token })).bytes.toString(), 'before and after', 'over the connection that began before')
  session.close()
  t.equal(await server.end('SIGTERM'), 0)
})

t.test('SIGTERM lets HTTP/2 transfers end whole, ends idle connections at once, and exits with 0', async t => {
  // An hour: the test fails if the server waits for clients that keep their connections.
  const server = await spawnTls(t, { LOG_LEVEL: 'silent', IDLE_SECONDS: '3600' })
  const session = openSession(t, server)
  const ask = overHttp2(session)
  const token = await signUp(ask)
  const large = randomBytes(24 * MIB)
  await ask('PUT', '/uploads/large', { token, body: large })

  const download = session.request({ ':path': '/uploads/large', authorization: `Bearer ${token}` })
  const [head] = await once(download, 'response')
  t.equal(head[':status'], 200)
  const upload = beginOn(session, 'PUT', '/uploads/new', { token })
  upload.write(large.subarray(0, MIB))
  t.ok(await eventually(() => readdirSync(join(server.dataDir, 'incoming')).length === 1), 'the upload has begun')
  const idle = await openHardSession(t, server)
  await overHttp2(idle.session)('GET', '/openapi.json')
  const idleHttp1 = connectTls({ host: '127.0.0.1', port: server.port, ca: server.ca, ALPNProtocols: ['http/1.1'] })
  idleHttp1.on('error', () => {})
  idleHttp1.write('GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(idleHttp1, 'data')
  idleHttp1.resume()

  const exit = server.end('SIGTERM')
  await Promise.all([once(idle.socket, 'close'), once(idleHttp1, 'close')])
  t.ok(!session.destroyed, 'the busy connection is still there')
  const answer = answerTo(upload)
  upload.end(large.subarray(MIB))
  t.equal((await answer).status, 201, 'the upload ends')
  t.ok(Buffer.concat(await download.toArray()).equals(large), 'the download ends whole')
  t.equal(await exit, 0, 'and then it is over')
})

t.test('an HTTP/2 connection that is still being opened when the server stops is ended in order', async t => {
  const server = await startTls(t)
  const tcp = connectTcp(server.port, '127.0.0.1')
  await once(tcp, 'connect')
  t.ok(await eventually(async () => await connectionCount(server) === 1))
  const closed = server.close()
  const session = connectHttp2(`https://127.0.0.1:${server.port}`, { createConnection: () => connectTls({ socket: tcp, ca: server.ca, servername: 'localhost', ALPNProtocols: ['h2'] }) })
  session.on('error', () => {})
  const [code] = await once(session, 'goaway')
  t.equal(code, constants.NGHTTP2_NO_ERROR)
  await closed
})
