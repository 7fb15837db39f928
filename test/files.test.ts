import t from 'tap'
import { sha256Of } from './kit/digests.ts'
import { DAY } from './kit/durations.ts'
import { accountOf, bytesPath, metadataPath, shareAccount } from './kit/kept-account.ts'
import { comparable, signUp, type SendOptions } from './kit/server.ts'
import { isProof } from './kit/sizes.ts'
import { allowUpdates, refuseUpdates, runSql } from './kit/stores.ts'

const ORDERS = ['name', '-name', 'newest', 'oldest', 'largest', 'smallest'] as const

/** Settings of which the tests look at one each. */
const PUBLIC = { PUBLIC_URL: 'https://files.example.org/store/', ALLOWED_EXTENSIONS: 'txt,.PDF' }

interface Listed { name: string, size: number }

/** Code point order, which equals the byte order of UTF-8. */
function byCodePoint (a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

t.test('a listing has a page of files, and says where the next one begins', async t => {
  const { put, list, send, server } = await shareAccount()
  t.match(await list(), { status: 200, text: '{"files":[],"next":null}', headers: { 'cache-control': 'no-store', link: undefined } })
  for (const name of ['b.txt', 'a b+c&d.txt', 'c.txt']) await put(name)

  const whole = await list()
  t.strictSame(Object.keys(whole.json), ['files', 'next'])
  t.strictSame(whole.json.files.map((file: Listed) => file.name), ['a b+c&d.txt', 'b.txt', 'c.txt'])
  t.equal(whole.json.next, null)
  t.notOk(whole.headers.link, 'the last page names no next one')
  const [first] = whole.json.files
  t.strictSame(first, {
    id: first.id,
    folderId: null,
    name: 'a b+c&d.txt',
    size: 11,
    type: 'text/plain',
    sha256: sha256Of('a b+c&d.txt'),
    createdAt: first.createdAt,
    updatedAt: first.createdAt,
    modifiedAt: null,
    changedAt: first.createdAt,
    starred: false,
    takenAt: null,
    hasThumbnail: false,
    url: `${server.url}/uploads/a%20b%2Bc%26d.txt`
  })
  t.match(first.createdAt, /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/)
  t.strictSame((await list({ limit: '3' })).json, whole.json, 'a page that is just full is the last one')

  const page = await list({ limit: '1', prefix: 'a b+c&', order: '-name' })
  t.equal(page.json.next, null)
  const two = await list({ limit: '2' })
  t.equal(two.json.files.length, 2)
  const [, link = ''] = /^<([^>]+)>; rel="next"$/.exec(String(two.headers.link)) ?? []
  t.ok(link.startsWith(`${server.url}/api/files?`), 'the link is absolute')
  t.equal(new URL(link).searchParams.get('cursor'), two.json.next)
  const next = await send('GET', link.slice(server.url.length))
  t.strictSame(next.json.files.map((file: Listed) => file.name), ['c.txt'], 'the link leads on')
  t.notOk(next.headers.link)

  const forged = await send('GET', '/api/files?limit=1&order=oldest', { headers: { host: 'evil.example' } })
  t.match(forged.headers.link, /^<\/api\/files\?limit=1&order=oldest&cursor=[\w-]+>; rel="next"$/, 'a Host that was made up leads nowhere')
  t.equal(forged.json.files[0].url, '/uploads/b.txt')
})

t.test('a file has its own id whatever happens to it, a folder until it is deleted, and no other has it', async t => {
  const account = await shareAccount()
  const { send, put, make, move, rename, remove, versions, restore, trash, metadata, getFolder, listFolders } = account
  const { json: folder } = await make('a')
  const { json: file } = await put('a/b', 'one')
  t.match(file, { id: /^[\w-]{16,64}$/, folderId: folder.id })
  t.match(folder, { id: /^[\w-]{16,64}$/, parentId: null })
  t.not(file.id, folder.id, 'two rows with one number have two ids')
  t.match((await put('a/b', 'two')).json, { id: file.id })
  t.match((await restore('a/b', String((await versions('a/b'))[0]?.id))).json, { id: file.id })
  t.match((await move('a', 'c/d')).json, { id: folder.id, parentId: (await getFolder('c')).json.id })
  t.match((await metadata('c/d/b')).json, { id: file.id, folderId: folder.id })
  t.match((await rename('c/d/b', 'e')).json, { id: file.id, folderId: null })
  const { json: copy } = await send('POST', '/api/files/e/copy', { json: { name: 'c/d/b' } })
  t.match(copy, { folderId: folder.id })
  await remove('e')
  const { json: other } = await put('e')
  t.match((await account.restoreFile(String((await trash())[0]?.id), { name: 'f' })).json, { id: file.id, folderId: null })
  await account.removeFolder('c', { recursive: 'true' })
  const { json: again } = await make('c')
  t.match((await account.list()).json.files, [{ id: other.id }, { id: file.id }])
  t.match((await listFolders()).json.folders, [{ id: again.id, parentId: null }])
  const { json: foreign } = await (await shareAccount()).put('f')
  t.equal(new Set([file, folder, copy, other, again, foreign].map(({ id }) => id)).size, 6)
})

t.test('a link to the next page keeps to PUBLIC_URL and to the query', async t => {
  const { put, send, list } = await shareAccount(PUBLIC)
  for (const name of ['é 1&2.txt', 'é 1&3.txt', 'é 1&4.txt']) await put(name)
  const { headers, json } = await list({ limit: '1', order: '-name', prefix: 'e\u0301 1&' })
  t.equal(json.files[0].url, 'https://files.example.org/store/uploads/%C3%A9%201%264.txt')
  const base = 'https://files.example.org/store'
  const [, link = ''] = /^<([^>]+)>; rel="next"$/.exec(String(headers.link)) ?? []
  t.ok(link.startsWith(`${base}/api/files?`))
  t.match(link, /^[!-~]+$/)
  t.strictSame((await send('GET', link.slice(base.length))).json.files.map((file: Listed) => file.name), ['é 1&3.txt'])
})

t.test('what is no listing is refused', async t => {
  const { put, list, send } = await shareAccount()
  for (const name of ['a', 'b', 'c']) await put(name)
  const cursorOf = async (order: string) => (await list({ limit: '1', order })).json.next as string
  const cursors = new Map(await Promise.all(ORDERS.map(async order => [order, await cursorOf(order)] as const)))
  const given = cursors.get('name') as string
  const encode = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
  const refused: [query: string, field: string][] = [
    ...['0', '1001', '9999999999', '-1', '1.5', '01', '+5', '1e2', 'abc', '', '%201', '%D9%A3'].map((limit): [string, string] => [`limit=${limit}`, 'limit']),
    ...['size', 'Name', 'names', '', 'name,newest', '__proto__', 'constructor'].map((order): [string, string] => [`order=${order}`, 'order']),
    ...ORDERS.slice(2).flatMap((order): [string, string][] => [[`order=${order}&prefix=a`, 'prefix'], [`order=${order}&prefix=`, 'prefix']]),
    [`prefix=${'x'.repeat(1025)}`, 'prefix'],
    ['colour=red', 'colour'],
    ['__proto__=1', '__proto__'],
    ['Limit=1', 'Limit'],
    ['limit=1&limit=2', 'limit'],
    ['limit=1&limit=1', 'limit'],
    ['order=name&order=name', 'order'],
    ['prefix=a&prefix=a', 'prefix'],
    [`cursor=${given}&cursor=${given}`, 'cursor'],
    ...[
      '', 'abc', '%00', 'null', 'x'.repeat(2049), `${given}=`, `${given}A`, given.slice(0, -2), ` ${given}`,
      ...['', 'null', '[]', '{}', '"name"', '["name","a",1', '["name", "a",1]', '["newest",1e999,1]', '["name","a",1e0]', '\uFEFF["name","a",1]'].map(encode),
      ...[['name', 'a'], ['name', 'a', 1, 2], ['name', 1, 1], ['name', null, 1], ['name', ['a'], 1], ['name', 'a', '1'], ['name', 'a', 1.5], ['name', 'a', 2 ** 53], ['name', 'a', null], ['size', 1, 1], ['__proto__', 1, 1], { 0: 'name', 1: 'a', 2: 1, length: 3 }].map(encode)
    ].map((cursor): [string, string] => [`cursor=${encodeURIComponent(cursor)}`, 'cursor']),
    ...ORDERS.flatMap((order, index) => ORDERS.filter(other => other !== order).filter((_, other) => isProof || other === index % 5).map((other): [string, string] => [`order=${order}&cursor=${cursors.get(other)}`, 'cursor'])),
    ...[['newest', '5', 1], ['newest', true, 1], ['newest', 5]].map((value): [string, string] => [`order=newest&cursor=${encode(value)}`, 'cursor'])
  ]
  for (const [query, field] of refused) {
    const { status, json } = await send('GET', `/api/files?${query}`)
    t.equal(status, 400, query.slice(0, 90))
    t.equal(json.code, 'validation_failed')
    t.equal(json.errors[0].field, field)
  }
  for (const limit of ['1', '9', '10', '999', '1000']) t.equal((await list({ limit })).status, 200, `limit ${limit}`)
  for (const order of ORDERS) t.equal((await list({ order, limit: '1', cursor: cursors.get(order) ?? '' })).status, 200, `${order} goes on`)
  t.equal((await list({ prefix: 'x'.repeat(255) })).status, 200)
  const longest = '\u1F82'.repeat(85)
  await put(longest)
  t.strictSame((await list({ prefix: longest.normalize('NFD') })).json.files.map(({ name }: { name: string }) => name), [longest], 'a prefix is as long as it is in NFC')
})

t.test('a prefix finds exactly the names that begin so, whatever their characters', async t => {
  const { put, names: namesOf } = await shareAccount()
  const names = [
    'a', 'ab', 'a b', 'a+b', 'a&b', 'a%b', 'a_b', 'a\u{10FFFF}', 'a\u{10FFFF}z', 'a\u{10FFFF}\u{10FFFF}', 'a\u{10FFFF}\u{10FFFF}z', 'b', 'A', '%41', '_', '*', 'e', 'école', 'é', 'f',
    '\uD7FF', '\uD7FFx', '\uE000', '\uE000x', '\uFFFF', '\u{10000}', '😀', '😀a', '😁', '\u{10FFFF}', '\u{10FFFF}x', '\u{10FFFF}\u{10FFFF}', 'ﬃ'
  ]
  for (const name of names) t.equal((await put(name)).status, 201)
  const prefixes = ['', ...names, 'e\u0301', 'e\u0301cole', 'a\u{10FFFF}\u{10FFFF}\u{10FFFF}', '\u{10FFFE}', '\uD7FE', 'ab?', 'zz', 'ffi', 'a*', '"']
  const sorted = [...names].sort(byCodePoint)
  for (const prefix of prefixes) {
    const expected = sorted.filter(name => name.startsWith(prefix.normalize('NFC')))
    t.strictSame(await namesOf({ prefix, limit: '1000' }), expected, JSON.stringify(prefix))
    t.strictSame(await namesOf({ prefix, order: '-name', limit: '3' }), expected.toReversed(), `${JSON.stringify(prefix)}, backwards and page by page`)
  }
})

t.test('a new name must follow the rules for names', async t => {
  const { put, rename, send, get } = await shareAccount()
  await put('a.txt', 'bytes')
  const bad: [name: unknown, code: string][] = [
    ...['.', '..', 'a//b', '/', 'a\\b', 'a\u0000b', 'a\nb', '\u007F', '\u0085', '\uD800', 'a\uDC00', 'x'.repeat(256), 'é'.repeat(128), '😀'.repeat(64)].map((name): [string, string] => [name, 'name_invalid']),
    ...['', 1, null, true, [], ['b.txt'], {}].map((name): [unknown, string] => [name, 'validation_failed'])
  ]
  for (const [name, code] of bad) {
    const answer = await rename('a.txt', name)
    t.equal(answer.status, 400, JSON.stringify(name)?.slice(0, 20))
    t.equal(answer.json.code, code)
    t.equal(answer.json.errors[0].field, 'name')
  }
  const bodies: [body: string, type: string, status: number, code: string][] = [
    ['{}', 'application/json', 400, 'validation_failed'],
    ['{"name":"b","extra":1}', 'application/json', 400, 'validation_failed'],
    ['null', 'application/json', 400, 'validation_failed'],
    ['{"name":"b"', 'application/json', 400, 'malformed_json'],
    ['', 'application/json', 400, 'validation_failed'],
    ['', 'application/x-www-form-urlencoded', 400, 'validation_failed'],
    ['{"name":"b","__proto__":{}}', 'application/json', 400, 'malformed_json']
  ]
  for (const [body, type, status, code] of bodies) {
    const answer = await send('PATCH', '/api/files/a.txt', { body, headers: { 'content-type': type } })
    t.equal(answer.status, status, body.slice(0, 30))
    t.equal(answer.json.code, code)
  }
  t.match(await get('a.txt'), { status: 200, text: 'bytes' })
  for (const name of ['😀'.repeat(63) + 'abc', ' ', '...', '%2F', '"', '-name', '__proto__', 'constructor', 'a.txt']) {
    const current = (await send('GET', '/api/files')).json.files[0].name
    t.match(await rename(current, name), { status: 200, json: { name } }, name.slice(-9))
    t.match(await get(name), { status: 200, text: 'bytes' })
  }
})

t.test('a rename keeps to ALLOWED_EXTENSIONS', async t => {
  const { put, rename, get } = await shareAccount(PUBLIC)
  await put('a.txt', 'bytes')
  for (const name of ['a.exe', 'a', '.txt', 'a.txt.exe', 'a.txt ', 'txt', 'a.', 'a.pdf\u200B']) {
    const answer = await rename('a.txt', name)
    t.equal(answer.status, 415, JSON.stringify(name))
    t.match(answer.json, { code: 'extension_not_allowed', extensions: ['txt', 'pdf'] })
  }
  t.match(await get('a.txt'), { status: 200, text: 'bytes' })
  t.equal((await rename('a.txt', 'a.exe.Pdf')).status, 200)
  t.equal((await rename('a.exe.Pdf', 'a.TXT')).status, 200)
})

t.test('a file is deleted, and only the version that If-Match names', async t => {
  const { put, remove, get, metadata, list } = await shareAccount()
  const tag = (await put('a', 'bytes')).headers.etag as string
  const past = 'Sun, 06 Nov 1994 08:49:37 GMT'
  const refused: Record<string, string>[] = [{ 'if-match': '"other"' }, { 'if-match': `W/${tag}` }, { 'if-none-match': '*' }, { 'if-none-match': tag }, { 'if-unmodified-since': past }]
  for (const headers of refused) {
    t.match(await remove('a', {}, headers), { status: 412, json: { code: 'precondition_failed' } }, JSON.stringify(headers))
    t.match(await get('a'), { status: 200, text: 'bytes' })
  }
  for (const headers of [{}, { 'if-match': tag }, { 'if-modified-since': new Date().toUTCString() }, { 'content-type': 'application/json' }] as Record<string, string>[]) {
    await put('a', 'bytes')
    t.match(await remove('a', {}, headers), { status: 204, text: '', headers: { 'content-type': undefined } }, JSON.stringify(headers))
    for (const answer of [await get('a'), await metadata('a'), await remove('a', {}, headers)]) t.equal(answer.status, 404)
  }
  await put('e\u0301', 'bytes')
  t.equal((await remove('é')).status, 204, 'in any spelling of the name')
  t.strictSame((await list()).json, { files: [], next: null })
})

t.test("another user's files are not there: by name, in the listing, for any operation", async t => {
  const { put, server, list: listOfAnna } = await shareAccount()
  const tag = (await put('diary.txt', 'anna was here')).headers.etag as string
  const ben = accountOf(server, (await signUp(server)).token)
  const requests: [method: string, path: (name: string) => string, options?: SendOptions][] = [
    ['GET', metadataPath],
    ['HEAD', metadataPath],
    ['PATCH', metadataPath, { json: { name: 'mine.txt' } }],
    ['PATCH', metadataPath, { json: { name: '..' } }],
    ...([{}, { range: 'bytes=0-1' }, { range: 'bytes=99-' }, { 'if-match': tag }, { 'if-match': '"other"' }, { 'if-none-match': tag }, { 'if-none-match': '*' }] as Record<string, string>[])
      .flatMap(headers => ['GET', 'HEAD', 'DELETE'].map((method): [string, typeof bytesPath, SendOptions] => [method, bytesPath, { headers }]))
  ]
  for (const [method, path, options] of requests) {
    const theirs = await ben.send(method, path('diary.txt'), options)
    t.equal(theirs.status, 404, `${method} ${path('diary.txt')}`)
    t.strictSame(comparable(theirs), comparable(await ben.send(method, path('dairy.txt'), options)), 'byte for byte a file that does not exist')
  }
  t.equal((await ben.send('PUT', bytesPath('diary.txt'), { headers: { 'if-match': '*' }, body: 'x' })).status, 412)
  for (const order of ORDERS) t.equal((await ben.list({ order })).text, '{"files":[],"next":null}')
  t.equal((await ben.list({ prefix: 'diary' })).text, '{"files":[],"next":null}')

  // A cursor works only for the user it was issued to, and not after a change.
  await put('diary-2.txt')
  const { next } = (await listOfAnna({ limit: '1' })).json
  t.match(await ben.list({ cursor: next }), { status: 400, json: { code: 'validation_failed' } })
  const altered = Buffer.from(next, 'base64url')
  altered[altered.length - 1] = (altered.at(-1) ?? 0) ^ 1
  t.match(await listOfAnna({ cursor: altered.toString('base64url') }), { status: 400 })
})

t.test('the date of a file from before the clock was set back is never in the future, and refuses nobody who sends it back', async t => {
  const { put, send, get, metadata, remove, id, dataDir } = await shareAccount()
  const setBack = (name: string) =>
    runSql(dataDir, `UPDATE files SET updated_at = ${Date.now() + DAY} WHERE name = '${name}' AND owner_id = ${id}`)
  const isPast = (date: string | undefined) => Date.parse(String(date)) <= Date.now()
  for (const name of ['a', 'b', 'c']) {
    await put(name)
    await setBack(name)
  }
  for (const [name, operation] of Object.entries({
    a: (headers: Record<string, string>) => send('PUT', bytesPath('a'), { body: 'new bytes', headers }),
    b: (headers: Record<string, string>) => remove('b', {}, headers),
    c: (headers: Record<string, string>) => send('GET', bytesPath('c'), { headers })
  })) {
    const date = String((await get(name)).headers['last-modified'])
    t.ok(isPast(date), `${name}: ${date}`)
    t.ok(isPast((await metadata(name)).json.updatedAt), 'the same date when asked again')
    const { status } = await operation({ 'if-unmodified-since': date })
    t.ok(status < 300, `${name}: ${status}`)
  }

  // Read-only requests do not wait for the database to update a date.
  await setBack('c')
  await refuseUpdates(dataDir, 'files')
  const { status, headers } = await get('c')
  t.equal(status, 200)
  t.ok(isPast(headers['last-modified']))

  // Nor is the failure told as a name that is taken.
  const answer = await send('PATCH', metadataPath('a'), { json: { name: 'b' }, isBroken: true })
  t.equal(answer.status, 500)
  t.equal(answer.json.code, 'internal_error')
  t.notMatch(answer.text, 'SQL')
  await allowUpdates(dataDir, 'files')
  t.match(await get('a'), { status: 200, text: 'new bytes' })
  t.equal((await send('PATCH', metadataPath('a'), { json: { name: 'b' } })).status, 200)
})
