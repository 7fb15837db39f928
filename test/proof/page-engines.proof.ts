import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import type { EngineBrowser, EngineWindow } from '../kit/engine.ts'
import { firefox } from '../kit/firefox.ts'
import { root } from '../kit/root.ts'
import { signUp, type Settings } from '../kit/server.ts'
import { until } from '../kit/waiting.ts'
import { webkit } from '../kit/webkit.ts'
import { shows } from './browser.ts'
import {
  choose, click, evaluate, fill, fillCredentials, focused, goTo, isSaved, names, noDialog, reads, signIn, signInAt,
  tabTo, upload, visit, waitFor
} from './engine-steps.ts'
import { startWithProvider, type IdentityServer } from './identities-page.ts'
import { giveAway, startOwnLinks, type LinkServer } from './links-page.ts'
import { PASSWORD } from './page.ts'

/** The page in the other engines. The stories of page/ go deeper, in Chromium. */

interface Story<Server> {
  readonly t: Test
  readonly server: Server
  readonly browser: EngineBrowser
  /** The page, of nobody yet. */
  readonly window: EngineWindow
  /** A folder for files of the user's disk. */
  readonly disk: string
}

/** What a browser writes on its console about a response that the page expects. */
const REFUSED = /status of 4\d\d/

/** Tells a story in each engine, on a server with links whose user is `ann`. */
const stories: [name: string, run: (story: Story<LinkServer>) => Promise<void>][] = []
const story = (...told: typeof stories[number]) => { stories.push(told) }

story('a user registers, uploads small files, which are chosen by mouse and keyboard, deleted and restored, and signs out and in', async ({ t, server, window, disk }) => {
  await click(window, 'button', 'Create an account instead')
  await fillCredentials(window, 'béa')
  await click(window, 'button', 'Create an account')
  await waitFor(window, 'button', 'Sign out')
  await reads(t, window, 'No files yet')
  const all = ['1.txt', '2.txt', '3.txt', '4.txt', '5.txt', 'grüße 你好.txt']
  const files = Object.fromEntries(all.map(name => [name, `the text of ${name}`]))
  await upload(window, disk, files)
  await reads(t, window, '6 files uploaded')
  await shows(t, () => evaluate(window, () => document.querySelectorAll('.uploads-body').length), 0, 'the panel folds away')
  await shows(t, () => names(window), all)
  for (const [name, text] of Object.entries(files)) t.equal((await server.send('GET', `/uploads/${encodeURIComponent(name)}`, { user: ['béa', PASSWORD] })).text, text)
  await click(window, 'field', 'Select 2.txt')
  await reads(t, window, '1 selected')
  await click(window, 'field', 'Select 4.txt')
  await reads(t, window, '2 selected')
  await click(window, 'button', 'Delete')
  await shows(t, () => names(window), ['1.txt', '3.txt', '5.txt', 'grüße 你好.txt'])
  await click(window, 'button', 'Undo')
  await shows(t, () => names(window), all)

  await window.reload()
  await shows(t, () => names(window), all, 'a reload keeps the session')
  await tabTo(window, '1.txt')
  for (const key of [' ', 'Shift+ArrowDown', 'Shift+ArrowDown']) await window.press(key)
  await reads(t, window, '3 selected')
  await window.press('Delete')
  await shows(t, () => names(window), ['4.txt', '5.txt', 'grüße 你好.txt'])
  await window.press('Control+a')
  await reads(t, window, '3 selected')
  await window.press('Escape')
  await shows(t, () => evaluate(window, () => document.querySelectorAll('[role=grid] [aria-selected=true]').length), 0)

  await click(window, 'button', 'Sign out')
  await waitFor(window, 'button', 'Sign in')
  await window.reload()
  await signIn(window, 'béa')
  await shows(t, () => names(window), ['4.txt', '5.txt', 'grüße 你好.txt'])
})

story('an image and a text are shown, and saved to the disk', async ({ t, server, browser, window }) => {
  const image = await readFile(join(root, 'src/page/picture.png'))
  await server.put('image.png', image, 'image/png')
  await server.put('text ü.txt', 'a text that is shown', 'text/plain')
  await signIn(window, 'ann')
  await click(window, 'button', 'image.png')
  await shows(t, () => evaluate(window, () => document.querySelector<HTMLImageElement>('dialog img')?.naturalWidth), image.readUInt32BE(16), 'the image is shown')
  // Beside the facts, the controls stay.
  await window.press('i')
  await click(window, 'button', 'Download')
  await isSaved(t, browser, 'image.png', image)
  await click(window, 'button', 'Next file')
  await reads(t, window, 'a text that is shown')
  await click(window, 'button', 'Close')
  await noDialog(t, window)
  await choose(window, 'text ü.txt', 'Download')
  await isSaved(t, browser, 'text ü.txt', Buffer.from('a text that is shown'))
})

story('by keyboard alone, files are opened, renamed, deleted and restored', async ({ t, server, window }) => {
  for (const name of ['a.txt', 'b.txt', 'c.txt']) await server.put(name, `the content of ${name}`)
  await signIn(window, 'ann')
  await tabTo(window, 'a.txt')
  for (const key of ['ArrowDown', 'ArrowDown', 'ArrowUp', 'Enter']) await window.press(key)
  await reads(t, window, 'the content of b.txt')
  await window.press('Escape')
  await shows(t, () => focused(window), 'b.txt', 'the focus is on the file')
  await window.press('F2')
  await shows(t, () => focused(window), 'New name of b.txt')
  await window.type('new')
  await window.press('Enter')
  await shows(t, () => focused(window), 'new.txt', 'the ending stays')
  await window.press('Delete')
  await shows(t, () => names(window), ['a.txt', 'c.txt'])
  await tabTo(window, 'Undo')
  await window.press('Enter')
  await shows(t, () => focused(window), 'new.txt', 'the focus is on the restored file')
  await shows(t, () => names(window), ['a.txt', 'c.txt', 'new.txt'])
})

story('a second window has the session, a visitor opens a link, and the account is shown', async ({ t, server, browser, window }) => {
  await server.put('given.txt', 'a given text', 'text/plain')
  await server.put('own.txt', 'a text of ann')
  const { url } = await giveAway(server, server.token, { name: 'given.txt' })
  const link = await visit(browser, url)
  await waitFor(link, 'heading', 'given.txt')
  await click(link, 'link', 'Download')
  await isSaved(t, browser, 'given.txt', Buffer.from('a given text'))

  await signIn(window, 'ann')
  const second = await visit(browser, server.url)
  await waitFor(second, 'button', 'own.txt')
  await goTo(second, 'Account')
  for (const heading of ['Password', 'Signed-in sessions']) await waitFor(second, 'heading', heading)
  await click(window, 'button', 'Sign out')
  await waitFor(window, 'button', 'Sign in')
  await waitFor(second, 'button', 'Sign in')
})

story('a search finds a part of a name, tiles show an image, and a second window is live', async ({ t, server, browser, window }) => {
  await server.put('photo-lake.png', await readFile(join(root, 'src/page/picture.png')), 'image/png')
  await server.put('notes.txt', 'some notes')
  await signIn(window, 'ann')
  await fill(window, 'Search names…', 'LAKE')
  await shows(t, () => names(window), ['photo-lake.png'])
  await click(window, 'button', 'Tiles')
  await shows(t, () => evaluate(window, () => document.querySelector<HTMLCanvasElement>('.tile canvas')?.hidden), false, 'the image is on its tile')
  await click(window, 'button', 'List')

  const second = await visit(browser, server.url)
  await waitFor(second, 'button', 'notes.txt')
  await server.put('at once.txt', 'a new text')
  await waitFor(second, 'button', 'at once.txt')
  await choose(second, 'photo-lake.png', 'Delete')
  await reads(t, window, 'No name contains')
})

story('many are one act: undone by Ctrl+Z, one row of the trash, and finished without the window', async ({ t, server, browser, window }) => {
  for (const name of ['a/in.txt', 'file 10.txt', 'file 2.txt', 'keep.txt']) await server.put(name, name)
  await signIn(window, 'ann')
  await shows(t, () => names(window), ['a', 'file 2.txt', 'file 10.txt', 'keep.txt'], 'as people sort them')
  for (const name of ['file 2.txt', 'file 10.txt']) await click(window, 'field', `Select ${name}`)
  await window.press('Delete')
  await shows(t, () => names(window), ['a', 'keep.txt'])
  await waitFor(window, 'button', 'Undo')
  await window.press('Control+z')
  await shows(t, () => names(window), ['a', 'file 2.txt', 'file 10.txt', 'keep.txt'])

  const second = await visit(browser, server.url)
  for (const name of ['a', 'file 2.txt', 'file 10.txt']) await click(second, 'field', `Select ${name}`)
  await click(second, 'button', 'Delete')
  await waitFor(second, 'heading', 'Delete 3 items?')
  await click(second, 'button', 'Delete')
  await second.goto('about:blank')
  await shows(t, () => names(window), ['keep.txt'])
  await goTo(window, 'Trash')
  await reads(t, window, '3 files, 1 folder')
})

story('a picture fills the window and shows its facts, the timeline has it by month, and stars are kept', async ({ t, server, window }) => {
  const photo = await readFile(join(root, 'src/page/picture.png'))
  await server.put('lake/a.png', photo, 'image/png')
  await server.put('lake/b.png', photo, 'image/png')
  await signIn(window, 'ann')
  await click(window, 'button', 'Timeline')
  const shots = () => evaluate(window, () => document.querySelectorAll('.shot:not([aria-disabled])').length)
  await shows(t, shots, 2, 'both are there')
  await shows(t, () => evaluate(window, () => document.querySelectorAll('.shot img, .shot canvas:not([hidden])').length), 2, 'with their small pictures')
  await click(window, 'button', 'List')
  await click(window, 'link', 'lake')
  await click(window, 'button', 'a.png')
  const width = () => evaluate(window, () => document.querySelector<HTMLImageElement>('dialog img.shown')?.naturalWidth)
  await shows(t, width, photo.readUInt32BE(16), 'the picture is shown')
  const part = () => evaluate(window, () => {
    const { width, height } = document.querySelector('dialog')!.getBoundingClientRect()
    return [width / innerWidth, height / innerHeight].every(part => part > 0.95)
  })
  await shows(t, part, true, 'the viewer has the whole window')
  await window.press('i')
  await shows(t, () => evaluate(window, () => document.querySelector('dialog .side-facts') !== null), true, 'its facts are shown')
  await window.press('ArrowRight')
  await waitFor(window, 'heading', 'b.png')
  await window.press('Escape')
  await noDialog(t, window)
  await shows(t, () => focused(window), 'b.png')
  await window.press('*')
  await goTo(window, 'Starred')
  await shows(t, async () => (await names(window)).map(name => name?.slice(0, 5)), ['b.png'])
  t.equal((await server.send('GET', '/api/files/lake%2Fb.png', { token: server.token })).json.starred, true)
})

story('Markdown is shown as it means, and a text is changed in place', async ({ t, server, window }) => {
  await server.put('a.md', '# Report\n\nA **bold** word.', 'text/markdown')
  await server.put('b.txt', 'one', 'text/plain')
  await signIn(window, 'ann')
  await click(window, 'button', 'a.md')
  await waitFor(window, 'heading', 'Report')
  await click(window, 'button', 'Next file')
  await reads(t, window, 'one')
  await click(window, 'button', 'Edit')
  await shows(t, () => focused(window), 'Text of b.txt')
  await window.press('Control+a')
  await window.type('two')
  await click(window, 'button', 'Save')
  await waitFor(window, 'button', 'Edit')
  t.equal((await server.send('GET', '/uploads/b.txt', { token: server.token })).text, 'two')
})

story('without the server, the page opens with its last list', async ({ t, server, window }) => {
  await server.put('a.txt', 'a text')
  await signIn(window, 'ann')
  await waitFor(window, 'button', 'a.txt')
  const kept = () => window.run("return navigator.serviceWorker.controller === null ? '' : 'kept'")
  await shows(t, async () => { await window.reload(); await waitFor(window, 'button', 'a.txt'); return kept() }, 'kept')
  await server.close()
  await reads(t, window, 'You are offline.')
  await window.reload()
  await waitFor(window, 'button', 'a.txt')
  await reads(t, window, 'You are offline.')
})

story('a program is connected by the letters that it shows, and only by those', async ({ t, server, window }) => {
  const { user: [username] } = await signUp(server)
  const { json: asked } = await server.send('POST', '/api/connections', { json: { name: 'laptop', scopes: ['files:read'] } })
  const pickUp = () => server.send('POST', `/api/connections/${asked.id}/token`, { json: { secret: asked.secret } })
  await signIn(window, username)
  await goTo(window, 'Account')
  await click(window, 'button', 'Enter a code')
  await fill(window, 'Code', 'BBBB-BBBB')
  await click(window, 'button', 'Continue')
  await reads(t, window, 'No program waits with this code.')
  await fill(window, 'Code', asked.userCode.toLowerCase())
  await click(window, 'button', 'Continue')
  await reads(t, window, 'The program is at 127.0.0.1; you are at 127.0.0.1.')
  t.equal((await pickUp()).status, 202)
  await fill(window, 'Current password', PASSWORD)
  await click(window, 'button', 'Allow')
  await reads(t, window, 'Connected: laptop')
  const { status, json: { token } } = await pickUp()
  t.equal(status, 200)
  t.equal((await server.send('GET', '/api/files', { token })).status, 200)
  t.equal((await pickUp()).status, 404, 'the token is picked up once')

  const { json: taken } = await server.send('POST', '/api/connections', { json: { name: 'taken', scopes: ['files:read'] } })
  await click(window, 'button', 'Enter a code')
  await fill(window, 'Code', taken.userCode)
  await click(window, 'button', 'Continue')
  await reads(t, window, 'The program is at 127.0.0.1; you are at 127.0.0.1.')
  const { user } = await signUp(server)
  t.equal((await server.send('POST', `/api/connections/${taken.id}/allow`, { user })).status, 204)
  await fill(window, 'Current password', PASSWORD)
  await click(window, 'button', 'Allow')
  await reads(t, window, 'No program waits with this code.')
})

/** On a server whose people have identities at a provider. */
const identityStories: [name: string, run: (story: Story<IdentityServer>) => Promise<void>][] = []
const identityStory = (...told: typeof identityStories[number]) => { identityStories.push(told) }

/** Goes once the page has loaded its later texts, twice: Firefox complains of what a page that is left still loads. */
async function goToProvider (window: EngineWindow): Promise<void> {
  const loads = () => evaluate(window, () => performance.getEntriesByType('resource').filter(({ name }) => name.includes('/en-later-')).length)
  await until(() => loads().then(count => count > 1, () => false))
  await click(window, 'button', 'Sign in with Example')
}

const shownName = (window: EngineWindow) => evaluate(window, () => document.querySelector('.username')?.textContent)

/** Registers somebody at the sign-in page. */
async function registerAt (window: EngineWindow, login: string): Promise<void> {
  await goToProvider(window)
  await signInAt(window, login)
  await waitFor(window, 'heading', 'Choose a username')
  await click(window, 'button', 'Create an account')
  await waitFor(window, 'button', 'Sign out')
}

identityStory('in one window somebody registers with a provider; a reload and Back lose nothing', async ({ t, server, window }) => {
  await goToProvider(window)
  await shows(t, () => evaluate(window, () => document.querySelector('[name=login]') !== null).catch(() => false), true, 'the provider is shown')
  await window.run('history.back(); return ""')
  await registerAt(window, 'Mia')
  t.equal(await evaluate(window, () => location.href), `${server.home}/`, 'nothing of the answer stays in the address')
  await shows(t, () => shownName(window), 'Mia')
  await window.reload()
  await waitFor(window, 'button', 'Sign out')
  await click(window, 'button', 'Sign out')
  await reads(t, window, 'Example may still know you.')
  await goToProvider(window)
  await waitFor(window, 'button', 'Sign out')
  await shows(t, () => shownName(window), 'Mia')
})

identityStory('without a password, a token and a new session are confirmed in a new window', async ({ t, server, window }) => {
  await registerAt(window, 'Noa')
  await goTo(window, 'Account')
  await reads(t, window, 'Your account has no password: Example signs you in.')
  await click(window, 'button', 'New token')
  await fill(window, 'Name', 'a program')
  await evaluate(window, () => document.querySelector<HTMLInputElement>('[name=scopes][value=account]')?.click())
  await click(window, 'button', 'Create the token')
  await waitFor(window, 'heading', 'Token created')
  const token = String(await evaluate(window, () => document.querySelector<HTMLInputElement>('.secret input')?.value))
  t.equal((await server.send('GET', '/api/files', { token })).status, 200)
  await click(window, 'button', 'Done')
  t.equal((await server.send('DELETE', '/api/tokens', { token })).status, 204)
  // The page may know already, and then its dialog covers the links.
  await evaluate(window, () => { location.hash = 'trash' })
  await waitFor(window, 'heading', 'Your session has ended')
  await goToProvider(window)
  await noDialog(t, window)
  await shows(t, () => shownName(window), 'Noa')
})

identityStory('an account with a password is connected in a new window', async ({ t, server, browser, window }) => {
  const { user: [username] } = await signUp(server)
  await signIn(window, username)
  await goTo(window, 'Account')
  await click(window, 'button', 'Connect Example')
  await signInAt(await browser.openedWindow(), 'Kim')
  await waitFor(window, 'heading', 'Connect Example')
  await fill(window, 'Current password', PASSWORD)
  await click(window, 'button', 'Connect')
  await reads(t, window, 'Example is connected.')
  await reads(t, window, 'Kim')
  await click(window, 'button', 'Sign out')
  await goToProvider(window)
  await shows(t, () => shownName(window), username)
})

/** Where the page of a server is, if not at its address. */
interface Placed { readonly url: string, readonly home?: string }

type Start<Server> = (t: Test, settings: Settings) => Promise<Server>

async function tell<Server extends Placed> (
  t: Test, browser: EngineBrowser, run: (story: Story<Server>) => Promise<void>, start: Start<Server>
): Promise<void> {
  const folder = t.testdir({ data: {}, disk: {} })
  const server = await start(t, { DATA_DIR: join(folder, 'data') })
  const before = (await browser.complaints()).length
  const windows: EngineWindow[] = []
  const opened: EngineBrowser = {
    ...browser,
    async openWindow () {
      windows.push(await browser.openWindow())
      return windows.at(-1) as EngineWindow
    }
  }
  await run({ t, server, browser: opened, window: await visit(opened, server.home ?? server.url), disk: join(folder, 'disk') })
  // A page that stays would ask a server that has ended.
  for (const window of windows) await window.goto('about:blank')
  t.strictSame((await browser.complaints()).slice(before).filter(text => !REFUSED.test(text)), [], 'no complaints')
}

for (const engine of [firefox, webkit]) {
  void test(engine.name, { skip: engine.lacks }, async t => {
    const browser = await engine.open(t)
    for (const [name, run] of stories) await t.test(name, t => tell(t, browser, run, startOwnLinks))
    for (const [name, run] of identityStories) await t.test(name, t => tell(t, browser, run, startWithProvider))
  })
}
