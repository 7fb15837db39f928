import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { openHttp2 } from './kit/drive.ts'
import { operationsOf } from './kit/guarded.ts'
import { accountOf, bytesPath, folderPath, metadataPath, setQuotas, shareAccount, type ListedFile } from './kit/kept-account.ts'
import { answerToHead, refused } from './kit/refusals.ts'
import { formOf, PASSWORD, signUp, startServer, startTls, type Answer, type Client, type SendOptions } from './kit/server.ts'
import { allowUpdates, refuseUpdates, runSql } from './kit/stores.ts'
import { TUS } from './kit/tus.ts'
import { eventually } from './kit/waiting.ts'

type Query = Record<string, string>

/** A path of `depth` segments. */
const deep = (depth: number) => Array.from({ length: depth }, (_, index) => `s${index}`).join('/')

t.test('a folder is made with its parents, and making it again changes nothing', async t => {
  const { make, getFolder, folders, usage, server, send } = await shareAccount()
  const made = await make('re ports/2026/e\u0301')
  t.match(made, { status: 201, headers: { 'cache-control': 'no-store' } })
  const [{ json: parent }, { json: root }] = [await getFolder('re ports/2026'), await getFolder('re ports')]
  t.strictSame([parent.parentId, root.parentId], [root.id, null])
  t.strictSame(made.json, { id: made.json.id, parentId: parent.id, name: 're ports/2026/é', createdAt: made.json.createdAt, starred: false, url: `${server.url}/api/folders/re%20ports%2F2026%2F%C3%A9` })
  t.strictSame((await send('GET', new URL(made.json.url).pathname)).json, made.json, 'the URL leads to it')
  t.strictSame((await make('re ports/2026/é')).json, made.json)
  t.equal((await make('re ports/2026/é')).status, 200)
  t.match(await getFolder('re ports'), { status: 200, json: { name: 're ports' } })
  t.strictSame(await folders(), ['re ports'])
  t.strictSame(await folders('re ports'), ['re ports/2026'])
  t.strictSame(await folders('re ports/2026'), ['re ports/2026/é'])
  t.strictSame(await folders('re ports/2026/é'), [])
  t.match(await usage(), { files: 0, folders: 3 })
  for (const name of ['nothing', 're ports/nothing', 'RE PORTS']) refused(t, await getFolder(name), 404, 'not_found', name)
  t.equal((await send('PUT', folderPath('b'), { body: '{', headers: { 'content-type': 'text/plain' } })).status, 201, 'a body is ignored')
})

t.test('folders are listed by name, page by page, and a cursor belongs to one folder', async t => {
  const { make, listFolders, folders, send, server } = await shareAccount()
  for (const name of ['b', 'a', 'é', 'c d', 'a/x', 'a/y']) await make(name)
  for (const root of [{}, { folder: '' }, { folder: '/' }]) t.strictSame((await listFolders(root)).json.folders.map(({ name }: { name: string }) => name), ['a', 'b', 'c d', 'é'])
  t.strictSame(await folders('', { limit: '1' }), ['a', 'b', 'c d', 'é'])
  const page = await listFolders({ limit: '1', folder: 'a' })
  const [, link = ''] = /^<([^>]+)>; rel="next"$/.exec(String(page.headers.link)) ?? []
  const next = await send('GET', link.slice(server.url.length))
  t.match(next.json, { folders: [{ name: 'a/y' }], next: null })
  t.notOk(next.headers.link)
  const { next: cursor } = page.json
  for (const query of [{ folder: 'b', cursor }, { cursor }, { folder: 'a', cursor: 'x' }, { limit: '0' }, { order: 'newest' }, { recursive: 'true' }]) {
    refused(t, await listFolders(query), 400, 'validation_failed', JSON.stringify(query))
  }
  for (const query of ['folder=a&folder=a', 'folder=a&folder=b']) refused(t, await send('GET', `/api/folders?${query}`), 400, 'validation_failed', query)
  for (const folder of ['nothing', 'a/', '/a', '..', 'a//x', 'a\\x', 'a\0', deep(32), 'x'.repeat(256)]) refused(t, await listFolders({ folder }), 404, 'not_found', JSON.stringify(folder.slice(0, 9)))
})

t.test('all folders are listed in the order of their creation, and one that is moved is neither skipped nor repeated', async t => {
  const { make, move, removeFolder, listFolders, folders, send, server } = await shareAccount()
  await (await shareAccount()).make('other')
  for (const name of ['c/a', 'b', 'a']) await make(name)
  const { headers, json: first } = await listFolders({ all: 'true', limit: '2' })
  t.match(first.folders, [{ name: 'c' }, { name: 'c/a', parentId: first.folders[0].id }])
  await move('c', 'a/z')
  await removeFolder('b')
  await make('0')
  const [, link = ''] = /^<([^>]+)>; rel="next"$/.exec(String(headers.link)) ?? []
  t.match((await send('GET', link.slice(server.url.length))).json, { folders: [{ name: 'a' }, { name: '0' }], next: null })
  t.strictSame(await folders('', { limit: '1' }), ['0', 'a'], 'without it, the root')
  t.strictSame((await listFolders({ all: 'false' })).json.folders.length, 2)
  for (const refusal of [{ all: 'true', folder: 'a' }, { all: 'true', folder: '' }, { all: '1' }, { cursor: first.next }, { folder: 'a', cursor: first.next }]) {
    refused(t, await listFolders(refusal), 400, 'validation_failed', JSON.stringify(refusal))
  }
  refused(t, await send('GET', '/api/files?all=true'), 400, 'validation_failed')
})

t.test('what is moved or deleted by its id is that file or folder, else nothing happens', async t => {
  const { put, make, send, names, folders } = await shareAccount()
  const [file, otherFile, folder, otherFolder, foreign] = (await Promise.all([
    put('f'), put('o/f'), make('d'), make('e'), shareAccount().then(other => other.put('f'))
  ])).map(({ json }) => json.id)
  const of = (name: string) => ({ file: metadataPath(name), bytes: bytesPath(name), folder: folderPath(name) })
  const acts: [kind: 'file' | 'folder', method: string, path: string, options?: SendOptions][] = [
    ['file', 'PATCH', of('f').file, { json: { name: 'f' } }],
    ['file', 'PATCH', of('f').file, { json: { name: 'g' } }],
    ['file', 'DELETE', of('g').bytes],
    ['folder', 'PATCH', of('d').folder, { json: { name: 'd' } }],
    ['folder', 'PATCH', of('d').folder, { json: { name: 'h' } }],
    ['folder', 'DELETE', of('h').folder],
    ['folder', 'DELETE', of('e').folder]
  ]
  for (const [kind, method, path, options] of acts) {
    const by = (query: string) => send(method, `${path}?${query}`, options)
    const right = { file, folder: path === of('e').folder ? otherFolder : folder }[kind]
    const recursive = method === 'DELETE' && kind === 'folder' ? ['', '&recursive=true'] : ['']
    for (const id of [otherFile, foreign, 'unknown', kind === 'file' ? folder : file]) {
      for (const how of recursive) refused(t, await by(`id=${id}${how}`), 412, 'precondition_failed', `${method} ${path} ${how}`)
    }
    for (const id of ['', 'a%20b', 'x'.repeat(65), `${right}&id=${right}`]) refused(t, await by(`id=${id}`), 400, 'validation_failed', id)
    const how = path === of('e').folder ? '&recursive=true' : ''
    t.equal((await by(`id=${right}${how}`)).status, method === 'DELETE' ? 204 : 200, `${method} ${path}`)
  }
  refused(t, await send('DELETE', `${of('g').bytes}?id=${file}`), 404, 'not_found', 'nothing has the name')
  refused(t, await send('GET', `${of('o/f').file}?id=${otherFile}`), 400, 'validation_failed', 'no parameter of it')
  t.strictSame([await names(), await folders()], [['o/f'], ['o']])
})

t.test('If-Match on a move, and on a folder, is honoured', async t => {
  const { put, make, send } = await shareAccount()
  const { headers: { etag } } = await put('f')
  await make('d')
  const rename = (ifMatch: string, name: string) => send('PATCH', metadataPath('f'), { json: { name }, headers: { 'if-match': ifMatch } })
  for (const name of ['f', 'g']) refused(t, await rename('"other"', name), 412, 'precondition_failed', name)
  for (const tag of ['*', String(etag)]) t.equal((await rename(tag, 'f')).status, 200)
  t.equal((await rename(String(etag), 'g')).status, 200)
  const change = (method: string, headers: Record<string, string>, name: string, options: SendOptions = {}) =>
    send(method, folderPath(name), { ...options, headers })
  for (const headers of [{ 'if-match': '"other"' }, { 'if-match': '""' }, { 'if-none-match': '*' }]) {
    for (const name of ['d', 'x']) refused(t, await change('PATCH', headers, 'd', { json: { name } }), 412, 'precondition_failed', name)
    refused(t, await change('DELETE', headers, 'd'), 412, 'precondition_failed')
    refused(t, await send('DELETE', `${folderPath('d')}?recursive=true`, { headers }), 412, 'precondition_failed')
  }
  const met = { 'if-match': '*', 'if-none-match': '"other"', 'if-unmodified-since': new Date(0).toUTCString() }
  t.equal((await change('PATCH', met, 'd', { json: { name: 'e' } })).status, 200)
  t.equal((await change('DELETE', met, 'e')).status, 204)
})

t.test('a listing by name has the root and then folder after folder; others have one folder', async t => {
  const { put, list, names, send } = await shareAccount()
  const all = ['b.txt', 'z/b.txt', 'a.txt', 'a/c.txt', 'a/b.txt', 'z/y/a.txt', 'z/a.txt']
  for (const [index, name] of all.entries()) await put(name, 'x'.repeat(index))
  const order = ['a.txt', 'b.txt', 'z/a.txt', 'z/b.txt', 'a/b.txt', 'a/c.txt', 'z/y/a.txt']
  t.strictSame(await names({ limit: '3' }), order)
  t.strictSame(await names({ limit: '1', folder: 'z', order: '-name' }), ['z/b.txt', 'z/a.txt'])
  t.strictSame(await names({ order: 'newest' }), ['a.txt', 'b.txt'], 'without a folder, the root')
  t.strictSame(await names({ order: 'oldest', folder: 'a' }), ['a/c.txt', 'a/b.txt'])
  for (const folder of ['', '/']) t.strictSame(await names({ folder }), ['a.txt', 'b.txt'])
  t.strictSame(await names({ prefix: 'a' }), ['a.txt'], 'a prefix is of the root too')
  t.strictSame(await names({ prefix: 'a', folder: 'z' }), ['z/a.txt'])
  t.strictSame(await names({ prefix: '', folder: 'a' }), ['a/b.txt', 'a/c.txt'])
  for (const prefix of ['x'.repeat(256), 'a\0']) t.strictSame(await names({ prefix }), [], 'a prefix that no name has')

  const cursor: string = (await list({ limit: '1' })).json.next
  const ofFolder: string = (await list({ limit: '1', folder: 'z' })).json.next
  const wrong: Query[] = [
    { cursor, folder: '' }, { cursor, folder: 'z' }, { cursor, order: '-name' }, { cursor, prefix: 'a' },
    { cursor: ofFolder }, { cursor: ofFolder, folder: 'a' }, { cursor: ofFolder, folder: 'z', prefix: 'a' }
  ]
  for (const query of wrong) refused(t, await list(query), 400, 'validation_failed', JSON.stringify(query))
  for (const prefix of ['a/', 'a/b', '/']) {
    const answer = await list({ prefix })
    refused(t, answer, 400, 'validation_failed', prefix)
    t.match(answer.json.errors, [{ field: 'prefix', message: /folder/ }])
  }
  refused(t, await send('GET', '/api/files?folder=a&folder=z'), 400, 'validation_failed', 'two folders')
  for (const folder of ['nothing', 'a.txt', 'a/', '/a', '..', 'a//b', 'a\\b', 'a\0', deep(32)]) {
    for (const order of ['name', 'newest']) refused(t, await list({ folder, order }), 404, 'not_found', JSON.stringify(folder))
  }
})

t.test('a file and a folder never have one name, nor is a file a folder', async t => {
  const { put, make, move, rename, send, names, server, token, list, getFolder } = await shareAccount()
  await put('file', 'bytes')
  await make('folder/inner')
  await put('folder/file', 'bytes')
  const before = (await list()).text
  const head = { authorization: `Bearer ${token}`, 'content-length': '5' }
  const draft = { 'upload-complete': '?1' }
  for (const [name, obstacle] of [['folder', 'folder'], ['folder/inner', 'folder/inner'], ['file/a', 'file'], ['file/a/b', 'file'], ['folder/file/a', 'folder/file']] as const) {
    t.same(await answerToHead(server, 'PUT', bytesPath(name), head), [409, 'name_taken'], `PUT ${name}, before the body`)
    const tus = { ...TUS, 'upload-length': '5', 'upload-metadata': `filename ${btoa(name)}` }
    const answers = [
      await put(name, 'bytes'),
      await put(name, 'bytes', { 'if-match': '*' }),
      await rename('file', name),
      await send('POST', '/api/uploads', { headers: tus }),
      await send('POST', '/api/uploads', { headers: { ...draft, 'content-disposition': `inline; filename="${name}"` }, body: 'bytes' })
    ]
    for (const answer of answers) refused(t, answer, 409, 'name_taken', name)
    t.match(answers[0]?.json.detail, obstacle, 'it names what is in the way')
  }
  for (const name of ['file', 'folder/file', 'file/a', 'folder/file/a/b']) refused(t, await make(name), 409, 'name_taken', `make ${name}`)
  for (const name of ['file', 'file/a', 'folder/file']) refused(t, await move('folder/inner', name), 409, 'name_taken', `move to ${name}`)
  refused(t, await move('folder/inner', 'folder'), 409, 'name_taken', 'move onto its parent')
  for (const [folder, name] of [['', 'folder'], ['folder', 'inner'], ['file', 'a']]) refused(t, await send('POST', `/?folder=${folder}`, formOf(String(name), 'bytes')), 409, 'name_taken', `POST ${folder} ${name}`)
  for (const path of [folderPath('file'), metadataPath('folder'), metadataPath('file/a')]) refused(t, await send('GET', path), 404, 'not_found', path)
  t.equal((await list()).text, before, 'nothing has changed')
  t.strictSame(await names(), ['file', 'folder/file'])
  t.equal((await getFolder('folder/inner')).status, 200)
})

t.test('a name that nothing can have is 400 where it is written, and 404 where it is looked up', async t => {
  const { put, make, move, rename, send, names, folders, usage, removeFolder, metadata, getFolder } =
    await shareAccount()
  await put('file', 'bytes')
  await make('folder')
  const tooDeep = `${deep(32)}/f`
  const bad = ['..', '.', '/', '//', 'a//b', '/a', 'a/', 'a/..', '../a', 'a/../b', 'a/./b', './a', 'a/.', 'a\\b', 'a/b\\c', 'a\0', 'a/\0', 'a/b\n', `${'x'.repeat(256)}/a`, `a/${'x'.repeat(256)}`, tooDeep]
  for (const name of bad) {
    const message = JSON.stringify(name.slice(0, 12))
    for (const answer of [await put(name, 'bytes'), await make(name), await rename('file', name), await move('folder', name)]) refused(t, answer, 400, 'name_invalid', message)
    refused(t, await send('POST', '/api/uploads', { headers: { ...TUS, 'upload-length': '5', 'upload-metadata': `filename ${btoa(name)}` } }), 400, 'name_invalid', `tus ${message}`)
    for (const answer of [await send('GET', bytesPath(name)), await send('DELETE', bytesPath(name)), await metadata(name), await getFolder(name), await move(name, 'x'), await removeFolder(name), await removeFolder(name, { recursive: 'true' })]) refused(t, answer, 404, 'not_found', message)
    if (!/^\/?$/.test(name)) refused(t, await send('POST', `/?${new URLSearchParams({ folder: name })}`, formOf('a', 'bytes')), 400, 'name_invalid', `POST ${message}`)
  }
  refused(t, await send('POST', '/?folder=a&folder=b', formOf('a', 'bytes')), 400, 'validation_failed', 'two folders')
  for (const name of ['..', '.', '']) refused(t, await send('POST', '/?folder=a', formOf(name, 'bytes')), 400, 'name_invalid', `POST into a folder as ${name}`)
  t.strictSame([await names(), await folders()], [['file'], ['folder']])
  t.match(await usage(), { files: 1, folders: 1 })
})

t.test('a path has up to 32 segments and 1,024 bytes, and that of a folder 31 and 768', async t => {
  const { put, make, get, move, names, rename } = await shareAccount()
  t.equal((await put(deep(32), 'deep')).status, 201)
  t.equal((await get(deep(32))).text, 'deep')
  refused(t, await put(`${deep(32)}/f`, 'x'), 400, 'name_invalid', '33 levels')
  refused(t, await make(deep(32)), 400, 'name_invalid', 'a folder of 32 levels')
  t.equal((await make(deep(31))).status, 200)

  const folder = `${'x'.repeat(255)}/${'y'.repeat(255)}/${'z'.repeat(254)}/w`
  t.equal(Buffer.byteLength(folder), 768)
  const longest = `${folder}/${'é'.repeat(127)}f`
  t.equal(Buffer.byteLength(longest), 1024)
  const stored = await put(longest, 'long')
  t.match(stored, { status: 201, json: { name: longest } })
  t.equal((await get(longest)).text, 'long')
  t.ok((await names()).includes(longest))
  refused(t, await put(`${longest}f`, 'x'), 400, 'name_invalid', '1,025 bytes')
  refused(t, await put(`${folder}w/f`, 'x'), 400, 'name_invalid', 'a folder of 769 bytes')
  refused(t, await make(`${folder}w`), 400, 'name_invalid', 'a folder of 769 bytes')
  refused(t, await rename(longest, `${longest}f`), 400, 'name_invalid', 'a rename')
  const longestText = `${folder}/${'f'.repeat(255)}`
  t.equal((await put(longestText, 'long')).status, 201)
  refused(t, await rename(longest, longestText), 409, 'name_taken', 'its detail has the whole name')

  refused(t, await move('s0', 'a/s0'), 400, 'name_invalid', 'a folder below would be too deep')
})

t.test('a file is moved by its name: times, versions and entity tag stay', async t => {
  const { put, rename, metadata, versions, texts, get, folders, server, getFolder, remove } = await shareAccount()
  await put('a.txt', 'one')
  const { json: before } = await put('a.txt', 'two', { 'content-type': 'text/x-two', 'x-file-modified': '2020-01-02T03:04:05Z' })
  const kept = await versions('a.txt')
  const moved = await rename('a.txt', 'new/inner/a.txt')
  t.equal(moved.status, 200)
  const { json: { id: folderId } } = await getFolder('new/inner')
  t.strictSame(moved.json, { ...before, folderId, name: 'new/inner/a.txt', url: `${server.url}/uploads/new/inner/a.txt` }, 'also updatedAt')
  t.strictSame((await metadata('new/inner/a.txt')).json, moved.json)
  t.strictSame([await versions('new/inner/a.txt'), await texts('new/inner/a.txt')], [kept, ['one']])
  t.match(await get('new/inner/a.txt'), { text: 'two', headers: { etag: `"${before.sha256}"`, 'content-disposition': 'attachment; filename=a.txt; filename*=UTF-8\'\'a.txt' } })
  t.equal((await get('a.txt')).status, 404)
  t.strictSame(await folders('new'), ['new/inner'])
  const renamed = await rename('new/inner/a.txt', 'b.txt')
  t.ok(renamed.json.updatedAt > before.updatedAt, 'another last segment is a rename')
  t.equal((await getFolder('new/inner')).status, 200, 'its folder stays')
  await rename('b.txt', 'new/b.txt')
  await remove('new/b.txt')
  t.equal((await getFolder('new')).status, 200, 'also without the last file')
  await put('c', 'c')
  await put('new/c', 'another')
  refused(t, await rename('c', 'new/c'), 409, 'name_taken', 'a name that is taken')
  refused(t, await rename('c', 'made/../c'), 400, 'name_invalid', 'a name that is none')
  t.equal((await get('c')).text, 'c')
})

t.test('a folder is moved with all that is in it', async t => {
  const { put, make, move, metadata, names, folders, getFolder, texts, send } = await shareAccount()
  await put('a/one.txt', 'old')
  const { json: before } = await put('a/one.txt', 'new')
  await put('a/b/c/two.txt', 'two')
  await put('ab/other.txt', 'other')
  await make('a/empty')
  const { json: folder } = await getFolder('a')
  const moved = await move('a', 'x/y')
  t.match(moved, { status: 200, json: { name: 'x/y', createdAt: folder.createdAt } })
  t.match(moved.json.url, /\/api\/folders\/x%2Fy$/)
  t.same((await names()).sort(), ['ab/other.txt', 'x/y/b/c/two.txt', 'x/y/one.txt'])
  t.same((await folders('x/y')).sort(), ['x/y/b', 'x/y/empty'])
  const { json: after } = await metadata('x/y/one.txt')
  t.strictSame({ ...after, name: '', url: '' }, { ...before, name: '', url: '' }, 'nothing else of a file changes')
  t.strictSame(await texts('x/y/one.txt'), ['old'])
  t.equal((await getFolder('a')).status, 404)

  refused(t, await move('x/y', 'x/y/b/c/d'), 400, 'folder_into_itself')
  for (const body of [{}, { name: '' }, { name: 1 }, { name: 'z', recursive: true }]) refused(t, await send('PATCH', folderPath('x/y'), { json: body }), 400, 'validation_failed', JSON.stringify(body))
})

t.test('an empty folder is deleted, and one with files or folders only if that is asked for', async t => {
  const { put, make, removeFolder, getFolder, names, folders, trash, usage, texts, restoreFile, restoreDeletion } =
    await shareAccount()
  await make('a/b')
  refused(t, await removeFolder('a'), 409, 'folder_not_empty', 'it has a folder')
  t.match(await removeFolder('a/b'), { status: 204, text: '' })
  t.equal((await removeFolder('a', { permanent: 'true' })).status, 204)
  refused(t, await removeFolder('a'), 404, 'not_found', 'it is gone')
  refused(t, await removeFolder('a', { recursive: 'true' }), 404, 'not_found', 'it is gone')

  for (const [name, body] of [['a/one', 'old'], ['a/one', 'new'], ['a/b/two', 'two'], ['ab/three', 'three']] as const) await put(name, body)
  await make('a/c/d')
  refused(t, await removeFolder('a'), 409, 'folder_not_empty', 'it has files')
  refused(t, await removeFolder('a', { recursive: 'false' }), 409, 'folder_not_empty', 'nor so')
  t.match(await removeFolder('a', { recursive: 'true' }), { status: 204, text: '' })
  t.equal((await getFolder('a')).status, 404)
  t.strictSame([await names(), await folders()], [['ab/three'], ['ab']])
  t.match(await usage(), { files: 1, folders: 1, bytes: 5, keptBytes: 9 })
  const entries = await trash()
  t.strictSame(entries.map(({ name, versions }) => [name, versions]).sort(), [['a/b/two', 0], ['a/one', 1]])
  t.equal(new Set(entries.map(({ deletedWith }) => deletedWith)).size, 1)
  t.match(entries[0]?.deletedWith, /^[0-9a-f]{32}$/)

  await put('e/six', 'six')
  await removeFolder('e', { recursive: 'true', permanent: 'true' })
  t.equal((await trash()).length, 2, 'what is deleted for good is not in the trash')

  // One of them alone, with its folders.
  const one = entries.find(({ name }) => name === 'a/one') as ListedFile
  t.match(await restoreFile(one.id), { status: 200, json: { name: 'a/one' } })
  t.strictSame([await texts('a/one'), await folders()], [['old'], ['a', 'ab']])
  t.match(await restoreDeletion(one.deletedWith), { status: 200, json: { restored: 1, kept: [] } })
  t.match(await usage(), { files: 3, folders: 5, keptBytes: 3 })
  refused(t, await restoreDeletion(one.deletedWith), 404, 'not_found', 'nothing of it is left')
})

t.test('a restore of a deletion says what it could not restore', async t => {
  const { put, removeFolder, restoreDeletion, trash, names, make, getFolder, send } = await shareAccount()
  for (const name of ['a/1', 'a/2', 'a/b/3']) await put(name, name)
  await removeFolder('a', { recursive: 'true' })
  const { deletedWith } = (await trash())[0] as ListedFile
  await put('a/1', 'another')
  await make('a/2')
  const { placed, ...json } = (await restoreDeletion(deletedWith)).json
  t.match(placed, [{ name: 'a/b', id: (await getFolder('a/b')).json.id, state: /^\d+-2$/ }])
  t.same({ ...json, kept: json.kept.toSorted((a: ListedFile, b: ListedFile) => a.name < b.name ? -1 : 1) }, { restored: 1, kept: [{ name: 'a/1', code: 'name_taken' }, { name: 'a/2', code: 'name_taken' }] })
  t.same((await names()).sort(), ['a/1', 'a/b/3'])
  t.equal((await trash()).length, 2)

  for (const id of ['x', 'f'.repeat(32), 'F'.repeat(32), '\0', 'x'.repeat(65_000)]) refused(t, await restoreDeletion(id), 404, 'not_found', id.slice(0, 9))
  for (const json of [{}, { deletedWith: '' }, { deletedWith: null }, { deletedWith: 1 }, { deletedWith, name: 'x' }, []]) refused(t, await send('POST', '/api/trash/restore', { json }), 400, 'validation_failed', JSON.stringify(json))
})

t.test('a move of very many folders is whole, and others are answered meanwhile', async t => {
  const { id, put, get, make, move, getFolder, send, dataDir } = await shareAccount()
  const { json: box } = await make('box')
  await runSql(dataDir, `INSERT INTO folders (owner_id, parent_id, name, path, created_at)
    WITH RECURSIVE ids(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM ids WHERE n < 20000)
    SELECT ${id}, f.id, n, 'box/' || n, 1 FROM ids JOIN folders f ON f.owner_id = ${id} AND f.path = 'box'`)
  const state = { isMoving: true }
  const moving = move('box', 'moved/away').finally(() => { state.isMoving = false })
  let answered = 0
  while (state.isMoving) if ((await send('GET', '/api/account')).status === 200) answered++
  t.match(await moving, { status: 200, json: { id: box.id, name: 'moved/away' } })
  t.ok(answered > 9, `${answered} were answered`)
  for (const [name, status] of [['moved/away/1', 200], ['moved/away/20000', 200], ['box', 404], ['box/1', 404]] as const) t.equal((await getFolder(name)).status, status, name)

  refused(t, await move('moved/away', Array.from({ length: 3 }, () => 'x'.repeat(255)).join('/')), 400, 'name_invalid')
  await refuseUpdates(dataDir, 'folders')
  t.equal((await send('PATCH', folderPath('moved/away'), { json: { name: 'b' }, isBroken: true })).status, 500)
  await allowUpdates(dataDir, 'folders')
  t.equal((await getFolder('moved/away/7')).status, 200, 'nothing has changed')
  t.equal((await make('new')).status, 201, 'and nothing is locked')

  for (const name of ['new/file', 'old/file']) await put(name)
  await runSql(dataDir, `UPDATE accounts SET used_folders = 20000 WHERE id = ${id}`)
  const copy = () => send('COPY', '/dav/new', { headers: { destination: '/dav/old' } })
  await setQuotas({ id, dataDir }, { files: 20_003 })
  t.equal((await copy()).status, 507, 'of an account that has as much, a copy is summed')
  await setQuotas({ id, dataDir }, { files: 20_004 })
  t.equal((await copy()).status, 204)
  t.equal((await get('old/file')).text, 'new/file')
})

t.test('a server that stops ends a recursive deletion, a restore and the emptying of the trash between two steps, and the next one goes on', async t => {
  let server = await startServer(t)
  const { dataDir } = server
  const { id, token } = await signUp(server, 'ada')
  const ids = 'WITH RECURSIVE ids(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM ids WHERE n < 2000)'
  const kept = `kept (id, owner_id, file_id, name, size, type, sha256, stored_at, created_at, kept_at, deleted_with)
    ${ids} SELECT lower(hex(randomblob(16))), ${id}, n, 'box/' || n, 0, 'text/plain', '${'0'.repeat(64)}', 1, 1, ${Date.now()}, '${'d'.repeat(32)}' FROM ids`
  const acts = [
    ['folders', `folders (owner_id, parent_id, name, path, created_at) ${ids} SELECT ${id}, 1, n, 'box/' || n, 1 FROM ids`, (client: Client) => accountOf(client, token).removeFolder('box', { recursive: 'true' }), 204],
    ['kept', kept, (client: Client) => accountOf(client, token).restoreDeletion('d'.repeat(32)), 200],
    ['kept', kept.replace("'box/' || n", "'x' || n"), (client: Client) => accountOf(client, token).emptyTrash(), 204]
  ] as const
  await accountOf(server, token).make('box')
  for (const [table, rows, act, status] of acts) {
    const count = async () => Number((await runSql(dataDir, `SELECT count(*) AS n FROM ${table}`))[0]?.n)
    // Deleted folders are kept too.
    await runSql(dataDir, 'DELETE FROM kept')
    await runSql(dataDir, `INSERT INTO ${rows}`)
    const all = await count()
    const answered = act(server)
    while (await count() === all) await turn()
    await server.close()
    const answer = await answered
    refused(t, answer, 503, 'stopping')
    t.match(answer.headers, { 'retry-after': /\d/ })
    t.ok(await count() > 0, `some of ${table} are left`)
    server = await startServer(t, { DATA_DIR: dataDir })
    t.equal((await act(server)).status, status)
    t.equal(await count(), 0)
  }
})

t.test('folders of another account do not exist', async t => {
  const { server, put, make, trash, removeFolder, names, getFolder } = await shareAccount()
  await put('a/b/file', 'bytes of anna')
  await make('mine')
  await put('gone/file', 'x')
  await removeFolder('gone', { recursive: 'true' })
  const ben = accountOf(server, (await signUp(server)).token)
  const answers = [
    await ben.getFolder('a'), await ben.listFolders({ folder: 'a' }), await ben.list({ folder: 'a/b' }),
    await ben.move('a', 'x'), await ben.removeFolder('mine'), await ben.removeFolder('a', { recursive: 'true' }),
    await ben.get('a/b/file'), await ben.rename('a/b/file', 'x'), await ben.remove('a/b/file'),
    await ben.restoreDeletion((await trash())[0]?.deletedWith)
  ]
  for (const [index, answer] of answers.entries()) refused(t, answer, 404, 'not_found', String(index))
  t.strictSame([await ben.folders(), await ben.names()], [[], []])
  t.equal((await ben.make('a/b')).status, 201)
  await ben.put('a/b/file', 'bytes of ben')
  t.equal((await ben.removeFolder('a', { recursive: 'true' })).status, 204)
  t.same([await names(), (await getFolder('mine')).status, (await trash()).length], [['a/b/file'], 200, 1])
})

t.test('folders count in the quota of files, new parents too, and are not there after a refusal', async t => {
  const account = await shareAccount()
  await setQuotas(account, { files: 4 })
  const { put, make, rename, move, usage, server, token, folders, send, names, remove, trash, restoreFile } = account
  const head = { authorization: `Bearer ${token}`, 'content-length': '1' }
  t.equal((await put('a/b/1', '1')).status, 201)
  t.match(await usage(), { files: 1, folders: 2, quotaFiles: 4 })
  t.same(await answerToHead(server, 'PUT', bytesPath('c/2'), head), [413, 'quota_exceeded'], 'before the body')
  const tus = (name: string) => ({ ...TUS, 'upload-length': '1', 'content-type': 'application/offset+octet-stream', 'upload-metadata': `filename ${btoa(name)}` })
  const refusals: [string, () => Promise<Answer>][] = [
    ['PUT', () => put('c/2', '2')],
    ['PUT without a length', () => send('PUT', bytesPath('c/2'), { body: Readable.from([Buffer.from('2')]) })],
    ['a form', () => send('POST', '/?folder=c', formOf('2', '2'))],
    ['a folder', () => make('c/d')],
    ['a move', () => rename('a/b/1', 'c/d/1')],
    ['a move of a folder', () => move('a/b', 'c/d/b')]
  ]
  for (const [what, refusal] of refusals) refused(t, await refusal(), 413, 'quota_exceeded', what)
  t.strictSame([await folders(), await names()], [['a'], ['a/b/1']])
  t.match(await usage(), { files: 1, folders: 2 })

  // The quota counts folders where an upload is complete; it stays until there is room.
  const refusedUpload = await send('POST', '/api/uploads', { headers: tus('c/2'), body: '2' })
  refused(t, refusedUpload, 413, 'quota_exceeded', 'tus')
  const path = new URL(String(refusedUpload.headers.location)).pathname
  const atTheEnd = { 'upload-offset': '1', 'upload-complete': '?1' }
  for (const method of ['GET', 'HEAD']) t.match(await send(method, path, { headers: TUS }), { status: 413, headers: atTheEnd }, `${method} tries again`)
  t.strictSame(await folders(), ['a'])
  await remove('a/b/1', { permanent: 'true' })
  t.match(await send('HEAD', path, { headers: TUS }), { status: 200, headers: { 'upload-complete': '?1' } })
  t.strictSame([await folders(), await names()], [['a', 'c'], ['c/2']])

  await remove('c/2')
  await send('DELETE', folderPath('c'))
  for (const name of ['a/3', 'a/4']) await put(name, 'x')
  refused(t, await restoreFile(String((await trash())[0]?.id)), 413, 'quota_exceeded', 'a restore needs its parents')
  t.strictSame(await folders(), ['a'])
})

t.test('an upload whose name became that of a folder is refused where it is complete, and stays', async t => {
  const { send, make, removeFolder, get } = await shareAccount()
  const { headers: { location } } = await send('POST', '/api/uploads', { headers: { ...TUS, 'upload-length': '5', 'upload-metadata': `filename ${btoa('a/b')}` } })
  const path = new URL(String(location)).pathname
  await make('a/b')
  refused(t, await send('PATCH', path, { headers: { ...TUS, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' }, body: 'bytes' }), 409, 'name_taken', 'the last bytes')
  const atTheEnd = { 'upload-offset': '5', 'upload-complete': '?1' }
  for (const method of ['GET', 'HEAD']) t.match(await send(method, path, { headers: TUS }), { status: 409, headers: atTheEnd }, method)
  await removeFolder('a/b')
  t.match(await send('HEAD', path, { headers: TUS }), { status: 200, headers: { 'upload-complete': '?1' } })
  t.equal((await get('a/b')).text, 'bytes')
})

t.test('the size of a folder is that of all that is in it and below, without versions, and belongs to one account', async t => {
  const { put, make, send, folderUsage, usage, server } = await shareAccount()
  for (const [name, text] of [['a/1', 'old'], ['a/1', 'four'], ['a/b/2', '22'], ['a/b/c/3', ''], ['ab/4', 'x'], ['5', 'x']] as const) await put(name, text)
  await make('a/b/empty/in')
  for (const [name, counted] of [
    ['a', { files: 3, folders: 4, bytes: 6 }], ['a/b', { files: 2, folders: 3, bytes: 2 }], ['a/b/c', { files: 1, folders: 0, bytes: 0 }],
    ['a/b/empty', { files: 0, folders: 1, bytes: 0 }], ['a/b/empty/in', { files: 0, folders: 0, bytes: 0 }]
  ] as const) {
    const answer = await folderUsage(name)
    t.match(answer, { status: 200, headers: { 'cache-control': 'no-store' } })
    t.strictSame(answer.json, counted, name)
  }
  t.match(await usage(), { files: 5, folders: 6, bytes: 8 }, 'the account has the rest too')
  for (const name of ['5', 'a/1', 'A', 'a/none', '/', '..', 'a/']) refused(t, await folderUsage(name), 404, 'not_found', name)
  const ben = accountOf(server, (await signUp(server)).token)
  refused(t, await ben.folderUsage('a'), 404, 'not_found', 'of another account')
  t.equal((await send('GET', `${folderPath('a')}/usage`, { token: '' })).status, 401)
})

t.test('an account counts one folder at a time, a network four and all together 16; for a client that leaves, it ends', async t => {
  const tls = await startTls(t, { TRUST_PROXY: '127.0.0.1', RATE_LIMIT_PER_MINUTE: '0' })
  const { ask, begin } = await openHttp2(t, tls)
  const { accounts, folders, metadata } = tls.store
  const people = await Promise.all(Array.from({ length: 17 }, async (_, index) => {
    const username = `user-${index}`
    await folders.create(await accounts.register({ username, password: PASSWORD }, '127.0.0.1'), 'a')
    const { text } = await ask('GET', '/api/token', { authorization: `Basic ${btoa(`${username}:${PASSWORD}`)}` })
    return { authorization: `Bearer ${JSON.parse(text).token}` }
  }))
  const { listIn } = metadata.files
  let open = () => {}
  const gate = new Promise<void>(resolve => { open = resolve })
  let counting = 0
  Object.assign(metadata.files, {
    listIn: async (...values: Parameters<typeof listIn>) => {
      counting++
      await gate
      return listIn(...values)
    }
  })
  const of = (index: number, network: number) => ['GET', '/api/folders/a/usage', { ...people[index], 'x-forwarded-for': `192.0.2.${network}` }] as const
  const refuses = async (index: number, network: number, what: string) =>
    t.match({ ...await ask(...of(index, network)) }, { status: 429, headers: { 'retry-after': '5' }, text: /counts of folders.*"code":"too_many_requests"/ }, what)
  const left = begin(...of(0, 0))
  const first = Array.from({ length: 11 }, (_, index) => ask(...of(index + 1, Math.floor((index + 1) / 4))))
  t.ok(await eventually(() => counting === 12))
  await refuses(1, 9, 'a second one of an account')
  await refuses(12, 2, 'the fifth of a network')
  const begun = [...first, ...[12, 13, 14, 15].map(index => ask(...of(index, 3)))]
  t.ok(await eventually(() => counting === 16))
  await refuses(16, 9, 'the seventeenth')
  left.close()
  t.ok(await eventually(() => {
    begin(...of(16, 9))
    return counting === 17
  }), 'what nobody waits for does not count')
  open()
  for (const { status, text } of await Promise.all(begun)) {
    t.strictSame([status, JSON.parse(text)], [200, { files: 0, folders: 0, bytes: 0 }])
  }
  Object.assign(metadata.files, { listIn })
  t.ok(await eventually(async () => (await ask(...of(1, 0))).status === 200))
})

t.test('a parameter of another operation is refused, never ignored', async t => {
  const { put, send, trash, remove, usage, server } = await shareAccount()
  for (const [name, text] of [['report.pdf', 'old'], ['report.pdf', 'new'], ['a/b', 'b'], ['c', 'c']] as const) await put(name, text)
  await remove('c')
  const before = [(await send('GET', '/api/files')).text, await usage(), await trash()]
  const areas = ['Files', 'Folders', 'Uploads', 'Versions and trash']
  const operations = (await operationsOf(server)).filter(({ tags }) => areas.includes(String(tags[0])))
  t.ok(operations.length > 30)
  for (const { method, path, parameters = [] } of operations) {
    const own = parameters.map(({ name }) => name)
    for (const parameter of ['folder', 'recursive', 'version', 'permanent'].filter(name => !own.includes(name))) {
      const answer = await send(method, `${path}?${parameter}=true`)
      refused(t, answer, 400, 'validation_failed', `${method} ${path} ${parameter}`)
      if (method !== 'HEAD') t.match(answer.json.errors, [{ field: parameter }])
    }
  }
  const bodies: SendOptions[] = [
    { body: Buffer.alloc(3_000_000) }, { body: 'x', headers: { 'upload-complete': '?0' } },
    { body: 'x', headers: { 'content-range': 'bytes 0-0/2' } }
  ]
  for (const path of ['/uploads/new', '/uploads/a/b']) for (const options of bodies) refused(t, await send('PUT', `${path}?version=x`, options), 400, 'validation_failed', path)
  for (const query of ['permanent', 'permanent=', 'permanent=false', '%70ermanent=x', 'x=y&permanent=x&permanent=x']) {
    for (const [method, options] of [['GET', {}], ['PUT', { body: 'x' }]] as const) refused(t, await send(method, `${bytesPath('a/b')}?${query}`, options), 400, 'validation_failed', query)
  }
  for (const value of ['', '1', 'yes', 'TRUE']) refused(t, await send('DELETE', `${folderPath('a')}?recursive=${value}`), 400, 'validation_failed', value)
  t.strictSame([(await send('GET', '/api/files')).text, await usage(), await trash()], before, 'nothing has changed')
  t.strictSame((await send('GET', '/api/uploads')).json.uploads, [])
})
