import { EventEmitter, once } from 'node:events'
import type { BrowserContextOptions, Locator, Page } from 'playwright-core'
import type { Test } from 'tap'
import { startServer, signUp, type RunningServer } from '../kit/server.ts'
import { openPage, PASSWORD, signInOn, type PageVisit } from './page.ts'

/** Steps in the list of files and in previews. */

/** Bytes to upload, and their media type. */
export type Content = string | Buffer | { bytes: string | Buffer, type: string }

export interface FilesVisit extends PageVisit {
  readonly server: RunningServer
  put (name: string, content: Content): Promise<void>
}

/** The page of a new user who has these files, when it lists them. */
export async function visitAs (
  t: Test,
  username: string,
  files: Record<string, Content>,
  { server, url, ...options }: BrowserContextOptions & { server?: RunningServer, url?: string } = {}
): Promise<FilesVisit> {
  const at = server ?? await startServer(t, { RATE_LIMIT_PER_MINUTE: '0' })
  const { token } = await signUp(at, username, PASSWORD)
  const put = async (name: string, content: Content) => {
    const { bytes: body, type } = typeof content === 'string' || Buffer.isBuffer(content) ? { bytes: content, type: undefined } : content
    const { status } = await at.send('PUT', `/uploads/${encodeURIComponent(name)}`, { token, body, headers: type === undefined ? {} : { 'content-type': type } })
    if (status >= 300) t.fail(`no ${name}: ${status}`)
  }
  for (const [name, content] of Object.entries(files)) await put(name, content)
  const visit = await openPage(t, url ?? at.url, options)
  await signInOn(visit.page, username)
  if (Object.keys(files).length > 0) await visit.page.locator('.file-name').first().waitFor()
  return { ...visit, server: at, put }
}

export const fileButton = (page: Page, name: string) => page.getByRole('grid').getByRole('button', { name, exact: true })
export const menuButton = (page: Page, name: string) => page.getByRole('button', { name: `Actions for ${name}`, exact: true })
export const dialogButton = (page: Page, name: string) => page.getByRole('dialog').last().getByRole('button', { name, exact: true })
/** The names in some elements. A name that can be cut has two parts. */
export const namesIn = (place: Locator) => place.locator('.file-name > bdi').allTextContents()
export const namesOf = (page: Page) => namesIn(page.locator('body'))
export const noDialog = (page: Page) => page.getByRole('dialog').waitFor({ state: 'detached' })
export const refusal = (page: Page) => page.getByRole('alert').filter({ hasText: /\w/ })

/** Holds requests back until the result is called. */
export async function hold (page: Page, url: string): Promise<() => void> {
  const released = new EventEmitter()
  const release = once(released, 'release')
  await page.route(url, async route => { await release; await route.continue() })
  return () => released.emit('release')
}

/** What the browser writes on its console about a page that is deaf. */
export const DEAF = /ERR_FAILED/

/** From now on, the page does not learn what other programs change. */
export async function deafen ({ page, put }: FilesVisit): Promise<void> {
  const deaf = page.waitForEvent('requestfailed', request => request.url().includes('/api/changes'))
  for (const addresses of ['**/api/changes*', '**/api/files?*']) await page.route(addresses, route => route.abort())
  await put('x.txt', 'ends the request that waits')
  await deaf
}

export async function choose (page: Page, name: string, item: string): Promise<void> {
  await menuButton(page, name).click()
  await page.getByRole('menuitem', { name: item, exact: true }).click()
}

export async function press (page: Page, ...keys: string[]): Promise<void> {
  for (const key of keys) await page.keyboard.press(key)
}
