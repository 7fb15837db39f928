import { session } from './session-state.ts'

/** What closes each open dialog; the last one is on top. */
const closers: (() => void)[] = []

/** Set while the browser goes back to the entry that belongs to the open dialogs. */
let isReturning = false

/**
 * Gives an open dialog an entry in the history of the window, so that Back closes it. Returns what removes the entry.
 * Several dialogs can open and close in one step, such as a preview that makes way for its versions: the history
 * follows afterwards.
 */
export function addDialog (close: () => void): () => void {
  closers.push(close)
  queueMicrotask(follow)
  return () => {
    closers.splice(closers.indexOf(close), 1)
    queueMicrotask(follow)
  }
}

/** Follows Back and Forward. After a reload, entries of dialogs that were open before are left. */
export function watchDialogs (): void {
  addEventListener('popstate', () => {
    const isByUser = !isReturning
    isReturning = false
    if (isByUser && closers.length > depth()) for (const close of closers.slice(depth()).reverse()) close()
    else matchHistory()
  })
  matchHistory()
}

/** Resolves when the history has followed the dialogs. */
export async function whenFollowed (): Promise<void> {
  // Dialogs close when the page is rendered.
  await new Promise(resolve => setTimeout(resolve))
  if (isReturning) await new Promise(resolve => addEventListener('popstate', resolve, { once: true }))
}

function follow (): void {
  // The page is loaded again, and removes the entries then.
  if (session.peek().kind !== 'loading') matchHistory()
}

/** Adds an entry for each new dialog, or leaves those of closed ones. */
function matchHistory (): void {
  if (isReturning) return
  while (depth() < closers.length) history.pushState({ dialogs: depth() + 1 }, '')
  if (depth() === closers.length) return
  isReturning = true
  history.go(closers.length - depth())
}

/** How many dialogs were open at the current entry of the history. */
function depth (): number {
  const { dialogs = 0 } = (history.state ?? {}) as { dialogs?: number }
  return dialogs
}
