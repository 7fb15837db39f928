import { readFile } from 'node:fs/promises'
import type { Page } from 'playwright-core'
import { startServer } from '../kit/server.ts'
import { browserTest, isFocused, phone, shows, tabTo } from './browser.ts'
import { choose, DEAF, deafen, dialogButton, fileButton, namesIn, namesOf, noDialog, press, visitAs, type FilesVisit } from './files-page.ts'
import { checkAccessible, checkFits, checkQuiet, goTo, hasFocusIn, PASSWORD } from './page.ts'

const bar = (page: Page) => page.getByRole('group', { name: 'Selection' })
const act = (page: Page, name: string) => bar(page).getByRole('button', { name, exact: true })
const box = (page: Page, name: string) => page.getByRole('grid').getByRole('checkbox', { name: `Select ${name}`, exact: true })
const notice = (page: Page, text: string) => page.getByRole('status').getByText(text, { exact: true })
const summary = (page: Page) => bar(page).getByRole('status').textContent()
const chosen = (page: Page) => namesIn(page.locator('.grid .body [aria-selected=true]'))
const undo = (page: Page) => page.getByRole('button', { name: 'Undo' }).click()
const folderLink = (page: Page, name: string) => page.getByRole('grid').getByRole('link', { name, exact: true })

/** The browser writes each error response on its console. */
const REFUSED = [/status of 4(?:04|09|23)/]

/** The file that the browser saves. */
async function savedBy (page: Page, action: () => Promise<void>): Promise<{ name: string, bytes: Buffer }> {
  const saved = page.waitForEvent('download')
  await action()
  const download = await saved
  return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) }
}

const numbered = (index: number) => `photo ${String(index).padStart(3, '0')}.jpg`

async function putMany ({ put }: FilesVisit, count: number): Promise<void> {
  for (let first = 0; first < count; first += 50) {
    await Promise.all(Array.from({ length: Math.min(50, count - first) }, (_, index) => put(numbered(first + index), 'ten bytes.')))
  }
}

/** The names of all files of the account. */
async function stored ({ server }: FilesVisit, username: string): Promise<string[]> {
  const { files } = (await server.send('GET', '/api/files?limit=1000', { user: [username, PASSWORD] })).json
  return files.map(({ name }: { name: string }) => name)
}

browserTest('by mouse, rows are chosen with boxes, Shift and Ctrl, deleted together, and restored by one click', async t => {
  const visit = await visitAs(t, 'ann', { 'a/in.txt': 'in', 'b.txt': 'bb', 'c.txt': 'ccc', 'd.txt': 'd', 'e.txt': 'e' })
  const { page } = visit
  const before = await fileButton(page, 'c.txt').boundingBox()
  await box(page, 'b.txt').click()
  t.strictSame(await chosen(page), ['b.txt'])
  t.equal(await summary(page), '1 selected: 2 bytes')
  t.strictSame(await fileButton(page, 'c.txt').boundingBox(), before, 'no row moves')
  await box(page, 'd.txt').click({ modifiers: ['Shift'] })
  t.strictSame(await chosen(page), ['b.txt', 'c.txt', 'd.txt'])
  await fileButton(page, 'c.txt').click({ modifiers: ['ControlOrMeta'] })
  t.strictSame(await chosen(page), ['b.txt', 'd.txt'])
  await folderLink(page, 'a').click({ modifiers: ['ControlOrMeta'] })
  await fileButton(page, 'e.txt').click({ modifiers: ['Shift'] })
  t.strictSame(await chosen(page), ['a', 'b.txt', 'c.txt', 'd.txt', 'e.txt'], 'a range from the last row that was clicked')
  t.equal(await summary(page), '5 selected: 7 bytes, 1 folder')
  t.equal(page.context().pages().length, 1, 'no window was opened')
  await bar(page).getByRole('checkbox').click()
  await shows(t, () => chosen(page), [])
  await page.getByRole('grid').getByRole('checkbox', { name: 'Select all' }).click()
  await box(page, 'e.txt').click()
  t.ok(await bar(page).getByRole('checkbox').evaluate((input: HTMLInputElement) => input.indeterminate))
  await checkAccessible(t, page, 'a selection')

  await act(page, 'Delete').click()
  await page.getByRole('dialog', { name: 'Delete 4 items?' }).getByText('a', { exact: true }).waitFor()
  await checkAccessible(t, page, 'the question')
  await dialogButton(page, 'Delete').click()
  await notice(page, 'Moved to the trash: 4 items').waitFor()
  await shows(t, () => namesOf(page), ['e.txt'])
  await undo(page)
  await notice(page, 'Restored: 4 items').waitFor()
  await shows(t, () => namesOf(page), ['a', 'b.txt', 'c.txt', 'd.txt', 'e.txt'])
  t.strictSame(await stored(visit, 'ann'), ['b.txt', 'c.txt', 'd.txt', 'e.txt', 'a/in.txt'])
  checkQuiet(t, visit, REFUSED)
})

browserTest('by keyboard alone, rows are chosen, moved, deleted and restored', async t => {
  const visit = await visitAs(t, 'ann', { 'to/x.txt': 'x', 'b.txt': 'b', 'c.txt': 'c', 'd.txt': 'd', 'e.txt': 'e' })
  const { page } = visit
  await tabTo(page, folderLink(page, 'to'))
  await press(page, 'ArrowDown', 'Space')
  t.strictSame(await chosen(page), ['b.txt'], 'Space opens no preview')
  await press(page, 'Shift+ArrowDown', 'Shift+ArrowDown', 'Shift+ArrowUp')
  t.strictSame(await chosen(page), ['b.txt', 'c.txt'], 'a range grows and shrinks')
  t.ok(await isFocused(fileButton(page, 'c.txt')))
  await press(page, 'ArrowDown', 'ArrowDown', 'ArrowLeft', 'Space')
  t.ok(await isFocused(box(page, 'e.txt')))
  t.strictSame(await chosen(page), ['b.txt', 'c.txt', 'e.txt'])
  await press(page, 'Escape')
  t.strictSame(await chosen(page), [])
  await press(page, 'Control+a')
  t.strictSame(await chosen(page), ['to', 'b.txt', 'c.txt', 'd.txt', 'e.txt'])
  await press(page, 'Home', 'Space')
  t.strictSame(await chosen(page), ['b.txt', 'c.txt', 'd.txt', 'e.txt'], 'a box is pressed by Space')

  await tabTo(page, act(page, 'Move'), 'Shift+Tab')
  await press(page, 'Enter')
  await page.getByRole('dialog', { name: 'Move 4 items' }).waitFor()
  await tabTo(page, dialogButton(page, 'to'))
  await press(page, 'Enter')
  await tabTo(page, dialogButton(page, 'Move here'))
  await press(page, 'Enter')
  await notice(page, 'Moved to to: 4 items').waitFor()
  await shows(t, () => namesOf(page), ['to'])
  await shows(t, () => hasFocusIn(page.getByRole('main')), true)
  await tabTo(page, page.getByRole('button', { name: 'Undo' }))
  await press(page, 'Enter')
  await notice(page, 'Moved back: 4 items').waitFor()
  await shows(t, () => stored(visit, 'ann'), ['b.txt', 'c.txt', 'd.txt', 'e.txt', 'to/x.txt'])

  await tabTo(page, folderLink(page, 'to'))
  await press(page, 'ArrowDown', 'Shift+End', 'Delete')
  await notice(page, 'Moved to the trash: 4 items').waitFor()
  await shows(t, () => namesOf(page), ['to'])
  await shows(t, () => hasFocusIn(page.getByRole('grid')), true, 'the focus stays in the list')
  await goTo(page, 'Trash')
  await tabTo(page, page.getByRole('grid').getByRole('checkbox').nth(1))
  await press(page, 'Control+a', 'Space')
  t.equal((await chosen(page)).length, 3)
  await tabTo(page, act(page, 'Restore'), 'Shift+Tab')
  await press(page, 'Enter')
  await notice(page, 'Restored: 3 items').waitFor()
  await shows(t, async () => (await namesOf(page)).length, 1)
  await shows(t, () => hasFocusIn(page.getByRole('grid')), true)
  await press(page, 'Shift+Space', 'Delete')
  await page.getByRole('dialog', { name: 'Delete 1 item for good?' }).waitFor()
  await checkAccessible(t, page, 'the question of the trash')
  await press(page, 'Tab', 'Enter')
  await notice(page, 'Deleted for good: 1 item').waitFor()
  await page.getByText('The trash is empty').first().waitFor()
  checkQuiet(t, visit)
})

browserTest('letters go to the next name that begins with them', async t => {
  const visit = await visitAs(t, 'ann', { 'alpha.txt': '1', 'beta.txt': '2', 'bravo one.txt': '3', 'bravo two.txt': '4', 'Émile.txt': '5' })
  const { page } = visit
  await fileButton(page, 'alpha.txt').focus()
  await press(page, 'b')
  t.ok(await isFocused(fileButton(page, 'beta.txt')))
  await press(page, 'b')
  t.ok(await isFocused(fileButton(page, 'bravo one.txt')), 'the same letter goes on')
  await page.waitForFunction(at => performance.now() > at + 1100, await page.evaluate(() => performance.now()))
  await page.keyboard.type('bravo t')
  t.ok(await isFocused(fileButton(page, 'bravo two.txt')), 'a space belongs to the name')
  t.strictSame(await chosen(page), [])
  await page.waitForFunction(at => performance.now() > at + 1100, await page.evaluate(() => performance.now()))
  await press(page, 'E')
  t.ok(await isFocused(fileButton(page, 'Émile.txt')), 'without regard to case and accents')
  await press(page, 'q')
  t.ok(await isFocused(fileButton(page, 'Émile.txt')))
  checkQuiet(t, visit)
})

browserTest('200 files are chosen by one key and deleted by another, with one notice, and restored by one click', async t => {
  const visit = await visitAs(t, 'ann', {})
  const { page } = visit
  await putMany(visit, 650)
  await page.reload()
  await fileButton(page, numbered(0)).focus()
  await press(page, 'Control+a')
  await shows(t, () => summary(page), '650 selected: 6.5 kB', 'also those that were not loaded')
  await press(page, 'Escape')
  await page.getByRole('searchbox').fill('photo 1')
  await shows(t, async () => (await namesOf(page))[0], numbered(100))
  await fileButton(page, numbered(100)).focus()
  await press(page, 'Control+a')
  await shows(t, () => summary(page), '100 selected: 1 kB')
  await page.getByRole('searchbox').fill('')
  await shows(t, async () => (await namesOf(page))[0], numbered(0))
  await box(page, numbered(0)).click({ modifiers: ['Shift'] })
  await page.getByRole('searchbox').fill('photo ')
  await fileButton(page, numbered(0)).focus()
  await press(page, 'Escape')
  t.strictSame(await chosen(page), [])
  await press(page, 'Control+a')
  await shows(t, () => summary(page), '650 selected: 6.5 kB')
  const removals = () => visit.requested.filter(address => address.includes('/uploads/photo')).length
  await press(page, 'Delete')
  await notice(page, 'Moved to the trash: 650 items').waitFor({ timeout: 120_000 })
  t.equal(removals(), 650)
  t.strictSame(await stored(visit, 'ann'), [])
  await undo(page)
  await notice(page, 'Restored: 650 items').waitFor({ timeout: 120_000 })
  t.equal((await stored(visit, 'ann')).length, 650)
  checkQuiet(t, visit)
})

browserTest('an act on many shows how far it is, can be stopped, and names what failed', async t => {
  const visit = await visitAs(t, 'ann', { 'to/b.txt': 'taken', 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c' })
  const { page } = visit
  for (const name of ['a.txt', 'b.txt', 'c.txt']) await box(page, name).click()
  await act(page, 'Move').click()
  await dialogButton(page, 'to').click()
  await dialogButton(page, 'Move here').click()
  await page.getByRole('dialog', { name: 'Not moved: 1 item' }).getByText('b.txt').first().waitFor()
  await checkAccessible(t, page, 'the failures')
  await press(page, 'Escape')
  await noDialog(page)
  t.strictSame(await chosen(page), ['b.txt'], 'what failed is still chosen')
  await notice(page, 'Moved to to: 2 items').waitFor()
  await act(page, 'End the selection').click()

  await putMany(visit, 20)
  await page.reload()
  let open = () => {}
  const opened = new Promise<void>(resolve => { open = resolve })
  await page.route('**/uploads/photo*', async route => {
    await opened
    await route.continue()
  })
  await fileButton(page, numbered(0)).focus()
  await press(page, 'Control+a', 'Space', 'Space')
  await act(page, 'Delete').click()
  await dialogButton(page, 'Delete').click()
  await bar(page).getByRole('progressbar').waitFor()
  await checkAccessible(t, page, 'the progress')
  await act(page, 'Stop').click()
  open()
  await page.getByText(/^Moved to the trash: [4-6] items$/).waitFor()
  t.ok((await stored(visit, 'ann')).length >= 16)
  checkQuiet(t, visit, REFUSED)
})

browserTest('chosen rows are dragged together', async t => {
  const visit = await visitAs(t, 'ann', { 'to/x.txt': 'x', 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c' })
  const { page } = visit
  await box(page, 'a.txt').click()
  await box(page, 'c.txt').click()
  await fileButton(page, 'c.txt').dragTo(folderLink(page, 'to'))
  await notice(page, 'Moved to to: 2 items').waitFor()
  await shows(t, () => namesOf(page), ['to', 'b.txt'])
  checkQuiet(t, visit)
})

browserTest('if the server keeps no deleted files, the page asks before the deletion of many, and does not offer to undo it', async t => {
  const server = await startServer(t, { KEEP_DAYS: '0' })
  const visit = await visitAs(t, 'ann', { 'a.txt': 'a', 'b.txt': 'b' }, { server })
  const { page } = visit
  await fileButton(page, 'a.txt').focus()
  await press(page, 'Control+a', 'Delete')
  await page.getByRole('heading', { name: 'Delete 2 items for good?' }).waitFor()
  t.strictSame(await page.getByRole('dialog').getByRole('listitem').allTextContents(), ['a.txt', 'b.txt'])
  await dialogButton(page, 'Delete for good').click()
  await notice(page, 'Deleted for good: 2 items').waitFor()
  t.equal(await page.getByRole('button', { name: 'Undo' }).count(), 0)
  checkQuiet(t, visit)
})

browserTest('chosen files and folders, and a whole folder, are downloaded as a zip, with and without the service worker; a refusal is shown', async t => {
  const large = Buffer.alloc(30_000_000, 'a large file ')
  for (const [username, options] of [['worker', {}], ['without', { serviceWorkers: 'block' as const }]] as const) {
    const visit = await visitAs(t, username, { 'a/b/deep.txt': 'deep', 'a/in.txt': 'in', 'large.bin': large, 'one.txt': 'one', 'two.txt': 'two' }, options)
    const { page, server } = visit
    for (const name of ['a', 'large.bin', 'one.txt']) await box(page, name).click()
    const some = await savedBy(page, () => act(page, 'Download').click())
    t.equal(some.name, 'files.zip')
    t.ok(some.bytes.length > large.length && some.bytes.includes(large), `${username}: all bytes`)
    t.strictSame(['a/', 'a/b/deep.txt', 'a/in.txt', 'one.txt', 'two.txt'].map(name => some.bytes.includes(name)), [true, true, true, true, false])
    t.equal(page.context().pages().length, 1)
    await press(page, 'Escape')
    const whole = await savedBy(page, () => choose(page, 'a', 'Download'))
    t.equal(whole.name, 'a.zip')
    t.strictSame(['a/in.txt', 'in.txt', 'b/deep.txt'].map(name => whole.bytes.includes(name)), [false, true, true])
    await box(page, 'two.txt').click()
    t.equal((await savedBy(page, () => act(page, 'Download').click())).name, 'two.txt', 'one file is no zip')

    await box(page, 'one.txt').click()
    await deafen(visit)
    await server.send('DELETE', '/uploads/two.txt', { user: [username, PASSWORD] })
    await act(page, 'Download').click()
    await page.getByRole('status').getByText(/not found/i).waitFor()
    checkQuiet(t, visit, [...REFUSED, /Service Worker registration blocked/, DEAF])
  }
})

browserTest('on a touch screen, a long press chooses a row, and then a tap chooses others', async t => {
  const visit = await visitAs(t, 'ann', { 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c' }, phone)
  const { page } = visit
  const devTools = await page.context().newCDPSession(page)
  const { x = 0, y = 0 } = await fileButton(page, 'b.txt').boundingBox() ?? {}
  await devTools.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [{ x: x + 40, y: y + 10 }] })
  await shows(t, () => chosen(page), ['b.txt'])
  await devTools.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] })
  t.equal(await page.getByRole('dialog').count(), 0, 'the file is not opened')
  await fileButton(page, 'c.txt').tap()
  await shows(t, () => chosen(page), ['b.txt', 'c.txt'])
  await checkFits(t, page, 'a selection')
  await checkAccessible(t, page, 'a selection on a phone')
  await act(page, 'Delete').tap()
  await notice(page, 'Moved to the trash: 2 items').waitFor()
  await fileButton(page, 'a.txt').tap()
  await page.getByRole('dialog').waitFor()
  checkQuiet(t, visit)
})
