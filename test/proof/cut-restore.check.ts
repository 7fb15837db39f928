import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import pg from 'pg'
import { test, type Test } from 'tap'
import { createBackup, createStore, expectRefusal, filesOfUser, hasStrace, report } from '../kit/backups.ts'
import { commandOf } from '../kit/bin.ts'
import { startPostgres, type PostgresServer } from '../kit/postgres.ts'
import { credentials, openS3, type FakeS3, type S3Request } from '../kit/s3.ts'
import { runBin, spawnBin, spawnServer, type Settings } from '../kit/server.ts'
import { until } from '../kit/waiting.ts'

// A restore that is killed is told apart from an empty store, wherever its parts are.

const withStrace = { skip: hasStrace ? false : 'strace is not installed', timeout: 300_000 }

/** What every command says of a store with a part of a backup. */
const PART = /[^\n]*has a part of a backup only: a restore was interrupted(?:, or is running)?; run magicstore restore FOLDER again to continue it, or magicstore restore FOLDER --discard to begin anew/

/** No server starts on the store, and no command works on it. */
async function expectPart (
  t: Test, settings: Settings, { step, every = false }: { step: string, every?: boolean }
): Promise<void> {
  await expectRefusal(t, ['serve'], { PORT: '0', ...settings }, { expected: 2, says: PART, why: `${step}: serve` })
  if (!every) return
  for (const args of [['user', 'list'], ['user', 'add', 'bob'], ['fsck'], ['backup', join(t.testdirName, 'none')]]) {
    await expectRefusal(t, args, settings, { expected: 2, says: PART, why: `${step}: ${args.join(' ')}` })
  }
}

/** All files of the backup are there, and nothing else. */
async function expectWhole (t: Test, settings: Settings, step: string): Promise<void> {
  const { code, stdout } = await runBin(['fsck', '--deep'], settings)
  t.strictSame([code, stdout], [0, 'all is well\n'], step)
}

async function killedAt (rename: number, args: string[], settings: Settings): Promise<void> {
  const under = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=rename', '-e', `inject=rename:signal=KILL:when=${rename}`]
  const child = spawn(...commandOf(args, { ...settings, UV_THREADPOOL_SIZE: '1' }, { under, isCounted: false }), { stdio: 'ignore' })
  await once(child, 'exit')
}

/** Runs a command that is killed when it sends a certain request to the bucket, which does not get it. */
async function killedBefore (
  s3: FakeS3, isReached: (request: S3Request) => boolean, args: string[], settings: Settings
): Promise<void> {
  const child = spawnBin(args, settings, { isCounted: false })
  const exited = once(child, 'exit')
  s3.fault = request => {
    if (!isReached(request)) return undefined
    child.kill('SIGKILL')
    return 'reset'
  }
  await exited
  s3.fault = () => undefined
}

const isPutOf = (name: RegExp) => ({ method, key }: S3Request) => method === 'PUT' && name.test(key)

/** The nth request that `isReached` accepts. */
function nth (count: number, isReached: (request: S3Request) => boolean): (request: S3Request) => boolean {
  let reached = 0
  return request => isReached(request) && ++reached === count
}

/** The requests of a restore at which it is killed, in their order. */
const steps = {
  'before the first file': () => isPutOf(/[0-9a-f]{32}$/),
  'between files': () => nth(5, isPutOf(/[0-9a-f]{32}$/)),
  'before the mark of the database': () => isPutOf(/installations\/(?!restoring)/)
}

const AT_THE_END = ({ method, key }: S3Request) => method === 'DELETE' && key.includes('restoring')

const contents = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`file ${index}`, `bytes ${index}`]))

interface Services { postgres: PostgresServer, s3: FakeS3 }

async function services (t: Test): Promise<Services> {
  return { postgres: await startPostgres(t), s3: await openS3(t, join(t.testdir(), 'bucket')) }
}

interface Combination {
  name: string
  prefix: string
  settings: (t: Test, services: Services, prefix: string) => Promise<Settings>
}

const combinations: Combination[] = [
  {
    name: 'PostgreSQL and S3',
    prefix: 'pg',
    settings: async (_, { postgres, s3 }, prefix) =>
      ({ DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url(prefix), ...credentials })
  },
  {
    name: 'SQLite and S3',
    prefix: 'lite',
    settings: async (t, { s3 }, prefix) =>
      ({ DATA_DIR: join(t.testdirName, prefix), STORAGE_URL: s3.url(prefix), ...credentials })
  }
]

test('a restore into a bucket that is killed at any step is no store: it is continued, or begun anew', { timeout: 600_000 }, async t => {
  const all = await services(t)
  const { s3 } = all
  const { folder: root, dataDir, user } = await createStore(t, contents)
  const backup = join(root, 'backup')
  await report(['backup', backup], { DATA_DIR: dataDir })
  for (const { name, prefix, settings: make } of combinations) {
    for (const [index, [step, isReached]] of Object.entries(steps).entries()) {
      for (const option of [[], ['--discard']]) {
        const place = `${prefix}-${index}-${option.length}/`
        const what = `${name}, ${step}`
        const settings = await make(t, all, place)
        await killedBefore(s3, isReached(), ['restore', backup], settings)
        const stored = s3.objects().filter(key => key.startsWith(place)).length
        await expectPart(t, settings, { step: what, every: index === 1 && option.length === 0 })
        if (index === 1) t.match(await runBin(['doctor'], settings), { code: 1, stdout: /a restore (?:into DATA_DIR )?was interrupted/ }, what)
        s3.log.length = 0
        await report(['restore', backup, ...option], settings)
        const sent = s3.log.filter(line => line.startsWith(`PUT ${place}`) && /[0-9a-f]{32}$/.test(line)).length
        t.equal(sent, option.length === 0 ? 12 - stored : 12, `${what}: what was there is sent again with --discard only`)
        await expectWhole(t, settings, what)
        t.equal(s3.marks().filter(key => key.startsWith(place)).length, 1, 'and its mark is gone')
        await expectRefusal(t, ['restore', backup, '--discard'], settings, { expected: 2, says: /[^\n]*(?:has accounts|has a database)[^\n]*another prefix[^\n]*/, why: 'never a store that is complete' })
      }
    }
    const settings = await make(t, all, `${prefix}-end/`)
    await killedBefore(s3, AT_THE_END, ['restore', backup], settings)
    t.equal(s3.marks().filter(key => key.startsWith(`${prefix}-end/`)).length, 2)
    const server = await spawnServer(t, settings, { isCounted: true })
    t.equal(Object.keys(await filesOfUser(t, server, user)).length, 12, 'it is complete when only its mark remains')
    t.equal(s3.marks().filter(key => key.startsWith(`${prefix}-end/`)).length, 1)
    await server.end('SIGTERM')
  }
})

test('a restore that is killed while PostgreSQL takes the metadata is no store', async t => {
  const { postgres, s3 } = await services(t)
  const { folder: root, dataDir } = await createStore(t, contents)
  const backup = join(root, 'backup')
  await report(['backup', backup], { DATA_DIR: dataDir })
  const settings = { DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url(), ...credentials }
  const client = new pg.Client({ connectionString: settings.DATABASE_URL })
  await client.connect()
  const child = spawnBin(['restore', backup], settings, { isCounted: false })
  const exited = once(child, 'exit')
  let isLocking = false
  s3.fault = request => {
    if (!isPutOf(/installations\/(?!restoring)/)(request)) return undefined
    isLocking = true
    return { slow: 1000 }
  }
  await until(() => isLocking)
  await client.query('BEGIN')
  await client.query('LOCK TABLE files')
  await until(async () => (await postgres.run(settings.DATABASE_URL, "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'files'::regclass")).length > 0)
  child.kill('SIGKILL')
  await exited
  await client.query('COMMIT')
  await client.end()
  s3.fault = () => undefined
  await expectPart(t, settings, { step: 'in the transaction' })
  await report(['restore', backup], settings)
  await expectWhole(t, settings, 'in the transaction')
})

test('a restore into PostgreSQL and a folder that is killed is no store', withStrace, async t => {
  const postgres = await startPostgres(t)
  t.testdir()
  const { folder: root, dataDir } = await createStore(t, { one: 'one', two: 'two' })
  const backup = join(root, 'backup')
  await report(['backup', backup], { DATA_DIR: dataDir })
  for (const when of [2, 3, 5]) {
    for (const option of [[], ['--discard']]) {
      const settings = { DATABASE_URL: await postgres.newDatabase(), DATA_DIR: join(root, `restored-${when}-${option.length}`) }
      await killedAt(when, ['restore', backup], settings)
      await expectPart(t, settings, { step: `rename ${when}` })
      t.match(await runBin(['doctor'], settings), { code: 1, stdout: /a restore was interrupted/ })
      await report(['restore', backup, ...option], settings)
      await expectWhole(t, settings, `rename ${when}`)
      t.equal((await readdir(join(settings.DATA_DIR, 'installations'))).length, 1)
    }
  }
})

test('a part of another backup is not continued, and --discard deletes nothing that another database may have', async t => {
  const { postgres, s3 } = await services(t)
  const { folder: root, dataDir, user } = await createStore(t, contents)
  const [backup, folder] = [join(root, 'backup'), join(root, 'copy')]
  const { snapshot: older } = await report(['backup', backup], { DATA_DIR: dataDir })
  const server = await spawnServer(t, { DATA_DIR: dataDir })
  await server.send('DELETE', '/uploads/file%200?permanent=true', { user })
  await server.end('SIGTERM')
  const { snapshot: newer } = await report(['backup', backup, '--keep', '2'], { DATA_DIR: dataDir })
  const other = new RegExp(`[^\\n]*has a part of another backup, ${older}; restore that one, or begin anew with --discard`)

  const used = { DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url('shared/'), ...credentials }
  await report(['restore', backup, '--at', older], used)
  for (const [index, prefix] of ['alone/', 'shared/'].entries()) {
    const settings = { DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url(prefix), ...credentials }
    await killedBefore(s3, index === 0 ? steps['before the mark of the database']() : ({ method, key }) => method === 'GET' && /[0-9a-f]{32}$/.test(key) && s3.log.length > 0 && s3.marks().some(mark => mark.includes('restoring')), ['restore', backup, '--at', older], settings)
    await expectPart(t, settings, { step: prefix })
    await expectRefusal(t, ['restore', backup, '--at', newer], settings, { expected: 2, says: other })
    await report(['restore', backup, '--discard'], settings)
    t.equal(s3.objects().filter(key => key.startsWith(prefix)).length, index === 0 ? 11 : 12)
    if (index === 0) await expectWhole(t, settings, prefix)
  }
  await expectWhole(t, used, 'the database that had the bucket before')

  const settings = { DATA_DIR: folder }
  if (!hasStrace) return
  await killedAt(4, ['restore', backup, '--at', older], settings)
  await expectRefusal(t, ['restore', backup], settings, { says: other })
  await expectPart(t, settings, { step: 'a folder', every: true })
  await expectRefusal(t, ['restore', backup], { ...settings, DATABASE_URL: await postgres.newDatabase() }, { expected: 2, says: PART })
  await cp(folder, join(root, 'unnamed'), { recursive: true })
  await rm(join(root, 'unnamed/restoring/snapshot'))
  for (const [place, args] of [[folder, ['--discard']], [join(root, 'unnamed'), []]] as const) {
    await report(['restore', backup, ...args], { DATA_DIR: place })
    await expectWhole(t, { DATA_DIR: place }, place)
  }
})

test('a restore that another one has discarded does not end as if it were whole', async t => {
  const { postgres, s3 } = await services(t)
  const { folder } = await createBackup(t)
  const settings = { DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url('two/'), ...credentials }
  const isPutOfFile = isPutOf(/[0-9a-f]{32}$/)
  s3.fault = request => {
    if (isPutOfFile(request)) for (const mark of s3.marks()) s3.remove(mark)
    return undefined
  }
  await expectRefusal(t, ['restore', folder], settings, { expected: 2, says: /[^\n]*: another restore has discarded this one; run one restore at a time/ })
  s3.fault = () => undefined
  await report(['restore', folder, '--discard'], settings)
  await expectWhole(t, settings, 'alone')

  const dataDir = join(t.testdirName, 'keys')
  await mkdir(dataDir)
  await writeFile(join(dataDir, 'signing-keys'), `old:${'s'.repeat(40)}\n`)
  const beside = { DATA_DIR: dataDir, STORAGE_URL: s3.url('beside/'), ...credentials }
  await expectRefusal(t, ['restore', join(t.testdirName, 'none'), '--discard'], beside)
  t.match(await readFile(join(dataDir, 'signing-keys'), 'utf8'), /^old:/, 'where nothing was interrupted, nothing is discarded')
  await report(['restore', folder, '--discard'], beside)
  await expectWhole(t, beside, 'SQLite and a bucket')
})

test('where a server has begun to use the empty database, the restore says what to do', async t => {
  const { postgres, s3 } = await services(t)
  const { folder } = await createBackup(t)
  const settings = { DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url('old/'), ...credentials }
  await runBin(['user', 'list'], settings)
  await expectRefusal(t, ['restore', folder, '--discard'], settings, { expected: 2, says: /[^\n]*was used by a server; restore the backup into a new one, with another prefix in STORAGE_URL, or another DATA_DIR/ })
  const anew = { ...settings, DATABASE_URL: await postgres.newDatabase() }
  await expectRefusal(t, ['restore', folder], anew, { expected: 2, says: /[^\n]*belongs to another database, by its mark[^\n]*/ })
  await report(['restore', folder], { ...anew, STORAGE_URL: s3.url('new/') })
})
