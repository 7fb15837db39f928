import { readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { setPriority } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import { createSecureContext } from 'node:tls'
import closeWithGrace from 'close-with-grace'
import { buildApp, type App } from '../app.ts'
import { isStartedByNpm, readConfig, settingRows, type Config } from '../config.ts'
import { checkTransport } from '../doctor/settings.ts'
import type { OutcomeUnknown } from '../metadata/metadata.ts'
import { ConfigError } from '../problems.ts'
import { openStore } from '../store.ts'
import { UsageError } from './command.ts'
import { authority, isEverywhere, listenAt } from './listening.ts'

export const help = `magicstore serve: run the server. Settings come from the environment:

${settingsText()}

Exit code: 0 after SIGTERM or SIGINT, when every transfer under way is over; 1 where it can't start or fails; 2 where a setting is wrong.`

/** With these a broken process ends; whoever listens to them keeps it running for ever (Node.js, process, "Signal events"). */
const CRASHES = ['SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGSEGV'] as const

/** Time in which a server that must end tells its clients and its supervisor. */
const LAST_ANSWERS_MILLISECONDS = 2000

/** Starts the server and keeps it until a signal ends it. */
export async function run (args: string[]): Promise<void> {
  if (args.length > 0) throw new UsageError('serve takes its settings from the environment; see magicstore serve --help')
  const config = readConfig()
  const tls = await readTls(config)
  const store = await openStore(config)
  // Whoever read the log may go: the server stays.
  process.stdout.on('error', () => {})
  const app = await buildApp(store, tls, process.stdout)
  const { http, connections, metrics } = app
  process.on('exit', app.flushLog)
  let metricsAddress
  try {
    if (metrics !== undefined) metricsAddress = await listenAt({ setting: 'METRICS_HOST', host: config.metricsHost, port: Number(config.metricsPort) }, metrics.listen)
    await listenAt({ setting: 'HOST', ...config }, address => http.listen({ ...address, listenTextResolver: () => 'listening' }))
  } catch (error) {
    await store.close()
    throw error
  }
  prioritiseEventLoop()
  void store.metadata.failed.then(error => endUnsynced(error, app))
  // No limit of its own: transfers under way end however long they take, and stalled ones are cut.
  const { close } = closeWithGrace({ delay: false, logger: http.log, skip: [...CRASHES, ...(tls === undefined ? [] : ['SIGHUP'] as const)] }, async ({ err, signal }) => {
    if (err !== undefined) {
      // Nobody knows what still holds; the next start finds everything that was acknowledged.
      http.log.fatal({ err }, 'the server failed')
      return
    }
    http.log.info(signal === undefined ? { reason: 'npm has ended' } : { signal }, 'stopping')
    npm?.stop()
    connections.stop()
    await http.close()
    await store.close()
    await metrics?.close()
    http.log.info('stopped')
  })
  // npm passes on SIGTERM and SIGINT; what else ends it would leave the server behind.
  const npm = isStartedByNpm() ? watchParent(close) : undefined
  if (tls !== undefined) process.on('SIGHUP', () => { void reloadTls(config, app) })
  console.log(welcome(config, { address: http.server.address() as AddressInfo, metricsAddress }))
}

/** Until the process ends every request is answered, /health/ready with what failed. */
async function endUnsynced ({ cause }: OutcomeUnknown, { http }: App): Promise<void> {
  http.log.fatal({ err: cause }, 'the log of the database could not be synced, so that it is not known what is stored: the server ends; look at the disk before it is started again')
  await wait(LAST_ANSWERS_MILLISECONDS)
  process.exit(1)
}

/** @throws {ConfigError} where a file can't be read, or the two do not go together. */
async function readTls ({ tls }: Config): Promise<{ cert: Buffer, key: Buffer } | undefined> {
  if (tls === undefined) return undefined
  const read = async (name: string, file: string) => readFile(file).catch((cause: Error) => { throw new ConfigError(`${name}: ${cause.message}`, { cause }) })
  const context = { cert: await read('TLS_CERT', tls.cert), key: await read('TLS_KEY', tls.key) }
  try {
    createSecureContext(context)
  } catch (cause) {
    throw new ConfigError(`TLS_CERT and TLS_KEY can't be used: ${(cause as Error).message}`, { cause })
  }
  return context
}

/** New connections get the new certificate, those under way keep theirs; files that do not go together change nothing. */
async function reloadTls (config: Config, { http, renewTls }: App): Promise<void> {
  try {
    const tls = await readTls(config)
    if (tls !== undefined) renewTls(tls)
    http.log.info('the certificate was read again')
  } catch (err) {
    http.log.error({ err }, 'the certificate could not be read again; the old one stays')
  }
}

function welcome (config: Config, { address, metricsAddress }: { address: AddressInfo, metricsAddress: AddressInfo | undefined }): string {
  const transport = checkTransport(config)
  const url = config.publicUrl ?? `${config.tls === undefined ? 'http' : 'https'}://${authority(address)}`
  return [
    `MagicStore serves at ${url}`,
    `  try it in a browser: ${url}/docs`,
    `  data:                ${config.dataDir}`,
    ...(isEverywhere(address) ? [`  listens on:          every address of this machine, port ${address.port}`] : []),
    ...(transport.verdict === 'fault' ? [`  warning:             ${transport.message}; ${transport.remedy}`] : []),
    ...(metricsAddress === undefined ? [] : [`  metrics:             http://${authority(metricsAddress)}/metrics`]),
    `  password policy:     ${config.passwordPolicy} (${config.passwordPolicyReason})`
  ].join('\n')
}

function settingsText (): string {
  const settings = settingRows()
  const width = Math.max(...settings.map(({ name }) => name.length))
  const rows = settings.map(({ name, fallback, description }) => `  ${name.padEnd(width)} ${description} Default: ${fallback}.`)
  return rows.join('\n')
}

const LOOK_MILLISECONDS = 1000

/** Calls `onGone` once the process that started this one has ended, unless `stop` is called before; it keeps no process alive. */
export function watchParent (onGone: () => void): { stop (): void } {
  const parent = process.ppid
  const timer = setInterval(() => {
    // An orphan gets another parent.
    if (process.ppid !== parent) onGone()
  }, LOOK_MILLISECONDS).unref()
  return { stop: () => clearInterval(timer) }
}

/** Where 0 is usual and 19 the last: the event loop weighs nine times as much as a thread of 10 (sched(7)). */
const BACKGROUND_NICENESS = 10

/**
 * Lets the event loop go before every other thread of the process where cores are short: those hash passwords, and a
 * storm of sign-ins would take its share of each core. Measured beside eight sign-in loops on two cores: 13,000 answers
 * to GET /api/resource a second, and 4,000 without. On an idle machine it changes nothing. Linux alone has priorities of
 * threads. To be called once the pool has its threads, which the first hash sees to.
 */
export function prioritiseEventLoop (): void {
  try {
    for (const id of readdirSync('/proc/self/task').map(Number)) if (id !== process.pid) setPriority(id, BACKGROUND_NICENESS)
  } catch {
    // Another system, or a sandbox: the server runs as well, only less evenly.
  }
}
