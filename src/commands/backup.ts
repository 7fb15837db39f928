import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { createBackup, prepareBackupFolder, type DraftBackup } from '../backup/backup.ts'
import { BackupError, backupLayout, briefOf, readManifest } from '../backup/manifest.ts'
import { fillDataFolder, linkVerified } from '../backup/restore.ts'
import { listSnapshots, readSnapshot, type ListedSnapshot } from '../backup/snapshots.ts'
import { openBackupSource } from '../backup/source.ts'
import { readConfig, type Config } from '../config.ts'
import { deviceOf, requireDatabase, usesDataFolder } from '../data-folder/data-folder.ts'
import { checkIntegrity } from '../fsck/fsck.ts'
import {
  FLAG, folderApartFrom, linesOf, onlyFolder, print, readArguments, secondsSince, UsageError, VALUE
} from './command.ts'
import { recordStoreAct, warnOfLostRecord, withStore } from './store.ts'
import { createProgress, type Progress } from './terminal.ts'

export const help = `\
magicstore backup FOLDER: back up the store that the settings name, with or without a running server.

  --keep N   keep the N newest snapshots, this one included, and delete others; files that did not change are stored
             once. Default: as many as there are, at least 1
  --prove    test the new snapshot before it becomes the newest: restore it to a temporary folder in FOLDER, run fsck
             --deep there
  --list     make no backup, but list the snapshots in FOLDER, newest first: name, time, accounts, files and bytes
  --json     one JSON object; with --list one per line

  FOLDER must be outside DATA_DIR, and empty, not exist, or have earlier backups of the same installation. Files that
  are already there are not copied again, and earlier snapshots stay valid until the new one is complete. Files are hard
  links if the file system allows it: that protects against mistakes, but only a folder on another disk protects against
  disk failure. The backup contains all files with versions and trash, second factors, and the keys beside the database
  (not those in SIGNING_KEYS and SEALING_KEYS): protect it like DATA_DIR. Version 1.0.0 can neither restore from nor add
  to a folder with several snapshots.

Exit code: 0 if the backup is complete, 1 if it could not be made or tested; then earlier snapshots are still valid.`

/** Makes a backup and prints what is in it, or lists those that there are. */
export async function run (args: string[]): Promise<void> {
  const { values, positionals } = readArguments(args, { keep: VALUE, prove: FLAG, list: FLAG })
  const keep = values.keep === undefined ? undefined : readKeep(values.keep)
  if (values.list && (values.prove || values.keep !== undefined)) {
    throw new UsageError('--list makes no backup, and takes neither --keep nor --prove')
  }
  const config = readConfig()
  const folder = await folderApartFrom(onlyFolder('backup', positionals), { name: 'DATA_DIR', path: config.dataDir })
  if (values.list) {
    for (const listed of await listSnapshots(folder)) print(values, entryOf(listed), lineOf)
    return
  }
  await requireDatabase(config)
  const start = performance.now()
  const progress = createProgress()
  const result = await makeBackup(config, folder, { keep, isProven: values.prove, progress }).finally(progress.clear)
    .catch((error: Error) => failAsRecorded(config, folder, error))
  print(values, { ...result, seconds: secondsSince(start) }, textOf)
  const { snapshot, files, bytes, isProven } = result
  const details = { folder, snapshot, files, bytes, isProven }
  await recordStoreAct(config, { kind: 'backup_made', details }).catch(warnOfLostRecord)
}

/** Records the failure if the database can be used. @throws `error`. */
async function failAsRecorded (config: Config, folder: string, error: Error): Promise<never> {
  await recordStoreAct(config, { kind: 'backup_failed', details: { folder, reason: error.message } }).catch(() => {})
  throw error
}

function readKeep (text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) {
    throw new UsageError(`--keep must be a number from 1 to 9999, not ${JSON.stringify(text)}`)
  }
  return Number(text)
}

function entryOf ({ name, summary }: ListedSnapshot) {
  const { createdAt, accounts, files, bytes, magicstore } = summary ?? {}
  return { snapshot: name, createdAt, accounts, files, bytes, magicstore, isDamaged: summary === undefined }
}

function lineOf ({ snapshot, createdAt, accounts, files, bytes, isDamaged }: ReturnType<typeof entryOf>): string {
  const details = isDamaged ? ['damaged'] : [createdAt, `${accounts} accounts`, `${files} files`, `${bytes} bytes`]
  return [snapshot, ...details].join('\t')
}

interface BackupOptions { readonly keep: number | undefined, readonly isProven: boolean, readonly progress: Progress }

async function makeBackup (config: Config, folder: string, { keep, isProven, progress }: BackupOptions) {
  const source = await openBackupSource(config)
  let lock
  let draft: DraftBackup | undefined
  try {
    lock = await prepareBackupFolder(folder, source.installationId)
    draft = await createBackup(source, folder, { keep, onProgress: progress.count('backup') })
    // The proof needs only the backup: release the retention lock.
    await source.close()
    if (isProven) await prove(folder, progress)
    const { removed, damaged } = await draft.commit()
    const content = briefOf(draft.summary)
    const isOnDataDisk = usesDataFolder(config) && await deviceOf(folder) === await deviceOf(config.dataDir)
    const { recoveryCodes, missingSealingKeys } = await readSnapshot(join(folder, content.snapshot))
    const keys = { recoveryCodes, missingSealingKeys }
    return { folder, ...content, ...keys, ...draft.counts, removed, damaged, isProven, isOnDataDisk }
  } finally {
    await draft?.close()
    lock?.close()
    await source.close()
  }
}

/** Restores the draft and checks every file. @throws {BackupError} if anything is wrong. */
async function prove (folder: string, progress: Progress): Promise<void> {
  const scratch = join(folder, backupLayout.scratch)
  await rm(scratch, { recursive: true, force: true })
  try {
    const backup = await readManifest(folder, backupLayout.draft)
    await fillDataFolder(scratch, { folder, backup, onProgress: progress.count('restored to test') }, linkVerified)
    const onLook = (done: number) => progress.show('tested', done, backup.files)
    const found = await withStore(readConfig({ DATA_DIR: scratch }), store =>
      Readable.from(checkIntegrity(store, { isDeep: true, onLook })).toArray())
    if (found.length === 0) return
    const errors = `fsck --deep found ${found.length} errors, the first is ${JSON.stringify(found[0])}`
    throw new BackupError(`the new backup is damaged, the earlier ones are still valid: ${errors}`)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

function textOf (report: Awaited<ReturnType<typeof makeBackup>> & { seconds: number }): string {
  const { folder, createdAt, accounts, files, bytes, linked, copied, kept, removed, seconds } = report
  const content = `${files} files of ${accounts} accounts, ${bytes} bytes, with versions and trash`
  return linesOf(
    `backed up ${content}, as of ${createdAt}, to ${folder}`,
    `  ${linked} linked, ${copied} copied, ${kept} unchanged, ${removed} deleted, in ${seconds} s`,
    report.hasSigningKeys
      ? '  with the signing keys: protect it like DATA_DIR'
      : '  without signing keys: keep a copy of SIGNING_KEYS yourself',
    report.missingSealingKeys.length > 0 &&
      '  without the keys of one-time codes: keep a copy of SEALING_KEYS yourself',
    report.isProven && '  tested: restored, every file read, fsck --deep found no errors',
    ...report.damaged.map(name =>
      `  warning: ${name} is damaged, so no old file was deleted; remove its folder, or let --keep drop it`),
    report.isOnDataDisk &&
      '  warning: it is on the same disk as DATA_DIR, so it does not protect against disk failure'
  )
}
