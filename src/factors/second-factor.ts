import { attemptKey } from '../accounts/attempt-limiter.ts'
import type { CodeOrigin } from '../accounts/sign-in.ts'
import type { Attempt, AttemptLimit, AttemptOutcome } from '../metadata/attempt-records.ts'
import type { AccountRecord, Factor } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { hashCode } from './codes.ts'
import { findStep, TOTP_PATTERN } from './totp.ts'

/** Wrong codes of six digits for one account from one network, in the window of failed sign-ins. */
const MAX_WRONG_CODES = 10
const WINDOW_SECONDS = 15 * 60

/**
 * Wrong codes for one account in a day from networks it has signed in from, and from all others: those who don't share
 * a network with its owner can't lock the owner out. With three valid codes out of a million, a guess from others
 * succeeds within a year with a probability of 2 %, and one from a known network of 5 %.
 */
const MAX_KNOWN_WRONG_CODES = 50
const MAX_UNKNOWN_WRONG_CODES = 20
const DAY_SECONDS = 24 * 3600

const TOTP_CODE = new RegExp(TOTP_PATTERN)

export type CodeVerifier = ReturnType<typeof createCodeVerifier>

/**
 * Checks one-time codes, which can be guessed and so are limited, and recovery and confirmation codes, which can't: so
 * nobody is locked out by the guesses of others.
 */
export function createCodeVerifier (
  { attemptLimiter, metadata, sealer, securityLog }:
  Pick<AppServices, 'attemptLimiter' | 'metadata' | 'sealer' | 'securityLog'>
) {
  /** @throws second_factor_wrong. */
  function refuse (account: AccountRecord, origin: CodeOrigin): never {
    securityLog.record({ kind: 'second_factor_wrong', account, ...origin })
    throw new Problem('second_factor_wrong')
  }

  async function useLimited (account: AccountRecord, code: string, origin: CodeOrigin): Promise<Factor> {
    const { network, isKnownNetwork } = origin
    const usernameKey = attemptKey(account.usernameKey)
    const attempt = { kind: 'second_factor', network, usernameKey, isKnownNetwork } as const
    const finish = await attemptLimiter.acquire(attempt, limitsFor(attempt), 'too_many_codes')
    let outcome: AttemptOutcome = 'released'
    try {
      const isRight = await useTotp(account, code)
      outcome = isRight ? 'succeeded' : 'failed'
      // The event shares the commit of the outcome.
      if (!isRight) refuse(account, origin)
      return 'totp'
    } finally {
      await finish(outcome)
    }
  }

  /** A code whose use can't be recorded, because the disk is full, is refused: it could be used again. */
  async function useTotp ({ id }: AccountRecord, code: string): Promise<boolean> {
    const { factors } = metadata
    const { totp, now } = await factors.findTotp(id)
    if (totp === undefined) return false
    const { secret } = totp
    const step = await findStep(await sealer.open(id, secret), code, now)
    return step !== undefined && factors.useTotp(id, { secret, step })
  }

  async function useLongCode (account: AccountRecord, hash: string, origin: CodeOrigin): Promise<Factor | undefined> {
    const { factors } = metadata
    if (await factors.useRecoveryCode(account.id, hash) !== undefined) {
      securityLog.record({ kind: 'recovery_code_used', account, ...origin })
      return 'recovery_code'
    }
    return await factors.useConfirmation(account.id, hash) ? 'passkey' : undefined
  }

  return {
    /**
     * Uses a code, which works only once. Returns what it was.
     * @throws second_factor_wrong, too_many_codes, storage_full if its use can't be recorded.
     */
    async use (account: AccountRecord, code: string, origin: CodeOrigin): Promise<Factor> {
      if (TOTP_CODE.test(code)) return useLimited(account, code, origin)
      return await useLongCode(account, hashCode(code), origin) ?? refuse(account, origin)
    }
  }
}

function limitsFor ({ kind, network, usernameKey, isKnownNetwork }: Omit<Attempt, 'at'>): AttemptLimit[] {
  const limit = isKnownNetwork ? MAX_KNOWN_WRONG_CODES : MAX_UNKNOWN_WRONG_CODES
  return [
    { matching: { kind, network, usernameKey }, limit: MAX_WRONG_CODES, seconds: WINDOW_SECONDS },
    { matching: { kind, usernameKey, isKnownNetwork }, limit, seconds: DAY_SECONDS }
  ]
}
