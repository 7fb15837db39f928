import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { KIB, MIB } from '../kit/sizes.ts'
import { SMALL, type Bench } from './cases.ts'
import { openRequester, repeat } from './load.ts'
import type { Comparison } from './report.ts'
import { cpuSeconds, peakAbove, startMagicStore, untilQuiet, type Running } from './servers.ts'
import { interleave, MICROSECONDS, rowsOf, speedOf, workOf, type Speed } from './speed.ts'

/** Entries of the folder that is listed, and what one listing may take. */
const ENTRIES = 10_000
const LISTING_MILLISECONDS = 300
const LISTING_MIB = 16

/** Small listings before the large one. */
const WARM_UPS = 500

/** CPU time that a refused body may take. */
const REFUSAL_MILLISECONDS = 40

const REFUSALS = 20

/** An account with a personal token. */
interface Drive { readonly port: number, readonly headers: Record<string, string> }

async function signUp (server: Running, username: string): Promise<Drive> {
  const password = 'correct horse battery'
  const post = (path: string, body: object, headers = {}) => fetch(`http://127.0.0.1:${server.port}${path}`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) })
  await post('/api/users', { username, password })
  const made = await post('/api/tokens', { name: 'drive', scopes: ['files:read', 'files:write'] }, { authorization: `Basic ${btoa(`${username}:${password}`)}` })
  const { token } = await made.json()
  return { port: server.port, headers: { Authorization: `Bearer ${token}` } }
}

/** Writes a folder with files, but without blobs, into the database of a server that is stopped. */
function addEntries (file: string): void {
  const database = new Database(file)
  database.transaction(() => {
    const { lastInsertRowid } = database.prepare("INSERT INTO folders (owner_id, parent_id, name, path, created_at) VALUES (1, 0, 'many', 'many', 1)").run()
    const add = database.prepare(`INSERT INTO files (owner_id, folder_id, name, size, type, sha256, blob_id, created_at, updated_at)
      VALUES (1, ?, ?, 1, 'image/jpeg', '${'0'.repeat(64)}', ?, ?, ?)`)
    for (let index = 0; index < ENTRIES; index++) add.run(lastInsertRowid, `photo & picture ${index}.jpg`, index.toString(16).padStart(32, '0'), index, index)
    database.exec(`UPDATE accounts SET used_files = ${ENTRIES}, used_bytes = ${ENTRIES}, used_folders = 1 WHERE id = 1`)
  })()
  database.close()
}

async function send (
  { port, headers }: Drive, method: string, path: string, { body, ...fields }: Record<string, string> = {}
): Promise<{ status: number, text: string }> {
  const answer = await fetch(`http://127.0.0.1:${port}/dav/${path}`, { method, headers: { ...headers, 'content-type': 'application/xml', ...fields }, ...body !== undefined && { body } })
  return { status: answer.status, text: await answer.text() }
}

/** CPU milliseconds of a server for one time of the work. */
async function cpuOf (server: Running, times: number, work: () => Promise<unknown>): Promise<number> {
  await untilQuiet(server.pid)
  const before = cpuSeconds(server.pid)
  for (let time = 0; time < times; time++) await work()
  await untilQuiet(server.pid)
  return (cpuSeconds(server.pid) - before) * 1000 / times
}

async function compareListings ({ rounds, folder }: Pick<Bench, 'rounds' | 'folder'>): Promise<Comparison[]> {
  const dataDir = join(folder, 'webdav-listing')
  const empty = await startMagicStore(dataDir)
  const { headers } = await signUp(empty, 'anna')
  await empty.stop()
  addEntries(join(dataDir, 'magicstore.db'))
  const server = await startMagicStore(dataDir)
  const drive = { port: server.port, headers }
  const list = async () => {
    const { status, text } = await send(drive, 'PROPFIND', 'many/', { depth: '1' })
    const count = text.split('getetag>').length >> 1
    if (status !== 207 || count !== ENTRIES) throw new Error(`PROPFIND was answered ${status} with ${count} files`)
  }
  // The heap of a server that has answered nothing grows with whatever comes first.
  for (let time = 0; time < WARM_UPS; time++) await send(drive, 'PROPFIND', '', { depth: '1' })
  // Before other listings of this folder.
  const memory = await peakAbove(server.pid, list) / MIB
  const times = []
  for (let round = 0; round < rounds; round++) {
    times.push({ ours: await cpuOf(server, 1, list), baseline: LISTING_MILLISECONDS })
  }
  await server.stop()
  const work = `PROPFIND of ${ENTRIES.toLocaleString('en')} entries`
  return [
    { work: `CPU of ${work}`, against: 'the limit', target: { most: 1 }, unit: 'ms', rounds: times },
    { work: `memory of ${work}, above idle`, against: 'the limit', target: { most: 1 }, unit: 'MiB', rounds: [{ ours: memory, baseline: LISTING_MIB }] }
  ]
}

/** Uploads of 4 KiB as new files, below a path. */
function putting (server: Running, { port, headers }: Drive, way: string, seconds: number): () => Promise<Speed> {
  const next = () => ({ path: `${way}/${randomUUID()}`, body: SMALL })
  return () => speedOf(server, () => workOf(repeat(16, seconds, () => openRequester({ port, method: 'PUT', headers, next }))))
}

async function comparePuts ({ rounds, seconds, folder }: Pick<Bench, 'rounds' | 'seconds' | 'folder'>): Promise<Comparison[]> {
  const server = await startMagicStore(join(folder, 'webdav-puts'))
  const [free, locking] = [await signUp(server, 'anna'), await signUp(server, 'berta')]
  const lockinfo = '<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'
  for (let index = 0; index < 100; index++) await send(locking, 'LOCK', `locked ${index}`, { timeout: 'Second-3600', body: lockinfo })
  // Optimized by V8 before it is measured.
  for (const way of ['/dav', '/uploads', '/dav', '/uploads']) await putting(server, free, way, 2 * seconds)()
  const rate = { unit: '/s', least: 0.95 }
  const byDoor = await interleave(rounds, putting(server, free, '/dav', seconds), putting(server, free, '/uploads', seconds))
  const byLocks = await interleave(rounds, putting(server, locking, '/uploads', seconds), putting(server, free, '/uploads', seconds))
  await server.stop()
  return [
    ...rowsOf({ work: '4 KiB uploads by PUT /dav, 16 connections', against: 'by PUT /uploads', rate, cpu: { ...MICROSECONDS, most: 1.05 } }, byDoor),
    ...rowsOf({ work: '4 KiB uploads on an account with 100 locks', against: 'without locks', rate: { ...rate, least: 0.8 }, cpu: MICROSECONDS }, byLocks)
  ]
}

const properties = (count: number, name: (index: number) => string) => Array.from({ length: count }, (_, index) => name(index)).join('')

/** Bodies that are refused, in a whole or property by property, each in another way. */
const refused: Record<string, [method: string, body: string]> = {
  'an entity bomb': ['PROPFIND', `<!DOCTYPE a [<!ENTITY a0 "a">${Array.from({ length: 100 }, (_, index) => `<!ENTITY a${index + 1} "${`&a${index};`.repeat(10)}">`).join('')}]><a>&a100;</a>`],
  'more than 64 KiB': ['PROPFIND', `<a>${'<b/>'.repeat(64 * KIB)}</a>`],
  'unclosed elements': ['PROPFIND', '<a>'.repeat(21_000)],
  'elements in one that is not closed': ['PROPFIND', `${'<a>'.repeat(31)}${'<b/>'.repeat(16_000)}`],
  'elements with a namespace each': ['PROPFIND', `<a>${properties(3000, index => `<b xmlns="urn:${index}"/>`)}`],
  'many attributes': ['PROPFIND', `<a ${properties(5400, index => `b${index}="${index % 10}" `)}>`],
  'many namespaces': ['PROPFIND', `<a ${properties(3000, index => `xmlns:b${index}="urn:c" `)}><d:e/></a>`],
  'a long text that does not end': ['PROPFIND', `<a>${'&amp;'.repeat(13_000)}`],
  'many properties': ['PROPPATCH', `<propertyupdate xmlns="DAV:"><set><prop>${properties(7000, index => `<a${index}/>`)}</prop></set></propertyupdate>`],
  'many properties in a long namespace': ['PROPPATCH', `<propertyupdate xmlns="DAV:" xmlns:q="${'&lt;'.repeat(900)}"><set><prop>${'<a/>'.repeat(15_000)}</prop></set></propertyupdate>`]
}

async function compareRefusals ({ rounds, folder }: Pick<Bench, 'rounds' | 'folder'>): Promise<Comparison[]> {
  const server = await startMagicStore(join(folder, 'webdav-refusals'))
  const drive = await signUp(server, 'anna')
  const pairs = []
  for (let round = 0; round < rounds; round++) {
    let most = 0
    for (const [name, [method, body]] of Object.entries(refused)) {
      const cpu = await cpuOf(server, REFUSALS, async () => {
        const { status, text } = await send(drive, method, '', { depth: '0', body })
        if (![400, 413, 507].includes(status) && !/ (?:507|424) /.test(text)) throw new Error(`${name} was answered ${status}`)
      })
      most = Math.max(most, cpu)
    }
    pairs.push({ ours: most, baseline: REFUSAL_MILLISECONDS })
  }
  await server.stop()
  return [{ work: 'CPU of the most expensive XML that is refused', against: 'the limit', target: { most: 1 }, unit: 'ms', rounds: pairs }]
}

/** What WebDAV costs: a listing, uploads beside those of the API, locks, and XML that is refused. */
export async function compareWebdav (bench: Pick<Bench, 'rounds' | 'seconds' | 'folder'>): Promise<Comparison[]> {
  return [...await compareListings(bench), ...await comparePuts(bench), ...await compareRefusals(bench)]
}
