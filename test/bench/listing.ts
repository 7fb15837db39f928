/**
 * What a page of a listing costs at the beginning and at the end of an account of 100,000 files.
 * Run: node --import tsx test/bench/listing.ts [files]
 */
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileOrders, type FileOrder, type FilePosition, type FileRecord } from '../../src/metadata/metadata.ts'
import { openSqliteMetadata } from '../../src/metadata/sqlite/sqlite.ts'

const count = Number(process.argv[2] ?? 100_000)
const limit = 100
const runs = 200

const folder = await mkdtemp(join(tmpdir(), 'magicstore-bench-'))
const metadata = await openSqliteMetadata(join(folder, 'magicstore.db'))
try {
  const { id: ownerId } = await metadata.addAccount({ username: 'anna', usernameKey: 'anna', passwordHash: '', createdAt: 0 })
  await fill(ownerId)
  console.log('order      first page   last page   prefix, last page')
  for (const order of fileOrders) await measure(ownerId, order)
} finally {
  await metadata.close()
  await rm(folder, { recursive: true })
}

async function fill (ownerId: number): Promise<void> {
  const began = performance.now()
  for (let first = 0; first < count; first += 1000) {
    await Promise.all(Array.from({ length: Math.min(1000, count - first) }, (_, index) => add(ownerId, first + index)))
  }
  console.log(`${count} files added in ${((performance.now() - began) / 1000).toFixed(1)} s`)
}

/** A file whose name and size follow no order of its number. */
function add (ownerId: number, number: number) {
  const sha256 = createHash('sha256').update(String(number)).digest('hex')
  const file = { ownerId, name: `photo ${sha256.slice(0, 12)} ${number}.jpg`, size: Number.parseInt(sha256.slice(0, 6), 16), type: 'image/jpeg', sha256, blobId: sha256.slice(32), now: number }
  return metadata.addFile(file, { bytes: undefined, files: undefined })
}

async function measure (ownerId: number, order: FileOrder): Promise<void> {
  const last = await lastCursor(ownerId, order)
  const cells = [await median(() => page(ownerId, order, undefined)), await median(() => page(ownerId, order, last))]
  if (order === 'name' || order === '-name') cells.push(await median(() => page(ownerId, order, last, 'photo ')))
  console.log(`${order.padEnd(9)} ${cells.map(cell => `${cell.toFixed(2)} ms`.padStart(11)).join(' ')}`)
}

function page (ownerId: number, order: FileOrder, after: FilePosition | undefined, prefix?: string): Promise<FileRecord[]> {
  return metadata.listFiles(ownerId, { order, prefix, limit: limit + 1, after })
}

/** Walks through the whole listing to the place where its last full page begins. */
async function lastCursor (ownerId: number, order: FileOrder): Promise<FilePosition | undefined> {
  let after: FilePosition | undefined
  for (let seen = 0; seen < count - limit; seen += limit) {
    const end = (await metadata.listFiles(ownerId, { order, prefix: undefined, limit, after })).at(-1) as FileRecord
    const key = order.includes('name') ? end.name : order === 'newest' || order === 'oldest' ? end.createdAt : end.size
    after = { key, id: end.id }
  }
  return after
}

async function median (act: () => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let run = 0; run < runs; run++) {
    const began = performance.now()
    await act()
    times.push(performance.now() - began)
  }
  return times.sort((a, b) => a - b)[runs / 2] as number
}
