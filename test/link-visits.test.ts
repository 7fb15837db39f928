import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { createLink, openLinkOwner, type CreatedLink, type LinkOwner as Owner } from './kit/links.ts'
import { refused } from './kit/refusals.ts'
import { comparable, formOf, sharedServer, signUp, spawnServer, startServer, type Answer, type RunningServer, type SendOptions, type Settings } from './kit/server.ts'
import { runSql } from './kit/stores.ts'
import { MIB } from './kit/sizes.ts'
import { eventually } from './kit/waiting.ts'

const PASSWORD = 'tell it by phone'

const HTML = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }

const UNKNOWN = 'a'.repeat(22)

/** An account with a report and a folder. */
async function openOwner (server: RunningServer): Promise<Owner> {
  const owner = await openLinkOwner(server)
  await owner.send('PUT', '/uploads/report.txt', { body: 'the bytes', headers: { 'content-type': 'text/plain' } })
  await owner.send('PUT', '/api/folders/inbox')
  return { ...owner, share: json => owner.share({ name: 'report.txt', kind: 'download', ...json }) }
}

const shareOwner = async (settings: Settings = {}) => openOwner(await sharedServer({ LINKS: 'on', ...settings }))

const inbox = { name: 'inbox', kind: 'upload' }

const basic = (password: string, username = '') => ({ authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` })

const unlock = ({ server }: Pick<Owner, 'server'>, path: string, password: string, headers: Record<string, string> = {}) =>
  server.send('POST', `${path}/unlock`, { json: { password }, headers })

const cookieIn = ({ headers }: Answer) => String(headers['set-cookie']?.[0]).split(';', 1)[0] ?? ''

t.test('a link tells what it gives, from whom, until when and how much it accepts', async t => {
  const owner = await shareOwner()
  const expiresAt = new Date(Math.ceil(Date.now() / 1000) * 1000 + 60_000).toISOString()
  const file = await owner.share({ expiresAt })
  const shown = { needsPassword: false, kind: 'download', name: 'report.txt', isFolder: false, size: 9, type: 'text/plain', expiresAt, owner: owner.user[0], accepts: null }
  t.strictSame((await owner.get(file.path)).json, shown)
  t.equal((await owner.server.send('HEAD', file.path)).status, 200)
  const { owner: none, ...hidden } = shown
  t.strictSame((await owner.get((await owner.share({ expiresAt, showsOwner: false })).path)).json, hidden, 'an owner can hide')
  const folder = await owner.share({ name: 'inbox', expiresAt })
  const ofFolder = { ...shown, name: 'inbox', isFolder: true, size: null, type: null }
  t.strictSame((await owner.get(folder.path)).json, ofFolder)
  const request = await owner.share({ ...inbox, maxFiles: 5, maxBytes: 1000, expiresAt })
  t.strictSame((await owner.get(request.path)).json, { ...ofFolder, kind: 'upload', accepts: { files: 5, bytes: 1000 } })
  await runSql(owner.server.dataDir, `UPDATE links SET used_files = 9 WHERE id = ${request.id}`)
  t.strictSame((await owner.get(request.path)).json.accepts, { files: 0, bytes: 1000 }, 'not less than nothing')
})

t.test('browsers get one page for every link, also for one that is not there', async t => {
  const owner = await shareOwner()
  const open = await owner.share({})
  const [locked, request] = [await owner.share({ password: PASSWORD }), await owner.share(inbox)]
  const page = await owner.get(open.path, HTML)
  t.match(page, { status: 200, text: /^<!doctype html>/, headers: { 'content-type': 'text/html; charset=utf-8', vary: 'Accept', 'cache-control': 'no-store', 'x-robots-tag': 'noindex', 'referrer-policy': 'no-referrer', 'x-frame-options': 'DENY' } })
  t.match(page.headers['content-security-policy'], /^default-src 'none';.*;form-action 'self';/)
  t.equal(page.headers['set-cookie'], undefined)
  for (const { path } of [locked, request]) t.strictSame(comparable(await owner.get(path, HTML)), comparable(page))
  const dead = await owner.get(`/s/${UNKNOWN}`, HTML)
  t.strictSame(comparable(dead), { ...comparable(page), status: 404 })
  t.equal((await owner.server.send('HEAD', `/s/${UNKNOWN}`, { headers: HTML })).status, 404)
  const { headers: { 'content-security-policy': policy } } = await owner.get('/', HTML)
  t.equal(page.headers['content-security-policy'], String(policy).replace("form-action 'none'", "form-action 'self'"), 'the page of accounts sends no forms')
  t.match(await owner.get(`${open.path}/list`, HTML), { json: { files: [{}] } }, 'only the link itself is a page')
})

t.test('without a page, browsers get what programs get', async t => {
  const owner = await shareOwner({ WEB_PAGE: 'off' })
  const { path } = await owner.share({})
  t.match(await owner.get(path, HTML), { status: 200, json: { name: 'report.txt' }, headers: { vary: 'Accept' } })
  refused(t, await owner.get(`/s/${UNKNOWN}`, HTML), 404, 'not_found')
})

t.test('a form without a script downloads a file that needs no password', async t => {
  const owner = await shareOwner()
  await owner.send('PATCH', '/api/files/report.txt', { json: { name: 'a/50% off?.txt' } })
  const { path, secret } = await owner.share({ name: 'a/50% off?.txt' })
  const answer = await owner.get(`${path}?download=`, HTML)
  t.match(answer, { status: 303, headers: { location: `${secret}/files/50%25%20off%3F.txt`, 'cache-control': 'no-store' } })
  t.equal((await owner.get(new URL(String(answer.headers.location), `${owner.server.url}${path}`).pathname)).text, 'the bytes')
  const others = [await owner.share({ name: 'a/50% off?.txt', password: PASSWORD }), await owner.share({ name: 'a' }), await owner.share(inbox)]
  for (const { path } of others) t.match(await owner.get(`${path}?download`, HTML), { status: 200, text: /^<!doctype html>/ })
})

t.test('a password locks a link until it is given', async t => {
  const owner = await shareOwner()
  const { path, secret } = await owner.share({ password: PASSWORD })
  t.strictSame((await owner.get(path)).json, { needsPassword: true })
  for (const [method, address] of [['GET', `${path}/list`], ['GET', `${path}/zip`], ['GET', `${path}/files/x`], ['HEAD', `${path}/files/x`]] as const) {
    const answer = await owner.server.send(method, address)
    t.match({ status: answer.status, challenge: answer.headers['www-authenticate'] }, { status: 403, challenge: undefined }, 'no dialog of the browser')
    if (method === 'GET') t.equal(answer.json.code, 'link_password_required')
  }
  refused(t, await unlock(owner, path, 'wrong'), 403, 'link_password_wrong')
  const unlocked = await unlock(owner, path, PASSWORD)
  t.match(unlocked, { status: 204, headers: { 'set-cookie': [new RegExp(`^magicstore_link=[\\w-]+; Max-Age=43200; Path=/s/${secret}; HttpOnly; SameSite=Strict$`)] } })
  const cookie = cookieIn(unlocked)
  t.match(await owner.get(path, { cookie }), { json: { name: 'report.txt', needsPassword: false } })
  t.equal((await owner.get(`${path}/files/x`, { cookie })).text, 'the bytes')
  t.equal((await owner.get(`${path}/list`, { cookie })).status, 200)
  t.equal((await owner.get(`${path}/files/x`, basic(PASSWORD))).text, 'the bytes', 'as curl -u :password')
  refused(t, await owner.get(`${path}/files/x`, basic('wrong')), 403, 'link_password_wrong')
  refused(t, await owner.get(path, basic('wrong')), 403, 'link_password_wrong')
  for (const headers of [basic(PASSWORD, 'ann'), { authorization: `Bearer ${PASSWORD}` }, { cookie: `${cookie}x` }, { cookie: 'magicstore_link=' }, { cookie: cookie.replace('magicstore', '__Secure-magicstore') }]) {
    refused(t, await owner.get(`${path}/files/x`, headers), 403, 'link_password_required', JSON.stringify(headers))
  }
  t.match(await unlock(owner, (await owner.share({})).path, 'any'), { status: 204, headers: { 'set-cookie': undefined } }, 'a link without a password needs none')
})

t.test('a cookie unlocks one link, until its password changes', async t => {
  const owner = await shareOwner()
  const [one, other] = [await owner.share({ password: PASSWORD }), await owner.share({ password: PASSWORD })]
  const cookie = cookieIn(await unlock(owner, one.path, PASSWORD))
  const status = async ({ path }: CreatedLink) => (await owner.get(`${path}/files/x`, { cookie })).status
  t.equal(await status(one), 200)
  t.equal(await status(other), 403)
  await owner.send('PATCH', `/api/links/${one.id}`, { json: { password: PASSWORD } })
  t.equal(await status(one), 403, 'even to the same one')
  await owner.send('PATCH', `/api/links/${one.id}`, { json: { password: null } })
  t.equal(await status(one), 200, 'none is needed')
})

t.test('over TLS, the cookie has its secure form, and the path of PUBLIC_URL', async t => {
  const proxied = await shareOwner({ TRUST_PROXY: '127.0.0.1', PUBLIC_URL: 'https://example.org/files/' })
  const { path } = await proxied.share({ password: PASSWORD })
  const secure = { 'x-forwarded-for': '198.51.100.1', 'x-forwarded-proto': 'https' }
  const unlocked = await unlock(proxied, path, PASSWORD, secure)
  t.match(unlocked.headers['set-cookie'], [new RegExp(`^__Secure-magicstore_link=[\\w-]+; Max-Age=43200; Path=/files${path}; HttpOnly; Secure; SameSite=Strict$`)])
  const cookie = cookieIn(unlocked)
  t.equal((await proxied.get(`${path}/files/x`, { ...secure, cookie })).status, 200)
  t.equal((await proxied.get(`${path}/files/x`, { cookie })).status, 403, 'of no use without TLS')
  const plain = { ...secure, 'x-forwarded-proto': 'http' }
  refused(t, await unlock(proxied, path, PASSWORD, plain), 403, 'tls_required')
  refused(t, await proxied.get(`${path}/files/x`, { ...plain, ...basic(PASSWORD) }), 403, 'tls_required')
  t.equal((await unlock(proxied, (await proxied.share({})).path, 'any', plain)).status, 204, 'without a password there is nothing to hide')
})

t.test('wrong passwords are limited for a link and a network, before any is hashed', async t => {
  const owner = await shareOwner({ TRUST_PROXY: '127.0.0.1', SIGN_IN_FAILURES: '2', PASSWORD_POLICY: 'open' })
  const [one, other] = [await owner.share({ password: PASSWORD }), await owner.share({ password: PASSWORD })]
  const from = (address: string) => ({ 'x-forwarded-for': address, 'x-forwarded-proto': 'https' })
  refused(t, await unlock(owner, one.path, 'wrong', from('192.0.2.1')), 403, 'link_password_wrong')
  refused(t, await owner.get(`${one.path}/files/x`, { ...basic('wrong'), ...from('192.0.2.1') }), 403, 'link_password_wrong')
  for (const answer of [await unlock(owner, one.path, PASSWORD, from('192.0.2.1')), await owner.get(`${one.path}/list`, { ...basic(PASSWORD), ...from('192.0.2.1') })]) {
    t.match(answer, { status: 429, json: { code: 'too_many_passwords' }, headers: { 'retry-after': /^\d+$/ } }, 'also the right one')
  }
  t.equal((await unlock(owner, one.path, PASSWORD, from('192.0.2.2'))).status, 204, 'another network')
  t.equal((await unlock(owner, other.path, PASSWORD, from('192.0.2.1'))).status, 204, 'another link')
  t.equal((await owner.server.send('GET', '/api/token', { user: owner.user, headers: from('192.0.2.1') })).status, 200, 'sign-ins are counted apart')
  const { json: { events } } = await owner.send('GET', '/api/account/events')
  t.match(events.filter(({ kind }: { kind: string }) => kind.startsWith('link')), [
    { kind: 'link_password_wrong', linkId: one.id, network: '192.0.2.1' }, { kind: 'link_password_wrong', linkId: one.id },
    { kind: 'link_created', linkId: other.id }, { kind: 'link_created', linkId: one.id }
  ], 'the owner is told')
})

t.test('wrong passwords from many networks stop no network that unlocked the link before, until its password changes', async t => {
  const owner = await shareOwner({ TRUST_PROXY: '127.0.0.1', PASSWORD_POLICY: 'open' })
  const { path, id } = await owner.share({ password: PASSWORD })
  const from = (address: string) => ({ 'x-forwarded-for': address })
  const [known, byCurl, unknown] = [from('2001:db8::1'), from('192.0.2.1'), from('192.0.2.2')]
  const byPassword = (network: Record<string, string>) => owner.get(`${path}/files/x`, { ...basic(PASSWORD), ...network })
  t.equal((await unlock(owner, path, PASSWORD, known)).status, 204)
  t.equal((await byPassword(byCurl)).status, 200)
  refused(t, await unlock(owner, path, 'wrong', from('198.51.100.1')), 403, 'link_password_wrong')
  await runSql(owner.server.dataDir, `INSERT INTO attempts (kind, network, username_key, is_known_network, at)
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 99)
    SELECT kind, network || n, username_key, is_known_network, at FROM attempts, numbers WHERE network = '198.51.100.1'`)
  t.equal((await byPassword(unknown)).status, 429)
  t.equal((await unlock(owner, path, PASSWORD, from('2001:db8::2'))).status, 204, 'another address of the network')
  t.equal((await byPassword(byCurl)).status, 200)
  for (let count = 0; count < 10; count++) refused(t, await unlock(owner, path, 'wrong', byCurl), 403, 'link_password_wrong')
  t.equal((await byPassword(byCurl)).status, 429, 'its own limit')
  await owner.send('PATCH', `/api/links/${id}`, { json: { password: PASSWORD } })
  t.equal((await byPassword(known)).status, 429, 'it is as new')
})

t.test('requests for links that are not there block nobody', async t => {
  const owner = await shareOwner({ SIGN_IN_FAILURES: '1' })
  const { send } = owner.server
  const dead = `/s/${UNKNOWN}`
  for (let count = 0; count < 30; count++) {
    const answers = await Promise.all([
      owner.get(dead), owner.get(`${dead}/files/x`, basic('wrong')), unlock(owner, dead, 'wrong'),
      send('PUT', `${dead}/files/x`, { body: 'x' })
    ])
    for (const { status } of answers) if (status !== 404) t.equal(status, 404)
  }
  const { path } = await owner.share({ password: PASSWORD })
  t.equal((await unlock(owner, path, PASSWORD)).status, 204)
  t.equal((await owner.get(`${path}/files/x`, basic(PASSWORD))).text, 'the bytes')
  t.equal((await owner.send('GET', '/api/resource')).status, 200, 'nor the sign-in of an account')
})

/** What is asked of a link, also with bodies that are too large or wrong. */
const requests: [method: string, path: string, options?: SendOptions][] = [
  ['GET', ''], ['HEAD', ''], ['GET', '?download'], ['GET', '/list'], ['GET', '/list?cursor=x&version=1'], ['GET', '/files/report.txt'], ['GET', '/files/a/b'], ['HEAD', '/files/report.txt'],
  ['GET', '/files/report.txt?version=1'], ['POST', '/unlock', { json: { password: PASSWORD } }], ['POST', '/unlock', { body: 'x'.repeat(MIB), headers: { 'content-type': 'text/xml' } }],
  ['POST', '/unlock', { body: '{', headers: { 'content-type': 'a malformed type' } }], ['GET', '/none'], ['GET', '/'],
  ['GET', '', { headers: HTML }], ['GET', '', { headers: basic(PASSWORD) }], ['GET', '/files/a', { headers: { range: 'bytes=0-1', 'if-match': '"x"', authorization: 'Bearer x', cookie: 'magicstore_link=x' } }],
  ['HEAD', '/list', { headers: { 'if-none-match': '*' } }], ['POST', '/unlock', { headers: { 'content-length': '9', expect: '100-continue', ...basic(PASSWORD) } }]
]

/** The same of an `upload` link. */
const uploads: typeof requests = [
  ['PUT', '/files/a.txt', { body: 'x'.repeat(MIB) }], ['PUT', '/files/a%2Fb', { body: 'x', headers: { 'content-range': 'bytes 0-1/2' } }], ['POST', '/files', formOf('a.txt', 'x'.repeat(MIB))],
  ['POST', '/files', { body: 'x', headers: { 'content-type': 'text/plain' } }], ['POST', '/uploads', { headers: { 'tus-resumable': '1.0.0', 'upload-length': '99999999999999' } }],
  ['PATCH', `/uploads/${'b'.repeat(32)}`, { body: 'x', headers: { 'tus-resumable': '1.0.0', 'upload-offset': '7' } }], ['HEAD', `/uploads/${'b'.repeat(32)}`], ['DELETE', `/uploads/${'b'.repeat(32)}`], ['OPTIONS', '/uploads'],
  ['GET', `/uploads/${'b'.repeat(32)}`], ['POST', `/uploads/${'b'.repeat(32)}`, { headers: { 'tus-resumable': '1.0.0', 'x-http-method-override': 'HEAD' } }]
]

/** Links that are not there, by what happened to them; `secret` is the last part of their path. */
async function deadLinks (owner: Owner): Promise<Record<string, string>> {
  const { server, send } = owner
  const links: Record<string, CreatedLink> = {}
  for (const name of ['expired', 'revoked', 'replaced', 'of a deleted file']) {
    await send('PUT', `/uploads/${encodeURIComponent(name)}`, { body: 'bytes' })
    links[name] = await owner.share({ name })
  }
  const idOf = (name: string) => String(links[name]?.id)
  await runSql(server.dataDir, `UPDATE links SET expires_at = 1 WHERE id = ${idOf('expired')}`)
  await send('DELETE', `/api/links/${idOf('revoked')}`)
  await send('POST', `/api/links/${idOf('replaced')}/secret`)
  await send('DELETE', `/uploads/${encodeURIComponent('of a deleted file')}`)
  for (const name of ['bob', 'cleo']) {
    const { user, id } = await signUp(server)
    await server.send('PUT', '/uploads/a.txt', { user, body: 'bytes' })
    links[name] = await createLink(server, { user }, { name: 'a.txt', kind: 'download' })
    if (name === 'bob') await runSql(server.dataDir, `UPDATE accounts SET disabled_at = 1 WHERE id = ${id}`)
    else await server.send('DELETE', '/api/account', { user })
  }
  return Object.fromEntries(Object.entries(links).map(([name, { secret }]) => [name, secret]))
}

const malformed = { unknown: UNKNOWN, short: 'a', long: 'a'.repeat(23), strange: `${'a'.repeat(21)}%2F`, empty: '', dots: '%2e%2e', quoted: `${'a'.repeat(21)}'`, 'not ASCII': `${'a'.repeat(21)}%C3%A9`, 'very long': 'a'.repeat(4000) }

/** A response without what depends on how much of a body has arrived. */
function refusal (answer: Answer): Answer['headers'] {
  const { date, connection, 'x-request-id': id, ...headers } = answer.headers
  return { ...headers, status: String(answer.status), text: answer.text.replace(/(?<=:request:)[\w-]+/, '') }
}

t.test('every link that is not there gets the same 404, whatever is asked and sent', async t => {
  const owner = await shareOwner()
  const { server } = owner
  const dead = { ...malformed, ...await deadLinks(owner) }
  const off = await sharedServer({ LINKS: 'off' })
  for (const [method, path, options] of [...requests, ...uploads]) {
    const expected = refusal(await server.send(method, `/s/${UNKNOWN}${path}`, options))
    t.equal(expected.status, '404', `${method} ${path}`)
    for (const [name, secret] of Object.entries(dead)) {
      t.strictSame(refusal(await server.send(method, `/s/${secret}${path}`, options)), expected, `${method} ${path} of a link that is ${name}`)
    }
    t.strictSame(refusal(await off.send(method, `/s/${UNKNOWN}${path}`, options)), expected, `${method} ${path} with LINKS=off`)
  }
  const { path } = await owner.share(inbox)
  const expected = refusal(await server.send('GET', `/s/${UNKNOWN}/list`))
  for (const address of ['/list', '/files/a.txt', '/files/a/b']) t.strictSame(refusal(await server.send('GET', path + address)), expected, `a link of the other kind: ${address}`)
  const { path: download } = await owner.share({ password: PASSWORD })
  for (const [method, address, { headers, ...options } = {}] of uploads) {
    const unlocked = { ...options, headers: { ...headers, ...basic(PASSWORD) } }
    const answer = refusal(await server.send(method, download + address, unlocked))
    t.strictSame(answer, refusal(await server.send(method, `/s/${UNKNOWN}${address}`, unlocked)), `a link of the other kind: ${method} ${address}`)
  }
})

t.test('until a link is unlocked, nothing tells whether it gives or takes', async t => {
  const owner = await shareOwner()
  const { send } = owner.server
  const download = await owner.share({ password: PASSWORD })
  const request = await owner.share({ ...inbox, password: PASSWORD })
  const isLocked = (options?: SendOptions) => options?.headers?.authorization !== basic(PASSWORD).authorization
  for (const [method, path, options] of [...requests, ...uploads]) {
    if (path === '/unlock' || !isLocked(options)) continue
    const answer = await send(method, download.path + path, options)
    t.strictSame(refusal(answer), refusal(await send(method, request.path + path, options)), `${method} ${path}`)
    if (/^\/(?:files|list|uploads)/.test(path)) t.equal(answer.status, 403, `${method} ${path}`)
  }
})

t.test('with LINKS=off, every path and method below /s/ is 404, and links rest', async t => {
  const { server, share } = await openOwner(await startServer(t, { LINKS: 'on', DATA_DIR: t.testdir() }))
  const { path } = await share({})
  await server.close()
  const off = await startServer(t, { LINKS: 'off', RATE_LIMIT_PER_MINUTE: '0', DATA_DIR: server.dataDir })
  for (const [method, address, options] of [...requests, ...uploads]) t.equal((await off.send(method, path + address, options)).status, 404, `${method} ${address}`)
  for (const method of ['DELETE', 'PUT', 'PATCH', 'OPTIONS', 'PROPFIND', 'POST', 'LINK']) t.equal((await off.send(method, path)).status, 404, method)
  await off.close()
  const on = await startServer(t, { LINKS: 'on', DATA_DIR: server.dataDir })
  t.equal((await on.send('GET', `${path}/files/x`)).text, 'the bytes')
  t.equal((await on.send('DELETE', path)).status, 405, 'a method that no link has')
})

t.test('64 downloads by one link are the most, a network has 16 of them, and the owner has others', async t => {
  const owner = await shareOwner({ TRUST_PROXY: '127.0.0.1' })
  await owner.send('PUT', '/uploads/large', { body: Buffer.alloc(32 * MIB) })
  const [one, other] = [await owner.share({ name: 'large' }), await owner.share({ name: 'large' })]
  const sockets: Socket[] = await Promise.all(Array.from({ length: 64 }, async (_, index) => {
    const socket = connect(owner.server.port, '127.0.0.1').on('error', () => {})
    socket.write(`GET ${one.path}/files/x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.${index % 4}\r\n\r\n`)
    await once(socket, 'readable')
    return socket
  }))
  const firstBytes = (from: string) => owner.get(`${one.path}/files/x`, { range: 'bytes=0-1', 'x-forwarded-for': from })
  t.match(await firstBytes('192.0.2.9'), { status: 429, json: { code: 'too_many_transfers' }, headers: { 'retry-after': /^\d+$/ } })
  for (const path of [`${other.path}/files/x`, '/uploads/report.txt']) t.equal((await owner.send('GET', path, { headers: { range: 'bytes=0-1' } })).status, 206, path)
  t.equal((await owner.server.send('HEAD', `${one.path}/files/x`)).status, 200, 'what is no transfer goes on')
  sockets[0]?.destroy()
  t.ok(await eventually(async () => (await firstBytes('192.0.2.9')).status === 206))
  t.equal((await firstBytes('192.0.2.1')).status, 429, 'a network that has 16')
  for (const socket of sockets) socket.destroy()
  t.ok(await eventually(async () => (await firstBytes('192.0.2.1')).status === 206))
})

t.test('no line of the log has the secret of a link', async t => {
  const server = await spawnServer(t, { DATA_DIR: t.testdir(), LINKS: 'on' })
  const output = server.child.stdout!.setEncoding('utf8').toArray()
  const { user } = await signUp(server, 'ann')
  await server.send('PUT', '/uploads/report.txt', { user, body: 'the bytes' })
  const { secret, id } = await createLink(server, { user }, { name: 'report.txt', kind: 'download', password: PASSWORD })
  const paths = [`/s/${secret}`, `/s/${secret}/files/report.txt`, `/s/${secret}?download`, `/s/${secret}/unlock`, `/s/${secret}/none`, `/s/${secret}%ff`, `/%73/${secret}/list`, `/s/${secret}/files/%zz`]
  const mistyped = [`/files/s/${secret}`, `/./s/${secret}`, `/S/${secret}/list`, `/s%2F${secret}`]
  for (const path of mistyped) await server.send('GET', path)
  for (const path of paths) {
    const answer = await server.send('GET', path, { headers: { referer: `${server.url}/s/${secret}` } })
    t.match(answer.headers, { 'referrer-policy': 'no-referrer', 'x-robots-tag': 'noindex' }, path)
  }
  for (const password of ['wrong', PASSWORD]) await server.send('POST', `/s/${secret}/unlock`, { json: { password } })
  await server.send('GET', `http://127.0.0.1:${server.port}/s/${secret}/list`)
  t.equal(await server.end('SIGTERM'), 0)
  const log = (await output).join('')
  t.notOk(log.includes(secret))
  t.notOk(log.includes(PASSWORD))
  const lines: Record<string, unknown>[] = log.split('\n').filter(line => line.startsWith('{')).map(line => JSON.parse(line))
  const logged = lines.flatMap(({ path }) => String(path).startsWith('/s/') ? [path] : [])
  t.match(lines.filter(({ path, status }) => path === '/s/-/unlock' && status !== 405), [{ linkId: id, status: 403 }, { linkId: id, status: 204 }], 'the link is named by its id')
  t.match(lines.filter(({ msg }) => msg === 'link_password_wrong'), [{ security: { accountId: 1, details: { linkId: id } } }])
  t.strictSame(logged, ['/s/-/list', '/s/-', '/s/-', '/s/-/files/report.txt', '/s/-', '/s/-/unlock', '/s/-/none', '/s/-', '/s/-/list', '/s/-/files/%zz', '/s/-/unlock', '/s/-/unlock', '/s/-/list'])
})
