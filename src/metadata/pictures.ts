import { and, eq, type Placeholder, type SQL, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import { fileColumns } from './columns.ts'
import type { Engine } from './engine.ts'
import { bytesToEvict, type Owners, refuseBeyondQuota, usedBy } from './owners.ts'
import { permits, type Precondition } from './preconditions.ts'
import type { FileRecord, Quota } from './records.ts'
import { first, matching, pipeline, placeholder, placeholders, prepared, query, type Rule } from './rule.ts'
import type { Services } from './services.ts'

/** A small picture of a content, as a client made it. */
export interface Thumbnail { readonly type: string, readonly bytes: Buffer }

/** What a client tells of a content. What is undefined stays as it is; null: it is not known. */
export interface PictureFacts {
  readonly thumbnail?: Thumbnail
  readonly takenAt?: number | null | undefined
}

/** What is known of a content, for the row of a file that gets it. */
export function factsOf (ownerId: SQL | Placeholder | number, sha256: Placeholder | string) {
  const ofContent = sql`FROM pictures p WHERE p.owner_id = ${ownerId} AND p.sha256 = ${sha256}`
  return {
    takenAt: sql`(SELECT p.taken_at ${ofContent})`,
    hasThumbnail: sql`EXISTS (SELECT 1 ${ofContent} AND p.size > 0)`
  }
}

/** Follows the contents of pictures, in the current transaction, which has locked the owner. */
export type PictureUse = ReturnType<typeof createPictureUse>

export function createPictureUse (engine: Engine, owners: Owners) {
  const queries = useQueriesOf(engine)
  return {
    /** Of which of these contents of these owners something is known. */
    among: (ownerIds: readonly number[], sha256s: readonly string[]) => queries.among({ ownerIds, sha256s }),

    /**
     * Files or kept content with these contents were added or deleted: deletes what is known of those that are nowhere
     * any more, and charges the thumbnails of the others to files or to kept content. Returns the bytes that are free.
     */
    * settle (ownerId: number, sha256s: readonly string[]): Rule<number> {
      const found = yield * queries.uses({ ownerId, sha256s })
      const unused = found.filter(({ isInFile, isInKept }) => !isInFile && !isInKept)
      const moved = found.filter(({ isInFile, isInKept, isKept }) => (isInFile || isInKept) && isInFile === isKept)
      if (unused.length + moved.length === 0) return 0
      const bytesOf = (rows: typeof found) => rows.reduce((sum, { size }) => sum + size, 0)
      const becameUsed = bytesOf(moved.filter(({ isInFile }) => isInFile))
      const becameKept = bytesOf(moved.filter(({ isInFile }) => !isInFile))
      yield * pipeline(
        queries.remove({ ownerId, sha256s: unused.map(({ sha256 }) => sha256) }),
        queries.move({ ownerId, sha256s: moved.map(({ sha256 }) => sha256) }),
        owners.charge(ownerId, {
          usedBytes: becameUsed - becameKept - bytesOf(unused.filter(({ isKept }) => !isKept)),
          keptBytes: becameKept - becameUsed - bytesOf(unused.filter(({ isKept }) => isKept))
        })
      )
      return bytesOf(unused)
    }
  }
}

/**
 * What clients told of pictures and videos: a part of the contract of {@link Metadata}. It is known by owner and
 * content: another content of a file has none of it, each file of the owner that has this content has it, and so do
 * versions and the trash. It ends with the last of them. `FileRecord` has it for a file. A thumbnail counts in the
 * usage once for a content: in `usedBytes`, or in `keptBytes` if only versions and the trash have the content.
 */
export type PictureRepository = ReturnType<typeof createPictures>

export function createPictures ({ engine, owners, contents, retention, read }: Services) {
  const { tables } = engine
  const { files, pictures } = tables
  const queries = queriesOf(engine)

  return {
    /**
     * Records what is known of the content of a file. Changes no date of it, and is no change of the tree; locks do not
     * matter.
     * @throws not_found, precondition_failed, thumbnail_unsupported for an empty file, quota_exceeded.
     */
    put: (
      ownerId: number, name: string, facts: PictureFacts,
      { precondition, quota }: { readonly precondition: Precondition, readonly quota: Quota }
    ): Promise<FileRecord> => retention.transactEvicting(ownerId, function * () {
      const [owner, file, reserved] = yield * pipeline(
        owners.lock(ownerId), contents.find(ownerId, name), owners.reserved(ownerId)
      )
      if (file === undefined) throw new Problem('not_found')
      if (!permits(precondition, file)) throw new Problem('precondition_failed')
      if (facts.thumbnail !== undefined && file.size === 0) {
        // As kept content it could not make room: what is empty is never evicted.
        throw new Problem('thumbnail_unsupported', { detail: 'An empty file has no thumbnail.' })
      }
      const { id, sha256 } = file
      const former = yield * queries.sizeOf({ ownerId, sha256 }, first)
      const formerSize = former?.size ?? 0
      const { thumbnail, takenAt = file.takenAt } = facts
      const size = thumbnail?.bytes.length ?? formerSize
      const bytes = size - formerSize
      refuseBeyondQuota(quota, usedBy(owner, reserved), { bytes, files: 0 })
      const told = { takenAt, ...thumbnail && { ...thumbnail, size } }
      const isOfContent = { ownerId, sha256 }
      yield * pipeline(
        takenAt === null && size === 0
          ? queries.remove(isOfContent)
          : query(db => db.insert(pictures).values({ ...isOfContent, ...told })
            .onConflictDoUpdate({ target: [pictures.ownerId, pictures.sha256], set: told })),
        queries.tell({ ...isOfContent, takenAt, hasThumbnail: size > 0 }),
        owners.charge(ownerId, { usedBytes: bytes })
      )
      const surplus = bytesToEvict(quota, { owner, reserved, arrivedBytes: bytes })
      yield * retention.evict(ownerId, { bytes: surplus, time: reserved.time })
      return yield * query(db => db.select(fileColumns(tables)).from(files).where(eq(files.id, id)),
        ([changed]) => changed as FileRecord)
    }),

    /** The thumbnail of a content. */
    find: read((ownerId: number, sha256: string): Rule<Thumbnail | undefined> => queries.find({ ownerId, sha256 },
      ([row]) => row?.bytes ? { type: String(row.type), bytes: row.bytes } : undefined))
  }
}

function useQueriesOf ({ tables: { pictures }, isAmong }: Engine) {
  const areTheirs = and(matching(pictures, 'ownerId'), isAmong(pictures.sha256, 'sha256s'))
  return prepared('picture_use', {
    among: db => db.select({ ownerId: pictures.ownerId, sha256: pictures.sha256 }).from(pictures)
      .where(and(isAmong(pictures.ownerId, 'ownerIds'), isAmong(pictures.sha256, 'sha256s'))),
    // Raw SQL: in a query of one table Drizzle omits the table's name.
    uses: db => db.select({
      sha256: pictures.sha256,
      size: pictures.size,
      isKept: pictures.isKept,
      isInFile: existsIn('files'),
      isInKept: existsIn('kept')
    }).from(pictures).where(areTheirs),
    remove: db => db.delete(pictures).where(areTheirs),
    move: db => db.update(pictures).set({ isKept: sql`NOT ${pictures.isKept}` }).where(areTheirs)
  })
}

/** Whether a row of a table has the content of a picture. */
function existsIn (table: 'files' | 'kept') {
  return sql`EXISTS (SELECT 1 FROM ${sql.raw(table)} r
    WHERE r.owner_id = pictures.owner_id AND r.sha256 = pictures.sha256)`.mapWith(Boolean)
}

function queriesOf ({ tables: { files, pictures } }: Engine) {
  const isOfContent = matching(pictures, 'ownerId', 'sha256')
  return prepared('pictures', {
    find: db => db.select({ type: pictures.type, bytes: pictures.bytes }).from(pictures).where(isOfContent),
    sizeOf: db => db.select({ size: pictures.size }).from(pictures).where(isOfContent),
    remove: db => db.delete(pictures).where(isOfContent),
    tell: db => db.update(files).set({ takenAt: sql`${placeholder('takenAt')}`, ...placeholders('hasThumbnail') })
      .where(matching(files, 'ownerId', 'sha256'))
  })
}
