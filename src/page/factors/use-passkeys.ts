import { bodyOf, createMagicStore } from 'magicstore'
import { baseUrl } from '../folder.ts'
import { texts } from '../texts.ts'
import { useLoaded } from '../use-loaded.ts'

interface PasskeyPlace {
  readonly isUsable: boolean
  /** Why passkeys can't be used here. */
  readonly reason?: string
}

/** Whether passkeys can be used here: the browser must have them, and they belong to one host, which has a name. */
export function usePasskeys (): PasskeyPlace {
  const { value } = useLoaded(loadPlace)
  return value ?? { isUsable: false }
}

async function loadPlace (): Promise<PasskeyPlace> {
  const { passkeyHost } = bodyOf(await createMagicStore({ baseUrl }).api.GET('/')) as { passkeyHost: string | null }
  if (passkeyHost === null) return { isUsable: false, reason: texts.factors.noHost }
  if (passkeyHost !== location.hostname) return { isUsable: false, reason: texts.factors.otherHost(passkeyHost) }
  const isKnown = 'PublicKeyCredential' in window && 'parseRequestOptionsFromJSON' in PublicKeyCredential
  return isKnown ? { isUsable: true } : { isUsable: false, reason: texts.factors.noPasskeys }
}
