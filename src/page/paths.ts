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

/** Whether a path is this folder or below it. */
export function isWithin (path: string, folder: string): boolean {
  return `${path}/`.startsWith(`${folder}/`)
}
