import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/**
 * What Node runs as the bin: the compiled one, file by file, so that it is known what of the source was run, where it is as
 * new as that. For whoever runs tap without a build it is the source, which takes each process a second or two longer to
 * start. The bundle, which people have, is run by the tests that do what the README says.
 */
export function binArguments (): string[] {
  const isBuilt = newestIn('src') <= (statSync(join(root, 'build/.tsbuildinfo'), { throwIfNoEntry: false })?.mtimeMs ?? 0)
  return isBuilt ? ['--enable-source-maps', join(root, 'build/main.js')] : [...process.execArgv, join(root, 'src/main.ts')]
}

function newestIn (folder: string): number {
  return Math.max(...readdirSync(join(root, folder), { recursive: true }).filter(name => String(name).endsWith('.ts')).map(name => statSync(join(root, folder, String(name))).mtimeMs))
}
