import type { Page } from 'playwright-core'
import { browserTest, isFocused, phone, shows } from '../browser.ts'
import { visitAs } from '../files-page.ts'
import { checkAccessible, checkFits, goTo, openPageAs } from '../page.ts'

const list = (page: Page) => page.getByRole('dialog', { name: 'Keyboard shortcuts' })
const search = (page: Page) => page.getByRole('searchbox')
const setting = (page: Page) => list(page).getByLabel('Use the shortcuts / and ?')

browserTest('/ focuses the search, and ? opens a list of all shortcuts, which can be turned off', async t => {
  const { page } = await visitAs(t, { 'a.txt': 'text' })
  await page.getByRole('grid').waitFor()
  await page.keyboard.press('/')
  t.ok(await isFocused(search(page)))
  t.equal(await search(page).inputValue(), '', 'the key types nothing')
  await page.keyboard.type('a/b?')
  t.equal(await search(page).inputValue(), 'a/b?', 'in a field they are characters')
  t.equal(await list(page).count(), 0)
  await search(page).fill('')

  const row = page.getByRole('grid').getByRole('button', { name: 'a.txt', exact: true })
  await row.focus()
  await page.keyboard.press('?')
  await list(page).waitFor()
  for (const key of ['/', '?', 'Ctrl+A', 'Space', 'Shift+↓', 'Escape', 'Delete', 'F2', 'Enter', 'A–Z']) t.ok(await list(page).getByText(key, { exact: true }).count() > 0, key)
  await checkAccessible(t, page, 'the list of shortcuts')
  await checkFits(t, page, 'the list of shortcuts')
  await page.keyboard.press('/')
  t.notOk(await isFocused(search(page)), 'a dialog keeps the focus')
  await page.keyboard.press('?')
  t.equal(await list(page).count(), 1)
  await page.keyboard.press('Escape')
  await list(page).waitFor({ state: 'hidden' })
  t.ok(await isFocused(row), 'the focus returns')

  for (const combination of ['Control+/', 'Alt+/', 'Control+Shift+?']) await page.keyboard.press(combination)
  t.ok(await isFocused(row), 'with other keys they mean nothing')
  await goTo(page, 'Account')
  await page.keyboard.press('/')
  await page.keyboard.press('?')
  await list(page).waitFor()
  await page.keyboard.press('Escape')

  await page.getByRole('button', { name: 'Keyboard shortcuts', exact: true }).click()
  await setting(page).uncheck()
  await page.reload()
  await page.getByRole('heading', { name: 'Account', level: 2 }).waitFor()
  await page.keyboard.press('?')
  t.equal(await list(page).count(), 0, 'they can be turned off, which the browser keeps')
  await page.getByRole('button', { name: 'Keyboard shortcuts', exact: true }).click()
  t.notOk(await setting(page).isChecked())
  await setting(page).check()
  t.same(await page.evaluate(() => Object.keys(localStorage)), [])
  await page.keyboard.press('Escape')
  await page.keyboard.press('?')
  await list(page).waitFor()
})

browserTest('a device without a keyboard has no button for the shortcuts', async t => {
  const { page } = await openPageAs(t, phone)
  await shows(t, () => page.getByRole('button', { name: 'Keyboard shortcuts', exact: true }).isVisible(), false)
  await checkFits(t, page, 'the page')
})
