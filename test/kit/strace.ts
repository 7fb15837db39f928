import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { Test } from 'tap'
import type { ServerProcess } from './server.ts'

/** For the option `skip` of a test that needs it. */
export const skipWithoutStrace = existsSync('/usr/bin/strace') ? false : 'strace is not installed'

/** Attaches strace to a running server and waits until it is attached. */
export async function straced (t: Test, server: ServerProcess, args: string[]): Promise<{ end (): Promise<void> }> {
  const child = spawn('strace', ['-p', String(server.child.pid), ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  for await (const line of createInterface(child.stderr as Readable)) if (/attached/.test(line)) break
  child.stderr?.resume()
  return { async end () { child.kill('SIGINT'); await once(child, 'exit') } }
}
