import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { basename, join, relative } from 'node:path'
import { createRandom, SEED } from '../kit/random.ts'
import { root } from '../kit/root.ts'
import { testsOf } from './coverage.ts'
import { faultsOf, type Fault } from './faults.ts'

// Plants faults in dist, one at a time, and tells which test finds each: `npm run mutants` after
// `rm -rf .tap && COVERAGE=1 npm test -- test/*.test.ts && COVERAGE=1 npm run checks`: each test file has its own
// coverage. COUNT (60) faults are drawn by SEED over all rooms of the server; FROM leaves out so many of them. A fault
// meets the test files whose coverage touches it, until one fails: those with its name first, then the cheapest.
// RING=proofs repeats them at full sizes. A run that is cut may leave a fault in dist.

const FIRST = Number(process.env.FROM ?? 0)
const COUNT = Number(process.env.COUNT ?? 60)

/** A fault may make a test wait for ever: a test file may take this long, and five times as long as it usually does. */
const TIMEOUT_SECONDS = 30
const TIMEOUT_FACTOR = 5

const dist = join(root, 'dist')
const random = createRandom('mutants')

interface Planted extends Fault { readonly path: string }

/** The compiled files of each room: of each folder in src, and of src itself. The page is one bundle. */
function filesByRoom (): Map<string, string[]> {
  const rooms = new Map<string, string[]>()
  for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const [first = '', ...rest] = relative(dist, path).split('/')
    const room = rest.length === 0 ? 'src' : first
    if (path.endsWith('.js') && room !== 'page') rooms.set(room, [...rooms.get(room) ?? [], path].sort())
  }
  return rooms
}

/** Rooms take turns; in a room each fault is as likely as any other. */
function draw (count: number): Planted[] {
  const rooms = [...filesByRoom()].sort(([a], [b]) => a < b ? -1 : 1)
    .map(([, paths]) => paths.flatMap(path => faultsOf(readFileSync(path, 'utf8')).map(fault => ({ ...fault, path }))))
    .filter(faults => faults.length > 0)
  return Array.from({ length: count }, (_, index) => random.pick(rooms[index % rooms.length] as Planted[]))
}

/** By the name of a test file: seconds of CPU, and until it ended. */
const costs = new Map<string, { cpu: number, wall: number }>()
const times = join(root, '.tap/cpu')
if (existsSync(times)) {
  for (const name of readdirSync(times)) {
    const { file, own, started, wall } = JSON.parse(readFileSync(join(times, name), 'utf8'))
    costs.set(file, { cpu: own + started, wall })
  }
}

const costOf = (path: string) => costs.get(basename(path)) ?? { cpu: 0, wall: 0 }

const byCost = (a: string, b: string) => costOf(a).cpu - costOf(b).cpu

const wordsOf = (path: string) => new Set(path.slice(root.length).match(/[a-z0-9]{2,}/g))

/** How many words of its path a test file shares with a file of the server: such tests usually find the fault. */
function sharedWords (path: string, testFile: string): number {
  const words = wordsOf(path)
  return [...wordsOf(join(root, testFile))].filter(word => words.has(word)).length
}

function pathOf (testFile: string): string | undefined {
  return [`test/${testFile}`, `test/proof/${testFile}`].find(path => existsSync(join(root, path)))
}

/** The first failure of a test file; undefined if it is green. */
function run (file: string): string | undefined {
  const timeout = Math.ceil(TIMEOUT_SECONDS + TIMEOUT_FACTOR * costOf(file).wall)
  const { status, stdout } = spawnSync('tap', ['--disable-coverage', '--reporter=tap', '--bail', '--jobs=1', `--timeout=${timeout}`, file], {
    cwd: root, encoding: 'utf8', maxBuffer: 2 ** 30
  })
  if (status === 0) return undefined
  const failures = stdout.split('\n').filter(line => /^ *not ok /.test(line))
  return failures[0]?.trim().slice(0, 100) ?? 'it ended before it could tell'
}

/** Where a fault is in the source, and what it changes. */
function describe ({ path, start, end, text }: Planted, compiled: string): string {
  const before = compiled.slice(0, start).split('\n')
  const map = new SourceMap(JSON.parse(readFileSync(`${path}.map`, 'utf8')))
  const { originalLine = 0 } = map.findEntry(before.length - 1, before.at(-1)?.length ?? 0) as { originalLine?: number }
  const short = (code: string) => code.replaceAll(/\s+/g, ' ').slice(0, 60)
  const around = compiled.slice(compiled.lastIndexOf('\n', start) + 1, compiled.indexOf('\n', end)).trim()
  return `src/${relative(dist, path).replace(/\.js$/, '.ts')}:${originalLine + 1} | ${short(compiled.slice(start, end))} -> ${short(text)} | in: ${around.slice(0, 120)}`
}

console.log(`SEED=${SEED}`)
const [cheapest = ''] = [...costs.keys()].map(pathOf).filter(path => path !== undefined).sort(byCost)
const unplanted = run(cheapest)
if (unplanted !== undefined) throw new Error(`${cheapest} fails without a fault: ${unplanted}`)
const survivors: number[] = []
for (const [index, planted] of draw(FIRST + COUNT).entries()) {
  if (index < FIRST) continue
  const compiled = readFileSync(planted.path, 'utf8')
  const files = testsOf(planted.path, planted.start).map(pathOf).filter(path => path !== undefined)
    .sort((a, b) => sharedWords(planted.path, b) - sharedWords(planted.path, a) || byCost(a, b))
  const restore = () => writeFileSync(planted.path, compiled)
  process.once('exit', restore)
  let found: string | undefined
  for (const file of files) {
    writeFileSync(planted.path, compiled.slice(0, planted.start) + planted.text + compiled.slice(planted.end))
    const failure = run(file)
    restore()
    if (failure === undefined) continue
    // A test that also fails without the fault has not found it.
    if (run(file) === undefined) { found = `${file}: ${failure}`; break }
    console.log(`${file} fails without a fault too`)
  }
  process.off('exit', restore)
  if (found === undefined) survivors.push(index)
  console.log(`${index} | ${describe(planted, compiled)} | ${found ?? `NOT FOUND by ${files.length} files: ${files.map(file => basename(file)).join(' ')}`}`)
}
console.log(`${COUNT - survivors.length} of ${COUNT} found; not found: ${survivors.join(', ') || 'none'}`)
