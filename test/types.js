import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { register } from 'node:module'
import { fileURLToPath } from 'node:url'
import { isMainThread } from 'node:worker_threads'

// Loaded into each test file, which is TypeScript: ts-blank-space removes the types. What it makes of a file is kept,
// because loading the compiler takes each process half a second of CPU, a third of what most test files take to begin.

const folder = new URL('../node_modules/.cache/without-types/', import.meta.url)

/**
 * A hook of Node's loader (module.register), which runs in a thread of its own.
 * @type {import('node:module').LoadHook}
 */
export async function load (url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context)
  const source = readFileSync(fileURLToPath(url), 'utf8')
  return { format: 'module', shortCircuit: true, source: `${await withoutTypes(source)}\n//# sourceURL=${url}` }
}

/** @param {string} source */
async function withoutTypes (source) {
  const kept = fileURLToPath(new URL(`${createHash('sha256').update(source).digest('hex')}.js`, folder))
  try { return readFileSync(kept, 'utf8') } catch { /* It is new. */ }
  const { default: blank } = await import('ts-blank-space')
  const text = blank(source)
  mkdirSync(folder, { recursive: true })
  // Another process may read it meanwhile.
  writeFileSync(`${kept}.${process.pid}`, text)
  renameSync(`${kept}.${process.pid}`, kept)
  return text
}

if (isMainThread) register(import.meta.url)
