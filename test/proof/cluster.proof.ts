import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { startPostgres, type PostgresServer } from '../postgres.ts'
import { credentials, startS3, type FakeS3 } from '../s3.ts'
import { runBin, signUp, spawnServer, type Answer, type Client, type ServerProcess, type Settings } from '../server.ts'

// Several server processes on one PostgreSQL and one bucket.

interface Cluster { readonly servers: ServerProcess[], readonly postgres: PostgresServer, readonly database: string, readonly s3: FakeS3, start (): Promise<ServerProcess> }

async function startCluster (t: Test, size: number, settings: Settings = {}): Promise<Cluster> {
  const postgres = await startPostgres(t)
  const s3 = await startS3(t.testdir())
  t.teardown(() => s3.stop())
  const database = await postgres.newDatabase()
  const start = () => spawnServer(t, { DATABASE_URL: database, STORAGE_URL: s3.url(), BLOB_GRACE_SECONDS: '0', ...credentials, ...settings })
  return { servers: await Promise.all(Array.from({ length: size }, start)), postgres, database, s3, start }
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

function count (answers: Answer[]): Record<number, number> {
  return answers.reduce<Record<number, number>>((sums, { status }) => ({ ...sums, [status]: (sums[status] ?? 0) + 1 }), {})
}

test('races across four processes end as they do in one', async t => {
  const { servers, s3, postgres, database } = await startCluster(t, 4, { QUOTA_BYTES: '100', SIGN_IN_FAILURES: '5', REGISTRATIONS_PER_HOUR: '12' })
  const [first] = servers as [ServerProcess]
  const onEach = (times: number, act: (server: Client, index: number) => Promise<Answer>) => Promise.all(Array.from({ length: times }, (_, index) => act(servers[index % 4] as Client, index)))
  const registration = { username: 'ada', password: 'correct horse battery' }
  t.strictSame(count(await onEach(8, server => server.send('POST', '/api/users', { json: registration }))), { 201: 1, 400: 7 }, 'one name')
  const user: [string, string] = [registration.username, registration.password]
  const token = (await first.send('GET', '/api/token', { user })).json.token as string

  t.strictSame(count(await onEach(20, (server, index) => server.send('PUT', '/uploads/one', { token, body: `${index}`.padStart(5), headers: { 'if-none-match': '*' } }))), { 201: 1, 412: 19 })
  const { headers: { etag } } = await first.send('GET', '/uploads/one', { token })
  t.strictSame(count(await onEach(20, (server, index) => server.send('PUT', '/uploads/one', { token, body: `new ${index}`, headers: { 'if-match': String(etag) } }))), { 200: 1, 412: 19 })
  t.strictSame(count(await onEach(20, (server, index) => server.send('PUT', `/uploads/quota-${index}`, { token, body: 'x'.repeat(10) }))), { 201: 9, 413: 11 }, 'as many as fit')

  // A revocation is seen by the very next request to any process.
  for (const server of servers) t.equal((await server.send('GET', '/api/resource', { token })).status, 200)
  t.equal((await first.send('DELETE', '/api/token', { token })).status, 204)
  for (const server of servers) t.equal((await server.send('GET', '/api/resource', { token })).status, 401)

  const guesses = await onEach(20, server => server.send('GET', '/api/token', { user: ['ada', 'wrong'] }))
  t.strictSame(count(guesses), { 401: 5, 429: 15 }, 'guesses are counted together')
  const more = await onEach(20, (server, index) => server.send('POST', '/api/users', { json: { ...registration, username: `user-${index}` } }))
  t.strictSame(count(more), { 201: 11, 429: 9 }, 'and registrations')
  t.strictSame(await leftovers(postgres, database, s3), { leases: 0, unreferenced: [], missing: [] })
})

test('a cursor of one process is taken by the other while the keys are rotated', async t => {
  const { servers, database } = await startCluster(t, 2)
  const [one, other] = servers as [ServerProcess, ServerProcess]
  const { token } = await signUp(one, 'ada')
  for (const name of ['a', 'b', 'c']) await one.send('PUT', `/uploads/${name}`, { token, body: name })
  const over = new AbortController()
  const rotations = (async () => {
    // A token is verified with the two keys before the one that signs.
    for (let count = 0; count < 2; count++) t.equal((await runBin(['keys', 'rotate'], { DATABASE_URL: database })).code, 0)
    await wait(2000)
    over.abort()
  })()
  const statuses = new Set<number>()
  while (!over.signal.aborted) {
    const { next } = (await one.send('GET', '/api/files?limit=1', { token })).json as { next: string }
    statuses.add((await other.send('GET', `/api/files?limit=1&cursor=${next}`, { token })).status)
  }
  await rotations
  t.strictSame(Array.from(statuses), [200])
})

test('of three processes one is killed in the middle of uploads, replacements and deletes: nothing acknowledged is lost, nothing stays', async t => {
  const cluster = await startCluster(t, 3)
  const { servers, s3, postgres, database } = cluster
  const [, , victim] = servers as [ServerProcess, ServerProcess, ServerProcess]
  const { token } = await signUp(victim, 'ada')
  // What the client knows of each file: the digest, undefined if it was deleted; absent while the outcome of a request is unknown.
  const known = new Map<string, string | undefined>()
  let acknowledged = 0
  const over = new AbortController()

  async function worker (id: number): Promise<void> {
    for (let round = 0; !over.signal.aborted; round++) {
      const server = servers[(id + round) % servers.length] as Client
      const name = `${id}-${round % 5}`
      const before = known.get(name)
      known.delete(name)
      try {
        if (before !== undefined && round % 7 === 3) {
          const { status } = await server.send('DELETE', `/uploads/${name}`, { token })
          t.equal(status, 204)
          known.set(name, undefined)
        } else {
          const body = randomBytes(id % 4 === 0 ? 6_000_000 : 50_000)
          const { status } = await server.send('PUT', `/uploads/${name}`, { token, body })
          t.ok(status === 200 || status === 201, `${status}`)
          known.set(name, sha256(body))
        }
        acknowledged++
      } catch {
        // The process was killed: what it did is unknown, and the worker goes on with another one.
      }
    }
  }

  const work = Promise.all(Array.from({ length: 12 }, (_, id) => worker(id)))
  await wait(2000)
  await victim.end('SIGKILL')
  servers.pop()
  await wait(1500)
  over.abort()
  await work

  let lost = 0
  for (const [name, digest] of known) {
    const answer = await (servers[0] as Client).send('GET', `/uploads/${name}`, { token })
    if (digest === undefined ? answer.status !== 404 : answer.status !== 200 || sha256(answer.bytes) !== digest) lost++
  }
  t.equal(lost, 0, `${acknowledged} acknowledged, ${lost} lost`)
  t.ok(acknowledged > 30, `${acknowledged} acts`)

  // The leases of the killed process end at once, instead of in five minutes.
  await postgres.run(database, 'UPDATE blob_leases SET expires_at = 0')
  const another = await cluster.start()
  for (let tries = 0; tries < 100 && !isClean(await leftovers(postgres, database, s3)); tries++) {
    await another.send('PUT', '/uploads/sweep', { token, body: `${tries}` })
    await wait(200)
  }
  t.match(await leftovers(postgres, database, s3), { unreferenced: [], missing: [] })
  t.strictSame(s3.uploads(), [], 'no upload in parts is left')
  const usage = await postgres.run(database, 'SELECT a.used_bytes - coalesce(sum(f.size), 0) AS difference FROM accounts a LEFT JOIN files f ON f.owner_id = a.id GROUP BY a.id')
  t.strictSame(usage.map(row => Number(row.difference)), [0])
})

interface Leftovers { readonly leases: number, readonly unreferenced: string[], readonly missing: string[] }

function isClean ({ unreferenced }: Leftovers): boolean {
  return unreferenced.length === 0
}

/** Leases that did not end, objects without a file, and files without an object. Discarded blobs are about to be deleted. */
async function leftovers (postgres: PostgresServer, database: string, s3: FakeS3): Promise<Leftovers> {
  const ids = async (sql: string) => (await postgres.run(database, sql)).map(row => String(row.blob_id))
  const files = new Set(await ids('SELECT blob_id FROM files'))
  const discarded = new Set(await ids('SELECT blob_id FROM discarded_blobs'))
  const objects = new Set(s3.objects().map(key => key.slice(-32)))
  return {
    leases: (await ids('SELECT blob_id FROM blob_leases WHERE abandoned_at IS NULL')).length,
    unreferenced: Array.from(objects).filter(id => !files.has(id) && !discarded.has(id)),
    missing: Array.from(files).filter(id => !objects.has(id))
  }
}
