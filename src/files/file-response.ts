import { once } from 'node:events'
import type { Http2Stream } from 'node:http2'
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Thumbnail } from '../metadata/pictures.ts'
import { seconds } from '../metadata/preconditions.ts'
import type { FileRecord } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'
import {
  dispositionOf, type DownloadPlan, type DownloadRequest, openBytes, planDownload, redirectLarge, SAME_ORIGIN, SANDBOX,
  sendsBeginning
} from './download.ts'
import type { Zip } from './zips.ts'

/** Finds the file, or the version, of a download. @throws not_found. */
type FindFile = () => Promise<FileRecord>

/** A `GET` or `HEAD` of what `find` finds. */
interface FileRequest extends Partial<Pick<DownloadRequest, 'disposition' | 'via'>> {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly find: FindFile
  /** Called if the first byte of the file is sent. */
  readonly onBegin?: () => void
}

/** `config`: for how long clients may begin a large download from the store of the bytes itself; 0: never. */
interface BytesSource extends Pick<AppServices, 'blobs'> {
  readonly config: Pick<AppServices['config'], 'downloadRedirectSeconds'>
}

/**
 * Answers with a file, for a route to return.
 * @throws precondition_failed, range_not_satisfiable, and as `openDownload`.
 */
export async function sendFile (
  { request: { method: sent, headers }, reply, find, disposition, via, onBegin }: FileRequest, source: BytesSource
): Promise<FastifyReply | Readable | Buffer> {
  const method = sent === 'HEAD' ? 'HEAD' : 'GET'
  const { plan, bytes } = await openDownload(find, { method, headers, disposition, via }, source)
  if (plan.status === 412) throw new Problem('precondition_failed')
  if (plan.status === 416) throw new Problem('range_not_satisfiable', { headers: plan.headers })
  if (method === 'GET' && sendsBeginning(plan)) onBegin?.()
  reply.code(plan.status).headers(plan.headers)
  return Buffer.isBuffer(bytes) ? bytes : streamTo(reply, bytes)
}

/**
 * Decides the response to a download, then opens the bytes, if some are to be sent. They stay complete even if the file
 * is replaced or deleted. The caller reads or destroys the stream, if it is one. `find` is called again if the bytes of
 * what it found are gone.
 * @throws file_damaged, and what `find` throws.
 */
export async function openDownload (
  find: FindFile, request: DownloadRequest, { blobs, config: { downloadRedirectSeconds } }: BytesSource
): Promise<{ readonly plan: DownloadPlan, readonly bytes: Readable | Buffer | undefined }> {
  for (;;) {
    const file = await find()
    const maxSeconds = request.via === undefined ? downloadRedirectSeconds : 0
    const planned = planDownload(request, file, Date.now())
    const plan = await redirectLarge(planned, request, { blobs, file, maxSeconds })
    try {
      return { plan, bytes: await openBytes(blobs, file, plan) }
    } catch (error) {
      // If the file was replaced meanwhile, the old bytes may be removed already.
      if ((await find()).blobId === file.blobId) throw error
    }
  }
}

/**
 * The file of a name, or its version with the id `version`. `Last-Modified` must not be in the future (RFC 9110 section
 * 8.8.2.1), and must match when a client sends it back: a stored date is corrected after the clock was set back.
 */
export function finderOf (
  { files, metadata }: Pick<AppServices, 'files' | 'metadata'>, ownerId: number, name: string, version?: string
): FindFile {
  return async () => {
    if (version !== undefined) return files.getVersion(ownerId, name, version)
    const file = await files.get(ownerId, name)
    if (seconds(file.updatedAt) <= seconds(Date.now())) return file
    await metadata.files.correctDate(ownerId, file.name).catch(() => {})
    return files.get(ownerId, name)
  }
}

/** Answers with a thumbnail, which is a stranger's as a file is. For a route to return. */
export function sendThumbnail (reply: FastifyReply, { type, bytes }: Thumbnail): FastifyReply {
  return reply.headers({
    'content-type': type,
    'content-security-policy': SANDBOX,
    'cross-origin-resource-policy': SAME_ORIGIN,
    'cache-control': 'no-store'
  }).send(bytes)
}

/** Answers with a zip, for a route to return. @throws file_damaged if its first bytes can't be read. */
export async function sendZip (
  request: FastifyRequest, reply: FastifyReply, { name, length, open }: Zip
): Promise<FastifyReply | Readable> {
  // Fastify reads the body of a HEAD to its end.
  const bytes = Readable.from(request.method === 'HEAD' ? [] : open(), { objectMode: false })
  // What fails later can only cut the connection.
  await once(bytes, 'readable')
  reply.headers({
    'content-type': 'application/zip',
    'content-length': String(length),
    'content-disposition': dispositionOf(name, 'attachment'),
    'content-security-policy': SANDBOX,
    'cross-origin-resource-policy': SAME_ORIGIN,
    vary: 'Authorization'
  })
  return streamTo(reply, bytes)
}

/** The response with a stream, for a route to return. Closes the stream when the client is gone. */
export function streamTo (reply: FastifyReply, bytes: Readable | undefined): FastifyReply | Readable {
  // Bytes are returned, not sent: for a reply that is returned, Fastify also listens to the end of the response.
  // Without an argument it keeps the headers; '' or null would become JSON for a JSON file.
  return bytes === undefined || isAbandoned(reply, bytes) ? reply.send() : bytes
}

/** Closes the file when the client is gone. Over HTTP/2 Fastify misses that before the response begins. */
function isAbandoned ({ raw }: FastifyReply, bytes: Readable): boolean {
  raw.once('close', () => bytes.destroy())
  const isClosed = raw.destroyed || ('stream' in raw && (raw.stream as Http2Stream).destroyed)
  if (isClosed) bytes.destroy()
  return isClosed
}
