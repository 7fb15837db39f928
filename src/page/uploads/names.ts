/** Bytes of UTF-8 that a name can have. */
const MAX_NAME_BYTES = 255

/** The name as the server compares it. */
export function keyOf (name: string): string {
  return name.normalize('NFC')
}

/** The next name for a second file: `report.pdf`, `report (2).pdf`, `report (3).pdf`. The ending stays. */
export function nextName (name: string): string {
  const [, stem = name, number, ending = ''] = /^(.+?)(?: \((\d{1,6})\))?((?:\.tar)?\.[^. ]{1,16})?$/su.exec(name) ?? []
  const rest = ` (${number === undefined ? 2 : Number(number) + 1})${ending}`
  return cut(stem, MAX_NAME_BYTES - bytesOf(rest)) + rest
}

/** The name of a pasted picture, which has none of its own. */
export function pastedName (type: string, now: Date): string {
  const [year, month, day, hours, minutes, seconds] = [now.getFullYear(), now.getMonth() + 1, now.getDate(), now.getHours(), now.getMinutes(), now.getSeconds()]
    .map(part => String(part).padStart(2, '0'))
  const ending = /^image\/([a-z]+)/.exec(type)?.[1] ?? 'bin'
  return `pasted ${year}-${month}-${day} ${hours}.${minutes}.${seconds}.${ending}`
}

/** The longest beginning that has so many bytes of UTF-8, in whole characters as readers see them. */
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
