import { cpSync, existsSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** What packages of npm have beside what runs. */
const NOT_RUN = /^(?:tests?|bench(?:marks?)?|examples?|docs|integration|index\.html)(?:\/|$)/

/** What a driver is compiled from, and what is left of that. */
const LEFT_OUT = /^(?:deps|src|binding\.gyp|build\/(?!Release(?:$|\/better_sqlite3\.node$)))/

/**
 * Copies what runs into a folder, for the Debian package and the image, from a checkout after `npm ci` and
 * `npm run build`. The packages are those of node_modules that the lock file does not call `dev`, with both drivers of
 * SQLite, so that each Node.js finds its own.
 * @param {string} folder
 */
export function addProgram (folder) {
  for (const name of ['dist', 'drizzle/sqlite', 'drizzle/postgres', 'package.json']) copy(name, folder)
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  for (const [path, { dev }] of Object.entries(packages)) {
    // Those inside others come with them; optional ones may not be there.
    const isOwn = path !== '' && dev !== true && path.split('node_modules/').length === 2
    if (isOwn && existsSync(join(root, path))) copy(path, folder)
  }
}

/** Copies a file or folder of the checkout. @param {string} name @param {string} folder */
function copy (name, folder) {
  cpSync(join(root, name), join(folder, name), {
    recursive: true,
    filter: source => isWanted(source.slice(root.length).split(sep).join('/'))
  })
}

/** @param {string} name */
function isWanted (name) {
  if (/\.(?:map|tsbuildinfo|d\.[cm]?ts|a)$/.test(name)) return false
  const [, module, inside] = /^node_modules\/((?:@[^/]+\/)?[^/]+)\/(.+)$/.exec(name) ?? []
  if (module === undefined || inside === undefined) return true
  if (/(?:^|\/)(?:\.|eslint\.config\.)/.test(inside) || NOT_RUN.test(inside)) return false
  if (!/^(?:better-sqlite3|argon2)/.test(module)) return true
  const [, system] = /^prebuilds\/([a-z0-9]+-[a-z0-9]+)/.exec(inside) ?? []
  if (system === undefined) return !LEFT_OUT.test(inside)
  return system === `${process.platform}-${process.arch}` && !inside.includes('musl')
}
