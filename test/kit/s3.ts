import { createHash, createHmac, randomUUID, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import type { Test } from 'tap'
import { MIB } from './sizes.ts'
import { freePort } from './wire.ts'

// A server with the part of the S3 protocol that the store uses. It is strict: it refuses what some S3-compatible store
// refuses.

const ACCESS_KEY = 'AKIAFAKEFAKEFAKEFAKE'
const SECRET_KEY = 'a secret that only this test knows'
const REGION = 'eu-central-1'
const SMALLEST_PART = 5 * MIB
const SKEW_MILLISECONDS = 15 * 60 * 1000
const EMPTY_SHA256 = createHash('sha256').digest('hex')

/** The environment of a client that may use the bucket. */
export const credentials = { AWS_ACCESS_KEY_ID: ACCESS_KEY, AWS_SECRET_ACCESS_KEY: SECRET_KEY, AWS_EC2_METADATA_DISABLED: 'true' }

/**
 * What goes wrong with a request: an answer with this code; no answer; one after `slow` ms; a connection that is cut
 * before the answer, after the operation was done (`lost`), or in the middle of the body; a body that stops in the
 * middle (`stall`), or ends there (`short`); a byte that changes on its way, up or down, the first one or the one with
 * this index.
 */
export type Fault = { status: number, code: string } | { slow: number } | { corruptAt: number } | 'hang' | 'reset' | 'lost' | 'cut' | 'stall' | 'short' | 'corrupt'

export interface S3Request { readonly method: string, readonly key: string, readonly query: URLSearchParams, readonly headers: IncomingMessage['headers'] }

export type FakeS3 = Awaited<ReturnType<typeof startS3>>

/** An object of several parts stays in their files. */
interface StoredObject {
  readonly files: readonly { readonly file: string, readonly size: number }[]
  readonly size: number
  readonly etag: string
}

interface Upload { readonly key: string, readonly parts: Map<number, StoredObject> }

class Refusal extends Error {
  readonly answer: { status: number, code: string, more: string }
  /** `more`: further elements of the answer. */
  constructor (status: number, code: string, more = '') {
    super(code)
    this.answer = { status, code, more }
  }
}

const isMark = (key: string) => /(?:^|\/)installations\//.test(key)

/** A server with one bucket, stopped when the test ends. */
export async function openS3 (
  t: Test, folder = t.testdir(), options: { bucket?: string, isReadOnly?: boolean } = {}
): Promise<FakeS3> {
  const s3 = await startS3(folder, options)
  t.teardown(s3.stop)
  return s3
}

/** Starts a server with one bucket, whose bytes are in a folder. */
export async function startS3 (folder: string, { bucket = 'files', isReadOnly = false } = {}) {
  await mkdir(folder, { recursive: true })
  const objects = new Map<string, StoredObject>()
  const uploads = new Map<string, Upload>()
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => { void serve(request, response) })

  async function serve (message: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams: query } = new URL(String(message.url), 'http://localhost')
    const [, name, key = ''] = /^\/([^/]*)\/?(.*)$/.exec(decodeURIComponent(pathname)) ?? []
    const request = { method: String(message.method), key, query, headers: message.headers }
    const fault = s3.fault(request)
    message.on('error', () => {})
    response.on('error', () => {})
    try {
      if (fault === 'hang') return
      if (fault === 'reset') {
        message.destroy()
        return
      }
      if (typeof fault === 'object' && 'slow' in fault) await wait(fault.slow)
      if (typeof fault === 'object' && 'status' in fault) throw new Refusal(fault.status, fault.code)
      checkSignature(message, pathname, query)
      s3.log.push(`${request.method} ${key}${Array.from(query.keys()).filter(name => name !== 'x-id').map((name, index) => `${index === 0 ? '?' : '&'}${name}`).join('')}`)
      if (name !== bucket) throw new Refusal(404, 'NoSuchBucket')
      if (isReadOnly && request.method !== 'GET') throw new Refusal(403, 'AccessDenied')
      await answer(message, response, request, fault)
    } catch (error) {
      if (response.headersSent) {
        response.destroy()
        return
      }
      const { status, code, more } = error instanceof Refusal ? error.answer : { status: 500, code: 'InternalError', more: '' }
      // As the real one does: the connection can't be used again if the body was not read.
      if (!message.complete) response.setHeader('connection', 'close')
      sendXml(response, status, `<Error><Code>${code}</Code><Message>${code}</Message>${more}</Error>`, request.method)
    }
  }

  async function answer (
    message: IncomingMessage, response: ServerResponse, { method, key, query }: S3Request, fault: Fault | undefined
  ): Promise<void> {
    const uploadId = query.get('uploadId')
    const body = method === 'PUT' || method === 'POST' ? await receive(message, fault === 'corrupt') : undefined
    const done = (send: () => void) => { if (fault === 'lost') message.destroy(); else send() }
    if (method === 'GET' && key === '') return query.has('uploads') ? listUploads(response, query) : listObjects(response, query)
    if (method === 'GET' || method === 'HEAD') return sendObject(response, method, key, { message, query, fault })
    if (method === 'DELETE' && uploadId !== null) {
      const { parts } = uploadOf(uploadId, key)
      uploads.delete(uploadId)
      for (const part of parts.values()) await removeFiles(part)
      return done(() => response.writeHead(204).end())
    }
    if (method === 'DELETE') {
      await removeObject(key)
      return done(() => response.writeHead(204).end())
    }
    if (body === undefined) throw new Refusal(405, 'MethodNotAllowed')
    const source = message.headers['x-amz-copy-source']
    const copied = source === undefined ? undefined : await copy(body, String(source), message.headers['x-amz-copy-source-range'])
    if (method === 'PUT' && uploadId !== null) {
      const { parts } = uploadOf(uploadId, key)
      const number = Number(query.get('partNumber'))
      if (!(number >= 1 && number <= 10_000)) throw new Refusal(400, 'InvalidArgument')
      await replace(parts, number, copied ?? body)
      if (copied !== undefined) return done(() => sendXml(response, 200, `<CopyPartResult><ETag>${copied.etag}</ETag></CopyPartResult>`))
      return done(() => response.writeHead(200, { etag: body.etag }).end())
    }
    if (method === 'PUT') {
      if (key === '') throw new Refusal(405, 'MethodNotAllowed')
      if (copied !== undefined) {
        await replace(objects, key, copied)
        return done(() => sendXml(response, 200, `<CopyObjectResult><ETag>${copied.etag}</ETag></CopyObjectResult>`))
      }
      await replace(objects, key, body)
      return done(() => response.writeHead(200, { etag: body.etag }).end())
    }
    const text = await textOf(body)
    if (query.has('uploads')) {
      const id = randomUUID()
      uploads.set(id, { key, parts: new Map() })
      return done(() => sendXml(response, 200, `<InitiateMultipartUploadResult><Bucket>${bucket}</Bucket><Key>${key}</Key><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`))
    }
    if (query.has('delete')) return removeObjects(message, response, text)
    if (uploadId === null) throw new Refusal(405, 'MethodNotAllowed')
    const object = await complete(uploadId, key, text)
    return done(() => sendXml(response, 200, `<CompleteMultipartUploadResult><Bucket>${bucket}</Bucket><Key>${key}</Key><ETag>${object.etag}</ETag></CompleteMultipartUploadResult>`))
  }

  function uploadOf (id: string, key: string): Upload {
    const upload = uploads.get(id)
    if (upload?.key !== key) throw new Refusal(404, 'NoSuchUpload')
    return upload
  }

  async function removeFiles (object: StoredObject | undefined): Promise<void> {
    for (const { file } of object?.files ?? []) await rm(file)
  }

  /** At once, whatever other requests do meanwhile. */
  async function replace<K> (all: Map<K, StoredObject>, key: K, object: StoredObject): Promise<void> {
    const before = all.get(key)
    all.set(key, object)
    await removeFiles(before)
  }

  async function removeObject (key: string): Promise<void> {
    const object = objects.get(key)
    objects.delete(key)
    await removeFiles(object)
  }

  /** Writes the body to a file, and checks each digest that was sent for it. */
  async function receive (message: IncomingMessage, isCorrupt: boolean): Promise<StoredObject> {
    const file = join(folder, randomUUID())
    const { headers } = message
    const hashes = { sha256: createHash('sha256'), ...(headers['content-md5'] !== undefined && { md5: createHash('md5') }) }
    let [crc, size] = [0, 0]
    const check = new Transform({
      transform (chunk: Buffer, _, done) {
        for (const hash of Object.values(hashes)) hash.update(chunk)
        if (headers['x-amz-checksum-crc32'] !== undefined) crc = crc32(chunk, crc)
        size += chunk.length
        done(null, chunk)
      }
    })
    await pipeline(isCorrupt ? message.pipe(flip(0)) : message, check, createWriteStream(file))
    const sha256 = hashes.sha256.digest()
    const sent: [string, string, string][] = [
      ['x-amz-content-sha256', sha256.toString('hex'), 'XAmzContentSHA256Mismatch'],
      ['x-amz-checksum-sha256', sha256.toString('base64'), 'BadDigest'],
      ['x-amz-checksum-crc32', Buffer.from(crc.toString(16).padStart(8, '0'), 'hex').toString('base64'), 'BadDigest'],
      ['content-md5', String(hashes.md5?.digest('base64')), 'BadDigest'],
      ['content-length', String(size), 'IncompleteBody']
    ]
    for (const [name, value, code] of sent) {
      if (headers[name] === undefined || headers[name] === value) continue
      await rm(file)
      throw new Refusal(400, code)
    }
    // Any text that differs with the bytes.
    return { files: [{ file, size }], size, etag: `"${sha256.toString('hex', 0, 16)}"` }
  }

  /** A copy of an object, or of a range of it, in place of the empty body. */
  async function copy (body: StoredObject, source: string, range: unknown): Promise<StoredObject> {
    await removeFiles(body)
    const from = objects.get(decodeURIComponent(source).replace(`${bucket}/`, ''))
    if (from === undefined) throw new Refusal(404, 'NoSuchKey')
    const [, first = 0, last = from.size - 1] = /^bytes=(\d+)-(\d+)$/.exec(String(range)) ?? []
    if (Number(last) >= from.size && range !== undefined) throw new Refusal(400, 'InvalidArgument')
    const file = join(folder, randomUUID())
    await pipeline(Readable.from(bytesOf(from, Number(first), Number(last) + 1)), createWriteStream(file))
    return { files: [{ file, size: Number(last) + 1 - Number(first) }], size: Number(last) + 1 - Number(first), etag: `"${randomUUID()}"` }
  }

  async function complete (uploadId: string, key: string, text: string): Promise<StoredObject> {
    const { parts } = uploadOf(uploadId, key)
    const listed = Array.from(text.matchAll(/<Part>(.*?)<\/Part>/gs), ([, part = '']) => ({ number: Number(tag(part, 'PartNumber')), etag: tag(part, 'ETag').replaceAll('&quot;', '"') }))
    if (listed.length === 0) throw new Refusal(400, 'MalformedXML')
    for (const [index, { number, etag }] of listed.entries()) {
      const part = parts.get(number)
      if (part === undefined || part.etag !== etag) throw new Refusal(400, 'InvalidPart')
      if (index > 0 && number <= Number(listed[index - 1]?.number)) throw new Refusal(400, 'InvalidPartOrder')
      if (index < listed.length - 1 && part.size < SMALLEST_PART) throw new Refusal(400, 'EntityTooSmall')
    }
    uploads.delete(uploadId)
    const used = listed.map(({ number }) => parts.get(number) as StoredObject)
    const files = used.flatMap(part => part.files)
    const size = files.reduce((sum, file) => sum + file.size, 0)
    const object = { files, size, etag: `"${createHash('md5').update(text).digest('hex')}-${listed.length}"` }
    await replace(objects, key, object)
    for (const part of parts.values()) if (!used.includes(part)) await removeFiles(part)
    return object
  }

  async function removeObjects (message: IncomingMessage, response: ServerResponse, text: string): Promise<void> {
    // Amazon takes any checksum, older stores only this one.
    if (message.headers['content-md5'] === undefined) throw new Refusal(400, 'MissingContentMD5')
    const keys = Array.from(text.matchAll(/<Key>(.*?)<\/Key>/gs), ([, key = '']) => key)
    if (keys.length === 0 || keys.length > 1000) throw new Refusal(400, 'MalformedXML')
    const refused = keys.filter(key => s3.fault({ method: 'DELETE', key, query: new URLSearchParams('in-batch'), headers: {} }) !== undefined)
    for (const key of keys) if (!refused.includes(key)) await removeObject(key)
    sendXml(response, 200, `<DeleteResult>${refused.map(key => `<Error><Key>${key}</Key><Code>InternalError</Code></Error>`).join('')}</DeleteResult>`)
  }

  function listObjects (response: ServerResponse, query: URLSearchParams): void {
    if (query.get('list-type') !== '2') throw new Refusal(501, 'NotImplemented')
    const after = query.get('continuation-token') ?? query.get('start-after') ?? ''
    const limit = Math.min(s3Limits.keysPerPage, Number(query.get('max-keys') ?? 1000))
    const keys = Array.from(objects.keys()).filter(key => key.startsWith(query.get('prefix') ?? '') && key > after).sort()
    const page = keys.slice(0, limit)
    const next = keys.length > limit ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : ''
    const contents = page.map(key => `<Contents><Key>${key}</Key><Size>${objects.get(key)?.size}</Size></Contents>`).join('')
    sendXml(response, 200, `<ListBucketResult><Name>${bucket}</Name><KeyCount>${page.length}</KeyCount><IsTruncated>${keys.length > limit}</IsTruncated>${next}${contents}</ListBucketResult>`)
  }

  function listUploads (response: ServerResponse, query: URLSearchParams): void {
    const limit = Math.min(s3Limits.uploadsPerPage, Number(query.get('max-uploads') ?? 1000))
    const [afterKey, afterId] = [query.get('key-marker') ?? '', query.get('upload-id-marker') ?? '']
    const all = Array.from(uploads, ([id, { key }]) => ({ id, key }))
      .filter(({ id, key }) => key.startsWith(query.get('prefix') ?? '') && (key > afterKey || (key === afterKey && id > afterId)))
      .sort((a, b) => a.key === b.key ? (a.id < b.id ? -1 : 1) : a.key < b.key ? -1 : 1)
    const page = all.slice(0, limit)
    const last = page.at(-1)
    const next = all.length > limit ? `<NextKeyMarker>${last?.key}</NextKeyMarker><NextUploadIdMarker>${last?.id}</NextUploadIdMarker>` : ''
    const listed = page.map(({ id, key }) => `<Upload><Key>${key}</Key><UploadId>${id}</UploadId></Upload>`).join('')
    sendXml(response, 200, `<ListMultipartUploadsResult><Bucket>${bucket}</Bucket><IsTruncated>${all.length > limit}</IsTruncated>${next}${listed}</ListMultipartUploadsResult>`)
  }

  async function sendObject (
    response: ServerResponse,
    method: string,
    key: string,
    { message, query, fault }: { message: IncomingMessage, query: URLSearchParams, fault: Fault | undefined }
  ): Promise<void> {
    const object = objects.get(key)
    if (object === undefined) throw new Refusal(404, 'NoSuchKey')
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(message.headers.range ?? '') ?? []
    const isRange = first !== undefined && method === 'GET'
    const start = isRange ? Number(first) : 0
    const end = isRange && last !== '' ? Math.min(Number(last), object.size - 1) : object.size - 1
    if (isRange && start >= object.size) throw new Refusal(416, 'InvalidRange')
    const length = end - start + 1
    response.writeHead(isRange ? 206 : 200, {
      ...(fault !== 'short' && { 'content-length': length }),
      'content-type': query.get('response-content-type') ?? 'application/octet-stream',
      etag: object.etag,
      'accept-ranges': 'bytes',
      ...(isRange && { 'content-range': `bytes ${start}-${end}/${object.size}` }),
      ...(query.has('response-content-disposition') && { 'content-disposition': query.get('response-content-disposition') as string })
    })
    if (method === 'HEAD' || length === 0) {
      response.end()
      return
    }
    const sent = fault === 'cut' || fault === 'stall' || fault === 'short' ? length >> 1 : length
    response.flushHeaders()
    const bytes = Readable.from(bytesOf(object, start, start + sent))
    const wrongByte = fault === 'corrupt' ? 0 : typeof fault === 'object' && 'corruptAt' in fault ? fault.corruptAt : undefined
    await pipeline(wrongByte === undefined ? bytes : bytes.pipe(flip(wrongByte)), response, { end: false })
    if (fault === 'cut') response.destroy()
    else if (fault !== 'stall') response.end()
  }

  const port = await freePort()
  const s3 = {
    port,
    /** For STORAGE_URL. */
    url: (prefix = '') => `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}?endpoint=${encodeURIComponent(`http://127.0.0.1:${port}`)}&region=${REGION}`,
    /** Every request with a valid signature, as `GET key` or `POST key?uploads`. */
    log: [] as string[],
    /** Decides which requests go wrong. */
    fault: (_request: S3Request): Fault | undefined => undefined,
    /** The names of the stored objects that are no marks of databases. */
    objects: () => Array.from(objects.keys()).filter(key => !isMark(key)).sort(),
    remove: (key: string) => { objects.delete(key) },
    marks: () => Array.from(objects.keys()).filter(isMark).sort(),
    /** The names of the objects with an upload in parts that is not complete. */
    uploads: () => Array.from(uploads.values(), ({ key }) => key).sort(),
    /** The bytes of all objects and parts. */
    storedBytes: () => [
      ...objects.values(), ...Array.from(uploads.values(), ({ parts }) => [...parts.values()]).flat()
    ].reduce((sum, { size }) => sum + size, 0),
    /** The file with the bytes of an object, or of its first part. */
    fileOf: (key: string) => String(objects.get(key)?.files[0]?.file),
    connections: () => new Promise<number>((resolve, reject) =>
      server.getConnections((error, count) => error === null ? resolve(count) : reject(error))),
    /** Stops to listen and cuts all connections; `listen` goes on with the same objects at the same port. */
    async stop () {
      const closed = new Promise(resolve => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
    async listen () {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
    }
  }
  await s3.listen()
  return s3
}

/** Changes the byte with this index. */
function flip (index: number): Transform {
  let start = 0
  return new Transform({
    transform (chunk: Buffer, _, done) {
      const flipped = Buffer.from(chunk)
      const at = index - start
      if (at >= 0 && at < chunk.length) flipped.writeUInt8(flipped.readUInt8(at) ^ 1, at)
      start += chunk.length
      done(null, flipped)
    }
  })
}

/** Small, so that a test reaches the second page. */
const s3Limits = { uploadsPerPage: 3, keysPerPage: 100 }

function sendXml (response: ServerResponse, status: number, xml: string, method = 'GET'): void {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n${xml}`
  response.writeHead(status, { 'content-type': 'application/xml', ...(method === 'HEAD' ? {} : { 'content-length': Buffer.byteLength(body) }) })
  response.end(method === 'HEAD' ? undefined : body)
}

async function textOf (body: StoredObject): Promise<string> {
  const text = Buffer.concat(await Readable.from(bytesOf(body, 0, body.size)).toArray()).toString()
  for (const { file } of body.files) await rm(file)
  return text
}

/** The bytes from `start` to before `end`. */
async function * bytesOf ({ files }: StoredObject, start: number, end: number): AsyncGenerator<Buffer> {
  let offset = 0
  for (const { file, size } of files) {
    const [first, last] = [Math.max(start - offset, 0), Math.min(end - offset, size) - 1]
    if (first <= last) yield * createReadStream(file, { start: first, end: last, highWaterMark: MIB })
    offset += size
  }
}

function tag (xml: string, name: string): string {
  return new RegExp(`<${name}>(.*?)</${name}>`, 's').exec(xml)?.[1] ?? ''
}

/** Checks Signature Version 4 of a request, in its headers or in a presigned URL. */
function checkSignature (message: IncomingMessage, pathname: string, query: URLSearchParams): void {
  const isPresigned = query.has('X-Amz-Signature')
  const header = String(message.headers.authorization)
  const part = (name: string) => isPresigned ? query.get(`X-Amz-${name}`) ?? '' : new RegExp(`${name}=([^, ]+)`).exec(header)?.[1] ?? ''
  const [accessKey, day, region, service, end] = part('Credential').split('/')
  const date = isPresigned ? part('Date') : String(message.headers['x-amz-date'])
  if (accessKey !== ACCESS_KEY) throw new Refusal(403, accessKey === '' ? 'AccessDenied' : 'InvalidAccessKeyId')
  if (region !== REGION) throw new Refusal(400, 'AuthorizationHeaderMalformed', `<Region>${REGION}</Region>`)
  if (service !== 's3' || end !== 'aws4_request' || !date.startsWith(String(day))) throw new Refusal(400, 'AuthorizationHeaderMalformed')
  const age = Date.now() - Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
  if (isPresigned && age > Number(part('Expires')) * 1000) throw new Refusal(403, 'AccessDenied')
  if (!isPresigned && !(Math.abs(age) < SKEW_MILLISECONDS)) throw new Refusal(403, 'RequestTimeTooSkewed')
  const signed = part('SignedHeaders').split(';')
  const unsigned = Object.keys(message.headers).filter(name => (name === 'host' || name.startsWith('x-amz-')) && !signed.includes(name))
  if (unsigned.length > 0) throw new Refusal(403, 'AccessDenied')
  const payload = isPresigned ? 'UNSIGNED-PAYLOAD' : String(message.headers['x-amz-content-sha256'])
  // Over a connection without TLS nothing else protects the body.
  if (!isPresigned && !/^[0-9a-f]{64}$/.test(payload)) throw new Refusal(400, 'InvalidRequest')
  if (message.headers['content-length'] === undefined && message.headers['transfer-encoding'] !== undefined) throw new Refusal(411, 'MissingContentLength')
  if (['GET', 'HEAD', 'DELETE'].includes(String(message.method)) && !isPresigned && payload !== EMPTY_SHA256) throw new Refusal(400, 'XAmzContentSHA256Mismatch')
  const canonical = [
    message.method,
    pathname.split('/').map(segment => encode(decodeURIComponent(segment))).join('/'),
    Array.from(query).filter(([name]) => name !== 'X-Amz-Signature').map(([name, value]) => `${encode(name)}=${encode(value)}`).sort().join('&'),
    ...signed.map(name => `${name}:${String(message.headers[name]).trim().replaceAll(/ +/g, ' ')}`),
    '',
    signed.join(';'),
    payload
  ].join('\n')
  const scope = `${day}/${region}/${service}/${end}`
  const text = ['AWS4-HMAC-SHA256', date, scope, createHash('sha256').update(canonical).digest('hex')].join('\n')
  const key = [day, region, service, end].reduce<string | Buffer>((key, part) => createHmac('sha256', key).update(String(part)).digest(), `AWS4${SECRET_KEY}`)
  const signature = createHmac('sha256', key).update(text).digest()
  const given = Buffer.from(part('Signature'), 'hex')
  if (given.length !== signature.length || !timingSafeEqual(given, signature)) throw new Refusal(403, 'SignatureDoesNotMatch')
}

/** RFC 3986 percent-encoding, as the signature demands it. */
function encode (text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}
