import { addLock } from '../files/locks.ts'
import { fileName } from '../files/names.ts'
import { lockInfoOf, readXml } from './bodies.ts'
import { conditionsOf } from './conditions.ts'
import { depthOf, lockSecondsOf, lockTokenOf } from './headers.ts'
import { lockDiscovery } from './lock-xml.ts'
import { XML_TYPE } from './multistatus.ts'
import { type DavRequest, hrefOf } from './paths.ts'
import { getResource } from './resource.ts'
import { requireBelowRoot } from './resources.ts'

/** `LOCK` (RFC 4918 section 9.10). Without a body it refreshes a lock. */
export async function lockResource (dav: DavRequest) {
  const { context, request, reply, owner, target } = dav
  requireBelowRoot(target.path)
  const path = fileName(target.path)
  const seconds = lockSecondsOf(request)
  const conditions = { ...conditionsOf(dav), needsParent: true }
  const body = await readXml(request)
  reply.type(XML_TYPE)
  if (body === undefined) {
    const refreshed = await context.metadata.locks.refresh(owner.id, path, seconds, conditions)
    return reply.send(lockDiscovery([refreshed], path => hrefOf(path, target)))
  }
  const isDeep = depthOf(request, ['0', 'infinity']) === 'infinity'
  // A path with a trailing slash never creates a file.
  if (target.hasSlash) await context.folders.get(owner.id, path)
  const { lock, isNew } = await addLock(context, owner, { ...lockInfoOf(body), path, isDeep, seconds }, conditions)
  return reply.code(isNew ? 201 : 200).header('lock-token', `<${lock.token}>`)
    .send(lockDiscovery([lock], path => hrefOf(path, target)))
}

/** `UNLOCK` (RFC 4918 section 9.11). */
export async function unlockResource (dav: DavRequest) {
  const { context, request, reply, owner, target } = dav
  requireBelowRoot(target.path)
  const token = lockTokenOf(request)
  const { path } = await getResource(context, owner, target)
  await context.metadata.locks.remove(owner.id, path, token, conditionsOf(dav))
  return reply.code(204).send()
}
