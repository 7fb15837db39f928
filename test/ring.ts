import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { readdirSync } from 'node:fs'
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

/**
 * The HTTP tests that run again where TEST_STORE says. The contracts hold what a database or a store of bytes must do;
 * these show that the server asks it for that. The proofs run all of these files in each cell.
 */
const CELLS: Readonly<Record<string, readonly string[]>> = {
  'postgres-s3': ['download', 'resumable', 'sweeper', 'trash', 'uploads', 'kept-quota', 'tokens', 'session'],
  'sqlite-s3': ['resumable', 'sweeper', 'trash', 'uploads'],
  'postgres-folder': ['files', 'sweeper']
}
const WHOLE_CELL = [...new Set([...Object.values(CELLS).flat(), 'accounts', 'answers', 'copies', 'folder-uploads', 'folders', 'kept'])]

const filesOf = (names: readonly string[]) => (isProofs ? WHOLE_CELL : names).map(name => `test/${name}.test.ts`)

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
  const files = filesIn('test/proof', isProofs ? /\.(?:check|proof)\.ts$/ : /\.check\.ts$/)
  return [
    run([...isProofs ? filesIn('test', /\.test\.ts$/) : [], ...files], env),
    // Coverage is measured with SQLite and a folder.
    ...Object.entries(CELLS).map(([store, names]) => run(filesOf(names), { ...env, TEST_STORE: store, COVERAGE: '0' })),
    run(filesIn('test/proof', /\.timed\.ts$/), env, 1)
  ].every(Boolean)
}

// The proofs draw their chance, and are repeated with other seeds until MINUTES are over.
const end = Date.now() + Number(process.env.MINUTES ?? 0) * 60_000
const first = Number(process.env.SEED ?? randomInt(2 ** 31))
const outcomes = [runAll(isProofs ? { SEED: String(first) } : {})]
if (isProofs) while (Date.now() < end) outcomes.push(runAll({ SEED: String(first + outcomes.length) }))
process.exitCode = outcomes.every(Boolean) ? 0 : 1
