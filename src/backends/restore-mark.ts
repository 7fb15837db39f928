import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import type { BlobStore } from '../blobs/blob-store.ts'
import { CUT_RESTORE_REMEDY } from '../data-folder/data-folder.ts'
import { ConfigError } from '../problems.ts'
import type { BlobPlace } from './blob-place.ts'

/** A restore into a blob store, as its mark says: made before the first blob, removed after the metadata are there. */
interface Restore {
  /** Of the backup, as `snapshot`. */
  readonly installationId: string
  readonly snapshot: string
  /** The id of the store that the restored metadata will record. */
  readonly storageId: string
  /** Whether the store was empty before: then all its blobs are of this restore. */
  readonly isAlone: boolean
}

const RESTORING = 'restoring'
const SEPARATOR = '.'

function markOf ({ installationId, storageId, snapshot, isAlone }: Restore): string {
  return [RESTORING, installationId, storageId, snapshot, isAlone ? 'alone' : 'shared'].join(SEPARATOR)
}

/** The mark with which a database of this installation records this id of the store. */
export function pairMark (installationId: string, storageId: string): string {
  return [installationId, storageId].join(SEPARATOR)
}

/** Whether a mark is that of a restore, not of a database. */
export function isOfRestore (mark: string): boolean {
  return mark.startsWith(`${RESTORING}${SEPARATOR}`)
}

function findRestore (marks: readonly string[]): Restore | undefined {
  const [, installationId = '', storageId = '', snapshot = '', use] = marks.find(isOfRestore)?.split(SEPARATOR) ?? []
  return use === undefined ? undefined : { installationId, storageId, snapshot, isAlone: use === 'alone' }
}

/** @throws {ConfigError} if a restore into the store did not end. */
export function refuseCutRestore ({ name }: BlobPlace, marks: readonly string[]): void {
  if (marks.some(isOfRestore)) throw new ConfigError(`${name} has a part of a backup only: a restore was interrupted, or is running`, { remedy: CUT_RESTORE_REMEDY })
}

/** Removes the mark of a restore that was killed after its last step. */
export async function removeStaleMarks (pair: string, marks: readonly string[], blobs: BlobStore): Promise<void> {
  for (const mark of marks) if (mark.startsWith(`${RESTORING}${SEPARATOR}${pair}${SEPARATOR}`)) await blobs.marks.remove(mark)
}

/** The backup that is restored. */
export interface RestoreRequest {
  readonly installationId: string
  readonly snapshot: string
  /** Deletes what an interrupted restore left. Else it must be of the same snapshot, and is continued. */
  readonly isDiscarding: boolean
}

/**
 * The interrupted restore that is to be continued or discarded, if there is one.
 * @throws {ConfigError} if it is of another backup and not to be discarded.
 */
export async function findCutRestore (
  { name }: BlobPlace, blobs: BlobStore, { installationId, snapshot, isDiscarding }: RestoreRequest
): Promise<Restore | undefined> {
  const cut = findRestore(await blobs.marks.list())
  if (cut === undefined || isDiscarding) return cut
  if (cut.installationId === installationId && cut.snapshot === snapshot) return cut
  throw new ConfigError(`${name} has a part of another backup, ${cut.snapshot}`, { remedy: 'restore that one, or begin anew with --discard' })
}

/** Marks the store before the first blob is written, unless `cut` is continued. */
export async function beginRestore (
  blobs: BlobStore, { installationId, snapshot, isDiscarding }: RestoreRequest, cut: Restore | undefined
): Promise<Restore> {
  if (cut !== undefined && !isDiscarding) return cut
  if (cut !== undefined) await discard(blobs, cut)
  const isAlone = await isEmpty(blobs)
  const restore = { installationId, snapshot, storageId: randomUUID(), isAlone }
  await blobs.marks.add(markOf(restore))
  return restore
}

/** @throws {ConfigError} if another restore has discarded this one, and with it some of its blobs. */
export async function requireMark ({ name }: BlobPlace, blobs: BlobStore, restore: Restore): Promise<void> {
  if ((await blobs.marks.list()).includes(markOf(restore))) return
  throw new ConfigError(`${name}: another restore has discarded this one`, { remedy: 'run one restore at a time' })
}

/** Makes the mark that the restored metadata refer to. Returns the id to record. */
export async function pairRestored (blobs: BlobStore, { installationId, storageId }: Restore): Promise<string> {
  await blobs.marks.add(pairMark(installationId, storageId))
  return storageId
}

/** To be called when the metadata are there. */
export async function endRestore (blobs: BlobStore, restore: Restore): Promise<void> {
  await blobs.marks.remove(markOf(restore))
}

/** Blobs removed at a time, in one request to a bucket. */
const BATCH = 10

/** Deletes the blobs if they are all of the interrupted restore: those of another database stay. Its mark goes last. */
async function discard (blobs: BlobStore, cut: Restore): Promise<void> {
  const pair = pairMark(cut.installationId, cut.storageId)
  const others = (await blobs.marks.list()).filter(mark => mark !== markOf(cut) && mark !== pair)
  if (cut.isAlone && others.length === 0) await removeAll(blobs)
  await blobs.marks.remove(pair)
  await blobs.marks.remove(markOf(cut))
}

async function removeAll (blobs: BlobStore): Promise<void> {
  let ids = await blobs.pending?.() ?? []
  for await (const id of blobs.list()) {
    ids.push(id)
    if (ids.length < BATCH) continue
    await blobs.remove(ids)
    ids = []
  }
  await blobs.remove(ids)
}

async function isEmpty (blobs: BlobStore): Promise<boolean> {
  const [pending, marks] = [await blobs.pending?.() ?? [], await blobs.marks.list()]
  const committed = await Readable.from(blobs.list()).take(1).toArray()
  return pending.length + marks.length + committed.length === 0
}
