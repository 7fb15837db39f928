import { createInterface, type ReadLineOptions } from 'node:readline'
import { Writable } from 'node:stream'
import { UsageError } from './command.ts'

/** Minimum time between two updates of the line. */
const UPDATE_MILLISECONDS = 100

export interface Progress {
  /** Shows how much is done, and the total if it is given. */
  readonly show: (what: string, done: number, total?: number) => void
  /** Deletes the line, before other output and at the end. */
  readonly clear: () => void
}

/**
 * A progress line on standard error, updated in place; nothing if that is not a terminal. `unit` is what is counted.
 */
export function createProgress (unit = 'files'): Progress {
  const { stderr } = process
  if (!stderr.isTTY) return { show: () => {}, clear: () => {} }
  let drawnAt = -Infinity
  return {
    show (what, done, total) {
      const now = performance.now()
      if (now - drawnAt < UPDATE_MILLISECONDS && done !== total) return
      drawnAt = now
      stderr.write(`\r\x1b[K${what}: ${done}${total === undefined ? '' : ` of ${total}`} ${unit}`)
    },
    clear () {
      drawnAt = -Infinity
      stderr.write('\r\x1b[K')
    }
  }
}

/** Asks on the terminal before something is deleted. @throws {UsageError} unless the answer is yes. */
export async function confirm (question: string): Promise<void> {
  const answer = await readLine(`${question} Type yes to confirm: `, { input: process.stdin })
  if (answer?.trim() !== 'yes') throw new UsageError('nothing was deleted')
}

/** The answer to a question on the terminal, which is not shown; undefined on Ctrl-C or Ctrl-D. */
export async function askSecret (question: string): Promise<string | undefined> {
  // With `terminal: true` only readline echoes the input, and its output is discarded.
  const discard = new Writable({ write: (_chunk, _encoding, done) => done() })
  const line = await readLine(question, { input: process.stdin, output: discard, terminal: true })
  process.stderr.write('\n')
  return line
}

async function readLine (question: string, options: ReadLineOptions): Promise<string | undefined> {
  process.stderr.write(question)
  const terminal = createInterface(options)
  try {
    const { value } = await terminal[Symbol.asyncIterator]().next()
    return value
  } finally {
    terminal.close()
  }
}
