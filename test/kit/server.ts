import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { request as httpRequest, type IncomingHttpHeaders, type RequestOptions } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import tap, { type Test } from 'tap'
import { buildApp } from '#src/app.ts'
import { readConfig } from '#src/config.ts'
import { openStore } from '#src/services.ts'
import { commandOf, type Start } from './bin.ts'
import { certify } from './certificates.ts'
import type { TestClock } from './clock.ts'
import { allowNonConforming, checkConformance, checkRecorded, checkServer } from './conformance.ts'
import { newFolder } from './folders.ts'
import { storeSettings } from './stores.ts'

// tap removes a test's folder ahead of all that is torn down, unless there was something to tear down before the folder
// was made. A server that still moves bytes would then put files into a folder that is being removed, and outlive the
// test.
tap.beforeEach(t => t.teardown(() => {}))

export type Settings = Record<string, string>

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  rawHeaders: string[]
  bytes: Buffer
  text: string
  /** The body as JSON; throws if it is not JSON. */
  json: any
}

export interface Client {
  /** The time of a server that has a clock of the test. */
  readonly now?: () => number
  /** Adds an account with {@link PASSWORD}, without hashing it again. Returns its id. */
  readonly addAccount?: (username: string) => Promise<number>
  readonly url: string
  readonly port: number
  send (method: string, path: string, options?: SendOptions): Promise<Answer>
}

export interface SendOptions {
  headers?: Record<string, string | string[]>
  /** Credentials for Basic. */
  user?: [string, string]
  /** An access token, sent as Bearer. */
  token?: string
  json?: unknown
  body?: string | Uint8Array | Readable
  /** The test broke the server on purpose: its response is not documented. */
  isBroken?: boolean
}

export interface RunningServer extends Client {
  readonly dataDir: string
  /** The number of requests that wait for changes. */
  countWaiting (): number
  /** Does what the server does once a minute. */
  runHousekeeping (): Promise<void>
  close (): Promise<void>
}

/** A server in this process on a free port, with its data in the test's folder; closed when the test ends. */
export async function startServer (
  t: Test, settings: Settings = {}, { clock }: { clock?: TestClock | undefined } = {}
): Promise<RunningServer> {
  const { store, port, dataDir, close } = await serve(t, settings, { clock })
  return {
    ...clientOf(port),
    ...clock && { now: clock.now },
    dataDir,
    addAccount: async username => (await store.metadata.accounts.add({
      username, usernameKey: username, passwordHash: await (passwordHash ??= store.passwords.hash(PASSWORD))
    })).id,
    countWaiting: () => store.changes.countWaiting(),
    runHousekeeping: () => store.housekeeping.run(),
    close
  }
}

/** The servers of this process that its tests share, by their settings. */
const shared = new Map<string, Promise<RunningServer>>()

/**
 * The server of this process with these settings, started by the first test that asks for it. Each test has an account
 * of its own ({@link signUp} without a name); all share the clock of that first test. A test of the whole store uses
 * {@link startServer}.
 */
export function sharedServer (settings: Settings = {}, options: { clock?: TestClock } = {}): Promise<RunningServer> {
  const key = JSON.stringify(settings)
  const known = shared.get(key)
  if (known !== undefined) return known
  const dataDir = join(newFolder(tap), 'data')
  const unlimited = { RATE_LIMIT_PER_MINUTE: '0', REGISTRATIONS_PER_HOUR: '0' }
  const started = startServer(tap, { ...unlimited, DATA_DIR: dataDir, ...settings }, options)
  shared.set(key, started)
  return started
}

export type TlsServer = Awaited<ReturnType<typeof startTls>>

/** The same with TLS and a self-signed certificate, for clients that trust `ca`. */
export async function startTls (t: Test, settings: Settings = {}) {
  const { TLS_CERT, TLS_KEY } = await certify(t.testdir())
  const [ca, key] = [await readFile(TLS_CERT), await readFile(TLS_KEY)]
  return { ca, key, ...await serve(t, { DATA_DIR: join(t.testdirName, 'data'), ...settings }, { tls: { cert: ca, key } }) }
}

interface ServeOptions { tls?: { cert: Buffer, key: Buffer }, clock?: TestClock | undefined }

async function serve (t: Test, settings: Settings, { tls, clock }: ServeOptions) {
  const dataDir = settings.DATA_DIR ?? t.testdir()
  const store = await openStore(readConfig({ PORT: '0', LOG_LEVEL: 'silent', MIN_FREE_BYTES: '0', MAX_EVENT_LOOP_DELAY_MS: '0', DATA_DIR: dataDir, ...await storeSettings(dataDir), ...settings }), { clock: clock?.now })
  const { http, connections } = await buildApp(store, tls)
  checkServer(t, http.server)
  await http.listen({ host: store.config.host, port: store.config.port })
  let closing: Promise<void> | undefined
  async function stop (): Promise<void> {
    connections.stop()
    store.stop()
    await http.close()
    await store.close()
  }
  const close = () => {
    closing ??= stop()
    return closing
  }
  t.teardown(close)
  return { store, http, port: (http.server.address() as AddressInfo).port, dataDir, close }
}

export interface ServerProcess extends Client {
  readonly child: ChildProcess
  /** Standard output until it was ready. */
  readonly welcome: string[]
  /** Sends a signal and waits until the process exits. */
  end (signal: NodeJS.Signals): Promise<number | null>
}

/**
 * The bin in a child process. It listens on a free port unless PORT is set. Coverage is measured only on request: the
 * other tests do it faster.
 */
export async function spawnServer (t: Test, settings: Settings, start: Start = {}): Promise<ServerProcess> {
  const exchanges = join(tmpdir(), `magicstore-exchanges-${randomUUID()}`)
  const child = spawnBin(['serve'], { PORT: '0', LOG_LEVEL: 'info', MIN_FREE_BYTES: '0', EXCHANGES: exchanges, ...await withStore(settings) }, { nodeArgs: ['--import', new URL('recorder.js', import.meta.url).href], isCounted: false, ...start })
  const exited = once(child, 'exit') as Promise<[number | null]>
  const end = async (signal: NodeJS.Signals) => { child.kill(signal); return (await exited)[0] }
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) await end('SIGKILL')
    checkRecorded(t, exchanges)
  })
  const welcome: string[] = []
  for await (const line of createInterface(child.stdout as Readable)) {
    welcome.push(line)
    if (line.includes('password policy')) break
  }
  child.stdout?.resume()
  const port = Number(/:(\d+)$/.exec(welcome.find(line => line.startsWith('MagicStore serves')) ?? '')?.[1])
  if (Number.isNaN(port)) throw new Error(`the server did not start: ${welcome.join('\n')}${child.stderr?.read() ?? ''}`)
  return { ...clientOf(port), child, welcome, end }
}

/** The bin with exactly these settings. */
export function spawnBin (args: string[], settings: Settings = {}, start: Start = {}): ChildProcess {
  return spawn(...commandOf(args, settings, start), { stdio: ['pipe', 'pipe', 'pipe'] })
}

/** Runs the bin until it exits. */
export async function runBin (args: string[], settings: Settings = {}, input: string | Uint8Array = '', start: Start = {}): Promise<{ code: number | null, stdout: string, stderr: string }> {
  const child = spawnBin(args, await withStore(settings), start)
  // A command that reads no input may have ended before.
  child.stdin?.on('error', () => {}).end(input)
  const exited = once(child, 'exit') as Promise<[number | null]>
  const [stdout, stderr] = await Promise.all([child.stdout, child.stderr].map(stream => (stream as Readable).setEncoding('utf8').toArray()))
  return { code: (await exited)[0], stdout: stdout?.join('') ?? '', stderr: stderr?.join('') ?? '' }
}

async function withStore (settings: Settings): Promise<Settings> {
  return { ...settings.DATA_DIR !== undefined && await storeSettings(settings.DATA_DIR), ...settings }
}

export function clientOf (port: number): Client {
  return { port, url: `http://127.0.0.1:${port}`, send: (method, path, options) => send(port, method, path, options) }
}

async function send (
  port: number,
  method: string,
  path: string,
  { headers = {}, user, token, json, body, isBroken = false }: SendOptions = {}
): Promise<Answer> {
  if (isBroken) allowNonConforming(method, path)
  const payload = json === undefined ? body : JSON.stringify(json)
  const options: RequestOptions = {
    host: '127.0.0.1',
    port,
    method,
    path,
    agent: false,
    headers: {
      ...(user && { authorization: `Basic ${Buffer.from(user.join(':')).toString('base64')}` }),
      ...(token && { authorization: `Bearer ${token}` }),
      ...(json !== undefined && { 'content-type': 'application/json' }),
      ...(typeof payload === 'string' && { 'content-length': Buffer.byteLength(payload) }),
      ...(payload instanceof Uint8Array && { 'content-length': payload.length }),
      ...headers
    }
  }
  const request = httpRequest(options)
  const answered = once(request, 'response')
  // A server that refuses early may stop reading: only the response matters, and without one `answered` fails.
  request.on('error', () => {})
  if (payload instanceof Readable) pipeline(payload, request).catch(() => {})
  else request.end(payload)
  const [response] = await answered
  const bytes = Buffer.concat(await response.toArray())
  const text = bytes.toString()
  const answer: Answer = {
    status: response.statusCode,
    headers: response.headers,
    rawHeaders: response.rawHeaders,
    bytes,
    text,
    get json () { return JSON.parse(text) }
  }
  checkConformance({ method, path, status: answer.status, headers: answer.headers, body: hasJson(answer.headers) ? text : '' })
  return answer
}

/** Whether the bytes of a response are JSON as they are. */
function hasJson ({ 'content-type': type, 'content-encoding': coding }: IncomingHttpHeaders): boolean {
  return /json\b/.test(String(type)) && coding === undefined
}

/** A response without its date and request id, to compare two. */
export function comparable ({ status, rawHeaders, text }: Answer) {
  return { status, text, headers: rawHeaders.filter((_, index) => !['Date', 'x-request-id'].includes(String(rawHeaders[index - index % 2]))) }
}

/** The log of a server, from now until it exits. */
export async function logOf ({ child }: ServerProcess): Promise<any[]> {
  const output: string[] = await child.stdout!.setEncoding('utf8').toArray()
  return output.join('').split('\n').filter(line => line !== '').map(line => JSON.parse(line))
}

/** The password of accounts for which a test gives none. */
export const PASSWORD = 'correct horse battery'

/** Made once: a hash takes 25 ms. */
let passwordHash: Promise<string> | undefined

let accounts = 0

/**
 * Registers a user over HTTP, and signs in. Without a name, the user has one that no other test of the file has, and a
 * server in this process gets the account without a registration.
 */
export async function signUp (
  client: Client, name?: string, password = PASSWORD
): Promise<{ id: number, user: [string, string], token: string }> {
  const username = name ?? `user-${++accounts}`
  const id = name === undefined && client.addAccount !== undefined
    ? await client.addAccount(username)
    : (await client.send('POST', '/api/users', { json: { username, password } })).json.id
  return { id, user: [username, password], token: await issueToken(client, { user: [username, password] }) }
}

/** An access token for a credential. */
export async function issueToken (client: Client, credential: SendOptions): Promise<string> {
  return (await client.send('GET', '/api/token', credential)).json.token
}

/** The kinds of an account's events, the newest first. */
export async function kindsOf (client: Client, credential: SendOptions): Promise<string[]> {
  const { json: { events } } = await client.send('GET', '/api/account/events?limit=1000', credential)
  return events.map(({ kind }: { kind: string }) => kind)
}

/** The names of an account's files, in order. */
export async function namesOf (client: Client, credential: SendOptions): Promise<string[]> {
  return (await client.send('GET', '/api/files?limit=1000', credential)).json.files.map((file: { name: string }) => file.name)
}

/** A form with one file, as curl sends it; `before` and `after` are complete parts around it. */
export function formOf (name: string, bytes: string | Uint8Array, { type = 'application/octet-stream', field = 'file', boundary = 'boundary-of-a-test' } = {}): { headers: Record<string, string>, body: Buffer } {
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="${field}"; filename="${name}"\r\nContent-Type: ${type}\r\n\r\n`
  return {
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: Buffer.concat([Buffer.from(head), Buffer.from(bytes), Buffer.from(`\r\n--${boundary}--\r\n`)])
  }
}
