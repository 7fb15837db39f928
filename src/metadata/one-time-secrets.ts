import { and, eq, gt, sql } from 'drizzle-orm'
import type { Engine } from './engine.ts'
import { query, reading, writing } from './rule.ts'

const { placeholder } = sql

/** Invitations, resets and confirmation codes, by the hash of their text. Each is used once, until it expires. */
export type OneTimeSecret = Engine['tables']['oneTimeSecrets']['$inferSelect']

export type OneTimeSecrets = ReturnType<typeof createOneTimeSecrets>

export function createOneTimeSecrets (engine: Engine) {
  const queries = queriesOf(engine)

  return {
    add: (secret: OneTimeSecret) => query(queries.add, secret),

    /** The secret, if it has not expired. */
    find: (hash: string) => query(queries.find, { hash }, ([secret]) => secret),

    /** Uses a secret; undefined if there is none. */
    take: (kind: OneTimeSecret['kind'], hash: string) => query(queries.take, { kind, hash }, ([secret]) => secret),

    /** Uses a confirmation code of an account. Returns whether it had it. */
    takeConfirmation: (accountId: number, hash: string) =>
      query(queries.takeConfirmation, { accountId, hash }, taken => taken.length > 0),

    /** Ends the reset and the confirmation codes of an account: its password or its factors change. */
    endOf: (accountId: number) => query(queries.endOf, { accountId })
  }
}

function queriesOf ({ tables: { oneTimeSecrets: secrets }, clock }: Engine) {
  const isValid = and(eq(secrets.hash, placeholder('hash')), gt(secrets.expiresAt, clock))
  return {
    add: writing('', db => db.insert(secrets).values({
      hash: placeholder('hash'),
      kind: placeholder('kind'),
      accountId: placeholder('accountId'),
      username: placeholder('username'),
      removesFactors: placeholder('removesFactors'),
      expiresAt: placeholder('expiresAt')
    })),
    find: reading('one_time_secret', db => db.select().from(secrets).where(isValid)),
    take: writing('take_one_time_secret', db => db.delete(secrets)
      .where(and(isValid, eq(secrets.kind, placeholder('kind')))).returning()),
    takeConfirmation: writing('take_confirmation', db => db.delete(secrets)
      .where(and(isValid, eq(secrets.kind, 'confirmation'), eq(secrets.accountId, placeholder('accountId')))).returning()),
    endOf: writing('end_one_time_secrets', db => db.delete(secrets).where(eq(secrets.accountId, placeholder('accountId'))))
  }
}
