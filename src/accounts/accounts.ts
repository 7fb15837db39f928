import type { Reserve } from '../blobs/blob-store.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { AccountRecord, Attempt } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import { attemptKey, type AttemptLimiter } from './attempt-limiter.ts'
import type { Passwords } from './password.ts'
import { findUsernameKey, usernameKey } from './username.ts'

/** The window in which registrations are counted. */
const REGISTRATION_WINDOW_SECONDS = 3600

interface AccountsOptions {
  metadata: Metadata
  reserve: Reserve
  passwords: Passwords
  attemptLimiter: AttemptLimiter
  registration: 'open' | 'closed'
  /** Registrations allowed from one network; 0 means unlimited. */
  registrationsPerHour: number
}

/** A registration under way; a successful one is counted by these values. */
type Registration = Omit<Attempt, 'at'>

/** The input of registration and of sign-in. */
export interface UsernameAndPassword { username: string, password: string }

/** The rules of accounts: registration, password changes and removal. Signing in is in `sign-in.ts`. */
export interface Accounts {
  /**
   * Adds an account that a user registers.
   * @throws registration_closed, username_invalid, username_taken, password_invalid, too_many_registrations, overloaded.
   */
  register (credentials: UsernameAndPassword, network: string): Promise<AccountRecord>
  /** Adds an account for the operator. @throws username_invalid, username_taken, password_invalid. */
  add (credentials: UsernameAndPassword): Promise<AccountRecord>
  /** @throws user_unknown. */
  get (id: number): Promise<AccountRecord>
  /** @throws user_unknown. */
  getByUsername (username: string): Promise<AccountRecord>
  /**
   * Replaces the password and revokes all tokens of the account.
   * @throws password_invalid, credentials_wrong if the password has changed since `account` was read.
   */
  changePassword (account: AccountRecord, password: string): Promise<void>
  /** Removes an account with its tokens and files at once; the file contents are deleted in the background. */
  remove (account: AccountRecord): Promise<void>
}

export function createAccounts (options: AccountsOptions): Accounts {
  const { metadata, reserve, passwords, attemptLimiter, registration, registrationsPerHour } = options

  async function create ({ username, password }: UsernameAndPassword, attempt?: Registration): Promise<AccountRecord> {
    const key = usernameKey(username)
    // Refused here before the expensive hash; the unique index decides between concurrent registrations.
    if (await metadata.accounts.findByKey(key) !== undefined) throw new Problem('username_taken')
    const passwordHash = await passwords.hash(passwords.accept(password, username))
    return metadata.accounts.add({ username, usernameKey: key, passwordHash }, attempt)
  }

  return {
    async register (credentials, network) {
      if (registration === 'closed') throw new Problem('registration_closed')
      const kind = 'registration'
      const attempt = { kind, network, usernameKey: attemptKey(findUsernameKey(credentials.username) ?? ''), isKnownNetwork: false } as const
      const limit = { matching: { kind, network }, limit: registrationsPerHour, seconds: REGISTRATION_WINDOW_SECONDS } as const
      const finish = await attemptLimiter.acquire(attempt, [limit], 'too_many_registrations')
      try {
        return await create(credentials, attempt)
      } finally {
        await finish('released')
      }
    },

    add: credentials => create(credentials),

    async get (id) {
      return await metadata.accounts.find(id) ?? refuseUnknown()
    },

    async getByUsername (username) {
      const key = findUsernameKey(username)
      return (key === undefined ? undefined : await metadata.accounts.findByKey(key)) ?? refuseUnknown()
    },

    async changePassword (account, password) {
      const passwordHash = await passwords.hash(passwords.accept(password, account.username))
      await reserve.withSpace(() => metadata.accounts.setPasswordHash(account.id, passwordHash, { revokesTokens: true, expectedHash: account.passwordHash }))
    },

    remove: ({ id }) => reserve.withSpace(() => metadata.accounts.remove(id, Date.now()))
  }
}

function refuseUnknown (): never {
  throw new Problem('user_unknown')
}
