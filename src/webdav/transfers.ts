import type { FastifyReply } from 'fastify'
import type { CopyFailure } from '../files/copies.ts'
import type { Conditions, Destination } from '../metadata/conditions.ts'
import type { Replacement } from '../metadata/folder-records.ts'
import { ifNot, Problem } from '../problems.ts'
import { conditionsOf } from './conditions.ts'
import { confirmTime, contentTimeOf, depthOf, overwritesOf } from './headers.ts'
import { XML_TYPE } from './multistatus.ts'
import { type DavRequest, destinationOf } from './paths.ts'
import { failureStatus } from './problem-xml.ts'
import { getResource, type DavResource } from './resource.ts'

/** A source, and where it goes: to a free place, or with `overwrites` to that of a file. */
interface Transfer {
  readonly source: DavResource
  readonly to: string
  readonly destination: Destination
}

/** Copies or moves. @throws name_taken if a folder is there, or without `overwrites` a file. */
type TransferHandler = (transfer: Transfer) => Promise<CopyFailure | undefined>

/** `COPY` (RFC 4918 section 9.8). */
export async function copyResource (dav: DavRequest) {
  const { context: { connections, copies, space }, request, reply, owner } = dav
  // Over HTTP/1.1, a client that has closed its side counts as gone: nothing else tells.
  const signal = connections.signalOf(request.raw, reply.raw)
  const isDeep = depthOf(request, ['0', 'infinity']) === 'infinity'
  const copy = { isDeep, quota: space.quotaOf(owner) }
  return answer(dav, copy, async ({ source, to, destination }) => {
    if (source.file === undefined) return copies.copyFolder(owner, source.path, to, { isDeep, signal, ...destination })
    await copies.copyFile(owner, source.path, to, destination)
    return undefined
  })
}

/** `MOVE` (RFC 4918 section 9.9). */
export async function moveResource (dav: DavRequest) {
  const { context: { files, folders }, owner } = dav
  return answer(dav, undefined, async ({ source, to, destination }) => {
    if (source.file === undefined) await folders.move(owner, source.path, to, destination)
    else await files.rename(owner, source.path, to, destination)
    return undefined
  })
}

async function answer (dav: DavRequest, copy: Replacement['copy'], transfer: TransferHandler): Promise<FastifyReply> {
  const { context, request, reply, owner, target } = dav
  const { path: to } = destinationOf(request, context)
  const mayOverwrite = overwritesOf(request)
  const source = await getResource(context, owner, target)
  requireApart(source.path, to)
  if (copy === undefined && source.file === undefined) depthOf(request, ['infinity'])
  const modifiedAt = source.file === undefined ? undefined : contentTimeOf(request)
  let conditions: Conditions = { ...conditionsOf(dav), needsParent: true }
  for (;;) {
    const replaced = await ifNot('not_found', getResource(context, owner, { path: to, hasSlash: false }))
    if (replaced !== undefined && !mayOverwrite) {
      throw new Problem('precondition_failed', { detail: 'The destination exists.' })
    }
    const overwrites = replaced?.file !== undefined
    if (replaced !== undefined && !overwrites) {
      // Nothing is deleted for a file that can't have its name.
      if (source.file !== undefined) context.files.acceptName(to)
      // For a folder, preconditions are evaluated as if nothing existed.
      const replacedBy = { path: source.path, copy }
      await context.folders.remove(owner.id, to, { isRecursive: true, isPermanent: false, conditions, replacedBy })
      conditions = { ...conditions, lists: undefined }
    }
    const destination = { ...conditions, overwrites, modifiedAt }
    const done = await ifNot('name_taken', transfer({ source, to, destination }).then(failure => ({ failure })))
    // Something else has taken the place meanwhile.
    if (done === undefined) continue
    confirmTime(reply, modifiedAt)
    if (done.failure === undefined) return reply.code(replaced === undefined ? 201 : 204).send()
    const { path, error } = done.failure
    const failedAt = to + path.slice(source.path.length)
    return reply.code(207).type(XML_TYPE).send(failureStatus(error, failedAt, { request, site: context }))
  }
}

/** @throws place_forbidden if one path is the other, or below it. */
function requireApart (...paths: [string, string]) {
  // The root has everything below it.
  const [one, other] = paths.map(path => path === '' ? '' : `${path}/`) as [string, string]
  if (one.startsWith(other) || other.startsWith(one)) {
    const detail = 'The destination is the source itself, or a folder around or in it.'
    throw new Problem('place_forbidden', { detail })
  }
}
