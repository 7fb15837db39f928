import { spawn } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { blobsIn, createStore, hasStrace, report } from '../kit/backups.ts'
import { issueToken, namesOf, runBin, signUp, spawnServer, startServer, type Client, type ServerProcess } from '../kit/server.ts'
import { MIB, sizes } from '../kit/sizes.ts'
import { runSql } from '../kit/stores.ts'
import { append, beginUpload, offsetOf, stall } from '../kit/tus.ts'
import { until } from '../kit/waiting.ts'

const UPLOADS = 4
const UPLOAD_BYTES = sizes.killedUploadBytes
const KILLS = sizes.uploadKills

/** At most so many for each account. */
const UPLOADS_PER_ACCOUNT = 1000
const MANY = sizes.unfinishedUploads

const needsStrace = { skip: hasStrace ? false : 'strace is not installed', timeout: 600_000 }

t.test('no acknowledged offset is lost by kill -9, and the bytes before it are whole', { timeout: 600_000 }, async t => {
  const settings = { DATA_DIR: t.testdir(), RATE_LIMIT_PER_MINUTE: '0', TOKEN_SECONDS: '86400' }
  let server = await spawnServer(t, settings)
  const { token } = await signUp(server, 'ada')
  const bytes = randomBytes(UPLOAD_BYTES)
  const uploads = await Promise.all(Array.from({ length: UPLOADS }, async (_, index) => ({ name: `${index}`, acknowledged: 0, path: await beginUpload(server, token, { name: `${index}`, length: bytes.length }) })))
  let appends = 0

  /** Appends pieces of any size until all bytes are there or the server is killed. */
  async function work (client: Client, upload: typeof uploads[number]): Promise<void> {
    const offset = await offsetOf(client, token, upload.path)
    t.ok(offset >= upload.acknowledged, `${upload.name}: ${offset} is not before ${upload.acknowledged}`)
    upload.acknowledged = offset
    while (upload.acknowledged < bytes.length) {
      const end = Math.min(bytes.length, upload.acknowledged + randomInt(1, bytes.length / 8))
      const { status } = await append(client, token, {
        path: upload.path, offset: upload.acknowledged, bytes: bytes.subarray(upload.acknowledged, end)
      })
      t.equal(status, 204)
      upload.acknowledged = end
      appends++
    }
  }

  for (let kill = 0; kill < KILLS; kill++) {
    const working = uploads.map(upload =>
      work(server, upload).catch((error: NodeJS.ErrnoException) => { if (error.code === undefined) throw error }))
    await wait(randomInt(20, 400))
    await server.end('SIGKILL')
    await Promise.all(working)
    server = await spawnServer(t, settings)
  }
  for (const upload of uploads) {
    await work(server, upload)
    t.ok((await server.send('GET', `/uploads/${upload.name}`, { token })).bytes.equals(bytes), upload.name)
  }
  t.equal(await server.end('SIGTERM'), 0)
  t.equal((await blobsIn(settings.DATA_DIR)).length, UPLOADS)
  t.match(await runBin(['fsck', '--deep'], settings), { code: 0, stdout: 'all is well\n' })
  t.comment(`${KILLS} kills, ${appends} appends acknowledged, 0 lost`)
})

t.test('a process that dies at a step of the last append leaves an offset before the end, or the file', needsStrace, async t => {
  const settings = { DATA_DIR: t.testdir() }
  const bytes = randomBytes(3000)
  let server = await spawnServer(t, settings)
  const { user } = await signUp(server, 'ada')
  const steps = [
    { step: 'the bytes are written', call: 'writev' },
    { step: 'the bytes or the log are synced', call: 'fdatasync' },
    { step: 'the other of them is synced', call: 'fdatasync', when: 2 },
    { step: 'the folder is synced', call: 'fsync' },
    { step: 'the log is written for the first time', call: 'pwrite64' },
    { step: 'the log is written again', call: 'pwrite64', when: 4 },
    { step: 'the last of the syncs', call: 'fdatasync', when: 3 }
  ]
  for (const [index, { step, call, when = 1 }] of steps.entries()) {
    const name = `${index}`
    const token = await issueToken(server, { user })
    const path = await beginUpload(server, token, { name, length: bytes.length })
    await append(server, token, { path, offset: 0, bytes: bytes.subarray(0, 1000) })
    await attach(t, server, ['-f', '-e', `inject=${call}:signal=KILL:when=${when}`])
    const answer =
      await append(server, token, { path, offset: 1000, bytes: bytes.subarray(1000) }).catch(() => undefined)
    server.child.kill('SIGKILL')
    if (server.child.exitCode === null && server.child.signalCode === null) await once(server.child, 'close')
    server = await spawnServer(t, settings)
    const offset = await offsetOf(server, token, path)
    const { status } = await server.send('GET', `/uploads/${name}`, { token })
    t.equal(status, offset === bytes.length ? 200 : 404, `${step}: ${offset}`)
    if (answer !== undefined) t.equal(status, 200, `${step}: acknowledged`)
    t.equal((await append(server, token, { path, offset, bytes: bytes.subarray(offset) })).status, 204)
    t.ok((await server.send('GET', `/uploads/${name}`, { token })).bytes.equals(bytes))
  }
  await server.end('SIGTERM')
  t.match(await runBin(['fsck', '--deep'], settings), { code: 0, stdout: 'all is well\n' })
})

/** Attaches strace to a running server. */
async function attach (t: Test, server: ServerProcess, args: string[]): Promise<void> {
  const child = spawn('strace', ['-p', String(server.child.pid), ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  for await (const line of createInterface(child.stderr as Readable)) if (/attached/.test(line)) break
  child.stderr?.resume()
}

/** How long the disk needs to make a folder: a sweep begins and ends meanwhile. */
const FOLDER_MICROSECONDS = 2_000_000

for (const { kind, end } of [
  { kind: 'ends', end: undefined },
  { kind: 'ends, with a digest that does not match', end: randomBytes(32) },
  { kind: 'is cut', end: 'cut' as const }
]) {
  t.test(`a slow disk makes the file of an upload after another has replaced it: nothing is left if the append ${kind}`, needsStrace, async t => {
    const settings = { DATA_DIR: t.testdir() }
    const server = await spawnServer(t, settings)
    const { token } = await signUp(server, 'ada')
    await server.send('PUT', '/uploads/unwanted', { token, body: 'x' })
    await attach(t, server, ['-f', '-e', 'trace=mkdir', '-e', `inject=mkdir:delay_enter=${FOLDER_MICROSECONDS}`])
    const digest = Buffer.isBuffer(end) ? { 'content-digest': `sha-256=:${end.toString('base64')}:` } : {}
    const first = httpRequest({ port: server.port, method: 'PUT', path: '/uploads/a', agent: false, headers: { authorization: `Bearer ${token}`, 'upload-complete': '?0', 'content-length': '100', ...digest } })
    const ended = new Promise(resolve => first.on('response', resolve).on('error', resolve))
    if (end === undefined || Buffer.isBuffer(end)) first.end(randomBytes(100))
    else first.write(randomBytes(50))
    const begun = async () => (await server.send('GET', '/api/uploads?name=a', { token })).json.uploads.length
    await until(begun)
    const replaced = server.send('PUT', '/uploads/a', { token, headers: { 'upload-complete': '?0' }, body: 'y' })
    await server.send('DELETE', '/uploads/unwanted?permanent=true', { token })
    await until(async () => (await runSql(settings.DATA_DIR, 'SELECT blob_id FROM discarded_blobs')).length === 0)
    if (end === 'cut') first.destroy()
    await ended
    t.equal((await replaced).status, 201)
    await server.end('SIGTERM')
    t.match(await runBin(['fsck', '--deep'], settings), { code: 0, stdout: 'all is well\n' })
    t.strictSame(await readdir(join(settings.DATA_DIR, 'incoming')), [])
  })
}

t.test('SIGTERM in the middle of an append keeps what arrived, and the exit is clean', async t => {
  const settings = { DATA_DIR: t.testdir() }
  const bytes = randomBytes(30 * MIB)
  const server = await spawnServer(t, settings)
  const { token } = await signUp(server, 'ada')
  const path = await beginUpload(server, token, { name: 'a', length: bytes.length })
  const sent = 20 * MIB
  const request = stall(server, token, { path, offset: 0, bytes: bytes.subarray(0, sent), length: bytes.length })
  const blobSize = async () => (await Promise.all((await readdir(join(settings.DATA_DIR, 'blobs'), { recursive: true, withFileTypes: true })).filter(entry => entry.isFile()).map(entry => readFile(join(entry.parentPath, entry.name))))).reduce((sum, { length }) => sum + length, 0)
  await until(blobSize, size => size >= sent - 2 * MIB)
  t.equal(await server.end('SIGTERM'), 0)
  request.destroy()
  const again = await spawnServer(t, settings)
  const offset = await offsetOf(again, token, path)
  t.ok(offset >= sent - 2 * MIB && offset <= sent, `${offset}`)
  t.equal((await append(again, token, { path, offset, bytes: bytes.subarray(offset) })).status, 204)
  t.ok((await again.send('GET', '/uploads/a', { token })).bytes.equals(bytes))
})

t.test('fsck has nothing to say about unfinished uploads, and a backup leaves them out', async t => {
  const { folder, dataDir, user } = await createStore(t, { kept: 'a file' })
  const server = await startServer(t, { DATA_DIR: dataDir })
  const token = await issueToken(server, { user })
  const bytes = randomBytes(MIB)
  await beginUpload(server, token, { name: 'empty', length: 5 })
  const path = await beginUpload(server, token, { name: 'half', length: bytes.length })
  await append(server, token, { path, offset: 0, bytes: bytes.subarray(0, MIB / 2) })
  const finished = await beginUpload(server, token, { name: 'finished', length: 4 })
  await append(server, token, { path: finished, offset: 0, bytes: Buffer.from('done') })

  const settings = { DATA_DIR: join(folder, 'restored') }
  t.match(await runBin(['fsck', '--deep'], { DATA_DIR: dataDir }), { code: 0, stdout: 'all is well\n' }, 'beside a server')
  t.match(await report(['backup', join(folder, 'backup')], { DATA_DIR: dataDir }), { files: 2 })
  await server.close()
  t.match(await runBin(['fsck', '--deep'], { DATA_DIR: dataDir }), { code: 0, stdout: 'all is well\n' })

  await report(['restore', join(folder, 'backup')], settings)
  t.match(await runBin(['fsck', '--deep'], settings), { code: 0, stdout: 'all is well\n' })
  const restored = await startServer(t, { ...settings, QUOTA_FILES: '3' })
  t.strictSame((await restored.send('GET', '/api/uploads', { user })).json.uploads, [])
  t.equal((await restored.send('HEAD', path, { user })).status, 404)
  t.match((await restored.send('GET', '/api/account', { user })).json.usage, { files: 2, bytes: 10, uploadBytes: 0 })
  t.strictSame(await namesOf(restored, { user }), ['finished', 'kept'])
  t.equal((await blobsIn(settings.DATA_DIR)).length, 2)
  t.equal((await restored.send('PUT', '/uploads/third', { user, body: 'x' })).status, 201, 'no file is reserved')
})

t.test('uploads end with their account, and their bytes go from the disk', async t => {
  const settings = { DATA_DIR: t.testdir() }
  const server = await startServer(t, settings)
  const { user, token } = await signUp(server, 'ada')
  const paths: string[] = []
  for (const name of ['a', 'b', 'c']) {
    const path = await beginUpload(server, token, { name, length: 2 * MIB })
    await append(server, token, { path, offset: 0, bytes: randomBytes(MIB) })
    paths.push(path)
  }
  const request = stall(server, token, { path: String(paths[0]), offset: MIB, bytes: randomBytes(1000), length: MIB })
  await wait(100)
  t.equal((await blobsIn(settings.DATA_DIR)).length, 3)
  t.equal((await server.send('DELETE', '/api/account', { user })).status, 204)
  await until(async () => (await blobsIn(settings.DATA_DIR)).length === 0)
  request.destroy()
  await server.close()
  t.strictSame(await blobsIn(settings.DATA_DIR), [], 'an append that was under way brings nothing back')
  t.match(await runBin(['fsck', '--deep'], settings), { code: 0, stdout: 'all is well\n' })
})

t.test(`a start does not look at the bytes of ${MANY} unfinished uploads`, needsStrace, async t => {
  const settings = { DATA_DIR: t.testdir({ data: {} }) + '/data', RATE_LIMIT_PER_MINUTE: '0', REGISTRATIONS_PER_HOUR: '0' }
  const server = await startServer(t, settings)
  let left = MANY
  while (left > 0) {
    const { token } = await signUp(server, `user-${left}`)
    const numbers = Array.from({ length: Math.min(left, UPLOADS_PER_ACCOUNT) }, (_, index) => index)
    left -= numbers.length
    await Promise.all(Array.from({ length: 32 }, async () => {
      for (let number = numbers.pop(); number !== undefined; number = numbers.pop()) {
        const path = await beginUpload(server, token, { name: `${number}`, length: 2 })
        await append(server, token, { path, offset: 0, bytes: Buffer.from('x') })
      }
    }))
  }
  await server.close()
  const blobs = await blobsIn(settings.DATA_DIR)
  t.equal(blobs.length, MANY)
  const trace = join(t.testdirName, 'calls')
  const again = await spawnServer(t, settings, { under: ['strace', '-D', '-f', '-o', trace, '-e', 'trace=%file,getdents64'] })
  t.equal((await again.send('GET', '/health/ready')).status, 200)
  t.equal(await again.end('SIGTERM'), 0)
  const calls = await readFile(trace, 'utf8')
  t.match(calls, /data\/blobs"/, 'the calls were recorded')
  t.notMatch(calls, /data\/blobs\/[0-9a-f]{2}["/]/)
})
