import { ConfigError } from '../problems.ts'

/** A bucket of an S3-compatible store. */
export interface StorageUrl {
  readonly bucket: string
  /** Before the name of each object. Ends with a slash unless it is empty. */
  readonly prefix: string
  /** Undefined for Amazon's own. */
  readonly endpoint: string | undefined
  /** Undefined for the one that the environment or a file of the AWS SDK names. */
  readonly region: string | undefined
  /** The bucket is named in the path of a request, not in its host. */
  readonly isPathStyle: boolean
}

const EXPECTED = 'expected s3://bucket/prefix?endpoint=https://s3.example.org&region=eu-central-1, without credentials'

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/

/** Characters that no S3-compatible store treats in a way of its own. A key may have 1,024 bytes. */
const PREFIX = /^(?:[A-Za-z0-9_-][A-Za-z0-9._-]*\/)*$/
const MAX_PREFIX_LENGTH = 512

const PARAMETERS = new Set(['endpoint', 'region', 'pathStyle'])

/**
 * Reads STORAGE_URL. Other stores than Amazon's have the bucket in the path, unless `pathStyle=false`.
 * @throws {ConfigError}.
 */
export function parseStorageUrl (text: string): StorageUrl {
  // The value is not shown: it may contain a secret.
  const expect = (isTrue: boolean) => { if (!isTrue) throw new ConfigError(`STORAGE_URL: ${EXPECTED}`) }
  expect(URL.canParse(text))
  const { protocol, username, password, host, pathname, searchParams, hash } = new URL(text)
  expect(protocol === 's3:' && username === '' && password === '' && hash === '' && BUCKET.test(host))
  const prefix = `${pathname.replace(/^\/|\/$/g, '')}/`.replace(/^\/$/, '')
  expect(PREFIX.test(prefix) && prefix.length <= MAX_PREFIX_LENGTH)
  const names = Array.from(searchParams.keys())
  expect(names.every(name => PARAMETERS.has(name)) && new Set(names).size === names.length)
  const endpoint = searchParams.get('endpoint') ?? undefined
  expect(endpoint === undefined || isOrigin(endpoint))
  const region = searchParams.get('region') ?? undefined
  expect(region === undefined || /^[a-z0-9-]{1,64}$/i.test(region))
  const pathStyle = searchParams.get('pathStyle') ?? String(endpoint !== undefined)
  expect(pathStyle === 'true' || pathStyle === 'false')
  return { bucket: host, prefix, endpoint, region, isPathStyle: pathStyle === 'true' }
}

function isOrigin (text: string): boolean {
  return /^https?:\/\/[^/?#\s@]+\/?$/.test(text) && URL.canParse(text)
}
