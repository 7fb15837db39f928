import { getTableColumns } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Engine } from './engine.ts'
import type { AccountRecord, NewAccount } from './records.ts'
import { query, Refusal, type Rule } from './rule.ts'
import type { Tables } from './schema.ts'

/** The columns of an `AccountRecord`: all but `removedAt` and `keptContents`. */
export function accountColumns ({ accounts }: Tables) {
  const { removedAt: _removedAt, keptContents: _keptContents, ...columns } = getTableColumns(accounts)
  return columns
}

/** Adds an account in the current transaction. @throws username_taken. */
export type AddAccount = (account: NewAccount) => Rule<AccountRecord>

export function createAccountAdder ({ tables, now }: Engine): AddAccount {
  return function * (account) {
    const time = yield * now()
    try {
      const [added] = yield * query(db => db.insert(tables.accounts).values({ createdAt: time, ...account })
        .returning(accountColumns(tables)))
      return added as AccountRecord
    } catch (error) {
      throw error instanceof Refusal ? new Problem('username_taken', { cause: error }) : error
    }
  }
}
