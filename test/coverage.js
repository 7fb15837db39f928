import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'

// Plain JavaScript, for it is loaded into the compiled bin: `node --import ./test/coverage.js build/main.js`.
// Counts what of `build/` a process runs, and leaves it at its end where tap looks for coverage. Node's own NODE_V8_COVERAGE
// writes 2 MB of each process, because it counts all packages, and the report reads them all at once.

const counted = new URL('../build/', import.meta.url).href
const folder = new URL('../.tap/coverage/', import.meta.url)

const session = new Session()
session.connect()
session.post('Profiler.enable')
session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })

process.once('exit', () => {
  session.post('Profiler.takePreciseCoverage', (error, coverage) => {
    if (error) throw error
    mkdirSync(folder, { recursive: true })
    writeFileSync(new URL(`${randomUUID()}.json`, folder), JSON.stringify({ result: coverage.result.filter(({ url }) => url.startsWith(counted)) }))
  })
})
