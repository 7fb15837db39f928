import { availableParallelism } from 'node:os'
import argon2 from 'argon2'
import pLimit from 'p-limit'
import { normaliseWithin } from '../http/wire-values.ts'
import { NO_PASSWORD } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import { isUsername } from './username.ts'

/** Longest password, in bytes of UTF-8 after NFC. A longer one is refused before hashing. */
const MAX_PASSWORD_BYTES = 1024

/** Fewest characters under the strict policy (NIST SP 800-63B section 5.1.1.2). */
const MIN_STRICT_POINTS = 8

/** OWASP's minimum for argon2id: 19 MiB, two passes, one lane; about 20 ms of one core. */
const parameters = { type: argon2.argon2id, memoryCost: 19456, timeCost: 2, parallelism: 1 } as const

/** The hash of no password, with these parameters: verifying against it makes an unknown user cost the same. */
const unknownUserHash = `$argon2id$v=19$m=19456,t=2,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`

/** Most hashes at once on any machine: each uses 19 MiB, and one of libuv's four threads is left for files. */
const MAX_HASHING = 3

/** Hashes that may be queued; beyond this, sign-ins are refused at once instead of answered late. */
const MAX_WAITING = 256

export type Passwords = Awaited<ReturnType<typeof createPasswords>>

/**
 * The password policy, and hashing with Argon2id in a queue. A `strict` policy also refuses short and common passwords,
 * and the username.
 */
export async function createPasswords (policy: 'open' | 'strict') {
  const commonPasswords = policy === 'open' ? undefined : await loadCommonPasswords()
  // One per core: one more makes sign-ins no faster, and delays other requests (p99 of GET /api/resource on two cores:
  // 16 ms instead of 9).
  const limit = pLimit(Math.min(availableParallelism(), MAX_HASHING))

  async function queued<T> (work: () => Promise<T>): Promise<T> {
    if (limit.pendingCount >= MAX_WAITING) throw new Problem('overloaded', { retrySeconds: 1 })
    return limit(work)
  }

  return {
    /**
     * Returns the form that is hashed and compared: NFC, otherwise unchanged.
     * @throws password_invalid if the policy refuses it.
     */
    accept (password: string, username: string): string {
      if (!password.isWellFormed()) refuse('The password is not well-formed Unicode.')
      const normalised = normaliseWithin(password, MAX_PASSWORD_BYTES)
      if (normalised === undefined) return refuse(`The password is longer than ${MAX_PASSWORD_BYTES} bytes.`)
      if (normalised === '') refuse('The password is empty.')
      if (commonPasswords === undefined) return normalised
      if (Array.from(normalised).length < MIN_STRICT_POINTS) {
        refuse(`The password must have at least ${MIN_STRICT_POINTS} characters.`)
      }
      if (commonPasswords.has(normalised.toLowerCase())) refuse('The password is too common.')
      if (isUsername(normalised, username)) refuse('The password must not be the username.')
      return normalised
    },

    /** @throws overloaded if the queue is full. */
    hash: (accepted: string) => queued(() => argon2.hash(accepted, parameters)),

    /**
     * Whether `password` has this hash. Without a hash, or if it is that of no password, does the same work and returns
     * false.
     * @throws overloaded if the queue is full.
     */
    async verify (password: string, hash: string | undefined): Promise<boolean> {
      const normalised = normaliseWithin(password, MAX_PASSWORD_BYTES)
      if (normalised === undefined) return false
      const hasPassword = hash !== undefined && hash !== NO_PASSWORD
      const isRight = await queued(() => argon2.verify(hasPassword ? hash : unknownUserHash, normalised))
      return isRight && hasPassword
    },

    /** Whether a hash was made with other parameters than the current ones. */
    isOutdated: (hash: string) => argon2.needsRehash(hash, parameters),

    /** Number of hashes being computed and queued. */
    queue: () => ({ running: limit.activeCount, waiting: limit.pendingCount })
  }
}

/** Loaded on demand: the list has almost a megabyte. */
async function loadCommonPasswords (): Promise<ReadonlySet<string>> {
  const { dictionary } = await import('@zxcvbn-ts/language-common')
  return new Set(dictionary['passwords-common'])
}

function refuse (detail: string): never {
  throw new Problem('password_invalid', { detail, errors: [{ field: 'password', message: detail }] })
}
