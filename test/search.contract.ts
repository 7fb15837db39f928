import type { Test } from 'tap'
import { fold } from '#src/metadata/name-scan.ts'
import { fileOrders, type FileOrder, type FilePosition, type FileRecord, type FileSearch } from '#src/metadata/records.ts'
import { createRandom } from './kit/random.ts'
import { newFile, outcomes, unlimited } from './kit/records.ts'
import type { OpenMetadata } from './kit/reopening.ts'
import { openStory } from './uploads.contract.ts'

const { signal } = new AbortController()

const all: Omit<FileSearch, 'contains'> = { order: 'name', folder: undefined, limit: 1000, after: undefined, signal }

/** What has no ASCII form, is a wildcard of SQL, or is written in several ways. */
const PIECES = ['a', 'A', 'b', 'ä', 'Å', 'é', 'ß', 'SS', 'ł', 'ø', '%', '_', '-', 'ﬁ', 'Σ', 'ς', 'я', 'Я', '日', '😀', '\uFFFD', '٣', 'İ', 'ı', '1']

const lastSegment = (name: string) => name.slice(name.lastIndexOf('/') + 1)

/** Code point order, which is that of the bytes in UTF-8. */
const byCodePoint = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))

const byKey: Record<FileOrder, (a: FileRecord, b: FileRecord) => number> = {
  name: (a, b) => a.folderId - b.folderId || byCodePoint(lastSegment(a.name), lastSegment(b.name)),
  '-name': (a, b) => Number(a.folderId > 0) - Number(b.folderId > 0) || b.folderId - a.folderId || byCodePoint(lastSegment(b.name), lastSegment(a.name)),
  newest: (a, b) => b.createdAt - a.createdAt || b.id - a.id,
  oldest: (a, b) => a.createdAt - b.createdAt || a.id - b.id,
  largest: (a, b) => b.size - a.size || b.id - a.id,
  smallest: (a, b) => a.size - b.size || a.id - b.id
}

/** The search of `FileRepository` in src/metadata/files.ts. */
export function suite (t: Test, open: OpenMetadata): void {
  async function start (t: Test) {
    const story = await openStory(t, open)
    const { metadata: { files }, ownerId } = story
    const search = (search: Partial<FileSearch> & { contains: string }) => files.search(ownerId, { ...all, ...search })
    return {
      ...story,
      search,
      put: async (...names: string[]) => {
        for (const name of names) await files.put(newFile(ownerId, name), unlimited, {})
      },
      /** The names of all that is found, page by page. */
      async names (query: Partial<FileSearch> & { contains: string }): Promise<string[]> {
        const names: string[] = []
        let after: FilePosition | undefined
        do {
          const { files, next } = await search({ ...query, after })
          names.push(...files.map(({ name }) => name))
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
    t.strictSame(await outcomes([...missing, metadata.files.search(otherId, { ...all, contains: 'lake', folder: 'lake' })]), { not_found: 3 })
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
    for (let round = 0; round < 42; round++) {
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
      const whole = (await search({ contains: 'a', order })).files.map(({ name }) => name)
      t.equal(whole.length, 5)
      for (let limit = 1; limit < 5; limit++) {
        const page = await search({ contains: 'a', order, limit })
        t.strictSame(page.files.map(({ name }) => name), whole.slice(0, limit))
        const last = whole[limit - 1] as string
        await files.rename(ownerId, last, 'z', unlimited)
        const { files: rest, next } = await search({ contains: 'a', order, after: page.next })
        t.strictSame([rest.map(({ name }) => name), next], [whole.slice(limit), undefined], `${order}, ${limit} at a time`)
        await files.rename(ownerId, 'z', last, unlimited)
      }
      t.equal((await search({ contains: 'a', order, limit: 5 })).next, undefined, 'a page that is just full is the last one')
    }
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
      metadata.files.search(otherId, { ...all, contains: 'a' })
    ].map(async found => found.then(({ files }) => files?.length))), [2, undefined, 1, 0, 0, 0])
  })
}
