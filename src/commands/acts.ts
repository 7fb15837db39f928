import { type OperatorAct, SecurityLog } from '../accounts/events.ts'
import type { Config } from '../config.ts'
import type { Metadata } from '../metadata/metadata.ts'
import { openEventLog } from '../monitoring/event-log.ts'

/** Records what the operator did, in the database and in the file of EVENT_LOG. */
export async function recordAct (
  { eventLog }: Pick<Config, 'eventLog'>, metadata: Metadata, act: OperatorAct
): Promise<void> {
  const report = (error: unknown) => console.error(`magicstore: EVENT_LOG: ${(error as Error).message}`)
  const write = eventLog === undefined ? () => {} : openEventLog(eventLog, report)
  await new SecurityLog({ metadata, write, onFailure: report }).recordAct(act)
}
