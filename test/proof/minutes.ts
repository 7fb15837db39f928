import type { Test } from 'tap'

/** What runs once a minute, if it starts from now on, runs only when the test calls the returned function. */
export function holdMinutes (t: Test): () => void {
  const { setInterval, clearInterval } = globalThis
  const acts = new Map<unknown, () => void>()
  globalThis.setInterval = ((act: () => void, milliseconds: number) => {
    if (milliseconds !== 60_000) return setInterval(act, milliseconds)
    const timer = setInterval(() => {}, milliseconds)
    acts.set(timer, act)
    return timer
  }) as typeof setInterval
  globalThis.clearInterval = timer => { acts.delete(timer); clearInterval(timer) }
  t.teardown(() => Object.assign(globalThis, { setInterval, clearInterval }))
  return () => { for (const act of acts.values()) act() }
}
