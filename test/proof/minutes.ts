import type { Test } from 'tap'

/** What runs once a minute, if it starts from now on, runs only when the test calls the returned function. */
export function holdMinutes (t: Test): () => void {
  const { setInterval, clearInterval } = globalThis
  const actions = new Map<unknown, () => void>()
  globalThis.setInterval = ((action: () => void, milliseconds: number) => {
    if (milliseconds !== 60_000) return setInterval(action, milliseconds)
    const timer = setInterval(() => {}, milliseconds)
    actions.set(timer, action)
    return timer
  }) as typeof setInterval
  globalThis.clearInterval = timer => { actions.delete(timer); clearInterval(timer) }
  t.teardown(() => Object.assign(globalThis, { setInterval, clearInterval }))
  return () => { for (const action of actions.values()) action() }
}
