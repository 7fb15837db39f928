/** Seconds of a time step (RFC 6238 section 4.1). */
const PERIOD_SECONDS = 30

const ISSUER = 'MagicStore'

/** Size that RFC 4226 section 4 recommends for the secret. */
const SECRET_BYTES = 20

/** A one-time code. Only ASCII digits. */
export const TOTP_PATTERN = '^[0-9]{6}$'

/** A new secret in base32, and the address that authenticator apps read from a QR code. */
export async function createTotpSecret (username: string): Promise<{ secret: string, uri: string }> {
  const { Secret, TOTP } = await load()
  const secret = new Secret({ size: SECRET_BYTES })
  const totp = new TOTP({ issuer: ISSUER, label: username, secret, period: PERIOD_SECONDS })
  return { secret: secret.base32, uri: totp.toString() }
}

/**
 * The time step of a code of six digits: the current one, the one before or the one after, because clocks differ.
 * Undefined if the code is of none of them.
 */
export async function findStep (secret: string, code: string, now: number): Promise<number | undefined> {
  const { Secret, TOTP } = await load()
  const totp = new TOTP({ secret: Secret.fromBase32(secret), period: PERIOD_SECONDS })
  const delta = totp.validate({ token: code, timestamp: now, window: 1 })
  return delta === null ? undefined : totp.counter({ timestamp: now }) + delta
}

/** Loaded on demand: most servers have few accounts with one-time codes. */
function load () {
  return import('otpauth')
}
