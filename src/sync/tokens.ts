import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The file with the token that `connect` has got from the server at an address. */
function fileOf (folder: string, url: string): string {
  return join(folder, `${createHash('sha256').update(url).digest('hex')}.token`)
}

/** Keeps the token of the server at an address in a file that only this user can read. Returns its path. */
export function keepToken (folder: string, { url, token }: { url: string, token: string }): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const file = fileOf(folder, url)
  // A new file: one that is there keeps its mode.
  writeFileSync(`${file}.new`, token, { mode: 0o600, flush: true })
  renameSync(`${file}.new`, file)
  return file
}

/** The token that was kept for the server at an address; undefined if there is none. */
export function findToken (folder: string, url: string): string | undefined {
  const file = fileOf(folder, url)
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}
