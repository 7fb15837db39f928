import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildApp } from '../app.ts'
import { readConfig } from '../config.ts'
import { openMagicStore } from '../magicstore.ts'

/** Writes the OpenAPI document as `openapi.json` and `openapi.yaml` into a folder. */
export async function writeOpenapi (folder: string): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'magicstore-openapi-'))
  const store = await openMagicStore(readConfig({ DATA_DIR: dataDir, LOG_LEVEL: 'silent' }))
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
