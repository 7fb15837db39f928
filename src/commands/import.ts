import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { OperatorError } from '../problems.ts'
import { importTree, type ImportReport } from '../transfer/import-tree.ts'
import {
  folderApartFrom, linesOf, onlyFolder, print, readArguments, secondsSince, UsageError, VALUE
} from './command.ts'
import { readStoreConfig, recordAct, warnOfLostRecord, withStore } from './store.ts'
import { createProgress } from './terminal.ts'

export const help = `\
magicstore import FOLDER --user NAME: store all that is in a folder of this machine in an account, with or without a
running server.

  --to FOLDER   into this folder of the account, which is made if it does not exist. Default: its root
  --json        one JSON object: user, folder, imported, bytes, folders, unchanged, different, left, failed, seconds

  Files keep the times of their last change. Each is stored as if its owner had uploaded it, so that the quota counts,
  and is then read back and compared. Links and special files are left out and listed. A file that the account has with
  other bytes stays as it is, and is listed. FOLDER is only read. Run it as the user of the server. If it is
  interrupted, run it again: it goes on, and a run after the last one does nothing.

Exit code: 0 if the account has all files now; 1 if some have other bytes there, or could not be stored.`

/** Imports a folder and prints what was stored. */
export async function run (args: string[]): Promise<void> {
  const { values, positionals } = readArguments(args, { user: VALUE, to: VALUE })
  const given = onlyFolder('import', positionals)
  const { user, to = '' } = values
  if (user === undefined) throw new UsageError('import needs --user NAME; see magicstore import --help')
  const config = await readStoreConfig()
  const folder = await folderApartFrom(given, { name: 'DATA_DIR', path: config.dataDir })
  const isFolder = await stat(folder).then(found => found.isDirectory(), () => false)
  if (!isFolder) throw new OperatorError(`${resolve(given)} is no folder that can be read`)
  const start = performance.now()
  await withStore(config, async store => {
    const account = await store.accounts.getByUsername(user)
    const progress = createProgress()
    const path = to.replace(/^\/+|\/+$/g, '').normalize('NFC')
    const report = await importTree(store, { account, folder, to: path, onProgress: progress.count('imported') })
      .finally(progress.clear)
    const { imported, bytes, different, failed } = report
    const details = { folder, to: path, imported, bytes }
    await recordAct(store, { kind: 'files_imported', account, details }).catch(warnOfLostRecord)
    print(values, { user: account.username, folder, ...report, seconds: secondsSince(start) }, textOf)
    if (different.length + failed.length > 0) process.exitCode = 1
  })
}

function textOf (report: ImportReport & { user: string, folder: string, seconds: number }): string {
  const { user, folder, imported, bytes, folders, unchanged, different, left, failed, seconds } = report
  return linesOf(
    `imported ${folder} into the account ${user} in ${seconds} s`,
    `  ${imported} files and ${folders} folders stored, ${bytes} bytes; ${unchanged} files were there already`,
    ...different.map(path => `  kept as it is, with other bytes: ${JSON.stringify(path)}`),
    ...left.map(path => `  left out, neither a file nor a folder: ${JSON.stringify(path)}`),
    ...failed.map(({ path, reason }) => `  failed: ${JSON.stringify(path)}: ${reason}`)
  )
}
