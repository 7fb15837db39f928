import type { Test } from 'tap'

/** What the stories of the page need of a browser, whatever its engine. */
export interface Engine {
  readonly name: string
  /** For the `skip` of a test: the reason if it is not installed, or false. All are where REQUIRE_SERVICES is set. */
  readonly lacks: string | false
  /** A new browser without cookies, which ends with the test. */
  open (t: Test): Promise<EngineBrowser>
}

export interface EngineBrowser {
  /** Where it saves files, without asking. */
  readonly downloads: string
  /** Another window, with the same cookies. */
  openWindow (): Promise<EngineWindow>
  /** The window that a page has opened last. Waits until there is one that was not asked for before. */
  openedWindow (): Promise<EngineWindow>
  /** Errors and warnings on the consoles, exceptions, and what the content security policy forbade. */
  complaints (): Promise<string[]>
}

export interface EngineWindow {
  /** Resolves when the page has loaded. */
  goto (url: string): Promise<void>
  reload (): Promise<void>
  /** Runs the body of a function in the page, which returns a text. */
  run (body: string): Promise<string>
  /** Clicks with the mouse. */
  clickAt (point: Point): Promise<void>
  /** Presses keys together, such as `Shift+Tab`, and releases them. */
  press (keys: string): Promise<void>
  type (text: string): Promise<void>
  /** Chooses files of the disk in the first element that a CSS selector matches, as in the browser's dialog. */
  choose (selector: string, paths: readonly string[]): Promise<void>
}

/** A point of the window, in whole CSS pixels. */
export interface Point { readonly x: number, readonly y: number }

/** Writes on the console what the content security policy forbids. */
export const reportViolations =
  "document.addEventListener('securitypolicyviolation', event => console.error('violates ' + event.violatedDirective + ': ' + event.blockedURI))"

/** The values of keys that write no character: https://www.w3.org/TR/webdriver2/#keyboard-actions. */
const KEYS: Readonly<Record<string, string>> = {
  Tab: '\uE004',
  Enter: '\uE007',
  Shift: '\uE008',
  Control: '\uE009',
  Escape: '\uE00C',
  End: '\uE010',
  Home: '\uE011',
  ArrowLeft: '\uE012',
  ArrowUp: '\uE013',
  ArrowRight: '\uE014',
  ArrowDown: '\uE015',
  Delete: '\uE017',
  F2: '\uE032'
}

interface Action { type: string, [parameter: string]: unknown }

/** One device and what it does, as WebDriver and WebDriver BiDi both want it. */
export interface InputSource { type: 'pointer' | 'key', id: string, actions: Action[] }

export function clicking ({ x, y }: Point): InputSource[] {
  const actions = [{ type: 'pointerMove', x, y }, { type: 'pointerDown', button: 0 }, { type: 'pointerUp', button: 0 }]
  return [{ type: 'pointer', id: 'mouse', actions }]
}

export function pressing (keys: string): InputSource[] {
  const values = keys.split('+').map(key => KEYS[key] ?? key)
  const down = values.map(value => ({ type: 'keyDown', value }))
  const up = values.toReversed().map(value => ({ type: 'keyUp', value }))
  return [{ type: 'key', id: 'keyboard', actions: [...down, ...up] }]
}

export function typing (text: string): InputSource[] {
  const actions = Array.from(text).flatMap(value => [{ type: 'keyDown', value }, { type: 'keyUp', value }])
  return [{ type: 'key', id: 'keyboard', actions }]
}
