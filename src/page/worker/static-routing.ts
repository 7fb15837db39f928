interface Route { condition: { requestMethod: string } | { urlPattern: string }, source: 'network' }

/** The part of https://www.w3.org/TR/service-workers/ that not all browsers have. */
interface RoutedInstall extends ExtendableEvent { addRoutes? (routes: Route[]): Promise<void> }

/** The service worker never answers requests with these methods. */
const METHODS = ['PUT', 'PATCH', 'DELETE', 'HEAD']

/**
 * Makes requests that the service worker never answers bypass it. In Chromium, the upload of a small file then takes a
 * third less time.
 */
export async function passBy (event: RoutedInstall): Promise<void> {
  const conditions = [...METHODS.map(requestMethod => ({ requestMethod })), { urlPattern: './api/*' }]
  await event.addRoutes?.(conditions.map(condition => ({ condition, source: 'network' })))
}
