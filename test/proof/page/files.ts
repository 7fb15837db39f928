import type { Page } from 'playwright-core'
import { visibleName } from '../../../src/page/visible-name.ts'
import { isProof, KIB } from '../../kit/sizes.ts'
import { browserTest, enter, isFocused, phone, shows, tabTo } from '../browser.ts'
import {
  choose, deafen, dialogButton, fileButton, hold, menuButton, namesOf, noDialog, notice, PDF, PICTURE, press, putMany,
  refusal, savedBy, undo, visitAs
} from '../files-page.ts'
import { checkAccessible, checkFits, goTo, hasFocusIn, PASSWORD, type PageVisit } from '../page.ts'

browserTest('by mouse, files are sorted, renamed, deleted and restored', async t => {
  const { page, put } = await visitAs(t, { 'a.txt': 'aaa', 'b.txt': 'b', 'beta.bin': 'bb' })
  await shows(t, () => namesOf(page), ['a.txt', 'b.txt', 'beta.bin'])
  await page.getByRole('button', { name: 'Size' }).click()
  await shows(t, () => namesOf(page), ['a.txt', 'beta.bin', 'b.txt'], 'the largest first')
  await page.getByRole('button', { name: 'Size' }).click()
  await shows(t, () => namesOf(page), ['b.txt', 'beta.bin', 'a.txt'], 'the smallest first')

  await choose(page, 'a.txt', 'Rename')
  const input = page.getByRole('textbox', { name: 'New name of a.txt' })
  await input.fill('b.txt')
  await page.getByRole('button', { name: 'Save the name' }).click()
  await refusal(page).waitFor()
  t.equal(await input.inputValue(), 'b.txt', 'the typed text stays')
  await input.fill('z.txt')
  await page.getByRole('button', { name: 'Save the name' }).click()
  await shows(t, () => isFocused(fileButton(page, 'z.txt')), true, 'the focus is on the renamed file')

  await choose(page, 'beta.bin', 'Delete')
  await shows(t, () => namesOf(page), ['b.txt', 'z.txt'])
  await undo(page).click()
  await shows(t, async () => (await namesOf(page)).includes('beta.bin'), true)
  await shows(t, () => isFocused(fileButton(page, 'beta.bin')), true, 'the focus is on the restored file')

  for (const name of ['a.txt', 'c.txt', 'd.txt']) await put(name, name)
  await choose(page, 'a.txt', 'Delete')
  await undo(page).waitFor()
  const listTrash = await hold(page, '**/api/trash**')
  await choose(page, 'b.txt', 'Delete')
  const left = ['beta.bin', 'z.txt', 'c.txt', 'd.txt']
  await shows(t, () => namesOf(page), left)
  t.equal(await undo(page).count(), 0, 'after another deletion')
  listTrash()
  await undo(page).waitFor()

  const remove = await hold(page, '**/api/trash')
  await page.getByRole('grid').getByRole('checkbox', { name: 'Select c.txt' }).click()
  await page.getByRole('button', { name: 'Delete', exact: true }).click()
  t.equal(await undo(page).count(), 0, 'nor of several files')
  remove()
  await undo(page).click()
  await shows(t, () => namesOf(page), left, 'the last act is undone')
})

browserTest('by keyboard alone, files are opened, renamed, deleted and restored', async t => {
  const { page } = await visitAs(t, { 'a.txt': 'aaa', 'b.txt': 'bee', 'c.txt': 'c' })
  await tabTo(page, fileButton(page, 'a.txt'))
  await press(page, 'ArrowDown', 'ArrowDown', 'ArrowUp', 'Enter')
  await page.getByRole('dialog').getByText('bee').waitFor()
  await tabTo(page, dialogButton(page, 'Next file'))
  await press(page, 'ArrowRight')
  await page.getByRole('heading', { name: 'c.txt' }).waitFor()
  await press(page, 'Escape')
  await shows(t, () => isFocused(fileButton(page, 'c.txt')), true, 'the focus is on the file that was shown last')

  await press(page, 'F2')
  await page.getByRole('textbox', { name: 'New name of c.txt' }).waitFor()
  await page.keyboard.type('a\n')
  await refusal(page).waitFor()
  await page.keyboard.type('nother')
  t.equal(await page.getByRole('textbox', { name: 'New name of c.txt' }).inputValue(), 'another.txt', 'the ending stays, and the cursor too')
  await press(page, 'Escape')
  await shows(t, () => isFocused(fileButton(page, 'c.txt')), true)
  await press(page, 'F2')
  await page.keyboard.type('d\n')
  await shows(t, () => isFocused(fileButton(page, 'd.txt')), true)

  await press(page, 'Home')
  await page.keyboard.down('Delete')
  await shows(t, () => isFocused(fileButton(page, 'b.txt')), true, 'the focus is on the next file')
  await page.keyboard.down('Delete')
  await page.keyboard.up('Delete')
  await enter(page, undo(page))
  await shows(t, () => isFocused(fileButton(page, 'a.txt')), true)

  await press(page, 'ArrowRight', 'Enter')
  await shows(t, () => isFocused(page.getByRole('menuitem', { name: 'Open' })), true)
  await press(page, 'End', 'ArrowDown', 'v')
  t.ok(await isFocused(page.getByRole('menuitem', { name: 'Versions' })), 'letters find an item')
  await press(page, 'Escape')
  t.ok(await isFocused(menuButton(page, 'a.txt')))
  await press(page, 'Enter', 'ArrowUp', 'Enter')
  await shows(t, () => namesOf(page), ['b.txt', 'd.txt'], 'a key that was held down deleted one file only')
  t.ok(await hasFocusIn(page.getByRole('grid')), 'the focus is never lost')
  await press(page, 'Delete')
  await shows(t, () => namesOf(page), ['d.txt'])
  await press(page, 'Delete')
  await page.getByText('No files yet').waitFor()
  t.ok(await isFocused(page.getByRole('main')), 'not even with the last file')
})

browserTest('images, audio, video, PDF and text have a preview', async t => {
  // Silence in PCM, so long that a browser loads only ranges of it.
  const [seconds, rate] = [600, 44_100]
  const head = Buffer.from('RIFF....WAVEfmt ....................data....', 'latin1')
  const longs = [[4, 36 + seconds * rate], [16, 16], [24, rate], [28, rate], [40, seconds * rate]] as const
  for (const [offset, value] of longs) head.writeUInt32LE(value, offset)
  for (const [offset, value] of [[20, 1], [22, 1], [32, 1], [34, 8]] as const) head.writeUInt16LE(value, offset)
  const media = Buffer.concat([head, Buffer.alloc(seconds * rate, 128)])
  const { page } = await visitAs(t, {
    'a.png': PICTURE,
    'b.pdf': { bytes: PDF, type: 'application/pdf' },
    'c.wav': { bytes: media, type: 'audio/wav' },
    'd.mp4': { bytes: media, type: 'video/mp4' },
    'e.log': { bytes: `${'x'.repeat(256 * KIB - 1)}é${'y'.repeat(100_000)}`, type: 'text/plain' },
    'f.zip': { bytes: 'PK', type: 'application/zip' }
  }, { isWhole: true })
  const ranges: (string | undefined)[] = []
  page.on('response', response => { if (response.status() === 206 && response.fromServiceWorker()) ranges.push(response.headers()['content-range']) })
  await fileButton(page, 'a.png').click()
  await shows(t, () => page.locator('dialog img').evaluate((image: HTMLImageElement) => image.naturalWidth), 1)
  await dialogButton(page, 'Next file').click()
  const viewer = page.frameLocator('dialog iframe').locator('html')
  await viewer.waitFor({ state: 'attached' })
  for (const kind of ['audio', 'video']) {
    await dialogButton(page, 'Next file').click()
    const player = page.locator(`dialog ${kind}`)
    await shows(t, () => player.evaluate((element: HTMLMediaElement) => element.duration), seconds, `${kind}: its length`)
    await player.evaluate(async (element: HTMLMediaElement) => {
      const sought = new Promise(resolve => element.addEventListener('seeked', resolve, { once: true }))
      element.currentTime = 500
      await sought
    })
    t.ok(ranges.some(range => Number(/\d+/.exec(String(range))?.[0]) > 400 * rate), `${kind}: the server sent the range`)
    ranges.length = 0
  }
  await dialogButton(page, 'Next file').click()
  await page.getByText('The first 262.1 kB of 362.1 kB').waitFor()
  t.equal(await page.locator('dialog pre').innerText(), `${'x'.repeat(256 * KIB - 1)}\uFFFD`)
  await dialogButton(page, 'Next file').click()
  await page.getByText('There is no preview').waitFor()
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await page.getByRole('dialog').getByText('More', { exact: true }).click()
  await dialogButton(page, 'Copy').click()
  await page.getByText('Copied').waitFor()
  t.equal(await page.evaluate(() => navigator.clipboard.readText()), await page.locator('dialog code').innerText())
})

const attack = '<!doctype html><script>alert(document.domain); fetch("/stolen")</script><img src="https://attacker.example/x"><h1>attack</h1>'
const svg = '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(2)</script><image href="https://attacker.example/y"/><foreignObject><iframe xmlns="http://www.w3.org/1999/xhtml" src="https://attacker.example/z"/></foreignObject></svg>'

/** The checks take five of them: the others are of the same kinds. */
const hostileNames = [
  '<img src=x onerror=alert(1)>.txt', '"quoted" \'single\' &amp; <b>.txt', '%2F..%2Fetc%2Fpasswd', '..%00', '#?&=+ ;.txt', ' spaces ', '...',
  'مرحبا بالعالم.txt', '\u202Egpj.exe', '👩‍👩‍👧 family.txt', '__proto__', 'constructor', `${'é'.repeat(125)}.text`, 'javascript:alert(1)'
].filter((_, index) => isProof || [0, 2, 4, 5, 11].includes(index))

browserTest('hostile names and contents run nothing', async t => {
  const contents = [
    ['html', 'text/html'], ['xhtml', 'application/xhtml+xml'], ['svg', 'image/svg+xml'], ['png', 'image/png'], ['pdf', 'application/pdf'],
    ['mp4', 'video/mp4'], ['js', 'text/javascript'], ['bin', 'application/octet-stream'], ['odd', 'text/html; charset="<script>"']
  ] as const
  const files = Object.fromEntries(contents.map(([ending, type]) => [`attack.${ending}`, { bytes: ending === 'svg' ? svg : attack, type }]))
  const { page } = await visitAs(t, { ...files, ...Object.fromEntries(hostileNames.map(name => [name, { bytes: name, type: 'text/plain' }])) }, { isWhole: true })
  const dialogs: string[] = []
  page.on('dialog', dialog => { dialogs.push(dialog.message()); void dialog.dismiss() })
  for (const name of hostileNames) {
    await fileButton(page, visibleName(name)).click()
    t.equal(await page.getByRole('dialog').getByRole('heading').textContent(), visibleName(name))
    await page.getByRole('dialog').locator('pre', { hasText: name.trim() }).waitFor()
    await press(page, 'Escape')
    const { bytes } = await savedBy(page, () => choose(page, visibleName(name), 'Download'))
    t.equal(bytes.toString(), name)
  }
  for (const [ending] of contents) {
    await fileButton(page, `attack.${ending}`).click()
    await page.getByRole('dialog').locator('pre, img, .no-preview').waitFor()
    if (['html', 'xhtml', 'js', 'odd'].includes(ending)) t.equal(await page.getByRole('dialog').locator('pre').textContent(), attack)
    if (['png', 'pdf', 'mp4'].includes(ending)) await page.getByText('The browser can’t show this file.').waitFor()
    await press(page, 'Escape')
    await noDialog(page)
  }
  await page.setViewportSize({ width: 320, height: 800 })
  await checkFits(t, page, 'the list')
  await fileButton(page, 'attack.html').click()
  await page.locator('dialog pre').waitFor()
  await checkFits(t, page, 'a preview')
  await press(page, 'Escape')
  t.same(dialogs, [])
  t.equal(page.context().pages().length, 1)
})

browserTest('two users never see each other\'s files, even if they guess addresses of the service worker', async t => {
  const alice = await visitAs(t, { 'secret.png': PICTURE })
  const bob = await visitAs(t, { 'bob.png': PICTURE })
  t.same(await namesOf(alice.page), ['secret.png'])
  t.same(await namesOf(bob.page), ['bob.png'])
  const addressOf = async ({ page }: PageVisit, name: string) => {
    await fileButton(page, name).click()
    return String(await page.locator('dialog img').getAttribute('src'))
  }
  const [secret, own] = [await addressOf(alice, 'secret.png'), await addressOf(bob, 'bob.png')]
  const read = (page: Page, address: string) => page.evaluate(url => fetch(url).then(({ status }) => status, () => 'failed'), address)
  t.equal(await read(alice.page, secret), 200)
  t.equal(await read(bob.page, own), 200)
  t.equal(await read(bob.page, own.replace('bob.png', 'secret.png')), 404, 'as bob')
  t.equal(await read(bob.page, secret), 'failed', 'with the address of alice')
  t.equal(await read(bob.page, own.replace(/\?.*/, '')), 401, 'without a window')

  const script = own.replace('bob.png', 'run.js')
  await bob.put('run.js', { bytes: '', type: 'text/javascript' })
  t.equal(await read(bob.page, script), 200)
  t.equal(await bob.page.evaluate(url => import(url).then(() => 'ran', () => 'refused'), script), 'refused', 'a file is no script of the page')

  const opened = await alice.page.context().newPage()
  t.equal(await opened.goto(secret).then(response => response?.status(), () => 'failed'), 'failed', 'not even in a new window of alice')
  const other = await alice.page.context().newPage()
  await other.goto(`${alice.url}/docs`)
  t.equal(await read(other, secret), 'failed', 'not from another page of the server in her browser')
})

browserTest('versions are shown, restored and deleted for good, by mouse and by keyboard', async t => {
  const visit = await visitAs(t, { 'plan.txt': 'first' })
  await visit.put('plan.txt', 'second')
  await visit.put('plan.txt', 'third')
  const { page, server, user } = visit
  const content = async () => (await server.send('GET', '/uploads/plan.txt', { user })).text
  await choose(page, 'plan.txt', 'Versions')
  await dialogButton(page, 'View').first().click()
  await page.getByRole('dialog').last().getByText('second').waitFor()
  await press(page, 'Escape')
  t.equal((await savedBy(page, () => dialogButton(page, 'Download').first().click())).bytes.toString(), 'second')
  await checkAccessible(t, page, 'versions')
  await dialogButton(page, 'Restore').first().click()
  await noDialog(page)
  await shows(t, content, 'second')
  await undo(page).click()
  await shows(t, content, 'third')

  await fileButton(page, 'plan.txt').focus()
  await press(page, 'ArrowRight', 'Enter', 'v', 'Enter')
  await dialogButton(page, 'View').nth(1).waitFor()
  await enter(page, dialogButton(page, 'Delete for good').nth(1))
  await shows(t, () => isFocused(dialogButton(page, 'Cancel')), true, 'the focus of a question starts at Cancel')
  await press(page, 'Tab', 'Enter')
  await shows(t, () => dialogButton(page, 'View').count(), 1)
  t.ok(await hasFocusIn(page.getByRole('dialog')), 'the focus stays in the dialog')
  await enter(page, dialogButton(page, 'Restore'))
  await shows(t, content, 'second')
  await shows(t, () => isFocused(menuButton(page, 'plan.txt')), true)
  await visit.put('plan.txt', 'fourth')
  await undo(page).click()
  await page.getByRole('status').getByText(/It was changed meanwhile/).waitFor()
  t.equal(await content(), 'fourth', 'what was stored meanwhile is not replaced')
})

browserTest('files in the trash are restored, under another name if theirs is taken, and deleted for good after a question', async t => {
  const visit = await visitAs(t, { 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c', 'd.txt': 'd', 'x.txt': 'x' })
  const { page, put } = visit
  await page.route('**/api/trash**', route => route.abort())
  await choose(page, 'x.txt', 'Delete')
  await page.getByRole('status').getByText('Deleted: x.txt', { exact: true }).waitFor()
  t.pass('what may be in the trash is not said to be gone for good')
  await page.unroute('**/api/trash**')
  await visit.server.send('DELETE', '/api/trash', { user: visit.user })

  await fileButton(page, 'a.txt').focus()
  for (const next of ['b.txt', 'c.txt', 'd.txt']) {
    await press(page, 'Delete')
    await shows(t, () => isFocused(fileButton(page, next)), true)
  }
  await put('a.txt', 'another')
  await goTo(page, 'Trash')
  await shows(t, () => namesOf(page), ['c.txt', 'b.txt', 'a.txt'])
  await checkAccessible(t, page, 'the trash')
  const restore = (name: string) => page.getByRole('button', { name: `Restore ${name}`, exact: true })
  await restore('a.txt').click()
  await shows(t, () => page.getByRole('textbox').inputValue(), 'a (2).txt')
  await page.getByRole('textbox').fill('d.txt')
  await dialogButton(page, 'Restore').click()
  await refusal(page).waitFor()
  await page.getByRole('textbox').fill('a (2).txt')
  await dialogButton(page, 'Restore').click()
  await noDialog(page)
  await shows(t, () => isFocused(restore('b.txt')), true, 'the focus is on the row in its place')
  await press(page, 'ArrowUp', 'Enter')
  await shows(t, () => namesOf(page), ['b.txt'])
  await shows(t, () => isFocused(restore('b.txt')), true)
  await press(page, 'Delete')
  await page.getByRole('dialog').getByText('b.txt').waitFor()
  await enter(page, dialogButton(page, 'Delete for good'))
  await page.getByText('The trash is empty').first().waitFor()
  await shows(t, () => hasFocusIn(page.getByRole('main')), true)

  await goTo(page, 'Files')
  await shows(t, () => namesOf(page), ['a (2).txt', 'a.txt', 'c.txt', 'd.txt'])
  await choose(page, 'c.txt', 'Delete')
  await shows(t, () => namesOf(page), ['a (2).txt', 'a.txt', 'd.txt'])
  await goTo(page, 'Trash')
  await page.getByRole('button', { name: 'Empty the trash' }).click()
  await page.getByRole('dialog').getByText('c.txt').waitFor()
  await dialogButton(page, 'Delete all for good').click()
  await page.getByText('The trash is empty').first().waitFor()
})

browserTest('if the server keeps no deleted files, the page asks before a deletion, and does not offer to undo it', async t => {
  const { page, put } = await visitAs(t, { 'a.txt': 'a', 'b.txt': 'b', 'dir/x': 'x' }, { settings: { KEEP_DAYS: '0' } })
  await choose(page, 'a.txt', 'Delete')
  await page.getByRole('heading', { name: 'Delete this file for good?' }).waitFor()
  await dialogButton(page, 'Cancel').click()
  t.equal(await page.getByText('Deleted for good').count(), 0)
  await fileButton(page, 'a.txt').focus()
  await page.keyboard.press('Delete')
  await dialogButton(page, 'Delete for good').click()
  await page.getByText('Deleted for good: a.txt').waitFor()
  await fileButton(page, 'b.txt').click()
  await dialogButton(page, 'Delete').click()
  await dialogButton(page, 'Delete for good').click()
  await page.getByText('Deleted for good: b.txt').waitFor()
  t.equal(await undo(page).count(), 0)

  await choose(page, 'dir', 'Delete')
  await dialogButton(page, 'Delete').click()
  await notice(page, 'Deleted: dir').waitFor()
  for (const name of ['c.txt', 'd.txt']) await put(name, name)
  await fileButton(page, 'd.txt').focus()
  await press(page, 'Control+a', 'Delete')
  await page.getByRole('heading', { name: 'Delete 2 items for good?' }).waitFor()
  t.strictSame(await page.getByRole('dialog').getByRole('listitem').allTextContents(), ['c.txt', 'd.txt'])
  await dialogButton(page, 'Delete for good').click()
  await notice(page, 'Deleted for good: 2 items').waitFor()
  t.equal(await undo(page).count(), 0, 'neither of a folder nor of many')
})

browserTest('a preview loads with a new token after a revocation, and after a new sign-in; a file is renamed and deleted there, and refusals are shown', async t => {
  const visit = await visitAs(t, { 'a.png': PICTURE, 'b.png': PICTURE })
  const { page, server, user } = visit
  // Else its request that waits for changes could find out first that the session has ended, and ask for the password.
  await deafen(visit, ['**/api/changes*'])
  await server.send('DELETE', '/uploads/x.txt', { user })
  const isShown = () => page.locator('dialog img').evaluate((image: HTMLImageElement) => image.naturalWidth)
  const { tokens } = (await server.send('GET', '/api/tokens', { user })).json
  for (const { id, kind } of tokens) if (kind === 'access') await server.send('DELETE', `/api/tokens/${id}`, { user })
  await fileButton(page, 'a.png').click()
  await shows(t, isShown, 1, 'with a new token')
  await press(page, 'Escape')
  await server.send('DELETE', '/api/tokens', { user })
  await fileButton(page, 'b.png').click()
  await page.getByRole('dialog').getByLabel('Password', { exact: true }).fill(PASSWORD)
  await dialogButton(page, 'Sign in').click()
  await shows(t, isShown, 1, 'after the sign-in')
  await press(page, 'Escape')
  await shows(t, () => isFocused(fileButton(page, 'b.png')), true)

  const dialog = page.getByRole('dialog')
  await fileButton(page, 'a.png').click()
  await dialogButton(page, 'Rename').click()
  await dialog.getByRole('textbox').fill('b.png')
  await press(page, 'Enter')
  await refusal(page).waitFor()
  await dialog.getByRole('textbox').fill('c.png')
  await press(page, 'Enter')
  await dialog.getByRole('heading', { name: 'c.png' }).waitFor()
  await shows(t, () => isFocused(dialogButton(page, 'Rename')), true)
  await server.send('DELETE', '/uploads/c.png', { user })
  for (const action of ['Delete', 'Download']) {
    await dialogButton(page, action).click()
    await refusal(page).waitFor()
  }
  await press(page, 'Escape')
  await fileButton(page, 'b.png').click()
  await dialogButton(page, 'Delete').click()
  await noDialog(page)
  await page.getByText('No files yet').waitFor()
  t.ok(await hasFocusIn(page.getByRole('main')))
})

browserTest('on a phone all tools are in one row, and the first file is near the top', async t => {
  const names = Array.from({ length: 40 }, (_, index) => `f${index}.txt`)
  const visit = await visitAs(t, { 'Holiday 2024 in the mountains/a.txt': 'x' }, phone)
  const { page } = visit
  await putMany(visit, names)
  const middlesOf = (selector: string) => page.locator(selector).evaluateAll(elements =>
    elements.map(element => element.getBoundingClientRect()).map(({ top, bottom }) => (top + bottom) / 2))
  const firstRow = page.locator('.grid .body .row').first()
  for (const heading of ['Files', 'Holiday 2024 in the mountains']) {
    await page.getByRole('heading', { name: heading, level: 2 }).waitFor()
    await shows(t, () => firstRow.evaluate(row => row.getBoundingClientRect().top < 220), true, `${heading}: within 220 px`)
    const middles = await middlesOf('.toolbar > :is(.search, .letters-button, .order, .layouts)')
    t.ok(middles.length >= 3)
    for (const middle of middles) t.ok(Math.abs(middle - Number(middles[0])) < 1, `${heading}: ${middles.join(', ')}`)
    await checkFits(t, page, heading)
    await checkAccessible(t, page, `${heading} on a phone`)
    if (heading === 'Files') await page.getByRole('link', { name: 'Holiday 2024 in the mountains', exact: true }).click()
  }
})
