import { createInterface, type ReadLineOptions } from 'node:readline'
import { Writable } from 'node:stream'

/** Between two looks of a person nothing needs to be drawn. */
const DRAW_MILLISECONDS = 100

export interface Progress {
  /** Says how far it is; without a total, how much was done. */
  show (what: string, done: number, total?: number): void
  /** Takes the line away, before something else is written or at the end. */
  clear (): void
}

/** One line on standard error that is written over; none where that is no terminal. `unit` is what is counted. */
export function createProgress (unit = 'files'): Progress {
  const { stderr } = process
  if (!stderr.isTTY) return { show: () => {}, clear: () => {} }
  let drawnAt = -Infinity
  return {
    show (what, done, total) {
      const now = performance.now()
      if (now - drawnAt < DRAW_MILLISECONDS && done !== total) return
      drawnAt = now
      stderr.write(`\r\x1b[K${what}: ${done}${total === undefined ? '' : ` of ${total}`} ${unit}`)
    },
    clear () {
      drawnAt = -Infinity
      stderr.write('\r\x1b[K')
    }
  }
}

/** What is typed at the terminal in answer to a question; undefined where it is given up with Ctrl-D. */
export async function ask (question: string): Promise<string | undefined> {
  return readLine(question, { input: process.stdin })
}

/** The same, and what is typed is not shown; undefined also with Ctrl-C. */
export async function askSecret (question: string): Promise<string | undefined> {
  // A terminal interface makes the terminal show only what it writes itself, and that goes nowhere.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const line = await readLine(question, { input: process.stdin, output: nowhere, terminal: true })
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
