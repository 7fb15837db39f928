import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { isOfRestore, pairMark, RESTORING, SEPARATOR, storageText, type StorageSettings } from '../backends/pairing.ts'
import type { BlobStore } from '../blobs/blob-store.ts'
import { ConfigError } from '../problems.ts'
import type { BackupSummary } from './manifest.ts'
import type { RestoreRequest } from './restore.ts'

/** A restore into a blob store, as its mark says: made before the first blob, removed after the metadata are there. */
export interface MarkedRestore extends Pick<BackupSummary, 'installationId' | 'snapshot'> {
  /** The id of the store that the restored metadata will record. */
  readonly storageId: string
  /** Whether the store was empty before: then all its blobs are of this restore. */
  readonly isAlone: boolean
}

function markOf ({ installationId, storageId, snapshot, isAlone }: MarkedRestore): string {
  return [RESTORING, installationId, storageId, snapshot, isAlone ? 'alone' : 'shared'].join(SEPARATOR)
}

/**
 * The interrupted restore that is to be continued or discarded, if there is one.
 * @throws {ConfigError} if it is of another backup and not to be discarded.
 */
export async function findCutRestore (
  config: StorageSettings, blobs: BlobStore, { backup, isDiscarding }: RestoreRequest
): Promise<MarkedRestore | undefined> {
  const mark = (await blobs.marks()).find(isOfRestore)
  if (mark === undefined) return undefined
  const [, installationId = '', storageId = '', snapshot = '', use] = mark.split(SEPARATOR)
  if (isDiscarding !== true && (installationId !== backup.installationId || snapshot !== backup.snapshot)) {
    throw new ConfigError(`${storageText(config)} has a part of another backup, ${snapshot}`, {
      remedy: 'restore that one, or begin anew with --discard'
    })
  }
  return { installationId, storageId, snapshot, isAlone: use === 'alone' }
}

/** Marks the store before the first blob is written. */
export async function beginRestore (
  blobs: BlobStore, { installationId, snapshot }: BackupSummary
): Promise<MarkedRestore> {
  const [pending, marks] = [await blobs.pending(), await blobs.marks()]
  const committed = await Readable.from(blobs.committed()).take(1).toArray()
  const isAlone = pending.length + marks.length + committed.length === 0
  const restore = { installationId, snapshot, storageId: randomUUID(), isAlone }
  await blobs.mark(markOf(restore))
  return restore
}

/**
 * Makes the mark that the restored metadata refer to.
 * @throws {ConfigError} if another restore has discarded this one, and with it some of its blobs.
 */
export async function pairRestored (config: StorageSettings, blobs: BlobStore, restore: MarkedRestore): Promise<void> {
  if (!(await blobs.marks()).includes(markOf(restore))) {
    const reason = `${storageText(config)}: another restore has discarded this one`
    throw new ConfigError(reason, { remedy: 'run one restore at a time' })
  }
  await blobs.mark(pairMark(restore.installationId, restore.storageId))
}

/** To be called when the metadata are there. */
export async function endRestore (blobs: BlobStore, restore: MarkedRestore): Promise<void> {
  await blobs.unmark(markOf(restore))
}

/** Blobs removed at a time, in one request to a bucket. */
const BATCH = 10

/** Deletes the blobs if they are all of the interrupted restore: those of another database stay. Its mark goes last. */
export async function discardRestore (blobs: BlobStore, cut: MarkedRestore): Promise<void> {
  const pair = pairMark(cut.installationId, cut.storageId)
  const others = (await blobs.marks()).filter(mark => mark !== markOf(cut) && mark !== pair)
  if (cut.isAlone && others.length === 0) await removeAll(blobs)
  await blobs.unmark(pair)
  await blobs.unmark(markOf(cut))
}

async function removeAll (blobs: BlobStore): Promise<void> {
  let ids = await blobs.pending()
  for await (const id of blobs.committed()) {
    ids.push(id)
    if (ids.length < BATCH) continue
    await blobs.remove(ids)
    ids = []
  }
  await blobs.remove(ids)
}
