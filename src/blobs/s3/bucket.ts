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

/** One bucket, and the names of the objects in it. */
export class Bucket {
  readonly name: string
  readonly prefix: string
  /** For errors: bucket and endpoint, without secrets. */
  readonly place: string
  /** How long a download waits for a byte. */
  readonly idleMilliseconds: number
  /** For everything else. A request fails after `idleMilliseconds` without a byte in either direction. */
  readonly requests: S3Client
  /** For responses that are read as fast as a client takes them. Each begins within `idleMilliseconds`. */
  readonly downloads: S3Client
  /** Where uploads collect their parts. */
  readonly partMemory: PartMemory

  constructor ({ url, idleMilliseconds, partMemoryBytes }: BucketOptions) {
    const { bucket, prefix, endpoint } = url
    this.name = bucket
    this.prefix = prefix
    this.place = `bucket ${bucket}${endpoint === undefined ? '' : ` at ${endpoint}`}`
    this.idleMilliseconds = idleMilliseconds
    this.requests = createClient(url, { maxSockets: MAX_REQUESTS, socketTimeout: idleMilliseconds })
    this.downloads = createClient(url, { maxSockets: MAX_DOWNLOADS, requestTimeout: idleMilliseconds })
    this.partMemory = new PartMemory(partMemoryBytes, MEMORY_WAITS * idleMilliseconds)
  }

  keyOf (id: string): string {
    return `${this.prefix}${id.slice(0, 2)}/${id}`
  }

  /** The id in the name of an object with the prefix; undefined if it is no blob. */
  idOf (key: string): string | undefined {
    return BLOB_KEY.exec(key.slice(this.prefix.length))?.[2]
  }

  /** The start of the names of objects with the last bytes of drafts: of one, or of all. */
  tailPrefix (id?: string): string {
    return `${this.prefix}drafts/${id === undefined ? '' : `${id}-`}`
  }

  /**
   * Sends requests that remove what a failed upload left. What they can't remove in `idleMilliseconds` is removed when
   * the lease of the blob has run out.
   */
  async tryCleanup (...commands: (AbortMultipartUploadCommand | DeleteObjectCommand)[]): Promise<void> {
    const abortSignal = AbortSignal.timeout(this.idleMilliseconds)
    for (const command of commands as DeleteObjectCommand[]) {
      await this.requests.send(command, { abortSignal }).catch(() => {})
    }
  }

  /** Calls `observer` after every attempt of a request from now on. */
  watch (observer: RequestObserver): void {
    watchClient(this.requests, observer)
    watchClient(this.downloads, observer)
  }

  close (): void {
    this.requests.destroy()
    this.downloads.destroy()
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
