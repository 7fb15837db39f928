import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Test } from 'tap'
import { bytesIn, type BlobStore, type Piece, type StoredBlob } from '#src/blobs/blob-store.ts'
import { complete, createBlobId } from '#src/blobs/blob-writer.ts'
import { paceSuite as draftsPaceSuite, suite as draftsSuite } from './drafts.contract.ts'
import { inChunks, memoryInUse } from './kit/bytes.ts'
import { sha256Of } from './kit/digests.ts'
import { openFresh } from './kit/reopening.ts'
import { KIB, MIB } from './kit/sizes.ts'

const anySize = { maxBytes: Number.MAX_SAFE_INTEGER }

/** Stores bytes under a new id. */
export async function putNew (
  store: BlobStore, bytes: AsyncIterable<Uint8Array>, limits: { maxBytes: number } = anySize
): Promise<StoredBlob> {
  return complete(store.put(createBlobId(), bytes, limits))
}

export async function readPieces (
  store: BlobStore, { id, size }: { id: string, size: number }, pieces: readonly Piece[]
): Promise<Buffer> {
  const bytes = await store.read({ id, size }, pieces)
  return Buffer.isBuffer(bytes) ? bytes : Buffer.concat(await bytes.toArray())
}

/** The same, as a download of the whole blob. */
export async function readWhole (store: BlobStore, blob: StoredBlob): Promise<Buffer> {
  const bytes = await store.read(blob)
  return Buffer.isBuffer(bytes) ? bytes : Buffer.concat(await bytes.toArray())
}

export async function readAll (store: BlobStore, { id, size }: { id: string, size: number }): Promise<Buffer> {
  return readPieces(store, { id, size }, [{ start: 0, end: size - 1 }])
}

/** Of a blob that is not small: as a stream. */
async function readStream (store: BlobStore, { id, size }: { id: string, size: number }): Promise<Readable> {
  return await store.read({ id, size }, [{ start: 0, end: size - 1 }]) as Readable
}

async function committedIn (store: BlobStore): Promise<string[]> {
  const ids: string[] = []
  for await (const id of store.list()) ids.push(id)
  return ids.sort()
}

/** Every blob, pending or committed. */
async function storedIn (store: BlobStore): Promise<string[]> {
  return [...await store.pending?.() ?? [], ...await committedIn(store)].sort()
}

/**
 * The contract in src/blobs/blob-store.ts, for the store that `open` opens at a path; reopening a path gives the same
 * blobs.
 */
export function suite (t: Test, open: (place: string) => Promise<BlobStore>): void {
  /** A new store, closed when the test ends. */
  async function fresh (t: Test) {
    const { opened: store, ...more } = await openFresh(t, open)
    return { store, ...more }
  }

  draftsSuite(t, open)

  for (const { size, chunk } of [
    { size: 0, chunk: 1 },
    { size: 3000, chunk: 1 },
    { size: 64 * KIB, chunk: 64 * KIB },
    { size: 256 * KIB + 1, chunk: 1000 },
    { size: MIB, chunk: MIB },
    { size: 5 * MIB + 12345, chunk: 3 * MIB }
  ]) {
    t.test(`${size} bytes in chunks of ${chunk} come back as they went in, before they are committed, after, and after a restart`, async t => {
      const { store, reopen } = await fresh(t)
      const bytes = randomBytes(size)
      const stored = await putNew(store, inChunks(bytes, chunk), { maxBytes: size })
      t.match(stored, { id: /^[0-9a-f]{32}$/, size, sha256: sha256Of(bytes) })
      t.ok((await readAll(store, stored)).equals(bytes))
      if (size > 0) t.ok((await readWhole(store, stored)).equals(bytes))
      store.commit(stored.id)
      t.ok((await readAll(store, stored)).equals(bytes))
      t.ok((await readAll(await reopen(), stored)).equals(bytes))
    })
  }

  t.test('empty chunks change nothing, and chunks may be views of one buffer, as a socket gives them', async t => {
    const { store } = await fresh(t)
    const stored = await putNew(store, (async function * () { yield Buffer.alloc(0); yield Buffer.from('a'); yield Buffer.alloc(0) }()))
    t.match(stored, { size: 1, sha256: sha256Of(Buffer.from('a')) })
    const whole = randomBytes(100 * KIB)
    const views = await putNew(store, inChunks(whole.subarray(10, -10), 777))
    t.ok((await readAll(store, views)).equals(whole.subarray(10, -10)))
  })

  for (const size of [64 * KIB, 64 * KIB + 1, 1_000_000]) {
    t.test(`any ranges of a blob of ${size} bytes, and texts between them, can be read`, async t => {
      const { store } = await fresh(t)
      const bytes = randomBytes(size)
      const stored = await putNew(store, inChunks(bytes))
      for (const { what, pieces, expected } of [
        { what: 'the first byte', pieces: [{ start: 0, end: 0 }], expected: [bytes.subarray(0, 1)] },
        { what: 'the last byte', pieces: [{ start: size - 1, end: size - 1 }], expected: [bytes.subarray(-1)] },
        { what: 'a range from the middle', pieces: [{ start: size >> 2, end: size - 200 }], expected: [bytes.subarray(size >> 2, size - 199)] },
        { what: 'ranges and texts in turn', pieces: ['head ', { start: 5, end: 9 }, ' middle ', { start: 0, end: size >> 1 }, 'é'], expected: [Buffer.from('head '), bytes.subarray(5, 10), Buffer.from(' middle '), bytes.subarray(0, (size >> 1) + 1), Buffer.from('é')] },
        { what: 'ranges one after the other', pieces: [{ start: 7, end: 8 }, { start: 7, end: 8 }, { start: 0, end: size - 1 }], expected: [bytes.subarray(7, 9), bytes.subarray(7, 9), bytes] },
        { what: 'a text alone', pieces: ['only'], expected: [Buffer.from('only')] },
        { what: 'an empty range', pieces: [{ start: 0, end: -1 }], expected: [] },
        { what: 'nothing', pieces: [], expected: [] }
      ]) {
        const read = await readPieces(store, stored, pieces)
        t.ok(read.equals(Buffer.concat(expected)), what)
        t.equal(read.length, bytesIn(pieces), what)
      }
    })
  }

  t.test('a file of exactly the limit is taken; one byte more is not, the rest of it is left unread, and nothing stays', async t => {
    const { store, reopen } = await fresh(t)
    const exact = await putNew(store, inChunks(Buffer.alloc(200_000)), { maxBytes: 200_000 })
    await store.remove([exact.id])
    let yielded = 0
    const endless = async function * () { for (;;) { yielded++; yield Buffer.alloc(1000) } }
    await t.rejects(putNew(store, endless(), { maxBytes: 200_000 }), { code: 'file_too_large' })
    t.equal(yielded, 201)
    await t.rejects(putNew(store, inChunks(Buffer.alloc(1)), { maxBytes: 0 }), { code: 'file_too_large' })
    await t.rejects(putNew(store, inChunks(Buffer.alloc(7 * MIB)), { maxBytes: 6 * MIB }), { code: 'file_too_large' })
    t.strictSame(await storedIn(store), [])
    t.strictSame(await storedIn(await reopen()), [])
  })

  for (const after of [0, 100, 11 * MIB]) {
    t.test(`a source that fails after ${after} bytes fails the put with its own error, and nothing stays`, async t => {
      const { store, reopen } = await fresh(t)
      const failure = new Error('the client went away')
      await t.rejects(putNew(store, (async function * () {
        yield * inChunks(Buffer.alloc(after))
        throw failure
      }())), failure)
      t.strictSame(await storedIn(await reopen()), [])
    })
  }

  t.test('what was put and pending is named after a restart, unless the store needs leases; what was committed or removed is not', async t => {
    const { store, reopen } = await fresh(t)
    const [open, committed, removed, both] = await Promise.all(['a', 'b', 'c', 'd'].map(text => putNew(store, inChunks(Buffer.from(text))))) as [StoredBlob, StoredBlob, StoredBlob, StoredBlob]
    store.commit(committed.id)
    store.commit(both.id)
    await store.remove([removed.id])
    await store.remove([both.id])
    const again = await reopen()
    t.strictSame(await again.pending?.() ?? [], again.needsLeases ? [] : [open.id])
    t.strictSame(await storedIn(again), [open.id, committed.id].sort())
    t.strictSame(await committedIn(again), again.needsLeases ? [open.id, committed.id].sort() : [committed.id])
    t.strictSame(
      [await again.has(committed.id), await again.has(removed.id), await again.has(both.id)], [true, false, false]
    )
    t.equal(String(await readAll(again, open)), 'a')
    again.commit(open.id)
    const third = await reopen()
    t.strictSame(await third.pending?.() ?? [], [])
    t.strictSame(await committedIn(third), [open.id, committed.id].sort())
  })

  t.test('to commit what is gone is no failure, and neither is to remove it', async t => {
    const { store } = await fresh(t)
    store.commit('0'.repeat(32))
    const { id } = await putNew(store, inChunks(Buffer.from('a')))
    const { id: committed } = await putNew(store, inChunks(Buffer.from('a')))
    store.commit(committed)
    const ids = ['0'.repeat(32), id, committed]
    t.strictSame((await store.remove(ids)).sort(), ids.sort(), 'what is gone is told')
    store.commit(id)
    await store.remove([id])
    await store.quarantine?.(id)
    t.strictSame(await committedIn(store), [])
    const stored = await putNew(store, inChunks(Buffer.from('a')))
    const many = [...Array.from({ length: 1100 }, createBlobId), stored.id]
    t.strictSame((await store.remove(many)).sort(), many.sort(), 'more than one request may name')
    t.strictSame(await storedIn(store), [])
    t.strictSame(await store.remove([]), [])
  })

  for (const size of [4, 100 * KIB]) {
    t.test(`a blob of ${size} bytes that is removed, unknown, or of another size is damaged`, async t => {
      const { store } = await fresh(t)
      const { id } = await putNew(store, inChunks(Buffer.alloc(size)))
      await store.check(id, size)
      const ways: ((id: string, size: number) => Promise<unknown>)[] = [
        (id, size) => store.check(id, size),
        (id, size) => store.read({ id, size }, [{ start: 0, end: size - 1 }]),
        (id, size) => store.read({ id, size }, ['text', { start: 0, end: 0 }]),
        (id, size) => store.read({ id, size }, ['text'])
      ]
      for (const read of ways) {
        for (const wrong of [0, size - 1, size + 1, 70 * KIB]) await t.rejects(read(id, wrong), { code: 'file_damaged' })
        await t.rejects(read('0'.repeat(32), size), { code: 'file_damaged', cause: { code: 'ENOENT' } })
      }
      await store.remove([id])
      for (const read of ways) await t.rejects(read(id, size), { code: 'file_damaged', cause: { code: 'ENOENT' } })
    })
  }

  t.test('a copy has the bytes of the blob, or is not there', async t => {
    const { store, place: folder } = await fresh(t)
    const bytes = randomBytes(6 * MIB)
    const blob = await putNew(store, inChunks(bytes))
    store.commit(blob.id)
    t.match(await store.copies.copyTo(blob, join(folder, 'copy')), /^(?:linked|copied)$/)
    t.equal(await store.copies.copyTo(blob, join(folder, 'equal'), join(folder, 'copy')), 'linked')
    for (const name of ['copy', 'equal']) t.ok((await readFile(join(folder, name))).equals(bytes), name)
    await t.rejects(store.copies.copyTo({ ...blob, size: blob.size - 1 }, join(folder, 'no-copy')), { code: 'file_damaged' })
    await t.rejects(store.copies.copyTo({ ...blob, id: '0'.repeat(32) }, join(folder, 'no-copy')), { code: 'file_damaged' })
    t.notOk(existsSync(join(folder, 'no-copy')))
  })

  for (const size of [0, 3000, 6 * MIB]) {
    t.test(`a blob of ${size} bytes is copied under a new id, also while it is committed, and stays when the other is removed`, async t => {
      const { store, reopen } = await fresh(t)
      const bytes = randomBytes(size)
      const blob = await putNew(store, inChunks(bytes))
      const [copy, second] = [{ ...blob, id: createBlobId() }, { ...blob, id: createBlobId() }]
      store.commit(blob.id)
      await complete(store.copies.copy(blob, copy.id, { maxBytes: size }))
      await complete(store.copies.copy(copy, second.id, { maxBytes: size }))
      await store.remove([blob.id])
      t.strictSame((await store.pending?.() ?? []).sort(), store.needsLeases ? [] : [copy.id, second.id].sort())
      store.commit(copy.id)
      t.ok((await readAll(store, copy)).equals(bytes))
      const again = await reopen()
      t.strictSame(await again.pending?.() ?? [], again.needsLeases ? [] : [second.id])
      await again.remove([copy.id])
      t.ok((await readAll(again, second)).equals(bytes))
      again.commit(second.id)
      t.strictSame(await storedIn(await reopen()), [second.id])
    })
  }

  t.test('a blob that is missing or has another size is not copied, and nothing stays', async t => {
    const { store, reopen } = await fresh(t)
    for (const size of [4, 6 * MIB]) {
      const blob = await putNew(store, inChunks(Buffer.alloc(size)))
      for (const wrong of [{ size: size - 1 }, { size: size + 1 }, { id: '0'.repeat(32) }]) {
        await t.rejects(complete(store.copies.copy({ ...blob, ...wrong }, createBlobId(), anySize)), { code: 'file_damaged' })
      }
      t.strictSame(await storedIn(store), [blob.id])
      await store.remove([blob.id])
      await t.rejects(complete(store.copies.copy(blob, createBlobId(), anySize)), { code: 'file_damaged', cause: { code: 'ENOENT' } })
    }
    t.strictSame(await storedIn(await reopen()), [])
  })

  t.test('a store that is closed ends the copies in progress first', async t => {
    const { store, reopen } = await fresh(t)
    const blob = await putNew(store, inChunks(randomBytes(6 * MIB)))
    const id = createBlobId()
    let isCopied = false
    const copying = complete(store.copies.copy(blob, id, anySize)).then(() => { isCopied = true })
    const again = await reopen()
    t.ok(isCopied)
    await copying
    t.equal(sha256Of(await readAll(again, { ...blob, id })), blob.sha256)
  })

  for (const isCommitted of [true, false]) {
    t.test(`who reads a blob when it is removed reads on to its end (${isCommitted ? 'committed' : 'pending'})`, async t => {
      const { store } = await fresh(t)
      if (store.graceSeconds > 0) return t.pass('the bytes of a discarded blob are kept for readers')
      const bytes = randomBytes(3 * MIB)
      const { id, size } = await putNew(store, inChunks(bytes))
      if (isCommitted) store.commit(id)
      const [begun, opened] = [await readStream(store, { id, size }), await readStream(store, { id, size })]
      const iterator = begun[Symbol.asyncIterator]()
      const chunks = [(await iterator.next()).value]
      await store.remove([id])
      await t.rejects(readStream(store, { id, size }), { code: 'file_damaged' })
      for await (const chunk of { [Symbol.asyncIterator]: () => iterator }) chunks.push(chunk)
      t.ok(Buffer.concat(chunks).equals(bytes))
      t.ok(Buffer.concat(await opened.toArray()).equals(bytes), 'who had only opened it too')
    })
  }

  t.test('a blob is read whole by many at once, and one who stops early stops no other', async t => {
    const { store } = await fresh(t)
    const bytes = randomBytes(2 * MIB)
    const { id, size } = await putNew(store, inChunks(bytes))
    const early = await readStream(store, { id, size })
    const readers = Array.from({ length: 10 }, () => readAll(store, { id, size }))
    early.destroy()
    for (const read of await Promise.all(readers)) t.ok(read.equals(bytes))
  })

  t.test('a blob in quarantine is out of the store', async t => {
    const { store, reopen } = await fresh(t)
    const { id, size } = await putNew(store, inChunks(Buffer.from('a')))
    store.commit(id)
    const again = await reopen()
    for (let count = 0; count < 2; count++) t.equal(await again.quarantine(id), true)
    t.notOk(await again.has(id))
    t.strictSame(await committedIn(again), [])
    await t.rejects(readAll(again, { id, size }), { code: 'file_damaged' })
    await t.rejects(again.check(id, size), { code: 'file_damaged' })
  })

  t.test('the room is told in bytes; what can be stored is admitted, and what no disk has room for is refused', async t => {
    const { store } = await fresh(t)
    const { space } = store
    if (space === undefined) return t.pass('the store is on no disk')
    await space.check(0)
    await space.check(1000)
    const { free, total, reserved } = await space.measure()
    t.ok(free > 0 && free <= total && reserved >= 0)
    await space.check(free / 2)
    await t.rejects(space.check(Number.MAX_SAFE_INTEGER), { code: 'storage_full' })
  })

  t.test('a probe succeeds where a blob could be stored, and is none, and marks are kept apart from blobs', async t => {
    const { store, reopen } = await fresh(t)
    const [, { id }] = await Promise.all([store.probe(), putNew(store, inChunks(Buffer.from('a')))])
    await store.probe()
    t.strictSame(await storedIn(store), [id])
    t.strictSame(await store.marks.list(), [])
    for (const name of ['one.1', 'two.2', 'two.2']) await store.marks.add(name)
    const again = await reopen()
    t.strictSame((await again.marks.list()).sort(), ['one.1', 'two.2'])
    t.strictSame(await storedIn(again), [id])
    for (const name of ['two.2', 'two.2']) await again.marks.remove(name)
    t.strictSame(await again.marks.list(), ['one.1'])
  })
}

/**
 * The part about when bytes are saved and how many are in memory, which is the same on each service that keeps them.
 */
export function paceSuite (t: Test, open: (place: string) => Promise<BlobStore>): void {
  draftsPaceSuite(t, open)

  for (const { what, chunk, count } of [{ what: 'large', chunk: MIB, count: 32 }, { what: 'tiny', chunk: 1, count: 64 * KIB }]) {
    t.test(`of a source of ${what} chunks no more than a few MiB are in memory`, async t => {
      const { opened: store } = await openFresh(t, open)
      let most = 0
      const start = memoryInUse()
      const stored = await putNew(store, (async function * () {
        for (let index = 1; index <= count; index++) {
          yield Buffer.alloc(chunk)
          if (index % (count / 2) === 0) most = Math.max(most, memoryInUse() - start)
        }
      }()))
      t.equal(stored.size, chunk * count)
      t.ok(most < 20 * MIB, `at most ${Math.round(most / MIB)} MiB`)
    })
  }
}
