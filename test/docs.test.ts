import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { chromium, type BrowserContextOptions, type Locator, type Page } from 'playwright-core'
import { test, type Test } from 'tap'
import { startServer } from './server.ts'

const executablePath = '/usr/bin/chromium'
const quiet = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

/** The narrowest screen that is common. */
const phone: BrowserContextOptions = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }

const browserTest = (name: string, run: (t: Test) => Promise<void>) =>
  test(name, { skip: existsSync(executablePath) ? false : `no browser at ${executablePath}` }, run)

interface Visit { page: Page, origin: string, requested: string[], complaints: string[] }

/** The page as a newcomer finds it: at the server's root. */
async function visit (t: Test, options: BrowserContextOptions = {}): Promise<Visit> {
  const { url: origin } = await startServer(t)
  const browser = await chromium.launch({ executablePath, args: quiet })
  t.teardown(() => browser.close())
  const page = await (await browser.newContext(options)).newPage()
  page.setDefaultTimeout(20_000)
  const requested: string[] = []
  const complaints: string[] = []
  page.on('request', request => requested.push(request.url()))
  page.on('pageerror', error => complaints.push(error.message))
  page.on('console', message => { if (['error', 'warning'].includes(message.type())) complaints.push(message.text()) })
  await page.exposeFunction('complain', (text: string) => { complaints.push(text) })
  await page.addInitScript("document.addEventListener('securitypolicyviolation', event => complain('violates ' + event.violatedDirective + ': ' + event.blockedURI))")
  await page.goto(origin)
  await page.locator('.opblock').first().waitFor()
  return { page, origin, requested, complaints }
}

const operation = (page: Page, id: string) => page.locator(`[id^=operations-][id$=-${id}]`)

async function open (page: Page, id: string): Promise<Locator> {
  const block = operation(page, id)
  await block.locator('.opblock-summary-control').click()
  await block.getByRole('button', { name: 'Execute' }).waitFor()
  return block
}

/** Presses Execute and waits for the answer; with the status as the page shows it. */
async function execute (page: Page, block: Locator): Promise<{ status: string, body: Locator }> {
  const answered = page.waitForResponse(response => !new URL(response.url()).pathname.startsWith('/docs'))
  await block.getByRole('button', { name: 'Execute' }).click()
  const status = String((await answered).status())
  const row = block.locator('.live-responses-table .response', { has: page.locator('.response-col_status', { hasText: status }) })
  await row.waitFor()
  return { status, body: row.locator('.response-col_description') }
}

async function register (page: Page, username: string, password: string): Promise<string> {
  const block = await open(page, 'registerUser')
  await block.locator('textarea').fill(JSON.stringify({ username, password }))
  const { status } = await execute(page, block)
  return status
}

/** Fills one scheme of the dialog: its fields in their order. */
async function authorize (page: Page, scheme: string, values: string[]): Promise<void> {
  await page.locator('.auth-wrapper .authorize').click()
  const form = page.locator('.dialog-ux .auth-container', { has: page.locator('h4 code', { hasText: new RegExp(`^${scheme}$`) }) })
  for (const [index, value] of values.entries()) await form.locator('input').nth(index).fill(value)
  await form.locator('button.authorize').click()
  await page.locator('.dialog-ux .close-modal').click()
}

async function upload (page: Page, block: Locator, { name, type, bytes }: { name: string, type: string, bytes: Buffer }) {
  await block.locator('input[type=file]').setInputFiles({ name, mimeType: type, buffer: bytes })
  return execute(page, block)
}

/** The token that the page shows after GET /api/token with the password. */
async function readToken (page: Page): Promise<string> {
  const block = await open(page, 'getToken')
  const { body } = await execute(page, block)
  const { token } = JSON.parse(await body.locator('pre').first().innerText())
  return token
}

async function logout (page: Page, scheme: string): Promise<void> {
  await page.locator('.auth-wrapper .authorize').click()
  const form = page.locator('.dialog-ux .auth-container', { has: page.locator('h4 code', { hasText: new RegExp(`^${scheme}$`) }) })
  await form.getByRole('button', { name: 'Remove authorization' }).click()
  await page.locator('.dialog-ux .close-modal').click()
}

const journeys = [
  { title: 'the password', scheme: 'basic', name: 'report.pdf', type: 'application/pdf', bytes: randomBytes(300_000) },
  { title: 'a token as Bearer', scheme: 'bearer', name: 'naïve plan 😀.txt', type: 'text/plain', bytes: Buffer.from('zwölf Boxkämpfer\r\n'.repeat(1000)) },
  { title: 'a token as Token', scheme: 'token', name: 'data.json', type: 'application/json', bytes: Buffer.from('{ "b":1,\n "a": 1.0 }') }
]

for (const { title, scheme, ...file } of journeys) {
  browserTest(`in a browser a person registers, authorizes with ${title}, uploads by the file picker and downloads the same bytes`, async t => {
    const { page, origin, requested, complaints } = await visit(t, { acceptDownloads: true })
    t.equal(page.url(), `${origin}/docs`, 'the root sends a browser to the page')
    t.equal(await register(page, 'test_user', 'pwd'), '201')

    await authorize(page, 'basic', ['test_user', 'pwd'])
    if (scheme !== 'basic') {
      const token = await readToken(page)
      await logout(page, 'basic')
      await authorize(page, scheme, [scheme === 'token' ? `Token ${token}` : token])
    }
    const resource = await execute(page, await open(page, 'getResource'))
    t.equal(resource.status, '200')

    t.equal((await upload(page, await open(page, 'uploadFile'), file)).status, '201')

    const block = await open(page, 'downloadFile')
    await block.locator('tr[data-param-name=name] input').fill(file.name)
    const { status, body } = await execute(page, block)
    t.equal(status, '200')
    const [download] = await Promise.all([page.waitForEvent('download'), body.getByRole('link', { name: 'Download file' }).click()])
    t.equal(download.suggestedFilename(), file.name)
    t.ok((await readFile(await download.path())).equals(file.bytes), 'byte for byte')

    t.ok(requested.length > 5)
    t.same(requested.filter(url => !url.startsWith(`${origin}/`) && !url.startsWith(`blob:${origin}/`) && !url.startsWith('data:')), [], 'nothing is asked of another machine')
    t.same(complaints, [], 'no error, no warning, no breach of the content security policy')
  })
}

browserTest('in a browser a refusal is shown as a problem: no credentials, and the same name with other bytes', async t => {
  const { page } = await visit(t)
  const problemIn = async (body: Locator) => JSON.parse(await body.locator('pre').first().innerText())
  const refused = await execute(page, await open(page, 'getResource'))
  t.equal(refused.status, '401', 'and no login box of the browser stands in the way')
  t.match(await problemIn(refused.body), { status: 401, code: 'credentials_missing' })

  await register(page, 'test_user', 'pwd')
  await authorize(page, 'basic', ['test_user', 'pwd'])
  const block = await open(page, 'uploadFile')
  const file = { name: 'report.pdf', type: 'application/pdf' }
  t.equal((await upload(page, block, { ...file, bytes: Buffer.from('first') })).status, '201')
  t.equal((await upload(page, block, { ...file, bytes: Buffer.from('first') })).status, '200')
  const second = await upload(page, block, { ...file, bytes: Buffer.from('other') })
  t.equal(second.status, '409')
  t.match(await problemIn(second.body), { status: 409, code: 'name_taken' })
})

browserTest('the page shows the way in first, in the order in which a newcomer goes', async t => {
  const { page } = await visit(t)
  const ids = await page.locator('.opblock').evaluateAll(blocks => blocks.map(block => block.id))
  t.same(ids.filter(id => id.startsWith('operations-Start_here-')), ['registerUser', 'getToken', 'getResource', 'uploadFile', 'downloadFile'].map(id => `operations-Start_here-${id}`))
  t.ok(ids.slice(0, 5).every(id => id.startsWith('operations-Start_here-')), 'ahead of everything else')
  t.equal(await page.title(), 'MagicStore')
})

browserTest('the page fits a phone: nothing runs out of the screen, and an upload works', async t => {
  const { page } = await visit(t, phone)
  t.equal(await register(page, 'test_user', 'pwd'), '201')
  await authorize(page, 'basic', ['test_user', 'pwd'])
  const block = await open(page, 'uploadFile')
  t.equal((await upload(page, block, { name: 'photo.jpg', type: 'image/jpeg', bytes: randomBytes(1000) })).status, '201')
  t.equal(await page.evaluate(() => innerWidth), 390, 'laid out for the phone')
  t.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 390)
  const frame = await block.boundingBox()
  const buttons = await block.locator('button:visible').evaluateAll(found => found.map(button => button.getBoundingClientRect().right))
  t.ok(buttons.length > 3)
  for (const right of buttons) t.ok(right <= (frame?.x ?? 0) + (frame?.width ?? 0), 'every button lies in its box')
})
