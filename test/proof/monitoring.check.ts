import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { mkdir, readFile, rm, rmdir } from 'node:fs/promises'
import { request as httpRequest, type ClientRequest } from 'node:http'
import { connect as connectHttp2, type OutgoingHttpHeaders } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import { join } from 'node:path'
import { getHeapStatistics } from 'node:v8'
import pg from 'pg'
import { test, type Test } from 'tap'
import { parse } from 'yaml'
import { withFault } from '../kit/bin.ts'
import { certify } from '../kit/certificates.ts'
import { startPostgres, startProxy } from '../kit/postgres.ts'
import { execute } from '../kit/programs.ts'
import { root } from '../kit/root.ts'
import { credentials, openS3 } from '../kit/s3.ts'
import { clientOf, formOf, logOf, sharedServer, signUp, spawnBin, spawnServer, startServer, type Client, type ServerProcess, type Settings } from '../kit/server.ts'
import { MIB } from '../kit/sizes.ts'
import { runSql } from '../kit/stores.ts'
import { lacksTerminal, spawnOnTerminal } from '../kit/terminal.ts'
import { until } from '../kit/waiting.ts'
import { freePort } from '../kit/wire.ts'

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Disables limits that are not under test. */
const unlimited = { RATE_LIMIT_PER_MINUTE: '0', REGISTRATIONS_PER_HOUR: '0' }

interface Metrics {
  /** Every sample, by its name and labels as in the text. */
  samples: Map<string, number>
  /** The sum of the samples with this name and these labels. */
  sum (name: string, labels?: Record<string, string>): number
}

async function scrape (port: number): Promise<Metrics> {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`)
  if (answer.status !== 200) throw new Error(`the metrics were answered ${answer.status}`)
  const samples = new Map((await answer.text()).split('\n').filter(line => line !== '' && !line.startsWith('#')).map(line => {
    const space = line.lastIndexOf(' ')
    return [line.slice(0, space), Number(line.slice(space + 1))]
  }))
  const sum = (name: string, labels: Record<string, string> = {}) => Array.from(samples)
    .filter(([key]) => key.replace(/\{.*/, '') === name && Object.entries(labels).every(([label, value]) => key.includes(`${label}="${value}"`)))
    .reduce((total, [, value]) => total + value, 0)
  return { samples, sum }
}

/** The samples of a server on SQLite and one on PostgreSQL and S3, together. */
const seen = new Map<string, number>()

interface Measured extends ServerProcess { metricsPort: number, dataDir: string }

/** The bin, with its metrics on a free port. */
async function spawnMeasured (t: Test, settings: Settings = {}): Promise<Measured> {
  const dataDir = settings.DATA_DIR ?? t.testdir()
  const server = await spawnServer(t, { DATA_DIR: dataDir, METRICS_PORT: '0', LOG_LEVEL: 'silent', ...unlimited, ...settings }, { isCounted: true })
  // A killed process would report no coverage.
  t.teardown(() => server.end('SIGTERM'))
  const metricsPort = Number(/http:\/\/127\.0\.0\.1:(\d+)\/metrics$/m.exec(server.welcome.join('\n'))?.[1])
  return { ...server, metricsPort, dataDir }
}

/** A `PUT` whose body the caller sends. */
function beginUpload (
  { port }: Client, { token, name, size }: { token: string, name: string, size: number }
): ClientRequest {
  const upload = httpRequest({ host: '127.0.0.1', port, method: 'PUT', path: `/uploads/${name}`, agent: false, headers: { authorization: `Bearer ${token}`, 'content-length': size } })
  upload.on('error', () => {})
  return upload
}

async function statusOf (upload: ClientRequest): Promise<number> {
  const [response] = await once(upload, 'response')
  response.resume()
  return response.statusCode
}

test('a failing dependency makes a server not ready, which says so, logs why, lives on, and is ready when that is over', async t => {
  const failReading = "process.on('SIGWINCH', () => { process._getActiveHandles = () => { throw new Error('no handles') } })"
  const server = await spawnMeasured(t, { LOG_LEVEL: 'info', ...withFault(failReading) })
  const { dataDir } = server
  const entries = logOf(server)
  await t.test('the metrics tell the rest where the database fails', async t => {
    await runSql(dataDir, 'ALTER TABLE accounts RENAME TO elsewhere')
    const { samples } = await scrape(server.metricsPort)
    t.ok(Number.isNaN(samples.get('magicstore_accounts')))
    t.ok(Number(samples.get('magicstore_disk_free_bytes')) > 0)
    await runSql(dataDir, 'ALTER TABLE elsewhere RENAME TO accounts')
    t.equal((await scrape(server.metricsPort)).samples.get('magicstore_accounts'), 0, 'what failed is not cached')
  })
  const { token } = await signUp(server, 'ann')
  await server.send('PUT', '/uploads/a', { token, body: 'bytes' })
  const ask = () => server.send('GET', '/health/ready')
  t.equal((await ask()).status, 200)
  const probe = join(dataDir, 'probe')
  for (const [what, check, spoil, repair] of [
    ['a database that takes no commit', 'database', () => runSql(dataDir, 'ALTER TABLE installation RENAME TO elsewhere'), () => runSql(dataDir, 'ALTER TABLE elsewhere RENAME TO installation')],
    ['a disk that takes no file', 'disk', () => mkdir(probe), () => rmdir(probe)],
    // Opening a pipe blocks until a reader opens it.
    ['a disk that hangs', 'disk', () => execute('mkfifo', [probe]), async () => {
      for await (const chunk of createReadStream(probe)) if (chunk) break
      await rm(probe, { force: true })
    }]
  ] as const) {
    await spoil()
    const { headers, json } = await until(ask, ({ status }) => status !== 200)
    t.match(json, { status: 503, code: 'not_ready', detail: new RegExp(`\\b${check}\\b`) }, what)
    t.match(headers['retry-after'], /^[1-9]\d*$/)
    t.notMatch(JSON.stringify(json), /sqlite|table|probe|EISDIR|\//i, 'clients are not told why')
    t.equal((await server.send('GET', '/health/live')).status, 200)
    t.equal((await server.send('GET', '/uploads/a', { token })).text, 'bytes', 'what still works is done')
    await repair()
    t.strictSame((await until(ask, ({ status }) => status === 200)).json, { status: 'ready', database: 'ok', disk: 'ok' })
  }
  server.child.kill('SIGWINCH')
  t.equal((await until(() => fetch(`http://127.0.0.1:${server.metricsPort}/metrics`), ({ status }) => status !== 200)).status, 500, 'metrics that can\'t be read')
  t.equal((await ask()).status, 200)
  t.equal(await server.end('SIGTERM'), 0)
  const errors = (await entries).filter(({ level, resource }) => level === 50 && resource !== undefined)
  for (const check of ['database', 'disk']) t.match(errors.find(({ resource }) => resource === check), { reason: String }, check)
})

test('there are no metrics unless METRICS_PORT is set, and then at no other address than their own', async t => {
  const quiet = await startServer(t, { DATA_DIR: join(t.testdir({ quiet: {}, loud: {} }), 'quiet') })
  t.equal((await quiet.send('GET', '/metrics')).status, 404)
  for (const [path, body] of [['/health/live', { status: 'alive' }], ['/health/ready', { status: 'ready', database: 'ok', disk: 'ok' }]] as const) {
    const answer = await quiet.send('GET', path)
    t.strictSame([answer.status, answer.json, answer.headers['cache-control']], [200, body, 'no-store'])
    t.match(await quiet.send('HEAD', path), { status: 200, text: '' })
  }

  const server = await spawnMeasured(t, { DATA_DIR: join(t.testdirName, 'loud'), QUOTA_FILES: '10', QUOTA_BYTES: '1 MiB' })
  const { metricsPort, port, end } = server
  await t.test('what is stored is summed up over all accounts, with the number of those near their quota', async t => {
    for (const [name, files] of [['ann', 9], ['ben', 8]] as const) {
      const { token } = await signUp(server, name)
      for (let index = 0; index < files; index++) await server.send('PUT', `/uploads/${index}`, { token, body: 'four' })
      await server.send('PUT', '/uploads/0', { token, body: 'more' })
      if (name === 'ben') await server.send('PUT', '/api/folders/in', { token })
      await server.send('PUT', '/uploads/deleted', { token, body: 'fives' })
      await server.send('DELETE', '/uploads/deleted', { token })
    }
    const { sum, samples } = await scrape(metricsPort)
    for (const [name, value] of samples) seen.set(name, value)
    // A folder counts as a file.
    for (const [name, value] of Object.entries({ accounts: 2, files: 17, folders: 1, stored_bytes: 17 * 4, kept_bytes: 2 * (4 + 5), accounts_near_quota: 2 })) t.equal(sum(`magicstore_${name}`), value, name)
  })

  await t.test('many requests at once for readiness cost a commit or two', async t => {
    const commits = async () => (await scrape(metricsPort)).sum('magicstore_commit_acts_sum')
    const before = await commits()
    const answers = await Promise.all(Array.from({ length: 100 }, () => server.send('GET', '/health/ready')))
    t.ok(answers.every(({ status }) => status === 200))
    const cost = await commits() - before
    t.ok(cost >= 1 && cost < 50, String(cost))
  })

  await t.test('passwords that are being hashed and those that wait are seen while they do', async t => {
    const signIns = Array.from({ length: 30 }, () => server.send('GET', '/api/token', { user: ['ann', 'correct horse battery'] }))
    const isSeen = async () => {
      const { sum } = await scrape(metricsPort)
      return sum('magicstore_hashing_running') > 0 && sum('magicstore_hashing_waiting') > 0
    }
    t.ok(await until(isSeen))
    t.ok((await Promise.all(signIns)).every(({ status }) => status === 200))
  })

  await t.test('odd methods and paths make no new series', async t => {
    const { token } = await signUp(server, 'cleo')
    const methods = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'DELETE', 'PROPFIND', 'M-SEARCH']
    const shapes = ['/uploads/X', '/api/files/X', '/X', '/uploads/%zzX', '/api/users/X', '/docs/static/X', '/api/files?prefix=X', '/uploads/X/X', '/health/X']
    const kinds = methods.flatMap(method => shapes.map(shape => [method, shape] as const))
    const sendAll = async (some: typeof kinds) => {
      for (const [method, shape] of some) await server.send(method, shape.replaceAll('X', `odd-${randomBytes(8).toString('hex')}`), { token })
      return Array.from((await scrape(metricsPort)).samples.keys()).filter(key => key.startsWith('magicstore_')).sort()
    }
    const series = await sendAll(kinds)
    t.strictSame(await sendAll(kinds.filter((_, index) => index % 5 === 0)), series)
    t.ok(series.every(key => !key.includes('odd-')), 'nothing that a client wrote is a label')
    t.match(series.join('\n'), /^magicstore_requests_total\{method="other",operation="none",status="4xx"\}$/m)
  })

  t.not(metricsPort, port)
  const at = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${metricsPort}${path}`, { method })
  const answer = await at('/metrics')
  t.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  t.match(await answer.text(), /^# HELP magicstore_info .*\n# TYPE magicstore_info gauge\nmagicstore_info\{version="\d+\.\d+\.\d+"\} 1$/m)
  t.equal((await at('/metrics?a=b', 'HEAD')).status, 200)
  for (const [path, method] of [['/metrics/', 'GET'], ['/metrics', 'POST'], ['/nowhere', 'GET']] as const) t.equal((await at(path, method)).status, 404, `${method} ${path}`)
  const kept = connect(metricsPort, '127.0.0.1')
  await once(kept, 'connect')
  t.equal(await end('SIGTERM'), 0, 'also where a connection to them is kept')
})

test('requests, failures, uploads by outcome, bytes, hashes, commits and what is stored are counted', async t => {
  const server = await spawnMeasured(t, { QUOTA_BYTES: String(3 * MIB), QUOTA_FILES: '100', MIN_FREE_BYTES: '1000' })
  const { token } = await signUp(server, 'ann')
  await signUp(server, 'ben')
  const bytes = randomBytes(MIB)
  for (const status of [201, 200]) t.equal((await server.send('POST', '/', { token, ...formOf('form.bin', bytes) })).status, status)
  t.equal((await server.send('POST', '/', { token, ...formOf('form.bin', 'other') })).status, 409)
  for (const status of [201, 200]) t.equal((await server.send('PUT', '/uploads/raw.bin', { token, body: bytes })).status, status)
  t.equal((await server.send('PUT', '/uploads/more.bin', { token, body: Buffer.alloc(2 * MIB) })).status, 413)
  t.equal((await server.send('PUT', '/uploads/more.bin', { body: 'bytes' })).status, 401)
  t.equal((await server.send('PUT', '/uploads/nine-tenths.bin', { token, body: Buffer.alloc(MIB - 1000) })).status, 201)
  t.equal((await server.send('GET', '/uploads/raw.bin', { token })).status, 200)
  const cut = beginUpload(server, { token, name: 'cut.bin', size: MIB })
  cut.write(bytes.subarray(0, 1000), () => cut.destroy())
  const { sum } = await until(() => scrape(server.metricsPort), ({ sum }) => sum('magicstore_uploads_total', { outcome: 'cut' }) === 1)
  for (const [outcome, code, count] of [['created', '', 3], ['unchanged', '', 1], ['replaced', '', 1], ['cut', '', 1], ['refused', 'name_taken', 1], ['refused', 'quota_exceeded', 1], ['refused', 'credentials_missing', 1]] as const) {
    t.equal(sum('magicstore_uploads_total', { outcome, code }), count, `${outcome} ${code}`)
  }
  for (const [name, labels, count] of [
    ['uploads_total', {}, 9], ['problems_total', { code: 'name_taken' }, 1], ['hashing_running', {}, 0], ['hashing_waiting', {}, 0],
    ['requests_total', { method: 'POST', operation: 'registerUser', status: '2xx' }, 2],
    ['requests_total', { method: 'PUT', operation: 'putFile', status: '2xx' }, 3],
    ['requests_total', { method: 'PUT', operation: 'putFile', status: '4xx' }, 2],
    // And one that was cut.
    ['requests_total', { operation: 'putFile' }, 6], ['request_duration_seconds_count', { operation: 'downloadFile' }, 1],
    ['quota_bytes', {}, 3 * MIB], ['quota_files', {}, 100], ['disk_kept_bytes', {}, 1000]
  ] as [string, Record<string, string>, number][]) t.equal(sum(`magicstore_${name}`, labels), count, `${name} ${JSON.stringify(labels)}`)
  t.ok(sum('magicstore_request_duration_seconds_sum', { operation: 'getToken' }) > 0)
  t.ok(sum('magicstore_network_bytes_total', { direction: 'in' }) > 5 * MIB)
  t.ok(sum('magicstore_network_bytes_total', { direction: 'out' }) > MIB)
  t.ok(sum('magicstore_commit_acts_sum') >= sum('magicstore_commit_acts_count'))
  t.ok(sum('magicstore_commit_duration_seconds_count') > 5)
  t.ok(sum('magicstore_disk_total_bytes') >= sum('magicstore_disk_free_bytes'))
  for (const name of ['magicstore_commit_duration_seconds_sum', 'process_resident_memory_bytes', 'nodejs_eventloop_lag_p99_seconds']) t.ok(sum(name) > 0, name)
})

test('round trips to PostgreSQL and its connections, and requests to S3, are counted by operation and outcome', async t => {
  const postgres = await startPostgres(t)
  const s3 = await openS3(t)
  const [database, proxy] = [await postgres.newDatabase(), await startProxy(t, postgres.port)]
  const { metricsPort, ...server } = await spawnMeasured(t, {
    DATABASE_URL: postgres.url(new URL(database).pathname.slice(1), proxy.port), STORAGE_URL: s3.url(), IDLE_SECONDS: '15', ...credentials
  })
  const { token } = await signUp(server, 'ann')
  const [small, large] = [randomBytes(1000), randomBytes(12 * MIB)]
  t.equal((await server.send('PUT', '/uploads/small', { token, body: small })).status, 201)
  t.equal((await server.send('PUT', '/uploads/large', { token, body: large })).status, 201)
  t.equal((await server.send('GET', '/uploads/large', { token })).status, 200)
  s3.fault = ({ method }) => method === 'PUT' ? { status: 503, code: 'SlowDown' } : method === 'GET' ? 'reset' : undefined
  t.equal((await server.send('PUT', '/uploads/refused', { token, body: small })).status, 503)
  t.equal((await server.send('GET', '/uploads/small', { token })).status, 503)
  s3.fault = () => undefined
  let isHanging = false
  s3.fault = ({ headers }) => {
    if (headers.range !== 'bytes=1000000-9000000') return undefined
    isHanging = true
    return 'hang'
  }
  const download = httpRequest({ port: server.port, path: '/uploads/large', headers: { authorization: `Bearer ${token}`, range: 'bytes=0-1,1000000-9000000' } }).end()
  const [response] = await once(download, 'response')
  response.on('error', () => {})
  await once(response, 'data')
  await until(() => isHanging)
  // A client that only ends its side may still read.
  download.socket?.resetAndDestroy()
  const before = await until(() => scrape(metricsPort), ({ sum }) => sum('magicstore_storage_request_duration_seconds_count', { outcome: 'cancelled' }) > 0)
  proxy.cutRequest = /files_by_path/
  t.equal((await server.send('GET', '/uploads/small', { token })).status, 503)
  proxy.cutRequest = undefined

  const { sum, samples } = await scrape(metricsPort)
  const storage = (operation: string, outcome: string) => sum('magicstore_storage_request_duration_seconds_count', { operation, outcome })
  t.equal(storage('PutObject', 'ok'), 1)
  t.equal(storage('PutObject', 'refused'), 3, 'each attempt counts')
  t.equal(storage('UploadPart', 'ok'), 3)
  t.equal(storage('CompleteMultipartUpload', 'ok'), 1)
  t.equal(storage('GetObject', 'failed'), 3)
  t.ok(sum('magicstore_storage_request_duration_seconds_sum') > 0)
  const trips = (operation: string, outcome = 'ok') => sum('magicstore_database_request_duration_seconds_count', { operation, outcome })
  t.equal(trips('files_insert'), 2)
  for (const operation of ['tokens_by_id', 'owners_lock', 'files_by_path', 'blobs_lease', 'begin', 'insert', 'commit', 'connect']) t.ok(trips(operation) > 0, operation)
  t.equal(trips('files_by_path', 'failed'), 4, 'and each repetition')
  t.equal(before.sum('magicstore_database_request_duration_seconds_count', { outcome: 'failed' }), 0)
  t.equal(sum('magicstore_database_connections_max'), 11)
  t.ok(sum('magicstore_database_connections') >= 1 && sum('magicstore_database_connections') <= 11)
  t.equal(sum('magicstore_database_connections_waiting'), 0)
  for (const [name, value] of samples) if (!seen.has(name)) seen.set(name, value)

  await t.test('calls that wait for a connection to PostgreSQL are seen while they do, and round trips that it refuses', async t => {
    const inUse = ({ sum }: Metrics) => sum('magicstore_database_connections', { state: 'in_use' })
    const locking = new pg.Client(database)
    await locking.connect()
    await locking.query('BEGIN; LOCK TABLE files')
    const reads = Array.from({ length: 15 }, () => server.send('GET', '/api/files', { token }))
    t.equal(inUse(await until(() => scrape(metricsPort), ({ sum }) => sum('magicstore_database_connections_waiting') > 0)), 10)
    await locking.query('COMMIT')
    await locking.end()
    t.ok((await Promise.all(reads)).every(({ status }) => status === 200))
    await postgres.run(database, 'ALTER TABLE files RENAME TO elsewhere')
    t.equal((await server.send('GET', '/api/files', { token, isBroken: true })).status, 500)
    const after = await scrape(metricsPort)
    t.equal(after.sum('magicstore_database_request_duration_seconds_count', { outcome: 'refused' }), 1)
    t.equal(inUse(after), 0)
  })
})

/** There once a backup was made. */
const AFTER_BACKUP = 'magicstore_backup_last_success_timestamp_seconds'

/** The names of metrics and labels that expressions of Prometheus use. Prometheus itself adds `job` and `instance`. */
function namesIn (expressions: string[]): { metrics: string[], labels: string[] } {
  const text = expressions.join('\n').replaceAll(/"[^"]*"/g, '""')
  const lists = [/\b(?:by|on|group_left) \(([\w, ]+)\)/g, /\{([^}]*)\}/g].flatMap(pattern => Array.from(text.matchAll(pattern), ([, list = '']) => list))
  const labels = lists.flatMap(list => list.split(', ')).map(label => label.replace(/[=!~"]+$/, ''))
  return {
    metrics: Array.from(text.matchAll(/\b(?:magicstore|nodejs|process)_\w+/g), ([name]) => name),
    labels: labels.filter(label => label !== 'job' && label !== 'instance')
  }
}

test('the dashboard and the alert rules use what the metrics tell, and nothing else; the dashboard shows all of ours', async t => {
  t.ok(seen.size > 0, 'the servers of the tests above')
  const keys = Array.from(seen.keys())
  const names = new Set([...keys.map(key => key.replace(/\{.*/, '')), AFTER_BACKUP])
  const [dashboard, alerts] = await Promise.all(['grafana-dashboard.json', 'alerts.yaml'].map(async name => parse(await readFile(join(root, 'src/monitoring', name), 'utf8'))))
  const panels = dashboard.panels.filter(({ type }: { type: string }) => type !== 'row')
  for (const { title, description } of panels) t.match(description, /\S/, title)
  const shown = panels.flatMap(({ targets }: { targets: { expr: string }[] }) => targets.map(({ expr }) => expr))
  const rules = alerts.groups.flatMap(({ rules }: { rules: { expr: string }[] }) => rules.map(({ expr }) => expr))
  for (const expressions of [shown, rules]) {
    const { metrics, labels } = namesIn(expressions)
    t.ok(metrics.length > 10 && labels.length > 3)
    t.same(metrics.filter(name => !names.has(name)), [], 'every name it asks for is told')
    t.same(labels.filter(label => !keys.some(key => key.includes(`${label}="`))), [], 'and every label')
  }
  for (const [, code] of rules.join('\n').matchAll(/code="(\w+)"/g)) t.equal(seen.get(`magicstore_problems_total{code="${code}"}`), 0, 'an alert sees the first one')
  const family = (name: string) => name.replace(/_(?:bucket|sum|count)$/, '')
  const families = new Set(namesIn(shown).metrics.map(family))
  t.same(Array.from(names).filter(name => name.startsWith('magicstore_') && !families.has(family(name))), [], 'and all of ours is shown')
  t.equal(new Set(dashboard.panels.map(({ id }: { id: number }) => id)).size, dashboard.panels.length)
})

test('over TLS bytes are counted inside it, and a cut transfer is logged with its client and account, over HTTP/1.1 and HTTP/2', async t => {
  const folder = t.testdir()
  const settings = { DATA_DIR: join(folder, 'data'), ...await certify(folder) }
  const server = await spawnMeasured(t, { ...settings, LOG_LEVEL: 'info', PASSWORD_POLICY: 'open' })
  const log = logOf(server)
  const { port, metricsPort } = server
  const ca = await readFile(settings.TLS_CERT)
  const authorization = `Basic ${btoa('ann:pwd')}`
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca })
  t.teardown(() => session.destroy())
  const document = await session.request({ ':path': '/openapi.json' }).toArray()
  const { sum } = await scrape(metricsPort)
  t.ok(sum('magicstore_network_bytes_total', { direction: 'out' }) > Buffer.concat(document).length)
  t.equal(sum('magicstore_requests_total', { operation: 'getOpenapiJson', status: '2xx' }), 1)
  t.equal(sum('magicstore_connections'), 1)
  async function send (headers: OutgoingHttpHeaders, body: string | Buffer) {
    const stream = session.request(headers).end(body)
    const [head] = await once(stream, 'response')
    await stream.toArray()
    return head[':status']
  }
  t.equal(await send({ ':method': 'POST', ':path': '/api/users', 'content-type': 'application/json' }, '{"username":"ann","password":"pwd"}'), 201)
  t.equal(await send({ ':method': 'PUT', ':path': '/uploads/large', authorization }, randomBytes(30 * MIB)), 201)
  const byHttp2 = session.request({ ':path': '/uploads/large', authorization })
  await once(byHttp2, 'data')
  byHttp2.destroy()
  const options = { port, ca, agent: false, headers: { authorization } }
  const download = httpsRequest({ ...options, path: '/uploads/large?disposition=inline' }).end()
  const [response] = await once(download, 'response')
  await once(response, 'data')
  download.destroy()
  const upload = httpsRequest({ ...options, method: 'PUT', path: '/uploads/other', headers: { authorization, expect: '100-continue', 'content-length': 1000 } }).on('error', () => {})
  upload.flushHeaders()
  await once(upload, 'continue')
  upload.destroy()
  session.close()
  t.equal(await server.end('SIGTERM'), 0)
  const cut = (await log).filter(({ isCut }) => isCut)
    .map(({ method, path, client, accountId }) => [method, path, client, accountId])
  t.strictSame(cut.sort(), [['GET', '/uploads/large', '127.0.0.1', 1], ['GET', '/uploads/large', '127.0.0.1', 1], ['PUT', '/uploads/other', '127.0.0.1', 1]])
})

test('every answer names its request as the log does, and so does a problem, but for a 404; the log has the method that the client sent', async t => {
  const server = await spawnServer(t, { DATA_DIR: t.testdir() })
  t.notMatch(server.welcome.join('\n'), /^ +metrics: /m, 'without METRICS_PORT there are none')
  const entries = logOf(server)
  const requests: { reqId: string, method: string, path: string }[] = []
  const methods = ['GET', 'UNLINK', 'PROPFIND', 'M-SEARCH', 'PATCH']
  for (const [method, path, status, headers = {}] of [
    ['GET', '/', 200], ['HEAD', '/openapi.json', 200], ['PUT', '/', 405], ['GET', '/uploads/%zz', 400], ['GET', '/api/users/0', 400], ['GET', '/nowhere', 404], ['GET', '/docs', 200],
    ...[{}, { expect: '100-continue' }, { expect: 'the-unexpected' }].flatMap(headers => methods.map(method => [method, '/api/token', method === 'GET' ? 401 : 405, headers] as const))
  ] as const) {
    const answer = await server.send(method, path, { headers })
    t.equal(answer.status, status, `${method} ${path}`)
    const reqId = String(answer.headers['x-request-id'])
    t.match(reqId, UUID, path)
    requests.push({ reqId, method, path })
    if (status >= 400) t.equal(answer.json.instance, status === 404 ? undefined : `urn:magicstore:request:${reqId}`, path)
  }
  t.equal(await server.end('SIGTERM'), 0)
  t.strictSame((await entries).filter(({ msg }) => msg === 'request').map(({ reqId, method, path }) => ({ reqId, method, path })), requests)
})

test('the id that a trusted proxy gives a request is taken over, one that is none or comes from anybody else is not', async t => {
  const given = 'A1-'.repeat(21) + 'z'
  const idFor = async (client: Client, id: string) => (await client.send('GET', '/', { headers: { 'x-request-id': id } })).headers['x-request-id']
  const server = await sharedServer({ TRUST_PROXY: '10.0.0.0/8, ::1, 127.0.0.0/8', PASSWORD_POLICY: 'open' })
  t.equal(await idFor(server, given), given)
  for (const odd of [`${given}x`, '', 'a b', 'a_b', 'a/b', '\u00e4']) t.match(await idFor(server, odd), UUID, odd)
  const { status, json } = await server.send('GET', '/api/token', { headers: { 'x-request-id': 'from-the-proxy' } })
  t.match({ status, instance: json.instance }, { status: 401, instance: 'urn:magicstore:request:from-the-proxy' })
  await server.send('POST', '/api/users', { json: { username: 'ann', password: 'pwd' }, headers: { 'x-request-id': 'registration-1' } })
  const { json: { events } } = await server.send('GET', '/api/account/events', { user: ['ann', 'pwd'], headers: { 'x-forwarded-proto': 'https' } })
  t.equal(events.at(-1).requestId, 'registration-1', 'and is in the events of the account')
  for (const settings of [{}, { TRUST_PROXY: '10.0.0.1, fd00::/8' }]) t.match(await idFor(await sharedServer(settings), given), UUID)
})

for (const { output, shell, isClosed, requests } of [
  // More than the buffers of the pipe and the server can contain.
  { output: 'a pipe that is full and not read', shell: [], isClosed: false, requests: 200 },
  { output: 'a pipe that nobody reads any more', shell: [], isClosed: true, requests: 20 },
  { output: 'a full disk', shell: ['sh', '-c', 'exec "$0" "$@" >/dev/full'], isClosed: false, requests: 20 }
]) {
  test(`a server whose log goes to ${output} serves on, and stops`, async t => {
    const port = await freePort()
    const child = spawnBin(['serve'], { PORT: String(port), DATA_DIR: t.testdir(), MIN_FREE_BYTES: '0' }, { under: shell })
    t.teardown(() => child.kill('SIGKILL'))
    const client = clientOf(port)
    await until(async () => client.send('GET', '/health/live').catch(() => undefined), answer => answer?.status === 200)
    if (isClosed) child.stdout?.destroy()
    for (let index = 0; index < requests; index++) t.equal((await client.send('GET', `/nowhere/${'x'.repeat(10_000)}`)).status, 404)
    child.kill('SIGTERM')
    t.strictSame(await once(child, 'exit'), [0, null])
  })
}

test('on a terminal a line is readable text, and nothing in it moves the cursor or turns the text around', { skip: lacksTerminal }, async t => {
  const dataDir = t.testdir()
  const child = spawnOnTerminal(t, ['serve'], { PORT: '0', MIN_FREE_BYTES: '0', DATA_DIR: dataDir, TRUST_PROXY: '127.0.0.1' })
  const closed = once(child, 'close')
  let shown = ''
  child.stdout.setEncoding('utf8').on('data', text => { shown += String(text).replaceAll('\r\n', '\n') })
  const [, port] = await until(() => /serves at http:\S+:(\d+)\s[^]*password policy[^\n]*\n/.exec(shown))
  const client = clientOf(Number(port))
  // The server trusts an address from the proxy, which can be any text.
  await (await fetch(`${client.url}/nowhere`, { headers: { 'x-forwarded-for': '\x9B31m\xAD' } })).text()
  const { user } = await signUp(client, 'ann')
  await client.send('GET', '/api/resource', { user })
  await runSql(dataDir, 'ALTER TABLE accounts RENAME TO elsewhere')
  await (await fetch(`${client.url}/api/users/1`)).text()
  // ^C discards output that is not displayed yet.
  await until(() => /GET \/api\/users\/1 500 [^\n]*\n/.test(shown))
  child.stdin.write('\x03')
  t.strictSame(await closed, [0, null])
  const clock = '\\[\\d\\d:\\d\\d:\\d\\d\\.\\d{3}\\]'
  t.match(shown, new RegExp(`^${clock} INFO: listening ?$`, 'm'))
  t.match(shown, new RegExp(`^${clock} INFO: GET /nowhere 404 [\\d.]+ ms \\{"reqId":"[0-9a-f-]{36}","code":"not_found","client":"\\\\u\\{9b\\}31m\\\\u\\{ad\\}"\\}$`, 'm'))
  t.match(shown, new RegExp(`^${clock} INFO: GET /api/resource 200 [\\d.]+ ms \\{"reqId":"[0-9a-f-]{36}","client":"127\\.0\\.0\\.1","accountId":1\\}$`, 'm'))
  t.match(shown, new RegExp(`^${clock} ERROR: request failed \\{"reqId":"[0-9a-f-]{36}","code":"internal_error"\\}\\n    err: \\{\\n[^]*?"stack":\\n +\\w*Error: .*\\n +at `, 'm'))
  t.match(shown, new RegExp(`^${clock} INFO: GET /api/users/1 500 `, 'm'))
  // eslint-disable-next-line no-control-regex
  t.notMatch(shown, /[\x00-\x08\x0B-\x1F\x7F-\x9F\xAD]/)
})

test('a server that can\'t keep up refuses new requests, says that it lives, and comes back', async t => {
  const server = await startServer(t, { MAX_EVENT_LOOP_DELAY_MS: '100' })
  const blocking = new Int32Array(new SharedArrayBuffer(4))
  let isBusy = true
  // Each turn of the event loop takes longer than is allowed.
  const block = () => {
    Atomics.wait(blocking, 0, 0, 150)
    if (isBusy) setImmediate(block)
  }
  block()
  const { headers, json } = await until(() => server.send('GET', '/'), ({ status }) => status !== 200)
  t.match(json, { status: 503, code: 'overloaded' })
  t.match(headers['retry-after'], /^[1-9]\d*$/)
  t.equal((await server.send('GET', '/health/live')).status, 200)
  isBusy = false
  t.equal((await until(() => server.send('GET', '/health/ready'), ({ status }) => status !== 503)).status, 200)
})

test('a server that uses too much memory refuses new requests, ends the uploads that it let in, and comes back', async t => {
  const { used_heap_size: objects, external_memory: buffers } = getHeapStatistics()
  const server = await startServer(t, { MAX_MEMORY_BYTES: String(objects + buffers + 256 * MIB) })
  const { token } = await signUp(server, 'ann')
  // With 16 requests in progress none is refused.
  const uploads = Array.from({ length: 17 }, (_, index) => beginUpload(server, { token, name: `${index}`, size: MIB }))
  const answered = Promise.all(uploads.map(statusOf))
  for (const upload of uploads) upload.write(Buffer.alloc(MIB / 2))
  t.equal((await server.send('GET', '/api/files', { token })).status, 200)
  const large = Buffer.alloc(512 * MIB)
  const refused = await until(() => server.send('GET', '/api/files', { token }), ({ status }) => status !== 200)
  t.match(refused.json, { status: 503, code: 'overloaded' })
  t.equal((await server.send('GET', '/health/live')).status, 200)
  t.equal((await server.send('PUT', '/uploads/new', { token, body: 'bytes' })).status, 503)
  for (const upload of uploads) upload.end(Buffer.alloc(MIB / 2))
  t.ok((await answered).every(status => status === 201), 'what was let in is not refused')
  const { json } = await until(() => server.send('GET', '/api/files?limit=1000', { token }), ({ status }) => status === 200)
  t.equal(json.files.length, uploads.length)
  t.equal(large.length, 512 * MIB, 'still in use')
})
