import { and, asc, count, desc, gt, lt, or, type SQL, sql } from 'drizzle-orm'
import type { Engine } from './engine.ts'
import type { FolderTree } from './folder-tree.ts'
import { boundsBelow, fold, joinPath, splitPath } from './paths.ts'
import type { Search } from './records.ts'
import { type Db, existing, limitedTo, matching, placeholder, prepared, type QueryValues } from './rule.ts'
import { type Chunk, CHUNK_NAMES, matcherOf, type SearchTurns } from './searches.ts'

/** Folders whose files are counted at a time, and up to which number. One with more is read by itself. */
const CHUNK_FOLDERS = 200
const FEW_FILES = 200

/** A place in the index of names. No name is empty, so `(7, '')` is before all files in folder 7. */
export interface ScanCursor { readonly folderId: number, readonly name: string }

/** A part of the index in the direction of a scan: all after `start`, up to `end`. */
export interface Stretch { readonly start: ScanCursor, readonly end: ScanCursor }

/** A file with what listings are ordered by. */
export interface FoundFile extends ScanCursor {
  readonly id: number
  readonly createdAt: number
  readonly changedAt: number
  readonly size: number
}

interface Scan extends Pick<Search, 'texts' | 'signal'> {
  readonly stretches: readonly Stretch[]
  readonly isAscending: boolean
}

/** A scan of the files in a folder and in all folders below it. */
interface DeepScan extends Pick<Search, 'texts' | 'signal' | 'after'> { readonly folder: string }

interface CountedFolder { readonly id: number, readonly path: string, readonly files: number }

/**
 * Finds the files whose last segment contains texts, whatever the case and accents, by reading the index of names.
 * An index for this would make every upload slower.
 */
export function createNameScan (engine: Engine, tree: FolderTree, { read }: SearchTurns) {
  const ascending = queriesOf(engine, 'ascending')
  const descending = queriesOf(engine, 'descending')
  const { foldersAfter, inFolders } = deepQueriesOf(engine)

  /** In the order of folders and names. */
  async function * scan (
    ownerId: number, { texts, stretches, isAscending, signal }: Scan
  ): AsyncGenerator<Chunk<FoundFile> & { readonly upTo: ScanCursor }> {
    const queries = isAscending ? ascending : descending
    const matches = matcherOf(texts)
    const positionOf = ({ folderId: id, name: key }: ScanCursor) => ({ key, id })
    for (const { start, end } of stretches) {
      for (let next: ScanCursor | undefined = start; next !== undefined && !signal.aborted;) {
        const rest = valuesOf({ start: next, end }, ownerId)
        const [last]: ScanCursor[] = await read(queries.last(rest))
        const upTo = last ?? end
        const { count: searched } = last ? { count: CHUNK_NAMES } : await read(queries.count(rest, existing))
        const names: FoundFile[] = await read(queries.candidates({
          ...valuesOf({ start: next, end: upTo }, ownerId), text: candidateOf(texts)
        }))
        const found = names.filter(({ name }) => matches(name)).map(entry => ({ entry, position: positionOf(entry) }))
        yield { found, searched, end: positionOf(upTo), upTo }
        next = last
      }
    }
  }

  /**
   * In the order of the folders' paths and of names. A position is the path of a file with 0, or that of a folder with
   * 1, after all its files. Folders count as names, so that many empty ones are not read in one request.
   */
  async function * scanBelow (
    ownerId: number, { folder, texts, after, signal }: DeepScan
  ): AsyncGenerator<Chunk<FoundFile>> {
    const matches = matcherOf(texts)

    async function * scanOne ({ id, path }: { id: number, path: string }, name = ''): AsyncGenerator<Chunk<FoundFile>> {
      const stretches = [{ start: { folderId: id, name }, end: { folderId: id + 1, name: '' } }]
      const positionOf = ({ name }: ScanCursor) => ({ key: joinPath(path, name), id: 0 })
      for await (const { found, searched, upTo } of scan(ownerId, { texts, stretches, isAscending: true, signal })) {
        yield {
          found: found.map(({ entry }) => ({ entry, position: positionOf(entry) })),
          searched,
          end: upTo.folderId === id ? positionOf(upTo) : { key: path, id: 1 }
        }
      }
    }

    async function scanAll (folders: readonly CountedFolder[]): Promise<Chunk<FoundFile>> {
      const places = new Map(folders.map(({ id, path }, index) => [id, { path, index }]))
      const placeOf = ({ folderId }: FoundFile) => places.get(folderId) as { path: string, index: number }
      const names: FoundFile[] = await read(inFolders({
        ownerId, folderIds: Array.from(places.keys()), text: candidateOf(texts)
      }))
      const found = names.filter(({ name }) => matches(name)).sort((a, b) => placeOf(a).index - placeOf(b).index)
      return {
        found: found.map(entry => ({ entry, position: { key: joinPath(placeOf(entry).path, entry.name), id: 0 } })),
        searched: folders.reduce((sum, { files }) => sum + files, folders.length),
        end: { key: String(folders.at(-1)?.path), id: 1 }
      }
    }

    const { from, to } = boundsBelow(folder)
    let { folder: path, name } = startOf(folder, after)
    if (name !== undefined) {
      const begun = await read(tree.find(ownerId, path))
      if (begun !== undefined) yield * scanOne(begun, name)
    }
    for (let isMore = true; isMore && !signal.aborted;) {
      // One lower bound: of two SQLite seeks to one and scans to the other.
      const folders: CountedFolder[] = await read(foldersAfter({ ownerId, from: path === folder ? from : path, to }))
      for (const group of groupsOf(folders)) {
        const [first] = group
        if (first?.files === FEW_FILES) yield * scanOne(first)
        else yield await scanAll(group)
      }
      path = folders.at(-1)?.path ?? path
      isMore = folders.length === CHUNK_FOLDERS
    }
  }

  return { scan, scanBelow }
}

/** Where a deep scan goes on: in a folder after a name, or without one after the folder. */
function startOf (folder: string, after: Search['after']): { folder: string, name?: string } {
  if (after === undefined) return { folder, name: '' }
  return after.id === 0 ? splitPath(String(after.key)) : { folder: String(after.key) }
}

/** Groups that one query reads. A folder with many files is a group of its own. */
function groupsOf (folders: readonly CountedFolder[]): CountedFolder[][] {
  const groups: CountedFolder[][] = []
  let names = Infinity
  for (const folder of folders) {
    names += folder.files + 1
    if (folder.files < FEW_FILES && names <= CHUNK_NAMES) {
      groups.at(-1)?.push(folder)
      continue
    }
    groups.push([folder])
    names = folder.files < FEW_FILES ? folder.files + 1 : Infinity
  }
  return groups
}

function valuesOf ({ start, end }: Stretch, ownerId: number): QueryValues {
  return { ownerId, startFolder: start.folderId, startName: start.name, endFolder: end.folderId, endName: end.name }
}

/** The text that the database looks for: the longest is in the fewest names. */
function candidateOf (texts: readonly string[]): string {
  const [longest = ''] = texts.map(fold).sort((a, b) => b.length - a.length)
  // Both databases lower ASCII only, and an ASCII name contains nothing else.
  return longest.toLowerCase()
}

/**
 * The last of the next 2,000 names, the number of names if there are fewer, and the candidates. All read the index of
 * names, in its order, and the last one also rows: SQLite only those of candidates.
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
  return prepared(`search_${order}`, {
    last: db => db.select(place).from(files).where(isInStretch)
      .orderBy(limitedTo(sql.join(byPlace, sql`, `), 1, CHUNK_NAMES - 1)),
    count: db => db.select({ count: count() }).from(files).where(isInStretch),
    candidates: db => candidatesOf(db, files, isInStretch, direction)
  })
}

/** The next folders by path with the number of their files, and the candidates in some folders. */
function deepQueriesOf ({ tables: { files, folders }, isAmong }: Engine) {
  // Raw SQL: in a query of one table Drizzle omits the table's name.
  const few = sql<number>`(SELECT count(*) FROM (SELECT 1 FROM files f
    WHERE f.owner_id = folders.owner_id AND f.folder_id = folders.id LIMIT ${sql.raw(String(FEW_FILES))}) some_files)`
  return prepared('search_below', {
    foldersAfter: db => db.select({ id: folders.id, path: folders.path, files: few.mapWith(Number) }).from(folders)
      .where(and(
        matching(folders, 'ownerId'), gt(folders.path, placeholder('from')), lt(folders.path, placeholder('to'))
      )).orderBy(limitedTo(asc(folders.path), CHUNK_FOLDERS)),
    inFolders: db =>
      candidatesOf(db, files, and(matching(files, 'ownerId'), isAmong(files.folderId, 'folderIds')), asc)
  })
}

/** The files that match whose name may contain the text, by folder and name. */
function candidatesOf (
  db: Db, files: Engine['tables']['files'], condition: SQL | undefined, direction: typeof asc
) {
  const isCandidate = or(
    // Not LIKE, which tries again from each character: SQLite took 290 ms for 10,000 names of one letter, now 8.
    sql`replace(lower(${files.name}), ${placeholder('text')}, '') <> lower(${files.name})`,
    sql`octet_length(${files.name}) > length(${files.name})`
  )
  const { id, folderId, name, createdAt, changedAt, size } = files
  return db.select({ id, folderId, name, createdAt, changedAt, size }).from(files)
    .where(and(condition, isCandidate)).orderBy(direction(folderId), direction(name))
}
