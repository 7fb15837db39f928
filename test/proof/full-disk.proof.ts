import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { takeRetentionLock } from '../../src/metadata/sqlite/retention-lock.ts'
import { mountDisk } from '../disks.ts'
import { formOf, runBin, signUp, spawnServer, startServer, type Client, type SendOptions, type Settings } from '../server.ts'
import { holdMinutes } from './minutes.ts'
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
  t.match(await server.send('DELETE', '/uploads/a?permanent=true', { user }), { status: 204 })
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

const KEPT_BYTES = 2 * MIB

/** A server on a disk with less than twice its MIN_FREE_BYTES free, where two users have four versions and four deleted files of 2 MiB, in turn. */
async function fillWithKept (t: Test, disk: string, settings: Settings = {}) {
  const passMinute = holdMinutes(t)
  const server = await startServer(t, { DATA_DIR: join(disk, 'data'), MIN_FREE_BYTES: String(8 * MIB), ...settings })
  const users = [await signUp(server, 'ada'), await signUp(server, 'ben')]
  const put = (token: string, name: string) => server.send('PUT', `/uploads/${name}`, { token, body: randomBytes(KEPT_BYTES) })
  for (let round = 0; round < 2; round++) {
    for (const { token } of users) {
      await put(token, 'replaced')
      await put(token, 'deleted')
      await server.send('DELETE', '/uploads/deleted', { token })
    }
  }
  for (const { token } of users) await put(token, 'replaced')
  await server.send('PUT', '/uploads/unwanted', { token: String(users[0]?.token), body: randomBytes(8 * MIB) })
  await writeFile(join(disk, 'half'), Buffer.alloc(await freeBytes(disk) - 10 * MIB, 1))

  /** All that is kept, oldest first, with what shows that it is whole. */
  async function kept (): Promise<string[]> {
    const found: { at: string, text: string }[] = []
    for (const { token } of users) {
      const versions = (await server.send('GET', '/api/files/replaced/versions', { token })).json.versions
      for (const { id, sha256, replacedAt } of versions) {
        const { bytes } = await server.send('GET', `/uploads/replaced?version=${id}`, { token })
        found.push({ at: replacedAt, text: `${sha256} ${bytes.length}` })
      }
      const { files } = (await server.send('GET', '/api/trash', { token })).json
      found.push(...files.map(({ sha256, size, deletedAt }: { sha256: string, size: number, deletedAt: string }) => ({ at: deletedAt, text: `${sha256} ${size}` })))
    }
    return found.sort((a, b) => a.at < b.at ? -1 : 1).map(({ text }) => text)
  }

  return { server, token: String(users[0]?.token), passMinute, kept }
}

t.test('on a disk that gets full the oldest of all that is kept gives way, no more than needed, and an upload fits again', async t => {
  const disk = await mountDisk(t, 'size=48m')
  if (disk === undefined) return t.comment('this machine does not let the test mount a disk')
  const { server, token, passMinute, kept } = await fillWithKept(t, disk)
  const before = await kept()
  t.equal(before.length, 8)
  const upload = () => server.send('PUT', '/uploads/new', { token, body: randomBytes(4 * MIB) })
  t.match(await upload(), { status: 507 })
  const missing = 16 * MIB - await freeBytes(disk)
  passMinute()
  // The log of the database takes some of it.
  while (await freeBytes(disk) < 15 * MIB) await wait(20)
  const after = await kept()
  t.strictSame(after, before.slice(before.length - after.length), 'the oldest are gone')
  const gone = before.length - after.length
  // The database may write in between.
  t.ok(gone >= Math.ceil(missing / KEPT_BYTES) && gone <= Math.ceil((missing + MIB) / KEPT_BYTES), `${gone} of 2 MiB for ${missing} bytes`)
  t.match(await upload(), { status: 201 })
  await writeFile(join(disk, 'rest'), Buffer.alloc(await freeBytes(disk) - MIB, 1))
  passMinute()
  while ((await kept()).length > 0) await wait(20)
  t.equal((await server.send('GET', '/uploads/new', { token })).bytes.length, 4 * MIB, 'files never give way')
  await server.close()
  t.match(await runBin(['fsck', '--deep'], { DATA_DIR: join(disk, 'data') }), { code: 0, stdout: 'all is well\n' })
})

t.test('what is kept does not give way to bytes that only the retention lock of a backup keeps', async t => {
  const disk = await mountDisk(t, 'size=48m')
  if (disk === undefined) return t.comment('this machine does not let the test mount a disk')
  const { server, token, passMinute, kept } = await fillWithKept(t, disk)
  const lock = takeRetentionLock(join(disk, 'data', 'magicstore.db'))
  t.teardown(() => lock.close())
  const before = await kept()
  await server.send('DELETE', '/uploads/unwanted?permanent=true', { token })
  for (let minute = 0; minute < 3; minute++) {
    passMinute()
    // Longer in all than the server waits for bytes that are being deleted.
    await wait(2000)
  }
  t.strictSame(await kept(), before)
  lock.close()
  passMinute()
  // The log of the database takes some of it.
  while (await freeBytes(disk) < 15 * MIB) await wait(20)
  t.strictSame(await kept(), before, 'the bytes that were waiting are enough')
})

t.test('what is kept gives way also where other bytes can\'t be deleted', async t => {
  const disk = await mountDisk(t, 'size=48m')
  if (disk === undefined) return t.comment('this machine does not let the test mount a disk')
  const { server, token, passMinute, kept } = await fillWithKept(t, disk)
  const before = (await kept()).length
  const blobs = (await readdir(join(disk, 'data/blobs'), { recursive: true, withFileTypes: true })).filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  const sizes = await Promise.all(blobs.map(async path => (await stat(path)).size))
  const path = String(blobs[sizes.indexOf(8 * MIB)])
  await rename(path, join(disk, 'elsewhere'))
  // A folder can't be removed like a file.
  await mkdir(path)
  await server.send('DELETE', '/uploads/unwanted?permanent=true', { token })
  passMinute()
  while (await freeBytes(disk) < 15 * MIB) await wait(20)
  t.ok((await kept()).length < before)
})

t.test('with no byte free and the reserve given up, whatever writes is 507 and changes nothing, and reading goes on', { timeout: 120_000 }, async t => {
  const disk = await mountDisk(t, 'size=24m')
  if (disk === undefined) return t.comment('this machine does not let the test mount a disk')
  const server = await startServer(t, { DATA_DIR: join(disk, 'data'), RATE_LIMIT_PER_MINUTE: '0' })
  const { user, token } = await signUp(server, 'ada')
  for (const body of ['former', 'a']) await server.send('PUT', '/uploads/a', { user, body })
  await server.send('PUT', '/uploads/deleted', { user, body: 'deleted' })
  await server.send('DELETE', '/uploads/deleted', { user })
  const [version, entry] = [(await server.send('GET', '/api/files/a/versions', { user })).json.versions[0].id, (await server.send('GET', '/api/trash', { user })).json.files[0].id]
  const { json: personal } = await server.send('POST', '/api/tokens', { user, json: { name: 'for a test', scopes: ['account'] } })
  const other = { username: 'ben', password: 'correct horse battery' }
  const cookie = String((await server.send('POST', '/api/session', { user })).headers['set-cookie']?.[0]?.split(';')[0])
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
    ['POST', '/api/session', { user }],
    ['GET', '/api/session', { headers: { cookie } }],
    ['DELETE', '/api/session', { headers: { cookie } }],
    ['PUT', '/api/account/password', { user, json: { password: 'another good one' } }],
    ['DELETE', '/api/account', { user }],
    ['PUT', '/uploads/b', { token, body: 'b' }],
    ['POST', '/', { token, ...formOf('b', 'b') }],
    ['DELETE', '/uploads/a', { token }],
    ['POST', `/api/files/a/versions/${version}/restore`, { token }],
    ['DELETE', `/api/files/a/versions/${version}`, { token }],
    ['POST', `/api/trash/${entry}/restore`, { token }],
    ['DELETE', `/api/trash/${entry}`, { token }],
    ['DELETE', '/api/trash', { token }],
    ['PATCH', '/api/files/a', { token, json: { name: 'b' } }]
  ]
  for (const [method, path, options] of writers) t.match(await server.send(method, path, options), { status: 507, json: { code: 'storage_full' } }, `${method} ${path}`)
  t.match(await server.send('GET', '/uploads/a', { token }), { status: 200, text: 'a' })
  t.match(await server.send('GET', `/uploads/a?version=${version}`, { token }), { status: 200, text: 'former' })
  t.match((await server.send('GET', '/api/trash', { token })).json.files, [{ id: entry }])
  t.strictSame(await names(server, user), ['a'])

  await empty()
  t.equal((await server.send('POST', '/api/users', { json: other })).status, 201, 'the name is free')
  t.equal((await server.send('PATCH', '/api/files/a', { token, json: { name: 'b' } })).status, 200)
  t.equal((await server.send('GET', '/api/session', { headers: { cookie } })).status, 200, 'the session has not ended')
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
