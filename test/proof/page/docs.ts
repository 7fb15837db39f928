import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Locator, Page } from 'playwright-core'
import type { Test } from 'tap'
import { sharedServer } from '../../kit/server.ts'
import { isProof, sizes } from '../../kit/sizes.ts'
import { browserTest, enter, isFocused, MAX_STOPS, openTab, shows, tabThrough, type Visit } from '../browser.ts'
import { savedBy } from '../files-page.ts'

/**
 * Stops of the keyboard from the top of the page, from an open operation and from the last one: each kind of element is
 * among them. The proofs go from the open operation to the end.
 */
const SHORT_WALK = 25

/** The page as a new visitor sees it, at the root of a server that has another public address. */
async function visit (t: Test): Promise<Visit & { origin: string }> {
  const { url: origin } = await sharedServer({ WEB_PAGE: 'off', PUBLIC_URL: 'https://files.example.org/store' })
  const tab = await openTab(t, { acceptDownloads: true })
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

const namesIn = (block: Locator) => () => block.locator('tr[data-param-name]').evaluateAll(rows => rows.map(row => row.getAttribute('data-param-name')))

browserTest('in a browser a user reads what is needed, and uploads and downloads a file of any name, by the keyboard and click by click; each refusal is shown, and credentials are only in memory', async t => {
  const bytes = randomBytes(sizes.pageStoryBytes)
  const desk = t.testdir({ 'large.bin': bytes })
  const { page, origin, requested } = await visit(t)
  t.equal(page.url(), `${origin}/docs`, 'the root sends a browser to the page')
  await shows(t, () => page.title(), 'MagicStore')
  const link = page.locator('.info a', { hasText: 'openapi.json' })
  await shows(t, () => link.innerText(), '/openapi.json')
  await shows(t, () => link.evaluate(element => (element as HTMLAnchorElement).href), `${origin}/openapi.json`)
  t.notMatch(await (await fetch(`${origin}/docs`)).text(), /(?:src|href)="\//, 'a proxy may add the path')
  const ids = await page.locator('.opblock').evaluateAll(blocks => blocks.map(block => block.id))
  const way = ['Users-registerUser', 'Tokens-getToken', 'Files-uploadFile', 'Files-listFiles', 'Files-downloadFile'].map(id => `operations-${id}`)
  t.same(ids.filter(id => way.includes(id)), way, 'the order in which a newcomer goes')
  t.equal(ids[0], way[0], 'ahead of everything else')

  // The box of credentials, by the keyboard.
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

  const stranger = await ask(page, 'getResource')
  t.equal(stranger.status, '401', 'and no login box of the browser stands in the way')
  t.match(await jsonIn(stranger.body), { status: 401, code: 'credentials_missing' })
  t.equal((await ask(page, 'registerUser', {}, { username: 'mouse', password: 'pwd' })).status, '201')
  t.same(requested.filter(url => !url.startsWith(`${origin}/`) && !url.startsWith('data:')), [], 'the page asks the server that it came from')

  await button.focus()
  await page.keyboard.press('Enter')
  await box.waitFor()
  await page.keyboard.type('mouse')
  await page.keyboard.press('Tab')
  await page.keyboard.type('pwd\n')
  await box.getByRole('button', { name: 'Remove authorization' }).waitFor()
  await page.keyboard.press('Enter')
  await box.waitFor({ state: 'detached' })
  await shows(t, () => isFocused(button), true, 'the next Enter closes the box, and leads back to where one came from')
  const { token } = await jsonIn((await ask(page, 'getToken')).body)
  await authorize(page, 'basic')
  await authorize(page, 'bearer', [token])

  const upload = await open(page, 'uploadFile')
  await shows(t, namesIn(upload), ['folder'])
  const starts = [link, upload.locator('.opblock-summary-control'), page.locator('.opblock-summary-control').last()]
  const seen: Awaited<ReturnType<typeof tabThrough>> = []
  for (const start of isProof ? starts.slice(1, 2) : starts) {
    await start.focus()
    seen.push(...await tabThrough(page, isProof ? MAX_STOPS : SHORT_WALK))
  }
  const windowHeight = page.viewportSize()?.height ?? 0
  t.ok(seen.length > 2 * SHORT_WALK && seen.length < MAX_STOPS, 'from the first stop to the last')
  const isSeen = ({ top, bottom }: { top: number, bottom: number }) => bottom > 0 && top < windowHeight
  t.same(seen.filter(stop => stop.outline !== 'solid 3px' || stop.width === 0 || stop.height === 0 || !isSeen(stop)), [], 'each element that Tab reaches has a visible outline')

  const picker = upload.locator('input[type=file]')
  await picker.setInputFiles(join(desk, 'large.bin'))
  t.equal((await execute(page, upload)).status, '201')
  await picker.setInputFiles({ name: 'large.bin', mimeType: 'application/octet-stream', buffer: Buffer.from('other bytes') })
  t.match(await jsonIn((await execute(page, upload)).body), { status: 409, code: 'name_taken' })
  await authorize(page, 'bearer')
  await authorize(page, 'token', [`Token ${token}`])
  // The page would reformat JSON.
  const file = { name: 'naïve plan 😀.json', mimeType: 'application/json', buffer: Buffer.from('{ "b":1,\n "a": 1.0 }') }
  await picker.setInputFiles(file)
  const uploaded = await execute(page, upload)
  t.equal(uploaded.status, '201', 'with a token as Token')
  for (const role of ['button', 'link'] as const) {
    await shows(t, () => uploaded.body.getByRole(role, { name: /download/i }).count(), 0, 'nothing at the JSON of an upload seems to download the file')
  }

  const list = await open(page, 'listFiles')
  await shows(t, namesIn(list), ['limit', 'cursor', 'folder', 'order', 'prefix', 'contains', 'words', 'below', 'starred', 'kind'])
  t.match(await jsonIn((await execute(page, list)).body), { files: [{ name: 'large.bin', size: bytes.length }, { name: file.name }], next: null })

  const download = await open(page, 'downloadFile')
  await shows(t, namesIn(download), ['name'], 'a form shows what is needed')
  const more = download.locator('.more-parameters')
  const rest = ['version', 'disposition', 'range', 'if-range', 'if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since', 'want-repr-digest']
  await shows(t, () => more.innerText(), `More parameters (${rest.length})`)
  await shows(t, () => more.getAttribute('aria-expanded'), 'false')
  await enter(page, more)
  await shows(t, () => more.getAttribute('aria-expanded'), 'true')
  await shows(t, namesIn(download), ['name', ...rest])
  await shows(t, () => isFocused(more), true, 'the keyboard stays there')
  await fill(download, 'range', 'bytes=1000000-1999999')
  await more.click()
  await shows(t, namesIn(download), ['name', 'disposition', 'range'], 'what has a value is sent, and stays in sight')

  const part = await ask(page, 'downloadFile', { name: 'large.bin' })
  t.equal(part.status, '206')
  t.ok((await save(page, part.body)).bytes.equals(bytes.subarray(1_000_000, 2_000_000)), 'the range')
  // Its row goes, and all below moves: a click before that would miss the button.
  await fill(download, 'range', '')
  await shows(t, namesIn(download), ['name', 'disposition'])
  const whole = await ask(page, 'downloadFile')
  t.equal(whole.status, '200')
  t.match(await whole.body.innerText(), `repr-digest: sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`)
  t.ok((await save(page, whole.body)).bytes.equals(bytes), 'byte for byte')
  const saved = await save(page, (await ask(page, 'downloadFile', { name: file.name })).body)
  t.equal(saved.name, file.name)
  t.ok(saved.bytes.equals(file.buffer), 'byte for byte')

  t.equal((await ask(page, 'endToken')).status, '204')
  const refused = await ask(page, 'getResource')
  t.equal(refused.status, '401')
  t.match(await jsonIn(refused.body), { status: 401, code: 'token_revoked' })
  const kept = await page.evaluate(async () => ({
    local: { ...localStorage },
    session: { ...sessionStorage },
    databases: await indexedDB.databases(),
    caches: await caches.keys(),
    name: window.name,
    state: history.state,
    secrets: Array.from(new URL(location.href).searchParams)
  }))
  t.same(kept, { local: {}, session: {}, databases: [], caches: [], name: '', state: kept.state, secrets: [] }, 'nothing is left that another visit could read')
  t.notMatch(JSON.stringify(kept.state), token)
  t.same(await page.context().cookies(), [])
})
