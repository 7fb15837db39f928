import { bodyOf, createMagicStore } from 'magicstore'
import { PageError } from '../errors.ts'
import { baseUrl, folder } from '../folder.ts'
import { createObjectStore } from '../object-store.ts'
import { texts } from '../texts.ts'

/** Flows by the path of the page and their `state`: several servers can share an origin. */
const run = createObjectStore('magicstore identities', 'flows')

const path = folder.pathname

/** Where to sign in. @throws MagicStoreError, TypeError. */
export async function beginSignIn () {
  return bodyOf(await createMagicStore({ baseUrl }).api.POST('/api/session/oidc/options'))
}

/** Leaves the page, to sign in at the provider. @throws PageError, and what `beginSignIn` throws. */
export async function goToProvider (): Promise<void> {
  const { url, flow } = await beginSignIn()
  await keepFlow(stateOf(new URL(url).search), flow).catch(cause => {
    throw new PageError(texts.sign.noStorage, { cause })
  })
  location.assign(url)
}

/** What tells the flows of a browser apart, in a query of the provider. */
export function stateOf (query: string): string {
  return new URLSearchParams(query).get('state') ?? ''
}

/** Keeps the flow of a sign-in, in place of older ones. */
function keepFlow (state: string, flow: string): Promise<unknown> {
  return run('readwrite', flows => {
    flows.delete(IDBKeyRange.bound([path], [path, []]))
    return flows.put(flow, [path, state])
  })
}

/** The flow with this `state`, which is then forgotten; undefined if this browser has not kept it. */
export function takeFlow (state: string): Promise<string | undefined> {
  return run<string | undefined>('readwrite', flows => {
    const found = flows.get([path, state])
    flows.delete([path, state])
    return found
  }).catch(() => undefined)
}
