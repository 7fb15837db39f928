import { randomUUID } from 'node:crypto'
import type { BlobStore, BlobView } from '../blobs/blob-store.ts'
import type { Metadata } from '../metadata/metadata.ts'
import { ConfigError } from '../problems.ts'
import type { BlobPlace } from './blob-place.ts'
import { isOfRestore, pairMark, refuseCutRestore, removeStaleMarks } from './restore-mark.ts'

/** Where the id of the blob store is recorded: beside the metadata. */
export interface StorageRecord {
  find (): Promise<string | undefined>
  /** Records an id unless there is one. Returns the one that is recorded then. */
  record (id: string): Promise<string>
}

/** A database, a blob store, and where the database records the id of the store. */
interface Pair extends ReadOnlyPair {
  readonly blobs: BlobStore
  readonly storage: StorageRecord
}

/** What a pair is checked with. */
interface ReadOnlyPair {
  readonly metadata: {
    readonly installationId: string
    readonly blobs: { listContents (afterId: string, limit: number): Promise<readonly { readonly blobId: string }[]> }
  }
  readonly blobs: BlobView
  readonly storage: Pick<StorageRecord, 'find'>
}

/**
 * How many blobs of the database are looked for in a store without a mark; one must be there. Several, because some may
 * be damaged.
 */
export const SAMPLE = 20

/**
 * Makes a database and a blob store a pair, unless they are one: the store has a mark with the id that the database
 * records. With another bucket, prefix or folder, a server would find no files and would never delete their bytes.
 *
 * A database and a store that are used together for the first time become a pair. So do a database and a store of an
 * older version, which made no marks, if the store has its files. The mark is written before the id is recorded: once
 * one process has recorded its id, all others find its mark.
 * @throws {ConfigError} if they do not belong together; both are as before.
 */
export async function requirePair (place: BlobPlace, pair: Pair): Promise<void> {
  const { metadata: { installationId }, blobs, storage } = pair
  const { recorded, marks, isMarked } = await checkPair(place, pair)
  if (isMarked) return removeStaleMarks(pairMark(installationId, String(recorded)), marks, blobs)
  const id = recorded ?? randomUUID()
  await blobs.marks.add(pairMark(installationId, id))
  if (await storage.record(id) === id) return
  await blobs.marks.remove(pairMark(installationId, id))
  await requirePair(place, pair)
}

/** What a database and a blob store say of each other. */
interface Recorded {
  /** The id of the store that the database records. */
  readonly recorded: string | undefined
  readonly marks: readonly string[]
  /** Whether one of the marks is that of the database, with this id. */
  readonly isMarked: boolean
}

/** @throws {ConfigError} if a restore into the store was interrupted. */
export async function findRecorded (
  place: BlobPlace, { metadata: { installationId }, blobs, storage }: Omit<ReadOnlyPair, 'metadata'> & { metadata: Pick<Metadata, 'installationId'> }
): Promise<Recorded> {
  const recorded = await storage.find()
  const marks = await blobs.marks.list()
  const isMarked = marks.includes(pairMark(installationId, String(recorded)))
  if (!isMarked) refuseCutRestore(place, marks)
  return { recorded, marks, isMarked }
}

/**
 * Checks that a database and a blob store belong together, or can become a pair. Changes nothing.
 * @throws {ConfigError} as `requirePair`.
 */
export async function checkPair (place: BlobPlace, pair: ReadOnlyPair): Promise<Recorded> {
  const found = await findRecorded(place, pair)
  if (found.isMarked) return found
  await refuseForeignMark(place, pair)
  const { isEmpty, isFound } = await findFiles(pair)
  if (isFound || (isEmpty && found.recorded === undefined)) return found
  throw new ConfigError(`${place.name} does not have the files of the database`, {
    remedy: `set ${place.setting} as the other servers of this database have it: all need the same bucket and prefix, or folder`
  })
}

/** @throws {ConfigError} if a blob store belongs to another installation. */
export async function refuseForeignMark (
  place: BlobPlace, { metadata: { installationId }, blobs }: { metadata: Pick<Metadata, 'installationId'>, blobs: Pick<BlobView, 'marks'> }
): Promise<void> {
  const other = (await blobs.marks.list()).find(mark => !isOfRestore(mark) && !mark.startsWith(pairMark(installationId, '')))
  if (other === undefined) return
  throw new ConfigError(`${place.name} belongs to another database, by its mark installations/${other}`, {
    remedy: `set ${place.setting} to a place that no other database uses, or DATABASE_URL to the database of these files`
  })
}

/** Whether the store has one of the first blobs of the database. `isEmpty`: the database has no blobs. */
async function findFiles ({ metadata, blobs }: ReadOnlyPair): Promise<{ isEmpty: boolean, isFound: boolean }> {
  const contents = await metadata.blobs.listContents('', SAMPLE)
  for (const { blobId } of contents) if (await blobs.has(blobId)) return { isEmpty: false, isFound: true }
  return { isEmpty: contents.length === 0, isFound: false }
}
