import { sha256Of } from '../../kit/digests.ts'
import { browserTest, phone, shows } from '../browser.ts'
import { chooseFrom, dialogButton, noDialog, visitAs } from '../files-page.ts'
import { checkAccessible, checkFits } from '../page.ts'

/** Pictures of a phone. */

const picture = (name: string, content: string | Buffer) => ({ name, mimeType: 'image/jpeg', buffer: Buffer.from(content) })

/** A JPEG that says when it was taken, as far as the page reads it. */
function takenOn (date: string, rest: string): Buffer {
  const entry = (tag: number, type: number, count: number, value: number) => {
    const bytes = Buffer.alloc(12)
    bytes.writeUInt16BE(tag, 0)
    bytes.writeUInt16BE(type, 2)
    bytes.writeUInt32BE(count, 4)
    bytes.writeUInt32BE(value, 8)
    return bytes
  }
  const directory = (...of: Parameters<typeof entry>) =>
    Buffer.concat([Buffer.from([0, 1]), entry(...of), Buffer.alloc(4)])
  // The first directory is at 8, that of the camera at 26, and its text at 44.
  const tiff = Buffer.concat([Buffer.from('MM\0*\0\0\0\b', 'latin1'), directory(0x8769, 4, 1, 26), directory(0x9003, 2, 20, 44), Buffer.from(`${date}\0`)])
  return Buffer.concat([Buffer.from([0xFF, 0xD8, 0xFF, 0xE1, 0, 90]), Buffer.from('Exif\0\0'), tiff, Buffer.from(rest)])
}

browserTest('of many photos of a phone, only those that are nowhere below the folder are sent, into folders by month if wanted', async t => {
  const { page, server, user, put } = await visitAs(t, {}, phone)
  const filesBelow = async () => {
    const { files } = (await server.send('GET', '/api/files?limit=1000', { user })).json
    return Object.fromEntries(files.map(({ name, sha256 }: { name: string, sha256: string }) => [name, sha256]))
  }
  await put('Camera/2020/01/other name.jpg', { bytes: 'sent by another way', type: 'image/jpeg' })
  const open = () => page.getByRole('button', { name: 'Upload photos', exact: true }).click()
  const choose = (files: ReturnType<typeof picture>[]) => chooseFrom(dialogButton(page, 'Choose photos and videos'), files)
  const result = page.getByRole('dialog').getByRole('status')
  await open()
  await checkAccessible(t, page, 'the choice of photos')
  await checkFits(t, page, 'the choice of photos')
  await page.getByLabel('Put them into folders by month').check()
  const winter = takenOn('2025:12:24 18:00:00', 'a tree')
  const summer = takenOn('2026:07:01 12:00:00', 'a lake')
  await choose([picture('IMG_1.jpg', winter), picture('IMG_2.jpg', summer), picture('same.jpg', 'sent by another way')])
  await result.getByText('2 uploaded. 1 was there already.').waitFor()
  const stored = { 'Camera/2020/01/other name.jpg': sha256Of('sent by another way'), 'Camera/2025/12/IMG_1.jpg': sha256Of(winter), 'Camera/2026/07/IMG_2.jpg': sha256Of(summer) }
  t.same(await filesBelow(), stored)

  // All again, and another picture, whose name the camera has used before.
  const later = takenOn('2026:07:02 12:00:00', 'mountains')
  await choose([picture('IMG_1.jpg', winter), picture('IMG_2.jpg', summer), picture('IMG_2.jpg', later)])
  await result.getByText('1 uploaded. 2 were there already.').waitFor()
  t.same(await filesBelow(), { ...stored, 'Camera/2026/07/IMG_2 (2).jpg': sha256Of(later) })
  await page.keyboard.press('Escape')
  await noDialog(page)
  await page.reload()
  await open()
  t.ok(await page.getByLabel('Put them into folders by month').isChecked(), 'the choice is kept')
  await page.getByLabel('Put them into folders by month').uncheck()
  await choose([picture('plain.jpg', 'no date')])
  await result.getByText('1 uploaded. 0 were there already.').waitFor()
  await shows(t, async () => Object.keys(await filesBelow()).includes('plain.jpg'), true)
})
