import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Browser, type Page } from 'playwright-core'
import type { Test } from 'tap'
import { reportViolations, type Engine, type EngineWindow } from './engine.ts'

export const chromiumPath = '/usr/bin/chromium'

/** For the `skip` of a test: the reason if there is no Chromium, else false. */
export const lacksChromium = !existsSync(chromiumPath) && `no browser at ${chromiumPath}`

/**
 * A browser without extras, closed when the test ends. In other locales, files with non-ASCII names are neither chosen
 * nor saved.
 */
export async function openBrowser (t: Test): Promise<Browser> {
  const env = { ...process.env, LC_ALL: 'C.UTF-8' }
  const browser = await chromium.launch({ executablePath: chromiumPath, env, args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'] })
  t.teardown(() => browser.close())
  return browser
}

/** Chromium, behind the same interface as the other engines. */
export const chromiumEngine: Engine = {
  name: 'Chromium',
  lacks: lacksChromium,
  async open (t) {
    const downloads = await mkdtemp(join(tmpdir(), 'magicstore-chromium-'))
    t.teardown(() => rm(downloads, { recursive: true, force: true }))
    const context = await (await openBrowser(t)).newContext({ locale: 'en-US' })
    const complaints: string[] = []
    context.on('console', message => { if (['error', 'warning'].includes(message.type())) complaints.push(message.text()) })
    context.on('weberror', error => complaints.push(error.error().message))
    await context.addInitScript(reportViolations)
    return {
      downloads,
      openWindow: async () => windowOf(await context.newPage(), downloads),
      complaints: async () => complaints
    }
  }
}

function windowOf (page: Page, downloads: string): EngineWindow {
  page.on('download', download => { void download.saveAs(join(downloads, download.suggestedFilename())) })
  return {
    async goto (url) { await page.goto(url) },
    async reload () { await page.reload() },
    run: body => page.evaluate(`(() => { ${body} })()`),
    clickAt: ({ x, y }) => page.mouse.click(x, y),
    press: keys => page.keyboard.press(keys),
    type: text => page.keyboard.type(text),
    choose: (selector, paths) => page.locator(selector).first().setInputFiles([...paths])
  }
}
