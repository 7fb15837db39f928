import { randomBytes } from 'node:crypto'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { sha256Of } from '../kit/digests.ts'
import { run, type Ended } from '../kit/programs.ts'
import { spawnServer } from '../kit/server.ts'
import { KIB, MIB } from '../kit/sizes.ts'
import { until } from '../kit/waiting.ts'
import { openDrive, openRclone, openStore, rcloneEnvironment, skipUnless, skipWithoutFuse, storesOf } from './webdav.ts'

// rclone, and restic through rclone.

/** Long ago, and with a fraction of a second, which rclone does not send. */
const TIME = new Date('2019-03-04T05:06:07.890Z')

/** Paths and bytes of a folder as people have it. */
const content: Record<string, Buffer> = {
  'a.txt': Buffer.from('one'),
  empty: Buffer.alloc(0),
  'photos/2026/large.bin': randomBytes(6 * MIB),
  'photos/2026/a & b <c> "d".jpg': randomBytes(70 * KIB),
  'photos/100 %41 #1?;=+.txt': Buffer.from('odd'),
  'Übergröße/na\u00EFve 😀.txt': Buffer.from('unicode'),
  '.hidden/.file': Buffer.from('hidden')
}

/** Writes the files, all with the same old time. */
async function makeTree (folder: string): Promise<void> {
  for (const [path, bytes] of Object.entries(content)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), bytes)
    await utimes(join(folder, path), TIME, TIME)
  }
}

interface Leaf { readonly sha256: string, readonly seconds: number }

/** The digest and the time of each file, in whole seconds. */
async function treeOf (folder: string): Promise<Record<string, Leaf>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name)).sort()
  const leaves = files.map(async (file): Promise<[string, Leaf]> => [
    file.slice(folder.length + 1),
    { sha256: sha256Of(await readFile(file)), seconds: Math.floor((await stat(file)).mtimeMs / 1000) }
  ])
  return Object.fromEntries(await Promise.all(leaves))
}

/** A folder with a tree, and rclone with a drive on a new server. */
async function openDesk (t: Test, settings: Record<string, string> = {}) {
  const folder = t.testdir({ data: {}, tree: {}, back: {}, mount: {} })
  await makeTree(join(folder, 'tree'))
  const server = await spawnServer(t, { DATA_DIR: join(folder, 'data'), ...settings })
  const drive = await openDrive(server)
  const rclone = await openRclone(server, drive, folder)
  /** Runs rclone, which must succeed; returns what it prints. */
  async function succeed (...args: string[]): Promise<string> {
    const ended = await rclone(...args)
    t.equal(ended.code, 0, args.join(' '), ended)
    return `${ended.stdout}${ended.stderr}`
  }
  return { folder, server, drive, rclone, succeed }
}

const skip = skipUnless('rclone')

for (const name of storesOf('SQLite and a folder')) {
  t.test(`rclone copies, syncs and checks a folder with its times on ${name}`, { skip }, async t => {
    const { folder, drive, rclone, succeed } = await openDesk(t, await openStore(t, name, join(t.testdirName, 'data')))
    const [tree, back] = [join(folder, 'tree'), join(folder, 'back')]
    await succeed('copy', 'tree', 'drive:box')
    await succeed('check', '--download', 'tree', 'drive:box')
    const listed = await succeed('lsf', '-R', '--files-only', '--format', 't', 'drive:box')
    t.same(new Set(listed.trim().split('\n')), new Set([localTime(TIME)]), 'times are kept')
    t.match(await succeed('sync', '-v', 'tree', 'drive:box'), 'There was nothing to transfer')
    await succeed('copy', 'drive:box', 'back')
    t.same(await treeOf(back), await treeOf(tree))

    await writeFile(join(tree, 'a.txt'), 'two')
    await rm(join(tree, '.hidden'), { recursive: true })
    await writeFile(join(tree, 'new.txt'), 'new')
    t.match(await succeed('sync', '-v', 'tree', 'drive:box'), /a\.txt: Copied \(replaced existing\)/, 'a new time shows a change of the same size')
    await succeed('check', '--download', 'tree', 'drive:box')
    t.equal((await drive.send('GET', 'box/.hidden/.file')).status, 404)
    await succeed('sync', 'drive:box', 'back')
    t.same(await treeOf(back), await treeOf(tree))

    await succeed('copy', 'drive:box', 'drive:second')
    await succeed('check', '--download', 'drive:box', 'drive:second')
    await succeed('moveto', 'drive:second/photos', 'drive:third/pictures')
    await succeed('check', '--download', join(tree, 'photos'), 'drive:third/pictures')
    await succeed('purge', 'drive:box')
    t.same((await succeed('lsf', 'drive:')).trim().split('\n').sort(), ['second/', 'third/'])
    t.not((await rclone('cat', 'drive:box/a.txt')).code, 0)
  })
}

/** As rclone prints it. */
function localTime (time: Date): string {
  const part = (number: number) => String(number).padStart(2, '0')
  return `${time.getFullYear()}-${part(time.getMonth() + 1)}-${part(time.getDate())} ${part(time.getHours())}:${part(time.getMinutes())}:${part(time.getSeconds())}`
}

t.test('a drive is mounted by rclone: programs read, write, append, rename and delete', { skip: skip || skipWithoutFuse() }, async t => {
  const { folder, drive, succeed } = await openDesk(t)
  await succeed('copy', 'tree', 'drive:')
  const mount = join(folder, 'mount')
  // A file is uploaded two seconds after it was closed, with the time that it has then.
  const child = spawn('rclone', ['mount', 'drive:', mount, '--vfs-cache-mode', 'writes', '--vfs-write-back', '2s', '--cache-dir', join(folder, 'cache')], { env: { PATH: process.env.PATH, HOME: folder, ...rcloneEnvironment(folder) }, stdio: 'ignore' })
  const ended = once(child, 'exit')
  const unmount = () => run('fusermount3', ['-u', mount])
  t.teardown(async () => {
    if (child.exitCode === null) await unmount()
    await ended
  })
  await until(async () => (await readFile('/proc/mounts', 'utf8')).includes(` ${mount} `))
  t.same(await treeOf(mount), await treeOf(join(folder, 'tree')))
  const script = `echo first > note.txt && echo second >> note.txt && mkdir -p new/deep && mv note.txt new/deep/moved.txt &&
    cp photos/2026/large.bin new/copy.bin && touch -d 2021-05-06T07:08:09Z new/copy.bin && rm empty && rm -r .hidden && mv photos pictures`
  t.match(await run('sh', ['-e', '-c', script], { cwd: mount }), { code: 0 })
  const copied = await until(() => drive.send('GET', 'new/copy.bin'), ({ status }) => status === 200)
  t.equal((await until(() => drive.send('GET', 'new/deep/moved.txt'), ({ status }) => status === 200)).text, 'first\nsecond\n')
  t.match(await unmount(), { code: 0 })
  await ended
  t.ok((await drive.send('GET', 'pictures/2026/large.bin')).bytes.equals(content['photos/2026/large.bin'] as Buffer))
  t.ok(copied.bytes.equals(content['photos/2026/large.bin'] as Buffer))
  t.equal(copied.headers['last-modified'], 'Thu, 06 May 2021 07:08:09 GMT')
  for (const gone of ['empty', '.hidden/', 'photos/', 'note.txt']) t.equal((await drive.send('GET', gone)).status, 404, gone)
})

for (const name of storesOf('PostgreSQL and S3')) {
  t.test(`restic keeps its repository on the drive, on ${name}: each byte is read back and restored`, { skip: skip || skipUnless('restic') }, async t => {
    const { folder, succeed } = await openDesk(t, await openStore(t, name, join(t.testdirName, 'data')))
    const [tree, back] = [join(folder, 'tree'), join(folder, 'back')]
    const env = { ...rcloneEnvironment(folder), RESTIC_REPOSITORY: 'rclone:drive:backups', RESTIC_PASSWORD: 'a long secret', RESTIC_CACHE_DIR: join(folder, 'cache') }
    const restic = async (...args: string[]): Promise<Ended> => {
      const ended = await run('restic', args, { cwd: tree, env })
      t.equal(ended.code, 0, `restic ${args.join(' ')}`, ended)
      return ended
    }
    await restic('init')
    await restic('backup', '.')
    await writeFile(join(tree, 'later.bin'), randomBytes(MIB))
    await restic('backup', '.')
    await restic('forget', '--keep-last', '1', '--prune')
    t.match(await restic('check', '--read-data'), { stdout: /no errors were found/ })
    await restic('restore', 'latest', '--target', back)
    t.same(await treeOf(back), await treeOf(tree))
    t.match(await succeed('lsf', 'drive:backups'), 'snapshots/')
  })
}
