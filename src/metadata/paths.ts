/** Maximum length of the path of a folder, in bytes of UTF-8. */
export const MAX_FOLDER_BYTES = 768

/** Segments of the path of a folder at most. */
export const MAX_FOLDER_SEGMENTS = 31

/** The path of the folder that something is in, empty for the root, and the last segment of its own path. */
export function splitPath (path: string): { folder: string, name: string } {
  const slash = path.lastIndexOf('/')
  return { folder: path.slice(0, Math.max(slash, 0)), name: path.slice(slash + 1) }
}

/** The path of something in a folder; the path of the root is empty. */
export function joinPath (folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`
}

/** The paths of the folders that something is in, the outermost first, without the root. */
export function ancestorsOf (path: string): string[] {
  const segments = path.split('/')
  return segments.slice(1).map((_, index) => segments.slice(0, index + 1).join('/'))
}

/** The bounds of the paths below a folder: `0` comes after `/`. */
export function boundsBelow (path: string): { from: string, to: string } {
  return { from: `${path}/`, to: `${path}0` }
}
