import { useEffect, useState } from 'preact/hooks'
import { listen } from '../listen.ts'

const QUIET_MS = 2000

/** Whether nobody has moved, tapped or pressed a key for two seconds. */
export function useQuiet (isWatching: boolean): boolean {
  const [isQuiet, setQuiet] = useState(false)
  useEffect(() => {
    if (!isWatching) return
    let timer: ReturnType<typeof setTimeout>
    const wake = () => {
      setQuiet(false)
      clearTimeout(timer)
      timer = setTimeout(() => setQuiet(true), QUIET_MS)
    }
    wake()
    // The click of a tap, not its beginning: what the tap shows must not get the click.
    const end = listen({ pointermove: wake, click: wake, keydown: wake, wheel: wake, focusin: wake })
    return () => {
      end()
      clearTimeout(timer)
    }
  }, [isWatching])
  return isQuiet && isWatching
}
