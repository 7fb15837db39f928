import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { usesDataFolder } from '../backends/backends.ts'
import { lockBackupFolder, openBackupSource, restoreTools } from '../backends/transfer.ts'
import { createBackup, prepareBackupFolder, type DraftBackup } from '../backup/backup.ts'
import { BackupError, backupLayout, readManifest } from '../backup/manifest.ts'
import { fillDataFolder, linkVerified } from '../backup/restore.ts'
import { readConfig, type Config } from '../config.ts'
import { deviceOf, requireDatabase } from '../data-folder/data-folder.ts'
import { checkIntegrity, type Finding } from '../fsck/fsck.ts'
import { openOperatorStore } from '../store.ts'
import { folderArgument } from './command.ts'
import { createProgress, type Progress } from './terminal.ts'

export const help = `magicstore backup FOLDER: back up the store that the settings name, with or without a running server.

  --prove    test the new backup before it replaces the previous one: restore it to a temporary folder in FOLDER, run fsck --deep there
  --json     one JSON object

  FOLDER must be outside DATA_DIR, and empty, not exist, or have an earlier backup of the same installation. Files that are
  already there are not copied again, and the earlier backup stays valid until the new one is complete. Files are hard links
  if the file system allows it: that protects against mistakes, but only a folder on another disk protects against disk failure.
  The backup contains all files with versions and trash, and the signing keys in DATA_DIR (not those in SIGNING_KEYS): protect it
  like DATA_DIR.

Exit code: 0 if the backup is complete, 1 if it could not be made or tested; then the previous backup is still valid.`

/** Makes a backup and prints what is in it. */
export async function run (args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    options: { prove: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
    allowPositionals: true
  })
  const config = readConfig()
  const folder = await folderArgument('backup', positionals, config.dataDir)
  if (config.databaseUrl === undefined) await requireDatabase(config.dataDir)
  const start = performance.now()
  const progress = createProgress()
  const result = await makeBackup(config, folder, { isProven: values.prove, progress }).finally(progress.clear)
  const report = { ...result, seconds: Math.round(performance.now() - start) / 1000 }
  console.log(values.json ? JSON.stringify(report) : textOf(report))
}

async function makeBackup (
  config: Config, folder: string, { isProven, progress }: { isProven: boolean, progress: Progress }
) {
  const source = await openBackupSource(config)
  let lock
  let draft: DraftBackup | undefined
  try {
    await prepareBackupFolder(folder, source.installationId)
    lock = lockBackupFolder(join(folder, backupLayout.lock))
    draft = await createBackup({ source, folder, onProgress: (done, total) => progress.show('backup', done, total) })
    // The proof needs only the backup: release the retention lock.
    await source.close()
    if (isProven) await prove(folder, progress)
    const removed = await draft.commit()
    const { createdAt, accounts, files, bytes, hasSigningKeys } = draft.summary
    const isOnDataDisk = usesDataFolder(config) && await deviceOf(folder) === await deviceOf(config.dataDir)
    return {
      folder, createdAt, accounts, files, bytes, ...draft.counts, removed, hasSigningKeys, isProven, isOnDataDisk
    }
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
    await fillDataFolder({
      folder,
      backup,
      target: scratch,
      copyFile: linkVerified,
      openSnapshot: restoreTools.openSnapshot,
      onProgress: (done, total) => progress.show('restored to test', done, total)
    })
    const store = await openOperatorStore(readConfig({ DATA_DIR: scratch }))
    try {
      const findings: Finding[] = []
      for await (const finding of checkIntegrity(
        store,
        { isDeep: true, onLook: done => progress.show('tested', done, backup.files) }
      )) findings.push(finding)
      if (findings.length > 0) {
        const first = JSON.stringify(findings[0])
        throw new BackupError(`the new backup is damaged, the previous one is still valid: fsck --deep found ${findings.length} errors, the first is ${first}`)
      }
    } finally {
      await store.close()
    }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

type Report = Awaited<ReturnType<typeof makeBackup>> & { seconds: number }

function textOf (report: Report): string {
  const { folder, createdAt, accounts, files, bytes, linked, copied, kept, removed, seconds } = report
  return [
    `backed up ${files} files of ${accounts} accounts, ${bytes} bytes, with versions and trash, as of ${createdAt}, to ${folder}`,
    `  ${linked} linked, ${copied} copied, ${kept} unchanged, ${removed} deleted, in ${seconds} s`,
    report.hasSigningKeys
      ? '  with the signing keys: protect it like DATA_DIR'
      : '  without signing keys: keep a copy of SIGNING_KEYS yourself',
    ...(report.isProven ? ['  tested: restored, every file read, fsck --deep found no errors'] : []),
    ...(report.isOnDataDisk ? ['  warning: it is on the same disk as DATA_DIR, so it does not protect against disk failure'] : [])
  ].join('\n')
}
