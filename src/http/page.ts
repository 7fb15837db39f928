import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import { type Config, packageFolder } from '../config.ts'

/** The page for browsers. */
export interface Page {
  /** The files that the build made. */
  readonly folder: string
  /** The HTML of `/`, with the settings that the page needs. */
  readonly html: string
  /** The HTML of links. */
  readonly linkHtml: string
}

interface PageSettings extends Pick<
  Config,
  'hasWebPage' | 'registration' | 'hasLinks' | 'linkMaxDays' | 'retentionPolicy' | 'identityProvider' | 'publicUrl'
> {
  /** The host that passkeys belong to; undefined if the server can't have any. */
  readonly passkeyHost: string | undefined
}

/** The build replaces this folder. A running server knows the files that were there at its start. */
const FOLDER = join(packageFolder, 'dist/page')

/** Reads the page. Undefined if it is off, or if it was not built, as in a new checkout. */
export async function findPage (
  settings: PageSettings, log: FastifyBaseLogger, folder = FOLDER
): Promise<Page | undefined> {
  if (!settings.hasWebPage) return undefined
  try {
    const read = (name: string) => readFile(join(folder, name), 'utf8')
    const [html, linkHtml] = await Promise.all([read('index.html'), read('link.html')])
    return { folder, html: withSettings(html, settings), linkHtml }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    log.warn('there is no page for browsers, because it was not built: run npm run build')
    return undefined
  }
}

/** The HTML with the settings that scripts read from its first element. */
function withSettings (
  html: string,
  { registration, hasLinks, linkMaxDays, retentionPolicy, passkeyHost, identityProvider, publicUrl }: PageSettings
): string {
  const values = {
    registration,
    links: hasLinks ? 'on' : 'off',
    'link-max-days': linkMaxDays,
    trash: retentionPolicy.milliseconds > 0 ? 'on' : 'off',
    ...passkeyHost !== undefined && { 'passkey-host': passkeyHost },
    ...identityProvider && { oidc: identityProvider.name, 'oidc-url': `${publicUrl}/` }
  }
  return Object.entries(values).reduce(
    (html, [name, value]) => html.replace(`data-${name}=""`, `data-${name}="${value}"`), html
  )
}
