import { setTimeout as wait } from 'node:timers/promises'

/**
 * Delay before a sweep, so that requests in this time share it: one sweep for each of a thousand deletes cost 16 ms of
 * CPU time each.
 */
const DELAY_MILLISECONDS = 250

interface Sweep { readonly delay: AbortController, readonly ended: Promise<void> }

/**
 * Runs `sweep` on request, one at a time. Requests during a sweep share one that follows it. A failed sweep is not
 * repeated until the next request.
 */
export class Sweeper {
  readonly #sweep: (signal: AbortSignal) => Promise<void>
  readonly #onFailure: (error: unknown) => void
  readonly #stopping = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #next: Sweep | undefined
  #isClosing = false

  constructor (sweep: (signal: AbortSignal) => Promise<void>, onFailure: (error: unknown) => void) {
    this.#sweep = sweep
    this.#onFailure = onFailure
  }

  /** Requests a sweep, which starts soon. */
  request (): void {
    this.#nextSweep()
  }

  /** Starts the next sweep without the delay. Resolves when it has ended. */
  sweepNow (): Promise<void> {
    const { delay, ended } = this.#nextSweep()
    delay.abort()
    return ended
  }

  /** Aborts the signal of the sweep that runs, and of those that follow. */
  stop (): void {
    this.#stopping.abort()
  }

  /** Resolves when all requested sweeps have ended. */
  async close (): Promise<void> {
    this.#isClosing = true
    let last: Promise<void>
    do {
      this.#next?.delay.abort()
      last = this.#running
      await last
    } while (last !== this.#running)
  }

  #nextSweep (): Sweep {
    if (this.#next !== undefined) return this.#next
    const delay = new AbortController()
    if (this.#isClosing) delay.abort()
    this.#running = this.#run(this.#running, delay.signal)
    this.#next = { delay, ended: this.#running }
    return this.#next
  }

  async #run (before: Promise<void>, delayed: AbortSignal): Promise<void> {
    await before
    await wait(DELAY_MILLISECONDS, undefined, { signal: delayed }).catch(() => {})
    this.#next = undefined
    await this.#sweep(this.#stopping.signal).catch(this.#onFailure)
  }
}
