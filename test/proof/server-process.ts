import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { commandOf } from '../kit/bin.ts'

/** Time limit for a start; with slow syncs the first one takes some seconds. */
const START_MILLISECONDS = 60_000

/** No limits for clients that send requests as fast as possible; tokens and versions outlive the proof. */
const SETTINGS = {
  LOG_LEVEL: 'error',
  MIN_FREE_BYTES: '0',
  TOKEN_SECONDS: '86400',
  PASSWORD_POLICY: 'open',
  RATE_LIMIT_PER_MINUTE: '0',
  REGISTRATIONS_PER_HOUR: '0',
  SIGN_IN_FAILURES: '1000000',
  MAX_EVENT_LOOP_DELAY_MS: '0',
  KEEP_VERSIONS: '1000',
  UV_USE_IO_URING: '0'
}

export interface ServerProcess {
  readonly url: string
  readonly child: ChildProcess
  /** Resolves when the process has exited. */
  readonly ended: Promise<unknown>
}

/**
 * Starts the server on a data folder; `under` is a program, with arguments, that runs it, `port` one that is free.
 * @throws with its output if it does not start.
 */
export async function startProcess (dataDir: string, under: string[] = [], port = 0): Promise<ServerProcess> {
  const child = spawn(...commandOf(['serve'], { ...SETTINGS, PORT: String(port), DATA_DIR: dataDir }, { under, isCounted: false }), { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'close')
  const timer = setTimeout(() => child.kill('SIGKILL'), START_MILLISECONDS)
  try {
    const url = await new Promise<string>((resolve, reject) => {
      let text = ''
      const read = (chunk: Buffer) => {
        text += chunk
        const address = /serves at (\S+)\n/.exec(text)?.[1]
        if (address !== undefined) resolve(address)
      }
      child.stdout?.on('data', read)
      child.stderr?.on('data', read)
      child.once('error', reject)
      child.once('close', code => reject(new Error(`exit ${code}: ${text.trim().split('\n')[0]}`)))
    })
    return { url, child, ended }
  } finally {
    clearTimeout(timer)
  }
}
