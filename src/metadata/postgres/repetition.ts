import { failures, Problem } from '../../problems.ts'
import { OutcomeUnknown } from '../metadata.ts'
import { failureOf, isConnectionLost, isUndone } from './failures.ts'

/** How often a transaction is tried: after a serialisation failure, a deadlock or a lost connection. */
const MAX_TRIES = 4

/** After this time nothing is tried again: a request would wait several times for a server that does not answer. */
const REPEAT_MILLISECONDS = 5000

/** Repeats `run` while `canRepeat` allows. An unknown outcome stays unknown until a retry is refused. */
export async function repeated<T> (
  run: (isRepeated: boolean) => Promise<T>, canRepeat: (error: unknown) => boolean
): Promise<T> {
  let unknown: OutcomeUnknown | undefined
  const start = performance.now()
  for (let tries = 1; ; tries++) {
    const end = await run(unknown !== undefined).then(value => ({ value }), (error: unknown) => ({ error }))
    if ('value' in end) return end.value
    if (end.error instanceof OutcomeUnknown) unknown ??= end.error
    if (tries === MAX_TRIES || performance.now() - start > REPEAT_MILLISECONDS || !canRepeat(end.error)) {
      const failure = failureOf(end.error)
      throw unknown === undefined || isRefusal(failure) ? failure : unknown
    }
  }
}

/** True if nothing has happened: a transaction whose connection breaks before its commit is undone. */
export function isHarmless (error: unknown): boolean {
  return isConnectionLost(error) || isUndone(error)
}

function isRefusal (failure: unknown): boolean {
  return failure instanceof Problem && failures[failure.code].status < 500
}
