import { platform } from 'node:os'

/** The longest name of a file or folder on the server and on usual file systems. */
const MAX_NAME_BYTES = 255

/** How much of its SHA-256 a conflict name has. */
const DIGITS = 8

export function parentOf (path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}

export function lastOf (path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/**
 * The name of a file whose own name other bytes have: `report (conflict 3fa9c1d2).pdf`. An older mark is replaced.
 * @param copy 1, or more where such a name is taken, too.
 */
export function conflictName (name: string, sha256: string, copy: number): string {
  const dot = name.lastIndexOf('.')
  const [stem, extension] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, '']
  const mark = ` (conflict ${sha256.slice(0, DIGITS)})${copy === 1 ? '' : ` ${copy}`}`
  const ending = Buffer.byteLength(mark + extension) < MAX_NAME_BYTES ? mark + extension : mark
  const plain = stem.replace(/ \(conflict [0-9a-f]{8}\)( \d+)?$/, '')
  return cutToBytes(plain, MAX_NAME_BYTES - Buffer.byteLength(ending)) + ending
}

/** Without half a character at the end. */
function cutToBytes (text: string, bytes: number): string {
  let cut = ''
  for (const character of text) {
    if (Buffer.byteLength(cut + character) > bytes) return cut
    cut += character
  }
  return cut
}

/** Names that mean something else on Windows, and what they may not have there. */
const WINDOWS_NAMES = /[<>:"|?*]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i

/** Whether this computer can have the name. A server that is not what it seems must not name a path outside. */
export function isPossible (name: string, system: string = platform()): boolean {
  if (name === '' || name === '.' || name === '..' || /[/\\\0]/.test(name)) return false
  return system !== 'win32' || !WINDOWS_NAMES.test(name)
}

/** What sync, systems and other programs leave in folders, and what is not whole yet. */
const IGNORED_NAMES = ['.magicstore', '.DS_Store', 'Thumbs.db', 'desktop.ini']
const IGNORED_PATTERNS = [/^~\$/, /^\.~lock\..*#$/, /\.part$/, /\.crdownload$/, /^\.Trash-/]

/** Whether a file or folder is in no tree, whatever the user says. */
export function isAlwaysIgnored (path: string): boolean {
  const name = lastOf(path)
  return IGNORED_NAMES.includes(name) || IGNORED_PATTERNS.some(pattern => pattern.test(name))
}
