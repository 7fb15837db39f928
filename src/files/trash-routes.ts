import { callerOf } from '../http/caller.ts'
import { cutPage, limitOf, linkPage, nextPageOf } from '../http/pagination.ts'
import type { Routes } from '../http/services.ts'
import type { ContentPosition } from '../metadata/retention-records.ts'
import { preconditionOf } from '../metadata/preconditions.ts'
import type { Listing } from './cursor.ts'
import {
  deleteDeletion, deletedFileOf, deleteFromTrash, deleteVersion, DELETIONS_PATH, deletionOf, emptyTrash, getDeletion,
  listDeletions, listTrash, listVersions, restoreDeletion, restoreFile, restoreVersion, TRASH_PATH, versionOf,
  VERSIONS_PATH
} from './trash-schemas.ts'
import { fileLinks, fileOf } from './schemas.ts'
import { idOfEntry } from './states.ts'

const versionsOf = (name: string) => VERSIONS_PATH.replace(':name', encodeURIComponent(name))
const trashListing = (ownerId: number): Listing => [ownerId, 'trash']

/** Operations that read versions and the trash. */
export const readTrashRoutes: Routes = async (app, { trash, versions, metadata, cursors, links }) => {
  app.get(VERSIONS_PATH, {
    links: { 200: nextPageOf('listVersions', { name: '$request.path.name' }) },
    schema: listVersions
  }, async (request, reply) => {
    const ownerId = callerOf(request).account.id
    const { name } = request.params
    const listingOf = (fileId: number): Listing => [ownerId, 'versions', fileId]
    const after = (fileId: number) => cursors.read<ContentPosition>(request.query.cursor, listingOf(fileId))
    const limit = limitOf(request.query)
    const found = await versions.list(ownerId, name, { limit, after })
    const page = cutPage(found.versions.map(withKey), limit, last => cursors.write(last, listingOf(found.fileId)))
    const { entries, next } = await linkPage(reply, page, { links, path: versionsOf(name) })
    return { versions: entries.map(versionOf), next }
  })

  app.get(TRASH_PATH, {
    links: { 200: nextPageOf('listTrash') },
    schema: listTrash
  }, async (request, reply) => {
    const ownerId = callerOf(request).account.id
    const listing = trashListing(ownerId)
    const after = await cursors.read<ContentPosition>(request.query.cursor, listing)
    const limit = limitOf(request.query)
    const found = await metadata.trash.list(ownerId, { limit, after })
    const page = cutPage(found.map(withKey), limit, last => cursors.write(last, listing))
    const { entries, next } = await linkPage(reply, page, { links, path: TRASH_PATH })
    return { files: entries.map(deletedFileOf), next }
  })

  app.get(DELETIONS_PATH, {
    links: { 200: nextPageOf('listDeletions') },
    schema: listDeletions
  }, async (request, reply) => {
    const ownerId = callerOf(request).account.id
    const listing: Listing = [ownerId, 'deletions']
    const after = await cursors.read<ContentPosition>(request.query.cursor, listing)
    const limit = limitOf(request.query)
    const found = await metadata.trash.listDeletions(ownerId, { limit, after })
    const page = cutPage(found.map(withKey), limit, last => cursors.write(last, listing))
    const { entries, next } = await linkPage(reply, page, { links, path: DELETIONS_PATH })
    return { deletions: entries.map(deletionOf), next }
  })

  app.get(`${DELETIONS_PATH}/:id`, {
    links: { 200: nextPageOf('getDeletion', { id: '$request.path.id' }) },
    schema: getDeletion
  }, async (request, reply) => {
    const ownerId = callerOf(request).account.id
    const { id } = request.params
    const listing: Listing = [ownerId, 'deletion', id]
    const after = await cursors.read<ContentPosition>(request.query.cursor, listing)
    const limit = limitOf(request.query)
    const { deletion, entries: found } = await trash.list(ownerId, id, { limit, after })
    const page = cutPage(found.map(withKey), limit, last => cursors.write(last, listing))
    const { entries, next } = await linkPage(reply, page, { links, path: `${DELETIONS_PATH}/${id}` })
    const folders = entries.flatMap(entry => 'folder' in entry ? [entry.folder] : [])
    const files = entries.flatMap(entry => 'folder' in entry ? [] : [deletedFileOf(entry)])
    return { deletion: deletionOf(deletion), folders, files, next }
  })
}

/** Operations that restore what is kept, or delete it for good. */
export const changeTrashRoutes: Routes = async (app, { trash, versions, links, ids }) => {
  app.post(`${VERSIONS_PATH}/:id/restore`, {
    links: { 200: fileLinks },
    schema: restoreVersion
  }, async request => {
    const version = { ...request.params, precondition: preconditionOf(request.headers) }
    const restored = await versions.restore(callerOf(request).account, version)
    return fileOf(restored, request.raw, { links, ids })
  })

  app.delete(`${VERSIONS_PATH}/:id`, {
    schema: deleteVersion
  }, async (request, reply) => {
    await versions.remove(callerOf(request).account.id, request.params)
    reply.code(204)
  })

  app.post(`${TRASH_PATH}/:id/restore`, {
    links: { 200: fileLinks },
    // The body is optional, and `null` is one.
    preValidation: async request => { if (request.body === undefined) request.body = {} },
    schema: restoreFile
  }, async request => {
    const restored = await trash.restore(callerOf(request).account, request.params.id, request.body.name)
    return fileOf(restored, request.raw, { links, ids })
  })

  app.post(`${TRASH_PATH}/restore`, {
    schema: restoreDeletion
  }, async request => {
    const { placed, ...restored } = await trash.restoreDeletion(callerOf(request).account, request.body.deletedWith)
    return { ...restored, placed: placed.map(({ name, state, ...row }) => ({ name, id: idOfEntry(row, ids), state })) }
  })

  app.delete(`${DELETIONS_PATH}/:id`, {
    schema: deleteDeletion
  }, async (request, reply) => {
    await trash.removeDeletion(callerOf(request).account.id, request.params.id)
    reply.code(204)
  })

  app.delete(`${TRASH_PATH}/:id`, {
    schema: deleteFromTrash
  }, async (request, reply) => {
    await trash.remove(callerOf(request).account.id, request.params.id)
    reply.code(204)
  })

  app.delete(TRASH_PATH, {
    schema: emptyTrash
  }, async (request, reply) => {
    await trash.empty(callerOf(request).account.id)
    reply.code(204)
  })
}

/** Adds the key that its listing is ordered by. */
function withKey<Entry extends { keptAt: number }> (entry: Entry): Entry & { key: number } {
  return { ...entry, key: entry.keptAt }
}
