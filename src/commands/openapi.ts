import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildApp } from '../app.ts'
import { readConfig } from '../config.ts'
import { openStore } from '../store.ts'
import { UsageError } from './command.ts'

export const help = `magicstore openapi FOLDER: write the OpenAPI document to a folder, as openapi.json and openapi.yaml.

Exit code: 0 if both were written, 1 otherwise.`

/** Writes the document as a server with the default settings serves it. */
export async function run ([folder, ...rest]: string[]): Promise<void> {
  if (folder === undefined || rest.length > 0) throw new UsageError('openapi needs exactly one folder; see magicstore openapi --help')
  const dataDir = await mkdtemp(join(tmpdir(), 'magicstore-openapi-'))
  const store = await openStore(readConfig({ DATA_DIR: dataDir, LOG_LEVEL: 'silent' }))
  const { http } = await buildApp(store)
  try {
    await writeFile(join(folder, 'openapi.json'), `${JSON.stringify(http.swagger(), null, 2)}\n`)
    await writeFile(join(folder, 'openapi.yaml'), http.swagger({ yaml: true }))
  } finally {
    await http.close()
    await store.close()
    await rm(dataDir, { recursive: true })
  }
}
