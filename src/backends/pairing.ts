import { randomUUID } from 'node:crypto'
import type { BlobStore, BlobView } from '../blobs/blob-store.ts'
import type { Config } from '../config.ts'
import { CUT_RESTORE_REMEDY } from '../data-folder/data-folder.ts'
import { ConfigError } from '../problems.ts'

/** The settings that name the blob store. */
export type StorageSettings = Pick<Config, 'storageUrl' | 'dataDir'>

/** The blob store in words for the operator. */
export function storageText ({ storageUrl, dataDir }: StorageSettings): string {
  return storageUrl === undefined
    ? `DATA_DIR: ${dataDir}`
    : `STORAGE_URL: bucket ${storageUrl.bucket} with the prefix "${storageUrl.prefix}"`
}

function settingOf ({ storageUrl }: StorageSettings): string {
  return storageUrl === undefined ? 'DATA_DIR' : 'STORAGE_URL'
}

/** The parts of a mark. That of a restore begins with a word that no id is. */
export const SEPARATOR = '.'
export const RESTORING = 'restoring'

/** The mark with which a database of this installation records this id of the store. */
export function pairMark (installationId: string, storageId: string): string {
  return [installationId, storageId].join(SEPARATOR)
}

/** Whether a mark is that of a restore, not of a database. */
export function isOfRestore (mark: string): boolean {
  return mark.startsWith(`${RESTORING}${SEPARATOR}`)
}

/** @throws {ConfigError} if a restore into the store did not end. */
export function refuseCutRestore (config: StorageSettings, marks: readonly string[]): void {
  if (!marks.some(isOfRestore)) return
  const reason = `${storageText(config)} has a part of a backup only: a restore was interrupted, or is running`
  throw new ConfigError(reason, { remedy: CUT_RESTORE_REMEDY })
}

/** Where the id of the blob store is recorded: beside the metadata. */
export interface StorageIdRecord {
  findStorageId (): Promise<string | undefined>
  /** Records an id unless there is one. Returns the one that is recorded then. */
  recordStorageId (id: string): Promise<string>
}

/** What a blob store is compared with. */
export interface PairedDatabase extends Pick<StorageIdRecord, 'findStorageId'> {
  readonly installationId: string
  readonly blobs: { listContents (afterId: string, limit: number): Promise<readonly { readonly blobId: string }[]> }
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
export async function requirePair (
  config: StorageSettings, database: PairedDatabase & StorageIdRecord, blobs: BlobStore
): Promise<void> {
  const { recorded, marks, isMarked } = await checkPair(config, database, blobs)
  const { installationId } = database
  if (isMarked) {
    // Of a restore that was killed after its last step.
    const stale = [RESTORING, installationId, recorded, ''].join(SEPARATOR)
    for (const mark of marks) if (mark.startsWith(stale)) await blobs.marks.remove(mark)
    return
  }
  const id = recorded ?? randomUUID()
  await blobs.marks.add(pairMark(installationId, id))
  if (await database.recordStorageId(id) === id) return
  await blobs.marks.remove(pairMark(installationId, id))
  await requirePair(config, database, blobs)
}

/** What a database and a blob store say of each other. */
interface Pairing {
  /** The id of the store that the database records. */
  readonly recorded: string | undefined
  readonly marks: readonly string[]
  /** Whether one of the marks is that of the database, with this id. */
  readonly isMarked: boolean
}

/** @throws {ConfigError} if a restore into the store was interrupted. */
export async function findPairing (
  config: StorageSettings, database: Omit<PairedDatabase, 'blobs'>, blobs: Pick<BlobView, 'marks'>
): Promise<Pairing> {
  const recorded = await database.findStorageId()
  const marks = await blobs.marks.list()
  const isMarked = marks.includes(pairMark(database.installationId, String(recorded)))
  if (!isMarked) refuseCutRestore(config, marks)
  return { recorded, marks, isMarked }
}

/**
 * Checks that a database and a blob store belong together, or can become a pair. Changes nothing.
 * @throws {ConfigError} as `requirePair`.
 */
export async function checkPair (
  config: StorageSettings, database: PairedDatabase, blobs: BlobView
): Promise<Pairing> {
  const found = await findPairing(config, database, blobs)
  if (found.isMarked) return found
  await refuseForeignMark(config, database.installationId, blobs)
  const contents = await database.blobs.listContents('', SAMPLE)
  if (contents.length === 0 && found.recorded === undefined) return found
  for (const { blobId } of contents) if (await blobs.has(blobId)) return found
  const asOthers = `set ${settingOf(config)} as the other servers of this database have it`
  throw new ConfigError(`${storageText(config)} does not have the files of the database`, {
    remedy: `${asOthers}: all need the same bucket and prefix, or folder`
  })
}

/** @throws {ConfigError} if a blob store belongs to another installation. */
export async function refuseForeignMark (
  config: StorageSettings, installationId: string, blobs: Pick<BlobView, 'marks'>
): Promise<void> {
  const own = pairMark(installationId, '')
  const other = (await blobs.marks.list()).find(mark => !isOfRestore(mark) && !mark.startsWith(own))
  if (other === undefined) return
  const unused = `set ${settingOf(config)} to a place that no other database uses`
  throw new ConfigError(`${storageText(config)} belongs to another database, by its mark installations/${other}`, {
    remedy: `${unused}, or DATABASE_URL to the database of these files`
  })
}
