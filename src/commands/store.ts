import { type OperatorAct, createSecurityLog } from '../accounts/events.ts'
import { openMetadataToRecord } from '../backends/backends.ts'
import { readConfig, type Config } from '../config.ts'
import { requireDatabase } from '../data-folder/data-folder.ts'
import { eventAppender } from '../monitoring/event-log.ts'
import { openOperatorStore, type OperatorStore } from '../services.ts'

/** The settings. @throws {ConfigError} if there is no store: a mistyped DATA_DIR must not look like an empty one. */
export async function readStoreConfig (): Promise<Config> {
  const config = readConfig()
  await requireDatabase(config)
  return config
}

/** Runs `use` with the store, which may be in use by servers, and then closes it. */
export async function withStore<T> (config: Config, use: (store: OperatorStore) => Promise<T>): Promise<T> {
  const store = await openOperatorStore(config)
  return use(store).finally(() => store.close())
}

/**
 * Records what a command did to the whole store, after it was closed. A database of an older version gets no record,
 * because that would upgrade it.
 */
export async function recordStoreAct (config: Config, act: OperatorAct): Promise<void> {
  const metadata = await openMetadataToRecord(config)
  if (metadata !== undefined) await recordAct({ config, metadata }, act).finally(() => metadata.close())
}

/** For an act that is done although it could not be recorded. */
export function warnOfLostRecord ({ message }: Error): void {
  console.error(`magicstore: it is done, but could not be recorded as an event: ${message}`)
}

/** Records what the operator did, in the database and in the file of EVENT_LOG. */
export async function recordAct (
  { config: { eventLog }, metadata }: Pick<OperatorStore, 'config' | 'metadata'>, act: OperatorAct
): Promise<void> {
  const onFailure = (error: unknown) => console.error(`magicstore: EVENT_LOG: ${(error as Error).message}`)
  const eventLogs = eventLog === undefined ? [] : [eventAppender(eventLog, onFailure)]
  await createSecurityLog({ metadata, eventLogs, onFailure }).recordAct(act)
}
