/**
 * What the acts on metadata take: node --import ts-blank-space/register test/bench/scale/operations.ts DATABASE_URL
 * ROUNDS COUNT A process of its own, so that nothing else is in its CPU time. Prints JSON, as `Operations`.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import pg from 'pg'
import type { Attempt } from '#src/metadata/attempt-records.ts'
import { openPostgresMetadata, type PostgresMetadata } from '#src/metadata/postgres/postgres.ts'
import { HOUR } from '../../kit/durations.ts'

export interface Operation {
  readonly name: string
  /** Times that the client waits for the server. */
  readonly roundTrips: number
  /** Microseconds of CPU time of one act, and of one row that is read by the driver alone. */
  readonly rounds: { readonly ours: number, readonly baseline: number }[]
}

export interface Operations {
  readonly operations: Operation[]
  /** Files added per second, to one account and to 32. */
  readonly owners: { readonly ours: number, readonly baseline: number }[]
}

const AT_ONCE = 32
const ACCOUNTS = 32

const [url = '', rounds = '', count = ''] = process.argv.slice(2)

/** Random ids, made before what is measured. */
const ids: string[] = []
const fillIds = (count: number) => { while (ids.length < count) ids.push(randomBytes(16).toString('hex')) }
const newId = () => ids.pop() as string
const quota = { bytes: undefined, files: undefined }
const SHA256 = '0'.repeat(64)
const NEVER = Date.now() + HOUR

const metadata = await openPostgresMetadata({ url })
const owners = await Promise.all(Array.from({ length: ACCOUNTS }, (_, index) =>
  metadata.accounts.add({ username: `owner-${index}`, usernameKey: `owner-${index}`, passwordHash: 'hash', createdAt: 1 })))
/** Acts that run at the same time replace other files. */
const pageOf = (index: number) => `page-${8 + (index >> 5) % 50}`
const ownerOf = (index: number) => owners[index % ACCOUNTS]?.id as number
const tokens = await Promise.all(owners.map(({ id }) =>
  metadata.tokens.add({ accountId: id, kind: 'access', parentId: null, name: null, scopes: 'files:read', secretHash: null, factors: 'password', browser: null, system: null, createdAt: 1, expiresAt: NEVER })))
const newFile = (ownerId: number, name: string) => ({ ownerId, name, size: 4096, type: 'text/plain', sha256: SHA256, blobId: newId(), modifiedAt: null, isLeased: false })
fillIds(60 * ACCOUNTS + 1000)
for (const { id } of owners) for (let index = 0; index < 60; index++) await metadata.files.add(newFile(id, `page-${index}`), quota)

let added = 0
let removed = 0
const attempt = (index: number): Attempt => ({ kind: 'sign_in', network: `10.0.${index >> 8 & 255}.${index & 255}`, usernameKey: `guest-${index}`, isKnownNetwork: false, at: Date.now() })

/** Each is called with 0, 1, 2 and so on. */
const acts: Record<string, (metadata: PostgresMetadata, index: number) => Promise<unknown>> = {
  findToken: (on, index) => on.tokens.find(tokens[index % ACCOUNTS]?.id as number),
  findFile: (on, index) => on.files.find(ownerOf(index), 'page-7'),
  'listFiles, 50 of 60': (on, index) => on.files.list(ownerOf(index), { order: 'name', folder: '', prefix: undefined, limit: 50, after: undefined }),
  leaseBlob: on => on.blobs.lease(newId(), 300),
  addFile: on => { const index = added++; return on.files.add(newFile(ownerOf(index), `file-${index}`), quota) },
  'putFile that replaces': (on, index) => on.files.put(newFile(ownerOf(index), pageOf(index)), quota, {}),
  'putFile with If-Match: *': (on, index) => on.files.put(newFile(ownerOf(index), pageOf(index)), quota, { 'if-match': '*' }),
  removeFile: on => { const index = removed++; return on.files.remove(ownerOf(index), `file-${index}`, { precondition: {}, isPermanent: false }) },
  'claimAttempt and finishAttempt': async (on, index) => {
    const { kind, network, usernameKey } = attempt(index)
    const claim = await on.attempts.begin(attempt(index), [
      { matching: { kind, network }, limit: 100, seconds: 900 },
      { matching: { kind, network, usernameKey }, limit: 10, seconds: 900 }
    ])
    if (claim.state === 'granted') await on.attempts.finish(claim.id, 'succeeded')
  }
}

/** Runs an act `times` times, so many at once; resolves with the CPU microseconds of one, and the acts per second. */
async function cost (
  times: number, act: (index: number) => Promise<unknown>
): Promise<{ cpu: number, perSecond: number }> {
  fillIds(2 * times)
  const before = process.cpuUsage()
  const began = performance.now()
  let next = 0
  await Promise.all(Array.from({ length: AT_ONCE }, async () => { while (next < times) await act(next++) }))
  const seconds = (performance.now() - began) / 1000
  const { user, system } = process.cpuUsage(before)
  return { cpu: (user + system) / times, perSecond: times / seconds }
}

/**
 * The round trips of one act, counted on the wire to a process with one connection, after the statements were prepared.
 */
async function countRoundTrips (): Promise<Record<string, number>> {
  let turns = 0
  const { hostname, port } = new URL(url)
  const server = createServer(client => {
    const upstream = connect(Number(port), hostname)
    let isAsking = false
    client.on('data', bytes => { if (!isAsking) turns++; isAsking = true; upstream.write(bytes) }).on('error', () => {}).on('close', () => upstream.destroy())
    upstream.on('data', bytes => { isAsking = false; client.write(bytes) }).on('error', () => {}).on('close', () => client.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const through = new URL(url)
  through.port = String((server.address() as AddressInfo).port)
  const watched = await openPostgresMetadata({ url: through.href, poolSize: 1 })
  const counts: Record<string, number> = {}
  for (const [name, act] of Object.entries(acts)) {
    for (let index = 0; index < 3; index++) await act(watched, index)
    turns = 0
    for (let index = 0; index < 10; index++) await act(watched, index)
    counts[name] = turns / 10
  }
  await watched.close()
  server.close()
  return counts
}

const roundTrips = await countRoundTrips()
const pool = new pg.Pool({ connectionString: url, max: 10 })
const row = { name: 'row', text: 'SELECT * FROM files WHERE owner_id = $1 AND name = $2' }
const alone = (index: number) => pool.query({ ...row, values: [ownerOf(index), 'page-7'] })
const times = Number(count)
const operations: Operation[] = []
for (const [name, act] of Object.entries(acts)) {
  const ours = (index: number) => act(metadata, index)
  // Compiled, and prepared on each connection.
  await cost(times, alone)
  await cost(times, ours)
  const pairs = []
  for (let round = 0; round < Number(rounds); round++) {
    const baseline = (await cost(times, alone)).cpu
    pairs.push({ ours: (await cost(times, ours)).cpu, baseline })
  }
  operations.push({ name, roundTrips: roundTrips[name] ?? NaN, rounds: pairs })
}

const toOne = () => metadata.files.add(newFile(ownerOf(0), newId()), quota)
const toAll = (index: number) => metadata.files.add(newFile(ownerOf(index), newId()), quota)
const pairs = []
for (let round = 0; round < Number(rounds); round++) {
  pairs.push({ ours: (await cost(times, toOne)).perSecond, baseline: (await cost(times, toAll)).perSecond })
}

console.log(JSON.stringify({ operations, owners: pairs } satisfies Operations))
await pool.end()
await metadata.close()
