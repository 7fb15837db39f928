import { copyFile, mkdtemp, readdir, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { npmEnvironment, runUnwatched } from '../kit/programs.ts'

/**
 * A separate package with the other Node versions: 600 MB. NODES names a folder in which it is installed already.
 */
const nodesPackage = fileURLToPath(new URL('nodes', import.meta.url))

/** For `skip`. */
export const lacksNodes = process.platform === 'linux' && process.arch === 'x64' ? false : 'the versions are installed for Linux on x64'

export interface OtherNode {
  /** Such as `node24`. */
  readonly name: string
  /** Its program. */
  readonly node: string
}

/** Installs the other Node versions until the test ends. */
export async function installNodes (t: Test): Promise<OtherNode[]> {
  const folder = join(process.env.NODES ?? await install(t), 'node_modules')
  const names = (await readdir(folder)).filter(name => name.startsWith('node'))
  t.same(names, ['node22', 'node24', 'node26'])
  return names.map(name => ({ name, node: join(folder, name, 'bin/node') }))
}

async function install (t: Test): Promise<string> {
  const nodes = await mkdtemp(join(tmpdir(), 'magicstore-nodes-'))
  t.teardown(() => rm(nodes, { recursive: true }))
  for (const name of ['package.json', 'package-lock.json']) await copyFile(join(nodesPackage, name), join(nodes, name))
  const { code, stderr } = await runUnwatched('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'], { cwd: nodes, env: npmEnvironment })
  t.equal(code, 0, { stderr })
  return nodes
}

/** The script of `npm` or `npx`, to run with a chosen Node version. */
export async function findScript (name: 'npm' | 'npx'): Promise<string> {
  for (const folder of String(process.env.PATH).split(delimiter)) {
    const path = await realpath(join(folder, name)).catch(() => undefined)
    if (path?.endsWith('.js')) return path
  }
  throw new Error(`${name} is not on the PATH`)
}
