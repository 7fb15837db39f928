import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'

// Plain JavaScript, because it is loaded into the bin: `node --import ./test/coverage.js build/main.js`. Measures the coverage of
// `build/`, and writes it as that of `src/` where tap looks for it when the process exits. NODE_V8_COVERAGE covers all
// packages: it writes 2 MB per process, and the report reads all of it at once.

const built = new URL('../build/', import.meta.url).href
const source = new URL('../src/', import.meta.url).href
const folder = new URL('../.tap/coverage/', import.meta.url)

const session = new Session()
session.connect()
session.post('Profiler.enable')
session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })

const { emit } = process
// After all that listens to the exit, for that is counted as well.
process.emit = /** @type {typeof emit} */ function (/** @type {string} */ event, /** @type {unknown[]} */ ...args) {
  const result = Reflect.apply(emit, process, [event, ...args])
  if (event === 'exit') writeCoverage()
  return result
}

function writeCoverage () {
  session.post('Profiler.takePreciseCoverage', (error, coverage) => {
    if (error) throw error
    mkdirSync(folder, { recursive: true })
    const result = coverage.result.filter(({ url }) => url.startsWith(built)).map(script => ({ ...script, url: script.url.replace(built, source).replace(/js$/, 'ts') }))
    writeFileSync(new URL(`${randomUUID()}.json`, folder), JSON.stringify({ result }))
  })
}
