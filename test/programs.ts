import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/**
 * A script for bash that the test runner does not watch: the functions of the bundle begin at other columns than those of the
 * source, so that coverage would count them as others that never ran.
 */
export function unwatched (script: string): string {
  return `unset NODE_OPTIONS; ${script}`
}

export interface Ended { code: number | null, stdout: string, stderr: string }

/** Runs a program as a person would: nothing of the test runner's environment goes along. */
export async function run (command: string, args: string[], { cwd = root, env = {} }: { cwd?: string, env?: Record<string, string> } = {}): Promise<Ended> {
  const child = spawn(command, args, { cwd, env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = once(child, 'exit')
  const [stdout = [], stderr = []] = await Promise.all([child.stdout, child.stderr].map(stream => stream.setEncoding('utf8').toArray()))
  return { code: (await exited)[0], stdout: stdout.join(''), stderr: stderr.join('') }
}

/** The same without the loader that the test runner gives to all it spawns: it would slow a compiler, and count what is no part of the project. */
export async function runUnwatched (command: string, args: string[], options: Parameters<typeof run>[2] = {}): Promise<Ended> {
  return run('env', ['-u', 'NODE_OPTIONS', command, ...args], options)
}

export const strict = { target: 'es2022', module: 'nodenext', strict: true, noUncheckedIndexedAccess: true, skipLibCheck: true, types: ['node'], outDir: 'out' }

/** Compiles a project of a person's own. Its packages are those that the repository has, and those in the folders above it. */
export async function compile (folder: string, compilerOptions: object): Promise<Ended> {
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, exclude: ['out'] }))
  return runUnwatched(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder])
}
