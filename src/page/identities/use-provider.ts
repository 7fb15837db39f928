import { useEffect, useRef, useState } from 'preact/hooks'
import { askProvider, openWindow, type Begin, type ProviderAnswer } from './other-window.ts'

interface ProviderUse<Args extends unknown[]> {
  /** To be called in a click. A second call is for a window that was closed: the first is forgotten. */
  readonly run: (...args: Args) => void
  /** Whether the person is in the other window. */
  readonly isWaiting: boolean
  readonly error: unknown
}

/** Goes to the provider in another window, and then does something with its answer. */
export function useProvider<Args extends unknown[]> (
  begin: Begin, finish: (answer: ProviderAnswer, ...args: Args) => Promise<void> | void
): ProviderUse<Args> {
  const [isWaiting, setWaiting] = useState(false)
  const [error, setError] = useState<unknown>()
  const asking = useRef<AbortController>()
  useEffect(() => () => asking.current?.abort(), [])

  async function ask (opened: Window | undefined, { signal }: AbortController, args: Args): Promise<void> {
    try {
      const answer = await askProvider(opened, begin, signal)
      setWaiting(false)
      await finish(answer, ...args)
    } catch (failure) {
      if (signal.aborted) return
      setWaiting(false)
      setError(failure)
    }
  }

  return {
    isWaiting,
    error,
    run (...args) {
      asking.current?.abort()
      asking.current = new AbortController()
      setError(undefined)
      setWaiting(true)
      void ask(openWindow(), asking.current, args)
    }
  }
}
