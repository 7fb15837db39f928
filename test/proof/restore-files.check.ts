import { randomBytes } from 'node:crypto'
import { readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { blobsIn, contentsOf, createStore, expectRefusal, filesIn, forge, report } from '../kit/backups.ts'
import { runCommand } from '../kit/commands.ts'
import { sha256Of } from '../kit/digests.ts'
import { startPostgres } from '../kit/postgres.ts'
import { credentials, openS3 } from '../kit/s3.ts'
import { openAt } from '../kit/sealed.ts'
import { signUp, spawnServer, startServer, type Settings } from '../kit/server.ts'
import { MIB } from '../kit/sizes.ts'

// The AWS SDK reads its credentials from the environment.
Object.assign(process.env, credentials)

async function addAccount (settings: Settings, username: string): Promise<void> {
  const { accounts, close } = await openAt(t, settings)
  await accounts.add({ username, password: 'a longer secret' })
  await close()
}

t.test('a file of which no version would be kept is not replaced', async t => {
  const { folder: root, dataDir, token } = await createStore(t, { changed: 'before', gone: 'before' })
  const folder = join(root, 'backup')
  await report(['backup', folder], { DATA_DIR: dataDir })
  for (const setting of ['KEEP_DAYS', 'KEEP_VERSIONS']) {
    const settings = { DATA_DIR: dataDir, [setting]: '0' }
    const server = await startServer(t, settings)
    await server.send('PUT', '/uploads/changed', { token, body: 'after' })
    await server.send('DELETE', '/uploads/gone?permanent=true', { token })
    const { code, stdout } = await runCommand(['restore', folder, '--user', 'ada'], settings)
    t.match({ code, stdout }, { code: 1, stdout: /1 restored, 0 replaced, 0 unchanged, 1 failed[^]*"changed": it would replace [^\n]* --to\n$/ }, setting)
    t.equal((await server.send('GET', '/uploads/changed', { token })).text, 'after')
    t.equal((await server.send('GET', '/uploads/gone', { token })).text, 'before')
    await server.close()
  }
})

t.test('a wrong file is deleted, and put back into PostgreSQL and a bucket while the server runs', async t => {
  const postgres = await startPostgres(t)
  const s3 = await openS3(t, join(t.testdir(), 'bucket'))
  const settings = { DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url(), ...credentials }
  const folder = join(t.testdirName, 'backup')
  const server = await spawnServer(t, settings)
  const [ada, bob] = [await signUp(server, 'Ada'), await signUp(server, 'bob')]
  const bytes = randomBytes(2 * MIB)
  const send = (method: string, name: string, body?: string | Buffer) =>
    server.send(method, `/uploads/${encodeURIComponent(name)}`, { token: ada.token, ...(body !== undefined && { body, headers: { 'content-type': 'text/x-of-ada' } }) })
  for (const [name, body] of [['report ü.pdf', bytes], ['kept', 'kept'], ['changed', 'before']] as const) await send('PUT', name, body)
  const dated = { 'x-file-modified': '2001-02-03T04:05:06.789Z' }
  for (const name of ['reports/2026/q1.pdf', 'reports/q2.pdf', 'reports2']) await server.send('PUT', `/uploads/${name}`, { token: ada.token, body: name, headers: dated })
  await server.send('PUT', '/uploads/kept', { token: bob.token, body: 'of bob' })
  const { code } = await runCommand(['backup', folder, '--keep', '2'], settings)
  t.equal(code, 0)
  t.equal((await send('DELETE', 'report ü.pdf')).status, 204)
  await send('PUT', 'changed', 'after')
  await send('PUT', 'later', 'later')
  await server.send('DELETE', '/uploads/kept', { token: bob.token })

  const one = await runCommand(['restore', folder, '--user', 'ADA', '--file', 'report u\u0308.pdf'], settings)
  t.match(one, { code: 0, stderr: '', stdout: /restored files of Ada as of [^\n]* to the store[^]*1 restored, 0 replaced, 0 unchanged, 0 failed, 2097152 bytes\n$/ })
  const back = await send('GET', 'report ü.pdf')
  t.ok(back.bytes.equals(bytes), 'the same bytes')
  t.equal(back.headers['content-type'], 'text/x-of-ada')
  t.equal((await send('GET', 'changed')).text, 'after', 'others are as they were')
  await server.send('DELETE', '/api/folders/reports?recursive=true&permanent=true', { token: ada.token })
  await send('DELETE', 'reports2')
  const deep = await runCommand(['restore', folder, '--user', 'ada', '--file', 'reports/2026/q1.pdf', '--json'], settings)
  t.match(JSON.parse(deep.stdout), { restored: 1, failed: { length: 0 } })
  const { json } = await server.send('GET', '/api/files/reports%2F2026%2Fq1.pdf', { token: ada.token })
  t.match(json, { name: 'reports/2026/q1.pdf', modifiedAt: dated['x-file-modified'] })
  const inFolder = await runCommand(['restore', folder, '--user', 'ada', '--file', 'reports', '--json'], settings)
  t.match(JSON.parse(inFolder.stdout), { restored: 1, unchanged: 1, failed: { length: 0 } })
  t.equal((await send('GET', 'reports/q2.pdf')).text, 'reports/q2.pdf')
  t.equal((await send('GET', 'reports2')).status, 404)
  const all = await runCommand(['restore', folder, '--user', 'ada', '--json'], settings)
  t.match(JSON.parse(all.stdout), { user: 'Ada', restored: 1, replaced: 1, unchanged: 4, bytes: 14, failed: { length: 0 } })
  t.equal((await send('GET', 'changed')).text, 'before')
  t.equal((await send('GET', 'later')).text, 'later')
  const { json: { versions } } = await server.send('GET', '/api/files/changed/versions', { token: ada.token })
  t.equal(versions.length, 2, 'what was replaced is a version')
  t.equal((await server.send('GET', '/uploads/kept', { token: bob.token })).status, 404, 'of the other account nothing is restored')
  await server.end('SIGTERM')
  const { stdout } = await runCommand(['fsck', '--deep'], settings)
  t.equal(stdout, 'all is well\n')
  s3.fault = ({ method, key }) => method === 'PUT' && /[0-9a-f]{32}$/.test(key) ? { status: 500, code: 'InternalError' } : undefined
  await expectRefusal(t, ['restore', folder, '--user', 'bob'], settings, { why: 'the bucket can\'t be used' })
  s3.fault = () => undefined
  t.match(await report(['restore', folder, '--user', 'bob'], settings), { restored: 1 })
})

t.test('files are written to a folder under their own names, whatever these are, and a forged backup writes nowhere else', async t => {
  const long = ['x', 'y', 'z'].map(letter => letter.repeat(200)).join('/')
  const names = ['a', 'a.new', '...', '-rf', 'ä'.repeat(127), ' "odd" %41 😀', 'lost+found', 'empty', 'b/a', 'b/c/a', 'b/c/lost+found', 'ä/ö', long]
  const contents = Object.fromEntries(names.map(name => [name, name === 'empty' ? '' : `bytes of ${name}`]))
  const { folder: root, dataDir } = await createStore(t, contents)
  const [settings, folder, target] = [{ DATA_DIR: dataDir }, join(root, 'backup'), join(root, 'a/new/place')]
  const { snapshot } = await report(['backup', folder], settings)
  // The store is not needed.
  const lost = { DATA_DIR: join(root, 'lost') }
  const restore = ['restore', folder, '--user', 'ada', '--to']
  t.match(await report([...restore, target], lost), { folder: target, restored: names.length, failed: { length: 0 } })
  t.strictSame(await contentsOf(target), Object.fromEntries(names.map(name => [name, sha256Of(Buffer.from(contents[name] ?? ''))])))
  for (const { nlink } of Object.values(await filesIn(target))) t.equal(nlink, 1, 'no file is one of the backup')
  for (const [name, mode] of [['a', 0o600], ['b/c', 0o700]] as const) t.equal((await stat(join(target, name))).mode & 0o777, mode, name)
  await expectRefusal(t, [...restore, target], lost, { says: /[^\n]*is not empty[^\n]*/ })
  const one = await runCommand([...restore, join(root, 'one'), '--file', '...'], lost)
  t.match(one, { code: 0, stdout: new RegExp(`to ${join(root, 'one')} in`) })
  t.strictSame(await readdir(join(root, 'one')), ['...'])
  t.match(await report([...restore, join(root, 'some'), '--file', 'b'], settings), { restored: 3 })
  t.strictSame(Object.keys(await contentsOf(join(root, 'some'))).sort(), ['b/a', 'b/c/a', 'b/c/lost+found'])

  const forged = ['../out', '/out', 'b//c', 'b/.', 'a', 'a/b', 'x'.repeat(300)]
  await forge(folder, snapshot, database => {
    const { owner_id: owner } = database.prepare('SELECT owner_id FROM files').get() as { owner_id: number }
    const addFolder = database.prepare('INSERT INTO folders (owner_id, parent_id, name, path, created_at) VALUES (?, 0, ?, ?, 1)')
    const addFile = database.prepare("INSERT INTO files (owner_id, folder_id, name, size, type, sha256, blob_id, created_at, updated_at) SELECT owner_id, ?, ?, size, type, sha256, ?, 1, 1 FROM files WHERE name = 'a' AND folder_id = 0")
    for (const [index, path] of forged.entries()) addFile.run(addFolder.run(owner, path, path).lastInsertRowid, 'evil', `${index}`.padStart(32, '0'))
    addFile.run(0, 'null\0', 'e'.repeat(32))
    addFile.run(0, '../../out', 'f'.repeat(32))
  })
  for (const args of [['--to', join(root, 'bad')], []]) {
    const { code, stdout, stderr } = await runCommand(['restore', folder, '--user', 'ada', ...args, '--json'], settings)
    t.strictSame([code, stderr], [1, ''])
    const { restored, unchanged, failed } = JSON.parse(stdout)
    t.equal(restored + unchanged, names.length)
    t.strictSame(failed.filter(({ reason }: { reason: string }) => /is missing|digest/.test(reason)), [], 'refused before its bytes are read')
    t.strictSame(failed.map(({ name }: { name: string }) => name).sort(), [...forged.map(path => `${path}/evil`), 'null\0', '../../out'].sort())
  }
  t.strictSame(await contentsOf(join(root, 'bad')), await contentsOf(target))
  t.strictSame((await readdir(root)).sort(), ['a', 'backup', 'bad', 'data', 'one', 'some'])
})

t.test('a file that is damaged, missing or forged does not stop the others', async t => {
  const { folder: root, dataDir, token } = await createStore(t, { one: 'the first', two: 'the second', three: 'the third', four: 'the fourth' })
  const [settings, folder] = [{ DATA_DIR: dataDir }, join(root, 'backup')]
  const { snapshot } = await report(['backup', folder], settings)
  const path = join(folder, snapshot, 'magicstore.db')
  let [one, two] = ['', '']
  await forge(folder, snapshot, database => {
    const blobOf = (name: string) => String(database.prepare('SELECT blob_id FROM files WHERE name = ?').pluck().get(name))
    const place = (name: string) => join(folder, 'blobs', blobOf(name).slice(0, 2), blobOf(name));
    [one, two] = [place('one'), place('two')]
    database.exec("UPDATE files SET name = '..' WHERE name = 'three'")
  })
  await rm(one)
  await writeFile(one, 'thE first')
  await rm(two)
  for (const args of [['--to', join(root, 'out')], []]) {
    const { code, stdout, stderr } = await runCommand(['restore', folder, '--user', 'ada', ...args], settings)
    t.strictSame([code, stderr], [1, ''])
    t.match(stdout, /failed: "\.\.": it has a name that no file can have|failed: "\.\.": A segment is /)
    if (args.length > 0) t.match(stdout, /1 restored, 0 replaced, 0 unchanged, 3 failed[^]*failed: "one": [^\n]*does not have its digest[^]*failed: "two": [^\n]*is missing/)
    else t.match(stdout, /0 restored, 0 replaced, 3 unchanged, 1 failed/, 'what the store has is not read from the backup')
  }
  t.strictSame(await readdir(join(root, 'out')), ['four'])
  const server = await startServer(t, settings)
  for (const name of ['one', 'two']) await server.send('PUT', `/uploads/${name}`, { token, body: 'other' })
  const { code, stdout } = await runCommand(['restore', folder, '--user', 'ada', '--json'], settings)
  t.equal(code, 1)
  t.match(JSON.parse(stdout), { restored: 0, replaced: 0, unchanged: 1, failed: [{ name: '..' }, { name: 'one', reason: /digest/ }, { name: 'two', reason: /missing/ }] })
  for (const name of ['one', 'two']) t.equal((await server.send('GET', `/uploads/${name}`, { token })).text, 'other', 'nothing damaged takes the place of a file')
  await rm(path)
  await expectRefusal(t, ['restore', folder, '--user', 'ada'], settings, { says: /[^\n]*magicstore.db is missing[^\n]*/ })
})

t.test('bytes that the store has lost are put back, and the quota counts', async t => {
  const { folder: root, dataDir } = await createStore(t, { one: 'the first', two: 'the second' })
  const [settings, folder] = [{ DATA_DIR: dataDir }, join(root, 'backup')]
  await report(['backup', folder], settings)
  const [lost = ''] = await blobsIn(dataDir)
  await rm(join(dataDir, 'blobs', lost.slice(0, 2), lost))
  t.match(await runCommand(['fsck'], settings), { code: 1 })
  t.match(await report(['restore', folder, '--user', 'ada'], settings), { replaced: 1, unchanged: 1 })
  await runCommand(['trash', 'empty', '--all', '--yes'], settings)
  await addAccount(settings, 'bob')
  await runCommand(['user', 'quota', 'bob', '--files', '1'], settings)
  const { code, stdout } = await runCommand(['restore', folder, '--user', 'ada', '--as', 'bob'], settings)
  t.equal(code, 1)
  t.match(stdout, /1 restored, 0 replaced, 0 unchanged, 1 failed[^]*failed: "two": [^\n]*files/)
})

t.test('an account that is gone, or whose name another one has, gets no files unless it is named', async t => {
  const { folder: root, dataDir } = await createStore(t, { one: 'the first' })
  const [settings, folder] = [{ DATA_DIR: dataDir }, join(root, 'backup')]
  await report(['backup', folder, '--keep', '2'], settings)
  await runCommand(['user', 'rm', 'ada', '--yes'], settings)
  const restore = ['restore', folder, '--user', 'ada']
  await expectRefusal(t, restore, settings, { says: /there is no account ada in the store: create one with magicstore user add ada and restore with --as ada, or restore to a folder with --to/ })
  await addAccount(settings, 'ada')
  await expectRefusal(t, restore, settings, { says: /the account ada in the store is another than in the backup, created at [^\n]*: restore into it with --as ada, or to a folder with --to/ })
  await expectRefusal(t, [...restore, '--as', 'eve'], settings, { says: /there is no account eve in the store[^\n]*/ })
  t.match(await report([...restore, '--to', join(root, 'out')], settings), { restored: 1 })
  t.match(await report([...restore, '--as', 'ada'], settings), { restored: 1 })
  const { snapshot: empty } = await report(['backup', folder, '--keep', '3'], settings)
  await runCommand(['user', 'rm', 'ada', '--yes'], settings)
  await addAccount(settings, 'ada')
  const { snapshot } = await report(['backup', folder, '--keep', '3'], settings)
  await expectRefusal(t, [...restore, '--file', 'one'], settings, { says: new RegExp(`there is no file or folder "one" of ada in ${snapshot}; it is in ${empty} of [^\\n,]*, snapshot-\\w+ of [^\\n,]*`) })
  await rm(join(folder, empty, 'magicstore.db'))
  await expectRefusal(t, [...restore, '--file', 'one'], settings, { says: /[^\n]*; it is in snapshot-\w+ of [^\n,]*/ })
  await rm(join(folder, empty, 'manifest.json'))
  await expectRefusal(t, [...restore, '--file', 'one'], settings, { says: /[^\n]*; it is in snapshot-\w+ of [^\n,]*/ })
  await expectRefusal(t, restore, { DATA_DIR: join(root, 'none') }, { expected: 2, says: /DATA_DIR: there is no database[^\n]*/ })
})
