import { eq, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { Problem } from '../../errors.ts'
import type { Metadata } from '../metadata.ts'
import { isUniqueViolation, type Committer } from './committer.ts'
import { accounts, tokens } from './schema.ts'

type AccountActs = Pick<Metadata, 'addAccount' | 'findAccount' | 'findAccountByKey' | 'addToken' | 'findToken'>

export function createAccountActs (db: BetterSQLite3Database, { commit }: Committer): AccountActs {
  const byId = db.select().from(accounts).where(eq(accounts.id, sql.placeholder('id'))).prepare()
  const byKey = db.select().from(accounts).where(eq(accounts.usernameKey, sql.placeholder('key'))).prepare()
  const tokenById = db.select({ token: tokens, account: accounts }).from(tokens)
    .innerJoin(accounts, eq(accounts.id, tokens.accountId)).where(eq(tokens.id, sql.placeholder('id'))).prepare()

  return {
    addAccount: account => commit(() => {
      try {
        return db.insert(accounts).values(account).returning().get()
      } catch (error) {
        if (isUniqueViolation(error)) throw new Problem('username_taken', { cause: error })
        throw error
      }
    }),
    findAccount: async id => byId.get({ id }),
    findAccountByKey: async key => byKey.get({ key }),
    addToken: token => commit(() => db.insert(tokens).values(token).returning().get()),
    findToken: async id => tokenById.get({ id })
  }
}
