import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { root } from './kit/root.ts'

// Runs the checks or the proofs: `test/ring.ts checks|proofs [FILE...]`.
//
// The ending of a test file names the innermost ring that runs it: `.test.ts` (npm test), `.check.ts` and `.timed.ts`
// (the checks; the timed ones run alone and last, since they wait for timers of sockets), `.proof.ts` (the proofs). The
// proofs repeat the others at full sizes: `kit/sizes.ts`.

const [ring = '', ...named] = process.argv.slice(2)
const isProofs = ring === 'proofs'

/** The files of a folder with one of these endings. */
const filesIn = (folder: string, ending: RegExp) =>
  readdirSync(new URL(`../${folder}`, import.meta.url)).filter(name => ending.test(name)).map(name => `${folder}/${name}`)

const suites = filesIn('test/suites/checks', /\.ts$/)
const isInSuite = (file: string) => suites.some(suite => readFileSync(new URL(`../${suite}`, import.meta.url), 'utf8').includes(`/${basename(file)}'`))

/** The HTTP tests that the proofs repeat on each of these stores; the checks repeat those of `proof/on-*.check.ts`. */
const STORES = ['postgres-s3', 'sqlite-s3', 'postgres-folder']
const ON_EACH_STORE = [
  'accounts', 'answers', 'copies', 'download', 'files', 'folder-uploads', 'folders', 'kept', 'kept-quota', 'resumable',
  'session', 'sweeper', 'tokens', 'trash', 'uploads'
].map(name => `test/${name}.test.ts`)

type Environment = Readonly<Record<string, string>>

/** Runs test files, three at a time by default: they often wait. Returns whether all are green. */
function run (files: readonly string[], env: Environment, jobs = 3): boolean {
  console.log(`== ${ring}: ${files.length} files ${JSON.stringify(env)}`)
  return spawnSync('tap', ['--disable-coverage', `--jobs=${jobs}`, ...files], {
    cwd: root, stdio: 'inherit', env: { ...process.env, RING: ring, ...env }
  }).status === 0
}

function runAll (env: Environment): boolean {
  if (named.length > 0) return run(named, env)
  const checks = filesIn('test/proof', /\.check\.ts$/)
  const files = isProofs
    ? [...filesIn('test', /\.test\.ts$/), ...checks, ...filesIn('test/proof', /\.proof\.ts$/)]
    : [...checks.filter(file => !isInSuite(file)), ...suites]
  return [
    run(files, env),
    ...isProofs ? STORES.map(store => run(ON_EACH_STORE, { ...env, TEST_STORE: store })) : [],
    run(filesIn('test/proof', /\.timed\.ts$/), env, 1)
  ].every(Boolean)
}

// The proofs draw their chance, and are repeated with other seeds until MINUTES are over.
const end = Date.now() + Number(process.env.MINUTES ?? 0) * 60_000
const first = Number(process.env.SEED ?? randomInt(2 ** 31))
const outcomes = [runAll(isProofs ? { SEED: String(first) } : {})]
if (isProofs) while (Date.now() < end) outcomes.push(runAll({ SEED: String(first + outcomes.length) }))
process.exitCode = outcomes.every(Boolean) ? 0 : 1
