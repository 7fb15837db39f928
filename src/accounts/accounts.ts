import type { Reserve } from '../blobs/blob-store.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { AccountRecord, Attempt } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import { attemptKey, type AttemptLimiter } from './attempt-limiter.ts'
import type { Passwords } from './password.ts'
import { findUsernameKey, usernameKey } from './username.ts'

/** Registrations are counted for so long. */
const REGISTRATION_WINDOW_SECONDS = 3600

interface AccountsOptions {
  metadata: Metadata
  reserve: Reserve
  passwords: Passwords
  attemptLimiter: AttemptLimiter
  registration: 'open' | 'closed'
  /** From one network; 0 lifts the limit. */
  registrationsPerHour: number
}

/** What both registration and sign-in take. */
export interface UsernameAndPassword { username: string, password: string }

export interface Accounts {
  /** Adds a person who registers. @throws registration_closed, username_invalid, username_taken, password_invalid, too_many_registrations, overloaded. */
  register (credentials: UsernameAndPassword, network: string): Promise<AccountRecord>
  /** Adds a person for the operator. @throws username_invalid, username_taken, password_invalid. */
  add (credentials: UsernameAndPassword): Promise<AccountRecord>
  /** The person with this name, by its key, and this password; undefined for an unknown name, a wrong password and a person kept out, after the same work. */
  verify (usernameKey: string | undefined, password: string): Promise<AccountRecord | undefined>
  /** @throws user_unknown. */
  get (id: number): Promise<AccountRecord>
  /** @throws user_unknown. */
  getByUsername (username: string): Promise<AccountRecord>
  /** Sets a new password in place of the one that the record knows; every token of the person ends. @throws password_invalid, credentials_wrong where it is another by now. */
  changePassword (account: AccountRecord, password: string): Promise<void>
  /** Makes a person gone at once, with their tokens and files; their bytes are swept behind them. */
  remove (account: AccountRecord): Promise<void>
}

export function createAccounts ({ metadata, reserve, passwords, attemptLimiter, registration, registrationsPerHour }: AccountsOptions): Accounts {
  async function addCounted ({ username, password }: UsernameAndPassword, network?: string): Promise<AccountRecord> {
    const key = usernameKey(username)
    // Refused here before the costly hash; the index decides again among those who come at the same time.
    if (await metadata.findAccountByKey(key) !== undefined) throw new Problem('username_taken')
    const passwordHash = await passwords.hash(passwords.accept(password, username))
    const createdAt = Date.now()
    const attempt: Attempt | undefined = network === undefined ? undefined : { kind: 'registration', network, usernameKey: attemptKey(key), isKnownNetwork: false, at: createdAt }
    return metadata.addAccount({ username, usernameKey: key, passwordHash, createdAt }, attempt)
  }

  async function verify (key: string | undefined, password: string): Promise<AccountRecord | undefined> {
    const account = key === undefined ? undefined : await metadata.findAccountByKey(key)
    const isRight = await passwords.verify(password, account?.passwordHash)
    if (account === undefined || !isRight || account.disabledAt !== null) return undefined
    return passwords.isOutdated(account.passwordHash) ? rehash(account, password) : account
  }

  return {
    async register (credentials, network) {
      if (registration === 'closed') throw new Problem('registration_closed')
      const leave = await attemptLimiter.enter([{ matching: { kind: 'registration', network }, limit: registrationsPerHour, seconds: REGISTRATION_WINDOW_SECONDS }], 'too_many_registrations')
      try {
        return await addCounted(credentials, network)
      } finally {
        leave()
      }
    },

    add: credentials => addCounted(credentials),

    verify,

    async get (id) {
      return await metadata.findAccount(id) ?? refuseUnknown()
    },

    async getByUsername (username) {
      const key = findUsernameKey(username)
      return (key === undefined ? undefined : await metadata.findAccountByKey(key)) ?? refuseUnknown()
    },

    async changePassword (account, password) {
      const passwordHash = await passwords.hash(passwords.accept(password, account.username))
      await reserve.lend(() => metadata.setPasswordHash(account.id, passwordHash, { endsTokens: true, replaces: account.passwordHash }))
    },

    remove: ({ id }) => reserve.lend(() => metadata.removeAccount(id, Date.now()))
  }

  /** The password is at hand now and never again; what can't be written now is written at the next sign-in. */
  async function rehash (account: AccountRecord, password: string): Promise<AccountRecord | undefined> {
    const passwordHash = await passwords.hash(password.normalize('NFC'))
    try {
      await metadata.setPasswordHash(account.id, passwordHash, { endsTokens: false, replaces: account.passwordHash })
      return { ...account, passwordHash }
    } catch (error) {
      // Another sign-in was faster, or the password is another by now.
      return error instanceof Problem && error.code === 'credentials_wrong' ? verify(account.usernameKey, password) : account
    }
  }
}

function refuseUnknown (): never {
  throw new Problem('user_unknown')
}
