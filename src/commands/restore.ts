import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { usesDataFolder } from '../backends/backends.ts'
import { openRestoreTarget } from '../backends/restore-target.ts'
import { restoreTools } from '../backends/transfer.ts'
import type { BackupSummary } from '../backup/manifest.ts'
import { restoreInto, type RestoreIntoOptions } from '../backup/restore-into.ts'
import { restoreBackup } from '../backup/restore.ts'
import { findSecondFactors, type SecondFactors } from '../backup/second-factors.ts'
import { countLinks, findSnapshot, isSnapshotOrTime } from '../backup/snapshots.ts'
import { readConfig, type Config } from '../config.ts'
import { recordStoreAct, warnOfLostRecord } from './acts.ts'
import { folderApartFrom, folderArgument, UsageError } from './command.ts'
import { restoreFilesOf, type RestoredFiles } from './restore-files.ts'
import { createProgress } from './terminal.ts'

export const help = `magicstore restore FOLDER: restore the backup in FOLDER into the empty store that the settings name.

  --at SNAPSHOT   a snapshot by its name, as magicstore backup FOLDER --list prints it, or the newest one at or before a
                  time such as 2026-11-28T22:00:00Z. Default: the newest
  --discard       delete what a restore that was interrupted left, and begin anew
  --json          one JSON object

  DATA_DIR must be empty or not exist, and the database of DATABASE_URL one that no server has used. Every file is compared with
  its digest in the backup. Run it as the user of the server. If it is interrupted, no server starts on the store: run it again,
  and it continues.

magicstore restore FOLDER --user NAME: restore the files of one account, and leave everything else as it is.

  --file NAME     only the file of this name, such as reports/2026/q1.pdf, or the files in the folder of this name
  --to FOLDER     write them to a folder that is empty or does not exist, each into its folder there
  --as NAME       put them into the account of this name, although it is another one than in the backup
  --at, --json    as above

  Without --to they are put back into the store that the settings name, with or without a running server, as if their owner
  uploaded them: the quota counts, oldest versions and trash go if the space is needed, and what is replaced is kept as a version; if
  KEEP_DAYS or KEEP_VERSIONS is 0, nothing is replaced. Files with the same bytes stay as they are.

Exit code: 0 if everything was restored; 1 if the backup is damaged or of a newer version, if DATA_DIR is not empty, if there is no
such snapshot, account or file, if a file could not be restored, or if a service can't be reached; 2 if a setting is wrong or the
database is in use. A restore that failed added no account, and can be repeated.`

const options = {
  at: { type: 'string' },
  discard: { type: 'boolean', default: false },
  user: { type: 'string' },
  file: { type: 'string' },
  to: { type: 'string' },
  as: { type: 'string' },
  json: { type: 'boolean', default: false }
} as const

type Values = ReturnType<typeof parseArgs<{ options: typeof options }>>['values']

/** Restores a backup, or files of one account, and prints what was restored. */
export async function run (args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
  checkOptions(values)
  const config = readConfig()
  const folder = await folderArgument('restore', positionals, config.dataDir)
  const start = performance.now()
  const report = values.user === undefined
    ? await restoreStore(config, folder, values)
    : await restoreUser(config, folder, { ...values, user: values.user })
  const seconds = Math.round(performance.now() - start) / 1000
  console.log(values.json ? JSON.stringify({ ...report, seconds }) : 'failed' in report ? textOfFiles(report, seconds) : textOf(report, seconds))
  if ('failed' in report && report.failed.length > 0) process.exitCode = 1
}

function checkOptions ({ at, discard, user, file, to, as }: Values): void {
  if (user === undefined && (file ?? to ?? as) !== undefined) throw new UsageError('--file, --to and --as need --user')
  if (user !== undefined && discard) throw new UsageError('--discard is for a whole store, and --user for files of one account')
  if (to !== undefined && as !== undefined) throw new UsageError('--to restores to a folder, and --as into an account')
  if (at !== undefined && !isSnapshotOrTime(at)) throw new UsageError(`--at must be a snapshot or a time such as 2026-11-28T22:00:00Z, not ${JSON.stringify(at)}`)
}

async function restoreUser (
  config: Config, folder: string, { at, user, file, to, as }: Values & { user: string }
): Promise<RestoredFiles> {
  const target = to === undefined ? undefined : await folderApartFrom(to, { name: 'DATA_DIR', path: config.dataDir })
  if (target !== undefined) await folderApartFrom(target, { name: 'the backup', path: folder })
  return restoreFilesOf(config, { folder, at, user, file, to: target, as })
}

interface Report
  extends Pick<BackupSummary, 'snapshot' | 'createdAt' | 'accounts' | 'files' | 'bytes' | 'hasSigningKeys'>, SecondFactors {
  readonly folder: string
  readonly links: number
}

async function restoreStore (config: Config, folder: string, { at, discard: isDiscarding }: Values): Promise<Report> {
  const { dataDir: target } = config
  const progress = createProgress()
  const backup = await findSnapshot(folder, at)
  const options = { folder, backup, onProgress: (done: number, total: number) => progress.show('restored', done, total) }
  await (isDataFolderAlone(config)
    ? restoreBackup({ ...options, target, tools: restoreTools, isDiscarding })
    : restoreElsewhere(config, { ...options, isDiscarding })).finally(progress.clear)
  const { snapshot, createdAt, accounts, files, bytes, hasSigningKeys } = backup
  const details = { folder, snapshot, createdAt, files, bytes }
  await recordStoreAct(config, { kind: 'store_restored', details }).catch(warnOfLostRecord)
  const place = usesDataFolder(config) ? target : 'the database and the bucket of the settings'
  const factors = await findSecondFactors(join(folder, snapshot), restoreTools.openSnapshot)
  const isSet = (kid: string) => config.sealingKeys?.some(key => key.kid === kid) === true
  const missingSealingKeys = factors.missingSealingKeys.filter(kid => !isSet(kid))
  const content = { snapshot, createdAt, accounts, files, bytes, hasSigningKeys }
  const links = countLinks(join(folder, snapshot), restoreTools.openSnapshot)
  return { folder: place, ...content, ...factors, missingSealingKeys, links }
}

/** Into a database server or a bucket. */
async function restoreElsewhere (
  config: Config,
  { isDiscarding, ...options }: Pick<RestoreIntoOptions, 'folder' | 'backup' | 'onProgress'> & { isDiscarding: boolean }
): Promise<void> {
  const target = await openRestoreTarget(config, { ...options.backup, isDiscarding })
  await restoreInto({ ...options, target, openSnapshot: restoreTools.openSnapshot }).finally(() => target.close())
}

function isDataFolderAlone ({ databaseUrl, storageUrl }: Config): boolean {
  return databaseUrl === undefined && storageUrl === undefined
}

function textOf (report: Report, seconds: number): string {
  const { folder, createdAt, accounts, files, bytes, hasSigningKeys, recoveryCodes, missingSealingKeys, links } = report
  return [
    `restored ${files} files of ${accounts} accounts, ${bytes} bytes, with versions and trash, as of ${createdAt}, to ${folder} in ${seconds} s`,
    ...(hasSigningKeys ? [] : ['  the backup has no signing keys: set SIGNING_KEYS as before, or all access tokens become invalid']),
    ...(missingSealingKeys.length > 0 ? ['  the backup lacks sealing keys: set SEALING_KEYS as before, or one-time codes stop working'] : []),
    ...(recoveryCodes === 0 ? [] : ['  recovery codes that were used after the backup can be used again: their owners should make new ones']),
    ...(links === 0 ? [] : ['  links that were revoked after the backup work again: their owners should revoke them again'])
  ].join('\n')
}

function textOfFiles (report: RestoredFiles, seconds: number): string {
  const { user, snapshot, createdAt, folder, restored, replaced, unchanged, bytes, failed } = report
  return [
    `restored files of ${user} as of ${createdAt}, from ${snapshot}, to ${folder ?? 'the store'} in ${seconds} s`,
    `  ${restored} restored, ${replaced} replaced, ${unchanged} unchanged, ${failed.length} failed, ${bytes} bytes`,
    ...failed.map(({ name, reason }) => `  failed: ${JSON.stringify(name)}: ${reason}`)
  ].join('\n')
}
