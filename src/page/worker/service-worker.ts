import { openOffline } from './offline-page.ts'
import { takeShares } from './share-target.ts'
import { passBy } from './static-routing.ts'

/**
 * The service worker of the page. It adds the access token to requests for bytes that the browser makes by itself, such
 * as those for images, videos and downloads. It keeps no token, but asks the window of the request: two windows may
 * have different users.
 */
const worker = self as unknown as ServiceWorkerGlobalScope

const folder = `${worker.registration.scope}uploads/`

/** The address of a zip in the page. The server does not have it. */
const zip = `${worker.registration.scope}zip?`

takeShares(worker)
openOffline(worker)
worker.addEventListener('install', event => {
  void worker.skipWaiting()
  event.waitUntil(passBy(event))
})
worker.addEventListener('activate', event => event.waitUntil(worker.clients.claim()))

/** Tells a window its id. After a forced reload, a window has no service worker until it is claimed. */
worker.addEventListener('message', event => {
  const { source, ports: [port] } = event
  event.waitUntil(
    worker.clients.claim().then(() => port?.postMessage(source instanceof Client ? source.id : undefined))
  )
})

worker.addEventListener('fetch', event => {
  const { request } = event
  const url = new URL(request.url)
  const windowId = url.searchParams.get('window')
  const isZip = request.url.startsWith(zip)
  if (request.method !== 'GET' || !(isZip || request.url.startsWith(folder)) || windowId === null) return
  url.searchParams.delete('window')
  const answer = isZip ? respondWithZip : respond
  event.respondWith(isFrom(event, windowId) ? answer(request, url.href, windowId) : Response.error())
})

/**
 * Destinations that are answered; a `fetch` by a script has ''. Scripts and styles are missing: a stored file must
 * never run as code of the page.
 */
const DESTINATIONS = ['', 'audio', 'image', 'video']

/** Whether this window sends the request, or loads it into a frame. Only the window itself knows its id. */
function isFrom ({ request: { mode, destination }, clientId }: FetchEvent, windowId: string): boolean {
  return mode === 'navigate' ? destination === 'iframe' : clientId === windowId && DESTINATIONS.includes(destination)
}

async function respond (request: Request, url: string, windowId: string): Promise<Response> {
  const window = await worker.clients.get(windowId)
  return window === undefined ? Response.error() : withToken(window, token => send(request, url, token))
}

/** Tells the window whether the zip begins: a refusal would be shown in a hidden frame. */
async function respondWithZip ({ signal }: Request, url: string, windowId: string): Promise<Response> {
  const download = new URL(url).searchParams.get('download')
  const window = await worker.clients.get(windowId)
  const init = window && await zipRequest(window, url)
  if (window === undefined || init === undefined) return Response.error()
  const response = await withToken(window, token => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` }
    return fetch(`${worker.registration.scope}api/zip${init.query}`, { ...init, headers, signal, redirect: 'error' })
  }).catch(() => Response.error())
  const { ok, status } = response
  window.postMessage({ download, status, body: ok ? '' : await response.text() })
  // Without content, the frame stays as it is.
  return ok ? response : new Response(null, { status: 204 })
}

interface ZipRequest { readonly query: string, readonly method: string, readonly body?: string }

/** What is sent for a zip of a folder or of names. The window keeps the names: an address has no room for thousands. */
async function zipRequest (window: Client, url: string): Promise<ZipRequest | undefined> {
  const { searchParams } = new URL(url)
  const folder = searchParams.get('folder')
  if (folder !== null) return { query: `?${new URLSearchParams({ folder })}`, method: 'GET' }
  const body = await ask(window, { download: searchParams.get('download') })
  return body === undefined ? undefined : { query: '', method: 'POST', body }
}

/** Sends a request with a token, and once more with a new token if the server refuses the first one. */
async function withToken (window: Client, send: (token: string) => Promise<Response>): Promise<Response> {
  const token = await ask(window, {})
  if (token === undefined) return Response.error()
  const response = await send(token)
  const newToken = response.status === 401 ? await ask(window, { refused: token }) : undefined
  return newToken === undefined ? response : send(newToken)
}

/**
 * Asks a window for its access token, or what it wants of a download. `refused` is a token that the server refused.
 * Undefined if no user is signed in, or there is no such download.
 */
function ask (window: Client, question: object): Promise<string | undefined> {
  const { port1, port2 } = new MessageChannel()
  return new Promise(resolve => {
    port1.onmessage = ({ data }: MessageEvent<string | undefined>) => resolve(data)
    window.postMessage(question, [port2])
  })
}

/** The response is passed on unread, so that its bytes do not go through this script. */
function send ({ headers, signal }: Request, url: string, token: string): Promise<Response> {
  const passed = ['range', 'if-range'].flatMap(name => headers.has(name) ? [[name, headers.get(name) ?? '']] : [])
  // A request with a condition is never redirected to a bucket, from which the page may not load.
  const added = { authorization: `Bearer ${token}`, 'if-match': '*' }
  return fetch(url, { headers: { ...Object.fromEntries(passed), ...added }, signal, redirect: 'error' })
}
