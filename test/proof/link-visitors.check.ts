import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { sha256Of } from '../kit/digests.ts'
import { openLinkOwner, type LinkOwner as Owner } from '../kit/links.ts'
import { sharedServer, startServer, type RunningServer } from '../kit/server.ts'
import { MIB } from '../kit/sizes.ts'
import { skipWithoutSqlite } from '../kit/stores.ts'
import { exchange } from '../kit/wire.ts'

// What strangers can do with `/s/`, with a link and without one.

/** An account with a link to its folder. */
async function openOwner (server: RunningServer): Promise<Owner> {
  const owner = await openLinkOwner(server, { 'secret.txt': 'not shared', 'shared/note.txt': 'the shared note' })
  return { ...owner, share: json => owner.share({ name: 'shared', kind: 'download', ...json }) }
}

const shareOwner = async () => openOwner(await sharedServer({ LINKS: 'on' }))

/** Sends a request as bytes. The target is not changed by any client. */
async function ask ({ port }: RunningServer, target: string): Promise<{ status: number, body: string }> {
  const bytes = Buffer.from(`GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`, 'latin1')
  const [answer] = await exchange(port, { bytes, method: 'GET', isCut: false })
  return { status: Number(answer?.status), body: String(answer?.body) }
}

t.test('no spelling of a target leads out of a link, and none is an error of the server', async t => {
  const { server, share } = await shareOwner()
  const { secret } = await share({})
  const file = await share({ name: 'shared/note.txt' })
  const link = `/s/${secret}`
  const encoded = Array.from(secret, letter => `%${letter.charCodeAt(0).toString(16)}`).join('')
  const same = [`${link}/files/note.txt`, `/%73/${secret}/files/note.txt`, `/s/${encoded}/files/note.txt`, `${link}/%66iles/note%2etxt`, `http://elsewhere.example${link}/files/note.txt`, `${link}/files/note.txt?a=b`, `${link}/files/note.txt?a=../..`]
  for (const target of same) t.match(await ask(server, target), { status: 200, body: 'the shared note' }, target)
  const wrong = [
    `${link}/../../secret.txt`, `${link}/files/../../../uploads/secret.txt`, `${link}/files/%2e%2e/secret.txt`, `${link}/files/..%2fsecret.txt`, `${link}/files/..%5csecret.txt`, `${link}/files/%252e%252e%252fsecret.txt`,
    `${link}/files//note.txt`, `${link}/files/./note.txt`, `${link}/files/note.txt/`, `${link}/files/note.txt%00`, `${link}/files/%00`, `${link}/files/note.txt;x`, `${link};x/files/note.txt`, `${link}%20/files/note.txt`,
    `${link}%00/files/note.txt`, `${link}%2Ffiles/note.txt`, `/s%2F${secret}/files/note.txt`, `//s/${secret}/files/note.txt`, `/s//${secret}/files/note.txt`, `/S/${secret}/files/note.txt`, `/s/./${secret}/files/note.txt`,
    `/x/../s/${secret}/files/note.txt`, `${link}/FILES/note.txt`, `${link}/files`, `${link}/files/`, `${link}/files/shared/note.txt`, `${link}/files/%2fshared%2fnote.txt`, `${link}/files/secret.txt`, `${link}/`, `${link}/list/`,
    `/s/${secret.toLowerCase() === secret ? secret.toUpperCase() : secret.toLowerCase()}/files/note.txt`, `${link}\\files\\note.txt`, `${link}/files/\u00e9`, '/s', '/s/', '/s//', '/s/%2e%2e', '/s/..', '/s/../uploads/secret.txt', `${file.path}/files/../../../uploads/secret.txt`
  ]
  for (const target of wrong) {
    const { status, body } = await ask(server, target)
    if (target === `${file.path}/files/../../../uploads/secret.txt`) t.match({ status, body }, { status: 200, body: 'the shared note' }, 'the name is not looked up')
    else t.ok([400, 404, 405].includes(status), `${target}: ${status}`)
    t.notOk(body.includes('not shared'), target)
  }
  for (const target of [`${link}/files/note.txt#x`, `${link}#/files/note.txt`, `${link}/files/note.txt?%ff`]) t.equal((await ask(server, target)).status, 400, target)
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
