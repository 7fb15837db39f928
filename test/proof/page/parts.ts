import type { Page } from 'playwright-core'
import type { Test } from 'tap'
import { browserTest, isFocused, shows } from '../browser.ts'
import { choose, fileButton, menuButton, noDialog, press, visitAs } from '../files-page.ts'
import { giveAway, heading, openLink, startLinks } from '../links-page.ts'
import { checkAccessible, checkFits, goTo, hasFocusIn, isKept } from '../page.ts'

/** Makes the browser forget the scripts that it keeps for when there is no network. */
async function forgetPage (t: Test, page: Page): Promise<void> {
  await isKept(t, page)
  await page.evaluate(async () => { for (const name of await caches.keys()) await caches.delete(name) })
}

/** How the server answers requests for what is not in the first view. */
interface Answers { kind: 'as usual' | 'none' | 'another version' }

async function routeParts (page: Page): Promise<Answers> {
  const answers: Answers = { kind: 'as usual' }
  // Not only those of the page, as the service worker sends them.
  await page.context().route('**/assets/parts-*.js', route => {
    if (answers.kind === 'none') return route.abort()
    return answers.kind === 'another version' ? route.fulfill({ status: 404 }) : route.continue()
  })
  return answers
}

const missing = (page: Page) => page.getByRole('dialog', { name: 'MagicStore', exact: true })
/** While the page tries, it does nothing. */
const again = (page: Page) => page.getByRole('button', { name: 'Try again', exact: true, disabled: false })
const preview = (page: Page) => page.getByRole('dialog', { name: 'a.txt', exact: true })

browserTest('what is not in the first view is fetched ahead; where it can\'t be loaded, the page says so and can try again', async t => {
  const { page, requested } = await visitAs(t, { 'a.txt': 'the text' })
  await shows(t, async () => requested.some(address => address.includes('/assets/parts-')), true, 'nothing was opened')
  const answers = await routeParts(page)
  await forgetPage(t, page)
  answers.kind = 'none'
  await page.reload()
  await fileButton(page, 'a.txt').click()
  await missing(page).getByText('This part of the page could not be loaded.').waitFor()
  await checkAccessible(t, page, 'a dialog that is missing')
  await checkFits(t, page, 'a dialog that is missing')
  const failed = page.waitForEvent('requestfailed', request => request.url().includes('/assets/parts-'))
  await again(page).click()
  await failed
  await again(page).waitFor()
  t.ok(await hasFocusIn(missing(page)))
  answers.kind = 'as usual'
  await again(page).click()
  await preview(page).getByText('the text').waitFor()
  await press(page, 'Escape')
  await noDialog(page)
  t.ok(await isFocused(fileButton(page, 'a.txt')), 'the focus returns')

  await forgetPage(t, page)
  answers.kind = 'none'
  await page.reload()
  await menuButton(page, 'a.txt').click()
  await page.getByRole('menuitem', { name: 'Versions', exact: true }).click()
  await press(page, 'Escape')
  await noDialog(page)
  await goTo(page, 'Account')
  await again(page).waitFor()
  const title = page.getByRole('heading', { name: 'Account', level: 2 })
  t.ok(await isFocused(title))
  await checkAccessible(t, page, 'a view that is missing')
  answers.kind = 'as usual'
  await again(page).press('Enter')
  await page.getByRole('region', { name: 'Profile', exact: true }).waitFor()
  await shows(t, () => isFocused(title), true, 'the heading has the focus, as the button is gone')
})

browserTest('after an upgrade of the server, a part of the page that is gone can be had by loading the page again', async t => {
  const { page } = await visitAs(t, { 'a.txt': 'the text' })
  const answers = await routeParts(page)
  await forgetPage(t, page)
  answers.kind = 'another version'
  await page.reload()
  await choose(page, 'a.txt', 'Versions')
  await missing(page).getByText('The server has another version of this page.').waitFor()
  t.equal(await again(page).count(), 0, 'to try again would be in vain')
  answers.kind = 'as usual'
  await page.getByRole('button', { name: 'Load the page again', exact: true }).click()
  await noDialog(page)
  await fileButton(page, 'a.txt').click()
  await preview(page).getByText('the text').waitFor()
})

browserTest('the page of a link loads its previews later, and can try again', async t => {
  const server = await startLinks(t)
  await server.put('trip/a.txt', 'the text', 'text/plain')
  await server.put('b.txt', 'other text', 'text/plain')
  const folder = await giveAway(server, server.token, { name: 'trip' })
  const { page, requested } = await openLink(t, folder.url)
  await shows(t, async () => requested.some(address => address.includes('/assets/parts-')), true, 'nothing was opened')
  const answers = await routeParts(page)
  answers.kind = 'none'
  await page.reload()
  await page.getByRole('button', { name: 'a.txt', exact: true }).click()
  await missing(page).getByText('This part of the page could not be loaded.').waitFor()
  await again(page).waitFor()
  answers.kind = 'as usual'
  await again(page).click()
  await preview(page).getByText('the text').waitFor()

  answers.kind = 'none'
  await page.goto((await giveAway(server, server.token, { name: 'b.txt' })).url)
  await heading(page).getByText('b.txt').waitFor()
  await page.getByRole('button', { name: 'Preview', exact: true }).click()
  await again(page).waitFor()
  answers.kind = 'as usual'
  await again(page).click()
  await page.getByText('other text').waitFor()
})
