import { folder } from '../folder.ts'
import { openPageCache } from '../page-cache.ts'
import { lastOf } from '../paths.ts'

/**
 * Puts what this window has loaded of the page into the cache from which the service worker opens it. Rejects if that
 * fails, or the browser has no such cache.
 */
export async function keepPage (): Promise<void> {
  const cache = await openPageCache(folder.href)
  const assets = loadedAssets()
  for (const asset of assets) if (await cache.match(asset) === undefined) await cache.add(asset)
  const page = await fetch(folder, { headers: { accept: 'text/html' } })
  // Otherwise the server has another version by now: its files would be missing.
  if (!page.ok || !isOf(await page.clone().text())) return
  await cache.put(folder, page)
  const kept = new Set([folder.href, ...assets])
  for (const request of await cache.keys()) if (!kept.has(request.url)) await cache.delete(request)
}

function loadedAssets (): Set<string> {
  const loaded = performance.getEntriesByType('resource').map(({ name }) => name)
  return new Set(loaded.filter(name => name.startsWith(`${folder.href}assets/`)))
}

/** Whether this window has loaded its scripts from that page. */
function isOf (html: string): boolean {
  return Array.from(document.scripts).every(({ src }) => html.includes(lastOf(src)))
}
