import type { MarkedToken, Token, Tokens } from 'marked'
import { h, type ComponentChild } from 'preact'

/** Deeper ones are shown as they are written: each level is a call of a function. */
const MAX_DEPTH = 30

/** The title of the dialog is a heading of the second level. */
const TITLE_LEVEL = 2

const SCHEMES = ['http:', 'https:', 'mailto:']

const ENTITY = /&(?:#(\d{1,7})|#x([\da-f]{1,6})|(amp|lt|gt|quot|apos|nbsp));/gi
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: '\'', nbsp: '\u00A0' }

/**
 * Markdown as it means. The page makes the elements itself, so that no text becomes HTML: markup is shown as text, a
 * picture by its description, and a link works only if it is absolute.
 */
export function MarkdownText ({ tokens }: { tokens: readonly Token[] }) {
  return <>{shown(tokens, 0)}</>
}

function shown (tokens: readonly Token[], depth: number): ComponentChild[] {
  return tokens.map((token, index) => h(Shown, { key: index, token: token as MarkedToken, depth }))
}

function Shown ({ token, depth }: { token: MarkedToken, depth: number }) {
  if (depth > MAX_DEPTH) return <>{token.raw}</>
  const inside = (tokens: readonly Token[] = []) => shown(tokens, depth + 1)
  switch (token.type) {
    case 'heading': return h(`h${Math.min(token.depth + TITLE_LEVEL, 6)}`, null, inside(token.tokens))
    case 'paragraph': return <p>{inside(token.tokens)}</p>
    case 'blockquote': return <blockquote>{inside(token.tokens)}</blockquote>
    case 'code': return <pre><code>{token.text}</code></pre>
    case 'list': return <List list={token} depth={depth} />
    case 'table': return <Table table={token} depth={depth} />
    case 'hr': return <hr />
    case 'strong': return <strong>{inside(token.tokens)}</strong>
    case 'em': return <em>{inside(token.tokens)}</em>
    case 'del': return <del>{inside(token.tokens)}</del>
    case 'codespan': return <code>{token.text}</code>
    case 'br': return <br />
    case 'link': return <Link href={token.href}>{inside(token.tokens)}</Link>
    case 'image': return <>{withoutEntities(token.text)}</>
    case 'checkbox': return <>{token.checked ? '☑ ' : '☐ '}</>
    case 'escape': return <>{token.text}</>
    case 'html': return <>{token.text}</>
    case 'text': return <>{token.tokens === undefined ? withoutEntities(token.text) : inside(token.tokens)}</>
    case 'list_item': case 'space': case 'def': return null
  }
}

function List ({ list: { ordered, start, items }, depth }: { list: Tokens.List, depth: number }) {
  const children = items.map((item, index) => <li key={index}>{shown(item.tokens, depth + 1)}</li>)
  return ordered ? <ol start={Number(start)}>{children}</ol> : <ul>{children}</ul>
}

function Table ({ table: { header, rows }, depth }: { table: Tokens.Table, depth: number }) {
  const cells = (row: readonly Tokens.TableCell[], name: 'th' | 'td') => row.map(({ tokens, align }, index) =>
    h(name, { key: index, ...align !== null && { 'data-align': align } }, shown(tokens, depth + 1)))
  return (
    <table>
      <thead><tr>{cells(header, 'th')}</tr></thead>
      <tbody>{rows.map((row, index) => <tr key={index}>{cells(row, 'td')}</tr>)}</tbody>
    </table>
  )
}

/** A link to somewhere else opens in a new tab, which knows nothing of this one. */
function Link ({ href, children }: { href: string, children: ComponentChild }) {
  const url = URL.canParse(href) ? new URL(href) : undefined
  if (url === undefined || !SCHEMES.includes(url.protocol)) return <>{children}</>
  return <a href={url.href} target='_blank' rel='noopener noreferrer'>{children}</a>
}

function withoutEntities (text: string): string {
  return text.replace(ENTITY, (entity, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return ENTITIES[name.toLowerCase()] ?? entity
    const point = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)
    return point > 0 && point <= 0x10FFFF ? String.fromCodePoint(point) : entity
  })
}
