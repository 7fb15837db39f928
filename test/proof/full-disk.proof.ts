import { randomBytes } from 'node:crypto'
import { open, rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t from 'tap'
import { mountDisk } from '../disks.ts'
import { formOf, runBin, signUp, spawnServer, startServer, type Client, type SendOptions } from '../server.ts'
import { append, beginUpload, offsetOf } from './tus.ts'

const MIB = 1024 ** 2

/** Fills the disk; the returned function frees the space again. */
async function fill (disk: string): Promise<() => Promise<void>> {
  const filler = join(disk, 'filler')
  const handle = await open(filler, 'a')
  for (const size of [MIB, 4096, 1]) {
    for (;;) {
      const written = await handle.write(Buffer.alloc(size, 1)).then(({ bytesWritten }) => bytesWritten, () => 0)
      if (written < size) break
    }
  }
  await handle.close()
  return () => rm(filler)
}

async function freeBytes (disk: string): Promise<number> {
  const { bavail, bsize } = await statfs(disk)
  return bavail * bsize
}

async function names (client: Client, user: [string, string]): Promise<string[]> {
  return (await client.send('GET', '/api/files', { user })).json.files.map((file: { name: string }) => file.name)
}

t.test('a disk that fills up refuses uploads with 507 and leaves nothing half-written', async t => {
  const disk = await mountDisk(t, 'size=24m')
  if (disk === undefined) return t.comment('this machine does not let the test mount a disk')
  const server = await startServer(t, { DATA_DIR: join(disk, 'data'), MIN_FREE_BYTES: '0' })
  const { user } = await signUp(server, 'ada')
  t.equal((await server.send('PUT', '/uploads/first', { user, body: randomBytes(2 * MIB) })).status, 201)
  for (const [kind, upload] of Object.entries({
    announced: () => server.send('PUT', '/uploads/huge', { user, body: Buffer.alloc(40 * MIB, 7) }),
    chunked: () => server.send('PUT', '/uploads/huge', { user, body: Readable.from(Buffer.alloc(40 * MIB, 7)) }),
    form: () => server.send('POST', '/', { user, ...formOf('huge', Buffer.alloc(40 * MIB, 7)) })
  })) {
    const { status, json } = await upload()
    t.match({ status, json }, { status: 507, json: { code: 'storage_full' } }, kind)
  }
  t.strictSame(await names(server, user), ['first'])
  t.ok(await freeBytes(disk) > 12 * MIB, 'the room is free again')
})

t.test('with no byte free reads, deletes, sign-in and a restart work, and uploads go on when space returns', { timeout: 120_000 }, async t => {
  const disk = await mountDisk(t, 'size=32m')
  if (disk === undefined) return t.comment('this machine does not let the test mount a disk')
  const settings = { DATA_DIR: join(disk, 'data'), MIN_FREE_BYTES: '0' }
  let server = await spawnServer(t, settings)
  const { user, token } = await signUp(server, 'ada')
  for (const name of ['a', 'b', 'c']) t.equal((await server.send('PUT', `/uploads/${name}`, { user, body: name })).status, 201)
  const empty = await fill(disk)
  t.match(await server.send('PUT', '/uploads/d', { user, body: 'd' }), { status: 507 })
  t.match(await server.send('GET', '/uploads/a', { token }), { status: 200, text: 'a' })
  t.match(await server.send('DELETE', '/uploads/a', { token }), { status: 204 })
  t.equal(await server.end('SIGTERM'), 0)
  const emptyAgain = await fill(disk)
  server = await spawnServer(t, { ...settings, MIN_FREE_BYTES: String(100 * MIB) })
  t.match(await server.send('GET', '/uploads/b', { token }), { status: 200, text: 'b' }, 'a token from before the restart')
  t.match(await server.send('DELETE', '/uploads/b', { user }), { status: 204 })
  t.match(await server.send('GET', '/api/token', { user }), { status: 200 })
  await server.end('SIGKILL')
  await fill(disk)
  server = await spawnServer(t, settings)
  t.strictSame(await names(server, user), ['c'], 'a killed server restarts with no byte free')
  await empty()
  await emptyAgain().catch(() => {})
  t.match(await server.send('PUT', '/uploads/d', { user, body: 'd' }), { status: 201 }, 'without a restart')
  t.strictSame(await names(server, user), ['c', 'd'])
  t.equal(await server.end('SIGTERM'), 0)
  t.match(await runBin(['fsck', '--deep'], settings), { code: 0 })
})

t.test('with no byte free and the reserve given up, failed sign-ins still count, and a good one is let in', { timeout: 120_000 }, async t => {
  const disk = await mountDisk(t, 'size=24m')
  if (disk === undefined) return t.comment('this machine does not let the test mount a disk')
  const server = await startServer(t, { DATA_DIR: join(disk, 'data') })
  const { user } = await signUp(server, 'ada')
  const other = await signUp(server, 'ben')
  let empty = await fill(disk)
  while ((await server.send('GET', '/api/token', { user })).status === 200) empty = await fill(disk)

  const statuses: number[] = []
  for (let index = 0; index < 400; index++) statuses.push((await server.send('GET', '/api/resource', { user: ['ada', `wrong ${index}`] })).status)
  t.strictSame([statuses.filter(status => status === 401).length, statuses.filter(status => status === 429).length], [10, 390])
  t.equal((await server.send('GET', '/api/resource', { user })).status, 429, 'the right one among them')
  t.equal((await server.send('GET', '/api/resource', { user: other.user })).status, 200, 'another account')
  await empty()
  t.equal((await server.send('GET', '/api/resource', { user })).status, 429, 'also when there is room again')
})

t.test('exhausted inodes refuse uploads with 507, and deletes bring them back', async t => {
  const disk = await mountDisk(t, 'size=64m,nr_inodes=200')
  if (disk === undefined) return t.comment('this machine does not let the test mount a disk')
  const server = await startServer(t, { DATA_DIR: join(disk, 'data') })
  const { user } = await signUp(server, 'ada')
  t.equal((await server.send('PUT', '/uploads/a', { user, body: 'a' })).status, 201)
  let count = 0
  while (await writeFile(join(disk, `filler-${count}`), '').then(() => true, () => false)) count++
  t.match(await server.send('PUT', '/uploads/b', { user, body: 'b' }), { status: 507 })
  t.match(await server.send('DELETE', '/uploads/a', { user }), { status: 204 })
  await rm(join(disk, 'filler-0'))
  t.match(await server.send('PUT', '/uploads/b', { user, body: 'b' }), { status: 201 })
})

t.test('uploads leave MIN_FREE_BYTES alone', async t => {
  const disk = await mountDisk(t, 'size=32m')
  if (disk === undefined) return t.comment('this machine does not let the test mount a disk')
  const server = await startServer(t, { DATA_DIR: join(disk, 'data'), MIN_FREE_BYTES: String(20 * MIB) })
  const { user } = await signUp(server, 'ada')
  t.match(await server.send('PUT', '/uploads/small', { user, body: randomBytes(2 * MIB) }), { status: 201 })
  t.match(await server.send('PUT', '/uploads/large', { user, body: randomBytes(8 * MIB) }), { status: 507 })
  t.match(await server.send('PUT', '/uploads/large', { user, body: Readable.from(randomBytes(8 * MIB)) }), { status: 507 })
  t.ok(await freeBytes(disk) >= 20 * MIB)
})

t.test('with no byte free and the reserve given up, whatever writes is 507 and changes nothing, and reading goes on', { timeout: 120_000 }, async t => {
  const disk = await mountDisk(t, 'size=24m')
  if (disk === undefined) return t.comment('this machine does not let the test mount a disk')
  const server = await startServer(t, { DATA_DIR: join(disk, 'data'), RATE_LIMIT_PER_MINUTE: '0' })
  const { user, token } = await signUp(server, 'ada')
  t.equal((await server.send('PUT', '/uploads/a', { user, body: 'a' })).status, 201)
  const { json: personal } = await server.send('POST', '/api/tokens', { user, json: { name: 'for a test', scopes: ['account'] } })
  const other = { username: 'ben', password: 'correct horse battery' }
  let empty = await fill(disk)
  // Each write makes the log longer; the space that the reserve frees for it is used at once.
  while ((await server.send('GET', '/api/token', { token: personal.token })).status === 200) empty = await fill(disk)

  const writers: [string, string, SendOptions][] = [
    ['POST', '/api/users', { json: other }],
    ['GET', '/api/token', { user }],
    ['DELETE', '/api/token', { token }],
    ['DELETE', '/api/tokens', { token }],
    ['POST', '/api/tokens', { user, json: { name: 'another', scopes: ['files:read'] } }],
    ['DELETE', `/api/tokens/${personal.id}`, { token }],
    ['PUT', '/api/account/password', { user, json: { password: 'another good one' } }],
    ['DELETE', '/api/account', { user }],
    ['PUT', '/uploads/b', { token, body: 'b' }],
    ['POST', '/', { token, ...formOf('b', 'b') }],
    ['DELETE', '/uploads/a', { token }],
    ['PATCH', '/api/files/a', { token, json: { name: 'b' } }]
  ]
  for (const [method, path, options] of writers) t.match(await server.send(method, path, options), { status: 507, json: { code: 'storage_full' } }, `${method} ${path}`)
  t.match(await server.send('GET', '/uploads/a', { token }), { status: 200, text: 'a' })
  t.strictSame(await names(server, user), ['a'])

  await empty()
  t.equal((await server.send('POST', '/api/users', { json: other })).status, 201, 'the name is free')
  t.equal((await server.send('PATCH', '/api/files/a', { token, json: { name: 'b' } })).status, 200)
  t.equal((await server.send('DELETE', `/api/tokens/${personal.id}`, { token })).status, 204)
})

t.test('a disk that fills up during an append refuses it with 507, keeps what was acknowledged, and the upload goes on when space returns', async t => {
  const disk = await mountDisk(t, 'size=48m')
  if (disk === undefined) return t.comment('this machine does not let the test mount a disk')
  const settings = { DATA_DIR: join(disk, 'data'), MIN_FREE_BYTES: '0' }
  const server = await startServer(t, settings)
  const { user, token } = await signUp(server, 'ada')
  const bytes = randomBytes(20 * MIB)
  const path = await beginUpload(server, token, { name: 'a', length: bytes.length })
  t.equal((await append(server, token, { path, offset: 0, bytes: bytes.subarray(0, MIB) })).status, 204)
  const filler = join(disk, 'half')
  await writeFile(filler, Buffer.alloc(await freeBytes(disk) - 8 * MIB, 1))
  const refused = await append(server, token, { path, offset: MIB, bytes: bytes.subarray(MIB) })
  t.match(refused, { status: 507, json: { code: 'storage_full' } })
  const offset = await offsetOf(server, token, path)
  t.ok(offset > 4 * MIB && offset < 10 * MIB, `${offset} bytes are kept: what the disk took`)
  t.strictSame(await names(server, user), [])
  await rm(filler)
  t.equal((await append(server, token, { path, offset, bytes: bytes.subarray(offset) })).status, 204)
  t.ok((await server.send('GET', '/uploads/a', { token })).bytes.equals(bytes))
  await server.close()
  t.match(await runBin(['fsck', '--deep'], settings), { code: 0, stdout: 'all is well\n' })
})
