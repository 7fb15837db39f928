import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { callerOf } from '../http/caller.ts'
import { refuseForeignParameters } from '../http/foreign-parameters.ts'
import type { Links } from '../http/links.ts'
import { cutPage, limitOf, nextPageOf } from '../http/pagination.ts'
import { ignoreBodies } from '../http/schema-compilers.ts'
import type { KeptPosition } from '../metadata/kept-repository.ts'
import { preconditionOf } from '../metadata/preconditions.ts'
import { codeSamples } from '../openapi/operation.ts'
import { problems } from '../openapi/responses.ts'
import type { Cursors, Listing } from './cursor.ts'
import type { KeptFiles } from './kept.ts'
import { DeletedFileList, deletedFileOf, FileRestore, KeptListQuery, TRASH_PATH, TrashParams, VersionList, VersionParams, versionOf, VERSIONS_PATH } from './kept-schemas.ts'
import { ChangeHeaders, FileParams, fileLinks, fileOf, nextPage, StoredFile } from './schemas.ts'

interface KeptRoutesOptions { keptFiles: KeptFiles, cursors: Cursors, links: Links }

const tags = ['Versions and trash']
const versionsOf = (name: string) => VERSIONS_PATH.replace(':name', encodeURIComponent(name))
const trashListing = (ownerId: number): Listing => [ownerId, 'trash']

/** Operations that read versions and the trash. */
export const readKeptRoutes: FastifyPluginAsyncTypebox<KeptRoutesOptions> = async (app, { keptFiles, cursors, links }) => {
  /** A page of entries, with the header for the next one. */
  async function pageOf<Entry extends KeptPosition> ({ request, reply }: { request: FastifyRequest, reply: FastifyReply }, found: Entry[], { path, listing }: { path: string, listing: Listing }) {
    const query = request.query as { limit?: number }
    const limit = limitOf(query)
    const page = cutPage(found, limit, last => cursors.write(last, listing))
    const next = await page.next
    if (next !== null) reply.header('link', links.toNext(request.raw, path, { ...query, limit: String(limit - 1), cursor: next }))
    return { entries: page.entries, next }
  }

  app.get(VERSIONS_PATH, {
    links: { 200: nextPageOf('listVersions', { name: '$request.path.name' }) },
    schema: {
      operationId: 'listVersions',
      summary: 'List the versions of a file',
      description: 'Lists earlier versions of a file, most recently replaced first. They stay with the file when it is renamed. Storing the same bytes again creates no version. The server keeps them for some time (30 days by default), and a limited number for each file (10 by default). An account keeps at most 10,000 versions and deleted files; beyond that, the oldest are deleted. Download one with `GET /uploads/{name}?version={id}`.',
      ...codeSamples(
        'printf one | curl -f -u test_user:pwd -T - http://127.0.0.1:5000/uploads/notes.txt',
        'printf two | curl -f -u test_user:pwd -T - http://127.0.0.1:5000/uploads/notes.txt',
        'curl -f -u test_user:pwd http://127.0.0.1:5000/api/files/notes.txt/versions'
      ),
      tags,
      params: FileParams,
      querystring: KeptListQuery,
      response: { 200: { ...Type.Ref(VersionList), description: 'A page.', headers: nextPage }, ...problems(['validation_failed', 'not_found']) }
    }
  }, async (request, reply) => {
    const ownerId = callerOf(request).account.id
    const { name } = request.params
    const listingOf = (fileId: number): Listing => [ownerId, 'versions', fileId]
    const after = (fileId: number) => cursors.read<KeptPosition>(request.query.cursor, listingOf(fileId))
    const { fileId, versions } = await keptFiles.listVersions(ownerId, name, { limit: limitOf(request.query), after })
    const { entries, next } = await pageOf({ request, reply }, versions.map(withKey), { path: versionsOf(name), listing: listingOf(fileId) })
    return { versions: entries.map(versionOf), next }
  })

  app.get(TRASH_PATH, {
    links: { 200: nextPageOf('listTrash') },
    schema: {
      operationId: 'listTrash',
      summary: 'List deleted files',
      description: 'Lists the trash, newest deleted first. A deleted file stays there with its versions for some time, 30 days by default. Trash counts towards the quota in bytes. If an upload needs the space, the oldest versions and deleted files are removed first. An account keeps at most 10,000 of both; beyond that, the oldest are deleted.',
      ...codeSamples('curl -f -u test_user:pwd http://127.0.0.1:5000/api/trash'),
      tags,
      querystring: KeptListQuery,
      response: { 200: { ...Type.Ref(DeletedFileList), description: 'A page.', headers: nextPage }, ...problems(['validation_failed']) }
    }
  }, async (request, reply) => {
    const ownerId = callerOf(request).account.id
    const listing = trashListing(ownerId)
    const after = await cursors.read<KeptPosition>(request.query.cursor, listing)
    const found = await keptFiles.listTrash(ownerId, { limit: limitOf(request.query), after })
    const { entries, next } = await pageOf({ request, reply }, found.map(withKey), { path: TRASH_PATH, listing })
    return { files: entries.map(deletedFileOf), next }
  })
}

/** Operations that restore what is kept, or delete it for good. */
export const changeKeptRoutes: FastifyPluginAsyncTypebox<KeptRoutesOptions> = async (app, { keptFiles, links }) => {
  app.addHook('preValidation', refuseForeignParameters)
  await app.register(restoreVersionRoute, { keptFiles, links })

  app.delete(`${VERSIONS_PATH}/:id`, {
    schema: {
      operationId: 'deleteVersion',
      summary: 'Delete a version',
      description: 'Deletes a version for good. The file does not change.',
      ...codeSamples(
        'version=$(curl -f -u test_user:pwd http://127.0.0.1:5000/api/files/notes.txt/versions | grep -Eo "[0-9a-f]{32}" | head -n 1)',
        'curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/api/files/notes.txt/versions/$version'
      ),
      tags,
      params: VersionParams,
      response: { 204: { description: 'The version was deleted.', type: 'null' }, ...problems(['validation_failed', 'not_found', 'storage_full']) }
    }
  }, async (request, reply) => {
    await keptFiles.removeVersion(callerOf(request).account.id, request.params)
    return reply.code(204).send()
  })

  app.post(`${TRASH_PATH}/:id/restore`, {
    links: { 200: fileLinks },
    // The body is optional, and `null` is one.
    preValidation: async request => { if (request.body === undefined) request.body = {} },
    schema: {
      operationId: 'restoreFile',
      summary: 'Restore a deleted file',
      description: 'Restores a file with its versions, under its name or another one. `createdAt` stays, `updatedAt` is now. The name must be free: if it is taken, the response is 409, and nothing changes.',
      ...codeSamples(
        'curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/uploads/notes.txt',
        'deleted=$(curl -f -u test_user:pwd http://127.0.0.1:5000/api/trash | grep -Eo "[0-9a-f]{32}" | head -n 1)',
        'curl -f -u test_user:pwd -X POST -H "Content-Type: application/json" -d \'{"name":"restored.txt"}\' http://127.0.0.1:5000/api/trash/$deleted/restore'
      ),
      tags,
      params: TrashParams,
      body: Type.Ref(FileRestore),
      response: {
        200: { ...Type.Ref(StoredFile), description: 'The file.' },
        ...problems(['malformed_json', 'validation_failed', 'name_invalid', 'not_found', 'name_taken', 'body_too_large', 'quota_exceeded', 'unsupported_media_type', 'extension_not_allowed', 'storage_full'])
      }
    }
  }, async request => fileOf(await keptFiles.restoreFile(callerOf(request).account, request.params.id, request.body.name), request.raw, links))

  app.delete(`${TRASH_PATH}/:id`, {
    schema: {
      operationId: 'deleteFromTrash',
      summary: 'Delete a file from the trash',
      description: 'Deletes a file in the trash for good, with its versions.',
      ...codeSamples(
        'curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/uploads/restored.txt',
        'deleted=$(curl -f -u test_user:pwd http://127.0.0.1:5000/api/trash | grep -Eo "[0-9a-f]{32}" | head -n 1)',
        'curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/api/trash/$deleted'
      ),
      tags,
      params: TrashParams,
      response: { 204: { description: 'The file was deleted for good.', type: 'null' }, ...problems(['validation_failed', 'not_found', 'storage_full']) }
    }
  }, async (request, reply) => {
    await keptFiles.removeFromTrash(callerOf(request).account.id, request.params.id)
    return reply.code(204).send()
  })

  app.delete(TRASH_PATH, {
    schema: {
      operationId: 'emptyTrash',
      summary: 'Empty the trash',
      description: 'Deletes all files in the trash for good, with their versions. Versions of other files stay.',
      ...codeSamples('curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/api/trash'),
      tags,
      response: { 204: { description: 'The trash is empty.', type: 'null' }, ...problems(['validation_failed', 'storage_full']) }
    }
  }, async (request, reply) => {
    await keptFiles.emptyTrash(callerOf(request).account.id)
    return reply.code(204).send()
  })
}

const restoreVersionRoute: FastifyPluginAsyncTypebox<Pick<KeptRoutesOptions, 'keptFiles' | 'links'>> = async (app, { keptFiles, links }) => {
  ignoreBodies(app)

  app.post(`${VERSIONS_PATH}/:id/restore`, {
    links: { 200: fileLinks },
    schema: {
      operationId: 'restoreVersion',
      summary: 'Restore a version',
      description: 'Restores the content of a version. The version leaves the list, and the current content becomes a version. `createdAt` stays, `updatedAt` is now. With `If-Match`, only if the file still has that content.',
      ...codeSamples(
        'version=$(curl -f -u test_user:pwd http://127.0.0.1:5000/api/files/notes.txt/versions | grep -Eo "[0-9a-f]{32}" | head -n 1)',
        'curl -f -u test_user:pwd -X POST http://127.0.0.1:5000/api/files/notes.txt/versions/$version/restore'
      ),
      tags,
      params: VersionParams,
      headers: ChangeHeaders,
      response: { 200: { ...Type.Ref(StoredFile), description: 'The file.' }, ...problems(['validation_failed', 'not_found', 'precondition_failed', 'quota_exceeded', 'storage_full']) }
    }
  }, async request => {
    const version = { ...request.params, precondition: preconditionOf(request.headers) }
    return fileOf(await keptFiles.restoreVersion(callerOf(request).account, version), request.raw, links)
  })
}

/** Adds the key that its listing is ordered by. */
function withKey<Entry extends { keptAt: number }> (entry: Entry): Entry & { key: number } {
  return { ...entry, key: entry.keptAt }
}
