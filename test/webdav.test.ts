import { once } from 'node:events'
import { truncate } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import t, { type Test } from 'tap'
import { askWith, type Drive, driveOf, lockInfo, openDrive, openHttp2, personalToken, tokenOf } from './kit/drive.ts'
import { createLink } from './kit/links.ts'
import { answerToHead } from './kit/refusals.ts'
import { startServer, startTls, type Answer } from './kit/server.ts'
import { blobFiles, skipWithoutFolder } from './kit/stores.ts'
import { until } from './kit/waiting.ts'
import { sendRaw } from './kit/wire.ts'

const METHODS = 'COPY, DELETE, GET, HEAD, LOCK, MKCOL, MOVE, OPTIONS, PROPFIND, PROPPATCH, PUT, UNLOCK'

/** The problem of an answer: its status, and its code or the conditions of `DAV:error`. */
function problemOf ({ status, headers, text }: Answer): [status: number, reason: string] {
  if (headers['content-type'] === 'application/problem+json') return [status, JSON.parse(text).code]
  const [, conditions = text] = /<D:error xmlns:D="DAV:">(.*)<\/D:error>/.exec(text) ?? []
  return [status, conditions]
}

function refused (t: Test, answer: Answer, status: number, reason: string, message?: string): void {
  t.same(problemOf(answer), [status, reason], message ?? '')
}

const hrefs = (...paths: string[]) => paths.map(path => `<D:href>${path}</D:href>`).join('')
const locked = (...paths: string[]) => `<D:lock-token-submitted>${hrefs(...paths)}</D:lock-token-submitted>`
const conflicting = (...paths: string[]) => `<D:no-conflicting-lock>${hrefs(...paths)}</D:no-conflicting-lock>`

/** Makes folders, for names with a slash at the end, and files that contain their name. */
async function make ({ ask }: Pick<Drive, 'ask'>, ...names: string[]): Promise<void> {
  for (const name of names) {
    const { status } = name.endsWith('/') ? await ask('MKCOL', `/dav/${name}`) : await ask('PUT', `/dav/${name}`, {}, name)
    if (status !== 201) throw new Error(`${name}: ${status}`)
  }
}

const read = async ({ ask }: Pick<Drive, 'ask'>, path: string) => (await ask('GET', `/dav/${path}`)).text

t.test('a token is accepted as the password of its account, as the name, and as Bearer; everything else gets one 401', async t => {
  const { server, user, token, secret } = await openDrive({ SIGN_IN_FAILURES: '3' })
  const [name] = user
  const { secret: other } = await driveOf(server, 'Bob')
  const basic = (name: string, password: string) => ({ authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` })
  const asks = (headers: Record<string, string>, method = 'GET') => server.send(method, '/dav/', { headers })

  for (const [what, headers] of Object.entries({
    'the password': basic(name, secret),
    'the password, with the name in another case': basic(name.toUpperCase(), secret),
    'the name': basic(secret, 'anything'),
    'the name, without a password': basic(secret, ''),
    Bearer: { authorization: `Bearer ${secret}` },
    'an access token as the password': basic(name, token)
  })) t.equal((await asks(headers)).status, 200, what)

  const [first, ...others] = await Promise.all(Object.entries({
    nothing: {},
    'a password': basic(...user),
    'a wrong password': basic(name, 'wrong'),
    'an unknown user': basic('nobody', 'wrong'),
    'no name': basic('', secret),
    'a name that no account can have': basic('a\u0007', secret),
    'the token of another account': basic(name, other),
    'a token that does not exist': basic(name, secret.replace(/.$/, last => last === 'x' ? 'y' : 'x')),
    'another scheme': { authorization: 'Digest x' },
    'a malformed value': { authorization: 'Basic !' }
  }).map(async ([what, headers]) => {
    const answer = await asks(headers)
    refused(t, answer, 401, 'token_required', what)
    t.equal(answer.headers['www-authenticate'], 'Basic realm="MagicStore", charset="UTF-8"', what)
    t.same([answer.headers.dav, answer.headers['ms-author-via'], answer.headers.allow], ['1, 2, 3', 'DAV', METHODS], what)
    t.match(answer.json.detail, /personal token/, what)
    return { ...answer.json, instance: '' }
  }))
  for (const other of others) t.same(other, first)

  t.equal((await server.send('GET', '/api/token', { user })).status, 200, 'no failure was counted')
  await server.send('DELETE', '/api/token', { token: secret })
  refused(t, await asks(basic(name, secret)), 401, 'token_required', 'a revoked token')
})

t.test('reading needs files:read, and everything else files:write', async t => {
  const { server, user } = await openDrive()
  const reader = askWith(server, await personalToken(server, user, ['files:read']), user[0])
  const writer = askWith(server, await personalToken(server, user, ['files:write']), user[0])
  for (const method of ['GET', 'HEAD', 'PROPFIND']) {
    t.not((await reader(method, '/dav/', { depth: '0' })).status, 403, method)
    t.equal((await writer(method, '/dav/', { depth: '0' })).status, 403, method)
  }
  for (const method of ['PUT', 'DELETE', 'MKCOL', 'COPY', 'MOVE', 'PROPPATCH', 'LOCK', 'UNLOCK']) {
    refused(t, await reader(method, '/dav/a'), 403, 'insufficient_scope', method)
    t.notMatch(problemOf(await writer(method, '/dav/a'))[1], 'insufficient_scope', method)
  }
  refused(t, await reader('PUT', '/dav/a', { 'content-length': '3' }, 'abc'), 403, 'insufficient_scope')
})

t.test('OPTIONS needs no credential, at any path, nor do other methods, which are 405 with Allow', async t => {
  const { server } = await openDrive()
  for (const path of ['/dav', '/dav/', '/dav/a/b%20c', '/']) {
    const answer = await server.send('OPTIONS', path)
    t.same([answer.status, answer.text], [204, ''], path)
    t.same([answer.headers.dav, answer.headers['ms-author-via']], ['1, 2, 3', 'DAV'], path)
    t.equal(answer.headers.allow, path === '/' ? 'GET, HEAD, OPTIONS, POST' : METHODS, path)
  }
  for (const method of ['POST', 'PATCH', 'REPORT', 'SEARCH', 'ACL', 'TRACE', 'UNLINK']) {
    for (const path of ['/dav', '/dav/', '/dav/a/b']) {
      const answer = await server.send(method, path, method === 'TRACE' ? {} : { body: 'x' })
      refused(t, answer, 405, 'method_not_allowed', `${method} ${path}`)
      t.equal(answer.headers.allow, METHODS)
    }
  }
  t.equal((await server.send('PROPFIND', '/api/files')).status, 405)
  t.equal((await server.send('PROPFIND', '/davy')).status, 404)
})

t.test('pages of other origins get no permission', async t => {
  const origin = 'https://app.example.org'
  const { server, ask } = await openDrive({ CORS_ORIGINS: origin })
  const answers = [
    await ask('GET', '/dav/', { origin }),
    await ask('PUT', '/dav/a', { origin }, 'x'),
    await server.send('OPTIONS', '/dav/a', { headers: { origin, 'access-control-request-method': 'PUT' } }),
    await server.send('POST', '/dav/a', { headers: { origin } })
  ]
  t.same(answers.map(({ status }) => status), [200, 201, 204, 405])
  for (const { headers } of answers) t.same(Object.keys(headers).filter(name => name.startsWith('access-control-')), [])
  t.ok((await server.send('GET', '/api/files', { headers: { origin } })).headers['access-control-allow-origin'])
  refused(t, await ask('DELETE', '/dav/a', { origin: 'https://evil.example' }), 403, 'cross_site_request')
})

t.test('a file is stored, read and deleted as at /uploads', async t => {
  const drive = await openDrive()
  const { ask, server, token } = drive
  const made = await ask('PUT', '/dav/%C3%A9t%C3%A9%20%231.txt', { 'content-type': 'text/plain', 'x-file-modified': '2020-02-03T04:05:06Z' }, 'summer')
  t.same([made.status, made.text], [201, ''])
  const replaced = await ask('PUT', '/dav/e%CC%81te%CC%81%20%231.txt', { 'content-type': 'text/plain' }, 'summer 2')
  t.same([replaced.status, replaced.text], [204, ''], 'the name is brought to NFC')
  t.not(replaced.headers.etag, made.headers.etag)
  t.same(await drive.names(), ['été #1.txt'])

  const got = await ask('GET', '/dav/%C3%A9t%C3%A9%20%231.txt', { 'want-repr-digest': 'sha-256=1' })
  t.same([got.status, got.text, got.headers['content-type'], got.headers.etag], [200, 'summer 2', 'text/plain', replaced.headers.etag])
  t.ok(got.headers['repr-digest'])
  t.equal((await server.send('GET', '/uploads/%C3%A9t%C3%A9%20%231.txt', { token })).text, 'summer 2')
  t.match(await ask('GET', '/dav/%C3%A9t%C3%A9%20%231.txt', { range: 'bytes=0-2' }), { status: 206, text: 'sum' })
  t.equal((await ask('GET', '/dav/%C3%A9t%C3%A9%20%231.txt', { 'if-none-match': String(got.headers.etag) })).status, 304)
  const head = await ask('HEAD', '/dav/%C3%A9t%C3%A9%20%231.txt')
  t.same([head.status, head.headers['content-length'], head.headers.etag], [200, '8', got.headers.etag])

  refused(t, await ask('PUT', '/dav/%C3%A9t%C3%A9%20%231.txt', { 'if-none-match': '*' }, 'x'), 412, 'precondition_failed')
  refused(t, await ask('DELETE', '/dav/%C3%A9t%C3%A9%20%231.txt', { 'if-match': '"x"' }), 412, 'precondition_failed')
  t.equal((await ask('DELETE', '/dav/%C3%A9t%C3%A9%20%231.txt', { 'if-match': String(got.headers.etag) })).status, 204)
  refused(t, await ask('DELETE', '/dav/%C3%A9t%C3%A9%20%231.txt'), 404, 'not_found')
  t.same((await server.send('GET', '/api/trash', { token })).json.files.map(({ name }: { name: string }) => name), ['été #1.txt'])
})

t.test('a percent-encoded slash is a slash, and is decoded once', async t => {
  const drive = await openDrive()
  await make(drive, 'a/', 'a%2Fb', 'a/c%252Fd')
  t.same(await drive.names(), ['a/', 'a/b', 'a/c%2Fd'])
  t.equal(await read(drive, 'a/b'), 'a%2Fb')
  t.equal((await drive.ask('GET', '/%64av/a/b')).status, 200)
  for (const path of ['/dav/a/%ff', '/dav/%']) refused(t, await drive.ask('GET', path), 400, 'malformed_url', path)
  for (const name of ['..', 'a//b', 'x%5Cy', 'x%00', '%2e%2e/x', 'x'.repeat(256)]) {
    refused(t, await drive.ask('GET', `/dav/${name}`), 404, 'not_found', name)
    refused(t, await drive.ask('DELETE', `/dav/${name}`), 404, 'not_found', name)
    refused(t, await drive.ask('PUT', `/dav/${name}`, {}, 'x'), 400, 'name_invalid', name)
    refused(t, await drive.ask('MKCOL', `/dav/${name}`), 400, 'name_invalid', name)
    refused(t, await drive.ask('LOCK', `/dav/${name}`, {}, lockInfo()), 400, 'name_invalid', name)
    refused(t, await drive.ask('UNLOCK', `/dav/${name}`, { 'lock-token': '<urn:uuid:0>' }), 404, 'not_found', name)
    refused(t, await drive.ask('MOVE', '/dav/a/b', { destination: `/dav/${name}` }), 400, 'name_invalid', name)
  }
  t.same(await drive.names(), ['a/', 'a/b', 'a/c%2Fd'])
})

t.test('a target with a fragment is refused: without it, it would be another one', async t => {
  const drive = await openDrive()
  await make(drive, 'a/', 'a/b')
  for (const method of ['DELETE', 'GET', 'PROPFIND']) {
    const answer = await sendRaw(drive.server.port, `${method} /dav/a/#b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${drive.secret}\r\nConnection: close\r\n\r\n`)
    t.match(answer, /^HTTP\/1.1 400 /, method)
  }
  t.same(await drive.names(), ['a/', 'a/b'])
})

t.test('a query is refused by what changes something, and ignored by what reads', async t => {
  const drive = await openDrive()
  await make(drive, 'a/', 'a/b')
  for (const method of ['PUT', 'DELETE', 'MKCOL', 'COPY', 'MOVE', 'PROPPATCH', 'LOCK', 'UNLOCK']) {
    for (const query of ['?', '?draft', '?permanent=true']) {
      refused(t, await drive.ask(method, `/dav/a/${query}`, { destination: '/dav/c' }), 400, 'malformed_request', `${method} ${query}`)
    }
  }
  for (const method of ['GET', 'HEAD', 'PROPFIND']) t.ok((await drive.ask(method, '/dav/a/?draft', { depth: '0' })).status < 300, method)
  t.same(await drive.names(), ['a/', 'a/b'])
})

t.test('a URL with a slash at its end names a folder', async t => {
  const drive = await openDrive()
  await make(drive, 'a/', 'b')
  refused(t, await drive.ask('GET', '/dav/b/'), 404, 'not_found')
  refused(t, await drive.ask('DELETE', '/dav/b/'), 404, 'not_found')
  refused(t, await drive.ask('COPY', '/dav/b/', { destination: '/dav/c' }), 404, 'not_found')
  refused(t, await drive.ask('LOCK', '/dav/b/', {}, lockInfo()), 404, 'not_found')
  refused(t, await drive.ask('PUT', '/dav/c/', {}, 'x'), 405, 'method_not_allowed')
  for (const path of ['/dav', '/dav/', '/dav/a', '/dav/a/']) {
    const got = await drive.ask('GET', path)
    t.same([got.status, got.headers['content-type']], [200, 'text/plain; charset=utf-8'], path)
    t.match(got.text, /^This is a folder\..*\n$/)
    const head = await drive.ask('HEAD', path)
    t.same([head.status, head.text, head.headers['content-length']], [200, '', String(got.text.length)], path)
  }
})

t.test('the client\'s time is Last-Modified, while conditions use ours', async t => {
  const drive = await openDrive()
  const { ask, server, token } = drive
  const put = await ask('PUT', '/dav/a', { 'x-oc-mtime': '981173106' }, 'x')
  t.same([put.status, put.headers['x-oc-mtime']], [201, 'accepted'])
  const got = await ask('GET', '/dav/a')
  t.equal(got.headers['last-modified'], 'Sat, 03 Feb 2001 04:05:06 GMT')
  t.not((await server.send('GET', '/uploads/a', { token })).headers['last-modified'], got.headers['last-modified'])
  refused(t, await ask('PUT', '/dav/a', { 'if-unmodified-since': String(got.headers['last-modified']) }, 'y'), 412, 'precondition_failed', 'an update is not lost')

  const lastModified = async (path: string) => (await ask('GET', `/dav/${path}`)).headers['last-modified']
  const ours = async (path: string) => (await server.send('GET', `/uploads/${path}`, { token })).headers['last-modified']
  t.equal((await ask('PUT', '/dav/b', { 'x-oc-mtime': '4102444800.5' }, 'x')).status, 201)
  t.equal(await lastModified('b'), await ours('b'), 'a time ahead is none')
  const ahead = 'Fri, 01 Jan 2100 00:00:00 GMT'
  t.match((await ask('PROPFIND', '/dav/b', { depth: '0' })).text, `<D:getlastmodified>${ahead}</D:getlastmodified>`)
  for (const method of ['PUT', 'DELETE', 'GET']) {
    refused(t, await ask(method, '/dav/b', { 'if-unmodified-since': ahead }, method === 'PUT' ? 'y' : undefined), 412, 'precondition_failed', method)
  }
  t.equal((await ask('GET', '/dav/b', { 'if-modified-since': ahead })).status, 200)
  t.equal((await ask('PUT', '/dav/b', {}, 'z')).headers['x-oc-mtime'], undefined)
  t.equal(await lastModified('b'), await ours('b'))
  for (const time of ['', 'now', '1e9', '1,2']) refused(t, await ask('PUT', '/dav/a', { 'x-oc-mtime': time }, 'x'), 400, 'malformed_request', time)

  for (const time of ['99999999999999', '-99999999999.5']) {
    const stored = await ask('PUT', '/dav/far', { 'x-oc-mtime': time }, 'x')
    t.same([stored.status < 300, stored.headers['x-oc-mtime'], await lastModified('far')], [true, undefined, await ours('far')], `no file is of ${time}`)
  }

  const copied = await ask('COPY', '/dav/a', { destination: '/dav/c' })
  t.same([copied.status, copied.headers['x-oc-mtime']], [201, undefined])
  t.equal((await ask('GET', '/dav/c')).headers['last-modified'], 'Sat, 03 Feb 2001 04:05:06 GMT')
  for (const method of ['COPY', 'MOVE']) {
    const answer = await ask(method, '/dav/c', { destination: `/dav/${method}`, 'x-oc-mtime': '1000000000' })
    t.same([answer.status, answer.headers['x-oc-mtime']], [201, 'accepted'], method)
    t.equal((await ask('GET', `/dav/${method}`)).headers['last-modified'], 'Sun, 09 Sep 2001 01:46:40 GMT', method)
  }
})

t.test('PUT needs a parent, replaces no folder, and stores no part of a file', async t => {
  const drive = await openDrive({ QUOTA_BYTES: '100', MAX_FILE_BYTES: '1000' })
  await make(drive, 'a/', 'f')
  refused(t, await drive.ask('PUT', '/dav/x/y', {}, 'x'), 409, 'parent_missing')
  refused(t, await drive.ask('PUT', '/dav/f/y', {}, 'x'), 409, 'parent_missing', 'below a file')
  for (const path of ['/dav/a', '/dav/a/', '/dav', '/dav/']) {
    const answer = await drive.ask('PUT', path, {}, 'x')
    refused(t, answer, 405, 'method_not_allowed', path)
    t.equal(answer.headers.allow, METHODS.replace('MKCOL, ', '').replace('PUT, ', ''), path)
  }
  for (const headers of [{ 'content-range': 'bytes 0-0/1' }, { 'upload-complete': '?1' }, { 'upload-offset': '0' }, { 'upload-length': '1' }]) {
    refused(t, await drive.ask('PUT', '/dav/g', headers, 'x'), 400, 'partial_upload', Object.keys(headers)[0])
  }
  refused(t, await drive.ask('PUT', '/dav/g', { 'content-digest': 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:' }, 'x'), 400, 'digest_mismatch')
  refused(t, await drive.ask('PUT', '/dav/g', {}, 'x'.repeat(200)), 507, '<D:quota-not-exceeded></D:quota-not-exceeded>')
  refused(t, await drive.ask('PUT', '/dav/g', {}, 'x'.repeat(1001)), 413, 'file_too_large')
  t.same(await drive.names(), ['a/', 'f'])
})

t.test('MKCOL makes one folder', async t => {
  const drive = await openDrive({ QUOTA_FILES: '4' })
  t.same([(await drive.ask('MKCOL', '/dav/a/')).status, (await drive.ask('MKCOL', '/dav/a/b')).status], [201, 201])
  await make(drive, 'f')
  for (const [path, without] of [['/dav/', ['MKCOL, ', 'PUT, ']], ['/dav/a', ['MKCOL, ', 'PUT, ']], ['/dav/f', ['MKCOL, ']]] as const) {
    const answer = await drive.ask('MKCOL', path)
    refused(t, answer, 405, 'method_not_allowed', path)
    t.equal(answer.headers.allow, without.reduce<string>((allow, text) => allow.replace(text, ''), METHODS), path)
  }
  refused(t, await drive.ask('MKCOL', '/dav/x/y'), 409, 'parent_missing')
  refused(t, await drive.ask('MKCOL', '/dav/f/y'), 409, 'parent_missing', 'below a file')
  refused(t, await drive.ask('MKCOL', '/dav/c', { 'content-type': 'application/xml' }, '<a/>'), 415, 'unsupported_media_type')
  refused(t, await drive.ask('MKCOL', '/dav/c', { 'transfer-encoding': 'chunked' }), 415, 'unsupported_media_type')
  t.equal((await drive.ask('MKCOL', '/dav/c')).status, 201)
  refused(t, await drive.ask('MKCOL', '/dav/d'), 507, '<D:quota-not-exceeded></D:quota-not-exceeded>')
  t.same(await drive.names(), ['a/', 'a/b/', 'c/', 'f'])
})

t.test('DELETE of a folder is the recursive one, whole', async t => {
  const drive = await openDrive()
  await make(drive, 'a/', 'a/b/', 'a/b/c', 'd')
  refused(t, await drive.ask('DELETE', '/dav/a', { depth: '0' }), 400, 'malformed_request')
  t.equal((await drive.ask('DELETE', '/dav/a', { depth: 'infinity' })).status, 204)
  t.same(await drive.names(), ['d'])
  for (const path of ['/dav', '/dav/']) refused(t, await drive.ask('DELETE', path), 403, 'place_forbidden', path)
  refused(t, await drive.ask('DELETE', '/dav/a/'), 404, 'not_found')
  const { json: { files } } = await drive.server.send('GET', '/api/trash', { token: drive.token })
  t.same(files.map(({ name }: { name: string }) => name), ['a/b/c'])
  t.ok(files[0].deletedWith)
})

for (const method of ['COPY', 'MOVE']) {
  const kept = (...names: string[]) => method === 'COPY' ? names : []

  t.test(`${method} of a file: 201 for a free name, 204 for another`, async t => {
    const drive = await openDrive()
    const { ask } = drive
    await make(drive, 'a', 'b', 'c', 'd/', 'd/e')
    t.equal((await ask(method, '/dav/a', { destination: '/dav/new' })).status, 201)
    t.equal(await read(drive, 'new'), 'a')
    refused(t, await ask(method, '/dav/b', { destination: '/dav/new', overwrite: 'F' }), 412, 'precondition_failed')
    refused(t, await ask(method, '/dav/b', { destination: '/dav/d', overwrite: 'f' }), 412, 'precondition_failed')
    refused(t, await ask(method, '/dav/b', { destination: '/dav/new', overwrite: 'x' }), 400, 'malformed_request')
    t.equal((await ask(method, '/dav/b', { destination: '/dav/new' })).status, 204)
    t.equal(await read(drive, 'new'), 'b')
    t.equal((await ask(method, '/dav/c', { destination: '/dav/d', overwrite: 'T' })).status, 204)
    t.equal(await read(drive, 'd'), 'c', 'a folder went to the trash')
    t.equal((await ask(method, '/dav/d', { destination: '/dav/free', overwrite: 'F' })).status, 201)
    refused(t, await ask(method, '/dav/free', { destination: '/dav/x/y' }), 409, 'parent_missing')
    refused(t, await ask(method, '/dav/free', { destination: '/dav/new/y' }), 409, 'parent_missing', 'below a file')
    refused(t, await ask(method, '/dav/nothing', { destination: '/dav/y' }), 404, 'not_found')
    t.same(await drive.names(), [...kept('a', 'b', 'c', 'd'), 'free', 'new'])
    const trash = await drive.server.send('GET', '/api/trash', { token: drive.token })
    t.same(trash.json.files.map(({ name }: { name: string }) => name), ['d/e'], 'a file that was replaced has a version')
  })

  t.test(`${method} of a folder, with all that is in it`, async t => {
    const drive = await openDrive()
    const { ask } = drive
    await make(drive, 'a/', 'a/b/', 'a/b/c', 'a/d', 'e/', 'e/f', 'g')
    t.equal((await ask(method, '/dav/a/', { destination: '/dav/new/', depth: 'infinity' })).status, 201)
    t.equal(await read(drive, 'new/b/c'), 'a/b/c')
    t.equal((await ask(method, '/dav/new', { destination: '/dav/e' })).status, 204, 'over a folder')
    t.equal((await ask(method, '/dav/e', { destination: '/dav/g' })).status, 204, 'over a file')
    t.same(await drive.names(), [
      ...kept('a/', 'a/b/', 'a/b/c', 'a/d', 'e/', 'e/b/', 'e/b/c', 'e/d'),
      'g/', 'g/b/', 'g/b/c', 'g/d',
      ...kept('new/', 'new/b/', 'new/b/c', 'new/d')
    ])
    t.same((await drive.server.send('GET', '/api/trash', { token: drive.token })).json.files.map(({ name }: { name: string }) => name).sort(), ['e/f', 'g'])
  })

  t.test(`${method} onto itself, an ancestor or into itself is 403`, async t => {
    const drive = await openDrive()
    const { ask } = drive
    await make(drive, 'a/', 'a/b/', 'a/b/c')
    for (const [from, to] of [['a', 'a'], ['a/', 'a'], ['a/b/c', 'a/b/c'], ['a/b/c', 'a'], ['a/b', 'a'], ['a', 'a/b'], ['a', 'a/x'], ['', 'x'], ['a', '']]) {
      refused(t, await ask(method, `/dav/${from}`, { destination: `/dav/${to}` }), 403, 'place_forbidden', `${from} to ${to}`)
    }
    t.same(await drive.names(), ['a/', 'a/b/', 'a/b/c'])
  })

  t.test(`the Destination of ${method} is on this server, below /dav/`, async t => {
    const drive = await openDrive({ PUBLIC_URL: 'https://store.example.org:8443' })
    const { ask, server: { port } } = drive
    await make(drive, 'a')
    for (const destination of [
      'http://other.example/dav/x', `http://127.0.0.1:${port + 1}/dav/x`, '/uploads/x', '/davy/x', 'dav/x', '//127.0.0.1/dav/x', 'mailto:a@b',
      '/dav/x?y', '/dav/x#y', 'http://store.example.org/dav/x', 'http:///dav/x', '', '/DAV/x', `http://127.0.0.1:${port}/Dav/x`,
      `http://Ann:x@127.0.0.1:${port}/dav/x`, `http://127.0.0.1:${port}\\@evil.example/dav/x`
    ]) refused(t, await ask(method, '/dav/a', { destination }), 502, 'foreign_destination', destination)
    refused(t, await ask(method, '/dav/a', {}), 400, 'malformed_request')
    for (const path of ['%ff', 'a b', '\u00e9', Buffer.from('\u00e9').toString('latin1')]) {
      refused(t, await ask(method, '/dav/a', { destination: `/dav/${path}` }), 400, 'malformed_url', path)
    }
    let name = 'a'
    for (const [number, site] of [`http://127.0.0.1:${port}`, `https://127.0.0.1:${port}`, 'https://STORE.example.org:8443', 'http://store.example.org:8443', ''].entries()) {
      t.equal((await ask(method, `/dav/${name}`, { destination: `${site}/dav/${number}%20%C3%A4` })).status, 201, site)
      name = `${number}%20%C3%A4`
    }
    const withHost = (host: string, destination: string) => ask(method, `/dav/${name}`, { host, destination })
    t.equal((await withHost('drive.example', 'https://drive.example:443/dav/x')).status, 201, 'the default port of the scheme')
  })
}

t.test('a program that saves by MOVE over the old file makes a version: links, history and creation stay, and the new file ends', async t => {
  const drive = await openDrive({ LINKS: 'on' })
  const { ask, server, token } = drive
  const get = async (path: string) => (await server.send('GET', path, { token })).json
  const share = (name: string) => createLink(server, { token }, { name, kind: 'download' })
  await make(drive, 'text', 'draft')
  const links = [await share('text'), await share('draft')] as const
  for (const content of ['draft 2', 'saved']) await ask('PUT', '/dav/draft', { 'x-oc-mtime': '1000000000' }, content)
  const [{ createdAt }, { next }] = [await get('/api/files/text'), await get('/api/changes')]
  t.equal((await server.send('PATCH', '/api/files/draft', { token, json: { name: 'text' } })).status, 409)
  t.equal((await ask('MOVE', '/dav/draft', { destination: '/dav/text' })).status, 204)

  t.same([await read(drive, 'text'), await drive.names()], ['saved', ['text']])
  t.match(await get('/api/files/text'), { createdAt, modifiedAt: '2001-09-09T01:46:40.000Z' })
  const { versions: [{ id, size }, ...others] } = await get('/api/files/text/versions')
  t.same([size, others, (await server.send('GET', `/uploads/text?version=${id}`, { token })).text], [4, [], 'text'])
  t.match((await get(`/api/changes?cursor=${next}`)).changes, [{ kind: 'deleted', name: 'draft' }, { kind: 'stored', name: 'text' }])
  t.same(await Promise.all(links.map(async ({ path }) => (await server.send('GET', `${path}/files/x`)).status)), [200, 404])
  const { files: [entry, ...rest] } = await get('/api/trash')
  t.match([entry, rest], [{ name: 'draft', size: 7, versions: 1 }, []], 'what the new file had before')
  t.equal((await server.send('POST', `/api/trash/${entry.id}/restore`, { token })).status, 200)
  t.equal(await read(drive, 'draft'), 'draft 2')
})

t.test('with a folder in PUBLIC_URL, every URL of the drive is below it', async t => {
  const { ask, ...drive } = await openDrive({ PUBLIC_URL: 'https://files.example.org/caf\u00e9/' })
  const root = '/caf%C3%A9/dav'
  const urls = ({ text }: Answer) => Array.from(text.matchAll(/<D:href>(\/.*?)<\/D:href>/g), ([, url]) => url)
  await make({ ask }, 'a/', 'a/b')
  t.same(urls(await ask('PROPFIND', '/dav', { depth: '1' })), [`${root}/`, `${root}/a/`])
  t.same(urls(await ask('PROPFIND', '/dav/a/', { depth: '1' })), [`${root}/a/`, `${root}/a/b`])
  t.same(urls(await ask('PROPPATCH', '/dav/a/b', {}, '<propertyupdate xmlns="DAV:"><remove><prop><x/></prop></remove></propertyupdate>')), [`${root}/a/b`])
  const lock = await ask('LOCK', '/dav/a', {}, lockInfo())
  t.same(urls(lock), [`${root}/a/`])
  refused(t, await ask('PUT', '/dav/a/b', {}, 'x'), 423, locked(`${root}/a/`))
  const put = async (tag: string) => (await ask('PUT', '/dav/a/b', { if: `<${tag}> (<${tokenOf(lock)}>)` }, 'x')).status
  t.same([await put('/dav/a'), await put(`${root}/a`), await put('https://files.example.org/caf%c3%a9/dav/a')], [412, 204, 204])
  const copy = (destination: string) => ask('COPY', '/dav/a/b', { destination })
  for (const destination of ['/dav/c', '/dav/caf%C3%A9/dav/c', '/caf%C3%A9', '/x/dav/c']) refused(t, await copy(destination), 502, 'foreign_destination', destination)
  t.same([(await copy(`${root}/c`)).status, (await copy(`http://files.example.org${root}/d`)).status], [201, 201])
  t.same(await drive.names(), ['a/', 'a/b', 'c', 'd'])
})

t.test('COPY with depth 0 copies a folder empty; of many copies to one name at once, or locks of a free name, one makes the file', async t => {
  const drive = await openDrive()
  await make(drive, 'f/', 'f/b/', 'f/c')
  t.equal((await drive.ask('COPY', '/dav/f', { destination: '/dav/x', depth: '0' })).status, 201)
  refused(t, await drive.ask('COPY', '/dav/f', { destination: '/dav/y', depth: '1' }), 400, 'malformed_request')
  refused(t, await drive.ask('MOVE', '/dav/f', { destination: '/dav/y', depth: '0' }), 400, 'malformed_request')
  t.same(await drive.names(), ['f/', 'f/b/', 'f/c', 'x/'])
  await make(drive, 'a')
  const atOnce = async (ask: () => Promise<Answer>) =>
    (await Promise.all(Array.from({ length: 8 }, ask))).map(({ status }) => status).sort()
  t.same(await atOnce(() => drive.ask('COPY', '/dav/a', { destination: '/dav/b' })), [201, ...Array(7).fill(204)])
  t.same(await atOnce(() => drive.ask('LOCK', '/dav/c', {}, lockInfo('shared'))), [...Array(7).fill(200), 201])
})

for (const settings of [{ QUOTA_FILES: '10' }, { QUOTA_BYTES: '20' }, { QUOTA_BYTES: '20', KEEP_DAYS: '0' }]) {
  t.test(`a copy without room changes nothing, with ${JSON.stringify(settings)}`, async t => {
    const drive = await openDrive(settings)
    await make(drive, 'a/', 'a/1', 'a/2', 'a/b/', 'a/b/3', 'f', 'old/', 'old/x')
    const names = await drive.names()
    for (const [source, to] of [['a', 'old'], ['a', 'free'], ['a', 'f']]) {
      const answer = await drive.ask('COPY', `/dav/${source}`, { destination: `/dav/${to}` })
      refused(t, answer, 507, '<D:quota-not-exceeded></D:quota-not-exceeded>', to)
    }
    t.same(await drive.names(), names)
    t.same((await drive.server.send('GET', '/api/trash', { token: drive.token })).json.files, [])
    t.equal((await drive.ask('COPY', '/dav/a', { destination: '/dav/old', depth: '0' })).status, 204)
    t.same((await drive.names()).filter(name => name.startsWith('old')), ['old/'])
  })
}

t.test('the copy of a folder ends when its client is gone, at the first failure, or when the server stops, which says how far it came', async t => {
  const drive = await openDrive({}, await startServer(t, { RATE_LIMIT_PER_MINUTE: '0' }))
  await make(drive, 'a/')
  for (let count = 0; count < 400; count += 50) await Promise.all(Array.from({ length: 50 }, (_, index) => make(drive, `a/${count + index}`)))
  const copied = async (to: string) =>
    (await drive.server.send('GET', `/api/files?limit=1000&folder=${to}`, { token: drive.token })).json.files?.length ?? 0
  async function begin (to: string) {
    const request = httpRequest({ port: drive.server.port, method: 'COPY', path: '/dav/a', headers: { authorization: `Bearer ${drive.secret}`, destination: `/dav/${to}` } })
    const answered = once(request, 'response')
    request.on('error', () => {}).end()
    await until(() => copied(to), count => count > 1)
    return { request, answered }
  }
  const { request, answered } = await begin('b')
  answered.catch(() => {})
  request.destroy()
  let count = await copied('b')
  await until(async () => count === (count = await copied('b')), isSame => isSame)
  t.ok(count < 400, `${count}`)

  const expectFailure = async ({ answered }: Awaited<ReturnType<typeof begin>>, expected: RegExp) => {
    const [response] = await answered
    t.match([response.statusCode, response.headers['content-type']], [207, 'application/xml; charset=utf-8'])
    t.match(Buffer.concat(await response.toArray()).toString(), expected)
  }
  await make(drive, 'c/', 'c/old')
  const second = await begin('c')
  await drive.ask('LOCK', '/dav/c', {}, lockInfo())
  await expectFailure(second, /<D:href>\/dav\/c\/\d+<\/D:href><D:status>HTTP\/1.1 423 Locked<\/D:status><D:error><D:lock-token-submitted><D:href>\/dav\/c\/</)
  t.match((await drive.server.send('GET', '/api/trash', { token: drive.token })).json.files, [{ name: 'c/old' }], 'what was replaced is in the trash')

  const third = await begin('d')
  const closed = drive.server.close()
  await expectFailure(third, /<D:href>\/dav\/d\/\d+<\/D:href><D:status>HTTP\/1.1 503 Service Unavailable<\/D:status>/)
  await closed
})

t.test('a damaged file stops the copy of its folder', { skip: skipWithoutFolder }, async t => {
  const drive = await openDrive({}, await startServer(t))
  await make(drive, 'a/', 'a/d/', 'a/d/b', 'a/e/')
  const [blob = ''] = await blobFiles(drive.server.dataDir)
  await truncate(blob, 1)
  const answer = await drive.ask('COPY', '/dav/a', { destination: '/dav/c' })
  t.equal(answer.status, 207)
  t.match(answer.text, '<D:href>/dav/c/d/b</D:href><D:status>HTTP/1.1 500 Internal Server Error</D:status></D:response>')
  t.same((await drive.names()).sort(), ['a/', 'a/d/', 'a/d/b', 'a/e/', 'c/', 'c/d/'], 'what comes after it is not copied')
})

t.test('over HTTP/2 it is the same drive', async t => {
  const tls = await startTls(t)
  const { ask, auth } = await openHttp2(t, tls)
  t.equal((await ask('PROPFIND', '/dav/')).status, 401)
  t.equal((await ask('MKCOL', '/dav/a', auth)).status, 201)
  t.equal((await ask('PUT', '/dav/a/f', auth, 'x')).status, 201)
  t.equal((await ask('PUT', '/dav/b', auth, 'bytes')).status, 201)
  const lock = await ask('LOCK', '/dav/b', auth, lockInfo())
  t.equal(lock.status, 200)
  t.equal((await ask('PUT', '/dav/b', auth, 'x')).status, 423)
  t.equal((await ask('MOVE', '/dav/b', { ...auth, destination: `https://localhost:${tls.port}/dav/c`, if: `(${lock.headers['lock-token']})` })).status, 201)
  t.equal((await ask('GET', '/dav/c', auth)).text, 'bytes')
  t.equal((await ask('COPY', '/dav/a', { ...auth, destination: '/dav/e' })).status, 201)
  t.equal((await ask('PROPFIND', '/dav/c', { ...auth, depth: '0' })).status, 207)
})

t.test('a copy or move that would be refused takes no folder away', async t => {
  const drive = await openDrive({ QUOTA_BYTES: '3000', ALLOWED_EXTENSIONS: 'txt', KEEP_DAYS: '0' })
  const { ask } = drive
  await make(drive, 'f/', 'f/keep.txt', 'e.x/', 'src/', `src/${'x'.repeat(250)}/`, `src/${'x'.repeat(250)}/${'z'.repeat(200)}/`, 'y/')
  const long = ['y'.repeat(200), 'w'.repeat(200)]
  await make(drive, `y/${long[0]}/`, `y/${long.join('/')}/`)
  t.equal((await ask('PUT', '/dav/big.txt', {}, 'x'.repeat(2000))).status, 201)
  refused(t, await ask('COPY', '/dav/big.txt', { destination: '/dav/f' }), 415, 'extension_not_allowed')
  for (const method of ['COPY', 'MOVE']) refused(t, await ask(method, '/dav/big.txt', { destination: '/dav/e.x' }), 415, 'extension_not_allowed', method)
  t.equal((await ask('MKCOL', '/dav/g.txt')).status, 201)
  refused(t, await ask('COPY', '/dav/big.txt', { destination: '/dav/g.txt' }), 507, '<D:quota-not-exceeded></D:quota-not-exceeded>')
  refused(t, await ask('MOVE', '/dav/src', { destination: `/dav/y/${long.join('/')}` }), 400, 'name_invalid')
  const names = await drive.names()
  for (const name of ['f/', 'f/keep.txt', 'e.x/', 'g.txt/', `y/${long.join('/')}/`]) t.ok(names.includes(name), name)
})

t.test('LOCK and UNLOCK', async t => {
  const drive = await openDrive()
  const { ask } = drive
  await make(drive, 'a', 'f/', 'f/g')
  const lock = await ask('LOCK', '/dav/a', { 'content-type': 'application/xml', depth: '0', timeout: 'Second-100, Infinite' }, lockInfo())
  t.same([lock.status, lock.headers['content-type']], [200, 'application/xml; charset=utf-8'])
  t.match(lock.headers['lock-token'], /^<urn:uuid:[0-9a-f-]{36}>$/)
  t.match(lock.text, new RegExp(`<D:locktoken><D:href>${tokenOf(lock)}</D:href></D:locktoken><D:lockroot><D:href>/dav/a</D:href>`))
  t.match(lock.text, /<D:timeout>Second-(?:100|99)<\/D:timeout>/)
  refused(t, await ask('PUT', '/dav/a', {}, 'x'), 423, locked('/dav/a'))
  refused(t, await ask('DELETE', '/dav/a'), 423, locked('/dav/a'))
  refused(t, await ask('LOCK', '/dav/a', {}, lockInfo('shared')), 423, conflicting('/dav/a'))
  refused(t, await ask('PUT', '/dav/a', { if: '(Not <DAV:no-lock>)' }, 'x'), 423, locked('/dav/a'))
  t.equal((await ask('GET', '/dav/a')).status, 200)
  t.equal((await ask('PUT', '/dav/a', { if: `(<${tokenOf(lock)}>)` }, 'x')).status, 204)

  const refreshed = await ask('LOCK', '/dav/a', { if: `(<${tokenOf(lock)}>)`, timeout: 'Infinite' })
  t.same([refreshed.status, refreshed.headers['lock-token']], [200, undefined])
  t.match(refreshed.text, /<D:timeout>Second-(?:3600|3599)<\/D:timeout>/)
  refused(t, await ask('LOCK', '/dav/a'), 412, 'precondition_failed', 'nothing to refresh')
  refused(t, await ask('LOCK', '/dav/f', { if: `(<${tokenOf(lock)}>)` }), 412, 'precondition_failed', 'the lock of another file')

  refused(t, await ask('UNLOCK', '/dav/a'), 400, 'malformed_request')
  refused(t, await ask('UNLOCK', '/dav/a', { 'lock-token': 'urn:uuid:0' }), 400, 'malformed_request')
  const mismatch = '<D:lock-token-matches-request-uri></D:lock-token-matches-request-uri>'
  refused(t, await ask('UNLOCK', '/dav/a', { 'lock-token': '<urn:uuid:0>' }), 409, mismatch)
  refused(t, await ask('UNLOCK', '/dav/f', { 'lock-token': `<${tokenOf(lock)}>` }), 409, mismatch)
  refused(t, await ask('UNLOCK', '/dav/a', { 'lock-token': `<${tokenOf(lock)}>`, if: '(<urn:uuid:0>)' }), 412, 'precondition_failed')
  t.equal((await ask('UNLOCK', '/dav/a', { 'lock-token': `<${tokenOf(lock)}>` })).status, 204)
  t.equal((await ask('PUT', '/dav/a', {}, 'y')).status, 204)

  for (const path of ['/dav', '/dav/']) {
    refused(t, await ask('LOCK', path, {}, lockInfo()), 403, 'place_forbidden', path)
    refused(t, await ask('UNLOCK', path, { 'lock-token': '<x>' }), 403, 'place_forbidden', path)
  }
  refused(t, await ask('LOCK', '/dav/a', { depth: '1' }, lockInfo()), 400, 'malformed_request')
  for (const [timeout, seconds] of [['Second-0', 1], ['Second-99999999999999999999', 3600], ['Extend', 3600]] as const) {
    const answer = await ask('LOCK', '/dav/f', { timeout }, lockInfo('shared'))
    t.match(answer.text, new RegExp(`<D:timeout>Second-(?:${seconds}|${seconds - 1})</D:timeout>`), timeout)
  }
})

t.test('LOCK of a free name makes an empty file with it', async t => {
  const drive = await openDrive({ QUOTA_FILES: '2' })
  const { ask } = drive
  const lock = await ask('LOCK', '/dav/e%CC%81', {}, lockInfo())
  t.equal(lock.status, 201)
  t.match(lock.text, '<D:lockroot><D:href>/dav/e%CC%81</D:href></D:lockroot>', 'as asked')
  t.same(await drive.names(), ['é'])
  refused(t, await ask('PUT', '/dav/%C3%A9', {}, 'x'), 423, locked('/dav/%C3%A9'))
  refused(t, await ask('LOCK', '/dav/x/y', {}, lockInfo()), 409, 'parent_missing')
  await make(drive, 'b')
  refused(t, await ask('LOCK', '/dav/c', {}, lockInfo()), 507, '<D:quota-not-exceeded></D:quota-not-exceeded>')
  t.same(await drive.names(), ['b', 'é'])
})

t.test('a locked folder protects what is in it, and its members', async t => {
  const drive = await openDrive()
  const { ask } = drive
  await make(drive, 'a/', 'a/b/', 'a/b/c', 'x')
  const shallow = tokenOf(await ask('LOCK', '/dav/a', { depth: '0' }, lockInfo()))
  refused(t, await ask('DELETE', '/dav/a/b'), 423, locked('/dav/a/'))
  t.equal((await ask('PUT', '/dav/a/new', { if: `</dav/a/> (<${shallow}>)` }, 'x')).status, 201)
  t.equal((await ask('UNLOCK', '/dav/a', { 'lock-token': `<${shallow}>` })).status, 204)
  const one = tokenOf(await ask('LOCK', '/dav/a/b/c', {}, lockInfo()))
  const two = tokenOf(await ask('LOCK', '/dav/a/new', {}, lockInfo('shared')))
  refused(t, await ask('LOCK', '/dav/a', {}, lockInfo()), 423, conflicting('/dav/a/b/c', '/dav/a/new'))
  for (const method of ['DELETE', 'MOVE']) {
    refused(t, await ask(method, '/dav/a', { destination: '/dav/z' }), 423, locked('/dav/a/b/c', '/dav/a/new'), method)
    refused(t, await ask(method, '/dav/a', { destination: '/dav/z', if: `</dav/a/b/c> (<${one}>)` }), 423, locked('/dav/a/new'), method)
  }
  refused(t, await ask('COPY', '/dav/x', { destination: '/dav/a' }), 423, locked('/dav/a/b/c', '/dav/a/new'), 'what would be overwritten')
  await make(drive, 'y/', 'y/z')
  const both = `</dav/a/b/c> (<${one}>) </dav/a/new> (<${two}>)`
  t.equal((await ask('MOVE', '/dav/a', { destination: '/dav/y', if: both })).status, 204)
  t.equal((await ask('PUT', '/dav/y/new', {}, 'x')).status, 204, 'a lock does not move')
})

t.test('If is judged whole, ahead of everything but 404', async t => {
  const drive = await openDrive()
  const { ask } = drive
  await make(drive, 'a', 'b', 'f/')
  const etag = String((await ask('HEAD', '/dav/a')).headers.etag)
  const token = tokenOf(await ask('LOCK', '/dav/a', {}, lockInfo()))
  const holds = async (condition: string, path = '/dav/a') => {
    const { status } = await ask('PROPPATCH', path, { if: condition }, '<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><x xmlns="urn:x">1</x></D:prop></D:set></D:propertyupdate>')
    return status === 207
  }
  t.ok(await holds(`(<${token}> [${etag}])`))
  t.ok(await holds(`(["x"]) (<${token}> [${etag}] Not ["x"] Not <DAV:no-lock>)`), 'one list is enough')
  t.notOk(await holds(`(<${token}> Not [${etag}])`))
  t.notOk(await holds(`(<${token}> [W/${etag}])`), 'a weak tag')
  t.ok(await holds(`</dav/b> (["x"]) </dav/a> (<${token}>)`))
  t.ok(await holds(`<http://127.0.0.1:${drive.server.port}/dav/%61> (<${token}> [${etag}])`))
  t.ok(await holds(`<http://other.example/dav/a> (<${token}>) <http://127.0.0.1:${drive.server.port}/dav/a> (<${token}>)`), 'the tag of another server')
  t.notOk(await holds(`<http://other.example/dav/a> (<${token}>)`))
  t.notOk(await holds(`</uploads/a> (<${token}>)`))
  t.ok(await holds(`</dav/..> (Not <${token}>)`), 'what can\'t exist has no lock')
  t.ok(await holds(`</dav/> (Not <${token}>) (Not <DAV:no-lock>)`, '/dav/b'))
  t.ok(await holds('(Not ["x"])', '/dav/f/'))

  refused(t, await ask('DELETE', '/dav/nothing', { if: '(<x:y>)' }), 404, 'not_found')
  refused(t, await ask('DELETE', '/dav/a', { if: '(<x:y>)', 'if-match': '"x"' }), 412, 'precondition_failed')
  refused(t, await ask('DELETE', '/dav/a', { 'if-match': '"x"' }), 412, 'precondition_failed', 'ahead of the lock')
  refused(t, await ask('COPY', '/dav/a', { if: '(["x"])', destination: '/dav/f' }), 412, 'precondition_failed')
  refused(t, await ask('MOVE', '/dav/b', { 'if-match': '"x"', destination: '/dav/f' }), 412, 'precondition_failed')
  t.same(await drive.names(), ['a', 'b', 'f/'])

  for (const method of ['GET', 'HEAD', 'PROPFIND', 'UNLOCK']) {
    const asks = (path: string, condition: string) => ask(method, path, { depth: '0', 'lock-token': '<urn:uuid:0>', if: condition })
    t.equal((await asks('/dav/a', '(["x"])')).status, 412, method)
    if (method !== 'UNLOCK') t.equal((await asks('/dav/nothing', '(["x"])')).status, 404, method)
    t.equal((await asks('/dav/a', '(')).status, 400, method)
    t.ok([200, 207, 409].includes((await asks('/dav/a', `(<${token}> [${etag}])`)).status), method)
  }

  for (const text of ['', 'x', '()', '( )', '(<a:b>', '(<a:b>),(<c:d>)', '(["x)', '<x>', '</dav/a>', '(<a:b>) </dav/b> (<a:b>)', '(Not)', '(Not Not <a:b>)', '(<a b>)', '(<a:b>)'.repeat(101), `(<a:b>${' '.repeat(10_000)}x)`]) {
    refused(t, await ask('PUT', '/dav/b', { if: text }, 'x'), 400, 'malformed_request', text.slice(0, 50))
  }
  refused(t, await ask('PUT', '/dav/b', { if: '</dav/%ff> (<a:b>)' }, 'x'), 400, 'malformed_url')
})

t.test('a body that does not come is not waited for', async t => {
  const { server, secret } = await openDrive()
  const authorization = `Bearer ${secret}`
  for (const [method, path, headers, status] of [
    ['PUT', '/dav/', {}, 405],
    ['PUT', '/dav/x/y', {}, 409],
    ['MKCOL', '/dav/x', {}, 415],
    ['PROPFIND', '/dav/', { authorization: 'Basic x' }, 401],
    ['LOCK', '/dav/', {}, 403]
  ] as const) {
    t.equal((await answerToHead(server, method, path, { authorization, 'content-length': '9', ...headers }))[0], status, `${method} ${path}`)
  }
})
