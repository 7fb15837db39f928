import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { v8Flags, withFault } from '../kit/bin.ts'
import { root } from '../kit/root.ts'
import type { Bench } from './cases.ts'
import { openRequester } from './load.ts'
import type { Comparison } from './report.ts'
import { cpuSeconds, startMagicStore, type Running } from './servers.ts'
import { interleave } from './speed.ts'

const UNCHANGED_SECONDS = 5
const UNCHANGED_MEGABYTES = 250
const CHANGE_SECONDS = 5

/** CPU milliseconds per second that an idle `--watch` may use, and its requests in a minute. */
const IDLE_MILLISECONDS = 0.5
const IDLE_REQUESTS = 2
const IDLE_SECONDS = 60

/** As many requests as the command has under way. */
const CONNECTIONS = 4
const SMALL_BYTES = 4096

/** A file that is younger waits. */
const QUIET_MILLISECONDS = 2100

const FILES_IN_FOLDER = 1000

/** Methods of requests that change something. */
const CHANGING = 'PATCH|POST|PUT|DELETE'

/** Prints what the process used, as its last line. */
const usage = withFault("process.on('exit', () => console.log(JSON.stringify(process.resourceUsage())))")

interface Account { readonly port: number, readonly token: string }

interface Run { readonly seconds: number, readonly cpuSeconds: number, readonly megabytes: number }

/** Starts the command as its users do. `commandOf` of the kit has flags for processes that end soon. */
function start (args: readonly string[], settings: Record<string, string>, stdio: StdioOptions): ChildProcess {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, ...settings }
  return spawn(process.execPath, [...v8Flags, join(root, 'dist/main.js'), 'sync', ...args], { env, stdio })
}

const settingsOf = (folder: string, token: string) => ({ MAGICSTORE_TOKEN: token, XDG_STATE_HOME: `${folder}-state` })

/** One run of the command, with its output in a file, as a service has it. */
async function sync (folder: string, { port, token }: Account, path = ''): Promise<Run> {
  const log = `${folder}.log`
  const address = `http://127.0.0.1:${port}${path}`
  const began = performance.now()
  const child = start([folder, address], { ...settingsOf(folder, token), ...usage }, ['ignore', openSync(log, 'w'), 'inherit'])
  const [code] = await once(child, 'exit')
  const seconds = (performance.now() - began) / 1000
  if (code !== 0) throw new Error(`sync ended with ${code}`)
  const used = JSON.parse(readFileSync(log, 'utf8').trim().split('\n').at(-1) ?? '')
  return { seconds, cpuSeconds: (used.userCPUTime + used.systemCPUTime) / 1e6, megabytes: used.maxRSS * 1024 / 1e6 }
}

async function signUp ({ port }: Running): Promise<Account> {
  const [username, password] = ['anna', 'correct horse battery']
  const post = (path: string, body: object, headers = {}) => fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) })
  await post('/api/users', { username, password })
  const made = await post('/api/tokens', { name: 'sync', scopes: ['files:read', 'files:write'] }, { authorization: `Basic ${btoa(`${username}:${password}`)}` })
  return { port, token: (await made.json()).token }
}

/** Writes files into a folder, and into the database of a server that is stopped, without blobs. */
function addTree (file: string, folder: string, count: number): void {
  const database = new Database(file)
  const addFolder = database.prepare('INSERT INTO folders (owner_id, parent_id, name, path, created_at) VALUES (1, ?, ?, ?, 1)')
  const addFile = database.prepare(`INSERT INTO files (owner_id, folder_id, name, size, type, sha256, blob_id, created_at, updated_at)
    VALUES (1, ?, ?, ?, 'text/plain', ?, ?, 1, 1)`)
  database.transaction(() => {
    const tree = addFolder.run(0, 'tree', 'tree').lastInsertRowid
    for (let first = 0; first < count; first += FILES_IN_FOLDER) {
      const path = `tree/from ${first}`
      mkdirSync(join(folder, path), { recursive: true })
      const parent = addFolder.run(tree, `from ${first}`, path).lastInsertRowid
      for (let index = first; index < Math.min(count, first + FILES_IN_FOLDER); index++) {
        const [name, content] = [`document ${index}.txt`, `${index}`]
        writeFileSync(join(folder, path, name), content)
        const sha256 = createHash('sha256').update(content).digest('hex')
        addFile.run(parent, name, content.length, sha256, index.toString(16).padStart(32, '0'))
      }
    }
    database.exec(`UPDATE accounts SET used_files = (SELECT count(*) FROM files), used_bytes = (SELECT sum(size) FROM files),
      used_folders = (SELECT count(*) FROM folders) WHERE id = 1`)
  })()
  database.close()
}

/** How many requests with these methods the server has answered. */
async function requestsOf (metricsPort: number, methods: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
  const counts = text.matchAll(new RegExp(`^magicstore_requests_total\\{method="(?:${methods})".*\\} (\\d+)$`, 'gm'))
  return Array.from(counts).reduce((sum, [, count]) => sum + Number(count), 0)
}

/** A folder of many files without a change, and moved. */
async function compareTree (
  { rounds, folder, many }: Pick<Bench, 'rounds' | 'folder'> & { many: number }
): Promise<Comparison[]> {
  const [dataDir, here] = [join(folder, 'sync-tree'), join(folder, 'tree')]
  const empty = await startMagicStore(dataDir)
  const { token } = await signUp(empty)
  await empty.stop()
  addTree(join(dataDir, 'magicstore.db'), here, many)
  const metricsPort = 6180 + process.pid % 100
  const server = await startMagicStore(dataDir, { METRICS_PORT: `${metricsPort}` })
  const account = { port: server.port, token }
  await wait(QUIET_MILLISECONDS)
  await sync(here, account)
  const runs: Run[] = []
  const moves = []
  for (let round = 0; round < rounds; round++) runs.push(await sync(here, account))
  for (let round = 0; round < rounds; round++) {
    const [from, to] = round % 2 === 0 ? ['tree', 'moved'] : ['moved', 'tree']
    renameSync(join(here, from), join(here, to))
    await wait(QUIET_MILLISECONDS)
    const before = await requestsOf(metricsPort, CHANGING)
    await sync(here, account)
    moves.push({ ours: await requestsOf(metricsPort, CHANGING) - before, baseline: 1 })
  }
  await server.stop()
  const work = `sync of ${many.toLocaleString('en')} files without a change`
  return [
    { work, against: 'the limit', target: { most: 1 }, unit: 's', rounds: runs.map(({ seconds }) => ({ ours: seconds, baseline: UNCHANGED_SECONDS })) },
    { work: 'CPU of the same', against: 'the limit', target: { most: 1 }, unit: 's', rounds: runs.map(({ cpuSeconds }) => ({ ours: cpuSeconds, baseline: UNCHANGED_SECONDS })) },
    { work: 'memory of the same', against: 'the limit', target: { most: 1 }, unit: 'MB', rounds: runs.map(({ megabytes }) => ({ ours: megabytes, baseline: UNCHANGED_MEGABYTES })) },
    { work: 'requests of the sync of a moved folder with these', against: 'one', target: { most: 1.01 }, unit: '', rounds: moves }
  ]
}

/** New files of 4 KiB, against plain PUTs over as many connections. */
async function compareUploads ({ rounds, folder, small }: Pick<Bench, 'rounds' | 'folder'> & { small: number }): Promise<Comparison[]> {
  const server = await startMagicStore(join(folder, 'sync-uploads'))
  const account = await signUp(server)
  const headers = { Authorization: `Bearer ${account.token}` }
  let round = 0
  const bySync = async () => {
    const here = join(folder, `small ${round}`)
    mkdirSync(here)
    for (let index = 0; index < small; index++) writeFileSync(join(here, `${index}`), randomBytes(SMALL_BYTES))
    await wait(QUIET_MILLISECONDS)
    return small / (await sync(here, account, `/sync-${round++}`)).seconds
  }
  const byPuts = async () => {
    const left = Array.from({ length: small }, (_, index) => ({ path: `/uploads/puts-${round}/${index}`, body: randomBytes(SMALL_BYTES) }))
    const began = performance.now()
    await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
      const requester = await openRequester({ port: server.port, method: 'PUT', headers, next: () => left.pop() ?? { path: '' } })
      while (left.length > 0) await requester.send()
      requester.close()
    }))
    return small / (performance.now() - began) * 1000
  }
  await byPuts()
  const pairs = await interleave(rounds, bySync, byPuts)
  await server.stop()
  return [{ work: `4 KiB uploads by sync, ${small.toLocaleString('en')} new files`, against: 'by PUT, 4 connections', target: { least: 0.7 }, unit: '/s', rounds: pairs }]
}

/** Two folders with `--watch`: how long a change takes to be in the other, and what they take while nothing changes. */
async function compareWatches ({ rounds, folder }: Pick<Bench, 'rounds' | 'folder'>): Promise<Comparison[]> {
  const metricsPort = 6180 + process.pid % 100
  const server = await startMagicStore(join(folder, 'sync-watch'), { METRICS_PORT: `${metricsPort}` })
  const account = await signUp(server)
  const folders = ['here', 'there'].map(name => join(folder, name))
  const children: ChildProcess[] = []
  for (const here of folders) {
    await sync(here, account)
    children.push(start([here, '--watch'], settingsOf(here, account.token), 'ignore'))
  }
  await wait(2 * QUIET_MILLISECONDS)
  const changes = []
  for (let round = 0; round < rounds; round++) {
    const [from = '', to = ''] = round % 2 === 0 ? folders : folders.toReversed()
    const began = performance.now()
    writeFileSync(join(from, 'changed'), `${round}`)
    const isThere = () => existsSync(join(to, 'changed')) && readFileSync(join(to, 'changed'), 'utf8') === `${round}`
    while (!isThere()) await wait(10)
    changes.push({ ours: (performance.now() - began) / 1000, baseline: CHANGE_SECONDS })
    await wait(2 * QUIET_MILLISECONDS)
  }
  await wait(4 * QUIET_MILLISECONDS)
  const count = async () => ({
    cpu: children.reduce((sum, { pid }) => sum + cpuSeconds(Number(pid)), 0) / children.length,
    requests: await requestsOf(metricsPort, 'GET') / children.length
  })
  const before = await count()
  await wait(IDLE_SECONDS * 1000)
  const after = await count()
  for (const child of children) {
    const exited = once(child, 'exit')
    child.kill()
    await exited
  }
  await server.stop()
  const idle = (after.cpu - before.cpu) * 1000 / IDLE_SECONDS
  return [
    { work: 'a change until it is in another folder with --watch', against: 'the limit', target: { most: 1 }, unit: 's', rounds: changes },
    { work: 'CPU of an idle --watch in a second', against: 'the limit', target: { most: 1 }, unit: 'ms', rounds: [{ ours: idle, baseline: IDLE_MILLISECONDS }] },
    { work: 'requests of an idle --watch in a minute', against: 'the limit', target: { most: 1.01 }, unit: '', rounds: [{ ours: after.requests - before.requests, baseline: IDLE_REQUESTS }] }
  ]
}

/** What `magicstore sync` takes. */
export async function compareSync ({ rounds, folder, many }: Pick<Bench, 'rounds' | 'folder'> & { many: number }): Promise<Comparison[]> {
  const bench = { rounds, folder, many: many / 10, small: many / 100 }
  return [...await compareTree(bench), ...await compareUploads(bench), ...await compareWatches(bench)]
}
