import { Problem } from '../errors.ts'
import type { AccountRecord, Metadata } from '../metadata/metadata.ts'
import type { Passwords } from './password.ts'
import { findUsernameKey, usernameKey } from './username.ts'

interface AccountsOptions {
  metadata: Metadata
  passwords: Passwords
  registration: 'open' | 'closed'
}

/** What both registration and sign-in take. */
export interface UsernameAndPassword { username: string, password: string }

export interface Accounts {
  /** Adds a person who registers. @throws registration_closed, username_invalid, username_taken, password_invalid. */
  register (credentials: UsernameAndPassword): Promise<AccountRecord>
  /** The person with this username and password; undefined for an unknown name and for a wrong password, after the same work. */
  verify (credentials: UsernameAndPassword): Promise<AccountRecord | undefined>
  /** @throws user_unknown. */
  get (id: number): Promise<AccountRecord>
}

export function createAccounts ({ metadata, passwords, registration }: AccountsOptions): Accounts {
  async function add ({ username, password }: UsernameAndPassword): Promise<AccountRecord> {
    const key = usernameKey(username)
    // Refused here before the costly hash; the index decides again among those who come at the same time.
    if (await metadata.findAccountByKey(key) !== undefined) throw new Problem('username_taken')
    const passwordHash = await passwords.hash(passwords.accept(password, username))
    return metadata.addAccount({ username, usernameKey: key, passwordHash, createdAt: Date.now() })
  }

  return {
    async register (credentials) {
      if (registration === 'closed') throw new Problem('registration_closed')
      return add(credentials)
    },

    async verify ({ username, password }) {
      const key = findUsernameKey(username)
      const account = key === undefined ? undefined : await metadata.findAccountByKey(key)
      return await passwords.verify(password, account?.passwordHash) ? account : undefined
    },

    async get (id) {
      const account = await metadata.findAccount(id)
      if (account === undefined) throw new Problem('user_unknown')
      return account
    }
  }
}
