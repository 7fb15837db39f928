import { SaxesParser } from 'saxes'
import type { PropertyName } from '../metadata/property-records.ts'
import { Problem } from '../problems.ts'

/** The namespace of everything in RFC 4918. */
export const DAV = 'DAV:'

/**
 * Limits of a document: nesting depth, elements, attributes (with namespace declarations), namespace declarations.
 * Each element can be a property that is looked up, and each property gets the namespaces in its scope.
 */
const MAX_DEPTH = 32
const LIMITS = { elements: 500, attributes: 500, namespaces: 200 }

/** Characters of a message of saxes at most: it can quote the body. */
const MAX_MESSAGE = 200

/** Of the encodings that RFC 4918 section 8.2 demands, in hex. */
const BYTE_ORDER_MARKS: Record<string, string> = { feff: 'utf-16be', fffe: 'utf-16le' }

/**
 * A character that a name can have, but not begin with:
 * saxes accepts it after a prefix (XML 1.0 section 2.3).
 */
const BAD_LOCAL_NAME = /:[\u0300-\u036F\u203F\u2040\xB7.\d-]/u

/** An element. Its namespace is empty without one. */
export interface XmlElement extends PropertyName {
  readonly parent: XmlElement | undefined
  readonly children: XmlElement[]
  /** The text directly in it, with that of CDATA sections. */
  text: string
  /** Undefined without `xml:lang`. */
  readonly language: string | undefined
  /** The namespaces that it declares, by prefix; empty for the default one. */
  readonly declarations: ReadonlyMap<string, string>
  /** Where it begins in the document, where its name ends, and where it ends. */
  readonly range: { readonly document: string, readonly start: number, readonly nameEnd: number, end: number }
}

/**
 * The root element of a document. Its size is limited by the caller.
 * @throws malformed_xml if it is not well-formed, is neither UTF-8 nor UTF-16, has a DOCTYPE, is too deep, or
 * has too many elements, attributes or namespaces.
 */
export function parseXml (bytes: Buffer): XmlElement {
  try {
    return parse(decode(bytes))
  } catch (cause) {
    const { message } = cause as Error
    throw new Problem('malformed_xml', { detail: `The XML is malformed: ${message.slice(0, MAX_MESSAGE)}.`, cause })
  }
}

/** The text, with the line ends that XML demands (XML 1.0 section 2.11). */
function decode (bytes: Buffer): string {
  const encoding = BYTE_ORDER_MARKS[bytes.toString('hex', 0, 2)] ?? 'utf-8'
  return new TextDecoder(encoding, { fatal: true }).decode(bytes).replace(/\r\n?/g, '\n')
}

function parse (document: string): XmlElement {
  // XML 1.1 has characters that no answer could hold.
  const parser = new SaxesParser({ xmlns: true, defaultXMLVersion: '1.0', forceXMLVersion: true })
  const roots: XmlElement[] = []
  const open: XmlElement[] = []
  const counts = { elements: 0, attributes: 0, namespaces: 0 }
  const count = (what: keyof typeof counts) => {
    if (++counts[what] > LIMITS[what]) throw new Error(`there are more than ${LIMITS[what]} ${what}`)
  }
  const addText = (text: string) => {
    const innermost = open.at(-1)
    if (innermost !== undefined) innermost.text += text
  }
  parser.on('xmldecl', ({ encoding = 'utf-8' }) => {
    if (!/^utf-(?:8|16)$/i.test(encoding)) throw new Error('the encoding must be UTF-8 or UTF-16')
  })
  parser.on('doctype', () => { throw new Error('a DOCTYPE is not accepted') })
  parser.on('opentag', ({ name, uri: namespace, local, attributes }) => {
    count('elements')
    if (open.length === MAX_DEPTH) throw new Error(`there are more than ${MAX_DEPTH} elements in one another`)
    requireLocalName(name)
    const declarations = new Map<string, string>()
    for (const { name, prefix, local, value } of Object.values(attributes)) {
      count('attributes')
      requireLocalName(name)
      if (prefix !== 'xmlns' && name !== 'xmlns') continue
      count('namespaces')
      // As saxes does, without white space around it.
      declarations.set(name === 'xmlns' ? '' : local, value.trim())
    }
    // In a tag there is no other `<`.
    const start = document.lastIndexOf('<', parser.position - 1)
    const parent = open.at(-1)
    const range = { document, start, nameEnd: start + 1 + name.length, end: 0 }
    const language = attributes['xml:lang']?.value
    const element = { namespace, name: local, parent, children: [], text: '', language, declarations, range }
    const siblings = parent?.children ?? roots
    siblings.push(element)
    open.push(element)
  })
  parser.on('text', addText)
  parser.on('cdata', addText)
  parser.on('closetag', () => {
    const closed = open.pop() as XmlElement
    closed.range.end = parser.position
  })
  // Without a handler of errors, it throws them.
  parser.write(document).close()
  return roots[0] as XmlElement
}

function requireLocalName (name: string): void {
  if (BAD_LOCAL_NAME.test(name)) throw new Error(`malformed name: ${name}`)
}

/** Whether it is the element with this name in the namespace `DAV:`. */
export function is (element: XmlElement, name: string): boolean {
  return element.namespace === DAV && element.name === name
}

/** The first child with this name in the namespace `DAV:`. */
export function findChild (element: XmlElement, name: string): XmlElement | undefined {
  return element.children.find(child => is(child, name))
}

/**
 * An element as it was sent, which can stand in any document: the namespaces and the language that were in scope are
 * declared in it (RFC 4918 section 4.3). Undefined if that has more than `maxBytes`.
 */
export function standalone (
  { parent, language, declarations, range: { document, start, nameEnd, end } }: XmlElement, maxBytes: number
): string | undefined {
  const declared = new Set(declarations.keys())
  let scope = ''
  let inherited: string | undefined
  for (let outer = parent; outer !== undefined; outer = outer.parent) {
    inherited ??= outer.language
    for (const [prefix, namespace] of outer.declarations) {
      // Thousands of elements could share thousands of declarations.
      if (scope.length > maxBytes) return undefined
      if (declared.has(prefix)) continue
      declared.add(prefix)
      scope += ` xmlns${prefix === '' ? '' : `:${prefix}`}="${escapeXml(namespace)}"`
    }
  }
  if (language === undefined && inherited !== undefined) scope += ` xml:lang="${escapeXml(inherited)}"`
  if (end - start + scope.length > maxBytes) return undefined
  const xml = document.slice(start, nameEnd) + scope + document.slice(nameEnd, end)
  return Buffer.byteLength(xml) > maxBytes ? undefined : xml
}

const ESCAPED = /[<>&"\t\n\r]|[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu

/** Text or the value of an attribute. Characters that XML can't have become U+FFFD. */
export function escapeXml (text: string): string {
  return text.replace(ESCAPED, character => ENTITIES[character] ?? '\uFFFD')
}

const ENTITIES: Record<string, string> = {
  '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&quot;', '\t': '&#9;', '\n': '&#10;', '\r': '&#13;'
}
