/**
 * Compares the speed of MagicStore with Node, argon2, and nginx and PocketBase if installed, in the same run: npm run
 * bench [-- --brief] [-- --only=WORD] Prints a table of medians over rounds. Without `--brief` it also writes
 * results.json beside this file, and the table and a chart into openapi/benchmarks.md and openapi/benchmarks.svg.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MIB } from '../kit/sizes.ts'
import { compareIdle, compareMemory, compareResource, compareSignIns, compareUnderSignIns, type Bench } from './cases.ts'
import { compareFactors } from './factors.ts'
import { compareFolders } from './folders.ts'
import { compareGrowth } from './growth.ts'
import { compareLinks } from './links.ts'
import { comparePocketBase } from './pocketbase.ts'
import { chartOf, rowOf, sectionOf, withResults, type Comparison } from './report.ts'
import { compareSearch } from './search.ts'
import { hasNginx, openWorkbench, startBaseline, startMagicStore, startNginx } from './servers.ts'
import { compareDeletes, compareSmall } from './small.ts'
import { compareSync } from './sync.ts'
import { compareAppends, compareDownloads, compareUploads } from './transfers.ts'
import { compareWebdav } from './webdav.ts'
import { compareZips } from './zips.ts'

const isBrief = process.argv.includes('--brief')
const only = process.argv.find(argument => argument.startsWith('--only='))?.slice('--only='.length) ?? ''
const scale = isBrief
  ? { rounds: 1, seconds: 1, bytes: 4 * MIB, hugeBytes: 4 * MIB, deletes: 400, many: 2000 }
  : { rounds: 5, seconds: 3, bytes: 256 * MIB, hugeBytes: 1024 * MIB, deletes: 10_000, many: 1_000_000 }

const workbench = await openWorkbench()
const folder = join(workbench.folder, 'baselines')
await mkdir(folder)
const user = 'bench:correct horse battery'
const ours = await startMagicStore(join(workbench.folder, 'magicstore'))
const servers = [ours, await startBaseline('http', folder), await startBaseline('fastify', folder), await startBaseline('files', folder), ...(hasNginx ? [await startNginx(folder)] : [])] as const
const [, http, fastify, files, nginx] = servers
const comparisons: Comparison[] = []
try {
  const [username, password] = user.split(':')
  await fetch(`http://127.0.0.1:${ours.port}/api/users`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username, password }) })
  const bench = { ...scale, ours, http, fastify, files, nginx, folder, user } as Bench
  // Memory is measured first, before other cases increase it.
  const cases = {
    memory: compareMemory,
    idle: compareIdle,
    resource: compareResource,
    signins: compareSignIns,
    beside: compareUnderSignIns,
    small: compareSmall,
    deletes: compareDeletes,
    downloads: compareDownloads,
    zips: compareZips,
    uploads: compareUploads,
    appends: compareAppends,
    pocketbase: comparePocketBase,
    growth: () => compareGrowth({ ...scale, folder: workbench.folder }),
    folders: () => compareFolders({ ...scale, folder: workbench.folder }),
    webdav: () => compareWebdav({ ...scale, folder: workbench.folder }),
    factors: () => compareFactors({ ...scale, folder: workbench.folder }),
    links: () => compareLinks({ ...scale, folder: workbench.folder }),
    search: () => compareSearch({ ...scale, folder: workbench.folder }),
    sync: () => compareSync({ ...scale, folder: workbench.folder })
  }
  for (const [name, compare] of Object.entries(cases)) {
    if (!name.startsWith(only)) continue
    for (const comparison of await compare(bench)) {
      comparisons.push(comparison)
      console.error(`${rowOf(comparison).ratio} (${rowOf(comparison).spread})  ${comparison.work} / ${comparison.against}`)
    }
  }
} finally {
  for (const server of servers) await server.stop()
  await workbench.close()
}

const rows = comparisons.map(rowOf)
const result = { node: process.version, cores: cpus().length, rounds: scale.rounds, rows }
console.log(sectionOf(result))
if (!isBrief && only === '') {
  const beside = (name: string) => fileURLToPath(new URL(name, import.meta.url))
  const page = beside('../../openapi/benchmarks.md')
  await writeFile(beside('results.json'), `${JSON.stringify(result, null, 2)}\n`)
  await writeFile(beside('../../openapi/benchmarks.svg'), chartOf(comparisons))
  await writeFile(page, withResults(await readFile(page, 'utf8'), sectionOf(result)))
}
