import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BrowserContextOptions, Locator, Page } from 'playwright-core'
import type { Test } from 'tap'
import { root } from '../kit/root.ts'
import { openTab, watch, type Visit } from './browser.ts'

/** Steps on the page. They use the mouse. */

const axeSource = readFileSync(join(root, 'node_modules/axe-core/axe.min.js'), 'utf8')

export const PASSWORD = 'a password of the tests'

export interface PageVisit extends Visit { readonly url: string }

/** The page in a new browser without a session. */
export async function openPage (t: Test, url: string, options: BrowserContextOptions = {}): Promise<PageVisit> {
  const tab = await openTab(t, { acceptDownloads: true, ...options })
  await tab.page.goto(url)
  await tab.page.getByRole('main').waitFor()
  return { ...tab, url }
}

/** Another window of the same browser: it has the same cookies. */
export async function openSecondWindow ({ page, url }: PageVisit): Promise<PageVisit> {
  const tab = await watch(await page.context().newPage())
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

/** A page with a new user. */
export async function openPageAs (
  t: Test, url: string, username: string, options: BrowserContextOptions = {}
): Promise<PageVisit> {
  const visit = await openPage(t, url, options)
  await registerOn(visit.page, username)
  return visit
}

/** Goes to another view, by the navigation. */
export async function goTo (page: Page, view: 'Files' | 'Links' | 'Trash' | 'Account'): Promise<void> {
  await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: view }).click()
  await page.getByRole('heading', { name: view, level: 2, exact: true }).waitFor()
}

/** Asserts that axe-core finds nothing in the light and the dark colour scheme. `what` names the state of the page. */
export async function checkAccessible (t: Test, page: Page, what: string): Promise<void> {
  await page.evaluate(axeSource)
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    const found = await page.evaluate(async () => {
      interface Violation { id: string, nodes: { target: unknown, failureSummary: string }[] }
      // Of a transition that has begun before, a colour in between would be judged.
      await Promise.allSettled(document.getAnimations().map(animation => animation.finished))
      const { axe } =
        globalThis as unknown as { axe: { run: (options: object) => Promise<{ violations: Violation[] }> } }
      const { violations } = await axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
      return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${JSON.stringify(target)} ${failureSummary}`))
    })
    t.same(found, [], `axe finds nothing in ${what}, ${colorScheme}`)
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null })
}

/** Asserts that the page does not scroll sideways. */
export async function checkFits (t: Test, page: Page, what: string): Promise<void> {
  const overflow =
    await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  t.equal(overflow, 0, `${what} fits ${page.viewportSize()?.width} px`)
}

/** Asserts that the page sent no request to another server, and that no complaint is missing from `expected`. */
export function checkQuiet (t: Test, { url, requested, complaints }: PageVisit, expected: RegExp[] = []): void {
  t.same(requested.filter(address => new URL(address).origin !== url && !/^(blob|data):/.test(address)), [], 'no request to another server')
  t.same(complaints.filter(text => !expected.some(pattern => pattern.test(text))), [], 'no complaints')
}

/** Whether the focus is in an element. */
export const hasFocusIn = (locator: Locator) => locator.evaluate(element => element.contains(document.activeElement))
