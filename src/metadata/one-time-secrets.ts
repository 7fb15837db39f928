import { and, eq, gt } from 'drizzle-orm'
import type { Engine } from './engine.ts'
import { first, isAny, matching, placeholders, prepared, query } from './rule.ts'

/** Invitations, resets and confirmation codes, by the hash of their text. Each is used once, until it expires. */
export type OneTimeSecret = Engine['tables']['oneTimeSecrets']['$inferSelect']

export type OneTimeSecrets = ReturnType<typeof createOneTimeSecrets>

export function createOneTimeSecrets (engine: Engine) {
  const queries = queriesOf(engine)

  return {
    add: (secret: OneTimeSecret) => query(queries.add, secret),

    /** The secret, if it has not expired. */
    find: (hash: string) => query(queries.find, { hash }, first),

    /** Uses a secret; undefined if there is none. */
    take: (kind: OneTimeSecret['kind'], hash: string) => query(queries.take, { kind, hash }, first),

    /** Uses a confirmation code of an account. Returns whether it had it. */
    takeConfirmation: (accountId: number, hash: string) =>
      query(queries.takeConfirmation, { accountId, hash }, isAny),

    /** Ends the reset and the confirmation codes of an account: its password or its factors change. */
    endOf: (accountId: number) => query(queries.endOf, { accountId })
  }
}

function queriesOf ({ tables: { oneTimeSecrets: secrets }, clock }: Engine) {
  const isValid = and(matching(secrets, 'hash'), gt(secrets.expiresAt, clock))
  return {
    add: prepared('add_one_time_secret', db => db.insert(secrets).values(placeholders('hash', 'kind', 'accountId', 'username', 'removesFactors', 'expiresAt'))),
    find: prepared('one_time_secret', db => db.select().from(secrets).where(isValid)),
    take: prepared('take_one_time_secret', db => db.delete(secrets)
      .where(and(isValid, matching(secrets, 'kind'))).returning()),
    takeConfirmation: prepared('take_confirmation', db => db.delete(secrets)
      .where(and(isValid, eq(secrets.kind, 'confirmation'), matching(secrets, 'accountId'))).returning()),
    endOf: prepared('end_one_time_secrets', db => db.delete(secrets).where(matching(secrets, 'accountId')))
  }
}
