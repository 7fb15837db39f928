import { type OperatorAct, createSecurityLog } from '../accounts/events.ts'
import { openMetadataToRecord } from '../backends/transfer.ts'
import type { Config } from '../config.ts'
import type { Metadata } from '../metadata/metadata.ts'
import { eventAppender } from '../monitoring/event-log.ts'

/**
 * Records what a command did to the whole store, which is open no more. A database of an older version gets no record,
 * because that would upgrade it.
 */
export async function recordStoreAct (config: Config, act: OperatorAct): Promise<void> {
  const metadata = await openMetadataToRecord(config)
  if (metadata !== undefined) await recordAct(config, metadata, act).finally(() => metadata.close())
}

/** For an act that is done although it could not be recorded. */
export function warnOfLostRecord ({ message }: Error): void {
  console.error(`magicstore: it is done, but could not be recorded as an event: ${message}`)
}

/** Records what the operator did, in the database and in the file of EVENT_LOG. */
export async function recordAct (
  { eventLog }: Pick<Config, 'eventLog'>, metadata: Metadata, act: OperatorAct
): Promise<void> {
  const report = (error: unknown) => console.error(`magicstore: EVENT_LOG: ${(error as Error).message}`)
  const eventLogs = eventLog === undefined ? [] : [eventAppender(eventLog, report)]
  await createSecurityLog({ metadata, eventLogs, onFailure: report }).recordAct(act)
}
