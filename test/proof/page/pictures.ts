import type { Page } from 'playwright-core'
import type { Test } from 'tap'
import { sha256Of } from '../../kit/digests.ts'
import { jpegOf, tiffOf, withExif, type TiffField } from '../../kit/pictures.ts'
import { KIB, MIB, sizes } from '../../kit/sizes.ts'
import { browserTest, shows } from '../browser.ts'
import { addTo, fileButton, press, visitAs, type Content, type FilesVisit } from '../files-page.ts'
import { giveAway, openLink, startLinks } from '../links-page.ts'
import { checkAccessible, checkFits, openPage, signInOn } from '../page.ts'
import { colorOf, openDrawing, showTiles, tile } from '../tiles-page.ts'

const COLORS = ['200 10 10', '10 200 10', '10 10 200', '200 200 10', '200 10 200', '10 200 200', '120 60 10', '60 10 120']
const rgb = (color: string) => `rgb(${color.split(' ').join(',')})`
const jpeg = (bytes: Buffer) => ({ bytes, type: 'image/jpeg' })

/** The photo, and how long and wide the pixels of a camera with 24 megapixels are. */
const PHOTO = { width: 6000, height: 4000 }

type Draw = Awaited<ReturnType<typeof openDrawing>>

const thumbnailOf = (draw: Draw, color: string, [width, height] = [160, 107]) =>
  draw({ type: 'image/jpeg', width: width!, height: height!, color: rgb(color) })

/** Counts the bytes of files and of small pictures that a page reads. */
function countBytes (page: Page) {
  const read = { files: 0, thumbnails: 0 }
  page.on('response', response => {
    const path = new URL(response.url()).pathname
    const bytes = Number(response.headers()['content-length'])
    if (response.request().method() !== 'GET') return
    if (path.startsWith('/uploads/')) read.files += bytes
    else if (path.endsWith('/thumbnail')) read.thumbnails += bytes
  })
  return read
}

interface Listed { name: string, hasThumbnail: boolean, takenAt: string | null }

async function listed ({ server, token }: FilesVisit): Promise<Listed[]> {
  const { files } = (await server.send('GET', '/api/files?limit=1000', { token })).json
  return files.map(({ name, hasThumbnail, takenAt }: Listed) => ({ name, hasThumbnail, takenAt }))
}

/** Another browser of the same user. */
async function visitAgain (t: Test, { url, username }: FilesVisit): Promise<Page> {
  const { page } = await openPage(t, url)
  await signInOn(page, username)
  return page
}

/** How many small pictures the browser keeps. */
const kept = (page: Page) => page.evaluate(async () => {
  const opened = await new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open('magicstore pictures')
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(new Error(String(request.error)))
  })
  if (!opened.objectStoreNames.contains('pictures')) return 0
  const request = opened.transaction('pictures').objectStore('pictures').count()
  await new Promise(resolve => { request.onsuccess = resolve })
  opened.close()
  return request.result
})

browserTest('the first look at eight photos of 24 megapixels reads at most a quarter of their bytes, and the second none', async t => {
  const draw = await openDrawing(t)
  const large = await draw({ type: 'image/jpeg', ...PHOTO, color: 'white', isNoisy: true })
  const photos: Record<string, Content> = {}
  for (const [index, color] of COLORS.entries()) {
    const takenAt = `2024:07:0${index + 1} 12:30:00`
    photos[`${index}.jpg`] = jpeg(withExif(large, { ...PHOTO, takenAt, orientation: index === 0 ? 6 : 1, thumbnail: await thumbnailOf(draw, color) }))
  }
  const visit = await visitAs(t, photos)
  const { page } = visit
  const first = countBytes(page)
  const lookAt = async (page: Page) => {
    for (const [index, color] of COLORS.entries()) await shows(t, () => colorOf(tile(page, `${index}.jpg`), color), color)
  }
  await showTiles(page)
  await lookAt(page)
  const total = COLORS.length * large.length
  t.comment(`${first.files} of ${total} bytes`)
  t.ok(first.files <= total / 4, `${first.files} of ${total} bytes are read`)
  const expected = COLORS.map((_, index) => ({ name: `${index}.jpg`, hasThumbnail: true, takenAt: `2024-07-0${index + 1}T12:30:00` }))
  await shows(t, () => listed(visit), expected, 'with the date that the camera wrote')
  const turned = await page.evaluate(async token => {
    const response = await fetch('api/files/0.jpg/thumbnail', { headers: { authorization: `Bearer ${token}` } })
    const { width, height } = await createImageBitmap(await response.blob())
    return height > width
  }, visit.token)
  t.ok(turned, 'a photo taken upright is upright')

  const again = await visitAgain(t, visit)
  const second = countBytes(again)
  await showTiles(again)
  await lookAt(again)
  t.strictSame([second.files, second.thumbnails > 0], [0, true], 'another browser reads only small pictures')
  await shows(t, () => kept(again), COLORS.length)
  const before = second.thumbnails
  await again.reload()
  await lookAt(again)
  t.strictSame(second, { files: 0, thumbnails: before }, 'and this browser nothing')
  await again.getByRole('button', { name: 'Sign out', exact: true }).click()
  await again.getByLabel('Username').waitFor()
  await shows(t, () => kept(again), 0, 'it keeps none after signing out')
})

browserTest('a thumbnail of another shape is not shown: the whole photo is read, once', async t => {
  const draw = await openDrawing(t)
  const [width, height] = [1200, 800]
  const whole = await draw({ type: 'image/jpeg', width, height, color: rgb(COLORS[1]!) })
  const old = await thumbnailOf(draw, COLORS[0]!, [160, 120])
  const photo = withExif(whole, { width, height, takenAt: '0000:00:00 00:00:00', thumbnail: old })
  const visit = await visitAs(t, { 'cut.jpg': jpeg(photo) })
  const read = countBytes(visit.page)
  await showTiles(visit.page)
  await shows(t, () => colorOf(tile(visit.page, 'cut.jpg'), COLORS[1]), COLORS[1])
  t.equal(read.files, photo.length)
  await shows(t, () => listed(visit), [{ name: 'cut.jpg', hasThumbnail: true, takenAt: null }])
})

browserTest('the page makes the small picture of what it uploads, without reading it back; a server that refuses it disturbs nobody', async t => {
  const draw = await openDrawing(t)
  const [width, height] = [1200, 800]
  const visit = await visitAs(t, { 'notes.txt': 'x' })
  const { page } = visit
  const read = countBytes(page)
  const photo = async (color: string) => {
    const whole = await draw({ type: 'image/jpeg', width, height, color: rgb(color) })
    return withExif(whole, { width, height, takenAt: '2023:12:31 23:59:59', thumbnail: await thumbnailOf(draw, color) })
  }
  await addTo(page, { name: 'a.jpg', mimeType: 'image/jpeg', buffer: await photo(COLORS[0]!) })
  const stored = { name: 'a.jpg', hasThumbnail: true, takenAt: '2023-12-31T23:59:59' }
  const others = { name: 'notes.txt', hasThumbnail: false, takenAt: null }
  await shows(t, () => listed(visit), [stored, others])
  await page.route('**/thumbnail*', route => route.fulfill({ status: 413, json: { code: 'quota_exceeded', title: 'x', status: 413 } }))
  await addTo(page, { name: 'b.jpg', mimeType: 'image/jpeg', buffer: await photo(COLORS[1]!) })
  await fileButton(page, 'b.jpg').waitFor()
  await showTiles(page)
  await shows(t, () => colorOf(tile(page, 'a.jpg'), COLORS[0]), COLORS[0])
  await shows(t, () => colorOf(tile(page, 'b.jpg'), COLORS[1]), COLORS[1])
  t.strictSame(read, { files: 0, thumbnails: 0 })
  t.equal(await page.getByRole('alert').filter({ hasText: /\w/ }).count(), 0)
})

browserTest('a raw file shows the JPEG that the camera put in, on its tile and in its preview; HEIC says what it is', async t => {
  const draw = await openDrawing(t)
  const jpegIn = (bytes: Buffer): TiffField[] => [[0x103, 6], [0x201, bytes], [0x202, bytes.length]]
  const drawn = (width: number, height: number) => thumbnailOf(draw, COLORS[2]!, [width, height])
  const [small, middle, largest] = [await drawn(160, 107), await drawn(480, 320), await drawn(1620, 1080)]
  const lossless = Buffer.concat([jpegOf(6000, 4000), Buffer.alloc(2 * MIB)])
  lossless[lossless.indexOf('ffc0', 0, 'hex') + 1] = 0xC3
  const sensor: TiffField[] = [[0x103, 7], [0x111, lossless], [0x117, lossless.length]]
  const exif: TiffField[] = [[0x9003, '2022:02:02 02:02:02']]
  const raw = tiffOf([[0x112, 6], [0x14A, jpegIn(largest)], [0x8769, exif]], jpegIn(small), sensor, jpegIn(middle))
  const visit = await visitAs(t, {
    'a.nef': { bytes: raw, type: 'application/octet-stream' },
    'b.dng': { bytes: tiffOf(sensor), type: 'image/x-adobe-dng' },
    'c.heic': { bytes: Buffer.alloc(200 * KIB), type: 'image/heic' },
    'd.arw': { bytes: Buffer.from('4d4d002a7fffffff', 'hex'), type: 'image/x-sony-arw' }
  })
  const { page } = visit
  const read = countBytes(page)
  await showTiles(page)
  await shows(t, () => colorOf(tile(page, 'a.nef'), COLORS[2]), COLORS[2])
  await shows(t, async () => (await listed(visit))[0], { name: 'a.nef', hasThumbnail: true, takenAt: '2022-02-02T02:02:02' })
  t.ok(read.files < raw.length / 4, `${read.files} bytes are read`)
  for (const name of ['b.dng', 'c.heic', 'd.arw']) {
    t.equal(await tile(page, name).locator('[data-ending]').getAttribute('data-ending'), name.slice(2))
    t.equal(await colorOf(tile(page, name)), '')
  }
  await fileButton(page, 'a.nef').click()
  const shown = page.getByRole('dialog').locator('img')
  await shows(t, () => shown.evaluate((image: HTMLImageElement) => [image.naturalWidth, image.naturalHeight]), [1080, 1620], 'the largest, upright')
  for (const [name, ending] of [['b.dng', 'DNG'], ['c.heic', 'HEIC'], ['d.arw', 'ARW']] as const) {
    await press(page, 'ArrowRight')
    await page.getByRole('heading', { name }).waitFor()
    await page.getByRole('dialog').getByText(`This browser can’t show ${ending} files`).waitFor()
  }
})

browserTest('photos that are scrolled through for the first time read less than 64 KiB each, and then less than that', async t => {
  const draw = await openDrawing(t)
  const [width, height] = [900, 600]
  const whole = await draw({ type: 'image/jpeg', width, height, color: 'white', isNoisy: true })
  const thumbnail = await thumbnailOf(draw, COLORS[0]!)
  const nameOf = (index: number) => `${String(index).padStart(4, '0')}.jpg`
  const visit = await visitAs(t, {})
  for (let index = 0; index < sizes.pageScrolled; index++) {
    await visit.put(nameOf(index), jpeg(withExif(whole, { width, height, takenAt: `2024:01:01 00:${String(index % 60).padStart(2, '0')}:00`, thumbnail })))
  }
  await visit.page.reload()
  const most = sizes.pageScrolled * 64 * MIB / 1000
  for (const open of [() => visit.page, () => visitAgain(t, visit)]) {
    const page = await open()
    const read = countBytes(page)
    await showTiles(page)
    for (let index = 0; index < sizes.pageScrolled; index += 4) {
      await fileButton(page, nameOf(index)).scrollIntoViewIfNeeded()
      await shows(t, () => colorOf(tile(page, nameOf(index)), COLORS[0]), COLORS[0])
    }
    t.comment(`${read.files} + ${read.thumbnails} bytes`)
    t.ok(read.files + read.thumbnails < most, `${read.files} + ${read.thumbnails} of ${most} bytes`)
  }
})

browserTest('visitors of a folder see the small pictures of its photos, and read no photo for them', async t => {
  const draw = await openDrawing(t)
  const server = await startLinks(t)
  const put = async (color: string) => {
    const photo = await draw({ type: 'image/png', width: 90, height: 60, color: rgb(color) })
    await server.send('PUT', '/uploads/box%2Fin%2Fa.png', { token: server.token, body: photo })
    const headers = { 'if-match': `"${sha256Of(photo)}"` }
    const { status } = await server.send('PUT', '/api/files/box%2Fin%2Fa.png/thumbnail', { token: server.token, body: await thumbnailOf(draw, color), headers })
    t.equal(status, 200)
  }
  await put(COLORS[0]!)
  await server.put('box/in/b.png', 'no picture', 'image/png')
  const { url } = await giveAway(server, server.token, { name: 'box' })
  const { page, requested } = await openLink(t, `${url}#in`, { viewport: { width: 390, height: 844 } })
  const row = (name: string) => page.getByRole('row').filter({ has: page.getByRole('button', { name, exact: true }) })
  const shown = () => row('a.png').locator('img').evaluate((image: HTMLImageElement) => {
    const canvas = new OffscreenCanvas(1, 1)
    const context = canvas.getContext('2d')!
    context.drawImage(image, 0, 0, 1, 1)
    return Array.from(context.getImageData(0, 0, 1, 1).data.slice(0, 3), value => Math.round(value / 10) * 10).join(' ')
  })
  await shows(t, shown, COLORS[0])
  t.equal(await row('b.png').locator('img').count(), 0)
  t.equal(await row('b.png').locator('svg').first().isVisible(), true)
  await checkAccessible(t, page, 'a folder with pictures')
  await checkFits(t, page, 'a folder with pictures')
  t.same(requested.filter(address => /files.*(?:a|b)\.png/.test(address)), [])
  await server.put('box/in/c.heic', 'no picture', 'image/heic')
  const headers = { 'if-match': `"${sha256Of(Buffer.from('no picture'))}"` }
  await server.send('PUT', '/api/files/box%2Fin%2Fc.heic/thumbnail', { token: server.token, body: await thumbnailOf(draw, COLORS[2]!), headers })
  await page.reload()
  await row('c.heic').getByRole('button').click()
  await page.getByRole('dialog').getByText('The browser can’t show this file.').waitFor()
  await shows(t, () => page.getByRole('dialog').locator('img').evaluate((image: HTMLImageElement) => image.naturalWidth), 160, 'its small picture, with the reason')
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await put(COLORS[1]!)
  await page.reload()
  await shows(t, shown, COLORS[1], 'of the new content')
  // The viewer has loaded the picture beside.
  t.same(requested.filter(address => /files.*a\.png/.test(address)), [])
})
