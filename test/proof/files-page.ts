import { EventEmitter, once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { Locator, Page } from 'playwright-core'
import type { Test } from 'tap'
import { isProof } from '../kit/sizes.ts'
import { until } from '../kit/waiting.ts'
import { shows } from './browser.ts'
import { openPageAs, type Arrival, type UserVisit } from './page.ts'

/** Steps in the list of files and in previews. */

/** Bytes to upload, and their media type. */
export type Content = string | Buffer | { bytes: string | Buffer, type: string }

export interface FilesVisit extends UserVisit {
  put (name: string, content: Content): Promise<void>
}

/** The widths, in CSS pixels, that a view is looked at in: the narrow one comes last. */
export const widths = (narrow: number) => isProof ? [1280, narrow] : [narrow]

/** An empty page. */
export const PDF = '%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>endobj\ntrailer<</Root 1 0 R>>'

/** One pixel. */
export const PICTURE = { bytes: Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64'), type: 'image/png' }

/** The page of a new user who has these files, when it lists them. */
export async function visitAs (
  t: Test, files: Record<string, Content>, arrival: Arrival = {}
): Promise<FilesVisit> {
  let put: FilesVisit['put'] = async () => {}
  const visit = await openPageAs(t, arrival, async ({ server, token }) => {
    put = async (name, content) => {
      const { bytes: body, type } = typeof content === 'string' || Buffer.isBuffer(content) ? { bytes: content, type: undefined } : content
      const { status } = await server.send('PUT', `/uploads/${encodeURIComponent(name)}`, { token, body, headers: type === undefined ? {} : { 'content-type': type } })
      if (status >= 300) t.fail(`no ${name}: ${status}`)
    }
    for (const [name, content] of Object.entries(files)) await put(name, content)
  })
  if (Object.keys(files).length > 0) await visit.page.locator('.file-name').first().waitFor()
  return { ...visit, put }
}

/** Stores many small files, some at a time, and shows the list again. */
export async function putMany ({ put, page }: FilesVisit, names: readonly string[], content: Content = 'x'): Promise<void> {
  for (let first = 0; first < names.length; first += 50) {
    await Promise.all(names.slice(first, first + 50).map(name => put(name, content)))
  }
  await page.reload()
}

/** The names of all files of the account. */
export async function stored ({ server, user }: UserVisit): Promise<string[]> {
  const { files } = (await server.send('GET', '/api/files?limit=1000', { user })).json
  return files.map(({ name }: { name: string }) => name)
}

/** The file that the browser saves. */
export async function savedBy (page: Page, action: () => Promise<unknown>): Promise<{ name: string, bytes: Buffer }> {
  const [download] = await Promise.all([page.waitForEvent('download'), action()])
  return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) }
}

/** Drops files and folders of the disk on the page, as a file manager does. */
export async function dropOn (page: Page, paths: string[]): Promise<void> {
  const devTools = await page.context().newCDPSession(page)
  const data = { items: [], files: paths, dragOperationsMask: 1 }
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const) await devTools.send('Input.dispatchDragEvent', { type, x: 300, y: 300, data })
}

export const folderLink = (page: Page, name: string) => page.getByRole('grid').getByRole('link', { name, exact: true })
export const notice = (page: Page, text: string) => page.getByRole('status').getByText(text, { exact: true })
/** The list of uploads. */
export const panel = (page: Page) => page.getByRole('region', { name: 'Uploads', exact: true })
export const undo = (page: Page) => page.getByRole('button', { name: 'Undo' })
export const fileButton = (page: Page, name: string) => page.getByRole('grid').getByRole('button', { name, exact: true })
export const menuButton = (page: Page, name: string) => page.getByRole('button', { name: `Actions for ${name}`, exact: true })
export const dialogButton = (page: Page, name: string) => page.getByRole('dialog').last().getByRole('button', { name, exact: true })
/** The names in some elements. A name that can be cut has two parts. */
export const namesIn = (place: Locator) => place.locator('.file-name > bdi').allTextContents()
export const namesOf = (page: Page) => namesIn(page.locator('body'))
export const refusal = (page: Page) => page.getByRole('alert').filter({ hasText: /\w/ })

/** Waits until no dialog is open, and the browser has left its entry in the history: that cuts a reload off. */
export async function noDialog (page: Page): Promise<void> {
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await until(() => page.evaluate(() => (history.state?.dialogs ?? 0) === 0))
}

/** Holds requests back until the result is called. */
export async function hold (page: Page, url: string): Promise<() => void> {
  const released = new EventEmitter()
  const release = once(released, 'release')
  await page.route(url, async route => { await release; await route.continue() })
  return () => released.emit('release')
}

/** Cancels the upload of large.bin after the server created it at `url`, before the page knows. It is ended then. */
export async function cancelWhileCreated (page: Page, url: string, choose: () => Promise<void>): Promise<void> {
  const steps = new EventEmitter()
  const created = once(steps, 'created')
  const cancelled = once(steps, 'cancelled')
  await page.route(url, async route => {
    const response = await route.fetch()
    steps.emit('created')
    await cancelled
    await route.fulfill({ response })
  }, { times: 1 })
  await choose()
  await created
  await page.getByRole('button', { name: 'Cancel large.bin', exact: true }).click()
  const ended = page.waitForResponse(response => response.request().method() === 'DELETE' && response.status() === 204)
  steps.emit('cancelled')
  await ended
}

/** From now on, the page does not learn what other programs change, by these addresses. */
export async function deafen (
  { page, put }: FilesVisit, addresses = ['**/api/changes*', '**/api/files?*']
): Promise<void> {
  const deaf = page.waitForEvent('requestfailed', request => request.url().includes('/api/changes'))
  for (const address of addresses) await page.route(address, route => route.abort())
  await put('x.txt', 'ends the request that waits')
  await deaf
}

/** Chooses files or a folder in the browser's dialog, which a button of the page opens. */
export async function chooseFrom (button: Locator, files: string | string[] | Picked | Picked[]): Promise<void> {
  const [chooser] = await Promise.all([button.page().waitForEvent('filechooser'), button.click()])
  await chooser.setFiles(files)
}

interface Picked { name: string, mimeType: string, buffer: Buffer }

export const textFile = (name: string, content: string | Buffer = 'some text'): Picked => ({ name, mimeType: 'text/plain', buffer: Buffer.from(content) })

/** Adds files without the browser's dialog. */
export const addTo = (page: Page, ...files: Picked[]) => page.locator('input[type=file]:not([webkitdirectory])').first().setInputFiles(files)

/** Waits until some bytes of an upload have gone, but not all. */
export async function isUnderWay (t: Test, page: Page, name: string): Promise<void> {
  const bar = page.getByRole('progressbar', { name: `Progress of ${name}` })
  await shows(t, () => bar.evaluate(({ value }: HTMLProgressElement) => value > 0 && value < 100), true, `${name} is under way`)
}

export async function choose (page: Page, name: string, item: string): Promise<void> {
  await menuButton(page, name).click()
  await page.getByRole('menuitem', { name: item, exact: true }).click()
}

export const newButton = (page: Page) => page.getByRole('button', { name: 'New', exact: true })

/** Chooses what is made in the open folder. */
export async function make (page: Page, item: 'New folder' | 'New text file'): Promise<void> {
  await newButton(page).click()
  await page.getByRole('menuitem', { name: item, exact: true }).click()
}

export async function press (page: Page, ...keys: string[]): Promise<void> {
  for (const key of keys) await page.keyboard.press(key)
}
