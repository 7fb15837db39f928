import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import type { Draft } from '#src/blobs/blob-store.ts'
import { openReserve } from '#src/blobs/disk/reserve.ts'
import { openDiskBlobs } from '#src/blobs/disk/disk.ts'
import { Quotas } from '#src/files/quotas.ts'
import { openSqliteMetadata } from '#src/metadata/sqlite/sqlite.ts'
import { storageFull } from '#src/problems.ts'
import { ResumableUploads, type UploadCreation } from '#src/uploads/resumable.ts'
import { digestField, sha256Of } from '../kit/digests.ts'
import { override } from '../kit/override.ts'
import { roomOver } from '../kit/rules.ts'
import { MIB } from '../kit/sizes.ts'

/** What uploads are made of, and an account that uploads. */
async function open (folder: string) {
  const metadata = await openSqliteMetadata(join(folder, 'db'))
  const blobs = await openDiskBlobs({ folder, minFreeBytes: () => 0 })
  const reserve = await openReserve(join(folder, 'reserve'))
  const owner = await metadata.accounts.add({ username: 'ann', usernameKey: 'ann', passwordHash: 'x', createdAt: 1 })
  const uploader = { owner, linkId: null }
  const shared = {
    blobs,
    reserve,
    room: roomOver({ metadata, blobs, reserve }),
    files: { acceptName: (name: string) => name, sweep () {} },
    quotas: new Quotas(metadata.uploads, { quotaBytes: undefined, quotaFiles: undefined }),
    limits: { maxFileBytes: 1000, uploadExpiryHours: 1 }
  }
  return { metadata, blobs, owner, uploader, shared }
}

async function * bytes (text: string) { yield Buffer.from(text) }

test('an upload whose file could not be stored keeps its bytes, and becomes a file when the offset is asked for', async t => {
  const { metadata, blobs, owner, uploader, shared } = await open(t.testdir())
  const creation = (name: string, length: number | undefined = 3): UploadCreation => ({
    uploader,
    name,
    type: undefined,
    length,
    announcedBytes: undefined,
    method: 'POST',
    precondition: {},
    uploadMetadata: undefined,
    reprDigest: undefined,
    modifiedAt: null
  })
  const appendOf = (text: string, offset = 0) =>
    ({ offset, bytes: bytes(text), announcedBytes: text.length, length: undefined, isLast: false, confirm: undefined })
  const uploads = new ResumableUploads({ ...shared, metadata })
  t.teardown(async () => { await uploads.close(); await blobs.close(); await metadata.close() })

  // Another process, whose database is out of reach when it finishes the upload.
  let isAway = true
  const away = new ResumableUploads({
    ...shared,
    metadata: {
      ...metadata,
      uploads: override(metadata.uploads, {
        async finish (...args) {
          if (isAway) throw new Error('away')
          return metadata.uploads.finish(...args)
        }
      })
    }
  })
  const { id } = await away.create(creation('a'))
  await t.rejects(away.append(uploader, id, appendOf('abc')), { message: 'away' })
  isAway = false
  t.match(await metadata.uploads.find(owner.id, id), { offset: 3, length: 3, result: undefined })
  t.match(await uploads.get(uploader, id), { offset: 3, result: { isNew: true, file: { name: 'a', size: 3 } } })

  // Between the look at an upload and its take-over another process finishes it.
  isAway = true
  const late = await away.create(creation('b'))
  await t.rejects(away.append(uploader, late.id, appendOf('abc')), { message: 'away' })
  const meanwhile: (() => Promise<unknown>)[] = []
  const slow = new ResumableUploads({
    ...shared,
    metadata: {
      ...metadata,
      uploads: override(metadata.uploads, {
        async takeOver (ownerId, id, to) {
          await meanwhile.shift()?.()
          return metadata.uploads.takeOver(ownerId, id, to)
        }
      })
    }
  })
  meanwhile.push(async () => {}, () => uploads.offset(uploader, late.id))
  t.match((await slow.offset(uploader, late.id)).result, { isNew: true, file: { name: 'b' } })
  const empty = await uploads.create(creation('empty', 0))
  meanwhile.push(() => uploads.append(uploader, empty.id, appendOf('')))
  t.match((await slow.append(uploader, empty.id, appendOf(''))).result, { isNew: true, file: { name: 'empty' } })
  const raced = await away.create(creation('c'))
  await t.rejects(away.append(uploader, raced.id, appendOf('abc')), { message: 'away' })
  meanwhile.push(() => uploads.offset(uploader, raced.id))
  t.match((await slow.append(uploader, raced.id, appendOf('', 3))).result, { isNew: true, file: { name: 'c' } })

  // Bytes that were not recorded do not count in the digest of those that were.
  const deferred = await away.create(creation('d', undefined))
  await t.rejects(away.append(uploader, deferred.id, { ...appendOf('AAA'), isLast: true, length: 3, announcedBytes: 3 }), { message: 'away' })
  await metadata.uploads.remove(owner.id, deferred.id)

  // What contradicts the length.
  const long = await uploads.create(creation('long', 10))
  await t.rejects(uploads.append(uploader, long.id, { ...appendOf('abc'), isLast: true }), { code: 'upload_length_inconsistent' })
  await t.rejects(uploads.append(uploader, long.id, { ...appendOf('abc'), isLast: true, announcedBytes: undefined }), { code: 'upload_length_inconsistent' })
  t.match(await uploads.get(uploader, long.id), { offset: 3, length: 10 })
  const huge = await uploads.create({ ...creation('huge'), length: undefined })
  await t.rejects(uploads.append(uploader, huge.id, { ...appendOf('abc'), length: 1001 }), { code: 'file_too_large' })

  // The digest of no bytes, of another algorithm.
  const sha512 = digestField('sha-512', '')
  t.match((await uploads.create({ ...creation('none', 0), announcedBytes: 0, reprDigest: sha512 })).result, { file: { size: 0 } })

  // A store that has to assemble its drafts.
  const assembled: number[] = []
  const assembling = new ResumableUploads({
    ...shared, metadata, blobs: override(blobs, { finish: async (_id, { size }) => { assembled.push(size) } })
  })
  const parts = await assembling.create(creation('parts'))
  t.match((await assembling.append(uploader, parts.id, appendOf('abc'))).result, { file: { size: 3 } })
  t.strictSame(assembled, [3])

  uploads.stop()
  await t.rejects(uploads.append(uploader, (await uploads.create(creation('e'))).id, appendOf('abc')), { code: 'stopping' })
})

test('a digest is cached for recorded bytes only', async t => {
  const folder = t.testdir()
  const { metadata, blobs, uploader, shared } = await open(folder)
  let isFull = true
  const uploads = new ResumableUploads({
    ...shared,
    metadata: {
      ...metadata,
      uploads: override(metadata.uploads, {
        async save (...args) {
          if (isFull) throw new Error('full')
          return metadata.uploads.save(...args)
        }
      })
    }
  })
  t.teardown(async () => { await uploads.close(); await blobs.close(); await metadata.close() })
  const upload = await uploads.create({ uploader, name: 'a', type: undefined, length: 6, announcedBytes: undefined, method: 'POST', precondition: {}, uploadMetadata: undefined, reprDigest: undefined, modifiedAt: null })
  const append = (offset: number, text: string) => uploads.append(uploader, upload.id, {
    offset, bytes: bytes(text), announcedBytes: text.length, length: undefined, isLast: false, confirm: undefined
  })
  await t.rejects(append(0, 'AAA'), { message: 'full' })
  isFull = false
  await append(0, 'BBB')
  const blob = join(folder, 'blobs', upload.blobId.slice(0, 2), upload.blobId)
  await truncate(blob, 2)
  await t.rejects(append(3, 'BBB'), { code: 'file_damaged' })
  await writeFile(blob, 'BBB')
  const { result } = await append(3, 'BBB')
  t.equal(result?.file.sha256, sha256Of('BBBBBB'))
})

test('an append that is kept all or not at all saves nothing meanwhile, however large it is', async t => {
  const blobs = await openDiskBlobs({ folder: t.testdir(), minFreeBytes: () => 0 })
  t.teardown(() => blobs.close())
  const chunk = Buffer.alloc(MIB)
  async function * bytes () { for (let count = 0; count < 70; count++) yield chunk }
  const saved: { draft: Draft, isLast: boolean }[] = []
  const save = async (draft: Draft, { isLast }: { isLast: boolean }) => {
    saved.push({ draft, isLast })
    return draft
  }
  const draft = { size: 70 * chunk.length, state: null }
  t.same(await blobs.append('0'.repeat(32), { size: 0, state: null }, bytes(), { maxBytes: 100 * chunk.length, save, isAtomic: true }), draft)
  t.strictSame(saved, [{ draft, isLast: true }])
})

test('a full database refuses a file whose bytes are not on a disk of the server, and nothing that is kept is deleted for it', async t => {
  const folder = t.testdir()
  const metadata = await openSqliteMetadata(join(folder, 'db'))
  const disk = await openDiskBlobs({ folder, minFreeBytes: () => 0 })
  t.teardown(async () => { await disk.close(); await metadata.close() })
  let tries = 0
  const room = roomOver({
    metadata: {
      ...metadata, kept: override(metadata.kept, { async removeOldest () { throw new Error('not for this') } })
    },
    blobs: override(disk, { missingSpace: undefined, space: undefined }),
    reserve: await openReserve(join(folder, 'reserve'))
  })
  await t.rejects(room.withRoom(1, async () => {
    tries++
    throw storageFull()
  }), { code: 'storage_full' })
  t.ok(tries > 1, 'it is tried again')
})
