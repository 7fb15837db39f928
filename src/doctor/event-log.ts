import { access, constants, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Config } from '../config.ts'
import { fault, good, type Diagnosis } from './diagnosis.ts'

const { O_APPEND, O_NONBLOCK, O_WRONLY, W_OK, X_OK } = constants

/** Whether the file of EVENT_LOG can be appended to, or created. */
export async function checkEventLog ({ eventLog }: Config): Promise<Diagnosis> {
  if (eventLog === undefined) return good('EVENT_LOG is not set')
  try {
    const handle = await open(eventLog, O_APPEND | O_NONBLOCK | O_WRONLY).catch(unlessMissing)
    if (handle === undefined) await access(dirname(eventLog), W_OK | X_OK)
    await handle?.close()
    return good(`security events are appended to ${eventLog}`)
  } catch (error) {
    return fault(`EVENT_LOG: ${(error as Error).message}`, 'set EVENT_LOG to a file in a folder that the user of the server can write to')
  }
}

/** @throws any other error. */
function unlessMissing (error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
