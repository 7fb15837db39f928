import { useLayoutEffect } from 'preact/hooks'
import { listen } from '../listen.ts'
import { session } from '../session-state.ts'
import { changes } from './changes.ts'

/**
 * Loads a list when it appears, after this page changed it, when the window gets the focus, and after a new sign-in.
 */
export function useFresh (refresh: () => void): void {
  // A layout effect, so that the entries of another folder are never seen.
  useLayoutEffect(() => {
    refresh()
    return listen({ focus: refresh })
  }, [changes.value, session.value.kind])
}
