import { useEffect, useRef } from 'preact/hooks'

/** The largest picture that is loaded ahead. Most photos of 24 megapixels are smaller. */
const MAX_BYTES = 15 * 1000 ** 2

/** A picture that may be shown next. */
export interface Picture {
  /** Of the content. */
  readonly key: string
  readonly size: number
  readonly read: (signal: AbortSignal) => Promise<Blob>
}

/**
 * Loads the pictures before and after the shown one, once that is there. Returns what finds the address of a loaded one
 * in memory. Only these three are kept, and none is read ahead that was shown before.
 */
export function useAhead (shown: string, isThere: boolean, neighbours: readonly Picture[]) {
  const addresses = useRef(new Map<string, string>()).current
  const seen = useRef(new Set<string>()).current
  const wanted = neighbours.filter(({ size }) => size <= MAX_BYTES)
  const keys = [shown, ...wanted.map(({ key }) => key)]
  const forget = (kept: readonly string[]) => {
    for (const [key, address] of addresses) {
      if (kept.includes(key)) continue
      URL.revokeObjectURL(address)
      addresses.delete(key)
    }
  }
  useEffect(() => {
    forget(keys)
    seen.add(shown)
    if (!isThere) return
    const ended = new AbortController()
    for (const { key, read } of wanted) {
      if (addresses.has(key) || seen.has(key)) continue
      read(ended.signal).then(bytes => {
        if (!ended.signal.aborted) addresses.set(key, URL.createObjectURL(bytes))
        // It is loaded again when it is shown.
      }, () => {})
    }
    return () => ended.abort()
  }, [keys.join('\n'), isThere])
  useEffect(() => () => forget([]), [])
  return (key: string) => addresses.get(key)
}
