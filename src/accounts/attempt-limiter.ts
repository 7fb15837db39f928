import { hash } from 'node:crypto'
import { Problem, type FailureCode } from '../problems.ts'
import type { Attempt, AttemptLimit, AttemptOutcome } from '../metadata/attempt-records.ts'
import type { AttemptRepository } from '../metadata/attempts.ts'

/** Attempts that may wait for others to finish. */
const MAX_WAITING = 256

/** How long an attempt waits for those of other processes before it asks again. */
const RETRY_MILLISECONDS = 250

export type AttemptLimiter = ReturnType<typeof createAttemptLimiter>

/** The key by which attempts on a username are counted. Hashed, because users sometimes type their password there. */
export function attemptKey (usernameKey: string): string {
  return hash('sha256', usernameKey)
}

/** Limits failed sign-ins and registrations, across all processes that share the database. */
export function createAttemptLimiter (attempts: Pick<AttemptRepository, 'begin' | 'finish'>) {
  const waiting = new Set<() => void>()

  /** Resolves when an attempt of this process has ended, or after a moment, because one of another process may have. */
  async function waitForOthers (): Promise<void> {
    if (waiting.size >= MAX_WAITING) throw new Problem('overloaded', { retrySeconds: 1 })
    await new Promise<void>(resolve => {
      const resume = () => {
        clearTimeout(timer)
        waiting.delete(resume)
        resolve()
      }
      const timer = setTimeout(resume, RETRY_MILLISECONDS)
      waiting.add(resume)
    })
  }

  return {
    /**
     * Admits an attempt unless a limit is reached; the returned function must be called with its outcome. Only as many
     * attempts run at once as may still fail; the others wait, so parallel attempts can't exceed a limit. `limit` 0:
     * unlimited.
     * @throws `code` with `Retry-After` if a limit is reached or failures can no longer be counted; overloaded if too
     * many attempts wait.
     */
    async acquire (attempt: Omit<Attempt, 'at'>, limits: readonly AttemptLimit[], code: FailureCode) {
      const applied = limits.filter(({ limit }) => limit > 0)
      for (;;) {
        const begun = await attempts.begin(attempt, applied)
        if (begun.state === 'refused') throw new Problem(code, { retrySeconds: begun.retrySeconds })
        if (begun.state === 'busy') await waitForOthers()
        else {
          return async (outcome: AttemptOutcome): Promise<void> => {
            await attempts.finish(begun.id, outcome)
            for (const resume of waiting) resume()
          }
        }
      }
    }
  }
}
