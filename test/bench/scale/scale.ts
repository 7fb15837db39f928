/**
 * Measures servers on PostgreSQL, which syncs each commit, and on the S3 server of the tests, both in processes of
 * their own: npm run bench -- --scale [--brief] [--only=WORD] Prints a table of medians over rounds. Without `--brief`
 * and `--only` it also writes results.json beside this file, and the table into src/deployment/scaling.md.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { root } from '../../kit/root.ts'
import { MIB } from '../../kit/sizes.ts'
import { rowOf, sectionOf, withResults, type Comparison } from '../report.ts'
import { openWorkbench } from '../servers.ts'
import { compareObjects, compareUploadMemory } from './objects.ts'
import { compareProcesses, compareResource, compareSmallUploads, compareStarts } from './requests.ts'
import { openServices, type AppServices } from './services.ts'
import { compareListings, compareOperations, compareSweep } from './walls.ts'

export interface Scale {
  readonly services: AppServices
  readonly rounds: number
  readonly seconds: number
  /** Size of a large transfer. */
  readonly bytes: number
  /** Size of a transfer in the memory case. */
  readonly hugeBytes: number
  /** Acts on metadata in one round. */
  readonly operations: number
  /** Files in the large listing. */
  readonly many: number
  /** Objects in one sweep. */
  readonly swept: number
}

const isBrief = process.argv.includes('--brief')
const only = process.argv.find(argument => argument.startsWith('--only='))?.slice('--only='.length) ?? ''
const sizes = isBrief
  ? { rounds: 1, seconds: 1, bytes: 16 * MIB, hugeBytes: 16 * MIB, operations: 200, many: 2000, swept: 500 }
  : { rounds: 3, seconds: 2, bytes: 256 * MIB, hugeBytes: 1024 * MIB, operations: 2000, many: 1_000_000, swept: 2000 }

const workbench = await openWorkbench()
const services = await openServices(workbench.folder)
const comparisons: Comparison[] = []
try {
  // Large files come last: the disk is still busy with them when the next case begins.
  const cases = {
    starts: compareStarts,
    resource: compareResource,
    listings: compareListings,
    small: compareSmallUploads,
    processes: compareProcesses,
    operations: compareOperations,
    sweep: compareSweep,
    objects: compareObjects,
    memory: compareUploadMemory
  }
  for (const [name, compare] of Object.entries(cases)) {
    if (!name.startsWith(only)) continue
    for (const comparison of await compare({ services, ...sizes })) {
      comparisons.push(comparison)
      const { ratio, spread, ours, baseline } = rowOf(comparison)
      console.error(`${ratio} (${spread})  ${comparison.work} / ${comparison.against}: ${ours} / ${baseline}`)
    }
  }
} finally {
  await services.close()
  await workbench.close()
}

const result = { node: process.version, cores: cpus().length, rounds: sizes.rounds, rows: comparisons.map(rowOf) }
console.log(sectionOf(result))
if (!isBrief && only === '') {
  const page = join(root, 'src/deployment/scaling.md')
  await writeFile(new URL('results.json', import.meta.url), `${JSON.stringify(result, null, 2)}\n`)
  await writeFile(page, withResults(await readFile(page, 'utf8'), sectionOf(result)))
}
