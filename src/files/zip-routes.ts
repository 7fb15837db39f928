import { once } from 'node:events'
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { callerOf } from '../http/caller.ts'
import type { Routes } from '../http/services.ts'
import { dispositionOf, SAME_ORIGIN, SANDBOX } from './download.ts'
import { streamTo } from './file-response.ts'
import { folderOrRoot, getName } from './names.ts'
import { downloadZip, MAX_NAMES_BYTES, ZIP_PATH, zipFiles } from './zip-schemas.ts'
import type { Zip } from './zips.ts'

/** Downloads of many files at once. */
export const zipRoutes: Routes = async (app, { zips, connections, limitZips }) => {
  /** Whose zip it is, and whether somebody waits for it. */
  const zipRequestOf = (request: FastifyRequest, { raw }: FastifyReply) =>
    ({ ownerId: callerOf(request).account.id, signal: connections.signalOf(request.raw, raw) })

  app.get(ZIP_PATH, {
    onRequest: limitZips,
    schema: downloadZip
  }, async (request, reply) => {
    const path = getName(request.query.folder ?? '', folderOrRoot)
    return sendZip(request, reply, await zips.ofFolder(zipRequestOf(request, reply), path))
  })

  app.post(ZIP_PATH, {
    bodyLimit: MAX_NAMES_BYTES,
    onRequest: limitZips,
    schema: zipFiles
  }, async (request, reply) =>
    sendZip(request, reply, await zips.ofNames(zipRequestOf(request, reply), request.body.names)))
}

/** Answers with a zip, for a route to return. @throws file_damaged if its first bytes can't be read. */
async function sendZip (
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
