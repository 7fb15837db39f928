import { garbageCollector } from '../../garbage-collector.ts'

/** Bytes let go between two collections: with 8 MiB four uploads take 20 MiB, with what V8 does by itself 50, and neither is faster. */
const COLLECT_BYTES = 8 * 1024 ** 2

/**
 * Returns what is to be told of buffers that were let go, in bytes, and collects the young ones after every few MiB. V8 counts
 * the memory behind buffers too, but lets 32 MiB of it gather before it looks; by then some are old, and stay for long.
 */
export function createYoungCollector (): (bytes: number) => void {
  const collect = garbageCollector()
  let uncollected = 0
  return bytes => {
    uncollected += bytes
    if (uncollected < COLLECT_BYTES) return
    uncollected = 0
    collect({ type: 'minor' })
  }
}
