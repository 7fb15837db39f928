/** A text that can be changed, with what a field for text does not keep. */
export interface EditableText {
  /** With `\n` at the end of each line, and without a byte order mark. */
  readonly text: string
  readonly mark: string
  /** The ends of its lines. */
  readonly ends: readonly string[]
}

const BYTE_ORDER_MARK = '\uFEFF'
const LINE_END = /\r\n|\n|\r/g

/** Undefined if the bytes are no text in UTF-8. */
export function editableOf (bytes: Uint8Array): EditableText | undefined {
  const all = decodedExactly(bytes)
  if (all === undefined || all.includes('\0')) return undefined
  const mark = all.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK : ''
  const text = all.slice(mark.length)
  return { text: text.replace(LINE_END, '\n'), mark, ends: text.match(LINE_END) ?? [] }
}

function decodedExactly (bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** The changed text with its byte order mark. Lines that did not change keep their ends; others have the usual one. */
export function withEnds (changed: string, { text, mark, ends }: EditableText): string {
  const [before, after] = [text.split('\n'), changed.split('\n')]
  const [first, last] = [countSame(before, after), countSame(before.toReversed(), after.toReversed())]
  const usual = mostUsed(ends)
  const shift = before.length - after.length
  const endOf = (index: number) => {
    if (index < first) return ends[index]
    return index >= after.length - last ? ends[index + shift] : undefined
  }
  const lines = after.map((line, index) => index === after.length - 1 ? line : line + (endOf(index) ?? usual))
  return mark + lines.join('')
}

/** How many items both begin with. */
function countSame (one: readonly string[], other: readonly string[]): number {
  const index = one.findIndex((item, index) => item !== other[index])
  return index === -1 ? one.length : index
}

function mostUsed (ends: readonly string[]): string {
  const count = (end: string) => ends.filter(other => other === end).length
  const [usual = '\n'] = ['\n', '\r\n', '\r'].sort((one, other) => count(other) - count(one))
  return usual
}
