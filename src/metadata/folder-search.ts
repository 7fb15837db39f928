import { and, asc, gt, lt } from 'drizzle-orm'
import { folderColumns } from './columns.ts'
import { boundsBelow, splitPath } from './paths.ts'
import type { FolderOrder, FolderRecord, FolderSearch, Findings } from './records.ts'
import { limitedTo, matching, placeholder, prepared } from './rule.ts'
import { bestOf, type Chunk, firstOf, matcherOf, naturalRank, type Ranking } from './searches.ts'
import type { Services } from './services.ts'

/** Folders that are read at a time, whole. */
const CHUNK_FOLDERS = 1000

/** Comes after every path. */
const END = '\u{10FFFF}'.repeat(200)

const nameOf = ({ path }: FolderRecord) => splitPath(path).name
const natural = (folder: FolderRecord) => naturalRank(nameOf(folder))

/** Undefined for the order of a scan. */
const rankings: Record<FolderOrder, Ranking<FolderRecord> | undefined> = {
  name: undefined,
  '-name': { rankOf: folder => Buffer.from(nameOf(folder)), isAscending: false },
  natural: { rankOf: natural, isAscending: true },
  '-natural': { rankOf: natural, isAscending: false }
}

/** Finds folders whose last segment contains some texts. */
export function createFolderSearch ({ engine, tree, members, turns }: Services) {
  const { tables } = engine
  const { folders } = tables
  const queries = prepared('search_folders', {
    within: db => db.select(folderColumns(tables)).from(folders).where(and(
      matching(folders, 'ownerId'), gt(folders.path, placeholder('from')), lt(folders.path, placeholder('to'))
    )).orderBy(limitedTo(asc(folders.path), CHUNK_FOLDERS))
  })

  /** By path. A position has the path. */
  async function * scan (
    ownerId: number, { texts, folder, isBelow, after, signal }: FolderSearch
  ): AsyncGenerator<Chunk<FolderRecord>> {
    const matches = matcherOf(texts)
    const id = folder === undefined ? 0 : await turns.read(tree.idOf(ownerId, folder))
    const { from, to } = folder === undefined ? { from: '', to: END } : boundsBelow(folder)
    const isDirect = folder !== undefined && !isBelow
    const limit = CHUNK_FOLDERS
    let last = after?.key
    for (let isMore = true; isMore && !signal.aborted;) {
      const path = String(last ?? from)
      const found: FolderRecord[] = await turns.read(isDirect
        ? members.folders.list(ownerId, id, { after: splitPath(path).name, limit })
        : queries.within({ ownerId, from: path, to }))
      last = found.at(-1)?.path ?? path
      const hits = found.filter(folder => matches(nameOf(folder)))
        .map(entry => ({ entry, position: { key: entry.path, id: 0 } }))
      yield { found: hits, searched: found.length, end: { key: last, id: 0 } }
      isMore = found.length === limit
    }
  }

  return (ownerId: number, search: FolderSearch): Promise<Findings<FolderRecord>> => turns.search(ownerId, async () => {
    const { order, limit } = search
    const chunks = scan(ownerId, search)
    const ranking = rankings[order]
    return ranking ? bestOf(chunks, limit, ranking) : firstOf(chunks, limit)
  })
}
