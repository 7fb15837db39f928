import { openPageCache } from '../page-cache.ts'

/** What a proxy answers if it can't reach the server. */
const UNREACHABLE = [502, 503, 504]

/**
 * Opens the page without a network: answers navigations to its root, and requests for its scripts and styles. The page
 * has put both into the cache. Nothing else is answered, as links, files and the API.
 */
export function openOffline (worker: ServiceWorkerGlobalScope): void {
  const { scope } = worker.registration
  worker.addEventListener('fetch', event => {
    const { request } = event
    const { method, mode, destination } = request
    if (method !== 'GET') return
    const isRoot = mode === 'navigate' && destination === 'document' && request.url.split('#', 1)[0] === scope
    if (isRoot) event.respondWith(openPage(request, scope))
    else if (request.url.startsWith(`${scope}assets/`)) event.respondWith(findAsset(request, scope))
  })
}

/** The page of the server if it answers, because only that is of its version and has its settings. */
async function openPage (request: Request, scope: string): Promise<Response> {
  const response = await fetch(request).catch(() => undefined)
  if (response !== undefined && !UNREACHABLE.includes(response.status)) return response
  return await find(scope, scope) ?? response ?? Response.error()
}

/** The name has a hash of the content. */
async function findAsset (request: Request, scope: string): Promise<Response> {
  return await find(request.url, scope) ?? fetch(request)
}

/** Fails if the browser allows no storage. The page asked for itself with other headers than a navigation has. */
async function find (address: string, scope: string): Promise<Response | undefined> {
  return openPageCache(scope).then(cache => cache.match(address, { ignoreVary: true })).catch(() => undefined)
}
