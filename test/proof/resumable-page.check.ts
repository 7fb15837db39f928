import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import { test } from 'tap'
import { lacksChromium, openBrowser } from '../kit/chromium.ts'
import { sha256Of } from '../kit/digests.ts'
import { compile, strict } from '../kit/programs.ts'
import { blocksOf, fencedIn, sectionOf, typeLines } from '../kit/readme.ts'
import { root } from '../kit/root.ts'
import { clientOf, runBin, signUp, startServer } from '../kit/server.ts'
import { MIB } from '../kit/sizes.ts'
import { startRoughServer } from './rough-wire.ts'

const page = await readFile(join(root, 'openapi/resumable-uploads.md'), 'utf8')
const commandsOf = (heading: string) => blocksOf(sectionOf(page, heading), 'bash')

test('the commands of the page on resumable uploads run as typed, over a wire that is cut', async t => {
  const folder = t.testdir({ data: {}, desk: {} })
  const server = await startRoughServer(t, join(folder, 'data'), 'http://127.0.0.1:1')
  const desk = join(folder, 'desk')
  const port = Number(new URL(server.url).port)
  const client = clientOf(port)
  const user: [string, string] = ['test_user', 'pwd']
  t.equal((await client.send('POST', '/api/users', { json: { username: 'test_user', password: 'pwd' } })).status, 201)
  const bytes = randomBytes(20 * MIB)
  const sha256 = sha256Of(bytes)
  await writeFile(join(desk, 'large.bin'), bytes)
  const type = (lines: string[]) => typeLines(lines, { port, folder: desk, shell: 'bash' })
  const [[upload = ''] = [], rest = []] = commandsOf('## curl')
  const [draft = []] = commandsOf('## The IETF draft')
  const [cancel = []] = commandsOf('## Cancel an upload')
  t.same([upload, ...rest, ...draft, ...cancel], blocksOf(page, 'bash').flat(), 'no other commands')

  server.mishaps.push({ atBytes: server.sent + 16 * MIB, kind: 'cut' })
  t.not((await type([upload])).code, 0)
  const continued = await type(rest)
  t.same([continued.code, continued.statuses], [0, [200, 200, 201]], { stderr: continued.stderr })
  t.equal((await client.send('GET', '/api/files/large.bin', { user })).json.sha256, sha256)
  t.ok(server.sent < 2 * bytes.length, 'sends the rest only')

  const ended = await type([...draft, ...cancel])
  t.same([ended.code, ended.statuses], [0, [201, 204, 200, 201, 204]], { stderr: ended.stderr })
  t.match(ended.stdout, /upload-offset: 1000000\r\n/i)
  t.equal((await client.send('GET', '/api/files/draft.bin', { user })).json.sha256, sha256)
})

test('the code of the page on resumable uploads compiles under strict and uploads from a browser', async t => {
  const folder = t.testdir({ page: {} })
  const target = join(folder, 'page')
  const { url, send, ...server } = await startServer(t)
  const { token } = await signUp({ url, send, ...server }, 'ann')
  t.equal((await runBin(['sdk', join(target, 'magicstore')])).code, 0)
  const snippets = fencedIn(page).filter(({ language }) => language === 'ts')
  t.equal(snippets.length, 3)
  for (const [index, { lines }] of snippets.entries()) await writeFile(join(target, `client-${index}.ts`), lines.join('\n').replaceAll('http://127.0.0.1:5000', url))
  await writeFile(join(target, 'entry.ts'), snippets.map((_, index) => `import { upload as upload${index} } from './client-${index}.js'\n`).join('') +
    'Object.assign(globalThis, { uploads: [upload0, upload1, upload2] })\n')
  const { code, stdout } = await compile(target, { ...strict, lib: ['es2023', 'dom', 'dom.iterable'], module: 'esnext', moduleResolution: 'bundler' })
  t.equal(code, 0, { stdout })

  await t.test('in a browser', { skip: lacksChromium }, async t => {
    const { outputFiles: [bundle] } = await build({ entryPoints: [join(target, 'entry.ts')], bundle: true, nodePaths: [join(root, 'node_modules')], write: false })
    const browser = await openBrowser(t)
    const tab = await browser.newPage()
    await tab.goto(`${url}/health/live`)
    await tab.evaluate(bundle?.text ?? '')
    for (const index of snippets.keys()) {
      const name = `file-${index}.txt`
      await tab.evaluate(`uploads[${index}](new File(['the bytes of ${name}'], '${name}', { type: 'text/x-story' }), '${token}')`)
      const answer = await send('GET', `/uploads/${name}`, { token })
      t.same([answer.status, answer.headers['content-type'], answer.text], [200, 'text/x-story', `the bytes of ${name}`])
    }
  })
})
