import { createHash, randomBytes } from 'node:crypto'
import type { Readable } from 'node:stream'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Test } from 'tap'
import { cutPieces, type BlobStore, type StoredBlob } from '../src/blobs/blob-store.ts'

const KIB = 1024
const MIB = 1024 ** 2
const anySize = { maxBytes: Number.MAX_SAFE_INTEGER }

/** `bytes` in chunks of `size`. */
async function * inChunks (bytes: Buffer, size = 64 * KIB): AsyncGenerator<Buffer> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size)
}

/** Bytes of live objects, after a garbage collection. */
function memoryInUse (): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

function digest (bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function collect (stream: Readable): Promise<Buffer> {
  return Buffer.concat(await stream.toArray())
}

export async function readAll (store: BlobStore, { id, size }: { id: string, size: number }): Promise<Buffer> {
  return collect((await store.open(id, size)).read({ start: 0, end: size - 1 }))
}

async function committedIn (store: BlobStore): Promise<string[]> {
  const ids: string[] = []
  for await (const id of store.committed()) ids.push(id)
  return ids.sort()
}

/** The contract in src/blobs/blob-store.ts, for the store that `open` opens at a path; reopening a path gives the same blobs. */
export function suite (t: Test, open: (place: string) => Promise<BlobStore>): void {
  /** A new store, closed when the test ends. */
  async function fresh (t: Test): Promise<{ store: BlobStore, reopen: () => Promise<BlobStore> }> {
    const place = t.testdir()
    let current = await open(place)
    t.teardown(() => current.close())
    const reopen = async () => {
      await current.close()
      current = await open(place)
      return current
    }
    return { store: current, reopen }
  }

  for (const { size, chunk } of [
    { size: 0, chunk: 1 },
    { size: 1, chunk: 1 },
    { size: 3000, chunk: 1 },
    { size: 64 * KIB, chunk: 64 * KIB },
    { size: 256 * KIB + 1, chunk: 1000 },
    { size: MIB - 1, chunk: 64 * KIB },
    { size: MIB, chunk: MIB },
    { size: MIB + 1, chunk: 64 * KIB },
    { size: 5 * MIB + 12345, chunk: 3 * MIB }
  ]) {
    t.test(`${size} bytes in chunks of ${chunk} come back as they went in, before they are committed, after, and after a restart`, async t => {
      const { store, reopen } = await fresh(t)
      const bytes = randomBytes(size)
      const stored = await store.put(inChunks(bytes, chunk), { maxBytes: size })
      t.match(stored, { id: /^[0-9a-f]{32}$/, size, sha256: digest(bytes) })
      t.ok((await readAll(store, stored)).equals(bytes))
      store.commit(stored.id)
      t.ok((await readAll(store, stored)).equals(bytes))
      t.ok((await readAll(await reopen(), stored)).equals(bytes))
    })
  }

  t.test('empty chunks change nothing', async t => {
    const { store } = await fresh(t)
    const stored = await store.put((async function * () { yield Buffer.alloc(0); yield Buffer.from('a'); yield Buffer.alloc(0) }()), anySize)
    t.match(stored, { size: 1, sha256: digest(Buffer.from('a')) })
  })

  t.test('the chunks of one blob may be views of one buffer, as a socket gives them', async t => {
    const { store } = await fresh(t)
    const whole = randomBytes(100 * KIB)
    const stored = await store.put(inChunks(whole.subarray(10, -10), 777), anySize)
    t.ok((await readAll(store, stored)).equals(whole.subarray(10, -10)))
  })

  for (const { what, chunk, count } of [{ what: 'large', chunk: MIB, count: 48 }, { what: 'tiny', chunk: 1, count: 256 * KIB }]) {
    t.test(`of a source of ${what} chunks no more than a few MiB are in memory`, async t => {
      const { store } = await fresh(t)
      let most = 0
      const start = memoryInUse()
      const stored = await store.put((async function * () {
        for (let index = 1; index <= count; index++) {
          yield Buffer.alloc(chunk)
          if (index % (count / 16) === 0) most = Math.max(most, memoryInUse() - start)
        }
      }()), anySize)
      t.equal(stored.size, chunk * count)
      t.ok(most < 16 * MIB, `at most ${Math.round(most / MIB)} MiB`)
    })
  }

  for (const { what, pieces, expected } of [
    { what: 'the first byte', pieces: [{ start: 0, end: 0 }], expected: (bytes: Buffer) => [bytes.subarray(0, 1)] },
    { what: 'the last byte', pieces: [{ start: 999_999, end: 999_999 }], expected: (bytes: Buffer) => [bytes.subarray(-1)] },
    { what: 'a range across what is read at a time', pieces: [{ start: 262_000, end: 800_001 }], expected: (bytes: Buffer) => [bytes.subarray(262_000, 800_002)] },
    { what: 'ranges and texts in turn', pieces: ['head ', { start: 5, end: 9 }, ' middle ', { start: 0, end: 300_000 }, 'é'], expected: (bytes: Buffer) => [Buffer.from('head '), bytes.subarray(5, 10), Buffer.from(' middle '), bytes.subarray(0, 300_001), Buffer.from('é')] },
    { what: 'a text alone', pieces: ['only'], expected: () => [Buffer.from('only')] },
    { what: 'nothing', pieces: [], expected: () => [] }
  ]) {
    t.test(`${what} of a blob can be read`, async t => {
      const { store } = await fresh(t)
      const bytes = randomBytes(1_000_000)
      const { id, size } = await store.put(inChunks(bytes), anySize)
      const whole = Buffer.concat(expected(bytes))
      t.ok((await collect((await store.open(id, size)).read(...pieces))).equals(whole))
      t.ok(cutPieces(await store.readSmall(id, size), pieces).equals(whole), 'also at once')
    })
  }

  t.test('a file of exactly the limit is taken; one byte more is not, the rest of it is left unread, and nothing stays', async t => {
    const { store, reopen } = await fresh(t)
    const exact = await store.put(inChunks(Buffer.alloc(200_000)), { maxBytes: 200_000 })
    await store.remove([exact.id])
    let yielded = 0
    const endless = async function * () { for (;;) { yielded++; yield Buffer.alloc(1000) } }
    await t.rejects(store.put(endless(), { maxBytes: 200_000 }), { code: 'file_too_large' })
    t.equal(yielded, 201)
    await t.rejects(store.put(inChunks(Buffer.alloc(1)), { maxBytes: 0 }), { code: 'file_too_large' })
    t.strictSame(await store.pending(), [])
    const again = await reopen()
    t.strictSame(await again.pending(), [])
    t.strictSame(await committedIn(again), [])
  })

  for (const after of [0, 100, 3 * MIB]) {
    t.test(`a source that fails after ${after} bytes fails the put with its own error, and nothing stays`, async t => {
      const { store, reopen } = await fresh(t)
      const failure = new Error('the client went away')
      await t.rejects(store.put((async function * () {
        yield * inChunks(Buffer.alloc(after))
        throw failure
      }()), anySize), failure)
      t.strictSame(await (await reopen()).pending(), [])
    })
  }

  t.test('what was put and pending is named after a restart; what was committed or removed is not', async t => {
    const { store, reopen } = await fresh(t)
    const [open, committed, removed, both] = await Promise.all(['a', 'b', 'c', 'd'].map(text => store.put(inChunks(Buffer.from(text)), anySize))) as [StoredBlob, StoredBlob, StoredBlob, StoredBlob]
    store.commit(committed.id)
    store.commit(both.id)
    await store.remove([removed.id])
    await store.remove([both.id])
    const again = await reopen()
    t.strictSame(await again.pending(), [open.id])
    t.strictSame(await committedIn(again), [committed.id])
    t.strictSame([await again.has(committed.id), await again.has(removed.id), await again.has(both.id)], [true, false, false])
    t.equal(String(await readAll(again, open)), 'a')
    again.commit(open.id)
    const third = await reopen()
    t.strictSame(await third.pending(), [])
    t.strictSame(await committedIn(third), [open.id, committed.id].sort())
  })

  t.test('many blobs at once have ids of their own, and all of them can be committed at once', async t => {
    const { store, reopen } = await fresh(t)
    const blobs = await Promise.all(Array.from({ length: 150 }, (_, index) => store.put(inChunks(Buffer.from(String(index))), anySize)))
    t.equal(new Set(blobs.map(blob => blob.id)).size, 150)
    for (const { id } of blobs) store.commit(id)
    for (const [index, blob] of blobs.entries()) t.equal(String(await readAll(store, blob)), String(index))
    t.strictSame(await (await reopen()).pending(), [])
  })

  t.test('to commit what is gone is no failure, and neither is to remove it', async t => {
    const { store } = await fresh(t)
    store.commit('0'.repeat(32))
    const { id } = await store.put(inChunks(Buffer.from('a')), anySize)
    const { id: committed } = await store.put(inChunks(Buffer.from('a')), anySize)
    store.commit(committed)
    const ids = ['0'.repeat(32), id, committed]
    t.strictSame((await store.remove(ids)).sort(), ids.sort(), 'what is gone is told')
    store.commit(id)
    await store.remove([id])
    await store.quarantine(id)
    t.strictSame(await committedIn(store), [])
  })

  t.test('a removed blob, an unknown one, and one of another size are damaged', async t => {
    const { store } = await fresh(t)
    const { id } = await store.put(inChunks(Buffer.from('four')), anySize)
    const ways: ((id: string, size: number) => Promise<unknown>)[] = [store.open, store.readSmall]
    for (const read of ways) {
      for (const size of [0, 3, 5]) await t.rejects(read(id, size), { code: 'file_damaged' })
      await t.rejects(read('0'.repeat(32), 4), { code: 'file_damaged' })
    }
    await store.remove([id])
    for (const read of ways) await t.rejects(read(id, 4), { code: 'file_damaged' })
  })

  for (const isCommitted of [true, false]) {
    t.test(`who reads a blob when it is removed reads on to its end (${isCommitted ? 'committed' : 'pending'})`, async t => {
      const { store } = await fresh(t)
      const bytes = randomBytes(3 * MIB)
      const { id, size } = await store.put(inChunks(bytes), anySize)
      if (isCommitted) store.commit(id)
      const [begun, opened] = [await store.open(id, size), await store.open(id, size)]
      const stream = begun.read({ start: 0, end: size - 1 })
      const iterator = stream[Symbol.asyncIterator]()
      const chunks = [(await iterator.next()).value]
      await store.remove([id])
      await t.rejects(store.open(id, size), { code: 'file_damaged' })
      for await (const chunk of { [Symbol.asyncIterator]: () => iterator }) chunks.push(chunk)
      t.ok(Buffer.concat(chunks).equals(bytes))
      t.ok((await collect(opened.read({ start: 0, end: size - 1 }))).equals(bytes), 'who had only opened it too')
    })
  }

  t.test('a blob is read whole by many at once, and one who stops early stops no other', async t => {
    const { store } = await fresh(t)
    const bytes = randomBytes(2 * MIB)
    const { id, size } = await store.put(inChunks(bytes), anySize)
    const early = (await store.open(id, size)).read({ start: 0, end: size - 1 })
    const readers = Array.from({ length: 10 }, () => readAll(store, { id, size }))
    early.destroy()
    for (const read of await Promise.all(readers)) t.ok(read.equals(bytes))
  })

  t.test('a blob that was opened and not read can be closed', async t => {
    const { store } = await fresh(t)
    const { id, size } = await store.put(inChunks(Buffer.from('a')), anySize)
    await (await store.open(id, size)).close()
    t.equal(String(await readAll(store, { id, size })), 'a')
  })

  t.test('a blob in quarantine is out of the store', async t => {
    const { store, reopen } = await fresh(t)
    const { id, size } = await store.put(inChunks(Buffer.from('a')), anySize)
    store.commit(id)
    const again = await reopen()
    await again.quarantine(id)
    await again.quarantine(id)
    t.notOk(await again.has(id))
    t.strictSame(await committedIn(again), [])
    await t.rejects(again.open(id, size), { code: 'file_damaged' })
    await t.rejects(again.check(id, size), { code: 'file_damaged' })
  })

  t.test('what can be stored is admitted, and what no disk holds is refused', async t => {
    const { store } = await fresh(t)
    await store.requireSpace(0)
    await store.requireSpace(1000)
    await t.rejects(store.requireSpace(Number.MAX_SAFE_INTEGER), { code: 'storage_full' })
  })

  t.test('a probe succeeds where a blob could be stored, and is none', async t => {
    const { store, reopen } = await fresh(t)
    await Promise.all([store.probe(), store.put(inChunks(Buffer.from('a')), anySize)])
    await store.probe()
    t.equal((await store.pending()).length, 1)
    t.strictSame(await committedIn(await reopen()), [])
  })

  t.test('the room is told in bytes', async t => {
    const { store } = await fresh(t)
    const { free, total, kept } = await store.space()
    t.ok(free > 0 && free <= total && kept >= 0)
    await store.requireSpace(free / 2)
  })
}
