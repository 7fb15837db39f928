import { frameTexts } from '../frame-texts.ts'
import { useLoaded } from '../use-loaded.ts'
import { visibleName } from '../visible-name.ts'
import { CsvTable, MAX_ROWS } from './csv-table.tsx'
import { MarkdownText } from './markdown-text.tsx'
import { formatOf, type TextFormat } from './text-formats.ts'

/** How much of a text is shown, and of a table, whose rows are limited besides. */
const TEXT_BYTES = 256 * 1024
const TABLE_BYTES = 1024 ** 2

/**
 * Longer Markdown is shown as it is. The time of the parser can grow with the square of the length: a text that was
 * made for that took 2.5 s with 64 KiB, and more than 10 s with 256 KiB. Meanwhile the page does not answer.
 */
const MAX_MARKDOWN_LENGTH = 64 * 1024

interface TextFile { readonly name: string, readonly type: string }

export function shownBytesOf (file: TextFile): number {
  return formatOf(file) === 'table' ? TABLE_BYTES : TEXT_BYTES
}

interface ShownTextProps {
  file: TextFile
  text: string
  /** Says that a table has more rows or columns. */
  cut: string
}

/**
 * The beginning of a text file: Markdown as it means, CSV as a table, and others as they are. Markup is shown as text,
 * so that nothing in it can run.
 */
export function ShownText ({ file, text, cut }: ShownTextProps) {
  const { value: rich, error } = useLoaded(() => richOf(formatOf(file), text))
  const label = { tabIndex: 0, role: 'region', 'aria-label': visibleName(file.name), dir: 'auto' } as const
  // A parser can be out of reach, or a text nested too deep for it.
  if (error !== undefined || rich?.format === 'plain') return <pre class='shown' {...label}>{text}</pre>
  if (rich === undefined) return <p class='muted' role='status'>{frameTexts.loading}</p>
  return (
    <div class='shown rich' {...label}>
      {rich.format === 'markdown' ? <MarkdownText tokens={rich.tokens} /> : <CsvTable all={rich.rows} cut={cut} />}
    </div>
  )
}

/** Parses a text. The parsers are loaded when one is first needed. */
async function richOf (format: TextFormat, text: string) {
  if (format === 'plain' || (format === 'markdown' && text.length > MAX_MARKDOWN_LENGTH)) {
    return { format: 'plain' } as const
  }
  if (format === 'markdown') return { format, tokens: (await import('marked')).lexer(text) } as const
  const { rowsOf } = await import('./csv-parser.ts')
  return { format, rows: rowsOf(text, MAX_ROWS + 1) } as const
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
