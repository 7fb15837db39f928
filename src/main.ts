#!/usr/bin/env node
import { writeOpenapi } from './commands/openapi.ts'
import { serve, serveHelp } from './commands/serve.ts'
import { ConfigError, readVersion } from './config.ts'
import { FolderInUseError } from './metadata/sqlite/lock.ts'
import { NewerDatabaseError } from './metadata/sqlite/sqlite.ts'

const usage = `magicstore: a private file store with REST authentication

  magicstore serve            run the server; --help lists its settings
  magicstore openapi FOLDER   write the OpenAPI document into a folder
  magicstore --version`

/** A mistake on the command line. */
class UsageError extends Error {}

async function run ([command, ...rest]: string[]): Promise<void> {
  const wantsHelp = rest.includes('--help') || rest.includes('-h')
  switch (command) {
    case 'serve': return wantsHelp ? console.log(serveHelp()) : serve()
    case 'openapi': return writeOpenapi(rest[0] ?? fail('openapi needs a folder'))
    case '--version': return console.log(readVersion())
    case '--help': case '-h': case undefined: return console.log(usage)
    default: return fail(`there is no command ${command}`)
  }
}

function fail (message: string): never {
  throw new UsageError(`${message}; see magicstore --help`)
}

/** 2 for what the operator wrote wrong, 1 for what the machine refuses. */
function exitCodeOf (error: unknown): number {
  return error instanceof ConfigError || error instanceof UsageError ? 2 : 1
}

function lineOf (error: unknown): string {
  const { code, message, address, port } = error as NodeJS.ErrnoException & { address?: string, port?: number }
  if (code === 'EADDRINUSE') return `${address}:${port} is in use by another program`
  if (code === 'EACCES') return `no permission: ${message}`
  const isPlain = [ConfigError, UsageError, FolderInUseError, NewerDatabaseError].some(kind => error instanceof kind)
  return isPlain || code !== undefined ? message : String((error as Error).stack)
}

run(process.argv.slice(2)).catch((error: unknown) => {
  console.error(`magicstore: ${lineOf(error)}`)
  process.exit(exitCodeOf(error))
})
