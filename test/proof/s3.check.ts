import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { Superseded, type BlobStore, type Draft, type StoredBlob } from '#src/blobs/blob-store.ts'
import { complete, createBlobId } from '#src/blobs/blob-writer.ts'
import { type Bucket, createBucket } from '#src/blobs/s3/bucket.ts'
import { copyBlob } from '#src/blobs/s3/copy.ts'
import { PartBuffer } from '#src/blobs/s3/part-buffer.ts'
import { PartMemory } from '#src/blobs/s3/part-memory.ts'
import { MAX_OBJECT_BYTES, PART_BYTES, partBytes } from '#src/blobs/s3/parts.ts'
import { openS3Blobs } from '#src/blobs/s3/s3.ts'
import { parseStorageUrl } from '#src/config/storage-url.ts'
import { paceSuite, putNew, readAll, readPieces, readWhole, suite } from '../blobs.contract.ts'
import { append, appendAtomically, appendTo, createRow, type DraftRow, gate, readDraft, SAVE_BYTES } from '../drafts.contract.ts'
import { inChunks } from '../kit/bytes.ts'
import { sha256Of } from '../kit/digests.ts'
import { credentials, openS3, type FakeS3, type Fault, type S3Request } from '../kit/s3.ts'
import { GIB, isProof, KIB, MIB } from '../kit/sizes.ts'
import { until } from '../kit/waiting.ts'

// The AWS SDK reads its credentials from the environment.
Object.assign(process.env, credentials)

const unavailable = { code: 'unavailable', options: { headers: { 'retry-after': '5' } } }

interface Options {
  prefix?: string
  idleMilliseconds?: number
  partMemoryBytes?: number
  limits?: { saveBytes: number }
}

const bucketOf = (
  { port }: FakeS3, { prefix = 'blobs/', idleMilliseconds = 5000, partMemoryBytes = 64 * MIB }: Options
) => ({
  url: { bucket: 'files', prefix, endpoint: `http://127.0.0.1:${port}`, region: 'eu-central-1', isPathStyle: true },
  idleMilliseconds,
  partMemoryBytes
})

function openBlobs (s3: FakeS3, options: Options = {}): Promise<BlobStore> {
  return openS3Blobs({ ...bucketOf(s3, options), graceSeconds: 3600, ...options.limits })
}

/** A server and a store, both closed when the test ends, and the id and the row of a draft. */
async function start (t: Test, options: Options = {}) {
  const s3 = await openS3(t)
  const store = await openBlobs(s3, options)
  t.teardown(() => store.close())
  s3.log.length = 0
  return { s3, store, id: createBlobId(), row: createRow() }
}

const keyOf = (id: string) => `blobs/${id.slice(0, 2)}/${id}`

const stateOf = ({ state }: Draft) =>
  JSON.parse(String(state)) as { parts: [number, string, number][], tail: unknown, next: number }

/** Stores bytes, which end when `end` is there. */
const put = (store: BlobStore, bytes: Buffer, end?: Promise<void>) => putNew(store, (async function * () {
  yield * inChunks(bytes)
  await end
}()))

const failure = new Error('the client went away')

/** A source that fails behind these bytes. */
async function * broken (bytes: Buffer): AsyncGenerator<Buffer> {
  yield * inChunks(bytes)
  throw failure
}

/** What a request does: `PUT`, `GET`, `uploads` (of POST), `partNumber`, `uploadId` (of POST or DELETE), `delete`. */
const isRequest = (kind: string) => ({ method, key, query }: S3Request) => kind === 'PUT' || kind === 'GET' || kind === 'HEAD'
  ? method === kind && query.get('partNumber') === null && key !== ''
  : query.has(kind) && method === (kind === 'partNumber' ? 'PUT' : 'POST')

/** Gives `fault` to the first `times` requests of a kind. */
function failing (kind: string, fault: Fault, times = Infinity): (request: S3Request) => Fault | undefined {
  let left = times
  return request => isRequest(kind)(request) && left-- > 0 ? fault : undefined
}

/** Only a silence waits for the time-out. Where a request is answered, a busy machine has time. */
const idleFor = (fault: Fault) => fault === 'hang' ? 3000 : 5000

test('S3 keeps the contract of blobs', async t => {
  const s3 = await openS3(t)
  const openPrefix = (place: string) =>
    openBlobs(s3, { prefix: `${basename(place)}/`, limits: { saveBytes: SAVE_BYTES } })
  suite(t, openPrefix)
  paceSuite(t, openPrefix)
})

test('a blob of up to one part is one request, and a larger one is sent in parts', async t => {
  const { s3, store } = await start(t)
  const { id } = await put(store, Buffer.alloc(PART_BYTES))
  t.strictSame([s3.log, s3.objects()], [[`PUT ${keyOf(id)}`], [keyOf(id)]], 'with the id as its only name')
  s3.log.length = 0
  const larger = await put(store, Buffer.alloc(PART_BYTES + 1))
  t.strictSame(s3.log.map(line => line.replace(/^.*\?/, '')), ['uploads', 'partNumber&uploadId', 'partNumber&uploadId', 'uploadId'])
  s3.log.length = 0
  await readAll(store, { id: larger.id, size: 100 }).catch(() => {})
  t.equal(s3.log.length, 1, 'a small blob is read by one request')
  s3.log.length = 0
  await readPieces(store, larger, ['a', { start: 5, end: 9 }, 'b'])
  t.equal(s3.log.length, 1, 'the request that opens a blob is that of its first range')
})

test('10,000 parts are enough for the largest object, and of one size where they can be', async t => {
  const total = (maxBytes: number) =>
    Array.from({ length: 10_000 }, (_, index) => partBytes(index, maxBytes)).reduce((sum, bytes) => sum + bytes)
  const equal = 10_000 * PART_BYTES
  t.equal(total(equal), equal)
  t.equal(total(equal + 1), MAX_OBJECT_BYTES)
  t.ok(MAX_OBJECT_BYTES < 5 * 1024 ** 4)
  t.equal(partBytes(999, equal + 1), PART_BYTES)
  t.equal(partBytes(1000, equal + 1), 2 * PART_BYTES)
})

const delayed: { name: string, run: (t: Test) => Promise<void> }[] = []

const internal: Fault = { status: 500, code: 'InternalError' }

/**
 * A test of each request with each fault; in the checks only so many that each has its turn, and all of a lost answer,
 * which is what differs most.
 */
function later<T extends { kind: string }> (
  what: string, requests: readonly T[], faults: readonly Fault[],
  run: (t: Test, request: T, fault: Fault) => Promise<void>
): void {
  for (const [row, request] of requests.entries()) {
    for (const [column, fault] of faults.entries()) {
      const isTaken = isProof || fault === 'lost' || row % faults.length === column % requests.length
      if (!isTaken || (fault === 'lost' && ['GET', 'HEAD'].includes(request.kind))) continue
      delayed.push({ name: `${what}: ${JSON.stringify(request)} meets ${JSON.stringify(fault)}`, run: t => run(t, request, fault) })
    }
  }
}

later('an upload succeeds if a request fails once, is unavailable if it always fails, and leaves nothing', [
  { kind: 'PUT', size: 1000 }, { kind: 'uploads', size: 6 * MIB }, { kind: 'partNumber', size: 6 * MIB }, { kind: 'uploadId', size: 6 * MIB }
], [internal, { status: 503, code: 'SlowDown' }, 'corrupt', 'hang', 'reset', { slow: 300 }, 'lost'], async (t, { kind, size }, fault) => {
  const { s3, store } = await start(t, { idleMilliseconds: idleFor(fault) })
  const bytes = randomBytes(size)
  // The store says that the bytes are not those that were signed, which the SDK does not try again.
  if (fault !== 'corrupt') {
    s3.fault = failing(kind, fault, 1)
    const stored = await put(store, bytes)
    t.ok((await readAll(store, stored)).equals(bytes))
    await store.remove([stored.id])
    t.strictSame(s3.uploads(), [])
  }
  // Creating an upload in parts has no body.
  if ((typeof fault === 'object' && 'slow' in fault) || (fault === 'corrupt' && kind === 'uploads')) return
  s3.fault = failing(kind, fault)
  const id = createBlobId()
  const putting = complete(store.put(id, inChunks(bytes), { maxBytes: size }))
  if (kind === 'uploadId' && fault === 'lost') {
    t.match(await putting, { id, size }, 'except that it is complete, which the store says')
    return
  }
  await t.rejects(putting, unavailable)
  // An upload without parts, whose id was lost, is found by the name of its object.
  t.equal(s3.uploads().length, kind === 'uploads' && fault === 'lost' ? 3 : 0)
  t.strictSame(s3.objects(), [])
  s3.fault = () => undefined
  t.strictSame(await store.remove([id]), [id])
  t.strictSame(s3.uploads(), [])
})

later('an append is unavailable if a request always fails, and continues later', [
  { kind: 'PUT', size: 1000 }, { kind: 'PUT', size: 6 * MIB }, { kind: 'GET', size: 1000 }, { kind: 'uploads', size: 6 * MIB }, { kind: 'partNumber', size: 6 * MIB }
], [internal, 'reset', 'hang', 'lost'], async (t, { kind, size }, fault) => {
  const { s3, store, id, row } = await start(t, { idleMilliseconds: idleFor(fault) })
  const bytes = randomBytes(1000 + size)
  await append(store, id, row, inChunks(bytes.subarray(0, 1000)))
  const { size: saved } = row.draft
  s3.fault = failing(kind, fault)
  for (const append_ of [append, appendAtomically]) {
    await t.rejects(append_(store, id, row, inChunks(bytes.subarray(1000))), unavailable)
  }
  t.ok(row.draft.size >= saved)
  s3.fault = failing(kind, fault, 1)
  await append(store, id, row, inChunks(bytes.subarray(row.draft.size)))
  s3.fault = () => undefined
  t.ok((await readDraft(store, id, row.draft)).equals(bytes))
  t.strictSame([s3.objects(), s3.uploads()], [[keyOf(id)], []], 'nothing else is left')
})

later('an assembly of which a request always fails can be repeated', [
  { kind: 'PUT', size: 1000 }, { kind: 'GET', size: 1000 }, { kind: 'partNumber', size: 6 * MIB }, { kind: 'uploadId', size: 6 * MIB }, { kind: 'uploadId', size: 10 * MIB }
], ['lost', internal, 'reset', 'hang'], async (t, { kind, size }, fault) => {
  const { s3, store, id, row } = await start(t, { idleMilliseconds: idleFor(fault) })
  const bytes = randomBytes(size)
  await append(store, id, row, inChunks(bytes))
  s3.fault = failing(kind, fault)
  const assembly = store.drafts.finish(id, row.draft)
  if (fault === 'lost' && (kind === 'uploadId' || kind === 'PUT')) await assembly
  else await t.rejects(assembly, unavailable)
  s3.fault = () => undefined
  t.ok((await readDraft(store, id, row.draft)).equals(bytes))
  t.strictSame([s3.objects(), s3.uploads()], [[keyOf(id)], []])
})

/** Copies a blob: in one request, or in parts of 5 MiB. */
const copyNew = (bucket: Bucket, { id: from, size }: StoredBlob, to: { id: string, isInParts: boolean }) =>
  copyBlob(bucket, { source: { key: keyOf(from), size }, id: to.id, ...(to.isInParts && { copyBytes: PART_BYTES }) })

later('a copy is made if a request fails once, is unavailable if it always fails, and leaves nothing else', [
  { kind: 'HEAD' }, { kind: 'PUT' }, { kind: 'uploads' }, { kind: 'partNumber' }, { kind: 'uploadId' }
], [internal, 'reset', 'hang', 'lost'], async (t, { kind }, fault) => {
  const { s3, store } = await start(t, { idleMilliseconds: idleFor(fault) })
  const bucket = openPartBucket(t, s3, { idleMilliseconds: idleFor(fault) })
  const blob = await put(store, randomBytes(6 * MIB))
  const isInParts = kind !== 'HEAD' && kind !== 'PUT'
  const copy = async (times: number) => {
    const id = createBlobId()
    s3.fault = failing(kind, fault, times)
    await copyNew(bucket, blob, { id, isInParts }).finally(() => { s3.fault = () => undefined })
    t.equal(sha256Of(await readAll(store, { ...blob, id })), blob.sha256)
    await store.remove([id])
  }
  await copy(1)
  if (kind === 'uploadId' && fault === 'lost') await copy(Infinity)
  else await t.rejects(copy(Infinity), unavailable)
  t.strictSame(s3.objects(), [keyOf(blob.id)])
  // Uploads without parts, whose id was lost, are found by the name of their object.
  t.equal(s3.uploads().length, kind === 'uploads' && fault === 'lost' ? 3 : 0)
})

test('requests that fail', async t => {
  // They wait for time-outs, each with a server of its own.
  t.jobs = 6
  for (const { name, run } of delayed) void t.test(name, { buffered: true }, run)
})

test('the bytes of a draft that are no part yet are an object that is no blob, and goes when no saved draft needs it', async t => {
  const { s3, store, id, row } = await start(t)
  const bytes = randomBytes(14 * MIB)
  const tails = () => s3.objects().filter(key => key.startsWith(`blobs/drafts/${id}-`))
  await append(store, id, row, inChunks(bytes.subarray(0, 1000)))
  const [first] = tails()
  t.strictSame(s3.log.map(line => line.replace(/ .*/, '')), ['PUT'], 'one request')
  for await (const found of store.list()) t.fail(found)
  await append(store, id, row, inChunks(bytes.subarray(1000, 6 * MIB)))
  t.notOk(tails().includes(String(first)))
  await append(store, id, row, inChunks(bytes.subarray(6 * MIB, 7 * MIB)))
  t.equal(tails().length, 1)
  await append(store, id, row, inChunks(bytes.subarray(7 * MIB, 10 * MIB)))
  t.equal(stateOf(row.draft).tail, null, 'two whole parts')
  await append(store, id, row, inChunks(bytes.subarray(10 * MIB)))
  t.equal(tails().length, 1)
  t.strictSame(s3.uploads(), [keyOf(id)])
  t.ok((await readDraft(store, id, row.draft)).equals(bytes))
  t.strictSame([s3.objects(), s3.uploads()], [[keyOf(id)], []])
})

test('part numbers are saved before they are used, and none is used twice', async t => {
  const { s3, store, id, row } = await start(t)
  const bytes = randomBytes(100 * MIB)
  const used: number[] = []
  s3.fault = ({ query, headers }) => {
    const number = Number(query.get('partNumber'))
    // A part that nothing refers to is emptied by another one with its number.
    if (number > 0 && headers['content-length'] !== '1') {
      used.push(number)
      t.ok(number < stateOf(row.draft).next)
    }
    return undefined
  }
  await t.rejects(append(store, id, row, broken(bytes.subarray(0, 11 * MIB))), failure)
  t.equal(stateOf(row.draft).next, 3, 'those that were not used are free again')
  await t.rejects(appendAtomically(store, id, row, broken(bytes.subarray(11 * MIB, 95 * MIB))), failure)
  t.equal(row.draft.size, 11 * MIB)
  await append(store, id, row, inChunks(bytes.subarray(11 * MIB)))
  t.ok((await readDraft(store, id, row.draft)).equals(bytes))
  t.equal(new Set(used).size, used.length)
})

test('appends that are refused at their end leave nothing of their parts, however often they are repeated', async t => {
  const { s3, store } = await start(t)
  for (const first of [0, 1000, 6 * MIB]) {
    const [id, row] = [createBlobId(), createRow()]
    const bytes = randomBytes(first + 12 * MIB)
    await append(store, id, row, inChunks(bytes.subarray(0, first)))
    const before = s3.storedBytes()
    for (let count = 0; count < (isProof ? 3 : 2); count++) {
      for (const after of [100, 6 * MIB]) {
        await t.rejects(appendAtomically(store, id, row, broken(randomBytes(after))), failure)
      }
      await t.rejects(appendTo(store, { id, draft: row.draft }, broken(bytes.subarray(first)), { maxBytes: bytes.length, record: async draft => draft.size < bytes.length && row.takeOver()(draft) }), failure, 'or whose last bytes are not recorded')
    }
    t.ok(s3.storedBytes() - before < 1000, `${s3.storedBytes() - before} bytes`)
    await append(store, id, row, inChunks(bytes.subarray(first)))
    t.ok((await readDraft(store, id, row.draft)).equals(bytes))
    t.equal(s3.storedBytes() - before, bytes.length - first)
    await store.remove([id])
  }
  t.equal(s3.storedBytes(), 0)
})

test('what only a superseded append has written is deleted, and nothing that is in use', async t => {
  const { s3, store } = await start(t)
  const superseded = { message: new Superseded(undefined).message }
  // The other append may have saved something, or nothing yet.
  const cases = [1000, 6 * MIB].flatMap((size, row) =>
    [0, 1].flatMap(saves => [true, false].map((isChanged, column) =>
      ({ size, saves, isChanged, isPair: (row + saves + column) % 2 === 0 }))))
  // In the checks every two of the three.
  for (const { size, saves, isChanged } of cases.filter(({ isPair }) => isProof || isPair)) {
    const [id, row] = [createBlobId(), createRow()]
    const bytes = randomBytes(12 * MIB)
    await append(store, id, row, inChunks(bytes.subarray(0, size)))
    let before = [s3.objects(), s3.uploads()]
    const bytesBefore = s3.storedBytes()
    const save = row.takeOver()
    let saved = 0
    const record = async (draft: Draft) => {
      // The first one is of part numbers.
      if (saved++ < saves) {
        before = [s3.objects(), s3.uploads()]
        return save(draft)
      }
      throw new Superseded(
        isChanged ? { ...row.draft, state: JSON.stringify({ ...stateOf(row.draft), next: 100 }) } : row.draft
      )
    }
    const refused = appendTo(
      store, { id, draft: row.draft }, inChunks(randomBytes(6 * MIB)), { maxBytes: 12 * MIB, record }
    )
    await t.rejects(refused, superseded)
    t.strictSame([s3.objects(), s3.uploads()], before)
    t.ok(s3.storedBytes() - bytesBefore < 1000, 'a part of an upload in parts that is in use is emptied')
    await append(store, id, row, inChunks(bytes.subarray(size)))
    t.ok((await readDraft(store, id, row.draft)).equals(bytes))
    await t.rejects(appendTo(store, { id, draft: row.draft }, inChunks(randomBytes(6 * MIB)), {
      maxBytes: 24 * MIB, record: async () => { throw new Superseded(undefined) }
    }), superseded)
    t.ok(await store.has(id))
    t.strictSame([s3.objects(), s3.uploads()], [[keyOf(id)], []])
    await store.remove([id])
  }
})

test('what is left of appends that could not save goes when the draft becomes a blob, or is removed', async t => {
  const { s3, store } = await start(t)
  const [kept, removed, other] = [createBlobId(), createBlobId(), createBlobId()]
  const rows = new Map([kept, removed, other].map(id => [id, createRow()]))
  for (const [id, row] of rows) {
    for (let count = 0; count < 2; count++) {
      const record = row.takeOver()
      row.takeOver()
      for (const size of [1000, 6 * MIB]) await t.rejects(appendTo(store, { id, draft: row.draft }, broken(Buffer.alloc(size)), { maxBytes: 10 * MIB, record }), { message: 'taken over' })
    }
    await append(store, id, row, inChunks(Buffer.alloc(6 * MIB)))
  }
  t.equal(s3.uploads().length, 9)
  await readDraft(store, kept, rows.get(kept)?.draft as Draft)
  t.strictSame(await store.remove([removed]), [removed])
  t.strictSame(new Set(s3.uploads()), new Set([keyOf(other)]))
  t.ok(s3.objects().every(key => key.includes(other) || key === keyOf(kept)))
  s3.fault = ({ key, query }) => query.has('in-batch') && key.includes('drafts/') ? 'hang' : undefined
  t.strictSame(await store.remove([kept, other]), [], 'and else they are not told as removed')
  s3.fault = () => undefined
  t.strictSame((await store.remove([kept, other])).sort(), [kept, other].sort())
  t.strictSame([s3.objects(), s3.uploads()], [[], []])
})

test('a draft whose tail is lost, or comes back as other bytes, is damaged, and never becomes other bytes', async t => {
  const { s3, store } = await start(t)
  for (const size of [1000, 3 * MIB]) {
    const bytes = randomBytes(size + 100)
    const onTail = (fault: Fault, times = Infinity) => {
      let left = times
      s3.fault = ({ method, key }) => method === 'GET' && key.includes('drafts/') && left-- > 0 ? fault : undefined
    }
    const [id, row] = [createBlobId(), createRow()]
    await append(store, id, row, inChunks(bytes.subarray(0, size)))
    for (const fault of ['corrupt', { status: 404, code: 'NoSuchKey' }] as const) {
      onTail(fault)
      await t.rejects(append(store, id, row, inChunks(bytes.subarray(size))), { code: 'file_damaged' })
      await t.rejects(store.drafts.finish(id, row.draft), { code: 'file_damaged' })
    }
    t.equal(row.draft.size, size)
    onTail('corrupt', 1)
    await append(store, id, row, inChunks(bytes.subarray(size)))
    onTail('corrupt', 1)
    t.ok((await readDraft(store, id, row.draft)).equals(bytes), 'what changed only on its way is read once more')
  }
})

test('a draft that an earlier version saved has no digests of its parts and its tail, and continues', async t => {
  const { store, id, row } = await start(t)
  const bytes = randomBytes(12 * MIB)
  await append(store, id, row, inChunks(bytes.subarray(0, 6 * MIB)))
  t.strictSame(store.drafts.partsOf?.(row.draft), [
    bytes.subarray(0, 5 * MIB), bytes.subarray(5 * MIB, 6 * MIB)
  ].map(part => ({ size: part.length, sha256: sha256Of(part) })))
  const state = stateOf(row.draft)
  const { key, size } = state.tail as { key: string, size: number }
  const parts = state.parts.map(([number, etag, size]) => [number, etag, size])
  row.draft = { size: row.draft.size, state: JSON.stringify({ ...state, parts, tail: { key, size } }) }
  await append(store, id, row, inChunks(bytes.subarray(6 * MIB)))
  t.strictSame(store.drafts.partsOf?.(row.draft), [
    { size: 5 * MIB, sha256: undefined },
    ...[
      bytes.subarray(5 * MIB, 10 * MIB), bytes.subarray(10 * MIB)
    ].map(part => ({ size: part.length, sha256: sha256Of(part) }))
  ])
  t.ok((await readDraft(store, id, row.draft)).equals(bytes))
})

test('a draft of which a part was changed is never assembled', async t => {
  const { s3, store, id, row } = await start(t)
  await append(store, id, row, inChunks(Buffer.alloc(12 * MIB)))
  const state = stateOf(row.draft)
  const draft = { size: row.draft.size, state: JSON.stringify({ ...state, parts: state.parts.map(([number, , size]) => [number, '"other"', size]) }) }
  await t.rejects(store.drafts.finish(id, draft), unavailable)
  t.strictSame(s3.objects().filter(key => key === keyOf(id)), [])
  t.equal((await readDraft(store, id, row.draft)).length, 12 * MIB)
})

test('an upload that can\'t be cleaned up fails with the first failure, and is removed later', async t => {
  const { s3, store } = await start(t, { idleMilliseconds: 1000 })
  const id = createBlobId()
  s3.fault = ({ method }) => method === 'DELETE' ? 'hang' : undefined
  await t.rejects(complete(store.put(id, broken(Buffer.alloc(11 * MIB)), { maxBytes: 100 * MIB })), failure)
  t.equal(s3.uploads().length, 1)
  s3.fault = ({ method, query }) => method === 'DELETE' || query.has('delete') ? { status: 500, code: 'InternalError' } : undefined
  t.strictSame(await store.remove([id]), [])
  s3.fault = () => undefined
  t.strictSame(await store.remove([id]), [id])
  t.strictSame(s3.uploads(), [])
})

test('an upload that another process aborts while it is aborted is aborted', async t => {
  const { s3, store } = await start(t)
  s3.fault = ({ method, query }) => method === 'POST' && query.has('uploadId') ? 'hang' : undefined
  const id = createBlobId()
  const failed = complete(store.put(id, inChunks(Buffer.alloc(6 * MIB)), { maxBytes: 6 * MIB })).catch(() => {})
  await until(() => s3.uploads().length > 0)
  s3.fault = ({ method, query }) => method === 'DELETE' && query.has('uploadId') ? { status: 404, code: 'NoSuchUpload' } : undefined
  t.strictSame(await store.remove([id]), [id])
  s3.fault = () => undefined
  await s3.stop()
  await failed
})

test('what others upload is left alone, however many do', async t => {
  const { s3, store } = await start(t)
  const { opened: released, open: release } = gate()
  const ids = Array.from({ length: 8 }, createBlobId).sort()
  const puts = ids.map(id => complete(store.put(id, (async function * () {
    yield Buffer.alloc(PART_BYTES + 1)
    await released
  }()), { maxBytes: 10 * MIB })))
  await until(() => s3.uploads().length >= 8)
  t.strictSame((await store.remove(ids.slice(5))).sort(), ids.slice(5), 'a batch, beyond the first page')
  t.equal(s3.uploads().length, 5)
  release()
  const ends = await Promise.allSettled(puts)
  t.strictSame(ends.map(({ status }) => status), [...Array(5).fill('fulfilled'), ...Array(3).fill('rejected')])
  for (const end of ends.slice(5)) t.match(end, { reason: unavailable })
})

test('a bucket of AWS is named without an address', t => {
  const bucket = createBucket({ url: parseStorageUrl('s3://files?region=eu-central-1'), idleMilliseconds: 1000, partMemoryBytes: MIB })
  t.equal(bucket.place, 'bucket files')
  bucket.close()
  t.end()
})

test('a source is read no further ahead than three parts while the store is slow', async t => {
  const { s3, store } = await start(t)
  s3.fault = request => isRequest('partNumber')(request) ? 'hang' : undefined
  let yielded = 0
  const endless = async function * () { for (;;) { yielded++; yield Buffer.alloc(MIB) } }
  const failed = complete(store.put(createBlobId(), endless(), { maxBytes: 1024 * MIB }))
  // Until nothing more is read.
  for (let before = -1; before !== yielded; await wait(200)) before = yielded
  t.ok(yielded <= 16, `${yielded} MiB`)
  await s3.stop()
  await t.rejects(failed, unavailable)
})

for (const fault of ['cut', 'stall', 'short'] as const) {
  test(`a download that meets '${fault}' fails, and never ends as if it were whole`, async t => {
    const { s3, store } = await start(t, { idleMilliseconds: 1000 })
    const [large, small] = [await put(store, Buffer.alloc(3 * MIB)), await put(store, Buffer.alloc(3000))]
    s3.fault = ({ method }) => method === 'GET' ? fault : undefined
    for (const blob of [large, small]) await t.rejects(readAll(store, blob), { code: 'unavailable' })
    await t.rejects(store.copies.copyTo(large, join(t.testdirName, 'copy')), { code: 'unavailable' })
    await t.rejects(readFile(join(t.testdirName, 'copy')), { code: 'ENOENT' })
    s3.fault = () => undefined
    t.equal((await readAll(store, large)).length, large.size)
    await t.rejects(readAll(store, { ...await put(store, Buffer.alloc(0)), size: MIB }), { code: 'file_damaged' }, 'no range of it is there')
  })
}

for (const fault of [{ status: 500, code: 'InternalError' }, { status: 403, code: 'AccessDenied' }, { status: 404, code: 'NoSuchBucket' }, 'reset', 'hang'] as Fault[]) {
  test(`nothing can be read from a store that answers with ${JSON.stringify(fault)}, until it is back`, async t => {
    const { s3, store } = await start(t, { idleMilliseconds: 1000 })
    const [large, small] = [await put(store, Buffer.alloc(3 * MIB)), await put(store, Buffer.alloc(3000))]
    s3.fault = () => fault
    const ways: (() => Promise<unknown>)[] =
      [() => readAll(store, large), () => readAll(store, small), () => store.probe()]
    if (typeof fault === 'string') ways.push(() => store.check(large.id, large.size), () => store.has(large.id))
    await Promise.all(ways.map(way => t.rejects(way(), unavailable)))
    t.strictSame(await store.remove([large.id, small.id]), [])
    s3.fault = () => undefined
    t.equal((await readAll(store, large)).length, large.size)
    await store.probe()
  })
}

test('all bytes of a blob that are not what was stored are given out but for the last, or not at all', async t => {
  const { s3, store } = await start(t)
  const blobs = await Promise.all([1, 64 * KIB, 64 * KIB + 1, 6 * MIB].map(size => put(store, randomBytes(size))))
  for (const blob of blobs) {
    t.equal(sha256Of(await readWhole(store, blob)), blob.sha256)
    s3.fault = failing('GET', 'corrupt')
    if (blob.size <= 64 * KIB) {
      await t.rejects(store.read(blob), { code: 'file_damaged' })
    } else {
      const stream = await store.read(blob) as Readable
      let read = 0
      stream.on('data', (chunk: Buffer) => { read += chunk.length })
      await t.rejects(finished(stream), { code: 'file_damaged' })
      t.ok(read < blob.size)
    }
    s3.fault = () => undefined
  }
})

/** Uploads of slow clients that wait at the same time. */
const SLOW_UPLOADS = isProof ? 60 : 8

/** More than the part memory and what the fake bucket is receiving, and much less than a part for each upload. */
const MAX_HELD_BYTES = 150 * MIB

for (const way of ['put', 'append'] as const) {
  test(`uploads of slow clients share a little memory, nobody waits for them, and each one ends (${way})`, async t => {
    const { s3, store } = await start(t, { partMemoryBytes: 24 * MIB, idleMilliseconds: 60_000 })
    const bytes = randomBytes(7 * MIB)
    const { opened, open } = gate()
    const rows = new Map<string, DraftRow>()
    const arrivals: number[] = []
    async function * slowly (first: number): AsyncGenerator<Buffer> {
      yield * inChunks(bytes.subarray(0, first))
      arrivals.push(first)
      await opened
      yield * inChunks(bytes.subarray(first))
    }
    async function upload (source: AsyncIterable<Buffer>): Promise<string> {
      const [id, row] = [createBlobId(), createRow()]
      rows.set(id, row)
      if (way === 'put') await complete(store.put(id, source, { maxBytes: GIB }))
      else await append(store, id, row, source)
      return id
    }
    const before = process.memoryUsage().arrayBuffers
    const slow = Array.from({ length: SLOW_UPLOADS }, (_, index) => upload(slowly(3 * MIB + index * 40_000)))
    await until(() => arrivals.length >= SLOW_UPLOADS)
    const held = process.memoryUsage().arrayBuffers - before
    if (isProof) t.ok(held < MAX_HELD_BYTES, `${Math.round(held / MIB)} MiB`)
    await Promise.all([1, 2, 3].map(() => upload(inChunks(bytes))))
    open()
    for (const id of await Promise.all(slow)) {
      const stored = way === 'put' ? await readAll(store, { id, size: bytes.length }) : await readDraft(store, id, rows.get(id)?.draft as Draft)
      t.ok(stored.equals(bytes))
    }
    t.ok(s3.log.some(line => line.startsWith('PUT blobs/drafts/')))
    if (way === 'put') t.strictSame([s3.objects().length, s3.uploads()], [SLOW_UPLOADS + 3, []], 'nothing else is left')
  })
}

test('an upload whose memory can\'t be moved to the bucket fails, so that nobody waits for it', async t => {
  const { s3, store } = await start(t, { partMemoryBytes: 6 * MIB, idleMilliseconds: 1000 })
  s3.fault = ({ key }) => key.includes('/drafts/') ? { status: 500, code: 'InternalError' } : undefined
  const { opened, open } = gate()
  const slow = put(store, randomBytes(4 * MIB), opened)
  const bytes = randomBytes(12 * MIB)
  let stored: StoredBlob | undefined
  while (stored === undefined) stored = await put(store, bytes).catch(() => undefined)
  t.ok((await readAll(store, stored)).equals(bytes))
  open()
  await t.rejects(slow, unavailable)
  s3.fault = () => undefined
  t.equal(s3.objects().length, 1)
})

test('an upload that gets no memory in time is refused, and others wait no longer for it', async t => {
  const memory = new PartMemory(6 * MIB, 50)
  const first = await memory.acquire({ bytes: PART_BYTES, isFirst: true })
  await t.rejects(memory.acquire({ bytes: PART_BYTES, isFirst: true }), { code: 'overloaded', options: { headers: { 'retry-after': '5' } } })
  first.release()
  const next = await memory.acquire({ bytes: PART_BYTES, isFirst: false })
  t.equal(next.buffer, first.buffer, 'the same memory')
})

/** The bucket as the parts of an upload see it. */
function openPartBucket (t: Test, s3: FakeS3, options: Options = {}): Bucket {
  const bucket = createBucket(bucketOf(s3, options))
  t.teardown(() => bucket.close())
  return bucket
}

test('a part that becomes larger than its memory moves to another', async t => {
  const { s3 } = await start(t)
  const buffer = new PartBuffer(openPartBucket(t, s3), createBlobId())
  const bytes = randomBytes(9 * MIB)
  await buffer.fill(bytes.subarray(0, MIB), PART_BYTES)
  await buffer.fill(bytes.subarray(MIB), 2 * PART_BYTES)
  t.equal(await buffer.use(async whole => whole.equals(bytes)), true)
  await buffer.close()
  t.strictSame(s3.objects(), [])
})

test('bytes that arrive while those before them are moved follow them', async t => {
  const { s3 } = await start(t)
  const bucket = openPartBucket(t, s3, { partMemoryBytes: 6 * MIB })
  const [slow, other] = [new PartBuffer(bucket, createBlobId()), new PartBuffer(bucket, createBlobId())]
  const bytes = randomBytes(2 * MIB)
  const { opened: isMoving, open: begin } = gate()
  s3.fault = ({ method, key }) => {
    if (method !== 'PUT' || !key.includes('/drafts/')) return undefined
    begin()
    return { slow: 100 }
  }
  await slow.fill(bytes.subarray(0, MIB), PART_BYTES)
  const waiting = other.fill(bytes, PART_BYTES)
  await isMoving
  await slow.fill(bytes.subarray(MIB, MIB + 1000), PART_BYTES)
  await waiting
  await slow.fill(bytes.subarray(MIB + 1000), PART_BYTES)
  for (const buffer of [slow, other]) {
    t.equal(await buffer.use(async whole => whole.equals(bytes)), true)
    await buffer.close()
  }
  t.strictSame(s3.objects(), [])
})

test('a part that is larger than the memory has it to itself', async t => {
  const { store } = await start(t, { partMemoryBytes: 2 * MIB })
  const bytes = randomBytes(11 * MIB)
  for (const blob of await Promise.all([1, 2, 3].map(() => put(store, bytes)))) {
    t.ok((await readAll(store, blob)).equals(bytes))
  }
})

test('a reader who leaves ends its request, also that for a later range', async t => {
  const { s3, store } = await start(t)
  const blob = await put(store, randomBytes(20 * MIB))
  const stream = await store.read({ id: blob.id, size: blob.size }, [{ start: 0, end: blob.size - 1 }]) as Readable
  await once(stream, 'readable')
  const before = await s3.connections()
  stream.destroy()
  await until(s3.connections, count => count < before)
  let isAsked = false
  s3.fault = ({ headers }) => {
    if (headers.range?.startsWith('bytes=7-') !== true) return undefined
    isAsked = true
    return 'hang'
  }
  const second = await store.read(blob, [{ start: 0, end: 1 }, { start: 7, end: blob.size - 1 }]) as Readable
  second.resume()
  await until(async () => isAsked && await s3.connections() >= before)
  second.destroy()
  await until(s3.connections, count => count < before)
})

test('a copy of other bytes than were stored is not made', async t => {
  const { s3, store } = await start(t)
  const blob = await put(store, Buffer.alloc(100_000))
  await writeFile(s3.fileOf(String(s3.objects()[0])), Buffer.alloc(100_000, 1))
  await t.rejects(store.copies.copyTo(blob, join(t.testdirName, 'copy')), { code: 'file_damaged' })
  await t.rejects(readFile(join(t.testdirName, 'copy')), { code: 'ENOENT' })
})

test('a copy moves no bytes, and is made in parts if one request can\'t copy it', async t => {
  const { s3, store } = await start(t)
  const bytes = randomBytes(11 * MIB)
  const blob = await put(store, bytes)
  for (const { isInParts, requests } of [
    { isInParts: false, requests: ['PUT', 'HEAD'] },
    { isInParts: true, requests: ['uploads', ...Array(3).fill('partNumber&uploadId'), 'uploadId', 'HEAD'] }
  ]) {
    s3.log.length = 0
    const id = createBlobId()
    await copyNew(openPartBucket(t, s3), blob, { id, isInParts })
    t.strictSame(s3.log.map(line => line.includes('?') ? line.replace(/^.*\?/, '') : line.replace(/ .*/, '')), requests)
    t.ok((await readAll(store, { ...blob, id })).equals(bytes))
  }
})

test('a copy of an object that is deleted meanwhile is not made', async t => {
  const { s3, store } = await start(t)
  const blob = await put(store, randomBytes(11 * MIB))
  for (const [kind, isInParts] of [['PUT', false], ['partNumber', true]] as const) {
    s3.fault = failing(kind, { status: 404, code: 'NoSuchKey' })
    await t.rejects(copyNew(openPartBucket(t, s3), blob, { id: createBlobId(), isInParts }), { code: 'file_damaged', cause: { code: 'ENOENT' } })
    t.strictSame([s3.objects(), s3.uploads()], [[keyOf(blob.id)], []])
  }
})

test('a copy is made even if what a lost answer left can\'t be removed now', async t => {
  const { s3, store } = await start(t)
  const blob = await put(store, randomBytes(11 * MIB))
  const lost = failing('uploads', 'lost', 1)
  s3.fault = request => request.method === 'GET' && request.key === '' ? { status: 500, code: 'InternalError' } : lost(request)
  const id = createBlobId()
  await copyNew(openPartBucket(t, s3), blob, { id, isInParts: true })
  s3.fault = () => undefined
  t.equal(sha256Of(await readAll(store, { ...blob, id })), blob.sha256)
  t.strictSame(await store.remove([id]), [id])
  t.strictSame([s3.objects(), s3.uploads()], [[keyOf(blob.id)], []])
})

test('objects that are no blobs are not listed, and those of the store are, page by page', async t => {
  const { s3, store } = await start(t)
  const other = await openBlobs(s3, { prefix: '' })
  t.teardown(() => other.close())
  const { id } = await put(other, Buffer.alloc(1))
  const ids = (await Promise.all(Array.from({ length: 101 }, async () => put(store, Buffer.alloc(0))))).map(blob =>
    blob.id)
  const listed: string[] = []
  for await (const id of store.list()) listed.push(id)
  t.strictSame(listed.sort(), ids.sort())
  for await (const found of other.list()) t.equal(found, id)
})

// What else is told, `doctor-agrees.check.ts` has.
for (const [what, fault, kind, exitCode, words] of [
  ['a bucket that can only be listed', { status: 403, code: 'AccessDenied' }, 'GET', 2, /have no right to list, read/],
  ['a store that fails', internal, undefined, 1, /can't be reached: InternalError; start it, or correct endpoint=/],
  ['a store that does not answer', 'hang', undefined, 1, /can't be reached: TimeoutError; start it, or correct endpoint=/],
  ['a connection that is cut', 'reset', undefined, 1, /can't be reached: ECONNRESET; start it, or correct endpoint=/]
] as const) {
  test(`${what} is told in one line when the store is opened`, async t => {
    const s3 = await openS3(t)
    s3.fault = request => kind === undefined || isRequest(kind)(request) ? fault : undefined
    const opening = openBlobs(s3, { idleMilliseconds: 1000 })
    t.match(await t.rejects(opening, { exitCode, message: words }), { message: /^.+$/ })
    t.equal(s3.objects().length, 0)
  })
}
