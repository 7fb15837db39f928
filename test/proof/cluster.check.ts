import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import t, { test, type Test } from 'tap'
import type { Start } from '../kit/bin.ts'
import { runCommand } from '../kit/commands.ts'
import { sha256Of } from '../kit/digests.ts'
import { createLink } from '../kit/links.ts'
import { startPostgres } from '../kit/postgres.ts'
import { credentials, openS3, type FakeS3 } from '../kit/s3.ts'
import { issueToken, signUp, spawnServer, type Answer, type Client, type ServerProcess, type Settings } from '../kit/server.ts'
import { isProof } from '../kit/sizes.ts'
import { append, beginUpload, offsetOf, stall } from '../kit/tus.ts'
import { until } from '../kit/waiting.ts'

// Several server processes on one PostgreSQL and one bucket.

const postgres = await startPostgres(t)

interface Cluster {
  readonly servers: ServerProcess[]
  readonly database: string
  readonly s3: FakeS3
  start (): Promise<ServerProcess>
}

async function startCluster (t: Test, size: number, settings: Settings = {}, how: Start = {}): Promise<Cluster> {
  const s3 = await openS3(t)
  const database = await postgres.newMigratedDatabase()
  const start = () => spawnServer(t, { DATABASE_URL: database, STORAGE_URL: s3.url(), BLOB_GRACE_SECONDS: '0', ...credentials, ...settings }, how)
  return { servers: await Promise.all(Array.from({ length: size }, start)), database, s3, start }
}

let two: Promise<Cluster> | undefined

/** Two processes, which tests share; each has an account of its own. */
function clusterOfTwo (): Promise<Cluster> {
  two ??= startCluster(t, 2, {}, { isCounted: true })
  return two
}

function count (answers: Answer[]): Record<number, number> {
  return answers.reduce<Record<number, number>>(
    (sums, { status }) => ({ ...sums, [status]: (sums[status] ?? 0) + 1 }), {}
  )
}

const NOTHING_LEFT: Leftovers = { leases: 0, unreferenced: [], missing: [] }

const RACING = isProof ? 4 : 2

test(`races across ${RACING} processes end as they do in one`, async t => {
  const { servers, s3, database } = await startCluster(t, RACING, { QUOTA_BYTES: '100', SIGN_IN_FAILURES: '5', REGISTRATIONS_PER_HOUR: '12', LINKS: 'on' })
  const [first] = servers as [ServerProcess]
  const onEach = (times: number, operation: (server: Client, index: number) => Promise<Answer>) =>
    Promise.all(Array.from({ length: times }, (_, index) => operation(servers[index % RACING] as Client, index)))
  const registration = { username: 'ada', password: 'correct horse battery' }
  t.strictSame(count(await onEach(8, server => server.send('POST', '/api/users', { json: registration }))), { 201: 1, 400: 7 }, 'one name')
  const user: [string, string] = [registration.username, registration.password]
  const token = await issueToken(first, { user })

  t.strictSame(count(await onEach(20, (server, index) => server.send('PUT', '/uploads/one', { token, body: `${index}`.padStart(5), headers: { 'if-none-match': '*' } }))), { 201: 1, 412: 19 })
  const { headers: { etag } } = await first.send('GET', '/uploads/one', { token })
  t.strictSame(count(await onEach(20, (server, index) => server.send('PUT', '/uploads/one', { token, body: `new ${index}`, headers: { 'if-match': String(etag) } }))), { 200: 1, 412: 19 })
  t.strictSame(count(await onEach(20, (server, index) => server.send('PUT', `/uploads/quota-${index}`, { token, body: 'x'.repeat(10) }))), { 201: 9, 413: 11 }, 'as many as fit')

  const { token: theirs } = await signUp(first, 'ben')
  await first.send('PUT', '/api/folders/inbox', { token: theirs })
  const link = await createLink(first, { token: theirs }, { name: 'inbox', kind: 'upload', maxFiles: 5 })
  const draft = { 'upload-complete': '?1', 'content-disposition': 'inline; filename=a' }
  t.strictSame(count(await onEach(20, (server, index) => index % 8 < 4
    ? server.send('PUT', `${link.path}/files/a`, { body: 'x' })
    : server.send('POST', `${link.path}/uploads`, { headers: draft, body: 'x' }))), { 201: 5, 413: 15 }, 'as many as a link takes')

  // A revocation is seen by the very next request to any process.
  for (const server of servers) t.equal((await server.send('GET', '/api/resource', { token })).status, 200)
  t.equal((await first.send('DELETE', '/api/token', { token })).status, 204)
  for (const server of servers) t.equal((await server.send('GET', '/api/resource', { token })).status, 401)

  const guesses = await onEach(20, server => server.send('GET', '/api/token', { user: ['ada', 'wrong'] }))
  t.strictSame(count(guesses), { 401: 5, 429: 15 }, 'guesses are counted together')
  const more = await onEach(20, (server, index) => server.send('POST', '/api/users', { json: { ...registration, username: `user-${index}` } }))
  t.strictSame(count(more), { 201: 10, 429: 10 }, 'and registrations')
  t.strictSame(await leftovers({ database, s3 }), NOTHING_LEFT)
})

test('a cursor of one process is taken by the other while the keys are rotated', async t => {
  const { servers, database } = await clusterOfTwo()
  const [one, other] = servers as [ServerProcess, ServerProcess]
  const { token } = await signUp(one)
  for (const name of ['a', 'b', 'c']) await one.send('PUT', `/uploads/${name}`, { token, body: name })
  const over = new AbortController()
  let pages = 0
  const rotations = (async () => {
    // A token is verified with the two keys before the one that signs.
    for (let count = 0; count < 2; count++) t.equal((await runCommand(['keys', 'rotate'], { DATABASE_URL: database })).code, 0)
    const before = pages
    await until(() => pages >= before + 20)
    over.abort()
  })()
  const statuses = new Set<number>()
  for (; !over.signal.aborted; pages++) {
    const { next } = (await one.send('GET', '/api/files?limit=1', { token })).json as { next: string }
    statuses.add((await other.send('GET', `/api/files?limit=1&cursor=${next}`, { token })).status)
  }
  await rotations
  t.strictSame(Array.from(statuses), [200])
})

test('of three processes one is killed in the middle of uploads, replacements and deletes: nothing acknowledged is lost, nothing stays', async t => {
  const cluster = await startCluster(t, 3, { KEEP_VERSIONS: '1000' })
  const { servers, s3, database } = cluster
  const [, , victim] = servers as [ServerProcess, ServerProcess, ServerProcess]
  const { token } = await signUp(victim, 'ada')
  // What the client knows of each file: the digest, undefined if it was deleted; absent while the outcome of a request
  // is unknown.
  const known = new Map<string, string | undefined>()
  /** Digests that were replaced or deleted: of these contents, too, none may be lost. */
  const former: string[] = []
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
          known.set(name, sha256Of(body))
        }
        if (before !== undefined) former.push(before)
        acknowledged++
      } catch {
        // The process was killed: what it did is unknown, and the worker goes on with another one.
      }
    }
  }

  const work = Promise.all(Array.from({ length: isProof ? 12 : 8 }, (_, id) => worker(id)))
  await until(() => acknowledged > (isProof ? 30 : 20))
  await victim.end('SIGKILL')
  servers.pop()
  const before = acknowledged
  await until(() => acknowledged > before + (isProof ? 20 : 12))
  over.abort()
  await work

  let lost = 0
  for (const [name, digest] of known) {
    const answer = await (servers[0] as Client).send('GET', `/uploads/${name}`, { token })
    if (digest === undefined ? answer.status !== 404 : answer.status !== 200 || sha256Of(answer.bytes) !== digest) {
      lost++
    }
  }
  t.equal(lost, 0, `${acknowledged} acknowledged, ${lost} lost`)
  const kept = new Set((await postgres.run(database, 'SELECT sha256 FROM kept')).map(({ sha256 }) => sha256))
  t.strictSame(former.filter(digest => !kept.has(digest)), [], `${former.length} versions and deleted files`)

  await untilClean(cluster, token)
  t.strictSame(await leftovers(cluster), NOTHING_LEFT)
  t.strictSame(s3.uploads(), [], 'no upload in parts is left')
  const settings = { DATABASE_URL: database, STORAGE_URL: s3.url(), ...credentials }
  t.match(await runCommand(['fsck', '--deep'], settings), { code: 0, stdout: 'all is well\n' })
  const [deleted] = await postgres.run(database, 'SELECT count(*) FROM kept WHERE name IS NOT NULL')
  t.match(await runCommand(['trash', 'empty', '--all', '--yes'], settings), { code: 0, stdout: new RegExp(`^deleted ${deleted?.count} files of ${Math.min(1, Number(deleted?.count))} accounts`) })
  t.match((await (servers[0] as Client).send('GET', '/api/trash', { token })).json, { files: { length: 0 } })
  t.match(await runCommand(['fsck'], settings), { code: 0, stdout: 'all is well\n' })
})

interface Leftovers { readonly leases: number, readonly unreferenced: string[], readonly missing: string[] }

/**
 * Lets the leases of killed processes end at once, instead of in five minutes, and waits until their bytes are deleted.
 */
async function untilClean ({ servers, ...cluster }: Cluster, token: string): Promise<void> {
  const { database, s3 } = cluster
  await until(async () => {
    // Each time: the database may still commit what a killed process asked for.
    await postgres.run(database, 'UPDATE blob_leases SET expires_at = 0')
    await (servers[0] as Client).send('PUT', '/uploads/sweep', { token, body: randomBytes(8) })
    const { leases, unreferenced } = await leftovers(cluster)
    return leases + unreferenced.length + s3.uploads().length === 0
  })
}

/**
 * Leases that did not end, objects that belong to nothing, and files and versions without an object. Discarded blobs
 * are about to be deleted.
 */
async function leftovers ({ database, s3 }: Pick<Cluster, 'database' | 's3'>): Promise<Leftovers> {
  const ids = async (sql: string) => (await postgres.run(database, sql)).map(row => String(row.blob_id))
  const contents = new Set(await ids('SELECT blob_id FROM files UNION ALL SELECT id FROM kept WHERE folder IS NULL'))
  const discarded = new Set(await ids('SELECT blob_id FROM discarded_blobs'))
  const objects = new Set(s3.objects().map(key => key.slice(-32)))
  return {
    leases: (await ids('SELECT blob_id FROM blob_leases WHERE abandoned_at IS NULL')).length,
    unreferenced: Array.from(objects).filter(id => !contents.has(id) && !discarded.has(id)),
    missing: Array.from(contents).filter(id => !objects.has(id))
  }
}

const KILLS = isProof ? 2 : 1

test('an upload goes on at another process, also when the one that appends is killed', async t => {
  const cluster = await clusterOfTwo()
  const { servers, s3 } = cluster
  const [first, second] = servers as [ServerProcess, ServerProcess]
  const { token } = await signUp(first)
  const bytes = randomBytes(8_000_000 + KILLS * 12_000_000)
  const path = await beginUpload(first, token, { name: 'a', length: bytes.length })
  let offset = 7_000_000
  t.equal((await append(first, token, { path, offset: 0, bytes: bytes.subarray(0, offset) })).status, 204)
  t.equal(await offsetOf(second, token, path), offset)
  t.equal(
    (await append(second, token, { path, offset, bytes: bytes.subarray(offset, offset + 1_000_000) })).status, 204
  )
  offset += 1_000_000

  for (let kill = 0; kill < KILLS; kill++) {
    const victim = await cluster.start()
    const requests = s3.log.length
    const request = stall(
      victim, token, { path, offset, bytes: bytes.subarray(offset, offset + 6_000_000), length: bytes.length - offset }
    )
    await until(() => s3.log.length > requests)
    await victim.end('SIGKILL')
    request.destroy()
    const kept = await offsetOf(second, token, path)
    t.ok(kept >= offset, `${kept} is not before ${offset}`)
    t.equal(
      (await append(first, token, { path, offset: kept, bytes: bytes.subarray(kept, kept + 5_500_000) })).status, 204
    )
    offset = kept + 5_500_000
  }
  t.equal((await append(second, token, { path, offset, bytes: bytes.subarray(offset) })).status, 204)
  t.equal((await first.send('GET', '/api/files/a', { token })).json.sha256, sha256Of(bytes))
  t.equal(sha256Of((await first.send('GET', '/uploads/a', { token })).bytes), sha256Of(bytes))
  await untilClean(cluster, token)
  t.strictSame(await leftovers(cluster), NOTHING_LEFT)
  t.strictSame(s3.uploads(), [], 'no upload in parts is left')
})

// The last one: it ends the servers.
test('of two clients that append at two processes at once one is cut, and every byte is right', async t => {
  const cluster = await clusterOfTwo()
  const [first, second] = cluster.servers as [ServerProcess, ServerProcess]
  const { token } = await signUp(first)
  /** Each append takes the upload over. */
  const generationOf = async (name: string) =>
    Number((await postgres.run(cluster.database, `SELECT generation FROM uploads WHERE name = '${name}'`))[0]?.generation)
  const bytes = randomBytes(isProof ? 25_000_000 : 12_000_000)
  for (let round = 0; round < (isProof ? 6 : 2); round++) {
    const name = `${round}`
    const path = await beginUpload(first, token, { name, length: bytes.length })
    // With an upload in parts, and without.
    const begun = round % 2 === 0 ? 6_000_000 : 1_000_000
    t.equal((await append(first, token, { path, offset: 0, bytes: bytes.subarray(0, begun) })).status, 204)
    const generation = await generationOf(name)
    // The older one sends other bytes: none of them may be in the file.
    const older = stall(
      first, token, { path, offset: begun, bytes: randomBytes(round * 2_000_000), length: bytes.length - begun }
    )
    const answered = Promise.race([once(older, 'response').then(([response]) => response.statusCode as number), once(older, 'close').then(() => 'cut')])
    await until(async () => await generationOf(name) > generation)
    const offset = await offsetOf(second, token, path)
    t.equal(offset, begun, 'nothing that the older one sent was acknowledged')
    t.equal((await append(second, token, { path, offset, bytes: bytes.subarray(offset) })).status, 204)
    // Ends, or sends parts.
    if (round % 3 === 0) older.end(randomBytes(bytes.length - begun - round * 2_000_000))
    else older.write(randomBytes(6_000_000))
    t.match(String(await answered), /^(409|cut)$/, 'the older one ends')
    older.destroy()
    t.equal((await first.send('GET', `/api/files/${name}`, { token })).json.sha256, sha256Of(bytes))
    t.equal(sha256Of((await first.send('GET', `/uploads/${name}`, { token })).bytes), sha256Of(bytes))
  }
  await untilClean(cluster, token)
  t.strictSame(await leftovers(cluster), NOTHING_LEFT)
  t.strictSame(cluster.s3.uploads(), [], 'no upload in parts is left')
  for (const server of cluster.servers) t.equal(await server.end('SIGTERM'), 0)
})
