import { Readable } from 'node:stream'
import t from 'tap'
import { DAY } from './kit/durations.ts'
import { accountOf, bytesPath, metadataPath, shareAccount, type KeptAccount } from './kit/kept-account.ts'
import { signUp, type SendOptions } from './kit/server.ts'
import { runSql } from './kit/stores.ts'
import { areTidy } from './kit/tidy.ts'
import { exchange } from './kit/wire.ts'

const LIMITED = { ALLOWED_EXTENSIONS: 'txt,md' }

t.test('a deleted file is in the trash with its versions, newest deleted first', async t => {
  const { put, remove, listTrash, get, usage, rename } = await shareAccount()
  t.match(await listTrash(), { status: 200, text: '{"files":[],"next":null}', headers: { 'cache-control': 'no-store' } })
  const { json: a } = await put('a.txt', 'one')
  await put('b', 'old', { 'content-type': 'text/x-b' })
  await put('b', 'older now')
  const { json: b } = await put('b', 'content', { 'content-type': 'text/x-new' })
  await rename('b', 'é')
  for (const name of ['a.txt', 'é']) t.match(await remove(name), { status: 204, text: '' })
  const { json } = await listTrash()
  const [first, second] = json.files
  t.strictSame(json, {
    files: [
      { id: first.id, name: 'é', size: 7, type: 'text/x-new', sha256: b.sha256, modifiedAt: null, deletedAt: first.deletedAt, deletedWith: null, expiresAt: new Date(Date.parse(first.deletedAt) + 30 * DAY).toISOString(), versions: 2 },
      { id: second.id, name: 'a.txt', size: 3, type: 'text/plain', sha256: a.sha256, modifiedAt: null, deletedAt: second.deletedAt, deletedWith: null, expiresAt: new Date(Date.parse(second.deletedAt) + 30 * DAY).toISOString(), versions: 0 }
    ],
    next: null
  })
  t.ok(Date.parse(first.deletedAt) > Date.parse(second.deletedAt) && Date.parse(first.deletedAt) <= Date.now())
  t.equal((await get('é')).status, 404)
  t.match(await usage(), { files: 0, bytes: 0, keptBytes: 22 })
})

t.test('a deleted file is restored whole, under its name or another one', async t => {
  const { put, remove, trash, restoreFile, restore, metadata, texts, versions, get, usage, server } =
    await shareAccount()
  await put('a.txt', 'one')
  const { json: before } = await put('a.txt', 'two', { 'content-type': 'text/x-two' })
  const kept = await versions('a.txt')
  for (const [body, name] of [[undefined, 'a.txt'], [{}, 'a.txt'], [{ name: 'a.txt' }, 'a.txt'], [{ name: 'cafe\u0301.md' }, 'café.md'], [{ name: 'b' }, 'b']] as const) {
    await remove(before.name)
    const [entry] = await trash()
    const answer = await restoreFile(String(entry?.id), body)
    t.match(answer, { status: 200, headers: { 'cache-control': 'no-store' } }, JSON.stringify(body))
    t.strictSame(answer.json, { ...before, name, updatedAt: answer.json.updatedAt, url: `${server.url}${bytesPath(name)}` })
    t.ok(answer.json.updatedAt > String(entry?.deletedAt) && Date.parse(answer.json.updatedAt) <= Date.now(), 'updated now')
    t.strictSame((await metadata(name)).json, answer.json)
    t.match(await get(name), { text: 'two', headers: { 'content-type': 'text/x-two' } })
    t.strictSame(await versions(name), kept, 'with its versions')
    t.strictSame(await trash(), [])
    t.equal((await restoreFile(String(entry?.id))).status, 404, 'it is not there any more')
    before.name = name
  }
  t.equal((await restore('b', String(kept[0]?.id))).status, 200)
  t.strictSame(await texts('b'), ['two'])
  t.match(await usage(), { files: 1, bytes: 3, keptBytes: 3 })
})

t.test('lists and restores do not read dead properties: a file gets back even those that can\'t be read', async t => {
  const { put, remove, removeFolder, trash, restoreFile, restoreDeletion, dataDir, id } = await shareAccount()
  for (const name of ['a', 'box/b']) await put(name)
  await runSql(dataDir, `UPDATE files SET properties = 'no JSON' WHERE owner_id = ${id}`)
  await remove('a')
  await removeFolder('box', { recursive: 'true' })
  const [b, a] = await trash()
  t.match(await restoreFile(String(a?.id)), { status: 200, json: { name: 'a' } })
  t.match(await restoreDeletion(b?.deletedWith), { status: 200, json: { restored: 1 } })
  t.strictSame(await runSql(dataDir, `SELECT properties FROM files WHERE owner_id = ${id}`), Array(2).fill({ properties: 'no JSON' }))
})

t.test('an empty body is no body, whatever its type', async t => {
  const { put, remove, trash, send, server: { port }, token } = await shareAccount()
  const types = ['application/x-www-form-urlencoded', 'application/json', 'text/plain', 'multipart/form-data; boundary=x']
  const bodies: [what: string, options: SendOptions][] = [['a length of 0', { body: '' }], ['no length', {}], ['chunks', { headers: { 'transfer-encoding': 'chunked' } }]]
  for (const headers of [{}, ...types.map(type => ({ 'content-type': type }))]) {
    for (const [what, options] of bodies) {
      await put('a.txt', 'bytes')
      await remove('a.txt')
      const [{ id } = { id: '' }] = await trash()
      const restored = await send('POST', `/api/trash/${id}/restore`, { ...options, headers: { ...options.headers, ...headers } })
      t.match(restored, { status: 200, json: { name: 'a.txt' } }, `${what}, ${JSON.stringify(headers)}`)
    }
  }
  await remove('a.txt')
  const path = `/api/trash/${(await trash())[0]?.id}/restore`
  t.match(await send('POST', path, { body: Readable.from(['x']) }), { status: 415 }, 'a chunk')
  await exchange(port, { bytes: Buffer.from(`POST ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nTransfer-Encoding: chunked\r\n\r\n`), method: 'POST', isCut: true })
  t.equal((await trash()).length, 1, 'one that is cut is none')
})

t.test('a restore that can\'t be is refused, and nothing changes', async t => {
  const { put, remove, trash, restoreFile, listTrash, send, get, id: ownerId, dataDir } = await shareAccount(LIMITED)
  await put('a.txt', 'deleted')
  await remove('a.txt')
  await put('a.txt', 'live')
  await put('é.md', 'live')
  const [{ id } = { id: '' }] = await trash()
  const before = (await listTrash()).text
  const path = `/api/trash/${id}/restore`
  const cases: [what: string, status: number, code: string, options: SendOptions][] = [
    ['its name is taken', 409, 'name_taken', {}],
    ['its name is taken', 409, 'name_taken', { json: {} }],
    ['another name that is taken', 409, 'name_taken', { json: { name: 'e\u0301.md' } }],
    ['an extension that is not allowed', 415, 'extension_not_allowed', { json: { name: 'a.exe' } }],
    ...['..', 'a//b.txt', 'a\\b.txt', '\u0000.txt', 'x'.repeat(256), '\uD800.txt'].map((name): [string, number, string, SendOptions] => [JSON.stringify(name), 400, 'name_invalid', { json: { name } }]),
    ...['', 1, null, true, ['b.txt'], {}].map((name): [string, number, string, SendOptions] => [JSON.stringify(name), 400, 'validation_failed', { json: { name } }]),
    ...['null', '[]', '"b.txt"', '1', '{"name":"b.txt","extra":1}', '{"Name":"b.txt"}', '{"id":"x"}'].map((body): [string, number, string, SendOptions] => [body, 400, 'validation_failed', { body, headers: { 'content-type': 'application/json' } }]),
    ...['{', '{"name":"b.txt","__proto__":{}}'].map((body): [string, number, string, SendOptions] => [body, 400, 'malformed_json', { body, headers: { 'content-type': 'application/json' } }]),
    ['another media type without a length', 415, 'unsupported_media_type', { body: Readable.from(['{}']), headers: { 'content-type': 'text/plain' } }]
  ]
  for (const [what, status, code, options] of cases) t.match(await send('POST', path, options), { status, json: { code } }, what)
  t.equal((await listTrash()).text, before)
  t.equal((await get('a.txt')).text, 'live')
  t.equal((await restoreFile(id, { name: 'b.txt' })).status, 200)
  t.equal((await get('b.txt')).text, 'deleted')

  // From a time when its extension was allowed.
  await remove('b.txt')
  await runSql(dataDir, `UPDATE kept SET name = 'b.exe' WHERE name = 'b.txt' AND owner_id = ${ownerId}`)
  t.match(await restoreFile(String((await trash())[0]?.id)), { status: 200, json: { name: 'b.exe' } })
})

t.test('what is deleted from the trash is gone for good, with its versions', async t => {
  const { put, remove, trash, removeFromTrash, emptyTrash, versions, usage } = await shareAccount()
  for (const name of ['a', 'b', 'c', 'stays']) for (const text of ['1', '2', '3']) await put(name, name + text)
  for (const name of ['a', 'b', 'c']) await remove(name)
  const [, b] = await trash()
  t.match(await removeFromTrash(String(b?.id)), { status: 204, text: '' })
  t.equal((await removeFromTrash(String(b?.id))).status, 404)
  t.strictSame((await trash()).map(({ name }) => name), ['c', 'a'])
  t.match(await usage(), { files: 1, bytes: 6, keptBytes: 24 })
  t.match(await emptyTrash(), { status: 204, text: '' })
  t.strictSame(await trash(), [])
  t.equal((await emptyTrash()).status, 204, 'also where there is none')
  t.equal((await versions('stays')).length, 2)
  t.match(await usage(), { files: 1, bytes: 6, keptBytes: 12 })
})

t.test('a permanent deletion leaves nothing, and any other value of permanent than true and false is refused', async t => {
  const { put, remove, send, get, trash, listVersions, usage } = await shareAccount()
  for (const text of ['1', '2', '3']) await put('a', text)
  const before = (await listVersions('a')).text
  for (const query of ['permanent=', 'permanent', 'permanent=1', 'permanent=0', 'permanent=yes', 'permanent=TRUE', 'permanent=true%20', 'permanent=true&permanent=true', 'permanent=true&permanent=false', 'version=x', 'version=', 'permanent=true&version=x']) {
    t.match(await send('DELETE', `/uploads/a?${query}`), { status: 400, json: { code: 'validation_failed', errors: [{ field: /permanent|version/ }] } }, query)
  }
  t.match(await remove('a', { permanent: 'true' }, { 'if-match': '"other"' }), { status: 412 })
  t.equal((await listVersions('a')).text, before)
  t.match(await remove('nothing', { permanent: 'true' }), { status: 404 })
  t.match(await remove('a', { permanent: 'true' }, { 'if-match': '*' }), { status: 204, text: '' })
  t.equal((await get('a')).status, 404)
  t.strictSame(await trash(), [])
  t.match(await usage(), { files: 0, bytes: 0, keptBytes: 0 })
  await put('a', 'again')
  t.equal((await remove('a', { permanent: 'false' })).status, 204)
  t.equal((await trash()).length, 1)
})

t.test('another user\'s versions and trash are not there', async t => {
  const { put, remove, trash, versions, server, listVersions, listTrash } = await shareAccount()
  await put('a', 'one')
  await put('a', 'two')
  await put('deleted', 'three')
  await remove('deleted')
  const [version, entry] = [String((await versions('a'))[0]?.id), String((await trash())[0]?.id)]
  const before = [(await listVersions('a')).text, (await listTrash()).text]
  const ben = accountOf(server, (await signUp(server)).token)
  const asBen = async () => [await ben.listVersions('a'), await ben.get('a', { version }), await ben.restore('a', version), await ben.removeVersion('a', version), await ben.restoreFile(entry, { name: 'mine' }), await ben.removeFromTrash(entry)]
  for (const { status } of await asBen()) t.equal(status, 404)
  await ben.put('a', 'of ben')
  for (const { status } of (await asBen()).slice(1)) t.equal(status, 404, 'nor with a file of that name')
  t.strictSame(await ben.trash(), [])
  t.equal((await ben.emptyTrash()).status, 204)
  t.strictSame([(await listVersions('a')).text, (await listTrash()).text], before)
})

t.test('a page leads to the next one, and a cursor is for its listing only', async t => {
  const anna = await shareAccount()
  const { server } = anna
  const ben = accountOf(server, (await signUp(server)).token)
  for (const { put, remove } of [anna, ben] as KeptAccount[]) {
    for (const name of ['a b', 'b', 'c', 'd']) for (const text of ['1', '2', '3']) await put(name, text)
    for (const name of ['c', 'd']) await remove(name)
  }
  const cursors = {
    versions: (await anna.listVersions('a b', { limit: '1' })).json.next,
    'another file': (await anna.listVersions('b', { limit: '1' })).json.next,
    trash: (await anna.listTrash({ limit: '1' })).json.next,
    files: (await anna.send('GET', '/api/files?limit=1')).json.next,
    'versions of ben': (await ben.listVersions('a b', { limit: '1' })).json.next,
    'trash of ben': (await ben.listTrash({ limit: '1' })).json.next
  }
  const altered = Buffer.from(cursors.versions, 'base64url')
  altered[altered.length - 3] = (altered.at(-3) ?? 0) ^ 1
  for (const [own, path, list] of [['versions', `${metadataPath('a b')}/versions`, (query: Record<string, string>) => anna.listVersions('a b', query)], ['trash', '/api/trash', anna.listTrash]] as const) {
    const { json, headers } = await list({ limit: '1' })
    const [, link = ''] = /^<([^>]+)>; rel="next"$/.exec(String(headers.link)) ?? []
    t.equal(link, `${server.url}${path}?limit=1&cursor=${json.next}`)
    const next = await anna.send('GET', link.slice(server.url.length))
    t.match(next, { status: 200, headers: { link: undefined }, json: { next: null } })
    t.equal((next.json.versions ?? next.json.files).length, 1)
    for (const [what, cursor] of Object.entries({ ...cursors, altered: altered.toString('base64url'), longer: `${cursors[own]}A`, none: '' })) {
      const { status, json } = await list({ cursor })
      t.equal(status, what === own ? 200 : 400, `${own}: ${what}`)
      if (what !== own) t.match(json, { code: 'validation_failed', errors: [{ field: 'cursor' }] })
    }
    for (const query of ['limit=0', 'limit=1001', 'limit=', 'limit=1&limit=1', 'order=name', 'x=y', `cursor=${cursors[own]}&cursor=${cursors[own]}`]) t.match(await anna.send('GET', `${path}?${query}`), { status: 400, json: { code: 'validation_failed' } }, query)
  }
  await anna.rename('a b', 'e')
  t.match(await anna.listVersions('e', { cursor: cursors.versions }), { status: 200 }, 'a cursor belongs to the file')
  await anna.remove('e')
  await anna.put('a b', '1')
  t.match(await anna.listVersions('a b', { cursor: cursors.versions }), { status: 400 }, 'and not to the name')
})

t.test('after all that, the bytes of files, of versions and of the trash are stored, and nothing else', t => areTidy(t, {}, LIMITED))
