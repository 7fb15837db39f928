#!/usr/bin/env node
import { BackupError } from './backup/backup-error.ts'
import { fsck, fsckHelp } from './commands/fsck.ts'
import { keys, keysHelp } from './commands/keys.ts'
import { writeOpenapi } from './commands/openapi.ts'
import { serve, serveHelp } from './commands/serve.ts'
import { UsageError } from './commands/usage-error.ts'
import { user, userHelp } from './commands/user.ts'
import { ConfigError, readVersion } from './config.ts'
import { failures, Problem } from './errors.ts'
import { FolderInUseError } from './metadata/sqlite/lock.ts'
import { MigrationError, NewerDatabaseError } from './metadata/sqlite/migrations.ts'

const usage = `magicstore: a private file store with REST authentication

  magicstore serve            run the server; --help lists its settings
  magicstore user VERB        look after people; --help lists the verbs
  magicstore keys rotate      sign tokens with a new key
  magicstore fsck             hold the database against the stored bytes; --help lists its options
  magicstore backup FOLDER    back up DATA_DIR while the server serves; --help says how
  magicstore restore FOLDER   restore a backup into an empty DATA_DIR
  magicstore openapi FOLDER   write the OpenAPI document into a folder
  magicstore --version`

async function run ([command, ...rest]: string[]): Promise<void> {
  const wantsHelp = rest.includes('--help') || rest.includes('-h')
  switch (command) {
    case 'serve':
      if (wantsHelp) return console.log(serveHelp())
      return rest.length === 0 ? serve() : fail('serve takes its settings from the environment')
    case 'user': return wantsHelp ? console.log(userHelp) : user(rest)
    case 'keys': return wantsHelp ? console.log(keysHelp) : keys(rest)
    case 'fsck': return wantsHelp ? console.log(fsckHelp) : fsck(rest)
    // Loaded when asked for: a server that starts needs neither.
    case 'backup': {
      const { backup, backupHelp } = await import('./commands/backup.ts')
      return wantsHelp ? console.log(backupHelp) : backup(rest)
    }
    case 'restore': {
      const { restore, restoreHelp } = await import('./commands/restore.ts')
      return wantsHelp ? console.log(restoreHelp) : restore(rest)
    }
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
  const isMisspelt = String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS')
  return isMisspelt || error instanceof ConfigError || error instanceof UsageError ? 2 : 1
}

function lineOf (error: unknown): string {
  const { code, message, address, port } = error as NodeJS.ErrnoException & { address?: string, port?: number }
  if (error instanceof Problem) return [...new Set([failures[error.code].title, message])].join(': ')
  if (code === 'EADDRINUSE') return `${address}:${port} is in use by another program`
  const isPlain = [BackupError, ConfigError, UsageError, FolderInUseError, MigrationError, NewerDatabaseError].some(kind => error instanceof kind)
  return isPlain || code !== undefined ? message : String((error as Error).stack)
}

// All that the process makes is its owner's alone: folders 0700, files 0600.
process.umask(0o077)
run(process.argv.slice(2)).catch((error: unknown) => {
  console.error(`magicstore: ${lineOf(error)}`)
  process.exit(exitCodeOf(error))
})
