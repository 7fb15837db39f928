import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, request as httpRequest, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import { createServer as createTlsServer, request as httpsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import { certify } from '../../kit/certificates.ts'
import { sharedServer, spawnServer } from '../../kit/server.ts'
import { browserTest, shows } from '../browser.ts'
import { addTo, textFile } from '../files-page.ts'
import { openPage, openSecondWindow, PASSWORD, registerOn, signedIn, signInOn } from '../page.ts'

interface Answer { status: number, headers: IncomingHttpHeaders, json: any }

/** Sends a request as a program does. The certificate of the tests is self-signed. */
function ask (url: string, method: string, headers: Record<string, string> = {}, body = ''): Promise<Answer> {
  const options = { method, headers: { 'content-length': Buffer.byteLength(body), ...headers }, rejectUnauthorized: false, agent: false }
  return new Promise((resolve, reject) => {
    const request = (url.startsWith('https:') ? httpsRequest : httpRequest)(url, options, response => {
      response.toArray().then(chunks => {
        const text = Buffer.concat(chunks).toString()
        resolve({ status: Number(response.statusCode), headers: response.headers, json: text === '' ? undefined : JSON.parse(text) })
      }, reject)
    })
    request.once('error', reject).end(body)
  })
}

const basicOf = (username: string) => ({ authorization: `Basic ${Buffer.from(`${username}:${PASSWORD}`).toString('base64')}` })
const cookieIn = ({ headers }: Answer) => String(headers['set-cookie']?.[0]?.split(';')[0])

for (const tls of [false, true]) {
  browserTest(`a page on another port of the host neither uses the session nor plants one, ${tls ? 'over TLS' : 'over plain HTTP'}`, async t => {
    const folder = t.testdir({ data: {} })
    const files = tls ? await certify(folder) : undefined
    const { port } = await spawnServer(t, { DATA_DIR: `${folder}/data`, ...files })
    const target = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`
    // Another port of the host: a page of the attacker, and images. It reads the cookies of browsers, and sets others.
    const cookies = new Set<string>()
    let planting: string[] = []
    const answer: RequestListener = ({ headers }, response) => {
      for (const cookie of headers.cookie?.split('; ') ?? []) if (cookie.includes('magicstore_session=')) cookies.add(cookie)
      response.setHeader('set-cookie', planting)
      response.setHeader('content-type', 'text/html').end(`<!doctype html><title>Attack</title><img src="/api/session"><form method=post action="${target}/api/session"></form>`)
    }
    const server = files === undefined
      ? createServer(answer)
      : createTlsServer({ cert: await readFile(files.TLS_CERT), key: await readFile(files.TLS_KEY) }, answer)
    await once(server.listen(0, '127.0.0.1'), 'listening')
    t.teardown(() => { server.closeAllConnections(); server.close() })
    const attacker = `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`
    const { page: victim } = await openPage(t, target, { ignoreHTTPSErrors: true })
    await registerOn(victim, 'ann')
    const hostile = await victim.context().newPage()
    await hostile.goto(attacker, { waitUntil: 'networkidle' })

    // The browser sends the cookie to the other port, whose server uses it as a program.
    t.equal(cookies.size, 1)
    for (const cookie of cookies) {
      for (const method of ['GET', 'DELETE', 'POST']) {
        const { status, json } = await ask(`${target}/api/session`, method, { cookie })
        t.match({ status, json }, method === 'POST' ? { status: 401 } : { status: 204, json: undefined }, method)
      }
      const { status } = await ask(`${target}/api/session`, 'GET', { cookie, 'session-key': cookie.slice(cookie.indexOf('=') + 1) })
      t.equal(status, 204)
    }
    const outcomes = await hostile.evaluate(async target => {
      const outcomes = []
      for (const init of [
        { credentials: 'include' }, { credentials: 'include', mode: 'no-cors' }, { credentials: 'include', method: 'DELETE' },
        { credentials: 'include', headers: { 'session-key': 'A'.repeat(43) } }, { credentials: 'include', method: 'POST', mode: 'no-cors' }
      ] as const) {
        outcomes.push(await fetch(`${target}/api/session`, init).then(async response => `${response.type} ${await response.text()}`, () => 'refused'))
      }
      return [...outcomes, `${(await indexedDB.databases()).length} databases`, `${Object.keys(localStorage).length} items`]
    }, target)
    t.strictSame(outcomes, ['refused', 'opaque ', 'refused', 'refused', 'opaque ', '0 databases', '0 items'])
    const posted = hostile.waitForResponse(`${target}/api/session`)
    await hostile.locator('form').evaluate((form: HTMLFormElement) => form.submit())
    t.equal((await posted).status(), 403)
    await victim.reload()
    await signedIn(victim)
    t.equal(await victim.locator('.username').innerText(), 'ann', 'the session is as it was')

    // The other way round: the cookie of the attacker in the browser of the victim.
    await ask(`${target}/api/users`, 'POST', { 'content-type': 'application/json' }, JSON.stringify({ username: 'mallory', password: PASSWORD }))
    const planted = await ask(`${target}/api/session`, 'POST', basicOf('mallory'))
    planting = [`${cookieIn(planted)}; ${tls ? 'Secure; Path=/' : 'Path=/api/session'}`]
    await hostile.goto(attacker)
    await victim.reload()
    await victim.getByRole('heading', { name: 'Sign in', exact: true }).waitFor()
    t.equal(await victim.locator('.username').count(), 0)
    await signInOn(victim, 'ann')
    t.equal(await victim.locator('.username').innerText(), 'ann')
    await addTo(victim, textFile('secret.txt', 'secret'))
    await victim.getByText('1 file uploaded').first().waitFor()
    for (const [username, names] of [['ann', ['secret.txt']], ['mallory', []]] as const) {
      const { json } = await ask(`${target}/api/files`, 'GET', basicOf(username))
      t.strictSame(json.files.map(({ name }: { name: string }) => name), names, `the files of ${username}`)
    }
    // A browser without a session: nobody signs it in.
    const fresh = await openPage(t, target, { ignoreHTTPSErrors: true })
    const opened = await fresh.page.context().newPage()
    await opened.goto(attacker)
    await fresh.page.reload()
    await fresh.page.getByRole('heading', { name: 'Sign in', exact: true }).waitFor()
    t.equal((await ask(`${target}/api/session`, 'GET', { cookie: cookieIn(planted), 'session-key': planted.json.key })).status, 200, 'the session of the attacker has not ended either')
  }, [/blocked by CORS policy/, /^An SSL certificate error occurred when fetching the script/])
}

/** Everything that a page can store in the browser, as text. */
const storedBy = (page: Page) => page.evaluate(async () => {
  const databases = await Promise.all((await indexedDB.databases()).map(async ({ name = '' }) => {
    const database = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open(name)
      request.onsuccess = () => resolve(request.result)
      request.onerror = reject
    })
    const records = await Promise.all(Array.from(database.objectStoreNames, store => new Promise(resolve => {
      const request = database.transaction(store).objectStore(store).getAll()
      request.onsuccess = () => resolve(request.result)
    })))
    database.close()
    return records
  }))
  return JSON.stringify([{ ...localStorage }, {
    ...sessionStorage
  }, databases, await caches.keys(), document.cookie, history.state, document.title, document.body.innerText])
})

browserTest('after a sign-out nothing in the browser names the user or a file, and the key of the session is gone', async t => {
  const server = await sharedServer()
  const { page } = await openPage(t, server.url)
  await registerOn(page, 'zanzibar')
  const user: [string, string] = ['zanzibar', PASSWORD]
  await page.evaluate(() => {
    localStorage.setItem('uploads / zanzibar', '{}')
    localStorage.setItem('uploads /other/ zanzibar', 'of another server on this origin')
  })
  await page.route('**/api/uploads/*', route => route.request().method() === 'PATCH' ? route.abort() : route.continue())
  await addTo(page, textFile('secret.txt', Buffer.alloc(9_000_000)))
  await shows(t, async () => (await server.send('GET', '/api/uploads', { user })).json.uploads.length, 1)
  const [{ id }] = (await server.send('GET', '/api/uploads', { user })).json.uploads
  await shows(t, async () => (await storedBy(page)).includes(id), true, 'what continues an upload is kept')
  t.match(await storedBy(page), /"[\w-]{43}"/, 'and so is the key')
  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Sign out', exact: true }).click()
  await page.getByRole('heading', { name: 'Sign in', exact: true }).waitFor()
  await page.evaluate(() => localStorage.removeItem('uploads /other/ zanzibar'))
  const stored = await storedBy(page)
  t.notMatch(stored, /zanzibar|secret\.txt/)
  t.notMatch(stored, /"[\w-]{43}"/)
  await signInOn(page, 'zanzibar')
  await page.getByText('Not finished').waitFor()
  t.match(await storedBy(page), id, 'the upload can be continued')
})

browserTest('a browser without IndexedDB keeps the session until the window is loaded again', async t => {
  const server = await sharedServer()
  const visit = await openPage(t, server.url)
  const { page } = visit
  await page.addInitScript(() => { IDBFactory.prototype.open = () => { throw new DOMException('not allowed', 'SecurityError') } })
  await page.reload()
  await registerOn(page, 'memory')
  await server.send('DELETE', '/api/token', { user: ['memory', PASSWORD] })
  await page.getByRole('navigation').getByRole('link', { name: 'Account' }).click()
  await page.getByText('This session').waitFor()
  await page.evaluate(() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })))
  t.equal(await page.locator('.username').innerText(), 'memory', 'a renewal finds the session')
  await page.reload()
  await page.getByRole('heading', { name: 'Sign in', exact: true }).waitFor()
  await signInOn(page, 'memory')
  const second = await openSecondWindow(visit)
  await second.page.getByRole('heading', { name: 'Sign in', exact: true }).or(second.page.locator('.username')).first().waitFor()
  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
  await page.getByRole('heading', { name: 'Sign in', exact: true }).waitFor()
})
