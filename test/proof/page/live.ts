import { browserTest, isFocused, shows } from '../browser.ts'
import { addTo, choose, fileButton, namesOf, notice, press, textFile, undo, visitAs } from '../files-page.ts'
import { giveAway } from '../links-page.ts'
import { goTo, openSecondWindow, signedIn } from '../page.ts'

browserTest('what another program stores, renames and deletes stands in the list at once, and the focus and the chosen rows stay', async t => {
  const { page, put, server, user } = await visitAs(t, { 'b.txt': 'b', 'd.txt': 'd', 'f.txt': 'f' })
  await fileButton(page, 'd.txt').focus()
  await press(page, 'Space')
  await put('c.txt', 'see')
  await shows(t, () => namesOf(page), ['b.txt', 'c.txt', 'd.txt', 'f.txt'])
  await put('a/b.txt', 'in a folder')
  await put('e.txt', 'e')
  await shows(t, () => namesOf(page), ['a', 'b.txt', 'c.txt', 'd.txt', 'e.txt', 'f.txt'])
  await server.send('PATCH', '/api/files/c.txt', { user, json: { name: 'z.txt' } })
  await server.send('DELETE', '/uploads/b.txt', { user })
  await shows(t, () => namesOf(page), ['a', 'd.txt', 'e.txt', 'f.txt', 'z.txt'])
  t.ok(await isFocused(fileButton(page, 'd.txt')))
  t.equal(await page.locator('.grid .body [aria-selected=true]').count(), 1)

  await server.send('PATCH', '/api/files/z.txt', { user, json: { name: 'a/z.txt' } })
  await shows(t, () => namesOf(page), ['a', 'd.txt', 'e.txt', 'f.txt'])
  await server.send('PATCH', '/api/folders/a', { user, json: { name: 'g' } })
  await shows(t, () => namesOf(page), ['g', 'd.txt', 'e.txt', 'f.txt'])
  await server.send('DELETE', '/api/folders/g?recursive=true', { user })
  await shows(t, () => namesOf(page), ['d.txt', 'e.txt', 'f.txt'])
  await goTo(page, 'Trash')
  await shows(t, () => namesOf(page), ['g', 'b.txt'])
  await server.send('DELETE', '/uploads/e.txt', { user })
  await shows(t, () => namesOf(page), ['e.txt', 'g', 'b.txt'])
})

browserTest('what arrives by a link is said, but not in place of an offer to undo', async t => {
  const { page, server, token, put } = await visitAs(t, { 'a.txt': 'a', 'b.txt': 'b' }, { settings: { LINKS: 'on' } })
  await server.send('PUT', '/api/folders/inbox', { token })
  const { url } = await giveAway(server, token, { name: 'inbox', kind: 'upload' })
  const send = (name: string) => server.send('PUT', `${new URL(url).pathname}/files/${name}`, { body: 'x' })
  await send('one.txt')
  await notice(page, 'Arrived by a link: inbox/one.txt').waitFor()
  await put('c.txt', 'of the owner')
  await fileButton(page, 'c.txt').waitFor()
  await fileButton(page, 'a.txt').focus()
  await press(page, 'Delete')
  await undo(page).waitFor()
  await send('two.txt')
  await fileButton(page, 'b.txt').focus()
  await shows(t, async () => (await server.send('GET', '/api/files?folder=inbox', { token })).json.files.length, 2)
  await put('d.txt', 'later')
  await fileButton(page, 'd.txt').waitFor()
  t.equal(await undo(page).count(), 1, 'the offer stays')
  await undo(page).click()
  await notice(page, 'Restored: a.txt').waitFor()
})

browserTest('a file that is added in one window stands in the other, in each order', async t => {
  const visit = await visitAs(t, { 'b.txt': 'bb', 'd.txt': 'dddd' })
  const { page } = visit
  const second = await openSecondWindow(visit)
  await signedIn(second.page)
  for (const [order, text, expected] of [
    ['Name', 'c', ['d.txt', 'c.txt', 'b.txt']],
    ['Size', 'eee', ['d.txt', 'e.txt', 'b.txt', 'c.txt']],
    ['Changed', 'f', ['f.txt', 'e.txt', 'c.txt', 'd.txt', 'b.txt']]
  ] as const) {
    await second.page.getByRole('button', { name: order, exact: true }).click()
    const name = expected.find(name => name.startsWith(text.slice(0, 1))) ?? ''
    await addTo(page, textFile(name, text))
    await shows(t, () => namesOf(second.page), [...expected])
  }
})

browserTest('a change of the page itself is shown once, even if it is told of before the answer', async t => {
  const visit = await visitAs(t, { 'a.txt': 'a', 'b.txt': 'b' })
  const { page } = visit
  await shows(t, async () => visit.requested.some(address => address.includes('wait=')), true, 'it waits for changes')
  let answer = () => {}
  const answered = new Promise<void>(resolve => { answer = resolve })
  await page.route('**/api/files/*', async route => {
    const response = await route.fetch()
    await answered
    await route.fulfill({ response })
  })
  await choose(page, 'a.txt', 'Rename')
  await page.getByRole('textbox', { name: 'New name of a.txt' }).fill('c.txt')
  await press(page, 'Enter')
  await fileButton(page, 'c.txt').waitFor()
  // The list must not be loaded again before it is read.
  await page.route('**/api/files?*', route => route.abort())
  answer()
  await page.getByRole('status').getByText('Renamed to c.txt').waitFor()
  t.strictSame(await namesOf(page), ['b.txt', 'c.txt'])
})

browserTest('a hidden window does not wait for changes, and shows them when it is visible again, or the server is there again', async t => {
  const visit = await visitAs(t, { 'a.txt': 'a' })
  const { page, put } = visit
  const setVisibility = (state: string) => page.evaluate(state => {
    Object.defineProperty(document, 'visibilityState', { value: state, configurable: true })
    document.dispatchEvent(new Event('visibilitychange'))
  }, state)
  await shows(t, async () => visit.requested.some(address => address.includes('wait=')), true, 'it waits for changes')
  const waiting = page.waitForEvent('requestfailed', request => request.url().includes('/api/changes'))
  await setVisibility('hidden')
  await waiting
  const asked = () => visit.requested.filter(address => address.includes('/api/changes')).length
  const before = asked()
  await put('b.txt', 'b')
  t.equal(asked(), before)
  await setVisibility('visible')
  await shows(t, () => namesOf(page), ['a.txt', 'b.txt'])

  let isAway = true
  await page.route('**/api/changes*', route => isAway ? route.abort('connectionrefused') : route.continue())
  await put('c.txt', 'c')
  await shows(t, () => namesOf(page), ['a.txt', 'b.txt', 'c.txt'])
  await page.waitForEvent('requestfailed', request => request.url().includes('/api/changes'))
  await put('d.txt', 'd')
  isAway = false
  await page.evaluate(() => dispatchEvent(new Event('online')))
  await shows(t, () => namesOf(page), ['a.txt', 'b.txt', 'c.txt', 'd.txt'], 'what was stored meanwhile is shown, too')
})
