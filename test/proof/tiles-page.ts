import type { Locator, Page } from 'playwright-core'
import type { Test } from 'tap'
import { openTab } from './browser.ts'

/** Steps with tiles and the pictures on them. */

export const tile = (page: Page, name: string) =>
  page.locator('.tile').filter({ has: page.getByRole('button', { name, exact: true }) })

export async function showTiles (page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Tiles', exact: true }).click()
  await page.locator('.tile').first().waitFor()
}

/** How far a colour may be from the one that was drawn: small pictures are not lossless. */
const TOLERANCE = 10

/** Whether the middle of the small picture on a tile has a colour, as `r g b`; that which it has if it is another. */
export async function colorOf (place: Locator, expected = ''): Promise<string> {
  const found = await place.locator('canvas').evaluate((canvas: HTMLCanvasElement) => {
    if (canvas.hidden) return ''
    const [red, green, blue] = canvas.getContext('2d')!.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data
    return [red, green, blue].join(' ')
  })
  const [wanted, shown] = [expected, found].map(color => color.split(' ').map(Number))
  const isNear = shown!.length === 3 && shown!.every((value, index) => Math.abs(value - wanted![index]!) <= TOLERANCE)
  return isNear ? expected : found
}

export interface Drawn { readonly type: 'image/png' | 'image/jpeg', readonly width: number, readonly height: number, readonly color: string, readonly isNoisy?: boolean }

/** Draws pictures in a browser: of one colour, or of noise, of which a JPEG is large. */
export async function openDrawing (t: Test): Promise<(drawn: Drawn) => Promise<Buffer>> {
  const { page } = await openTab(t)
  return async drawn => {
    const address = await page.evaluate(async ({ type, width, height, color, isNoisy }) => {
      const canvas = new OffscreenCanvas(width, height)
      const context = canvas.getContext('2d')!
      context.fillStyle = color
      context.fillRect(0, 0, width, height)
      if (isNoisy === true) {
        const noise = new OffscreenCanvas(512, 512)
        const pixels = noise.getContext('2d')!.createImageData(512, 512)
        let state = 1
        pixels.data.forEach((_, index, bytes) => {
          state = (state * 48_271) % 2_147_483_647
          bytes[index] = index % 4 === 3 ? 128 : state % 256
        })
        noise.getContext('2d')!.putImageData(pixels, 0, 0)
        context.fillStyle = context.createPattern(noise, 'repeat')!
        context.fillRect(0, 0, width, height)
      }
      const blob = await canvas.convertToBlob({ type, quality: 0.9 })
      const reader = new FileReader()
      const read = new Promise(resolve => { reader.onload = resolve })
      reader.readAsDataURL(blob)
      await read
      return String(reader.result)
    }, drawn)
    return Buffer.from(address.slice(address.indexOf(',') + 1), 'base64')
  }
}
