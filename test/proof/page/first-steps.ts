import { browserTest, shows } from '../browser.ts'
import { fileButton, visitAs, widths } from '../files-page.ts'
import { checkAccessible, checkFits, goTo, openSecondWindow, signedIn, signInOn } from '../page.ts'

browserTest('a new user is told of the drive, the phone and the second factor below the list, until that is hidden for the account', async t => {
  const visit = await visitAs(t, {})
  const { page, put, url, username } = visit
  const card = page.getByRole('region', { name: 'Good to know', exact: true })
  await card.waitFor()
  await page.getByText('No files yet').waitFor()
  for (const width of widths(390)) {
    await page.setViewportSize({ width, height: 844 })
    await checkAccessible(t, page, 'the first steps')
    await checkFits(t, page, 'the first steps')
  }
  await put('a.txt', 'a')
  const top = async () => (await fileButton(page, 'a.txt').boundingBox())?.y
  await fileButton(page, 'a.txt').waitFor()
  const before = await top()
  t.ok(Number((await card.boundingBox())?.y) > Number(before), 'it is below the list')
  await card.getByRole('link', { name: 'A drive on your computer', exact: true }).click()
  const devices = page.getByRole('region', { name: 'Other devices', exact: true })
  await devices.getByText(`${url}/dav/`, { exact: true }).waitFor()
  await devices.getByRole('img', { name: 'QR code of the address of this page', exact: true }).waitFor()
  await checkAccessible(t, page, 'the other devices')
  await checkFits(t, page, 'the other devices')

  await goTo(page, 'Files')
  await page.getByRole('button', { name: 'Hide this', exact: true }).click()
  await card.waitFor({ state: 'detached' })
  t.equal(await top(), before, 'nothing moves')
  t.not(await page.evaluate(() => document.activeElement?.tagName), 'BODY', 'the focus is not lost')
  const second = await openSecondWindow(visit)
  await signedIn(second.page)
  await fileButton(second.page, 'a.txt').waitFor()
  await shows(t, async () => second.requested.some(address => address.includes('/assets/parts-')), true, 'all is loaded')
  t.equal(await second.page.getByRole('button', { name: 'Hide this', exact: true }).count(), 0)
  t.notMatch(await page.evaluate(() => JSON.stringify(localStorage)), username, 'no name is kept')
  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
  await page.getByLabel('Username').waitFor()
  await signInOn(page, username)
  await fileButton(page, 'a.txt').waitFor()
  t.equal(await card.count(), 0, 'not after another sign-in either')
})
