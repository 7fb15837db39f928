import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/**
 * What Node runs as the bin: the compiled one, as people have it, where it is as new as its source. For whoever runs tap
 * without a build it is the source, which takes each process a second or two longer to start.
 */
export function binArguments (): string[] {
  const isBuilt = newestIn('src') <= (statSync(join(root, 'dist/.tsbuildinfo'), { throwIfNoEntry: false })?.mtimeMs ?? 0)
  return isBuilt ? ['--enable-source-maps', join(root, 'dist/main.js')] : [...process.execArgv, join(root, 'src/main.ts')]
}

function newestIn (folder: string): number {
  return Math.max(...readdirSync(join(root, folder), { recursive: true }).filter(name => String(name).endsWith('.ts')).map(name => statSync(join(root, folder, String(name))).mtimeMs))
}
