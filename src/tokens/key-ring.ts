import { setTimeout as wait } from 'node:timers/promises'
import type { SigningKey } from '../config/signing-keys.ts'

/** How long the keys are used before they are read again: a rotation takes effect after this time. */
const FRESH_MILLISECONDS = 1000

/** Pause before a read for an unknown key: forged tokens and cursors can't make the server read more often. */
const PAUSE_MILLISECONDS = 100

export type KeyRing = ReturnType<typeof createKeyRing>

/**
 * The keys that `read` finds, read again at most once a second, so that another process can rotate them. While they
 * can't be read, the last ones stay in use. The first key signs; the array is the same until the keys change.
 */
export function createKeyRing (
  first: readonly SigningKey[], read: () => Promise<readonly SigningKey[] | undefined>
) {
  let keys = first
  let readAt = performance.now()
  let reading: Promise<void> | undefined
  let nextReading: Promise<void> | undefined

  async function refresh (): Promise<void> {
    const found = await read().catch(() => undefined)
    if (found !== undefined && JSON.stringify(found) !== JSON.stringify(keys)) keys = found
    readAt = performance.now()
    reading = undefined
  }

  async function readNext (): Promise<void> {
    await wait(Math.max(0, readAt + PAUSE_MILLISECONDS - performance.now()))
    // A read in progress may have begun before the key was added.
    await reading
    nextReading = undefined
    await (reading ??= refresh())
  }

  /** The keys as they were at most 1,000 ms ago. */
  async function current (): Promise<readonly SigningKey[]> {
    if (performance.now() - readAt >= FRESH_MILLISECONDS) await (reading ??= refresh())
    return keys
  }

  /** The keys as they are now, after up to 100 ms. */
  async function latest (): Promise<readonly SigningKey[]> {
    await (nextReading ??= readNext())
    return keys
  }

  return {
    current,

    /** A key; undefined if there is none. Another process may have added it a moment ago. */
    async find (isMeant: (key: SigningKey) => boolean): Promise<SigningKey | undefined> {
      return (await current()).find(isMeant) ?? (await latest()).find(isMeant)
    }
  }
}
