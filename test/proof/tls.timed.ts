import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { constants } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { connect as connectTcp, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import { startTls } from '../kit/server.ts'
import { MIB } from '../kit/sizes.ts'
import { openHandles } from '../kit/stores.ts'
import { eventually } from '../kit/waiting.ts'
import {
  answerTo, beginOn, clientsOf, connectionCount, openHardSession, openSession, overHttp1, overHttp2, signUp, type Place
} from './tls-clients.ts'

// What waits for IDLE_SECONDS, in both protocols over TLS.

t.test('transfers without a byte for IDLE_SECONDS are cut, and slow ones that move meanwhile are not', async t => {
  const server = await startTls(t, { IDLE_SECONDS: '5' })
  const token = await signUp(overHttp1(server))
  const authorization = `Bearer ${token}`
  const large = randomBytes(24 * MIB)
  await overHttp1(server)('PUT', '/uploads/large', { token, body: large })
  const over = new AbortController()

  async function slowHttp2 () {
    // On a connection of its own: over HTTP/2 Node only knows whether a connection moves, not which of its streams.
    const stream = beginOn(openSession(t, server), 'PUT', '/uploads/slow-2', { token })
    const answer = answerTo(stream)
    for (; !over.signal.aborted; await wait(250)) stream.write('x')
    stream.end()
    t.equal((await answer).status, 201, 'a slow upload in HTTP/2')
  }
  async function slowHttp1 () {
    const request = httpsRequest({ host: '127.0.0.1', port: server.port, ca: server.ca, method: 'PUT', path: '/uploads/slow-1', agent: false, headers: { authorization } })
    const answered = once(request, 'response')
    for (; !over.signal.aborted; await wait(250)) request.write('x')
    request.end()
    const [response] = await answered
    t.equal(response.statusCode, 201, 'a slow upload in HTTP/1.1')
    response.resume()
  }
  /** Each piece that the server reads from the disk is taken for longer than the idle time. */
  async function slowDownloads () {
    const session = openSession(t, server)
    await Promise.all([1, 2].map(async () => {
      const chunks: Buffer[] = []
      for await (const chunk of session.request({ ':path': '/uploads/large', authorization })) {
        chunks.push(chunk)
        if (!over.signal.aborted) await wait(chunk.length / 100)
      }
      t.ok(Buffer.concat(chunks).equals(large), 'a slow download in HTTP/2')
    }))
  }
  const slow = [slowHttp2(), slowHttp1(), slowDownloads()]
  t.ok(await eventually(() => openHandles(server.dataDir).length === 4), 'the slow ones have begun')

  async function stalledUploads () {
    const stream = beginOn(openSession(t, server), 'PUT', '/uploads/stalled-2', { token })
    stream.write('some')
    const socket = connectTls({ host: '127.0.0.1', port: server.port, ca: server.ca, ALPNProtocols: ['http/1.1'] })
    socket.on('error', () => {}).resume()
    socket.write(`PUT /uploads/stalled-1 HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\nContent-Length: 1000\r\n\r\nsome`)
    await Promise.all([once(stream, 'close'), once(socket, 'close')])
    t.equal(stream.rstCode, constants.NGHTTP2_CANCEL)
  }
  async function stalledDownloads () {
    const [over1, over2] = [connectTls({ host: '127.0.0.1', port: server.port, ca: server.ca }), openSession(t, server)]
    t.teardown(() => over1.destroy())
    over1.on('error', () => {}).write(`GET /uploads/large HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\n\r\n`)
    await once(over1, 'readable')
    for (let begun = 0; begun < 2; begun++) await once(over2.request({ ':path': '/uploads/large', authorization }).on('error', () => {}), 'response')
  }
  await Promise.all([stalledUploads(), stalledDownloads()])
  t.ok(await eventually(() => openHandles(server.dataDir).length === 4), 'all that stall are cut, and only those')
  over.abort()
  await Promise.all(slow)
  t.ok(await eventually(() => openHandles(server.dataDir).length === 0), 'nothing is left open')
  const { bytes } = await overHttp1(server)('GET', '/api/files', { token })
  t.same(JSON.parse(bytes.toString()).files.map((file: { name: string }) => file.name), ['large', 'slow-1', 'slow-2'])
})

t.test('a client that waits for the server longer than IDLE_SECONDS is answered, in both protocols', async t => {
  const server = await startTls(t, { IDLE_SECONDS: '1', RATE_LIMIT_PER_MINUTE: '0' })
  await signUp(overHttp1(server), 'ann')
  // Hashing takes turns, so the last of them wait for seconds.
  const signIns = Array.from({ length: 2 }, () => clientsOf(t, server)).flat()
    .flatMap(([protocol, ask]) => Array.from({ length: 30 }, async () => `${protocol} ${(await ask('GET', '/api/token', { user: 'ann:correct horse battery' })).status}`))
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

t.test('an idle HTTP/2 connection is ended after IDLE_SECONDS, in order, and one that its client keeps open is cut', async t => {
  const server = await startTls(t, { IDLE_SECONDS: '3' })
  const hard = await openHardSession(t, server)
  const session = openSession(t, server)
  const ended = Promise.all([once(session, 'goaway'), once(session, 'close'), once(hard.socket, 'close')])
  const answers = await Promise.all([session, hard.session].map(each => overHttp2(each)('GET', '/openapi.json')))
  t.strictSame(answers.map(({ status }) => status), [200, 200])
  const [goaway] = await ended
  t.equal(goaway[0], constants.NGHTTP2_NO_ERROR)
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
