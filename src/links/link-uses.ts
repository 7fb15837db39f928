import type { LinkRepository } from '../metadata/link-repository.ts'

/** How often the uses of one link are written at most. */
const INTERVAL_MILLISECONDS = 60_000

/** Links whose uses wait to be written; beyond this, uses of further links are not counted until then. */
const MAX_WAITING = 100_000

interface LinkUsesOptions {
  readonly links: Pick<LinkRepository, 'recordUses'>
  readonly onFailure: (error: unknown) => void
  readonly intervalMilliseconds?: number
}

/** Uses since the last write, and when the last of them was. */
interface Waiting { count: number, at: number }

/** Counts the uses of links. The first is written at once, further ones of the same minute together. */
export class LinkUses {
  readonly #options: LinkUsesOptions
  readonly #waiting = new Map<number, Waiting>()
  readonly #writes = new Set<Promise<void>>()

  constructor (options: LinkUsesOptions) {
    this.#options = options
  }

  /** Counts a use at the time `at`. */
  add (linkId: number, at: number): void {
    const known = this.#waiting.get(linkId)
    if (known !== undefined) {
      known.count++
      known.at = at
      return
    }
    if (this.#waiting.size >= MAX_WAITING) return
    const waiting = { count: 0, at }
    this.#waiting.set(linkId, waiting)
    this.#write(linkId, { count: 1, at })
    setTimeout(() => this.#flush(linkId, waiting), this.#options.intervalMilliseconds ?? INTERVAL_MILLISECONDS).unref()
  }

  /** Writes what waits. Call it when no more uses come, before the database is closed. */
  async close (): Promise<void> {
    for (const [linkId, waiting] of Array.from(this.#waiting)) this.#flush(linkId, waiting)
    await Promise.all(this.#writes)
  }

  #flush (linkId: number, waiting: Waiting): void {
    this.#waiting.delete(linkId)
    if (waiting.count > 0) this.#write(linkId, { ...waiting })
    waiting.count = 0
  }

  #write (linkId: number, uses: Waiting): void {
    const { links, onFailure } = this.#options
    const write = links.recordUses(linkId, uses).catch(onFailure).finally(() => this.#writes.delete(write))
    this.#writes.add(write)
  }
}
