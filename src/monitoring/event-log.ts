import { closeSync, constants, openSync, writeSync } from 'node:fs'
import type { LoggedEvent } from '../accounts/events.ts'
import { ConfigError } from '../problems.ts'

const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = constants

/** With `O_NONBLOCK`, opening a pipe that nobody reads fails, in place of blocking the server. */
const APPENDING = O_APPEND | O_CREAT | O_NONBLOCK | O_WRONLY

/**
 * Opens the file of EVENT_LOG once, and returns a function that appends an event.
 * @throws {ConfigError} if it can't be opened.
 */
export function openEventLog (file: string, onFailure: (error: unknown) => void): (event: LoggedEvent) => void {
  try {
    // Nothing is written: a disk that is full stops no server.
    closeSync(open(file))
  } catch (cause) {
    throw new ConfigError(
      `EVENT_LOG: ${(cause as Error).message}`,
      { remedy: 'set EVENT_LOG to a file in a folder that the user of the server can write to', cause }
    )
  }
  return eventAppender(file, onFailure)
}

/**
 * Returns a function that appends an event to a file, as one line of JSON. The file is opened for each line, so it can
 * be moved at any time; several processes can share it. Synchronous, so that the lines are in the order of the events.
 */
export function eventAppender (file: string, onFailure: (error: unknown) => void): (event: LoggedEvent) => void {
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
