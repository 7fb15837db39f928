import { hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import pLimit from 'p-limit'
import { blobPath, dataFolderLayout } from '../data-folder/data-folder.ts'
import { contentOf } from '../data-folder/durable-files.ts'
import { keyFiles } from '../data-folder/key-file.ts'
import { OperatorError } from '../problems.ts'

/** A backup can't be made or used. The message is one line for the operator. */
export class BackupError extends OperatorError {}

/** A newer version made the backup, in a format that this version can't read. */
export class NewerBackupError extends BackupError {}

/** Of a folder with one snapshot, and of the manifest in each snapshot. */
export const FORMAT = 1

/** Of a folder with several: a version that does not know them would delete all but its own. */
const FORMAT_OF_SEVERAL = 2

/** Names in a backup folder, beside `blobs/` and the folders of snapshots. An interrupted run may leave others. */
export const backupLayout = {
  /** Contains the id of the installation: the folder is for its backups only. */
  installation: 'installation',
  /**
   * Names the newest snapshot and those that are kept: replacing this file adds one and drops others, atomically. The
   * folder of a snapshot has one of its own.
   */
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
const Name = Type.String({
  pattern: '^snapshot-[0-9a-f]{8}$', description: 'Folder of the database, the keys and the digests.'
})

const Manifest = Type.Object({
  format: Type.Integer({ minimum: FORMAT, maximum: FORMAT_OF_SEVERAL }),
  magicstore: Type.String({ minLength: 1, maxLength: 64, description: 'Version that made the backup.' }),
  installationId: Type.String({ minLength: 1, maxLength: 64 }),
  createdAt: Type.String({
    pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z$',
    description: 'Everything acknowledged before this time is in the backup.'
  }),
  snapshot: Name,
  accounts: Count,
  files: Count,
  bytes: Type.Integer({ minimum: 0, description: 'Total size of the files, versions and trash.' }),
  hasSigningKeys: Type.Boolean({ description: 'False if the keys are in SIGNING_KEYS.' }),
  sums: Digest,
  kept: Type.Optional(Type.Array(Name, { description: 'Older snapshots, newest first.' })),
  sha256: Digest
}, { additionalProperties: false })

/** What a manifest says of a snapshot. */
export type BackupSummary = Readonly<Omit<Static<typeof Manifest>, 'kept' | 'sha256'>>

/** What operators are told of a snapshot. */
export function briefOf ({ snapshot, createdAt, accounts, files, bytes, hasSigningKeys }: BackupSummary) {
  return { snapshot, createdAt, accounts, files, bytes, hasSigningKeys }
}

/** What the manifest of a folder says: its newest snapshot, and the names of older ones, newest first. */
interface BackupContents { readonly newest: BackupSummary, readonly kept: readonly string[] }

/** The text of a manifest: the summary, with the names of older snapshots, and a digest of it as the last property. */
export function manifestText (backup: BackupSummary, kept: readonly string[] = []): string {
  const content = kept.length === 0 ? backup : { ...backup, format: FORMAT_OF_SEVERAL, kept }
  return `${JSON.stringify({ ...content, sha256: digestOf(content) }, null, 2)}\n`
}

/** @throws {BackupError} if it is missing or damaged, {NewerBackupError}. */
export async function readContents (folder: string, name: string = backupLayout.manifest): Promise<BackupContents> {
  const path = join(folder, name)
  const text = await readFile(path, 'utf8').catch((cause: Error) => {
    throw new BackupError(`there is no complete backup in ${folder}: ${cause.message}`, { cause })
  })
  const manifest = parse(text)
  if (Number(manifest?.format) > FORMAT_OF_SEVERAL) {
    throw new NewerBackupError(`the backup in ${folder} was made by a newer version of MagicStore; it was not changed`)
  }
  if (!Value.Check(Manifest, manifest)) throw new BackupError(`${path} is damaged`)
  const { sha256, ...content } = manifest
  if (sha256 !== digestOf(content)) throw new BackupError(`${path} is damaged`)
  const { kept = [], ...newest } = content
  return { newest: { ...newest, format: FORMAT }, kept }
}

/** The newest snapshot of a folder, or the one that the manifest is of. @throws as `readContents`. */
export async function readManifest (folder: string, name?: string): Promise<BackupSummary> {
  return (await readContents(folder, name)).newest
}

function parse (text: string): { format?: unknown } | null {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function digestOf (content: object): string {
  return hash('sha256', JSON.stringify(content))
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
    throw new BackupError(`${path} can't be read: ${cause.message}`, { cause })
  })
  if (sha256 !== backup.sums) throw new BackupError(`${path} is damaged`)
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    yield sumOf(line, backup)
  }
}

/** The files in the folder of a snapshot. */
const snapshotFiles = [dataFolderLayout.database, ...keyFiles]

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

/**
 * Calls `task` for each blob, a few at a time, with the id of its original; originals first, so that they are there.
 * Settles when all that were begun have settled, rejecting with the first error.
 */
export async function originalsFirst<T> (
  blobs: readonly T[], originalOf: (blob: T) => string | undefined, task: (blob: T, original?: string) => Promise<void>
): Promise<void> {
  const limit = pLimit(PARALLEL)
  const all = blobs.map(blob => ({ blob, original: originalOf(blob) }))
  for (const isCopy of [false, true]) {
    const some = all.filter(({ original }) => (original !== undefined) === isCopy)
    const results = await Promise.allSettled(some.map(({ blob, original }) => limit(() => task(blob, original))))
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }
}
