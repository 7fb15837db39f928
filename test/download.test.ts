import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { rm, truncate, writeFile } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import type { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { parse as parseDisposition } from 'content-disposition'
import t from 'tap'
import { planDownload, type FileMetadata, type DownloadRequest } from '#src/files/download.ts'
import { evaluate, parseDate, type ConditionHeaders } from '#src/metadata/preconditions.ts'
import { parseRanges } from '#src/files/ranges.ts'
import { sha256Of } from './kit/digests.ts'
import { HOUR } from './kit/durations.ts'
import { refused } from './kit/refusals.ts'
import { sharedServer, signUp, spawnServer, type Answer, type Client, type SendOptions, type Settings } from './kit/server.ts'
import { MIB } from './kit/sizes.ts'
import { isInFolder, openHandles, skipWithoutFolder } from './kit/stores.ts'
import { blobPath } from './kit/tidy.ts'
import { eventually, until } from './kit/waiting.ts'
import { sendRaw } from './kit/wire.ts'

const SHA = sha256Of('the bytes')
const TAG = `"${SHA}"`
const OTHER = `"${'0'.repeat(64)}"`
const MOMENT = Date.UTC(1994, 10, 6, 8, 49, 37, 500)
const BEFORE = 'Sun, 06 Nov 1994 08:49:36 GMT'
const AT = 'Sun, 06 Nov 1994 08:49:37 GMT'
const AFTER = 'Sun, 06 Nov 1994 08:49:38 GMT'
const AHEAD = new Date(Date.now() + HOUR).toUTCString()

/** Node prints this warning once per process, when the garbage collector closes a forgotten file. */
const collected: Error[] = []
process.on('warning', warning => { if (/garbage collection/.test(warning.message)) collected.push(warning) })

/** An account of the server that the tests share. */
async function openAccount (settings: Settings = {}) {
  const server = await sharedServer(settings)
  const { id, token } = await signUp(server)
  return { ...filesOf(server, token), server, id, token, dataDir: server.dataDir }
}

function filesOf (client: Client, token: string) {
  const send = (method: string, path: string, options: SendOptions = {}) =>
    client.send(method, path, { token, ...options })
  const put = (name: string, body: string | Uint8Array, type = 'application/octet-stream') => send('PUT', `/uploads/${encodeURIComponent(name)}`, { body, headers: { 'content-type': type } })
  const get = (name: string, headers: Record<string, string> = {}, query = '') => send('GET', `/uploads/${encodeURIComponent(name)}${query}`, { headers })
  return { send, put, get }
}

/** Response headers, except those that depend on the time, the request or the connection. */
function fieldsOf ({ headers }: Answer): Record<string, unknown> {
  const { date, connection, 'x-request-id': id, ...fields } = headers
  return fields
}

/** The parts of a multipart/byteranges body, parsed strictly (RFC 2046 section 5.1.1). */
function partsOf ({ bytes, headers }: Answer): { type: string, range: string, body: Buffer }[] {
  const boundary = /^multipart\/byteranges; boundary=([0-9A-Za-z'()+_,./:=?-]{1,70})$/.exec(headers['content-type'] ?? '')?.[1]
  const text = `\r\n${bytes.toString('latin1')}`
  const pieces = text.split(`\r\n--${boundary}`)
  if (boundary === undefined || pieces.shift() !== '' || pieces.pop() !== '--\r\n') throw new Error('not a multipart body')
  return pieces.map(piece => {
    const [, type = '', range = '', body = ''] = /^\r\nContent-Type: (.*)\r\nContent-Range: bytes (.*)\r\n\r\n([^]*)$/.exec(piece) ?? []
    return { type, range, body: Buffer.from(body, 'latin1') }
  })
}

/** A download whose head has arrived and whose body is not read yet. */
async function beginDownload (port: number, path: string, headers: Record<string, string>): Promise<IncomingMessage> {
  const request = httpRequest({ host: '127.0.0.1', port, path, headers, agent: false }).end()
  request.on('error', () => {})
  const [response] = await once(request, 'response') as [IncomingMessage]
  return response
}

/** `count` ranges of one byte with a gap after each. */
const everySecond = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ start: index * 2, end: index * 2 }))

t.test('a Range header is read as RFC 9110 section 14.1.2 has it', async t => {
  const beyond = '9'.repeat(400)
  const some: [header: string, ...ranges: [start: number, end: number][]][] = [
    ['bytes=0-0', [0, 0]],
    ['bytes=2-5', [2, 5]],
    ['bytes=9-9', [9, 9]],
    ['bytes=007-008', [7, 8]],
    ['bytes=2-', [2, 9]],
    ['bytes=2-99', [2, 9]],
    [`bytes=2-${beyond}`, [2, 9]],
    ['bytes=-3', [7, 9]],
    ['bytes=-10', [0, 9]],
    [`bytes=-${beyond}`, [0, 9]],
    ['BYTES=1-2', [1, 2]],
    ['  bytes=1-2  ', [1, 2]],
    // Several ranges: the requested order is kept; empty list elements and blanks around commas are ignored.
    ['bytes=8-9,0-1', [8, 9], [0, 1]],
    ['bytes=0-1 ,\t3-4,,5-6,', [0, 1], [3, 4], [5, 6]],
    ['bytes=0-1,2-3', [0, 1], [2, 3]],
    ['bytes=0-1,90-', [0, 1]],
    ['bytes=90-,0-1', [0, 1]],
    ['bytes=0-1,-0', [0, 1]],
    // Overlapping ranges are merged, so no byte is sent twice.
    ['bytes=0-4,3-6', [0, 6]],
    ['bytes=3-6,0-4', [0, 6]],
    ['bytes=0-9,2-3', [0, 9]],
    ['bytes=2-3,2-3', [2, 3]],
    ['bytes=0-,-1', [0, 9]],
    ['bytes=8-9,4-6,0-1,5-7', [0, 1], [4, 7], [8, 9]]
  ]
  for (const [header, ...ranges] of some) {
    t.strictSame(parseRanges(header, 10), ranges.map(([start, end]) => ({ start, end })), header.slice(0, 60))
  }
  const outside = ['bytes=10-', 'bytes=10-20', `bytes=${beyond}-`, `bytes=${beyond}-${beyond}9`, 'bytes=-0', 'bytes=-0,10-,99-']
  for (const header of outside) t.equal(parseRanges(header, 10), 'unsatisfiable', header.slice(0, 60))
  for (const header of ['bytes=0-', 'bytes=0-0', 'bytes=-0']) t.equal(parseRanges(header, 0), 'unsatisfiable', `${header} of nothing`)
  const ignored = [
    'bytes=5-2', 'bytes=0-1,5-2', `bytes=${beyond}9-${beyond}8`, 'bytes=-', 'bytes=', 'bytes=,,', 'bytes=a-b', 'bytes=0-1,x', 'bytes=0x0-1', 'bytes=+0-1', 'bytes=0.5-1',
    'bytes=0 - 1', 'bytes=0-1-2', 'bytes=1', 'bytes= =0-1', 'bytes 0-1', '0-1', '', 'items=0-1', 'xbytes=0-1', 'bytes=0-1, bytes=2-3'
  ]
  for (const header of ignored) t.equal(parseRanges(header, 10), undefined, `${header.slice(0, 60)} is ignored`)
  t.equal(parseRanges('bytes=-5', 0), undefined)
  const fieldOf = (count: number) => `bytes=${everySecond(count).map(({ start, end }) => `${start}-${end}`).join()}`
  t.strictSame(parseRanges(fieldOf(32), 64), everySecond(32))
  t.equal(parseRanges(fieldOf(33), 99), undefined, 'more ranges than one request may have')
})

t.test('preconditions are judged in the order of RFC 9110 section 13.2.2', async t => {
  const current = { sha256: SHA, updatedAt: MOMENT }
  const table: [headers: ConditionHeaders, there: ReturnType<typeof evaluate>, missing: ReturnType<typeof evaluate>][] =
    [
      [{}, 'go-on', 'go-on'],
      ...[TAG, '*', ' * ', `${OTHER}, ${TAG}`, `${OTHER},,\t${TAG},`, `"a, b", ${TAG}`].map((tags): [ConditionHeaders, 'go-on', 'failed'] => [{ 'if-match': tags }, 'go-on', 'failed']),
      ...[OTHER, `W/${TAG}`, `w/${TAG}`, SHA, TAG.toUpperCase(), `"${SHA}`, '', `${OTHER}, *`].map((tags): [ConditionHeaders, 'failed', 'failed'] => [{ 'if-match': tags }, 'failed', 'failed']),
      // If-Unmodified-Since is ignored if there is If-Match.
      [{ 'if-match': TAG, 'if-unmodified-since': BEFORE }, 'go-on', 'failed'],
      [{ 'if-match': OTHER, 'if-unmodified-since': AFTER }, 'failed', 'failed'],
      [{ 'if-unmodified-since': BEFORE }, 'failed', 'go-on'],
      ...[AT, AFTER, 'yesterday'].map((date): [ConditionHeaders, 'go-on', 'go-on'] => [{ 'if-unmodified-since': date }, 'go-on', 'go-on']),
      [{ 'if-unmodified-since': AHEAD }, 'failed', 'go-on'],
      // A failure of the first step takes precedence over a match of the second.
      [{ 'if-match': OTHER, 'if-none-match': TAG }, 'failed', 'failed'],
      [{ 'if-match': TAG, 'if-none-match': TAG }, 'unchanged', 'failed'],
      [{ 'if-match': TAG, 'if-none-match': OTHER }, 'go-on', 'failed'],
      [{ 'if-match': TAG, 'if-modified-since': AT }, 'unchanged', 'failed'],
      [{ 'if-match': OTHER, 'if-modified-since': AT }, 'failed', 'failed'],
      [{ 'if-unmodified-since': BEFORE, 'if-none-match': TAG }, 'failed', 'go-on'],
      [{ 'if-unmodified-since': AT, 'if-none-match': TAG }, 'unchanged', 'go-on'],
      [{ 'if-unmodified-since': BEFORE, 'if-modified-since': AT }, 'failed', 'go-on'],
      [{ 'if-unmodified-since': AT, 'if-modified-since': AT }, 'unchanged', 'go-on'],
      ...[TAG, `W/${TAG}`, '*', `${OTHER}, W/${TAG}`].map((tags): [ConditionHeaders, 'unchanged', 'go-on'] => [{ 'if-none-match': tags }, 'unchanged', 'go-on']),
      ...[OTHER, SHA].map((tags): [ConditionHeaders, 'go-on', 'go-on'] => [{ 'if-none-match': tags }, 'go-on', 'go-on']),
      // If-Modified-Since is ignored if there is If-None-Match.
      [{ 'if-none-match': OTHER, 'if-modified-since': AFTER }, 'go-on', 'go-on'],
      [{ 'if-none-match': TAG, 'if-modified-since': BEFORE }, 'unchanged', 'go-on'],
      [{ 'if-modified-since': BEFORE }, 'go-on', 'go-on'],
      [{ 'if-modified-since': AT }, 'unchanged', 'go-on'],
      [{ 'if-modified-since': AFTER }, 'unchanged', 'go-on'],
      ...[AHEAD, ''].map((date): [ConditionHeaders, 'go-on', 'go-on'] => [{ 'if-modified-since': date }, 'go-on', 'go-on'])
    ]
  for (const [headers, there, missing] of table) {
    t.equal(evaluate(headers, current), there, JSON.stringify(headers))
    t.equal(evaluate(headers, undefined), missing, `${JSON.stringify(headers)} where there is nothing`)
  }
})

t.test('an HTTP date is read in its three forms, and nothing else is one', async t => {
  const now = Date.UTC(2026, 10, 24)
  const moment = Math.floor(MOMENT / 1000)
  const table: [text: string, expected: number][] = [
    [AT, moment],
    ['Sunday, 06-Nov-94 08:49:37 GMT', moment],
    ['Sun Nov  6 08:49:37 1994', moment],
    ['Wed Nov 16 08:49:37 1994', Date.UTC(1994, 10, 16, 8, 49, 37) / 1000],
    ['Thu, 29 Feb 2024 23:59:59 GMT', Date.UTC(2024, 1, 29, 23, 59, 59) / 1000],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
    // A two-digit year is at most 50 years in the future.
    ['Sunday, 06-Nov-26 08:49:37 GMT', Date.UTC(2026, 10, 6, 8, 49, 37) / 1000],
    ['Sunday, 06-Nov-76 08:49:37 GMT', Date.UTC(2076, 10, 6, 8, 49, 37) / 1000],
    ['Sunday, 06-Nov-77 08:49:37 GMT', Date.UTC(1977, 10, 6, 8, 49, 37) / 1000]
  ]
  for (const [text, expected] of table) t.equal(parseDate(text, now), expected, text)
  const none = [
    '', '0', '784111777', '1994-11-06T08:49:37Z', 'Sun, 06 Nov 1994 08:49:37', 'Sun, 06 Nov 1994 08:49:37 CET', 'Sun, 06 Nov 1994 08:49:37 +0000', 'Sun, 6 Nov 1994 08:49:37 GMT',
    'Sun, 06 nov 1994 08:49:37 GMT', 'Sun, 06 Foo 1994 08:49:37 GMT', 'Sat, 31 Feb 2024 00:00:00 GMT', 'Sun, 00 Nov 1994 08:49:37 GMT', 'Sun, 06 Nov 1994 24:00:00 GMT',
    'Sun, 06 Nov 1994 08:60:37 GMT', 'Sun, 06 Nov 0094 08:49:37 GMT', 'Sun Nov 06 08:49:37 1994 GMT', `${AT} `, `${AT}, ${AT}`
  ]
  for (const text of [undefined, ...none]) t.equal(parseDate(text, now), undefined, String(text))
})

t.test('a download is planned from the request and the file alone', async t => {
  const metadata: FileMetadata = { name: 'a.txt', size: 10, type: 'text/plain', sha256: SHA, updatedAt: MOMENT }
  const plan = (request: Partial<DownloadRequest>, changes: Partial<FileMetadata> = {}, now = MOMENT + 5000) =>
    planDownload({ method: 'GET', headers: {}, disposition: 'attachment', ...request }, { ...metadata, ...changes }, now)

  t.strictSame(plan({}), {
    status: 200,
    headers: {
      etag: TAG,
      'last-modified': AT,
      'cache-control': 'private, no-cache',
      'cross-origin-resource-policy': 'same-origin',
      vary: 'Authorization',
      'accept-ranges': 'bytes',
      'content-disposition': "attachment; filename=a.txt; filename*=UTF-8''a.txt",
      'content-security-policy': "default-src 'none'; sandbox",
      'repr-digest': `sha-256=:${Buffer.from(SHA, 'hex').toString('base64')}:`,
      'content-type': 'text/plain',
      'content-length': '10'
    },
    pieces: [{ start: 0, end: 9 }]
  })
  t.match(plan({}, {}, MOMENT - 5000), { headers: { 'last-modified': 'Sun, 06 Nov 1994 08:49:32 GMT' } }, 'Last-Modified is never in the future')
  t.strictSame(plan({ method: 'HEAD' }), { ...plan({}), pieces: [] })
  t.match(plan({}, { size: 0 }), { status: 200, headers: { 'content-length': '0' }, pieces: [] })

  const ranged: [headers: DownloadRequest['headers'], expected: object, changes?: Partial<FileMetadata>][] = [
    [{ range: 'bytes=2-4' }, { status: 206, headers: { 'content-range': 'bytes 2-4/10', 'content-length': '3', 'content-type': 'text/plain' }, pieces: [{ start: 2, end: 4 }] }],
    [{ range: 'bytes=10-' }, { status: 416, headers: { 'content-range': 'bytes */10' } }],
    [{ range: 'bytes=0-' }, { status: 416, headers: { 'content-range': 'bytes */0' } }, { size: 0 }],
    [{ range: 'bytes=-5' }, { status: 200, pieces: [] }, { size: 0 }],
    [{ range: 'bytes=5-2' }, { status: 200 }],
    [{ range: 'items=2-4' }, { status: 200 }],
    [{ range: 'bytes=2-4', 'if-range': TAG }, { status: 206 }],
    [{ range: 'bytes=2-4', 'if-range': ` ${TAG} ` }, { status: 206 }],
    ...[OTHER, `W/${TAG}`, SHA, `${TAG}, ${OTHER}`, '*', '', AT, AFTER].map((tag): [DownloadRequest['headers'], object] => [{ range: 'bytes=2-4', 'if-range': tag }, { status: 200 }]),
    [{ range: 'bytes=10-', 'if-range': OTHER }, { status: 200 }],
    [{ range: 'bytes=10-', 'if-range': TAG }, { status: 416 }],
    [{ 'if-range': OTHER }, { status: 200 }],
    // Ranges are evaluated last (RFC 9110 section 13.2.2).
    [{ range: 'bytes=2-4', 'if-match': TAG }, { status: 206 }],
    [{ range: 'bytes=2-4', 'if-match': OTHER }, { status: 412, headers: {} }],
    [{ range: 'bytes=2-4', 'if-none-match': TAG, 'if-range': TAG }, { status: 304 }],
    [{ range: 'bytes=10-', 'if-none-match': TAG }, { status: 304 }],
    [{ range: 'bytes=10-', 'if-match': OTHER }, { status: 412 }],
    [{ range: 'bytes=2-4', 'if-none-match': OTHER }, { status: 206 }],
    [{ range: 'bytes=2-4', 'if-modified-since': AT }, { status: 304 }],
    [{ range: 'bytes=2-4', 'if-unmodified-since': BEFORE }, { status: 412 }]
  ]
  for (const [headers, expected, changes] of ranged) {
    t.match(plan({ headers }, changes), expected, JSON.stringify({ ...headers, ...changes }))
  }

  // Whichever part is sent, the digest is that of the whole file, unless the client has no use for it.
  const table: [isSent: boolean, wants: string[]][] = [
    [true, ['sha-256=10', 'sha-512=10, sha-256=1', 'sha-512=10', 'sha-256', 'not a dictionary!']], [false, ['sha-256=0', 'sha-512=3, sha-256=0']]
  ]
  for (const [isSent, wants] of table) {
    for (const want of wants) {
      for (const range of ['bytes=0-', 'bytes=1-2', 'bytes=0-0,3-3']) t.equal('repr-digest' in plan({ headers: { range, 'want-repr-digest': want } }).headers, isSent, `${want} ${range}`)
    }
  }

  t.strictSame(plan({ method: 'HEAD', headers: { range: 'bytes=2-4' } }), plan({ method: 'HEAD' }), 'HEAD knows no ranges')
  t.strictSame(plan({ headers: { 'if-none-match': TAG } }), {
    status: 304,
    headers: { etag: TAG, 'last-modified': AT, 'cache-control': 'private, no-cache', 'cross-origin-resource-policy': 'same-origin', vary: 'Authorization' }
  })
  t.match(plan({ headers: { range: 'bytes=0-1,5-6' } }), {
    status: 206,
    headers: { 'content-type': /^multipart\/byteranges; boundary=[0-9a-f]{32}$/, 'content-length': '232', 'content-range': undefined },
    pieces: [
      /^--[0-9a-f]{32}\r\nContent-Type: text\/plain\r\nContent-Range: bytes 0-1\/10\r\n\r\n$/,
      { start: 0, end: 1 },
      /^\r\n--[0-9a-f]{32}\r\nContent-Type: text\/plain\r\nContent-Range: bytes 5-6\/10\r\n\r\n$/,
      { start: 5, end: 6 },
      /^\r\n--[0-9a-f]{32}--\r\n$/
    ]
  })
})

t.test('GET, HEAD and 304 of a file have the same fields, and only GET has a body', async t => {
  const { put, get, send, server, token } = await openAccount()
  const files: [name: string, type: string, body: string | Buffer][] = [
    ['bytes.bin', 'application/octet-stream', randomBytes(700_000)],
    ['page.html', 'text/html; charset=iso-8859-1', '<script>alert(1)</script>'],
    ['data.json', 'application/json', '{"a": 1}'],
    ['plain.txt', 'text/plain', 'plain'],
    ['empty.json', 'application/json', ''],
    ['empty.txt', 'text/plain', ''],
    ['empty.bin', 'application/octet-stream', '']
  ]
  for (const [name, type, body] of files) {
    const bytes = Buffer.from(body)
    const digest = createHash('sha256').update(bytes).digest()
    t.equal((await put(name, bytes, type)).status, 201)
    const whole = await get(name)
    t.equal(whole.status, 200, name)
    t.ok(whole.bytes.equals(bytes), `${name}: its bytes`)
    t.match(whole.headers, {
      etag: `"${digest.toString('hex')}"`,
      'content-length': String(bytes.length),
      'content-disposition': `attachment; filename=${name}; filename*=UTF-8''${name}`,
      'repr-digest': `sha-256=:${digest.toString('base64')}:`,
      'x-content-type-options': 'nosniff'
    })
    t.equal(whole.headers['content-type'], type)
    t.strictSame(Object.keys(whole.headers).filter(field => field === 'transfer-encoding'), [])

    const head = await send('HEAD', `/uploads/${name}`)
    t.equal(head.status, 200)
    t.strictSame(fieldsOf(head), fieldsOf(whole), `${name}: HEAD has the fields of GET`)
    t.strictSame(fieldsOf(await send('HEAD', `/uploads/${name}`, { headers: { range: 'bytes=0-0' } })), fieldsOf(whole), `${name}: HEAD passes over ranges`)

    for (const method of ['GET', 'HEAD']) {
      t.equal((await send(method, `/uploads/${name}`, { headers: { 'if-match': '"other"' } })).status, 412)
      const unchanged = await send(method, `/uploads/${name}`, { headers: { 'if-none-match': `"${digest.toString('hex')}"` } })
      t.equal(unchanged.status, 304)
      const { etag, 'last-modified': lastModified, vary } = whole.headers
      t.strictSame(fieldsOf(unchanged), { etag, 'last-modified': lastModified, vary, 'cache-control': 'private, no-cache', 'cross-origin-resource-policy': 'same-origin', 'x-content-type-options': 'nosniff' }, `${name}: the fields of 304`)
    }
  }

  // Several requests on one connection: an unexpected body would be read as the head of the next response.
  const line = (method: string, name: string, field: string) => `${method} /uploads/${name} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n${field}\r\n\r\n`
  const text = await sendRaw(server.port, [
    line('HEAD', 'plain.txt', 'Accept: */*'),
    line('GET', 'plain.txt', 'If-None-Match: *'),
    line('HEAD', 'nothing.txt', 'Accept: */*'),
    line('HEAD', 'data.json', 'If-None-Match: *'),
    line('GET', 'empty.json', 'Accept: */*'),
    line('GET', 'plain.txt', 'Connection: close')
  ].join(''))
  t.strictSame(text.split('\r\n\r\n').map(piece => piece.split('\r\n')[0]), ['HTTP/1.1 200 OK', 'HTTP/1.1 304 Not Modified', 'HTTP/1.1 404 Not Found', 'HTTP/1.1 304 Not Modified', 'HTTP/1.1 200 OK', 'HTTP/1.1 200 OK', 'plain'])
})

t.test('ranges are answered with exactly their bytes', async t => {
  const { put, get } = await openAccount()
  const bytes = randomBytes(600_000)
  await put('bytes.bin', bytes, 'application/x-test')
  const whole = await get('bytes.bin')

  const single: [range: string, start: number, end: number][] = [
    ['bytes=0-0', 0, 0],
    ['bytes=262144-', 262_144, 599_999],
    ['bytes=-1', 599_999, 599_999],
    ['bytes=5-9,7-20,700000-', 5, 20]
  ]
  for (const [range, start, end] of single) {
    const answer = await get('bytes.bin', { range })
    t.equal(answer.status, 206, range.slice(0, 40))
    t.ok(answer.bytes.equals(bytes.subarray(start, end + 1)), 'the bytes')
    t.strictSame(fieldsOf(answer), { ...fieldsOf(whole), 'content-range': `bytes ${start}-${end}/600000`, 'content-length': String(end - start + 1) }, 'the fields')
  }

  const several: [range: string, expected: [start: number, end: number][]][] = [
    ['bytes=0-0,2-2', [[0, 0], [2, 2]]],
    ['bytes=-5, 0-4', [[599_995, 599_999], [0, 4]]],
    ['bytes=10-20,400000-500000,15-30', [[10, 30], [400_000, 500_000]]],
    [`bytes=${Array.from({ length: 32 }, (_, index) => `${index * 1000}-${index * 1000 + 9}`)}`, Array.from({ length: 32 }, (_, index) => [index * 1000, index * 1000 + 9])]
  ]
  for (const [range, expected] of several) {
    const answer = await get('bytes.bin', { range })
    t.equal(answer.status, 206, range.slice(0, 40))
    t.equal(Number(answer.headers['content-length']), answer.bytes.length)
    const { 'content-type': type, 'content-length': length, ...fields } = fieldsOf(whole)
    t.match(fieldsOf(answer), fields)
    t.notOk(answer.headers['content-range'], 'Content-Range is in the parts only')
    const parts = partsOf(answer)
    t.strictSame(parts.map(part => part.range), expected.map(([start, end]) => `${start}-${end}/600000`))
    t.strictSame(new Set(parts.map(part => part.type)), new Set(['application/x-test']))
    t.ok(parts.every((part, index) => part.body.equals(bytes.subarray(expected[index]?.[0], (expected[index]?.[1] ?? 0) + 1))), 'the bytes of each part')
  }
  const boundaries = await Promise.all([1, 2].map(async () => (await get('bytes.bin', { range: 'bytes=0-0,2-2' })).headers['content-type']))
  t.not(boundaries[0], boundaries[1], 'a boundary can not be foreseen')

  const outside = await get('bytes.bin', { range: 'bytes=700000-800000,600000-' })
  refused(t, outside, 416, 'range_not_satisfiable')
  t.match(outside.headers, { 'content-range': 'bytes */600000', 'content-type': /^application\/problem\+json/ })
})

t.test('only media that run nothing are shown in the window, and only where that is asked for', async t => {
  const { put, get, send } = await openAccount()
  const shown = ['image/png', 'IMAGE/JPEG', 'image/webp; q="a;b"', 'audio/mpeg', 'video/mp4', 'application/pdf', 'text/plain', 'text/plain; charset=utf-8', 'Text/Plain ;charset=utf-8']
  const saved = [
    'image/svg+xml', 'IMAGE/SVG+XML', 'image/svg', 'image/x+xml', 'video/x+xml; charset=utf-8', 'text/html', 'text/plain+xml', 'text/plain-html', 'application/pdf+xml', 'application/xhtml+xml',
    'text/xml', 'text/css', 'text/javascript', 'application/json', 'application/octet-stream', 'multipart/x-mixed-replace', 'x/image'
  ]
  for (const type of [...shown, ...saved]) {
    const isInline = shown.includes(type)
    await put('a', 'bytes', type)
    for (const range of ['bytes=0-', 'bytes=0-0']) {
      const answer = await get('a', { range }, '?disposition=inline')
      t.equal(answer.status, 206)
      t.equal(answer.headers['content-type'], type)
      t.equal(parseDisposition(answer.headers['content-disposition'] ?? '').type, isInline ? 'inline' : 'attachment', type)
      t.match(answer.headers['content-security-policy'], /^default-src 'none'; /)
      t.equal(/; sandbox$/.test(String(answer.headers['content-security-policy'])), !isInline, `${type}: sandboxed unless shown`)
      t.notMatch(answer.headers['content-security-policy'], /script-src|unsafe-eval|\*/)
      t.equal(answer.headers['x-content-type-options'], 'nosniff')
    }
    for (const query of ['', '?disposition=attachment']) {
      const answer = await get('a', {}, query)
      t.equal(parseDisposition(answer.headers['content-disposition'] ?? '').type, 'attachment')
      t.equal(answer.headers['content-security-policy'], "default-src 'none'; sandbox")
    }
  }
  for (const query of ['?disposition=', '?disposition=INLINE', '?disposition=form-data', '?disposition=inline%0d%0aX:y', '?disposition=inline&disposition=inline', '?disposition[]=inline&disposition=x']) {
    for (const method of ['GET', 'HEAD']) {
      const answer = await send(method, `/uploads/a${query}`)
      t.equal(answer.status, 400, `${method} ${query}`)
      if (method === 'GET') t.equal(answer.json.code, 'validation_failed')
    }
  }
})

t.test('a file damaged behind the back of the server is an error before the head, never wrong bytes', { skip: skipWithoutFolder }, async t => {
  const { put, get, send, dataDir, id } = await openAccount()
  const damages: Record<string, (path: string) => Promise<void>> = {
    cut: path => truncate(path, 4),
    emptied: path => truncate(path, 0),
    grown: path => writeFile(path, 'x', { flag: 'a' }),
    removed: path => rm(path)
  }
  for (const [name, damage] of Object.entries(damages)) {
    const tag = (await put(name, 'some bytes')).headers.etag as string
    await damage(await blobPath(dataDir, name, id))
    t.equal((await get(name, { 'if-none-match': tag })).status, 304, 'without a body nothing is opened')
    for (const headers of [{}, { range: 'bytes=0-1' }, { range: 'bytes=0-1,3-4' }, { 'if-none-match': '"other"' }]) {
      const answer = await get(name, headers)
      refused(t, answer, 500, 'file_damaged', `${name} ${JSON.stringify(headers)}`)
      t.notMatch(answer.text, dataDir)
      t.notOk(answer.headers.etag)
    }
    t.equal((await send('HEAD', `/uploads/${name}`)).status, 500)
    t.equal((await send('GET', `/api/files/${name}`)).status, 200, 'the metadata is still there')
    t.equal((await put(name, 'some bytes')).status, 200, 'a new version mends it')
    t.match(await get(name), { status: 200, text: 'some bytes' })
  }
  await put('deleted', 'some bytes')
  await rm(await blobPath(dataDir, 'deleted', id))
  t.equal((await send('DELETE', '/uploads/deleted?permanent=true')).status, 204)
})

t.test('a damaged file is a line in the log, with the id of the request and no credential', { skip: skipWithoutFolder }, async t => {
  const dataDir = t.testdir()
  const server = await spawnServer(t, { DATA_DIR: dataDir })
  const { id, token } = await signUp(server)
  const { put, get } = filesOf(server, token)
  await put('a.txt', 'some bytes')
  await rm(await blobPath(dataDir, 'a.txt', id))
  let log = ''
  server.child.stdout?.on('data', (chunk: Buffer) => { log += chunk.toString() })
  t.equal((await get('a.txt')).status, 500)
  const line = () => /^.*file_damaged.*$/m.exec(log)?.[0]
  while (line() === undefined || !log.endsWith('\n')) await once(server.child.stdout as Readable, 'data')
  t.match(JSON.parse(line() ?? ''), { level: 50, code: 'file_damaged', reqId: String })
  t.notMatch(log, token)
})

t.test('a file cut while it is downloaded ends the connection, not the body', { skip: skipWithoutFolder }, async t => {
  const { put, server, id, token, dataDir } = await openAccount()
  const bytes = randomBytes(24 * MIB)
  await put('big.bin', bytes)
  for (const [range, size] of [['bytes=0-', 20_000_001], ['bytes=0-9,20-', 20_000_000]] as const) {
    const response = await beginDownload(server.port, '/uploads/big.bin', { authorization: `Bearer ${token}`, range })
    t.equal(response.statusCode, 206)
    await truncate(await blobPath(dataDir, 'big.bin', id), size)
    const chunks: Buffer[] = []
    await t.rejects((async () => { for await (const chunk of response) chunks.push(chunk) })(), { code: 'ECONNRESET' }, range)
    t.ok(Buffer.concat(chunks).length < Number(response.headers['content-length']))
    if (range === 'bytes=0-') t.ok(Buffer.concat(chunks).equals(bytes.subarray(0, Buffer.concat(chunks).length)), 'what came is right')
    await writeFile(await blobPath(dataDir, 'big.bin', id), bytes)
  }
})

t.test('a download under way survives deletion, replacement and renaming whole', async t => {
  // The bytes of a bucket have to stay for a while.
  const { put, send, server, id, token, dataDir } = await openAccount({ BLOB_GRACE_SECONDS: '3600', KEEP_DAYS: '0' })
  // More than the buffers on both sides can contain.
  const bytes = randomBytes(16 * MIB)
  for (const [name, operation] of Object.entries({
    deleted: () => send('DELETE', '/uploads/deleted'),
    replaced: () => put('replaced', 'small now'),
    renamed: () => send('PATCH', '/api/files/renamed', { json: { name: 'other' } })
  })) {
    await put(name, bytes)
    const path = await blobPath(dataDir, name, id)
    const authorization = `Bearer ${token}`
    const [whole, parts] = await Promise.all([
      beginDownload(server.port, `/uploads/${name}`, { authorization }),
      beginDownload(server.port, `/uploads/${name}`, { authorization, range: 'bytes=-2000000,0-13999999' })
    ])
    const done = await operation()
    t.ok(done.status < 300, `${name}: ${done.status}`)
    if (name !== 'renamed' && isInFolder) await until(() => !existsSync(path))
    t.ok(Buffer.concat(await whole.toArray()).equals(bytes), `${name}: the whole file`)
    const pieces = partsOf({ headers: parts.headers, bytes: Buffer.concat(await parts.toArray()) } as Answer)
    t.ok(pieces[0]?.body.equals(bytes.subarray(-2_000_000)) && pieces[1]?.body.equals(bytes.subarray(0, 14_000_000)), `${name}: both ranges`)
  }
})

t.test('a client that goes away leaves no file open', { skip: skipWithoutFolder || (process.platform !== 'linux' && 'needs /proc') }, async t => {
  const { put, get, send, server, token, dataDir } = await openAccount()
  await put('big.bin', randomBytes(16 * MIB))
  const authorization = `Bearer ${token}`
  for (const range of ['bytes=0-', 'bytes=0-9,20-']) {
    const responses = await Promise.all(Array.from({ length: 8 }, () => beginDownload(server.port, '/uploads/big.bin', { authorization, range })))
    t.ok(await eventually(() => openHandles(dataDir).length === 8), 'eight downloads are under way')
    for (const response of responses) response.destroy()
    // The server may remove these at any time before the response.
    for (let count = 0; count < 20; count++) {
      const socket = connect(server.port, '127.0.0.1').on('error', () => {})
      await once(socket, 'connect')
      socket.write(`GET /uploads/big.bin HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nRange: ${range}\r\n\r\n`)
      for (let turns = 0; turns < count; turns++) await turn()
      socket.resetAndDestroy()
    }
    // A request that was given up may still open the file for a moment.
    t.ok(await eventually(() => openHandles(dataDir).length === 0), 'and none after that')
  }
  t.equal((await send('HEAD', '/uploads/big.bin')).status, 200)
  t.equal((await get('big.bin', { 'if-none-match': '*' })).status, 304)
  t.equal((await get('big.bin', { 'if-match': OTHER })).status, 412)
  t.equal((await get('big.bin', { range: 'bytes=99999999-' })).status, 416)
  t.ok(await eventually(() => openHandles(dataDir).length === 0), 'nor does an answer without a body')
  t.strictSame(collected, [])
})
