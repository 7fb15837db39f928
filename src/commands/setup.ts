import { access, constants, readFile } from 'node:fs/promises'
import { dirname, isAbsolute, resolve } from 'node:path'
import { readConfig, type Config } from '../config.ts'
import { isLoopback } from '../config/loopback.ts'
import { readTls } from '../doctor/certificate.ts'
import { printClaim } from './claims.ts'
import { FLAG, folderApartFrom, print, readArguments, UsageError, VALUE } from './command.ts'
import { ownerOf, runAs } from './data-owner.ts'
import { diagnose } from './doctor.ts'
import { addSettings, NO_BACKUPS, PROXY_OF_CONTAINER, serviceOf, textOfService } from './setup-files.ts'
import { withStore } from './store.ts'
import { ask } from './terminal.ts'

/** Where the units look for it. */
const SETTINGS_FILE = '/etc/magicstore.env'

/** Ports below need root, which the server is not. */
const FIRST_FREE_PORT = 1024

export const help = `\
magicstore setup [FILE]: write the settings of a new server to FILE, by default ${SETTINGS_FILE}. What no option says
is asked on the terminal.

  --reach machine|network     who may reach the server: only this machine, or others too
  --address URL               the address that people use, such as https://files.example.org
  --tls proxy|CERT,KEY        TLS by a proxy on this machine, or with the files of a certificate chain and of its key.
                              Not with an http address, which only this machine may use
  --registration open|closed  whether everybody can register who reaches the server, or only with an invitation
  --backups FOLDER|none       where a timer makes a backup each day

  --compose  for a container: print a file for Docker Compose instead of units. Run it in the image, with the volume
  --json     one JSON object per line: settings (the file), files (path and text of what is to be put there) and
             commands (for root, after that); then those of doctor: check, verdict, message and remedy; then link,
             username and expiresAt of the invitation

  All data will be in DATA_DIR, as for all commands; other settings of the environment are not used. It prints the
  systemd units with the paths of this installation, unless they are installed, runs doctor, and prints a link with
  which one person, within 24 hours, creates the first account. Run by root, it does both as the user that owns
  DATA_DIR. A FILE that has settings stays as it is; to one that has comments alone, they are added. The server makes
  its keys itself.

Exit code: 0 if the server can start; 1 if FILE can't be written, or if doctor finds a fault: then FILE stays, and there
is no link; 2 if an answer can't be used or FILE has settings: then nothing was written.`

const options = {
  reach: VALUE, address: VALUE, tls: VALUE, registration: VALUE, backups: VALUE, compose: FLAG
} as const

type Answers = Partial<Record<'reach' | 'address' | 'tls' | 'registration' | 'backups', string>>

/** What an answer depends on beside the others. */
interface SetupContext { readonly dataDir: string, readonly isContainer: boolean }

/** In the order in which they are asked. `usual`: the answer of who only presses Enter. */
const QUESTIONS: { name: keyof Answers, text: string, usual: (answers: Answers) => string }[] = [
  {
    name: 'reach',
    text: 'Who may reach the server: only this machine (machine), or others too (network)?',
    usual: () => 'network'
  },
  {
    name: 'address',
    text: 'Which address do people use, such as https://files.example.org?',
    usual: ({ reach }) => reach === 'machine' ? 'http://localhost:5000' : ''
  },
  {
    name: 'tls',
    text: 'TLS: by a proxy on this machine (proxy), or CERT,KEY: the files of the certificate chain and of its key?',
    usual: () => 'proxy'
  },
  {
    name: 'registration',
    text: 'Registration: for everybody who reaches the server (open), or only with an invitation (closed)?',
    usual: () => 'closed'
  },
  {
    name: 'backups',
    text: `Which folder, at best on another disk, gets a backup each day, or ${NO_BACKUPS}?`,
    usual: () => '/var/backups/magicstore'
  }
]

/** Writes the settings, and prints what else a new server needs. */
export async function run (args: string[]): Promise<void> {
  const { values, positionals: [given = SETTINGS_FILE, ...rest] } = readArguments(args, options)
  if (rest.length > 0) throw new UsageError('setup needs at most one file; see magicstore setup --help')
  const file = resolve(given)
  requirePlain('FILE', file)
  const text = await readFile(file, 'utf8').catch(unlessMissing)
  if (/^\s*[^#\s]/m.test(text ?? '')) {
    throw new UsageError(`${file} has settings and stays as it is`, { remedy: 'edit it, or name another file' })
  }
  // Before five questions are answered.
  await access(text === undefined ? dirname(file) : file, constants.W_OK)
  const context = { dataDir: readConfig().dataDir, isContainer: values.compose }
  const owner = await ownerOf(context.dataDir)
  const answers = await answersOf(values, context)
  const config = await check(answers, context)
  const settings = settingsOf(answers, context)
  await addSettings(file, settings, text === undefined ? owner?.gid : undefined)
  const userId = owner?.uid ?? Number(process.getuid?.())
  const service = await serviceOf(config, { ...context, file, backups: String(answers.backups), userId })
  print(values, { settings: file, ...service }, textOfService)
  if (owner === undefined) return finish(settings, values)
  // What root makes in the data folder, the server could not use.
  const call = `finish(${JSON.stringify(settings)}, ${JSON.stringify(values)})`
  process.exitCode = await runAs(owner, `import { finish } from ${JSON.stringify(import.meta.url)}; await ${call}`)
}

/** Runs doctor, and prints a link unless it finds a fault. */
export async function finish (settings: Record<string, string>, { json }: { readonly json: boolean }): Promise<void> {
  const config = readConfig(settings)
  if (await diagnose(config, { json }) > 0) {
    console.error('magicstore: repair the faults, start the server, and make the first account: magicstore user invite')
    return
  }
  await withStore(config, store => printClaim(store, { json, username: null, removesFactors: false }))
}

/** @throws any other error. */
function unlessMissing (error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}

/** The options, and the answers to what is asked. @throws {OperatorError} for an option that is missing or unusable. */
async function answersOf (given: Answers, context: SetupContext): Promise<Answers> {
  const isAsked = ({ name }: { name: keyof Answers }, { address }: Answers) =>
    name !== 'tls' || given.tls !== undefined || address?.startsWith('http:') !== true
  const missing = QUESTIONS.filter(question => given[question.name] === undefined && isAsked(question, given))
  if (missing.length > 0 && !process.stdin.isTTY) {
    const names = missing.map(({ name }) => `--${name}`).join(', ')
    throw new UsageError(`setup needs a terminal, or also ${names}; see magicstore setup --help`)
  }
  let answers: Answers = {}
  for (const question of QUESTIONS) {
    if (!isAsked(question, answers)) continue
    const answer = given[question.name] ?? await askUntilUsable(question, answers, context)
    answers = { ...answers, [question.name]: answer }
    await check(answers, context)
  }
  return answers
}

async function askUntilUsable (
  { name, text, usual }: typeof QUESTIONS[number], earlier: Answers, context: SetupContext
): Promise<string> {
  const fallback = usual(earlier)
  while (true) {
    const typed = await ask(fallback === '' ? `${text} ` : `${text} [${fallback}] `)
    const answer = typed === '' ? fallback : typed
    const error = await check({ ...earlier, [name]: answer }, context).then(() => undefined, (error: Error) => error)
    if (error === undefined) return answer
    console.error(`  ${error.message}`)
  }
}

/** The settings that follow from the answers so far. @throws {OperatorError} with the reason why they can't be used. */
async function check (answers: Answers, context: SetupContext): Promise<Config> {
  const { reach, address, tls, backups } = answers
  const settings = settingsOf(answers, context)
  for (const [name, value] of Object.entries(settings)) requirePlain(name, value)
  if (reach !== 'machine' && reach !== 'network') throw new UsageError('--reach: expected machine or network')
  if (context.isContainer && reach === 'machine') {
    throw new UsageError('--reach: a container is reached over a network, also from this machine')
  }
  if (tls !== undefined && tls !== 'proxy' && !/^[^,]+,[^,]+$/.test(tls)) {
    throw new UsageError('--tls: expected proxy, or two files with a comma between them')
  }
  const config = readConfig(settings)
  if (address !== undefined) checkAddress(answers, config, context)
  if (tls !== undefined) await readTls(config)
  if (backups !== undefined && backups !== NO_BACKUPS) {
    if (!isAbsolute(backups)) throw new UsageError(`--backups: expected a path from / on, or ${NO_BACKUPS}`)
    requirePlain('--backups', backups)
    await folderApartFrom(backups, { name: 'DATA_DIR', path: config.dataDir })
  }
  return config
}

function checkAddress ({ reach, tls }: Answers, { publicUrl, port }: Config, { isContainer }: SetupContext): void {
  if (publicUrl === undefined) throw new UsageError('--address: expected one such as https://files.example.org')
  const { protocol, hostname } = new URL(publicUrl)
  if (isLoopback(hostname.replace(/^\[|\]$/g, '')) !== (reach === 'machine')) {
    const expected = reach === 'machine' ? 'http://localhost:5000' : 'https://files.example.org'
    throw new UsageError(`--address: ${hostname} does not fit to --reach ${reach}; use one such as ${expected}`)
  }
  if (protocol === 'http:' && reach === 'network') {
    throw new UsageError('--address: passwords must not cross a network unencrypted; use https')
  }
  if (protocol === 'http:' && tls !== undefined) throw new UsageError('--tls: an http address has no TLS')
  const isDirect = protocol === 'http:' || (tls !== undefined && tls !== 'proxy')
  if (isDirect && port < FIRST_FREE_PORT && !isContainer) {
    const remedy = `use a proxy, or an address with a port from ${FIRST_FREE_PORT} on`
    throw new UsageError(`port ${port} of the address needs root, which the server is not`, { remedy })
  }
}

/** A settings file is read by systemd, shells and containers, which agree on these characters alone. */
function requirePlain (name: string, value: string): void {
  if (/^[\w%+,\-./:=?@]*$/.test(value)) return
  const expected = 'only letters, digits and % + , - . / : = ? @ _ are possible'
  throw new UsageError(`${name}: ${expected}, not ${JSON.stringify(value)}`)
}

function settingsOf (
  { reach, address, tls, registration, backups }: Answers, { dataDir, isContainer }: SetupContext
): Record<string, string> {
  const [cert = '', key = ''] = tls?.split(',') ?? []
  const isDirect = tls !== 'proxy'
  return {
    DATA_DIR: dataDir,
    HOST: isContainer || (reach === 'network' && isDirect) ? '0.0.0.0' : '127.0.0.1',
    PORT: isDirect && !isContainer && address !== undefined ? portOf(address) : '5000',
    ...(address !== undefined && { PUBLIC_URL: address }),
    ...(!isDirect && { TRUST_PROXY: isContainer ? PROXY_OF_CONTAINER : '127.0.0.1' }),
    ...(tls !== undefined && isDirect && { TLS_CERT: resolve(cert), TLS_KEY: resolve(key) }),
    ...(registration !== undefined && { REGISTRATION: registration }),
    // A day, and two hours in which the timer starts and the backup is made.
    ...(backups !== undefined && backups !== NO_BACKUPS && { BACKUP_HOURS: '26' })
  }
}

function portOf (address: string): string {
  if (!URL.canParse(address)) return '5000'
  const { port, protocol } = new URL(address)
  return port === '' ? protocol === 'https:' ? '443' : '80' : port
}
