import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { DiskSpace } from '../blobs/blob-store.ts'
import { readVersion } from '../config.ts'
import type { Totals } from '../metadata/accounts.ts'
import type { DatabaseServer, Metadata } from '../metadata/metadata.ts'
import type { AppServices } from '../services.ts'
import { lastBackupAt, lastBackupResult } from './backup-state.ts'
import { createMetricsServer } from './metrics-server.ts'
import type { Outages } from './outages.ts'
import { createRequestMetrics } from './request-metrics.ts'
import type { RequestObserver } from './request-observer.ts'

/** Totals are cached: they block the event loop for milliseconds per ten thousand accounts. */
const TOTALS_MILLISECONDS = 60_000

/** Upper bounds of the operations in one commit, up to its maximum. */
const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256]

/** Upper bounds, in seconds, of the duration of a commit. */
const COMMIT_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

/** Upper bounds, in seconds, from a look-up on the same machine to an answer that is waited for in vain. */
const REQUEST_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

export type Metrics = ReturnType<typeof createMetrics>

/** All metrics of a server. The number of names and labels does not depend on what clients send. */
export function createMetrics ({ config, metadata, blobs, passwords }: AppServices) {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })

  const gauge = gaugesOf(registry)
  const { quotaBytes, quotaFiles } = config

  gauge('magicstore_info', 'Always 1; the version is a label.', () => ({ [readVersion()]: 1 }), 'version')

  gauge('magicstore_hashing_running', 'Passwords being hashed.', () => passwords.queue().running)
  gauge('magicstore_hashing_waiting', 'Passwords waiting to be hashed.', () => passwords.queue().waiting)

  const operations = new Histogram({
    name: 'magicstore_commit_acts', help: 'Operations per database commit.', buckets: BATCH_BUCKETS, registers
  })
  const seconds = new Histogram({
    name: 'magicstore_commit_duration_seconds',
    help: 'Duration of a commit until it is on stable storage.',
    buckets: COMMIT_BUCKETS,
    registers
  })
  metadata.watchCommits(commit => {
    operations.observe(commit.writes)
    seconds.observe(commit.seconds)
  })

  const totals = cached(TOTALS_MILLISECONDS, () => metadata.accounts.totals({ bytes: quotaBytes, files: quotaFiles }))
  const stored = (name: string, help: string, key: keyof Totals) =>
    gauge(name, `${help} Updated at most once a minute.`, async () => (await totals())[key])
  stored('magicstore_accounts', 'Registered accounts.', 'accounts')
  stored('magicstore_files', 'Stored files.', 'files')
  stored('magicstore_folders', 'Folders.', 'folders')
  stored('magicstore_stored_bytes', 'Bytes of the stored files.', 'bytes')
  stored('magicstore_kept_bytes', 'Bytes of versions and trash.', 'keptBytes')
  stored('magicstore_accounts_near_quota', 'Accounts that have used 90 % of a quota.', 'accountsNearQuota')
  if (quotaBytes !== undefined) {
    gauge('magicstore_quota_bytes', 'Default quota of an account, in bytes.', () => quotaBytes)
  }
  if (quotaFiles !== undefined) {
    gauge('magicstore_quota_files', 'Default quota of an account, in files.', () => quotaFiles)
  }

  const { space } = blobs
  if (space !== undefined) {
    const disk = (name: string, key: keyof DiskSpace, help: string) =>
      gauge(`magicstore_disk_${name}_bytes`, help, async () => (await space.measure())[key])
    disk('free', 'free', 'Free bytes on the disk of the data folder.')
    disk('total', 'total', 'Size of the disk of the data folder.')
    disk('kept', 'reserved', 'Free bytes that uploads may not use.')
  }

  // Cached like the totals: they are also read while no connection to the database is free.
  const backup = (name: string, help: string, read: (metadata: Metadata) => Promise<number | undefined>) =>
    gauge(
      `magicstore_backup_last_${name}`, `${help}; no value if there is none. Updated at most once a minute.`,
      cached(TOTALS_MILLISECONDS, () => read(metadata))
    )
  backup('success_timestamp_seconds', 'When the latest backup was made', lastBackupAt)
  backup('result', '1 if the latest backup was made, 0 if it failed', lastBackupResult)

  if (metadata.server !== undefined) watchDatabase(metadata.server, registry)
  blobs.watchRequests?.(observerOf(
    registry, 'magicstore_storage_request_duration_seconds',
    'Time from a request to the file storage to the head of its response, by operation and outcome.'
  ))

  return {
    watchRequests: createRequestMetrics(registry),
    /** Adds which resources fail. */
    watchOutages: (outages: Outages) => gauge(
      'magicstore_outage', '1 from the first failure of a resource until a minute after the last one, else 0.',
      () => outages.states(), 'resource'
    ),
    /** Creates the server for Prometheus. */
    serve: (log: FastifyBaseLogger) => createMetricsServer(registry, log)
  }
}

/** Prometheus waits 10 s, and a call to a database that does not answer takes longer. */
const READ_MILLISECONDS = 3000

/** The value of a gauge, or one for each value of its label; undefined if it has none. */
type Values = number | undefined | Readonly<Record<string, number>>

/**
 * Returns a function that adds a gauge, which is read when the metrics are. Its value is NaN if that fails or takes
 * long, so that the other metrics are still served.
 */
function gaugesOf (registry: Registry) {
  return (name: string, help: string, read: () => Values | Promise<Values>, label = ''): void => {
    registry.registerMetric(new Gauge({
      name,
      help,
      labelNames: label === '' ? [] : [label],
      registers: [],
      async collect () {
        const late = wait(READ_MILLISECONDS, NaN, { ref: false })
        const values = await Promise.race([late, Promise.resolve().then(read).catch(() => NaN)])
        if (values === undefined) this.remove()
        else if (typeof values === 'number') this.set(values)
        else for (const [key, value] of Object.entries(values)) this.set({ [label]: key }, value)
      }
    }))
  }
}

function watchDatabase (server: DatabaseServer, registry: Registry): void {
  server.watchRequests(observerOf(
    registry, 'magicstore_database_request_duration_seconds',
    'Duration of a round trip to the database by operation and outcome; connect: the wait for a connection.'
  ))
  const gauge = gaugesOf(registry)
  const count = () => server.countConnections()
  gauge('magicstore_database_connections_max', 'Most connections to the database.', () => count().max)
  gauge('magicstore_database_connections_waiting', 'Calls that wait for a connection.', () => count().waiting)
  gauge(
    'magicstore_database_connections', 'Open connections to the database by state.',
    () => ({ in_use: count().inUse, idle: count().idle }), 'state'
  )
}

function observerOf (registry: Registry, name: string, help: string): RequestObserver {
  const labelNames = ['operation', 'outcome'] as const
  const durations = new Histogram({ name, help, labelNames, buckets: REQUEST_BUCKETS, registers: [registry] })
  return ({ operation, outcome, seconds }) => durations.observe({ operation, outcome }, seconds)
}

/** Caches the result of `read` for some time; a failure is not cached. */
function cached<T> (milliseconds: number, read: () => Promise<T>): () => Promise<T> {
  let latest: Promise<T> | undefined
  let at = 0
  return () => {
    const now = performance.now()
    if (latest === undefined || now - at > milliseconds) {
      at = now
      latest = read()
      latest.catch(() => { latest = undefined })
    }
    return latest
  }
}
