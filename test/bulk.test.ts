import { truncate } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import t from 'tap'
import { accountOf, setQuotas, shareAccount } from './kit/kept-account.ts'
import { setLock } from './kit/locks.ts'
import { refused } from './kit/refusals.ts'
import { signUp, startServer, type Answer, type Client } from './kit/server.ts'
import { MIB } from './kit/sizes.ts'
import { runSql, skipWithoutFolder } from './kit/stores.ts'
import { blobPath } from './kit/tidy.ts'
import { eventually, until } from './kit/waiting.ts'

type Items = readonly (string | { name: string, id?: string, state?: string })[]

/** A copy, as the response tells. */
interface Copied { readonly newName: string, readonly id: string, readonly state: string }

function bulkOf (client: Client, token: string) {
  const account = accountOf(client, token)
  const post = (path: string, items: Items, rest: object) =>
    account.send('POST', path, { json: { items: items.map(item => typeof item === 'string' ? { name: item } : item), ...rest } })
  return {
    ...account,
    trashAll: (items: Items, rest: object = {}) => post('/api/trash', items, rest),
    moveAll: (items: Items, folder: string, rest: object = {}) => post('/api/moves', items, { folder, ...rest }),
    copyAll: (items: Items, folder: string, rest: object = {}) => post('/api/copies', items, { folder, ...rest })
  }
}

async function openAccount (...settings: Parameters<typeof shareAccount>) {
  const account = await shareAccount(...settings)
  return { ...account, ...bulkOf(account.server, account.token) }
}

/** Adds files without bytes to the database: `count` in a folder that exists. */
async function addFiles (
  { dataDir, id }: { dataDir: string, id: number }, folder: string, count: number
): Promise<void> {
  await runSql(dataDir, `INSERT INTO files (owner_id, folder_id, name, size, type, sha256, blob_id, created_at, updated_at, stored_at)
    WITH RECURSIVE ids(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM ids WHERE n < ${count})
    SELECT ${id}, f.id, 'f' || n, 0, 'text/plain', '${'0'.repeat(64)}', '${id}-${folder}-' || n, 1, 1, 1 FROM ids JOIN folders f ON f.owner_id = ${id} AND f.path = '${folder}'`)
  await runSql(dataDir, `UPDATE accounts SET used_files = used_files + ${count} WHERE id = ${id}`)
}

/** What was handled and refused, without where the others are. */
const outcomeOf = ({ json: { placed: _placed, ...rest } }: Answer) => rest

/** Where what was moved or copied is now. */
const placesOf = ({ json }: Answer): Record<string, string> =>
  Object.fromEntries(json.placed.map(({ name, newName }: { name: string, newName: string }) => [name, newName]))

/** Sends a request, and does not wait for the response. */
function begin (port: number, token: string, path: string, json: unknown) {
  const request = httpRequest({ host: '127.0.0.1', port, method: 'POST', path, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, agent: false })
  request.on('error', () => {}).end(JSON.stringify(json))
  return request
}

const namesOf = (count: number, folder: string) => Array.from({ length: count }, (_, index) => ({ name: `${folder}/f${index + 1}` }))

t.test('files and folders are one deletion, which is restored as a whole', async t => {
  const { put, make, trashAll, trash, restoreDeletion, names, folders, usage } = await openAccount()
  for (const name of ['a', 'box/b', 'box/in/c', 'box/in/d', 'stays']) await put(name)
  await make('lone')
  const answer = await trashAll(['a', 'box/b', 'box', 'lone', 'box', 'box/in/c'])
  const { deletedWith } = answer.json
  t.match(answer, { status: 200, headers: { 'cache-control': 'no-store' } })
  t.strictSame(answer.json, { deletedWith, done: 3, refused: [] })
  t.strictSame([await names(), await folders()], [['stays'], []])
  t.strictSame((await trash()).map(file => [file.name, file.deletedWith]).sort(), ['a', 'box/b', 'box/in/c', 'box/in/d'].map(name => [name, deletedWith]))
  t.match((await restoreDeletion(deletedWith)).json, { restored: 4, kept: [] })
  t.strictSame(await names(), ['a', 'stays', 'box/b', 'box/in/c', 'box/in/d'])
  t.match(await usage(), { files: 5, keptBytes: 0 })
})

t.test('what can\'t be deleted is refused by its name and code, and the others are deleted', async t => {
  const { put, make, trashAll, names, folders, dataDir } = await openAccount()
  const files = new Map<string, string>()
  for (const name of ['a', 'b', 'locked', 'é', 'in/a', 'held/a']) files.set(name, (await put(name)).json.id)
  const folder = (await make('in')).json.id
  await setLock(dataDir, 'locked')
  const stranger = await openAccount()
  await stranger.put('foreign')
  const answer = await trashAll([
    { name: 'a', id: String(files.get('a')) }, { name: 'b', id: String(files.get('a')) }, { name: 'in', id: String(files.get('in/a')) }, { name: 'in/a', id: String(files.get('in/a')) },
    'locked', 'none', 'none/below', 'foreign', '..', 'x'.repeat(2000), '', 'a/', 'e\u0301', { name: 'held', id: 'other' }
  ])
  t.match(answer.json, { done: 2 })
  const refusals = answer.json.refused as { name: string, code: string }[]
  t.strictSame(Object.fromEntries(refusals.map(({ name, code }) => [name.slice(0, 9), code])), {
    b: 'precondition_failed', in: 'precondition_failed', locked: 'file_locked', none: 'not_found', foreign: 'not_found', '..': 'not_found', xxxxxxxxx: 'not_found', '': 'not_found', 'a/': 'not_found', held: 'precondition_failed'
  })
  t.strictSame((await names()).sort(), ['b', 'held/a', 'in/a', 'locked'])
  t.strictSame(await stranger.names(), ['foreign'])
  t.match((await trashAll([{ name: 'in', id: folder }])).json, { done: 1, refused: [] })
  t.match((await trashAll([{ name: 'in', id: folder }])).json, { done: 0, refused: [{ name: 'in', code: 'not_found' }] }, 'repeating is safe')
  t.strictSame(await folders(), ['held'])
})

t.test('what a lock refuses is told with its locks, which are broken', async t => {
  const { put, make, send, trashAll, moveAll, names, folders, dataDir } = await openAccount()
  for (const name of ['a', 'box/b', 'box/in/c', 'free']) await put(name)
  await make('held')
  for (const path of ['a', 'box/b', 'box/in']) await setLock(dataDir, path)
  await setLock(dataDir, 'held', { isDeep: true })
  const refusals = [
    { name: 'a', code: 'file_locked', locked: ['a'] },
    { name: 'box', code: 'file_locked', locked: ['box/b', 'box/in'] },
    { name: 'held', code: 'file_locked', locked: ['held'] }
  ]
  const byName = ({ json }: Answer) =>
    json.refused.toSorted((a: { name: string }, b: { name: string }) => a.name < b.name ? -1 : 1)
  t.strictSame(byName(await moveAll(['a', 'box', 'held'], 'to')), refusals)
  const answer = await trashAll(['a', 'box', 'held', 'free'])
  t.strictSame(byName(answer), refusals)
  t.equal(answer.json.done, 1)
  for (const path of ['files/a', 'files/box%2Fb', 'folders/box%2Fin', 'folders/held']) t.equal((await send('DELETE', `/api/${path}/lock`)).status, 204)
  t.match(await trashAll(['a', 'box', 'held']), { json: { done: 3, refused: [] } })
  t.strictSame([await names(), await folders()], [[], []])
})

t.test('two clients that delete the same files delete each once', async t => {
  const account = await openAccount()
  await account.make('box')
  await addFiles(account, 'box', 300)
  const items = namesOf(300, 'box')
  const [one, other] = await Promise.all([account.trashAll(items), account.trashAll(items)])
  t.equal(one.json.done + other.json.done, 300)
  t.equal(one.json.refused.length + other.json.refused.length, 300)
  t.equal((await account.trash()).length, 300)
})

t.test('a request that is none is refused, and nothing happens', async t => {
  const { put, send, names, server, user, trashAll } = await openAccount()
  await put('a')
  const item = { name: 'a' }
  for (const path of ['/api/trash', '/api/moves', '/api/copies']) {
    const rest = path === '/api/trash' ? {} : { folder: 'b' }
    for (const json of [{}, rest, { ...rest, items: [] }, { ...rest, items: 'a' }, { ...rest, items: ['a'] }, { ...rest, items: [{}] }, { ...rest, items: [{ name: 1 }] }, { ...rest, items: [{ ...item, id: '' }] }, { ...rest, items: [{ ...item, id: 1 }] }, { ...rest, items: [{ ...item, more: 1 }] }, { ...rest, items: [item], more: 1 }, { ...rest, items: Array(10_001).fill(item) }]) {
      refused(t, await send('POST', path, { json }), 400, 'validation_failed', `${path} ${JSON.stringify(json).slice(0, 60)}`)
    }
    refused(t, await send('POST', path, { json: { ...rest, items: [{ name: 'x'.repeat(4 * MIB) }] } }), 413, 'body_too_large', path)
    refused(t, await send('POST', `${path}?folder=a`, { json: { ...rest, items: [item] } }), 400, 'validation_failed', 'a query')
    refused(t, await server.send('POST', path, { json: { ...rest, items: [item] } }), 401, 'credentials_missing', path)
    const { json: { token } } = await server.send('POST', '/api/tokens', { user, json: { name: 'reads', scopes: ['files:read'] } })
    refused(t, await server.send('POST', path, { token, json: { ...rest, items: [item] } }), 403, 'insufficient_scope', path)
  }
  for (const lost of [-1, 0.5, '1', null, 2 ** 60]) refused(t, await trashAll(['a'], { lost }), 400, 'validation_failed', `lost ${lost}`)
  for (const [path, rest] of [['/api/moves', {}], ['/api/moves', { folder: 1 }], ['/api/copies', { folder: 'b', rename: 'yes' }]] as const) {
    refused(t, await send('POST', path, { json: { ...rest, items: [item] } }), 400, 'validation_failed', JSON.stringify(rest))
  }
  for (const folder of ['..', 'a//b', 'b/', '\0', 'x'.repeat(256)]) {
    for (const path of ['/api/moves', '/api/copies']) {
      t.match(await send('POST', path, { json: { items: [item], folder } }), { status: 400, json: { code: 'name_invalid', errors: [{ field: 'folder' }] } }, folder)
    }
  }
  t.strictSame(await names(), ['a'])
})

t.test('10,000 files are deleted by one request in small steps, also if the client leaves, and the feed tells how far it is', { timeout: 120_000 }, async t => {
  const account = await openAccount()
  const { server, token, make, send } = account
  await make('box')
  await addFiles(account, 'box', 10_000)
  const { json: { next: cursor } } = await send('GET', '/api/changes')
  const request = begin(server.port, token, '/api/trash', { items: namesOf(10_000, 'box') })
  const other = await signUp(server)
  await until(async () => (await send('GET', `/api/changes?limit=1&cursor=${cursor}`)).json.changes.length > 0)
  request.destroy()
  let answered = 0
  const isLeft = async () => (await account.list({ limit: '1', folder: 'box' })).json.files.length > 0
  while (await isLeft()) if ((await server.send('GET', '/api/account', { token: other.token })).status === 200) answered++
  t.ok(answered > 9, `others were answered ${answered} times`)
  t.ok(await eventually(async () => (await account.trashAll(['box'])).status === 200))
})

t.test('an account does two such acts at once, also those whose clients have left', async t => {
  const account = await openAccount()
  const { server, token, make, put, trashAll, moveAll, copyAll, getFolder } = account
  for (const folder of ['one', 'two']) {
    await make(folder)
    await addFiles(account, folder, 6000)
  }
  await put('a')
  const requests = ['one', 'two'].map(name => begin(server.port, token, '/api/trash', { items: [{ name }] }))
  const left = async (folder: string) => Number((await runSql(account.dataDir, `SELECT count(*) AS n FROM files WHERE folder_id = (SELECT id FROM folders WHERE path = '${folder}' AND owner_id = ${account.id})`))[0]?.n)
  await until(async () => await left('one') < 6000 && await left('two') < 6000)
  for (const request of requests) request.destroy()
  for (const answer of [await trashAll(['none']), await moveAll(['none'], ''), await copyAll(['none'], '')]) {
    refused(t, answer, 429, 'too_many_acts')
    t.match(answer.headers, { 'retry-after': '5' })
  }
  const other = await signUp(server)
  t.equal((await bulkOf(server, other.token).trashAll(['a'])).status, 200, 'another account')
  t.ok(await eventually(async () => (await trashAll(['none'])).status === 200))
  t.ok(await eventually(async () => (await getFolder('one')).status === 404 && (await getFolder('two')).status === 404))
})

t.test('a server that stops leaves a beginning, and the request can be repeated', async t => {
  let server = await startServer(t)
  const { dataDir } = server
  const { id, token } = await signUp(server, 'ada')
  const count = async (folder: string) => Number((await runSql(dataDir, `SELECT count(*) AS n FROM files WHERE folder_id = (SELECT id FROM folders WHERE path = '${folder}')`))[0]?.n)
  const acts: [folder: string, act: (account: ReturnType<typeof bulkOf>) => Promise<Answer>][] = [
    ['moved', account => account.moveAll(namesOf(2000, 'moved'), 'to')],
    ['box', account => account.trashAll(namesOf(2000, 'box'))]
  ]
  for (const [folder, act] of acts) {
    await accountOf(server, token).make(folder)
    await addFiles({ dataDir, id }, folder, 2000)
    const answered = act(bulkOf(server, token))
    await until(() => count(folder), left => left < 2000)
    await server.close()
    const answer = await answered
    server = await startServer(t, { DATA_DIR: dataDir })
    refused(t, answer, 503, 'stopping', folder)
    const left = await count(folder)
    t.ok(left > 0, `${left} are left`)
    t.match((await act(bulkOf(server, token))).json, { done: left }, folder)
    t.equal(await count(folder), 0)
  }
})

t.test('files and folders are moved to a folder, which is made, and what is taken gets a number if that is asked for', async t => {
  const { put, make, moveAll, names, folders, metadata } = await openAccount()
  for (const name of ['a.txt', 'in/a.txt', 'in/b', 'box/x', 'to/box/y']) await put(name)
  const { json: file } = await metadata('a.txt')
  t.strictSame(outcomeOf(await moveAll(['a.txt', 'in/b', 'in/none'], 'new/place')), { done: 2, refused: [{ name: 'in/none', code: 'not_found' }] })
  t.match((await metadata('new/place/a.txt')).json, { id: file.id })
  t.strictSame(outcomeOf(await moveAll(['in/a.txt', 'box'], 'to')), { done: 1, refused: [{ name: 'box', code: 'name_taken' }] })
  await put('a.txt')
  const renamed = await moveAll(['a.txt', 'box'], 'to', { rename: true })
  t.strictSame(outcomeOf(renamed), { done: 2, refused: [] })
  t.strictSame(placesOf(renamed), { 'a.txt': 'to/a (2).txt', box: 'to/box (2)' })
  t.strictSame((await names()).sort(), ['new/place/a.txt', 'new/place/b', 'to/a (2).txt', 'to/a.txt', 'to/box (2)/x', 'to/box/y'])
  t.strictSame(outcomeOf(await moveAll(['to/a.txt', 'to/box', 'to'], 'to')), { done: 0, refused: [{ name: 'to', code: 'folder_into_itself' }] })
  t.strictSame(outcomeOf(await moveAll(['to/a.txt', 'to/box'], 'to', { rename: true })), { done: 2, refused: [] }, 'where they are')
  t.strictSame((await moveAll([{ name: 'to/a.txt', id: 'other' }, { name: 'to/box', id: 'other' }], '/')).json.refused.map(({ code }: { code: string }) => code), ['precondition_failed', 'precondition_failed'])
  t.strictSame(outcomeOf(await moveAll(['to/a.txt', 'to/box'], '')), { done: 2, refused: [] }, 'the root')
  t.strictSame((await folders()).sort(), ['box', 'in', 'new', 'to'])
  for (const rename of [true, false]) {
    const { json } = await moveAll(['box', 'to/a (2).txt'], 'a.txt/below', { rename })
    t.strictSame(json, { done: 0, placed: [], refused: ['box', 'to/a (2).txt'].map(name => ({ name, code: rename ? 'not_found' : 'name_taken' })) }, 'a file is no folder')
  }
  for (const name of ['same/1/x', 'same/2/x', 'same/3/x']) await put(name)
  await make('all')
  t.strictSame(outcomeOf(await moveAll(['same/1/x', 'same/2/x', 'same/3/x'], 'all', { rename: true })), { done: 3, refused: [] })
  t.strictSame((await names({ folder: 'all' })).sort(), ['all/x', 'all/x (2)', 'all/x (3)'])
})

t.test('files and folders are copied with all that is in them, also beside themselves', async t => {
  const { put, make, copyAll, names, folders, get, usage } = await openAccount()
  for (const name of ['a.txt', 'box/x', 'box/in/y']) await put(name)
  await make('box/empty')
  t.strictSame(outcomeOf(await copyAll(['a.txt', 'box', 'box/x'], 'to')), { done: 2, refused: [] })
  t.strictSame((await names()).filter(name => name.startsWith('to/')).sort(), ['to/a.txt', 'to/box/in/y', 'to/box/x'])
  t.strictSame(await folders('to/box'), ['to/box/empty', 'to/box/in'])
  t.equal((await get('to/box/in/y')).text, 'box/in/y')
  t.strictSame(outcomeOf(await copyAll(['a.txt', 'box'], '')), { done: 0, refused: ['a.txt', 'box'].map(name => ({ name, code: 'name_taken' })) })
  for (const count of [2, 3]) {
    const copied = await copyAll(['a.txt', 'box'], '', { rename: true })
    t.strictSame(outcomeOf(copied), { done: 2, refused: [] })
    t.strictSame(placesOf(copied), { 'a.txt': `a (${count}).txt`, box: `box (${count})` })
    t.equal((await get(`box (${count})/in/y`)).text, 'box/in/y')
    t.equal((await get(`a (${count}).txt`)).text, 'a.txt')
  }
  for (const folder of ['box', 'box/in']) t.strictSame(outcomeOf(await copyAll(['box', 'none', { name: 'a.txt', id: 'other' }], folder)), { done: 0, refused: [{ name: 'box', code: 'folder_into_itself' }, { name: 'none', code: 'not_found' }, { name: 'a.txt', code: 'precondition_failed' }] })
  t.match(await usage(), { files: 12, keptBytes: 0 })
})

t.test('what was copied is taken back as far as nobody has changed it since', async t => {
  const { put, make, move, remove, send, copyAll, trashAll, names, folders } = await openAccount()
  for (const name of ['a', 'box/x', 'box/in/y', 'other']) await put(name)
  await make('box/empty')
  const before = [(await names()).sort(), (await folders()).sort()]
  const isAsBefore = async (why: string) =>
    t.strictSame([(await names()).sort(), (await folders()).sort()], before, why)
  const copied = async (...items: string[]) => {
    const { json: { placed } } = await copyAll(items, '', { rename: true })
    return placed.map(({ newName: name, id, state }: Copied) => ({ name, id, state }))
  }
  t.match(await trashAll(await copied('a', 'box')), { json: { done: 2, refused: [] } })
  await isAsBefore('a file and a folder with all that is in it')
  const changes: [string, () => Promise<unknown>][] = [
    ['a file was added', () => put('box (2)/new')],
    ['a file was replaced', () => put('box (2)/in/y', 'other bytes')],
    ['a file was moved there', () => send('POST', '/api/moves', { json: { items: [{ name: 'other' }], folder: 'box (2)/in' } })],
    ['a file was deleted', () => remove('box (2)/x')],
    ['a file was moved out', () => send('POST', '/api/moves', { json: { items: [{ name: 'box (2)/x' }], folder: '' } })],
    ['a folder was added', () => make('box (2)/in/new')],
    ['it was moved and came back', async () => { for (const [from, to] of [['box (2)', 'else'], ['else', 'box (2)']] as const) await move(from, to) }]
  ]
  for (const [why, change] of changes) {
    const [item] = await copied('box')
    await change()
    const all = (await names()).sort()
    t.match((await trashAll([item])).json, { done: 0, refused: [{ name: 'box (2)', code: 'precondition_failed' }] }, why)
    t.strictSame((await names()).sort(), all, why)
    await send('POST', '/api/moves', { json: { items: [{ name: 'box (2)/in/other' }], folder: '' } })
    await trashAll(['box (2)', 'x'])
    await isAsBefore(why)
  }
  const [file, folder] = await copied('a', 'box')
  await put('a (2)', 'other bytes')
  await send('POST', '/api/moves', { json: { items: [{ name: folder.name }], folder: 'kept' } })
  await put('box (2)/x', 'of somebody else')
  for (const [item, code] of [[file, 'precondition_failed'], [folder, 'precondition_failed'], [{ ...folder, id: undefined, state: file.state }, 'precondition_failed'], [{ ...file, state: folder.state }, 'precondition_failed']]) {
    t.match((await trashAll([item])).json, { done: 0, refused: [{ name: item.name, code }] })
  }
  t.ok((await names()).includes('box (2)/x'), 'what has got the name stays')
  refused(t, await trashAll([{ name: 'a', state: 'No "state"' }]), 400, 'validation_failed')
})

t.test('a copy that does not fit, whose name is not allowed, or whose source is damaged is refused alone', { skip: skipWithoutFolder }, async t => {
  const { put, copyAll, names, id, dataDir, ...account } = await openAccount({ ALLOWED_EXTENSIONS: 'txt' })
  for (const name of ['box/1.txt', 'box/2.txt', 'a.txt', 'damaged.txt', 'hurt/1.txt', 'hurt/2.txt']) await put(name)
  await runSql(dataDir, `UPDATE files SET name = 'a.exe' WHERE name = 'a.txt' AND owner_id = ${id}`)
  await truncate(await blobPath(dataDir, 'damaged.txt', id), 1)
  await truncate(await blobPath(dataDir, '2.txt', id), 1)
  await setQuotas({ id, dataDir }, { files: 11 })
  const { json } = await copyAll(['a.exe', 'box', 'damaged.txt'], 'to')
  t.strictSame(json, { done: 0, placed: [], refused: [{ name: 'a.exe', code: 'extension_not_allowed' }, { name: 'box', code: 'quota_exceeded' }, { name: 'damaged.txt', code: 'file_damaged' }] })
  await setQuotas({ id, dataDir }, {})
  const hurt = await copyAll(['hurt', 'box'], 'to')
  t.ok(hurt.json.refused.every(({ code }: { code: string }) => code === 'file_damaged'))
  t.equal(placesOf(hurt).hurt, 'to/hurt', 'what was begun')
  t.ok((await names()).includes('to/hurt/1.txt'), 'what was copied before stays')
  t.equal((await account.usage()).files, (await names()).length)
})

t.test('a copy ends when its client leaves', async t => {
  const { put, server, token, folders, names } = await openAccount()
  for (let count = 0; count < 200; count++) await put(`box/${count}`, '')
  const copied = async () => (await folders()).includes('to') ? (await names({ folder: 'to/box' }).catch(() => [])).length : 0
  const request = begin(server.port, token, '/api/copies', { items: [{ name: 'box' }], folder: 'to' })
  await until(copied, count => count > 1)
  request.destroy()
  let count = await copied()
  await until(async () => count === (count = await copied()), isSame => isSame)
  t.ok(count < 200, `${count}`)
})

t.test('a deletion that would push older contents out of the trash says how many, and waits for a yes', async t => {
  const account = await openAccount()
  const { put, make, trashAll, trash, names, id, dataDir } = account
  for (const name of ['old', 'a', 'box/b', 'box/in/c']) await put(name)
  await make('box/empty')
  await trashAll(['old'])
  const fill = (count: number) => runSql(dataDir, `UPDATE accounts SET kept_contents = ${count} WHERE id = ${id}`)
  await fill(99_994)
  t.match((await trashAll(['none'])).json, { done: 0 }, 'all would fit')
  await fill(99_995)
  t.equal((await trashAll(['none'])).status, 200, 'not all, but this')
  await fill(99_996)
  const full = await trashAll(['a', 'box', 'none'])
  refused(t, full, 409, 'trash_full')
  t.match(full.json, { lost: 3 })
  refused(t, await trashAll(['a', 'box', 'none'], { lost: 2 }), 409, 'trash_full')
  t.equal((await names()).length, 3, 'nothing has changed')
  t.match((await trashAll(['a', 'box', 'none'], { lost: 3 })).json, { done: 2 })
  t.notOk((await trash()).some(({ name }) => name === 'old'), 'the oldest is gone')
  const { server: keepsNothing, token } = await shareAccount({ KEEP_DAYS: '0' })
  await keepsNothing.send('PUT', '/uploads/a', { token, body: 'a' })
  t.match((await bulkOf(keepsNothing, token).trashAll(['a'])).json, { done: 1 })
})
