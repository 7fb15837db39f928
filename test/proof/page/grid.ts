import type { Test } from 'tap'
import { sizes } from '../../kit/sizes.ts'
import { browserTest, isFocused, openTab, shows, tabTo } from '../browser.ts'
import { fileButton, hold, menuButton, press, putMany, visitAs, type FilesVisit } from '../files-page.ts'
import { colorOf, showTiles, tile } from '../tiles-page.ts'

const png = (bytes: Buffer) => ({ bytes, type: 'image/png' })
/** Makes pictures of one colour in a browser: PNG, and WebM of some frames. */
async function openPictures (t: Test) {
  const { page } = await openTab(t)
  const make = async (type: 'image/png' | 'video/webm', color: string) => {
    const address = await page.evaluate(async ([type, color]) => {
      const canvas = document.createElement('canvas')
      canvas.width = canvas.height = 64
      const context = canvas.getContext('2d')!
      const paint = () => {
        context.fillStyle = color
        context.fillRect(0, 0, 64, 64)
        return new Promise(requestAnimationFrame)
      }
      // Before the recording, whose first frame would else be black on a busy machine.
      await paint()
      if (type === 'image/png') return canvas.toDataURL(type)
      const recorder = new MediaRecorder(canvas.captureStream(30), { mimeType: type })
      const chunks: Blob[] = []
      recorder.ondataavailable = ({ data }) => { chunks.push(data) }
      const stopped = new Promise(resolve => { recorder.onstop = resolve })
      recorder.start()
      for (let frame = 0; frame < 20; frame++) await paint()
      recorder.stop()
      await stopped
      const reader = new FileReader()
      const read = new Promise(resolve => { reader.onload = resolve })
      reader.readAsDataURL(new Blob(chunks))
      await read
      return String(reader.result)
    }, [type, color] as const)
    return { bytes: Buffer.from(address.slice(address.indexOf(',') + 1), 'base64'), type }
  }
  return { picture: (color: string) => make('image/png', color), video: (color: string) => make('video/webm', color) }
}

/** Counts addresses of bytes in memory that are not revoked, and requests for bytes of files that run at a time. */
async function watchBytes ({ page }: FilesVisit) {
  await page.addInitScript(() => {
    const kept = new Set<string>()
    const { createObjectURL, revokeObjectURL } = URL
    URL.createObjectURL = object => {
      const address = createObjectURL.call(URL, object)
      kept.add(address)
      return address
    }
    URL.revokeObjectURL = address => {
      kept.delete(address)
      revokeObjectURL.call(URL, address)
    }
    Object.assign(window, { kept })
  })
  await page.reload()
  const running = new Set<unknown>()
  const asked: string[] = []
  let most = 0
  page.on('request', request => {
    if (!request.url().includes('/uploads/')) return
    asked.push(request.url())
    most = Math.max(most, running.add(request).size)
  })
  page.on('requestfinished', request => { running.delete(request) })
  page.on('requestfailed', request => { running.delete(request) })
  const kept = () => page.evaluate(() => (window as unknown as { kept: Set<string> }).kept.size)
  return { kept, asked, most: () => most }
}

browserTest('tiles show images and videos, and the kind of other files; the browser keeps the choice, and small pictures until nobody is signed in', async t => {
  const { picture, video } = await openPictures(t)
  const visit = await visitAs(t, {
    'a.png': await picture('rgb(200, 10, 10)'),
    'b.webm': await video('rgb(0, 0, 255)'),
    'c.svg': { bytes: '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><rect width="40" height="40" fill="rgb(0,128,0)"/></svg>', type: 'image/svg+xml' },
    'broken.png': png(Buffer.from('no picture')),
    'empty.png': png(Buffer.alloc(0)),
    'large.png': png(Buffer.alloc(30_000_001)),
    'notes.txt': 'x',
    'box.zip': { bytes: 'PK', type: 'application/zip' },
    'folder/x.txt': 'x'
  })
  const { page } = visit
  const { kept, asked } = await watchBytes(visit)
  await showTiles(page)
  await shows(t, () => colorOf(tile(page, 'a.png'), '200 10 10'), '200 10 10')
  await shows(t, () => colorOf(tile(page, 'c.svg'), '0 128 0'), '0 128 0')
  await shows(t, async () => {
    const color = await colorOf(tile(page, 'b.webm'))
    const [red = 99, green = 99, blue = 0] = color.split(' ').map(Number)
    return red < 40 && green < 40 && blue > 200 ? 'blue' : color
  }, 'blue', 'a frame of the video')
  for (const [name, look] of [['notes.txt', 'text'], ['box.zip', 'archive'], ['broken.png', 'image'], ['empty.png', 'image'], ['large.png', 'image']] as const) {
    t.equal(await tile(page, name).locator('[data-look]').getAttribute('data-look'), look)
    await shows(t, () => tile(page, name).locator('[data-ending]').getAttribute('data-ending'), name.replace(/.*\./, ''))
  }
  t.same(asked.filter(address => /large|empty|notes|box/.test(address)), [], 'nothing is loaded in vain')
  await shows(t, kept, 0, 'no picture stays in memory but on its tile')
  t.same((await page.evaluate(() => caches.keys())).filter(name => !name.startsWith('magicstore page ')), [])
  await page.reload()
  await shows(t, () => colorOf(tile(page, 'a.png'), '200 10 10'), '200 10 10', 'tiles again')
  await visit.put('a.png', await picture('rgb(1, 2, 3)'))
  await page.reload()
  await shows(t, () => colorOf(tile(page, 'a.png'), '1 2 3'), '1 2 3', 'the new content')
})

browserTest('thumbnails are made for tiles in view only, three at a time, also without a service worker', async t => {
  const { picture, video } = await openPictures(t)
  const red = await picture('red')
  const numbered = (index: number) => `photo ${String(index).padStart(3, '0')}.png`
  const visit = await visitAs(t, { 'a.webm': await video('rgb(0, 0, 255)') }, { serviceWorkers: 'block' })
  const { page } = visit
  await putMany(visit, Array.from({ length: sizes.pagePhotos }, (_, index) => numbered(index)), red)
  const { kept, asked, most } = await watchBytes(visit)
  await showTiles(page)
  await shows(t, async () => await colorOf(tile(page, 'a.webm')) !== '', true)
  await shows(t, () => colorOf(tile(page, numbered(0)), '255 0 0'), '255 0 0')
  await fileButton(page, numbered(0)).focus()
  await press(page, 'End')
  await shows(t, () => colorOf(tile(page, numbered(sizes.pagePhotos - 1)), '255 0 0'), '255 0 0')
  t.ok(asked.length < 100, `${asked.length} were loaded`)
  t.ok(await page.locator('canvas').count() < 100, 'only tiles near the view are in the document')
  t.ok(most() <= 3, `${most()} at a time`)
  await shows(t, kept, 0)
})

browserTest('by keyboard alone, tiles are reached in two dimensions, opened and deleted', async t => {
  const nameOf = (index: number) => `${String.fromCharCode(97 + index)}.txt`
  const { page } = await visitAs(t, Object.fromEntries(Array.from({ length: 20 }, (_, index) => [nameOf(index), 'x'])))
  await showTiles(page)
  const perRow = Number(await page.getByRole('grid').getAttribute('aria-colcount'))
  t.equal(await page.getByRole('grid').getAttribute('aria-rowcount'), String(Math.ceil(20 / perRow)))
  const nth = (index: number) => fileButton(page, nameOf(index))
  await tabTo(page, nth(0))
  for (const [key, index] of [['ArrowRight', 1], ['ArrowDown', 1 + perRow], ['ArrowLeft', perRow], ['ArrowUp', 0], ['End', 19], ['Home', 0]] as const) {
    await press(page, key)
    await shows(t, () => isFocused(nth(index)), true, key)
  }
  await press(page, 'Enter')
  await page.getByRole('heading', { name: 'a.txt' }).waitFor()
  await press(page, 'Escape')
  await shows(t, () => isFocused(nth(0)), true)
  await press(page, 'Tab')
  t.ok(await isFocused(menuButton(page, 'a.txt')), 'Tab goes to the actions of the tile')
  await nth(1).focus()
  await press(page, 'Delete')
  await shows(t, () => isFocused(nth(2)), true)
})

browserTest('the scroll bar has the length of all files, and a letter leads to its first name, in the list and in tiles', async t => {
  const names = Array.from({ length: sizes.pageFiles }, (_, index) => `${String.fromCharCode(65 + Math.floor(index * 25 / sizes.pageFiles))} ${String(index).padStart(4, '0')}.txt`)
  const visit = await visitAs(t, {})
  const { page } = visit
  await putMany(visit, names)
  await fileButton(page, names[0]!).waitFor()
  await shows(t, () => page.getByRole('grid').getAttribute('aria-rowcount'), String(names.length + 1))
  for (const shownAs of ['List', 'Tiles']) {
    await page.getByRole('button', { name: shownAs, exact: true }).click()
    await shows(t, () => page.getByRole('grid').getAttribute('aria-busy'), 'false')
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight))
    const last = fileButton(page, names.at(-1)!)
    await last.waitFor()
    await page.evaluate(() => scrollTo(0, 0))
    await fileButton(page, names[0]!).focus()
    await press(page, 'End')
    await shows(t, () => isFocused(last), true, 'End goes to the last of all files')
    const lengthOf = () => page.locator('.body').evaluate((body: HTMLElement) => body.offsetHeight)
    const length = await lengthOf()
    await page.evaluate(() => dispatchEvent(new Event('focus')))
    await page.evaluate(() => new Promise(resolve => setTimeout(resolve)))
    t.equal(await lengthOf(), length, 'the list keeps its length while it is loaded again')
    t.ok(await page.locator('[data-index]').count() < 120, 'only what is near the view is in the document')
    await page.evaluate(() => scrollTo(0, 0))
    await page.getByRole('button', { name: 'A–Z: jump to a letter' }).click()
    await press(page, 'n', 'Enter')
    const wanted = names.find(name => name.startsWith('N'))!
    await shows(t, () => isFocused(fileButton(page, wanted)), true, 'by key')
    t.ok(await fileButton(page, wanted).evaluate(element => element.getBoundingClientRect().top < innerHeight / 2), 'at the top of the view')
  }
  await page.getByRole('button', { name: 'List', exact: true }).click()
  const listings = () => visit.requested.filter(address => address.includes('/api/files?')).length
  await fileButton(page, names[0]!).focus()
  const before = listings()
  for (const next of names.slice(1, 21)) {
    await press(page, 'Delete')
    await shows(t, () => isFocused(fileButton(page, next)), true)
  }
  t.ok(listings() - before < 20, 'there are fewer listings than changes')
  await page.getByRole('button', { name: 'Tiles', exact: true }).click()
  await page.getByRole('combobox', { name: 'Order' }).selectOption('largest')
  await shows(t, () => page.getByRole('button', { name: 'A–Z: jump to a letter' }).count(), 0, 'letters only in the order of names')
})

browserTest('End goes to the last of all files, also while they are being loaded', async t => {
  const visit = await visitAs(t, {})
  const { page } = visit
  const names = Array.from({ length: sizes.pageFiles }, (_, index) => `f${String(index).padStart(4, '0')}.txt`)
  const last = names.at(-1) ?? ''
  await putMany(visit, names)
  const focusedName = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? '')
  for (const [key, expected] of [['End', last], ['Home', 'f0000.txt']] as const) {
    const release = await hold(page, '**/api/files?*cursor=*')
    await page.reload()
    await fileButton(page, 'f0000.txt').focus()
    await press(page, 'End')
    // The list is loaded once more when the feed of changes has begun, then with more than 200 files.
    await shows(t, async () => await focusedName() >= 'f0199.txt', true, 'the last that is loaded')
    await press(page, key)
    release()
    await shows(t, () => page.getByRole('grid').getAttribute('aria-rowcount'), String(names.length + 1))
    await shows(t, () => isFocused(fileButton(page, expected)), true, `after ${key}`)
    await page.unroute('**/api/files?*cursor=*')
  }
})
