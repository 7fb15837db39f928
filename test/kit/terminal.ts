import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process'
import type { Test } from 'tap'
import { commandOf } from './bin.ts'
import type { Settings } from './server.ts'

/** For the `skip` of a test: the reason if no terminal is available, else false. */
export const lacksTerminal = spawnSync('script', ['--version']).status !== 0 && 'script is not installed'

/** The bin on a terminal without echo: `stdin` accepts keys, `stdout` returns the output; killed when the test ends. */
export function spawnOnTerminal (t: Test, args: string[], settings: Settings): ChildProcessWithoutNullStreams {
  const words = commandOf(args, settings).flat().map(word => `'${word.replaceAll('\'', '\'\\\'\'')}'`)
  // The bin replaces the shell: after ^C some shells exit with 130, whatever the program's exit code.
  const child = spawn('script', ['--quiet', '--return', '--echo', 'never', '--command', `exec ${words.join(' ')}`, '/dev/null'], { env: { ...process.env, SHELL: '/bin/sh' } })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

/** Runs the bin on a terminal until it exits. */
export async function runOnTerminal (t: Test, args: string[], settings: Settings): Promise<string> {
  return (await spawnOnTerminal(t, args, settings).stdout.setEncoding('utf8').toArray()).join('')
}
