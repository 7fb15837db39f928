import { randomBytes } from 'node:crypto'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { test } from 'tap'
import { sha256Of } from '../kit/digests.ts'
import { installPackages } from '../kit/packages.ts'
import { compile, run, strict } from '../kit/programs.ts'
import { root } from '../kit/root.ts'
import { startServer } from '../kit/server.ts'
import { MIB } from '../kit/sizes.ts'

const stories = join(root, 'test/stories')

/** hey-api's generator has no option for the extension of imports. */
const heyApi = (url: string) => `import { createClient } from '@hey-api/openapi-ts'
  await createClient({
    input: '${url}',
    output: { path: 'sdk', module: { extension: '.js' } },
    plugins: ['@hey-api/typescript', '@hey-api/sdk', '@hey-api/client-fetch'],
    logs: { level: 'silent' }
  })`

interface Generator {
  name: string
  command: string
  args: (documentUrl: string) => string[]
  isPrinted?: boolean
  written: string
}

const generators: Generator[] = [
  { name: 'hey-api', command: process.execPath, args: url => ['--input-type=module', '--eval', heyApi(url)], written: 'sdk/types.gen.ts' },
  { name: 'swagger-typescript-api', command: 'swagger-typescript-api', args: url => ['generate', '-p', url, '-o', '.', '-n', 'client.ts', '--silent'], written: 'client.ts' },
  { name: 'openapi-zod-client', command: 'openapi-zod-client', args: url => [url, '-o', 'client.ts'], written: 'client.ts' },
  { name: 'openapi-client-axios', command: 'typegen', args: url => [url], isPrinted: true, written: 'client.d.ts' }
]

const bytes = randomBytes(MIB)
const sha256 = sha256Of(bytes)

const story = [
  'register story',
  'sign-in 600',
  `upload report.pdf application/pdf ${sha256}`,
  `list report.pdf:${bytes.length}`,
  `download ${sha256}`,
  'delete'
]

test('clients that generators make of the served document compile under strict and go through the story', async t => {
  const folder = t.testdir({ data: {} })
  await installPackages(t, 'generators', folder)
  for (const { name, command, args, isPrinted = false, written } of generators) {
    await t.test(name, async t => {
      const program = join(folder, name)
      await mkdir(program)
      const { url } = await startServer(t, { DATA_DIR: join(folder, 'data', name) })
      const generated = await run(resolve(folder, 'node_modules/.bin', command), args(`${url}/openapi.json`), { cwd: program })
      t.equal(generated.code, 0, { stderr: generated.stderr })
      if (isPrinted) await writeFile(join(program, written), generated.stdout)
      t.match(await readFile(join(program, written), 'utf8'), 'StoredFile')
      await copyFile(join(stories, `${name}.ts`), join(program, 'story.ts'))
      await writeFile(join(program, 'report.pdf'), bytes)
      const compiled = await compile(program, strict)
      t.equal(compiled.code, 0, { stdout: compiled.stdout })
      const told = await run(process.execPath, [join(program, 'out/story.js'), url], { cwd: program })
      t.same(told.stdout.trim().split('\n'), story, { stderr: told.stderr })
    })
  }
})
