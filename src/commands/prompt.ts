import { createInterface, type ReadLineOptions } from 'node:readline'
import { Writable } from 'node:stream'

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
