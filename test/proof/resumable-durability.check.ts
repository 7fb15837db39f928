import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { blobsIn, createStore, report } from '../kit/backups.ts'
import { runCommand } from '../kit/commands.ts'
import { issueToken, namesOf, signUp, spawnServer, startServer } from '../kit/server.ts'
import { MIB, sizes } from '../kit/sizes.ts'
import { runSql } from '../kit/stores.ts'
import { skipWithoutStrace, straced } from '../kit/strace.ts'
import { append, beginUpload, offsetOf } from '../kit/tus.ts'
import { until } from '../kit/waiting.ts'

const MANY = sizes.unfinishedUploads

const needsStrace = { skip: skipWithoutStrace, timeout: 600_000 }

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
    await straced(t, server, ['-f', '-e', `inject=${call}:signal=KILL:when=${when}`])
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
  t.match(await runCommand(['fsck', '--deep'], settings), { code: 0, stdout: 'all is well\n' })
})

/** How long the disk needs to make a folder: a sweep begins and ends meanwhile. */
const FOLDER_MICROSECONDS = 2_000_000

t.test('a slow disk makes the file of an upload after another has replaced it: nothing is left, however the append ends', needsStrace, async t => {
  const settings = { DATA_DIR: t.testdir() }
  const server = await spawnServer(t, settings)
  const { token } = await signUp(server, 'ada')
  const endings = { whole: undefined, 'with-another-digest': randomBytes(32), cut: 'cut' } as const
  for (const name of Object.keys(endings)) await server.send('PUT', `/uploads/unwanted-${name}`, { token, body: 'x' })
  await straced(t, server, ['-f', '-e', 'trace=mkdir', '-e', `inject=mkdir:delay_enter=${FOLDER_MICROSECONDS}`])
  for (const [name, end] of Object.entries(endings)) {
    const digest = Buffer.isBuffer(end) ? { 'content-digest': `sha-256=:${end.toString('base64')}:` } : {}
    const first = httpRequest({ port: server.port, method: 'PUT', path: `/uploads/${name}`, agent: false, headers: { authorization: `Bearer ${token}`, 'upload-complete': '?0', 'content-length': '100', ...digest } })
    const ended = new Promise(resolve => first.on('response', resolve).on('error', resolve))
    if (end === 'cut') first.write(randomBytes(50))
    else first.end(randomBytes(100))
    await until(async () => (await server.send('GET', `/api/uploads?name=${name}`, { token })).json.uploads.length)
    const replaced = server.send('PUT', `/uploads/${name}`, { token, headers: { 'upload-complete': '?0' }, body: 'y' })
    await server.send('DELETE', `/uploads/unwanted-${name}?permanent=true`, { token })
    await until(async () => (await runSql(settings.DATA_DIR, 'SELECT blob_id FROM discarded_blobs')).length === 0)
    if (end === 'cut') first.destroy()
    await ended
    t.equal((await replaced).status, 201, name)
  }
  await server.end('SIGTERM')
  t.match(await runCommand(['fsck', '--deep'], settings), { code: 0, stdout: 'all is well\n' })
  t.strictSame(await readdir(join(settings.DATA_DIR, 'incoming')), [])
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
  t.match(await runCommand(['fsck', '--deep'], { DATA_DIR: dataDir }), { code: 0, stdout: 'all is well\n' }, 'beside a server')
  t.match(await report(['backup', join(folder, 'backup')], { DATA_DIR: dataDir }), { files: 2 })
  await server.close()
  t.match(await runCommand(['fsck', '--deep'], { DATA_DIR: dataDir }), { code: 0, stdout: 'all is well\n' })

  await report(['restore', join(folder, 'backup')], settings)
  t.match(await runCommand(['fsck', '--deep'], settings), { code: 0, stdout: 'all is well\n' })
  const restored = await startServer(t, { ...settings, QUOTA_FILES: '3' })
  t.strictSame((await restored.send('GET', '/api/uploads', { user })).json.uploads, [])
  t.equal((await restored.send('HEAD', path, { user })).status, 404)
  t.match((await restored.send('GET', '/api/account', { user })).json.usage, { files: 2, bytes: 10, uploadBytes: 0 })
  t.strictSame(await namesOf(restored, { user }), ['finished', 'kept'])
  t.equal((await blobsIn(settings.DATA_DIR)).length, 2)
  t.equal((await restored.send('PUT', '/uploads/third', { user, body: 'x' })).status, 201, 'no file is reserved')
})

t.test(`a start does not look at the bytes of ${MANY} unfinished uploads`, needsStrace, async t => {
  const settings = { DATA_DIR: t.testdir({ data: {} }) + '/data', RATE_LIMIT_PER_MINUTE: '0', REGISTRATIONS_PER_HOUR: '0' }
  const server = await startServer(t, settings)
  const { token } = await signUp(server)
  const names = Array.from({ length: MANY }, (_, index) => `${index}`)
  await Promise.all(Array.from({ length: 32 }, async () => {
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      const path = await beginUpload(server, token, { name, length: 2 })
      await append(server, token, { path, offset: 0, bytes: Buffer.from('x') })
    }
  }))
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
