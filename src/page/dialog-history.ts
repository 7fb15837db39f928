import { session } from './session-state.ts'

/** What closes each open dialog; the last one is on top. */
const closers: (() => void)[] = []

/** Set while the browser goes back to the entry of the dialogs that are still open. */
let isGoingBack = false

/**
 * Gives an open dialog an entry in the history of the window, so that Back closes it. Returns what removes the entry.
 * Dialogs can replace each other in one render, such as a preview by its versions: the history is matched after that.
 */
export function addDialog (close: () => void): () => void {
  closers.push(close)
  queueMicrotask(matchUnlessLoading)
  return () => {
    closers.splice(closers.indexOf(close), 1)
    queueMicrotask(matchUnlessLoading)
  }
}

export function hasDialogs (): boolean {
  return closers.length > 0 || depth() > 0
}

/** Closes dialogs at Back. After a reload, goes back from the entries of dialogs that were open. */
export function watchDialogs (): void {
  addEventListener('popstate', () => {
    const isByUser = !isGoingBack
    isGoingBack = false
    if (isByUser && closers.length > depth()) for (const close of closers.slice(depth()).reverse()) close()
    else matchHistory()
  })
  matchHistory()
}

/** Resolves when the history matches the open dialogs. */
export async function whenHistoryMatches (): Promise<void> {
  // Dialogs close when the page is rendered.
  await new Promise(resolve => setTimeout(resolve))
  if (isGoingBack) await new Promise(resolve => addEventListener('popstate', resolve, { once: true }))
}

function matchUnlessLoading (): void {
  // While it loads, the page is about to reload, and removes the entries then.
  if (session.peek().kind !== 'loading') matchHistory()
}

/** Adds an entry for each new dialog, or goes back from the entries of closed ones. */
function matchHistory (): void {
  if (isGoingBack) return
  while (depth() < closers.length) history.pushState({ dialogs: depth() + 1 }, '')
  if (depth() === closers.length) return
  isGoingBack = true
  history.go(closers.length - depth())
}

/** How many dialogs were open at the current entry of the history. */
function depth (): number {
  const { dialogs = 0 } = (history.state ?? {}) as { dialogs?: number }
  return dialogs
}
