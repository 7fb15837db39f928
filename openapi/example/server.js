/**
 * A toy photo album that keeps its photos in MagicStore, to be read: application.md explains it. It is no example of
 * sign-in: it believes the page who its user is. The photos go from the browser to the store and back, never through
 * this server.
 */
import { randomUUID } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { setTimeout } from 'node:timers/promises'

const {
  STORE_URL = 'http://127.0.0.1:5000', STORE_TOKEN = '', PORT = '8080', ALBUM = 'album.json'
} = process.env

/** The folder in the store. The names in it are random: the table knows whose they are, and what users call them. */
const FOLDER = 'album'

const USERS = ['ann', 'ben']

const MAX_BYTES = 20 * 1024 ** 2
const UPLOAD_SECONDS = 600
const DOWNLOAD_SECONDS = 60

/** How much later the clock of the store may be. */
const CLOCK_SECONDS = 60

/**
 * @typedef {{ id: string, user: string, title: string, fileName: string, linkId: number, expiresAt: string,
 *   isThere: boolean }} Photo
 * @typedef {{ linkId: number, expiresAt: string }} Download
 * @typedef {{ cursor: string | undefined, photos: Photo[], downloads: Download[] }} Table
 */

/** What a database of your application would keep. The position in the feed is kept with it. @type {Table} */
const table = await readFile(ALBUM, 'utf8').then(JSON.parse, () => ({ photos: [], downloads: [] }))

let saving = Promise.resolve()

/** Writes the table, one save after the other. */
function save () {
  saving = saving.catch(() => {}).then(async () => {
    await writeFile(`${ALBUM}.new`, JSON.stringify(table))
    await rename(`${ALBUM}.new`, ALBUM)
  })
  return saving
}

class Refusal extends Error {
  /** @param {number} status @param {string} code */
  constructor (status, code) {
    super(code)
    this.status = status
  }
}

/**
 * Sends a request of the service account to the store.
 * @param {string} method @param {string} path @param {object} [body]
 */
async function store (method, path, body) {
  const headers = { authorization: `Bearer ${STORE_TOKEN}`, ...(body && { 'content-type': 'application/json' }) }
  const response = await fetch(STORE_URL + path, { method, headers, ...(body && { body: JSON.stringify(body) }) })
  const text = await response.text()
  if (response.ok) return text === '' ? undefined : JSON.parse(text)
  throw new Refusal(response.status, response.headers.get('content-type')?.includes('json') ? JSON.parse(text).code : '')
}

const inSeconds = (/** @type {number} */ seconds) => new Date(Date.now() + seconds * 1000).toISOString()

/** The address of a file below that of its link, which is a path if the store does not know its own address. */
const addressOf = (/** @type {string} */ url, /** @type {string} */ fileName) =>
  new URL(`${url}/files/${fileName}`, STORE_URL).href

/**
 * Begins an upload: an address that takes exactly this file, once.
 * @param {string} user @param {{ title?: unknown, bytes?: unknown, sha256?: unknown }} wanted
 */
async function beginUpload (user, { title, bytes, sha256 }) {
  if (typeof title !== 'string' || title === '' || title.length > 200) throw new Refusal(400, 'title')
  if (!Number.isInteger(bytes) || Number(bytes) < 1 || Number(bytes) > MAX_BYTES) throw new Refusal(413, 'size')
  const id = randomUUID()
  const fileName = id + (/\.\w{1,8}$/.exec(title)?.[0] ?? '')
  const link = await store('POST', '/api/links', {
    name: FOLDER, kind: 'upload', fileName, sha256, maxBytes: bytes, expiresAt: inSeconds(UPLOAD_SECONDS)
  })
  // Before the browser gets the address: the feed may tell of the file at once.
  table.photos.push({ id, user, title, fileName, linkId: link.id, expiresAt: link.expiresAt, isThere: false })
  await save()
  return { url: addressOf(link.url, fileName) }
}

/**
 * An address for one download of a photo, if it is the user's.
 * @param {string} user @param {unknown} id
 */
async function beginDownload (user, id) {
  const photo = table.photos.find(photo => photo.id === id && photo.user === user && photo.isThere)
  if (photo === undefined) throw new Refusal(404, 'not_found')
  const link = await store('POST', '/api/links', {
    name: `${FOLDER}/${photo.fileName}`, kind: 'download', expiresAt: inSeconds(DOWNLOAD_SECONDS), showsOwner: false
  })
  table.downloads.push({ linkId: link.id, expiresAt: link.expiresAt })
  await save()
  return { url: addressOf(link.url, photo.fileName) }
}

/** Asks the feed once which photos have arrived. */
async function follow () {
  const position = table.cursor === undefined ? '' : `&cursor=${encodeURIComponent(table.cursor)}`
  const { changes, next, reset } = await store('GET', `/api/changes?wait=20&limit=1000${position}`)
  const arrived = new Set(changes.map((/** @type {{ linkId?: number }} */ { linkId }) => linkId))
  for (const photo of table.photos) photo.isThere ||= arrived.has(photo.linkId) || (reset && await isStored(photo))
  table.cursor = next
  if (changes.length === 0) await tidy()
  await save()
}

/** Whether a photo is in the store. Only needed if the feed can't tell. @param {Photo} photo */
async function isStored ({ fileName }) {
  return store('GET', `/api/files/${encodeURIComponent(`${FOLDER}/${fileName}`)}`).then(() => true, refusal => {
    if (refusal.status === 404) return false
    throw refusal
  })
}

/** Forgets uploads that were never made, and deletes links for downloads: the store keeps those that have expired. */
async function tidy () {
  const isOver = (/** @type {{ expiresAt: string }} */ { expiresAt }) => expiresAt < inSeconds(-CLOCK_SECONDS)
  table.photos = table.photos.filter(photo => photo.isThere || !isOver(photo))
  const over = table.downloads.filter(isOver)
  for (const { linkId } of over) {
    await store('DELETE', `/api/links/${linkId}`).catch(refusal => { if (refusal.status !== 404) throw refusal })
  }
  table.downloads = table.downloads.filter(download => !over.includes(download))
}

/** Follows the feed until the process ends. */
async function followAlways () {
  for (;;) {
    await follow().catch(async error => {
      console.error('the feed:', error.message)
      await setTimeout(5000)
    })
  }
}

/** @type {Record<string, [string, string]>} */
const PAGES = { '/': ['index.html', 'text/html'], '/page.js': ['page.js', 'text/javascript'] }

const POLICY = `default-src 'self'; connect-src 'self' ${new URL(STORE_URL).origin}; img-src blob:`

/** @param {import('node:http').IncomingMessage} request */
async function bodyOf (request) {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk
    if (text.length > 10_000) throw new Refusal(413, 'too large')
  }
  try { return JSON.parse(text) ?? {} } catch { throw new Refusal(400, 'no JSON') }
}

/** The operations of this server, all as JSON. @param {import('node:http').IncomingMessage} request */
async function answerOf (request) {
  // Whoever asks is who they say: here your application looks at its own session.
  const user = String(request.headers['x-user'])
  if (!USERS.includes(user)) throw new Refusal(401, 'who are you?')
  switch (`${request.method} ${request.url}`) {
    case 'GET /photos':
      return table.photos.filter(photo => photo.user === user)
        .map(({ id, title, isThere }) => ({ id, title, isThere }))
    case 'POST /uploads': return beginUpload(user, await bodyOf(request))
    case 'POST /downloads': return beginDownload(user, (await bodyOf(request)).id)
    default: throw new Refusal(404, 'not_found')
  }
}

await store('PUT', `/api/folders/${FOLDER}`)
void followAlways()

const server = createServer(async (request, response) => {
  const [file, type] = PAGES[request.url ?? ''] ?? []
  try {
    const body = file === undefined
      ? JSON.stringify(await answerOf(request))
      : await readFile(new URL(file, import.meta.url))
    response.writeHead(200, { 'content-type': type ?? 'application/json', 'content-security-policy': POLICY }).end(body)
  } catch (error) {
    if (!(error instanceof Refusal)) console.error(error)
    const [status, code] = error instanceof Refusal ? [error.status, error.message] : [500, 'error']
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ code }))
  }
})

server.listen(Number(PORT), '127.0.0.1', () => console.log(`The album is at http://127.0.0.1:${PORT}`))
