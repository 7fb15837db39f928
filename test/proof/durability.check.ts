import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { runCommand } from '../kit/commands.ts'
import { sha256Of } from '../kit/digests.ts'
import { signUp, spawnServer, type Answer, type Client } from '../kit/server.ts'
import { isProof } from '../kit/sizes.ts'
import { runSql } from '../kit/stores.ts'
import { skipWithoutStrace, straced } from '../kit/strace.ts'
import { until } from '../kit/waiting.ts'

/**
 * No temporary files are left, and no blobs but those that files, versions and trash need. A start does not wait for
 * what its sweep removes.
 */
async function checkNoLeftovers (t: Test, dataDir: string, blobCount: number): Promise<void> {
  await untilSwept(dataDir)
  t.strictSame(await readdir(join(dataDir, 'incoming')), [], 'no temporary bytes remain')
  t.equal((await blobsOf(dataDir)).length, blobCount, 'no bytes without a file')
}

async function untilSwept (dataDir: string): Promise<void> {
  await until(async () => (await runSql(dataDir, 'SELECT blob_id FROM discarded_blobs LIMIT 1')).length === 0)
}

async function blobsOf (dataDir: string): Promise<string[]> {
  const folders = await readdir(join(dataDir, 'blobs'))
  return (await Promise.all(folders.map(folder => readdir(join(dataDir, 'blobs', folder))))).flat()
}

/**
 * Steps of the commit protocol and their system calls. Only the main thread writes the log of the database; the thread
 * pool syncs it.
 */
const steps: { step: string, call: string, threads: 'all' | 'main', path?: string }[] = [
  { step: 'bytes or log are synced', call: 'fdatasync', threads: 'all' },
  { step: 'the log is synced', call: 'fdatasync', threads: 'all', path: 'magicstore.db-wal' },
  { step: 'the folder is synced', call: 'fsync', threads: 'all' },
  { step: 'the log is written', call: 'pwrite64', threads: 'main' },
  { step: 'the blob is committed', call: 'rename', threads: 'all' },
  { step: 'the answer is sent', call: 'writev', threads: 'main' },
  { step: 'the old bytes are removed', call: 'unlink', threads: 'all' }
]

t.test('a process that dies at a step of the commit protocol leaves the old state or the new one', { skip: skipWithoutStrace, timeout: 600_000 }, async t => {
  for (const [KEEP_DAYS, what] of [['0', 'nothing'], ['30', 'the old bytes']] as const) {
    await t.test(`when it keeps ${what}`, t => dieAtEachStep(t, { DATA_DIR: t.testdir(), KEEP_DAYS, KEEP_VERSIONS: '1' }))
  }
})

async function dieAtEachStep (
  t: Test, settings: { DATA_DIR: string, KEEP_DAYS: string, KEEP_VERSIONS: string }
): Promise<void> {
  let server = await spawnServer(t, settings)
  const { user } = await signUp(server, 'ada')
  const kept = Number(settings.KEEP_DAYS) > 0
  let version = kept ? await put(server, user, randomBytes(3000)) : undefined
  let before = await put(server, user, randomBytes(3000))
  // What is kept matters to those who write the log and move the blob alone.
  const tried = kept && !isProof ? steps.filter(({ call }) => call === 'pwrite64' || call === 'rename') : steps
  for (const { step, call, threads, path } of tried) {
    const bytes = randomBytes(3000)
    await straced(t, server, [...(threads === 'all' ? ['-f'] : []), ...(path === undefined ? [] : ['-P', join(settings.DATA_DIR, path)]), '-e', `inject=${call}:signal=KILL`])
    const answer = await put(server, user, bytes).catch(() => undefined)
    await once(server.child, 'close').catch(() => {})
    server = await spawnServer(t, settings)
    const now = sha256Of((await server.send('GET', '/uploads/victim', { user })).bytes)
    t.ok([before, sha256Of(bytes)].includes(now), `${step}: whole`)
    if (answer !== undefined) t.equal(now, answer, `${step}: acknowledged`)
    if (kept && now !== before) version = before
    before = now
    const { json: { versions } } = await server.send('GET', '/api/files/victim/versions', { user })
    t.strictSame(versions.map(({ sha256 }: { sha256: string }) => sha256), version === undefined ? [] : [version], step)
    await checkNoLeftovers(t, settings.DATA_DIR, 1 + versions.length)
  }
  await server.end('SIGTERM')
  t.match(await runCommand(['fsck', '--deep'], settings), { code: 0, stdout: 'all is well\n' })
}

async function put (client: Client, user: [string, string], body: string | Uint8Array): Promise<string> {
  return (await client.send('PUT', '/uploads/victim', { user, body })).json.sha256
}

t.test('bytes or a link, and the folder, are synced before the log, that before the answer; a blob is forgotten when its removal is synced; an upload beyond the disk quota of the user is 507', { skip: skipWithoutStrace }, async t => {
  const settings = { DATA_DIR: t.testdir({ data: {} }) + '/data', KEEP_DAYS: '0' }
  const trace = join(t.testdirName, 'calls')
  const server = await spawnServer(t, settings)
  const { user } = await signUp(server, 'ada')
  /** The calls that are made for a request. */
  async function callsFor (send: () => Promise<Answer>, status: number, fault: string[] = []): Promise<string[]> {
    const strace = await straced(t, server, ['-f', '-y', '-o', trace, '-e', 'trace=link,unlink,fsync,fdatasync,pwrite64,writev,write', ...fault])
    t.equal((await send()).status, status)
    await untilSwept(settings.DATA_DIR)
    await strace.end()
    return callsIn(trace)
  }
  const bytesIn = (calls: string[]) => findEnd(calls, /fdatasync\(\d+<.*\/incoming\/[0-9a-f]{32}>/)
  const folderIn = (calls: string[]) => findEnd(calls, /fsync\(\d+<.*\/incoming>/)
  const logIn = (calls: string[]) => find(calls, /fdatasync\(\d+<.*magicstore\.db-wal>/)

  const calls = await callsFor(() => server.send('PUT', '/uploads/victim', { user, body: 'hello' }), 201)
  const [bytes, folder, log, answer] = [bytesIn(calls), folderIn(calls), logIn(calls), find(calls, /201 Created/)]
  t.notOk([bytes, folder, log, answer].includes(-1), 'every step is there')
  t.ok(Math.max(bytes, folder) < log, 'bytes and folder before the log')
  t.ok(log < answer, 'the log before the answer')

  for (const [index, error] of [undefined, 'EMLINK', 'EXDEV', 'EPERM'].entries()) {
    const name = `copy-${index}`
    const fault = error === undefined ? [] : ['-e', `inject=link:error=${error}`]
    const calls = await callsFor(() => server.send('POST', '/api/files/victim/copy', { user, json: { name } }), 201, fault)
    const [linked, bytes, folder, log] = [find(calls, /link\(".*\/blobs\/.*"/), bytesIn(calls), folderIn(calls), logIn(calls)]
    t.notOk([linked, folder, log].includes(-1), 'every step is there')
    t.equal(bytes !== -1, error !== undefined, 'where no link can be made, its bytes are synced')
    t.ok(linked < folder && Math.max(bytes, folder) < log, String(error))
    t.equal((await server.send('GET', `/uploads/${name}`, { user })).text, 'hello')
  }

  const removing = await callsFor(() => server.send('DELETE', '/uploads/victim', { user }), 204)
  const unlinked = find(removing, /unlink\(".*\/blobs\/[0-9a-f]{2}\/[0-9a-f]{32}"/)
  const synced = find(removing, /fsync\(\d+<.*\/blobs\/[0-9a-f]{2}>/, unlinked)
  const forgotten = find(removing, /pwrite64\(\d+<.*-wal>/, unlinked)
  t.notOk([unlinked, synced, forgotten].includes(-1), 'every step is there')
  t.ok(synced < forgotten, 'the folder is synced before the log is written')

  const strace = await straced(t, server, ['-f', '-o', '/dev/null', '-e', 'inject=fsync:error=EDQUOT'])
  t.match(await server.send('PUT', '/uploads/refused', { user, body: 'hello' }), { status: 507, json: { code: 'storage_full' } })
  await strace.end()
  t.equal((await server.send('PUT', '/uploads/stored', { user, body: 'hello' })).status, 201, 'and work goes on')
  t.equal(await server.end('SIGTERM'), 0)
  await checkNoLeftovers(t, settings.DATA_DIR, 5)
})

/** The calls recorded by strace, one per line; an interrupted call has two lines, and the second shows its end. */
async function callsIn (trace: string): Promise<string[]> {
  return (await readFile(trace, 'utf8')).split('\n')
}

/** The index of the first matching line from `from` on; -1 if there is none. */
function find (calls: string[], pattern: RegExp, from = 0): number {
  return calls.findIndex((line, index) => index >= from && pattern.test(line))
}

/** The line on which a call ends: its own, or the one where strace resumes it after lines of other threads. */
function findEnd (calls: string[], pattern: RegExp): number {
  const began = find(calls, pattern)
  const [, thread, call] = /^(\d+) +(\w+)/.exec(calls[began] ?? '') ?? []
  return calls.findIndex((line, index) => (index === began && / = 0$/.test(line)) || (index > began && line.startsWith(`${thread} `) && line.includes(`<... ${call} resumed>`)))
}

t.test('a log that a killed process left is synced before its blobs are moved', { skip: skipWithoutStrace }, async t => {
  const settings = { DATA_DIR: t.testdir({ data: {} }) + '/data' }
  const trace = join(t.testdirName, 'calls')
  const first = await spawnServer(t, settings)
  const { user } = await signUp(first, 'ada')
  await straced(t, first, ['-f', '-e', 'inject=rename:signal=KILL'])
  await put(first, user, 'hello').catch(() => {})
  await once(first.child, 'close').catch(() => {})
  const second = await spawnServer(t, settings, { under: ['strace', '-D', '-f', '-y', '-o', trace, '-e', 'trace=fdatasync,rename'] })
  t.match(await second.send('GET', '/uploads/victim', { user }), { status: 200, text: 'hello' })
  const calls = await callsIn(trace)
  const [synced, moved] = [find(calls, /fdatasync\(\d+<.*-wal>/), find(calls, /rename\(".*\/incoming\/[0-9a-f]{32}"/)]
  t.notOk([synced, moved].includes(-1), 'both steps are there')
  t.ok(synced < moved)
})

t.test('a log that can\'t be synced ends the server, which says so before', { skip: skipWithoutStrace }, async t => {
  const settings = { DATA_DIR: t.testdir(), KEEP_DAYS: '0' }
  const server = await spawnServer(t, settings, { isCounted: true })
  const { user, token } = await signUp(server, 'ada')
  await put(server, user, 'before')
  const log: string[] = []
  createInterface(server.child.stdout as Readable).on('line', line => log.push(line))
  const ended = once(server.child, 'exit')
  await straced(t, server, ['-f', '-P', join(settings.DATA_DIR, 'magicstore.db-wal'), '-e', 'inject=fdatasync:error=EIO'])
  t.match(await server.send('PUT', '/uploads/victim', { token, body: 'after' }), { status: 503, json: { code: 'stopping' }, headers: { 'retry-after': /\d/ } })
  t.match(await server.send('GET', '/health/ready'), { status: 503, json: { code: 'not_ready', detail: /database/ } })
  t.match(await server.send('GET', '/uploads/victim', { token }), { status: 503, json: { code: 'stopping' } }, 'nobody knows what is stored')
  t.strictSame(await ended, [1, null])
  t.match(log.find(line => line.includes('"level":60')), /the database log could not be synced/)
  const again = await spawnServer(t, settings)
  t.match(await again.send('GET', '/uploads/victim', { user }), { status: 200, text: /before|after/ }, 'whole, whatever the disk kept')
  await checkNoLeftovers(t, settings.DATA_DIR, 1)
  await again.end('SIGTERM')
  t.match(await runCommand(['fsck', '--deep'], settings), { code: 0, stdout: 'all is well\n' })
})
