import { useState } from 'preact/hooks'

export interface Action<Args extends unknown[]> {
  readonly run: (...args: Args) => Promise<void>
  readonly isRunning: boolean
  /** Why the last run failed. */
  readonly error: unknown
}

/** Runs something that takes time, and keeps its error. A call while it runs does nothing. */
export function useAction<Args extends unknown[]> (action: (...args: Args) => Promise<void>): Action<Args> {
  const [isRunning, setRunning] = useState(false)
  const [error, setError] = useState<unknown>()
  async function run (...args: Args): Promise<void> {
    if (isRunning) return
    setRunning(true)
    setError(undefined)
    try {
      await action(...args)
    } catch (failure) {
      setError(failure)
    } finally {
      setRunning(false)
    }
  }
  return { run, isRunning, error }
}
