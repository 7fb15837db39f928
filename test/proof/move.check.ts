import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { test } from 'tap'
import { blobsIn, createStore, expectRefusal, report } from '../kit/backups.ts'
import { withFault } from '../kit/bin.ts'
import { runCommand } from '../kit/commands.ts'
import { sha256Of } from '../kit/digests.ts'
import { startPostgres } from '../kit/postgres.ts'
import { run } from '../kit/programs.ts'
import { scalingCommands } from '../kit/readme.ts'
import { credentials, openS3 } from '../kit/s3.ts'
import { runBin, signUp, spawnServer, startServer, type Client, type Settings } from '../kit/server.ts'
import { MIB } from '../kit/sizes.ts'
import { findingsIn } from './set-ups.ts'

/** Name, size, digest, dates, bytes and versions of every file, as its owner sees them, the folders and the trash. */
async function filesOf (client: Client, token: string): Promise<object[]> {
  const { json: { files } } = await client.send('GET', '/api/files?limit=100', { token })
  return Promise.all(files.map(async ({ url, id, folderId, ...file }: Record<string, string> & { name: string }) => {
    const { bytes, headers } = await client.send('GET', `/uploads/${encodeURIComponent(file.name)}`, { token })
    const { json: { versions } } = await client.send('GET', `/api/files/${encodeURIComponent(file.name)}/versions`, { token })
    const old = await Promise.all(versions.map(async ({ id }: { id: string }) => (await client.send('GET', `/uploads/${encodeURIComponent(file.name)}?version=${id}`, { token })).text))
    return { ...file, etag: headers.etag, modified: headers['last-modified'], bytes: sha256Of(bytes), versions, old }
  })).then(async files => {
    const folders = await Promise.all(['', 'a', 'a/b', 'hollow'].map(async folder => (await client.send('GET', `/api/folders?folder=${encodeURIComponent(folder)}`, { token })).json.folders.map(({ name, createdAt }: { name: string, createdAt: string }) => [name, createdAt])))
    return [...files, folders, (await client.send('GET', '/api/trash', { token })).json]
  })
}

const postgres = await startPostgres(t)

/** The retention lock of a backup is renewed every few milliseconds, not every 15 seconds. */
const renewing = withFault(`const { setInterval } = globalThis
  globalThis.setInterval = (run, milliseconds) => setInterval(run, milliseconds === 15_000 ? 5 : milliseconds)`)

test('a store moves from SQLite and a folder to PostgreSQL and S3, to every other pair, and back, with equal digests, ids and tokens', async t => {
  const folder = t.testdir()
  const s3 = await openS3(t, join(folder, 'bucket'))
  const pairs: { name: string, settings: Settings }[] = [
    { name: 'postgres-s3', settings: { DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url('one/') } },
    { name: 'postgres-folder', settings: { DATABASE_URL: await postgres.newDatabase() } },
    { name: 'sqlite-s3', settings: { STORAGE_URL: s3.url('two/') } },
    { name: 'sqlite-folder', settings: {} }
  ]
  const settingsOf = (name: string, settings: Settings = {}): Settings => ({ DATA_DIR: join(folder, name), TOKEN_SECONDS: '86400', ...credentials, ...settings })

  let current = settingsOf('first')
  let server = await spawnServer(t, current)
  const { id, token, user } = await signUp(server, 'ada')
  const other = await signUp(server, 'zoë')
  await server.send('PUT', '/uploads/deleted', { token, body: 'x' })
  for (const [name, body] of [['empty', ''], ['small ü', 'text'], ['large', 'x'.repeat(6_000_000)], ['equal', 'x'.repeat(6_000_000)]] as const) {
    t.equal((await server.send('PUT', `/uploads/${encodeURIComponent(name)}`, { token, body, headers: { 'content-type': 'text/plain' } })).status, 201)
  }
  await server.send('PUT', '/uploads/theirs', { token: other.token, body: 'theirs' })
  for (const name of ['a/b/c.txt', 'a/d ü', 'gone/e', 'gone/f/g']) {
    t.match((await server.send('PUT', `/uploads/${name.split('/').map(encodeURIComponent).join('/')}`, { token, body: name, headers: { 'x-file-modified': '2001-02-03T04:05:06.789Z' } })).json, { name, modifiedAt: '2001-02-03T04:05:06.789Z' })
  }
  t.equal((await server.send('PUT', '/api/folders/hollow%2Fin', { token })).status, 201)
  t.equal((await server.send('DELETE', '/api/folders/gone?recursive=true', { token })).status, 204)
  await server.send('DELETE', '/uploads/deleted', { token })
  for (const body of ['one', 'two', 'three']) await server.send('PUT', '/uploads/replaced', { token, body })
  const files = await filesOf(server, token)
  let events = (await server.send('GET', '/api/account/events', { token })).text

  const doctor = async (settings: Settings) => {
    const { code, stdout } = await runCommand(['doctor', '--json'], settings)
    return { code, ...Object.fromEntries(findingsIn(stdout).map(({ check, verdict, message }) => [check, `${verdict}: ${message}`])) }
  }
  const trash = files.at(-1) as { files: { id: string, name: string, deletedWith: string | null }[] }
  t.match(trash.files.map(({ name }) => name).sort(), ['deleted', 'gone/e', 'gone/f/g'])
  t.match(trash.files.filter(({ deletedWith }) => deletedWith !== null).length, 2)
  t.match(files.at(-2), [[['a'], ['hollow']], [['a/b']], [], [['hollow/in']]])
  t.ok(files.some(file => 'old' in file && String(file.old) === 'two,one'))
  const [, onFolder] = pairs as [unknown, { settings: Settings }]
  t.match(await doctor(settingsOf('postgres-folder', onFolder.settings)), { code: 0, signing_keys: 'good: they are in the database', database: /^good: PostgreSQL .* the next start upgrades/, storage: 'good: files are in DATA_DIR', folder: /./ })

  for (const [index, { name, settings }] of pairs.entries()) {
    const backup = join(folder, `backup-${index}`)
    const made = current.DATABASE_URL === undefined ? await runCommand(['backup', backup, '--prove'], current) : await runBin(['backup', backup, '--prove'], { ...current, ...renewing })
    t.strictSame([made.code, made.stderr], [0, ''], `backed up for ${name}`)
    await server.end('SIGTERM')
    current = settingsOf(name, settings)
    const restored = await runCommand(['restore', backup], current)
    t.strictSame([restored.code, restored.stderr], [0, ''], `restored into ${name}`)
    t.match(await runCommand(['restore', backup], current), { code: /^[12]$/, stderr: /^magicstore: [^\n]*\n$/ }, 'once')
    const { code, stdout } = await runCommand(['fsck', '--deep'], current)
    t.strictSame([code, stdout], [0, 'all is well\n'], name)
    server = await spawnServer(t, current, { isCounted: true })
    t.equal(server.welcome.some(line => /database: +PostgreSQL at 127.0.0.1:\d+\/\w+$/.test(line)), settings.DATABASE_URL !== undefined)
    t.equal(server.welcome.some(line => /files: +bucket files$/.test(line)), settings.STORAGE_URL !== undefined)
    t.strictSame(await filesOf(server, token), files, `the same files, with the token of before, in ${name}`)
    t.equal((await server.send('GET', '/api/account/events', { token })).text, events)
    t.equal((await server.send('GET', '/uploads/theirs', { token })).status, 404)
    t.equal((await server.send('GET', '/api/account', { token })).json.id, id)
    t.equal((await server.send('GET', '/api/token', { user })).status, 200)
    events = (await server.send('GET', '/api/account/events', { token })).text
    await server.send('PUT', '/uploads/temporary', { token, body: 'x' })
    await server.send('DELETE', '/uploads/temporary?permanent=true', { token })
    t.equal(existsSync(join(folder, name, 'blobs')), settings.STORAGE_URL === undefined)
    t.equal(existsSync(join(folder, name, 'magicstore.db')), settings.DATABASE_URL === undefined)
  }
  t.match((await server.send('POST', `/api/trash/${trash.files.find(({ name }) => name === 'deleted')?.id}/restore`, { token })).json, { name: 'deleted' })
  const { deletedWith } = trash.files.find(({ name }) => name === 'gone/e') ?? {}
  t.match((await server.send('POST', '/api/trash/restore', { token, json: { deletedWith } })).json, { restored: 2, kept: { length: 0 } })
  t.match((await server.send('GET', '/api/files/gone%2Ff%2Fg', { token })).json, { modifiedAt: '2001-02-03T04:05:06.789Z' })
  t.equal((await server.send('GET', '/uploads/deleted', { token })).text, 'x')
  t.notOk(existsSync(join(folder, 'postgres-s3')), 'with a database server and a bucket there is no data folder')
  const [first] = pairs as [{ settings: Settings }, ...unknown[]]
  const healthy = await doctor(settingsOf('postgres-s3', first.settings))
  t.match(healthy, { code: 0, database: /^good: PostgreSQL .* answers/, storage: 'good: files can be listed, written, read and deleted in bucket files' })
  t.notOk('folder' in healthy)
  await s3.stop()
  const unreachable = /^magicstore: STORAGE_URL: bucket files at [^\n]* can't be reached: [^\n]*\n$/
  t.match(await runCommand(['backup', join(folder, 'none')], settingsOf('postgres-s3', first.settings)), { code: 1, stderr: unreachable })
  t.match(await runCommand(['restore', join(folder, 'backup-0')], settingsOf('none', { ...first.settings, DATABASE_URL: await postgres.newDatabase() })), { code: 1, stderr: unreachable })
  await postgres.stop()
  t.match(await doctor(settingsOf('postgres-s3', first.settings)), { code: 1, database: /^fault: DATABASE_URL: can't connect/, storage: /^fault: STORAGE_URL: bucket files at .* can't be reached/ })
  await postgres.start()
})

test('the commands of scaling.md, as typed, move a store to PostgreSQL and S3', async t => {
  const folder = t.testdir()
  const s3 = await openS3(t, join(folder, 'bucket'))
  const { dataDir, token } = await createStore(t, { 'report.pdf': 'the report' })
  const settings = { DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url(), ...credentials }
  const { move } = await scalingCommands()
  t.equal(move.at(-1), 'magicstore serve')
  const script = move.slice(0, -1).join('\n')
    .replaceAll(' /backup', ` ${join(folder, 'backup')}`)
    .replaceAll(/(?<= )(\w+)=(?:'[^']*'|\S+)/g, (_, name: keyof typeof settings) => `${name}='${settings[name]}'`)
  const moved = await run('bash', ['-e', '-c', `magicstore () { node dist/main.js "$@"; }\n${script}`], { env: { DATA_DIR: dataDir, MIN_FREE_BYTES: '0' } })
  t.match(moved, { code: 0, stderr: '', stdout: /all is well\n$/ })
  const after = await spawnServer(t, settings)
  t.equal((await after.send('GET', '/uploads/report.pdf', { token })).text, 'the report')
})

// cut-restore.check.ts continues one that breaks off.
test('a damaged backup makes no account in PostgreSQL, and a restore mends bytes that the bucket has lost', async t => {
  const s3 = await openS3(t, join(t.testdir(), 'bucket'))
  // More than the files that a restore sends at a time.
  const contents = Array.from({ length: 260 }, (_, index) => [`${index}`, `file ${index}`])
  const { folder, dataDir, token } = await createStore(t, { ...Object.fromEntries(contents), large: 'x'.repeat(MIB) })
  const server = await startServer(t, { DATA_DIR: dataDir, RATE_LIMIT_PER_MINUTE: '0' })
  for (let index = 0; index < 9; index++) await server.send('PUT', `/uploads/${index}`, { token, body: 'another content' })
  await server.close()
  const [backup, spoilt] = [join(folder, 'backup'), join(folder, 'spoilt')]
  for (const place of [backup, spoilt]) await report(['backup', place], { DATA_DIR: dataDir })
  const settings = { DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url(), ...credentials }

  const [blob = ''] = await blobsIn(spoilt)
  // Not truncated: it is a hard link.
  const file = join(spoilt, 'blobs', blob.slice(0, 2), blob)
  rmSync(file)
  writeFileSync(file, 'other')
  await expectRefusal(t, ['restore', spoilt], { ...settings, STORAGE_URL: s3.url('spoilt/') }, { says: /[^\n]*is damaged: it does not have its digest/ })
  t.strictSame(await postgres.run(settings.DATABASE_URL, 'SELECT * FROM accounts'), [])
  t.notOk(s3.objects().some(key => key.endsWith(blob)))

  await report(['restore', backup], settings)

  // The bucket lost bytes: a restore into a new database finds and mends them.
  const [damaged = ''] = s3.objects().filter(key => !key.startsWith('spoilt/'))
  s3.fault = ({ method, key }) => method === 'GET' && key === damaged ? { status: 500, code: 'InternalError' } : undefined
  await expectRefusal(t, ['restore', backup], { ...settings, DATABASE_URL: await postgres.newDatabase() })
  s3.fault = () => undefined
  writeFileSync(s3.fileOf(damaged), readFileSync(s3.fileOf(damaged)).reverse())
  t.match(await runCommand(['fsck', '--deep'], settings), { code: 1, stdout: /wrong_digest/ })
  const anew = { ...settings, DATABASE_URL: await postgres.newDatabase() }
  await report(['restore', backup], anew)
  t.match(await runCommand(['fsck', '--deep'], anew), { code: 0, stdout: 'all is well\n' })
  const sent = s3.log.length
  await expectRefusal(t, ['restore', spoilt], anew, { expected: 2, says: /[^\n]*has accounts[^\n]*/, why: 'a store that is in use' })
  t.notOk(s3.log.slice(sent).some(line => /^PUT .*[0-9a-f]{32}$/.test(line)), 'before anything is written')
})
