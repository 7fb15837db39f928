/** A clock that a test sets. Calls that are under way see every change: set it before a call, and wait for the call. */
export interface TestClock {
  /** Milliseconds since 1970: the time of this machine, until one is set. From then on it stands still. */
  readonly now: () => number
  set (time: number): void
  advance (milliseconds: number): void
}

/** Stands at `time`, if it is given. */
export function createTestClock (time?: number): TestClock {
  const now = () => time ?? Date.now()
  return {
    now,
    set (to) { time = to },
    advance (milliseconds) { time = now() + milliseconds }
  }
}
