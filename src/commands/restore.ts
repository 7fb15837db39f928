import { parseArgs } from 'node:util'
import { usesDataFolder } from '../backends/backends.ts'
import { openRestoreTarget, restoreTools } from '../backends/transfer.ts'
import { readManifest, type BackupSummary } from '../backup/manifest.ts'
import { restoreInto, type RestoreIntoOptions } from '../backup/restore-into.ts'
import { restoreBackup } from '../backup/restore.ts'
import { readConfig, type Config } from '../config.ts'
import { folderArgument } from './command.ts'
import { createProgress } from './terminal.ts'

export const help = `magicstore restore FOLDER: restore the backup in FOLDER into the empty store that the settings name.

  --json     one JSON object

  DATA_DIR must be empty or not exist, and the database of DATABASE_URL one that no server has used. Every file is compared with
  its digest in the backup. Run it as the user of the server.

Exit code: 0 if everything was restored; 1 if the backup is damaged or of a newer version, if DATA_DIR is not empty, or if a
service can't be reached; 2 if a setting is wrong or the database is in use. A restore that failed added no account, and can be repeated.`

/** Restores a backup and prints what was in it. */
export async function run (args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args, options: { json: { type: 'boolean', default: false } }, allowPositionals: true })
  const config = readConfig()
  const { dataDir: target } = config
  const folder = await folderArgument('restore', positionals, target)
  const start = performance.now()
  const progress = createProgress()
  const backup = await readManifest(folder)
  const options = { folder, backup, onProgress: (done: number, total: number) => progress.show('restored', done, total) }
  await (isDataFolderAlone(config)
    ? restoreBackup({ ...options, target, tools: restoreTools })
    : restoreElsewhere(config, options)).finally(progress.clear)
  const { createdAt, accounts, files, bytes, hasSigningKeys } = backup
  const seconds = Math.round(performance.now() - start) / 1000
  const place = usesDataFolder(config) ? target : 'the database and the bucket of the settings'
  const report = { folder: place, createdAt, accounts, files, bytes, hasSigningKeys, seconds }
  console.log(values.json ? JSON.stringify(report) : textOf(report))
}

/** Into a database server or a bucket. */
async function restoreElsewhere (config: Config, options: Pick<RestoreIntoOptions, 'folder' | 'backup' | 'onProgress'>): Promise<void> {
  const target = await openRestoreTarget(config, options.backup.installationId)
  await restoreInto({ ...options, target, openSnapshot: restoreTools.openSnapshot }).finally(() => target.close())
}

function isDataFolderAlone ({ databaseUrl, storageUrl }: Config): boolean {
  return databaseUrl === undefined && storageUrl === undefined
}

interface Report extends Pick<BackupSummary, 'createdAt' | 'accounts' | 'files' | 'bytes' | 'hasSigningKeys'> {
  readonly folder: string
  readonly seconds: number
}

function textOf ({ folder, createdAt, accounts, files, bytes, hasSigningKeys, seconds }: Report): string {
  return [
    `restored ${files} files of ${accounts} accounts, ${bytes} bytes, with versions and trash, as of ${createdAt}, to ${folder} in ${seconds} s`,
    ...(hasSigningKeys ? [] : ['  the backup has no signing keys: set SIGNING_KEYS as before, or all access tokens become invalid'])
  ].join('\n')
}
