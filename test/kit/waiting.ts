import { setTimeout as wait } from 'node:timers/promises'

/** Only a test that fails waits so long. */
const LIMIT_MILLISECONDS = 180_000

/**
 * Between two questions: short at first, then a twentieth of the time that has passed, because asking takes the CPU of
 * the server.
 */
const pauseAfter = (milliseconds: number) => Math.min(Math.max(5, milliseconds / 20), 25)

/** Polls until a condition is true; false after three minutes. */
export async function eventually (isSo: () => boolean | Promise<boolean>): Promise<boolean> {
  const start = performance.now()
  for (let passed = 0; passed < LIMIT_MILLISECONDS; passed = performance.now() - start) {
    if (await isSo()) return true
    await wait(pauseAfter(passed))
  }
  return false
}

/** Polls until the answer is the expected one, by default any that is truthy. @throws after three minutes. */
export async function until<T> (
  ask: () => T | Promise<T>, isExpected: (answer: T) => boolean = Boolean
): Promise<Exclude<T, undefined | null | false>> {
  let answer: T | undefined
  const isThere = await eventually(async () => isExpected(answer = await ask()))
  if (!isThere) throw new Error('it did not happen within three minutes')
  return answer as Exclude<T, undefined | null | false>
}
