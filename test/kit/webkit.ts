import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import type { Test } from 'tap'
import {
  clicking, pressing, reportViolations, typing,
  type Engine, type EngineBrowser, type EngineWindow, type InputSource
} from './engine.ts'
import { until } from './waiting.ts'
import { freePort } from './wire.ts'

const driver = '/usr/bin/WebKitWebDriver'
const display = '/usr/bin/Xvfb'

/** WebKitGTK by WebDriver: https://www.w3.org/TR/webdriver2/. Its browser needs a display. */
export const webkit: Engine = {
  name: 'WebKit',
  lacks: process.env.REQUIRE_SERVICES !== '1' && !(existsSync(driver) && existsSync(display)) && `no ${driver} or no ${display}`,
  async open (t) {
    // In its home, it saves downloads.
    const home = await mkdtemp(join(tmpdir(), 'magicstore-webkit-'))
    t.teardown(() => rm(home, { recursive: true, force: true, maxRetries: 9 }))
    const session = await Session.open(await startDriver(t, home))
    t.teardown(() => session.end())
    return browserOf(session, home)
  }
}

/** Returns the address of the driver. */
async function startDriver (t: Test, home: string): Promise<string> {
  const screen = start(t, display, ['-displayfd', '1', '-screen', '0', '1280x1024x24', '-nolisten', 'tcp'], { stdio: ['ignore', 'pipe', 'ignore'] })
  const [number] = await once(screen.stdout as Readable, 'data')
  const port = await freePort()
  // The language of the page comes from the locale, which need not be installed.
  const env = { PATH: process.env.PATH, HOME: home, XDG_RUNTIME_DIR: home, DISPLAY: `:${String(number).trim()}`, LC_ALL: 'en_US.UTF-8', NO_AT_BRIDGE: '1' }
  start(t, driver, ['--host=127.0.0.1', `--port=${port}`], { env, stdio: 'ignore' })
  return `http://127.0.0.1:${port}`
}

/** Starts a program that ends with the test. */
function start (t: Test, program: string, args: string[], options: SpawnOptions): ChildProcess {
  const child = spawn(program, args, options)
  const exited = once(child, 'exit')
  t.teardown(async () => { child.kill(); await exited })
  return child
}

/** Sends commands to windows. */
class Session {
  readonly #address: string
  #window: string | undefined

  private constructor (address: string) {
    this.#address = address
  }

  static async open (address: string): Promise<Session> {
    const status = () => fetch(`${address}/status`).then(({ ok }) => ok, () => false)
    for (let tries = 0; !await status(); tries++) {
      if (tries === 400) throw new Error('the driver does not listen')
      await setTimeout(50)
    }
    const { sessionId } = await send<{ sessionId: string }>('POST', `${address}/session`, { capabilities: {} })
    return new Session(`${address}/session/${sessionId}`)
  }

  /** The window of a session that has begun has been used by none. */
  async openWindow (): Promise<string> {
    if (this.#window !== undefined) return (await this.send<{ handle: string }>('window/new', { type: 'window' })).handle
    this.#window = await send<string>('GET', `${this.#address}/window`)
    return this.#window
  }

  handles (): Promise<string[]> {
    return send('GET', `${this.#address}/window/handles`)
  }

  async addressOf (handle: string): Promise<string> {
    await this.#switchTo(handle)
    return send('GET', `${this.#address}/url`)
  }

  async sendTo<Result> (handle: string, command: string, body: object): Promise<Result> {
    await this.#switchTo(handle)
    return this.send(command, body)
  }

  async #switchTo (handle: string): Promise<void> {
    if (handle !== this.#window) await this.send('window', { handle })
    this.#window = handle
  }

  async send<Result> (command: string, body: object): Promise<Result> {
    return send('POST', `${this.#address}/${command}`, body)
  }

  async end (): Promise<void> {
    await send('DELETE', this.#address)
  }
}

async function send<Result> (method: string, address: string, body?: object): Promise<Result> {
  const response = await fetch(address, { method, headers: { 'content-type': 'application/json' }, ...body && { body: JSON.stringify(body) } })
  const { value } = await response.json() as { value: Result }
  if (!response.ok) throw new Error(`${address}: ${JSON.stringify(value)}`)
  return value
}

/**
 * The driver reports nothing of the console, and runs no script before those of the page: a page keeps its complaints,
 * from when it has loaded.
 */
const keepComplaints = `
  globalThis.complaints = []
  for (const level of ['error', 'warn']) {
    const write = console[level]
    console[level] = (...args) => { complaints.push(args.map(String).join(' ')); write.apply(console, args) }
  }
  addEventListener('error', ({ message }) => { if (message) complaints.push(message) })
  addEventListener('unhandledrejection', ({ reason }) => { complaints.push(String(reason)) })
  ${reportViolations}`

const takeComplaints = 'return JSON.stringify((globalThis.complaints ?? []).splice(0))'

function browserOf (session: Session, downloads: string): EngineBrowser {
  const windows: string[] = []
  const opened: string[] = []
  const complaints: string[] = []
  const take = async (handle: string) => {
    complaints.push(...JSON.parse(await runIn(session, handle, takeComplaints)) as string[])
  }
  return {
    downloads,
    async openWindow () {
      const handle = await session.openWindow()
      windows.push(handle)
      return windowOf(session, handle, () => take(handle))
    },
    async openedWindow () {
      const known = [...windows, ...opened]
      const find = async () => (await session.handles()).find(handle => !known.includes(handle))
      const handle = await until(find)
      opened.push(handle)
      // A script that is run while the first page comes can leave the driver without an answer from this window.
      await until(async () => await session.addressOf(handle) !== 'about:blank')
      // A page can close it, with what it has complained of.
      return windowOf(session, handle, async () => {})
    },
    async complaints () {
      for (const handle of windows) await take(handle)
      return complaints
    }
  }
}

const runIn = (session: Session, handle: string, script: string) =>
  session.sendTo<string>(handle, 'execute/sync', { script, args: [] })

function windowOf (session: Session, handle: string, take: () => Promise<void>): EngineWindow {
  const send = <Result>(command: string, body: object) => session.sendTo<Result>(handle, command, body)
  const perform = async (actions: InputSource[]) => { await send('actions', { actions }) }
  const load = async (command: string, body: object) => {
    await take()
    await send(command, body)
    await runIn(session, handle, keepComplaints)
  }
  return {
    goto: url => load('url', { url }),
    reload: () => load('refresh', {}),
    run: body => runIn(session, handle, body),
    clickAt: point => perform(clicking(point)),
    press: keys => perform(pressing(keys)),
    type: text => perform(typing(text)),
    async choose (selector, paths) {
      const [element] = Object.values(await send<Record<string, string>>('element', { using: 'css selector', value: selector }))
      await send(`element/${element}/value`, { text: paths.join('\n') })
    }
  }
}
