import { callerOf } from '../http/caller.ts'
import type { Routes } from '../http/services.ts'
import { COPIES_PATH, copyMany, moveMany, MOVES_PATH, moveToTrash } from './bulk-schemas.ts'
import type { PlacedResult } from './bulk.ts'
import { folderOrRoot } from './names.ts'
import { idOfEntry } from './states.ts'
import { TRASH_PATH } from './trash-schemas.ts'
import { MAX_NAMES_BYTES } from './zip-schemas.ts'

/** Operations that change many files and folders. */
export const bulkRoutes: Routes = async (app, { bulk, connections, ids, limitActs, countUntil }) => {
  const options = { bodyLimit: MAX_NAMES_BYTES, onRequest: limitActs }
  const outcomeOf = ({ placed, ...result }: PlacedResult) => ({
    ...result,
    placed: placed.map(({ fileId, folderId, ...item }) => ({ ...item, id: idOfEntry({ fileId, folderId }, ids) }))
  })

  app.post(TRASH_PATH, {
    ...options,
    schema: moveToTrash
  }, async (request, reply) => {
    const { items, lost = 0 } = request.body
    return countUntil(reply, bulk.moveToTrash(callerOf(request).account, items, lost))
  })

  app.post(MOVES_PATH, {
    ...options,
    schema: moveMany
  }, async (request, reply) => {
    const { items, folder, rename: renames = false } = request.body
    const target = { folder: folderOrRoot(folder), renames }
    return countUntil(reply, bulk.move(callerOf(request).account, items, target).then(outcomeOf))
  })

  app.post(COPIES_PATH, {
    ...options,
    schema: copyMany
  }, async (request, reply) => {
    const { items, folder, rename: renames = false } = request.body
    const target = { folder: folderOrRoot(folder), renames }
    const signal = connections.signalOf(request.raw, reply.raw)
    return countUntil(reply, bulk.copy(callerOf(request).account, items, target, signal).then(outcomeOf))
  })
}
