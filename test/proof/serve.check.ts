import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, copyFile, mkdir, readdir, readFile, rm, stat, watch, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { test, type Test } from 'tap'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { withFault, type Start } from '../kit/bin.ts'
import { root } from '../kit/root.ts'
import { clientOf, formOf, runBin, signUp, spawnServer as spawnUncounted, startServer, type Settings } from '../kit/server.ts'
import { MIB } from '../kit/sizes.ts'
import { until } from '../kit/waiting.ts'

const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))

const spawnServer = (t: Test, settings: Settings, start: Start = {}) =>
  spawnUncounted(t, settings, { isCounted: true, ...start })

/** One line on standard error, from MagicStore itself. */
const oneLine = /^magicstore: [^\n]+\n$/

test('the welcome names the address, the documentation of the API, the data folder and the password policy', async t => {
  const dataDir = t.testdir()
  const { welcome, url, send, end } = await spawnServer(t, { DATA_DIR: dataDir, LOG_LEVEL: 'silent' })
  t.equal(welcome.length, 4)
  t.ok(welcome[0]?.endsWith(` ${url}`))
  t.ok(welcome[1]?.endsWith(` ${url}/docs`))
  t.ok(welcome[2]?.endsWith(` ${dataDir}`))
  t.match(welcome[3], /open \(.+\)$/)
  t.equal((await send('GET', '/docs')).status, 200)
  t.equal(await end('SIGTERM'), 0)
})

test('the welcome shows the address that clients use where PUBLIC_URL says it', async t => {
  const { welcome, end } = await spawnServer(t, { DATA_DIR: t.testdir(), PUBLIC_URL: 'http://files.example:8443/', LOG_LEVEL: 'silent' })
  t.ok(welcome[0]?.endsWith(' http://files.example:8443'))
  t.ok(welcome[1]?.endsWith(' http://files.example:8443/docs'))
  t.equal(await end('SIGINT'), 0)
})

const hasIpv6 = Object.values(networkInterfaces()).flat().some(address => address?.address === '::1')

test('an IPv6 address stands in brackets, as an address bar takes it', { skip: !hasIpv6 && 'this machine has no ::1' }, async t => {
  const { welcome, end } = await spawnServer(t, { DATA_DIR: t.testdir(), HOST: '::1', LOG_LEVEL: 'silent' })
  const [, url = ''] = / (http:\S+)$/.exec(welcome[0] ?? '') ?? []
  t.match(url, /^http:\/\/\[::1\]:\d+$/)
  t.equal((await fetch(`${url}/openapi.json`)).status, 200)
  t.equal(await end('SIGTERM'), 0)
})

test('threads that hash passwords stand back behind the one that answers', { skip: process.platform !== 'linux' && 'threads have no priorities here' }, async t => {
  const { child } = await spawnServer(t, { DATA_DIR: t.testdir() })
  const nicenessOf = async (thread: string) => Number((await readFile(`/proc/${child.pid}/task/${thread}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ')[16])
  const threads = await readdir(`/proc/${child.pid}/task`)
  t.ok(threads.length > 1)
  for (const thread of threads) t.equal(await nicenessOf(thread), thread === String(child.pid) ? 0 : 10)
})

test('where a sandbox lets no thread have a priority the server serves as well', { skip: !existsSync('/usr/bin/strace') && 'strace is not installed' }, async t => {
  const { child, send } = await spawnServer(t, { DATA_DIR: join(t.testdir(), 'data') }, { under: ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=setpriority', '-e', 'inject=setpriority:error=EACCES'] })
  const exited = once(child, 'exit')
  const traced = Number(await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8'))
  t.equal((await send('GET', '/health/ready')).status, 200)
  // strace ignores SIGTERM itself while its program runs.
  process.kill(traced, 'SIGTERM')
  t.strictSame(await exited, [0, null])
})

test('accounts, tokens and files survive a restart', async t => {
  const dataDir = t.testdir()
  const first = await spawnServer(t, { DATA_DIR: dataDir })
  const { id, user, token } = await signUp(first, 'ada')
  t.equal((await first.send('PUT', '/uploads/a.bin', { token, body: Buffer.alloc(3 * MIB, 7) })).status, 201)
  t.equal(await first.end('SIGTERM'), 0)

  const second = await spawnServer(t, { DATA_DIR: dataDir })
  t.equal((await second.send('GET', '/api/token', { user })).status, 200)
  t.equal((await second.send('GET', `/api/users/${id}`)).json.username, 'ada')
  const answer = await second.send('GET', '/uploads/a.bin', { token })
  t.equal(answer.status, 200)
  t.ok(answer.bytes.equals(Buffer.alloc(3 * MIB, 7)))
  t.equal(await second.end('SIGTERM'), 0)
})

test('the data folder and all in it belong to its owner alone, also where the folder was open before', async t => {
  const dataDir = t.testdir()
  await chmod(dataDir, 0o755)
  const server = await spawnServer(t, { DATA_DIR: dataDir })
  const { token } = await signUp(server, 'ada')
  await server.send('PUT', '/uploads/a.bin', { token, body: 'one' })
  await server.send('POST', '/', { token, ...formOf('b.bin', 'two') })
  for (const when of ['while it serves', 'when it has ended']) {
    const names = await readdir(dataDir, { recursive: true })
    t.ok(names.includes('magicstore.db') && names.includes('signing-keys'), 'there is something to look at')
    for (const name of ['.', ...names]) {
      // The last acknowledged blob may be moving from one folder to the other.
      const stats = await stat(join(dataDir, name)).catch(() => undefined)
      if (stats !== undefined) t.equal((stats.mode & 0o777).toString(8), stats.isDirectory() ? '700' : '600', `${name} ${when}`)
    }
    if (when === 'while it serves') t.equal(await server.end('SIGTERM'), 0)
  }
})

test('a second server on the same data folder says so and exits with 1; the first serves on', async t => {
  const dataDir = t.testdir()
  const first = await spawnServer(t, { DATA_DIR: dataDir })
  const { token } = await signUp(first, 'ada')
  const second = await runBin(['serve'], { DATA_DIR: dataDir, PORT: '0' })
  t.equal(second.code, 1)
  t.match(second.stderr, oneLine)
  t.equal(second.stdout, '')
  t.equal((await first.send('PUT', '/uploads/a', { token, body: 'still there' })).status, 201)

  t.equal(await first.end('SIGKILL'), null)
  const third = await spawnServer(t, { DATA_DIR: dataDir })
  t.equal((await third.send('GET', '/uploads/a', { token })).text, 'still there', 'a server that died leaves no lock behind')
  t.equal(await third.end('SIGTERM'), 0)
})

for (const [host, url] of [['0.0.0.0', /^http:\/\/127\.0\.0\.1:\d+$/], ...(hasIpv6 ? [['::', /^http:\/\/\[::1\]:\d+$/]] : [])] as [string, RegExp][]) {
  test(`on HOST=${host} the welcome names an address that can be opened, and says that passwords from other machines need TLS`, async t => {
    const { welcome, end } = await spawnServer(t, { DATA_DIR: t.testdir(), HOST: host, LOG_LEVEL: 'silent' })
    const shown = welcome[0]?.split(' ').at(-1) ?? ''
    t.match(shown, url)
    t.equal((await fetch(`${shown}/health/live`)).status, 200)
    t.match(welcome.join('\n'), /every address of this machine[^]*warning: .*tls_required.*TLS_CERT/)
    t.equal(await end('SIGTERM'), 0)
  })
}

for (const { settings, name } of [
  { settings: { HOST: '192.0.2.1' }, name: 'HOST' },
  { settings: { HOST: 'no such host' }, name: 'HOST' },
  { settings: { HOST: 'fe80::1' }, name: 'HOST' },
  { settings: { METRICS_PORT: '0', METRICS_HOST: '192.0.2.1' }, name: 'METRICS_HOST' },
  { settings: { METRICS_PORT: '0', METRICS_HOST: 'no such host' }, name: 'METRICS_HOST' }
]) {
  test(`${JSON.stringify(settings)}, where nothing can listen, is one line and exit 2`, async t => {
    const { code, stdout, stderr } = await runBin(['serve'], { DATA_DIR: t.testdir(), PORT: '0', LOG_LEVEL: 'silent', ...settings } as Record<string, string>)
    t.same([code, stdout], [2, ''])
    t.match(stderr, oneLine)
    t.match(stderr, new RegExp(`^magicstore: ${name}: `))
  })
}

test('a server on SQLite and a folder loads neither the driver of PostgreSQL nor the AWS SDK, one on PostgreSQL the driver', async t => {
  const record = join(t.testdir(), 'loaded')
  const hook = `import { appendFileSync } from 'node:fs'
    export async function load (url, context, next) {
      appendFileSync(${JSON.stringify(record)}, url + '\\n')
      return next(url, context)
    }`
  const recording = withFault(`import { register } from 'node:module'; register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hook)}`)})`)
  const loaded = async () => new Set((await readFile(record, 'utf8')).match(/(?<=node_modules\/)(?:pg(?=\/)|@aws-sdk(?=\/)|drizzle-orm(?=\/))/g))
  const { end } = await spawnUncounted(t, { DATA_DIR: join(t.testdirName, 'data'), ...recording })
  await end('SIGTERM')
  t.strictSame(await loaded(), new Set(['drizzle-orm']))
  await t.rejects(spawnUncounted(t, { DATA_DIR: join(t.testdirName, 'other'), DATABASE_URL: 'postgres://127.0.0.1:1/none', ...recording }))
  t.strictSame(await loaded(), new Set(['drizzle-orm', 'pg']))
})

test('a port in use is one line, exit 1, and the data folder is free again', async t => {
  const dataDir = t.testdir()
  const other = createServer().listen(0, '127.0.0.1')
  t.teardown(() => other.close())
  await once(other, 'listening')
  const { code, stderr, stdout } = await runBin(['serve'], { DATA_DIR: dataDir, PORT: String((other.address() as AddressInfo).port), LOG_LEVEL: 'silent' })
  t.equal(code, 1)
  t.match(stderr, oneLine)
  t.equal(stdout, '')
  await (await startServer(t, { DATA_DIR: dataDir })).close()
})

for (const { what, args, settings = {}, code } of [
  { what: 'a wrong PORT', args: ['serve'], settings: { PORT: '70000' }, code: 2 },
  { what: 'an unknown command', args: ['server'], code: 2 },
  { what: 'an argument that serve does not take', args: ['serve', '--port=80'], code: 2 },
  { what: 'openapi without a folder', args: ['openapi'], code: 2 },
  { what: 'openapi into a folder that is not there', args: ['openapi', '/nowhere/at/all'], code: 1 },
  { what: 'a DATA_DIR that is a file', args: ['serve'], settings: { DATA_DIR: fileURLToPath(import.meta.url) }, code: 2 }
]) {
  test(`${what} is one line on standard error and exit ${code}`, async t => {
    const end = await runBin(args, { DATA_DIR: t.testdir(), ...settings } as Record<string, string>)
    t.equal(end.code, code)
    t.match(end.stderr, oneLine)
    t.equal(end.stdout, '')
  })
}

test('--version prints the version and nothing else', async t => {
  t.same(await runBin(['--version']), { code: 0, stdout: `${manifest.version}\n`, stderr: '' })
})

test('without a command it shows the commands', async t => {
  const [bare, asked] = await Promise.all([runBin([]), runBin(['--help'])])
  t.same(bare, asked)
  t.equal(bare.code, 0)
  t.match(bare.stdout, /^ +magicstore serve /m)
})

test('a failure that nobody caught ends the server with exit 1 and a fatal log line, and nothing acknowledged is lost', async t => {
  const dataDir = t.testdir()
  const server = await spawnServer(t, { DATA_DIR: dataDir, ...withFault("process.once('SIGWINCH', () => { throw new Error('out of the blue') })") })
  const { token } = await signUp(server, 'ada')
  t.equal((await server.send('PUT', '/uploads/a', { token, body: 'safe' })).status, 201)
  const output = server.child.stdout!.setEncoding('utf8').toArray()
  const code = server.end('SIGWINCH')
  t.equal(await code, 1)
  const lines = (await output).join('').trim().split('\n').map(line => JSON.parse(line))
  t.match(lines.filter(line => line.level === 60), [{ err: { message: 'out of the blue' } }])
  const again = await startServer(t, { DATA_DIR: dataDir })
  t.equal((await again.send('GET', '/uploads/a', { token })).text, 'safe')
})

test('a server that breaks below JavaScript is dead and not in limbo, whatever it would have done at the end', async t => {
  for (const signal of ['SIGSEGV', 'SIGBUS', 'SIGABRT'] as const) {
    const { child, end } = await spawnServer(t, { DATA_DIR: t.testdir() }, { under: ['/bin/sh', '-c', 'ulimit -c 0; exec "$@"', 'sh'] })
    t.equal(await end(signal), null)
    t.equal(child.signalCode, signal)
  }
})

test('a failure that nobody thought of ends a command with exit 1 and shows where it came from', async t => {
  const { code, stdout, stderr } = await runBin(['--version'], withFault("console.log = () => { throw new Error('out of the blue') }"))
  t.equal(code, 1)
  t.equal(stdout, '')
  t.match(stderr, /^magicstore: Error: out of the blue\n +at /)
})

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  test(`the log says that ${signal} stops the server, and when it has`, async t => {
    const { child, end } = await spawnServer(t, { DATA_DIR: t.testdir() })
    const output = child.stdout!.setEncoding('utf8').toArray()
    t.equal(await end(signal), 0)
    t.match((await output).join('').trim().split('\n').map(line => JSON.parse(line)).slice(-2), [{ msg: 'stopping', signal, time: Number }, { msg: 'stopped', time: Number }])
  })
}

test('a server that npm started stops when npm is killed, and says why', async t => {
  // A shell in place of npm; it waits for the server and forwards no signal.
  const { child, port } = await spawnServer(t, { DATA_DIR: t.testdir(), npm_lifecycle_event: 'start' }, { under: ['/bin/sh', '-c', '"$@"; true', 'sh'] })
  const output = child.stdout!.setEncoding('utf8').toArray()
  child.kill('SIGKILL')
  t.match((await output).join('').trim().split('\n').map(line => JSON.parse(line)).slice(-2), [{ msg: 'stopping', reason: 'npm exited' }, { msg: 'stopped' }])
  await t.rejects(clientOf(port).send('GET', '/health/live'), { code: 'ECONNREFUSED' })
})

test('SIGTERM lets the upload under way end, takes no other, and exits with 0', async t => {
  const dataDir = t.testdir()
  const server = await spawnServer(t, { DATA_DIR: dataDir })
  const { token } = await signUp(server, 'ada')
  const upload = beginUpload(server.port, { token, name: 'slow.bin', size: 2 * MIB })
  upload.write(Buffer.alloc(MIB, 1))
  await growing(join(dataDir, 'incoming'))
  const exit = server.end('SIGTERM')
  await refused(server.port)
  upload.end(Buffer.alloc(MIB, 1))
  const [answer] = await once(upload, 'response')
  t.equal(answer.statusCode, 201)
  answer.resume()
  t.equal(await exit, 0)
  const again = await startServer(t, { DATA_DIR: dataDir })
  t.equal((await again.send('GET', '/uploads/slow.bin', { token })).bytes.length, 2 * MIB)
})

test('after kill -9 in the middle of an upload, what was acknowledged is there whole and what was not is not, with no bytes left behind', async t => {
  const dataDir = t.testdir()
  const incoming = join(dataDir, 'incoming')
  const server = await spawnServer(t, { DATA_DIR: dataDir })
  const { token } = await signUp(server, 'ada')
  await server.send('PUT', '/uploads/replaced.bin', { token, body: 'the old version' })
  const uploads = [beginUpload(server.port, { token, name: 'new.bin', size: 8 * MIB }), beginUpload(server.port, { token, name: 'replaced.bin', size: 8 * MIB })]
  for (const upload of uploads) {
    upload.on('error', () => {})
    upload.write(Buffer.alloc(3 * MIB, 1))
  }
  const names = Array.from({ length: 20 }, (_, index) => `small-${index}.bin`)
  const answers = await Promise.all(names.map(name => server.send('PUT', `/uploads/${name}`, { token, body: name.repeat(100) })))
  t.same(answers.map(answer => answer.status), names.map(() => 201))
  await growing(incoming, 2)
  t.equal(await server.end('SIGKILL'), null)
  t.ok((await readdir(incoming)).length >= 2, 'the two were in flight')

  const again = await spawnServer(t, { DATA_DIR: dataDir })
  // What was acknowledged may move to its place after the start.
  await until(async () => (await readdir(incoming)).length === 0)
  t.equal((await again.send('GET', '/uploads/new.bin', { token })).status, 404)
  t.equal((await again.send('GET', '/uploads/replaced.bin', { token })).text, 'the old version')
  for (const name of names) t.equal((await again.send('GET', `/uploads/${name}`, { token })).text, name.repeat(100))
  const { json: { files } } = await again.send('GET', '/api/files', { token })
  t.same(files.map((file: { name: string }) => file.name), [...names, 'replaced.bin'].sort())
  t.equal(await again.end('SIGTERM'), 0)
})

test('where the file system takes no file of that size, an upload is 507 and nothing of it stays', { skip: !existsSync('/usr/bin/prlimit') && 'prlimit is not installed' }, async t => {
  const dataDir = t.testdir()
  // The refusal also raises a signal. Node ignores it, but in a child of tap another listener ends the process.
  const server = await spawnServer(t, { DATA_DIR: dataDir, ...withFault("process.on('SIGXFSZ', () => {})") })
  const { token } = await signUp(server, 'ada')
  // In the middle of the second megabyte: one write is truncated, and the next is refused.
  await promisify(execFile)('prlimit', ['--pid', String(server.child.pid), `--fsize=${1.5 * MIB}`])
  const { status, json } = await server.send('PUT', '/uploads/large', { token, body: Buffer.alloc(2.5 * MIB, 1) })
  t.match({ status, json }, { status: 507, json: { code: 'storage_full' } })
  t.equal((await server.send('PUT', '/uploads/small', { token, body: Buffer.alloc(MIB, 1) })).status, 201)
  t.equal(await server.end('SIGTERM'), 0)
  t.same(await readdir(join(dataDir, 'incoming')), [])
})

for (const { state, isKilled } of [{ state: 'closed in order', isKilled: false }, { state: 'left with a live log by a killed server', isKilled: true }]) {
  test(`a database of a newer version, ${state}, is refused in one line and left byte for byte as it was`, async t => {
    const dataDir = t.testdir({ made: {}, served: {} })
    const [made, served] = [join(dataDir, 'made'), join(dataDir, 'served')]
    await (await startServer(t, { DATA_DIR: made })).close()
    const database = new Database(join(made, 'magicstore.db'))
    database.prepare('INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)').run('from the future', 4_000_000_000_000)
    if (!isKilled) database.close()
    // A copy of the open folder is what a power cut would leave.
    for (const name of (await readdir(made)).filter(name => name.startsWith('magicstore.db'))) await copyFile(join(made, name), join(served, name))
    if (isKilled) database.close()
    const bytesOf = async (name: string) => (await readFile(join(served, name)).catch(() => Buffer.alloc(0))).toString('base64')
    const before = [await bytesOf('magicstore.db'), await bytesOf('magicstore.db-wal')]

    const end = await runBin(['serve'], { DATA_DIR: served, PORT: '0' })
    t.equal(end.code, 1)
    t.match(end.stderr, oneLine)
    t.ok(before[0] === await bytesOf('magicstore.db'), 'the database is as it was')
    t.ok(before[1] === await bytesOf('magicstore.db-wal'), 'its log is as it was')
  })
}

test("another program's database is not served", async t => {
  const dataDir = t.testdir()
  const database = new Database(join(dataDir, 'magicstore.db'))
  database.exec("CREATE TABLE accounts (owner TEXT, balance INTEGER); INSERT INTO accounts VALUES ('ada', 100)")
  database.close()
  const { code, stderr } = await runBin(['serve'], { DATA_DIR: dataDir, PORT: '0' })
  t.equal(code, 1)
  t.match(stderr, oneLine)
  const again = new Database(join(dataDir, 'magicstore.db'))
  t.same(again.prepare('SELECT * FROM accounts').all(), [{ owner: 'ada', balance: 100 }])
  t.same(again.prepare("SELECT name FROM sqlite_master WHERE name IN ('files', 'tokens')").all(), [])
  again.close()
})

for (const { what, name, isFolder = false, text = 'not what it should be. '.repeat(100) } of [
  { what: 'a database that is no database', name: 'magicstore.db' },
  { what: 'a lock that is no database', name: 'lock.db' },
  { what: 'a key file that is a folder', name: 'signing-keys', isFolder: true },
  { what: 'a key file with a weak key', name: 'signing-keys', text: 'kid:short\n' },
  { what: 'a key file without a key', name: 'signing-keys', text: '\n' },
  { what: 'a folder of files that is a file', name: 'blobs' }
]) {
  test(`${what} stops the start, and the folder can be served when it is gone`, async t => {
    const dataDir = t.testdir()
    if (isFolder) await mkdir(join(dataDir, name))
    else await writeFile(join(dataDir, name), text)
    await t.rejects(startServer(t, { DATA_DIR: dataDir }))
    await rm(join(dataDir, name), { recursive: true })
    const server = await startServer(t, { DATA_DIR: dataDir })
    t.equal((await server.send('GET', '/openapi.json')).status, 200)
  })
}

test('the signing key of the folder is made once, good, closed to others, and replaced as its owner says', async t => {
  const dataDir = t.testdir({ 'signing-keys.new': 'left by a start that died' })
  const file = join(dataDir, 'signing-keys')
  const first = await startServer(t, { DATA_DIR: dataDir })
  const { user, token } = await signUp(first, 'ada')
  await first.close()
  const made = await readFile(file, 'utf8')
  t.match(made, /^[0-9a-f]{12}:[A-Za-z0-9_-]{43}\n$/)
  t.same((await readdir(dataDir)).filter(name => name.startsWith('signing')), ['signing-keys'])

  await writeFile(file, `next:${'0123456789abcdef'.repeat(3)}\n${made}`)
  await chmod(file, 0o644)
  const second = await startServer(t, { DATA_DIR: dataDir })
  t.equal((await stat(file)).mode & 0o777, 0o600)
  t.equal((await second.send('GET', '/api/resource', { token })).status, 200, 'an older key of the ring still verifies')
  const { json } = await second.send('GET', '/api/token', { user })
  t.equal(JSON.parse(Buffer.from(json.token.split('.')[0], 'base64url').toString()).kid, 'next', 'the first key signs')
  await second.close()

  await writeFile(file, `next:${'0123456789abcdef'.repeat(3)}\n`)
  const third = await startServer(t, { DATA_DIR: dataDir })
  t.equal((await third.send('GET', '/api/resource', { token })).status, 401, 'a key that left the ring verifies nothing')
  t.equal((await third.send('GET', '/api/resource', { token: json.token })).status, 200)
})

for (const { what, text, place } of [
  { what: 'a line without a kid', text: `a:${'0123456789abcdef'.repeat(3)}\n\nfedcba9876543210fedcba9876543210\n`, place: /signing-keys, line 3: / },
  { what: 'a kid of other characters', text: 'fedcba 9876543210:fedcba9876543210fedcba9876543210\n', place: /signing-keys, line 1: / },
  { what: 'a weak secret', text: 'a:fedcba9876543210\n', place: /signing-keys, line 1: / },
  { what: 'nothing at all', text: '', place: /signing-keys: / }
]) {
  test(`a key file with ${what} is one line that names the file and the line and shows no secret, for serve and for keys rotate`, async t => {
    const dataDir = t.testdir({ 'signing-keys': text })
    for (const args of [['serve'], ['keys', 'rotate']]) {
      const { code, stdout, stderr } = await runBin(args, { DATA_DIR: dataDir, PORT: '0' })
      t.equal(code, 2)
      t.equal(stdout, '')
      t.match(stderr, oneLine)
      t.match(stderr, place)
      t.notMatch(stderr, 'fedcba')
    }
    t.equal(await readFile(join(dataDir, 'signing-keys'), 'utf8'), text, 'and the file is as it was')
  })
}

test('keys from SIGNING_KEYS leave no key in the data folder', async t => {
  const server = await startServer(t, { SIGNING_KEYS: `here:${'0123456789abcdef'.repeat(3)}` })
  const { token } = await signUp(server, 'ada')
  t.equal((await server.send('GET', '/api/resource', { token })).status, 200)
  t.notOk((await readdir(server.dataDir)).includes('signing-keys'))
})

test('a token of one installation says nothing to another, even with the same key', async t => {
  const settings = { SIGNING_KEYS: `same:${'0123456789abcdef'.repeat(3)}` }
  const dataDir = t.testdir({ one: {}, two: {} })
  const one = await startServer(t, { ...settings, DATA_DIR: join(dataDir, 'one') })
  const two = await startServer(t, { ...settings, DATA_DIR: join(dataDir, 'two') })
  const { token } = await signUp(one, 'ada')
  await signUp(two, 'ada')
  t.equal((await one.send('GET', '/api/resource', { token })).status, 200)
  t.equal((await two.send('GET', '/api/resource', { token })).status, 401)
})

/** A `PUT` whose body the caller sends. */
function beginUpload (port: number, { token, name, size }: { token: string, name: string, size: number }) {
  return httpRequest({ host: '127.0.0.1', port, method: 'PUT', path: `/uploads/${name}`, agent: false, headers: { authorization: `Bearer ${token}`, 'content-length': size } })
}

/** Waits until this many files in the folder have content. */
async function growing (folder: string, count = 1): Promise<void> {
  const sizes = async () =>
    Promise.all((await readdir(folder)).map(name => stat(join(folder, name)).then(({ size }) => size, () => 0)))
  const isReached = async () => (await sizes()).filter(size => size >= MIB).length >= count
  const controller = new AbortController()
  const events = watch(folder, { signal: controller.signal })
  if (await isReached()) return controller.abort()
  for await (const event of events) {
    if (event && await isReached()) return controller.abort()
  }
}

/** Waits until the server accepts no more connections. */
async function refused (port: number): Promise<void> {
  for (;;) {
    const answer = await clientOf(port).send('GET', '/openapi.json').catch((error: NodeJS.ErrnoException) => error)
    if (answer instanceof Error) return
  }
}
