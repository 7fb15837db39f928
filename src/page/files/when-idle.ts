/**
 * Runs an action after `wait` milliseconds, when the browser has nothing else to do, or a second later. Returns what
 * cancels it.
 */
export function whenIdle (wait: number, action: () => void): () => void {
  let cancel = () => clearTimeout(timer)
  const timer = setTimeout(() => {
    // Not every browser has requestIdleCallback.
    if (!('requestIdleCallback' in window)) return action()
    const request = requestIdleCallback(action, { timeout: 1000 })
    cancel = () => cancelIdleCallback(request)
  }, wait)
  return () => cancel()
}
