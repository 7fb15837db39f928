import { randomBytes } from 'node:crypto'
import type { Http2Stream } from 'node:http2'
import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from '../problems.ts'
import { type DownloadRequest, sendsBeginning } from './download.ts'
import type { Files, FindFile } from './files.ts'

/** A `GET` or `HEAD` of what `find` finds. */
interface FileRequest extends Partial<Pick<DownloadRequest, 'disposition' | 'door'>> {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly find: FindFile
  /** Called if the first byte of the file is sent. */
  readonly onBegin?: () => void
}

/**
 * Answers with a file, for a route to return.
 * @throws precondition_failed, range_not_satisfiable, and as `Files.download` does.
 */
export async function sendFile (
  { request, reply, find, disposition, door, onBegin }: FileRequest, files: Files
): Promise<FastifyReply | Readable | Buffer> {
  const method = request.method === 'HEAD' ? 'HEAD' : 'GET'
  const { plan, bytes } = await files.download(find, {
    method,
    headers: request.headers,
    disposition,
    door,
    createBoundary: () => randomBytes(16).toString('hex')
  })
  if (plan.status === 412) throw new Problem('precondition_failed')
  if (plan.status === 416) throw new Problem('range_not_satisfiable', { headers: plan.headers })
  if (method === 'GET' && sendsBeginning(plan)) onBegin?.()
  reply.code(plan.status).headers(plan.headers)
  return Buffer.isBuffer(bytes) ? bytes : streamTo(reply, bytes)
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
