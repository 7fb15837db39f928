import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import type { Test } from 'tap'
import { sharedServer, startServer, type RunningServer } from '../../kit/server.ts'
import { browserTest, phone } from '../browser.ts'
import { noDialog } from '../files-page.ts'
import { checkAccessible, checkFits, openPage, openPageAs, PASSWORD, registerOn, signInOn } from '../page.ts'

/** The page as an app that is installed on a phone, with which other apps share files. */

/** Each browser of the tests forgets everything, as in private windows, in which nothing can be installed. */
const OF_TESTS = ['in-incognito']

/** Asserts that Chromium would install the page at an address, and where it opens it. */
async function checkInstallable (t: Test, page: Page, url: string): Promise<void> {
  const devTools = await page.context().newCDPSession(page)
  const { url: manifestUrl, errors, data = '' } = await devTools.send('Page.getAppManifest')
  t.strictSame([manifestUrl, errors], [`${url}manifest.webmanifest`, []])
  const { installabilityErrors } = await devTools.send('Page.getInstallabilityErrors')
  t.strictSame(installabilityErrors.map(({ errorId }) => errorId).filter(id => !OF_TESTS.includes(id)), [])
  const { start_url: start, scope, share_target: { action } } = JSON.parse(data)
  t.strictSame([start, scope, action].map(path => new URL(path, manifestUrl).href), [url, url, `${url}share`])
}

/** Opens the address of the share target as the system does: with a form. Here another window sends it. */
async function share (page: Page, url: string, files: Record<string, string>): Promise<void> {
  await page.evaluate(({ url, files }) => {
    const dataTransfer = new DataTransfer()
    for (const [name, content] of Object.entries(files)) dataTransfer.items.add(new File([content], name))
    const form = Object.assign(document.createElement('form'), { action: `${url}share`, method: 'post', enctype: 'multipart/form-data' })
    form.append(Object.assign(document.createElement('input'), { type: 'file', name: 'files', multiple: true, files: dataTransfer.files }))
    document.body.append(form)
    form.submit()
  }, { url, files })
  await page.waitForURL(url)
}

const question = (page: Page) => page.getByRole('dialog', { name: 'Upload the shared files?' })
const answer = (page: Page, name: string) => question(page).getByRole('button', { name, exact: true }).click()
const filesOf = async (server: RunningServer, username: string) =>
  (await server.send('GET', '/api/files', { user: [username, PASSWORD] })).json.files.map(({ name }: { name: string }) => name)

/** A window of the same browser that shows nothing, from which files are shared. */
async function openSharer (page: Page): Promise<Page> {
  const sharer = await page.context().newPage()
  await sharer.goto('about:blank')
  return sharer
}

browserTest('Chromium installs the page, and files that another app shares are uploaded after a question, also below a folder', async t => {
  const visit = await openPageAs(t, { isWhole: true })
  await checkInstallable(t, visit.page, `${visit.url}/`)
  // At the folder `/store` of another server, as behind a proxy.
  let port = 0
  const proxy = createServer((request, response) => {
    const { method, url = '', headers } = request
    const upstream = httpRequest({ port, method, path: url.replace(/^\/store/, ''), headers, agent: false }, answer => {
      response.writeHead(Number(answer.statusCode), answer.headers)
      answer.pipe(response)
    })
    upstream.on('error', () => response.destroy())
    request.pipe(upstream)
  })
  await once(proxy.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => { proxy.closeAllConnections(); proxy.close() })
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/store/`
  const server = await startServer(t, { PUBLIC_URL: url.slice(0, -1) })
  port = server.port
  const { page } = await openPage(t, url, { ...phone, isWhole: true })
  await registerOn(page, 'ann')
  await checkInstallable(t, page, url)
  // The service worker takes them. It is there since the first visit.
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => {}))
  const sharer = await openSharer(page)
  await share(sharer, url, { 'a.txt': 'first', 'b.txt': 'second', 'ümlaut.txt': 'third', d: '', e: '', f: '', g: '' })
  await question(sharer).getByText('ümlaut.txt').waitFor()
  await question(sharer).getByText('and 2 more').waitFor()
  await checkAccessible(t, sharer, 'the question about shared files')
  await checkFits(t, sharer, 'the question about shared files')
  t.same(await filesOf(server, 'ann'), [], 'nothing is stored before the answer')
  await answer(sharer, 'Upload')
  await sharer.getByText('7 files uploaded').first().waitFor()
  t.same(await filesOf(server, 'ann'), ['a.txt', 'b.txt', 'd', 'e', 'f', 'g', 'ümlaut.txt'])
  await sharer.reload()
  await sharer.getByRole('grid').waitFor()
  t.equal(await question(sharer).count(), 0, 'the page asks once')

  const statuses = await page.evaluate(() => Promise.all(['share', 'share?files', 'share/more'].map(async path => {
    const body = new FormData()
    body.append('files', new File(['x'], 'x.txt'))
    return (await fetch(path, { method: 'POST', body })).status
  })))
  t.same(statuses, [404, 404, 404], 'the server has no such address: only the navigation of the share target is taken')
  await sharer.reload()
  await sharer.getByRole('grid').waitFor()
  t.equal(await question(sharer).count(), 0)
})

browserTest('shared files wait for the sign-in and for an answer, and are forgotten if the user wants that', async t => {
  const server = await sharedServer()
  const url = `${server.url}/`
  await server.send('POST', '/api/users', { json: { username: 'ann', password: PASSWORD } })
  const { page } = await openPage(t, url)
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => {}))
  const sharer = await openSharer(page)
  await share(sharer, url, { 'one.txt': 'first' })
  await sharer.getByRole('heading', { name: 'Sign in', exact: true }).waitFor()
  const other = await openSharer(page)
  await share(other, url, { 'two.txt': 'second' })
  await signInOn(other, 'ann')
  await question(other).getByText('one.txt').waitFor()
  await question(other).getByText('two.txt').waitFor()
  await other.keyboard.press('Escape')
  await noDialog(other)
  await other.reload()
  await question(other).getByText('one.txt').waitFor()
  await answer(other, 'Discard')
  await noDialog(other)
  await other.reload()
  await other.getByText('No files yet').waitFor()
  t.equal(await question(other).count(), 0, 'they are forgotten')
  t.same(await filesOf(server, 'ann'), [])
})
