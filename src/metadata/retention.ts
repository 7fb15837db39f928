import { and, asc, desc, eq, getTableColumns, gt, gte, isNotNull, isNull, lt, ne, type SQL, sql } from 'drizzle-orm'
import type { Engine } from './engine.ts'
import { wholeName } from './columns.ts'
import {
  FURTHEST_AHEAD_MILLISECONDS, MAX_DELETIONS, MAX_RETAINED, MAX_TRIMMED, type RetainedRow
} from './retention-records.ts'
import type { Owner } from './owners.ts'
import {
  bigint, type Db, limitedTo, matching, pipeline, placeholder, placeholders, prepared, type Rule
} from './rule.ts'
import type { FileRecord } from './records.ts'
import type { BaseServices } from './services.ts'

/** Bytes to free. The blob `newest` is deleted last. */
interface Eviction { readonly bytes: number, readonly newest?: string, readonly time: number }

/** A write must evict more kept content than one transaction deletes. */
class TooManyDeletions extends Error {}

/** What has to be known of content to delete it. */
type RetainedItem =
  Pick<RetainedRow, 'id' | 'ownerId' | 'fileId' | 'name' | 'size' | 'sha256' | 'deletedWith' | 'folder'>

interface Selection { readonly chosen: RetainedItem[], readonly missing: number }

const bytesOf = (contents: readonly RetainedItem[]) => contents.reduce((sum, { size }) => sum + size, 0)

/** Contents looked at first: usually one or two suffice. */
const FIRST_BATCH = 10

/**
 * Changes kept content, the usage of its owner and the discarded blobs in the current transaction, which has locked the
 * owner.
 */
export type Retention = ReturnType<typeof createRetention>

export function createRetention (
  { engine, owners, deletions, discard, pictureUse, retentionPolicy, ownerWrite }: BaseServices
) {
  const queries = queriesOf(engine, retentionPolicy.versions)
  const { deletions: maxDeletions = MAX_DELETIONS } = retentionPolicy

  /** The versions of files that exist. */
  const versionsOf = (fileIds: readonly number[]) => queries.ofFiles({ fileIds })

  /** Deletes contents. Returns the bytes of the thumbnails that end with them. */
  function * end (contents: readonly RetainedItem[], time: number): Rule<number> {
    if (contents.length === 0) return 0
    const ids = contents.map(({ id }) => id)
    const ownerIds = Array.from(new Set(contents.map(({ ownerId }) => ownerId)))
    const charges = ownerIds.map(ownerId => {
      const theirs = contents.filter(content => content.ownerId === ownerId)
      return owners.charge(ownerId, { keptBytes: -bytesOf(theirs), keptContents: -theirs.length })
    })
    const blobIds = contents.filter(({ folder }) => folder === null).map(({ id }) => id)
    const [pictured] = yield * pipeline(
      pictureUse.among(ownerIds, contents.map(({ sha256 }) => sha256)),
      queries.remove({ ids }),
      discard(blobIds, time),
      ...charges
    )
    yield * deletions.subtract(contents)
    let thumbnailBytes = 0
    for (const ownerId of ownerIds) {
      const theirs = pictured.filter(picture => picture.ownerId === ownerId)
      if (theirs.length === 0) continue
      thumbnailBytes += yield * pictureUse.settle(ownerId, theirs.map(({ sha256 }) => sha256))
    }
    return thumbnailBytes
  }

  /** Deletes contents. Returns their bytes. */
  function * drop (contents: readonly RetainedItem[], time: number): Rule<number> {
    yield * end(contents, time)
    return bytesOf(contents)
  }

  /** Deletes contents, and the versions of deleted files among them. Returns their bytes. */
  function * dropWithVersions (contents: readonly RetainedItem[], time: number): Rule<number> {
    const all = new Map([...contents, ...yield * ofDeleted(contents)].map(content => [content.id, content]))
    return yield * drop(Array.from(all.values()), time)
  }

  /** What is kept of the deleted files among the contents: themselves, and their versions. */
  function * ofDeleted (contents: readonly RetainedItem[]): Rule<RetainedItem[]> {
    const fileIds = contents.filter(({ name }) => name !== null).map(({ fileId }) => fileId)
    return fileIds.length === 0 ? [] : yield * queries.ofFiles({ fileIds })
  }

  function * selectToEvict (
    limit: number, { ownerId, newest, bytes }: { ownerId: number, newest: string, bytes: number }
  ) {
    const contents = yield * queries.oldest({ ownerId, newest, minBytes: 1, limit })
    return { ...yield * selectOldest(contents, bytes, ({ size }) => size), count: contents.length }
  }

  /** Selects the oldest contents until their amounts reach `wanted`. A deleted file includes its versions. */
  function * selectOldest (
    contents: RetainedItem[], wanted: number, amountOf: (content: RetainedItem) => number
  ): Rule<Selection> {
    // Chosen without their versions, which one query then finds for all: one query each would take more round trips.
    let rest = wanted
    const sufficient = contents.filter(content => {
      const isNeeded = rest > 0
      rest -= amountOf(content)
      return isNeeded
    })
    const ofFile = new Map<number, RetainedItem[]>()
    for (const content of yield * ofDeleted(sufficient)) {
      ofFile.set(content.fileId, [...ofFile.get(content.fileId) ?? [], content])
    }
    const chosen = new Map<string, RetainedItem>()
    let missing = wanted
    for (const content of sufficient) {
      if (missing <= 0) break
      for (const each of content.name === null ? [content] : ofFile.get(content.fileId) as RetainedItem[]) {
        if (!chosen.has(each.id)) missing -= amountOf(each)
        chosen.set(each.id, each)
      }
    }
    return { chosen: Array.from(chosen.values()), missing }
  }

  const removeOldest = ownerWrite(function * ({ owner, time }) {
    const contents = yield * queries.oldest({ ownerId: owner.id, newest: '', minBytes: 1, limit: maxDeletions })
    yield * dropWithVersions(contents, time)
  })

  return {
    versionsOf,
    drop,

    /** Whether replaced content is kept. False for empty content and for identical bytes. */
    keepsReplaced (current: FileRecord, next: { readonly size: number, readonly sha256: string }): boolean {
      const { milliseconds, versions } = retentionPolicy
      const isSame = current.size === next.size && current.sha256 === next.sha256
      return milliseconds > 0 && versions > 0 && current.size > 0 && !isSame
    },

    /**
     * Keeps the content of a file as a version; the caller charges it. Its time is `keptAt`, or later, so that it is
     * the newest version.
     */
    keepVersion: (file: FileRecord, keptAt: number) =>
      queries.addVersion({ ...file, keptAt, name: null, createdAt: null, deletedWith: null }),

    /**
     * Keeps files of an owner that are about to be deleted, as the newest in the trash; the caller charges them. Their
     * time is `keptAt`, or later than that of all others.
     */
    keepDeleted (
      ownerId: number, ids: readonly number[], { keptAt, deletedWith }: { keptAt: number, deletedWith: string | null }
    ) {
      const end = keptAt + FURTHEST_AHEAD_MILLISECONDS
      return queries.addDeleted({ ownerId, ids, keptAt, end, deletedWith })
    },

    /** Keeps folders of an owner that are about to be deleted; the caller charges them. */
    keepFolders: (ids: readonly number[], keptAt: number, deletedWith: string) =>
      queries.addFolders({ ids, keptAt, deletedWith }),

    /**
     * Moves the versions of a file that ends, but not its content, to the trash: the newest becomes the deleted file.
     * The time of that is as of `keepDeleted`.
     */
    * trashVersions (
      { id, ownerId, name, createdAt }: FileRecord, { keptAt, time }: { keptAt: number, time: number }
    ): Rule<void> {
      const expired = time - retentionPolicy.milliseconds
      const end = keptAt + FURTHEST_AHEAD_MILLISECONDS
      const trashed = yield * queries.trashVersion({ id, ownerId, name, createdAt, keptAt, end, expired })
      if (trashed.length === 0) yield * drop(yield * versionsOf([id]), time)
    },

    /** The versions of a file beyond the newest `RetentionPolicy.versions`. */
    surplusOf: ({ id: fileId }: FileRecord) => queries.surplus({ fileId }),

    /** Removes an entry whose blob a file uses again; the caller charges it. */
    take: ({ id }: RetainedRow) => queries.remove({ ids: [id] }),

    /** Deletes contents by their ids, and the versions of deleted files among them. Returns their bytes. */
    * remove (ids: readonly string[], time: number): Rule<number> {
      return yield * dropWithVersions(yield * queries.byIds({ ids }), time)
    },

    /**
     * Deletes the owner's longest-kept content until `bytes` are free.
     * @throws {TooManyDeletions} if that would be too many contents for one transaction.
     */
    * evict (ownerId: number, { bytes, newest = '', time }: Eviction): Rule<void> {
      if (bytes <= 0) return
      const first = Math.min(FIRST_BATCH, maxDeletions)
      let found = yield * selectToEvict(first, { ownerId, newest, bytes })
      if (found.missing > 0 && found.count === first && first < maxDeletions) {
        found = yield * selectToEvict(maxDeletions, { ownerId, newest, bytes })
      }
      const { chosen, missing, count } = found
      if (missing > 0 && count === maxDeletions) throw new TooManyDeletions('some must be deleted first')
      const thumbnailBytes = yield * end(chosen, time)
      if (missing > thumbnailBytes) yield * drop(yield * queries.byId({ id: newest }), time)
    },

    /**
     * Deletes the owner's oldest beyond `RetentionPolicy.contents`, except the blob `newest`, after so many were
     * `added`; only some in one transaction.
     */
    * trim (owner: Owner, { newest, added, time }: { newest: string, added: number, time: number }): Rule<void> {
      const { contents: maxContents = MAX_RETAINED } = retentionPolicy
      // `owner` is as of the beginning. Usually the limit is far.
      if (owner.keptContents + added <= maxContents) return
      const { keptContents } = yield * owners.lock(owner.id)
      const most = Math.max(added, Math.min(maxDeletions, MAX_TRIMMED))
      const limit = Math.min(keptContents - maxContents, most)
      if (limit <= 0) return
      // Also empty contents.
      const contents = yield * queries.oldest({ ownerId: owner.id, newest, minBytes: 0, limit })
      yield * drop((yield * selectOldest(contents, limit, () => 1)).chosen, time)
    },

    /**
     * Runs a rule that may evict content, in a transaction for its owner. On {@link TooManyDeletions}, other
     * transactions delete some content, and it runs again. A refused rule evicts nothing: it is refused before.
     */
    async transactEvicting<T> (ownerId: number, rule: () => Rule<T>): Promise<T> {
      for (;;) {
        try {
          return await engine.transactFor(ownerId, rule)
        } catch (error) {
          if (!(error instanceof TooManyDeletions)) throw error
          await removeOldest(ownerId)
        }
      }
    }
  }
}

function queriesOf ({ tables: { files, folders, kept }, isAmong }: Engine, maxVersions: number) {
  const { id, ownerId, fileId, name, size, sha256, deletedWith, folder } = getTableColumns(kept)
  const columns = { id, ownerId, fileId, name, size, sha256, deletedWith, folder }
  const select = (db: Db, condition: SQL | undefined) => db.select(columns).from(kept).where(condition)
  const isVersion = and(matching(kept, 'fileId'), isNull(kept.name))
  // Of a file that exists only versions are kept.
  const ofFile = eq(kept.fileId, placeholder('id'))
  // Many deletions in one millisecond make the times of the trash run ahead of the clock.
  const inTrash = and(
    matching(kept, 'ownerId'),
    isNotNull(kept.name),
    lt(kept.keptAt, bigint('end'))
  )
  const isOlder = and(
    matching(kept, 'ownerId'),
    gte(kept.size, placeholder('minBytes')),
    ne(kept.id, placeholder('newest'))
  )
  const none = sql<null>`cast(NULL AS text)`
  return prepared('kept_contents', {
    addVersion: db => db.insert(kept).values({
      ...placeholders(
        'ownerId', 'name', 'size', 'type', 'sha256', 'storedAt', 'createdAt', 'modifiedAt', 'deletedWith'
      ),
      id: placeholder('blobId'),
      fileId: placeholder('id'),
      keptAt: after(ofFile)
    }),
    addDeleted: db => db.insert(kept).select(db.select({
      id: files.blobId,
      ownerId: files.ownerId,
      fileId: files.id,
      name: wholeName(files).as('name'),
      size: files.size,
      type: files.type,
      sha256: files.sha256,
      storedAt: files.storedAt,
      createdAt: files.createdAt,
      keptAt: sql<number>`${after(inTrash)}`.as('kept_at'),
      modifiedAt: files.modifiedAt,
      deletedWith: sql<string | null>`${placeholder('deletedWith')}`.as('deleted_with'),
      properties: files.properties,
      folder: none.as('folder'),
      isStarred: files.isStarred
    }).from(files).where(isAmong(files.id, 'ids'))),
    addFolders: db => db.insert(kept).select(db.select({
      id: sql<string>`cast(${placeholder('deletedWith')} AS text) || '/' || ${folders.path}`.as('id'),
      ownerId: folders.ownerId,
      fileId: sql<number>`-${folders.id}`.as('file_id'),
      name: none.as('name'),
      size: sql<number>`0`.as('size'),
      type: sql<string>`''`.as('type'),
      sha256: sql<string>`''`.as('sha256'),
      storedAt: folders.createdAt,
      createdAt: folders.createdAt,
      keptAt: bigint('keptAt').as('kept_at'),
      modifiedAt: sql<null>`cast(NULL AS bigint)`.as('modified_at'),
      deletedWith: sql<string>`cast(${placeholder('deletedWith')} AS text)`.as('deleted_with'),
      properties: folders.properties,
      folder: folders.path,
      isStarred: folders.isStarred
    }).from(folders).where(isAmong(folders.id, 'ids'))),
    trashVersion: db => db.update(kept).set({
      name: sql`${placeholder('name')}`,
      createdAt: bigint('createdAt'),
      keptAt: after(inTrash)
    }).where(eq(kept.id, sql`(SELECT v.id FROM kept v WHERE v.file_id = ${placeholder('id')} AND v.name IS NULL
      AND v.kept_at > ${bigint('expired')} ORDER BY v.kept_at DESC, v.id DESC LIMIT 1)`))
      .returning({ id: kept.id }),
    remove: db => db.delete(kept).where(isAmong(kept.id, 'ids')),
    surplus: db => select(db, isVersion)
      .orderBy(limitedTo(sql`${desc(kept.keptAt)}, ${desc(kept.id)}`, Number.MAX_SAFE_INTEGER, maxVersions)),
    oldest: db => select(db, isOlder)
      .orderBy(limitedTo(sql`${asc(kept.keptAt)}, ${asc(kept.id)}`, placeholder('limit'))),
    byIds: db => select(db, isAmong(kept.id, 'ids')),
    ofFiles: db => select(db, isAmong(kept.fileId, 'fileIds')),
    byId: db => select(db, and(matching(kept, 'id'), gt(kept.size, 0)))
  })
}

/** The time of new kept content: `keptAt`, or 1 ms after the latest that matches if that is later. */
function after (matching: SQL | undefined): SQL {
  return sql`(SELECT max(t) FROM (SELECT ${bigint('keptAt')} AS t
    UNION ALL SELECT max(kept_at) + 1 FROM kept WHERE ${matching}) times)`
}
