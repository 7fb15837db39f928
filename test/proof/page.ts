import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Locator, Page } from 'playwright-core'
import type { Test } from 'tap'
import { root } from '../kit/root.ts'
import { PASSWORD, sharedServer, signUp, type RunningServer, type Settings } from '../kit/server.ts'
import { isProof } from '../kit/sizes.ts'
import { openTab, shows, watch, type TabOptions, type Visit } from './browser.ts'

/** Steps on the page. They use the mouse. */

const axeSource = readFileSync(join(root, 'node_modules/axe-core/axe.min.js'), 'utf8')

export { PASSWORD }

export interface PageVisit extends Visit { readonly url: string }

/** The page of a user of the server that the stories with these settings share. */
export interface UserVisit extends PageVisit {
  readonly server: RunningServer
  readonly user: [string, string]
  readonly username: string
  readonly token: string
}

/** The page in a new browser without a session. */
export async function openPage (t: Test, url: string, options: TabOptions = {}): Promise<PageVisit> {
  const tab = await openTab(t, { acceptDownloads: true, ...options })
  await tab.page.goto(url)
  await tab.page.getByRole('main').waitFor()
  return { ...tab, url }
}

/** Another window of the same browser: it has the same cookies. */
export async function openSecondWindow ({ page, url }: PageVisit): Promise<PageVisit> {
  const tab = watch(await page.context().newPage())
  await tab.page.goto(url)
  await tab.page.getByRole('main').waitFor()
  return { ...tab, url }
}

/** Creates an account on the page, which signs in. */
export async function registerOn (page: Page, username: string, password = PASSWORD): Promise<void> {
  await page.getByRole('button', { name: 'Create an account instead' }).click()
  await fillCredentials(page, { username, password })
  await page.getByRole('button', { name: 'Create an account', exact: true }).click()
  await signedIn(page)
}

export async function signInOn (page: Page, username: string, password = PASSWORD): Promise<void> {
  await fillCredentials(page, { username, password })
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await signedIn(page)
}

export async function fillCredentials (
  page: Page, { username, password }: { username: string, password: string }
): Promise<void> {
  await page.getByLabel('Username').fill(username)
  await page.getByLabel('Password', { exact: true }).fill(password)
}

/** Waits until a user is signed in. */
export async function signedIn (page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Sign out', exact: true }).waitFor()
}

/** How a new user comes to a server: its settings, its host if another than its address, and what the browser is. */
export interface Arrival extends TabOptions { readonly settings?: Settings, readonly host?: string }

/** The page with a new user, who has signed in, after `prepare`. */
export async function openPageAs (
  t: Test,
  { settings = {}, host = '127.0.0.1', ...options }: Arrival = {},
  prepare?: (account: { server: RunningServer, token: string }) => Promise<void>
): Promise<UserVisit> {
  const server = await sharedServer(settings)
  const { user, token } = await signUp(server)
  await prepare?.({ server, token })
  const visit = await openPage(t, server.url.replace('127.0.0.1', host), options)
  await signInOn(visit.page, user[0])
  return { ...visit, server, user, username: user[0], token }
}

/** Waits until the browser can open the page without a network. */
export async function isKept (t: Test, page: Page): Promise<void> {
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => {}))
  const find = () => page.evaluate(async () => await caches.match('./', { ignoreVary: true }) !== undefined)
  await shows(t, find, true, 'the page is kept')
}

/** Goes to another view, by the navigation. */
export async function goTo (page: Page, view: 'Files' | 'Recent' | 'Starred' | 'Links' | 'Trash' | 'Account'): Promise<void> {
  await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: view, exact: true }).click()
  await page.getByRole('heading', { name: view, level: 2, exact: true }).waitFor()
}

const COLOR_SCHEMES = isProof ? ['light', 'dark'] as const : ['light'] as const

/** Asserts that axe-core finds nothing, in the proofs in both colour schemes. `what` names the state of the page. */
export async function checkAccessible (t: Test, page: Page, what: string): Promise<void> {
  if (!await page.evaluate(() => 'axe' in globalThis)) await page.evaluate(axeSource)
  for (const colorScheme of COLOR_SCHEMES) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    const found = await page.evaluate(async () => {
      interface Violation { id: string, nodes: { target: unknown, failureSummary: string }[] }
      // Of a transition that has begun before, a colour in between would be judged.
      await Promise.allSettled(document.getAnimations().map(animation => animation.finished))
      const { axe } =
        globalThis as unknown as { axe: { run: (options: object) => Promise<{ violations: Violation[] }> } }
      const { violations } = await axe.run({ resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
      return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${JSON.stringify(target)} ${failureSummary}`))
    })
    t.same(found, [], `axe finds nothing in ${what}, ${colorScheme}`)
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: 'reduce' })
}

/** Asserts that the page does not scroll sideways. */
export async function checkFits (t: Test, page: Page, what: string): Promise<void> {
  const overflow =
    await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  t.equal(overflow, 0, `${what} fits ${page.viewportSize()?.width} px`)
}

/** Whether the focus is in an element. */
export const hasFocusIn = (locator: Locator) => locator.evaluate(element => element.contains(document.activeElement))
