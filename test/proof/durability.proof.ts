import { spawn } from 'node:child_process'
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { Database } from '../../src/metadata/sqlite/driver.ts'
import { countOf } from '../counts.ts'
import { formOf, runBin, signUp, spawnServer, type Client, type ServerProcess } from '../server.ts'

/** Rounds of the random test. */
const ROUNDS = countOf({ quick: 5, full: 15 })
const WORKERS = 6
const LARGEST_BYTES = 1_500_000

const hasStrace = existsSync('/usr/bin/strace')

/** Digests of a worker's files by name. */
type State = ReadonlyMap<string, string>

/** A worker's acknowledged state, and the state after the operation in progress when the server died. */
interface WorkerState { acknowledged: State, inFlight: State | undefined, operationCount: number }

t.test('what was acknowledged survives kill -9, and nothing else is there', { timeout: 600_000 }, async t => {
  const settings = { DATA_DIR: t.testdir() }
  let server = await spawnServer(t, settings)
  const { user } = await signUp(server, 'ada')
  const states: WorkerState[] = Array.from({ length: WORKERS }, () => ({ acknowledged: new Map(), inFlight: undefined, operationCount: 0 }))
  for (let round = 0; round < ROUNDS; round++) {
    const { json: { token } } = await server.send('GET', '/api/token', { user })
    const working = states.map((state, worker) => work(server, { state, worker, token }))
    setTimeout(() => server.child.kill('SIGKILL'), randomInt(20, 500))
    await Promise.all(working)
    await server.end('SIGKILL')
    server = await spawnServer(t, settings)
    await checkState(t, server, { user, states, dataDir: settings.DATA_DIR })
  }
  t.equal(await server.end('SIGTERM'), 0)
  t.match(await runBin(['fsck', '--deep'], settings), { code: 0, stdout: 'all is well\n' })
  t.comment(`${ROUNDS} rounds, ${states.reduce((sum, { operationCount }) => sum + operationCount, 0)} operations acknowledged, 0 lost`)
})

/** Creates, replaces, renames and deletes files, one operation at a time, until the server is killed. */
async function work (client: Client, { state, worker, token }: { state: WorkerState, worker: number, token: string }): Promise<void> {
  for (;;) {
    const { name, send, after } = nextOperation(state, worker)
    state.inFlight = after
    try {
      const { status } = await send(client, token)
      if (status >= 300) throw new Error(`${name} was answered with ${status}`)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== undefined) return
      throw error
    }
    state.acknowledged = after
    state.inFlight = undefined
    state.operationCount++
  }
}

function nextOperation ({ acknowledged }: WorkerState, worker: number) {
  const names = [...acknowledged.keys()]
  const name = names[randomInt(names.length + 1)] ?? `w${worker}-${randomBytes(4).toString('hex')}`
  const after = new Map(acknowledged)
  const kind = acknowledged.has(name) ? (['put', 'put', 'rename', 'delete'] as const)[randomInt(4)] : (['put', 'post'] as const)[randomInt(2)]
  const bytes = randomBytes(randomInt(3) === 0 ? randomInt(LARGEST_BYTES) : randomInt(5000))
  const path = `/uploads/${name}`
  switch (kind) {
    case 'rename': {
      const newName = `w${worker}-${randomBytes(4).toString('hex')}`
      after.set(newName, after.get(name) ?? '')
      after.delete(name)
      return { name, after, send: (client: Client, token: string) => client.send('PATCH', `/api/files/${name}`, { token, json: { name: newName } }) }
    }
    case 'delete':
      after.delete(name)
      return { name, after, send: (client: Client, token: string) => client.send('DELETE', path, { token }) }
    case 'post':
      after.set(name, digest(bytes))
      return { name, after, send: (client: Client, token: string) => client.send('POST', '/', { token, ...formOf(name, bytes) }) }
    default:
      after.set(name, digest(bytes))
      return { name, after, send: (client: Client, token: string) => client.send('PUT', path, { token, body: bytes }) }
  }
}

async function checkState (t: Test, client: Client, { user, states, dataDir }: { user: [string, string], states: WorkerState[], dataDir: string }): Promise<void> {
  const { json: { token } } = await client.send('GET', '/api/token', { user })
  const { json: { files } } = await client.send('GET', '/api/files?limit=1000', { token })
  const found = new Map<string, string>()
  for (const { name } of files) found.set(name, digest((await client.send('GET', `/uploads/${name}`, { token })).bytes))
  for (const [worker, state] of states.entries()) {
    const own = new Map([...found].filter(([name]) => name.startsWith(`w${worker}-`)))
    const allowed = [state.acknowledged, state.inFlight].filter(state => state !== undefined)
    if (!allowed.some(state => isSame(state, own))) t.strictSame(own, state.acknowledged, 'the state is the acknowledged one, or also includes the operation in flight')
    state.acknowledged = own
    state.inFlight = undefined
  }
  await checkNoLeftovers(t, dataDir, files.length)
}

/** No temporary files are left, and there are as many blobs as files. */
async function checkNoLeftovers (t: Test, dataDir: string, fileCount: number): Promise<void> {
  t.strictSame(await readdir(join(dataDir, 'incoming')), [], 'no temporary bytes remain')
  t.equal((await blobsOf(dataDir)).length, fileCount, 'no bytes without a file')
}

async function blobsOf (dataDir: string): Promise<string[]> {
  const folders = await readdir(join(dataDir, 'blobs'))
  return (await Promise.all(folders.map(folder => readdir(join(dataDir, 'blobs', folder))))).flat()
}

function isSame (a: State, b: State): boolean {
  return a.size === b.size && [...a].every(([name, value]) => b.get(name) === value)
}

function digest (bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Steps of the commit protocol and their system calls. Only the main thread writes the log of the database; the thread pool syncs it. */
const steps: { step: string, call: string, threads: 'all' | 'main', when?: number }[] = [
  { step: 'bytes or log are synced', call: 'fdatasync', threads: 'all' },
  { step: 'the other of them is synced', call: 'fdatasync', threads: 'all', when: 2 },
  { step: 'the folder is synced', call: 'fsync', threads: 'all' },
  { step: 'the log is written', call: 'pwrite64', threads: 'main' },
  { step: 'the blob is committed', call: 'rename', threads: 'all' },
  { step: 'the answer is sent', call: 'writev', threads: 'main' },
  { step: 'the old bytes are removed', call: 'unlink', threads: 'all' }
]

t.test('a process that dies at a step of the commit protocol leaves the old state or the new one', { skip: hasStrace ? false : 'strace is not installed', timeout: 300_000 }, async t => {
  const settings = { DATA_DIR: t.testdir() }
  let server = await spawnServer(t, settings)
  const { user } = await signUp(server, 'ada')
  let before = await put(server, user, randomBytes(3000))
  for (const { step, call, threads, when = 1 } of steps) {
    const bytes = randomBytes(3000)
    await straced(t, server, [...(threads === 'all' ? ['-f'] : []), '-e', `inject=${call}:signal=KILL:when=${when}`])
    const answer = await put(server, user, bytes).catch(() => undefined)
    await once(server.child, 'close').catch(() => {})
    server = await spawnServer(t, settings)
    const now = digest((await server.send('GET', '/uploads/victim', { user })).bytes)
    t.ok([before, digest(bytes)].includes(now), `${step}: whole`)
    if (answer !== undefined) t.equal(now, answer, `${step}: acknowledged`)
    before = now
    await checkNoLeftovers(t, settings.DATA_DIR, 1)
  }
  await server.end('SIGTERM')
  t.match(await runBin(['fsck', '--deep'], settings), { code: 0, stdout: 'all is well\n' })
})

async function put (client: Client, user: [string, string], body: string | Uint8Array): Promise<string> {
  return (await client.send('PUT', '/uploads/victim', { user, body })).json.sha256
}

/** Attaches strace to a running server and waits until it is attached. */
async function straced (t: Test, server: ServerProcess, args: string[]): Promise<{ end (): Promise<void> }> {
  const child = spawn('strace', ['-p', String(server.child.pid), ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  for await (const line of createInterface(child.stderr as Readable)) if (/attached/.test(line)) break
  child.stderr?.resume()
  return { async end () { child.kill('SIGINT'); await once(child, 'exit') } }
}

t.test('an upload beyond the disk quota of the user is 507 and leaves nothing', { skip: hasStrace ? false : 'strace is not installed' }, async t => {
  const settings = { DATA_DIR: t.testdir() }
  const server = await spawnServer(t, settings)
  const { token } = await signUp(server, 'ada')
  const strace = await straced(t, server, ['-f', '-o', '/dev/null', '-e', 'inject=fsync:error=EDQUOT'])
  const { status, json } = await server.send('PUT', '/uploads/a', { token, body: 'hello' })
  t.match({ status, json }, { status: 507, json: { code: 'storage_full' } })
  await strace.end()
  t.equal((await server.send('PUT', '/uploads/b', { token, body: 'hello' })).status, 201, 'and work goes on')
  t.equal(await server.end('SIGTERM'), 0)
  await checkNoLeftovers(t, settings.DATA_DIR, 1)
})

t.test('bytes and folder are synced before the log is, and that before an upload is acknowledged', { skip: hasStrace ? false : 'strace is not installed' }, async t => {
  const settings = { DATA_DIR: t.testdir({ data: {} }) + '/data' }
  const trace = join(t.testdirName, 'calls')
  const server = await spawnServer(t, settings)
  const { user } = await signUp(server, 'ada')
  const strace = await straced(t, server, ['-f', '-y', '-o', trace, '-e', 'trace=fsync,fdatasync,writev,write'])
  t.equal((await server.send('PUT', '/uploads/a', { user, body: 'hello' })).status, 201)
  await strace.end()
  const calls = (await readFile(trace, 'utf8')).split('\n')
  const at = (pattern: RegExp) => calls.findIndex(line => pattern.test(line))
  /** The line on which a call ends: its own, or the one where strace resumes it after lines of other threads. */
  function endOf (pattern: RegExp): number {
    const began = at(pattern)
    const [, thread, call] = /^(\d+) +(\w+)/.exec(calls[began] ?? '') ?? []
    return calls.findIndex((line, index) => (index === began && / = 0$/.test(line)) || (index > began && line.startsWith(`${thread} `) && line.includes(`<... ${call} resumed>`)))
  }
  const [bytes, folder, log, answer] = [endOf(/fdatasync\(\d+<.*\/incoming\/[0-9a-f]{32}>/), endOf(/fsync\(\d+<.*\/incoming>/), at(/fdatasync\(\d+<.*magicstore\.db-wal>/), at(/201 Created/)] as const
  t.notOk([bytes, folder, log, answer].includes(-1), 'every step is there')
  t.ok(Math.max(bytes, folder) < log, 'bytes and folder before the log')
  t.ok(log < answer, 'the log before the answer')
})

/** The calls recorded by strace, one per line; an interrupted call has two lines, and the second shows its end. */
async function callsIn (trace: string): Promise<string[]> {
  return (await readFile(trace, 'utf8')).split('\n')
}

/** The index of the first matching line from `from` on; -1 if there is none. */
function find (calls: string[], pattern: RegExp, from = 0): number {
  return calls.findIndex((line, index) => index >= from && pattern.test(line))
}

t.test('a blob is forgotten only when its removal from its folder is on stable storage', { skip: hasStrace ? false : 'strace is not installed' }, async t => {
  const settings = { DATA_DIR: t.testdir({ data: {} }) + '/data' }
  const trace = join(t.testdirName, 'calls')
  const server = await spawnServer(t, settings)
  const { user } = await signUp(server, 'ada')
  await put(server, user, 'hello')
  const strace = await straced(t, server, ['-f', '-y', '-o', trace, '-e', 'trace=unlink,fsync,pwrite64'])
  t.equal((await server.send('DELETE', '/uploads/victim', { user })).status, 204)
  const database = new Database(join(settings.DATA_DIR, 'magicstore.db'), { readonly: true })
  t.teardown(() => database.close())
  const discarded = database.prepare('SELECT count(*) FROM discarded_blobs').pluck()
  while (discarded.get() !== 0) await new Promise(resolve => setTimeout(resolve, 20))
  await strace.end()
  const calls = await callsIn(trace)
  const unlinked = find(calls, /unlink\(".*\/blobs\/[0-9a-f]{2}\/[0-9a-f]{32}"/)
  const synced = find(calls, /fsync\(\d+<.*\/blobs\/[0-9a-f]{2}>/, unlinked)
  const forgotten = find(calls, /pwrite64\(\d+<.*-wal>/, unlinked)
  t.notOk([unlinked, synced, forgotten].includes(-1), 'every step is there')
  t.ok(synced < forgotten, 'the folder is synced before the log is written')
})

t.test('a log that a killed process left is synced before its blobs are moved', { skip: hasStrace ? false : 'strace is not installed' }, async t => {
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

t.test('a log that can\'t be synced ends the server, which says so before', { skip: hasStrace ? false : 'strace is not installed' }, async t => {
  const settings = { DATA_DIR: t.testdir() }
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
  t.match(log.find(line => line.includes('"level":60')), /the log of the database could not be synced/)
  const again = await spawnServer(t, settings)
  t.match(await again.send('GET', '/uploads/victim', { user }), { status: 200, text: /before|after/ }, 'whole, whatever the disk kept')
  await checkNoLeftovers(t, settings.DATA_DIR, 1)
  await again.end('SIGTERM')
  t.match(await runBin(['fsck', '--deep'], settings), { code: 0, stdout: 'all is well\n' })
})
