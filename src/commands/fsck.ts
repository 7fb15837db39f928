import { parseArgs } from 'node:util'
import { requireDatabase } from '../blobs/disk/data-folder.ts'
import { readConfig } from '../config.ts'
import { checkIntegrity, repair, type Finding } from '../files/integrity-check.ts'
import { openOperatorStore } from '../store.ts'
import { createProgress } from './terminal.ts'

export const help = `magicstore fsck: hold the database against the stored bytes, in both directions, beside a running server or without one.

  --deep     read every byte and compare its SHA-256, not only sizes
  --repair   move bytes that belong to no file into DATA_DIR/quarantine and sum quotas again; nothing is destroyed
  --json     one JSON object a line

Exit code: 0 where all is well or was repaired, 1 where something is not.`

/** Prints what is found and sets the exit code. */
export async function run (args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: { deep: { type: 'boolean', default: false }, repair: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } } })
  const config = readConfig()
  await requireDatabase(config.dataDir)
  const store = await openOperatorStore(config)
  const print = values.json ? printJson : printText
  const progress = createProgress()
  let count = 0
  let left = 0
  try {
    for await (const finding of checkIntegrity(store, { isDeep: values.deep, onLook: done => progress.show('looked at', done) })) {
      const isRepaired = values.repair && await repair(store, finding)
      progress.clear()
      print(finding, isRepaired)
      count++
      if (!isRepaired) left++
    }
  } finally {
    progress.clear()
    await store.close()
  }
  if (!values.json) console.log(count === 0 ? 'all is well' : `${count} found, ${count - left} repaired`)
  if (left > 0) process.exitCode = 1
}

function printJson (finding: Finding, isRepaired: boolean): void {
  console.log(JSON.stringify({ ...finding, isRepaired }))
}

function printText (finding: Finding, isRepaired: boolean): void {
  const { kind, ...facts } = finding
  const details = Object.entries(facts).map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(' ')
  console.log(`${kind}: ${details}${isRepaired ? ' (repaired)' : ''}`)
}
