import type { CDPSession, Page } from 'playwright-core'
import { startServer } from '../kit/server.ts'
import { browserTest, shows } from './browser.ts'
import { checkQuiet, goTo, openPageAs, PASSWORD } from './page.ts'

/** Many small files at once. */

const panel = (page: Page) => page.getByRole('region', { name: 'Uploads', exact: true })

const toggle = (page: Page) => panel(page).getByRole('button', { name: 'List of uploads', exact: true })

interface Drop { names: string[], bytes?: number }

/** Drops files of some bytes on the page. */
async function drop (page: Page, { names, bytes = 100 }: Drop): Promise<void> {
  await page.evaluate(({ names, bytes }) => {
    const dataTransfer = new DataTransfer()
    for (const name of names) dataTransfer.items.add(new File([new Uint8Array(bytes)], name))
    document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }))
  }, { names, bytes })
}

const numbered = (count: number, folder = '') => Array.from({ length: count }, (_, index) => `${folder}${index}.bin`)

/** Waits until the page says that all its files are stored. */
const areStored = (page: Page, count: number) =>
  panel(page).getByText(`${count.toLocaleString('en')} files uploaded`, { exact: true }).waitFor({ timeout: 120_000 })

browserTest('small files are sent in one request each, six at a time, and do not wait for the service worker', async t => {
  const server = await startServer(t, { RATE_LIMIT_PER_MINUTE: '0' })
  const visit = await openPageAs(t, server.url, 'ann')
  const { page } = visit
  const held: (() => void)[] = []
  let isHeld = true
  let most = 0
  await page.route('**/uploads/*', async route => {
    if (isHeld) await new Promise<void>(resolve => { most = Math.max(most, held.push(resolve)) })
    await route.continue()
  })
  await drop(page, { names: numbered(40) })
  await shows(t, async () => held.length, 6, 'six are sent')
  isHeld = false
  for (const release of held) release()
  await areStored(page, 40)
  t.equal(most, 6, 'no more than six at once')
  const sent = await page.evaluate(() => performance.getEntriesByType('resource')
    .filter(({ name }) => name.includes('/uploads/')).map(entry => (entry as { workerFinalSourceType?: string }).workerFinalSourceType))
  t.same(sent, Array.from({ length: 40 }, () => 'network'), 'one request each, none of which the service worker saw')
  t.equal((await server.send('GET', '/api/account', { user: ['ann', PASSWORD] })).json.usage.files, 40)

  await t.test('the time of the last change is stored', async t => {
    await page.evaluate(() => {
      const dataTransfer = new DataTransfer()
      dataTransfer.items.add(new File(['old'], 'old.txt', { lastModified: Date.UTC(2001, 1, 3) }))
      document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }))
    })
    await areStored(page, 41)
    t.equal((await server.send('GET', '/api/files/old.txt', { user: ['ann', PASSWORD] })).json.modifiedAt, '2001-02-03T00:00:00.000Z')
  })
  checkQuiet(t, visit)
})

browserTest('of files that are not tiny, two are sent at a time', async t => {
  const server = await startServer(t, { RATE_LIMIT_PER_MINUTE: '0' })
  const { page } = await openPageAs(t, server.url, 'ann')
  const held: (() => void)[] = []
  let isHeld = true
  await page.route('**/uploads/*', async route => {
    if (isHeld) await new Promise<void>(resolve => { held.push(resolve) })
    await route.continue()
  })
  await drop(page, { names: numbered(6), bytes: 1_000_000 })
  await shows(t, async () => held.length, 2)
  isHeld = false
  for (const release of held) release()
  await areStored(page, 6)
  t.equal(held.length, 2)
})

/** Makes the page lose the next response to this method at an address of an upload, after the server has sent it. */
async function loseResponse (devTools: CDPSession, method: string): Promise<() => boolean> {
  let isLost = false
  devTools.on('Fetch.requestPaused', ({ requestId, request }) => {
    const loses = !isLost && request.method === method
    isLost ||= loses
    void (loses ? devTools.send('Fetch.failRequest', { requestId, errorReason: 'ConnectionReset' }) : devTools.send('Fetch.continueRequest', { requestId }))
  })
  await devTools.send('Fetch.enable', { patterns: [{ urlPattern: '*/uploads/*', requestStage: 'Response' }] })
  return () => isLost
}

browserTest('a small file whose response is lost is stored once, and the page asks nothing', async t => {
  const server = await startServer(t)
  const visit = await openPageAs(t, server.url, 'ann')
  const { page } = visit
  const isLost = await loseResponse(await page.context().newCDPSession(page), 'PUT')
  await drop(page, { names: ['one.bin', 'two.bin'] })
  await areStored(page, 2)
  t.ok(isLost())
  t.equal((await server.send('GET', '/api/account', { user: ['ann', PASSWORD] })).json.usage.files, 2)
  t.same((await server.send('GET', '/api/uploads', { user: ['ann', PASSWORD] })).json.uploads, [])
  checkQuiet(t, visit, [/^Failed to load resource: (net::ERR_CONNECTION_RESET|the server responded with a status of 412)/])
})

browserTest('a small file waits for a server that is busy, and for one that is away', async t => {
  const server = await startServer(t)
  const { page } = await openPageAs(t, server.url, 'ann')
  const answers: ('busy' | 'away')[] = ['busy', 'away', 'busy']
  await page.route('**/uploads/*', async route => {
    const answer = answers.shift()
    if (answer === 'away') return route.abort('connectionrefused')
    if (answer === undefined) return route.continue()
    return route.fulfill({ status: 503, contentType: 'application/problem+json', json: { status: 503, code: 'overloaded', title: 'Busy', detail: 'Busy' } })
  })
  await drop(page, { names: ['one.bin'], bytes: 100_000 })
  await panel(page).getByText('1 file uploaded', { exact: true }).waitFor()
  t.same(answers, [])
  t.equal((await server.send('GET', '/api/files/one.bin', { user: ['ann', PASSWORD] })).json.size, 100_000)
})

browserTest('the list folds away when all is done, and opens for a failure and for new files', async t => {
  const server = await startServer(t, { MAX_FILE_BYTES: '1000' })
  const visit = await openPageAs(t, server.url, 'ann')
  const { page } = visit
  const isOpen = () => toggle(page).getAttribute('aria-expanded')
  await drop(page, { names: ['one.bin'] })
  await shows(t, isOpen, 'true')
  await shows(t, isOpen, 'false', 'it folds away')
  await panel(page).getByText('1 file uploaded', { exact: true }).waitFor()

  await drop(page, { names: ['large.bin'], bytes: 1001 })
  await panel(page).getByText('The file is too large').waitFor()
  await panel(page).getByText('A file may have at most 1 kB.').waitFor()
  t.equal(await isOpen(), 'true', 'it opens for a failure')
  await panel(page).getByRole('button', { name: 'Cancel large.bin', exact: true }).click()
  await page.mouse.move(0, 0)
  await page.getByRole('heading', { name: 'Files', level: 2 }).click()
  await shows(t, isOpen, 'false', 'it folds away again')

  await page.evaluate(() => document.querySelector<HTMLElement>('.uploads > header button')?.focus())
  await drop(page, { names: ['two.bin'] })
  await shows(t, isOpen, 'true', 'it opens for new files')
  await panel(page).getByText('2 files uploaded', { exact: true }).waitFor()
  await page.keyboard.press('Enter')
  await panel(page).getByRole('button', { name: 'Clear finished', exact: true }).click()
  await panel(page).waitFor({ state: 'hidden' })
  checkQuiet(t, visit, [/^Failed to load resource: the server responded with a status of 413/])
})

browserTest('numbers in refusals are written as elsewhere on the page', async t => {
  const server = await startServer(t)
  const { page } = await openPageAs(t, server.url, 'ann')
  const refusals: Record<string, [code: string, detail: string, shown: string]> = {
    'a.bin': ['quota_exceeded', 'The quota is 10000 files, 10000 files are used, and this would add 1 files.', 'The quota is 10,000 files, 10,000 files are used, and this would add 1 file.'],
    'b.bin': ['quota_exceeded', 'The quota is 1500000 bytes, 0 bytes are used, and this would add 2500000 bytes.', 'The quota is 1.5 MB, 0 bytes are used, and this would add 2.5 MB.'],
    'c.bin': ['link_limit_reached', 'The link accepts 1200 more files.', 'The link accepts 1,200 more files.'],
    'd.bin': ['file_locked', '2024 files.bin is locked.', '2024 files.bin is locked.']
  }
  await page.route('**/uploads/*', async route => {
    const [code = '', detail = ''] = refusals[new URL(route.request().url()).pathname.slice('/uploads/'.length)] ?? []
    await route.fulfill({ status: 422, contentType: 'application/problem+json', json: { status: 422, code, title: 'Refused', detail } })
  })
  await drop(page, { names: Object.keys(refusals) })
  for (const [, , shown] of Object.values(refusals)) await panel(page).getByText(shown, { exact: true }).waitFor()
})

/** What the page keeps: the bytes of its objects, and the number of files among them. */
async function keptBy (devTools: CDPSession): Promise<{ bytes: number, files: number }> {
  await devTools.send('HeapProfiler.collectGarbage')
  const { usedSize } = await devTools.send('Runtime.getHeapUsage')
  const { result } = await devTools.send('Runtime.evaluate', { expression: 'File.prototype' })
  const { objects } = await devTools.send('Runtime.queryObjects', { prototypeObjectId: String(result.objectId) })
  const { result: count } = await devTools.send('Runtime.callFunctionOn', { objectId: String(objects.objectId), functionDeclaration: 'function () { return this.length }', returnByValue: true })
  await devTools.send('Runtime.releaseObject', { objectId: String(objects.objectId) })
  return { bytes: usedSize, files: count.value as number }
}

/** A thousand more uploads may leave so many bytes each: that is less than what an upload has while it runs. */
const MAX_BYTES_EACH = 300

browserTest('the memory of a page stays flat after 1,500 uploads', async t => {
  const server = await startServer(t, { RATE_LIMIT_PER_MINUTE: '0' })
  const { page } = await openPageAs(t, server.url, 'ann')
  // Elsewhere the list grows with the files.
  await goTo(page, 'Account')
  const devTools = await page.context().newCDPSession(page)
  const kept: { bytes: number, files: number }[] = []
  for (const round of [1, 2, 3]) {
    await drop(page, { names: numbered(500, `${round} `), bytes: 10_000 })
    await areStored(page, round * 500)
    await shows(t, async () => (await keptBy(devTools)).files < 20, true, `the files of round ${round} are gone`)
    kept.push(await keptBy(devTools))
  }
  const [first, , last] = kept
  t.ok(Number(last?.bytes) - Number(first?.bytes) < 1000 * MAX_BYTES_EACH, 'the page keeps nothing of each upload', { kept })
  t.comment(`bytes after 500, 1,000 and 1,500 uploads: ${kept.map(({ bytes }) => bytes).join(', ')}`)
})
