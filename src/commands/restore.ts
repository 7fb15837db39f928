import { join, resolve } from 'node:path'
import { briefOf } from '../backup/manifest.ts'
import { restoreInto } from '../backup/restore-into.ts'
import { restoreBackup } from '../backup/restore.ts'
import { findSnapshot, isSnapshotOrTime, readSnapshot } from '../backup/snapshots.ts'
import { readConfig, type Config } from '../config.ts'
import { isDataFolderAlone, usesDataFolder } from '../data-folder/data-folder.ts'
import {
  FLAG, folderApartFrom, linesOf, onlyFolder, print, readArguments, secondsSince, UsageError, VALUE
} from './command.ts'
import { restoreFilesOf } from './restore-files.ts'
import { recordStoreAct, warnOfLostRecord } from './store.ts'
import { createProgress } from './terminal.ts'

export const help = `\
magicstore restore FOLDER: restore the backup in FOLDER into the empty store that the settings name.

  --at SNAPSHOT   a snapshot by its name, as magicstore backup FOLDER --list prints it, or the newest one at or before a
                  time such as 2026-11-28T22:00:00Z. Default: the newest
  --discard       delete what a restore that was interrupted left, and begin anew
  --json          one JSON object

  DATA_DIR must be empty or not exist, and the database of DATABASE_URL one that no server has used. Every file is
  compared with its digest in the backup. Run it as the user of the server. If it is interrupted, no server starts on
  the store: run it again, and it continues.

magicstore restore FOLDER --user NAME: restore the files of one account, and leave everything else as it is.

  --file NAME     only the file of this name, such as reports/2026/q1.pdf, or the files in the folder of this name
  --to FOLDER     write them to a folder that is empty or does not exist, each into its folder there
  --as NAME       put them into the account of this name, although it is another one than in the backup
  --at, --json    as above

  Without --to they are put back into the store that the settings name, with or without a running server, as if their
  owner uploaded them: the quota counts, oldest versions and trash go if the space is needed, and what is replaced is
  kept as a version; if KEEP_DAYS or KEEP_VERSIONS is 0, nothing is replaced. Files with the same bytes stay as they
  are.

Exit code: 0 if everything was restored; 1 if the backup is damaged or of a newer version, if DATA_DIR is not empty, if
there is no such snapshot, account or file, if a file could not be restored, or if a service can't be reached; 2 if a
setting is wrong or the database is in use. A restore that failed added no account, and can be repeated.`

const options = {
  at: VALUE,
  discard: FLAG,
  user: VALUE,
  file: VALUE,
  to: VALUE,
  as: VALUE
} as const

type RestoreValues = ReturnType<typeof readArguments<typeof options>>['values']

/** Restores a backup, or files of one account, and prints what was restored. */
export async function run (args: string[]): Promise<void> {
  const { values, positionals } = readArguments(args, options)
  checkOptions(values)
  const config = readConfig()
  const data = { name: 'DATA_DIR', path: config.dataDir }
  const folder = await folderApartFrom(onlyFolder('restore', positionals), data)
  const start = performance.now()
  const { user, to } = values
  if (user === undefined) {
    const restored = await restoreStore(config, folder, values)
    return print(values, { ...restored, seconds: secondsSince(start) }, textOf)
  }
  if (to !== undefined) {
    await folderApartFrom(to, data)
    await folderApartFrom(to, { name: 'the backup', path: folder })
  }
  const target = to === undefined ? undefined : resolve(to)
  const restored = await restoreFilesOf(config, { ...values, folder, user, to: target })
  print(values, { ...restored, seconds: secondsSince(start) }, textOfFiles)
  if (restored.failed.length > 0) process.exitCode = 1
}

function checkOptions ({ at, discard, user, file, to, as }: RestoreValues): void {
  if (user === undefined && (file ?? to ?? as) !== undefined) throw new UsageError('--file, --to and --as need --user')
  if (user !== undefined && discard) {
    throw new UsageError('--discard is for a whole store, and --user for files of one account')
  }
  if (to !== undefined && as !== undefined) throw new UsageError('--to restores to a folder, and --as into an account')
  if (at === undefined || isSnapshotOrTime(at)) return
  throw new UsageError(`--at must be a snapshot or a time such as 2026-11-28T22:00:00Z, not ${JSON.stringify(at)}`)
}

async function restoreStore (config: Config, folder: string, { at, discard: isDiscarding }: RestoreValues) {
  const { dataDir } = config
  const progress = createProgress()
  const backup = await findSnapshot(folder, at)
  const request = { folder, backup, isDiscarding, onProgress: progress.count('restored') }
  const restoring = isDataFolderAlone(config) ? restoreBackup(dataDir, request) : restoreInto(config, request)
  await restoring.finally(progress.clear)
  const { snapshot, createdAt, files, bytes } = backup
  const details = { folder, snapshot, createdAt, files, bytes }
  await recordStoreAct(config, { kind: 'store_restored', details }).catch(warnOfLostRecord)
  const { recoveryCodes, missingSealingKeys, links, identities } = await readSnapshot(join(folder, snapshot))
  const isSet = (kid: string) => config.sealingKeys?.some(key => key.kid === kid) === true
  return {
    folder: usesDataFolder(config) ? dataDir : 'the database and the bucket of the settings',
    ...briefOf(backup),
    recoveryCodes,
    missingSealingKeys: missingSealingKeys.filter(kid => !isSet(kid)),
    links,
    identities
  }
}

function textOf (report: Awaited<ReturnType<typeof restoreStore>> & { seconds: number }): string {
  const { folder, createdAt, accounts, files, bytes, hasSigningKeys, missingSealingKeys, ...counts } = report
  const content = `${files} files of ${accounts} accounts, ${bytes} bytes, with versions and trash`
  return linesOf(
    `restored ${content}, as of ${createdAt}, to ${folder} in ${report.seconds} s`,
    !hasSigningKeys &&
      '  the backup has no signing keys: set SIGNING_KEYS as before, or all access tokens become invalid',
    missingSealingKeys.length > 0 &&
      '  the backup lacks sealing keys: set SEALING_KEYS as before, or one-time codes stop working',
    counts.recoveryCodes > 0 &&
      '  recovery codes that were used after the backup can be used again: their owners should make new ones',
    counts.links > 0 && '  links that were revoked after the backup work again: their owners should revoke them again',
    counts.identities > 0 &&
      '  identities that were removed after the backup sign in again: their owners should remove them again'
  )
}

function textOfFiles (report: Awaited<ReturnType<typeof restoreFilesOf>> & { seconds: number }): string {
  const { user, snapshot, createdAt, folder = 'the store', restored, replaced, unchanged, bytes, failed } = report
  return linesOf(
    `restored files of ${user} as of ${createdAt}, from ${snapshot}, to ${folder} in ${report.seconds} s`,
    `  ${restored} restored, ${replaced} replaced, ${unchanged} unchanged, ${failed.length} failed, ${bytes} bytes`,
    ...failed.map(({ name, reason }) => `  failed: ${JSON.stringify(name)}: ${reason}`)
  )
}
