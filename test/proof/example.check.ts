import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { build } from 'esbuild'
import type { Page } from 'playwright-core'
import { test, type Test } from 'tap'
import { sha256Of } from '../kit/digests.ts'
import { webpOf } from '../kit/pictures.ts'
import { blocksOf, typeLines } from '../kit/readme.ts'
import { root } from '../kit/root.ts'
import { signUp, startServer } from '../kit/server.ts'
import { MIB } from '../kit/sizes.ts'
import { freePort } from '../kit/wire.ts'
import { browserTest, openTab } from './browser.ts'

// The page about applications and its example, at an origin of its own.

const guide = await readFile(join(root, 'openapi/application.md'), 'utf8')

/** The album of the example, started as the guide says, and the store that it uses. */
async function openAlbum (t: Test) {
  const folder = t.testdir()
  const origin = `http://127.0.0.1:${await freePort()}`
  const store = await startServer(t, { DATA_DIR: join(folder, 'data'), LINKS: 'on', CORS_ORIGINS: origin })
  const typed = await typeLines(blocksOf(guide, 'sh').flat(), { port: store.port, folder, shell: 'sh' })
  t.strictSame(typed.statuses, [201, 201], { stderr: typed.stderr })
  const [, token = ''] = /"token":"([^"]*)"/.exec(typed.stdout) ?? []
  const child = spawn(process.execPath, ['openapi/example/server.js'], {
    cwd: root,
    env: { STORE_URL: store.url, STORE_TOKEN: token, PORT: new URL(origin).port, ALBUM: join(folder, 'album.json') },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const exited = once(child, 'exit')
  t.teardown(async () => { child.kill(); await exited })
  const complaints = child.stderr.setEncoding('utf8').toArray()
  const [line] = await once(createInterface(child.stdout), 'line')
  t.equal(line, `The album is at ${origin}`)
  const end = async () => { child.kill(); await exited; return (await complaints).join('') }
  const stored = async () => (await store.send('GET', '/api/files?folder=album', { token })).json.files
  /** Asks the server of the album. */
  const ask = (path: string, user: string, body?: object) =>
    fetch(origin + path, { headers: { 'x-user': user }, ...(body && { method: 'POST', body: JSON.stringify(body) }) })
  return { store, origin, end, stored, ask }
}

const photo = webpOf()

/** What the client sends in parts. */
const LARGE_BYTES = 9 * MIB

const choose = (page: Page, name: string) =>
  page.getByLabel('Add a photo').setInputFiles({ name, mimeType: 'image/webp', buffer: photo })

const showButton = (page: Page, name: string) => page.getByRole('button', { name: `Show ${name}` })

browserTest('in the example, a photo goes from the browser to the store and back, and only its user sees it, once the feed has told of it', async t => {
  const { store, origin, end, stored, ask } = await openAlbum(t)
  const { page } = await openTab(t)
  const sentToAlbum: string[] = []
  page.on('request', request => { if (request.url().startsWith(origin)) sentToAlbum.push(request.postData() ?? '') })
  await page.goto(origin)
  const sending = page.waitForRequest(request => request.method() === 'PUT')
  await choose(page, 'lake.webp')
  const upload = await sending
  await showButton(page, 'lake.webp').waitFor()
  await page.getByText('Sent.').waitFor()
  t.match(upload.url(), new RegExp(`^${store.url}/s/\\w{22}/files/[0-9a-f-]{36}\\.webp$`))
  const headers = Object.keys(await upload.allHeaders())
  t.strictSame(headers.filter(name => ['authorization', 'cookie', 'x-user'].includes(name)), [], 'no credential')
  const files = await stored()
  t.match(files, [{ name: /^album\/[0-9a-f-]{36}\.webp$/, size: photo.length, type: 'image/webp' }])

  const again = await page.evaluate(async url => (await fetch(url, { method: 'PUT', body: 'more' })).json(), upload.url())
  t.match(again, { status: 404, code: 'not_found' }, 'a link is used once')
  t.strictSame(await stored(), files)

  const downloading = page.waitForResponse(response => response.url().startsWith(`${store.url}/s/`))
  await showButton(page, 'lake.webp').click()
  const download = await downloading
  await page.getByRole('img', { name: 'lake.webp' }).waitFor()
  const bytes = await page.evaluate(async url => {
    const response = await fetch(url)
    return Array.from(new Uint8Array(await response.arrayBuffer()))
  }, download.url())
  t.ok(Buffer.from(bytes).equals(photo), 'the same bytes')

  const [{ id }] = await (await ask('/photos', 'ann')).json()
  const list = page.waitForResponse(`${origin}/photos`)
  await page.getByLabel('You are').selectOption('ben')
  t.strictSame(await (await list).json(), [])
  await page.getByRole('listitem').waitFor({ state: 'detached' })
  t.equal((await ask('/downloads', 'ben', { id })).status, 404, 'another user gets no address of it')
  t.equal((await ask('/photos', 'eve')).status, 401)
  t.ok(sentToAlbum.every(text => text.length < 200), 'no photo went to the server of the application')
  t.equal(await end(), '')
})

browserTest('in the example, other bytes than those that were announced are refused and stored nowhere, and the next attempt is not', async t => {
  const { origin, end, stored, ask } = await openAlbum(t)
  const { page } = await openTab(t)
  await page.goto(origin)
  await page.route('**/s/**', route => route.continue({ postData: Buffer.from(photo).reverse() }), { times: 1 })
  await choose(page, 'lake.webp')
  await page.getByText('The photo was changed on its way.').waitFor()
  t.strictSame(await stored(), [])
  t.match(await (await ask('/photos', 'ann')).json(), [{ title: 'lake.webp', isThere: false }])
  await choose(page, 'sea.webp')
  await showButton(page, 'sea.webp').waitFor()
  t.equal((await stored()).length, 1)
  t.equal(await end(), '')
})

browserTest('a page of another origin uploads a large file by a link with the client, and continues after a cut', async t => {
  const origin = `http://127.0.0.1:${await freePort()}`
  const application = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<title>Another</title>'))
  await once(application.listen(Number(new URL(origin).port), '127.0.0.1'), 'listening')
  t.teardown(() => { application.close(); application.closeAllConnections() })
  const store = await startServer(t, { DATA_DIR: t.testdir(), LINKS: 'on', CORS_ORIGINS: origin })
  const { token } = await signUp(store)
  await store.send('PUT', '/api/folders/inbox', { token })
  const terms = { name: 'inbox', kind: 'upload', fileName: 'film.bin' }
  const { json: link } = await store.send('POST', '/api/links', { token, json: terms })
  const entryPoints = [join(root, 'dist/sdk/client.ts')]
  const { outputFiles: [bundle] } = await build({ entryPoints, bundle: true, globalName: 'client', write: false })
  const { page } = await openTab(t)
  let cuts = 0
  await page.route('**/s/*/uploads/*', route =>
    route.request().method() === 'PATCH' && cuts++ === 0 ? route.abort() : route.continue())
  await page.goto(origin)
  await page.addScriptTag({ content: String(bundle?.text) })
  const upload = `client.uploadByLink(${JSON.stringify(link)}, new Uint8Array(${LARGE_BYTES}), { onProgress () {}, onRetry () { retries++ } })`
  t.match(await page.evaluate(`(async () => { let retries = 0; return { ...await ${upload}, retries } })()`), {
    name: 'film.bin', size: LARGE_BYTES, sha256: sha256Of(new Uint8Array(LARGE_BYTES)), retries: 1
  })
  t.match((await store.send('GET', '/api/files/inbox%2Ffilm.bin', { token })).json, { size: LARGE_BYTES })
})

/** Lines without their indentation, so that they compare wherever they stand. */
const trimmed = (lines: string[]) => lines.map(line => line.trim()).join('\n')

test('the code of the page about applications is that of the example', async t => {
  const sources = await Promise.all(['server.js', 'page.js'].map(name => readFile(join(root, 'openapi/example', name), 'utf8')))
  const code = trimmed(sources.join('\n').split('\n'))
  const blocks = blocksOf(guide, 'js')
  t.ok(blocks.length > 3)
  for (const block of blocks) t.ok(code.includes(trimmed(block)), String(block[0]))
})
