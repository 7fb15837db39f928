import { useEffect, useState } from 'preact/hooks'
import { useAction } from './use-action.ts'

export interface Loaded<Value> {
  /** Undefined until it is first loaded. It stays while it is loaded again. */
  readonly value: Value | undefined
  readonly error: unknown
  readonly reload: () => Promise<void>
}

/** Loads what a view shows when the view appears. The signal aborts when the view disappears. */
export function useLoaded<Value> (load: (signal?: AbortSignal) => Promise<Value>): Loaded<Value> {
  const [value, setValue] = useState<Value>()
  const { run, error } = useAction(async (signal?: AbortSignal) => setValue(await load(signal)))
  useEffect(() => {
    const ended = new AbortController()
    void run(ended.signal)
    return () => ended.abort()
  }, [])
  return { value, error, reload: () => run() }
}
