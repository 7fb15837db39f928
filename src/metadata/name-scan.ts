import { and, asc, count, desc, eq, or, type SQL, sql } from 'drizzle-orm'
import pLimit from 'p-limit'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Engine } from './engine.ts'
import { limitedTo, matching, placeholder, prepared, type QueryValues, type Rule } from './rule.ts'

/** Names that are read at a time. SQLite takes about 4 ms for them, in which the process does nothing else. */
export const CHUNK_NAMES = 10_000

/** Names of these that SQL can't rule out, at most. To return and fold them takes as long again. */
const CHUNK_CANDIDATES = 1000

/** A place in the index of names. No name is empty, so `(7, '')` is before all files in folder 7. */
export interface ScanCursor { readonly folderId: number, readonly name: string }

/** A part of the index in the direction of a scan: all after `start`, up to `end`. */
export interface Stretch { readonly start: ScanCursor, readonly end: ScanCursor }

/** A file with what listings are ordered by. */
export interface FoundFile extends ScanCursor { readonly id: number, readonly createdAt: number, readonly size: number }

/** Some of what was found. */
export interface Chunk {
  readonly found: readonly FoundFile[]
  /** The names that are searched from here on, up to the next end; 0 if those of the chunk before go on. */
  readonly searched: number
  /** Set if all up to this place was searched. */
  readonly end: ScanCursor | undefined
}

interface Scan {
  readonly contains: string
  readonly stretches: readonly Stretch[]
  readonly isAscending: boolean
  /** Ends the scan before the next query. */
  readonly signal: AbortSignal
}

interface Search extends Pick<Scan, 'signal'> {
  readonly ownerId: number
  /** Folded. */
  readonly text: string
  readonly queries: ReturnType<typeof queriesOf>
}

/**
 * Finds the files whose last segment contains a text, whatever the case and accents, by reading the index of names.
 * An index for this would make every upload slower.
 */
export function createNameScan (engine: Engine) {
  const ascending = queriesOf(engine, { suffix: 'ascending', direction: asc, after: sql`>`, upTo: sql`<=` })
  const descending = queriesOf(engine, { suffix: 'descending', direction: desc, after: sql`<`, upTo: sql`>=` })
  // One query at a time, in a turn of the event loop of its own: other requests and other searches come between.
  const inTurn = pLimit(1)
  const read = <Rows>(rule: Rule<Rows>): Promise<Rows> => inTurn(() => nextTurn().then(() => engine.read(() => rule)))

  async function * candidates ({ start, end }: Stretch, searched: number, search: Search): AsyncGenerator<Chunk> {
    for (let next: ScanCursor | undefined = start; next !== undefined && !search.signal.aborted; searched = 0) {
      const names: FoundFile[] = await read(search.queries.candidates(valuesOf({ start: next, end }, search)))
      const found = names.filter(({ name }) => fold(name).includes(search.text))
      next = names.length === CHUNK_CANDIDATES ? names.at(-1) : undefined
      yield { found, searched, end: next === undefined ? end : undefined }
    }
  }

  /** What is found in the stretches. Every 10,000 names, and at the end of each stretch, a chunk has an end. */
  return async function * (
    ownerId: number, { contains, stretches, isAscending, signal }: Scan
  ): AsyncGenerator<Chunk> {
    const queries = isAscending ? ascending : descending
    const search: Search = { ownerId, text: fold(contains), signal, queries }
    // A text of accents alone.
    if (search.text === '') return
    for (const stretch of stretches) {
      for (let next: ScanCursor | undefined = stretch.start; next !== undefined && !signal.aborted;) {
        const rest = valuesOf({ ...stretch, start: next }, search)
        const [end]: ScanCursor[] = await read(queries.end(rest))
        const searched = end === undefined ? Number((await read(queries.count(rest)))[0]?.count) : CHUNK_NAMES
        yield * candidates({ start: next, end: end ?? stretch.end }, searched, search)
        next = end
      }
    }
  }
}

function valuesOf ({ start, end }: Stretch, { ownerId, text }: Search): QueryValues {
  return {
    ownerId,
    startFolder: start.folderId,
    startName: start.name,
    endFolder: end.folderId,
    endName: end.name,
    // Both databases lower ASCII only, and an ASCII name contains nothing else.
    text: text.toLowerCase()
  }
}

interface Direction {
  readonly suffix: string
  readonly direction: typeof asc
  /** Comparisons of places. */
  readonly after: SQL
  readonly upTo: SQL
}

/**
 * The 10,000th name, the number of names if there are fewer, and the candidates. All read nothing but the index of
 * names, in its order, and the last one the rows of candidates. No limit ends that where the first one ends: names are
 * added between the two.
 */
function queriesOf ({ tables: { files } }: Engine, { suffix, direction, after, upTo }: Direction) {
  const place = { folderId: files.folderId, name: files.name }
  const order = sql`${direction(files.folderId)}, ${direction(files.name)}`
  const isInStretch = and(
    matching(files, 'ownerId'),
    sql`(${files.folderId}, ${files.name}) ${after} (${placeholder('startFolder')}, ${placeholder('startName')})`,
    sql`(${files.folderId}, ${files.name}) ${upTo} (${placeholder('endFolder')}, ${placeholder('endName')})`
  )
  const isCandidate = or(
    // Not LIKE, which tries again from each character: SQLite took 290 ms for 10,000 names of one letter, now 8.
    sql`replace(lower(${files.name}), ${placeholder('text')}, '') <> lower(${files.name})`,
    sql`octet_length(${files.name}) > length(${files.name})`
  )
  return prepared(`search_${suffix}`, {
    end: db => db.select(place).from(files)
      .where(isInStretch).orderBy(limitedTo(order, 1, CHUNK_NAMES - 1)),
    count: db => db.select({ count: count() }).from(files).where(isInStretch),
    candidates: db => {
      const names = db.select(place).from(files).where(and(isInStretch, isCandidate))
        .orderBy(limitedTo(order, CHUNK_CANDIDATES)).as('names')
      const { id, createdAt, size } = files
      return db.select({ id, createdAt, size, folderId: names.folderId, name: names.name }).from(names)
        .innerJoin(files, and(
          matching(files, 'ownerId'),
          eq(files.folderId, names.folderId),
          eq(files.name, names.name)
        )).orderBy(direction(names.folderId), direction(names.name))
    }
  })
}

/** Letters that Unicode does not take apart, as they are typed on a keyboard that lacks them. */
const letters: Readonly<Record<string, string>> = {
  Æ: 'AE', Ð: 'D', Ø: 'O', Þ: 'TH', Đ: 'D', Ħ: 'H', Ł: 'L', Ŋ: 'N', Œ: 'OE', Ŧ: 'T', ẞ: 'SS'
}

/**
 * A text without case and accents: two texts that people take for the same one are equal, such as `Straße` and
 * `STRASSE`, `Ωραίος` and `ωραιος`, `ﬁle` and `FILE`. Of an ASCII text, the same in upper case.
 */
export function fold (text: string): string {
  return text.normalize('NFKD').replace(/[\u0300-\u036f]/g, '').toUpperCase()
    .replace(/[ÆÐØÞĐĦŁŊŒŦẞ]/g, letter => letters[letter] as string)
}
