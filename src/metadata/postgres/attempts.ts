import { and, eq, gt, inArray, lt, lte, or, sql } from 'drizzle-orm'
import { Problem } from '../../problems.ts'
import type { Metadata } from '../metadata.ts'
import { clock, prepared, type Connections } from './connections.ts'
import { callOf } from './results.ts'
import { accountNetworks, accounts, attemptClaims, attempts } from './schema.ts'

type AttemptRepository = Pick<Metadata,
  'claimAttempt' | 'finishAttempt' | 'removeAttempts' | 'isKnownNetwork' | 'addKnownNetwork'
>

/** How long a claim counts if its process does not finish it. Checking a password takes a second at most. */
const CLAIM_MILLISECONDS = 60_000

/**
 * A failure that another process recorded is in the future if its clock is ahead, or if this attempt has waited for a connection.
 * One that is later than this is from before the clock was set back.
 */
const SKEW_MILLISECONDS = 60_000

const { placeholder } = sql
const claim = prepared(db => db.select({
  state: sql<'granted' | 'refused' | 'busy'>`state`,
  id: sql`claim_id`.mapWith(Number),
  retrySeconds: sql`retry_seconds`.mapWith(Number)
}).from(callOf('claim_attempt', ['kind', 'network', 'usernameKey', 'isKnownNetwork', 'at', 'limits', 'claimMilliseconds', 'skewMilliseconds'])).prepare('claim_attempt'))

const finish = prepared(db => db.select({ done: sql`true` }).from(callOf('settle_attempt', ['claimId', 'outcome', 'now'])).prepare('settle_attempt'))

const known = prepared(db => db.select({ network: accountNetworks.network }).from(accountNetworks)
  .innerJoin(accounts, eq(accounts.id, accountNetworks.accountId))
  .where(and(eq(accounts.usernameKey, placeholder('usernameKey')), eq(accountNetworks.network, placeholder('network')))).prepare('known_network'))

export function createAttemptRepository ({ read, execute, executeIdempotent }: Connections): AttemptRepository {
  return {
    claimAttempt: (attempt, limits) => execute(async db => {
      const [row] = await claim(db).execute({ at: null, ...attempt, limits: JSON.stringify(limits), claimMilliseconds: CLAIM_MILLISECONDS, skewMilliseconds: SKEW_MILLISECONDS })
      const { state, id, retrySeconds } = row as NonNullable<typeof row>
      if (state === 'granted') return { state, id }
      return state === 'refused' ? { state, retrySeconds } : { state }
    }),

    async finishAttempt (claimId, outcome, now) {
      // While nothing can be recorded, nothing can be claimed either. A claim that stays counts until it expires.
      await executeIdempotent(db => finish(db).execute({ claimId, outcome, now: now ?? null })).catch((error: unknown) => {
        if (!(error instanceof Problem)) throw error
      })
    },

    removeAttempts: ({ since, until, limit }) => executeIdempotent(async db => {
      const batch = db.select({ id: attempts.id }).from(attempts).where(or(lt(attempts.at, since), gt(attempts.at, until)))
        .limit(limit).for('update', { skipLocked: true })
      const lapsed = db.select({ id: attemptClaims.id }).from(attemptClaims).where(lte(attemptClaims.expiresAt, clock)).limit(limit)
      await db.delete(attemptClaims).where(inArray(attemptClaims.id, lapsed))
      const { rowCount } = await db.delete(attempts).where(inArray(attempts.id, batch))
      return rowCount === limit
    }),

    isKnownNetwork: (usernameKey, network) => read(async db => (await known(db).execute({ usernameKey, network })).length > 0),

    addKnownNetwork: (accountId, network, at) => execute(async db => {
      const { rowCount } = await db.insert(accountNetworks).values({ accountId, network, firstAt: at }).onConflictDoNothing()
      return rowCount === 1
    })
  }
}
