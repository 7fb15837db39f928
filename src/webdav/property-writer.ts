import { setImmediate } from 'node:timers/promises'
import type { HttpServices } from '../http/services.ts'
import { createCovering } from '../metadata/lock-guard.ts'
import type { Property, PropertyName } from '../metadata/property-records.ts'
import type { AccountRecord } from '../metadata/records.ts'
import type { PropertyQuery } from './bodies.ts'
import { isDead, keyOf, liveProperties, type LiveProperty } from './live-properties.ts'
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

/** A property in the response. An optional one is not mentioned if the resource has none. */
interface WantedProperty {
  readonly name: PropertyName
  readonly key: string
  /** Its element without content. */
  readonly empty: string
  readonly live: LiveProperty | undefined
  readonly isOptional: boolean
}

/**
 * Returns a function that writes a `DAV:multistatus` with the properties that a client wants, in pieces. Its pages are
 * of files or of folders.
 */
export async function createPropertyWriter (
  query: PropertyQuery, target: Target, { account, space, metadata }: { account: AccountRecord } & HttpServices
): Promise<(pages: AsyncIterable<Resource[]> | Iterable<Resource[]>) => AsyncGenerator<string>> {
  const { form, names } = query
  const elements = new PropertyElements(names)
  const wanted = wantedOf(query, elements)
  const needs = new Set(wanted.map(({ live }) => live?.needs))
  const usage = needs.has('usage') ? await space.usageOf(account) : undefined
  const wantsDead = form !== 'prop' || names.some(name => isDead(name, { file: undefined }))
  const hrefAt = (path: string) => hrefOf(path, target)

  async function responsesOf (some: readonly Resource[]): Promise<string[]> {
    const dead = wantsDead ? await findDead(some) : new Map<number, readonly Property[]>()
    const paths = some.map(({ path }) => path)
    const locksOf = createCovering(needs.has('locks') ? await metadata.locks.listFor(account, paths) : [])
    return some.map(resource => {
      const properties = new Map(dead.get(resource.id)?.map(property => [keyOf(property), property]))
      let found = ''
      let missing = ''
      for (const { name, key, empty, live, isOptional } of wanted) {
        const value = live?.valueOf(resource, { usage, locksOf, hrefOf: hrefAt })
        if (value !== undefined) found += form === 'propname' ? empty : elements.element(name, value)
        else if (form === 'prop' && properties.has(key)) found += properties.get(key)?.xml
        else if (!isOptional && !properties.has(key)) missing += empty
      }
      if (form !== 'prop') {
        for (const property of properties.values()) {
          found += form === 'propname' ? elements.element(property) : property.xml
        }
      }
      const known = found === '' && missing !== '' ? '' : propstat(200, found)
      const unknown = missing === '' ? '' : propstat(404, missing)
      return response(hrefAt(resource.path) + (resource.file === undefined ? '/' : ''), known + unknown)
    })
  }

  function findDead (some: readonly Resource[]): Promise<Map<number, readonly Property[]>> {
    const ids = some.map(({ id }) => id)
    const { properties } = metadata
    return some[0]?.file === undefined ? properties.ofFolders(account.id, ids) : properties.ofFiles(account.id, ids)
  }

  return async function * (pages) {
    let text = elements.begin
    for await (const page of pages) {
      for (let index = 0; index < page.length; index += SOME) {
        await takeTurn()
        for (const written of await responsesOf(page.slice(index, index + SOME))) {
          text += written
          if (text.length < PIECE) continue
          yield text
          text = ''
          await takeTurn()
        }
      }
    }
    yield text + MULTISTATUS_END
  }
}

function wantedOf ({ form, names }: PropertyQuery, elements: PropertyElements): WantedProperty[] {
  const wanted = new Map<string, WantedProperty>()
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
