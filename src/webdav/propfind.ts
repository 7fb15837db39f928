import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { filePages, folderPages } from '../files/pages.ts'
import type { HttpServices } from '../http/services.ts'
import { createCovering } from '../metadata/lock-guard.ts'
import type { Property, PropertyName } from '../metadata/property-records.ts'
import { Problem } from '../problems.ts'
import { propfindOf, type PropertyQuery, readXml } from './bodies.ts'
import { depthOf } from './headers.ts'
import { isDead, keyOf, liveProperties, type LiveProperty } from './live-properties.ts'
import { MULTISTATUS_END, PropertyElements, propstat, response, XML_TYPE } from './multistatus.ts'
import { type DavRequest, hrefOf } from './paths.ts'
import { type DavResource, fileResource, folderResource, getResource } from './resource.ts'

/** Answers `PROPFIND` (RFC 4918 section 9.1), as a stream: a folder can have any number of members. */
export async function propfind (
  { context, request, reply, owner, target }: DavRequest, takeTurn: TakeTurn
): Promise<Readable> {
  const query = propfindOf(await readXml(request))
  const depth = depthOf(request, ['0', '1', 'infinity'])
  if (depth === 'infinity') throw new Problem('depth_infinite')
  const resource = await getResource(context, owner, target)
  const write = await createPropertyWriter(query, { context, owner, target, takeTurn })
  reply.code(207).header('content-type', XML_TYPE)
  const pages = depth === '1' && resource.file === undefined ? withMembers(resource, owner.id, context) : [[resource]]
  return Readable.from(write(pages), { objectMode: false })
}

async function * withMembers (
  folder: DavResource, ownerId: number, { metadata }: HttpServices
): AsyncGenerator<DavResource[]> {
  yield [folder]
  for await (const page of filePages(metadata, ownerId, folder.path)) yield page.map(fileResource)
  for await (const page of folderPages(metadata, ownerId, folder.path)) yield page.map(folderResource)
}

/** Characters that are written at once. */
const PIECE = 32 * 1024

/** Resources whose locks and dead properties are read at once: each can have 16 KiB of these. */
const LOOKUP_BATCH = 50

type TakeTurn = () => Promise<void>

/**
 * Returns a function that resolves in a turn of the event loop that none of its other callers has: so other requests
 * never wait for all listings.
 */
export function createTurns (): TakeTurn {
  let last = Promise.resolve()
  return () => {
    last = last.then(() => setImmediate())
    return last
  }
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
async function createPropertyWriter (
  query: PropertyQuery,
  { context: { space, metadata }, owner, target, takeTurn }:
  Pick<DavRequest, 'context' | 'owner' | 'target'> & { takeTurn: TakeTurn }
): Promise<(pages: AsyncIterable<DavResource[]> | Iterable<DavResource[]>) => AsyncGenerator<string>> {
  const { form, names } = query
  const elements = new PropertyElements(names)
  const wanted = wantedOf(query, elements)
  const needs = new Set(wanted.map(({ live }) => live?.needs))
  const usage = needs.has('usage') ? await space.usageOf(owner) : undefined
  const wantsDead = form !== 'prop' || names.some(name => isDead(name, { file: undefined }))
  const hrefAt = (path: string) => hrefOf(path, target)

  async function responsesOf (some: readonly DavResource[]): Promise<string[]> {
    const dead = wantsDead ? await findDead(some) : new Map<number, readonly Property[]>()
    const paths = some.map(({ path }) => path)
    const locksOf = createCovering(needs.has('locks') ? await metadata.locks.listFor(owner, paths) : [])
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

  function findDead (some: readonly DavResource[]): Promise<Map<number, readonly Property[]>> {
    const ids = some.map(({ id }) => id)
    const { properties } = metadata
    return some[0]?.file === undefined ? properties.ofFolders(owner.id, ids) : properties.ofFiles(owner.id, ids)
  }

  return async function * (pages) {
    let text = elements.begin
    for await (const page of pages) {
      for (let index = 0; index < page.length; index += LOOKUP_BATCH) {
        await takeTurn()
        for (const written of await responsesOf(page.slice(index, index + LOOKUP_BATCH))) {
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
