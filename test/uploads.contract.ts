import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import type { Metadata } from '../src/metadata/metadata.ts'
import type { NewFile, Quota } from '../src/metadata/records.ts'
import type { NewUpload, UploadChange, UploadRecord } from '../src/metadata/uploads.ts'
import { Problem } from '../src/problems.ts'

const HOUR = 3600_000
const unlimited = { bytes: undefined, files: undefined }
const hex = (bytes: number) => randomBytes(bytes).toString('hex')

function newUpload (ownerId: number, name: string, fields: Partial<NewUpload> = {}): NewUpload {
  return {
    id: hex(16),
    ownerId,
    name,
    type: 'text/plain',
    blobId: hex(16),
    length: 10,
    method: 'POST',
    precondition: {},
    uploadMetadata: null,
    reprDigest: null,
    lifetimeMilliseconds: HOUR,
    ...fields
  }
}

function newFile (ownerId: number, name: string, fields: Partial<NewFile> = {}): NewFile {
  return { ownerId, name, size: 10, type: 'text/plain', sha256: hex(32), blobId: hex(16), isLeased: false, now: Date.now(), ...fields }
}

/** The change that makes an upload whole, unless `fields` say something else. */
function changeOf ({ id, generation, length }: UploadRecord, fields: Partial<UploadChange> = {}): UploadChange {
  return { id, generation, offset: length ?? 0, state: null, length, lifetimeMilliseconds: HOUR, now: Date.now(), ...fields }
}

function expiryOf ({ now = NaN, lifetimeMilliseconds }: UploadChange): number {
  return now + lifetimeMilliseconds
}

/** How often each outcome occurred: `ok`, `refused` for undefined, or the code of a problem. */
async function outcomes (promises: Promise<unknown>[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const end of await Promise.allSettled(promises)) {
    const word = end.status === 'fulfilled' ? 'ok' : end.reason instanceof Problem ? end.reason.code : String(end.reason)
    counts[word] = (counts[word] ?? 0) + 1
  }
  return counts
}

/** The contract in src/metadata/uploads.ts, for the backend that `open` opens at a path; reopening a path gives the same records. */
export function suite (t: Test, open: (place: string) => Promise<Metadata>): void {
  async function start (t: Test) {
    const place = t.testdir()
    let metadata = await open(place)
    t.teardown(() => metadata.close())
    const account = (name: string) => metadata.addAccount({ username: name, usernameKey: name, passwordHash: 'hash', createdAt: 1 })
    const [{ id: ownerId }, { id: otherId }] = [await account('ada'), await account('bob')]
    return {
      metadata,
      ownerId,
      otherId,
      add: (name: string, fields: Partial<NewUpload> = {}, limits: { maxUploads?: number, quota?: Quota } = {}) =>
        metadata.addUpload(newUpload(ownerId, name, fields), { maxUploads: 1000, quota: unlimited, ...limits }),
      finish: (upload: UploadRecord, sha256 = hex(32), quota: Quota = unlimited) => metadata.finishUpload(changeOf(upload), { sha256, quota }),
      save: (upload: UploadRecord, fields: Partial<UploadChange>, quota: Quota = unlimited) => metadata.saveUpload(changeOf(upload, fields), { isAppending: true, quota }),
      find: ({ id }: UploadRecord) => metadata.findUpload(ownerId, id),
      takeOver: ({ id }: UploadRecord, isAppending = true) => metadata.takeOverUpload(ownerId, id, { isAppending, lifetimeMilliseconds: 2 * HOUR }),
      list: async (name?: string, page: { before?: number, limit?: number } = {}) => metadata.listUploads(ownerId, { name, before: undefined, limit: 100, ...page }),
      discarded: async () => (await metadata.discardedBlobs(1000, 0)).sort(),
      async reopen () {
        await metadata.close()
        metadata = await open(place)
        return metadata
      }
    }
  }

  t.test('an upload is found as it was added, by its owner alone, also after a restart', async t => {
    const { metadata, ownerId, otherId, reopen } = await start(t)
    const wanted = newUpload(ownerId, 'é', {
      length: null, method: 'PUT', precondition: { 'if-match': '"a"', 'if-unmodified-since': 'Sun, 06 Nov 1994 08:49:37 GMT' }, uploadMetadata: 'filename w6k=', reprDigest: 'sha-256=:AA=:'
    })
    const added = await metadata.addUpload(wanted, { maxUploads: 1, quota: unlimited })
    const { lifetimeMilliseconds, ...asWanted } = wanted
    t.equal(added.expiresAt - added.createdAt, lifetimeMilliseconds)
    t.strictSame(added, { ...asWanted, sequence: added.sequence, createdAt: added.createdAt, expiresAt: added.expiresAt, offset: 0, state: null, generation: 1, isAppending: false, isRefused: false, result: undefined })
    t.strictSame(await metadata.findUpload(ownerId, wanted.id), added)
    t.equal(await metadata.findUpload(otherId, wanted.id), undefined)
    t.equal(await metadata.findUpload(ownerId, hex(16)), undefined)
    t.strictSame(await (await reopen()).findUpload(ownerId, wanted.id), added)
  })

  t.test('unfinished uploads are listed, newest first, page by page, of one name if one is asked for', async t => {
    const { metadata, otherId, add, list, finish } = await start(t)
    await metadata.addUpload(newUpload(otherId, 'a'), { maxUploads: 1, quota: unlimited })
    const [first, second, third, finished, last] = [await add('a'), await add('b'), await add('a'), await add('c'), await add('b', { length: null })]
    await finish(finished)
    await add('a', { lifetimeMilliseconds: -1 })
    t.strictSame(await list(), [last, third, second, first])
    t.strictSame(await list(undefined, { limit: 2 }), [last, third])
    t.strictSame(await list(undefined, { before: third.sequence, limit: 2 }), [second, first])
    t.strictSame(await list(undefined, { before: first.sequence }), [])
    t.strictSame(await list('a'), [third, first])
    t.strictSame(await list('b', { before: last.sequence }), [second])
    t.strictSame(await metadata.uploadUsage(last.ownerId), { uploads: 4, bytes: 30, receivedBytes: 0 })
  })

  t.test('the latest request to take an upload over is the only one that can change it', async t => {
    const { metadata, otherId, add, takeOver, save, find, finish } = await start(t)
    const upload = await add('a', { length: null })
    t.strictSame(await takeOver(upload, false), { ...upload, generation: 2 }, 'without an append the expiry stays')
    const taken = await Promise.all(Array.from({ length: 10 }, () => takeOver(upload)))
    t.strictSame(taken.map(({ generation }) => generation).sort((a, b) => a - b), Array.from({ length: 10 }, (_, index) => index + 3))
    t.ok(taken.every(({ isAppending, expiresAt }) => isAppending && expiresAt > upload.expiresAt))
    const latest = taken.find(({ generation }) => generation === 12) as UploadRecord
    t.strictSame(await outcomes(taken.map((taken, index) => save(taken, { offset: index + 1 }))), { ok: 1, upload_taken_over: 9 })
    t.match(await find(upload), { generation: 12, offset: taken.indexOf(latest) + 1 })
    t.strictSame(await outcomes(taken.filter(taken => taken !== latest).map(taken => finish(taken))), { upload_taken_over: 9 })
    const { precondition } = await metadata.takeOverUpload(upload.ownerId, upload.id, { isAppending: true, lifetimeMilliseconds: HOUR, precondition: { 'if-match': '"b"' } })
    t.strictSame(precondition, { 'if-match': '"b"' })
    t.strictSame(await outcomes([
      metadata.takeOverUpload(otherId, upload.id, { isAppending: true, lifetimeMilliseconds: HOUR }),
      metadata.removeUpload(otherId, upload.id),
      save({ ...upload, id: hex(16) }, { offset: 1 }),
      finish({ ...upload, id: hex(16) }),
      takeOver({ ...upload, id: hex(16) })
    ]), { not_found: 5 })
  })

  t.test('progress is recorded as it was saved', async t => {
    const { metadata, add, find, takeOver } = await start(t)
    const upload = await takeOver(await add('a', { length: null }))
    const progress = { offset: 7, state: '{"parts":[]}', length: null }
    const first = changeOf(upload, { ...progress, lifetimeMilliseconds: 2 * HOUR })
    await metadata.saveUpload(first, { isAppending: true, quota: unlimited })
    t.strictSame(await find(upload), { ...upload, ...progress, expiresAt: expiryOf(first) })
    const second = changeOf(upload, { ...progress, state: null, length: 8 })
    await metadata.saveUpload(second, { isAppending: false, quota: unlimited })
    t.strictSame(await find(upload), { ...upload, ...progress, state: null, length: 8, isAppending: false, expiresAt: expiryOf(second) })
  })

  t.test('a finished upload is a file, whose result is repeated until it expires, and which stays when the upload ends', async t => {
    const { metadata, ownerId, add, finish, find, takeOver, save, list, reopen } = await start(t)
    const upload = await takeOver(await add('a', { length: 10, type: 'image/png' }))
    const change = changeOf(upload, { state: 'last' })
    const stored = await metadata.finishUpload(change, { sha256: 'aa', quota: unlimited })
    const file = await metadata.findFile(ownerId, 'a')
    t.match(file, { ownerId, name: 'a', type: 'image/png', size: 10, sha256: 'aa', blobId: upload.blobId, createdAt: change.now, updatedAt: change.now, storedAt: change.now })
    t.strictSame(stored, { file, isNew: true })
    const finished = { ...upload, offset: 10, state: 'last', isAppending: false, result: stored, expiresAt: expiryOf(change) }
    t.strictSame(await find(upload), finished)
    t.strictSame(await takeOver(upload), finished, 'unchanged')
    t.strictSame(await outcomes([finish(upload), save(upload, { offset: 11 })]), { upload_taken_over: 2 })
    t.strictSame(await list(), [])
    t.strictSame(await metadata.uploadUsage(ownerId), { uploads: 0, bytes: 0, receivedBytes: 0 })
    t.match(await metadata.findAccount(ownerId), { usedBytes: 10, usedFiles: 1 })
    await metadata.renameFile(ownerId, 'a', 'b', Date.now())
    t.strictSame((await find(upload))?.result, stored, 'as it was stored')
    const again = await reopen()
    await again.removeUpload(ownerId, upload.id)
    t.strictSame(await outcomes([again.removeUpload(ownerId, upload.id)]), { not_found: 1 })
    t.match(await again.findFile(ownerId, 'b'), { blobId: upload.blobId })
    t.strictSame(await again.discardedBlobs(10, 0), [])
    t.strictSame(await again.usageMismatches(), [])
  })

  t.test('the length of a finished upload is its size, though none was announced', async t => {
    const { metadata, add, find } = await start(t)
    const upload = await add('a', { length: null })
    await metadata.finishUpload(changeOf(upload, { offset: 7, length: null }), { sha256: 'aa', quota: unlimited })
    t.match(await find(upload), { offset: 7, length: 7, result: { file: { size: 7 }, isNew: true } })
  })

  t.test('an upload by POST is refused if there are other bytes, and succeeds with the same, whose blob is not needed', async t => {
    const { metadata, ownerId, add, finish, find, discarded, list } = await start(t)
    const { file } = await metadata.addFile(newFile(ownerId, 'a', { sha256: 'aa', size: 10 }), unlimited)
    const [same, other, longer] = [await add('a'), await add('a'), await add('a', { length: 11 })]
    t.strictSame(await finish(same, 'aa'), { file, isNew: false })
    t.strictSame(await discarded(), [same.blobId])
    t.equal(await finish(other, 'bb'), undefined)
    t.equal(await finish(longer, 'aa'), undefined)
    t.match(await find(other), { offset: 10, isRefused: true, isAppending: false, result: undefined })
    t.strictSame((await list()).map(({ id }) => id), [longer.id, other.id], 'they are unfinished')
    t.strictSame(await metadata.listFiles(ownerId, { order: 'name', prefix: undefined, limit: 9, after: undefined }), [file])
    await metadata.removeFile(ownerId, 'a', { precondition: {}, isPermanent: false })
    const stored = await finish(other, 'bb')
    t.match(stored, { file: { blobId: other.blobId }, isNew: true })
    t.match(await find(other), { isRefused: false, result: stored })
    t.strictSame(await discarded(), [same.blobId, file.blobId].sort())
    t.strictSame(await metadata.usageMismatches(), [])
  })

  t.test('an upload by PUT replaces a file, whose blob is discarded', async t => {
    const { metadata, ownerId, add, finish, discarded } = await start(t)
    const [first, second] = [await add('a', { method: 'PUT' }), await add('b', { method: 'PUT' })]
    t.match(await finish(first), { isNew: true })
    t.match(await finish(second), { isNew: true })
    const third = await add('a', { method: 'PUT', length: 3, type: 'image/png' })
    const stored = await finish(third, 'aa')
    t.match(stored, { isNew: false, file: { id: (await metadata.findFile(ownerId, 'a'))?.id, size: 3, sha256: 'aa', blobId: third.blobId, type: 'image/png' } })
    t.strictSame(await discarded(), [first.blobId])
    t.match(await metadata.findAccount(ownerId), { usedBytes: 13, usedFiles: 2 })
    t.strictSame(await metadata.usageMismatches(), [])
  })

  for (const method of ['POST', 'PUT'] as const) {
    t.test(`a precondition decides about an upload by ${method} when it is finished`, async t => {
      const { metadata, ownerId, add, finish, find, discarded } = await start(t)
      const { file } = await metadata.addFile(newFile(ownerId, 'a', { sha256: 'aa' }), unlimited)
      await metadata.addFile(newFile(ownerId, 'e', { sha256: 'aa' }), unlimited)
      const refused = [
        await add('e', { method, precondition: { 'if-match': '"bb"' } }),
        await add('b', { method, precondition: { 'if-match': '*' } }),
        await add('c', { method, precondition: { 'if-unmodified-since': 'Sun, 06 Nov 1994 08:49:37 GMT' } })
      ]
      await metadata.addFile(newFile(ownerId, 'c'), unlimited)
      for (const upload of refused) t.equal(await finish(upload, 'aa'), undefined)
      for (const upload of refused) t.match(await find(upload), { isRefused: true })
      const fresh = await add('d', { method, precondition: { 'if-none-match': '*' } })
      t.match(await finish(fresh), { isNew: true })
      const again = await add('d', { method, precondition: { 'if-none-match': '*' } })
      t.equal(await finish(again, String((await find(fresh))?.result?.file.sha256)), undefined, 'the same bytes too')
      const replacing = await add('a', { method, precondition: { 'if-match': '"aa"' } })
      t.match(await finish(replacing, 'cc'), { isNew: false, file: { id: file.id, sha256: 'cc' } })
      t.strictSame(await discarded(), [file.blobId])
      t.strictSame(await metadata.usageMismatches(), [])
    })
  }

  t.test('of many uploads and files that want one name at once exactly one gets it', async t => {
    const { metadata, ownerId, add, finish, list } = await start(t)
    await Promise.all(Array.from({ length: 30 }, (_, index) => add('a', index % 2 === 0 ? {} : { method: 'PUT', precondition: { 'if-none-match': '*' } })))
    const left = await list()
    t.equal(left.length, 16, 'those by PUT have ended each other')
    const ends = await Promise.all([
      ...left.map(async upload => (await finish(upload))?.file.blobId),
      ...Array.from({ length: 10 }, () => metadata.addFile(newFile(ownerId, 'a'), unlimited).then(({ file }) => file.blobId, () => undefined))
    ])
    t.strictSame(ends.filter(end => end !== undefined), [(await metadata.findFile(ownerId, 'a'))?.blobId])
    t.ok((await list()).every(({ isRefused }) => isRefused))
    t.strictSame(await metadata.usageMismatches(), [])
  })

  t.test('of many uploads that replace one version at once exactly one does', async t => {
    const { metadata, ownerId, add, finish } = await start(t)
    await metadata.addFile(newFile(ownerId, 'a', { sha256: 'aa' }), unlimited)
    const uploads = await Promise.all(Array.from({ length: 10 }, () => add('a', { precondition: { 'if-match': '"aa"' } })))
    const stored = await Promise.all(uploads.map(upload => finish(upload)))
    t.equal(stored.filter(stored => stored !== undefined).length, 1)
    t.equal((await metadata.discardedBlobs(10, 0)).length, 1)
  })

  t.test('an upload by PUT ends the older ones by PUT of its name, unless it is refused', async t => {
    const { metadata, ownerId, otherId, add, list, finish, discarded } = await start(t)
    const put = { method: 'PUT' } as const
    await metadata.addUpload(newUpload(otherId, 'a', put), { maxUploads: 1, quota: unlimited })
    const finished = await add('a', put)
    await finish(finished)
    const [older, other, byPost] = [await add('a', put), await add('b', put), await add('a')]
    t.strictSame(await outcomes([add('a', put, { quota: { bytes: 39, files: undefined } }), add('a', put, { quota: { bytes: undefined, files: 3 } }), add('a', put, { maxUploads: 2 })]), { quota_exceeded: 2, too_many_uploads: 1 })
    t.strictSame((await list()).map(({ id }) => id), [byPost.id, other.id, older.id])
    const newer = await add('a', put, { maxUploads: 3, quota: { bytes: 40, files: 4 } })
    t.strictSame((await list()).map(({ id }) => id), [newer.id, byPost.id, other.id], 'which makes room for it')
    t.strictSame(await discarded(), [older.blobId])
    t.equal((await metadata.listUploads(otherId, { name: 'a', before: undefined, limit: 9 })).length, 1)
    t.ok(await metadata.findFile(ownerId, 'a'))
  })

  for (const { what, quota, fits } of [
    { what: 'bytes', quota: { bytes: 55, files: undefined }, fits: 5 },
    { what: 'bytes to the last one', quota: { bytes: 60, files: undefined }, fits: 6 },
    { what: 'files', quota: { bytes: undefined, files: 7 }, fits: 7 },
    { what: 'both', quota: { bytes: 70, files: 3 }, fits: 3 }
  ]) {
    t.test(`a quota of ${what} is exact for files and uploads at once, when they are added and when they are finished`, async t => {
      const { metadata, ownerId, add, finish, list } = await start(t)
      const adds = Array.from({ length: 10 }, (_, index) => metadata.addFile(newFile(ownerId, `file-${index}`), quota))
      const puts = Array.from({ length: 10 }, (_, index) => metadata.putFile(newFile(ownerId, `put-${index}`), quota, {}))
      const uploads = Array.from({ length: 10 }, (_, index) => add(`upload-${index}`, { method: index % 2 === 0 ? 'POST' : 'PUT' }, { quota }))
      t.strictSame(await outcomes([...uploads, ...adds, ...puts]), { ok: fits, quota_exceeded: 30 - fits })
      const reserved = await list()
      const more = Array.from({ length: 10 }, (_, index) => metadata.addFile(newFile(ownerId, `more-${index}`), quota))
      const finished = reserved.map(upload => finish(upload, hex(32), quota))
      t.strictSame(await outcomes([...finished, ...more]), { ...(finished.length > 0 && { ok: finished.length }), quota_exceeded: 10 }, 'the reservation becomes the file')
      t.match(await metadata.findAccount(ownerId), { usedFiles: fits, usedBytes: 10 * fits })
      t.strictSame(await metadata.usageMismatches(), [])
    })
  }

  t.test('bytes of an unknown length are reserved as they are saved, exactly', async t => {
    const { metadata, ownerId, add, save, list } = await start(t)
    const quota = { bytes: 55, files: undefined }
    const uploads = await Promise.all(Array.from({ length: 10 }, (_, index) => add(`${index}`, { length: null }, { quota })))
    t.strictSame(await outcomes(uploads.map(upload => save(upload, { offset: 10, length: null }, quota))), { ok: 5, quota_exceeded: 5 })
    t.strictSame(await metadata.uploadUsage(ownerId), { uploads: 10, bytes: 50, receivedBytes: 50 })
    t.strictSame((await list()).map(({ offset }) => offset).sort(), [0, 0, 0, 0, 0, 10, 10, 10, 10, 10], 'and where they do not fit nothing changes')
    const [upload] = (await list()).filter(({ offset }) => offset === 10) as [UploadRecord]
    t.strictSame(await outcomes([save(upload, { offset: 10, length: 16 }, quota)]), { quota_exceeded: 1 }, 'an announced length is reserved whole')
    await save(upload, { offset: 10, length: 15 }, quota)
    await save(upload, { offset: 15, length: 15 }, { bytes: 1, files: 1 })
    t.strictSame(await outcomes([metadata.addFile(newFile(ownerId, 'a', { size: 1 }), quota)]), { quota_exceeded: 1 })
    await metadata.removeUpload(ownerId, upload.id)
    t.strictSame(await outcomes([metadata.addFile(newFile(ownerId, 'a', { size: 15 }), quota)]), { ok: 1 }, 'what ends gives back what it reserved')
  })

  t.test('a replacement is reserved in full, and refused when it is finished if the quota was lowered', async t => {
    const { metadata, ownerId, add, finish, find } = await start(t)
    await metadata.addFile(newFile(ownerId, 'a', { size: 10 }), unlimited)
    t.strictSame(await outcomes([add('a', { method: 'PUT', length: 11 }, { quota: { bytes: 20, files: 2 } }), add('a', { method: 'PUT' }, { quota: { bytes: 20, files: 1 } })]), { quota_exceeded: 2 })
    const upload = await add('a', { method: 'PUT', length: 12 }, { quota: { bytes: 22, files: 2 } })
    t.strictSame(await outcomes([finish(upload, hex(32), { bytes: 11, files: 1 })]), { quota_exceeded: 1 })
    t.strictSame(await find(upload), upload, 'nothing has changed')
    t.match(await finish(upload, hex(32), { bytes: 12, files: 1 }), { isNew: false })
    const next = await add('b', { length: 0 })
    t.strictSame(await outcomes([finish(next, hex(32), { bytes: 12, files: 1 })]), { quota_exceeded: 1 })
    t.match(await finish(next, hex(32), { bytes: 5, files: 2 }), { isNew: true }, 'what adds no bytes is taken')
    t.match(await metadata.findAccount(ownerId), { usedBytes: 12, usedFiles: 2 })
  })

  t.test('an account has so many unfinished uploads at most', async t => {
    const { metadata, ownerId, otherId, add, finish } = await start(t)
    await metadata.addUpload(newUpload(otherId, 'a'), { maxUploads: 1, quota: unlimited })
    t.strictSame(await outcomes(Array.from({ length: 10 }, (_, index) => add(`${index}`, {}, { maxUploads: 3 }))), { ok: 3, too_many_uploads: 7 })
    const [upload] = await metadata.listUploads(ownerId, { name: undefined, before: undefined, limit: 1 }) as [UploadRecord]
    await finish(upload)
    t.strictSame(await outcomes([add('a', {}, { maxUploads: 3 }), add('b', {}, { maxUploads: 3 })]), { ok: 1, too_many_uploads: 1 }, 'a finished one does not count')
  })

  t.test('an expired upload does not exist, from that instant, and reserves nothing, swept or not', async t => {
    const { metadata, ownerId, add, finish, discarded } = await start(t)
    const quota = { bytes: 20, files: 2 }
    const lasting = await add('a', {}, { quota })
    const { id, expiresAt } = lasting
    t.ok(await metadata.findUpload(ownerId, id, expiresAt - 1))
    t.equal(await metadata.findUpload(ownerId, id, expiresAt), undefined)
    t.strictSame(await metadata.listUploads(ownerId, { now: expiresAt, name: undefined, before: undefined, limit: 9 }), [])
    t.strictSame(await metadata.uploadUsage(ownerId, expiresAt - 1), { uploads: 1, bytes: 10, receivedBytes: 0 })
    t.strictSame(await metadata.uploadUsage(ownerId, expiresAt), { uploads: 0, bytes: 0, receivedBytes: 0 })
    const change = changeOf(lasting, { now: expiresAt, lifetimeMilliseconds: 1 })
    t.strictSame(await outcomes([
      metadata.saveUpload(change, { isAppending: true, quota }),
      metadata.finishUpload(change, { sha256: 'aa', quota }),
      metadata.takeOverUpload(ownerId, id, { isAppending: true, now: expiresAt, lifetimeMilliseconds: 1 }),
      metadata.removeUpload(ownerId, id, expiresAt)
    ]), { not_found: 4 })

    const past = { lifetimeMilliseconds: -1 }
    const expired = [await add('b', past), await add('c', { ...past, length: null })]
    t.strictSame(await outcomes([metadata.addFile(newFile(ownerId, 'd'), quota), metadata.addFile(newFile(ownerId, 'e'), quota)]), { ok: 1, quota_exceeded: 1 })
    t.strictSame(await outcomes([add('f', {}, { maxUploads: 2 }), add('g', {}, { maxUploads: 2 })]), { ok: 1, too_many_uploads: 1 })
    const finished = await add('h')
    await metadata.finishUpload(changeOf(finished, past), { sha256: 'aa', quota: unlimited })
    t.strictSame(await discarded(), [])
    t.equal(await metadata.removeExpiredUploads(2), true, 'there may be more')
    t.equal(await metadata.removeExpiredUploads(2), false)
    t.equal(await metadata.removeExpiredUploads(2), false)
    t.strictSame(await discarded(), expired.map(({ blobId }) => blobId).sort(), 'but not the bytes of a file')
    t.ok(await metadata.findFile(ownerId, 'h'))
    t.match(await finish(lasting), { isNew: true })
  })

  t.test('expired uploads that two processes remove at once are discarded once', async t => {
    const { metadata, add, discarded } = await start(t)
    const expired = await Promise.all(Array.from({ length: 20 }, (_, index) => add(`${index}`, { lifetimeMilliseconds: -1 })))
    while ((await Promise.all([1, 2, 3].map(() => metadata.removeExpiredUploads(5)))).some(Boolean));
    await metadata.removeExpiredUploads(100)
    t.strictSame(await discarded(), expired.map(({ blobId }) => blobId).sort())
  })

  t.test('an upload that is removed is gone, with its bytes', async t => {
    const { metadata, ownerId, add, find, save, finish, discarded } = await start(t)
    const upload = await add('a')
    t.strictSame(await outcomes(Array.from({ length: 5 }, () => metadata.removeUpload(ownerId, upload.id))), { ok: 1, not_found: 4 })
    t.equal(await find(upload), undefined)
    t.strictSame(await outcomes([save(upload, { offset: 1 }), finish(upload)]), { not_found: 2 })
    t.strictSame(await discarded(), [upload.blobId])
    t.equal(await metadata.findFile(ownerId, 'a'), undefined)
  })

  t.test('an upload that is finished and removed at once becomes a file or is discarded, never both', async t => {
    const { metadata, ownerId, add, finish, discarded } = await start(t)
    const uploads = await Promise.all(Array.from({ length: 20 }, (_, index) => add(`${index}`)))
    await Promise.all(uploads.flatMap(upload => [finish(upload).catch(() => {}), metadata.removeUpload(ownerId, upload.id)]))
    const files = await metadata.listFiles(ownerId, { order: 'name', prefix: undefined, limit: 100, after: undefined })
    t.strictSame([...files.map(({ blobId }) => blobId), ...await discarded()].sort(), uploads.map(({ blobId }) => blobId).sort())
  })

  t.test('the uploads of a deleted account end with its files, batch by batch', async t => {
    const { metadata, ownerId, otherId, add, save, finish, discarded } = await start(t)
    const theirs = await metadata.addUpload(newUpload(otherId, 'a'), { maxUploads: 1, quota: unlimited })
    const finished = await add('a')
    await finish(finished)
    const uploads = await Promise.all(Array.from({ length: 5 }, (_, index) => add(`${index}`)))
    await metadata.removeAccount(ownerId, Date.now())
    t.strictSame(await outcomes([add('late'), save(uploads[0] as UploadRecord, { offset: 1, length: null }), finish(uploads[1] as UploadRecord)]), { not_found: 3 })
    let rounds = 0
    while (await metadata.purgeDeletedAccounts(2)) rounds++
    t.ok(rounds >= 4)
    t.strictSame(await discarded(), [...uploads, finished].map(({ blobId }) => blobId).sort())
    t.strictSame(await metadata.findUpload(otherId, theirs.id), theirs)
    t.strictSame(await metadata.checkIntegrity(), [])
  })

  t.test('the bytes of an unfinished upload are in use, and those of a file belong to the file', async t => {
    const { metadata, ownerId, add, finish } = await start(t)
    const [unfinished, finished] = [await add('a'), await add('b')]
    await finish(finished)
    const blobs = [unfinished.blobId, finished.blobId]
    t.strictSame(await metadata.referencedBlobs([...blobs, hex(16)]), new Set(blobs))
    t.strictSame(await metadata.knownBlobs(blobs), new Set([finished.blobId]))
    await metadata.removeFile(ownerId, 'b', { precondition: {}, isPermanent: false })
    await metadata.clearDiscarded([finished.blobId])
    t.strictSame(await metadata.referencedBlobs(blobs), new Set([unfinished.blobId]))
  })
}
