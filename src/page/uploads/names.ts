import { joined, lastOf, parentOf } from '../paths.ts'

/** A file with the path under which it is to be stored. */
export interface NamedFile {
  readonly file: File
  readonly name: string
  /** Whether it may have been stored already. */
  readonly isDoubtful?: boolean
  /** Whether it gets another name if this one is taken. */
  readonly keepsBoth?: boolean
}

/** The longest name of a file in its folder, in bytes of UTF-8. */
const MAX_NAME_BYTES = 255

/** The name as the server compares it. */
export function keyOf (name: string): string {
  return name.normalize('NFC')
}

/** The next name for a second file: `report.pdf`, `report (2).pdf`, `report (3).pdf`. Folder and ending stay. */
export function nextName (path: string): string {
  const name = lastOf(path)
  const [, stem = name, number, ending = ''] = /^(.+?)(?: \((\d{1,6})\))?((?:\.tar)?\.[^. ]{1,16})?$/su.exec(name) ?? []
  const rest = ` (${number === undefined ? 2 : Number(number) + 1})${ending}`
  return joined(parentOf(path), cut(stem, MAX_NAME_BYTES - bytesOf(rest)) + rest)
}

/** A name for a pasted picture without one, in local time. */
export function pastedName (type: string, now: Date): string {
  const date = [now.getFullYear(), now.getMonth() + 1, now.getDate()].map(twoDigits).join('-')
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(twoDigits).join('.')
  const ending = /^image\/([a-z]+)/.exec(type)?.[1] ?? 'bin'
  return `pasted ${date} ${time}.${ending}`
}

function twoDigits (value: number): string {
  return String(value).padStart(2, '0')
}

/** The longest prefix of at most `maxBytes` bytes of UTF-8 that cuts no grapheme cluster. */
function cut (text: string, maxBytes: number): string {
  if (bytesOf(text) <= maxBytes) return text
  let kept = ''
  let bytes = 0
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    bytes += bytesOf(segment)
    if (bytes > maxBytes) break
    kept += segment
  }
  return kept
}

function bytesOf (text: string): number {
  return new TextEncoder().encode(text).length
}
