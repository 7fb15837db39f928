import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const source = 'src/page'

/** The page and its service worker are built alike. */
const options = {
  bundle: true,
  minify: true,
  format: /** @type {const} */ ('esm'),
  target: ['chrome123', 'firefox121', 'safari17.5'],
  logLevel: /** @type {const} */ ('warning'),
  metafile: /** @type {const} */ (true),
  jsx: /** @type {const} */ ('automatic'),
  jsxImportSource: 'preact'
}

/**
 * Bundles src/page/ into `folder`, with the client that is in `sdk`. The names of scripts and styles contain a hash of their content,
 * so that browsers can cache them without asking again. Everything is compressed here, once.
 * @param {{ folder: string, sdk: string }} folders
 * @returns {Promise<string[]>} the source files
 */
export async function bundlePage ({ folder, sdk }) {
  const assets = join(folder, 'assets')
  const page = await build({
    ...options,
    entryPoints: [`${source}/main.tsx`, `${source}/page.css`, `${source}/icon.svg`],
    loader: { '.svg': 'copy' },
    outdir: assets,
    entryNames: '[name]-[hash]',
    alias: { magicstore: `./${sdk}/client.ts` }
  })
  // Without a hash, because browsers look for a new service worker at the same address.
  const worker = await build({ ...options, entryPoints: [`${source}/worker/service-worker.ts`], outdir: folder })
  writeFileSync(join(folder, 'index.html'), htmlFor(page.metafile.outputs))
  for (const name of readdirSync(assets)) compress(join(assets, name))
  compress(join(folder, 'service-worker.js'))
  return [...Object.keys(page.metafile.inputs), ...Object.keys(worker.metafile.inputs)]
}

/**
 * index.html with the addresses of the built files.
 * @param {import('esbuild').Metafile['outputs']} outputs
 */
function htmlFor (outputs) {
  let html = readFileSync(`${source}/index.html`, 'utf8')
  for (const [path, { entryPoint }] of Object.entries(outputs)) {
    if (entryPoint !== undefined) html = html.replace(`"${servedName(entryPoint)}"`, `"assets/${basename(path)}"`)
  }
  return html
}

/** @param {string} entryPoint */
function servedName (entryPoint) {
  return basename(entryPoint).replace(/\.tsx$/, '.js')
}

/** @param {string} file */
function compress (file) {
  const bytes = readFileSync(file)
  writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }))
  writeFileSync(`${file}.br`, brotliCompressSync(bytes))
}
