import type { EventRepository } from '../metadata/events.ts'

const MADE = 'backup_made'
const FAILED = 'backup_failed'

const HOUR_MILLISECONDS = 3600_000

/** `late`: the latest one is older than it may be. `failed`: the latest try was no success. `none`: there was none. */
export type BackupState = 'ok' | 'late' | 'failed' | 'none'

type Events = Pick<EventRepository, 'findLatest'>

/** What the events of the store say about its backups. `now` is the time of the database. */
export async function findBackupState (
  { events, now }: { events: Events, now: () => Promise<number> }, maxAgeHours: number
): Promise<BackupState> {
  const latest = await events.findLatest([MADE, FAILED])
  if (latest === undefined) return 'none'
  if (latest.kind === FAILED) return 'failed'
  return await now() - latest.at > maxAgeHours * HOUR_MILLISECONDS ? 'late' : 'ok'
}

/** When the latest successful backup was made, in seconds since 1970; undefined if there is none. */
export async function lastBackupAt (events: Events): Promise<number | undefined> {
  const latest = await events.findLatest([MADE])
  return latest && latest.at / 1000
}

/** 1 if the latest backup was a success, 0 if it failed; undefined if there is none. */
export async function lastBackupResult (events: Events): Promise<number | undefined> {
  const latest = await events.findLatest([MADE, FAILED])
  return latest && Number(latest.kind === MADE)
}
