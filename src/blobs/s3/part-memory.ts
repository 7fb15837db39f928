import { Problem } from '../../problems.ts'
import { PART_BYTES } from './parts.ts'

/** How long a client may fill a part while others wait for memory. */
const TURN_MILLISECONDS = 250

/** Buffers that are kept for the next part: allocating one clears 5 MiB. */
const MAX_SPARE = 3

/** Memory for one part. Its owner releases it once. */
export interface PartSpace {
  readonly buffer: Buffer
  /** Lets others have it after its turn: `giveBack` then moves its content and releases it. Must not fail. */
  offer (giveBack: () => Promise<void>): void
  /** Ends the offer. */
  keep (): void
  release (): void
}

/** `isFirst`: before those that have given memory back already. */
export interface Demand { readonly bytes: number, readonly isFirst: boolean }

interface PendingDemand extends Demand { readonly give: () => void }

interface Offer { readonly bytes: number, readonly since: number, readonly giveBack: () => Promise<void> }

/**
 * The memory in which all uploads of the process collect their parts. When it is used up, uploads that have been
 * filling a part for longer than a turn give theirs back, so that no number of slow clients blocks others.
 */
export class PartMemory {
  readonly #maxBytes: number
  readonly #maxWaitMilliseconds: number
  readonly #waiting: PendingDemand[] = []
  /** The oldest offer first. */
  readonly #offers = new Map<PartSpace, Offer>()
  readonly #returning = new Map<PartSpace, number>()
  readonly #spare: Buffer[] = []
  #usedBytes = 0
  #timer: NodeJS.Timeout | undefined

  constructor (maxBytes: number, maxWaitMilliseconds: number) {
    this.#maxBytes = maxBytes
    this.#maxWaitMilliseconds = maxWaitMilliseconds
  }

  /**
   * The caller has offered all that it holds for a part that is not complete: otherwise uploads can deadlock.
   * @throws overloaded.
   */
  acquire (demand: Demand): Promise<PartSpace> {
    return new Promise((resolve, reject) => {
      const refuse = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1)
        reject(new Problem('overloaded', { retrySeconds: 5 }))
      }
      const timer = setTimeout(refuse, this.#maxWaitMilliseconds)
      const give = () => {
        clearTimeout(timer)
        resolve(this.#spaceOf(demand.bytes))
      }
      const waiter = { ...demand, give }
      const index = demand.isFirst ? this.#waiting.findIndex(({ isFirst }) => !isFirst) : -1
      this.#waiting.splice(index === -1 ? this.#waiting.length : index, 0, waiter)
      this.#serve()
    })
  }

  #spaceOf (bytes: number): PartSpace {
    const buffer = (bytes === PART_BYTES ? this.#spare.pop() : undefined) ?? Buffer.allocUnsafeSlow(bytes)
    const space: PartSpace = {
      buffer,
      offer: giveBack => {
        this.#offers.set(space, { bytes, since: performance.now(), giveBack })
        this.#reclaim()
      },
      keep: () => { this.#offers.delete(space) },
      release: () => {
        this.#offers.delete(space)
        this.#returning.delete(space)
        this.#usedBytes -= bytes
        if (bytes === PART_BYTES && this.#spare.length < MAX_SPARE) this.#spare.push(buffer)
        this.#serve()
      }
    }
    return space
  }

  #serve (): void {
    for (let [first] = this.#waiting; first !== undefined && this.#fits(first.bytes); [first] = this.#waiting) {
      this.#waiting.shift()
      this.#usedBytes += first.bytes
      first.give()
    }
    this.#reclaim()
  }

  /** A part that is larger than all of the memory has it to itself. */
  #fits (bytes: number): boolean {
    return this.#usedBytes === 0 || this.#usedBytes + bytes <= this.#maxBytes
  }

  /** Asks for as much as is waited for, from those whose turn is over. */
  #reclaim (): void {
    clearTimeout(this.#timer)
    let missing = sumOf(this.#waiting.map(({ bytes }) => bytes)) - sumOf(this.#returning.values())
    for (const [space, { bytes, since, giveBack }] of this.#offers) {
      if (missing <= 0) return
      const left = since + TURN_MILLISECONDS - performance.now()
      if (left > 0) {
        this.#timer = setTimeout(() => this.#reclaim(), left)
        return
      }
      missing -= bytes
      this.#offers.delete(space)
      this.#returning.set(space, bytes)
      void giveBack()
    }
  }
}

function sumOf (numbers: Iterable<number>): number {
  let sum = 0
  for (const number of numbers) sum += number
  return sum
}
