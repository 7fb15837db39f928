import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, mkdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import {
  clicking, pressing, reportViolations, typing,
  type Engine, type EngineBrowser, type EngineWindow, type InputSource
} from './engine.ts'
import { until } from './waiting.ts'

const path = '/usr/bin/firefox-esr'

/** Firefox by WebDriver BiDi, which needs no driver: https://www.w3.org/TR/webdriver-bidi/. */
export const firefox: Engine = {
  name: 'Firefox',
  lacks: process.env.REQUIRE_SERVICES !== '1' && !existsSync(path) && `no browser at ${path}`,
  async open (t) {
    const folder = await mkdtemp(join(tmpdir(), 'magicstore-firefox-'))
    t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 9 }))
    return openSession(await connect(t, folder), folder)
  }
}

/** Starts the browser. Its profile is in the folder. */
async function connect (t: Test, folder: string): Promise<Connection> {
  const args = ['--headless', '--no-remote', '--width=1280', '--height=900', '--profile', folder, '--remote-debugging-port=0', 'about:blank']
  const child = spawn(path, args, { env: { ...process.env, HOME: folder, LC_ALL: 'C.UTF-8' }, stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = once(child, 'exit')
  t.teardown(async () => { child.kill(); await exited })
  for await (const line of createInterface(child.stderr)) {
    const [, address] = /WebDriver BiDi listening on (ws:\S+)/.exec(line) ?? []
    if (address === undefined) continue
    // What it writes later must not fill the pipe.
    child.stderr.resume()
    return Connection.open(`${address}/session`)
  }
  throw new Error('Firefox ended before it could be reached')
}

interface Message {
  id?: number, method?: string, params?: { level: string, text: string }, result?: unknown, message?: string
}

/** Commands and their results, and the log of all windows. */
class Connection {
  readonly complaints: string[] = []
  readonly #socket: WebSocket
  readonly #waiting = new Map<number, (message: Message) => void>()
  #last = 0

  private constructor (socket: WebSocket) {
    this.#socket = socket
    socket.on('message', bytes => this.#take(JSON.parse(String(bytes))))
  }

  static async open (address: string): Promise<Connection> {
    const socket = new WebSocket(address)
    await once(socket, 'open')
    return new Connection(socket)
  }

  #take ({ id, params, ...message }: Message): void {
    if (id !== undefined) this.#waiting.get(id)?.(message)
    else if (message.method === 'log.entryAdded' && params !== undefined && ['error', 'warn'].includes(params.level)) this.complaints.push(params.text)
  }

  send<Result> (method: string, params: object): Promise<Result> {
    const id = ++this.#last
    this.#socket.send(JSON.stringify({ id, method, params }))
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ result, message }) => {
        this.#waiting.delete(id)
        if (result === undefined) reject(new Error(`${method}: ${message}`))
        else resolve(result as Result)
      })
    })
  }
}

async function openSession (connection: Connection, folder: string): Promise<EngineBrowser> {
  const downloads = join(folder, 'downloads')
  await mkdir(downloads)
  await connection.send('session.new', { capabilities: {} })
  await connection.send('session.subscribe', { events: ['log.entryAdded'] })
  await connection.send('browser.setDownloadBehavior', { downloadBehavior: { type: 'allowed', destinationFolder: downloads } })
  await connection.send('script.addPreloadScript', { functionDeclaration: `() => { ${reportViolations} }` })
  const known = new Set(await contextsOf(connection))
  const windowIn = (context: string) => {
    known.add(context)
    return windowOf(connection, context)
  }
  return {
    downloads,
    openWindow: async () => windowIn((await connection.send<{ context: string }>('browsingContext.create', { type: 'window' })).context),
    async openedWindow () {
      const find = async () => (await contextsOf(connection)).find(context => !known.has(context))
      return windowIn(await until(find))
    },
    complaints: async () => connection.complaints
  }
}

async function contextsOf (connection: Connection): Promise<string[]> {
  const { contexts } = await connection.send<{ contexts: { context: string }[] }>('browsingContext.getTree', { maxDepth: 0 })
  return contexts.map(({ context }) => context)
}

function windowOf (connection: Connection, context: string): EngineWindow {
  const evaluate = async (body: string) => {
    const expression = `(() => { ${body} })()`
    const { result, exceptionDetails } = await connection.send<Evaluated>('script.evaluate', { expression, target: { context }, awaitPromise: true })
    if (exceptionDetails !== undefined) throw new Error(exceptionDetails.text)
    return result
  }
  const perform = async (actions: InputSource[]) => { await connection.send('input.performActions', { context, actions }) }
  return {
    async goto (url) { await connection.send('browsingContext.navigate', { context, url, wait: 'complete' }) },
    async reload () { await connection.send('browsingContext.reload', { context, wait: 'complete' }) },
    async run (body) { return String((await evaluate(body)).value) },
    clickAt: point => perform(clicking(point)),
    press: keys => perform(pressing(keys)),
    type: text => perform(typing(text)),
    async choose (selector, files) {
      const { sharedId } = await evaluate(`return document.querySelector(${JSON.stringify(selector)})`)
      await connection.send('input.setFiles', { context, element: { sharedId }, files })
    }
  }
}

interface Evaluated { result: { value?: unknown, sharedId?: string }, exceptionDetails?: { text: string } }
