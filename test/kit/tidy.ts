import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { sharedServer, type Settings } from './server.ts'
import { isInFolder, openHandles, runSql, storedBlobs, uploadsBegun } from './stores.ts'
import { eventually, until } from './waiting.ts'

const BLOBS_IN_USE = 'SELECT blob_id FROM files UNION ALL SELECT id FROM kept WHERE folder IS NULL'

/** Whether exactly the bytes of files and of what is kept are stored, and no upload or download is under way. */
export async function isTidy (dataDir: string): Promise<boolean> {
  if (openHandles(dataDir).length > 0 || await uploadsBegun(dataDir) > 0) return false
  return (await storedBlobs(dataDir)).length === (await runSql(dataDir, BLOBS_IN_USE)).length
}

/** The last test of a file: the servers that its tests shared have stored what is in use, and nothing else. */
export async function areTidy (t: Test, ...settings: Settings[]): Promise<void> {
  for (const some of settings) {
    const { dataDir } = await sharedServer(some)
    t.ok(await eventually(() => isTidy(dataDir)), JSON.stringify(some))
  }
}

/** The path of the bytes of a file in a data folder, once they are committed, which is shortly after the answer. */
export async function blobPath (dataDir: string, name: string, ownerId: number): Promise<string> {
  const [row] = await runSql(dataDir, `SELECT blob_id AS id FROM files WHERE name = '${name}' AND owner_id = ${ownerId}`)
  const id = String(row?.id)
  const path = join(dataDir, 'blobs', id.slice(0, 2), id)
  if (isInFolder) await until(() => existsSync(path))
  return path
}
