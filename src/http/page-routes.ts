import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { Routes } from './services.ts'

/** The files of the page. Only the names of files that were there at the start reach the file system. */
export const pageRoutes: Routes = async (app, { page }) => {
  if (page === undefined) return
  const { folder } = page
  const assets = join(folder, 'assets')
  const [files, hashedFiles] = await Promise.all([folder, assets].map(namesIn)) as [Set<string>, Set<string>]

  await app.register(fastifyStatic, {
    serve: false,
    root: folder,
    preCompressed: true,
    acceptRanges: false,
    // They depend on size and time only: npm gives all files the same time, and a new service worker can have the size
    // of the old one.
    etag: false,
    lastModified: false,
    cacheControl: false
  })
  for (const name of files) {
    app.get(`/${name}`, { schema: { hide: true } }, (_request, reply) => reply
      .header('cache-control', 'no-cache')
      .header('content-security-policy', "default-src 'none'; connect-src 'self'")
      .sendFile(name))
  }
  // One route for all, because a route for each would delay the start by a millisecond.
  app.get<{ Params: { name: string } }>('/assets/:name', { schema: { hide: true } }, ({ params: { name } }, reply) => {
    if (!hashedFiles.has(name)) return reply.callNotFound()
    return reply
      .header('cache-control', 'public, max-age=31536000, immutable')
      .header('content-security-policy', "default-src 'none'")
      .sendFile(name, assets)
  })
}

/** The names of the files in a folder, without pages and the compressed forms. */
async function namesIn (folder: string): Promise<Set<string>> {
  const entries = await readdir(folder, { withFileTypes: true })
  const names = entries.filter(entry => entry.isFile()).map(({ name }) => name)
  return new Set(names.filter(name => !/^\.|\.(?:html|br|gz)$/.test(name)))
}
