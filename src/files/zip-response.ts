import { once } from 'node:events'
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { dispositionOf, SAME_ORIGIN, SANDBOX } from './download.ts'
import { streamTo } from './file-response.ts'
import type { Zip } from './zips.ts'

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
