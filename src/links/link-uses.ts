import type { LinkRepository } from '../metadata/links.ts'

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
interface UnwrittenUses { count: number, at: number }

/** Counts the uses of links. The first is written at once, further ones of the same minute together. */
export class LinkUses {
  readonly #options: LinkUsesOptions
  readonly #waiting = new Map<number, UnwrittenUses>()
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
    this.#waiting.set(linkId, { count: 1, at })
    this.#flush(linkId)
  }

  /** Writes what waits. Call it when no more uses come, before the database is closed. */
  async close (): Promise<void> {
    for (const [linkId, uses] of this.#waiting) if (uses.count > 0) this.#write(linkId, uses)
    this.#waiting.clear()
    await Promise.all(this.#writes)
  }

  /** Writes what waits, and again after a minute, until there were no uses for so long. */
  #flush (linkId: number): void {
    const uses = this.#waiting.get(linkId)
    if (uses === undefined) return
    if (uses.count === 0) {
      this.#waiting.delete(linkId)
      return
    }
    this.#write(linkId, uses)
    this.#waiting.set(linkId, { count: 0, at: uses.at })
    setTimeout(() => this.#flush(linkId), this.#options.intervalMilliseconds ?? INTERVAL_MILLISECONDS).unref()
  }

  #write (linkId: number, uses: UnwrittenUses): void {
    const { links, onFailure } = this.#options
    const write = links.recordUses(linkId, uses).catch(onFailure).finally(() => this.#writes.delete(write))
    this.#writes.add(write)
  }
}
