#!/usr/bin/env node
import type { Command } from './commands/command.ts'
import { UsageError } from './commands/command.ts'
import { readVersion } from './config.ts'
import { failures, Problem } from './problems.ts'
import { OperatorError } from './problems.ts'

/** Each is loaded when it is asked for: most need little of what the server is made of, and start in half the time. */
const commands: Record<string, () => Promise<Command>> = {
  serve: () => import('./commands/serve.ts'),
  user: () => import('./commands/user.ts'),
  keys: () => import('./commands/keys.ts'),
  fsck: () => import('./commands/fsck.ts'),
  doctor: () => import('./commands/doctor.ts'),
  backup: () => import('./commands/backup.ts'),
  restore: () => import('./commands/restore.ts'),
  openapi: () => import('./commands/openapi.ts'),
  sdk: () => import('./commands/sdk.ts')
}

const usage = `magicstore: a private file store with REST authentication

  magicstore serve            run the server
  magicstore user VERB        look after people
  magicstore keys rotate      sign tokens with a new key
  magicstore fsck             hold the database against the stored bytes
  magicstore doctor           say what is wrong with all the server stands on, and how to mend it
  magicstore backup FOLDER    back up DATA_DIR while the server serves
  magicstore restore FOLDER   restore a backup into an empty DATA_DIR
  magicstore openapi FOLDER   write the OpenAPI document into a folder
  magicstore sdk FOLDER       write a TypeScript client into a folder
  magicstore --version

--help behind a command says more. Exit codes: 0 done, 1 could not be done or found a fault, 2 written wrong.`

async function run ([name = '--help', ...rest]: string[]): Promise<void> {
  if (name === '--version') return console.log(readVersion())
  if (isHelp(name)) return console.log(usage)
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (load === undefined) throw new UsageError(`there is no command ${name}; see magicstore --help`)
  const command = await load()
  return rest.some(isHelp) ? console.log(command.help) : command.run(rest)
}

function isHelp (word: string): boolean {
  return word === '--help' || word === '-h'
}

function exitCodeOf (error: unknown): number {
  if (error instanceof OperatorError) return error.exitCode
  return String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS') ? 2 : 1
}

function lineOf (error: unknown): string {
  const { code, message, address, port } = error as NodeJS.ErrnoException & { address?: string, port?: number }
  if (error instanceof Problem) return [...new Set([failures[error.code].title, message])].join(': ')
  if (code === 'EADDRINUSE') return `${address}:${port} is in use by another program`
  return error instanceof OperatorError || code !== undefined ? message : String((error as Error).stack)
}

// All that the process makes is its owner's alone: folders 0700, files 0600.
process.umask(0o077)
run(process.argv.slice(2)).catch((error: unknown) => {
  console.error(`magicstore: ${lineOf(error)}`)
  process.exit(exitCodeOf(error))
})
