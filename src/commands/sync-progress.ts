import type { Act } from '../sync/plan.ts'
import { sizeText, tellAct, timeText } from './sync-words.ts'
import { createProgress } from './terminal.ts'

/** Minimum time between two updates of the line. */
const UPDATE_MILLISECONDS = 200

/** What a run has done and has to do, on one line of a terminal: acts, bytes, and the time that is left. */
export class SyncProgress {
  readonly #line = createProgress()
  readonly #now: () => number
  #startedAt = 0
  #drawnAt = -Infinity
  #read = 0
  #acts = 0
  #plannedActs = 0
  #bytes = 0
  #plannedBytes = 0

  constructor (now = () => performance.now()) {
    this.#now = now
  }

  /** Before each run. */
  begin (): void {
    this.#startedAt = this.#read = this.#acts = this.#bytes = 0
    this.#line.show('looking for changes')
  }

  /** Bytes that are read to know what has changed. */
  read (count: number): void {
    this.#read += count
    if (this.#startedAt === 0) this.#draw()
  }

  plan (acts: readonly Act[]): void {
    const told = acts.flatMap(act => tellAct(act) ?? [])
    this.#plannedActs = this.#acts + told.length
    this.#plannedBytes = this.#bytes + told.reduce((sum, { bytes = 0 }) => sum + bytes, 0)
    if (this.#startedAt > 0) return
    this.#startedAt = this.#now()
    this.#drawnAt = -Infinity
  }

  act (): void {
    this.#acts++
    this.#draw()
  }

  bytes (count: number): void {
    this.#bytes += count
    this.#draw()
  }

  /** Before other output, after which it is drawn again. */
  clear (): void {
    this.#drawnAt = -Infinity
    this.#line.clear()
  }

  #draw (): void {
    const now = this.#now()
    if (now - this.#drawnAt < UPDATE_MILLISECONDS) return
    this.#drawnAt = now
    if (this.#startedAt === 0) return this.#line.show(`looking for changes: ${sizeText(this.#read)} read`)
    this.#line.show(progressText({
      acts: this.#acts,
      plannedActs: this.#plannedActs,
      bytes: this.#bytes,
      // Bytes that are sent again after a cut were not planned.
      plannedBytes: Math.max(this.#bytes, this.#plannedBytes),
      seconds: (now - this.#startedAt) / 1000
    }))
  }
}

interface Done {
  readonly acts: number
  readonly plannedActs: number
  readonly bytes: number
  readonly plannedBytes: number
  readonly seconds: number
}

/** By bytes, or where there are none by acts. */
export function progressText ({ acts, plannedActs, bytes, plannedBytes, seconds }: Done): string {
  const share = plannedBytes > 0 ? bytes / plannedBytes : acts / plannedActs
  const left = share === 0 ? '' : `, ${timeText(seconds / share - seconds)} left`
  const size = plannedBytes === 0 ? '' : `, ${sizeText(bytes)} of ${sizeText(plannedBytes)}`
  return `${acts} of ${plannedActs}${size}${left}`
}
