import { readdirSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { setPriority } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import { buildApp, type App } from '../app.ts'
import { isStartedByNpm, mistypedSettings, readConfig, settingRows, type Config } from '../config.ts'
import { usesDataFolder } from '../data-folder/data-folder.ts'
import { readTls } from '../doctor/certificate.ts'
import { authority, isWildcard, listenAt } from '../doctor/listening.ts'
import { checkTransport } from '../doctor/settings.ts'
import type { OutcomeUnknown } from '../metadata/metadata.ts'
import { openStore, type AppServices } from '../services.ts'
import { linesOf, UsageError } from './command.ts'

export const help = `magicstore serve: run the server. Settings come from the environment:

${settingsText()}

Exit code: 0 after SIGTERM or SIGINT, once all transfers have ended; 1 if it can't start or fails; 2 if a setting is
invalid.`

/** Signals of a crash: a process that listens to them runs on forever (Node.js, process, "Signal events"). */
const CRASHES = ['SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGSEGV'] as const

/** How often the server looks whether npm still runs. */
const CHECK_MILLISECONDS = 1000

/** How long a server that must exit still reports that to its clients and its supervisor. */
const EXIT_DELAY_MILLISECONDS = 2000

/** Starts the server, which then runs until a signal stops it. */
export async function run (args: string[]): Promise<void> {
  if (args.length > 0) {
    throw new UsageError('serve takes its settings from the environment; see magicstore serve --help')
  }
  const config = readConfig()
  const tls = await readTls(config)
  const store = await openStore(config, {
    onUpgrade: files =>
      console.error(`magicstore: upgrading the database, which has ${files.toLocaleString('en')} files`)
  })
  // The server keeps running, and succeeds, if its log can't be written. `main.ts` would make that a failure.
  process.stdout.removeAllListeners('error').on('error', () => {})
  const app = await buildApp(store, tls, process.stdout)
  process.on('exit', app.flushLog)
  store.cleanup.watch(removal => app.http.log.info(
    removal, removal.seconds === undefined ? 'removing many deleted files' : 'removed deleted files'
  ))
  const metricsAddress = await listen(config, app).catch(async (error: unknown) => {
    await store.close()
    throw error
  })
  prioritiseEventLoop()
  void store.metadata.failed.then(error => exitUnsynced(error, app))
  stopOnSignal(store, app)
  if (tls !== undefined) process.on('SIGHUP', () => { void reloadTls(config, app) })
  console.log(welcome(config, { address: app.http.server.address() as AddressInfo, metricsAddress }))
}

/** Returns the address of the metrics server, if there is one. */
async function listen (config: Config, { http, metrics }: App): Promise<AddressInfo | undefined> {
  const { metricsHost: host, metricsPort } = config
  const metricsAddress = metrics &&
    await listenAt({ setting: 'METRICS_HOST', host, port: Number(metricsPort) }, to => metrics.listen(to))
  await listenAt({ setting: 'HOST', ...config }, address =>
    http.listen({ ...address, listenTextResolver: () => 'listening' }))
  return metricsAddress
}

/**
 * Stops the server on a signal, and if npm started it, when npm ends. No time limit: transfers may take as long as they
 * need, and stalled ones are cut.
 */
function stopOnSignal (store: AppServices, { http, connections, metrics }: App): void {
  const skip = [...CRASHES, ...(store.config.tls === undefined ? [] : ['SIGHUP'] as const)]
  const { close } = closeWithGrace({ delay: false, logger: http.log, skip }, async ({ err, signal }) => {
    if (err !== undefined) {
      // The state of the process is unknown. The next start finds everything that was acknowledged.
      http.log.fatal({ err }, 'the server failed')
      return
    }
    http.log.info(signal === undefined ? { reason: 'npm exited' } : { signal }, 'stopping')
    clearInterval(watch)
    connections.stop()
    store.stop()
    await http.close()
    await store.close()
    await metrics?.close()
    http.log.info('stopped')
  })
  const parent = process.ppid
  // npm forwards SIGTERM and SIGINT only; if it ends otherwise, the server would keep running. An orphaned process gets
  // another parent.
  const watch = isStartedByNpm()
    ? setInterval(() => { if (process.ppid !== parent) close() }, CHECK_MILLISECONDS).unref()
    : undefined
}

/** Exits after a delay. Until then every request is answered, /health/ready with the failure. */
async function exitUnsynced ({ cause }: OutcomeUnknown, { http }: App): Promise<void> {
  const uncertain = 'the database log could not be synced, so it is uncertain what is stored'
  http.log.fatal({ err: cause }, `${uncertain}; exiting, check the disk before you restart`)
  await wait(EXIT_DELAY_MILLISECONDS)
  process.exit(1)
}

/** New connections use the new certificate, existing ones keep theirs. If the files can't be used, nothing changes. */
async function reloadTls (config: Config, { http, renewTls }: App): Promise<void> {
  try {
    const tls = await readTls(config)
    if (tls !== undefined) renewTls(tls)
    http.log.info('the certificate was reloaded')
  } catch (err) {
    http.log.error({ err }, 'the certificate could not be reloaded; the old one stays in use')
  }
}

function welcome (
  config: Config, { address, metricsAddress }: { address: AddressInfo, metricsAddress: AddressInfo | undefined }
): string {
  const { databaseUrl, storageUrl } = config
  const transport = checkTransport(config)
  const url = config.publicUrl ?? `${config.tls === undefined ? 'http' : 'https'}://${authority(address)}`
  return linesOf(
    `MagicStore serves at ${url}`,
    `  API documentation:   ${url}/docs`,
    databaseUrl !== undefined && `  database:            ${placeOf(databaseUrl)}`,
    storageUrl !== undefined && `  files:               bucket ${storageUrl.bucket}`,
    usesDataFolder(config) && `  data:                ${config.dataDir}`,
    isWildcard(address) && `  listens on:          every address of this machine, port ${address.port}`,
    transport.verdict === 'fault' && `  warning:             ${transport.message}; ${transport.remedy}`,
    ...mistypedSettings().map(({ name, meant }) =>
      `  warning:             ${name} is not a setting; did you mean ${meant}?`),
    metricsAddress !== undefined && `  metrics:             http://${authority(metricsAddress)}/metrics`,
    config.identityProvider !== undefined &&
      `  registration:        ${config.registration} (${config.registrationReason})`,
    `  password policy:     ${config.passwordPolicy} (${config.passwordPolicyReason})`
  )
}

/** The address of a database without its user and password. */
function placeOf (databaseUrl: string): string {
  const { host, pathname } = new URL(databaseUrl)
  return `PostgreSQL at ${host}${pathname}`
}

function settingsText (): string {
  const settings = settingRows()
  const width = Math.max(...settings.map(({ name }) => name.length))
  return linesOf(...settings.map(({ name, fallback, description }) =>
    `  ${name.padEnd(width)} ${description} Default: ${fallback}.`))
}

/** 0 is normal and 19 the lowest priority; a thread at 0 gets nine times the CPU time of one at 10 (sched(7)). */
const BACKGROUND_NICENESS = 10

/**
 * Gives the event loop priority over the other threads of the process, which hash passwords: many concurrent sign-ins
 * would otherwise take CPU time from all other requests. Measured with eight sign-in loops on two cores: 19,000
 * requests per second to GET /api/resource, and 12,000 without. On an idle machine it changes nothing. Only Linux has
 * priorities per thread. Call it once the thread pool has started, which the first use of the file system does.
 */
function prioritiseEventLoop (): void {
  try {
    for (const id of readdirSync('/proc/self/task').map(Number)) {
      if (id !== process.pid) setPriority(id, BACKGROUND_NICENESS)
    }
  } catch {
    // Not Linux, or a sandbox: everything still works, but slower during many sign-ins.
  }
}
