import { signal } from '@preact/signals'
import { decodedPath, encodedPath } from '../paths.ts'

/** The path of the open folder below the linked one: `a/b` at `#a/b`. Empty for the linked folder itself. */
export const openFolder = signal(folderOf(location.hash))

/** Follows the address of the page. */
export function watchFolder (): void {
  addEventListener('hashchange', () => { openFolder.value = folderOf(location.hash) })
}

/** The address of a folder in the page. */
export function folderAddress (path: string): string {
  return `#${encodedPath(path)}`
}

function folderOf (hash: string): string {
  return decodedPath(hash.slice(1))
}
