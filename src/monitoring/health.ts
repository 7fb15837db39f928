import { setTimeout as wait } from 'node:timers/promises'
import { Problem, type Resource } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { findBackupState, type BackupState } from './backup-state.ts'
import type { Outages } from './outages.ts'

/** A result is reused for this long, so that frequent requests cost no more than one per second. */
const REUSE_MILLISECONDS = 1000

/** A check that takes longer fails. */
const TIMEOUT_MILLISECONDS = 5000

/** `full`: reads and deletes work, writes do not. */
export type Condition = 'ok' | 'full' | 'failing'

export interface Readiness {
  readonly database: Condition
  /** `ok` if the files are in a bucket. */
  readonly disk: Condition
  readonly bucket?: Condition
}

/** Readiness checks. */
export function createHealth ({ config, metadata, blobs }: AppServices, outages: Outages) {
  const hasBucket = config.storageUrl !== undefined
  const { backupHours } = config

  function createCheck (resource: Resource, probe: () => Promise<void>): () => Promise<Condition> {
    let latest: Promise<Condition> | undefined
    let probing: Promise<void> | undefined

    async function run (): Promise<Condition> {
      // Never started twice: each probe that waits for a disk occupies one of the few threads that serve files.
      probing ??= probe().finally(() => { probing = undefined })
      try {
        await Promise.race([probing, timeOut()])
        return 'ok'
      } catch (error) {
        outages.report(new Problem('not_ready', { resource, cause: error }))
        return error instanceof Problem && error.code === 'storage_full' ? 'full' : 'failing'
      }
    }

    return () => {
      latest ??= run().finally(() => { setTimeout(() => { latest = undefined }, REUSE_MILLISECONDS).unref() })
      return latest
    }
  }

  const checkDatabase = createCheck('database', () => metadata.probe())
  const checkBlobs = createCheck(hasBucket ? 'bucket' : 'disk', () => blobs.probe())
  return {
    /** Checks the database and the place of the files with a real write, at most once a second. */
    async check (): Promise<Readiness> {
      const [database, stored] = await Promise.all([checkDatabase(), checkBlobs()])
      return hasBucket ? { database, disk: 'ok', bucket: stored } : { database, disk: stored }
    },

    /** The state of the backups; undefined if BACKUP_HOURS is not set. Reads the database. */
    async findBackup (): Promise<BackupState | undefined> {
      return backupHours === undefined ? undefined : findBackupState(metadata, backupHours)
    }
  }
}

async function timeOut (): Promise<never> {
  await wait(TIMEOUT_MILLISECONDS, undefined, { ref: false })
  throw new Error(`no answer in ${TIMEOUT_MILLISECONDS} ms`)
}
