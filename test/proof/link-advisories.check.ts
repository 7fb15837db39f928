import t from 'tap'
import { sha256Of } from '../kit/digests.ts'
import { createLink, openLinkOwner, type CreatedLink, type LinkOwner } from '../kit/links.ts'
import { runBin, sharedServer, type Answer, type SendOptions, type Settings } from '../kit/server.ts'
import { runSql } from '../kit/stores.ts'
import { TUS } from '../kit/tus.ts'

// What links of other programs could do by mistake. The security page has a row for each test, with its name.

const PASSWORD = 'tell it by phone'

const SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'

interface Owner extends LinkOwner {
  /** Sends as somebody without an account. */
  visit (method: string, path: string, options?: SendOptions): Promise<Answer>
}

/** An account with these files, at a server with links. */
async function openOwner (files: Record<string, string>, settings: Settings = {}): Promise<Owner> {
  const owner = await openLinkOwner(await sharedServer({ LINKS: 'on', ...settings }), files)
  return { ...owner, visit: owner.server.send }
}

const basic = (password: string) => ({ authorization: `Basic ${btoa(`:${password}`)}` })

async function cookieOf ({ visit }: Owner, { path }: CreatedLink): Promise<string> {
  const { headers } = await visit('POST', `${path}/unlock`, { json: { password: PASSWORD } })
  return String(headers['set-cookie']?.[0]).split(';', 1)[0] ?? ''
}

t.test('a link with a password has no second address that opens without it', async t => {
  const owner = await openOwner({ 'report.pdf': 'the bytes', 'box/in.txt': 'in it' })
  for (const name of ['report.pdf', 'box']) {
    const link = await owner.share({ name, kind: 'download', password: PASSWORD })
    const cookie = await cookieOf(owner, link)
    const inside = ['', '?download', '/list', '/list?folder=', '/files/report.pdf', '/files/in.txt', '/files/x']
    for (const path of inside.map(rest => link.path + rest)) {
      for (const query of ['', '?token=x', `?password=${encodeURIComponent(PASSWORD)}`, '?inline=true']) {
        const { text } = await owner.visit('GET', path + (path.includes('?') ? query.replace('?', '&') : query))
        t.notMatch(text, /the bytes|in it|in\.txt|report\.pdf/, `${path} ${query}`)
      }
    }
    // Every address that an unlocked link tells needs the password as well.
    const { json: { files } } = await owner.visit('GET', `${link.path}/list`, { headers: { cookie } })
    t.equal(files.length, 1)
    for (const { url } of files) t.match(await owner.visit('GET', new URL(url).pathname), { status: 403, json: { code: 'link_password_required' } })
  }
})

t.test('no answer has the hash of a password or of a secret, and none but that of its creation the secret of a link', async t => {
  const owner = await openOwner({ 'report.pdf': 'the bytes' })
  const link = await owner.share({ name: 'report.pdf', kind: 'download', password: PASSWORD })
  const [hashes] = await runSql(owner.server.dataDir, `SELECT secret_hash, password_hash FROM links WHERE id = ${link.id}`)
  t.equal(hashes?.secret_hash, sha256Of(link.secret))
  const answers = [
    await owner.send('GET', '/api/links'), await owner.send('GET', `/api/links/${link.id}`), await owner.send('GET', '/api/links?name=report.pdf'),
    await owner.send('PATCH', `/api/links/${link.id}`, { json: { showsOwner: false } }), await owner.send('GET', '/api/account/events'),
    await owner.send('GET', '/api/files'), await owner.send('GET', '/api/tokens'), await owner.visit('GET', link.path),
    await owner.visit('GET', link.path, { headers: basic(PASSWORD) })
  ]
  for (const { text } of answers) {
    for (const kept of [link.secret, hashes?.secret_hash, hashes?.password_hash, 'argon2', PASSWORD]) t.notOk(text.includes(String(kept)))
  }
  const operator = await runBin(['user', 'links', owner.user[0], '--json'], { DATA_DIR: owner.server.dataDir })
  for (const kept of [link.secret, ...Object.values(hashes ?? {})]) t.notOk(operator.stdout.includes(String(kept)))
  t.match(operator.stdout, '"hasPassword":true')
})

/** Spellings of ways out of a folder. */
const escapes = ['../secret.txt', '..%2Fsecret.txt', '%2e%2e/secret.txt', '%2e%2e%2fsecret.txt', '..%5Csecret.txt', '/secret.txt', '%2Fsecret.txt', './../secret.txt', 'sub/../../secret.txt', 'sub%2F..%2F..%2Fsecret.txt', '..;/secret.txt', '%252e%252e%252fsecret.txt', 'secret.txt', 'beside/secret.txt', 'shared-too/secret.txt', 'docs/beside/secret.txt', '%00/../secret.txt']

t.test('a link to a folder gives nothing above or beside it', async t => {
  const owner = await openOwner({ 'secret.txt': 'SECRET', 'docs/secret.txt': 'SECRET', 'docs/beside/secret.txt': 'SECRET', 'docs/shared-too/secret.txt': 'SECRET', 'docs/shared/in.txt': 'in it', 'docs/shared/sub/deep.txt': 'deep' })
  const { path } = await owner.share({ name: 'docs/shared', kind: 'download' })
  t.equal((await owner.visit('GET', `${path}/files/sub/deep.txt`)).text, 'deep')
  for (const name of escapes) {
    for (const address of [`${path}/files/${name}`, `${path}/list?folder=${name}`, `${path}/list?folder=${name.replace(/\/?secret\.txt$/, '')}`]) {
      const { status, text } = await owner.visit('GET', address)
      t.notMatch(text, /SECRET|secret\.txt"/, address)
      t.ok([200, 400, 404].includes(status), `${address}: ${status}`)
      if (status === 200) t.match(JSON.parse(text), { files: [{ name: 'in.txt' }], folders: [{ name: 'sub' }] }, `${address} is the linked folder itself`)
    }
  }
})

t.test('nothing that is downloaded by a link runs in the window of the server', async t => {
  const owner = await openOwner({ 'docs/a.svg': SVG, 'docs/a.html': '<script>alert(1)</script>', 'docs/a.xml': '<a/>', 'docs/a.js': 'alert(1)', 'docs/a.pdf': '%PDF' })
  const { path } = await owner.share({ name: 'docs', kind: 'download' })
  for (const type of ['svg', 'html', 'xml', 'js', 'pdf']) {
    for (const headers of [{}, { range: 'bytes=0-1' }, { accept: 'text/html', 'sec-fetch-dest': 'document' }]) {
      const answer = await owner.visit('GET', `${path}/files/a.${type}`, { headers })
      t.match(answer.headers, { 'content-disposition': /^attachment; /, 'x-content-type-options': 'nosniff', 'cross-origin-resource-policy': 'same-origin' }, type)
      t.match(answer.headers['content-security-policy'], /default-src 'none'/, type)
      t.match(answer.headers['content-security-policy'], /\bsandbox\b/, type)
    }
    t.equal((await owner.visit('GET', `${path}/files/a.${type}?disposition=inline`)).status, 400, `no visitor can ask for ${type} inline`)
  }
  const inbox = await owner.share({ name: 'docs', kind: 'upload' })
  t.equal((await owner.visit('PUT', `${inbox.path}/files/b.svg`, { body: SVG, headers: { 'content-type': 'image/svg+xml' } })).status, 201)
  const answer = await owner.send('GET', '/uploads/docs/b.svg?disposition=inline')
  t.match(answer.headers, { 'content-disposition': /^attachment; /, 'content-security-policy': /\bsandbox\b/ }, 'nor what a visitor uploads, for the owner')
})

t.test('a locked link tells nothing but that it needs its password', async t => {
  const owner = await openOwner({ 'report.pdf': 'the bytes', 'box/in.txt': 'in it' })
  for (const json of [{ name: 'report.pdf', kind: 'download' }, { name: 'box', kind: 'download' }, { name: 'box', kind: 'upload' }]) {
    const { path } = await owner.share({ ...json, password: PASSWORD })
    t.strictSame((await owner.visit('GET', path)).json, { needsPassword: true })
    t.match(await owner.visit('GET', `${path}?download`), { status: 200, headers: { location: undefined } })
    for (const rest of ['/list', '/files/report.pdf', '/files/in.txt', '/files/none']) {
      const { status, text } = await owner.visit('GET', path + rest)
      t.ok(status === 403 || (json.kind === 'upload' && status === 404), `${rest} of ${JSON.stringify(json)}`)
      t.notMatch(text, new RegExp(`${owner.user[0]}|box|"size"|the bytes|in it`), rest)
    }
    const put = await owner.visit('PUT', `${path}/files/x`, { body: 'x' })
    t.equal(put.status, json.kind === 'upload' ? 403 : 404)
  }
})

t.test('every link that opens something is in the list of its owner, who can end it', async t => {
  const owner = await openOwner({ 'report.pdf': 'the bytes', 'box/in.txt': 'in it' })
  const session = await owner.server.send('POST', '/api/session', { user: owner.user })
  const made = [await owner.share({ name: 'report.pdf', kind: 'download' }), await createLink(owner.server, { token: session.json.token }, { name: 'box', kind: 'upload' })]
  // Nothing else makes one.
  await owner.send('POST', '/api/files/report.pdf/copy', { json: { name: 'copy.pdf' } })
  await owner.send('PATCH', '/api/folders/box', { json: { name: 'moved' } })
  await owner.visit('PUT', `${made[1]?.path}/files/new.txt`, { body: 'new' })
  await owner.send('DELETE', '/uploads/copy.pdf')
  const { json: { files: [{ id }] } } = await owner.send('GET', '/api/trash')
  await owner.send('POST', `/api/trash/${id}/restore`)
  const stored = await runSql(owner.server.dataDir, `SELECT id FROM links WHERE account_id = ${owner.id} ORDER BY id DESC`)
  const { json: { links } } = await owner.send('GET', '/api/links')
  t.strictSame(links.map(({ id }: { id: number }) => id), stored.map(({ id }) => Number(id)))
  t.equal(links.length, 2)
  await owner.send('POST', `/api/links/${made[0]?.id}/secret`)
  t.equal((await owner.send('GET', '/api/links')).json.links.length, 2, 'a new secret is not another link')
  t.equal((await owner.send('DELETE', '/api/links')).status, 204)
  for (const { path } of made) t.equal((await owner.visit('GET', path)).status, 404)
})

t.test('a link to a file gives no other file, whatever name is asked for', async t => {
  const owner = await openOwner({ 'docs/report.pdf': 'the bytes', 'docs/secret.txt': 'SECRET', 'secret.txt': 'SECRET' })
  const { path } = await owner.share({ name: 'docs/report.pdf', kind: 'download' })
  for (const name of ['report.pdf', 'docs/secret.txt', 'docs%2Fsecret.txt', 'x', ...escapes]) {
    const { status, text } = await owner.visit('GET', `${path}/files/${name}`)
    t.notMatch(text, 'SECRET', name)
    if (status === 200) t.equal(text, 'the bytes', name)
  }
  const list = await owner.visit('GET', `${path}/list`)
  t.match(list.json, { folders: [], files: [{ name: 'report.pdf' }] })
  t.equal(list.json.files.length, 1)
  t.notMatch((await owner.visit('GET', `${path}/list?folder=docs`)).text, 'secret.txt')
  await owner.send('DELETE', '/uploads/docs/report.pdf')
  await owner.send('PUT', '/uploads/docs/report.pdf', { body: 'another file of this name' })
  t.equal((await owner.visit('GET', `${path}/files/report.pdf`)).status, 404, 'nor a later file of the same name')
})

t.test('a token makes no link that gives more than the token itself', async t => {
  const owner = await openOwner({ 'box/in.txt': 'in it' })
  const tokenWith = async (scopes: string[]) => (await owner.server.send('POST', '/api/tokens', { user: owner.user, json: { name: 'a', scopes } })).json.token
  const wanted = { download: { name: 'box', kind: 'download' }, upload: { name: 'box', kind: 'upload' } }
  const table: [scopes: string[], download: number, upload: number][] = [
    [['links'], 403, 403], [['links', 'account'], 403, 403], [['links', 'files:read'], 201, 403], [['links', 'files:write'], 403, 201],
    [['files:read', 'files:write', 'account'], 403, 403], [['links', 'files:read', 'files:write'], 201, 201]
  ]
  for (const [scopes, download, upload] of table) {
    const token = await tokenWith(scopes)
    t.equal((await owner.visit('POST', '/api/links', { token, json: wanted.download })).status, download, `download with ${scopes}`)
    t.equal((await owner.visit('POST', '/api/links', { token, json: wanted.upload })).status, upload, `upload with ${scopes}`)
  }
  const { id } = await owner.share(wanted.download)
  const token = await tokenWith(['links', 'files:write'])
  t.equal((await owner.visit('POST', `/api/links/${id}/secret`, { token })).status, 403, 'nor learns the secret of such a link')
  t.equal((await owner.visit('PATCH', `/api/links/${id}`, { token, json: { password: null } })).status, 403, 'nor takes its password away')
})

/** Programs that fetch an address as soon as somebody sends it. */
const previewers = ['WhatsApp/2.24.1 A', 'facebookexternalhit/1.1', 'Slackbot-LinkExpanding 1.0', 'TelegramBot (like TwitterBot)', 'Mozilla/5.0 (compatible; Discordbot/2.0)', 'SkypeUriPreview Preview/0.5', 'Mozilla/5.0 (iPhone) AppleWebKit Signal/7']

t.test('a program that makes previews uses nothing up', async t => {
  const owner = await openOwner({ 'report.pdf': 'the bytes', 'box/in.txt': 'in it' })
  const file = await owner.share({ name: 'report.pdf', kind: 'download' })
  const inbox = await owner.share({ name: 'box', kind: 'upload', maxFiles: 1, maxBytes: 5 })
  for (const agent of previewers) {
    for (const { path } of [file, inbox]) {
      for (const accept of ['*/*', 'text/html', 'image/*']) await owner.visit('GET', path, { headers: { 'user-agent': agent, accept } })
      for (const rest of ['', '/files/report.pdf']) await owner.visit('HEAD', path + rest, { headers: { 'user-agent': agent } })
    }
  }
  const { json: { links } } = await owner.send('GET', '/api/links')
  t.match(links, [{ uses: 0, usedFiles: 0, usedBytes: 0, lastUsedAt: null }, { uses: 0, lastUsedAt: null }])
  for (let count = 0; count < 3; count++) t.equal((await owner.visit('GET', `${file.path}/files/report.pdf`)).text, 'the bytes', 'nor does a download')
  t.equal((await owner.visit('PUT', `${inbox.path}/files/a`, { body: '12345' })).status, 201)
})

t.test('requests for links that are not there block nobody', async t => {
  const owner = await openOwner({ 'report.pdf': 'the bytes' }, { SIGN_IN_FAILURES: '1' })
  const dead = `/s/${'a'.repeat(22)}`
  for (let count = 0; count < 30; count++) {
    const answers = await Promise.all([
      owner.visit('GET', dead), owner.visit('GET', `${dead}/files/x`, { headers: basic('wrong') }),
      owner.visit('POST', `${dead}/unlock`, { json: { password: 'wrong' } }), owner.visit('PUT', `${dead}/files/x`, { body: 'x' })
    ])
    for (const { status } of answers) if (status !== 404) t.equal(status, 404)
  }
  const { path } = await owner.share({ name: 'report.pdf', kind: 'download', password: PASSWORD })
  t.equal((await owner.visit('POST', `${path}/unlock`, { json: { password: PASSWORD } })).status, 204)
  t.equal((await owner.visit('GET', `${path}/files/x`, { headers: basic(PASSWORD) })).text, 'the bytes')
  t.equal((await owner.send('GET', '/api/resource')).status, 200, 'nor the sign-in of an account')
})

t.test('a link that is revoked, replaced or of a disabled account opens nothing more', async t => {
  const owner = await openOwner({ 'report.pdf': 'the bytes', 'box/in.txt': 'in it' })
  const user = async (verb: string) => runBin(['user', verb, owner.user[0]], { DATA_DIR: owner.server.dataDir })
  const ways: [what: string, end: (link: CreatedLink) => Promise<unknown>][] = [
    ['revoked', ({ id }) => owner.send('DELETE', `/api/links/${id}`)],
    ['revoked with all', () => owner.send('DELETE', '/api/links')],
    ['replaced', ({ id }) => owner.send('POST', `/api/links/${id}/secret`)],
    ['of a disabled account', () => user('disable')]
  ]
  for (const [what, end] of ways) {
    const file = await owner.share({ name: 'report.pdf', kind: 'download', password: PASSWORD })
    const inbox = await owner.share({ name: 'box', kind: 'upload' })
    const cookie = await cookieOf(owner, file)
    const begun = await owner.visit('POST', `${inbox.path}/uploads`, { headers: { ...TUS, 'upload-length': '5', 'upload-metadata': `filename ${btoa('a.txt')}` } })
    t.equal(begun.status, 201)
    const upload = `${inbox.path}/uploads/${begun.json.id}`
    t.equal((await owner.visit('GET', `${file.path}/files/x`, { headers: { cookie } })).status, 200)
    for (const link of [file, inbox]) await end(link)
    for (const rest of ['', '/list', '/files/x']) t.equal((await owner.visit('GET', file.path + rest, { headers: { cookie } })).status, 404, `${what}: ${rest}`)
    const append = { headers: { ...TUS, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' }, body: '12345' }
    t.equal((await owner.visit('PATCH', upload, append)).status, 404, `${what}: an upload that was begun`)
    t.equal((await owner.visit('PUT', `${inbox.path}/files/x`, { body: 'x' })).status, 404, what)
  }
  await user('enable')
  t.strictSame((await owner.send('GET', '/api/files?folder=box')).json.files.map(({ name }: { name: string }) => name), ['box/in.txt'])
})

t.test('the address of a link is told to no other server, and kept by no cache and no search engine', async t => {
  const owner = await openOwner({ 'report.pdf': 'the bytes', 'box/in.txt': 'in it' })
  const { path } = await owner.share({ name: 'box', kind: 'download' })
  const dead = `/s/${'a'.repeat(22)}`
  for (const address of [path, `${path}/list`, `${path}/files/in.txt`, `${path}/files/none`, dead, `${dead}/files/x`, `${path}/none`]) {
    for (const accept of ['*/*', 'text/html']) {
      const { headers } = await owner.visit('GET', address, { headers: { accept } })
      t.match(headers, { 'referrer-policy': 'no-referrer', 'x-robots-tag': 'noindex', 'cache-control': 'no-store' }, `${address} ${accept}`)
    }
  }
  const page = await owner.visit('GET', path, { headers: { accept: 'text/html' } })
  t.match(page.text, /^<!doctype html>/)
  t.notMatch(page.text, path, 'the page does not have the secret in it')
  for (const [, address = ''] of page.text.matchAll(/(?:src|href|action)=["']?([^"'\s>]*)/g)) t.notMatch(address, /^(?:[a-z]+:)?\/\//, address)
  for (const directive of ["default-src 'none'", "connect-src 'self'", "img-src 'self' blob: data:"]) t.match(page.headers['content-security-policy'], directive)
})
