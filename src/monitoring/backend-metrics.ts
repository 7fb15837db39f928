import { Gauge, Histogram, type Registry } from 'prom-client'
import type { BlobStore, RequestObserver } from '../blobs/blob-store.ts'
import type { Metadata } from '../metadata/metadata.ts'

/** Upper bounds, in seconds, from a look-up on the same machine to an answer that is waited for in vain. */
const REQUEST_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** The requests to a database server and to a blob store, and the connections to the database; nothing for what is in this process. */
export function watchBackends (registry: Registry, { metadata, blobs }: { metadata: Metadata, blobs: BlobStore }): void {
  metadata.watchRequests?.(observerOf(registry, 'magicstore_database_request_duration_seconds', 'Duration of a round trip to the database by operation and outcome; connect: the wait for a connection.'))
  blobs.watchRequests?.(observerOf(registry, 'magicstore_storage_request_duration_seconds', 'Time from a request to the file storage to the head of its response, by operation and outcome.'))
  const { connections } = metadata
  if (connections === undefined) return

  const registers = [registry]
  new Gauge({ name: 'magicstore_database_connections_max', help: 'Most connections to the database.', registers }).set(connections().max)
  registry.registerMetric(new Gauge({ name: 'magicstore_database_connections_waiting', help: 'Calls that wait for a connection.', registers: [], collect () { this.set(connections().waiting) } }))
  registry.registerMetric(new Gauge({
    name: 'magicstore_database_connections',
    help: 'Open connections to the database by state.',
    labelNames: ['state'],
    registers: [],
    collect () {
      const { inUse, idle } = connections()
      this.set({ state: 'in_use' }, inUse)
      this.set({ state: 'idle' }, idle)
    }
  }))
}

function observerOf (registry: Registry, name: string, help: string): RequestObserver {
  const durations = new Histogram({ name, help, labelNames: ['operation', 'outcome'], buckets: REQUEST_BUCKETS, registers: [registry] })
  return ({ operation, outcome, seconds }) => durations.observe({ operation, outcome }, seconds)
}
