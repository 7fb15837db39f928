import type { Page } from 'playwright-core'
import type { Test } from 'tap'
import { isProof } from '../../kit/sizes.ts'
import { browserTest, isFocused, phone, shows } from '../browser.ts'
import { dialogButton, fileButton, folderLink, noDialog, notice, PICTURE, press, savedBy, undo, visitAs, widths, type FilesVisit } from '../files-page.ts'
import { checkAccessible, checkFits } from '../page.ts'

const layout = (page: Page, name: string) => page.getByRole('button', { name, exact: true })
const shots = (page: Page) => page.locator('.shot')
const shot = (page: Page, index: number) => page.locator(`.shot[data-index="${index}"]`)
const rail = (page: Page) => page.getByRole('navigation', { name: 'Months', exact: true })
const month = (page: Page, name: string) => page.getByRole('heading', { name, level: 3, exact: true })

/** Pictures of an account, one every `hours` before the last day of 2025, in `folders` copies of a folder. */
async function putPictures (
  { server, token }: FilesVisit, each: number, { hours = 24, folders = 1 } = {}
): Promise<void> {
  for (let first = 0; first < each; first += 50) {
    await Promise.all(Array.from({ length: Math.min(50, each - first) }, (_, n) => {
      const time = new Date(Date.UTC(2025, 11, 31, 12) - (first + n) * hours * 3_600_000).toISOString()
      const headers = { 'content-type': PICTURE.type, 'x-file-modified': time }
      return server.send('PUT', `/uploads/in%2F0%2F${first + n}.png`, { token, body: PICTURE.bytes, headers })
    }))
  }
  for (let folder = 1; folder < folders; folder++) {
    await server.send('POST', '/api/copies', { token, json: { items: [{ name: 'in/0' }], folder: `in/${folder}` } })
  }
}

/** Opens the timeline, and counts what it asks for. */
async function openTimeline (t: Test, { page, requested }: FilesVisit) {
  const before = requested.length
  await layout(page, 'Timeline').click()
  await shots(page).first().waitFor()
  const asked = (path: string) => requested.slice(before).filter(address => address.includes(path))
  /** Whether all that is in view has been read. */
  const areRead = () => shows(t, () => page.locator('.shot[aria-disabled]').count(), 0, 'all in view is read')
  await areRead()
  return { asked, areRead }
}

browserTest('the timeline shows the pictures of a folder and below by month, leads to any month, and its previews go on', async t => {
  const visit = await visitAs(t, { 'a.txt': 'text', 'in/b.txt': 'text' })
  const { page, put } = visit
  await layout(page, 'Timeline').click()
  await page.getByText('No pictures or videos yet').waitFor()
  await checkAccessible(t, page, 'an empty timeline')
  await putPictures(visit, 300)
  await page.goto(`${visit.url}/#files/in`)
  await page.getByRole('heading', { name: 'in', level: 2, exact: true }).waitFor()
  const { areRead } = await openTimeline(t, visit)
  await month(page, 'December 2025').waitFor()
  for (const width of widths(390)) {
    await page.setViewportSize({ width, height: 844 })
    await areRead()
    await checkAccessible(t, page, 'the timeline')
    await checkFits(t, page, 'the timeline')
  }
  await page.getByRole('combobox', { name: 'Months', exact: true }).selectOption({ label: 'June 2025' })
  await month(page, 'June 2025').waitFor()
  await page.setViewportSize({ width: 1280, height: 800 })
  await rail(page).getByRole('button', { name: 'Apr 2025 (30)', exact: true }).click()
  await month(page, 'April 2025').waitFor()
  await areRead()
  await shows(t, () => rail(page).locator('[aria-current=true]').getAttribute('aria-label'), 'Apr 2025 (30)')

  await shot(page, 245).focus()
  await press(page, 'End')
  await shows(t, () => isFocused(shot(page, 299)), true)
  await press(page, 'Home')
  await shows(t, () => isFocused(shot(page, 0)), true)
  await press(page, 'ArrowDown', 'ArrowRight', 'ArrowLeft', 'ArrowUp', 'ArrowRight', 'Enter')
  await page.getByRole('dialog').getByRole('heading', { name: '1.png' }).waitFor()
  for (let index = 2; index < 40; index++) {
    await press(page, 'ArrowRight')
    await page.getByRole('dialog').getByRole('heading', { name: `${index}.png` }).waitFor()
  }
  await press(page, 'Escape')
  await noDialog(page)
  await shows(t, () => isFocused(shot(page, 39)), true, 'the focus is on the picture that was shown last')

  await page.evaluate('scrollTo(0, 0)')
  await put('in/new.png', PICTURE)
  await page.getByRole('button', { name: /^new\.png, / }).waitFor()
  await layout(page, 'List').click()
  await folderLink(page, '0').waitFor()
})

browserTest('of many pictures, a timeline reads and keeps what is near the view', async t => {
  const visit = await visitAs(t, { 'a.txt': 'text' })
  const { page } = visit
  const folders = isProof ? 40 : 4
  await putPictures(visit, 500, { hours: 72, folders })
  await page.reload()
  const { asked, areRead } = await openTimeline(t, visit)
  t.equal(asked('order=-taken').length, 1, 'one page')
  const most = await shots(page).count()
  await rail(page).getByRole('button', { name: '2022', exact: true }).click()
  await month(page, 'December 2022').waitFor()
  await areRead()
  t.ok(asked('order=-taken').length <= 2, 'a jump reads one page, wherever it leads', { asked: asked('order=-taken') })
  await shots(page).first().focus()
  await press(page, 'End')
  await shows(t, () => isFocused(shot(page, 500 * folders - 1)), true)
  await areRead()
  t.ok(asked('order=-taken').length <= 4, 'the end too')

  // As a person drags the scroll bar through all.
  const height = await page.evaluate(() => document.documentElement.scrollHeight)
  for (let step = 0; step <= 50; step++) {
    const top = height * (1 - step / 50)
    await page.evaluate(top => new Promise(resolve => { scrollTo(0, top); requestAnimationFrame(resolve) }), top)
    t.ok(await shots(page).count() < most + 60, 'few are in the document')
  }
  await press(page, 'Home')
  await areRead()
  t.ok(asked('order=-taken').length < 60, 'what only passes is not read', { count: asked('order=-taken').length })
  t.comment(`${500 * folders} pictures: ${asked('order=-taken').length} requests, at most ${most + 60} in the document`)
})

browserTest('in the timeline too, the right button, the menu key and Shift+F10 open the menu of a file, and each act shows at once', async t => {
  const visit = await visitAs(t, { 'in/a.png': PICTURE, 'in/b.png': PICTURE, 'in/c.png': PICTURE, 'other/d.txt': 'text' })
  const { page, server, token } = visit
  await openTimeline(t, visit)
  const file = (name: string) => page.getByRole('button', { name: new RegExp(`^${name}, `) })
  const menu = page.getByRole('menu')
  const item = (name: string) => menu.getByRole('menuitem', { name, exact: true })
  const isListed = (path: string) => async () => (await server.send('GET', `/api/files/${encodeURIComponent(path)}`, { token })).status === 200
  await file('b.png').click({ button: 'right' })
  await menu.waitFor()
  await checkAccessible(t, page, 'the menu of a picture')
  await checkFits(t, page, 'the menu of a picture')
  await press(page, 'Escape')
  await shows(t, () => isFocused(file('b.png')), true, 'the focus goes back')
  for (const key of ['ContextMenu', 'Shift+F10']) {
    await press(page, key)
    await menu.waitFor()
    await press(page, 'Escape')
    await menu.waitFor({ state: 'detached' })
  }
  await press(page, 'Shift+F10')
  t.same((await savedBy(page, () => item('Download').click())).name, 'b.png')

  await press(page, 'Shift+F10')
  await item('Add a star').click()
  await page.getByRole('button', { name: /^b\.png, .*, starred$/ }).waitFor()
  await press(page, '*')
  await page.getByRole('button', { name: /^b\.png, .*, starred$/ }).waitFor({ state: 'detached' })

  await press(page, 'F2')
  await page.getByLabel('New name of b.png').fill('renamed.png')
  await press(page, 'Enter')
  await noDialog(page)
  await file('renamed.png').waitFor()
  await shows(t, () => isFocused(file('renamed.png')), true)
  await press(page, 'Shift+F10')
  await item('Move').click()
  await dialogButton(page, 'Files').click()
  await dialogButton(page, 'other').click()
  await dialogButton(page, 'Move here').click()
  await noDialog(page)
  await shows(t, isListed('other/renamed.png'), true)
  await shows(t, async () => {
    await press(page, 'Shift+F10')
    await item('Details').click()
    const folder = await page.getByRole('dialog').locator('dd').first().innerText()
    await press(page, 'Escape')
    await noDialog(page)
    return folder
  }, 'other', 'the details are those of the moved file')
  await press(page, 'Delete')
  await file('renamed.png').waitFor({ state: 'detached' })
  await undo(page).click()
  await file('renamed.png').waitFor()
  await notice(page, 'Restored: other/renamed.png').waitFor()

  await page.route('**/api/files/other*', route => route.fulfill({ status: 423, contentType: 'application/problem+json', json: { code: 'file_locked', title: 'x', detail: 'x', status: 423 } }))
  await file('renamed.png').click({ button: 'right' })
  await item('Add a star').click()
  await page.getByRole('status').getByText(/Another program has locked it/).waitFor()
  await page.unroute('**/api/files/other*')
  await file('renamed.png').click({ button: 'right' })
  await item('Show in its folder').click()
  await shows(t, () => isFocused(fileButton(page, 'renamed.png')), true, 'in the list of its folder')
})

browserTest('on a touch screen, a long press opens the menu of a picture, also where the browser tells of none', async t => {
  const visit = await visitAs(t, { 'a.png': PICTURE, 'b.png': PICTURE }, phone)
  const { page } = visit
  await openTimeline(t, visit)
  // As in the browsers of iOS.
  await page.evaluate("addEventListener('contextmenu', event => { event.preventDefault(); event.stopImmediatePropagation() }, true)")
  const devTools = await page.context().newCDPSession(page)
  const menu = page.getByRole('menu')
  const dialog = page.getByRole('dialog')
  const picture = page.getByRole('button', { name: /^b\.png, / })
  const { x = 0, y = 0 } = await picture.boundingBox() ?? {}
  const touch = (type: 'touchStart' | 'touchEnd', ...touchPoints: { x: number, y: number }[]) =>
    devTools.send('Input.dispatchTouchEvent', { type, touchPoints })
  await touch('touchStart', { x: x + 40, y: y + 40 })
  await menu.waitFor()
  await touch('touchEnd')
  await checkFits(t, page, 'the menu of a long press')
  t.equal(await dialog.count(), 0, 'the picture is not opened')
  await menu.getByRole('menuitem', { name: 'Details', exact: true }).tap()
  await dialog.getByRole('heading', { name: 'Details of b.png' }).waitFor()
  await press(page, 'Escape')
  await noDialog(page)

  await picture.tap()
  await dialog.getByRole('heading', { name: 'b.png' }).waitFor()
})
