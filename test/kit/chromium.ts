import { existsSync } from 'node:fs'
import { chromium, type Browser } from 'playwright-core'
import type { Test } from 'tap'
import { closeCounted } from './cpu.ts'
import { isProof } from './sizes.ts'

/** The browser that people have. */
export const wholeChromium = '/usr/bin/chromium'

/**
 * The same without windows: with it a story takes half the CPU, because Chromium makes a window for each tab of a new
 * context. It has no viewer of PDF, and installs no page.
 */
const headlessShell = '/usr/lib/chromium/chromium-headless-shell'

/** The proofs use the whole browser. */
export const chromiumPath = !isProof && existsSync(headlessShell) ? headlessShell : wholeChromium

/** For the `skip` of a test: the reason if there is no Chromium, else false. */
export const lacksChromium = !existsSync(chromiumPath) && `no browser at ${chromiumPath}`

/**
 * A browser without extras, closed when the test ends. In other locales, files with non-ASCII names are neither chosen
 * nor saved.
 */
export async function openBrowser (t: Test): Promise<Browser> {
  const env = { ...process.env, LC_ALL: 'C.UTF-8' }
  const browser = await chromium.launch({ executablePath: chromiumPath, env, args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'] })
  t.teardown(() => closeCounted(() => browser.close()))
  return browser
}
