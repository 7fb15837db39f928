/** A generator that returns the same numbers for the same seed, so a seed identifies an image. */
export interface Random {
  /** An integer from 0 to `limit` - 1. */
  below (limit: number): number
  chance (probability: number): boolean
  pick<T> (values: readonly T[]): T
}

/** Mulberry32: 32 bits of state, enough for choosing test cases. */
export function createRandom (seed: number): Random {
  let state = seed >>> 0

  function next (): number {
    state = (state + 0x6D2B79F5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  const below = (limit: number) => Math.floor(next() * limit)
  return {
    below,
    chance: probability => next() < probability,
    pick: values => values[below(values.length)] as (typeof values)[number]
  }
}
