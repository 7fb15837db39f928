import { type AbortMultipartUploadCommand, type DeleteObjectCommand, S3Client } from '@aws-sdk/client-s3'
import type { StorageUrl } from '../../config/storage-url.ts'
import type { RequestObserver } from '../../monitoring/request-observer.ts'
import { outcomeOf } from './failures.ts'
import { PartMemory } from './part-memory.ts'

/** How long a connection may take, including the wait for a free one. */
const CONNECT_MILLISECONDS = 5000

/** Requests that run at the same time; more have to wait. */
const MAX_REQUESTS = 64

/** A download holds its connection until its client has read everything: a high limit, so that slow clients do not block others. */
const MAX_DOWNLOADS = 1024

/** A request is sent up to three times, with an exponential delay. Each one can be repeated: its body is in memory. */
const MAX_ATTEMPTS = 3

/** One bucket, and the names of the objects in it. */
export interface Bucket {
  readonly name: string
  readonly prefix: string
  /** For errors: bucket and endpoint, without secrets. */
  readonly place: string
  /** How long a download waits for a byte. */
  readonly idleMilliseconds: number
  /** For everything but downloads. A request fails after `idleMilliseconds` without a byte in either direction. */
  readonly requests: S3Client
  /** For requests whose response is read as fast as a client takes it. The start of the response is due in `idleMilliseconds`. */
  readonly downloads: S3Client
  /** Where uploads collect their parts. */
  readonly partMemory: PartMemory
  readonly keyOf: (id: string) => string
  /** The id in the name of an object with the prefix; undefined if it is no blob. */
  readonly idOf: (key: string) => string | undefined
  /** The start of the names of objects with the last bytes of drafts: of one, or of all. */
  readonly tailPrefix: (id?: string) => string
  /**
   * Sends requests that remove what a failed upload left. What they can't remove in `idleMilliseconds` is removed when the
   * lease of the blob has run out.
   */
  readonly tryCleanup: (...commands: (AbortMultipartUploadCommand | DeleteObjectCommand)[]) => Promise<void>
  /** Calls `observer` after every attempt of a request from now on. */
  readonly watch: (observer: RequestObserver) => void
  readonly close: () => void
}

/** How long an upload waits for memory, in idle times of the bucket: it ends before the idle client is cut. */
const MEMORY_WAITS = 3

interface BucketOptions {
  readonly url: StorageUrl
  readonly idleMilliseconds: number
  readonly partMemoryBytes: number
}

export function openBucket ({ url: { bucket, prefix, endpoint, region, isPathStyle }, idleMilliseconds, partMemoryBytes }: BucketOptions): Bucket {
  const clientOf = (maxSockets: number, timeouts: { socketTimeout?: number, requestTimeout?: number }) => new S3Client({
    ...(endpoint !== undefined && { endpoint }),
    ...(region !== undefined && { region }),
    forcePathStyle: isPathStyle,
    maxAttempts: MAX_ATTEMPTS,
    // The payload hash in the signature covers each body that is sent. Other checksums are unknown to many S3-compatible stores.
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
  const requests = clientOf(MAX_REQUESTS, { socketTimeout: idleMilliseconds })
  const downloads = clientOf(MAX_DOWNLOADS, { requestTimeout: idleMilliseconds })
  const blobKey = /^([0-9a-f]{2})\/(\1[0-9a-f]{30})$/
  return {
    name: bucket,
    prefix,
    place: `bucket ${bucket}${endpoint === undefined ? '' : ` at ${endpoint}`}`,
    idleMilliseconds,
    requests,
    downloads,
    partMemory: new PartMemory(partMemoryBytes, MEMORY_WAITS * idleMilliseconds),
    keyOf: id => `${prefix}${id.slice(0, 2)}/${id}`,
    idOf: key => blobKey.exec(key.slice(prefix.length))?.[2],
    tailPrefix: id => `${prefix}drafts/${id === undefined ? '' : `${id}-`}`,
    async tryCleanup (...commands) {
      const abortSignal = AbortSignal.timeout(idleMilliseconds)
      for (const command of commands) await requests.send(command as DeleteObjectCommand, { abortSignal }).catch(() => {})
    },
    watch (observer) {
      watchClient(requests, observer)
      watchClient(downloads, observer)
    },
    close () {
      requests.destroy()
      downloads.destroy()
    }
  }
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
