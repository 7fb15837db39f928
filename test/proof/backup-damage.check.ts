import { randomBytes } from 'node:crypto'
import { appendFile, cp, mkdir, readdir, readFile, rename, rm, rmdir, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { lockFolder } from '#src/metadata/sqlite/lock.ts'
import { blobsIn, contentsOf, createBackup, createStore, expectRefusal, forge, namesIn, report, reseal } from '../kit/backups.ts'
import { mountDisk } from '../kit/disks.ts'
import { execute } from '../kit/programs.ts'
import { startServer, type Settings } from '../kit/server.ts'
import { MIB } from '../kit/sizes.ts'

/** A way to damage a backup, given its folder, the name of its snapshot and one of its blobs. */
interface Damage {
  what: string
  spoil: (place: { folder: string, name: string, snapshot: string, blob: string }) => Promise<unknown>
}

async function flip (path: string, offset: number): Promise<void> {
  const bytes = await readFile(path)
  bytes.writeUInt8(bytes.readUInt8(offset) ^ 1, offset)
  // Writes a new file: the one in the backup may be linked to the data folder.
  await rm(path)
  await writeFile(path, bytes)
}

const inManifest = (change: (manifest: any) => unknown): Damage['spoil'] => async ({ folder }) => {
  const path = join(folder, 'manifest.json')
  await writeFile(path, JSON.stringify(change(JSON.parse(await readFile(path, 'utf8')))))
}

const damages: Damage[] = [
  { what: 'a byte of a file is another', spoil: ({ blob }) => flip(blob, 3) },
  { what: 'a file is cut', spoil: async ({ blob }) => { await cp(blob, `${blob}.cut`); await truncate(`${blob}.cut`, 4); await rename(`${blob}.cut`, blob) } },
  { what: 'a file is longer', spoil: async ({ blob }) => { await cp(blob, `${blob}.long`); await appendFile(`${blob}.long`, '!'); await rename(`${blob}.long`, blob) } },
  { what: 'a file is missing', spoil: ({ blob }) => rm(blob) },
  { what: 'a file is a folder', spoil: async ({ blob }) => { await rm(blob); await mkdir(blob) } },
  { what: 'a file leads nowhere', spoil: async ({ blob }) => { await rm(blob); await symlink(blob, blob) } },
  { what: 'a byte of the database is another', spoil: ({ snapshot }) => flip(join(snapshot, 'magicstore.db'), 5000) },
  { what: 'the database is missing', spoil: ({ snapshot }) => rm(join(snapshot, 'magicstore.db')) },
  { what: 'a byte of the keys is another', spoil: ({ snapshot }) => flip(join(snapshot, 'signing-keys'), 20) },
  { what: 'the keys are missing', spoil: ({ snapshot }) => rm(join(snapshot, 'signing-keys')) },
  { what: 'a digest is another', spoil: ({ snapshot }) => flip(join(snapshot, 'SHA256SUMS'), 0) },
  { what: 'the digests are missing', spoil: ({ snapshot }) => rm(join(snapshot, 'SHA256SUMS')) },
  { what: 'the snapshot is missing', spoil: ({ snapshot }) => rm(snapshot, { recursive: true }) },
  { what: 'the manifest is missing', spoil: ({ folder }) => rm(join(folder, 'manifest.json')) },
  { what: 'the manifest is cut', spoil: ({ folder }) => truncate(join(folder, 'manifest.json'), 100) },
  { what: 'the manifest is null', spoil: inManifest(() => null) },
  { what: 'the manifest counts another number of files', spoil: inManifest(manifest => ({ ...manifest, files: manifest.files + 1 })) },
  { what: 'the manifest names another folder', spoil: inManifest(manifest => ({ ...manifest, snapshot: '../elsewhere' })) },
  { what: 'the manifest is of a newer format', spoil: inManifest(manifest => ({ format: manifest.format + 2, whatever: 'that knows' })) },
  ...[9e15, 1].map(time => ({
    what: `the database has a migration of the time ${time}`,
    spoil: ({ folder, name }: { folder: string, name: string }) => forge(folder, name, database => database.exec(`INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('', ${time})`))
  })),
  ...['/etc/passwd', '../outside', 'blobs/../../outside', 'blobs/00/../../outside', `blobs/00/${'ab'.repeat(16)}`, 'manifest.json', ''].map(path => ({
    what: `a forged one names "${path}"`,
    spoil: ({ folder, name }: { folder: string, name: string }) => reseal(folder, name, lines => lines.map((line, index) => index === 2 ? `${line.slice(0, 64)}  ${path}` : line))
  }))
]

/** Copies a backup and damages the copy. */
async function damaged (whole: string, folder: string, { spoil }: Damage, blobs: readonly string[]): Promise<void> {
  await cp(whole, folder, { recursive: true })
  const [name = ''] = (await readdir(folder)).filter(entry => entry.startsWith('snapshot-'))
  const [blob = ''] = (await blobsIn(folder)).filter(id => blobs.includes(id))
  await spoil({ folder, name, snapshot: join(folder, name), blob: join(folder, 'blobs', blob.slice(0, 2), blob) })
}

t.test('a damaged, forged or newer backup is refused in one line, and leaves no data folder, or the one that was there empty', { timeout: 300_000 }, async t => {
  const { root, folder: whole } = await createBackup(t)
  await mkdir(join(root, 'restored'))
  for (const [index, damage] of damages.entries()) {
    const [folder, target] = [join(root, `damaged-${index}`), join(root, 'restored', String(index))]
    await damaged(whole, folder, damage, await blobsIn(whole))
    if (index % 2 === 0) await mkdir(target)
    await expectRefusal(t, ['restore', folder], { DATA_DIR: target }, { why: damage.what })
    t.strictSame(await readdir(target).catch(error => error.code), index % 2 === 0 ? [] : 'ENOENT', damage.what)
  }
  t.strictSame((await readdir(root)).filter(name => name.includes('outside')), [])
})

t.test('a backup into a folder that was spoilt puts a good one there, but never over one of a newer version', async t => {
  const { root, dataDir, folder: whole, user } = await createBackup(t)
  const stored = await blobsIn(dataDir)
  for (const [index, damage] of damages.filter(({ what }) => /missing|cut|longer|is a folder|leads nowhere|null/.test(what)).entries()) {
    const folder = join(root, `damaged-${index}`)
    await damaged(whole, folder, damage, stored)
    await report(['backup', folder, '--prove'], { DATA_DIR: dataDir })
  }
  t.strictSame(await namesIn(t, join(root, 'damaged-0'), user), ['three', 'two'])
  const newer = join(root, 'newer')
  await cp(whole, newer, { recursive: true })
  await writeFile(join(newer, 'manifest.json'), '{"format":3}')
  const before = await contentsOf(newer)
  await expectRefusal(t, ['backup', newer], { DATA_DIR: dataDir })
  t.strictSame(await contentsOf(newer), before)
})

t.test('a folder that is not for this backup is refused and not touched', async t => {
  const { folder: root, dataDir } = await createStore(t, { a: 'a' })
  const other = await createStore(t, { b: 'b' })
  const folder = join(root, 'backup')
  await report(['backup', folder], { DATA_DIR: dataDir })
  await mkdir(join(root, 'photos'))
  await writeFile(join(root, 'photos', 'one.jpg'), 'a photo')
  await symlink(dataDir, join(root, 'link'))
  await mkdir(join(root, 'unfinished'))
  await writeFile(join(root, 'unfinished', 'magicstore.db'), '')
  await writeFile(join(root, 'unfinished', 'magicstore.db-hold'), '')
  // The database records the failures.
  const contents = async () => ({ ...await contentsOf(root), 'data/magicstore.db': '' })
  const before = await contents()
  for (const { why, args, settings = {}, expected } of [
    { why: 'something else is in it', args: ['backup', join(root, 'photos')], expected: 1 },
    { why: 'it is a file', args: ['backup', join(root, 'photos/one.jpg')], expected: 1 },
    { why: 'it is of another installation', args: ['backup', folder], settings: { DATA_DIR: other.dataDir }, expected: 1 },
    { why: 'it is no backup', args: ['restore', join(root, 'photos')], settings: { DATA_DIR: join(root, 'new') }, expected: 1 },
    { why: 'it is not there', args: ['restore', join(root, 'nowhere')], settings: { DATA_DIR: join(root, 'new') }, expected: 1 },
    { why: 'the target is in use', args: ['restore', folder], expected: 1 },
    { why: 'the target has something else in it', args: ['restore', folder], settings: { DATA_DIR: join(root, 'photos') }, expected: 1 },
    { why: 'it is the data folder', args: ['backup', dataDir], expected: 2 },
    { why: 'it is in the data folder', args: ['backup', join(dataDir, 'a/b')], expected: 2 },
    { why: 'it leads into the data folder', args: ['backup', join(root, 'link/b')], expected: 2 },
    { why: 'the data folder is in it', args: ['backup', root], expected: 2 },
    { why: 'it would be restored into itself', args: ['restore', folder], settings: { DATA_DIR: join(folder, 'data') }, expected: 2 },
    { why: 'the database has nothing in it yet', args: ['backup', join(root, 'new')], settings: { DATA_DIR: join(root, 'unfinished') }, expected: 1 },
    { why: 'there is nothing to back up', args: ['backup', join(root, 'new')], settings: { DATA_DIR: join(root, 'photos') }, expected: 2 },
    ...['backup', 'restore'].flatMap(command => [
      { why: 'no folder is given', args: [command], expected: 2 },
      { why: 'two folders are given', args: [command, folder, folder], expected: 2 },
      { why: 'an option is misspelt', args: [command, folder, '--proof'], expected: 2 },
      { why: 'a setting is wrong', args: [command, folder], settings: { PORT: 'x' }, expected: 2 }
    ])
  ] as { why: string, args: string[], settings?: Settings, expected: number }[]) {
    await expectRefusal(t, args, { DATA_DIR: dataDir, ...settings }, { expected, why })
  }
  t.strictSame(await contents(), before)
  t.strictSame((await readdir(root)).sort(), ['backup', 'data', 'link', 'photos', 'unfinished'])
})

t.test('two backups into the same folder at once are one and a refusal', async t => {
  const { dataDir, folder } = await createBackup(t)
  const before = await contentsOf(folder)
  // Closing any descriptor of a locked file releases the lock, so nothing may read the folder from here on.
  const lock = lockFolder(join(folder, 'lock.db'))
  await expectRefusal(t, ['backup', folder], { DATA_DIR: dataDir })
  lock.close()
  t.strictSame(await contentsOf(folder), before)
  await report(['backup', folder], { DATA_DIR: dataDir })
})

t.test('what can\'t be read of the data folder fails the backup in one line, and the one before stays good', async t => {
  const { root, dataDir, folder, user } = await createBackup(t)
  const before = await contentsOf(folder)
  const kept = await blobsIn(folder)
  const [added = ''] = (await blobsIn(dataDir)).filter(id => !kept.includes(id))
  const path = join(dataDir, 'blobs', added.slice(0, 2), added)
  const elsewhere = await mountDisk(t, 'size=64m')
  const isRefused = async (why: string, ...args: string[]) => {
    await expectRefusal(t, ['backup', folder, ...args], { DATA_DIR: dataDir }, { why })
    t.strictSame(await contentsOf(folder).then(({ [`blobs/${added.slice(0, 2)}/${added}`]: _one, ...rest }) => rest), before, why)
    if (elsewhere !== undefined) await expectRefusal(t, ['backup', elsewhere, ...args], { DATA_DIR: dataDir }, { why })
  }
  await rename(path, join(root, 'aside'))
  await isRefused('a file is gone')
  await writeFile(path, 'the third one is longer')
  await isRefused('a file is longer')
  await writeFile(path, 'the thirD')
  if (elsewhere !== undefined) await expectRefusal(t, ['backup', elsewhere], { DATA_DIR: dataDir }, { why: 'a copy is read' })
  await isRefused('a link is read by the proof', '--prove')
  await rm(path)
  await rename(join(root, 'aside'), path)
  await rm(join(folder, 'blobs', added.slice(0, 2)), { recursive: true, force: true })
  const keys = join(dataDir, 'signing-keys')
  await rename(keys, join(root, 'aside'))
  await mkdir(keys)
  await isRefused('the keys are a folder')
  await rmdir(keys)
  await rename(join(root, 'aside'), keys)
  t.strictSame(await namesIn(t, folder, user), ['one', 'two'])
  const database = new Database(join(dataDir, 'magicstore.db'))
  database.exec('UPDATE accounts SET used_bytes = used_bytes + 1')
  await isRefused('the proof finds a wrong sum', '--prove')
  await expectRefusal(t, ['backup', folder, '--prove'], { DATA_DIR: dataDir }, { says: /[^\n]* found 1 errors, the first is {"kind":"usage",[^\n]+}/ })
  database.exec('UPDATE accounts SET used_bytes = used_bytes - 1')
  database.exec('UPDATE __drizzle_migrations SET created_at = created_at + 1e12')
  database.close()
  await isRefused('a newer version made the database')
  t.strictSame(await namesIn(t, folder, user), ['one', 'two'])
})

t.test('a disk that is full fails a backup or a restore in one line: the backup before stays good, the data folder empty', async t => {
  const disk = await mountDisk(t, 'size=8m')
  if (disk === undefined) return
  const { folder: root, dataDir, user } = await createStore(t, { small: randomBytes(MIB) })
  const folder = join(disk, 'backup')
  const says = /The disk is full/
  await report(['backup', folder], { DATA_DIR: dataDir })
  const before = await contentsOf(folder)
  const server = await startServer(t, { DATA_DIR: dataDir })
  for (const name of ['one', 'two', 'three']) await server.send('PUT', `/uploads/${name}`, { user, body: randomBytes(3 * MIB) })
  await server.close()
  await expectRefusal(t, ['backup', folder], { DATA_DIR: dataDir }, { says })
  const after = await contentsOf(folder)
  for (const [path, sha256] of Object.entries(before)) t.equal(after[path], sha256, path)
  t.strictSame(await namesIn(t, folder, user), ['small'])

  await report(['backup', join(root, 'backup')], { DATA_DIR: dataDir })
  for (const target of [join(disk, 'new'), join(disk, 'empty')]) {
    if (target.endsWith('empty')) await mkdir(target)
    await expectRefusal(t, ['restore', join(root, 'backup')], { DATA_DIR: target }, { says })
    t.strictSame(await readdir(target).catch(error => error.code), target.endsWith('empty') ? [] : 'ENOENT')
  }
  const filler = join(disk, 'filler')
  await execute('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4096']).catch(() => {})
  await expectRefusal(t, ['backup', folder], { DATA_DIR: dataDir }, { why: 'without room for the database', says })
  await rm(filler)
  t.strictSame(await namesIn(t, folder, user), ['small'])
})
