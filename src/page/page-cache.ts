/** The cache with the page at an address, for the page that fills it and the service worker that reads it. */
export function openPageCache (address: string): Promise<Cache> {
  return caches.open(`magicstore page ${address}`)
}
