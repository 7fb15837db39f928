#!/usr/bin/env -S node --heap-growing-percent=300 --max-semi-space-size=4 --no-concurrent-array-buffer-sweeping
import module from 'node:module'
import { UsageError, type Command } from './commands/command.ts'
import { failures, OperatorError, Problem } from './problems.ts'

/*
 * The three flags of V8 above, which counts the buffers of uploads as heap. Whatever else starts the server has them,
 * too.
 *
 * The heap may grow to four times its size between two full collections: V8 keeps its limit low after a quiet time. An
 * upload of 256 MiB caused ten full collections, ran at 300 MiB per second instead of 450, and took 1.2 s of CPU time
 * instead of 0.5.
 *
 * New objects have 4 MiB instead of 16: an idle server takes 115 MB instead of 132, and requests the same CPU time.
 *
 * The event loop frees buffers itself: another thread falls behind. Four transfers of 1 GiB each way took 56 to 80 MiB
 * above idle instead of 51 MiB, and uploads 2 to 4 % more CPU time.
 */

/** Loaded on demand: most commands need little of the server's code, and start in half the time. */
const commands: Record<string, () => Promise<Command>> = {
  setup: () => import('./commands/setup.ts'),
  serve: () => import('./commands/serve.ts'),
  user: () => import('./commands/user.ts'),
  trash: () => import('./commands/trash.ts'),
  events: () => import('./commands/events.ts'),
  keys: () => import('./commands/keys.ts'),
  fsck: () => import('./commands/fsck.ts'),
  doctor: () => import('./commands/doctor.ts'),
  backup: () => import('./commands/backup.ts'),
  restore: () => import('./commands/restore.ts'),
  import: () => import('./commands/import.ts'),
  export: () => import('./commands/export.ts'),
  openapi: () => import('./commands/openapi.ts'),
  sdk: () => import('./commands/sdk.ts'),
  sync: () => import('./commands/sync.ts'),
  connect: () => import('./commands/connect.ts')
}

const usage = `magicstore: a private file store with REST authentication

  magicstore setup            write the settings of a new server, and make its first account
  magicstore serve            run the server
  magicstore user VERB        manage accounts
  magicstore trash empty      delete the trash of one account or of all
  magicstore events           list security events and what operators did
  magicstore keys VERB        change the keys that sign tokens and encrypt secrets
  magicstore fsck             check the database against the stored bytes
  magicstore doctor           check what the server depends on, and say how to fix what is wrong
  magicstore backup FOLDER    back up the store, also while servers run
  magicstore restore FOLDER   restore a backup into an empty store of any kind
  magicstore import FOLDER    store what is in a folder of this machine in an account
  magicstore export FOLDER    write the files and data of an account to a folder of this machine
  magicstore openapi FOLDER   write the OpenAPI document to a folder
  magicstore sdk FOLDER       write a client in TypeScript or Python to a folder
  magicstore sync FOLDER URL  keep a folder of this computer and the store equal
  magicstore connect URL      get a token for sync by a code that you type into the page
  magicstore --version

Add --help to a command for details. Every command but serve has --json: one JSON object per line.
Exit codes: 0 success, 1 failure or a fault found, 2 wrong usage or setting.`

async function run ([name = '--help', ...rest]: string[]): Promise<void> {
  if (name === '--version') return console.log((await import('./config.ts')).readVersion())
  if (isHelp(name)) return console.log(usage)
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (load === undefined) throw new UsageError(`unknown command ${name}; see magicstore --help`)
  const command = await load()
  return rest.some(isHelp) ? console.log(command.help) : command.run(rest)
}

function isHelp (argument: string): boolean {
  return argument === '--help' || argument === '-h'
}

function exitCodeOf (error: unknown): number {
  if (error instanceof OperatorError) return error.exitCode
  return String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS') ? 2 : 1
}

function lineOf (error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (error instanceof Problem) return [...new Set([failures[error.code].title, message])].join(': ')
  return error instanceof OperatorError || code !== undefined ? message : String((error as Error).stack)
}

/**
 * Without listeners, Node.js ends the process with a stack trace. A command goes on if the reader of its output exits,
 * as `head` does, and ends with the exit code of its result. Output that is lost in another way is a failure.
 */
function surviveLostOutput ({ stdout, stderr }: NodeJS.Process): void {
  stdout.on('error', () => {})
  stderr.on('error', () => {})
  stdout.once('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE') return
    console.error(`magicstore: can't write to standard output: ${message}`)
    process.exitCode = 1
  })
}

/** What newer versions of Node.js have. */
interface NewLoader {
  readonly registerHooks?: (hooks: {
    resolve: (specifier: string, context: { parentURL?: string }, next: (specifier: string) => unknown) => unknown
  }) => unknown
}

/* c8 ignore start: Node.js 20 has none; test/proof/node-versions.proof.ts runs the server on newer versions. */
/**
 * Resolves the imports inside Drizzle. For each of them, Node.js 22 and newer parse Drizzle's package.json, which has
 * 180 kB: on Node.js 24 a start took 1.1 s of CPU time and 289 MB instead of 0.8 s and 166 MB.
 */
function startFaster ({ registerHooks }: NewLoader): void {
  registerHooks?.({
    resolve: (specifier, { parentURL }, next) =>
      specifier.startsWith('.') && parentURL?.includes('/drizzle-orm/') === true
        ? { url: new URL(specifier, parentURL).href, format: 'module', shortCircuit: true }
        : next(specifier)
  })
}
/* c8 ignore stop */

surviveLostOutput(process)
// Only the owner has access to what the process creates: folders 0700, files 0600. What `sync` downloads is as if the
// user had made it.
if (process.argv[2] !== 'sync') process.umask(0o077)
startFaster(module as NewLoader)
run(process.argv.slice(2)).catch((error: unknown) => {
  console.error(`magicstore: ${lineOf(error)}`)
  process.exit(exitCodeOf(error))
})
