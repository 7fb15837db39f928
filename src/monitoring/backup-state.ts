import type { Metadata } from '../metadata/metadata.ts'

const MADE = 'backup_made'
const FAILED = 'backup_failed'

const HOUR_MILLISECONDS = 3600_000

/** `late`: the latest one is older than it may be. `failed`: the latest try was no success. `none`: there was none. */
export type BackupState = 'ok' | 'late' | 'failed' | 'none'

/** What the events of the store say about its backups. */
export async function findBackupState (metadata: Metadata, maxAgeHours: number): Promise<BackupState> {
  const latest = await metadata.events.findLatest([MADE, FAILED])
  if (latest === undefined) return 'none'
  if (latest.kind === FAILED) return 'failed'
  return await metadata.now() - latest.at > maxAgeHours * HOUR_MILLISECONDS ? 'late' : 'ok'
}

/** When the latest successful backup was made, in seconds since 1970; undefined if there is none. */
export async function lastBackupAt ({ events }: Metadata): Promise<number | undefined> {
  const latest = await events.findLatest([MADE])
  return latest && latest.at / 1000
}

/** 1 if the latest backup was a success, 0 if it failed; undefined if there is none. */
export async function lastBackupResult ({ events }: Metadata): Promise<number | undefined> {
  const latest = await events.findLatest([MADE, FAILED])
  return latest && Number(latest.kind === MADE)
}
