import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'

// Plain JavaScript, because it is also loaded into the bin: `node --import ./test/coverage.js build/main.js`. Measures the coverage of
// `src/`, to which `build/` belongs, and writes it where `tap report` looks for it when the process exits. tap's own measurement and
// NODE_V8_COVERAGE cover all packages: they take 2 s of CPU and write 2 MB per process.

const source = new URL('../src/', import.meta.url).href
const built = new URL('../build/', import.meta.url).href
const folder = new URL('../.tap/coverage/', import.meta.url)

const session = new Session()
session.connect()
session.post('Profiler.enable')
session.post('Profiler.startPreciseCoverage', { callCount: false, detailed: true })

process.on('exit', writeCoverage)
const { emit } = process
// Once more after all that listens to the exit, which counts as well. In the tests tap puts its own function in this one's place.
process.emit = /** @type {typeof emit} */ function (/** @type {string} */ event, /** @type {unknown[]} */ ...args) {
  const result = Reflect.apply(emit, process, [event, ...args])
  if (event === 'exit') writeCoverage()
  return result
}

/** What was covered since the call before. */
function writeCoverage () {
  session.post('Profiler.takePreciseCoverage', (error, coverage) => {
    if (error) throw error
    const result = coverage.result.map(script => ({ ...script, url: sourceOf(script.url) })).filter(({ url }) => url.startsWith(source))
    mkdirSync(folder, { recursive: true })
    writeFileSync(new URL(`${randomUUID()}.json`, folder), JSON.stringify({ result }))
  })
}

/** @param {string} url */
function sourceOf (url) {
  return url.startsWith(built) ? url.replace(built, source).replace(/js$/, 'ts') : url
}
