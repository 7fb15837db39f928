import { failureOf, isConnectionLost, isUndone } from './failures.ts'

/** How often a transaction is tried: after a serialisation failure, a deadlock or a lost connection. */
const MAX_TRIES = 4

/** After this time nothing is tried again: a request would wait several times for a server that does not answer. */
const REPEAT_MILLISECONDS = 5000

/** Repeats what was undone, by others or because the connection broke. */
export async function repeated<T> (run: () => Promise<T>, tries = 1, start = performance.now()): Promise<T> {
  return run().catch((error: unknown) => {
    const mayRepeat = tries < MAX_TRIES && performance.now() - start <= REPEAT_MILLISECONDS
    if (mayRepeat && (isConnectionLost(error) || isUndone(error))) return repeated(run, tries + 1, start)
    throw failureOf(error)
  })
}
