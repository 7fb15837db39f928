import type { Test } from 'tap'
import type { ChangePosition } from '#src/metadata/change-records.ts'
import type { EntryChange } from '#src/metadata/conditions.ts'
import type { NewLock } from '#src/metadata/lock-records.ts'
import {
  fileOrders, type FileOrder, type FileRecord, folderOrders, type FolderOrder, type FolderRecord
} from '#src/metadata/records.ts'
import { endsOf, hex, newFile, unlimited } from './kit/records.ts'
import type { OpenMetadata } from './kit/reopening.ts'
import { openStory } from './uploads.contract.ts'

const lastOf = (path: string) => path.slice(path.lastIndexOf('/') + 1)
const byFolder = ({ name, folderId: id }: FileRecord) => ({ key: lastOf(name), id })
const byTime = ({ createdAt: key, id }: FileRecord) => ({ key, id })
const byChange = ({ changedAt: key, id }: FileRecord) => ({ key, id })
const bySize = ({ size: key, id }: FileRecord) => ({ key, id })

const positions: Record<FileOrder, (file: FileRecord) => { key: string | number, id: number }> = {
  name: byFolder,
  '-name': byFolder,
  natural: byFolder,
  '-natural': byFolder,
  newest: byTime,
  oldest: byTime,
  changed: byChange,
  '-changed': byChange,
  largest: bySize,
  smallest: bySize
}

/** Stars of files and folders in src/metadata. */
export function suite (t: Test, open: OpenMetadata): void {
  async function start (t: Test) {
    const story = await openStory(t, open)
    const { metadata: { files, folders, changes }, ownerId } = story
    let read: ChangePosition | undefined
    return {
      ...story,
      star: (name: string, isStarred = true, change: EntryChange = {}) =>
        files.rename(ownerId, name, name, unlimited, { ...change, isStarred }),
      starFolder: (path: string, isStarred = true, change: EntryChange = {}) =>
        folders.move(ownerId, path, path, unlimited, { ...change, isStarred }),
      /** The names of the files that have a star, read in pages. */
      async starred (order: FileOrder = 'name', { folder, limit = 100 }: { folder?: string, limit?: number } = {}) {
        const found: FileRecord[] = []
        for (;;) {
          const last = found.at(-1)
          const page = await files.listStarred(ownerId, { order, folder, limit, after: last && positions[order](last) })
          if (page.length === 0) return found.map(({ name }) => name)
          found.push(...page)
        }
      },
      async starredFolders (order: FolderOrder = 'name', { folder, limit = 100 }: { folder?: string, limit?: number } = {}) {
        const found: FolderRecord[] = []
        for (;;) {
          const last = found.at(-1)
          const after = last && { key: lastOf(last.path), id: last.parentId }
          const page = await folders.listStarred(ownerId, { order, folder, limit, after })
          if (page.length === 0) return found.map(({ path }) => path)
          found.push(...page)
        }
      },
      /** What an act adds to the feed. */
      async since (act: () => Promise<unknown>) {
        const list = (after: ChangePosition | undefined) => changes.list(ownerId, { after, limit: 1000 })
        read ??= (await list(undefined)).next
        await act()
        const page = await list(read)
        read = page.next
        return page.changes.map(({ kind, name }) => `${kind} ${name}`)
      }
    }
  }

  t.test('a star changes nothing else, is recorded once, and follows a file through all that keeps its id', async t => {
    const { metadata, ownerId, clock, put, star, rename, move, remove, trash, starred, since } = await start(t)
    const file = await put('a/b', { modifiedAt: 5 })
    clock.advance(1000)
    t.equal(file.isStarred, false)
    t.strictSame(await since(async () => t.strictSame(await star('a/b'), { ...file, isStarred: true })), ['starred a/b'])
    t.strictSame(await since(() => star('a/b')), [], 'it has it already')
    t.strictSame(await metadata.files.find(ownerId, 'a/b'), { ...file, isStarred: true })
    t.match(await put('a/b', { size: 7 }), { id: file.id, isStarred: true }, 'new content')
    const [version] = await metadata.versions.list(ownerId, file.id, { after: undefined, limit: 9 })
    t.notOk(version !== undefined && 'isStarred' in version)
    t.match(await metadata.versions.restore(ownerId, 'a/b', String(version?.id), { quota: unlimited, precondition: {} }), { isStarred: true })
    t.match(await rename('a/b', 'a/c'), { isStarred: true })
    await move('a', 'd/e')
    t.strictSame(await starred(), ['d/e/c'])
    await remove('d/e/c')
    t.strictSame(await starred(), [])
    await metadata.trash.restore(ownerId, String((await trash())[0]?.id), { quota: unlimited, name: 'back' })
    t.match(await metadata.files.find(ownerId, 'back'), { id: file.id, isStarred: true })
    t.strictSame(await since(() => star('back', false)), [
      'stored a/b', 'stored a/b', 'moved a/c', 'folder_made d', 'folder_moved d/e', 'deleted d/e/c', 'stored back', 'starred back'
    ])
    t.strictSame([await starred(), await since(() => star('back', false))], [[], []])
  })

  t.test('a star and another name are one change: whole, or nothing', async t => {
    const story = await start(t)
    const { metadata, ownerId, otherId, put, star, starFolder, move, rename, starred, starredFolders, since } = story
    for (const name of ['a', 'taken', 'f/g']) await put(name)
    await since(async () => {})
    t.strictSame(await since(() => rename('a', 'b', { isStarred: true })), ['moved b'])
    t.strictSame(await since(() => move('f', 'h', { isStarred: true })), ['folder_moved h'])
    t.strictSame([await starred(), await starredFolders()], [['b'], ['h']])
    t.strictSame(await since(() => endsOf([
      rename('b', 'taken', { isStarred: false }),
      rename('b', 'taken/c', { isStarred: false }),
      star('b', false, { 'if-match': '"other"' }),
      star('b', false, { id: 'other' }),
      star('b', false, { folderId: 'other' }),
      star('nothing'),
      move('h', 'taken', { isStarred: false }),
      starFolder('h', false, { id: 'other' }),
      starFolder('h', false, { folderId: 'other' }),
      starFolder('nothing')
    ]).then(ends => t.strictSame(ends, [
      'name_taken', 'name_taken', 'precondition_failed', 'precondition_failed', 'precondition_failed', 'not_found',
      'name_taken', 'precondition_failed', 'precondition_failed', 'not_found'
    ]))), [])
    t.strictSame(await endsOf([
      metadata.files.rename(otherId, 'b', 'b', unlimited, { isStarred: false }),
      metadata.folders.move(otherId, 'h', 'h', unlimited, { isStarred: false }),
      metadata.folders.listStarred(otherId, { order: 'name', folder: 'h', limit: 9, after: undefined }),
      metadata.files.listStarred(otherId, { order: 'name', folder: 'h', limit: 9, after: undefined })
    ]), ['not_found', 'not_found', 'not_found', 'not_found'])
    t.strictSame(await metadata.files.listStarred(otherId, { order: 'name', folder: undefined, limit: 9, after: undefined }), [])
    t.strictSame([await starred(), await starredFolders()], [['b'], ['h']])
    t.match(await rename('b', 'c'), { isStarred: true })
    t.match(await move('h', 'i'), { isStarred: true })
    await metadata.files.rename(ownerId, 'c', 'd', unlimited, { isStarred: false })
    t.strictSame(await starred(), [])
  })

  t.test('a copy has no star; a file that is overwritten keeps it, and gets that of the file that is moved there', async t => {
    const { metadata, ownerId, put, star, starFolder, rename, move, starred, starredFolders, trash } = await start(t)
    for (const name of ['a', 'b', 'c', 'd', 'f/x']) await put(name)
    await star('a')
    await starFolder('f')
    const source = await metadata.files.find(ownerId, 'a')
    const copyTo = (name: string) => metadata.files.copy(
      { name: 'a', blobId: String(source?.blobId) }, newFile(ownerId, name), unlimited, { overwrites: true }
    )
    t.match(await copyTo('copy'), { file: { isStarred: false } })
    t.match(await copyTo('b'), { file: { isStarred: false } })
    t.match(await metadata.folders.copy(ownerId, 'f', 'g', unlimited), { isStarred: false })
    t.strictSame([await starred(), await starredFolders()], [['a'], ['f']])
    t.match(await rename('a', 'c', { overwrites: true }), { name: 'c', isStarred: true }, 'moved onto one without')
    t.match(await rename('d', 'c', { overwrites: true }), { name: 'c', isStarred: true }, 'and the other way round')
    t.match(await move('f', 'b', { overwrites: true }), { path: 'b', isStarred: true })
    t.strictSame([await starred(), await starredFolders()], [['c'], ['b']])
    await metadata.trash.restore(ownerId, String((await trash())[0]?.id), { quota: unlimited, name: 'old' })
    t.strictSame(await starred(), ['c'])
  })

  t.test('what a folder has comes back from the trash with its stars, also into a folder that is there again', async t => {
    const { metadata, ownerId, put, star, starFolder, removeTree, starred, starredFolders, since } = await start(t)
    for (const name of ['f/g/1', 'f/2', 'f/h/3']) await put(name)
    await metadata.folders.add(ownerId, 'f/empty', unlimited)
    await star('f/g/1')
    for (const path of ['f', 'f/g', 'f/empty']) await starFolder(path)
    const deletedWith = hex(16)
    for (const again of [[], ['f/g']]) {
      await removeTree('f', { deletedWith })
      t.strictSame([await starred(), await starredFolders()], [[], []])
      for (const path of again) await metadata.folders.add(ownerId, path, unlimited)
      const all = { quota: unlimited, after: undefined, limit: 99 }
      const changes = await since(() => metadata.trash.restoreDeletion(ownerId, deletedWith, all))
      t.strictSame(changes.filter(words => words.startsWith('folder_starred')).sort(), ['folder_starred f', 'folder_starred f/empty', 'folder_starred f/g'])
      t.strictSame([await starred(), (await starredFolders()).sort()], [['f/g/1'], ['f', 'f/empty', 'f/g']])
    }
    await removeTree('f', { deletedWith, isPermanent: true })
    await put('f/g/1')
    t.strictSame([await starred(), await starredFolders()], [[], []], 'not after a deletion for good')
  })

  t.test('no lock refuses a star alone, and each refuses it with another name', async t => {
    const { metadata, ownerId, put, star, starFolder, rename, move, starred, starredFolders } = await start(t)
    await put('f/a')
    const lock = (path: string): NewLock => ({ token: `urn:uuid:${hex(16)}`, path, isDeep: true, isExclusive: true, owner: null, seconds: 600 })
    await metadata.locks.add(ownerId, lock('f'), {})
    await star('f/a')
    await starFolder('f')
    t.strictSame(await endsOf([
      rename('f/a', 'b', { isStarred: false }), rename('f/a', 'f/b', { isStarred: false }), move('f', 'g', { isStarred: false })
    ]), ['file_locked', 'file_locked', 'file_locked'])
    t.strictSame([await starred(), await starredFolders()], [['f/a'], ['f']])
  })

  t.test('what has a star is listed in every order, everywhere or in a folder, the same on pages of every size', async t => {
    const { metadata, ownerId, clock, put, star, starFolder, starred, starredFolders } = await start(t)
    const sizes: Record<string, number> = { 'b 10': 4, 'b 2': 3, 'f/b 2': 3, 'f/a': 9, 'f/g/b 2': 1, 'h/z': 2 }
    for (const [index, [name, size]] of Object.entries(sizes).entries()) {
      if (index % 2 === 0) clock.advance(1000)
      await put(name, { size })
      await put(`${name} not`)
      await star(name)
    }
    const paths = ['f', 'f/g', 'f/c 10', 'f/c 2', 'h', 'h/c 2']
    for (const path of paths) {
      await metadata.folders.add(ownerId, path, unlimited)
      await metadata.folders.add(ownerId, `${path} not`, unlimited)
      await starFolder(path)
    }
    const names = ['b 10', 'b 2', 'f/a', 'f/b 2', 'f/g/b 2', 'h/z']
    const natural = ['f/a', 'b 2', 'f/b 2', 'f/g/b 2', 'b 10', 'h/z']
    const ascending: Partial<Record<FileOrder, string[]>> = {
      name: names,
      natural,
      oldest: Object.keys(sizes),
      changed: Object.keys(sizes),
      smallest: ['f/g/b 2', 'h/z', 'b 2', 'f/b 2', 'b 10', 'f/a']
    }
    const reverse: Partial<Record<FileOrder, FileOrder>> = {
      '-name': 'name', '-natural': 'natural', newest: 'oldest', '-changed': 'changed', largest: 'smallest'
    }
    for (const order of fileOrders) {
      const expected = ascending[order] ?? (ascending[reverse[order] ?? 'name'] ?? []).toReversed()
      for (const limit of [1, 2, 5, 6, 100]) t.strictSame(await starred(order, { limit }), expected, `${order}, pages of ${limit}`)
      for (const limit of [1, 9]) {
        t.strictSame(await starred(order, { folder: 'f', limit }), expected.filter(name => /^f\/[^/]+$/.test(name)))
        t.strictSame(await starred(order, { folder: '', limit }), expected.filter(name => !name.includes('/')))
      }
    }
    const folders = ['f', 'h', 'f/c 10', 'f/c 2', 'f/g', 'h/c 2']
    const naturally = ['f/c 2', 'h/c 2', 'f/c 10', 'f', 'f/g', 'h']
    for (const order of folderOrders) {
      const ascending = order.endsWith('natural') ? naturally : folders
      const expected = order.startsWith('-') ? ascending.toReversed() : ascending
      for (const limit of [1, 2, 6, 100]) t.strictSame(await starredFolders(order, { limit }), expected, `${order}, pages of ${limit}`)
      t.strictSame(await starredFolders(order, { folder: 'f', limit: 2 }), expected.filter(name => name.startsWith('f/')))
      t.strictSame(await starredFolders(order, { folder: '' }), expected.filter(name => !name.includes('/')))
    }
    await t.rejects(starred('name', { folder: 'x' }), { code: 'not_found' })
    await t.rejects(starredFolders('name', { folder: 'x' }), { code: 'not_found' })
  })

  t.test('of a star and a rename at once both are done, or the star finds no file; and stars outlive a restart', async t => {
    const { ownerId, put, star, rename, reopen } = await start(t)
    for (const name of ['a', 'b']) await put(name)
    await star('b')
    const [starring, renaming] = await endsOf([star('a'), rename('a', 'c')])
    t.equal(renaming, 'ok')
    const { files } = await reopen()
    const found = await files.listStarred(ownerId, { order: 'name', folder: undefined, limit: 9, after: undefined })
    t.strictSame(found.map(({ name }) => name), starring === 'ok' ? ['b', 'c'] : ['b'])
  })
}
