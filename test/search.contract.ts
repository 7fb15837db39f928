import type { Test } from 'tap'
import { fold, sortKeyOf } from '#src/metadata/paths.ts'
import { fileOrders, type FileOrder, type FilePosition, type FileRecord, type FileSearch, type FolderSearch } from '#src/metadata/records.ts'
import { createRandom } from './kit/random.ts'
import { newFile, outcomes, unlimited } from './kit/records.ts'
import type { OpenMetadata } from './kit/reopening.ts'
import { openStory } from './uploads.contract.ts'

const { signal } = new AbortController()

const all = { order: 'name', folder: undefined, isBelow: false, limit: 1000, after: undefined, signal } satisfies Partial<FileSearch>

/** A search for one text, or for `texts`. */
type Query = Partial<FileSearch> & { contains: string }

/** What has no ASCII form, is a wildcard of SQL, or is written in several ways. */
const PIECES = ['a', 'A', 'b', 'ä', 'Å', 'é', 'ß', 'SS', 'ł', 'ø', '%', '_', '-', 'ﬁ', 'Σ', 'ς', 'я', 'Я', '日', '😀', '\uFFFD', '٣', 'İ', 'ı', '1']

const lastSegment = (name: string) => name.slice(name.lastIndexOf('/') + 1)

/** Code point order, which is that of the bytes in UTF-8. */
const byCodePoint = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))

const naturalKey = ({ name }: FileRecord) => `${sortKeyOf(lastSegment(name))}\0${lastSegment(name)}`

const byKey: Record<FileOrder, (a: FileRecord, b: FileRecord) => number> = {
  name: (a, b) => a.folderId - b.folderId || byCodePoint(lastSegment(a.name), lastSegment(b.name)),
  '-name': (a, b) => Number(a.folderId > 0) - Number(b.folderId > 0) || b.folderId - a.folderId || byCodePoint(lastSegment(b.name), lastSegment(a.name)),
  natural: (a, b) => byCodePoint(naturalKey(a), naturalKey(b)) || a.id - b.id,
  '-natural': (a, b) => byKey.natural(b, a),
  newest: (a, b) => b.createdAt - a.createdAt || b.id - a.id,
  oldest: (a, b) => a.createdAt - b.createdAt || a.id - b.id,
  changed: (a, b) => a.changedAt - b.changedAt || a.id - b.id,
  '-changed': (a, b) => b.changedAt - a.changedAt || b.id - a.id,
  largest: (a, b) => b.size - a.size || b.id - a.id,
  smallest: (a, b) => a.size - b.size || a.id - b.id
}

/** The search of `FileRepository` in src/metadata/files.ts. */
export function suite (t: Test, open: OpenMetadata): void {
  async function start (t: Test) {
    const story = await openStory(t, open)
    const { metadata: { files }, ownerId } = story
    const search = ({ contains, ...search }: Query) => files.search(ownerId, { ...all, texts: [contains], ...search })
    return {
      ...story,
      search,
      put: async (...names: string[]) => {
        for (const name of names) await files.put(newFile(ownerId, name), unlimited, {})
      },
      /** The names of all that is found, page by page. */
      async names (query: Query): Promise<string[]> {
        const names: string[] = []
        let after: FilePosition | undefined
        do {
          const { entries, next } = await search({ ...query, after })
          names.push(...entries.map(({ name }) => name))
          after = next
        } while (after !== undefined)
        return names
      }
    }
  }

  t.test('a search finds what contains the text, whatever the case, accents and form', async t => {
    const { put, names } = await start(t)
    const found: [text: string, name: string][] = [
      ['lake', 'photo-lake.jpg'], ['LAKE.J', 'photo-lake.jpg'], ['strasse', 'Straße'], ['STRASSE', 'Straße'], ['straße', 'Straße'],
      ['Lodz', 'Łódź'], ['łÓDŹ', 'Łódź'], ['ωραιος', 'ΩΡΑΊΟΣ'], ['ΩΡΑΙΟΣ', 'ωραίος'], ['file', 'ﬁle'], ['istanbul', 'İstanbul'],
      ['isik', 'ışık'], ['smorrebrod', 'Smørrebrød'], ['aether', 'Æther'], ['coeur', 'cœur'], ['thor', 'Þór'], ['dakovo', 'Đakovo'],
      ['ПРИВЕТ', 'привет.txt'], ['1', '①'], ['abc', 'ＡＢＣ'], ['日', '今日'], ['가', '각'], ['e\u0301', 'E'], ['STRAẞE', 'strasse']
    ]
    await put(...new Set(found.map(([, name]) => name)))
    for (const [text, name] of found) t.ok((await names({ contains: text })).includes(name), `${text} finds ${name}`)
    for (const text of ['lakes', 'str sse', 'o-l ke', 'Ж', '😀', '\u{10FFFF}', 'か', '/', '\\']) t.strictSame(await names({ contains: text }), [], text)
  })

  t.test('what is a wildcard of SQL stands for itself', async t => {
    const { put, names } = await start(t)
    await put('100%', '100 x', 'a_b', 'a-b', 'a\'b"', '＼', 'é%')
    const expected: Record<string, string[]> = {
      '0%': ['100%'], '%': ['100%', 'é%'], _: ['a_b'], a_b: ['a_b'], '\'b"': ['a\'b"'], '\\': ['＼'], '\\%': [], '%%': [], '?': [], '*': [], '.*': []
    }
    for (const [text, found] of Object.entries(expected)) t.strictSame(await names({ contains: text }), found, text)
  })

  t.test('only the last segment of a name is compared, in all folders or in one', async t => {
    const { put, names, metadata, ownerId, otherId } = await start(t)
    await put('lake/a', 'lake/lake 2', 'lake/deep/lake 3', 'lake 1', 'z')
    await metadata.files.put(newFile(otherId, 'lake 4'), unlimited, {})
    const found = ['lake 1', 'lake/lake 2', 'lake/deep/lake 3']
    for (const order of ['name', 'oldest', 'smallest'] as const) {
      t.strictSame((await names({ contains: 'lake', order })).sort(), found.toSorted(), order)
      for (const [folder, name] of [['', 'lake 1'], ['lake', 'lake/lake 2'], ['lake/deep', 'lake/deep/lake 3']] as const) {
        t.strictSame(await names({ contains: 'lake', order, folder }), [name], `${order} in ${folder}`)
      }
    }
    t.strictSame(await names({ contains: 'lake' }), found, 'folder after folder')
    t.strictSame(await names({ contains: 'lake/' }), [])
    t.strictSame(await names({ contains: '\u0301' }), [], 'an accent alone')
    const missing = ['x', 'lake 1'].map(folder => names({ contains: 'lake', folder }))
    t.strictSame(await outcomes([...missing, metadata.files.search(otherId, { ...all, texts: ['lake'], folder: 'lake' })]), { not_found: 3 })
    await metadata.accounts.remove(ownerId, 1)
    t.strictSame(await names({ contains: 'z' }), ['z'], 'until they are deleted')
  })

  t.test('random names are found as a filter in JavaScript finds them, in every order, each exactly once, and in one that is not by name the first ones', async t => {
    const { metadata: { files }, clock, ownerId, names } = await start(t)
    const random = createRandom('search')
    const word = (length: number) => Array.from({ length }, () => random.pick(PIECES)).join('').normalize('NFC')
    const stored = new Map<string, FileRecord>()
    for (let count = 0; count < 250; count++) {
      clock.set(1000 + random.below(20))
      const name = random.pick(['', '', 'xa/', 'xä/', 'xä/xb/']) + word(random.between(1, 6))
      const { file } = await files.put(newFile(ownerId, name, { size: random.below(9) }), unlimited, {})
      stored.set(name, file)
    }
    const folders = [undefined, '', 'xa', 'xä', 'xä/xb']
    for (let round = 0; round < 60; round++) {
      const contains = word(random.between(1, 2))
      const order = fileOrders[round % fileOrders.length] ?? 'name'
      const folder = random.pick(folders)
      const isIn = (name: string) => folder === undefined || name.slice(0, Math.max(name.lastIndexOf('/'), 0)) === folder
      const isFound = (name: string) => isIn(name) && fold(lastSegment(name)).includes(fold(contains))
      const found = Array.from(stored.values()).filter(({ name }) => isFound(name)).sort(byKey[order])
      for (const limit of [random.between(1, 7), 1000]) {
        const all = order.endsWith('name') ? found : found.slice(0, limit)
        t.strictSame(await names({ contains, order, folder, limit }), all.map(({ name }) => name), `${contains} ${order} ${folder} ${limit}`)
      }
    }
  })

  t.test('a page ends at its limit, and the next one begins behind it, also if its last file is gone', async t => {
    const { metadata: { files }, ownerId, put, search } = await start(t)
    await put('a1', 'b', 'a2', 'f/a3', 'f/a4', 'g/a5', 'g/é')
    for (const order of ['name', '-name'] as const) {
      const whole = (await search({ contains: 'a', order })).entries.map(({ name }) => name)
      t.equal(whole.length, 5)
      for (let limit = 1; limit < 5; limit++) {
        const page = await search({ contains: 'a', order, limit })
        t.strictSame(page.entries.map(({ name }) => name), whole.slice(0, limit))
        const last = whole[limit - 1] as string
        await files.rename(ownerId, last, 'z', unlimited)
        const { entries: rest, next } = await search({ contains: 'a', order, after: page.next })
        t.strictSame([rest.map(({ name }) => name), next], [whole.slice(limit), undefined], `${order}, ${limit} at a time`)
        await files.rename(ownerId, 'z', last, unlimited)
      }
      t.equal((await search({ contains: 'a', order, limit: 5 })).next, undefined, 'a page that is just full is the last one')
    }
  })

  t.test('all words are found in any order, and no name that lacks one', async t => {
    const { put, names } = await start(t)
    await put('Report 2026 für Łódź.pdf', '2026 report.pdf', 'report.pdf', 'f/LODZ report 2026', 'a%b', 'a')
    const found: [texts: string[], names: string[]][] = [
      [['report', '2026'], ['2026 report.pdf', 'Report 2026 für Łódź.pdf', 'f/LODZ report 2026']],
      [['2026', 'REPÓRT', 'lodz'], ['Report 2026 für Łódź.pdf', 'f/LODZ report 2026']],
      [['report', '2026', 'x'], []],
      [['%', 'a'], ['a%b']],
      [['a', '\u0301'], []],
      [Array.from('report.pdf'), ['2026 report.pdf', 'Report 2026 für Łódź.pdf', 'report.pdf']]
    ]
    for (const [texts, expected] of found) t.strictSame(await names({ contains: '', texts }), expected, texts.join())
  })

  t.test('a search below a folder looks there and in all folders below, and nowhere else', async t => {
    const { put, names, metadata: { folders }, ownerId } = await start(t)
    await put('a1', 'f/a2', 'f/g/a3', 'f/g/h/a4', 'f/g-/a5', 'f-/a6', 'f0/a7', 'e/a8', 'f/é/A9')
    await folders.add(ownerId, 'f/empty/e', unlimited)
    const below = ['f/a2', 'f/g/a3', 'f/g-/a5', 'f/g/h/a4', 'f/é/A9']
    const search = (query: Partial<Query>) => names({ contains: 'a', folder: 'f', isBelow: true, ...query })
    t.strictSame((await search({})).sort(), below.toSorted())
    for (let limit = 1; limit < 6; limit++) {
      t.strictSame(await search({ limit }), await search({}), `${limit} at a time`)
      for (const order of ['-name', 'natural', 'newest'] as const) {
        t.strictSame(await search({ order, limit }), (await search({ order })).slice(0, limit))
      }
    }
    t.strictSame(await search({ order: 'natural' }), ['f/a2', 'f/g/a3', 'f/g/h/a4', 'f/g-/a5', 'f/é/A9'])
    t.strictSame(await search({ order: '-name' }), ['f/g-/a5', 'f/g/h/a4', 'f/g/a3', 'f/a2', 'f/é/A9'])
    t.strictSame(await search({ folder: 'f/g' }), ['f/g/a3', 'f/g/h/a4'])
    t.strictSame(await search({ contains: '\u0301' }), [])
    await t.rejects(search({ folder: 'x' }), { code: 'not_found' })
  })

  t.test('a search below goes on behind a file or a folder that is gone', async t => {
    const { put, search, metadata: { files, folders }, ownerId } = await start(t)
    await put('f/g/1', 'f/g/2', 'f/h/3', 'f/i/4')
    const next = async (after: FilePosition | undefined) => (await search({ contains: 'f', folder: 'f', isBelow: true, after })).entries
    t.strictSame(await next({ key: 'f/x/1', id: 0 }), [])
    await files.rename(ownerId, 'f/g/1', 'f/g/f1', unlimited)
    await files.rename(ownerId, 'f/h/3', 'f/h/f3', unlimited)
    const first = await search({ contains: 'f', folder: 'f', isBelow: true, limit: 1 })
    t.strictSame([first.entries.map(({ name }) => name), first.next], [['f/g/f1'], { key: 'f/g/f1', id: 0 }])
    await folders.move(ownerId, 'f/g', 'z', unlimited)
    t.strictSame((await next(first.next)).map(({ name }) => name), ['f/h/f3'])
    t.strictSame((await next({ key: 'f/g', id: 1 })).map(({ name }) => name), ['f/h/f3'])
    t.strictSame(await next({ key: 'f/h', id: 1 }), [])
  })

  t.test('folders with many files and folders with few are all searched', async t => {
    const { metadata: { files }, ownerId, search, names } = await start(t)
    const put = async (name: string) => { await files.put(newFile(ownerId, name), unlimited, {}) }
    for (let index = 0; index < 210; index++) await put(`f/b/n${index}`)
    for (let index = 0; index < 205; index++) await put(`f/${index}/n`)
    const below = { contains: 'N', folder: 'f', isBelow: true }
    const all = await names(below)
    t.equal(new Set(all).size, 415)
    t.strictSame(await names({ ...below, limit: 100 }), all)
    t.equal((await search(below)).searched, 415 + 205)
    const signal = AbortSignal.abort()
    t.strictSame((await search({ ...below, signal })).entries, [])
  })

  t.test('a folder with more names than one step reads is searched below, too', async t => {
    const { metadata: { files }, ownerId, names } = await start(t)
    for (let index = 0; index <= 2000; index += 100) {
      const some = Array.from({ length: index < 2000 ? 100 : 1 }, (_, number) => newFile(ownerId, `f/many/n${index + number}`))
      await Promise.all(some.map(file => files.put(file, unlimited, {})))
    }
    t.equal(new Set(await names({ contains: 'n', folder: 'f', isBelow: true })).size, 2001)
  })

  t.test('folders are found as files are', async t => {
    const { metadata: { folders }, ownerId, otherId } = await start(t)
    for (const path of ['Lake 2', 'a/lake 10/deep lake', 'a/Läke 9', 'ab/lake', 'x']) await folders.add(ownerId, path, unlimited)
    await folders.add(otherId, 'lake of bob', unlimited)
    const search = (query: Partial<FolderSearch> = {}) => folders.search(ownerId, { ...all, texts: ['lake'], ...query })
    const names = async (query: Partial<FolderSearch> = {}) => {
      const paths: string[] = []
      for (let after: FilePosition | undefined; ;) {
        const { entries, next } = await search({ ...query, after })
        paths.push(...entries.map(({ path }) => path))
        if (next === undefined) return paths
        after = next
      }
    }
    const everywhere = ['Lake 2', 'a/Läke 9', 'a/lake 10', 'a/lake 10/deep lake', 'ab/lake']
    for (const limit of [1, 2, 5, 1000]) {
      t.strictSame(await names({ limit }), everywhere)
      t.strictSame(await names({ limit, folder: 'a', isBelow: true }), everywhere.slice(1, 4))
      t.strictSame(await names({ limit, folder: 'a' }), everywhere.slice(1, 3))
      t.strictSame(await names({ limit, folder: '' }), ['Lake 2'])
    }
    t.strictSame(await names({ order: 'natural' }), ['a/lake 10/deep lake', 'ab/lake', 'Lake 2', 'a/Läke 9', 'a/lake 10'])
    t.strictSame(await names({ order: '-natural', limit: 2 }), ['a/lake 10', 'a/Läke 9'])
    t.strictSame(await names({ order: '-name', limit: 2 }), ['a/lake 10', 'ab/lake'])
    t.strictSame(await names({ texts: ['deep', 'LAKE'] }), ['a/lake 10/deep lake'])
    t.equal((await search()).searched, 8)
    t.strictSame(await search({ signal: AbortSignal.abort() }), { entries: [], searched: 0, next: undefined })
    await t.rejects(search({ folder: 'nothing' }), { code: 'not_found' })
  })

  t.test('searches of one account run one after another, and one that is not wanted any more ends', async t => {
    const { put, search, metadata, otherId } = await start(t)
    await put('a', 'f/a')
    const ended = AbortSignal.abort()
    t.strictSame(await Promise.all([
      search({ contains: 'a' }),
      search({ contains: 'a', folder: 'x' }).catch(({ code }) => code),
      search({ contains: 'a', order: 'newest', folder: 'f' }),
      search({ contains: 'a', signal: ended }),
      search({ contains: 'a', order: 'newest', signal: ended }),
      metadata.files.search(otherId, { ...all, texts: ['a'] })
    ].map(async found => found.then(({ entries }) => entries?.length))), [2, undefined, 1, 0, 0, 0])
  })
}
