import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'
import { basename } from 'node:path'

// Loaded into the tests and the bin. With COVERAGE=1 it measures dist/ and, when the process exits, writes the result
// for `tap report`, which maps it to the source; not where that looks, because each run of tap begins by emptying it.
// NODE_V8_COVERAGE would also measure all packages: 4 MB per process, 6 GB in all. Plain JavaScript, because the bin is
// started without a loader.

const built = new URL('../dist/', import.meta.url).href
const folder = new URL('../.tap/v8/', import.meta.url)

if (process.env.COVERAGE === '1') {
  // The bin is told by its test; `npm run mutants` runs the test files that touch a line.
  process.env.TEST_FILE ??= basename(process.argv[1] ?? '')
  const name = `${process.env.TEST_FILE}~${randomUUID()}.json`
  const session = new Session()
  session.connect()
  session.post('Profiler.enable')
  session.post('Profiler.startPreciseCoverage', { callCount: false, detailed: true })
  const write = () => session.post('Profiler.takePreciseCoverage', (error, coverage) => {
    if (error) throw error
    mkdirSync(folder, { recursive: true })
    const result = coverage.result.filter(({ url }) => url.startsWith(built))
    writeFileSync(new URL(name, folder), JSON.stringify({ result }))
  })
  process.on('exit', write)
  // Stays the last listener, so that what the others do counts too.
  process.on('newListener', (event, listener) => {
    if (event === 'exit' && listener !== write) queueMicrotask(() => process.off('exit', write).on('exit', write))
  })
}
