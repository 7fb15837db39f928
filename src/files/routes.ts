import type { Static } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { callerOf } from '../http/caller.ts'
import { cutPage, limitOf, linkPage, nextPageOf } from '../http/pagination.ts'
import type { Routes } from '../http/services.ts'
import { entityTag, permits, preconditionOf } from '../metadata/preconditions.ts'
import { type FilePage, type FilePosition, type FileRecord, type FileSearch, isByChange } from '../metadata/records.ts'
import type { Month, TimelinePage } from '../metadata/timelines.ts'
import { invalidField, Problem } from '../problems.ts'
import { positionOf, type Listing } from './cursor.ts'
import { downloadFile, type DownloadQuery, headFile } from './download-schemas.ts'
import { finderOf, sendFile, sendThumbnail } from './file-response.ts'
import { breakFileLock, FILE_LOCK_PATH } from './lock-schemas.ts'
import { folderOrRoot, getName, namePrefix } from './names.ts'
import {
  copyFile, deleteFile, fileLinks, type FileListQuery, fileOf, type FileParams, getFile, getTimeline, listFiles, pathOf,
  renameFile
} from './schemas.ts'
import { refuseBesideStarred, searchOf, signalOf } from './searches.ts'
import { getThumbnail, setTakenAt, TAKEN_PATH, THUMBNAIL_PATH } from './thumbnail-schemas.ts'
import { namedContent, parseTakenAt } from './thumbnails.ts'
import { isTaken, picturesOf, positionBefore, takenListing, timelineOf } from './timelines.ts'

/** Which page to read. The signal ends a search early. */
type WantedPage = Pick<FileSearch, 'limit' | 'after' | 'signal'>

interface FileListing {
  readonly listing: Listing
  readonly read: (page: WantedPage) => Promise<{
    readonly entries: readonly FileRecord[]
    readonly next: FilePosition | null
    readonly search: { readonly searched?: number }
  }>
}

/** Operations that read files and their metadata. */
export const readFileRoutes: Routes = async (app, services) => {
  const { files, thumbnails, metadata, cursors, links, ids, limitTransfers } = services

  function send (
    request: FastifyRequest,
    reply: FastifyReply,
    { name, version, disposition }: Static<typeof FileParams> & Static<typeof DownloadQuery>
  ) {
    const find = finderOf(services, callerOf(request).account.id, name, version)
    return sendFile({ request, reply, find, disposition }, services)
  }

  app.get('/uploads/:name', {
    exposeHeadRoute: false,
    onRequest: limitTransfers,
    schema: downloadFile
  }, async (request, reply) => send(request, reply, { ...request.params, ...request.query }))

  app.head('/uploads/:name', headFile, async (request, reply) =>
    send(request, reply, { ...request.params, ...request.query }))

  const listPage = async (ownerId: number, { isStarred, ...page }: FilePage & { isStarred: boolean }) => {
    const found = await (isStarred ? metadata.files.listStarred(ownerId, page) : metadata.files.list(ownerId, page))
    return { ...cutPage(found, page.limit, last => positionOf(last, page.order)), search: {} }
  }

  const foundPage = async (ownerId: number, { limit, ...search }: FileSearch) => {
    const { entries, next = null, searched } = await metadata.files.search(ownerId, { ...search, limit: limit - 1 })
    return { entries, next, search: { searched } }
  }

  const takenPage = async (ownerId: number, { limit, ...timeline }: TimelinePage) => {
    const { entries, next = null } = await metadata.timelines.list(ownerId, { ...timeline, limit: limit - 1 })
    return { entries, next, search: {} }
  }

  /** What a query lists: what its cursors are for, and what reads a page. */
  function listingOf (ownerId: number, { order = 'name', ...query }: Static<typeof FileListQuery>): FileListing {
    if (isTaken(order) || query.kind !== undefined) {
      const timeline = timelineOf({ ...query, order })
      return {
        listing: takenListing(ownerId, timeline.isAscending ? 'taken' : '-taken', timeline),
        read: page => takenPage(ownerId, { ...timeline, ...page })
      }
    }
    const { starred: isStarred = false } = query
    const selection = selectionOf({ ...query, order })
    const search = searchOf(query)
    const { folder, prefix } = { ...selection, ...search }
    const searched = search === undefined ? [] : [String(search.isBelow), ...search.texts]
    return {
      // No folder has the path `/`.
      listing: [ownerId, order, folder ?? '/', prefix ?? '', ...searched, ...isStarred ? ['starred'] : []],
      read: ({ signal, ...page }) => search === undefined
        ? listPage(ownerId, { ...selection, isStarred, ...page })
        : foundPage(ownerId, { ...search, order, ...page, signal })
    }
  }

  app.get('/api/files', {
    links: {
      200: nextPageOf('listFiles', {
        folder: '$request.query.folder',
        order: '$request.query.order',
        prefix: '$request.query.prefix',
        contains: '$request.query.contains',
        words: '$request.query.words',
        below: '$request.query.below',
        starred: '$request.query.starred',
        kind: '$request.query.kind'
      })
    },
    schema: listFiles
  }, async (request, reply) => {
    const { id: ownerId } = callerOf(request).account
    const { listing, read } = listingOf(ownerId, request.query)
    const after = await cursors.read<FilePosition>(request.query.cursor, listing)
    const found = await read({ limit: limitOf(request.query), after, signal: signalOf(reply.raw) })
    const page = { ...found, next: found.next && cursors.write(found.next, listing) }
    const { entries, next } = await linkPage(reply, page, { links, path: '/api/files' })
    return { files: entries.map(file => fileOf(file, request.raw, { links, ids })), next, ...found.search }
  })

  app.get('/api/timeline', {
    schema: getTimeline
  }, async (request, reply) => {
    const { id: ownerId } = callerOf(request).account
    const selection = { ...picturesOf(request.query), signal: signalOf(reply.raw) }
    const months = await metadata.timelines.months(ownerId, selection)
    const listing = takenListing(ownerId, '-taken', selection)
    const withCursor = async (counted: Month) =>
      ({ ...counted, cursor: await cursors.write(positionBefore(counted.month), listing) })
    return { months: await Promise.all(months.map(withCursor)) }
  })

  app.get('/api/files/:name', {
    schema: getFile
  }, async request => {
    const file = await files.get(callerOf(request).account.id, request.params.name)
    return fileOf(file, request.raw, { links, ids })
  })

  app.get(THUMBNAIL_PATH, {
    schema: getThumbnail
  }, async (request, reply) => {
    const file = await files.get(callerOf(request).account.id, request.params.name)
    if (!permits({ 'if-match': request.headers['if-match'] }, file)) throw new Problem('precondition_failed')
    return sendThumbnail(reply, await thumbnails.get(file))
  })
}

/** Operations that rename, copy, describe and delete files, and break their locks. */
export const changeFileRoutes: Routes = async (app, services) => {
  const { files, thumbnails, metadata, copies, links, ids, limitTransfers } = services

  app.delete('/uploads/:name', {
    schema: deleteFile
  }, async (request, reply) => {
    const { params: { name }, query: { permanent: isPermanent = false, id }, headers } = request
    const precondition = { ...preconditionOf(headers), id }
    await files.remove(callerOf(request).account.id, name, { precondition, isPermanent })
    reply.code(204)
  })

  app.patch('/api/files/:name', {
    links: { 200: fileLinks },
    schema: renameFile
  }, async request => {
    const { params, body, query: { id }, headers } = request
    const change = { ...preconditionOf(headers), id, folderId: body.folderId, isStarred: body.starred }
    const changed = await files.rename(callerOf(request).account, params.name, body.name, change)
    return fileOf(changed, request.raw, { links, ids })
  })

  app.post('/api/files/:name/copy', {
    onRequest: limitTransfers,
    links: { 201: fileLinks },
    schema: copyFile
  }, async (request, reply) => {
    const { file } = await copies.copyFile(callerOf(request).account, request.params.name, request.body.name)
    reply.code(201).headers({ location: pathOf(file), etag: entityTag(file.sha256) })
    return fileOf(file, request.raw, { links, ids })
  })

  app.put(TAKEN_PATH, {
    schema: setTakenAt
  }, async request => {
    const { params: { name }, body, headers } = request
    const takenAt = body.takenAt === null ? null : parseTakenAt(body.takenAt)
    const told = { takenAt, precondition: namedContent(headers) }
    return fileOf(await thumbnails.put(callerOf(request).account, name, told), request.raw, { links, ids })
  })

  app.delete(FILE_LOCK_PATH, {
    schema: breakFileLock
  }, async (request, reply) => {
    await metadata.locks.break(callerOf(request).account.id, getName(request.params.name))
    reply.code(204)
  })
}

/**
 * What to list. Without a folder, the orders by name and by change list everything, unless there is a prefix, and every
 * order lists what has a star everywhere.
 * @throws not_found.
 */
function selectionOf (
  { folder, order, prefix, contains, words, starred = false }:
  Omit<Static<typeof FileListQuery>, 'order'> & Pick<FilePage, 'order'>
): Pick<FilePage, 'order' | 'folder' | 'prefix'> {
  const isByName = order === 'name' || order === '-name'
  if (prefix !== undefined && (contains ?? words) !== undefined) {
    throw invalidField('prefix', 'can\'t be combined with `contains` or `words`')
  }
  if (prefix !== undefined && !isByName) throw invalidField('prefix', 'needs the order `name` or `-name`')
  if (prefix?.includes('/') === true) {
    throw invalidField('prefix', 'is the beginning of a last segment, which has no slash: list a folder with `folder`')
  }
  if (starred) refuseBesideStarred({ prefix, contains, words })
  const isAll = folder === undefined && prefix === undefined && (isByName || isByChange(order) || starred)
  return {
    order,
    folder: isAll ? undefined : getName(folder ?? '', folderOrRoot),
    prefix: prefix === undefined ? undefined : namePrefix(prefix)
  }
}
