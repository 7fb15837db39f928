import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test, type Test } from 'tap'
import { execute, npmEnvironment, run } from '../kit/programs.ts'
import { blocksOf, readGuide } from '../kit/readme.ts'
import { root } from '../kit/root.ts'
import { clientOf } from '../kit/server.ts'
import { isProof, MIB } from '../kit/sizes.ts'

interface Locked { readonly version: string, readonly dev?: boolean }

/** The packages that `npm ci --omit=dev` installs, by folder. */
async function productionPackages (): Promise<[folder: string, Locked][]> {
  const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as { packages: Record<string, Locked> }
  return Object.entries(packages).filter(([folder, { dev }]) => folder !== '' && dev !== true)
}

/** Puts the package into a folder outside the repository, so that nothing else can be imported. Returns the folder. */
async function install (t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'magicstore-package-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const packed = await run('npm', ['pack', '--silent', '--pack-destination', folder])
  t.equal(packed.code, 0, { stderr: packed.stderr })
  await (isProof ? installByNpm(t, folder) : unpack(folder, packed.stdout.trim()))
  return folder
}

/** In place of npm, which needs the network: the dependencies are those of the repository. */
async function unpack (folder: string, archive: string): Promise<void> {
  const modules = join(folder, 'lib/node_modules')
  await mkdir(modules, { recursive: true })
  await mkdir(join(folder, 'bin'))
  await execute('tar', ['--extract', '--gzip', '--file', join(folder, archive), '--directory', modules])
  const place = join(modules, 'magicstore')
  await rename(join(modules, 'package'), place)
  const main = join(place, JSON.parse(await readFile(join(place, 'package.json'), 'utf8')).bin.magicstore)
  await chmod(main, 0o755)
  await symlink(main, join(folder, 'bin/magicstore'))
  for (const [path] of await productionPackages()) {
    // Those inside others come with them.
    if (path.split('node_modules/').length > 2 || !existsSync(join(root, path))) continue
    await mkdir(dirname(join(place, path)), { recursive: true })
    await symlink(join(root, path), join(place, path))
  }
}

/**
 * As the guide says. Scripts are left out: for Node 20 one of them may compile the driver of SQLite for a minute, which
 * `npm ci` has done already.
 */
async function installByNpm (t: Test, folder: string): Promise<void> {
  const lines = blocksOf(await readGuide(), 'console').flat().map(line => line.slice('# '.length))
  const from = lines.findIndex(line => line.startsWith('npm install --global '))
  for (const line of lines.slice(from, from + 2)) {
    const installed = await run('bash', ['-c', `${line} --ignore-scripts --prefer-offline --no-audit --no-fund`], { cwd: folder, env: { ...npmEnvironment, npm_config_prefix: folder } })
    t.equal(installed.code, 0, { stderr: installed.stderr })
  }
  const place = join(folder, 'lib/node_modules/magicstore')
  for (const [path, { version }] of await productionPackages()) {
    t.equal(JSON.parse(await readFile(join(place, path, 'package.json'), 'utf8')).version, version, `${path} is the version that the tests ran with`)
  }
  const binary = 'node_modules/better-sqlite3-node20/build'
  if (existsSync(join(root, binary))) await cp(join(root, binary), join(place, binary), { recursive: true })
}

/** With `import`, or with a function of `createRequire`. */
const imported = /(?:^import .*from |^import |\b(?:import|load)\(|createRequire\(import\.meta\.url\)\()'((?:@[^/']+\/)?[^/'.][^/']*)/gm

/** The packages that the built server imports. */
async function importedPackages (): Promise<string[]> {
  const names = (await readdir(join(root, 'dist'), { recursive: true })).filter(name => name.endsWith('.js') && !name.startsWith('page/'))
  const texts = await Promise.all(names.map(name => readFile(join(root, 'dist', name), 'utf8')))
  const imports = texts.flatMap(text => Array.from(text.matchAll(imported), ([, name = '']) => name))
  return Array.from(new Set(imports.filter(name => !name.startsWith('node:')))).sort()
}

test('the package depends on what the server imports and on nothing else, and has as many packages as the guide says', async t => {
  const promised = /\binstall (\d+) packages\b/.exec((await readGuide()).replaceAll(/\s+/g, ' '))?.[1]
  t.equal((await productionPackages()).length, Number(promised), 'the package itself is not counted')
  const { dependencies, optionalDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  t.same(await importedPackages(), Object.keys({ ...dependencies, ...optionalDependencies }).sort())
})

test('what npm installs from the package runs, with nothing but its own dependencies', async t => {
  const folder = await install(t)
  const env = { PATH: `${join(folder, 'bin')}:${process.env.PATH}`, HOME: folder, DATA_DIR: join(folder, 'data'), MIN_FREE_BYTES: '0' }
  const magicstore = (...args: string[]) => run('magicstore', args, { cwd: folder, env })
  const [manifest, locked] = await Promise.all(['package.json', 'package-lock.json'].map(async name => JSON.parse(await readFile(join(root, name), 'utf8'))))
  t.same(JSON.parse(await readFile(join(folder, 'lib/node_modules/magicstore/npm-shrinkwrap.json'), 'utf8')), locked, 'the versions that the tests ran with')
  t.same(await magicstore('--version'), { code: 0, stdout: `${manifest.version}\n`, stderr: '' })

  await t.test('serves: registration, token, upload, download, document, page', async t => {
    const child = spawn('magicstore', ['serve'], { cwd: folder, env: { ...env, PORT: '0', PASSWORD_POLICY: 'strict' }, stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = once(child, 'exit')
    t.teardown(() => child.kill('SIGKILL'))
    let welcome = ''
    for await (const chunk of child.stdout) if ((welcome += chunk).includes('password policy')) break
    child.stdout.resume()
    const { send } = clientOf(Number(/serves at http:\S+:(\d+)$/m.exec(welcome)?.[1]))
    const user: [string, string] = ['ann', 'correct horse battery']
    t.equal((await send('POST', '/api/users', { json: { username: user[0], password: user[1] } })).status, 201)
    const { json: { token } } = await send('GET', '/api/token', { user })
    const bytes = randomBytes(MIB)
    t.equal((await send('PUT', '/uploads/report.pdf', { token, body: bytes })).status, 201)
    t.ok((await send('GET', '/uploads/report.pdf', { token })).bytes.equals(bytes))
    t.same((await send('GET', '/openapi.json')).json.info.title, 'MagicStore')
    const home = await send('GET', '/', { headers: { accept: 'text/html' } })
    for (const [, path] of home.text.matchAll(/(?:src|href)="\.?\/?(assets\/[^"]+)"/g)) t.equal((await send('GET', `/${path}`)).status, 200, String(path))
    t.match(home.headers['content-type'], 'text/html; charset=utf-8')
    t.equal((await send('GET', '/service-worker.js')).status, 200)
    t.equal((await send('GET', '/docs')).status, 200)
    t.equal((await send('GET', '/docs/static/swagger-ui-bundle.js')).status, 200)
    t.equal((await magicstore('backup', '--prove', join(folder, 'backup'))).code, 0)
    child.kill('SIGTERM')
    t.same(await ended, [0, null])
  })

  await t.test('writes the document and the client', async t => {
    await mkdir(join(folder, 'document'))
    t.equal((await magicstore('openapi', 'document')).code, 0)
    t.equal(await readFile(join(folder, 'document/openapi.json'), 'utf8'), await readFile(join(root, 'openapi/openapi.json'), 'utf8'))
    t.equal((await magicstore('sdk', 'client')).code, 0)
    t.same((await readdir(join(folder, 'client'))).sort(), ['README.md', 'client.ts', 'schema.ts'])
    t.equal((await magicstore('sdk', '--python', 'package')).code, 0)
  })

  await t.test('says what is missing where npm left the driver of Node.js 20 out', { skip: Number.parseInt(process.versions.node) < 22 ? false : 'newer versions do not use it' }, async t => {
    await rm(join(folder, 'lib/node_modules/magicstore/node_modules/better-sqlite3-node20'), { recursive: true })
    for (const args of [['serve'], ['user', 'list'], ['doctor']]) {
      const { code, stdout, stderr } = await magicstore(...args)
      t.same({ code, stdout }, { code: 1, stdout: '' })
      t.match(stderr, /^magicstore: the driver of SQLite for Node\.js 20 is missing: .+; use Node\.js 22 or newer, .+\n$/)
    }
  })
})
