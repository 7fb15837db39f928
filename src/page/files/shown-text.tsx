import { visibleName } from '../visible-name.ts'

/** How much of a text is shown. */
export const TEXT_BYTES = 256 * 1024

/** The beginning of a text file. Markup is shown as text, so that nothing in it can run. */
export function ShownText ({ name, text }: { name: string, text: string }) {
  return <pre class='shown' tabIndex={0} role='region' aria-label={visibleName(name)} dir='auto'>{text}</pre>
}

/** Decodes a text by the charset of its type or its byte order mark. Bytes that are not valid become U+FFFD. */
export async function decoded (bytes: Blob, type: string): Promise<string> {
  const buffer = new Uint8Array(await bytes.arrayBuffer())
  const [, charset = markOf(buffer)] = /;\s*charset="?([^\s";]+)/i.exec(type) ?? []
  try {
    return new TextDecoder(charset).decode(buffer)
  } catch {
    // An unknown charset is a RangeError.
    return new TextDecoder().decode(buffer)
  }
}

function markOf ([first, second]: Uint8Array): string {
  if (first === 0xFF && second === 0xFE) return 'utf-16le'
  return first === 0xFE && second === 0xFF ? 'utf-16be' : 'utf-8'
}
