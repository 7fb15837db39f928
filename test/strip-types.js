import { readFile } from 'node:fs/promises'
import { register } from 'node:module'
import { isMainThread } from 'node:worker_threads'
import { transformSync } from '@swc/wasm-typescript'

// tap runs the tests with `node --import ./test/strip-types.js`, which replaces types by blanks: each line and column stays where it
// is, for coverage and stack traces. Node itself does so from 22.18 on.

if (isMainThread) register(import.meta.url)
if (isMainThread && process.env.COVERAGE === '1') await import('./coverage.js')

/** @type {import('node:module').LoadHook} */
export async function load (url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context)
  return { format: 'module', source: stripTypes(await readFile(new URL(url), 'utf8')), shortCircuit: true }
}

/** @param {string} source */
export function stripTypes (source) {
  return transformSync(source, { mode: 'strip-only' }).code
}
