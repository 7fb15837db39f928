import { realpath } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { OperatorError } from '../problems.ts'

/** A mistake on the command line. */
export class UsageError extends OperatorError {
  override readonly exitCode = 2
}

/** The exports of each command's module. */
export interface Command {
  /** Printed by `--help`. */
  readonly help: string
  /** Runs the command with the arguments after its name. Results go to standard output, progress to standard error. */
  run (args: string[]): Promise<void>
}

/** Options without and with a value. */
export const FLAG = { type: 'boolean', default: false } as const
export const VALUE = { type: 'string' } as const

/** The option of every command that ends by itself. */
export const jsonOption = { json: FLAG } as const

/** The lines that are not left out. */
export function linesOf (...lines: readonly (string | false)[]): string {
  return lines.filter(line => line !== false).join('\n')
}

/** How long a command has run, to the millisecond. */
export function secondsSince (start: number): number {
  return Math.round(performance.now() - start) / 1000
}

/** Prints a result: with `--json` as one JSON object in a line, else as text. */
export function print<T extends object> (
  { json }: { readonly json: boolean }, result: T, textOf: (result: T) => string
): void {
  console.log(json ? JSON.stringify(result) : textOf(result))
}

/**
 * The single folder argument of a command, as an absolute path.
 * @throws {UsageError} also if it is inside the data folder, or contains it.
 */
export async function folderArgument (command: string, [folder, ...rest]: string[], dataDir: string): Promise<string> {
  if (folder === undefined || rest.length > 0) {
    throw new UsageError(`${command} needs exactly one folder; see magicstore ${command} --help`)
  }
  return folderApartFrom(folder, { name: 'DATA_DIR', path: dataDir })
}

/** A folder as an absolute path. @throws {UsageError} if it is inside another one, or contains it. */
export async function folderApartFrom (folder: string, other: { name: string, path: string }): Promise<string> {
  const [given, path] = await Promise.all([realPath(resolve(folder)), realPath(other.path)])
  if (isWithin(given, path) || isWithin(path, given)) {
    throw new UsageError(`${resolve(folder)} and ${other.name} must not contain each other`)
  }
  return resolve(folder)
}

/** The path without symbolic links; parts that do not exist are kept as they are. */
async function realPath (path: string): Promise<string> {
  return realpath(path).catch(async () => join(await realPath(dirname(path)), basename(path)))
}

function isWithin (inner: string, outer: string): boolean {
  const path = relative(outer, inner)
  return path !== '..' && !path.startsWith('../')
}
