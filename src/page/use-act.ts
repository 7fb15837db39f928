import { useState } from 'preact/hooks'

interface Act<Args extends unknown[]> {
  readonly run: (...args: Args) => Promise<void>
  readonly isRunning: boolean
  /** Why the last run failed. */
  readonly error: unknown
}

/** Runs something that takes time, one at a time, and keeps its failure to be shown. */
export function useAct<Args extends unknown[]> (act: (...args: Args) => Promise<void>): Act<Args> {
  const [isRunning, setRunning] = useState(false)
  const [error, setError] = useState<unknown>()
  async function run (...args: Args): Promise<void> {
    if (isRunning) return
    setRunning(true)
    setError(undefined)
    try {
      await act(...args)
    } catch (failure) {
      setError(failure)
    } finally {
      setRunning(false)
    }
  }
  return { run, isRunning, error }
}
