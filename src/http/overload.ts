import { monitorEventLoopDelay } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import type { FastifyInstance } from 'fastify'
import { garbageCollector } from '../garbage-collector.ts'
import { Problem } from '../problems.ts'

export interface LoadLimits {
  /** Milliseconds that the event loop may be late, on average over a second; 0 lifts the limit. */
  maxEventLoopDelayMilliseconds: number
  /** Bytes of memory in use; 0 lifts the limit. */
  maxMemoryBytes: number
}

/** Where a supervisor asks whether the process lives. */
export const LIVENESS_PATH = '/health/live'

/** How often the process looks at itself. */
const LOOK_MILLISECONDS = 1000

/** The event loop is asked so often whether it is late, and the waiting for that is part of every answer. */
const RESOLUTION_MILLISECONDS = 10

/** Late so many times running it has too much to do; once alone it was held up, and is not any more when that is seen. */
const LATE_LOOKS = 2

/** Whoever is refused comes back after a few looks. */
const RETRY_SECONDS = 3

/** Refuses new requests while there is more to do than can be done, and leaves alone those that were let in. */
export function shedLoad (app: FastifyInstance, { maxEventLoopDelayMilliseconds, maxMemoryBytes }: LoadLimits): void {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MILLISECONDS })
  const collect = garbageCollector()
  let lateLooks = 0
  let isFull = false
  let timer: NodeJS.Timeout | undefined

  function look (): void {
    const delay = delays.mean / 1e6 - RESOLUTION_MILLISECONDS
    delays.reset()
    lateLooks = maxEventLoopDelayMilliseconds > 0 && delay > maxEventLoopDelayMilliseconds ? lateLooks + 1 : 0
    isFull = maxMemoryBytes > 0 && isAboveLimit()
  }

  /** Garbage is no load, and a server that refuses everything makes too little of it to collect it by itself: it would never come back. */
  function isAboveLimit (): boolean {
    if (memoryInUse() <= maxMemoryBytes) return false
    collect()
    return memoryInUse() > maxMemoryBytes
  }

  // What the start takes of the event loop keeps nobody waiting.
  app.addHook('onListen', async () => {
    delays.enable()
    timer = setInterval(look, LOOK_MILLISECONDS).unref()
  })
  app.addHook('onClose', async () => {
    clearInterval(timer)
    delays.disable()
  })
  app.addHook('onRequest', async ({ routeOptions }) => {
    if ((lateLooks >= LATE_LOOKS || isFull) && !isEssential(routeOptions)) throw new Problem('overloaded', { headers: { 'retry-after': String(RETRY_SECONDS) } })
  })
}

/** Whoever asks whether the process lives would end it for want of an answer, and every transfer with it. */
export function isEssential ({ url }: { url?: string | undefined }): boolean {
  return url === LIVENESS_PATH
}

/**
 * Bytes in objects and buffers. Not the resident set: after 400 uploads at a time the allocator kept 600 MB of that for
 * good, of which 40 MB were in use, so that a limit on it, once passed, would never be kept again.
 */
function memoryInUse (): number {
  const { used_heap_size: objects, external_memory: buffers } = getHeapStatistics()
  return objects + buffers
}
