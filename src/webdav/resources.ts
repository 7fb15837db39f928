import { finderOf, sendFile } from '../files/file-response.ts'
import { announcedLength } from '../http/wire-values.ts'
import { entityTag } from '../metadata/preconditions.ts'
import { ifNot, Problem } from '../problems.ts'
import { modifiedAtOf, rawUpload } from '../uploads/body.ts'
import { conditionsOf } from './conditions.ts'
import { confirmTime, contentTimeOf, depthOf, refusePartial } from './headers.ts'
import { allowAllBut } from './methods.ts'
import { type DavRequest, ROOT } from './paths.ts'

const FOLDER_TEXT = 'This is a folder. Open it with a WebDAV client.\n'

/** `GET` and `HEAD`. */
export async function sendResource ({ context, request, reply, owner, target: { path: name, hasSlash } }: DavRequest) {
  const file = hasSlash ? undefined : await ifNot('not_found', context.files.get(owner.id, name))
  if (file !== undefined) {
    return sendFile({ request, reply, find: finderOf(context, owner.id, name), via: 'drive' }, context)
  }
  if (name !== '') await context.folders.get(owner.id, name)
  return reply.type('text/plain; charset=utf-8').send(FOLDER_TEXT)
}

export async function putFile (dav: DavRequest) {
  const { context, request, reply, owner, target: { path: name, hasSlash } } = dav
  const { headers } = request
  refusePartial(headers)
  if (hasSlash) refuseMethod('MKCOL', 'PUT')
  const time = contentTimeOf(request)
  const stored = await ifNot('name_taken', context.files.store({
    uploader: { owner, linkId: null },
    upload: rawUpload(request.raw, { name, modifiedAt: time ?? modifiedAtOf(headers) }),
    put: { conditions: { ...conditionsOf(dav), needsParent: true } }
  }))
  // A folder has the name.
  if (stored === undefined) return refuseMethod('MKCOL', 'PUT')
  confirmTime(reply, time)
  return reply.code(stored.isNew ? 201 : 204).header('etag', entityTag(stored.file.sha256)).send()
}

export async function makeFolder (dav: DavRequest) {
  const { context, request, reply, owner, target: { path } } = dav
  if (announcedLength(request.raw) !== 0) throw new Problem('unsupported_media_type')
  if (path === '') refuseMethod('MKCOL', 'PUT')
  const destination = { ...conditionsOf(dav), needsParent: true }
  const made = await ifNot('name_taken', context.folders.create(owner, path, destination))
  if (made === undefined) return refuseMethod('MKCOL')
  if (!made.isNew) refuseMethod('MKCOL', 'PUT')
  return reply.code(201).send()
}

/** `DELETE`: a folder goes with all that is in it. */
export async function removeResource (dav: DavRequest) {
  const { context: { files, folders }, request, reply, owner, target: { path, hasSlash } } = dav
  requireBelowRoot(path)
  const conditions = conditionsOf(dav)
  const removal = { precondition: conditions, isPermanent: false }
  const isRemoved = !hasSlash && await ifNot('not_found', files.remove(owner.id, path, removal).then(() => true))
  if (!isRemoved) {
    depthOf(request, ['infinity'])
    await folders.remove(owner.id, path, { isRecursive: true, isPermanent: false, conditions })
  }
  return reply.code(204).send()
}

/** @throws place_forbidden. */
export function requireBelowRoot (path: string): void {
  if (path === '') throw new Problem('place_forbidden', { detail: `${ROOT}/ itself can't be changed.` })
}

/** The resource at this URL does not support the method. */
function refuseMethod (...refused: string[]): never {
  throw new Problem('method_not_allowed', { headers: { allow: allowAllBut(...refused) } })
}
