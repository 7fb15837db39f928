import { appendFileSync } from 'node:fs'
import type { LoggedEvent } from '../accounts/events.ts'
import { ConfigError } from '../problems.ts'

/**
 * Returns a function that appends an event to a file, as one line of JSON. The file is opened for each line, so it can
 * be moved at any time; several processes can share it. Synchronous, so that the lines are in the order of the events.
 * @throws {ConfigError} if nothing can be appended.
 */
export function openEventLog (file: string, onFailure: (error: unknown) => void): (event: LoggedEvent) => void {
  try {
    appendFileSync(file, '')
  } catch (cause) {
    throw new ConfigError(`EVENT_LOG: ${(cause as Error).message}`, { cause })
  }
  return event => {
    try {
      appendFileSync(file, `${JSON.stringify({ createdAt: new Date().toISOString(), ...event })}\n`)
    } catch (error) {
      onFailure(error)
    }
  }
}
