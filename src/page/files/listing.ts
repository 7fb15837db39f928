import { batch, signal, type ReadonlySignal } from '@preact/signals'
import { MAX_PAGE_ENTRIES, type Page, type PageQuery } from '../pages.ts'
import { throttled } from './throttle.ts'

/** A list of any length, of which the beginning is loaded. */
export interface Listing<Entry> {
  readonly entries: ReadonlySignal<readonly Entry[]>
  /** Whether `entries` is the whole list. */
  readonly isComplete: ReadonlySignal<boolean>
  readonly isLoading: ReadonlySignal<boolean>
  /** Why the last request failed. */
  readonly error: ReadonlySignal<unknown>
  /** Loads the beginning of another list, for example after the order changed. The entries stay until it is there. */
  readonly restart: () => void
  /** Loads the shown entries again, at most once in two seconds. */
  readonly refresh: () => void
  /** Takes the index of the last visible entry. Near the end, loads more. */
  readonly see: (index: number) => void
  /** Shows the effect of an action before the server is asked for the list again. */
  readonly change: (edit: (entries: readonly Entry[]) => readonly Entry[]) => void
}

const PAGE_ENTRIES = 200

/** Further down, a refresh waits until the user scrolls back, because it would have to load everything above. */
const REFRESH_ENTRIES = 2000

export function createListing<Entry> (request: (query: PageQuery, signal: AbortSignal) => Promise<Page<Entry>>): Listing<Entry> {
  const entries = signal<readonly Entry[]>([])
  const isComplete = signal(false)
  const isLoading = signal(false)
  const error = signal<unknown>()
  let next: string | null = null
  let seen = 0
  let isStale = false
  let running: AbortController | undefined

  /** Continues `start` until it has `count` entries. A later load aborts an earlier one. */
  async function load (start: Page<Entry>, count: number): Promise<void> {
    running?.abort()
    const { signal } = running = new AbortController()
    isLoading.value = true
    error.value = undefined
    try {
      const page = await extended(start, count, signal)
      if (!signal.aborted) show(page)
    } catch (failure) {
      if (!signal.aborted) error.value = failure
    } finally {
      if (!signal.aborted) end()
    }
  }

  async function extended (start: Page<Entry>, count: number, signal: AbortSignal): Promise<Page<Entry>> {
    let page = start
    do {
      const limit = Math.min(Math.max(count - page.entries.length, PAGE_ENTRIES), MAX_PAGE_ENTRIES)
      const more = await request({ limit, ...(page.next !== null && { cursor: page.next }) }, signal)
      page = { entries: page.entries.concat(more.entries), next: more.next }
    } while (page.next !== null && page.entries.length < count)
    return page
  }

  function show (page: Page<Entry>): void {
    next = page.next
    batch(() => {
      entries.value = page.entries
      isComplete.value = next === null
    })
  }

  function end (): void {
    running = undefined
    isLoading.value = false
  }

  const refresh = throttled(() => {
    isStale = seen > REFRESH_ENTRIES
    if (!isStale) void load({ entries: [], next: null }, seen + PAGE_ENTRIES)
  })

  return {
    entries,
    isComplete,
    isLoading,
    error,
    refresh,
    restart () {
      seen = 0
      isComplete.value = false
      void load({ entries: [], next: null }, PAGE_ENTRIES)
    },
    see (index) {
      seen = index
      if (isStale && index <= REFRESH_ENTRIES) refresh()
      if (running !== undefined || next === null || error.value !== undefined) return
      if (index + PAGE_ENTRIES / 2 >= entries.value.length) void load({ entries: entries.value, next }, entries.value.length + 1)
    },
    change (edit) {
      // What is being loaded may not have the change yet.
      running?.abort()
      end()
      entries.value = edit(entries.value)
      refresh()
    }
  }
}
