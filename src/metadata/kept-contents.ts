import { and, asc, desc, eq, getTableColumns, gt, isNotNull, isNull, lt, ne, type SQL, sql } from 'drizzle-orm'
import type { Discard } from './blobs.ts'
import type { Engine } from './engine.ts'
import { FURTHEST_AHEAD_MILLISECONDS, type Keeping, MAX_DELETIONS, MAX_KEPT, MAX_TRIMMED } from './kept-repository.ts'
import type { Owner, Owners } from './owners.ts'
import { limitedTo } from './paging.ts'
import type { FileRecord } from './records.ts'
import { type Ask, ask, reading, together, writing, type Rule } from './rule.ts'
import type { Tables } from './schema.ts'

export type KeptRow = Tables['kept']['$inferSelect']

/** Bytes to free. The blob `newest` is deleted last. */
interface Room { readonly bytes: number, readonly newest?: string, readonly time: number }

/** Changes kept content in the current transaction, in which its owner is locked, and with it the usage of the owner and the discarded blobs. */
export interface KeptContents {
  /** Whether the content of a file is kept when it is replaced by other bytes. */
  keepsReplaced (current: FileRecord, next: { readonly size: number, readonly sha256: string }): boolean
  /** Keeps the content of a file as a version; the caller charges it. Its time is `keptAt`, or later, so that it is the newest version. */
  keepVersion (current: FileRecord, keptAt: number): Ask<unknown>
  /** Keeps a deleted file, as the newest in the trash; the caller charges it. */
  keepDeleted (file: FileRecord, keptAt: number): Ask<unknown>
  /** The versions of a file beyond the newest `Keeping.versions`. */
  surplusOf (file: FileRecord): Ask<Content[]>
  versionsOf (file: FileRecord): Ask<Content[]>
  /** Deletes contents. Returns their bytes. */
  drop (contents: readonly Content[], time: number): Rule<number>
  /** Removes an entry whose blob a file uses again; the caller charges it. */
  take (entry: KeptRow): Ask<unknown>
  /** Deletes contents by their ids, and the versions of deleted files among them. Returns their bytes. */
  remove (ids: readonly string[], time: number): Rule<number>
  /**
   * Deletes the owner's longest-kept content until `bytes` are free.
   * @throws {Crowded} if that would be too many contents for one transaction.
   */
  makeRoom (ownerId: number, room: Room): Rule<void>
  /** Deletes the owner's oldest beyond `Keeping.contents`, except the blob `newest`; only some in one transaction. */
  trim (owner: Owner, trimmed: { newest: string, time: number }): Rule<void>
  /** Runs a rule that may make room in a transaction for its owner. If it is too crowded, other transactions delete some content first, and it runs again. */
  transactWithRoom<T> (ownerId: number, rule: (isRepeated: boolean) => Rule<T>): Promise<T>
}

/** A write needs the room of more kept content than one transaction deletes. */
class Crowded extends Error {}

/** What has to be known of content to delete it. */
export type Content = Pick<KeptRow, 'id' | 'ownerId' | 'fileId' | 'name' | 'size'>

const bytesOf = (contents: readonly Content[]) => contents.reduce((sum, { size }) => sum + size, 0)

/** So many contents are looked at first: usually one or two make enough room. */
const FEW = 10

/** Less than any size. */
const ALSO_EMPTY = -1

interface KeptContentsOptions { readonly engine: Engine, readonly owners: Owners, readonly discard: Discard, readonly keeping: Keeping }

export function createKeptContents ({ engine, owners, discard, keeping }: KeptContentsOptions): KeptContents {
  const { tables: { accounts, kept }, now, transactFor, isAmong } = engine
  const { placeholder } = sql
  const { contents: maxContents = MAX_KEPT, deletions: maxDeletions = MAX_DELETIONS } = keeping
  const few = Math.min(FEW, maxDeletions)
  const { id, ownerId, fileId, name, size } = getTableColumns(kept)
  const columns = { id, ownerId, fileId, name, size }
  const isVersion = and(eq(kept.fileId, placeholder('fileId')), isNull(kept.name))

  /** The later one of `keptAt` and of the millisecond after all that match. */
  const laterThan = (matching: SQL | undefined) =>
    sql`(SELECT max(t) FROM (SELECT cast(${placeholder('keptAt')} AS bigint) AS t UNION ALL SELECT max(kept_at) + 1 FROM kept WHERE ${matching}) times)`
  const inserting = (keptAt: SQL) => ({
    id: placeholder('blobId'),
    ownerId: placeholder('ownerId'),
    fileId: placeholder('id'),
    name: placeholder('deletedName'),
    size: placeholder('size'),
    type: placeholder('type'),
    sha256: placeholder('sha256'),
    storedAt: placeholder('storedAt'),
    createdAt: placeholder('deletedCreatedAt'),
    keptAt
  })
  // Later than all other versions, also if the clock was set back. Of a file that exists only versions are kept.
  const addVersion = writing('keep_version', db => db.insert(kept).values(inserting(laterThan(eq(kept.fileId, placeholder('id'))))))
  // Later than the rest of the trash. In a burst of deletions, many in one millisecond, it runs ahead of the clock.
  const addDeleted = writing('keep_file', db => db.insert(kept).values(inserting(laterThan(
    and(eq(kept.ownerId, placeholder('ownerId')), isNotNull(kept.name), lt(kept.keptAt, sql`cast(${placeholder('end')} AS bigint)`))
  ))))
  const count = reading('kept_contents', db => db.select({ contents: accounts.keptContents }).from(accounts).where(eq(accounts.id, placeholder('id'))))
  const removal = writing('remove_kept', db => db.delete(kept).where(isAmong(kept.id, 'ids')))
  const versions = reading('versions', db => db.select(columns).from(kept).where(isVersion))
  const surplus = reading('surplus_versions', db => db.select(columns).from(kept).where(isVersion)
    .orderBy(limitedTo(sql`${desc(kept.keptAt)}, ${desc(kept.id)}`, Number.MAX_SAFE_INTEGER, keeping.versions)))
  const oldest = reading('oldest_kept', db => db.select(columns).from(kept)
    .where(and(eq(kept.ownerId, placeholder('ownerId')), gt(kept.size, placeholder('above')), ne(kept.id, placeholder('newest'))))
    .orderBy(limitedTo(sql`${asc(kept.keptAt)}, ${asc(kept.id)}`, placeholder('limit'))))
  const byIds = reading('kept_by_ids', db => db.select(columns).from(kept).where(isAmong(kept.id, 'ids')))
  const ofFiles = reading('kept_of_files', db => db.select(columns).from(kept).where(isAmong(kept.fileId, 'fileIds')))
  const byId = reading('kept_by_id', db => db.select(columns).from(kept).where(and(eq(kept.id, placeholder('id')), gt(kept.size, 0))))

  /** Returns the bytes that were kept. */
  function * drop (contents: readonly Content[], time: number): Rule<number> {
    if (contents.length === 0) return 0
    const ids = contents.map(({ id }) => id)
    const charges = Array.from(new Set(contents.map(({ ownerId }) => ownerId)), ownerId => {
      const theirs = contents.filter(content => content.ownerId === ownerId)
      return owners.charge(ownerId, { keptBytes: -bytesOf(theirs), keptContents: -theirs.length })
    })
    yield * together(ask(removal, { ids }), discard(ids, time), ...charges)
    return bytesOf(contents)
  }

  /** What is kept of the deleted files among the contents: themselves, and their versions. */
  function * ofDeleted (contents: readonly Content[]): Rule<Content[]> {
    const fileIds = contents.filter(({ name }) => name !== null).map(({ fileId }) => fileId)
    return fileIds.length === 0 ? [] : yield * ask(ofFiles, { fileIds })
  }

  /** The first of the contents, deleted files with their versions, until they weigh as much as `wanted`; and how much is missing. */
  function * choose (contents: Content[], wanted: number, weigh: (content: Content) => number): Rule<{ chosen: Content[], missing: number }> {
    // Without the versions. One query for all of them: with one query each they would take as many round trips.
    let rest = wanted
    const sufficient = contents.filter(content => {
      const isNeeded = rest > 0
      rest -= weigh(content)
      return isNeeded
    })
    const ofFile = new Map<number, Content[]>()
    for (const content of yield * ofDeleted(sufficient)) ofFile.set(content.fileId, [...ofFile.get(content.fileId) ?? [], content])
    const chosen = new Map<string, Content>()
    let missing = wanted
    for (const content of sufficient) {
      if (missing <= 0) break
      for (const each of content.name === null ? [content] : ofFile.get(content.fileId) as Content[]) {
        if (!chosen.has(each.id)) missing -= weigh(each)
        chosen.set(each.id, each)
      }
    }
    return { chosen: Array.from(chosen.values()), missing }
  }

  /** Deletes contents, and the versions of deleted files among them. Returns their bytes. */
  function * dropWithVersions (contents: readonly Content[], time: number): Rule<number> {
    return yield * drop(Array.from(new Map([...contents, ...yield * ofDeleted(contents)].map(content => [content.id, content])).values()), time)
  }

  function * removeOldest (ownerId: number): Rule<void> {
    const [, time] = yield * together(owners.lock(ownerId), now())
    const contents = yield * ask(oldest, { ownerId, newest: '', above: 0, limit: maxDeletions })
    yield * dropWithVersions(contents, time)
  }

  return {
    keepsReplaced: (current, next) => keeping.milliseconds > 0 && keeping.versions > 0 && !(current.size === next.size && current.sha256 === next.sha256),

    keepVersion: ({ id, blobId, ownerId, size, type, sha256, storedAt }, keptAt) =>
      ask(addVersion, { id, blobId, ownerId, size, type, sha256, storedAt, keptAt, deletedName: null, deletedCreatedAt: null }),

    keepDeleted: ({ id, blobId, ownerId, size, type, sha256, storedAt, name, createdAt }, keptAt) =>
      ask(addDeleted, { id, blobId, ownerId, size, type, sha256, storedAt, keptAt, end: keptAt + FURTHEST_AHEAD_MILLISECONDS, deletedName: name, deletedCreatedAt: createdAt }),

    surplusOf: ({ id: fileId }) => ask(surplus, { fileId }),

    versionsOf: ({ id: fileId }) => ask(versions, { fileId }),

    drop,

    take: ({ id }) => ask(removal, { ids: [id] }),

    remove: function * (ids, time) { return yield * dropWithVersions(yield * ask(byIds, { ids }), time) },

    * makeRoom (ownerId, { bytes, newest = '', time }) {
      if (bytes <= 0) return
      let found = yield * findOldest(few)
      if (found.missing > 0 && found.count === few && few < maxDeletions) found = yield * findOldest(maxDeletions)
      const { chosen, missing, count } = found
      if (missing > 0 && count === maxDeletions) throw new Crowded('more kept content must be deleted first')
      yield * drop(chosen, time)
      if (missing > 0) yield * drop(yield * ask(byId, { id: newest }), time)

      function * findOldest (limit: number) {
        const contents = yield * ask(oldest, { ownerId, newest, above: 0, limit })
        return { ...yield * choose(contents, bytes, ({ size }) => size), count: contents.length }
      }
    },

    * trim (owner, { newest, time }) {
      // As of the beginning, and one change keeps one more at most: usually the limit is far.
      if (owner.keptContents < maxContents) return
      const [charged] = yield * ask(count, { id: owner.id })
      const limit = Math.min(Number(charged?.contents) - maxContents, maxDeletions, MAX_TRIMMED)
      if (limit <= 0) return
      const contents = yield * ask(oldest, { ownerId: owner.id, newest, above: ALSO_EMPTY, limit })
      yield * drop((yield * choose(contents, limit, () => 1)).chosen, time)
    },

    // A rule is refused before it makes room, so that a refused one deletes nothing.
    async transactWithRoom (ownerId, rule) {
      for (;;) {
        try {
          return await transactFor(ownerId, rule, { repeats: true })
        } catch (error) {
          if (!(error instanceof Crowded)) throw error
          await transactFor(ownerId, () => removeOldest(ownerId))
        }
      }
    }
  }
}
