import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { packageFolder, readVersion } from '../config.ts'
import { OperatorError } from '../problems.ts'
import { onlyFolder, print, readArguments, UsageError } from './command.ts'

const LOCAL_URL = 'http://127.0.0.1:5000'

export const help = `\
magicstore sdk FOLDER: write a typed TypeScript client into a folder, which is created if it does not exist.

  --base-url URL   address of the server; without it ${LOCAL_URL}
  --json           one JSON object: folder, files, baseUrl

The client has the types of this version of MagicStore and needs the package openapi-fetch. README.md in the folder
explains it.

Exit code: 0 if the client was written, 1 if it could not be, 2 for a wrong argument.`

/** In the first line of each file. A folder that has files without it was not written by this command. */
const MARK = 'Written by magicstore sdk'

const NAMES = ['schema.ts', 'client.ts', 'README.md'] as const

/** Without characters that would end a string or a comment of the files that it is written into. */
const BASE_URL = /^https?:\/\/[\w.~:/[\]%-]+$/

/** Writes the client that the build has prepared. */
export async function run (args: string[]): Promise<void> {
  const { values, positionals } = readArguments(args, { 'base-url': { type: 'string', default: LOCAL_URL } })
  const target = resolve(onlyFolder('sdk', positionals))
  const baseUrl = values['base-url'].replace(/\/+$/, '')
  if (!BASE_URL.test(baseUrl) || !URL.canParse(baseUrl)) {
    throw new UsageError(`--base-url takes an address such as ${LOCAL_URL}`)
  }
  await requireOwnFolder(target)
  await mkdir(target, { recursive: true })
  const mark = `${MARK} ${readVersion()}. Run it again instead of editing this file.`
  for (const name of NAMES) {
    const text = await readFile(join(packageFolder, 'dist/sdk', name), 'utf8')
    const head = name.endsWith('.md') ? `<!-- ${mark} -->` : `// ${mark}`
    await writeFile(join(target, name), `${head}\n\n${text.replaceAll(LOCAL_URL, () => baseUrl)}`)
  }
  print(values, { folder: target, files: NAMES, baseUrl },
    ({ folder, baseUrl }) => `${folder} has a client for ${baseUrl}; see README.md there`)
}

/**
 * @throws {OperatorError} if the folder has other files than those of a client, or a file of the same name that is not
 * from this command.
 */
async function requireOwnFolder (folder: string): Promise<void> {
  const entries: string[] = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  const ours = NAMES.filter(name => entries.includes(name))
  const heads = await Promise.all(ours.map(async name => (await readFile(join(folder, name), 'utf8')).split('\n')[0]))
  const isOurs = heads.length > 0 && heads.every(head => head?.includes(MARK))
  if (entries.length > 0 && !isOurs) {
    throw new OperatorError(`${folder} has other files in it; use an empty or a new folder`)
  }
}
