import { chromium, type Page } from 'playwright-core'
import { chromiumPath } from '../kit/chromium.ts'
import { openSlowWire } from './slow-wire.ts'
import { openWorkbench, startMagicStore } from './servers.ts'

/** `npm run bench -- --page`: many small files through the page in Chromium, here and over a slow wire. */

const COUNTS = [200, 2000]

/** One way: the round trip takes twice as long. */
const WIRE_MS = 40

const FILE_BYTES = 10_000

const user = { username: 'ada', password: 'the password of the bench' }

async function openPage (page: Page, url: string): Promise<void> {
  await page.goto(url)
  await page.getByLabel('Username').fill(user.username)
  await page.getByLabel('Password', { exact: true }).fill(user.password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await page.getByRole('button', { name: 'Sign out', exact: true }).waitFor()
}

/** Drops files on the page. Resolves to the milliseconds until it says that all are stored. */
function upload (page: Page, folder: string, count: number): Promise<number> {
  return page.evaluate(async ({ folder, count, bytes }) => {
    location.hash = `#files/${folder}`
    const dataTransfer = new DataTransfer()
    for (let index = 0; index < count; index++) dataTransfer.items.add(new File([new Uint8Array(bytes).fill(index)], `${index}.bin`))
    await new Promise(resolve => setTimeout(resolve, 500))
    const began = performance.now()
    document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }))
    const all = `${count.toLocaleString('en')} files uploaded`
    await new Promise<void>(resolve => {
      const isDone = () => document.querySelector('.uploads > header')?.textContent.includes(all) === true
      const observer = new MutationObserver(() => { if (isDone()) { observer.disconnect(); resolve() } })
      observer.observe(document.body, { subtree: true, childList: true, characterData: true })
    })
    return performance.now() - began
  }, { folder, count, bytes: FILE_BYTES })
}

/** Counts the seconds of CPU that the main thread of the page takes from now on. */
async function countSeconds (page: Page): Promise<() => Promise<number>> {
  const devTools = await page.context().newCDPSession(page)
  await devTools.send('Performance.enable')
  const read = async () => (await devTools.send('Performance.getMetrics')).metrics.find(({ name }) => name === 'TaskDuration')?.value ?? NaN
  const before = await read()
  return async () => await read() - before
}

async function measure (url: string, folder: string, count: number): Promise<string> {
  const browser = await chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox', '--disable-gpu'] })
  try {
    const page = await browser.newPage()
    await openPage(page, url)
    const secondsOfPage = await countSeconds(page)
    const seconds = await upload(page, folder, count) / 1000
    return `${seconds.toFixed(1)} s, ${(await secondsOfPage()).toFixed(1)} s of CPU in the page`
  } finally {
    await browser.close()
  }
}

const { folder, close } = await openWorkbench()
const server = await startMagicStore(`${folder}/data`)
const wire = await openSlowWire(server.port, WIRE_MS)
try {
  const here = `http://127.0.0.1:${server.port}`
  await fetch(`${here}/api/users`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(user) })
  for (const [place, url] of [['here', here], [`at ${2 * WIRE_MS} ms of round trip`, wire.url]] as const) {
    for (const count of COUNTS) console.log(`${count} files of ${FILE_BYTES} bytes ${place}: ${await measure(url, `${count} ${place}`, count)}`)
  }
} finally {
  wire.close()
  await server.stop()
  await close()
}
