import { readConfig, type Config } from '../config.ts'
import { runChecks, type CheckResult } from '../doctor/doctor.ts'
import { print, readOptions } from './command.ts'
import { createProgress } from './terminal.ts'

export const help = `magicstore doctor: check everything the server depends on, and say how to fix what is wrong.

  --json     one JSON object per line and check: check, verdict (good, warning or fault), message, and remedy unless it
             is good

  Checks settings, permissions, free space, clock, proxy, ports, database and bucket, with or without a running server.
  Changes nothing; only in a bucket it writes an object and deletes it. Run it as the user of the server, with the same
  settings. If no server is running, it copies the database to the folder for temporary files and checks the copy.

Exit code: 0 if there is no fault, 1 if there is, 2 if a setting is invalid.`

/** Prints the result of every check and sets the exit code. */
export async function run (args: string[]): Promise<void> {
  const values = readOptions(args, {})
  await diagnose(readConfig(), values)
}

/** The same for a command that goes on. Returns the number of faults. */
export async function diagnose (config: Config, values: { readonly json: boolean }): Promise<number> {
  const progress = createProgress('checks')
  const counts = { good: 0, warning: 0, fault: 0 }
  try {
    for await (const result of runChecks(config, {
      nodeVersion: process.version,
      userId: Number(process.geteuid?.()),
      onProgress: progress.count('done')
    })) {
      progress.clear()
      print(values, result, textOf)
      counts[result.verdict]++
    }
  } finally {
    progress.clear()
  }
  if (!values.json) console.log(`faults: ${counts.fault}, warnings: ${counts.warning}, good: ${counts.good}`)
  if (counts.fault > 0) process.exitCode = 1
  return counts.fault
}

function textOf ({ check, verdict, message, remedy }: CheckResult): string {
  const line = `${verdict.padEnd('warning'.length)}  ${check}: ${message}`
  return remedy === undefined ? line : `${line}\n         fix: ${remedy}`
}
