import t from 'tap'
import { untilTaken } from './kit/arrivals.ts'
import { createTestClock } from './kit/clock.ts'
import { sha256Of } from './kit/digests.ts'
import { openLinkOwner, type CreatedLink } from './kit/links.ts'
import { refused } from './kit/refusals.ts'
import { formOf, kindsOf, namesOf, sharedServer, startServer, type Answer, type RunningServer, type Settings } from './kit/server.ts'
import { runSql, storedBlobs } from './kit/stores.ts'
import { beginRequest, DRAFT_BYTES, idOf, named, stateOf, TUS, TUS_BYTES, type Body, type Headers } from './kit/tus.ts'

const ORIGIN = 'https://app.example.org'

/** An account with a folder, and visitors of its links for one upload. */
async function openOn (server: RunningServer) {
  const owner = await openLinkOwner(server)
  const { send, token } = owner
  await send('PUT', '/api/folders/inbox')
  const wanted = { name: 'inbox', kind: 'upload', fileName: 'a.txt' }
  const ask = (method: string, { path }: Pick<CreatedLink, 'path'>, rest: string, headers: Headers = {}, body?: Body) =>
    server.send(method, `${path}${rest}`, { headers, ...(body !== undefined && { body }) })
  return {
    ...owner,
    ask,
    make: (json: object = {}) => send('POST', '/api/links', { json: { ...wanted, ...json } }),
    link: (json: object = {}) => owner.share({ ...wanted, ...json }),
    put: (link: CreatedLink, body: Body, name = 'a.txt', headers: Headers = {}) => ask('PUT', link, `/files/${name}`, headers, body),
    begin: (link: CreatedLink, length: number, name = 'a.txt') =>
      ask('POST', link, '/uploads', { ...TUS, ...named(name), 'upload-length': String(length) }),
    append: (link: CreatedLink, id: string, offset: number, body: Body) =>
      ask('PATCH', link, `/uploads/${id}`, { ...TUS_BYTES, 'upload-offset': String(offset) }, body),
    names: () => namesOf(server, { token }),
    text: async (name: string) => (await send('GET', `/uploads/${encodeURIComponent(name)}`)).text
  }
}

const shared = async (settings: Settings = {}) => openOn(await sharedServer({ LINKS: 'on', ...settings }))

t.test('a link for one upload stores one file under its name, and is gone', async t => {
  const ann = await shared()
  const { json: { next } } = await ann.send('GET', '/api/changes')
  const made = await ann.make({ maxBytes: 10 })
  t.match(made, { status: 201, json: { kind: 'upload', name: 'inbox', fileName: 'a.txt', sha256: null, maxFiles: 1, maxBytes: 10 } })
  const { id } = made.json
  t.match((await ann.send('GET', `/api/links/${id}`)).json, { id, fileName: 'a.txt' })
  const link = await ann.link({ fileName: 'b.txt' })
  t.match((await ann.get(link.path)).json, { kind: 'upload', name: 'inbox', fileName: 'b.txt', accepts: { files: 1, bytes: 1024 ** 3 } })
  const stored = await ann.put(link, 'text', 'b.txt')
  t.match(stored, { status: 201, json: { name: 'b.txt', size: 4, sha256: sha256Of('text') }, headers: { location: undefined } })
  for (const again of [await ann.put(link, 'text', 'b.txt'), await ann.put(link, 'other', 'c.txt'), await ann.get(link.path), await ann.begin(link, 4, 'b.txt')]) refused(t, again, 404, 'not_found')
  refused(t, await ann.send('GET', `/api/links/${link.id}`), 404, 'not_found')
  t.same(await ann.names(), ['inbox/b.txt'])
  t.equal(await ann.text('inbox/b.txt'), 'text')
  const { json: { changes } } = await ann.send('GET', `/api/changes?cursor=${next}`)
  t.match(changes, [{ kind: 'stored', name: 'inbox/b.txt', linkId: link.id }], 'the feed says which upload has arrived')
})

t.test('what a link for one upload does not allow stores nothing, and the link stays', async t => {
  const ann = await shared({ ALLOWED_EXTENSIONS: 'txt' })
  const link = await ann.link({ sha256: sha256Of('text'), maxBytes: 6 })
  const { headers, body } = formOf('other.txt', 'text')
  refused(t, await ann.put(link, 'text', 'other.txt'), 400, 'name_invalid')
  refused(t, await ann.ask('POST', link, '/files', headers, body), 400, 'name_invalid')
  refused(t, await ann.begin(link, 4, 'A.txt'), 400, 'name_invalid')
  refused(t, await ann.put(link, 'texts'), 400, 'digest_mismatch')
  refused(t, await ann.put(link, 'texts and more'), 413, 'link_limit_reached')
  refused(t, await ann.ask('GET', link, '/files/a.txt'), 404, 'not_found')
  const id = idOf(await ann.begin(link, 5))
  t.same(stateOf(await ann.append(link, id, 0, 'te')), [204, '2', '5', '?0'])
  refused(t, await ann.append(link, id, 2, 'xts'), 400, 'digest_mismatch')
  refused(t, await ann.ask('HEAD', link, `/uploads/${id}`, TUS), 404, 'not_found')
  t.same(await ann.names(), [])
  t.match(await ann.put(link, 'text'), { status: 201 })
  const unnamed = await ann.link({ fileName: 'b.txt' })
  const draft = await ann.ask('POST', unnamed, '/uploads', { ...DRAFT_BYTES, 'upload-complete': '?1' }, 'text')
  t.same([draft.status, await ann.names()], [201, ['inbox/a.txt', 'inbox/b.txt']], 'an upload without a name gets the one there is')
})

t.test('a name that is taken is refused when the link is made, and when the file arrives', async t => {
  const ann = await shared()
  const [link, late] = [await ann.link(), await ann.link()]
  const id = idOf(await ann.begin(late, 4))
  await ann.send('PUT', '/uploads/inbox%2Fa.txt', { body: 'mine' })
  await ann.send('PUT', '/api/folders/inbox%2Ffolder')
  const { json } = await ann.make()
  t.match(json, { status: 409, code: 'name_taken' })
  refused(t, await ann.make({ fileName: 'folder' }), 409, 'name_taken')
  refused(t, await ann.put(link, 'text'), 409, 'name_taken')
  refused(t, await ann.put(link, 'mine'), 409, 'name_taken')
  const { headers, body } = formOf('a.txt', 'text')
  refused(t, await ann.ask('POST', link, '/files', headers, body), 409, 'name_taken')
  refused(t, await ann.ask('POST', link, '/uploads', { ...TUS_BYTES, ...named('a.txt'), 'upload-length': '4' }, 'text'), 409, 'name_taken')
  refused(t, await ann.append(late, id, 0, 'text'), 409, 'name_taken')
  refused(t, await ann.ask('GET', late, `/uploads/${id}`), 409, 'name_taken')
  t.equal((await ann.ask('HEAD', late, `/uploads/${id}`, TUS)).status, 409)
  refused(t, await ann.ask('POST', late, `/uploads/${id}`, { ...TUS_BYTES, 'x-http-method-override': 'PATCH', 'upload-offset': '4' }, ''), 409, 'name_taken')
  t.equal(await ann.text('inbox/a.txt'), 'mine')
  await ann.send('DELETE', '/uploads/inbox%2Fa.txt')
  t.same(stateOf(await ann.ask('HEAD', late, `/uploads/${id}`, TUS)), [200, '4', '4', '?1'], 'what had arrived is stored once the name is free')
  t.equal(await ann.text('inbox/a.txt'), 'text')
  refused(t, await ann.ask('HEAD', late, `/uploads/${id}`, TUS), 404, 'not_found')
})

t.test('of many uploads at once by a link for one, one is stored', async t => {
  const ann = await openOn(await startServer(t, { LINKS: 'on', RATE_LIMIT_PER_MINUTE: '0' }))
  const link = await ann.link()
  const given = idOf(await ann.begin(link, 10))
  t.same(stateOf(await ann.append(link, given, 0, '12345')), [204, '5', '10', '?0'], 'one that is given up is not in the way')
  const ways: ((text: string) => Promise<Answer>)[] = [
    text => ann.put(link, text),
    text => { const { headers, body } = formOf('a.txt', text); return ann.ask('POST', link, '/files', headers, body) },
    text => ann.ask('POST', link, '/uploads', { ...DRAFT_BYTES, 'upload-complete': '?1' }, text)
  ]
  const answers = await Promise.all(Array.from({ length: 12 }, async (_, number) => ways[number % 3]?.(`text ${number}`) as Promise<Answer>))
  const stored = answers.filter(({ status }) => status === 201)
  t.equal(stored.length, 1)
  for (const answer of answers) if (answer.status !== 201) refused(t, answer, 404, 'not_found')
  t.same(await ann.names(), ['inbox/a.txt'])
  t.equal(sha256Of(await ann.text('inbox/a.txt')), stored[0]?.json.sha256)
  refused(t, await ann.append(link, given, 5, '67890'), 404, 'not_found')
  await ann.server.runHousekeeping()
  await ann.server.close()
  t.equal((await storedBlobs(ann.server.dataDir)).length, 1)
})

t.test('an upload under way when its link for one expires is refused, and stores nothing', async t => {
  const clock = createTestClock(Date.now())
  const ann = await openOn(await startServer(t, { LINKS: 'on' }, { clock }))
  const link = await ann.link({ expiresAt: new Date(clock.now() + 2000).toISOString() })
  const { request, answered } = beginRequest(ann.server, 'PUT', `${link.path}/files/a.txt`, { 'content-length': '4' })
  request.write('te')
  await untilTaken(request)
  clock.advance(2000)
  request.end('xt')
  t.match(await answered, { status: 404, code: 'not_found' })
  refused(t, await ann.put(link, 'text'), 404, 'not_found')
  t.same(await ann.names(), [])
})

t.test('links for one upload are listed apart, make no events, and end with all others', async t => {
  const ann = await shared()
  const [link, other] = [await ann.link({ expiresAt: new Date(Date.now() + 3_600_000).toISOString() }), await ann.share({ name: 'inbox', kind: 'upload' })]
  const ids = async (query: string) => (await ann.send('GET', `/api/links${query}`)).json.links.map(({ id }: { id: number }) => id)
  t.same(await ids(''), [other.id])
  t.same(await ids('?signed=false'), [other.id])
  t.same(await ids('?signed=true'), [link.id])
  t.same(await ids('?signed=true&name=inbox'), [link.id])
  t.equal((await ann.send('POST', `/api/links/${link.id}/secret`)).status, 200)
  t.match(await ann.send('PATCH', `/api/links/${link.id}`, { json: { maxBytes: 5, maxFiles: 1 } }), { status: 200, json: { maxBytes: 5 } })
  refused(t, await ann.send('PATCH', `/api/links/${link.id}`, { json: { maxFiles: 2 } }), 400, 'validation_failed')
  t.equal((await ann.send('DELETE', `/api/links/${link.id}`)).status, 204)
  t.same((await kindsOf(ann.server, { token: ann.token })).filter(kind => kind.startsWith('link')), ['link_created'])
  const last = await ann.link()
  await ann.send('DELETE', '/api/links')
  refused(t, await ann.put(last, 'text'), 404, 'not_found')
  t.same([await ids(''), await ids('?signed=true')], [[], []])
})

t.test('what makes no sense of a link for one upload is refused', async t => {
  const ann = await shared()
  await ann.send('PUT', '/uploads/file', { body: 'x' })
  for (const json of [
    { kind: 'download' }, { maxFiles: 2 }, { sha256: 'A'.repeat(64) }, { sha256: '' }, { fileName: undefined, sha256: sha256Of('text') }, { name: 'file' }
  ]) refused(t, await ann.make(json), 400, 'validation_failed')
  for (const fileName of ['a/b', '.', 'a\\b', '\n', 'n'.repeat(256)]) {
    t.match(await ann.make({ fileName }), { status: 400, json: { code: 'name_invalid', errors: [{ field: 'fileName' }] } }, fileName)
  }
  refused(t, await ann.make({ name: 'none' }), 404, 'not_found')
})

t.test('an account has at most 10,000 links for one upload, beside the others; those that expire are deleted', async t => {
  const ann = await openOn(await startServer(t, { LINKS: 'on', RATE_LIMIT_PER_MINUTE: '0' }))
  const link = await ann.link({ expiresAt: new Date(Date.now() + 3_600_000).toISOString() })
  await runSql(ann.server.dataDir, `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 9998)
    INSERT INTO links (account_id, kind, folder_id, file_name, secret_hash, shows_owner, created_at, expires_at)
    SELECT account_id, kind, folder_id, file_name, secret_hash || n, shows_owner, created_at, expires_at FROM links, numbers WHERE id = ${link.id}`)
  t.equal((await ann.make()).status, 201)
  refused(t, await ann.make(), 409, 'too_many_links')
  const other = await ann.share({ name: 'inbox', kind: 'upload' })
  t.equal((await ann.get(other.path)).status, 200, 'the others have their own number')
  await runSql(ann.server.dataDir, 'UPDATE links SET expires_at = 1')
  await ann.server.runHousekeeping()
  t.same(await runSql(ann.server.dataDir, 'SELECT id FROM links'), [{ id: other.id }], 'an owner keeps the others in the list')
  t.equal((await ann.make()).status, 201)
})

t.test('a page of another origin uploads by a link, without a cookie, if CORS_ORIGINS has the origin', async t => {
  const ann = await shared({ CORS_ORIGINS: ORIGIN })
  const link = await ann.link()
  const wanted = { 'access-control-request-method': 'PUT', 'access-control-request-headers': 'content-type,repr-digest,x-file-modified' }
  const preflight = await ann.ask('OPTIONS', link, '/files/a.txt', { origin: ORIGIN, ...wanted })
  t.match(preflight, {
    status: 204,
    headers: {
      'access-control-allow-origin': ORIGIN, 'access-control-allow-methods': /PUT/, 'access-control-allow-headers': /repr-digest/i, 'access-control-allow-credentials': undefined
    }
  })
  const foreign = { origin: 'https://evil.example' }
  t.match(await ann.ask('OPTIONS', link, '/files/a.txt', { ...foreign, ...wanted }), { headers: { 'access-control-allow-origin': undefined } })
  t.equal((await ann.put(link, 'text', 'a.txt', foreign)).status, 403)
  const stored = await ann.put(link, 'text', 'a.txt', { origin: ORIGIN, 'content-type': 'text/plain' })
  t.match(stored, { status: 201, headers: { 'access-control-allow-origin': ORIGIN, 'set-cookie': undefined } })
})
