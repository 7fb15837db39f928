import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { npmEnvironment, runUnwatched } from './programs.ts'
import { root } from './root.ts'

/** Installs the packages that only one proof needs, from `test/proof/<name>`, in a folder. */
export async function installPackages (t: Test, name: string, folder: string): Promise<void> {
  for (const file of ['package.json', 'package-lock.json']) await copyFile(join(root, 'test/proof', name, file), join(folder, file))
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline']
  const { code, stderr } = await runUnwatched('npm', ['ci', ...options], { cwd: folder, env: npmEnvironment })
  t.equal(code, 0, { stderr })
}
