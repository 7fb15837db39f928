import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Test } from 'tap'
import type { EngineBrowser, EngineWindow, Point } from '../kit/engine.ts'
import { until } from '../kit/waiting.ts'
import { shows } from './browser.ts'
import { PASSWORD } from './page.ts'

/** Steps on the page with real input, for browsers of every engine. */

/** Calls a function in the page. It may use nothing of this module; its arguments and result are JSON. */
export async function evaluate<Arguments extends unknown[], Result> (
  window: EngineWindow, script: (...values: Arguments) => Result, ...values: Arguments
): Promise<Result> {
  return JSON.parse(await window.run(`return JSON.stringify((${script})(...${JSON.stringify(values)}) ?? null)`))
}

const selectors = {
  button: 'button, summary',
  link: 'a[href]',
  menuitem: '[role=menuitem]',
  field: 'input, select, textarea',
  heading: 'h1, h2, h3'
}

type Role = keyof typeof selectors

/** The middle of the first element with this name that nothing covers and that has appeared. Scrolls to it. */
function middleOf (selector: string, name: string): Point | null {
  for (const element of document.querySelectorAll<HTMLInputElement>(selector)) {
    const text = element.ariaLabel ?? element.labels?.[0]?.textContent ?? element.textContent
    if (text?.trim() !== name) continue
    // A browser on a busy machine may draw no frame of an animation for a while: then nothing seems to move.
    if (document.getAnimations().some(({ effect }) => (effect as KeyframeEffect).target?.contains(element))) continue
    element.scrollIntoView({ block: 'center', behavior: 'instant' })
    const { x, y, width, height } = element.getBoundingClientRect()
    const point = { x: Math.round(x + width / 2), y: Math.round(y + height / 2) }
    if (element.contains(document.elementFromPoint(point.x, point.y))) return point
  }
  return null
}

const find = (window: EngineWindow, role: Role, name: string) => evaluate(window, middleOf, selectors[role], name)

/** Waits until an element is there and stands still. Returns its middle. */
export async function waitFor (window: EngineWindow, role: Role, name: string): Promise<Point> {
  const end = Date.now() + 60_000
  let before: Point | null = null
  while (Date.now() < end) {
    // A page that is being left can't be asked.
    const point = await find(window, role, name).catch(() => null)
    if (point !== null && point.x === before?.x && point.y === before.y) return point
    before = point
    await setTimeout(20)
  }
  throw new Error(`no ${role} ${name}`)
}

export async function click (window: EngineWindow, role: Role, name: string): Promise<void> {
  await window.clickAt(await waitFor(window, role, name))
}

/** Replaces what is in a field. */
export async function fill (window: EngineWindow, name: string, text: string): Promise<void> {
  await click(window, 'field', name)
  await window.press('Control+a')
  await window.type(text)
}

/** Chooses in the menu of a row. */
export async function choose (window: EngineWindow, name: string, item: string): Promise<void> {
  await click(window, 'button', `Actions for ${name}`)
  await click(window, 'menuitem', item)
}

/** The names in the list. */
export const names = (window: EngineWindow) =>
  evaluate(window, () => Array.from(document.querySelectorAll('.file-name'), element => element.textContent))

/** The text of what has the focus, or its label. */
export const focused = (window: EngineWindow) =>
  evaluate(window, () => document.activeElement?.ariaLabel ?? document.activeElement?.textContent)

/** Waits until the page has a text. */
export const reads = (t: Test, window: EngineWindow, text: string) =>
  shows(t, () => evaluate(window, text => document.body.innerText.includes(text), text), true, text)

export const noDialog = (t: Test, window: EngineWindow) =>
  shows(t, () => evaluate(window, () => document.querySelectorAll('dialog').length), 0, 'no dialog')

/** Presses Tab until the button with this name has the focus. It waits for it first: Tab could leave the page. */
export async function tabTo (window: EngineWindow, name: string): Promise<void> {
  await waitFor(window, 'button', name)
  for (let presses = 0; presses < 100; presses++) {
    await window.press('Tab')
    if (await focused(window) === name) return
  }
  throw new Error(`Tab never reached ${name}`)
}

/** Opens the page. */
export async function visit (browser: EngineBrowser, url: string): Promise<EngineWindow> {
  const window = await browser.openWindow()
  await window.goto(url)
  return window
}

export async function fillCredentials (window: EngineWindow, username: string): Promise<void> {
  await fill(window, 'Username', username)
  await fill(window, 'Password', PASSWORD)
}

export async function signIn (window: EngineWindow, username: string): Promise<void> {
  await fillCredentials(window, username)
  await click(window, 'button', 'Sign in')
  await waitFor(window, 'button', 'Sign out')
}

export async function goTo (window: EngineWindow, view: string): Promise<void> {
  await click(window, 'link', view)
  await waitFor(window, 'heading', view)
}

/** Signs in at a provider for tests, whose forms have no labels, and lets it tell who that is. */
export async function signInAt (window: EngineWindow, login: string): Promise<void> {
  for (const prompt of ['login', 'consent']) {
    // A page that is being left can't be asked.
    await until(() => evaluate(window, prompt => document.querySelector(`[name=prompt][value=${prompt}]`) !== null, prompt).catch(() => false))
    await evaluate(window, login => {
      for (const field of document.querySelectorAll<HTMLInputElement>('[name=login], [name=password]')) field.value = login
      document.querySelector('form')?.requestSubmit()
    }, login)
  }
}

/** Writes files to a folder of the disk, and chooses them for an upload. */
export async function upload (
  window: EngineWindow, folder: string, files: Record<string, string>
): Promise<void> {
  const paths = Object.keys(files).map(name => join(folder, name))
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes)
  await window.choose('input[type=file]:not([webkitdirectory])', paths)
}

/** Waits until the browser has saved a file. */
export const isSaved = (t: Test, { downloads }: EngineBrowser, name: string, bytes: Buffer) =>
  shows(t, () => readFile(join(downloads, name), 'latin1').catch(() => undefined), bytes.toString('latin1'), `${name} is saved`)
