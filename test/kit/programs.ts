import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from './root.ts'

/** A bash script without the test runner's loader, which every Node in it would load. */
export function unwatched (script: string): string {
  return `unset NODE_OPTIONS; ${script}`
}

/**
 * npm may need environment variables of the machine, such as a proxy or certificates, but not those of the test runner.
 */
export const npmEnvironment = Object.fromEntries(Object.entries(process.env as Record<string, string>).filter(([name]) => !/^(?:NODE_OPTIONS$|TAP_|_TAPJS_|npm_)/.test(name)))

/** Runs a program. @throws unless it exits with 0. */
export const execute = promisify(execFile)

export interface Ended { code: number | null, stdout: string, stderr: string }

/** Runs a program without the test runner's environment. */
export async function run (
  command: string, args: string[], { cwd = root, env = {} }: { cwd?: string, env?: Record<string, string> } = {}
): Promise<Ended> {
  const child = spawn(command, args, { cwd, env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = once(child, 'exit')
  const [stdout = [], stderr = []] = await Promise.all([child.stdout, child.stderr].map(stream => stream.setEncoding('utf8').toArray()))
  return { code: (await exited)[0], stdout: stdout.join(''), stderr: stderr.join('') }
}

/**
 * Runs a program without the test runner's loader, which would slow a compiler and measure code outside the project.
 */
export async function runUnwatched (
  command: string, args: string[], options: Parameters<typeof run>[2] = {}
): Promise<Ended> {
  return run('env', ['-u', 'NODE_OPTIONS', command, ...args], options)
}

export const strict = { target: 'es2022', module: 'nodenext', strict: true, noUncheckedIndexedAccess: true, skipLibCheck: true, types: ['node'], outDir: 'out' }

/** Compiles a separate project. It can import the packages of the repository and of the folders above it. */
export async function compile (folder: string, compilerOptions: object): Promise<Ended> {
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, exclude: ['out'] }))
  return runUnwatched(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder])
}

/** A program that runs another one without root's right to open every file; nothing for other users. */
export const WITHOUT_ROOTS_ACCESS: readonly string[] = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search'] : []
