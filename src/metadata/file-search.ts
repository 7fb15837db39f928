import { and, eq, inArray } from 'drizzle-orm'
import { fileColumns } from './columns.ts'
import { createNameScan, type FoundFile, type Stretch } from './name-scan.ts'
import { splitPath } from './paths.ts'
import type { FileOrder, FileRecord, FileSearch, Findings } from './records.ts'
import { query } from './rule.ts'
import { bestOf, firstOf, naturalRank, type Ranking } from './searches.ts'
import type { Services } from './services.ts'

const named = ({ name }: FoundFile) => Buffer.from(name)
const natural = ({ name }: FoundFile) => naturalRank(name)
const created = ({ createdAt }: FoundFile) => createdAt
const changed = ({ changedAt }: FoundFile) => changedAt
const size = ({ size }: FoundFile) => size

/** Undefined for the orders of a scan. */
const rankings: Record<FileOrder, Ranking<FoundFile> | undefined> = {
  name: undefined,
  '-name': undefined,
  natural: { rankOf: natural, isAscending: true },
  '-natural': { rankOf: natural, isAscending: false },
  oldest: { rankOf: created, isAscending: true },
  newest: { rankOf: created, isAscending: false },
  changed: { rankOf: changed, isAscending: true },
  '-changed': { rankOf: changed, isAscending: false },
  smallest: { rankOf: size, isAscending: true },
  largest: { rankOf: size, isAscending: false }
}

/** Finds files whose last segment contains some texts. */
export function createFileSearch ({ engine, tree, turns }: Services) {
  const { files: table } = engine.tables
  const { scan, scanBelow } = createNameScan(engine, tree, turns)

  async function start (ownerId: number, search: FileSearch): Promise<Findings<FileRecord>> {
    const { folder, isBelow, order, limit } = search
    const folderId = folder === undefined ? undefined : await engine.read(() => tree.idOf(ownerId, folder))
    const chunks = folder !== undefined && isBelow
      ? scanBelow(ownerId, { ...search, folder })
      : scan(ownerId, { ...search, stretches: stretchesOf(search, folderId), isAscending: order !== '-name' })
    const ranking = isBelow && order === '-name' ? { rankOf: named, isAscending: false } : rankings[order]
    const { entries, ...found } = await (ranking ? bestOf(chunks, limit, ranking) : firstOf(chunks, limit))
    return { ...found, entries: await filesOf(ownerId, entries) }
  }

  /** The files, without those that were deleted, renamed or moved meanwhile. */
  async function filesOf (ownerId: number, found: readonly FoundFile[]): Promise<FileRecord[]> {
    const ids = found.map(({ id }) => id)
    const rows = await engine.read(() => query(db => db.select(fileColumns(engine.tables)).from(table)
      .where(and(eq(table.ownerId, ownerId), inArray(table.id, ids)))))
    const files = new Map(rows.map(file => [placeOf(file.folderId, splitPath(file.name).name), file]))
    return found.map(({ folderId, name }) => files.get(placeOf(folderId, name))).filter(file => file !== undefined)
  }

  return (ownerId: number, search: FileSearch): Promise<Findings<FileRecord>> =>
    turns.search(ownerId, () => start(ownerId, search))
}

const placeOf = (folderId: number, name: string) => `${folderId}/${name}`

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
