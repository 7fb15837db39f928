import type { Metadata } from '../metadata/metadata.ts'
import type { AccountRecord } from '../metadata/records.ts'
import type { Accounts, UsernameAndPassword } from './accounts.ts'
import { attemptKey, type AttemptLimiter } from './attempt-limiter.ts'
import { findUsernameKey } from './username.ts'

/** Failures are counted for so long. */
export const SIGN_IN_WINDOW_SECONDS = 15 * 60

/** A network may fail so many times what one person may fail from it: many people can share one. */
export const NETWORK_FACTOR = 10

/** Failures on one account from networks that never signed in to it, before such networks are slowed. */
export const STRANGER_FAILURES = 100

interface SignInOptions {
  metadata: Metadata
  accounts: Accounts
  attemptLimiter: AttemptLimiter
  /** Failures of one account from one network. */
  maxFailures: number
}

export interface SignIn {
  /**
   * The person with this username and password, asked for from `network`; undefined where there is none, after the same
   * work and the same count. `isNewNetwork`: they never signed in from there before.
   * @throws too_many_sign_ins before any hashing, overloaded.
   */
  verify (credentials: UsernameAndPassword, network: string): Promise<{ account: AccountRecord, isNewNetwork: boolean } | undefined>
  /** Whether what a person proved a while ago still holds: they are there, not kept out, and have the same password. */
  isCurrent (account: AccountRecord): Promise<boolean>
  /** Whose name it is; undefined where nobody has it. */
  findId (username: string): Promise<number | undefined>
}

export function createSignIn ({ metadata, accounts, attemptLimiter, maxFailures }: SignInOptions): SignIn {
  function rulesFor (usernameKey: string, network: string, isKnownNetwork: boolean) {
    const seconds = SIGN_IN_WINDOW_SECONDS
    return [
      { matching: { kind: 'sign_in', network, usernameKey }, limit: maxFailures, seconds },
      { matching: { kind: 'sign_in', network }, limit: maxFailures * NETWORK_FACTOR, seconds },
      // The networks a person signs in from are never slowed by what others do: nobody can lock them out.
      ...(isKnownNetwork ? [] : [{ matching: { kind: 'sign_in', usernameKey, isKnownNetwork: false }, limit: STRANGER_FAILURES, seconds }] as const)
    ] as const
  }

  return {
    async verify ({ username, password }, network) {
      const usernameKey = findUsernameKey(username)
      // Names that nobody can have are counted together.
      const counted = attemptKey(usernameKey ?? '')
      const isKnownNetwork = await metadata.isKnownNetwork(usernameKey ?? '', network)
      const leave = await attemptLimiter.enter(rulesFor(counted, network, isKnownNetwork), 'too_many_sign_ins')
      try {
        const account = await accounts.verify(usernameKey, password)
        if (account === undefined) {
          await attemptLimiter.count({ kind: 'sign_in', network, usernameKey: counted, isKnownNetwork, at: Date.now() })
          return undefined
        }
        if (!isKnownNetwork) await metadata.addKnownNetwork(account.id, network, Date.now()).catch(() => {})
        await attemptLimiter.forgive(counted, network)
        return { account, isNewNetwork: !isKnownNetwork }
      } finally {
        leave()
      }
    },

    async isCurrent ({ id, passwordHash }) {
      const now = await metadata.findAccount(id)
      return now?.passwordHash === passwordHash && now.disabledAt === null
    },

    async findId (username) {
      return (await metadata.findAccountByKey(findUsernameKey(username) ?? ''))?.id
    }
  }
}
