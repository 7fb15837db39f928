import type { FastifyBaseLogger } from 'fastify'
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Passwords } from '../accounts/password.ts'
import type { BlobStore } from '../blobs/blob-store.ts'
import { readVersion } from '../config.ts'
import type { Metadata, Totals } from '../metadata/metadata.ts'
import type { Quota } from '../metadata/records.ts'
import { createMetricsServer, type MetricsServer } from './metrics-server.ts'
import { createRequestMetrics, type RequestMetrics } from './request-metrics.ts'

/** Sums over all accounts take milliseconds of the event loop for each ten thousand of them, and nobody needs them to the second. */
const TOTALS_MILLISECONDS = 60_000

/** Upper bounds of the acts in one commit, up to as many as one takes. */
const ACT_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256]

/** Upper bounds in seconds of the time that a commit takes to stable storage. */
const COMMIT_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

interface MetricsOptions {
  metadata: Metadata
  blobs: BlobStore
  passwords: Passwords
  /** The limits of a person for whom the operator set none. */
  quota: Quota
}

/** What is measured of requests, and the way to all that is measured. */
export interface Metrics {
  readonly requests: RequestMetrics
  /** What answers Prometheus. */
  serve (log: FastifyBaseLogger): MetricsServer
}

/** All that can be measured of a server, under names and labels whose number does not depend on what clients send. */
export function createMetrics ({ metadata, blobs, passwords, quota }: MetricsOptions): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })

  /** A figure that is looked up when it is asked for; NaN where that fails, for the others are wanted all the more then. */
  function gauge (name: string, help: string, read: () => number | Promise<number>): void {
    registry.registerMetric(new Gauge({ name, help, registers: [], async collect () { this.set(await Promise.resolve().then(read).catch(() => NaN)) } }))
  }

  new Gauge({ name: 'magicstore_info', help: 'Always 1; the version is its label.', labelNames: ['version'], registers }).set({ version: readVersion() }, 1)

  gauge('magicstore_hashing_running', 'Passwords that are being hashed.', () => passwords.queue.running)
  gauge('magicstore_hashing_waiting', 'Passwords that wait to be hashed.', () => passwords.queue.waiting)

  const acts = new Histogram({ name: 'magicstore_commit_acts', help: 'Acts that shared one commit of the database.', buckets: ACT_BUCKETS, registers })
  const seconds = new Histogram({ name: 'magicstore_commit_duration_seconds', help: 'Time from the beginning of a commit until it was on stable storage.', buckets: COMMIT_BUCKETS, registers })
  metadata.watchCommits(commit => {
    acts.observe(commit.writes)
    seconds.observe(commit.seconds)
  })

  const totals = remember(TOTALS_MILLISECONDS, () => metadata.totals(quota))
  const stored = (name: string, help: string, key: keyof Totals) => gauge(name, `${help} Summed up once a minute at the most.`, async () => (await totals())[key])
  stored('magicstore_accounts', 'People who are registered.', 'accounts')
  stored('magicstore_files', 'Files that are stored.', 'files')
  stored('magicstore_stored_bytes', 'Bytes of the files that are stored.', 'bytes')
  stored('magicstore_accounts_near_quota', 'People who have used nine tenths of a quota.', 'accountsNearQuota')
  if (quota.bytes !== undefined) gauge('magicstore_quota_bytes', 'Bytes that a person may store for whom the operator set no other quota.', () => Number(quota.bytes))
  if (quota.files !== undefined) gauge('magicstore_quota_files', 'Files that a person may store for whom the operator set no other quota.', () => Number(quota.files))

  gauge('magicstore_disk_free_bytes', 'Free bytes on the disk of the data folder.', async () => (await blobs.space()).free)
  gauge('magicstore_disk_total_bytes', 'Size of that disk.', async () => (await blobs.space()).total)
  gauge('magicstore_disk_kept_bytes', 'Free bytes that uploads leave alone.', async () => (await blobs.space()).kept)

  return { requests: createRequestMetrics(registry), serve: log => createMetricsServer(registry, log) }
}

/** Reads anew where the last reading is older than that, or failed. */
function remember<T> (milliseconds: number, read: () => Promise<T>): () => Promise<T> {
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
