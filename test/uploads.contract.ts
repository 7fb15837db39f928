import type { Test } from 'tap'
import type { Conditions } from '#src/metadata/conditions.ts'
import type { NewFile, NewToken, Quota } from '#src/metadata/records.ts'
import type { ListedUpload, NewUpload, UploadChange, UploadPage, UploadRecord } from '#src/metadata/upload-records.ts'
import { createTestClock, type TestClock } from './kit/clock.ts'
import { DAY, HOUR } from './kit/durations.ts'
import { hex, newFile, outcomes, removeFolder, unlimited } from './kit/records.ts'
import { openFresh, type OpenMetadata } from './kit/reopening.ts'

/** An upload by POST of 10 bytes. */
export function newUpload (ownerId: number, name: string, fields: Partial<NewUpload> = {}): NewUpload {
  return {
    id: hex(16),
    ownerId,
    linkId: null,
    name,
    type: 'text/plain',
    blobId: hex(16),
    length: 10,
    method: 'POST',
    precondition: {},
    uploadMetadata: null,
    reprDigest: null,
    modifiedAt: null,
    lifetimeMilliseconds: HOUR,
    ...fields
  }
}

/** An access token. */
export function newToken (accountId: number, fields: Partial<NewToken> = {}): NewToken {
  return { accountId, kind: 'access', parentId: null, name: null, scopes: 'files:read', secretHash: null, factors: 'password', browser: null, system: null, createdAt: 1000, expiresAt: 601_000, ...fields }
}

/** The change that makes an upload whole, unless `fields` say something else. */
export function changeOf (
  { id, ownerId, name, generation, length }: UploadRecord, fields: Partial<UploadChange> = {}
): UploadChange {
  const offset = length ?? 0
  return { id, ownerId, name, generation, offset, state: null, length, lifetimeMilliseconds: HOUR, ...fields }
}

/** A store that keeps what is deleted for a month, with two accounts, and what the first one does with its files. */
export async function openStory (t: Test, open: OpenMetadata) {
  const clock = createTestClock(Date.now() - DAY)
  const retentionPolicy = { milliseconds: 30 * DAY, versions: 10 }
  const { opened: metadata, reopen } = await openFresh(t, place => open(place, { retentionPolicy, clock: clock.now }))
  const account = async (username: string) =>
    (await metadata.accounts.add({ username, usernameKey: username, passwordHash: 'hash' })).id
  const [ownerId, otherId] = [await account('ada'), await account('bob')]
  const { files, folders } = metadata
  return {
    metadata,
    reopen,
    clock,
    ownerId,
    otherId,
    put: async (name: string, fields: Partial<NewFile> = {}, conditions: Conditions = {}) =>
      (await files.put(newFile(ownerId, name, fields), unlimited, conditions)).file,
    rename: (name: string, newName: string, destination = {}) =>
      files.rename(ownerId, name, newName, unlimited, destination),
    move: (path: string, newPath: string, destination = {}) =>
      folders.move(ownerId, path, newPath, unlimited, destination),
    remove: (name: string, isPermanent = false) => files.remove(ownerId, name, { precondition: {}, isPermanent }),
    removeTree: (path: string, { deletedWith = hex(16), isPermanent = false, limit = 100 } = {}) =>
      removeFolder(metadata, ownerId, path, { limit, isPermanent, deletedWith }),
    trash: () => metadata.trash.list(ownerId, { after: undefined, limit: 99 })
  }
}

/** What a list shows of uploads. */
const listed = (...all: UploadRecord[]): ListedUpload[] =>
  all.map(({ id, name, type, length, offset, createdAt, expiresAt, sequence }) =>
    ({ id, name, type, length, offset, createdAt, expiresAt, sequence }))

/**
 * The contract in src/metadata/uploads.ts, for the backend that `open` opens at a path; reopening a path
 * gives the same records.
 */
export function suite (t: Test, open: OpenMetadata): void {
  async function start (t: Test, clock?: TestClock) {
    const { opened: metadata, reopen } = await openFresh(t, place => open(place, clock && { clock: clock.now }))
    const account = (name: string) => metadata.accounts.add({ username: name, usernameKey: name, passwordHash: 'hash', createdAt: 1 })
    const [{ id: ownerId }, { id: otherId }] = [await account('ada'), await account('bob')]
    return {
      metadata,
      ownerId,
      otherId,
      add: (name: string, fields: Partial<NewUpload> = {}, limits: { maxUploads?: number, quota?: Quota } = {}) =>
        metadata.uploads.add(newUpload(ownerId, name, fields), { maxUploads: 1000, quota: unlimited, ...limits }),
      finish: (upload: UploadRecord, sha256 = hex(32), quota: Quota = unlimited) =>
        metadata.uploads.finish(changeOf(upload), { sha256, quota }),
      finishNext: (upload: UploadRecord, maxFinished: number) => {
        clock?.advance(1)
        return metadata.uploads.finish(changeOf(upload), { sha256: 'aa', quota: unlimited, maxFinished })
      },
      save: (upload: UploadRecord, fields: Partial<UploadChange>, quota: Quota = unlimited) =>
        metadata.uploads.save(changeOf(upload, fields), { isAppending: true, quota }),
      find: ({ id }: UploadRecord) => metadata.uploads.find(ownerId, id),
      takeOver: ({ id }: UploadRecord, isAppending = true) =>
        metadata.uploads.takeOver(ownerId, id, { isAppending, lifetimeMilliseconds: 2 * HOUR }),
      /** Unfinished ones, newest first, as they are stored. */
      all: async () => Promise.all((await metadata.uploads.list(
        ownerId, { name: undefined, before: undefined, limit: 100 }
      )).map(({ id }) => metadata.uploads.find(ownerId, id) as Promise<UploadRecord>)),
      list: async (name?: string, page: Partial<UploadPage> = {}) =>
        metadata.uploads.list(ownerId, { name, before: undefined, limit: 100, ...page }),
      discarded: async () => (await metadata.blobs.takeDiscarded(1000, 0)).sort(),
      reopen
    }
  }

  t.test('an upload is found as it was added, by its owner alone, also after a restart', async t => {
    const { metadata, ownerId, otherId, reopen } = await start(t)
    const wanted = newUpload(ownerId, 'é', {
      length: null, method: 'PUT', precondition: { 'if-match': '"a"', 'if-unmodified-since': 'Sun, 06 Nov 1994 08:49:37 GMT' }, uploadMetadata: 'filename w6k=', reprDigest: 'sha-256=:AA=:'
    })
    const added = await metadata.uploads.add(wanted, { maxUploads: 1, quota: unlimited })
    const { lifetimeMilliseconds, ...asWanted } = wanted
    t.equal(added.expiresAt - added.createdAt, lifetimeMilliseconds)
    t.strictSame(added, {
      ...asWanted,
      sequence: added.sequence,
      createdAt: added.createdAt,
      expiresAt: added.expiresAt,
      offset: 0,
      state: null,
      generation: 1,
      isAppending: false,
      isRefused: false,
      result: undefined
    })
    t.strictSame(await metadata.uploads.find(ownerId, wanted.id), added)
    t.equal(await metadata.uploads.find(otherId, wanted.id), undefined)
    t.equal(await metadata.uploads.find(ownerId, hex(16)), undefined)
    t.strictSame(await (await reopen()).uploads.find(ownerId, wanted.id), added)
  })

  t.test('unfinished uploads are listed, newest first, page by page, of one name or method if one is asked for', async t => {
    const { metadata, otherId, add, list, finish } = await start(t)
    await metadata.uploads.add(newUpload(otherId, 'a'), { maxUploads: 1, quota: unlimited })
    const [first, second, third, finished, last] = [await add('a'), await add('b'), await add('a'), await add('c'), await add('b', { length: null })]
    await finish(finished)
    await add('a', { lifetimeMilliseconds: -1 })
    t.strictSame(await list(), listed(last, third, second, first))
    t.strictSame(await list(undefined, { limit: 2 }), listed(last, third))
    t.strictSame(await list(undefined, { before: third.sequence, limit: 2 }), listed(second, first))
    t.strictSame(await list(undefined, { before: first.sequence }), [])
    t.strictSame(await list('a'), listed(third, first))
    t.strictSame(await list('b', { before: last.sequence }), listed(second))
    t.strictSame(await metadata.uploads.usage(last.ownerId), { uploads: 4, bytes: 30, receivedBytes: 0 })

    await metadata.uploads.add(newUpload(otherId, 'a', { method: 'PUT' }), { maxUploads: 2, quota: unlimited })
    const newest = (name: string, method: 'POST' | 'PUT') => list(name, { method, limit: 1 })
    t.strictSame(await newest('a', 'PUT'), [])
    const wanted = await add('a', { method: 'PUT', length: null })
    const [posted] = [await add('a'), await add('b', { method: 'PUT' }), await add('b')]
    await add('a', { lifetimeMilliseconds: -1 })
    t.strictSame(await newest('a', 'PUT'), listed(wanted))
    t.strictSame(await newest('a', 'POST'), listed(posted))
    const latest = await add('a', { method: 'PUT' })
    t.strictSame(await newest('a', 'PUT'), listed(latest))
    await finish(latest)
    t.strictSame(await newest('a', 'PUT'), [], 'neither a finished one, nor one that was ended by a later one')
  })

  t.test('the latest request to take an upload over is the only one that can change it', async t => {
    const { metadata, otherId, add, takeOver, save, find, finish } = await start(t)
    const upload = await add('a', { length: null })
    t.strictSame(await takeOver(upload, false), { ...upload, generation: 2 }, 'without an append the expiry stays')
    const taken = await Promise.all(Array.from({ length: 10 }, () => takeOver(upload)))
    t.strictSame(
      taken.map(({ generation }) => generation).sort((a, b) => a - b),
      Array.from({ length: 10 }, (_, index) => index + 3)
    )
    t.ok(taken.every(({ isAppending, expiresAt }) => isAppending && expiresAt > upload.expiresAt))
    const latest = taken.find(({ generation }) => generation === 12) as UploadRecord
    t.strictSame(
      await outcomes(taken.map((taken, index) => save(taken, { offset: index + 1 }))), { ok: 1, upload_taken_over: 9 }
    )
    t.match(await find(upload), { generation: 12, offset: taken.indexOf(latest) + 1 })
    t.strictSame(
      await outcomes(taken.filter(taken => taken !== latest).map(taken => finish(taken))), { upload_taken_over: 9 }
    )
    const { precondition } = await metadata.uploads.takeOver(upload.ownerId, upload.id, { isAppending: true, lifetimeMilliseconds: HOUR, precondition: { 'if-match': '"b"' } })
    t.strictSame(precondition, { 'if-match': '"b"' })
    t.strictSame(await outcomes([
      metadata.uploads.takeOver(otherId, upload.id, { isAppending: true, lifetimeMilliseconds: HOUR }),
      metadata.uploads.remove(otherId, upload.id),
      save({ ...upload, id: hex(16) }, { offset: 1 }),
      finish({ ...upload, id: hex(16) }),
      takeOver({ ...upload, id: hex(16) })
    ]), { not_found: 5 })
  })

  t.test('progress is recorded as it was saved, and the size of a finished upload is its length if none was announced', async t => {
    const clock = createTestClock(5000)
    const { metadata, add, find, takeOver } = await start(t, clock)
    const upload = await takeOver(await add('a', { length: null }))
    const progress = { offset: 7, state: '{"parts":[]}', length: null }
    clock.set(6000)
    const first = changeOf(upload, { ...progress, lifetimeMilliseconds: 2 * HOUR })
    await metadata.uploads.save(first, { isAppending: true, quota: unlimited })
    t.strictSame(await find(upload), { ...upload, ...progress, expiresAt: 6000 + 2 * HOUR })
    clock.set(7000)
    const second = changeOf(upload, { ...progress, state: null, length: 8 })
    await metadata.uploads.save(second, { isAppending: false, quota: unlimited })
    t.strictSame(
      await find(upload), { ...upload, ...progress, state: null, length: 8, isAppending: false, expiresAt: 7000 + HOUR }
    )
    const unannounced = await add('b', { length: null })
    await metadata.uploads.finish(changeOf(unannounced, progress), { sha256: 'aa', quota: unlimited })
    t.match(await find(unannounced), { offset: 7, length: 7, result: { file: { size: 7 }, isNew: true } })
  })

  t.test('a finished upload is a file, whose result is repeated until it expires, and which stays when the upload ends', async t => {
    const clock = createTestClock(5000)
    const { metadata, ownerId, add, finish, find, takeOver, save, list, reopen } = await start(t, clock)
    const upload = await takeOver(await add('a', { length: 10, type: 'image/png', method: 'PUT', precondition: { 'if-none-match': '*' }, uploadMetadata: 'filename YQ==', reprDigest: 'sha-256=:AA=:' }))
    clock.set(6000)
    const stored = await metadata.uploads.finish(changeOf(upload, { state: 'last' }), { sha256: 'aa', quota: unlimited })
    const file = await metadata.files.find(ownerId, 'a')
    t.match(file, { ownerId, name: 'a', type: 'image/png', size: 10, sha256: 'aa', blobId: upload.blobId, createdAt: 6000, updatedAt: 6000, storedAt: 6000 })
    t.strictSame(stored, { file, isNew: true })
    const finished = {
      ...upload,
      offset: 10,
      state: null,
      precondition: {},
      reprDigest: null,
      modifiedAt: null,
      isAppending: false,
      result: stored,
      expiresAt: 6000 + HOUR
    }
    clock.set(7000)
    t.strictSame(await find(upload), finished, 'what its answers need')
    t.strictSame(await takeOver(upload), finished, 'unchanged')
    t.strictSame(await outcomes([finish(upload), save(upload, { offset: 11 })]), { upload_taken_over: 2 })
    t.strictSame(await list(), [])
    t.strictSame(await metadata.uploads.usage(ownerId), { uploads: 0, bytes: 0, receivedBytes: 0 })
    t.match(await metadata.accounts.find(ownerId), { usedBytes: 10, usedFiles: 1 })
    await metadata.files.rename(ownerId, 'a', 'b', unlimited)
    t.strictSame((await find(upload))?.result, stored, 'as it was stored')
    const again = await reopen()
    await again.uploads.remove(ownerId, upload.id)
    t.strictSame(await outcomes([again.uploads.remove(ownerId, upload.id)]), { not_found: 1 })
    t.match(await again.files.find(ownerId, 'b'), { blobId: upload.blobId })
    t.strictSame(await again.blobs.takeDiscarded(10, 0), [])
    t.strictSame(await again.accounts.usageMismatches(), [])
  })

  t.test('of the finished uploads of an account the last ones are remembered, and the files of all stay', async t => {
    const { metadata, ownerId, otherId, add, find, list, finishNext: finish } = await start(t, createTestClock(5000))
    const theirs = await metadata.uploads.add(newUpload(otherId, 'a'), { maxUploads: 1, quota: unlimited })
    await finish(theirs, 3)
    const uploads: UploadRecord[] = []
    for (let index = 0; index < 6; index++) uploads.push(await add(`${index}`))
    const [unfinished, ...others] = uploads as [UploadRecord, ...UploadRecord[]]
    const isFound = async () => (await Promise.all(others.map(find))).map(upload => upload !== undefined)
    // In another order than they were added.
    const [first, second, third, fourth, fifth] =
      [...others].reverse() as [UploadRecord, UploadRecord, UploadRecord, UploadRecord, UploadRecord]
    for (const upload of [first, second, third]) await finish(upload, 3)
    t.strictSame(await isFound(), [true, true, true, true, true])
    await finish(fourth, 3)
    t.strictSame(await isFound(), [true, true, true, true, false])
    await finish(fifth, 1)
    t.strictSame(await isFound(), [true, false, false, false, false])
    t.strictSame((await list()).map(({ id }) => id), [unfinished.id])
    t.ok(await metadata.uploads.find(otherId, theirs.id))
    t.match(await metadata.accounts.find(ownerId), { usedFiles: 5 })
    t.strictSame(await metadata.blobs.takeDiscarded(9, 0), [])
  })

  t.test('an upload by POST is refused if there are other bytes, and succeeds with the same, whose blob is not needed', async t => {
    const { metadata, ownerId, add, finish, find, discarded, list } = await start(t)
    const { file } = await metadata.files.add(newFile(ownerId, 'a', { sha256: 'aa', size: 10 }), unlimited)
    const [same, other, longer] = [await add('a'), await add('a'), await add('a', { length: 11 })]
    t.strictSame(await finish(same, 'aa'), { file, isNew: false })
    t.strictSame(await discarded(), [same.blobId])
    t.equal(await finish(other, 'bb'), undefined)
    t.equal(await finish(longer, 'aa'), undefined)
    t.match(await find(other), { offset: 10, isRefused: true, isAppending: false, result: undefined })
    t.strictSame((await list()).map(({ id }) => id), [longer.id, other.id], 'they are unfinished')
    t.strictSame(await metadata.files.list(ownerId, { order: 'name', folder: '', prefix: undefined, limit: 9, after: undefined }), [file])
    await metadata.files.remove(ownerId, 'a', { precondition: {}, isPermanent: false })
    const stored = await finish(other, 'bb')
    t.match(stored, { file: { blobId: other.blobId }, isNew: true })
    t.match(await find(other), { isRefused: false, result: stored })
    t.strictSame(await discarded(), [same.blobId, file.blobId].sort())
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  for (const method of ['POST', 'PUT'] as const) {
    t.test(`a precondition decides about an upload by ${method} when it is finished`, async t => {
      const { metadata, ownerId, add, finish, find, discarded } = await start(t)
      const { file } = await metadata.files.add(newFile(ownerId, 'a', { sha256: 'aa' }), unlimited)
      await metadata.files.add(newFile(ownerId, 'e', { sha256: 'aa' }), unlimited)
      const refused = [
        await add('e', { method, precondition: { 'if-match': '"bb"' } }),
        await add('b', { method, precondition: { 'if-match': '*' } }),
        await add('c', { method, precondition: { 'if-unmodified-since': 'Sun, 06 Nov 1994 08:49:37 GMT' } })
      ]
      await metadata.files.add(newFile(ownerId, 'c'), unlimited)
      for (const upload of refused) t.equal(await finish(upload, 'aa'), undefined)
      for (const upload of refused) t.match(await find(upload), { isRefused: true })
      const fresh = await add('d', { method, precondition: { 'if-none-match': '*' } })
      t.match(await finish(fresh), { isNew: true })
      const again = await add('d', { method, precondition: { 'if-none-match': '*' } })
      t.equal(await finish(again, String((await find(fresh))?.result?.file.sha256)), undefined, 'the same bytes too')
      const replacing = await add('a', { method, precondition: { 'if-match': '"aa"' } })
      t.match(await finish(replacing, 'cc'), { isNew: false, file: { id: file.id, sha256: 'cc' } })
      t.strictSame(await discarded(), [file.blobId])
      t.strictSame(await metadata.accounts.usageMismatches(), [])
    })
  }

  t.test('of many uploads and files that want one name, or replace one version, at once exactly one does', async t => {
    const { metadata, ownerId, add, finish, all } = await start(t)
    await Promise.all(Array.from({ length: 30 }, (_, index) => add('a', index % 2 === 0 ? {} : { method: 'PUT', precondition: { 'if-none-match': '*' } })))
    const left = await all()
    t.equal(left.length, 16, 'those by PUT have ended each other')
    const ends = await Promise.all([
      ...left.map(async upload => (await finish(upload))?.file.blobId),
      ...Array.from({ length: 10 }, () => metadata.files.add(newFile(ownerId, 'a'), unlimited).then(({ file }) => file.blobId, () => undefined))
    ])
    t.strictSame(ends.filter(end => end !== undefined), [(await metadata.files.find(ownerId, 'a'))?.blobId])
    t.ok((await all()).every(({ isRefused }) => isRefused))
    t.strictSame(await metadata.accounts.usageMismatches(), [])

    await metadata.files.add(newFile(ownerId, 'b', { sha256: 'aa' }), unlimited)
    const before = (await metadata.blobs.takeDiscarded(100, 0)).length
    const uploads = await Promise.all(Array.from({ length: 10 }, () => add('b', { precondition: { 'if-match': '"aa"' } })))
    const stored = await Promise.all(uploads.map(upload => finish(upload)))
    t.equal(stored.filter(stored => stored !== undefined).length, 1)
    t.equal((await metadata.blobs.takeDiscarded(100, 0)).length, before + 1)
  })

  t.test('an upload by PUT ends the older ones by PUT of its name, unless it is refused', async t => {
    const { metadata, ownerId, otherId, add, list, finish, discarded } = await start(t)
    const put = { method: 'PUT' } as const
    await metadata.uploads.add(newUpload(otherId, 'a', put), { maxUploads: 1, quota: unlimited })
    const finished = await add('a', put)
    await finish(finished)
    const [older, other, byPost] = [await add('a', put), await add('b', put), await add('a')]
    t.strictSame(await outcomes([add('a', put, { quota: { bytes: 39, files: undefined } }), add('a', put, { quota: { bytes: undefined, files: 3 } }), add('a', put, { maxUploads: 2 })]), { quota_exceeded: 2, too_many_uploads: 1 })
    t.strictSame((await list()).map(({ id }) => id), [byPost.id, other.id, older.id])
    const newer = await add('a', put, { maxUploads: 3, quota: { bytes: 40, files: 4 } })
    t.strictSame((await list()).map(({ id }) => id), [newer.id, byPost.id, other.id], 'which makes room for it')
    t.strictSame(await discarded(), [older.blobId])
    t.equal((await metadata.uploads.list(otherId, { name: 'a', before: undefined, limit: 9 })).length, 1)
    t.ok(await metadata.files.find(ownerId, 'a'))
  })

  for (const { what, quota, fits } of [
    { what: 'bytes', quota: { bytes: 60, files: undefined }, fits: 6 },
    { what: 'both', quota: { bytes: 79, files: 7 }, fits: 7 }
  ]) {
    t.test(`a quota of ${what} is exact for files and uploads at once, when they are added and when they are finished`, async t => {
      const { metadata, ownerId, add, finish, all } = await start(t)
      const adds = Array.from({ length: 10 }, (_, index) => metadata.files.add(newFile(ownerId, `file-${index}`), quota))
      const puts = Array.from({ length: 10 }, (_, index) => metadata.files.put(newFile(ownerId, `put-${index}`), quota, {}))
      const uploads = Array.from({ length: 10 }, (_, index) => add(`upload-${index}`, { method: index % 2 === 0 ? 'POST' : 'PUT' }, { quota }))
      t.strictSame(await outcomes([...uploads, ...adds, ...puts]), { ok: fits, quota_exceeded: 30 - fits })
      const reserved = await all()
      const more = Array.from({ length: 10 }, (_, index) => metadata.files.add(newFile(ownerId, `more-${index}`), quota))
      const finished = reserved.map(upload => finish(upload, hex(32), quota))
      t.strictSame(await outcomes([...finished, ...more]), { ...(finished.length > 0 && { ok: finished.length }), quota_exceeded: 10 }, 'the reservation becomes the file')
      t.match(await metadata.accounts.find(ownerId), { usedFiles: fits, usedBytes: 10 * fits })
      t.strictSame(await metadata.accounts.usageMismatches(), [])
    })
  }

  t.test('bytes of an unknown length are reserved as they are saved, exactly', async t => {
    const { metadata, ownerId, add, save, list, all } = await start(t)
    const quota = { bytes: 55, files: undefined }
    const uploads = await Promise.all(Array.from({ length: 10 }, (_, index) => add(`${index}`, { length: null }, { quota })))
    t.strictSame(
      await outcomes(uploads.map(upload => save(upload, { offset: 10, length: null }, quota))),
      { ok: 5, quota_exceeded: 5 }
    )
    t.strictSame(await metadata.uploads.usage(ownerId), { uploads: 10, bytes: 50, receivedBytes: 50 })
    t.strictSame((await list()).map(({ offset }) => offset).sort(), [0, 0, 0, 0, 0, 10, 10, 10, 10, 10], 'and where they do not fit nothing changes')
    const [upload] = (await all()).filter(({ offset }) => offset === 10) as [UploadRecord]
    t.strictSame(await outcomes([save(upload, { offset: 10, length: 16 }, quota)]), { quota_exceeded: 1 }, 'an announced length is reserved whole')
    await save(upload, { offset: 10, length: 15 }, quota)
    await save(upload, { offset: 15, length: 15 }, { bytes: 1, files: 1 })
    t.strictSame(await outcomes([metadata.files.add(newFile(ownerId, 'a', { size: 1 }), quota)]), { quota_exceeded: 1 })
    await metadata.uploads.remove(ownerId, upload.id)
    t.strictSame(await outcomes([metadata.files.add(newFile(ownerId, 'a', { size: 15 }), quota)]), { ok: 1 }, 'what ends gives back what it reserved')
  })

  t.test('an account has so many unfinished uploads at most', async t => {
    const { metadata, otherId, add, finish, all } = await start(t)
    await metadata.uploads.add(newUpload(otherId, 'a'), { maxUploads: 1, quota: unlimited })
    t.strictSame(await outcomes(Array.from({ length: 10 }, (_, index) => add(`${index}`, {}, { maxUploads: 3 }))), { ok: 3, too_many_uploads: 7 })
    const [upload] = await all() as [UploadRecord]
    await finish(upload)
    t.strictSame(await outcomes([add('a', {}, { maxUploads: 3 }), add('b', {}, { maxUploads: 3 })]), { ok: 1, too_many_uploads: 1 }, 'a finished one does not count')
  })

  t.test('an expired upload does not exist, from that instant, and reserves nothing, swept or not', async t => {
    const clock = createTestClock(5000)
    const { metadata, ownerId, add, finish, find, list, discarded } = await start(t, clock)
    const quota = { bytes: 20, files: 2 }
    const lasting = await add('a', {}, { quota })
    const { id, createdAt, expiresAt } = lasting
    clock.set(expiresAt - 1)
    t.strictSame(await find(lasting), lasting)
    t.strictSame(await list(), listed(lasting))
    t.strictSame(await metadata.uploads.usage(ownerId), { uploads: 1, bytes: 10, receivedBytes: 0 })
    clock.set(expiresAt)
    t.equal(await find(lasting), undefined)
    t.strictSame(await list(), [])
    t.strictSame(await metadata.uploads.usage(ownerId), { uploads: 0, bytes: 0, receivedBytes: 0 })
    const change = changeOf(lasting, { lifetimeMilliseconds: 1 })
    t.strictSame(await outcomes([
      metadata.uploads.save(change, { isAppending: true, quota }),
      metadata.uploads.finish(change, { sha256: 'aa', quota }),
      metadata.uploads.takeOver(ownerId, id, { isAppending: true, lifetimeMilliseconds: 1 }),
      metadata.uploads.remove(ownerId, id)
    ]), { not_found: 4 })

    clock.set(createdAt)
    const past = { lifetimeMilliseconds: -1 }
    const expired = [await add('b', past), await add('c', { ...past, length: null })]
    t.strictSame(await outcomes([metadata.files.add(newFile(ownerId, 'd'), quota), metadata.files.add(newFile(ownerId, 'e'), quota)]), { ok: 1, quota_exceeded: 1 })
    t.strictSame(await outcomes([add('f', {}, { maxUploads: 2 }), add('g', {}, { maxUploads: 2 })]), { ok: 1, too_many_uploads: 1 })
    const finished = await add('h')
    await metadata.uploads.finish(changeOf(finished, past), { sha256: 'aa', quota: unlimited })
    t.strictSame(await discarded(), [])
    t.equal(await metadata.uploads.removeExpired(2), true, 'there may be more')
    t.equal(await metadata.uploads.removeExpired(2), false)
    t.equal(await metadata.uploads.removeExpired(2), false)
    t.strictSame(await discarded(), expired.map(({ blobId }) => blobId).sort(), 'but not the bytes of a file')
    t.ok(await metadata.files.find(ownerId, 'h'))
    t.match(await finish(lasting), { isNew: true })
  })

  t.test('expired uploads that two processes remove at once are discarded once', async t => {
    const { metadata, add, discarded } = await start(t)
    const expired = await Promise.all(Array.from({ length: 20 }, (_, index) => add(`${index}`, { lifetimeMilliseconds: -1 })))
    while ((await Promise.all([1, 2, 3].map(() => metadata.uploads.removeExpired(5)))).some(Boolean));
    await metadata.uploads.removeExpired(100)
    t.strictSame(await discarded(), expired.map(({ blobId }) => blobId).sort())
  })

  t.test('an upload that is removed is gone, with its bytes; if it is finished at once it is a file or discarded, never both', async t => {
    const { metadata, ownerId, add, find, save, finish, discarded } = await start(t)
    const upload = await add('a')
    t.strictSame(
      await outcomes(Array.from({ length: 5 }, () => metadata.uploads.remove(ownerId, upload.id))),
      { ok: 1, not_found: 4 }
    )
    t.equal(await find(upload), undefined)
    t.strictSame(await outcomes([save(upload, { offset: 1 }), finish(upload)]), { not_found: 2 })
    t.strictSame(await discarded(), [upload.blobId])
    t.equal(await metadata.files.find(ownerId, 'a'), undefined)
    await metadata.blobs.clearDiscarded([upload.blobId])
    const uploads = await Promise.all(Array.from({ length: 20 }, (_, index) => add(`${index}`)))
    await Promise.all(
      uploads.flatMap(upload => [finish(upload).catch(() => {}), metadata.uploads.remove(ownerId, upload.id)])
    )
    const files = await metadata.files.list(ownerId, { order: 'name', folder: '', prefix: undefined, limit: 100, after: undefined })
    t.strictSame(
      [...files.map(({ blobId }) => blobId), ...await discarded()].sort(), uploads.map(({ blobId }) => blobId).sort()
    )
  })

  t.test('the uploads and folders of a deleted account end with its files, batch by batch', async t => {
    const { metadata, ownerId, otherId, add, save, finish, discarded } = await start(t)
    const theirs = await metadata.uploads.add(newUpload(otherId, 'a'), { maxUploads: 1, quota: unlimited })
    const finished = await add('a')
    await finish(finished)
    const uploads = await Promise.all(Array.from({ length: 5 }, (_, index) => add(`${index}`)))
    await metadata.folders.add(ownerId, 'b/c', unlimited)
    await metadata.accounts.remove(ownerId, Date.now())
    t.strictSame(await outcomes([add('late'), save(uploads[0] as UploadRecord, { offset: 1, length: null }), finish(uploads[1] as UploadRecord)]), { not_found: 3 })
    let rounds = 0
    while (await metadata.accounts.purgeDeleted(2)) rounds++
    t.ok(rounds >= 5)
    t.strictSame(await discarded(), [...uploads, finished].map(({ blobId }) => blobId).sort())
    t.strictSame(await metadata.uploads.find(otherId, theirs.id), theirs)
    t.equal(await metadata.folders.find(ownerId, 'b'), undefined)
    t.strictSame([await metadata.folders.listFaults(), await metadata.checkIntegrity()], [[], []])
  })

  t.test('the bytes of an unfinished upload are in use, and those of a file belong to the file', async t => {
    const { metadata, ownerId, add, finish } = await start(t)
    const [unfinished, finished] = [await add('a'), await add('b')]
    await finish(finished)
    const blobs = [unfinished.blobId, finished.blobId]
    t.strictSame(await metadata.blobs.findReferenced([...blobs, hex(16)]), new Set(blobs))
    t.strictSame(await metadata.blobs.findKnown(blobs), new Set([finished.blobId]))
    await metadata.files.remove(ownerId, 'b', { precondition: {}, isPermanent: false })
    await metadata.blobs.clearDiscarded([finished.blobId])
    t.strictSame(await metadata.blobs.findReferenced(blobs), new Set([unfinished.blobId]))
  })
}
