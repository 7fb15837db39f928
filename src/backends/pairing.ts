import { randomUUID } from 'node:crypto'
import type { BlobStore } from '../blobs/blob-store.ts'
import type { Config } from '../config.ts'
import type { Metadata } from '../metadata/metadata.ts'
import { ConfigError } from '../problems.ts'

/** Where the id of the blob store is recorded: beside the facts. */
export interface StorageRecord {
  find (): Promise<string | undefined>
  /** Records an id unless there is one. Returns the one that is recorded then. */
  record (id: string): Promise<string>
}

/** What belongs together. */
export interface Pair {
  readonly metadata: Pick<Metadata, 'installationId' | 'contentsAfter'>
  readonly blobs: BlobStore
  readonly storage: StorageRecord
}

/** Blobs of which one must be in a blob store without a mark. More than one, because some may be damaged. */
const SAMPLE = 20

/** The name of the mark in a blob store with which the database records `storageId`. */
function markOf (installationId: string, storageId: string): string {
  return `${installationId}.${storageId}`
}

/**
 * Checks that a database and a blob store belong together: the store has the mark with the id that the database records. A server
 * with another bucket, prefix or folder would find no bytes, and leave those of deleted files behind.
 *
 * Two that are used together for the first time become a pair; so do a database and its own files without a mark, which an older
 * version stored. The mark comes first: whichever of several processes is the first to record its id, the others then look for it.
 * @throws {ConfigError} if they do not belong together; both are as before.
 */
export async function requirePair (place: string, pair: Pair): Promise<void> {
  const { metadata: { installationId }, blobs, storage } = pair
  const recorded = await storage.find()
  if (recorded !== undefined && (await blobs.marks()).includes(markOf(installationId, recorded))) return
  await refuseStranger(place, pair)
  if (!await holdsFiles(pair, recorded === undefined)) refuse(place, 'does not have the files of the database')
  const id = recorded ?? randomUUID()
  await blobs.mark(markOf(installationId, id))
  if (await storage.record(id) === id) return
  await blobs.unmark(markOf(installationId, id))
  await requirePair(place, pair)
}

/** Marks a blob store for the facts of an installation that are about to be restored. Returns the id that is to be recorded with them. */
export async function markRestored (installationId: string, blobs: BlobStore): Promise<string> {
  const id = randomUUID()
  await blobs.mark(markOf(installationId, id))
  return id
}

/** @throws {ConfigError} if a blob store belongs to another installation. */
export async function refuseStranger (place: string, { metadata: { installationId }, blobs }: { metadata: Pick<Metadata, 'installationId'>, blobs: BlobStore }): Promise<void> {
  const other = (await blobs.marks()).find(mark => !mark.startsWith(markOf(installationId, '')))
  if (other !== undefined) refuse(place, `belongs to another database, by its mark installations/${other}`)
}

/** Whether the store has one of the first blobs of the database; `ifNone` if it has none. */
async function holdsFiles ({ metadata, blobs }: Pair, ifNone: boolean): Promise<boolean> {
  const contents = await metadata.contentsAfter('', SAMPLE)
  for (const { blobId } of contents) if (await blobs.has(blobId)) return true
  return contents.length === 0 && ifNone
}

function refuse (place: string, reason: string): never {
  throw new ConfigError(`${place} ${reason}; all servers of a database need the same bucket and prefix, or folder`)
}

/** The blob store of the settings, for the operator. */
export function blobPlaceOf ({ storageUrl, dataDir }: Pick<Config, 'storageUrl' | 'dataDir'>): string {
  return storageUrl === undefined ? `DATA_DIR: ${dataDir}` : `STORAGE_URL: bucket ${storageUrl.bucket} with the prefix "${storageUrl.prefix}"`
}
