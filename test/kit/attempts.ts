import type { Attempt, AttemptFilter, NewAttempt } from '#src/metadata/attempt-records.ts'
import type { Metadata } from '#src/metadata/metadata.ts'

/** Records an attempt that fails now, by the clock of the database. */
export async function recordFailure (metadata: Metadata, attempt: NewAttempt): Promise<void> {
  const claim = await metadata.attempts.begin(attempt, [])
  if (claim.state === 'granted') await metadata.attempts.finish(claim.id, 'failed')
}

/** How many recorded failures of the last `seconds` a limit counts at the time `at`. */
export async function countFailures (
  metadata: Metadata, matching: AttemptFilter, { seconds = 900, at = Date.now() } = {}
): Promise<number> {
  const stranger: Attempt = { kind: 'sign_in', network: '', usernameKey: '', isKnownNetwork: true, at }
  for (let limit = 1; ; limit++) {
    const claim = await metadata.attempts.begin(stranger, [{ matching, limit, seconds }])
    if (claim.state === 'granted') await metadata.attempts.finish(claim.id, 'released')
    if (claim.state !== 'refused') return limit - 1
  }
}
