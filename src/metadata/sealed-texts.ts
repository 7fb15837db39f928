import { and, asc, eq, isNotNull, sql } from 'drizzle-orm'
import { pipeline, query } from './rule.ts'
import type { Services } from './services.ts'

/** A sealed text of an account; `context` is what it was sealed for. */
export interface SealedText { readonly accountId: number, readonly sealed: string, readonly context: readonly string[] }

/** What the secret of a link is sealed for. */
export function contextOfLink (secretHash: string): readonly string[] {
  return ['link', secretHash]
}

/** All sealed texts, for the rotation of keys: a part of the contract of {@link Metadata}. */
export type SealedTextRepository = ReturnType<typeof createSealedTexts>

export function createSealedTexts ({ engine: { tables: { links, totpSecrets }, apply }, read }: Services) {
  return {
    /** At most `limit` of each kind that do not begin with `prefix`: secrets of one-time codes, and of links. */
    list: read(function * (prefix: string, limit: number) {
      const differs = (sealed: typeof totpSecrets.secret | typeof links.secretSealed) =>
        sql`substr(${sealed}, 1, ${prefix.length}) <> ${prefix}`
      const [secrets, addresses] = yield * pipeline(
        query(db => db.select({ accountId: totpSecrets.accountId, sealed: totpSecrets.secret }).from(totpSecrets)
          .where(differs(totpSecrets.secret)).orderBy(asc(totpSecrets.accountId)).limit(limit)),
        query(db => db.select({ accountId: links.accountId, sealed: links.secretSealed, hash: links.secretHash })
          .from(links).where(and(isNotNull(links.secretSealed), differs(links.secretSealed)))
          .orderBy(asc(links.id)).limit(limit))
      )
      return [
        ...secrets.map((each): SealedText => ({ ...each, context: [] })),
        ...addresses.map(({ accountId, sealed, hash }): SealedText =>
          ({ accountId, sealed: String(sealed), context: contextOfLink(hash) }))
      ]
    }),

    /** Replaces a text, unless it was replaced meanwhile. */
    replace: ({ accountId, sealed }: SealedText, newSealed: string): Promise<void> => apply(function * () {
      yield * pipeline(
        query(db => db.update(totpSecrets).set({ secret: newSealed })
          .where(and(eq(totpSecrets.accountId, accountId), eq(totpSecrets.secret, sealed))), {}, () => {}),
        query(db => db.update(links).set({ secretSealed: newSealed })
          .where(and(eq(links.accountId, accountId), eq(links.secretSealed, sealed))), {}, () => {})
      )
    }, accountId)
  }
}
