import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyBaseLogger, FastifyPluginAsync } from 'fastify'
import { packageFolder } from '../config.ts'

/** The page for people, as the build made it. */
export interface Page {
  readonly folder: string
  /** The HTML of `/`, with what the page must know of the settings. */
  readonly html: string
}

interface PageSettings { readonly hasWebPage: boolean, readonly registration: 'open' | 'closed' }

/** The build replaces the whole folder, and a server keeps to what it found when it started. */
const FOLDER = join(packageFolder, 'dist/page')

/** A checkout in which nothing was built has no page: its server works without one. */
export async function findPage ({ hasWebPage, registration }: PageSettings, log: FastifyBaseLogger, folder = FOLDER): Promise<Page | undefined> {
  if (!hasWebPage) return undefined
  try {
    const html = await readFile(join(folder, 'index.html'), 'utf8')
    return { folder, html: html.replace('data-registration=""', `data-registration="${registration}"`) }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    log.warn('there is no page for browsers, because it was not built: run npm run build')
    return undefined
  }
}

/** The files of the page. Only those that were there at the start are looked for: no other path reaches the file system. */
export const pageRoutes: FastifyPluginAsync<{ page: Page }> = async (app, { page: { folder } }) => {
  const assets = join(folder, 'assets')
  const [files, hashedFiles] = await Promise.all([folder, assets].map(namesIn)) as [Set<string>, Set<string>]

  await app.register(fastifyStatic, {
    serve: false,
    root: folder,
    preCompressed: true,
    acceptRanges: false,
    // Made of size and time: npm gives all files of a package the same time, and a new service worker may have the size of the old one.
    etag: false,
    lastModified: false,
    cacheControl: false
  })
  for (const name of files) {
    app.get(`/${name}`, { schema: { hide: true } }, (_request, reply) => reply
      .header('cache-control', 'no-cache').header('content-security-policy', "default-src 'none'; connect-src 'self'").sendFile(name))
  }
  // One route for all: a route for each takes a millisecond of the start.
  app.get<{ Params: { name: string } }>('/assets/:name', { schema: { hide: true } }, ({ params: { name } }, reply) => {
    if (!hashedFiles.has(name)) return reply.callNotFound()
    return reply.header('cache-control', 'public, max-age=31536000, immutable').header('content-security-policy', "default-src 'none'").sendFile(name, assets)
  })
}

/** The files in a folder, without the page itself and the compressed forms of files. */
async function namesIn (folder: string): Promise<Set<string>> {
  const entries = await readdir(folder, { withFileTypes: true })
  const names = entries.filter(entry => entry.isFile()).map(({ name }) => name)
  return new Set(names.filter(name => name !== 'index.html' && !/^\.|\.(?:br|gz)$/.test(name)))
}
