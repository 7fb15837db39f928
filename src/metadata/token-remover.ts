import { and, asc, eq, inArray, isNull, ne, or } from 'drizzle-orm'
import type { Engine } from './engine.ts'
import { limitedTo } from './paging.ts'
import { type Db, matching, placeholder, prepared, query } from './rule.ts'

/** Deletes all tokens of an account, even if they are too many for one transaction. */
export type TokenRemover = ReturnType<typeof createTokenRemover>

export function createTokenRemover (engine: Engine) {
  const { maxDeletedRows, read, transactFor } = engine
  const { surplus, removeOldest, removeSignedIn, removeAll } = queriesOf(engine)

  return {
    /** Deletes the oldest tokens in transactions of their own until few are left. Most accounts never have more. */
    async thinOut (accountId: number): Promise<void> {
      if (maxDeletedRows === Infinity) return
      while ((await read(() => query(surplus, { accountId }))).length > 0) {
        await transactFor(accountId, () => query(removeOldest, { accountId }))
      }
    },

    /** Deletes the rest in the current transaction, after `thinOut`. */
    removeRest: (accountId: number) => query(removeAll, { accountId }),

    /** Deletes the sessions and the access tokens of passwords, but not one session and its access tokens. */
    removeSignedIn: (accountId: number, sessionId = 0) => query(removeSignedIn, { accountId, sessionId })
  }
}

function queriesOf ({ tables: { tokens }, maxDeletedRows }: Engine) {
  const isOfAccount = matching(tokens, 'accountId')
  const someOf = (db: Db, limit: number, offset = 0) => db.select({ id: tokens.id }).from(tokens).where(isOfAccount)
    .orderBy(limitedTo(asc(tokens.id), limit, offset))
  return {
    surplus: prepared('surplus_token', db => someOf(db, 1, maxDeletedRows)),
    removeOldest: prepared('remove_oldest_tokens', db => db.delete(tokens).where(inArray(tokens.id, someOf(db, maxDeletedRows)))),
    // An access token goes with its session.
    removeSignedIn: prepared('remove_signed_in', db => db.delete(tokens).where(and(isOfAccount, or(
      and(eq(tokens.kind, 'session'), ne(tokens.id, placeholder('sessionId'))),
      and(eq(tokens.kind, 'access'), isNull(tokens.parentId))
    )))),
    removeAll: prepared('remove_tokens', db => db.delete(tokens).where(isOfAccount))
  }
}
