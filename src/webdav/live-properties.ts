import type { Space } from '../files/space.ts'
import { dateOf } from '../http/wire-values.ts'
import type { LockRecord } from '../metadata/lock-records.ts'
import { splitPath } from '../metadata/paths.ts'
import { entityTag, parseDate, seconds } from '../metadata/preconditions.ts'
import type { PropertyName } from '../metadata/property-records.ts'
import type { FileRecord } from '../metadata/records.ts'
import { parseSeconds } from '../uploads/modified-time.ts'
import { activeLocks, SUPPORTED_LOCKS } from './lock-xml.ts'
import type { DavResource } from './resource.ts'
import { DAV, escapeXml } from './xml.ts'

/** What values are made of, beside the resource. It is read only if a property needs it. */
interface PropertySources {
  readonly usage: Awaited<ReturnType<Space['usageOf']>> | undefined
  /** The locks of a resource, with those of the folders above. */
  readonly locksOf: (path: string) => readonly LockRecord[]
  readonly hrefOf: (path: string) => string
}

/** A property that the server computes (RFC 4918 section 15). */
export interface LiveProperty {
  /** Its content as XML; undefined if the resource has no such property. */
  readonly valueOf: (resource: DavResource, sources: PropertySources) => string | undefined
  /** Whether `DAV:allprop` leaves it out. */
  readonly isExtra?: boolean
  readonly needs?: 'usage' | 'locks'
  /** The time of the content, in milliseconds, that a client sets by it; undefined if the value is malformed. */
  readonly parseTime?: (text: string) => number | undefined
}

/** The namespace of what Explorer sets. */
const MICROSOFT = 'urn:schemas-microsoft-com:'

/** By namespace and name. */
const LIVE: Record<string, Record<string, LiveProperty>> = {
  [DAV]: {
    creationdate: { valueOf: ({ createdAt }) => dateOf(createdAt) },
    displayname: { valueOf: ({ path }) => escapeXml(splitPath(path).name) },
    getcontentlength: { valueOf: ({ file }) => file && String(file.size) },
    getcontenttype: { valueOf: ({ file }) => file && escapeXml(file.type) },
    getetag: { valueOf: ({ file }) => file && escapeXml(entityTag(file.sha256)) },
    getlastmodified: {
      // The client's time as it is, or else one that is never later than now, as `Last-Modified` of a download.
      valueOf: ({ file, createdAt }) =>
        httpDate(file?.modifiedAt ?? Math.min(file?.updatedAt ?? createdAt, Date.now())),
      parseTime: parseHttpDate
    },
    resourcetype: { valueOf: ({ file }) => file === undefined ? '<D:collection/>' : '' },
    // The root can't be locked.
    supportedlock: { valueOf: ({ path }) => path === '' ? '' : SUPPORTED_LOCKS },
    lockdiscovery: {
      needs: 'locks', valueOf: ({ path }, { locksOf, hrefOf }) => activeLocks(locksOf(path), hrefOf)
    },
    'quota-used-bytes': {
      isExtra: true, needs: 'usage', valueOf: (_, { usage }) => usage && String(usage.bytes + usage.uploadBytes)
    },
    'quota-available-bytes': { isExtra: true, needs: 'usage', valueOf: availableBytes },
    // For rclone.
    lastmodified: {
      isExtra: true, valueOf: ({ file }) => ofTime(file, time => String(seconds(time))), parseTime: parseSeconds
    }
  },
  [MICROSOFT]: {
    Win32LastModifiedTime: {
      isExtra: true, valueOf: ({ file }) => ofTime(file, httpDate), parseTime: parseHttpDate
    }
  }
}

/** All live properties, by their keys. */
export const liveProperties: ReadonlyMap<string, PropertyName & LiveProperty> = new Map(
  Object.entries(LIVE).flatMap(([namespace, properties]) => Object.entries(properties).map(([name, property]) =>
    [keyOf({ namespace, name }), { namespace, name, ...property }]))
)

/** The key of a name in a map: no name has a space. */
export function keyOf ({ namespace, name }: PropertyName): string {
  return `${name} ${namespace}`
}

/** Whether a property of a resource is dead: the server only keeps it. On folders those of Explorer are, too. */
export function isDead (property: PropertyName, { file }: Pick<DavResource, 'file'>): boolean {
  return !liveProperties.has(keyOf(property)) || (file === undefined && property.namespace === MICROSOFT)
}

function httpDate (time: number): string {
  return new Date(time).toUTCString()
}

function parseHttpDate (text: string): number | undefined {
  const time = parseDate(text)
  return time === undefined ? undefined : time * 1000
}

/** The client's time of a file, if it is known. */
function ofTime (file: FileRecord | undefined, write: (time: number) => string): string | undefined {
  return typeof file?.modifiedAt === 'number' ? write(file.modifiedAt) : undefined
}

/** RFC 4331 section 3. */
function availableBytes (_: DavResource, { usage }: PropertySources): string | undefined {
  if (usage === undefined || usage.quotaBytes === null) return undefined
  return String(Math.max(usage.quotaBytes - usage.bytes - usage.uploadBytes, 0))
}
