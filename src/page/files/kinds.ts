/** How a file can be shown. */
export type Kind = 'image' | 'audio' | 'video' | 'pdf' | 'text' | 'other'

/** Text besides `text/*`: source code, data and markup, all shown as text. */
const TEXT_TYPE = /^(?:text\/|application\/(?:json|x?html|xml|javascript|ecmascript|x-sh|x-httpd-php|sql|toml|yaml|x-yaml|rtf|x-tex|graphql|ld\+json)\b|[^;]+\+(?:json|xml|yaml)\b)/i

/** Of names whose type was not known to the uploader. */
const TEXT_ENDING = /\.(?:txt|md|markdown|csv|tsv|log|json|ya?ml|toml|ini|conf|env|xml|html?|css|[cm]?[jt]sx?|py|rb|go|rs|java|kt|c|h|cc|cpp|hpp|cs|php|sh|bash|ps1|bat|sql|tex|diff|patch|srt|vtt)$/i

const UNKNOWN_TYPE = 'application/octet-stream'

export function kindOf ({ name, type }: { name: string, type: string }): Kind {
  const [, family = ''] = /^(image|audio|video)\//i.exec(type) ?? []
  if (family !== '') return family.toLowerCase() as Kind
  if (/^application\/pdf\b/i.test(type)) return 'pdf'
  if (TEXT_TYPE.test(type)) return 'text'
  return type === UNKNOWN_TYPE && TEXT_ENDING.test(name) ? 'text' : 'other'
}
