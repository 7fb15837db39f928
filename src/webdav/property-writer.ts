import { setImmediate } from 'node:timers/promises'
import { covers } from '../metadata/lock-guard.ts'
import type { Property, PropertyName } from '../metadata/properties.ts'
import type { AccountRecord } from '../metadata/records.ts'
import type { PropertyQuery } from './bodies.ts'
import type { DavContext } from './context.ts'
import { isDead, keyOf, liveProperties, type LiveProperty, type PropertySources } from './live-properties.ts'
import { MULTISTATUS_END, PropertyElements, propstat, response } from './multistatus.ts'
import { hrefOf, type Target } from './paths.ts'
import type { Resource } from './resource.ts'

/** Characters that are written at once. */
const PIECE = 64 * 1024

/** Who asks, and with which URL. */
interface Asked { readonly context: DavContext, readonly account: AccountRecord, readonly target: Target }

/** A property in the response. An optional one is not mentioned if the resource has none. */
interface Wanted {
  readonly name: PropertyName
  readonly key: string
  /** Its element without content. */
  readonly empty: string
  readonly live: LiveProperty | undefined
  readonly isOptional: boolean
}

/** What is the same for all resources of an answer. */
interface Answer {
  readonly elements: PropertyElements
  readonly wanted: readonly Wanted[]
  readonly sources: PropertySources
}

/** Writes the properties of resources that a client wants. */
export class PropertyWriter {
  readonly #query: PropertyQuery
  readonly #wanted: readonly Wanted[]
  readonly #elements: PropertyElements
  readonly #asked: Asked
  readonly #sources: PropertySources

  private constructor (query: PropertyQuery, asked: Asked, answer: Answer) {
    this.#query = query
    this.#asked = asked
    this.#elements = answer.elements
    this.#wanted = answer.wanted
    this.#sources = answer.sources
  }

  /** Reads what the values are made of, if one needs it. */
  static async open (query: PropertyQuery, asked: Asked): Promise<PropertyWriter> {
    const { context: { quotas, locks }, account, target } = asked
    const elements = new PropertyElements(query.names)
    const wanted = wantedOf(query, elements)
    const needs = new Set(wanted.map(({ live }) => live?.needs))
    const usage = needs.has('usage') ? await quotas.usageOf(account) : undefined
    const known = needs.has('locks') ? await locks.list(account.id) : []
    const sources: PropertySources = {
      usage,
      locksOf: path => known.filter(lock => covers(lock, path)),
      hrefOf: path => hrefOf(path, target)
    }
    return new PropertyWriter(query, asked, { elements, wanted, sources })
  }

  /** A `DAV:multistatus` in pieces. A page is of files or of folders. */
  async * write (pages: AsyncIterable<Resource[]> | Iterable<Resource[]>): AsyncGenerator<string> {
    let text = this.#elements.begin
    for await (const page of pages) {
      const dead = await this.#findDead(page)
      for (const resource of page) {
        text += this.#response(resource, dead.get(resource.id))
        if (text.length < PIECE) continue
        yield text
        text = ''
        // Others have their turn: the response may be as large as the folder.
        await setImmediate()
      }
    }
    yield text + MULTISTATUS_END
  }

  async #findDead (page: readonly Resource[]): Promise<Map<number, readonly Property[]>> {
    const { context: { properties }, account } = this.#asked
    const isAsked = this.#query.form !== 'prop' || this.#query.names.some(name => isDead(name, { file: undefined }))
    const [first] = page
    if (first === undefined || !isAsked) return new Map()
    const ids = page.map(({ id }) => id)
    return first.file === undefined ? properties.ofFolders(account.id, ids) : properties.ofFiles(account.id, ids)
  }

  #response (resource: Resource, properties: readonly Property[] = []): string {
    const { form } = this.#query
    const dead = new Map(properties.map(property => [keyOf(property), property]))
    let found = ''
    let missing = ''
    for (const { name, key, empty, live, isOptional } of this.#wanted) {
      const value = live?.valueOf(resource, this.#sources)
      if (value !== undefined) found += form === 'propname' ? empty : this.#elements.element(name, value)
      else if (form === 'prop' && dead.has(key)) found += dead.get(key)?.xml
      else if (!isOptional && !dead.has(key)) missing += empty
    }
    if (form !== 'prop') {
      for (const property of dead.values()) found += form === 'propname' ? this.#elements.element(property) : property.xml
    }
    const href = this.#sources.hrefOf(resource.path) + (resource.file === undefined ? '/' : '')
    const known = found === '' && missing !== '' ? '' : propstat(200, found)
    const unknown = missing === '' ? '' : propstat(404, missing)
    return response(href, known + unknown)
  }
}

function wantedOf ({ form, names }: PropertyQuery, elements: PropertyElements): Wanted[] {
  const wanted = new Map<string, Wanted>()
  const add = (name: PropertyName, isOptional: boolean) => {
    const key = keyOf(name)
    if (wanted.has(key)) return
    wanted.set(key, { name, key, empty: elements.element(name), live: liveProperties.get(key), isOptional })
  }
  if (form !== 'prop') {
    for (const property of liveProperties.values()) {
      if (form === 'propname' || property.isExtra !== true) add(property, true)
    }
  }
  for (const name of names) add(name, false)
  return Array.from(wanted.values())
}
