import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import t from 'tap'
import { zip, ZipLength, type ZipEntry } from '#src/files/zip.ts'
import { accountOf, shareAccount } from './kit/kept-account.ts'
import { createLink } from './kit/links.ts'
import { openHttp2 } from './kit/drive.ts'
import { refused } from './kit/refusals.ts'
import { sharedServer, signUp, startTls, type Answer, type Client } from './kit/server.ts'
import { MIB } from './kit/sizes.ts'
import { blobFiles, copiedColumns, isInFolder, openHandles, runSql, skipWithoutFolder, storedBlobs } from './kit/stores.ts'
import { eventually, until } from './kit/waiting.ts'
import { readZip } from './kit/zips.ts'

function zipsOf (client: Client, token: string) {
  const account = accountOf(client, token)
  const { send } = account
  return {
    ...account,
    zipFolder: (folder?: string) => send('GET', folder === undefined ? '/api/zip' : `/api/zip?${new URLSearchParams({ folder })}`),
    zipNames: (...names: unknown[]) => send('POST', '/api/zip', { json: { names } })
  }
}

async function openAccount () {
  const account = await shareAccount({ LINKS: 'on' })
  return { ...account, ...zipsOf(account.server, account.token) }
}

function zipLength (entries: readonly ZipEntry[]): number {
  const length = new ZipLength()
  for (const entry of entries) length.add(entry)
  return length.bytes
}

/** How many requests of another account are answered, one after the other, until something is over. */
async function answeredUntil (over: Promise<unknown>, client: Client): Promise<number> {
  const { token } = await signUp(client)
  let isOver = false
  const watched = over.finally(() => { isOver = true })
  for (let answered = 0; ; answered++) {
    await client.send('GET', '/api/resource', { token })
    if (isOver) return watched.then(() => answered)
  }
}

/** The paths in a zip, and the texts of the files. */
function contentsOf (answer: Answer): Record<string, string> {
  return Object.fromEntries(readZip(answer.bytes).map(({ path, bytes }) => [path, bytes.toString()]))
}

/** A zip whose head has arrived and whose body is not read yet. */
async function beginZip (port: number, token: string, folder = '', from = '192.0.2.1'): Promise<IncomingMessage> {
  const headers = { authorization: `Bearer ${token}`, 'x-forwarded-for': from }
  const request = httpRequest({ host: '127.0.0.1', port, path: `/api/zip?folder=${folder}`, headers, agent: false }).end()
  request.on('error', () => {})
  const [response] = await once(request, 'response') as [IncomingMessage]
  return response
}

t.test('a zip of a folder has all that is in it, with paths from the folder', async t => {
  const { put, make, zipFolder, send } = await openAccount()
  const modified = '2001-02-03T04:05:06.789Z'
  await put('reports/2026/q1.txt', 'first', { 'x-file-modified': modified })
  await put('reports/a.txt', 'a')
  await put('reports/empty', '')
  await make('reports/nothing/in/here')
  await put('b.txt', 'b')
  const answer = await zipFolder('reports')
  t.match(answer, {
    status: 200,
    headers: {
      'content-type': 'application/zip',
      'content-length': String(answer.bytes.length),
      'content-disposition': 'attachment; filename=reports.zip; filename*=UTF-8\'\'reports.zip',
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; sandbox"
    }
  })
  const inReports = { 'a.txt': 'a', empty: '', '2026/': '', '2026/q1.txt': 'first', 'nothing/': '', 'nothing/in/': '', 'nothing/in/here/': '' }
  t.strictSame(contentsOf(answer), inReports)
  t.match(readZip(answer.bytes).find(({ path }) => path === '2026/q1.txt'), { dosTime: '2001-02-03 04:05:06', time: Date.parse(modified) / 1000 | 0, mode: '100644', version: 20 })
  t.match(readZip(answer.bytes).find(({ path }) => path === '2026/'), { mode: '40755' })
  t.strictSame(contentsOf(await zipFolder('reports/2026')), { 'q1.txt': 'first' })
  const all = { 'b.txt': 'b', 'reports/': '', ...Object.fromEntries(Object.entries(inReports).map(([path, text]) => [`reports/${path}`, text])) }
  for (const root of [undefined, '', '/']) {
    const zip = await zipFolder(root)
    t.strictSame(contentsOf(zip), all, String(root))
    t.match(zip.headers['content-disposition'], 'filename=files.zip;')
  }
  const head = await send('HEAD', '/api/zip?folder=reports')
  t.match(head, { status: 200, bytes: Buffer.alloc(0), headers: { 'content-length': String(answer.bytes.length), 'content-type': 'application/zip' } })
})

t.test('an empty folder and an empty account are an empty zip', async t => {
  const { make, zipFolder, zipNames } = await openAccount()
  t.strictSame(contentsOf(await zipFolder()), {})
  await make('e\u0301')
  const answer = await zipFolder('é')
  t.strictSame(contentsOf(answer), {})
  t.equal(answer.bytes.length, 22)
  t.match(answer.headers['content-disposition'], "filename*=UTF-8''%C3%A9.zip")
  t.strictSame(contentsOf(await zipNames('é')), { 'é/': '' })
})

t.test('a zip of names has paths from the deepest folder of all of them', async t => {
  const { put, zipNames } = await openAccount()
  const names = ['x', 'a/x', 'a/b/x', 'a/b/y', 'a/bb', 'a/c/d/x', 'a/c/d/y', 'a/c/e/x']
  for (const name of names) await put(name, name)
  const table: [names: string[], paths: string[], file: string][] = [
    [['x'], ['x'], 'files.zip'],
    [['a/b/x'], ['x'], 'b.zip'],
    [['a/b/x', 'a/b/x'], ['x'], 'b.zip'],
    [['a/b/x', 'a/bb'], ['b/x', 'bb'], 'a.zip'],
    [['a/b/x', 'a/b/y', 'a/x'], ['b/x', 'b/y', 'x'], 'a.zip'],
    [['a/b'], ['b/', 'b/x', 'b/y'], 'a.zip'],
    [['a/b', 'a/b/x', 'a/b', 'a/b/y'], ['b/', 'b/x', 'b/y'], 'a.zip'],
    [['a/c/d/x', 'a/c/e', 'a/c/d/y'], ['d/x', 'd/y', 'e/', 'e/x'], 'c.zip'],
    [['a/c/d/x', 'a/b/x'], ['c/d/x', 'b/x'], 'a.zip'],
    [['a/c/d/x', 'x'], ['a/c/d/x', 'x'], 'files.zip'],
    [['a', 'x', 'a/c/d/x'], ['a/', ...names.slice(1).map(name => name), 'a/b/', 'a/c/', 'a/c/d/', 'a/c/e/', 'x'], 'files.zip']
  ]
  for (const [asked, paths, file] of table) {
    const answer = await zipNames(...asked)
    t.equal(answer.status, 200)
    const contents = contentsOf(answer)
    t.strictSame(Object.keys(contents).sort(), paths.toSorted(), asked.join(' '))
    for (const [path, text] of Object.entries(contents)) t.ok(path.endsWith('/') ? text === '' : text.endsWith(path), `${path}: ${text}`)
    t.match(answer.headers['content-disposition'], `filename=${file};`)
  }
})

t.test('names are such that Windows and macOS unzip each to a file of its own', async t => {
  const { put, make, zipFolder, zipNames } = await openAccount()
  // In the order of a listing, in which the first of equal names keeps its own.
  const table: [name: string, safe: string][] = [
    ['A.txt', 'A.txt'], ['a (2).txt', 'a (2).txt'], ['a.txt', 'a (3).txt'], ['B (2)', 'B (2)'], ['b (2)', 'b (2) (2)'],
    ['STRASSE', 'STRASSE'], ['straße', 'straße (2)'], ['ΣΑΣ', 'ΣΑΣ'], ['Σας', 'Σας (2)'], ['Σασ', 'Σασ (3)'],
    ['a:b', 'a_b'], ['a?b', 'a_b (2)'], ['a_b', 'a_b (3)'], ['<>"|*', '_____'],
    ['con', '_con'], ['NUL.tar.gz', '_NUL.tar.gz'], ['com¹', '_com¹'], ['COM9 .txt', '_COM9 .txt'], ['console', 'console'], ['CONIN$', '_CONIN$'],
    ['dot.', 'dot_'], ['dots.. .', 'dots____'], [' space', ' space'], ['..a', '..a'],
    [`con.${'x'.repeat(251)}`, `_con.${'x'.repeat(250)}`],
    [`aux.${'x'.repeat(249)}. `, `_aux.${'x'.repeat(249)}_`],
    ['É'.repeat(127), 'É'.repeat(127)], ['é'.repeat(127), `${'é'.repeat(125)} (2)`]
  ]
  for (const [name] of table) await put(`in/${name}`, name)
  for (const name of ['A.TXT', 'prn', 'PRN.']) {
    await make(`in/${name}`)
    await put(`in/${name}/x`, name)
  }
  const files = Object.fromEntries(readZip((await zipFolder('in')).bytes).map(({ path, bytes }) => [bytes.toString(), path]))
  for (const [name, path] of table) t.equal(files[name], path, name)
  t.strictSame([files['A.TXT'], files.prn, files['PRN.']], ['A (4).TXT/x', '_prn/x', '_PRN_/x'], 'folders come after files')
  const named = await zipNames('in/a.txt', 'in/prn/x', 'in/prn', 'in/A.TXT/x')
  t.strictSame(Object.keys(contentsOf(named)), ['A.TXT/x', 'a (2).txt', '_prn/', '_prn/x'])
  const spellings = Array.from({ length: 12 }, (_, index) => Array.from('many', (letter, bit) => index >> bit & 1 ? letter.toUpperCase() : letter).join(''))
  for (const name of spellings) await put(`many/${name}`, name)
  const paths = readZip((await zipFolder('many')).bytes).map(({ path }) => path.replace(/^many/i, ''))
  t.strictSame(paths, ['', ...Array.from({ length: 11 }, (_, index) => ` (${index + 2})`)], 'many names that become one')
})

t.test('names that nothing has, that are not mine, or that are no names are refused', async t => {
  const { put, zipFolder, zipNames, send, server } = await openAccount()
  await put('dir/a', 'a')
  const ben = zipsOf(server, (await signUp(server)).token)
  for (const name of ['dir', 'dir/a']) {
    refused(t, await ben.zipNames(name), 404, 'not_found', `${name} of another account`)
  }
  refused(t, await ben.zipFolder('dir'), 404, 'not_found', 'the folder of another account')
  t.strictSame(contentsOf(await ben.zipFolder()), {}, 'nor is it in the root of another account')
  for (const name of ['nothing', 'dir/nothing', '', '/', 'dir/', '/dir', '..', 'dir/../dir', 'a\\b', 'a\0', 'x'.repeat(5000)]) {
    refused(t, await zipNames('dir', name), 404, 'not_found', JSON.stringify(name.slice(0, 9)))
  }
  for (const folder of ['nothing', 'dir/a', 'dir/', '..', 'x'.repeat(5000)]) refused(t, await zipFolder(folder), 404, 'not_found', folder.slice(0, 9))
  for (const names of [[], [1], [null], Array.from({ length: 10_001 }, () => 'dir')]) refused(t, await zipNames(...names), 400, 'validation_failed', `${names.length} names`)
  for (const json of [{}, { names: 'dir' }, { names: ['dir'], folder: '' }]) refused(t, await send('POST', '/api/zip', { json }), 400, 'validation_failed', JSON.stringify(json))
  for (const query of ['folder=dir&folder=dir', 'name=dir', 'recursive=true']) refused(t, await send('GET', `/api/zip?${query}`), 400, 'validation_failed', query)
  refused(t, await send('POST', '/api/zip?folder=dir', { json: { names: ['dir'] } }), 400, 'validation_failed', 'a folder beside names')
  refused(t, await send('POST', '/api/zip', { body: '{', headers: { 'content-type': 'application/json' } }), 400, 'malformed_json', 'no JSON')
  refused(t, await send('POST', '/api/zip', { body: 'names', headers: { 'content-type': 'text/plain' } }), 415, 'unsupported_media_type', 'text')
  t.strictSame(contentsOf(await zipNames(...Array.from({ length: 10_000 }, () => 'dir/a'))), { a: 'a' }, '10,000 names')
})

t.test('a token needs the scope to read, and an account needs to be signed in', async t => {
  const { put, server, user } = await openAccount()
  await put('a', 'a')
  const tokenOf = async (...scopes: string[]): Promise<string> => (await server.send('POST', '/api/tokens', { user, json: { name: 'one', scopes } })).json.token
  const [reads, writes] = [zipsOf(server, await tokenOf('files:read')), zipsOf(server, await tokenOf('files:write'))]
  for (const zip of [await reads.zipFolder(), await reads.zipNames('a')]) t.strictSame(contentsOf(zip), { a: 'a' })
  for (const zip of [await writes.zipFolder(), await writes.zipNames('a')]) refused(t, zip, 403, 'insufficient_scope', 'files:write')
  for (const method of ['GET', 'POST']) refused(t, await server.send(method, '/api/zip'), 401, 'credentials_missing', method)
})

t.test('a body has room for 10,000 names of 400 bytes, and for no more than 4 MiB', async t => {
  const { send } = await openAccount()
  refused(t, await send('POST', '/api/zip', { json: { names: Array.from({ length: 10_000 }, () => `${'x'.repeat(200)}/${'y'.repeat(199)}`) } }), 404, 'not_found', '10,000')
  refused(t, await send('POST', '/api/zip', { json: { names: ['x'.repeat(4 * MIB)] } }), 413, 'body_too_large', 'longer')
})

t.test('a zip has at most 100,000 files and folders', async t => {
  const { put, make, send, zipNames, server, token, dataDir, id } = await openAccount()
  await put('in/1', 'x')
  await make('in/folder')
  const link = await createLink(server, { token }, { name: 'in', kind: 'download' })
  const columns = await copiedColumns(dataDir)
  await runSql(dataDir, `WITH RECURSIVE n (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < 100000)
    INSERT INTO files (name, blob_id, ${columns}) SELECT CAST(n AS text), 'many' || n, ${columns} FROM n, files WHERE owner_id = ${id}`)
  refused(t, await send('GET', '/api/zip?folder=in'), 413, 'zip_too_large', 'one more')
  refused(t, await server.send('GET', `${link.path}/zip`), 413, 'zip_too_large', 'by a link')
  refused(t, await zipNames('in'), 413, 'zip_too_large', 'two more')
  await runSql(dataDir, `DELETE FROM files WHERE name = '2' AND owner_id = ${id}`)
  t.match(await send('HEAD', '/api/zip?folder=in'), { status: 200, headers: { 'content-length': /^\d+$/ } })
})

t.test('others are answered while the content of many folders is listed, which ends when the client leaves', async t => {
  const { make, send, server, token, dataDir, id } = await openAccount()
  await make('0')
  await runSql(dataDir, `WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20000)
    INSERT INTO folders (owner_id, parent_id, name, path, created_at) SELECT owner_id, 0, CAST(n AS text), CAST(n AS text), created_at FROM n, folders WHERE owner_id = ${id}`)
  const listing = send('HEAD', '/api/zip')
  const whole = await answeredUntil(listing, server)
  t.match(await listing, { status: 200, headers: { 'content-length': '2097908' } })
  t.ok(whole > 10, `${whole} are answered`)
  const left = Array.from({ length: 2 }, () => httpRequest({ host: '127.0.0.1', port: server.port, path: '/api/zip', headers: { authorization: `Bearer ${token}` }, agent: false }).on('error', () => {}).end())
  t.ok(await eventually(async () => (await send('HEAD', '/api/zip?folder=0')).status === 429))
  for (const request of left) request.destroy()
  const rest = await answeredUntil(eventually(async () => (await send('HEAD', '/api/zip?folder=0')).status === 200), server)
  t.ok(rest < whole / 2, `${rest} until the places of those who left are free`)
})

t.test('a file that is deleted for good in the middle cuts the connection', async t => {
  const { put, remove, server, token, dataDir } = await openAccount()
  await put('in/a', randomBytes(16 * MIB))
  const large = (await storedBlobs(dataDir)).sort()
  await put('in/b', 'deleted')
  const response = await beginZip(server.port, token, 'in')
  t.equal((await remove('in/b', { permanent: 'true' })).status, 204)
  await until(async () => (await storedBlobs(dataDir)).sort().join() === large.join())
  let received = 0
  await t.rejects((async () => { for await (const chunk of response) received += chunk.length })(), { code: 'ECONNRESET' })
  t.ok(received < Number(response.headers['content-length']))
  if (isInFolder) t.ok(await eventually(() => openHandles(dataDir).length === 0))
})

t.test('what is replaced, moved or deleted to the trash in the middle is in the zip as it was', async t => {
  const { put, remove, rename, server, token } = await openAccount()
  const bytes = randomBytes(16 * MIB)
  await put('a', bytes)
  for (const name of ['b', 'c', 'd']) await put(name, name)
  const response = await beginZip(server.port, token)
  for (const answer of [await put('b', 'new'), await remove('c'), await rename('d', 'in/d')]) t.ok(answer.status < 300)
  const [large, ...others] = readZip(Buffer.concat(await response.toArray()))
  t.ok(large?.bytes.equals(bytes))
  t.strictSame(others.map(({ path, bytes }) => [path, bytes.toString()]), [['b', 'b'], ['c', 'c'], ['d', 'd']])
})

t.test('damage of the first file is an error before the head', { skip: skipWithoutFolder }, async t => {
  const { put, zipFolder, zipNames, dataDir, id } = await openAccount()
  await put('a', 'the bytes')
  const [row] = await runSql(dataDir, `SELECT blob_id AS blob FROM files WHERE owner_id = ${id}`)
  await rm((await blobFiles(dataDir)).find(path => path.endsWith(String(row?.blob))) ?? '')
  for (const answer of [await zipFolder(), await zipNames('a')]) {
    refused(t, answer, 500, 'file_damaged', 'the file is gone')
    t.notOk(answer.headers['content-disposition'])
  }
})

t.test('a client that goes away leaves no file open, and its zip no longer counts', { skip: skipWithoutFolder }, async t => {
  const { put, zipFolder, zipNames, server, token, dataDir } = await openAccount()
  await put('a', randomBytes(16 * MIB))
  await put('in/b', 'b')
  const ben = zipsOf(server, (await signUp(server)).token)
  const responses = [await beginZip(server.port, token), await beginZip(server.port, token)]
  t.ok(await eventually(() => openHandles(dataDir).length === 2), 'two are under way')
  for (const answer of [await zipFolder('in'), await zipNames('in')]) {
    refused(t, answer, 429, 'too_many_transfers', 'a third one')
    t.match(answer.headers, { 'retry-after': '5' })
  }
  t.equal((await ben.zipFolder()).status, 200, 'another account')
  for (const response of responses) response.destroy()
  t.ok(await eventually(() => openHandles(dataDir).length === 0), 'none is open')
  t.ok(await eventually(async () => (await zipFolder('in')).status === 200))
})

t.test('16 zips at once are the most of all accounts, and a network has 4 of them', async t => {
  const server = await sharedServer({ TRUST_PROXY: '127.0.0.1' })
  const tokens = await Promise.all(Array.from({ length: 9 }, async () => (await signUp(server)).token))
  for (const token of tokens) await server.send('PUT', '/uploads/a', { token, body: Buffer.alloc(16 * MIB) })
  const [last = '', ...others] = tokens
  const networks = ['192.0.2.1', '2001:db8::1', '2001:db8:0:1ff::1', '192.0.2.2']
  const responses = await Promise.all([...others, ...others].map((token, index) => beginZip(server.port, token, '', networks[index % 4])))
  t.strictSame(responses.map(({ statusCode }) => statusCode), Array(16).fill(200))
  const ask = (from: string) => server.send('GET', '/api/zip', { token: last, headers: { 'x-forwarded-for': from } })
  refused(t, await ask('192.0.2.3'), 429, 'too_many_transfers', 'the seventeenth')
  responses[0]?.destroy()
  t.ok(await eventually(async () => (await ask('192.0.2.3')).status === 200))
  responses[0] = await beginZip(server.port, last, '', '192.0.2.1')
  responses[1]?.destroy()
  t.ok(await eventually(async () => (await ask('2001:db8:0:ff::1')).status === 200), 'another /64')
  refused(t, await ask('2001:db8:0:100::1'), 429, 'too_many_transfers', 'another /64 of the /56 that has four')
  for (const response of responses) response.destroy()
})

t.test('what is listed for a client that is gone is not listed to the end', async t => {
  const { store } = await startTls(t)
  const { zips } = store
  const owner = await store.accounts.register({ username: 'ann', password: 'correct horse battery' }, '127.0.0.1')
  await store.folders.create(owner, 'a')
  const gone = { ownerId: owner.id, signal: AbortSignal.abort(new Error('gone')) }
  const root = { id: 0, path: '' }
  await t.rejects(zips.ofFolder(gone, root), { message: 'gone' })
  await t.rejects(zips.ofNames(gone, ['a']), { message: 'gone' })
  t.equal((await zips.ofFolder({ ...gone, signal: new AbortController().signal }, root)).name, 'files.zip')
})

t.test('over HTTP/2 it is the same zip, and a reset of its stream closes its files', { skip: skipWithoutFolder }, async t => {
  const tls = await startTls(t, { RATE_LIMIT_PER_MINUTE: '0' })
  const { begin, ask, auth } = await openHttp2(t, tls)
  await ask('PUT', '/uploads/a', auth, 'a')
  const large = randomBytes(16 * MIB)
  await ask('PUT', '/uploads/in/b', auth, large)
  for (const { headers, bytes } of [await ask('GET', '/api/zip', auth), await ask('POST', '/api/zip', { ...auth, 'content-type': 'application/json' }, '{"names":["a","in"]}')]) {
    t.match(headers, { ':status': 200, 'content-length': String(bytes.length) })
    t.same(readZip(bytes).map(({ path, bytes }) => [path, bytes.length]), [['a', 1], ['in/', 0], ['in/b', large.length]])
  }
  const stream = begin('GET', '/api/zip?folder=in', auth)
  await once(stream, 'response')
  t.ok(await eventually(() => openHandles(tls.dataDir).length === 1))
  stream.close()
  t.ok(await eventually(() => openHandles(tls.dataDir).length === 0))
})

t.test('a file, an offset or a number of entries that needs zip64 has it, and no other', async t => {
  const GIANT = 2 ** 32 - 1
  const entry = (size: number, name = 'a') => ({ folder: '', name, size, modifiedAt: 0 })
  /** What is added to the length of a zip by zip64. */
  const extraOf = (...sizes: number[]) =>
    zipLength(sizes.map(size => entry(size))) - sizes.reduce((sum, size) => sum + size + 30 + 46 + 2 * (1 + 9) + 16, 22)
  t.equal(extraOf(GIANT - 70), 0, 'up to the directory')
  t.equal(extraOf(GIANT - 57), 0, 'the directory begins before the limit')
  t.equal(extraOf(GIANT - 56), 76, 'and at the limit')
  t.equal(extraOf(GIANT), 20 + 8 + 20 + 76, 'a size')
  t.equal(extraOf(GIANT - 1, 1), 12 + 76, 'an offset')
  t.equal(extraOf(...Array.from({ length: 65_534 }, () => 1)), 0, 'entries')
  t.equal(extraOf(...Array.from({ length: 65_535 }, () => 1)), 76, 'and one more')
})

t.test('the fields of zip64 are where APPNOTE has them', async t => {
  const entries = [{ folder: '', name: 'a', size: 2 ** 32, modifiedAt: 0 }, { folder: '', name: 'b', size: 1, modifiedAt: 0 }]
  // Fewer bytes than announced: only the headers are looked at.
  const bytes = Buffer.concat(await Readable.from(zip(entries, async () => Buffer.from('x'))).toArray())
  t.equal(bytes.length + 2 ** 32 - 1, zipLength(entries))
  const end = bytes.length - 22
  t.equal(bytes.readUInt32LE(end - 20), 0x07064b50, 'a locator')
  t.equal(bytes.readBigUInt64LE(end - 12), BigInt(end - 76 + 2 ** 32 - 1), 'of the end of zip64')
  t.equal(bytes.readUInt32LE(end - 76), 0x06064b50)
  t.equal(bytes.readUInt32LE(end + 16), 2 ** 32 - 1, 'the offset of the directory is there')
  t.same([bytes.readUInt16LE(end + 10), bytes.readBigUInt64LE(end - 76 + 32)], [2, 2n], 'entries')
  t.same([bytes.readUInt16LE(4), bytes.readUInt32LE(18), bytes.readUInt32LE(22)], [45, 2 ** 32 - 1, 2 ** 32 - 1], 'a local header')
  t.equal(bytes.toString('hex', 31, 60), `5554050001${'00'.repeat(4)}01001000${'00'.repeat(16)}`)
  t.equal(bytes.toString('hex', 60 + 1 + 8, 60 + 1 + 24), '0000000001000000'.repeat(2), 'a descriptor')
  const directory = Number(bytes.readBigUInt64LE(end - 76 + 48)) - 2 ** 32 + 1
  t.equal(bytes.readUInt32LE(directory), 0x02014b50)
  t.equal(bytes.toString('hex', directory + 56, directory + 76), `01001000${'0000000001000000'.repeat(2)}`, 'sizes')
  const second = directory + 76
  t.equal(bytes.toString('hex', second + 56, second + 68), '010008005400000001000000', 'an offset')
  t.equal(bytes.readUInt32LE(second + 42), 2 ** 32 - 1)
})

t.test('times before and after those of the format are the nearest that it has', async t => {
  const table: [milliseconds: number, dosTime: string, time: number][] = [
    [-8.64e15, '1980-01-01 00:00:00', -(2 ** 31)],
    [-1, '1980-01-01 00:00:00', -1],
    [Date.UTC(2026, 10, 29, 23, 59, 59, 999), '2026-11-29 23:59:58', Date.UTC(2026, 10, 29, 23, 59, 59) / 1000],
    [Date.UTC(2107, 11, 31, 23, 59, 59), '2107-12-31 23:59:58', 2 ** 31 - 1],
    [8.64e15, '2107-12-31 23:59:58', 2 ** 31 - 1]
  ]
  const entries = table.map(([modifiedAt], index) => ({ folder: '', name: String(index), size: 0, modifiedAt }))
  const bytes = Buffer.concat(await Readable.from(zip(entries, async () => Buffer.alloc(0))).toArray())
  t.equal(bytes.length, zipLength(entries))
  t.strictSame(readZip(bytes).map(({ dosTime, time }, index) => [table[index]?.[0], dosTime, time]), table)
})
