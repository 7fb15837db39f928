import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { connect as connectHttp2, constants, type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { connect as connectTcp, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { certify } from '../kit/certificates.ts'
import { execute } from '../kit/programs.ts'
import { formOf, runBin, spawnServer, startTls, type Settings, type TlsServer } from '../kit/server.ts'
import { KIB, MIB } from '../kit/sizes.ts'
import { openHandles } from '../kit/stores.ts'
import { eventually } from '../kit/waiting.ts'
import { dataFrames, headersFrame, PREFACE, readAllowed, resetFrame, SETTINGS_ACK, settingsFrame } from './http2-frames.ts'

/** The address of the server, and its certificate. */
interface Place { readonly port: number, readonly ca: Buffer }

const connectionCount = async ({ http: { server } }: TlsServer) => promisify(server.getConnections.bind(server))()

interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  bytes: Buffer
  code: string | undefined
}

interface Asked { headers?: OutgoingHttpHeaders, body?: string | Uint8Array, token?: string, user?: string }

/** A client of one of the two protocols. */
type Ask = (method: string, path: string, asked?: Asked) => Promise<Answer>

async function spawnTls (t: Test, settings: Settings = {}) {
  const folder = t.testdir()
  const dataDir = join(folder, 'data')
  const files = await certify(folder)
  const server = await spawnServer(t, { DATA_DIR: dataDir, ...files, ...settings }, { isCounted: true })
  return { ...server, files, dataDir, ca: await readFile(files.TLS_CERT) }
}

function headersOf ({ headers, token, user }: Asked): OutgoingHttpHeaders {
  return { ...(token && { authorization: `Bearer ${token}` }), ...(user && { authorization: `Basic ${btoa(user)}` }), ...headers }
}

function answerOf (status: number | undefined, headers: Answer['headers'], chunks: Buffer[]): Answer {
  const bytes = Buffer.concat(chunks)
  return { status: status ?? 0, headers, bytes, code: String(headers['content-type']).startsWith('application/problem+json') ? JSON.parse(bytes.toString()).code : undefined }
}

function overHttp1 ({ port, ca }: Place): Ask {
  return async (method, path, asked = {}) => {
    const isSized = asked.body !== undefined && asked.headers?.['transfer-encoding'] === undefined
    const headers = { ...(isSized && { 'content-length': Buffer.byteLength(asked.body ?? '') }), ...headersOf(asked) }
    const request = httpsRequest({ host: '127.0.0.1', port, ca, method, path, agent: false, headers })
    const answered = once(request, 'response')
    // A server that refuses early may stop reading: only the response matters.
    request.on('error', () => {})
    request.end(asked.body)
    const [response] = await answered
    return answerOf(response.statusCode, response.headers, await response.toArray())
  }
}

function openSession (t: Test, { port, ca }: Place, { initialWindowSize = 64 * KIB } = {}): ClientHttp2Session {
  // Node's client applies a limit to data that it has not sent yet.
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca, maxSessionMemory: 256, settings: { initialWindowSize } })
  session.on('error', () => {})
  t.teardown(() => session.destroy())
  return session
}

/** A request whose body the test sends itself. */
function beginOn (session: ClientHttp2Session, method: string, path: string, asked: Asked = {}): ClientHttp2Stream {
  const stream = session.request({ ':method': method, ':path': path, ...headersOf(asked) }, { endStream: false })
  stream.on('error', () => {})
  return stream
}

async function answerTo (stream: ClientHttp2Stream): Promise<Answer> {
  const chunks: Buffer[] = []
  stream.on('data', chunk => chunks.push(chunk))
  const ended = once(stream, 'end')
  const [headers] = await once(stream, 'response')
  await ended
  return answerOf(headers[':status'], headers, chunks)
}

function overHttp2 (session: ClientHttp2Session): Ask {
  return (method, path, asked = {}) => {
    const stream = beginOn(session, method, path, asked)
    const answer = answerTo(stream)
    stream.end(asked.body)
    return answer
  }
}

/** A client of each protocol. */
function clientsOf (t: Test, place: Place): [protocol: string, ask: Ask][] {
  return [['HTTP/1.1', overHttp1(place)], ['HTTP/2', overHttp2(openSession(t, place))]]
}

async function signUp (ask: Ask, username = 'ann'): Promise<string> {
  await ask('POST', '/api/users', { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username, password: 'correct horse battery' }) })
  const { bytes } = await ask('GET', '/api/token', { user: `${username}:correct horse battery` })
  return JSON.parse(bytes.toString()).token
}

/** The name on the certificate that a new connection receives. */
async function shownName ({ port, ca }: Place): Promise<string> {
  const socket = connectTls({ port, host: '127.0.0.1', ca, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  return String(subject.CN)
}

t.test('the whole story over HTTPS, in HTTP/1.1 and in HTTP/2: register, token, upload, download', async t => {
  const server = await startTls(t)
  const large = randomBytes(3 * MIB + 1)
  for (const [protocol, ask] of clientsOf(t, server)) {
    await t.test(protocol, async t => {
      const username = protocol.replace('/', '-')
      const registered = await ask('POST', '/api/users', { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username, password: 'correct horse battery' }) })
      t.equal(registered.status, 201)
      t.match(registered.headers.location, new RegExp(`^https://127\\.0\\.0\\.1:${server.port}/api/users/\\d+$`))
      const { bytes } = await ask('GET', '/api/token', { user: `${username}:correct horse battery` })
      const { token } = JSON.parse(bytes.toString())
      const form = formOf('form.bin', large)
      t.equal((await ask('POST', '/', { token, headers: form.headers, body: form.body })).status, 201)
      t.equal((await ask('PUT', '/uploads/raw.bin', { token, body: large })).status, 201)
      for (const name of ['form.bin', 'raw.bin']) {
        const download = await ask('GET', `/uploads/${name}`, { token })
        t.equal(download.status, 200)
        t.ok(download.bytes.equals(large), name)
        t.equal(download.headers['strict-transport-security'], 'max-age=31536000')
      }
      const range = await ask('GET', '/uploads/raw.bin', { token, headers: { range: 'bytes=5-9' } })
      t.same({ status: range.status, bytes: range.bytes }, { status: 206, bytes: large.subarray(5, 10) })
      const head = await ask('HEAD', '/uploads/raw.bin', { token })
      t.same({ status: head.status, length: head.headers['content-length'] }, { status: 200, length: String(large.length) })
      t.equal((await ask('DELETE', '/uploads/raw.bin', { token })).status, 204)
    })
  }
})

t.test('every kind of refusal over HTTPS is a problem that keeps browsers on HTTPS', async t => {
  const server = await startTls(t)
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
  const server = await startTls(t, { QUOTA_FILES: '1' })
  const token = await signUp(overHttp1(server))
  const ask = overHttp2(openSession(t, server))
  const form = formOf('a.txt', 'bytes')
  for (const status of [201, 200]) t.equal((await ask('POST', '/', { token, ...form })).status, status)
  t.match(await ask('POST', '/', { token, headers: { ...form.headers, 'content-length': '0' } }), { status: 413, code: 'quota_exceeded' })
})

t.test('curl does the whole story with --http2 and with --http1.1', async t => {
  const server = await startTls(t)
  const folder = t.testdirName
  const certificate = join(folder, 'localhost-2.crt')
  await writeFile(join(folder, 'report.bin'), randomBytes(2 * MIB))
  for (const [option, version] of [['--http2', '2'], ['--http1.1', '1.1']] as const) {
    const curl = async (...args: string[]) => (await execute('curl', ['-sS', option, '--cacert', certificate, '-w', '\n%{http_version} %{http_code}', ...args], { maxBuffer: 8 * MIB })).stdout.split('\n')
    const at = `https://127.0.0.1:${server.port}`
    const username = `curl-${version}`
    t.equal((await curl('-H', 'Content-Type: application/json', '-d', JSON.stringify({ username, password: 'pwd' }), `${at}/api/users`)).at(-1), `${version} 201`)
    const [body = '', outcome] = await curl('-u', `${username}:pwd`, `${at}/api/token`)
    t.equal(outcome, `${version} 200`)
    const authorization = `Authorization:Token ${JSON.parse(body).token}`
    t.equal((await curl('-H', authorization, '-F', `file=@${join(folder, 'report.bin')}`, `${at}/`)).at(-1), `${version} 201`)
    t.equal((await curl('-H', authorization, '-T', join(folder, 'report.bin'), `${at}/uploads/put.bin`)).at(-1), `${version} 201`)
    for (const name of ['report.bin', 'put.bin']) {
      t.equal((await curl('-H', authorization, '-o', join(folder, 'back.bin'), `${at}/uploads/${name}`)).at(-1), `${version} 200`)
      t.ok((await readFile(join(folder, 'back.bin'))).equals(await readFile(join(folder, 'report.bin'))), `${option}: ${name}`)
    }
    t.equal((await curl('-T', join(folder, 'report.bin'), `${at}/uploads/refused.bin`)).at(-1), `${version} 401`)
  }
})

t.test('a refusal reaches a client that is still sending its body, and the connection goes on in HTTP/2', async t => {
  const server = await startTls(t, { MAX_FILE_BYTES: String(MIB) })
  const body = Buffer.alloc(8 * MIB)
  for (const [protocol, ask] of clientsOf(t, server)) {
    const token = await signUp(ask, protocol.replace('/', '-'))
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
    t.equal((await ask('PUT', '/uploads/fits', { token, body: body.subarray(0, MIB) })).status, 201, `${protocol}: what fits is taken`)
  }
  t.ok(await eventually(() => openHandles(server.dataDir).length === 0))
})

t.test('over HTTP/2 a client is told to stop sending what was refused, without an error', async t => {
  const server = await startTls(t, { MAX_FILE_BYTES: String(MIB) })
  const session = openSession(t, server)
  const token = await signUp(overHttp2(session))
  for (const asked of [{}, { token }]) {
    const stream = beginOn(session, 'PUT', '/uploads/a', asked)
    const answer = answerTo(stream)
    stream.write(Buffer.alloc(2 * MIB))
    t.match(await answer, { status: asked.token === undefined ? 401 : 413 })
    t.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR)
    t.ok(stream.closed, 'though the request never ended')
  }
})

t.test('Expect: 100-continue over HTTP/2 is answered with 100 only where the body is wanted', async t => {
  const server = await startTls(t)
  const session = openSession(t, server)
  const token = await signUp(overHttp2(session))
  const wanted = beginOn(session, 'PUT', '/uploads/a', { token, headers: { expect: '100-continue' } })
  const answer = answerTo(wanted)
  await once(wanted, 'continue')
  wanted.end('bytes')
  t.equal((await answer).status, 201)
  const refused = beginOn(session, 'PUT', '/uploads/b', { headers: { expect: '100-continue' } })
  refused.on('continue', () => t.fail('the body is not wanted'))
  t.equal((await answerTo(refused)).status, 401)
  const strange = beginOn(session, 'GET', '/openapi.json', { headers: { expect: 'the-unexpected' } })
  strange.end()
  t.equal((await answerTo(strange)).status, 200, 'another expectation is passed over')
})

t.test('104 over HTTP/2 tells clients of the draft where the upload is', async t => {
  const server = await startTls(t)
  const session = openSession(t, server)
  const token = await signUp(overHttp2(session))
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

t.test('many large transfers share one HTTP/2 connection', async t => {
  const server = await startTls(t)
  const session = openSession(t, server)
  const ask = overHttp2(session)
  const token = await signUp(ask)
  const files = Array.from({ length: 8 }, () => randomBytes(6 * MIB))
  const uploads = await Promise.all(files.map((body, index) => ask('PUT', `/uploads/${index}`, { token, body })))
  t.same(uploads.map(answer => answer.status), files.map(() => 201))
  const downloads = await Promise.all(files.map((_, index) => ask('GET', `/uploads/${index}`, { token })))
  t.ok(downloads.every((answer, index) => answer.bytes.equals(files[index] as Buffer)))
})

t.test('a transfer without a byte for IDLE_SECONDS is cut, a slow one that moves is not, in both protocols', async t => {
  const server = await startTls(t, { IDLE_SECONDS: '2' })
  const session = openSession(t, server)
  const token = await signUp(overHttp2(session))
  const large = randomBytes(8 * MIB)
  await overHttp2(session)('PUT', '/uploads/large', { token, body: large })

  async function slowHttp2 () {
    const stream = beginOn(session, 'PUT', '/uploads/slow-2', { token })
    const answer = answerTo(stream)
    for (let sent = 0; sent < 12; sent++) {
      stream.write('x')
      await wait(250)
    }
    stream.end()
    t.equal((await answer).status, 201, 'a slow upload in HTTP/2')
  }
  async function slowHttp1 () {
    const request = httpsRequest({ host: '127.0.0.1', port: server.port, ca: server.ca, method: 'PUT', path: '/uploads/slow-1', agent: false, headers: { authorization: `Bearer ${token}` } })
    const answered = once(request, 'response')
    for (let sent = 0; sent < 12; sent++) {
      request.write('x')
      await wait(250)
    }
    request.end()
    const [response] = await answered
    t.equal(response.statusCode, 201, 'a slow upload in HTTP/1.1')
    response.resume()
  }
  async function slowDownload () {
    const stream = openSession(t, server).request({ ':path': '/uploads/large', authorization: `Bearer ${token}` })
    const chunks: Buffer[] = []
    stream.on('data', chunk => {
      chunks.push(chunk)
      if (chunks.length % 64 !== 0) return
      stream.pause()
      setTimeout(() => stream.resume(), 400)
    })
    await once(stream, 'end')
    t.ok(Buffer.concat(chunks).equals(large), 'a slow download in HTTP/2')
  }
  async function stalledUpload () {
    const stream = beginOn(session, 'PUT', '/uploads/stalled-2', { token })
    stream.write('some')
    const begun = Date.now()
    await once(stream, 'close')
    t.ok(Date.now() - begun > 1900, 'not before its time')
    t.equal(stream.rstCode, constants.NGHTTP2_CANCEL, 'a stalled upload in HTTP/2')
  }
  async function stalledDownload () {
    const stream = session.request({ ':path': '/uploads/large', authorization: `Bearer ${token}` })
    stream.on('error', () => {})
    await once(stream, 'response')
    t.ok(await eventually(() => stream.closed), 'a stalled download in HTTP/2')
    stream.resume()
  }
  async function stalledHttp1 () {
    const socket = connectTls({ host: '127.0.0.1', port: server.port, ca: server.ca, ALPNProtocols: ['http/1.1'] })
    socket.write(`PUT /uploads/stalled-1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Length: 1000\r\n\r\nsome`)
    socket.on('error', () => {})
    socket.resume()
    await once(socket, 'close')
    t.pass('a stalled upload in HTTP/1.1')
  }
  await Promise.all([slowHttp2(), slowHttp1(), slowDownload(), stalledUpload(), stalledDownload(), stalledHttp1()])
  t.ok(await eventually(() => openHandles(server.dataDir).length === 0), 'nothing is left open')
  const { bytes } = await overHttp1(server)('GET', '/api/files', { token })
  t.same(JSON.parse(bytes.toString()).files.map((file: { name: string }) => file.name), ['large', 'slow-1', 'slow-2'])
})

t.test('downloads that their clients stop reading are cut after at most twice IDLE_SECONDS, in both protocols', async t => {
  const server = await startTls(t, { IDLE_SECONDS: '2' })
  const token = await signUp(overHttp1(server))
  await overHttp1(server)('PUT', '/uploads/large', { token, body: Buffer.alloc(24 * MIB) })
  // The upload has a connection of its own: over HTTP/2 Node only knows whether a connection moves, not which of its
  // streams.
  const [over1, over2, uploading] = [connectTls({ host: '127.0.0.1', port: server.port, ca: server.ca }), openSession(t, server), openSession(t, server)]
  t.teardown(() => over1.destroy())
  over1.on('error', () => {}).write(`GET /uploads/large HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`)
  await once(over1, 'readable')
  for (let begun = 0; begun < 2; begun++) await once(over2.request({ ':path': '/uploads/large', authorization: `Bearer ${token}` }).on('error', () => {}), 'response')
  t.equal(openHandles(server.dataDir).length, 3, 'the downloads have begun')

  const upload = beginOn(uploading, 'PUT', '/uploads/stalled', { token })
  upload.write('some')
  await wait(1000)
  t.equal(openHandles(server.dataDir).length, 4, 'none is cut before its time')
  for (let paused = 0; paused < 2; paused++) {
    upload.write('more')
    await wait(1000)
  }
  upload.write('more')
  // Five seconds after the beginning.
  await once(upload, 'close')
  t.equal(upload.rstCode, constants.NGHTTP2_CANCEL)
  t.same(openHandles(server.dataDir).filter(path => path.includes('/blobs/')), [], 'the downloads were cut before')
})

t.test('downloads on one HTTP/2 connection go on as long as their client reads them, though slowly', async t => {
  const server = await startTls(t, { IDLE_SECONDS: '1' })
  const session = openSession(t, server)
  const token = await signUp(overHttp2(session))
  const large = randomBytes(2 * MIB)
  await overHttp2(session)('PUT', '/uploads/large', { token, body: large })
  // Each piece that the server reads from the disk takes longer than the idle time.
  const slowly = async () => {
    const stream = session.request({ ':path': '/uploads/large', authorization: `Bearer ${token}` })
    const chunks: Buffer[] = []
    for await (const chunk of stream) {
      chunks.push(chunk)
      await wait(chunk.length / 300)
    }
    return Buffer.concat(chunks).equals(large)
  }
  t.strictSame(await Promise.all([slowly(), slowly(), slowly()]), [true, true, true])
})

t.test('an HTTP/2 client that resets a stream before its body is wanted gets no 100, and the server goes on', async t => {
  const server = await startTls(t)
  const session = openSession(t, server)
  const ask = overHttp2(session)
  await signUp(ask)
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

/** A session over a connection that the test can stop reading. */
async function openHardSession (
  t: Test, { port, ca }: Place
): Promise<{ session: ClientHttp2Session, socket: Socket }> {
  const socket = connectTls({ host: '127.0.0.1', port, ca, ALPNProtocols: ['h2'] })
  await once(socket, 'secureConnect')
  const session = connectHttp2(`https://127.0.0.1:${port}`, { createConnection: () => socket })
  session.on('error', () => {})
  t.teardown(() => socket.destroy())
  return { session, socket }
}

t.test('downloads that an HTTP/2 client gives up at any time, before the answer too, leave no file open', async t => {
  const server = await startTls(t)
  const token = await signUp(overHttp1(server))
  await overHttp1(server)('PUT', '/uploads/large', { token, body: Buffer.alloc(4 * MIB) })
  for (let turns = 0; turns < 40; turns++) {
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

t.test('a client that waits for the server longer than IDLE_SECONDS is answered, in both protocols', async t => {
  const server = await startTls(t, { IDLE_SECONDS: '1', RATE_LIMIT_PER_MINUTE: '0' })
  await signUp(overHttp1(server))
  // Hashing takes turns, so the last of them wait for seconds.
  const signIns = Array.from({ length: 3 }, () => clientsOf(t, server)).flat()
    .flatMap(([protocol, ask]) => Array.from({ length: 40 }, async () => `${protocol} ${(await ask('GET', '/api/token', { user: 'ann:correct horse battery' })).status}`))
  t.same(new Set(await Promise.all(signIns)), new Set(clientsOf(t, server).map(([protocol]) => `${protocol} 200`)))
})

t.test('the HTTP/2 connection of a client that stops reading is closed, and its resources are released', async t => {
  const server = await startTls(t, { IDLE_SECONDS: '1' })
  const token = await signUp(overHttp1(server))
  await overHttp1(server)('PUT', '/uploads/large', { token, body: Buffer.alloc(24 * MIB) })
  // Through a relay that the test can stop, because Node's client reads even if its user does not.
  const relay = await openRelay(t, server)
  const session = openSession(t, { ...server, port: relay.port }, { initialWindowSize: 32 * MIB })
  const stream = session.request({ ':path': '/uploads/large', authorization: `Bearer ${token}` })
  stream.on('error', () => {})
  await once(stream, 'response')
  session.setLocalWindowSize(64 * MIB)
  stream.once('data', () => relay.stall())
  t.ok(await eventually(() => openHandles(server.dataDir).length === 0), 'the file is let go')
  t.ok(await eventually(async () => await connectionCount(server) === 0), 'and so is the connection')
  t.ok(relay.received() < 24 * MIB, 'though not all of it had gone')
})

/** Relays bytes between a client and a server, until it is told to stop reading from the server. */
async function openRelay (t: Test, { port }: Place): Promise<{ port: number, stall (): void, received (): number }> {
  const upstream = connectTcp(port, '127.0.0.1')
  upstream.on('error', () => {})
  const relay = createServer(client => {
    client.on('error', () => {})
    client.pipe(upstream)
    upstream.pipe(client)
    t.teardown(() => client.destroy())
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  t.teardown(() => { upstream.destroy(); relay.close() })
  return {
    port: (relay.address() as AddressInfo).port,
    stall () { upstream.unpipe(); upstream.pause() },
    received: () => upstream.bytesRead
  }
}

t.test('an idle HTTP/2 connection is ended after IDLE_SECONDS, in order', async t => {
  const server = await startTls(t, { IDLE_SECONDS: '1' })
  const session = openSession(t, server)
  const begun = Date.now()
  await overHttp2(session)('GET', '/openapi.json')
  await once(session, 'close')
  t.ok(Date.now() - begun > 900)
})

t.test('an HTTP/2 client that keeps its half of the connection open is cut', async t => {
  const server = await startTls(t, { IDLE_SECONDS: '1' })
  const { session, socket } = await openHardSession(t, server)
  await overHttp2(session)('GET', '/openapi.json')
  await once(socket, 'close')
  t.pass()
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
  for (let round = 0; round < 25; round++) {
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
  const server = await startTls(t)
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
  const server = await startTls(t)
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

t.test('an HTTP/2 transfer that stalls does not keep a server from stopping', async t => {
  const server = await startTls(t, { IDLE_SECONDS: '1' })
  const session = openSession(t, server)
  const token = await signUp(overHttp2(session))
  const upload = beginOn(session, 'PUT', '/uploads/stalled', { token })
  upload.write('some')
  t.ok(await eventually(() => openHandles(server.dataDir).length > 0), 'the upload has begun')
  await server.close()
  t.same(readdirSync(join(server.dataDir, 'incoming')), [])
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

t.test('TLS settings that can not be used are one line and exit 2', async t => {
  const folder = t.testdir({ 'garbage.pem': 'garbage' })
  const { TLS_CERT, TLS_KEY } = await certify(folder)
  const other = await certify(folder, { name: 'other' })
  const settings: [what: string, settings: Settings, names: RegExp][] = [
    ['TLS_CERT alone', { TLS_CERT }, /TLS_KEY/],
    ['TLS_KEY alone', { TLS_KEY }, /TLS_CERT/],
    ['a certificate that is not there', { TLS_CERT: join(folder, 'nowhere'), TLS_KEY }, /TLS_CERT/],
    ['a key that is not there', { TLS_CERT, TLS_KEY: join(folder, 'nowhere') }, /TLS_KEY/],
    ['no certificate', { TLS_CERT: join(folder, 'garbage.pem'), TLS_KEY }, /TLS_CERT/],
    ['the key of another', { TLS_CERT, TLS_KEY: other.TLS_KEY }, /TLS_KEY/]
  ]
  await Promise.all(settings.map(async ([what, wrong, names]) => {
    const { code, stdout, stderr } = await runBin(['serve'], { DATA_DIR: folder, PORT: '0', ...wrong })
    t.equal(code, 2, what)
    t.match(stderr, /^magicstore: [^\n]+\n$/, what)
    t.match(stderr, names, what)
    t.equal(stdout, '', what)
  }))
})
