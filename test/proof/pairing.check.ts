import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t, { test } from 'tap'
import { runCommand } from '../kit/commands.ts'
import { startPostgres } from '../kit/postgres.ts'
import { credentials, openS3 } from '../kit/s3.ts'
import { runBin, signUp, spawnServer, type Settings } from '../kit/server.ts'
import { until } from '../kit/waiting.ts'

// A database and a blob store belong together. `doctor-agrees.check.ts` has pairs that do not.

const postgres = await startPostgres(t)

const isCounted = { isCounted: true }

/** Any command opens the store as the server does. */
const open = (settings: Settings, run = runCommand) => run(['user', 'list'], { ...credentials, ...settings })

const withoutFiles = (setting: string) => ({ code: 2, stdout: '', stderr: new RegExp(`^magicstore: ${setting}: [^\\n]* does not have the files of the database[^\\n]*\\n$`) })

test('of several servers on one database none is accepted with another prefix, bucket or folder', async t => {
  const s3 = await openS3(t, join(t.testdir(), 'bucket'))
  const folder = join(t.testdirName, 'data')
  for (const { setting, good, wrong } of [
    { setting: 'STORAGE_URL', good: { STORAGE_URL: s3.url('good/') }, wrong: { STORAGE_URL: s3.url('wrong/') } },
    { setting: 'DATA_DIR', good: { DATA_DIR: join(folder, 'good') }, wrong: { DATA_DIR: join(folder, 'wrong') } }
  ]) {
    const database = { DATABASE_URL: await postgres.newDatabase(), ...credentials }
    const server = await spawnServer(t, { ...database, ...good } as Settings, isCounted)
    t.match(await runCommand(['serve'], { PORT: '0', ...database, ...wrong } as Settings), withoutFiles(setting), 'an empty store')
    const { token } = await signUp(server, 'ada')
    t.equal((await server.send('PUT', '/uploads/a', { token, body: 'a' })).status, 201)
    t.match(await open({ ...database, ...wrong } as Settings), withoutFiles(setting), 'a store with files')
    t.match(await runCommand(['doctor'], { ...database, ...good, PORT: String(server.port) } as Settings), { code: 0, stdout: setting === 'DATA_DIR' ? /^(?=[^]*contains only files of MagicStore)[^]*belong together/ : /ready at [^]*belong together/ })
    t.strictSame(s3.marks().filter(key => key.startsWith('wrong/')), [], 'nothing is left there')
    t.notOk(existsSync(join(folder, 'wrong', 'installations')))
    t.match(await open({ ...database, ...good } as Settings), { code: 0, stdout: /ada/ })
    await server.end('SIGTERM')
  }
})

test('of servers with different prefixes that start at once on an empty database the first one decides', async t => {
  const s3 = await openS3(t, join(t.testdir(), 'bucket'))
  const database = await postgres.newDatabase()
  const start = (prefix: string) => open({ DATABASE_URL: database, STORAGE_URL: s3.url(prefix) }, runBin)
  // Two have seen that nothing is recorded, and are still writing their marks when a third one comes.
  const writing: string[] = []
  s3.fault = ({ method, key }) => method === 'PUT' && key.includes('installations/') ? { slow: writing.push(key) <= 2 ? 8000 : 0 } : undefined
  const early = ['one/', 'two/'].map(start)
  await until(() => writing.length >= 2)
  t.match(await start('one/'), { code: 0, stderr: '' })
  t.match(await Promise.all(early), [{ code: 0, stderr: '' }, withoutFiles('STORAGE_URL')])
  t.match(s3.marks(), [/^one\//], 'and there is one mark')
  t.equal(s3.marks().length, 1)
})

test('doctor looks at the pair, new or used, and SQLite is copied for that', async t => {
  const s3 = await openS3(t, join(t.testdir(), 'bucket'))
  const doctor = (settings: Settings) => runCommand(['doctor'], { ...credentials, PORT: '0', ...settings })
  const shared = { DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url('shared/') }
  t.equal((await open(shared)).code, 0)
  t.match(await doctor(shared), { code: 0, stdout: /PostgreSQL [\d.]+ answers; to check/ })
  const unused = { DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url('unused/') }
  t.match(await doctor(unused), { code: 0, stdout: /PostgreSQL [\d.]+ answers; the next start upgrades the database/ })
  const own = { DATA_DIR: join(t.testdirName, 'data'), STORAGE_URL: s3.url('own/') }
  t.equal((await runCommand(['user', 'add', 'ada'], { ...credentials, ...own }, 'correct horse battery')).code, 0)
  t.match(await doctor(own), { code: 0, stdout: /good +pair: / })
  t.match(await doctor({ ...own, TMPDIR: join(own.DATA_DIR, 'nowhere') }), { code: 0, stdout: /warning +pair: it was not checked[^\n]*\n +fix: set TMPDIR/ })
})

test('a store of an older version is marked where its files are, and a mark that was lost is made again', async t => {
  const s3 = await openS3(t, join(t.testdir(), 'bucket'))
  const settings = { DATABASE_URL: await postgres.newDatabase(), ...credentials }
  const good = { ...settings, STORAGE_URL: s3.url('good/') }
  const server = await spawnServer(t, good, isCounted)
  const { token } = await signUp(server, 'ada')
  for (const name of ['a', 'b']) await server.send('PUT', `/uploads/${name}`, { token, body: name })
  await server.end('SIGTERM')
  // One file is damaged: the other one tells.
  const [first = ''] = s3.objects()
  s3.fault = ({ key }) => key === first ? { status: 404, code: 'NoSuchKey' } : undefined
  for (const sql of ['UPDATE installation SET storage_id = NULL', 'SELECT']) {
    s3.remove(String(s3.marks()[0]))
    await postgres.run(settings.DATABASE_URL, sql)
    t.match(await open({ ...settings, STORAGE_URL: s3.url('wrong/') }), withoutFiles('STORAGE_URL'), sql)
    t.equal((await open(good)).code, 0)
    t.equal(s3.marks().length, 1)
  }
})
