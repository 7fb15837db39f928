import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { npmEnvironment, runUnwatched } from '../kit/programs.ts'
import { checkSession } from '../kit/readme.ts'
import { spawnServer } from '../kit/server.ts'
import { findScript, installNodes, lacksNodes } from './other-nodes.ts'

/** `.ci/run` runs all tests on this one, among them the suite for the database driver. */
const TESTED = 'node24'

test('the server with its flags, the README\'s session and the database driver work on Node 22, 24 and 26, and no package asks for another', { skip: lacksNodes }, async t => {
  const nodes = await installNodes(t)
  const npm = await findScript('npm')
  const folder = t.testdir()

  for (const { name, node } of nodes) {
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
