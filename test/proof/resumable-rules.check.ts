import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import type { Draft } from '#src/blobs/blob-store.ts'
import { openReserve } from '#src/blobs/disk/free-space.ts'
import { openDiskBlobs } from '#src/blobs/disk/disk.ts'
import { openSqliteMetadata } from '#src/metadata/sqlite/sqlite.ts'
import { Problem, storageFull } from '#src/problems.ts'
import { digestField, sha256Of } from '../kit/digests.ts'
import { override } from '../kit/override.ts'
import { newAppend, newCreation, rulesOver, uploadsOver } from '../kit/rules.ts'
import { MIB } from '../kit/sizes.ts'

/** What uploads are made of, and an account that uploads. */
async function open (t: Test) {
  const folder = t.testdir()
  const metadata = await openSqliteMetadata(join(folder, 'db'))
  const blobs = await openDiskBlobs({ folder, minFreeBytes: 0 })
  const stores = { metadata, blobs, reserve: await openReserve(join(folder, 'reserve')) }
  const owner = await metadata.accounts.add({ username: 'ann', usernameKey: 'ann', passwordHash: 'x', createdAt: 1 })
  const stopped = new AbortController()
  const uploads = uploadsOver(stores, stopped)
  t.teardown(async () => { await uploads.close(); await blobs.close(); await metadata.close() })
  /** The uploads of another process, which records them in another way. */
  const uploadsOf = (changes: Partial<typeof metadata.uploads>) =>
    uploadsOver({ ...stores, metadata: { ...metadata, uploads: override(metadata.uploads, changes) } })
  return { folder, metadata, blobs, owner, uploader: { owner, linkId: null }, stores, uploads, uploadsOf, stopped }
}

test('an upload whose file could not be stored keeps its bytes, and becomes a file when the offset is asked for', async t => {
  const { metadata, blobs, owner, uploader, stores, uploads, uploadsOf, stopped } = await open(t)
  const creation = (name: string, length = 3) => newCreation({ uploader, name, length })

  // Another process, whose database is out of reach when it finishes the upload.
  let isAway = true
  const away = uploadsOf({
    async finish (...args) {
      if (isAway) throw new Error('away')
      return metadata.uploads.finish(...args)
    }
  })
  const { id } = await away.create(creation('a'))
  await t.rejects(away.append(uploader, id, newAppend('abc')), { message: 'away' })
  isAway = false
  t.match(await metadata.uploads.find(owner.id, id), { offset: 3, length: 3, result: undefined })
  t.match(await uploads.get(uploader, id), { offset: 3, result: { isNew: true, file: { name: 'a', size: 3 } } })

  // Between the look at an upload and its take-over another process finishes it.
  isAway = true
  const late = await away.create(creation('b'))
  await t.rejects(away.append(uploader, late.id, newAppend('abc')), { message: 'away' })
  const meanwhile: (() => Promise<unknown>)[] = []
  const slow = uploadsOf({
    async takeOver (ownerId, id, to) {
      await meanwhile.shift()?.()
      return metadata.uploads.takeOver(ownerId, id, to)
    }
  })
  meanwhile.push(async () => {}, () => uploads.offset(uploader, late.id))
  t.match((await slow.offset(uploader, late.id)).result, { isNew: true, file: { name: 'b' } })
  const empty = await uploads.create(creation('empty', 0))
  meanwhile.push(() => uploads.append(uploader, empty.id, newAppend('')))
  t.match((await slow.append(uploader, empty.id, newAppend(''))).result, { isNew: true, file: { name: 'empty' } })
  const raced = await away.create(creation('c'))
  await t.rejects(away.append(uploader, raced.id, newAppend('abc')), { message: 'away' })
  meanwhile.push(() => uploads.offset(uploader, raced.id))
  t.match((await slow.append(uploader, raced.id, newAppend('', 3))).result, { isNew: true, file: { name: 'c' } })

  // Bytes that were not recorded do not count in the digest of those that were.
  const deferred = await away.create(creation('d'))
  await t.rejects(away.append(uploader, deferred.id, { ...newAppend('AAA'), isLast: true, length: 3, announcedBytes: 3 }), { message: 'away' })
  await metadata.uploads.remove(owner.id, deferred.id)

  // What contradicts the length.
  const long = await uploads.create(creation('long', 10))
  await t.rejects(uploads.append(uploader, long.id, { ...newAppend('abc'), isLast: true }), { code: 'upload_length_inconsistent' })
  await t.rejects(uploads.append(uploader, long.id, { ...newAppend('abc'), isLast: true, announcedBytes: undefined }), { code: 'upload_length_inconsistent' })
  t.match(await uploads.get(uploader, long.id), { offset: 3, length: 10 })
  const huge = await uploads.create({ ...creation('huge'), length: null })
  await t.rejects(uploads.append(uploader, huge.id, { ...newAppend('abc'), length: 101 * MIB }), { code: 'file_too_large' })

  // The digest of no bytes, of another algorithm.
  const sha512 = digestField('sha-512', '')
  t.match((await uploads.create({ ...creation('none', 0), announcedBytes: 0, reprDigest: sha512 })).result, { file: { size: 0 } })

  // A store that has to assemble its drafts.
  const assembled: number[] = []
  const finish = async (_id: string, { size }: Draft) => { assembled.push(size) }
  const assembling = uploadsOver({ ...stores, blobs: override(blobs, { drafts: { ...blobs.drafts, finish } }) })
  const parts = await assembling.create(creation('parts'))
  t.match((await assembling.append(uploader, parts.id, newAppend('abc'))).result, { file: { size: 3 } })
  t.strictSame(assembled, [3])

  stopped.abort(new Problem('stopping'))
  await t.rejects(uploads.append(uploader, (await uploads.create(creation('e'))).id, newAppend('abc')), { code: 'stopping' })
})

test('a digest is cached for recorded bytes only', async t => {
  const { folder, metadata, uploader, uploadsOf } = await open(t)
  let isFull = true
  const uploads = uploadsOf({
    async save (...args) {
      if (isFull) throw new Error('full')
      return metadata.uploads.save(...args)
    }
  })
  const upload = await uploads.create(newCreation({ uploader, name: 'a', length: 6 }))
  const append = (offset: number, text: string) => uploads.append(uploader, upload.id, newAppend(text, offset))
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

test('a full database refuses a file whose bytes are not on a disk of the server, and nothing that is kept is deleted for it', async t => {
  const folder = t.testdir()
  const metadata = await openSqliteMetadata(join(folder, 'db'))
  const disk = await openDiskBlobs({ folder, minFreeBytes: 0 })
  t.teardown(async () => { await disk.close(); await metadata.close() })
  let tries = 0
  const owner = await metadata.accounts.add({ username: 'ann', usernameKey: 'ann', passwordHash: 'x', createdAt: 1 })
  const { space } = rulesOver({
    metadata: {
      ...metadata, retention: override(metadata.retention, { async removeOldest () { throw new Error('not for this') } })
    },
    blobs: override(disk, { space: undefined }),
    reserve: await openReserve(join(folder, 'reserve'))
  })
  await t.rejects(space.of({ owner, linkId: null }).record(async () => {
    tries++
    throw storageFull()
  }), { code: 'storage_full' })
  t.ok(tries > 1, 'it is tried again')
})
