/** Names of files and folders are paths: segments joined by `/`. The root is the empty path. */

export function lastOf (path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** The folder of a file or folder. */
export function parentOf (path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0))
}

export function joined (folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`
}

/** The folders above a path, without the root: `a` and `a/b` for `a/b/c`. */
export function ancestorsOf (path: string): string[] {
  const segments = path.split('/').slice(0, -1)
  return segments.map((_, index) => segments.slice(0, index + 1).join('/'))
}

/** A path for a URL. Some proxies refuse an escaped `/`. */
export function encodedPath (path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}

/** The path of a folder in the part of an address after `#`. */
export function decodedPath (path: string): string {
  try {
    return decodeURIComponent(path).normalize('NFC')
  } catch {
    // Typed by hand, with a `%` that stands for itself. There may be no such folder.
    return path
  }
}

/** Whether a path is this folder or below it. */
export function isWithin (path: string, folder: string): boolean {
  return `${path}/`.startsWith(`${folder}/`)
}
