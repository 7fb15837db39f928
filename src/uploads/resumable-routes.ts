import { findName } from '../files/names.ts'
import { callerOf } from '../http/caller.ts'
import { cutPage, linkPage, nextPageOf, pageOf } from '../http/pagination.ts'
import type { Routes } from '../http/services.ts'
import { ownDoor } from './own-door.ts'
import { addResumableOperations } from './resumable-operations.ts'
import { listUploads, ownOperations } from './resumable-schemas.ts'
import { uploadOf, UPLOADS_PATH } from './schemas.ts'

/** Uploads of the caller that a client can continue. */
export const resumableUploadRoutes: Routes = async (app, { uploads, links, ids, limitTransfers }) => {
  await addResumableOperations(app, {
    uploads, door: ownDoor({ links, ids }), limitTransfers, path: UPLOADS_PATH, operations: ownOperations
  })

  app.get(UPLOADS_PATH, {
    links: { 200: nextPageOf('listUploads', { name: '$request.query.name' }) },
    schema: listUploads
  }, async (request, reply) => {
    const { beforeId: before, limit } = pageOf(request.query)
    const name = request.query.name === undefined ? undefined : storedName(request.query.name)
    const found = await uploads.list(callerOf(request).account, { name, before, limit })
    const page = cutPage(found, limit, ({ sequence }) => String(sequence))
    const { entries, next } = await linkPage(reply, page, { links, path: UPLOADS_PATH })
    return { uploads: entries.map(uploadOf), next }
  })
}

/** A name in NFC; one that no file can have finds nothing. */
function storedName (text: string): string {
  return findName(text) ?? '/'
}
