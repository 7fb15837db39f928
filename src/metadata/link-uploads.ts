import { and, count, eq, gt, inArray, isNull, ne, or, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Engine } from './engine.ts'
import type { FileContents } from './file-contents.ts'
import { type LinkCapacity, MAX_LINK_UPLOADS, refuseAnnounced, refuseBeyondRoom } from './link-records.ts'
import { targetsOf, targetsOfNew } from './lock-guard.ts'
import type { Owner, Reserved } from './owners.ts'
import { joinPath } from './paths.ts'
import type { Amount, NewFile, Quota } from './records.ts'
import { plus, matching, pipeline, placeholder, prepared, query, type QueryRule, type Rule } from './rule.ts'
import { tooManyUploads, type StoreResult, type UploadUsage } from './upload-records.ts'
import type { BaseServices } from './services.ts'

const unlimited: Quota = { bytes: undefined, files: undefined }

/** An upload by a link. */
interface LinkedUpload {
  readonly ownerId: number
  readonly linkId: number
  readonly quota: Quota
  /** Not counted: it becomes the file. */
  readonly except?: string | undefined
}

/** An `upload` link that has not ended, and what it has room for. The owner is locked. */
interface UploadTarget {
  readonly owner: Owner
  readonly time: number
  readonly linkId: number
  readonly folderId: number
  readonly folder: string
  /** For one upload: the last segment of its name, and its digest if the owner knows it. */
  readonly fileName: string | null
  readonly sha256: string | null
  readonly reserved: Reserved
  readonly uploads: number
  readonly room: LinkCapacity
}

/** Stores what arrives by links in the current transaction. Never evicts versions or trash. */
export function createLinkUploads ({
  engine, owners, tree, contents, guard
}: BaseServices & { contents: FileContents }) {
  const { tables: { links, uploads }, clock } = engine
  const queries = queriesOf(engine)

  function * openAs (
    found: QueryRule<Owner>, { ownerId, linkId, quota, except = '' }: LinkedUpload
  ): Rule<UploadTarget> {
    const [owner, [link], [own], reserved] = yield * pipeline(
      found,
      queries.link({ ownerId, linkId }),
      queries.reservedByLink({ linkId, except }),
      owners.reserved(ownerId, except)
    )
    if (link === undefined || own === undefined) throw new Problem('not_found')
    const { folderId, folder, maxFiles, maxBytes, usedFiles, usedBytes, fileName, sha256 } = link
    // A link for one upload has at most one that is unfinished, which makes way.
    const counted = fileName === null ? own : { uploads: 0, bytes: 0 }
    const ofLink = {
      files: (maxFiles ?? Infinity) - usedFiles - counted.uploads,
      bytes: (maxBytes ?? Infinity) - usedBytes - counted.bytes
    }
    const room = { link: atLeastNone(ofLink), owner: atLeastNone(ownersRoom(quota, owner, reserved)) }
    const { uploads } = own
    const place = { folderId: Number(folderId), folder, fileName, sha256 }
    return { owner, time: reserved.time, linkId, ...place, reserved, uploads, room }
  }

  /** The path of a new file by a link for one upload. @throws digest_mismatch, name_taken. */
  function * onlyPath ({ owner, folder, sha256 }: UploadTarget, file: NewFile): Rule<string> {
    if (sha256 !== null && sha256 !== file.sha256) {
      throw new Problem('digest_mismatch', { detail: `The link accepts the file with the SHA-256 ${sha256}.` })
    }
    const path = joinPath(folder, file.name)
    yield * requireUnused(owner.id, path)
    return path
  }

  /** @throws name_taken, without a path, which visitors do not know. */
  function * requireUnused (ownerId: number, path: string): Rule<void> {
    const found = yield * pipeline(contents.find(ownerId, path), tree.find(ownerId, path))
    if (found.some(each => each !== undefined)) throw new Problem('name_taken')
  }

  /** Ends the unfinished uploads of links: they expire, and housekeeping discards their bytes. */
  const end = (ownerId: number, linkIds: number[]) => query(db => db.update(uploads).set({ expiresAt: clock })
    .where(and(eq(uploads.ownerId, ownerId), inArray(uploads.linkId, linkIds), isNull(uploads.result))))

  return {
    /** Locks the owner, and finds where an upload goes. @throws not_found if the link has ended. */
    open: (upload: LinkedUpload) => openAs(owners.lock(upload.ownerId), upload),

    /** What there is room for, as far as is known without waiting. @throws not_found if the link has ended. */
    * room (upload: LinkedUpload): Rule<LinkCapacity> {
      return (yield * openAs(owners.read(upload.ownerId), upload)).room
    },

    /**
     * Admits a new upload with a reservation by the link. By a link for one upload, it ends the earlier one.
     * @throws file_locked, link_limit_reached, quota_exceeded, too_many_uploads.
     */
    * admit ({ owner, time, linkId, folder, fileName, room, uploads }: UploadTarget, bytes: number): Rule<void> {
      yield * guard.admit({ owner, time }, {}, targetsOf(folder))
      refuseAnnounced(room, { files: 1, bytes })
      if (fileName !== null) yield * end(owner.id, [linkId])
      if (uploads < MAX_LINK_UPLOADS) return
      throw tooManyUploads(`A link may have at most ${MAX_LINK_UPLOADS} unfinished uploads.`)
    },

    /**
     * Adds a file to the folder, under the next free one of `name`, `name (2)` and so on; `file.name` is one segment.
     * A link for one upload gives it this very name, and ends with it.
     * @throws link_limit_reached, quota_exceeded, file_locked; for one upload digest_mismatch, name_taken.
     */
    * store (target: UploadTarget, file: NewFile): Rule<StoreResult> {
      const { owner, time, folderId, folder, linkId, fileName, reserved, room } = target
      const added = { files: 1, bytes: file.size }
      refuseBeyondRoom(room, added, added)
      const name = fileName === null
        ? yield * tree.freePath(owner.id, { id: folderId, path: folder }, file.name)
        : yield * onlyPath(target, file)
      const place = yield * tree.place(owner.id, name, yield * tree.known(owner.id, name))
      // The room has been judged: with the quota, kept content would go for an empty file of an owner who is beyond it.
      const context = { owner, current: undefined, place, time, reserved, quota: unlimited, linkId }
      yield * guard.admit(context, {}, targetsOfNew(name, place))
      const stored = yield * contents.store({ ...file, name }, context)
      if (fileName === null) yield * queries.charge({ linkId, bytes: file.size })
      else yield * pipeline(query(db => db.delete(links).where(eq(links.id, linkId))), end(owner.id, [linkId]))
      return stored
    },

    requireUnused,
    end
  }
}

/** What a quota leaves, with all that is kept: visitors can't evict versions or trash. */
function ownersRoom (quota: Quota, owner: Owner, { bytes, uploads }: UploadUsage): Amount {
  return {
    files: (quota.files ?? Infinity) - owner.usedFiles - owner.usedFolders - uploads,
    bytes: (quota.bytes ?? Infinity) - owner.usedBytes - owner.keptBytes - bytes
  }
}

function atLeastNone ({ files, bytes }: Amount): Amount {
  return { files: Math.max(files, 0), bytes: Math.max(bytes, 0) }
}

function queriesOf ({ tables: { accounts, folders, links, uploads }, clock }: Engine) {
  return prepared('link_uploads', {
    link: db => db.select({
      folderId: links.folderId,
      folder: folders.path,
      maxFiles: links.maxFiles,
      maxBytes: links.maxBytes,
      usedFiles: links.usedFiles,
      usedBytes: links.usedBytes,
      fileName: links.fileName,
      sha256: links.sha256
    }).from(links)
      .innerJoin(folders, eq(folders.id, links.folderId))
      .innerJoin(accounts, and(eq(accounts.id, links.accountId), isNull(accounts.disabledAt)))
      .where(and(
        eq(links.id, placeholder('linkId')),
        eq(links.accountId, placeholder('ownerId')),
        eq(links.kind, 'upload'),
        or(isNull(links.expiresAt), gt(links.expiresAt, clock))
      )),
    reservedByLink: db => db.select({
      uploads: count(),
      bytes: sql`coalesce(sum(coalesce(${uploads.length}, ${uploads.offset})), 0)`.mapWith(Number)
    }).from(uploads).where(and(
      matching(uploads, 'linkId'),
      isNull(uploads.result),
      gt(uploads.expiresAt, clock),
      ne(uploads.id, placeholder('except'))
    )),
    charge: db => db.update(links).set({
      usedFiles: sql`${links.usedFiles} + 1`,
      usedBytes: plus(links.usedBytes, 'bytes')
    }).where(eq(links.id, placeholder('linkId')))
  })
}
