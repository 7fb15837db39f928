import { STATUS_CODES } from 'node:http'
import type { PropertyName } from '../metadata/property-records.ts'
import { DAV, escapeXml } from './xml.ts'

/** `Content-Type` of a body in XML. */
export const XML_TYPE = 'application/xml; charset=utf-8'

/** The first line of a body in XML. */
export const XML_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'

/** Bound in every document, and to no other prefix. */
const XML_NAMESPACE = 'http://www.w3.org/XML/1998/namespace'

/**
 * The beginning of a `DAV:multistatus`, and the elements of properties in it. Their namespaces are declared once, at
 * the beginning: one can have 64 KiB, and thousands of properties be asked of thousands of files.
 */
export class PropertyElements {
  readonly #prefixes = new Map([[DAV, 'D:'], ['', ''], [XML_NAMESPACE, 'xml:']])
  readonly begin: string

  constructor (names: readonly PropertyName[]) {
    let declarations = ''
    for (const { namespace } of names) {
      if (this.#prefixes.has(namespace)) continue
      const prefix = `n${this.#prefixes.size}`
      this.#prefixes.set(namespace, `${prefix}:`)
      declarations += ` xmlns:${prefix}="${escapeXml(namespace)}"`
    }
    this.begin = `${XML_DECLARATION}<D:multistatus xmlns:D="DAV:"${declarations}>\n`
  }

  /** `content` is XML. */
  element ({ namespace, name }: PropertyName, content = ''): string {
    const prefix = this.#prefixes.get(namespace)
    const tag = `${prefix ?? 'n:'}${name}`
    const start = prefix === undefined ? `${tag} xmlns:n="${escapeXml(namespace)}"` : tag
    return content === '' ? `<${start}/>` : `<${start}>${content}</${tag}>`
  }
}

export const MULTISTATUS_END = '</D:multistatus>\n'

/** A `DAV:response`. `content`: its parts as XML. */
export function response (href: string, content: string): string {
  return `<D:response><D:href>${escapeXml(href)}</D:href>${content}</D:response>\n`
}

/** The properties that have a status. `error`: the precondition of RFC 4918 section 16 that failed. */
export function propstat (status: number, properties: string, error?: string): string {
  const reason = error === undefined ? '' : `<D:error><D:${error}/></D:error>`
  return `<D:propstat><D:prop>${properties}</D:prop>${statusElement(status)}${reason}</D:propstat>`
}

/** `DAV:status`. */
export function statusElement (status: number): string {
  return `<D:status>HTTP/1.1 ${status} ${STATUS_CODES[status]}</D:status>`
}
