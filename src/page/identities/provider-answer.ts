import { signal } from '@preact/signals'
import { folder } from '../folder.ts'

/** What the provider answers: a query, with which it has sent the browser to the page. */
export const providerAnswer = signal(takeAnswer())

/** Reads `#oidc=QUERY`. It can be used once, so it does not stay in the address. */
export function takeAnswer (): string | undefined {
  const answer = new URLSearchParams(location.hash.slice(1)).get('oidc')
  if (answer === null) return undefined
  history.replaceState(null, '', folder)
  return answer
}
