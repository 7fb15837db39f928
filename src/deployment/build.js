/** Makes dist/ complete, after tsc has compiled the server: adds the files of `magicstore sdk` and the page. */
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { pythonSchemaText } from '../../openapi/sdk/python-schema.js'
import { schemaText } from '../../openapi/sdk/schema-text.js'

const source = 'src/page'
const sdk = 'dist/sdk'
const folder = 'dist/page'
const assets = join(folder, 'assets')

/** The pages and the service worker are built alike. */
const options = {
  bundle: true,
  minify: true,
  format: /** @type {const} */ ('esm'),
  charset: /** @type {const} */ ('utf8'),
  target: ['chrome123', 'firefox121', 'safari17.5'],
  logLevel: /** @type {const} */ ('warning'),
  jsx: /** @type {const} */ ('automatic'),
  jsxImportSource: 'preact'
}

for (const made of [sdk, folder]) rmSync(made, { recursive: true, force: true })
// What was compiled from files that are gone.
for (const name of readdirSync('dist', { encoding: 'utf8', recursive: true })) {
  if (!/\.js$/.test(name) || existsSync(join('src', name.replace(/\.js$/, '.ts')))) continue
  for (const file of [name, `${name}.map`]) rmSync(join('dist', file))
}
const python = ['__init__.py', 'client.py', 'links.py', 'wire.py', 'py.typed', 'README.md']
for (const name of ['client.ts', 'README.md', ...python.map(name => `python/${name}`)]) cpSync(`openapi/sdk/${name}`, `${sdk}/${name}`)
// Those of `magicstore setup`.
for (const name of ['magicstore.service', 'magicstore-backup.service', 'magicstore-backup.timer', 'container.yaml']) {
  cpSync(`src/deployment/${name}`, `dist/deployment/${name}`)
}
writeFileSync(`${sdk}/schema.ts`, await schemaText('openapi/openapi.json'))
writeFileSync(`${sdk}/python/schema.py`, pythonSchemaText('openapi/openapi.json'))

// Each page by itself: modules that both have in common would be further files of its first view. The texts are scripts
// that import nothing of a page.
const outputs = {
  ...await bundle('main.tsx', 'page.css', 'later.css', 'icon.svg', 'icon*.png', 'texts/*-page.ts', 'texts/*-later.ts'),
  ...await bundle('link/main.tsx', 'link/link.css', 'texts/*-link.ts'),
  ...await bundle('language.ts')
}
// Without a hash, because browsers look for a new service worker at the same address.
await build({ ...options, entryPoints: [`${source}/worker/service-worker.ts`], outdir: folder })
// Without a hash, because a browser identifies an installed page by it.
writeFileSync(join(folder, 'manifest.webmanifest'), withBuilt(`${source}/manifest.webmanifest`, 'assets'))
const served = [...readdirSync(assets).map(name => join('assets', name)), 'service-worker.js', 'manifest.webmanifest']
for (const name of served) compress(join(folder, name))
// The page of a link is served one level deeper, at s/SECRET.
writeFileSync(join(folder, 'link.html'), withBuilt(`${source}/link/link.html`, '../assets'))
// Last: `npm run build` compares the time of this file.
writeFileSync(join(folder, 'index.html'), withBuilt(`${source}/index.html`, 'assets'))

/**
 * Builds files of a page, and what they load later. The names of scripts and styles contain a hash of their content, so
 * that browsers cache them for good.
 * @param {string[]} names
 */
async function bundle (...names) {
  const { metafile } = await build({
    ...options,
    metafile: true,
    splitting: true,
    entryPoints: names.map(name => `${source}/${name}`),
    loader: { '.svg': 'copy', '.png': 'copy' },
    outdir: assets,
    entryNames: '[name]-[hash]',
    alias: { magicstore: `./${sdk}/client.ts` }
  })
  return metafile.outputs
}

/**
 * The text of a page or a manifest with the addresses of the built files. `served` is the folder of those, from there.
 * @param {string} file
 * @param {string} served
 */
function withBuilt (file, served) {
  let text = readFileSync(file, 'utf8')
  for (const [path, { entryPoint, imports }] of Object.entries(outputs)) {
    if (entryPoint === undefined) continue
    const reference = `"${referenceTo(entryPoint, file)}"`
    // Otherwise a browser would learn of them only after it has loaded the script.
    const preloads = imports.filter(({ kind }) => kind === 'import-statement')
      .map(({ path }) => `<link rel="modulepreload" href="${served}/${basename(path)}">\n`)
    text = text.replace(/(?=<script.* src="(.*)")/g, (_, src) => `"${src}"` === reference ? preloads.join('') : '')
      .replace(reference, `"${served}/${basename(path)}"`)
  }
  return text
}

/**
 * How the HTML in `source` refers to an entry point.
 * @param {string} entryPoint
 * @param {string} file
 */
function referenceTo (entryPoint, file) {
  return relative(dirname(file), entryPoint).replace(/\.tsx?$/, '.js')
}

/** @param {string} file */
function compress (file) {
  const bytes = readFileSync(file)
  writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }))
  writeFileSync(`${file}.br`, brotliCompressSync(bytes))
}
