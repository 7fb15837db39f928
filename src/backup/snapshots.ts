import { readdir, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { dataFolderLayout, isThere } from '../data-folder/data-folder.ts'
import { contentOf, writeDurably } from '../data-folder/durable-files.ts'
import { findKeys } from '../data-folder/key-file.ts'
import type { Snapshot } from '../metadata/snapshot.ts'
import { openSnapshot } from '../metadata/sqlite/snapshot.ts'
import {
  BackupError, type BackupSummary, backupLayout, manifestText, NewerBackupError, readContents, readManifest
} from './manifest.ts'

/** The folders of blobs, processed in turn: of a million blobs a few thousand are in memory at a time. */
export const prefixes = Array.from({ length: 256 }, (_, index) => index.toString(16).padStart(2, '0'))

/** What operators must know of a snapshot that was made or restored. */
interface SnapshotContents {
  readonly links: number
  readonly identities: number
  readonly recoveryCodes: number
  /** The ids of keys that sealed secrets, and are not in the backup: those of SEALING_KEYS. */
  readonly missingSealingKeys: readonly string[]
}

/** Looks into the folder of a snapshot. */
export async function readSnapshot (folder: string): Promise<SnapshotContents> {
  const snapshot = openSnapshot(join(folder, dataFolderLayout.database))
  snapshot.close()
  const { links, identities, secondFactors: { recoveryCodes, sealedBy } } = snapshot
  const keys = await findKeys(folder, dataFolderLayout.sealingKeys) ?? []
  const missingSealingKeys = sealedBy.filter(kid => !keys.some(key => key.kid === kid))
  return { links, identities, recoveryCodes, missingSealingKeys }
}

/** A snapshot in a backup folder; `summary` is undefined if its manifest is missing or damaged. */
export interface ListedSnapshot { readonly name: string, readonly summary: BackupSummary | undefined }

const SNAPSHOT = /^snapshot-[0-9a-f]{8}$/

/**
 * The snapshots in a backup folder, newest first. If the manifest of the folder is missing or damaged, those that have
 * their own: they can be restored by their names.
 * @throws {BackupError} if there is none, {NewerBackupError}.
 */
export async function listSnapshots (folder: string): Promise<ListedSnapshot[]> {
  try {
    const { newest, kept } = await readContents(folder)
    const older = await Promise.all(kept.map(name => findOne(folder, name)))
    return [{ name: newest.snapshot, summary: newest }, ...older]
  } catch (error) {
    if (error instanceof NewerBackupError) throw error
    const names = (await readdir(folder).catch(() => [])).filter(name => SNAPSHOT.test(name))
    const snapshots = await Promise.all(names.map(name => findOne(folder, name)))
    const found = snapshots.filter(({ summary }) => summary !== undefined)
    if (found.length === 0) throw error
    return found.sort((a, b) => timeOf(b) - timeOf(a))
  }
}

async function findOne (folder: string, name: string): Promise<ListedSnapshot> {
  const summary = await readManifest(join(folder, name)).catch(() => undefined)
  return { name, summary: summary?.snapshot === name ? summary : undefined }
}

function timeOf ({ summary }: ListedSnapshot): number {
  return Date.parse(String(summary?.createdAt))
}

/** A time of RFC 3339, whose zone is never missing. */
const TIME = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/

/** Whether a text can be the name of a snapshot, or is a time of RFC 3339. */
export function isSnapshotOrTime (text: string): boolean {
  return SNAPSHOT.test(text) || (TIME.test(text) && !Number.isNaN(Date.parse(text)))
}

/**
 * The snapshot of this name, or the newest one at or before a time; by default the newest.
 * @throws {BackupError} if there is none, or if it is damaged.
 */
export async function findSnapshot (folder: string, at?: string): Promise<BackupSummary> {
  if (at === undefined) {
    return readManifest(folder).catch(async (cause: Error) => {
      const others = await listSnapshots(folder).catch(() => { throw cause })
      const names = others.map(({ name }) => name).join(' or ')
      throw new BackupError(`${cause.message}; restore a snapshot by its name: --at ${names}`, { cause })
    })
  }
  const snapshots = await listSnapshots(folder)
  const isName = SNAPSHOT.test(at)
  const found = snapshots.find(snapshot => isName ? snapshot.name === at : timeOf(snapshot) <= Date.parse(at))
  if (found === undefined) {
    const missing = `there is no snapshot ${isName ? at : `at or before ${at}`} in ${folder}`
    throw new BackupError(`${missing}; magicstore backup ${folder} --list shows those that there are`)
  }
  return found.summary ?? readManifest(join(folder, found.name))
}

/**
 * The names of the snapshots to keep beside a new one, so that there are `keep` in all, by default as many as now.
 * Those that are damaged are kept too, but not counted. Each gets its own manifest: one of an older version has only
 * that of the folder. Those whose folder is gone are left out.
 */
export async function keepNewest (folder: string, keep: number | undefined): Promise<string[]> {
  const snapshots = await listSnapshots(folder).catch(() => [])
  const count = (keep ?? Math.max(1, snapshots.length)) - 1
  const names: string[] = []
  let sound = 0
  for (const { name, summary } of snapshots) {
    if (sound === count || !await isThere(join(folder, name))) continue
    names.push(name)
    if (summary === undefined || !await isSound(folder, summary)) continue
    sound++
    const manifest = join(folder, name, backupLayout.manifest)
    if (!await isThere(manifest)) await writeDurably(manifest, [Buffer.from(manifestText(summary))])
  }
  return names
}

/** Whether the list of digests and the database can be read. The database is compared with its digest by a restore. */
async function isSound (folder: string, { snapshot, sums }: BackupSummary): Promise<boolean> {
  try {
    const { sha256 } = await contentOf(join(folder, snapshot, backupLayout.sums))
    openSnapshot(join(folder, snapshot, dataFolderLayout.database)).close()
    return sha256 === sums
  } catch {
    return false
  }
}

/**
 * Deletes snapshots that are not kept, and blobs that neither the `newest` nor a kept one names. If one of those can't
 * be read, no blob is deleted, because it may need any of them. Returns the number of deleted blobs, and the names of
 * snapshots that can't be read.
 */
export async function removeUnreferenced (
  folder: string, newest: { name: string, snapshot: Snapshot }, kept: readonly string[]
): Promise<{ removed: number, damaged: string[] }> {
  const names = [newest.name, ...kept]
  for (const other of (await readdir(folder)).filter(name => name.startsWith('snapshot-') && !names.includes(name))) {
    await rm(join(folder, other), { recursive: true })
  }
  const opened: Snapshot[] = []
  const damaged: string[] = []
  try {
    for (const name of kept) {
      try {
        const snapshot = openSnapshot(join(folder, name, dataFolderLayout.database))
        opened.push(snapshot)
        // All of its blobs must be known before the first one is deleted.
        for (const prefix of prefixes) snapshot.blobs(prefix)
      } catch {
        damaged.push(name)
      }
    }
    return { removed: damaged.length > 0 ? 0 : await removeBlobs(folder, [newest.snapshot, ...opened]), damaged }
  } finally {
    for (const each of opened) each.close()
  }
}

async function removeBlobs (folder: string, snapshots: readonly Snapshot[]): Promise<number> {
  const blobs = join(folder, dataFolderLayout.blobs)
  let count = 0
  for (const prefix of (await readdir(blobs)).filter(name => prefixes.includes(name))) {
    const known = new Set(snapshots.flatMap(snapshot => snapshot.blobs(prefix)).map(({ id }) => id))
    const others = (await readdir(join(blobs, prefix))).filter(name => !known.has(name))
    for (const other of others) await rm(join(blobs, prefix, other), { recursive: true })
    if (known.size === 0) await rmdir(join(blobs, prefix))
    count += others.length
  }
  return count
}
