import { connect } from 'node:net'
import t from 'tap'
import { untilTaken } from './kit/arrivals.ts'
import { digestField } from './kit/digests.ts'
import { setQuotas } from './kit/kept-account.ts'
import { refused } from './kit/refusals.ts'
import { sharedServer, signUp, startServer, type Answer, type RunningServer, type Settings } from './kit/server.ts'
import { MIB } from './kit/sizes.ts'
import { isInFolder, runSql } from './kit/stores.ts'
import { base64, beginRequest, chunked, DRAFT_BYTES, idOf, named, stateOf, TUS, TUS_BYTES, type Body, type Headers, type Sending } from './kit/tus.ts'
import { eventually, until } from './kit/waiting.ts'
import { sendRaw } from './kit/wire.ts'

const IANA = 'https://iana.org/assignments/http-problem-types#'

/** Settings of which the tests look at one each. */
const LIMITED = { MAX_FILE_BYTES: '1000', ALLOWED_EXTENSIONS: 'txt,bin', UPLOAD_EXPIRY_HOURS: '2', CORS_ORIGINS: 'https://app.example.org' }
const LOADED = { RATE_LIMIT_PER_MINUTE: '25', MAX_MEMORY_BYTES: '1', CORS_ORIGINS: 'https://app.example.org', MAX_FILE_BYTES: String(Number.MAX_SAFE_INTEGER) }

/** An account of the server that the tests share. */
async function open (settings: Settings = {}) {
  return openOn(await sharedServer(settings))
}

async function openOn (server: RunningServer) {
  const { id, user, token } = await signUp(server)
  return { server, dataDir: server.dataDir, id, user, ...clientOf(server, token) }
}

function clientOf (server: RunningServer, token: string) {
  const ask = (method: string, path: string, headers: Headers = {}, body?: Body) =>
    server.send(method, path, { token, headers, ...(body !== undefined && { body }) })
  return {
    token,
    ask,
    create: (headers: Headers, body?: Body) => ask('POST', '/api/uploads', headers, body),
    tus: async (length: number, name = 'a.bin') => idOf(await ask('POST', '/api/uploads', { ...TUS, ...named(name), 'upload-length': String(length) })),
    head: (id: string, headers: Headers = {}) => ask('HEAD', `/api/uploads/${id}`, headers),
    tusPatch: (id: string, offset: number, body: Body, headers: Headers = {}) => ask('PATCH', `/api/uploads/${id}`, { ...TUS_BYTES, 'upload-offset': String(offset), ...headers }, body),
    patch: (id: string, offset: number, complete: '?0' | '?1', body: Body, headers: Headers = {}) => ask('PATCH', `/api/uploads/${id}`, { ...DRAFT_BYTES, 'upload-offset': String(offset), 'upload-complete': complete, ...headers }, body),
    put: (name: string, headers: Headers, body: Body) => ask('PUT', `/uploads/${name}`, headers, body),
    file: (name: string) => ask('GET', `/uploads/${name}`),
    uploads: async (query = '') => (await ask('GET', `/api/uploads${query}`)).json.uploads as { id: string, name: string, size: number | null, offset: number }[],
    usage: async () => (await ask('GET', '/api/account')).json.usage
  }
}

type Ann = Awaited<ReturnType<typeof open>>

const CHUNKED_CREATION = { 'upload-complete': '?1', 'content-disposition': 'inline; filename=b.txt', 'transfer-encoding': 'chunked' }

const begin = ({ server, token }: Ann, method: string, path: string, headers: Record<string, string>) =>
  beginRequest(server, method, path, { authorization: `Bearer ${token}`, ...headers })

/** Begins to send the rest of an upload of 10 bytes, and resolves when the server has taken these. */
async function beginAppend (ann: Ann, id: string, bytes: string, offset = 0): Promise<Sending> {
  const sending = begin(ann, 'PATCH', `/api/uploads/${id}`, { ...TUS_BYTES, 'upload-offset': String(offset), 'content-length': String(10 - offset) })
  sending.request.write(bytes)
  await untilTaken(sending.request)
  return sending
}

/** An append of a client that, like Chromium, reads nothing before it has sent everything. */
function appendUnread ({ server, token }: Ann, id: string, { offset, size }: { offset: number, size: number }) {
  const socket = connect(server.port, '127.0.0.1').pause()
  const closed = new Promise(resolve => socket.on('error', () => {}).once('close', resolve))
  const head = [`PATCH /api/uploads/${id} HTTP/1.1`, 'Host: a', `Authorization: Bearer ${token}`, 'Tus-Resumable: 1.0.0', 'Content-Type: application/offset+octet-stream', `Upload-Offset: ${offset}`, `Content-Length: ${size}`]
  const piece = Buffer.alloc(MIB / 4)
  socket.write(`${head.join('\r\n')}\r\n\r\n`)
  socket.write(piece)
  return {
    request: { socket },
    /** Sends the rest; returns how many bytes the server took, those in the buffers of both systems included. */
    async sendRest (): Promise<number> {
      let sent = piece.length
      for (; sent < size && !socket.destroyed; sent += piece.length) if (!socket.write(piece)) await Promise.race([new Promise(resolve => socket.once('drain', resolve)), closed])
      socket.resume()
      await closed
      return sent
    }
  }
}

t.test('tus: a file is created in two appends', async t => {
  const ann = await open()
  const created = await ann.create({ ...TUS, 'upload-length': '10', 'upload-metadata': `filename ${base64('ä.txt')},filetype ${base64('text/plain')},empty` })
  t.same(stateOf(created), [201, '0', '10', '?0'])
  t.match(created.headers, { 'tus-resumable': '1.0.0', 'upload-limit': /^max-size=5368709120, max-age=86[34]\d\d$/, 'upload-expires': / GMT$/, 'cache-control': 'no-store' })
  t.match(created.json, { name: 'ä.txt', size: 10, offset: 0, type: 'text/plain', createdAt: /Z$/, expiresAt: /Z$/ })
  t.equal(created.headers.location, `${ann.server.url}/api/uploads/${created.json.id}`)
  const id = idOf(created)

  const head = await ann.head(id, TUS)
  t.same(stateOf(head), [200, '0', '10', '?0'])
  t.match(head.headers, { 'upload-metadata': `filename ${base64('ä.txt')},filetype ${base64('text/plain')},empty`, 'tus-resumable': '1.0.0', 'cache-control': 'no-store' })
  t.same(stateOf(await ann.tusPatch(id, 0, '12345')), [204, '5', '10', '?0'])
  t.match(await ann.uploads(), [{ id, name: 'ä.txt', size: 10, offset: 5 }])
  t.match(await ann.usage(), { files: 0, bytes: 0, uploadBytes: 10 })

  const last = await ann.tusPatch(id, 5, '67890')
  t.same(stateOf(last), [204, '10', '10', '?1'], 'no body, also when it is complete')
  t.equal((await ann.file('%C3%A4.txt')).text, '1234567890')
  t.same(await ann.uploads(), [])
  t.same(stateOf(await ann.head(id)), [200, '10', '10', '?1'])
  t.same(stateOf(await ann.tusPatch(id, 10, '')), [204, '10', '10', '?1'], 'the last answer is repeated')
  t.match((await ann.usage()), { files: 1, bytes: 10, uploadBytes: 0 })
  t.equal((await ann.ask('DELETE', `/api/uploads/${id}`, TUS)).status, 204)
  refused(t, await ann.head(id), 404, 'not_found')
  t.equal((await ann.file('%C3%A4.txt')).status, 200, 'the file stays')
})

t.test('tus: content of the creation is the beginning, and the length can come later', async t => {
  const ann = await open()
  const metadata = { 'upload-metadata': `name ${base64('b.txt')}, type ${base64('text/x-b')}` }
  const created = await ann.create({ ...TUS_BYTES, 'upload-defer-length': '1', ...metadata }, 'abc')
  t.same(stateOf(created), [201, '3', undefined, '?0'])
  t.equal(created.headers['upload-defer-length'], '1')
  t.match(created.json, { name: 'b.txt', type: 'text/x-b', size: null, offset: 3 })
  t.equal((await ann.usage()).uploadBytes, 3, 'a deferred length is reserved as it arrives')
  const id = idOf(created)
  t.same(stateOf(await ann.tusPatch(id, 3, chunked('de'))), [204, '5', undefined, '?0'])
  t.match((await ann.head(id, TUS)).headers, { 'upload-defer-length': '1' })
  t.equal((await ann.head(id)).headers['upload-defer-length'], undefined, 'for clients of tus only')
  for (const body of ['', 'x']) refused(t, await ann.tusPatch(id, 5, body, { 'upload-length': '4' }), 400, 'upload_length_inconsistent', 'below the offset')
  t.same(stateOf(await ann.tusPatch(id, 5, '', { 'upload-length': '6' })), [204, '5', '6', '?0'])
  refused(t, await ann.tusPatch(id, 5, 'f', { 'upload-length': '7' }), 400, 'upload_length_inconsistent')
  refused(t, await ann.tusPatch(id, 5, '', { 'upload-offset': '9'.repeat(400) }), 409, 'upload_offset_mismatch')
  t.same(stateOf(await ann.tusPatch(id, 5, 'f')), [204, '6', '6', '?1'])
  t.equal((await ann.file('b.txt')).text, 'abcdef')

  const ending = await ann.create({ ...TUS_BYTES, 'upload-defer-length': '1', ...named('a.txt') }, '12345')
  t.same(stateOf(await ann.tusPatch(idOf(ending), 5, '', { 'upload-length': '5' })), [204, '5', '5', '?1'])
  t.same(stateOf(await ann.create({ ...TUS_BYTES, 'upload-length': '2', ...named('c') }, 'hi')), [201, '2', '2', '?1'])
  t.same(stateOf(await ann.create({ ...TUS, 'upload-length': '0', ...named('empty') })), [201, '0', '0', '?1'])
  t.equal((await ann.file('empty')).text, '')
})

/** `Upload-Metadata` of this length. */
const metadataOf = (bytes: number) => `filename ${base64('a.txt')},`.padEnd(bytes, 'k')

t.test('an id that no upload has is 404, whatever it is, and so is that of an upload that has expired', async t => {
  const ann = await open()
  const expired = await ann.tus(10)
  await runSql(ann.server.dataDir, `UPDATE uploads SET expires_at = 1 WHERE id = '${expired}'`)
  for (const id of [expired, '0', '%00', 'f'.repeat(31), 'f'.repeat(32), 'f'.repeat(33), 'F'.repeat(32), `${'f'.repeat(32)}%00`, '%2F', "'", '%F0%9F%98%80', 'x'.repeat(1024)]) {
    for (const answer of [await ann.head(id), await ann.ask('GET', `/api/uploads/${id}`), await ann.tusPatch(id, 0, 'x'), await ann.ask('DELETE', `/api/uploads/${id}`)]) refused(t, answer, 404, 'not_found', id.slice(0, 40))
  }
  t.same(await ann.uploads(), [])
  t.equal((await ann.usage()).uploadBytes, 0, 'it reserves nothing')
})

t.test('a creation that is wrong is refused, and nothing is created', async t => {
  const ann = await open(LIMITED)
  const tus = { ...TUS, ...named('a.txt') }
  const draft = { 'upload-complete': '?0', 'content-disposition': 'inline; filename="a.txt"' }
  for (const [what, headers, status, code, body] of [
    ['no protocol', named('a.txt'), 412, 'upload_protocol_missing'],
    ['another version of tus beside the draft', { ...draft, 'tus-resumable': '2.0.0' }, 412, 'tus_version_unsupported'],
    ['no length', tus, 400, 'upload_header_invalid'],
    ['two lengths', { ...tus, 'upload-length': '1', 'upload-defer-length': '1' }, 400, 'upload_header_invalid'],
    ['a deferred length of 2', { ...tus, 'upload-defer-length': '2' }, 400, 'upload_header_invalid'],
    ['two lines of length', { ...tus, 'upload-length': ['1', '1'] }, 400, 'upload_header_invalid'],
    ['a length over the limit', { ...tus, 'upload-length': '1001' }, 413, 'file_too_large'],
    ['a length beyond all numbers', { ...tus, 'upload-length': '9'.repeat(400) }, 413, 'file_too_large'],
    ['no name, and so no extension', { ...TUS, 'upload-length': '1' }, 415, 'extension_not_allowed'],
    ['a path as the name', { ...TUS, 'upload-length': '1', ...named('../a.txt') }, 400, 'name_invalid'],
    ['metadata that is no Base64', { ...TUS, 'upload-length': '1', 'upload-metadata': 'filename a.txt' }, 400, 'upload_header_invalid'],
    ['metadata with a key without a name', { ...TUS, 'upload-length': '1', 'upload-metadata': 'filename YS50eHQ=,,' }, 400, 'upload_header_invalid'],
    ['metadata with a key twice', { ...TUS, 'upload-length': '1', 'upload-metadata': 'filename YS50eHQ=,filename YS50eHQ=' }, 400, 'upload_header_invalid'],
    ['a name that is not UTF-8', { ...TUS, 'upload-length': '1', 'upload-metadata': 'filename /w==' }, 400, 'upload_header_invalid'],
    ['metadata over the limit', { ...TUS, 'upload-length': '1', 'upload-metadata': metadataOf(4097) }, 400, 'upload_header_invalid'],
    ['metadata over the limit (draft)', { ...draft, 'upload-metadata': metadataOf(4097) }, 400, 'upload_header_invalid'],
    ['an extension that is not allowed', { ...TUS, 'upload-length': '1', ...named('a.exe') }, 415, 'extension_not_allowed'],
    ['concatenation', { ...tus, 'upload-length': '1', 'upload-concat': 'partial' }, 400, 'upload_header_invalid'],
    ['a checksum', { ...tus, 'upload-length': '1', 'upload-checksum': 'sha1 AAAA' }, 400, 'upload_header_invalid'],
    ['content of another type', { ...tus, 'upload-length': '1', 'content-type': 'text/plain' }, 415, 'unsupported_media_type', 'x'],
    ['compressed content', { ...draft, 'content-encoding': 'gzip' }, 415, 'content_encoding_unsupported', 'x'],
    ['a range', { ...draft, 'content-range': 'bytes 0-0/1' }, 400, 'partial_upload', 'x'],
    ['an invalid Upload-Complete', { ...draft, 'upload-complete': 'true' }, 412, 'upload_protocol_missing'],
    ['contradictory lengths (draft)', { ...draft, 'upload-complete': '?1', 'upload-length': '2' }, 400, 'upload_length_inconsistent', 'x'],
    ['a length over the limit (draft)', { ...draft, 'upload-length': '1001' }, 413, 'file_too_large'],
    ['a malformed digest', { ...draft, 'repr-digest': 'sha-256=1' }, 400, 'digest_malformed'],
    ['a malformed digest of the content', { ...draft, 'content-digest': 'sha-256=1' }, 400, 'digest_malformed'],
    ['a digest that no content has', { ...draft, 'content-digest': `sha-256=:${base64('x'.repeat(32))}:` }, 400, 'digest_mismatch']
  ] as [string, Headers, number, string, Body?][]) {
    const answer = await ann.create(headers, body)
    refused(t, answer, status, code, what)
    t.equal(answer.headers['tus-version'], status === 412 ? '1.0.0' : undefined, `${what}: Tus-Version`)
    t.equal(answer.headers['upload-limit'] !== undefined, status === 413, `${what}: Upload-Limit`)
    if (code === 'upload_length_inconsistent') t.equal(answer.json.type, `${IANA}inconsistent-upload-length`)
  }
  t.same(await ann.uploads(), [])
})

t.test('bytes announced beyond the limit or the quota are not read, also while the length of the file is unknown', async t => {
  const ann = await open(LIMITED)
  await setQuotas(ann, { bytes: 900 })
  const draft = { 'upload-complete': '?0', 'content-disposition': 'inline; filename="a.txt"' }
  const tus = { ...TUS_BYTES, ...named('a.txt'), 'upload-defer-length': '1' }
  async function refuse (
    what: string, [method, path, headers]: [string, string, Record<string, string>], bytes: number, code: string
  ): Promise<void> {
    const { request, answered } = begin(ann, method, path, { ...headers, expect: '100-continue', 'content-length': String(bytes) })
    request.on('continue', () => t.fail(`${what}: is asked to continue`))
    t.match(await answered, { status: 413, code }, what)
    request.destroy()
  }
  for (const [bytes, code] of [[1001, 'file_too_large'], [901, 'quota_exceeded']] as const) {
    await refuse(`${bytes} bytes by PUT`, ['PUT', '/uploads/a.txt', { 'upload-complete': '?0' }], bytes, code)
    await refuse(`${bytes} bytes of a draft`, ['POST', '/api/uploads', draft], bytes, code)
    await refuse(`${bytes} bytes of tus`, ['POST', '/api/uploads', tus], bytes, code)
    t.same(await ann.uploads(), [], 'nothing is created')
  }
  const created = await ann.create(tus, 'abc')
  const id = idOf(created)
  for (const [bytes, code] of [[998, 'file_too_large'], [898, 'quota_exceeded']] as const) {
    await refuse(`${bytes} bytes of an append`, ['PATCH', `/api/uploads/${id}`, { ...TUS_BYTES, 'upload-offset': '3' }], bytes, code)
  }
  t.same(stateOf(await ann.tusPatch(id, 3, 'x'.repeat(897))), [204, '900', undefined, '?0'], 'what fits is taken')
  refused(t, await ann.tusPatch(id, 900, chunked('x')), 413, 'quota_exceeded')
  refused(t, await ann.create({ ...TUS, ...named('a.txt'), 'upload-length': '1' }), 413, 'quota_exceeded')
  refused(t, await ann.put('b.txt', {}, '1'), 413, 'quota_exceeded', 'by ordinary uploads too')
})

t.test('an append that is wrong is refused, and the upload stays as it is', async t => {
  const ann = await open()
  const id = await ann.tus(10)
  await ann.tusPatch(id, 0, '123')
  for (const [what, headers, status, code] of [
    ['no protocol', { 'upload-offset': '3', ...DRAFT_BYTES }, 412, 'upload_protocol_missing'],
    ['another type (tus)', { ...TUS, 'content-type': 'application/partial-upload', 'upload-offset': '3' }, 415, 'unsupported_media_type'],
    ['no type (tus)', { ...TUS, 'upload-offset': '3' }, 415, 'unsupported_media_type'],
    ['another type (draft)', { 'upload-complete': '?0', 'content-type': 'application/offset+octet-stream', 'upload-offset': '3' }, 415, 'unsupported_media_type'],
    ['an ill-formed type (draft)', { 'upload-complete': '?0', 'content-type': 'partial', 'upload-offset': '3' }, 415, 'unsupported_media_type'],
    ['no offset (tus)', TUS_BYTES, 400, 'upload_header_invalid'],
    ['no offset (draft)', { ...DRAFT_BYTES, 'upload-complete': '?0' }, 400, 'upload_header_invalid'],
    ['an offset too long for a structured field', { ...DRAFT_BYTES, 'upload-complete': '?0', 'upload-offset': '9'.repeat(16) }, 400, 'upload_header_invalid'],
    ['a range', { ...TUS_BYTES, 'upload-offset': '3', 'content-range': 'bytes 3-3/10' }, 400, 'partial_upload'],
    ['a checksum', { ...TUS_BYTES, 'upload-offset': '3', 'upload-checksum': 'sha1 AAAA' }, 400, 'upload_header_invalid'],
    ['a malformed digest', { ...DRAFT_BYTES, 'upload-complete': '?0', 'upload-offset': '3', 'content-digest': '?' }, 400, 'digest_malformed'],
    ['another length (draft)', { ...DRAFT_BYTES, 'upload-complete': '?0', 'upload-offset': '3', 'upload-length': '11' }, 400, 'upload_length_inconsistent'],
    ['the end before the length (draft)', { ...DRAFT_BYTES, 'upload-complete': '?1', 'upload-offset': '3' }, 400, 'upload_length_inconsistent'],
    ['another Upload-Length than the content (draft)', { ...DRAFT_BYTES, 'upload-complete': '?1', 'upload-offset': '3', 'upload-length': '10' }, 400, 'upload_length_inconsistent'],
    ['compressed content', { ...TUS_BYTES, 'upload-offset': '3', 'content-encoding': 'gzip' }, 415, 'content_encoding_unsupported']
  ] as [string, Headers, number, string][]) {
    const answer = await ann.ask('PATCH', `/api/uploads/${id}`, headers, 'x')
    refused(t, answer, status, code, what)
    t.equal(answer.headers['tus-version'], status === 412 ? '1.0.0' : undefined, `${what}: Tus-Version`)
  }
  for (const [what, answer] of [
    ['tus', await ann.tusPatch(id, 2, 'x')],
    ['draft', await ann.patch(id, 2, '?1', '12345678')],
    ['huge', await ann.tusPatch(id, 2, 'x', { 'upload-offset': '9'.repeat(15) })]
  ] as const) {
    refused(t, answer, 409, 'upload_offset_mismatch', what)
    t.match(answer.headers, { 'upload-offset': '3', 'upload-complete': '?0' }, what)
    t.match(answer.json, { type: `${IANA}mismatching-upload-offset`, 'expected-offset': 3, 'provided-offset': what === 'huge' ? 999999999999999 : 2 }, what)
  }
  t.same(stateOf(await ann.head(id)), [200, '3', '10', '?0'])
  refused(t, await ann.tusPatch(id, 3, '45678901'), 400, 'upload_length_inconsistent', 'bytes beyond the length')
  refused(t, await ann.head(id), 404, 'not_found', 'they end the upload')
  const chunkedId = await ann.tus(5)
  refused(t, await ann.tusPatch(chunkedId, 0, chunked('123', '456')), 400, 'upload_length_inconsistent', 'without an announced length')
  refused(t, await ann.head(chunkedId), 404, 'not_found')
})

t.test('an append is refused without taking the rest of its bytes', async t => {
  const ann = await open()
  const size = 256 * MIB
  const id = await ann.tus(size)
  const wrong = await appendUnread(ann, id, { offset: 5, size: size - 5 }).sendRest()
  t.ok(wrong < size / 2, `at a wrong offset: ${wrong / MIB} MiB were taken`)
  t.same(stateOf(await ann.head(id)), [200, '0', String(size), '?0'])

  const older = appendUnread(ann, id, { offset: 0, size })
  await untilTaken(older.request)
  t.same(stateOf(await ann.head(id)), [200, String(MIB / 4), String(size), '?0'])
  const rest = await older.sendRest()
  t.ok(rest < size / 2, `when it is taken over: ${rest / MIB} MiB were taken`)
  t.same(stateOf(await ann.head(id)), [200, String(MIB / 4), String(size), '?0'])
})

t.test('an upload that is complete takes no more bytes', async t => {
  const ann = await open()
  const id = await ann.tus(3)
  await ann.tusPatch(id, 0, 'abc')
  for (const answer of [await ann.tusPatch(id, 3, 'd'), await ann.patch(id, 3, '?1', 'd'), await ann.tusPatch(id, 3, chunked('d'))]) {
    refused(t, answer, 400, 'upload_completed')
    t.equal(answer.json.type, `${IANA}completed-upload`)
  }
  const earlier = await ann.tusPatch(id, 1, 'bc')
  refused(t, earlier, 409, 'upload_offset_mismatch')
  t.match(earlier.headers, { 'upload-offset': '3' })
  t.same(stateOf(await ann.ask('GET', `/api/uploads/${id}`)), [200, '3', '3', '?1'])
  const again = await ann.patch(id, 3, '?1', '')
  t.same(stateOf(again), [201, '3', '3', '?1'])
  t.match(again.json, { name: 'a.bin', size: 3 })
})

t.test('tus: POST with X-HTTP-Method-Override stands for other methods', async t => {
  const ann = await open()
  const id = await ann.tus(5)
  const post = (method: string, headers: Headers = {}, body = '') => ann.ask('POST', `/api/uploads/${id}`, { ...TUS, 'x-http-method-override': method, ...headers }, body)
  t.same(stateOf(await post('PATCH', { ...TUS_BYTES, 'upload-offset': '0' }, '12')), [204, '2', '5', '?0'])
  t.same(stateOf(await post('head')), [200, '2', '5', '?0'])
  refused(t, await post('PATCH', { ...TUS_BYTES, 'upload-offset': '5' }, 'x'), 409, 'upload_offset_mismatch')
  refused(t, await post('PUT'), 400, 'upload_header_invalid')
  refused(t, await ann.ask('POST', `/api/uploads/${id}`, TUS), 400, 'upload_header_invalid')
  refused(t, await ann.ask('POST', `/api/uploads/${id}`, { 'upload-complete': '?0', 'x-http-method-override': 'PATCH' }), 412, 'upload_protocol_missing')
  t.equal((await post('DELETE')).status, 204)
  refused(t, await post('HEAD'), 404, 'not_found')
})

t.test('draft: appends, of which the last answers like PUT', async t => {
  const ann = await open()
  const created = await ann.create({ 'upload-complete': '?0', 'upload-draft-interop-version': '6', 'content-disposition': 'attachment; filename="a b.txt"', 'content-type': 'text/x-mine' }, 'one')
  t.same(stateOf(created), [201, '3', undefined, '?0'])
  t.match(created.json, { name: 'a b.txt', type: 'text/x-mine', size: null, offset: 3 })
  t.equal(created.headers['tus-resumable'], undefined)
  const id = idOf(created)
  t.same(stateOf(await ann.patch(id, 3, '?0', 'two')), [204, '6', undefined, '?0'])
  const last = await ann.patch(id, 6, '?1', chunked('three'))
  t.same(stateOf(last), [201, '11', '11', '?1'])
  t.match(last.headers, { location: '/uploads/a%20b.txt', etag: `"${last.json.sha256}"` })
  t.match(last.json, { name: 'a b.txt', size: 11, type: 'text/x-mine' })
  t.equal((await ann.file('a%20b.txt')).text, 'onetwothree')

  const replacing = await ann.create({ 'upload-complete': '?0', 'upload-length': '3', 'if-match': String(last.headers.etag), 'content-disposition': 'inline; filename="a b.txt"' })
  const replaced = await ann.patch(idOf(replacing), 0, '?1', 'new')
  t.same(stateOf(replaced), [200, '3', '3', '?1'])
  t.equal(replaced.headers.location, undefined)

  const whole = await ann.create({ 'upload-complete': '?1', 'content-disposition': 'inline; filename=whole.txt' }, 'whole')
  t.same(stateOf(whole), [201, '5', '5', '?1'])
  t.match(whole.json, { name: 'whole.txt', offset: 5, size: 5 }, 'the upload, also when it is complete')
  t.match(whole.headers.location, /\/api\/uploads\/[0-9a-f]{32}$/)
  t.same(stateOf(await ann.create({ 'upload-complete': '?1', 'content-disposition': 'inline; filename=chunks.txt' }, chunked('a', 'b'))), [201, '2', '2', '?1'])
  t.same(stateOf(await ann.create({ 'upload-complete': '?1', 'content-disposition': 'inline; filename=none.txt' })), [201, '0', '0', '?1'])
  t.same(stateOf(await ann.create({ 'upload-complete': '?0', 'upload-length': '-1', 'content-disposition': 'inline; filename=b.txt' })), [201, '0', undefined, '?0'], 'an invalid length is ignored')
})

t.test('an upload without a name is called like its id', async t => {
  const ann = await open()
  for (const [what, headers] of [
    ['tus', { ...TUS, 'upload-length': '3' }],
    ['tus with a type', { ...TUS, 'upload-length': '3', 'upload-metadata': `filetype ${base64('text/x-a')}` }],
    ['tus with an empty name', { ...TUS, 'upload-length': '3', 'upload-metadata': 'filename' }],
    ['draft without a filename', { 'upload-complete': '?0', 'upload-length': '3', 'content-disposition': 'inline' }]
  ] as [string, Headers][]) {
    const created = await ann.create(headers)
    const id = idOf(created)
    t.match([created.status, created.json.id, created.json.name], [201, id, id], what)
    t.equal((await ann.tusPatch(id, 0, 'abc')).status, 204, what)
    t.same([(await ann.file(id)).text, (await ann.file(id)).headers['content-type']], ['abc', what === 'tus with a type' ? 'text/x-a' : 'application/octet-stream'], what)
  }
})

t.test('draft: the name and the type', async t => {
  const ann = await open()
  for (const [headers, name, type] of [
    [{ 'content-disposition': 'inline; filename="x.txt"; filename*=UTF-8\'\'%e2%82%ac.txt' }, '€.txt', 'text/plain'],
    [{ 'content-disposition': Buffer.from('inline; filename="ü.txt"').toString('latin1') }, 'ü.txt', 'text/plain'],
    [{ 'content-disposition': 'inline; filename="\xFC.txt"' }, 'ü.txt', 'text/plain'],
    [{ 'content-disposition': 'inline', ...named('a.txt') }, 'a.txt', 'text/plain'],
    [{ ...named('a.txt'), 'content-type': 'image/png' }, 'a.txt', 'image/png'],
    [{ ...named('a.txt'), ...DRAFT_BYTES }, 'a.txt', 'text/plain'],
    [{ ...named('a.txt'), 'content-type': 'application/x-www-form-urlencoded' }, 'a.txt', 'text/plain'],
    [{ 'upload-metadata': `filename ${base64('b.txt')},filetype ${base64('text/x-b')}`, ...DRAFT_BYTES }, 'b.txt', 'text/x-b'],
    [{ 'upload-metadata': `filename ${base64('b.txt')},type ${base64('no type')}` }, 'b.txt', 'text/plain']
  ] as [Headers, string, string][]) {
    const { json } = await ann.create({ 'upload-complete': '?0', ...headers })
    t.match([json.name, json.type], [name, type])
  }
})

t.test('PUT with Upload-Complete can be continued, unless it is small', async t => {
  const ann = await open()
  const small = await ann.put('a.bin', { 'upload-complete': '?1' }, Buffer.alloc(MIB))
  t.same(stateOf(small), [201, undefined, undefined, undefined], 'an ordinary PUT')
  const large = Buffer.alloc(MIB + 1, 'a')
  const replaced = await ann.put('a.bin', { 'upload-complete': '?1', 'content-type': 'text/x-a' }, large)
  t.same(stateOf(replaced), [200, String(MIB + 1), String(MIB + 1), '?1'])
  t.match(replaced.json, { name: 'a.bin', size: MIB + 1, type: 'text/x-a' })
  t.equal((await ann.put('a.txt', { 'upload-complete': '?1', 'content-type': 'application/x-www-form-urlencoded' }, large)).json.type, 'text/plain')
  t.match(replaced.headers, { etag: `"${replaced.json.sha256}"` })
  t.same(stateOf(await ann.put('b.bin', { 'upload-complete': '?1' }, chunked('chunk'))), [201, '5', '5', '?1'])
  refused(t, await ann.put('c.bin', { 'upload-complete': '?1', 'upload-length': '6' }, '12345'), 400, 'upload_length_inconsistent')
  for (const invalid of ['1', '?0, ?0', 'yes']) refused(t, await ann.put('c.bin', { 'upload-complete': invalid }, '12345'), 400, 'upload_header_invalid', 'it may be the beginning of a file')
  refused(t, await ann.put('c.bin', TUS, '12345'), 400, 'upload_header_invalid', 'tus has no PUT')
  refused(t, await ann.put('c.bin', { 'tus-resumable': '0.2.0' }, '12345'), 412, 'tus_version_unsupported')
  t.equal((await ann.file('c.bin')).status, 404)
  await ann.put('c.bin', {}, 'kept')
  refused(t, await ann.put('c.bin', { 'upload-complete': '?0', 'upload-length': '0' }, '12345'), 400, 'upload_length_inconsistent', 'content of an empty file')
  t.equal((await ann.file('c.bin')).text, 'kept')

  const begun = await ann.put('d.bin', { 'upload-complete': '?0' }, '123')
  t.same(stateOf(begun), [201, '3', undefined, '?0'])
  t.match(begun.json, { name: 'd.bin', offset: 3, size: null })
  t.match(begun.headers.location, /\/api\/uploads\/[0-9a-f]{32}$/)
  const last = await ann.patch(idOf(begun), 3, '?1', '45')
  t.same([last.status, last.headers.location, last.json.size], [201, '/uploads/d.bin', 5])
  t.same(stateOf(await ann.put('e.bin', { 'upload-complete': '?0', 'upload-length': '3' }, '123')), [201, '3', '3', '?1'], 'complete by its length')
  refused(t, await ann.put('%2E%2E', { 'upload-complete': '?0' }, '123'), 400, 'name_invalid')

  const first = idOf(await ann.put('f.bin', { 'upload-complete': '?0' }, '1'))
  const second = idOf(await ann.put('f.bin', { 'upload-complete': '?0' }, '2'))
  refused(t, await ann.head(first), 404, 'not_found', 'the older upload of that name ended')
  t.equal((await ann.head(second)).status, 200)
})

t.test('Upload-Metadata of up to 4 KiB is repeated, and a longer one is refused', async t => {
  const ann = await open()
  for (const upload of [
    await ann.create({ ...TUS, 'upload-length': '1', 'upload-metadata': metadataOf(4096) }),
    await ann.put('a.txt', { 'upload-complete': '?0', 'upload-metadata': metadataOf(4096) }, '')
  ]) t.match(await ann.head(idOf(upload)), { status: 200, headers: { 'upload-metadata': metadataOf(4096) } })
  refused(t, await ann.put('a.txt', { 'upload-complete': '?0', 'upload-metadata': metadataOf(4097) }, ''), 400, 'upload_header_invalid')
  t.equal((await ann.uploads('?name=a.txt')).length, 2)
})

t.test('PUT with Content-Range sends the rest of an upload that was begun with PUT', async t => {
  const ann = await open()
  await ann.put('a.txt', { 'upload-complete': '?0', 'upload-length': '10' }, '12345')
  for (const [range, status, code] of [
    ['bytes 5-8/10', 400, 'content_range_invalid'],
    ['bytes 5-9/*', 400, 'content_range_invalid'],
    ['bytes 6-9/10', 400, 'content_range_invalid'],
    ['items 5-9/10', 400, 'content_range_invalid'],
    ['5', 400, 'content_range_invalid'],
    ['bytes 4-8/9', 409, 'upload_offset_mismatch'],
    ['bytes 5-9/10, bytes 5-9/10', 400, 'content_range_invalid']
  ] as const) refused(t, await ann.put('a.txt', { 'content-range': range }, '67890'), status, code, range)
  refused(t, await ann.put('a.txt', { 'content-range': 'bytes 5-9/10' }, chunked('67890')), 400, 'content_range_invalid', 'without a length')
  refused(t, await ann.put('a.txt', { 'content-range': 'bytes 5-10/11' }, '678901'), 400, 'upload_length_inconsistent', 'another length')

  const none = await ann.put('b.txt', { 'content-range': 'bytes 5-9/10' }, '67890')
  refused(t, none, 409, 'upload_offset_mismatch')
  t.match(none.headers, { 'upload-offset': '0', 'upload-complete': '?0' })
  t.match(none.json, { 'expected-offset': 0, 'provided-offset': 5 })
  await ann.tus(10, 'b.txt')
  refused(t, await ann.put('b.txt', { 'content-range': 'bytes 5-9/10' }, '67890'), 409, 'upload_offset_mismatch', 'one that was begun with POST is not meant')
  await ann.put('b.txt', { 'upload-complete': '?0' }, 'byPUT')
  await ann.tus(10, 'b.txt')
  t.same(stateOf(await ann.put('b.txt', { 'content-range': 'bytes 5-9/10' }, '67890')), [201, '10', '10', '?1'], 'also if it is newer')
  t.equal((await ann.file('b.txt')).text, 'byPUT67890')
  refused(t, await ann.put('%2E%2E', { 'content-range': 'bytes 5-9/10' }, '67890'), 400, 'name_invalid')

  const rest = await ann.put('a.txt', { 'content-range': 'bytes 5-9/10', 'upload-complete': '?1' }, '67890')
  t.same(stateOf(rest), [201, '10', '10', '?1'])
  t.match(rest.json, { name: 'a.txt', size: 10 })
  t.equal((await ann.file('a.txt')).text, '1234567890')
  t.equal((await ann.put('c.txt', { 'content-range': 'bytes 0-4/5' }, '12345')).status, 201, 'a range that is the whole')
  t.equal((await ann.put('d.txt', { 'content-range': 'bytes 0--1/0' }, '')).status, 201, 'of an empty file, as curl writes it')
  t.same(stateOf(await ann.put('e.txt', { 'content-range': `bytes 0-${MIB}/${MIB + 1}`, 'upload-complete': '?1' }, Buffer.alloc(MIB + 1))), [201, String(MIB + 1), String(MIB + 1), '?1'])
  t.equal((await ann.put('f.txt', { 'content-range': 'bytes 0-4/5', 'upload-complete': '?0' }, '12345')).json.size, 5, 'the range decides')
  refused(t, await ann.put('g.txt', { 'content-range': 'bytes 0-4/5', 'upload-complete': '?0', 'upload-length': '9' }, '12345'), 400, 'upload_length_inconsistent')
})

t.test('preconditions are judged at the beginning and at the end', async t => {
  const ann = await open()
  const { headers: { etag } } = await ann.put('a.txt', {}, 'old')
  const disposition = { 'content-disposition': 'inline; filename=a.txt' }
  refused(t, await ann.create({ 'upload-complete': '?0', 'upload-length': '4', ...disposition }), 412, 'precondition_failed', 'a file of another length is there')
  refused(t, await ann.create({ 'upload-complete': '?0', 'if-none-match': '*', ...disposition }), 412, 'precondition_failed')
  refused(t, await ann.create({ ...TUS, 'upload-length': '3', 'if-match': '"x"', ...named('a.txt') }), 412, 'precondition_failed')
  t.same(stateOf(await ann.create({ 'upload-complete': '?1', ...disposition }, 'old')), [201, '3', '3', '?1'], 'the same bytes')

  const late = await ann.create({ 'upload-complete': '?1', ...disposition }, 'new')
  refused(t, late, 412, 'precondition_failed', 'other bytes of this length')
  t.match(late.headers, { 'upload-complete': '?1' })
  const id = idOf(late)
  t.match(await ann.uploads(), [{ id }], 'its address is told')
  const head = await ann.head(id)
  t.same([head.status, head.headers['upload-complete']], [412, '?1'])
  refused(t, await ann.ask('GET', `/api/uploads/${id}`), 412, 'precondition_failed')
  refused(t, await ann.tusPatch(id, 3, ''), 412, 'precondition_failed', 'tried again')
  await ann.ask('DELETE', '/uploads/a.txt')
  t.same(stateOf(await ann.tusPatch(id, 3, '')), [204, '3', '3', '?1'])
  t.equal((await ann.file('a.txt')).text, 'new')

  await ann.put('b.txt', { 'upload-complete': '?0', 'upload-length': '10', 'if-none-match': '*' }, '12345')
  await ann.put('b.txt', {}, 'meanwhile')
  refused(t, await ann.put('b.txt', { 'content-range': 'bytes 5-9/10' }, '67890'), 412, 'precondition_failed', 'as recorded')
  t.equal((await ann.put('b.txt', { 'content-range': 'bytes 10-9/10', 'if-match': '*' }, '')).status, 200, 'replaced by those of the range')
  refused(t, await ann.put('b.txt', { 'upload-complete': '?0', 'if-match': String(etag) }, '12345'), 412, 'precondition_failed')
})

t.test('digests cover the content of a request, or the file', async t => {
  const ann = await open()
  const sha256 = (text: string) => digestField('sha-256', text)
  const id = await ann.tus(6)
  refused(t, await ann.tusPatch(id, 0, 'abc', { 'content-digest': sha256('xyz') }), 400, 'digest_mismatch')
  t.same(stateOf(await ann.head(id)), [200, '0', '6', '?0'], 'none of the content is kept')
  t.same(stateOf(await ann.tusPatch(id, 0, 'abc', { 'content-digest': sha256('abc') })), [204, '3', '6', '?0'])
  t.same(stateOf(await ann.tusPatch(id, 3, 'd', { 'content-digest': 'md5=:AAAA:', 'repr-digest': sha256('other') })), [204, '4', '6', '?0'], 'an unknown algorithm is ignored, and the digest of the file belongs to the creation')

  const draft = { 'upload-complete': '?0', 'content-disposition': 'inline; filename=b.txt' }
  const right = await ann.create({ ...draft, 'repr-digest': sha256('abcdef'), 'content-digest': sha256('abc') }, 'abc')
  t.same(stateOf(await ann.patch(idOf(right), 3, '?1', 'def')), [201, '6', '6', '?1'])
  const wrong = await ann.create({ ...draft, 'content-disposition': 'inline; filename=c.txt', 'repr-digest': sha256('other') }, 'abc')
  refused(t, await ann.patch(idOf(wrong), 3, '?1', 'def'), 400, 'digest_mismatch')
  refused(t, await ann.head(idOf(wrong)), 404, 'not_found', 'it ends the upload')
  refused(t, await ann.create({ ...draft, 'upload-complete': '?1', 'content-disposition': 'inline; filename=d.txt', 'content-digest': sha256('x') }, 'abc'), 400, 'digest_mismatch')
  t.equal((await ann.file('d.txt')).status, 404)

  // In a trailer field, which is announced.
  const trailed = await ann.tus(3)
  t.match(await sendRaw(ann.server.port, `PATCH /api/uploads/${trailed} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer ${ann.token}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Digest\r\n\r\n3\r\nabc\r\n0\r\nContent-Digest: ${sha256('x')}\r\n\r\n`), /^HTTP\/1\.1 400 [\s\S]*"digest_mismatch"/)

  // That of the file may come with the bytes as well.
  const sha512 = (text: string) => digestField('sha-512', text)
  const append = async (name: string, digest: string, body = 'abc') => {
    const id = await ann.tus(body.length, name)
    return { id, answer: await ann.tusPatch(id, 0, body, { 'repr-digest': digest }) }
  }
  refused(t, (await append('e.txt', '((')).answer, 400, 'digest_malformed')
  for (const digest of [sha256('other'), sha512('other')]) {
    const { id, answer } = await append('e.txt', digest)
    refused(t, answer, 400, 'digest_mismatch')
    refused(t, await ann.head(id), 404, 'not_found')
  }
  for (const digestOf of [sha256, sha512]) t.equal((await append(digestOf('').slice(0, 7), digestOf('abc'))).answer.status, 204)
  const large = 'x'.repeat(100_000)
  t.equal((await append('large.txt', sha512(large), large)).answer.status, 204)
  refused(t, await ann.create({ ...draft, 'upload-complete': '?1', 'content-disposition': 'inline; filename=g.txt', 'repr-digest': sha256('x') }, 'abc'), 400, 'digest_mismatch')
  t.match(await ann.uploads('?name=d.txt'), [{ offset: 0 }], 'of a creation with the wrong content nothing but its content is dropped')
  t.same(await ann.uploads('?name=g.txt'), [])

  for (const [digest, status] of [[sha256('x'), 400], [sha256('abc'), 201], ['((', 400]] as const) {
    t.match(await sendRaw(ann.server.port, `PUT /uploads/h.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer ${ann.token}\r\nUpload-Complete: ?1\r\nTransfer-Encoding: chunked\r\nTrailer: Repr-Digest\r\n\r\n3\r\nabc\r\n0\r\nRepr-Digest: ${digest}\r\n\r\n`), new RegExp(`^HTTP/1\\.1 ${status} `), digest)
  }
})

t.test('an upload that ends at its offset has no bytes of an append that failed', async t => {
  const ann = await open()
  const failed = Buffer.alloc(5 * MIB, 'x')
  const wrong = { 'content-digest': `sha-256=:${base64('x'.repeat(32))}:` }
  const ends: [string, (id: string) => Promise<Answer>][] = [
    ['tus', id => ann.tusPatch(id, 3, '', { 'upload-length': '3' })],
    ['draft', id => ann.patch(id, 3, '?1', '')]
  ]
  for (const [name, end] of ends) {
    const id = idOf(await ann.create({ 'upload-complete': '?0', 'content-disposition': `inline; filename=${name}` }, 'abc'))
    refused(t, await ann.patch(id, 3, '?0', failed, wrong), 400, 'digest_mismatch')
    t.ok((await end(id)).status < 300, name)
    t.equal((await ann.file(name)).text, 'abc', name)
  }
})

t.test('no answer says that all bytes are there unless the file is', async t => {
  const ann = await open()
  // All bytes of a chunked body, but not its end.
  const id = await ann.tus(5, 'b.txt')
  const sending = begin(ann, 'PATCH', `/api/uploads/${id}`, { ...TUS_BYTES, 'upload-offset': '0', 'transfer-encoding': 'chunked' })
  sending.request.write('12345')
  await untilTaken(sending.request)
  t.same(stateOf(await ann.ask('GET', `/api/uploads/${id}`)), [200, '0', '5', '?0'])
  sending.request.destroy()
  await sending.answered
  t.same(stateOf(await until(async () => { const answer = await ann.head(id); return answer.status === 200 && answer })), [200, '0', '5', '?0'])
  t.equal((await ann.tusPatch(id, 0, '12345')).status, 204)

  // The same after an append that was recorded, whose request is cut, or ended by another request.
  for (const [name, end] of Object.entries<(id: string, sending: Sending) => Promise<unknown>>({
    cut: async (_id, { request, answered }) => { request.destroy(); await answered },
    HEAD: id => ann.head(id),
    PATCH: id => ann.tusPatch(id, 3, '')
  })) {
    const text = 'x'.repeat(50_000)
    const id = await ann.tus(2 * text.length, name)
    t.equal((await ann.tusPatch(id, 0, text)).status, 204)
    const sending = begin(ann, 'PATCH', `/api/uploads/${id}`, { ...TUS_BYTES, 'upload-offset': String(text.length), 'transfer-encoding': 'chunked' })
    sending.request.write(text)
    await untilTaken(sending.request)
    await end(id, sending)
    t.same(stateOf(await ann.head(id)), [200, '50000', '100000', '?0'], name)
    t.equal((await ann.tusPatch(id, text.length, text)).status, 204, name)
    t.equal((await ann.file(name)).text, text + text)
    sending.request.destroy()
  }
})

t.test('the list has pages, newest first, and finds names', async t => {
  const ann = await open()
  const ids: string[] = []
  for (const name of ['a.txt', 'b.txt', 'u\u0308.txt', 'a.txt', 'a.txt']) ids.unshift(await ann.tus(1, name))
  t.same((await ann.uploads()).map(({ id }) => id), ids)
  t.same((await ann.uploads('?name=%C3%BC.txt')).map(({ name }) => name), ['ü.txt'], 'in NFC')
  t.same(await ann.uploads('?name=..'), [])
  const first = await ann.ask('GET', '/api/uploads?limit=2&name=a.txt', TUS)
  t.equal(first.headers['tus-resumable'], '1.0.0')
  t.same(first.json.uploads.map(({ id }: { id: string }) => id), [ids[0], ids[1]])
  const next = /^<http:\/\/127\.0\.0\.1:\d+([^>]+)>; rel="next"$/.exec(String(first.headers.link))?.[1] ?? ''
  t.match(next, new RegExp(`cursor=${first.json.next}$`))
  const second = await ann.ask('GET', next)
  t.match(second, { json: { uploads: [{ id: ids[4] }], next: null }, headers: { link: undefined } })
  for (const query of ['limit=0', 'limit=1001', 'cursor=x', 'order=name']) refused(t, await ann.ask('GET', `/api/uploads?${query}`), 400, 'validation_failed', query)
})

t.test('the upload of another account does not exist', async t => {
  const ann = await open()
  const bob = await openOn(ann.server)
  const id = await ann.tus(10)
  const sending = await beginAppend(ann, id, '12345')
  // Requests for the upload end what is under way; those of others must not.
  const unknown = 'f'.repeat(32)
  for (const [what, ask] of Object.entries<(id: string) => Promise<Answer>>({
    GET: id => bob.ask('GET', `/api/uploads/${id}`),
    HEAD: id => bob.head(id),
    PATCH: id => bob.tusPatch(id, 0, 'x'),
    POST: id => bob.ask('POST', `/api/uploads/${id}`, { ...TUS, 'x-http-method-override': 'HEAD' }),
    DELETE: id => bob.ask('DELETE', `/api/uploads/${id}`)
  })) {
    const [real, none] = [await ask(id), await ask(unknown)]
    refused(t, real, 404, 'not_found', what)
    t.equal(real.text, none.text, `${what}: the same answer`)
  }
  t.same(await bob.uploads(), [])
  sending.request.end('67890')
  t.match(await sending.answered, { status: 204 })
  refused(t, await ann.server.send('GET', '/api/uploads'), 401, 'credentials_missing')
})

t.test('a lost connection keeps what arrived', async t => {
  const ann = await open()
  const id = await ann.tus(10)
  for (const [offset, text] of [[0, '123'], [3, '45']] as const) {
    const { request } = await beginAppend(ann, id, text, offset)
    request.destroy()
    await until(async () => (await ann.ask('GET', `/api/uploads/${id}`)).json.offset === offset + text.length)
  }
  t.same(stateOf(await ann.head(id)), [200, '5', '10', '?0'])
  t.equal((await ann.tusPatch(id, 5, '67890')).status, 204)
  t.equal((await ann.file('a.bin')).text, '1234567890')

  const creation = begin(ann, 'PUT', '/uploads/b.bin', { 'upload-complete': '?1', 'content-length': String(2 * MIB) })
  creation.request.write(Buffer.alloc(MIB, 'a'))
  await untilTaken(creation.request)
  creation.request.destroy()
  const upload = await until(async () => (await ann.uploads('?name=b.bin')).find(({ offset }) => offset > 0))
  const rest = 2 * MIB - upload.offset
  const last = await ann.put('b.bin', { 'content-range': `bytes ${upload.offset}-${2 * MIB - 1}/${2 * MIB}` }, Buffer.alloc(rest, 'a'))
  t.same([last.status, last.json.size], [201, 2 * MIB])

  const half = connect({ port: ann.server.port, host: '127.0.0.1', allowHalfOpen: true })
  half.write(`POST /api/uploads HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${ann.token}\r\nUpload-Complete: ?1\r\nContent-Disposition: inline; filename=c.bin\r\nContent-Length: 5\r\n\r\nabc`)
  await untilTaken({ socket: half })
  half.end()
  await half.toArray()
  const [kept] = await until(async () => { const found = await ann.uploads('?name=c.bin'); return found[0]?.offset === 3 && found })
  t.match(kept, { offset: 3, size: 5 }, 'and so does a creation')
})

t.test('a request takes the upload over from an append that is under way', async t => {
  const ann = await open()
  for (const [what, takeOver] of Object.entries<(id: string) => Promise<Answer>>({
    HEAD: id => ann.head(id),
    PATCH: id => ann.tusPatch(id, 3, '45'),
    DELETE: id => ann.ask('DELETE', `/api/uploads/${id}`)
  })) {
    const id = await ann.tus(10, what)
    const older = await beginAppend(ann, id, '123')
    const answer = await takeOver(id)
    if (what === 'DELETE') refused(t, await ann.head(id), 404, 'not_found')
    else {
      t.same(stateOf(answer), what === 'HEAD' ? [200, '3', '10', '?0'] : [204, '5', '10', '?0'], what)
      const offset = Number(answer.headers['upload-offset'])
      t.equal((await ann.tusPatch(id, offset, '1234567890'.slice(offset))).status, 204, `${what}: the offset can be used`)
      t.equal((await ann.file(what)).text, '1234567890')
    }
    const cut = await older.answered
    t.ok(cut === 'cut' || cut.code === 'upload_taken_over', `${what}: the older request ends`)
    older.request.destroy()
  }
  const { request, answered } = begin(ann, 'POST', '/api/uploads', CHUNKED_CREATION)
  request.write('abc')
  await untilTaken(request)
  const [upload] = await ann.uploads('?name=b.txt')
  t.equal((await ann.head(String(upload?.id))).status, 200)
  t.match(await answered, { status: 409, code: 'upload_taken_over', headers: { 'upload-offset': '3', 'upload-complete': '?0' } }, 'a creation tells how far it came')
  request.destroy()
})

t.test('stopping keeps what arrived, also while the disk is full, and the next server goes on', async t => {
  const settings = { DATA_DIR: t.testdir() }
  const ann = await openOn(await startServer(t, settings))
  const id = await ann.tus(10)
  const sending = await beginAppend(ann, id, '12345')
  await ann.server.close()
  t.match(await sending.answered, { status: 503, code: 'stopping' })
  sending.request.destroy()
  if (isInFolder) {
    const server = await startServer(t, { ...settings, MIN_FREE_BYTES: '1000 TB' })
    const full = clientOf(server, ann.token)
    refused(t, await full.create({ ...TUS, 'upload-length': '5', ...named('a.txt') }), 507, 'storage_full')
    refused(t, await full.ask('POST', `/api/uploads/${id}`, { ...TUS_BYTES, 'x-http-method-override': 'PATCH', 'upload-offset': '5' }, '67890'), 507, 'storage_full')
    await server.close()
  }
  const later = clientOf(await startServer(t, settings), ann.token)
  t.same(stateOf(await later.head(id)), [200, '5', '10', '?0'])
  t.equal((await later.tusPatch(id, 5, '67890')).status, 204)
  t.equal((await later.file('a.bin')).text, '1234567890')
})

t.test('a file of unknown length has a limit as well', async t => {
  const ann = await open(LIMITED)
  const deferred = await ann.create({ ...TUS, 'upload-defer-length': '1', ...named('a.txt') })
  refused(t, await ann.tusPatch(idOf(deferred), 0, chunked('x'.repeat(1001))), 413, 'file_too_large')
  const override = { ...TUS_BYTES, 'x-http-method-override': 'PATCH', 'upload-offset': '0' }
  refused(t, await ann.ask('POST', `/api/uploads/${idOf(deferred)}`, override, chunked('x'.repeat(1001))), 413, 'file_too_large', 'by POST')
  refused(t, await ann.ask('POST', `/api/uploads/${idOf(deferred)}`, { ...override, 'content-type': 'text/plain' }, 'x'), 415, 'unsupported_media_type', 'by POST')
  t.same(stateOf(await ann.head(idOf(deferred))), [200, '0', undefined, '?0'])
})

t.test('an account has at most 1,000 unfinished uploads', async t => {
  const ann = await open()
  const headers = { 'upload-complete': '?0', 'content-disposition': 'inline; filename=a.txt' }
  await ann.create(headers)
  await runSql(ann.server.dataDir, `INSERT INTO uploads (id, owner_id, name, type, blob_id, method, precondition, created_at, expires_at)
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 998)
    SELECT 'copy ' || n, owner_id, name, type, 'copy ' || n, method, precondition, created_at, expires_at FROM uploads, numbers WHERE owner_id = ${ann.id}`)
  t.equal((await ann.create(headers)).status, 201)
  const answer = await ann.create(headers)
  refused(t, answer, 429, 'too_many_uploads')
  t.match(answer.headers, { 'retry-after': '60' })
})

t.test('asking for the offset has no rate limit, and is answered under load', async t => {
  const ann = await open(LOADED)
  const id = await ann.tus(10)
  const stalled = Array.from({ length: 17 }, (_, index) => begin(ann, 'PUT', `/uploads/${index}`, { 'content-length': '5' }))
  t.teardown(() => { for (const { request } of stalled) request.destroy() })
  await until(async () => ['overloaded', 'too_many_requests'].includes((await ann.ask('GET', '/api/uploads')).json.code))
  for (let count = 0; count < 30; count++) {
    if (count % 10 === 0) t.equal((await ann.ask('OPTIONS', `/api/uploads/${id}`, { origin: 'https://app.example.org', 'access-control-request-method': 'HEAD' })).status, 204)
    t.same(stateOf(await ann.head(id)), [200, '0', '10', '?0'])
  }
})

t.test('OPTIONS tells without a credential what uploads can do, and pages of other origins may use every field', async t => {
  const origin = LIMITED.CORS_ORIGINS
  const server = await sharedServer(LIMITED)
  const fields = ['tus-resumable', 'upload-length', 'upload-defer-length', 'upload-metadata', 'upload-offset', 'upload-complete', 'upload-draft-interop-version', 'x-http-method-override', 'x-file-modified']
  for (const path of ['/api/uploads', '/api/uploads/none', '/uploads/a.txt']) {
    for (const headers of [{}, { 'tus-resumable': '0.0.1' }]) {
      const answer = await server.send('OPTIONS', path, { headers })
      t.match(answer, { status: 204, text: '' })
      t.match(answer.headers, {
        'tus-version': '1.0.0',
        'tus-extension': 'creation,creation-with-upload,creation-defer-length,expiration,termination',
        'tus-max-size': '1000',
        'upload-limit': 'max-size=1000, max-age=7200',
        'accept-patch': /application\/partial-upload/
      })
      const { headers: { allow } } = await server.send('TRACE', path)
      t.equal(answer.headers.allow, allow, 'the methods that are there')
    }
    const preflight = await server.send('OPTIONS', path, { headers: { origin, 'access-control-request-method': 'PATCH', 'access-control-request-headers': fields.join(',') } })
    t.match(preflight, { status: 204, text: '' })
    t.match(preflight.headers, { 'access-control-allow-origin': origin, 'access-control-allow-methods': /PATCH/, 'access-control-allow-headers': fields.join(', ') })
    const exposed = String((await server.send('GET', path, { headers: { origin } })).headers['access-control-expose-headers'])
    for (const field of ['Upload-Offset', 'Upload-Length', 'Upload-Defer-Length', 'Upload-Complete', 'Upload-Limit', 'Upload-Expires', 'Upload-Metadata', 'Tus-Resumable', 'Tus-Version', 'Tus-Extension', 'Tus-Max-Size', 'Location']) t.ok(exposed.split(', ').includes(field), field)
    t.match((await server.send('OPTIONS', path, { headers: { origin } })).headers, { 'tus-version': '1.0.0' }, 'discovery')
  }
  const huge = await sharedServer({ MAX_FILE_BYTES: String(Number.MAX_SAFE_INTEGER) })
  t.match((await huge.send('OPTIONS', '/api/uploads')).headers['upload-limit'], /^max-size=999999999999999,/, 'the largest integer of a structured field')
})

t.test('another version of tus is refused for every method', async t => {
  const ann = await open()
  const id = await ann.tus(10)
  for (const [method, path] of [['GET', ''], ['POST', ''], ['GET', `/${id}`], ['HEAD', `/${id}`], ['PATCH', `/${id}`], ['POST', `/${id}`], ['DELETE', `/${id}`]] as const) {
    const answer = await ann.ask(method, `/api/uploads${path}`, { 'tus-resumable': '1.0' })
    refused(t, answer, 412, 'tus_version_unsupported', method)
    t.match(answer.headers, { 'tus-version': '1.0.0', 'tus-resumable': '1.0.0' })
  }
  t.equal((await ann.head(id)).status, 200)
})

/** Everything that the server sends for a creation, as text. */
function rawAnswer ({ server, token }: Ann, { path, version, protocol = 'HTTP/1.1', method = 'POST' }: { path: string, version: string, protocol?: string, method?: string }): Promise<string> {
  const head = [`${method} ${path} ${protocol}`, `Host: 127.0.0.1:${server.port}`, 'Connection: close', `Authorization: Bearer ${token}`, 'Upload-Complete: ?0', 'Content-Disposition: inline; filename=a.txt', 'Content-Length: 3', version]
  return sendRaw(server.port, `${head.filter(line => line !== '').join('\r\n')}\r\n\r\nabc`)
}

t.test('104 tells clients of the draft, version 8, where the upload is', async t => {
  const ann = await open()
  for (const creation of [{ path: '/api/uploads' }, { path: '/uploads/b.txt', method: 'PUT' }]) {
    const text = await rawAnswer(ann, { ...creation, version: 'Upload-Draft-Interop-Version: 8' })
    const [, location, limit] = /^HTTP\/1\.1 104 Upload Resumption Supported\r\nlocation: (.*)\r\nupload-limit: (.*)\r\nupload-draft-interop-version: 8\r\n\r\nHTTP\/1\.1 201 /.exec(text) ?? []
    t.match(location, /^http:\/\/127\.0\.0\.1:\d+\/api\/uploads\/[0-9a-f]{32}$/)
    t.match(limit, /^max-size=\d+, max-age=\d+$/)
    t.ok(text.includes(`\r\nlocation: ${location}\r\n`), 'the same address as in the final response')
    t.equal(text.split('HTTP/1.1 104').length, 2, 'once')
  }
  for (const version of ['', 'Upload-Draft-Interop-Version: 6', 'Upload-Draft-Interop-Version: 9', 'Upload-Draft-Interop-Version: "8"']) {
    t.match(await rawAnswer(ann, { path: '/api/uploads', version }), /^HTTP\/1\.1 201 /, version)
  }
  t.match(await rawAnswer(ann, { path: '/api/uploads', version: 'Upload-Draft-Interop-Version: 8', protocol: 'HTTP/1.0' }), /^HTTP\/1\.1 201 /, 'HTTP/1.0 has no interim responses')
})

t.test('an upload whose account is deleted meanwhile becomes no file', async t => {
  const [ann, other] = [await open(), await open()]
  const id = await ann.tus(10)
  const appending = await beginAppend(ann, id, '12345')
  const creating = begin(other, 'POST', '/api/uploads', CHUNKED_CREATION)
  creating.request.write('abc')
  await untilTaken(creating.request)
  for (const [{ server, user }, { request, answered }, rest] of [[ann, appending, '67890'], [other, creating, 'def']] as const) {
    t.equal((await server.send('DELETE', '/api/account', { user })).status, 204)
    request.end(rest)
    t.match(await answered, { status: 404, code: 'not_found' })
  }
})

t.test('asking for the offset with wrong passwords has a limit', async t => {
  const { server, user: [name], tus } = await open({ SIGN_IN_FAILURES: '1' })
  const ask = async (id: string) => (await server.send('HEAD', `/api/uploads/${id}`, { user: [name, 'wrong'] })).status
  const id = await tus(10)
  t.ok(await eventually(async () => await ask(id) === 429))
})
