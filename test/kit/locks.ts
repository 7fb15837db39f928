import { randomUUID } from 'node:crypto'
import { runSql } from './stores.ts'

/** How long a lock of a test lasts. */
const SECONDS = 600

/** Sets a write lock on a file or folder of the newest account, as a WebDAV client would. */
export async function setLock (dataDir: string, path: string, { isDeep = false } = {}): Promise<void> {
  const account = '(SELECT max(id) FROM accounts)'
  const expiresAt = Date.now() + SECONDS * 1000
  await runSql(dataDir, `INSERT INTO locks (token, owner_id, path, is_folder, is_deep, is_exclusive, seconds, expires_at)
    VALUES ('urn:uuid:${randomUUID()}', ${account}, '${path}', EXISTS (SELECT 1 FROM folders WHERE path = '${path}'), ${isDeep}, TRUE, ${SECONDS}, ${expiresAt})`)
  await runSql(dataDir, `UPDATE accounts SET locked_until = ${expiresAt} WHERE id = ${account}`)
}

/** The paths that are locked. */
export async function lockedPaths (dataDir: string): Promise<string[]> {
  return (await runSql(dataDir, 'SELECT path FROM locks ORDER BY path')).map(({ path }) => String(path))
}

/** All locks run out. */
export async function endLocks (dataDir: string): Promise<void> {
  await runSql(dataDir, 'UPDATE locks SET expires_at = 1')
  await runSql(dataDir, 'UPDATE accounts SET locked_until = 1')
}
