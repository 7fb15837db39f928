import { randomBytes } from 'node:crypto'
import type { Challenge } from '../metadata/factor-records.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { AppServices } from '../services.ts'

/** How long a person may take. */
export const CHALLENGE_MILLISECONDS = 5 * 60_000

/**
 * What an authenticator signs a challenge for: one that is meant for one act is refused in every other. The reset of a
 * password is named by the hash of its secret.
 */
export type ChallengePurpose = 'registration' | 'sign-in' | 'confirmation' | `reset ${string}`

/** Whose passkey is asked for; null in a sign-in, which tells it. */
type AccountId = number | null

/** A challenge, with what was promised in it: the user handle of a passkey to be registered, else null. */
export interface IssuedChallenge extends Challenge { readonly userHandle: string | null }

/**
 * Challenges for authenticators. They are signed, so that those which nobody answers leave nothing behind. The clock
 * is that of the database, which refuses a challenge that has expired or was used.
 */
export function createChallenges (
  { metadata, signedTexts }: Pick<AppServices, 'signedTexts'> & { metadata: Pick<Metadata, 'now'> }
) {
  return {
    /** A new challenge, in base64url. */
    async issue (purpose: ChallengePurpose, accountId: AccountId, userHandle: string | null = null): Promise<string> {
      const id = randomBytes(16).toString('base64url')
      const expiresAt = await metadata.now() + CHALLENGE_MILLISECONDS
      return signedTexts.write(JSON.stringify([id, expiresAt, userHandle]), ['challenge', purpose, accountId])
    },

    /** What `issue` has made for this purpose and account. It may have expired. @throws for anything else. */
    async read (challenge: string, purpose: ChallengePurpose, accountId: AccountId): Promise<IssuedChallenge> {
      const text = await signedTexts.read(challenge, ['challenge', purpose, accountId])
      if (text === undefined) throw new Error('the challenge is not for this act')
      const [id, expiresAt, userHandle] = JSON.parse(text)
      return { id, expiresAt, userHandle }
    }
  }
}
