import { batch, computed, signal } from '@preact/signals'
import { bodyOf, type Month, type StoredFile } from 'magicstore'
import { throttled } from '../files/throttle.ts'
import { MAX_PAGE_ENTRIES } from '../pages.ts'
import { call } from '../session.ts'

/** What a request reads at least. */
const PAGE_FILES = 200

/** Files that stay before those in view, and after them: about 1 MB in all. */
const KEPT_FILES = 1000

/** While the user scrolls, what is in view is looked at this often. */
const SETTLE_MS = 100

/** From the first index to before `end`. */
export interface Span { readonly first: number, readonly end: number }

interface Gap { readonly start: number, readonly cursor: string, readonly limit: number }

/**
 * The pictures and videos of a folder and all below it, the newest first, by their index. The server counts those of
 * each month at once; of the files, only those around the view are read and kept. A page begins at a month, or where
 * another one has ended.
 */
export class Timeline {
  /** Undefined until they are loaded. */
  readonly months = signal<readonly Month[] | undefined>(undefined)
  readonly files = signal<ReadonlyMap<number, StoredFile>>(new Map())
  readonly count = computed(() => (this.months.value ?? []).reduce((sum, { files }) => sum + files, 0))
  readonly error = signal<unknown>()
  readonly #query: { readonly folder: string, readonly below: true, readonly kind: 'image,video' }
  /** Where pages begin: their cursors, by index. */
  #starts = new Map<number, string>()
  /** The indexes of the files that were read since the months were. Others may have changed. */
  #fresh = new Set<number>()
  #wanted: Span = { first: 0, end: 0 }
  #running: { readonly gap: Gap | undefined, readonly ended: AbortController } | undefined
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor (folder: string) {
    this.#query = { folder, below: true, kind: 'image,video' }
  }

  /** Counts the months and reads what is in view again, at most once in two seconds. */
  readonly refresh = throttled(() => { void this.#run(signal => this.#readMonths(signal)) })

  /** Takes what is in view, and reads it if it is not there. */
  see (wanted: Span): void {
    this.#wanted = wanted
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      if (this.error.peek() === undefined && !this.#isUseful() && this.#gap() !== undefined) void this.#run()
    }, SETTLE_MS)
  }

  /** Ends reading, because it is no longer shown. */
  end (): void {
    clearTimeout(this.#timer)
    this.#running?.ended.abort()
  }

  /** Whether what is being read is still in view, or the months are being read. */
  #isUseful (): boolean {
    if (this.#running === undefined) return false
    const { gap } = this.#running
    return gap === undefined || (gap.start < this.#wanted.end && gap.start + gap.limit > this.#wanted.first)
  }

  /** Runs an action and reads what is missing in view. Aborts what was running. */
  async #run (action?: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.#running?.ended.abort()
    const ended = new AbortController()
    const { signal } = ended
    this.#running = { gap: undefined, ended }
    this.error.value = undefined
    try {
      await action?.(signal)
      for (let gap = this.#gap(); gap !== undefined && !signal.aborted; gap = this.#gap()) {
        this.#running = { gap, ended }
        if (!await this.#readFiles(gap, signal)) break
      }
    } catch (failure) {
      if (!signal.aborted) this.error.value = failure
    }
    if (!signal.aborted) this.#running = undefined
  }

  async #readMonths (signal: AbortSignal): Promise<void> {
    const months = await call(store => store.timeline(this.#query, { signal }))
    if (signal.aborted) return
    let first = 0
    this.#fresh = new Set()
    this.#starts = new Map(months.map(({ files, cursor }) => {
      const start = first
      first += files
      return [start, cursor]
    }))
    this.months.value = months
  }

  /** What is to be read next: from the last page that is known to begin before what is missing. */
  #gap (): Gap | undefined {
    const end = Math.min(this.#wanted.end, this.count.peek())
    let missing = this.#wanted.first
    while (missing < end && this.#fresh.has(missing)) missing++
    if (missing >= end) return undefined
    // Upwards, a page would otherwise have little that is new.
    const latest = Math.max(0, missing - (this.#fresh.has(end) ? PAGE_FILES / 2 : 0))
    let [start, cursor] = [-1, '']
    for (const [index, next] of this.#starts) if (index > start && index <= latest) [start, cursor] = [index, next]
    if (start === -1) return undefined
    return { start, cursor, limit: Math.min(Math.max(end - start, PAGE_FILES), MAX_PAGE_ENTRIES) }
  }

  /** Returns whether there was something. */
  async #readFiles ({ start, cursor, limit }: Gap, signal: AbortSignal): Promise<boolean> {
    const query = { ...this.#query, order: '-taken', cursor, limit } as const
    const { files, next } = await call(async ({ api }) =>
      bodyOf(await api.GET('/api/files', { params: { query }, signal })))
    if (signal.aborted) return false
    const after = start + files.length
    if (next !== null) this.#starts.set(after, next)
    batch(() => this.#keep(files, start))
    return files.length > 0 || next !== null
  }

  /** Adds files, and forgets those that are far from the view. */
  #keep (files: readonly StoredFile[], start: number): void {
    const { first, end } = this.#wanted
    const isNear = (index: number) => index >= first - KEPT_FILES && index < end + KEPT_FILES
    const added = files.map((file, offset) => [start + offset, file] as const)
    const kept = new Map([...this.files.peek(), ...added].filter(([index]) => isNear(index)))
    for (const [index] of added) this.#fresh.add(index)
    for (const index of this.#fresh) if (!isNear(index)) this.#fresh.delete(index)
    this.files.value = kept
  }
}
