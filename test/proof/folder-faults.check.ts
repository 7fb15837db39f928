import { join } from 'node:path'
import { test, type Test } from 'tap'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { startPostgres } from '../kit/postgres.ts'
import { runBin, signUp, spawnServer, type Settings } from '../kit/server.ts'

/** Each fault, how it is made and undone, and the folders and files that it is about. */
const faults: { what: string, make: string, undo: string, of: RegExp[] }[] = [
  { what: 'the path of a folder is not that of its parent and its name', make: "UPDATE folders SET path = 'x/b' WHERE path = 'a/b'", undo: "UPDATE folders SET path = 'a/b' WHERE path = 'x/b'", of: [/x\/b/, /a\/b\/c/] },
  { what: 'the path of a folder in the root is not its name', make: "UPDATE folders SET path = 'e' WHERE path = 'd'", undo: "UPDATE folders SET path = 'd' WHERE path = 'e'", of: [/\be\b/] },
  { what: 'the parent of a folder is missing', make: "UPDATE folders SET parent_id = 999 WHERE path = 'a/b'", undo: "UPDATE folders SET parent_id = (SELECT id FROM folders WHERE path = 'a') WHERE path = 'a/b'", of: [/a\/b/] },
  { what: 'the parent of a folder is of another account', make: "UPDATE folders SET parent_id = (SELECT id FROM folders WHERE path = 'theirs') WHERE path = 'a/b'", undo: "UPDATE folders SET parent_id = (SELECT id FROM folders WHERE path = 'a') WHERE path = 'a/b'", of: [/a\/b/] },
  { what: 'a folder is its own parent', make: "UPDATE folders SET parent_id = id WHERE path = 'd'", undo: "UPDATE folders SET parent_id = 0 WHERE path = 'd'", of: [/\bd\b/] },
  { what: 'a folder is its own ancestor', make: "UPDATE folders SET parent_id = (SELECT id FROM folders WHERE path = 'a/b/c') WHERE path = 'a'", undo: "UPDATE folders SET parent_id = 0 WHERE path = 'a'", of: [/\ba\b/] },
  { what: 'a file is in a folder that is missing', make: "UPDATE files SET folder_id = 999 WHERE name = 'lost.txt'", undo: "UPDATE files SET folder_id = (SELECT id FROM folders WHERE path = 'a/b') WHERE name = 'lost.txt'", of: [/lost\.txt/] },
  { what: 'a file is in a folder of another account', make: "UPDATE files SET folder_id = (SELECT id FROM folders WHERE path = 'theirs') WHERE name = 'lost.txt'", undo: "UPDATE files SET folder_id = (SELECT id FROM folders WHERE path = 'a/b') WHERE name = 'lost.txt'", of: [/lost\.txt/] }
]

/** Makes each fault in a store that has some folders, and looks at what fsck says. `runSql` changes its database. */
async function checkFaults (t: Test, settings: Settings, runSql: (sql: string) => Promise<unknown>): Promise<void> {
  const server = await spawnServer(t, settings)
  const { token } = await signUp(server, 'ada')
  const other = await signUp(server, 'zoë')
  for (const name of ['a/b/lost.txt', 'a/b/c/other.txt', 'd/e.txt']) await server.send('PUT', `/uploads/${name}`, { token, body: name })
  await server.send('PUT', '/api/folders/theirs', { token: other.token })
  await server.end('SIGTERM')
  t.strictSame(await runBin(['fsck'], settings), { code: 0, stdout: 'all is well\n', stderr: '' })

  for (const { what, make, undo, of } of faults) {
    await runSql(make)
    const { code, stdout, stderr } = await runBin(['fsck', '--repair', '--json'], settings)
    t.strictSame([code, stderr], [1, ''], what)
    const found = stdout.trim().split('\n').map(line => JSON.parse(line) as { kind: string, detail: string, isRepaired: boolean })
    for (const { kind, isRepaired } of found) t.strictSame([kind, isRepaired], ['folder', false], what)
    for (const pattern of of) t.ok(found.some(({ detail }) => pattern.test(detail)), `${what}: ${stdout}`)
    await runSql(undo)
    t.strictSame(await runBin(['fsck'], settings), { code: 0, stdout: 'all is well\n', stderr: '' }, `${what}, but no more`)
  }

  await runSql('UPDATE accounts SET used_folders = used_folders + 7')
  const { code, stdout } = await runBin(['fsck', '--repair'], settings)
  t.equal(code, 0)
  t.match(stdout, /recorded 34 bytes in 3 files, 11 folders,[^\n]*; stored 34 bytes in 3 files, 4 folders,[^\n]*\(repaired\)\n[^]*2 errors, 2 repaired\n$/)
  t.match(JSON.parse((await runBin(['user', 'show', 'ada', '--json'], settings)).stdout), { usedFiles: 3, usedFolders: 4 })
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
