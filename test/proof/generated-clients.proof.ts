import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { test } from 'tap'
import { installPackages } from '../kit/packages.ts'
import { compile, run, strict } from '../kit/programs.ts'
import { startServer } from '../kit/server.ts'

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

test('the clients that generators make of the served document compile under strict', async t => {
  const folder = t.testdir()
  await installPackages(t, 'generators', folder)
  const { url } = await startServer(t, { DATA_DIR: join(folder, 'data') })
  for (const { name, command, args, isPrinted = false, written } of generators) {
    const program = join(folder, name)
    await mkdir(program)
    const generated = await run(resolve(folder, 'node_modules/.bin', command), args(`${url}/openapi.json`), { cwd: program })
    t.equal(generated.code, 0, { stderr: generated.stderr })
    if (isPrinted) await writeFile(join(program, written), generated.stdout)
    t.match(await readFile(join(program, written), 'utf8'), 'StoredFile', name)
    const { code, stdout } = await compile(program, strict)
    t.equal(code, 0, { stdout })
  }
})
