import { getEventListeners } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { bodyOf, createMagicStore, MagicStoreError, pathOf, type Folder, type StoredFile } from './sdk/client.js'

// Compiled and run by sdk.check.ts, beside the client written to ./sdk. Prints one line per check and its result.

const [baseUrl] = process.argv.slice(2)
const report = (tried: string, outcome: unknown) => console.log(`${tried}: ${outcome}`)
const requests: string[] = []
const fetchAndNote = async (request: Request) => {
  const { pathname } = new URL(request.url)
  requests.push(`${request.method} ${pathname} ${request.headers.get('authorization')?.split(' ')[0] ?? 'none'}`)
  return fetch(request)
}
const noted = () => requests.splice(0).join(', ')
const failureOf = async (promise: Promise<unknown>) => promise.then(() => 'none', error => error instanceof MagicStoreError ? `${error.status} ${error.code} ${error.problem?.status}` : error.name)

const credentials = { username: 'zoë', password: 'pässword 😀' }
const store = createMagicStore({ baseUrl, credentials, fetch: fetchAndNote })
report('before registration', `${await failureOf(store.upload(new Blob(['x']), 'early.txt'))}, ${noted()}`)
report('registration', `${(await store.register(credentials)).username}, ${noted()}`)
report('a second registration', `${await failureOf(store.register(credentials))}, ${noted()}`)

const names = Array.from({ length: 7 }, (_, index) => `${index}.txt`)
await Promise.all(names.map(name => store.upload(new Blob([`bytes of ${name}`], { type: 'text/plain' }), name)))
report('seven uploads at once sign in', `${requests.filter(line => line === 'GET /api/token Basic').length} time, then ${new Set(requests.filter(line => line.startsWith('POST'))).size === 1 && requests.at(-1)}`)
requests.splice(0)
const listed: string[] = []
for await (const { name } of store.list({ limit: 3 })) listed.push(name)
report('all pages', `${listed.join()}, ${requests.splice(0).length} requests`)

const now = Date.now
Date.now = () => now() + 541_000
await store.api.GET('/api/resource')
report('near the end of the token', noted())
Date.now = now
await store.api.DELETE('/api/tokens')
requests.splice(0)
report('after all tokens ended', `${await failureOf(store.put('late.txt', new Blob(['late'])))}, then ${await failureOf(store.put('late.txt', new Blob(['late'])))}, ${noted()}`)

const { token } = bodyOf(await store.api.POST('/api/tokens', { body: { name: 'reader', scopes: ['files:read'] } }))
report('what takes the password alone', noted())
const reader = createMagicStore({ baseUrl, credentials: { token } })
report('a token without the scope', await failureOf(reader.upload(new Blob(['x']), 'x.txt')))
report('an authorization of the call\'s own', (await store.api.GET('/api/resource', { headers: { authorization: `Token ${token}` } })).data?.data)

requests.splice(0)
const begun = await store.api.POST('/api/session')
const [cookie = ''] = begun.response.headers.getSetCookie()
report('a session', `${begun.response.status} ${/Max-Age=(\d+)/.exec(cookie)?.[1]} ${bodyOf(begun).username}, ${noted()}`)
const page = createMagicStore({
  baseUrl,
  fetch: fetchAndNote,
  credentials: {
    async issue () {
      const session = bodyOf(await page.api.GET('/api/session', { headers: { cookie: cookie.split(';')[0], 'session-key': bodyOf(begun).key } }))
      if (session === undefined) throw new Error('no session')
      return session
    }
  }
})
const greet = async () => (await page.api.GET('/api/resource')).data?.data
report('tokens of the session', `${(await Promise.all([greet(), greet()])).join(' ')} ${noted()}`)
Date.now = () => now() + 541_000
await greet()
report('near the end of such a token', noted())
Date.now = now
report('what takes the password alone, of a session', await failureOf(page.api.DELETE('/api/account').then(bodyOf)))
await greet()
await store.api.DELETE('/api/tokens/{id}', { params: { path: { id: Number(bodyOf(await store.api.GET('/api/tokens')).tokens.find(({ kind }) => kind === 'session')?.id) } } })
report('after a session that was revoked', `${await failureOf(page.list().next())}, then ${await page.list().next().catch((error: Error) => error.message)}`)
report('what needs no token', (await page.api.DELETE('/api/session')).response.status)
requests.splice(0)

const read = async (name: string, range?: { first: number, last?: number }) => {
  const { stream, response } = await reader.download(name, range)
  return `${response.status} ${await text(stream)}`
}
report('a whole file', await read('3.txt'))
report('a range', await read('3.txt', { first: 0, last: 4 }))
report('a range to the end', await read('3.txt', { first: 9 }))
await store.put('empty', new Blob([]))
report('an empty file', await read('empty'))
report('a missing file', await failureOf(reader.download('missing')))
report('names that fetch would take for another path', await Promise.all([reader.download('..'), store.remove('.'), store.putResumable('..', new Blob([]))].map(failureOf)))

const put = await store.put('page.html', new Blob(['<p>one']))
report('a type by the name', put.type)
report('a type of its own', (await store.put('data.json', new Blob(['[]'], { type: 'application/vnd.own+json' }))).type)
report('creating what is there', await failureOf(store.put('page.html', new Blob(['<p>two']), { ifNoneMatch: '*' })))
report('replacing the known version', (await store.put('page.html', new Blob(['<p>two']), { ifMatch: `"${put.sha256}"` })).size)
report('replacing a gone version', await failureOf(store.put('page.html', new Blob(['<p>three']), { ifMatch: `"${put.sha256}"` })))
report('other bytes in a form', await failureOf(store.upload(new File(['<p>four'], 'page.html'))))
report('an answer of something else', await failureOf(createMagicStore({ fetch: async () => new Response('<h1>Bad gateway', { status: 502 }) }).upload(new Blob([]), 'x')))

const renamed = await store.rename('page.html', 'renamed.html')
report('renaming', `${renamed.name} ${renamed.sha256 === put.sha256}`)
report('renaming to a name that exists', await failureOf(store.rename('renamed.html', '3.txt')))

const photo = await store.put('photo.jpg', new Blob(['photo'], { type: 'image/jpeg' }))
const picture = Buffer.from('UklGRiQAAABXRUJQVlA4IBgAAAAwAQCdASoIAAgAAUAmJaQAA3AA/v02aAA=', 'base64')
report('a thumbnail', (await store.putThumbnail(photo, picture, { takenAt: '2024-07-01T12:30:00' })).takenAt)
const thumbnail = await store.thumbnail(photo)
report('its bytes', `${thumbnail.type} ${Buffer.from(await thumbnail.arrayBuffer()).equals(picture)}`)
report('a thumbnail of another content', await failureOf(store.putThumbnail({ ...photo, sha256: '0' }, picture)))
report('the time alone', (await store.setTakenAt(photo, '2023-01-31T00:00:00')).takenAt)
const [month] = await store.timeline({ below: true })
report('a timeline', `${month?.month} ${month?.files} ${(await store.list({ kind: 'image', order: '-taken' }).next()).value?.name}`)
await store.remove('photo.jpg', { permanent: true })
const copied = await store.copy('renamed.html', 'copies/page.html')
report('copying', `${copied.name} ${copied.sha256 === renamed.sha256} ${copied.type}`)
report('copying to a name that exists', await failureOf(store.copy('renamed.html', '3.txt')))
for (const { stream, response } of [await reader.zipFolder('copies'), await reader.zip(['renamed.html', 'copies'])]) {
  const bytes = await text(stream)
  report('a zip', `${response.headers.get('content-length')} ${bytes.slice(0, 2)} ${bytes.includes('copies/page.html')}`)
}
report('a zip of what is not there', await failureOf(reader.zip(['missing'])))
report('breaking a lock that is not there', await failureOf(store.breakLock('copies/page.html')))
report('the same of a folder', await failureOf(store.breakFolderLock('copies')))
await store.removeFolder('copies', { recursive: true, permanent: true })
report('removing a gone version', await failureOf(store.remove('renamed.html', { ifMatch: `"${put.sha256}"` })))
await store.remove('renamed.html')
report('what was removed', await failureOf(store.download('renamed.html')))

const all = async <T> (
  entries: AsyncIterable<T>
) => { const found: T[] = []; for await (const entry of entries) found.push(entry); return found }
for (const content of ['one', 'two', 'three']) await store.put('notes.txt', new Blob([content]))
const [second, first] = await all(store.versions('notes.txt'))
report('versions', `${second?.size} ${first?.size}`)
report('a version', await text((await store.download('notes.txt', { version: first?.id })).stream))
report('restoring it in place of another one', await failureOf(store.restoreVersion('notes.txt', String(first?.id), { ifMatch: `"${first?.sha256}"` })))
report('restoring it', (await store.restoreVersion('notes.txt', String(first?.id))).sha256 === first?.sha256)
await store.remove('notes.txt')
const [deleted] = await all(store.trash())
report('the trash', `${deleted?.name} ${deleted?.versions}`)
report('restoring under another name', (await store.restore(String(deleted?.id), { name: 'more notes.txt' })).name)
await store.remove('more notes.txt', { permanent: true })
report('deleting for good', (await all(store.trash())).length)

const namesOf = async (entries: AsyncIterable<{ name: string }>) => (await all(entries)).map(({ name }) => name)
const inFolders = [await store.put('a/b/ü.txt', 'x'), await store.upload('y', 'a/c/two.txt'), await store.putResumable('a/b/three.txt', 'z'), await store.upload('bytes of 2.txt', '/2.txt')]
report('names with folders', inFolders.map(({ name }) => name))
report('folders of the root', await namesOf(store.listFolders()))
report('folders of a folder', await namesOf(store.listFolders('a')))
const { next: cursor, reset } = await store.changes()
const made = await store.createFolder('a/c/new')
const { changes } = await store.changes({ cursor, wait: 5 })
report('changes', `${reset} ${changes.map(({ kind, name }) => `${kind} ${name}`).join()}`)
report('a new folder', `${made.name}, twice: ${(await store.createFolder('a/c/new')).createdAt === made.createdAt}`)
report('a folder in place of a file', await failureOf(store.createFolder('a/c/two.txt')))
const retries: unknown[] = []
report('a resumable upload in place of a folder', `${await failureOf(store.putResumable('a/b', 'x', { onRetry: error => retries.push(error) }))}, ${retries.length} retries`)
report('one folder', (await store.getFolder('a/c/new')).name)
report('files of one folder', await namesOf(store.list({ folder: 'a/b' })))
report('files of all folders, each page in one', (await namesOf(store.list({ limit: 1 }))).filter(name => name.startsWith('a/')))
const updates = store.mirror()
const pathsOf = async () => {
  const { value } = await updates.next()
  if (value === undefined) return 'the end'
  const { mirror, changed, reason } = value
  const [folders, files] = [mirror.folders, mirror.files].map((entries: ReadonlyMap<string, Folder | StoredFile>) =>
    Array.from(entries.values(), entry => pathOf(mirror, entry)).sort())
  return `${reason} ${changed.size} ${folders} ${String(files) === String((await namesOf(store.list())).sort())}`
}
report('a mirror', await pathsOf())
report('moving a folder', (await store.moveFolder('a', 'moved/a')).name)
report('the mirror after that', await pathsOf())
report('moving a folder into itself', await failureOf(store.moveFolder('moved', 'moved/a/b/moved')))
report('moving a file', (await store.rename('moved/a/b/ü.txt', 'moved/ü.txt')).name)
report('the mirror after that', await pathsOf())
await updates.return()
await store.star('moved/ü.txt', true)
await store.starFolder('moved/a', true)
report('stars', [...await namesOf(store.list({ starred: true })), (await store.getFolder('moved/a')).starred].join())
report('stars that are taken', [(await store.star('moved/ü.txt', false)).starred, (await store.starFolder('moved/a', false)).starred].join())
report('removing a folder that is not empty', await failureOf(store.removeFolder('moved')))
await store.removeFolder('moved/a/c/new')
report('removing an empty folder', await failureOf(store.getFolder('moved/a/c/new')))
await store.removeFolder('moved', { recursive: true })
report('removing a folder', await failureOf(store.getFolder('moved')))
const gone = (await all(store.trash())).filter(({ deletedWith }) => deletedWith !== null)
const deletions = new Set(gone.map(({ deletedWith }) => deletedWith))
report('what it moved to the trash', `${gone.map(({ name }) => name).sort()} of ${deletions.size} deletion`)
await store.put('moved/ü.txt', 'in its place')
const { restored, kept } = await store.restoreDeletion(String(gone[0]?.deletedWith))
report('restoring them', `${restored}, ${kept.map(({ name, code }) => `${name} ${code}`)}`)
await store.removeFolder('moved', { recursive: true, permanent: true })
report('removing a folder for good', (await all(store.trash())).length)
const dated = (lastModified: number) => new File(['dated'], '', { lastModified })
const times = [await store.put('dated', dated(86_400_000)), await store.upload(dated(86_400_000), 'dated'), await store.putResumable('dated', dated(86_400_000))]
report('times of files', times.map(({ modifiedAt }) => modifiedAt))
report('times that can\'t be told', [await store.put('dated', dated(8.64e15)), await store.put('dated', 'a string')].map(({ modifiedAt }) => modifiedAt ?? 'null'))

const bytes = Buffer.from('bÿtes')
const contents = ['tëxt', bytes, new Uint8Array(bytes), Uint8Array.from(bytes).buffer, new DataView(bytes.buffer, bytes.byteOffset, 2), new Uint16Array([0x4141])]
for (const act of ['put', 'putResumable', 'upload'] as const) {
  const stored: string[] = []
  for (const [index, content] of contents.entries()) {
    const name = `${act} ${index}.txt`
    await (act === 'upload' ? store.upload(content, name) : store[act](name, content))
    stored.push(await text((await store.download(name)).stream))
  }
  report(`strings and bytes by ${act}`, stored.join())
}
const typed = [await store.put('page.html', '<p>'), await store.put('README', 'text'), await store.put('README', bytes), await store.put('README', new Blob(['#'], { type: 'text/markdown' }))]
report('the types of strings and bytes', typed.map(({ type }) => type).join())
report('a string through the API', bodyOf(await store.api.PUT('/uploads/{name}', { params: { path: { name: 'direct.txt' } }, body: 'direct' as never })).size)
requests.splice(0)
const others: unknown[] = [undefined, null, 1, true, {}, ['x'], new ReadableStream(), (async function * () {})(), Promise.resolve('x'), new FormData()]
const refused = new Set<string>()
for (const other of others) {
  for (const act of [() => store.put('x', other as string), () => store.putResumable('x', other as string), () => store.upload(other as string, 'x')]) refused.add(await failureOf(act()))
}
report('anything else', `${[...refused].join()}, requests: ${noted()}`)

const lasting = new AbortController()
for (const act of ['put', 'putResumable', 'upload'] as const) {
  const options = { signal: lasting.signal, onProgress: () => {} }
  await (act === 'upload' ? store.upload(bytes, 'listened.txt', options) : store[act]('listened.txt', bytes, options))
}
await failureOf(store.put('listened.txt', bytes, { signal: lasting.signal, ifNoneMatch: '*' }))
report('listeners that uploads leave at a signal', getEventListeners(lasting.signal, 'abort').length)

const MIB = 1024 ** 2
const big = new Blob([new Uint8Array(20 * MIB)])
const reports: number[] = []
const onProgress = (sentBytes: number, totalBytes: number) => {
  if (totalBytes !== big.size || sentBytes < (reports.at(-1) ?? 0)) throw new Error(`${sentBytes} of ${totalBytes}`)
  reports.push(sentBytes)
}
const progressed = (size: number) => `${size} ${reports.length > 100} ${reports.splice(0).at(-1)}`
report('progress of a form', progressed((await store.upload(big, 'form.bin', { onProgress })).size))
report('progress of a put', progressed((await store.put('big.bin', big, { onProgress })).size))
report('progress of a refusal', await failureOf(store.put('big.bin', big, { onProgress: () => {}, ifNoneMatch: '*' })))

report('a resumable upload', progressed((await store.putResumable('resumable.bin', big, { onProgress })).size))
report('a resumable upload of nothing', (await store.putResumable('nothing.html', new Blob([]), { onProgress: () => {} })).type)
report('a resumable upload that replaces', (await store.putResumable('nothing.html', new Blob(['x'], { type: 'text/x-own' }))).type)
report('a resumable upload of what is there', await failureOf(store.putResumable('nothing.html', big, { ifNoneMatch: '*' })))
report('an upload that does not exist', await failureOf(store.putResumable('x', big, { id: '0'.repeat(32) })))
report('resumable with an aborted signal', await failureOf(store.putResumable('x', big, { signal: AbortSignal.abort() })))
report('a wait that is aborted', await failureOf(createMagicStore({ baseUrl: 'http://127.0.0.1:1', credentials: { token } }).putResumable('x', big, { signal: AbortSignal.timeout(100) })))

const whileCreated = new AbortController()
let tellEnd = (_status: number): void => {}
const ended = new Promise<number>(resolve => { tellEnd = resolve })
const cancelled = createMagicStore({
  baseUrl,
  credentials,
  async fetch (request) {
    const response = await fetch(request)
    if (request.method === 'PUT') whileCreated.abort()
    if (request.method === 'DELETE') tellEnd(response.status)
    return response
  }
})
report('a creation that is aborted', `${await failureOf(cancelled.putResumable('x', big, { signal: whileCreated.signal }))}, ended ${await ended}`)

const attempts: string[] = []
/** Loses the first response to each request of a resumable upload, and answers its first append with `status`. */
const losing = (status: number) => createMagicStore({
  baseUrl,
  credentials,
  async fetch (request) {
    const tried = `${request.method} ${new URL(request.url).pathname.split('/').slice(1, 3).join('/')}`
    attempts.push(request.method)
    const response = await fetch(request)
    if (attempts.filter(method => method === request.method).length > 1 || tried === 'GET api/token') return response
    if (request.method === 'PATCH') return new Response('', { status })
    throw new TypeError('the response is lost')
  }
})
for (const status of [409, 429, 503]) {
  const { size, sha256 } = await losing(status).putResumable('lost.bin', new Blob([`${status}`]))
  report(`responses that are lost, and a ${status}`, `${size} ${sha256.length} ${attempts.splice(0).join()}`)
}
const wait = globalThis.setTimeout
globalThis.setTimeout = Object.assign(
  (next: (...args: unknown[]) => void, _ms?: number, ...args: unknown[]) => wait(next, 0, ...args), wait
)
let calls = 0
const away = createMagicStore({ baseUrl, credentials: { token }, fetch: async () => { calls++; throw new TypeError('the network is down') } })
const retried: string[] = []
const onRetry = (error: unknown) => { retried.push(error instanceof Error ? error.name : 'no error') }
report('a server that stays away', `${await failureOf(away.putResumable('x', big, { onRetry }))} after ${calls} requests, tells ${retried.length} times of ${retried[0]}`)
globalThis.setTimeout = wait
report('uploads that are left', bodyOf(await store.api.GET('/api/uploads')).uploads.length)

// Run with --expose-gc: a request must not be collected while its caller can still abort it.
const collecting = setInterval(() => { globalThis.gc?.() }, 20)
const stalled = createServer(socket => { socket.on('error', () => {}).pause() }).listen(0, '127.0.0.1')
await new Promise(resolve => stalled.once('listening', resolve))
const waiting = createMagicStore({ baseUrl: `http://127.0.0.1:${(stalled.address() as AddressInfo).port}`, credentials: { token } })
report('a server that stalls', `${await failureOf(waiting.put('big.bin', big, { onProgress, signal: AbortSignal.timeout(1000) }))}, all sent: ${reports.splice(0).at(-1) === big.size}`)
report('a list that stalls', await failureOf(waiting.list({}, { signal: AbortSignal.timeout(100) }).next()))
stalled.close()

const controller = new AbortController()
report('an upload that is aborted', await failureOf(store.put('aborted.bin', big, { signal: controller.signal, onProgress: sent => { if (sent > MIB) controller.abort() } })))
report('what was aborted', await failureOf(store.download('aborted.bin')))
report('register with an aborted signal', await failureOf(store.register(credentials, controller)))
report('upload with an aborted signal', await failureOf(store.upload(big, 'aborted.bin', controller)))
report('download with an aborted signal', await failureOf(store.download('big.bin', controller)))
report('rename with an aborted signal', await failureOf(store.rename('big.bin', 'aborted.bin', controller)))
report('remove with an aborted signal', await failureOf(store.remove('big.bin', controller)))
const reading = new AbortController()
const { stream } = await store.download('big.bin', reading)
await setTimeout(100)
reading.abort()
report('a download that is aborted', await failureOf(text(stream)))
const silent = createMagicStore({ credentials, fetch: () => new Promise(() => {}) })
report('a sign-in that takes too long', await failureOf(silent.remove('big.bin', { signal: AbortSignal.timeout(100) })))
clearInterval(collecting)
