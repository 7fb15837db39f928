import type { Locator, Page } from 'playwright-core'
import type { Test } from 'tap'
import { isProof } from '../kit/sizes.ts'
import { tabTo } from './browser.ts'
import { checkAccessible, checkFits } from './page.ts'

/** What tests of the account on the page need. */

export const section = (page: Page, name: string) => page.getByRole('region', { name, exact: true })
export const dialog = (page: Page, name: string) => page.getByRole('dialog', { name, exact: true })
export const button = (scope: Page | Locator, name: string | RegExp) => scope.getByRole('button', { name, exact: true })

/** Waits for a problem and returns its text. */
export async function problemIn (scope: Page | Locator): Promise<string> {
  const problem = scope.locator('.problem p')
  await problem.waitFor()
  return problem.innerText()
}

/** Presses Tab until the element has the focus, then a key. */
export async function press (page: Page, target: Locator, key = 'Enter'): Promise<void> {
  await tabTo(page, target)
  await page.keyboard.press(key)
}

export async function type (page: Page, target: Locator, text: string): Promise<void> {
  await tabTo(page, target)
  await page.keyboard.type(text)
}

/** Asserts that axe-core finds nothing, and that the page fits every width. */
export async function checkView (t: Test, page: Page, what: string): Promise<void> {
  await checkAccessible(t, page, what)
  await checkEveryWidth(t, page, what)
}

/** Asserts that the page fits 320 px and text of twice the size, and in the proofs 4K. */
export async function checkEveryWidth (t: Test, page: Page, what: string): Promise<void> {
  const size = page.viewportSize()
  await page.evaluate(() => { document.documentElement.style.fontSize = '200%' })
  await checkFits(t, page, `${what} in large text`)
  await page.evaluate(() => { document.documentElement.style.fontSize = '' })
  for (const width of isProof ? [320, 3840] : [320]) {
    await page.setViewportSize({ width, height: 800 })
    await checkFits(t, page, what)
  }
  if (size !== null) await page.setViewportSize(size)
}
