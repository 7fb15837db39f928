import { createHash } from 'node:crypto'
import { copyFile, cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import { test } from 'tap'
import { lacksChromium, openBrowser } from '../kit/chromium.ts'
import { compile, run, strict } from '../kit/programs.ts'
import { root } from '../kit/root.ts'
import { runBin, sharedServer } from '../kit/server.ts'
import { MIB } from '../kit/sizes.ts'
import { startRoughServer } from './rough-wire.ts'

const stories = join(root, 'test/stories')

const writeSdk = (args: string[]) => runBin(['sdk', ...args])

/** Other strict options of the compiler. */
const strictest = {
  ...strict,
  exactOptionalPropertyTypes: true,
  noImplicitOverride: true,
  noUnusedLocals: true,
  noUnusedParameters: true,
  noPropertyAccessFromIndexSignature: true,
  verbatimModuleSyntax: true,
  erasableSyntaxOnly: true,
  isolatedModules: true
}

const hashOf = (bytes: Buffer, encoding: 'hex' | 'base64') => createHash('sha256').update(bytes).digest(encoding)

/** The length of a zip of files with 6 bytes, and of folders. */
function zipBytes (...paths: string[]): number {
  const sizes = paths.map(path => 30 + 46 + 2 * (path.length + 9) + (path.endsWith('/') ? 0 : 16 + 6))
  return sizes.reduce((sum, size) => sum + size, 22)
}

test('the client of `magicstore sdk` compiles under the strictest settings, and does what it says', async t => {
  const folder = t.testdir({ program: {}, page: {}, mixed: {} })
  const [program, page, mixed] = [join(folder, 'program'), join(folder, 'page'), join(folder, 'mixed')]
  const { url } = await sharedServer()
  const { code, stderr } = await writeSdk([join(program, 'sdk'), '--base-url', `${url}/`])
  t.equal(code, 0, { stderr })
  const readme = await readFile(join(program, 'sdk/README.md'), 'utf8')
  for (const other of [page, mixed]) await cp(join(program, 'sdk'), join(other, 'sdk'), { recursive: true })
  const [example = '', examplePage = ''] = Array.from(readme.matchAll(/^```ts\n([\s\S]*?)^```$/gm), ([, code = '']) => code)
  await writeFile(join(program, 'sdk/example.ts'), example)
  await writeFile(join(page, 'sdk/example.ts'), examplePage)
  await writeFile(join(mixed, 'sdk/example.ts'), example)
  for (const name of ['ready-client.ts', 'factors.ts']) await copyFile(join(stories, name), join(program, name))
  await copyFile(join(stories, 'browser.ts'), join(page, 'browser.ts'))
  for (const name of ['resumable.ts', 'upload-links.ts']) await copyFile(join(stories, name), join(mixed, name))

  const compiled = await Promise.all([
    compile(program, { ...strictest, lib: ['es2023'] }),
    compile(page, { ...strictest, module: 'esnext', moduleResolution: 'bundler' }),
    compile(mixed, { ...strictest, lib: ['es2023', 'dom', 'dom.iterable'] })
  ])
  for (const { code, stdout } of compiled) t.equal(code, 0, 'compiles under the strictest settings of a program, of a page, and of a program with the types of a page', { stdout })
  const script = (name: string) => join(program, 'out', name)

  await t.test('keeps a user signed in, pages, reports progress, can be aborted, and throws what the server refuses', async t => {
    const { stdout, stderr } = await run(process.execPath, ['--expose-gc', script('ready-client.js'), url])
    t.same(stdout.trim().split('\n'), [
      'before registration: 401 credentials_wrong 401, GET /api/token Basic',
      'registration: zoë, POST /api/users none',
      'a second registration: 400 username_taken 400, POST /api/users none',
      'seven uploads at once sign in: 1 time, then POST / Bearer',
      'all pages: 0.txt,1.txt,2.txt,3.txt,4.txt,5.txt,6.txt, 3 requests',
      'near the end of the token: GET /api/token Basic, GET /api/resource Bearer',
      'after all tokens ended: 401 token_revoked 401, then none, PUT /uploads/late.txt Bearer, GET /api/token Basic, PUT /uploads/late.txt Bearer',
      'what takes the password alone: POST /api/tokens Basic',
      'a token without the scope: 403 insufficient_scope 403',
      'an authorization of the call\'s own: Hello, zoë!',
      'a session: 201 2592000 zoë, POST /api/session Basic',
      'tokens of the session: Hello, zoë! Hello, zoë! GET /api/session none, GET /api/resource Bearer, GET /api/resource Bearer',
      'near the end of such a token: GET /api/session none, GET /api/resource Bearer',
      'what takes the password alone, of a session: 401 password_required 401',
      'after a session that was revoked: 401 token_revoked 401, then no session',
      'what needs no token: 204',
      'a whole file: 200 bytes of 3.txt',
      'a range: 206 bytes',
      'a range to the end: 206 3.txt',
      'an empty file: 200 ',
      'a missing file: 404 not_found 404',
      'names that fetch would take for another path: 400 name_invalid 400,400 name_invalid 400,400 name_invalid 400',
      'a type by the name: text/html',
      'a type of its own: application/vnd.own+json',
      'creating what is there: 412 precondition_failed 412',
      'replacing the known version: 6',
      'replacing a gone version: 412 precondition_failed 412',
      'other bytes in a form: 409 name_taken 409',
      'an answer of something else: 502 undefined undefined',
      'renaming: renamed.html false',
      'renaming to a name that exists: 409 name_taken 409',
      'a thumbnail: 2024-07-01T12:30:00',
      'its bytes: image/webp true',
      'a thumbnail of another content: 412 precondition_failed 412',
      'the time alone: 2023-01-31T00:00:00',
      'a timeline: 2023-01 1 photo.jpg',
      'copying: copies/page.html true text/html',
      'copying to a name that exists: 409 name_taken 409',
      `a zip: ${zipBytes('page.html')} PK false`,
      `a zip: ${zipBytes('renamed.html', 'copies/', 'copies/page.html')} PK true`,
      'a zip of what is not there: 404 not_found 404',
      'breaking a lock that is not there: 404 not_found 404',
      'the same of a folder: 404 not_found 404',
      'removing a gone version: 412 precondition_failed 412',
      'what was removed: 404 not_found 404',
      'versions: 3 3',
      'a version: one',
      'restoring it in place of another one: 412 precondition_failed 412',
      'restoring it: true',
      'the trash: notes.txt 2',
      'restoring under another name: more notes.txt',
      'deleting for good: 1',
      'names with folders: a/b/ü.txt,a/c/two.txt,a/b/three.txt,2.txt',
      'folders of the root: a',
      'folders of a folder: a/b,a/c',
      'changes: true folder_made a/c/new',
      'a new folder: a/c/new, twice: true',
      'a folder in place of a file: 409 name_taken 409',
      'a resumable upload in place of a folder: 409 name_taken 409, 0 retries',
      'one folder: a/c/new',
      'files of one folder: a/b/three.txt,a/b/ü.txt',
      'files of all folders, each page in one: a/b/three.txt,a/b/ü.txt,a/c/two.txt',
      'a mirror: first 0 a,a/b,a/c,a/c/new true',
      'moving a folder: moved/a',
      'the mirror after that: undefined 2 moved,moved/a,moved/a/b,moved/a/c,moved/a/c/new true',
      'moving a folder into itself: 400 folder_into_itself 400',
      'moving a file: moved/ü.txt',
      'the mirror after that: undefined 1 moved,moved/a,moved/a/b,moved/a/c,moved/a/c/new true',
      'stars: moved/ü.txt,true',
      'stars that are taken: false,false',
      'removing a folder that is not empty: 409 folder_not_empty 409',
      'removing an empty folder: 404 not_found 404',
      'removing a folder: 404 not_found 404',
      'what it moved to the trash: moved/a/b/three.txt,moved/a/c/two.txt,moved/ü.txt of 1 deletion',
      'restoring them: 2, moved/ü.txt name_taken',
      'removing a folder for good: 2',
      'times of files: 1970-01-02T00:00:00.000Z,1970-01-02T00:00:00.000Z,1970-01-02T00:00:00.000Z',
      'times that can\'t be told: null,null',
      'strings and bytes by put: tëxt,bÿtes,bÿtes,bÿtes,b\uFFFD,AA',
      'strings and bytes by putResumable: tëxt,bÿtes,bÿtes,bÿtes,b\uFFFD,AA',
      'strings and bytes by upload: tëxt,bÿtes,bÿtes,bÿtes,b\uFFFD,AA',
      'the types of strings and bytes: text/html,text/plain;charset=utf-8,application/octet-stream,text/markdown',
      'a string through the API: 6',
      'anything else: TypeError, requests: ',
      'listeners that uploads leave at a signal: 0',
      'progress of a form: 20971520 true 20971520',
      'progress of a put: 20971520 true 20971520',
      'progress of a refusal: 412 precondition_failed 412',
      'a resumable upload: 20971520 true 20971520',
      'a resumable upload of nothing: text/html',
      'a resumable upload that replaces: text/x-own',
      'a resumable upload of what is there: 412 precondition_failed 412',
      'an upload that does not exist: 404 undefined undefined',
      'resumable with an aborted signal: AbortError',
      'a wait that is aborted: TimeoutError',
      'a creation that is aborted: AbortError, ended 204',
      'responses that are lost, and a 409: 3 64 GET,PUT,PUT,HEAD,HEAD,PATCH,HEAD,PATCH',
      'responses that are lost, and a 429: 3 64 GET,PUT,PUT,HEAD,HEAD,PATCH,HEAD,PATCH',
      'responses that are lost, and a 503: 3 64 GET,PUT,PUT,HEAD,HEAD,PATCH,HEAD,PATCH',
      'a server that stays away: TypeError after 11 requests, tells 10 times of TypeError',
      'uploads that are left: 0',
      'a server that stalls: TimeoutError, all sent: false',
      'a list that stalls: TimeoutError',
      'an upload that is aborted: AbortError',
      'what was aborted: 404 not_found 404',
      'register with an aborted signal: AbortError',
      'upload with an aborted signal: AbortError',
      'download with an aborted signal: AbortError',
      'rename with an aborted signal: AbortError',
      'remove with an aborted signal: AbortError',
      'a download that is aborted: AbortError',
      'a sign-in that takes too long: TimeoutError'
    ], { stderr })
  })

  await t.test('sends each code of a second factor once', async t => {
    const { url } = await sharedServer({ PASSWORD_POLICY: 'open' })
    const { stdout, stderr } = await run(process.execPath, [script('factors.js'), url])
    t.same(stdout.trim().split('\n'), [
      'a secret: true',
      'a wrong code: 401 second_factor_wrong',
      'recovery codes of the first factor: 10, POST /api/second-factor/totp Basic without a code, PUT /api/second-factor/totp Basic without a code, PUT /api/second-factor/totp Basic without a code',
      'the password alone: 401 second_factor_required, POST /api/second-factor/recovery-codes Basic without a code',
      'a token for the password alone: 401 second_factor_required, GET /api/token Basic without a code',
      'a code for three uploads: GET /api/token Basic with a code, PUT /uploads/b.txt Bearer without a code, PUT /uploads/c.txt Bearer without a code, PUT /uploads/d.txt Bearer without a code',
      'the same client for the password: 401 second_factor_required, POST /api/second-factor/recovery-codes Basic without a code',
      'a code that was used: 401 second_factor_wrong, POST /api/second-factor/recovery-codes Basic with a code',
      'a request with a body, after its code was asked for: string, POST /api/tokens Basic without a code, POST /api/tokens Basic with a code',
      'what there is: true 0 7, asked 2 times, GET /api/token Basic without a code, GET /api/token Basic with a code, GET /api/second-factor Bearer without a code',
      'a wrong code is asked for once: 401 second_factor_wrong, DELETE /api/second-factor/totp Basic without a code, DELETE /api/second-factor/totp Basic with a code',
      'without an answer: no code, DELETE /api/second-factor/totp Basic without a code',
      'an answer that takes too long: enough',
      'a wrong password: 401 credentials_wrong',
      'a refusal of something else: 401 undefined',
      'a personal token: none',
      'new recovery codes: 10 false',
      'without a factor: null, 404 not_found',
      'options of passkeys: none, none, none',
      'passkeys that are none: 400 passkey_invalid, 401 passkey_refused, 401 passkey_refused',
      'a claim that is none: 404 not_found',
      'a connection: zoë, 403 insufficient_scope, 200',
      'a connection that is given up: enough'
    ], { stderr })
  })

  await t.test('uploads from a browser, reports progress, can be aborted and throws what the server refuses', { skip: lacksChromium }, async t => {
    const { outputFiles: [bundle] } = await build({ entryPoints: [join(page, 'browser.ts')], bundle: true, nodePaths: [join(root, 'node_modules')], write: false })
    const browser = await openBrowser(t)
    const tab = await browser.newPage()
    await tab.goto(`${url}/health/live`)
    await tab.evaluate(bundle?.text ?? '')
    t.same(await tab.evaluate(`story('${url}')`), {
      listeners: 'true 0',
      put: 'application/x-story 20971520 true',
      form: 'application/x-story 20971520 true',
      refused: 'name_taken',
      aborted: 'enough',
      stored: 'not_found',
      copied: 'POST,POST',
      unreachable: 'TypeError'
    })
  })

  await t.test('does what the example in its README says, at the address that it was written for', async t => {
    const { devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
    t.match(readme, `npm install openapi-fetch@${devDependencies['openapi-fetch']}`)
    const desk = t.testdir({ 'report.pdf': 'a report' })
    const { stdout, stderr } = await run(process.execPath, [script('sdk/example.js')], { cwd: desk })
    const bytes = Buffer.from('a report')
    t.same(stdout.trim().split('\n'), [`sha-256=:${hashOf(bytes, 'base64')}:`, `report.pdf 8 ${hashOf(bytes, 'hex')}`, '409 name_taken', 'final.pdf', 'archive/2026', 'archive/2026/q1.pdf', '8 of 8 bytes', '0 of 8 bytes', '8 of 8 bytes', 'large.pdf 8'], { stderr })
    t.equal(await readFile(join(desk, 'copy.pdf'), 'utf8'), 'a report')
  })

  await t.test('continues an upload after the wire was cut and the server was killed, after a pause, and in a new process', async t => {
    const server = await startRoughServer(t, t.testdir(), 'http://127.0.0.1:1')
    const bytes = Buffer.alloc(64 * MIB, Uint8Array.from({ length: 8 * MIB }, (_, index) => index % 251))
    server.mishaps.push(...(['cut', 'kill', 'cut'] as const).map((kind, index) => ({ kind, atBytes: Math.floor(bytes.length * (index + 1) / 5) })))
    const file = { size: bytes.length, type: 'application/x-story', sha256: hashOf(bytes, 'hex') }
    const type = async (...args: string[]) => {
      const { stdout, stderr } = await run(process.execPath, [join(mixed, 'out/resumable.js'), server.url, ...args])
      return JSON.parse(stdout || JSON.stringify({ stderr }))
    }
    const { id, ...begun } = await type()
    t.same(begun, { cut: file, progress: [0, file.size], paused: ['AbortError', 'AbortError'], starts: [true, true] })
    t.equal(server.mishaps.length, 0)
    t.same(await type(id), { file, continued: true, last: file.size })
    t.comment(`${server.sent} bytes sent for twice ${file.size}`)
  })

  await t.test('uploads one file by a link without a credential, once, continues what was cut, and throws what the link does not take', async t => {
    const server = await startRoughServer(t, t.testdir(), 'http://127.0.0.1:1', ['LINKS=on'])
    server.mishaps.push({ kind: 'cut', atBytes: 5 * MIB })
    const { stdout, stderr } = await run(process.execPath, [join(mixed, 'out/upload-links.js'), server.url])
    t.strictSame(stdout === '' ? stderr : JSON.parse(stdout), {
      stored: { name: "it's (1)*.txt", size: 5, sha256: hashOf(Buffer.from('hello'), 'hex') },
      whole: ["it's (2)*.bin", true, true],
      paused: ['AbortError', true],
      names: ["inbox/it's (1)*.txt", "inbox/it's (2)*.bin", 'inbox/later.bin'],
      arrived: true,
      again: ['404 not_found', '404 not_found'],
      wrong: ['400 digest_mismatch', '400 digest_mismatch'],
      tooLarge: ['413 link_limit_reached', '413 link_limit_reached'],
      taken: '409 name_taken',
      other: '400 name_invalid'
    })
    t.equal(server.mishaps.length, 0)
  })
})

test('`magicstore sdk` writes where it wrote before, and leaves other files there alone', async t => {
  const target = join(t.testdir(), 'src/store')
  for (const host of ['one', 'two']) {
    const { code, stderr } = await writeSdk([target, '--base-url', `https://${host}.example.org`])
    t.equal(code, 0, { stderr })
    await writeFile(join(target, 'own.ts'), 'export {}')
  }
  t.same((await readdir(target)).sort(), ['README.md', 'client.ts', 'own.ts', 'schema.ts'])
  t.match(await readFile(join(target, 'client.ts'), 'utf8'), "= 'https://two.example.org'")
})

test('`magicstore sdk` refuses in one line what it can\'t do, and writes nothing', async t => {
  const desk = t.testdir({ others: { 'thesis.txt': 'mine', 'client.ts': 'also mine' } })
  const cases: { args: string[], code: number }[] = [
    { args: [], code: 2 },
    { args: [`${desk}/a`, `${desk}/b`], code: 2 },
    { args: [`${desk}/new`, '--bas-url', 'https://files.example.org'], code: 2 },
    { args: [`${desk}/new`, '--base-url', 'files.example.org'], code: 2 },
    { args: [`${desk}/new`, '--base-url', 'https://files.example.org:x'], code: 2 },
    { args: [`${desk}/new`, '--base-url', "https://files.example.org/'+alert(1)+'"], code: 2 },
    { args: [`${desk}/others`], code: 1 },
    { args: [`${desk}/others/thesis.txt`], code: 1 }
  ]
  const ended =
    await Promise.all(cases.map(async ({ args, code }) => ({ args, expected: code, ...await writeSdk(args) })))
  for (const { args, expected, code, stdout, stderr } of ended) {
    t.equal(code, expected, args.join(' '))
    t.match(stderr, /^magicstore: .+\n$/)
    t.equal(stdout, '')
  }
  t.same((await readdir(desk, { recursive: true })).sort(), ['others', 'others/client.ts', 'others/thesis.txt'])
  t.equal(await readFile(join(desk, 'others/client.ts'), 'utf8'), 'also mine')
})
