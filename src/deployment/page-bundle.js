import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const source = 'src/page'

/** Same for all builds of the page. */
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
 * so that browsers can keep them for ever. Everything is compressed once, here.
 * @param {{ folder: string, sdk: string }} folders
 * @returns {Promise<string[]>} the files that went into it
 */
export async function bundlePage ({ folder, sdk }) {
  const assets = join(folder, 'assets')
  const page = await build({
    ...options,
    entryPoints: [`${source}/main.tsx`, `${source}/page.css`, `${source}/icon.svg`],
    loader: { '.svg': 'copy' },
    splitting: true,
    outdir: assets,
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    alias: { magicstore: `./${sdk}/client.ts` }
  })
  // Its address must stay the same.
  const worker = await build({ ...options, entryPoints: [`${source}/worker/service-worker.ts`], outdir: folder })
  const names = Object.entries(page.metafile.outputs).map(([path, { entryPoint }]) => ({ entryPoint, name: basename(path) }))
  const html = names.reduce((text, { entryPoint, name }) => entryPoint === undefined ? text : text.replace(`"${servedName(entryPoint)}"`, `"assets/${name}"`), readFileSync(`${source}/index.html`, 'utf8'))
  writeFileSync(join(folder, 'index.html'), html)
  for (const name of readdirSync(assets)) compress(join(assets, name))
  compress(join(folder, 'service-worker.js'))
  return [...Object.keys(page.metafile.inputs), ...Object.keys(worker.metafile.inputs)]
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
