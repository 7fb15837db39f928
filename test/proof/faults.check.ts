import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import tap, { test, type Test } from 'tap'
import { sha256Of } from '../kit/digests.ts'
import { duringCut, startPostgres, startProxy, type Cut, type PostgresServer, type Proxy } from '../kit/postgres.ts'
import { credentials, openS3, type FakeS3 } from '../kit/s3.ts'
import { signUp, spawnServer, type Answer, type ServerProcess } from '../kit/server.ts'
import { isProof, MIB } from '../kit/sizes.ts'
import { eventually, until } from '../kit/waiting.ts'

// What a server on PostgreSQL and S3 answers while one of them fails, and that it is as before when it is over.

// Each test waits most of its time, with a server of its own: they wait at the same time.
tap.jobs = 4

const shared = await startPostgres(tap)

const POOL = 11
interface Faulty extends ServerProcess {
  readonly postgres: PostgresServer
  readonly database: string
  /** The wire to PostgreSQL. */
  readonly wire: Proxy
  readonly s3: FakeS3
  readonly token: string
  readonly user: [string, string]
  /** A gauge of /metrics. */
  gauge (name: string): Promise<number>
}

/** A server on PostgreSQL, by default on the one that tests share, and on a bucket. */
async function startFaulty (t: Test, ownPostgres?: PostgresServer): Promise<Faulty> {
  const postgres = ownPostgres ?? shared
  const s3 = await openS3(t)
  const database = await postgres.newMigratedDatabase()
  const wire = await startProxy(t, postgres.port)
  const server = await spawnServer(t, {
    DATABASE_URL: postgres.url(new URL(database).pathname.slice(1), wire.port), STORAGE_URL: s3.url(), BLOB_GRACE_SECONDS: '0', IDLE_SECONDS: '15', RATE_LIMIT_PER_MINUTE: '0', MAX_EVENT_LOOP_DELAY_MS: '0', METRICS_PORT: '0', ...credentials
  })
  const metrics = /metrics: +(http:\S+)$/m.exec(server.welcome.join('\n'))?.[1]
  async function gauge (name: string): Promise<number> {
    const text = await (await fetch(String(metrics))).text()
    return Number(text.split('\n').find(line => line.startsWith(`${name} `))?.split(' ')[1])
  }
  return { ...server, ...await signUp(server, 'ann'), postgres, database, wire, s3, gauge }
}

/** The answer, or `cut` if the connection ended before it was whole. */
async function outcomeOf (answered: Promise<Answer>): Promise<Answer | 'cut'> {
  return answered.catch(() => 'cut' as const)
}

const isUnavailable = { status: 503, headers: { 'retry-after': '5', 'content-type': 'application/problem+json' }, json: { code: 'unavailable' } }

/** Open files of a process, among them its connections. */
const openFiles = async ({ child }: ServerProcess) => (await readdir(`/proc/${child.pid}/fd`)).length

/** All connections of the server are idle, and as many as there were before, or fewer than the pools may have. */
async function checkWhole (t: Test, server: Faulty): Promise<void> {
  t.ok(await eventually(async () => await server.gauge('magicstore_database_connections{state="in_use"}') === 0), 'no connection to PostgreSQL is in use')
  t.equal(await server.gauge('magicstore_database_connections_waiting'), 0)
  const [row] = await server.postgres.run(server.database, "SELECT count(*) AS count FROM pg_stat_activity WHERE application_name = 'magicstore' AND datname = current_database()")
  t.ok(Number(row?.count) <= POOL, `${row?.count} connections`)
  t.ok(await eventually(async () => (await server.send('GET', '/health/ready')).status === 200), 'ready')
  t.equal(server.child.exitCode, null, 'without a restart')
}

/** Files that are listed have the bytes that were sent for them, and those that were acknowledged are listed. */
async function checkFiles (
  t: Test, { send, token }: Faulty, { sent, acknowledged }: { sent: Map<string, string>, acknowledged: Set<string> }
): Promise<void> {
  const { json: { files, next } } = await send('GET', '/api/files?limit=1000', { token })
  t.equal(next, null)
  const names = new Set(files.map(({ name }: { name: string }) => name))
  t.strictSame(Array.from(acknowledged).filter(name => !names.has(name)), [], `${acknowledged.size} acknowledged, none is lost`)
  const wrong: string[] = []
  for (const name of names as Set<string>) {
    const { status, bytes } = await send('GET', `/uploads/${name}`, { token })
    if (status !== 200 || sha256Of(bytes) !== sent.get(name)) wrong.push(`${name}: ${status}`)
  }
  t.strictSame(wrong, [], 'each file that is listed can be read')
}

/** Accounts whose recorded bytes are not the sums of their files, and of versions and trash. */
const USAGE_ERRORS = `SELECT id FROM accounts a WHERE used_bytes <> (SELECT coalesce(sum(size), 0) FROM files WHERE owner_id = a.id)
  OR kept_bytes <> (SELECT coalesce(sum(size), 0) FROM kept WHERE owner_id = a.id)`

/** Rows and objects that belong to each other, once every lease has run out. */
async function checkClean (t: Test, { send, token, postgres, database, s3 }: Faulty): Promise<void> {
  const known = async () => (await postgres.run(database, 'SELECT blob_id FROM files UNION ALL SELECT id FROM kept WHERE folder IS NULL')).map(row => String(row.blob_id))
  // An upload in parts of which the store's first answer was lost is empty. It stays until its file is deleted.
  const unreferenced = async () => {
    const ids = await known()
    return [...s3.objects(), ...s3.uploads()].filter(key => !ids.includes(key.slice(-32)))
  }
  await postgres.run(database, 'UPDATE blob_leases SET expires_at = 0 WHERE abandoned_at IS NULL')
  // A replacement asks for a sweep.
  await until(async () => {
    await send('PUT', '/uploads/sweep', { token, body: randomBytes(8) })
    return (await unreferenced()).length === 0
  })
  await until(async () => (await unreferenced()).length === 0)
  t.strictSame(await unreferenced(), [], 'no bytes are left over')
  const objects = s3.objects().map(key => key.slice(-32))
  t.strictSame((await known()).filter(id => !objects.includes(id)), [], 'no file or version is without bytes')
  t.strictSame(await postgres.run(database, USAGE_ERRORS), [])
}

const WORKERS = isProof ? 12 : 6

test('PostgreSQL is restarted under load: requests get 503 meanwhile, nothing acknowledged is lost, and the server goes on by itself', { buffered: true }, async t => {
  const server = await startFaulty(t, await startPostgres(t))
  const { send, token, postgres } = server
  const sent = new Map<string, string>()
  const acknowledged = new Set<string>()
  const refused: Answer[] = []
  const others: unknown[] = []
  const over = new AbortController()

  async function worker (id: number): Promise<void> {
    for (let round = 0; !over.signal.aborted; round++) {
      const [name, body] = [`${id}-${round}`, randomBytes(id === 0 ? 6 * MIB : 5000)]
      sent.set(name, sha256Of(body))
      const written = await outcomeOf(send('PUT', `/uploads/${name}`, { token, body }))
      const read = await outcomeOf(send('GET', `/uploads/${name}`, { token }))
      if (written !== 'cut' && written.status === 201) acknowledged.add(name)
      for (const answer of [written, read]) {
        if (answer === 'cut' || ![200, 201, 404, 503].includes(answer.status)) others.push(answer)
        else if (answer.status === 503) refused.push(answer)
        else if (answer.status === 404 && acknowledged.has(name)) others.push(`${name} is lost`)
      }
    }
  }

  const work = Promise.all(Array.from({ length: WORKERS }, (_, id) => worker(id)))
  for (const end of [postgres.stop, postgres.crash]) {
    const [before, refusedBefore] = [acknowledged.size, refused.length]
    await until(() => acknowledged.size > before + 2 * WORKERS)
    await end()
    t.ok(await eventually(() => refused.length > refusedBefore + WORKERS))
    t.match(await send('GET', '/health/ready'), { status: 503, json: { detail: /database/ } })
    t.equal((await send('GET', '/health/live')).status, 200)
    const during = acknowledged.size
    await postgres.start()
    t.ok(await eventually(() => acknowledged.size > during + 2 * WORKERS), 'it goes on by itself')
  }
  over.abort()
  await work
  t.strictSame(others, [])
  for (const answer of refused) t.match(answer, isUnavailable)
  await checkWhole(t, server)
  await checkFiles(t, server, { sent, acknowledged })
  await checkClean(t, server)
})

test('connections to PostgreSQL that are cut around a commit make nothing happen twice, and what happened stays', { buffered: true }, async t => {
  const server = await startFaulty(t)
  const { send, token, wire } = server
  const sent = new Map<string, string>()
  const acknowledged = new Set<string>()

  const upload = (name: string, body: Buffer) => {
    sent.set(name, sha256Of(body))
    return send('PUT', `/uploads/${name}`, { token, body })
  }

  for (const kind of ['cutRequest', 'cutAnswer'] as const) {
    /** The answer while the connection is cut at the commit of a transaction with this statement. */
    const duringCommit = (after: RegExp, operation: () => Promise<Answer>) =>
      duringCut(wire, { kind, what: /COMMIT\b/, after }, operation)
    for (const size of isProof ? [5000, 6 * MIB] : [5000]) {
      const [name, body] = [`${kind}-${size}`, randomBytes(size)]
      t.equal((await duringCommit(/files_insert/, () => upload(name, body))).status, 201, `${name}: what was committed is told, else it is repeated`)
      acknowledged.add(name)
    }
    await upload(`${kind}-gone`, randomBytes(10))
    t.equal((await duringCommit(/files_remove/, () => send('DELETE', `/uploads/${kind}-gone`, { token }))).status, 204)
    const { json: { files: trash } } = await send('GET', '/api/trash', { token })
    t.equal(trash.filter(({ name }: { name: string }) => name === `${kind}-gone`).length, 1, 'it is in the trash, once')
    const account = { username: `ben-${kind.toLowerCase()}`, password: 'correct horse battery' }
    t.equal((await duringCommit(/insert into "accounts"/, () => send('POST', '/api/users', { json: account }))).status, 201)
    t.equal((await send('GET', '/api/token', { user: [account.username, account.password] })).status, 200)
  }
  const body = randomBytes(10)
  const untold: Cut = { kind: 'cutAnswer', what: /COMMIT\b|pg_xact_status/, after: /files_insert/, times: Infinity }
  t.match(await duringCut(wire, untold, () => upload('untold', body)), isUnavailable, 'it is not known whether it was carried out')
  t.equal((await send('GET', '/uploads/untold', { token })).status, 200)
  t.equal((await upload('untold', body)).status, 200, 'a client that repeats it succeeds')
  acknowledged.add('untold')
  await checkWhole(t, server)
  await checkFiles(t, server, { sent, acknowledged })
  await server.postgres.run(server.database, "DELETE FROM accounts WHERE username LIKE 'ben%'")
  await checkClean(t, server)
})

test('while the bucket hangs, many uploads and downloads get 503, and what needs no bytes goes on', { buffered: true }, async t => {
  const server = await startFaulty(t)
  const { send, token, s3 } = server
  const before = await openFiles(server)
  await send('PUT', '/uploads/a', { token, body: 'bytes' })
  s3.fault = () => 'hang'
  const transfers = Promise.all(Array.from({ length: isProof ? 150 : 40 }, (_, index) => outcomeOf(index % 3 === 0 ? send('GET', '/uploads/a', { token }) : send('PUT', `/uploads/b-${index}`, { token, body: randomBytes(1000) }))))
  for (const over = transfers.then(() => true); !await Promise.race([over, wait(200, false)]);) t.equal((await send('GET', '/api/files', { token })).status, 200)
  for (const answer of await transfers) t.match(answer, isUnavailable)
  s3.fault = () => undefined
  t.equal((await send('GET', '/uploads/a', { token })).text, 'bytes')
  t.equal((await send('PUT', '/uploads/c', { token, body: 'bytes' })).status, 201)
  await checkWhole(t, server)
  await checkClean(t, server)
  t.ok(await s3.connections() <= 64 + 50)
  t.ok(await eventually(async () => await openFiles(server) <= before + POOL + 70), `${await openFiles(server)} open files, ${before} before`)
})
