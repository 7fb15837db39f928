import { closeSync, constants, openSync, writeSync } from 'node:fs'
import type { LoggedEvent } from '../accounts/events.ts'
import { ConfigError } from '../problems.ts'

const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = constants

/** With `O_NONBLOCK`, opening a pipe that nobody reads fails, in place of blocking the server. */
const APPENDING = O_APPEND | O_CREAT | O_NONBLOCK | O_WRONLY

/**
 * Returns a function that appends an event to a file, as one line of JSON. The file is opened for each line, so it can
 * be moved at any time; several processes can share it. Synchronous, so that the lines are in the order of the events.
 * @throws {ConfigError} if nothing can be appended.
 */
export function openEventLog (file: string, onFailure: (error: unknown) => void): (event: LoggedEvent) => void {
  try {
    closeSync(open(file))
  } catch (cause) {
    throw new ConfigError(`EVENT_LOG: ${(cause as Error).message}`, { cause })
  }
  return event => {
    try {
      append(file, `${JSON.stringify({ createdAt: new Date().toISOString(), ...event })}\n`)
    } catch (error) {
      onFailure(error)
    }
  }
}

function open (file: string): number {
  return openSync(file, APPENDING, 0o600)
}

function append (file: string, text: string): void {
  const descriptor = open(file)
  try {
    writeSync(descriptor, text)
  } finally {
    closeSync(descriptor)
  }
}
