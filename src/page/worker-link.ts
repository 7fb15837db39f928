import { signal } from '@preact/signals'
import { folder } from './folder.ts'
import { accessToken } from './session.ts'

/** Trusted Types of the browsers that have them. */
interface TrustedTypes {
  createPolicy (
    name: string, rules: { createScriptURL: (url: string) => string }
  ): { createScriptURL (url: string): string }
}

const workerUrl = `${folder}service-worker.js`

/** The id of this window at the service worker; undefined until the service worker can be used. */
const windowId = signal<string | undefined>(undefined)

/**
 * Starts the service worker, which adds the access token to requests of this window that the browser makes by itself.
 * Browsers offer no service worker over plain HTTP, except on the same machine, and in some private windows.
 */
export async function connectWorker (): Promise<void> {
  if (!('serviceWorker' in navigator)) return
  navigator.serviceWorker.addEventListener('message', answer)
  await navigator.serviceWorker.register(scriptUrl())
  const { active } = await navigator.serviceWorker.ready
  const { port1, port2 } = new MessageChannel()
  port1.onmessage = ({ data }: MessageEvent<string>) => { windowId.value = data }
  active?.postMessage('window', [port2])
}

interface BytesAddress {
  name: string
  version?: string | undefined
  disposition?: 'inline'
}

/** The address of a file's bytes for elements of this window. The service worker answers it; undefined without one. */
export function bytesAddress ({ name, version, disposition }: BytesAddress): string | undefined {
  if (windowId.value === undefined || navigator.serviceWorker.controller === null) return undefined
  const query = new URLSearchParams({
    window: windowId.value, ...(version !== undefined && { version }), ...(disposition && { disposition })
  })
  // Some proxies refuse %2F.
  return `${folder}uploads/${name.split('/').map(encodeURIComponent).join('/')}?${query}`
}

/** The address of the service worker. With Trusted Types, a policy allows only this script. */
function scriptUrl (): string {
  const { trustedTypes } = window as { trustedTypes?: TrustedTypes }
  const createScriptURL = (url: string) => {
    if (url !== workerUrl) throw new TypeError('not the service worker')
    return url
  }
  return trustedTypes === undefined ? workerUrl : trustedTypes.createPolicy('magicstore', { createScriptURL }).createScriptURL(workerUrl)
}

/** The service worker asks for the token at each request, and keeps none. */
function answer ({ data, ports: [port] }: MessageEvent<{ refused?: string }>): void {
  accessToken(data.refused).then(token => port?.postMessage(token), () => port?.postMessage(undefined))
}
