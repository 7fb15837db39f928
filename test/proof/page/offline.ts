import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import type { Test } from 'tap'
import { sha256Of } from '../../kit/digests.ts'
import { clientOf, sharedServer, signUp } from '../../kit/server.ts'
import { browserTest, limitSpeed, openProfile, shows } from '../browser.ts'
import { addTo, fileButton, folderLink, notice, panel, textFile, visitAs } from '../files-page.ts'
import { checkAccessible, checkFits, isKept, PASSWORD, registerOn, signedIn, signInOn } from '../page.ts'
import { startProcess, type ServerProcess } from '../server-process.ts'

/** The page while its server is gone, in a browser that is closed and opened again. */

/** A server that can be killed and comes back at its address. */
async function startMortal (t: Test) {
  const dataDir = join(t.testdir({ data: {}, profile: {} }), 'data')
  let running: ServerProcess | undefined
  let port = 0
  const kill = async () => {
    running?.child.kill('SIGKILL')
    await running?.ended
  }
  const start = async () => {
    running = await startProcess(dataDir, [], port)
    port = Number(new URL(running.url).port)
    return `${running.url}/`
  }
  t.teardown(kill)
  const url = await start()
  const client = clientOf(port)
  const filesOf = async (username: string): Promise<Record<string, string>> => {
    const { files } = (await client.send('GET', '/api/files', { user: [username, PASSWORD] })).json
    return Object.fromEntries(files.map(({ name, sha256 }: { name: string, sha256: string }) => [name, sha256]))
  }
  return { url, start, kill, client, filesOf }
}

const banner = (page: Page) => page.getByRole('status').getByText('You are offline.')

/** What the page keeps: of whom, which kind, and for lists of which folder. */
const kept = (page: Page) => page.evaluate(() => new Promise<string[]>((resolve, reject) => {
  const opening = indexedDB.open('magicstore kept')
  opening.onerror = () => reject(opening.error)
  opening.onsuccess = () => {
    const { result } = opening
    if (!result.objectStoreNames.contains('kept')) return resolve([])
    const listing = result.transaction('kept').objectStore('kept').getAllKeys()
    result.close()
    listing.onsuccess = () => resolve((listing.result as string[][]).map(([, username, kind, name]) => kind === 'list' ? `${username}: /${name}` : `${username}: a file`))
  }
}))

browserTest('with the server killed, the page opens with its last lists; a file chosen then goes up once when the server is back, also after the browser was closed', async t => {
  const { url, start, kill, client, filesOf } = await startMortal(t)
  const profile = join(t.testdirName, 'profile')
  let page = await openProfile(t, profile)
  await page.goto(url)
  await registerOn(page, 'ann')
  for (const name of ['a.txt', 'trip/b.txt']) await client.send('PUT', `/uploads/${encodeURIComponent(name)}`, { user: ['ann', PASSWORD], body: name })
  await folderLink(page, 'trip').waitFor()
  await shows(t, () => kept(page), ['ann: /'])
  await folderLink(page, 'trip').click()
  await fileButton(page, 'b.txt').waitFor()
  await shows(t, () => kept(page), ['ann: /', 'ann: /trip'], 'both lists are kept')
  await isKept(t, page)

  await kill()
  await banner(page).waitFor()
  await page.reload()
  await fileButton(page, 'b.txt').waitFor()
  await banner(page).waitFor()
  await page.goto(url)
  await fileButton(page, 'a.txt').waitFor()
  await folderLink(page, 'trip').waitFor()
  await checkAccessible(t, page, 'the page without a network')
  await page.setViewportSize({ width: 390, height: 844 })
  await checkFits(t, page, 'the page without a network')
  const large = Buffer.alloc(3_000_000, 'large')
  await addTo(page, textFile('first.txt', 'one'), textFile('large.bin', large))
  await shows(t, async () => (await kept(page)).filter(key => key.endsWith('a file')), ['ann: a file', 'ann: a file'], 'both files are kept')
  await page.context().close()

  page = await openProfile(t, profile)
  await page.goto(url)
  await banner(page).waitFor()
  await fileButton(page, 'a.txt').waitFor()
  await panel(page).getByText('first.txt', { exact: true }).waitFor()
  await panel(page).getByText('large.bin', { exact: true }).waitFor()
  await start()
  await shows(t, () => banner(page).count(), 0, 'the page notices by itself')
  await fileButton(page, 'first.txt').waitFor()
  await fileButton(page, 'large.bin').waitFor()
  t.same(await filesOf('ann'), { 'a.txt': sha256Of('a.txt'), 'trip/b.txt': sha256Of('trip/b.txt'), 'first.txt': sha256Of('one'), 'large.bin': sha256Of(large) })
  await shows(t, async () => (await kept(page)).filter(key => key.endsWith('a file')), [], 'no file waits any more')
  await page.reload()
  await fileButton(page, 'large.bin').waitFor()
  t.equal(await panel(page).count(), 0, 'nothing is sent twice')
})

browserTest('what waits for the network survives the end of the session, goes to no other account, and is deleted by signing out, after a question', async t => {
  const { url, start, kill, client, filesOf } = await startMortal(t)
  const page = await openProfile(t, join(t.testdirName, 'profile'))
  await page.goto(url)
  await registerOn(page, 'ann')
  const user: [string, string] = ['ann', PASSWORD]
  await client.send('PUT', '/uploads/secret.txt', { user, body: 'hers' })
  await fileButton(page, 'secret.txt').waitFor()
  await client.send('POST', '/api/users', { json: { username: 'bob', password: PASSWORD } })
  await shows(t, () => kept(page), ['ann: /'])
  await isKept(t, page)
  await kill()
  await banner(page).waitFor()
  await addTo(page, textFile('waits.txt', 'the bytes'))
  await shows(t, () => kept(page), ['ann: a file', 'ann: /'])
  await page.reload()
  await panel(page).getByText('waits.txt', { exact: true }).waitFor()

  // The session ends where the page is not looking.
  await page.context().clearCookies()
  await start()
  await page.getByRole('dialog', { name: 'Your session has ended' }).waitFor()
  await shows(t, () => kept(page), ['ann: a file'], 'no list is kept after the session')
  await page.getByRole('button', { name: 'Sign in as another user instead' }).click()
  await signInOn(page, 'bob')
  await page.getByText('No files yet').waitFor()
  await shows(t, () => kept(page), ['ann: a file', 'bob: /'])
  t.equal(await panel(page).count(), 0)
  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
  await page.getByRole('heading', { name: 'Sign in', exact: true }).waitFor()
  t.same(await kept(page), ['ann: a file'])
  t.same(await filesOf('bob'), {})
  await signInOn(page, 'ann')
  await fileButton(page, 'waits.txt').waitFor()
  t.same(await filesOf('ann'), { 'secret.txt': sha256Of('hers'), 'waits.txt': sha256Of('the bytes') })
  await shows(t, () => kept(page), ['ann: /'])

  await kill()
  await banner(page).waitFor()
  await addTo(page, textFile('again.txt', 'other bytes'))
  await shows(t, async () => (await kept(page)).length, 2)
  await page.getByRole('button', { name: 'Pause again.txt' }).click()
  await start()
  await shows(t, () => banner(page).count(), 0)
  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
  const question = page.getByRole('dialog', { name: 'Some files are not uploaded yet' })
  await question.getByText('1 file waits').waitFor()
  await checkAccessible(t, page, 'the question before files are lost')
  await question.getByRole('button', { name: 'Cancel' }).click()
  await signedIn(page)
  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
  await question.getByRole('button', { name: 'Sign out', exact: true }).click()
  await page.getByRole('heading', { name: 'Sign in', exact: true }).waitFor()
  t.same(await kept(page), [], 'nothing is left')
  await kill()
  await page.reload()
  await page.getByText('The server cannot be reached.').waitFor()
  t.equal(await page.getByText('secret.txt').count(), 0)
})

browserTest('if the browser has no room to keep a file, the page says so, and sends the file while it is open', async t => {
  const server = await sharedServer()
  // That of a private window is not limited.
  const page = await openProfile(t, t.testdir({}))
  const devTools = await page.context().newCDPSession(page)
  await devTools.send('Storage.overrideQuotaForOrigin', { origin: new URL(server.url).origin, quotaSize: 2_000_000 })
  await page.goto(server.url)
  await signInOn(page, (await signUp(server)).user[0])
  await isKept(t, page)
  await page.context().setOffline(true)
  await banner(page).waitFor()
  await addTo(page, textFile('large.bin', randomBytes(5_000_000)))
  await notice(page, 'This browser has no room to keep large.bin. Leave this page open until it is uploaded.').waitFor()
  await page.context().setOffline(false)
  await fileButton(page, 'large.bin').waitFor()
  await shows(t, () => banner(page).count(), 0)
})

browserTest('while files are on their way, the title of the window says how far, and the icon of the app how many', async t => {
  const { page } = await visitAs(t, { 'a.txt': 'x' })
  // What the page asks of the browser: the icon itself can't be seen.
  await page.evaluate(() => {
    const badges: number[] = Object.assign(globalThis, { badges: [] }).badges
    navigator.setAppBadge = async (count = 0) => { badges.push(count) }
  })
  const badges = () => page.evaluate(() => (globalThis as unknown as { badges: number[] }).badges)
  await limitSpeed(page, 400_000)
  await addTo(page, textFile('one.bin', Buffer.alloc(2_000_000, 'x')), textFile('two.bin', Buffer.alloc(10, 'x')))
  await shows(t, async () => /^[1-9]\d? ?% · Files – MagicStore$/.test(await page.title()), true, 'the title says how much')
  await limitSpeed(page, -1)
  await shows(t, () => page.title(), 'Files – MagicStore')
  const [first, last] = [(await badges()).find(count => count > 0), (await badges()).at(-1)]
  t.same([first, last], [2, 0])
})
