import { callerOf } from '../http/caller.ts'
import { cutPage, limitOf, linkPage, nextPageOf } from '../http/pagination.ts'
import type { Routes } from '../http/services.ts'
import { splitPath } from '../metadata/paths.ts'
import { preconditionOf } from '../metadata/preconditions.ts'
import { invalidField } from '../problems.ts'
import type { Listing } from './cursor.ts'
import {
  deleteFolder, FOLDER_PATH, FOLDER_USAGE_PATH, folderLinks, folderOf, FOLDERS_PATH, getFolder, getFolderUsage,
  listFolders, moveFolder, putFolder
} from './folder-schemas.ts'
import { breakFolderLock, FOLDER_LOCK_PATH } from './lock-schemas.ts'
import { folderOrRoot, folderPath, getName } from './names.ts'

/** Operations that read folders. */
export const readFolderRoutes: Routes = async (app, services) => {
  const { folders, metadata, cursors, links, ids, connections, limitCounts } = services

  app.get(FOLDERS_PATH, {
    links: { 200: nextPageOf('listFolders', { folder: '$request.query.folder', all: '$request.query.all' }) },
    schema: listFolders
  }, async (request, reply) => {
    const { folder, all = false, cursor } = request.query
    if (all && folder !== undefined) throw invalidField('folder', 'can\'t be combined with `all`')
    const { id: ownerId } = callerOf(request).account
    const path = getName(folder ?? '', folderOrRoot)
    const listing: Listing = all ? [ownerId, 'all folders'] : [ownerId, 'folders', path]
    const after = await cursors.read<{ key: string, id: number }>(cursor, listing)
    const limit = limitOf(request.query)
    const found = all
      ? await metadata.folders.listAll(ownerId, { limit, after: after?.id ?? 0 })
      : await metadata.folders.list(ownerId, path, { limit, after: after?.key })
    const page = cutPage(found, limit, last => cursors.write({ key: splitPath(last.path).name, id: last.id }, listing))
    const query = all ? { all: 'true' } : { folder: path }
    const { entries, next } = await linkPage(reply, page, { links, path: FOLDERS_PATH, query })
    return { folders: entries.map(entry => folderOf(entry, request.raw, { links, ids })), next }
  })

  app.get(FOLDER_PATH, {
    links: { 200: folderLinks },
    schema: getFolder
  }, async request => {
    const folder = await folders.get(callerOf(request).account.id, request.params.name)
    return folderOf(folder, request.raw, { links, ids })
  })

  app.get(FOLDER_USAGE_PATH, {
    onRequest: limitCounts,
    schema: getFolderUsage
  }, async (request, { raw }) =>
    folders.usage(callerOf(request).account.id, request.params.name, connections.signalOf(request.raw, raw)))
}

/** Operations that create, move and delete folders, and break their locks. */
export const changeFolderRoutes: Routes = async (app, { folders, metadata, links, ids }) => {
  app.put(FOLDER_PATH, {
    links: { 200: folderLinks, 201: folderLinks },
    schema: putFolder
  }, async (request, reply) => {
    const { params, query: { folderId } } = request
    const { folder, isNew } = await folders.create(callerOf(request).account, params.name, { folderId })
    reply.code(isNew ? 201 : 200)
    return folderOf(folder, request.raw, { links, ids })
  })

  app.patch(FOLDER_PATH, {
    links: { 200: folderLinks },
    schema: moveFolder
  }, async request => {
    const { params, body, query: { id }, headers } = request
    const destination = { ...preconditionOf(headers), id, folderId: body.folderId }
    const moved = await folders.move(callerOf(request).account, params.name, body.name, destination)
    return folderOf(moved, request.raw, { links, ids })
  })

  app.delete(FOLDER_PATH, {
    schema: deleteFolder
  }, async (request, reply) => {
    const { params, query, headers } = request
    const { recursive: isRecursive = false, permanent: isPermanent = false, id } = query
    const conditions = { ...preconditionOf(headers), id }
    await folders.remove(callerOf(request).account.id, params.name, { isRecursive, isPermanent, conditions })
    reply.code(204)
  })

  app.delete(FOLDER_LOCK_PATH, {
    schema: breakFolderLock
  }, async (request, reply) => {
    await metadata.locks.break(callerOf(request).account.id, getName(request.params.name, folderPath))
    reply.code(204)
  })
}
