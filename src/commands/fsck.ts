import { checkIntegrity, repair, type Inconsistency } from '../fsck/fsck.ts'
import { FLAG, print, readOptions } from './command.ts'
import { readStoreConfig, recordAct, withStore } from './store.ts'
import { createProgress } from './terminal.ts'

export const help = `\
magicstore fsck: check that the database and the stored bytes match, with or without a running server.

  --deep     read every byte and compare the SHA-256, not only the size
  --repair   move blobs that belong to nothing to quarantine, in DATA_DIR or the bucket, keep the bytes of files that
             were about to be deleted, and recompute the usage of accounts, the order of names and the counts of the
             trash; deletes nothing
  --json     one JSON object per error and line: kind, isRepaired, and what it is about: content, blobId, ownerId and
             name of a file, accountId, or detail

  It checks files, folders, versions and trash with its counts, and the order in which names are listed.

Exit code: 0 if there are no errors, or all were repaired; 1 otherwise.`

/** Prints the errors found and sets the exit code. */
export async function run (args: string[]): Promise<void> {
  const values = readOptions(args, { deep: FLAG, repair: FLAG })
  const progress = createProgress('blobs')
  let errors = 0
  let repaired = 0
  await withStore(await readStoreConfig(), async store => {
    progress.show('checking the database')
    for await (const found of checkIntegrity(store, {
      isDeep: values.deep,
      onLook: progress.count('checked'),
      onSearch: progress.count('searched for orphans')
    })) {
      const isRepaired = values.repair && await repair(store, found)
      progress.clear()
      print<Result>(values, { ...found, isRepaired }, textOf)
      errors++
      if (isRepaired) repaired++
      progress.show(`${errors} errors, ${repaired} repaired`)
    }
    if (repaired > 0) await recordAct(store, { kind: 'store_repaired', details: { errors, repaired } })
  }).finally(progress.clear)
  if (!values.json) console.log(errors === 0 ? 'all is well' : `${errors} errors, ${repaired} repaired`)
  if (errors > repaired) process.exitCode = 1
}

type Result = Inconsistency & { readonly isRepaired: boolean }

function textOf ({ kind, isRepaired, ...properties }: Result): string {
  const details = Object.entries(properties).map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(' ')
  return `${kind}: ${details}${isRepaired ? ' (repaired)' : ''}`
}
