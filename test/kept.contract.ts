import type { Test } from 'tap'
import type { Keeping, KeptPage, KeptPosition, TrashRecord, VersionRecord } from '#src/metadata/kept-repository.ts'
import type { AccountRecord, FileRecord, NewFile, StoredContent } from '#src/metadata/records.ts'
import type { NewUpload, UploadRecord } from '#src/metadata/uploads-repository.ts'
import { suite as modelSuite } from './kept-model.contract.ts'
import { createTestClock } from './kit/clock.ts'
import { DAY, HOUR } from './kit/durations.ts'
import { hex, outcomes, unlimited } from './kit/records.ts'
import type { OpenMetadata } from './kit/reopening.ts'

const month: Keeping = { milliseconds: 30 * DAY, versions: 3 }
const always = {}
/** Permits no change of a file that there is. */
const never = { 'if-match': '"other"' }

const ids = (rows: { id: string }[]) => rows.map(({ id }) => id)
const blobsOf = (files: { blobId: string }[]) => files.map(({ blobId }) => blobId)

/** A file to be stored, and when: by default a second after the change before. */
type Stored = Partial<NewFile> & { now?: number }

/**
 * The contract in src/metadata/kept-repository.ts, for the backend that `open` opens at a path; reopening a path gives
 * the same records.
 */
export function suite (t: Test, open: OpenMetadata): void {
  modelSuite(t, open)

  /**
   * A store with two accounts, in which one second passes between two operations of the first, unless it goes by its
   * own clock.
   */
  async function start (t: Test, keeping: Keeping = month, { hasOwnClock = false } = {}) {
    const place = t.testdir()
    const clock = createTestClock()
    const options = (keeping: Keeping) => ({ keeping, ...!hasOwnClock && { clock: clock.now } })
    let metadata = await open(place, options(keeping))
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
    const newFile = (name: string, fields: Partial<NewFile> = {}): NewFile => ({ ownerId, name, size: 10, type: 'text/plain', sha256: hex(32), blobId: hex(16), modifiedAt: null, isLeased: false, ...fields })

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

    async function restoreVersion (name: string, { id }: { id: string }, quota = unlimited): Promise<FileRecord> {
      tick()
      return metadata.kept.restoreVersion(ownerId, name, id, { quota, precondition: always })
    }

    async function restoreFile ({ id }: { id: string }, name?: string, quota = unlimited): Promise<FileRecord> {
      tick()
      return metadata.kept.restoreFile(ownerId, id, { quota, name })
    }

    async function all<T extends { keptAt: number, id: string }> (
      list: (page: KeptPage) => Promise<T[]>, limit: number
    ): Promise<T[]> {
      const seen: T[] = []
      for (let after: KeptPosition | undefined; ;) {
        const page = await list({ after, limit })
        seen.push(...page)
        const last = page.at(-1)
        if (last === undefined) return seen
        after = { key: last.keptAt, id: last.id }
      }
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
      versions: (fileId: number, limit = 100) =>
        all<VersionRecord>(page => metadata.kept.listVersions(ownerId, fileId, page), limit),
      trash: (limit = 100) => all<TrashRecord>(page => metadata.kept.listTrash(ownerId, page), limit),
      find: (name: string) => metadata.files.find(ownerId, name),
      async usage () {
        const { usedBytes, usedFiles, keptBytes } = await metadata.accounts.find(ownerId) as AccountRecord
        return { bytes: usedBytes, files: usedFiles, keptBytes }
      },
      discarded: async () => (await metadata.blobs.claimDiscarded(1000, 0)).sort(),
      newUpload: (name: string, fields: Partial<NewUpload> = {}): NewUpload => ({
        id: hex(16), ownerId, linkId: null, name, type: 'text/plain', blobId: hex(16), length: 10, method: 'PUT', precondition: {}, uploadMetadata: null, reprDigest: null, modifiedAt: null, lifetimeMilliseconds: HOUR, ...fields
      }),
      async reopen (keeping: Keeping) {
        await metadata.close()
        metadata = await open(place, options(keeping))
        return metadata
      }
    }
  }

  const changeOf = (
    { id, ownerId, name, generation, length }: UploadRecord, offset: number
  ) => ({ id, ownerId, name, generation, offset, state: null, length, lifetimeMilliseconds: HOUR })

  t.test('what a file contained is listed, newest replaced first, and found by its owner alone, also after a restart', async t => {
    const { metadata, ownerId, otherId, put, versions, usage, discarded, reopen } = await start(t)
    const [first, second, last] = [await put('a', { size: 1, type: 'image/png' }), await put('a', { size: 2 }), await put('a', { size: 3 })]
    const wanted = [second, first].map((file, index) => {
      const keptAt = [last, second][index]?.updatedAt as number
      const { id: fileId, size, type, sha256, storedAt } = file
      return {
        id: file.blobId,
        ownerId,
        fileId,
        size,
        type,
        sha256,
        storedAt,
        modifiedAt: null,
        keptAt,
        expiresAt: keptAt + 30 * DAY
      }
    })
    t.strictSame(await versions(last.id), wanted)
    t.equal(wanted[0]?.storedAt, second.updatedAt, 'when it was stored')
    const found = { file: last, version: wanted[1] }
    t.strictSame(await metadata.kept.findVersion(ownerId, 'a', first.blobId), found)
    t.strictSame(await usage(), { bytes: 3, files: 1, keptBytes: 3 })
    t.strictSame(await discarded(), [])
    const other = await put('b')
    t.strictSame(await versions(other.id), [])
    t.strictSame(await metadata.kept.listVersions(otherId, last.id, { after: undefined, limit: 9 }), [])
    for (const [owner, name, id] of [[otherId, 'a', first.blobId], [ownerId, 'b', first.blobId], [ownerId, 'c', first.blobId], [ownerId, 'a', last.blobId], [ownerId, 'a', hex(16)], [ownerId, 'a', '']] as const) {
      t.equal(await metadata.kept.findVersion(owner, name, id), undefined)
    }
    t.strictSame(await (await reopen(month)).kept.findVersion(ownerId, 'a', first.blobId), found)
  })

  /** Ids that fall, so that an order by id would be the wrong way round. */
  const falling = (count: number) => Array.from({ length: count }, () => hex(16)).sort().reverse()

  t.test('versions of one instant are listed page by page in the order of their replacement', async t => {
    const { tick, put, versions } = await start(t, { milliseconds: 30 * DAY, versions: 10 })
    const now = tick()
    const blobs = falling(8)
    const files = []
    for (const blobId of blobs) files.push(await put('a', { now, blobId }))
    t.ok(files.every(({ updatedAt }) => updatedAt === now))
    const id = Number(files[0]?.id)
    for (const limit of [1, 2, 3, 7, 8]) t.strictSame(ids(await versions(id, limit)), blobs.slice(0, -1).reverse(), `pages of ${limit}`)
    t.strictSame((await versions(id)).map(({ keptAt }) => keptAt - now), [6, 5, 4, 3, 2, 1, 0])
  })

  t.test('a trash is listed page by page in the order of the deletions, also those of one instant', async t => {
    const { otherId, tick, put, remove, trash } = await start(t)
    const blobs = falling(20)
    for (const [index, blobId] of blobs.entries()) await put(`${index}`, { blobId })
    // Neither is in this trash.
    for (let count = 0; count < 2; count++) await put('versions', { now: tick() + HOUR })
    await put('other', { ownerId: otherId })
    const now = tick()
    await remove('other', { of: otherId, now: now + HOUR })
    for (const index of blobs.keys()) await remove(`${index}`, { now })
    for (const limit of [1, 2, 7, 20]) t.strictSame(ids(await trash(limit)), [...blobs].reverse(), `pages of ${limit}`)
    t.strictSame((await trash()).map(({ keptAt }) => keptAt - now), Array.from(blobs.keys()).reverse())
    await put('late', { now })
    await remove('late', { now: now + 1000 })
    t.equal((await trash())[0]?.keptAt, now + 1000, 'the clock has caught up')
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

  t.test('a file has so many versions, and the oldest go for a new one', async t => {
    const { put, versions, usage, discarded } = await start(t)
    const files = []
    for (const size of [1, 2, 4, 8, 16, 32]) files.push(await put('a', { size }))
    t.strictSame(ids(await versions(Number(files[0]?.id))), blobsOf(files.slice(2, 5)).reverse())
    t.strictSame(await discarded(), blobsOf(files.slice(0, 2)).sort())
    t.strictSame(await usage(), { bytes: 32, files: 1, keptBytes: 28 })
  })

  t.test('after the clock was set back, the newest versions stay', async t => {
    for (const count of [1, 3]) {
      const { put, tick, versions, discarded } = await start(t, { milliseconds: 30 * DAY, versions: count })
      const now = tick()
      const blobs = falling(8)
      const { id } = await put('a', { now, blobId: blobs[0] as string })
      for (const [index, blobId] of blobs.slice(1).entries()) t.equal((await put('a', { now: now - HOUR + index, blobId })).updatedAt, now)
      for (const limit of [1, 2, 3]) t.strictSame(ids(await versions(id, limit)), blobs.slice(-1 - count, -1).reverse(), `${count} in pages of ${limit}`)
      t.strictSame(await discarded(), blobs.slice(0, -1 - count).sort())
    }
  })

  t.test('a version that a restore replaces is the newest, also after the clock was set back', async t => {
    const { metadata, ownerId, clock, put, tick, versions } = await start(t)
    const now = tick()
    const blobs = falling(4)
    for (const blobId of blobs) await put('a', { now, blobId })
    const [first, second, third, last] = blobs as [string, string, string, string]
    clock.set(now - HOUR)
    const { id } = await metadata.kept.restoreVersion(ownerId, 'a', second, { quota: unlimited, precondition: always })
    t.strictSame(ids(await versions(id)), [last, third, first])
  })

  t.test('fewer versions than before are found at once, and deleted with the next one', async t => {
    const { ownerId, put, remove, versions, restoreVersion, trash, discarded, reopen } = await start(t)
    const [first, second, third, last] = [await put('a'), await put('a'), await put('a'), await put('a')]
    for (let count = 0; count < 3; count++) await put('b')
    await remove('b')
    const fewer = await reopen({ ...month, versions: 1 })
    t.strictSame(ids(await versions(first.id)), [third.blobId])
    for (const { blobId: id } of [first, second]) {
      t.equal(await fewer.kept.findVersion(ownerId, 'a', id), undefined)
      t.strictSame(await outcomes([restoreVersion('a', { id }), fewer.kept.removeVersion(ownerId, 'a', id)]), { not_found: 2 })
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

  for (const { what, keeping, isKeptInTrash } of [
    { what: 'no versions', keeping: { ...month, versions: 0 }, isKeptInTrash: true },
    { what: 'nothing', keeping: { ...month, milliseconds: 0 }, isKeptInTrash: false }
  ]) {
    t.test(`where ${what} shall be kept, what is replaced is discarded`, async t => {
      const { put, remove, versions, trash, discarded, usage } = await start(t, keeping)
      const [first, last] = [await put('a'), await put('a')]
      t.strictSame(await versions(last.id), [])
      t.strictSame(await discarded(), [first.blobId])
      await remove('a')
      t.strictSame((await trash()).map(({ id, versions }) => [id, versions]), isKeptInTrash ? [[last.blobId, 0]] : [])
      t.strictSame(await discarded(), isKeptInTrash ? [first.blobId] : blobsOf([first, last]).sort())
      t.strictSame(await usage(), { bytes: 0, files: 0, keptBytes: isKeptInTrash ? 10 : 0 })
    })
  }

  t.test('the same bytes make no version, whatever their type', async t => {
    const { put, versions, discarded, usage } = await start(t)
    const first = await put('a')
    const second = await put('a', { sha256: first.sha256, type: 'image/png' })
    t.strictSame(second, { ...first, blobId: second.blobId, type: 'image/png', updatedAt: second.updatedAt, storedAt: second.updatedAt })
    t.strictSame(await versions(first.id), [])
    t.strictSame(await discarded(), [first.blobId])
    await put('a', { sha256: first.sha256, size: 11 })
    t.strictSame(ids(await versions(first.id)), [second.blobId], 'a digest of another size is not the same')
    t.strictSame(await usage(), { bytes: 11, files: 1, keptBytes: 10 })
  })

  t.test('what has expired does not exist, from that instant, by the settings of today', async t => {
    const { metadata, ownerId, clock, put, remove, versions, trash, usage, reopen } =
      await start(t, { milliseconds: 60_000, versions: 3 })
    const first = await put('a')
    await put('a')
    await put('b')
    await put('b')
    await remove('b')
    clock.set(first.updatedAt)
    const [version] = await versions(first.id) as [VersionRecord]
    const [entry] = await trash() as [TrashRecord]
    t.equal(version.expiresAt, version.keptAt + 60_000)
    clock.set(version.expiresAt - 1)
    t.strictSame(await versions(first.id), [version])
    t.ok(await metadata.kept.findVersion(ownerId, 'a', version.id))
    clock.set(version.expiresAt)
    t.strictSame(await versions(first.id), [])
    t.equal(await metadata.kept.findVersion(ownerId, 'a', version.id), undefined)
    const change = { quota: unlimited, precondition: always, name: undefined }
    t.strictSame(await outcomes([metadata.kept.restoreVersion(ownerId, 'a', version.id, change), metadata.kept.removeVersion(ownerId, 'a', version.id)]), { not_found: 2 })
    clock.set(entry.expiresAt - 1)
    t.strictSame((await trash()).map(({ id, versions }) => [id, versions]), [[entry.id, 0]], 'its version has expired before')
    clock.set(entry.expiresAt)
    t.strictSame(await trash(), [])
    t.strictSame(await outcomes(
      [metadata.kept.restoreFile(ownerId, entry.id, change), metadata.kept.removeFromTrash(ownerId, entry.id)]
    ), { not_found: 2 })
    clock.advance(DAY)
    t.strictSame([await versions(first.id), await trash()], [[], []], 'a day later')
    t.strictSame(await usage(), { bytes: 10, files: 1, keptBytes: 30 }, 'but it takes room until it is swept')
    const longer = await reopen(month)
    t.match(await versions(first.id), [{ id: version.id, expiresAt: version.keptAt + 30 * DAY }])
    t.match(await trash(), [{ id: entry.id, expiresAt: entry.keptAt + 30 * DAY, versions: 1 }])
    clock.set(version.keptAt + 30 * DAY - 1)
    await longer.kept.removeVersion(ownerId, 'a', version.id)
    clock.set(entry.keptAt + 30 * DAY - 1)
    await longer.kept.restoreFile(ownerId, entry.id, change)
  })

  t.test('a restored version changes places with the content of the file', async t => {
    const { put, restoreVersion, find, versions, usage, discarded } = await start(t)
    const [first, second, third] = [await put('a', { size: 1, type: 'image/png' }), await put('a', { size: 2 }), await put('a', { size: 4 })]
    const restored = await restoreVersion('a', { id: first.blobId })
    t.strictSame(restored, { ...first, updatedAt: restored.updatedAt })
    t.ok(restored.updatedAt > third.updatedAt)
    t.strictSame(await find('a'), restored)
    const { size, type, sha256, storedAt } = third
    const kept = await versions(first.id)
    t.match(kept[0], { id: third.blobId, size, type, sha256, storedAt, keptAt: restored.updatedAt })
    t.strictSame(ids(kept), blobsOf([third, second]))
    t.strictSame(await usage(), { bytes: 1, files: 1, keptBytes: 6 })
    t.strictSame(await discarded(), [])

    const same = await put('a', { size: 2, sha256: second.sha256 })
    t.match(await restoreVersion('a', { id: second.blobId }), { blobId: second.blobId, storedAt: second.storedAt })
    t.strictSame(ids(await versions(first.id)), blobsOf([first, third]), 'the same bytes make no version')
    t.strictSame(await discarded(), [same.blobId])
    t.strictSame(await usage(), { bytes: 2, files: 1, keptBytes: 5 })
  })

  t.test('a restore that is refused changes nothing', async t => {
    const { metadata, ownerId, otherId, put, restoreVersion, find, versions, usage, newUpload } = await start(t)
    const first = await put('a', { size: 10 })
    const current = await put('a', { size: 4 })
    await put('b', { size: 5 })
    const id = first.blobId
    const restore = (owner: number, name: string, version: string, fields = {}) =>
      metadata.kept.restoreVersion(owner, name, version, { quota: unlimited, precondition: always, ...fields })
    t.strictSame(await outcomes([restore(otherId, 'a', id), restore(ownerId, 'b', id), restore(ownerId, 'c', id), restore(ownerId, 'a', hex(16)), restore(ownerId, 'a', current.blobId)]), { not_found: 5 })
    t.strictSame(await outcomes([restore(ownerId, 'a', id, { precondition: never }), restore(ownerId, 'a', id, { precondition: { 'if-match': `"${first.sha256}"` } })]), { precondition_failed: 2 })
    t.strictSame(await outcomes([restoreVersion('a', { id }, { bytes: 14, files: undefined })]), { quota_exceeded: 1 })
    const upload = await metadata.uploads.add(newUpload('c', { length: 1 }), { maxUploads: 1, quota: unlimited })
    t.strictSame(await outcomes([restoreVersion('a', { id }, { bytes: 15, files: undefined })]), { quota_exceeded: 1 }, 'uploads count')
    t.strictSame(await find('a'), current)
    t.strictSame(ids(await versions(first.id)), [id])
    t.strictSame(await usage(), { bytes: 9, files: 2, keptBytes: 10 })
    t.match(await restore(ownerId, 'a', id, { quota: { bytes: 16, files: 1 }, precondition: { 'if-match': `"${current.sha256}"` } }), { blobId: id, size: 10 })
    await metadata.uploads.remove(ownerId, upload.id)
    t.match(await restoreVersion('a', { id: current.blobId }, { bytes: 1, files: 1 }), { size: 4 }, 'what adds nothing is not refused')
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('of many who restore one version at once exactly one does, and of many who want another one in place of the same content', async t => {
    const { metadata, ownerId, put, versions, restoreVersion, usage } = await start(t, { ...month, versions: 100 })
    const first = await put('a', { size: 1 })
    for (let count = 0; count < 10; count++) await put('a', { size: 1 })
    t.strictSame(await outcomes(Array.from({ length: 10 }, () => restoreVersion('a', { id: first.blobId }))), { ok: 1, not_found: 9 })
    const isFirst = { 'if-match': `"${first.sha256}"` }
    const others = await versions(first.id)
    t.equal(others.length, 10)
    t.strictSame(await outcomes(others.map(({ id }) => metadata.kept.restoreVersion(ownerId, 'a', id, { quota: unlimited, precondition: isFirst }))), { ok: 1, precondition_failed: 9 })
    t.strictSame(await usage(), { bytes: 1, files: 1, keptBytes: 10 })
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('a deleted file is in the trash with its versions, and comes back with them as it was', async t => {
    const { ownerId, otherId, metadata, put, remove, trash, find, versions, restoreFile, usage, discarded, tick } =
      await start(t)
    const [first, last] = [await put('a', { size: 1 }), await put('a', { size: 2, type: 'image/png' })]
    await put('b', { size: 4 })
    const now = tick()
    await remove('a', { now })
    t.equal(await find('a'), undefined)
    const { id: fileId, blobId: id, size, type, sha256, storedAt, createdAt } = last
    t.strictSame(await trash(), [{ id, ownerId, fileId, size, type, sha256, storedAt, modifiedAt: null, keptAt: now, expiresAt: now + 30 * DAY, name: 'a', deletedWith: null, versions: 1 }])
    t.strictSame(await usage(), { bytes: 4, files: 1, keptBytes: 3 })
    t.strictSame(await discarded(), [])
    t.equal(await metadata.kept.findVersion(ownerId, 'a', first.blobId), undefined)
    const fresh = await put('a', { size: 8 })
    t.not(fresh.id, fileId)
    t.strictSame(await versions(fresh.id), [], 'a new file of that name begins without versions')
    t.equal(await metadata.kept.findVersion(ownerId, 'a', first.blobId), undefined)
    t.strictSame(await outcomes([restoreFile({ id }), restoreFile({ id }, 'b')]), { name_taken: 2 })
    t.strictSame(await outcomes([metadata.kept.restoreFile(otherId, id, { quota: unlimited, name: 'c' }), restoreFile({ id: first.blobId }), restoreFile({ id: hex(16) })]), { not_found: 3 })
    const restored = await restoreFile({ id }, 'c')
    t.strictSame(restored, { ...last, name: 'c', createdAt, storedAt, updatedAt: restored.updatedAt })
    t.ok(restored.updatedAt > now)
    t.strictSame(await find('c'), restored)
    t.strictSame(ids(await versions(fileId)), [first.blobId])
    t.strictSame(await trash(), [])
    t.strictSame(await usage(), { bytes: 14, files: 3, keptBytes: 1 })
    t.strictSame(await outcomes([restoreFile({ id })]), { not_found: 1 })
    await put('c', { size: 16 })
    t.strictSame(ids(await versions(fileId)), [id, first.blobId])
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('a clock that was set back makes nothing look older', async t => {
    const { metadata, ownerId, clock, put, remove, versions, trash } = await start(t)
    const first = await put('a')
    const last = await put('a', { now: first.updatedAt - 5000 })
    t.match(await versions(first.id), [{ keptAt: first.updatedAt }])
    t.equal(last.storedAt, first.updatedAt)
    clock.set(first.updatedAt - 9000)
    const restored = await metadata.kept.restoreVersion(ownerId, 'a', first.blobId, { quota: unlimited, precondition: always })
    t.equal(restored.updatedAt, first.updatedAt)
    await remove('a', { now: first.updatedAt - 9000 })
    t.match(await trash(), [{ keptAt: first.updatedAt }])
    t.match(
      await metadata.kept.restoreFile(ownerId, first.blobId, { quota: unlimited, name: undefined }),
      { updatedAt: first.updatedAt }
    )
  })

  t.test('the time is that of the backend if no clock is given', async t => {
    const { metadata, ownerId, put, remove, restoreVersion, restoreFile, versions, trash } =
      await start(t, month, { hasOwnClock: true })
    const before = await metadata.now()
    const [first, second] = [await put('a'), await put('a')]
    const restored = await restoreVersion('a', { id: first.blobId })
    const [version] = await versions(first.id)
    t.match(version, { id: second.blobId, storedAt: second.updatedAt, keptAt: restored.updatedAt })
    t.match(await metadata.kept.findVersion(ownerId, 'a', second.blobId), { version })
    await remove('a')
    const [entry] = await trash() as [TrashRecord]
    const { updatedAt } = await restoreFile(entry)
    const times = [
      before, first.storedAt, second.storedAt, restored.updatedAt, entry.keptAt, updatedAt, await metadata.now()
    ]
    t.strictSame(times, [...times].sort((a, b) => a - b))
    t.equal(await metadata.kept.removeExpired(9), false)
    t.strictSame(await versions(first.id), [version])
  })

  t.test('a restore of a file is refused beyond a quota, whatever is kept', async t => {
    const { metadata, put, remove, restoreFile, trash, usage, newUpload } = await start(t)
    const { blobId: id } = await put('a', { size: 10 })
    await remove('a')
    await put('b', { size: 5 })
    const refused = [{ bytes: 14, files: undefined }, { bytes: undefined, files: 1 }]
    for (const quota of refused) t.strictSame(await outcomes([restoreFile({ id }, 'a', quota)]), { quota_exceeded: 1 })
    const upload = await metadata.uploads.add(newUpload('c', { length: 1 }), { maxUploads: 1, quota: unlimited })
    for (const quota of [{ bytes: 15, files: undefined }, { bytes: undefined, files: 2 }]) t.strictSame(await outcomes([restoreFile({ id }, 'a', quota)]), { quota_exceeded: 1 }, 'uploads count')
    t.strictSame(ids(await trash()), [id])
    t.strictSame(await usage(), { bytes: 5, files: 1, keptBytes: 10 })
    await metadata.uploads.remove(upload.ownerId, upload.id)
    t.match(await restoreFile({ id }, undefined, { bytes: 15, files: 2 }), { name: 'a', size: 10 })
  })

  t.test('a new name takes the versions along, and meets no deleted file', async t => {
    const { metadata, ownerId, tick, put, remove, versions, trash } = await start(t)
    const first = await put('a')
    await put('a')
    await put('b')
    await remove('b')
    tick()
    const renamed = await metadata.files.rename(ownerId, 'a', 'b', unlimited)
    t.equal(renamed.id, first.id)
    t.equal(renamed.storedAt, (await versions(first.id))[0]?.keptAt, 'its bytes are as old as before')
    t.ok(await metadata.kept.findVersion(ownerId, 'b', first.blobId))
    t.equal(await metadata.kept.findVersion(ownerId, 'a', first.blobId), undefined)
    t.match(await trash(), [{ name: 'b' }])
    await remove('b')
    t.strictSame((await trash()).map(({ name, versions }) => [name, versions]), [['b', 1], ['b', 0]])
  })

  t.test('what is deleted for good goes with its versions and nothing else, unless a precondition refuses it', async t => {
    const { metadata, ownerId, put, remove, versions, trash, usage, discarded } = await start(t)
    const [first, second, last] = [await put('a', { size: 1 }), await put('a', { size: 2 }), await put('a', { size: 4 })]
    const other = await put('b', { size: 8 })
    await put('b', { size: 16 })
    t.strictSame(await outcomes([
      metadata.files.remove(ownerId, 'a', { precondition: never, isPermanent: true }),
      metadata.files.remove(ownerId, 'a', { precondition: never, isPermanent: false }),
      metadata.files.remove(ownerId, 'c', { precondition: always, isPermanent: true })
    ]), { precondition_failed: 2, not_found: 1 })
    t.strictSame(await discarded(), [])
    await remove('a', { isPermanent: true })
    t.strictSame(await trash(), [])
    t.strictSame(await discarded(), blobsOf([first, second, last]).sort())
    t.strictSame(ids(await versions(other.id)), [other.blobId])
    t.strictSame(await usage(), { bytes: 16, files: 1, keptBytes: 8 })
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('a version and an entry of the trash are deleted by their owner, each by its own way, once', async t => {
    const { metadata, ownerId, otherId, put, remove, versions, trash, usage, discarded } = await start(t)
    const [first, second] = [await put('a', { size: 1 }), await put('a', { size: 2 })]
    await put('a', { size: 4 })
    const [old, deleted] = [await put('b', { size: 8 }), await put('b', { size: 16 })]
    await remove('b')
    t.strictSame(await outcomes([
      metadata.kept.removeVersion(otherId, 'a', first.blobId), metadata.kept.removeVersion(ownerId, 'b', old.blobId), metadata.kept.removeVersion(ownerId, 'a', deleted.blobId),
      metadata.kept.removeFromTrash(
        otherId, deleted.blobId
      ), metadata.kept.removeFromTrash(ownerId, old.blobId), metadata.kept.removeFromTrash(ownerId, first.blobId)
    ]), { not_found: 6 })
    t.strictSame(await outcomes([1, 2, 3].map(() => metadata.kept.removeVersion(ownerId, 'a', first.blobId))), { ok: 1, not_found: 2 })
    t.strictSame(ids(await versions(first.id)), [second.blobId])
    t.strictSame(await usage(), { bytes: 4, files: 1, keptBytes: 26 })
    t.strictSame(
      await outcomes([1, 2, 3].map(() => metadata.kept.removeFromTrash(ownerId, deleted.blobId))),
      { ok: 1, not_found: 2 }
    )
    t.strictSame(await trash(), [])
    t.strictSame(await discarded(), blobsOf([first, old, deleted]).sort())
    t.strictSame(await usage(), { bytes: 4, files: 1, keptBytes: 2 })
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('the trash is emptied in batches, the oldest first, also of what has expired', async t => {
    const { metadata, ownerId, otherId, put, remove, versions, trash, usage, discarded } = await start(t)
    const theirs = await put('a', { ownerId: otherId, size: 1 })
    await remove('a', { of: otherId })
    const living = await put('a', { size: 1 })
    await put('a', { size: 1 })
    const gone: FileRecord[] = []
    for (const [index, name] of ['b', 'c', 'd', 'e', 'f'].entries()) {
      gone.push(await put(name, { size: 10, now: 1000 + index }), await put(name, { size: 100, now: 2000 + index }))
      await remove(name, index < 3 ? { now: 3000 + index } : {})
    }
    t.equal((await trash()).length, 2, 'three have expired')
    t.strictSame(await metadata.kept.emptyTrash(ownerId, 2), { files: 2, bytes: 220 })
    t.strictSame(await discarded(), blobsOf(gone.slice(0, 4)).sort())
    t.strictSame(await metadata.kept.emptyTrash(ownerId, 2), { files: 2, bytes: 220 })
    t.strictSame((await trash()).map(({ name }) => name), ['f'])
    t.strictSame(await metadata.kept.emptyTrash(ownerId, 2), { files: 1, bytes: 110 })
    t.strictSame(await metadata.kept.emptyTrash(ownerId, 2), { files: 0, bytes: 0 })
    t.strictSame(await discarded(), blobsOf(gone).sort())
    t.strictSame(ids(await versions(living.id)), [living.blobId])
    t.strictSame(ids(await metadata.kept.listTrash(otherId, { after: undefined, limit: 9 })), [theirs.blobId])
    t.strictSame(await usage(), { bytes: 1, files: 1, keptBytes: 1 })
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('a write that finds no room takes the longest-kept content, and no more than it needs', async t => {
    const { metadata, put, remove, newFile, versions, trash, usage, discarded } = await start(t)
    const quota = { bytes: 60, files: undefined }
    const living = await put('a')
    const second = await put('a')
    const b = await put('b')
    await remove('b')
    const c = await put('c', { size: 5 })
    const c2 = await put('c', { size: 5 })
    await put('a')
    await remove('c')
    t.strictSame(await usage(), { bytes: 10, files: 1, keptBytes: 40 })

    await put('fits', { size: 10 }, quota)
    t.strictSame(await discarded(), [])
    await put('one more', { size: 1 }, quota)
    t.strictSame(await discarded(), [living.blobId])
    t.strictSame(await usage(), { bytes: 21, files: 3, keptBytes: 30 })
    await metadata.files.add(newFile('ten', { size: 10 }), quota)
    t.strictSame(await discarded(), blobsOf([living, b]).sort())
    t.strictSame(await usage(), { bytes: 31, files: 4, keptBytes: 20 })
    await put('twenty', { size: 20 }, quota)
    t.strictSame(await discarded(), blobsOf([living, b, c, second]).sort(), 'a version of a deleted file goes on its own')
    t.strictSame(await usage(), { bytes: 51, files: 5, keptBytes: 5 })
    t.strictSame(await versions(living.id), [])
    t.strictSame((await trash()).map(({ id, versions }) => [id, versions]), [[c2.blobId, 0]])
    await put('smaller', { size: 0 }, { bytes: 55, files: undefined })
    t.strictSame(await usage(), { bytes: 51, files: 6, keptBytes: 0 }, 'a quota that was lowered')
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('what is empty makes no room, and stays', async t => {
    const { metadata, put, remove, usage, discarded, trash, versions } = await start(t)
    const living = await put('a', { size: 0 })
    await put('a', { size: 10 })
    const second = await put('a', { size: 0 })
    t.strictSame(await discarded(), [living.blobId], 'empty content makes no version')
    const deleted = await put('b', { size: 0 })
    await remove('b')
    await put('c', { size: 20 }, { bytes: 20, files: undefined })
    t.strictSame(ids(await versions(living.id)), [], 'the version of 10 bytes went')
    t.strictSame(ids(await trash()), [deleted.blobId])
    t.equal(await metadata.kept.removeOldest(1, 10), 0)
    t.notOk((await discarded()).some(id => [second, deleted].some(({ blobId }) => blobId === id)))
    t.strictSame(await usage(), { bytes: 20, files: 2, keptBytes: 0 })
  })

  t.test('a deleted file that makes room goes with its versions', async t => {
    const { tick, put, remove, usage, discarded, trash } = await start(t)
    const now = tick()
    // At one instant the lower id counts as older: the file before its version.
    const [version, deleted] = [await put('a', { now, blobId: 'f'.repeat(32), size: 30 }), await put('a', { now, blobId: '0'.repeat(32), size: 1 })]
    await remove('a', { now })
    const next = await put('b', { size: 20 })
    await remove('b')
    // 15 bytes too many: more than the file alone has, fewer than it has with its version.
    await put('c', { size: 44 }, { bytes: 80, files: undefined })
    t.strictSame(await discarded(), [deleted.blobId, version.blobId])
    t.strictSame(ids(await trash()), [next.blobId], 'they make room for more than is needed')
    t.strictSame(await usage(), { bytes: 44, files: 1, keptBytes: 20 })
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

  t.test('what is kept never stands in the way, and a write that is refused takes none of it', async t => {
    const { metadata, otherId, put, remove, usage, discarded, newUpload } = await start(t)
    const theirs = await put('a', { ownerId: otherId, size: 50, now: 1 })
    await remove('a', { of: otherId, now: 1 })
    const quota = { bytes: 20, files: 2 }
    const deleted = await put('a', { size: 20 }, quota)
    await remove('a')
    t.strictSame(await outcomes([put('b', { size: 21 }, quota)]), { quota_exceeded: 1 })
    const upload = await metadata.uploads.add(newUpload('c', { length: 1 }), { maxUploads: 1, quota })
    t.strictSame(await outcomes([put('b', { size: 20 }, quota)]), { quota_exceeded: 1 }, 'a reservation does')
    await metadata.uploads.remove(upload.ownerId, upload.id)
    t.strictSame(await usage(), { bytes: 0, files: 0, keptBytes: 20 })
    t.strictSame(await discarded(), [upload.blobId])
    await put('b', { size: 20 }, quota)
    await put('empty', { size: 0 }, quota)
    t.strictSame(await outcomes([put('c', { size: 0 }, quota)]), { quota_exceeded: 1 })
    t.strictSame(await discarded(), blobsOf([upload, deleted]).sort())
    t.ok((await metadata.blobs.findKnown([theirs.blobId])).has(theirs.blobId), 'another account keeps what it has')
  })

  for (const { kept, bytes, writers, fits, left } of [
    { kept: 100, bytes: 100, writers: 20, fits: 10, left: 0 },
    { kept: 80, bytes: 100, writers: 5, fits: 5, left: 50 },
    { kept: 80, bytes: 107, writers: 7, fits: 7, left: 35 },
    { kept: 30, bytes: 125, writers: 20, fits: 12, left: 5 }
  ]) {
    t.test(`of ${writers} writers at once who have ${bytes} bytes, of which ${kept} are kept, ${fits} find room, and ${left} stay`, async t => {
      const { metadata, put, newFile, remove, trash, usage, discarded } = await start(t)
      const quota = { bytes, files: undefined }
      const deleted: FileRecord[] = []
      for (let index = 0; index < kept / 5; index++) {
        deleted.push(await put(`old ${index}`, { size: 5 }))
        await remove(`old ${index}`)
      }
      t.strictSame(await outcomes(Array.from({ length: writers }, (_, index) => index % 2 === 0
        ? metadata.files.add(newFile(`new ${index}`), quota)
        : metadata.files.put(newFile(`new ${index}`), quota, always))), { ok: fits, ...(writers > fits && { quota_exceeded: writers - fits }) })
      t.strictSame(await usage(), { bytes: 10 * fits, files: fits, keptBytes: left })
      const staying = left / 5
      t.strictSame(ids(await trash()), blobsOf(deleted).reverse().slice(0, staying))
      t.strictSame(await discarded(), blobsOf(deleted.slice(0, deleted.length - staying)).sort())
      t.strictSame(await metadata.accounts.usageMismatches(), [])
    })
  }

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

  t.test('an upload takes room only with the bytes that have arrived', async t => {
    const { metadata, ownerId, put, remove, trash, usage, discarded, newUpload } = await start(t)
    const quota = { bytes: 20, files: undefined }
    const deleted: FileRecord[] = []
    for (let index = 0; index < 10; index++) {
      deleted.push(await put(`${index}`, { size: 2 }, quota))
      await remove(`${index}`)
    }
    const gone = (count: number) => blobsOf(deleted.slice(0, count)).sort()
    const save = (upload: UploadRecord, offset: number) =>
      metadata.uploads.save(changeOf(upload, offset), { isAppending: true, quota })
    const add = (name: string, fields: Partial<NewUpload> = {}) =>
      metadata.uploads.add(newUpload(name, fields), { maxUploads: 9, quota })
    const upload = await add('a')
    t.strictSame(await discarded(), [])
    await save(upload, 3)
    t.strictSame(await discarded(), gone(2))
    await save(upload, 4)
    t.strictSame(await discarded(), gone(2), 'no more than needed')
    const other = await add('b', { length: null })
    await save(other, 1)
    t.strictSame(await discarded(), gone(3))
    t.strictSame(await metadata.uploads.usage(ownerId), { uploads: 2, bytes: 11, receivedBytes: 5 })
    t.strictSame(await outcomes([save(other, 11)]), { quota_exceeded: 1 })
    t.strictSame(await discarded(), gone(3), 'what is refused takes nothing')
    t.match(await metadata.uploads.finish(changeOf(upload, 10), { sha256: hex(32), quota }), { isNew: true })
    t.strictSame(await discarded(), gone(6))
    t.strictSame(await usage(), { bytes: 10, files: 1, keptBytes: 8 })
    t.equal((await trash()).length, 4)
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('the bytes of an upload that is refused at its end have arrived as well', async t => {
    const { metadata, put, remove, newUpload, discarded, usage, find } = await start(t)
    const quota = { bytes: 20, files: undefined }
    const deleted: FileRecord[] = []
    for (let index = 0; index < 10; index++) {
      deleted.push(await put(`${index}`, { size: 2 }))
      await remove(`${index}`)
    }
    const upload = await metadata.uploads.add(newUpload('a', { length: 9, precondition: { 'if-match': '*' } }), { maxUploads: 9, quota })
    t.equal(await metadata.uploads.finish(changeOf(upload, 9), { sha256: hex(32), quota }), undefined)
    t.strictSame(await discarded(), blobsOf(deleted.slice(0, 5)).sort())
    t.strictSame(await usage(), { bytes: 0, files: 0, keptBytes: 10 })
    await metadata.uploads.remove(upload.ownerId, upload.id)
    await put('b', { size: 10 }, quota)
    t.equal((await discarded()).length, 6, 'what ends gives its room back')
    t.ok(await find('b'))
  })

  t.test('an upload that replaces a file makes a version of it', async t => {
    const { metadata, ownerId, tick, put, newUpload, versions, find, usage, discarded } = await start(t)
    const [first, second] = [await put('a', { size: 1 }), await put('a', { size: 2 })]
    const quota = { bytes: 13, files: 2 }
    const upload = await metadata.uploads.add(newUpload('a'), { maxUploads: 9, quota })
    const now = tick()
    const stored = await metadata.uploads.finish(changeOf(upload, 10), { sha256: hex(32), quota })
    t.match(stored, { isNew: false, file: { id: first.id, blobId: upload.blobId, updatedAt: now, storedAt: now } })
    t.strictSame(stored?.file, await find('a'))
    t.strictSame((await metadata.uploads.find(ownerId, upload.id))?.result, stored)
    t.strictSame(ids(await versions(first.id)), blobsOf([second, first]))
    t.strictSame(await usage(), { bytes: 10, files: 1, keptBytes: 3 })
    tick()
    const next = await metadata.uploads.add(newUpload('a'), { maxUploads: 9, quota: unlimited })
    await metadata.uploads.finish(changeOf(next, 10), { sha256: hex(32), quota: { bytes: 21, files: undefined } })
    t.strictSame(ids(await versions(first.id)), [upload.blobId], 'in its room')
    const same = await metadata.uploads.add(newUpload('a'), { maxUploads: 9, quota: unlimited })
    const { sha256 } = await find('a') as FileRecord
    await metadata.uploads.finish(changeOf(same, 10), { sha256, quota: unlimited })
    t.strictSame(ids(await versions(first.id)), [upload.blobId])
    t.strictSame(await discarded(), blobsOf([first, second, next]).sort())
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
      t.ok((await metadata.blobs.claimDiscarded(100, 0)).length <= 2 * (rounds + 1))
    }
    t.ok(rounds >= 5)
    t.strictSame((await metadata.blobs.claimDiscarded(100, 0)).sort(), blobsOf(files).sort())
    await metadata.blobs.clearDiscarded(blobsOf(files))
    t.strictSame(await metadata.blobs.findReferenced(blobsOf(files)), new Set())
    t.ok(await metadata.kept.findVersion(otherId, 'a', theirs.blobId))
    t.strictSame(await metadata.checkIntegrity(), [])
  })

  t.test('the blobs of what is kept are in use, and listed for fsck with those of files', async t => {
    const { metadata, ownerId, put, remove } = await start(t)
    const [version, current] = [await put('a', { size: 1 }), await put('a', { size: 2 })]
    const [ofDeleted, deleted] = [await put('b', { size: 4 }), await put('b', { size: 8 })]
    await remove('b')
    const renamed = await metadata.files.rename(ownerId, 'a', 'c', unlimited)
    const gone = await put('d')
    await remove('d', { isPermanent: true })
    const all = [version, current, ofDeleted, deleted]
    t.strictSame(await metadata.blobs.findKnown([...blobsOf([...all, gone]), hex(16)]), new Set(blobsOf(all)))
    t.strictSame(
      await metadata.blobs.findReferenced([...blobsOf([...all, gone]), hex(16)]), new Set(blobsOf([...all, gone]))
    )
    const row = ({ blobId, size, sha256, ownerId }: FileRecord, content: StoredContent['content'], name: string | null): StoredContent => ({ blobId, content, size, sha256, ownerId, name })
    const wanted = [row(version, 'version', 'c'), row(renamed, 'file', 'c'), row(ofDeleted, 'version', null), row(deleted, 'trash', 'b')].sort((a, b) => a.blobId < b.blobId ? -1 : 1)
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

  t.test('expired content is swept in batches, the versions of a deleted file with it, and what lives stays', async t => {
    const { metadata, otherId, clock, tick, put, remove, versions, trash, usage, discarded } =
      await start(t, { ...month, versions: 10 })
    t.equal(await metadata.kept.removeExpired(1), false, 'there is none')
    const old: FileRecord[] = []
    for (let index = 0; index < 6; index++) {
      old.push(await put('a', { size: 1, now: 1000 + index }))
      old.push(await put('b', { ownerId: otherId, size: 1, now: 1000 + index }))
    }
    const live = [await put('a', { size: 10 }), await put('a', { size: 100 })]
    old.push(await put('c', { size: 1, now: 1000 }), await put('c', { size: 1, now: 2000 }))
    await remove('c', { now: 3000 })
    const staying = await put('d')
    await remove('d')
    // Of each account the last of these is in a file, or was replaced today.
    const expired = [...old.slice(0, 10), ...old.slice(12)]
    t.equal(await metadata.kept.removeExpired(3), true, 'there may be more')
    t.equal((await discarded()).length, 3)
    while (await metadata.kept.removeExpired(3));
    t.equal(await metadata.kept.removeExpired(3), false)
    t.strictSame(await discarded(), blobsOf(expired).sort())
    t.strictSame(ids(await versions(Number(live[0]?.id))), [live[0]?.blobId, old[10]?.blobId])
    t.strictSame(ids(await trash()), [staying.blobId])
    t.strictSame(await usage(), { bytes: 100, files: 1, keptBytes: 21 })
    t.match(await metadata.accounts.find(otherId), { usedBytes: 1, keptBytes: 0 })
    const [, last] = await versions(Number(live[0]?.id))
    clock.set(Number(last?.expiresAt) - 1)
    t.equal(await metadata.kept.removeExpired(9), false)
    t.equal((await versions(Number(live[0]?.id))).length, 2)
    clock.set(Number(last?.expiresAt))
    t.equal(await metadata.kept.removeExpired(1), true, 'from its instant')
    // When it had not expired.
    tick()
    t.equal((await versions(Number(live[0]?.id))).length, 1)
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('sweeps at once, also beside writers, discard each content once', async t => {
    const { metadata, tick, put, remove, newFile, usage, discarded } = await start(t)
    const deleted: FileRecord[] = []
    for (let index = 0; index < 30; index++) {
      deleted.push(await put(`${index}`, { now: 1000 + index }))
      await remove(`${index}`, { now: 2000 + index })
    }
    tick()
    const quota = { bytes: 300, files: undefined }
    const adds = Array.from({ length: 10 }, (_, index) => metadata.files.add(newFile(`new ${index}`), quota))
    const sweeps = [1, 2, 3].map(async () => { while (await metadata.kept.removeExpired(4)); })
    await Promise.all([...adds, ...sweeps])
    while (await metadata.kept.removeExpired(4));
    t.strictSame(await discarded(), blobsOf(deleted).sort())
    t.strictSame(await usage(), { bytes: 100, files: 10, keptBytes: 0 })
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('for a full disk the oldest content of all goes, no more than is asked for', async t => {
    const { metadata, otherId, put, remove, trash, usage, discarded } = await start(t)
    t.equal(await metadata.kept.removeOldest(100, 10), 0)
    const old: FileRecord[] = []
    for (let index = 0; index < 4; index++) {
      old.push(await put(`${index}`, { size: 10, now: 1000 }))
      await remove(`${index}`, { now: 2000 + 2 * index })
      old.push(await put(`${index}`, { ownerId: otherId, size: 10, now: 1000 }))
      await remove(`${index}`, { of: otherId, now: 2001 + 2 * index })
    }
    const [version, current] = [await put('a', { size: 1 }), await put('a', { size: 100 })]
    const gone = (count: number) => blobsOf(old.slice(0, count)).sort()
    t.equal(await metadata.kept.removeOldest(0, 10), 0)
    t.equal(await metadata.kept.removeOldest(11, 10), 20)
    t.strictSame(await discarded(), gone(2))
    t.equal(await metadata.kept.removeOldest(10, 10), 10)
    t.strictSame(await discarded(), gone(3))
    t.equal(await metadata.kept.removeOldest(1000, 2), 20, 'two of them')
    t.strictSame(await discarded(), gone(5))
    t.equal(await metadata.kept.removeOldest(1000, 10), 31)
    t.strictSame(await discarded(), [...blobsOf(old), version.blobId].sort())
    t.equal(await metadata.kept.removeOldest(1000, 10), 0)
    t.strictSame(await trash(), [])
    t.strictSame(await usage(), { bytes: 100, files: 1, keptBytes: 0 })
    t.ok((await metadata.blobs.findKnown([current.blobId])).has(current.blobId))
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('for a full disk the oldest content of one owner goes, and that of others stays', async t => {
    const { metadata, ownerId, otherId, put, remove, discarded } = await start(t)
    t.equal(await metadata.kept.removeOldest(100, 10, ownerId), 0)
    const own: FileRecord[] = []
    for (let index = 0; index < 3; index++) {
      await put(`${index}`, { ownerId: otherId, size: 10, now: 1000 })
      await remove(`${index}`, { of: otherId, now: 2000 + 2 * index })
      own.push(await put(`${index}`, { size: 10, now: 1000 }))
      await remove(`${index}`, { now: 2001 + 2 * index })
    }
    t.equal(await metadata.kept.removeOldest(11, 10, ownerId), 20)
    t.strictSame(await discarded(), blobsOf(own.slice(0, 2)).sort())
    t.equal(await metadata.kept.removeOldest(1000, 10, ownerId), 10)
    t.strictSame(await discarded(), blobsOf(own).sort())
    t.equal(await metadata.kept.removeOldest(1000, 10, ownerId), 0)
    t.equal(await metadata.kept.removeOldest(1000, 10), 30)
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('bytes that wait for their removal are told, also before their grace is over', async t => {
    const { metadata, ownerId, put, remove } = await start(t)
    t.equal(await metadata.blobs.hasDiscarded(), false)
    t.equal(await metadata.blobs.hasRetentionLock(), false)
    const { blobId } = await put('a')
    await remove('a')
    t.equal(await metadata.blobs.hasDiscarded(), false)
    await metadata.kept.removeFromTrash(ownerId, blobId)
    t.strictSame(await metadata.blobs.claimDiscarded(9, 3600), [])
    t.equal(await metadata.blobs.hasDiscarded(), true)
    await metadata.blobs.clearDiscarded([blobId])
    t.equal(await metadata.blobs.hasDiscarded(), false)
  })

  t.test('an account keeps so many contents, empty ones included, and the oldest go', async t => {
    const { metadata, tick, put, remove, trash, versions, usage, discarded } = await start(t, { ...month, contents: 5 })
    const [empty, full] = [await put('a', { size: 0 }), await put('a', { size: 1 })]
    const living = await put('a', { size: 2 })
    const deleted: FileRecord[] = []
    for (let index = 0; index < 6; index++) {
      deleted.push(await put(`${index}`, { size: index % 2 === 0 ? 0 : 4 }))
      const dropped = [full, ...deleted].slice(0, Math.max(0, index - 4))
      t.strictSame(await discarded(), blobsOf([empty, ...dropped]).sort())
      await remove(`${index}`)
    }
    t.strictSame(await versions(living.id), [])
    t.strictSame(ids(await trash()), blobsOf(deleted.slice(1)).reverse())
    t.strictSame(await usage(), { bytes: 2, files: 1, keptBytes: 12 })
    await put('a', { size: 8 })
    t.strictSame(ids(await trash()), blobsOf(deleted.slice(2)).reverse(), 'also for a version')
    t.strictSame(ids(await versions(living.id)), [living.blobId])
    const upload = await metadata.uploads.add({ id: hex(16), ownerId: living.ownerId, linkId: null, name: 'a', type: 'a/b', blobId: hex(16), length: 1, method: 'PUT', precondition: {}, uploadMetadata: null, reprDigest: null, modifiedAt: null, lifetimeMilliseconds: HOUR }, { maxUploads: 9, quota: unlimited })
    tick()
    await metadata.uploads.finish(changeOf(upload, 1), { sha256: hex(32), quota: unlimited })
    t.strictSame(ids(await trash()), blobsOf(deleted.slice(3)).reverse(), 'and for that of an upload')
    t.strictSame(await usage(), { bytes: 1, files: 1, keptBytes: 18 })
    t.equal((await trash()).length + (await versions(living.id)).length, 5)
    // 4 bytes too many: the deleted file that gives them is also the one for which there is no room in number.
    await put('a', { size: 6 }, { bytes: 21, files: undefined })
    t.strictSame(ids(await trash()), blobsOf(deleted.slice(4)).reverse(), 'not one more where too many bytes were kept')
    t.equal((await trash()).length + (await versions(living.id)).length, 5)
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('an account keeps another number than any other', async t => {
    const { metadata, otherId, put, remove, trash } = await start(t, { ...month, contents: 2 })
    for (const name of ['a', 'b']) {
      await put(name)
      await remove(name)
      await put(name, { ownerId: otherId })
      await remove(name, { of: otherId })
    }
    t.equal((await trash()).length, 2)
    t.equal((await metadata.kept.listTrash(otherId, { after: undefined, limit: 9 })).length, 2)
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

  t.test('a deleted file goes with its versions, which count as well', async t => {
    const { tick, put, remove, trash, discarded } = await start(t, { ...month, contents: 4 })
    const now = tick()
    // At one instant the lower id counts as older: the file before its versions.
    const gone = [await put('a', { now, blobId: 'f'.repeat(32) }), await put('a', { now, blobId: 'e'.repeat(32) }), await put('a', { now, blobId: '0'.repeat(32) })]
    await remove('a', { now })
    for (const name of ['b', 'c']) {
      await put(name)
      await remove(name)
    }
    t.strictSame((await trash()).map(({ name }) => name), ['c', 'b'], 'one too many, and three go')
    t.strictSame(await discarded(), blobsOf(gone).sort())
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

  for (const { what, replaced, quota, left, keepsReplaced } of [
    { what: 'much', replaced: 0, quota: 110, left: 1, keepsReplaced: false },
    { what: 'all', replaced: 0, quota: 100, left: 0, keepsReplaced: false },
    { what: 'all but what it replaced', replaced: 10, quota: 110, left: 0, keepsReplaced: true },
    { what: 'all and what it replaced', replaced: 10, quota: 109, left: 0, keepsReplaced: false }
  ]) {
    t.test(`a write that takes ${what} deletes it a few at a time, and only what it needs`, async t => {
      const { metadata, put, remove, trash, versions, discarded, usage } = await start(t, { ...month, deletions: 3 })
      const deleted: FileRecord[] = []
      const current = await put('a', { size: replaced })
      for (let index = 0; index < 10; index++) {
        deleted.push(await put(`${index}`))
        await remove(`${index}`)
      }
      const limit = { bytes: quota, files: undefined }
      t.strictSame(await outcomes([put('a', { size: quota + 1 }, limit), metadata.files.put({ ...current, blobId: hex(16), isLeased: false, size: 100 }, limit, never)]), { quota_exceeded: 1, precondition_failed: 1 })
      t.strictSame(await discarded(), [], 'none if it is refused')
      let commits = 0
      metadata.watchCommits(() => { commits++ })
      await put('a', { size: 100 }, limit)
      t.ok(commits >= (10 - left) / 3)
      t.strictSame(ids(await trash()), blobsOf(deleted).reverse().slice(0, left))
      t.strictSame(ids(await versions(current.id)), keepsReplaced ? [current.blobId] : [])
      t.strictSame(await usage(), { bytes: 100, files: 1, keptBytes: 10 * left + (keepsReplaced ? replaced : 0) })
      t.strictSame(await metadata.accounts.usageMismatches(), [])
    })
  }

  t.test('many writers and an upload that need the room of much that is kept leave no more and no less than fits', async t => {
    const { metadata, put, newFile, remove, trash, usage, newUpload } = await start(t, { ...month, deletions: 2 })
    const quota = { bytes: 100, files: undefined }
    const deleted: FileRecord[] = []
    for (let index = 0; index < 20; index++) {
      deleted.push(await put(`${index}`, { size: 5 }))
      await remove(`${index}`)
    }
    const [whole, half] = [await metadata.uploads.add(newUpload('whole', { length: 20 }), { maxUploads: 9, quota }), await metadata.uploads.add(newUpload('half', { length: 30 }), { maxUploads: 9, quota })]
    t.strictSame(await outcomes([
      metadata.uploads.finish(changeOf(whole, 20), { sha256: hex(32), quota }),
      metadata.uploads.save(changeOf(half, 15), { isAppending: true, quota }),
      ...Array.from({ length: 6 }, (_, index) => index % 2 === 0 ? metadata.files.add(newFile(`new ${index}`), quota) : metadata.files.put(newFile(`new ${index}`), quota, always))
    ]), { ok: 7, quota_exceeded: 1 })
    t.strictSame(await usage(), { bytes: 70, files: 6, keptBytes: 15 })
    t.strictSame(ids(await trash()), blobsOf(deleted).reverse().slice(0, 3))
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('a trash whose files have many versions is emptied in smaller batches', async t => {
    const { metadata, ownerId, put, remove, trash } = await start(t, { ...month, deletions: 5 })
    for (const [name, versions] of [['a', 3], ['b', 0], ['c', 3], ['d', 3]] as const) {
      for (let count = 0; count <= versions; count++) await put(name)
      await remove(name)
    }
    t.strictSame((await trash()).map(({ name, versions }) => [name, versions]), [['d', 3], ['c', 3], ['b', 0], ['a', 3]])
    t.strictSame(await metadata.kept.emptyTrash(ownerId, 4), { files: 2, bytes: 50 })
    t.strictSame(await metadata.kept.emptyTrash(ownerId, 4), { files: 1, bytes: 40 })
    t.strictSame(await metadata.kept.emptyTrash(ownerId, 4), { files: 1, bytes: 40 })
    t.strictSame(await metadata.kept.emptyTrash(ownerId, 4), { files: 0, bytes: 0 })
    const fewer = await start(t, { ...month, deletions: 2 })
    for (let count = 0; count < 4; count++) await fewer.put('a')
    await fewer.remove('a')
    t.strictSame(await fewer.metadata.kept.emptyTrash(fewer.ownerId, 4), { files: 1, bytes: 40 }, 'a file goes whole')
  })

  t.test('what is kept is summed up over everybody', async t => {
    const { metadata, otherId, put, remove } = await start(t)
    await put('a', { size: 1 })
    await put('a', { size: 2 })
    await put('a', { ownerId: otherId, size: 4 })
    await remove('a', { of: otherId })
    t.strictSame(
      await metadata.accounts.totals(unlimited),
      { accounts: 2, files: 1, folders: 0, bytes: 2, keptBytes: 5, accountsNearQuota: 0 }
    )
    await metadata.accounts.remove(otherId, 1)
    t.strictSame(
      await metadata.accounts.totals(unlimited),
      { accounts: 1, files: 1, folders: 0, bytes: 2, keptBytes: 1, accountsNearQuota: 0 }
    )
  })
}
