import { terminalLine } from './terminal-line.ts'

/** Gathered before they are written: one call to the system for some twenty requests, not one for each. */
const BATCH_CHARACTERS = 4096

/** A line waits no longer than this. */
const HOLD_MILLISECONDS = 100

/** Where the log goes; `write` of standard output has written when it returns, to a file, a pipe and a terminal alike. */
export interface LogOutput {
  readonly isTTY?: boolean
  write (text: string): unknown
}

export interface Log {
  /** Takes one line, a JSON object. */
  write (line: string): void
  /** Writes what was gathered; to be called when the process ends. The logger itself calls it behind a fatal line. */
  flushSync (): void
}

/**
 * The log of the process: lines for a person on a terminal, JSON for a program elsewhere. A process that is killed, or
 * runs out of memory, takes the lines of the last tenth of a second with it; every other end writes them first.
 */
export function createLog (output: LogOutput): Log {
  if (output.isTTY === true) return { write: line => { output.write(terminalLine(line)) }, flushSync () {} }
  let gathered = ''
  let timer: NodeJS.Timeout | undefined

  function flushSync (): void {
    clearTimeout(timer)
    timer = undefined
    if (gathered !== '') output.write(gathered)
    gathered = ''
  }

  return {
    write (line) {
      gathered += line
      if (gathered.length >= BATCH_CHARACTERS) flushSync()
      else timer ??= setTimeout(flushSync, HOLD_MILLISECONDS).unref()
    },
    flushSync
  }
}
