import { once } from 'node:events'
import { truncate } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import t, { type Test } from 'tap'
import { LinkUses } from '#src/links/link-uses.ts'
import { createLink, openLinkOwner, type CreatedLink, type LinkOwner } from './kit/links.ts'
import { comparable, sharedServer, startServer, type Answer, type RunningServer } from './kit/server.ts'
import { MIB } from './kit/sizes.ts'
import { blobFiles, refuseUpdates, skipWithoutFolder } from './kit/stores.ts'
import { eventually, until } from './kit/waiting.ts'
import { readZip } from './kit/zips.ts'

const SANDBOX = "default-src 'none'; sandbox"

interface Owner extends Omit<LinkOwner, 'share'> {
  put (name: string, body: string): Promise<Answer>
  share (name: string): Promise<CreatedLink>
}

/** An account with a report. */
async function openOwner (server: RunningServer): Promise<Owner> {
  const owner = await openLinkOwner(server)
  const put = (name: string, body: string) => owner.send('PUT', `/uploads/${encodeURIComponent(name)}`, { body, headers: { 'content-type': 'text/html' } })
  await put('report.html', 'the bytes')
  return { ...owner, put, share: name => owner.share({ name, kind: 'download' }) }
}

const shareOwner = async () => openOwner(await sharedServer({ LINKS: 'on' }))

function isGone (t: Test, answer: Answer, message: string): void {
  t.match(answer, { status: 404, json: { code: 'not_found' } }, message)
}

const usesOf = async ({ send }: Owner, { id }: CreatedLink) => (await send('GET', `/api/links/${id}`)).json.uses

t.test('a link of a file gives its bytes to anybody, as an attachment that runs nothing and is kept nowhere', async t => {
  const owner = await shareOwner()
  const { server, get } = owner
  const { path } = await owner.share('report.html')
  const answer = await get(`${path}/files/report.html`)
  t.match(answer, {
    status: 200,
    text: 'the bytes',
    headers: {
      'content-type': 'text/html',
      'content-disposition': /^attachment; filename=report.html; /,
      'content-security-policy': SANDBOX,
      'cross-origin-resource-policy': 'same-origin',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-robots-tag': 'noindex',
      'x-content-type-options': 'nosniff'
    }
  })
  const head = await server.send('HEAD', `${path}/files/report.html`)
  t.strictSame({ ...comparable(head), text: '' }, { ...comparable(answer), text: '' })
  t.equal(head.text, '')
  for (const name of ['x', '..%2f..%2fother', 'a/b', '%2e%2e', 'other.html', '']) t.equal((await get(`${path}/files/${name}`)).text, 'the bytes', `the name ${name} is not looked up`)
  for (const authorization of ['Bearer none', 'Basic bm9ib2R5OnB3ZA==', 'Basic !', 'Token x', 'Basic Og==']) t.equal((await get(`${path}/files/x`, { authorization })).status, 200, `${authorization} is ignored`)
})

t.test('only a PDF is shown in the window of a visitor, and only where that is asked for', async t => {
  const owner = await shareOwner()
  const types = { 'a.pdf': 'application/pdf', 'b.pdf': 'Application/PDF; x=y', 'c.png': 'image/png', 'd.txt': 'text/plain', 'e.html': 'text/html', 'f.svg': 'image/svg+xml', 'g.pdf': 'text/html' }
  for (const [name, type] of Object.entries(types)) await owner.send('PUT', `/uploads/shown/${name}`, { body: '%PDF-', headers: { 'content-type': type } })
  const { path } = await owner.share('shown')
  for (const name of Object.keys(types)) {
    for (const method of ['GET', 'HEAD']) {
      const { status, headers } = await owner.server.send(method, `${path}/files/${name}?disposition=inline`)
      const isShown = ['a.pdf', 'b.pdf'].includes(name)
      t.match({ status, disposition: headers['content-disposition'], cache: headers['cache-control'] }, { status: 200, disposition: isShown ? /^inline; / : /^attachment; /, cache: 'no-store' }, `${method} ${name}`)
      if (!isShown) t.equal(headers['content-security-policy'], SANDBOX, name)
      else t.match(headers['content-security-policy'], /^default-src 'none'; /, name)
    }
  }
  for (const query of ['', '?disposition=attachment']) t.match((await owner.get(`${path}/files/a.pdf${query}`)).headers, { 'content-disposition': /^attachment; /, 'content-security-policy': SANDBOX })
  for (const address of [path, `${path}/zip`, `${path}/list`]) t.equal((await owner.get(`${address}?disposition=inline`)).status, 400, address)
})

t.test('ranges and conditions apply to a download by a link', async t => {
  const owner = await shareOwner()
  const { path } = await owner.share('report.html')
  const get = (headers: Record<string, string>, method = 'GET') => owner.server.send(method, `${path}/files/x`, { headers })
  const etag = String((await get({})).headers.etag)
  t.match(await get({ range: 'bytes=4-8' }), { status: 206, text: 'bytes', headers: { 'content-range': 'bytes 4-8/9', 'cache-control': 'no-store' } })
  t.match(await get({ range: 'bytes=0-2,4-8' }), { status: 206, headers: { 'content-type': /^multipart\/byteranges/ } })
  t.match(await get({ range: 'bytes=9-' }), { status: 416, json: { code: 'range_not_satisfiable' } })
  t.match(await get({ 'if-none-match': etag }), { status: 304, text: '', headers: { 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' } })
  t.match(await get({ 'if-match': '"other"' }), { status: 412, json: { code: 'precondition_failed' } })
  t.equal((await get({ 'if-none-match': etag }, 'HEAD')).status, 304)
  t.equal((await get({ 'if-match': '"other"' }, 'HEAD')).status, 412)
})

t.test('a download from the first byte is a use; nothing else is', async t => {
  const owner = await openOwner(await startServer(t, { LINKS: 'on', DATA_DIR: t.testdir() }))
  await owner.put('empty', '')
  const link = await owner.share('report.html')
  const empty = await owner.share('empty')
  const get = (headers: Record<string, string> = {}) => owner.get(`${link.path}/files/x`, headers)
  const { headers: { etag } } = await owner.server.send('HEAD', `${link.path}/files/x`)
  for (const headers of [{ range: 'bytes=1-' }, { range: 'bytes=9-' }, { 'if-none-match': String(etag) }, { range: 'bytes=1-2,4-5' }]) await get(headers)
  for (const path of ['', '/list']) await owner.get(link.path + path)
  t.match((await owner.send('GET', `/api/links/${link.id}`)).json, { uses: 0, lastUsedAt: null })
  await owner.get(`${empty.path}/files/x`)
  await until(() => usesOf(owner, empty), uses => uses === 1)
  await get()
  await until(() => usesOf(owner, link), uses => uses === 1)
  t.match((await owner.send('GET', `/api/links/${link.id}`)).json, { lastUsedAt: /Z$/ })
  for (const headers of [{}, { range: 'bytes=0-0' }, { range: 'bytes=4-,0-1' }]) await get(headers)
  t.equal(await usesOf(owner, link), 1, 'at most one write a minute')
  await owner.server.close()
  const restarted = await startServer(t, { LINKS: 'on', DATA_DIR: owner.server.dataDir })
  t.equal((await restarted.send('GET', `/api/links/${link.id}`, { user: owner.user })).json.uses, 4, 'a server that stops writes the rest')
})

t.test('a download does not fail with the record of its use', async t => {
  const owner = await openOwner(await startServer(t, { LINKS: 'on' }))
  const { path, id } = await owner.share('report.html')
  await refuseUpdates(owner.server.dataDir, 'links')
  t.equal((await owner.get(`${path}/files/x`)).text, 'the bytes')
  t.equal((await owner.send('GET', `/api/links/${id}`)).json.uses, 0)
})

t.test('uses are written at once, then together, and not counted for more links than there is room for', async t => {
  const written: { id: number, count: number, at: number }[] = []
  const links = {
    async recordUses (id: number, uses: { count: number, at: number }) { written.push({ id, ...uses }) }
  }
  const uses = new LinkUses({ links, onFailure: error => t.fail(String(error)), intervalMilliseconds: 1 })
  uses.add(1, 10)
  uses.add(1, 20)
  uses.add(1, 30)
  await until(() => written.length === 2)
  t.strictSame(written, [{ id: 1, count: 1, at: 10 }, { id: 1, count: 2, at: 30 }])
  uses.add(1, 40)
  await until(() => written.length === 3)
  // Written at once only if it was not used for so long.
  await until(() => {
    const before = written.length
    uses.add(1, 50)
    return written.length > before
  })
  await uses.close()
  const many = new LinkUses({ links: { recordUses: async () => {} }, onFailure: error => t.fail(String(error)) })
  for (let id = 1; id <= 100_001; id++) many.add(id, 0)
  await many.close()
})

/** An account with a linked folder `team/reports`, and what is beside it. */
async function shareFolder () {
  const owner = await shareOwner()
  for (const name of ['team/reports/a.txt', 'team/reports/2026/b.txt', 'team/reports/2026/May/c.txt', 'team/reports2/sibling.txt', 'team/secret.txt', 'team/reports/é.txt']) await owner.put(name, `bytes of ${name}`)
  return { owner, link: await owner.share('team/reports') }
}

t.test('a link of a folder gives the files in it and below it, by their path from there', async t => {
  const { owner, link: { path } } = await shareFolder()
  for (const name of ['a.txt', '2026/b.txt', '2026%2Fb.txt', '2026/May/c.txt', '2026%2FMay/c.txt', 'e%CC%81.txt', '%C3%A9.txt']) {
    const answer = await owner.get(`${path}/files/${name}`)
    t.equal(answer.text, `bytes of team/reports/${decodeURIComponent(name).normalize('NFC')}`, name)
    t.equal((await owner.server.send('HEAD', `${path}/files/${name}`)).status, 200)
  }
  const unreachable = [
    '..', '%2e%2e', '..%2Fsecret.txt', '../secret.txt', '%2e%2e/secret.txt', '%2E%2E%2Fsecret.txt', '2026/../a.txt', '2026/%2e%2e/a.txt', './a.txt', '.%2Fa.txt',
    '%2Fa.txt', '/a.txt', '%2Fteam%2Freports%2Fa.txt', 'a.txt/', 'a.txt%2F', '2026', '2026/', '', '%2F', '2026%2F%2Fb.txt', '..%5Csecret.txt', 'a.txt%00',
    'team/reports/a.txt', '..2/sibling.txt', '2/sibling.txt', '../reports2/sibling.txt', 'sibling.txt', 'secret.txt', 'report.html', 'A.txt', 'none'
  ]
  for (const name of unreachable) isGone(t, await owner.get(`${path}/files/${name}`), name)
  t.equal((await owner.server.send('HEAD', `${path}/files/none`)).status, 404)
})

t.test('a linked folder is listed page by page, with paths from there', async t => {
  const { owner, link: { path } } = await shareFolder()
  const list = async (query = '') => (await owner.get(`${path}/list${query}`)).json
  const { folders, files, next } = await list()
  t.match(folders, [{ name: '2026', url: `${owner.server.url}${path}/list?folder=2026` }])
  t.strictSame(Object.keys(folders[0]), ['name', 'createdAt', 'url'])
  t.match(files, [{ name: 'a.txt', size: 27, type: 'text/html' }, { name: 'é.txt' }])
  t.strictSame(Object.keys(files[0]), ['name', 'size', 'type', 'sha256', 'createdAt', 'updatedAt', 'modifiedAt', 'changedAt', 'takenAt', 'hasThumbnail', 'url'])
  t.equal(next, null)
  for (const { name, url } of files) t.equal((await owner.get(url.slice(owner.server.url.length))).text, `bytes of team/reports/${name}`)
  t.match(await list('?folder=2026'), { folders: [{ name: '2026/May' }], files: [{ name: '2026/b.txt' }] })
  t.match(await list('?folder=2026%2FMay'), { folders: [], files: [{ name: '2026/May/c.txt', url: /\/files\/2026\/May\/c.txt$/ }] })
  t.strictSame(await list('?folder=%2F'), await list())
  t.strictSame((await owner.server.send('HEAD', `${path}/list`)).status, 200)
  for (const folder of ['none', '..', '../reports2', '%2Fteam', '2026/', 'a.txt', '2026/..']) isGone(t, await owner.get(`${path}/list?folder=${folder}`), folder)
  for (const query of ['?cursor=x', '?limit=0', '?order=name', '?version=x', '?permanent=true', '?disposition=inline']) t.match(await owner.get(`${path}/list${query}`), { status: 400, json: { code: 'validation_failed' } }, query)
})

t.test('a linked folder is given as a zip, whole or in part', async t => {
  const { owner, link } = await shareFolder()
  const { path } = link
  const zipOf = async (query = '') => {
    const answer = await owner.get(`${path}/zip${query}`)
    t.match(answer.headers, { 'content-type': 'application/zip', 'cache-control': 'no-store', 'x-robots-tag': 'noindex', 'content-security-policy': SANDBOX })
    return { name: answer.headers['content-disposition'], paths: readZip(answer.bytes).map(entry => entry.path) }
  }
  t.equal((await owner.server.send('HEAD', `${path}/zip`)).status, 200)
  t.equal(await usesOf(owner, link), 0, 'a HEAD is no use')
  const whole = await zipOf()
  t.match(whole.name, /^attachment; filename=reports\.zip/)
  t.strictSame(whole.paths.sort(), ['2026/', '2026/May/', '2026/May/c.txt', '2026/b.txt', 'a.txt', 'é.txt'])
  t.ok(await eventually(async () => await usesOf(owner, link) === 1), 'one use')
  t.match(await zipOf('?folder=2026%2FMay'), { name: /filename=May\.zip/, paths: ['c.txt'] })
  for (const folder of ['none', '..', '../reports2', '%2Fteam', '2026/', 'a.txt', '2026/..']) isGone(t, await owner.get(`${path}/zip?folder=${folder}`), folder)
  t.match(await owner.get(`${path}/zip?disposition=inline`), { status: 400, json: { code: 'validation_failed' } })
  isGone(t, await owner.get(`${(await owner.share('report.html')).path}/zip`), 'a link of a file')
  const upload = await createLink(owner.server, { token: owner.token }, { name: 'team', kind: 'upload' })
  isGone(t, await owner.get(`${upload.path}/zip`), 'a request for files')
})

/** A download whose bytes are not read yet. */
async function beginGet (port: number, path: string, from: string): Promise<IncomingMessage> {
  const headers = { 'x-forwarded-for': from }
  const request = httpRequest({ host: '127.0.0.1', port, path, headers, agent: false }).end()
  request.on('error', () => {})
  const [response] = await once(request, 'response') as [IncomingMessage]
  return response
}

t.test('two zips at once are the most of a link, and one of a network', async t => {
  const owner = await openOwner(await sharedServer({ LINKS: 'on', TRUST_PROXY: '127.0.0.1' }))
  await owner.put('large/a', 'x'.repeat(16 * MIB))
  const [link, other] = [await owner.share('large'), await owner.share('large')]
  const begin = ({ path }: CreatedLink, from: string) => beginGet(owner.server.port, `${path}/zip`, from)
  const ask = ({ path }: CreatedLink, from: string) => owner.get(`${path}/zip`, { 'x-forwarded-for': from })
  const responses = [await begin(link, '192.0.2.1')]
  const refusal = { status: 429, json: { code: 'too_many_transfers' }, headers: { 'retry-after': '5' } }
  t.match(await ask(link, '192.0.2.1'), refusal, 'the same network')
  responses.push(await begin(link, '192.0.2.2'))
  t.match(await ask(link, '192.0.2.3'), refusal, 'a third one')
  responses.push(await begin(other, '192.0.2.1'))
  for (const response of responses) response.destroy()
  const isFree = async () => (await owner.server.send('HEAD', `${link.path}/zip`)).status === 200
  t.ok(await eventually(isFree))
})

t.test('eight zips at once are the most of all links', async t => {
  const owner = await openOwner(await startServer(t, { LINKS: 'on', TRUST_PROXY: '127.0.0.1', RATE_LIMIT_PER_MINUTE: '0' }))
  await owner.put('large/a', 'x'.repeat(16 * MIB))
  const links = await Promise.all(Array.from({ length: 5 }, () => owner.share('large')))
  const begin = ({ path }: CreatedLink, from: string) => beginGet(owner.server.port, `${path}/zip`, from)
  const responses = await Promise.all(links.slice(0, 4).flatMap((link, index) => [1, 2].map(side => begin(link, `192.0.2.${index * 2 + side}`))))
  t.strictSame(responses.map(({ statusCode }) => statusCode), Array(8).fill(200))
  t.match(await owner.get(`${links[4]?.path}/zip`, { 'x-forwarded-for': '192.0.2.99' }), { status: 429, json: { code: 'too_many_transfers' } })
  t.equal((await owner.send('GET', '/api/zip?folder=none')).status, 404, 'accounts have the rest')
  for (const response of responses) response.destroy()
})

t.test('a page of a listing goes on where the last one ended, also between folders and files', async t => {
  const owner = await shareOwner()
  for (const name of ['f/x/1', 'f/y/1', 'f/z/1', 'f/a', 'f/b', 'g/a']) await owner.put(name, name)
  const link = await owner.share('f')
  const other = await owner.share('f')
  for (const limit of [1, 2, 3, 4, 5, 6]) {
    const names: string[] = []
    let query = `?limit=${limit}`
    for (let pages = 0; query !== '' && pages < 9; pages++) {
      const { json, headers } = await owner.get(`${link.path}/list${query}`)
      t.ok(json.folders.length + json.files.length <= limit)
      names.push(...[...json.folders, ...json.files].map(({ name }: { name: string }) => name))
      query = json.next === null ? '' : `?limit=${limit}&cursor=${json.next}`
      t.equal(headers.link, json.next === null ? undefined : `<${owner.server.url}${link.path}/list${query}>; rel="next"`)
    }
    t.strictSame(names, ['x', 'y', 'z', 'a', 'b'], `${limit} a page`)
  }
  const { json: { next } } = await owner.get(`${link.path}/list?limit=1`)
  for (const path of [`${other.path}/list?cursor=${next}`, `${link.path}/list?folder=x&cursor=${next}`]) t.equal((await owner.get(path)).status, 400, 'a cursor is of one link and one folder')
})

t.test('a link of a file lists that', async t => {
  const owner = await shareOwner()
  await owner.put('deep/down/note.txt', 'a note')
  const { path } = await owner.share('deep/down/note.txt')
  t.match((await owner.get(path)).json, { name: 'note.txt' }, 'the folders above are not told')
  t.match((await owner.get(`${path}/list`)).json, { folders: [], files: [{ name: 'note.txt', size: 6 }], next: null })
  isGone(t, await owner.get(`${path}/list?folder=deep`), 'no folder')
})

t.test('parameters of other operations are refused by a link that is there', async t => {
  const owner = await shareOwner()
  const { path } = await owner.share('report.html')
  for (const parameter of ['version=x', 'permanent=true', 'disposition=x', 'folder=a', 'recursive=true']) {
    for (const [method, address] of [['GET', path], ['GET', `${path}/files/x`], ['HEAD', `${path}/files/x`], ['GET', `${path}/files/a/b`], ['POST', `${path}/unlock`]] as const) {
      const { status } = await owner.server.send(method, `${address}?${parameter}`, { ...method === 'POST' && { json: { password: 'x' } } })
      t.equal(status, 400, `${method} ${address}?${parameter}`)
    }
    isGone(t, await owner.get(`/s/${'a'.repeat(22)}/files/x?${parameter}`), `dead with ${parameter}`)
  }
})

t.test('a damaged file is an error by a link, too', { skip: skipWithoutFolder }, async t => {
  const owner = await openOwner(await startServer(t, { LINKS: 'on' }))
  await owner.put('in/a', 'other bytes')
  const [{ path }, folder] = [await owner.share('report.html'), await owner.share('in')]
  for (const blob of await blobFiles(owner.server.dataDir)) await truncate(blob, 1)
  for (const address of [`${path}/files/x`, `${folder.path}/zip`]) {
    t.match(await owner.get(address), { status: 500, json: { code: 'file_damaged' } }, address)
  }
  t.equal((await owner.server.send('HEAD', `${path}/files/x`)).status, 500)
})
