import { type Column, gte, isNull, or, sql, type SQL } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import type { Metadata } from '../metadata.ts'
import { NO_LIMIT } from '../records.ts'
import type { Committer } from './committer.ts'
import type { Database } from './driver.ts'
import { accounts, installation } from './schema.ts'

type MonitoringRepository = Pick<Metadata, 'totals' | 'probe' | 'watchCommits'>

/** Share of a quota from which an account is near it. */
const NEAR = 0.9

export function createMonitoringRepository (db: BetterSQLite3Database, client: Database, { commit, read, watch }: Committer): MonitoringRepository {
  return {
    totals: quota => read(() => {
      const near = (used: Column, own: Column, usual = NO_LIMIT): SQL => gte(used, sql`${NEAR} * coalesce(${own}, ${usual})`)
      const isNear = or(near(accounts.usedBytes, accounts.quotaBytes, quota.bytes), near(accounts.usedFiles, accounts.quotaFiles, quota.files))
      const [row] = db.select({
        accounts: sql<number>`count(*)`,
        files: sql<number>`coalesce(sum(${accounts.usedFiles}), 0)`,
        bytes: sql<number>`coalesce(sum(${accounts.usedBytes}), 0)`,
        keptBytes: sql<number>`coalesce(sum(${accounts.keptBytes}), 0)`,
        accountsNearQuota: sql<number>`count(*) FILTER (WHERE ${isNear})`
      }).from(accounts).where(isNull(accounts.removedAt)).all()
      return row as NonNullable<typeof row>
    }),

    probe: () => commit(() => {
      db.select().from(installation).all()
      // Writing a row with the same values writes nothing to the disk. This number in the file's header has no other use.
      client.pragma(`user_version = ${1 - Number(client.pragma('user_version', { simple: true }))}`)
    }),

    watchCommits: watch
  }
}
