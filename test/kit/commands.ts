import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import tap from 'tap'
import { patience } from '../patience.js'
import { v8Flags } from './bin.ts'
import type { Ended } from './programs.ts'
import type { Settings } from './server.ts'
import { storeSettings } from './stores.ts'

const host = fileURLToPath(new URL('command-host.js', import.meta.url))

/** The process that runs the commands of this test file. */
function startHost (loaded: readonly string[]): ChildProcess {
  const coverage = new URL('../coverage.js', import.meta.url).href
  const { PATH, HOME, COVERAGE, TEST_FILE } = process.env
  // A command that fails may leave files open, of which Node.js warns in a process that goes on.
  const child = spawn(process.execPath, [...v8Flags, ...patience, '--no-warnings', ...loaded.flatMap(url => ['--import', url]), '--import', coverage, host], {
    env: { PATH, HOME, ...(COVERAGE === '1' && { COVERAGE, TEST_FILE }) }, stdio: ['ignore', 'inherit', 'inherit', 'ipc']
  })
  const exited = once(child, 'exit')
  tap.teardown(async () => {
    child.disconnect()
    await exited
  })
  return child
}

/** What runs commands as `runCommand` does, in a process that loads these modules before. */
export function commandsWith (...loaded: string[]) {
  let started: ChildProcess | undefined
  let last: Promise<unknown> = Promise.resolve()

  return (args: string[], settings: Settings = {}, input: string | Uint8Array = ''): Promise<Ended> => {
    const ended = last.then(async (): Promise<Ended> => {
      const store = settings.DATA_DIR === undefined ? {} : await storeSettings(settings.DATA_DIR)
      const child = started ??= startHost(loaded)
      child.send({ args, settings: { ...store, ...settings }, input: Buffer.from(input).toString('base64') })
      return (await once(child, 'message'))[0]
    })
    last = ended.catch(() => {})
    return ended
  }
}

/**
 * Runs a command of the bin with exactly these settings, as `runBin` does, but in a process that all commands of the
 * test file share: in a tenth of the time. Not for `serve` that starts, and not for terminals, pipes and signals.
 */
export const runCommand = commandsWith()

/** The secret in the link that an invitation or a reset prints. */
export async function claimSecret (args: string[], settings: Settings): Promise<string> {
  const { code, stdout, stderr } = await runCommand(['user', ...args], settings)
  const [, secret] = /#claim=((?:inv|rst)_[a-z2-7]{32})(?![a-z2-7])/.exec(stdout) ?? []
  if (code !== 0 || secret === undefined) throw new Error(`user ${args.join(' ')}: ${code} ${stdout} ${stderr}`)
  return secret
}
