import { randomBytes } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { openReserve } from '#src/blobs/disk/free-space.ts'
import { openS3Blobs } from '#src/blobs/s3/s3.ts'
import { openSqliteMetadata } from '#src/metadata/sqlite/sqlite.ts'
import { digestField, sha256Of } from '../kit/digests.ts'
import { newAppend, newCreation, uploadsOver } from '../kit/rules.ts'
import { credentials, openS3, startS3, type Fault, type S3Request } from '../kit/s3.ts'
import { signUp, startServer } from '../kit/server.ts'
import { MIB } from '../kit/sizes.ts'
import { until } from '../kit/waiting.ts'

// How often the bytes of an upload are read to compute a digest, and that they are what was stored. With a bucket each
// reading is a request.

// The AWS SDK reads its credentials from the environment.
Object.assign(process.env, credentials)

const SIZE = 11 * MIB
const DRAFT = { 'content-type': 'application/partial-upload', 'upload-complete': '?1' }

/** A server with a bucket, in which a file stands in the way of an upload that has all its bytes. */
async function open (t: Test) {
  const s3 = await openS3(t)
  /** The ranges that were read to the end of the bytes. */
  const reads: string[] = []
  let fault: Fault | undefined
  s3.fault = ({ method, headers: { range } }) => {
    // A part of the object is read for other reasons as well.
    if (method !== 'GET' || range?.endsWith(`-${SIZE - 1}`) !== true) return undefined
    reads.push(range)
    return fault
  }
  const start = () => startServer(t, { DATA_DIR: join(t.testdirName, 'data'), STORAGE_URL: s3.url('store'), BLOB_GRACE_SECONDS: '0', ...credentials })
  let server = await start()
  const { token } = await signUp(server, 'ann')
  const ask = (method: string, path: string, headers: Record<string, string> = {}, body?: Buffer) =>
    server.send(method, path, { token, headers, ...(body && { body }) })
  const bytes = randomBytes(SIZE)
  /** An upload of these bytes, refused because there is another file of its name and length. */
  async function refused (headers: Record<string, string> = {}): Promise<string> {
    await ask('PUT', '/uploads/a.bin', {}, randomBytes(SIZE))
    const { json: { id } } = await ask('POST', '/api/uploads', { 'upload-complete': '?0', 'content-disposition': 'inline; filename=a.bin', ...headers })
    t.equal((await ask('PATCH', `/api/uploads/${id}`, { ...DRAFT, 'upload-offset': '0' }, bytes)).status, 412)
    return id
  }
  const finish = (id: string, headers: Record<string, string> = {}) => ask('PATCH', `/api/uploads/${id}`, { ...DRAFT, 'upload-offset': String(SIZE), ...headers })
  return {
    bytes,
    reads,
    ask,
    refused,
    finish,
    client: () => ({ port: server.port, token }),
    failReads (kind: Fault | undefined) { fault = kind },
    async restart () { await server.close(); server = await start() }
  }
}

test('the bytes of a refused upload are not read again by each request that tries to finish it', async t => {
  const { bytes, reads, ask, refused, finish, restart } = await open(t)
  const id = await refused({ 'repr-digest': digestField('sha-512', bytes) })
  t.strictSame(reads, [], 'both digests were computed as the bytes arrived')
  for (let count = 0; count < 3; count++) t.equal((await finish(id)).status, 412)
  t.equal((await ask('HEAD', `/api/uploads/${id}`)).status, 412)
  t.strictSame(reads, [])

  await restart()
  for (let count = 0; count < 3; count++) t.equal((await finish(id)).status, 412)
  t.strictSame(reads, [`bytes=0-${SIZE - 1}`], 'once by a process that did not receive them')
  await ask('DELETE', '/uploads/a.bin')
  t.equal((await finish(id)).status, 201)
  t.equal(reads.length, 1)
  t.strictSame((await ask('GET', '/uploads/a.bin')).bytes, bytes)

  reads.length = 0
  const later = await refused()
  t.strictSame(reads, [])
  const right = { 'repr-digest': digestField('sha-512', bytes) }
  for (let count = 0; count < 3; count++) t.equal((await finish(later, right)).status, 412)
  t.equal(reads.length, 1, 'once for a digest that only the last request announces')
  t.match(await finish(later, { 'repr-digest': digestField('sha-512', Buffer.of()) }), { status: 400 })
  t.equal((await ask('HEAD', `/api/uploads/${later}`)).status, 404, 'a wrong one ends the upload')
  t.equal(reads.length, 1)
})

test('reading ends when the client has gone, and goes on from there with the next request', async t => {
  const { bytes, reads, ask, refused, finish, client, failReads, restart } = await open(t)
  const id = await refused()
  await restart()
  await ask('DELETE', '/uploads/a.bin')
  // Half of the bytes come, and then nothing more.
  failReads('stall')
  const sockets: Socket[] = []
  const note = (message: unknown) => { sockets.push((message as { response: IncomingMessage }).response.socket) }
  subscribe('http.client.response.finish', note)
  t.teardown(() => unsubscribe('http.client.response.finish', note))
  const { port, token } = client()
  const leaving = httpRequest({
    port, method: 'PATCH', path: `/api/uploads/${id}`, headers: { authorization: `Bearer ${token}`, ...DRAFT, 'upload-offset': String(SIZE), 'content-length': 0 }
  })
  leaving.on('error', () => {})
  leaving.end()
  await until(() => reads.length > 0 && sockets.some(({ bytesRead }) => bytesRead >= SIZE / 2))
  leaving.destroy()
  failReads(undefined)
  t.equal((await finish(id)).status, 201)
  t.equal(reads.length, 2)
  const from = Number(/^bytes=(\d+)-/.exec(String(reads[1]))?.[1])
  t.ok(from > 0 && from < SIZE, `from byte ${from}`)
  t.strictSame((await ask('GET', '/uploads/a.bin')).bytes, bytes)
})

/** Several processes on one bucket, each with a digest of what it received. They share their metadata. */
async function openProcesses (t: Test) {
  const folder = t.testdir()
  const s3 = await startS3(join(folder, 's3'))
  const metadata = await openSqliteMetadata(join(folder, 'db'))
  const url = { bucket: 'files', prefix: '', endpoint: `http://127.0.0.1:${s3.port}`, region: 'eu-central-1', isPathStyle: true }
  const blobs = await openS3Blobs({ url, graceSeconds: 0, idleMilliseconds: 5000, partMemoryBytes: 64 * MIB })
  const reserve = await openReserve(join(folder, 'reserve'))
  const owner = await metadata.accounts.add({ username: 'ann', usernameKey: 'ann', passwordHash: 'x', createdAt: 1 })
  const processes = [uploadsOver({ metadata, blobs, reserve }), uploadsOver({ metadata, blobs, reserve })] as const
  t.teardown(async () => {
    for (const uploads of processes) await uploads.close()
    await blobs.close()
    await metadata.close()
    await s3.stop()
  })
  const uploader = { owner, linkId: null }
  const create = (length: number) => processes[0].create(newCreation({ uploader, name: 'a', length }))
  /** Appends with one of the processes. */
  const append = (index: 0 | 1, id: string, { offset, bytes }: { offset: number, bytes: Buffer }) =>
    processes[index].append(uploader, id, newAppend(bytes, offset))
  return { s3, metadata, owner, create, append }
}

// The process that ends the upload received all bytes before the last but one append, or none of them.
for (const { name, sizes, wrong } of [
  { name: 'the only part of a small upload', sizes: [0, 1000, 10], wrong: 'undefined' },
  { name: 'the tail of an upload without parts', sizes: [0, 3 * MIB, 10], wrong: `bytes=0-${3 * MIB + 9}` },
  { name: 'the first part', sizes: [0, SIZE - 10, 10], wrong: `bytes=0-${SIZE - 1}` },
  { name: 'the first of two whole parts', sizes: [0, 5 * MIB, 5 * MIB], wrong: `bytes=0-${10 * MIB - 1}` },
  // The digest ends within the second part, which is compared as a whole.
  { name: 'a part that the same process had received the beginning of', sizes: [6 * MIB, 5 * MIB - 10, 10], wrong: `bytes=${5 * MIB}-${SIZE - 1}` }
]) {
  test(`an upload is not acknowledged if ${name} comes back as other bytes, and is when it is read again`, async t => {
    const { s3, metadata, owner, create, append } = await openProcesses(t)
    const bytes = randomBytes(sizes.reduce((sum, size) => sum + size, 0))
    const { id, blobId } = await create(bytes.length)
    let offset = 0
    const seen: string[] = []
    let fault: Fault | undefined = 'corrupt'
    for (const [index, size] of sizes.entries()) {
      if (index === 2) {
        s3.fault = ({ method, key, headers: { range } }: S3Request) => {
          if (method !== 'GET' || !key.endsWith(blobId)) return undefined
          seen.push(String(range))
          return String(range) === wrong ? fault : undefined
        }
      }
      const appended = append(index === 1 ? 1 : 0, id, { offset, bytes: bytes.subarray(offset, offset + size) })
      if (index === 2) await t.rejects(appended, { code: 'file_damaged' })
      else await appended
      offset += size
    }
    t.match(await metadata.uploads.find(owner.id, id), { offset, result: undefined, isRefused: false })
    t.equal(await metadata.files.find(owner.id, 'a'), undefined)
    fault = undefined
    const { result } = await append(0, id, { offset, bytes: Buffer.of() })
    t.match(result, { isNew: true, file: { size: bytes.length, sha256: sha256Of(bytes) } })
    t.strictSame(seen, [wrong, wrong])
  })
}

test('of an upload whose reading found a wrong part only that one and what follows is read again', async t => {
  const { s3, create, append } = await openProcesses(t)
  const bytes = randomBytes(SIZE)
  const { id, blobId } = await create(SIZE)
  await append(1, id, { offset: 0, bytes: bytes.subarray(0, SIZE - 1) })
  const seen: string[] = []
  s3.fault = ({ method, key, headers: { range } }) => {
    if (method !== 'GET' || !key.endsWith(blobId)) return undefined
    seen.push(String(range))
    return seen.length < 2 ? { corruptAt: 7 * MIB } : undefined
  }
  await t.rejects(append(0, id, { offset: SIZE - 1, bytes: bytes.subarray(-1) }), { code: 'file_damaged' })
  t.match((await append(0, id, { offset: SIZE, bytes: Buffer.of() })).result, { file: { sha256: sha256Of(bytes) } })
  t.strictSame(seen, [`bytes=0-${SIZE - 1}`, `bytes=${5 * MIB}-${SIZE - 1}`])
})
