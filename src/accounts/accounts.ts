import type { NewAttempt } from '../metadata/attempt-records.ts'
import type { AccountRecord, NewAccount } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { attemptKey } from './attempt-limiter.ts'
import { findUsernameKey, usernameKey } from './username.ts'

/** The window in which registrations are counted. */
const REGISTRATION_WINDOW_SECONDS = 3600

/** The input of registration and of sign-in. */
export interface UsernameAndPassword { username: string, password: string }

export type Accounts = ReturnType<typeof createAccounts>

/** The rules of accounts: registration, password changes and removal. Signing in is in `sign-in.ts`. */
export function createAccounts (
  { attemptLimiter, config, metadata, passwords }:
  Pick<AppServices, 'attemptLimiter' | 'config' | 'metadata' | 'passwords'>
) {
  /** Checks a name and a password, and hashes it. @throws username_invalid, username_taken, password_invalid. */
  async function prepare ({ username, password }: UsernameAndPassword): Promise<NewAccount> {
    const key = usernameKey(username)
    // Refused here before the expensive hash; the unique index decides between concurrent registrations.
    if (await metadata.accounts.findByKey(key) !== undefined) throw new Problem('username_taken')
    const passwordHash = await passwords.hash(passwords.accept(password, username))
    return { username, usernameKey: key, passwordHash }
  }

  /** Runs `add` within the limit of registrations. @throws too_many_registrations. */
  async function registerWithin (
    username: string, network: string, add: (attempt: NewAttempt) => Promise<AccountRecord>
  ): Promise<AccountRecord> {
    const kind = 'registration'
    const usernameKey = attemptKey(findUsernameKey(username) ?? '')
    const attempt = { kind, network, usernameKey, isKnownNetwork: false } as const
    const matching = { kind, network } as const
    const limit = { matching, limit: config.registrationsPerHour, seconds: REGISTRATION_WINDOW_SECONDS }
    const finish = await attemptLimiter.acquire(attempt, [limit], 'too_many_registrations')
    try {
      return await add(attempt)
    } finally {
      await finish('released')
    }
  }

  return {
    /**
     * Adds an account with a password that a user registers.
     * @throws registration_closed, username_invalid, username_taken, password_invalid, too_many_registrations,
     * overloaded.
     */
    async register (credentials: UsernameAndPassword, network: string): Promise<AccountRecord> {
      if (config.registration !== 'open') throw new Problem('registration_closed')
      const { username } = credentials
      return registerWithin(username, network, async attempt =>
        metadata.accounts.add(await prepare(credentials), attempt))
    },
    registerWithin,

    /** Adds an account for the operator. @throws username_invalid, username_taken, password_invalid. */
    async add (credentials: UsernameAndPassword): Promise<AccountRecord> {
      return metadata.accounts.add(await prepare(credentials))
    },
    prepare,

    /** @throws user_unknown. */
    async get (id: number): Promise<AccountRecord> {
      return await metadata.accounts.find(id) ?? refuseUnknown()
    },

    /** @throws user_unknown. */
    async getByUsername (username: string): Promise<AccountRecord> {
      const key = findUsernameKey(username)
      return (key === undefined ? undefined : await metadata.accounts.findByKey(key)) ?? refuseUnknown()
    },

    /**
     * Replaces the password and revokes all tokens of the account.
     * @throws password_invalid, credentials_wrong if the password or a factor has changed since `account` was read.
     */
    async changePassword (account: AccountRecord, password: string): Promise<void> {
      const hash = await passwords.hash(passwords.accept(password, account.username))
      await metadata.accounts.setPasswordHash(account, hash, { revokesTokens: true })
    },

    /** Removes an account with its tokens and files at once; the file contents are deleted in the background. */
    remove ({ id }: AccountRecord): Promise<void> {
      return metadata.accounts.remove(id, Date.now())
    }
  }
}

function refuseUnknown (): never {
  throw new Problem('user_unknown')
}
