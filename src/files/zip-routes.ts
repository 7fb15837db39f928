import type { FastifyReply, FastifyRequest } from 'fastify'
import { callerOf } from '../http/caller.ts'
import type { Routes } from '../http/services.ts'
import { sendZip } from './file-response.ts'
import { folderOrRoot, getName } from './names.ts'
import { downloadZip, MAX_NAMES_BYTES, ZIP_PATH, zipFiles } from './zip-schemas.ts'

/** Downloads of many files at once. */
export const zipRoutes: Routes = async (app, { zips, folders, connections, limitZips }) => {
  /** Whose zip it is, and whether somebody waits for it. */
  const zipRequestOf = (request: FastifyRequest, { raw }: FastifyReply) =>
    ({ ownerId: callerOf(request).account.id, signal: connections.signalOf(request.raw, raw) })

  app.get(ZIP_PATH, {
    onRequest: limitZips,
    schema: downloadZip
  }, async (request, reply) => {
    const path = getName(request.query.folder ?? '', folderOrRoot)
    const wanted = zipRequestOf(request, reply)
    const folder = path === '' ? { id: 0, path } : await folders.get(wanted.ownerId, path)
    return sendZip(request, reply, await zips.ofFolder(wanted, folder))
  })

  app.post(ZIP_PATH, {
    bodyLimit: MAX_NAMES_BYTES,
    onRequest: limitZips,
    schema: zipFiles
  }, async (request, reply) =>
    sendZip(request, reply, await zips.ofNames(zipRequestOf(request, reply), request.body.names)))
}
