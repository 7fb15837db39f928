import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rename, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { takeRetentionLock } from '#src/metadata/sqlite/discarded-blobs.ts'
import { inChunks } from '../kit/bytes.ts'
import { runCommand } from '../kit/commands.ts'
import { fill, mountDisk } from '../kit/disks.ts'
import { sha256Of } from '../kit/digests.ts'
import { setLock } from '../kit/locks.ts'
import { webpOf } from '../kit/pictures.ts'
import {
  type Answer, formOf, namesOf, type SendOptions, type Settings, signUp, spawnServer, startServer
} from '../kit/server.ts'
import { isProof, MIB } from '../kit/sizes.ts'
import { append, beginUpload, offsetOf } from '../kit/tus.ts'
import { until } from '../kit/waiting.ts'

/** A test with a small disk, which not every machine permits. */
const test = (name: string, options: string, run: (t: Test, disk: string) => Promise<void>) =>
  t.test(name, { timeout: 120_000 }, async t => {
    const disk = await mountDisk(t, options)
    if (disk !== undefined) await run(t, disk)
  })

async function freeBytes (disk: string): Promise<number> {
  const { bavail, bsize } = await statfs(disk)
  return bavail * bsize
}

test('a disk that fills up refuses uploads with 507 and leaves nothing half-written', 'size=24m', async (t, disk) => {
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
  t.strictSame(await namesOf(server, { user }), ['first'])
  t.ok(await freeBytes(disk) > 12 * MIB, 'the room is free again')
})

test('with no byte free reads, deletes, sign-in and a restart work, and uploads go on when space returns', 'size=32m', async (t, disk) => {
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
  t.strictSame(await namesOf(server, { user }), ['c'], 'a killed server restarts with no byte free')
  await empty()
  await emptyAgain().catch(() => {})
  t.match(await server.send('PUT', '/uploads/d', { user, body: 'd' }), { status: 201 }, 'without a restart')
  t.strictSame(await namesOf(server, { user }), ['c', 'd'])
  t.equal(await server.end('SIGTERM'), 0)
  t.match(await runCommand(['fsck', '--deep'], settings), { code: 0 })
})

test('exhausted inodes refuse uploads with 507, and deletes bring them back', 'size=64m,nr_inodes=200', async (t, disk) => {
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

const KEPT_BYTES = 2 * MIB

/**
 * A server on a disk with less than twice its MIN_FREE_BYTES free, where two users have four versions and four deleted
 * files of 2 MiB, in turn.
 */
async function fillWithKept (t: Test, disk: string, settings: Settings = {}) {
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

  return { server, token: String(users[0]?.token), kept }
}

const DELETED = Array.from({ length: isProof ? 9 : 6 }, (_, index) => `deleted-${index}`)

/**
 * What two users keep: `count` deleted files of 2 MiB each, oldest first. `leave` fills the disk until only so many
 * bytes are free.
 */
async function keepTrash (
  t: Test, disk: string, { settings = {}, count = DELETED.length }: { settings?: Settings, count?: number } = {}
) {
  const server = await startServer(t, { DATA_DIR: join(disk, 'data'), MIN_FREE_BYTES: '0', ...settings })
  const users = [await signUp(server, 'ada'), await signUp(server, 'ben')] as const
  for (const { token } of users) {
    for (let index = 0; index < count; index++) {
      await server.send('PUT', `/uploads/deleted-${index}`, { token, body: randomBytes(KEPT_BYTES) })
      await server.send('DELETE', `/uploads/deleted-${index}`, { token })
    }
  }
  let fillers = 0
  return {
    server,
    tokens: users.map(({ token }) => token) as [string, string],
    async leave (bytes: number) {
      await writeFile(join(disk, `leave-${fillers++}`), Buffer.alloc(await freeBytes(disk) - bytes, 1))
      // The server uses its last measurement for 100 ms.
      const measured = performance.now()
      await until(() => performance.now() > measured + 100)
    },
    trash: async (token: string): Promise<string[]> => (await server.send('GET', '/api/trash', { token })).json.files.map((file: { name: string }) => file.name).reverse()
  }
}

for (const [index, kind] of ['announced', 'chunked', 'form', 'chunked form', 'resumable', 'resumable without a length'].entries()) {
  // In the checks each kind with one of them.
  for (const minFreeBytes of isProof ? [0, 4 * MIB] : [index % 2 * 4 * MIB]) {
    test(`an upload that does not fit takes what is kept, its owner's oldest first, with ${minFreeBytes} bytes to keep free: ${kind}`, 'size=64m', async (t, disk) => {
      const { server, tokens: [ada, ben], leave, trash } =
        await keepTrash(t, disk, { settings: { MIN_FREE_BYTES: String(minFreeBytes) } })
      async function upload (name: string, bytes: Buffer): Promise<Answer> {
        switch (kind) {
          case 'announced': return server.send('PUT', `/uploads/${name}`, { token: ben, body: bytes })
          case 'chunked': return server.send('PUT', `/uploads/${name}`, { token: ben, body: Readable.from(inChunks(bytes)) })
          case 'form': return server.send('POST', '/', { token: ben, ...formOf(name, bytes) })
          case 'chunked form': {
            const { headers, body } = formOf(name, bytes)
            return server.send('POST', '/', { token: ben, headers, body: Readable.from(inChunks(body)) })
          }
          case 'resumable': {
            const path = await beginUpload(server, ben, { name, length: bytes.length })
            return append(server, ben, { path, offset: 0, bytes })
          }
          default: return server.send('PUT', `/uploads/${name}`, { token: ben, headers: { 'upload-complete': '?1' }, body: Readable.from(inChunks(bytes)) })
        }
      }
      await leave(minFreeBytes + MIB)
      const first = randomBytes(4 * MIB)
      t.match(await upload('first', first), { status: kind === 'resumable' ? 204 : 201 })
      const own = await trash(ben)
      t.ok(own.length > 0 && own.length < DELETED.length, `${own.length} are left`)
      t.strictSame(own, DELETED.slice(-own.length), 'the oldest are gone')
      t.strictSame(await trash(ada), DELETED, 'those of others are not touched')

      await leave(minFreeBytes + MIB / 2)
      const second = randomBytes(own.length * KEPT_BYTES + MIB)
      t.match(await upload('second', second), { status: kind === 'resumable' ? 204 : 201 })
      t.strictSame(await trash(ben), [])
      const others = await trash(ada)
      t.ok(others.length > 0 && others.length < DELETED.length, `${others.length} are left`)
      t.strictSame(others, DELETED.slice(-others.length))

      await leave(minFreeBytes + MIB / 2)
      const refused = await upload('third', randomBytes(others.length * KEPT_BYTES + 12 * MIB)).catch((error: Error) => error)
      if ('status' in refused) t.match(refused, { status: 507, headers: { 'retry-after': /^\d+$/ }, json: { code: 'storage_full' } })
      else t.match(refused.message, '507', 'not even created')
      for (const [name, bytes] of [['first', first], ['second', second]] as const) t.ok((await server.send('GET', `/uploads/${name}`, { token: ben })).bytes.equals(bytes), name)
      await server.close()
      t.match(await runCommand(['fsck', '--deep'], { DATA_DIR: join(disk, 'data') }), { code: 0, stdout: 'all is well\n' })
    })
  }
}

test('what can\'t fit takes nothing of what is kept, nor does an upload while a backup retains the bytes, which does when it has ended', 'size=64m', async (t, disk) => {
  const { server, tokens: [ada, ben], leave, trash } = await keepTrash(t, disk)
  await leave(MIB)
  t.match(await server.send('PUT', '/uploads/huge', { token: ben, body: Buffer.alloc(50 * MIB) }), { status: 507, headers: { 'retry-after': /^\d+$/ } })
  t.strictSame([await trash(ada), await trash(ben)], [DELETED, DELETED])
  const lock = takeRetentionLock(join(disk, 'data', 'magicstore.db'))
  t.teardown(() => lock.close())
  for (const body of [randomBytes(3 * MIB), () => Readable.from(inChunks(randomBytes(3 * MIB)))]) {
    t.match(await server.send('PUT', '/uploads/new', { token: ben, body: typeof body === 'function' ? body() : body }), { status: 507, headers: { 'retry-after': /^\d+$/ } })
    t.strictSame([await trash(ada), await trash(ben)], [DELETED, DELETED])
  }
  lock.close()
  t.match(await server.send('PUT', '/uploads/new', { token: ben, body: randomBytes(3 * MIB) }), { status: 201 })
})

test('many uploads at once share the room that is made, and all of them fit', 'size=64m', async (t, disk) => {
  const { server, tokens, leave } = await keepTrash(t, disk, { count: 12 })
  await leave(MIB)
  const uploads = Array.from({ length: 24 }, (_, index) => ({ name: `new-${index}`, token: tokens[index % 2], bytes: randomBytes(MIB) }))
  const statuses = await Promise.all(uploads.map(async ({ name, token, bytes }, index) => (await server.send('PUT', `/uploads/${name}`, { token: String(token), body: index % 3 === 0 ? Readable.from(inChunks(bytes)) : bytes })).status))
  t.strictSame(statuses, uploads.map(() => 201))
  for (const { name, token, bytes } of uploads) t.ok((await server.send('GET', `/uploads/${name}`, { token: String(token) })).bytes.equals(bytes), name)
})

test('where the disk has no inodes left an upload takes what is kept too', 'size=64m,nr_inodes=400', async (t, disk) => {
  const { server, tokens: [ada, ben], trash } = await keepTrash(t, disk)
  for (let count = 0; await writeFile(join(disk, `filler-${count}`), '').then(() => true, () => false);) count++
  t.match(await server.send('PUT', '/uploads/new', { token: ben, body: 'new' }), { status: 201 })
  t.strictSame(await trash(ada), DELETED)
  t.ok((await trash(ben)).length < DELETED.length)
})

test('on a disk that gets full the oldest of all that is kept gives way, no more than needed and not to bytes that only a backup keeps, and an upload fits again', 'size=48m', async (t, disk) => {
  const { server, token, kept } = await fillWithKept(t, disk)
  const before = await kept()
  t.equal(before.length, 8)
  const lock = takeRetentionLock(join(disk, 'data', 'magicstore.db'))
  t.teardown(() => lock.close())
  await server.send('DELETE', '/uploads/unwanted?permanent=true', { token })
  await server.runHousekeeping()
  t.strictSame(await kept(), before)
  lock.close()
  await server.runHousekeeping()
  // The log of the database takes some of it.
  await until(() => freeBytes(disk), free => free >= 15 * MIB)
  t.strictSame(await kept(), before, 'the bytes that were waiting are enough')
  await writeFile(join(disk, 'other'), Buffer.alloc(await freeBytes(disk) - 10 * MIB, 1))
  const missing = 16 * MIB - await freeBytes(disk)
  await server.runHousekeeping()
  await until(() => freeBytes(disk), free => free >= 15 * MIB)
  const after = await kept()
  t.strictSame(after, before.slice(before.length - after.length), 'the oldest are gone')
  const gone = before.length - after.length
  // The database may write in between.
  t.ok(gone >= Math.ceil(missing / KEPT_BYTES) && gone <= Math.ceil((missing + MIB) / KEPT_BYTES), `${gone} of 2 MiB for ${missing} bytes`)
  t.match(await server.send('PUT', '/uploads/new', { token, body: randomBytes(4 * MIB) }), { status: 201 })
  t.strictSame(await kept(), after, 'which fits without more')
  await writeFile(join(disk, 'rest'), Buffer.alloc(await freeBytes(disk) - MIB, 1))
  await server.runHousekeeping()
  await until(async () => (await kept()).length === 0)
  t.equal((await server.send('GET', '/uploads/new', { token })).bytes.length, 4 * MIB, 'files never give way')
  await server.close()
  t.match(await runCommand(['fsck', '--deep'], { DATA_DIR: join(disk, 'data') }), { code: 0, stdout: 'all is well\n' })
})

test('what is kept gives way also where other bytes can\'t be deleted', 'size=48m', async (t, disk) => {
  const { server, token, kept } = await fillWithKept(t, disk)
  const before = (await kept()).length
  const blobs = (await readdir(join(disk, 'data/blobs'), { recursive: true, withFileTypes: true })).filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  const sizes = await Promise.all(blobs.map(async path => (await stat(path)).size))
  const path = String(blobs[sizes.indexOf(8 * MIB)])
  await rename(path, join(disk, 'elsewhere'))
  // A folder can't be removed like a file.
  await mkdir(path)
  await server.send('DELETE', '/uploads/unwanted?permanent=true', { token })
  await server.runHousekeeping()
  await until(() => freeBytes(disk), free => free >= 15 * MIB)
  t.ok((await kept()).length < before)
})

test('with no byte free and the reserve given up, whatever writes is 507 and changes nothing, and reading goes on', 'size=24m', async (t, disk) => {
  const server = await startServer(t, { DATA_DIR: join(disk, 'data'), RATE_LIMIT_PER_MINUTE: '0', LINKS: 'on' })
  const { user, token } = await signUp(server, 'ada')
  for (const body of ['former', 'a']) await server.send('PUT', '/uploads/a', { user, body })
  await server.send('POST', '/api/links', { user, json: { name: 'a', kind: 'download' } })
  await server.send('PUT', '/uploads/gone/a', { user, body: 'gone' })
  await server.send('DELETE', '/api/folders/gone?recursive=true', { user })
  const { json: { files: [{ deletedWith }] } } = await server.send('GET', '/api/trash', { user })
  await server.send('PUT', '/api/folders/empty', { user })
  for (const name of ['locked', 'locked/a']) await setLock(join(disk, 'data'), name)
  await server.send('PUT', '/uploads/deleted', { user, body: 'deleted' })
  await server.send('DELETE', '/uploads/deleted', { user })
  const [version, entry] = [(await server.send('GET', '/api/files/a/versions', { user })).json.versions[0].id, (await server.send('GET', '/api/trash', { user })).json.files[0].id]
  const { json: personal } = await server.send('POST', '/api/tokens', { user, json: { name: 'for a test', scopes: ['account'] } })
  const other = { username: 'ben', password: 'correct horse battery' }
  const begun = await server.send('POST', '/api/session', { user })
  const session = { cookie: String(begun.headers['set-cookie']?.[0]?.split(';')[0]), 'session-key': begun.json.key }
  const asked = { name: 'a program', scopes: ['files:read'] }
  const { json: connection } = await server.send('POST', '/api/connections', { json: asked })
  await server.send('POST', `/api/connections/${connection.id}/allow`, { user })
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
    ['POST', '/api/connections', { json: asked }],
    ['POST', `/api/connections/${connection.id}/token`, { json: { secret: connection.secret } }],
    ['POST', '/api/session', { user }],
    ['GET', '/api/session', { headers: session }],
    ['DELETE', '/api/session', { headers: session }],
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
    ['PATCH', '/api/files/a', { token, json: { name: 'b' } }],
    ['POST', '/api/files/a/copy', { token, json: { name: 'b' } }],
    ['PUT', '/api/files/a/thumbnail', { token, body: webpOf(), headers: { 'if-match': `"${sha256Of(Buffer.from('a'))}"` } }],
    ['PUT', '/api/files/a/taken', { token, json: { takenAt: '2024-07-01T12:30:00' }, headers: { 'if-match': `"${sha256Of(Buffer.from('a'))}"` } }],
    ['DELETE', '/api/files/locked%2Fa/lock', { token }],
    ['DELETE', '/api/folders/locked/lock', { token }],
    ['PUT', '/api/folders/new', { token }],
    ['PATCH', '/api/folders/empty', { token, json: { name: 'moved' } }],
    ['DELETE', '/api/folders/empty', { token }],
    ['DELETE', '/api/folders/empty?recursive=true', { token }],
    ['POST', '/api/trash/restore', { token, json: { deletedWith } }],
    ['POST', '/api/links', { token, json: { name: 'a', kind: 'download' } }],
    ['PATCH', '/api/links/1', { token, json: { showsOwner: false } }],
    ['POST', '/api/links/1/secret', { token }],
    ['DELETE', '/api/links/1', { token }],
    ['DELETE', '/api/links', { token }]
  ]
  for (const [method, path, options] of writers) t.match(await server.send(method, path, options), { status: 507, json: { code: 'storage_full' } }, `${method} ${path}`)
  t.match(await server.send('GET', '/uploads/a', { token }), { status: 200, text: 'a' })
  t.match(await server.send('GET', `/uploads/a?version=${version}`, { token }), { status: 200, text: 'former' })
  t.match((await server.send('GET', '/api/trash', { token })).json.files, [{ id: entry }, { deletedWith }])
  t.match((await server.send('GET', '/api/folders', { token })).json.folders, [{ name: 'empty' }])
  t.strictSame(await namesOf(server, { user }), ['a'])

  await empty()
  t.equal((await server.send('POST', '/api/users', { json: other })).status, 201, 'the name is free')
  t.equal((await server.send('PATCH', '/api/files/a', { token, json: { name: 'b' } })).status, 200)
  t.equal((await server.send('GET', '/api/session', { headers: session })).status, 200, 'the session has not ended')
  t.equal((await server.send('DELETE', `/api/tokens/${personal.id}`, { token })).status, 204)
})

test('a disk that fills up during an append refuses it with 507, keeps what was acknowledged, and the upload goes on when space returns', 'size=48m', async (t, disk) => {
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
  t.strictSame(await namesOf(server, { user }), [])
  await rm(filler)
  t.equal((await append(server, token, { path, offset, bytes: bytes.subarray(offset) })).status, 204)
  t.ok((await server.send('GET', '/uploads/a', { token })).bytes.equals(bytes))
  await server.close()
  t.match(await runCommand(['fsck', '--deep'], settings), { code: 0, stdout: 'all is well\n' })
})
