import { readdir, readFile } from 'node:fs/promises'
import { posix } from 'node:path'
import { test } from 'tap'
import { personalToken } from './kit/drive.ts'
import { startCounted } from './kit/executed.ts'
import { forwardersIn, importsIn, tokensIn, typesIn } from './kit/house.ts'
import { createLink } from './kit/links.ts'
import { formOf, signUp, type Answer } from './kit/server.ts'
import { readSources } from './kit/sources.ts'
import { append, beginUpload } from './kit/tus.ts'

// The budgets of the server's code, without the page. The numbers are limits: what needs more raises one, in the commit
// that says why. The lists are exact: what has gone leaves them too, so that they only get shorter.

/** Files of src of which a function runs for a warm request, until it is logged. */
const FILES = {
  'GET /uploads/{name}': 31,
  'PUT /uploads/{name}': 46,
  'POST /': 46,
  'PATCH /api/uploads/{id}': 48,
  'GET /api/token': 34,
  'PUT /dav/{path}': 48,
  'GET /s/{secret}/files/{name}': 28
}

/** Leaves of the syntax tree, comments apart, in the files of a folder, rounded up to hundreds. */
const TOKENS: Readonly<Record<string, number>> = {
  '.': 8500,
  accounts: 7400,
  backends: 2100,
  backup: 9100,
  blobs: 2100,
  'blobs/disk': 6400,
  'blobs/s3': 10_700,
  commands: 19_600,
  config: 1900,
  connections: 2300,
  'data-folder': 2800,
  deployment: 1200,
  'deployment/debian': 1400,
  doctor: 6700,
  factors: 8100,
  files: 35_800,
  fsck: 1100,
  http: 14_050,
  identities: 6200,
  links: 10_700,
  metadata: 68_700,
  'metadata/postgres': 11_700,
  'metadata/sqlite': 9900,
  monitoring: 5000,
  openapi: 4600,
  sync: 21_200,
  tokens: 7700,
  transfer: 3000,
  uploads: 15_400,
  webdav: 10_400
}

/** Files that are in no folder; five are wanted. */
const LOOSE_FILES = ['app.ts', 'config.ts', 'main.ts', 'problems.ts', 'services.ts']

/** A file with fewer lines and one importer belongs into that one. */
const FEW_LINES = 30
const SMALL_FILES: string[] = []

/** Methods that only call one of the same name, with their own parameters. */
const FORWARDERS = [
  'metadata/sqlite/discarded-blobs.ts close', 'metadata/sqlite/snapshot.ts close'
]

/** Names that several files give to a type of their own, and how many do. */
const SHARED_NAMES: string[] = []

/** One request does not fill all caches, and a timer may run another file during any. */
const REPETITIONS = 10

test('a request runs few files', async t => {
  const server = await startCounted(t, { DATA_DIR: t.testdir(), LINKS: 'on' })
  const { token, user } = await signUp(server, 'ann')
  const secret = await personalToken(server, user, ['files:read', 'files:write'])
  await server.send('PUT', '/uploads/x', { token, body: 'hello' })
  const link = await createLink(server, { token }, { name: 'x', kind: 'download' })
  const begin = (_: unknown, n: number) => beginUpload(server, token, { name: `begun-${n}`, length: 5 })
  const begun = await Promise.all(Array.from({ length: 1 + REPETITIONS }, begin))
  let stored = 0

  const requests: Record<keyof typeof FILES, () => Promise<Answer>> = {
    'GET /uploads/{name}': () => server.send('GET', '/uploads/x', { token }),
    'PUT /uploads/{name}': () => server.send('PUT', `/uploads/put-${++stored}`, { token, body: 'hello' }),
    'POST /': () => server.send('POST', '/', { token, ...formOf(`form-${++stored}`, 'hello') }),
    'PATCH /api/uploads/{id}': () => append(server, token, { path: String(begun.pop()), offset: 0, bytes: Buffer.from('hello') }),
    'GET /api/token': () => server.send('GET', '/api/token', { user }),
    'PUT /dav/{path}': () => server.send('PUT', `/dav/drive-${++stored}`, { user: ['ann', secret], body: 'hello' }),
    'GET /s/{secret}/files/{name}': () => server.send('GET', `${link.path}/files/x`)
  }
  for (const [name, request] of Object.entries(requests)) {
    const budget = FILES[name as keyof typeof FILES]
    t.match(await request(), { status: /^20[014]$/ }, name)
    let files: string[] | undefined
    for (let n = 0; n < REPETITIONS && (files === undefined || files.length > budget); n++) {
      const executed = await server.executedBy(request)
      files = (files ?? Array.from(executed)).filter(file => executed.has(file))
    }
    t.ok(files !== undefined && files.length <= budget, `${name} runs ${files?.length} files, at most ${budget}`, { files })
  }
})

const sources = Array.from(await readSources(/^(?!page\/).+\.(?:ts|js)$/), ([name, source]) => ({ name, source }))

test('a folder has few tokens', async t => {
  const counts = new Map<string, number>()
  for (const { name, source } of sources) {
    const folder = posix.dirname(name)
    counts.set(folder, (counts.get(folder) ?? 0) + tokensIn(source))
  }
  for (const [folder, count] of counts) {
    t.ok(count <= Number(TOKENS[folder]), `${folder} has ${count} tokens, at most ${TOKENS[folder]}`)
  }
  t.same(Object.keys(TOKENS), Array.from(counts.keys()).sort(), 'each folder has a budget')
})

test('few files are in no folder', async t => {
  t.same(sources.map(({ name }) => name).filter(name => !name.includes('/')), LOOSE_FILES)
})

test('a small file has several importers', async t => {
  const imported = sources.flatMap(({ source }) => Array.from(importsIn(source)))
  const isSmall = (text: string) => text.trimEnd().split('\n').length < FEW_LINES
  const small = sources.filter(({ source }) => isSmall(source.text)).map(({ name }) => name)
  t.same(small.filter(file => imported.filter(name => name === file).length === 1), SMALL_FILES)
})

test('no method only calls one of the same name', async t => {
  t.same(sources.flatMap(({ name, source }) => forwardersIn(source).map(method => `${name} ${method}`)).sort(), FORWARDERS)
})

test('no two types have the same name', async t => {
  const names = sources.flatMap(({ source }) => typesIn(source)).sort()
  const counts = Array.from(new Set(names), name => ({ name, count: names.filter(other => other === name).length }))
  t.same(counts.filter(({ count }) => count > 1).map(({ name, count }) => `${name} ${count}`), SHARED_NAMES)
})

test('each test file is in one suite, and a check in one or none', async t => {
  const here = new URL('.', import.meta.url)
  const importedBy = async (folder: string) => {
    const suites = (await readdir(new URL(folder, here))).filter(name => name.endsWith('.ts'))
    const texts = await Promise.all(suites.map(name => readFile(new URL(folder + name, here), 'utf8')))
    return Array.from(texts.join('').matchAll(/^import '(?:\.\.\/)+(.+)'$/gm), ([, name = '']) => name).sort()
  }
  t.same(await importedBy('suites/'), (await readdir(here)).filter(name => name.endsWith('.test.ts')).sort())
  const checks = await importedBy('suites/checks/')
  t.same(checks, Array.from(new Set(checks)))
})

test('no file empties the folder that all files of its process share', async t => {
  const here = new URL('.', import.meta.url)
  const names = (await readdir(here, { recursive: true })).filter(name => name.endsWith('.ts'))
  const emptying = await Promise.all(names.map(async name => {
    const lines = (await readFile(new URL(name, here), 'utf8')).split('\n')
    return lines.filter(line => /^(?:const|let|await) (?!.*\(t: Test).*\btestdir(?:Name)?\b/.test(line)).map(line => `${name}: ${line}`)
  }))
  t.same(emptying.flat(), [])
})
