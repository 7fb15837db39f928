import { batch, signal } from '@preact/signals'
import { MAX_PAGE_ENTRIES, type Page, type PageQuery } from '../pages.ts'
import { throttled } from './throttle.ts'
import { whenIdle } from './when-idle.ts'

const PAGE_ENTRIES = 200

/** Below this entry, a refresh waits until nothing has changed for a while, because it loads everything above. */
const REFRESH_ENTRIES = 2000

/** The rest of a list that is already shown is loaded again when nothing has changed for this time. */
const CALM_MS = 3000

/** More entries are loaded only when the user scrolls to them. This many take about 30 MB. */
const IDLE_ENTRIES = 50_000

type RequestPage<Entry> = (query: PageQuery, signal: AbortSignal) => Promise<Page<Entry>>

/**
 * A list of any length. Its beginning is loaded at once and the rest while the browser is idle, so that the scroll bar
 * has the length of the whole list.
 */
export class Listing<Entry> {
  readonly entries = signal<readonly Entry[]>([])
  /** Whether `entries` is the whole list. */
  readonly isComplete = signal(false)
  /** Whether a user waits for entries. */
  readonly isLoading = signal(false)
  /** Why the last request failed. */
  readonly error = signal<unknown>()
  readonly #request: RequestPage<Entry>
  readonly #keyOf: (entry: Entry) => string
  /** What has been loaded since the last refresh. The entries shown after it are older. */
  #loaded: Page<Entry> = { entries: [], next: null }
  /** The index of the last visible entry. */
  #seen = 0
  /** Set until the first page of another list is loaded. */
  #isOther = true
  #running: AbortController | undefined
  /** Whether the user waits for the whole list. */
  #isAllWanted = false
  /** Cancels what is to be loaded later. */
  #cancel = () => {}

  constructor (request: RequestPage<Entry>, keyOf: (entry: Entry) => string) {
    this.#request = request
    this.#keyOf = keyOf
  }

  /** Loads the shown entries again, at most once in two seconds. */
  readonly refresh = throttled(() => {
    if (this.#seen <= REFRESH_ENTRIES) return this.#loadBeginning()
    this.pause()
    this.#cancel = whenIdle(CALM_MS, () => this.#loadBeginning())
  })

  /** Loads the beginning of another list, for example after the order changed. The entries stay until it is there. */
  restart (): void {
    this.#seen = 0
    this.#isOther = true
    this.#isAllWanted = false
    this.isComplete.value = false
    this.#loadBeginning()
  }

  /** Loads another list. Nothing of the former one stays. */
  replace (): void {
    this.entries.value = []
    this.restart()
  }

  /** Takes the index of the last visible entry. Near the end, loads more. */
  see (index: number): void {
    this.#seen = index
    if (this.#running !== undefined || this.#loaded.next === null || this.error.value !== undefined) return
    if (index + PAGE_ENTRIES / 2 < this.entries.value.length) return
    this.isLoading.value = true
    void this.#load(this.#loaded, this.#loaded.entries.length + 1)
  }

  /** Loads the rest of the list at once. */
  loadRest (): void {
    this.#isAllWanted = true
    if (this.#running === undefined && this.error.value === undefined) this.#continue()
  }

  /** Shows the effect of an action before the server is asked for the list again. */
  change (edit: (entries: readonly Entry[]) => readonly Entry[]): void {
    // What is being loaded may not have the change yet.
    this.pause()
    this.#loaded = { ...this.#loaded, entries: edit(this.#loaded.entries) }
    this.entries.value = edit(this.entries.value)
    this.refresh()
  }

  /** Ends loading, for example because the list is no longer shown. */
  pause (): void {
    this.#cancel()
    this.#running?.abort()
    this.#end()
  }

  #loadBeginning (): void {
    this.isLoading.value = true
    void this.#load({ entries: [], next: null }, this.#seen + PAGE_ENTRIES)
  }

  /** Continues `start` until it has `count` entries. A later load aborts an earlier one. */
  async #load (start: Page<Entry>, count: number): Promise<void> {
    this.#cancel()
    this.#running?.abort()
    const { signal } = this.#running = new AbortController()
    this.error.value = undefined
    try {
      await this.#extend(start, count, signal)
    } catch (failure) {
      if (!signal.aborted) this.#fail(failure)
    }
    if (signal.aborted) return
    this.#end()
    if (this.error.value === undefined) this.#continue()
  }

  /** The entries of the former list don't stay beside the reason why another one can't be shown. */
  #fail (failure: unknown): void {
    if (this.#isOther) this.entries.value = []
    this.error.value = failure
  }

  async #extend (start: Page<Entry>, count: number, signal: AbortSignal): Promise<void> {
    let page = start
    do {
      const limit = Math.min(Math.max(count - page.entries.length, PAGE_ENTRIES), MAX_PAGE_ENTRIES)
      const more = await this.#request({ limit, ...(page.next !== null && { cursor: page.next }) }, signal)
      if (signal.aborted) return
      page = { entries: [...this.#without(page.entries, more.entries), ...more.entries], next: more.next }
      this.#show(page)
    } while (page.next !== null && page.entries.length < count)
  }

  /** Loads the rest: at once if the user waits for it, else while the browser is idle. */
  #continue (): void {
    const { entries, next } = this.#loaded
    if (next !== null && this.#isAllWanted) {
      this.isLoading.value = true
      void this.#load(this.#loaded, Infinity)
    }
    if (next === null || this.#isAllWanted || entries.length >= IDLE_ENTRIES) return
    const isShown = this.entries.value.length > entries.length
    this.#cancel = whenIdle(isShown ? CALM_MS : 0, () => {
      void this.#load(this.#loaded, entries.length + MAX_PAGE_ENTRIES)
    })
  }

  #show (page: Page<Entry>): void {
    const rest = this.#isOther || page.next === null ? [] : this.#shownAfter(page.entries)
    this.#loaded = page
    batch(() => {
      this.entries.value = rest.length === 0 ? page.entries : [...page.entries, ...rest]
      this.isComplete.value = page.next === null || (this.isComplete.value && !this.#isOther)
    })
    this.#isOther = false
  }

  /** The shown entries after those that have been loaded again. */
  #shownAfter (loaded: readonly Entry[]): readonly Entry[] {
    const shown = this.entries.value
    const places = new Map(shown.map((entry, index) => [this.#keyOf(entry), index]))
    const last = loaded.findLast(entry => places.has(this.#keyOf(entry)))
    const place = last === undefined ? -1 : places.get(this.#keyOf(last)) ?? -1
    return this.#without(shown.slice(place + 1), loaded)
  }

  #without (entries: readonly Entry[], others: readonly Entry[]): readonly Entry[] {
    const keys = new Set(others.map(this.#keyOf))
    return entries.filter(entry => !keys.has(this.#keyOf(entry)))
  }

  #end (): void {
    this.#running = undefined
    this.isLoading.value = false
  }
}
