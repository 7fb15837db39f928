import type { Precondition } from './preconditions.ts'
import type { Quota } from './records.ts'
import { formerContent, retentionQueries } from './retention-queries.ts'
import type { ContentPage } from './retention-records.ts'
import { existing, query } from './rule.ts'
import type { Services } from './services.ts'

/**
 * Versions: a part of the contract of {@link Metadata}. A file that gets other bytes keeps its former content
 * as a version, and a deleted file its last content as an entry of the trash, with its versions. Both belong to the
 * file, whatever its name is.
 *
 * Kept content counts in `AccountRecord.keptBytes`. If a write would exceed the byte quota, its transaction deletes the
 * owner's oldest kept content, just enough to fit. It skips empty content. The content that this write itself replaces
 * is deleted last. Of unfinished uploads, only the bytes that have arrived count here. If the write needs the room of
 * more than `RetentionPolicy.deletions` contents, that many at a time are deleted in transactions before its own, each
 * only if the write would not be refused.
 *
 * An account keeps at most `RetentionPolicy.contents` contents. The transaction that keeps one more also deletes the
 * oldest beyond that, except the one that it keeps itself. An account may have more, from a version without this limit
 * or from a backup: then at most {@link MAX_TRIMMED} go with each such transaction.
 *
 * `keptAt` is the time of the replacement or deletion, but not before the file's last change. It is at least 1 ms later
 * than that of the file's other versions or, for a deleted file, of the other entries in the owner's trash that are
 * less than {@link FURTHEST_AHEAD_MILLISECONDS} ahead. So both lists keep the order of the changes, even if the clock
 * goes back. Files that one act of a recursive deletion takes have the same.
 *
 * Expired content is not found, nor are versions beyond the newest `RetentionPolicy.versions` of a file.
 */
export type VersionRepository = ReturnType<typeof createVersions>

export function createVersions ({ engine, contents, retention, retentionPolicy, read, write, ownerWrite }: Services) {
  const queries = retentionQueries(engine, retentionPolicy)

  const get = (ownerId: number, name: string, id: string) =>
    query(queries.versionById(ownerId, name, id), existing)

  return {
    /** Newest replaced first. */
    list: read((ownerId: number, fileId: number, page: ContentPage) => query(
      queries.versionsOf(ownerId, fileId, page), rows => rows.map(row => formerContent(row, retentionPolicy))
    )),

    /** A version of the file with this name, and the file; undefined if either does not exist. */
    find: read((ownerId: number, name: string, id: string) => query(queries.versionById(ownerId, name, id),
      ([found]) => found && { file: found.file, version: formerContent(found.version, retentionPolicy) })),

    /**
     * Gives the file the content of a version, which leaves the list; the current content becomes a version, unless it
     * has the same bytes. `createdAt` stays.
     * @throws not_found, precondition_failed, file_locked, quota_exceeded.
     */
    restore: write(function * (
      ownerId, name: string, id: string, { quota, precondition }: { quota: Quota, precondition: Precondition }
    ) {
      const context = yield * contents.contextOf(ownerId, name, quota)
      const { file, version } = yield * get(ownerId, name, id)
      return yield * contents.restoreVersion(file, version, context, precondition)
    }),

    /** Deletes a version; its blob becomes discarded. @throws not_found. */
    remove: ownerWrite(function * ({ owner, time }, name: string, id: string) {
      yield * get(owner.id, name, id)
      yield * retention.remove([id], time)
    })
  }
}
