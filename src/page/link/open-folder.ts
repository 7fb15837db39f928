import { signal } from '@preact/signals'

/** The path of the open folder below the linked one: `a/b` at `#a/b`. Empty for the linked folder itself. */
export const openFolder = signal(folderOf(location.hash))

/** Follows the address of the page. */
export function watchFolder (): void {
  addEventListener('hashchange', () => { openFolder.value = folderOf(location.hash) })
}

/** The address of a folder in the page. */
export function folderAddress (path: string): string {
  return `#${path.split('/').map(encodeURIComponent).join('/')}`
}

function folderOf (hash: string): string {
  const path = hash.slice(1)
  try {
    return decodeURIComponent(path).normalize('NFC')
  } catch {
    // Typed by hand, with a `%` that stands for itself. There may be no such folder.
    return path
  }
}
