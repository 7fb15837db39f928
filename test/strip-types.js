import { createHash } from 'node:crypto'
import { existsSync, renameSync, statSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { register } from 'node:module'
import { isMainThread, threadId } from 'node:worker_threads'

// tap runs the tests with `node --import ./test/strip-types.js`, which replaces types by blanks: each line and column stays where it
// is, for coverage and stack traces. Node itself does so from 22.18 on.
//
// Stripped files and bundled packages are kept in `node_modules/.cache`, which `npm ci` deletes: a test starts in 1.6 s of CPU instead
// of 2.5 s.

if (isMainThread) register(import.meta.url)
if (isMainThread && process.env.COVERAGE === '1') await import('./coverage.js')

const cache = new URL('../node_modules/.cache/tests/', import.meta.url)

/** Packages of hundreds of modules, each of which would pass from thread to thread. */
const BUNDLED = [
  '@sinclair/typebox', '@sinclair/typebox/errors', '@sinclair/typebox/value',
  'drizzle-orm', 'drizzle-orm/better-sqlite3', 'drizzle-orm/better-sqlite3/migrator', 'drizzle-orm/migrator', 'drizzle-orm/sqlite-core'
]

/** @type {URL | undefined} */
let bundles

/** @type {import('node:module').ResolveHook} */
export async function resolve (specifier, context, next) {
  if (!BUNDLED.includes(specifier)) return next(specifier, context)
  bundles ??= await bundle()
  return { url: new URL(`${specifier}.js`, bundles).href, format: 'module', shortCircuit: true }
}

/** @type {import('node:module').LoadHook} */
export async function load (url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context)
  const typed = await readFile(new URL(url), 'utf8')
  const file = new URL(`stripped/${createHash('sha256').update(typed).digest('hex')}.js`, cache)
  const source = await readFile(file, 'utf8').catch(async () => {
    const stripped = await stripTypes(typed)
    await mkdir(new URL('.', file), { recursive: true })
    await writeFile(temporary(file), stripped)
    await rename(temporary(file), file)
    return stripped
  })
  return { format: 'module', source, shortCircuit: true }
}

/** @param {string} source */
export async function stripTypes (source) {
  const { transformSync } = await import('@swc/wasm-typescript')
  return transformSync(source, { mode: 'strip-only' }).code
}

/** The folder of the bundled packages as they are installed now. */
async function bundle () {
  const installed = statSync(new URL('../node_modules/.package-lock.json', import.meta.url)).mtimeMs
  const folder = new URL(`packages-${installed}/`, cache)
  if (existsSync(folder)) return folder
  const { build } = await import('esbuild')
  await build({
    entryPoints: Object.fromEntries(BUNDLED.map(name => [name, name])),
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    outdir: temporary(folder).pathname,
    external: ['better-sqlite3']
  })
  // Another test may have been faster.
  try { renameSync(temporary(folder), folder) } catch (error) { if (!existsSync(folder)) throw error }
  return folder
}

/** @param {URL} file A path of this process, to be renamed when it is complete. */
function temporary (file) {
  return new URL(`${file.pathname.replace(/\/$/, '')}-${process.pid}-${threadId}`, file)
}
