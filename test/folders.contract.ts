import type { Test } from 'tap'
import type { Metadata } from '#src/metadata/metadata.ts'
import type { AccountRecord, FileOrder, FilePosition, FileRecord, FolderRecord, NewFile, Quota } from '#src/metadata/records.ts'
import type { UploadRecord } from '#src/metadata/upload-records.ts'
import { hex, newFile, outcomes, removeFolder, unlimited } from './kit/records.ts'
import type { OpenMetadata } from './kit/reopening.ts'
import { changeOf, newUpload, openStory } from './uploads.contract.ts'

const always = {}

/** The part of the contract in src/metadata/folders.ts, and paths of files. */
export function suite (t: Test, open: OpenMetadata): void {
  async function start (t: Test) {
    const story = await openStory(t, open)
    const { metadata, clock, ownerId } = story
    const { files, folders } = metadata
    const put = async (name: string, fields: Partial<NewFile> = {}, quota = unlimited) => {
      clock.set(clock.now() + 1000)
      return (await files.put(newFile(ownerId, name, fields), quota, always)).file
    }
    return {
      ...story,
      put,
      add: (path: string, quota = unlimited) => folders.add(ownerId, path, quota),
      move: (path: string, newPath: string, quota = unlimited) => folders.move(ownerId, path, newPath, quota),
      rename: (name: string, newName: string, quota = unlimited) => files.rename(ownerId, name, newName, quota),
      find: (name: string) => files.find(ownerId, name),
      folder: (path: string) => folders.find(ownerId, path),
      restore: (id: string, quota = unlimited) => metadata.trash.restore(ownerId, id, { quota, name: undefined }),
      names: async () => (await walk(metadata, ownerId)).map(({ name }) => name),
      async usage () {
        const { usedBytes, usedFiles, usedFolders } = await metadata.accounts.find(ownerId) as AccountRecord
        return { bytes: usedBytes, files: usedFiles, folders: usedFolders }
      }
    }
  }

  t.test('a file in a folder is found by its path, by its owner alone, and its folders were made with it', async t => {
    const { metadata, ownerId, otherId, put, find, folder, usage } = await start(t)
    const stored = await put('a/b/c.txt', { modifiedAt: 5 })
    t.match(stored, { name: 'a/b/c.txt', folderId: Number, modifiedAt: 5 })
    t.strictSame(await find('a/b/c.txt'), stored)
    for (const name of ['c.txt', 'b/c.txt', 'a/c.txt', 'a/b', 'a', 'a/b/c.txt/d', 'A/b/c.txt']) t.equal(await find(name), undefined, name)
    t.equal(await metadata.files.find(otherId, 'a/b/c.txt'), undefined)
    t.match(await folder('a'), { path: 'a', id: Number, createdAt: stored.createdAt })
    t.match(await folder('a/b'), { path: 'a/b', id: stored.folderId })
    t.equal(await folder('b'), undefined)
    t.equal(await metadata.folders.find(otherId, 'a'), undefined)
    t.strictSame(await usage(), { bytes: 10, files: 1, folders: 2 })
    t.strictSame(await put('a/b/c.txt', { size: 3 }), { ...await find('a/b/c.txt'), modifiedAt: null })
    t.strictSame(await metadata.files.find(ownerId, 'a/b/c.txt').then(file => file?.id), stored.id)
    await put('a/b/d.txt')
    t.strictSame(await usage(), { bytes: 13, files: 2, folders: 2 }, 'they are there already')
    await metadata.files.correctDate(ownerId, 'a/b/c.txt')
    await metadata.files.remove(ownerId, 'a/b/c.txt', { precondition: always, isPermanent: true })
    await metadata.files.remove(ownerId, 'a/b/d.txt', { precondition: always, isPermanent: true })
    t.ok(await folder('a/b'), 'the last file takes no folder with it')
    await check(t, metadata)
  })

  t.test('a file and a folder never have one name, and no file has something below it', async t => {
    const { metadata, ownerId, put, add, move, rename, trash, restore, names, usage } = await start(t)
    await put('file')
    await put('folder/inside')
    await put('deleted')
    await metadata.files.remove(ownerId, 'deleted', { precondition: always, isPermanent: false })
    await add('deleted/x')
    const before = [await names(), await usage()]
    const [entry] = await trash()
    const limits = { maxUploads: 9, quota: unlimited }
    t.strictSame(await outcomes([
      put('folder'),
      put('file/below'),
      put('file/further/below'),
      metadata.files.add(newFile(ownerId, 'folder'), unlimited),
      metadata.files.add(newFile(ownerId, 'file/below'), unlimited),
      metadata.files.findPlace(ownerId, 'folder'),
      metadata.files.findPlace(ownerId, 'file/below'),
      metadata.uploads.add(newUpload(ownerId, 'folder'), limits),
      metadata.uploads.add(newUpload(ownerId, 'file/below'), limits),
      add('file'),
      add('file/below'),
      add('folder/inside/below'),
      move('folder', 'file'),
      move('folder', 'file/below'),
      move('folder', 'deleted/x'),
      rename('file', 'folder'),
      rename('file', 'file/below'),
      rename('file', 'folder/inside'),
      restore(String(entry?.id))
    ]), { name_taken: 19 })
    t.strictSame([await names(), await usage()], before, 'nothing changed')
    await check(t, metadata)
  })

  t.test('a copy needs room for all that is in a folder, and beside the folder that it replaces, or nothing is deleted', async t => {
    const { metadata: { folders }, ownerId, put, find, folder } = await start(t)
    for (const [name, size] of [['a/1', 10], ['a/b/2', 20], ['ab/3', 40], ['old/4', 5]] as const) await put(name, { size })
    const copy = (quota: Quota, isDeep = true) => folders.copy(ownerId, 'a', 'new/a', quota, { isDeep })
    const replace = (path: string, quota: Quota, isDeep = true) => folders.removeSome(ownerId, 'old', {
      limit: 9, isPermanent: false, deletedWith: hex(16), replacedBy: { path, copy: { isDeep, quota } }
    })
    // 75 bytes, 4 files and 4 folders are there.
    for (const quota of [{ bytes: 104, files: undefined }, { bytes: undefined, files: 11 }]) {
      t.strictSame(await outcomes([copy(quota), replace('a', quota)]), { quota_exceeded: 2 })
    }
    await t.rejects(replace('a', { bytes: undefined, files: 8 }, false), { code: 'quota_exceeded' })
    await t.rejects(replace('ab/3', { bytes: 114, files: undefined }), { code: 'quota_exceeded' })
    t.strictSame([await folder('new'), (await find('old/4'))?.size], [undefined, 5])
    await copy({ bytes: 75, files: 10 }, false)
    t.match(await folder('new/a'), { path: 'new/a' })
    await folders.remove(ownerId, 'new/a')
    await copy({ bytes: 105, files: 13 })
    await replace('a', { bytes: 105, files: 14 })
    t.equal(await find('old/4'), undefined)
    await put('old/5')
    await put(`a/${'x'.repeat(255)}/${'x'.repeat(255)}/${'x'.repeat(254)}/6`)
    await t.rejects(replace('a', unlimited), { code: 'name_invalid' }, 'the path of a folder below')
    await replace('a', unlimited, false)
    t.equal(await find('old/5'), undefined)
  })

  t.test('folders are added once, counted as files, and listed by name', async t => {
    const { metadata, ownerId, otherId, put, add, usage, folder } = await start(t)
    const quota = { bytes: undefined, files: 4 }
    t.match(await add('b', quota), { isNew: true, folder: { path: 'b' } })
    const b = await folder('b')
    t.strictSame(await add('b', { bytes: 0, files: 0 }), { isNew: false, folder: { ...b } })
    await put('a', {}, quota)
    t.strictSame(await outcomes([add('c/d/e', quota), put('c/d/e', {}, quota)]), { quota_exceeded: 2 })
    t.equal(await folder('c'), undefined, 'nor are its parents there')
    t.strictSame(await usage(), { bytes: 10, files: 1, folders: 1 })
    t.match(await metadata.files.findPlace(ownerId, 'c/d/e'), { newFolders: 2 })
    t.match(await metadata.files.findPlace(ownerId, 'b/d'), { newFolders: 0 })
    t.match(await metadata.files.findPlace(ownerId, 'a'), { file: { name: 'a' }, newFolders: 0 })
    await add('c/d', quota)
    t.strictSame(await outcomes([add('e', quota)]), { quota_exceeded: 1 })
    t.equal((await metadata.accounts.totals({ bytes: undefined, files: 4 })).accountsNearQuota, 1)
    for (const name of ['c/2', 'c/10', 'c/é', 'c/Z']) await add(name)
    const list = async (path: string, page: { after?: string, limit?: number } = {}) =>
      (await metadata.folders.list(ownerId, path, { order: 'name', limit: 100, ...page, after: page.after === undefined ? undefined : { key: page.after, id: 0 } })).map(each => each.path)
    t.strictSame(await list(''), ['b', 'c'])
    t.strictSame(await list('c'), ['c/10', 'c/2', 'c/Z', 'c/d', 'c/é'], 'by code point')
    t.strictSame(await list('c', { after: '2', limit: 2 }), ['c/Z', 'c/d'])
    t.strictSame(await list('c/d'), [])
    await t.rejects(list('nothing'), { code: 'not_found' })
    await t.rejects(metadata.folders.list(otherId, 'c', { order: 'name', after: undefined, limit: 1 }), { code: 'not_found' })
    const deleted = await folder('c/d')
    await t.rejects(metadata.folders.remove(otherId, 'c/d'), { code: 'not_found' })
    await metadata.folders.remove(ownerId, 'c/d')
    t.ok((await add('c/d')).folder.id > Number(deleted?.id), 'the id of an empty folder that was deleted never returns')
    await check(t, metadata)
  })

  t.test('a move takes everything below along, and nothing beside', async t => {
    const { metadata, ownerId, put, add, move, find, names, folder, usage, clock } = await start(t)
    const paths = ['a/x', 'a/b/x', 'a/b/c/x', 'a/ü/x', 'ab/x', 'a!/x', 'a0/x', 'A/x']
    for (const path of paths) await put(path)
    await put('a/b/c/x')
    const [before, inside] = [await folder('a/b'), await find('a/b/c/x')]
    clock.set(clock.now() + 5000)
    t.strictSame(await move('a', 'a'), await folder('a'), 'to its own name: nothing changes')
    t.match(await move('a', 'n/ew'), { path: 'n/ew', id: (await folder('n/ew'))?.id })
    t.strictSame(await find('n/ew/b/c/x'), { ...inside, name: 'n/ew/b/c/x' })
    t.equal((await folder('n/ew/b'))?.id, before?.id)
    t.strictSame((await names()).sort(), ['n/ew/x', 'n/ew/b/x', 'n/ew/b/c/x', 'n/ew/ü/x', 'ab/x', 'a!/x', 'a0/x', 'A/x'].sort())
    t.equal(await folder('a'), undefined)
    await move('n/ew/b', 'b')
    await move('ab', 'b/ab')
    t.strictSame((await names()).sort(), ['n/ew/x', 'b/x', 'b/c/x', 'n/ew/ü/x', 'b/ab/x', 'a!/x', 'a0/x', 'A/x'].sort())
    t.strictSame(await outcomes([
      move('b', 'b/c/d'), move('b', 'b/b'), move('nothing', 'x'), move('b', 'n'), move('n/ew', 'n'), move('b', 'y/z', { bytes: undefined, files: 9 })
    ]), { folder_into_itself: 2, not_found: 1, name_taken: 2, quota_exceeded: 1 })
    t.equal(await folder('y'), undefined)
    t.strictSame(await usage(), { bytes: 80, files: 8, folders: 9 })
    await add('deep')
    await t.rejects(metadata.folders.move(ownerId + 1, 'b', 'q', unlimited), { code: 'not_found' })
    await check(t, metadata)
  })

  t.test('no path gets too long by a move', async t => {
    const { metadata, add, move, folder } = await start(t)
    const deep = Array.from({ length: 20 }, () => 'd').join('/')
    await add(`a/${deep}`)
    const long = `l/${'ü'.repeat(100)}/${'x'.repeat(255)}`
    await add(long)
    t.strictSame(await outcomes([move('a', Array.from({ length: 12 }, () => 'e').join('/'))]), { name_invalid: 1 })
    await move('a', Array.from({ length: 11 }, () => 'e').join('/'))
    const target = `${'y'.repeat(255)}/${'z'.repeat(768 - 256 - Buffer.byteLength(long) + 1)}`
    t.strictSame(await outcomes([move('l', `${target}z`)]), { name_invalid: 1 })
    t.ok(await folder('l'))
    await move('l', target)
    t.equal(Buffer.byteLength(target + long.slice(1)), 768)
    t.ok(await folder(target + long.slice(1)))
    await check(t, metadata)
  })

  t.test('everything is listed page by page in a fixed order, and one folder in every order', async t => {
    const { metadata, ownerId, put, add, move } = await start(t)
    await add('z')
    await add('a')
    for (const [name, size] of [['m', 1], ['b', 2], ['a/2', 5], ['a/1', 6], ['z/2', 3], ['z/1', 4], ['a/c/1', 7]] as const) await put(name, { size })
    const wanted = ['b', 'm', 'z/1', 'z/2', 'a/1', 'a/2', 'a/c/1']
    const backwards = ['m', 'b', 'a/c/1', 'a/2', 'a/1', 'z/2', 'z/1']
    for (const limit of [1, 2, 3, 100]) {
      t.strictSame((await walk(metadata, ownerId, { limit })).map(({ name }) => name), wanted, `pages of ${limit}`)
      t.strictSame((await walk(metadata, ownerId, { limit, order: '-name' })).map(({ name }) => name), backwards)
    }
    await move('z', 'a/z')
    t.strictSame((await walk(metadata, ownerId, { limit: 2 })).map(({ name }) => name), ['b', 'm', 'a/z/1', 'a/z/2', 'a/1', 'a/2', 'a/c/1'])
    const inFolder = async (folder: string, order: FileOrder, prefix?: string) =>
      (await metadata.files.list(ownerId, { folder, order, prefix, limit: 100, after: undefined }))
        .map(({ name }) => name)
    t.strictSame(await inFolder('', 'name'), ['b', 'm'])
    t.strictSame(await inFolder('a', '-name'), ['a/2', 'a/1'])
    t.strictSame(await inFolder('a', 'name', '2'), ['a/2'])
    t.strictSame(await inFolder('a', 'largest'), ['a/1', 'a/2'])
    t.strictSame(await inFolder('a', 'oldest'), ['a/2', 'a/1'])
    t.strictSame(await inFolder('a/c', 'newest'), ['a/c/1'])
    await t.rejects(inFolder('z', 'name'), { code: 'not_found' })
    const has = (folder: string, minBytes: number, maxBytes: number, owner = ownerId) =>
      metadata.files.hasOfSize(owner, { folder, minBytes, maxBytes })
    t.strictSame(await Promise.all([has('a', 6, 6), has('a', 0, 99), has('a/c', 7, 9)]), [true, true, true])
    const none = [has('a', 0, 4), has('a', 7, 99), has('', 6, 6), has('a/z', 6, 6), has('nothing', 6, 6), has('a', 6, 6, ownerId + 1)]
    t.strictSame(await Promise.all(none), none.map(() => false))
  })

  t.test('what comes into a folder while it is deleted stays, and so does the folder', async t => {
    const { metadata, ownerId, put, folder, names } = await start(t)
    for (const name of ['a/1', 'a/2', 'a/b/3', 'a!/4', 'ab/5']) await put(name)
    const removal = { limit: 2, isPermanent: false, deletedWith: hex(16) }
    const from = await metadata.folders.removeSome(ownerId, 'a', removal)
    await put('a/b/new')
    t.strictSame(await outcomes([removeFolder(metadata, ownerId, 'a', { ...removal, from })]), { folder_not_empty: 1 })
    t.strictSame((await names()).sort(), ['a!/4', 'a/b/new', 'ab/5'])
    t.ok(await folder('a/b'))
    await removeFolder(metadata, ownerId, 'a', removal)
    t.strictSame((await names()).sort(), ['a!/4', 'ab/5'], 'and nothing beside it goes')
    t.strictSame(await outcomes([
      metadata.folders.removeSome(ownerId, 'a', removal), metadata.folders.removeSome(ownerId, 'a', { ...removal, from })
    ]), { not_found: 2 }, 'a second one finds nothing')
    await check(t, metadata)
  })

  t.test('a folder is deleted only if neither it nor what was in it has changed since a change', async t => {
    const { metadata, ownerId, put, rename, move, folder } = await start(t)
    const last = async () => (await metadata.changes.newest([ownerId])).get(ownerId)
    const remove = async (unchangedSince = 0) =>
      removeFolder(metadata, ownerId, 'a', { limit: 9, isPermanent: true, deletedWith: hex(16), unchangedSince })
    for (const name of ['a/1', 'a/b/2', 'b']) await put(name)
    for (const change of [
      () => put('a/b/3'), () => rename('b', 'a/4'), () => rename('a/4', 'b'),
      async () => { for (const [from, to] of [['a', 'c'], ['c', 'a']] as const) await move(from, to) }
    ]) {
      const since = await last()
      await change()
      t.strictSame(await outcomes([remove(since)]), { precondition_failed: 1 })
    }
    const since = await last()
    for (const name of ['a!', 'ab', 'other/a']) await put(name)
    await remove(since)
    t.notOk(await folder('a'), 'changes beside it do not count')
    await check(t, metadata)
  })

  t.test('a folder that is moved while it is deleted keeps the rest, and another one that gets its name keeps all', async t => {
    const { metadata, ownerId, put, move, names } = await start(t)
    for (const name of ['a/1', 'a/2', 'a/3', 'b/4', 'b/5']) await put(name)
    const removal = { limit: 2, isPermanent: true, deletedWith: hex(16) }
    const from = await metadata.folders.removeSome(ownerId, 'a', removal)
    await move('a', 'c')
    t.strictSame(await outcomes([removeFolder(metadata, ownerId, 'a', { ...removal, from })]), { not_found: 1 })
    await move('b', 'a')
    t.strictSame(await outcomes([removeFolder(metadata, ownerId, 'a', { ...removal, from })]), { not_found: 1 })
    t.equal((await names()).length, 3)
    await check(t, metadata)
  })

  t.test('of a name that was deleted twice by one deletion, one file comes back', async t => {
    const { metadata, ownerId, put, rename, trash, names } = await start(t)
    for (const name of ['a/1', 'a/2', 'b']) await put(name)
    const removal = { limit: 1, isPermanent: false, deletedWith: hex(16) }
    const from = await metadata.folders.removeSome(ownerId, 'a', removal)
    const [first] = await trash()
    await rename('b', String(first?.name))
    await removeFolder(metadata, ownerId, 'a', { ...removal, from })
    t.equal((await trash()).length, 3)
    const all = { quota: unlimited, after: undefined, limit: 9 }
    t.match(await metadata.trash.restoreDeletion(ownerId, removal.deletedWith, all), { restored: { length: 3 }, kept: [{ name: first?.name, code: 'name_taken' }] })
    t.strictSame(await names(), ['a/1', 'a/2'])
    await check(t, metadata)
  })

  t.test('many files and folders are one deletion, whose folders are restored, and a free path is found', async t => {
    const { metadata, ownerId, otherId, put, add, find, folder, names } = await start(t)
    const { files, trash } = metadata
    for (const name of ['a', 'b', 'in/c', 'a (2)']) await put(name)
    await add('in/empty')
    t.strictSame([await files.findFree(ownerId, 'a'), await files.findFree(ownerId, 'in'), await files.findFree(ownerId, 'in/new')], ['a (3)', 'in (2)', 'in/new'])
    t.strictSame(await outcomes([files.findFree(ownerId, 'none/a')]), { not_found: 1 })
    const id = hex(16)
    const deletion = { id, kind: 'many', name: '' } as const
    const wanted = [{ name: 'a', id: metadata.ids.file(Number((await find('a'))?.id)) }, { name: 'b', id: 'other' }, { name: 'in' }]
    t.strictSame(await files.removeMany(ownerId, wanted, deletion), new Map([['b', { code: 'precondition_failed' }], ['in', { code: 'not_found' }]]))
    t.strictSame(await files.removeMany(ownerId, [{ name: 'a' }], deletion), new Map([['a', { code: 'not_found' }]]))
    const removal = { limit: 9, isPermanent: false, deletedWith: id, deletedFrom: '' }
    await removeFolder(metadata, ownerId, 'in', removal)
    const page = { after: undefined, limit: 9 }
    const [listed] = await trash.listDeletions(ownerId, page)
    t.match(listed, { id, kind: 'many', name: '', files: 2, folders: 2, size: 20, deletedWith: id, file: undefined })
    const { deletion: opened, entries } = await trash.listDeletion(ownerId, id, page)
    t.strictSame([opened, entries.map(entry => 'folder' in entry ? entry.folder : entry.name).sort()], [listed, ['a', 'in', 'in/c', 'in/empty']])
    t.strictSame(await trash.listDeletions(otherId, page), [])
    t.strictSame(await outcomes([trash.listDeletion(otherId, id, page)]), { not_found: 1 })
    t.strictSame(await trash.empty(otherId, 9, id), { entries: 0, files: 0, bytes: 0 })
    const restored = await trash.restoreDeletion(ownerId, id, { quota: unlimited, ...page })
    t.match(restored, { restored: { length: 4 }, kept: [] })
    t.ok(await folder('in/empty'))
    t.strictSame([(await names()).sort(), await trash.listDeletions(ownerId, page)], [['a', 'a (2)', 'b', 'in/c'], []])
    await removeFolder(metadata, ownerId, 'in/empty', { ...removal, deletedWith: hex(16) })
    t.strictSame(await trash.empty(ownerId, 9), { entries: 1, files: 0, bytes: 0 })
    await check(t, metadata)
  })

  t.test('all folders of an owner are listed by their ids, some at a time', async t => {
    const { metadata, ownerId, otherId, add, move, folder } = await start(t)
    for (const path of ['b/c', 'a']) await add(path)
    await metadata.folders.add(otherId, 'other', unlimited)
    await move('b', 'a/b')
    const all = (after: number, limit: number) => metadata.folders.listAll(ownerId, { after, limit })
    const [b, c] = await all(0, 2)
    t.strictSame([b, c], [await folder('a/b'), await folder('a/b/c')])
    t.strictSame(await all(Number(c?.id), 2), [await folder('a')])
  })

  t.test('the members of some folders are listed by folder and name, a page that ends in one goes on there', async t => {
    const { metadata: { files, folders }, ownerId, otherId, put, add } = await start(t)
    for (const path of ['b/2', 'b/1', 'a/3', 'a/1', '4']) await put(path)
    const idOf = async (path: string) => (await add(path)).folder.id
    const folderIds = [0, await idOf('b'), await idOf('a'), 2 ** 40]
    for (const path of ['a/y', 'b/z', 'a/x']) await add(path)
    const read = async <T>(list: (after: T | undefined) => Promise<T[]>) => {
      const pages = []
      for (let page = await list(undefined); page.length > 0; page = await list(page.at(-1))) pages.push(page)
      return pages
    }
    const pages = await read<FileRecord>(after => files.listIn(ownerId, { folderIds, after, limit: 2 }))
    t.strictSame(pages.map(page => page.map(({ name }) => name)), [['4', 'b/1'], ['b/2', 'a/1'], ['a/3']])
    const folderPages = await read<FolderRecord>(after => folders.listIn(ownerId, { folderIds, after, limit: 2 }))
    t.strictSame(folderPages.map(page => page.map(({ path }) => path)), [['a', 'b'], ['b/z', 'a/x'], ['a/y']])
    t.strictSame(await files.listIn(otherId, { folderIds, after: undefined, limit: 2 }), [], 'of the owner only')
  })

  t.test('a move or deletion is of the file or folder with an id, else it is none', async t => {
    const { metadata, ownerId, put, add, folder, names } = await start(t)
    const { files, folders, ids } = metadata
    const [file, other] = [await put('a/1'), await put('2')]
    const { folder: { id } } = await add('b')
    const removal = { limit: 9, isPermanent: false, deletedWith: hex(16) }
    const actsBy = async (id: string, folderId: string) => {
      const codes: string[] = []
      for (const act of [
        () => files.rename(ownerId, 'a/1', 'a/1', unlimited, { id }),
        () => files.rename(ownerId, 'a/1', 'b/1', unlimited, { id }),
        () => files.remove(ownerId, 'b/1', { precondition: { id }, isPermanent: false }),
        () => folders.move(ownerId, 'b', 'b', unlimited, { id: folderId }),
        () => folders.move(ownerId, 'b', 'c', unlimited, { id: folderId }),
        () => folders.remove(ownerId, 'c', { id: folderId }),
        () => removeFolder(metadata, ownerId, 'd', { ...removal, conditions: { id: folderId } })
      ]) codes.push(...Object.keys(await outcomes([act()])))
      return codes
    }
    await add('c')
    await folders.move(ownerId, 'b', 'd', unlimited)
    await folders.move(ownerId, 'c', 'b', unlimited)
    const refused = 'precondition_failed'
    const byOthers = [refused, refused, 'not_found', refused, refused, 'not_found', 'ok']
    t.strictSame(await actsBy(ids.file(other.id), String(ids.folder(id))), byOthers, 'another one is there')
    t.strictSame(await names(), ['2', 'a/1'])
    const right = ids.folder(Number((await folder('b'))?.id))
    t.strictSame(await actsBy(ids.file(file.id), String(right)), [...Array(6).fill('ok'), 'not_found'])
    t.strictSame(await names(), ['2'])
  })

  t.test('a new name must be in the folder with an id, and no parents are made', async t => {
    const { metadata, ownerId, put, add, folder, names } = await start(t)
    const { files, folders, ids, uploads } = metadata
    await put('f')
    const { folder: { id } } = await add('a')
    await add('b')
    const upload = { ...newUpload(ownerId, 'a/u'), precondition: { folderId: String(ids.folder(id)) } }
    await uploads.add(upload, { maxUploads: 9, quota: unlimited })
    const codesOf = async (folderId: string) => {
      const codes: string[] = []
      for (const act of [
        () => files.put(newFile(ownerId, 'a/1'), unlimited, { folderId }),
        () => files.rename(ownerId, 'f', 'a/2', unlimited, { folderId }),
        () => folders.add(ownerId, 'a/c', unlimited, { folderId }),
        () => folders.add(ownerId, 'a/c', unlimited, { folderId }),
        () => folders.move(ownerId, 'b', 'a/d', unlimited, { folderId }),
        () => uploads.add({ ...newUpload(ownerId, 'a/v'), precondition: { folderId } }, { maxUploads: 9, quota: unlimited })
      ]) codes.push(...Object.keys(await outcomes([act()])))
      return codes
    }
    const refused = Array(6).fill('precondition_failed')
    await folders.move(ownerId, 'a', 'e', unlimited)
    t.strictSame(await codesOf(String(ids.folder(id))), refused, 'its parent is gone')
    const change = changeOf(await uploads.find(ownerId, upload.id) as UploadRecord)
    t.equal(await uploads.finish(change, { sha256: hex(32), quota: unlimited }), undefined)
    t.equal(await folder('a'), undefined)
    await add('a')
    t.strictSame(await codesOf(String(ids.folder(id))), refused, 'another one is there')
    t.strictSame(await codesOf('root'), refused)
    t.strictSame(await codesOf(String(ids.folder(Number((await folder('a'))?.id)))), Array(6).fill('ok'))
    t.strictSame(await names(), ['a/1', 'a/2'])
    t.equal((await files.put(newFile(ownerId, 'g'), unlimited, { folderId: 'root' })).isNew, true)
  })

  t.test('of two that want one name, or each other, one wins', async t => {
    const { metadata, put, add, move, rename } = await start(t)
    for (const path of ['a', 'b', 'c/d', 'e']) await add(path)
    await put('f')
    t.strictSame(await outcomes([move('a', 'x'), move('b', 'x'), rename('f', 'x'), put('x', { size: 1 })]), { ok: 1, name_taken: 3 })
    // The second makes the parent that the first took away.
    t.strictSame(await outcomes([move('c', 'e/c'), move('e', 'c/e')]), { ok: 2 })
    await check(t, metadata)
  })
}

/** All files, read page by page. */
async function walk (
  metadata: Metadata, ownerId: number, { limit = 100, order = 'name' }: { limit?: number, order?: 'name' | '-name' } = {}
) {
  const seen = []
  for (let after: FilePosition | undefined; ;) {
    const page = await metadata.files.list(ownerId, { order, folder: undefined, prefix: undefined, limit, after })
    seen.push(...page)
    const last = page.at(-1)
    if (last === undefined) return seen
    after = { key: last.name.slice(last.name.lastIndexOf('/') + 1), id: last.folderId }
  }
}

async function check (t: Test, metadata: Metadata): Promise<void> {
  t.strictSame(await metadata.accounts.usageMismatches(), [])
  t.equal(await metadata.deletionCounts.countWrong(), 0)
  t.strictSame(await metadata.folders.listFaults(), [])
}
