/**
 * Makes dist/, which is what runs in production: the server with the packages that can be bundled, their licences, the page, and the files
 * of `magicstore sdk`. npm run bundle calls it.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { build } from 'esbuild'
import { schemaText } from '../../openapi/sdk/schema-text.js'
import { bundlePage } from './page-bundle.js'

/** Native code and the files of Swagger UI can't be bundled. They are the dependencies of the package. */
const { dependencies, optionalDependencies } = readPackage('.')

/** The code of Swagger UI's plugin is bundled: to find and load its hundred files took 0.1 s of every start. It finds its other files as before. */
const swaggerUi = {
  name: 'swagger-ui',
  /** @param {import('esbuild').PluginBuild} build */
  setup (build) {
    build.onLoad({ filter: /@fastify\/swagger-ui\/(?:index|lib\/routes)\.js$/ }, ({ path }) => {
      const folder = path.endsWith('routes.js') ? '@fastify/swagger-ui/lib/routes.js' : '@fastify/swagger-ui'
      return { contents: readFileSync(path, 'utf8').replaceAll('__dirname', `path.dirname(require.resolve('${folder}'))`) }
    })
  }
}

const folder = 'dist.new'
rmSync(folder, { recursive: true, force: true })
const { metafile } = await build({
  entryPoints: ['src/main.ts'],
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  outdir: folder,
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
  metafile: true,
  external: Object.keys({ ...dependencies, ...optionalDependencies }).filter(name => name !== '@fastify/swagger-ui'),
  plugins: [swaggerUi],
  // As in newer versions of Node: without it the driver of PostgreSQL looks for its runtime by means of `Response`, which takes Node 20
  // 0.07 s to load.
  define: { navigator: '{"userAgent":"Node.js"}' },
  // esbuild would take the CommonJS file, whose names can't be imported from a bundled module.
  alias: { '@zxcvbn-ts/language-common': '@zxcvbn-ts/language-common/dist/index.mjs' },
  // Bundled CommonJS modules call it.
  banner: { js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url)" }
})
mkdirSync(`${folder}/sdk`)
for (const name of ['client.ts', 'README.md']) cpSync(`openapi/sdk/${name}`, `${folder}/sdk/${name}`)
writeFileSync(`${folder}/sdk/schema.ts`, await schemaText('openapi/openapi.json'))
const pageFiles = await bundlePage({ folder: `${folder}/page`, sdk: `${folder}/sdk` })
writeFileSync(`${folder}/THIRD-PARTY-NOTICES.txt`, noticesOf([...Object.keys(metafile.inputs), ...pageFiles]))
rmSync('dist', { recursive: true, force: true })
renameSync(folder, 'dist')

/**
 * The licence of every bundled package.
 * @param {string[]} files of the bundle
 */
function noticesOf (files) {
  const folders = files.flatMap(file => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? [])
  const sections = Array.from(new Set(folders)).sort().map(folder => {
    const { name, version, license } = readPackage(folder)
    const texts = readdirSync(folder).filter(file => /^(?:licen[cs]e|notice|copying)/i.test(file)).map(file => readFileSync(`${folder}/${file}`, 'utf8').trim())
    return [`${name} ${version}`, `Licence: ${license}`, ...texts].join('\n\n')
  })
  return `magicstore contains code of these packages.\n\n${sections.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`
}

/**
 * @param {string} folder
 * @returns {{ name: string, version: string, license: string, dependencies: Record<string, string>, optionalDependencies?: Record<string, string> }}
 */
function readPackage (folder) {
  return JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'))
}
