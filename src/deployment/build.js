/** Makes dist/ complete, after tsc has compiled the server: adds the files of `magicstore sdk` and the page. */
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { schemaText } from '../../openapi/sdk/schema-text.js'

const source = 'src/page'
const sdk = 'dist/sdk'
const folder = 'dist/page'
const assets = join(folder, 'assets')

/** The page and its service worker are built alike. */
const options = {
  bundle: true,
  minify: true,
  format: /** @type {const} */ ('esm'),
  target: ['chrome123', 'firefox121', 'safari17.5'],
  logLevel: /** @type {const} */ ('warning'),
  jsx: /** @type {const} */ ('automatic'),
  jsxImportSource: 'preact'
}

for (const made of [sdk, folder]) rmSync(made, { recursive: true, force: true })
// What was compiled from files that are gone.
for (const name of readdirSync('dist', { encoding: 'utf8', recursive: true })) {
  if (/\.js$/.test(name) && !existsSync(join('src', name.replace(/\.js$/, '.ts')))) for (const file of [name, `${name}.map`]) rmSync(join('dist', file))
}
for (const name of ['client.ts', 'README.md']) cpSync(`openapi/sdk/${name}`, `${sdk}/${name}`)
writeFileSync(`${sdk}/schema.ts`, await schemaText('openapi/openapi.json'))

// The names of scripts and styles contain a hash of their content, so that browsers cache them for good.
const { metafile } = await build({
  ...options,
  metafile: true,
  entryPoints: [`${source}/main.tsx`, `${source}/page.css`, `${source}/icon.svg`],
  loader: { '.svg': 'copy' },
  outdir: assets,
  entryNames: '[name]-[hash]',
  alias: { magicstore: `./${sdk}/client.ts` }
})
// Without a hash, because browsers look for a new service worker at the same address.
await build({ ...options, entryPoints: [`${source}/worker/service-worker.ts`], outdir: folder })
for (const file of [...readdirSync(assets).map(name => join(assets, name)), join(folder, 'service-worker.js')]) compress(file)
// Last: `npm run build` compares the time of this file.
writeFileSync(join(folder, 'index.html'), htmlFor(metafile.outputs))

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
