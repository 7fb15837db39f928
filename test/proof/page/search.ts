import { browserTest, isFocused, shows, tabTo } from '../browser.ts'
import { choose, fileButton, namesOf, press, undo, visitAs, widths } from '../files-page.ts'
import { checkAccessible, checkFits } from '../page.ts'

const files = {
  'photo-lake.jpg': 'a', 'Notes.txt': 'bb', 'Zoë.txt': 'c', 'Lakes/photo-LAKE.png': 'ddd', 'Lakes/deep/lake (2).txt': 'ee', 'Lakes/other.txt': 'f'
}

browserTest('a search finds a part of a name, in this folder or everywhere, in every order', async t => {
  const { page } = await visitAs(t, files)
  const box = page.getByRole('searchbox')
  await box.fill('lake')
  await shows(t, () => namesOf(page), ['Lakes', 'photo-lake.jpg'])
  await page.getByText('2 found.').waitFor()
  await box.fill('ZOE')
  await shows(t, () => namesOf(page), ['Zoë.txt'], 'without case and accents')
  await box.fill('lake')
  await shows(t, () => namesOf(page), ['Lakes', 'photo-lake.jpg'])
  const scope = page.getByRole('combobox', { name: 'Where to search' })
  await tabTo(page, scope)
  await scope.selectOption('everywhere')
  const byName = ['photo-lake.jpg', 'Lakes/photo-LAKE.png', 'Lakes/deep/lake (2).txt']
  await shows(t, () => namesOf(page), byName)
  await page.getByText('3 found.').waitFor()
  for (const width of widths(320)) {
    await page.setViewportSize({ width, height: 800 })
    await checkFits(t, page, 'what was found')
    await checkAccessible(t, page, `what was found, ${width} px`)
  }
  await page.setViewportSize({ width: 1280, height: 800 })
  await page.getByRole('button', { name: 'Size' }).click()
  await shows(t, () => namesOf(page), [byName[1], byName[2], byName[0]], 'the largest first')
  await page.getByRole('button', { name: 'Tiles', exact: true }).click()
  await page.getByRole('combobox', { name: 'Order' }).selectOption('-name')
  await shows(t, () => page.locator('.tile .facts').allInnerTexts(), ['Files', 'deep', 'Lakes'], 'a tile shows the folder')
  await box.fill('nothing of this')
  await page.getByText('No name of a file contains').waitFor()
  await box.fill('')
  await shows(t, async () => (await page.locator('.tile').count()), 4, 'the folder is back')
})

browserTest('what is found in another folder opens, is shown in its folder, and is renamed and deleted where it is', async t => {
  const { page } = await visitAs(t, files)
  await page.getByRole('searchbox').fill('lake')
  await page.getByRole('combobox', { name: 'Where to search' }).selectOption('everywhere')
  await fileButton(page, 'Lakes/photo-LAKE.png').click()
  await page.getByRole('dialog', { name: 'photo-LAKE.png' }).waitFor()
  await press(page, 'Escape')
  await shows(t, () => isFocused(fileButton(page, 'Lakes/photo-LAKE.png')), true)
  await choose(page, 'lake (2).txt', 'Show in its folder')
  await page.getByRole('heading', { name: 'deep', level: 2 }).waitFor()
  await shows(t, () => isFocused(fileButton(page, 'lake (2).txt')), true, 'in another folder')
  t.equal(await page.getByRole('searchbox').inputValue(), '')
  await page.goBack()
  await page.getByRole('searchbox').fill('photo')
  await shows(t, () => namesOf(page), ['photo-lake.jpg', 'Lakes/photo-LAKE.png'])
  await choose(page, 'photo-lake.jpg', 'Show in its folder')
  await shows(t, () => isFocused(fileButton(page, 'photo-lake.jpg')), true, 'in the folder that was open')
  await shows(t, () => namesOf(page), ['Lakes', 'Notes.txt', 'Zoë.txt', 'photo-lake.jpg'])

  await page.getByRole('searchbox').fill('lake')
  await page.getByRole('combobox', { name: 'Where to search' }).selectOption('everywhere')
  await choose(page, 'lake (2).txt', 'Rename')
  await page.getByRole('textbox', { name: 'New name of lake (2).txt' }).fill('lake (3).txt')
  await press(page, 'Enter')
  await shows(t, () => isFocused(fileButton(page, 'Lakes/deep/lake (3).txt')), true)
  await press(page, 'Delete')
  await shows(t, () => namesOf(page), ['photo-lake.jpg', 'Lakes/photo-LAKE.png'])
  await undo(page).click()
  await shows(t, async () => (await namesOf(page)).includes('Lakes/deep/lake (3).txt'), true)
})

browserTest('a search by size says if it has not looked at all names', async t => {
  const { page } = await visitAs(t, files)
  const limits: (string | null)[] = []
  await page.route('**/api/files?*order=largest*', async route => {
    limits.push(new URL(route.request().url()).searchParams.get('limit'))
    await route.fulfill({ json: { files: [], next: null, searched: 100_000 } })
  })
  await page.getByRole('searchbox').fill('notes')
  await page.getByRole('button', { name: 'Size' }).click()
  await page.getByText('None of the first 100,000 names contains').waitFor()
  await page.getByText('0 found, and perhaps more: order by name to find all.').waitFor()
  t.equal(limits.at(-1), '1000', 'there is no second page')
  await page.getByRole('button', { name: 'Search all names' }).click()
  await shows(t, () => namesOf(page), ['Notes.txt'])
  await page.getByText('1 found.').waitFor()
})

browserTest('a search goes on over pages on which nothing is found', async t => {
  const { page } = await visitAs(t, files)
  const asked: (string | null)[] = []
  await page.route('**/api/files?*contains=*', async route => {
    const url = new URL(route.request().url())
    const cursor = url.searchParams.get('cursor')
    asked.push(cursor)
    if (cursor === null || cursor === 'one') return route.fulfill({ json: { files: [], next: cursor === null ? 'one' : 'two' } })
    url.searchParams.delete('cursor')
    await route.continue({ url: url.href })
  })
  await page.getByRole('searchbox').fill('photo')
  await shows(t, () => namesOf(page), ['photo-lake.jpg'])
  // The list is also loaded again, with the first cursor of the changes.
  await shows(t, async () => asked.slice(-3), [null, 'one', 'two'])
  t.equal(await page.getByText('No name in this folder contains').count(), 0)
})
