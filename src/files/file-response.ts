import { randomBytes } from 'node:crypto'
import type { Http2Stream } from 'node:http2'
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from '../problems.ts'
import type { DownloadRequest } from './download.ts'
import type { Files } from './files.ts'

/** A `GET` or `HEAD` of a file, or of one of its versions. */
interface FileRequest extends Partial<Pick<DownloadRequest, 'disposition' | 'isOfDrive'>> {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly ownerId: number
  readonly name: string
  readonly version?: string | undefined
}

/** Answers with a file, for a route to return. @throws not_found, precondition_failed, range_not_satisfiable. */
export async function sendFile (
  { request, reply, ownerId, name, version, disposition, isOfDrive }: FileRequest, files: Files
): Promise<FastifyReply | Readable | Buffer> {
  const { plan, bytes } = await files.download(ownerId, name, {
    method: request.method === 'HEAD' ? 'HEAD' : 'GET',
    headers: request.headers,
    disposition,
    isOfDrive,
    version,
    createBoundary: () => randomBytes(16).toString('hex')
  })
  if (plan.status === 412) throw new Problem('precondition_failed')
  if (plan.status === 416) throw new Problem('range_not_satisfiable', { headers: plan.headers })
  reply.code(plan.status).headers(plan.headers)
  // Bytes are returned, not sent: for a reply that is returned, Fastify also listens to the end of the response.
  // Without an argument it keeps the headers; '' or null would become JSON for a JSON file.
  return bytes === undefined || (bytes instanceof Readable && isAbandoned(reply, bytes)) ? reply.send() : bytes
}

/** Closes the file when the client is gone. Over HTTP/2 Fastify misses that before the response begins. */
function isAbandoned ({ raw }: FastifyReply, bytes: Readable): boolean {
  raw.once('close', () => bytes.destroy())
  const isClosed = raw.destroyed || ('stream' in raw && (raw.stream as Http2Stream).destroyed)
  if (isClosed) bytes.destroy()
  return isClosed
}
