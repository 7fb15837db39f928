const LOOK_MILLISECONDS = 1000

/** Calls `onGone` once the process that started this one has ended, unless `stop` is called before; it keeps no process alive. */
export function watchParent (onGone: () => void): { stop (): void } {
  const parent = process.ppid
  const timer = setInterval(() => {
    // An orphan gets another parent.
    if (process.ppid !== parent) onGone()
  }, LOOK_MILLISECONDS).unref()
  return { stop: () => clearInterval(timer) }
}
