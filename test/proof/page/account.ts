import type { Page } from 'playwright-core'
import type { Test } from 'tap'
import { runBin, sharedServer, signUp, type RunningServer } from '../../kit/server.ts'
import { isProof } from '../../kit/sizes.ts'
import { runSql } from '../../kit/stores.ts'
import { button, checkEveryWidth, dialog, press, problemIn, section, type } from '../account-page.ts'
import { browserTest, isFocused, shows, tabThrough, tabTo } from '../browser.ts'
import { savedBy } from '../files-page.ts'
import {
  PASSWORD, checkAccessible, fillCredentials, goTo, hasFocusIn, openPage,
  openPageAs, openSecondWindow, registerOn, signedIn, signInOn,
  type PageVisit
} from '../page.ts'

/** Asserts that each element with the focus has a visible outline and is large enough for touch. */
async function checkStops (t: Test, page: Page): Promise<void> {
  const stops = await tabThrough(page)
  const windowHeight = page.viewportSize()?.height ?? 0
  t.ok(stops.length > 10 && stops.length < 100, 'Tab goes through the page and leaves it')
  const isSeen = ({ outline, top, bottom }: typeof stops[number]) => outline === 'solid 2px' && top >= 0 && bottom <= windowHeight
  t.same(stops.filter(stop => !isSeen(stop) || Math.min(stop.width, stop.height) < 24), [])
}

browserTest('a new user registers, and each refusal is shown at its field', async t => {
  const server = await sharedServer({ PASSWORD_POLICY: 'strict' })
  const { page } = await openPage(t, server.url)
  await shows(t, () => page.title(), 'Sign in – MagicStore')
  await shows(t, () => isFocused(page.getByLabel('Username')), true, 'the first field has the focus')
  await button(page, 'Create an account instead').click()
  await checkEveryWidth(t, page, 'the registration')

  for (const username of isProof ? ['a:b', '\u202Eevil', 'a\u200Bb', '<b>مرحبا</b>'] : ['a:b']) {
    await fillCredentials(page, { username, password: 'a long sentence nobody guesses' })
    const answered = page.waitForResponse(response => response.url().endsWith('/api/users'))
    await button(page, 'Create an account').click()
    t.equal((await answered).status(), 400)
    await page.locator('.field', { hasText: 'Invalid username' }).getByLabel('Username').waitFor()
    t.equal(await page.getByLabel('Username').inputValue(), username, 'the typed text stays')
    t.equal(await page.getByLabel('Password', { exact: true }).inputValue(), 'a long sentence nobody guesses')
  }
  await fillCredentials(page, { username: '<b>Ann</b>', password: 'password' })
  await button(page, 'Create an account').click()
  await page.locator('.field', { hasText: 'Invalid password' }).getByLabel('Password', { exact: true }).waitFor()
  t.equal(await page.getByLabel('Password', { exact: true }).getAttribute('aria-invalid'), 'true')
  await shows(t, () => isFocused(page.getByLabel('Password', { exact: true })), true)
  await checkAccessible(t, page, 'a refused registration')

  await button(page, 'Show the password').click()
  t.equal(await page.getByLabel('Password', { exact: true }).getAttribute('type'), 'text')
  await page.getByLabel('Password', { exact: true }).fill('a long sentence nobody guesses')
  await button(page, 'Create an account').click()
  await signedIn(page)
  await shows(t, () => page.title(), 'Files – MagicStore')
  await shows(t, () => isFocused(page.getByRole('heading', { name: 'Files', exact: true })), true, 'a change of view moves the focus to its heading')
  t.equal(await page.locator('.username').innerText(), '<b>Ann</b>', 'markup in a username is text')
  await goTo(page, 'Account')
  await checkEveryWidth(t, page, 'the account')
  await checkAccessible(t, page, 'the account')
  await page.reload()
  await section(page, 'Recent events').getByRole('listitem').first().waitFor()
  await checkStops(t, page)
  await button(page, 'Sign out').click()
  await button(page, 'Create an account instead').click()
  await fillCredentials(page, { username: '<B>ANN</B>', password: 'a long sentence nobody guesses' })
  await button(page, 'Create an account').click()
  await page.locator('.field', { hasText: 'Username already taken' }).getByLabel('Username').waitFor()
  await button(page, 'Sign in instead').click()
  t.equal(await page.getByLabel('Password', { exact: true }).inputValue(), 'a long sentence nobody guesses', 'the other form keeps what was typed')
  t.equal(await page.getByText('Username already taken').count(), 0, 'but not the problem')
  await button(page, 'Sign in').click()
  await signedIn(page)
})

browserTest('from an empty server to a downloaded file takes five clicks and two fields', async t => {
  const server = await sharedServer()
  const { page } = await openPage(t, server.url)
  await page.evaluate("globalThis.clicks = 0; addEventListener('click', event => { clicks += Number(event.isTrusted) }, true)")
  await registerOn(page, 'clicks')
  const chosen = page.waitForEvent('filechooser')
  await button(page, 'Add files').click()
  await (await chosen).setFiles({ name: 'report.txt', mimeType: 'text/plain', buffer: Buffer.from('the first report') })
  await page.getByRole('button', { name: /^report.txt/ }).click()
  const { bytes } = await savedBy(page, () => button(page.getByRole('dialog'), 'Download').click())
  t.equal(bytes.toString(), 'the first report')
  t.equal(await page.evaluate('clicks'), 5)
})

browserTest('by the keyboard alone: register, create and revoke a token, change the password, sign out and in', async t => {
  const server = await sharedServer()
  const { page } = await openPage(t, server.url)
  await press(page, button(page, 'Create an account instead'))
  await page.keyboard.press('Shift+Tab')
  await type(page, page.getByLabel('Username'), 'keyboard')
  await type(page, page.getByLabel('Password', { exact: true }), PASSWORD)
  await page.keyboard.press('Enter')
  await signedIn(page)
  await press(page, page.getByRole('link', { name: 'Skip to the content' }))
  await shows(t, () => isFocused(page.getByRole('main')), true)
  await page.keyboard.press('Shift+Tab')
  await press(page, page.getByRole('navigation').getByRole('link', { name: 'Account' }))
  await shows(t, () => isFocused(page.getByRole('heading', { name: 'Account', exact: true })), true)

  await press(page, button(page, 'New token'))
  const form = dialog(page, 'New token')
  await shows(t, () => isFocused(form.getByLabel('Name', { exact: true })), true)
  await page.keyboard.type('keyboard')
  await page.keyboard.press('Escape')
  await shows(t, () => isFocused(button(page, 'New token')), true, 'Escape returns the focus to the button')
  await page.keyboard.press('Enter')
  await shows(t, () => isFocused(form.getByLabel('Name', { exact: true })), true)
  await page.keyboard.type('keyboard')
  await press(page, form.getByLabel('Change files'), 'Space')
  await type(page, form.getByLabel('Current password'), PASSWORD)
  await page.keyboard.press('Enter')
  const secret = dialog(page, 'Token created').getByLabel('Token')
  await secret.waitFor()
  await shows(t, () => isFocused(secret), true)
  const token = await secret.inputValue()
  await page.keyboard.press('Escape')
  await press(page, button(page, 'Done'))
  t.equal((await server.send('PUT', '/uploads/a.txt', { token, body: 'a' })).status, 201)
  await shows(t, () => isFocused(button(page, 'New token')), true, 'the focus returns to the button')

  await press(page, button(page, 'Revoke keyboard'))
  await shows(t, () => isFocused(button(page, 'Cancel')), true, 'the focus of a question starts at Cancel')
  await press(page, button(dialog(page, 'Revoke this token?'), 'Revoke'))
  await page.getByText('You have no personal access tokens.').waitFor()
  await shows(t, () => isFocused(page.getByRole('heading', { name: 'Personal access tokens' })), true, 'the focus is not lost with the row')
  t.match((await server.send('GET', '/api/files', { token })).json, { code: 'token_revoked' })

  const password = section(page, 'Password')
  await page.keyboard.press('Shift+Tab')
  await tabTo(page, password.getByLabel('Current password'), 'Shift+Tab')
  await page.keyboard.type(PASSWORD)
  await type(page, password.getByLabel('New password'), 'another password')
  await press(page, button(password, 'Change the password'))
  await page.getByRole('status').getByText('The password has changed.').waitFor()
  await shows(t, () => isFocused(button(password, 'Change the password')), true)
  await press(page, button(page, 'Dismiss'))
  await shows(t, () => hasFocusIn(page.getByRole('main')), true, 'the focus is not lost with the notice')
  await tabTo(page, button(page, 'Sign out'), 'Shift+Tab')
  await page.keyboard.press('Enter')
  await shows(t, () => isFocused(page.getByLabel('Username')), true)
  await page.keyboard.type('keyboard')
  await type(page, page.getByLabel('Password', { exact: true }), 'another password')
  await page.keyboard.press('Enter')
  await signedIn(page)
})

browserTest('a personal token works for programs within its scopes, its name is text, and its secret is shown once', async t => {
  const { page, server } = await openPageAs(t, { permissions: ['clipboard-read', 'clipboard-write'] })
  const name = '"><img src=x onerror=complain("ran")> \u05D0\u05D1 \u202Eevil'
  await goTo(page, 'Account')
  await button(page, 'New token').click()
  const form = dialog(page, 'New token')
  await form.getByLabel('Name', { exact: true }).fill(name)
  await form.getByLabel('Read files').uncheck()
  await form.getByLabel('Current password').fill(PASSWORD)
  await button(form, 'Create the token').click()
  t.match(await problemIn(form), /scopes/, 'a token without scopes is refused')
  t.equal(await form.getByLabel('Name', { exact: true }).inputValue(), name)
  await form.getByLabel('Read files').check()
  await form.getByLabel('It expires').selectOption('On a date')
  await form.getByLabel('Last day of the token').fill('2020-02-02')
  await button(form, 'Create the token').click()
  await form.locator('.problem', { hasText: 'expiresAt' }).waitFor()
  await form.getByLabel('Last day of the token').fill('2090-02-02')
  await button(form, 'Create the token').click()
  const shown = dialog(page, 'Token created')
  await shown.waitFor()
  await checkAccessible(t, page, 'a new token')
  await checkEveryWidth(t, page, 'a new token')
  await button(shown, 'Copy').click()
  await shown.getByText('Copied.').waitFor()
  const token = await page.evaluate(() => navigator.clipboard.readText())
  t.match(token, /^mst_\w{36}$/)
  t.equal(token, await shown.getByLabel('Token').inputValue())
  await button(shown, 'Done').click()
  const row = section(page, 'Personal access tokens').getByRole('listitem')
  t.equal(await row.locator('.name').innerText(), name)
  t.match(await row.innerText(), /Read files[^]*Expires Feb 2, 2090[^]*Never used/)
  t.notMatch(await page.content(), token, 'the secret is not on the page any more')

  t.equal((await server.send('GET', '/api/files', { token })).status, 200)
  t.match((await server.send('PUT', '/uploads/a.txt', { token, body: 'a' })).json, { status: 403, code: 'insufficient_scope' })
  await row.getByRole('button').click()
  t.equal(await dialog(page, 'Revoke this token?').locator('.name').innerText(), name)
  await button(dialog(page, 'Revoke this token?'), 'Revoke').click()
  await row.waitFor({ state: 'detached' })
  t.equal((await server.send('GET', '/api/files', { token })).status, 401)
})

browserTest('a new password ends all tokens, the user stays signed in, and each refusal is shown at its field', async t => {
  const visit = await openPageAs(t, { settings: { PASSWORD_POLICY: 'strict' } })
  const { page, server, token, username } = visit
  await goTo(page, 'Account')
  const form = section(page, 'Password')
  const change = async (current: string, next: string) => {
    await form.getByLabel('Current password').fill(current)
    await form.getByLabel('New password').fill(next)
    await button(form, 'Change the password').click()
  }
  await change('wrong', 'a much better sentence')
  t.match(await problemIn(form), /Wrong username or password/)
  t.equal(await form.getByLabel('Current password').getAttribute('aria-invalid'), 'true')
  t.equal(visit.requested.filter(address => address.endsWith('/api/account/password')).length, 1, 'a wrong password is sent once, because each attempt counts against the limit')
  await change(PASSWORD, 'password')
  await form.locator('.field', { hasText: 'Invalid password' }).getByLabel('New password').waitFor()
  t.equal(await form.getByLabel('Current password').inputValue(), PASSWORD, 'the typed text stays')
  await checkAccessible(t, page, 'a refused password')
  await change(PASSWORD, 'a much better sentence')
  await page.getByRole('status').getByText('The password has changed.').waitFor()
  t.equal(await form.getByLabel('New password').inputValue(), '')
  t.equal((await server.send('GET', '/api/files', { token })).status, 401)
  t.equal((await server.send('GET', '/api/token', { user: [username, 'a much better sentence'] })).status, 200)
  await section(page, 'Recent events').getByText('Password changed').waitFor()
  await page.reload()
  await signedIn(page)
  t.equal(await page.getByRole('dialog').count(), 0)
})

/** Types a password without sending it, then sends another request. The dialog may be there before it. */
async function typeAndAsk (page: Page): Promise<void> {
  await section(page, 'Password').getByLabel('New password').fill('typed, not sent')
  await section(page, 'Signed-in sessions').getByRole('button', { name: /^End the session/ }).first().dispatchEvent('click')
}

async function checkGoesOn (t: Test, page: Page): Promise<void> {
  const ended = dialog(page, 'Your session has ended')
  await shows(t, () => isFocused(ended.getByLabel('Password', { exact: true })), true)
  await page.keyboard.type(PASSWORD)
  await page.keyboard.press('Enter')
  await ended.waitFor({ state: 'detached' })
  t.equal(await section(page, 'Password').getByLabel('New password').inputValue(), 'typed, not sent', 'the typed text stays')
}

browserTest('a token is listed even if a thousand access tokens are newer, and events are loaded page by page', async t => {
  const { page, server, user, username } = await openPageAs(t)
  for (const name of ['the oldest', 'newer']) await server.send('POST', '/api/tokens', { user, json: { name, scopes: ['account'] } })
  const now = Date.now()
  await runSql(server.dataDir, `INSERT INTO tokens (account_id, kind, scopes, created_at, expires_at)
    WITH RECURSIVE rounds(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM rounds WHERE number < 1001)
    SELECT (SELECT max(id) FROM accounts), 'access', 'account', ${now}, ${now + 600_000} FROM rounds`)
  for (let failed = 0; failed < 9; failed++) await server.send('GET', '/api/token', { user: [username, 'wrong'] })
  await goTo(page, 'Account')
  const names = section(page, 'Personal access tokens').locator('li .name')
  await shows(t, () => names.allInnerTexts(), ['newer', 'the oldest'])

  const events = section(page, 'Recent events')
  const rows = events.getByRole('listitem')
  await shows(t, () => rows.count(), 10)
  await rows.filter({ hasText: 'Failed sign-in' }).first().waitFor()
  await tabTo(page, button(events, 'Show more'))
  await page.keyboard.press('Enter')
  await rows.filter({ hasText: 'Account created' }).waitFor()
  const shown = await rows.allInnerTexts()
  t.equal(shown.length, (await server.send('GET', '/api/account/events?limit=100', { user })).json.events.length)
  t.match(shown.at(-1), /Account created[^]*from 127\.0\.0\.1/)
  t.equal(await button(events, 'Show more').count(), 0)
  await shows(t, () => hasFocusIn(events), true, 'the focus is not lost with the button')
})

browserTest('sessions: the current one is marked, another one can be ended, and its page continues after a new sign-in with the typed text', async t => {
  const { page, url, username } = await openPageAs(t)
  const other = await openPage(t, url)
  await signInOn(other.page, username)
  await goTo(other.page, 'Account')
  await goTo(page, 'Account')
  const rows = section(page, 'Signed-in sessions').getByRole('listitem')
  await shows(t, () => rows.count(), 2)
  t.match(await rows.filter({ hasText: 'This session' }).allInnerTexts(), [/Signed in/], 'one of them')
  t.equal(await rows.filter({ hasText: 'This session' }).getByRole('button').count(), 0)
  await rows.filter({ hasNotText: 'This session' }).getByRole('button').click()
  await shows(t, () => rows.count(), 1)
  await shows(t, () => isFocused(page.getByRole('heading', { name: 'Signed-in sessions' })), true, 'the focus is not lost with the row')

  await typeAndAsk(other.page)
  const ended = dialog(other.page, 'Your session has ended')
  await ended.waitFor()
  await other.page.keyboard.press('Escape')
  await other.page.keyboard.press('Escape')
  await other.page.mouse.click(5, 5)
  // The browser closes it at the second Escape, and the page opens it again.
  await shows(t, () => ended.isVisible(), true, 'neither Escape nor a click beside it closes the dialog')
  t.equal(await ended.getByLabel('Username').inputValue(), username)
  await ended.getByLabel('Password', { exact: true }).fill('wrong')
  await button(ended, 'Sign in').click()
  t.match(await problemIn(ended), /Wrong username or password/)
  await ended.getByLabel('Password', { exact: true }).fill('')
  await checkGoesOn(t, other.page)
  await shows(t, () => section(other.page, 'Signed-in sessions').getByRole('listitem').count(), 1, 'the action continued after the sign-in')
  await page.reload()
  await dialog(page, 'Your session has ended').or(page.getByLabel('Username')).first().waitFor()
})

browserTest('by the keyboard alone: end another session, sign out everywhere, delete the account; each asks first', async t => {
  const { page, server, user, username, token } = await openPageAs(t)
  const { json: { token: other } } = await server.send('POST', '/api/session', { user })
  await press(page, page.getByRole('navigation').getByRole('link', { name: 'Account' }))
  const end = button(section(page, 'Signed-in sessions'), /^End the session/)
  await end.waitFor()
  await press(page, end)
  await end.waitFor({ state: 'detached' })
  t.equal((await server.send('GET', '/api/files', { token: other })).status, 401)
  await tabTo(page, button(page, 'Sign out everywhere'))
  await page.keyboard.press('Enter')
  await shows(t, () => isFocused(button(page, 'Cancel')), true)
  const question = dialog(page, 'Sign out everywhere?')
  t.match(await question.innerText(), /personal access tokens/)
  await page.keyboard.press('Escape')
  await shows(t, () => isFocused(button(page, 'Sign out everywhere')), true)
  t.equal((await server.send('GET', '/api/files', { token })).status, 200)
  await page.keyboard.press('Enter')
  await press(page, button(question, 'Sign out everywhere'))
  await page.getByRole('status').getByText('You are signed out everywhere.').waitFor()
  await checkAccessible(t, page, 'the sign-in page after it')
  t.equal((await server.send('GET', '/api/files', { token })).status, 401)
  await page.reload()
  await page.getByLabel('Username').waitFor()
  t.equal(await page.getByText('You are signed out everywhere.').count(), 0, 'it is shown once')
  await signInOn(page, username)

  await press(page, page.getByRole('navigation').getByRole('link', { name: 'Account' }))
  await press(page, button(page, 'Delete the account'))
  const form = dialog(page, 'Delete the account?')
  const name = form.getByLabel('Type your username')
  await shows(t, () => isFocused(name), true)
  await checkAccessible(t, page, 'the question before a deletion')
  await page.keyboard.type('another')
  await type(page, form.getByLabel('Current password'), 'wrong')
  await page.keyboard.press('Enter')
  t.equal(await name.evaluate((field: HTMLInputElement) => field.validationMessage), 'This is not your username.')
  await name.fill(username)
  await button(form, 'Delete the account').click()
  t.match(await problemIn(form), /Wrong username or password/)
  await form.getByLabel('Current password').fill(PASSWORD)
  await page.keyboard.press('Enter')
  await page.getByText('Your account and all your files are deleted.').waitFor()
  await shows(t, () => isFocused(page.getByLabel('Username')), true)
  t.equal((await server.send('GET', '/api/token', { user })).status, 401)
  await registerOn(page, username)
})

/** A command of the operator for the server's accounts. */
const operator = ({ dataDir }: RunningServer, verb: string, name: string, input = '') =>
  runBin(['user', verb, name], { DATA_DIR: dataDir }, input)

/** How often a window has asked for its session. */
const checksOf = ({ requested }: PageVisit) => requested.filter(address => address.endsWith('/api/session')).length

browserTest('two windows of one browser follow each other\'s sign-in and sign-out, and never show the files of another user', async t => {
  const first = await openPageAs(t)
  const { server, user, username } = first
  const { user: [other] } = await signUp(server, undefined, PASSWORD)
  const second = await openSecondWindow(first)
  await signedIn(second.page)
  t.equal(await second.page.locator('.username').innerText(), username, 'the session is the browser\'s')
  await button(second.page, 'Sign out').click()
  await first.page.getByLabel('Username').waitFor()
  t.equal(await first.page.locator('body').getByText(username).count(), 0, 'who signs out leaves nothing in the other window')
  await signInOn(second.page, other)
  await shows(t, () => first.page.locator('.username').innerText(), other)
  t.equal(await first.page.getByRole('dialog').count(), 0)

  const returnTwice = () => second.page.evaluate(() => { for (let times = 0; times < 2; times++) dispatchEvent(new Event('focus')) })
  const checksBefore = checksOf(second)
  await returnTwice()
  await second.page.clock.setSystemTime(Date.now() + 61_000)
  const checked = second.page.waitForResponse('**/api/session')
  await returnTwice()
  await checked
  await button(second.page, 'Sign out').waitFor()
  t.equal(checksOf(second), checksBefore + 1, 'the window asks once a minute')

  // Not through the page, so that no window gets a message.
  const signInAs = (username: string) => first.page.evaluate(async authorization => {
    const settled = <Result>(request: IDBRequest<Result>) => new Promise<Result>((resolve, reject) => {
      request.onsuccess = () => resolve(request.result)
      request.onerror = reject
    })
    const database = await settled(indexedDB.open('magicstore'))
    const keys = (mode: IDBTransactionMode) => database.transaction('session keys', mode).objectStore('session keys')
    const before = await settled<string>(keys('readonly').get('/'))
    const begun = await fetch('/api/session', { method: 'POST', headers: { authorization, 'session-key': before } })
    const { key } = await begun.json() as { key: string }
    await settled(keys('readwrite').put(key, '/'))
    database.close()
  }, `Basic ${Buffer.from(`${username}:${PASSWORD}`).toString('base64')}`)
  await signInAs(username)
  await first.page.getByRole('navigation').getByRole('link', { name: 'Account' }).click()
  await shows(t, () => first.page.locator('.username').innerText(), username, 'the next renewal finds the other user')
  await second.page.clock.setSystemTime(Date.now() + 200_000)
  await returnTwice()
  await shows(t, () => second.page.locator('.username').innerText(), username, 'so does a window that gets the focus')

  t.equal((await server.send('DELETE', '/api/tokens', { user })).status, 204)
  await second.page.evaluate(() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })))
  await second.page.getByRole('heading', { name: 'Sign in', exact: true }).waitFor()
  t.equal(await second.page.locator('.username').count(), 0, 'what the browser kept in memory leaves, if its session is over')
})

browserTest('a renewal that is answered after a later sign-in does not end its session', async t => {
  const { page, server, user } = await openPageAs(t)
  let release = () => {}
  const released = new Promise<void>(resolve => { release = resolve })
  await page.route('**/api/session', async route => {
    const response = await route.fetch()
    // The old session has ended. The new one is not held.
    if (response.status() === 204) await released
    await route.fulfill({ response })
  })
  t.equal((await server.send('DELETE', '/api/tokens', { user })).status, 204)
  const renewal = page.waitForRequest(request => request.url().endsWith('/api/session'))
  await goTo(page, 'Account')
  await renewal
  const form = section(page, 'Password')
  await form.getByLabel('Current password').fill(PASSWORD)
  await form.getByLabel('New password').fill(`${PASSWORD}, a new one`)
  await button(form, 'Change the password').click()
  await page.getByRole('status').getByText('The password has changed.').waitFor()
  const answered = page.waitForResponse(response => response.url().endsWith('/api/session') && response.status() === 204)
  release()
  await answered
  await shows(t, () => section(page, 'Signed-in sessions').getByText('This session').count(), 1)
  t.equal(await page.getByRole('dialog').count(), 0)
  await page.reload()
  await signedIn(page)
})

browserTest('if registration is closed, the page does not offer it, and users that the operator adds can sign in', async t => {
  const server = await sharedServer({ REGISTRATION: 'closed' })
  const visit = await openPage(t, server.url)
  await visit.page.getByText('Only the operator of this server can create accounts.').waitFor()
  t.equal(await visit.page.getByRole('button', { name: /account/ }).count(), 0)
  t.equal((await operator(server, 'add', 'added', `${PASSWORD}\n`)).code, 0)
  await signInOn(visit.page, 'added')

  const open = await openPage(t, (await sharedServer()).url)
  await open.page.route('**/api/users', async route => {
    const { status, text: body } = await server.send('POST', '/api/users', { json: route.request().postDataJSON() })
    await route.fulfill({ status, body, contentType: 'application/problem+json' })
  })
  await button(open.page, 'Create an account instead').click()
  await fillCredentials(open.page, { username: 'late', password: PASSWORD })
  await button(open.page, 'Create an account').click()
  await open.page.locator('.problem', { hasText: 'Registration is closed' }).waitFor()
  t.equal(await open.page.getByLabel('Username').inputValue(), 'late', 'a page from before shows the refusal, and the typed text stays')
})

browserTest('rate limits are shown with the time to wait, and a lost connection is shown too', async t => {
  const { page } = await openPageAs(t, { settings: { SIGN_IN_FAILURES: '2', REGISTRATIONS_PER_HOUR: '1' } })
  await page.context().setOffline(true)
  await button(page, 'Sign out').click()
  // The list, which is in `main`, may show the lost connection too.
  await page.locator('.problem:not(main *)').getByText(/cannot be reached/).waitFor()
  await page.context().setOffline(false)
  await button(page, 'Sign out').click()
  await button(page, 'Create an account instead').click()
  await fillCredentials(page, { username: 'bob', password: PASSWORD })
  await button(page, 'Create an account').click()
  t.match(await problemIn(page), /Too many registrations from this network\s+Try again in \d+ (second|minute|hour)s?\./)
  await button(page, 'Sign in instead').click()
  for (const expected of [/Wrong/, /Wrong/, /Too many failed sign-ins\s+Try again in \d+ minutes\./]) {
    const answered = page.waitForResponse(response => response.url().endsWith('/api/session'))
    await button(page, 'Sign in').click()
    await answered
    await page.locator('.problem', { hasText: expected }).waitFor()
  }
  t.equal(await page.getByLabel('Username').inputValue(), 'bob')
})

browserTest('a page that opens while the server does not answer shows that, and can try again', async t => {
  const { page } = await openPageAs(t)
  await page.route('**/api/session', route => route.abort())
  await page.reload()
  t.match(await problemIn(page), /cannot be reached/)
  t.equal(await page.getByLabel('Username').count(), 0)
  await checkAccessible(t, page, 'an unreachable server')
  await shows(t, () => isFocused(button(page, 'Try again')), true)
  const failed = page.waitForEvent('requestfailed')
  await page.keyboard.press('Enter')
  await failed
  await shows(t, () => isFocused(button(page, 'Try again')), true)
  await page.unroute('**/api/session')
  await page.keyboard.press('Enter')
  await signedIn(page)
})
