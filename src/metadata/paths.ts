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

/** Maximum length of a segment, in bytes of UTF-8. */
export const MAX_SEGMENT_BYTES = 255

/** Longer ones are not kept apart from the rest of a name, in bytes with the dot. */
const MAX_EXTENSION_BYTES = 32

/** `report (2).pdf` for `report.pdf` and 2; for 1 the name itself. A long name is cut before the number. */
export function numberedName (name: string, number: number): string {
  if (number === 1) return name
  const dot = name.lastIndexOf('.')
  const isShort = Buffer.byteLength(name.slice(dot)) <= MAX_EXTENSION_BYTES
  const [stem, extension] = dot > 0 && isShort ? [name.slice(0, dot), name.slice(dot)] : [name, '']
  const end = ` (${number})${extension}`
  const points = Array.from(stem)
  while (Buffer.byteLength(points.join('') + end) > MAX_SEGMENT_BYTES) points.pop()
  return points.join('') + end
}

/** The paths of the folders that something is in, the outermost first, without the root. */
export function ancestorsOf (path: string): string[] {
  const ancestors: string[] = []
  for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1)) ancestors.push(path.slice(0, end))
  return ancestors
}

/** The bounds of the paths below a folder: `0` comes after `/`. */
export function boundsBelow (path: string): { from: string, to: string } {
  return { from: `${path}/`, to: `${path}0` }
}

/** The smallest string greater than every string with this prefix, in code point order; undefined if there is none. */
export function afterPrefix (prefix: string): string | undefined {
  const points = Array.from(prefix, character => Number(character.codePointAt(0)))
  while (points.at(-1) === 0x10FFFF) points.pop()
  const last = points.pop()
  if (last === undefined) return undefined
  // U+D800 to U+DFFF are surrogates, not characters.
  return String.fromCodePoint(...points, last === 0xD7FF ? 0xE000 : last + 1)
}
