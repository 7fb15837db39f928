import { spawnSync } from 'node:child_process'
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { sha256Of } from '../kit/digests.ts'
import { run } from '../kit/programs.ts'
import { blocksOf } from '../kit/readme.ts'
import { root } from '../kit/root.ts'
import { runBin, sharedServer } from '../kit/server.ts'

const lacksMypy = process.env.REQUIRE_SERVICES !== '1' && spawnSync('mypy', ['--version']).status !== 0 && 'mypy is not installed'

/** No folder of compiled files, whose names differ from one Python to the next. */
const python = (cwd: string, args: string[]) => run('python3', ['-W', 'error', '-B', ...args], { cwd })

const writeSdk = (args: string[]) => runBin(['sdk', ...args])

const FILES = ['README.md', '__init__.py', 'client.py', 'links.py', 'py.typed', 'schema.py', 'wire.py']

interface Described { components: { schemas: Record<string, Example> } }

interface Example {
  $ref?: string
  type?: string | string[]
  examples?: unknown[]
  enum?: unknown[]
  properties?: Record<string, Example>
  items?: Example
}

/** An example of each schema of the document as a line of Python, whose type mypy compares. */
function typedExamples ({ components: { schemas } }: Described): string {
  function exampleOf ({ $ref, type, examples, enum: [first] = [], properties, items }: Example): unknown {
    if ($ref !== undefined) return exampleOf(schemas[String($ref.split('/').at(-1))] ?? {})
    if (examples !== undefined) return examples[0]
    if (first !== undefined) return first
    if (properties !== undefined) {
      return Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, exampleOf(property)]))
    }
    if (type === 'array') return items === undefined ? [] : [exampleOf(items)]
    const [simple] = [type].flat()
    return simple === 'string' ? 'text' : simple === 'boolean' ? true : simple === 'integer' || simple === 'number' ? 1 : null
  }
  const lines = Object.entries(schemas).map(([name, schema]) => `a${name}: schema.${name} = ${pythonOf(exampleOf(schema))}`)
  return ['from magicstore import schema', ...lines, ''].join('\n')
}

function pythonOf (value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonOf).join(', ')}]`
  if (value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value !== 'object') return JSON.stringify(value)
  const entries = Object.entries(value as object)
  return `{${entries.map(([name, inner]) => `${JSON.stringify(name)}: ${pythonOf(inner)}`).join(', ')}}`
}

test('the client of `magicstore sdk --python` passes the strictest check of types, and does what it says', async t => {
  const folder = t.testdir({ 'report.pdf': 'a report' })
  const { url } = await sharedServer({ LINKS: 'on', PASSWORD_POLICY: 'open' })
  const written = await writeSdk(['--python', join(folder, 'magicstore'), '--base-url', `${url}/`])
  t.equal(written.code, 0, written.stderr)
  const readme = await readFile(join(folder, 'magicstore/README.md'), 'utf8')
  const page = await readFile(join(root, 'openapi/resumable-uploads.md'), 'utf8')
  const example = [...blocksOf(readme, 'python'), ...blocksOf(page.replaceAll('http://127.0.0.1:5000', url), 'python'), [
    'upload(Path("report.pdf"), store.create_token(name="page", scopes=["files:write"])["token"])\n'
  ]].flat().join('\n')
  await writeFile(join(folder, 'example.py'), example)
  await copyFile(join(root, 'test/stories/python_client.py'), join(folder, 'python_client.py'))

  await t.test('mypy --strict has nothing to say of it, of its README, and of the examples of the document', { skip: lacksMypy }, async t => {
    const document: Described = JSON.parse(await readFile(join(root, 'openapi/openapi.json'), 'utf8'))
    await writeFile(join(folder, 'document.py'), typedExamples(document))
    await writeFile(join(folder, 'wrong.py'), example.replace('stored["size"]', 'stored["bytes"]').replace('order="newest"', 'order="best first"'))
    const { stdout } = await run('mypy', ['--strict', '--python-version', '3.11', '--cache-dir', '/dev/null', 'magicstore', 'example.py', 'document.py', 'python_client.py', 'wrong.py'], { cwd: folder })
    t.match(stdout.split('\n'), [/^wrong\.py:.* "bytes"/, /^wrong\.py:.* "order"/, /^Found 2 errors in 1 file/], { stdout })
  })

  await t.test('does what the examples in its README and in the page on resumable uploads say', async t => {
    const { stdout, stderr } = await python(folder, ['example.py'])
    t.equal(stderr, '')
    t.match(stdout.trim().split('\n'), [
      `8 ${sha256Of('a report')}`,
      "3 text/plain b'two'",
      ...['reports/2026/q1.pdf', 'reports', 'reports/2026'],
      '412 precondition_failed',
      'folder_made archive',
      'moved archive/large.pdf',
      '2026-01-31T00:00:00.000Z',
      new RegExp(`^${url}/s/`),
      'q2.pdf',
      sha256Of('a report')
    ])
    t.equal(await readFile(join(folder, 'copy.pdf'), 'utf8'), 'a report')
  })

  await t.test('streams with digests, continues what was cut, and refuses what is damaged', async t => {
    const desk = join(folder, 'desk')
    await mkdir(desk)
    const { stdout, stderr } = await python(desk, ['../python_client.py', url])
    t.same(stdout.trim().split('\n'), [
      'before registration: 401 credentials_wrong',
      'registration: zoë',
      'a second registration: 400 username_taken',
      'all names, in pages: True',
      "names that are none: ['400 name_invalid', '400 name_invalid', '400 name_invalid', '400 name_invalid', '400 name_invalid']",
      'a name that is no text: UnicodeEncodeError',
      'a type with a line break: ValueError',
      "an empty file: [0, 'text/html']",
      "its download: b''",
      "a range: [b'b/c', 3, 'text/plain']",
      'a range behind the end: 416 range_not_satisfiable',
      "other sources: ['TypeError', 'TypeError', 'TypeError']",
      'a file that is missing here: FileNotFoundError',
      "a pipe: [11, 'ValueError']",
      'a stream from where it is: 6',
      'the same, resumable: True',
      'from one file to another: 11',
      'creating what is there: 412 precondition_failed',
      'the same, resumable: 412 precondition_failed',
      'replacing the known content: 3',
      'replacing other content: 412 precondition_failed',
      'a version: one',
      "changes: [True, 'folder_made', 'folder_made', 'folder_moved', 'moved']",
      'no changes: []',
      "folders: ['a', 'a/b', 'moved', 'moved/folder']",
      'a folder that is not empty: 409 folder_not_empty',
      'what was removed: 404 not_found',
      "links: ['download', ['a']]",
      "after they were revoked: [[], '404 not_found']",
      "a token: [0, '403 insufficient_scope']",
      'what needs the password: 401 password_required',
      'a put of 32 MiB: bounded',
      'a download of 32 MiB: bounded',
      'its bytes: True',
      'an upload that is cut twice: True',
      "its memory: ['bounded', 'PUT, HEAD, PATCH, HEAD, PATCH, HEAD, PATCH', True]",
      "responses that are lost: [4, 'PUT, PUT, HEAD, PATCH 0, HEAD, PATCH 4']",
      'a source that fails: RuntimeError',
      "what is there of it: ['fails.bin']",
      'going on: True',
      'what was sent for it: True',
      'an upload that is unknown: 404 not_found',
      'an upload of another file: ValueError',
      'a source that fails: RuntimeError',
      'going on with other bytes: 400 digest_mismatch',
      'what they made: 404 not_found',
      'a small file by a link: True',
      'the same link again: 404 not_found',
      'a large one that is cut: True',
      "how it was sent: ['bounded', 'POST, HEAD, PATCH, HEAD, PATCH']",
      'a source that fails: RuntimeError',
      'going on in a later call: True',
      'how it went on: HEAD, PATCH',
      'a damaged file: 400 digest_mismatch',
      'the link stays: 1000',
      'other bytes than those of a link, small: 400 digest_mismatch',
      'more than a link takes, small: 413 link_limit_reached',
      'another name, small: 400 name_invalid',
      'other bytes than those of a link, large: 400 digest_mismatch',
      'more than a link takes, large: 413 link_limit_reached',
      'another name, large: 400 name_invalid',
      "a lost answer, small: ['ConnectionLost', 4]",
      "a lost answer, large: ['404 not_found', True]",
      "what the owner is told: [\"inbox/it's (1)*ü.txt\", \"inbox/cut it's.bin\", 'inbox/later.bin', 'inbox/damaged.txt', 'inbox/lost.txt', 'inbox/gone.bin']",
      'no address of a link: ValueError',
      'no address of a link: ValueError',
      'no address of a link: ValueError',
      'the address of a server that does not know it: True',
      "a download that is cut twice: [True, 'bounded']",
      'requests for a range: [False, True, True]',
      "a damaged download: ['200 digest_mismatch', 'kept']",
      'a file that is replaced in a cut download: 412 precondition_failed',
      'files that are left: []',
      "a server that is away: ['ConnectionLost', 'ConnectionLost', 'ConnectionLost', 'ConnectionLost']",
      "a server that stalls: ['ConnectionLost', 'ConnectionLost']",
      'a proxy that is busy: [7, True]',
      'the same for a put: 503 None',
      "another server: ['200 None', '200 None']",
      "another server: ['404 None', '404 None']",
      "another server: ['ConnectionLost', 'ConnectionLost']",
      "addresses that are none: ['ValueError', 'ValueError', 'ValueError', 'ValueError']",
      "a lost connection is one of Python's: True",
      'without a code: 401 second_factor_required',
      'a wrong code: 401 second_factor_wrong',
      'a right code, for many requests: [0, True, 1]',
      "a code for what needs the password: ['x', 0]",
      'the token goes on: 0',
      "guesses: {'401 credentials_wrong'}",
      "too many of them, without a wait: ['too_many_sign_ins', True]"
    ], { stderr })
  })
})

test('`magicstore sdk --python` writes where it wrote before, and not over a client in TypeScript', async t => {
  const folder = t.testdirName
  for (const host of ['one', 'two']) t.equal((await writeSdk(['--python', folder, '--base-url', `https://${host}.example.org`])).code, 0)
  t.same((await readdir(folder)).sort(), FILES.toSorted())
  t.match(await readFile(join(folder, 'client.py'), 'utf8'), /^# Written for Python .*[^]*^BASE_URL = "https:\/\/two\.example\.org"$/m)
  t.match(await writeSdk([folder]), { code: 1, stdout: '', stderr: /^magicstore: .+\n$/ })
  t.match(await writeSdk(['--python']), { code: 2 })
  const typescript = join(t.testdir(), 'typescript')
  t.equal((await writeSdk([typescript])).code, 0)
  t.match(await writeSdk(['--python', typescript]), { code: 1 })
})
