import type { CDPSession, Page } from 'playwright-core'
import { browserTest, shows } from '../browser.ts'
import { panel } from '../files-page.ts'
import { areStored, drop, numbered } from '../many-files.ts'
import { openPageAs } from '../page.ts'

/** Many small files at once. */

const toggle = (page: Page) => panel(page).getByRole('button', { name: 'List of uploads', exact: true })

browserTest('small files are sent in one request each, six at a time, and do not wait for the service worker', async t => {
  const { page, server, user } = await openPageAs(t)
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
  t.equal((await server.send('GET', '/api/account', { user })).json.usage.files, 40)

  await t.test('the time of the last change is stored', async t => {
    await page.evaluate(() => {
      const dataTransfer = new DataTransfer()
      dataTransfer.items.add(new File(['old'], 'old.txt', { lastModified: Date.UTC(2001, 1, 3) }))
      document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }))
    })
    await areStored(page, 41)
    t.equal((await server.send('GET', '/api/files/old.txt', { user })).json.modifiedAt, '2001-02-03T00:00:00.000Z')
  })
})

browserTest('of files that are not tiny, two are sent at a time', async t => {
  const { page } = await openPageAs(t)
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
  const { page, server, user } = await openPageAs(t)
  const isLost = await loseResponse(await page.context().newCDPSession(page), 'PUT')
  await drop(page, { names: ['one.bin', 'two.bin'] })
  await areStored(page, 2)
  t.ok(isLost())
  t.equal((await server.send('GET', '/api/account', { user })).json.usage.files, 2)
  t.same((await server.send('GET', '/api/uploads', { user })).json.uploads, [])
})

browserTest('a small file waits for a server that is busy, and for one that is away', async t => {
  const { page, server, user } = await openPageAs(t)
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
  t.equal((await server.send('GET', '/api/files/one.bin', { user })).json.size, 100_000)
})

browserTest('the list folds away when all is done, and opens for a failure and for new files', async t => {
  const { page } = await openPageAs(t, { settings: { MAX_FILE_BYTES: '1000' } })
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
})

browserTest('numbers in refusals are written as elsewhere on the page', async t => {
  const { page } = await openPageAs(t)
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
