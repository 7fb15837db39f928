import { StringDecoder } from 'node:string_decoder'

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

/** Letters that Unicode does not take apart, as they are typed on a keyboard that lacks them. */
const letters: Readonly<Record<string, string>> = {
  Æ: 'AE', Ð: 'D', Ø: 'O', Þ: 'TH', Đ: 'D', Ħ: 'H', Ł: 'L', Ŋ: 'N', Œ: 'OE', Ŧ: 'T', ẞ: 'SS'
}

/**
 * A text without case and accents: two texts that people take for the same one are equal, such as `Straße` and
 * `STRASSE`, `Ωραίος` and `ωραιος`, `ﬁle` and `FILE`. Of an ASCII text, the same in upper case.
 */
export function fold (text: string): string {
  return text.normalize('NFKD').replace(/[\u0300-\u036f]/g, '').toUpperCase()
    .replace(/[ÆÐØÞĐĦŁŊŒŦẞ]/g, letter => letters[letter] as string)
}

/** Maximum length of a sort key, in bytes of UTF-8. */
const MAX_SORT_KEY_BYTES = 255

/**
 * What a segment sorts by as people sort names, compared by code point: `file 2` before `file 10`, `apple` before
 * `Zebra`, `Ärger` at A. Segments with equal keys sort by themselves.
 */
export function sortKeyOf (segment: string): string {
  const key = fold(segment).replace(/\p{Nd}+/gu, digits => numberKey(digits.replace(/^0+(?=.)/, '')))
  if (key.length * 3 <= MAX_SORT_KEY_BYTES) return key
  // Cut between two characters.
  return new StringDecoder('utf8').write(Buffer.from(key).subarray(0, MAX_SORT_KEY_BYTES))
}

/** The digits of a number, with their count before them: `1` to `8`, and above that `9` and three digits. */
function numberKey (digits: string): string {
  const count = Array.from(digits).length
  return (count < 9 ? String(count) : `9${String(count).padStart(3, '0')}`) + digits
}

/** The columns of the last segment of a path. */
export function segmentColumns (path: string): { name: string, sortKey: string } {
  const { name } = splitPath(path)
  return { name, sortKey: sortKeyOf(name) }
}
