import type { SigningKey } from './signing-keys.ts'

/** How long the keys are used before they are read again: a rotation takes effect after this time. */
const FRESH_MILLISECONDS = 1000

/**
 * How old the keys may be if none of them fits: another process may have added one a moment ago. It also limits how often forged tokens
 * and cursors make the server read the keys.
 */
export const NEW_KEY_MILLISECONDS = 100

/** The signing keys in use, which another process can rotate. */
export interface KeyRing {
  /**
   * The keys as they were at most `milliseconds` ago, 1,000 if not given; the first one signs. The array is another one only if
   * the keys are.
   */
  current (milliseconds?: number): Promise<readonly SigningKey[]>
}

/**
 * The keys that `read` finds, read again at most once a second, so that another process can rotate them. While they can't be
 * read, the last ones stay in use.
 */
export function createKeyRing (first: readonly SigningKey[], read: () => Promise<readonly SigningKey[] | undefined>): KeyRing {
  let keys = first
  let readAt = performance.now()
  let reading: Promise<void> | undefined

  async function refresh (): Promise<void> {
    const found = await read().catch(() => undefined)
    if (found !== undefined && JSON.stringify(found) !== JSON.stringify(keys)) keys = found
    readAt = performance.now()
    reading = undefined
  }

  return {
    async current (milliseconds = FRESH_MILLISECONDS) {
      if (performance.now() - readAt >= milliseconds) await (reading ??= refresh())
      return keys
    }
  }
}
