import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import { packageFolder } from '../config.ts'

/** The page for browsers. */
export interface Page {
  /** The files that the build made. */
  readonly folder: string
  /** The HTML of `/`, with the settings that the page needs. */
  readonly html: string
}

interface PageSettings { readonly hasWebPage: boolean, readonly registration: 'open' | 'closed' }

/** The build replaces this folder. A running server knows the files that were there at its start. */
const FOLDER = join(packageFolder, 'dist/page')

/** Reads the page. Undefined if it is off, or if it was not built, as in a new checkout. */
export async function findPage (
  settings: PageSettings, log: FastifyBaseLogger, folder = FOLDER
): Promise<Page | undefined> {
  const { hasWebPage, registration } = settings
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
