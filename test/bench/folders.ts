import { join } from 'node:path'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { signIn, type Bench } from './cases.ts'
import { inTurn, timeOf } from './growth.ts'
import { openRequester } from './load.ts'
import type { Comparison } from './report.ts'
import { startMagicStore } from './servers.ts'

/** Longest time of a move, and 99th percentile of others' requests during a deletion, in milliseconds. */
const LIMIT_MILLISECONDS = 50

const user = 'anna:correct horse battery'

/** Writes folders with files, but without blobs, into the database of a server that is stopped. */
function addTree (file: string, { many, doomed }: { many: number, doomed: number }): void {
  const database = new Database(file)
  const addFolder = database.prepare('INSERT INTO folders (owner_id, parent_id, name, path, created_at) VALUES (1, ?, ?, ?, 1)')
  const addFile = database.prepare(`INSERT INTO files (owner_id, folder_id, name, size, type, sha256, blob_id, created_at, updated_at)
    VALUES (1, ?, ?, 1, 'image/jpeg', '${'0'.repeat(64)}', ?, ?, ?)`)
  let added = 0
  const folder = (name: string, parent = { id: 0, path: '' }) => {
    const path = parent.path === '' ? name : `${parent.path}/${name}`
    return { id: Number(addFolder.run(parent.id, name, path).lastInsertRowid), path }
  }
  const fill = ({ id }: { id: number }, count: number) => {
    for (let index = 0; index < count; index++) {
      const scattered = ((index * 2654435761) % 2 ** 32).toString(16).padStart(8, '0')
      addFile.run(id, `photo ${scattered} ${index}.jpg`, (added++).toString(16).padStart(32, '0'), index, index)
    }
  }
  database.transaction(() => {
    fill({ id: 0 }, 100)
    fill(folder('few'), 200)
    fill(folder('many'), many)
    const tree = folder('tree')
    for (let index = 0; index < many / 1000; index++) fill(folder(`below ${index}`, tree), 100)
    for (let round = 0; round < doomed; round++) fill(folder(`doomed ${round}`), many / 10)
    database.exec(`UPDATE accounts SET used_files = (SELECT count(*) FROM files), used_bytes = (SELECT count(*) FROM files),
      used_folders = (SELECT count(*) FROM folders) WHERE id = 1`)
  })()
  database.close()
}

/** A server whose user has a folder of `many` files, one of 200, a tree to be moved, and folders to be deleted. */
async function grow (folder: string, tree: { many: number, doomed: number }) {
  const dataDir = join(folder, 'folders')
  const server = await startMagicStore(dataDir)
  const [username, password] = user.split(':')
  await fetch(`http://127.0.0.1:${server.port}/api/users`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username, password }) })
  await server.stop()
  addTree(join(dataDir, 'magicstore.db'), tree)
  return startMagicStore(dataDir)
}

/** What folders cost: reading in a large one, moving a tree, and what others feel of a deletion. */
export async function compareFolders ({ rounds, folder, many }: Pick<Bench, 'rounds' | 'folder'> & { many: number }): Promise<Comparison[]> {
  const server = await grow(folder, { many, doomed: rounds })
  const { port } = server
  const headers = await signIn({ ours: server, user })
  const open = (path: string) => openRequester({ port, method: 'GET', headers, next: () => ({ path }) })
  const change = async (method: string, path: string, body?: object) => {
    const sent = { ...headers, 'content-type': 'application/json' }
    const { status } = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers: sent, ...body && { body: JSON.stringify(body) } })
    if (status >= 300) throw new Error(`${method} ${path} was answered ${status}`)
  }
  const pairOf = async (paths: string[]) => {
    const [ours = NaN, baseline = NaN] = await inTurn(paths, path => timeOf(() => open(path)))
    return { ours, baseline }
  }
  const name = encodeURIComponent('photo 00000000 0.jpg')
  const pages = []
  const lookups = []
  const moves = []
  const deletions = []
  const listings = ['/api/files?limit=100&folder=many', '/api/files?limit=100&folder=few']
  // Compiled before it is measured.
  await pairOf(listings)
  for (let round = 0; round < rounds; round++) {
    pages.push(await pairOf(listings))
    lookups.push(await pairOf([`/api/files/many%2F${name}`, `/api/files/${name}`]))
    const began = performance.now()
    await change('PATCH', `/api/folders/${round % 2 === 0 ? 'tree' : 'moved'}`, { name: round % 2 === 0 ? 'moved' : 'tree' })
    moves.push({ ours: performance.now() - began, baseline: LIMIT_MILLISECONDS })
    const state = { isDeleting: true }
    const deleting = change('DELETE', `/api/folders/doomed%20${round}?recursive=true`).finally(() => { state.isDeleting = false })
    const waits = []
    const other = await open(`/api/files/${name}`)
    while (state.isDeleting) {
      const sent = performance.now()
      await other.send()
      waits.push(performance.now() - sent)
    }
    other.close()
    await deleting
    waits.sort((a, b) => a - b)
    deletions.push({ ours: waits[Math.floor(waits.length * 0.99)] ?? NaN, baseline: LIMIT_MILLISECONDS })
  }
  await server.stop()
  const count = (number: number) => number.toLocaleString('en')
  return [
    { work: `page of 100 of a folder of ${count(many)} files`, against: 'of a folder of 200', target: { most: 1.3 }, unit: 'ms', rounds: pages },
    { work: `look-up of a file in a folder of ${count(many)}`, against: 'in the root', target: { most: 1.2 }, unit: 'ms', rounds: lookups },
    { work: `move of ${count(many / 10)} files in ${count(many / 1000)} folders`, against: 'the limit', target: { most: 1 }, unit: 'ms', rounds: moves },
    { work: `look-up (p99) while ${count(many / 10)} files are deleted`, against: 'the limit', target: { most: 1 }, unit: 'ms', rounds: deletions }
  ]
}
