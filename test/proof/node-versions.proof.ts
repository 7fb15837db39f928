import { copyFile, mkdir, mkdtemp, readdir, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test, type Test } from 'tap'
import { npmEnvironment, runUnwatched } from '../kit/programs.ts'
import { checkSession } from '../kit/readme.ts'
import { spawnServer } from '../kit/server.ts'

/**
 * A separate package with the other Node versions: 600 MB. NODES names a folder in which it is installed already.
 */
const nodesPackage = fileURLToPath(new URL('nodes', import.meta.url))

/** `.ci/run` runs all tests on this one, among them the suite for the database driver. */
const TESTED = 'node24'

const isAvailable = process.platform === 'linux' && process.arch === 'x64'

/** npm's own script, to run with a chosen Node version. */
async function findNpm (): Promise<string> {
  for (const folder of String(process.env.PATH).split(delimiter)) {
    const path = await realpath(join(folder, 'npm')).catch(() => undefined)
    if (path?.endsWith('.js')) return path
  }
  throw new Error('npm is not on the PATH')
}

async function install (t: Test): Promise<string> {
  const nodes = await mkdtemp(join(tmpdir(), 'magicstore-nodes-'))
  t.teardown(() => rm(nodes, { recursive: true }))
  for (const name of ['package.json', 'package-lock.json']) await copyFile(join(nodesPackage, name), join(nodes, name))
  const { code, stderr } = await runUnwatched('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'], { cwd: nodes, env: npmEnvironment })
  t.equal(code, 0, { stderr })
  return nodes
}

test('the server with its flags, the README\'s session and the database driver work on Node 22, 24 and 26, and no package asks for another', { skip: isAvailable ? false : 'the versions are installed for Linux on x64' }, async t => {
  const nodes = process.env.NODES ?? await install(t)
  const names = (await readdir(join(nodes, 'node_modules'))).filter(name => name.startsWith('node'))
  t.same(names, ['node22', 'node24', 'node26'])
  const npm = await findNpm()
  const folder = t.testdir()

  for (const name of names) {
    const node = join(nodes, 'node_modules', name, 'bin/node')
    await t.test(name, async t => {
      const { stdout: version } = await runUnwatched(node, ['--version'])
      t.match(version, `v${name.slice('node'.length)}.`)

      const desk = join(folder, name, 'desk')
      await mkdir(desk, { recursive: true })
      const server = await spawnServer(t, { DATA_DIR: join(folder, name, 'data') }, { node })
      await checkSession(t, { port: server.port, folder: desk })
      t.equal(await server.end('SIGTERM'), 0)

      if (name !== TESTED) {
        const suite = await runUnwatched(node, ['--import', 'ts-blank-space/register', 'test/proof/metadata-suite.ts'])
        t.equal(suite.code, 0, { stdout: suite.stdout, stderr: suite.stderr })
        t.match(suite.stdout, /^ok 1 - SQLite keeps the contract of metadata/m)
      }

      const dry = await runUnwatched(node, [npm, 'ci', '--dry-run', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'], { env: npmEnvironment })
      t.equal(dry.code, 0, { stderr: dry.stderr })
      t.notMatch(dry.stderr, 'EBADENGINE')
    })
  }
})
