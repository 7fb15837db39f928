import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import pLimit from 'p-limit'
import { blobPath, dataFolderLayout } from '../data-folder/data-folder.ts'
import { contentOf } from '../data-folder/durable-files.ts'
import { OperatorError } from '../problems.ts'

/** A backup can't be made or used. The message is one line for the operator. */
export class BackupError extends OperatorError {}

/** A newer version made the backup, in a format that this version can't read. */
export class NewerBackupError extends BackupError {}

/** Increased whenever older versions could not read the new format. */
const FORMAT = 1

/** Names in a backup folder, beside `blobs/` and the folder of the snapshot. An interrupted run may leave others. */
export const backupLayout = {
  /** Contains the id of the installation: the folder is for its backups only. */
  installation: 'installation',
  /** Names the current snapshot: replacing this file replaces the backup, atomically. */
  manifest: 'manifest.json',
  draft: 'manifest.json.draft',
  /**
   * In the folder of a snapshot: for each file its digest and its path relative to the backup folder, in the format of
   * `sha256sum -c`.
   */
  sums: 'SHA256SUMS',
  scratch: 'scratch',
  lock: 'lock.db'
} as const

const Digest = Type.String({ pattern: '^[0-9a-f]{64}$' })
const Count = Type.Integer({ minimum: 0 })

const properties = {
  format: Type.Literal(FORMAT),
  magicstore: Type.String({ minLength: 1, maxLength: 64, description: 'Version that made the backup.' }),
  installationId: Type.String({ minLength: 1, maxLength: 64 }),
  createdAt: Type.String({
    pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z$',
    description: 'Everything acknowledged before this time is in the backup.'
  }),
  snapshot: Type.String({ pattern: '^snapshot-[0-9a-f]{8}$', description: 'Folder of the database, the signing keys and the digests.' }),
  accounts: Count,
  files: Count,
  bytes: Type.Integer({ minimum: 0, description: 'Total size of the files, versions and trash.' }),
  hasSigningKeys: Type.Boolean({ description: 'False if the keys are in SIGNING_KEYS.' }),
  sums: Digest
}

export const BackupSummary = Type.Object(properties, { additionalProperties: false })
/** The content of a manifest, without its digest. */
export type BackupSummary = Static<typeof BackupSummary>

const Manifest = Type.Object({ ...properties, sha256: Digest }, { additionalProperties: false })

/** The text of a manifest: the summary, and a digest of it as the last property. */
export function manifestText (backup: BackupSummary): string {
  return `${JSON.stringify({ ...backup, sha256: digestOf(backup) }, null, 2)}\n`
}

/** @throws {BackupError} if it is missing or damaged, {NewerBackupError}. */
export async function readManifest (folder: string, name: string = backupLayout.manifest): Promise<BackupSummary> {
  const path = join(folder, name)
  const text = await readFile(path, 'utf8').catch((cause: Error) => {
    throw new BackupError(
    `there is no complete backup in ${folder}: ${cause.message}`,
    { cause }
    )
  })
  const manifest = parse(text)
  if (isNewer(manifest)) throw new NewerBackupError(`the backup in ${folder} was made by a newer version of MagicStore; it was not changed`)
  if (!Value.Check(Manifest, manifest)) throw new BackupError(`${path} is damaged`)
  const { sha256, ...backup } = manifest
  if (sha256 !== digestOf(backup)) throw new BackupError(`${path} is damaged`)
  return backup
}

function parse (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** True for a manifest of a newer format. */
function isNewer (manifest: unknown): boolean {
  return typeof manifest === 'object' && manifest !== null && 'format' in manifest && Number(manifest.format) > FORMAT
}

function digestOf (backup: BackupSummary): string {
  return createHash('sha256').update(JSON.stringify(backup)).digest('hex')
}

/** A file of a backup: its digest, its path relative to the backup folder, and its path relative to the data folder. */
export interface Sum { readonly sha256: string, readonly path: string, readonly target: string }

/** A line of the digest file; `path` is relative to the backup folder. */
export function sumLine (sha256: string, path: string): string {
  return `${sha256}  ${path}\n`
}

/**
 * The files of a backup: the database, the keys if there are any, then the blobs by id.
 * @throws {BackupError} if the list does not have the digest in the manifest.
 */
export async function * readSums (folder: string, backup: BackupSummary): AsyncGenerator<Sum> {
  const path = join(folder, backup.snapshot, backupLayout.sums)
  const { sha256 } = await contentOf(path).catch((cause: Error) => {
    throw new BackupError(
    `${path} can't be read: ${cause.message}`,
    { cause }
    )
  })
  if (sha256 !== backup.sums) throw new BackupError(`${path} is damaged`)
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    yield sumOf(line, backup)
  }
}

/** The files in the folder of a snapshot. */
const snapshotFiles = [dataFolderLayout.database, dataFolderLayout.signingKeys]

const BLOB = /^blobs\/[0-9a-f]{2}\/([0-9a-f]{32})$/

/** Checks the path although the digest of the list is right: a forged backup must not reach outside the folders. */
function sumOf (line: string, { snapshot }: BackupSummary): Sum {
  const [sha256 = '', path = ''] = line.split('  ')
  const [, id] = BLOB.exec(path) ?? []
  const target = id === undefined ? snapshotFiles.find(name => path === join(snapshot, name)) : blobPath(id)
  if (target === undefined || (id !== undefined && path !== target)) {
    throw new BackupError(`${join(snapshot, backupLayout.sums)} names a file that does not belong in a backup`)
  }
  return { sha256, path, target }
}

/** Files processed at a time: they wait for the disk, not for the CPU. */
const PARALLEL = 8

/** Calls `task` for each item, a few at a time. Settles when all have settled, rejecting with the first error. */
export async function inParallel<T> (items: readonly T[], task: (item: T) => Promise<void>): Promise<void> {
  const limit = pLimit(PARALLEL)
  const results = await Promise.allSettled(items.map(item => limit(() => task(item))))
  for (const result of results) if (result.status === 'rejected') throw result.reason
}
