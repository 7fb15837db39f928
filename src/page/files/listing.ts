import { batch, signal } from '@preact/signals'
import { MAX_PAGE_ENTRIES, type Page, type PageQuery } from '../pages.ts'
import { throttled } from './throttle.ts'

const PAGE_ENTRIES = 200

/** Further down, a refresh waits until the user scrolls back, because it would have to load everything above. */
const REFRESH_ENTRIES = 2000

type RequestPage<Entry> = (query: PageQuery, signal: AbortSignal) => Promise<Page<Entry>>

/** A list of any length, of which the beginning is loaded. */
export class Listing<Entry> {
  readonly entries = signal<readonly Entry[]>([])
  /** Whether `entries` is the whole list. */
  readonly isComplete = signal(false)
  readonly isLoading = signal(false)
  /** Why the last request failed. */
  readonly error = signal<unknown>()
  readonly #request: RequestPage<Entry>
  #next: string | null = null
  #seen = 0
  #isStale = false
  #running: AbortController | undefined

  constructor (request: RequestPage<Entry>) {
    this.#request = request
  }

  /** Loads the shown entries again, at most once in two seconds. */
  readonly refresh = throttled(() => {
    this.#isStale = this.#seen > REFRESH_ENTRIES
    if (!this.#isStale) void this.#load({ entries: [], next: null }, this.#seen + PAGE_ENTRIES)
  })

  /** Loads the beginning of another list, for example after the order changed. The entries stay until it is there. */
  restart (): void {
    this.#seen = 0
    this.isComplete.value = false
    void this.#load({ entries: [], next: null }, PAGE_ENTRIES)
  }

  /** Loads another list. Nothing of the former one stays. */
  replace (): void {
    this.entries.value = []
    this.restart()
  }

  /** Takes the index of the last visible entry. Near the end, loads more. */
  see (index: number): void {
    this.#seen = index
    if (this.#isStale && index <= REFRESH_ENTRIES) this.refresh()
    const [entries, next] = [this.entries.value, this.#next]
    if (this.#running !== undefined || next === null || this.error.value !== undefined) return
    if (index + PAGE_ENTRIES / 2 >= entries.length) void this.#load({ entries, next }, entries.length + 1)
  }

  /** Shows the effect of an action before the server is asked for the list again. */
  change (edit: (entries: readonly Entry[]) => readonly Entry[]): void {
    // What is being loaded may not have the change yet.
    this.#running?.abort()
    this.#end()
    this.entries.value = edit(this.entries.value)
    this.refresh()
  }

  /** Continues `start` until it has `count` entries. A later load aborts an earlier one. */
  async #load (start: Page<Entry>, count: number): Promise<void> {
    this.#running?.abort()
    const { signal } = this.#running = new AbortController()
    this.isLoading.value = true
    this.error.value = undefined
    try {
      const page = await this.#extended(start, count, signal)
      if (!signal.aborted) this.#show(page)
    } catch (failure) {
      if (!signal.aborted) this.error.value = failure
    } finally {
      if (!signal.aborted) this.#end()
    }
  }

  async #extended (start: Page<Entry>, count: number, signal: AbortSignal): Promise<Page<Entry>> {
    let page = start
    do {
      const limit = Math.min(Math.max(count - page.entries.length, PAGE_ENTRIES), MAX_PAGE_ENTRIES)
      const more = await this.#request({ limit, ...(page.next !== null && { cursor: page.next }) }, signal)
      page = { entries: page.entries.concat(more.entries), next: more.next }
    } while (page.next !== null && page.entries.length < count)
    return page
  }

  #show (page: Page<Entry>): void {
    this.#next = page.next
    batch(() => {
      this.entries.value = page.entries
      this.isComplete.value = page.next === null
    })
  }

  #end (): void {
    this.#running = undefined
    this.isLoading.value = false
  }
}
