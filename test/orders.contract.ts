import type { Test } from 'tap'
import type { FileOrder, FilePosition, FolderOrder } from '#src/metadata/records.ts'
import { newFile, unlimited } from './kit/records.ts'
import type { OpenMetadata } from './kit/reopening.ts'
import { openStory } from './uploads.contract.ts'

/** Names as people sort them. */
const SORTED = [
  ' a', '-', '0', '00', '1', '01 a', '2', '007', '8', '٢', '10', '١٠', '12345678', '123456789', '1234567890',
  '９9999999999',
  'Apple', 'apple', 'apple 2', 'apple 10', 'apple 10a', 'Ärger', 'ärger 2', 'b', 'É', 'file', 'file 2',
  'file 10', 'file2', 'file10', 'ø', 'x2y10', 'x10y2', 'Zebra', 'я2', 'я10'
]

/** The orders of `FileRepository.list` and `FolderRepository.list` in src/metadata, and their columns. */
export function suite (t: Test, open: OpenMetadata): void {
  async function start (t: Test) {
    const story = await openStory(t, open)
    const { metadata: { files, folders }, ownerId } = story
    /** Pages, until one is empty. */
    const all = async <Entry extends { id: number }>(
      list: (after: FilePosition | undefined) => Promise<Entry[]>, keyOf: (entry: Entry) => string | number
    ) => {
      const entries: Entry[] = []
      for (;;) {
        const last = entries.at(-1)
        const page = await list(last && { key: keyOf(last), id: last.id })
        if (page.length === 0) return entries
        entries.push(...page)
      }
    }
    const lastOf = (path: string) => path.slice(path.lastIndexOf('/') + 1)
    return {
      ...story,
      files: async (order: FileOrder, limit: number, folder = '') => (await all(
        after => files.list(ownerId, { order, folder, prefix: undefined, limit, after }),
        ({ name, changedAt }) => order.endsWith('changed') ? changedAt : lastOf(name)
      )).map(({ name }) => name),
      folders: async (order: FolderOrder, limit: number, path = '') => (await all(
        after => folders.list(ownerId, path, { order, limit, after }), ({ path }) => lastOf(path)
      )).map(({ path }) => path)
    }
  }

  t.test('files and folders stand as people sort names, forwards and backwards, the same on pages of every size', async t => {
    const { metadata, ownerId, put, files, folders } = await start(t)
    for (const name of SORTED.toSorted()) await put(name)
    for (const name of SORTED.toSorted()) await metadata.folders.add(ownerId, `f/${name}`, unlimited)
    const sorted = await files('natural', 100)
    t.strictSame(sorted, SORTED)
    for (const limit of [1, 2, 7, 100]) {
      t.strictSame(await files('natural', limit), sorted)
      t.strictSame(await files('-natural', limit), sorted.toReversed())
      t.strictSame(await folders('natural', limit, 'f'), sorted.map(name => `f/${name}`))
      t.strictSame(await folders('-natural', limit, 'f'), sorted.map(name => `f/${name}`).reverse())
      t.strictSame(await folders('name', limit, 'f'), await folders('name', 100, 'f'))
      t.strictSame(await folders('-name', limit, 'f'), (await folders('name', 100, 'f')).reverse())
    }
    await put('f/g/1')
    t.strictSame(await files('natural', 9, 'f/g'), ['f/g/1'])
    await t.rejects(files('natural', 9, 'x'), { code: 'not_found' })
    await t.rejects(folders('-natural', 9, 'x'), { code: 'not_found' })
  })

  t.test('long names that begin alike stand by code point', async t => {
    const { put, files } = await start(t)
    // Each character has 33 bytes in a sort key.
    const names = ['9', '10', 'é'].map(end => '\uFDFA'.repeat(20) + end)
    for (const name of names) await put(name)
    const digits = ['9'.repeat(255), '1'.repeat(254), '0'.repeat(255)]
    for (const name of digits) await put(name)
    t.strictSame(await files('natural', 2), [...digits.toReversed(), ...names.toSorted()])
  })

  t.test('whatever gives a file or folder its name also gives it its place', async t => {
    const { metadata, ownerId, put, rename, files, folders } = await start(t)
    const { trash, sortKeys } = metadata
    for (const name of ['a 2', 'a 10', 'a 9', 'x', 'y/y', 'a 3']) await put(name)
    await put('a 2', { size: 5 })
    await rename('x', 'A 4')
    await rename('y/y', 'a 8')
    await metadata.files.copy(await metadata.files.find(ownerId, 'a 2') as never, newFile(ownerId, 'a 1'), unlimited, {})
    await metadata.files.remove(ownerId, 'a 3', { precondition: {}, isPermanent: false })
    const [deleted] = await trash.list(ownerId, { after: undefined, limit: 9 })
    await trash.restore(ownerId, String(deleted?.id), { name: 'a 7', quota: unlimited })
    t.strictSame(await files('natural', 3), ['a 1', 'a 2', 'A 4', 'a 7', 'a 8', 'a 9', 'a 10'])
    await metadata.folders.add(ownerId, 'a 5/b 10/c', unlimited)
    await metadata.folders.add(ownerId, 'z', unlimited)
    await metadata.folders.move(ownerId, 'z', 'a 5/b 2', unlimited)
    await metadata.folders.copy(ownerId, 'a 5/b 2', 'a 5/b 1', unlimited)
    await metadata.folders.move(ownerId, 'y', 'a 5/b 3', unlimited)
    t.strictSame(await folders('natural', 2, 'a 5'), ['a 5/b 1', 'a 5/b 2', 'a 5/b 3', 'a 5/b 10'])
    t.equal(await sortKeys.countWrong(), 0)
    await sortKeys.repair()
    await sortKeys.fill()
  })

  t.test('files stand by the time of their content: the one of the client, or when it was stored', async t => {
    const { metadata, ownerId, clock, put, rename, files } = await start(t)
    const now = clock.now()
    for (const [name, modifiedAt] of [['a', null], ['b', now - 500], ['c', null], ['d', now - 500], ['e', 7]] as const) {
      clock.set(clock.now() + 1)
      await put(name, { modifiedAt })
    }
    clock.set(now + 100)
    await rename('a', 'z')
    for (const limit of [1, 2, 9]) {
      t.strictSame(await files('changed', limit), ['e', 'b', 'd', 'z', 'c'], 'a rename changes no content')
      t.strictSame(await files('-changed', limit), ['c', 'z', 'd', 'b', 'e'])
    }
    await put('e', { size: 3 })
    await metadata.properties.change(ownerId, 'b', { properties: [], modifiedAt: 5 }, {})
    t.equal((await metadata.files.find(ownerId, 'e'))?.changedAt, now + 100)
    t.strictSame(await files('changed', 2), ['b', 'd', 'z', 'c', 'e'], 'and new content or a new time does')
  })
}
