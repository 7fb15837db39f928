import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import pLimit from 'p-limit'
import { blobPath, dataFolderLayout } from '../blobs/disk/data-folder.ts'
import { contentOf } from '../blobs/disk/durable-files.ts'
import { OperatorError } from '../problems.ts'

/** A backup that can't be made or used; the message is one line for the operator. */
export class BackupError extends OperatorError {}

/** A newer version made it, and only such a one can say what is in it. */
export class NewerBackupError extends BackupError {}

/** Counted up where an older version could not read what a newer one writes. */
const FORMAT = 1

/** Where the parts lie that a data folder does not have; beside them are `blobs/` and the folder of the snapshot. Whatever else is there when the manifest is, an interrupted run left behind. */
export const backupLayout = {
  /** Holds the id of the installation, and makes the folder one for its backups alone. */
  installation: 'installation',
  /** Names the snapshot that counts: to put another in its place is to take another backup, whole. */
  manifest: 'manifest.json',
  draft: 'manifest.json.draft',
  /** In the folder of a snapshot: a digest and a path from the backup's folder for each file, as `sha256sum -c` reads them. */
  sums: 'SHA256SUMS',
  scratch: 'scratch',
  lock: 'lock.db'
} as const

const Digest = Type.String({ pattern: '^[0-9a-f]{64}$' })
const Count = Type.Integer({ minimum: 0 })

const facts = {
  format: Type.Literal(FORMAT),
  magicstore: Type.String({ minLength: 1, maxLength: 64, description: 'Version that made the backup.' }),
  installationId: Type.String({ minLength: 1, maxLength: 64 }),
  createdAt: Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z$', description: 'The backup has everything that was acknowledged before.' }),
  snapshot: Type.String({ pattern: '^snapshot-[0-9a-f]{8}$', description: 'Folder of the database, the signing keys and the digests.' }),
  accounts: Count,
  files: Count,
  bytes: Type.Integer({ minimum: 0, description: 'Of the files together.' }),
  hasSigningKeys: Type.Boolean({ description: 'False where they are in SIGNING_KEYS.' }),
  sums: Digest
}

export const BackupFacts = Type.Object(facts, { additionalProperties: false })
/** What a manifest says of its backup. */
export type BackupFacts = Static<typeof BackupFacts>

const Manifest = Type.Object({ ...facts, sha256: Digest }, { additionalProperties: false })

/** The text of a manifest; its last property is the digest of the others. */
export function manifestText (backup: BackupFacts): string {
  return `${JSON.stringify({ ...backup, sha256: digestOf(backup) }, null, 2)}\n`
}

/** @throws {BackupError} where there is none or it is not whole, {NewerBackupError}. */
export async function readManifest (folder: string, name: string = backupLayout.manifest): Promise<BackupFacts> {
  const path = join(folder, name)
  const text = await readFile(path, 'utf8').catch((cause: Error) => { throw new BackupError(`there is no whole backup in ${folder}: ${cause.message}`, { cause }) })
  const manifest = parse(text)
  if (isNewer(manifest)) throw new NewerBackupError(`the backup in ${folder} was made by a newer version of MagicStore; it was left as it is`)
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

/** True for a manifest that only a newer version can judge. */
function isNewer (manifest: unknown): boolean {
  return typeof manifest === 'object' && manifest !== null && 'format' in manifest && Number(manifest.format) > FORMAT
}

function digestOf (backup: BackupFacts): string {
  return createHash('sha256').update(JSON.stringify(backup)).digest('hex')
}

/** A file of a backup: its digest, where it lies from the backup's folder, and from the data folder. */
export interface Sum { readonly sha256: string, readonly path: string, readonly target: string }

/** A line for a file that lies at `path` from the backup's folder. */
export function sumLine (sha256: string, path: string): string {
  return `${sha256}  ${path}\n`
}

/**
 * The files of a backup: first the database, then the keys if there are any, then the blobs by id.
 * @throws {BackupError} where the list is not the one that the manifest means.
 */
export async function * readSums (folder: string, backup: BackupFacts): AsyncGenerator<Sum> {
  const path = join(folder, backup.snapshot, backupLayout.sums)
  const { sha256 } = await contentOf(path).catch((cause: Error) => { throw new BackupError(`${path} can't be read: ${cause.message}`, { cause }) })
  if (sha256 !== backup.sums) throw new BackupError(`${path} is damaged`)
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) yield sumOf(line, backup)
}

/** What is in a backup beside the blobs, in the folder of its snapshot. */
const own = [dataFolderLayout.database, dataFolderLayout.signingKeys]

const BLOB = /^blobs\/[0-9a-f]{2}\/([0-9a-f]{32})$/

/** The paths are checked although a digest stands for them: nothing is read or written outside the folders, whoever made the backup. */
function sumOf (line: string, { snapshot }: BackupFacts): Sum {
  const [sha256 = '', path = ''] = line.split('  ')
  const [, id] = BLOB.exec(path) ?? []
  const target = id === undefined ? own.find(name => path === join(snapshot, name)) : blobPath(id)
  if (target === undefined || (id !== undefined && path !== target)) throw new BackupError(`${join(snapshot, backupLayout.sums)} names a file that is no part of a backup`)
  return { sha256, path, target }
}

/** Files that are looked after at a time: each waits for the disk, not for the processor. */
const PARALLEL = 8

/** Does `act` for each item, a few at a time. Ends when all have ended, with what the first that failed threw: nothing goes on behind the caller's back. */
export async function inParallel<T> (items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const limit = pLimit(PARALLEL)
  const ends = await Promise.allSettled(items.map(item => limit(() => act(item))))
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}
