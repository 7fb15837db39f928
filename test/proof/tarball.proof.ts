import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { copyFile, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { test, type Test } from 'tap'
import { npmEnvironment, run } from '../kit/programs.ts'
import { blocksOf, readGuide } from '../kit/readme.ts'
import { clientOf, signUp } from '../kit/server.ts'
import { MIB } from '../kit/sizes.ts'
import { findScript, installNodes, lacksNodes, type OtherNode } from './other-nodes.ts'

// On Node.js 20 npm downloads or compiles the driver of SQLite. The other versions need no script of a package.

const NODE_20 = 'node20'

/** The commands of the guide that install the archive. */
async function readCommands (): Promise<string[]> {
  const lines = blocksOf(await readGuide(), 'console').flat().map(line => line.slice('# '.length))
  const from = lines.findIndex(line => line.startsWith('npm install --global '))
  return lines.slice(from, from + 2)
}

async function createFolder (t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'magicstore-tarball-'))
  t.teardown(() => rm(folder, { recursive: true }))
  return folder
}

async function pack (t: Test): Promise<string> {
  const folder = await createFolder(t)
  const { code, stdout, stderr } = await run('npm', ['pack', '--silent', '--pack-destination', folder], { env: npmEnvironment })
  t.equal(code, 0, { stderr })
  return join(folder, stdout.trim())
}

/** A folder with one Node, a copy of the archive, and a prefix and a cache of npm. */
async function openMachine (t: Test, archive: string, { name, node }: OtherNode) {
  const folder = await createFolder(t)
  const tools = join(folder, 'tools')
  await mkdir(tools)
  await symlink(node, join(tools, 'node'))
  for (const script of ['npm', 'npx'] as const) await symlink(await findScript(script), join(tools, script))
  const copy = join(folder, basename(archive))
  await copyFile(archive, copy)

  const env = {
    ...npmEnvironment,
    PATH: `${tools}:${join(folder, 'bin')}:/usr/bin:/bin`,
    npm_config_prefix: folder,
    npm_config_cache: join(folder, 'cache'),
    ...(name !== NODE_20 && { npm_config_ignore_scripts: 'true' }),
    DATA_DIR: join(folder, 'data'),
    MIN_FREE_BYTES: '0',
    PORT: '0'
  }
  const type = (line: string) => run('bash', ['-c', line], { cwd: folder, env })
  /** Starts the installed server. */
  async function start () {
    const child = spawn('magicstore', ['serve'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = once(child, 'exit')
    t.teardown(() => child.kill('SIGKILL'))
    let welcome = ''
    for await (const chunk of child.stdout) if ((welcome += chunk).includes('password policy')) break
    child.stdout.resume()
    const stop = async () => { child.kill('SIGTERM'); t.same(await ended, [0, null]) }
    return { ...clientOf(Number(/serves at http:\S+:(\d+)$/m.exec(welcome)?.[1])), stop }
  }
  return { folder, copy, type, start }
}

test('what npm packs is installed, serves, is upgraded, run by npx and removed on every Node, and the data stays', { skip: lacksNodes, timeout: 3_600_000 }, async t => {
  const own = { name: `node${process.versions.node.split('.')[0]}`, node: process.execPath }
  const nodes = [own, ...(await installNodes(t)).filter(({ name }) => name !== own.name)]
  const [install = '', pin = ''] = await readCommands()
  const archive = await pack(t)

  for (const each of nodes) {
    await t.test(each.name, async t => {
      const { folder, copy, type, start } = await openMachine(t, archive, each)
      const typed = async (line: string) => {
        const { code, stdout, stderr } = await type(line)
        t.equal(code, 0, { line, stdout, stderr })
        return stdout
      }
      t.match(await typed('node --version'), each.name.replace('node', 'v'))
      await typed(install)
      await typed(pin)
      const version = await typed('magicstore --version')
      t.match(archive, `magicstore-${version.trim()}.tgz`)

      const server = await start()
      const { token, user } = await signUp(server, 'ann')
      const bytes = randomBytes(MIB)
      t.equal((await server.send('PUT', '/uploads/report.pdf', { token, body: bytes })).status, 201)
      await server.stop()

      await typed(install)
      const upgraded = await start()
      t.ok((await upgraded.send('GET', '/uploads/report.pdf', { user })).bytes.equals(bytes))
      await upgraded.stop()

      await typed('npm uninstall --global magicstore')
      t.same(await readdir(join(folder, 'bin')), [])
      t.same(await readdir(join(folder, 'lib/node_modules')), [])
      t.ok((await readdir(join(folder, 'data'))).includes('magicstore.db'))
      // It would ask on a terminal.
      t.equal(await typed(`npx --yes --package ${copy} magicstore --version`), version)
    })
  }
})
