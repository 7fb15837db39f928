import { createHmac } from 'node:crypto'
import type { SigningKey } from '../config/signing-keys.ts'
import type { AppServices } from '../services.ts'

/** Length of a signature: an attacker needs 2 to the 96 guesses. */
const SIGNATURE_BYTES = 12

/** What a text is for, and for whom. A text that was signed for one purpose is valid for no other. */
export type Purpose = readonly [kind: string, ...rest: (string | number | null)[]]

export type SignedTexts = ReturnType<typeof createSignedTexts>

/**
 * Texts that clients return later, so that the server need not keep them. The first key signs and all verify: forged
 * and altered texts are detected. Clients can read them.
 */
export function createSignedTexts ({ keyRing }: Pick<AppServices, 'keyRing'>) {
  /** The text and the key that signed it; undefined for anything that `write` did not make for this purpose. */
  async function find (signed: string, purpose: Purpose): Promise<{ text: string, secret: string } | undefined> {
    const bytes = Buffer.from(signed, 'base64url')
    // The decoder ignores characters that are not base64url, so compare with the canonical form.
    if (bytes.toString('base64url') !== signed) return undefined
    const text = bytes.toString('utf8', SIGNATURE_BYTES)
    const signature = bytes.subarray(0, SIGNATURE_BYTES)
    const isSigner = ({ secret }: SigningKey) => signature.equals(sign(secret, text, purpose))
    const signer = await keyRing.find(isSigner)
    return signer && { text, secret: signer.secret }
  }

  return {
    /** The signature and the text, in base64url. */
    async write (text: string, purpose: Purpose): Promise<string> {
      const [{ secret }] = await keyRing.current() as [SigningKey]
      return Buffer.concat([sign(secret, text, purpose), Buffer.from(text)]).toString('base64url')
    },

    /** The text; undefined for anything that `write` did not make for this purpose. */
    async read (signed: string, purpose: Purpose): Promise<string | undefined> {
      return (await find(signed, purpose))?.text
    },

    /**
     * The text, and what makes a secret of it for each label: 256 bits in base64url, always the same, which clients
     * can't know. Undefined as by `read`.
     */
    async readWithSecrets (
      signed: string, purpose: Purpose
    ): Promise<{ text: string, secretFor: (label: string) => string } | undefined> {
      const found = await find(signed, purpose)
      return found && {
        text: found.text,
        secretFor: label => mac(found.secret, found.text, [...purpose, label]).toString('base64url')
      }
    }
  }
}

function sign (secret: string, text: string, purpose: Purpose): Buffer {
  return mac(secret, text, purpose).subarray(0, SIGNATURE_BYTES)
}

function mac (secret: string, text: string, purpose: Purpose): Buffer {
  return createHmac('sha256', secret).update(JSON.stringify([...purpose, text])).digest()
}
