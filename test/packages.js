import { existsSync, renameSync, statSync, writeFileSync } from 'node:fs'

/** Packages of hundreds of modules, which take 0.5 s of CPU to load one by one, and what is imported of each. */
const PACKAGES = {
  '@sinclair/typebox': ['', '/errors', '/value'],
  'drizzle-orm': ['', '/better-sqlite3', '/better-sqlite3/migrator', '/migrator', '/node-postgres', '/pg-core', '/sqlite-core']
}

/** The folder of the packages as they are installed now: a `node_modules` in which each import is one file. */
export const folder = new URL(`../node_modules/.cache/packages-${installedAt()}/`, import.meta.url)

/** @type {Promise<void> | undefined} */
let bundling

/** Bundles the packages into the folder unless that is done. */
export function bundlePackages () {
  bundling ??= existsSync(folder) ? Promise.resolve() : bundle()
  return bundling
}

async function bundle () {
  const { build } = await import('esbuild')
  const unfinished = new URL(`../packages-${process.pid}/`, folder)
  const imports = Object.entries(PACKAGES).flatMap(([name, paths]) => paths.map(path => name + path))
  await build({
    entryPoints: Object.fromEntries(imports.map(name => [`${name}/index`, name])),
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    outdir: unfinished.pathname,
    external: ['better-sqlite3', 'pg']
  })
  for (const name of Object.keys(PACKAGES)) {
    writeFileSync(new URL(`${name}/package.json`, unfinished), JSON.stringify({ name, type: 'module', exports: { '.': './index.js', './*': './*/index.js' } }))
  }
  // Another process may have been faster.
  try { renameSync(unfinished, folder) } catch (error) { if (!existsSync(folder)) throw error }
}

/** @param {string} specifier */
export function isBundled (specifier) {
  return Object.entries(PACKAGES).some(([name, paths]) => specifier.startsWith(name) && paths.includes(specifier.slice(name.length)))
}

function installedAt () {
  return statSync(new URL('../node_modules/.package-lock.json', import.meta.url)).mtimeMs
}
