import type { ChangeRepository } from '../metadata/changes.ts'
import { Problem } from '../problems.ts'

/** How often to look for changes: a browser shows those of another within a second. */
const POLL_MILLISECONDS = 500

/** Waiting requests of one account. A program needs one, and a page one for each of its windows. */
export const MAX_WAITING = 100

const RETRY_SECONDS = 5

/** A request that waits for changes. `until`: as `performance.now()`. */
interface Waiter { readonly lastId: number, readonly until: number, readonly end: () => void }

interface WaitOptions {
  /** The last change that the client has read. */
  readonly lastId: number
  readonly seconds: number
  /** Is given a function that ends the waiting, for a client that is gone. */
  readonly onceGone: (end: () => void) => void
}

/**
 * Reads the changes of accounts, and waits for them. While requests wait, one query each half second serves all of
 * them: no request has a timer of its own.
 */
export class Changes {
  readonly #repository: ChangeRepository
  readonly #waiters = new Map<number, Set<Waiter>>()
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  constructor (repository: ChangeRepository) {
    this.#repository = repository
  }

  /** The number of requests that wait. */
  countWaiting (): number {
    return Array.from(this.#waiters.values()).reduce((sum, { size }) => sum + size, 0)
  }

  /**
   * Resolves when the account has changes after `lastId`, when it is deleted, when the database can't be reached, when
   * the time is over, or when the server stops.
   * @throws too_many_waiting.
   */
  async wait (ownerId: number, { lastId, seconds, onceGone }: WaitOptions): Promise<void> {
    const waiters = this.#waiters.get(ownerId) ?? new Set()
    if (waiters.size >= MAX_WAITING) refuse()
    if (this.#isStopped) return
    this.#waiters.set(ownerId, waiters)
    await new Promise<void>(resolve => {
      const until = performance.now() + seconds * 1000
      const end = () => {
        // It runs again when the connection closes: by then others of the account may wait.
        if (!waiters.delete(waiter)) return
        if (waiters.size === 0) this.#waiters.delete(ownerId)
        resolve()
      }
      const waiter = { lastId, until, end }
      waiters.add(waiter)
      onceGone(end)
      this.#timer ??= this.#schedule()
    })
  }

  /** Ends the waiting of all requests, and of those to come. */
  stop (): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
    for (const { end } of this.#all().flatMap(([, waiters]) => waiters)) end()
  }

  #schedule (): NodeJS.Timeout {
    return setTimeout(() => { void this.#poll() }, POLL_MILLISECONDS)
  }

  async #poll (): Promise<void> {
    // Excludes requests that arrive during the query.
    const all = this.#all()
    // If nothing can be read, every request goes on, and its own query says why.
    const newest = await this.#repository.newest(all.map(([ownerId]) => ownerId)).catch(() => new Map<number, number>())
    const now = performance.now()
    for (const [ownerId, waiters] of all) {
      const id = newest.get(ownerId) ?? Infinity
      for (const waiter of waiters) if (id > waiter.lastId || now >= waiter.until) waiter.end()
    }
    this.#timer = this.#waiters.size === 0 ? undefined : this.#schedule()
  }

  #all (): [ownerId: number, waiters: Waiter[]][] {
    return Array.from(this.#waiters, ([ownerId, waiters]) => [ownerId, Array.from(waiters)])
  }
}

function refuse (): never {
  const detail = `At most ${MAX_WAITING} requests of an account may wait for changes.`
  throw new Problem('too_many_waiting', { detail, retrySeconds: RETRY_SECONDS })
}
