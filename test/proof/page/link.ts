import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import type { Test } from 'tap'
import { sha256Of } from '../../kit/digests.ts'
import { clientOf, signUp } from '../../kit/server.ts'
import { isProof, MIB } from '../../kit/sizes.ts'
import { readZip } from '../../kit/zips.ts'
import { checkEveryWidth, checkView } from '../account-page.ts'
import { browserTest, limitSpeed, phone, shows } from '../browser.ts'
import { cancelWhileCreated, chooseFrom, dropOn, isUnderWay, PDF, PICTURE, savedBy, textFile } from '../files-page.ts'
import { giveAway, heading, openLink, startLinks, type LinkServer } from '../links-page.ts'
import { checkAccessible, checkFits, hasFocusIn } from '../page.ts'
import { startRoughServer } from '../rough-wire.ts'

const DEAD = 'This link does not exist or has ended.'

const link = (page: Page, name: string) => page.getByRole('link', { name, exact: true })
const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })
const alert = (page: Page) => page.getByRole('alert').filter({ hasText: /\w/ })

/** Counts the clicks and keys of the visitor from here on. */
async function countActs (page: Page): Promise<() => Promise<number>> {
  await page.evaluate(() => {
    const counted = window as unknown as { acts: number }
    counted.acts = 0
    const count = ({ isTrusted }: Event) => { if (isTrusted) counted.acts++ }
    for (const type of ['click', 'keydown']) addEventListener(type, count, true)
  })
  return () => page.evaluate(() => (window as unknown as { acts: number }).acts)
}

/** Chooses files in the browser's dialog. */
const choose = (page: Page, files: Parameters<typeof chooseFrom>[1]) => chooseFrom(button(page, 'Choose files'), files)

const row = (page: Page, name: string) => page.getByRole('region', { name: 'Your files' }).getByRole('listitem').filter({ has: page.getByText(name, { exact: true }) })
const isSent = (page: Page, name: string) => row(page, name).getByText(/^Sent, /).waitFor()

/** The names and sizes of the owner's files. */
async function filesOf (server: LinkServer, folder: string): Promise<Record<string, number>> {
  const { json } = await server.send('GET', `/api/files?folder=${folder}`, { token: server.token })
  return Object.fromEntries(json.files.map(({ name, size }: { name: string, size: number }) => [name, size]))
}

/** Asserts that nothing that was seen has moved since the page began. */
async function checkSteady (t: Test, page: Page, what: string): Promise<void> {
  const moved = await page.evaluate(async () => {
    const found: PerformanceEntry[] = []
    new PerformanceObserver(list => { found.push(...list.getEntries()) }).observe({ type: 'layout-shift', buffered: true })
    // The observer is called before the second frame.
    for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame)
    await new Promise(resolve => setTimeout(resolve))
    return found.map(entry => (entry as PerformanceEntry & { value: number }).value)
  })
  t.same(moved, [], `nothing moves in ${what}`)
}

/** Asserts that nothing was asked beside the page, its files and the link, and that no cookie was set. */
async function checkPrivate (
  t: Test, visit: { page: Page, requested: string[] }, cookies: string[] = []
): Promise<void> {
  // The viewer of PDF is part of the browser.
  const paths = visit.requested.filter(address => !address.startsWith('chrome')).map(address => new URL(address).pathname)
  t.same(paths.filter(path => !/\/(?:assets\/|s\/[0-9A-Za-z]{22}(?:$|\/))/.test(path)), [], 'no request but for the link')
  t.same((await visit.page.context().cookies()).map(({ name }) => name), cookies, 'the cookies')
  t.equal(await visit.page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length), 0, 'no service worker')
}

browserTest('one click from a link to the file, whose owner can hide, and whose end can be open', async t => {
  const server = await startLinks(t)
  const bytes = randomBytes(300_000)
  await server.put('reports/report 1.pdf', bytes, 'application/octet-stream')
  const { url } = await giveAway(server, server.token, { name: 'reports/report 1.pdf' })
  const visit = await openLink(t, url)
  const { page } = visit
  t.equal(await heading(page).innerText(), 'report 1.pdf')
  t.equal(await page.title(), 'report 1.pdf – MagicStore')
  await page.getByText('300 kB').waitFor()
  await page.getByText(`Shared by ${server.username}`).waitFor()
  await page.getByText(/^Until /).waitFor()
  await checkSteady(t, page, 'the page of a file')
  const acts = await countActs(page)
  const { name, bytes: received } = await savedBy(page, () => link(page, 'Download').click())
  t.equal(await acts(), 1, 'one click')
  t.equal(name, 'report 1.pdf')
  t.equal(sha256Of(received), sha256Of(bytes))
  t.equal(await button(page, 'Preview').count(), 0, 'no preview of an unknown type')
  await checkView(t, page, 'the page of a file')
  await checkPrivate(t, visit)

  const unlimited = await startLinks(t, { LINK_MAX_DAYS: '0' })
  await unlimited.put('a.txt', 'text')
  const hidden = await openLink(t, (await giveAway(unlimited, unlimited.token, { name: 'a.txt', showsOwner: false, expiresAt: null })).url)
  await hidden.page.getByText('4 bytes').waitFor()
  t.notMatch(await hidden.page.getByRole('main').innerText(), /user-|Shared by|Until/)
})

browserTest('pictures, sounds and videos are shown, and nothing of them runs', async t => {
  const server = await startLinks(t)
  await server.put('p/picture.png', PICTURE.bytes, PICTURE.type)
  await server.put('p/drawing.svg', '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>top.document.title = "run"</script><rect width="9" height="9"/></svg>', 'image/svg+xml')
  await server.put('p/page.html', '<script>top.document.title = "run"</script>', 'text/html')
  await server.put('p/broken.png', 'no picture', 'image/png')
  const { url } = await giveAway(server, server.token, { name: 'p/picture.png' })
  const visit = await openLink(t, url)
  await button(visit.page, 'Preview').click()
  const image = visit.page.getByRole('img', { name: 'picture.png' })
  await shows(t, () => image.evaluate(element => (element as HTMLImageElement).naturalWidth), 1, 'the picture is shown')

  const folder = await giveAway(server, server.token, { name: 'p' })
  const { page } = await openLink(t, folder.url)
  await button(page, 'drawing.svg').click()
  const drawing = page.getByRole('dialog').getByRole('img', { name: 'drawing.svg' })
  await shows(t, () => drawing.evaluate(element => (element as HTMLImageElement).naturalWidth), 9, 'the drawing is shown')
  await page.keyboard.press('Escape')
  await button(page, 'broken.png').click()
  await page.getByText('The browser can’t show this file.').waitFor()
  await page.goBack()
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await button(page, 'page.html').click()
  await page.getByRole('region', { name: 'page.html' }).getByText('<script>').waitFor()
  const { bytes } = await savedBy(page, () => link(page, 'Download').click())
  t.match(bytes.toString(), /^<script>/)
  t.equal(await page.title(), 'p – MagicStore', 'no script has run')
})

browserTest('a visitor of a folder goes from one file to the next that can be shown: pictures, texts and PDF', async t => {
  const server = await startLinks(t)
  await server.put('p/a.png', PICTURE.bytes, PICTURE.type)
  await server.put('p/b.zip', 'PK', 'application/zip')
  await server.put('p/c.txt', `${'long line '.repeat(30_000)}the end`, 'text/plain')
  await server.put('p/d.pdf', PDF, 'application/pdf')
  await server.put('p/e.txt', '', 'text/plain')
  const { url, id } = await giveAway(server, server.token, { name: 'p' })
  const visit = await openLink(t, url, { isWhole: true })
  const { page } = visit
  const title = () => page.getByRole('dialog').getByRole('heading', { level: 2 }).innerText()
  await button(page, 'a.png').click()
  const picture = page.getByRole('img', { name: 'a.png' })
  await shows(t, () => picture.evaluate(element => (element as HTMLImageElement).naturalWidth), 1)
  t.equal(await button(page, 'Previous file').getAttribute('aria-disabled'), 'true')
  await checkView(t, page, 'a preview')
  await button(page, 'Next file').click()
  await shows(t, title, 'c.txt', 'what can\'t be shown is left out')
  await page.getByText('The first 262.1 kB of 300 kB').waitFor()
  await checkView(t, page, 'a preview of a text')
  await button(page, 'Next file').click()
  await shows(t, title, 'd.pdf')
  const frame = page.locator('iframe.shown')
  t.match(await frame.getAttribute('src'), /\/files\/d\.pdf\?disposition=inline$/)
  await checkAccessible(t, page, 'a preview of a PDF')
  await button(page, 'Next file').focus()
  await page.keyboard.press('ArrowRight')
  await shows(t, title, 'e.txt')
  t.equal(await page.getByRole('region', { name: 'e.txt' }).innerText(), '', 'an empty file')
  await page.keyboard.press('ArrowRight')
  for (const expected of ['d.pdf', 'c.txt', 'a.png', 'a.png']) {
    await button(page, 'Previous file').press('ArrowLeft')
    await shows(t, title, expected)
  }
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  t.ok(await hasFocusIn(button(page, 'a.png')), 'the focus is at the file that was seen last')
  t.equal(await button(page, 'b.zip').count(), 0)

  await button(page, 'c.txt').click()
  await page.getByRole('region', { name: 'c.txt' }).waitFor()
  await server.send('DELETE', '/uploads/p%2Fe.txt', { token: server.token })
  await button(page, 'Next file').click()
  await shows(t, title, 'd.pdf')
  await button(page, 'Next file').click()
  await page.getByText('It is no longer there.').waitFor()
  await checkPrivate(t, visit)
  await server.send('DELETE', `/api/links/${id}`, { token: server.token })
  await button(page, 'Previous file').click()
  await button(page, 'Previous file').click()
  await page.getByRole('heading', { name: DEAD }).waitFor()

  const alone = await openLink(t, (await giveAway(server, server.token, { name: 'p/d.pdf' })).url, { isWhole: true })
  await button(alone.page, 'Preview').click()
  await alone.page.locator('iframe.shown').waitFor()
  await alone.page.evaluate(() => Object.defineProperty(navigator, 'pdfViewerEnabled', { value: false }))
  await alone.page.getByRole('button', { name: 'Preview' }).click()
  await shows(t, () => button(alone.page, 'Preview').count(), 0, 'a browser without a viewer')
})

browserTest('a folder: in and out of its folders, by mouse, keys, address and Back', async t => {
  const server = await startLinks(t)
  await server.put('trip/map.txt', 'a map')
  await server.put('trip/days/one #1.txt', 'day one')
  await server.put('trip/days/more/deep.txt', 'deep')
  await server.put('secret.txt', 'secret')
  const { url } = await giveAway(server, server.token, { name: 'trip' })
  const visit = await openLink(t, url)
  const { page } = visit
  await button(page, 'map.txt').waitFor()
  await checkSteady(t, page, 'a folder')
  await link(page, 'days').click()
  await shows(t, () => heading(page).innerText(), 'days')
  t.ok(await hasFocusIn(heading(page)), 'the heading has the focus')
  const acts = await countActs(page)
  const { name, bytes } = await savedBy(page, () => link(page, 'Download one #1.txt').click())
  t.equal(await acts(), 1)
  t.same([name, bytes.toString()], ['one #1.txt', 'day one'])
  const zip = await savedBy(page, () => link(page, 'Download all as a zip').click())
  t.same([zip.name, readZip(zip.bytes).map(({ path }) => path).sort()], ['days.zip', ['more/', 'more/deep.txt', 'one #1.txt']])
  await link(page, 'more').click()
  await shows(t, () => heading(page).innerText(), 'more')
  t.same(await page.getByRole('navigation').getByRole('link').allInnerTexts(), ['trip', 'days'])
  await checkView(t, page, 'a folder')
  await page.goBack()
  await shows(t, () => heading(page).innerText(), 'days')
  await link(page, 'trip').click()
  await shows(t, () => page.locator('.file-name').allInnerTexts(), ['days', 'map.txt'])
  await page.reload()
  await shows(t, () => page.locator('.file-name').allInnerTexts(), ['days', 'map.txt'])
  await page.evaluate(() => { location.hash = '#missing' })
  await page.getByText('There is no folder of this name').waitFor()
  await link(page, 'Show all that is shared').click()
  await button(page, 'map.txt').waitFor()
  await checkPrivate(t, visit)

  await server.send('PUT', '/api/folders/empty', { token: server.token })
  const empty = await openLink(t, (await giveAway(server, server.token, { name: 'empty' })).url)
  await empty.page.getByText('This folder is empty').waitFor()

  const small = await openLink(t, url, phone)
  await button(small.page, 'map.txt').waitFor()
  const begins = await small.page.locator('.body .row').evaluateAll(rows => rows.flatMap(row => {
    const size = row.querySelector('.size') as HTMLElement
    const padding = Number.parseFloat(getComputedStyle(size).paddingInlineStart)
    return [row.querySelector('bdi')!.getBoundingClientRect().x, size.getBoundingClientRect().x + padding]
  }))
  t.equal(begins.length, 4)
  t.ok(Math.max(...begins) - Math.min(...begins) < 2, `names and sizes begin at one line: ${begins.join(', ')}`)

  const long = `long/${'very long name '.repeat(12)}.txt`
  await server.put(long, 'text')
  for (const name of ['long', long]) {
    const { page } = await openLink(t, (await giveAway(server, server.token, { name })).url, phone)
    await checkFits(t, page, name)
  }

  const names = Array.from({ length: 210 }, (_, index) => `f${String(index).padStart(3, '0')}.txt`)
  for (const name of names) await server.put(`many/${name}`, name)
  const many = await openLink(t, (await giveAway(server, server.token, { name: 'many' })).url)
  await button(many.page, 'f000.txt').focus()
  await many.page.keyboard.press('End')
  await shows(t, () => many.page.evaluate(() => document.activeElement?.textContent), 'f209.txt', 'many files are loaded in pages')
})

browserTest('a password: wrong, too often wrong, right; and it can be changed meanwhile', async t => {
  const server = await startLinks(t, { SIGN_IN_FAILURES: '3' })
  await server.put('a.txt', 'text')
  const { id, url } = await giveAway(server, server.token, { name: 'a.txt', password: 'tell it by phone' })
  const visit = await openLink(t, url)
  const { page } = visit
  const field = page.getByLabel('Password', { exact: true })
  t.equal(await heading(page).innerText(), 'This link needs a password')
  t.notMatch(await page.getByRole('main').innerText(), /a\.txt|user-/, 'nothing else is told')
  t.ok(await hasFocusIn(field), 'the focus is in the field')
  await checkView(t, page, 'the password of a link')
  await field.fill('wrong')
  await page.keyboard.press('Enter')
  await alert(page).getByText('This password is wrong.').waitFor()
  await field.fill('tell it by phone')
  await button(page, 'Open the link').click()
  await shows(t, () => heading(page).innerText(), 'a.txt')
  t.ok(await hasFocusIn(heading(page)))
  t.equal((await savedBy(page, () => link(page, 'Download').click())).bytes.toString(), 'text')
  const [cookie] = await page.context().cookies()
  t.match(cookie, { name: 'magicstore_link', httpOnly: true, sameSite: 'Strict', path: new URL(url).pathname })
  await page.reload()
  await shows(t, () => heading(page).innerText(), 'a.txt', 'it stays unlocked')
  await checkPrivate(t, visit, ['magicstore_link'])

  await server.send('PATCH', `/api/links/${id}`, { token: server.token, json: { password: 'something else' } })
  await link(page, 'Download').click()
  await shows(t, () => heading(page).innerText(), 'This link needs a password')
  for (let attempt = 0; attempt < 3; attempt++) {
    await field.fill('wrong')
    await button(page, 'Open the link').click()
    await shows(t, () => button(page, 'Open the link').getAttribute('aria-disabled'), 'false')
  }
  await field.fill('something else')
  await button(page, 'Open the link').click()
  await alert(page).getByText(/^Too many wrong passwords\. .*Try again in/).waitFor()
})

browserTest('a link works without JavaScript and below a folder of a proxy; one that is unknown, revoked or not allowed shows one text', async t => {
  const server = await startLinks(t)
  await server.put('a b.txt', 'text')
  const { id, url } = await giveAway(server, server.token, { name: 'a b.txt' })
  const plain = await openLink(t, url, { javaScriptEnabled: false })
  const { name, bytes } = await savedBy(plain.page, () => button(plain.page, 'Download the file').click())
  t.same([name, bytes.toString()], ['a b.txt', 'text'])

  const tab = await openLink(t, url)
  const { page } = tab
  // A proxy that serves the page below a path.
  await page.context().route('**/store/**', async route => {
    await route.fulfill({ response: await route.fetch({ url: route.request().url().replace('/store/', '/') }) })
  })
  await page.goto(url.replace('/s/', '/store/s/'))
  await shows(t, () => heading(page).innerText(), 'a b.txt')
  t.ok(tab.requested.slice(-5).every(address => new URL(address).pathname.startsWith('/store/')), 'every address is below it')
  t.match(await link(page, 'Download').getAttribute('href'), /\/store\/s\/[0-9A-Za-z]{22}\/files\/a%20b\.txt$/)
  await page.context().unrouteAll({ behavior: 'wait' })

  await page.goto(url)
  await link(page, 'Download').waitFor()
  await server.send('DELETE', `/api/links/${id}`, { token: server.token })
  await link(page, 'Download').click()
  await page.getByRole('heading', { name: DEAD }).waitFor()
  await page.reload()
  await page.getByRole('heading', { name: DEAD }).waitFor()
  const unknown = await openLink(t, `${server.url}/s/${'a'.repeat(22)}`)
  await unknown.page.getByRole('heading', { name: DEAD }).waitFor()
  await checkView(t, unknown.page, 'a dead link')
  await checkPrivate(t, unknown)
})

browserTest('a request: files are chosen and dropped, arrive with the owner, and take room', async t => {
  const server = await startLinks(t)
  await server.put('inbox/a.txt', 'of the owner')
  const { url } = await giveAway(server, server.token, { name: 'inbox', kind: 'upload', maxFiles: 4, maxBytes: 2_000_000 })
  const visit = await openLink(t, url)
  const { page } = visit
  t.equal(await heading(page).innerText(), 'Send files to inbox')
  await page.getByText(`Requested by ${server.username}`).waitFor()
  await page.getByText('Room for 4 more files and 2 MB').waitFor()
  t.notMatch(await page.getByRole('main').innerText(), /a\.txt/, 'what is there is not told')
  await checkSteady(t, page, 'a request')
  await checkView(t, page, 'a request')
  const acts = await countActs(page)
  await choose(page, [textFile('a.txt', 'sent'), textFile('empty.txt', '')])
  await isSent(page, 'a.txt')
  await isSent(page, 'empty.txt')
  t.equal(await acts(), 1, 'one click beside the choice')
  await page.evaluate(() => {
    const dataTransfer = new DataTransfer()
    dataTransfer.items.add(new File(['dropped bytes'], 'ünï.txt', { type: 'text/plain', lastModified: 1_700_000_000_000 }))
    for (const type of ['dragenter', 'dragover', 'drop']) document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }))
  })
  await isSent(page, 'ünï.txt')
  await page.getByText('Room for 1 more file and 2 MB').waitFor()
  await page.getByText('3 of 3 files sent').waitFor()
  await checkEveryWidth(t, page, 'files that were sent')
  t.same(await filesOf(server, 'inbox'), { 'inbox/a (2).txt': 4, 'inbox/a.txt': 12, 'inbox/empty.txt': 0, 'inbox/ünï.txt': 13 })
  const { json } = await server.send('GET', `/api/files/${encodeURIComponent('inbox/ünï.txt')}`, { token: server.token })
  t.match(json, { type: 'text/plain', modifiedAt: '2023-11-14T22:13:20.000Z', sha256: sha256Of('dropped bytes') })
  await checkPrivate(t, visit)
  await dropOn(page, [t.testdir({ 'map.txt': 'a map' })])
  await page.getByText('Folders can’t be sent. Choose the files in them.').waitFor()
})

browserTest('refusals: no room, the quota of the owner, a name that is not possible, a link that ended', async t => {
  const server = await startLinks(t, { QUOTA_BYTES: '600' })
  await server.send('PUT', '/api/folders/inbox', { token: server.token })
  const { id, url } = await giveAway(server, server.token, { name: 'inbox', kind: 'upload', maxFiles: 3, maxBytes: 100_000 })
  const { page } = await openLink(t, url)
  await choose(page, [textFile('big.txt', 'b'.repeat(200_000))])
  await row(page, 'big.txt').getByText('There is no room for this file. 100 kB can still be stored.').waitFor()
  await choose(page, [textFile('quota.txt', 'b'.repeat(700))])
  await row(page, 'quota.txt').getByText('The owner of the link has no space for this file.').waitFor()
  await page.getByText('2 failed').waitFor()
  await button(page, 'Remove big.txt from the list').click()
  await shows(t, () => row(page, 'big.txt').count(), 0)
  await button(page, 'Try again: quota.txt').click()
  await row(page, 'quota.txt').getByText('The owner of the link has no space for this file.').waitFor()
  await choose(page, [textFile('bad\u0001name.txt', 'x')])
  await page.getByText('Invalid name').waitFor()
  // It counts for the limits of the link, since it may go on.
  await button(page, 'Remove quota.txt from the list').click()
  await shows(t, () => row(page, 'quota.txt').count(), 0)
  await choose(page, ['1', '2', '3'].map(name => textFile(`${name}.txt`, 'x')))
  for (const name of ['1.txt', '2.txt', '3.txt']) await isSent(page, name)
  await page.getByText('This link accepts no more files.').waitFor()
  t.equal(await button(page, 'Choose files').count(), 0)
  await server.send('PATCH', `/api/links/${id}`, { token: server.token, json: { maxFiles: 10 } })
  await page.reload()
  await page.getByText(/^Room for 7 more files/).waitFor()
  await server.send('DELETE', `/api/links/${id}`, { token: server.token })
  await choose(page, [textFile('late.txt', 'x')])
  await page.getByRole('heading', { name: DEAD }).waitFor()
  await row(page, 'late.txt').getByText(DEAD).waitFor()
})

browserTest('a large file continues after a cut, after a reload, and can be cancelled', async t => {
  const folder = t.testdir({ data: {}, desk: {} })
  const server = await startRoughServer(t, join(folder, 'data'), 'http://127.0.0.1:1', ['LINKS=on'])
  const client = clientOf(Number(new URL(server.url).port))
  const { token } = await signUp(client, 'ann')
  await client.send('PUT', '/api/folders/inbox', { token })
  const { url } = await giveAway(client, token, { name: 'inbox', kind: 'upload' })
  // Some 4 MiB of what was sent before a cut may never have left the buffers of the system.
  const bytes = randomBytes(24 * MIB)
  const path = join(folder, 'desk/large.bin')
  await writeFile(path, bytes)
  const digestOf = async (name: string) => (await client.send('GET', `/api/files/${encodeURIComponent(`inbox/${name}`)}`, { token })).json.sha256

  const visit = await openLink(t, server.url + new URL(url, server.url).pathname)
  const { page } = visit
  server.mishaps.push({ atBytes: server.sent + 16 * MIB, kind: 'cut' }, { atBytes: server.sent + 18 * MIB, kind: 'restart' })
  const offsets: number[] = []
  page.on('request', request => { if (request.method() === 'PATCH') offsets.push(Number(request.headers()['upload-offset'])) })
  await choose(page, [path])
  await row(page, 'large.bin').getByText('This file continues by itself.').waitFor()
  await isSent(page, 'large.bin')
  t.equal(await digestOf('large.bin'), sha256Of(bytes))
  t.equal(offsets[0], 0)
  t.ok(Number(offsets.at(-1)) > 0, 'what is stored is not sent again')

  page.on('dialog', dialog => { void dialog.accept() })
  await limitSpeed(page, MIB)
  await choose(page, [path])
  await isUnderWay(t, page, 'large.bin')
  const created = visit.requested.filter(address => address.endsWith('/uploads')).length
  await page.reload()
  await limitSpeed(page, -1)
  await choose(page, [path])
  await isSent(page, 'large.bin')
  t.equal(visit.requested.filter(address => address.endsWith('/uploads')).length, created, 'no other upload was created')
  t.equal(await digestOf('large (2).bin'), sha256Of(bytes))

  await limitSpeed(page, MIB / 2)
  await choose(page, [path])
  await isUnderWay(t, page, 'large.bin')
  await button(page, 'Cancel large.bin').click()
  await shows(t, async () => (await client.send('GET', '/api/account', { token })).json.usage.uploadBytes, 0, 'the room is free again')

  // See uploads.ts.
  if (isProof) await cancelWhileCreated(page, '**/uploads', async () => choose(page, [path]))
})
