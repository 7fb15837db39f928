/**
 * The service worker of the page. It adds the access token to requests for bytes that the browser makes by itself, such
 * as those for images, videos and downloads. It keeps no token, but asks the window of the request: two windows may
 * have different users.
 */
const worker = self as unknown as ServiceWorkerGlobalScope

const folder = `${worker.registration.scope}uploads/`

worker.addEventListener('install', () => { void worker.skipWaiting() })
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
  if (request.method !== 'GET' || !request.url.startsWith(folder) || windowId === null) return
  url.searchParams.delete('window')
  event.respondWith(isFrom(event, windowId) ? respond(request, url.href, windowId) : Response.error())
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

/** Sends the request with a token, and once more with a new token if the server refuses the first one. */
async function respond (request: Request, url: string, windowId: string): Promise<Response> {
  const window = await worker.clients.get(windowId)
  const token = window && await askToken(window)
  if (window === undefined || token === undefined) return Response.error()
  const response = await send(request, url, token)
  const newToken = response.status === 401 ? await askToken(window, token) : undefined
  return newToken === undefined ? response : send(request, url, newToken)
}

/** The access token of a window; undefined if no user is signed in. `refused` is a token that the server refused. */
function askToken (window: Client, refused?: string): Promise<string | undefined> {
  const { port1, port2 } = new MessageChannel()
  return new Promise(resolve => {
    port1.onmessage = ({ data }: MessageEvent<string | undefined>) => resolve(data)
    window.postMessage({ refused }, [port2])
  })
}

/** The response is passed on unread, so that its bytes do not go through this script. */
function send ({ headers, signal }: Request, url: string, token: string): Promise<Response> {
  const passed = ['range', 'if-range'].flatMap(name => headers.has(name) ? [[name, headers.get(name) ?? '']] : [])
  // A request with a condition is never redirected to a bucket, from which the page may not load.
  const added = { authorization: `Bearer ${token}`, 'if-match': '*' }
  return fetch(url, { headers: { ...Object.fromEntries(passed), ...added }, signal, redirect: 'error' })
}
