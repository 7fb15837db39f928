import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { buildApp } from '../app.ts'
import { readConfig } from '../config.ts'
import { openStore } from '../services.ts'
import { onlyFolder, print, readArguments } from './command.ts'

const FILE = 'openapi.json'

export const help = `magicstore openapi FOLDER: write the OpenAPI document to a folder, as openapi.json.

  --json     one JSON object: folder, files

Exit code: 0 if it was written, 1 otherwise.`

/** Writes the document as a server with the default settings serves it. */
export async function run (args: string[]): Promise<void> {
  const { values, positionals } = readArguments(args, {})
  const folder = onlyFolder('openapi', positionals)
  const dataDir = await mkdtemp(join(tmpdir(), 'magicstore-openapi-'))
  const store = await openStore(readConfig({ DATA_DIR: dataDir, LOG_LEVEL: 'silent' }))
  const { http } = await buildApp(store)
  try {
    await writeFile(join(folder, FILE), `${JSON.stringify(http.swagger(), null, 2)}\n`)
    print(values, { folder: resolve(folder), files: [FILE] }, ({ folder }) => `${folder} has the OpenAPI document`)
  } finally {
    await http.close()
    await store.close()
    await rm(dataDir, { recursive: true })
  }
}
