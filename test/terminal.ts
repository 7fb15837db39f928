import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process'
import type { Test } from 'tap'
import { commandOf } from './bin.ts'
import type { Settings } from './server.ts'

/** For the `skip` of a test: the reason where no terminal can be had, else false. */
export const lacksTerminal = spawnSync('script', ['--version']).status !== 0 && 'script is not installed'

/** The bin on a terminal of its own that doesn't echo: `stdin` takes what is typed, `stdout` gives what is shown, and its end is the bin's. Ended with the test. */
export function spawnOnTerminal (t: Test, args: string[], settings: Settings): ChildProcessWithoutNullStreams {
  const words = commandOf(args, settings).flat().map(word => `'${word.replaceAll('\'', '\'\\\'\'')}'`)
  // The bin takes the place of the shell: behind ^C some shells end with 130, however the program has ended.
  const child = spawn('script', ['--quiet', '--return', '--echo', 'never', '--command', `exec ${words.join(' ')}`, '/dev/null'], { env: { ...process.env, SHELL: '/bin/sh' } })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

/** Runs the bin on a terminal to its end. */
export async function runOnTerminal (t: Test, args: string[], settings: Settings): Promise<string> {
  return (await spawnOnTerminal(t, args, settings).stdout.setEncoding('utf8').toArray()).join('')
}
