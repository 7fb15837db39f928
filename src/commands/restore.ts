import { parseArgs } from 'node:util'
import { readManifest } from '../backup/manifest.ts'
import { restoreBackup } from '../backup/restore.ts'
import { readConfig } from '../config.ts'
import { restoreTools } from '../store.ts'
import { folderArgument } from './command.ts'
import { createProgress } from './terminal.ts'

export const help = `magicstore restore FOLDER: restore the backup in FOLDER into DATA_DIR, which is empty or new.

  --json     one JSON object

  Every byte is held against the digests of the backup. Run it as the user that the server runs as.

Exit code: 0 where all was restored; 1 where the backup is damaged or of a newer version, or DATA_DIR is not empty: it is then as it was.`

/** Restores a backup and says what was in it. */
export async function run (args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args, options: { json: { type: 'boolean', default: false } }, allowPositionals: true })
  const { dataDir: target } = readConfig()
  const folder = await folderArgument('restore', positionals, target)
  const start = performance.now()
  const progress = createProgress()
  const backup = await readManifest(folder)
  await restoreBackup({ folder, backup, target, tools: restoreTools, onProgress: (done, total) => progress.show('restored', done, total) }).finally(progress.clear)
  const { createdAt, accounts, files, bytes, hasSigningKeys } = backup
  const report = { folder: target, createdAt, accounts, files, bytes, hasSigningKeys, seconds: Math.round(performance.now() - start) / 1000 }
  console.log(values.json ? JSON.stringify(report) : textOf(report))
}

function textOf ({ folder, createdAt, accounts, files, bytes, hasSigningKeys, seconds }: { folder: string, createdAt: string, accounts: number, files: number, bytes: number, hasSigningKeys: boolean, seconds: number }): string {
  return [
    `${folder} holds ${files} files of ${accounts} people, ${bytes} bytes, as of ${createdAt}, in ${seconds} s`,
    ...(hasSigningKeys ? [] : ['  the backup has no signing keys: set SIGNING_KEYS as it was, or every access token ends'])
  ].join('\n')
}
