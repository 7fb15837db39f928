/**
 * The service worker of the page: adds the access token to requests for bytes that the browser makes by itself, such as those of images,
 * videos and downloads. It keeps no token: it asks the window that wants the bytes, because two windows may belong to two users.
 */
const worker = self as unknown as ServiceWorkerGlobalScope

const folder = `${worker.registration.scope}uploads/`

worker.addEventListener('install', () => { void worker.skipWaiting() })
worker.addEventListener('activate', event => event.waitUntil(worker.clients.claim()))

/** A window asks for its own id. After a forced reload it has no service worker, unless it is claimed. */
worker.addEventListener('message', event => {
  const { source, ports: [port] } = event
  event.waitUntil(worker.clients.claim().then(() => port?.postMessage(source instanceof Client ? source.id : undefined)))
})

worker.addEventListener('fetch', event => {
  const { request } = event
  const url = new URL(request.url)
  const windowId = url.searchParams.get('window')
  if (request.method !== 'GET' || !request.url.startsWith(folder) || windowId === null) return
  url.searchParams.delete('window')
  event.respondWith(isFrom(event, windowId) ? respond(request, url.href, windowId) : Response.error())
})

/** Requests of scripts themselves have no destination. A file that is requested as a script or style of the page is none. */
const DESTINATIONS = ['', 'audio', 'image', 'video']

/** The window sends the request itself, or holds the frame that is loaded. No other knows its id. */
function isFrom ({ request: { mode, destination }, clientId }: FetchEvent, windowId: string): boolean {
  return mode === 'navigate' ? destination === 'iframe' : clientId === windowId && DESTINATIONS.includes(destination)
}

/** A token that was revoked in the meantime is replaced once. */
async function respond (request: Request, url: string, windowId: string): Promise<Response> {
  const window = await worker.clients.get(windowId)
  const token = window && await askToken(window)
  if (window === undefined || token === undefined) return Response.error()
  const response = await send(request, url, token)
  const newToken = response.status === 401 ? await askToken(window, token) : undefined
  return newToken === undefined ? response : send(request, url, newToken)
}

/** Undefined if nobody is signed in there. */
function askToken (window: Client, refused?: string): Promise<string | undefined> {
  const { port1, port2 } = new MessageChannel()
  return new Promise(resolve => {
    port1.onmessage = ({ data }: MessageEvent<string | undefined>) => resolve(data)
    window.postMessage({ refused }, [port2])
  })
}

/** The response goes to the browser as it is, so that its bytes don't pass through this script. */
function send ({ headers, signal }: Request, url: string, token: string): Promise<Response> {
  const passed = ['range', 'if-range'].flatMap(name => headers.has(name) ? [[name, headers.get(name) ?? '']] : [])
  // With a condition, the server never redirects to a bucket: the page may not load from there.
  const added = { authorization: `Bearer ${token}`, 'if-match': '*' }
  return fetch(url, { headers: { ...Object.fromEntries(passed), ...added }, signal, redirect: 'error' })
}
