/** The part of https://www.w3.org/TR/service-workers/ that not all browsers have. */
interface RoutedInstall extends ExtendableEvent {
  addRoutes? (rules: { condition: { requestMethod: string } | { urlPattern: string }, source: 'network' }[]): Promise<void>
}

/** The service worker never answers requests with these methods. */
const METHODS = ['PUT', 'PATCH', 'DELETE', 'HEAD']

/**
 * Lets requests that this service worker never answers pass it by, while it is being installed. In Chromium, that saves
 * a third of the time that the upload of a small file takes in the page.
 */
export async function passBy (event: RoutedInstall): Promise<void> {
  const conditions = [...METHODS.map(requestMethod => ({ requestMethod })), { urlPattern: './api/*' }]
  await event.addRoutes?.(conditions.map(condition => ({ condition, source: 'network' })))
}
