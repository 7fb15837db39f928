import { realpath } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { OperatorError } from '../problems.ts'

/** A mistake on the command line. */
export class UsageError extends OperatorError {
  override readonly exitCode = 2
}

/** What a module of this folder that is named like a command exports. */
export interface Command {
  /** What `--help` prints. */
  readonly help: string
  /** Carries it out, with what stands behind its name; prints to standard output, and tells of progress on standard error. */
  run (args: string[]): Promise<void>
}

/** The one folder that a command is given, apart from the data folder. @throws {UsageError} also where one of them is inside the other. */
export async function folderArgument (command: string, [folder, ...rest]: string[], dataDir: string): Promise<string> {
  if (folder === undefined || rest.length > 0) throw new UsageError(`${command} takes one folder; see magicstore ${command} --help`)
  const [given, data] = await Promise.all([realPath(resolve(folder)), realPath(dataDir)])
  if (isWithin(given, data) || isWithin(data, given)) throw new UsageError(`${resolve(folder)} and DATA_DIR lie one inside the other`)
  return resolve(folder)
}

/** Where a path leads, whether anything is there yet or not. */
async function realPath (path: string): Promise<string> {
  return realpath(path).catch(async () => join(await realPath(dirname(path)), basename(path)))
}

function isWithin (inner: string, outer: string): boolean {
  const path = relative(outer, inner)
  return path !== '..' && !path.startsWith('../')
}
