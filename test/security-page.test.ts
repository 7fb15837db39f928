import { readdir, readFile } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import { connect as connectTcp, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls, getCiphers, TLSSocket, type ConnectionOptions } from 'node:tls'
import { build } from 'esbuild'
import { test } from 'tap'
import ts from 'typescript'
import { NETWORK_FACTOR, SIGN_IN_WINDOW_SECONDS, UNKNOWN_NETWORK_FAILURES } from '#src/accounts/sign-in.ts'
import { Settings } from '#src/config.ts'
import { root } from './kit/root.ts'
import { formOf, runBin, sharedServer, signUp, spawnServer, startTls } from './kit/server.ts'

const read = (...path: string[]) => readFile(join(root, ...path), 'utf8')

/** ASVS 5.0.0: how many requirements of level 1, then of level 2, the sections of each chapter of the page have. */
const standard: Record<string, [level1: number, level2: number][]> = {
  V1: [[0, 2], [5, 4], [2, 9], [0, 3], [1, 1]],
  V2: [[1, 2], [2, 1], [1, 3], [0, 1]],
  V3: [[0, 0], [2, 0], [1, 3], [2, 4], [3, 2], [0, 0], [0, 2]],
  V4: [[1, 2], [0, 1], [0, 2], [1, 3]],
  V5: [[0, 1], [2, 1], [2, 0], [0, 3]],
  V6: [[1, 2], [8, 4], [2, 2], [2, 2], [0, 5], [0, 3], [0, 0], [0, 4]],
  V7: [[0, 3], [4, 0], [0, 2], [2, 3], [0, 2], [0, 2]],
  V8: [[1, 1], [2, 1], [1, 0], [0, 1]],
  V9: [[3, 0], [1, 3]],
  V10: [[0, 2], [0, 2], [0, 4], [5, 6], [0, 5], [0, 2], [0, 3]],
  V11: [[0, 2], [0, 3], [2, 1], [1, 3], [0, 1], [0, 1]],
  V12: [[1, 2], [2, 0], [0, 4]],
  V13: [[0, 1], [0, 5], [0, 2], [1, 4]],
  V14: [[0, 2], [1, 3], [1, 2]],
  V15: [[1, 2], [1, 2], [1, 6]],
  V16: [[0, 1], [0, 5], [0, 4], [0, 3], [0, 3]]
}

/** Each requirement of the standard, with its level. */
const required = Object.entries(standard).flatMap(([chapter, sections]) =>
  sections.flatMap(([first, second], index) => Array.from({ length: first + second }, (_, number) =>
    ({ id: `${chapter}.${index + 1}.${number + 1}`, level: number < first ? '1' : '2' }))))

/** The rows of the page's requirement tables, and the requirements it lists as not applicable. */
async function readPage () {
  const [text = '', omitted = ''] = (await read('openapi', 'security.md')).split('\n## What does not apply\n')
  const rows = text.split('\n').filter(line => line.startsWith('| V')).map(line => {
    const [id = '', level = '', requirement = '', how = '', tests = '', ...more] = line.slice(2, -2).split(' | ')
    return { id, level, requirement, how, tests, more }
  })
  const named = Array.from(omitted.matchAll(/\bV\d+\.\d+(?:\.\d+)?\b/g), ([id]) => id)
  return { text, rows, omitted: named.flatMap(id => required.filter(each => each.id === id || each.id.startsWith(`${id}.`)).map(each => each.id)), named }
}

/** The names of the tests in a file, except names built from a template. */
async function testsIn (file: string): Promise<string[]> {
  const names: string[] = []
  const look = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && /\b(?:test|browserTest)$/.test(node.expression.getText())) {
      const [name] = node.arguments
      if (name !== undefined && ts.isStringLiteralLike(name)) names.push(name.text)
    }
    ts.forEachChild(node, look)
  }
  look(ts.createSourceFile(file, await read('test', file), ts.ScriptTarget.Latest, true))
  return names
}

test('every test that the security page names exists, under this name and in this file', async t => {
  const { text, rows } = await readPage()
  const ofFaults = ['What a link can\'t do', 'What a provider can\'t do', 'What a connection can\'t do'].flatMap(heading => {
    const [, section = ''] = text.split(`\n## ${heading}\n`)
    const found = Array.from(section.split('\n## ')[0]?.matchAll(/^\| [A-Z`].* \| (.+) \|$/gm) ?? [], ([id, tests = '']) => ({ id, how: 'Met: ', tests }))
    t.ok(found.length >= 10, heading)
    return found
  })
  const present = new Map<string, string[]>()
  for (const file of await readdir(join(root, 'test'), { recursive: true })) if (/\.(?:test|check|timed|proof|contract)\.ts$|^proof\/page\//.test(file)) present.set(file, await testsIn(file))
  for (const { id, how, tests } of [...rows, ...ofFaults]) {
    if (/^none\b/.test(tests)) {
      t.match(tests, /^none(?:: .+)?$/, id)
      t.ok(how.startsWith('Not met: ') || tests.length > 'none: '.length, `${id}: a met one without a test says why`)
      continue
    }
    for (const named of tests.split('<br>')) {
      const [, file = '', name = ''] = /^`((?:proof\/)?(?:page\/[a-z-]+|[a-z0-9-]+\.(?:test|check|timed|proof|contract))\.ts)`: (.+)$/.exec(named) ?? []
      t.ok(present.get(file)?.includes(name), `${id}: ${named}`)
    }
  }
  t.ok(rows.length > 100)
})

test('the security page has every requirement of level 1 and 2 once, with its level, or says why it does not apply', async t => {
  const { text, rows, omitted, named } = await readPage()
  for (const { id, level, requirement, how, more } of rows) {
    t.equal(level, required.find(each => each.id === id)?.level, `${id} is one of the standard's`)
    t.match(how, /^(?:Met|Partly|Not met): ./, id)
    t.ok(requirement !== '' && more.length === 0, `${id} has five columns`)
  }
  t.same([...rows.map(({ id }) => id), ...omitted].sort(), required.map(({ id }) => id).sort())
  for (const id of named) t.ok(required.some(each => each.id === id || each.id.startsWith(`${id}.`)), `${id} is one of the standard's`)
  const introduction = text.slice(0, text.indexOf('\n## '))
  t.same(Array.from(introduction.matchAll(/\bV\d+\.\d+\.\d+\b/g), ([id]) => id).sort(), rows.filter(({ how }) => how.startsWith('Not met')).map(({ id }) => id).sort(), 'its beginning tells of everything that is not met')
  const [table = ''] = text.split('\n## Connections to other machines\n')[1]?.split('\n## ') ?? []
  const settings = Array.from(table.matchAll(/^\| `([A-Z_]+)` \|/gm), ([, name = '']) => name)
  t.same(settings, Object.keys(connecting), 'it has each setting that makes the server connect to another machine')
  t.same(Object.keys(Settings.properties).filter(name => /_(?:URL|ISSUER)$/.test(name)).sort(), settings.sort())
})

test('the numbers of the page about sign-in protection are those in force', async t => {
  const page = (await read('openapi/sign-in.md')).replaceAll(/\s+/g, ' ')
  const failures = Settings.properties.SIGN_IN_FAILURES.default
  const minutes = SIGN_IN_WINDOW_SECONDS / 60
  t.match(page, `After \`SIGN_IN_FAILURES\` (${failures}) failures in ${minutes} minutes on one account from one network`)
  t.equal(NETWORK_FACTOR, 10)
  t.match(page, `After ten times as many (${failures * NETWORK_FACTOR}) failures in ${minutes} minutes from one network`)
  t.match(page, `After ${UNKNOWN_NETWORK_FAILURES} failures in ${minutes} minutes on one account from networks its owner never signed in from`)
  t.match(page, `\`REGISTRATIONS_PER_HOUR\` (${Settings.properties.REGISTRATIONS_PER_HOUR.default}) accounts`)
  t.match(page, '(security.md)')
  t.match(await read('README.md'), '(openapi/sign-in.md)')
})

// The following tests prove rows of the page that no other test covers.

test('a fresh installation has no account and no credential that opens it', async t => {
  const server = await sharedServer()
  t.equal((await runBin(['user', 'list', '--json'], { DATA_DIR: server.dataDir })).stdout, '')
  for (const id of [1, 2]) t.match(await server.send('GET', `/api/users/${id}`), { status: 400, json: { code: 'user_unknown' } })
  for (const name of ['admin', 'root', 'test_user', '']) {
    for (const password of ['', name, 'password']) {
      t.equal((await server.send('GET', '/api/resource', { user: [name, password] })).status, 401, `${name}:${password}`)
    }
  }
})

/** Modules that can reach other machines or run programs; `harmless` lists their exports that can't. */
const outward = /^(?:node:)?(?:http2?|https|net|tls|dgram|dns(?:\/promises)?|child_process|cluster|worker_threads|vm|inspector|undici|axios|got|ws)$/
/**
 * Allowed uses: the `doctor` command sends a request to PUBLIC_URL, `sync` is a client of the address that it is given,
 * the client of a provider of its addresses, that of PostgreSQL gets the socket that it connects, and SQLite runs long
 * transactions in a thread of this program.
 */
const known = [
  'commands/data-owner.ts: execFile of node:child_process', 'commands/data-owner.ts: spawn of node:child_process',
  'doctor/network.ts: all of it of node:http', 'doctor/network.ts: all of it of node:https',
  'identities/provider.ts: fetch', 'metadata/postgres/connections.ts: Socket of node:net',
  'metadata/sqlite/connection-thread.ts: parentPort of node:worker_threads', 'metadata/sqlite/connection-thread.ts: workerData of node:worker_threads',
  'metadata/sqlite/long-transactions.ts: Worker of node:worker_threads',
  'sync/connection.ts: fetch', 'sync/remote.ts: Agent of node:http', 'sync/remote.ts: Agent of node:https', 'sync/remote.ts: request of node:http', 'sync/remote.ts: request of node:https'
]
const harmless = ['METHODS', 'STATUS_CODES', 'constants', 'isIP', 'createServer', 'createSecureServer', 'createSecureContext', 'lookup']

/** The settings that make the server or a command connect to another machine, and the packages that then do it. */
const connecting: Record<string, string[]> = {
  DATABASE_URL: ['pg'],
  STORAGE_URL: ['@aws-sdk/credential-provider-process', '@smithy/core', '@smithy/credential-provider-imds', '@smithy/node-http-handler'],
  OIDC_ISSUER: [],
  PUBLIC_URL: []
}
/**
 * Packages that listen, write the log in a thread, or have code for it that is never called: the server pushes no
 * metrics.
 */
const listening = ['@fastify/rate-limit', 'fastify', 'light-my-request', 'pino', 'pino-abstract-transport', 'pino-pretty', 'prom-client', 'thread-stream']

/** The packages that `src` loads with `require`, which a bundler can't find. */
async function requiredPackages (): Promise<string[]> {
  const source = await read('src', 'http/schema-compilers.ts')
  return Array.from(source.matchAll(/load\('([^']+)'\)/g), ([, name]) => String(name))
}

/** The packages that import such modules; native code can't be bundled to find out. */
async function outwardPackages (): Promise<string[]> {
  const required = await requiredPackages()
  if (required.length < 2) throw new Error(`only ${String(required)} are required`)
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: ['dist/main.js', ...required],
    bundle: true,
    write: false,
    outdir: 'none',
    format: 'esm',
    splitting: true,
    platform: 'node',
    metafile: true,
    external: ['argon2', 'better-sqlite3', 'better-sqlite3-node20'],
    logLevel: 'error'
  })
  const files = Object.entries(metafile.inputs)
    .filter(([, { imports }]) => imports.some(({ path, external = false }) => external && outward.test(path)))
  return Array.from(new Set(files.flatMap(([file]) => /(?:.*\/)?node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []))).sort()
}

test('only the clients of PostgreSQL, S3 and an identity provider, doctor and sync can reach another machine, and only setup runs a program', async t => {
  // The page runs in browsers, whose content security policy keeps it to its server.
  const files = (await readdir(join(root, 'src'), { recursive: true })).filter(name => name.endsWith('.ts') && !name.startsWith('page/'))
  t.ok(files.length > 30)
  const found: string[] = []
  for (const file of files) {
    const source = ts.createSourceFile(file, await read('src', file), ts.ScriptTarget.Latest, true)
    const look = (node: ts.Node): void => {
      if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier) &&
        outward.test(node.moduleSpecifier.text) && node.importClause?.isTypeOnly !== true) {
        const named = node.importClause?.namedBindings
        const byDefault = node.importClause?.name === undefined ? [] : ['all of it']
        const names = named !== undefined && ts.isNamedImports(named) ? named.elements.filter(element => !element.isTypeOnly).map(({ propertyName, name }) => (propertyName ?? name).text).concat(byDefault) : ['all of it']
        found.push(...names.filter(name => !harmless.includes(name)).map(name => `${file}: ${name} of ${(node.moduleSpecifier as ts.StringLiteral).text}`))
      }
      if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) found.push(...[node.arguments[0]?.getText() ?? ''].filter(text => outward.test(text.slice(1, -1))).map(text => `${file}: import(${text})`))
      if (ts.isIdentifier(node) && ['fetch', 'WebSocket', 'EventSource', 'eval', 'Function'].includes(node.text)) found.push(`${file}: ${node.text}`)
      ts.forEachChild(node, look)
    }
    look(source)
  }
  t.same(found.sort(), known)
  t.same(await outwardPackages(), [...Object.values(connecting).flat(), ...listening].sort(), 'each library that can open a connection is known, with the setting that makes it do so')
})

test('a database or a bucket whose certificate is not trusted is refused', async t => {
  const { port, ca: cert, key } = await startTls(t)
  const database = createServer(socket => {
    socket.on('error', () => {})
    // The request for TLS, which PostgreSQL answers with one letter.
    socket.once('data', () => { socket.write('S'); new TLSSocket(socket, { isServer: true, cert, key }).on('error', () => {}) })
  })
  t.teardown(() => database.close())
  await new Promise<void>(resolve => database.listen(0, '127.0.0.1', resolve))
  const place = `127.0.0.1:${(database.address() as AddressInfo).port}`
  for (const mode of ['verify-full', 'require']) {
    t.match(await runBin(['serve'], { DATABASE_URL: `postgres://ann:secret@${place}/files?sslmode=${mode}`, STORAGE_URL: 's3://files' }), { code: 1, stderr: /self-signed certificate/ }, mode)
  }
  const settings = { DATA_DIR: t.testdir(), STORAGE_URL: `s3://files?endpoint=https://127.0.0.1:${port}&region=eu-central-1`, AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret' }
  t.match(await runBin(['serve'], settings), { code: 1, stderr: /DEPTH_ZERO_SELF_SIGNED_CERT/ })
})

/** The TLS version and cipher suite negotiated with a server, or the code of the failure. */
function shake (port: number, options: ConnectionOptions): Promise<string> {
  return new Promise(resolve => {
    const socket = connectTls({ host: '127.0.0.1', port, ...options })
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(String(error.code)))
    socket.once('secureConnect', () => { resolve(`${socket.getProtocol()} ${socket.getCipher().name}`); socket.destroy() })
  })
}

test('the page for browsers can\'t be framed by another site, loads no script from one, and tells none its address', async t => {
  const server = await sharedServer()
  const { headers } = await server.send('GET', '/docs')
  const policy = String(headers['content-security-policy']).split(';')
  for (const directive of ["default-src 'self'", "script-src 'self'", "object-src 'none'", "base-uri 'self'", "form-action 'self'", "frame-ancestors 'self'"]) t.ok(policy.includes(directive), directive)
  t.equal(headers['referrer-policy'], 'no-referrer')
  t.equal(headers['set-cookie'], undefined)
})

test('every library has an exact version and a digest', async t => {
  const { dependencies, optionalDependencies, devDependencies } = JSON.parse(await read('package.json'))
  for (const [name, version] of Object.entries({ ...dependencies, ...optionalDependencies, ...devDependencies })) t.match(version, /^(?:npm:[\w-]+@)?\d+\.\d+\.\d+(?:-[\w.]+)?$/, name)
  const { packages } = JSON.parse(await read('package-lock.json')) as { packages: Record<string, { version?: string, integrity?: string, inBundle?: boolean }> }
  const libraries = Object.entries(packages).filter(([path]) => path !== '')
  t.ok(libraries.length > 100)
  for (const [path, { version, integrity, inBundle = false }] of libraries) t.ok(version !== undefined && (inBundle || /^sha512-/.test(integrity ?? '')), path)
})

test('TLS 1.3 is preferred, 1.2 is taken with forward secrecy and authenticated encryption, and nothing older or with a short tag', async t => {
  const { port, ca } = await startTls(t)
  t.equal(await shake(port, { ca }), 'TLSv1.3 TLS_AES_256_GCM_SHA384')
  t.equal(await shake(port, { ca, maxVersion: 'TLSv1.2' }), 'TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384')
  const weakFirst = 'ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-GCM-SHA384'
  t.equal(await shake(port, { ca, maxVersion: 'TLSv1.2', ciphers: weakFirst }), 'TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384', 'the server\'s order counts')
  for (const version of ['TLSv1', 'TLSv1.1'] as const) {
    t.match(await shake(port, { ca, minVersion: version, maxVersion: version, ciphers: 'ALL:@SECLEVEL=0' }), /^E.*PROTOCOL_VERSION$/, version)
  }
  for (const ciphers of ['NULL:@SECLEVEL=0', 'aNULL:@SECLEVEL=0']) {
    t.match(await shake(port, { ca, maxVersion: 'TLSv1.2', ciphers }), /^E.*HANDSHAKE_FAILURE$/, ciphers)
  }

  const suites = getCiphers().filter(name => !name.startsWith('tls_')).map(name => name.toUpperCase())
  t.ok(suites.length > 30)
  const taken: string[] = []
  for (const suite of [...suites, 'ECDHE-ECDSA-AES128-CCM8', 'ECDHE-ECDSA-AES256-CCM8', 'ECDHE-ECDSA-AES128-CCM', 'ECDHE-ECDSA-AES256-CCM']) {
    // OpenSSL on this machine may lack a suite; then it can't be offered.
    const agreed = await Promise.resolve().then(() => shake(port, { ca, maxVersion: 'TLSv1.2', ciphers: `${suite}:@SECLEVEL=0` })).catch(() => 'unknown here')
    if (agreed.startsWith('TLSv1.2')) taken.push(suite)
  }
  t.same(taken.sort(), ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305'])
})

/** Node 22 and newer end the session of such a stream, and Node 20 the stream only. */
const endsSession = Number(process.versions.node.split('.')[0]) >= 22

test('an HTTP/2 upload whose length is not that of its frames is reset, and nothing is stored', async t => {
  // Node 24 ends a session whose stream has too few bytes only when it is idle.
  const { port, ca } = await startTls(t, { IDLE_SECONDS: '2' })
  function openSession () {
    const session = connectHttp2(`https://127.0.0.1:${port}`, { ca })
    session.on('error', () => {})
    t.teardown(() => session.destroy())
    async function ask (headers: Record<string, string>, body: string | Buffer = '') {
      const stream = session.request(headers, { endStream: false })
      const chunks: Buffer[] = []
      let status
      stream.on('response', answer => { status = answer[':status'] })
      stream.on('data', chunk => chunks.push(chunk))
      stream.on('error', () => {})
      stream.end(body)
      await new Promise(resolve => stream.once('close', resolve))
      return { status, text: Buffer.concat(chunks).toString() }
    }
    return { session, ask }
  }
  const { ask } = openSession()
  const credentials = { username: 'ann', password: 'correct horse battery' }
  const authorization = `Basic ${btoa(Object.values(credentials).join(':'))}`
  t.match(await ask({ ':method': 'POST', ':path': '/api/users', 'content-type': 'application/json' }, JSON.stringify(credentials)), { status: 201 })
  const form = formOf('of-a-form', '0123456789')
  const formHeaders = { ...form.headers, ':method': 'POST', ':path': '/', authorization }
  const wrong: [what: string, headers: Record<string, string>, body: string | Buffer][] = [
    ...['9', '11', '0'].map((length): [string, Record<string, string>, string] => [`${length} for 10`, { ':method': 'PUT', ':path': `/uploads/of-${length}`, authorization, 'content-length': length }, '0123456789']),
    ...[-1, 1].map((more): [string, Record<string, string>, Buffer] => [`a form and ${more}`, { ...formHeaders, 'content-length': String(form.body.length + more) }, form.body])
  ]
  for (const [index, [what, headers, body]] of wrong.entries()) {
    const { session, ask } = openSession()
    t.match(await ask({ ':method': 'PUT', ':path': `/uploads/before-${index}`, authorization, 'content-length': '10' }, '0123456789'), { status: 201 }, `before ${what}`)
    const ended = new Promise(resolve => session.once('close', resolve))
    t.match(await ask(headers, body), { status: undefined }, what)
    if (endsSession) await ended
    else t.match(await ask({ ':method': 'GET', ':path': '/api/resource', authorization }), { status: 200 }, `the session goes on after ${what}`)
  }
  const { text } = await openSession().ask({ ':method': 'GET', ':path': '/api/files', authorization })
  t.same(JSON.parse(text).files.map((file: { name: string }) => file.name), wrong.map((_, index) => `before-${index}`), 'what was acknowledged on such a session is there')
})

test('every line of the log is one JSON object with a time, whatever a client sends', async t => {
  const before = Date.now()
  const server = await spawnServer(t, { DATA_DIR: t.testdir() })
  const output = server.child.stdout!.setEncoding('utf8').toArray()
  const { token } = await signUp(server, 'ann')
  const forged = '{"level":30,"security":{"kind":"sign_in","accountId":1}}'
  for (const name of [forged, `a\n${forged}`, `a\r\n${forged}`, 'a\u2028b', '"', '\\', '\u001b[2J', '\0']) await server.send('GET', `/uploads/${encodeURIComponent(name)}`, { token })
  for (const value of [forged, '"', '\\"', '\u001b[2J', '\u0085\u00a0\u00ff']) {
    const socket = connectTcp(server.port, '127.0.0.1')
    socket.write(Buffer.from(`GET /raw"\\${encodeURI(value)} HTTP/1.1\r\nHost: ${value}\r\nUser-Agent: ${value}\r\nX-Forwarded-For: ${value}\r\nRequest-Id: ${value}\r\nConnection: close\r\n\r\n`, 'latin1'))
    await socket.toArray()
  }
  await server.send('GET', '/api/token', { user: [`nobody\n${forged}`, forged] })
  t.equal((await server.send('POST', '/api/tokens', { token, json: {} })).status, 401)
  t.equal(await server.end('SIGTERM'), 0)
  const lines = (await output).join('').split('\n')
  t.equal(lines.pop(), '')
  const entries = lines.map(line => JSON.parse(line))
  for (const { time } of entries) t.ok(Number.isInteger(time) && time >= before && time <= Date.now())
  t.same(entries.filter(entry => 'security' in entry).map(({ security: { kind } }) => kind), ['registered', 'sign_in_new_network', 'token_issued', 'sign_in_failed', 'refused', 'refused'], 'and none that a client made up')
  const ofRequests = entries.filter(({ msg }) => msg === 'request')
  const refused = entries.find(({ security }) => security?.kind === 'refused')
  t.match(ofRequests.filter(({ reqId }) => reqId === refused.security.requestId), [{ method: 'GET', path: '/api/token', status: 401, client: '127.0.0.1' }], 'a refusal is found by the id of its request')
  t.equal(ofRequests.length, new Set(ofRequests.map(({ reqId }) => reqId)).size, 'one line a request')
})
