import { randomBytes } from 'node:crypto'
import t from 'tap'
import { readConfig } from '#src/config.ts'
import { openOperatorStore } from '#src/services.ts'
import { blobsIn } from '../kit/backups.ts'
import { createLink } from '../kit/links.ts'
import { createRandom } from '../kit/random.ts'
import { namesOf, runBin, signUp, spawnServer, type Client } from '../kit/server.ts'
import { MIB, sizes } from '../kit/sizes.ts'
import { TUS } from '../kit/tus.ts'
import { until } from '../kit/waiting.ts'

const UPLOADS = 4
const UPLOAD_BYTES = sizes.killedLinkUploadBytes
const KILLS = sizes.linkUploadKills

const TUS_BYTES = { ...TUS, 'content-type': 'application/offset+octet-stream' }

t.test('what visitors were told to be stored outlives kill -9, and nothing else is left', { timeout: 600_000 }, async t => {
  const settings = { DATA_DIR: t.testdir(), LINKS: 'on', RATE_LIMIT_PER_MINUTE: '0', TOKEN_SECONDS: '86400' }
  let server = await spawnServer(t, settings)
  const { token } = await signUp(server, 'ada')
  await server.send('PUT', '/api/folders/inbox', { token })
  const link = await createLink(server, { token }, { name: 'inbox', kind: 'upload', maxFiles: 1_000_000, maxBytes: Number.MAX_SAFE_INTEGER })
  const revoked = await createLink(server, { token }, { name: 'inbox', kind: 'upload' })
  const bytes = randomBytes(UPLOAD_BYTES)

  async function begin (path: string, name: string): Promise<string> {
    const headers = { ...TUS, 'upload-length': String(bytes.length), 'upload-metadata': `filename ${Buffer.from(name).toString('base64')}` }
    return `${path}/uploads/${(await server.send('POST', `${path}/uploads`, { headers })).json.id}`
  }

  const append = (client: Client, path: string, offset: number, end: number) => client.send('PATCH', path, {
    headers: { ...TUS_BYTES, 'upload-offset': String(offset) }, body: bytes.subarray(offset, end)
  })

  const uploads = await Promise.all(Array.from({ length: UPLOADS }, async (_, index) => ({
    name: `upload-${index}`,
    acknowledged: 0,
    path: await begin(link.path, `upload-${index}`),
    random: createRandom(`link durability ${index}`)
  })))
  const orphan = await begin(revoked.path, 'orphan')
  t.equal((await append(server, orphan, 0, MIB)).status, 204)

  /** Appends pieces of any size until all bytes are there or the server is killed. */
  async function work (client: Client, upload: typeof uploads[number]): Promise<void> {
    const { status, headers } = await client.send('HEAD', upload.path, { headers: TUS })
    t.equal(status, 200)
    const offset = Number(headers['upload-offset'])
    t.ok(offset >= upload.acknowledged, `${upload.name}: ${offset} is not before ${upload.acknowledged}`)
    upload.acknowledged = offset
    while (upload.acknowledged < bytes.length) {
      const end = Math.min(bytes.length, upload.acknowledged + upload.random.between(1, bytes.length / 8))
      t.equal((await append(client, upload.path, upload.acknowledged, end)).status, 204)
      upload.acknowledged = end
    }
  }

  let acknowledged = 0
  let attempted = 0
  /** Puts small files until the server is killed. */
  async function putMany (client: Client): Promise<never> {
    for (;;) {
      attempted++
      t.equal((await client.send('PUT', `${link.path}/files/small`, { body: bytes.subarray(0, 1000) })).status, 201)
      acknowledged++
    }
  }

  const untilKilled = (working: Promise<void>) => working.catch((error: NodeJS.ErrnoException) => {
    if (error.code === undefined) throw error
  })

  const random = createRandom('link durability')
  for (let kill = 0; kill < KILLS; kill++) {
    const working = [...uploads.map(upload => work(server, upload)), putMany(server)].map(untilKilled)
    const last = acknowledged + random.between(1, 20)
    await until(() => acknowledged >= last)
    await server.end('SIGKILL')
    await Promise.all(working)
    server = await spawnServer(t, settings)
  }
  for (const upload of uploads) {
    await work(server, upload)
    t.ok((await server.send('GET', `/uploads/inbox/${upload.name}`, { token })).bytes.equals(bytes), upload.name)
  }
  const small = (await namesOf(server, { token })).filter(name => name.startsWith('inbox/small'))
  t.ok(small.length >= acknowledged && small.length <= attempted, `${small.length} of ${acknowledged} files`)
  for (const name of small) {
    t.ok((await server.send('GET', `/uploads/${encodeURIComponent(name)}`, { token })).bytes.equals(bytes.subarray(0, 1000)), name)
  }
  const used = { usedFiles: UPLOADS + small.length, usedBytes: UPLOADS * bytes.length + 1000 * small.length }
  t.match((await server.send('GET', `/api/links/${link.id}`, { token })).json, used, 'each counts once')
  t.equal((await server.send('DELETE', `/api/links/${revoked.id}`, { token })).status, 204)
  t.equal((await server.send('HEAD', orphan, { headers: TUS })).status, 404)
  t.equal(await server.end('SIGTERM'), 0)

  const store = await openOperatorStore(readConfig(settings))
  t.equal(await store.metadata.uploads.removeExpired(10), false)
  await store.cleanup.sweepNow()
  await store.close()
  t.equal((await blobsIn(settings.DATA_DIR)).length, UPLOADS + small.length)
  t.match(await runBin(['fsck', '--deep'], settings), { code: 0, stdout: 'all is well\n' })
  t.comment(`${KILLS} kills, ${acknowledged} small files acknowledged, 0 lost`)
})
