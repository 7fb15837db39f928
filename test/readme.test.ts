import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { settingRows } from '#src/config.ts'
import { sectionOf as resultsOf, withResults } from './bench/report.ts'
import { driveOf } from './kit/drive.ts'
import { unwatched } from './kit/programs.ts'
import { blocksOf, checkSession, checkStart, fencedIn, isOfSession, isOfStart, readGuide, readReadme, sectionOf, typeLines } from './kit/readme.ts'
import { root } from './kit/root.ts'
import { runCommand } from './kit/commands.ts'
import { sharedServer } from './kit/server.ts'

/** The rows of the table below a heading, without its header. */
const tableBelow = (text: string, heading: string) => sectionOf(text, heading).split('\n').filter(line => line.startsWith('|')).slice(2)

const isOfSdk = (line: string) => line.startsWith('node dist/main.js sdk ')

const isOfSync = (line: string) => line.startsWith('node dist/main.js sync ')

/** The exceptions: `npm test` runs this test, and `npm ci` would delete the packages in use; CI starts with it. */
const others = ['npm ci && npm test']

test('every command in the README is run by a test', async t => {
  const readme = await readReadme()
  t.same(fencedIn(readme).map(({ language }) => language).filter(language => language !== 'bash' && language !== ''), [], 'commands are in blocks of bash')
  const kinds = [isOfSession, isOfStart, isOfSdk, isOfSync]
  t.same(blocksOf(readme, 'bash').flat().filter(line => !kinds.some(isOfKind => isOfKind(line))), others)
  t.equal(JSON.parse(await readFile(join(root, 'package.json'), 'utf8')).scripts.test, 'tap --disable-coverage')
})

test('the README\'s session runs as typed in any shell, from registration to download', async t => {
  await checkSession(t, { port: (await sharedServer()).port, folder: t.testdir() })
})

/** Not every machine has this program. */
const oathtool = 'oathtool () { node -e \'const { Secret, TOTP } = require("otpauth"); console.log(new TOTP({ secret: Secret.fromBase32(process.argv[1]) }).generate())\' "$3"; }'

test('the commands of the pages about links and sign-in work as typed', async t => {
  const { port, send } = await sharedServer({ LINKS: 'on' })
  await send('POST', '/api/users', { json: { username: 'test_user', password: 'pwd' } })
  for (const [page, expected, says] of [
    ['links', [201, 201, 200, 200, 201, 201, 201, 201, 200, 200, 200, 200, 200, 204, 204, 204], /"name":"inbox\/report \(2\)\.pdf"/],
    ['sign-in', [200, 200, 200], /"token":"/]
  ] as const) {
    const lines = blocksOf(await readFile(join(root, `openapi/${page}.md`), 'utf8'), 'sh').flat()
    const { code, stdout, stderr, statuses } = await typeLines([oathtool, ...lines], { port, folder: t.testdir(), shell: 'sh' })
    t.strictSame([code, statuses], [0, expected], { stderr })
    t.match(stdout, says)
  }
})

test('npm start serves, with the settings of its environment, says what a newcomer needs, and leaves no server behind', async t => {
  const [line = ''] = blocksOf(await readReadme(), 'bash').flat().filter(isOfStart)
  await checkStart(t, line)
})

test('the README\'s commands for a client write one', async t => {
  const lines = blocksOf(await readReadme(), 'bash').flat().filter(isOfSdk)
  t.equal(lines.length, 2)
  const folder = t.testdir()
  for (const line of lines) {
    const child = spawn('bash', ['-c', unwatched(line.replace('../my-app', join(folder, 'my-app')))], { cwd: root, stdio: 'ignore' })
    t.equal((await once(child, 'exit'))[0], 0, line)
    t.same((await readdir(join(folder, 'my-app/src/magicstore'))).sort(), ['README.md', 'client.ts', 'schema.ts'])
    t.match(await readFile(join(folder, 'my-app/src/magicstore/client.ts'), 'utf8'), line.split('--base-url ')[1] ?? 'http://127.0.0.1:5000')
  }
})

test('the README\'s command keeps a folder and the store equal', async t => {
  const [line = '', ...others] = blocksOf(await readReadme(), 'bash').flat().filter(isOfSync)
  t.same(others, [])
  const server = await sharedServer()
  const { secret } = await driveOf(server)
  const home = t.testdir({ Documents: { report: 'of a person' } })
  const env = { ...process.env, HOME: home, XDG_STATE_HOME: undefined, MAGICSTORE_TOKEN: secret }
  const child = spawn('bash', ['-c', unwatched(line.replace('127.0.0.1:5000', `127.0.0.1:${server.port}`))], { cwd: root, env, stdio: 'ignore' })
  t.equal((await once(child, 'exit'))[0], 0)
  t.equal((await server.send('GET', '/uploads/report', { token: secret })).text, 'of a person')
})

test('the README\'s table of settings is that of the schema, and so is --help', async t => {
  const rows = settingRows()
  t.same(tableBelow(await readReadme(), '## Settings'), rows.map(({ name, fallback, description }) =>
    `| \`${name}\` | ${fallback === 'none' ? 'none' : `\`${fallback}\``} | ${description} |`))
  const { code, stdout, stderr } = await runCommand(['serve', '--help'])
  t.strictSame([code, stderr], [0, ''])
  for (const { name, fallback, description } of rows) {
    const line = stdout.split('\n').find(text => text.trimStart().startsWith(`${name} `)) ?? ''
    t.ok(line.includes(description) && description !== '' && line.endsWith(`Default: ${fallback}.`), name)
  }
})

test('the README has fewer than 1,500 words, and its links lead to files', async t => {
  const readme = await readReadme()
  t.ok(readme.split(/\s+/).length < 1500)
  const targets = Array.from(readme.matchAll(/\]\(([^)]+)\)/g), ([, target = '']) => target)
  t.ok(targets.length > 5)
  for (const target of targets) await t.resolves(access(join(root, target)), target)
})

test('the README names every command of the bin, and no other', async t => {
  const { code, stdout } = await runCommand(['--help'])
  t.equal(code, 0)
  const verbsIn = (text: string, pattern: RegExp) => new Set(Array.from(text.matchAll(pattern), ([, verb = '']) => verb))
  const known = verbsIn(stdout, /^ +magicstore ([a-z]+)/gm)
  t.ok(known.has('serve'))
  t.same(verbsIn(sectionOf(await readReadme(), '## Operate it'), /^\| `magicstore ([a-z]+)/gm), known)
  for (const page of await Promise.all([readReadme(), readGuide()])) {
    for (const verb of verbsIn(page, /main\.js ([a-z]+)/g)) t.ok(known.has(verb), verb)
  }
})

test('the pages with benchmarks show the results that were measured last', async t => {
  for (const [page, file] of [['openapi/benchmarks.md', 'results.json'], ['src/deployment/scaling.md', 'scale/results.json']] as const) {
    const text = await readFile(join(root, page), 'utf8')
    const results = JSON.parse(await readFile(join(root, 'test/bench', file), 'utf8'))
    t.match(text, resultsOf(results))
    t.equal(withResults(text, resultsOf(results)), text)
  }
})
