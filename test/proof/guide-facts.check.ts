import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { test } from 'tap'
import { readConfig } from '#src/config.ts'
import { startPostgres } from '../kit/postgres.ts'
import { run } from '../kit/programs.ts'
import { blocksOf, readGuide, readPage, sectionOf } from '../kit/readme.ts'
import { root } from '../kit/root.ts'
import { clientOf, signUp, spawnBin, spawnServer } from '../kit/server.ts'
import { until } from '../kit/waiting.ts'
import { freePort } from '../kit/wire.ts'
import { skipWithout } from './fronts.ts'

// What the operator's pages say besides commands: the settings file, the database, the bucket, messages and log files.

const postgres = await startPostgres(t)

type Variables = Record<string, string>

async function readInShell (file: string): Promise<Variables | undefined> {
  const { code, stdout } = await run('env', ['-i', 'PATH=/usr/bin:/bin', 'sh', '-c', `set -a; . '${file}'; exec env -0`])
  return code === 0 ? parsed(stdout.split('\0')) : undefined
}

const parsed = (lines: string[]): Variables => Object.fromEntries(lines.filter(line => line.includes('=')).map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]))

/** The lines as they are, except comments. */
const literally = (text: string) => parsed(text.split('\n').filter(line => !line.startsWith('#')))

/** Parses as the manager does for `EnvironmentFile`, and also expands `$`. */
const generator = '/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator'

async function readBySystemd (file: string, folder: string): Promise<Variables | undefined> {
  await mkdir(join(folder, 'environment.d'), { recursive: true })
  await writeFile(join(folder, 'environment.d/magicstore.conf'), await readFile(file))
  const { code, stdout } = await run(generator, [], { env: { XDG_CONFIG_HOME: folder } })
  // It quotes for a shell.
  await writeFile(join(folder, 'generated'), stdout)
  return code === 0 ? readInShell(join(folder, 'generated')) : undefined
}

/** Each gives undefined if the program can't read the file. */
const readers: Record<string, (file: string, folder: string) => Promise<Variables | undefined>> = {
  sh: readInShell,
  ...(existsSync(generator) && { systemd: readBySystemd }),
  // `docker run --env-file` takes each line as it is.
  docker: async file => literally(await readFile(file, 'utf8'))
}

/** What each installed program reads from a settings file, of the names in it. */
async function readBy (folder: string, text: string): Promise<Record<string, Variables | undefined>> {
  const file = join(folder, 'magicstore.env')
  await writeFile(file, text)
  const names = Object.keys(literally(text))
  const results: Record<string, Variables | undefined> = {}
  for (const [name, read] of Object.entries(readers)) {
    const variables = await read(file, folder)
    results[name] = variables && Object.fromEntries(names.map(name => [name, variables[name] ?? '']))
  }
  return results
}

async function exampleFile (): Promise<string> {
  const [lines = []] = blocksOf(sectionOf(await readGuide(), '## Settings file'), 'ini')
  return `${lines.join('\n')}\n`
}

test('systemd, shells and containers read the same from the settings file of the guide, and the server takes it', async t => {
  const text = await exampleFile()
  const expected = literally(text)
  t.ok(Object.keys(expected).length > 5)
  for (const [name, variables] of Object.entries(await readBy(t.testdir(), text))) t.same(variables, expected, name)
  t.match(readConfig(expected), { quotaBytes: 10 * 1024 ** 3, databaseUrl: expected.DATABASE_URL, storageUrl: { bucket: 'files', endpoint: 'https://s3.example.org', region: undefined } })
  t.equal(decodeURIComponent(new URL(String(expected.DATABASE_URL)).password), 'pa#ss@word')
})

test('all read the same from the characters that the guide allows, and not from those that it warns of', async t => {
  const folder = t.testdir()
  const [, list = ''] = /Values consist of letters, digits and `([^`]+)`/.exec(await readGuide()) ?? []
  const allowed = list.split(' ')
  t.ok(allowed.length > 8)
  const lines = allowed.flatMap((character, index) => [`A${index}=a${character}b`, `B${index}=${character}`, `C${index}=${character}${character}c${character}`])
  for (const [name, variables] of Object.entries(await readBy(folder, lines.join('\n')))) t.same(variables, parsed(lines), name)
  for (const character of ['"', "'", ' ', '#', '$', '&', '\\']) {
    const line = `A=a ${character}b`.replace('  ', ' ')
    const results = Object.values(await readBy(folder, `${line}\n`))
    t.ok(results.some(variables => variables?.A !== line.slice(2)), `they differ about ${character}`)
  }
})

test('the SQL of the guide makes a role and a database that a server can use, and no other role', async t => {
  const [lines = []] = blocksOf(sectionOf(await readPage('scaling.md'), '## Prepare PostgreSQL'), 'sql')
  t.equal(lines.length, 3)
  for (const line of lines) await postgres.run(postgres.url('postgres'), line)
  const url = `postgres://magicstore:password@127.0.0.1:${postgres.port}/magicstore`
  const server = await spawnServer(t, { DATA_DIR: t.testdir(), DATABASE_URL: url })
  const { token } = await signUp(server, 'ann')
  t.equal((await server.send('PUT', '/uploads/a', { token, body: 'abc' })).status, 201)
  t.equal(await server.end('SIGTERM'), 0)
  const owners = await postgres.run(postgres.url('magicstore'), "SELECT DISTINCT schemaname, tableowner FROM pg_tables WHERE schemaname IN ('public', 'drizzle') ORDER BY 1")
  t.same(owners, [{ schemaname: 'drizzle', tableowner: 'magicstore' }, { schemaname: 'public', tableowner: 'magicstore' }])
  await postgres.run(postgres.url('postgres'), "CREATE ROLE other LOGIN PASSWORD 'password'")
  await t.rejects(postgres.run(url.replace('//magicstore', '//other'), 'SELECT 1'), { code: '42501' })
})

/** The right that each request of the server to a bucket needs. */
const rights: Record<string, string> = {
  ListObjectsV2: 's3:ListBucket',
  ListMultipartUploads: 's3:ListBucketMultipartUploads',
  GetObject: 's3:GetObject',
  HeadObject: 's3:GetObject',
  PutObject: 's3:PutObject',
  // And s3:GetObject, of what is copied.
  CopyObject: 's3:PutObject',
  CreateMultipartUpload: 's3:PutObject',
  UploadPart: 's3:PutObject',
  // As CopyObject.
  UploadPartCopy: 's3:PutObject',
  CompleteMultipartUpload: 's3:PutObject',
  AbortMultipartUpload: 's3:AbortMultipartUpload',
  DeleteObject: 's3:DeleteObject',
  DeleteObjects: 's3:DeleteObject'
}

test('the guide gives the credentials of the bucket the rights that the requests of the server need, and no more', async t => {
  const [lines = []] = blocksOf(sectionOf(await readPage('scaling.md'), '## Prepare a bucket'), 'json')
  const given = JSON.parse(lines.join('\n')).Statement.flatMap(({ Action }: { Action: string[] }) => Action) as string[]
  const folder = join(root, 'src/blobs/s3')
  const sources = await Promise.all((await readdir(folder)).map(name => readFile(join(folder, name), 'utf8')))
  const sent = new Set(Array.from(sources.join('\n').matchAll(/\b(?:new ([A-Z]\w+)Command|paginate([A-Z]\w+))\(/g), ([, command, listing]) => command ?? listing ?? ''))
  t.ok(sent.size > 10)
  t.same(new Set(Array.from(sent, name => rights[name])), new Set(given))
})

const skipLogrotate = process.env.REQUIRE_SERVICES !== '1' && skipWithout('logrotate')

test('logrotate, as in the guide, rotates the log of a server that goes on', { skip: skipLogrotate }, async t => {
  const folder = t.testdir({ log: {}, data: {} })
  const [lines = []] = blocksOf(await readPage('monitoring.md'), 'logrotate')
  await writeFile(join(folder, 'logrotate.conf'), lines.join('\n').replace('/var/log/magicstore', join(folder, 'log')), { mode: 0o644 })
  const port = await freePort()
  const child = spawnBin(['serve'], { PORT: String(port), DATA_DIR: join(folder, 'data') }, { under: ['sh', '-c', `exec "$0" "$@" >> '${join(folder, 'log/server.log')}'`] })
  t.teardown(() => child.kill('SIGKILL'))
  const client = clientOf(port)
  const log = join(folder, 'log/server.log')
  await until(async () => client.send('GET', '/health/live').catch(() => undefined), answer => answer?.status === 200)
  const ask = async (path: string) => {
    await client.send('GET', path)
    return until(() => readFile(log, 'utf8'), text => text.includes(path))
  }
  await ask('/before')
  const { status, stderr } = spawnSync('logrotate', ['--force', '--state', join(folder, 'state'), join(folder, 'logrotate.conf')], { encoding: 'utf8' })
  t.equal(status, 0, { stderr })
  const text = await ask('/after')
  t.match(JSON.parse(text.split('\n').find(line => line.includes('/after')) ?? ''), { msg: 'request', path: '/after' })
  t.notOk(text.includes('/before') || text.includes('\0'), 'it begins anew')
  t.match(await readFile(`${log}.1`, 'utf8'), '/before')
})
