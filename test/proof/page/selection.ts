import type { Page } from 'playwright-core'
import { sizes } from '../../kit/sizes.ts'
import { browserTest, enter, isFocused, phone, shows, tabTo } from '../browser.ts'
import {
  choose, deafen, dialogButton, fileButton, folderLink, hold, menuButton, namesIn, namesOf, noDialog, notice, PDF,
  press, putMany, refusal, savedBy, stored, undo, visitAs
} from '../files-page.ts'
import { checkAccessible, checkFits, goTo, hasFocusIn } from '../page.ts'

const bar = (page: Page) => page.getByRole('group', { name: 'Selection' })
const act = (page: Page, name: string) => bar(page).getByRole('button', { name, exact: true })
const box = (page: Page, name: string) => page.getByRole('grid').getByRole('checkbox', { name: `Select ${name}`, exact: true })
const summary = (page: Page) => bar(page).getByRole('status').textContent()
const chosen = (page: Page) => namesIn(page.locator('.grid .body [aria-selected=true]'))

const numbered = (index: number) => `photo ${String(index).padStart(3, '0')}.jpg`

const photos = (count: number) => Array.from({ length: count }, (_, index) => numbered(index))

browserTest('by mouse, rows are chosen with boxes, Shift and Ctrl, deleted together, and restored by one click', async t => {
  const visit = await visitAs(t, { 'a/in.txt': 'in', 'b.txt': 'bb', 'c.txt': 'ccc', 'd.txt': 'd', 'e.txt': 'e' })
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
  await dialogButton(page, 'Delete').click()
  await notice(page, 'Moved to the trash: 4 items').waitFor()
  await shows(t, () => namesOf(page), ['e.txt'])
  await undo(page).click()
  await notice(page, 'Restored: 4 items').waitFor()
  await shows(t, () => namesOf(page), ['a', 'b.txt', 'c.txt', 'd.txt', 'e.txt'])
  t.strictSame(await stored(visit), ['b.txt', 'c.txt', 'd.txt', 'e.txt', 'a/in.txt'])
})

browserTest('by keyboard alone, rows are chosen, moved, deleted and restored', async t => {
  const visit = await visitAs(t, { 'to/x.txt': 'x', 'b.txt': 'b', 'c.txt': 'c', 'd.txt': 'd', 'e.txt': 'e' })
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

  await enter(page, act(page, 'Move'), 'Shift+Tab')
  await page.getByRole('dialog', { name: 'Move 4 items' }).waitFor()
  await enter(page, dialogButton(page, 'to'))
  await enter(page, dialogButton(page, 'Move here'))
  await notice(page, 'Moved to to: 4 items').waitFor()
  await shows(t, () => namesOf(page), ['to'])
  await shows(t, () => hasFocusIn(page.getByRole('main')), true)
  await enter(page, undo(page))
  await notice(page, 'Moved back: 4 items').waitFor()
  await shows(t, () => stored(visit), ['b.txt', 'c.txt', 'd.txt', 'e.txt', 'to/x.txt'])
  await shows(t, () => namesOf(page), ['to', 'b.txt', 'c.txt', 'd.txt', 'e.txt'])

  await tabTo(page, folderLink(page, 'to'))
  await press(page, 'ArrowDown', 'Shift+End', 'Delete')
  await notice(page, 'Moved to the trash: 4 items').waitFor()
  await shows(t, () => namesOf(page), ['to'])
  await shows(t, () => hasFocusIn(page.getByRole('grid')), true, 'the focus stays in the list')
  await goTo(page, 'Trash')
  await tabTo(page, page.getByRole('grid').getByRole('checkbox').nth(1))
  await press(page, 'Control+a')
  await enter(page, act(page, 'Restore'), 'Shift+Tab')
  await notice(page, 'Restored: 1 item').waitFor()
  await page.getByText('The trash is empty').first().waitFor()
  await shows(t, () => hasFocusIn(page.getByRole('main')), true)
  await goTo(page, 'Files')
  for (const name of ['b.txt', 'c.txt', 'd.txt']) {
    await fileButton(page, name).focus()
    await press(page, 'Delete')
    await notice(page, `Moved to the trash: ${name}`).waitFor()
  }
  await goTo(page, 'Trash')
  await tabTo(page, page.getByRole('grid').getByRole('checkbox').nth(1))
  await press(page, 'Control+a', 'Space')
  t.equal((await chosen(page)).length, 2)
  await press(page, 'Delete')
  await page.getByRole('dialog', { name: 'Delete 2 items for good?' }).waitFor()
  await press(page, 'Tab', 'Enter')
  await notice(page, 'Deleted for good: 2 items').waitFor()
  await shows(t, () => namesOf(page), ['d.txt'])
  await shows(t, () => hasFocusIn(page.getByRole('grid')), true)
})

browserTest('letters go to the next name that begins with them', async t => {
  const { page } = await visitAs(t, { 'alpha.txt': '1', 'beta.txt': '2', 'bravo one.txt': '3', 'bravo two.txt': '4', 'Émile.txt': '5' })
  await page.clock.install()
  await page.clock.pauseAt(Date.now() + 60_000)
  await fileButton(page, 'alpha.txt').focus()
  await press(page, 'b')
  t.ok(await isFocused(fileButton(page, 'beta.txt')))
  await press(page, 'b')
  t.ok(await isFocused(fileButton(page, 'bravo one.txt')), 'the same letter goes on')
  await page.clock.fastForward(1100)
  await page.keyboard.type('bravo t')
  t.ok(await isFocused(fileButton(page, 'bravo two.txt')), 'a space belongs to the name')
  t.strictSame(await chosen(page), [])
  await page.clock.fastForward(1100)
  await press(page, 'E')
  t.ok(await isFocused(fileButton(page, 'Émile.txt')), 'without regard to case and accents')
  await press(page, 'q')
  t.ok(await isFocused(fileButton(page, 'Émile.txt')))
})

browserTest('hundreds of files are chosen by one key and deleted by another, with one notice, and restored by one click', async t => {
  const visit = await visitAs(t, {})
  const { page } = visit
  const count = sizes.pageSelected
  const all = `${count} selected: ${count / 100} kB`
  await putMany(visit, photos(count), 'ten bytes.')
  await fileButton(page, numbered(0)).focus()
  await press(page, 'Control+a')
  await shows(t, () => summary(page), all, 'also those that were not loaded')
  await press(page, 'Escape')
  await page.getByRole('searchbox').fill('19 photo')
  await shows(t, async () => (await namesOf(page))[0], numbered(19))
  await fileButton(page, numbered(19)).focus()
  await press(page, 'Control+a')
  const found = photos(count).filter(name => name.includes('19')).length
  await shows(t, () => summary(page), `${found} selected: ${found * 10} bytes`)
  await page.getByRole('searchbox').fill('')
  await shows(t, async () => (await namesOf(page))[0], numbered(0))
  await box(page, numbered(0)).click({ modifiers: ['Shift'] })
  await page.getByRole('searchbox').fill('photo ')
  await fileButton(page, numbered(0)).focus()
  await press(page, 'Escape')
  t.strictSame(await chosen(page), [])
  await press(page, 'Control+a')
  await shows(t, () => summary(page), all)
  const removals = () => visit.requested.filter(address => /\/api\/trash$|\/uploads\/photo/.test(address)).length
  await press(page, 'Delete')
  await notice(page, `Moved to the trash: ${count} items`).waitFor()
  t.equal(removals(), 1, 'by one request')
  t.strictSame(await stored(visit), [])
  await undo(page).click()
  await notice(page, `Restored: ${count} items`).waitFor()
  t.equal((await stored(visit)).length, count)
})

browserTest('an act on many shows how far it is and names what failed, a copy can be stopped, and a deletion is finished if the window is closed; chosen rows are dragged together', async t => {
  const visit = await visitAs(t, { 'to/b.txt': 'taken', 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c' })
  const { page } = visit
  for (const name of ['a.txt', 'b.txt', 'c.txt']) await box(page, name).click()
  await act(page, 'Move').click()
  await dialogButton(page, 'to').click()
  await dialogButton(page, 'Move here').click()
  await page.getByRole('dialog', { name: 'Not moved: 1 item' }).getByText('b.txt').first().waitFor()
  await press(page, 'Escape')
  await noDialog(page)
  t.strictSame(await chosen(page), ['b.txt'], 'what failed is still chosen')
  await notice(page, 'Moved to to: 2 items').waitFor()
  await act(page, 'End the selection').click()
  await page.getByRole('button', { name: 'Dismiss' }).first().click()
  for (const name of ['x.txt', 'y.txt']) await visit.put(name, 'x')
  for (const name of ['x.txt', 'y.txt']) await box(page, name).click()
  await fileButton(page, 'y.txt').dragTo(folderLink(page, 'to'))
  await notice(page, 'Moved to to: 2 items').waitFor()
  await shows(t, () => namesOf(page), ['to', 'b.txt'], 'chosen rows are dragged together')

  await putMany(visit, photos(20))
  for (const act of ['Copy', 'Delete']) {
    const release = await hold(page, act === 'Copy' ? '**/api/copies' : '**/api/trash')
    await fileButton(page, numbered(0)).focus()
    await press(page, 'Control+a', 'Space', 'Space')
    await bar(page).getByRole('button', { name: act, exact: true }).click()
    await dialogButton(page, act === 'Copy' ? 'Copy here' : 'Delete').click()
    await bar(page).getByRole('progressbar').waitFor()
    await checkAccessible(t, page, 'the progress')
    if (act === 'Copy') {
      await bar(page).getByRole('button', { name: 'Stop' }).click()
      await bar(page).getByRole('progressbar').waitFor({ state: 'hidden' })
      release()
      t.equal(await page.getByRole('alert').filter({ hasText: /\w/ }).count(), 0, 'a copy that was stopped is no failure')
      const told = page.getByRole('dialog', { name: 'Not copied: 1 item' })
      await told.getByText('to Stopped: its copy may be missing or incomplete.').waitFor()
      await press(page, 'Escape')
      await noDialog(page)
    } else {
      t.equal(await bar(page).getByRole('button', { name: 'Stop' }).count(), 0)
      release()
    }
  }
  await shows(t, async () => (await stored(visit)).filter(name => !name.startsWith('to/')).length, 0, 'all are deleted')
  await undo(page).click()
  await page.getByText(/^Restored: /).waitFor()

  await fileButton(page, numbered(0)).focus()
  await press(page, 'Control+a', 'Delete')
  const sent = page.waitForRequest('**/api/trash')
  await dialogButton(page, 'Delete').click()
  await sent
  await page.close()
  await shows(t, () => stored(visit), [], 'the server finishes')
})

browserTest('a deletion that would push older contents out of the trash asks first', async t => {
  const visit = await visitAs(t, { 'a.txt': 'a', 'b.txt': 'b' })
  const { page } = visit
  await page.route('**/api/trash', async route => {
    const { lost } = route.request().postDataJSON() as { lost: number }
    if (lost === 7) return route.continue({ postData: { ...route.request().postDataJSON(), lost: 0 } })
    const json = { type: 'about:blank', title: 'The trash would lose older contents', detail: '7 would be lost.', status: 409, code: 'trash_full', lost: 7 }
    return route.fulfill({ status: 409, contentType: 'application/problem+json', json })
  })
  const wanted = page.getByRole('dialog', { name: 'Delete 7 older versions and deleted files for good?' })
  for (const answer of ['Cancel', 'Delete all the same']) {
    await fileButton(page, 'a.txt').focus()
    await press(page, 'Control+a', 'Delete')
    await wanted.waitFor()
    await checkAccessible(t, page, 'the question')
    t.strictSame(await stored(visit), ['a.txt', 'b.txt'])
    await dialogButton(page, answer).click()
    await noDialog(page)
  }
  await notice(page, 'Moved to the trash: 2 items').waitFor()
  t.strictSame(await stored(visit), [])
})

browserTest('a file, chosen files and folders, and a whole folder are downloaded, by mouse and keyboard, with and without the service worker; a refusal is shown', async t => {
  const large = Buffer.alloc(sizes.pageDownloadBytes, 'a large file ')
  for (const options of [{}, { serviceWorkers: 'block' as const, isWhole: true }]) {
    const visit = await visitAs(t, { 'a/b/deep.txt': 'deep', 'a/in.txt': 'in', 'large.bin': large, 'one.txt': 'one', 'two.txt': 'two', 'x.pdf': { bytes: PDF, type: 'application/pdf' } }, options)
    const { page, server, user } = visit
    if ('serviceWorkers' in options) {
      await fileButton(page, 'x.pdf').click()
      await page.getByRole('dialog').getByText('runs no service worker').waitFor()
      await press(page, 'Escape')
      await noDialog(page)
    }
    const byMouse = await savedBy(page, () => choose(page, 'large.bin', 'Download'))
    t.strictSame([byMouse.name, byMouse.bytes.equals(large)], ['large.bin', true], 'all bytes')
    await fileButton(page, 'two.txt').focus()
    t.equal((await savedBy(page, () => press(page, 'ArrowRight', 'Enter', 'd', 'Enter'))).bytes.toString(), 'two')
    t.ok(await isFocused(menuButton(page, 'two.txt')))

    for (const name of ['a', 'large.bin', 'one.txt']) await box(page, name).click()
    const some = await savedBy(page, () => act(page, 'Download').click())
    t.equal(some.name, 'files.zip')
    t.ok(some.bytes.length > large.length && some.bytes.includes(large), 'all bytes')
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
    await server.send('DELETE', '/uploads/two.txt', { user })
    await act(page, 'Download').click()
    await page.getByRole('status').getByText(/not found/i).waitFor()
    await act(page, 'End the selection').click()
    await page.getByRole('button', { name: 'Dismiss' }).first().click()
    await choose(page, 'two.txt', 'Download')
    await refusal(page).filter({ hasText: /not found/i }).waitFor()
  }
})

browserTest('on a touch screen, a long press chooses a row, and then a tap chooses others', async t => {
  const { page } = await visitAs(t, { 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c' }, phone)
  const devTools = await page.context().newCDPSession(page)
  const { x = 0, y = 0 } = await fileButton(page, 'b.txt').boundingBox() ?? {}
  await devTools.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [{ x: x + 40, y: y + 10 }] })
  await shows(t, () => chosen(page), ['b.txt'])
  await devTools.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] })
  t.equal(await page.getByRole('dialog').count(), 0, 'the file is not opened')
  await fileButton(page, 'c.txt').tap()
  await shows(t, () => chosen(page), ['b.txt', 'c.txt'])
  await checkFits(t, page, 'a selection')
  const overflow = ({ scrollWidth, clientWidth, scrollHeight, clientHeight }: Element) =>
    [scrollWidth - clientWidth, scrollHeight - clientHeight]
  t.strictSame(await bar(page).getByRole('status').evaluate(overflow), [0, 0], 'its count is not cut off')
  await act(page, 'Delete').tap()
  await notice(page, 'Moved to the trash: 2 items').waitFor()
  await fileButton(page, 'a.txt').tap()
  await page.getByRole('dialog').waitFor()
})
