import { randomBytes } from 'node:crypto'
import { utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Locator, Page } from 'playwright-core'
import type { Test } from 'tap'
import { sha256Of } from '../../kit/digests.ts'
import { signUp } from '../../kit/server.ts'
import { isProof, MIB } from '../../kit/sizes.ts'
import { until } from '../../kit/waiting.ts'
import { browserTest, enter, isFocused, limitSpeed, shows, tabTo } from '../browser.ts'
import { cancelWhileCreated, chooseFrom, dropOn, hold, isUnderWay, panel, textFile } from '../files-page.ts'
import {
  checkAccessible, checkFits, hasFocusIn, openPage, openPageAs, openSecondWindow, PASSWORD, registerOn, signedIn,
  signInOn, type UserVisit
} from '../page.ts'
import { startRoughServer } from '../rough-wire.ts'

const row = (page: Page, name: string) => panel(page).getByRole('listitem').filter({ has: page.getByText(name, { exact: true }) })

const button = (page: Page, name: string) => panel(page).getByRole('button', { name, exact: true })

const addFiles = (page: Page) => page.getByRole('button', { name: 'Add files', exact: true })

/** Chooses files in the browser's dialog. */
const choose = (page: Page, files: Parameters<typeof chooseFrom>[1]) => chooseFrom(addFiles(page), files)

/** The list says that a file is stored. When all are, it closes at some time. */
async function isStored (page: Page, name: string): Promise<void> {
  const text = row(page, name).getByText(/^Uploaded, /)
  await until(async () => {
    if (await text.isVisible()) return true
    const closed = panel(page).locator('button[aria-expanded=false]')
    if (await closed.isVisible()) await closed.click({ timeout: 1000 }).catch(() => {})
    return false
  })
}

async function checkStored (
  t: Test, { server, user }: UserVisit, files: Record<string, Buffer | string>
): Promise<void> {
  for (const [name, bytes] of Object.entries(files)) {
    const answer = await server.send('GET', `/api/files/${encodeURIComponent(name)}`, { user })
    t.equal(answer.json.sha256, sha256Of(bytes), `the bytes of ${name}`)
  }
}

/** A file on disk. Its time stays the same whenever it is chosen. */
function diskFile (folder: string, name: string, bytes: Buffer): string {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  utimesSync(path, 1_700_000_000, 1_700_000_000)
  return path
}

/** Dispatches the events of dragging files over the page. */
async function drag (page: Page, files: { name: string, content: string }[], events: string[]): Promise<void> {
  await page.evaluate(({ files, events }) => {
    const dataTransfer = new DataTransfer()
    for (const { name, content } of files) dataTransfer.items.add(new File([content], name, { type: 'text/plain' }))
    for (const type of events) {
      document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }))
    }
  }, { files, events })
}

/** Pastes files at the focused element. Returns whether the page accepts them. */
async function paste (page: Page, files: { name: string, type: string }[]): Promise<boolean> {
  return page.evaluate(files => {
    const clipboardData = new DataTransfer()
    for (const { name, type } of files) clipboardData.items.add(new File(['pasted bytes'], name, { type }))
    return !(document.activeElement ?? document.body).dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }))
  }, files)
}

/** Asserts that neither the page nor the list scrolls sideways. */
async function checkPanelFits (t: Test, page: Page, what: string): Promise<void> {
  await checkFits(t, page, what)
  const list = panel(page).getByRole('group', { name: 'List of uploads' })
  t.equal(await list.evaluate(element => element.scrollWidth - element.clientWidth), 0, `${what}, in the list`)
}

browserTest('dropped, pasted and chosen files are stored, including those in folders', async t => {
  const folder = t.testdir({ trip: { 'map.txt': 'a map', days: { 'first.txt': 'day one' } } })
  const visit = await openPageAs(t)
  const { page, server, user } = visit
  const target = page.getByText('Drop files to upload them')

  const dropped = [{ name: 'one.txt', content: 'first' }, { name: 'two.txt', content: 'second' }]
  await drag(page, dropped, ['dragenter', 'dragover'])
  await target.waitFor()
  await drag(page, dropped, ['dragleave'])
  await target.waitFor({ state: 'hidden' })
  await drag(page, dropped, ['dragenter', 'dragover', 'drop'])
  await target.waitFor({ state: 'hidden' })
  for (const { name } of dropped) await isStored(page, name)

  await dropOn(page, [join(folder, 'trip')])
  for (const name of ['trip/map.txt', 'trip/days/first.txt']) await isStored(page, name)

  t.ok(await paste(page, [{ name: 'image.png', type: 'image/png' }, { name: 'page.html', type: 'text/html' }]), 'the page takes pasted files')
  await isStored(page, 'page.html')
  await panel(page).getByText(/^pasted \d{4}-\d\d-\d\d \d\d[.]\d\d[.]\d\d[.]png$/).waitFor()
  await choose(page, [textFile('é'.repeat(200))])
  await panel(page).getByLabel('Another name').focus()
  t.notOk(await paste(page, [{ name: 'left.txt', type: 'text/plain' }]), 'pasting into a text field is left alone')

  await choose(page, [textFile('three.txt', 'third'), textFile('empty.txt', '')])
  for (const name of ['three.txt', 'empty.txt']) await isStored(page, name)
  await checkStored(t, visit, { 'one.txt': 'first', 'two.txt': 'second', 'trip/map.txt': 'a map', 'trip/days/first.txt': 'day one', 'page.html': 'pasted bytes', 'three.txt': 'third', 'empty.txt': '' })
  const { files } = (await server.send('GET', '/api/files', { user })).json
  t.equal(files.length, 8)
})

// In the proofs, because it failed once in 120 times, beside other work: the upload was not ended. Why is not known.
if (isProof) {
  browserTest('an upload that is cancelled while it is created does not stay as an unfinished one', async t => {
    const { page } = await openPageAs(t)
    const large = textFile('large.bin', randomBytes(2 * MIB))
    await cancelWhileCreated(page, '**/uploads/large.bin', async () => choose(page, [large]))
  })
}

browserTest('by keyboard alone, files are chosen, paused, resumed, cancelled and renamed, and the focus stays near', async t => {
  const visit = await openPageAs(t)
  const { page, server, user } = visit
  const bytes = randomBytes(2 * MIB)
  // The browser begins to report its dialog some time after it is asked to, and a key is faster.
  page.on('filechooser', () => {})
  await limitSpeed(page, MIB / 4)
  await tabTo(page, addFiles(page))
  await Promise.all([page.waitForEvent('filechooser'), page.keyboard.press('Enter')]).then(([chooser]) => chooser.setFiles([textFile('large.bin', bytes), textFile('other.bin', bytes), textFile(`${'n'.repeat(252)}.txt`)]))
  await isUnderWay(t, page, 'large.bin')

  await enter(page, button(page, 'Pause large.bin'))
  t.ok(await isFocused(button(page, 'Resume large.bin')), 'the focus stays on the control')
  await row(page, 'large.bin').getByText(/^Paused at /).waitFor()
  await page.keyboard.press('Space')
  await button(page, 'Pause large.bin').waitFor()

  await isUnderWay(t, page, 'other.bin')
  await enter(page, button(page, 'Cancel other.bin'))
  await page.getByRole('status').getByText('Upload of other.bin cancelled.').waitFor()
  await row(page, 'other.bin').waitFor({ state: 'hidden' })
  t.ok(await hasFocusIn(panel(page)), 'the focus stays in the panel')
  await limitSpeed(page, -1)
  await isStored(page, 'large.bin')

  const name = panel(page).getByLabel('Another name')
  await name.waitFor()
  await tabTo(page, name)
  await page.keyboard.press('ControlOrMeta+A')
  await page.keyboard.type('short.txt\n')
  await isStored(page, 'short.txt')
  t.ok(await hasFocusIn(panel(page)), 'the focus stays in the panel')

  await enter(page, button(page, 'List of uploads'), 'Shift+Tab')
  await panel(page).locator('button[aria-expanded=false]').waitFor()
  await page.keyboard.press('Enter')
  await enter(page, button(page, 'Clear finished'))
  await panel(page).waitFor({ state: 'hidden' })
  t.ok(await hasFocusIn(page.getByRole('main')), 'the focus moves to the view')

  await checkStored(t, visit, { 'large.bin': bytes, 'short.txt': 'some text' })
  const { uploads } = (await server.send('GET', '/api/uploads', { user })).json
  t.same(uploads, [], 'nothing of the cancelled upload is left')
})

/** Stores a file, and adds another one of the same name, so that the page asks. */
async function makeConflict (page: Page, name: string): Promise<Locator> {
  await choose(page, [textFile(name, 'old')])
  await isStored(page, name)
  await button(page, 'Clear finished').click()
  await choose(page, [textFile(name, 'new')])
  const question = panel(page).getByRole('group', { name: `A file named ${name} already exists.` })
  await question.waitFor()
  return question
}

browserTest('if a name is taken, the page asks whether to replace it, to keep both, or to skip, of one file or of all', async t => {
  const visit = await openPageAs(t)
  const { page, server, user } = visit
  const answerTo = (question: Locator, answer: string) => question.getByRole('button', { name: answer })
  const question = await makeConflict(page, 'a report.pdf')
  await checkAccessible(t, page, 'the panel with a question')
  await checkPanelFits(t, page, 'the panel with a question')
  await answerTo(question, 'Replace it').click()
  await isStored(page, 'a report.pdf')

  await answerTo(await makeConflict(page, 'both.tar.gz'), 'Keep both').click()
  await isStored(page, 'both (2).tar.gz')
  await choose(page, [textFile('both.tar.gz', 'newest')])
  await enter(page, button(page, 'Keep both'))
  await isStored(page, 'both (3).tar.gz')

  await makeConflict(page, 'skipped.txt')
  await enter(page, button(page, 'Skip'))
  await panel(page).waitFor({ state: 'hidden' })
  t.ok(await hasFocusIn(page.getByRole('main')), 'the focus moves to the view')

  await t.test('content that another client stores meanwhile is not replaced without a question', async () => {
    const question = await makeConflict(page, 'shared.txt')
    await question.getByText(/^The stored file: 3 bytes/).waitFor()
    t.equal((await server.send('PUT', '/uploads/shared.txt', { user, body: 'newer, of someone else' })).status, 200)
    await answerTo(question, 'Replace it').click()
    await question.getByText(/^The stored file: 22 bytes/).waitFor()
    await checkStored(t, visit, { 'shared.txt': 'newer, of someone else' })
    t.equal((await server.send('DELETE', '/uploads/shared.txt', { user })).status, 204)
    await answerTo(question, 'Replace it').click()
    await isStored(page, 'shared.txt')
  })

  const files = { 'a report.pdf': 'new', 'both.tar.gz': 'old', 'both (2).tar.gz': 'new', 'both (3).tar.gz': 'newest', 'skipped.txt': 'old', 'shared.txt': 'new' }
  await checkStored(t, visit, files)

  // One answer applies to all names that are taken, and the other uploads continue meanwhile.
  const names = ['1.txt', '2.txt', '3.txt', '4.txt']
  const all = (content: string) => names.map(name => textFile(name, content))
  await choose(page, all('old'))
  for (const name of names) await isStored(page, name)
  const last = panel(page).getByRole('group', { name: 'A file named 4.txt already exists.' })

  await choose(page, [...all('new'), textFile('free.txt', 'free')])
  await isStored(page, 'free.txt')
  await last.waitFor()
  await last.getByLabel('Do the same for the remaining files').check()
  await last.getByRole('button', { name: 'Keep both' }).click()
  for (const name of names) await isStored(page, name.replace('.', ' (2).'))

  await button(page, 'Clear finished').click()
  await choose(page, all('newest'))
  const first = panel(page).getByRole('group', { name: 'A file named 1.txt already exists.' })
  await first.getByLabel('Do the same for the remaining files').check()
  await first.getByRole('button', { name: 'Replace it' }).click()
  for (const name of names) await isStored(page, name)
  await checkStored(t, visit, { 'free.txt': 'free', ...Object.fromEntries(names.flatMap(name => [[name, 'newest'], [name.replace('.', ' (2).'), 'new']])) })
})

browserTest('a refusal is shown at its file, and other uploads continue', async t => {
  const { page, server, user } = await openPageAs(t, { settings: { MAX_FILE_BYTES: '100000', QUOTA_BYTES: '150000', ALLOWED_EXTENSIONS: 'txt,md' } })
  const full = Buffer.alloc(90_000)
  await choose(page, [textFile('first.txt', full), textFile('large.txt', Buffer.alloc(100_001)), textFile('tool.exe'), textFile('back\\slash.txt'), textFile('last.txt')])
  for (const name of ['first.txt', 'last.txt']) await isStored(page, name)
  await choose(page, [textFile('full.txt', full)])
  for (const [name, title] of [['large.txt', 'The file is too large'], ['tool.exe', 'The server does not accept files with this ending'], ['back\\slash.txt', 'Invalid name'], ['full.txt', 'There is no room for it']] as const) {
    await row(page, name).getByText(title).waitFor()
  }
  await row(page, 'large.txt').getByText('at most 100 kB.').waitFor()
  await row(page, 'tool.exe').getByText('It accepts: txt, md.').waitFor()
  await row(page, 'full.txt').getByText('60 kB can still be stored.').waitFor()
  await page.getByRole('status').getByText(/Upload of full[.]txt failed: |uploads failed[.]/).waitFor()
  for (const name of ['large.txt', 'tool.exe', 'back\\slash.txt']) t.equal(await row(page, name).getByRole('button', { name: 'Try again' }).count(), 0, `${name}: to try again would be in vain`)
  await checkAccessible(t, page, 'the panel with refusals')
  await page.setViewportSize({ width: 320, height: 640 })
  await checkPanelFits(t, page, 'the panel with refusals')

  t.equal((await server.send('DELETE', '/uploads/first.txt?permanent=true', { user })).status, 204)
  await row(page, 'full.txt').getByRole('button', { name: 'Try again' }).click()
  await isStored(page, 'full.txt')
  const form = row(page, 'back\\slash.txt').getByRole('textbox')
  await form.fill('..')
  await form.press('Enter')
  await row(page, '..').getByText('A file can’t have this name').waitFor()
  await row(page, '..').getByRole('textbox').fill('slash.txt')
  await row(page, '..').getByRole('button', { name: 'Upload under this name' }).click()
  await isStored(page, 'slash.txt')
  for (const name of ['large.txt', 'tool.exe']) await button(page, `Cancel ${name}`).click()
  await button(page, 'Clear finished').click()
  await panel(page).waitFor({ state: 'hidden' })
})

browserTest('after a reload, the same file continues, the page asks about a similar file, and another file starts again', async t => {
  const folder = t.testdir({})
  const bytes = Object.fromEntries(['same.bin', 'alike.bin', 'again.bin', 'size.bin', 'gone.bin'].map(name => [name, randomBytes(2 * MIB)])) as Record<string, Buffer>
  const paths = Object.entries(bytes).map(([name, content]) => diskFile(folder, name, content))
  const visit = await openPageAs(t)
  const { page, server, user } = visit
  await limitSpeed(page, MIB / 4)
  await choose(page, paths)
  for (const name of Object.keys(bytes)) {
    await isUnderWay(t, page, name)
    await button(page, `Pause ${name}`).click()
  }
  await choose(page, [textFile('running.bin', Buffer.alloc(4 * MIB))])
  await isUnderWay(t, page, 'running.bin')
  const [warning] = await Promise.all([page.waitForEvent('dialog'), page.evaluate(() => { setTimeout(() => location.reload()) })])
  t.equal(warning.type(), 'beforeunload', 'the browser warns while bytes are being sent')
  await warning.dismiss()
  // Otherwise the reload could end the request before the server has it.
  await Promise.all([page.waitForResponse(response => response.request().method() === 'DELETE'), button(page, 'Cancel running.bin').click()])
  await page.reload()
  await panel(page).getByText('Not finished').waitFor()

  await limitSpeed(page, -1)
  await chooseFrom(button(page, 'Choose the file same.bin to continue its upload'), paths.slice(0, 1))
  await isStored(page, 'same.bin')
  await choose(page, ['alike.bin', 'again.bin'].map(name => textFile(name, bytes[name])))
  await checkAccessible(t, page, 'the panel with unfinished uploads, which asks whether to continue')
  await row(page, 'alike.bin').getByRole('button', { name: 'Continue' }).click()
  await isStored(page, 'alike.bin')
  await enter(page, row(page, 'again.bin').getByRole('button', { name: 'Start again' }))
  await isStored(page, 'again.bin')
  await choose(page, [textFile('size.bin', 'shorter')])
  await isStored(page, 'size.bin')
  await enter(page, button(page, 'Cancel the unfinished upload of gone.bin'))
  await row(page, 'gone.bin').waitFor({ state: 'hidden' })
  t.ok(await hasFocusIn(panel(page)), 'the focus stays in the panel')

  await checkStored(t, visit, { ...Object.fromEntries(['same.bin', 'alike.bin', 'again.bin'].map(name => [name, bytes[name] ?? ''])), 'size.bin': 'shorter' })
  t.same((await server.send('GET', '/api/uploads', { user })).json.uploads, [], 'no upload is left')
  await shows(t, () => page.evaluate(() => Object.keys(localStorage)), [], 'the browser keeps nothing of uploads that ended')
})

browserTest('all uploads are paused and resumed together, and of hundreds only some are shown', async t => {
  const visit = await openPageAs(t)
  const { page } = visit
  const release = await hold(page, '**/uploads/*')
  const contents = Array.from({ length: 60 }, (_, index) => [`${index}.txt`, `content ${index}`] as const)
  await choose(page, contents.map(([name, content]) => textFile(name, content)))
  await button(page, 'Pause all').click()
  await button(page, 'Resume all').waitFor()
  release()
  await button(page, 'Pause all').waitFor({ state: 'hidden' })
  await panel(page).getByText(/^and \d+ more$/).waitFor()
  t.ok(await panel(page).getByRole('listitem').count() <= 20, 'the list is short')
  await button(page, 'Resume all').click()
  await panel(page).getByText('60 files uploaded').waitFor()
  await page.getByRole('status').getByText(/\d+ files uploaded[.]/).waitFor()
  await checkStored(t, visit, Object.fromEntries(contents.filter((_, index) => index % 20 === 0)))
})

browserTest('an upload continues by itself after the connection is cut and the server is killed and restarted', async t => {
  const folder = t.testdir({ data: {} })
  const server = await startRoughServer(t, join(folder, 'data'), 'http://127.0.0.1:1')
  const { page } = await openPage(t, server.url)
  await registerOn(page, 'ann')
  // Some 4 MiB of what was sent before a cut may never have left the buffers of the system.
  const bytes = randomBytes(32 * MIB)
  const path = diskFile(folder, 'large.bin', bytes)
  const created: string[] = []
  const offsets: (string | undefined)[] = []
  page.on('request', request => {
    if (request.method() === 'PUT') created.push(request.url())
    if (request.method() === 'PATCH') offsets.push(request.headers()['upload-offset'])
  })
  const before = server.sent
  server.mishaps.push({ atBytes: before + 8 * MIB, kind: 'cut' }, { atBytes: before + 16 * MIB, kind: 'kill' }, { atBytes: before + 28 * MIB, kind: 'restart' })
  await choose(page, [path])
  await panel(page).getByText(/This upload continues by itself[.]$/).waitFor()
  await isStored(page, 'large.bin')
  t.same(server.mishaps, [], 'all of it happened')
  t.equal(created.length, 1, 'it did not start again')
  t.ok(Number(offsets.at(-1)) > 2 * MIB, 'what was stored is not sent again', { offsets })
  const answer = await fetch(`${server.url}/api/files/large.bin`, { headers: { authorization: `Basic ${btoa(`ann:${PASSWORD}`)}` } })
  t.equal((await answer.json()).sha256, sha256Of(bytes), 'the bytes')
})

browserTest('if the session ends during uploads, they continue after the next sign-in', async t => {
  const visit = await openPageAs(t)
  const { page, server, user } = visit
  const { tokens } = (await server.send('GET', '/api/tokens', { user })).json
  for (const { id, kind } of tokens) if (kind === 'access') await server.send('DELETE', `/api/tokens/${id}`, { user })
  const bytes = randomBytes(3 * MIB)
  await limitSpeed(page, MIB / 4)
  await choose(page, [textFile('large.bin', bytes), textFile('renewed.txt')])
  await isStored(page, 'renewed.txt')
  await isUnderWay(t, page, 'large.bin')
  await button(page, 'Pause large.bin').click()
  await button(page, 'Resume large.bin').waitFor()
  t.equal((await server.send('DELETE', '/api/tokens', { user })).status, 204)
  // The request that waits for changes may tell the page at once, and its dialog then takes the clicks.
  await button(page, 'Resume large.bin').dispatchEvent('click')
  await page.getByRole('dialog').waitFor()
  await panel(page).getByText('This upload continues when you have signed in again.').waitFor()
  await limitSpeed(page, -1)
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor({ state: 'hidden' })
  await isStored(page, 'large.bin')
  await checkStored(t, visit, { 'large.bin': bytes, 'renewed.txt': 'some text' })
})

browserTest('a user who signs out during an upload leaves, and the next user of the browser neither sees nor continues it', async t => {
  const first = await openPageAs(t)
  const { server, user } = first
  const { user: other } = await signUp(server)
  const asked: string[] = []
  first.page.on('dialog', dialog => { asked.push(dialog.type()); void dialog.dismiss() })
  await limitSpeed(first.page, MIB / 8)
  await choose(first.page, [textFile('secret plan.bin', randomBytes(4 * MIB)), textFile('secret list.bin', randomBytes(4 * MIB))])
  await isUnderWay(t, first.page, 'secret plan.bin')
  t.notMatch(await first.page.evaluate(() => JSON.stringify(localStorage)), 'secret', 'what stays in the browser does not tell the names')

  const second = await openSecondWindow(first)
  await signedIn(second.page)
  await second.page.getByRole('button', { name: 'Sign out', exact: true }).click()
  await signInOn(second.page, other[0])
  await shows(t, () => first.page.locator('.username').innerText(), other[0])
  await first.page.getByText('No files yet').waitFor()
  t.equal(await first.page.getByText('secret').count(), 0)
  t.same(asked, [], 'the browser does not ask whether to stay')
  for (const [account, count] of [[other, 0], [user, 2]] as const) {
    t.equal((await server.send('GET', '/api/uploads', { user: account })).json.uploads.length, count)
  }
})

browserTest('two windows and two devices do not take uploads from each other', async t => {
  const folder = t.testdir({})
  const bytes = randomBytes(4 * MIB)
  const path = diskFile(folder, 'large.bin', bytes)
  const first = await openPageAs(t)
  await limitSpeed(first.page, MIB / 8)
  await choose(first.page, [path])
  await isUnderWay(t, first.page, 'large.bin')

  const second = await openSecondWindow(first)
  await signedIn(second.page)
  await choose(second.page, [path])
  await row(second.page, 'large.bin').getByText('Another window or device is sending this upload').waitFor()

  const device = await openPage(t, first.url)
  await signInOn(device.page, first.username)
  await panel(device.page).getByText('Not finished').waitFor()
  await choose(device.page, [path])
  await button(device.page, 'Continue').click()
  await isStored(device.page, 'large.bin')
  await row(first.page, 'large.bin').getByText(/^(Another window or device is sending this upload|The upload was ended by another window or device)/).waitFor()

  await checkStored(t, first, { 'large.bin': bytes })
})

browserTest('a file that changed on disk before it was sent is refused, and can be added again', async t => {
  const folder = t.testdir({})
  const visit = await openPageAs(t)
  const { page } = visit
  const path = diskFile(folder, 'gone.txt', Buffer.from('first'))
  await limitSpeed(page, MIB / 4)
  const others = ['1.bin', '2.bin'].map(name => diskFile(folder, name, Buffer.alloc(MIB)))
  await choose(page, [...others, path])
  writeFileSync(path, 'changed since')
  await limitSpeed(page, -1)
  await row(page, 'gone.txt').getByText('The file can no longer be read').waitFor()
  await choose(page, [path])
  await panel(page).getByText('3 files uploaded').waitFor()
  await checkStored(t, visit, { 'gone.txt': 'changed since' })
})
