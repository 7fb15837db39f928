import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { runCommand } from '../kit/commands.ts'
import { digestField } from '../kit/digests.ts'
import { createLink } from '../kit/links.ts'
import { credentials, openS3, type FakeS3, type Fault } from '../kit/s3.ts'
import { signUp, spawnServer, startServer, type Settings } from '../kit/server.ts'
import { MIB } from '../kit/sizes.ts'
import { runSql } from '../kit/stores.ts'
import { until } from '../kit/waiting.ts'

// SQLite for the metadata and S3 for the bytes, through HTTP and the commands.

// The AWS SDK reads its credentials from the environment.
Object.assign(process.env, credentials)

/** A bucket, and the settings of a server that stores bytes in it. */
async function startBucket (t: Test): Promise<{ s3: FakeS3, settings: Settings }> {
  const s3 = await openS3(t)
  return { s3, settings: { DATA_DIR: join(t.testdirName, 'data'), STORAGE_URL: s3.url('store'), IDLE_SECONDS: '60', ...credentials } }
}

test('a download goes on when its file is deleted, and the bytes go when they have been kept long enough', async t => {
  const { s3, settings } = await startBucket(t)
  const server = await startServer(t, settings)
  const { token } = await signUp(server, 'ann')
  const bytes = randomBytes(32 * MIB)
  await server.send('PUT', '/uploads/a', { token, body: bytes })
  const answered = server.send('GET', '/uploads/a', { token, headers: { range: 'bytes=0-30000000,100-200' } })
  await until(() => s3.log.some(line => line.startsWith('GET store/')))
  t.match(await server.send('DELETE', '/uploads/a', { token }), { status: 204 })
  t.match(await runCommand(['trash', 'empty', '--all', '--yes'], settings), { code: 0, stdout: /^deleted 1 files of 1 accounts/ })
  t.ok((await answered).bytes.includes(bytes.subarray(100, 201)), 'also a range that is asked for after that')
  t.equal(s3.objects().length, 1)
  await server.close()
  const later = await startServer(t, { ...settings, BLOB_GRACE_SECONDS: '0' })
  await until(() => s3.objects().length === 0)
  t.match(await later.send('GET', '/health/ready'), { status: 200 })
})

test('while the bucket can\'t be reached requests for bytes get 503, and all works without a restart when it is back', async t => {
  const { s3, settings } = await startBucket(t)
  const server = await startServer(t, settings)
  const { token } = await signUp(server, 'ann')
  for (const [name, size] of [['small', 3000], ['large', 3 * MIB]] as const) await server.send('PUT', `/uploads/${name}`, { token, body: Buffer.alloc(size) })
  await s3.stop()
  const refused = { status: 503, headers: { 'retry-after': '5', 'content-type': /^application\/problem\+json/ }, json: { code: 'unavailable' } }
  for (const name of ['small', 'large']) t.match(await server.send('GET', `/uploads/${name}`, { token }), refused)
  t.match(await server.send('PUT', '/uploads/new', { token, body: Buffer.alloc(3000) }), refused)
  t.match(await server.send('PUT', '/uploads/new', { token, body: Buffer.alloc(12 * MIB) }), refused)
  t.match(await server.send('HEAD', '/uploads/large', { token }), { status: 503 })
  t.match(await server.send('GET', '/health/ready'), { status: 503 })
  t.match(await server.send('GET', '/api/files', { token }), { status: 200 }, 'what needs no bytes goes on')
  t.match(await server.send('DELETE', '/uploads/small', { token }), { status: 204 })
  await s3.listen()
  t.match(await server.send('GET', '/uploads/large', { token }), { status: 200 })
  t.match(await server.send('PUT', '/uploads/new', { token, body: Buffer.alloc(12 * MIB) }), { status: 201 })
  // A check is reused for a second.
  await until(() => server.send('GET', '/health/ready'), ({ status }) => status === 200)
  t.strictSame(s3.uploads(), [])
})

test('a whole download of bytes that changed in the bucket never ends, and a range of them differs from the digest that a client can ask for', async t => {
  const { s3, settings } = await startBucket(t)
  const server = await startServer(t, settings)
  const { token } = await signUp(server, 'ann')
  const corrupt = (times: number) => { s3.fault = ({ method }) => method === 'GET' && times-- > 0 ? 'corrupt' : undefined }
  for (const [name, body] of [['small', randomBytes(5000)], ['large', randomBytes(3 * MIB)]] as const) {
    await server.send('PUT', `/uploads/${name}`, { token, body })
    await server.send('PUT', `/uploads/${name}`, { token, body: `another ${name}` })
    const { versions: [version] } = (await server.send('GET', `/api/files/${name}/versions`, { token })).json
    for (const path of [`/uploads/${name}?version=${version.id}`, `/uploads/${name}`]) {
      const isLarge = path.includes('large?')
      const ask = (headers = {}) => server.send('GET', path, { token, headers, isBroken: true }).catch(() => 'cut' as const)
      corrupt(Infinity)
      for (const headers of [{}, { range: 'bytes=0-' }]) {
        const damaged = await ask(headers)
        if (isLarge) t.equal(damaged, 'cut', path)
        else t.match(damaged, { status: 500, json: { code: 'file_damaged' } }, path)
      }
      const range = await ask({ range: 'bytes=1-2', 'want-repr-digest': 'sha-256=1' })
      if (isLarge) t.match(range, { status: 206, headers: { 'repr-digest': digestField('sha-256', body) }, bytes: Buffer.from([Number(body[1]) ^ 1, Number(body[2])]) })
      corrupt(1)
      if (!isLarge) t.match(await ask(), { status: 200 }, 'small ones are read once more')
      corrupt(0)
      if (path.includes('?')) t.ok((await server.send('GET', path, { token })).bytes.equals(body))
    }
  }
})

test('of a server that was killed during uploads nothing stays in the bucket but what it acknowledged', async t => {
  const { s3, settings } = await startBucket(t)
  const server = await spawnServer(t, settings)
  const { token } = await signUp(server, 'ann')
  const acknowledged = randomBytes(6 * MIB)
  t.match(await server.send('PUT', '/uploads/kept', { token, body: acknowledged }), { status: 201 })
  // One upload is in the middle of its parts; of another one the object is stored, and the answer is lost.
  const upload = httpRequest({ port: server.port, method: 'PUT', path: '/uploads/parts', headers: { authorization: `Bearer ${token}` } })
  upload.on('error', () => {})
  upload.write(Buffer.alloc(7 * MIB))
  s3.fault = ({ method, query }) => method === 'PUT' && !query.has('partNumber') ? 'lost' : undefined
  server.send('PUT', '/uploads/object', { token, body: 'bytes' }).catch(() => {})
  await until(() => s3.uploads().length === 1 && s3.objects().length === 2)
  await server.end('SIGKILL')
  s3.fault = () => undefined
  const second = await spawnServer(t, settings)
  t.strictSame([s3.uploads().length, s3.objects().length], [1, 2], 'another process may still be writing')
  await second.end('SIGTERM')
  // As five minutes would.
  await runSql(String(settings.DATA_DIR), 'UPDATE blob_leases SET expires_at = 0')
  const third = await spawnServer(t, settings)
  await until(() => s3.uploads().length === 0 && s3.objects().length === 1)
  t.ok((await third.send('GET', '/uploads/kept', { token })).bytes.equals(acknowledged))
  for (const name of ['parts', 'object']) t.match(await third.send('GET', `/uploads/${name}`, { token }), { status: 404 })
})

test('an upload whose lease ran out before it was recorded is not acknowledged', async t => {
  const { s3, settings } = await startBucket(t)
  const server = await startServer(t, settings)
  const { token } = await signUp(server, 'ann')
  const database = new Database(join(server.dataDir, 'magicstore.db'))
  s3.fault = ({ method }) => {
    if (method === 'PUT') database.exec('DELETE FROM blob_leases')
    return undefined
  }
  t.match(await server.send('PUT', '/uploads/a', { token, body: 'bytes' }), { status: 503, json: { code: 'unavailable' } })
  await until(() => s3.objects().length === 0)
  database.close()
})

test('a large download is redirected to the bucket, where it keeps its name, type and ranges until the URL expires', async t => {
  const { settings } = await startBucket(t)
  const server = await startServer(t, { ...settings, DOWNLOAD_REDIRECT_SECONDS: '5', LINKS: 'on' })
  const { token, user } = await signUp(server, 'ann')
  const bytes = randomBytes(6 * MIB)
  for (const [name, body] of [['small.txt', bytes.subarray(0, 5 * MIB)], ['résumé.txt', bytes]] as const) {
    await server.send('PUT', `/uploads/${encodeURIComponent(name)}`, { token, body, headers: { 'content-type': 'text/plain; charset=utf-8' } })
  }
  const path = `/uploads/${encodeURIComponent('résumé.txt')}`
  const redirected = await server.send('GET', path, { token })
  t.match(redirected, { status: 307, text: '', headers: { 'cache-control': 'no-store', 'cross-origin-resource-policy': 'same-origin' } })
  const url = String(redirected.headers.location)
  const response = await fetch(url)
  t.match([response.status, ...['content-type', 'content-disposition'].map(name => response.headers.get(name))],
    [200, 'text/plain; charset=utf-8', 'attachment; filename=r_sum_.txt; filename*=UTF-8\'\'r%C3%A9sum%C3%A9.txt'])
  t.ok(Buffer.from(await response.arrayBuffer()).equals(bytes))

  const followed = await fetch(`${server.url}${path}`, { headers: { authorization: `Bearer ${token}`, range: 'bytes=5-9' } })
  t.equal(followed.status, 206)
  t.ok(Buffer.from(await followed.arrayBuffer()).equals(bytes.subarray(5, 10)), 'a client that follows gets its range')
  for (const headers of [{ range: 'bytes=0-1,5-6' }, { range: 'bytes=0-1,1-2' }, { 'want-repr-digest': 'sha-256=1' }, { 'if-match': '*' }, { 'if-none-match': '"other"' }, { range: 'bytes=0-1', 'if-range': '"other"' }]) {
    t.ok((await server.send('GET', path, { token, headers })).status < 300, JSON.stringify(headers))
  }
  t.match(await server.send('GET', path, { token, headers: { 'if-none-match': '*' } }), { status: 304 })
  t.match(await server.send('HEAD', path, { token }), { status: 200 })
  t.match(await server.send('GET', '/uploads/small.txt', { token }), { status: 200 })
  t.match(await server.send('GET', path), { status: 401 })
  t.match(await server.send('GET', path.replace('uploads', 'dav'), { token }), { status: 200 }, 'clients of a drive follow no redirect')
  const link = await createLink(server, { user }, { name: 'résumé.txt', kind: 'download' })
  t.match(await server.send('GET', `${link.path}/files/x`), { status: 200 }, 'the URL would work when the link is revoked')

  t.equal((await fetch(url.replace('attachment', 'inline'))).status, 403, 'what the URL says can\'t be changed')
  await until(() => fetch(url), ({ status }) => status === 403)
  await server.close()
  const brief = await startServer(t, { ...settings, DOWNLOAD_REDIRECT_SECONDS: '2', BLOB_GRACE_SECONDS: '0' })
  t.match(await brief.send('GET', path, { token }), { status: 200 }, 'a URL is valid no longer than deleted bytes are kept')
})

test('fsck finds what is missing or changed in the bucket, and ends when it can\'t be reached', async t => {
  const { s3, settings } = await startBucket(t)
  const server = await startServer(t, settings)
  const { token } = await signUp(server, 'ann')
  for (const name of ['a', 'b']) await server.send('PUT', `/uploads/${name}`, { token, body: name })
  await server.close()
  t.match(await runCommand(['fsck', '--deep'], settings), { code: 0 })
  const [first = ''] = s3.objects()
  s3.fault = ({ key, method }) => key === first && method !== 'DELETE' ? { status: 404, code: 'NoSuchKey' } : undefined
  t.match(await runCommand(['fsck', '--deep'], settings), { code: 1, stdout: /missing/ })
  s3.fault = ({ key }) => key === first ? { status: 500, code: 'InternalError' } : undefined
  const failed = await runCommand(['fsck', '--deep'], settings)
  t.equal(failed.code, 1)
  t.notMatch(failed.stdout, /missing|wrong_size|unreadable/)
})

test('an object without a file is moved to the quarantine of the bucket, if it can be copied', async t => {
  const { s3, settings } = await startBucket(t)
  const server = await startServer(t, settings)
  const { token } = await signUp(server, 'ann')
  await server.send('PUT', '/uploads/a', { token, body: 'whose?' })
  await server.close()
  await runSql(server.dataDir, 'DELETE FROM files')
  const [orphan = ''] = s3.objects()
  const repair = async (fault: Fault | undefined) => {
    s3.fault = ({ method, key }) => method === 'PUT' && key.startsWith('store/quarantine/') ? fault : undefined
    return runCommand(['fsck', '--repair'], settings)
  }
  t.match(await repair({ status: 500, code: 'InternalError' }), { code: 1, stderr: /^magicstore: [^\n]*\n$/ })
  t.match(await repair({ status: 400, code: 'InvalidRequest' }), { code: 1, stdout: /orphan: [^\n(]*\n/ }, 'more than 5 GiB')
  t.strictSame(s3.objects(), [orphan])
  t.match(await repair(undefined), { code: 0, stdout: /orphan: .*\(repaired\)\n/ })
  t.strictSame(s3.objects(), [`store/quarantine/${orphan.slice(-32)}`])
  t.match(await repair(undefined), { code: 0, stdout: 'all is well\n' })
})

test('bytes that can\'t be deleted keep no others from being deleted', async t => {
  const { s3, settings } = await startBucket(t)
  const server = await startServer(t, { ...settings, BLOB_GRACE_SECONDS: '0', KEEP_DAYS: '0', MAX_MEMORY_BYTES: '0' })
  const { token } = await signUp(server, 'ann')
  const blocked = Array.from({ length: 501 }, () => randomBytes(16).toString('hex'))
  const client = new Database(join(server.dataDir, 'magicstore.db'))
  for (const id of blocked) client.prepare('INSERT INTO discarded_blobs (blob_id, discarded_at) VALUES (?, 1)').run(id)
  s3.fault = ({ method, key }) => method === 'DELETE' && blocked.includes(key.slice(-32)) ? { status: 500, code: 'InternalError' } : undefined
  await server.send('PUT', '/uploads/a', { token, body: 'a' })
  const [object] = s3.objects()
  const isThere = () => s3.objects().includes(String(object))
  t.ok(isThere())
  await server.send('DELETE', '/uploads/a', { token })
  // Each of these requests a sweep, and leaves an object for the next.
  for (let tries = 0; isThere() && tries < 1000; tries++) {
    await server.send('PUT', '/uploads/b', { token, body: `${tries}` })
    await server.send('DELETE', '/uploads/b', { token })
    await wait(20)
  }
  t.notOk(isThere())
  const waiting = new Set(client.prepare('SELECT blob_id FROM discarded_blobs').pluck().all())
  t.strictSame(blocked.filter(id => !waiting.has(id)), [], 'they are tried again later')
  client.close()
})

test('a server whose endpoint is none of a bucket says so in one line and exits', async t => {
  const { settings } = await startBucket(t)
  for (const [status, text] of [[200, '{"no": "XML"}'], [404, 'no & page <'], [403, '']] as const) {
    const server = createServer((_, response) => response.writeHead(status).end(text)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    const STORAGE_URL = `s3://files?endpoint=http://127.0.0.1:${(server.address() as AddressInfo).port}&region=eu-central-1`
    t.match(await runCommand(['serve'], { ...settings, PORT: '0', STORAGE_URL }), { code: 1, stdout: '', stderr: /^magicstore: STORAGE_URL: bucket files at [^\n]* can't be (?:used|reached): [^\n]*\n$/ })
  }
})
