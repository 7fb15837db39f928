/**
 * The number from which all chance of a run comes. Tests and checks always take the same one, so that none is red by
 * chance; `npm run proof` draws one and prints it. The seed of a failure goes into a small test.
 */
export const SEED = Number(process.env.SEED ?? 1)

/** A generator that returns the same numbers for the same seed and name. */
export interface Random {
  /** An integer from 0 to `limit` - 1. */
  below (limit: number): number
  /** An integer from `least` to `most`. */
  between (least: number, most: number): number
  chance (probability: number): boolean
  pick<T> (values: readonly T[]): T
  bytes (length: number): Buffer
}

/** Mulberry32: 32 bits of state, enough for choosing test cases. Each name has numbers of its own in a run. */
export function createRandom (name: string, seed = SEED): Random {
  let state = seed >>> 0
  for (const character of name) state = Math.imul(state ^ Number(character.codePointAt(0)), 0x01000193) >>> 0

  function next (): number {
    state = (state + 0x6D2B79F5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }

  const below = (limit: number) => Math.floor(next() / 2 ** 32 * limit)
  return {
    below,
    between: (least, most) => least + below(most - least + 1),
    chance: probability => next() / 2 ** 32 < probability,
    pick: values => values[below(values.length)] as (typeof values)[number],
    bytes (length) {
      const bytes = Buffer.alloc(Math.ceil(length / 4) * 4)
      for (let at = 0; at < length; at += 4) bytes.writeUInt32LE(next(), at)
      return bytes.subarray(0, length)
    }
  }
}
