import { parseArgs } from 'node:util'
import { readConfig } from '../config.ts'
import { examine, type Finding } from '../doctor/doctor.ts'
import { doctorTools } from '../store.ts'
import { createProgress } from './terminal.ts'

export const help = `magicstore doctor: look at what a server stands on, say what is wrong and how to mend it.

  --json     one JSON object a line, for each check: check, verdict (good, warning or fault), message and, where it is not good, remedy

  It looks at settings, permissions, free space, clock, proxy and database, beside a running server or without one, and
  changes nothing in DATA_DIR. Run it as the user of the server, with the settings of the server. Where no server runs it
  copies the database into the folder for temporary files, to look through the copy.

Exit code: 0 where there is no fault, 1 where there is, 2 where a setting can't be read.`

/** Prints what every check finds and sets the exit code. */
export async function run (args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: { json: { type: 'boolean', default: false } } })
  const config = readConfig()
  const progress = createProgress('checks')
  const counts = { good: 0, warning: 0, fault: 0 }
  try {
    for await (const finding of examine({ config, tools: doctorTools, nodeVersion: process.version, userId: Number(process.geteuid?.()), onLook: (done, total) => progress.show('done', done, total) })) {
      progress.clear()
      console.log(values.json ? JSON.stringify(finding) : textOf(finding))
      counts[finding.verdict]++
    }
  } finally {
    progress.clear()
  }
  if (!values.json) console.log(`faults: ${counts.fault}, warnings: ${counts.warning}, good: ${counts.good}`)
  if (counts.fault > 0) process.exitCode = 1
}

function textOf ({ check, verdict, message, remedy }: Finding): string {
  const line = `${verdict.padEnd('warning'.length)}  ${check}: ${message}`
  return remedy === undefined ? line : `${line}\n         to mend it: ${remedy}`
}
