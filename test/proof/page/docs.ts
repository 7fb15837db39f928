import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { BrowserContextOptions, Locator, Page } from 'playwright-core'
import type { Test } from 'tap'
import { sharedServer, type Settings } from '../../kit/server.ts'
import { sizes } from '../../kit/sizes.ts'
import { browserTest, enter, isFocused, MAX_STOPS, openTab, shows, tabThrough, type Visit } from '../browser.ts'
import { savedBy } from '../files-page.ts'

/** The page as a new visitor sees it, at the server's root. */
async function visit (
  t: Test, options: BrowserContextOptions = {}, settings: Settings = {}
): Promise<Visit & { origin: string }> {
  const { url: origin } = await sharedServer({ WEB_PAGE: 'off', ...settings })
  const tab = await openTab(t, options)
  await tab.page.goto(origin)
  await tab.page.locator('.opblock').first().waitFor()
  return { ...tab, origin }
}

const operation = (page: Page, id: string) => page.locator(`[id^=operations-][id$=-${id}]`)

/** Opens an operation and closes the others, because every response renders all open ones again. */
async function open (page: Page, id: string): Promise<Locator> {
  for (const control of await page.locator('.opblock.is-open .opblock-summary-control').all()) await control.click()
  const block = operation(page, id)
  await block.locator('.opblock-summary-control').click()
  await block.getByRole('button', { name: 'Execute' }).waitFor()
  return block
}

/** Presses Execute and waits for the response; returns the status displayed. */
async function execute (page: Page, block: Locator): Promise<{ status: string, body: Locator }> {
  const answered = page.waitForResponse(response => !new URL(response.url()).pathname.startsWith('/docs'))
  await block.getByRole('button', { name: 'Execute' }).click()
  const answer = await answered
  const status = String(answer.status())
  // Identified by the request id: an earlier response with the same status may still be displayed.
  const row = block.locator('.live-responses-table .response', { has: page.locator('.response-col_status', { hasText: status }), hasText: String(answer.headers()['x-request-id']) })
  await row.waitFor()
  return { status, body: row.locator('.response-col_description') }
}

/** Opens an operation if necessary, fills in its parameters and JSON body, and executes it. */
async function ask (page: Page, id: string, parameters: Record<string, string> = {}, json?: unknown) {
  const isOpen = await operation(page, id).getByRole('button', { name: 'Execute' }).isVisible()
  const block = isOpen ? operation(page, id) : await open(page, id)
  for (const [name, value] of Object.entries(parameters)) await fill(block, name, value)
  if (json !== undefined) await block.locator('textarea').fill(JSON.stringify(json))
  return execute(page, block)
}

/** Fills in a parameter, after expanding the form if necessary. */
async function fill (block: Locator, name: string, value: string): Promise<void> {
  const input = block.locator(`tr[data-param-name="${name}"] input`)
  if (!await input.isVisible()) await block.getByRole('button', { name: 'More parameters' }).click()
  await input.fill(value)
}

async function register (page: Page, username: string, password: string): Promise<string> {
  return (await ask(page, 'registerUser', {}, { username, password })).status
}

/** The response that the page displays, as JSON. */
const jsonIn = async (body: Locator) => JSON.parse(await body.locator('pre').first().innerText())

/** Downloads the file behind the link that the page displays. */
const save = (page: Page, body: Locator) => savedBy(page, () => body.getByRole('link', { name: 'Download file' }).click())

/** Opens the dialog, fills in one scheme of it, its fields in order, or forgets it, and closes the dialog. */
async function authorize (page: Page, scheme: string, values?: string[]): Promise<void> {
  await page.locator('.auth-wrapper .authorize').click()
  const form = page.locator('.dialog-ux .auth-container', { has: page.locator('h4 code', { hasText: new RegExp(`^${scheme}$`) }) })
  for (const [index, value] of values?.entries() ?? []) await form.locator('input').nth(index).fill(value)
  await form.locator(values === undefined ? '[aria-label="Remove authorization"]' : 'button.authorize').click()
  await page.locator('.dialog-ux .close-modal').click()
}

interface Picked { name: string, type: string, bytes: Buffer }

async function upload (page: Page, block: Locator, { name, type, bytes }: Picked) {
  await block.locator('input[type=file]').setInputFiles({ name, mimeType: type, buffer: bytes })
  return execute(page, block)
}

/** The token that the page displays after GET /api/token with the password. */
const readToken = async (page: Page): Promise<string> => (await jsonIn((await ask(page, 'getToken')).body)).token

browserTest('in a browser a user goes through the whole story click by click, uploads and downloads a file of any name, and sees each refusal as a problem', async t => {
  const bytes = randomBytes(sizes.pageStoryBytes)
  const desk = t.testdir({ 'large.bin': bytes })
  const { page, origin } = await visit(t, { acceptDownloads: true })
  t.equal(page.url(), `${origin}/docs`, 'the root sends a browser to the page')

  const stranger = await ask(page, 'getResource')
  t.equal(stranger.status, '401', 'and no login box of the browser stands in the way')
  t.match(await jsonIn(stranger.body), { status: 401, code: 'credentials_missing' })

  t.equal(await register(page, 'mouse', 'pwd'), '201')
  await authorize(page, 'basic', ['mouse', 'pwd'])
  const token = await readToken(page)
  await authorize(page, 'basic')
  await authorize(page, 'bearer', [token])

  const block = await open(page, 'uploadFile')
  await block.locator('input[type=file]').setInputFiles(join(desk, 'large.bin'))
  t.equal((await execute(page, block)).status, '201')
  const second = await upload(page, block, { name: 'large.bin', type: 'application/octet-stream', bytes: Buffer.from('other bytes') })
  t.match(await jsonIn(second.body), { status: 409, code: 'name_taken' })

  const listed = await ask(page, 'listFiles')
  t.match(await jsonIn(listed.body), { files: [{ name: 'large.bin', size: bytes.length }], next: null })
  const part = await ask(page, 'downloadFile', { name: 'large.bin', range: 'bytes=1000000-1999999' })
  t.equal(part.status, '206')
  t.ok((await save(page, part.body)).bytes.equals(bytes.subarray(1_000_000, 2_000_000)), 'the range')
  const whole = await ask(page, 'downloadFile', { name: 'large.bin', range: '' })
  t.equal(whole.status, '200')
  t.match(await whole.body.innerText(), `repr-digest: sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`)
  t.ok((await save(page, whole.body)).bytes.equals(bytes), 'byte for byte')

  await authorize(page, 'bearer')
  await authorize(page, 'token', [`Token ${token}`])
  // The page would reformat JSON.
  const file = { name: 'naïve plan 😀.json', type: 'application/json', bytes: Buffer.from('{ "b":1,\n "a": 1.0 }') }
  const uploaded = await upload(page, await open(page, 'uploadFile'), file)
  t.equal(uploaded.status, '201', 'with a token as Token')
  for (const role of ['button', 'link'] as const) {
    await shows(t, () => uploaded.body.getByRole(role, { name: /download/i }).count(), 0, 'nothing at the JSON of an upload seems to download the file')
  }
  const saved = await save(page, (await ask(page, 'downloadFile', { name: file.name })).body)
  t.equal(saved.name, file.name)
  t.ok(saved.bytes.equals(file.bytes), 'byte for byte')

  t.equal((await ask(page, 'endToken')).status, '204')
  const refused = await ask(page, 'getResource')
  t.equal(refused.status, '401')
  t.match(await jsonIn(refused.body), { status: 401, code: 'token_revoked' })
})

browserTest('the page shows the way in first, in the order in which a newcomer goes, and its box of credentials tells which is for whom, and is worked by the keyboard', async t => {
  const { page } = await visit(t)
  const ids = await page.locator('.opblock').evaluateAll(blocks => blocks.map(block => block.id))
  const way = ['Users-registerUser', 'Tokens-getToken', 'Files-uploadFile', 'Files-listFiles', 'Files-downloadFile'].map(id => `operations-${id}`)
  t.same(ids.filter(id => way.includes(id)), way)
  t.equal(ids[0], way[0], 'ahead of everything else')
  await shows(t, () => page.title(), 'MagicStore')

  const button = page.locator('.auth-wrapper .authorize')
  await enter(page, button)
  const box = page.getByRole('dialog')
  await box.waitFor()
  const texts = await box.locator('.auth-container').allInnerTexts()
  const expected = [/^basic\b[^]*trying things out[^]*username and password/, /^oneTimeCode\b[^]*One-Time-Code/, /^bearer\b[^]*programs[^]*access token/, /^token\b[^]*Authorization: Token/, /^session\b[^]*pages in a browser/, /^sessionKey\b[^]*beside the cookie/]
  t.equal(texts.length, expected.length)
  for (const [index, pattern] of expected.entries()) t.match(texts[index]?.trim(), pattern)
  const first = box.locator('input').first()
  await shows(t, () => isFocused(first), true, 'the box begins at its first field')
  const stops = await box.locator('a, button, input').count()
  for (const key of ['Tab', 'Shift+Tab']) {
    for (let press = 0; press < stops; press++) {
      await page.keyboard.press(key)
      await shows(t, () => box.evaluate(element => element.contains(document.activeElement)), true, key)
    }
    await shows(t, () => isFocused(first), true, 'once round')
  }
  await page.keyboard.press('Escape')
  await box.waitFor({ state: 'detached' })
  await shows(t, () => isFocused(button), true, 'Escape gives the keyboard back')

  t.equal(await register(page, 'keyboard', 'pwd'), '201')
  await button.focus()
  await page.keyboard.press('Enter')
  await box.waitFor()
  await page.keyboard.type('keyboard')
  await page.keyboard.press('Tab')
  await page.keyboard.type('pwd\n')
  await box.getByRole('button', { name: 'Remove authorization' }).waitFor()
  await page.keyboard.press('Enter')
  await box.waitFor({ state: 'detached' })
  await shows(t, () => isFocused(button), true, 'the next Enter closes the box, and leads back to where one came from')
  t.match(await readToken(page), /^\w+\./, 'the page sends what was typed')
})

browserTest('a form shows what is needed, and the rest after a key on its button; each element that Tab reaches has a visible outline', async t => {
  const { page } = await visit(t)
  const namesIn = (block: Locator) => () => block.locator('tr[data-param-name]').evaluateAll(rows => rows.map(row => row.getAttribute('data-param-name')))
  const download = await open(page, 'downloadFile')
  await shows(t, namesIn(download), ['name'])
  const button = download.locator('.more-parameters')
  const rest = ['version', 'disposition', 'range', 'if-range', 'if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since', 'want-repr-digest']
  await shows(t, () => button.innerText(), `More parameters (${rest.length})`)
  await shows(t, () => button.getAttribute('aria-expanded'), 'false')
  await enter(page, button)
  await shows(t, () => button.getAttribute('aria-expanded'), 'true')
  await shows(t, namesIn(download), ['name', ...rest])
  await shows(t, () => isFocused(button), true, 'the keyboard stays there')
  await fill(download, 'range', 'bytes=0-1')
  await button.click()
  await shows(t, namesIn(download), ['name', 'disposition', 'range'], 'what has a value is sent, and stays in sight')

  for (const [id, names] of Object.entries({ putFile: ['name'], deleteFile: ['name'], listFiles: ['limit', 'cursor', 'folder', 'order', 'prefix', 'contains', 'words', 'below'], uploadFile: ['folder'] })) await shows(t, namesIn(await open(page, id)), names, id)

  await page.evaluate(() => { (document.activeElement as HTMLElement).blur() })
  const seen = await tabThrough(page)
  const windowHeight = page.viewportSize()?.height ?? 0
  t.ok(seen.length > 60 && seen.length < MAX_STOPS, 'from the first stop to the last')
  const isSeen = ({ top, bottom }: { top: number, bottom: number }) => bottom > 0 && top < windowHeight
  t.same(seen.filter(stop => stop.outline !== 'solid 3px' || stop.width === 0 || stop.height === 0 || !isSeen(stop)), [], 'each element that Tab reaches has a visible outline')
})

browserTest('the page links to the document, asks the server that it came from, whatever PUBLIC_URL is, and keeps credentials in its memory alone', async t => {
  const { page, origin, requested } = await visit(t, {}, { PUBLIC_URL: 'https://files.example.org/store' })
  const link = page.locator('.info a', { hasText: 'openapi.json' })
  await shows(t, () => link.innerText(), '/openapi.json')
  await shows(t, () => link.evaluate(element => (element as HTMLAnchorElement).href), `${origin}/openapi.json`)
  t.notMatch(await (await fetch(`${origin}/docs`)).text(), /(?:src|href)="\//, 'a proxy may add the path')
  t.equal(await register(page, 'memory', 'pwd'), '201')
  t.same(requested.filter(url => !url.startsWith(`${origin}/`) && !url.startsWith('data:')), [])

  await authorize(page, 'basic', ['memory', 'pwd'])
  const token = await readToken(page)
  await authorize(page, 'bearer', [token])
  t.equal((await ask(page, 'getResource')).status, '200')
  const kept = async () => ({
    ...await page.evaluate(async () => ({
      local: { ...localStorage },
      session: { ...sessionStorage },
      databases: await indexedDB.databases(),
      caches: await caches.keys(),
      name: window.name,
      secrets: Array.from(new URL(location.href).searchParams)
    })),
    cookies: await page.context().cookies()
  })
  const nothing = { local: {}, session: {}, databases: [], caches: [], name: '', secrets: [], cookies: [] }
  t.same(await kept(), nothing)
  await page.reload()
  await page.locator('.opblock').first().waitFor()
  t.same(await kept(), nothing)
  t.equal((await ask(page, 'getResource')).status, '401', 'they are gone when the page is loaded again')
})
