import type { Command } from '#src/commands/command.ts'
import { failures, OperatorError, Problem } from '#src/problems.ts'
import type { Ended } from './programs.ts'
import type { Settings } from './server.ts'

/** The commands that end by themselves and read no input; `serve` only where it refuses to start. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  backup: () => import('#src/commands/backup.ts'),
  doctor: () => import('#src/commands/doctor.ts'),
  events: () => import('#src/commands/events.ts'),
  fsck: () => import('#src/commands/fsck.ts'),
  restore: () => import('#src/commands/restore.ts'),
  serve: () => import('#src/commands/serve.ts'),
  trash: () => import('#src/commands/trash.ts'),
  user: () => import('#src/commands/user.ts')
}

let last: Promise<unknown> = Promise.resolve()

/**
 * Runs a command in this process, with exactly these settings. A process of its own takes 0.4 s of CPU: only what is
 * about the process itself, or reads input, needs `runBin`. One runs at a time: output and settings are the process's.
 */
export function runCommand (args: string[], settings: Settings = {}): Promise<Ended> {
  const ended = last.then(() => run(args, settings))
  last = ended.catch(() => {})
  return ended
}

async function run ([name = '', ...rest]: string[], settings: Settings): Promise<Ended> {
  const { exitCode, env: { ...environment } } = process
  const { log, error } = console
  // As the bin does.
  const mask = process.umask(0o077)
  let [stdout, stderr] = ['', '']
  console.log = (text: string) => { stdout += `${text}\n` }
  console.error = (text: string) => { stderr += `${text}\n` }
  const { PATH = '', HOME = '' } = environment
  setEnvironment({ PATH, HOME, ...settings })
  process.exitCode = undefined
  try {
    const command = await commands[name]?.()
    await command?.run(rest)
    return { code: Number(process.exitCode ?? 0), stdout, stderr }
  } catch (thrown) {
    return { code: exitCodeOf(thrown), stdout, stderr: `${stderr}magicstore: ${lineOf(thrown)}\n` }
  } finally {
    Object.assign(console, { log, error })
    process.exitCode = exitCode
    setEnvironment(environment)
    process.umask(mask)
  }
}

/** Not another object: Node.js looks for TMPDIR where the variables of the process are. */
function setEnvironment (variables: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(process.env)) delete process.env[name]
  Object.assign(process.env, variables)
}

function exitCodeOf (error: unknown): number {
  if (error instanceof OperatorError) return error.exitCode
  return String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS') ? 2 : 1
}

function lineOf (error: unknown): string {
  const { code, message, stack } = error as NodeJS.ErrnoException
  if (error instanceof Problem) return [...new Set([failures[error.code].title, message])].join(': ')
  return error instanceof OperatorError || code !== undefined ? message : String(stack)
}
