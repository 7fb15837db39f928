import { randomBytes } from 'node:crypto'
import type { Page } from 'playwright-core'
import tap, { type Test } from 'tap'
import { sha256Of } from '../../kit/digests.ts'
import { codeAt } from '../../kit/one-time-codes.ts'
import { sharedServer, signUp } from '../../kit/server.ts'
import { MIB } from '../../kit/sizes.ts'
import { button, checkView, dialog, problemIn, section } from '../account-page.ts'
import { browserTest, isFocused, limitSpeed, shows } from '../browser.ts'
import { addTo, isUnderWay, notice, panel, textFile } from '../files-page.ts'
import { signInAt, startWithProvider, windowOf, type IdentityServer } from '../identities-page.ts'
import { fillCredentials, goTo, openPage, PASSWORD, signedIn, signInOn } from '../page.ts'

let started: Promise<IdentityServer> | undefined

/** The server of these stories: who has an identity can register, and who has not can't. */
function server (): Promise<IdentityServer> {
  started ??= startWithProvider(tap, {}, sharedServer)
  return started
}

async function open (t: Test) {
  const { home, ...client } = await server()
  const { page } = await openPage(t, home)
  return { page, home, client }
}

const toProvider = (page: Page) => button(page, 'Sign in with Example')
const title = (page: Page, name: string) => page.getByRole('heading', { level: 2, name, exact: true })

/** How often something that was drawn has moved. */
const shiftsOf = (page: Page) => page.evaluate(() => {
  const observer = new PerformanceObserver(() => {})
  observer.observe({ type: 'layout-shift', buffered: true })
  return observer.takeRecords().length
})

/** Registers somebody who has no account, in this window. */
async function registerAs (page: Page, login: string): Promise<void> {
  await toProvider(page).click()
  await signInAt(page, login)
  await title(page, 'Choose a username').waitFor()
  await button(page, 'Create an account').click()
  await signedIn(page)
}

browserTest('in one window, somebody without an account chooses a name, and signs in from then on', async t => {
  const { page, home, client } = await open(t)
  const { user: [taken] } = await signUp(client)
  await page.getByText('To create an account, sign in with Example.').waitFor()
  await button(page, 'Sign in with a passkey').waitFor()
  t.equal(await shiftsOf(page), 0, 'nothing has moved since the form was drawn')
  await checkView(t, page, 'the sign-in page with a provider')
  await toProvider(page).click()
  await page.getByPlaceholder('Enter any login').waitFor()
  await page.goBack()
  await toProvider(page).click()
  await signInAt(page, 'Anna')
  await title(page, 'Choose a username').waitFor()
  t.equal(page.url(), `${home}/`, 'nothing of the answer stays in the address')
  const name = page.getByLabel('Username')
  t.equal(await name.inputValue(), 'Anna', 'what the provider calls her is proposed')
  await checkView(t, page, 'the choice of a name')
  await name.fill(taken)
  await button(page, 'Create an account').click()
  t.match(await problemIn(page), /taken/i)
  await name.fill('Änne')
  await page.keyboard.press('Enter')
  await signedIn(page)
  t.equal(await page.locator('.username').innerText(), 'Änne')
  await page.reload()
  await signedIn(page)

  await button(page, 'Sign out').click()
  await page.getByText('You are signed out here. Example may still know you.').waitFor()
  await toProvider(page).click()
  await signedIn(page)
  t.equal(await page.locator('.username').innerText(), 'Änne', 'the provider knows her still')
  await goTo(page, 'Account')
  await page.getByText('This session').waitFor()
  t.match(await section(page, 'Signed-in sessions').innerText(), /with identity provider/)
})

browserTest('an answer that was not begun here, was used, or that the provider refused, signs nobody in, and says so in words of the page', async t => {
  const { page, home } = await open(t)
  await page.goto(`${home}/#oidc=${encodeURIComponent('code=abc&state=unknown')}`)
  await page.getByText('This sign-in was not begun in this browser, or too long ago.').waitFor()
  t.equal(page.url(), `${home}/`)
  await checkView(t, page, 'an answer that was not begun here')
  await page.getByRole('link', { name: 'Go to the page' }).click()
  await toProvider(page).click()
  await page.getByText('[ Cancel ]').click()
  t.match(await problemIn(page), 'The answer of Example was refused')
  t.notMatch(await page.locator('body').innerText(), /aborted|access_denied/, 'nothing that the provider says')
  await toProvider(page).click()
  const returned = page.waitForRequest(request => request.url().startsWith(`${home}/oidc/callback`))
  await signInAt(page, 'used')
  const response = new URL((await returned).url()).search.slice(1)
  await title(page, 'Choose a username').waitFor()
  await page.reload()
  await toProvider(page).waitFor()
  await page.goto(`${home}/#oidc=${encodeURIComponent(response)}`)
  await page.getByText('not begun in this browser').waitFor()
})

browserTest('each refusal has plain words', async t => {
  const { page } = await open(t)
  let refusal = { status: 0, code: '' }
  await page.route('**/api/session/oidc', route => route.fulfill({
    status: refusal.status,
    contentType: 'application/problem+json',
    headers: { 'retry-after': '60' },
    body: JSON.stringify({ type: 'about:blank', title: 'of the server', detail: 'of the server', ...refusal })
  }))
  const refusals: [status: number, code: string, words: RegExp][] = [
    [403, 'identity_unknown', /No account here is connected to you at Example/],
    [403, 'identity_not_allowed', /Example has signed you in, but you may not use this server/],
    [503, 'provider_unavailable', /Example could not be reached.* Try again in 60 seconds/],
    [429, 'too_many_sign_ins', /Too many sign-ins from your network have failed/],
    [400, 'anything_else', /^The server refused this \(anything_else\)/]
  ]
  for (const [index, [status, code, words]] of refusals.entries()) {
    refusal = { status, code }
    await toProvider(page).click()
    // From then on, the provider knows who it is.
    if (index === 0) await signInAt(page, 'refused')
    t.match(await problemIn(page), words, code)
    await page.getByRole('link', { name: 'Go to the page' }).click()
  }
})

/** The account of somebody with a password. */
async function openAccount (t: Test) {
  const { page, ...others } = await open(t)
  const { user } = await signUp(others.client)
  await signInOn(page, user[0])
  await goTo(page, 'Account')
  return { page, user, ...others }
}

const identities = (page: Page) => section(page, 'Identity provider')

/** Answers a dialog that asks for the password. */
async function confirm (page: Page, title: string, label: string, password = PASSWORD): Promise<void> {
  await dialog(page, title).getByLabel('Current password').fill(password)
  await button(dialog(page, title), label).click()
}

browserTest('an account with a password connects an identity in another window, and removes it', async t => {
  const { page, user: [username], client } = await openAccount(t)
  await identities(page).getByText('Your account is not connected to Example.').waitFor()
  await checkView(t, page, 'an account without an identity')
  const connect = button(identities(page), 'Connect Example')
  const forgotten = await windowOf(page, () => connect.click())
  await forgotten.getByPlaceholder('Enter any login').waitFor()
  await identities(page).getByText('Go on in the window of Example.').waitFor()
  await checkView(t, page, 'an account that waits for another window')
  await forgotten.close()
  const opened = await windowOf(page, () => connect.click())
  await signInAt(opened, 'Connie')
  await dialog(page, 'Connect Example').waitFor()
  t.equal(await page.locator('.username').innerText(), username, 'this page has gone nowhere')
  await checkView(t, page, 'a connection')
  await confirm(page, 'Connect Example', 'Connect', 'wrong')
  t.match(await problemIn(dialog(page, 'Connect Example')), 'Wrong username or password')
  await confirm(page, 'Connect Example', 'Connect')
  await page.getByRole('status').getByText('Example is connected.').waitFor()
  await identities(page).getByText('Connie').waitFor()
  await shows(t, async () => opened.isClosed() || (await opened.locator('body').innerText()).includes('This one can be closed.'), true, 'the other window is of no more use')
  await section(page, 'Recent events').getByText('Identity connected').waitFor()
  const again = await windowOf(page, () => connect.click())
  await dialog(page, 'Connect Example').waitFor()
  await confirm(page, 'Connect Example', 'Connect')
  t.match(await problemIn(dialog(page, 'Connect Example')), 'This identity at Example is already connected to an account.')
  await button(dialog(page, 'Connect Example'), 'Cancel').click()
  if (!again.isClosed()) await again.close()

  await button(page, 'Sign out').click()
  await toProvider(page).click()
  await signedIn(page)
  t.equal(await page.locator('.username').innerText(), username)
  await goTo(page, 'Account')
  await button(identities(page), 'Remove Connie').click()
  await dialog(page, 'Remove this identity?').getByText('Connie').waitFor()
  await confirm(page, 'Remove this identity?', 'Remove')
  await dialog(page, 'Your session has ended').getByText('Sign in again').waitFor()
  await button(dialog(page, 'Your session has ended'), 'Sign in with Example').click()
  t.match(await problemIn(dialog(page, 'Your session has ended')), 'No account here is connected to you at Example')
  await dialog(page, 'Your session has ended').getByLabel('Password', { exact: true }).fill(PASSWORD)
  await button(dialog(page, 'Your session has ended'), 'Sign in').click()
  await identities(page).getByText('Your account is not connected to Example.').waitFor()
  t.strictSame((await client.send('GET', '/api/identities', { user: [username, PASSWORD] })).json, { identities: [] })
})

browserTest('without a password, an account has no sections for one, and confirms a token and its deletion in another window', async t => {
  const { page, client } = await open(t)
  await registerAs(page, 'Nopw')
  await goTo(page, 'Account')
  await identities(page).getByText('Your account has no password: Example signs you in.').waitFor()
  await identities(page).getByText('Nopw').waitFor()
  for (const name of ['Password', 'Second factor']) t.equal(await section(page, name).count(), 0, name)
  await checkView(t, page, 'an account without a password')
  await button(page, 'New token').click()
  const form = dialog(page, 'New token')
  await form.getByText('To confirm that it is you, Example opens in a new window.').waitFor()
  await form.getByLabel('Name', { exact: true }).fill('a program')
  await form.getByRole('checkbox', { name: 'Revoke tokens' }).check()
  await checkView(t, page, 'a token that the provider confirms')
  await button(form, 'Create the token').click()
  const secret = await dialog(page, 'Token created').getByLabel('Token', { exact: true }).inputValue()
  t.equal((await client.send('GET', '/api/files', { token: secret })).status, 200)
  await button(page, 'Done').click()

  t.equal((await client.send('DELETE', '/api/tokens', { token: secret })).status, 204)
  // The page may know already, and then its dialog covers the links.
  await page.evaluate(() => { location.hash = 'trash' })
  const ended = dialog(page, 'Your session has ended')
  await ended.waitFor()
  await shows(t, () => isFocused(button(ended, 'Sign in with Example')), true, 'the focus is on the only way in')
  t.equal(await ended.locator('input').count(), 0, 'no password is asked for')
  t.equal(await ended.getByText('Or with a password').count(), 0)
  await checkView(t, page, 'a session that has ended')
  await button(ended, 'Sign in with Example').click()
  await ended.waitFor({ state: 'detached' })
  t.equal(await page.locator('.username').innerText(), 'Nopw')

  let answer = () => {}
  const held = new Promise<void>(resolve => { answer = resolve })
  await page.route('**/api/account', async route => { await held; await route.continue() })
  await goTo(page, 'Account')
  await section(page, 'Signed-in sessions').getByText('This session').waitFor()
  for (const name of ['New token', 'Delete the account', 'Change the password']) t.equal(await button(page, name).count(), 0, `${name}, before it is known whether there is a password`)
  answer()
  await button(page, 'Delete the account').click()
  const deletion = dialog(page, 'Delete the account?')
  await deletion.getByLabel('Type your username').fill('Nopw')
  await button(deletion, 'Delete the account').click()
  await page.getByText('Your account and all your files are deleted.').waitFor()
})

/** An access token that the page uses: the account has no password, with which a test could ask for one. */
async function tokenOf (page: Page): Promise<string> {
  const asked = page.waitForRequest(request => 'authorization' in request.headers())
  await goTo(page, 'Recent')
  const { authorization } = (await asked).headers()
  await goTo(page, 'Files')
  return String(authorization?.replace('Bearer ', ''))
}

browserTest('if the session of an account without a password ends during uploads, they go on after the sign-in in another window', async t => {
  const { page, client } = await open(t)
  await registerAs(page, 'Uli')
  const bytes = randomBytes(3 * MIB)
  await limitSpeed(page, MIB / 4)
  await addTo(page, textFile('large.bin', bytes))
  await isUnderWay(t, page, 'large.bin')
  await button(page, 'Pause large.bin').click()
  await button(page, 'Resume large.bin').waitFor()
  t.equal((await client.send('DELETE', '/api/tokens', { token: await tokenOf(page) })).status, 204)
  // The request that waits for changes may tell the page at once, and its dialog then takes the clicks.
  await button(page, 'Resume large.bin').dispatchEvent('click')
  const ended = dialog(page, 'Your session has ended')
  await ended.waitFor()
  await panel(page).getByText('This upload continues when you have signed in again.').waitFor()
  await limitSpeed(page, -1)
  let loads = 0
  page.on('load', () => { loads++ })
  const opened = await windowOf(page, () => button(ended, 'Sign in with Example').click())
  await ended.waitFor({ state: 'detached' })
  await notice(page, '1 file uploaded').or(panel(page).getByText(/^Uploaded, /)).first().waitFor()
  await shows(t, async () => opened.isClosed() || (await opened.locator('body').innerText()).includes('This one can be closed.'), true, 'the other window is of no more use')
  t.equal(loads, 0, 'the page is the one that it was')
  const { json } = await client.send('GET', '/api/files/large.bin', { token: await tokenOf(page) })
  t.equal(json.sha256, sha256Of(bytes), 'every byte is there')
})

browserTest('the first second factor ends the identities of an account, of which the page tells before and after', async t => {
  const { page } = await openAccount(t)
  await windowOf(page, () => button(identities(page), 'Connect Example').click()).then(opened => signInAt(opened, 'Thea'))
  await confirm(page, 'Connect Example', 'Connect')
  await identities(page).getByText('Thea').waitFor()
  await button(page, 'Set up one-time codes').click()
  const form = dialog(page, 'Set up one-time codes')
  await form.getByText('connections to Example end').waitFor()
  await checkView(t, page, 'a first factor that ends identities')
  await form.getByLabel('Current password').fill(PASSWORD)
  await button(form, 'Continue').click()
  const secret = await form.getByLabel('Key', { exact: true }).inputValue()
  await form.getByLabel('Code from your authenticator app').fill(codeAt(secret, Date.now()))
  await button(form, 'Turn on').click()
  await button(dialog(page, 'Recovery codes'), 'Done').click()
  await identities(page).getByText('Your account is not connected to Example.').waitFor()
  await button(section(page, 'Second factor'), 'Use another app').click()
  await form.waitFor({ state: 'detached' })
  await dialog(page, 'Use another app').waitFor()
  t.equal(await page.getByText('connections to Example end').count(), 0, 'a later factor ends none')
})

browserTest('somebody who has an account signs in with its password, and then connects', async t => {
  const { page, client } = await open(t)
  const { user: [username] } = await signUp(client)
  await toProvider(page).click()
  await signInAt(page, 'Both')
  await button(page, 'I have an account: connect it instead').click()
  await title(page, 'Sign in with your password').waitFor()
  await checkView(t, page, 'a sign-in before a connection')
  await fillCredentials(page, { username, password: PASSWORD })
  await button(page, 'Sign in').click()
  await page.getByText(`You are signed in as ${username}.`).waitFor()
  await checkView(t, page, 'an offer to connect')
  await button(page, 'Connect Example').click()
  await page.getByRole('status').getByText('Example is connected.').waitFor()
  await signedIn(page)
  await button(page, 'Sign out').click()
  await toProvider(page).click()
  await signedIn(page)
  t.equal(await page.locator('.username').innerText(), username)
})

browserTest('at another address than that of the provider there are links to it; a browser that opens no window or stores nothing says so', async t => {
  const { page, home, client, user } = await openAccount(t)
  await page.evaluate(() => { window.open = () => null })
  await button(identities(page), 'Connect Example').click()
  t.match(await problemIn(identities(page)), 'The browser did not open a window.')
  await button(page, 'Sign out').click()
  await page.getByText('may still know you').waitFor()
  await page.evaluate(() => { IDBFactory.prototype.open = () => { throw new DOMException('not allowed', 'SecurityError') } })
  await toProvider(page).click()
  t.match(await problemIn(page), 'The browser allows no storage, which this needs.')
  await page.goto(client.url)
  t.equal(await page.getByRole('link', { name: 'Sign in with Example' }).getAttribute('href'), `${home}/`)
  await signInOn(page, user[0])
  await goTo(page, 'Account')
  t.equal(await identities(page).getByRole('link').getAttribute('href'), `${home}/`)
  t.equal(await button(identities(page), 'Connect Example').count(), 0)
})
