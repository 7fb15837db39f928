import { and, asc, desc, eq, inArray, type SQL, sql } from 'drizzle-orm'
import { fileColumns } from './columns.ts'
import { boundsBelow } from './paths.ts'
import type { FilePosition, FileRecord, Findings } from './records.ts'
import { query } from './rule.ts'
import { type Chunk, CHUNK_NAMES, firstOf } from './searches.ts'
import type { Services } from './services.ts'

/** Numbers of `files.kind`. */
const KINDS = { image: 1, video: 2 } as const
export type MediaKind = keyof typeof KINDS
export const mediaKinds = Object.keys(KINDS) as MediaKind[]

/** Sort orders of a timeline: by when they were taken, and by id. */
export const takenOrders = ['taken', '-taken'] as const

/** Which pictures and videos. */
export interface TimelineSelection {
  /** Those in the folder with this path, empty for the root; undefined for everywhere. */
  readonly folder: string | undefined
  /** Whether those in all folders below too. Not for the root: that is everywhere. */
  readonly isBelow: boolean
  readonly kinds: readonly MediaKind[]
  /** Ends the reading early: then it returns what it has found. */
  readonly signal: AbortSignal
}

export interface TimelinePage extends TimelineSelection {
  readonly isAscending: boolean
  readonly limit: number
  readonly after: FilePosition | undefined
}

/** A month, such as `2024-07`, and how many files are of it. */
export interface Month { readonly month: string, readonly files: number }

/** Months of a timeline at most. */
export const MAX_MONTHS = 1200

/** Rows of the index that are read at a time to count: SQLite takes 3 ms for them. */
const COUNTED_ROWS = 10_000

const DAY = 86_400_000

/** From the first day of the year 0, before which no file is, to 1970. */
const DAYS_BEFORE = 719_528

/** A part of the index, of a length that is bounded, and where it ends; undefined at the end of the index. */
interface IndexPart { readonly condition: SQL | undefined, readonly end: FilePosition | undefined }

interface Walk {
  readonly isAscending: boolean
  readonly after: FilePosition | undefined
  readonly rows: number
  readonly signal: AbortSignal
}

/**
 * Pictures and videos by when they were taken, else changed: a part of the contract of {@link Metadata}. Reads an index
 * of all pictures and videos of an account in its order, a bounded part of it at a time, and leaves out what is
 * elsewhere or of another kind. Those of one account are read one after another.
 */
export type TimelineRepository = ReturnType<typeof createTimelines>

export function createTimelines ({ engine, tree, turns }: Services) {
  const { tables, numbersAfter } = engine
  const { files } = tables
  const { taken, id } = files

  // As the index says it, which SQLite otherwise does not use.
  const isOf = (ownerId: number) => and(eq(files.ownerId, ownerId), sql`${files.kind} > 0`)

  /** @throws not_found if the folder does not exist. */
  async function filterOf (ownerId: number, { folder, isBelow, kinds }: TimelineSelection): Promise<SQL | undefined> {
    const isKind = kinds.length === mediaKinds.length ? undefined : inArray(files.kind, kinds.map(kind => KINDS[kind]))
    if (folder === undefined) return isKind
    const folderId = await engine.read(() => tree.idOf(ownerId, folder))
    const { from, to } = boundsBelow(folder)
    // With a sign, so that no database takes an index of folders, and sorts all that is in them.
    return and(isKind, isBelow
      ? sql`(+${files.folderId} = ${folderId} OR +${files.folderId} IN (SELECT fo.id FROM folders fo
          WHERE fo.owner_id = ${ownerId} AND fo.path >= ${from} AND fo.path < ${to}))`
      : sql`+${files.folderId} = ${folderId}`)
  }

  /** Goes through the index in parts of `rows`. */
  async function * walk (ownerId: number, { isAscending, after, rows, signal }: Walk): AsyncGenerator<IndexPart> {
    const partsAfter = (position: FilePosition) =>
      numbersAfter([taken, id], { key: Number(position.key), id: position.id, isAscending })
    let parts = after === undefined ? [undefined] : partsAfter(after)
    while (parts.length > 0 && !signal.aborted) {
      const [part, ...others] = parts
      const [end] = await turns.read(query(db => db.select({ key: taken, id }).from(files)
        .where(and(isOf(ownerId), part)).orderBy(...ordering(isAscending)).limit(1).offset(rows - 1)))
      const isUpTo = end && sql`(${taken}, ${id}) ${isAscending ? sql`<=` : sql`>=`} (${end.key}, ${end.id})`
      yield { condition: and(isOf(ownerId), part, isUpTo), end }
      parts = end === undefined ? others : partsAfter(end)
    }
  }

  const ordering = (isAscending: boolean) => [taken, id].map(column => isAscending ? asc(column) : desc(column))

  async function * chunksOf (ownerId: number, page: TimelinePage): AsyncGenerator<Chunk<FileRecord>> {
    const { isAscending, limit } = page
    const filter = await filterOf(ownerId, page)
    for await (const { condition, end } of walk(ownerId, { ...page, rows: CHUNK_NAMES })) {
      const found = await turns.read(query(db => db.select(fileColumns(tables)).from(files)
        .where(and(condition, filter)).orderBy(...ordering(isAscending)).limit(limit + 1)))
      yield {
        found: found.map(entry => ({ entry, position: { key: entry.taken, id: entry.id } })),
        // None after the last one: there a page does not end because it was long.
        searched: end === undefined ? 0 : CHUNK_NAMES,
        end: end ?? { key: 0, id: 0 }
      }
    }
  }

  async function countMonths (ownerId: number, selection: TimelineSelection): Promise<Month[]> {
    const filter = await filterOf(ownerId, selection)
    const months = new Map<string, number>()
    const all = { isAscending: false, after: undefined, rows: COUNTED_ROWS, signal: selection.signal }
    for await (const { condition } of walk(ownerId, all)) {
      // Whole days since the year 0: databases round negative numbers towards 0.
      const day = sql`((${taken} + cast(${DAYS_BEFORE * DAY} AS bigint)) / ${sql.raw(String(DAY))})`
      const columns = { day: day.mapWith(Number), files: sql`count(*)`.mapWith(Number) }
      const days = await turns.read(query(db => db.select(columns).from(files)
        .where(and(condition, filter)).groupBy(sql`1`).orderBy(sql`1 DESC`)))
      for (const { day, files } of days) {
        const month = new Date((day - DAYS_BEFORE) * DAY).toISOString().slice(0, 'YYYY-MM'.length)
        months.set(month, files + (months.get(month) ?? 0))
      }
      if (months.size > MAX_MONTHS) break
    }
    return Array.from(months, ([month, files]) => ({ month, files })).slice(0, MAX_MONTHS)
  }

  return {
    /**
     * One page. Concurrent changes never make a file whose time stays appear on two pages. It ends after 100,000 files
     * of the account: then it can have fewer than the limit, and the next one goes on.
     * @throws not_found if the folder does not exist.
     */
    list: (ownerId: number, page: TimelinePage): Promise<Findings<FileRecord>> =>
      turns.search(ownerId, () => firstOf(chunksOf(ownerId, page), page.limit)),

    /**
     * How many there are of each month that has some, the newest first; of the newest {@link MAX_MONTHS}.
     * @throws not_found if the folder does not exist.
     */
    months: (ownerId: number, selection: TimelineSelection): Promise<Month[]> =>
      turns.search(ownerId, () => countMonths(ownerId, selection))
  }
}
