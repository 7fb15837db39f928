import { createHash, randomBytes } from 'node:crypto'
import { copyFile, cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createClient } from '@hey-api/openapi-ts'
import { test, type Test } from 'tap'
import { compile, run, strict } from './programs.ts'
import { startServer } from './server.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const stories = join(root, 'test/stories')

const writeSdk = (args: string[], cwd = root) => run('npm', ['run', '--silent', 'sdk', '--', ...args], { cwd })

/** The same without npm, which takes half a second to start. */
const writeSdkQuickly = (args: string[], env: Record<string, string> = {}) => run(process.execPath, ['--import', 'tsx', join(root, 'openapi/sdk/generate.ts'), ...args], { env })

/** What else a careful person switches on. */
const strictest = { ...strict, exactOptionalPropertyTypes: true, noImplicitOverride: true, noUnusedLocals: true, noUnusedParameters: true, noPropertyAccessFromIndexSignature: true, verbatimModuleSyntax: true, erasableSyntaxOnly: true, isolatedModules: true }

const large = randomBytes(50 * 1024 * 1024)
const other = Buffer.from('other bytes')
const hashOf = (bytes: Buffer, encoding: 'hex' | 'base64') => createHash('sha256').update(bytes).digest(encoding)

/** One story, whoever tells it. */
const story = [
  'register 201',
  'sign-in 200 600',
  `upload 201 application/x-story ${hashOf(large, 'hex')}`,
  `put 201 application/x-story ${hashOf(large, 'hex')}`,
  `list 200 ünïcode plan.bin:${large.length},large.bin:${large.length}`,
  `range 206 bytes 1000000-1999999/${large.length}`,
  `download 200 sha-256=:${hashOf(large, 'base64')}:`,
  `rename 200 ${hashOf(large, 'hex')}`,
  `replace 200 ${hashOf(other, 'hex')}`,
  'replace-stale 412 precondition_failed',
  'revoke 204',
  'refused 401 token_revoked'
]

/** Runs one teller of the story in a folder of its own, with what a visitor brings along. */
async function checkStory (t: Test, [command = '', ...args]: string[]): Promise<void> {
  const folder = t.testdir({ 'large.bin': large, 'other.bin': other })
  const { code, stdout, stderr } = await run(command, args, { cwd: folder })
  t.equal(code, 0, { stderr })
  t.same(stdout.trim().split('\n'), story)
  t.ok((await readFile(join(folder, 'copy.bin'))).equals(large), 'the download, byte for byte')
  t.ok((await readFile(join(folder, 'part.bin'))).equals(large.subarray(1_000_000, 2_000_000)), 'the range')
}

test('the client of `npm run sdk`, from the served document by openapi-typescript and openapi-fetch', async t => {
  const folder = t.testdir({ data: {}, program: {}, page: {} })
  const [program, page] = [join(folder, 'program'), join(folder, 'page')]
  const { url } = await startServer(t, { DATA_DIR: join(folder, 'data') })
  const { code, stderr } = await writeSdk([join(program, 'sdk'), '--base-url', `${url}/`])
  t.equal(code, 0, { stderr })
  const readme = await readFile(join(program, 'sdk/README.md'), 'utf8')
  await writeFile(join(program, 'sdk/example.ts'), /^```ts\n([\s\S]*?)^```$/m.exec(readme)?.[1] ?? '')
  await cp(join(program, 'sdk'), join(page, 'sdk'), { recursive: true })
  for (const name of ['openapi-fetch.ts', 'ready-client.ts']) await copyFile(join(stories, name), join(program, name))

  const compiled = await Promise.all([
    compile(program, { ...strictest, lib: ['es2023'] }),
    compile(page, { ...strictest, module: 'esnext', moduleResolution: 'bundler' })
  ])
  for (const { code, stdout } of compiled) t.equal(code, 0, 'compiles under the strictest settings of a program, and of a page', { stdout })
  const script = (name: string) => join(program, 'out', name)

  await t.test('goes through the whole story', t => checkStory(t, [process.execPath, script('openapi-fetch.js'), url]))

  await t.test('keeps a person signed in, pages, and throws what the server refuses', async t => {
    const { stdout, stderr } = await run(process.execPath, [script('ready-client.js'), url])
    t.same(stdout.trim().split('\n'), [
      'before registration: 401 credentials_wrong 401, GET /api/token Basic',
      'registration: 201, POST /api/users none',
      'seven uploads at once sign in: 1 time, then POST / Bearer',
      'all pages: 0.txt,1.txt,2.txt,3.txt,4.txt,5.txt,6.txt, 3 requests',
      'near the end of the token: GET /api/token Basic, GET /api/resource Bearer',
      'after all tokens ended: 401 token_revoked 401, then none, PUT /uploads/late.txt Bearer, GET /api/token Basic, PUT /uploads/late.txt Bearer',
      'what takes the password alone: POST /api/tokens Basic',
      'a token without the scope: 403 insufficient_scope 403',
      'an authorization of the call\'s own: Hello, zoë!',
      'a whole file: 200 bytes of 3.txt',
      'a range: 206 bytes',
      'a range to the end: 206 3.txt',
      'an empty file: 200 ',
      'a missing file: 404 not_found 404',
      'a type by the name: text/html',
      'a type of its own: application/vnd.own+json',
      'creating what is there: 412 precondition_failed 412',
      'replacing the known version: 6',
      'replacing a gone version: 412 precondition_failed 412',
      'other bytes in a form: 409 name_taken 409',
      'an answer of something else: 502 undefined undefined'
    ], { stderr })
  })

  await t.test('does what the example in its README says, at the address that it was written for', async t => {
    const { devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
    t.match(readme, `npm install openapi-fetch@${devDependencies['openapi-fetch']}`)
    const desk = t.testdir({ 'report.pdf': 'a report' })
    const { stdout, stderr } = await run(process.execPath, [script('sdk/example.js')], { cwd: desk })
    const bytes = Buffer.from('a report')
    t.same(stdout.trim().split('\n'), [`sha-256=:${hashOf(bytes, 'base64')}:`, `report.pdf 8 ${hashOf(bytes, 'hex')}`, '409 name_taken'], { stderr })
    t.equal(await readFile(join(desk, 'copy.pdf'), 'utf8'), 'a report')
  })
})

test('the SDK that hey-api makes of the served document compiles under strict and goes through the whole story', async t => {
  const folder = t.testdir({ data: {}, program: {} })
  const program = join(folder, 'program')
  const { url } = await startServer(t, { DATA_DIR: join(folder, 'data') })
  await createClient({
    input: `${url}/openapi.json`,
    output: { path: join(program, 'sdk'), module: { extension: '.js' } },
    plugins: ['@hey-api/typescript', '@hey-api/sdk', '@hey-api/client-fetch'],
    logs: { level: 'silent' }
  })
  await copyFile(join(stories, 'hey-api.ts'), join(program, 'hey-api.ts'))
  const { code, stdout } = await compile(program, strict)
  t.equal(code, 0, { stdout })
  await t.test('by its functions', t => checkStory(t, [process.execPath, join(program, 'out/hey-api.js'), url]))
})

test('curl goes through the whole story', async t => {
  const { url } = await startServer(t)
  await t.test('by a script', t => checkStory(t, ['bash', join(stories, 'curl.sh'), url]))
})

test('`npm run sdk` writes where it wrote before, leaves other files there alone, and knows the folder it is called in', async t => {
  const folder = t.testdir({ project: { src: {} } })
  const target = join(folder, 'project/src')
  await mkdir(join(target, 'store'))
  for (const args of [['store'], ['./store']]) {
    const { code, stderr } = await writeSdkQuickly(args, { INIT_CWD: target })
    t.equal(code, 0, { stderr })
    await writeFile(join(target, 'store/own.ts'), 'export {}')
  }
  t.same((await readdir(join(target, 'store'))).sort(), ['README.md', 'client.ts', 'own.ts', 'schema.ts'])
})

test('`npm run sdk` refuses in one line what it can\'t do, and writes nothing', async t => {
  const folder = t.testdir({ gone: {}, live: {}, desk: { others: { 'thesis.txt': 'mine', 'client.ts': 'also mine' } } })
  const desk = join(folder, 'desk')
  const gone = await startServer(t, { DATA_DIR: join(folder, 'gone') })
  await gone.close()
  const { url } = await startServer(t, { DATA_DIR: join(folder, 'live') })
  const cases: { args: string[], code: number }[] = [
    { args: [], code: 2 },
    { args: [`${desk}/a`, `${desk}/b`], code: 2 },
    { args: [`${desk}/new`, '--bas-url', url], code: 2 },
    { args: [`${desk}/new`, '--base-url', 'files.example.org'], code: 2 },
    { args: [`${desk}/new`, '--base-url', `${url}/docs`], code: 1 },
    { args: [`${desk}/new`, '--base-url', gone.url], code: 1 },
    { args: [`${desk}/others`], code: 1 },
    { args: [`${desk}/others/thesis.txt`], code: 1 }
  ]
  const ended = await Promise.all(cases.map(async ({ args, code }) => ({ args, expected: code, ...await writeSdkQuickly(args) })))
  for (const { args, expected, code, stdout, stderr } of ended) {
    t.equal(code, expected, args.join(' '))
    t.match(stderr, /^sdk: .+\n$/)
    t.equal(stdout, '')
  }
  t.same((await readdir(desk, { recursive: true })).sort(), ['others', 'others/client.ts', 'others/thesis.txt'])
  t.equal(await readFile(join(desk, 'others/client.ts'), 'utf8'), 'also mine')
})
