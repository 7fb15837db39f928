import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { test } from 'tap'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { blobsIn, createStore } from '../kit/backups.ts'
import { runCommand } from '../kit/commands.ts'
import { hex } from '../kit/records.ts'
import { sizes } from '../kit/sizes.ts'
import { sha256Of } from '../kit/digests.ts'
import { spawnServer, type ServerProcess } from '../kit/server.ts'
import { runSql } from '../kit/stores.ts'
import { until } from '../kit/waiting.ts'

/** Several seconds of removal. Half of them are as many as the server says in its log. */
const FILES = sizes.filesAtStart

const SHA256_OF_NOTHING = sha256Of('')

/** Adds an account that was deleted, whose many files are still there when its server is killed. */
function addDeletedAccount (dataDir: string): void {
  const database = new Database(join(dataDir, 'magicstore.db'))
  for (let number = 0; number < 256; number++) mkdirSync(join(dataDir, 'blobs', number.toString(16).padStart(2, '0')), { recursive: true, mode: 0o700 })
  database.exec('BEGIN')
  const { lastInsertRowid: id } = database.prepare("INSERT INTO accounts (username, username_key, password_hash, created_at, removed_at) VALUES ('', 'removed:2', '', 1, 1)").run()
  const insert = database.prepare('INSERT INTO files (owner_id, name, size, type, sha256, blob_id, created_at, updated_at) VALUES (?, ?, 0, \'text/plain\', ?, ?, 1, 1)')
  for (let number = 0; number < FILES; number++) {
    const blobId = hex(16)
    insert.run(id, `${number}`, SHA256_OF_NOTHING, blobId)
    writeFileSync(join(dataDir, 'blobs', blobId.slice(0, 2), blobId), '')
  }
  database.exec('COMMIT')
  database.close()
}

/** What the database still has to remove. */
async function waiting (dataDir: string): Promise<number> {
  const [row] = await runSql(dataDir, 'SELECT (SELECT count(*) FROM files WHERE owner_id IN (SELECT id FROM accounts WHERE removed_at IS NOT NULL)) + (SELECT count(*) FROM discarded_blobs) + (SELECT count(*) FROM accounts WHERE removed_at IS NOT NULL) AS count')
  return Number(row?.count)
}

/** The log of a server, as far as it was written. */
function logOf ({ child }: ServerProcess): { msg: string, blobs?: number, seconds?: number }[] {
  const lines: { msg: string }[] = []
  createInterface(child.stdout as Readable).on('line', line => { if (line.startsWith('{')) lines.push(JSON.parse(line)) })
  return lines
}

test('a start does not wait for the files of a deleted account, which go in the background, with a line in the log', { timeout: 600_000 }, async t => {
  const { folder, dataDir, token } = await createStore(t, { kept: 'kept' }, { TOKEN_SECONDS: '86400' })
  const settings = { DATA_DIR: dataDir }
  addDeletedAccount(dataDir)
  const first = await spawnServer(t, settings, { isCounted: true })
  const logs = [logOf(first)]
  t.equal((await first.send('GET', '/health/ready')).status, 200)
  t.ok(await waiting(dataDir) > 0, 'ready before all are gone')
  t.equal((await first.send('PUT', '/uploads/new', { token, body: 'new' })).status, 201)
  // At once: a slow machine could have removed all by the end of anything else.
  t.equal(await first.end('SIGTERM'), 0)
  const afterStop = await waiting(dataDir)
  t.ok(afterStop > 0 && afterStop < FILES, `the end does not wait for them either: ${afterStop} of ${FILES}`)
  t.match(await runCommand(['fsck', '--deep'], settings), { code: 0, stdout: 'all is well\n' }, 'what waits is no damage')
  t.match(await runCommand(['backup', join(folder, 'backup')], settings), { code: 0 })

  const second = await spawnServer(t, settings, { isCounted: true })
  logs.push(logOf(second))
  await until(() => waiting(dataDir), count => count === 0)
  t.equal((await second.send('GET', '/uploads/kept', { token })).text, 'kept')
  t.equal(await second.end('SIGTERM'), 0)
  t.equal((await blobsIn(dataDir)).length, 2)
  t.match(await runCommand(['fsck', '--deep'], settings), { code: 0, stdout: 'all is well\n' })
  // One of the two has removed at least half of them.
  const lines = logs.map(log => log.filter(({ blobs }) => blobs !== undefined)).filter(({ length }) => length > 0)
  t.ok(lines.length > 0)
  for (const removal of lines) t.match(removal, [{ msg: 'removing many deleted files' }, { msg: 'removed deleted files', seconds: Number }])
})
