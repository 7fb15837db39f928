import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { formOf, namesOf, signUp, spawnServer } from '../kit/server.ts'
import { KIB, MIB } from '../kit/sizes.ts'
import { openHandles } from '../kit/stores.ts'
import { eventually } from '../kit/waiting.ts'
import { dial, head, open, parse } from './raw-http.ts'

// What waits for IDLE_SECONDS and other timers of connections without TLS.

t.test('a connection that is kept for a next request says that it ends after IDLE_SECONDS, and does', async t => {
  const { server, authorization } = await open({ IDLE_SECONDS: '1' })
  const wire = dial(t, server)
  wire.socket.write(head('GET', '/api/files', { authorization }))
  t.match(await wire.response(), { status: 200, headers: { connection: 'keep-alive', 'keep-alive': 'timeout=1' } })
  t.equal(await wire.closed, undefined)
})

t.test('transfers without a byte for IDLE_SECONDS are cut, and slow ones that move meanwhile are not', async t => {
  const { server, token, authorization } = await open({ IDLE_SECONDS: '5' })
  const large = randomBytes(24 * MIB)
  await server.send('PUT', '/uploads/large', { token, body: large })
  const form = formOf('form', Buffer.alloc(1000))
  const stalled = Object.entries({
    raw: `${head('PUT', '/uploads/stalled', { authorization, 'content-length': 1000 })}some`,
    chunked: `${head('PUT', '/uploads/stalled', { authorization, 'transfer-encoding': 'chunked' })}4\r\nsome\r\n`,
    form: head('POST', '/', { authorization, ...form.headers, 'content-length': form.body.length }) + form.body.toString().slice(0, 200),
    JSON: `${head('POST', '/api/users', { 'content-type': 'application/json', 'content-length': 1000 })}{`,
    'waiting to continue': head('PUT', '/uploads/stalled', { authorization, expect: '100-continue', 'content-length': 1000 }),
    'nothing at all': ''
  })
  const over = new AbortController()
  const cut = stalled.map(async ([what, text]) => {
    const wire = dial(t, server)
    wire.socket.write(text)
    await wire.closed
    t.notMatch(wire.text(), / 2\d\d /, what)
  })
  async function stalledDownload () {
    const { socket, closed } = dial(t, server)
    socket.write(head('GET', '/uploads/large', { authorization }))
    await once(socket, 'data')
    socket.pause()
    t.ok(await eventually(() => openHandles(server.dataDir).filter(path => path.includes('/blobs/')).length === 1), 'a stalled download is cut, and the slow one is not')
    socket.resume()
    await closed
    t.ok(socket.bytesRead < large.length)
  }
  async function slowUpload () {
    const wire = dial(t, server)
    wire.socket.write(head('PUT', '/uploads/slow', { authorization, 'transfer-encoding': 'chunked' }))
    for (; !over.signal.aborted; await wait(250)) wire.socket.write('1\r\nx\r\n')
    wire.socket.write('0\r\n\r\n')
    t.equal((await wire.response()).status, 201, 'a slow upload')
  }
  async function slowDownload () {
    const wire = dial(t, server)
    wire.socket.write(head('GET', '/uploads/large', { authorization, connection: 'close' }))
    for (; !over.signal.aborted; await wait(250)) {
      const before = wire.socket.bytesRead
      wire.socket.resume()
      while (wire.socket.bytesRead < before + 128 * KIB) await once(wire.socket, 'data')
      wire.socket.pause()
    }
    wire.socket.resume()
    await wire.closed
    t.ok(parse(Buffer.from(wire.text(), 'latin1'))?.body.equals(large), 'a slow download')
  }
  const slow = [slowUpload(), slowDownload()]
  t.ok(await eventually(() => openHandles(server.dataDir).filter(path => path.includes('/blobs/')).length === 1))
  await Promise.all([...cut, stalledDownload()])
  over.abort()
  await Promise.all(slow)
  t.same(await namesOf(server, { token }), ['large', 'slow'])
  t.ok(await eventually(() => openHandles(server.dataDir).length === 0))
})

t.test('a download whose client stops reading is cut before three connections that send nothing are, one after the other', async t => {
  const { server, token, authorization } = await open({ IDLE_SECONDS: '2' })
  await server.send('PUT', '/uploads/large', { token, body: randomBytes(24 * MIB) })
  const { socket } = dial(t, server)
  socket.write(head('GET', '/uploads/large', { authorization }))
  await once(socket, 'data')
  socket.pause()
  const isOpen = () => openHandles(server.dataDir).some(path => path.includes('/blobs/'))
  t.ok(await eventually(isOpen))
  for (let ended = 0; ended < 3; ended++) await dial(t, server).closed
  t.notOk(isOpen())
})

t.test('a refused body that has come whole does not keep a connection open as long as one that has not', async t => {
  const { server } = await open()
  const size = MIB / 2
  const refused = head('PUT', '/uploads/a', { 'content-length': size })
  const [part, whole] = [dial(t, server), dial(t, server)]
  part.socket.write(refused + 'x')
  t.equal((await part.response()).status, 401)
  whole.socket.pause()
  await new Promise(resolve => whole.socket.write(refused + 'x'.repeat(size), resolve))
  whole.socket.resume()
  t.equal((await whole.response()).status, 401)
  t.equal(await Promise.race([whole.closed.then(() => 'whole'), part.closed.then(() => 'part')]), 'whole')
})

t.test('a stalled transfer does not keep a server from stopping', async t => {
  const dataDir = t.testdir()
  const server = await spawnServer(t, { DATA_DIR: dataDir, LOG_LEVEL: 'silent', IDLE_SECONDS: '2' })
  const { token } = await signUp(server)
  const stalled = dial(t, server)
  stalled.socket.write(`${head('PUT', '/uploads/stalled', { authorization: `Bearer ${token}`, 'content-length': 1000 })}some`)
  t.ok(await eventually(() => readdirSync(join(dataDir, 'incoming')).length === 1), 'the upload has begun')
  t.equal(await server.end('SIGTERM'), 0)
  t.same(readdirSync(join(dataDir, 'incoming')), [], 'nothing is left of it')
})
