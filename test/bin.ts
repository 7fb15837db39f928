import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** tap says so to every process of a run that measures coverage. */
const isMeasured = process.env._TAPJS_PROCESSINFO_COVERAGE_ === '1'

export interface Start {
  /** A program that runs Node, with its arguments. */
  under?: string[]
  /** Another Node than that of the test. */
  node?: string
  /** What Node is given ahead of the bin. */
  nodeArgs?: string[]
  /** Whether coverage is measured where it is at all: a process that is killed tells of none. */
  isCounted?: boolean
}

/**
 * The command that runs the bin with exactly these settings. `env -i` is part of it because tap puts a loader of its own into
 * the environment of whatever a test spawns: that takes 0.3 s of CPU.
 */
export function commandOf (args: string[], settings: Record<string, string> = {}, { under = [], node = process.execPath, nodeArgs = [], isCounted = isMeasured }: Start = {}): [program: string, args: string[]] {
  const bin = binOf(isCounted)
  const variables = Object.entries({ ...bin.env, ...settings }).map(([name, value]) => `${name}=${value}`)
  return ['env', ['-i', ...variables, ...under, node, ...nodeArgs, ...bin.args, ...args]]
}

/**
 * The bundle, as people have it. Where coverage is measured it is the compiled source, file by file, because the functions of
 * the bundle begin at other columns than those of the source. A start takes 0.15 s of CPU with the bundle, and 0.5 s so.
 */
function binOf (isCounted: boolean): { args: string[], env: Record<string, string> } {
  const env = environment(/^(?:PATH|HOME)$/)
  // Without a build it is the source, which takes each process a second or two longer to start, and tap's variables, without
  // which the child would check the types of all of src.
  if (!isNewer('build/.tsbuildinfo', newestSource())) return { args: [...process.execArgv, join(root, 'src/main.ts')], env: environment(/^(?:PATH$|HOME$|NODE_OPTIONS$|TS_NODE_|TAP_|_TAPJS_)/) }
  if (isCounted) return { args: ['--import', new URL('coverage.js', import.meta.url).href, join(root, 'build/main.js')], env }
  return { args: [join(root, isNewer('dist/main.js', timeOf('build/.tsbuildinfo')) ? 'dist/main.js' : 'build/main.js')], env }
}

function environment (pattern: RegExp): Record<string, string> {
  return Object.fromEntries(Object.entries(process.env as Record<string, string>).filter(([name]) => pattern.test(name)))
}

const isNewer = (file: string, time: number) => timeOf(file) >= time

const timeOf = (file: string) => statSync(join(root, file), { throwIfNoEntry: false })?.mtimeMs ?? 0

function newestSource (): number {
  return Math.max(...readdirSync(join(root, 'src'), { recursive: true }).filter(name => String(name).endsWith('.ts')).map(name => timeOf(join('src', String(name)))))
}

/** Settings with which the bin runs `script` before its own code. */
export function withFault (script: string): { NODE_OPTIONS: string } {
  return { NODE_OPTIONS: `${binOf(isMeasured).env.NODE_OPTIONS ?? ''} --import=data:text/javascript,${encodeURIComponent(script)}` }
}
