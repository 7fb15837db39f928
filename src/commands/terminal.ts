import { isUtf8 } from 'node:buffer'
import { createInterface, type ReadLineOptions } from 'node:readline'
import { Writable } from 'node:stream'
import { Problem } from '../problems.ts'
import type { OperatorStore } from '../services.ts'
import { UsageError } from './command.ts'

/** Minimum time between two updates of a count. */
const UPDATE_MILLISECONDS = 100

export interface Progress {
  /** Shows what is done, how much of it, and the total, as far as they are given. */
  readonly show: (what: string, done?: number, total?: number) => void
  /** Returns a function that shows a count of what is done. */
  readonly count: (what: string) => (done: number, total?: number) => void
  /** Deletes the line, before other output and at the end. */
  readonly clear: () => void
}

/**
 * A progress line on standard error, updated in place; nothing if that is not a terminal. `unit` is what is counted.
 */
export function createProgress (unit = 'files'): Progress {
  const { stderr } = process
  if (!stderr.isTTY) return { show: () => {}, count: () => () => {}, clear: () => {} }
  let drawnAt = -Infinity
  let drawn: string | undefined

  function show (what: string, done?: number, total?: number): void {
    const now = performance.now()
    if (what === drawn && now - drawnAt < UPDATE_MILLISECONDS && done !== total) return
    drawnAt = now
    drawn = what
    const count = done === undefined ? '' : `: ${done}${total === undefined ? '' : ` of ${total}`} ${unit}`
    stderr.write(`\r\x1b[K${what}${count}`)
  }

  return {
    show,
    count: what => (done, total) => show(what, done, total),
    clear () {
      drawn = undefined
      stderr.write('\r\x1b[K')
    }
  }
}

/** Deletes the bytes of files that were removed, and shows how many. */
export async function deleteBytes ({ cleanup }: Pick<OperatorStore, 'cleanup'>): Promise<void> {
  const progress = createProgress()
  let deleted = 0
  cleanup.watchSteps(removed => {
    deleted += removed
    progress.show('removed from the storage', deleted)
  })
  await cleanup.sweepNow()
  progress.clear()
}

/** @throws {UsageError} if there is no terminal. */
export function requireTerminal (what: string): void {
  if (process.stdin.isTTY) return
  throw new UsageError(`${what} asks for confirmation, which needs a terminal: use --yes to delete without it`)
}

/** Asks on the terminal before something is deleted. @throws {UsageError} unless the answer is yes. */
export async function confirm (question: string): Promise<void> {
  const answer = await readLine(`${question} Type yes to confirm: `, { input: process.stdin })
  if (answer?.trim() !== 'yes') throw new UsageError('nothing was deleted')
}

/** What is typed on the terminal, without spaces around it. @throws {UsageError} after Ctrl-D. */
export async function ask (question: string): Promise<string> {
  const answer = await readLine(question, { input: process.stdin })
  if (answer === undefined) throw new UsageError('no answer was given, and nothing was written')
  return answer.trim()
}

/**
 * A password from a prompt that does not show it, or from standard input, without the last line break. Never from an
 * argument, which all users of the machine can see. @throws password_invalid unless it is UTF-8.
 */
export async function readPassword (question = 'Password: '): Promise<string> {
  if (!process.stdin.isTTY) {
    const bytes = Buffer.concat(await process.stdin.toArray())
    // As for the password of a request: replacing other bytes would set another password.
    if (!isUtf8(bytes)) throw new Problem('password_invalid', { detail: 'The password is not valid UTF-8.' })
    return bytes.toString().replace(/\r?\n$/, '')
  }
  // With `terminal: true` only readline echoes the input, and its output is discarded.
  const output = new Writable({ write: (_chunk, _encoding, done) => done() })
  const password = await readLine(question, { input: process.stdin, output, terminal: true })
  process.stderr.write('\n')
  // After Ctrl-C or Ctrl-D.
  if (password === undefined) throw new UsageError('no password was given')
  return password
}

async function readLine (question: string, options: ReadLineOptions): Promise<string | undefined> {
  const terminal = createInterface(options)
  // Now the terminal echoes nothing, not even what is typed immediately.
  process.stderr.write(question)
  try {
    const { value } = await terminal[Symbol.asyncIterator]().next()
    return value
  } finally {
    terminal.close()
  }
}
