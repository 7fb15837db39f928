import { SaxesParser } from 'saxes'
import type { PropertyName } from '../metadata/property-records.ts'
import { Problem } from '../problems.ts'

/** The namespace of everything in RFC 4918. */
export const DAV = 'DAV:'

/** Elements in one another at most. */
const MAX_DEPTH = 32

/** Elements of a document at most: each may be a property that is looked up, or that gets the namespaces in scope. */
const MAX_ELEMENTS = 500

/** Attributes of a document at most, with the declarations of namespaces. */
const MAX_ATTRIBUTES = 500

/** Namespaces that a document declares at most: each property gets those in its scope. */
const MAX_NAMESPACES = 200

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
  readonly children: readonly XmlElement[]
  /** The text directly in it, with that of CDATA sections. */
  readonly text: string
  /** Undefined without `xml:lang`. */
  readonly language: string | undefined
  /** The namespaces that it declares, by prefix; empty for the default one. */
  readonly declarations: ReadonlyMap<string, string>
  /** Where it begins in the document, where its name ends, and where it ends. */
  readonly place: Readonly<Place>
}

interface Place { readonly document: string, start: number, nameEnd: number, end: number }

interface OpenElement extends XmlElement {
  namespace: string
  name: string
  parent: XmlElement | undefined
  readonly children: XmlElement[]
  text: string
  language: string | undefined
  readonly declarations: Map<string, string>
  readonly place: Place
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
  const outermost = elementAt({ document, start: 0, nameEnd: 0, end: 0 })
  const open = [outermost]
  let begun = outermost
  const innermost = () => open.at(-1) as OpenElement
  const addText = (text: string) => { innermost().text += text }
  parser.on('xmldecl', ({ encoding = 'utf-8' }) => {
    if (!/^utf-(?:8|16)$/i.test(encoding)) throw new Error('the encoding must be UTF-8 or UTF-16')
  })
  parser.on('doctype', () => { throw new Error('a DOCTYPE is not accepted') })
  let elements = 0
  parser.on('opentagstart', ({ name }) => {
    if (++elements > MAX_ELEMENTS) throw new Error(`there are more than ${MAX_ELEMENTS} elements`)
    if (open.length > MAX_DEPTH) throw new Error(`there are more than ${MAX_DEPTH} elements in one another`)
    requireLocalName(name)
    const nameEnd = parser.position - 1
    begun = elementAt({ document, start: nameEnd - name.length - 1, nameEnd, end: nameEnd })
  })
  let attributes = 0
  let namespaces = 0
  parser.on('attribute', ({ name, prefix, local, value }) => {
    const isDeclaration = prefix === 'xmlns' || name === 'xmlns'
    if (++attributes > MAX_ATTRIBUTES) throw new Error(`there are more than ${MAX_ATTRIBUTES} attributes`)
    if (isDeclaration && ++namespaces > MAX_NAMESPACES) throw new Error(`there are more than ${MAX_NAMESPACES} namespaces`)
    requireLocalName(name)
    if (name === 'xml:lang') begun.language = value
    // As saxes does, without white space around it.
    if (isDeclaration) begun.declarations.set(prefix === '' ? '' : local, value.trim())
  })
  parser.on('opentag', ({ uri, local }) => {
    const parent = innermost()
    parent.children.push(begun)
    begun.namespace = uri
    begun.name = local
    begun.parent = parent
    open.push(begun)
  })
  parser.on('text', addText)
  parser.on('cdata', addText)
  parser.on('closetag', () => {
    innermost().place.end = parser.position
    open.pop()
  })
  // Without a handler of errors, it throws them.
  parser.write(document).close()
  return outermost.children[0] as XmlElement
}

function requireLocalName (name: string): void {
  if (BAD_LOCAL_NAME.test(name)) throw new Error(`malformed name: ${name}`)
}

function elementAt (place: Place): OpenElement {
  return {
    namespace: '', name: '', parent: undefined, children: [], text: '', language: undefined, declarations: new Map(), place
  }
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
  { parent, language, declarations, place: { document, start, nameEnd, end } }: XmlElement, maxBytes: number
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
