import type { Test } from 'tap'
import type { RetentionPolicy, TrashRecord } from '#src/metadata/retention-records.ts'
import type { AccountRecord, FileRecord, NewFile, StoredContent } from '#src/metadata/records.ts'
import { suite as modelSuite } from './kept-model.contract.ts'
import { createTestClock } from './kit/clock.ts'
import { DAY } from './kit/durations.ts'
import { hex, newFile as newFileOf, outcomes, unlimited } from './kit/records.ts'
import type { OpenMetadata } from './kit/reopening.ts'
import { changeOf, newUpload } from './uploads.contract.ts'

const month: RetentionPolicy = { milliseconds: 30 * DAY, versions: 3 }
const always = {}
/** Permits no change of a file that there is. */
const never = { 'if-match': '"other"' }

const ids = (rows: { id: string }[]) => rows.map(({ id }) => id)
const blobsOf = (files: { blobId: string }[]) => files.map(({ blobId }) => blobId)

/** A file to be stored, and when: by default a second after the change before. */
type Stored = Partial<NewFile> & { now?: number }

/**
 * The contract in src/metadata/versions.ts, for the backend that `open` opens at a path; reopening a path gives
 * the same records.
 */
export function suite (t: Test, open: OpenMetadata): void {
  modelSuite(t, open)

  /**
   * A store with two accounts, in which one second passes between two operations of the first, unless it goes by its
   * own clock.
   */
  async function start (t: Test, retentionPolicy: RetentionPolicy = month, { hasOwnClock = false } = {}) {
    const place = t.testdir()
    const clock = createTestClock()
    const options = (retentionPolicy: RetentionPolicy) => ({ retentionPolicy, ...!hasOwnClock && { clock: clock.now } })
    let metadata = await open(place, options(retentionPolicy))
    t.teardown(() => metadata.close())
    const account = async (name: string) => (await metadata.accounts.add({ username: name, usernameKey: name, passwordHash: 'hash', createdAt: 1 })).id
    const [ownerId, otherId] = [await account('ada'), await account('bob')]
    const begin = Date.now() - DAY
    let seconds = 0
    /** Sets the clock to the next second. Returns that time. */
    function tick (): number {
      clock.set(begin + 1000 * ++seconds)
      return clock.now()
    }
    tick()
    const newFile = (name: string, fields: Partial<NewFile> = {}) => newFileOf(ownerId, name, fields)

    async function put (
      name: string, { now = tick(), ...fields }: Stored = {}, quota = unlimited
    ): Promise<FileRecord> {
      clock.set(now)
      return (await metadata.files.put(newFile(name, fields), quota, always)).file
    }

    async function remove (name: string, { now = tick(), of = ownerId, isPermanent = false } = {}): Promise<void> {
      clock.set(now)
      await metadata.files.remove(of, name, { precondition: always, isPermanent })
    }

    async function restoreVersion (name: string, { id }: { id: string }): Promise<FileRecord> {
      tick()
      return metadata.versions.restore(ownerId, name, id, { quota: unlimited, precondition: always })
    }

    async function restoreFile ({ id }: { id: string }): Promise<FileRecord> {
      tick()
      return metadata.trash.restore(ownerId, id, { quota: unlimited, name: undefined })
    }

    return {
      metadata,
      ownerId,
      otherId,
      clock,
      tick,
      newFile,
      put,
      remove,
      restoreVersion,
      restoreFile,
      versions: (fileId: number) => metadata.versions.list(ownerId, fileId, { after: undefined, limit: 100 }),
      trash: () => metadata.trash.list(ownerId, { after: undefined, limit: 100 }),
      async usage () {
        const { usedBytes, usedFiles, keptBytes } = await metadata.accounts.find(ownerId) as AccountRecord
        return { bytes: usedBytes, files: usedFiles, keptBytes }
      },
      discarded: async () => (await metadata.blobs.takeDiscarded(1000, 0)).sort(),
      async reopen (retentionPolicy: RetentionPolicy) {
        await metadata.close()
        metadata = await open(place, options(retentionPolicy))
        return metadata
      }
    }
  }

  t.test('a move onto a file makes a version of it; older versions of the moved file go to the trash, unless they have expired', async t => {
    const { metadata, ownerId, clock, put, versions, trash, restoreFile, usage, discarded } = await start(t)
    const move = () => metadata.files.rename(ownerId, 'b', 'a', unlimited, { overwrites: true })
    const target = await put('a')
    const [first, second, { blobId, storedAt }] = [await put('b'), await put('b'), await put('b')]
    t.match(await move(), { id: target.id, createdAt: target.createdAt, blobId, storedAt, updatedAt: clock.now() })
    t.match(await versions(target.id), [{ id: target.blobId, storedAt: target.storedAt }])
    t.match(await trash(), [{ id: second.blobId, fileId: first.id, name: 'b', keptAt: clock.now(), versions: 1 }])
    t.strictSame(await usage(), { bytes: 10, files: 1, keptBytes: 30 })
    const restored = await restoreFile({ id: second.blobId })
    t.match(restored, { id: first.id, createdAt: first.createdAt, blobId: second.blobId })
    t.strictSame([ids(await versions(first.id)), await trash()], [[first.blobId], []])
    clock.advance(31 * DAY)
    await move()
    t.strictSame([await trash(), await discarded()], [[], [first.blobId]])
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('what is kept is its owner\'s alone, each list has its own, and both survive a restart', async t => {
    const { metadata, ownerId, otherId, put, remove, versions, trash, reopen } = await start(t)
    const [first, current] = [await put('a', { modifiedAt: 5 }), await put('a')]
    const [old, deleted] = [await put('b'), await put('b', { modifiedAt: 7 })]
    await remove('b')
    await put('c')
    await put('a', { ownerId: otherId })
    const kept = [await versions(first.id), await trash()] as const
    t.match(kept, [
      [{ id: first.blobId, ownerId, fileId: first.id, modifiedAt: 5 }],
      [{ id: deleted.blobId, ownerId, fileId: deleted.id, modifiedAt: 7 }]
    ])
    const page = { after: undefined, limit: 9 }
    t.strictSame(await metadata.versions.list(otherId, first.id, page), [])
    t.strictSame(await metadata.trash.list(otherId, page), [])
    const change = { quota: unlimited, precondition: always, name: undefined }
    for (const [owner, name, id] of [
      [otherId, 'a', first.blobId], [ownerId, 'b', old.blobId], [ownerId, 'c', first.blobId],
      [ownerId, 'a', current.blobId], [ownerId, 'a', deleted.blobId], [ownerId, 'a', hex(16)], [ownerId, 'a', '']
    ] as const) {
      t.equal(await metadata.versions.find(owner, name, id), undefined)
      const acts = [metadata.versions.restore(owner, name, id, change), metadata.versions.remove(owner, name, id)]
      t.strictSame(await outcomes(acts), { not_found: 2 })
    }
    for (const [owner, id] of [
      [otherId, deleted.blobId], [ownerId, old.blobId], [ownerId, first.blobId], [ownerId, hex(16)]
    ] as const) {
      const acts = [metadata.trash.restore(owner, id, change), metadata.trash.remove(owner, id)]
      t.strictSame(await outcomes(acts), { not_found: 2 })
    }
    const refused = [never, { 'if-match': `"${first.sha256}"` }].map(precondition =>
      metadata.versions.restore(ownerId, 'a', first.blobId, { ...change, precondition }))
    t.strictSame(await outcomes(refused), { precondition_failed: 2 })
    const again = await reopen(month)
    t.strictSame([await versions(first.id), await trash()], kept)
    t.strictSame(await again.versions.find(ownerId, 'a', first.blobId), { file: current, version: kept[0][0] })
    const precondition = { 'if-match': `"${current.sha256}"` }
    t.match(await again.versions.restore(ownerId, 'a', first.blobId, { ...change, precondition }), { modifiedAt: 5 })
    t.match(await again.trash.restore(ownerId, deleted.blobId, change), { name: 'b', modifiedAt: 7 })
    await remove('b')
    t.strictSame(await outcomes([1, 2, 3].flatMap(() => [
      again.versions.remove(ownerId, 'a', current.blobId), again.trash.remove(ownerId, deleted.blobId)
    ])), { ok: 2, not_found: 4 })
  })

  t.test('pages of the trash have each entry that stays once, whatever is added, restored and deleted between them', async t => {
    const { metadata, ownerId, put, remove, trash, restoreFile } = await start(t)
    for (const name of 'abcdef') {
      await put(name)
      await remove(name)
    }
    const page = (last?: TrashRecord) =>
      metadata.trash.list(ownerId, { after: last && { ...last, key: last.keptAt }, limit: 2 })
    const [e, d, c, b] = (await trash()).slice(1)
    const first = await page()
    await restoreFile(e as TrashRecord)
    await put('g')
    await remove('g')
    const second = await page(first.at(-1))
    t.strictSame(second, [d, c])
    for (const { id } of [d, c] as TrashRecord[]) await metadata.trash.remove(ownerId, id)
    t.match(await page(second.at(-1)), [b, { name: 'a' }], 'after one that is gone')
  })

  t.test('of deletions at once each has a time of its own', async t => {
    const { tick, put, remove, trash } = await start(t)
    const names = Array.from({ length: 20 }, (_, index) => `${index}`)
    for (const name of names) await put(name)
    const now = tick()
    await Promise.all(names.map(name => remove(name, { now })))
    t.strictSame((await trash()).map(({ keptAt }) => keptAt - now), Array.from(names.keys()).reverse())
  })

  t.test('a file is not deleted before it was changed, nor before another that is less than a day ahead', async t => {
    const { tick, put, remove, trash } = await start(t)
    const now = tick()
    const times = async (changed: number, deleted: number) => {
      const name = hex(4)
      await put(name, { now: changed })
      await remove(name, { now: deleted })
      return (await trash()).find(entry => entry.name === name)?.keptAt
    }
    t.equal(await times(now + 400 * DAY, now), now + 400 * DAY, 'by a clock that was years ahead')
    t.equal(await times(now, now), now, 'which others do not wait for')
    t.equal(await times(now + DAY, now), now + DAY)
    t.equal(await times(now, now), now + 1, 'a day ahead')
    t.equal(await times(now, now + 2), now + DAY + 1, 'less than a day ahead')
    t.equal(await times(now, now + 3), now + DAY + 2)
  })

  t.test('fewer versions than before are found at once, and deleted with the next one', async t => {
    const { ownerId, put, remove, versions, restoreVersion, trash, discarded, reopen } = await start(t)
    const [first, second, third, last] = [await put('a'), await put('a'), await put('a'), await put('a')]
    for (let count = 0; count < 3; count++) await put('b')
    await remove('b')
    const fewer = await reopen({ ...month, versions: 1 })
    t.strictSame(ids(await versions(first.id)), [third.blobId])
    for (const { blobId: id } of [first, second]) {
      t.equal(await fewer.versions.find(ownerId, 'a', id), undefined)
      t.strictSame(await outcomes([restoreVersion('a', { id }), fewer.versions.remove(ownerId, 'a', id)]), { not_found: 2 })
    }
    t.match(await trash(), [{ name: 'b', versions: 1 }])
    await reopen({ ...month, versions: 0 })
    t.strictSame(await versions(first.id), [])
    t.match(await trash(), [{ name: 'b', versions: 0 }])
    await reopen(month)
    t.strictSame(ids(await versions(first.id)), blobsOf([third, second, first]), 'they are still there')
    t.match(await trash(), [{ name: 'b', versions: 2 }])
    const again = await reopen({ ...month, versions: 1 })
    await put('a')
    t.strictSame(ids(await versions(first.id)), [last.blobId])
    t.strictSame(await discarded(), blobsOf([first, second, third]).sort())
    t.strictSame(await again.accounts.usageMismatches(), [])
  })

  t.test('where no versions shall be kept, what is replaced is discarded', async t => {
    const { put, remove, versions, trash, discarded, usage } = await start(t, { ...month, versions: 0 })
    const [first, last] = [await put('a'), await put('a')]
    t.strictSame(await versions(last.id), [])
    await remove('a')
    t.match(await trash(), [{ id: last.blobId, versions: 0 }])
    t.strictSame(await discarded(), [first.blobId])
    t.strictSame(await usage(), { bytes: 0, files: 0, keptBytes: 10 })
  })

  t.test('of many who restore one version at once exactly one does, and of many who want another one in place of the same content', async t => {
    const { metadata, ownerId, put, versions, restoreVersion, usage } = await start(t, { ...month, versions: 100 })
    const first = await put('a', { size: 1 })
    for (let count = 0; count < 10; count++) await put('a', { size: 1 })
    t.strictSame(await outcomes(Array.from({ length: 10 }, () => restoreVersion('a', { id: first.blobId }))), { ok: 1, not_found: 9 })
    const isFirst = { 'if-match': `"${first.sha256}"` }
    const others = await versions(first.id)
    t.equal(others.length, 10)
    t.strictSame(await outcomes(others.map(({ id }) => metadata.versions.restore(ownerId, 'a', id, { quota: unlimited, precondition: isFirst }))), { ok: 1, precondition_failed: 9 })
    t.strictSame(await usage(), { bytes: 1, files: 1, keptBytes: 10 })
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('what goes for bytes goes for the number of contents too', async t => {
    const { put, remove, versions, trash } = await start(t, { ...month, contents: 2 })
    await put('a')
    await remove('a')
    const deleted = await put('b', { size: 4 })
    await remove('b')
    const version = await put('c', { size: 8 })
    await put('c', { size: 6 }, { bytes: 24, files: undefined })
    t.strictSame([ids(await trash()), ids(await versions(version.id))], [[deleted.blobId], [version.blobId]])
  })

  t.test('the time is that of the backend if no clock is given', async t => {
    const { metadata, ownerId, put, remove, restoreVersion, restoreFile, versions, trash } =
      await start(t, month, { hasOwnClock: true })
    const before = await metadata.now()
    const [first, second] = [await put('a'), await put('a')]
    const restored = await restoreVersion('a', { id: first.blobId })
    const [version] = await versions(first.id)
    t.match(version, { id: second.blobId, storedAt: second.updatedAt, keptAt: restored.updatedAt })
    t.match(await metadata.versions.find(ownerId, 'a', second.blobId), { version })
    await remove('a')
    const [entry] = await trash() as [TrashRecord]
    const { updatedAt } = await restoreFile(entry)
    const times = [
      before, first.storedAt, second.storedAt, restored.updatedAt, entry.keptAt, updatedAt, await metadata.now()
    ]
    t.strictSame(times, [...times].sort((a, b) => a - b))
    t.equal(await metadata.retention.removeExpired(9), false)
    t.strictSame(await versions(first.id), [version])
  })

  t.test('what a write itself keeps goes last', async t => {
    const { put, remove, tick, versions, trash, discarded, usage } = await start(t)
    const quota = { bytes: 30, files: undefined }
    const first = await put('a')
    const second = await put('a')
    const other = await put('b')
    // Deleted later than the version will be made.
    await remove('b', { now: tick() + 60_000 })
    const third = await put('a', {}, quota)
    t.strictSame(await discarded(), [first.blobId])
    t.strictSame(ids(await versions(first.id)), [second.blobId])
    await put('a', {}, { bytes: 20, files: undefined })
    t.strictSame(await discarded(), blobsOf([first, second, other]).sort())
    t.strictSame(await trash(), [])
    t.strictSame(ids(await versions(first.id)), [third.blobId])
    const fourth = await put('a', { size: 15 }, { bytes: 24, files: undefined })
    t.strictSame(await versions(first.id), [], 'but it goes too')
    t.equal((await discarded()).length, 5)
    await put('a', { size: 20 }, { bytes: 20, files: undefined })
    t.strictSame(await usage(), { bytes: 20, files: 1, keptBytes: 0 })
    t.ok((await discarded()).includes(fourth.blobId))
  })

  t.test('what a change itself keeps is not what goes for it, whatever the clock says', async t => {
    const { tick, put, remove, trash, versions } = await start(t, { ...month, contents: 1 })
    await put('a', { now: tick() + 10 * DAY })
    await remove('a', { now: tick() + 10 * DAY })
    const version = await put('b')
    await put('b')
    t.strictSame([ids(await versions(version.id)), await trash()], [[version.blobId], []])
    const deleted = await put('c')
    await put('d', { now: tick() + 10 * DAY })
    await put('d', { now: tick() + 10 * DAY })
    await remove('c')
    t.strictSame([await versions(version.id), ids(await trash())], [[], [deleted.blobId]])
  })

  t.test('a version and its deleted file that both make room count once', async t => {
    const { put, remove, usage, discarded } = await start(t)
    const gone = [await put('a', { size: 30 }), await put('a', { size: 1 })]
    await remove('a')
    gone.push(await put('b', { size: 20 }))
    await remove('b')
    await put('c', { size: 64 }, { bytes: 80, files: undefined })
    t.strictSame(await discarded(), blobsOf(gone).sort())
    t.strictSame(await usage(), { bytes: 64, files: 1, keptBytes: 0 })
  })

  t.test('of 20 writers at once who have 125 bytes, of which 30 are kept, 12 find room, and 5 stay', async t => {
    const { metadata, put, newFile, remove, trash, usage, discarded } = await start(t)
    const quota = { bytes: 125, files: undefined }
    const deleted: FileRecord[] = []
    for (let index = 0; index < 6; index++) {
      deleted.push(await put(`old ${index}`, { size: 5 }))
      await remove(`old ${index}`)
    }
    t.strictSame(await outcomes(Array.from({ length: 20 }, (_, index) => index % 2 === 0
      ? metadata.files.add(newFile(`new ${index}`), quota)
      : metadata.files.put(newFile(`new ${index}`), quota, always))), { ok: 12, quota_exceeded: 8 })
    t.strictSame(await usage(), { bytes: 120, files: 12, keptBytes: 5 })
    t.strictSame(ids(await trash()), blobsOf(deleted).slice(-1))
    t.strictSame(await discarded(), blobsOf(deleted).slice(0, -1).sort())
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('of many who replace files at once each leaves what fits: the newest versions', async t => {
    const { metadata, put, versions, usage } = await start(t, { ...month, versions: 100 }, { hasOwnClock: true })
    const puts = await Promise.all(Array.from({ length: 60 }, (_, index) => put(`${index % 3}`, {}, { bytes: 100, files: undefined })))
    t.strictSame(await usage(), { bytes: 30, files: 3, keptBytes: 70 })
    const files = Array.from(new Set(puts.map(({ id }) => id)))
    const listed = (await Promise.all(files.map(id => versions(id)))).flat()
    // When the versions of a file were kept: each was replaced by the next content, and later than the one before.
    const timesOf = (fileId: number) =>
      puts.filter(({ id }) => id === fileId).map(({ updatedAt }) => updatedAt).sort((a, b) => a - b).slice(1)
        .reduce<number[]>((times, at) => [...times, Math.max(at, (times.at(-1) ?? 0) + 1)], [])
    const latest = (times: number[]) => times.sort((a, b) => b - a).slice(0, 7)
    t.strictSame(latest(listed.map(({ keptAt }) => keptAt)), latest(files.flatMap(timesOf)))
    t.equal(listed.length, 7)
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('what is kept of a deleted account goes with its files, batch by batch, and nobody restores it', async t => {
    const { metadata, ownerId, otherId, put, remove, restoreVersion, restoreFile } = await start(t)
    const theirs = await put('a', { ownerId: otherId })
    await put('a', { ownerId: otherId })
    const files: FileRecord[] = []
    for (let index = 0; index < 3; index++) files.push(await put('a'), await put(`b${index}`), await put(`b${index}`))
    for (let index = 0; index < 3; index++) await remove(`b${index}`)
    await metadata.accounts.remove(ownerId, Date.now())
    const [version, , deleted] = files as [FileRecord, FileRecord, FileRecord]
    t.strictSame(await outcomes([restoreVersion('a', { id: version.blobId }), restoreFile({ id: deleted.blobId })]), { not_found: 2 })
    t.strictSame(await metadata.accounts.usageMismatches(), [])
    let rounds = 0
    for (; await metadata.accounts.purgeDeleted(2); rounds++) {
      t.ok((await metadata.blobs.takeDiscarded(100, 0)).length <= 2 * (rounds + 1))
    }
    t.ok(rounds >= 5)
    t.strictSame((await metadata.blobs.takeDiscarded(100, 0)).sort(), blobsOf(files).sort())
    await metadata.blobs.clearDiscarded(blobsOf(files))
    t.strictSame(await metadata.blobs.findReferenced(blobsOf(files)), new Set())
    t.ok(await metadata.versions.find(otherId, 'a', theirs.blobId))
    t.strictSame(await metadata.checkIntegrity(), [])
  })

  t.test('the blobs of what is kept are in use, and listed for fsck with those of files', async t => {
    const { metadata, ownerId, otherId, put, remove } = await start(t)
    const [version, current] = [await put('a', { size: 1 }), await put('a', { size: 2 })]
    const theirs = await put('a', { ownerId: otherId })
    const [ofDeleted, deleted] = [await put('b', { size: 4 }), await put('b', { size: 8 })]
    await remove('b')
    const renamed = await metadata.files.rename(ownerId, 'a', 'c', unlimited)
    const gone = await put('d')
    await remove('d', { isPermanent: true })
    const all = [version, current, theirs, ofDeleted, deleted]
    t.strictSame(await metadata.blobs.findKnown([...blobsOf([...all, gone]), hex(16)]), new Set(blobsOf(all)))
    t.strictSame(
      await metadata.blobs.findReferenced([...blobsOf([...all, gone]), hex(16)]), new Set(blobsOf([...all, gone]))
    )
    const row = ({ blobId, size, sha256, ownerId }: FileRecord, content: StoredContent['content'], name: string | null): StoredContent => ({ blobId, content, size, sha256, ownerId, name })
    const wanted = [row(version, 'version', 'c'), row(renamed, 'file', 'c'), row(theirs, 'file', 'a'), row(ofDeleted, 'version', null), row(deleted, 'trash', 'b')].sort((a, b) => a.blobId < b.blobId ? -1 : 1)
    for (const limit of [1, 2, 3, 4, 5]) {
      const seen: StoredContent[] = []
      for (let page; (page = await metadata.blobs.listContents(seen.at(-1)?.blobId ?? '', limit)).length > 0;) {
        t.ok(page.length <= limit)
        seen.push(...page)
      }
      t.strictSame(seen, wanted, `pages of ${limit}`)
    }
    t.strictSame(await metadata.checkIntegrity(), [])
  })

  t.test('sweeps at once, also beside writers, discard each content once', async t => {
    const { metadata, ownerId, otherId, tick, put, remove, newFile, usage, discarded } = await start(t)
    const deleted: FileRecord[] = []
    for (let index = 0; index < 30; index++) {
      const owner = index % 3 === 0 ? otherId : ownerId
      deleted.push(await put(`${index}`, { ownerId: owner, now: 1000 + index }))
      await remove(`${index}`, { of: owner, now: 2000 + index })
    }
    tick()
    const quota = { bytes: 300, files: undefined }
    const adds = Array.from({ length: 10 }, (_, index) => metadata.files.add(newFile(`new ${index}`), quota))
    const sweeps = [1, 2, 3].map(async () => { while (await metadata.retention.removeExpired(4)); })
    await Promise.all([...adds, ...sweeps])
    while (await metadata.retention.removeExpired(4));
    t.strictSame(await discarded(), blobsOf(deleted).sort())
    t.strictSame(await usage(), { bytes: 100, files: 10, keptBytes: 0 })
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('for a full disk the oldest content of all goes, no more than is asked for', async t => {
    const { metadata, otherId, put, remove, trash, usage, discarded } = await start(t)
    t.equal(await metadata.retention.removeOldest(100, 10), 0)
    const old: FileRecord[] = []
    for (let index = 0; index < 4; index++) {
      old.push(await put(`${index}`, { size: 10, now: 1000 }))
      await remove(`${index}`, { now: 2000 + 2 * index })
      old.push(await put(`${index}`, { ownerId: otherId, size: 10, now: 1000 }))
      await remove(`${index}`, { of: otherId, now: 2001 + 2 * index })
    }
    const [version, current] = [await put('a', { size: 1 }), await put('a', { size: 100 })]
    const gone = (count: number) => blobsOf(old.slice(0, count)).sort()
    t.equal(await metadata.retention.removeOldest(0, 10), 0)
    t.equal(await metadata.retention.removeOldest(11, 10), 20)
    t.strictSame(await discarded(), gone(2))
    t.equal(await metadata.retention.removeOldest(10, 10), 10)
    t.strictSame(await discarded(), gone(3))
    t.equal(await metadata.retention.removeOldest(1000, 2), 20, 'two of them')
    t.strictSame(await discarded(), gone(5))
    t.equal(await metadata.retention.removeOldest(1000, 10), 31)
    t.strictSame(await discarded(), [...blobsOf(old), version.blobId].sort())
    t.equal(await metadata.retention.removeOldest(1000, 10), 0)
    t.strictSame(await trash(), [])
    t.strictSame(await usage(), { bytes: 100, files: 1, keptBytes: 0 })
    t.ok((await metadata.blobs.findKnown([current.blobId])).has(current.blobId))
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('bytes that wait for their removal are told, also before their grace is over', async t => {
    const { metadata, ownerId, put, remove } = await start(t)
    t.equal(await metadata.blobs.hasDiscarded(), false)
    t.equal(await metadata.blobs.hasRetentionLock(), false)
    const { blobId } = await put('a')
    await remove('a')
    t.equal(await metadata.blobs.hasDiscarded(), false)
    await metadata.trash.remove(ownerId, blobId)
    t.strictSame(await metadata.blobs.takeDiscarded(9, 3600), [])
    t.equal(await metadata.blobs.hasDiscarded(), true)
    await metadata.blobs.clearDiscarded([blobId])
    t.equal(await metadata.blobs.hasDiscarded(), false)
  })

  t.test('of what an account has too many, a few go with each change', async t => {
    const { put, remove, trash, restoreFile, discarded, usage, reopen } = await start(t, { ...month, contents: 100 })
    const deleted: FileRecord[] = []
    for (let index = 0; index < 12; index++) {
      deleted.push(await put(`${index}`))
      await remove(`${index}`)
    }
    const again = await reopen({ ...month, contents: 5, deletions: 3 })
    t.equal((await trash()).length, 12, 'what is there stays')
    for (const [count, left] of [10, 8, 6, 5, 5].entries()) {
      deleted.push(await put(`more ${count}`))
      await remove(`more ${count}`)
      t.strictSame(ids(await trash()), blobsOf(deleted.slice(-left)).reverse())
    }
    await restoreFile({ id: String(deleted.at(-1)?.blobId) })
    await put('a', { size: 1 })
    t.equal((await trash()).length, 4)
    t.equal((await discarded()).length, 12)
    t.strictSame(await usage(), { bytes: 11, files: 2, keptBytes: 40 })
    t.strictSame(await again.accounts.usageMismatches(), [])
  })

  t.test('a write that takes much of what is kept deletes it a few at a time, and only what it needs', async t => {
    const { metadata, put, remove, trash, discarded, usage } = await start(t, { ...month, deletions: 12 })
    const deleted: FileRecord[] = []
    const current = await put('a', { size: 0 })
    for (let index = 0; index < 25; index++) {
      deleted.push(await put(`${index}`))
      await remove(`${index}`)
    }
    const quota = { bytes: 260, files: undefined }
    t.strictSame(await outcomes([
      put('a', { size: 261 }, quota),
      metadata.files.put({ ...current, blobId: hex(16), isLeased: false, size: 250 }, quota, never)
    ]), { quota_exceeded: 1, precondition_failed: 1 })
    t.strictSame(await discarded(), [], 'none if it is refused')
    let commits = 0
    metadata.watchCommits(() => { commits++ })
    await put('a', { size: 250 }, quota)
    t.ok(commits >= 2)
    t.strictSame(ids(await trash()), blobsOf(deleted.slice(24)))
    t.strictSame(await usage(), { bytes: 250, files: 1, keptBytes: 10 })
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('many writers and an upload that need the room of much that is kept leave no more and no less than fits', async t => {
    const { metadata, ownerId, put, newFile, remove, trash, usage } = await start(t, { ...month, deletions: 2 })
    const quota = { bytes: 100, files: undefined }
    const deleted: FileRecord[] = []
    for (let index = 0; index < 20; index++) {
      deleted.push(await put(`${index}`, { size: 5 }))
      await remove(`${index}`)
    }
    const begin = (name: string, length: number) =>
      metadata.uploads.add(newUpload(ownerId, name, { length }), { maxUploads: 9, quota })
    const [whole, half] = [await begin('whole', 20), await begin('half', 30)]
    t.strictSame(await outcomes([
      metadata.uploads.finish(changeOf(whole), { sha256: hex(32), quota }),
      metadata.uploads.save(changeOf(half, { offset: 15 }), { isAppending: true, quota }),
      ...Array.from({ length: 6 }, (_, index) => index % 2 === 0 ? metadata.files.add(newFile(`new ${index}`), quota) : metadata.files.put(newFile(`new ${index}`), quota, always))
    ]), { ok: 7, quota_exceeded: 1 })
    t.strictSame(await usage(), { bytes: 70, files: 6, keptBytes: 15 })
    t.strictSame(ids(await trash()), blobsOf(deleted).reverse().slice(0, 3))
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('what is kept is summed up over everybody', async t => {
    const { metadata, otherId, put, remove } = await start(t)
    await put('a', { size: 1 })
    await put('a', { size: 2 })
    await put('a', { ownerId: otherId, size: 4 })
    await remove('a', { of: otherId })
    const totals = { accounts: 2, files: 1, folders: 0, bytes: 2, keptBytes: 5, accountsNearQuota: 0 }
    t.strictSame(await metadata.accounts.totals(unlimited), totals)
    await metadata.accounts.remove(otherId, 1)
    t.strictSame(await metadata.accounts.totals(unlimited), { ...totals, accounts: 1, keptBytes: 1 })
  })
}
