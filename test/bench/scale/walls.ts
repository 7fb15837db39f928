import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import pLimit from 'p-limit'
import { complete, createBlobId } from '#src/blobs/blob-writer.ts'
import { openS3Blobs } from '#src/blobs/s3/s3.ts'
import { parseStorageUrl } from '#src/config/storage-url.ts'
import { BackgroundFailures } from '#src/files/housekeeping.ts'
import { createBlobCleanup } from '#src/files/blob-cleanup.ts'
import { openPostgresMetadata } from '#src/metadata/postgres/postgres.ts'
import { credentials } from '../../kit/s3.ts'
import { MIB } from '../../kit/sizes.ts'
import { SMALL } from '../cases.ts'
import { inTurn, pathsOf, timeOf } from '../growth.ts'
import { openRequester } from '../load.ts'
import type { Comparison } from '../report.ts'
import { resultOf } from '../servers.ts'
import type { Operations } from './operations.ts'
import type { Scale } from './scale.ts'
import { signUp, startServer, urlOf } from './services.ts'

/**
 * CPU time of Node for adding a file, over that of reading a row by the driver alone: 315 µs where that takes 45. It is
 * seven queries.
 */
const ADD_FILE_LIMIT = 7

/** Round trips and CPU time of the acts on metadata, and how many files one account can add. */
export async function compareOperations ({ services, rounds, operations: count }: Scale): Promise<Comparison[]> {
  const script = fileURLToPath(new URL('operations.ts', import.meta.url))
  const { operations, owners } =
    await resultOf<Operations>(script, [await services.postgres.newDatabase(), String(rounds), String(count)])
  return [
    ...operations.map(({ name, roundTrips, rounds }): Comparison => ({
      work: `CPU of ${name}, ${roundTrips} round trip${roundTrips === 1 ? '' : 's'}`,
      against: 'one row by pg alone',
      ...(name === 'addFile' && { target: { most: ADD_FILE_LIMIT } }),
      unit: 'µs',
      rounds
    })),
    { work: 'files added to one account, 32 at once', against: '32 accounts', unit: '/s', rounds: owners }
  ]
}

/** A listing of many files on PostgreSQL against one of 100. */
export async function compareListings ({ services, rounds, many }: Scale): Promise<Comparison[]> {
  const { postgres } = services
  const database = await postgres.newDatabase()
  const server = await startServer(services, { DATABASE_URL: database })
  const accounts = await signUp(server, 2)
  for (const [index, count] of [many, 100].entries()) {
    // Names and sizes in another order than that of insertion.
    await postgres.run(database, `INSERT INTO files (owner_id, name, size, type, sha256, blob_id, created_at, updated_at)
      SELECT owner.id, 'photo ' || md5(n::text) || '.jpg', n * 2654435761 % 5000000, 'image/jpeg', repeat('0', 64), md5('${index} ' || n), n, n
      FROM generate_series(1, ${count}) n, (SELECT id FROM accounts ORDER BY id OFFSET ${index} LIMIT 1) owner`)
  }
  await postgres.run(database, 'VACUUM ANALYZE files')
  const listings =
    await Promise.all(accounts.map(async headers => ({ headers, paths: await pathsOf(server, headers) })))
  const comparisons: Comparison[] = []
  for (const work of ['first page of 50', 'last page of 50', 'look-up of one file']) {
    const pairs = []
    for (let round = 0; round < rounds; round++) {
      const [ours = NaN, baseline = NaN] = await inTurn(listings, ({ headers, paths }) => timeOf(() => openRequester({ port: server.port, method: 'GET', headers, next: () => ({ path: paths[work] ?? '' }) })))
      pairs.push({ ours, baseline })
    }
    comparisons.push({ work: `${work} out of ${many.toLocaleString('en')} on PostgreSQL`, against: 'out of 100', target: { most: 1.3 }, unit: 'ms', rounds: pairs })
  }
  await server.stop()
  return comparisons
}

/** Objects that no file uses are deleted at least as fast as one process can make them. */
export async function compareSweep ({ services, rounds, swept }: Scale): Promise<Comparison[]> {
  Object.assign(process.env, credentials)
  const { postgres, s3 } = services
  const database = await postgres.newDatabase()
  const metadata = await openPostgresMetadata({ url: database })
  const blobs = await openS3Blobs({ url: parseStorageUrl(urlOf(s3.port, 'sweep')), graceSeconds: 0, idleMilliseconds: 10_000, partMemoryBytes: 64 * MIB })
  const reserve = { missingBytes: 0, restore: async () => {} }
  const cleanup = createBlobCleanup({ metadata, blobs, reserve, failures: new BackgroundFailures() })
  const atOnce = pLimit(16)
  const perSecond = async (act: () => Promise<unknown>) => {
    const began = performance.now()
    await act()
    return swept / ((performance.now() - began) / 1000)
  }
  const pairs = []
  for (let round = 0; round < rounds; round++) {
    const ids = Array.from({ length: swept }, createBlobId)
    const put = (id: string) => complete(blobs.put(id, Readable.from([SMALL]), { maxBytes: SMALL.length }))
    const baseline = await perSecond(() => Promise.all(ids.map(id => atOnce(() => put(id)))))
    await postgres.run(database, `INSERT INTO discarded_blobs (blob_id, discarded_at) SELECT unnest('{${ids.join()}}'::text[]), 0`)
    pairs.push({ ours: await perSecond(() => cleanup.sweepNow()), baseline })
  }
  await blobs.close()
  await metadata.close()
  return [{ work: 'objects of 4 KiB swept from S3', against: 'stored by the same process, 16 at once', target: { least: 1 }, unit: '/s', rounds: pairs }]
}
