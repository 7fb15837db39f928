import { useEffect, useState } from 'preact/hooks'
import { useAct } from './use-act.ts'

interface Loaded<Value> {
  /** Undefined until it is first loaded. It stays while it is loaded again. */
  readonly value: Value | undefined
  readonly error: unknown
  readonly reload: () => Promise<void>
}

/** Loads what a view shows when the view appears. */
export function useLoaded<Value> (load: () => Promise<Value>): Loaded<Value> {
  const [value, setValue] = useState<Value>()
  const { run, error } = useAct(async () => setValue(await load()))
  useEffect(() => { void run() }, [])
  return { value, error, reload: run }
}
