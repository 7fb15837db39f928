import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { packageFolder, readVersion } from '../config.ts'
import { OperatorError } from '../problems.ts'
import { FLAG, onlyFolder, print, readArguments, UsageError } from './command.ts'

const LOCAL_URL = 'http://127.0.0.1:5000'

export const help = `\
magicstore sdk FOLDER: write a typed client into a folder, which is created if it does not exist: in TypeScript, or
with --python a package for Python 3.11 or newer.

  --python         a client in Python
  --base-url URL   address of the server; without it ${LOCAL_URL}
  --json           one JSON object: folder, files, baseUrl

The client has the types of this version of MagicStore. That in TypeScript needs the package openapi-fetch, that in
Python the standard library alone. README.md in the folder explains it.

Exit code: 0 if the client was written, 1 if it could not be, 2 for a wrong argument.`

interface Sdk {
  /** Where the build has prepared it. */
  readonly source: string
  readonly names: readonly string[]
  /** In the first line of each file. A folder that has files without it was not written for this client. */
  readonly mark: string
}

const TYPESCRIPT: Sdk = {
  source: 'dist/sdk', names: ['schema.ts', 'client.ts', 'README.md'], mark: 'Written by magicstore sdk'
}

const PYTHON: Sdk = {
  source: 'dist/sdk/python',
  names: ['__init__.py', 'client.py', 'links.py', 'wire.py', 'schema.py', 'py.typed', 'README.md'],
  mark: 'Written for Python by magicstore sdk'
}

/** Without characters that would end a string or a comment of the files that it is written into. */
const BASE_URL = /^https?:\/\/[\w.~:/[\]%-]+$/

/** Writes the client that the build has prepared. */
export async function run (args: string[]): Promise<void> {
  const { values, positionals } = readArguments(args, {
    'base-url': { type: 'string', default: LOCAL_URL }, python: FLAG
  })
  const target = resolve(onlyFolder('sdk', positionals))
  const baseUrl = values['base-url'].replace(/\/+$/, '')
  if (!BASE_URL.test(baseUrl) || !URL.canParse(baseUrl)) {
    throw new UsageError(`--base-url takes an address such as ${LOCAL_URL}`)
  }
  const sdk = values.python ? PYTHON : TYPESCRIPT
  await requireOwnFolder(target, sdk)
  await mkdir(target, { recursive: true })
  const mark = `${sdk.mark} ${readVersion()}. Run it again instead of editing this file.`
  for (const name of sdk.names) {
    const text = await readFile(join(packageFolder, sdk.source, name), 'utf8')
    await writeFile(join(target, name), `${commentOf(name, mark)}\n\n${text.replaceAll(LOCAL_URL, () => baseUrl)}`)
  }
  print(values, { folder: target, files: sdk.names, baseUrl },
    ({ folder, baseUrl }) => `${folder} has a client for ${baseUrl}; see README.md there`)
}

function commentOf (name: string, text: string): string {
  if (name.endsWith('.md')) return `<!-- ${text} -->`
  return name.endsWith('.ts') ? `// ${text}` : `# ${text}`
}

/**
 * @throws {OperatorError} if the folder has other files than those of this client, or a file of the same name that is
 * not from this command.
 */
async function requireOwnFolder (folder: string, { names, mark }: Sdk): Promise<void> {
  const entries: string[] = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  const ours = names.filter(name => entries.includes(name))
  const heads = await Promise.all(ours.map(async name => (await readFile(join(folder, name), 'utf8')).split('\n')[0]))
  const isOurs = heads.length > 0 && heads.every(head => head?.includes(mark))
  if (entries.length > 0 && !isOurs) {
    throw new OperatorError(`${folder} has other files in it; use an empty or a new folder`)
  }
}
