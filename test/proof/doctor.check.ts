import { chmodSync, chownSync, cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statfsSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { join, relative } from 'node:path'
import t, { type Test } from 'tap'
import { faultOf } from '#src/doctor/diagnosis.ts'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { openSqliteMetadata } from '#src/metadata/sqlite/sqlite.ts'
import { withFault, type Start } from '../kit/bin.ts'
import { certify } from '../kit/certificates.ts'
import { runCommand } from '../kit/commands.ts'
import { newFolder } from '../kit/folders.ts'
import { execute, WITHOUT_ROOTS_ACCESS } from '../kit/programs.ts'
import { root } from '../kit/root.ts'
import { runBin, signUp, spawnServer, startServer, type Settings } from '../kit/server.ts'
import { lacksTerminal, runOnTerminal } from '../kit/terminal.ts'
import { findingsIn, leaveStore, listen, snapshotOf, type Finding } from './set-ups.ts'

const KEY = 'first:zN2pX8qL4vR7tW1yB6mK9dF3hJ5sG0cA'

// The bin does the same: new files are private to their owner.
process.umask(0o077)

const left = await leaveStore(t, { DATA_DIR: join(newFolder(t), 'left') })

type Verdict = Finding['verdict']

/** What only a process of its own can have. */
const isOfProcess = (settings: Settings) => 'NODE_OPTIONS' in settings || 'NODE_EXTRA_CA_CERTS' in settings

/** The doctor's result for each check; it contacts a server only if PORT is set. */
async function examine (settings: Settings, start: Start = {}) {
  const args = ['doctor', '--json']
  const all = { PORT: '0', MIN_FREE_BYTES: '0', ...settings }
  const isProcess = start.under !== undefined || isOfProcess(settings)
  const { code, stdout, stderr } = await (isProcess ? runBin(args, all, '', start) : runCommand(args, all))
  if (stderr !== '') throw new Error(stderr)
  const findings = findingsIn(stdout)
  return { code, findings, verdicts: Object.fromEntries(findings.map(({ check, verdict }) => [check, verdict])) }
}

/** A data folder with a file, left by a closed server. */
function makeStore (t: Test): { dataDir: string, database: string } {
  const dataDir = join(t.testdir(), 'data')
  cpSync(left, dataDir, { recursive: true, preserveTimestamps: true })
  return { dataDir, database: join(dataDir, 'magicstore.db') }
}

const clockAt = (milliseconds: number) => withFault(`Date.now = () => ${milliseconds}`)

const answerJson = (body: object): RequestListener => (_request, response) => { response.end(JSON.stringify(body)) }

t.test('what a server left is good in every respect, and so is a folder that is not there yet', async t => {
  const { dataDir } = makeStore(t)
  const { bavail, blocks } = statfsSync(dataDir)
  for (const folder of [dataDir, join(dataDir, 'not', 'yet')]) {
    const { code, findings, verdicts } = await examine({ DATA_DIR: folder })
    t.equal(code, 0)
    t.equal(findings.length, 27)
    t.equal(new Set(findings.map(({ check }) => check)).size, 27, 'a line for each check')
    t.strictSame(findings.filter(({ verdict, check }) => verdict !== 'good' && !check.startsWith('free_')), [])
    t.equal(verdicts.free_space, bavail < blocks * 0.05 ? 'warning' : 'good')
    t.notOk(findings.some(({ verdict, remedy }) => verdict === 'good' && remedy !== undefined))
  }
  t.notOk(readdirSync(dataDir).includes('not'), 'and is not made')
})

t.test('without --json there is a line for each check, below a fault or a warning how to mend it, and how many there are', async t => {
  const { dataDir } = makeStore(t)
  writeFileSync(join(dataDir, 'notes'), '')
  const text = /^good {5}node: [^\n]+\ngood {5}setting_names: [^]*\nwarning {2}names: [^\n]*notes[^\n]*\n {9}fix: [^\n]+\ngood [^]*\nfaults: 0, warnings: \d, good: \d\d\n$/
  t.match(await runCommand(['doctor'], { DATA_DIR: dataDir, PORT: '0' }), { code: 0, stdout: text, stderr: /^$/ })
  t.match(await runCommand(['doctor'], { DATA_DIR: dataDir, PORT: '0', HOST: '0.0.0.0' }), { code: 1, stdout: /\nfault {4}transport: [^\n]+\n {9}fix: [^\n]+\n[^]*\nfaults: 1, / })
  if (lacksTerminal !== false) return
  const shown = await runOnTerminal(t, ['doctor'], { DATA_DIR: dataDir, PORT: '0' })
  t.match(shown, /done: 0 of 27 checks.*good {5}node.*done: 21 of 27 checks.*good {5}database/s, 'on a terminal it says how far it is')
})

const everywhere = { HOST: '0.0.0.0', PORT: '0' }
t.test('what settings open to others, or leave out, is found, and no secret is told', async t => {
  for (const { settings, expected } of [
    { settings: everywhere, expected: { transport: 'fault', password_policy: 'good', proxy: 'good' } },
    { settings: { ...everywhere, PASSWORD_POLICY: 'open', RATE_LIMIT_PER_MINUTE: '0' }, expected: { transport: 'fault', password_policy: 'warning', rate_limit: 'warning' } },
    { settings: { RATE_LIMIT_PER_MINUTE: '0' }, expected: { rate_limit: 'good' } },
    { settings: { ...everywhere, TRUST_PROXY: '10.0.0.1' }, expected: { transport: 'good', proxy: 'warning', public_url: 'warning' } },
    { settings: { HOST: '::', TRUST_PROXY: '10.0.0.0/8,128.0.0.0/6', PUBLIC_URL: 'http://127.0.0.1:1' }, expected: { proxy: 'fault', public_url: 'warning' } },
    { settings: { TRUST_PROXY: '127.0.0.1', PUBLIC_URL: 'https://127.0.0.1:1', PASSWORD_POLICY: 'open' }, expected: { transport: 'good', proxy: 'good', public_url: 'good', password_policy: 'warning', public_address: 'warning' } },
    { settings: { PUBLIC_URL: 'https://[::1]:1' }, expected: { proxy: 'warning', public_url: 'good', password_policy: 'good' } },
    { settings: { METRICS_PORT: '0' }, expected: { metrics: 'good' } },
    { settings: { METRICS_PORT: '0', METRICS_HOST: '0.0.0.0', SIGNING_KEYS: KEY }, expected: { metrics: 'warning', signing_keys: 'warning', sealing_keys: 'good' } },
    { settings: { SEALING_KEYS: KEY }, expected: { signing_keys: 'good', sealing_keys: 'good' } }
  ] as { settings: Settings, expected: Record<string, Verdict> }[]) {
    const { code, findings, verdicts } = await examine({ DATA_DIR: join(t.testdir(), 'new'), ...settings })
    t.match(verdicts, expected, { settings })
    t.equal(code, Object.values(verdicts).includes('fault') ? 1 : 0)
    t.ok(findings.every(({ verdict, remedy }) => (verdict === 'good') === (remedy === undefined)), 'what is not good has a remedy')
    t.notMatch(JSON.stringify(findings), String(KEY.split(':')[1]))
  }
})

t.test('a Node.js older than the package asks for is a fault', async t => {
  const oldest: string = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines.node.replace('>=', '')
  const [major = 0, minor = 0] = oldest.split('.').map(Number)
  for (const [version, verdict] of [[`${major}.${minor - 1}.9`, 'fault'], [`${major - 1}.99.0`, 'fault'], [`${major}.${minor}.0`, 'good']] as [string, Verdict][]) {
    const { verdicts } = await examine({ DATA_DIR: join(t.testdir(), 'new'), ...withFault(`Object.defineProperty(process, 'version', { value: 'v${version}' })`) })
    t.equal(verdicts.node, verdict, version)
  }
})

t.test('a certificate that ends soon is a warning; one that is not valid now, or can\'t be used, a fault', async t => {
  const folder = t.testdir()
  const DATA_DIR = join(folder, 'new')
  const day = 24 * 3600 * 1000
  const [long, soon] = [await certify(folder, { days: 30 }), await certify(folder)]
  chmodSync(soon.TLS_KEY, 0o640)
  writeFileSync(join(folder, 'none.crt'), 'no certificate')
  for (const { settings, certificate, key = 'good' } of [
    { settings: long, certificate: 'good' },
    { settings: soon, certificate: 'warning', key: 'fault' },
    { settings: { ...long, ...clockAt(Date.now() + 31 * day) }, certificate: 'fault' },
    { settings: { ...long, ...clockAt(Date.now() - 2 * day) }, certificate: 'fault' },
    { settings: { ...long, TLS_CERT: join(folder, 'none.crt') }, certificate: 'fault' }
  ]) {
    const { code, verdicts } = await examine({ DATA_DIR, HOST: '0.0.0.0', ...settings })
    t.match(verdicts, { transport: 'good', certificate, certificate_key: key }, { settings })
    t.equal(code, [certificate, key].includes('fault') ? 1 : 0)
  }
})

t.test('a file of the server that this user can\'t read and write is a fault that names it', async t => {
  const { dataDir, database } = makeStore(t)
  for (const [file, mode, other] of [[database, 0o400, 'warning'], [`${database}-hold`, 0, 'warning'], [join(dataDir, 'signing-keys'), 0o400, 'good'], [join(dataDir, 'blobs'), 0o500, 'good']] as [string, number, Verdict][]) {
    const before = statSync(file).mode
    chmodSync(file, mode)
    const { code, findings, verdicts } = await examine({ DATA_DIR: dataDir }, { under: WITHOUT_ROOTS_ACCESS })
    t.match({ code, verdicts }, { code: 1, verdicts: { folder: 'fault', database: other } }, file)
    t.match(findings.find(({ check }) => check === 'folder'), { message: join('DATA_DIR', relative(dataDir, file)), remedy: /chmod/ })
    chmodSync(file, before)
  }
  t.match(await examine({ DATA_DIR: dataDir }, { under: WITHOUT_ROOTS_ACCESS }), { code: 0, verdicts: { folder: 'good', database: 'good' } })
})

t.test('what other users may read is found: a fault where it is keys or the database, else a warning; damaged sealing keys are a fault', async t => {
  const { dataDir, database } = makeStore(t)
  writeFileSync(join(dataDir, 'sealing-keys'), `${KEY}\nkid:short\n`, { mode: 0o600 })
  writeFileSync(join(dataDir, 'sealing-keys.new'), '', { mode: 0o600 })
  const { verdicts, findings } = await examine({ DATA_DIR: dataDir })
  t.match(verdicts, { signing_keys: 'good', sealing_keys: 'fault', names: 'good' })
  t.match(findings.find(({ check }) => check === 'sealing_keys'), { message: /sealing-keys, line 2: /, remedy: /recovery code/ })
  rmSync(join(dataDir, 'sealing-keys.new'))
  writeFileSync(join(dataDir, 'sealing-keys'), `${KEY}\n`, { mode: 0o600 })
  const keyFiles = ['signing-keys', 'sealing-keys'].map(name => [join(dataDir, name), 0o644, 'fault'] as const)
  for (const [path, mode, verdict] of [[dataDir, 0o755, 'warning'], [join(dataDir, 'blobs'), 0o710, 'warning'], ...keyFiles, [database, 0o660, 'fault']] as [string, number, Verdict][]) {
    const before = statSync(path).mode
    chmodSync(path, mode)
    const { code, findings } = await examine({ DATA_DIR: dataDir })
    t.match(findings.filter(finding => finding.verdict !== 'good' && !finding.check.startsWith('free_')), [{ check: 'permissions', verdict, message: join('DATA_DIR', relative(dataDir, path)) }])
    t.equal(code, verdict === 'fault' ? 1 : 0)
    chmodSync(path, before)
  }
})

t.test('a data folder of another user is a fault, for root a warning; so is a file of another user than its folder', { skip: process.getuid?.() !== 0 && 'only root can give a folder away' }, async t => {
  const { dataDir, database } = makeStore(t)
  t.match(await examine({ DATA_DIR: dataDir, ...withFault('process.geteuid = () => 4711') }), { code: 1, verdicts: { owner: 'fault' } })
  chownSync(database, 4711, 4711)
  t.match(await examine({ DATA_DIR: dataDir }), { code: 1, verdicts: { owner: 'fault', database: 'good' } })
  await execute('chown', ['-R', '4711', dataDir])
  t.match(await examine({ DATA_DIR: dataDir }), { code: 0, verdicts: { owner: 'warning' } })
})

t.test('a variable that is nearly a setting is a warning, here and when the server starts, and others are not', async t => {
  const settings = { DATA_DIR: join(t.testdir(), 'data'), QUOTA_BYTE: '5', max_file_bytes: '6', METRICS_PROT: '7', TLS_CRET: 'x' }
  const { code, findings } = await examine(settings)
  t.equal(code, 0)
  const { message = '', remedy = '' } = findings.find(({ check }) => check === 'setting_names') ?? {}
  const { welcome } = await spawnServer(t, settings, { isCounted: true })
  for (const [name, meant] of [['QUOTA_BYTE', 'QUOTA_BYTES'], ['max_file_bytes', 'MAX_FILE_BYTES'], ['METRICS_PROT', 'METRICS_PORT'], ['TLS_CRET', 'TLS_CERT']] as [string, string][]) {
    t.match(message, `${name} is not a setting; did you mean ${meant}?`)
    t.match(remedy, new RegExp(`set .*${meant}.* or unset .*${name}`))
    t.ok(welcome.some(line => line.includes(`warning:             ${name} is not a setting; did you mean ${meant}?`)), name)
  }
  const others = { HOSTNAME: 'a', HOSTS: 'b', PORTAL: 'c', PORTS: 'd', JAVA_DIR: 'e', DATABASE: 'f', LOGLEVELS: 'g', NODE_ENVS: 'h', QUOTA_BYTE: 'i', QUOTA_BYTES: '5' }
  t.match((await examine({ DATA_DIR: join(t.testdirName, 'data'), ...others })).verdicts, { setting_names: 'good' })
})

t.test('what does not belong into DATA_DIR is a warning; what servers and commands leave there is not', async t => {
  const folder = t.testdir({ fixture: {} })
  await execute('tar', ['--extract', '--gzip', '--file', join(root, 'test/fixtures/0000.tar.gz'), '--directory', join(folder, 'fixture')])
  const dataDir = join(folder, 'fixture', 'data')
  const settings = { DATA_DIR: dataDir }
  await (await spawnServer(t, settings)).end('SIGKILL')
  mkdirSync(join(dataDir, 'blobs', '00'), { recursive: true })
  writeFileSync(join(dataDir, 'blobs', '00', '0'.repeat(32)), 'nobody\'s', { mode: 0o600 })
  t.equal((await runCommand(['fsck', '--repair'], settings)).code, 0)
  t.equal((await runCommand(['backup', join(folder, 'backup')], settings)).code, 0)
  const names = readdirSync(dataDir)
  for (const name of ['quarantine', 'magicstore.db.before-0001', 'magicstore.db-hold', 'lock.db']) t.ok(names.includes(name), name)
  mkdirSync(join(dataDir, 'lost+found'), { mode: 0o755 })
  t.match((await examine(settings)).verdicts, { names: 'good', permissions: 'good' })
  writeFileSync(join(dataDir, 'magicstore.db.old'), '')
  const { code, findings } = await examine(settings)
  t.equal(code, 0)
  t.match(findings.find(({ check }) => check === 'names'), { verdict: 'warning', message: 'magicstore.db.old' })
})

t.test('too little room is a fault and little room a warning, of bytes and of inodes; another machine\'s file system is a fault, and one that may be a warning', async t => {
  const DATA_DIR = t.testdir()
  for (const [statistics, minFreeBytes, expected] of [
    [{ bavail: 99, ffree: 0, type: 0x6969 }, 100, { free_space: 'fault', free_inodes: 'fault', file_system: 'fault' }],
    [{ bavail: 150, ffree: 49, type: 0xff534d42 }, 100, { free_space: 'warning', free_inodes: 'warning', file_system: 'fault' }],
    [{ bavail: 49, ffree: 50, type: 0xfe534d42 }, 10, { free_space: 'warning', free_inodes: 'good', file_system: 'fault' }],
    [{ bavail: 200, ffree: 0, files: 0, type: 0x65735546 }, 100, { free_space: 'good', free_inodes: 'good', file_system: 'warning' }]
  ] as [object, number, Record<string, Verdict>][]) {
    const { verdicts } = await examine({
      DATA_DIR,
      MIN_FREE_BYTES: String(minFreeBytes),
      ...withFault(`import fs from 'node:fs/promises'
        import { syncBuiltinESMExports } from 'node:module'
        const { statfs } = fs
        fs.statfs = async path => ({ ...await statfs(path), ...${JSON.stringify({ bsize: 1, blocks: 1000, files: 1000, ...statistics })} })
        syncBuiltinESMExports()`)
    })
    t.match(verdicts, expected, { statistics })
  }
  const { bavail, bsize } = statfsSync(DATA_DIR)
  t.match(await examine({ DATA_DIR, MIN_FREE_BYTES: String(2 * bavail * bsize) }), { code: 1, verdicts: { free_space: 'fault' } }, 'and it is this disk that is looked at')
})

t.test('a clock before this version was made, or before what is stored, is a fault', async t => {
  const { dataDir, database } = makeStore(t)
  t.match(await examine({ DATA_DIR: join(dataDir, 'new'), ...clockAt(Date.UTC(2020, 0)) }), { code: 1, verdicts: { clock: 'fault' } })
  const tomorrow = Date.now() / 1000 + 24 * 3600
  utimesSync(database, tomorrow, tomorrow)
  t.match(await examine({ DATA_DIR: dataDir }), { code: 1, verdicts: { clock: 'fault' } })
})

t.test('a server that runs is asked whether it is ready, and what has its place without being one is a fault', async t => {
  const folder = t.testdir()
  const settings = { DATA_DIR: join(folder, 'sound') }
  const [sound, broken] = [await startServer(t, settings), await startServer(t, { DATA_DIR: join(folder, 'broken') })]
  t.match(await examine({ ...settings, PORT: String(sound.port) }), { code: 0, findings: { 20: { check: 'server', verdict: 'good', message: /ready.* ok.* ok/ } } })
  renameSync(broken.dataDir, join(folder, 'elsewhere'))
  t.match(await examine({ ...settings, PORT: String(broken.port) }), { code: 1, findings: { 20: { check: 'server', verdict: 'fault', message: /not_ready.*disk/ } } })
  await sound.close()
  t.match(await examine({ ...settings, PORT: String(sound.port) }), { code: 0, verdicts: { server: 'good' } }, 'where nothing listens no server runs')
  for (const [name, answer] of Object.entries<RequestListener>({ json: answerJson({ ok: true }), text: (_request, response) => response.end('hello'), reset: request => request.socket.destroy(), silence: () => {} })) {
    t.match(await examine({ ...settings, PORT: String(await listen(t, answer)) }), { code: 1, verdicts: { server: 'fault' } }, name)
  }
})

t.test('a server with TLS is asked by its address; its public address is good where its certificate is', async t => {
  const folder = t.testdir()
  const files = await certify(folder, { days: 30 })
  const settings = { DATA_DIR: join(folder, 'data'), ...files }
  const { port } = await spawnServer(t, settings)
  const asked = { ...settings, PORT: String(port), PUBLIC_URL: `https://localhost:${port}` }
  t.match(await examine({ ...asked, NODE_EXTRA_CA_CERTS: files.TLS_CERT }), { code: 0, verdicts: { server: 'good', public_address: 'good' } })
  t.match(await examine(asked), { code: 0, verdicts: { server: 'good', public_address: 'warning' } }, 'a certificate that nobody trusts')
  // A PUBLIC_URL that does not lead to a server which knows of its TLS.
  const server = await startServer(t, { DATA_DIR: join(folder, 'plain') })
  const alive = answerJson({ status: 'alive' })
  for (const [url, verdict] of [
    [`${server.url}/`, 'good'],
    [`http://127.0.0.1:${await listen(t, answerJson({ hello: 'world' }))}`, 'warning'],
    [`http://127.0.0.1:${await listen(t, (_request, response) => response.end('<html>'))}`, 'warning'],
    [`https://127.0.0.1:${await listen(t, alive, files)}`, 'warning']
  ] as [string, Verdict][]) {
    const trusting = url.startsWith('https') ? { NODE_EXTRA_CA_CERTS: files.TLS_CERT } : {}
    t.match(await examine({ DATA_DIR: join(folder, 'new'), PUBLIC_URL: url, ...trusting }), { code: 0, verdicts: { public_address: verdict } }, url)
  }
})

t.test('nothing in DATA_DIR is changed, whether a server runs, has ended or was killed', async t => {
  const { dataDir } = makeStore(t)
  const settings = { DATA_DIR: dataDir }
  const looks = async (message: string) => {
    const before = snapshotOf(dataDir)
    t.match(await examine(settings), { code: 0, verdicts: { database: 'good' } }, message)
    t.strictSame(snapshotOf(dataDir), before, message)
  }
  await looks('ended')
  const server = await spawnServer(t, settings)
  await looks('running')
  await signUp(server, 'ben')
  await server.end('SIGKILL')
  t.ok(readdirSync(dataDir).includes('magicstore.db-wal'))
  await looks('killed')
  rmSync(join(dataDir, 'magicstore.db-shm'))
  await looks('killed with its machine')
  const again = await startServer(t, settings)
  t.equal((await again.send('GET', '/api/token', { user: ['ben', 'correct horse battery'] })).status, 200, 'and nothing is lost')
})

t.test('a damaged database is a fault, whatever is damaged, one of an older version is good, and each is left as it is', async t => {
  for (const [name, damage] of Object.entries<(database: string) => void>({
    pages: database => { const bytes = readFileSync(database); writeFileSync(database, bytes.fill(0x55, 8192)) },
    references (database) {
      const client = new Database(database)
      client.pragma('foreign_keys = OFF')
      client.exec('UPDATE files SET owner_id = 99')
      client.close()
    }
  })) {
    const { dataDir, database } = makeStore(t)
    damage(database)
    const before = snapshotOf(dataDir)
    t.match(await examine({ DATA_DIR: dataDir }), { code: 1, verdicts: { folder: 'good', database: 'fault' } }, name)
    t.strictSame(snapshotOf(dataDir), before, name)
  }
  await execute('tar', ['--extract', '--gzip', '--file', join(root, 'test/fixtures/0000.tar.gz'), '--directory', t.testdir()])
  const dataDir = join(t.testdirName, 'data')
  const older = snapshotOf(dataDir)
  t.match(await examine({ DATA_DIR: dataDir }), { findings: { 22: { check: 'database', verdict: 'good', message: 'older version' } } })
  t.strictSame(snapshotOf(dataDir), older)
})

t.test('without room for a copy the database is looked through only where a server has it open', async t => {
  const dataDir = t.testdir()
  const settings = { DATA_DIR: dataDir, TMPDIR: join(dataDir, 'nowhere') }
  const metadata = await openSqliteMetadata(join(dataDir, 'magicstore.db'))
  t.match(await examine(settings), { code: 0, verdicts: { database: 'good' } })
  await metadata.close()
  t.match(await examine(settings), { code: 0, verdicts: { database: 'warning' } })
  t.strictSame(readdirSync(dataDir), ['magicstore.db', 'magicstore.db-hold'])
})

t.test('what is no failure of a setting is told in its own words', async t => {
  t.strictSame(faultOf(new Error('the disk is gone')), {
    verdict: 'fault', message: 'the disk is gone', remedy: 'correct the setting that it names'
  })
})
