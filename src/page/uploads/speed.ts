import { signal, type Signal } from '@preact/signals'

/** Time between measurements. Shorter ones vary too much, because bytes are sent in bursts. */
const MEASURE_MS = 1000

/** Weight of the newest measurement: the value follows a change within about five measurements. */
const SHARE = 0.3

export interface SpeedMeter {
  readonly bytesPerSecond: Signal<number | undefined>
  /** Records how many bytes were sent at a point in time. */
  measure (bytes: number, atMs: number): void
  /** Starts anew for another transfer. */
  reset (): void
}

/** The smoothed speed of a transfer. */
export function createSpeedMeter (): SpeedMeter {
  const bytesPerSecond = signal<number | undefined>(undefined)
  let last: { bytes: number, atMs: number } | undefined

  return {
    bytesPerSecond,
    measure (bytes, atMs) {
      // After an interruption, bytes that were not stored are sent again.
      if (last === undefined || bytes < last.bytes) last = { bytes, atMs }
      const passedMs = atMs - last.atMs
      if (passedMs < MEASURE_MS) return
      const now = (bytes - last.bytes) / passedMs * 1000
      const before = bytesPerSecond.peek()
      bytesPerSecond.value = before === undefined ? now : before + SHARE * (now - before)
      last = { bytes, atMs }
    },
    reset () {
      last = undefined
      bytesPerSecond.value = undefined
    }
  }
}
