import { signal } from '@preact/signals'
import { MagicStoreError } from 'magicstore'
import { folder } from './folder.ts'
import { encodedPath } from './paths.ts'
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
  return `${folder}uploads/${encodedPath(name)}?${query}`
}

/** A folder, or files and folders by their names. */
export type Wanted = { readonly folder: string } | { readonly names: readonly string[] }

interface ZipDownload {
  /** For a frame. The service worker answers it. */
  readonly address: string
  /** Resolves when the zip begins. Rejects with a MagicStoreError if the server refuses, or a TypeError. */
  readonly begun: Promise<void>
}

/** Zips that have not begun, by a number. */
const waiting = new Map<number, { readonly wanted: Wanted, readonly settle: (outcome: Outcome) => void }>()

let downloads = 0

/** A download of a zip by this window; undefined without a service worker. */
export function zipDownload (wanted: Wanted): ZipDownload | undefined {
  if (windowId.value === undefined || navigator.serviceWorker.controller === null) return undefined
  const id = ++downloads
  const query = new URLSearchParams({
    window: windowId.value, download: String(id), ...('folder' in wanted && { folder: wanted.folder })
  })
  const begun = new Promise<void>((resolve, reject) => {
    waiting.set(id, { wanted, settle: outcome => settle(outcome, resolve, reject) })
  })
  return { address: `${folder}zip?${query}`, begun }
}

/** How the server has answered a request for a zip; `status` is 0 if it could not be reached. */
interface Outcome { readonly status: number, readonly body: string }

function settle ({ status, body }: Outcome, resolve: () => void, reject: (reason: Error) => void): void {
  if (status === 200) resolve()
  else reject(status === 0 ? new TypeError('no response') : new MagicStoreError(status, problemIn(body)))
}

function problemIn (body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

/** The address of the service worker. With Trusted Types, a policy allows only this script. */
function scriptUrl (): string {
  const { trustedTypes } = window as { trustedTypes?: TrustedTypes }
  const createScriptURL = (url: string) => {
    if (url !== workerUrl) throw new TypeError('not the service worker')
    return url
  }
  const policy = trustedTypes?.createPolicy('magicstore', { createScriptURL })
  return policy?.createScriptURL(workerUrl) ?? workerUrl
}

interface WorkerMessage extends Partial<Outcome> {
  readonly refused?: string
  readonly download?: string
}

/** The service worker asks for the token at each request and for the names in a zip, and keeps none. */
function answer ({ data, ports: [port] }: MessageEvent<WorkerMessage>): void {
  if (data.download !== undefined) return answerDownload(Number(data.download), data, port)
  accessToken(data.refused).then(token => port?.postMessage(token), () => port?.postMessage(undefined))
}

/** Tells the service worker what a zip is to contain, or takes the response of the server. */
function answerDownload (id: number, { status, body = '' }: Partial<Outcome>, port: MessagePort | undefined): void {
  const download = waiting.get(id)
  if (status === undefined) return port?.postMessage(download && JSON.stringify(download.wanted))
  waiting.delete(id)
  download?.settle({ status, body })
}
