/** A thousand uploads must not cause a thousand requests. */
const INTERVAL_MS = 2000

/** Runs `act` at once, but at most once in two seconds. Calls in between share one run at the end of that time. */
export function throttled (act: () => void): () => void {
  let lastRun = -Infinity
  let timer: ReturnType<typeof setTimeout> | undefined
  const run = () => {
    timer = undefined
    lastRun = Date.now()
    act()
  }
  return () => { timer ??= setTimeout(run, Math.max(0, lastRun + INTERVAL_MS - Date.now())) }
}
