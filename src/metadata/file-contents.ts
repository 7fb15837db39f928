import { and, eq, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Discard, EndLease } from './blobs.ts'
import type { Engine } from './engine.ts'
import type { KeptContents, KeptRow } from './kept-contents.ts'
import { refuseBeyond, type Owner, type Owners } from './owners.ts'
import { permits, type Precondition } from './preconditions.ts'
import type { FileRecord, NewFile, Quota } from './records.ts'
import { type Ask, ask, reading, together, writing, type Rule } from './rule.ts'
import type { StoredUpload, UploadUsage } from './uploads-repository.ts'

const { placeholder } = sql

/** What a change starts from: the owner, who is locked, the file of that name, and the time. */
export interface Beginning {
  readonly owner: Owner
  readonly current: FileRecord | undefined
  readonly time: number
  /** By uploads, but not by the one that becomes the file. */
  readonly reserved: UploadUsage
  readonly quota: Quota
}

/** Changes files in the current transaction, in which their owner is locked, with the usage of the owner and what is kept. */
export interface FileContents {
  readonly find: (ownerId: number, name: string) => Ask<FileRecord | undefined>
  /** Locks the owner, and finds what a change of the file with this name must know. @throws not_found if the owner was deleted. */
  readonly begin: (ownerId: number, name: string, quota: Quota) => Rule<Beginning>
  /** Adds a file, or replaces the content of the one that has its name. @throws quota_exceeded, unavailable if the lease of the blob ran out. */
  readonly store: (file: NewFile, beginning: Beginning) => Rule<StoredUpload>
  /** @throws not_found, precondition_failed. */
  readonly remove: (beginning: Pick<Beginning, 'owner' | 'current' | 'time'>, options: { precondition: Precondition, isPermanent: boolean }) => Rule<void>
  /** Gives a file the content of a version. @throws quota_exceeded. */
  readonly restoreVersion: (current: FileRecord, version: KeptRow, beginning: Beginning) => Rule<FileRecord>
  /** Makes a file of an entry of the trash. @throws quota_exceeded. */
  readonly restoreFile: (entry: KeptRow, name: string, beginning: Beginning) => Rule<FileRecord>
}

/** The content of a file. */
type Content = Pick<FileRecord, 'size' | 'type' | 'sha256' | 'blobId' | 'updatedAt' | 'storedAt'>

interface FileContentsOptions {
  readonly engine: Engine
  readonly owners: Owners
  readonly keptContents: KeptContents
  readonly discard: Discard
  readonly endLease: EndLease
  /** Whether deleted files are kept. */
  readonly keepsDeleted: boolean
}

export function createFileContents ({ engine, owners, keptContents, discard, endLease, keepsDeleted }: FileContentsOptions): FileContents {
  const { tables: { files } } = engine
  const byName = reading('file_by_name', db => db.select().from(files).where(and(eq(files.ownerId, placeholder('ownerId')), eq(files.name, placeholder('name')))))
  const columns = {
    ownerId: placeholder('ownerId'),
    name: placeholder('name'),
    size: placeholder('size'),
    type: placeholder('type'),
    sha256: placeholder('sha256'),
    blobId: placeholder('blobId'),
    createdAt: placeholder('createdAt'),
    updatedAt: placeholder('updatedAt'),
    storedAt: placeholder('storedAt')
  }
  const insert = writing('add_file', db => db.insert(files).values(columns).returning())
  const insertAgain = writing('restore_file', db => db.insert(files).values({ ...columns, id: placeholder('id') }).returning())
  const update = writing('replace_file', db => db.update(files).set({
    size: sql`${placeholder('size')}`,
    type: sql`${placeholder('type')}`,
    sha256: sql`${placeholder('sha256')}`,
    blobId: sql`${placeholder('blobId')}`,
    updatedAt: sql`${placeholder('updatedAt')}`,
    storedAt: sql`${placeholder('storedAt')}`
  }).where(eq(files.id, placeholder('id'))).returning())
  const removal = writing('remove_file', db => db.delete(files).where(eq(files.id, placeholder('id'))))

  const find = (ownerId: number, name: string) => ask(byName, { ownerId, name }, ([file]) => file)

  /**
   * Replaces the content of a file, and keeps or discards the old one; `taken`: the version that is restored. Returns the file, what exceeds the
   * quota, and by how much `keptBytes` grew.
   */
  function * exchange (current: FileRecord, next: Content, { owner, reserved, time, quota }: Beginning, { lease, taken }: { lease?: Ask<void> | undefined, taken?: KeptRow }) {
    const { id, ownerId, blobId } = current
    const bytes = next.size - current.size
    const excess = refuseBeyond(quota, { owner, reserved, added: { bytes, files: 0 } })
    const isKept = keptContents.keepsReplaced(current, next)
    const keptBytes = (isKept ? current.size : 0) - (taken?.size ?? 0)
    const keptCount = Number(isKept) - Number(taken !== undefined)
    const [, [replaced],,, surplus] = yield * together(
      taken && keptContents.take(taken),
      ask(update, { id, size: next.size, type: next.type, sha256: next.sha256, blobId: next.blobId, updatedAt: next.updatedAt, storedAt: next.storedAt }),
      owners.charge(ownerId, { bytes, keptBytes, keptContents: keptCount }),
      isKept ? keptContents.keepVersion(current, next.updatedAt) : discard([blobId], time),
      isKept ? keptContents.surplusOf(current) : undefined,
      lease
    )
    const dropped = yield * keptContents.drop(surplus ?? [], time)
    return { replaced: replaced as FileRecord, excess, keptBytes: keptBytes - dropped }
  }

  function * create (file: NewFile, { owner, reserved, time, quota }: Beginning): Rule<FileRecord> {
    const { ownerId, name, size, type, sha256, blobId, isLeased } = file
    const excess = refuseBeyond(quota, { owner, reserved, added: { bytes: size, files: 1 } })
    const [[created]] = yield * together(
      ask(insert, { ownerId, name, size, type, sha256, blobId, createdAt: time, updatedAt: time, storedAt: time }),
      owners.charge(ownerId, { bytes: size, files: 1 }),
      isLeased ? endLease(blobId) : undefined
    )
    yield * keptContents.makeRoom(ownerId, { bytes: excess, time })
    return created as FileRecord
  }

  function * replace (current: FileRecord, { size, type, sha256, blobId, isLeased }: NewFile, beginning: Beginning): Rule<FileRecord> {
    const { owner, time } = beginning
    const updatedAt = later(current, time)
    const next = { size, type, sha256, blobId, updatedAt, storedAt: updatedAt }
    const { replaced, excess, keptBytes } = yield * exchange(current, next, beginning, { lease: isLeased ? endLease(blobId) : undefined })
    yield * keptContents.makeRoom(owner.id, { bytes: excess + keptBytes, newest: current.blobId, time })
    yield * keptContents.trim(owner, { newest: current.blobId, time })
    return replaced
  }

  return {
    find,

    * begin (ownerId, name, quota) {
      const [owner, current, reserved] = yield * together(owners.lock(ownerId), find(ownerId, name), owners.reserved(ownerId))
      return { owner, current, time: reserved.time, reserved, quota }
    },

    * store (file, beginning) {
      const { current } = beginning
      return current === undefined ? { file: yield * create(file, beginning), isNew: true } : { file: yield * replace(current, file, beginning), isNew: false }
    },

    * remove ({ owner, current, time }, { precondition, isPermanent }) {
      if (current === undefined) throw new Problem('not_found')
      if (!permits(precondition, current)) throw new Problem('precondition_failed')
      const isKept = keepsDeleted && !isPermanent
      const [,,, versions] = yield * together(
        ask(removal, { id: current.id }),
        isKept ? keptContents.keepDeleted(current, later(current, time)) : discard([current.blobId], time),
        owners.charge(owner.id, { bytes: -current.size, files: -1, keptBytes: isKept ? current.size : 0, keptContents: Number(isKept) }),
        isKept ? undefined : keptContents.versionsOf(current)
      )
      yield * keptContents.drop(versions ?? [], time)
      yield * keptContents.trim(owner, { newest: current.blobId, time })
    },

    * restoreVersion (current, version, beginning) {
      const { id: blobId, size, type, sha256, storedAt } = version
      const next = { size, type, sha256, blobId, updatedAt: later(current, beginning.time), storedAt }
      return (yield * exchange(current, next, beginning, { taken: version })).replaced
    },

    * restoreFile (entry, name, { owner, reserved, time, quota }) {
      const { id: blobId, fileId: id, size, keptAt, createdAt } = entry
      refuseBeyond(quota, { owner, reserved, added: { bytes: size, files: 1 } })
      const [[restored]] = yield * together(
        ask(insertAgain, { ...entry, id, name, blobId, createdAt, updatedAt: Math.max(keptAt, time) }),
        owners.charge(owner.id, { bytes: size, files: 1, keptBytes: -size, keptContents: -1 }),
        keptContents.take(entry)
      )
      return restored as FileRecord
    }
  }
}

/** If the clock was set back, a changed file must not look older than before. */
export function later (current: FileRecord, time: number): number {
  return Math.max(current.updatedAt, time)
}
