import { and, asc, count, desc, eq, or, sql } from 'drizzle-orm'
import pLimit from 'p-limit'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Engine } from './engine.ts'
import { existing, limitedTo, matching, placeholder, prepared, type QueryValues, type Rule } from './rule.ts'

/** Names that are read at a time. SQLite takes 1 to 8 ms for them, in which the process does nothing else. */
export const CHUNK_NAMES = 2000

/** A place in the index of names. No name is empty, so `(7, '')` is before all files in folder 7. */
export interface ScanCursor { readonly folderId: number, readonly name: string }

/** A part of the index in the direction of a scan: all after `start`, up to `end`. */
export interface Stretch { readonly start: ScanCursor, readonly end: ScanCursor }

/** A file with what listings are ordered by. */
export interface FoundFile extends ScanCursor { readonly id: number, readonly createdAt: number, readonly size: number }

/** What was found among some names: `searched` of them, up to `end`. */
export interface Chunk { readonly found: readonly FoundFile[], readonly searched: number, readonly end: ScanCursor }

interface Scan {
  readonly contains: string
  readonly stretches: readonly Stretch[]
  readonly isAscending: boolean
  /** Ends the scan before the next query. */
  readonly signal: AbortSignal
}

/**
 * Finds the files whose last segment contains a text, whatever the case and accents, by reading the index of names.
 * An index for this would make every upload slower.
 */
export function createNameScan (engine: Engine) {
  const ascending = queriesOf(engine, 'ascending')
  const descending = queriesOf(engine, 'descending')
  // One query at a time, in a turn of the event loop of its own: other requests and other searches come between.
  const inTurn = pLimit(1)
  const read = <Rows>(rule: Rule<Rows>): Promise<Rows> => inTurn(() => nextTurn().then(() => engine.read(() => rule)))

  return async function * (
    ownerId: number, { contains, stretches, isAscending, signal }: Scan
  ): AsyncGenerator<Chunk> {
    const queries = isAscending ? ascending : descending
    const text = fold(contains)
    // A text of accents alone.
    if (text === '') return
    for (const { start, end } of stretches) {
      for (let next: ScanCursor | undefined = start; next !== undefined && !signal.aborted;) {
        const rest = valuesOf({ start: next, end }, ownerId)
        const [last]: ScanCursor[] = await read(queries.last(rest))
        const upTo = last ?? end
        const { count: searched } = last ? { count: CHUNK_NAMES } : await read(queries.count(rest, existing))
        const names: FoundFile[] = await read(queries.candidates({
          ...valuesOf({ start: next, end: upTo }, ownerId),
          // Both databases lower ASCII only, and an ASCII name contains nothing else.
          text: text.toLowerCase()
        }))
        yield { found: names.filter(({ name }) => fold(name).includes(text)), searched, end: upTo }
        next = last
      }
    }
  }
}

function valuesOf ({ start, end }: Stretch, ownerId: number): QueryValues {
  return { ownerId, startFolder: start.folderId, startName: start.name, endFolder: end.folderId, endName: end.name }
}

/**
 * The last of the next 2,000 names, the number of names if there are fewer, and the candidates. All read nothing but
 * the index of names, in its order, and the last one the rows of candidates.
 */
function queriesOf ({ tables: { files } }: Engine, order: 'ascending' | 'descending') {
  const [direction, after, upTo] = order === 'ascending' ? [asc, sql`>`, sql`<=`] : [desc, sql`<`, sql`>=`]
  const place = { folderId: files.folderId, name: files.name }
  const byPlace = [direction(files.folderId), direction(files.name)]
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
  return prepared(`search_${order}`, {
    last: db => db.select(place).from(files).where(isInStretch)
      .orderBy(limitedTo(sql.join(byPlace, sql`, `), 1, CHUNK_NAMES - 1)),
    count: db => db.select({ count: count() }).from(files).where(isInStretch),
    candidates: db => {
      const names = db.select(place).from(files).where(and(isInStretch, isCandidate)).orderBy(...byPlace).as('names')
      const { id, createdAt, size } = files
      const { folderId, name } = names
      return db.select({ id, createdAt, size, folderId, name }).from(names)
        .innerJoin(files, and(matching(files, 'ownerId'), eq(files.folderId, folderId), eq(files.name, name)))
        .orderBy(direction(folderId), direction(name))
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
