import type { Test } from 'tap'
import type { Page } from 'playwright-core'
import { browserTest, isFocused, shows, tabTo } from '../browser.ts'
import {
  dialogButton, folderLink, namesOf, noDialog, notice, press, refusal, visitAs, widths
} from '../files-page.ts'
import { checkAccessible, checkFits, goTo } from '../page.ts'

const heading = (page: Page, name: string) => page.getByRole('heading', { name, level: 2, exact: true })
const toTrash = (page: Page) => page.getByRole('navigation', { name: 'Path of the folder' }).getByRole('link', { name: 'Trash' })
const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })

async function looksRight (t: Test, page: Page, what: string): Promise<void> {
  for (const width of widths(390)) {
    await page.setViewportSize({ width, height: 844 })
    await checkFits(t, page, what)
    await checkAccessible(t, page, `${what}, ${width} px`)
  }
}

browserTest('in the trash, a folder that was deleted is one row, with its count and size, and is opened and restored as one', async t => {
  const { page, put, server, user } = await visitAs(t, { 'box/a.txt': 'aaa', 'box/in/b.txt': 'bb', 'c.txt': 'c', 'd/1.txt': '1', 'd/2.txt': '2' })
  for (const folder of ['box%2Fempty', 'lone']) await server.send('PUT', `/api/folders/${folder}`, { user })
  for (const items of [[{ name: 'box' }], [{ name: 'd/1.txt' }, { name: 'd/2.txt' }]]) await server.send('POST', '/api/trash', { user, json: { items } })
  await server.send('DELETE', '/uploads/c.txt', { user })
  await goTo(page, 'Trash')
  await shows(t, () => namesOf(page), ['c.txt', '2 files from d', 'box'])
  await page.getByRole('row').filter({ hasText: 'box' }).getByText('2 files, 3 folders').waitFor()
  await looksRight(t, page, 'deletions')
  await tabTo(page, page.getByRole('grid').getByRole('checkbox').nth(1))
  await press(page, 'ArrowDown', 'ArrowDown', 'ArrowRight', 'Enter')
  await heading(page, 'box').waitFor()
  await shows(t, () => isFocused(heading(page, 'box')), true)
  await shows(t, async () => (await page.locator('.file-name').allTextContents()).sort(), ['box/a.txt', 'box/in/b.txt'])
  await page.getByText('2 files, 3 folders, 5 B').waitFor()
  await page.getByRole('listitem').filter({ hasText: 'box/empty' }).waitFor()
  await looksRight(t, page, 'an open deletion')
  await button(page, 'Restore box/in/b.txt').click()
  await notice(page, 'Restored: box/in/b.txt').waitFor()
  await shows(t, () => page.locator('.file-name').allTextContents(), ['box/a.txt'])
  await toTrash(page).click()
  await page.getByRole('row').filter({ hasText: 'box' }).getByText('1 file, 3 folders').waitFor()
  await button(page, 'Restore box').click()
  await notice(page, 'Restored: box').waitFor()
  await shows(t, () => namesOf(page), ['c.txt', '2 files from d'])
  t.equal((await server.send('GET', '/api/folders/box%2Fempty', { user })).status, 200, 'with its empty folder')
  await page.goBack()
  await heading(page, 'Trash').waitFor()
  t.pass('nothing is left of what was open')

  await t.test('a deletion of many is restored or deleted for good as one, and what can\'t be restored is told', async t => {
    await server.send('POST', '/api/trash', { user, json: { items: [{ name: 'box' }] } })
    await put('d/1.txt', 'another')
    await goTo(page, 'Trash')
    await folderLink(page, '2 files from d').click()
    await button(page, 'Restore all').click()
    await refusal(page).getByText('1 could not be restored and stayed in the trash.').waitFor()
    await shows(t, () => page.locator('.file-name').allTextContents(), ['d/1.txt'])
    await button(page, 'Delete all for good').click()
    await page.getByRole('dialog').getByText('This deletes 1 file with their older versions, and cannot be undone:').waitFor()
    await dialogButton(page, 'Delete for good').click()
    await heading(page, 'Trash').waitFor()
    await noDialog(page)
    await shows(t, () => namesOf(page), ['box', 'c.txt'])
    await server.send('POST', '/api/trash', { user, json: { items: [{ name: 'lone' }] } })
    await shows(t, () => namesOf(page), ['lone', 'box', 'c.txt'])
    await button(page, 'Delete box for good').click()
    await page.getByRole('dialog').getByText('This deletes 2 files, 3 folders').waitFor()
    await dialogButton(page, 'Delete for good').click()
    await notice(page, 'Deleted for good: box').waitFor()
    await shows(t, () => namesOf(page), ['lone', 'c.txt'])
    await press(page, 'Control+a')
    await page.getByRole('group', { name: 'Selection' }).getByRole('button', { name: 'Restore' }).click()
    await notice(page, 'Restored: 2 items').waitFor()
    await page.getByText('The trash is empty').first().waitFor()
    t.equal((await server.send('GET', '/api/folders/lone', { user })).status, 200)
  })
})
