import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { sha256Of } from '../kit/digests.ts'
import { createLink, openLinkOwner, type LinkOwner as Owner } from '../kit/links.ts'
import { sharedServer, signUp, spawnServer, startServer, type RunningServer } from '../kit/server.ts'
import { isProof, MIB } from '../kit/sizes.ts'
import { runSql, skipWithoutSqlite } from '../kit/stores.ts'
import { eventually } from '../kit/waiting.ts'
import { exchange, type WireAnswer } from '../kit/wire.ts'

// What strangers can do with `/s/`, with a link and without one.

const PASSWORD = 'tell it by phone'

const UNKNOWN = 'a'.repeat(22)

async function openOwner (server: RunningServer): Promise<Owner> {
  const owner = await openLinkOwner(server, { 'secret.txt': 'not shared', 'shared/note.txt': 'the shared note' })
  await owner.send('PUT', '/api/folders/inbox')
  return { ...owner, share: json => owner.share({ name: 'shared', kind: 'download', ...json }) }
}

const shareOwner = async () => openOwner(await sharedServer({ LINKS: 'on' }))

/** Sends a request as bytes. The target is not changed by any client. */
async function ask (
  { port }: RunningServer, method: string, target: string, { fields = [], body = '' }: { fields?: string[], body?: string } = {}
): Promise<WireAnswer> {
  const head = [`${method} ${target} HTTP/1.1`, 'Host: a', 'Connection: close', ...fields, '', ''].join('\r\n')
  const [answer] = await exchange(port, { bytes: Buffer.from(head + body, 'latin1'), method, isCut: false })
  return answer as WireAnswer
}

/** All of a response but what differs in every one, or depends on how much of a body has arrived. */
function comparable ({ status, headers, body }: WireAnswer): object {
  const { date, 'x-request-id': id, connection, ...others } = headers
  return { status, headers: others, body: body.toString() }
}

t.test('no spelling of a target leads out of a link, and none is an error of the server', async t => {
  const { server, share } = await shareOwner()
  const { secret } = await share({})
  const file = await share({ name: 'shared/note.txt' })
  const link = `/s/${secret}`
  const encoded = Array.from(secret, letter => `%${letter.charCodeAt(0).toString(16)}`).join('')
  const same = [`${link}/files/note.txt`, `/%73/${secret}/files/note.txt`, `/s/${encoded}/files/note.txt`, `${link}/%66iles/note%2etxt`, `http://elsewhere.example${link}/files/note.txt`, `${link}/files/note.txt?a=b`, `${link}/files/note.txt?a=../..`]
  for (const target of same) t.match(comparable(await ask(server, 'GET', target)), { status: 200, body: 'the shared note' }, target)
  const wrong = [
    `${link}/../../secret.txt`, `${link}/files/../../../uploads/secret.txt`, `${link}/files/%2e%2e/secret.txt`, `${link}/files/..%2fsecret.txt`, `${link}/files/..%5csecret.txt`, `${link}/files/%252e%252e%252fsecret.txt`,
    `${link}/files//note.txt`, `${link}/files/./note.txt`, `${link}/files/note.txt/`, `${link}/files/note.txt%00`, `${link}/files/%00`, `${link}/files/note.txt;x`, `${link};x/files/note.txt`, `${link}%20/files/note.txt`,
    `${link}%00/files/note.txt`, `${link}%2Ffiles/note.txt`, `/s%2F${secret}/files/note.txt`, `//s/${secret}/files/note.txt`, `/s//${secret}/files/note.txt`, `/S/${secret}/files/note.txt`, `/s/./${secret}/files/note.txt`,
    `/x/../s/${secret}/files/note.txt`, `${link}/FILES/note.txt`, `${link}/files`, `${link}/files/`, `${link}/files/shared/note.txt`, `${link}/files/%2fshared%2fnote.txt`, `${link}/files/secret.txt`, `${link}/`, `${link}/list/`,
    `/s/${secret.toLowerCase() === secret ? secret.toUpperCase() : secret.toLowerCase()}/files/note.txt`, `${link}\\files\\note.txt`, `${link}/files/\u00e9`, '/s', '/s/', '/s//', '/s/%2e%2e', '/s/..', '/s/../uploads/secret.txt', `${file.path}/files/../../../uploads/secret.txt`
  ]
  for (const target of wrong) {
    const { status, body } = await ask(server, 'GET', target)
    if (target === `${file.path}/files/../../../uploads/secret.txt`) t.match({ status, body: body.toString() }, { status: 200, body: 'the shared note' }, 'the name is not looked up')
    else t.ok([400, 404, 405].includes(status), `${target}: ${status}`)
    t.notOk(body.includes('not shared'), target)
  }
  for (const target of [`${link}/files/note.txt#x`, `${link}#/files/note.txt`, `${link}/files/note.txt?%ff`]) t.equal((await ask(server, 'GET', target)).status, 400, target)
})

t.test('no second request can be hidden in one for a link', async t => {
  const { server, share } = await shareOwner()
  const { path } = await share({})
  const hidden = 'GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n'
  const frames: string[][] = [
    [`Content-Length: ${hidden.length}`, 'Transfer-Encoding: chunked'], ['Transfer-Encoding: chunked, identity'], ['Transfer-Encoding: xchunked'], ['Content-Length: 0', 'Content-Length: 5'], ['Content-Length: +5'],
    ['Transfer-Encoding : chunked'], [`X: y\rContent-Length: ${hidden.length}`], ['Host: b']
  ]
  for (const fields of frames) {
    for (const target of [path, `${path}/files/note.txt`, `/s/${UNKNOWN}/unlock`]) {
      const bytes = Buffer.from([`POST ${target} HTTP/1.1`, 'Host: a', ...fields, '', hidden].join('\r\n'), 'latin1')
      const answers = await exchange(server.port, { bytes, method: 'POST', isCut: false, isExact: false })
      t.strictSame(answers.map(({ status }) => status), [400], fields.join())
    }
  }
})

/** Links that are not there, or not of this kind, by what happened to them. */
async function deadSecrets ({ server, send, share }: Owner): Promise<string[]> {
  const secrets = [UNKNOWN, 'a'.repeat(21), 'a'.repeat(23), '-'.repeat(22), '%2e%2e', `${'a'.repeat(21)}%00`, `${'a'.repeat(21)}%2F`, 'a'.repeat(8000)]
  const expired = await share({})
  await runSql(server.dataDir, `UPDATE links SET expires_at = 1 WHERE id = ${expired.id}`)
  const revoked = await share({ password: PASSWORD })
  await send('DELETE', `/api/links/${revoked.id}`)
  await send('PUT', '/uploads/gone.txt', { body: 'gone' })
  const gone = await share({ name: 'gone.txt' })
  await send('DELETE', '/uploads/gone.txt?permanent=true')
  const bob = await signUp(server)
  await server.send('PUT', '/uploads/a', { user: bob.user, body: 'of bob' })
  const ofDisabled = await createLink(server, { user: bob.user }, { name: 'a', kind: 'download' })
  await runSql(server.dataDir, `UPDATE accounts SET disabled_at = 1 WHERE id = ${bob.id}`)
  return [...secrets, ...[expired, revoked, gone, ofDisabled].map(({ secret }) => secret)]
}

const credentials: string[][] = [[], ['Authorization: Basic OnRlbGwgaXQgYnkgcGhvbmU='], ['Authorization: Bearer x', 'Cookie: magicstore_link=x'], ['Accept: text/html']]
const conditions: string[][] = [[], ['Range: bytes=0-1', 'If-Match: "x"'], ['If-None-Match: *']]
const bodies: { fields: string[], body?: string }[] = [
  { fields: ['Content-Length: 0'] }, { fields: ['Content-Type: application/json', 'Content-Length: 9'], body: '{"a":"b"}' }, { fields: ['Content-Length: 99999999999999'] },
  { fields: ['Content-Length: 99999999999999', 'Expect: 100-continue'] }, { fields: ['Transfer-Encoding: chunked', 'Content-Type: multipart/form-data; boundary=x'], body: '0\r\n\r\n' },
  { fields: ['Content-Type: not a type', 'Content-Length: 1'], body: 'x' }, { fields: ['Content-Type: multipart/form-data', 'Content-Length: 1'], body: 'x' }
]

/** All values in the proofs; else a part of them, another one for each `index`. */
const pairwise = <T> (values: readonly T[], index: number) =>
  values.filter((_, at) => isProof || at % credentials.length === index % values.length)

t.test('the 404 of every dead link is the same bytes, in every combination', async t => {
  const owner = await shareOwner()
  const { server } = owner
  const dead = await deadSecrets(owner)
  const download = await owner.share({ password: PASSWORD })
  const upload = await owner.share({ name: 'inbox', kind: 'upload' })
  let compared = 0
  async function compare (method: string, suffix: string, request: { fields: string[], body?: string }): Promise<void> {
    // Nor does it tell that there is a link of the other kind.
    const { secret } = ['GET', 'HEAD'].includes(method) ? upload : download
    const secrets = /^\/(?:list|files|uploads)/.test(suffix) ? [...dead, secret] : dead
    const [expected, ...answers] = await Promise.all(secrets.map(async secret =>
      comparable(await ask(server, method, `/s/${secret}${suffix}`, request))))
    t.match(expected, { status: 404 }, `${method} ${suffix} ${request.fields.join()}`)
    for (const [index, answer] of answers.entries()) if (JSON.stringify(answer) !== JSON.stringify(expected)) t.strictSame(answer, expected, `${method} ${suffix} of ${secrets[index + 1]?.slice(0, 30)}`)
    compared += secrets.length
  }
  for (const method of ['GET', 'HEAD']) {
    for (const suffix of ['', '?download', '?version=1', '/list', '/list?limit=0', '/files/a', '/files/a/b', '/files/%2e%2e', '/none']) {
      for (const [index, fields] of credentials.entries()) {
        for (const more of pairwise(conditions, index)) await compare(method, suffix, { fields: [...fields, ...more] })
      }
    }
  }
  for (const [method, suffix] of [['POST', '/unlock'], ['POST', '/unlock?version=1'], ['PUT', '/files/a'], ['PUT', '/files/a/b'], ['POST', '/files'], ['POST', '/uploads'], ['PATCH', `/uploads/${'b'.repeat(32)}`]] as const) {
    for (const [index, fields] of credentials.entries()) {
      for (const request of pairwise(bodies, index)) {
        await compare(method, suffix, { ...request, fields: [...fields, ...request.fields] })
      }
    }
  }
  t.comment(`${compared} responses compared`)
  t.ok(compared > 500)
})

t.test('HEAD has the head of GET, for each state of a link', async t => {
  const owner = await shareOwner()
  const { server, share } = owner
  const links = [await share({}), await share({ name: 'shared/note.txt' }), await share({ password: PASSWORD }), await share({ name: 'inbox', kind: 'upload' }), { path: `/s/${UNKNOWN}` }]
  for (const { path } of links) {
    for (const suffix of ['', '?download', '/list', '/files/note.txt', '/files/none']) {
      for (const fields of isProof ? [...credentials, ...conditions] : [...credentials.slice(0, 2), ['If-None-Match: *']]) {
        const [get, head] = [await ask(server, 'GET', path + suffix, { fields }), await ask(server, 'HEAD', path + suffix, { fields })]
        t.strictSame({ ...comparable(head), body: '' }, { ...comparable(get), body: '' }, `${suffix} ${fields.join()}`)
        t.equal(head.body.length, 0)
      }
    }
  }
})

t.test('hundreds of dead links from one network do not block a good one', async t => {
  const { server, share } = await shareOwner()
  const { path } = await share({})
  const sockets = Array.from({ length: 300 }, () => connect(server.port, '127.0.0.1').on('error', () => {}))
  // Bodies that never arrive.
  for (const [index, socket] of sockets.entries()) {
    socket.write(`${index % 2 === 0 ? 'POST' : 'GET'} /s/${String(index).padStart(22, 'x')}/${index % 2 === 0 ? 'unlock' : 'files/a'} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n`)
  }
  await Promise.all(sockets.map(socket => once(socket, 'data')))
  t.equal((await server.send('GET', `${path}/files/note.txt`)).text, 'the shared note')
  for (const socket of sockets) socket.destroy()
  for (let count = 0; count < 300; count++) await server.send('GET', `/s/${String(count).padStart(22, 'y')}`)
  t.equal((await server.send('GET', `${path}/files/note.txt`)).text, 'the shared note')
})

t.test('a wrong secret writes nothing', { skip: skipWithoutSqlite }, async t => {
  // Reading the files of the database ends its locks: no server that is shared.
  const { server } = await openOwner(await startServer(t, { LINKS: 'on' }))
  const state = async () => Promise.all(['magicstore.db', 'magicstore.db-wal'].map(async name => sha256Of(await readFile(join(server.dataDir, name)))))
  const before = await state()
  for (let count = 0; count < 100; count++) {
    const secret = String(count).padStart(22, 'z')
    await server.send('GET', `/s/${secret}/files/a`)
    await server.send('POST', `/s/${secret}/unlock`, { json: { password: 'x' } })
  }
  t.strictSame(await state(), before)
})

t.test('a revoked link ends at once, but a download that has begun is complete', async t => {
  const { server, send, share } = await shareOwner()
  await send('PUT', '/uploads/large', { body: Buffer.alloc(32 * MIB, 'x') })
  const { path, id } = await share({ name: 'large' })
  const socket = connect(server.port, '127.0.0.1')
  socket.write(`GET ${path}/files/large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
  await once(socket, 'readable')
  await send('DELETE', `/api/links/${id}`)
  t.equal((await server.send('GET', `${path}/files/large`)).status, 404)
  const bytes = Buffer.concat(await socket.toArray())
  t.equal(bytes.length - bytes.indexOf('\r\n\r\n') - 4, 32 * MIB)
})

t.test('a server that is told to stop writes the uses that it has counted', async t => {
  const settings = { DATA_DIR: t.testdir(), LINKS: 'on' }
  const server = await spawnServer(t, settings)
  const { user } = await signUp(server, 'ann')
  await server.send('PUT', '/uploads/a', { user, body: 'bytes' })
  const { path, id } = await createLink(server, { user }, { name: 'a', kind: 'download' })
  for (let count = 0; count < 5; count++) t.equal((await server.send('GET', `${path}/files/a`)).status, 200)
  const usesOf = async (running: Pick<RunningServer, 'send'>) => (await running.send('GET', `/api/links/${id}`, { user })).json.uses
  t.ok(await eventually(async () => await usesOf(server) === 1))
  t.equal(await server.end('SIGTERM'), 0)
  t.equal(await usesOf(await spawnServer(t, settings)), 5)
})
