import pLimit from 'p-limit'
import { Problem } from '../../problems.ts'
import type { QueueKey } from '../engine.ts'

interface QueueOptions {
  /** Calls with one key that run at the same time. */
  readonly concurrency: number
  /** A call that has waited for longer is refused instead. */
  readonly maxWaitMilliseconds: number
}

/** Runs a few calls with the same key at a time, in the order in which they came. @throws overloaded. */
type CallQueues = <T>(key: QueueKey, call: () => Promise<T>) => Promise<T>

/** A call must make no other one with the same key: that would wait for it. */
export function createCallQueues ({ concurrency, maxWaitMilliseconds }: QueueOptions): CallQueues {
  const queues = new Map<QueueKey, { readonly limit: ReturnType<typeof pLimit>, calls: number }>()

  return async (key, call) => {
    const queue = queues.get(key) ?? { limit: pLimit(concurrency), calls: 0 }
    queues.set(key, queue)
    queue.calls++
    const start = performance.now()
    try {
      return await queue.limit(() => {
        if (performance.now() - start > maxWaitMilliseconds) {
          throw new Problem('overloaded', { retrySeconds: 1 })
        }
        return call()
      })
    } finally {
      if (--queue.calls === 0) queues.delete(key)
    }
  }
}
