import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { KIB } from './sizes.ts'

/** `bytes` in chunks of `size`. */
export async function * inChunks (bytes: Buffer, size = 64 * KIB): AsyncGenerator<Buffer> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size)
}

/** Bytes of live objects, after a garbage collection. */
export function memoryInUse (): number {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc')
  collectGarbage()
  // The first collection frees buffers in another thread; the second waits until they are counted.
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
