import { passkeyHost } from '../settings.ts'
import { texts } from '../texts.ts'

interface PasskeySupport {
  readonly isUsable: boolean
  /** Why passkeys can't be used here. */
  readonly reason?: string
}

/** Whether passkeys can be used: the browser must support them, at the host name of the server that they belong to. */
export function passkeySupport (): PasskeySupport {
  if (passkeyHost === '') return { isUsable: false, reason: texts.factors.noHost }
  if (passkeyHost !== location.hostname) return { isUsable: false, reason: texts.factors.otherHost(passkeyHost) }
  const isKnown = 'PublicKeyCredential' in window && 'parseRequestOptionsFromJSON' in PublicKeyCredential
  return isKnown ? { isUsable: true } : { isUsable: false, reason: texts.factors.noPasskeys }
}
