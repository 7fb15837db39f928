import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import type { KeyStore, SigningKey } from '../config/signing-keys.ts'
import { ConfigError, Problem } from '../problems.ts'
import { createKeyRing, type KeyRing } from '../tokens/key-ring.ts'

const CIPHER = 'aes-256-gcm'

/** Of AES-GCM (NIST SP 800-38D section 8.2.2). */
const IV_BYTES = 12
const TAG_BYTES = 16

/** Without it, a tag that was cut would be accepted too. */
const options = { authTagLength: TAG_BYTES }

export type Sealer = ReturnType<typeof createSealer>

/** The id of the key that sealed a text. */
export function kidOf (sealed: string): string {
  return sealed.slice(0, sealed.indexOf('.'))
}

/**
 * Encrypts short texts of accounts, so that they are unreadable without the keys: with AES-256-GCM. The associated data
 * are the installation, the account, and the `context`: what else a text belongs to.
 */
export function createSealer (
  { keys, installationId }: { keys: Pick<KeyStore, 'read' | 'find'>, installationId: string }
) {
  let ring: KeyRing | undefined
  const associatedData = (accountId: number, context: readonly string[]) =>
    Buffer.from(JSON.stringify([installationId, accountId, ...context]))

  async function findKey (kid: string): Promise<SigningKey> {
    ring ??= createKeyRing(await keys.find() ?? [], keys.find)
    const key = await ring.find(key => key.kid === kid)
    if (key === undefined) throw new Error(`there is no sealing key ${kid}`)
    return key
  }

  return {
    /** The text as `kid.base64url(iv | tag | ciphertext)`. The first call makes a key. @throws storage_full. */
    async seal (accountId: number, text: string, context: readonly string[] = []): Promise<string> {
      // Not from the ring, which may be older than the latest rotation.
      const [key] = await keys.read().catch(refuseUnreadable) as [SigningKey]
      const iv = randomBytes(IV_BYTES)
      const cipher = createCipheriv(CIPHER, aesKeyOf(key), iv, options).setAAD(associatedData(accountId, context))
      const bytes = [cipher.update(text), cipher.final()]
      return `${key.kid}.${Buffer.concat([iv, cipher.getAuthTag(), ...bytes]).toString('base64url')}`
    },

    /** @throws unavailable if its key is gone, or if it was sealed for another account, installation or context. */
    async open (accountId: number, sealed: string, context: readonly string[] = []): Promise<string> {
      try {
        const kid = kidOf(sealed)
        const bytes = Buffer.from(sealed.slice(kid.length + 1), 'base64url')
        const tagEnd = IV_BYTES + TAG_BYTES
        const decipher = createDecipheriv(CIPHER, aesKeyOf(await findKey(kid)), bytes.subarray(0, IV_BYTES), options)
          .setAAD(associatedData(accountId, context)).setAuthTag(bytes.subarray(IV_BYTES, tagEnd))
        return Buffer.concat([decipher.update(bytes.subarray(tagEnd)), decipher.final()]).toString()
      } catch (cause) {
        throw unavailable('One-time codes of this account can\'t be checked now; a recovery code can.', cause)
      }
    }
  }
}

/** Handles the error of keys that can't be read. @throws unavailable, or storage_full if one can't be made. */
function refuseUnreadable (error: unknown): never {
  throw error instanceof ConfigError ? unavailable('One-time codes can\'t be set up now.', error) : error
}

function unavailable (detail: string, cause: unknown): Problem {
  return new Problem('unavailable', { retrySeconds: 60, detail, resource: 'sealing_keys', cause })
}

/** The secret of a key has at least 32 bytes, and may be a text: HKDF makes a key of it (RFC 5869). */
function aesKeyOf ({ secret }: SigningKey): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, '', 'MagicStore sealing', 32))
}
