import { once } from 'node:events'
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createStore, expectRefusal, filesOfUser, hasStrace, killedAt, report } from '../kit/backups.ts'
import { runCommand } from '../kit/commands.ts'
import { startPostgres } from '../kit/postgres.ts'
import { credentials, openS3, type FakeS3, type S3Request } from '../kit/s3.ts'
import { spawnBin, startServer, type Settings } from '../kit/server.ts'
import { isProof } from '../kit/sizes.ts'

// A restore that is killed is told apart from an empty store, wherever its parts are.

// The AWS SDK reads its credentials from the environment.
Object.assign(process.env, credentials)

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
  const { code, stdout } = await runCommand(['fsck', '--deep'], settings)
  t.strictSame([code, stdout], [0, 'all is well\n'], step)
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

const postgres = await startPostgres(t)

const contents = Object.fromEntries(Array.from({ length: 13 }, (_, index) => [`file ${index}`, `bytes ${index}`]))
const { folder: root, dataDir, user } = await createStore(t, contents)

/** A backup of 13 files, and a newer one of 12. */
const backup = join(root, 'backup')
const { snapshot: older } = await report(['backup', backup], { DATA_DIR: dataDir })
const server = await startServer(t, { DATA_DIR: dataDir })
await server.send('DELETE', '/uploads/file%200?permanent=true', { user })
await server.close()
const { snapshot: newer } = await report(['backup', backup, '--keep', '2'], { DATA_DIR: dataDir })

const openBucket = (t: Test) => openS3(t, join(t.testdir(), 'bucket'))

const combinations: Record<string, (t: Test, s3: FakeS3, prefix: string) => Promise<Settings>> = {
  'PostgreSQL and S3': async (_, s3, prefix) =>
    ({ DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url(prefix), ...credentials }),
  'SQLite and S3': async (t, s3, prefix) =>
    ({ DATA_DIR: join(t.testdirName, prefix), STORAGE_URL: s3.url(prefix), ...credentials })
}

t.test('a restore into a bucket that is killed at any step is no store: it is continued, or begun anew', { timeout: 600_000 }, async t => {
  const s3 = await openBucket(t)
  for (const [combination, [name, make]] of Object.entries(combinations).entries()) {
    for (const [index, [step, isReached]] of Object.entries(steps).entries()) {
      for (const option of [[], ['--discard']]) {
        // A third of them has each step, each option and each combination.
        if (!isProof && (combination + index + option.length) % 3 !== 1) continue
        const place = `${combination}-${index}-${option.length}/`
        const what = `${name}, ${step}`
        const settings = await make(t, s3, place)
        await killedBefore(s3, isReached(), ['restore', backup], settings)
        await expectPart(t, settings, { step: what, every: index === 1 && option.length === 0 })
        if (index === 1) t.match(await runCommand(['doctor'], settings), { code: 1, stdout: /a restore (?:into DATA_DIR )?was interrupted/ }, what)
        // Only now: the bucket may end requests of a process that was killed.
        const stored = s3.objects().filter(key => key.startsWith(place)).length
        s3.log.length = 0
        await report(['restore', backup, ...option], settings)
        const sent = s3.log.filter(line => line.startsWith(`PUT ${place}`) && /[0-9a-f]{32}$/.test(line)).length
        t.equal(sent, option.length === 0 ? 12 - stored : 12, `${what}: what was there is sent again with --discard only`)
        await expectWhole(t, settings, what)
        t.equal(s3.marks().filter(key => key.startsWith(place)).length, 1, 'and its mark is gone')
        await expectRefusal(t, ['restore', backup, '--discard'], settings, { expected: 2, says: /[^\n]*(?:has accounts|has a database)[^\n]*another prefix[^\n]*/, why: 'never a store that is complete' })
      }
    }
    const place = `${combination}-end/`
    const settings = await make(t, s3, place)
    await killedBefore(s3, AT_THE_END, ['restore', backup], settings)
    t.equal(s3.marks().filter(key => key.startsWith(place)).length, 2)
    const server = await startServer(t, { DATA_DIR: join(t.testdirName, 'unused'), ...settings })
    t.equal(Object.keys(await filesOfUser(t, server, user)).length, 12, 'it is complete when only its mark remains')
    t.equal(s3.marks().filter(key => key.startsWith(place)).length, 1)
    await server.close()
  }
})

t.test('a restore into PostgreSQL and a folder that is killed is no store', withStrace, async t => {
  for (const [index, when] of [2, 3, 5].entries()) {
    for (const option of [[], ['--discard']]) {
      if (!isProof && (index + option.length) % 3 !== 0) continue
      const settings = { DATABASE_URL: await postgres.newDatabase(), DATA_DIR: join(t.testdir(), 'restored') }
      await killedAt({ when }, ['restore', backup], settings)
      await expectPart(t, settings, { step: `rename ${when}` })
      t.match(await runCommand(['doctor'], settings), { code: 1, stdout: /a restore was interrupted/ })
      await report(['restore', backup, ...option], settings)
      await expectWhole(t, settings, `rename ${when}`)
      t.equal((await readdir(join(settings.DATA_DIR, 'installations'))).length, 1)
    }
  }
})

t.test('a part of another backup is not continued, and --discard deletes nothing that another database may have', async t => {
  const s3 = await openBucket(t)
  const folder = join(t.testdirName, 'copy')
  const other = new RegExp(`[^\\n]*has a part of another backup, ${older}; restore that one, or begin anew with --discard`)

  const used = { DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url('shared/'), ...credentials }
  await report(['restore', backup, '--at', older], used)
  for (const [index, prefix] of ['alone/', 'shared/'].entries()) {
    const settings = { DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url(prefix), ...credentials }
    await killedBefore(s3, index === 0 ? steps['before the mark of the database']() : ({ method, key }) => method === 'GET' && /[0-9a-f]{32}$/.test(key) && s3.log.length > 0 && s3.marks().some(mark => mark.includes('restoring')), ['restore', backup, '--at', older], settings)
    await expectPart(t, settings, { step: prefix })
    await expectRefusal(t, ['restore', backup, '--at', newer], settings, { expected: 2, says: other })
    await report(['restore', backup, '--discard'], settings)
    t.equal(s3.objects().filter(key => key.startsWith(prefix)).length, index === 0 ? 12 : 13)
    if (index === 0) await expectWhole(t, settings, prefix)
  }
  await expectWhole(t, used, 'the database that had the bucket before')

  const settings = { DATA_DIR: folder }
  if (!hasStrace) return
  await killedAt({ when: 4 }, ['restore', backup, '--at', older], settings)
  await expectRefusal(t, ['restore', backup], settings, { says: other })
  await expectPart(t, settings, { step: 'a folder', every: true })
  await expectRefusal(t, ['restore', backup], { ...settings, DATABASE_URL: await postgres.newDatabase() }, { expected: 2, says: PART })
  await cp(folder, join(t.testdirName, 'unnamed'), { recursive: true })
  await rm(join(t.testdirName, 'unnamed/restoring/snapshot'))
  for (const [place, args] of [[folder, ['--discard']], [join(t.testdirName, 'unnamed'), []]] as const) {
    await report(['restore', backup, ...args], { DATA_DIR: place })
    await expectWhole(t, { DATA_DIR: place }, place)
  }
})

t.test('a restore that another one has discarded does not end as if it were whole', async t => {
  const s3 = await openBucket(t)
  const settings = { DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url('two/'), ...credentials }
  const isPutOfFile = isPutOf(/[0-9a-f]{32}$/)
  s3.fault = request => {
    if (isPutOfFile(request)) for (const mark of s3.marks()) s3.remove(mark)
    return undefined
  }
  await expectRefusal(t, ['restore', backup], settings, { expected: 2, says: /[^\n]*: another restore has discarded this one; run one restore at a time/ })
  s3.fault = () => undefined
  await report(['restore', backup, '--discard'], settings)
  await expectWhole(t, settings, 'alone')

  const dataDir = join(t.testdirName, 'keys')
  await mkdir(dataDir)
  await writeFile(join(dataDir, 'signing-keys'), `old:${'s'.repeat(40)}\n`)
  const beside = { DATA_DIR: dataDir, STORAGE_URL: s3.url('beside/'), ...credentials }
  await expectRefusal(t, ['restore', join(t.testdirName, 'none'), '--discard'], beside)
  t.match(await readFile(join(dataDir, 'signing-keys'), 'utf8'), /^old:/, 'where nothing was interrupted, nothing is discarded')
  await report(['restore', backup, '--discard'], beside)
  await expectWhole(t, beside, 'SQLite and a bucket')
})

t.test('where a server has begun to use the empty database, the restore says what to do', async t => {
  const s3 = await openBucket(t)
  const settings = { DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url('old/'), ...credentials }
  await runCommand(['user', 'list'], settings)
  await expectRefusal(t, ['restore', backup, '--discard'], settings, { expected: 2, says: /[^\n]*was used by a server; restore the backup into a new one, with another prefix in STORAGE_URL, or another DATA_DIR/ })
  const anew = { ...settings, DATABASE_URL: await postgres.newDatabase() }
  await expectRefusal(t, ['restore', backup], anew, { expected: 2, says: /[^\n]*belongs to another database, by its mark[^\n]*/ })
  await report(['restore', backup], { ...anew, STORAGE_URL: s3.url('new/') })
})
