import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { Changes, MAX_WAITING } from '#src/files/changes.ts'
import { createCursors } from '#src/files/cursor.ts'
import { CHANGES_MILLISECONDS } from '#src/metadata/change-records.ts'
import { openSqliteMetadata } from '#src/metadata/sqlite/sqlite.ts'
import { createKeyRing } from '#src/tokens/key-ring.ts'
import { createSignedTexts } from '#src/tokens/signed-texts.ts'
import { openHttp2 } from './kit/drive.ts'
import { metadataPath, openAccount, shareAccount } from './kit/kept-account.ts'
import { listTree, Mirror } from './kit/mirror.ts'
import { createRandom } from './kit/random.ts'
import { blocksOf, typeLines } from './kit/readme.ts'
import { newFile, unlimited } from './kit/records.ts'
import { root } from './kit/root.ts'
import { issueToken, namesOf, signUp, startServer, startTls, type SendOptions } from './kit/server.ts'
import { sizes } from './kit/sizes.ts'
import { runSql } from './kit/stores.ts'
import { until } from './kit/waiting.ts'

type Query = Record<string, string | number>

/** Longer than any test that is right. */
const LONG = 60

async function start () {
  return changesOf(await shareAccount())
}

function changesOf (account: Awaited<ReturnType<typeof shareAccount>>) {
  const { send, server } = account
  const changes = (query: Query = {}, options: SendOptions = {}) =>
    send('GET', `/api/changes?${new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]))}`, options)
  return {
    ...account,
    changes,
    get: async (path: string) => (await send('GET', path)).json,
    cursor: async () => String((await changes()).json.next),
    /** A request that is waiting for changes. */
    async waiting (query: Query, options: SendOptions = {}) {
      const before = server.countWaiting()
      const answer = changes({ wait: LONG, ...query }, options)
      await until(() => server.countWaiting() > before)
      return { answer }
    }
  }
}

t.test('the changes since a cursor are listed in their order, with what they are about as it is now', async t => {
  const { send, put, make, rename, remove, trash, restoreFile, changes } = await start()
  const first = await changes()
  t.match(first, { status: 200, headers: { 'cache-control': 'no-store' } })
  t.strictSame(first.json, { changes: [], next: first.json.next, reset: true, reason: 'first' })
  await put('a/b.txt', 'x')
  const { json: gone } = await put('gone', 'x')
  await rename('a/b.txt', 'c.txt')
  const { json: folder } = await send('PATCH', '/api/folders/a', { json: { name: 'd' } })
  await remove('gone')
  await remove('c.txt')
  await restoreFile((await trash()).find(({ name }) => name === 'c.txt')?.id ?? '')
  const { json: { id } } = await make('e')
  await send('DELETE', '/api/folders/e')
  const { json } = await changes({ cursor: first.json.next })
  const { json: file } = await send('GET', '/api/files/c.txt')
  t.strictSame(json.changes.map(({ at: _at, ...change }: { at: string }) => change), [
    { id: folder.id, kind: 'folder_made', name: 'a', folder },
    { id: file.id, kind: 'stored', name: 'a/b.txt', file },
    { id: gone.id, kind: 'stored', name: 'gone' },
    { id: file.id, kind: 'moved', name: 'c.txt', from: 'a/b.txt', file },
    { id: folder.id, kind: 'folder_moved', name: 'd', from: 'a', folder },
    { id: gone.id, kind: 'deleted', name: 'gone' },
    { id: file.id, kind: 'deleted', name: 'c.txt', file },
    { id: file.id, kind: 'stored', name: 'c.txt', file },
    { id, kind: 'folder_made', name: 'e' },
    { id, kind: 'folder_deleted', name: 'e' }
  ])
  t.strictSame([json.reset, json.reason], [false, undefined])
  t.ok(json.changes.every(({ at }: { at: string }) => Math.abs(Date.parse(at) - Date.now()) < 60_000))
  t.strictSame((await changes({ cursor: json.next })).json.changes, [])
  const page = (await changes({ cursor: first.json.next, limit: 5, wait: LONG })).json
  t.strictSame(page.changes, json.changes.slice(0, 5), 'what there is is not waited for')
  t.strictSame((await changes({ cursor: page.next, limit: 5, wait: LONG })).json.changes, json.changes.slice(5))
  t.strictSame((await changes({ cursor: first.json.next })).json.changes, json.changes, 'a cursor can be used again')
})

t.test('a request waits until there is a change, of this account alone, or until its time is over', async t => {
  const { server, put, changes, cursor, waiting } = await start()
  const other = await signUp(server)
  const next = await cursor()
  t.match(await changes({ wait: LONG }), { json: { reset: true } }, 'without a cursor there is nothing to wait for')
  const { answer } = await waiting({ cursor: next })
  const short = await waiting({ cursor: next, wait: 1 })
  await server.send('PUT', '/uploads/theirs', { token: other.token, body: 'x' })
  const { status, json } = await short.answer
  t.match([status, json.changes, json.reset], [200, [], false])
  t.not(json.next, next, 'of a later time')
  t.equal(server.countWaiting(), 1)
  await put('mine', 'x')
  t.match((await answer).json, { changes: [{ kind: 'stored', name: 'mine' }], reset: false })
  t.equal(server.countWaiting(), 0)
})

t.test('a folder is moved, and its old name used again, between the cursor and the listing: the copy is right', async t => {
  const { get, put, move } = await start()
  await put('a/x', 'x')
  const mirror = new Mirror(async path => {
    const answer = await get(path)
    if (path === '/api/changes') {
      await move('a', 'b')
      await put('a/new', 'x')
    }
    return answer
  })
  await mirror.begin()
  t.equal(await mirror.follow('limit=9'), 3)
  t.equal(await mirror.follow('limit=9'), 0)
  t.match(mirror.tree(), { folders: ['a', 'b'], files: [{ name: 'a/new' }, { name: 'b/x' }] })
  t.strictSame(mirror.tree(), await listTree(get))
})

t.test('a copy that was listed while the account changed, and followed it page by page, is right after an empty page', async t => {
  const account = await start()
  const { get, send, put, rename, remove, make, move, removeFolder, trash, restoreFile } = account
  const random = createRandom('changes')
  const file = () => random.pick(['x', 'y', 'a/x', 'a/y', 'b/x', 'a/b/x', 'b/c/y'])
  const folder = () => random.pick(['a', 'b', 'c', 'a/b', 'b/c'])
  const acts = [
    () => put(file(), 'x'.repeat(random.below(9))),
    () => rename(file(), file()),
    () => move(folder(), folder()),
    () => make(folder()),
    () => remove(file()),
    () => removeFolder(folder(), { recursive: 'true' }),
    async () => restoreFile((await trash())[0]?.id ?? 'none'),
    () => send('POST', `${metadataPath(file())}/copy`, { json: { name: file() } })
  ]
  for (let history = 0; history < sizes.feedHistories; history++) {
    const left = Array.from({ length: random.between(1, 15) })
    const mirror = new Mirror(async path => {
      for (; left.length > 0 && random.chance(0.7); left.pop()) await random.pick(acts)()
      return get(path)
    }, random.between(1, 3))
    await mirror.begin()
    while (await mirror.follow(`limit=${random.between(1, 4)}`) > 0 || left.length > 0);
    t.strictSame([mirror.tree(), mirror.resets], [await listTree(get), 0], `history ${history}`)
  }
})

t.test('what waits when the server stops is answered at once', async t => {
  const { server, cursor, waiting } = changesOf(await openAccount(t))
  const { answer } = await waiting({ cursor: await cursor() })
  await server.close()
  t.match(await answer, { status: 200, json: { changes: [], reset: false } })
})

t.test('a credential that is revoked meanwhile gets no changes', async t => {
  const { server, user, token, id, dataDir, send, cursor, waiting } = await start()
  const next = await cursor()
  const { json: { id: tokenId, token: personal } } = await server.send('POST', '/api/tokens', { user, json: { name: 'a sync', scopes: ['files:read'] } })
  const kept = await waiting({ cursor: next }, { user, token: '' })
  await server.send('PUT', '/uploads/b', { token, body: 'x' })
  t.match(await kept.answer, { status: 200, json: { changes: [{ name: 'b' }] } }, 'one that is not gets them')
  const last = await cursor()
  const [byToken, byPassword] = [await waiting({ cursor: last }, { token: personal }), await waiting({ cursor: last }, { user, token: '' })]
  t.equal((await send('DELETE', `/api/tokens/${tokenId}`)).status, 204)
  t.equal((await server.send('PUT', '/api/account/password', { user, json: { password: 'another horse battery' } })).status, 204)
  const renewed = await issueToken(server, { user: [user[0], 'another horse battery'] })
  await server.send('PUT', '/uploads/a', { token: renewed, body: 'x' })
  t.match(await byToken.answer, { status: 401, json: { code: 'token_revoked' } })
  t.match(await byPassword.answer, { status: 401, json: { code: 'credentials_wrong' } })
  t.not(renewed, token)
  const after = (await server.send('GET', '/api/changes', { token: renewed })).json.next
  const { answer } = await waiting({ cursor: after, wait: 2 }, { token: renewed })
  await runSql(dataDir, `UPDATE accounts SET disabled_at = 1 WHERE id = ${id}`)
  t.match(await answer, { status: 401, json: { code: 'token_revoked' } }, 'of an account that was disabled')
})

t.test('at most a hundred requests of an account wait, and clients that are gone do not count', async t => {
  const { server, token, put, changes, cursor } = await start()
  const next = await cursor()
  const path = `/api/changes?wait=${LONG}&cursor=${next}`
  const requests = Array.from({ length: MAX_WAITING }, () =>
    httpRequest({ port: server.port, host: '127.0.0.1', path, agent: false, headers: { authorization: `Bearer ${token}` } }).on('error', () => {}))
  for (const request of requests) request.end()
  await until(() => server.countWaiting() === MAX_WAITING)
  t.match(await changes({ cursor: next, wait: 1 }), { status: 429, json: { code: 'too_many_waiting' }, headers: { 'retry-after': '5' } })
  const other = await signUp(server)
  const theirs = (await server.send('GET', '/api/changes', { token: other.token })).json.next
  const answer = server.send('GET', `/api/changes?wait=${LONG}&cursor=${theirs}`, { token: other.token })
  await until(() => server.countWaiting() === MAX_WAITING + 1)
  await server.send('PUT', '/uploads/theirs', { token: other.token, body: 'x' })
  t.equal((await answer).status, 200, 'of another account')
  const [kept, ...gone] = requests
  const answered = once(kept as typeof requests[number], 'response')
  for (const request of gone) request.destroy()
  await until(() => server.countWaiting() === 1)
  await put('a', 'x')
  const [response] = await answered
  t.match(JSON.parse(Buffer.concat(await response.toArray()).toString()), { changes: [{ name: 'a' }] })
  t.equal(server.countWaiting(), 0)
})

t.test('over HTTP/2 a client that resets its stream no longer waits', async t => {
  const tls = await startTls(t)
  const { begin, ask, auth } = await openHttp2(t, tls)
  const { next } = JSON.parse((await ask('GET', '/api/changes', auth)).text)
  const waiting = () => begin('GET', `/api/changes?wait=${LONG}&cursor=${next}`, auth)
  const [gone, kept] = [waiting(), waiting()]
  await until(() => tls.store.changes.countWaiting() === 2)
  gone.close()
  await until(() => tls.store.changes.countWaiting() === 1)
  await ask('PUT', '/uploads/a', auth, 'x')
  t.match(JSON.parse(Buffer.concat(await kept.toArray()).toString()), { changes: [{ name: 'a' }] })
})

t.test('a cursor of another account, a forged one and a wrong query are refused', async t => {
  const { server, changes, cursor } = await start()
  const next = await cursor()
  const other = await signUp(server)
  const theirs = (await server.send('GET', '/api/changes', { token: other.token })).json.next
  const listing = (await server.send('GET', '/api/files?limit=1', { token: other.token })).json.next
  t.equal(listing, null)
  const forged = (next.startsWith('A') ? 'B' : 'A') + next.slice(1)
  for (const cursor of [theirs, `${next}A`, forged, 'AAAA', '']) {
    t.match(await changes({ cursor }), { status: 400, json: { code: 'validation_failed', errors: [{ field: 'cursor' }] } }, cursor)
  }
  for (const query of [{ wait: 61 }, { wait: -1 }, { wait: 'long' }, { limit: 0 }, { limit: 1001 }, { since: 1 }]) {
    t.match(await changes(query), { status: 400, json: { code: 'validation_failed' } }, JSON.stringify(query))
  }
  t.match(await server.send('GET', '/api/changes'), { status: 401, json: { code: 'credentials_missing' } })
})

t.test('with a cursor that is too old, or of another state of the store, it begins again and is told why', async t => {
  const secret = 'a-secret-of-a-test-that-is-long-enough-for-the-rules'
  const { id, dataDir, put, changes, cursor } = changesOf(await shareAccount({ SIGNING_KEYS: `a:${secret}` }))
  // After the signature.
  const [[epochId]] = JSON.parse(Buffer.from(await cursor(), 'base64url').toString('utf8', 12))
  await put('a', 'x')
  const cursors = createCursors(createSignedTexts({ keyRing: createKeyRing([{ kid: 'a', secret }], async () => undefined) }))
  const readAt = Date.now() - CHANGES_MILLISECONDS
  const cursorOf = (epochId: string, readAt: number) =>
    cursors.write({ key: [epochId, 0, readAt], id: 0 }, [id, 'changes'])
  const [old, recent] = [await cursorOf(epochId, readAt - 60_000), await cursorOf(epochId, readAt + 60_000)]
  const expired = { status: 200, json: { changes: [], reset: true, reason: 'expired' } }
  t.match(await changes({ cursor: old }), expired)
  t.match(await changes({ cursor: old, wait: LONG }), expired, 'that is not waited for')
  const { json } = await changes({ cursor: recent })
  t.match(json, { changes: [{ name: 'a' }], reset: false })
  const restored = { changes: [], reset: true, reason: 'restored' }
  t.match((await changes({ cursor: await cursorOf('of another store', readAt - 60_000) })).json, restored)
  await runSql(dataDir, 'DELETE FROM changes')
  t.match((await changes({ cursor: json.next })).json, restored)
})

t.test('of an account the latest 100,000 changes are kept, and a cursor of before is too old', async t => {
  const { server, id, dataDir, put, changes, cursor } = await start()
  const count = async () => Number((await runSql(dataDir, `SELECT count(*) AS count FROM changes WHERE owner_id = ${id}`))[0]?.count)
  const empty = await cursor()
  await put('a', 'x')
  const old = await cursor()
  await runSql(dataDir, `INSERT INTO changes (owner_id, kind, name, folder_id, at)
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100600)
    SELECT ${id}, 'folder_deleted', 'folder ' || n, 1000000 + n, (SELECT max(at) FROM changes) FROM numbers`)
  const { json } = await changes({ cursor: old, limit: 601 })
  t.match([json.reset, json.changes.at(-1).name], [false, 'folder 601'], 'the oldest one that is kept')
  const page = { cursor: json.next, limit: 1 }
  await server.runHousekeeping()
  t.equal(await count(), 100_000)
  for (const cursor of [empty, old]) t.match((await changes({ cursor })).json, { changes: [], reset: true, reason: 'expired' })
  t.match((await changes(page)).json, { changes: [{ name: 'folder 602' }], reset: false })
  await put('a', 'another')
  await server.runHousekeeping()
  t.equal(await count(), 100_000)
  t.match((await changes(page)).json, { changes: [], reset: true, reason: 'expired' })
})

t.test('who waits is woken if the database fails, and nobody waits once it is stopped', async t => {
  const metadata = await openSqliteMetadata(join(t.testdir(), 'magicstore.db'))
  const { id } = await metadata.accounts.add({ username: 'ada', usernameKey: 'ada', passwordHash: 'hash' })
  const changes = new Changes(metadata.changes)
  t.teardown(() => changes.stop())
  const wait = (onceGone = (_end: () => void) => {}) => changes.wait(id, { lastId: 0, seconds: 3600, onceGone })
  await wait(end => end())
  t.equal(changes.countWaiting(), 0, 'a client that was gone before')
  let close = () => {}
  const woken = wait(end => { close = end })
  await metadata.files.put(newFile(id, 'a'), unlimited, {})
  await woken
  const waiting = changes.wait(id, { lastId: Number.MAX_SAFE_INTEGER, seconds: 3600, onceGone: () => {} })
  close()
  t.equal(changes.countWaiting(), 1, 'after the connection of the one before has closed')
  const failed = wait()
  await metadata.close()
  await Promise.all([failed, waiting])
  changes.stop()
  await wait()
  t.equal(changes.countWaiting(), 0)
})

t.test('the commands of the page about changes work as typed', async t => {
  const folder = t.testdir({ data: {}, desk: {} })
  const server = await startServer(t, { DATA_DIR: join(folder, 'data') })
  const { token } = await signUp(server, 'test_user', 'pwd')
  const lines = blocksOf(await readFile(join(root, 'openapi/changes.md'), 'utf8'), 'sh').flat()
  const { code, stdout, stderr, statuses } = await typeLines(lines, { port: server.port, folder: join(folder, 'desk'), shell: 'sh' })
  t.equal(code, 0, { stderr })
  t.strictSame(statuses, [200, 200, 200, 201, 200, 200, 200, 201, 200, 204], { stderr })
  t.match(stdout, /"changes":\[\{"id":"[^"]+","kind":"folder_made"/)
  t.strictSame(await namesOf(server, { token }), ['reports/q2.pdf'])
})
