import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test, type Test } from 'tap'
import { mountDisk } from '../kit/disks.ts'
import { runCommand } from '../kit/commands.ts'
import { execute, WITHOUT_ROOTS_ACCESS } from '../kit/programs.ts'
import { runBin, signUp, spawnServer, startServer, type RunningServer } from '../kit/server.ts'

/** One line on standard error, from MagicStore itself. */
const oneLine = /^magicstore: [^\n]+\n$/

/** A store with one file; its server is closed. */
async function makeStore (t: Test): Promise<RunningServer> {
  const server = await startServer(t, { DATA_DIR: join(t.testdir(), 'data') })
  const { user } = await signUp(server, 'ada')
  await server.send('PUT', '/uploads/a', { user, body: 'bytes' })
  await server.close()
  return server
}

/** The doctor's result for one check. */
async function verdictOf (check: string, dataDir: string): Promise<string | undefined> {
  const { stdout } = await runCommand(['doctor', '--json'], { DATA_DIR: dataDir, PORT: '0' })
  return stdout.trim().split('\n').map(line => JSON.parse(line)).find(finding => finding.check === check)?.verdict
}

test('the names of the data folder, of what is above it and of what is in it are on stable storage before the server serves', { skip: !existsSync('/usr/bin/strace') && 'strace is not installed' }, async t => {
  const root = t.testdir()
  const [dataDir, trace] = [join(root, 'new/and/data'), join(root, 'calls')]
  const { child, send } = await spawnServer(t, { DATA_DIR: dataDir }, { under: ['strace', '-f', '-qq', '-y', '-o', trace, '-e', 'trace=fsync,mkdir'] })
  t.equal((await send('GET', '/health/ready')).status, 200)
  const exited = once(child, 'exit')
  const traced = Number(await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8'))
  process.kill(traced, 'SIGTERM')
  await exited
  const calls = (await readFile(trace, 'utf8')).split('\n')
  for (const made of [join(root, 'new'), join(root, 'new/and'), dataDir, join(dataDir, 'incoming'), join(dataDir, 'blobs')]) {
    const madeAt = calls.findIndex(line => line.includes(`mkdir("${made}"`) && line.endsWith('= 0'))
    t.not(madeAt, -1, `${made} is made`)
    t.ok(calls.some((line, index) => index > madeAt && /fsync\(\d+<(.*)>/.exec(line)?.[1] === dirname(made)), `and then ${dirname(made)} is synced`)
  }
})

test('a data folder that can\'t be made is refused in one line', async t => {
  const { dataDir: used } = await makeStore(t)
  const folder = join(dirname(used), 'others')
  await mkdir(folder)
  await writeFile(join(folder, 'file'), 'text', { mode: 0o755 })
  t.equal((await runCommand(['backup', join(folder, 'backup')], { DATA_DIR: used })).code, 0)
  // Without an end, Node made folders in /proc.
  await symlink('nowhere', join(folder, 'link'))
  const places = [...['file', 'file/data', 'link', 'link/data', 'x'.repeat(300)].map(name => join(folder, name)), '/proc/data']
  for (const [dataDir, args] of [
    ...places.flatMap(place => [[place, ['serve']], [place, ['restore', join(folder, 'backup')]]]), [join(folder, 'file'), ['keys', 'rotate']], [join(folder, 'file'), ['user', 'list']]
  ] as [string, string[]][]) {
    const { code, stderr } = await runCommand(args, { DATA_DIR: dataDir, PORT: '0' })
    t.match([code, stderr], [2, oneLine], `${args[0]} ${dataDir}`)
    t.match(stderr, `DATA_DIR: ${dataDir} can't be used as a folder`)
    if (args[0] === 'serve' && dataDir.startsWith(folder)) t.equal(await verdictOf('folder', dataDir), 'fault')
  }
})

test('a file of the database that this user may not open is named in one line, which speaks of no full disk', async t => {
  const { dataDir } = await makeStore(t)
  await writeFile(join(dataDir, 'magicstore.db-wal'), '')
  for (const [name, ...args] of [
    ['magicstore.db', 'serve'], ['magicstore.db-wal', 'user', 'list'], ['magicstore.db-hold', 'backup', join(t.testdirName, 'backup')], ['lock.db', 'serve']
  ] as const) {
    const file = join(dataDir, name)
    await chmod(file, 0)
    const { code, stderr } = await runBin([...args], { DATA_DIR: dataDir, PORT: '0' }, '', { under: WITHOUT_ROOTS_ACCESS })
    t.match([code, stderr], [1, oneLine], name)
    t.ok(stderr.includes(`${file} `) && stderr.includes('owner and mode'), stderr)
    await chmod(file, 0o600)
  }
  await (await startServer(t, { DATA_DIR: dataDir })).close()
})

test('a folder of other programs is refused in one line that says what to do, and stays as it is', async t => {
  const folder = t.testdir({ etc: { passwd: 'root', 'ssh.d': { config: 'x' } } })
  const [etc, good, backup] = ['etc', 'good', 'backup'].map(name => join(folder, name)) as [string, string, string]
  for (const [path, mode] of [[etc, 0o755], [join(etc, 'passwd'), 0o644], [join(etc, 'ssh.d'), 0o775]] as [string, number][]) await chmod(path, mode)
  await (await startServer(t, { DATA_DIR: good })).close()
  t.equal((await runCommand(['backup', backup], { DATA_DIR: good })).code, 0)
  const look = async () => Promise.all(['', ...(await readdir(etc, { recursive: true })).sort()].map(async name => {
    const { mode, mtimeMs, ctimeMs, uid } = await stat(join(etc, name))
    return { name, mode, mtimeMs, ctimeMs, uid }
  }))
  const before = await look()
  for (const args of [['serve'], ['user', 'list'], ['user', 'add', 'ada'], ['trash', 'empty', '--all', '--yes'], ['keys', 'rotate'], ['fsck'], ['backup', join(folder, 'other')]]) {
    const { code, stdout, stderr } = await runCommand(args, { DATA_DIR: etc, PORT: '0' }, 'correct horse battery')
    t.same([code, stdout, stderr], [2, '', `magicstore: DATA_DIR: ${etc} contains files that are not MagicStore's; set DATA_DIR to an empty or new folder\n`], args.join(' '))
  }
  t.match(await runCommand(['restore', backup], { DATA_DIR: etc }), { code: 1, stderr: /is not empty; DATA_DIR must be empty or new/ })
  for (const args of [['doctor'], ['doctor', '--json']]) {
    const { code, stdout } = await runCommand(args, { DATA_DIR: etc, PORT: '0' })
    t.equal(code, 1)
    t.match(stdout, `DATA_DIR: ${etc} contains files that are not MagicStore's`)
    t.notMatch(stdout, /chmod|chown/)
  }
  t.same(await look(), before)
  await mkdir(join(folder, 'disk', 'lost+found'), { recursive: true })
  await (await startServer(t, { DATA_DIR: join(folder, 'disk') })).close()
})

test('blobs on another file system than the incoming files, or another mount of the same one, are refused in one line, and the doctor says the same', async t => {
  const [disk, other] = [await mountDisk(t, 'size=16m'), await mountDisk(t, 'size=1m')]
  if (disk === undefined || other === undefined) return
  const dataDir = join(disk, 'data')
  await (await startServer(t, { DATA_DIR: dataDir })).close()
  await mkdir(join(disk, 'other'))
  for (const place of [other, join(disk, 'other')]) {
    await execute('mount', ['--bind', place, join(dataDir, 'blobs')])
    try {
      for (const args of [['serve'], ['user', 'list']]) {
        t.match(await runCommand(args, { DATA_DIR: dataDir, PORT: '0' }), { code: 2, stderr: /^magicstore: [^\n]*file system[^\n]*\n$/ }, place)
      }
      t.equal(await verdictOf('folder', dataDir), 'fault')
    } finally {
      await execute('umount', [join(dataDir, 'blobs')])
    }
  }
  await (await startServer(t, { DATA_DIR: dataDir })).close()
})

for (const { what, lose } of [
  { what: 'gone', lose: async (dataDir: string) => rm(join(dataDir, 'magicstore.db')) },
  { what: 'empty', lose: async (dataDir: string) => truncate(join(dataDir, 'magicstore.db')) },
  {
    what: 'gone, with bytes that are pending',
    async lose (dataDir: string) {
      await rm(join(dataDir, 'magicstore.db'))
      await rm(join(dataDir, 'blobs'), { recursive: true })
      await writeFile(join(dataDir, 'incoming', 'ab'.repeat(16)), 'bytes')
    }
  }
]) {
  test(`a database that is ${what} beside the bytes of files is refused in one line that says how to go on, and nothing changes`, async t => {
    const { dataDir } = await makeStore(t)
    await lose(dataDir)
    const before = (await readdir(dataDir, { recursive: true })).sort()
    for (const args of [['serve'], ['user', 'list']]) {
      t.match(await runCommand(args, { DATA_DIR: dataDir, PORT: '0' }), { code: 2, stdout: /^$/, stderr: /^magicstore: [^\n]*restore a backup[^\n]+move blobs and incoming away[^\n]*\n$/ })
    }
    t.equal(await verdictOf('folder', dataDir), 'fault')
    t.same((await readdir(dataDir, { recursive: true })).sort(), before)
    for (const name of ['blobs', 'incoming']) await rename(join(dataDir, name), join(dataDir, '..', `lost-${name}`)).catch(() => {})
    const server = await startServer(t, { DATA_DIR: dataDir })
    t.equal((await server.send('GET', '/health/ready')).status, 200, 'without those bytes it starts anew')
  })
}
