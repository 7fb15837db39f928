import type { CDPSession } from 'playwright-core'
import { browserTest, shows } from './browser.ts'
import { areStored, drop, numbered } from './many-files.ts'
import { goTo, openPageAs } from './page.ts'

/** What the page keeps: the bytes of its objects, and the number of files among them. */
async function keptBy (devTools: CDPSession): Promise<{ bytes: number, files: number }> {
  await devTools.send('HeapProfiler.collectGarbage')
  const { usedSize } = await devTools.send('Runtime.getHeapUsage')
  const { result } = await devTools.send('Runtime.evaluate', { expression: 'File.prototype' })
  const { objects } = await devTools.send('Runtime.queryObjects', { prototypeObjectId: String(result.objectId) })
  const { result: count } = await devTools.send('Runtime.callFunctionOn', { objectId: String(objects.objectId), functionDeclaration: 'function () { return this.length }', returnByValue: true })
  await devTools.send('Runtime.releaseObject', { objectId: String(objects.objectId) })
  return { bytes: usedSize, files: count.value as number }
}

/** Uploads of a round: so many that what the list shows at the moment, some 350 kB, does not decide. */
const UPLOADS = 1500

/** More uploads may leave so many bytes each: that is less than what an upload has while it runs. */
const MAX_BYTES_EACH = 300

browserTest('the memory of a page stays flat after 4,500 uploads', async t => {
  const { page } = await openPageAs(t)
  // Elsewhere the list grows with the files.
  await goTo(page, 'Account')
  const devTools = await page.context().newCDPSession(page)
  const kept: { bytes: number, files: number }[] = []
  for (const round of [1, 2, 3]) {
    await drop(page, { names: numbered(UPLOADS, `${round} `), bytes: 10_000 })
    await areStored(page, round * UPLOADS)
    await shows(t, async () => (await keptBy(devTools)).files < 20, true, `the files of round ${round} are gone`)
    kept.push(await keptBy(devTools))
  }
  const [first, , last] = kept
  t.ok(Number(last?.bytes) - Number(first?.bytes) < 2 * UPLOADS * MAX_BYTES_EACH, 'the page keeps nothing of each upload', { kept })
  t.comment(`bytes after 1,500, 3,000 and 4,500 uploads: ${kept.map(({ bytes }) => bytes).join(', ')}`)
})
