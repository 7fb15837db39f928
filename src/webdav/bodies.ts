import type { FastifyRequest } from 'fastify'
import type { PropertyName } from '../metadata/property-records.ts'
import { Problem } from '../problems.ts'
import { openUploadBody } from '../uploads/body.ts'
import { refuse } from './headers.ts'
import { findChild, is, parseXml, standalone, type XmlElement } from './xml.ts'

/** Largest XML body, in bytes. */
const MAX_XML_BYTES = 64 * 1024

/** A dead property, or the owner of a lock, in bytes of XML. */
export const MAX_ELEMENT_BYTES = 4 * 1024

const XML_TYPE = /^\s*(?:application|text)\/xml\s*(?:;|$)/i

/**
 * The root element of the body, in a scope that leaves bodies to its routes; undefined without a body. Many programs
 * send `PROPFIND` with the type of a form: it changes nothing, so that its type does not matter.
 * @throws body_too_large, unsupported_media_type, malformed_xml, and as `openUploadBody`.
 */
export async function readXml ({ raw, headers, method }: FastifyRequest): Promise<XmlElement | undefined> {
  const { bytes, confirm } = openUploadBody(raw)
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of bytes) {
    length += chunk.length
    if (length > MAX_XML_BYTES) throw new Problem('body_too_large')
    chunks.push(chunk)
  }
  confirm()
  if (length === 0) return undefined
  const isXml = method === 'PROPFIND' || XML_TYPE.test(headers['content-type'] ?? 'text/xml')
  if (!isXml) throw new Problem('unsupported_media_type')
  return parseXml(Buffer.concat(chunks))
}

const FORMS = ['prop', 'propname', 'allprop'] as const

/** What a client wants to know: the named properties, the names of all, or all and the named ones. */
export interface PropertyQuery {
  readonly form: typeof FORMS[number]
  readonly names: readonly PropertyName[]
}

/** The body of `PROPFIND` (RFC 4918 section 14.20). @throws malformed_request. */
export function propfindOf (xml: XmlElement | undefined): PropertyQuery {
  if (xml === undefined) return { form: 'allprop', names: [] }
  const root = rootOf(xml, 'propfind')
  const form = FORMS.find(name => findChild(root, name) !== undefined) ??
    refuse(`DAV:propfind must have one of ${FORMS.join(', ')}.`)
  // A client that asks for all properties can include some that are not among them.
  const named = findChild(root, form === 'prop' ? 'prop' : 'include')
  return { form, names: named?.children ?? [] }
}

/** A property to be set to this element, or to be removed. */
export interface WantedChange { readonly element: XmlElement, readonly isRemoval: boolean }

/** The body of `PROPPATCH` (RFC 4918 section 14.19), in its order. @throws malformed_request. */
export function proppatchOf (xml: XmlElement | undefined): WantedChange[] {
  const changes = rootOf(xml, 'propertyupdate').children.flatMap(instruction => {
    const isRemoval = is(instruction, 'remove')
    const prop = isRemoval || is(instruction, 'set') ? findChild(instruction, 'prop') : undefined
    return prop?.children.map(element => ({ element, isRemoval })) ?? []
  })
  return changes.length > 0 ? changes : refuse('DAV:propertyupdate names no property.')
}

/**
 * The body of `LOCK` (RFC 4918 section 14.11). `owner` is the whole element `DAV:owner`, which can stand anywhere.
 * @throws malformed_request, body_too_large if the owner is.
 */
export function lockInfoOf (xml: XmlElement | undefined): { isExclusive: boolean, owner: string | null } {
  const info = rootOf(xml, 'lockinfo')
  const has = (part: string, value: string) => info.children.some(child => is(child, part) && findChild(child, value))
  const isExclusive = has('lockscope', 'exclusive')
  if (!isExclusive && !has('lockscope', 'shared')) refuse('DAV:lockscope must be DAV:exclusive or DAV:shared.')
  if (!has('locktype', 'write')) refuse('DAV:locktype must be DAV:write.')
  const element = findChild(info, 'owner')
  return { isExclusive, owner: element === undefined ? null : ownerOf(element) }
}

function ownerOf (element: XmlElement): string {
  const owner = standalone(element, MAX_ELEMENT_BYTES)
  if (owner !== undefined) return owner
  throw new Problem('body_too_large', { detail: `DAV:owner has more than ${MAX_ELEMENT_BYTES} bytes.` })
}

function rootOf (xml: XmlElement | undefined, name: string): XmlElement {
  return xml !== undefined && is(xml, name) ? xml : refuse(`The body must be DAV:${name}.`)
}
