import t from 'tap'
import { accountOf, shareAccount } from './kit/kept-account.ts'
import { signUp, type Answer, type Client } from './kit/server.ts'
import { runSql } from './kit/stores.ts'

const ORDERS = ['name', '-name', 'natural', '-natural', 'newest', 'oldest', 'changed', '-changed', 'largest', 'smallest'] as const

type Query = Record<string, string>

interface Listed { name: string, size: number, type: string, createdAt: string }

const namesIn = ({ json }: Answer): string[] => json.files.map(({ name }: Listed) => name)

/** An account that searches. */
function searcherOf (client: Client, token: string) {
  const account = accountOf(client, token)
  const search = (contains: string, query: Query = {}) => account.send('GET', `/api/files?${new URLSearchParams({ contains, ...query })}`)
  /** The pages of a search. */
  const pages = async (contains: string, query: Query = {}): Promise<string[][]> => {
    const pages = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const answer = await search(contains, { ...query, ...(cursor !== '' && { cursor }) })
      pages.push(namesIn(answer))
      cursor = answer.json.next
    }
    return pages
  }
  const names = async (contains: string, query: Query = {}) => (await pages(contains, query)).flat()
  /** The names of a listing, page by page along its links. */
  const listed = async (path: string): Promise<string[]> => {
    const names: string[] = []
    for (let next: string | undefined = path; next !== undefined;) {
      const { json, headers }: Answer = await account.send('GET', next)
      names.push(...(json.files ?? json.folders).map(({ name }: Listed) => name))
      next = /^<([^>]+)>; rel="next"$/.exec(String(headers.link))?.[1]?.slice(client.url.length)
    }
    return names
  }
  return { ...account, search, pages, names, listed }
}

async function openAccount () {
  const account = await shareAccount()
  return { ...account, ...searcherOf(account.server, account.token) }
}

/** Adds files without bytes to the database: `count` in the root, of which every 10,000th name contains `needle`. */
async function addMany (dataDir: string, ownerId: number, count: number): Promise<void> {
  await runSql(dataDir, `INSERT INTO files (owner_id, name, size, type, sha256, blob_id, created_at, updated_at)
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${count})
    SELECT ${ownerId}, CASE WHEN n % 10000 = 0 THEN 'needle ' ELSE 'photo ' END || substr(cast(1000000 + n AS text), 2), n, 'image/jpeg', '${'0'.repeat(64)}', 'many' || n, n % 1000, n
    FROM numbers`)
}

t.test('a search finds files by a part of their name, whatever the case and accents', async t => {
  const { put, search, names, server, send } = await openAccount()
  await put('photo-lake.jpg', 'bytes')
  for (const name of ['Straße.txt', 'Łódź/ÉTÉ 100%.txt', 'a_b']) await put(name, name)
  const { json, headers } = await search('LAKE')
  t.strictSame(json, { files: [(await send('GET', '/api/files/photo-lake.jpg')).json], next: null, searched: 4 })
  t.match(headers, { 'cache-control': 'no-store', link: undefined })
  t.equal(json.files[0].url, `${server.url}/uploads/photo-lake.jpg`)
  const expected: Record<string, string[]> = {
    STRASSE: ['Straße.txt'],
    éte: ['Łódź/ÉTÉ 100%.txt'],
    '0%': ['Łódź/ÉTÉ 100%.txt'],
    '.TXT': ['Straße.txt', 'Łódź/ÉTÉ 100%.txt'],
    _: ['a_b'],
    lodz: [],
    '\\': [],
    '/': [],
    'Łódź/É': [],
    ' ': ['Łódź/ÉTÉ 100%.txt']
  }
  for (const [text, found] of Object.entries(expected)) t.strictSame(await names(text), found, text)
  t.match(await search('x'.repeat(200)), { status: 200, text: '{"files":[],"next":null,"searched":4}' })
})

t.test('a search is in all folders or in one, in every order', async t => {
  const { put, names } = await openAccount()
  for (const [index, name] of ['b lake', 'f/lake', 'f/g/lakes', 'a lake', 'f/sea'].entries()) await put(name, 'x'.repeat(3 * index % 7))
  const expected: Record<typeof ORDERS[number], string[]> = {
    name: ['a lake', 'b lake', 'f/lake', 'f/g/lakes'],
    '-name': ['b lake', 'a lake', 'f/g/lakes', 'f/lake'],
    natural: ['a lake', 'b lake', 'f/lake', 'f/g/lakes'],
    '-natural': ['f/g/lakes', 'f/lake', 'b lake', 'a lake'],
    newest: ['a lake', 'f/g/lakes', 'f/lake', 'b lake'],
    oldest: ['b lake', 'f/lake', 'f/g/lakes', 'a lake'],
    changed: ['b lake', 'f/lake', 'f/g/lakes', 'a lake'],
    '-changed': ['a lake', 'f/g/lakes', 'f/lake', 'b lake'],
    largest: ['f/g/lakes', 'f/lake', 'a lake', 'b lake'],
    smallest: ['b lake', 'a lake', 'f/lake', 'f/g/lakes']
  }
  for (const order of ORDERS) {
    const [found, inRoot] = [expected[order], expected[order].filter(name => !name.includes('/'))]
    for (const limit of ['1', '2', '3', '4', '1000']) {
      const all = order.endsWith('name') ? found : found.slice(0, Number(limit))
      t.strictSame(await names('Lake', { order, limit }), all, `${order}, ${limit} at a time`)
      for (const folder of ['', '/']) t.strictSame(await names('Lake', { order, limit, folder }), inRoot.slice(0, all.length))
      t.strictSame(await names('Lake', { order, limit, folder: 'f' }), ['f/lake'])
    }
  }
})

t.test('a cursor belongs to one search, and what is no search is refused', async t => {
  const { put, search, server, send } = await openAccount()
  for (const name of ['a1', 'a2', 'f/a3', 'f/a4']) await put(name, '')
  const { json: { next: cursor }, headers } = await search('a', { limit: '1', folder: 'f' })
  const [, link = ''] = /^<([^>]+)>; rel="next"$/.exec(String(headers.link)) ?? []
  t.strictSame(namesIn(await send('GET', link.slice(server.url.length))), ['f/a4'], 'the link leads on')
  const plain = (await send('GET', '/api/files?limit=1&folder=f')).json.next
  const refused: [query: string, field: string][] = [
    ...['contains=a', 'contains=A&folder=f', 'contains=a&folder=', 'contains=a&folder=f&order=-name', 'contains=a4&folder=f', 'folder=f'].map((query): [string, string] => [`${query}&cursor=${cursor}`, 'cursor']),
    [`contains=a&folder=f&cursor=${plain}`, 'cursor'],
    ['contains=', 'contains'],
    ['contains=a&contains=a', 'contains'],
    ...['a&contains=a', '%20', 'a+'.repeat(11), 'x'.repeat(201), 'a%0Ab', 'a&words=b'].map((text): [string, string] => [`words=${text}`, 'words']),
    ...['true', 'true&contains=a', 'yes&words=a'].map((text): [string, string] => [`below=${text}`, 'below']),
    ['prefix=a&words=a', 'prefix'],
    ['prefix=a&order=natural', 'prefix'],
    ['order=Name', 'order'],
    [`words=a4&folder=f&below=true&cursor=${cursor}`, 'cursor'],
    [`contains=${'x'.repeat(201)}`, 'contains'],
    ...['%00', 'a%0Ab', '%C2%85'].map((text): [string, string] => [`contains=${text}`, 'contains']),
    ...['prefix=a', 'prefix=', 'prefix=a&order=-name', 'prefix=b&folder=f'].map((query): [string, string] => [`contains=a&${query}`, 'prefix'])
  ]
  for (const [query, field] of refused) t.match(await send('GET', `/api/files?${query}`), { status: 400, json: { code: 'validation_failed', errors: [{ field }] } }, query)
  for (const order of ORDERS) t.match(await search('a', { order, folder: 'x' }), { status: 404, json: { code: 'not_found' } })
  t.equal((await send('GET', '/api/files?contains=a', { token: 'x' })).status, 401)
})

t.test('files of another account are never found', async t => {
  const { put, server } = await openAccount()
  await put('diary.txt', 'secret')
  await put('f/diary.txt', 'secret')
  const ben = searcherOf(server, (await signUp(server)).token)
  for (const order of ORDERS) t.equal((await ben.search('diary', { order })).text, '{"files":[],"next":null,"searched":0}')
  t.equal((await ben.search('diary', { folder: 'f' })).status, 404)
  await ben.put('diary of ben', '')
  t.strictSame(await ben.names('DIARY'), ['diary of ben'])
})

t.test('a request searches 100,000 names at most, and in an order by name the next one goes on', async t => {
  const { put, search, pages, names, dataDir, id } = await openAccount()
  await put('f/NEEDLE é', '')
  await addMany(dataDir, id, 130_000)
  const needles = Array.from({ length: 13 }, (_, index) => `needle ${String((index + 1) * 10_000).padStart(6, '0')}`)
  const all = [...needles, 'f/NEEDLE é']
  const [first, ...others] = await pages('needle')
  t.strictSame(first, needles)
  t.strictSame(others, [['f/NEEDLE é']])
  t.strictSame(await pages('needle', { limit: '5' }), [all.slice(0, 5), all.slice(5, 10), all.slice(10, 13), all.slice(13)])
  t.strictSame(await names('needle', { order: '-name', limit: '6' }), [...needles.toReversed(), 'f/NEEDLE é'])
  const { searched, next } = (await search('needle')).json
  t.strictSame([searched, (await search('needle', { cursor: next })).json.searched], [100_000, 30_001])
  for (const order of ['newest', 'oldest', 'largest', 'smallest']) {
    const { json } = await search('needle', { order, limit: '7' })
    t.match(json, { files: { length: 7 }, next: null, searched: 100_000 }, order)
  }
  t.strictSame(await pages('needle', { order: 'largest' }), [needles.toReversed()], 'the best of these')
  t.strictSame(await pages('nothing'), [[], []], 'a page can be empty')
  t.strictSame(await pages('nothing', { folder: 'f' }), [[]])
  const many = await names('PHOTO 1', { limit: '1000' })
  t.strictSame(many, many.toSorted())
  t.equal(new Set(many).size, 30_001 - 4, 'each of many')
})

t.test('words are found in any order, in a folder, below it or everywhere', async t => {
  const { put, send, server } = await openAccount()
  for (const name of ['Report 2026.pdf', 'a/2026 report.pdf', 'a/b/REPÓRT of 2026.pdf', 'a/b/report.pdf', 'ab/report 2026']) await put(name, '')
  const found = async (query: Query) => send('GET', `/api/files?${new URLSearchParams({ words: ' 2026  report ', ...query })}`)
  const names = async (query: Query) => namesIn(await found(query))
  const below = ['a/2026 report.pdf', 'a/b/REPÓRT of 2026.pdf']
  t.strictSame((await names({})).sort(), ['Report 2026.pdf', ...below, 'ab/report 2026'])
  t.strictSame((await names({ folder: '/', below: 'true' })).length, 4, 'below the root is everywhere')
  t.strictSame(await names({ folder: '' }), ['Report 2026.pdf'])
  t.strictSame(await names({ folder: 'a', below: 'false' }), ['a/2026 report.pdf'])
  for (const order of ORDERS) t.strictSame((await names({ folder: 'a', below: 'true', order })).sort(), below, order)
  const { json, headers } = await found({ folder: 'a', below: 'true', limit: '1' })
  t.match(json, { files: { length: 1 }, next: /./, searched: 4 })
  const [, link = ''] = /^<([^>]+)>; rel="next"$/.exec(String(headers.link)) ?? []
  t.match((await send('GET', link.slice(server.url.length))).json, { files: [{ name: below[1] }], next: null })
  for (const query of ['words=report&folder=x&below=true', 'words=report&folder=a%2Fb%2Freport.pdf&below=true']) {
    t.match(await send('GET', `/api/files?${query}`), { status: 404, json: { code: 'not_found' } })
  }
  const ben = searcherOf(server, (await signUp(server)).token)
  t.strictSame((await ben.send('GET', '/api/files?words=report')).json, { files: [], next: null, searched: 0 })
  t.equal((await ben.send('GET', '/api/files?words=report&folder=a&below=true')).status, 404)
})

t.test('folders are found and sorted as files are', async t => {
  const { send, listed } = await openAccount()
  for (const name of ['Lake 10', 'lake 9', 'a/Läke 2/x', 'ab/sea']) await send('PUT', `/api/folders/${encodeURIComponent(name)}`)
  const ask = (query: string) => send('GET', `/api/folders?${query}`)
  const lists: Record<string, string[]> = {
    'words=LAKE': ['Lake 10', 'a/Läke 2', 'lake 9'],
    'words=2+lake': ['a/Läke 2'],
    'words=lake&order=natural': ['a/Läke 2', 'lake 9', 'Lake 10'],
    'words=lake&order=-natural': ['Lake 10', 'lake 9', 'a/Läke 2'],
    'words=lake&folder=a': ['a/Läke 2'],
    'words=x&folder=a': [],
    'words=x&folder=a&below=true': ['a/Läke 2/x'],
    'words=lake&folder=&below=true': ['Lake 10', 'a/Läke 2', 'lake 9'],
    'words=lake&folder=': ['Lake 10', 'lake 9'],
    'order=natural': ['a', 'ab', 'lake 9', 'Lake 10'],
    'order=-natural': ['Lake 10', 'lake 9', 'ab', 'a'],
    'order=name': ['Lake 10', 'a', 'ab', 'lake 9'],
    'order=-name': ['lake 9', 'ab', 'a', 'Lake 10']
  }
  for (const [query, expected] of Object.entries(lists)) {
    t.strictSame(await listed(`/api/folders?${query}`), expected, query)
    const isOnePage = /words=.+natural/.test(query)
    t.strictSame(await listed(`/api/folders?${query}&limit=1`), isOnePage ? expected.slice(0, 1) : expected, `${query}, one at a time`)
  }
  t.match((await ask('words=lake')).json, { next: null, searched: 7 })
  t.notOk('searched' in (await ask('')).json)
  const { next } = (await ask('words=lake&limit=1')).json
  const refused: [query: string, field: string][] = [
    ['all=true&words=a', 'words'], ['all=true&order=natural', 'order'], ['all=true&folder=a', 'folder'], ['below=true', 'below'], ['words=%20', 'words'],
    ['order=newest', 'order'], ['contains=a', 'contains'], [`words=lake&folder=a&cursor=${next}`, 'cursor'], [`words=lake&order=natural&cursor=${next}`, 'cursor'], [`cursor=${next}`, 'cursor']
  ]
  for (const [query, field] of refused) t.match(await ask(query), { status: 400, json: { code: 'validation_failed', errors: [{ field }] } }, query)
  t.match(await ask('words=lake&folder=nothing'), { status: 404, json: { code: 'not_found' } })
})

t.test('files stand as people sort names, and by when their content changed', async t => {
  const { put, send, server, token, listed } = await openAccount()
  for (const name of ['file 10', 'Zebra', 'file 2', 'Ärger', 'apple']) await put(name, name)
  await server.send('PUT', '/uploads/old', { token, body: 'old', headers: { 'x-file-modified': '2001-01-01T00:00:00Z' } })
  const natural = ['apple', 'Ärger', 'file 2', 'file 10', 'old', 'Zebra']
  for (const limit of [1, 2, 100]) {
    t.strictSame(await listed(`/api/files?order=natural&limit=${limit}`), natural)
    t.strictSame(await listed(`/api/files?order=-natural&folder=&limit=${limit}`), natural.toReversed())
    t.strictSame(await listed(`/api/files?order=changed&limit=${limit}`), ['old', 'file 10', 'Zebra', 'file 2', 'Ärger', 'apple'])
    t.strictSame(await listed(`/api/files?order=-changed&limit=${limit}`), ['apple', 'Ärger', 'file 2', 'Zebra', 'file 10', 'old'])
  }
  const { json: { files: [old] } } = await send('GET', '/api/files?order=changed&limit=1')
  t.match(old, { modifiedAt: '2001-01-01T00:00:00.000Z', changedAt: '2001-01-01T00:00:00.000Z' })
  const { createdAt } = (await send('GET', '/api/files/apple')).json
  await send('PATCH', '/api/files/apple', { json: { name: 'file 3' } })
  t.match((await send('GET', '/api/files/file%203')).json, { changedAt: createdAt, modifiedAt: null })
  t.strictSame((await listed('/api/files?order=natural')).slice(1, 4), ['file 2', 'file 3', 'file 10'])
  const { next } = (await send('GET', '/api/files?order=natural&limit=1')).json
  for (const order of ['-natural', 'name', 'changed']) t.equal((await send('GET', `/api/files?order=${order}&cursor=${next}`)).status, 400)
})
