import type { Test } from 'tap'
import { type LinkRecord, MAX_LINK_UPLOADS, type NewLink } from '#src/metadata/link-records.ts'
import type { NewFile, Quota } from '#src/metadata/records.ts'
import type { NewUpload, UploadChange, UploadRecord } from '#src/metadata/upload-records.ts'
import { DAY, HOUR } from './kit/durations.ts'
import { hex, newFile, newLink, outcomes, unlimited } from './kit/records.ts'
import type { OpenMetadata } from './kit/reopening.ts'
import { changeOf, newUpload, openStory } from './uploads.contract.ts'

/** What src/metadata/links.ts and uploads.ts say of uploads by links. */
export function suite (t: Test, open: OpenMetadata): void {
  async function start (t: Test) {
    const story = await openStory(t, open)
    const { metadata, ownerId } = story
    const { files, folders, links, locks, uploads } = metadata
    await folders.add(ownerId, 'in', unlimited)
    return {
      ...story,
      link: (terms: Partial<NewLink> = {}, folder = 'in') => links.add(newLink(ownerId, folder, { kind: 'upload', ...terms })),
      store: async ({ id }: LinkRecord, name: string, fields: Partial<NewFile> = {}, quota: Quota = unlimited) =>
        (await links.store(id, newFile(ownerId, name, fields), quota)).file.name,
      room: ({ id }: LinkRecord, quota: Quota = unlimited) => links.room(ownerId, id, quota),
      used: async ({ id }: LinkRecord) => {
        const found = await links.find(ownerId, id)
        return { files: found?.usedFiles, bytes: found?.usedBytes }
      },
      lock: (path: string) => locks.add(ownerId, { token: `urn:uuid:${hex(16)}`, path, isDeep: false, isExclusive: true, owner: null, seconds: 3600 }, {}),
      names: async (folder: string) =>
        (await files.list(ownerId, { order: 'name', folder, prefix: undefined, limit: 100, after: undefined })).map(({ name }) => name),
      begin: (
        link: Pick<LinkRecord, 'id'> | undefined,
        name: string,
        fields: Partial<NewUpload> = {},
        { quota = unlimited, maxUploads = 1000 } = {}
      ) => uploads.add(newUpload(ownerId, name, { linkId: link?.id ?? null, ...fields }), { maxUploads, quota }),
      save: (upload: UploadRecord, fields: Partial<UploadChange>, quota: Quota = unlimited) =>
        uploads.save(changeOf(upload, fields), { isAppending: true, quota }),
      finish: (upload: UploadRecord, quota: Quota = unlimited, maxFinished?: number) =>
        uploads.finish(changeOf(upload), { sha256: hex(32), quota, ...(maxFinished !== undefined && { maxFinished }) }),
      find: ({ id, linkId }: UploadRecord) => uploads.find(ownerId, id, linkId),
      async listed () {
        const found = await uploads.list(ownerId, { name: undefined, before: undefined, limit: 100 })
        return found.map(({ id }) => id)
      },
      kept: async () => (await metadata.accounts.find(ownerId))?.keptBytes,
      discarded: async () => (await metadata.blobs.takeDiscarded(1000, 0)).sort()
    }
  }

  t.test('a file that arrives by a link gets the next free name in its folder, and replaces nothing', async t => {
    const { metadata, ownerId, link, put, store, names } = await start(t)
    const drop = await link()
    const { next: before } = await metadata.changes.list(ownerId, { after: undefined, limit: 1 })
    t.equal(await store(drop, 'a.txt'), 'in/a.txt')
    t.equal(await store(drop, 'a.txt'), 'in/a (2).txt')
    await put('in/a (3).txt')
    await metadata.folders.add(ownerId, 'in/a (4).txt', unlimited)
    t.equal(await store(drop, 'a.txt'), 'in/a (5).txt', 'files and folders take a name')
    await metadata.files.remove(ownerId, 'in/a (2).txt', { precondition: {}, isPermanent: false })
    t.equal(await store(drop, 'a.txt'), 'in/a (2).txt', 'one that was deleted is free')
    t.equal(await store(drop, 'A.txt'), 'in/A.txt')
    t.equal(await store(drop, 'a (3).txt'), 'in/a (3) (2).txt')
    await put('b.txt')
    t.equal(await store(drop, 'b.txt'), 'in/b.txt', 'beside the folder nothing counts')
    await metadata.folders.move(ownerId, 'in', 'moved/deep', unlimited)
    t.equal(await store(drop, 'b.txt'), 'moved/deep/b (2).txt')
    t.equal((await names('moved/deep')).length, 8)
    const { changes } = await metadata.changes.list(ownerId, { after: before, limit: 1000 })
    const arrived = changes.filter(({ kind, linkId }) => kind === 'stored' && linkId === drop.id)
    t.equal(arrived.length, 8, 'the feed says by which link')
    t.ok(changes.some(({ linkId }) => linkId === null))
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('of 40 files with one name, stored at once, each gets its own number, and a link with room for five gets five', async t => {
    const { link, store, used, names } = await start(t)
    const drop = await link()
    const stored = await Promise.all(Array.from({ length: 40 }, (_, size) => store(drop, 'a.tar.gz', { size })))
    const expected = ['in/a.tar.gz', ...Array.from({ length: 39 }, (_, index) => `in/a.tar (${index + 2}).gz`)]
    t.strictSame(stored.sort(), expected.sort())
    t.strictSame(await used(drop), { files: 40, bytes: 780 })
    const [byFiles, byBytes] = [await link({ maxFiles: 5 }), await link({ maxBytes: 59 })]
    for (const drop of [byFiles, byBytes]) {
      t.strictSame(await outcomes(Array.from({ length: 32 }, () => store(drop, 'a'))), { ok: 5, link_limit_reached: 27 })
      t.strictSame(await used(drop), { files: 5, bytes: 50 })
    }
    t.equal((await names('in')).length, 50)
  })

  t.test('a link for one upload gives one file this very name, whatever else is begun by it, and ends with it', async t => {
    const story = await start(t)
    const { metadata: { links, uploads }, clock, ownerId, link, put, store, begin, finish } = story
    const only = { fileName: 'a.txt', maxFiles: 1, maxBytes: 100 }
    const [first, dated] = [await link(only), await link({ ...only, fileName: 'b.txt', sha256: 'f'.repeat(64), expiresAt: clock.now() + HOUR })]
    t.match(dated, { fileName: 'b.txt', sha256: 'f'.repeat(64) })
    const given = await begin(first, 'a.txt', { length: 100 })
    const other = await begin(first, 'a.txt', { length: 100 })
    t.equal(await story.find(given), undefined, 'a new one ends the earlier one')
    t.match(await story.find(other), { length: 100 })
    t.strictSame(await outcomes(Array.from({ length: 8 }, () => store(first, 'a.txt'))), { ok: 1, not_found: 7 })
    t.equal(await links.find(ownerId, first.id), undefined)
    t.strictSame(await outcomes([finish(given), links.room(ownerId, first.id, unlimited)]), { not_found: 2 })
    for (const upload of [given, other]) t.equal(await story.find(upload), undefined)
    t.equal(await uploads.removeExpired(10), false)
    t.strictSame(await story.discarded(), [given.blobId, other.blobId].sort())

    t.strictSame(await outcomes([store(dated, 'b.txt'), link(only), link({ ...only, fileName: 'c.txt' })]), { digest_mismatch: 1, name_taken: 1, ok: 1 })
    t.equal(await store(dated, 'b.txt', { sha256: 'f'.repeat(64) }), 'in/b.txt')
    const late = await link({ ...only, fileName: 'd.txt' })
    const upload = await begin(late, 'd.txt', { length: 10 })
    await put('in/d.txt')
    t.strictSame(await outcomes([store(late, 'd.txt'), finish(upload)]), { name_taken: 2 })
    const next = await link({ ...only, fileName: 'e.txt' })
    t.match(await finish(await begin(next, 'e.txt', { length: 10 })), { file: { name: 'in/e.txt' }, isNew: true })
    t.strictSame(await story.names('in'), ['in/a.txt', 'in/b.txt', 'in/d.txt', 'in/e.txt'])
  })

  t.test('links for one upload are listed apart, and those that have expired are deleted', async t => {
    const { metadata: { links }, clock, ownerId, otherId, link } = await start(t)
    const other = await link({ expiresAt: clock.now() + HOUR })
    const made = []
    for (const fileName of ['a', 'b', 'c']) made.push(await link({ fileName, expiresAt: clock.now() + HOUR }))
    const last = await link({ fileName: 'd', expiresAt: clock.now() + 2 * HOUR })
    const endless = await link({ fileName: 'e' })
    const idsOf = async (isOneUpload: boolean, owner = ownerId) =>
      (await links.list(owner, { isOneUpload, beforeId: undefined, limit: 100 })).map(({ id }) => id)
    t.strictSame(await idsOf(false), [other.id])
    t.strictSame(await idsOf(true), [endless, last, ...made.reverse()].map(({ id }) => id))
    t.strictSame(await idsOf(true, otherId), [])
    t.equal(await links.removeExpired(2), false)
    clock.advance(HOUR)
    t.equal(await links.removeExpired(2), true)
    t.equal(await links.removeExpired(2), false)
    t.strictSame([await idsOf(false), await idsOf(true)], [[other.id], [endless.id, last.id]])
    t.match(await links.remove(ownerId, last.id), { id: last.id, fileName: 'd' })
  })

  const long = (bytes: number, letter = 'n') => letter.repeat(bytes / Buffer.byteLength(letter))
  const numberings = [
    ['without an extension', 'README', 'README (2)'],
    ['that begins with its only dot', '.profile', '.profile (2)'],
    ['that ends with a dot', 'a.', 'a (2).'],
    ['of 255 bytes', `${long(251)}.txt`, `${long(247)} (2).txt`],
    ['of 255 bytes without an extension', long(255), `${long(251)} (2)`],
    ['of 255 bytes in letters of three', long(255, '€'), `${long(249, '€')} (2)`],
    ['of 252 bytes in letters of four with an extension', `${long(248, '😀')}.txt`, `${long(244, '😀')} (2).txt`],
    ['with the longest extension that is kept', `${long(223)}.${long(31, 'x')}`, `${long(219)} (2).${long(31, 'x')}`],
    ['with a longer one', `${long(222)}.${long(32, 'x')}`, `${long(222)}.${long(28, 'x')} (2)`]
  ] as const
  t.test('a name gets a number, and no more than 255 bytes', async t => {
    const { link, store } = await start(t)
    const drop = await link()
    for (const [what, name, numbered] of numberings) {
      t.strictSame([await store(drop, name), await store(drop, name)], [`in/${name}`, `in/${numbered}`], what)
      t.ok(Buffer.byteLength(numbered) <= 255)
    }
  })

  t.test('the quota of the owner holds with all that is kept, and nothing kept is deleted for a link', async t => {
    const { metadata, ownerId, link, put, store, room, kept } = await start(t)
    for (const name of ['a', 'a', 'b']) await put(name, { size: 30 })
    await metadata.files.remove(ownerId, 'b', { precondition: {}, isPermanent: false })
    const drop = await link({ maxFiles: 99, maxBytes: 999 })
    const quota = { bytes: 100, files: 4 }
    t.strictSame(await room(drop, quota), { link: { files: 99, bytes: 999 }, owner: { files: 2, bytes: 10 } })
    t.strictSame(await outcomes([store(drop, 'c', { size: 11 }, quota)]), { quota_exceeded: 1 })
    await store(drop, 'c', { size: 10 }, quota)
    t.strictSame(await outcomes([store(drop, 'd', { size: 1 }, quota)]), { quota_exceeded: 1 })
    await store(drop, 'd', { size: 0 }, quota)
    t.strictSame(await outcomes([store(drop, 'e', { size: 0 }, quota)]), { quota_exceeded: 1 })
    t.strictSame((await room(drop, { bytes: 1, files: 1 })).owner, { files: 0, bytes: 0 })
    await store(drop, 'e', { size: 0 }, { bytes: 1, files: 9 })
    t.equal(await kept(), 60, 'nor for an empty file if the quota was lowered')
    await metadata.files.put(newFile(ownerId, 'e', { size: 30 }), { bytes: 100, files: 9 }, {})
    t.equal(await kept(), 30, 'but for the owner it is')
    t.strictSame(await metadata.accounts.usageMismatches(), [])
  })

  t.test('of what is announced by a link, its owner pays for what has arrived, and does not tell the rest', async t => {
    const { link, begin, save, room } = await start(t)
    const quota = { bytes: 20, files: 2 }
    const drop = await link({ maxFiles: 9, maxBytes: 999 })
    const [one, other] = [await begin(drop, 'a', { length: 15 }, { quota }), await begin(drop, 'b', { length: 900 }, { quota })]
    t.strictSame(await room(drop, quota), { link: { files: 7, bytes: 84 }, owner: { files: 1, bytes: 20 } })
    await save(other, { offset: 15 }, quota)
    t.strictSame(await outcomes([save(one, { offset: 6 }, quota)]), { quota_exceeded: 1 })
    await save(one, { offset: 5 }, quota)
    t.strictSame(await outcomes([begin(drop, 'c', { length: 1 }, { quota })]), { quota_exceeded: 1 }, 'an owner without space')
    await begin(drop, 'c', { length: 0 }, { quota })
  })

  t.test('a lock of the folder, or of the name, refuses what arrives by a link', async t => {
    const { metadata: { locks }, ownerId, link, put, store, lock, begin, finish } = await start(t)
    const drop = await link()
    const upload = await begin(drop, 'b')
    await lock('in')
    t.strictSame(await outcomes([store(drop, 'a'), begin(drop, 'a'), finish(upload)]), { file_locked: 3 })
    await locks.break(ownerId, 'in')
    await put('in/a')
    await lock('in/a')
    t.equal(await store(drop, 'a'), 'in/a (2)', 'not the name that is asked for, if another one is stored')
    t.match(await finish(upload), { file: { name: 'in/b' } })
  })

  t.test('a link that has ended, or is of another kind or account, accepts nothing', async t => {
    const { metadata, clock, ownerId, otherId, link, store, room, begin, finish, save, find } = await start(t)
    const { accounts, links } = metadata
    const expiring = await link({ expiresAt: clock.now() + HOUR })
    const [download, removed, living] = [await link({ kind: 'download' }), await link(), await link()]
    const uploads = []
    for (const each of [expiring, removed, living]) uploads.push(await begin(each, 'a', { lifetimeMilliseconds: DAY }))
    const [ofExpiring, ofRemoved, ofLiving] = uploads as [UploadRecord, UploadRecord, UploadRecord]
    clock.advance(HOUR)
    await links.remove(ownerId, removed.id)
    const refused = async (...ended: LinkRecord[]) => {
      const all = ended.flatMap(each => [store(each, 'a'), room(each), begin(each, 'a')])
      t.strictSame(await outcomes(all), { not_found: all.length })
    }
    await refused(expiring, download, removed)
    t.ok(await find(ofExpiring), 'its bytes are still there')
    const late = [finish(ofExpiring), save(ofExpiring, { offset: 5 }), finish(ofRemoved)]
    t.strictSame(await outcomes(late), { not_found: 3 })
    t.strictSame(await outcomes([links.store(living.id, newFile(otherId, 'a'), unlimited), links.room(otherId, living.id, unlimited)]), { not_found: 2 })
    await accounts.setDisabled(ownerId, clock.now())
    await refused(living)
    t.strictSame(await outcomes([finish(ofLiving)]), { not_found: 1 })
    await accounts.setDisabled(ownerId, null)
    t.match(await finish(ofLiving), { file: { name: 'in/a' } })
    await links.change(ownerId, expiring.id, { expiresAt: null })
    t.match(await finish(ofExpiring), { file: { name: 'in/a (2)' } }, 'a later expiry revives it')
    await accounts.remove(ownerId, clock.now())
    await refused(living)
  })

  t.test('an upload by a link is found, taken over and ended with that link only, and is not the owner\'s', async t => {
    const { metadata: { uploads }, ownerId, otherId, link, begin, find, listed, discarded } = await start(t)
    const [drop, other] = [await link(), await link()]
    const upload = await begin(drop, 'a', { method: 'PUT' })
    t.match(upload, { linkId: drop.id, name: 'a', generation: 1 })
    t.strictSame(await find(upload), upload)
    const to = { isAppending: true, lifetimeMilliseconds: 2 * HOUR }
    for (const linkId of [undefined, null, other.id]) {
      t.equal(await uploads.find(ownerId, upload.id, linkId), undefined)
      const acts = [
        uploads.takeOver(ownerId, upload.id, { ...to, linkId }), uploads.remove(ownerId, upload.id, linkId)
      ]
      t.strictSame(await outcomes(acts), { not_found: 2 })
    }
    t.equal(await uploads.find(otherId, upload.id, drop.id), undefined)
    const own = await begin(undefined, 'a', { method: 'PUT' })
    t.equal(await uploads.find(ownerId, own.id, drop.id), undefined)
    t.strictSame(await listed(), [own.id])
    t.strictSame(await find(upload), upload, 'one of the owner with the same name does not cancel it')
    t.match(await begin(drop, 'a', { method: 'PUT' }), { linkId: drop.id })
    t.ok(await find(upload), 'nor another one by the link')
    const taken = await uploads.takeOver(ownerId, upload.id, { ...to, linkId: drop.id })
    t.match(taken, { generation: 2, isAppending: true })
    await uploads.remove(ownerId, upload.id, drop.id)
    t.equal(await find(upload), undefined)
    t.strictSame(await discarded(), [upload.blobId])
  })

  t.test(`a link has ${MAX_LINK_UPLOADS} unfinished uploads at most, beside those of the owner and of other links`, async t => {
    const { metadata: { uploads }, ownerId, link, begin } = await start(t)
    const [drop, other] = [await link(), await link()]
    const begun = () => Array.from({ length: MAX_LINK_UPLOADS + 5 }, () => begin(drop, 'a', {}, { maxUploads: 1 }))
    t.strictSame(await outcomes(begun()), { ok: MAX_LINK_UPLOADS, too_many_uploads: 5 })
    await begin(other, 'a')
    t.strictSame(await outcomes([begin(undefined, 'a', {}, { maxUploads: 1 }), begin(undefined, 'b', {}, { maxUploads: 1 })]), { ok: 1, too_many_uploads: 1 })
    t.strictSame(await uploads.usage(ownerId), { uploads: 1, bytes: 10, receivedBytes: 0 }, 'of links nothing is reserved')
  })

  t.test('an upload by a link that was finished keeps its result, under its link, which remembers its own', async t => {
    const { metadata, ownerId, clock, link, begin, finish, find, save, listed } = await start(t)
    const drop = await link()
    const upload = await begin(drop, 'a', { modifiedAt: 7, type: 'image/png' })
    await metadata.folders.move(ownerId, 'in', 'moved', unlimited)
    const stored = await finish(upload)
    t.match(stored, { isNew: true, file: { name: 'moved/a', blobId: upload.blobId, modifiedAt: 7, type: 'image/png' } })
    t.match(await find(upload), { result: stored, name: 'a', linkId: drop.id })
    t.equal(await metadata.uploads.find(ownerId, upload.id), undefined)
    t.strictSame(await outcomes([finish(upload), save(upload, { offset: 10 })]), { upload_taken_over: 2 })
    t.strictSame(await listed(), [])
    await metadata.links.remove(ownerId, drop.id)
    t.match(await find(upload), { result: stored }, 'nothing of it is left to end')

    const [next, other] = [await link({}, 'moved'), await link({}, 'moved')]
    const finished = []
    for (const each of [undefined, other, next, next, undefined, next, next]) {
      clock.advance(1)
      const upload = await begin(each, hex(4))
      await finish(upload, unlimited, 2)
      finished.push(upload)
    }
    const found = await Promise.all(finished.map(find))
    t.strictSame(found.map(upload => upload !== undefined), [true, true, false, false, true, true, true])
  })

  t.test('what is kept since an upload by a link began is not deleted for it', async t => {
    const { link, put, begin, save, finish, kept } = await start(t)
    const quota = { bytes: 100, files: 9 }
    const drop = await link()
    const [upload, unknown] = [await begin(drop, 'b', { length: 40 }, { quota }), await begin(drop, 'c', { length: null }, { quota })]
    await save(upload, { offset: 20 }, quota)
    await put('a', { size: 30 })
    await put('a', { size: 31 })
    const acts = [save(upload, { offset: 40 }, quota), save(unknown, { offset: 20 }, quota), finish(upload, quota)]
    t.strictSame(await outcomes(acts), { quota_exceeded: 3 })
    await save(unknown, { offset: 0 }, { bytes: 1, files: 9 })
    t.equal(await kept(), 30)
    await save(upload, { offset: 30 }, { bytes: 101, files: 9 })
    t.match(await finish(upload, { bytes: 101, files: 9 }), { file: { name: 'in/b' } })
    t.equal(await kept(), 30)
  })

  for (const how of ['is revoked', 'has expired', 'ended with its folder'] as const) {
    t.test(`unfinished uploads of a link that ${how} end, and housekeeping discards their bytes`, async t => {
      const { metadata, ownerId, clock, link, put, begin, save, finish, find, removeTree, discarded } = await start(t)
      const { links, uploads } = metadata
      await put('other/a')
      const [drop, other] = [await link({ expiresAt: clock.now() + HOUR / 2 }), await link({}, 'other')]
      const finished = await begin(drop, 'z')
      await finish(finished)
      const ended = [await begin(drop, 'a'), await begin(drop, 'b'), await begin(drop, 'c', { lifetimeMilliseconds: 0 })]
      const stays = [await begin(other, 'a'), await begin(undefined, 'a'), finished]
      if (how === 'is revoked') await links.remove(ownerId, drop.id)
      else if (how === 'has expired') clock.advance(HOUR / 2)
      else await removeTree('in', { isPermanent: true })
      const [first] = ended as [UploadRecord]
      t.strictSame(await outcomes([save(first, { offset: 5 }), finish(first)]), { not_found: 2 })
      if (how === 'is revoked') t.equal(await find(first), undefined)
      t.equal(await uploads.removeExpired(2), true)
      while (await uploads.removeExpired(2));
      const gone = [...ended, ...how === 'ended with its folder' ? [finished] : []]
      t.strictSame(await discarded(), gone.map(({ blobId }) => blobId).sort())
      for (const upload of ended) t.equal(await find(upload), undefined)
      for (const upload of stays) t.ok(await find(upload), 'one that was finished is remembered')
      t.equal(await uploads.removeExpired(2), false)
    })
  }
}
