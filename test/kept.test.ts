import { Readable } from 'node:stream'
import t from 'tap'
import { sha256Of } from './kit/digests.ts'
import { DAY } from './kit/durations.ts'
import { bytesPath, metadataPath, shareAccount } from './kit/kept-account.ts'
import { comparable, formOf, type SendOptions } from './kit/server.ts'
import { runSql } from './kit/stores.ts'
import { areTidy } from './kit/tidy.ts'

const httpDate = (date: string) => new Date(date).toUTCString()
const later = (date: string, milliseconds: number) => new Date(Date.parse(date) + milliseconds).toISOString()

t.test('a file that was replaced three times has three versions, newest replaced first', async t => {
  const { put, listVersions, metadata, usage } = await shareAccount()
  const states: any[] = []
  for (const [body, type] of [['one', 'text/x-one'], ['second', 'text/x-two'], ['3', 'text/x-three'], ['now', 'text/plain']] as const) states.push((await put('a b.txt', body, { 'content-type': type })).json)
  const answer = await listVersions('a b.txt')
  t.match(answer, { status: 200, headers: { 'cache-control': 'no-store', link: undefined } })
  const { versions } = answer.json
  t.strictSame(answer.json, {
    versions: [2, 1, 0].map((index, place) => ({
      id: versions[place].id,
      size: states[index].size,
      type: states[index].type,
      sha256: states[index].sha256,
      createdAt: states[index].updatedAt,
      modifiedAt: null,
      replacedAt: states[index + 1].updatedAt,
      expiresAt: later(states[index + 1].updatedAt, 30 * DAY)
    })),
    next: null
  })
  t.equal(new Set(versions.map(({ id }: { id: string }) => id)).size, 3)
  t.equal((await metadata('a b.txt')).json.createdAt, states[0].createdAt)
  t.match(await usage(), { files: 1, bytes: 3, keptBytes: 10, uploadBytes: 0 })
})

t.test('a file without versions has an empty list, and one that is not there has none', async t => {
  const { put, listVersions, restore, removeVersion } = await shareAccount()
  await put('a', 'bytes')
  t.match(await listVersions('a'), { status: 200, text: '{"versions":[],"next":null}' })
  const id = 'a'.repeat(32)
  for (const name of ['b', '..', 'a/b', 'x'.repeat(256), '']) {
    for (const answer of [await listVersions(name), await restore(name, id), await removeVersion(name, id)]) t.match(answer, { status: 404, json: { code: 'not_found' } }, name.slice(0, 5))
  }
})

t.test('a version is downloaded as a file is', async t => {
  const { put, get, send, versions, rename, id, dataDir } = await shareAccount()
  const { json: first } = await put('é.txt', 'the first bytes', { 'content-type': 'text/html' })
  // The next one is of another second.
  await runSql(dataDir, `UPDATE files SET updated_at = updated_at - 1000, stored_at = stored_at - 1000 WHERE owner_id = ${id}`)
  await put('é.txt', 'second', { 'content-type': 'image/png' })
  const [{ id: version, createdAt } = { id: '', createdAt: '' }] = await versions('é.txt')
  const etag = `"${sha256Of('the first bytes')}"`
  const headers = {
    etag,
    'last-modified': httpDate(createdAt),
    'content-type': 'text/html',
    'content-disposition': 'attachment; filename=_.txt; filename*=UTF-8\'\'%C3%A9.txt',
    'repr-digest': `sha-256=:${Buffer.from(first.sha256, 'hex').toString('base64')}:`,
    'accept-ranges': 'bytes',
    'cache-control': 'private, no-cache',
    vary: /Authorization/
  }
  t.equal(createdAt, later(first.updatedAt, -1000))
  t.match(await get('é.txt', { version }), { status: 200, text: 'the first bytes', headers: { ...headers, 'content-length': '15' } })
  const head = await send('HEAD', `${bytesPath('é.txt')}?version=${version}`)
  t.match(head, { status: 200, text: '', headers: { ...headers, 'content-length': '15' } })
  t.match(await get('é.txt', { version }, { range: 'bytes=4-8' }), { status: 206, text: 'first', headers: { ...headers, 'content-range': 'bytes 4-8/15' } })
  t.match(await get('é.txt', { version }, { range: 'bytes=0-2', 'if-range': etag }), { status: 206, text: 'the' })
  t.match(await get('é.txt', { version }, { range: 'bytes=0-2', 'if-range': `"${sha256Of('second')}"` }), { status: 200 }, 'the tag of the file is not that of the version')
  for (const [condition, status] of [
    [{ 'if-none-match': etag }, 304], [{ 'if-modified-since': httpDate(createdAt) }, 304], [{ 'if-match': `"${sha256Of('second')}"` }, 412]
  ] as [Record<string, string>, number][]) {
    t.equal((await get('é.txt', { version }, condition)).status, status, JSON.stringify(condition))
  }
  t.match(await get('é.txt', { version, disposition: 'inline' }), { headers: { 'content-disposition': /^attachment/ } }, 'as its own type permits')
  t.match(await get('é.txt', { disposition: 'inline' }), { text: 'second', headers: { 'content-disposition': /^inline/, 'content-type': 'image/png' } })
  await rename('é.txt', 'b.txt')
  t.match(await get('b.txt', { version }), { status: 200, text: 'the first bytes', headers: { 'content-disposition': /filename=b\.txt;/, etag, 'last-modified': headers['last-modified'] } })
  t.equal((await get('é.txt', { version })).status, 404)
})

t.test('a restore swaps: the version leaves the list, and the current content becomes one', async t => {
  const { put, get, metadata, versions, restore, texts, usage, server } = await shareAccount()
  const { json: first } = await put('a.txt', 'one', { 'content-type': 'text/x-one' })
  await put('a.txt', 'second', { 'content-type': 'text/x-two' })
  const { json: current } = await put('a.txt', 'third!!')
  const [, oldest] = await versions('a.txt')
  const answer = await restore('a.txt', String(oldest?.id))
  t.match(answer, { status: 200, headers: { 'cache-control': 'no-store' } })
  t.strictSame(answer.json, { ...first, updatedAt: answer.json.updatedAt, url: `${server.url}/uploads/a.txt` })
  t.ok(Date.parse(answer.json.updatedAt) > Date.parse(current.updatedAt) && Date.parse(answer.json.updatedAt) <= Date.now(), 'updated now')
  t.strictSame((await metadata('a.txt')).json, answer.json)
  t.match(await get('a.txt'), { text: 'one', headers: { 'content-type': 'text/x-one', 'last-modified': httpDate(answer.json.updatedAt) } })
  t.strictSame(await texts('a.txt'), ['third!!', 'second'])
  t.match((await versions('a.txt'))[0], { createdAt: current.updatedAt, replacedAt: answer.json.updatedAt, sha256: current.sha256 })
  t.match(await usage(), { bytes: 3, keptBytes: 13 })
  t.equal((await restore('a.txt', String(oldest?.id))).status, 404, 'it is no version any more')

  await put('a.txt', 'fourth')
  t.equal((await versions('a.txt'))[0]?.createdAt, first.updatedAt, 'restored bytes were stored when they were stored first')
})

t.test('a restore keeps to its preconditions, and one that is refused changes nothing', async t => {
  const { put, versions, restore, listVersions, metadata } = await shareAccount()
  await put('a', 'one')
  const { headers: { etag } } = await put('a', 'two')
  const [{ id } = { id: '' }] = await versions('a')
  const before = [(await listVersions('a')).text, (await metadata('a')).text]
  for (const headers of [{ 'if-match': `"${sha256Of('one')}"` }, { 'if-match': `W/${etag}` }, { 'if-none-match': '*' }, { 'if-unmodified-since': 'Sun, 06 Nov 1994 08:49:37 GMT' }] as Record<string, string>[]) {
    t.match(await restore('a', id, headers), { status: 412, json: { code: 'precondition_failed' } }, JSON.stringify(headers))
  }
  t.strictSame([(await listVersions('a')).text, (await metadata('a')).text], before)
  t.equal((await restore('a', id, { 'if-match': String(etag) })).status, 200)
})

t.test('a restore of a version has no body: what is sent as one is not looked at', async t => {
  const { put, versions, send } = await shareAccount()
  await put('a', 'one')
  await put('a', 'two')
  const bodies: SendOptions[] = [{ json: {} }, { json: null }, { body: '{' }, { body: '{', headers: { 'content-type': 'application/json' } }, { body: 'x', headers: { 'content-type': 'nonsense;;' } }, { body: Readable.from(['x']) }, { body: Buffer.alloc(3_000_000) }, formOf('a', 'b')]
  for (const body of bodies) {
    const [{ id } = { id: '' }] = await versions('a')
    t.equal((await send('POST', `/api/files/a/versions/${id}/restore`, body)).status, 200)
  }
})

t.test('a version is deleted for good, and its bytes with it', async t => {
  const { put, versions, removeVersion, texts, get, usage } = await shareAccount()
  for (const body of ['one', 'two', 'three']) await put('a', body)
  const [newest] = await versions('a')
  const answer = await removeVersion('a', String(newest?.id))
  t.match(answer, { status: 204, text: '' })
  t.strictSame(await texts('a'), ['one'])
  t.equal((await get('a')).text, 'three')
  t.equal((await get('a', { version: String(newest?.id) })).status, 404)
  t.equal((await removeVersion('a', String(newest?.id))).status, 404)
  t.match(await usage(), { files: 1, bytes: 5, keptBytes: 3 })
})

t.test('an id that is not that of a version of this file is 404, the same for all', async t => {
  const account = await shareAccount()
  const { put, remove, versions, trash, send, listVersions, listTrash, usage, id: ownerId, dataDir } = account
  for (const body of ['a1', 'a2']) await put('a', body)
  for (const body of ['b1', 'b2']) await put('b', body)
  for (const body of ['c1', 'c2']) await put('c', body)
  const ofDeleted = String((await versions('c'))[0]?.id)
  await remove('c')
  const [own, ofOther, deleted] = [String((await versions('a'))[0]?.id), String((await versions('b'))[0]?.id), String((await trash())[0]?.id)]
  const [{ blob: current } = { blob: '' }] = await runSql(dataDir, `SELECT blob_id AS blob FROM files WHERE name = 'a' AND owner_id = ${ownerId}`)
  const before = await Promise.all([listVersions('a'), listVersions('b'), listTrash()].map(async answer => (await answer).text))
  const ids = ['', 'f'.repeat(32), '0', 'x', 'null', '%00', 'a%00b', '%2F', 'a%2Fb', '%2E%2E', '%20', "'", '%22', '%F0%9F%98%80', 'x'.repeat(1024), 'x'.repeat(9000), own.toUpperCase(), `${own}%20`, own.slice(1), String(current), deleted, ofDeleted]
  const requests: [method: string, path: (id: string) => string, ids: string[], options?: SendOptions][] = [
    ['GET', id => `/uploads/a?version=${id}`, [...ids, ofOther]],
    ['HEAD', id => `/uploads/a?version=${id}`, [...ids, ofOther]],
    ['POST', id => `${metadataPath('a')}/versions/${id}/restore`, [...ids, ofOther]],
    ['DELETE', id => `${metadataPath('a')}/versions/${id}`, [...ids, ofOther]],
    ['POST', id => `/api/trash/${id}/restore`, [...ids.filter(id => id !== deleted), own]],
    ['POST', id => `/api/trash/${id}/restore`, [...ids.filter(id => id !== deleted), own], { json: { name: 'd' } }],
    ['DELETE', id => `/api/trash/${id}`, [...ids.filter(id => id !== deleted), own]]
  ]
  for (const [method, path, refused, options] of requests) {
    const unknown = comparable(await send(method, path('0'.repeat(32)), options))
    t.equal(unknown.status, 404)
    for (const id of refused) t.strictSame(comparable(await send(method, path(id), options)), unknown, `${method} ${path(id.slice(0, 40))}`)
  }
  t.strictSame(await Promise.all([listVersions('a'), listVersions('b'), listTrash()].map(async answer => (await answer).text)), before, 'nothing has changed')
  t.match(await usage(), { files: 2, bytes: 4, keptBytes: 8 })
})

t.test('after all that, the bytes of files, of versions and of the trash are stored, and nothing else', t => areTidy(t, {}))
