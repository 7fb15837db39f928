/** How a text is shown. */
export type TextFormat = 'plain' | 'markdown' | 'table'

const MARKDOWN = /^text\/(?:x-)?markdown\b/i
const TABLE = /^text\/(?:csv|tab-separated-values)\b/i

/** The type is that of the uploader, who may not have known it: then the name tells. */
export function formatOf ({ name, type }: { name: string, type: string }): TextFormat {
  const isUnsaid = /^(?:text\/plain|application\/octet-stream)\b/i.test(type)
  if (MARKDOWN.test(type) || (isUnsaid && /\.(?:md|markdown)$/i.test(name))) return 'markdown'
  return TABLE.test(type) || (isUnsaid && /\.(?:csv|tsv)$/i.test(name)) ? 'table' : 'plain'
}
