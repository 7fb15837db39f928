import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { digestField } from '../kit/digests.ts'
import { formOf, namesOf, signUp, spawnServer, startServer } from '../kit/server.ts'
import { MIB } from '../kit/sizes.ts'
import { openHandles } from '../kit/stores.ts'
import { eventually } from '../kit/waiting.ts'
import { dial, head, open, parse, statuses, type Response } from './raw-http.ts'

function codeIn ({ body }: Response): string {
  return JSON.parse(body.toString()).code
}

/** Heads of requests that are refused before their body is read, with the reason. */
function refusedHeads (authorization: string, bodyLength: Record<string, string | number>) {
  const form = { 'content-type': 'multipart/form-data; boundary=x' }
  return [
    ['no credentials, raw', 401, 'credentials_missing', head('PUT', '/uploads/a', bodyLength)],
    ['no credentials, form', 401, 'credentials_missing', head('POST', '/', { ...form, ...bodyLength })],
    ['a bad token', 401, 'token_malformed', head('PUT', '/uploads/a', { authorization: 'Bearer bad', ...bodyLength })],
    ['a bad password', 401, 'credentials_wrong', head('PUT', '/uploads/a', { authorization: `Basic ${btoa('ann:bad')}`, ...bodyLength })],
    ['a bad name', 400, 'name_invalid', head('PUT', '/uploads/%2F', { authorization, ...bodyLength })],
    ['an extension', 415, 'extension_not_allowed', head('PUT', '/uploads/a.exe', { authorization, ...bodyLength })],
    ['an encoding', 415, 'content_encoding_unsupported', head('PUT', '/uploads/a.bin', { authorization, 'content-encoding': 'gzip', ...bodyLength })],
    ['a type that is no form', 415, 'unsupported_media_type', head('POST', '/', { authorization, 'content-type': 'application/json', ...bodyLength })],
    ['a range', 400, 'content_range_invalid', head('PUT', '/uploads/a.bin', { authorization, 'content-range': 'bytes 0-1/2', ...bodyLength })],
    ['a malformed digest', 400, 'digest_malformed', head('POST', '/', { authorization, 'content-digest': '?', ...form, ...bodyLength })],
    ['a precondition', 412, 'precondition_failed', head('PUT', '/uploads/a.bin', { authorization, 'if-match': '*', ...bodyLength })],
    ['an address', 404, 'not_found', head('PUT', '/nowhere', { authorization, ...bodyLength })],
    ['a method', 405, 'method_not_allowed', head('PUT', '/api/files', { authorization, ...bodyLength })],
    ['a JSON route sent a form', 415, 'unsupported_media_type', head('POST', '/api/users', { ...form, ...bodyLength })]
  ] as const
}

function tooLargeHeads (authorization: string) {
  return [
    ['a file announced too large', 413, 'file_too_large', head('PUT', '/uploads/a.bin', { authorization, 'content-length': 9 * MIB })],
    ['a form announced too large', 413, 'file_too_large', head('POST', '/', { authorization, 'content-type': 'multipart/form-data; boundary=x', 'content-length': 9 * MIB })],
    ['JSON announced too large', 413, 'body_too_large', head('POST', '/api/users', { 'content-type': 'application/json', 'content-length': 9 * MIB })]
  ] as const
}

const limits = { MAX_FILE_BYTES: String(MIB), ALLOWED_EXTENSIONS: 'bin' }

t.test('what is refused by its head is never told to continue, and the connection ends', async t => {
  const { server, token, authorization } = await open(limits)
  const refusals = [...refusedHeads(authorization, { 'content-length': 1000 }), ...refusedHeads(authorization, { 'transfer-encoding': 'chunked' }), ...tooLargeHeads(authorization)]
  await Promise.all(refusals.map(async ([what, status, code, text]) => {
    const wire = dial(t, server)
    wire.socket.write(text.replace('\r\n\r\n', '\r\nExpect: 100-continue\r\n\r\n'))
    const response = await wire.response()
    t.same({ status: response.status, code: codeIn(response), connection: response.headers.connection }, { status, code, connection: 'close' }, what)
    t.equal(await wire.closed, undefined, `${what}: the connection ends in order`)
    t.notMatch(wire.text(), 'HTTP/1.1 100', `${what}: no 100`)
  }))
  t.same(await namesOf(server, { token }), [])
})

t.test('what is accepted by its head is told to continue, once, before its body is read', async t => {
  const { server, token, authorization } = await open()
  const form = formOf('form.bin', 'bytes of a form')
  const uploads: [what: string, text: string, body: string | Buffer][] = [
    ['raw', head('PUT', '/uploads/raw.bin', { authorization, expect: '100-continue', 'content-length': 5 }), 'bytes'],
    ['raw, chunked', head('PUT', '/uploads/chunked.bin', { authorization, expect: '100-Continue', 'transfer-encoding': 'chunked' }), '5\r\nbytes\r\n0\r\n\r\n'],
    ['form', head('POST', '/', { authorization, expect: '100-continue', ...form.headers, 'content-length': form.body.length }), form.body],
    ['JSON', head('POST', '/api/users', { expect: '100-continue', 'content-type': 'application/json', 'content-length': 33 }), '{"username":"b","password":"pwd"}\n']
  ]
  for (const [what, text, body] of uploads) {
    const wire = dial(t, server)
    wire.socket.write(text)
    await wire.until('HTTP/1.1 100 Continue\r\n\r\n')
    t.equal(wire.text(), 'HTTP/1.1 100 Continue\r\n\r\n', `${what}: nothing but 100`)
    wire.socket.write(body)
    t.equal((await wire.response()).status, 201, what)
    t.equal(wire.text().split('HTTP/1.1 100').length, 2, `${what}: one 100`)
    wire.socket.end()
  }
  for (const [name, expect, what] of [['other', 'the-unexpected', 'an expectation that is not known is passed over'], ['eager', '100-continue', 'a client that does not wait']] as const) {
    const wire = dial(t, server)
    wire.socket.write(`${head('PUT', `/uploads/${name}.bin`, { authorization, expect, 'content-length': 5 })}bytes`)
    t.equal((await wire.response()).status, 201, what)
  }
  t.same(await namesOf(server, { token }), ['chunked.bin', 'eager.bin', 'form.bin', 'other.bin', 'raw.bin'])
})

t.test('a refusal reaches a client that is still sending megabytes', async t => {
  const { server, token, authorization } = await open(limits)
  await server.send('PUT', '/uploads/there.bin', { token, body: 'there' })
  const announced = { 'content-length': 8 * MIB }
  const chunked = { 'transfer-encoding': 'chunked' }
  const part = (name: string) => `--x\r\ncontent-disposition: form-data; name="file"; filename="${name}"\r\n\r\n`
  const form = { authorization, 'content-type': 'multipart/form-data; boundary=x' }
  const oneChunk = `${(8 * MIB).toString(16)}\r\n`
  const refusals: (readonly [what: string, status: number, code: string, text: string])[] = [
    ...refusedHeads(authorization, announced),
    ...refusedHeads(authorization, chunked).map(([what, status, code, text]) => [`${what}, chunked`, status, code, text + oneChunk] as const),
    ...tooLargeHeads(authorization),
    ['a file too large, chunked', 413, 'file_too_large', head('PUT', '/uploads/a.bin', { authorization, ...chunked }) + oneChunk],
    ['a file too large in a form, chunked', 413, 'file_too_large', head('POST', '/', { ...form, ...chunked }) + oneChunk + part('a.bin')],
    ['a bad name in a form', 400, 'name_invalid', head('POST', '/', { ...form, ...chunked }) + oneChunk + part('..')],
    ['an extension in a form', 415, 'extension_not_allowed', head('POST', '/', { ...form, ...chunked }) + oneChunk + part('a.exe')],
    ['a second file in a form', 400, 'file_unexpected', head('POST', '/', { ...form, ...chunked }) + oneChunk + `${part('a.bin')}\r\n${part('b.bin')}`],
    ['a malformed form', 400, 'malformed_multipart', head('POST', '/', { ...form, ...chunked }) + oneChunk + part('\uFFFD.bin')]
  ]
  await Promise.all(refusals.map(async ([what, status, code, text]) => {
    const wire = dial(t, server)
    wire.socket.write(text)
    for (let sent = 0; sent < 8 && !wire.socket.destroyed; sent += 0.25) wire.socket.write(Buffer.alloc(MIB / 4))
    const response = await wire.response()
    t.same({ status: response.status, code: codeIn(response), connection: response.headers.connection }, { status, code, connection: 'close' }, what)
    await wire.closed
    t.equal(wire.text().split('HTTP/1.1 ').length, 2, `${what}: one answer, and then the end`)
  }))
  t.same(await namesOf(server, { token }), ['there.bin'])
  t.ok(await eventually(() => openHandles(server.dataDir).length === 0))
})

t.test('a refusal reaches a client that reads only once it has sent everything', async t => {
  const { server, authorization } = await open(limits)
  const size = 2 * MIB
  const form = { authorization, 'content-type': 'multipart/form-data; boundary=x', 'content-length': MIB / 2 }
  for (const [status, text, bytes] of [
    ...refusedHeads(authorization, { 'content-length': MIB / 2 }).map(([, status, , text]) => [status, text, MIB / 2] as const),
    [413, head('PUT', '/uploads/a.bin', { authorization, 'content-length': size }), size],
    [400, head('POST', '/', form) + '--x\r\ncontent-disposition: form-data; name="file"; filename=".."\r\n\r\n', MIB / 2],
    [400, head('POST', '/', form) + '--x\r\ncontent-disposition: form-data; name="file"; filename="\uFFFD"\r\n\r\n', MIB / 2]
  ] as const) {
    const wire = dial(t, server)
    wire.socket.pause()
    const request = Buffer.alloc(text.indexOf('\r\n\r\n') + 4 + bytes)
    request.write(text)
    await new Promise<void>((resolve, reject) => wire.socket.write(request, error => error ? reject(error) : resolve()))
    wire.socket.resume()
    t.equal((await wire.response()).status, status, String(text.split('\r\n')[0]))
    t.equal(await wire.closed, undefined, 'the connection ends in order')
  }
})

t.test('a connection goes on after a refusal whose body was read', async t => {
  const { server, authorization } = await open()
  const wire = dial(t, server)
  const digest = { 'content-digest': `sha-256=:${Buffer.alloc(32).toString('base64')}:` }
  wire.socket.write(`${head('PUT', '/uploads/a', { authorization, ...digest, 'content-length': 5 })}bytes`)
  const refusal = await wire.response()
  t.match(refusal, { status: 400, headers: { connection: 'keep-alive' } })
  wire.socket.write(`${head('PUT', '/uploads/a', { authorization, 'content-length': 5 })}bytes`)
  await wire.until('HTTP/1.1 201 ')
  wire.socket.write(head('GET', '/api/resource') + head('GET', '/uploads/a', { authorization, connection: 'close' }))
  t.equal(await wire.closed, undefined)
  t.strictSame(statuses(wire.text()), [400, 201, 401, 200], 'also behind one without a body')
  t.ok(wire.text().endsWith('\r\n\r\nbytes'))
})

t.test('an upload without any length is an empty one, and a request whose method has no use for its body is answered whole', async t => {
  const { server, token, authorization } = await open()
  for (const [text, status, connection] of [
    [head('PUT', '/uploads/empty', { authorization }), 201, 'keep-alive'],
    [head('POST', '/', { authorization, 'content-type': 'multipart/form-data; boundary=x' }), 400, 'keep-alive'],
    [head('POST', '/', { authorization }), 400, 'keep-alive'],
    [`${head('GET', '/uploads/empty', { authorization, 'content-length': 1000 })}partly`, 200, /./]
  ] as const) {
    const wire = dial(t, server)
    wire.socket.write(text)
    t.match(await wire.response(), { status, headers: { connection } })
    if (status === 200) await wire.closed
  }
  t.same(await namesOf(server, { token }), ['empty'])
})

t.test('a client that closes its half of the connection behind its requests gets every answer', async t => {
  const { server, token, user, authorization } = await open()
  const put = `${head('PUT', '/uploads/a', { authorization, 'content-length': 5 })}bytes`
  const basic = head('GET', '/api/resource', { authorization: `Basic ${btoa(user.join(':'))}` })
  const get = head('GET', '/uploads/a', { authorization })
  for (const [requests, expected] of [[put, [201]], [basic, [200]], [put + get + head('DELETE', '/uploads/a', { authorization }) + get, [200, 200, 204, 404]]] as const) {
    const wire = dial(t, server)
    wire.socket.end(requests)
    t.equal(await wire.closed, undefined)
    t.strictSame(statuses(wire.text()), expected, 'one after the other')
  }
  const cut = dial(t, server)
  cut.socket.end(`${head('PUT', '/uploads/cut', { authorization, 'content-length': 10 })}bytes`)
  await cut.closed
  t.notMatch(cut.text(), / 20\d /)
  t.same(await namesOf(server, { token }), [])
  t.ok(await eventually(() => openHandles(server.dataDir).length === 0))
})

t.test('what Node lets pass and others would read in another way is refused', async t => {
  const { server, token, authorization } = await open()
  await server.send('PUT', '/uploads/report', { token, body: 'precious' })
  const lines: [method: string, path: string, headers: Record<string, string>, body: string][] = [
    ['PUT', '/uploads/report#2.pdf', { 'content-length': '1' }, 'x'],
    ['GET', '/uploads/report#', {}, ''],
    ['PUT', '/uploads/coded', { 'transfer-encoding': 'gzip, chunked' }, '1\r\nx\r\n0\r\n\r\n'],
    ['GET', '/api/files?prefix=%FF', {}, ''],
    ['GET', '/api/files?prefix=%', {}, '']
  ]
  for (const [method, path, headers, body] of lines) {
    const wire = dial(t, server)
    wire.socket.write(`${head(method, path, { authorization, ...headers })}${body}`)
    const response = await wire.response()
    t.equal(response.status, 400, path)
    t.match(JSON.parse(response.body.toString()), { code: 'malformed_request' }, path)
    wire.socket.destroy()
  }
  t.same(await namesOf(server, { token }), ['report'])
  t.equal((await server.send('GET', '/uploads/report', { token })).text, 'precious')
  t.equal((await server.send('GET', '/api/files?prefix=%e2%82%ac&limit=1', { token })).status, 200)
})

t.test('a digest that is announced to come behind the bytes is verified as one ahead of them is', async t => {
  const { server, token, authorization } = await open()
  const sent = { authorization, 'transfer-encoding': 'chunked', trailer: 'X-Other, Content-Digest,Repr-Digest' }
  const right = digestField('sha-256', 'hello')
  const wrong = `sha-512=:${Buffer.alloc(64).toString('base64')}:`
  for (const [name, fields, status] of [['a', `Content-Digest: ${wrong}`, 400], ['b', 'Repr-Digest: !!!', 400], ['c', `content-digest: ${right}\r\nrepr-digest: ${right}`, 201], ['d', 'X-Other: x', 201]] as const) {
    const wire = dial(t, server)
    wire.socket.write(`${head('PUT', `/uploads/${name}`, sent)}5\r\nhello\r\n0\r\n${fields}\r\n\r\n`)
    t.equal((await wire.response()).status, status, name)
    wire.socket.destroy()
  }
  t.same(await namesOf(server, { token }), ['c', 'd'])
  t.same(openHandles(server.dataDir), [])
})

t.test('behind an answer that ends the connection nothing more is done', async t => {
  const { server, token, authorization } = await open()
  await server.send('PUT', '/uploads/kept', { token, body: 'x' })
  const remove = head('DELETE', '/uploads/kept', { authorization })
  const refused = `${head('PUT', '/uploads/b', { authorization, 'content-encoding': 'gzip', 'content-length': 200_000 })}${'x'.repeat(200_000)}`
  const last = head('GET', '/uploads/kept', { authorization, connection: 'close' })
  for (const [first, status] of [[refused, 415], [last, 200]] as const) {
    const wire = dial(t, server)
    wire.socket.write(`${first}${remove}${remove}`)
    await wire.closed
    t.strictSame(statuses(wire.text()), [status])
  }
  t.same(await namesOf(server, { token }), ['kept'])
})

t.test('more requests than a connection has patience for are answered in their order, and a client that goes leaves nothing behind', async t => {
  const { server, token, authorization } = await open()
  const warnings: Error[] = []
  const listen = (warning: Error) => { warnings.push(warning) }
  process.on('warning', listen)
  t.teardown(() => process.off('warning', listen))
  const wire = dial(t, server)
  const count = 300
  for (let index = 0; index < count; index++) wire.socket.write(`${head('PUT', `/uploads/${index}`, { authorization, 'content-length': 1 })}x`)
  wire.socket.write(head('GET', '/uploads/0', { authorization, connection: 'close' }))
  t.equal(await wire.closed, undefined)
  t.strictSame(statuses(wire.text()), [...Array.from({ length: count }, () => 201), 200])
  t.strictSame(Array.from(wire.text().matchAll(/"name":"(\d+)"/g), ([, name]) => Number(name)), Array.from({ length: count }, (_, index) => index))
  const gone = dial(t, server)
  for (let index = 0; index < count; index++) gone.socket.write(head('DELETE', `/uploads/${index}`, { authorization }))
  await gone.until('HTTP/1.1 204')
  gone.socket.destroy()
  await gone.closed
  t.equal((await server.send('GET', '/uploads/299', { token })).text, 'x', 'what was not answered was not done')
  t.strictSame(warnings, [], 'those that wait are no leak to Node')
  t.ok(await eventually(() => openHandles(server.dataDir).length === 0))
})

t.test('behind 16 requests that wait a connection is not read', async t => {
  const { server, token, authorization } = await open()
  await server.send('PUT', '/uploads/large', { token, body: Buffer.alloc(16 * MIB) })
  const { socket } = dial(t, server)
  socket.pause()
  socket.write(head('GET', '/uploads/large', { authorization }))
  const put = `${head('PUT', '/uploads/a', { authorization, 'content-length': 1, 'x-long': 'x'.repeat(8000) })}x`
  // More than the buffers of the kernel hold.
  for (let sent = 0; sent < 8000; sent++) socket.write(put)
  let before = NaN
  for (; before !== socket.writableLength; await wait(200)) before = socket.writableLength
  t.ok(before > 0, `of 64 MB of requests ${before} bytes are not taken`)
})

t.test('a connection that is cut lets go of every request that was sent on it', async t => {
  const server = await spawnServer(t, { DATA_DIR: t.testdir(), METRICS_PORT: '0', LOG_LEVEL: 'silent', RATE_LIMIT_PER_MINUTE: '0' })
  const { token } = await signUp(server, 'ann')
  await server.send('PUT', '/uploads/large', { token, body: Buffer.alloc(16 * MIB) })
  const metricsPort = Number(/:(\d+)\/metrics$/m.exec(server.welcome.join('\n'))?.[1])
  const count = async () => {
    const samples = (await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()).matchAll(/^magicstore_requests_total\{.*\} (\d+)$/gm)
    return Array.from(samples, ([, requests]) => Number(requests)).reduce((sum, requests) => sum + requests, 0)
  }
  const descriptors = () => readdirSync(`/proc/${server.child.pid}/fd`).map(fd => { try { return readlinkSync(`/proc/${server.child.pid}/fd/${fd}`) } catch { return '' } })
  const files = () => descriptors().filter(target => target.includes('/blobs/') || target.includes('/incoming/')).length
  const sockets = () => descriptors().filter(target => target.startsWith('socket:')).length
  // The metrics connection stays open for a while.
  const [countBefore, socketsBefore] = [await count(), sockets()]
  const [connections, downloads, others] = [10, 5, 300]
  // Behind a download that the client does not read, every other request waits.
  const requests = head('GET', '/uploads/large', { authorization: `Bearer ${token}` }).repeat(downloads) + head('GET', '/api/files').repeat(others)
  const wires = Array.from({ length: connections }, () => dial(t, server))
  for (const { socket } of wires) socket.write(requests)
  await Promise.all(wires.map(async ({ socket }) => { await once(socket, 'data'); socket.pause() }))
  t.ok(await eventually(() => files() === connections), 'the first download on every connection has begun')
  for (const { socket } of wires) socket.destroy()
  t.ok(await eventually(() => files() === 0), 'no file stays open')
  t.ok(await eventually(() => sockets() <= socketsBefore), 'no connection stays open')
  t.ok(await eventually(async () => await count() === countBefore + connections), 'every request that has begun is over, and no other has begun')
  t.equal(await server.end('SIGTERM'), 0)
})

t.test('an account has at most 256 transfers under way, an address 512, and each counts until its connection closes', async t => {
  const server = await startServer(t, { RATE_LIMIT_PER_MINUTE: '0', TRUST_PROXY: '127.0.0.1', IDLE_SECONDS: '3600' })
  const large = Buffer.alloc(16 * MIB)
  const users = await Promise.all(['ann', 'bob', 'cleo'].map(name => signUp(server, name)))
  for (const { token } of users) await server.send('PUT', '/uploads/large', { token, body: large })
  const [ann = '', bob = '', cleo = ''] = users.map(({ token }) => `Bearer ${token}`)
  const from = (address: string) => ({ 'x-forwarded-for': address, 'x-forwarded-proto': 'https' })
  /** Downloads that start and never finish: the client does not read them. */
  async function stall (authorization: string, address: string, count: number): Promise<Socket[]> {
    const before = openHandles(server.dataDir).length
    const sockets = Array.from({ length: count }, () => {
      const { socket } = dial(t, server)
      socket.pause()
      socket.write(head('GET', '/uploads/large', { authorization, ...from(address) }))
      return socket
    })
    t.ok(await eventually(() => openHandles(server.dataDir).length === before + count), `${count} more downloads have begun`)
    return sockets
  }
  async function ask (method: string, path: string, headers: Record<string, string | number>, body = '') {
    const wire = dial(t, server)
    wire.socket.write(head(method, path, headers) + body)
    const response = await wire.response()
    wire.socket.destroy()
    return response
  }
  const form = formOf('form', 'bytes')
  /** What the three kinds of transfers are answered: a code of 429, or `ok`. */
  async function outcomes (authorization: string, address: string): Promise<string[]> {
    const headers = { authorization, ...from(address) }
    const responses = await Promise.all([
      ask('GET', '/uploads/large', { ...headers, range: 'bytes=0-9' }),
      ask('PUT', '/uploads/small', { ...headers, 'content-length': 5 }, 'bytes'),
      ask('POST', '/', { ...headers, ...form.headers, 'content-length': form.body.length }, form.body.toString())
    ])
    return responses.map(response => {
      if (response.status < 300) return 'ok'
      t.match(response, { status: 429, headers: { 'retry-after': /^\d+$/ } })
      return codeIn(response)
    })
  }
  const refuses = async (authorization: string, address: string, what: string) => t.strictSame(await outcomes(authorization, address), Array(3).fill('too_many_transfers'), what)
  const allows = async (authorization: string, address: string, what: string) => t.strictSame(await outcomes(authorization, address), Array(3).fill('ok'), what)

  const ofAnn = await stall(ann, '192.0.2.1', 256)
  await refuses(ann, '192.0.2.1', 'one more of the account')
  await refuses(ann, '192.0.2.9', 'from wherever it comes')
  t.equal((await server.send('HEAD', '/uploads/large', { headers: { authorization: ann, ...from('192.0.2.1') } })).status, 200, 'what is no transfer goes on')
  await allows(bob, '192.0.2.1', 'another account')
  const ofBob = await stall(bob, '192.0.2.1', 256)
  await refuses(cleo, '192.0.2.1', 'one more from the address')
  await allows(cleo, '192.0.2.9', 'another address')
  for (const socket of ofAnn) socket.destroy()
  t.ok(await eventually(() => openHandles(server.dataDir).length === 256))
  await allows(ann, '192.0.2.1', 'once the connections are cut')
  for (const socket of ofBob) socket.destroy()
  t.ok(await eventually(() => openHandles(server.dataDir).length === 0))

  const [first, second] = ['2001:db8:0:1::1', '2001:db8:0:1:ffff:ffff:ffff:ffff']
  const ofNetwork = [...await stall(ann, first, 256), ...await stall(bob, second, 256)]
  await refuses(cleo, '2001:db8:0:1::3', 'one more from the IPv6 /64')
  await allows(cleo, '2001:db8:0:2::1', 'another /64')
  for (const socket of ofNetwork) socket.destroy()
  t.ok(await eventually(() => openHandles(server.dataDir).length === 0))
  await allows(cleo, '192.0.2.1', 'nothing is counted any more')
})

t.test('downloads that their clients do not take keep little memory', async t => {
  const server = await spawnServer(t, { DATA_DIR: t.testdir(), LOG_LEVEL: 'silent', RATE_LIMIT_PER_MINUTE: '0' })
  const { token } = await signUp(server, 'ann')
  await server.send('PUT', '/uploads/large', { token, body: Buffer.alloc(32 * MIB) })
  const resident = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.child.pid}/status`, 'utf8'))?.[1]) * 1024
  const before = resident()
  const sockets = Array.from({ length: 200 }, () => dial(t, server).socket)
  await Promise.all(sockets.map(async socket => {
    socket.write(head('GET', '/uploads/large', { authorization: `Bearer ${token}` }))
    // The kernel's buffers make the client look fast at first.
    while (socket.bytesRead < 3 * MIB) await once(socket, 'data')
    socket.pause()
  }))
  await server.send('GET', '/health/live')
  const kept = resident() - before
  t.ok(kept < 200 * MIB, `${Math.round(kept / MIB)} MiB for 200 downloads, where two chunks of the largest size for each are 400`)
  for (const socket of sockets) socket.destroy()
  t.equal(await server.end('SIGTERM'), 0)
})

t.test('HTTP/1.0 with a Transfer-Encoding is refused, and the connection closes', async t => {
  const { server, token, authorization } = await open()
  const wire = dial(t, server)
  wire.socket.write(head('PUT', '/uploads/a', { authorization, connection: 'keep-alive', 'transfer-encoding': 'chunked' }).replace('HTTP/1.1', 'HTTP/1.0') + '1\r\nx\r\n0\r\n\r\n' + head('DELETE', '/uploads/a', { authorization }))
  await wire.closed
  t.match(parse(Buffer.from(wire.text(), 'latin1')), { status: 400, headers: { connection: 'close' } })
  t.strictSame(statuses(wire.text()), [400])
  t.same(await namesOf(server, { token }), [])
})

t.test('the connection closes behind a request to change the protocol, for what came with it is lost', async t => {
  const { server, authorization } = await open()
  const get = (headers: Record<string, string> = {}) => head('GET', '/api/files', { authorization, ...headers })
  const upgrade = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAAP__' }
  const wire = dial(t, server)
  wire.socket.write(get() + get(upgrade) + get())
  t.equal(await wire.closed, undefined)
  t.strictSame(statuses(wire.text()), [200, 200], 'those ahead of it are answered, and so is it')
  t.strictSame(Array.from(wire.text().matchAll(/^connection: (\S+)\r$/gim), ([, value]) => value), ['keep-alive', 'close'])
})

t.test('nonsense sent during a download never gets among its bytes', async t => {
  const { server, token, authorization } = await open()
  const large = Buffer.alloc(16 * MIB, 'x')
  await server.send('PUT', '/uploads/large', { token, body: large })
  const wire = dial(t, server)
  wire.socket.write(head('GET', '/uploads/large', { authorization }))
  await once(wire.socket, 'data')
  wire.socket.pause()
  wire.socket.write('nonsense\r\n\r\n')
  t.ok(await eventually(() => openHandles(server.dataDir).length === 0), 'the server has seen it and is done')
  wire.socket.resume()
  await wire.closed
  const body = parse(Buffer.from(wire.text(), 'latin1'))?.body ?? Buffer.alloc(0)
  t.ok(body.length > 0 && body.equals(large.subarray(0, body.length)), 'what arrived is of the file')
})

t.test('a stopping server ends what is under way, takes nothing new and exits with 0', async t => {
  const dataDir = t.testdir()
  // An hour: the test fails if the server waits for clients that keep their connections.
  const server = await spawnServer(t, { DATA_DIR: dataDir, LOG_LEVEL: 'silent', IDLE_SECONDS: '3600' })
  const { token } = await signUp(server, 'ann')
  const authorization = `Bearer ${token}`
  const large = randomBytes(16 * MIB)
  await server.send('PUT', '/uploads/large', { token, body: large })

  const form = formOf('form', large.subarray(0, 3 * MIB))
  const upload = dial(t, server)
  upload.socket.write(head('POST', '/', { authorization, ...form.headers, 'content-length': form.body.length }))
  upload.socket.write(form.body.subarray(0, 2 * MIB))
  const download = dial(t, server)
  download.socket.write(head('GET', '/uploads/large', { authorization }))
  await once(download.socket, 'data')
  download.socket.pause()
  const silent = dial(t, server)
  await once(silent.socket, 'connect')
  const halfHead = dial(t, server)
  await once(halfHead.socket, 'connect')
  halfHead.socket.write('GET /openapi.json HTTP/1.1\r\nHost: te')
  const idle = dial(t, server)
  idle.socket.write(head('GET', '/api/files', { authorization }))
  await idle.response()
  t.ok(await eventually(() => readdirSync(join(dataDir, 'incoming')).length === 1), 'the upload has begun')

  const ended = server.end('SIGTERM')
  t.equal(await idle.closed, undefined, 'an idle connection is let go')
  t.ok(await eventually(async () => (await dial(t, server).closed)?.code === 'ECONNREFUSED'), 'no new connections')
  await silent.closed
  t.equal(silent.text(), '', 'a connection without a request is let go')
  halfHead.socket.write('st\r\n\r\n')
  t.equal((await halfHead.response()).status, 503, 'a request that was arriving is answered')
  await halfHead.closed
  download.socket.write(head('GET', '/openapi.json'))
  upload.socket.write(form.body.subarray(2 * MIB))
  t.equal((await upload.response()).status, 201, 'the upload ends')
  download.socket.resume()
  const downloaded = await download.response()
  t.ok(downloaded.body.subarray(0, large.length).equals(large), 'the download ends')
  await download.closed
  t.notMatch(download.text().slice(-1000), 'HTTP/1.1 200', 'no new request is served on its connection')
  t.equal(await ended, 0, 'and then at once, though clients would keep their connections')

  const again = await startServer(t, { DATA_DIR: dataDir })
  t.ok((await again.send('GET', '/uploads/form', { token })).bytes.equals(large.subarray(0, 3 * MIB)))
})

t.test('a server without a descriptor left says that it has too much to do, and nothing of the file', async t => {
  const server = await spawnServer(t, { DATA_DIR: t.testdir() })
  const { token } = await signUp(server, 'ann')
  await server.send('PUT', '/uploads/a', { token, body: 'bytes' })
  const wire = dial(t, server)
  const ask = () => wire.socket.write(head('GET', '/uploads/a', { Authorization: `Bearer ${token}` }))
  ask()
  t.match(await wire.response(), { status: 200, body: Buffer.from('bytes') })
  const limit = (count: number) => execFileSync('prlimit', ['--pid', String(server.child.pid), `--nofile=${count}:`])
  // Open files stay open; no new one can be opened.
  limit(0)
  ask()
  await wire.until('"code":"overloaded"')
  for (const [count, name] of ['a', 'new'].entries()) {
    wire.socket.write(`${head('PUT', `/uploads/${name}`, { Authorization: `Bearer ${token}`, 'Content-Length': '5' })}other`)
    while (wire.text().split('"code":"overloaded"').length < count + 3) await once(wire.socket, 'data')
  }
  t.equal(wire.text().split(/\r\nretry-after: 1\r\n/i).length, 4, 'each says when to try again')
  limit(1024)
  t.match(await server.send('GET', '/uploads/a', { token }), { status: 200, text: 'bytes' })
  t.equal(await server.end('SIGTERM'), 0)
})
