import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './root.ts'

const isMeasured = process.env.COVERAGE === '1'

/** The flags of V8 that the first line of the bin gives to Node; whatever starts the server has them too. */
export const v8Flags: readonly string[] = String(/^#!\/usr\/bin\/env -S node (.+)$/m.exec(readFileSync(join(root, 'src/main.ts'), 'utf8'))?.[1]).split(' ')

export interface Start {
  /** A program that runs Node, with its arguments. */
  under?: readonly string[]
  /** Another Node than that of the test. */
  node?: string
  /** Arguments for Node, before the bin. */
  nodeArgs?: string[]
  /** Whether to measure coverage if the run does. A killed process reports none. */
  isCounted?: boolean
}

/**
 * The command that runs the bin with exactly these settings. `env -i` removes the loader that tap adds to the environment of
 * every child process: it costs 0.3 s of CPU.
 */
export function commandOf (args: string[], settings: Record<string, string> = {}, { under = [], node = process.execPath, nodeArgs = [], isCounted = true }: Start = {}): [program: string, args: string[]] {
  const bin = binOf(isCounted && isMeasured)
  const variables = Object.entries({ ...bin.env, ...settings }).map(([name, value]) => `${name}=${value}`)
  return ['env', ['-i', ...variables, ...under, node, ...v8Flags, ...nodeArgs, ...bin.args, ...args]]
}

/**
 * What the build made, as users run it, or the source if that is newer. With coverage it is the source without its types, because
 * compiled functions start at other columns.
 */
function binOf (isCounted: boolean): { args: string[], env: Record<string, string> } {
  const env = environment(/^(?:PATH|HOME)$/)
  const beside = (name: string) => ['--import', new URL(`../${name}`, import.meta.url).href]
  if (isCounted) return { args: [...beside('coverage.js'), join(root, 'build/main.js')], env }
  if (isNewer('dist/page/index.html', newestSource())) return { args: [join(root, 'dist/main.js')], env }
  return { args: [...beside('strip-types.js'), join(root, 'src/main.ts')], env }
}

function environment (pattern: RegExp): Record<string, string> {
  return Object.fromEntries(Object.entries(process.env as Record<string, string>).filter(([name]) => pattern.test(name)))
}

const isNewer = (file: string, time: number) => timeOf(file) >= time

const timeOf = (file: string) => statSync(join(root, file), { throwIfNoEntry: false })?.mtimeMs ?? 0

function newestSource (): number {
  return Math.max(...readdirSync(join(root, 'src'), { recursive: true }).filter(name => String(name).endsWith('.ts')).map(name => timeOf(join('src', String(name)))))
}

/** Settings that make the bin run `script` before its own code. */
export function withFault (script: string): { NODE_OPTIONS: string } {
  return { NODE_OPTIONS: `${binOf(isMeasured).env.NODE_OPTIONS ?? ''} --import=data:text/javascript,${encodeURIComponent(script)}` }
}
