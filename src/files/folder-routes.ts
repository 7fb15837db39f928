import type { Static } from '@sinclair/typebox'
import { callerOf } from '../http/caller.ts'
import { cutPage, limitOf, linkPage, nextPageOf } from '../http/pagination.ts'
import type { Routes } from '../http/services.ts'
import { splitPath } from '../metadata/paths.ts'
import type {
  FilePosition, FolderOrder, FolderRecord, FolderSearch, StarredPage
} from '../metadata/records.ts'
import { preconditionOf } from '../metadata/preconditions.ts'
import { invalidField } from '../problems.ts'
import type { Listing } from './cursor.ts'
import {
  deleteFolder, FOLDER_PATH, FOLDER_USAGE_PATH, folderLinks, type FolderListQuery, folderOf, FOLDERS_PATH, getFolder,
  getFolderUsage, listFolders, moveFolder, putFolder
} from './folder-schemas.ts'
import { breakFolderLock, FOLDER_LOCK_PATH } from './lock-schemas.ts'
import { folderOrRoot, folderPath, getName } from './names.ts'
import { refuseBesideStarred, searchOf, signalOf } from './searches.ts'

/** Operations that read folders. */
export const readFolderRoutes: Routes = async (app, services) => {
  const { folders, metadata, cursors, links, ids, connections, limitCounts } = services

  const listPage = async (
    ownerId: number, { isAll, isStarred, ...page }: StarredPage<FolderOrder> & { isAll: boolean, isStarred: boolean }
  ) => {
    const { limit, after, folder = '' } = page
    const list = () => isStarred
      ? metadata.folders.listStarred(ownerId, page)
      : metadata.folders.list(ownerId, folder, page)
    const found = await (isAll ? metadata.folders.listAll(ownerId, { limit, after: after?.id ?? 0 }) : list())
    const positionOf = ({ path, id, parentId }: FolderRecord) =>
      ({ key: splitPath(path).name, id: isStarred ? parentId : id })
    return { ...cutPage(found, limit, positionOf), search: {} }
  }

  const foundPage = async (ownerId: number, { limit, ...search }: FolderSearch) => {
    const { entries, next = null, searched } = await metadata.folders.search(ownerId, { ...search, limit: limit - 1 })
    return { entries, next, search: { searched } }
  }

  app.get(FOLDERS_PATH, {
    links: {
      200: nextPageOf('listFolders', {
        folder: '$request.query.folder',
        all: '$request.query.all',
        order: '$request.query.order',
        words: '$request.query.words',
        below: '$request.query.below',
        starred: '$request.query.starred'
      })
    },
    schema: listFolders
  }, async (request, reply) => {
    const { id: ownerId } = callerOf(request).account
    const { all = false, ...query } = request.query
    const { order = 'name', cursor, starred: isStarred = false, words } = query
    if (all) refuseBesideAll(query)
    if (isStarred) refuseBesideStarred({ words })
    const search = searchOf(request.query)
    const path = getName(query.folder ?? '', folderOrRoot)
    const folder = isStarred && query.folder === undefined ? undefined : path
    const listing: Listing = all
      ? [ownerId, 'all folders']
      : search === undefined
        ? [ownerId, isStarred ? 'starred folders' : 'folders', order, folder ?? '/']
        : [ownerId, 'found folders', order, search.folder ?? '/', String(search.isBelow), ...search.texts]
    const after = await cursors.read<FilePosition>(cursor, listing)
    const limit = limitOf(request.query)
    const found = search === undefined
      ? await listPage(ownerId, { isAll: all, isStarred, folder, order, limit, after })
      : await foundPage(ownerId, { ...search, order, limit, after, signal: signalOf(reply.raw) })
    const page = { ...found, next: found.next && cursors.write(found.next, listing) }
    const linked = { links, path: FOLDERS_PATH, query: all ? { all: 'true' } : query }
    const { entries, next } = await linkPage(reply, page, linked)
    return { folders: entries.map(entry => folderOf(entry, request.raw, { links, ids })), next, ...found.search }
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
    const change = { ...preconditionOf(headers), id, folderId: body.folderId, isStarred: body.starred }
    const changed = await folders.move(callerOf(request).account, params.name, body.name, change)
    return folderOf(changed, request.raw, { links, ids })
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

/** A list of all folders has one order. @throws validation_failed. */
function refuseBesideAll ({ folder, order, words, starred = false }: Static<typeof FolderListQuery>): void {
  const wrong = { folder: folder !== undefined, order: order !== 'name', words: words !== undefined, starred }
  for (const [field, isWrong] of Object.entries(wrong)) {
    if (isWrong) throw invalidField(field, 'can\'t be combined with `all`')
  }
}
