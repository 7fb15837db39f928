import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { manifestText, type BackupSummary } from '#src/backup/manifest.ts'
import { blobsIn, contentsOf, createStore, expectRefusal, filesIn, namesIn, report } from '../kit/backups.ts'
import { runCommand } from '../kit/commands.ts'
import { startServer, type Settings } from '../kit/server.ts'

/** The snapshots in a folder, newest first. */
async function list (folder: string, settings: Settings): Promise<any[]> {
  const { code, stdout, stderr } = await runCommand(['backup', folder, '--list', '--json'], settings)
  if (code !== 0) throw new Error(stderr)
  return stdout.trim().split('\n').map(line => JSON.parse(line))
}

/** A store without versions whose files change, with a backup folder. */
async function createChanging (t: Parameters<typeof createStore>[0]) {
  const { folder: root, dataDir, user } = await createStore(t, { kept: 'kept', changed: 'one' })
  const settings = { DATA_DIR: dataDir }
  const folder = join(root, 'backup')
  return {
    root,
    folder,
    user,
    settings,
    backup: (...args: string[]) => report(['backup', folder, ...args], settings),
    async change (body: string) {
      const server = await startServer(t, { ...settings, KEEP_DAYS: '0' })
      await server.send('PUT', '/uploads/changed', { user, body })
      await server.send('PUT', `/uploads/${body}`, { user, body: `new ${body}` })
      await server.close()
    },
    /** The files of a snapshot. */
    async namesAt (at: string) {
      const target = join(root, `restored-${at.replaceAll(':', '')}`)
      await report(['restore', folder, '--at', at], { DATA_DIR: target })
      const { code } = await runCommand(['fsck', '--deep'], { DATA_DIR: target })
      const server = await startServer(t, { DATA_DIR: target })
      const { text } = await server.send('GET', '/uploads/changed', { user })
      await server.close()
      return [code, text]
    }
  }
}

t.test('snapshots are kept, listed and restored, and share their files', async t => {
  const { folder, settings, backup, change, namesAt, user } = await createChanging(t)
  const made = [await backup('--keep', '3')]
  const [kept = ''] = Object.keys(await filesIn(join(folder, 'blobs')))
  const { ino } = await stat(join(folder, 'blobs', kept))
  for (const body of ['two', 'three', 'four']) {
    await change(body)
    made.push(await backup('--keep', '3', '--prove'))
  }
  const counts = made.map(({ linked, kept, removed }) => [linked, kept, removed])
  t.strictSame(counts, [[2, 0, 0], [2, 1, 0], [2, 2, 0], [2, 3, 1]])
  const listed = await list(folder, settings)
  t.strictSame(listed.map(({ snapshot }) => snapshot), made.slice(1).reverse().map(({ snapshot }) => snapshot))
  t.match(listed[0], { createdAt: made[3].createdAt, accounts: 1, files: 5, magicstore: /^\d/, isDamaged: false })
  t.equal((await runCommand(['backup', folder, '--list'], settings)).stdout.split('\n')[0], `${made[3].snapshot}\t${made[3].createdAt}\t1 accounts\t5 files\t${made[3].bytes} bytes`)
  t.equal((await blobsIn(folder)).length, 7, 'the unchanged file, three new ones, and three contents of the other')
  t.equal((await stat(join(folder, 'blobs', kept)).catch(() => ({ ino }))).ino, ino)
  t.equal(JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')).format, 2, 'version 1.0.0 refuses it, instead of deleting all but its own')

  t.strictSame(await namesAt(made[1].snapshot), [0, 'two'])
  t.strictSame(await namesAt(made[2].createdAt), [0, 'three'], 'at a time')
  t.strictSame(await namesAt('2199-01-01T00:00:00+02:00'), [0, 'four'], 'before a time')
  const nothing = { DATA_DIR: join(folder, '../nothing') }
  await expectRefusal(t, ['restore', folder, '--at', made[0].snapshot], nothing, { says: new RegExp(`there is no snapshot ${made[0].snapshot} in [^\\n]*--list shows those that there are`) })
  await expectRefusal(t, ['restore', folder, '--at', made[0].createdAt], nothing, { says: /there is no snapshot at or before [^\n]*/ })

  t.match(await backup(), { kept: 5 }, 'without --keep there stay as many as there are')
  t.equal((await list(folder, settings)).length, 3)
  t.match(await backup('--keep', '1'), { removed: 2 - 1, kept: 5 })
  t.equal((await list(folder, settings)).length, 1)
  t.equal(JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')).format, 1, 'as version 1.0.0 made it')
  t.strictSame(await blobsIn(folder), await blobsIn(settings.DATA_DIR))
  t.strictSame((await namesIn(t, folder, user)).length, 5)
})

t.test('a folder of an older version is added to; a backup that stopped before it was the newest is not listed, and goes', async t => {
  const { folder, settings, backup, change, namesAt } = await createChanging(t)
  const { snapshot } = await backup()
  await rm(join(folder, snapshot, 'manifest.json'))
  t.match(await list(folder, settings), [{ snapshot, isDamaged: false }])
  await change('two')
  await backup('--keep', '2')
  t.match(await list(folder, settings), [{}, { snapshot, isDamaged: false }])
  t.strictSame(await namesAt(snapshot), [0, 'one'])

  const [{ snapshot: latest }] = await list(folder, settings) as [{ snapshot: string }]
  await cp(join(folder, latest), join(folder, 'snapshot-00000000'), { recursive: true })
  const { sha256, ...summary } = JSON.parse(await readFile(join(folder, latest, 'manifest.json'), 'utf8')) as BackupSummary & { sha256?: string }
  await writeFile(join(folder, 'snapshot-00000000/manifest.json'), manifestText({ ...summary, snapshot: 'snapshot-00000000' }))
  t.equal((await list(folder, settings)).length, 2)
  await backup('--keep', '3')
  t.notOk((await readdir(folder)).includes('snapshot-00000000'))
  t.equal((await list(folder, settings)).length, 3)
})

t.test('snapshots that are damaged or half deleted are told, and take no other with them', async t => {
  const { root, folder, settings, backup, change, namesAt } = await createChanging(t)
  const made = []
  for (const body of ['two', 'three', 'four']) {
    await change(body)
    made.push(await backup('--keep', '3'))
  }
  const [oldest, middle, newest] = made.map(({ snapshot }) => snapshot) as [string, string, string]
  const whole = join(root, 'whole')
  await cp(folder, whole, { recursive: true })
  const anew = async () => { await rm(folder, { recursive: true }); await cp(whole, folder, { recursive: true }) }
  const nothing = { DATA_DIR: join(root, 'nothing') }

  await writeFile(join(folder, 'manifest.json'), '{')
  await expectRefusal(t, ['restore', folder], nothing, { says: new RegExp(`[^\\n]*manifest.json is damaged; restore a snapshot by its name: --at ${newest} or ${middle} or ${oldest}`) })
  t.match(await list(folder, settings), [{ snapshot: newest }, { snapshot: middle }, { snapshot: oldest }])
  t.strictSame(await namesAt(middle), [0, 'three'])
  await writeFile(join(folder, 'manifest.json'), '{"format":3}')
  for (const args of [['backup', folder, '--list'], ['restore', folder], ['restore', folder, '--at', middle], ['backup', folder, '--keep', '3']]) {
    await expectRefusal(t, args, args[0] === 'backup' ? settings : nothing, { says: /[^\n]*made by a newer version[^\n]*/ })
  }

  await anew()
  await writeFile(join(folder, middle, 'manifest.json'), await readFile(join(folder, oldest, 'manifest.json')))
  const damaged = { snapshot: middle, isDamaged: true }
  t.match(await list(folder, settings), [{ isDamaged: false }, damaged, { isDamaged: false }])
  t.match((await runCommand(['backup', folder, '--list'], settings)).stdout, `\n${middle}\tdamaged\n`)
  await writeFile(join(folder, middle, 'manifest.json'), 'x')
  await expectRefusal(t, ['restore', folder, '--at', middle], nothing, { says: /[^\n]*manifest.json is damaged/ })
  const target = join(root, 'earlier')
  t.match(await report(['restore', folder, '--at', made[1].createdAt], { DATA_DIR: target }), { snapshot: oldest }, 'the one before')

  await anew()
  const before = await blobsIn(folder)
  await rm(join(folder, middle, 'magicstore.db'))
  await rm(join(folder, oldest, 'SHA256SUMS'))
  await change('five')
  const { code, stdout } = await runCommand(['backup', folder, '--keep', '2'], settings)
  t.equal(code, 0)
  t.notMatch(stdout, 'is damaged', 'the one without a database is dropped')
  await anew()
  await rm(join(folder, newest, 'magicstore.db'))
  const warned = await runCommand(['backup', folder, '--keep', '2'], settings)
  t.match(warned.stdout, new RegExp(`0 deleted[^]*warning: ${newest} is damaged, so no old file was deleted`))
  t.strictSame((await blobsIn(folder)).filter(id => before.includes(id)), before)
  t.match((await list(folder, settings)).slice(1).map(({ snapshot }) => snapshot), [newest, middle], 'one that is damaged is kept, and takes no place of another')

  await anew()
  await writeFile(join(folder, newest, 'SHA256SUMS'), '')
  await backup('--keep', '2')
  t.match((await list(folder, settings)).slice(1).map(({ snapshot }) => snapshot), [newest, middle])

  await anew()
  await rm(join(folder, newest), { recursive: true })
  await backup('--keep', '3')
  t.match(await list(folder, settings), [{ isDamaged: false }, { snapshot: middle }, { snapshot: oldest }], 'one that is gone is not kept')
  await expectRefusal(t, ['backup', join(root, 'none'), '--list'], settings, { says: /there is no complete backup in [^\n]*/ })
})

t.test('what the options can\'t mean is refused, and nothing is changed', async t => {
  const { root, folder, settings, backup } = await createChanging(t)
  await backup()
  await mkdir(join(root, 'used'))
  await writeFile(join(root, 'used', 'a'), 'a')
  const before = await contentsOf(root)
  for (const [args, says, expected = 2] of [
    [['backup', folder, '--keep', '0'], /--keep must be a number[^\n]*/],
    [['backup', folder, '--keep', 'x'], /--keep must be a number[^\n]*/],
    [['backup', folder, '--keep', ''], /--keep must be a number[^\n]*/],
    [['backup', folder, '--list', '--keep', '2'], /--list makes no backup[^\n]*/],
    [['backup', folder, '--list', '--prove'], /--list makes no backup[^\n]*/],
    [['restore', folder, '--at', 'yesterday'], /--at must be[^\n]*/],
    [['restore', folder, '--at', '2026-13-01T00:00:00Z'], /--at must be[^\n]*/],
    [['restore', folder, '--file', 'kept'], /--file, --to and --as need --user/],
    [['restore', folder, '--to', join(root, 'new')], /--file, --to and --as need --user/],
    [['restore', folder, '--user', 'ada', '--discard'], /--discard is for a whole store[^\n]*/],
    [['restore', folder, '--user', 'ada', '--to', join(root, 'new'), '--as', 'bob'], /--to restores to a folder[^\n]*/],
    [['restore', folder, '--user', 'ada', '--to', join(settings.DATA_DIR, 'new')], /[^\n]*and DATA_DIR must not contain each other/],
    [['restore', folder, '--user', 'ada', '--to', join(folder, 'new')], /[^\n]*and the backup must not contain each other/],
    [['restore', folder, '--user', 'ada', '--to', join(root, 'used')], /[^\n]*is not empty: name a folder that is empty, or does not exist/, 1],
    [['restore', folder, '--user', 'ada', '--to', join(root, 'used', 'a')], /[^\n]*can't be used as a folder[^\n]*/, 1],
    [['restore', folder, '--user', 'bob'], /there is no account bob in snapshot-\w+/, 1],
    [['restore', folder, '--user', '\u202e'], /there is no account [^\n]*/, 1],
    [['restore', folder, '--user', 'ada', '--file', 'none', '--to', join(root, 'new')], /there is no file or folder "none" of ada in snapshot-\w+; no snapshot has it/, 1]
  ] as [string[], RegExp, number?][]) {
    await expectRefusal(t, args, settings, { expected, says })
  }
  t.strictSame(await contentsOf(root), before)
  t.notOk((await readdir(root)).includes('new'))
})

t.test('a backup without a database that answers fails by itself, although its failure can\'t be recorded', async t => {
  const settings = { DATABASE_URL: 'postgres://ann:pwd@127.0.0.1:1/magicstore', DATA_DIR: join(t.testdir(), 'data') }
  await expectRefusal(t, ['backup', join(t.testdirName, 'backup')], settings, { says: /DATABASE_URL: can't connect[^\n]*/ })
})
