import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { getPriority, networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { test, type Test } from 'tap'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { withFault, type Start } from '../kit/bin.ts'
import { runCommand } from '../kit/commands.ts'
import { blocksOf, readPage } from '../kit/readme.ts'
import { root } from '../kit/root.ts'
import { formOf, logOf, runBin, signUp, spawnServer as spawnUncounted, startServer, type Settings } from '../kit/server.ts'
import { MIB } from '../kit/sizes.ts'

const spawnServer = (t: Test, settings: Settings, start: Start = {}) =>
  spawnUncounted(t, settings, { isCounted: true, ...start })

/** One line on standard error, from MagicStore itself. */
const oneLine = /^magicstore: [^\n]+\n$/

/** The signals of a crash that Node.js itself has no use for. */
const CRASHES = { SIGILL: 4, SIGTRAP: 5, SIGABRT: 6, SIGBUS: 7, SIGFPE: 8 }

test('the data folder and all in it belong to its owner alone, also where the folder was open before', async t => {
  const dataDir = t.testdir()
  await chmod(dataDir, 0o755)
  const server = await spawnServer(t, { DATA_DIR: dataDir })
  const log = logOf(server)
  const { welcome, url, send, child, end } = server
  const { id, user, token } = await signUp(server, 'ada')
  await t.test('the welcome names the address, the documentation of the API, the data folder and the password policy', async t => {
    t.strictSame(welcome.slice(0, -1).map(line => line.split(' ').at(-1)), [url, `${url}/docs`, dataDir])
    t.match(welcome.at(-1), /open \(.*only this machine.*\)$/)
    t.equal((await send('GET', '/docs')).status, 200)
  })

  await t.test('threads that hash passwords have a lower priority than the event loop, and no signal of a crash is caught', { skip: process.platform !== 'linux' && 'threads have no priorities here' }, async t => {
    const nicenessOf = async (thread: string) => Number((await readFile(`/proc/${child.pid}/task/${thread}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ')[16])
    const threads = await readdir(`/proc/${child.pid}/task`)
    t.ok(threads.length > 1)
    for (const thread of threads) t.equal(await nicenessOf(thread), thread === String(child.pid) ? getPriority() : 10)
    const [, caught = ''] = /^SigCgt:\s*(\w+)$/m.exec(await readFile(`/proc/${child.pid}/status`, 'utf8')) ?? []
    for (const [name, number] of Object.entries(CRASHES)) t.equal(BigInt(`0x${caught}`) >> BigInt(number - 1) & 1n, 0n, name)
  })

  const bytes = Buffer.alloc(3 * MIB, 7)
  t.equal((await send('PUT', '/uploads/a.bin', { token, body: bytes })).status, 201)
  await send('POST', '/', { token, ...formOf('b.bin', 'two') })
  for (const when of ['while it serves', 'when it has ended']) {
    const names = await readdir(dataDir, { recursive: true })
    t.ok(names.includes('magicstore.db') && names.includes('signing-keys'), 'there is something to look at')
    for (const name of ['.', ...names]) {
      // The last acknowledged blob may be moving from one folder to the other.
      const stats = await stat(join(dataDir, name)).catch(() => undefined)
      if (stats !== undefined) t.equal((stats.mode & 0o777).toString(8), stats.isDirectory() ? '700' : '600', `${name} ${when}`)
    }
    if (when === 'while it serves') t.equal(await end('SIGTERM'), 0)
  }
  t.match((await log).slice(-2), [{ msg: 'stopping', signal: 'SIGTERM', time: Number }, { msg: 'stopped', time: Number }])

  await t.test('a second server on the same data folder says so and exits with 1; accounts, tokens and files survive a restart', async t => {
    const second = await spawnServer(t, { DATA_DIR: dataDir })
    t.match(await runCommand(['serve'], { DATA_DIR: dataDir, PORT: '0' }), { code: 1, stdout: /^$/, stderr: oneLine })
    t.equal((await second.send('GET', '/api/token', { user })).status, 200)
    t.equal((await second.send('GET', `/api/users/${id}`)).json.username, 'ada')
    t.ok((await second.send('GET', '/uploads/a.bin', { token })).bytes.equals(bytes))
    t.equal(await second.end('SIGKILL'), null)
    const third = await startServer(t, { DATA_DIR: dataDir })
    t.equal((await third.send('GET', '/uploads/b.bin', { token })).text, 'two', 'a server that died leaves no lock behind')
    await third.close()
  })
})

const hasIpv6 = Object.values(networkInterfaces()).flat().some(address => address?.address === '::1')

for (const { settings, signal, shown } of [
  { settings: { PUBLIC_URL: 'https://files.example:8443/', OIDC_ISSUER: 'http://127.0.0.1:1', OIDC_CLIENT_ID: 'store', OIDC_ALLOW: 'groups=staff' }, signal: 'SIGHUP', shown: /^https:\/\/files\.example:8443$/ },
  { settings: { HOST: '0.0.0.0' }, signal: 'SIGINT', shown: /^http:\/\/127\.0\.0\.1:\d+$/ },
  ...(hasIpv6 ? [{ settings: { HOST: '::' }, signal: 'SIGTERM', shown: /^http:\/\/\[::1\]:\d+$/ } as const] : [])
] as const) {
  test(`with ${JSON.stringify(settings)} the welcome names an address that clients use, and the log says that ${signal} stops the server`, async t => {
    const server = await spawnServer(t, { DATA_DIR: t.testdir(), ...settings })
    const log = logOf(server)
    const [address = '', docs] = server.welcome.map(line => line.split(' ').at(-1) ?? '')
    t.match(address, shown)
    t.equal(docs, `${address}/docs`)
    if ('OIDC_ISSUER' in settings) t.match(server.welcome.join('\n'), /registration: +oidc \(.*OIDC_ISSUER.*\)/)
    if ('HOST' in settings) {
      t.equal((await fetch(`${address}/health/live`)).status, 200)
      t.match(server.welcome.join('\n'), /every address of this machine[^]*warning: .*tls_required.*TLS_CERT[^]*password policy: +strict \(.*HOST.*\)/)
    }
    t.equal(await server.end(signal), 0)
    t.match((await log).slice(-2), [{ msg: 'stopping', signal }, { msg: 'stopped' }])
  })
}

test('where a sandbox lets no thread have a priority the server serves as well', { skip: !existsSync('/usr/bin/strace') && 'strace is not installed' }, async t => {
  const { child, send } = await spawnServer(t, { DATA_DIR: join(t.testdir(), 'data') }, { under: ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=setpriority', '-e', 'inject=setpriority:error=EACCES'] })
  const exited = once(child, 'exit')
  const traced = Number(await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8'))
  t.equal((await send('GET', '/health/ready')).status, 200)
  // strace ignores SIGTERM itself while its program runs.
  process.kill(traced, 'SIGTERM')
  t.strictSame(await exited, [0, null])
})

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

test('what can\'t be done is one line on standard error, exit 2 for wrong usage and settings, and leaves the data folder free', async t => {
  const other = createServer().listen(0, '127.0.0.1')
  t.teardown(() => other.close())
  await once(other, 'listening')
  const dataDir = t.testdir()
  for (const { args = ['serve'], settings = {}, code = 2, says = '' } of [
    { settings: { PORT: String((other.address() as AddressInfo).port) }, code: 1, says: 'PORT: ' },
    { settings: { METRICS_PORT: String((other.address() as AddressInfo).port) }, code: 1, says: 'METRICS_PORT: ' },
    ...['192.0.2.1', 'no such host', 'fe80::1'].map(HOST => ({ settings: { HOST }, says: 'HOST: ' })),
    ...['192.0.2.1', 'no such host'].map(METRICS_HOST => ({ settings: { METRICS_PORT: '0', METRICS_HOST }, says: 'METRICS_HOST: ' })),
    { settings: { DATA_DIR: fileURLToPath(import.meta.url) }, says: 'DATA_DIR: ' },
    { args: ['server'] }, { args: ['serve', '--port=80'] }, { args: ['openapi'] }
  ] as { args?: string[], settings?: Settings, code?: number, says?: string }[]) {
    const ended = await runCommand(args, { DATA_DIR: dataDir, PORT: '0', LOG_LEVEL: 'silent', ...settings })
    t.match(ended, { code, stdout: /^$/, stderr: new RegExp(`^magicstore: ${says}[^\\n]+\\n$`) }, JSON.stringify({ args, settings }))
  }
  await (await startServer(t, { DATA_DIR: dataDir })).close()
})

test('--version prints the version and nothing else, and without a command the commands are shown', async t => {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  t.same(await runBin(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
  const bare = await runBin([])
  t.same(bare, await runCommand(['--help']))
  t.match(bare, { code: 0, stdout: /^ +magicstore serve /m })
  const broken = await runBin(['--version'], withFault("console.log = () => { throw new Error('out of the blue') }"))
  t.match(broken, { code: 1, stdout: /^$/, stderr: /^magicstore: Error: out of the blue\n +at / }, 'a failure that nobody thought of')
})

test('a failure that nobody caught ends the server with exit 1 and a fatal log line, and nothing acknowledged is lost', async t => {
  for (const failure of ["throw new Error('out of the blue')", "Promise.reject(new Error('out of the blue'))"]) {
    const dataDir = t.testdir()
    const server = await spawnServer(t, { DATA_DIR: dataDir, RATE_LIMIT_PER_MINUTE: '0', ...withFault(`process.once('SIGWINCH', () => { ${failure} })`) })
    const log = logOf(server)
    const { token } = await signUp(server, 'ada')
    const paths = Array.from({ length: 200 }, (_, index) => `/nowhere/${index}`)
    for (const path of paths) await server.send('GET', path)
    t.equal((await server.send('PUT', '/uploads/a', { token, body: 'safe' })).status, 201)
    t.equal(await server.end('SIGWINCH'), 1)
    const lines = await log
    const fatal = lines.filter(line => line.level === 60)
    t.match([fatal.length, fatal[0]], [1, { err: { message: 'out of the blue' } }], failure)
    t.same(lines.filter(({ path }) => path?.startsWith('/nowhere/')).map(({ path }) => path), paths, 'no line is lost')
    const again = await startServer(t, { DATA_DIR: dataDir })
    t.equal((await again.send('GET', '/uploads/a', { token })).text, 'safe')
    await again.close()
  }
})

test('a server that breaks below JavaScript is dead and not in limbo, whatever it would have done at the end', async t => {
  const { child, end } = await spawnServer(t, { DATA_DIR: t.testdir() }, { under: ['/bin/sh', '-c', 'ulimit -c 0; exec "$@"', 'sh'] })
  t.equal(await end('SIGSEGV'), null)
  t.equal(child.signalCode, 'SIGSEGV')
})

test('a server that npm started stops when npm is killed, and says why', async t => {
  // A shell in place of npm; it waits for the server and forwards no signal.
  const server = await spawnServer(t, { DATA_DIR: t.testdir(), npm_lifecycle_event: 'start' }, { under: ['/bin/sh', '-c', '"$@"; true', 'sh'] })
  const log = logOf(server)
  server.child.kill('SIGKILL')
  t.match((await log).slice(-2), [{ msg: 'stopping', reason: 'npm exited' }, { msg: 'stopped' }])
  await t.rejects(server.send('GET', '/health/live'), { code: 'ECONNREFUSED' })
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

test('a database of a newer or unreleased version, left with a live log by a killed server, is refused in one line and left as it was', async t => {
  const [[newer] = []] = blocksOf(await readPage('upgrading.md'), 'text')
  const unreleased = 'magicstore: the database was made by an unreleased version of MagicStore, and can\'t be upgraded; it was not changed; run the version that made it, download the files, and upload them to a new store of this version'
  for (const [message, time] of [[newer, 4_000_000_000_000], [unreleased, 1_795_992_249_392]]) {
    const dataDir = t.testdir({ made: {}, served: {} })
    const [made, served] = [join(dataDir, 'made'), join(dataDir, 'served')]
    await (await startServer(t, { DATA_DIR: made })).close()
    const database = new Database(join(made, 'magicstore.db'))
    database.prepare('INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)').run('of another version', time)
    // A copy of the open folder is what a power cut would leave.
    for (const name of (await readdir(made)).filter(name => name.startsWith('magicstore.db'))) await copyFile(join(made, name), join(served, name))
    database.close()
    const bytes = () => Promise.all(['magicstore.db', 'magicstore.db-wal'].map(name => readFile(join(served, name), 'base64')))
    const before = await bytes()
    for (const args of [['serve'], ['user', 'list']]) {
      t.same(await runCommand(args, { DATA_DIR: served, PORT: '0' }), { code: 1, stdout: '', stderr: `${message}\n` })
    }
    t.ok((await bytes()).join() === before.join(), 'the database and its log are as they were')
  }
})

test('what is not what it should be in the data folder stops the start, and the folder can be served when it is gone', async t => {
  const dataDir = t.testdir()
  const file = join(dataDir, 'magicstore.db')
  new Database(file).exec("CREATE TABLE accounts (owner TEXT, balance INTEGER); INSERT INTO accounts VALUES ('ada', 100)").close()
  t.match(await runCommand(['serve'], { DATA_DIR: dataDir, PORT: '0' }), { code: 1, stderr: oneLine }, "another program's database")
  const others = new Database(file)
  t.same(others.prepare('SELECT * FROM accounts').all(), [{ owner: 'ada', balance: 100 }])
  t.same(others.prepare("SELECT name FROM sqlite_master WHERE name IN ('files', 'tokens')").all(), [])
  others.close()
  await rm(file)
  for (const [name, text] of [
    ['magicstore.db', 'no database. '.repeat(100)], ['lock.db', 'no database. '.repeat(100)], ['blobs', 'a file'],
    ['signing-keys', undefined]
  ] as const) {
    await (text === undefined ? mkdir(join(dataDir, name)) : writeFile(join(dataDir, name), text))
    await t.rejects(startServer(t, { DATA_DIR: dataDir }), `${name} ${text}`)
    await rm(join(dataDir, name), { recursive: true })
  }
  const server = await startServer(t, { DATA_DIR: dataDir })
  t.equal((await server.send('GET', '/health/ready')).status, 200)
})

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

test('a bad key file is one line that names the file and the line and shows no secret, for serve and for keys rotate', async t => {
  const good = '0123456789abcdef'.repeat(3)
  for (const [text, place] of [
    [`a:${good}\n\nfedcba9876543210fedcba9876543210\n`, /signing-keys, line 3: /],
    ['fedcba 9876543210:fedcba9876543210fedcba9876543210\n', /signing-keys, line 1: /],
    ['a:fedcba9876543210\n', /signing-keys, line 1: /],
    ['', /signing-keys: /]
  ] as const) {
    const dataDir = t.testdir({ 'signing-keys': text })
    for (const args of [['serve'], ['keys', 'rotate']]) {
      const ended = await runCommand(args, { DATA_DIR: dataDir, PORT: '0' })
      t.match(ended, { code: 2, stdout: /^$/, stderr: oneLine })
      t.match(ended.stderr, place)
      t.notMatch(ended.stderr, 'fedcba')
    }
    t.equal(await readFile(join(dataDir, 'signing-keys'), 'utf8'), text, 'and the file is as it was')
  }
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
  t.notOk((await readdir(one.dataDir)).includes('signing-keys'), 'keys from SIGNING_KEYS leave no key in the data folder')
})
