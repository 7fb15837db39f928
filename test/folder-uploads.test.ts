import t from 'tap'
import { openHttp2 } from './kit/drive.ts'
import { bytesPath, folderPath, metadataPath, setQuotas, shareAccount } from './kit/kept-account.ts'
import { refused } from './kit/refusals.ts'
import { formOf, namesOf, startTls, type Answer, type SendOptions } from './kit/server.ts'
import { named, TUS, TUS_BYTES } from './kit/tus.ts'
import { sendRaw } from './kit/wire.ts'

const BYTES = 'the bytes'

type Account = Awaited<ReturnType<typeof shareAccount>>

const tusFields = (name: string, length: number) => ({ ...TUS, ...named(name), 'upload-length': String(length) })
const tusAppend = (offset: number) => ({ ...TUS_BYTES, 'upload-offset': String(offset) })
const draftAppend = (offset: number) => ({ 'upload-complete': '?1', 'upload-offset': String(offset), 'content-type': 'application/partial-upload' })
/** An answer without what differs with every request. */
function timeless ({ status, headers, text }: Answer) {
  const { date, connection, 'x-request-id': id, ...others } = headers
  return { status, headers: others, text: text.replace(String(id), '').replaceAll(/"(?:updatedAt|changedAt)":"[^"]*"/g, '') }
}

const pathOf = ({ headers }: Answer) => new URL(String(headers.location)).pathname

/** Every way to store a file. */
const uploads: Record<string, (account: Account, name: string) => Promise<unknown>> = {
  PUT: ({ put }, name) => put(name, BYTES),
  'PUT with a plain slash': ({ send }, name) => send('PUT', `/uploads/${name.split('/').map(encodeURIComponent).join('/')}`, { body: BYTES }),
  'a form': ({ send }, name) => send('POST', `/?folder=${encodeURIComponent(name.slice(0, name.lastIndexOf('/')))}`, formOf(`to/../${Buffer.from(name.slice(name.lastIndexOf('/') + 1)).toString('latin1')}`, BYTES, { type: 'application/pdf' })),
  'tus in one request': ({ send }, name) => send('POST', '/api/uploads', { headers: { ...tusFields(name, BYTES.length), 'content-type': 'application/offset+octet-stream' }, body: BYTES }),
  async tus ({ send }, name) {
    const path = pathOf(await send('POST', '/api/uploads', { headers: tusFields(name, BYTES.length) }))
    await send('PATCH', path, { headers: tusAppend(0), body: BYTES.slice(0, 3) })
    await send('PATCH', path, { headers: tusAppend(3), body: BYTES.slice(3) })
  },
  'tus without content': ({ send }, name) => send('POST', '/api/uploads', { headers: tusFields(name, 0) }),
  'the draft': ({ send }, name) => send('POST', '/api/uploads', { headers: { 'upload-complete': '?1', 'content-disposition': `inline; filename*=UTF-8''${encodeURIComponent(name)}` }, body: BYTES }),
  async 'the draft in parts' ({ send }, name) {
    const created = await send('POST', '/api/uploads', { headers: { 'upload-complete': '?0', 'upload-metadata': `filename ${Buffer.from(name).toString('base64')}` }, body: BYTES.slice(0, 3) })
    await send('PATCH', pathOf(created), { headers: draftAppend(3), body: BYTES.slice(3) })
  },
  async 'PUT of the draft' ({ send }, name) {
    const created = await send('PUT', bytesPath(name), { headers: { 'upload-complete': '?0' }, body: BYTES.slice(0, 3) })
    await send('PATCH', pathOf(created), { headers: draftAppend(3), body: BYTES.slice(3) })
  },
  async 'ranged PUT' ({ send }, name) {
    await send('PUT', `/uploads/${name.split('/').map(encodeURIComponent).join('/')}`, { headers: { 'upload-complete': '?0', 'upload-length': '9' }, body: BYTES.slice(0, 3) })
    await send('PUT', bytesPath(name), { headers: { 'content-range': 'bytes 3-8/9' }, body: BYTES.slice(3) })
  }
}

t.test('every kind of upload stores a file in a folder, and makes what is missing', async t => {
  const account = await shareAccount()
  const { server, send, get, metadata, usage } = account
  for (const [index, [kind, upload]] of Object.entries(uploads).entries()) {
    const name = `re ports/é ${index}/q#1?.pdf`
    await upload(account, name)
    const { json } = await metadata(name)
    t.match(json, { name, size: kind.includes('without content') ? 0 : BYTES.length, type: 'application/pdf', modifiedAt: null, url: `${server.url}/uploads/re%20ports/%C3%A9%20${index}/q%231%3F.pdf` }, kind)
    for (const path of [bytesPath(name), new URL(json.url).pathname]) {
      const { status, text, headers } = await send('GET', path)
      t.same([status, text, headers['content-disposition']], [200, json.size === 0 ? '' : BYTES, 'attachment; filename="q#1?.pdf"; filename*=UTF-8\'\'q%231%3F.pdf'], `${kind} ${path}`)
    }
    t.equal((await send('GET', folderPath(`re ports/é ${index}`))).status, 200)
  }
  t.match(await usage(), { files: 10, folders: 11, uploadBytes: 0 })
  t.match(await send('PUT', '/uploads/x%2Fy%20z', { body: 'x' }), { status: 201, headers: { location: '/uploads/x/y%20z' } })
  t.match(await send('POST', '/?folder=x', formOf('z', 'x')), { status: 201, headers: { location: '/uploads/x/z' } })
  t.equal((await get('x/z')).text, 'x')
})

t.test('a file with the same bytes in the folder is no conflict, and one elsewhere is another', async t => {
  const account = await shareAccount()
  const { send, put, server, token } = account
  await setQuotas(account, { files: 4 })
  await put('file', BYTES)
  await put('a/file', BYTES)
  t.equal((await send('POST', '/?folder=a', formOf('file', BYTES))).status, 200)
  refused(t, await send('POST', '/?folder=a', formOf('file', 'others')), 409, 'name_taken', 'others')
  t.equal((await send('POST', '/?folder=/', formOf('other', BYTES))).status, 201)
  t.equal((await send('POST', '/?folder=a', formOf('file', BYTES))).status, 200, 'a retry, although the quota is used up')
  refused(t, await send('POST', '/?folder=b', formOf('file', BYTES)), 413, 'quota_exceeded', 'before the body')
  t.same(await namesOf(server, { token }), ['file', 'other', 'a/file'])
})

t.test('a plain slash and %2F are the same at every operation of a file, and decoded once', async t => {
  const account = await shareAccount()
  const { send, put, get } = account
  await put('a/b/c d', BYTES)
  const twins = ['/uploads/a/b/c%20d', '/uploads/a%2Fb%2Fc%20d', '/uploads/a%2fb/c%20d', '/uploads/a/b%2Fc%20d', '/uploads/%61/b/c%20d']
  const requests: [method: string, query: string, options?: SendOptions][] = [
    ['GET', ''], ['HEAD', ''], ['OPTIONS', ''], ['POST', ''], ['PATCH', ''], ['PROPFIND', ''],
    ['GET', '?disposition=inline'], ['GET', '?disposition=x'], ['GET', '?version=none'], ['HEAD', '?folder=a'],
    ['GET', '', { headers: { range: 'bytes=0-2' } }],
    ['PUT', '', { body: BYTES }],
    ['PUT', '', { body: 'x', headers: { 'if-match': '"other"' } }],
    ['PUT', '', { body: 'x', headers: { 'content-range': 'bytes 5-5/6' } }],
    ['PUT', '?version=x', { body: 'x' }],
    ['DELETE', '', { headers: { 'if-match': '"other"' } }],
    ['DELETE', '?permanent=x'],
    ['GET', '', { token: 'none' }],
    ['PUT', '', { token: 'none', body: BYTES }]
  ]
  for (const [method, query, options] of requests) {
    const answers = await Promise.all(twins.map(async path => timeless(await send(method, path + query, options))))
    for (const answer of answers) t.strictSame(answer, answers[0], `${method} ${query}`)
  }
  t.match(await send('OPTIONS', '/uploads/a/b'), { status: 204, headers: { allow: 'DELETE, GET, HEAD, OPTIONS, PUT', 'tus-version': '1.0.0' } })
  t.match(await send('POST', '/uploads/a/b', { body: 'x' }), { status: 405, headers: { allow: 'DELETE, GET, HEAD, OPTIONS, PUT' } })
  t.match(await send('PUT', '/uploads/a/b/new', { body: 'x' }), { status: 201, headers: { location: '/uploads/a/b/new' } })
  t.equal((await send('DELETE', '/uploads/a/b/new')).status, 204)
  t.equal((await get('a/b/new')).status, 404)

  // What is encoded twice is a percent sign.
  t.match(await send('PUT', '/uploads/a%252Fb', { body: 'twice' }), { status: 201, json: { name: 'a%2Fb' }, headers: { location: '/uploads/a%252Fb' } })
  t.match(await send('PUT', '/uploads/d/a%252Fb', { body: 'twice' }), { status: 201, json: { name: 'd/a%2Fb' }, headers: { location: '/uploads/d/a%252Fb' } })
  t.equal((await send('GET', '/uploads/d%2Fa%252Fb')).text, 'twice')
  for (const door of [metadataPath, folderPath]) t.equal((await send('GET', door('a/b').replace('%2F', '%252F'))).status, door === metadataPath ? 200 : 404, 'at other doors too')
  t.equal((await send('GET', folderPath('a/b'))).json.name, 'a/b')

  // Other operations have the name as one segment.
  for (const path of ['/api/files/a/b/c%20d', '/api/folders/a/b']) refused(t, await send('GET', path), 404, 'not_found', path)
  t.equal((await send('GET', `${metadataPath('a/b/c d')}/versions`)).status, 200)
})

t.test('a path that is no name is 404, or 400 for a write, as it stands on the wire', async t => {
  const { server, token, put } = await shareAccount()
  await put('x', BYTES)
  await put('a/x', BYTES)
  const ask = async (method: string, target: string): Promise<[number, string]> => {
    const body = method === 'PUT' ? 'Content-Length: 1\r\n\r\nx' : '\r\n'
    const text = await sendRaw(server.port, `${method} ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\n${body}`)
    const [, status = '', json = ''] = /^HTTP\/1\.1 (\d{3})[^]*?\r\n\r\n([^]*)$/.exec(text) ?? []
    return [Number(status), json === '' ? '' : JSON.parse(json).code]
  }
  const bad = [
    '', '/', '//', '..', '../x', 'a/../x', 'a/..', './x', 'a/./x', 'a//x', '//x', '/x', 'x/', 'a/x/', 'a/', '%2F', '%2F%2F', '%2Fx', 'x%2F',
    'a%2F%2Fx', 'a%2F..%2Fx', '%2E%2E/x', '..%2Fx', 'a/%2E%2E/x', 'a%5Cx', 'a/%00', '%00', 'a/x%00', 'a/%0A', 'a\\x',
    `${'a/'.repeat(32)}x`, `a/${'x'.repeat(256)}`
  ]
  for (const path of bad) {
    t.same(await ask('GET', `/uploads/${path}`), [404, 'not_found'], `GET ${path.slice(0, 20)}`)
    t.same(await ask('DELETE', `/uploads/${path}`), [404, 'not_found'], `DELETE ${path.slice(0, 20)}`)
    t.same(await ask('PUT', `/uploads/${path}`), [400, 'name_invalid'], `PUT ${path.slice(0, 20)}`)
  }
  for (const path of ['%FF', 'a/%FF', 'a/%', '%2', '%zz', 'a/%C3', '%ED%A0%80', '%C0%AF']) for (const method of ['GET', 'PUT']) t.same(await ask(method, `/uploads/${path}`), [400, 'malformed_url'], `${method} ${path}`)
  for (const path of ['/uploads', '/Uploads/x', '//uploads/x', '/uploads%2Fx', '/api/../uploads/x']) t.same(await ask('GET', path), [404, 'not_found'], path)
  t.same(await ask('GET', `/uploads/${'a'.repeat(12_000)}/b`), [404, 'not_found'], 'a long one')
  t.same(await namesOf(server, { token }), ['x', 'a/x'])
})

t.test('over HTTP/2 too, a URL with other characters than ASCII is refused, and no name is stored', async t => {
  const { ask, auth } = await openHttp2(t, await startTls(t))
  // Node sends each character of a header as one byte.
  const name = Buffer.from('ü').toString('latin1')
  for (const path of [`/uploads/${name}`, `/dav/${name}`, `/uploads/a?x=${name}`]) {
    const { status, text } = await ask('PUT', path, auth, 'x')
    t.match([status, JSON.parse(text)], [400, { code: 'malformed_request' }], path)
  }
  t.equal((await ask('PUT', '/uploads/%C3%BC', auth, 'x')).status, 201)
  t.strictSame(JSON.parse((await ask('GET', '/api/files', auth)).text).files.map(({ name }: { name: string }) => name), ['ü'])
})

const TIME = '2020-01-02T03:04:05.678Z'

t.test('the client tells when the content was changed, and it belongs to the content', async t => {
  const { put, send, metadata, versions, trash, remove, restoreFile, restore, rename } = await shareAccount()
  const timeOf = async (name: string) => (await metadata(name)).json.modifiedAt
  const told = (text: string) => ({ 'x-file-modified': text })
  t.match(await put('a/f', 'one', told(TIME)), { status: 201, json: { modifiedAt: TIME } })
  for (const [index, [text, time]] of Object.entries({
    '2020-01-02T03:04:05Z': '2020-01-02T03:04:05.000Z',
    '2020-01-02t03:04:05.123456789z': '2020-01-02T03:04:05.123Z',
    '2020-01-02T03:04:05.5+02:30': '2020-01-02T00:34:05.500Z',
    ' 2020-02-29T23:59:59-00:00 ': '2020-02-29T23:59:59.000Z',
    '0000-01-01T00:00:00Z': '0000-01-01T00:00:00.000Z',
    '1969-12-31T23:59:59.999Z': '1969-12-31T23:59:59.999Z',
    '9999-12-31T23:59:59.999Z': '9999-12-31T23:59:59.999Z'
  }).entries()) t.equal((await put(`times/${index}`, text, told(text))).json.modifiedAt, time, text)
  const bad = ['', 'yesterday', '2020-01-02', '2020-01-02 03:04:05Z', '2020-01-02T03:04:05', '2020-02-30T00:00:00Z', '2021-02-29T00:00:00Z', '2020-13-01T00:00:00Z', '2020-01-02T24:00:00Z', '2020-01-02T03:04:60Z', '2020-01-02T03:04:05+25:00', '0000-01-01T00:00:00+00:01', '9999-12-31T23:59:59-00:01', '+02020-01-02T03:04:05Z', '1577934245678', `${TIME}, ${TIME}`]
  for (const text of bad) {
    refused(t, await put('a/f', 'other', told(text)), 400, 'upload_header_invalid', `PUT ${text}`)
    refused(t, await send('POST', '/api/uploads', { headers: { ...tusFields('x', 1), ...told(text) } }), 400, 'upload_header_invalid', `tus ${text}`)
    refused(t, await send('PUT', '/uploads/x', { headers: { 'upload-complete': '?0', ...told(text) }, body: 'x' }), 400, 'upload_header_invalid', `draft ${text}`)
  }
  t.equal(await timeOf('a/f'), TIME)

  // Versions, trash and what is restored have their own.
  t.equal((await put('a/f', 'two')).json.modifiedAt, null, 'a replacement without it')
  const [version] = await versions('a/f')
  t.equal(version?.modifiedAt, TIME)
  t.equal((await restore('a/f', String(version?.id))).json.modifiedAt, TIME)
  t.strictSame((await versions('a/f')).map(({ modifiedAt }) => modifiedAt), [null])
  t.equal((await rename('a/f', 'g')).json.modifiedAt, TIME)
  await remove('g')
  const [deleted] = await trash()
  t.equal(deleted?.modifiedAt, TIME)
  t.equal((await restoreFile(String(deleted?.id))).json.modifiedAt, TIME)
})

t.test('resumable uploads tell it by the header, or as Uppy does', async t => {
  const { send, metadata } = await shareAccount()
  const timeOf = async (name: string) => (await metadata(name)).json.modifiedAt
  const create = async (name: string, lastModified: string | undefined, headers: Record<string, string> = {}) => {
    const fields = tusFields(name, 0)
    const more = lastModified === undefined ? '' : `,lastModified ${Buffer.from(lastModified).toString('base64')}`
    t.equal((await send('POST', '/api/uploads', { headers: { ...fields, 'upload-metadata': fields['upload-metadata'] + more, ...headers } })).status, 201, `${name} ${lastModified}`)
    return timeOf(name)
  }
  t.equal(await create('a', String(Date.parse(TIME))), TIME)
  t.equal(await create('b', '-1'), '1969-12-31T23:59:59.999Z')
  t.equal(await create('c', '0'), '1970-01-01T00:00:00.000Z')
  for (const [index, text] of ['', 'x', '1.5', '1e3', ' 1', '0x10', TIME, '253402300800000', '-62167219200001', '9'.repeat(30), 'é'].entries()) t.equal(await create(`d${index}`, text), null, `${text} is ignored`)
  t.equal(await create('e', '0', { 'x-file-modified': TIME }), TIME, 'the header comes first')
  t.equal(await create('f', undefined, { 'x-file-modified': TIME }), TIME)

  await send('POST', '/api/uploads', { headers: { 'upload-complete': '?1', 'upload-metadata': `filename ${btoa('g')},lastModified ${btoa('0')}` }, body: BYTES })
  t.equal(await timeOf('g'), '1970-01-01T00:00:00.000Z', 'the draft')
  await send('PUT', '/uploads/h', { headers: { 'upload-complete': '?0', 'upload-length': '9', 'x-file-modified': TIME }, body: BYTES.slice(0, 3) })
  await send('PUT', '/uploads/h', { headers: { 'content-range': 'bytes 3-8/9' }, body: BYTES.slice(3) })
  t.equal(await timeOf('h'), TIME, 'PUT in parts: what the first one told')
  await send('PUT', '/uploads/i', { headers: { 'upload-complete': '?0', 'upload-length': '9' }, body: BYTES.slice(0, 3) })
  const rest = (time: string) =>
    send('PUT', '/uploads/i', { headers: { 'content-range': 'bytes 3-8/9', 'x-file-modified': time }, body: BYTES.slice(3) })
  refused(t, await rest('yesterday'), 400, 'upload_header_invalid', 'the rest')
  t.equal((await rest(TIME)).json.modifiedAt, TIME, 'or what the last one tells')
})

const BOUNDARY = 'boundary-of-a-test'
const part = (disposition: string, text: string) => `--${BOUNDARY}\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n${text}\r\n`
const time = (text: string) => part('name="modifiedAt"', text)

t.test('a form tells it in a field, before or after the file', async t => {
  const { send, metadata, usage } = await shareAccount()
  const postWith = (headers: Record<string, string>, parts: string[]) =>
    send('POST', '/?folder=forms', { headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}`, ...headers }, body: `${parts.join('')}--${BOUNDARY}--\r\n` })
  const post = (...parts: string[]) => postWith({}, parts)
  const file = (name: string) => part(`name="file"; filename="${name}"`, BYTES)
  t.match(await post(time(TIME), file('before')), { status: 201, json: { modifiedAt: TIME } })
  t.match(await post(file('after'), time(TIME)), { status: 201, json: { modifiedAt: TIME } })
  t.match(await post(part('name="x"', 'y'), file('between'), part('name="y"', 'z'), time(TIME), part('name="modifiedat"', 'no')), { status: 201, json: { modifiedAt: TIME } })
  t.match(await post(file('without')), { status: 201, json: { modifiedAt: null } })
  t.match(await post(time(TIME), file('without')), { status: 200, json: { modifiedAt: null } }, 'a file that is there stays as it is')
  const other = { 'x-file-modified': '1999-01-01T00:00:00Z' }
  t.match(await postWith(other, [file('header')]), { status: 201, json: { modifiedAt: '1999-01-01T00:00:00.000Z' } })
  t.match(await postWith(other, [file('both'), time(TIME)]), { status: 201, json: { modifiedAt: TIME } }, 'the field comes first')
  const before = await usage()
  refused(t, await postWith({ 'x-file-modified': 'yesterday' }, [file('x')]), 400, 'upload_header_invalid', 'the header')
  const wrong: Record<string, string[]> = {
    'no time': [time('yesterday'), file('x')],
    'no time, after the file': [file('x'), time('yesterday')],
    nothing: [file('x'), time('')],
    'a long text': [time('x'.repeat(100_000)), file('x')],
    'a long text, after the file': [file('x'), time(`${TIME}${' '.repeat(100)}`)],
    'two times': [time(TIME), file('x'), time(TIME)],
    'two times before the file': [time(TIME), time(TIME), file('x')]
  }
  for (const [what, parts] of Object.entries(wrong)) {
    const answer = await post(...parts)
    refused(t, answer, 400, 'validation_failed', what)
    t.match(answer.json.errors, [{ field: 'modifiedAt' }], what)
  }
  refused(t, await post(time(TIME)), 400, 'file_missing', 'a time without a file')
  refused(t, await post(part('name="modifiedAt"; filename="a"', TIME), file('x')), 400, 'file_unexpected', 'a file in its place')
  t.equal((await metadata('forms/x')).status, 404)
  t.strictSame(await usage(), before)
})

t.test('with folderId a new name must be in that folder, and none is made', async t => {
  const { send, put, make, move, names, usage } = await shareAccount()
  const { json: { id: moved } } = await make('a')
  const { json: { id: other } } = await make('o')
  const { json: { id: file, folderId: within } } = await put('o/in/f')
  await move('a', 'b')
  const { json: { id: foreign } } = await (await shareAccount()).make('a')
  /** Each way to give a new name, which is `x` in a folder. */
  const doors: Record<string, (folder: string, folderId: string) => Promise<Answer>> = {
    PUT: (folder, id) => send('PUT', `${bytesPath(`${folder}x`)}?folderId=${id}`, { body: BYTES }),
    'PUT of the draft': (folder, id) => send('PUT', `${bytesPath(`${folder}x`)}?folderId=${id}`, { headers: { 'upload-complete': '?0' } }),
    tus: (folder, id) => send('POST', `/api/uploads?folderId=${id}`, { headers: tusFields(`${folder}x`, 9) }),
    'tus without content': (folder, id) => send('POST', `/api/uploads?folderId=${id}`, { headers: tusFields(`${folder}x`, 0) }),
    folder: (folder, id) => send('PUT', `${folderPath(`${folder}x`)}?folderId=${id}`),
    'rename of a file': (folder, id) => send('PATCH', metadataPath('o/in/f'), { json: { name: `${folder}x`, folderId: id } }),
    'move of a folder': (folder, id) => send('PATCH', folderPath('o/in'), { json: { name: `${folder}x`, folderId: id } })
  }
  const before = [await names(), await usage()]
  for (const [kind, door] of Object.entries(doors)) {
    for (const [folder, id] of [['a/', moved], ['a/b/', moved], ['b/', other], ['b/', foreign], ['b/', file], ['b/', 'root'], ['b/', 'unknown'], ['', moved]]) {
      refused(t, await door(String(folder), id), 412, 'precondition_failed', `${kind} ${folder} ${id}`)
    }
    for (const id of ['', 'a.b', 'x'.repeat(65)]) refused(t, await door('b/', id), 400, 'validation_failed', `${kind} ${id}`)
  }
  t.strictSame([await names(), await usage()], before)
  for (const [method, path, options] of [['PUT', bytesPath('x'), {}], ['POST', '/api/uploads', { headers: tusFields('x', 0) }]] as const) {
    refused(t, await send(method, `${path}?folderId=root&folderId=root`, options), 400, 'validation_failed', method)
  }
  refused(t, await send('POST', '/?folderId=root', formOf('x', BYTES)), 400, 'validation_failed', 'no parameter of it')
  refused(t, await send('POST', `${metadataPath('o/in/f')}/copy`, { json: { name: 'x', folderId: 'root' } }), 400, 'validation_failed')
  t.equal((await doors.PUT?.('b/', moved))?.status, 201)
  t.equal((await doors.PUT?.('', 'root'))?.status, 201)
  t.match(await doors.PUT?.('b/', moved), { status: 200, json: { folderId: moved } }, 'a file that is replaced')
  t.match(await send('PUT', `${folderPath('o/in')}?folderId=${other}`), { status: 200, json: { id: within, parentId: other } })
  refused(t, await send('PUT', `${folderPath('o/in')}?folderId=${moved}`), 412, 'precondition_failed', 'a folder that is there')
  for (const [path, name, id] of [[metadataPath('o/in/f'), 'o/in/f', within], [folderPath('o/in'), 'o/in', other]] as const) {
    refused(t, await send('PATCH', path, { json: { name, folderId: moved } }), 412, 'precondition_failed', `${name} to itself`)
    t.equal((await send('PATCH', path, { json: { name, folderId: id } })).status, 200)
  }
  t.match(await send('PATCH', metadataPath('o/in/f'), { json: { name: 'g', folderId: 'root' } }), { status: 200, json: { id: file, folderId: null } })
  t.match(await send('PATCH', folderPath('o/in'), { json: { name: 'b/in', folderId: moved } }), { status: 200, json: { id: within, parentId: moved } })
  t.match(await send('PUT', `${folderPath('b/in/c')}?folderId=${within}`), { status: 201, json: { parentId: within } })
})

t.test('a resumable upload keeps its folderId, which is judged again at its end', async t => {
  const { send, make, move, get } = await shareAccount()
  const { json: { id } } = await make('a')
  const tus = pathOf(await send('POST', `/api/uploads?folderId=${id}`, { headers: tusFields('a/tus', 9) }))
  const begun = { 'upload-complete': '?0', 'upload-length': '9' }
  for (const name of ['a/1', 'a/2', 'a/3']) {
    const path = `${bytesPath(name)}?folderId=${id}`
    t.equal((await send('PUT', path, { headers: begun, body: BYTES.slice(0, 3) })).status, 201)
  }
  await move('a', 'b')
  const { json: { id: second } } = await make('a')
  const endPut = (name: string, query = '', headers = {}) =>
    send('PUT', `${bytesPath(name)}${query}`, { headers: { ...headers, 'content-range': 'bytes 3-8/9' }, body: BYTES.slice(3) })
  refused(t, await send('PATCH', tus, { headers: tusAppend(0), body: BYTES }), 412, 'precondition_failed')
  refused(t, await endPut('a/1'), 412, 'precondition_failed', 'a rest need not repeat it')
  refused(t, await endPut('a/2', '', { 'if-none-match': '*' }), 412, 'precondition_failed', 'also with another condition')
  t.equal((await endPut('a/3', `?folderId=${second}`)).status, 201, 'a rest can give another one')
  await move('a', 'c')
  await move('b', 'a')
  t.equal((await send('PATCH', tus, { headers: tusAppend(9) })).status, 204)
  t.equal((await get('a/tus')).text, BYTES)
})
