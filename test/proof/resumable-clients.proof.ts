import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { build } from 'esbuild'
import tap, { test } from 'tap'
import { lacksChromium, openBrowser } from '../kit/chromium.ts'
import { sha256Of } from '../kit/digests.ts'
import { newFolder } from '../kit/folders.ts'
import { installPackages } from '../kit/packages.ts'
import { compile, execute, strict } from '../kit/programs.ts'
import { createRandom } from '../kit/random.ts'
import { fencedIn } from '../kit/readme.ts'
import { root } from '../kit/root.ts'
import { runBin, signUp, startServer } from '../kit/server.ts'
import { MIB, sizes } from '../kit/sizes.ts'
import { startRoughServer, type Mishap, type RoughServer } from './rough-wire.ts'

const SIZE = sizes.clientUploadBytes
const CUTS = sizes.clientCuts
const KILLS = sizes.clientKills

/** Before so many bytes were sent, a client may not know yet where its upload is. */
const FIRST_BYTES = 8 * MIB

const CREDENTIALS = `Basic ${Buffer.from('ann:pwd').toString('base64')}`

/** What a client was told, in its order, and where it went on. */
interface Diary {
  /** An offset that an answer acknowledged. */
  acknowledge (offset: number): void
  /** Begins to send at this offset. */
  send (offset: number): void
}

interface Story { server: RoughServer, bytes: Buffer, file: string, diary: Diary }

const random = createRandom('resumable clients')

/** The packages of the clients. */
const clients = newFolder(tap)
await installPackages(tap, 'clients', clients)
const tus = createRequire(join(clients, 'package.json'))('tus-js-client')

/**
 * Uploads the same bytes as `name` with a client, over a wire that is cut at random places, to a server that is killed.
 */
function story (name: string, upload: (story: Story) => Promise<void>): void {
  test(`${name} uploads a file over a broken wire to a server that is killed, and sends no acknowledged byte twice`, async t => {
    const bytes = randomBytes(SIZE)
    const file = join(t.testdir({ data: {} }), 'file.bin')
    await writeFile(file, bytes)
    const server = await startRoughServer(t, join(file, '../data'), 'http://127.0.0.1:1')
    await fetch(`${server.url}/api/users`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"username":"ann","password":"pwd"}' })
    const begun = server.sent
    server.mishaps.push(...mishaps().map(({ atBytes, kind }) => ({ atBytes: begun + atBytes, kind })))
    let acknowledged = 0
    let resumptions = 0
    await upload({
      server,
      bytes,
      file,
      diary: {
        acknowledge (offset) {
          t.ok(offset >= acknowledged, `an acknowledged offset of ${acknowledged} stays, and is now ${offset}`)
          acknowledged = offset
        },
        send (offset) {
          resumptions++
          t.equal(offset, acknowledged, 'goes on at the acknowledged offset')
        }
      }
    })
    t.equal(server.mishaps.length, 0, 'everything that could go wrong did')
    const answer = await fetch(`${server.url}/api/files/file.bin`, { headers: { authorization: CREDENTIALS } })
    t.match(await answer.json(), { size: SIZE, sha256: sha256Of(bytes) })
    const { uploads } = await (await fetch(`${server.url}/api/uploads`, { headers: { authorization: CREDENTIALS } })).json() as { uploads: unknown[] }
    t.strictSame(uploads, [])
    t.comment(`${name}: ${CUTS} cuts, ${KILLS} kills, ${resumptions} appends, ${server.sent - begun} bytes sent for ${SIZE}`)
  })
}

function mishaps (): Mishap[] {
  const kinds = [...new Array<'cut'>(CUTS).fill('cut'), ...new Array<'kill'>(KILLS).fill('kill')]
  const mishaps = kinds.map(kind => ({ atBytes: random.between(FIRST_BYTES, SIZE - 1), kind }))
  return mishaps.sort((a, b) => a.atBytes - b.atBytes)
}

/** Tries again while the server is away. */
const retryDelays = new Array<number>(40).fill(250)

function tusStory (protocol: 'tus-v1' | 'ietf-draft-05') {
  return ({ server, bytes, diary }: Story) => new Promise<void>((resolve, reject) => {
    new tus.Upload(bytes, {
      endpoint: `${server.url}/api/uploads`,
      protocol,
      retryDelays,
      metadata: { filename: 'file.bin' },
      headers: {
        authorization: CREDENTIALS,
        // The client sends metadata to tus servers only.
        ...(protocol === 'ietf-draft-05' && { 'content-disposition': 'attachment; filename="file.bin"' })
      },
      onBeforeRequest: (request: any) => { if (request.getMethod() === 'PATCH') diary.send(Number(request.getHeader('Upload-Offset'))) },
      onAfterResponse: (_request: any, response: any) => {
        const offset = response.getHeader('Upload-Offset')
        if (offset !== undefined && response.getStatus() < 300) diary.acknowledge(Number(offset))
      },
      onError: reject,
      onSuccess: () => resolve()
    }).start()
  })
}

story('tus-js-client', tusStory('tus-v1'))
story('tus-js-client with the IETF draft', tusStory('ietf-draft-05'))

story('curl', async ({ server: { url }, file, diary }) => {
  const curl = (...args: string[]) => execute('curl', ['-sS', '-f', '-u', 'ann:pwd', ...args]).then(({ stdout }) => stdout, () => undefined)
  // Curl sends `Content-Range` from the second byte on only. `Upload-Complete` has a meaning without it: at offset 0
  // the upload begins anew.
  const uploadFrom = (offset: number) => curl('-C', String(offset), '-T', file, '-H', 'Upload-Complete: ?1', `${url}/uploads/file.bin`)
  let stored = await uploadFrom(0)
  while (stored === undefined) {
    const list = await curl(`${url}/api/uploads?name=file.bin`)
    if (list === undefined) {
      await setTimeout(250)
      continue
    }
    const [upload] = (JSON.parse(list) as { uploads: { offset: number }[] }).uploads
    // The answer to the last append may have been lost.
    if (upload === undefined) return
    diary.acknowledge(upload.offset)
    diary.send(upload.offset)
    stored = await uploadFrom(upload.offset)
  }
})

test('the code of the page on resumable uploads compiles under strict and uploads from a browser', async t => {
  const target = join(clients, 'page')
  await mkdir(target)
  const server = await startServer(t)
  const { url, send } = server
  const { token } = await signUp(server, 'ann')
  const page = await readFile(join(root, 'openapi/resumable-uploads.md'), 'utf8')
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
