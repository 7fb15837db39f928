/** A thousand uploads must not cause a thousand requests. */
const INTERVAL_MS = 2000

/**
 * Runs `action` at once, but at most once in `interval`, by default two seconds. Calls in between share one run at the
 * end of that time.
 */
export function throttled (action: () => void, interval = INTERVAL_MS): () => void {
  let lastRun = -Infinity
  let timer: ReturnType<typeof setTimeout> | undefined
  const run = () => {
    timer = undefined
    lastRun = Date.now()
    action()
  }
  return () => { timer ??= setTimeout(run, Math.max(0, lastRun + interval - Date.now())) }
}
