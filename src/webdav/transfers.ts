import type { FastifyReply, FastifyRequest } from 'fastify'
import type { CopyFailure } from '../files/copies.ts'
import { callerOf } from '../http/caller.ts'
import type { HttpServices } from '../http/services.ts'
import type { Conditions, Destination } from '../metadata/conditions.ts'
import type { Replacement } from '../metadata/folder-records.ts'
import type { AccountRecord } from '../metadata/records.ts'
import { ifNot, Problem } from '../problems.ts'
import { conditionsOf } from './conditions.ts'
import { confirmTime, contentTimeOf, depthOf, overwritesOf } from './headers.ts'
import { XML_TYPE } from './multistatus.ts'
import { destinationOf, targetOf } from './paths.ts'
import { failureStatus } from './problem-xml.ts'
import { getResource, type Resource } from './resource.ts'

/** A source, and where it goes: to a free place, or with `overwrites` to that of a file. */
interface Transfer {
  readonly owner: AccountRecord
  readonly source: Resource
  readonly to: string
  readonly destination: Destination
}

interface Exchange {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly copy: Replacement['copy']
}

/** Copies or moves. @throws name_taken if a folder is there, or without `overwrites` a file. */
type Act = (transfer: Transfer) => Promise<CopyFailure | undefined>

/** `COPY` (RFC 4918 section 9.8). */
export async function copyResource (context: HttpServices, request: FastifyRequest, reply: FastifyReply) {
  const { copies, space } = context
  const signal = signalOfClient(request, reply)
  const isDeep = depthOf(request, ['0', 'infinity']) === 'infinity'
  const copy = { isDeep, quota: space.quotaOf(callerOf(request).account) }
  return answer(context, { request, reply, copy }, async ({ owner, source, to, destination }) => {
    if (source.file === undefined) return copies.copyFolder(owner, source.path, to, { isDeep, signal, ...destination })
    await copies.copyFile(owner, source.path, to, destination)
    return undefined
  })
}

/** `MOVE` (RFC 4918 section 9.9). */
export async function moveResource (context: HttpServices, request: FastifyRequest, reply: FastifyReply) {
  const { files, folders } = context
  return answer(context, { request, reply, copy: undefined }, async ({ owner, source, to, destination }) => {
    if (source.file === undefined) await folders.move(owner, source.path, to, destination)
    else await files.rename(owner, source.path, to, destination)
    return undefined
  })
}

async function answer (context: HttpServices, { request, reply, copy }: Exchange, act: Act): Promise<FastifyReply> {
  const { account: owner } = callerOf(request)
  const asked = targetOf(request, context)
  const { path: to } = destinationOf(request, context)
  const mayOverwrite = overwritesOf(request)
  const source = await getResource(context, owner, asked)
  requireApart(source.path, to)
  if (copy === undefined && source.file === undefined) depthOf(request, ['infinity'])
  const modifiedAt = source.file === undefined ? undefined : contentTimeOf(request)
  let conditions: Conditions = { ...conditionsOf(request, context), needsParent: true }
  for (;;) {
    const replaced = await ifNot('not_found', getResource(context, owner, { path: to, hasSlash: false }))
    if (replaced !== undefined && !mayOverwrite) throw new Problem('precondition_failed', { detail: 'The destination exists.' })
    const overwrites = replaced?.file !== undefined
    if (replaced !== undefined && !overwrites) {
      // Nothing is deleted for a file that can't have its name.
      if (source.file !== undefined) context.files.acceptName(to)
      // The precondition is about a file: of a folder, it is judged without one.
      const replacedBy = { path: source.path, copy }
      await context.folders.remove(owner.id, to, { isRecursive: true, isPermanent: false, conditions, replacedBy })
      conditions = { ...conditions, lists: undefined }
    }
    const destination = { ...conditions, overwrites, modifiedAt }
    const done = await ifNot('name_taken', act({ owner, source, to, destination }).then(failure => ({ failure })))
    // Something else has taken the place meanwhile.
    if (done === undefined) continue
    confirmTime(reply, modifiedAt)
    if (done.failure === undefined) return reply.code(replaced === undefined ? 201 : 204).send()
    const { path, error } = done.failure
    const failedAt = to + path.slice(source.path.length)
    return reply.code(207).type(XML_TYPE).send(failureStatus(error, failedAt, { request, site: context }))
  }
}

/** Aborted when the client is gone. Over HTTP/1.1, one that has closed its side counts as gone: nothing else tells. */
function signalOfClient ({ raw }: FastifyRequest, reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  const stop = () => controller.abort(new Problem('upload_incomplete', { detail: 'The client is gone.' }))
  const socket = 'stream' in raw ? undefined : raw.socket
  socket?.once('end', stop)
  reply.raw.once('close', () => {
    socket?.off('end', stop)
    stop()
  })
  return controller.signal
}

/** @throws place_forbidden if one path is the other, or below it. */
function requireApart (...paths: [string, string]): void {
  // The root has everything below it.
  const [one, other] = paths.map(path => path === '' ? '' : `${path}/`) as [string, string]
  if (one.startsWith(other) || other.startsWith(one)) {
    throw new Problem('place_forbidden', { detail: 'The destination is the source itself, or a folder around or in it.' })
  }
}
