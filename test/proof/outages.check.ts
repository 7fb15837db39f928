import type { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { withFault } from '../kit/bin.ts'
import { startPostgres, startProxy } from '../kit/postgres.ts'
import { credentials, openS3 } from '../kit/s3.ts'
import { signUp, spawnServer, type ServerProcess, type Settings } from '../kit/server.ts'
import { until } from '../kit/waiting.ts'
import { freePort } from '../kit/wire.ts'

const postgres = await startPostgres(t)

/** Code that makes a minute of timers 4 s long. */
const shortenMinutes = 'for (const name of ["setTimeout", "setInterval"]) { const real = globalThis[name]; globalThis[name] = Object.assign((action, milliseconds, ...values) => real(action, milliseconds === 60000 ? 4000 : milliseconds, ...values), real) }'

type Entry = Record<string, any>

interface Logged { server: ServerProcess, log: Entry[], about: (resource: string) => Entry[] }

async function spawnLogged (t: Test, settings: Settings): Promise<Logged> {
  const server = await spawnServer(t, { DATA_DIR: t.testdir(), IDLE_SECONDS: '6', ...withFault(shortenMinutes), ...settings }, { isCounted: true })
  const log: Entry[] = []
  let rest = ''
  ;(server.child.stdout as Readable).setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.startsWith('{')) log.push(JSON.parse(line))
  })
  return { server, log, about: resource => log.filter(entry => entry.resource === resource) }
}

t.test('a time without the bucket and one without the database are in the log with their causes, as one line at the change and one a minute', async t => {
  const url = await postgres.newDatabase()
  const proxy = await startProxy(t, postgres.port)
  const s3 = await openS3(t)
  const metricsPort = await freePort()
  const failing = async () => {
    const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
    return Array.from(metrics.matchAll(/^magicstore_outage\{resource="(\w+)"\} 1$/gm), ([, resource]) => resource)
  }
  const { server, log, about } = await spawnLogged(t, {
    DATABASE_URL: postgres.url(new URL(url).pathname.slice(1), proxy.port),
    STORAGE_URL: s3.url(),
    METRICS_PORT: String(metricsPort),
    ...credentials
  })
  const { token } = await signUp(server, 'ann')
  const put = async () => (await server.send('PUT', '/uploads/a', { token, body: 'a' }))
  const isUnavailable = async (resource: string) => {
    let isAlways = true
    // Ten requests a second: each line counts some.
    for (; about(resource).length < 3; await wait(100)) isAlways &&= (await put()).json.code === 'unavailable'
    return isAlways
  }
  const ready = async () => server.send('GET', '/health/ready')
  t.strictSame((await ready()).json, { status: 'ready', database: 'ok', disk: 'ok', bucket: 'ok' })
  t.equal((await put()).status, 201)

  for (const [resource, name, reason, spoil, repair] of [
    ['bucket', 'the bucket', /RequestTimeTooSkewed/, () => { s3.fault = () => ({ status: 403, code: 'RequestTimeTooSkewed' }) }, () => { s3.fault = () => undefined }],
    ['database', 'the database', /./, () => { proxy.cutRequest = /./ }, () => { proxy.cutRequest = undefined }]
  ] as const) {
    t.strictSame(about(resource), [])
    spoil()
    t.ok(await isUnavailable(resource))
    t.match((await ready()).json, { code: 'not_ready', detail: `Failing: ${resource}.` })
    if (resource === 'bucket') t.strictSame(await failing(), [resource])
    repair()
    await until(async () => (await put()).status < 300)
    await until(async () => about(resource).at(-1)?.level === 40)
    t.strictSame(await failing(), [])
    // One line at the begin, some with a count, one after the end.
    const lines = about(resource)
    t.match([lines.at(0), lines.at(-1)], [{ level: 50, msg: `problem with ${name}`, reason }, { level: 40, msg: `no problem with ${name} for a minute`, seconds: Number }])
    t.ok(lines.length > 2)
    for (const line of lines.slice(1, -1)) {
      t.match(line, { level: 50, msg: `still a problem with ${name}`, seconds: Number, reason: /./ })
      t.ok(line.failures > 0)
    }
  }
  t.match(about('database').find(({ connections }) => connections !== undefined), { connections: { inUse: Number, idle: Number, waiting: Number, max: 10 } })

  const requests = log.filter(({ msg, status }) => msg === 'request' && status === 503)
  t.ok(requests.length > 5)
  for (const { code } of requests) t.match(code, /^(?:unavailable|not_ready)$/)
  t.ok(log.filter(({ level }) => level >= 50).length < 20, 'few lines, however many requests fail')
  t.equal((await server.send('GET', '/uploads/none', { token })).status, 404)
  await until(async () => log.some(({ status, code }) => status === 404 && code === 'not_found'))
  t.ok(log.filter(({ msg, status }) => msg === 'request' && status < 300).every(({ code }) => code === undefined))
  t.equal(await server.end('SIGTERM'), 0)
})

t.test('a role with too few connections is named', async t => {
  const url = await postgres.newDatabase()
  const database = new URL(url).pathname.slice(1)
  await postgres.run(url, `CREATE ROLE few LOGIN PASSWORD 'few' CONNECTION LIMIT 3; GRANT ALL ON SCHEMA public TO few; ALTER DATABASE "${database}" OWNER TO few`)
  const limited = new URL(postgres.url(database))
  limited.username = 'few'
  limited.password = 'few'
  const { server, about } = await spawnLogged(t, { DATABASE_URL: limited.href })
  const { user, token } = await signUp(server, 'ann')
  const answers = await Promise.all(Array.from({ length: 60 }, (_, index) => server.send('PUT', `/uploads/${index}`, { token, body: 'a' })))
  await Promise.all(Array.from({ length: 10 }, (_, index) => server.send('GET', `/uploads/${index}`, { user })))
  t.ok(answers.some(({ status }) => status === 503))
  await until(async () => about('database').length > 0)
  t.match(about('database')[0], { reason: /too many connections for role "few" \(53300\)/, connections: { max: 10 } })
  t.equal(await server.end('SIGTERM'), 0)
})

t.test('a clock that is off and a disk without space are named', async t => {
  const tooLate = `${shortenMinutes}; const { now } = Date; Date.now = () => now() + 600_000`
  const ahead = await spawnLogged(t, { DATABASE_URL: await postgres.newDatabase(), MIN_FREE_BYTES: '1000 TiB', ...withFault(tooLate) })
  await until(() => ahead.about('clock').length > 0)
  t.match(ahead.about('clock')[0], { level: 50, msg: 'problem with the clock of this machine', reason: 'it is 600 s ahead of that of the database; use NTP on both' })
  const { token } = await signUp(ahead.server, 'ann')
  t.equal((await ahead.server.send('PUT', '/uploads/a', { token, body: 'a' })).json.code, 'storage_full')
  t.match((await ahead.server.send('GET', '/health/ready')).json, { status: 'ready', disk: 'full' })
  await until(() => ahead.about('disk').length > 0)
  t.match(ahead.about('disk')[0], { level: 50, msg: 'problem with the disk', reason: /./ })
  t.equal(await ahead.server.end('SIGTERM'), 0)

  const behind = await spawnLogged(t, { DATABASE_URL: await postgres.newDatabase(), MIN_FREE_BYTES: '0', MAX_FILE_BYTES: '1000 TiB', ...withFault(tooLate.replace('+ 600', '- 600')) })
  await until(() => behind.about('clock').length > 0)
  t.match(behind.about('clock')[0], { reason: /^it is 600 s behind / })
  const ben = await signUp(behind.server, 'ben')
  const headers = { 'tus-resumable': '1.0.0', 'upload-length': String(2 ** 49), 'upload-metadata': 'filename YQ==' }
  t.equal((await behind.server.send('POST', '/api/uploads', { token: ben.token, headers })).json.code, 'storage_full')
  t.equal(await behind.server.end('SIGTERM'), 0)
  t.strictSame(behind.about('disk'), [], 'a file that is larger than the disk is no outage')
})
