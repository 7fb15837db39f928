import { type Column, gte, isNull, or, sql, type SQL } from 'drizzle-orm'
import type { Metadata } from '../metadata.ts'
import { NO_LIMIT } from '../records.ts'
import type { Connections } from './connections.ts'
import { accounts, installation } from './schema.ts'

type MonitoringRepository = Pick<Metadata, 'totals' | 'probe' | 'watchCommits'> & Required<Pick<Metadata, 'watchRequests' | 'connections'>>

/** `patient` is for what reads whole tables; its connection counts as well. */
export function createMonitoringRepository ({ read, executeIdempotent, watch, watchRequests, count }: Connections, patient: Connections): MonitoringRepository {
  return {
    totals: quota => read(async db => {
      // An account is near a quota from nine tenths of it.
      const near = (used: Column, own: Column, usual = NO_LIMIT): SQL => gte(used, sql`0.9 * coalesce(${own}, ${usual}::bigint)`)
      const isNear = or(near(accounts.usedBytes, accounts.quotaBytes, quota.bytes), near(accounts.usedFiles, accounts.quotaFiles, quota.files))
      const [row] = await db.select({
        accounts: sql`count(*)`.mapWith(Number),
        files: sql`coalesce(sum(${accounts.usedFiles}), 0)`.mapWith(Number),
        bytes: sql`coalesce(sum(${accounts.usedBytes}), 0)`.mapWith(Number),
        keptBytes: sql`coalesce(sum(${accounts.keptBytes}), 0)`.mapWith(Number),
        accountsNearQuota: sql`count(*) FILTER (WHERE ${isNear})`.mapWith(Number)
      }).from(accounts).where(isNull(accounts.removedAt))
      return row as NonNullable<typeof row>
    }),

    // A row with the same values is a new version of it, and so a commit.
    probe: () => executeIdempotent(async db => { await db.update(installation).set({ id: sql`${installation.id}` }) }),

    watchCommits: watch,

    watchRequests (observer) {
      watchRequests(observer)
      patient.watchRequests(observer)
    },

    connections () {
      const [own, other] = [count(), patient.count()]
      return { inUse: own.inUse + other.inUse, idle: own.idle + other.idle, waiting: own.waiting + other.waiting, max: own.max + other.max }
    }
  }
}
