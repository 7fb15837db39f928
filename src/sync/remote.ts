import { createHash } from 'node:crypto'
import { createReadStream, readFileSync, statSync } from 'node:fs'
import { chmod, open as openFile, rm, stat } from 'node:fs/promises'
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as pause } from 'node:timers/promises'
import type { Kind } from './plan.ts'
import {
  pauseAfter, RemoteError, type FeedPage, type Remote, type ResyncReason, type ServerEntry, type WantedFile
} from './ports.ts'

/** How many requests are under way at a time. */
const CONNECTIONS = 4

/** A connection without a byte for so long is cut. */
const IDLE_MILLISECONDS = 60_000

const PAGE = '1000'

/** From this size on, an upload can go on after a cut. What is smaller is read whole. */
const RESUMABLE_BYTES = 8 * 1024 ** 2

/** How many requests in a row may carry no byte, and the pause after the first; it doubles each time. */
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

interface HttpRemoteOptions {
  readonly url: string
  readonly token: string
  /** The folder of this computer. */
  readonly folder: string
  /** Called with the number of bytes of files that were sent or received. */
  readonly onBytes: (count: number) => void
}

/** The server at an address, for the files of a folder of this computer. */
export function createHttpRemote ({ url, token, folder, onBytes }: HttpRemoteOptions): HttpRemote {
  const isTls = url.startsWith('https:')
  const agent = new (isTls ? HttpsAgent : HttpAgent)({ keepAlive: true, maxSockets: CONNECTIONS })
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
    else pipeline(body.stream, counted, request).catch(() => {})
    const response = await answered.catch(failCut)
    const { statusCode = 0 } = response
    if (statusCode < 300) return response
    const text = await textOf(response).catch(() => '')
    const { code, detail }: { code?: string, detail?: string } = objectIn(text)
    // Other bytes than those that were hashed: the file changed meanwhile.
    const status = code === 'digest_mismatch' ? 412 : statusCode
    const { 'retry-after': wait } = response.headers
    const retryAfter = /^\d+$/.test(wait ?? '') ? Number(wait) : 0
    throw new RemoteError(status, detail ?? `it answers with status ${statusCode}`, { retryAfter })
  }

  async function * counted (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of chunks) {
        onBytes(chunk.length)
        yield chunk
      }
    } catch (error) {
      failCut(error as Error)
    }
  }

  /** What the server answers: an object that has this field. */
  async function ask<T extends object> (field: keyof T, method: string, path: string, call?: Call): Promise<T> {
    const response = await open(method, path, call)
    const answer = objectIn(await textOf(response).catch(failCut))
    if (!Object.hasOwn(answer, field)) throw new NotMagicStore()
    return answer as T
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
    return goOn(async () => {
      const head = await open('HEAD', upload)
      head.resume()
      const { 'upload-offset': offset } = head.headers
      if (offset === undefined) throw new NotMagicStore()
      stored = Number(offset)
      const headers = {
        'content-type': 'application/partial-upload', 'upload-offset': String(stored), 'upload-complete': '?1'
      }
      return ask<ApiEntry>('id', 'PATCH', upload, { headers, body: partOf(source, stored) })
    }, () => stored)
  }

  /** Writes a file to a new path, on stable storage. After a cut it goes on from the last byte that arrived. */
  async function receive (path: string, to: string, { sha256, modifiedAt }: WantedFile): Promise<void> {
    const handle = await openFile(to, 'wx')
    let hash = createHash('sha256')
    let size = 0
    const etag = `"${sha256}"`
    try {
      await goOn(async () => {
        const rest = size === 0 ? {} : { range: `bytes=${size}-`, 'if-range': etag }
        const response = await open('GET', bytesOf(path), { headers: { 'if-match': etag, ...rest } })
        if (response.statusCode !== 206) {
          [hash, size] = [createHash('sha256'), 0]
          await handle.truncate(0)
        }
        for await (const chunk of counted(response)) {
          hash.update(chunk)
          await handle.write(chunk, 0, chunk.length, size)
          size += chunk.length
        }
      }, () => size)
      if (hash.digest('hex') !== sha256) throw new OtherBytes('other bytes arrived than the server has')
      const time = modifiedAt === null ? new Date() : new Date(modifiedAt)
      await handle.utimes(time, time)
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  return {
    account: async () => ask('id', 'GET', '/api/account'),

    async findFolder (path) {
      try {
        return storedOf('folder', await ask<ApiEntry>('id', 'GET', pathOf('folder', path)))
      } catch (error) {
        if (error instanceof RemoteError && error.status === 404) return undefined
        throw error
      }
    },

    async changes (cursor): Promise<FeedPage> {
      const page = await ask<{ changes: ApiChange[], next: string, reason?: ResyncReason }>(
        'changes', 'GET', '/api/changes', { query: { cursor, limit: PAGE } })
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
      const call = { query, signal }
      const page = await ask<{ changes: unknown[], reset: boolean }>('changes', 'GET', '/api/changes', call)
      return page.reset || page.changes.length > 0
    },

    async list (kind, cursor) {
      const query = { limit: PAGE, cursor: cursor ?? undefined, ...kind === 'folder' && { all: 'true' } }
      const page = await ask<{ files: ApiEntry[], folders: ApiEntry[], next: string | null }>(
        `${kind}s`, 'GET', `/api/${kind}s`, { query })
      return { entries: page[`${kind}s`].map(entry => storedOf(kind, entry)), next: page.next }
    },

    async upload ({ path, folderId, source, sha256, size, replaces }) {
      const file = join(folder, source)
      const { mtime } = statSync(file)
      const headers = {
        'if-none-match': replaces === undefined ? '*' : undefined,
        'if-match': replaces === undefined ? undefined : `"${replaces}"`,
        'repr-digest': `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`,
        'x-file-modified': timeOf(mtime)
      }
      const call = { query: { folderId }, headers }
      if (size >= RESUMABLE_BYTES) return storedOf('file', await uploadInParts(bytesOf(path), call, { file, size }))
      const stored = await ask<ApiEntry>('id', 'PUT', bytesOf(path), { ...call, bytes: readFileSync(file) })
      onBytes(size)
      return storedOf('file', stored)
    },

    makeFolder: async (path, folderId) =>
      storedOf('folder', await ask<ApiEntry>('id', 'PUT', pathOf('folder', path), { query: { folderId } })),

    async move ({ kind, path, id }, to, folderId) {
      const call = { query: { id }, json: { name: to, folderId } }
      return storedOf(kind, await ask<ApiEntry>('id', 'PATCH', pathOf(kind, path), call))
    },

    async remove ({ kind, path, id }, sha256) {
      const headers = { 'if-match': kind === 'file' ? `"${sha256}"` : undefined }
      const place = kind === 'file' ? bytesOf(path) : pathOf(kind, path)
      const response = await open('DELETE', place, { query: { id }, headers })
      response.resume()
      if (response.statusCode !== 204) throw new NotMagicStore()
    },

    async download ({ path }, wanted) {
      const file = join(folder, wanted.to)
      try {
        await receive(path, file, wanted)
        if (wanted.like !== undefined) await chmod(file, (await stat(join(folder, wanted.like))).mode & 0o777)
      } catch (error) {
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

/**
 * Another program answers, such as the page on which a network asks people to sign in. That says nothing about the
 * request.
 */
export class NotMagicStore extends RemoteError {
  constructor () {
    super(undefined, 'what answers is not MagicStore: see whether this network asks you to sign in')
  }
}

/** A download has other bytes than its digest says. It has a code, as errors of the system have. */
class OtherBytes extends Error {
  readonly code = 'EBADMSG'
}

function failCut (error: Error): never {
  throw new RemoteError(undefined, error.message, { cause: error })
}

/** Sends requests for the rest of a file until one is whole, or several in a row have carried no byte. */
async function goOn<T> (request: () => Promise<T>, carried: () => number, failures = 0): Promise<T> {
  const before = carried()
  try {
    return await request()
  } catch (error) {
    const inRow = carried() > before ? 0 : failures
    if (!(error instanceof RemoteError && error.isCut) || inRow === RETRIES) throw error
    await pause(pauseAfter(error, inRow, FIRST_PAUSE_MILLISECONDS))
    return goOn(request, carried, inRow + 1)
  }
}

async function textOf (response: IncomingMessage): Promise<string> {
  const chunks = await response.toArray() as Buffer[]
  return Buffer.concat(chunks).toString()
}

/** An empty object if the text is no JSON of one. */
function objectIn (text: string): object {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : {}
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
export function timeOf (time: Date): string | undefined {
  const year = time.getUTCFullYear()
  return year >= 0 && year <= 9999 ? time.toISOString() : undefined
}
