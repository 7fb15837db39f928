import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { register } from 'node:module'
import { isMainThread } from 'node:worker_threads'
import { bundlePackages, folder, isBundled } from './packages.js'

// tap runs the tests with `node --import ./test/strip-types.js`, which replaces types by blanks: each line and column stays where it
// is, for coverage and stack traces. Node itself does so from 22.18 on.
//
// Stripped files and bundled packages are kept in `node_modules/.cache`, which `npm ci` deletes: a test starts in 1.6 s of CPU instead
// of 2.5 s.

if (isMainThread) register(import.meta.url)
if (isMainThread && process.env.COVERAGE === '1') await import('./coverage.js')

const cache = new URL('../node_modules/.cache/stripped/', import.meta.url)

/** @type {import('node:module').ResolveHook} */
export async function resolve (specifier, context, next) {
  if (!isBundled(specifier)) return next(specifier, context)
  await bundlePackages()
  return { url: new URL(`${specifier}/index.js`, folder).href, format: 'module', shortCircuit: true }
}

/** @type {import('node:module').LoadHook} */
export async function load (url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context)
  const typed = await readFile(new URL(url), 'utf8')
  const file = new URL(`${createHash('sha256').update(typed).digest('hex')}.js`, cache)
  const source = await readFile(file, 'utf8').catch(async () => {
    const stripped = await stripTypes(typed)
    const unfinished = new URL(`${file.pathname}-${process.pid}`, file)
    await mkdir(cache, { recursive: true })
    await writeFile(unfinished, stripped)
    await rename(unfinished, file)
    return stripped
  })
  return { format: 'module', source, shortCircuit: true }
}

/** @param {string} source */
export async function stripTypes (source) {
  const { transformSync } = await import('@swc/wasm-typescript')
  return transformSync(source, { mode: 'strip-only' }).code
}
