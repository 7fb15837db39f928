import { once } from 'node:events'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import t from 'tap'
import { setQuotas, shareAccount } from './kit/kept-account.ts'
import { createLink, openLinkOwner } from './kit/links.ts'
import { setLock } from './kit/locks.ts'
import { sha256Of } from './kit/digests.ts'
import { jpegOf, webpOf } from './kit/pictures.ts'
import { answerToHead, refused } from './kit/refusals.ts'
import { sharedServer, signUp, type SendOptions } from './kit/server.ts'

const MAX_BYTES = 65_536

type Headers = Record<string, string>

const tag = (content: string) => `"${sha256Of(Buffer.from(content))}"`
const thumbnailPath = (name: string) => `/api/files/${encodeURIComponent(name)}/thumbnail`

async function openAccount (...settings: Parameters<typeof shareAccount>) {
  const account = await shareAccount(...settings)
  const { send } = account
  return {
    ...account,
    /** By default of a file whose content is its name, as `put` stores it. */
    putThumbnail: (name: string, body: SendOptions['body'] = webpOf(), { content = name, headers = {}, query = '' }: { content?: string, headers?: Headers, query?: string } = {}) =>
      send('PUT', thumbnailPath(name) + query, { body: body as Buffer, headers: { 'if-match': tag(content), ...headers } }),
    thumbnail: (name: string) => send('GET', thumbnailPath(name)),
    setTaken: (name: string, takenAt: unknown, headers: Headers = { 'if-match': tag(name) }) =>
      send('PUT', `/api/files/${encodeURIComponent(name)}/taken`, { json: { takenAt }, headers })
  }
}

t.test('a thumbnail is stored for the content of a file, with the time it was taken, and comes back in its own type', async t => {
  const { put, putThumbnail, thumbnail, metadata, send, usage } = await openAccount()
  const { json: file } = await put('a.jpg', 'a.jpg')
  t.match(file, { hasThumbnail: false, takenAt: null })
  refused(t, await thumbnail('a.jpg'), 404, 'not_found')
  const bytes = jpegOf(512, 1, '<script>alert(1)</script>')
  const stored = await putThumbnail('a.jpg', bytes, { headers: { 'content-type': 'text/html' }, query: '?takenAt=2024-02-29T23:59:59' })
  t.match(stored, { status: 200, headers: { 'cache-control': 'no-store' } })
  t.strictSame(stored.json, { ...file, hasThumbnail: true, takenAt: '2024-02-29T23:59:59' })
  t.strictSame((await metadata('a.jpg')).json, stored.json)
  const answer = await thumbnail('a.jpg')
  t.match(answer, {
    status: 200,
    headers: {
      'content-type': 'image/jpeg',
      'content-length': String(bytes.length),
      'content-security-policy': "default-src 'none'; sandbox",
      'cross-origin-resource-policy': 'same-origin',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff'
    }
  })
  t.ok(answer.bytes.equals(bytes))
  t.match(await send('HEAD', thumbnailPath('a.jpg')), { status: 200, text: '', headers: { 'content-type': 'image/jpeg', 'content-length': String(bytes.length) } })
  t.equal((await putThumbnail('a.jpg', webpOf(1, 512))).json.takenAt, '2024-02-29T23:59:59', 'the time stays')
  t.equal((await thumbnail('a.jpg')).headers['content-type'], 'image/webp')
  t.match(await usage(), { files: 1, bytes: 5 + webpOf().length })
})

t.test('it goes with its content: to copies, versions and the trash, and to no other content', async t => {
  const account = await openAccount()
  const { put, putThumbnail, thumbnail, metadata, send, remove, trash, restoreFile, restore, versions, usage } = account
  await put('a')
  await putThumbnail('a', webpOf(), { query: '?takenAt=2001-01-01T00:00:00' })
  t.match((await send('POST', '/api/files/a/copy', { json: { name: 'in/b' } })).json, { hasThumbnail: true, takenAt: '2001-01-01T00:00:00' })
  t.equal((await put('c', 'a')).json.hasThumbnail, true)
  t.match((await put('a', 'other')).json, { hasThumbnail: false, takenAt: null })
  refused(t, await thumbnail('a'), 404, 'not_found')
  t.equal((await thumbnail('in/b')).status, 200)
  await restore('a', String((await versions('a'))[0]?.id))
  t.equal((await thumbnail('a')).status, 200)
  for (const name of ['a', 'c', 'in/b']) await remove(name)
  t.match(await usage(), { bytes: 0, keptBytes: 3 + 5 + webpOf().length })
  for (const { id, name } of await trash()) if (name === 'c') await restoreFile(id)
  t.equal((await thumbnail('c')).status, 200)
  await remove('c', { permanent: 'true' })
  await send('DELETE', '/api/trash')
  t.match(await usage(), { bytes: 0, keptBytes: 0 })
  t.match((await put('a')).json, { hasThumbnail: false, takenAt: null })
  t.equal((await metadata('a')).json.hasThumbnail, false)
})

t.test('nothing else is a thumbnail', async t => {
  const { put, putThumbnail, thumbnail, server } = await openAccount()
  await put('a')
  await put('empty', '')
  const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==', 'base64')
  const bodies = {
    nothing: Buffer.alloc(0),
    png,
    svg: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>'),
    gif: Buffer.from('GIF89a\x01\0\x01\0'),
    'a WebP cut in its head': webpOf().subarray(0, 24),
    'a JPEG cut in its head': jpegOf().subarray(0, 25),
    'a JPEG without a size': Buffer.from('ffd8ffe000104a46494600010100000100010000ffd9', 'hex'),
    'a WebP of another kind': Buffer.concat([Buffer.from('RIFF\x04\0\0\0WEBPVP8?'), Buffer.alloc(20)]),
    'wider than 512': webpOf(513, 1),
    'higher than 512': jpegOf(1, 513),
    'no width': webpOf(0, 8),
    'no height': jpegOf(8, 0)
  }
  for (const [name, body] of Object.entries(bodies)) refused(t, await putThumbnail('a', body), 415, 'thumbnail_unsupported', name)
  refused(t, await putThumbnail('empty', webpOf(), { content: '' }), 415, 'thumbnail_unsupported', 'of an empty file')
  refused(t, await putThumbnail('a', webpOf(), { headers: { 'content-encoding': 'gzip' } }), 415, 'content_encoding_unsupported')
  refused(t, await putThumbnail('a', webpOf(8, 8, MAX_BYTES + 1 - webpOf().length)), 413, 'body_too_large')
  refused(t, await putThumbnail('a', Readable.from([webpOf(), Buffer.alloc(MAX_BYTES)])), 413, 'body_too_large', 'without a length')
  const { token } = await signUp(server)
  await server.send('PUT', '/uploads/a', { token, body: 'a' })
  t.strictSame(await answerToHead(server, 'PUT', thumbnailPath('a'), { authorization: `Bearer ${token}`, 'if-match': tag('a'), 'content-length': String(MAX_BYTES + 1) }), [413, 'body_too_large'], 'before its body')
  for (const takenAt of ['', '2024-07-01', '2024-07-01T12:30:00Z', '2024-02-30T00:00:00', '2023-02-29T00:00:00', '2024-07-01T24:00:00', '2024-07-01T12:30:60', '12024-07-01T12:30:00', '+002024-07-01T12:30:00', '+010000-01-01T00:00:00', '-000001-12-31T23:59:59', '2024-07-01 12:30:00', '2024-7-1T12:30:00']) {
    refused(t, await putThumbnail('a', webpOf(), { query: `?takenAt=${encodeURIComponent(takenAt)}` }), 400, 'validation_failed', takenAt)
  }
  refused(t, await putThumbnail('a', webpOf(), { query: '?takenAt=2024-07-01T12:30:00&takenAt=2024-07-01T12:30:00' }), 400, 'validation_failed', 'two times')
  for (const field of ['content-digest', 'repr-digest']) {
    refused(t, await putThumbnail('a', webpOf(), { headers: { [field]: 'sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:' } }), 400, 'digest_mismatch', field)
    refused(t, await putThumbnail('a', webpOf(), { headers: { [field]: 'sha-256' } }), 400, 'digest_malformed', field)
  }
  for (const [field, value] of [['content-range', 'bytes 0-43/100'], ['upload-complete', '?0'], ['tus-resumable', '1.0.0']] as const) {
    refused(t, await putThumbnail('a', webpOf(), { headers: { [field]: value } }), 400, 'upload_header_invalid', field)
  }
  refused(t, await thumbnail('a'), 404, 'not_found')
  t.equal((await putThumbnail('a', webpOf(512, 512, MAX_BYTES - webpOf().length))).status, 200, 'the most')
  t.equal((await putThumbnail('a', Readable.from([webpOf()]))).status, 200, 'without a length')
})

t.test('a request names the content that it is about', async t => {
  const { put, putThumbnail, setTaken, thumbnail, metadata, send } = await openAccount()
  await put('a')
  for (const headers of [{ 'if-match': '*' }, { 'if-match': ' * ' }]) {
    refused(t, await putThumbnail('a', webpOf(), { headers }), 428, 'precondition_required')
    refused(t, await setTaken('a', null, headers), 428, 'precondition_required')
  }
  refused(t, await send('PUT', thumbnailPath('a'), { body: webpOf() }), 428, 'precondition_required', 'without one')
  for (const headers of [{ 'if-match': tag('b') }, { 'if-match': `W/${tag('a')}` }, { 'if-match': 'a' }]) {
    refused(t, await putThumbnail('a', webpOf(), { headers }), 412, 'precondition_failed')
    refused(t, await setTaken('a', '2024-07-01T12:30:00', headers), 412, 'precondition_failed')
  }
  t.match((await metadata('a')).json, { hasThumbnail: false, takenAt: null })
  t.equal((await putThumbnail('a', webpOf(), { headers: { 'if-match': `${tag('b')}, ${tag('a')}` } })).status, 200)
  await put('a', 'new')
  refused(t, await putThumbnail('a'), 412, 'precondition_failed', 'the former content')
  refused(t, await thumbnail('a'), 404, 'not_found')
  await putThumbnail('a', webpOf(), { content: 'new' })
  const thumbnailOf = (content: string) => send('GET', thumbnailPath('a'), { headers: { 'if-match': tag(content) } })
  refused(t, await thumbnailOf('a'), 412, 'precondition_failed', 'whose thumbnail is asked for')
  t.strictSame((await thumbnailOf('new')).bytes, webpOf())
})

t.test('a replacement at the same time gets no thumbnail of the former content', async t => {
  const { put, putThumbnail, metadata } = await openAccount()
  await put('a')
  const answers = await Promise.all([...Array(20).keys()].map(index => index === 9 ? put('a', 'new') : putThumbnail('a')))
  t.ok(answers.every(({ status }) => status === 200 || status === 412))
  t.match((await metadata('a')).json, { sha256: sha256Of(Buffer.from('new')), hasThumbnail: false })
})

t.test('the time is told without a thumbnail too, and taken back', async t => {
  const { put, setTaken, metadata, putThumbnail } = await openAccount()
  const { json: file } = await put('clip.mp4')
  for (const takenAt of ['0000-01-01T00:00:00', '9999-12-31T23:59:59', '2024-02-29T12:00:00']) {
    t.strictSame((await setTaken('clip.mp4', takenAt)).json, { ...file, takenAt }, takenAt)
  }
  t.match((await putThumbnail('clip.mp4')).json, { takenAt: '2024-02-29T12:00:00', hasThumbnail: true })
  t.match((await setTaken('clip.mp4', null)).json, { takenAt: null, hasThumbnail: true })
  for (const takenAt of [undefined, 5, '', '2024-07-01', '2024-02-30T00:00:00', '2024-07-01T12:30:00.000']) {
    refused(t, await setTaken('clip.mp4', takenAt), 400, 'validation_failed', String(takenAt))
  }
  refused(t, await setTaken('none', null), 404, 'not_found')
  t.match((await metadata('clip.mp4')).json, { updatedAt: file.updatedAt, takenAt: null })
})

t.test('files of others, and what is no file, have no thumbnail that anybody gets or stores', async t => {
  const { put, make, putThumbnail, thumbnail, server } = await openAccount()
  await put('a')
  await putThumbnail('a')
  await make('thumbnail')
  const { token } = await signUp(server)
  const theirs = await server.send('GET', thumbnailPath('a'), { token })
  const none = await server.send('GET', thumbnailPath('none'), { token })
  t.match(theirs, { status: 404 })
  t.equal(theirs.text, none.text)
  refused(t, await server.send('PUT', thumbnailPath('a'), { token, body: webpOf(), headers: { 'if-match': tag('a') } }), 404, 'not_found', 'of another account')
  await server.send('PUT', '/uploads/a', { token, body: 'a' })
  refused(t, await server.send('GET', thumbnailPath('a'), { token }), 404, 'not_found', 'the same bytes of another account')
  for (const name of ['thumbnail', 'none', '..', 'a/b', 'A', 'a/']) {
    refused(t, await thumbnail(name), 404, 'not_found', name)
    refused(t, await putThumbnail(name, webpOf(), { content: 'a' }), 404, 'not_found', name)
  }
})

t.test('names with slashes and the word itself are no other file', async t => {
  const { put, putThumbnail, thumbnail, send } = await openAccount()
  for (const name of ['thumbnail/a', 'in/thumbnail', 'a/thumbnail/b', 'thumb']) await put(name)
  await putThumbnail('in/thumbnail', webpOf(1, 1))
  await putThumbnail('thumbnail/a', webpOf(2, 2))
  t.ok((await thumbnail('in/thumbnail')).bytes.equals(webpOf(1, 1)))
  t.ok((await thumbnail('thumbnail/a')).bytes.equals(webpOf(2, 2)))
  refused(t, await thumbnail('in'), 404, 'not_found')
  t.match((await send('GET', '/api/files/in%2Fthumbnail')).json, { name: 'in/thumbnail', hasThumbnail: true })
  t.match((await send('GET', '/api/files/a%2Fthumbnail%2Fb')).json, { hasThumbnail: false })
  t.equal((await send('GET', '/api/files/in/thumbnail')).status, 404, 'that of `in`, which is a folder')
})

t.test('scopes decide who reads and who stores', async t => {
  const { put, putThumbnail, server, user } = await openAccount()
  await put('a')
  const tokenWith = async (...scopes: string[]) =>
    (await server.send('POST', '/api/tokens', { user, json: { name: 'n', scopes, expiresAt: null } })).json.token
  const [reads, writes] = [await tokenWith('files:read'), await tokenWith('files:write')]
  const headers = { 'if-match': tag('a') }
  refused(t, await server.send('PUT', thumbnailPath('a'), { token: reads, body: webpOf(), headers }), 403, 'insufficient_scope')
  refused(t, await server.send('PUT', '/api/files/a/taken', { token: reads, json: { takenAt: null }, headers }), 403, 'insufficient_scope')
  t.equal((await server.send('PUT', thumbnailPath('a'), { token: writes, body: webpOf(), headers })).status, 200)
  refused(t, await server.send('GET', thumbnailPath('a'), { token: writes }), 403, 'insufficient_scope')
  refused(t, await server.send('GET', '/api/timeline', { token: writes }), 403, 'insufficient_scope')
  t.equal((await server.send('GET', thumbnailPath('a'), { token: reads })).status, 200)
  t.equal((await server.send('GET', thumbnailPath('a'))).status, 401)
  await putThumbnail('a')
})

t.test('a lock does not refuse it, and a quota does', async t => {
  const account = await openAccount()
  const { put, putThumbnail, setTaken, dataDir, usage, thumbnail, send } = account
  await put('a')
  await setLock(dataDir, 'a')
  refused(t, await send('PUT', '/uploads/a', { body: 'new' }), 423, 'file_locked')
  t.equal((await putThumbnail('a')).status, 200)
  t.equal((await setTaken('a', '2024-07-01T12:30:00')).status, 200)
  await put('b')
  await setQuotas(account, { bytes: 2 + 2 * webpOf().length - 1 })
  refused(t, await putThumbnail('b'), 413, 'quota_exceeded')
  refused(t, await thumbnail('b'), 404, 'not_found')
  await setQuotas(account, { bytes: 2 + 2 * webpOf().length })
  t.equal((await putThumbnail('b')).status, 200)
  t.match(await usage(), { bytes: 2 + 2 * webpOf().length })
})

t.test('a body that breaks off stores nothing', async t => {
  const { put, server, token, thumbnail } = await openAccount()
  await put('a')
  const socket = connect(server.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(`PUT ${thumbnailPath('a')} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\nIf-Match: ${tag('a')}\r\nTransfer-Encoding: chunked\r\n\r\n2c\r\n`)
  socket.write(webpOf())
  socket.end('\r\nno chunk')
  const [answer] = await once(socket.setEncoding('utf8'), 'data')
  t.match(answer, /^HTTP\/1\.1 400 /)
  refused(t, await thumbnail('a'), 404, 'not_found')
})

t.test('a link that gives a file gives its thumbnail too, and counts no use', async t => {
  const server = await sharedServer({ LINKS: 'on' })
  const owner = await openLinkOwner(server, { 'box%2Fin%2Fa': 'a', other: 'a', secret: 'b' })
  const { send, share, get } = owner
  for (const [name, content] of [['box/in/a', 'a'], ['secret', 'b']] as const) {
    await send('PUT', thumbnailPath(name) + '?takenAt=2024-07-01T12:30:00', { body: content === 'a' ? webpOf(5, 5) : webpOf(6, 6), headers: { 'if-match': tag(content) } })
  }
  const [folder, file] = [await share({ name: 'box', kind: 'download' }), await share({ name: 'other', kind: 'download' })]
  const answer = await get(`${folder.path}/thumbnails/in%2Fa`)
  t.match(answer, {
    status: 200,
    headers: { 'content-type': 'image/webp', 'content-security-policy': "default-src 'none'; sandbox", 'cross-origin-resource-policy': 'same-origin', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' }
  })
  t.ok(answer.bytes.equals(webpOf(5, 5)))
  t.match((await get(`${folder.path}/list?folder=in`)).json.files, [{ hasThumbnail: true, takenAt: '2024-07-01T12:30:00' }])
  t.ok((await get(`${file.path}/thumbnails/whatever`)).bytes.equals(webpOf(5, 5)), 'a link of a file has one')
  t.match((await send('GET', `/api/links/${folder.id}`)).json, { uses: 0 })
  for (const name of ['secret', '..%2Fsecret', 'in', 'none', 'in%2Fnone']) t.match(await get(`${folder.path}/thumbnails/${name}`), { status: 404 }, name)
  const upload = await share({ name: 'box', kind: 'upload' })
  t.match(await get(`${upload.path}/thumbnails/in%2Fa`), { status: 404 }, 'a link to upload shows nothing')
  const locked = await createLink(server, { token: owner.token }, { name: 'box', kind: 'download', password: 'open sesame' })
  refused(t, await get(`${locked.path}/thumbnails/in%2Fa`), 403, 'link_password_required')
  t.equal((await get(`${locked.path}/thumbnails/in%2Fa`, { authorization: `Basic ${Buffer.from(':open sesame').toString('base64')}` })).status, 200)
  await send('DELETE', `/api/links/${folder.id}`)
  t.match(await get(`${folder.path}/thumbnails/in%2Fa`), { status: 404 }, 'a link that has ended')
  t.equal((await server.send('PUT', `${file.path}/thumbnails/other`, { body: webpOf() })).status, 405)
})
