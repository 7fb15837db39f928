import { setImmediate } from 'node:timers/promises'

/** Resolves in a turn of the event loop that nobody else has. */
export type TakeTurn = () => Promise<void>

/** For what many do at once, each in pieces: one piece a turn, however many there are, so that nobody waits for all. */
export function createTurns (): TakeTurn {
  let last = Promise.resolve()
  return () => {
    last = last.then(() => setImmediate())
    return last
  }
}
