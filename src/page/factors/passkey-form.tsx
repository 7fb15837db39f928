import type { MagicStore, Password } from 'magicstore'
import { GivenNameField } from '../fields.tsx'
import { session, sessionIdOf } from '../session-state.ts'
import { texts } from '../later-texts.ts'
import { makePasskey } from './passkeys.ts'
import { withProof } from './proof.ts'

/**
 * Makes a passkey on this device and adds it to the account. Returns the recovery codes, if it is the first factor.
 * @throws what `withProof` throws, and PageError.
 */
export async function addPasskey (account: Password, name: string): Promise<string[] | null> {
  const credential = await makePasskey(await withProof(account, store => store.getPasskeyOptions()))
  const sessionId = sessionIdOf(session.peek())
  const add = (store: MagicStore) => store.createPasskey(name, credential, { sessionId })
  const { recoveryCodes } = await withProof(account, add, texts.factors.confirmPasskey)
  return recoveryCodes
}

/** A field for the name of a new passkey, called `name` in its form. */
export function PasskeyNameField () {
  return <GivenNameField label={texts.factors.passkeyName} example={texts.factors.passkeyNameExample} />
}
