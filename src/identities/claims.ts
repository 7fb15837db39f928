import type { AllowedClaim, IdentityProvider } from '../config/identity-provider.ts'

/** What a provider says about somebody (OpenID Connect Core 1.0 section 5.1). Any claim can have any type. */
export type ProviderClaims = Readonly<Record<string, unknown>>

/** Longest label, in UTF-16 code units. */
const MAX_LABEL_LENGTH = 255

/** A subject identifier has at most 255 ASCII characters (section 2). */
const SUBJECT = /^[\x20-\x7e]{1,255}$/

export function isSubject (text: unknown): text is string {
  return typeof text === 'string' && SUBJECT.test(text)
}

/**
 * The claims of an ID token and of UserInfo, which adds some and replaces none. An address and whether it is verified
 * are one claim: those of two sources may be of two addresses.
 */
export function joinClaims (idToken: ProviderClaims, userInfo: ProviderClaims): ProviderClaims {
  const { email, email_verified: isVerified } = Object.hasOwn(idToken, 'email') ? idToken : userInfo
  return { ...userInfo, ...idToken, email, email_verified: isVerified }
}

/** The claims that are needed to judge an identity, and to propose a name for its account. */
export function neededClaims (allowed: IdentityProvider['allowed']): string[] {
  return ['preferred_username', ...allowed === 'anyone' ? [] : allowed.map(({ claim }) => claim)]
}

/** Whether an identity may sign in. */
export function isAllowed (claims: ProviderClaims, allowed: IdentityProvider['allowed']): boolean {
  return allowed === 'anyone' || allowed.some(entry => hasClaim(claims, entry))
}

function hasClaim (claims: ProviderClaims, { claim, value }: AllowedClaim): boolean {
  const found = Object.hasOwn(claims, claim) ? claims[claim] : undefined
  if (claim === 'email') {
    return claims.email_verified === true && typeof found === 'string' && mapCase(found) === mapCase(value)
  }
  return found === value || (Array.isArray(found) && found.includes(value))
}

/** Only ASCII: in other alphabets two addresses could become one, such as those with the Kelvin sign and a `k`. */
function mapCase (text: string): string {
  return text.replace(/[A-Z]/g, letter => letter.toLowerCase())
}

/** How a provider calls somebody, to be shown; null if it can't be. */
export function labelOf ({ preferred_username: username, email, name }: ProviderClaims): string | null {
  const label = [username, email, name].find(text => typeof text === 'string' && text !== '') as string | undefined
  const isShown = label?.isWellFormed() && label.length <= MAX_LABEL_LENGTH && !/\p{Cc}/u.test(label)
  return isShown === true ? label as string : null
}
