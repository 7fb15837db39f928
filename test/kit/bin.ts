import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { patience } from '../patience.js'
import { root } from './root.ts'

const isMeasured = process.env.COVERAGE === '1'

const coverage = new URL('../coverage.js', import.meta.url).href

/** The flags of V8 that the first line of the bin gives to Node; whatever starts the server has them too. */
export const v8Flags: readonly string[] = String(/^#!\/usr\/bin\/env -S node (.+)$/m.exec(readFileSync(join(root, 'dist/main.js'), 'utf8'))?.[1]).split(' ')

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
 * The command that runs the bin with exactly these settings. `env -i` removes the loader that tap adds to the
 * environment of every child process: it costs 0.3 s of CPU.
 */
export function commandOf (
  args: string[],
  settings: Record<string, string> = {},
  { under = [], node = process.execPath, nodeArgs = [], isCounted = true }: Start = {}
): [program: string, args: string[]] {
  const counting = isCounted && isMeasured
  const { PATH = '', HOME = '' } = process.env
  const variables = Object.entries({ PATH, HOME, ...(counting && { COVERAGE: '1', TEST_FILE: String(process.env.TEST_FILE) }), ...settings }).map(([name, value]) => `${name}=${value}`)
  return ['env', ['-i', ...variables, ...under, node, ...v8Flags, ...(node === process.execPath ? patience : []), ...nodeArgs, ...(counting ? ['--import', coverage] : []), join(root, 'dist/main.js'), ...args]]
}

/** Settings that make the bin run `script` before its own code. */
export function withFault (script: string): { NODE_OPTIONS: string } {
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(script)}` }
}
