import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { access, readFile, truncate, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import t, { type Test } from 'tap'
import { v8Flags } from '../kit/bin.ts'
import { certify } from '../kit/certificates.ts'
import { checkRecorded } from '../kit/conformance.ts'
import { execute, runUnwatched } from '../kit/programs.ts'
import { blocksOf, readGuide, sectionOf } from '../kit/readme.ts'
import { root } from '../kit/root.ts'
import { signUp, spawnBin, spawnServer } from '../kit/server.ts'
import { isProof, KIB, MIB } from '../kit/sizes.ts'
import { until } from '../kit/waiting.ts'
import { freePort } from '../kit/wire.ts'
import { lineOf, NAME, proxies, read, skipWithout, startFront, type Front } from './fronts.ts'

const PASSWORD = 'correct horse battery'

/** An instruction of the Dockerfile and its arguments. */
interface Instruction { word: string, rest: string }

/** The instructions of each stage. */
async function stagesOfImage (): Promise<Instruction[][]> {
  const lines = (await read('Dockerfile')).split('\n').filter(line => /^[A-Z]/.test(line))
  const instructions = lines.map(line => ({ word: line.split(' ')[0] ?? '', rest: line.slice(line.indexOf(' ') + 1) }))
  const starts = instructions.flatMap(({ word }, index) => word === 'FROM' ? [index] : [])
  return starts.map((start, index) => instructions.slice(start, starts[index + 1]))
}

const restsOf = (stage: Instruction[], word: string) =>
  stage.filter(instruction => instruction.word === word).map(({ rest }) => rest)

/** What a stage copies: sources, target, and the stage copied from. */
function copiesIn (stage: Instruction[]): { from: string | undefined, sources: string[], target: string }[] {
  return restsOf(stage, 'COPY').map(rest => {
    const words = rest.split(' ')
    const [, from] = /^--from=(.+)$/.exec(words[0] ?? '') ?? []
    const paths = from === undefined ? words : words.slice(1)
    return { from, sources: paths.slice(0, -1), target: paths.at(-1) ?? '' }
  })
}

const settingsOfImage = (stage: Instruction[]): Record<string, string> =>
  Object.fromEntries(restsOf(stage, 'ENV').flatMap(rest => rest.split(' ')).map(word => word.split('=')))

/** The list of a CMD, and the text before it. */
const commandIn = (text = ''): string[] => JSON.parse(text.slice(text.indexOf('["')))

t.test('the image is made of files of the repository that reach its builder, and runs as no root', async t => {
  const stages = await stagesOfImage()
  const last = stages.at(-1) ?? []
  t.equal(stages.length, 2)
  const ignored = await read('Dockerfile.dockerignore')
  t.equal(ignored.split('\n').filter(line => !line.startsWith('#'))[0], '*')
  const reaching = ignored.split('\n').filter(line => line.startsWith('!')).map(line => line.slice(1))
  const generated = (await readFile(join(root, '.gitignore'), 'utf8')).split('\n').map(line => line.replace('/', ''))
  for (const source of stages.flatMap(copiesIn).filter(({ from }) => from === undefined)
    .flatMap(({ sources }) => sources)) {
    const [first = ''] = source.split('/')
    await t.resolves(access(join(root, source)), source)
    t.ok(reaching.includes(first), `${source} reaches the builder`)
    t.notOk(generated.includes(first), `${source} is in the repository`)
  }
  t.same(restsOf(last, 'USER'), ['node'])
  t.same(restsOf(last, 'STOPSIGNAL'), ['SIGTERM'])
  t.same(commandIn(restsOf(last, 'CMD')[0]), ['node', ...v8Flags, 'dist/main.js', 'serve'])
  t.same(restsOf(last, 'VOLUME'), [settingsOfImage(last).DATA_DIR])
  t.same(stages.map(([from]) => from?.rest), ['$' + '{BUILD} AS build', '$' + '{BASE}'])
  const [, build, base] = /^ARG BUILD=(node:\d+-[a-z]+)\nARG BASE=(.+)$/m.exec(await read('Dockerfile')) ?? []
  t.equal(base, `${build}-slim`, 'what is compiled by one runs in the other')
})

t.test('what is copied into the image is enough to serve, over HTTP and over TLS, and its health check tells whether it does', { skip: skipWithout('openssl') }, async t => {
  const folder = t.testdir({ app: {} })
  const [first = [], last = []] = await stagesOfImage()
  const copying = restsOf(first, 'RUN').at(-1)?.replace('npm run build && ', '').replace('/app', join(folder, 'app')) ?? ''
  t.match(await runUnwatched('bash', ['-c', copying]), { code: 0 })
  t.same(copiesIn(last), [{ from: 'build', sources: ['/app'], target: './' }, { from: undefined, sources: ['LICENSE'], target: './' }])
  const image = { ...settingsOfImage(last), HOST: '127.0.0.1', DATA_DIR: join(folder, 'data') }
  for (const tls of [{}, await certify(folder)]) {
    const port = String(await freePort())
    const container = spawnCommand(commandIn(restsOf(last, 'CMD')[0]), { cwd: join(folder, 'app'), settings: { ...image, ...tls, PORT: port } })
    t.teardown(() => container.kill('SIGKILL'))
    const ended = once(container, 'exit')
    await lineOf(container.stdout, /password policy/)
    const check = async () => {
      const child = spawnCommand(commandIn(restsOf(last, 'HEALTHCHECK')[0]), { cwd: folder, settings: { ...tls, PORT: port } })
      return (await once(child, 'exit'))[0]
    }
    t.equal(await check(), 0)
    container.kill('SIGTERM')
    t.same(await ended, [0, null], 'SIGTERM arrives')
    t.equal(await check(), 1, 'nobody listens')
    if (Object.keys(tls).length > 0) continue
    const unready = createHttpServer((_request, response) => { response.writeHead(503).end() }).listen(Number(port), '127.0.0.1')
    await once(unready, 'listening')
    t.equal(await check(), 1, 'a server says that it is not ready')
    unready.close()
  }
})

/** Node without the test's environment. */
function spawnCommand (
  [, ...args]: string[], { cwd, settings }: { cwd: string, settings: Record<string, string> }
): ChildProcess {
  return spawn(process.execPath, args, { cwd, env: { PATH: process.env.PATH, ...settings }, stdio: ['ignore', 'pipe', 'inherit'] })
}

const units = ['magicstore.service', 'magicstore@.service']

/** How the units start the server. */
const command = `/usr/bin/node ${v8Flags.join(' ')} dist/main.js serve`

const backupUnit = 'magicstore-backup.service'

t.test('systemd finds nothing wrong with the units and the timer, and little that they leave open', { skip: skipWithout('systemd-analyze') }, async t => {
  t.testdir()
  for (const unit of [...units, backupUnit, 'magicstore-backup.timer']) {
    // Of a template, one instance.
    const file = join(t.testdirName, unit.replace('@', '@5001'))
    await writeFile(file, (await read(unit)).replace('/usr/bin/node', process.execPath))
    const verified = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' })
    // If the machine runs systemd, it checks other units too.
    t.same({ status: verified.status, lines: verified.stderr.split('\n').filter(line => line.includes('magicstore')) }, { status: 0, lines: [] })
    if (unit.endsWith('.timer')) continue
    const judged = spawnSync('systemd-analyze', ['security', '--offline=yes', '--threshold=15', '--no-pager', file], { encoding: 'utf8' })
    t.equal(judged.status, 0, { stdout: judged.stdout })
  }
})

t.test('the unit starts what the README starts, and knows where things lie', async t => {
  const unit = await read('magicstore.service')
  t.ok(unit.split('\n').includes(`ExecStart=${command}`))
  t.equal(JSON.parse(await readFile(join(root, 'package.json'), 'utf8')).scripts.start, command.replace('/usr/bin/', 'exec '))
  t.match(unit, /^WorkingDirectory=\/opt\/magicstore$/m)
  const guide = await readGuide()
  for (const path of ['/opt/magicstore', '/etc/magicstore.env', '/var/lib/magicstore', '/etc/systemd/system/']) t.ok(guide.includes(path), path)
})

t.test('the timer starts the backup, which is as confined as the server and does what the guide says', async t => {
  const [one = [], backup = []] = await Promise.all(['magicstore.service', backupUnit].map(async unit => (await read(unit)).split('\n')))
  const confined = (lines: string[]) => lines.slice(lines.findIndex(line => line.startsWith('ProtectSystem=')), lines.indexOf('[Install]')).filter(line => /^[A-Z]/.test(line))
  t.same(confined(one).filter(line => !backup.includes(line)), [])
  for (const name of ['User', 'Group', 'WorkingDirectory', 'Environment', 'EnvironmentFile', 'UMask']) {
    const line = one.find(line => line.startsWith(`${name}=`)) ?? name
    t.ok(backup.includes(line), line)
  }
  t.match(await read('magicstore-backup.timer'), /^OnCalendar=daily$[^]*^Persistent=true$/m)
})

t.test('each instance of the template is as confined as the one server, and listens at its own port', async t => {
  const [one = [], template = []] = await Promise.all(units.map(async unit => (await read(unit)).split('\n').filter(line => /^[A-Z]\w+=/.test(line))))
  t.same(one.filter(line => !template.includes(line)), [
    'Description=MagicStore, a private file store', 'StateDirectory=magicstore', 'StateDirectoryMode=0700',
    'Environment=NODE_ENV=production DATA_DIR=%S/magicstore', 'EnvironmentFile=-/etc/magicstore.env', `ExecStart=${command}`
  ])
  const [, line = ''] = /^ExecStart=(.*)$/m.exec(await read('magicstore@.service')) ?? []
  // Settings come before, so that none of them can make two servers want the same port.
  const { stdout } = await execute('/bin/sh', ['-c', line.replace('%i', '5001').replace(command, 'printenv PORT')], { env: { ...process.env, PORT: '5000' } })
  t.equal(stdout, '5001\n')
})

t.test('a reload signals a server that has a certificate, and leaves alone one that the signal would end', async t => {
  const [, command = ''] = /^ExecReload=\/bin\/sh -c '(.*)'$/m.exec(await read('magicstore.service')) ?? []
  for (const [certificate, end] of [['', [0, null]], ['/etc/magicstore.crt', [null, 'SIGHUP']]] as const) {
    const child = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] })
    const ended = once(child, 'exit')
    // systemd writes a dollar sign as two.
    await execute('/bin/sh', ['-c', command.replaceAll('$$', '$')], { env: { TLS_CERT: certificate, MAINPID: String(child.pid) } })
    child.stdin.end()
    t.same(await ended, end)
  }
})

t.test('the server needs no system call and no kind of address that the unit forbids', { skip: skipWithout('strace', 'systemd-analyze') }, async t => {
  const unit = await read('magicstore.service')
  const trace = join(t.testdir(), 'trace')
  const server = await spawnServer(t, { HOST: 'localhost', DATA_DIR: join(t.testdirName, 'data') }, { under: ['strace', '-f', '-qq', '-o', trace] })
  const linesOfTrace = () => readFile(trace, 'utf8').then(text => text.split('\n'))
  const { token } = await signUp(server, 'ann', PASSWORD)
  t.equal((await server.send('PUT', '/uploads/report.pdf', { token, body: randomBytes(3 * MIB) })).status, 201)
  t.equal((await server.send('GET', '/uploads/report.pdf', { token })).bytes.length, 3 * MIB)
  t.equal((await server.send('GET', '/health/ready')).status, 200)
  const ended = once(server.child, 'exit')
  // strace ignores the signal itself; its first line gives the server's pid.
  process.kill(parseInt((await linesOfTrace())[0] ?? ''), 'SIGTERM')
  await ended
  const used = (await linesOfTrace()).map(line => /^\d+ +(\w+)\((\w*)/.exec(line) ?? [])
  const [, filter = ''] = /^SystemCallFilter=(.*)$/m.exec(unit) ?? []
  const allowed = filter.split(' ').flatMap(callsOf(spawnSync('systemd-analyze', ['syscall-filter', '--no-pager'], { encoding: 'utf8' }).stdout))
  t.ok(used.some(([, call]) => call === 'fsync' || call === 'fdatasync'))
  t.same(new Set(used.map(([, call]) => call).filter(call => call !== undefined && !allowed.includes(call))), new Set())
  const [, families = ''] = /^RestrictAddressFamilies=(.*)$/m.exec(unit) ?? []
  t.same(new Set(used.filter(([, call]) => call === 'socket').map(([, , family]) => family).filter(family => !families.split(' ').includes(String(family)))), new Set())
})

/** The system calls in a systemd set, from systemd's own list. */
function callsOf (list: string): (name: string) => string[] {
  const sets = new Map(list.split(/\n(?=@)/).map(block => {
    const [name = '', ...rest] = block.split('\n').map(line => line.trim())
    return [name, rest.filter(line => /^[@\w]/.test(line))]
  }))
  const calls = (name: string): string[] => name.startsWith('@') ? (sets.get(name) ?? []).flatMap(calls) : [name]
  return calls
}

interface Answer { status: number, headers: Record<string, string>, bytes: Buffer }

/** Runs curl with the public URLs, and returns its output. */
type Curl = (args: string[], options?: { from?: string, input?: Readable }) => Promise<Answer>

function createCurl (t: Test, { cert, http, https }: Front, protocol: string): Curl {
  const folder = t.testdir()
  let count = 0
  return async (args, { from = '127.0.0.2', input } = {}) => {
    const [head, body] = ['head', 'body'].map(name => join(folder, `${name}-${count}`)) as [string, string]
    count++
    const child = spawn('curl', [protocol, '--silent', '--cacert', cert, '--interface', from, '--connect-to', `${NAME}:443:127.0.0.1:${https}`, '--connect-to', `${NAME}:80:127.0.0.1:${http}`, '--dump-header', head, '--output', body, ...args], { stdio: ['pipe', 'ignore', 'ignore'], env: { PATH: process.env.PATH } })
    const ended = once(child, 'exit')
    // curl exits when it has a response, even if it has not sent everything.
    pipeline(input ?? Readable.from([]), child.stdin).catch(() => {})
    await ended
    // Interim responses come first.
    const heads = (await readFile(head, 'latin1')).trim().split(/\r\n\r\n/)
    const [statusLine = '', ...lines] = heads.at(-1)?.split('\r\n') ?? []
    const headers = Object.fromEntries(lines.map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]))
    return { status: Number(statusLine.split(' ')[1]), headers, bytes: await readFile(body).catch(() => Buffer.alloc(0)) }
  }
}

const json = ({ bytes }: Answer) => JSON.parse(bytes.toString())

/** The settings that the guide recommends behind a proxy. */
async function proxySettings (): Promise<Record<string, string>> {
  const [lines = []] = blocksOf(sectionOf(await readGuide(), '## Run behind TLS'), 'ini')
  return Object.fromEntries(lines.map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]))
}

/** The bin with these settings; its startup message shows the proxy's URL. */
async function startBehind (
  t: Test, settings: Record<string, string>
): Promise<{ port: number, log: Buffer[], end (): Promise<number | null> }> {
  const folder = t.testdir({ data: {} })
  const [port, exchanges] = [await freePort(), join(folder, 'exchanges')]
  const recorded = ['--import', new URL('../kit/recorder.js', import.meta.url).href]
  const child = spawnBin(['serve'], { ...await proxySettings(), PORT: String(port), DATA_DIR: join(folder, 'data'), MIN_FREE_BYTES: '0', EXCHANGES: exchanges, ...settings }, { nodeArgs: recorded })
  const ended = once(child, 'exit')
  const end = async () => { child.kill('SIGTERM'); return (await ended)[0] }
  t.teardown(async () => {
    await end()
    checkRecorded(t, exchanges)
  })
  const log: Buffer[] = []
  child.stdout?.on('data', chunk => log.push(chunk))
  await lineOf(child.stdout, /password policy/)
  return { port, log, end }
}

for (const proxy of proxies) {
  t.test(`behind ${proxy.program}, set up by the example, everything works as without it, and its log has no secret of a link`, { skip: skipWithout(proxy.program, 'curl', 'openssl') }, async t => {
    const server = await startBehind(t, { MAX_FILE_BYTES: String(4 * MIB), SIGN_IN_FAILURES: '2', LINKS: 'on' })
    const front = await startFront(t, proxy, server.port)
    // Links are visited over HTTP/1.1.
    const protocols = isProof ? ['--http1.1', '--http2'] : ['--http2']
    for (const protocol of protocols) await t.test(protocol, t => runSession(t, createCurl(t, front, protocol), protocol.slice(2).replace('.', '-')))
    await t.test('and nobody can pass for another address', t => forgeAddress(t, createCurl(t, front, '--http2')))
    let url = ''
    await t.test('visits of a link', async t => { url = await visitLink(t, createCurl(t, front, '--http1.1')) })
    t.equal(await server.end(), 0)
    await t.test('a visit of a server that is gone', async t => {
      t.equal((await createCurl(t, front, '--http2')([`${url}/files/report.txt`])).status, 502)
    })
    const secret = url.slice(-22)
    const [log, own] = [await until(() => front.log(), text => text.includes('502')), Buffer.concat(server.log).toString()]
    t.notOk(log.includes(secret) || own.includes(secret))
    t.match(log, '/s/-/files/report.txt')
    // A request whose path can't be decoded is logged with the address of the proxy.
    const lines = own.split('\n').filter(line => !line.includes('"status":400'))
    const clients = lines.flatMap(line => /"client":"([^"]+)"/.exec(line)?.[1] ?? [])
    t.same(new Set(clients), new Set(['127.0.0.2', '127.0.0.3', '127.0.0.4']), 'the log has the addresses of the clients')
  })
}

/** Creates a link and asks for it in many ways. Returns its URL. */
async function visitLink (t: Test, curl: Curl): Promise<string> {
  const site = `https://${NAME}`
  const asJson = (value: object) => ['-H', 'Content-Type: application/json', '-d', JSON.stringify(value)]
  const user = ['-u', `lea:${PASSWORD}`]
  await curl([...asJson({ username: 'lea', password: PASSWORD }), `${site}/api/users`])
  await curl([...user, '-X', 'PUT', '-d', 'the bytes', `${site}/uploads/report.txt`])
  const { url } = json(await curl([...user, ...asJson({ name: 'report.txt', kind: 'download' }), `${site}/api/links`]))
  t.match(url, new RegExp(`^${site}/s/[0-9A-Za-z]{22}$`))
  const secret = url.slice(-22)
  const visits = [['', 200], ['/files/report.txt', 200], ['?download', 303], ['/files/none?version=1', 400], ['%ff', 400]] as const
  for (const [path, status] of visits) t.equal((await curl(['-e', `${url}/list`, url + path])).status, status, path)
  t.equal((await curl([`${site}/%73/${secret}/list`])).status, 200)
  for (const path of [`//s//${secret}`, '/s']) t.equal((await curl([site + path])).status, 404)
  t.equal((await curl([`http://${NAME}/s/${secret}/files/report.txt`])).status, 308)
  return url
}

async function runSession (t: Test, curl: Curl, username: string): Promise<void> {
  const site = `https://${NAME}`
  const large = join(t.testdir(), 'large.bin')
  const bytes = randomBytes(3 * MIB + 1)
  await writeFile(large, bytes)
  const registered = await curl(['-H', 'Content-Type: application/json', '-d', JSON.stringify({ username, password: PASSWORD }), `${site}/api/users`])
  t.equal(registered.status, 201)
  t.match(registered.headers.location, new RegExp(`^${site}/api/users/\\d+$`))
  t.equal(registered.headers['strict-transport-security'], 'max-age=31536000', 'the server knows that the client speaks TLS')
  const { token } = json(await curl(['-u', `${username}:${PASSWORD}`, `${site}/api/token`]))
  const auth = ['-H', `Authorization: Bearer ${token}`]

  const form = await curl([...auth, '-F', `file=@${large};filename=form.bin`, `${site}/`])
  t.match({ status: form.status, body: json(form) }, { status: 201, body: { size: bytes.length, url: `${site}/uploads/form.bin` } })
  t.equal((await curl([...auth, '-T', large, `${site}/uploads/put.bin`])).status, 201)
  const odd = '%20%27%22odd%22%27%20%26%20%25%2541%3F%23%20%F0%9F%98%80'
  t.equal(json(await curl([...auth, '-X', 'PUT', '-d', 'odd', `${site}/uploads/${odd}`])).name, decodeURIComponent(odd))
  for (const path of ['a/b%20c/d', 'a%2Fb%20c%2Fd']) {
    const stored = json(await curl([...auth, '-X', 'PUT', '-d', path, `${site}/uploads/${path}`]))
    t.match(stored, { name: 'a/b c/d', url: `${site}/uploads/a/b%20c/d` }, 'slashes arrive as they were sent')
  }
  t.match(json(await curl([...auth, `${site}/api/folders/a%2Fb%20c`])), { name: 'a/b c' })
  for (const name of ['form.bin', 'put.bin']) t.ok((await curl([...auth, `${site}/uploads/${name}`])).bytes.equals(bytes), name)
  t.equal((await curl([...auth, `${site}/uploads/${odd}`])).bytes.toString(), 'odd')

  const range = await curl([...auth, '-r', '5-9', `${site}/uploads/put.bin`])
  t.same({ status: range.status, bytes: range.bytes, range: range.headers['content-range'] }, { status: 206, bytes: bytes.subarray(5, 10), range: `bytes 5-9/${bytes.length}` })
  const head = await curl([...auth, '-I', `${site}/uploads/put.bin`])
  t.same({ status: head.status, length: head.headers['content-length'] }, { status: 200, length: String(bytes.length) })
  t.equal((await curl([...auth, '-H', `If-None-Match: ${head.headers.etag}`, `${site}/uploads/put.bin`])).status, 304)
  await useDrive(t, { curl, auth, name: `${username} box` })
  const refused = await curl([`${site}/api/files`])
  t.equal(refused.status, 401)
  t.ok(refused.headers['www-authenticate'])

  await truncate(large, 1024 * MIB)
  for (const [what, args, input] of [['of a length that is too much', ['-H', 'Expect:', '-T', large], Readable.from([])], ['without an end', ['-T', '-'], new Readable({ read () { this.push(Buffer.alloc(64 * KIB)) } })]] as const) {
    const answer = await curl([...auth, ...args, `${site}/uploads/endless`], { input })
    t.match({ status: answer.status, body: json(answer) }, { status: 413, body: { code: 'file_too_large' } }, `a body ${what} is refused while it is sent`)
  }
  t.equal((await curl([...auth, `${site}/uploads/endless`])).status, 404)

  const plain = await curl([`http://${NAME}/uploads/put.bin?a=b`])
  t.same({ status: plain.status, location: plain.headers.location }, { status: 308, location: `${site}/uploads/put.bin?a=b` })
}

/** WebDAV: other methods, and `Destination`, which names what the client sees. */
async function useDrive (t: Test, { curl, auth, name }: { curl: Curl, auth: string[], name: string }): Promise<void> {
  const site = `https://${NAME}/dav`
  const lockinfo = '<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'
  const send = (method: string, path: string, ...args: string[]) => curl([...auth, '-X', method, ...args, `${site}/${path}`])
  const at = encodeURIComponent(name)
  t.equal((await send('OPTIONS', '')).headers.dav, '1, 2, 3')
  t.equal((await send('MKCOL', `${at}/`)).status, 201)
  t.equal((await send('PUT', `${at}/a%23b`, '-d', 'one')).status, 201)
  t.equal((await send('COPY', `${at}/a%23b`, '-H', `Destination: ${site}/${at}/copy`)).status, 201)
  t.equal((await send('MOVE', `${at}/a%23b`, '-H', `Destination: ${site}/${at}/moved`)).status, 201)
  t.equal((await send('MOVE', `${at}/copy`, '-H', 'Destination: https://elsewhere.example.org/dav/moved')).status, 502)
  const found = await send('PROPFIND', `${at}/`, '-H', 'Depth: 1')
  t.equal(found.status, 207)
  t.same(Array.from(found.bytes.toString().matchAll(/href>([^<]+)</g), ([, href]) => href), ['', 'copy', 'moved'].map(path => `/dav/${at}/${path}`))
  const locked = await send('LOCK', `${at}/copy`, '-H', 'Content-Type: application/xml', '-d', lockinfo)
  t.equal(locked.status, 200)
  t.equal((await send('DELETE', `${at}/`)).status, 423)
  t.equal((await send('UNLOCK', `${at}/copy`, '-H', `Lock-Token: ${locked.headers['lock-token']}`)).status, 204)
  t.equal((await send('DELETE', `${at}/`)).status, 204)
}

async function forgeAddress (t: Test, curl: Curl): Promise<void> {
  const address = `https://${NAME}/api/account/events`
  const register = ['-H', 'Content-Type: application/json', '-d', JSON.stringify({ username: 'ann', password: PASSWORD }), `https://${NAME}/api/users`]
  t.equal((await curl(register, { from: '127.0.0.4' })).status, 201)
  for (const [index, status] of [401, 401, 429].entries()) {
    const forged = ['-H', `X-Forwarded-For: 198.51.100.${index}`, '-H', `Forwarded: for=198.51.100.${index};proto=http`, '-H', 'X-Forwarded-Proto: http', '-H', 'X-Request-Id: forged']
    const answer = await curl([...forged, '-u', `ann:${status === 429 ? PASSWORD : 'wrong'}`, address], { from: '127.0.0.3' })
    t.equal(answer.status, status)
    t.ok(answer.headers['strict-transport-security'])
    t.match(answer.headers['x-request-id'], /^[0-9a-f-]{32,36}$/)
  }
  const { events } = json(await curl(['-u', `ann:${PASSWORD}`, address], { from: '127.0.0.4' }))
  const failed = events.filter(({ kind }: { kind: string }) => kind === 'sign_in_failed')
  t.same(failed.map(({ network }: { network: string }) => network), ['127.0.0.3', '127.0.0.3'])
}
