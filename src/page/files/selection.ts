import { computed, effect, signal } from '@preact/signals'
import type { Listing } from './listing.ts'

/** The entries of a list that an act is to apply to. An entry that leaves the list is not chosen any more. */
export class Selection<Entry> {
  readonly keyOf: (entry: Entry) => string
  readonly #listing: Listing<Entry>
  readonly #keys = signal<ReadonlySet<string>>(new Set())
  /** Where the last range begins and ends, and what was chosen before it. */
  #first: string | undefined
  #last: string | undefined
  #before: ReadonlySet<string> = new Set()
  #stopGrowing = () => {}

  /** While the rest of the list is loaded, because all of it is chosen. */
  readonly isGrowing = signal(false)

  /** The chosen entries, in the order of the list. */
  readonly entries =
    computed(() => this.#keys.value.size === 0 ? [] : this.#listing.entries.value.filter(entry => this.has(entry)))

  readonly isEmpty = computed(() => this.entries.value.length === 0)

  readonly isAll =
    computed(() => !this.isEmpty.value && this.entries.value.length === this.#listing.entries.value.length)

  constructor (listing: Listing<Entry>, keyOf: (entry: Entry) => string) {
    this.#listing = listing
    this.keyOf = keyOf
  }

  has (entry: Entry): boolean {
    return this.#keys.value.has(this.keyOf(entry))
  }

  toggle (entry: Entry): void {
    const key = this.keyOf(entry)
    const keys = new Set(this.#keys.peek())
    if (!keys.delete(key)) keys.add(key)
    this.#choose(keys)
    this.#begin(key)
  }

  /**
   * Chooses what is between two entries. The last range that began at the same entry changes its end. Without `from`,
   * the range begins at the entry that was chosen last.
   */
  extend (to: Entry, from?: Entry): void {
    if (from !== undefined && this.#last !== this.keyOf(from)) this.#begin(this.keyOf(from))
    const entries = this.#listing.entries.peek()
    const indexOf = (key: string | undefined) => entries.findIndex(entry => this.keyOf(entry) === key)
    const [first, last] = [indexOf(this.#first), indexOf(this.keyOf(to))]
    if (first === -1) return this.toggle(to)
    const range = entries.slice(Math.min(first, last), Math.max(first, last) + 1)
    this.#choose(new Set([...this.#before, ...range.map(this.keyOf)]))
    this.#last = this.keyOf(to)
  }

  /** Chooses all entries. Those that are not loaded follow, until the list is complete. */
  chooseAll (): void {
    this.#stopGrowing()
    const stop = effect(() => {
      const all = this.#listing.entries.value
      this.#keys.value = new Set(all.map(this.keyOf))
      const isGrowing = !this.#listing.isComplete.value && this.#listing.error.value === undefined
      this.isGrowing.value = isGrowing
      // What is added to the list later is not chosen.
      if (!isGrowing) queueMicrotask(() => this.#stopGrowing())
      else if (!this.#listing.isLoading.value) this.#listing.loadRest()
    })
    this.#stopGrowing = () => {
      stop()
      this.isGrowing.value = false
    }
  }

  /** Ends the choice of these entries, by default of all. */
  clear (entries?: readonly Entry[]): void {
    const ended = new Set(entries?.map(this.keyOf))
    this.#choose(new Set(entries === undefined ? [] : Array.from(this.#keys.peek()).filter(key => !ended.has(key))))
    this.#first = this.#last = undefined
    this.#before = new Set()
  }

  #choose (keys: ReadonlySet<string>): void {
    this.#stopGrowing()
    this.#keys.value = keys
  }

  /** The next range begins here. */
  #begin (key: string): void {
    this.#first = this.#last = key
    this.#before = this.#keys.peek()
  }
}
