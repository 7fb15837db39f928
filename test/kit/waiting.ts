import { setTimeout as wait } from 'node:timers/promises'

/** Only a test that fails waits so long. */
const LIMIT_MILLISECONDS = 180_000
const PAUSE_MILLISECONDS = 5

/** Polls until a condition is true; false after three minutes. */
export async function eventually (isSo: () => boolean | Promise<boolean>): Promise<boolean> {
  for (const end = performance.now() + LIMIT_MILLISECONDS; performance.now() < end; await wait(PAUSE_MILLISECONDS)) if (await isSo()) return true
  return false
}

/** Polls until the answer is the expected one, by default any that is truthy. @throws after three minutes. */
export async function until<T> (ask: () => T | Promise<T>, isExpected: (answer: T) => boolean = Boolean): Promise<Exclude<T, undefined | null | false>> {
  let answer: T | undefined
  const isThere = await eventually(async () => isExpected(answer = await ask()))
  if (!isThere) throw new Error('it did not happen within three minutes')
  return answer as Exclude<T, undefined | null | false>
}
