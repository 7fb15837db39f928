import type { Locator } from 'playwright-core'
import { isProof } from '../../kit/sizes.ts'
import { browserTest, isFocused, shows, tabTo } from '../browser.ts'
import { choose, dialogButton, fileButton, hold, namesOf, noDialog, PDF, press, visitAs } from '../files-page.ts'
import { checkAccessible, goTo } from '../page.ts'

const damaged = { bytes: '%PDF-1.4\nnothing of a PDF', type: 'application/pdf' }
const sound = { bytes: PDF, type: 'application/pdf' }

browserTest('Back closes the dialog on top, and leaves the page only when none is open', async t => {
  const { page, put, server, token } = await visitAs(t, { 'a.txt': 'aaa', 'b.txt': 'bee' })
  await put('a.txt', 'newer')
  const dialogs = () => page.getByRole('dialog').count()
  await goTo(page, 'Trash')
  await goTo(page, 'Files')

  await fileButton(page, 'a.txt').click()
  await dialogButton(page, 'Next file').click()
  await page.getByRole('heading', { name: 'b.txt' }).waitFor()
  await page.goBack()
  await noDialog(page)
  await shows(t, () => isFocused(fileButton(page, 'b.txt')), true, 'the focus is on the file that was shown last')
  t.match(page.url(), /#files$/)

  await choose(page, 'a.txt', 'Versions')
  await dialogButton(page, 'View').click()
  await shows(t, dialogs, 2)
  await page.goBack()
  await shows(t, dialogs, 1, 'only the version is closed')
  await page.goBack()
  await noDialog(page)

  await fileButton(page, 'a.txt').click()
  await dialogButton(page, 'Versions').click()
  await page.getByRole('heading', { name: 'Versions of a.txt' }).waitFor()
  await page.goBack()
  await noDialog(page)

  for (const close of ['Escape', 'the button']) {
    await fileButton(page, 'a.txt').click()
    await page.getByRole('dialog').waitFor()
    if (close === 'Escape') await press(page, 'Escape')
    else await dialogButton(page, 'Close').click()
    await noDialog(page)
    await shows(t, () => page.evaluate(() => history.state), null, `${close} leaves no entry behind`)
  }
  await page.goBack()
  await page.getByRole('heading', { name: 'Trash', level: 2 }).waitFor()
  await page.goForward()
  await fileButton(page, 'a.txt').waitFor()
  t.equal(await dialogs(), 0)
  await fileButton(page, 'a.txt').click()
  await page.getByRole('dialog').waitFor()
  await page.evaluate(() => { location.hash = '#trash' })
  await page.getByRole('heading', { name: 'Trash', level: 2 }).waitFor()
  await page.goBack()
  await fileButton(page, 'a.txt').waitFor()
  await shows(t, () => page.evaluate(() => history.state), null)

  await t.test('a search that failed says so, and one that is running does not say that nothing was found', async t => {
    const status = page.locator('.toolbar').getByRole('status')
    // The page may also load its list again by itself, for example for a change: it fails until the button is clicked.
    await page.evaluate(() => { addEventListener('click', () => { document.body.dataset.clicked = '' }, { capture: true }) })
    await page.route('**/api/files?*words=*', async route => await page.locator('body[data-clicked]').count() === 0 ? route.abort() : route.continue())
    await page.getByRole('searchbox').fill('b')
    await shows(t, () => status.innerText(), 'The search failed.')
    t.same(await namesOf(page), [], 'the list of before does not stay')
    await page.getByRole('button', { name: 'Try again' }).click()
    await shows(t, () => status.innerText(), '1 found.')
    t.same(await namesOf(page), ['b.txt'])

    await page.getByRole('searchbox').fill('q')
    await page.getByText('No name contains').waitFor()
    const answer = await hold(page, '**/api/files?*words=*')
    await page.getByRole('searchbox').fill('a')
    await page.getByText('Loading…').first().waitFor()
    t.equal(await page.getByText('No name contains').count(), 0)
    answer()
    await shows(t, () => namesOf(page), ['a.txt'])
    await page.unroute('**/api/files?*words=*')
    await page.getByRole('searchbox').fill('')
  })

  await t.test('the date of the file itself is shown in the list, on its tile and in its preview', async t => {
    const modified = new Date('2019-05-04T12:00:00Z')
    await server.send('PUT', '/uploads/old.txt', { token, body: 'x', headers: { 'x-file-modified': modified.toISOString() } })
    const dates = (place: Locator) => place.locator('time').evaluateAll(times => times.map(time => time.getAttribute('datetime')))
    await fileButton(page, 'old.txt').waitFor()
    t.equal((await dates(page.getByRole('row').filter({ hasText: 'old.txt' })))[0], modified.toISOString())
    await page.setViewportSize({ width: 390, height: 800 })
    await page.getByRole('button', { name: 'Tiles', exact: true }).click()
    await shows(t, () => dates(page.locator('.tile').filter({ hasText: 'old.txt' })), [modified.toISOString()])
    await fileButton(page, 'old.txt').click()
    t.ok((await dates(page.getByRole('dialog'))).includes(modified.toISOString()))
    await page.getByRole('dialog').getByText('Date of the file').waitFor()
  })
})

browserTest('arrow keys show the next file in a preview just opened, also of a video and of a PDF; a click outside and Escape close it', async t => {
  const { page } = await visitAs(t, { 'a.txt': 'aaa', 'b.txt': 'bee', 'c.zip': { bytes: 'PK', type: 'application/zip' }, 'd.mp4': { bytes: 'no video', type: 'video/mp4' }, 'e.pdf': sound, 'f.txt': 'x', 'x.pdf': damaged, 'y.pdf': sound }, { isWhole: true })
  const heading = (name: string) => page.getByRole('heading', { name }).waitFor()
  await fileButton(page, 'a.txt').focus()
  await press(page, 'Enter')
  await page.getByRole('dialog').waitFor()
  await press(page, 'ArrowRight')
  await heading('b.txt')
  await press(page, 'ArrowRight')
  await heading('c.zip')
  await page.getByText('There is no preview').click()
  await press(page, 'ArrowLeft')
  await heading('b.txt')
  await page.getByRole('dialog').locator('pre').click()
  await press(page, 'ArrowRight')
  t.equal(await page.getByRole('heading', { name: 'b.txt' }).count(), 1, 'a text scrolls with these keys')
  await dialogButton(page, 'Rename').click()
  await press(page, 'ArrowLeft')
  t.equal(await page.getByRole('textbox', { name: 'New name of b.txt' }).count(), 1, 'a text field keeps them')
  await press(page, 'Escape', 'Escape')
  await noDialog(page)

  await fileButton(page, 'd.mp4').click()
  await page.getByRole('dialog').waitFor()
  await press(page, 'ArrowRight')
  await heading('e.pdf')
  await page.locator('dialog iframe').waitFor()
  await press(page, 'ArrowRight')
  await heading('f.txt')
  await press(page, 'ArrowLeft', 'ArrowLeft')
  await heading('d.mp4')
  await press(page, 'Escape')
  await noDialog(page)

  // A click outside closes a preview, but not while a name is typed, and no other dialog.
  await fileButton(page, 'a.txt').click()
  const text = (await page.locator('dialog pre').boundingBox())!
  await page.mouse.move(text.x + 20, text.y + 15)
  await page.mouse.down()
  await page.mouse.move(5, 400, { steps: 5 })
  await page.mouse.up()
  t.equal(await page.getByRole('dialog').count(), 1, 'a selection of text that ends outside is no click')
  await dialogButton(page, 'Rename').click()
  await page.mouse.click(5, 400)
  t.equal(await page.getByRole('textbox', { name: 'New name of a.txt' }).count(), 1, 'what is typed is not lost')
  await press(page, 'Escape')
  await page.mouse.click(5, 400)
  await noDialog(page)
  await shows(t, () => isFocused(fileButton(page, 'a.txt')), true)
  await choose(page, 'a.txt', 'Versions')
  await page.mouse.click(5, 400)
  t.equal(await page.getByRole('dialog').count(), 1)
  await press(page, 'Escape')
  await shows(t, () => page.evaluate(() => history.state), null, 'it leaves no entry behind')

  // The viewer of a damaged PDF takes the focus.
  await page.evaluate(() => addEventListener('blur', ({ target }) => {
    if (target === window) document.documentElement.dataset.blurred = document.activeElement?.tagName
  }))
  for (const open of [() => fileButton(page, 'x.pdf').click(), () => press(page, 'Enter')]) {
    await page.evaluate(() => { delete document.documentElement.dataset.blurred })
    await open()
    await shows(t, () => page.evaluate(() => document.documentElement.dataset.blurred), 'IFRAME', 'the viewer has taken the focus')
    await shows(t, () => isFocused(dialogButton(page, 'Close')), true)
    await press(page, 'Escape')
    await noDialog(page)
    await shows(t, () => isFocused(fileButton(page, 'x.pdf')), true)
  }
  await fileButton(page, 'y.pdf').click()
  // Tab goes to the viewer. What has the focus a moment later depends on when the viewer is ready.
  await tabTo(page, page.locator('dialog iframe'))
  await dialogButton(page, 'Close').click()
  await page.evaluate(() => Object.defineProperty(navigator, 'pdfViewerEnabled', { value: false }))
  await fileButton(page, 'x.pdf').click()
  await page.getByRole('dialog').getByText('has no viewer for PDF files').waitFor()
})

browserTest('a PDF over plain HTTP says what it lacks', async t => {
  const plain = await visitAs(t, { 'a.pdf': sound, 'b.mp4': { bytes: 'large', type: 'video/mp4' }, 'c.zip': { bytes: 'PK', type: 'application/zip' } }, { host: 'files.test', isWhole: true })
  await plain.page.route('**/api/files?*', async route => {
    // Only the browser knows the name.
    const response = await route.fetch({ url: route.request().url().replace('files.test', '127.0.0.1') })
    const { files, ...rest } = await response.json() as { files: { name: string }[] }
    await route.fulfill({ response, json: { files: files.map(file => file.name === 'b.mp4' ? { ...file, size: 100_000_001 } : file), ...rest } })
  })
  await plain.page.reload()
  for (const name of ['a.pdf', 'b.mp4']) {
    await fileButton(plain.page, name).click()
    await plain.page.getByRole('dialog').getByText('shows this file only over HTTPS').waitFor()
    if (name === 'a.pdf') await checkAccessible(t, plain.page, name)
    await press(plain.page, 'Escape')
  }
  await fileButton(plain.page, 'c.zip').click()
  await plain.page.getByRole('dialog').getByText('There is no preview for files of this type').waitFor()
}, [/Cross-Origin-Opener-Policy header has been ignored/, /requested an origin-keyed agent cluster/])

browserTest('dates, sizes and numbers are in the language of the page, as it is written where the user lives', async t => {
  for (const browser of isProof ? ['en-US', 'en-GB', 'de-DE', 'ar-EG'] : ['en-GB', 'ar-EG']) {
    const locale = browser.startsWith('en') ? browser : 'en'
    const { page } = await visitAs(t, { 'a.txt': 'a'.repeat(1234) }, { locale: browser, timezoneId: 'Asia/Tokyo' })
    t.equal(await page.locator('html').getAttribute('lang'), 'en')
    const time = page.getByRole('grid').locator('time')
    const format = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short', timeZone: 'Asia/Tokyo' })
    t.equal(await time.innerText(), format.format(new Date(String(await time.getAttribute('datetime')))), locale)
    const size = new Intl.NumberFormat(locale, { style: 'unit', unit: 'kilobyte', unitDisplay: 'short', maximumFractionDigits: 1 })
    t.equal(await page.getByRole('row').last().locator('.size').innerText(), size.format(1.234), locale)
    await goTo(page, 'Account')
    await page.locator('.storage').getByText(/1 file\b/).waitFor()
  }
})
