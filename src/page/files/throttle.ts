/** Runs `act` at once, but at most once in `ms`. Calls that come meanwhile share one run at the end of that time. */
export function throttled (act: () => void, ms: number): () => void {
  let lastRun = -Infinity
  let timer: ReturnType<typeof setTimeout> | undefined
  const run = () => {
    timer = undefined
    lastRun = Date.now()
    act()
  }
  return () => { timer ??= setTimeout(run, Math.max(0, lastRun + ms - Date.now())) }
}
