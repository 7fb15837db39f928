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
    taken: (query: Query = {}) => namesIn(list, { kind: 'image,video', order: '-taken', ...query }),
    picture: (name: string, modifiedAt: string, type = 'image/jpeg') => put(name, name, { 'content-type': type, 'x-file-modified': `${modifiedAt}Z` })
  }
}

t.test('pictures and videos are listed in the order in which they were taken, of a folder and of all below', async t => {
  const { put, picture, taken, months, send, list } = await openTimeline()
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
  t.match(await months({ below: 'true' }), { status: 200, json: { months: [{ month: '2024-02', files: 1 }, { month: '2024-01', files: 1 }, { month: '1999-12', files: 1 }] } })
  t.strictSame((await months()).json, { months: [{ month: '2024-01', files: 1 }] })
  t.strictSame((await months({ folder: 'trip', below: 'true', kind: 'image' })).json, { months: [{ month: '1999-12', files: 1 }] })
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
