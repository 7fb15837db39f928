import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { OpenAPI3 } from 'openapi-typescript'

const usage = `npm run sdk -- FOLDER [--base-url URL]

Writes a TypeScript client into FOLDER, which is made where it is missing.
  --base-url URL   make it for the server at URL, from the document that it serves;
                   without it for http://127.0.0.1:5000, from openapi/openapi.json`

const LOCAL_URL = 'http://127.0.0.1:5000'

/** In the first line of every file that is written; a folder whose files have it may be written to again. */
const MARK = 'Written by npm run sdk of MagicStore'

const NAMES = ['schema.ts', 'client.ts', 'README.md'] as const

interface Operation { security?: Record<string, string[]>[] }
interface Document extends OpenAPI3 { paths: Record<string, Record<string, Operation>> }

/** What a person can mend: its message is all that they see. */
class SdkError extends Error {}

/** What they wrote wrong. */
class UsageError extends SdkError {}

async function run (): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { 'base-url': { type: 'string' }, help: { type: 'boolean', short: 'h' } } })
  const [folder, ...rest] = positionals
  if (values.help) return console.log(usage)
  if (folder === undefined || rest.length > 0) throw new UsageError(`it takes one folder: ${usage.split('\n')[0]}`)
  // npm changes to the folder of package.json, and tells where it was called.
  const target = resolve(process.env.INIT_CWD ?? '.', folder)
  const baseUrl = values['base-url']?.replace(/\/+$/, '')
  await refuseForeign(target)
  const document = baseUrl === undefined ? JSON.parse(await readHere('../openapi.json')) : await fetchDocument(baseUrl)
  const files = await clientFiles(document, baseUrl ?? LOCAL_URL)
  await mkdir(target, { recursive: true })
  for (const name of NAMES) await writeFile(join(target, name), files[name])
  console.log(`${target}: a client for ${baseUrl ?? LOCAL_URL}; README.md there tells its use`)
}

/** The files of the client, by name. */
async function clientFiles (document: Document, baseUrl: string): Promise<Record<typeof NAMES[number], string>> {
  // The document came over the network: nothing of it may end the comment.
  const version = String(document.info.version).replace(/[^\w.+-]/g, '')
  const mark = `${MARK} ${version}: run it again rather than change this.`
  const [client, readme] = await Promise.all([readHere('client.ts'), readHere('README.md')])
  const constants: Record<string, unknown> = { BASE_URL: baseUrl, ...credentialsOf(document) }
  return {
    'schema.ts': `// ${mark}\n\n${await typesOf(document)}`,
    'client.ts': `// ${mark}\n\n${client.replace(/^declare const (\w+)(: .+)$/gm, (_, name, type) => `const ${name}${type} = ${JSON.stringify(constants[name])}`)}`,
    'README.md': `<!-- ${mark} -->\n\n${readme.replaceAll(LOCAL_URL, () => baseUrl)}`
  }
}

/** Bytes are a Blob, which is what fetch takes and gives, rather than the string that JSON Schema calls them. */
async function typesOf (document: Document): Promise<string> {
  // Both take a second to load, which a refusal need not wait for.
  const [{ default: ts }, { default: openapiTypeScript, astToString }] = await Promise.all([import('typescript'), import('openapi-typescript')])
  const blob = ts.factory.createTypeReferenceNode('Blob')
  return astToString(await openapiTypeScript(document, { silent: true, transform: ({ format }) => format === 'binary' ? blob : undefined }))
}

/** The operations that want other credentials than an access token, as the document's security has them. */
function credentialsOf ({ paths }: Document) {
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { security = [] }]) => ({ name: `${method.toUpperCase()} ${path}`, schemes: security.flatMap(one => Object.keys(one)) })))
  return {
    PUBLIC: operations.filter(({ schemes }) => schemes.length === 0).map(({ name }) => name),
    // An access token can't prolong its own life: a new one is for the password, although a personal access token can have one, too.
    WITH_PASSWORD: ['GET /api/token', ...operations.filter(({ schemes }) => schemes.join() === 'basic').map(({ name }) => name)]
  }
}

async function fetchDocument (baseUrl: string): Promise<Document> {
  if (!/^https?:/.test(baseUrl) || !URL.canParse(baseUrl)) throw new UsageError(`${baseUrl} is no address such as ${LOCAL_URL}`)
  const address = `${baseUrl}/openapi.json`
  const response = await fetch(address).catch(error => { throw new SdkError(`${address} can't be read: ${error.cause?.message ?? error.message}`) })
  const document = await response.json().catch(() => undefined)
  if (document?.info?.title !== 'MagicStore') throw new SdkError(`${address} is no document of a MagicStore`)
  return document
}

/** A folder of someone else's files is left alone, and so is a file of theirs that has one of our names. */
async function refuseForeign (folder: string): Promise<void> {
  const entries: string[] = await readdir(folder).catch(error => {
    if (error.code === 'ENOENT') return []
    throw new SdkError(error.code === 'ENOTDIR' ? `${folder} is no folder` : error.message)
  })
  const ours = NAMES.filter(name => entries.includes(name))
  const isOurs = await Promise.all(ours.map(async name => (await readFile(join(folder, name), 'utf8')).split('\n')[0]?.includes(MARK)))
  if (entries.length > 0 && (ours.length === 0 || isOurs.includes(false))) throw new SdkError(`${folder} holds something else; name an empty or a new folder`)
}

function readHere (name: string): Promise<string> {
  return readFile(fileURLToPath(new URL(name, import.meta.url)), 'utf8')
}

run().catch((error: NodeJS.ErrnoException) => {
  const isMisspelt = error instanceof UsageError || String(error.code).startsWith('ERR_PARSE_ARGS')
  const isPlain = error instanceof SdkError || error.code !== undefined
  console.error(`sdk: ${isPlain ? error.message.split('\n')[0] : error.stack}`)
  process.exit(isMisspelt ? 2 : 1)
})
