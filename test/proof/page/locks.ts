import { lockedPaths, setLock } from '../../kit/locks.ts'
import { browserTest, enter, isFocused, shows, tabTo } from '../browser.ts'
import {
  addTo, choose, dialogButton, fileButton, namesOf, noDialog, panel, press, refusal, textFile, undo, visitAs, widths
} from '../files-page.ts'
import { checkAccessible, checkFits } from '../page.ts'

browserTest('a file is copied by mouse and by keyboard, and the copy is taken back', async t => {
  const { page } = await visitAs(t, { 'a.txt': 'aaa', 'b.txt': 'b' })
  const input = page.getByRole('textbox', { name: 'Name of the copy' })
  await choose(page, 'a.txt', 'Copy')
  await page.getByRole('heading', { name: 'Copy a.txt' }).waitFor()
  await shows(t, () => isFocused(input), true)
  t.equal(await input.inputValue(), 'a (2).txt')
  await input.fill('b.txt')
  await dialogButton(page, 'Make the copy').click()
  await refusal(page).waitFor()
  t.equal(await input.inputValue(), 'b.txt', 'the typed text stays')
  await input.fill('c.txt')
  await dialogButton(page, 'Make the copy').click()
  await noDialog(page)
  await shows(t, () => isFocused(fileButton(page, 'c.txt')), true, 'the focus is on the copy')
  await page.getByText('Copied to c.txt').waitFor()
  await undo(page).click()
  await shows(t, () => namesOf(page), ['a.txt', 'b.txt'])

  // The row that Tab reaches depends on when the listing was read again.
  await fileButton(page, 'a.txt').focus()
  await press(page, 'ArrowRight', 'Enter', 'c', 'Enter')
  await shows(t, () => isFocused(input), true)
  await press(page, 'Enter')
  await shows(t, () => isFocused(fileButton(page, 'a (2).txt')), true)
  await press(page, 'Enter')
  await page.getByRole('dialog').getByText('aaa').waitFor()
})

browserTest('what is locked says so in the list, in dialogs and at uploads, and the lock is broken there', async t => {
  const { page, server, put, user } = await visitAs(t, { 'a.txt': 'aaa', 'dir/b.txt': 'b', 'out.txt': 'out' })
  await setLock(server.dataDir, 'a.txt')
  for (const width of widths(390)) {
    await page.setViewportSize({ width, height: 800 })
    await choose(page, 'a.txt', 'Delete')
    await refusal(page).getByText('a.txt is locked').waitFor()
    await checkFits(t, page, 'a refusal')
    await checkAccessible(t, page, `a refusal by a lock, ${width} px`)
    await page.getByRole('button', { name: 'Dismiss' }).click()
  }
  await tabTo(page, fileButton(page, 'a.txt'))
  await press(page, 'Delete')
  await enter(page, page.getByRole('button', { name: 'Break the lock' }))
  await page.getByText('The lock is broken. Try again.').waitFor()
  t.ok(await isFocused(page.getByRole('button', { name: 'Break the lock' })), 'the focus is not lost')
  t.same(await lockedPaths(server.dataDir), [])
  await choose(page, 'a.txt', 'Delete')
  await shows(t, () => namesOf(page), ['dir', 'out.txt'])

  await setLock(server.dataDir, 'dir', { isDeep: true })
  await choose(page, 'out.txt', 'Move')
  await page.getByRole('dialog').getByRole('button', { name: 'dir' }).click()
  await dialogButton(page, 'Move here').click()
  await refusal(page).getByText('dir is locked').waitFor()
  await dialogButton(page, 'Break the lock').click()
  await page.getByText('The lock is broken. Try again.').waitFor()
  await dialogButton(page, 'Move here').click()
  await noDialog(page)
  await shows(t, () => namesOf(page), ['dir'])

  await put('a.txt', 'aaa')
  await setLock(server.dataDir, 'a.txt')
  await addTo(page, textFile('a.txt', 'new'))
  await panel(page).getByRole('button', { name: 'Replace it' }).click()
  await panel(page).getByText('a.txt is locked').waitFor()
  await panel(page).getByRole('button', { name: 'Try again' }).click()
  await panel(page).getByText('a.txt is locked').waitFor()
  await panel(page).getByRole('button', { name: 'Break the lock' }).click()
  await panel(page).getByText(/^Uploaded, /).waitFor()
  t.equal((await server.send('GET', '/uploads/a.txt', { user })).text, 'new')
})
