import t from 'tap'
import { namesIn, shareAccount } from './kit/kept-account.ts'
import { refused } from './kit/refusals.ts'

type Query = Record<string, string>

async function openTimeline () {
  const account = await shareAccount()
  const { send, list, put } = account
  return {
    ...account,
    months: (query: Query = {}) => send('GET', `/api/timeline?${new URLSearchParams(query)}`),
    /** The months and how many files each has. */
    async counts (query: Query): Promise<(readonly [month: string, files: number])[]> {
      const { json } = await send('GET', `/api/timeline?${new URLSearchParams(query)}`)
      return json.months.map(({ month, files }: { month: string, files: number }) => [month, files])
    },
    taken: (query: Query = {}) => namesIn(list, { kind: 'image,video', order: '-taken', ...query }),
    picture: (name: string, modifiedAt: string, type = 'image/jpeg') => put(name, name, { 'content-type': type, 'x-file-modified': `${modifiedAt}Z` })
  }
}

t.test('pictures and videos are listed in the order in which they were taken, of a folder and of all below', async t => {
  const { put, picture, taken, months, counts, send, list } = await openTimeline()
  t.strictSame((await months({ below: 'true' })).json, { months: [] })
  await picture('first.jpg', '2024-01-31T23:59:59')
  await picture('trip/clip.mp4', '2024-02-01T00:00:00', 'video/mp4')
  const { json: { sha256 } } = await picture('trip/day/late.jpg', '2024-07-01T00:00:00')
  await put('trip/notes.txt')
  const headers = { 'if-match': `"${sha256}"` }
  t.equal((await send('PUT', '/api/files/trip%2Fday%2Flate.jpg/taken', { json: { takenAt: '1999-12-31T23:59:59' }, headers })).status, 200)
  const all = ['trip/clip.mp4', 'first.jpg', 'trip/day/late.jpg']
  for (const limit of ['1', '2', '3']) {
    t.strictSame(await taken({ below: 'true', limit }), all)
    t.strictSame(await taken({ below: 'true', limit, folder: '/', order: 'taken' }), all.toReversed())
  }
  t.strictSame(await taken(), ['first.jpg'])
  t.strictSame(await taken({ folder: 'trip' }), ['trip/clip.mp4'])
  t.strictSame(await taken({ folder: 'trip', below: 'true', kind: 'image' }), ['trip/day/late.jpg'])
  t.strictSame(await taken({ below: 'true', kind: 'video' }), ['trip/clip.mp4'])
  t.strictSame(await taken({ below: 'true', kind: 'video,image' }), all)
  const page = await list({ kind: 'image', order: '-taken', below: 'true', limit: '1' })
  t.match(page, { status: 200, headers: { link: /rel="next"/ }, json: { files: [{ name: 'first.jpg' }], next: /./ } })
  t.notOk('searched' in page.json)
  refused(t, await list({ kind: 'video', order: '-taken', below: 'true', cursor: page.json.next }), 400, 'validation_failed', 'a cursor of another listing')
  t.strictSame(await counts({ below: 'true' }), [['2024-02', 1], ['2024-01', 1], ['1999-12', 1]])
  t.strictSame(await counts({}), [['2024-01', 1]])
  t.strictSame(await counts({ folder: 'trip', below: 'true', kind: 'image' }), [['1999-12', 1]])
})

t.test('the cursor of a month begins a page of the same timeline with it', async t => {
  const { picture, months, taken, list } = await openTimeline()
  const all = ['2024-12-31T23:59:59', '2024-12-01T00:00:00', '2024-11-30T23:59:59', '0000-01-01T00:00:00', '9999-12-31T23:59:59']
  for (const time of all) await picture(`trip/${time.replaceAll(':', '')}.jpg`, time.replace('9999-12-31T23', '9999-12-31T22'))
  for (const query of [{ folder: 'trip' }, { below: 'true' }, { folder: 'trip', below: 'true', kind: 'image' }] as Query[]) {
    const { json } = await months(query)
    t.match(json.months, [{ month: '9999-12' }, { month: '2024-12', files: 2 }, { month: '2024-11' }, { month: '0000-01' }], JSON.stringify(query))
    const listed = await taken(query)
    for (const [month, place] of [0, 1, 3, 4].entries()) {
      const page = await list({ kind: 'image,video', ...query, order: '-taken', cursor: json.months[month].cursor })
      t.strictSame(page.json.files.map(({ name }: { name: string }) => name), listed.slice(place))
    }
    refused(t, await list({ kind: 'video', ...query, order: 'taken', cursor: json.months[0].cursor }), 400, 'validation_failed', 'another listing')
  }
})

t.test('what a timeline can\'t be combined with is refused', async t => {
  const { list, months } = await openTimeline()
  const kind = 'image,video'
  for (const query of [{ kind }, { kind, order: 'name' }, { kind, order: 'newest', below: 'true' }, { order: 'taken' }, { order: '-taken', below: 'true' }, { below: 'true' }, { order: 'taken', words: 'a' },
    ...['', 'audio', 'image,', 'image,image,video', 'IMAGE', 'image video'].map(kind => ({ kind, order: 'taken' })),
    ...['prefix', 'contains', 'words'].map(name => ({ kind, order: 'taken', [name]: 'a' }))]) {
    refused(t, await list(query as Query), 400, 'validation_failed', JSON.stringify(query))
  }
  for (const query of [{ kind: 'audio' }, { below: 'yes' }, { order: 'taken' }, { limit: '1' }]) refused(t, await months(query as Query), 400, 'validation_failed', JSON.stringify(query))
  refused(t, await list({ kind, order: 'taken', folder: 'none' }), 404, 'not_found')
  refused(t, await months({ folder: 'none' }), 404, 'not_found')
})
