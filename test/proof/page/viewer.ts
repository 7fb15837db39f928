import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { CDPSession, Locator, Page } from 'playwright-core'
import type { Test } from 'tap'
import { withExif } from '../../kit/exif.ts'
import { sharedServer, signUp } from '../../kit/server.ts'
import { browserTest, isFocused, openTab, phone, shows, tabTo } from '../browser.ts'
import { dialogButton, fileButton, noDialog, press, visitAs } from '../files-page.ts'
import { giveAway, openLink, startLinks } from '../links-page.ts'
import { checkAccessible, checkFits, openPage, signInOn } from '../page.ts'

const shot = { takenAt: '2024-07-01T12:30:00', make: 'Canon', model: 'Canon EOS R5', latitude: -33.8568, longitude: 151.2153 }

/** A photo and a video that a browser makes. */
async function makePictures (t: Test) {
  const { page } = await openTab(t)
  const made = await page.evaluate(async () => {
    const paint = (canvas: HTMLCanvasElement, frame: number) => {
      const context = canvas.getContext('2d')!
      context.fillStyle = `hsl(${frame * 12} 80% 50%)`
      context.fillRect(0, 0, canvas.width, canvas.height)
      return new Promise(requestAnimationFrame)
    }
    const picture = Object.assign(document.createElement('canvas'), { width: 1600, height: 1200 })
    await paint(picture, 0)
    const photo = picture.toDataURL('image/jpeg')
    const film = Object.assign(document.createElement('canvas'), { width: 160, height: 120 })
    const recorder = new MediaRecorder(film.captureStream(30), { mimeType: 'video/webm' })
    const chunks: Blob[] = []
    recorder.ondataavailable = ({ data }) => { chunks.push(data) }
    const stopped = new Promise(resolve => { recorder.onstop = resolve })
    await paint(film, 0)
    recorder.start()
    for (let frame = 0; frame < 30; frame++) await paint(film, frame)
    recorder.stop()
    await stopped
    const reader = new FileReader()
    const read = new Promise(resolve => { reader.onload = resolve })
    reader.readAsDataURL(new Blob(chunks))
    await read
    return [photo, String(reader.result)]
  })
  const [photo, video] = made.map(address => Buffer.from(address.slice(address.indexOf(',') + 1), 'base64'))
  return { photo: { bytes: withExif(photo!, shot), type: 'image/jpeg' }, video: { bytes: video!, type: 'video/webm' } }
}

const shownPicture = (page: Page) => page.getByRole('dialog').locator('img.shown')
const boxOf = async (picture: Locator) => (await picture.boundingBox())!
/** How many times larger than whole the picture is. */
const scaleOf = (page: Page) => shownPicture(page).evaluate((picture: HTMLElement) =>
  Math.round(100 * picture.getBoundingClientRect().width / picture.offsetWidth) / 100)

/** Whether the controls can be seen. */
const hasControls = (page: Page) =>
  page.locator('dialog > header').evaluate(header => getComputedStyle(header).opacity === '1')

type Place = readonly [x: number, y: number]

/** Fingers that touch the screen, move and leave. */
async function touch (devTools: CDPSession, ...steps: Place[][]): Promise<void> {
  for (const [index, places] of steps.entries()) {
    const touchPoints = places.map(([x, y], id) => ({ x, y, id }))
    await devTools.send('Input.dispatchTouchEvent', { type: index === 0 ? 'touchStart' : 'touchMove', touchPoints })
  }
  await devTools.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] })
}

browserTest('a picture fills a phone, upright and across, and follows fingers: pinch, double tap, move and swipe; its controls go and come back', async t => {
  const { photo } = await makePictures(t)
  const { page } = await visitAs(t, { 'a.jpg': photo, 'b.jpg': photo, 'c.txt': 'text' }, phone)
  const devTools = await page.context().newCDPSession(page)
  await fileButton(page, 'a.jpg').click()
  await shows(t, () => shownPicture(page).evaluate((image: HTMLImageElement) => image.naturalWidth), 1600)
  await checkAccessible(t, page, 'the viewer')
  await checkFits(t, page, 'the viewer')
  await shows(t, () => hasControls(page), false, 'the controls go')
  for (const [width, height] of [[390, 844], [844, 390]] as const) {
    await page.setViewportSize({ width, height })
    await shows(t, async () => {
      const box = await boxOf(shownPicture(page))
      return box.width >= 0.8 * width || box.height >= 0.8 * height
    }, true, `${width} × ${height}`)
  }
  await page.setViewportSize({ width: 390, height: 844 })

  await touch(devTools, [[195, 420]])
  await shows(t, () => hasControls(page), true, 'a tap shows the controls')
  await shows(t, () => hasControls(page), false)
  await touch(devTools, [[175, 420], [215, 420]], [[155, 420], [235, 420]], [[135, 420], [255, 420]])
  await shows(t, () => scaleOf(page), 3, 'pinched')
  const before = await boxOf(shownPicture(page))
  await touch(devTools, [[200, 420]], [[260, 420]], [[300, 420]])
  await shows(t, async () => Math.round((await boxOf(shownPicture(page))).x - before.x), 100, 'a zoomed picture is moved')
  t.equal(await page.getByRole('heading', { name: 'a.jpg' }).count(), 1, 'and does not go')
  for (const scale of [1, 2.5, 1]) {
    await touch(devTools, [[195, 420]])
    await touch(devTools, [[195, 420]])
    await shows(t, () => scaleOf(page), scale, 'a double tap')
  }
  await touch(devTools, [[300, 420]], [[200, 425]], [[100, 430]])
  await page.getByRole('dialog').getByRole('heading', { name: 'b.jpg' }).waitFor()
  await touch(devTools, [[300, 420]], [[100, 430]])
  await page.getByRole('dialog').locator('pre').waitFor()
  await page.goBack()
  await noDialog(page)
})

browserTest('the viewer by keys and mouse: a picture is zoomed and moved; what the camera knows is only in the panel', async t => {
  const { photo, video } = await makePictures(t)
  const { page } = await visitAs(t, { 'a.jpg': photo, 'b.webm': video })
  await fileButton(page, 'a.jpg').focus()
  await press(page, 'Enter')
  await shows(t, () => shownPicture(page).evaluate((image: HTMLImageElement) => image.naturalWidth), 1600)
  await press(page, '+', '+')
  await shows(t, () => scaleOf(page), 2.25)
  const { x } = await boxOf(shownPicture(page))
  await press(page, 'ArrowRight')
  await shows(t, async () => (await boxOf(shownPicture(page))).x < x, true, 'an arrow moves a zoomed picture')
  await press(page, '-')
  await shows(t, () => scaleOf(page), 1.5)
  await press(page, '0')
  await shows(t, () => scaleOf(page), 1)
  await page.mouse.move(300, 300)
  await page.mouse.wheel(0, -400)
  await shows(t, async () => await scaleOf(page) > 2, true, 'a wheel')
  await page.mouse.dblclick(300, 300)
  await shows(t, () => scaleOf(page), 1)

  await shows(t, () => hasControls(page), false)
  await page.mouse.move(310, 300)
  await shows(t, () => hasControls(page), true, 'a movement shows the controls')
  await tabTo(page, dialogButton(page, 'Details'))
  t.equal(await page.getByText('Canon').count(), 0)
  await press(page, 'Enter')
  const facts = page.getByRole('region', { name: 'Details', exact: true })
  await facts.getByText('Canon EOS R5', { exact: true }).waitFor()
  await facts.getByText('-33.8568, 151.2153').waitFor()
  await facts.getByText('Jul 1, 2024, 12:30').waitFor()
  await checkAccessible(t, page, 'the viewer with details')
  await press(page, 'i')
  await facts.waitFor({ state: 'detached' })
  await shows(t, () => isFocused(dialogButton(page, 'Details')), true)
  t.ok(await hasControls(page), 'a control with the focus stays')
  await press(page, 'ArrowRight')
  await page.locator('dialog video').waitFor()
  await checkAccessible(t, page, 'the viewer of a video')
  await press(page, 'Escape')
  await noDialog(page)
})

browserTest('the next picture is loaded ahead, once, and a large one is not', async t => {
  const { photo } = await makePictures(t)
  const large = { bytes: Buffer.concat([photo.bytes, Buffer.alloc(15_000_001)]), type: photo.type }
  const { page, requested } = await visitAs(t, { 'a.jpg': photo, 'b.jpg': photo, 'c.jpg': large, 'd.txt': 'text' })
  const times = (name: string) => requested.filter(address => address.includes(`/uploads/${name}`)).length
  await page.evaluate(() => {
    const create = URL.createObjectURL.bind(URL)
    URL.createObjectURL = blob => {
      document.documentElement.dataset.inMemory = String((blob as Blob).size)
      return create(blob)
    }
  })
  await fileButton(page, 'a.jpg').click()
  await shows(t, () => page.locator('html').getAttribute('data-in-memory'), String(photo.bytes.length), 'the next one is loaded')
  t.equal(times('b.jpg'), 1)
  await press(page, 'ArrowRight')
  await shows(t, () => shownPicture(page).getAttribute('src').then(address => address?.startsWith('blob:')), true, 'from memory')
  await shows(t, () => shownPicture(page).evaluate((image: HTMLImageElement) => image.naturalWidth), 1600)
  await press(page, 'ArrowRight')
  await shows(t, async () => times('c.jpg'), 1, 'a large one when it is shown')
  await press(page, 'ArrowLeft')
  await page.getByRole('dialog').getByRole('img', { name: 'b.jpg' }).waitFor()
  t.same(['a.jpg', 'b.jpg', 'c.jpg'].map(times), [1, 1, 1])
})

browserTest('visitors of a link have the same viewer', async t => {
  const { photo } = await makePictures(t)
  const server = await startLinks(t)
  for (const name of ['p/a.jpg', 'p/b.jpg']) await server.put(name, photo.bytes, photo.type)
  const { page } = await openLink(t, (await giveAway(server, server.token, { name: 'p' })).url)
  await page.getByRole('button', { name: 'a.jpg' }).click()
  await shows(t, () => shownPicture(page).evaluate((image: HTMLImageElement) => image.naturalWidth), 1600)
  await press(page, '+', 'i')
  await shows(t, () => scaleOf(page), 1.5)
  await page.getByRole('region', { name: 'Details' }).getByText('Canon EOS R5').waitFor()
  await checkAccessible(t, page, 'the viewer of a link')
  await press(page, '0', 'ArrowRight')
  await shows(t, () => shownPicture(page).evaluate((image: HTMLImageElement) => image.src.startsWith('blob:')), true, 'loaded ahead')
})

/** A WAV of silence, which a player of videos plays too. */
function silence (bytes: number): Buffer {
  const rate = 44_100
  const head = Buffer.from('RIFF....WAVEfmt ....................data....', 'latin1')
  const longs = [[4, 36 + bytes], [16, 16], [24, rate], [28, rate], [40, bytes]] as const
  for (const [offset, value] of longs) head.writeUInt32LE(value, offset)
  for (const [offset, value] of [[20, 1], [22, 1], [32, 1], [34, 8]] as const) head.writeUInt16LE(value, offset)
  return Buffer.concat([head, Buffer.alloc(bytes, 128)])
}

/** A way to a server that counts the bytes it sends. */
async function countedWay (t: Test, port: number): Promise<{ url: string, bytes: number }> {
  const counted = { url: '', bytes: 0 }
  const way = createServer(client => {
    const server = connect(port, '127.0.0.1')
    server.on('data', ({ length }) => { counted.bytes += length })
    client.pipe(server).pipe(client)
    for (const [one, other] of [[client, server], [server, client]] as const) {
      one.on('error', () => {}).on('close', () => other.destroy())
    }
  }).listen(0, '127.0.0.1')
  await once(way, 'listening')
  t.teardown(() => way.close())
  counted.url = `http://127.0.0.1:${(way.address() as { port: number }).port}`
  return counted
}

browserTest('a player of videos starts before the file is loaded, by ranges', async t => {
  const server = await sharedServer()
  const { user, token } = await signUp(server)
  const body = silence(100_000_000)
  t.equal((await server.send('PUT', '/uploads/a.mp4', { token, body, headers: { 'content-type': 'video/mp4' } })).status, 201)
  const way = await countedWay(t, Number(new URL(server.url).port))
  const { page } = await openPage(t, way.url)
  await signInOn(page, user[0])
  await fileButton(page, 'a.mp4').click()
  const player = page.locator('dialog video')
  await player.evaluate((video: HTMLVideoElement) => { video.muted = true; return video.play() })
  await shows(t, () => player.evaluate((video: HTMLVideoElement) => video.currentTime > 0), true)
  t.ok(way.bytes < body.length / 2, `${way.bytes} bytes of ${body.length}`)
})
