import { createMagicStore, type Password } from 'magicstore'
import { PageError } from '../errors.ts'
import { baseUrl } from '../folder.ts'
import { texts } from '../texts.ts'

/** Makes a passkey on this device. @throws PageError. */
export async function makePasskey (options: object): Promise<PublicKeyCredentialJSON> {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options as PublicKeyCredentialCreationOptionsJSON)
  return toJson(navigator.credentials.create({ publicKey }))
}

/** Signs the challenge of the options with a passkey. @throws PageError. */
export async function assertPasskey (options: object): Promise<PublicKeyCredentialJSON> {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options as PublicKeyCredentialRequestOptionsJSON)
  return toJson(navigator.credentials.get({ publicKey }))
}

/** What authenticates the user: the password, or the secret of its reset. */
export type Proof = Password | { readonly secret: string }

/** Asks for a passkey, and resolves to a confirmation code. @throws MagicStoreError, TypeError, PageError. */
export async function confirmWithPasskey (proof: Proof): Promise<string> {
  const isReset = 'secret' in proof
  const store = createMagicStore(isReset ? { baseUrl } : { baseUrl, credentials: proof })
  const options = isReset ? proof : {}
  return store.confirm(await assertPasskey(await store.getConfirmOptions(options)), options)
}

async function toJson (asked: Promise<Credential | null>): Promise<PublicKeyCredentialJSON> {
  try {
    return (await asked as PublicKeyCredential).toJSON()
  } catch (error) {
    // WebAuthn level 3 section 5.1.3: the device already has a passkey. Otherwise the user or a timeout ended it.
    const isKnown = error instanceof DOMException && error.name === 'InvalidStateError'
    throw new PageError(isKnown ? texts.factors.passkeyKnown : texts.factors.passkeyUnused, { cause: error })
  }
}
