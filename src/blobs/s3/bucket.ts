import { type AbortMultipartUploadCommand, type DeleteObjectCommand, S3Client } from '@aws-sdk/client-s3'
import type { StorageUrl } from '../../config/storage-url.ts'
import type { RequestObserver } from '../../monitoring/request-observer.ts'
import { outcomeOf } from './failures.ts'
import { PartMemory } from './part-memory.ts'

/** How long a connection may take, including the wait for a free one. */
const CONNECT_MILLISECONDS = 5000

/** Requests that run at the same time; more have to wait. */
const MAX_REQUESTS = 64

/**
 * A download holds its connection until its client has read it all: with a high limit, slow clients do not block
 * others.
 */
const MAX_DOWNLOADS = 1024

/** A request is sent up to three times, with an exponential delay. Each one can be repeated: its body is in memory. */
const MAX_ATTEMPTS = 3

/** How long an upload waits for memory, in idle times of the bucket: it ends before the idle client is cut. */
const MEMORY_WAITS = 3

const BLOB_KEY = /^([0-9a-f]{2})\/(\1[0-9a-f]{30})$/

interface BucketOptions {
  readonly url: StorageUrl
  readonly idleMilliseconds: number
  readonly partMemoryBytes: number
}

export type Bucket = ReturnType<typeof createBucket>

/** One bucket, and the names of the objects in it. */
export function createBucket ({ url, idleMilliseconds, partMemoryBytes }: BucketOptions) {
  const { bucket: name, prefix, endpoint } = url
  /** A request fails after `idleMilliseconds` without a byte in either direction. */
  const requests = createClient(url, { maxSockets: MAX_REQUESTS, socketTimeout: idleMilliseconds })
  /** For responses that are read as fast as a client takes them. Each begins within `idleMilliseconds`. */
  const downloads = createClient(url, { maxSockets: MAX_DOWNLOADS, requestTimeout: idleMilliseconds })

  return {
    name,
    prefix,
    /** For errors: bucket and endpoint, without secrets. */
    place: `bucket ${name}${endpoint === undefined ? '' : ` at ${endpoint}`}`,
    /** How long a download waits for a byte. */
    idleMilliseconds,
    /** For everything but downloads. */
    requests,
    downloads,
    /** Where uploads collect their parts. */
    partMemory: new PartMemory(partMemoryBytes, MEMORY_WAITS * idleMilliseconds),

    /** What names an object in a request. */
    at: (key: string) => ({ Bucket: name, Key: key }),

    keyOf: (id: string) => `${prefix}${id.slice(0, 2)}/${id}`,

    /** The id in the name of an object with the prefix; undefined if it is no blob. */
    idOf: (key: string) => BLOB_KEY.exec(key.slice(prefix.length))?.[2],

    /** The start of the names of objects with the last bytes of drafts: of one, or of all. */
    tailPrefix: (id?: string) => `${prefix}drafts/${id === undefined ? '' : `${id}-`}`,

    /**
     * Sends requests that remove what a failed upload left. What they can't remove in `idleMilliseconds` is removed
     * when the lease of the blob has run out.
     */
    async tryCleanup (...commands: (AbortMultipartUploadCommand | DeleteObjectCommand)[]): Promise<void> {
      const abortSignal = AbortSignal.timeout(idleMilliseconds)
      for (const command of commands as DeleteObjectCommand[]) {
        await requests.send(command, { abortSignal }).catch(() => {})
      }
    },

    /** Calls `observer` after every attempt of a request from now on. */
    watch: (observer: RequestObserver): void => {
      for (const client of [requests, downloads]) watchClient(client, observer)
    },

    close (): void {
      for (const client of [requests, downloads]) client.destroy()
    }
  }
}

interface Limits { readonly maxSockets: number, readonly socketTimeout?: number, readonly requestTimeout?: number }

function createClient ({ endpoint, region, isPathStyle }: StorageUrl, { maxSockets, ...timeouts }: Limits): S3Client {
  return new S3Client({
    ...(endpoint !== undefined && { endpoint }),
    ...(region !== undefined && { region }),
    forcePathStyle: isPathStyle,
    maxAttempts: MAX_ATTEMPTS,
    // The payload hash in the signature covers each body. Many S3-compatible stores know no other checksum.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: CONNECT_MILLISECONDS,
      throwOnRequestTimeout: true,
      httpAgent: { maxSockets },
      httpsAgent: { maxSockets },
      ...timeouts
    }
  })
}

function watchClient (client: S3Client, observer: RequestObserver): void {
  // The outermost middleware of this step sees each attempt, and the error that its answer becomes.
  client.middlewareStack.add((next, { commandName }) => async args => {
    const start = performance.now()
    const end = (error?: unknown) => observer({
      operation: String(commandName).replace(/Command$/, ''),
      outcome: outcomeOf(error),
      seconds: (performance.now() - start) / 1000
    })
    try {
      const output = await next(args)
      end()
      return output
    } catch (error) {
      end(error)
      throw error
    }
  }, { step: 'deserialize', priority: 'high' })
}
