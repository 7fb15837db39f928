import { effect } from '@preact/signals'
import { MagicStoreError } from 'magicstore'
import { isOffline } from '../connection.ts'
import { isUnreachable } from '../errors.ts'
import { listen } from '../listen.ts'
import { call } from '../session.ts'
import { session } from '../session-state.ts'
import { filesChanged } from './changes.ts'
import { showChanges } from './shown-changes.ts'

/** The longest that the server waits for a change. */
const WAIT_SECONDS = 60

/** A hidden window stops waiting after this time: browsers send few requests to a server at a time. */
const HIDDEN_MS = 5000

/** The wait after a failure, which doubles with each one. */
const FIRST_RETRY_MS = 1000
const MAX_RETRY_MS = 60_000

/** Shows what other windows, devices and programs change, while a user is signed in and the window is visible. */
export function watchChanges (): void {
  const stop = effect(() => {
    if (session.value.kind !== 'open') return
    queueMicrotask(() => stop())
    void follow()
  })
}

async function follow (): Promise<void> {
  let cursor: string | undefined
  let failures = 0
  for (;;) {
    await whenVisible()
    try {
      cursor = await nextCursor(cursor)
      failures = 0
      isOffline.value = false
    } catch (error) {
      isOffline.value = isUnreachable(error)
      await pause(error, failures++)
    }
  }
}

/** Waits for changes after the cursor, and shows them. Returns the next one, or the same if the window was hidden. */
async function nextCursor (cursor: string | undefined): Promise<string | undefined> {
  const hidden = new AbortController()
  const stop = abortWhenHidden(hidden)
  // After a failure, the first answer is to come at once.
  const query = cursor === undefined ? {} : { cursor, ...!isOffline.peek() && { wait: WAIT_SECONDS } }
  try {
    const { changes, next, reset } = await call(store => store.changes(query, { signal: hidden.signal }))
    // What has changed between the first listing and the first cursor is not known either.
    if (reset) filesChanged()
    else showChanges(changes)
    return next
  } catch (error) {
    if (hidden.signal.aborted) return cursor
    throw error
  } finally {
    stop()
  }
}

function abortWhenHidden (hidden: AbortController): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  const change = () => {
    clearTimeout(timer)
    if (document.visibilityState === 'hidden') timer = setTimeout(() => hidden.abort(), HIDDEN_MS)
  }
  // A request that waits would not notice that the network is gone.
  const stop = listen({ offline: () => hidden.abort() })
  document.addEventListener('visibilitychange', change)
  return () => {
    clearTimeout(timer)
    stop()
    document.removeEventListener('visibilitychange', change)
  }
}

async function whenVisible (): Promise<void> {
  while (document.visibilityState === 'hidden') {
    await new Promise(resolve => document.addEventListener('visibilitychange', resolve, { once: true }))
  }
}

/** Waits after a failure, less if the browser is connected again. */
function pause (error: unknown, failures: number): Promise<void> {
  const seconds = error instanceof MagicStoreError ? error.retryAfterSeconds ?? 0 : 0
  const milliseconds = Math.max(seconds * 1000, Math.min(FIRST_RETRY_MS * 2 ** failures, MAX_RETRY_MS))
  return new Promise(resolve => {
    const timer = setTimeout(end, milliseconds)
    addEventListener('online', end)
    function end (): void {
      clearTimeout(timer)
      removeEventListener('online', end)
      resolve()
    }
  })
}
