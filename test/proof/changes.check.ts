import t, { type Test } from 'tap'
import { sizes } from '../kit/sizes.ts'
import { personalToken } from '../kit/drive.ts'
import { createLink } from '../kit/links.ts'
import { startPostgres } from '../kit/postgres.ts'
import { credentials, openS3 } from '../kit/s3.ts'
import { formOf, signUp, spawnServer, type Answer, type Client, type SendOptions, type Settings } from '../kit/server.ts'
import { append, beginUpload } from '../kit/tus.ts'
import { listTree, Mirror } from '../kit/mirror.ts'
import { createRandom, type Random } from '../kit/random.ts'
import { until } from '../kit/waiting.ts'

const acts = sizes.feedActs
const WRITERS = 4
const MIRRORS = 3

const files = ['x', 'y', 'z', 'a/x', 'a/y', 'a/b/x', 'b/x', 'b/y', 'c/d/x', 'in/x', 'a', 'b']
const folders = ['a', 'b', 'c', 'a/b', 'c/d', 'd/e', 'in', 'x']
const json = { 'content-type': 'application/json' }

/** Does random acts of one account. */
class Writer {
  readonly #client: Client
  readonly #token: string
  readonly #random: Random
  readonly #link: string

  constructor ({ client, token, link, index }: { client: Client, token: string, link: string, index: number }) {
    this.#client = client
    this.#token = token
    this.#link = link
    this.#random = createRandom(`changes ${index}`)
  }

  async act (): Promise<void> {
    await this.#random.pick(Object.values(this.#acts))(this.#random.pick(files), this.#random.pick(folders))
  }

  readonly #acts: Record<string, (file: string, folder: string) => Promise<Answer | undefined>> = {
    form: file => this.#send('POST', '/', formOf(String(file.split('/').at(-1)), this.#bytes())),
    put: file => this.#send('PUT', bytesOf(file), { body: this.#bytes() }),
    'put below': (file, folder) => this.#send('PUT', bytesOf(`${folder}/${file}`), { body: this.#bytes() }),
    tus: file => this.#tus(file),
    rename: file => this.#send('PATCH', `/api/files/${encodeURIComponent(file)}`, { json: { name: this.#random.pick(files) } }),
    'move folder': (_file, folder) => this.#send('PATCH', folderAt(folder), { json: { name: this.#random.pick(folders) } }),
    'make folder': (_file, folder) => this.#send('PUT', folderAt(folder)),
    'delete file': file => this.#send('DELETE', `${bytesOf(file)}?permanent=${this.#random.chance(0.3)}`),
    'delete folder': (_file, folder) => this.#send('DELETE', `${folderAt(folder)}?recursive=${this.#random.chance(0.5)}`),
    copy: file => this.#send('POST', `/api/files/${encodeURIComponent(file)}/copy`, { json: { name: this.#random.pick(files) } }),
    'restore file': () => this.#restoreFile(),
    'restore deletion': () => this.#restoreDeletion(),
    'restore version': file => this.#restoreVersion(file),
    'dav put': file => this.#dav('PUT', file, { body: this.#bytes() }),
    'dav make': (_file, folder) => this.#dav('MKCOL', folder),
    'dav delete': file => this.#dav('DELETE', file),
    'dav move file': file => this.#davTo('MOVE', file, this.#random.pick(files)),
    'dav move folder': (_file, folder) => this.#davTo('MOVE', folder, this.#random.pick(folders)),
    'dav copy file': file => this.#davTo('COPY', file, this.#random.pick(files)),
    'dav copy folder': (_file, folder) => this.#davTo('COPY', folder, this.#random.pick(folders)),
    'dav touch': file => this.#dav('PROPPATCH', file, { headers: xml, body: `<propertyupdate xmlns="DAV:"><set><prop><lastmodified>${this.#random.below(1000)}</lastmodified></prop></set></propertyupdate>` }),
    'by link': () => this.#client.send('PUT', `${this.#link}/files/${this.#random.pick(['x', 'y'])}`, { body: this.#bytes() })
  }

  #bytes (): string {
    return 'x'.repeat(this.#random.below(20))
  }

  #send (method: string, path: string, options: SendOptions = {}): Promise<Answer> {
    return this.#client.send(method, path, { token: this.#token, ...options })
  }

  #dav (method: string, path: string, options: SendOptions = {}): Promise<Answer> {
    return this.#send(method, `/dav/${path}`, options)
  }

  #davTo (method: string, path: string, to: string): Promise<Answer> {
    return this.#dav(method, path, { headers: { destination: `/dav/${to}`, overwrite: this.#random.pick(['T', 'F']) } })
  }

  async #tus (name: string): Promise<Answer | undefined> {
    const bytes = Buffer.from(this.#bytes())
    const path = await beginUpload(this.#client, this.#token, { name, length: bytes.length }).catch(() => undefined)
    return path === undefined ? undefined : append(this.#client, this.#token, { path, offset: 0, bytes })
  }

  async #restoreFile (): Promise<Answer | undefined> {
    const entries = (await this.#send('GET', '/api/trash?limit=20')).json.files
    if (entries.length === 0) return undefined
    return this.#send('POST', `/api/trash/${this.#random.pick<{ id: string }>(entries).id}/restore`, { headers: json, body: '{}' })
  }

  async #restoreDeletion (): Promise<Answer | undefined> {
    const entries = (await this.#send('GET', '/api/trash?limit=200')).json.files
    const { deletedWith } = entries.find((entry: { deletedWith: string | null }) => entry.deletedWith !== null) ?? {}
    return deletedWith === undefined ? undefined : this.#send('POST', '/api/trash/restore', { json: { deletedWith } })
  }

  async #restoreVersion (file: string): Promise<Answer | undefined> {
    const path = `/api/files/${encodeURIComponent(file)}/versions`
    const { status, json } = await this.#send('GET', path)
    const [version] = status === 200 ? json.versions : []
    return version && this.#send('POST', `${path}/${version.id}/restore`)
  }
}

const xml = { 'content-type': 'application/xml' }
const bytesOf = (file: string) => `/uploads/${encodeURIComponent(file)}`
const folderAt = (folder: string) => `/api/folders/${encodeURIComponent(folder)}`

const shared: Settings = { RATE_LIMIT_PER_MINUTE: '0', LINKS: 'on', MAX_EVENT_LOOP_DELAY_MS: '0', LOG_LEVEL: 'error' }

/**
 * Writers change an account on all servers at once, while mirrors that began at different times follow them on the last
 * one.
 */
async function prove (t: Test, servers: readonly Client[]): Promise<void> {
  const [client, last] = [servers[0] as Client, servers.at(-1) as Client]
  const { user, token: access } = await signUp(client, 'ada')
  const token = await personalToken(client, user, ['files:read', 'files:write'])
  const get = async (path: string) => (await last.send('GET', path, { token })).json
  await client.send('PUT', '/api/folders/in', { token })
  const { path: link } = await createLink(client, { token: access }, { name: 'in', kind: 'upload' })
  const writers = Array.from({ length: WRITERS }, (_, index) =>
    new Writer({ client: servers[index % servers.length] as Client, token, link, index }))
  const left = Array.from({ length: acts })
  const mirrors = Array.from({ length: MIRRORS }, () => new Mirror(get, 5))
  const follow = async (mirror: Mirror, index: number) => {
    await until(() => left.length <= acts - acts / MIRRORS * index)
    await mirror.begin()
    while (left.length > 0) await mirror.follow('wait=1&limit=50')
  }
  const write = async (writer: Writer) => { for (; left.length > 0; left.pop()) await writer.act() }
  await Promise.all([...mirrors.map(follow), ...writers.map(write)])
  const tree = await listTree(get)
  for (const mirror of mirrors) {
    while (await mirror.follow('limit=1000') > 0);
    t.equal(mirror.resets, 0)
    t.strictSame(mirror.tree(), tree)
    t.comment(`${acts} acts, ${mirror.changes} changes`)
  }
}

t.test('a mirror that the feed keeps equals the listing: SQLite and a folder', async t => {
  await prove(t, [await spawnServer(t, { ...shared, DATA_DIR: t.testdir() })])
})

t.test('the same with PostgreSQL and a bucket, two servers', async t => {
  const [postgres, s3] = [await startPostgres(t), await openS3(t)]
  const settings = { ...shared, ...credentials, DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url(), BLOB_GRACE_SECONDS: '0' }
  await prove(t, [await spawnServer(t, settings), await spawnServer(t, settings)])
})
