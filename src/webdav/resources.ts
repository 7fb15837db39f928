import type { FastifyReply, FastifyRequest } from 'fastify'
import { finderOf, sendFile } from '../files/file-response.ts'
import { callerOf } from '../http/caller.ts'
import type { HttpServices } from '../http/services.ts'
import { announcedLength } from '../http/wire-values.ts'
import { entityTag } from '../metadata/preconditions.ts'
import { ifNot, Problem } from '../problems.ts'
import { rawUpload } from '../uploads/body.ts'
import { modifiedAtOf } from '../uploads/upload-fields.ts'
import { conditionsOf } from './conditions.ts'
import { confirmTime, contentTimeOf, depthOf, refusePartial } from './headers.ts'
import { allowAllBut } from './methods.ts'
import { ROOT, targetOf } from './paths.ts'

const FOLDER_TEXT = 'This is a folder. Open it with a WebDAV client.\n'

/** `GET` and `HEAD`. */
export async function sendResource (context: HttpServices, request: FastifyRequest, reply: FastifyReply) {
  const { files, folders } = context
  const { id: ownerId } = callerOf(request).account
  const { path: name, hasSlash } = targetOf(request, context)
  const file = hasSlash ? undefined : await ifNot('not_found', files.get(ownerId, name))
  if (file !== undefined) return sendFile({ request, reply, find: finderOf(context, ownerId, name), via: 'drive' }, context)
  if (name !== '') await folders.get(ownerId, name)
  return reply.type('text/plain; charset=utf-8').send(FOLDER_TEXT)
}

export async function putFile (context: HttpServices, request: FastifyRequest, reply: FastifyReply) {
  const { headers } = request
  refusePartial(headers)
  const { path: name, hasSlash } = targetOf(request, context)
  if (hasSlash) refuseMethod('MKCOL', 'PUT')
  const time = contentTimeOf(request)
  const stored = await ifNot('name_taken', context.files.store({
    uploader: { owner: callerOf(request).account, linkId: null },
    upload: rawUpload(request.raw, { name, modifiedAt: time ?? modifiedAtOf(headers) }),
    put: { conditions: { ...conditionsOf(request, context), needsParent: true } }
  }))
  // A folder has the name.
  if (stored === undefined) return refuseMethod('MKCOL', 'PUT')
  confirmTime(reply, time)
  return reply.code(stored.isNew ? 201 : 204).header('etag', entityTag(stored.file.sha256)).send()
}

export async function makeFolder (context: HttpServices, request: FastifyRequest, reply: FastifyReply) {
  if (announcedLength(request.raw) !== 0) throw new Problem('unsupported_media_type')
  const { path } = targetOf(request, context)
  if (path === '') refuseMethod('MKCOL', 'PUT')
  const destination = { ...conditionsOf(request, context), needsParent: true }
  const made = await ifNot('name_taken', context.folders.create(callerOf(request).account, path, destination))
  if (made === undefined) return refuseMethod('MKCOL')
  if (!made.isNew) refuseMethod('MKCOL', 'PUT')
  return reply.code(201).send()
}

/** `DELETE`: a folder goes with all that is in it. */
export async function removeResource (context: HttpServices, request: FastifyRequest, reply: FastifyReply) {
  const { files, folders } = context
  const { id: ownerId } = callerOf(request).account
  const { path, hasSlash } = targetOf(request, context)
  requireBelowRoot(path)
  const conditions = conditionsOf(request, context)
  const removal = { precondition: conditions, isPermanent: false }
  const isRemoved = !hasSlash && await ifNot('not_found', files.remove(ownerId, path, removal).then(() => true))
  if (!isRemoved) {
    depthOf(request, ['infinity'])
    await folders.remove(ownerId, path, { isRecursive: true, isPermanent: false, conditions })
  }
  return reply.code(204).send()
}

/** @throws place_forbidden. */
export function requireBelowRoot (path: string): void {
  if (path === '') throw new Problem('place_forbidden', { detail: `${ROOT}/ itself can't be changed.` })
}

/** What has this URL does not have the method. */
function refuseMethod (...refused: string[]): never {
  throw new Problem('method_not_allowed', { headers: { allow: allowAllBut(...refused) } })
}
