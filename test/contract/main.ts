import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { releaseFault, versionFault, withRelease, withUnreleased } from './changelog.ts'
import { changesBetween } from './changes.ts'

/**
 * `npm run contract`: writes the changes since the last release into openapi/CHANGELOG.md, and fails if they break the
 * contract without a new major version. `npm run contract -- release`: makes the document the released one.
 */
const [verb = 'check', folder = 'openapi'] = process.argv.slice(2)
const read = async (name: string) => JSON.parse(await readFile(join(folder, name), 'utf8'))
const [released, document] = await Promise.all([read('released.json'), read('openapi.json')])
const changelog = withUnreleased(await readFile(join(folder, 'CHANGELOG.md'), 'utf8'), changesBetween(released, document))
await writeFile(join(folder, 'CHANGELOG.md'), changelog)
const fault = verb === 'release' ? releaseFault(released, document) : versionFault(released, document)
if (fault !== undefined) {
  console.error(fault)
  process.exitCode = 1
} else if (verb === 'release') {
  await writeFile(join(folder, 'CHANGELOG.md'), withRelease(changelog, { version: document.info.version, day: new Date().toISOString().slice(0, 10) }))
  await writeFile(join(folder, 'released.json'), `${JSON.stringify(document, null, 2)}\n`)
}
