import { join } from 'node:path'
import { test, type Test } from 'tap'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { runCommand } from '../kit/commands.ts'
import { startPostgres } from '../kit/postgres.ts'
import { signUp, spawnServer, type Settings } from '../kit/server.ts'

const idOf = (path: string) => `(SELECT id FROM folders WHERE path = '${path}')`

/** Each fault has a folder of its own, and is made, found as the folder or file that it is about, and undone. */
const faults: { what: string, of: RegExp[], make: string, undo: string }[] = [
  { what: 'the path of a folder is not that of its parent and its name', of: [/x1\/b/, /t1\/b\/c/], make: "folders SET path = 'x1/b' WHERE path = 't1/b'", undo: "folders SET path = 't1/b' WHERE path = 'x1/b'" },
  { what: 'the path of a folder in the root is not its name', of: [/\bx2\b/], make: "folders SET path = 'x2' WHERE path = 't2'", undo: "folders SET path = 't2' WHERE path = 'x2'" },
  { what: 'the parent of a folder is missing', of: [/t3\/b/], make: "folders SET parent_id = 999 WHERE path = 't3/b'", undo: `folders SET parent_id = ${idOf('t3')} WHERE path = 't3/b'` },
  { what: 'the parent of a folder is of another account', of: [/t4\/b/], make: `folders SET parent_id = ${idOf('theirs')} WHERE path = 't4/b'`, undo: `folders SET parent_id = ${idOf('t4')} WHERE path = 't4/b'` },
  { what: 'a folder is its own parent', of: [/\bt5\b/], make: "folders SET parent_id = id WHERE path = 't5'", undo: "folders SET parent_id = 0 WHERE path = 't5'" },
  { what: 'a folder is its own ancestor', of: [/\bt6\b/], make: `folders SET parent_id = ${idOf('t6/b/c')} WHERE path = 't6'`, undo: "folders SET parent_id = 0 WHERE path = 't6'" },
  { what: 'a file is in a folder that is missing', of: [/lost 7/], make: "files SET folder_id = 999 WHERE name = 'lost 7'", undo: `files SET folder_id = ${idOf('t7/b')} WHERE name = 'lost 7'` },
  { what: 'a file is in a folder of another account', of: [/lost 8/], make: `files SET folder_id = ${idOf('theirs')} WHERE name = 'lost 8'`, undo: `files SET folder_id = ${idOf('t8/b')} WHERE name = 'lost 8'` },
  { what: 'a file has the name of a folder', of: [/file \d+ .*t9\/b.* has the path of folder/], make: `files SET folder_id = ${idOf('t9')}, name = 'b', sort_key = 'B' WHERE name = 'lost 9'`, undo: `files SET folder_id = ${idOf('t9/b')}, name = 'lost 9', sort_key = 'LOST 19' WHERE name = 'b'` }
]

/** Makes the faults in a store that has some folders, and looks at what fsck says. `runSql` changes its database. */
async function checkFaults (t: Test, settings: Settings, runSql: (sql: string) => Promise<unknown>): Promise<void> {
  const server = await spawnServer(t, settings)
  const { token } = await signUp(server, 'ada')
  const other = await signUp(server, 'zoë')
  for (const [index] of faults.entries()) {
    for (const name of ['b/lost', 'b/c/other']) await server.send('PUT', `/uploads/t${index + 1}/${name} ${index + 1}`.replaceAll(' ', '%20'), { token, body: 'x' })
  }
  await server.send('PUT', '/api/folders/theirs', { token: other.token })
  await server.end('SIGTERM')

  for (const { make } of faults) await runSql(`UPDATE ${make}`)
  const { code, stdout, stderr } = await runCommand(['fsck', '--repair', '--json'], settings)
  t.strictSame([code, stderr], [1, ''])
  const found = stdout.trim().split('\n').map(line => JSON.parse(line) as { kind: string, detail: string, isRepaired: boolean })
  for (const { kind, isRepaired } of found) t.strictSame([kind, isRepaired], ['folder', false])
  for (const { what, of } of faults) {
    for (const pattern of of) t.ok(found.some(({ detail }) => pattern.test(detail)), `${what}: ${stdout}`)
  }
  for (const { undo } of faults) await runSql(`UPDATE ${undo}`)
  t.strictSame(await runCommand(['fsck'], settings), { code: 0, stdout: 'all is well\n', stderr: '' }, 'and then no more')

  for (const table of ['files', 'folders']) {
    await runSql(`UPDATE ${table} SET sort_key = 'x'`)
    t.match(await runCommand(['fsck'], settings), { code: 1, stdout: /^order: detail="\d\d files and folders/ })
    t.match(await runCommand(['fsck', '--repair'], settings), { code: 0, stdout: /\(repaired\)\n1 errors, 1 repaired\n$/ })
    await runSql(`UPDATE ${table} SET sort_key = NULL`)
    t.match(await runCommand(['fsck'], settings), { code: 0 }, 'what is missing is set by the start')
  }

  await runSql("INSERT INTO deletions (id, owner_id, kind, name, files, folders, size, deleted_at) SELECT 'd', min(id), 'many', '', 1, 0, 1, 1 FROM accounts")
  t.match(await runCommand(['fsck'], settings), { code: 1, stdout: /^trash: detail="1 deletions in the trash have wrong counts"\n/ })
  t.match(await runCommand(['fsck', '--repair'], settings), { code: 0, stdout: /\(repaired\)\n1 errors, 1 repaired\n$/ })
  t.match(await runCommand(['fsck'], settings), { code: 0 })

  await runSql('UPDATE accounts SET used_folders = used_folders + 7')
  const repaired = await runCommand(['fsck', '--repair'], settings)
  t.equal(repaired.code, 0)
  t.match(repaired.stdout, /recorded 18 bytes in 18 files, 34 folders,[^\n]*; stored 18 bytes in 18 files, 27 folders,[^\n]*\(repaired\)\n[^]*2 errors, 2 repaired\n$/)
  t.match(JSON.parse((await runCommand(['user', 'show', 'ada', '--json'], settings)).stdout), { usedFiles: 18, usedFolders: 27 })
}

test('fsck finds folders and files in the wrong place in SQLite', async t => {
  const settings = { DATA_DIR: t.testdir() }
  await checkFaults(t, settings, async sql => {
    const database = new Database(join(settings.DATA_DIR, 'magicstore.db'))
    database.exec(sql)
    database.close()
  })
})

test('fsck finds folders and files in the wrong place in PostgreSQL', async t => {
  const postgres = await startPostgres(t)
  const settings = { DATA_DIR: t.testdir(), DATABASE_URL: await postgres.newDatabase() }
  await checkFaults(t, settings, sql => postgres.run(settings.DATABASE_URL, sql))
})
