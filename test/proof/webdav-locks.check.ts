import { join } from 'node:path'
import t from 'tap'
import { endLocks } from '../kit/locks.ts'
import { spawnServer, type Client } from '../kit/server.ts'
import { holding, lock, openDrive, openStore } from './webdav.ts'

// Locks where a server is killed, and where servers share a store.

t.test('a lock outlives the server that gave it, and ends when its time is over', async t => {
  const settings = { DATA_DIR: t.testdir() }
  const killed = await spawnServer(t, settings)
  const drive = await openDrive(killed)
  t.equal((await drive.send('PUT', 'a', { body: 'one' })).status, 201)
  const held = await lock(drive, 'a')
  t.equal(held.status, 200)
  await killed.end('SIGKILL')

  const server = await spawnServer(t, settings)
  const put = (headers: Record<string, string> = {}) => drive.send('PUT', 'a', { headers, body: 'two' }, server)
  t.equal((await put()).status, 423)
  t.match(await server.send('DELETE', '/uploads/a', { token: drive.token }), { status: 423, json: { code: 'file_locked' } })
  t.match((await drive.send('PROPFIND', 'a', { headers: { depth: '0' } }, server)).text, held.token)
  t.equal((await put(holding(held.token))).status, 204)
  await endLocks(settings.DATA_DIR)
  t.equal((await put(holding(held.token))).status, 412)
  t.notMatch((await drive.send('PROPFIND', 'a', { headers: { depth: '0' } }, server)).text, held.token)
  t.equal((await put()).status, 204)
})

/** The statuses of answers, and how many have them. */
const countOf = (answers: { status: number }[]) =>
  answers.reduce<Record<number, number>>(
    (counts, { status }) => ({ ...counts, [status]: (counts[status] ?? 0) + 1 }), {}
  )

t.test('a lock that one server of a cluster gives binds at the other', async t => {
  const { DATA_DIR, ...settings } = await openStore(t, 'PostgreSQL and S3', join(t.testdir(), 'data'))
  const [one, other] = [await spawnServer(t, settings), await spawnServer(t, settings)]
  const drive = await openDrive(one)
  const { token: access } = drive
  const at = (server: Client) => ({
    put: (path: string, headers: Record<string, string> = {}) => drive.send('PUT', path, { headers, body: 'two' }, server),
    rest: (method: string, path: string, json?: unknown) => server.send(method, path, { token: access, json })
  })
  t.equal((await drive.send('MKCOL', 'box')).status, 201)
  t.equal((await at(one).put('box/a')).status, 201)
  t.equal((await at(one).put('free')).status, 201)

  const held = await lock(drive, 'box/', { isDeep: true }, one)
  t.equal(held.status, 200)
  for (const server of [one, other]) {
    const { put, rest } = at(server)
    for (const answer of [await put('box/a'), await put('box/new'), await drive.send('DELETE', 'box/a', {}, server), await drive.send('MOVE', 'free', { headers: { destination: `${server.url}/dav/box/free` } }, server), await lock(drive, 'box/a', {}, server)]) t.equal(answer.status, 423)
    for (const answer of [await rest('PUT', '/uploads/box/a', {}), await rest('DELETE', '/uploads/box/a'), await rest('PATCH', '/api/folders/box', { name: 'moved' }), await rest('PATCH', '/api/files/free', { name: 'box/free' })]) t.match(answer, { status: 423, json: { code: 'file_locked' } })
    t.equal((await put('box/a', { if: `<${server.url}/dav/box/> (<${held.token}>)` })).status, 204)
  }
  t.equal((await drive.send('LOCK', 'box/', { headers: { ...holding(held.token), timeout: 'Second-100' } }, other)).status, 200, 'refreshed at the other')
  t.equal((await drive.send('UNLOCK', 'box/', { headers: { 'lock-token': `<${held.token}>` } }, other)).status, 204)
  t.equal((await at(one).put('box/a')).status, 204)

  for (let round = 0; round < 2; round++) {
    const path = `raced ${round}`
    const race = (_: unknown, index: number) =>
      lock(drive, encodeURIComponent(path), {}, index % 2 === 0 ? one : other)
    const locks = await Promise.all(Array.from({ length: 8 }, race))
    t.same(countOf(locks), { 201: 1, 423: 7 }, 'one of those who race gets it')
    const [winner = ''] = locks.flatMap(({ token }) => token === '' ? [] : [token])
    t.equal((await at(other).put(encodeURIComponent(path), holding(winner))).status, 204)
  }
  t.equal((await at(other).rest('DELETE', `/api/files/${encodeURIComponent('raced 0')}/lock`)).status, 204, 'the owner breaks it')
  t.equal((await at(one).put('raced%200')).status, 204)
})
