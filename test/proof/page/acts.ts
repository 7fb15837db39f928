import type { Page } from 'playwright-core'
import { browserTest, enter, isFocused, phone, shows } from '../browser.ts'
import {
  choose, dialogButton, fileButton, folderLink, make, menuButton, namesOf, noDialog, notice, PDF, PICTURE, press,
  refusal, undo, visitAs, widths
} from '../files-page.ts'
import { checkAccessible, checkFits, goTo, hasFocusIn } from '../page.ts'

const menu = (page: Page, name: string) => page.getByRole('menu', { name: `Actions for ${name}`, exact: true })
const item = (page: Page, name: string) => page.getByRole('menuitem', { name, exact: true })
const box = (page: Page, name: string) => page.getByRole('grid').getByRole('checkbox', { name: `Select ${name}`, exact: true })
const panel = (page: Page, name: string) => page.getByRole('region', { name: `Details of ${name}`, exact: true })

browserTest('the right button opens the menu at the pointer, the menu key and Shift+F10 at the focus; the focus goes back', async t => {
  const { page } = await visitAs(t, { 'a/in.txt': 'in', 'b.txt': 'b', 'c.txt': 'c', 'd.txt': 'd' })
  for (const layout of ['List', 'Tiles']) {
    await page.getByRole('button', { name: layout, exact: true }).click()
    const { x = 0, y = 0 } = await fileButton(page, 'b.txt').boundingBox() ?? {}
    await page.mouse.click(x + 30, y + 10, { button: 'right' })
    await menu(page, 'b.txt').waitFor()
    const at = await menu(page, 'b.txt').boundingBox()
    t.strictSame([at?.x, at?.y], [x + 30, y + 10].map(Math.floor), 'where the pointer is')
    await shows(t, () => isFocused(item(page, 'Open')), true)
    await checkAccessible(t, page, `the menu, ${layout}`)
    await press(page, 'Escape')
    t.ok(await isFocused(fileButton(page, 'b.txt')))
    await fileButton(page, 'c.txt').click({ button: 'right' })
    await folderLink(page, 'a').click({ button: 'right' })
    await menu(page, 'a').waitFor()
    t.equal(await page.getByRole('menu').count(), 1, 'the other one is closed')
    await press(page, 'Escape')
  }
  await page.getByRole('button', { name: 'List', exact: true }).click()
  for (const key of ['ContextMenu', 'Shift+F10']) {
    await fileButton(page, 'c.txt').focus()
    await press(page, key)
    await menu(page, 'c.txt').waitFor()
    await press(page, 'Escape')
    t.ok(await isFocused(fileButton(page, 'c.txt')), key)
  }
  await menuButton(page, 'c.txt').focus()
  await press(page, 'Shift+F10', 'r', 'Enter')
  const input = page.getByRole('textbox', { name: 'New name of c.txt' })
  await shows(t, () => isFocused(input), true)
  await input.click({ button: 'right' })
  t.equal(await page.getByRole('menu').count(), 0, 'a field keeps the menu of the browser')
  await press(page, 'Escape')

  for (const name of ['b.txt', 'c.txt']) await box(page, name).click()
  await fileButton(page, 'd.txt').click({ button: 'right' })
  await menu(page, 'd.txt').waitFor()
  await press(page, 'Escape')
  await fileButton(page, 'c.txt').click({ button: 'right' })
  await menu(page, '2 items').waitFor()
  await item(page, 'Delete').click()
  await notice(page, 'Moved to the trash: 2 items').waitFor()
  await shows(t, () => namesOf(page), ['a', 'd.txt'])
})

browserTest('on a phone, the menu of a row fits, and a long press chooses instead', async t => {
  const { page, put } = await visitAs(t, { 'a.txt': 'a', 'b.txt': 'b' }, phone)
  await menuButton(page, 'b.txt').tap()
  await menu(page, 'b.txt').waitFor()
  await checkFits(t, page, 'the menu')
  const { y = 0, height = 0 } = await menu(page, 'b.txt').boundingBox() ?? {}
  t.ok(y >= 0 && y + height <= 844)
  await press(page, 'Escape')
  for (const name of ['c', 'd', 'e', 'f', 'g']) await put(`${name}.txt`, name)
  await choose(page, 'g.txt', 'Delete')
  await undo(page).waitFor()
  const below = { top: (await page.locator('.notice').boundingBox())!.y, items: 0 }
  for (const name of ['c.txt', 'd.txt']) {
    await menuButton(page, name).tap()
    const { covered, bottom } = await menu(page, name).evaluate(menu => ({
      bottom: menu.getBoundingClientRect().bottom,
      covered: Array.from(menu.querySelectorAll('button')).filter(item => {
        const { x, y, width, height } = item.getBoundingClientRect()
        return !item.contains(document.elementFromPoint(x + width / 2, y + height / 2))
      }).map(({ textContent }) => textContent)
    }))
    t.strictSame(covered, [], `no notice covers the menu of ${name}`)
    if (bottom > below.top) below.items++
    await press(page, 'Escape')
  }
  t.ok(below.items > 0, 'a menu is where the notice is')
  const devTools = await page.context().newCDPSession(page)
  const at = await fileButton(page, 'a.txt').boundingBox()
  await devTools.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [{ x: at!.x + 40, y: at!.y + 10 }] })
  await shows(t, () => box(page, 'a.txt').isChecked(), true)
  await page.evaluate(() => document.activeElement?.dispatchEvent(new MouseEvent('contextmenu', { bubbles: true, cancelable: true })))
  await devTools.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] })
  t.equal(await page.getByRole('menu').count(), 0)
})

browserTest('what is renamed, copied, moved and deleted is undone by Ctrl+Z while its notice is shown, and by its button', async t => {
  const { page, server, user } = await visitAs(t, { 'dir/x.txt': 'x', 'a.txt': 'aaa', 'b.txt': 'b' })
  const rename = async (name: string, newName: string) => {
    await choose(page, name, 'Rename')
    await page.getByRole('textbox', { name: `New name of ${name}` }).fill(newName)
    await press(page, 'Enter')
    await notice(page, `Renamed to ${newName}`).waitFor()
  }
  for (const by of ['Control+z', 'the button']) {
    const back = () => by === 'the button' ? undo(page).click() : press(page, by)
    await rename('a.txt', 'z.txt')
    await shows(t, () => isFocused(fileButton(page, 'z.txt')), true)
    await back()
    await notice(page, 'Renamed to a.txt').waitFor()
    await shows(t, () => isFocused(fileButton(page, 'a.txt')), true, `${by}: the focus is on what is back`)
    await rename('dir', 'folder')
    await back()
    await shows(t, () => namesOf(page), ['dir', 'a.txt', 'b.txt'])
    await choose(page, 'a.txt', 'Move')
    await dialogButton(page, 'dir').click()
    await dialogButton(page, 'Move here').click()
    await notice(page, 'Moved to dir: a.txt').waitFor()
    await noDialog(page)
    await back()
    await notice(page, 'Moved back: a.txt').waitFor()
    await choose(page, 'a.txt', 'Delete')
    await undo(page).waitFor()
    await back()
    await notice(page, 'Restored: a.txt').waitFor()
    await shows(t, () => namesOf(page), ['dir', 'a.txt', 'b.txt'])
  }
  await press(page, 'Control+z')
  t.ok(await notice(page, 'Restored: a.txt').count() > 0, 'nothing is left to undo')

  await rename('a.txt', 'z.txt')
  await page.getByRole('searchbox').focus()
  await press(page, 'Control+z')
  t.equal(await undo(page).count(), 1, 'in a field it belongs to the field')
  await fileButton(page, 'z.txt').click()
  await page.getByRole('dialog').waitFor()
  await press(page, 'Control+z', 'Escape')
  await noDialog(page)
  t.equal(await undo(page).count(), 1, 'nor in a dialog')
  await page.getByRole('button', { name: 'Dismiss' }).click()
  await press(page, 'Control+z')
  t.strictSame(await namesOf(page), ['dir', 'b.txt', 'z.txt'], 'without a notice there is nothing to undo')

  await rename('z.txt', 'y.txt')
  await server.send('PUT', '/uploads/z.txt', { user, body: 'another' })
  await undo(page).click()
  await page.getByRole('status').getByText(/^Not undone: .*already exists/i).waitFor()
  t.equal((await server.send('GET', '/uploads/z.txt', { user })).text, 'another', 'what has the name now stays')
  t.equal((await server.send('GET', '/uploads/y.txt', { user })).text, 'aaa')
  await rename('y.txt', 'x.txt')
  await page.route('**/api/files/x.txt*', route => route.abort(), { times: 1 })
  await undo(page).click()
  await page.getByRole('status').getByText(/^Not undone: .*cannot be reached/).waitFor()
  await undo(page).click()
  await notice(page, 'Renamed to y.txt').waitFor()
  t.pass('after a failure of the network it is offered again')
})

browserTest('what is restored from the trash is moved there again by an undo', async t => {
  const { page, server, user } = await visitAs(t, { 'a.txt': 'a', 'b.txt': 'b', 'dir/in/x.txt': 'x', 'dir/y.txt': 'y' })
  const stored = async () => (await server.send('GET', '/api/files', { user })).json.files.map(({ name }: { name: string }) => name)
  await fileButton(page, 'a.txt').click({ button: 'right' })
  await item(page, 'Delete').click()
  await notice(page, 'Moved to the trash: a.txt').waitFor()
  await choose(page, 'dir', 'Delete')
  await dialogButton(page, 'Delete').click()
  await notice(page, 'Moved to the trash with its contents: dir').waitFor()
  await goTo(page, 'Trash')
  for (const [name, restored] of [['a.txt', ['a.txt', 'b.txt']], ['dir', ['b.txt', 'dir/y.txt', 'dir/in/x.txt']]] as const) {
    await page.getByRole('button', { name: `Restore ${name}`, exact: true }).click()
    await notice(page, `Restored: ${name}`).waitFor()
    t.strictSame((await stored()).sort(), [...restored].sort())
    await press(page, 'Control+z')
    await notice(page, 'Moved to the trash: 1 item').waitFor()
    t.strictSame(await stored(), ['b.txt'])
    await page.getByRole('button', { name: `Restore ${name}`, exact: true }).waitFor()
  }
})

browserTest('a new name with a slash is refused with a word about folders', async t => {
  const { page, server, user } = await visitAs(t, { 'a.txt': 'a', 'dir/x': 'x' })
  await choose(page, 'a.txt', 'Rename')
  await page.getByRole('textbox', { name: 'New name of a.txt' }).fill('dir/b.txt')
  await press(page, 'Enter')
  await refusal(page).getByText(/separates folders.*“Move”/).waitFor()
  await press(page, 'Escape')
  await make(page, 'New folder')
  await page.getByLabel('Name of the folder').fill('one/two')
  await dialogButton(page, 'Create').click()
  await refusal(page).getByText(/separates folders/).waitFor()
  t.match(await server.send('GET', '/api/folders', { user }), { json: { folders: [{ name: 'dir' }] } })
})

browserTest('details are shown beside the list: dates, versions, links, the size of a folder, the checksum under “More”', async t => {
  const visit = await visitAs(t, { 'dir/one.txt': 'four', 'dir/sub/two.txt': '22', 'a.txt': 'old' }, { settings: { LINKS: 'on' } })
  const { page, put, server, user } = visit
  await put('a.txt', 'new')
  await server.send('POST', '/api/links', { user, json: { name: 'a.txt', kind: 'download' } })
  await page.reload()
  const linked = fileButton(page, 'a.txt has a link')
  await linked.focus()
  await press(page, 'Shift+F10')
  await item(page, 'Details').click()
  const shown = panel(page, 'a.txt')
  await shows(t, () => isFocused(shown.getByRole('heading', { name: 'Details of a.txt' })), true)
  for (const text of ['text/plain', '3 bytes', 'Files']) await shown.getByText(text, { exact: true }).waitFor()
  await shown.getByText(/^Expires /).waitFor()
  t.equal(await shown.getByText('SHA-256').isVisible(), false)
  await enter(page, shown.getByText('More', { exact: true }))
  t.equal(await shown.locator('code').innerText(), (await server.send('GET', '/api/files/a.txt', { user })).json.sha256)
  await shown.getByRole('heading', { name: 'Older versions' }).locator('..').getByText('1', { exact: true }).waitFor()
  await checkAccessible(t, page, 'details')
  await checkFits(t, page, 'details')
  await shown.getByRole('button', { name: 'Versions' }).click()
  await dialogButton(page, 'Restore').click()
  await noDialog(page)
  t.ok(await isFocused(shown.getByRole('button', { name: 'Versions' })), 'the focus is back in the details')
  await press(page, 'Escape')
  await shown.waitFor({ state: 'hidden' })
  await shows(t, () => isFocused(linked), true)

  await choose(page, 'dir', 'Details')
  const folder = panel(page, 'dir')
  await folder.getByText('6 bytes').waitFor()
  await folder.getByText('2 files, 1 folder').waitFor()
  await put('dir/sub/three.txt', 'xxxx')
  await folder.getByRole('button', { name: 'Count again' }).click()
  await folder.getByText('10 bytes').waitFor()
  await choose(page, 'dir', 'Rename')
  await page.getByRole('textbox', { name: 'New name of dir' }).fill('folder')
  await press(page, 'Enter')
  await panel(page, 'folder').waitFor()
  await panel(page, 'folder').getByRole('button', { name: 'Count again' }).focus()
  await server.send('DELETE', '/api/folders/folder?recursive=true', { user })
  await panel(page, 'folder').waitFor({ state: 'detached' })
  await shows(t, () => hasFocusIn(page.getByRole('main')), true, 'the focus is not lost with what is gone')

  for (const width of widths(390).filter(width => width < 1000)) {
    await page.setViewportSize({ width, height: 844 })
    await choose(page, 'a.txt', 'Details')
    await page.getByRole('dialog', { name: 'Details of a.txt' }).waitFor()
    await checkFits(t, page, 'details')
    await checkAccessible(t, page, `details, ${width} px`)
    await press(page, 'Escape')
    await noDialog(page)
    await page.setViewportSize({ width: 1280, height: 800 })
  }
})

browserTest('“Next file” and “Previous file” stay where they are, whatever is shown, and “Delete” is not beside “Download”', async t => {
  const { page } = await visitAs(t, {
    'a.png': PICTURE,
    'b.txt': 'short',
    [`c ${'long name '.repeat(20)}.txt`]: 'line\n'.repeat(500),
    'd.zip': { bytes: 'PK', type: 'application/zip' },
    'e.pdf': { bytes: PDF, type: 'application/pdf' }
  }, { isWhole: true })
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 800 })
    await fileButton(page, 'a.png').click()
    const places = async () => Promise.all(['Previous file', 'Next file'].map(name => dialogButton(page, name).boundingBox()))
    const first = await places()
    const checkDelete = async (what: string) => {
      const [download, remove] = await Promise.all(['Download', 'Delete'].map(name => dialogButton(page, name).boundingBox()))
      t.ok(remove!.x - download!.x - download!.width > 100, `${what}, ${width} px: they are apart`)
    }
    await checkDelete('a picture')
    for (const heading of ['b.txt', 'c long', 'd.zip', 'e.pdf']) {
      await dialogButton(page, 'Next file').click()
      await page.getByRole('dialog').getByRole('heading', { name: heading }).waitFor()
      t.strictSame(await places(), first, `${heading}, ${width} px`)
    }
    await dialogButton(page, 'Previous file').click()
    await dialogButton(page, 'Previous file').click()
    await page.getByRole('dialog').locator('pre').waitFor()
    await page.getByRole('dialog').evaluate(dialog => dialog.scrollTo(0, 10_000))
    t.strictSame(await places(), first, 'nor when the file is scrolled')
    await checkDelete('a text')
    await checkFits(t, page, 'a preview')
    await press(page, 'Escape')
    await noDialog(page)
  }
  await fileButton(page, 'b.txt').focus()
  await press(page, 'Enter')
  await shows(t, () => isFocused(dialogButton(page, 'Close')), true)
  await enter(page, dialogButton(page, 'Next file'), 'Shift+Tab')
  t.ok(await isFocused(dialogButton(page, 'Next file')), 'it keeps the focus')
})
