import type { Metadata } from '../src/metadata/metadata.ts'
import type { Attempt, AttemptFilter } from '../src/metadata/records.ts'

/** Records an attempt that failed at `attempt.at`, as a server did then. */
export async function recordFailure (metadata: Metadata, attempt: Attempt): Promise<void> {
  const claim = await metadata.claimAttempt(attempt, [])
  if (claim.state === 'granted') await metadata.finishAttempt(claim.id, 'failed', attempt.at)
}

/** How many recorded failures of the last `seconds` a limit counts at the time `at`. */
export async function countFailures (metadata: Metadata, matching: AttemptFilter, { seconds = 900, at = Date.now() } = {}): Promise<number> {
  const stranger: Attempt = { kind: 'sign_in', network: '', usernameKey: '', isKnownNetwork: true, at }
  for (let limit = 1; ; limit++) {
    const claim = await metadata.claimAttempt(stranger, [{ matching, limit, seconds }])
    if (claim.state === 'granted') await metadata.finishAttempt(claim.id, 'released', at)
    if (claim.state !== 'refused') return limit - 1
  }
}
