import fs, { appendFileSync, type FSWatcher } from 'node:fs'
import { chmod, readFile, stat, unlink, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { test } from 'tap'
import { progressText } from '#src/commands/sync-progress.ts'
import { reasonText, sizeText } from '#src/commands/sync-words.ts'
import { createDiskActs } from '#src/sync/disk-acts.ts'
import { openFolderDisk } from '#src/sync/folder-disk.ts'
import { conflictName, isPossible } from '#src/sync/names.ts'
import { pauseAfter, RemoteError, type Disk } from '#src/sync/ports.ts'
import { createHttpRemote, timeOf } from '#src/sync/remote.ts'
import { openState } from '#src/sync/state.ts'
import { Watch } from '#src/sync/watch.ts'
import { driveOf } from './kit/drive.ts'
import { sha256Of } from './kit/digests.ts'
import { sharedServer } from './kit/server.ts'
import { createModelDisk, portOf } from './sync/model-disk.ts'

// What test/sync-model.test.ts and test/proof/sync.check.ts can't show: single rules with odd values.

test('a watch of a folder that fails is given up, and made again before the next wait', t => {
  const { watch } = fs
  const watchers: FSWatcher[] = []
  fs.watch = ((...args: Parameters<typeof watch>) => {
    const watcher = watch(...args)
    watchers.push(watcher)
    return watcher
  }) as typeof watch
  syncBuiltinESMExports()
  t.teardown(() => {
    fs.watch = watch
    syncBuiltinESMExports()
  })
  const folders = new Watch(t.testdir())
  t.teardown(() => folders.close())
  const wait = () => { void folders.wait({ base: new Map(), cursor: '' }, { wait: async () => true }) }
  wait()
  wait()
  t.equal(watchers.length, 1)
  watchers[0]?.emit('error', new Error('EPERM'))
  wait()
  t.equal(watchers.length, 2)
  t.end()
})

test('a conflict name has the digest of the bytes, replaces an older one, and is at most 255 bytes long', async t => {
  const digest = '3fa9c1d2'.repeat(8)
  for (const [name, copy, expected] of [
    ['report.pdf', 1, 'report (conflict 3fa9c1d2).pdf'],
    ['report.pdf', 2, 'report (conflict 3fa9c1d2) 2.pdf'],
    ['report (conflict 00000000) 7.tar.gz', 1, 'report (conflict 00000000) 7.tar (conflict 3fa9c1d2).gz'],
    ['report (conflict 00000000) 7.pdf', 1, 'report (conflict 3fa9c1d2).pdf'],
    ['.profile', 1, '.profile (conflict 3fa9c1d2)'],
    [`${'ä'.repeat(120)}.pdf`, 1, `${'ä'.repeat(115)} (conflict 3fa9c1d2).pdf`],
    [`x.${'y'.repeat(250)}`, 1, 'x (conflict 3fa9c1d2)']
  ] as const) t.equal(conflictName(name, digest, copy), expected)
})

test('a name that leads elsewhere is left alone, and so is one that Windows can\'t have, on Windows', async t => {
  for (const name of ['', '.', '..', 'a/b', 'a\\b', 'a\0']) t.notOk(isPossible(name), JSON.stringify(name))
  for (const name of ['con', 'Con.txt', 'a:b', 'a.', 'a ', 'lpt1']) {
    t.ok(isPossible(name, 'linux'), name)
    t.notOk(isPossible(name, 'win32'), name)
  }
  t.ok(isPossible('console', 'win32'))
})

test('sizes, times and reasons can be read', async t => {
  for (const [bytes, text] of [[0, '0 bytes'], [999, '999 bytes'], [1000, '1.0 kB'], [12_345, '12 kB'], [5e9, '5.0 GB'], [7e16, '70000 TB']] as const) {
    t.equal(sizeText(bytes), text)
  }
  const done = { acts: 1, plannedActs: 4, bytes: 0, plannedBytes: 0 }
  t.equal(progressText({ ...done, seconds: 10 }), '1 of 4, 30 s left')
  t.equal(progressText({ ...done, bytes: 1e6, plannedBytes: 1e7, seconds: 60 }), '1 of 4, 1.0 MB of 10 MB, 9 min left')
  t.equal(progressText({ ...done, bytes: 1e6, plannedBytes: 1e9, seconds: 60 }), '1 of 4, 1.0 MB of 1.0 GB, 17 h left')
  t.equal(progressText({ ...done, acts: 0, seconds: 1 }), '0 of 4')
  t.equal(reasonText({ reason: 'EXDEV', message: 'EXDEV: another disk.' }), 'EXDEV: another disk')
  t.equal(reasonText({ reason: 'refused' }), 'it is in a folder that waits')
})

test('a pause doubles, or is as long as the server asks, but at most ten minutes', async t => {
  t.equal(pauseAfter(new RemoteError(503, ''), 3, 500), 4000)
  t.equal(pauseAfter(new RemoteError(503, '', { retryAfter: 30 }), 3, 500), 30_000)
  t.equal(pauseAfter(new RemoteError(429, '', { retryAfter: 86_400 }), 0, 500), 600_000)
  t.same([undefined, 408, 429, 500, 503, 507, 404].map(status => new RemoteError(status, '').isCut), [true, true, true, true, true, false, false])
})

test('a state that can\'t be written or read ends the run', async t => {
  const folder = t.testdir({ bad: 'no database, but a text that is long enough to be looked at' })
  const state = openState(join(folder, 'state'))
  t.equal((await stat(join(folder, 'state'))).mode & 0o777, 0o600)
  state.close()
  t.throws(() => state.commit({ cursor: 'x' }), /can't be written/)
  t.throws(() => openState(join(folder, 'bad')), /delete it to begin anew/)
})

test('a file that changes while it is hashed has no digest yet; what can\'t be read has none', async t => {
  const folder = t.testdir({ large: '' })
  await writeFile(join(folder, 'large'), Buffer.alloc(30_000_000))
  const disk = openFolderDisk(folder)
  let isHashed = false
  const append = () => {
    if (isHashed) return
    appendFileSync(join(folder, 'large'), 'x')
    setImmediate(append)
  }
  append()
  t.equal(await disk.hash('large').finally(() => { isHashed = true }), undefined)
  t.match(await disk.hash('large'), { sha256: /^[0-9a-f]{64}$/ })
  await unlink(join(folder, 'large'))
  t.equal(await disk.hash('large'), undefined)
  t.equal(disk.list('large'), undefined)
})

test('a file that can\'t go back to its place now stays in `aside`, and nothing is replaced', async t => {
  const clock = { now: 1_000_000 }
  const model = createModelDisk(clock)
  const folders = ['.magicstore', '.magicstore/tmp', '.magicstore/aside', '.magicstore/aside/moved-1']
  for (const folder of folders) model.makeFolder(folder)
  const place = '.magicstore/aside/moved-1/x'
  model.write(place, '00000001')
  model.write('x', '00000002')
  const port = portOf(model, clock, () => {})
  const names = { newName: () => 'new', today: () => 'today' }
  const tidy = (changed: Partial<Disk>) =>
    createDiskActs({ ...port, ...changed }, names).tidy({ base: new Map() }, () => {})
  await tidy({ hash: async () => undefined })
  t.equal(model.find(place)?.content, '00000001', 'it changes just now')
  await tidy({ move: () => { throw new Error('the disk is full') } })
  t.equal(model.find(place)?.content, '00000001')
  await tidy({})
  t.same(model.tree(), new Map([['x', '00000002'], ['x (conflict 00000001)', '00000001']]))
})

test('a file is not moved to a path that is taken', async t => {
  const folder = t.testdir({ a: 'of a', b: 'of b' })
  const disk = openFolderDisk(folder)
  t.throws(() => disk.move('a', 'b'), { code: 'EEXIST' })
  const { inode = '', stamp = '', size = 0 } = disk.stat('a') ?? {}
  const entry = { path: 'a', kind: 'file', sha256: sha256Of('of a'), inode, stamp, size, isSettled: true, hasIgnored: false } as const
  await t.rejects(createDiskActs(disk, { newName: () => 'new', today: () => 'today' }).move(entry, 'b'), { message: 'b' })
  t.equal(await readFile(join(folder, 'a'), 'utf8'), 'of a')
  t.equal(await readFile(join(folder, 'b'), 'utf8'), 'of b')
})

const statusOf = (call: Promise<unknown>) => call.then(() => 0, (error: RemoteError) => error.status)

test('other bytes than those that were hashed are not stored, and a download has the mode of what it replaces', async t => {
  const server = await sharedServer()
  const { secret } = await driveOf(server)
  const folder = t.testdir({ x: 'one', tool: 'of before' })
  let bytes = 0
  const remote = createHttpRemote({ url: server.url, token: secret, folder, onBytes: count => { bytes += count } })
  t.teardown(() => remote.close())
  const sent = { path: 'x', folderId: 'root', source: 'x', size: 3, replaces: undefined }
  t.equal(await statusOf(remote.upload({ ...sent, sha256: sha256Of('two') })), 412)
  const stored = await remote.upload({ ...sent, sha256: sha256Of('one') })
  await chmod(join(folder, 'tool'), 0o711)
  const wanted = { sha256: stored.sha256, size: 3, modifiedAt: null, to: 'new', like: 'tool' }
  const target = { kind: 'file', path: 'x', id: stored.id } as const
  await remote.download(target, wanted)
  t.equal(await readFile(join(folder, 'new'), 'utf8'), 'one')
  t.equal((await stat(join(folder, 'new'))).mode & 0o777, 0o711)
  t.equal(bytes, 6)
  t.equal(await statusOf(remote.download(target, { ...wanted, sha256: sha256Of('two'), to: 'other' })), 412)
  await t.rejects(stat(join(folder, 'other')), { code: 'ENOENT' })
  t.same([timeOf(new Date('2026-12-01T00:00:00Z')), timeOf(new Date('+012026-12-01T00:00:00Z'))], ['2026-12-01T00:00:00.000Z', undefined])
})
