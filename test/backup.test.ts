import { execFile, spawn, spawnSync } from 'node:child_process'
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { appendFile, cp, lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, rmdir, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { manifestText, type BackupFacts } from '../src/backup/manifest.ts'
import { holdBlobs } from '../src/metadata/sqlite/hold.ts'
import { lockFolder } from '../src/metadata/sqlite/lock.ts'
import { binArguments } from './bin.ts'
import { formOf, runBin, signUp, spawnServer, startServer, type Client, type Settings } from './server.ts'

const run = promisify(execFile)
const MIB = 1024 ** 2

/** Rounds of the test under load; BACKUP_ROUNDS asks for more. */
const ROUNDS = Number(process.env.BACKUP_ROUNDS ?? 3)

const hasStrace = existsSync('/usr/bin/strace')

type User = [string, string]

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** Runs a command to a good end and gives what it reports. */
async function report (args: string[], settings: Settings): Promise<any> {
  const { code, stdout, stderr } = await runBin([...args, '--json'], settings)
  if (code !== 0 || stderr !== '') throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`)
  return JSON.parse(stdout)
}

/** Runs a command that is refused in one line. */
async function refused (t: Test, args: string[], settings: Settings, { expected = 1, why = args.join(' ') } = {}): Promise<void> {
  const { code, stdout, stderr } = await runBin(args, settings)
  t.strictSame([code, stdout], [expected, ''], `${why}: ${stderr}`)
  t.match(stderr, /^magicstore: [^\n]+\n$/, why)
}

/** Every file below a folder by its path: inode, time of change, links, and what is in it. */
async function filesIn (folder: string): Promise<Record<string, { ino: number, mtimeMs: number, nlink: number, sha256: string }>> {
  const entries = (await readdir(folder, { recursive: true, withFileTypes: true })).filter(entry => entry.isFile())
  return Object.fromEntries(await Promise.all(entries.map(async entry => {
    const path = join(entry.parentPath, entry.name)
    const { ino, mtimeMs, nlink } = await stat(path)
    return [path.slice(folder.length + 1), { ino, mtimeMs, nlink, sha256: digest(await readFile(path)) }]
  })))
}

const contentsOf = async (folder: string) => Object.fromEntries(Object.entries(await filesIn(folder)).map(([path, { sha256 }]) => [path, sha256]))
const blobsIn = async (folder: string) => (await readdir(join(folder, 'blobs'), { recursive: true, withFileTypes: true })).filter(entry => entry.isFile()).map(entry => entry.name).sort()

/** What a person can see: each file's facts, and that the bytes are those of its digest. */
async function seenBy (t: Test, client: Client, user: User): Promise<Record<string, string>> {
  const { json: { token } } = await client.send('GET', '/api/token', { user })
  const { json: { files } } = await client.send('GET', '/api/files?limit=1000', { token })
  for (const { name, sha256 } of files) {
    const { status, bytes } = await client.send('GET', `/uploads/${encodeURIComponent(name)}`, { token })
    if (status !== 200 || digest(bytes) !== sha256) t.fail(`${name} is ${status} or has other bytes`)
  }
  return Object.fromEntries(files.map(({ name, sha256, type, createdAt }: Record<string, string>) => [name, `${sha256} ${type} ${createdAt}`]))
}

/** A folder with a data folder in which one person has some files, served by nobody any more. */
async function makeStore (t: Test, contents: Record<string, string | Uint8Array>, settings: Settings = {}): Promise<{ folder: string, dataDir: string, user: User, token: string }> {
  // To ask for the test's folder again would empty it.
  const folder = await mkdtemp(join(existsSync(t.testdirName) ? t.testdirName : t.testdir(), 'store-'))
  const dataDir = join(folder, 'data')
  const server = await startServer(t, { DATA_DIR: dataDir, ...settings })
  const { user, token } = await signUp(server, 'ada')
  for (const [name, body] of Object.entries(contents)) await server.send('PUT', `/uploads/${encodeURIComponent(name)}`, { token, body })
  await server.close()
  return { folder, dataDir, user, token }
}

/** A file system of its own, so that nothing can be linked into it; undefined where the machine does not let it mount. */
async function mountDisk (t: Test, options: string): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'magicstore-disk-'))
  const isMounted = await run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]).then(() => true, () => false)
  t.teardown(async () => {
    if (isMounted) await run('umount', ['-l', folder])
    await rmdir(folder)
  })
  if (!isMounted) t.comment('this machine does not let the test mount a disk')
  return isMounted ? folder : undefined
}

t.test('a backup of a running server is restored elsewhere with the same people, tokens, names and bytes, and nothing that came later', async t => {
  const server = await spawnServer(t, { DATA_DIR: join(t.testdir(), 'data') })
  const [data, folder, target] = ['data', 'backup', 'restored'].map(name => join(t.testdirName, name)) as [string, string, string]
  const ada = await signUp(server, 'Ada')
  const zoe = await signUp(server, 'Zoë', 'Pä$$:wörd ')
  const { json: personal } = await server.send('POST', '/api/tokens', { user: ada.user, json: { name: 'kept', scopes: ['files:read'] } })
  for (const [name, body] of Object.entries({ 'report.pdf': 'the first', empty: '', ' "odd" %41 😀': 'odd', large: randomBytes(3 * MIB) })) {
    for (const { user } of [ada, zoe]) t.equal((await server.send('PUT', `/uploads/${encodeURIComponent(name)}`, { user, body })).status, 201)
  }
  const before = await Promise.all([ada, zoe].map(({ user }) => seenBy(t, server, user)))

  const made = await runBin(['backup', folder, '--prove'], { DATA_DIR: data })
  t.strictSame([made.code, made.stderr], [0, ''])
  t.match(made.stdout, /8 files of 2 people, 6291480 bytes[^]*8 linked, 0 copied, 0 there already, 0 removed[^]*signing keys[^]*proven/)

  await server.send('PUT', '/uploads/report.pdf', { user: ada.user, body: 'the second' })
  await server.send('DELETE', '/uploads/large', { user: zoe.user })
  await server.send('PUT', '/uploads/later', { user: zoe.user, body: 'later' })
  await signUp(server, 'late')

  const restored = await runBin(['restore', folder], { DATA_DIR: target })
  t.strictSame([restored.code, restored.stderr], [0, ''])
  t.match(restored.stdout, /8 files of 2 people, 6291480 bytes/)
  t.strictSame(await runBin(['fsck', '--deep'], { DATA_DIR: target }), { code: 0, stdout: 'all is well\n', stderr: '' })
  const again = await spawnServer(t, { DATA_DIR: target })
  t.strictSame(await Promise.all([ada, zoe].map(({ user }) => seenBy(t, again, user))), before)
  for (const token of [ada.token, personal.token]) t.equal((await again.send('GET', '/uploads/report.pdf', { token })).text, 'the first')
  t.equal((await again.send('GET', '/api/resource', { user: ['late', 'correct horse battery'] })).status, 401)
  t.equal((await again.send('PUT', '/uploads/new', { user: ada.user, body: 'new' })).status, 201)

  for (const root of [folder, target]) {
    for (const name of ['.', ...await readdir(root, { recursive: true })]) {
      const { mode, isDirectory } = await lstat(join(root, name)).then(facts => ({ mode: facts.mode & 0o777, isDirectory: facts.isDirectory() }))
      t.equal(mode.toString(8), isDirectory ? '700' : '600', name)
    }
  }
  const { snapshot } = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'))
  const checked = spawnSync('sha256sum', ['--check', '--quiet', `${snapshot}/SHA256SUMS`], { cwd: folder })
  t.equal(checked.status, 0, 'the digests are what sha256sum reads')
})

t.test('a second backup touches nothing that is there already, and takes away what is gone', async t => {
  const { folder: root, dataDir, user } = await makeStore(t, { kept: 'kept', replaced: 'one', removed: 'gone' })
  const folder = join(root, 'backup')
  t.match(await report(['backup', folder], { DATA_DIR: dataDir }), { folder, files: 3, accounts: 1, bytes: 11, linked: 3, copied: 0, kept: 0, removed: 0, hasSigningKeys: true, isProven: false })
  const first = await filesIn(folder)
  const server = await startServer(t, { DATA_DIR: dataDir })
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
  t.strictSame(Object.keys(await seenBy(t, again, user)), ['kept', 'replaced'])
})

t.test('onto another file system the files are copied, once', async t => {
  const disk = await mountDisk(t, 'size=64m')
  if (disk === undefined) return
  const { folder: root, dataDir, user } = await makeStore(t, { one: 'one', large: randomBytes(2 * MIB), empty: '' })
  // What a fresh disk comes with is no reason to refuse it.
  await mkdir(join(disk, 'lost+found'))
  t.match(await report(['backup', disk, '--prove'], { DATA_DIR: dataDir }), { linked: 0, copied: 3, kept: 0 })
  const first = await filesIn(join(disk, 'blobs'))
  t.match(await report(['backup', disk], { DATA_DIR: dataDir }), { linked: 0, copied: 0, kept: 3 })
  t.strictSame(await filesIn(join(disk, 'blobs')), first)
  await report(['restore', disk], { DATA_DIR: join(root, 'restored') })
  const server = await startServer(t, { DATA_DIR: join(root, 'restored') })
  t.strictSame(Object.keys(await seenBy(t, server, user)), ['empty', 'large', 'one'])
  await server.close()
  const other = await mountDisk(t, 'size=64m')
  if (other === undefined) return
  await mkdir(join(other, 'lost+found'))
  await report(['restore', disk], { DATA_DIR: other })
  t.strictSame(await blobsIn(other), await blobsIn(dataDir), 'also to where a disk is mounted')
})

t.test('a file system that makes no links gets copies, and its backup is proven by copies', { skip: hasStrace ? false : 'strace is not installed' }, async t => {
  const { folder: root, dataDir } = await makeStore(t, { one: 'one', empty: '' })
  const folder = join(root, 'backup')
  const settings = { ...process.env, DATA_DIR: dataDir }
  const { stdout } = await run('strace', ['-f', '-qq', '-o', '/dev/null', '-e', 'trace=link', '-e', 'inject=link:error=EPERM', process.execPath, ...binArguments(), 'backup', folder, '--prove', '--json'], { env: settings })
  t.match(JSON.parse(stdout), { linked: 0, copied: 2, isProven: true })
  for (const [path, { nlink }] of Object.entries(await filesIn(folder))) t.equal(nlink, 1, path)
  await report(['restore', folder], { DATA_DIR: join(root, 'restored') })
  t.strictSame(await contentsOf(join(root, 'restored/blobs')), await contentsOf(join(dataDir, 'blobs')))
})

t.test('a store without files, one that never served and one whose server was killed are backed up', async t => {
  const folder = t.testdir()
  const settings = { DATA_DIR: join(folder, 'data') }
  await runBin(['user', 'add', 'ann'], settings, 'pwd')
  t.match(await report(['backup', join(folder, 'backup'), '--prove'], settings), { files: 0, bytes: 0, accounts: 1, hasSigningKeys: false })
  t.match(await report(['restore', join(folder, 'backup')], { DATA_DIR: join(folder, 'first') }), { files: 0, accounts: 1, hasSigningKeys: false })
  const server = await spawnServer(t, settings)
  const user: User = ['ann', 'pwd']
  await server.send('PUT', '/uploads/a', { user, body: 'in the log alone' })
  await server.end('SIGKILL')
  t.match(await report(['backup', join(folder, 'backup'), '--prove'], settings), { files: 1, hasSigningKeys: true })
  await report(['restore', join(folder, 'backup')], { DATA_DIR: join(folder, 'second') })
  const again = await startServer(t, { DATA_DIR: join(folder, 'second') })
  t.equal((await again.send('GET', '/uploads/a', { user })).text, 'in the log alone')
})

t.test('keys of SIGNING_KEYS are in no backup, which says so, and tokens hold where they are set again', async t => {
  const keys = { SIGNING_KEYS: `here:${'0123456789abcdef'.repeat(3)}` }
  const { folder: root, dataDir, token } = await makeStore(t, { a: 'a' }, keys)
  const folder = join(root, 'backup')
  t.match((await runBin(['backup', folder], { DATA_DIR: dataDir, ...keys })).stdout, 'without signing keys')
  t.notOk(Object.keys(await filesIn(folder)).some(path => path.endsWith('signing-keys')))
  t.match((await runBin(['restore', folder], { DATA_DIR: join(root, 'restored') })).stdout, 'SIGNING_KEYS')
  const server = await startServer(t, { DATA_DIR: join(root, 'restored'), ...keys })
  t.equal((await server.send('GET', '/uploads/a', { token })).text, 'a')
})

t.test('a data folder of an older format is backed up as it is, and brought up to date where it is restored', async t => {
  const folder = t.testdir()
  await run('tar', ['--extract', '--gzip', '--file', fileURLToPath(new URL('fixtures/0000.tar.gz', import.meta.url)), '--directory', folder])
  const settings = { DATA_DIR: join(folder, 'data') }
  t.match(await report(['backup', join(folder, 'backup'), '--prove'], settings), { files: 12, accounts: 2 })
  t.notOk((await readdir(join(folder, 'data'))).some(name => name.startsWith('magicstore.db.before')), 'the folder was not touched')
  await report(['restore', join(folder, 'backup')], { DATA_DIR: join(folder, 'restored') })
  const server = await startServer(t, { DATA_DIR: join(folder, 'restored') })
  t.equal(Object.keys(await seenBy(t, server, ['Ada', 'pwd'])).length, 6)
  t.ok((await readdir(join(folder, 'restored'))).some(name => name.startsWith('magicstore.db.before')))
})

/** Names and digests that one worker's person had after each act that was acknowledged, and what was under way. */
interface History { states: ReadonlyMap<string, string>[], next: ReadonlyMap<string, string> | undefined }

/** Puts, replaces, renames and deletes few names over and over, so that what a backup names is soon gone; signs in now and then. */
async function work (client: Client, { user, history, signal }: { user: User, history: History, signal: AbortSignal }): Promise<void> {
  let token = ''
  for (let act = 0; !signal.aborted; act++) {
    if (act % 25 === 0) token = (await client.send('GET', '/api/token', { user })).json.token
    const current = history.states.at(-1) ?? new Map<string, string>()
    const [name, newName] = [randomInt(8), randomInt(8)].map(index => `file-${index}`) as [string, string]
    const next = new Map(current)
    const bytes = randomBytes(randomInt(20) === 0 ? randomInt(MIB) : randomInt(4000))
    const changes = current.has(newName) ? ['put', 'put', 'delete'] as const : ['put', 'put', 'put', 'rename', 'delete'] as const
    const kinds = current.has(name) ? changes : ['put', 'form'] as const
    const kind = kinds[randomInt(kinds.length)] ?? 'put'
    next.delete(name)
    if (kind === 'rename') next.set(newName, String(current.get(name)))
    else if (kind !== 'delete') next.set(name, digest(bytes))
    history.next = next
    const acts = {
      rename: () => client.send('PATCH', `/api/files/${name}`, { token, json: { name: newName } }),
      delete: () => client.send('DELETE', `/uploads/${name}`, { token }),
      form: () => client.send('POST', '/', { token, ...formOf(name, bytes) }),
      put: () => client.send('PUT', `/uploads/${name}`, { token, body: bytes })
    }
    const { status } = await acts[kind]()
    if (status >= 300) throw new Error(`${kind} was answered with ${status}`)
    history.states.push(next)
    history.next = undefined
  }
}

t.test('backups made under load are each whole, of one moment, and restored to what was acknowledged then', { timeout: 900_000 }, async t => {
  const folder = t.testdir({ data: {} })
  const dataDir = join(folder, 'data')
  const disk = await mountDisk(t, 'size=256m')
  const server = await spawnServer(t, { DATA_DIR: dataDir, RATE_LIMIT_PER_MINUTE: '0', REGISTRATIONS_PER_HOUR: '0', LOG_LEVEL: 'silent' })
  const end = new AbortController()
  const workers = await Promise.all(Array.from({ length: 6 }, async (_, index) => ({ ...await signUp(server, `worker${index}`), history: { states: [new Map()], next: undefined } as History })))
  const working = Promise.all(workers.map(({ user, history }) => work(server, { user, history, signal: end.signal })))
  const figures = []
  for (let round = 0; round < ROUNDS; round++) {
    // By turns with links and with copies, the same folders again and again.
    const backup = disk !== undefined && round % 2 === 1 ? disk : join(folder, 'backup')
    const target = join(folder, `restored-${round}`)
    const from = workers.map(({ history }) => history.states.length - 1)
    const made = await report(['backup', backup, ...(round % 3 === 2 ? [] : ['--prove'])], { DATA_DIR: dataDir })
    const possible = workers.map(({ history }, index) => [...history.states.slice(from[index]), ...(history.next === undefined ? [] : [history.next])])
    figures.push({ ...made, folder: backup === disk ? 'another disk' : 'the same disk', acts: possible.reduce((sum, states) => sum + states.length - 1, 0) })
    await report(['restore', backup], { DATA_DIR: target })
    t.strictSame(await runBin(['fsck', '--deep'], { DATA_DIR: target }), { code: 0, stdout: 'all is well\n', stderr: '' })
    const restored = await startServer(t, { DATA_DIR: target, RATE_LIMIT_PER_MINUTE: '0' })
    for (const [index, { user }] of workers.entries()) {
      const seen = await seenBy(t, restored, user)
      const state = Object.fromEntries(Object.entries(seen).map(([name, facts]) => [name, facts.slice(0, 64)]))
      t.ok(possible[index]?.some(one => isSame(one, state)), `worker ${index} had exactly these files at some moment of the backup`)
    }
    await restored.close()
    await rm(target, { recursive: true })
  }
  end.abort()
  await working
  t.equal(await server.end('SIGTERM'), 0)
  for (const { folder: where, files, bytes, linked, copied, kept, removed, seconds, isProven, acts } of figures) {
    t.comment(`${where}: ${files} files, ${bytes} bytes, ${linked} linked, ${copied} copied, ${kept} kept, ${removed} removed, ${seconds} s${isProven ? ' with proof' : ''}, ${acts} acts meanwhile`)
  }
  t.ok(figures.every(({ acts }) => acts > 0), 'something happened during each')
  const again = await spawnServer(t, { DATA_DIR: dataDir, LOG_LEVEL: 'silent' })
  await again.end('SIGTERM')
  t.equal((await blobsIn(dataDir)).length, workers.reduce((sum, { history }) => sum + Number(history.states.at(-1)?.size), 0), 'what the backups held is gone after them')
})

function isSame (one: ReadonlyMap<string, string>, other: Record<string, string>): boolean {
  return one.size === Object.keys(other).length && [...one].every(([name, value]) => other[name] === value)
}

t.test('bytes that a backup holds stay when their file is replaced, deleted or its owner leaves, also through a restart, and go afterwards', async t => {
  const { dataDir, user } = await makeStore(t, { replaced: 'one', deleted: 'two', kept: 'three' })
  const before = await blobsIn(dataDir)
  const hold = holdBlobs(join(dataDir, 'magicstore.db'))
  t.teardown(() => hold.close())
  const server = await startServer(t, { DATA_DIR: dataDir })
  await server.send('PUT', '/uploads/replaced', { user, body: 'another' })
  await server.send('DELETE', '/uploads/deleted', { user })
  const leaving = await signUp(server, 'leaving')
  await server.send('PUT', '/uploads/a', { user: leaving.user, body: 'four' })
  await server.send('DELETE', '/api/account', { user: leaving.user })
  await server.close()
  t.equal((await blobsIn(dataDir)).length, 5)
  // As a crash leaves what was replaced before it was settled.
  const [moved = ''] = Object.entries(await contentsOf(join(dataDir, 'blobs'))).find(([, sha256]) => sha256 === digest(Buffer.from('one'))) ?? []
  await rename(join(dataDir, 'blobs', moved), join(dataDir, 'incoming', moved.slice('00/'.length)))
  const again = await startServer(t, { DATA_DIR: dataDir })
  const all = [...await blobsIn(dataDir), ...await readdir(join(dataDir, 'incoming'))]
  t.strictSame(before.filter(id => !all.includes(id)), [], 'none is gone')
  t.strictSame(await runBin(['fsck', '--deep'], { DATA_DIR: dataDir }), { code: 0, stdout: 'all is well\n', stderr: '' }, 'and none is foreign')
  await refused(t, ['backup', join(dataDir, '../backup')], { DATA_DIR: dataDir })
  hold.close()
  await again.send('DELETE', '/uploads/kept', { user })
  await again.close()
  t.equal((await blobsIn(dataDir)).length, 1)
  t.strictSame(await readdir(join(dataDir, 'incoming')), [])
})

t.test('a hold that is no lock stops the start, and the folder can be served when it is gone', async t => {
  const { dataDir, user } = await makeStore(t, { a: 'a' })
  const path = join(dataDir, 'magicstore.db-hold')
  await writeFile(path, 'not what it should be. '.repeat(100))
  await t.rejects(startServer(t, { DATA_DIR: dataDir }))
  await rm(path)
  const server = await startServer(t, { DATA_DIR: dataDir })
  t.equal((await server.send('GET', '/uploads/a', { user })).text, 'a')
})

/** A backup of two files, then a third file: what a second backup would add. */
async function makeBackup (t: Test): Promise<{ root: string, dataDir: string, folder: string, user: User }> {
  const { folder: root, dataDir, user } = await makeStore(t, { one: 'the first', two: 'the second' })
  const folder = join(root, 'backup')
  await report(['backup', folder], { DATA_DIR: dataDir })
  const server = await startServer(t, { DATA_DIR: dataDir })
  await server.send('PUT', '/uploads/three', { user, body: 'the third' })
  await server.send('DELETE', '/uploads/one', { user })
  await server.close()
  return { root, dataDir, folder, user }
}

/** What a backup restores to, by name. */
async function namesIn (t: Test, folder: string, user: User): Promise<string[]> {
  const target = join(await mkdtemp(join(t.testdirName, 'restored-')), 'data')
  await report(['restore', folder], { DATA_DIR: target })
  t.match(await runBin(['fsck', '--deep'], { DATA_DIR: target }), { code: 0 })
  const server = await startServer(t, { DATA_DIR: target })
  const names = Object.keys(await seenBy(t, server, user))
  await server.close()
  return names
}

/** Runs the bin under strace, which kills it as it enters the given call. */
async function killedAt (call: string, when: number, args: string[], settings: Settings): Promise<void> {
  // Calls are counted by thread: with one for the file system their order is always the same.
  const env = { ...process.env, ...settings, UV_THREADPOOL_SIZE: '1' }
  const child = spawn('strace', ['-f', '-qq', '-o', '/dev/null', '-e', `trace=${call}`, '-e', `inject=${call}:signal=KILL:when=${when}`, process.execPath, ...binArguments(), ...args], { env, stdio: 'ignore' })
  await once(child, 'exit')
}

const entriesOf = async (folder: string) => (await readdir(folder)).map(name => name.replace(/-[0-9a-f]{8}$/, '')).sort()

t.test('a backup that is killed at any step leaves the one before good, or is good itself, and the next one leaves nothing of it behind', { skip: hasStrace ? false : 'strace is not installed', timeout: 300_000 }, async t => {
  const { root, dataDir, folder, user } = await makeBackup(t)
  await cp(folder, join(root, 'aside'), { recursive: true })
  let swapped = 0
  const steps = [
    { step: 'the snapshot is begun', call: 'mkdir', when: 5 },
    { step: 'a file is linked', call: 'link', when: 1 },
    { step: 'the keys are put in place', call: 'rename', when: 1 },
    { step: 'the digests are put in place', call: 'rename', when: 2 },
    { step: 'the manifest is written', call: 'rename', when: 3 },
    { step: 'the manifest is swapped', call: 'rename', when: 4 },
    { step: 'the old snapshot is removed', call: 'rmdir', when: 1 }
  ]
  for (const { step, call, when } of steps) {
    await rm(folder, { recursive: true })
    await cp(join(root, 'aside'), folder, { recursive: true })
    await killedAt(call, when, ['backup', folder], { DATA_DIR: dataDir })
    const names = await namesIn(t, folder, user)
    const isNew = names.includes('three')
    t.strictSame(names, isNew ? ['three', 'two'] : ['one', 'two'], step)
    if (isNew) swapped++
    await report(['backup', folder, '--prove'], { DATA_DIR: dataDir })
    t.strictSame(await blobsIn(folder), await blobsIn(dataDir), step)
    t.strictSame(await entriesOf(folder), ['blobs', 'installation', 'lock.db', 'manifest.json', 'snapshot'], step)
  }
  t.equal(swapped, 1, 'the last one was good when it was killed')
})

t.test('a first backup that is killed is no backup, and the next one uses what is there', { skip: hasStrace ? false : 'strace is not installed' }, async t => {
  const { folder: root, dataDir } = await makeStore(t, { one: 'one', two: 'two' })
  const folder = join(root, 'backup')
  for (const [call, when] of [['rename', 1], ['link', 2]] as const) {
    await killedAt(call, when, ['backup', folder], { DATA_DIR: dataDir })
    await refused(t, ['restore', folder], { DATA_DIR: join(root, 'restored') })
  }
  t.match(await report(['backup', folder], { DATA_DIR: dataDir }), { files: 2, linked: 1, kept: 1 })
})

t.test('a restore that is killed is done again, and no server starts on half of it', { skip: hasStrace ? false : 'strace is not installed', timeout: 300_000 }, async t => {
  const { root, folder, user } = await makeBackup(t)
  for (const { step, call, when } of [
    { step: 'the database is copied', call: 'rename', when: 1 },
    { step: 'a file is copied', call: 'rename', when: 3 },
    { step: 'the files are moved in', call: 'rename', when: 5 },
    { step: 'the keys are moved in', call: 'rename', when: 6 },
    { step: 'the database is moved in', call: 'rename', when: 7 },
    { step: 'all is in its place', call: 'rmdir', when: 1 }
  ]) {
    const settings = { DATA_DIR: join(root, `restored-${call}-${when}`), PORT: '0' }
    await killedAt(call, when, ['restore', folder], settings)
    if (call === 'rename') {
      await refused(t, ['serve'], settings, { expected: 2 })
      await report(['restore', folder], settings)
      t.strictSame(await readdir(settings.DATA_DIR).then(names => names.sort()), ['blobs', 'lock.db', 'magicstore.db', 'signing-keys'], step)
    } else await refused(t, ['restore', folder], settings)
    const server = await startServer(t, settings)
    t.strictSame(Object.keys(await seenBy(t, server, user)), ['one', 'two'], step)
    await server.close()
  }
})

/** A way to spoil a backup, given its folder, the folder of its snapshot and one of its blobs. */
interface Damage { what: string, spoil: (place: { folder: string, snapshot: string, blob: string }) => Promise<unknown> }

async function flip (path: string, offset: number): Promise<void> {
  const bytes = await readFile(path)
  bytes.writeUInt8(bytes.readUInt8(offset) ^ 1, offset)
  // Anew: the file in the backup may be the same as in the data folder.
  await rm(path)
  await writeFile(path, bytes)
}

/** Makes the digests and the manifest fit, as somebody who forges a backup would. */
async function reseal (folder: string, snapshot: string, change: (lines: string[]) => string[]): Promise<void> {
  const path = join(snapshot, 'SHA256SUMS')
  const text = change((await readFile(path, 'utf8')).split('\n')).join('\n')
  await writeFile(path, text)
  const { sha256, ...facts } = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'))
  await writeFile(join(folder, 'manifest.json'), manifestText({ ...facts, sums: digest(Buffer.from(text)) } as BackupFacts))
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
  { what: 'the digests end early', spoil: ({ snapshot }) => truncate(join(snapshot, 'SHA256SUMS'), 200) },
  { what: 'the digests are missing', spoil: ({ snapshot }) => rm(join(snapshot, 'SHA256SUMS')) },
  { what: 'the snapshot is missing', spoil: ({ snapshot }) => rm(snapshot, { recursive: true }) },
  { what: 'the manifest is missing', spoil: ({ folder }) => rm(join(folder, 'manifest.json')) },
  { what: 'the manifest is empty', spoil: ({ folder }) => truncate(join(folder, 'manifest.json'), 0) },
  { what: 'the manifest is cut', spoil: ({ folder }) => truncate(join(folder, 'manifest.json'), 100) },
  { what: 'the manifest is null', spoil: inManifest(() => null) },
  { what: 'the manifest is a list', spoil: inManifest(manifest => [manifest]) },
  { what: 'the manifest counts another number of files', spoil: inManifest(manifest => ({ ...manifest, files: manifest.files + 1 })) },
  { what: 'the manifest is of another day', spoil: inManifest(manifest => ({ ...manifest, createdAt: manifest.createdAt.replace(/^\d{4}/, '1999') })) },
  { what: 'the manifest names another folder', spoil: inManifest(manifest => ({ ...manifest, snapshot: '../elsewhere' })) },
  { what: 'the manifest has something else in it', spoil: inManifest(manifest => ({ ...manifest, note: '' })) },
  { what: 'the manifest is of a newer format', spoil: inManifest(manifest => ({ format: manifest.format + 1, whatever: 'that knows' })) },
  {
    what: 'the database is of a newer format',
    spoil: async ({ folder, snapshot }) => {
      const path = join(snapshot, 'magicstore.db')
      const database = new Database(path)
      database.exec('UPDATE __drizzle_migrations SET created_at = 9e15')
      database.close()
      const { sha256 } = (await filesIn(snapshot))['magicstore.db'] ?? { sha256: '' }
      await reseal(folder, snapshot, ([first = '', ...rest]) => [first.replace(/^[0-9a-f]+/, sha256), ...rest])
    }
  },
  ...['/etc/passwd', '../outside', 'blobs/../../outside', 'blobs/00/../../outside', `blobs/00/${'ab'.repeat(16)}`, 'manifest.json', ''].map(path => ({
    what: `a forged one names "${path}"`,
    spoil: ({ folder, snapshot }: { folder: string, snapshot: string }) => reseal(folder, snapshot, lines => lines.map((line, index) => index === 2 ? `${line.slice(0, 64)}  ${path}` : line))
  }))
]

t.test('a damaged, forged or newer backup is refused in one line, and leaves no data folder, or the one that was there empty', { timeout: 300_000 }, async t => {
  const { root, folder: whole } = await makeBackup(t)
  await mkdir(join(root, 'restored'))
  const queue = damages.map((damage, index) => ({ ...damage, index }))
  await Promise.all(Array.from({ length: 3 }, async () => {
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      const { what, spoil, index } = next
      const folder = join(root, `damaged-${index}`)
      await cp(whole, folder, { recursive: true })
      const [snapshot = ''] = (await readdir(folder)).filter(name => name.startsWith('snapshot-'))
      const [blob = ''] = await blobsIn(folder)
      await spoil({ folder, snapshot: join(folder, snapshot), blob: join(folder, 'blobs', blob.slice(0, 2), blob) })
      const target = join(root, 'restored', String(index))
      if (index % 2 === 0) await mkdir(target)
      await refused(t, ['restore', folder], { DATA_DIR: target }, { why: what })
      t.strictSame(await readdir(target).catch(error => error.code), index % 2 === 0 ? [] : 'ENOENT', what)
    }
  }))
  t.strictSame((await readdir(root)).filter(name => name.includes('outside')), [])
})

t.test('a backup into a folder that was spoilt puts a good one there, but never over one of a newer version', async t => {
  const { root, dataDir, folder: whole, user } = await makeBackup(t)
  const stored = await blobsIn(dataDir)
  const [blob = ''] = (await blobsIn(whole)).filter(id => stored.includes(id))
  for (const [index, { spoil }] of damages.filter(({ what }) => /missing|cut|longer|is a folder|leads nowhere|null/.test(what)).entries()) {
    const folder = join(root, `damaged-${index}`)
    await cp(whole, folder, { recursive: true })
    const [snapshot = ''] = (await readdir(folder)).filter(name => name.startsWith('snapshot-'))
    await spoil({ folder, snapshot: join(folder, snapshot), blob: join(folder, 'blobs', blob.slice(0, 2), blob) }).catch(() => {})
    await report(['backup', folder, '--prove'], { DATA_DIR: dataDir })
  }
  t.strictSame(await namesIn(t, join(root, 'damaged-0'), user), ['three', 'two'])
  const newer = join(root, 'newer')
  await cp(whole, newer, { recursive: true })
  await writeFile(join(newer, 'manifest.json'), '{"format":2}')
  const before = await contentsOf(newer)
  await refused(t, ['backup', newer], { DATA_DIR: dataDir })
  t.strictSame(await contentsOf(newer), before)
})

t.test('a folder that is not for this backup is refused and not touched', async t => {
  const { folder: root, dataDir } = await makeStore(t, { a: 'a' })
  const other = await makeStore(t, { b: 'b' })
  const folder = join(root, 'backup')
  await report(['backup', folder], { DATA_DIR: dataDir })
  await mkdir(join(root, 'photos'))
  await writeFile(join(root, 'photos', 'one.jpg'), 'a photo')
  await symlink(dataDir, join(root, 'link'))
  await mkdir(join(root, 'unfinished'))
  await writeFile(join(root, 'unfinished', 'magicstore.db'), '')
  await writeFile(join(root, 'unfinished', 'magicstore.db-hold'), '')
  const before = await contentsOf(root)
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
    await refused(t, args, { DATA_DIR: dataDir, ...settings }, { expected, why })
  }
  t.strictSame(await contentsOf(root), before)
  t.strictSame((await readdir(root)).sort(), ['backup', 'data', 'link', 'photos', 'unfinished'])
  for (const command of ['backup', 'restore']) {
    const { code, stdout, stderr } = await runBin([command, '--help'])
    t.strictSame([code, stderr], [0, ''])
    t.match(stdout, `magicstore ${command} FOLDER`)
  }
})

t.test('two backups into the same folder at once are one and a refusal', async t => {
  const { dataDir, folder } = await makeBackup(t)
  const before = await contentsOf(folder)
  // Whoever closes a file that he has locked loses the lock: from here on nothing is read there.
  const lock = lockFolder(join(folder, 'lock.db'))
  await refused(t, ['backup', folder], { DATA_DIR: dataDir })
  lock.close()
  t.strictSame(await contentsOf(folder), before)
  await report(['backup', folder], { DATA_DIR: dataDir })
})

t.test('what can\'t be read of the data folder fails the backup in one line, and the one before stays good', async t => {
  const { root, dataDir, folder, user } = await makeBackup(t)
  const before = await contentsOf(folder)
  const kept = await blobsIn(folder)
  const [added = ''] = (await blobsIn(dataDir)).filter(id => !kept.includes(id))
  const path = join(dataDir, 'blobs', added.slice(0, 2), added)
  const elsewhere = await mountDisk(t, 'size=64m')
  const isRefused = async (why: string, ...args: string[]) => {
    await refused(t, ['backup', folder, ...args], { DATA_DIR: dataDir }, { why })
    t.strictSame(await contentsOf(folder).then(({ [`blobs/${added.slice(0, 2)}/${added}`]: _one, ...rest }) => rest), before, why)
    if (elsewhere !== undefined) await refused(t, ['backup', elsewhere, ...args], { DATA_DIR: dataDir }, { why })
  }
  await rename(path, join(root, 'aside'))
  await isRefused('a file is gone')
  await writeFile(path, 'the third one is longer')
  await isRefused('a file is longer')
  await writeFile(path, 'the thirD')
  if (elsewhere !== undefined) await refused(t, ['backup', elsewhere], { DATA_DIR: dataDir }, { why: 'a copy is read' })
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
  database.exec('UPDATE accounts SET used_bytes = used_bytes - 1')
  database.exec('UPDATE __drizzle_migrations SET created_at = created_at + 1e12')
  database.close()
  await isRefused('a newer version made the database')
  t.strictSame(await namesIn(t, folder, user), ['one', 'two'])
})

t.test('a disk that is full fails a backup or a restore in one line: the backup before stays good, the data folder empty', async t => {
  const disk = await mountDisk(t, 'size=8m')
  if (disk === undefined) return
  const { folder: root, dataDir, user } = await makeStore(t, { small: randomBytes(MIB) })
  const folder = join(disk, 'backup')
  await report(['backup', folder], { DATA_DIR: dataDir })
  const before = await contentsOf(folder)
  const server = await startServer(t, { DATA_DIR: dataDir })
  for (const name of ['one', 'two', 'three']) await server.send('PUT', `/uploads/${name}`, { user, body: randomBytes(3 * MIB) })
  await server.close()
  await refused(t, ['backup', folder], { DATA_DIR: dataDir })
  const after = await contentsOf(folder)
  for (const [path, sha256] of Object.entries(before)) t.equal(after[path], sha256, path)
  t.strictSame(await namesIn(t, folder, user), ['small'])

  await report(['backup', join(root, 'backup')], { DATA_DIR: dataDir })
  for (const target of [join(disk, 'new'), join(disk, 'empty')]) {
    if (target.endsWith('empty')) await mkdir(target)
    await refused(t, ['restore', join(root, 'backup')], { DATA_DIR: target })
    t.strictSame(await readdir(target).catch(error => error.code), target.endsWith('empty') ? [] : 'ENOENT')
  }
  const filler = join(disk, 'filler')
  await run('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4096']).catch(() => {})
  await refused(t, ['backup', folder], { DATA_DIR: dataDir }, { why: 'without room for the database' })
  await rm(filler)
  t.strictSame(await namesIn(t, folder, user), ['small'])
})

t.test('long work says on a terminal how far it is, and nowhere else', { skip: spawnSync('script', ['--version']).status !== 0 && 'script is not installed' }, async t => {
  const { folder: root, dataDir } = await makeStore(t, Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`file-${index}`, String(index)])))
  const folder = join(root, 'backup')
  for (const { args, shown } of [
    { args: ['backup', folder, '--prove'], shown: [/backup: 300 of 300 files/, /restored for proof: 300 of 300 files/, /proven: 300 of 300 files/, /300 files of 1 people/] },
    { args: ['restore', folder], shown: [/restored: 300 of 300 files/] },
    { args: ['fsck', '--deep'], shown: [/looked at: \d+ files/, /all is well/] }
  ]) {
    const settings = { DATA_DIR: args[0] === 'restore' ? join(root, 'restored') : dataDir, SHELL: '/bin/sh' }
    const quoted = [process.execPath, ...binArguments(), ...args].map(text => `'${text}'`).join(' ')
    const { stdout } = await run('script', ['--quiet', '--return', '--echo', 'never', '--command', quoted, '/dev/null'], { env: { ...process.env, ...settings } })
    for (const pattern of shown) t.match(stdout, pattern)
  }
})
