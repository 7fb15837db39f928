import type { Page } from 'playwright-core'
import { panel } from './files-page.ts'

/** Steps that upload many small files at once. */

interface Drop { names: string[], bytes?: number }

/** Drops files of some bytes on the page. */
export async function drop (page: Page, { names, bytes = 100 }: Drop): Promise<void> {
  await page.evaluate(({ names, bytes }) => {
    const dataTransfer = new DataTransfer()
    for (const name of names) dataTransfer.items.add(new File([new Uint8Array(bytes)], name))
    document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }))
  }, { names, bytes })
}

export const numbered = (count: number, folder = '') => Array.from({ length: count }, (_, index) => `${folder}${index}.bin`)

/** Waits until the page says that all its files are stored. */
export const areStored = (page: Page, count: number) =>
  panel(page).getByText(`${count.toLocaleString('en')} files uploaded`, { exact: true }).waitFor({ timeout: 120_000 })
