import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createBackup, prepareBackupFolder, type DraftBackup } from '../backup/backup.ts'
import { BackupError, backupLayout, readManifest } from '../backup/manifest.ts'
import { fillDataFolder, linkVerified } from '../backup/restore.ts'
import { deviceOf, requireDatabase } from '../blobs/disk/data-folder.ts'
import { readConfig, type Config } from '../config.ts'
import { checkIntegrity, type Finding } from '../files/integrity-check.ts'
import { lockBackupFolder, openBackupSource, openOperatorStore, restoreTools } from '../store.ts'
import { folderArgument } from './command.ts'
import { createProgress, type Progress } from './terminal.ts'

export const help = `magicstore backup FOLDER: make a backup of DATA_DIR, beside a running server or without one.

  --prove    restore it into a scratch folder in FOLDER, read every byte, run fsck --deep there, and only then call it good
  --json     one JSON object

  FOLDER is outside DATA_DIR, and new, empty or one with an earlier backup of the same installation: what that has already is
  not copied again, and it stays good until the new one is whole. Files are hard links where the file system allows, which
  guards against mistakes; only a folder on another disk guards against the loss of the disk.
  The backup holds the signing keys of DATA_DIR (not those of SIGNING_KEYS) and everybody's files: keep it as safe as those.

Exit code: 0 where the backup is good, 1 where it could not be made or proven; the one before is good then.`

/** Makes a backup and says what is in it. */
export async function run (args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args, options: { prove: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } }, allowPositionals: true })
  const config = readConfig()
  const folder = await folderArgument('backup', positionals, config.dataDir)
  await requireDatabase(config.dataDir)
  const start = performance.now()
  const progress = createProgress()
  const result = await makeBackup(config, folder, { isProven: values.prove, progress }).finally(progress.clear)
  const report = { ...result, seconds: Math.round(performance.now() - start) / 1000 }
  console.log(values.json ? JSON.stringify(report) : textOf(report))
}

async function makeBackup (config: Config, folder: string, { isProven, progress }: { isProven: boolean, progress: Progress }) {
  const source = await openBackupSource(config)
  let lock
  let draft: DraftBackup | undefined
  try {
    await prepareBackupFolder(folder, source.installationId)
    lock = lockBackupFolder(join(folder, backupLayout.lock))
    draft = await createBackup({ source, folder, onProgress: (done, total) => progress.show('backup', done, total) })
    // What is proven is the backup alone: from here on the server may remove what it likes.
    await source.close()
    if (isProven) await prove(folder, progress)
    const removed = await draft.commit()
    const { createdAt, accounts, files, bytes, hasSigningKeys } = draft.facts
    const isOnDataDisk = await deviceOf(folder) === await deviceOf(config.dataDir)
    return { folder, createdAt, accounts, files, bytes, ...draft.counts, removed, hasSigningKeys, isProven, isOnDataDisk }
  } finally {
    await draft?.close()
    lock?.close()
    await source.close()
  }
}

/** Does with the draft what an operator would do in need. @throws {BackupError} where it would not help. */
async function prove (folder: string, progress: Progress): Promise<void> {
  const scratch = join(folder, backupLayout.scratch)
  await rm(scratch, { recursive: true, force: true })
  try {
    const backup = await readManifest(folder, backupLayout.draft)
    await fillDataFolder({ folder, backup, target: scratch, place: linkVerified, openSnapshot: restoreTools.openSnapshot, onProgress: (done, total) => progress.show('restored for proof', done, total) })
    const store = await openOperatorStore(readConfig({ DATA_DIR: scratch }))
    try {
      const findings: Finding[] = []
      for await (const finding of checkIntegrity(store, { isDeep: true, onLook: done => progress.show('proven', done, backup.files) })) findings.push(finding)
      if (findings.length > 0) throw new BackupError(`the backup is not good, and the one before stays: in what was restored fsck --deep finds ${findings.length} faults, the first is ${JSON.stringify(findings[0])}`)
    } finally {
      await store.close()
    }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

function textOf ({ folder, createdAt, accounts, files, bytes, linked, copied, kept, removed, hasSigningKeys, isProven, isOnDataDisk, seconds }: Awaited<ReturnType<typeof makeBackup>> & { seconds: number }): string {
  return [
    `${folder} holds ${files} files of ${accounts} people, ${bytes} bytes, as of ${createdAt}`,
    `  ${linked} linked, ${copied} copied, ${kept} there already, ${removed} removed, in ${seconds} s`,
    hasSigningKeys ? '  with the signing keys: keep it as safe as DATA_DIR' : '  without signing keys: those in SIGNING_KEYS are yours to keep',
    ...(isProven ? ['  proven: restored, every byte read, fsck --deep found nothing'] : []),
    ...(isOnDataDisk ? ['  warning: it is on the disk of DATA_DIR; it guards against mistakes, not against the loss of that disk'] : [])
  ].join('\n')
}
