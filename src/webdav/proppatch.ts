import type { FastifyReply, FastifyRequest } from 'fastify'
import { callerOf } from '../http/caller.ts'
import type { HttpServices } from '../http/services.ts'
import { MAX_PROPERTY_BYTES, type PropertyChange, type PropertyChanges } from '../metadata/property-records.ts'
import { MAX_ELEMENT_BYTES, proppatchOf, readXml, type WantedChange } from './bodies.ts'
import { conditionsOf } from './conditions.ts'
import { isDead, keyOf, liveProperties } from './live-properties.ts'
import { MULTISTATUS_END, PropertyElements, propstat, response, XML_TYPE } from './multistatus.ts'
import { targetOf } from './paths.ts'
import { getResource, type Resource } from './resource.ts'
import { requireBelowRoot } from './resources.ts'
import { standalone } from './xml.ts'

/** What to change, or the status of a change that can't be done (RFC 4918 section 9.2.1). */
type Verdict =
  | { readonly property: PropertyChange }
  | { readonly modifiedAt: number }
  | { readonly status: 403 | 409 | 507 }

/** Answers `PROPPATCH` (RFC 4918 section 9.2): all changes are made, or none. */
export async function proppatch (context: HttpServices, request: FastifyRequest, reply: FastifyReply): Promise<string> {
  const changes = proppatchOf(await readXml(request))
  const { account } = callerOf(request)
  const target = targetOf(request, context)
  requireBelowRoot(target.path)
  const resource = await getResource(context, account, target)
  const verdicts = judge(changes, resource)
  const isRefused = verdicts.some(verdict => 'status' in verdict)
  // Also if nothing is to be changed: the conditions are judged before the properties.
  const wanted = isRefused ? { properties: [] } : together(verdicts)
  await context.space.requireDisk(0)
  await context.metadata.properties.change(account.id, resource.path, wanted, conditionsOf(request, context))
  const statuses = verdicts.map(verdict => 'status' in verdict ? verdict.status : isRefused ? 424 : 200)
  reply.code(207).header('content-type', XML_TYPE)
  return multistatus(target.href + (resource.file === undefined ? '/' : ''), changes, statuses)
}

/** What can't be kept is refused before it is copied: each value has the namespaces in its scope. */
function judge (changes: readonly WantedChange[], resource: Resource): Verdict[] {
  let left = MAX_PROPERTY_BYTES
  return changes.map((change): Verdict => {
    const { element, element: { namespace, name }, isRemoval } = change
    if (!isDead(element, resource)) return judgeLive(change, resource)
    if (isRemoval) return { property: { namespace, name, xml: null } }
    const xml = standalone(element, Math.min(left, MAX_ELEMENT_BYTES))
    if (xml === undefined) return { status: 507 }
    left -= Buffer.byteLength(xml)
    return { property: { namespace, name, xml } }
  })
}

function judgeLive ({ element, isRemoval }: WantedChange, { file }: Resource): Verdict {
  const parseTime = liveProperties.get(keyOf(element))?.parseTime
  if (parseTime === undefined || isRemoval || file === undefined) return { status: 403 }
  const modifiedAt = parseTime(element.text.trim())
  return modifiedAt === undefined ? { status: 409 } : { modifiedAt }
}

/** The last time counts. */
function together (verdicts: readonly Verdict[]): PropertyChanges {
  return {
    properties: verdicts.flatMap(verdict => 'property' in verdict ? verdict.property : []),
    modifiedAt: verdicts.flatMap(verdict => 'modifiedAt' in verdict ? verdict.modifiedAt : []).at(-1)
  }
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
