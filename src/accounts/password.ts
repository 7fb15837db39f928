import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import argon2 from 'argon2'
import pLimit from 'p-limit'
import { normaliseWithin } from '../http/wire-values.ts'
import { Problem } from '../problems.ts'
import { createGathering } from './batcher.ts'

/** Longest password, in bytes of UTF-8 after NFC; a longer one is refused before any hashing. */
export const MAX_PASSWORD_BYTES = 1024

/** Fewest characters under the strict policy (NIST SP 800-63B section 5.1.1.2). */
const MIN_STRICT_POINTS = 8

/** OWASP's floor for argon2id: 19 MiB, two passes, one lane; about 20 ms of one core. */
const parameters = { type: argon2.argon2id, memoryCost: 19456, timeCost: 2, parallelism: 1 } as const

/** Hashes at a time on however many cores: each holds 19 MiB, and of the four threads that a pool has at least, one is left to the file system. */
const MAX_HASHING = 3

/**
 * Results that leave together while others wait their turn. Each hash sweeps the caches of its core, and what follows it costs
 * ten times what it costs warm: in a group only the first pays for that, and one commit takes the tokens of all.
 */
const RESULTS_TOGETHER = 4

/** Time in which about four hashes end on two cores. */
const MAX_HOLD_MILLISECONDS = 50

/** Hashes that may wait their turn; beyond, a sign-in is refused at once rather than answered late. */
const MAX_WAITING = 256

export interface Passwords {
  /** The form that is hashed and compared: NFC and nothing else. @throws password_invalid where the policy refuses it. */
  accept (password: string, username: string): string
  /** @throws overloaded where too many wait. */
  hash (accepted: string): Promise<string>
  /** True where `password` has this hash; without a hash the work is the same and the answer false. @throws overloaded where too many wait. */
  verify (password: string, hash: string | undefined): Promise<boolean>
  /** Whether a hash was made with other parameters than today's. */
  isOutdated (hash: string): boolean
  /** Hashes being computed now, and those that wait for their turn. */
  readonly queue: { readonly running: number, readonly waiting: number }
}

export async function createPasswords (policy: 'open' | 'strict'): Promise<Passwords> {
  // A hash that no password has, so that an unknown user costs what a known one does.
  const nobody = argon2.hash(randomBytes(32), parameters)
  nobody.catch(() => {})
  const commonPasswords = policy === 'strict' ? await readCommonPasswords() : undefined

  // One more than there are cores, so that none is idle until this thread has begun the next; more would only keep each other waiting.
  const limit = pLimit(Math.min(availableParallelism() + 1, MAX_HASHING))
  const gather = createGathering({ size: RESULTS_TOGETHER, milliseconds: MAX_HOLD_MILLISECONDS, expectsMore: () => limit.pendingCount > 0 })

  async function gated<T> (work: () => Promise<T>): Promise<T> {
    if (limit.pendingCount >= MAX_WAITING) throw new Problem('overloaded', { headers: { 'retry-after': '1' } })
    const result = await limit(work)
    await gather()
    return result
  }

  function accept (password: string, username: string): string {
    if (!password.isWellFormed()) refuse('It is not well-formed Unicode.')
    const normalised = normaliseWithin(password, MAX_PASSWORD_BYTES) ?? refuse(`It has more than ${MAX_PASSWORD_BYTES} bytes.`)
    if (normalised === '') refuse('It is empty.')
    if (commonPasswords === undefined) return normalised
    if (Array.from(normalised).length < MIN_STRICT_POINTS) refuse(`It must have ${MIN_STRICT_POINTS} characters or more.`)
    const folded = normalised.toLowerCase()
    if (commonPasswords.has(folded)) refuse('It is among the commonly used ones.')
    if (folded === username.normalize('NFC').toLowerCase()) refuse('It is the username.')
    return normalised
  }

  return {
    accept,
    hash: accepted => gated(() => argon2.hash(accepted, parameters)),
    async verify (password, hash) {
      const normalised = normaliseWithin(password, MAX_PASSWORD_BYTES)
      if (normalised === undefined) return false
      const isRight = await gated(async () => argon2.verify(hash ?? await nobody, normalised))
      return isRight && hash !== undefined
    },
    isOutdated: hash => argon2.needsRehash(hash, parameters),
    get queue () { return { running: limit.activeCount, waiting: limit.pendingCount } }
  }
}

/** Read only where it is asked for: the list is most of a megabyte. */
async function readCommonPasswords (): Promise<Set<string>> {
  const { dictionary } = await import('@zxcvbn-ts/language-common')
  return new Set(dictionary['passwords-common'])
}

function refuse (detail: string): never {
  throw new Problem('password_invalid', { detail, errors: [{ field: 'password', message: detail }] })
}
