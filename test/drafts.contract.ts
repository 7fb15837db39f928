import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import { type AppendOptions, type BlobStore, type Draft, Superseded, type WriteSteps } from '#src/blobs/blob-store.ts'
import { createBlobId, complete } from '#src/blobs/blob-writer.ts'
import { inChunks, memoryInUse } from './kit/bytes.ts'
import { openFresh } from './kit/reopening.ts'
import { KIB, MIB } from './kit/sizes.ts'

const maxBytes = 1024 ** 4

/** How many bytes arrive before they are saved, in the stores of this contract. */
export const SAVE_BYTES = 6 * MIB
const noDraft: Draft = { size: 0, state: null }

/** A promise, and the function that resolves it. */
export function gate (): { opened: Promise<void>, open: () => void } {
  let open = () => {}
  const opened = new Promise<void>(resolve => { open = resolve })
  return { opened, open }
}

export type DraftRow = ReturnType<typeof createRow>

/** What metadata record about a draft: the latest request that took it over is the only one that can save. */
export function createRow () {
  let generation = 0
  const row = {
    draft: noDraft,
    /** Every draft that was saved. */
    saved: [] as Draft[],
    takeOver () {
      const own = ++generation
      return async (draft: Draft) => {
        if (own !== generation) throw new Error('taken over')
        row.saved.push(draft)
        row.draft = draft
        return true
      }
    }
  }
  return row
}

/** Appends to a draft, with what a caller does for it. */
export function appendTo (
  store: BlobStore, { id, draft }: { id: string, draft: Draft }, bytes: AsyncIterable<Uint8Array>,
  { record, check, freeDisk, ...options }: AppendOptions & WriteSteps
): Promise<Draft> {
  return complete(store.drafts.append(id, draft, bytes, options), { record, check, freeDisk })
}

const appendWith = (options: { isAtomic?: true }) => async (
  store: BlobStore, id: string, row: DraftRow, bytes: AsyncIterable<Uint8Array>, limit = maxBytes
): Promise<void> => {
  const record = row.takeOver()
  await appendTo(store, { id, draft: row.draft }, bytes, { maxBytes: limit, record, ...options })
}

/** Appends to a draft as a request does, and records what comes of it. */
export const append = appendWith({})

/** The same, but all of the bytes are kept or none. */
export const appendAtomically = appendWith({ isAtomic: true })

/** The bytes of a draft that is whole, after it was made a blob. */
export async function readDraft (store: BlobStore, id: string, { size, state }: Draft): Promise<Buffer> {
  await store.drafts.finish(id, { size, state })
  const bytes = await store.read({ id, size }, [{ start: 0, end: size - 1 }])
  return Buffer.isBuffer(bytes) ? bytes : Buffer.concat(await bytes.toArray())
}

/** A new store with a draft, closed when the test ends. */
async function openDraft (t: Test, open: (place: string) => Promise<BlobStore>) {
  const { opened: store, reopen } = await openFresh(t, open)
  return { store, id: createBlobId(), row: createRow(), reopen }
}

/** The part of the contract in src/blobs/blob-store.ts that is about drafts. */
export function suite (t: Test, open: (place: string) => Promise<BlobStore>): void {
  const fresh = (t: Test) => openDraft(t, open)

  for (const { sizes, chunk = 64 * KIB } of [
    { sizes: [] },
    { sizes: [0, 1, 0] },
    { sizes: [1, 1, 1, 65_536] },
    { sizes: [5 * MIB - 1, 1, 5 * MIB] },
    { sizes: [3 * MIB, 3 * MIB, 3 * MIB], chunk: 3 * MIB },
    { sizes: [11 * MIB, 100, 0], chunk: 1_000_000 },
    { sizes: [12 * MIB + 1], chunk: 12 * MIB }
  ]) {
    t.test(`a draft of ${sizes.join(' + ')} bytes in chunks of ${chunk} becomes a blob of all of them, also after restarts`, async t => {
      const { store, id, row, reopen } = await fresh(t)
      const bytes = randomBytes(sizes.reduce((sum, size) => sum + size, 0))
      let current = store
      // Without any append a draft has no bytes to read: an empty append makes them.
      for (const [index, size] of (sizes.length === 0 ? [0] : sizes).entries()) {
        const part = bytes.subarray(row.draft.size, row.draft.size + size)
        await (index % 2 === 0 ? append : appendAtomically)(current, id, row, inChunks(part, chunk))
        if (index % 2 === 1) current = await reopen()
      }
      t.equal(row.draft.size, bytes.length)
      t.ok((await readDraft(current, id, row.draft)).equals(bytes))
      await current.check(id, bytes.length)
      t.ok((await readDraft(await reopen(), id, row.draft)).equals(bytes))
    })
  }

  t.test('a draft that several processes assemble at once becomes a blob, though one of them may have to try again', async t => {
    for (const size of [0, 1000, 6 * MIB]) {
      const { store, id, row } = await fresh(t)
      const bytes = randomBytes(size)
      await append(store, id, row, inChunks(bytes))
      for (const end of await Promise.allSettled([1, 2, 3].map(() => store.drafts.finish(id, row.draft)))) {
        if (end.status === 'rejected') t.equal(end.reason.code, 'unavailable')
      }
      t.ok((await readDraft(store, id, row.draft)).equals(bytes))
    }
  })

  t.test('what arrives is saved at least after so many bytes, and no more than has arrived', async t => {
    const { store, id, row } = await fresh(t)
    const chunk = randomBytes(MIB)
    let arrived = 0
    const record = row.takeOver()
    const late: number[] = []
    await appendTo(store, { id, draft: noDraft }, (async function * () {
      for (; arrived < 4 * SAVE_BYTES; arrived += MIB) yield chunk
    }()), {
      maxBytes,
      record (draft) {
        if (draft.size > arrived + MIB) late.push(draft.size)
        return record(draft)
      }
    })
    t.strictSame(late, [])
    const sizes = row.saved.map(({ size }) => size)
    t.strictSame(sizes, [...sizes].sort((a, b) => a - b))
    t.strictSame(sizes.filter((size, index) => size - (sizes[index - 1] ?? 0) > SAVE_BYTES + chunk.length), [], sizes.join(' '))
    t.equal(row.draft.size, 4 * SAVE_BYTES)
  })

  for (const after of [0, 100, 5 * MIB, 11 * MIB]) {
    t.test(`of a source that fails after ${after} bytes, which fails the append, what arrived is kept, or nothing if it is atomic`, async t => {
      const { store, id, row, reopen } = await fresh(t)
      const bytes = randomBytes(1000 + after + 100)
      const failure = new Error('the client went away')
      async function * failing () {
        yield * inChunks(bytes.subarray(1000, 1000 + after))
        throw failure
      }
      await append(store, id, row, inChunks(bytes.subarray(0, 1000)))
      await t.rejects(appendAtomically(store, id, row, failing()), failure)
      t.equal(row.draft.size, 1000)
      await t.rejects(append(store, id, row, failing()), failure)
      t.equal(row.draft.size, 1000 + after)
      await t.rejects(appendAtomically(store, id, row, failing()), failure)
      t.equal(row.draft.size, 1000 + after)
      const again = await reopen()
      await append(again, id, row, inChunks(bytes.subarray(1000 + after)))
      t.ok((await readDraft(again, id, row.draft)).equals(bytes))
    })
  }

  for (const { first, arrives } of [
    { first: 50_000, arrives: 50_000 }, { first: 6 * MIB, arrives: 100 }, { first: 100, arrives: SAVE_BYTES - MIB / 2 }
  ]) {
    t.test(`${arrives} bytes after the first ${first} that are not recorded leave the draft as it was`, async t => {
      const { store, id, row, reopen } = await fresh(t)
      const bytes = randomBytes(first + arrives)
      const failure = new Error('the client went away')
      await append(store, id, row, inChunks(bytes.subarray(0, first)))
      const record = row.takeOver()
      const isUnrecorded: number[] = []
      const saveAllButTheLast = async (draft: Draft) => {
        if (draft.size < bytes.length) return record(draft)
        isUnrecorded.push(draft.size)
        return false
      }
      await t.rejects(appendTo(store, { id, draft: row.draft }, (async function * () {
        yield * inChunks(bytes.subarray(first))
        throw failure
      }()), { maxBytes, record: saveAllButTheLast }), failure)
      // More than once if the disk takes its time: what arrived is also offered every few seconds.
      t.strictSame(new Set(isUnrecorded), new Set([bytes.length]))
      t.equal(row.draft.size, first)
      const again = await reopen()
      await append(again, id, row, inChunks(bytes.subarray(first)))
      t.ok((await readDraft(again, id, row.draft)).equals(bytes))
    })
  }

  t.test('bytes that come after others that were not recorded are appended to them', async t => {
    const { store, id, row } = await fresh(t)
    const first = 1000
    const second = first + SAVE_BYTES
    const bytes = randomBytes(second + MIB)
    await append(store, id, row, inChunks(bytes.subarray(0, first)))
    const record = row.takeOver()
    const { opened: seen, open: saw } = gate()
    await appendTo(store, { id, draft: row.draft }, (async function * () {
      yield * inChunks(bytes.subarray(first, second))
      await seen
      yield * inChunks(bytes.subarray(second))
    }()), {
      maxBytes,
      record: async (draft, { isLast }) => {
        if (isLast || draft.size === first) return record(draft)
        saw()
        return false
      }
    })
    t.ok((await readDraft(store, id, row.draft)).equals(bytes))
  })

  t.test('a draft has exactly the limit at most', async t => {
    const { store, id, row } = await fresh(t)
    const bytes = randomBytes(6 * MIB)
    await append(store, id, row, inChunks(bytes.subarray(0, 100)), 100)
    await t.rejects(append(store, id, row, inChunks(bytes.subarray(100)), 5 * MIB), { code: 'file_too_large' })
    t.ok(row.draft.size > 100 && row.draft.size <= 5 * MIB, 'what arrived before is kept')
    const { size } = row.draft
    await t.rejects(appendAtomically(store, id, row, inChunks(bytes.subarray(size)), 5 * MIB), { code: 'file_too_large' })
    t.equal(row.draft.size, size)
    await append(store, id, row, inChunks(bytes.subarray(size)), bytes.length)
    t.ok((await readDraft(store, id, row.draft)).equals(bytes))
  })

  t.test('an append that can no longer save fails at once with that error, even while nothing comes', async t => {
    const { store, id, row } = await fresh(t)
    const bytes = randomBytes(4 * SAVE_BYTES)
    const { opened: released, open: release } = gate()
    const record = row.takeOver()
    const appended = appendTo(store, { id, draft: noDraft }, (async function * () {
      yield * inChunks(bytes, MIB)
      await released
      yield * inChunks(bytes, MIB)
    }()), { maxBytes, record })
    row.takeOver()
    await t.rejects(appended, { message: 'taken over' })
    release()
    t.strictSame(row.draft, noDraft)
    await append(store, id, row, inChunks(bytes.subarray(0, 6 * MIB)))
    t.ok((await readDraft(store, id, row.draft)).equals(bytes.subarray(0, 6 * MIB)))
  })

  for (const isAtomic of [false, true]) {
    t.test(`an append that was superseded by another process may go on, and changes nothing (${isAtomic ? 'with a digest' : 'without a digest'})`, async t => {
      const { store, id, row } = await fresh(t)
      if (!store.needsLeases) return t.pass('no two processes append to the same draft')
      const [mine, theirs] = [randomBytes(26 * MIB), randomBytes(20 * MIB)]
      await append(store, id, row, inChunks(mine.subarray(0, 7 * MIB)))
      const [begins, isSuperseded] = [gate(), gate()]
      const old = (isAtomic ? appendAtomically : append)(store, id, row, (async function * () {
        yield * inChunks(theirs.subarray(0, 12 * MIB))
        begins.open()
        await isSuperseded.opened
        yield * inChunks(theirs.subarray(12 * MIB))
      }()))
      await begins.opened
      // Some of what the older one sent may have been saved.
      const begun = row.draft.size
      const saved = theirs.subarray(0, begun - 7 * MIB)
      const expected = Buffer.concat([mine.subarray(0, 7 * MIB), saved, mine.subarray(begun)])
      const current = append(store, id, row, (async function * () {
        yield * inChunks(mine.subarray(begun, 20 * MIB))
        isSuperseded.open()
        await old.catch(() => {})
        yield * inChunks(mine.subarray(20 * MIB))
      }()))
      await t.rejects(old, { message: 'taken over' })
      await current
      t.ok((await readDraft(store, id, row.draft)).equals(expected))
    })
  }

  for (const { moment, checks } of [
    { moment: 'before its first byte', checks: ['gone'] },
    { moment: 'and is removed at that moment', checks: ['removed', 'gone'] }
  ]) {
    t.test(`an append whose draft ended ${moment} leaves nothing behind`, async t => {
      const { store, id } = await fresh(t)
      const gone = new Error('the upload has ended')
      const next = checks.values()
      const append = appendTo(store, { id, draft: noDraft }, inChunks(randomBytes(100)), {
        maxBytes,
        record: async () => { throw new Superseded(undefined) },
        async check () {
          if (next.next().value === 'gone') throw gone
          await store.remove([id])
        }
      })
      const failure = await append.catch((error: unknown) => error)
      t.ok(failure === gone || failure instanceof Superseded)
      t.notOk(await store.has(id))
      t.strictSame(await store.pending?.() ?? [], [])
    })
  }

  t.test('a draft that is removed is gone, whether it was assembled or not', async t => {
    const { store } = await fresh(t)
    const drafts = await Promise.all([0, 100, 6 * MIB, 6 * MIB].map(async (size, index) => {
      const [id, row] = [createBlobId(), createRow()]
      await append(store, id, row, inChunks(Buffer.alloc(size)))
      if (index === 3) await store.drafts.finish(id, row.draft)
      return { id, row }
    }))
    const ids = drafts.map(({ id }) => id)
    t.strictSame((await store.remove(ids)).sort(), ids.sort())
    for (const id of ids) t.notOk(await store.has(id))
    t.strictSame((await store.remove(ids)).sort(), ids.sort())
  })
}

/** The part about when a draft is saved and how much of it is in memory. */
export function paceSuite (t: Test, open: (place: string) => Promise<BlobStore>): void {
  const fresh = (t: Test) => openDraft(t, open)

  t.test('while a draft is recorded nothing more is taken, and then the rest is', async t => {
    const { store, id, row } = await fresh(t)
    const chunk = randomBytes(MIB)
    const end = 2 * SAVE_BYTES + 3 * MIB
    let arrived = 0
    const record = row.takeOver()
    let first: Draft | undefined
    await appendTo(store, { id, draft: noDraft }, (async function * () {
      for (; arrived < end; arrived += MIB) yield chunk
    }()), {
      maxBytes,
      async record (draft) {
        if (first === undefined && draft.size > 0) {
          first = draft
          const before = arrived
          await pause(200)
          t.equal(arrived, before)
        }
        return record(draft)
      }
    })
    t.ok(row.saved.some(({ size }) => size > Number(first?.size) && size < end), 'as soon as the first ones are')
    t.equal(row.draft.size, end)
  })

  t.test('what has arrived is saved after some seconds, though nothing more comes', async t => {
    const { store, id, row } = await fresh(t)
    const record = row.takeOver()
    const bytes = randomBytes(SAVE_BYTES)
    const first = bytes.subarray(0, SAVE_BYTES - MIB / 2)
    const { opened: seen, open: saw } = gate()
    await appendTo(store, { id, draft: noDraft }, (async function * () {
      yield * inChunks(first)
      await seen
      yield * inChunks(bytes.subarray(first.length))
    }()), { maxBytes, record: async draft => { if (draft.size === first.length) saw(); return record(draft) } })
    t.equal(row.draft.size, bytes.length)
    t.ok((await readDraft(store, id, row.draft)).equals(bytes))
  })

  t.test('what has arrived is saved after those seconds, though a little more comes in them', async t => {
    const { store, id, row } = await fresh(t)
    // The timer of the store, which starts with the first byte, ends before the second one here.
    await append(store, id, row, (async function * () {
      yield Buffer.from('a')
      for (const next of ['b', 'c']) {
        await pause(2700)
        yield Buffer.from(next)
      }
    }()))
    t.strictSame(row.saved.map(({ size }) => size), [2, 3])
  })

  t.test('of a draft no more than a few MiB are in memory', async t => {
    const { store, id, row } = await fresh(t)
    let most = 0
    const start = memoryInUse()
    await append(store, id, row, (async function * () {
      for (let index = 0; index < 32; index++) {
        yield Buffer.alloc(MIB)
        if (index % 12 === 11) most = Math.max(most, memoryInUse() - start)
      }
    }()))
    t.equal(row.draft.size, 32 * MIB)
    t.ok(most < 16 * MIB, `at most ${Math.round(most / MIB)} MiB`)
  })
}
