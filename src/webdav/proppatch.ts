import { MAX_PROPERTY_BYTES, type PropertyChange } from '../metadata/property-records.ts'
import { MAX_ELEMENT_BYTES, proppatchOf, readXml, type WantedChange } from './bodies.ts'
import { conditionsOf } from './conditions.ts'
import { isDead, keyOf, liveProperties } from './live-properties.ts'
import { MULTISTATUS_END, PropertyElements, propstat, response, XML_TYPE } from './multistatus.ts'
import type { DavRequest } from './paths.ts'
import { getResource, type DavResource } from './resource.ts'
import { requireBelowRoot } from './resources.ts'
import { standalone } from './xml.ts'

/** Answers `PROPPATCH` (RFC 4918 section 9.2): all changes are made, or none. */
export async function proppatch (dav: DavRequest): Promise<string> {
  const { context, request, reply, owner, target } = dav
  const changes = proppatchOf(await readXml(request))
  requireBelowRoot(target.path)
  const resource = await getResource(context, owner, target)
  const { wanted, statuses } = judge(changes, resource)
  const isRefused = statuses.some(status => status !== 200)
  await context.space.requireDisk(0)
  // Also if nothing is to be changed: the conditions are judged before the properties.
  const done = isRefused ? { properties: [] } : wanted
  await context.metadata.properties.change(owner.id, resource.path, done, conditionsOf(dav))
  reply.code(207).header('content-type', XML_TYPE)
  const href = target.href + (resource.file === undefined ? '/' : '')
  return multistatus(href, changes, statuses.map(status => isRefused && status === 200 ? 424 : status))
}

/**
 * What to change, and the status of each change (RFC 4918 section 9.2.1). If a time is set twice, the last wins.
 * Oversized values are refused before copying: each gets the namespaces in its scope.
 */
function judge (changes: readonly WantedChange[], resource: DavResource) {
  const properties: PropertyChange[] = []
  let modifiedAt: number | undefined
  let left = MAX_PROPERTY_BYTES
  const statuses = changes.map(({ element, isRemoval }) => {
    const { namespace, name, text } = element
    if (isDead(element, resource)) {
      const xml = isRemoval ? null : standalone(element, Math.min(left, MAX_ELEMENT_BYTES))
      if (xml === undefined) return 507
      left -= Buffer.byteLength(xml ?? '')
      properties.push({ namespace, name, xml })
      return 200
    }
    const parseTime = liveProperties.get(keyOf(element))?.parseTime
    if (parseTime === undefined || isRemoval || resource.file === undefined) return 403
    const time = parseTime(text.trim())
    if (time === undefined) return 409
    modifiedAt = time
    return 200
  })
  return { wanted: { properties, modifiedAt }, statuses }
}

function multistatus (href: string, changes: readonly WantedChange[], statuses: readonly number[]): string {
  const elements = new PropertyElements(changes.map(({ element }) => element))
  const propstats = Array.from(new Set(statuses), status => {
    const names = changes.flatMap(({ element }, index) => statuses[index] === status ? elements.element(element) : [])
    const precondition = status === 403 ? 'cannot-modify-protected-property' : undefined
    return propstat(status, Array.from(new Set(names)).join(''), precondition)
  })
  return elements.begin + response(href, propstats.join('')) + MULTISTATUS_END
}
