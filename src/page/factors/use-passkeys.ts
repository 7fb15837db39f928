import { bodyOf, createMagicStore } from 'magicstore'
import { baseUrl } from '../folder.ts'
import { texts } from '../texts.ts'
import { useLoaded } from '../use-loaded.ts'

interface PasskeySupport {
  /** Undefined until it is known. */
  readonly isUsable: boolean | undefined
  /** Why passkeys can't be used here. */
  readonly reason?: string
}

/** Whether passkeys can be used: the browser must support them, at the host name of the server that they belong to. */
export function usePasskeys (): PasskeySupport {
  const { value } = useLoaded(loadSupport)
  return value ?? { isUsable: undefined }
}

async function loadSupport (): Promise<PasskeySupport> {
  const { passkeyHost } = bodyOf(await createMagicStore({ baseUrl }).api.GET('/')) as { passkeyHost: string | null }
  if (passkeyHost === null) return { isUsable: false, reason: texts.factors.noHost }
  if (passkeyHost !== location.hostname) return { isUsable: false, reason: texts.factors.otherHost(passkeyHost) }
  const isKnown = 'PublicKeyCredential' in window && 'parseRequestOptionsFromJSON' in PublicKeyCredential
  return isKnown ? { isUsable: true } : { isUsable: false, reason: texts.factors.noPasskeys }
}
