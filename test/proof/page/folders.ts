import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Page } from 'playwright-core'
import { isProof, sizes } from '../../kit/sizes.ts'
import { browserTest, enter, isFocused, shows, tabTo } from '../browser.ts'
import {
  choose, chooseFrom, dialogButton, dropOn, fileButton, folderLink, make, namesOf, newButton, noDialog, notice, panel,
  press, refusal, undo, visitAs, widths, type FilesVisit
} from '../files-page.ts'
import { checkAccessible, checkFits, goTo, openSecondWindow, signedIn } from '../page.ts'

const breadcrumb = (page: Page, name: string) => page.getByRole('navigation', { name: 'Path of the folder' }).getByRole('link', { name, exact: true })
const heading = (page: Page, name: string) => page.getByRole('heading', { name, level: 2, exact: true })

const FOLDER_TIME = new Date('2020-02-29T12:34:56Z')

/** Writes a tree of files and empty folders, whose paths end in `/`. */
function writeTree (root: string, paths: readonly string[]): void {
  for (const path of paths) {
    mkdirSync(join(root, path.endsWith('/') ? path : dirname(path)), { recursive: true })
    if (path.endsWith('/')) continue
    writeFileSync(join(root, path), `the content of ${path}`)
    utimesSync(join(root, path), FOLDER_TIME, FOLDER_TIME)
  }
}

/** All files of the account, and the folders directly in one. */
async function stored ({ server, user }: FilesVisit, folder = ''): Promise<{ names: string[], folders: string[] }> {
  const { files } = (await server.send('GET', '/api/files?limit=1000', { user })).json
  const { folders } = (await server.send('GET', `/api/folders?folder=${encodeURIComponent(folder)}`, { user })).json
  const names = (entries: { name: string }[]) => entries.map(({ name }) => name).sort()
  return { names: names(files), folders: names(folders) }
}

browserTest('a dropped folder keeps its structure, in the folder that was open; system files are left out, which the page says', async t => {
  const visit = await visitAs(t, { 'album/keep.txt': 'here before' })
  const { page, server, user } = visit
  const drop = t.testdir({})
  const numbered = Array.from({ length: sizes.pageFolderUploads - 3 }, (_, index) => `trip/${['one', 'two', 'three/inner'][index % 3]}/photo ${index}.txt`)
  const images = ['trip/one/img.txt', 'trip/two/img.txt', 'trip/three/inner/img.txt']
  const ofSystem = ['trip/.DS_Store', 'trip/one/.DS_Store', 'trip/two/Thumbs.db', 'trip/bare/Desktop.ini']
  writeTree(drop, [...numbered, ...images, ...ofSystem, 'trip/empty/inside/'])
  await folderLink(page, 'album').click()
  await heading(page, 'album').waitFor()
  await dropOn(page, [join(drop, 'trip')])
  await notice(page, 'Left out 4 system files: .DS_Store, Desktop.ini, Thumbs.db.').waitFor()
  await goTo(page, 'Files')
  await panel(page).getByText(`${sizes.pageFolderUploads} files uploaded`).waitFor()
  t.equal(await panel(page).getByText('already exists').count(), 0, 'three files of one name cause no question')

  const { names, folders } = await stored(visit, 'album/trip')
  t.strictSame(names, ['album/keep.txt', ...[...numbered, ...images].map(path => `album/${path}`)].sort())
  t.strictSame(folders, ['bare', 'empty', 'one', 'three', 'two'].map(name => `album/trip/${name}`))
  t.strictSame((await stored(visit, 'album/trip/empty')).folders, ['album/trip/empty/inside'])
  for (const path of images) {
    t.equal((await server.send('GET', `/uploads/album/${path}`, { user })).text, `the content of ${path}`)
    t.equal(new Date((await server.send('GET', `/api/files/${encodeURIComponent(`album/${path}`)}`, { user })).json.modifiedAt).getTime(), FOLDER_TIME.getTime())
  }
  for (const width of widths(390)) {
    await page.setViewportSize({ width, height: 844 })
    await checkFits(t, page, 'the list of uploads')
  }
  await page.goto(`${visit.url}/#files/album/trip/one`)
  await fileButton(page, 'img.txt').click()
  await page.getByRole('dialog').getByText('Date of the file').waitFor()
  await page.getByRole('dialog').locator('pre', { hasText: 'the content of trip/one/img.txt' }).waitFor()
})

browserTest('a chosen folder keeps its structure, a conflict names the whole path, and an unfinished upload continues in its folder, even if another one is open', async t => {
  const visit = await visitAs(t, { 'docs/a/same.txt': 'old' })
  const { page } = visit
  const drop = t.testdir({})
  writeTree(drop, ['a/same.txt', 'a/b/new.txt', 'a/b/.DS_Store', 'a/c/desktop.ini'])
  await folderLink(page, 'docs').click()
  await heading(page, 'docs').waitFor()
  await chooseFrom(page.getByRole('button', { name: 'Add a folder' }), join(drop, 'a'))
  const question = panel(page).getByRole('group', { name: 'A file named docs/a/same.txt already exists.' })
  await question.waitFor()
  await notice(page, 'Left out 2 system files: .DS_Store, desktop.ini.').waitFor()
  await question.getByRole('button', { name: 'Keep both' }).click()
  await panel(page).getByText('2 files uploaded').waitFor()
  await shows(t, () => stored(visit, 'docs/a'), {
    names: ['docs/a/b/new.txt', 'docs/a/same (2).txt', 'docs/a/same.txt'], folders: ['docs/a/b', 'docs/a/c']
  })

  writeTree(drop, ['b', 'same.txt/inside.txt'])
  await page.goto(`${visit.url}/#files/docs/a`)
  await fileButton(page, 'same.txt').waitFor()
  await dropOn(page, [join(drop, 'b'), join(drop, 'same.txt')])
  for (const name of ['docs/a/b', 'docs/a/same.txt/inside.txt']) {
    await panel(page).getByRole('listitem').filter({ hasText: name }).getByRole('button', { name: 'Upload under this name' }).waitFor()
  }
  await panel(page).getByRole('listitem').filter({ hasText: 'inside.txt' }).getByRole('textbox').fill('docs/other/inside.txt')
  await press(page, 'Enter')
  await shows(t, async () => (await stored(visit)).names.includes('docs/other/inside.txt'), true, 'a name can lead to another folder')

  const { server, user } = visit
  writeTree(drop, ['report.txt'])
  await server.send('PUT', '/uploads/docs%2Freport.txt', { user, headers: { 'upload-complete': '?0', 'upload-length': String('the content of report.txt'.length), 'content-type': 'text/plain' }, body: 'the content' })
  await page.reload()
  await chooseFrom(panel(page).getByRole('button', { name: 'Choose the file docs/report.txt to continue its upload' }), join(drop, 'report.txt'))
  await panel(page).getByRole('button', { name: 'Continue' }).click()
  await panel(page).getByText('1 file uploaded').waitFor()
  t.equal((await server.send('GET', '/uploads/docs/report.txt', { user })).text, 'the content of report.txt')
})

const hostileNames = ['100% #1?', '%2F', '%', '#?&=+ ;', ' spaces ', '...', '<img src=x onerror=alert(1)>', 'مرحبا', '👩‍👩‍👧', 'é', '__proto__', "it's"]
  .filter((_, index) => isProof || [0, 1, 6, 10].includes(index))

browserTest('the address names the open folder, whatever its name: Back, Forward, reload and another window show it, and one that does not exist is reported', async t => {
  const visit = await visitAs(t, Object.fromEntries(hostileNames.map(name => [`${name}/in it/file.txt`, name])))
  const { page } = visit
  for (const name of hostileNames) {
    await folderLink(page, name).click()
    await shows(t, () => isFocused(heading(page, name)), true, `${name}: the focus is on the heading`)
    t.equal(await page.title(), `${name.trim()} – MagicStore`)
    await folderLink(page, 'in it').click()
    await fileButton(page, 'file.txt').waitFor()
    t.strictSame(await namesOf(page), ['file.txt'])
    await page.goBack()
    await folderLink(page, 'in it').waitFor()
    await page.goForward()
    await fileButton(page, 'file.txt').waitFor()
    await page.reload()
    await fileButton(page, 'file.txt').waitFor()
    await heading(page, 'in it').waitFor()
    await breadcrumb(page, name).click()
    await folderLink(page, 'in it').waitFor()
    await breadcrumb(page, 'Files').click()
    await heading(page, 'Files').waitFor()
    await shows(t, async () => (await namesOf(page)).length, hostileNames.length)
  }
  await folderLink(page, '100% #1?').click()
  await folderLink(page, 'in it').click()
  await fileButton(page, 'file.txt').click()
  await page.getByRole('dialog').locator('pre', { hasText: '100% #1?' }).waitFor()
  await page.goBack()
  await noDialog(page)
  t.match(page.url(), /#files\/100%25%20%231%3F\/in%20it$/, 'Back closes a dialog first')

  const second = await openSecondWindow({ ...visit, url: page.url() })
  await signedIn(second.page)
  await fileButton(second.page, 'file.txt').waitFor()
  await second.page.evaluate(() => { location.hash = '#files/%zz' })
  await second.page.getByText('There is no folder of this name').waitFor()

  const { server, user } = visit
  await visit.put('a/b/file.txt', 'x')
  await page.goto(`${visit.url}/#files/a/gone/deep`)
  await page.getByText('There is no folder of this name').waitFor()
  await page.getByRole('link', { name: 'Go up to gone' }).click()
  await page.getByRole('link', { name: 'Go up to a', exact: true }).click()
  await folderLink(page, 'b').click()
  await fileButton(page, 'file.txt').waitFor()
  await server.send('DELETE', '/api/folders/a?recursive=true', { user })
  await page.evaluate(() => dispatchEvent(new Event('focus')))
  await page.getByText('There is no folder of this name').waitFor()
  t.equal(await page.getByRole('grid').count(), 0, 'its files are not shown any more')
})

browserTest('folders come first, in the order of names; a search finds both; all of many are listed', async t => {
  const visit = await visitAs(t, { 'b.txt': 'b', 'a.txt': 'aaa', 'beta/x.txt': 'x', 'alpha/x.txt': 'x' })
  const { page, server, token } = visit
  await shows(t, () => namesOf(page), ['alpha', 'beta', 'a.txt', 'b.txt'])
  await page.getByRole('button', { name: 'Name' }).click()
  await shows(t, () => namesOf(page), ['beta', 'alpha', 'b.txt', 'a.txt'])
  await page.getByRole('searchbox').fill('b')
  await shows(t, () => namesOf(page), ['beta', 'b.txt'])
  await folderLink(page, 'beta').click()
  await shows(t, () => namesOf(page), ['x.txt'])
  t.equal(await page.getByRole('searchbox').inputValue(), '', 'a search ends in another folder')

  const numbered = (index: number) => `folder ${String(index).padStart(3, '0')}`
  for (let index = 0; index < sizes.pageFolders; index++) await server.send('PUT', `/api/folders/many%2F${encodeURIComponent(numbered(index))}`, { token })
  for (const name of ['1.txt', '2.txt']) await visit.put(`many/${name}`, 'x')
  await page.goto(`${visit.url}/#files/many`)
  await folderLink(page, numbered(0)).focus()
  await shows(t, async () => {
    await press(page, 'End')
    return page.evaluate(() => document.activeElement?.textContent)
  }, '2.txt', 'the files come after the last page of folders')
  t.equal(await page.getByRole('grid').getAttribute('aria-rowcount'), String(sizes.pageFolders + 3))
  await press(page, 'Home', 'ArrowDown', 'Enter')
  await heading(page, numbered(1)).waitFor()
  await page.goBack()
  await folderLink(page, numbered(1)).waitFor()
  await tabTo(page, folderLink(page, numbered(1)))
  t.pass('after going up, Tab reaches the folder that was left')
})

browserTest('by mouse, folders are created, renamed, moved by dragging, deleted and restored', async t => {
  const visit = await visitAs(t, { 'a/one.txt': '1', 'a/sub/two.txt': '2', 'b/one.txt': 'another', 'loose.txt': 'x' })
  const { page } = visit
  await make(page, 'New folder')
  await page.getByLabel('Name of the folder').fill('b/')
  await dialogButton(page, 'Create').click()
  await refusal(page).waitFor()
  await page.getByLabel('Name of the folder').fill('loose.txt')
  await dialogButton(page, 'Create').click()
  await refusal(page).getByText('already exists').waitFor()
  await page.getByLabel('Name of the folder').fill('ab')
  await dialogButton(page, 'Create').click()
  await shows(t, () => isFocused(folderLink(page, 'ab')), true, 'the focus is on the new folder')
  await shows(t, () => namesOf(page), ['a', 'ab', 'b', 'loose.txt'])

  await choose(page, 'ab', 'Rename')
  await page.getByRole('textbox', { name: 'New name of ab' }).fill('c')
  await page.getByRole('button', { name: 'Save the name' }).click()
  await shows(t, () => isFocused(folderLink(page, 'c')), true, 'the focus is on the renamed folder')
  await shows(t, () => namesOf(page), ['a', 'b', 'c', 'loose.txt'])

  await fileButton(page, 'loose.txt').dragTo(folderLink(page, 'c'))
  await notice(page, 'Moved to c: loose.txt').waitFor()
  await folderLink(page, 'a').dragTo(folderLink(page, 'c'))
  await notice(page, 'Moved to c: a').waitFor()
  await shows(t, () => stored(visit), { names: ['b/one.txt', 'c/a/one.txt', 'c/a/sub/two.txt', 'c/loose.txt'], folders: ['b', 'c'] })
  // Dropped on itself.
  const { x = 0, y = 0 } = await folderLink(page, 'c').boundingBox() ?? {}
  await page.mouse.move(x + 20, y + 10)
  await page.mouse.down()
  for (const distance of [40, 60, 80]) await page.mouse.move(x + distance, y + 10)
  await page.mouse.up()
  await folderLink(page, 'c').click()
  await shows(t, () => namesOf(page), ['a', 'loose.txt'])
  await folderLink(page, 'a').dragTo(breadcrumb(page, 'Files'))
  await notice(page, 'Moved to Files: a').waitFor()
  await undo(page).click()
  await shows(t, () => isFocused(folderLink(page, 'a')), true, 'the focus is on the folder that is back')
  await fileButton(page, 'loose.txt').dragTo(folderLink(page, 'a'))
  await notice(page, 'Moved to c/a: loose.txt').waitFor()

  await folderLink(page, 'a').click()
  await fileButton(page, 'one.txt').dragTo(breadcrumb(page, 'Files'))
  await notice(page, 'Moved to Files: one.txt').waitFor()
  await visit.put('c/a/one.txt', 'again')
  await page.evaluate(() => dispatchEvent(new Event('focus')))
  await fileButton(page, 'one.txt').dragTo(breadcrumb(page, 'Files'))
  await refusal(page).waitFor()
  t.strictSame((await stored(visit)).names, ['b/one.txt', 'c/a/loose.txt', 'c/a/one.txt', 'c/a/sub/two.txt', 'one.txt'])
  await page.getByRole('button', { name: 'Dismiss' }).first().click()

  await breadcrumb(page, 'c').click()
  await choose(page, 'a', 'Delete')
  await page.getByRole('dialog', { name: 'Delete this folder?' }).waitFor()
  await dialogButton(page, 'Delete').click()
  await notice(page, 'Moved to the trash with its contents: c/a').waitFor()
  await page.getByText('This folder is empty').waitFor()
  await undo(page).click()
  await shows(t, () => isFocused(folderLink(page, 'a')), true, 'the focus is on the restored folder')
  t.strictSame((await stored(visit)).names, ['b/one.txt', 'c/a/loose.txt', 'c/a/one.txt', 'c/a/sub/two.txt', 'one.txt'])
})

browserTest('by keyboard alone, folders are created, renamed, moved, deleted and restored', async t => {
  const visit = await visitAs(t, { 'a/one.txt': '1', 'a/sub/two.txt': '2', 'z.txt': 'z' })
  const { page } = visit
  await enter(page, newButton(page))
  await press(page, 'Enter')
  await shows(t, () => isFocused(page.getByLabel('Name of the folder')), true)
  await page.keyboard.type('target\n')
  await shows(t, () => isFocused(folderLink(page, 'target')), true)
  await press(page, 'F2')
  await page.keyboard.type('v1.2\n')
  await shows(t, () => isFocused(folderLink(page, 'v1.2')), true, 'the whole name of a folder is selected')

  await press(page, 'End', 'ArrowRight', 'Enter', 'm', 'Enter')
  await shows(t, () => dialogButton(page, 'Move here').getAttribute('aria-disabled'), 'true', 'it is there already')
  await enter(page, dialogButton(page, 'a'))
  await enter(page, dialogButton(page, 'sub'))
  await page.getByRole('dialog').getByText('No other folders in here.').waitFor()
  await enter(page, dialogButton(page, 'a'), 'Shift+Tab')
  await shows(t, () => isFocused(page.getByRole('dialog').getByRole('heading', { name: 'a', exact: true, level: 3 })), true)
  await enter(page, dialogButton(page, 'Move here'))
  await notice(page, 'Moved to a: z.txt').waitFor()
  await noDialog(page)
  await press(page, 'Home', 'ArrowRight', 'Enter', 'm', 'Enter')
  await dialogButton(page, 'v1.2').waitFor()
  t.equal(await dialogButton(page, 'a').count(), 0, 'a folder is not moved into itself')
  await enter(page, dialogButton(page, 'v1.2'))
  await enter(page, dialogButton(page, 'Move here'))
  await notice(page, 'Moved to v1.2: a').waitFor()
  await noDialog(page)
  await make(page, 'New folder')
  await page.keyboard.type('empty\n')
  await shows(t, () => isFocused(folderLink(page, 'empty')), true)
  await press(page, 'Delete')
  await notice(page, 'Deleted: empty').waitFor()
  t.equal(await page.getByRole('dialog').count(), 0, 'an empty folder is deleted without a question')
  await enter(page, undo(page))
  await shows(t, () => namesOf(page), ['empty', 'v1.2'])
})

browserTest('what of a deleted folder can\'t be restored stays in the trash, with whole paths', async t => {
  const visit = await visitAs(t, { 'a/b/1.txt': '1', 'a/b/2.txt': '2', 'a/3.txt': '3' })
  const { page, put } = visit
  const remove = async () => {
    await choose(page, 'a', 'Delete')
    await dialogButton(page, 'Delete').click()
    await notice(page, 'Moved to the trash with its contents: a').waitFor()
  }
  await remove()
  await put('a/3.txt', 'new')
  await undo(page).click()
  await notice(page, '2 files restored. 1 could not be restored and stayed in the trash.').waitFor()
  await goTo(page, 'Trash')
  await page.getByRole('grid').getByRole('link', { name: /^a\s1 file/ }).click()
  await shows(t, () => page.locator('.file-name').allTextContents(), ['a/3.txt'])
  for (const width of widths(390)) {
    await page.setViewportSize({ width, height: 844 })
    await checkFits(t, page, 'the trash')
    await checkAccessible(t, page, `paths in the trash, ${width} px`)
  }
  await page.getByRole('button', { name: 'Restore a/3.txt' }).click()
  await page.getByRole('dialog').getByText('a/3.txt').waitFor()
  t.strictSame((await stored(visit)).names, ['a/3.txt', 'a/b/1.txt', 'a/b/2.txt'])
})
