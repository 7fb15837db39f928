import { join } from 'node:path'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { signIn, type Bench } from './cases.ts'
import { openRequester, type Requester } from './load.ts'
import { median, type Comparison } from './report.ts'
import { startMagicStore, startOf, type Running } from './servers.ts'

/** Longest time from start to first response, in milliseconds. */
const START_LIMIT_MILLISECONDS = 600

/** Requests per median. */
const REPEATS = 300

interface Grown { readonly server: Running, readonly dataDir: string, readonly user: string }

/** A server whose only user has `count` files. */
export async function grow (folder: string, name: string, count: number): Promise<Grown> {
  const dataDir = join(folder, name)
  const user = 'anna:correct horse battery'
  const server = await startMagicStore(dataDir)
  const [username, password] = user.split(':')
  await fetch(`http://127.0.0.1:${server.port}/api/users`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username, password }) })
  await server.stop()
  addMetadata(join(dataDir, 'magicstore.db'), count)
  return { server: await startMagicStore(dataDir), dataDir, user }
}

/** Inserts metadata without blobs into the database; listings and look-ups read nothing else. */
function addMetadata (file: string, count: number): void {
  const database = new Database(file)
  const insert = database.prepare(`INSERT INTO files (owner_id, name, size, type, sha256, blob_id, created_at, updated_at)
    VALUES (1, ?, ?, 'image/jpeg', '${'0'.repeat(64)}', ?, ?, ?)`)
  database.transaction(() => {
    for (let index = 0; index < count; index++) {
      // Names and sizes in another order than that of insertion.
      const scattered = (index * 2654435761) % 2 ** 32
      insert.run(`photo ${scattered.toString(16).padStart(8, '0')} ${index}.jpg`, scattered % 5_000_000, index.toString(16).padStart(32, '0'), index, index)
    }
    database.prepare('UPDATE accounts SET used_files = ?, used_bytes = (SELECT sum(size) FROM files) WHERE id = 1').run(count)
  })()
  database.close()
}

/** Median latency of a request, in milliseconds. */
export async function timeOf (open: () => Promise<Requester>): Promise<number> {
  const requester = await open()
  const times: number[] = []
  for (let index = 0; index < REPEATS; index++) {
    const began = performance.now()
    await requester.send()
    times.push(performance.now() - began)
  }
  requester.close()
  return median(times)
}

/** The paths to request, including the last page of 50. */
export async function pathsOf ({ port }: Pick<Running, 'port'>, headers: Record<string, string>): Promise<Record<string, string>> {
  const page = async (query: string) => (await fetch(`http://127.0.0.1:${port}/api/files?${query}`, { headers })).json()
  let cursor: string | null = null
  let last: { name: string } | undefined
  for (const limit of [1000, 50]) {
    for (;;) {
      const { files, next } = await page(`limit=${limit}${cursor === null ? '' : `&cursor=${cursor}`}`) as { files: { name: string }[], next: string | null }
      last = files.at(-1)
      if (next === null) break
      cursor = next
    }
  }
  const [first, end] = ['/api/files?limit=50', `/api/files?limit=50${cursor === null ? '' : `&cursor=${cursor}`}`]
  return { 'first page of 50': first, 'last page of 50': end, 'look-up of one file': `/api/files/${encodeURIComponent(last?.name ?? '')}` }
}

/** Compares a store of `many` files with one of 100: the same requests, and the start. */
export async function compareGrowth ({ rounds, folder, many }: Pick<Bench, 'rounds' | 'folder'> & { many: number }): Promise<Comparison[]> {
  const grown = [await grow(folder, 'many', many), await grow(folder, 'few', 100)] as const
  const prepared = await Promise.all(grown.map(async ({ server, user }) => {
    const headers = await signIn({ ours: server, user })
    return { port: server.port, headers, addresses: await pathsOf(server, headers) }
  }))
  const comparisons: Comparison[] = []
  for (const work of ['first page of 50', 'last page of 50', 'look-up of one file']) {
    const pairs = []
    for (let round = 0; round < rounds; round++) {
      const [ours = NaN, baseline = NaN] = await inTurn(prepared, ({ port, headers, addresses }) => timeOf(() => openRequester({ port, method: 'GET', headers, next: () => ({ path: addresses[work] ?? '' }) })))
      pairs.push({ ours, baseline })
    }
    comparisons.push({ work: `${work} out of ${many.toLocaleString('en')}`, against: 'out of 100', target: { most: 1.3 }, unit: 'ms', rounds: pairs })
  }
  for (const { server } of grown) await server.stop()
  const starts = []
  for (let round = 0; round < rounds; round++) {
    const [ours = NaN, baseline = NaN] = await inTurn([grown[0].dataDir, join(folder, 'few')], dataDir => startOf(dataDir))
    starts.push({ ours, baseline })
  }
  return [
    ...comparisons,
    { work: `start to first answer with ${many.toLocaleString('en')} files`, against: 'with 100', target: { most: 1.2 }, unit: 'ms', rounds: starts },
    { work: 'the same', against: 'the limit', target: { most: 1 }, unit: 'ms', rounds: starts.map(({ ours }) => ({ ours, baseline: START_LIMIT_MILLISECONDS })) }
  ]
}

export async function inTurn<T> (things: readonly T[], measure: (thing: T) => Promise<number>): Promise<number[]> {
  const values: number[] = []
  for (const thing of things) values.push(await measure(thing))
  return values
}
