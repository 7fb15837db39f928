// Not `@fastify/under-pressure`: its histogram wakes an idle process 100 times a second (6 ms of CPU time a second
// instead of 0.3), and it does not measure buffers, which MAX_MEMORY_BYTES also limits.

import { getHeapStatistics } from 'node:v8'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../config.ts'
import { Problem } from '../problems.ts'

/** Answered even under overload. */
export const LIVENESS_PATH = '/health/live'

const SAMPLE_MILLISECONDS = 1000

/** The delay is averaged over two seconds: a single stall that has already ended refuses nothing. */
const SAMPLES = 2

const RETRY_SECONDS = 3

/**
 * With so few requests in progress, of at most 2 MiB each on a disk and 20 MiB with a bucket, most memory above the
 * limit is garbage, which V8 collects only for further requests: a server that refused them all recovered after 100 s.
 */
const FEW_REQUESTS = 16

/**
 * Refuses new requests while the mean delay of the event loop or the memory in use is above its limit, of which 0 is
 * none; requests in progress complete.
 */
export function shedLoad (
  app: FastifyInstance, { maxEventLoopDelayMilliseconds, maxMemoryBytes }: Config, countInProgress: () => number
): void {
  const delays = new Array<number>(SAMPLES).fill(0)
  let isLate = false
  let isFull = false
  let timer: NodeJS.Timeout | undefined

  // Not earlier: the first sample would include the start.
  app.addHook('onListen', async () => {
    timer = setInterval(() => {
      const began = performance.now()
      // Two immediates span one turn of the event loop, which is how long a new request waits.
      setImmediate(() => setImmediate(() => {
        delays.shift()
        delays.push(performance.now() - began)
        isLate = maxEventLoopDelayMilliseconds > 0 &&
          delays.reduce((sum, delay) => sum + delay) / SAMPLES > maxEventLoopDelayMilliseconds
        isFull = maxMemoryBytes > 0 && memoryInUse() > maxMemoryBytes
      }))
    }, SAMPLE_MILLISECONDS).unref()
  })
  app.addHook('onClose', async () => clearInterval(timer))
  app.addHook('onRequest', ({ routeOptions }, _reply, done) => {
    const isOverloaded = isLate || (isFull && countInProgress() > FEW_REQUESTS)
    const isRefused = isOverloaded && !isEssential(routeOptions)
    done(isRefused ? new Problem('overloaded', { retrySeconds: RETRY_SECONDS }) : undefined)
  })
}

/** A route: Fastify's own, or that of a request, which has none for an unknown path. */
interface RouteAddress { readonly method?: string | string[] | undefined, readonly url?: string | undefined }

/** Whether a request is answered under any load. */
export function isEssential (route: RouteAddress): boolean {
  // A supervisor that gets no answer from the liveness check would kill the process, and every transfer with it.
  return route.url === LIVENESS_PATH || isUploadState(route)
}

/** The paths of an upload: of an account, and by a link. */
const UPLOAD_PATHS = new Set<string | undefined>(['/api/uploads/:id', '/s/:secret/uploads/:id'])

/**
 * Asking for the offset of an upload, and the preflight before that. Clients take a refusal for the end of the upload
 * and begin again with the first byte (tus-js-client 4.3.1), which costs more than the answer.
 */
export function isUploadState ({ method, url }: RouteAddress): boolean {
  return UPLOAD_PATHS.has(url) && (method === 'HEAD' || method === 'OPTIONS')
}

/**
 * Bytes in objects and buffers. Not the resident set, much of which the allocator never returns: 600 MB after 400
 * parallel uploads, 40 MB of it in use.
 */
function memoryInUse (): number {
  const { used_heap_size: objects, external_memory: buffers } = getHeapStatistics()
  return objects + buffers
}
