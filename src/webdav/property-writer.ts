import type { HttpServices } from '../http/services.ts'
import { setImmediate } from 'node:timers/promises'
import { createCovering } from '../metadata/lock-guard.ts'
import type { Property, PropertyName } from '../metadata/property-records.ts'
import type { AccountRecord } from '../metadata/records.ts'
import type { PropertyQuery } from './bodies.ts'
import { isDead, keyOf, liveProperties, type LiveProperty, type PropertySources } from './live-properties.ts'
import { MULTISTATUS_END, PropertyElements, propstat, response } from './multistatus.ts'
import { hrefOf, type Target } from './paths.ts'
import type { Resource } from './resource.ts'

/** Characters that are written at once. */
const PIECE = 32 * 1024

/** Resources whose locks and dead properties are read at once: each can have 16 KiB of these. */
const SOME = 50

let lastTurn = Promise.resolve()

/** Resolves in a turn of the event loop that no other listing has, however many there are: so nobody waits for all. */
function takeTurn (): Promise<void> {
  lastTurn = lastTurn.then(() => setImmediate())
  return lastTurn
}

/** Who asks, and with which URL. */
interface Asked { readonly context: HttpServices, readonly account: AccountRecord, readonly target: Target }

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
  readonly sources: Omit<PropertySources, 'locksOf'>
  readonly needsLocks: boolean
}

/** Writes the properties of resources that a client wants. */
export class PropertyWriter {
  readonly #query: PropertyQuery
  readonly #asked: Asked
  readonly #answer: Answer

  private constructor (query: PropertyQuery, asked: Asked, answer: Answer) {
    this.#query = query
    this.#asked = asked
    this.#answer = answer
  }

  /** Reads what the values are made of, if one needs it. */
  static async open (query: PropertyQuery, asked: Asked): Promise<PropertyWriter> {
    const { context: { space }, account, target } = asked
    const elements = new PropertyElements(query.names)
    const wanted = wantedOf(query, elements)
    const needs = new Set(wanted.map(({ live }) => live?.needs))
    const sources = {
      usage: needs.has('usage') ? await space.usageOf(account) : undefined,
      hrefOf: (path: string) => hrefOf(path, target)
    }
    return new PropertyWriter(query, asked, { elements, wanted, sources, needsLocks: needs.has('locks') })
  }

  /** A `DAV:multistatus` in pieces. A page is of files or of folders. */
  async * write (pages: AsyncIterable<Resource[]> | Iterable<Resource[]>): AsyncGenerator<string> {
    let text = this.#answer.elements.begin
    for await (const page of pages) {
      for (let index = 0; index < page.length; index += SOME) {
        await takeTurn()
        const some = page.slice(index, index + SOME)
        const dead = await this.#findDead(some)
        const sources = { ...this.#answer.sources, locksOf: await this.#findLocks(some) }
        for (const resource of some) {
          text += this.#response(resource, dead.get(resource.id), sources)
          if (text.length < PIECE) continue
          yield text
          text = ''
          await takeTurn()
        }
      }
    }
    yield text + MULTISTATUS_END
  }

  async #findDead (some: readonly Resource[]): Promise<Map<number, readonly Property[]>> {
    const { context: { metadata: { properties } }, account } = this.#asked
    const isAsked = this.#query.form !== 'prop' || this.#query.names.some(name => isDead(name, { file: undefined }))
    if (!isAsked) return new Map()
    const ids = some.map(({ id }) => id)
    return some[0]?.file === undefined ? properties.ofFolders(account.id, ids) : properties.ofFiles(account.id, ids)
  }

  async #findLocks (some: readonly Resource[]): Promise<PropertySources['locksOf']> {
    const { context: { metadata: { locks } }, account } = this.#asked
    return createCovering(this.#answer.needsLocks ? await locks.listFor(account, some.map(({ path }) => path)) : [])
  }

  #response (resource: Resource, properties: readonly Property[] = [], sources: PropertySources): string {
    const { form } = this.#query
    const { elements, wanted } = this.#answer
    const dead = new Map(properties.map(property => [keyOf(property), property]))
    let found = ''
    let missing = ''
    for (const { name, key, empty, live, isOptional } of wanted) {
      const value = live?.valueOf(resource, sources)
      if (value !== undefined) found += form === 'propname' ? empty : elements.element(name, value)
      else if (form === 'prop' && dead.has(key)) found += dead.get(key)?.xml
      else if (!isOptional && !dead.has(key)) missing += empty
    }
    if (form !== 'prop') {
      for (const property of dead.values()) found += form === 'propname' ? elements.element(property) : property.xml
    }
    const href = sources.hrefOf(resource.path) + (resource.file === undefined ? '/' : '')
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
