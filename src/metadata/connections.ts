import { and, count, desc, eq, gt, inArray, isNull, lte, max, min, or, type SQL } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { AccountRecord, KeptEvents, NewEvent, NewToken } from './records.ts'
import { type Db, existing, first, isAny, query, type Rule } from './rule.ts'
import type { RowOf } from './schema.ts'
import type { Services } from './services.ts'

/** A connection as stored: one that nobody has allowed has no account. */
export type ConnectionRecord = RowOf<'connections'>

/** A connection to be added. */
export type NewConnection = Omit<ConnectionRecord, 'expiresAt' | 'accountId' | 'factors'>

/** How long a connection is open, and how many may be. */
export interface ConnectionLimits {
  readonly milliseconds: number
  readonly maxOfNetwork: number
  readonly maxInAll: number
}

/** What the token of a connection has that the connection does not say. */
export interface ConnectionToken extends Pick<NewToken, 'secretHash'> {
  readonly maxTokens: number
  readonly lifetimeMilliseconds: number
  /** Added with the token. */
  readonly event: Omit<NewEvent, 'accountId'>
  readonly keep: KeptEvents
}

/**
 * Connections of programs: a part of the contract of {@link Metadata}. One is open until it is refused or expires, or
 * its program takes the token. That it is allowed ends with the tokens of its account.
 */
export type ConnectionRepository = ReturnType<typeof createConnections>

export function createConnections ({ engine, factorChanges, addToken, read, write, ownerWrite }: Services) {
  const { tables: { connections }, clock, now, transactFor, apply, exclusively, isUnlockedIn } = engine
  const isOpen = gt(connections.expiresAt, clock)

  const find = (condition: SQL | undefined) => query(db => db.select().from(connections)
    .where(and(isOpen, condition)), first)

  const removeOne = (condition: SQL | undefined) =>
    query(db => db.delete(connections).where(and(isOpen, condition)).returning(), existing)

  /** @throws too_many_connections. */
  function * refuseBeyond (network: string, { maxOfNetwork }: ConnectionLimits, time: number): Rule<void> {
    const found = yield * query(db => db.select({ count: count(), earliest: min(connections.expiresAt) })
      .from(connections).where(and(isOpen, eq(connections.network, network))), existing)
    if (found.count >= maxOfNetwork) refuse(Number(found.earliest) - time)
  }

  /**
   * Beyond `maxInAll`, deletes the newest connection of the block with most: who has many networks can't keep others
   * out. @throws too_many_connections if that is the one that was added.
   */
  function * makeRoom (addedId: string, { maxInAll, milliseconds }: ConnectionLimits): Rule<void> {
    const total = yield * query(db => db.select({ count: count() }).from(connections).where(isOpen), existing)
    if (total.count <= maxInAll) return
    const largest = (db: Db) => db.select({ block: connections.block }).from(connections).where(isOpen)
      .groupBy(connections.block).orderBy(desc(count()), desc(max(connections.expiresAt))).limit(1)
    const newest = (db: Db) => db.select({ id: connections.id }).from(connections)
      .where(and(isOpen, inArray(connections.block, largest(db))))
      .orderBy(desc(connections.expiresAt), desc(eq(connections.id, addedId))).limit(1)
    const removed = yield * query(
      db => db.delete(connections).where(inArray(connections.id, newest(db))).returning({ id: connections.id }),
      existing
    )
    if (removed.id === addedId) refuse(milliseconds)
  }

  /** The token of an allowed connection, which ends. @throws not_found. */
  const takeAllowed = ownerWrite(function * ({ owner, time }, id: string, token: ConnectionToken) {
    const { id: accountId, username, disabledAt } = owner
    const isTheirs = eq(connections.accountId, accountId)
    const { name, scopes, factors } = yield * removeOne(and(eq(connections.id, id), isTheirs))
    if (disabledAt !== null) throw new Problem('not_found')
    const { secretHash, event, keep, ...conditions } = token
    const made = { kind: 'personal', parentId: null, browser: null, system: null, expiresAt: null } as const
    yield * addToken(
      { ...made, accountId, name, scopes, secretHash, factors: String(factors) }, time,
      { ...conditions, withEvent: { event: { ...event, accountId }, keep } }
    )
    return { id: accountId, username }
  })

  return {
    /** Adds a connection. Returns when it expires. @throws too_many_connections. */
    add: (connection: NewConnection, limits: ConnectionLimits): Promise<number> =>
      transactFor('connections', function * () {
        yield * exclusively('connections')
        const time = yield * now()
        yield * refuseBeyond(connection.network, limits, time)
        const expiresAt = time + limits.milliseconds
        // Chance gives a code twice once in many millions. The program that had it first has to begin again.
        yield * query(db => db.delete(connections).where(eq(connections.codeHash, connection.codeHash)))
        yield * query(db => db.insert(connections).values({ ...connection, expiresAt }))
        yield * makeRoom(connection.id, limits)
        return expiresAt
      }),

    /** The open connection with this code that nobody has allowed. */
    find: read((codeHash: string): Rule<ConnectionRecord | undefined> =>
      find(and(eq(connections.codeHash, codeHash), isNull(connections.accountId)))),

    /** Allows a connection for an account. @throws not_found, credentials_wrong. */
    allow: factorChanges.verifiedWrite(function * ({ account }, id: string, factors: string) {
      yield * query(db => db.update(connections).set({ accountId: account.id, factors })
        .where(and(isOpen, eq(connections.id, id), isNull(connections.accountId))).returning(), existing)
    }),

    /** Deletes a connection that nobody else has allowed. @throws not_found. */
    refuse: write(function * (accountId, id: string) {
      yield * removeOne(and(
        eq(connections.id, id), or(isNull(connections.accountId), eq(connections.accountId, accountId))
      ))
    }),

    /**
     * Makes the token of an allowed connection, which ends, and returns its account; undefined if it is not allowed
     * yet.
     * @throws not_found, also if its account is disabled or was deleted; too_many_tokens.
     */
    async take (
      id: string, secretHash: string, token: ConnectionToken
    ): Promise<Pick<AccountRecord, 'id' | 'username'> | undefined> {
      const found = await engine.read(() =>
        find(and(eq(connections.id, id), eq(connections.secretHash, secretHash))))
      if (found === undefined) throw new Problem('not_found')
      return found.accountId === null ? undefined : takeAllowed(found.accountId, id, token)
    },

    /** Deletes up to `limit` connections that have expired, and returns them. */
    async removeExpired (limit: number): Promise<ConnectionRecord[]> {
      const some = (db: Db, limit: number) => db.select({ id: connections.id }).from(connections)
        .where(lte(connections.expiresAt, clock)).limit(limit)
      // Usually there is none, and a write costs a sync.
      if (!await engine.read(() => query(db => some(db, 1), isAny))) return []
      return apply(() => query(db => db.delete(connections)
        .where(isUnlockedIn(connections.id, some(db, limit))).returning()))
    }
  }
}

function refuse (milliseconds: number): never {
  throw new Problem('too_many_connections', { retrySeconds: Math.max(1, Math.ceil(milliseconds / 1000)) })
}
