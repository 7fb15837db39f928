import type { Test } from 'tap'
import type { ChangePosition } from '#src/metadata/change-records.ts'
import type { Precondition } from '#src/metadata/preconditions.ts'
import type { PictureFacts } from '#src/metadata/pictures.ts'
import type { AccountRecord, FileRecord, Quota } from '#src/metadata/records.ts'
import { DAY } from './kit/durations.ts'
import { hex, newFile, newLink, outcomes, unlimited } from './kit/records.ts'
import type { OpenMetadata } from './kit/reopening.ts'
import { openStory } from './uploads.contract.ts'

/** A thumbnail of so many bytes. */
const thumbnail = (bytes: number, type = 'image/webp') => ({ type, bytes: Buffer.alloc(bytes, 7) })

interface Terms { precondition: Precondition, quota: Quota }

/** The contract in src/metadata/pictures.ts. */
export function suite (t: Test, open: OpenMetadata): void {
  async function start (t: Test) {
    const story = await openStory(t, open)
    const { metadata, ownerId } = story
    return {
      ...story,
      tell: (name: string, facts: PictureFacts, { precondition = {}, quota = unlimited }: Partial<Terms> = {}) =>
        metadata.pictures.put(ownerId, name, facts, { precondition, quota }),
      find: (name: string) => metadata.files.find(ownerId, name),
      bytesOf: async (sha256: string) => (await metadata.pictures.find(ownerId, sha256))?.bytes.length,
      /** `usedBytes` and `keptBytes`, which are what they should be. */
      async usage () {
        t.strictSame(await metadata.accounts.usageMismatches(), [])
        const { usedBytes, keptBytes } = await metadata.accounts.find(ownerId) as AccountRecord
        return [usedBytes, keptBytes]
      },
      async versions (name: string) {
        const { id } = await metadata.files.find(ownerId, name) as FileRecord
        return metadata.versions.list(ownerId, id, { after: undefined, limit: 99 })
      }
    }
  }

  t.test('what is told of a content is known of each file of its owner that has it or gets it, and of no other', async t => {
    const { metadata, ownerId, otherId, reopen, put, tell, find, bytesOf, usage } = await start(t)
    const sha256 = hex(32)
    const [a, b] = [await put('a', { sha256 }), await put('in/b', { sha256 })]
    await put('other')
    await metadata.files.add(newFile(otherId, 'theirs', { sha256 }), unlimited)
    t.match([a, b], [{ hasThumbnail: false, takenAt: null }, { hasThumbnail: false, takenAt: null }])
    t.equal(await bytesOf(sha256), undefined)
    const told = await tell('a', { thumbnail: thumbnail(100), takenAt: 1234 })
    t.strictSame(told, { ...a, hasThumbnail: true, takenAt: 1234, taken: 1234 }, 'no date of it changes')
    t.match(await find('in/b'), { hasThumbnail: true, takenAt: 1234, updatedAt: b.updatedAt })
    t.match(await find('other'), { hasThumbnail: false, takenAt: null })
    t.match(await metadata.files.find(otherId, 'theirs'), { hasThumbnail: false, takenAt: null })
    t.equal(await metadata.pictures.find(otherId, sha256), undefined)
    t.strictSame(await metadata.pictures.find(ownerId, sha256), thumbnail(100))
    t.strictSame(await usage(), [130, 0], 'it counts once')
    t.match(await put('again', { sha256 }), { hasThumbnail: true, takenAt: 1234 })
    t.match(await put('other', { sha256 }), { hasThumbnail: true, takenAt: 1234 })
    const copied = await metadata.files.copy(a, newFile(ownerId, 'copy', { sha256 }), unlimited, {})
    t.match(copied?.file, { hasThumbnail: true, takenAt: 1234 })
    t.match(await put('a'), { hasThumbnail: false, takenAt: null }, 'another content has none')
    const again = await reopen()
    t.strictSame(await again.pictures.find(ownerId, sha256), thumbnail(100))
  })

  t.test('a thumbnail and the time are told together or one by one, and told again', async t => {
    const { put, tell, find, bytesOf, usage, metadata, ownerId } = await start(t)
    const { sha256 } = await put('a')
    t.match(await tell('a', { takenAt: -5 }), { hasThumbnail: false, takenAt: -5, taken: -5 })
    t.equal(await bytesOf(sha256), undefined)
    t.match(await tell('a', { thumbnail: thumbnail(5) }), { hasThumbnail: true, takenAt: -5 })
    t.match(await tell('a', { thumbnail: thumbnail(3, 'image/jpeg'), takenAt: 7 }), { hasThumbnail: true, takenAt: 7 })
    t.strictSame(await metadata.pictures.find(ownerId, sha256), thumbnail(3, 'image/jpeg'))
    t.match(await tell('a', { takenAt: null }), { hasThumbnail: true, takenAt: null })
    t.equal(await bytesOf(sha256), 3)
    t.strictSame(await usage(), [13, 0])
    await put('b')
    await tell('b', { takenAt: 9 })
    t.match(await tell('b', { takenAt: null }), { hasThumbnail: false, takenAt: null })
    t.match(await tell('b', { takenAt: null }), await find('b') as object)
  })

  t.test('what is told of another content than the file has is refused, and so is what is told of no file', async t => {
    const { put, tell, find } = await start(t)
    const file = await put('a')
    await put('in/b')
    const told = (name: string, tag?: string) => outcomes([tell(name, { takenAt: 1 }, { precondition: { 'if-match': tag } })])
    t.strictSame(await told('a', '"other"'), { precondition_failed: 1 })
    t.strictSame([await told('none', '*'), await told('in'), await told('A')], Array(3).fill({ not_found: 1 }))
    t.match(await find('a'), file)
    t.strictSame(await told('a', `"${file.sha256}"`), { ok: 1 })
  })

  t.test('it goes with its content to versions and the trash and back, and ends with the last of it', async t => {
    const { metadata, ownerId, clock, put, tell, remove, trash, versions, bytesOf, usage } = await start(t)
    const sha256 = hex(32)
    await put('a', { sha256 })
    await tell('a', { thumbnail: thumbnail(100), takenAt: 4 })
    await put('a', { size: 20 })
    t.strictSame(await usage(), [20, 110], 'a version')
    const [version] = await versions('a')
    const restored = await metadata.versions.restore(ownerId, 'a', String(version?.id), { quota: unlimited, precondition: {} })
    t.match(restored, { sha256, hasThumbnail: true, takenAt: 4 })
    t.strictSame(await usage(), [110, 20])
    await put('b', { sha256 })
    await remove('a')
    t.strictSame(await usage(), [120 - 10, 30], 'another file has it')
    await remove('b')
    t.strictSame(await usage(), [0, 140])
    const ofB = (await trash()).find(({ name }) => name === 'b')
    t.match(await metadata.trash.restore(ownerId, String(ofB?.id), { name: 'c', quota: unlimited }), { hasThumbnail: true, takenAt: 4 })
    t.strictSame(await usage(), [110, 30])
    await remove('c', true)
    t.equal(await bytesOf(sha256), 100, 'the deleted file `a` has it')
    t.strictSame(await usage(), [0, 130])
    t.match(await put('new', { sha256 }), { hasThumbnail: true }, 'stored again')
    t.strictSame(await usage(), [110, 30])
    await remove('new', true)
    clock.advance(31 * DAY)
    await metadata.retention.removeExpired(100)
    t.equal(await bytesOf(sha256), undefined)
    t.match(await put('new', { sha256 }), { hasThumbnail: false, takenAt: null })
    t.strictSame(await usage(), [10, 0])
  })

  t.test('an empty file has no thumbnail, and the time of one is known', async t => {
    const { put, tell, usage } = await start(t)
    await put('empty', { size: 0 })
    t.strictSame(await outcomes([tell('empty', { thumbnail: thumbnail(5) })]), { thumbnail_unsupported: 1 })
    t.match(await tell('empty', { takenAt: 5 }), { takenAt: 5, hasThumbnail: false })
    t.strictSame(await usage(), [0, 0])
  })

  t.test('a permanent deletion ends it at once, also that of a file of which only the time is known', async t => {
    const { put, tell, remove, bytesOf, usage } = await start(t)
    const [a, b] = [await put('a'), await put('b')]
    await tell('a', { thumbnail: thumbnail(9) })
    await tell('b', { takenAt: 9 })
    await remove('a', true)
    await remove('b', true)
    t.strictSame([await bytesOf(a.sha256), await usage()], [undefined, [0, 0]])
    t.match([await put('a', { sha256: a.sha256 }), await put('b', { sha256: b.sha256 })], [{ hasThumbnail: false }, { takenAt: null }])
  })

  t.test('it stays through renames and moves, and goes to the file that a move overwrites', async t => {
    const { put, tell, rename, find, usage } = await start(t)
    await put('a')
    await put('b')
    await tell('a', { thumbnail: thumbnail(100) })
    await tell('b', { thumbnail: thumbnail(50), takenAt: 5 })
    t.match(await rename('a', 'in/a'), { hasThumbnail: true })
    t.match(await rename('b', 'in/a', { overwrites: true }), { hasThumbnail: true, takenAt: 5 })
    t.match(await find('in/a'), { hasThumbnail: true, takenAt: 5 })
    t.strictSame(await usage(), [60, 110], 'the overwritten content is a version')
  })

  t.test('it counts towards the quota exactly, and kept content goes for it', async t => {
    const { metadata, ownerId, put, tell, remove, bytesOf, usage } = await start(t)
    const quota = { bytes: 200, files: undefined }
    const { sha256 } = await put('old', { size: 40 })
    await tell('old', { thumbnail: thumbnail(30) })
    await remove('old')
    await put('a', { size: 100 })
    t.strictSame(await usage(), [100, 70])
    t.strictSame(await outcomes([tell('a', { thumbnail: thumbnail(101) }, { quota })]), { quota_exceeded: 1 })
    t.strictSame(await usage(), [100, 70], 'a refusal evicts nothing')
    await tell('a', { thumbnail: thumbnail(30) }, { quota })
    t.strictSame([await bytesOf(sha256), await usage()], [30, [130, 70]])
    await tell('a', { thumbnail: thumbnail(31) }, { quota })
    t.strictSame([await bytesOf(sha256), await usage()], [undefined, [131, 0]], 'with its thumbnail')
    await tell('a', { thumbnail: thumbnail(100) }, { quota })
    t.strictSame(await outcomes([metadata.files.add(newFile(ownerId, 'b', { size: 1 }), quota)]), { quota_exceeded: 1 })
    await tell('a', { thumbnail: thumbnail(99) }, { quota })
    t.strictSame(await outcomes([metadata.files.add(newFile(ownerId, 'b', { size: 1 }), quota)]), { ok: 1 })
    await tell('a', { takenAt: 1 }, { quota: { bytes: 10, files: 0 } })
    t.strictSame(await usage(), [200, 0])
  })

  t.test('a thumbnail that only kept content has stands in the way of nothing', async t => {
    const { metadata, ownerId, put, tell, remove, usage } = await start(t)
    await put('a', { size: 1 })
    await tell('a', { thumbnail: thumbnail(100) })
    await remove('a')
    const quota = { bytes: 101, files: undefined }
    t.strictSame(await outcomes([metadata.files.put(newFile(ownerId, 'b', { size: 101 }), quota, {})]), { ok: 1 })
    t.strictSame(await usage(), [101, 0])
  })

  t.test('a thumbnail that ends makes room, so that the version of what is replaced stays', async t => {
    const { metadata, ownerId, put, tell, remove, usage, versions } = await start(t)
    await put('old', { size: 1 })
    await tell('old', { thumbnail: thumbnail(100) })
    await remove('old')
    await put('a', { size: 50 })
    const quota = { bytes: 151, files: undefined }
    t.strictSame(await outcomes([metadata.files.put(newFile(ownerId, 'a', { size: 60 }), quota, {})]), { ok: 1 })
    t.match(await versions('a'), [{ size: 50 }])
    t.strictSame(await usage(), [60, 50])
  })

  t.test('it is no change of the tree, and ends with the account', async t => {
    const { metadata, ownerId, put, tell, find, remove, bytesOf } = await start(t)
    const { sha256 } = await put('a')
    const changesAfter = (after: ChangePosition | undefined) => metadata.changes.list(ownerId, { after, limit: 9 })
    const { next } = await changesAfter(undefined)
    await tell('a', { thumbnail: thumbnail(9), takenAt: 9 })
    t.match(await changesAfter(next), { changes: [], reset: undefined })
    await metadata.links.add(newLink(ownerId, 'a', { secretHash: 'hash' }))
    t.match(await metadata.links.findBySecret('hash'), { file: await find('a') })
    await put('b')
    await tell('b', { thumbnail: thumbnail(9) })
    await remove('b')
    await metadata.accounts.remove(ownerId, 5)
    while (await metadata.accounts.purgeDeleted(1));
    t.equal(await bytesOf(sha256), undefined)
    t.strictSame(await metadata.checkIntegrity(), [])
  })

  t.test('of twenty who tell at once each is whole, and the last one stays', async t => {
    const { put, tell, usage, bytesOf } = await start(t)
    const { sha256 } = await put('a')
    const all = Array.from({ length: 20 }, (_, index) => tell('a', { thumbnail: thumbnail(index + 1), takenAt: index }))
    t.strictSame(await outcomes(all), { ok: 20 })
    t.strictSame(await usage(), [10 + Number(await bytesOf(sha256)), 0])
  })
}
