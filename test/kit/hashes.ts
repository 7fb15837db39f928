import argon2 from 'argon2'
import type { Test } from 'tap'

/** Returns a function that returns how many passwords this process has hashed or verified since its last call. */
export function countHashes (t: Test): () => number {
  const { hash, verify } = argon2
  let count = 0
  const counted = <F extends (...args: never[]) => unknown>(act: F) => (...args: Parameters<F>) => {
    count++
    return act(...args)
  }
  Object.assign(argon2, { hash: counted(hash), verify: counted(verify) })
  t.teardown(() => Object.assign(argon2, { hash, verify }))
  return () => {
    const counts = count
    count = 0
    return counts
  }
}
