import { browserTest, shows } from '../browser.ts'
import { panel } from '../files-page.ts'
import { areStored, drop, numbered } from '../many-files.ts'
import { openPageAs } from '../page.ts'

/** Many small files at once. */

for (const [what, count, bytes, atOnce] of [['small files are sent in one request each, six at a time', 40, 100, 6], ['of files that are not tiny, two are sent at a time', 6, 1_000_000, 2]] as const) {
  browserTest(what, async t => {
    const { page, server, user } = await openPageAs(t)
    const held: (() => void)[] = []
    let isHeld = true
    await page.route('**/uploads/*', async route => {
      if (isHeld) await new Promise<void>(resolve => { held.push(resolve) })
      await route.continue()
    })
    await drop(page, { names: numbered(count), bytes })
    await shows(t, async () => held.length, atOnce)
    isHeld = false
    for (const release of held) release()
    await areStored(page, count)
    t.equal(held.length, atOnce, 'no more at once')
    t.equal((await server.send('GET', '/api/account', { user })).json.usage.files, count)
    if (bytes > 100) return
    const sent = await page.evaluate(() => performance.getEntriesByType('resource')
      .filter(({ name }) => name.includes('/uploads/')).map(entry => (entry as { workerFinalSourceType?: string }).workerFinalSourceType))
    t.same(sent, Array.from({ length: count }, () => 'network'), 'one request each, none of which the service worker saw')
  })
}

browserTest('a small file whose response is lost is stored once, and the page asks nothing', async t => {
  const { page, server, user } = await openPageAs(t)
  // The page loses the first response, after the server has sent it.
  let isLost = false
  const devTools = await page.context().newCDPSession(page)
  devTools.on('Fetch.requestPaused', ({ requestId, request }) => {
    const loses = !isLost && request.method === 'PUT'
    isLost ||= loses
    void (loses ? devTools.send('Fetch.failRequest', { requestId, errorReason: 'ConnectionReset' }) : devTools.send('Fetch.continueRequest', { requestId }))
  })
  await devTools.send('Fetch.enable', { patterns: [{ urlPattern: '*/uploads/*', requestStage: 'Response' }] })
  await drop(page, { names: ['one.bin', 'two.bin'] })
  await areStored(page, 2)
  t.ok(isLost)
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
  const isOpen = () => panel(page).getByRole('button', { name: 'List of uploads', exact: true }).getAttribute('aria-expanded')
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
