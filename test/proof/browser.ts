import { setTimeout } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type CDPSession, type Locator, type Page } from 'playwright-core'
import tap, { test, type Test } from 'tap'
import { chromiumPath, lacksChromium, wholeChromium } from '../kit/chromium.ts'
import { closeCounted } from '../kit/cpu.ts'

const quiet = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--host-resolver-rules=MAP files.test 127.0.0.1']

/** The smallest common screen. */
export const phone: BrowserContextOptions = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }

/** What all tabs have in common. */
const LIKE_ALL: BrowserContextOptions = { locale: 'en-US', reducedMotion: 'reduce' }

/** What browsers of a test wrote down, by test. */
const written = new WeakMap<Test, Notes[]>()

interface Notes { readonly requested: string[], readonly complaints: string[] }

/** What the browser writes on its console about refused and failed requests, which stories cause. */
const CAUSED = [/^Failed to load resource/, /Service Worker registration blocked/]

const ON_THIS_MACHINE = /^(?:https?:\/\/(?:127\.0\.0\.1|localhost|files\.test|[\w:]+@127\.0\.0\.1)[:/]|blob:|data:|chrome|about:)/

/**
 * A story, which is skipped where there is no Chromium. At its end, its browsers have asked nothing of other machines,
 * and have complained of nothing but of failed requests and `expected`.
 */
export function browserTest (name: string, run: (t: Test) => Promise<void>, expected: RegExp[] = []): void {
  void test(name, { skip: lacksChromium }, async t => {
    await run(t)
    for (const { requested, complaints } of written.get(t) ?? []) {
      t.same(requested.filter(address => !ON_THIS_MACHINE.test(address)), [], 'no request to another machine')
      t.same(complaints.filter(text => ![...CAUSED, ...expected].some(pattern => pattern.test(text))), [], 'no complaints')
    }
  })
}

const launched = new Map<string, Promise<Browser>>()

/**
 * One browser for all tests, each of which has a context of its own. In other locales it names downloads with non-ASCII
 * names `download`.
 */
export function browser (executablePath = chromiumPath): Promise<Browser> {
  const running = launched.get(executablePath) ?? chromium.launch({ executablePath, args: quiet, env: { ...process.env, LC_ALL: 'C.UTF-8' } })
  launched.set(executablePath, running)
  return running
}

const closeAll = () => Promise.all(Array.from(launched.values(), async running => (await running).close()))
tap.teardown(() => closeCounted(closeAll))

/** What a tab is. `isWhole`: of the browser that people have, with its viewer of PDF. */
export interface TabOptions extends BrowserContextOptions { readonly isWhole?: boolean }

export interface Visit {
  readonly page: Page
  /** The addresses of all requests. */
  readonly requested: string[]
}

/**
 * A tab of a browser of its own, which writes down what it asks for and what goes wrong. `files.test` is this machine.
 */
export async function openTab (t: Test, { isWhole = false, ...options }: TabOptions = {}): Promise<Visit> {
  const context = await (await browser(isWhole ? wholeChromium : chromiumPath)).newContext({ ...LIKE_ALL, ...options })
  return watch(await (await watched(t, context)).newPage())
}

/** The tab of a browser of its own, which keeps what it knows in a folder: it can be closed and opened again. */
export async function openProfile (t: Test, folder: string): Promise<Page> {
  const options = { executablePath: chromiumPath, args: quiet, ...LIKE_ALL }
  const context = await chromium.launchPersistentContext(folder, options)
  await watched(t, context, () => closeCounted(() => context.close()))
  const [page] = context.pages()
  return page ?? context.newPage()
}

/** Writes down what a browser asks for and what goes wrong, until the test ends. */
async function watched (t: Test, context: BrowserContext, close = () => context.close()): Promise<BrowserContext> {
  t.teardown(close)
  context.setDefaultTimeout(60_000)
  const requested: string[] = []
  const complaints: string[] = []
  written.set(t, [...written.get(t) ?? [], { requested, complaints }])
  context.on('request', request => requested.push(request.url()))
  context.on('weberror', error => complaints.push(error.error().message))
  context.on('console', message => { if (['error', 'warning'].includes(message.type())) complaints.push(message.text()) })
  await context.exposeFunction('complain', (text: string) => { complaints.push(text) })
  await context.addInitScript("document.addEventListener('securitypolicyviolation', event => complain('violates ' + event.violatedDirective + ': ' + event.blockedURI))")
  return context
}

/** Writes down what one window asks for. */
export function watch (page: Page): Visit {
  const requested: string[] = []
  page.on('request', request => requested.push(request.url()))
  return { page, requested }
}

/** Polls until the page shows what is expected: it renders some time after a click. */
export async function shows (t: Test, read: () => Promise<unknown>, expected: unknown, message = 'is shown'): Promise<void> {
  const end = performance.now() + 60_000
  let found = await read()
  while (!isDeepStrictEqual(found, expected) && performance.now() < end) {
    await setTimeout(50)
    found = await read()
  }
  t.strictSame(found, expected, message)
}

/** The session of each page that has limited its speed. Only the session that set a limit can lift it. */
const limiting = new WeakMap<Page, CDPSession>()

/** Makes the browser send so many bytes in a second, so that an upload is under way until the limit is lifted (-1). */
export async function limitSpeed (page: Page, uploadThroughput: number): Promise<void> {
  const devTools = limiting.get(page) ?? await page.context().newCDPSession(page)
  limiting.set(page, devTools)
  await devTools.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput })
}

export const isFocused = (locator: Locator) => locator.evaluate(element => element === document.activeElement)

/** Presses Tab or Shift+Tab until the element has the focus. */
export async function tabTo (page: Page, wanted: Locator, key: 'Tab' | 'Shift+Tab' = 'Tab'): Promise<void> {
  await wanted.waitFor({ state: 'attached' })
  for (let presses = 0; presses < 300; presses++) {
    if (await isFocused(wanted)) return
    await page.keyboard.press(key)
  }
  throw new Error('Tab never reached it')
}

/** Goes to a control by Tab or Shift+Tab, and presses Enter. */
export async function enter (page: Page, wanted: Locator, key: 'Tab' | 'Shift+Tab' = 'Tab'): Promise<void> {
  await tabTo(page, wanted, key)
  await page.keyboard.press('Enter')
}

/** An element that had the focus. Lengths are in CSS pixels; `top` and `bottom` are relative to the window. */
interface Stop { label: string, outline: string, width: number, height: number, top: number, bottom: number }

/** Far more than a page has. */
export const MAX_STOPS = 500

/**
 * Presses Tab until the focus leaves the page, at most `limit` times. Returns what had the focus.
 */
export async function tabThrough (page: Page, limit = MAX_STOPS): Promise<Stop[]> {
  const stops: Stop[] = []
  while (stops.length < limit) {
    await page.keyboard.press('Tab')
    const stop = await page.evaluate(() => {
      const element = document.activeElement
      if (element === null || element === document.body) return undefined
      const { outlineStyle, outlineWidth } = getComputedStyle(element)
      const { width, height, top, bottom } = element.getBoundingClientRect()
      return { label: element.outerHTML.slice(0, 100), outline: `${outlineStyle} ${outlineWidth}`, width, height, top, bottom }
    })
    if (stop === undefined) break
    stops.push(stop)
  }
  return stops
}
