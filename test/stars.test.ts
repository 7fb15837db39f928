import t from 'tap'
import { driveOf, lockInfo, personalToken } from './kit/drive.ts'
import { accountOf, bytesPath, folderPath, metadataPath, namesIn, shareAccount } from './kit/kept-account.ts'
import { createLink } from './kit/links.ts'
import { sharedServer } from './kit/server.ts'

/** Links, for what visitors see. */
const LINKS = { LINKS: 'on' }

type Query = Record<string, string>

/** An account that gives stars. */
async function start () {
  return starring(await shareAccount(LINKS))
}

function starring<Account extends ReturnType<typeof accountOf>> (account: Account) {
  const patch = (path: string, json: object, headers: Record<string, string> = {}) =>
    account.send('PATCH', path, { json, headers })
  return {
    ...account,
    patch,
    star: (name: string, starred = true, others: object = {}) => patch(metadataPath(name), { ...others, starred }),
    starFolder: (name: string, starred = true, others: object = {}) => patch(folderPath(name), { ...others, starred }),
    starred: (query: Query = {}) => account.names({ starred: 'true', ...query }),
    starredFolders: (query: Query = {}) => namesIn(account.listFolders, { starred: 'true', ...query })
  }
}

t.test('a file gets a star and loses it, and nothing else changes', async t => {
  const { put, metadata, star, starred, get, send, usage } = await start()
  const { json: file } = await put('a/b.txt', 'one', { 'x-file-modified': '2020-02-03T04:05:06.000Z' })
  t.equal(file.starred, false)
  const before = await usage()
  const { json: { next } } = await send('GET', '/api/changes')
  const { headers } = await get('a/b.txt')
  t.match(await star('a/b.txt'), { status: 200, json: { ...file, starred: true } })
  t.strictSame((await metadata('a/b.txt')).json, { ...file, starred: true })
  t.equal((await get('a/b.txt')).headers['last-modified'], headers['last-modified'])
  t.strictSame(await usage(), before)
  t.match(await star('a/b.txt'), { status: 200, json: { starred: true } }, 'once more')
  t.match(await star('a/b.txt', false), { status: 200, json: file })
  t.strictSame(await starred(), [])
  const { json: { changes, reset } } = await send('GET', `/api/changes?cursor=${next}`)
  t.equal(reset, false)
  t.strictSame(changes.map(({ at: _at, ...change }: { at: string }) => change), [
    { id: file.id, kind: 'starred', name: 'a/b.txt', file }, { id: file.id, kind: 'starred', name: 'a/b.txt', file }
  ])
})

t.test('a folder has a star of its own: what is in it has none by that', async t => {
  const { put, make, starFolder, starred, starredFolders, getFolder, move, send } = await start()
  const { json: folder } = await make('a')
  await put('a/b')
  t.equal(folder.starred, false)
  const { json: { next } } = await send('GET', '/api/changes')
  t.match(await starFolder('a'), { status: 200, json: { ...folder, starred: true } })
  t.strictSame([await starred(), await starredFolders()], [[], ['a']])
  t.match((await move('a', 'c/d')).json, { id: folder.id, starred: true })
  t.match((await getFolder('c')).json, { starred: false })
  t.strictSame(await starredFolders(), ['c/d'])
  t.match(await starFolder('c/d', false, { name: 'e' }), { status: 200, json: { id: folder.id, name: 'e', starred: false } }, 'with a move')
  const { json: { changes } } = await send('GET', `/api/changes?cursor=${next}`)
  t.strictSame(changes.map(({ kind, name }: { kind: string, name: string }) => `${kind} ${name}`), [
    'folder_starred a', 'folder_made c', 'folder_moved c/d', 'folder_moved e'
  ])
})

t.test('what is no change is refused, and so is what is not there, and nothing happens', async t => {
  const { put, make, patch, star, starFolder, starred, starredFolders, metadata, send } = await start()
  const { json: file } = await put('a')
  await make('f')
  for (const path of [metadataPath('a'), folderPath('f')]) {
    for (const json of [
      {}, { starred: null }, { starred: 'true' }, { starred: 1 }, { starred: [] }, { starred: {} }, { isStarred: true },
      { starred: true, star: true }, { starred: true, name: null }, { starred: true, name: '' }, { starred: true, folderId: null },
      [], [true]
    ]) t.match(await patch(path, json), { status: 400, json: { code: 'validation_failed' } }, JSON.stringify(json))
    t.match(await send('PATCH', path, { body: '{"starred":true,"starred":"yes"}', headers: { 'content-type': 'application/json' } }), { status: 400 })
    t.match(await send('PATCH', path, { body: 'null', headers: { 'content-type': 'application/json' } }), { status: 400 })
    t.match(await send('PATCH', path), { status: 400 }, 'without a body')
  }
  for (const answer of [await star('nothing'), await star('f'), await starFolder('nothing'), await starFolder('a'), await star('..'), await starFolder('/')]) {
    t.match(answer, { status: 404, json: { code: 'not_found' } })
  }
  t.match(await star('a', true, { name: 'f' }), { status: 409, json: { code: 'name_taken' } })
  t.match(await star('a', true, { name: 'a/../b' }), { status: 400, json: { code: 'name_invalid' } })
  t.match(await starFolder('f', true, { name: 'f/g' }), { status: 400, json: { code: 'folder_into_itself' } })
  t.match(await patch(metadataPath('a'), { starred: true, folderId: file.id }), { status: 412 })
  t.match(await patch(`${metadataPath('a')}?id=other`, { starred: true }), { status: 412 })
  t.match(await patch(`${folderPath('f')}?id=other`, { starred: true }), { status: 412 })
  t.match(await patch(metadataPath('a'), { starred: true }, { 'if-match': '"other"' }), { status: 412 })
  t.strictSame([await starred(), await starredFolders()], [[], []])
  t.strictSame((await metadata('a')).json, file)
  t.match(await patch(metadataPath('a'), { folderId: 'root' }), { status: 200, json: file }, 'a condition alone changes nothing')
  t.match(await patch(`${metadataPath('a')}?id=${file.id}`, { starred: true, folderId: 'root' }, { 'if-match': `"${file.sha256}"` }), { status: 200, json: { starred: true } })
})

t.test('the stars of one account are those of no other, and need the scope for changes', async t => {
  const { put, make, star, starFolder, starred, starredFolders, server, user, send } = await start()
  await put('a')
  await make('f')
  const other = await start()
  await put('b')
  await star('b')
  for (const answer of [await other.star('a'), await other.starFolder('f'), await other.star('b', false)]) t.match(answer, { status: 404 })
  t.strictSame([await other.starred(), await other.starredFolders()], [[], []])
  t.match(await other.list({ starred: 'true', folder: 'f' }), { status: 404 })
  const { json: { next } } = await send('GET', '/api/files?limit=1&order=name')
  t.match(await other.list({ starred: 'true', cursor: next }), { status: 400 })
  const reading = await personalToken(server, user, ['files:read'])
  for (const path of [metadataPath('a'), folderPath('f')]) {
    t.match(await send('PATCH', path, { token: reading, json: { starred: true } }), { status: 403, json: { code: 'insufficient_scope' } })
  }
  t.match(await send('GET', '/api/files?starred=true', { token: reading }), { json: { files: [{ name: 'b', starred: true }] } })
  await starFolder('f')
  t.strictSame([await starred(), await starredFolders()], [['b'], ['f']])
})

t.test('a star stays with its file in every way that keeps the file: on the drive too', async t => {
  const server = await sharedServer(LINKS)
  const { token, ask } = await driveOf(server)
  const account = starring(accountOf(server, token))
  const { put, star, starFolder, starred, starredFolders, rename, remove, trash, restoreFile, send, metadata } = account
  const { versions, restore, removeFolder, restoreDeletion } = account
  const { json: file } = await put('a', 'one')
  await star('a')
  t.match((await put('a', 'two')).json, { id: file.id, starred: true })
  t.match((await restore('a', String((await versions('a'))[0]?.id))).json, { id: file.id, starred: true })
  t.match((await rename('a', 'd/b')).json, { starred: true })
  t.match(await ask('MOVE', '/dav/d/b', { destination: `${server.url}/dav/d/c` }), { status: 201 })
  t.match(await ask('PUT', '/dav/d/c', {}, 'three'), { status: 204 })
  await starFolder('d')
  t.match(await ask('MOVE', '/dav/d', { destination: `${server.url}/dav/e` }), { status: 201 })
  t.strictSame([await starred(), await starredFolders()], [['e/c'], ['e']])
  await send('POST', '/api/moves', { json: { items: [{ name: 'e' }], folder: 'f' } })
  t.strictSame([await starred(), await starredFolders()], [['f/e/c'], ['f/e']])
  await remove('f/e/c')
  t.match((await restoreFile(String((await trash())[0]?.id))).json, { id: file.id, starred: true })
  await removeFolder('f', { recursive: 'true' })
  t.strictSame([await starred(), await starredFolders()], [[], []])
  const [{ deletedWith } = {}] = await trash()
  t.match(await restoreDeletion(deletedWith), { json: { restored: 1 } })
  t.strictSame([await starred(), await starredFolders()], [['f/e/c'], ['f/e']])
  // Office programs save so: the new content is moved onto the file.
  await put('f/e/c.tmp', 'four')
  t.match(await ask('MOVE', '/dav/f/e/c.tmp', { destination: `${server.url}/dav/f/e/c`, overwrite: 'T' }), { status: 204 })
  t.match((await metadata('f/e/c')).json, { id: file.id, size: 4, starred: true })
  t.match(await ask('PROPFIND', '/dav/f/e/c', { depth: '0' }), { status: 207 })
  t.notMatch((await ask('PROPFIND', '/dav/f/e/c', { depth: '0' })).text, /star/i)
})

t.test('a copy has no star, by no door', async t => {
  const server = await sharedServer(LINKS)
  const { token, ask } = await driveOf(server)
  const { put, star, starFolder, starred, starredFolders, send } = starring(accountOf(server, token))
  await put('d/a')
  await star('d/a')
  await starFolder('d')
  t.match(await send('POST', `${metadataPath('d/a')}/copy`, { json: { name: 'b' } }), { status: 201, json: { starred: false } })
  t.match(await send('POST', '/api/copies', { json: { items: [{ name: 'd' }], folder: 'e' } }), { status: 200 })
  t.match(await ask('COPY', '/dav/d', { destination: `${server.url}/dav/f` }), { status: 201 })
  t.strictSame([await starred(), await starredFolders()], [['d/a'], ['d']])
})

t.test('a lock refuses no star, but a star with another name, and that whole', async t => {
  const server = await sharedServer(LINKS)
  const { token, ask } = await driveOf(server)
  const { put, star, starFolder, starred, starredFolders } = starring(accountOf(server, token))
  await put('d/a')
  t.match(await ask('LOCK', '/dav/d/', { depth: 'infinity' }, lockInfo()), { status: 200 })
  t.match(await star('d/a'), { status: 200 })
  t.match(await starFolder('d'), { status: 200 })
  t.match(await star('d/a', false, { name: 'd/b' }), { status: 423, json: { code: 'file_locked' } })
  t.match(await starFolder('d', false, { name: 'e' }), { status: 423, json: { code: 'file_locked' } })
  t.strictSame([await starred(), await starredFolders()], [['d/a'], ['d']])
})

t.test('what has a star is listed page by page in every order, and a cursor belongs to that listing', async t => {
  const { put, make, star, starFolder, starred, starredFolders, list, listFolders, send, server } = await start()
  for (const name of ['b', 'd/a', 'd/e/c', 'd/x', 'y']) await put(name)
  for (const name of ['d/e/c', 'd/a', 'b']) await star(name)
  for (const name of ['d', 'd/e']) await starFolder(name)
  await make('g')
  const orders = { name: ['b', 'd/a', 'd/e/c'], natural: ['d/a', 'b', 'd/e/c'], changed: ['b', 'd/a', 'd/e/c'], smallest: ['b', 'd/a', 'd/e/c'] }
  for (const [order, names] of Object.entries(orders)) t.strictSame(await starred({ order, limit: '1' }), names, order)
  t.strictSame(await starred({ order: '-changed', limit: '2' }), ['d/e/c', 'd/a', 'b'])
  for (const folder of ['', '/']) t.strictSame(await starred({ folder }), ['b'])
  t.strictSame(await starred({ folder: 'd', order: 'newest' }), ['d/a'])
  t.strictSame(await starredFolders({ limit: '1', order: '-natural' }), ['d/e', 'd'])
  t.strictSame([await starredFolders({ folder: 'd' }), await starredFolders({ folder: '' })], [['d/e'], ['d']])
  t.strictSame((await list({ starred: 'false' })).json, (await list()).json)
  t.strictSame((await listFolders({ starred: 'false' })).json, (await listFolders()).json)

  const page = await list({ starred: 'true', limit: '1' })
  const [, link = ''] = /^<([^>]+)>; rel="next"$/.exec(String(page.headers.link)) ?? []
  t.match((await send('GET', link.slice(server.url.length))).json.files, [{ name: 'd/a', starred: true }], 'the link leads on')
  const { next } = page.json
  for (const query of [{}, { starred: 'true', folder: '' }, { starred: 'true', order: '-name' }] as Query[]) {
    t.match(await list({ ...query, cursor: next }), { status: 400, json: { errors: [{ field: 'cursor' }] } })
  }
  t.match(await listFolders({ cursor: (await listFolders({ starred: 'true', limit: '1' })).json.next }), { status: 400 })
  for (const [field, query] of [['prefix', { prefix: 'a' }], ['contains', { contains: 'a' }], ['words', { words: 'a' }], ['below', { below: 'true' }], ['starred', { starred: 'yes' }], ['starred', { starred: '' }]] as [string, Query][]) {
    t.match(await list({ starred: 'true', ...query }), { status: 400, json: { errors: [{ field }] } }, field)
  }
  for (const [field, query] of [['words', { words: 'a' }], ['starred', { all: 'true' }], ['starred', { starred: '1' }]] as [string, Query][]) {
    t.match(await listFolders({ starred: 'true', ...query }), { status: 400, json: { errors: [{ field }] } }, field)
  }
  t.match(await list({ starred: 'true', folder: 'nothing' }), { status: 404 })
  t.match(await listFolders({ starred: 'true', folder: 'nothing' }), { status: 404 })
})

t.test('what changed last is listed over all folders, page by page', async t => {
  const { put, names, rename, list, star } = await start()
  const modified = (hour: number) => ({ 'x-file-modified': `2020-01-01T0${hour}:00:00.000Z` })
  for (const [name, hour] of [['d/e/b', 3], ['a', 2], ['d/c', 5], ['f/z', 2]] as const) await put(name, name, modified(hour))
  await rename('a', 'g/a')
  await star('g/a')
  const changed = ['g/a', 'f/z', 'd/e/b', 'd/c']
  for (const limit of ['1', '3', '4']) {
    t.strictSame(await names({ order: 'changed', limit }), changed)
    t.strictSame(await names({ order: '-changed', limit }), changed.toReversed())
  }
  await put('g/a', 'new')
  t.strictSame(await names({ order: '-changed' }), ['g/a', 'd/c', 'd/e/b', 'f/z'])
  t.strictSame(await names({ order: '-changed', folder: 'd' }), ['d/c'])
  const { json: { next } } = await list({ order: '-changed', limit: '1' })
  t.match(await list({ order: '-changed', folder: '', cursor: next }), { status: 400 })
})

t.test('visitors of a link see no star', async t => {
  const { put, star, starFolder, token, server } = await start()
  await put('d/a')
  await put('d/e/b')
  await star('d/a')
  for (const name of ['d', 'd/e']) await starFolder(name)
  const { path } = await createLink(server, { token }, { name: 'd', kind: 'download' })
  for (const answer of [await server.send('GET', path, { headers: { accept: 'application/json' } }), await server.send('GET', `${path}/list`)]) {
    t.equal(answer.status, 200)
    t.notMatch(answer.text, /star/i)
  }
  t.match((await server.send('GET', `${path}/list`)).json, { files: [{ name: 'a' }], folders: [{ name: 'e' }] })
})

t.test('of twenty that give and take a star at once, each is done, and the last one counts for all doors', async t => {
  const { put, star, metadata, starred } = await start()
  await put('a')
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => star('a', n % 2 === 0, n % 5 === 0 ? { name: 'a' } : {})))
  t.strictSame(new Set(answers.map(({ status }) => status)), new Set([200]))
  const { json } = await metadata('a')
  t.strictSame(await starred(), json.starred ? ['a'] : [])
  const ends = await Promise.all([star('a', true), star('a', true, { name: 'b' }), star('a', true, { name: 'c' })])
  const renamed = ends.slice(1).filter(({ status }) => status === 200)
  t.equal(renamed.length, 1, 'one rename finds the file')
  t.strictSame(await starred(), [renamed[0]?.json.name])
  t.match(await star(bytesPath('a')), { status: 404 })
})
