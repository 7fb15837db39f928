import { realpath } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { parseArgs, type ParseArgsConfig } from 'node:util'
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

type Options = NonNullable<ParseArgsConfig['options']>

/** The options of a command, and `--json`. @throws for names, and for other options. */
export function readOptions<const Known extends Options> (args: string[], options: Known) {
  return parseArgs({ args, options: { ...options, json: FLAG } }).values
}

/** The same for a command that has names too. */
export function readArguments<const Known extends Options> (args: string[], options: Known) {
  return parseArgs({ args, options: { ...options, json: FLAG }, allowPositionals: true })
}

/** The only folder that a command has. @throws {UsageError}. */
export function onlyFolder (command: string, [folder, ...rest]: string[]): string {
  if (folder !== undefined && rest.length === 0) return folder
  throw new UsageError(`${command} needs exactly one folder; see magicstore ${command} --help`)
}

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
