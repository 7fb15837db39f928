import { and, eq, inArray } from 'drizzle-orm'
import { fileColumns } from './columns.ts'
import { type Chunk, CHUNK_NAMES, createNameScan, type FoundFile, type ScanCursor, type Stretch } from './name-scan.ts'
import { splitPath } from './paths.ts'
import type { FileOrder, FileRecord, FileSearch, FoundFiles } from './records.ts'
import { query } from './rule.ts'
import type { Services } from './services.ts'

/** Names that a request searches at most: 0.1 s. */
const MAX_NAMES = 100_000

/** What an order that is not by name sorts by. */
interface Sorting { readonly key: 'createdAt' | 'size', readonly sign: 1 | -1 }

/** Undefined for the orders by name, which are those of a scan. */
const sortings: Record<FileOrder, Sorting | undefined> = {
  name: undefined,
  '-name': undefined,
  oldest: { key: 'createdAt', sign: 1 },
  newest: { key: 'createdAt', sign: -1 },
  smallest: { key: 'size', sign: 1 },
  largest: { key: 'size', sign: -1 }
}

/**
 * Finds files whose last segment contains a text. Searches of one account run one after another, so that many at once
 * slow down none of another account.
 */
export function createFileSearch ({ engine, tree }: Services) {
  const { files: table } = engine.tables
  const scan = createNameScan(engine)
  /** The end of the latest search of each account. */
  const latest = new Map<number, Promise<unknown>>()

  async function start (ownerId: number, search: FileSearch): Promise<FoundFiles> {
    const { folder, order } = search
    const folderId = folder === undefined ? undefined : await engine.read(() => tree.idOf(ownerId, folder))
    const sorting = sortings[order]
    const chunks = scan(ownerId, {
      ...search, stretches: stretchesOf(search, folderId), isAscending: order !== '-name'
    })
    return sorting === undefined
      ? firstOf(chunks, ownerId, search)
      : bestOf(chunks, ownerId, { ...search, sorting })
  }

  /** In the order of the scan. */
  async function firstOf (chunks: AsyncIterable<Chunk>, ownerId: number, { limit }: FileSearch): Promise<FoundFiles> {
    const found: FoundFile[] = []
    let end: ScanCursor | undefined
    let searched = 0
    for await (const chunk of chunks) {
      found.push(...chunk.found)
      searched += chunk.searched
      if (isEnough(searched)) end = chunk.end
      if (found.length > limit) end = found[limit - 1]
      if (end !== undefined) break
    }
    const files = await filesOf(ownerId, found.slice(0, limit))
    return { files, searched, next: end && { key: end.name, id: end.folderId } }
  }

  /** In another order. A page after this one would read the same names again. */
  async function bestOf (
    chunks: AsyncIterable<Chunk>, ownerId: number, { sorting, limit }: FileSearch & { sorting: Sorting }
  ): Promise<FoundFiles> {
    let best: FoundFile[] = []
    let searched = 0
    for await (const chunk of chunks) {
      best = [...best, ...chunk.found].sort((a, b) => compare(a, b, sorting)).slice(0, limit)
      searched += chunk.searched
      if (isEnough(searched)) break
    }
    return { files: await filesOf(ownerId, best), searched, next: undefined }
  }

  /** The files, without those that were deleted, renamed or moved meanwhile. */
  async function filesOf (ownerId: number, found: readonly FoundFile[]): Promise<FileRecord[]> {
    const ids = found.map(({ id }) => id)
    const rows = await engine.read(() => query(db => db.select(fileColumns(engine.tables)).from(table)
      .where(and(eq(table.ownerId, ownerId), inArray(table.id, ids)))))
    const files = new Map(rows.map(file => [placeOf(file.folderId, splitPath(file.name).name), file]))
    return found.map(({ folderId, name }) => files.get(placeOf(folderId, name))).filter(file => file !== undefined)
  }

  return async (ownerId: number, search: FileSearch): Promise<FoundFiles> => {
    const found = Promise.resolve(latest.get(ownerId)).then(() => start(ownerId, search))
    const end = found.catch(() => {})
    latest.set(ownerId, end)
    await end
    if (latest.get(ownerId) === end) latest.delete(ownerId)
    return found
  }
}

const placeOf = (folderId: number, name: string) => `${folderId}/${name}`

/** Below zero if `a` comes before `b`. */
function compare (a: FoundFile, b: FoundFile, { key, sign }: Sorting): number {
  return sign * (a[key] - b[key] || a.id - b.id)
}

/** Whether the next names could be too many. */
function isEnough (searched: number): boolean {
  return searched > MAX_NAMES - CHUNK_NAMES
}

/** What to scan, in this order: in both orders by name the root comes before all folders. */
function stretchesOf ({ order, after }: FileSearch, folderId: number | undefined): Stretch[] {
  const ranges = foldersOf(order, folderId).filter(({ to }) => after === undefined || after.id < to)
  return ranges.map(({ from, to }, index) => {
    const [low, high] = [{ folderId: from, name: '' }, { folderId: to, name: '' }]
    const stretch = order === '-name' ? { start: high, end: low } : { start: low, end: high }
    if (after === undefined || index > 0) return stretch
    return { ...stretch, start: { folderId: after.id, name: String(after.key) } }
  })
}

/** Ranges of ids of folders; `to` is not in them. */
function foldersOf (order: FileOrder, folderId: number | undefined): { from: number, to: number }[] {
  const to = Number.MAX_SAFE_INTEGER
  if (folderId !== undefined) return [{ from: folderId, to: folderId + 1 }]
  return order === '-name' ? [{ from: 0, to: 1 }, { from: 1, to }] : [{ from: 0, to }]
}
