import { attemptKey } from '../accounts/attempt-limiter.ts'
import type { Origin } from '../accounts/network.ts'
import { passwordLimits } from '../accounts/sign-in.ts'
import type { AttemptOutcome } from '../metadata/attempt-records.ts'
import type { LinkRecord, OpenLink } from '../metadata/link-records.ts'
import { Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'

/** How long a link stays unlocked. */
export const UNLOCKED_SECONDS = 12 * 3600

/** A link and its password; what a cookie is sealed over. */
type Locked = Pick<LinkRecord, 'id' | 'passwordHash'>

export type LinkPasswords = ReturnType<typeof createLinkPasswords>

/** Checks the passwords of links, within the limits of failed sign-ins. */
export function createLinkPasswords ({
  attemptLimiter, config: { signInFailures }, metadata: { links }, passwords, securityLog, signedTexts
}: Pick<AppServices, 'attemptLimiter' | 'config' | 'metadata' | 'passwords' | 'securityLog' | 'signedTexts'>) {
  return {
    /**
     * Verifies the password of a link. A wrong one is an event of its owner.
     * @throws link_password_wrong, too_many_passwords before any hashing, overloaded.
     */
    async verify (
      { link, account }: Pick<OpenLink, 'link' | 'account'>, password: string, origin: Origin
    ): Promise<void> {
      const { network } = origin
      const isKnownNetwork = await links.isKnownNetwork(link.id, network)
      const usernameKey = attemptKey(`link ${link.id}`)
      const attempt = { kind: 'link_password', network, usernameKey, isKnownNetwork } as const
      const limits = passwordLimits(attempt, signInFailures)
      const finish = await attemptLimiter.acquire(attempt, limits, 'too_many_passwords')
      let outcome: AttemptOutcome = 'released'
      try {
        const isRight = await passwords.verify(password, String(link.passwordHash))
        outcome = isRight ? 'succeeded' : 'failed'
        if (isRight && !isKnownNetwork) await links.addKnownNetwork(link, network, Date.now()).catch(() => {})
        if (isRight) return
        securityLog.record({ kind: 'link_password_wrong', account, details: { linkId: link.id }, ...origin })
        throw new Problem('link_password_wrong')
      } finally {
        await finish(outcome)
      }
    },

    /** The value of a cookie that unlocks the link until 12 hours from `now`, or until its password changes. */
    seal (link: Locked, now: number): Promise<string> {
      return signedTexts.write(String(now + UNLOCKED_SECONDS * 1000), purposeOf(link))
    },

    /** Whether a cookie unlocks the link. */
    async isUnlocked (link: Locked, cookie: string | undefined, now: number): Promise<boolean> {
      const until = cookie === undefined ? undefined : await signedTexts.read(cookie, purposeOf(link))
      return until !== undefined && Number(until) > now
    }
  }
}

function purposeOf ({ id, passwordHash }: Locked) {
  return ['link', id, passwordHash] as const
}
