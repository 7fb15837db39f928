import { once } from 'node:events'
import { statfs } from 'node:fs/promises'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { untilTaken } from './kit/arrivals.ts'
import { digestField, sha256Of } from './kit/digests.ts'
import { openLinkOwner, type CreatedLink } from './kit/links.ts'
import { endLocks, setLock } from './kit/locks.ts'
import { refused } from './kit/refusals.ts'
import {
  formOf, namesOf, sharedServer, startServer, type Answer, type RunningServer, type Settings
} from './kit/server.ts'
import { MIB } from './kit/sizes.ts'
import { runSql, skipWithoutFolder, storedBlobs, uploadsBegun } from './kit/stores.ts'
import { beginRequest as begin, chunked, DRAFT_BYTES, idOf, named, stateOf, TUS, TUS_BYTES, type Body, type Headers, type Sending } from './kit/tus.ts'
import { until } from './kit/waiting.ts'

const UNKNOWN = 'f'.repeat(32)

/** The requests of a visitor. */
function visit (server: RunningServer, { path }: Pick<CreatedLink, 'path'>) {
  const ask = (method: string, rest: string, headers: Headers = {}, body?: Body) =>
    server.send(method, `${path}${rest}`, { headers, ...(body !== undefined && { body }) })
  const create = (headers: Headers, body?: Body) => ask('POST', '/uploads', headers, body)
  return {
    path,
    ask,
    create,
    put: (name: string, body: Body, headers: Headers = {}) => ask('PUT', `/files/${encodeURIComponent(name)}`, headers, body),
    form (name: string, bytes: string | Uint8Array, more: Headers = {}) {
      const { headers, body } = formOf(name, bytes)
      return ask('POST', '/files', { ...headers, ...more }, body)
    },
    begin: (name: string, length: number) => create({ ...TUS, ...named(name), 'upload-length': String(length) }),
    tus: (name: string, bytes: Body, length: number) => create({ ...TUS_BYTES, ...named(name), 'upload-length': String(length) }, bytes),
    draft: (name: string, bytes: Body) => create({ 'upload-complete': '?1', 'content-disposition': `inline; filename="${name}"` }, bytes),
    get: (id: string) => ask('GET', `/uploads/${id}`),
    head: (id: string, headers: Headers = {}) => ask('HEAD', `/uploads/${id}`, headers),
    tusPatch: (id: string, offset: number, body: Body, headers: Headers = {}) =>
      ask('PATCH', `/uploads/${id}`, { ...TUS_BYTES, 'upload-offset': String(offset), ...headers }, body),
    patch: (id: string, offset: number, body: Body, headers: Headers = {}) =>
      ask('PATCH', `/uploads/${id}`, { ...DRAFT_BYTES, 'upload-offset': String(offset), 'upload-complete': '?1', ...headers }, body),
    override: (id: string, offset: number, body: Body, headers: Headers = {}) =>
      ask('POST', `/uploads/${id}`, { ...TUS_BYTES, 'x-http-method-override': 'PATCH', 'upload-offset': String(offset), ...headers }, body),
    cancel: (id: string) => ask('DELETE', `/uploads/${id}`)
  }
}

type Visitor = ReturnType<typeof visit>

/** An account with a folder, and an `upload` link to it. */
async function openOn (server: RunningServer, terms: object = {}) {
  const owner = await openLinkOwner(server)
  const { send, token } = owner
  await send('PUT', '/api/folders/inbox')
  const share = (options: object = {}) => owner.share({ name: 'inbox', kind: 'upload', ...options })
  const link = await share(terms)
  return {
    ...owner,
    share,
    link,
    ...visit(server, link),
    change: (json: object) => send('PATCH', `/api/links/${link.id}`, { json }),
    record: async () => (await send('GET', `/api/links/${link.id}`)).json,
    names: () => namesOf(server, { token }),
    text: async (name: string) => (await send('GET', `/uploads/${encodeURIComponent(name)}`)).text,
    usage: async () => (await send('GET', '/api/account')).json.usage
  }
}

/** At a server of the test's own, for what can't be told apart by accounts. */
const open = async (t: Test, settings: Settings = {}, terms: object = {}) =>
  openOn(await startServer(t, { LINKS: 'on', RATE_LIMIT_PER_MINUTE: '0', ...settings }), terms)

const shared = async (settings: Settings = {}, terms: object = {}) =>
  openOn(await sharedServer({ LINKS: 'on', ...settings }), terms)

const resultOf = (name: string, text: string) => ({ name, size: Buffer.byteLength(text), sha256: sha256Of(text) })

/** Begins an append, and resolves when the server has taken its first bytes. */
async function beginAppend (server: RunningServer, { path }: Visitor, id: string): Promise<Sending> {
  const sending = begin(server, 'PATCH', `${path}/uploads/${id}`, { ...TUS_BYTES, 'upload-offset': '0', 'content-length': '10' })
  sending.request.write('12345')
  await untilTaken(sending.request)
  return sending
}

t.test('files are uploaded by a link in every way, each time a new one, and answered as asked', async t => {
  const ann = await open(t)
  const ways: [string, () => Promise<Answer>][] = [
    ['PUT', () => ann.put('a.txt', 'text')],
    ['PUT without a length', () => ann.put('a.txt', chunked('te', 'xt'))],
    ['a form', () => ann.form('a.txt', 'text')]
  ]
  for (const [what, upload] of ways) {
    const answer = await upload()
    t.same([answer.status, answer.json], [201, resultOf('a.txt', 'text')], what)
    t.match(answer.headers, { location: undefined, etag: undefined, 'cache-control': 'no-store', 'x-robots-tag': 'noindex' }, what)
  }
  t.same(await ann.names(), ['inbox/a (2).txt', 'inbox/a (3).txt', 'inbox/a.txt'])

  const created = await ann.begin('a.txt', 4)
  t.same(stateOf(created), [201, '0', '4', '?0'])
  t.match(created.json, { name: 'a.txt', size: 4, offset: 0 })
  t.equal(created.headers.location, `${ann.server.url}${ann.path}/uploads/${created.json.id}`)
  t.match(created.headers, { 'tus-resumable': '1.0.0', 'upload-expires': / GMT$/ })
  const id = idOf(created)
  t.match((await ann.head(id)).headers, named('a.txt'))
  t.same(stateOf(await ann.tusPatch(id, 0, 'te')), [204, '2', '4', '?0'])
  t.match((await ann.get(id)).json, { id, name: 'a.txt', offset: 2 })
  t.same(stateOf(await ann.override(id, 2, 'xt')), [204, '4', '4', '?1'])
  t.same(stateOf(await ann.head(id)), [200, '4', '4', '?1'])
  t.match((await ann.get(id)).json, { name: 'a.txt', offset: 4 }, 'the name stays that which was asked for')
  t.equal((await ann.cancel(id)).status, 204)
  refused(t, await ann.head(id), 404, 'not_found')

  const draft = await ann.create({ 'upload-complete': '?0', 'content-disposition': 'inline; filename=a.txt' }, 'te')
  t.same(stateOf(draft), [201, '2', undefined, '?0'])
  const last = await ann.patch(idOf(draft), 2, 'xt')
  t.same([last.status, last.json], [201, resultOf('a.txt', 'text')])
  t.match(last.headers, { location: undefined, etag: undefined, 'upload-complete': '?1' })
  t.same((await ann.patch(idOf(draft), 4, '')).json, last.json, 'the last answer is repeated')
  t.same(stateOf(await ann.draft('a.txt', 'text')), [201, '4', '4', '?1'])
  t.same(stateOf(await ann.tus('a.txt', 'text', 4)), [201, '4', '4', '?1'])
  t.same(stateOf(await ann.begin('a.txt', 0)), [201, '0', '0', '?1'])
  const names = await ann.names()
  t.equal(names.length, 8)
  for (const name of names) t.match(await ann.text(name), name === 'inbox/a (8).txt' ? '' : 'text', name)
  t.match(await ann.record(), { usedFiles: 8, usedBytes: 28, uses: 1, lastUsedAt: /Z$/ }, 'further uses are written later')
  t.match(await ann.usage(), { files: 8, bytes: 28, uploadBytes: 0 })
  await ann.server.close()
  t.same(await runSql(ann.server.dataDir, 'SELECT uses FROM links'), [{ uses: 8 }])
})

t.test('the feed of the owner says by which link a file arrived', async t => {
  const ann = await shared()
  const { json: { next } } = await ann.send('GET', '/api/changes')
  const other = await ann.share()
  const { id } = ann.link
  await ann.put('a.txt', 'text')
  await ann.form('b.txt', 'text')
  await ann.tus('c.txt', 'text', 4)
  await visit(ann.server, other).draft('d.txt', 'text')
  await ann.send('PUT', '/uploads/inbox/own.txt', { body: 'text' })
  await ann.send('PUT', '/uploads/inbox/a.txt', { body: 'other text' })
  await ann.send('PATCH', '/api/files/inbox%2Fb.txt', { json: { name: 'inbox/e.txt' } })
  await ann.send('DELETE', '/uploads/inbox/c.txt')
  await ann.send('DELETE', `/api/links/${id}`)
  const { json: { changes } } = await ann.send('GET', `/api/changes?cursor=${next}`)
  const words = changes.map(({ kind, name, linkId }: Record<string, unknown>) => [kind, name, linkId])
  t.strictSame(words, [
    ['stored', 'inbox/a.txt', id], ['stored', 'inbox/b.txt', id], ['stored', 'inbox/c.txt', id], ['stored', 'inbox/d.txt', other.id],
    ['stored', 'inbox/own.txt', undefined], ['stored', 'inbox/a.txt', undefined], ['moved', 'inbox/e.txt', undefined], ['deleted', 'inbox/c.txt', undefined]
  ], 'also after the link has ended')
})

t.test('a name by a link is one segment in NFC, and says nothing about what is there', async t => {
  const ann = await shared()
  await ann.send('PUT', '/api/folders/inbox%2Ftaken')
  for (const name of ['u\u0308.txt', 'taken', '.hidden', 'ä'.repeat(127), '__proto__']) {
    const asked = name.normalize('NFC')
    t.match(await ann.put(name, 'x'), { status: 201, json: { name: asked } }, name)
    t.match(await ann.form(name, 'x'), { status: 201, json: { name: asked } }, name)
    t.match(await ann.tus(name, 'x', 1), { status: 201, json: { name: asked } }, name)
  }
  const stored = await ann.names()
  for (const name of ['inbox/ü.txt', 'inbox/ü (3).txt', 'inbox/taken (4)', `inbox/${'ä'.repeat(125)} (3)`]) t.ok(stored.includes(name), name)
  t.notOk(stored.includes('inbox/taken'))
  for (const name of ['a/b', '..', '.', 'a\\b', 'a\u0001', 'a'.repeat(256), '../a']) {
    refused(t, await ann.put(name, 'x'), 400, 'name_invalid', name)
    refused(t, await ann.tus(name, 'x', 1), 400, 'name_invalid', name)
  }
  refused(t, await ann.ask('PUT', '/files/a/b', {}, 'x'), 400, 'name_invalid', 'a plain slash')
  refused(t, await ann.form('..', 'x'), 400, 'name_invalid')
  const created = await ann.create({ ...TUS, 'upload-length': '1' })
  t.equal(created.json.name, created.json.id, 'without a name')
  t.equal((await ann.names()).length, stored.length)
})

t.test('an upload by a link has no conditions, and by PUT no parts', async t => {
  const ann = await shared()
  for (const field of ['if-match', 'if-none-match', 'if-unmodified-since']) {
    const headers = { [field]: field === 'if-unmodified-since' ? 'Thu, 01 Jan 1970 00:00:00 GMT' : '*' }
    refused(t, await ann.put('a', 'x', headers), 400, 'upload_header_invalid', field)
    refused(t, await ann.form('a', 'x', headers), 400, 'upload_header_invalid', field)
    refused(t, await ann.create({ ...TUS, 'upload-length': '1', ...headers }), 400, 'upload_header_invalid', field)
  }
  for (const headers of [{ 'content-range': 'bytes 0-0/1' }, { 'upload-complete': '?0' }, { 'upload-complete': '?1' }, TUS, { 'tus-resumable': '2' }]) {
    refused(t, await ann.put('a', 'x', headers), 400, 'upload_header_invalid', JSON.stringify(headers))
  }
  for (const query of ['?version=1', '?folder=sub', '?permanent=true']) {
    refused(t, await ann.ask('PUT', `/files/a${query}`, {}, 'x'), 400, 'validation_failed', query)
  }
  t.same(await ann.names(), [])
})

t.test('the files and bytes of a link are exact, unfinished uploads included', async t => {
  const ann = await shared({}, { maxFiles: 4, maxBytes: 20 })
  t.equal((await ann.put('a', '1234567890')).status, 201)
  const id = idOf(await ann.begin('b', 6))
  for (const [what, answer] of [
    ['PUT', await ann.put('c', '12345')],
    ['PUT without a length', await ann.put('c', chunked('12345'))],
    ['a form', await ann.form('c', '12345')],
    ['tus', await ann.begin('c', 5)],
    ['a draft', await ann.draft('c', '12345')]
  ] as const) {
    refused(t, answer, 413, 'link_limit_reached', what)
    t.match(answer.json, { unit: 'bytes', remaining: 4 }, what)
  }
  const deferred = await ann.create({ ...TUS, ...named('c'), 'upload-defer-length': '1' })
  t.equal(deferred.status, 201, 'a length that is not known yet')
  refused(t, await ann.tusPatch(idOf(deferred), 0, '12345'), 413, 'link_limit_reached')
  refused(t, await ann.tusPatch(idOf(deferred), 0, chunked('12345')), 413, 'link_limit_reached', 'nor without an announced length')
  refused(t, await ann.override(idOf(deferred), 0, '12345'), 413, 'link_limit_reached')
  t.equal((await ann.tusPatch(idOf(deferred), 0, '', { 'upload-length': '4' })).status, 204)
  t.equal((await ann.form('d', '')).status, 201, 'an empty one')
  refused(t, await ann.put('e', ''), 413, 'link_limit_reached', 'a fifth file')
  t.same(stateOf(await ann.tusPatch(idOf(deferred), 0, '1234')), [204, '4', '4', '?1'])
  t.equal((await ann.tusPatch(id, 0, '123456')).status, 204)
  t.match(await ann.record(), { usedFiles: 4, usedBytes: 20 })
})

t.test('a limit that is lowered in the middle refuses what arrives then', async t => {
  const ann = await shared()
  const id = idOf(await ann.begin('a', 10))
  await ann.tusPatch(id, 0, '12345')
  await ann.change({ maxBytes: 5 })
  const refusal = await ann.tusPatch(id, 5, '67890')
  refused(t, refusal, 413, 'link_limit_reached')
  t.equal(refusal.headers['upload-offset'], undefined)
  t.same(stateOf(await ann.head(id)), [200, '5', '10', '?0'])
  await ann.change({ maxBytes: 10 })
  await setLock(ann.server.dataDir, 'inbox')
  refused(t, await ann.tusPatch(id, 5, '67890'), 423, 'file_locked')
  await endLocks(ann.server.dataDir)
  await ann.change({ maxBytes: 5 })
  for (const [what, ask] of Object.entries<() => Promise<Answer>>({
    append: () => ann.tusPatch(id, 10, ''),
    override: () => ann.override(id, 10, ''),
    state: () => ann.get(id),
    offset: () => ann.head(id)
  })) {
    const answer = await ask()
    refused(t, answer, 413, 'link_limit_reached', what)
    t.match(answer.headers, { 'upload-offset': '10', 'upload-complete': '?1' }, `${what}: the bytes wait`)
  }
  await ann.change({ maxBytes: 10 })
  t.same(stateOf(await ann.head(id)), [200, '10', '10', '?1'])
  t.equal(await ann.text('inbox/a'), '1234567890')
})

t.test('a network has at most 16 transfers by a link at once', async t => {
  const ann = await shared()
  const stalled = Array.from({ length: 16 }, () => begin(ann.server, 'PUT', `${ann.path}/files/a`, { 'content-length': '5' }))
  t.teardown(() => { for (const { request } of stalled) request.destroy() })
  await Promise.all(stalled.map(({ request }) => untilTaken(request)))
  for (const [what, answer] of [
    ['PUT', await ann.put('a', 'x')],
    ['a form', await ann.form('a', 'x')],
    ['a creation', await ann.begin('a', 1)],
    ['an append', await ann.tusPatch(UNKNOWN, 0, 'x')],
    ['an override', await ann.override(UNKNOWN, 0, 'x')]
  ] as const) refused(t, answer, 429, 'too_many_transfers', what)
  refused(t, await ann.head(UNKNOWN), 404, 'not_found', 'to ask is no transfer')
  t.equal((await ann.send('PUT', '/uploads/own', { body: 'x' })).status, 201, 'the owner has others')
})

t.test('the quota of the owner holds, and nothing kept makes way', async t => {
  const ann = await shared({ QUOTA_BYTES: '30' })
  await ann.send('PUT', '/uploads/old', { body: '1234567890' })
  await ann.send('DELETE', '/uploads/old')
  const kept = async () => (await ann.usage()).keptBytes
  t.equal(await kept(), 10)
  for (const [what, answer] of [
    ['PUT', await ann.put('a', 'x'.repeat(21))],
    ['PUT without a length', await ann.put('a', chunked('x'.repeat(21)))],
    ['a form', await ann.form('a', 'x'.repeat(21))],
    ['a draft', await ann.draft('a', 'x'.repeat(21))]
  ] as const) {
    refused(t, answer, 413, 'quota_exceeded', what)
    t.notMatch(answer.json.detail, /\d/, 'the numbers are those of the owner')
  }
  const deferred = idOf(await ann.create({ ...TUS, ...named('a'), 'upload-defer-length': '1' }))
  refused(t, await ann.tusPatch(deferred, 0, chunked('x'.repeat(21))), 413, 'quota_exceeded')
  t.equal((await ann.cancel(deferred)).status, 204)
  t.equal(await kept(), 10)
  const id = idOf(await ann.begin('a', 21))
  refused(t, await ann.tusPatch(id, 0, 'x'.repeat(21)), 413, 'quota_exceeded')
  t.match(await ann.usage(), { keptBytes: 10, uploadBytes: 0 })
})

t.test('what visitors announce takes nothing of the owner, and is accepted whatever space there is', async t => {
  const ann = await shared({ QUOTA_BYTES: '30' })
  const ids = [idOf(await ann.begin('a', 10)), idOf(await ann.begin('b', 500 * MIB))]
  t.equal((await ann.usage()).uploadBytes, 0)
  for (const id of ids) t.equal((await ann.tusPatch(id, 0, 'x'.repeat(5))).status, 204)
  t.equal((await ann.usage()).uploadBytes, 10)
  t.equal((await ann.send('PUT', '/uploads/own', { body: 'x'.repeat(20) })).status, 201)
  for (const answer of [await ann.tusPatch(ids[1] ?? '', 5, 'x'), await ann.begin('c', 1), await ann.put('c', 'x')]) {
    refused(t, answer, 413, 'quota_exceeded', 'an owner without space')
  }
})

t.test('a lock of the folder refuses uploads by a link', async t => {
  const ann = await open(t)
  const id = idOf(await ann.begin('a', 5))
  await ann.tusPatch(id, 0, '123')
  await setLock(ann.server.dataDir, 'inbox')
  for (const [what, answer] of [
    ['PUT', await ann.put('b', 'x')],
    ['a form', await ann.form('b', 'x')],
    ['a creation', await ann.begin('b', 1)],
    ['the last bytes', await ann.tusPatch(id, 3, '45')],
    ['the end again', await ann.override(id, 5, '')],
    ['the state', await ann.get(id)],
    ['the offset', await ann.head(id)]
  ] as const) {
    refused(t, answer, 423, 'file_locked', what)
    t.notMatch(answer.text, /inbox is|"locked"/, `${what}: the path is the owner's`)
  }
  await endLocks(ann.server.dataDir)
  t.same(stateOf(await ann.head(id)), [200, '5', '5', '?1'])
  t.same(await ann.names(), ['inbox/a'])
})

t.test('an upload ends when its link is revoked', async t => {
  const ann = await open(t)
  const [first, second] = [idOf(await ann.begin('a', 10)), idOf(await ann.begin('b', 10))]
  await ann.tusPatch(first, 0, '12345')
  const append = await beginAppend(ann.server, ann, second)
  const put = begin(ann.server, 'PUT', `${ann.path}/files/c`, { 'content-length': '10' })
  put.request.write('12345')
  await untilTaken(put.request)
  await ann.send('DELETE', `/api/links/${ann.link.id}`)
  for (const { request } of [append, put]) request.end('67890')
  for (const { answered } of [append, put]) t.match(await answered, { status: 404, code: 'not_found' })
  for (const answer of [await ann.head(first), await ann.tusPatch(first, 5, '67890'), await ann.get(second), await ann.cancel(second), await ann.put('d', 'x')]) {
    refused(t, answer, 404, 'not_found')
  }
  await ann.server.runHousekeeping()
  await ann.server.close()
  const { dataDir } = ann.server
  t.same(await runSql(dataDir, 'SELECT name FROM files'), [])
  t.equal(await uploadsBegun(dataDir), 0)
  t.same(await storedBlobs(dataDir), [], 'no bytes are left')
})

t.test('uploads of a link, of another link and of the owner do not see one another', async t => {
  const ann = await shared()
  const id = idOf(await ann.begin('a', 10))
  const own = idOf(await ann.send('POST', '/api/uploads', { headers: { ...TUS, ...named('inbox/a'), 'upload-length': '10' } }))
  const append = await beginAppend(ann.server, ann, id)
  const asOwner = (method: string, headers: Headers = {}, body?: string) =>
    ann.send(method, `/api/uploads/${id}`, { headers, ...(body !== undefined && { body }) })
  for (const answer of [await asOwner('GET'), await asOwner('DELETE'), await asOwner('PATCH', { ...TUS_BYTES, 'upload-offset': '0' }, 'x')]) refused(t, answer, 404, 'not_found', 'the owner')
  const other = visit(ann.server, await ann.share())
  for (const [by, upload] of [[other, id], [other, own], [ann, own]] as const) {
    for (const answer of [
      await by.get(upload), await by.head(upload), await by.tusPatch(upload, 0, 'x'), await by.override(upload, 0, 'x'), await by.cancel(upload)
    ]) refused(t, answer, 404, 'not_found')
  }
  t.same((await ann.send('GET', '/api/uploads')).json.uploads.map((upload: { id: string }) => upload.id), [own])
  t.match(await ann.usage(), { uploadBytes: 10 }, 'by the link nothing has arrived')
  append.request.end('67890')
  t.match(await append.answered, { status: 204 }, 'no one has interrupted it')
})

t.test('a client whose creation by a link is taken over gets the whole refusal', async t => {
  const { server, path, head } = await shared()
  const socket = connect(server.port, '127.0.0.1').setEncoding('utf8')
  let text = ''
  socket.on('data', (chunk: string) => { text += chunk })
  const received = (expected: RegExp) => until(async () => expected.exec(text) ?? false)
  socket.write([`POST ${path}/uploads HTTP/1.1`, `Host: 127.0.0.1:${server.port}`, 'Upload-Complete: ?1', 'Transfer-Encoding: chunked', 'Upload-Draft-Interop-Version: 8', '', '3\r\nabc\r\n'].join('\r\n'))
  const [, id] = await received(new RegExp(`^HTTP/1\\.1 104 [^]*\r\nlocation: ${server.url}${path}/uploads/([0-9a-f]{32})\r\n`))
  t.equal((await head(String(id))).status, 200)
  await received(/\r\n\r\nHTTP\/1\.1 409 [^]*"code":"upload_taken_over"/)
  socket.write('0\r\n\r\n')
  await once(socket, 'close')
})

t.test('what is wrong with an upload by a link is refused as for the owner', async t => {
  const ann = await shared({ MAX_FILE_BYTES: '1000', ALLOWED_EXTENSIONS: 'txt' })
  const digest = { 'content-digest': digestField('sha-256', 'other') }
  const repr = { 'repr-digest': digestField('sha-256', 'other') }
  const id = idOf(await ann.begin('a.txt', 10))
  for (const [what, answer, status, code] of [
    ['PUT of another extension', await ann.put('a.exe', 'x'), 415, 'extension_not_allowed'],
    ['a form of another extension', await ann.form('a.exe', 'x'), 415, 'extension_not_allowed'],
    ['tus of another extension', await ann.begin('a.exe', 1), 415, 'extension_not_allowed'],
    ['PUT over the limit', await ann.put('a.txt', 'x'.repeat(1001)), 413, 'file_too_large'],
    ['tus over the limit', await ann.begin('a.txt', 1001), 413, 'file_too_large'],
    ['PUT of another digest', await ann.put('a.txt', 'x', digest), 400, 'digest_mismatch'],
    ['a form of another digest', await ann.form('a.txt', 'x', digest), 400, 'digest_mismatch'],
    ['a part of another digest', await ann.tusPatch(id, 0, 'x', digest), 400, 'digest_mismatch'],
    ['a draft of another digest', await ann.create({ 'upload-complete': '?1', 'content-disposition': 'inline; filename=a.txt', ...repr }, 'x'), 400, 'digest_mismatch'],
    ['compressed bytes', await ann.put('a.txt', 'x', { 'content-encoding': 'gzip' }), 415, 'content_encoding_unsupported'],
    ['no form', await ann.ask('POST', '/files', { 'content-type': 'text/plain' }, 'x'), 415, 'unsupported_media_type'],
    ['a form without a file', await ann.ask('POST', '/files'), 400, 'file_missing'],
    ['no protocol', await ann.create(named('a.txt')), 412, 'upload_protocol_missing'],
    ['no protocol of an append', await ann.ask('PATCH', `/uploads/${id}`, {}, 'x'), 412, 'upload_protocol_missing'],
    ['no protocol of an override', await ann.ask('POST', `/uploads/${id}`, { 'x-http-method-override': 'HEAD' }), 412, 'upload_protocol_missing'],
    ['an unknown override', await ann.ask('POST', `/uploads/${id}`, { ...TUS, 'x-http-method-override': 'PUT' }), 400, 'upload_header_invalid'],
    ['another offset', await ann.tusPatch(id, 5, 'x'), 409, 'upload_offset_mismatch'],
    ['another offset by POST', await ann.override(id, 5, 'x'), 409, 'upload_offset_mismatch'],
    ['another type', await ann.tusPatch(id, 0, 'x', { 'content-type': 'text/plain' }), 415, 'unsupported_media_type'],
    ['another type by POST', await ann.override(id, 0, 'x', { 'content-type': 'text/plain' }), 415, 'unsupported_media_type'],
    ['another version of tus', await ann.ask('GET', `/uploads/${id}`, { 'tus-resumable': '2' }), 412, 'tus_version_unsupported'],
    ['another version of tus', await ann.head(id, { 'tus-resumable': '2' }), 412, 'tus_version_unsupported'],
    ['another version of tus', await ann.ask('DELETE', `/uploads/${id}`, { 'tus-resumable': '2' }), 412, 'tus_version_unsupported'],
    ['more bytes than announced', await ann.tusPatch(id, 0, 'x'.repeat(11)), 400, 'upload_length_inconsistent'],
    ['an upload that has ended by that', await ann.tusPatch(id, 0, 'x'), 404, 'not_found']
  ] as const) refused(t, answer, status, code, what)
  const early = begin(ann.server, 'PUT', `${ann.path}/files/a.txt`, { 'content-length': '1001', expect: '100-continue' })
  early.request.on('continue', () => t.fail('the body is not read'))
  t.match(await early.answered, { status: 413, code: 'file_too_large' })
  early.request.destroy()
  t.same(await ann.names(), [])
})

t.test('an upload by a link with a password needs it, and the limit of wrong ones holds for every request', async t => {
  const ann = await shared({ SIGN_IN_FAILURES: '1', TRUST_PROXY: '127.0.0.1' }, { password: 'correct horse battery' })
  const basic = (password: string) => ({ authorization: `Basic ${Buffer.from(`:${password}`).toString('base64')}` })
  const requests: [string, string, Headers, string?][] = [
    ['PUT', '/files/a', {}, 'x'], ['POST', '/files', {}], ['POST', '/uploads', { ...TUS, 'upload-length': '1' }],
    ['GET', `/uploads/${UNKNOWN}`, {}], ['HEAD', `/uploads/${UNKNOWN}`, {}], ['PATCH', `/uploads/${UNKNOWN}`, {}, 'x'],
    ['POST', `/uploads/${UNKNOWN}`, {}], ['DELETE', `/uploads/${UNKNOWN}`, {}], ['OPTIONS', '/uploads', {}]
  ]
  const all = async (headers: Headers, status: number, code: string) => {
    for (const [method, path, own, body] of requests) refused(t, await ann.ask(method, path, { ...own, ...headers }, body), status, code, `${method} ${path}: ${code}`)
  }
  const tls = { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'https' }
  await all(tls, 403, 'link_password_required')
  await all({ ...tls, 'x-forwarded-proto': 'http', ...basic('correct horse battery') }, 403, 'tls_required')
  t.match(await ann.ask('PUT', '/files/a', { ...tls, ...basic('correct horse battery') }, 'x'), { status: 201 })
  refused(t, await ann.ask('PUT', '/files/a', { ...tls, ...basic('wrong') }, 'x'), 403, 'link_password_wrong')
  await all({ ...tls, ...basic('wrong') }, 429, 'too_many_passwords')
})

t.test('the offset of an upload by a link has no rate limit, and OPTIONS tells what uploads can do', async t => {
  const ann = await shared({ RATE_LIMIT_PER_MINUTE: '20', MAX_FILE_BYTES: '1000', CORS_ORIGINS: 'https://app.example.org' })
  const id = idOf(await ann.begin('a', 10))
  for (const [path, allow] of [['/uploads', 'OPTIONS, POST'], [`/uploads/${id}`, 'DELETE, GET, HEAD, OPTIONS, PATCH, POST']] as const) {
    t.match(await ann.ask('OPTIONS', path), { status: 204, headers: { allow, 'tus-version': '1.0.0', 'tus-max-size': '1000', 'accept-patch': /partial-upload/ } })
    t.equal((await ann.ask('TRACE', path)).headers.allow, allow, 'the methods that are there')
  }
  await until(async () => (await ann.get(id)).status === 429)
  for (let count = 0; count < 30; count++) t.same(stateOf(await ann.head(id)), [200, '0', '10', '?0'])
  const preflight = { origin: 'https://app.example.org', 'access-control-request-method': 'HEAD' }
  t.equal((await ann.ask('OPTIONS', `/uploads/${id}`, preflight)).status, 204)
})

t.test('an upload by a link needs space on the disk, for which nothing kept is deleted', { skip: skipWithoutFolder }, async t => {
  const dataDir = t.testdir()
  const ann = await open(t, { DATA_DIR: dataDir })
  await ann.send('PUT', '/uploads/old', { body: 'kept' })
  await ann.send('DELETE', '/uploads/old')
  const id = idOf(await ann.begin('a', 10))
  await ann.server.close()
  const full = await startServer(t, { DATA_DIR: dataDir, LINKS: 'on', MIN_FREE_BYTES: '1000 TB' })
  const later = visit(full, ann.link)
  for (const answer of [
    await later.put('b', 'x'), await later.put('b', chunked('x')), await later.form('b', 'x'), await later.begin('b', 1), await later.tusPatch(id, 0, 'x'), await later.override(id, 0, 'x')
  ]) refused(t, answer, 507, 'storage_full')
  t.same(stateOf(await later.head(id)), [200, '0', '10', '?0'])
  t.equal((await full.send('GET', '/api/trash', { user: ann.user })).json.files.length, 1)
})

t.test('below twice MIN_FREE_BYTES, where versions and the trash make way, only the owner can upload', { skip: skipWithoutFolder }, async t => {
  const { bavail, bsize } = await statfs(t.testdir())
  const ann = await open(t, { DATA_DIR: t.testdirName, MIN_FREE_BYTES: String(Math.floor(bavail * bsize * 0.7)) })
  for (const answer of [
    await ann.put('a', 'x'), await ann.put('a', chunked('x')), await ann.form('a', 'x'), await ann.begin('a', 1)
  ]) refused(t, answer, 507, 'storage_full')
  t.equal((await ann.send('PUT', '/uploads/a', { body: 'x' })).status, 201)
})
