import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, open, readFile, rm, stat } from 'node:fs/promises'
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Kind } from './plan.ts'
import { RemoteError, type FeedPage, type Remote, type ResyncReason, type ServerEntry } from './ports.ts'

/** A connection without a byte for so long is cut. */
const IDLE_MILLISECONDS = 60_000

const PAGE = '1000'

/** From this size on, an upload can go on after a cut. What is smaller is read whole. */
const RESUMABLE_BYTES = 8 * 1024 ** 2

/** How many requests in a row may store no byte, and the pause after the first; it doubles each time. */
const RETRIES = 5
const FIRST_PAUSE_MILLISECONDS = 500

/** Less than the idle time of connections, here and of proxies. */
const WAIT_SECONDS = 50

/** A file or folder as the API describes it. */
interface ApiEntry {
  readonly id: string
  readonly folderId?: string | null
  readonly parentId?: string | null
  readonly name: string
  readonly size?: number
  readonly sha256?: string
  readonly modifiedAt?: string | null
}

interface ApiChange { readonly id: string, readonly file?: ApiEntry, readonly folder?: ApiEntry }

interface Call {
  readonly query?: Record<string, string | undefined>
  readonly headers?: Record<string, string | undefined>
  readonly json?: object
  readonly bytes?: Buffer
  readonly body?: { readonly stream: Readable, readonly size: number }
  readonly signal?: AbortSignal | undefined
}

export interface HttpRemote extends Remote {
  /** The account of the credential. */
  account (): Promise<{ id: number, username: string }>
  /** The folder with this path; undefined if there is none. */
  findFolder (path: string): Promise<ServerEntry | undefined>
  /** Whether something has changed after the cursor, as soon as it has, or after a minute without a change. */
  wait (cursor: string, signal: AbortSignal): Promise<boolean>
  close (): void
}

/** The server at an address, for the files of a folder of this computer. */
export function createHttpRemote ({ url, token, folder }: { url: string, token: string, folder: string }): HttpRemote {
  const isTls = url.startsWith('https:')
  const agent = new (isTls ? HttpsAgent : HttpAgent)({ keepAlive: true })
  const send = isTls ? httpsRequest : httpRequest

  /** The response to one request. @throws {RemoteError} unless it is a success. */
  async function open (method: string, path: string, call: Call = {}): Promise<IncomingMessage> {
    const { query = {}, headers = {}, json, body, signal } = call
    const address = new URL(url + path)
    for (const [name, value] of Object.entries(query)) if (value !== undefined) address.searchParams.set(name, value)
    const bytes = json === undefined ? call.bytes : Buffer.from(JSON.stringify(json))
    const length = bytes?.length ?? body?.size
    const sent = {
      authorization: `Bearer ${token}`,
      ...json && { 'content-type': 'application/json' },
      ...length !== undefined && { 'content-length': String(length) },
      ...Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined))
    }
    const request = send(address, { method, agent, headers: sent, timeout: IDLE_MILLISECONDS, ...signal && { signal } })
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve)
      request.once('error', reject)
      request.once('timeout', () => request.destroy(new Error('the server does not answer')))
    })
    // The server may refuse before it has read all: then only the response counts.
    if (body === undefined) request.end(bytes)
    else pipeline(body.stream, request).catch(() => {})
    const response = await answered.catch((error: Error) => {
      throw new RemoteError(undefined, error.message, error)
    })
    const { statusCode = 0 } = response
    if (statusCode < 300) return response
    const text = await textOf(response).catch(() => '')
    const { code, detail } = problemOf(text)
    // Other bytes than those that were hashed: the file changed meanwhile.
    throw new RemoteError(code === 'digest_mismatch' ? 412 : statusCode, detail ?? `status ${statusCode}`)
  }

  async function ask<T> (method: string, path: string, call: Call = {}): Promise<T> {
    const response = await open(method, path, call)
    const text = await textOf(response).catch((error: Error) => {
      throw new RemoteError(undefined, error.message, error)
    })
    return (text === '' ? undefined : JSON.parse(text)) as T
  }

  const pathOf = (kind: Kind, path: string) => `/api/${kind}s/${encodeURIComponent(path)}`
  const bytesOf = (path: string) => `/uploads/${path.split('/').map(encodeURIComponent).join('/')}`

  /** After a cut, an upload goes on from its last stored byte (draft-ietf-httpbis-resumable-upload). */
  async function uploadInParts (path: string, call: Call, source: Source): Promise<ApiEntry> {
    const begun = { 'upload-complete': '?0', 'upload-length': String(source.size) }
    const created = await open('PUT', path, { ...call, headers: { ...call.headers, ...begun }, body: noBytes() })
    created.resume()
    const upload = `/api/uploads/${created.headers.location?.split('/').at(-1)}`
    let stored = 0
    for (let failures = 0; ; failures++) {
      try {
        const head = await open('HEAD', upload)
        head.resume()
        const offset = Number(head.headers['upload-offset'])
        if (offset > stored) failures = 0
        stored = offset
        const headers = {
          'content-type': 'application/partial-upload', 'upload-offset': String(offset), 'upload-complete': '?1'
        }
        return await ask<ApiEntry>('PATCH', upload, { headers, body: partOf(source, offset) })
      } catch (error) {
        const isCut = error instanceof RemoteError && error.status === undefined
        if (!isCut || failures === RETRIES) throw error
        await new Promise(resolve => { setTimeout(resolve, FIRST_PAUSE_MILLISECONDS * 2 ** failures) })
      }
    }
  }

  return {
    account: async () => ask('GET', '/api/account'),

    async findFolder (path) {
      try {
        return storedOf('folder', await ask<ApiEntry>('GET', pathOf('folder', path)))
      } catch (error) {
        if (error instanceof RemoteError && error.status === 404) return undefined
        throw error
      }
    },

    async changes (cursor): Promise<FeedPage> {
      const page = await ask<{ changes: ApiChange[], next: string, reason?: ResyncReason }>(
        'GET', '/api/changes', { query: { cursor, limit: PAGE } })
      const { changes, next, reason } = page
      return {
        changes: changes.map(({ id, file, folder }) =>
          [id, file ? storedOf('file', file) : folder && storedOf('folder', folder)] as const),
        next,
        reason
      }
    },

    async wait (cursor, signal) {
      const query = { cursor, limit: '1', wait: String(WAIT_SECONDS) }
      const page = await ask<{ changes: unknown[], reset: boolean }>('GET', '/api/changes', { query, signal })
      return page.reset || page.changes.length > 0
    },

    async list (kind, cursor) {
      const query = { limit: PAGE, cursor: cursor ?? undefined, ...kind === 'folder' && { all: 'true' } }
      const page = await ask<Record<string, ApiEntry[]> & { next: string | null }>('GET', `/api/${kind}s`, { query })
      return { entries: (page[`${kind}s`] ?? []).map(entry => storedOf(kind, entry)), next: page.next }
    },

    async upload ({ path, folderId, source, sha256, size, replaces }) {
      const file = join(folder, source)
      const { mtime } = await stat(file)
      const headers = {
        'if-none-match': replaces === undefined ? '*' : undefined,
        'if-match': replaces === undefined ? undefined : `"${replaces}"`,
        'repr-digest': `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`,
        'x-file-modified': timeOf(mtime)
      }
      const call = { query: { folderId }, headers }
      if (size >= RESUMABLE_BYTES) return storedOf('file', await uploadInParts(bytesOf(path), call, { file, size }))
      return storedOf('file', await ask<ApiEntry>('PUT', bytesOf(path), { ...call, bytes: await readFile(file) }))
    },

    makeFolder: async (path, folderId) =>
      storedOf('folder', await ask<ApiEntry>('PUT', pathOf('folder', path), { query: { folderId } })),

    async move ({ kind, path, id }, to, folderId) {
      const entry = await ask<ApiEntry>('PATCH', pathOf(kind, path), { query: { id }, json: { name: to, folderId } })
      return storedOf(kind, entry)
    },

    async remove ({ kind, path, id }, sha256) {
      const headers = { 'if-match': kind === 'file' ? `"${sha256}"` : undefined }
      await ask('DELETE', kind === 'file' ? bytesOf(path) : pathOf(kind, path), { query: { id }, headers })
    },

    async download ({ path }, { sha256, modifiedAt, to, like }) {
      const response = await open('GET', bytesOf(path), { headers: { 'if-match': `"${sha256}"` } })
      const file = join(folder, to)
      try {
        await receive(response, file, { sha256, modifiedAt })
        if (like !== undefined) await chmod(file, (await stat(join(folder, like))).mode & 0o777)
      } catch (error) {
        response.destroy()
        await rm(file, { force: true })
        throw error
      }
    },

    close: () => agent.destroy()
  }
}

interface Source { readonly file: string, readonly size: number }

/** The bytes of a file from an offset on, as many as it had when it was read. */
function partOf ({ file, size }: Source, offset: number): { stream: Readable, size: number } {
  if (size === offset) return noBytes()
  return { stream: createReadStream(file, { start: offset, end: size - 1 }), size: size - offset }
}

function noBytes (): { stream: Readable, size: number } {
  return { stream: Readable.from([]), size: 0 }
}

/** Writes a response to a new file, on stable storage. @throws {RemoteError} if other bytes arrive. */
async function receive (
  response: IncomingMessage, file: string, { sha256, modifiedAt }: { sha256: string, modifiedAt: string | null }
): Promise<void> {
  const handle = await open(file, 'wx')
  try {
    const hash = createHash('sha256')
    const chunks = response[Symbol.asyncIterator]()
    for (;;) {
      const { done, value } = await chunks.next().catch((error: Error) => {
        throw new RemoteError(undefined, error.message, error)
      })
      if (done === true) break
      hash.update(value as Buffer)
      await handle.writeFile(value as Buffer)
    }
    if (hash.digest('hex') !== sha256) throw new RemoteError(undefined, 'other bytes arrived than the server has')
    const time = modifiedAt === null ? new Date() : new Date(modifiedAt)
    await handle.utimes(time, time)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function textOf (response: IncomingMessage): Promise<string> {
  const chunks = await response.toArray() as Buffer[]
  return Buffer.concat(chunks).toString()
}

function problemOf (text: string): { code?: string, detail?: string } {
  try {
    const problem: unknown = JSON.parse(text)
    return typeof problem === 'object' && problem !== null ? problem : {}
  } catch {
    return {}
  }
}

function storedOf (kind: Kind, entry: ApiEntry): ServerEntry {
  const { id, name, sha256 = '', size = 0, modifiedAt = null } = entry
  const parentId = (kind === 'file' ? entry.folderId : entry.parentId) ?? null
  return { id, parentId, name: name.slice(name.lastIndexOf('/') + 1), kind, sha256, size, modifiedAt }
}

/** As RFC 3339 can express it. */
function timeOf (time: Date): string | undefined {
  const year = time.getUTCFullYear()
  return year >= 0 && year <= 9999 ? time.toISOString() : undefined
}
