import { parseArgs } from 'node:util'
import { readConfig } from '../config.ts'
import { requireDatabase } from '../data-folder/data-folder.ts'
import { checkIntegrity, repair, type Finding } from '../fsck/fsck.ts'
import { openOperatorStore } from '../services.ts'
import { recordAct } from './acts.ts'
import { jsonOption, print } from './command.ts'
import { createProgress } from './terminal.ts'

export const help = `magicstore fsck: check that the database and the stored bytes match, with or without a running server.

  --deep     read every byte and compare the SHA-256, not only the size
  --repair   move blobs that belong to nothing to quarantine, in DATA_DIR or the bucket, keep the bytes of files that were about to be
             deleted, and recompute the usage of accounts; deletes nothing
  --json     one JSON object per error and line: kind, isRepaired, and what it is about: content, blobId, ownerId and name of a file,
             accountId, or detail

  It checks files, folders, versions and trash.

Exit code: 0 if there are no errors, or all were repaired; 1 otherwise.`

/** Prints the errors found and sets the exit code. */
export async function run (args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { ...jsonOption, deep: { type: 'boolean', default: false }, repair: { type: 'boolean', default: false } }
  })
  const config = readConfig()
  if (config.databaseUrl === undefined) await requireDatabase(config.dataDir)
  const store = await openOperatorStore(config)
  const progress = createProgress('blobs')
  let count = 0
  let remaining = 0
  try {
    progress.show('checking the database')
    for await (const finding of checkIntegrity(store, {
      isDeep: values.deep,
      onLook: done => progress.show('checked', done),
      onSearch: done => progress.show('searched for orphans', done)
    })) {
      const isRepaired = values.repair && await repair(store, finding)
      progress.clear()
      print<Result>(values, { ...finding, isRepaired }, textOf)
      count++
      if (!isRepaired) remaining++
      progress.show(`${count} errors, ${count - remaining} repaired`)
    }
    if (count > remaining) await recordAct(config, store.metadata, { kind: 'store_repaired', details: { errors: count, repaired: count - remaining } })
  } finally {
    progress.clear()
    await store.close()
  }
  if (!values.json) console.log(count === 0 ? 'all is well' : `${count} errors, ${count - remaining} repaired`)
  if (remaining > 0) process.exitCode = 1
}

type Result = Finding & { readonly isRepaired: boolean }

function textOf ({ kind, isRepaired, ...properties }: Result): string {
  const details = Object.entries(properties).map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(' ')
  return `${kind}: ${details}${isRepaired ? ' (repaired)' : ''}`
}
