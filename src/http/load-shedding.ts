import { getHeapStatistics } from 'node:v8'
import underPressure from '@fastify/under-pressure'
import type { FastifyInstance } from 'fastify'
import { Problem } from '../problems.ts'

export interface LoadLimits {
  /** Mean delay of the event loop; 0 disables the limit. */
  readonly maxEventLoopDelayMilliseconds: number
  /** Memory in use; 0 disables the limit. */
  readonly maxMemoryBytes: number
}

export const LIVENESS_PATH = '/health/live'

/** The delay is averaged over two seconds, so that a single stall, over before it is measured, refuses nothing. */
const DELAY_MILLISECONDS = 2000

const MEMORY_MILLISECONDS = 1000

const RETRY_SECONDS = 3

/**
 * With no more requests than this in progress, which hold 2 MiB each at most, memory above the limit is garbage, and only further
 * requests make V8 collect it: a server that refused them all came back after 100 seconds.
 */
const FEW_REQUESTS = 16

/**
 * Refuses new requests while the event loop is late or memory is short; requests in progress complete. `@fastify/under-pressure`
 * measures the delay. It measures neither buffers, hence the health check, nor from the moment of listening, hence the hook.
 */
export async function shedLoad (app: FastifyInstance, limits: LoadLimits, countInProgress: () => number): Promise<void> {
  const { maxEventLoopDelayMilliseconds, maxMemoryBytes } = limits
  let measuredFrom = Infinity
  // A sample that includes the start is late by the start.
  app.addHook('onListen', async () => { measuredFrom = performance.now() + 2 * DELAY_MILLISECONDS })
  function isOverloaded (type: string): boolean {
    if (type === underPressure.TYPE_HEALTH_CHECK) return countInProgress() > FEW_REQUESTS
    return performance.now() > measuredFrom
  }

  await app.register(underPressure, {
    maxEventLoopDelay: maxEventLoopDelayMilliseconds,
    sampleInterval: DELAY_MILLISECONDS,
    ...(maxMemoryBytes > 0 && { healthCheck: async () => memoryInUse() <= maxMemoryBytes, healthCheckInterval: MEMORY_MILLISECONDS }),
    pressureHandler: async ({ routeOptions }, _reply, type) => {
      if (!isOverloaded(type) || isEssential(routeOptions)) return
      throw new Problem('overloaded', { headers: { 'retry-after': String(RETRY_SECONDS) } })
    }
  })
}

/** A supervisor that gets no answer from the liveness check would kill the process, and every transfer with it. */
export function isEssential ({ url }: { url?: string | undefined }): boolean {
  return url === LIVENESS_PATH
}

/**
 * Bytes in objects and buffers. Not the resident set, much of which the allocator never returns: 600 MB after 400 parallel uploads,
 * 40 MB of it in use.
 */
function memoryInUse (): number {
  const { used_heap_size: objects, external_memory: buffers } = getHeapStatistics()
  return objects + buffers
}
