import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cp, lstat, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import t, { type Test } from 'tap'
import { takeRetentionLock } from '#src/metadata/sqlite/discarded-blobs.ts'
import {
  blobsIn, contentsOf, createStore, expectRefusal, filesIn, filesOfUser, forge, hasStrace, report, type User
} from '../kit/backups.ts'
import { commandOf } from '../kit/bin.ts'
import { runCommand } from '../kit/commands.ts'
import { sha256Of } from '../kit/digests.ts'
import { mountDisk } from '../kit/disks.ts'
import { execute } from '../kit/programs.ts'
import { root } from '../kit/root.ts'
import { openAt } from '../kit/sealed.ts'
import { type Client, issueToken, signUp, spawnServer, startServer } from '../kit/server.ts'
import { isProof, MIB, sizes } from '../kit/sizes.ts'
import { until } from '../kit/waiting.ts'

/** The versions and the trash of a user, after checking the bytes of the versions. */
async function keptOfUser (
  t: Test, client: Client, user: User
): Promise<{ versions: Record<string, unknown[]>, trash: { id: string, name: string, sha256: string }[] }> {
  const token = await issueToken(client, { user })
  const versions: Record<string, unknown[]> = {}
  for (const { name } of (await client.send('GET', '/api/files?limit=1000', { token })).json.files.map(({ name }: { name: string }) => ({ name: encodeURIComponent(name) }))) {
    const listed = (await client.send('GET', `/api/files/${name}/versions?limit=1000`, { token })).json.versions
    for (const { id, sha256 } of listed) t.equal(sha256Of((await client.send('GET', `/uploads/${name}?version=${id}`, { token })).bytes), sha256, `a version of ${name}`)
    if (listed.length > 0) versions[name] = listed
  }
  return { versions, trash: (await client.send('GET', '/api/trash?limit=1000', { token })).json.files }
}

t.test('a backup of a running server is restored elsewhere with the same accounts, tokens, names and bytes, and nothing that came later', async t => {
  const server = await spawnServer(t, { DATA_DIR: join(t.testdir(), 'data') })
  const [data, folder, target] = ['data', 'backup', 'restored'].map(name => join(t.testdirName, name)) as [string, string, string]
  const ada = await signUp(server, 'Ada')
  const zoe = await signUp(server, 'Zoë', 'Pä$$:wörd ')
  const { json: personal } = await server.send('POST', '/api/tokens', { user: ada.user, json: { name: 'kept', scopes: ['files:read'] } })
  for (const [name, body] of Object.entries({ 'report.pdf': 'the first', empty: '', ' "odd" %41 😀': 'odd', large: randomBytes(3 * MIB) })) {
    for (const { user } of [ada, zoe]) t.equal((await server.send('PUT', `/uploads/${encodeURIComponent(name)}`, { user, body })).status, 201)
  }
  for (const body of ['older', 'old', 'new']) await server.send('PUT', '/uploads/replaced', { user: ada.user, body })
  for (const body of ['before', 'last']) await server.send('PUT', '/uploads/deleted', { user: zoe.user, body })
  await server.send('DELETE', '/uploads/deleted', { user: zoe.user })
  const stateOf = async (client: Client, cursor = '') => {
    const { json: { files } } = await client.send('GET', '/api/files', { user: ada.user })
    const { json } = await client.send('GET', `/api/changes?${cursor === '' ? '' : `cursor=${cursor}`}`, { user: ada.user })
    return { ids: files.map(({ id }: { id: string }) => id) as string[], next: String(json.next), reason: json.reason }
  }
  const known = await stateOf(server)
  const before = await Promise.all([ada, zoe].map(({ user }) => filesOfUser(t, server, user)))
  const keptBefore = await Promise.all([ada, zoe].map(({ user }) => keptOfUser(t, server, user)))
  t.match(keptBefore, [{ versions: { replaced: { length: 2 } }, trash: { length: 0 } }, { versions: {}, trash: [{ name: 'deleted', versions: 1 }] }])

  const made = await runCommand(['backup', folder, '--prove'], { DATA_DIR: data })
  t.strictSame([made.code, made.stderr], [0, ''])
  t.match(made.stdout, /13 files of 2 accounts, 6291501 bytes, with versions and trash[^]*13 linked, 0 copied, 0 unchanged, 0 deleted[^]*signing keys[^]*tested[^]*warning: it is on the same disk as DATA_DIR/)

  await server.send('PUT', '/uploads/report.pdf', { user: ada.user, body: 'the second' })
  await server.send('DELETE', '/uploads/large', { user: zoe.user })
  await server.send('PUT', '/uploads/replaced', { user: ada.user, body: 'newest' })
  await server.send('DELETE', '/api/trash', { user: zoe.user })
  await server.send('PUT', '/uploads/later', { user: zoe.user, body: 'later' })
  await signUp(server, 'late')

  const restored = await runCommand(['restore', folder], { DATA_DIR: target })
  t.strictSame([restored.code, restored.stderr], [0, ''])
  t.match(restored.stdout, /13 files of 2 accounts, 6291501 bytes, with versions and trash/)
  t.strictSame(await runCommand(['fsck', '--deep'], { DATA_DIR: target }), { code: 0, stdout: 'all is well\n', stderr: '' })
  const again = await spawnServer(t, { DATA_DIR: target })
  t.strictSame(await Promise.all([ada, zoe].map(({ user }) => filesOfUser(t, again, user))), before)
  t.strictSame(await Promise.all([ada, zoe].map(({ user }) => keptOfUser(t, again, user))), keptBefore)
  t.equal((await again.send('POST', `/api/trash/${keptBefore[1]?.trash[0]?.id}/restore`, { user: zoe.user, json: { name: 'restored' } })).status, 200)
  t.equal((await again.send('GET', '/uploads/restored', { user: zoe.user })).text, 'last')
  t.match((await keptOfUser(t, again, zoe.user)).versions, { restored: [{ sha256: sha256Of(Buffer.from('before')) }] })
  for (const token of [ada.token, personal.token]) t.equal((await again.send('GET', '/uploads/report.pdf', { token })).text, 'the first')
  const now = await stateOf(again, known.next)
  t.match([known, now], [{ reason: 'first' }, { reason: 'restored' }])
  t.notOk(now.ids.some(id => known.ids.includes(id)), 'all ids are new')
  t.strictSame((await stateOf(again, now.next)).ids, now.ids)
  t.equal((await again.send('GET', '/api/resource', { user: ['late', 'correct horse battery'] })).status, 401)
  t.equal((await again.send('PUT', '/uploads/new', { user: ada.user, body: 'new' })).status, 201)

  // The bytes move to their place some time after the answer.
  await until(async () => (await readdir(join(target, 'incoming'))).length === 0)
  for (const root of [folder, target]) {
    for (const name of ['.', ...await readdir(root, { recursive: true })]) {
      const { mode, isDirectory } =
        await lstat(join(root, name)).then(stats => ({ mode: stats.mode & 0o777, isDirectory: stats.isDirectory() }))
      t.equal(mode.toString(8), isDirectory ? '700' : '600', name)
    }
  }
  const { snapshot } = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'))
  const checked = spawnSync('sha256sum', ['--check', '--quiet', `${snapshot}/SHA256SUMS`], { cwd: folder })
  t.equal(checked.status, 0, 'the digests are what sha256sum reads')
})

t.test('a second backup touches nothing that is there already, and takes away what is gone', async t => {
  const { folder: root, dataDir, user } = await createStore(t, { kept: 'kept', replaced: 'one', removed: 'gone' })
  const folder = join(root, 'backup')
  t.match(await report(['backup', folder], { DATA_DIR: dataDir }), { folder, files: 3, accounts: 1, bytes: 11, linked: 3, copied: 0, kept: 0, removed: 0, hasSigningKeys: true, isProven: false, isOnDataDisk: true })
  const first = await filesIn(folder)
  const server = await startServer(t, { DATA_DIR: dataDir, KEEP_DAYS: '0' })
  await server.send('PUT', '/uploads/replaced', { user, body: 'another' })
  await server.send('DELETE', '/uploads/removed', { user })
  await server.close()
  t.match(await report(['backup', folder, '--prove'], { DATA_DIR: dataDir }), { files: 2, bytes: 11, linked: 1, copied: 0, kept: 1, removed: 2, isProven: true })
  const second = await filesIn(folder)
  const kept = Object.keys(second).filter(path => path.startsWith('blobs/') && path in first)
  t.equal(kept.length, 1)
  for (const path of kept) t.match(second[path], { ino: first[path]?.ino, mtimeMs: first[path]?.mtimeMs })
  t.strictSame(await blobsIn(folder), await blobsIn(dataDir))
  t.strictSame((await readdir(folder)).map(name => name.replace(/-[0-9a-f]{8}$/, '')).sort(), ['blobs', 'installation', 'lock.db', 'manifest.json', 'snapshot'])
  t.strictSame((await readdir(join(folder, 'blobs'))).length, 2, 'no empty folder stays')
  await report(['restore', folder], { DATA_DIR: join(root, 'restored') })
  const again = await startServer(t, { DATA_DIR: join(root, 'restored') })
  t.strictSame(Object.keys(await filesOfUser(t, again, user)), ['kept', 'replaced'])
})

t.test('onto another file system the files are copied, once', async t => {
  const disk = await mountDisk(t, 'size=64m')
  if (disk === undefined) return
  const { folder: root, dataDir, user } = await createStore(t, { one: 'one', large: randomBytes(2 * MIB), empty: '' })
  // A new disk may already contain this.
  await mkdir(join(disk, 'lost+found'))
  t.match(await report(['backup', disk, '--prove'], { DATA_DIR: dataDir }), { linked: 0, copied: 3, kept: 0, isOnDataDisk: false })
  t.notMatch((await runCommand(['backup', disk], { DATA_DIR: dataDir })).stdout, 'warning')
  const first = await filesIn(join(disk, 'blobs'))
  t.match(await report(['backup', disk], { DATA_DIR: dataDir }), { linked: 0, copied: 0, kept: 3 })
  t.strictSame(await filesIn(join(disk, 'blobs')), first)
  await report(['restore', disk], { DATA_DIR: join(root, 'restored') })
  const server = await startServer(t, { DATA_DIR: join(root, 'restored') })
  t.strictSame(Object.keys(await filesOfUser(t, server, user)), ['empty', 'large', 'one'])
  await server.close()
  const other = await mountDisk(t, 'size=64m')
  if (other === undefined) return
  await mkdir(join(other, 'lost+found'))
  await report(['restore', disk], { DATA_DIR: other })
  t.strictSame(await blobsIn(other), await blobsIn(dataDir), 'also to where a disk is mounted')
})

t.test('files with the same bytes take the space of one, in a backup and where it is restored', async t => {
  const disk = await mountDisk(t, 'size=16m')
  if (disk === undefined) return
  const bytes = randomBytes(3 * MIB)
  const { dataDir } = await createStore(t, Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`equal ${index}`, bytes])))
  const isOne = async (folder: string) => t.match(Object.values(await filesIn(join(folder, 'blobs'))), Array(9).fill({ nlink: 9, sha256: sha256Of(bytes) }))
  const { snapshot, ...counts } = await report(['backup', join(disk, 'backup'), '--prove'], { DATA_DIR: dataDir })
  t.match(counts, { linked: 8, copied: 1 })
  await isOne(join(disk, 'backup'))
  await report(['restore', join(disk, 'backup')], { DATA_DIR: join(disk, 'restored') })
  await isOne(join(disk, 'restored'))
  t.match(await runCommand(['fsck', '--deep'], { DATA_DIR: join(disk, 'restored') }), { code: 0 })

  await rm(join(disk, 'restored'), { recursive: true })
  await writeFile(join(disk, 'outside'), randomBytes(3 * MIB))
  await forge(join(disk, 'backup'), snapshot, database => {
    const path = relative(join(disk, 'restored/restoring'), join(disk, 'outside'))
    database.exec(`INSERT INTO kept (id, owner_id, file_id, size, type, sha256, stored_at, kept_at)
      SELECT '${path}', owner_id, 99, size, type, sha256, 1, 1 FROM files LIMIT 1`)
  })
  await report(['restore', join(disk, 'backup')], { DATA_DIR: join(disk, 'restored') })
  await isOne(join(disk, 'restored'))
})

t.test('a file system that makes no links gets copies, and its backup is proven by copies', { skip: hasStrace ? false : 'strace is not installed' }, async t => {
  const { folder: root, dataDir } = await createStore(t, { one: 'one', empty: '' })
  const folder = join(root, 'backup')
  const { stdout } = await execute(...commandOf(['backup', folder, '--prove', '--json'], { DATA_DIR: dataDir }, { under: ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=link', '-e', 'inject=link:error=EPERM'] }))
  t.match(JSON.parse(stdout), { linked: 0, copied: 2, isProven: true })
  for (const [path, { nlink }] of Object.entries(await filesIn(folder))) t.equal(nlink, 1, path)
  await report(['restore', folder], { DATA_DIR: join(root, 'restored') })
  t.strictSame(await contentsOf(join(root, 'restored/blobs')), await contentsOf(join(dataDir, 'blobs')))
})

t.test('a store without files, one that never served and one whose server was killed are backed up', async t => {
  const folder = t.testdir()
  const settings = { DATA_DIR: join(folder, 'data') }
  const { accounts, close } = await openAt(t, settings)
  await accounts.add({ username: 'ann', password: 'pwd' })
  await close()
  t.match(await report(['backup', join(folder, 'backup'), '--prove'], settings), { files: 0, bytes: 0, accounts: 1, hasSigningKeys: false })
  t.match(await report(['restore', join(folder, 'backup')], { DATA_DIR: join(folder, 'first') }), { files: 0, accounts: 1, hasSigningKeys: false })
  const server = await spawnServer(t, settings)
  const user: User = ['ann', 'pwd']
  await server.send('PUT', '/uploads/a', { user, body: 'in the log alone' })
  for (let count = 0; count < 10; count++) await server.send('GET', '/api/token', { user: ['ann', 'wrong'] })
  t.equal((await server.send('GET', '/api/token', { user })).status, 429)
  await server.end('SIGKILL')
  t.match(await report(['backup', join(folder, 'backup'), '--prove'], settings), { files: 1, hasSigningKeys: true })
  await report(['restore', join(folder, 'backup')], { DATA_DIR: join(folder, 'second') })
  const again = await startServer(t, { DATA_DIR: join(folder, 'second') })
  t.equal((await again.send('GET', '/uploads/a', { user })).text, 'in the log alone', 'failed attempts are not restored')
})

t.test('keys of SIGNING_KEYS are in no backup, which says so, and tokens stay valid where they are set again', async t => {
  const keys = { SIGNING_KEYS: `here:${'0123456789abcdef'.repeat(3)}` }
  const { folder: root, dataDir, token } = await createStore(t, { a: 'a' }, keys)
  const folder = join(root, 'backup')
  const { stdout: made } = await runCommand(['backup', folder], { DATA_DIR: dataDir, ...keys })
  t.match(made, 'without signing keys')
  t.notMatch(made, 'SEALING_KEYS')
  t.notOk(Object.keys(await filesIn(folder)).some(path => path.endsWith('signing-keys')))
  const { stdout: restored } = await runCommand(['restore', folder], { DATA_DIR: join(root, 'restored') })
  t.match(restored, 'SIGNING_KEYS')
  t.notMatch(restored, /sealing keys|recovery codes|links that/, 'nothing of second factors and links, which it has not')
  const server = await startServer(t, { DATA_DIR: join(root, 'restored'), ...keys })
  t.equal((await server.send('GET', '/uploads/a', { token })).text, 'a')
})

t.test('a data folder of an older format is backed up as it is, and brought up to date where it is restored', async t => {
  const folder = t.testdir()
  await execute('tar', ['--extract', '--gzip', '--file', join(root, 'test/fixtures/0000.tar.gz'), '--directory', folder])
  const settings = { DATA_DIR: join(folder, 'data') }
  t.match(await report(['backup', join(folder, 'backup'), '--prove'], settings), { files: 12, accounts: 2 })
  await cp(join(folder, 'backup'), join(folder, 'before'), { recursive: true })
  t.match(await report(['restore', join(folder, 'backup'), '--user', 'Ada', '--to', join(folder, 'out')], settings), { restored: 6 })
  t.strictSame(await contentsOf(join(folder, 'backup')), await contentsOf(join(folder, 'before')))
  t.notOk((await readdir(join(folder, 'data'))).some(name => name.startsWith('magicstore.db.before')), 'the folder was not touched')
  await report(['restore', join(folder, 'backup')], { DATA_DIR: join(folder, 'restored') })
  const server = await startServer(t, { DATA_DIR: join(folder, 'restored') })
  t.equal(Object.keys(await filesOfUser(t, server, ['Ada', 'pwd'])).length, 6)
  t.ok((await readdir(join(folder, 'restored'))).some(name => name.startsWith('magicstore.db.before')))
})

t.test('a backup made under load is whole and of one moment, and what it kept is gone after it', { timeout: 900_000 }, async t => {
  const { folder, dataDir, user } = await createStore(t, {})
  const server = await spawnServer(t, { DATA_DIR: dataDir, RATE_LIMIT_PER_MINUTE: '0', LOG_LEVEL: 'silent', KEEP_VERSIONS: '0' })
  const end = new AbortController()
  const done = Array.from({ length: isProof ? 6 : 3 }, () => 0)
  const working = Promise.all(done.map(async (_, worker) => {
    const token = await issueToken(server, { user })
    for (let count = 1; !end.signal.aborted; count++) {
      for (const name of ['first', 'second']) {
        const { status } = await server.send('PUT', `/uploads/${name}-${worker}`, { token, body: String(count) })
        if (status >= 300) throw new Error(`an upload was answered with ${status}`)
      }
      done[worker] = count
    }
  }))
  for (let round = 0; round < sizes.backupRounds; round++) {
    await until(() => done.every(count => count > 0))
    const [backup, target, from] = [join(folder, 'backup'), join(folder, `restored-${round}`), [...done]]
    await report(['backup', backup, ...(round % 3 === 2 ? [] : ['--prove'])], { DATA_DIR: dataDir })
    const to = [...done]
    await report(['restore', backup], { DATA_DIR: target })
    t.strictSame(await runCommand(['fsck', '--deep'], { DATA_DIR: target }), { code: 0, stdout: 'all is well\n', stderr: '' })
    const restored = await startServer(t, { DATA_DIR: target })
    for (const worker of done.keys()) {
      const [first, second] = await Promise.all(['first', 'second'].map(async name => Number((await restored.send('GET', `/uploads/${name}-${worker}`, { user })).text)))
      t.ok(first === second || first === Number(second) + 1, `of one moment: ${first} and ${second}`)
      t.ok(Number(from[worker]) <= Number(second) && Number(second) <= Number(to[worker]) + 1, 'what was acknowledged then')
    }
    await restored.close()
    t.ok(to.some((count, worker) => count > Number(from[worker])), 'something happened during the backup')
  }
  end.abort()
  await working
  t.equal(await server.end('SIGTERM'), 0)
  await (await startServer(t, { DATA_DIR: dataDir, KEEP_VERSIONS: '0' })).close()
  t.equal((await blobsIn(dataDir)).length, 2 * done.length)
})

t.test('bytes that a backup needs stay when their file is replaced, deleted or its owner leaves, also through a restart, and go afterwards', async t => {
  const { dataDir, user } = await createStore(t, { replaced: 'one', deleted: 'two', kept: 'three' })
  const before = await blobsIn(dataDir)
  const lock = takeRetentionLock(join(dataDir, 'magicstore.db'))
  t.teardown(() => lock.close())
  const settings = { DATA_DIR: dataDir, KEEP_DAYS: '0' }
  const server = await startServer(t, settings)
  await server.send('PUT', '/uploads/replaced', { user, body: 'another' })
  await server.send('DELETE', '/uploads/deleted', { user })
  const leaving = await signUp(server, 'leaving')
  await server.send('PUT', '/uploads/a', { user: leaving.user, body: 'four' })
  await server.send('DELETE', '/api/account', { user: leaving.user })
  await server.close()
  t.equal((await blobsIn(dataDir)).length, 5)
  // A crash before the commit leaves a replaced blob here.
  const [moved = ''] = Object.entries(await contentsOf(join(dataDir, 'blobs'))).find(([, sha256]) => sha256 === sha256Of(Buffer.from('one'))) ?? []
  await rename(join(dataDir, 'blobs', moved), join(dataDir, 'incoming', moved.slice('00/'.length)))
  const again = await startServer(t, settings)
  const all = [...await blobsIn(dataDir), ...await readdir(join(dataDir, 'incoming'))]
  t.strictSame(before.filter(id => !all.includes(id)), [], 'none is gone')
  t.strictSame(await runCommand(['fsck', '--deep'], { DATA_DIR: dataDir }), { code: 0, stdout: 'all is well\n', stderr: '' }, 'and none is foreign')
  await expectRefusal(t, ['backup', join(dataDir, '../backup')], { DATA_DIR: dataDir })
  lock.close()
  await again.send('DELETE', '/uploads/kept', { user })
  await again.close()
  t.equal((await blobsIn(dataDir)).length, 1)
  t.strictSame(await readdir(join(dataDir, 'incoming')), [])
  await writeFile(join(dataDir, 'magicstore.db-hold'), 'not what it should be. '.repeat(100))
  await t.rejects(startServer(t, settings), 'a damaged lock is not taken for one')
})
