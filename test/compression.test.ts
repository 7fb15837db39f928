import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { test } from 'tap'
import { openLinkOwner } from './kit/links.ts'
import { sharedServer, signUp, type Answer, type Client } from './kit/server.ts'

const codings: [accepted: string | undefined, coding: string | undefined, decode: (bytes: Buffer) => Buffer][] = [
  [undefined, undefined, bytes => bytes],
  ['identity', undefined, bytes => bytes],
  ['br;q=0, gzip;q=0', undefined, bytes => bytes],
  ['gzip', 'gzip', gunzipSync],
  ['gzip, deflate, br, zstd', 'br', brotliDecompressSync]
]

const accepting = (accepted: string | undefined) => accepted === undefined ? {} : { 'accept-encoding': accepted }

/** An account with files whose list has some ten thousand bytes. */
async function openFull (client: Client) {
  const { token } = await signUp(client)
  const send = (method: string, path: string, headers: Record<string, string> = {}) =>
    client.send(method, path, { token, headers })
  for (let n = 0; n < 40; n++) await client.send('PUT', `/uploads/folder-${n}/file-${n}.txt`, { token, body: `text ${n}` })
  return { token, send }
}

/** What does not differ from one answer to the next. */
const lasting = ({ headers }: Answer) => Object.fromEntries(Object.entries(headers)
  .filter(([name]) => !/^(?:date|x-request-id|connection|keep-alive)$/.test(name)))

test('lists are compressed for clients that accept it, and are the same list', async t => {
  const { send } = await openFull(await sharedServer())
  await send('DELETE', '/uploads/folder-0/file-0.txt')
  const { json: { next } } = await send('GET', '/api/changes')
  for (let n = 1; n < 20; n++) await send('DELETE', `/uploads/folder-${n}/file-${n}.txt`)
  for (const path of ['/api/files?limit=1000', '/api/folders?all=true', '/api/trash', `/api/changes?cursor=${next}`]) {
    const { bytes: plain } = await send('GET', path)
    for (const [accepted, coding, decode] of codings) {
      const answer = await send('GET', path, accepting(accepted))
      const what = `${path} as ${accepted}`
      t.equal(answer.status, 200, what)
      t.equal(answer.headers['content-encoding'], coding, what)
      t.match(answer.headers.vary, /accept-encoding/i, what)
      t.equal(answer.headers['cache-control'], 'no-store', what)
      // The cursor of the changes has their time.
      if (!path.startsWith('/api/changes')) t.ok(decode(answer.bytes).equals(plain), what)
      t.equal(JSON.parse(decode(answer.bytes).toString()).constructor, Object, what)
      if (coding !== undefined) t.ok(answer.bytes.length < plain.length / 2, `${what}: ${answer.bytes.length} of ${plain.length} bytes`)
      const head = await send('HEAD', path, accepting(accepted))
      t.equal(head.bytes.length, 0, what)
      const { 'content-length': _length, 'content-encoding': _coding, 'transfer-encoding': _transfer, ...others } = lasting(answer) as Record<string, string>
      t.match(lasting(head), others, `HEAD ${what}`)
      t.equal(head.headers['content-length'], accepted === undefined ? answer.headers['content-length'] : undefined, `HEAD ${what}`)
    }
  }
})

test('a short list, bytes of users, and what has a secret, a token, a code or the address of a link are never compressed', async t => {
  const server = await sharedServer({ LINKS: 'on' })
  const owner = await openLinkOwner(server)
  const text = 'the same words again and again '.repeat(1000)
  for (let n = 0; n < 20; n++) {
    await owner.send('PUT', `/uploads/f/${n}.txt`, { body: text })
    await owner.share({ name: 'f', kind: 'download' })
  }
  const { path, id } = await owner.share({ name: 'f', kind: 'download' })
  const headers = accepting('br, gzip')
  const long = ['/uploads/f/1.txt', '/api/links', `/api/links/${id}/secret`, '/api/tokens', '/api/account/events', '/api/zip?folder=f']
  for (const address of [...long, '/api/files?limit=1', '/api/account']) {
    const answer = await owner.send('GET', address, { headers })
    t.match([answer.status, answer.headers['content-encoding']], [200, undefined], address)
  }
  for (const address of [`${path}/list`, `${path}/files/1.txt`, `${path}/zip`]) {
    const answer = await owner.get(address, headers)
    t.match([answer.status, answer.headers['content-encoding']], [200, undefined], address)
  }
  const token = await server.send('GET', '/api/token', { user: owner.user, headers })
  t.match([token.status, token.headers['content-encoding']], [200, undefined])
})

test('a page of another site gets no list, because its size could tell it names, unless its origin is allowed', async t => {
  const origin = 'https://app.example.org'
  const server = await sharedServer({ CORS_ORIGINS: origin })
  const { user, token } = await signUp(server)
  const lists = ['/api/files', '/api/folders', '/api/trash', '/api/changes', '/api/files/none/versions']
  for (const path of lists) {
    for (const method of ['GET', 'HEAD']) {
      const headers = { 'sec-fetch-site': 'cross-site' }
      const refused = await server.send(method, path, { user, headers })
      t.equal(refused.status, 403, `${method} ${path}`)
      if (method === 'GET') t.equal(refused.json.code, 'cross_site_request')
      t.equal((await server.send(method, path, { user, headers: { ...headers, origin: 'https://evil.example' } })).status, 403)
      t.not((await server.send(method, path, { token, headers: { ...headers, origin } })).status, 403, 'an allowed origin')
    }
    for (const site of ['same-origin', 'same-site', 'none']) {
      t.not((await server.send('GET', path, { token, headers: { 'sec-fetch-site': site } })).status, 403, site)
    }
    t.not((await server.send('GET', path, { token, headers: { origin: 'https://evil.example' } })).status, 403, 'not by its origin alone')
  }
  for (const path of ['/api/account', '/uploads/none']) {
    t.not((await server.send('GET', path, { token, headers: { 'sec-fetch-site': 'cross-site' } })).status, 403, `${path} is no list`)
  }
})

test('the document is compressed once, for each address of the server', async t => {
  const server = await sharedServer()
  for (const path of ['/openapi.json', '/openapi.yaml']) {
    const { bytes: plain } = await server.send('GET', path)
    for (const [accepted, coding, decode] of codings) {
      for (let time = 0; time < 2; time++) {
        const answer = await server.send('GET', path, { headers: accepting(accepted) })
        const what = `${path} as ${accepted}`
        t.equal(answer.headers['content-encoding'], coding, what)
        t.equal(answer.headers.vary, 'Accept-Encoding', what)
        t.equal(Number(answer.headers['content-length']), answer.bytes.length, what)
        t.ok(decode(answer.bytes).equals(plain), what)
        if (coding !== undefined) t.ok(answer.bytes.length < plain.length / 5, what)
        const head = await server.send('HEAD', path, { headers: accepting(accepted) })
        t.strictSame(lasting(head), lasting(answer), `HEAD ${what}`)
      }
    }
    const elsewhere = { ...accepting('br'), host: 'elsewhere.example' }
    const other = brotliDecompressSync((await server.send('GET', path, { headers: elsewhere })).bytes).toString()
    t.notOk(other.includes(server.url), 'another address')
    t.ok(brotliDecompressSync((await server.send('GET', path, { headers: accepting('br') })).bytes).equals(plain))
  }
})
