import type { BrowserContextOptions, Page } from 'playwright-core'
import type { Test } from 'tap'
import { claimSecret } from '../../kit/commands.ts'
import { runSql } from '../../kit/stores.ts'
import { button, checkEveryWidth, checkView, dialog, problemIn, section } from '../account-page.ts'
import { browserTest, shows } from '../browser.ts'
import { choose, fileButton, hold, menuButton, noDialog } from '../files-page.ts'
import { giveAway, heading, openLink, startLinks, type LinkServer } from '../links-page.ts'
import { checkFits, goTo, hasFocusIn, openPage, PASSWORD, signInOn, type PageVisit } from '../page.ts'

const clipboard: BrowserContextOptions = { permissions: ['clipboard-read', 'clipboard-write'] }

const copied = (page: Page) => page.evaluate(() => navigator.clipboard.readText())
const address = (page: Page) => page.getByLabel('Link', { exact: true })
const linkRow = (page: Page, name: string) =>
  section(page, 'Your links').getByRole('listitem').filter({ has: page.getByText(name, { exact: true }) })
const linksOf = async ({ send, token }: LinkServer) => (await send('GET', '/api/links', { token })).json.links

/** The page of the user of a server with links. */
async function visitLinks (
  t: Test, server: LinkServer, options: BrowserContextOptions = clipboard
): Promise<PageVisit> {
  const visit = await openPage(t, server.url, options)
  await signInOn(visit.page, server.username)
  return visit
}

const statusOf = async (server: LinkServer, url: string) => (await server.send('GET', new URL(url).pathname)).status

browserTest('a link is made when its form is sent, and copied; what was typed is not lost silently; the link is shown again', async t => {
  const server = await startLinks(t)
  await server.put('report.pdf', 'bytes', 'application/pdf')
  const { page } = await visitLinks(t, server)
  await choose(page, 'report.pdf', 'Link…')
  const lifetime = page.getByLabel('It expires')
  await lifetime.waitFor()
  const options = ['As late as possible', 'In a day', 'In a week', 'In 30 days', 'On a date']
  t.same(await lifetime.locator('option').allInnerTexts(), options, 'what LINK_MAX_DAYS allows')
  await checkView(t, page, 'the form of a new link')
  const password = page.getByLabel('Password', { exact: true })
  await password.fill('a long password of a link')
  await page.keyboard.press('Escape')
  const question = dialog(page, 'Discard the changes?')
  await question.getByRole('button', { name: 'Cancel' }).click()
  t.equal(await password.inputValue(), 'a long password of a link')
  await page.keyboard.press('Escape')
  await question.getByRole('button', { name: 'Discard' }).click()
  await noDialog(page)
  t.same(await linksOf(server), [], 'nothing is public')

  await choose(page, 'report.pdf', 'Link…')
  await lifetime.selectOption('date')
  await page.keyboard.press('Escape')
  await question.getByRole('button', { name: 'Cancel' }).click()
  await page.getByLabel('Last day of the link').fill('2020-01-01')
  await button(page, 'Create link').click()
  t.match(await problemIn(page.getByRole('dialog')), /must be in the future/)
  await lifetime.selectOption('7 days')
  await page.getByLabel('Show my username').uncheck()
  await password.fill('a long password of a link')
  await button(page, 'Create link').click()
  await page.getByText('Copied.').waitFor()
  const url = await copied(page)
  t.equal(url, await address(page).inputValue())
  t.match(url, /^http:\/\/127\.0\.0\.1:\d+\/s\/[0-9A-Za-z]{22}$/)
  t.ok(await hasFocusIn(address(page)), 'the address has the focus')
  await page.getByText('QR code', { exact: true }).click()
  await page.getByRole('img', { name: 'QR code of the link to report.pdf' }).waitFor()
  await checkView(t, page, 'a new link')
  await page.keyboard.press('Escape')
  await noDialog(page)
  t.ok(await hasFocusIn(page.getByRole('grid')), 'the focus returns to the list')
  await page.getByRole('grid').getByRole('button', { name: 'report.pdf has a link' }).waitFor()
  const [link] = await linksOf(server)
  t.match(link, { hasPassword: true, showsOwner: false })
  const days = (Date.parse(link.expiresAt) - Date.parse(link.createdAt)) / 86_400_000
  t.ok(days > 6.9 && days < 7.1)

  await choose(page, 'report.pdf', 'Link…')
  await address(page).waitFor()
  t.equal(await address(page).inputValue(), url, 'the same link')
  await page.getByLabel('Remove the password').check()
  await button(page, 'Save').click()
  await page.getByText('The link is changed.').waitFor()
  const other = await openLink(t, url)
  t.equal(await heading(other.page).innerText(), 'report.pdf')

  const release = await hold(page, '**/api/links/*/secret')
  await choose(page, 'report.pdf', 'Link…')
  await password.fill('another long password')
  release()
  await address(page).waitFor()
  await button(page, 'Another link').click()
  await question.getByRole('button', { name: 'Cancel' }).click()
  t.equal(await password.inputValue(), 'another long password', 'what was typed before the address had loaded is not lost')
  await password.fill('')
  await button(page, 'Another link').click()
  await button(page, 'Create link').click()
  await page.getByText('Copied.').waitFor()
  t.not(await copied(page), url)
  t.equal((await linksOf(server)).length, 2)
  await button(page, 'Revoke').click()
  await page.getByText('The link is revoked.').waitFor()
  t.equal((await linksOf(server)).length, 1)

  await runSql(server.dataDir, `UPDATE links SET secret_sealed = NULL WHERE id = ${link.id}`)
  await choose(page, 'report.pdf', 'Link…')
  await page.getByText('The server no longer knows the address of this link.').waitFor()
  await checkView(t, page, 'a link of a backup')
  await button(page, 'New address').click()
  await dialog(page, 'Make a new address?').getByRole('button', { name: 'New address' }).click()
  await page.getByText('Copied.').waitFor()
  t.same([await statusOf(server, url), await statusOf(server, await copied(page))], [404, 200])
})

browserTest('a folder gives files away or requests them, with limits', async t => {
  const server = await startLinks(t, { LINK_MAX_DAYS: '0' })
  await server.put('trip/map.txt', 'a map')
  const { page } = await visitLinks(t, server)
  await choose(page, 'trip', 'Request files…')
  t.equal(await page.getByLabel('Most MB in all').inputValue(), '1000')
  await page.getByLabel('Most files in all').fill('5')
  await page.getByLabel('Most MB in all').fill('20')
  await page.getByLabel('It expires').selectOption('never')
  await checkEveryWidth(t, page, 'a new request')
  await button(page, 'Create link').click()
  await address(page).waitFor()
  const url = await address(page).inputValue()
  await page.keyboard.press('Escape')
  await noDialog(page)
  t.match(await linksOf(server), [{ kind: 'upload', name: 'trip', maxFiles: 5, maxBytes: 20_000_000, expiresAt: null }])
  const visitor = await openLink(t, url)
  await visitor.page.getByText('Room for 5 more files and 20 MB').waitFor()
  await choose(page, 'trip', 'Link…')
  await button(page, 'Create link').click()
  await address(page).waitFor()
  await page.keyboard.press('Escape')
  await noDialog(page)
  t.match(await linksOf(server), [{ kind: 'download', name: 'trip' }, { kind: 'upload' }])
  await page.getByRole('grid').getByRole('link', { name: 'trip has a link' }).waitFor()
})

browserTest('the list: uses, change, a new address, revoke one, revoke all; a new password keeps links, and the page offers to revoke them', async t => {
  const server = await startLinks(t)
  for (const name of ['a.txt', 'b.txt', 'c.txt']) await server.put(`docs/${name}`, name)
  const a = await giveAway(server, server.token, { name: 'docs/a.txt' })
  const b = await giveAway(server, server.token, { name: 'docs/b.txt', password: 'a long password of a link' })
  const c = await giveAway(server, server.token, { name: 'docs', kind: 'upload' })
  await server.send('GET', `${new URL(a.url).pathname}/files/a.txt`)
  await server.send('PUT', `${new URL(c.url).pathname}/files/new.txt`, { body: 'sent' })
  const { page } = await visitLinks(t, server)
  await goTo(page, 'Links')
  await linkRow(page, 'a.txt').getByText(/^Used once, last /).waitFor()
  await linkRow(page, 'b.txt').getByText('With a password').waitFor()
  await linkRow(page, 'b.txt').getByText('Never used').waitFor()
  await linkRow(page, 'docs').getByText('Request for files').waitFor()
  await linkRow(page, 'docs').getByText('1 of 100 files, 4 bytes of 1.1 GB').waitFor()
  await checkView(t, page, 'the links')

  await button(page, 'Change the link to docs/b.txt').click()
  await page.getByLabel('Remove the password').check()
  await button(page, 'Save').click()
  await shows(t, () => linkRow(page, 'b.txt').getByText('With a password').count(), 0)
  t.equal((await server.send('GET', new URL(b.url).pathname)).json.name, 'b.txt')

  await button(page, 'Make a new address for the link to docs/a.txt').click()
  await dialog(page, 'Make a new address?').getByRole('button', { name: 'New address' }).click()
  await page.getByText('Copied.').waitFor()
  const url = await copied(page)
  t.same([await statusOf(server, a.url), await statusOf(server, url)], [404, 200])
  await page.keyboard.press('Escape')
  await noDialog(page)

  await button(page, 'Revoke the link to docs/a.txt').click()
  await dialog(page, 'Revoke this link?').getByRole('button', { name: 'Revoke' }).click()
  await shows(t, () => linkRow(page, 'a.txt').count(), 0)
  t.same([await statusOf(server, url), await statusOf(server, b.url)], [404, 200])

  await button(page, 'Revoke all').click()
  await dialog(page, 'Revoke all links?').getByRole('button', { name: 'Revoke all' }).click()
  await page.getByText('You have no links').waitFor()
  await checkFits(t, page, 'no links')
  t.equal(await statusOf(server, b.url), 404)

  const { url: kept } = await giveAway(server, server.token, { name: 'docs/c.txt' })
  const change = async (current: string, next: string) => {
    await page.getByLabel('Current password').fill(current)
    await page.getByLabel('New password').fill(next)
    await button(page, 'Change the password').click()
  }
  await goTo(page, 'Account')
  await change(PASSWORD, 'another password of the tests')
  await page.getByText('Your links stay valid.').waitFor()
  t.equal(await statusOf(server, kept), 200)
  await button(page, 'Revoke all links').click()
  await page.getByText('All links are revoked.').waitFor()
  t.equal(await statusOf(server, kept), 404)
  await change('another password of the tests', 'one more password of the tests')
  await page.getByText('The password has changed. All other sessions and all tokens have ended.', { exact: true }).waitFor()

  const { url: left } = await giveAway(server, (await server.send('GET', '/api/token', { user: [server.username, 'one more password of the tests'] })).json.token, { name: 'docs/c.txt' })
  await page.goto(`${server.url}/#claim=${await claimSecret(['reset', server.username], { DATA_DIR: server.dataDir })}&username=${server.username}`)
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await button(page, 'Set the password').click()
  await page.getByText('The new password is set.').waitFor()
  await signInOn(page, server.username)
  await page.getByText('Your links stay valid.').waitFor()
  await button(page, 'Revoke all links').click()
  await page.getByText('All links are revoked.').waitFor()
  t.equal(await statusOf(server, left), 404)
})

browserTest('a list of many links is shown in parts, and says which are over', async t => {
  const server = await startLinks(t)
  await server.put('a.txt', 'a')
  const { id } = await giveAway(server, server.token, { name: 'a.txt' })
  for (let count = 0; count < 101; count++) await giveAway(server, server.token, { name: 'a.txt' })
  const full = await server.send('PUT', '/api/folders/in', { token: server.token }) && await giveAway(server, server.token, { name: 'in', kind: 'upload', maxFiles: 1 })
  await server.send('PUT', `${new URL(full.url).pathname}/files/new.txt`, { body: 'sent' })
  const { page } = await visitLinks(t, server)
  await goTo(page, 'Links')
  await linkRow(page, 'in').getByText('Accepts no more').waitFor()
  const rows = section(page, 'Your links').getByRole('listitem')
  await shows(t, () => rows.count(), 100)
  await button(page, 'Show more').click()
  await shows(t, () => rows.count(), 103)
  await runSql(server.dataDir, `UPDATE links SET expires_at = 1 WHERE id = ${id}`)
  await page.reload()
  await button(page, 'Show more').click()
  await rows.last().getByText('Expired').waitFor()
})

browserTest('without links on the server, the page has none of it', async t => {
  const server = await startLinks(t, { LINKS: 'off' })
  await server.put('a.txt', 'a')
  const visit = await visitLinks(t, server)
  const { page } = visit
  t.same(await page.getByRole('navigation', { name: 'Pages' }).getByRole('link').allInnerTexts(), ['Files', 'Recent', 'Starred', 'Trash', 'Account'])
  await fileButton(page, 'a.txt').waitFor()
  await menuButton(page, 'a.txt').click()
  t.equal(await page.getByRole('menuitem', { name: /Link|Request/ }).count(), 0)
  t.same(visit.requested.filter(address => address.includes('/api/links')), [])
})
